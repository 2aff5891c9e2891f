"""A baseline: the findings that are known and do not fail, until they are gone.

An entry is a rule, a path and a function, with the number of findings there: never a line, so that
it survives every shift of lines.  Only what fails is kept (``warning`` and above).  Where there are
more findings of a rule in a function than the baseline knows, all of them are shown: which one is
new cannot be told without lines.

::

    {
      "schema": "placeaudit-baseline",
      "version": 1,
      "findings": [
        {"rule": "PA201", "path": "train.py", "function": "main", "count": 2}
      ]
    }
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

from placeaudit.errors import BaselineError
from placeaudit.model import Finding
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["VERSION", "Baseline", "BaselineMatch", "Key", "key_of", "stray_keys"]

#: Raised when what an entry means changes; another version is refused.
VERSION: Final = 1
_SCHEMA: Final = "placeaudit-baseline"


class Key(NamedTuple):
    """What a finding is known by, whatever its line."""

    rule: str
    path: str
    function: str

    def __str__(self) -> str:
        place = self.path or "the run"
        return f"{self.rule} {place}" + (f" in {self.function}" if self.function else "")


def key_of(finding: Finding, cwd: str, paths: ProjectPaths) -> Key:
    """The key of a finding in a record of a program that was started in ``cwd``."""
    return Key(finding.rule, paths.of(finding.file, cwd), finding.function)


def stray_keys(
    found: Iterable[tuple[str, Sequence[Finding]]], paths: ProjectPaths
) -> tuple[Key, ...]:
    """One key a stray finding of some records, each given as (cwd, findings).

    The same place found in several records (ranks, several programs) counts once.
    """
    places = {
        # What stands nowhere in the source is told apart by what it says.
        (
            key_of(finding, cwd, paths),
            finding.line,
            finding.end_line,
            finding.col,
            "" if finding.file else finding.message,
        )
        for cwd, findings in found
        for finding in findings
        if finding.is_stray
    }
    return tuple(key for key, *_ in sorted(places))


@dataclass(frozen=True, slots=True)
class BaselineMatch:
    """What a baseline says of the findings of today."""

    #: Keys whose findings are all known.
    known: frozenset[Key]
    #: Keys with more findings than are known, with (found, known); all of them count as new.
    grown: Mapping[Key, tuple[int, int]]
    #: Entries, or parts of their count, that were not found.
    gone: Mapping[Key, int]


@dataclass(frozen=True)
class Baseline:
    """Known findings: how many by key."""

    counts: Mapping[Key, int]

    @classmethod
    def read(cls, file: Path) -> Baseline:
        """The baseline in ``file``.

        Raises:
            BaselineError: It is missing, is no baseline, or of another version.
        """
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise BaselineError(
                f"there is no baseline {file}; --write-baseline {file} makes one"
            ) from None
        except OSError as error:
            raise BaselineError(f"{file} cannot be read: {error.strerror or error}") from None
        except ValueError as error:
            raise BaselineError(f"{file} is no baseline: {error}") from None
        if not isinstance(document, dict) or document.get("schema") != _SCHEMA:
            raise BaselineError(f"{file} is no baseline of placeaudit")
        version = document.get("version")
        if version != VERSION:
            newer = isinstance(version, int) and version > VERSION
            raise BaselineError(
                f"{file} is a baseline of version {version}; this placeaudit reads {VERSION}: "
                + ("upgrade placeaudit" if newer else "delete it and write it anew")
            )
        return cls(dict(_entries(file, document.get("findings"))))

    @classmethod
    def of(cls, keys: Iterable[Key]) -> Baseline:
        """The baseline of findings with these keys."""
        return cls(Counter(keys))

    def text(self) -> str:
        """What its file holds, one entry a line, sorted."""
        entries = [
            json.dumps({**key._asdict(), "count": count}, ensure_ascii=False)
            for key, count in sorted(self.counts.items(), key=lambda item: _by_path(item[0]))
        ]
        rows = ",\n".join(f"    {entry}" for entry in entries)
        findings = f"[\n{rows}\n  ]" if rows else "[]"
        return (
            f'{{\n  "schema": "{_SCHEMA}",\n  "version": {VERSION},\n  "findings": {findings}\n}}\n'
        )

    def compare(self, keys: Iterable[Key], *, rules: Collection[str]) -> BaselineMatch:
        """Hold today's findings, one key a finding, against the baseline.

        ``rules`` are the codes that ran: what another rule found once is not gone.
        """
        found = Counter(keys)
        grown = {
            key: (count, self.counts[key])
            for key, count in found.items()
            if count > self.counts.get(key, 0) > 0
        }
        return BaselineMatch(
            known=frozenset(k for k, count in found.items() if count <= self.counts.get(k, 0)),
            grown=grown,
            gone={
                key: count - found.get(key, 0)
                for key, count in self.counts.items()
                if key.rule in rules and count > found.get(key, 0)
            },
        )

    def without(self, gone: Mapping[Key, int]) -> Baseline:
        """The baseline less so many findings of each key."""
        left = {key: count - gone.get(key, 0) for key, count in self.counts.items()}
        return Baseline({key: count for key, count in left.items() if count > 0})

    def kept(self, *, rules: Collection[str]) -> Baseline:
        """The entries of rules that did not run: a new baseline takes them over."""
        return Baseline({key: n for key, n in self.counts.items() if key.rule not in rules})

    def __add__(self, other: Baseline) -> Baseline:
        return Baseline({**self.counts, **other.counts})


def _by_path(key: Key) -> tuple[str, str, str]:
    return key.path, key.function, key.rule


def _entries(file: Path, entries: object) -> Iterable[tuple[Key, int]]:
    if not isinstance(entries, list):
        raise BaselineError(f"{file} is damaged: it has no list of findings")
    for number, entry in enumerate(entries, 1):
        values: dict[str, Any] = entry if isinstance(entry, dict) else {}
        texts = [values.get(name) for name in Key._fields]
        count = values.get("count")
        if not all(isinstance(text, str) for text in texts) or type(count) is not int or count < 1:
            raise BaselineError(f"{file} is damaged: finding {number} is not as it was written")
        yield Key(*map(str, texts)), count
