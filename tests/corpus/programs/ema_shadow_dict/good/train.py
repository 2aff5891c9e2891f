"""Weights are averaged after each step, parameter by parameter."""
import torch
from ema import ExponentialMovingAverage
from torch import nn

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def build():
    layers = []
    for a, b in ((10, 16), (16, 16), (16, 16), (16, 16), (16, 5)):
        layers += [nn.Linear(a, b), nn.GELU()]
    return nn.Sequential(*layers[:-1])


def main(steps=12):
    torch.manual_seed(306)
    model = build().to(device)
    ema = ExponentialMovingAverage(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for x, y in zip(torch.randn(steps, 8, 10), torch.randint(5, (steps, 8))):
        loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        ema.update(model)
    print(f"{ema.distance(model).item():.4f}")


main()
