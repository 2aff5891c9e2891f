"""Scoring itself: on outcomes written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.corpus import harness
from tests.corpus.harness import Outcome, Place, Program, marks, programs
from tests.corpus.score import Score, compare, put_right, report, score, total
from tests.corpus.sets import FirstScore, ProgramSet, first_scores, keep, members, sets

SOURCE = """# simulate: cuda:2
x = x.to(device)  # expect: PA102
value = loss.item()  # expect: PA201 info
y = y.to(device)
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setattr(harness, "CORPUS", tmp_path)
    path = tmp_path / "name" / "bad.py"
    path.parent.mkdir()
    path.write_text(SOURCE)
    return Program("name", "bad", path)


def outcome(*findings: tuple[str, int, str], error: str = "") -> Outcome:
    return Outcome(
        findings=tuple(((rule, "name/bad.py", line), how) for rule, line, how in findings),
        waits=frozenset({("name/bad.py", 2), ("name/bad.py", 4)}),
        matched=frozenset(),
        warned=frozenset(),
        other_patterns=(),
        output="",
        error=error,
    )


def place(rule: str, line: int) -> Place:
    return rule, "name/bad.py", line


def test_marks_and_devices(program: Program) -> None:
    assert marks(program) == ({place("PA102", 2)}, {place("PA201", 3)})
    assert program.devices == "cuda:2"
    program.entry.write_text("# expect without line: PA308 info\n")
    assert marks(program) == (set(), {("PA308", "", 0)})


def test_a_perfect_outcome(program: Program) -> None:
    scores = score([program], {program.key: outcome(("PA102", 2, "warning"), ("PA201", 3, "info"))})
    assert {rule: (s.precision, s.recall) for rule, s in scores.items()} == {
        "PA102": (1.0, 1.0),
        "PA201 info": (1.0, 1.0),
    }


def test_an_info_that_comes_as_a_warning_is_missed_and_a_false_alarm(program: Program) -> None:
    found = outcome(("PA102", 2, "warning"), ("PA201", 3, "warning"))
    whole = total(score([program], {program.key: found}).values())
    assert (whole.hits, whole.false_alarms, whole.misses) == (
        1, [place("PA201", 3)], [place("PA201 info", 3)],
    )  # fmt: skip
    assert (whole.precision, whole.recall) == (0.5, 0.5)


def test_unmarked_infos_count_only_for_rules_that_never_warn(program: Program) -> None:
    found, marked = compare(program, outcome(("PA202", 4, "info"), ("PA306", 4, "info")))
    assert found - marked == {place("PA306 info", 4)}


def test_the_report_names_every_error(program: Program) -> None:
    text = report((program,), {program.key: outcome(("PA103", 4, "warning"), error="Traceback")})
    assert "* PA103 at `name/bad.py:4`" in text
    assert "* PA102 at `name/bad.py:2`" in text
    assert "| PA102 duplicate-upload | 1 | 0 | 0 | 1 | – | 0.000 |" in text
    assert "* name/bad\n" in text
    # Of two lines at which the host waited, one is marked as a copy or wait.
    assert "| 1 | 1 | 1 | 0 | 0.500 | 1.000 |" in text


def test_every_program_belongs_to_one_set() -> None:
    every = programs()
    parts = [members(one, every) for one in sets()]
    assert sorted(p.key for part in parts for p in part) == sorted(p.key for p in every)
    assert all(part for part in parts)
    assert frozenset().union(*(one.programs for one in sets())) <= {p.name for p in every}


def test_a_first_score_is_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "unseen.json"
    first = FirstScore("abc1234", 2, {"PA102": 3}, (("PA103", "n/bad.py", 4),), ())
    keep("third", first, path)
    assert first_scores(path) == {"third": first}
    with pytest.raises(ValueError, match="first scored at abc1234"):
        keep("third", first, path)


def test_wrong_marks_are_put_right() -> None:
    why = {"PA103 n/*": "drawn in the loop", "PA201 n/bad.py:7": "one finding"}
    one = ProgramSet("third", "", frozenset({"n"}), why)
    part = Score(
        2, [("PA103", "n/bad.py", 4), ("PA103", "m/bad.py", 4)], [("PA201", "n/bad.py", 7)]
    )
    assert put_right(one, [part]) == Score(3, [("PA103", "m/bad.py", 4)], [])


def test_every_wrong_mark_is_an_error_of_the_first_score() -> None:
    known = first_scores()
    for one in sets():
        places = known[one.name].false_alarms + known[one.name].misses if one.wrong_marks else ()
        for like in one.wrong_marks:
            alone = ProgramSet(one.name, "", one.programs, {like: "so"})
            assert any(alone.reason(place) for place in places), like
