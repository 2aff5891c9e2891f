"""After every step the model goes to the host for a check, and back."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class Validator:
    def __init__(self, probe):
        self.probe, self.history = probe, []

    @torch.no_grad()
    def __call__(self, model):
        self.history.append(model(self.probe).abs().mean())


torch.manual_seed(105)
model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 1)).to(device)
validate = Validator(torch.randn(4, 8).to(device))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in zip(torch.randn(12, 5, 8), torch.randn(12, 5, 1)):
    loss = nn.functional.mse_loss(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    validate(model)
print(f"{torch.stack(validate.history).sum().item():.4f}")
