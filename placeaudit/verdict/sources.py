"""Whether the sources on disk are still those that a record was made on."""

from __future__ import annotations

import tokenize
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path

__all__ = ["SourceChanges", "source_changes"]


@dataclass(frozen=True, slots=True)
class SourceChanges:
    """What became of the files that findings stand in."""

    #: Files whose text is another one now, with the recorded lines of interest that are no longer
    #: where they were.
    changed: Mapping[str, tuple[int, ...]]
    #: Files that are no longer there.
    gone: tuple[str, ...]
    #: How many files were looked at.
    looked_at: int

    def notice(self, shown: Mapping[str, str]) -> str:
        """One sentence about it, "" where nothing changed; ``shown`` names the files."""
        parts = []
        if self.gone and len(self.gone) == self.looked_at:
            parts.append("the sources are not on this machine, or not any more")
        elif self.gone:
            verb = "is" if len(self.gone) == 1 else "are"
            parts.append(f"{_names(self.gone, shown)} {verb} gone")
        if self.changed:
            moved = sum(map(len, self.changed.values()))
            what = "no line of a finding moved"
            if moved:
                what = f"{moved} line{'s' * (moved != 1)} of findings moved or changed"
            names = _names(tuple(self.changed), shown)
            parts.append(f"{names} changed since the record was made ({what})")
        if not parts:
            return ""
        return f"{'; '.join(parts)}: findings name the lines of the record"


def source_changes(
    sources: Mapping[str, str], lines: Mapping[str, Collection[int]]
) -> SourceChanges:
    """Compare the recorded ``sources`` with the disk, for the files and ``lines`` of findings."""
    changed: dict[str, tuple[int, ...]] = {}
    gone: list[str] = []
    looked_at = 0
    for file in sorted(lines):
        recorded = sources.get(file)
        # Cells and generated code have no file; of what was not recorded nothing can be said.
        if recorded is None or not Path(file).is_absolute():
            continue
        looked_at += 1
        now = _read(Path(file))
        if now is None:
            gone.append(file)
        elif _lines(now) != _lines(recorded):
            changed[file] = _moved(_lines(recorded), _lines(now), lines[file])
    return SourceChanges(changed, tuple(gone), looked_at)


def _read(file: Path) -> str | None:
    """The text of a source file as Python decodes it, None where it cannot be read."""
    try:
        with tokenize.open(str(file)) as stream:
            return stream.read()
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def _lines(text: str) -> list[str]:
    """The lines as Python counts them: a form feed ends none."""
    return text.replace("\r\n", "\n").rstrip("\n").split("\n")


def _moved(before: list[str], after: list[str], lines: Collection[int]) -> tuple[int, ...]:
    """Which of ``lines`` (1-based, of ``before``) do not stand at the same number in ``after``."""
    same = {
        block.a + i + 1
        for block in SequenceMatcher(None, before, after, autojunk=False).get_matching_blocks()
        if block.a == block.b
        for i in range(block.size)
    }
    return tuple(line for line in sorted(set(lines)) if line not in same)


def _names(files: tuple[str, ...], shown: Mapping[str, str]) -> str:
    names = [shown.get(file, file) for file in files]
    listed = ", ".join(names[:3])
    return listed if len(names) <= 3 else f"{listed} and {len(names) - 3} more files"  # noqa: PLR2004
