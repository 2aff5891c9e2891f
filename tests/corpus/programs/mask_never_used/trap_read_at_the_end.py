"""What is moved in the warm steps is read only after the loop: the window proves nothing."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(45)
model = nn.Linear(10, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
held = []
data = [(torch.randn(6, 10), torch.randn(6, 1)) for _ in range(14)]
for x, y in data:
    x, y = x.to(device), y.to(device)
    held.append(y)
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f} {torch.cat(held).mean().item():.4f}")
