"""The twin of train.py: the shared weights are one tensor, one copy each way; the device first."""

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
    device = torch.device("cuda", number % count) if count else torch.device("cpu")
    generator = torch.Generator().manual_seed(number)
    inputs = torch.randn(steps, 64, 32, generator=generator).to(device)
    targets = inputs.sum(2, keepdim=True).sin()
    model = network().to(device)
    optimizer = torch.optim.SGD([shared], lr=0.05)
    # What crosses lies in page-locked memory, where there is a device.
    weights, gradient = (torch.empty_like(shared, pin_memory=count > 0) for _ in range(2))
    shared.grad = gradient
    for x, y in zip(inputs, targets, strict=True):
        turns[number].acquire()
        weights.copy_(shared)
        nn.utils.vector_to_parameters(weights.to(device, non_blocking=True), model.parameters())
        gradients = torch.autograd.grad(
            nn.functional.mse_loss(model(x), y), list(model.parameters())
        )
        gradient.copy_(nn.utils.parameters_to_vector(gradients))
        optimizer.step()
        turns[(number + 1) % PROCESSES].release()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=100)
    args = parser.parse_args()
    torch.manual_seed(0)
    shared = nn.utils.parameters_to_vector(network().parameters()).detach().share_memory_()
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
    weights = shared.double().abs().sum().item()
    print(f"weights {weights:.6f}")


if __name__ == "__main__":
    main()
