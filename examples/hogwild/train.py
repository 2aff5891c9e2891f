"""Hogwild: processes train one model in shared memory, each on a device of its own.

The weights lie on the host, where all processes see them; each process computes gradients with a
copy of the model on its device.  What goes wrong: the weights are fetched and the gradients are
brought back tensor by tensor; and every process wakes `cuda:0` up first, also those that work on
another device: a context there takes hundreds of megabytes a process.

What the audit says, over the records of all processes: PA106 where tensors cross one by one; PA308
(info) for the process with a stray context on `cuda:0`.  What to change: let the shared weights be
one flat tensor, one copy each way a step; choose the device first.
"""

import argparse

import torch
import torch.multiprocessing as mp
from torch import nn

PROCESSES = 2


def network():
    layers = [nn.Linear(32, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 32)]
    return nn.Sequential(*layers, nn.Tanh(), nn.Linear(32, 1))


def work(number, shared, turns, steps):
    """One process.  The processes take turns, which Hogwild does without: to compute the same."""
    count = torch.cuda.device_count()
    if count:
        torch.zeros(1, device="cuda")
    device = torch.device("cuda", number % count) if count else torch.device("cpu")
    generator = torch.Generator().manual_seed(number)
    inputs = torch.randn(steps, 64, 32, generator=generator).to(device)
    targets = inputs.sum(2, keepdim=True).sin()
    model = network().to(device)
    optimizer = torch.optim.SGD(shared.parameters(), lr=0.05)
    for x, y in zip(inputs, targets, strict=True):
        turns[number].acquire()
        with torch.no_grad():
            for mine, theirs in zip(model.parameters(), shared.parameters(), strict=True):
                mine.copy_(theirs)  # stray: PA106
        model.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        for mine, theirs in zip(model.parameters(), shared.parameters(), strict=True):
            theirs.grad = mine.grad.cpu()  # stray: PA106
        optimizer.step()
        turns[(number + 1) % PROCESSES].release()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    torch.manual_seed(0)
    shared = network().share_memory()
    context = mp.get_context("spawn")
    turns = [context.Semaphore(int(number == 0)) for number in range(PROCESSES)]
    workers = [
        context.Process(target=work, args=(number, shared, turns, args.steps))
        for number in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    weights = sum(parameter.double().abs().sum().item() for parameter in shared.parameters())
    print(f"weights {weights:.6f}")


if __name__ == "__main__":
    main()
