"""The sets that the corpus was written in, and what a set scored when the rules first met it.

``sets.toml`` names them.  ``unseen.json`` holds first scores: ``score.py --first-score SET`` writes
one, once; it stays what it was, whatever becomes of rules and marks.  A mark that turned out to be
wrong is named in ``sets.toml`` with the reason.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from tests.corpus.harness import Place, Program

__all__ = ["FIRST_SCORES", "SETS", "FirstScore", "ProgramSet", "first_scores", "keep", "sets"]

SETS = Path(__file__).with_name("sets.toml")
FIRST_SCORES = Path(__file__).with_name("unseen.json")


@dataclass(frozen=True)
class ProgramSet:
    """Programs that were written together."""

    name: str
    about: str
    programs: frozenset[str]
    """Folders below ``programs/``; empty for the set of all that no other set names."""
    wrong_marks: Mapping[str, str] = field(default_factory=dict)
    """By pattern of "PA103 folder/file.py:7": why the mark, or its absence, was wrong."""

    def reason(self, place: Place) -> str | None:
        """Why the marks were wrong at ``place``; None where they were right."""
        rule, file, line = place
        text = f"{rule} {file}:{line}"
        return next(
            (why for like, why in self.wrong_marks.items() if fnmatchcase(text, like)), None
        )


@dataclass(frozen=True)
class FirstScore:
    """What a set scored when the rules first met it."""

    commit: str
    """The commit whose rules they were."""
    programs: int
    hits: Mapping[str, int]
    """Number of marked places that were found, by rule."""
    false_alarms: tuple[Place, ...]
    misses: tuple[Place, ...]


def sets(path: Path = SETS) -> tuple[ProgramSet, ...]:
    """All sets, in the order in which they were written."""
    return tuple(
        ProgramSet(
            name,
            about=part["about"],
            programs=frozenset(part.get("programs", ())),
            wrong_marks=part.get("wrong_marks", {}),
        )
        for name, part in tomllib.loads(path.read_text(encoding="utf-8")).items()
    )


def members(one: ProgramSet, chosen: Iterable[Program]) -> tuple[Program, ...]:
    """The programs of ``one``; programs that no set names are the first set's."""
    named = frozenset().union(*(other.programs for other in sets()))
    return tuple(
        program
        for program in chosen
        if program.name in one.programs or (not one.programs and program.name not in named)
    )


def first_scores(path: Path = FIRST_SCORES) -> dict[str, FirstScore]:
    """First scores by the name of the set."""
    if not path.exists():
        return {}
    return {
        name: FirstScore(
            commit=part["commit"],
            programs=part["programs"],
            hits=part["hits"],
            false_alarms=tuple((rule, file, line) for rule, file, line in part["false_alarms"]),
            misses=tuple((rule, file, line) for rule, file, line in part["misses"]),
        )
        for name, part in json.loads(path.read_text(encoding="utf-8")).items()
    }


def keep(name: str, score: FirstScore, path: Path = FIRST_SCORES) -> None:
    """Write the first score of the set ``name``.

    Raises:
        ValueError: It has one already; a second one would be no first score.
    """
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if name in known:
        raise ValueError(f"the set {name!r} was first scored at {known[name]['commit']}")
    known[name] = {
        "commit": score.commit,
        "programs": score.programs,
        "hits": dict(sorted(score.hits.items())),
        "false_alarms": sorted(score.false_alarms),
        "misses": sorted(score.misses),
    }
    path.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
