"""Power iteration stops when a device value is small: the host looks every turn."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class SpectralNorm:
    def __init__(self, n, iterations):
        self.u = nn.functional.normalize(torch.ones(n, device=device), dim=0)
        self.iterations = iterations

    def __call__(self, weight):
        u = self.u
        turn, change = 0, torch.ones((), device=device)
        while turn < self.iterations and change > 0:  # expect: PA201 info
            v = nn.functional.normalize(weight.T @ u, dim=0)
            new = nn.functional.normalize(weight @ v, dim=0)
            change = (new - u).abs().sum() + 1e-6
            u, turn = new, turn + 1
        self.u = u.detach()
        return u @ weight @ v


torch.manual_seed(74)
model = nn.Linear(8, 8).to(device)
norm = SpectralNorm(8, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x in torch.randn(12, 4, 8):
    loss = model(x.to(device)).square().mean() + 0.1 * norm(model.weight)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
