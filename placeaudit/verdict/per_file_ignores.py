"""Rules that are ignored in files whose path matches a pattern (``per-file-ignores``)."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from placeaudit.model import Finding
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["PerFileIgnores"]


class PerFileIgnores:
    """Patterns of paths, each with the codes that are ignored there.

    A pattern is held against the path from ``root`` (where the configuration lies), the path from
    the project's root, the absolute path and the file's name.  ``*`` matches ``/`` too; a pattern
    that begins with ``!`` holds for every file that it does not match.
    """

    def __init__(
        self, patterns: Sequence[tuple[str, frozenset[str]]], root: Path, paths: ProjectPaths
    ) -> None:
        self._patterns = tuple(patterns)
        self._root = root.as_posix()
        self._paths = paths
        self._ignored: dict[tuple[str, str], frozenset[str]] = {}

    def silences(self, finding: Finding, cwd: str = "") -> bool:
        """Whether the finding's rule is ignored in its file."""
        if not self._patterns or not finding.file:
            return False
        key = finding.file, cwd
        if key not in self._ignored:
            names = self._names(finding.file, cwd)
            self._ignored[key] = frozenset(
                code
                for pattern, codes in self._patterns
                if _matches(pattern, names)
                for code in codes
            )
        return finding.rule in self._ignored[key]

    def covers(self, rule: str, path: str) -> bool:
        """Whether a rule is ignored in the file that the project names ``path``."""
        names = frozenset({path, PurePosixPath(path).name})
        return any(rule in codes and _matches(pattern, names) for pattern, codes in self._patterns)

    def _names(self, file: str, cwd: str) -> frozenset[str]:
        path = PurePosixPath(file.replace("\\", "/"))
        names = {path.as_posix(), path.name, self._paths.of(file, cwd)}
        if path.is_relative_to(self._root):
            names.add(path.relative_to(self._root).as_posix())
        return frozenset(names)


def _matches(pattern: str, names: frozenset[str]) -> bool:
    if pattern.startswith("!"):
        return not _matches(pattern[1:], names)
    # "**/" may stand for no folder at all; elsewhere "*" crosses folders as it is.
    wanted = {pattern.removeprefix("./"), pattern.removeprefix("./").replace("**/", "")}
    return any(fnmatchcase(name, form) for name in names for form in wanted)
