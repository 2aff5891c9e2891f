"""``# placeaudit: ignore[PA201]`` on a line silences that rule's findings there."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from placeaudit.model import Finding

__all__ = ["Suppressions", "Unused", "ignores", "malformed"]

_COMMENT: Final = re.compile(r"#\s*placeaudit:\s*ignore\[([A-Za-z0-9_\-,\s]+)\]")

#: Meant as one, whatever follows.
_MEANT: Final = re.compile(r"#\s*placeaudit:\s*ignore\b", re.IGNORECASE)


def ignores(text: str) -> dict[int, frozenset[str]]:
    """Codes ignored by line (1-based).  A comment without a code ignores nothing."""
    found: dict[int, frozenset[str]] = {}
    for line, comment in _comments(text):
        match = _COMMENT.search(comment)
        if match:
            codes = (code.strip().upper() for code in match[1].split(","))
            found[line] = frozenset(code for code in codes if code)
    return found


def malformed(text: str) -> dict[int, str]:
    """By line (1-based), the comments that are meant to ignore something but name no rule."""
    found: dict[int, str] = {}
    for line, comment in _comments(text):
        meant, match = _MEANT.search(comment), _COMMENT.search(comment)
        if meant and not (match and match[1].strip(" ,\t")):
            found[line] = meant[0]
    return found


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Every comment of a text that speaks of us, with its line."""
    if "placeaudit" not in text:
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        # Not Python to its end: the comments up to there count.
        return


@dataclass(frozen=True, slots=True)
class Unused:
    """A code in an ignoring comment, in capitals, and where it stands."""

    file: str
    line: int
    code: str


class Suppressions:
    """The ignoring comments of a program's source, each file read once."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._lines: dict[str, dict[int, frozenset[str]]] = {}
        self._used: set[Unused] = set()

    def silences(self, finding: Finding) -> bool:
        """Whether a comment on one of the lines of the finding's expression names its rule."""
        lines = self._of(finding.file)
        if not lines:
            return False
        last = max(finding.line, finding.end_line)
        names = {finding.rule.upper(), finding.name.upper()}
        found = {
            Unused(finding.file, line, code)
            for line in range(finding.line, last + 1)
            for code in lines.get(line, frozenset()) & names
        }
        self._used |= found
        return bool(found)

    def unused(self) -> list[Unused]:
        """What has silenced nothing so far, by file and line."""
        every = {
            Unused(file, line, code)
            for file in self._sources
            for line, codes in self._of(file).items()
            for code in codes
        }
        return sorted(every - self._used, key=lambda u: (u.file, u.line, u.code))

    def _of(self, file: str) -> dict[int, frozenset[str]]:
        if file not in self._lines:
            self._lines[file] = ignores(self._sources.get(file, ""))
        return self._lines[file]
