"""Logit adjustment with priors that a file brought to the host."""
from dataclasses import dataclass

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass
class Config:
    prior: str = "prior.pt"
    tau: float = 1.0


class AdjustedLoss(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.tau = config.tau
        self.prior = torch.load(config.prior)["log_prior"]

    def forward(self, logits, target):
        prior = self.prior.to(logits.device, non_blocking=True)  # expect: PA307
        return nn.functional.cross_entropy(logits + self.tau * prior, target)


torch.manual_seed(337)
config = Config()
torch.save({"log_prior": torch.rand(24).log_softmax(0)}, config.prior)
criterion = AdjustedLoss(config)
model = nn.Linear(7, 24).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = [(torch.randn(8, 7), torch.randint(24, (8,))) for _ in range(12)]
for x, y in data:
    loss = criterion(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
