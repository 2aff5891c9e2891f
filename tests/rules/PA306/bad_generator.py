"""A generator moves each batch; whoever takes it moves it again."""

import torch
from torch import nn

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"


def on_device(batches):
    for x in batches:
        x = x.to(device)
        yield x


class Trainer:
    def __init__(self):
        self.model = nn.Linear(64, 10).to(device)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)

    def step(self, x):
        loss = self.model(x.to(device)).square().mean()  # expect: PA306 info
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def fit(self, batches):
        for x in on_device(batches):
            self.step(x)


Trainer().fit(list(torch.randn(12, 8, 64)))
