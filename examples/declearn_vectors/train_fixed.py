"""The twin of train.py: what was saved is read back onto the device that uses it."""

import argparse
import io

import torch
from declearn.model.torch import TorchVector
from declearn.optimizer import Optimizer
from declearn.optimizer.modules import MomentumModule


def saved(tensors, device):
    """What another run has left in a file, read back."""
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    return torch.load(file, map_location=device)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 8))
    shapes = {name: p.shape for name, p in net.named_parameters()}
    velocity = saved({name: torch.zeros(shape) for name, shape in shapes.items()}, device)
    anchor = saved({name: p.detach().clone() for name, p in net.named_parameters()}, device)
    net.to(device)

    momentum = MomentumModule(beta=0.9)
    momentum.set_state({"velocity": TorchVector(velocity)})
    optimizer = Optimizer(lrate=0.05, modules=[momentum])
    target = TorchVector(anchor)
    inputs = torch.randn(args.steps, 32, 64, device=device)
    for x in inputs:
        net.zero_grad()
        net(x).square().mean().backward()
        weights = TorchVector({name: p.detach() for name, p in net.named_parameters()})
        gradients = TorchVector({name: p.grad for name, p in net.named_parameters()})
        drift = weights - target
        updates = optimizer.compute_updates_from_gradients(None, gradients + drift * 0.01)
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter += updates.coefs[name]
    print(f"weights {sum(p.double().abs().sum().item() for p in net.parameters()):.4f}")


if __name__ == "__main__":
    main()
