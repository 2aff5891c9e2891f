"""The twin of train.py: states stay on the device from task to task and come down once."""

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
    return model.state_dict()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    args = parser.parse_args()
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    states = [network().to(device).state_dict() for _ in range(MODELS)]
    inputs = torch.randn(128, 32, device=device)
    targets = torch.stack([inputs[:, i : i + 1].sin() for i in range(MODELS)])
    with ThreadPoolExecutor(THREADS) as pool:
        for _ in range(args.rounds):
            tasks = [
                pool.submit(task, device, state, inputs, y)
                for state, y in zip(states, targets, strict=True)
            ]
            states = [task.result() for task in tasks]
    # One copy for each model instead of one for each entry.
    flat = [nn.utils.parameters_to_vector(state.values()).cpu() for state in states]
    weights = sum(vector.double().abs().sum().item() for vector in flat)
    print(f"weights {weights:.6f}")


if __name__ == "__main__":
    main()
