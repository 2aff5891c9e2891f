"""Runs ``placeaudit`` commands, each in a process of its own that need not import torch again.

One JSON object a line comes in: ``arguments``, ``cwd``, ``log`` (where output goes).  The command
runs in a fork of this process, which has imported torch and placeaudit and used neither; one line
goes out: its exit status.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

# What takes so long: torch, what its optimizers import and what its backward passes import.
os.environ["TORCHDYNAMO_DISABLE"] = "1"  # a simulation does that; the modules look only once
import torch._dynamo
import torch.fx.experimental.symbolic_shapes  # noqa: F401

import placeaudit.commands.trace
import placeaudit.record.launch
import placeaudit.record.session
import placeaudit.record.torch.source
import placeaudit.simulate.torch_cuda  # noqa: F401
from placeaudit.__main__ import main


def become(order: dict[str, Any]) -> None:
    """Be the process that a shell would have started."""
    os.chdir(order["cwd"])
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.argv = ["placeaudit", *order["arguments"]]
    sys.path[0] = order["cwd"]


def serve() -> bool:
    """Fork for every order; True in a child, which has one to fulfil."""
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            become(order)
            return True
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201
    return False


if __name__ == "__main__" and serve():
    main()
