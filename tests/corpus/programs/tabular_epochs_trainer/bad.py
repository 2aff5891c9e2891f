"""A trainer walks over the same list of batches in every epoch."""
from dataclasses import dataclass, field

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


@dataclass
class Trainer:
    model: nn.Module
    batches: list
    epochs: int = 5
    history: list = field(default_factory=list)

    def __post_init__(self):
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-2)

    def step(self, x, y):
        x = x.to(device)  # expect: PA110 info
        y = y.to(device)
        loss = nn.functional.mse_loss(self.model(x).squeeze(1), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def fit(self):
        for _ in range(self.epochs):
            losses = [self.step(x, y) for x, y in self.batches]
            self.history.append(torch.stack(losses).mean())


torch.manual_seed(326)
table = torch.randn(100, 6)
price = table @ torch.randn(6)
trainer = Trainer(nn.Linear(6, 1).to(device), list(zip(table.split(20), price.split(20))))
trainer.fit()
print(f"{trainer.history[-1].item():.4f}")
