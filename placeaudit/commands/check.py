"""``placeaudit check``: the verdict on recorded runs, as text or JSON and as an exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from placeaudit.commands import options

__all__ = ["command"]


@click.command("check", short_help="Say what is wrong with recorded runs.")
@options.runs
@click.option(
    "--output-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to write the findings.",
)
@click.option(
    "--output-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write there instead of to stdout.",
)
@click.option(
    "--select", multiple=True, metavar="RULES", help="Only these rules (PA103, PA1, a name)."
)
@click.option("--ignore", multiple=True, metavar="RULES", help="Not these rules.")
@options.own
@options.force
@options.quiet
@click.option("-v", "--verbose", is_flag=True, help="Print every finding, notes included.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even where something was found.")
def command(
    *,
    runs: tuple[Path, ...],
    output_format: str,
    output_file: Path | None,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    own: tuple[str, ...],
    force: bool,
    quiet: bool,
    verbose: bool,
    exit_zero: bool,
) -> int:
    """Say which copies and waits of each RUN could go.

    Exits with 0 where nothing of warning or above was found, with 1 where something was, with 2
    where the command or a record makes no sense.
    """
    from placeaudit.api import load
    from placeaudit.report.base import announce, emit, write
    from placeaudit.report.json import JsonReporter
    from placeaudit.report.terminal import TerminalReporter

    results = [
        load(
            run,
            own=options.split(own),
            select=options.split(select),
            ignore=options.split(ignore),
        ).result
        for run in runs
    ]
    if output_format == "json":
        text = JsonReporter().render(results)
    else:
        limit = None if verbose else 10
        text = (
            TerminalReporter(limit=limit, notes=True)
            if output_file
            else TerminalReporter.for_stream(sys.stdout, limit=limit, notes=True)
        ).render(results)
    if output_file is not None:
        write(text, output_file, force=force)
        if not quiet:
            announce(output_file)
    else:
        emit(text)
    strays = sum(result.summary.strays for result in results)
    return 1 if strays and not exit_zero else 0
