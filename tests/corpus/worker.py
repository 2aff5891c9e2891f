"""Runs programs of the corpus one after the other in this process, each in a trace of its own.

    worker.py OUT [--tools] KEY...

One line of JSON a program goes to ``OUT``.  What a program leaves behind (modules, generators,
seeds, the current device) is put back before the next one starts.
"""

from __future__ import annotations

import builtins
import contextlib
import gc
import io
import itertools
import json
import os
import random
import sys
import tempfile
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

import placeaudit
from placeaudit.analyze.audit import Audit, Copies, Waits
from placeaudit.record.launch import Target, run_target

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.corpus.harness import CORPUS, Program, programs

#: Programs in one profile.
_TOGETHER = 16


@contextlib.contextmanager
def isolated(program: Program, folder: Path) -> Iterator[None]:
    """A fresh start for ``program``, and nothing of it afterwards."""
    before = set(sys.modules)
    main = sys.modules["__main__"]
    cwd = Path.cwd()
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  (what programs may use is the global generator)
    torch.manual_seed(0)
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(cwd)
        sys.modules["__main__"] = main
        for name in set(sys.modules) - before:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(program.entry.parent):
                del sys.modules[name]
        gc.collect()


def execute(program: Program) -> tuple[str, str]:
    """Run the program as Python would; what it printed, and its traceback if it failed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run_target(Target("script", str(program.entry)))
    return out.getvalue(), err.getvalue() if code else ""


def inside(file: str | None) -> str | None:
    """``file`` relative to the corpus; None for a file outside."""
    if file is None or not Path(file).is_relative_to(CORPUS):
        return None
    return Path(file).relative_to(CORPUS).as_posix()


def traced(program: Program, folder: Path, *, tools: bool = False) -> dict[str, Any]:
    """Findings, waits and output of one run; with ``tools``, what the debug mode warned of, too."""
    warned: set[tuple[str, int]] = set()
    with isolated(program, folder), placeaudit.simulate(program.devices):
        torch.cuda.set_device(0)
        watch = watched(warned) if tools else contextlib.nullcontext()
        with watch, placeaudit.trace(folder / "run") as run:
            output, error = execute(program)
    audit = run.result.audit
    return {
        "key": program.key,
        "findings": sorted(
            (f.rule, inside(f.file) or f.file or "", f.line or 0, f.severity.value)
            for f in run.findings
        ),
        "waits": steady_lines(audit, audit.waits),
        "steady": steady_lines(audit, audit.waits, audit.copies),
        "warned": sorted(warned),
        "output": output,
        "error": error,
    }


def steady_lines(audit: Audit, *tables: Copies | Waits) -> list[tuple[str, int]]:
    """The program's lines at which such an event was recorded in the steps."""
    sites = {int(i) for events in tables for i in np.unique(events.site[events.steady])}
    users = [audit.sites[i].user for i in sites if i >= 0]
    return sorted({(file, u.line) for u in users if u and (file := inside(u.file)) is not None})


def _matches(pattern: Any) -> Iterator[Any]:
    """The events that match, past those whose name PyTorch itself cannot decode."""
    for event in pattern.eventTreeTraversal():
        with contextlib.suppress(UnicodeDecodeError):
            if pattern.match(event):
                yield event


