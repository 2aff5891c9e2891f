"""Federated training with declearn: vectors and plug-in states that lost their device.

What goes wrong: a vector that was saved and read back as plain tensors lies on the host, and so
does the restored velocity of the Momentum plug-in.  declearn adds them to device vectors without a
word: the left operand's device decides, so each step copies and its result may end up on the host.

What the audit says: PA302 at each such line with both devices and the bytes; of the plug-in also
PA301, with its name and the state.  What to change: move what was restored to the device once.
"""

import argparse
import io

import torch
from declearn.model.torch import TorchVector
from declearn.optimizer import Optimizer
from declearn.optimizer.modules import MomentumModule


def saved(tensors):
    """What another run has left in a file, read back."""
    file = io.BytesIO()
    torch.save(tensors, file)
    file.seek(0)
    return torch.load(file)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=60)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 8))
    shapes = {name: p.shape for name, p in net.named_parameters()}
    velocity = saved({name: torch.zeros(shape) for name, shape in shapes.items()})
    anchor = saved({name: p.detach().clone() for name, p in net.named_parameters()})
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
        drift = weights - target  # stray: PA302
        updates = optimizer.compute_updates_from_gradients(  # stray: PA301, PA302
            None, gradients + drift * 0.01
        )
        with torch.no_grad():
            for name, parameter in net.named_parameters():
                parameter += updates.coefs[name].to(device)
    print(f"weights {sum(p.double().abs().sum().item() for p in net.parameters()):.4f}")


if __name__ == "__main__":
    main()
