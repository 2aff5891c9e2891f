"""How a source file is named where the name must be the same on every machine.

Baselines, SARIF and annotations name files from the root of the project, in forward slashes: the
nearest folder above the file with a ``.git``, else the nearest with a ``pyproject.toml``, else the
directory that the program was started in.  A file of an installed package is named from where
packages are installed.  What lies in none of these keeps its absolute path.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

__all__ = ["ProjectPaths"]

_MARKERS: Final = (".git", "pyproject.toml")
_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})


class ProjectPaths:
    """Names files; looks at the disk once a folder."""

    def __init__(self) -> None:
        self._roots: dict[Path, Path | None] = {}

    def of(self, file: str, cwd: str = "") -> str:
        """The name of ``file`` in a record of a program that was started in ``cwd``."""
        text = file.replace("\\", "/")
        path = PurePosixPath(text)
        if not path.is_absolute():  # a cell, <stdin>, …: it has no place
            return text
        for i in range(len(path.parts) - 1, 0, -1):
            if path.parts[i] in _INSTALLED:
                return "/".join(path.parts[i + 1 :]) or text
        root = self._root(Path(text).parent)
        for folder in (root, Path(cwd) if cwd else None):
            if folder is not None and path.is_relative_to(folder.as_posix()):
                return path.relative_to(folder.as_posix()).as_posix()
        return text

    def _root(self, folder: Path) -> Path | None:
        if folder not in self._roots:
            above = (folder, *folder.parents)
            self._roots[folder] = next(
                (place for marker in _MARKERS for place in above if (place / marker).exists()), None
            )
        return self._roots[folder]