def matched(chosen: Sequence[Program], *, others: bool) -> tuple[list[tuple[str, int]], list[str]]:
    """Lines that PyTorch's extra-copy pattern matches, and with ``others`` what else matches.

    One profile of all of ``chosen``, which ask for the same devices: to start the profiler with
    stacks takes longer than a program does.
    """
    from torch.profiler import _pattern_matcher as patterns

    # The profiler reads the names of code objects when it ends; it does not keep them.
    kept: list[Any] = []
    execute_code = builtins.exec

    def keeping(code: Any, *args: Any, **kwargs: Any) -> None:
        kept.append(code)
        execute_code(code, *args, **kwargs)

    with (
        mock.patch.object(builtins, "exec", keeping),
        placeaudit.simulate(chosen[0].devices),
        profile(activities=[ProfilerActivity.CPU], with_stack=True, record_shapes=True) as p,
    ):
        for program in chosen:
            with tempfile.TemporaryDirectory() as folder, isolated(program, Path(folder)):
                torch.cuda.set_device(0)
                execute(program)
    lines = {
        patterns.source_code_location(event).rpartition(":")[::2]
        for event in _matches(patterns.ExtraCUDACopyPattern(p))
    }
    further = (
        patterns.FP32MatMulPattern,
        patterns.OptimizerSingleTensorPattern,
        patterns.SynchronizedDataLoaderPattern,
        patterns.GradNotSetToNonePattern,
        patterns.MatMulDimInFP16Pattern,
    )
    names = []
    for other in further if others else ():
        with contextlib.suppress(Exception):  # some ask a real device for its capability
            found = other(p)
            if not found.skip and any(_matches(found)):
                names.append(found.name)
    # The profiler leaves what is on sys.path out of file names.
    kept.clear()
    return sorted(
        (file.rpartition("programs/")[2], int(at)) for file, at in lines if "programs/" in file
    ), sorted(names)


@contextlib.contextmanager
def watched(found: set[tuple[str, int]]) -> Iterator[None]:
    """Adds to ``found`` the program's lines that PyTorch's synchronisation debug mode warns of."""

    def note(message: Warning | str, *_: object, **__: object) -> None:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            file = inside(frame.f_code.co_filename)
            if file is not None and "synchronizing CUDA operation" in str(message):
                found.add((file, frame.f_lineno))
                return
            frame = frame.f_back

    with warnings.catch_warnings(), mock.patch.object(warnings, "showwarning", note):
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


def warm_up() -> None:
    """Pay once for what the first simulated steps load: a program's first step should be a step."""
    with placeaudit.simulate("cuda"):
        model = torch.nn.Linear(4, 4).to("cuda")
        optimizer = torch.optim.Adam(model.parameters())
        model(torch.ones(2, 4).to("cuda")).sum().backward()
        optimizer.step()


def outcome(program: Program, *, tools: bool) -> dict[str, Any]:
    """One row, without what is matched."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            row = traced(program, Path(folder), tools=tools)
        except Exception:  # noqa: BLE001  (an audit that fails is what the corpus is to show)
            row = {"key": program.key, "findings": [], "waits": [], "steady": [], "output": ""}
            row |= {"error": traceback.format_exc(), "warned": []}
    return row | {"matched": [], "other_patterns": []}


def add_matched(chosen: Sequence[Program], rows: Sequence[dict[str, Any]], *, others: bool) -> None:
    """Add what PyTorch's patterns match in ``chosen`` to their rows."""
    lines, rows[0]["other_patterns"] = matched(chosen, others=others)
    for program, row in zip(chosen, rows, strict=True):
        files = {file.relative_to(CORPUS).as_posix() for file in program.files}
        row["matched"] = [line for line in lines if line[0] in files]


def main() -> None:
    """Run the programs that the command line names."""
    out, *keys = sys.argv[1:]
    tools = "--tools" in keys
    warnings.filterwarnings("ignore")
    by_key = {program.key: program for program in programs()}
    chosen = sorted((by_key[key] for key in keys if key != "--tools"), key=lambda p: p.devices)
    warm_up()
    with Path(out).open("w", encoding="utf-8") as file:
        for _, alike in itertools.groupby(chosen, key=lambda program: program.devices):
            same = list(alike)
            for begin in range(0, len(same), _TOGETHER):
                part = same[begin : begin + _TOGETHER]
                rows = [outcome(program, tools=tools) for program in part]
                if tools:
                    # The other patterns match much the same everywhere: they are asked once.
                    add_matched(part, rows, others=part[0] is chosen[0])
                for row in rows:
                    # Neither tool knows of steps: what it says of setup is not held against it.
                    for tool in ("matched", "warned"):
                        row[tool] = [line for line in row[tool] if line in row["steady"]]
                    file.write(json.dumps(row) + "\n")
                file.flush()


if __name__ == "__main__":
    main()
