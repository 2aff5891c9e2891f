"""``# placeaudit: ignore[PA201]`` on a line silences that rule's findings there."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Mapping
from typing import Final

from placeaudit.model import Finding

__all__ = ["Suppressions", "ignores"]

_COMMENT: Final = re.compile(r"#\s*placeaudit:\s*ignore\[([A-Za-z0-9_\-,\s]+)\]")


def ignores(text: str) -> dict[int, frozenset[str]]:
    """Codes ignored by line (1-based).  A comment without a code ignores nothing."""
    if "placeaudit" not in text:
        return {}
    found: dict[int, frozenset[str]] = {}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                match = _COMMENT.search(token.string)
                if match:
                    codes = (code.strip().upper() for code in match[1].split(","))
                    found[token.start[0]] = frozenset(code for code in codes if code)
    except (tokenize.TokenError, SyntaxError):
        # Not Python to its end: the comments up to there count.
        return found
    return found


class Suppressions:
    """The ignoring comments of a program's source, each file read once."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        self._sources = sources
        self._lines: dict[str, dict[int, frozenset[str]]] = {}

    def silences(self, finding: Finding) -> bool:
        """Whether a comment on one of the lines of the finding's expression names its rule."""
        if finding.file not in self._lines:
            self._lines[finding.file] = ignores(self._sources.get(finding.file, ""))
        lines = self._lines[finding.file]
        if not lines:
            return False
        last = max(finding.line, finding.end_line)
        names = {finding.rule.upper(), finding.name.upper()}
        return any(lines.get(n, frozenset()) & names for n in range(finding.line, last + 1))
