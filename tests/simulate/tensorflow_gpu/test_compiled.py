"""Keras' steps under simulation: the numbers of the plain program, the copies of a compiled one."""

from __future__ import annotations

import collections
from pathlib import Path

import pytest

from tests.record.tensorflow.conftest import copies_of, run_python, trace

PROGRAM = Path(__file__).parent / "programs" / "keras_steps.py"


def at(comment: str) -> int:
    lines = PROGRAM.read_text().splitlines()
    (found,) = (n for n, line in enumerate(lines, 1) if line.endswith(comment))
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    run = tmp_path_factory.mktemp("keras") / "run"
    return trace(PROGRAM, run), run


def test_steps_compute_as_without_us(recorded: tuple[str, Path]) -> None:
    assert recorded[0] == run_python(PROGRAM)


def test_only_batches_go_up_and_losses_down(recorded: tuple[str, Path]) -> None:
    sent = collections.Counter(
        (row["line"], row["src_device"], row["bytes"])
        for row in copies_of(recorded[1])
        if row["operation"] == "_Send"
    )
    # What a step copies: x and y of its batch, and down go the losses that Keras keeps on the host.
    step = {("cpu", 8 * 4 * 4): 1, ("cpu", 8 * 4): 1, ("GPU:0", 4): 2}
    for comment, steps in (("# automatic", 9), ("# never", 3)):
        of_fit = {(src, size): n for (line, src, size), n in sent.items() if line == at(comment)}
        assert of_fit == {key: n * steps for key, n in step.items()}
    # A device that the step names counts only where XLA must not compile: then the sum goes up.
    assert sent[at("# on the host"), "cpu", 4] == 3
    # So does what its kernels want on the host: the seed of a dropout goes down, the key up again.
    drawn = {(src, size): n for (line, src, size), n in sent.items() if line == at("# the step")}
    assert {drawn["GPU:0", 2 * 4], drawn["cpu", 2 * 8], drawn["cpu", 8]} == {3}
    # Batches whose size the graph leaves open: all 24 in one, and five of (at most) five.
    assert sent[at("# once"), "cpu", 24 * 4 * 4] == 1
    assert sent[at("# batches"), "cpu", 5 * 4 * 4] == 5


def test_what_the_program_has_xla_compile_runs_on_the_gpu(recorded: tuple[str, Path]) -> None:
    found = [row["bytes"] for row in copies_of(recorded[1]) if row["line"] == at("# stays")]
    assert max(found) < 4 * 4 * 4  # neither its argument nor its result crosses
