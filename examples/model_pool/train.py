"""Many small models trained in turn by a pool of threads, their states parked on the host.

What goes wrong: each task loads its model's state onto the device, trains for some steps and parks
the state on the host again, entry by entry.  Each entry is a copy of its own with a wait of its
own, though all the states together would fit on the device many times.

What the audit says: PA403 where a state is parked between the steps.  What to change: keep states
where they are used, and download them once, at the end.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor

import torch
from torch import nn

MODELS, THREADS, STEPS = 6, 2, 4


def network():
    layers = [nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 32)]
    return nn.Sequential(*layers, nn.Tanh(), nn.Linear(32, 1))


def task(device, state, inputs, targets):
    """Train one model for some steps; its state."""
    model = network().to(device)
    model.load_state_dict(state)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()
    return {name: value.cpu() for name, value in model.state_dict().items()}  # stray: PA403


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    states = [network().state_dict() for _ in range(MODELS)]
    inputs = torch.randn(128, 32, device=device)
    targets = torch.stack([inputs[:, i : i + 1].sin() for i in range(MODELS)])
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(args.rounds):
            tasks = [
                pool.submit(task, device, state, inputs, y)
                for state, y in zip(states, targets, strict=True)
            ]
            states = [task.result() for task in tasks]
    weights = sum(value.double().abs().sum().item() for state in states for value in state.values())
    print(f"weights {weights:.6f}")


if __name__ == "__main__":
    main()
