# simulate: cuda:2
"""A rank bound to the second device asks for a generator on the first."""
import torch
from torch import nn

many = torch.cuda.device_count() > 1
rank = 1 if many else 0
device = torch.device(f"cuda:{rank}") if torch.cuda.is_available() else torch.device("cpu")


def seed_everything(seed):
    torch.manual_seed(seed)
    if many:
        torch.empty(1).cuda()  # expect: PA308 info


seed_everything(151)
model = nn.Linear(7, 7).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x in torch.randn(12, 4, 7):
    x = x.to(device)
    loss = (model(x) - x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
