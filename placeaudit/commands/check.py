"""``placeaudit check``: the verdict on recorded runs, in the format asked for and as exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from placeaudit.commands import options
from placeaudit.config import FORMATS
from placeaudit.settings import Given, Settings, settle

if TYPE_CHECKING:
    from placeaudit.report.base import Reporter, Result

__all__ = ["command"]


@click.command("check", short_help="Say what is wrong with recorded runs.")
@options.runs
@click.option(
    "--output-format",
    type=click.Choice(FORMATS),
    help="How to write the findings.  [default: text]",
)
@click.option(
    "--output-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write there instead of to stdout.",
)
@options.judging
@click.option(
    "--baseline",
    metavar="FILE",
    help="Leave out the findings that this file knows, and drop from it what is gone; '' for none.",
)
@click.option(
    "--write-baseline",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Make today's findings the known ones, and drop what is gone.",
)
@click.option(
    "--keep-baseline", is_flag=True, help="Do not drop what is gone from the baseline file."
)
@options.force
@options.quiet
@click.option("-v", "--verbose", is_flag=True, help="Print every finding, notes included.")
@click.option("--exit-zero", is_flag=True, help="Exit with 0 even where something was found.")
def command(
    *,
    runs: tuple[Path, ...],
    output_format: str | None,
    output_file: Path | None,
    given: Given,
    baseline: str | None,
    write_baseline: Path | None,
    keep_baseline: bool,
    force: bool,
    quiet: bool,
    verbose: bool,
    exit_zero: bool,
) -> int:
    """Say which copies and waits of each RUN could go.

    Exits with 0 where nothing of warning or above was found, with 1 where something was, with 2
    where the command or a record makes no sense, or where nothing could be observed: what was not
    measured passes no gate.
    """
    from placeaudit.commands.known import Known, write
    from placeaudit.report.base import tell

    settings = settle(given)
    results = [settings.judge(run) for run in runs]
    settings.check_comments(results)
    notices = settings.notices(results)
    if write_baseline is not None:
        notices.append(write(write_baseline, results, settings))
    else:
        file = settings.config.baseline if baseline is None else baseline
        if file:
            known = Known.read(Path(file), results, settings)
            results = known.left()
            notices += known.notices(shrink=not keep_baseline)
        _report(
            _reporter(
                output_format or settings.config.output_format, settings, output_file, verbose
            ),
            results,
            output_file,
            force=force,
            quiet=quiet,
        )
    if not quiet:
        for notice in notices:
            tell(notice)
    if exit_zero or write_baseline is not None:
        return 0
    if any(result.summary.strays for result in results):
        return 1
    unknown = [r.audit.meta.path for r in results if r.headline.state == "unknown"]
    if unknown:
        tell(f"{unknown[0]}: nothing could be observed, which passes no gate (--exit-zero does)")
    return 2 if unknown else 0


def _report(
    reporter: Reporter,
    results: Sequence[Result],
    output_file: Path | None,
    *,
    force: bool,
    quiet: bool,
) -> None:
    from placeaudit.report.base import announce, emit, write

    text = reporter.render(results)
    if output_file is None:
        emit(text)
        return
    write(text, output_file, force=force)
    if not quiet:
        announce(output_file)


def _reporter(
    output_format: str, settings: Settings, output_file: Path | None, verbose: bool
) -> Reporter:
    """The reporter of a format; each is imported only when it is asked for."""
    if output_format == "text":
        from placeaudit.report.terminal import TerminalReporter

        limit = None if verbose else 10
        if output_file is not None:
            return TerminalReporter(limit=limit, notes=True)
        return TerminalReporter.for_stream(sys.stdout, limit=limit, notes=True)
    if output_format == "json":
        from placeaudit.report.json import JsonReporter

        return JsonReporter()
    module = import_module(f"placeaudit.report.{output_format}")
    reporter: Reporter = getattr(module, f"{output_format.title()}Reporter")(paths=settings.paths)
    return reporter
