"""An optimizer wrapped in Lookahead."""
import torch
from lookahead import Lookahead
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"

torch.manual_seed(334)
model = nn.Sequential(nn.Linear(9, 20), nn.SiLU(), nn.Linear(20, 3)).to(device)
optimizer = Lookahead(torch.optim.SGD(model.parameters(), lr=0.1))
criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
for x, y in [(torch.randn(8, 9), torch.randint(3, (8,))) for _ in range(14)]:
    loss = criterion(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
