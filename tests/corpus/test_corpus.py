"""The corpus: every marked line is found, nothing else is, and twins compute the same."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections import Counter

import pytest

pytest.importorskip("torch")

from tests.corpus.harness import Outcome, Program, marks, programs, run
from tests.corpus.score import compare

#: Rule and program, with the reason why what is marked there is not found.
KNOWN_MISSES: dict[tuple[str, str], str] = {}

PROGRAMS = programs()
BY_KEY = {program.key: program for program in PROGRAMS}


@pytest.fixture(scope="session")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    """Every program run once, many in one process; for all workers of pytest-xdist together."""
    processes = min(4, os.cpu_count() or 1)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return run(PROGRAMS, processes=processes)
    shared = tmp_path_factory.getbasetemp().parent / "corpus-outcomes"
    with shared.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # whoever comes second waits for what the first finds
        file.seek(0)
        if kept := file.read():
            found: dict[str, Outcome] = pickle.loads(kept)
            return found
        found = run(PROGRAMS, processes=processes)
        file.write(pickle.dumps(found))
        return found


@pytest.mark.parametrize("key", BY_KEY)
def test_what_is_marked_is_found_and_nothing_else(key: str, outcomes: dict[str, Outcome]) -> None:
    outcome = outcomes[key]
    assert not outcome.error
    found, marked = compare(BY_KEY[key], outcome)
    known = {place for place in marked if (place[0], key) in KNOWN_MISSES}
    assert sorted(found) == sorted(marked - known)


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        pytest.param(*where, marks=pytest.mark.xfail(strict=True, reason=reason))
        for where, reason in KNOWN_MISSES.items()
    ],
)
def test_known_misses(rule: str, key: str, outcomes: dict[str, Outcome]) -> None:
    found, marked = compare(BY_KEY[key], outcomes[key])
    assert {place for place in marked if place[0] == rule} <= found


@pytest.mark.parametrize("key", [program.key for program in PROGRAMS if program.kind == "good"])
def test_twins_compute_the_same(key: str, outcomes: dict[str, Outcome]) -> None:
    twin = outcomes[key.removesuffix("good") + "bad"]
    assert outcomes[key].output.splitlines()[-1:] == twin.output.splitlines()[-1:] != []


def test_the_corpus_is_what_it_says() -> None:
    kinds = Counter(program.kind for program in PROGRAMS)
    assert kinds["bad"] == kinds["good"] >= 60

    def stray(program: Program) -> int:
        return sum(map(len, marks(program)))

    assert all(stray(program) for program in PROGRAMS if program.kind == "bad")
    assert not any(marks(program)[0] for program in PROGRAMS if program.kind != "bad")
