"""Labels and flags that happen to be equal now and then are data, not duplicates."""
import torch
import torch.nn.functional as F
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(10)
model = nn.Linear(6, 2).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
stream = [(torch.randn(4, 6), torch.randint(2, (4,)), torch.tensor(i % 5 == 0)) for i in range(20)]
for x, y, augmented in stream:
    x, y, augmented = x.to(device), y.to(device), augmented.to(device)
    loss = F.cross_entropy(model(x) * (1 + augmented), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
