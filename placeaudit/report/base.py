"""What every reporter shares: its input, its protocol, and the one helper that writes files."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Protocol

from placeaudit.analyze.audit import Audit
from placeaudit.errors import OutputError
from placeaudit.model import Finding
from placeaudit.report.headline import Headline, headline
from placeaudit.report.summary import Summary, summarize
from placeaudit.report.units import size

__all__ = ["Reporter", "Result", "announce", "emit", "tell", "write"]


@dataclass(frozen=True)
class Result:
    """One audited run as reporters read it: the facts and the findings, worst first."""

    audit: Audit
    findings: tuple[Finding, ...]
    #: Findings left out because a baseline knows them.
    known: int = 0

    @cached_property
    def summary(self) -> Summary:
        """Counts, bytes and blocked time of the run."""
        return summarize(self.audit, self.findings)

    @cached_property
    def headline(self) -> Headline:
        """The verdict in one sentence."""
        return headline(self.audit, self.summary, self.findings, known=self.known)


class Reporter(Protocol):
    """Turns audited runs into text.  Options are given to the constructor; ``render`` is pure."""

    def render(self, results: Sequence[Result]) -> str:
        """The whole report, ending in a newline."""
        ...


def write(text: str, path: Path, *, force: bool = False) -> None:
    """Write ``text`` to ``path`` as a whole or not at all.

    Raises:
        OutputError: The file exists and ``force`` is not set, or it cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a directory; name a file")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; use --force to replace it")
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        # mkstemp gives 0600; a report is read by others like any file its user makes.
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def emit(text: str) -> None:
    """Print results to stdout; characters that it cannot show become ``?``."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(message: str) -> None:
    """A notice on stderr."""
    print(f"placeaudit: {message}", file=sys.stderr)  # noqa: T201


def announce(path: Path, *, shown: Path | None = None) -> None:
    """Say on stderr what was written (by the name ``shown``) and how large it is."""
    tell(f"wrote {shown or path} ({size(path.stat().st_size)})")
