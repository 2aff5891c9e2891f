"""Keras' steps under simulation: the numbers of the plain program, the copies of a compiled one."""

from __future__ import annotations

import collections
from pathlib import Path

from tests.record.tensorflow.conftest import copies_of, run_python, trace

PROGRAM = Path(__file__).parent / "programs" / "keras_steps.py"


def at(comment: str) -> int:
    lines = PROGRAM.read_text().splitlines()
    (found,) = (n for n, line in enumerate(lines, 1) if line.endswith(comment))
    return found


def test_steps_compute_as_without_us_and_nothing_crosses_inside(tmp_path: Path) -> None:
    assert trace(PROGRAM, tmp_path / "run") == run_python(PROGRAM)
    sent = collections.Counter(
        (row["line"], row["src_device"], row["bytes"])
        for row in copies_of(tmp_path / "run")
        if row["operation"] == "_Send"
    )
    # What a step copies: x and y of its batch, and down go the losses that Keras keeps on the host.
    step = {("cpu", 8 * 4 * 4): 1, ("cpu", 8 * 4): 1, ("GPU:0", 4): 2}
    for comment, steps in (("# automatic", 9), ("# never", 3)):
        of_fit = {(src, size): n for (line, src, size), n in sent.items() if line == at(comment)}
        assert of_fit == {key: n * steps for key, n in step.items()}
    # A device that the step names counts only where XLA must not compile: then the sum goes up.
    assert sent[at("# on the host"), "cpu", 4] == 3
    # All 24 in one batch that the graph leaves open.
    assert sent[at("# once"), "cpu", 24 * 4 * 4] == 1
