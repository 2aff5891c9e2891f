"""``placeaudit diff``: what a change did to a program's copies, waits and findings."""

from __future__ import annotations

from pathlib import Path

import click

from placeaudit.commands import options
from placeaudit.settings import Given, settle, split

__all__ = ["command"]


@click.command("diff", short_help="Compare two recorded runs.")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "--fail-on",
    multiple=True,
    metavar="FIGURE[:AMOUNT]",
    help="Exit with 1 where the figure grew by more: h2d_bytes:5%, blocked_s:2ms, new_findings.",
)
@click.option(
    "--output-format",
    type=click.Choice(["text", "json", "markdown"]),
    default="text",
    show_default=True,
    help="How to write the comparison.",
)
@click.option(
    "--output-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write there instead of to stdout.",
)
@options.judging
@options.force
@options.quiet
def command(
    *,
    before: Path,
    after: Path,
    fail_on: tuple[str, ...],
    output_format: str,
    output_file: Path | None,
    given: Given,
    force: bool,
    quiet: bool,
) -> int:
    """Say what changed from BEFORE to AFTER: copies, bytes, waits, findings.

    Exits with 0, with 1 where a --fail-on was exceeded, with 2 where the command makes no sense.
    A figure is copies, bytes, waits (each also as h2d_…, d2h_…, d2d_…), call_waits, blocked_s, any
    of them also as …_per_step, and findings, new_findings.  Without an amount, any growth fails.
    """
    from placeaudit.report.base import announce, emit, write
    from placeaudit.report.comparison import Threshold, compare
    from placeaudit.report.diff import DiffJson, DiffMarkdown, DiffText

    thresholds = [Threshold.parse(text) for entry in fail_on for text in split((entry,))]
    settings = settle(given)
    found = compare(settings.judge(before), settings.judge(after), settings.paths)
    exceeded = found.exceeded(thresholds)
    if output_format == "json":
        text = DiffJson().render(found, exceeded)
    elif output_format == "markdown":
        text = DiffMarkdown(settings.paths).render(found, exceeded)
    else:
        text = DiffText(settings.paths).render(found, exceeded)
    if output_file is None:
        emit(text)
    else:
        write(text, output_file, force=force)
        if not quiet:
            announce(output_file)
    return 1 if exceeded else 0
