"""A device policy in the manner of federated-learning packages, and state that went through a file.

`DevicePolicy` picks the device once (`CUDA_VISIBLE_DEVICES` hides devices from it; `placeaudit
devices` says which are there, which are hidden by which variable, and what would be picked), and
the model follows it.  What goes wrong: the rest is loaded without asking the policy.  The
statistics of the normalizer and the weights of the last round come back on the host, so each batch
uploads them anew.

What the audit says: PA307 at each line that uploads what `torch.load` put on the host, with the
line that loaded it.  What to change: load everything to where the policy says.
"""

import argparse
import io
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class DevicePolicy:
    """Whether to use a device, and which."""

    gpu: bool = True
    index: int | None = None

    def select(self):
        """The device to use; the last one where none is named: the first drives the display."""
        count = torch.cuda.device_count()
        if not (self.gpu and count):
            return torch.device("cpu")
        return torch.device("cuda", count - 1 if self.index is None else self.index)


class Normalizer:
    """Centers and scales inputs."""

    def __init__(self, mean, scale):
        self.mean, self.scale = mean, scale

    def __call__(self, x):
        mean, scale = self.mean.to(x.device), self.scale.to(x.device)  # stray: PA307
        return (x - mean) / scale


def written(state):
    """A file that an earlier round has left."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return file


def earlier_round():
    """What it left: statistics of the data, and weights that were saved from the first device."""
    model = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 8))
    statistics = {"mean": torch.randn(64), "scale": torch.rand(64) + 1}
    model.to("cuda:0" if torch.cuda.is_available() else "cpu")
    return written(statistics), written(model.state_dict())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = DevicePolicy().select()
    statistics, weights = earlier_round()
    normalize = Normalizer(**torch.load(statistics))
    anchor = torch.load(weights, map_location="cpu")
    model = nn.Sequential(nn.Linear(64, 256), nn.Tanh(), nn.Linear(256, 8)).to(device)
    model.load_state_dict(anchor)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    inputs = torch.randn(args.steps, 32, 64, device=device)
    for x in inputs:
        loss = model(normalize(x)).square().mean()
        for name, parameter in model.named_parameters():
            # FedProx: stay near the weights of the last round.
            loss = loss + (parameter - anchor[name].to(device)).square().sum()  # stray: PA307
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.5f}")


if __name__ == "__main__":
    main()
