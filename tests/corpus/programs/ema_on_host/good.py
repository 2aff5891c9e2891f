"""An exponential average of the weights that is held on the host."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class EMA:
    def __init__(self, model, decay=0.9):
        self.model, self.decay = model, decay
        self.bias = model.bias.detach().clone()

    @torch.no_grad()
    def pull(self):
        self.bias = self.bias * self.decay + self.model.bias * (1 - self.decay)


torch.manual_seed(114)
model = nn.Linear(10, 40).to(device)
ema = EMA(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
for x in torch.randn(12, 6, 10):
    loss = (model(x.to(device)) - ema.bias).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    ema.pull()
print(f"{ema.bias.sum().item():.5f}")
