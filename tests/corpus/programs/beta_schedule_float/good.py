"""A learned temperature is turned into a Python float for the loss of each step."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Soft(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Linear(10, 5)
        self.log_alpha = nn.Parameter(torch.zeros(()))


def sac_loss(model, x, reward):
    alpha = model.log_alpha.exp().detach()
    logp = model.net(x).log_softmax(-1)
    policy = (logp.exp() * (alpha * logp - reward)).sum(-1).mean()
    temperature = -(model.log_alpha * (logp.detach().mean() + 2.0))
    return policy + temperature


torch.manual_seed(76)
model = Soft().to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for x, reward in zip(torch.randn(12, 6, 10), torch.rand(12, 6, 5)):
    loss = sac_loss(model, x.to(device), reward.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
