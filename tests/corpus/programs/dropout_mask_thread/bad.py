"""A worker thread trains; its DropConnect mask comes from the host."""
import threading

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class DropConnect(nn.Linear):
    def forward(self, x):
        keep = torch.empty(self.weight.shape).bernoulli_(0.5).to(self.weight.device)  # expect: PA103
        return nn.functional.linear(x, self.weight * keep * 2, self.bias)


class Worker(threading.Thread):
    def __init__(self, model, data):
        super().__init__(name="trainer")
        self.model, self.data, self.loss = model, data, None

    def run(self):
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        for x in self.data:
            x = x.to(device)
            loss = (self.model(x) - x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        self.loss = loss.item()


torch.manual_seed(32)
worker = Worker(DropConnect(12, 12).to(device), list(torch.randn(12, 5, 12)))
worker.start()
worker.join()
print(f"{worker.loss:.4f}")
