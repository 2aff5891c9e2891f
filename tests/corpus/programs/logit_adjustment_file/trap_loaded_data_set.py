"""A whole data set is loaded from a file and cut into batches: data, each crosses once."""
from dataclasses import dataclass

import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass
class Config:
    prior: str = "prior.pt"
    tau: float = 1.0




torch.manual_seed(337)
config = Config()
torch.save({"x": torch.randn(96, 7), "y": torch.randint(24, (96,))}, config.prior)
stored, criterion = torch.load(config.prior), nn.CrossEntropyLoss()
model = nn.Linear(7, 24).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
data = zip(stored["x"].split(8), stored["y"].split(8))
for x, y in data:
    loss = criterion(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
