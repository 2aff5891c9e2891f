"""Clients forked from a process that has used no device; prints what each found as JSON."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import multiprocessing, nn

import placeaudit


def train(device: str) -> float:
    torch.manual_seed(0)
    model = nn.Linear(4, 2).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.ones(8, 4).to(device)
    loss = torch.zeros(())
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
    return loss.item()


def client(device: str, sender: Any) -> None:
    try:
        sender.send(train(device))
    except RuntimeError as error:
        sender.send(str(error).partition(".")[0])


def forked(device: str) -> Any:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=client, args=(device, sender))
    process.start()
    found = receiver.recv()
    process.join()
    return [found, process.exitcode]


if __name__ == "__main__":
    with placeaudit.simulate("cuda:2"):
        found = {"clients": [forked(device) for device in ("cpu", "cuda:1", "cpu")]}
        assert not torch.cuda.is_initialized()
        torch.ones(1, device="cuda")
        found["after use"] = [forked(device) for device in ("cpu", "cuda:1")]
        found["parent"] = [train(device) for device in ("cuda", "cpu")]
    print(json.dumps(found))
