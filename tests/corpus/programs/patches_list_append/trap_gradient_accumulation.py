"""Many micro-batches a step, each a needed upload and a turn of its own."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(175)
model = nn.Linear(8, 3).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = [(torch.randn(40, 8), torch.randint(3, (40,))) for _ in range(12)]
for x, y in data:
    optimizer.zero_grad()
    for xs, ys in zip(x.chunk(10), y.chunk(10)):
        loss = nn.functional.cross_entropy(model(xs.to(device)), ys.to(device)) / 10
        loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
