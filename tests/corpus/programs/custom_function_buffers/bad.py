"""A custom autograd.Function makes a work buffer on the host in its backward."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, levels):
        ctx.save_for_backward(x)
        steps = torch.linspace(-1, 1, levels).to(x.device)  # expect: PA103
        nearest = (x[..., None] - steps).abs().argmin(-1)
        return steps[nearest]

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return grad * (x.abs() <= 1), None


class Quantised(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(10, 10), nn.Linear(10, 3)

    def forward(self, x):
        return self.b(StraightThrough.apply(torch.tanh(self.a(x)), 9))


torch.manual_seed(29)
model = Quantised().to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x, y in [(torch.randn(6, 10), torch.randint(3, (6,))) for _ in range(12)]:
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
