"""Hard examples by nonzero, present classes by unique: two waits a step."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class HardMining(nn.Module):
    def forward(self, losses, target):
        hard = losses > losses.mean()
        classes = torch.zeros(6, device=losses.device).index_fill(0, target, 1.0)
        return (losses * hard).sum() / classes.sum()


torch.manual_seed(87)
model, mining = nn.Linear(10, 6).to(device), HardMining()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in [(torch.randn(12, 10), torch.randint(6, (12,))) for _ in range(12)]:
    x, y = x.to(device), y.to(device)
    each = nn.functional.cross_entropy(model(x), y, reduction="none")
    loss = mining(each, y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.3f}")
