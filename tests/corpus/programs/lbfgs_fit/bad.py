"""Fits an implicit curve with L-BFGS; the closure fetches the observations itself."""
import torch
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fit(net, points, values, turns=12):
    optimizer = torch.optim.LBFGS(net.parameters(), lr=0.5, max_iter=3)

    def closure():
        optimizer.zero_grad()
        out = net(points.to(device))  # expect: PA102
        loss = (out - values.to(device)).square().mean()  # expect: PA102
        loss.backward()
        return loss

    for _ in range(turns):
        optimizer.step(closure)
    return closure()


torch.manual_seed(317)
net = nn.Sequential(nn.Linear(2, 12), nn.Tanh(), nn.Linear(12, 1)).to(device)
points = torch.rand(40, 2)
loss = fit(net, points, (points**2).sum(1, keepdim=True).sin())
print(f"{loss.item():.4f}")
