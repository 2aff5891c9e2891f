"""Device tensors shared between processes; prints what each side sees as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from torch import multiprocessing, nn

import placeaudit


def work(model: nn.Module, given: Any, results: Any, done: Any) -> None:
    x = given.get()
    seen: dict[str, Any] = {"device": str(x.device), "values": x.tolist()}
    x += 1  # the parent sees it
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7)
    try:
        multiprocessing.reductions.reduce_tensor(x)
    except RuntimeError as error:
        seen["sent on"] = str(error)
    view = given.get()
    seen["view"] = view.tolist()
    seen["shared"] = view.is_shared()
    results.put(json.dumps(seen))
    results.put(x * 10)
    done.wait()


def main(method: str) -> None:
    context = multiprocessing.get_context(method)
    model = nn.Linear(2, 1).cuda()
    model.share_memory()
    bias = model.bias.view(-1)
    given, results, done = context.SimpleQueue(), context.SimpleQueue(), context.Event()
    arguments = (model, given, results, done)
    child = context.Process(target=work, args=arguments)
    child.start()
    x = torch.arange(3.0, device="cuda:1")
    given.put(x)
    given.put(torch.arange(6.0, device="cuda")[2:5])  # gone here before it is received there
    seen = json.loads(results.get())
    seen["result"] = results.get().tolist()
    seen["parent sees"] = x.tolist()
    seen["weights"] = [*model.weight.flatten().tolist(), *bias.tolist()]
    done.set()
    child.join()
    seen["exit code"] = child.exitcode
    print(json.dumps(seen))


if __name__ == "__main__":
    with placeaudit.simulate("cuda:2"):
        main(sys.argv[1])
