"""The verdict in a terminal: worst sites first, each with its line, cost and fix, then totals."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Final, TextIO

from placeaudit.model import Direction, Finding, Severity
from placeaudit.report.base import Result
from placeaudit.report.places import more_here
from placeaudit.report.summary import Summary, observed
from placeaudit.report.units import count, duration, estimated, plural, ranks, rate, size
from placeaudit.rules.grouping import FindingGroup, grouped

if TYPE_CHECKING:
    from rich.console import Console
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

__all__ = ["TerminalReporter"]

#: Characters of the command line in the headline.
_PROGRAM: Final = 80

_STYLE = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}
_STATE_STYLE = {"unknown": "yellow", "clean": "green", "warning": "yellow", "error": "bold red"}
_NARROWEST, _WIDEST, _DEFAULT = 40, 110, 100


class TerminalReporter:
    """Renders runs for a person at a terminal.

    Args:
        width: Columns to fill.
        color: Whether to use ANSI colours.
        limit: How many stray findings to show a run; None for all of them.
        notes: Show findings of severity ``info`` too, one line each.
        next_run: The record as the user would type it, for the "next" lines; "" for none, where
            the same command shows more with ``-v``.
    """

    def __init__(
        self,
        *,
        width: int = _DEFAULT,
        color: bool = False,
        limit: int | None = 10,
        notes: bool = False,
        next_run: str = "",
    ) -> None:
        self._width = max(_NARROWEST, min(width, _WIDEST))
        self._color = color
        self._limit = limit
        self._notes = notes
        self._next_run = next_run
        # `check` is what reads these lines again; what printed them, `trace`, would run anew.
        self._more = "check -v" if next_run else "-v"

    @classmethod
    def for_stream(
        cls, stream: TextIO, *, limit: int | None = 10, notes: bool = False, next_run: str = ""
    ) -> TerminalReporter:
        """As wide as the terminal behind ``stream``, in colour only if it is one."""
        from os import environ

        is_terminal = stream.isatty()
        return cls(
            width=shutil.get_terminal_size((_DEFAULT, 24)).columns if is_terminal else _DEFAULT,
            color=is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb",
            limit=limit,
            notes=notes,
            next_run=next_run,
        )

    def render(self, results: Sequence[Result]) -> str:
        """All runs, one below the other."""
        from rich.console import Console

        stream = io.StringIO()
        console = Console(
            file=stream,
            width=self._width,
            force_terminal=self._color,
            color_system="standard" if self._color else None,
            highlight=False,
            markup=False,
            emoji=False,
            legacy_windows=False,
        )
        for number, result in enumerate(results):
            if number:
                console.print()
            self._run(console, result)
        # rich pads lines of tables; nobody wants that in a log.
        return "".join(f"{line.rstrip()}\n" for line in stream.getvalue().splitlines())

    def _run(self, console: Console, result: Result) -> None:
        _headline(console, result)
        strays = [finding for finding in result.findings if finding.is_stray]
        infos = [finding for finding in result.findings if not finding.is_stray]
        groups = grouped(strays, above=self._limit)
        shown = groups[: self._limit]
        for number, together in enumerate(shown, 1):
            console.print()
            _finding(console, number, together.lead, result)
            self._others(console, together)
        left = [f for together in groups[len(shown) :] for f in (together.lead, *together.others)]
        if left:
            console.print()
            rules = ", ".join(sorted({finding.rule for finding in left}))
            console.print(
                f"… and {plural(len(left), 'more finding')} of smaller cost: {rules}"
                f" ({self._more} shows all)",
                style="dim",
            )
        if infos and (self._notes or observed(result.audit)):
            console.print()
            self._infos(console, infos)
        if result.summary.copies or result.summary.waits:
            console.print()
            console.print(_totals(result.summary))
            _blocked(console, result.summary)
        _quality(console, result)
        self._next(console, result)

    def _infos(self, console: Console, infos: Sequence[Finding]) -> None:
        if not self._notes:
            console.print(
                f"{plural(len(infos), 'more finding')} of severity info, not stray"
                f" ({self._more} shows {'it' if len(infos) == 1 else 'them'})",
                style="dim",
            )
            return
        console.print("Worth knowing, not stray:", style="bold")
        groups = grouped(infos, above=self._limit)
        shown = groups[: self._limit]
        for together in shown:
            finding = together.lead
            head = f"{finding.rule} {finding.name}  {_place(finding)}".rstrip()
            console.print(_indented(head, style=_STYLE[Severity.INFO]))
            console.print(_indented(finding.message, 5))
            self._others(console, together, 5)
        left = sum(1 + len(together.others) for together in groups[len(shown) :])
        if left:
            console.print(f"   … and {count(left)} more ({self._more} shows all)", style="dim")

    def _others(self, console: Console, together: FindingGroup[Finding], columns: int = 3) -> None:
        """The other lines of a group, and how many of them are not named."""
        if together.others:
            text = f"{more_here(together.others)} ({self._more} shows each)"
            console.print(_indented(text, columns, style="dim"))

    def _next(self, console: Console, result: Result) -> None:
        if not self._next_run:
            return
        console.print()
        if not observed(result.audit):
            console.print("next: run the same command with --simulate cuda", style="bold")
            return
        strays = [finding for finding in result.findings if finding.is_stray]
        steps = [f"placeaudit report {self._next_run}"]
        if self._cuts(result.findings):
            steps.append(f"placeaudit check -v {self._next_run}")
        if strays:
            steps.append(f"placeaudit explain {strays[0].rule}")
        # Not wrapped: a command is copied as one line.
        for number, step in enumerate(steps):
            console.print(f"{'' if number else 'next:':5} {step}", style="bold", soft_wrap=True)

    def _cuts(self, findings: Sequence[Finding]) -> bool:
        """Whether something is not shown, or not all of it."""
        strays = sum(finding.is_stray for finding in findings)
        infos = len(findings) - strays
        if infos and not self._notes:
            return True
        return self._limit is not None and max(strays, infos) > self._limit


def _headline(console: Console, result: Result) -> None:
    """What ran, on which devices, and the verdict in one sentence."""
    meta, summary = result.audit.meta, result.summary
    console.print(f"placeaudit: {_program(meta.argv)}", style="bold")
    parts = [duration(summary.duration_s)] if summary.duration_s else []
    if summary.steps:
        parts.insert(0, f"{plural(summary.steps, 'step')} ({summary.steps_how})")
    if summary.devices:
        parts.insert(0, ", ".join(summary.devices) + (" simulated" if meta.simulated else ""))
    if parts:
        console.print(" · ".join(parts))
    console.print(result.headline.text, style=_STATE_STYLE[result.headline.state])


def _program(argv: Sequence[str]) -> str:
    """The command line on one line: of a long one the script's folder goes, then the rest's end."""
    line = " ".join(" ".join(argv).split())
    if len(line) > _PROGRAM and argv and PurePath(argv[0]).parent.name:
        line = " ".join(["…/" + PurePath(argv[0]).name, *" ".join(argv[1:]).split()])
    return line if len(line) <= _PROGRAM else line[: _PROGRAM - 1].rstrip() + "…"


def _finding(console: Console, number: int, finding: Finding, result: Result) -> None:
    """One finding: its rule and place, the source line, the cost, the message and the fix."""
    from rich.text import Text

    head = Text(f"{number:>2} ")
    head.append(f"{finding.rule} {finding.name}", style=_STYLE[finding.severity])
    head.append(f"  {finding.severity}, {finding.certainty}", style="dim")
    console.print(head)
    console.print(_indented(_place(finding), style="bold"))
    line = _source_line(result, finding.file, finding.line)
    if line:
        text = Text(f"{finding.line:>5} │ {line}", no_wrap=True, overflow="ellipsis")
        console.print(_indented(text))
    console.print(_indented(finding.message))
    console.print(_indented(_cost(finding)))
    for what, frame in finding.related:
        console.print(_indented(f"{what}: {_short(frame.file)}:{frame.line}", style="dim"))
    fix = Text("fix: ", style="green")
    fix.append(finding.fix, style="default")
    console.print(_indented(fix))


def _indented(text: str | Text, columns: int = 3, *, style: str = "") -> Padding:
    """A paragraph whose every line starts in the same column."""
    from rich.padding import Padding
    from rich.text import Text

    return Padding(Text(text, style=style) if isinstance(text, str) else text, (0, 0, 0, columns))


def _cost(finding: Finding) -> str:
    """How often, how many bytes, how long the host waited, what a fix saves."""
    parts = [f"{count(finding.count)}×"]
    often = rate(finding.per_step)
    if often:
        parts.append(often)
    if finding.ranks:
        parts.append(ranks(finding.ranks))
    if finding.src and finding.dst:
        parts.append(f"{finding.src} → {finding.dst}")
    if finding.bytes:
        parts.append(size(finding.bytes))
    if finding.blocked_s is not None:
        blocked = duration(finding.blocked_s)
        parts.append(f"host blocked {blocked} ({finding.blocked_basis})")
    if finding.estimate is not None:
        parts.append(" ".join(estimated(finding.estimate)))
    if finding.library:
        parts.append(f"made by {finding.library}")
    return " · ".join(parts)


def _totals(summary: Summary) -> Table:
    """Bytes and copies by direction."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("direction")
    for name in ("copies", "bytes", "bytes a step"):
        table.add_column(name, justify="right")
    labels = {
        Direction.H2D: "host to device",
        Direction.D2H: "device to host",
        Direction.D2D: "between devices",
    }
    for direction, label in labels.items():
        traffic = summary.traffic(direction)
        if not traffic.count and direction is Direction.D2D:
            continue
        a_step = "–" if traffic.step_bytes is None else size(traffic.step_bytes)
        table.add_row(label, count(traffic.count), size(traffic.bytes), a_step)
    return table


def _blocked(console: Console, summary: Summary) -> None:
    if summary.blocked_s is None:
        return
    step_s = summary.step_blocked_s
    a_step = f", {duration(step_s)} a step" if step_s else ""
    console.print(
        f"The host waited {plural(summary.waits, 'time')},"
        f" {duration(summary.blocked_s)} in all{a_step} ({summary.basis})."
    )


def _quality(console: Console, result: Result) -> None:
    """What the record says about itself, unless a finding says it already."""
    said = {finding.message for finding in result.findings}
    for note in result.audit.notes:
        if note.text not in said:
            console.print(f"{note.rule}: {note.text}", style="dim")


def _place(finding: Finding) -> str:
    if not finding.file:
        return ""
    place = f"{_short(finding.file)}:{finding.line}" if finding.line > 0 else _short(finding.file)
    if finding.function and finding.function != "<module>":
        place += f" in {finding.function}"
    if finding.module:
        place += f" (module {finding.module})"
    return place


def _short(file: str) -> str:
    """The path from here where that is shorter to read, as editors and terminals link it."""
    path = Path(file)
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else file


def _source_line(result: Result, file: str, line: int) -> str:
    lines = result.audit.sources.get(file, "").splitlines()
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""
