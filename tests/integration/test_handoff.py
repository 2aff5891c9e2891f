"""Tensors handed from one library to another in one process: what copies, and at which line."""

from __future__ import annotations

from typing import Any

import placeaudit
from tests.installed import need

PROGRAM = """
import numpy as np
import tensorflow as tf
import torch

import placeaudit

host = torch.arange(256.0)
shared = np.from_dlpack(host), tf.experimental.dlpack.from_dlpack(host.__dlpack__())
buffer = torch.from_numpy(np.asarray(shared[0]))
host[0] = 7.0
print([float(each[0]) for each in (*shared, buffer)])

x = torch.ones(64, 4, device="cuda")
with tf.device("GPU:0"):
    z = tf.ones((64, 4))
for _ in range(8):
    near = (x * 1.5).cpu().numpy()  # downloaded by torch
    z = z + tf.constant(near)  # uploaded by tensorflow
    back = torch.from_numpy((z * 2.0).numpy()).to("cuda")  # and back
    x = x + back * 0.01
    placeaudit.step()
print(f"{x.sum().item():.3f}")
"""


def test_a_bounce_between_libraries_and_memory_that_they_share(sandbox: Any) -> None:
    need("torch")
    need("tensorflow")
    program = sandbox.path / "handoff.py"
    program.write_text(PROGRAM)
    done = sandbox.placeaudit("trace", "-q", "--simulate", "cuda", "-o", "run", program)
    assert done.returncode == 0, done.stderr
    # Over the same memory on the host: no copy, no finding.
    assert done.stdout == "[7.0, 7.0, 7.0]\n639.232\n"
    lines = PROGRAM.splitlines()
    found = {
        lines[f.line - 1].partition("# ")[2]: f
        for f in placeaudit.load(sandbox.path / "run").findings
        if f.direction is not None and f.bytes >= 1024
    }
    assert {key: (f.rule, f.severity.value) for key, f in found.items()} == {
        "uploaded by tensorflow": ("PA108", "warning"),
        "and back": ("PA108", "warning"),
    }
    there, back = found["uploaded by tensorflow"], found["and back"]
    assert (there.count, there.bytes, there.dst) == (8, 8 * 1024, "GPU:0")
    assert [lines[f.line - 1].partition("# ")[2] for _, f in there.related] == [
        "downloaded by torch"
    ]
    assert "downloaded from cuda:0" in there.message
    assert "`tf.experimental.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(…))`" in there.fix
    assert "downloaded from GPU:0" in back.message
    assert "`torch.utils.dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(…))`" in back.fix
