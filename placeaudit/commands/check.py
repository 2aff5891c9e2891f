"""``placeaudit check``: the verdict on recorded runs, in the format asked for and as exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from placeaudit.commands import options
from placeaudit.config import FORMATS
from placeaudit.errors import UsageError

if TYPE_CHECKING:
    from placeaudit.commands.settings import Settings
    from placeaudit.report.base import Reporter, Result
    from placeaudit.verdict.baseline import Baseline, BaselineMatch

__all__ = ["command"]

#: Entries of a baseline that a notice names before it only counts.
_NAMED = 3


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
    help="Leave out the findings that this file knows; '' for none.",
)
@click.option(
    "--write-baseline",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Make today's findings the known ones, and drop what is gone.",
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
    given: options.Given,
    baseline: str | None,
    write_baseline: Path | None,
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
    from placeaudit.commands.settings import settle, tell
    from placeaudit.report.summary import observed

    settings = settle(given)
    results = [settings.judge(run) for run in runs]
    settings.check_comments(results)
    notices = settings.notices(results)
    if write_baseline is not None:
        notices.append(_write_baseline(write_baseline, results, settings))
    else:
        known = settings.config.baseline if baseline is None else baseline
        if known:
            results, said = _without_known(Path(known), results, settings)
            notices += said
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
    unknown = [result.audit.meta.path for result in results if not observed(result.audit)]
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


# --- baseline -------------------------------------------------------------------------------------


def _compare(baseline: Baseline, results: Sequence[Result], settings: Settings) -> BaselineMatch:
    from placeaudit.verdict.baseline import stray_keys

    found = [(result.audit.meta.cwd, result.findings) for result in results]
    return baseline.compare(stray_keys(found, settings.paths), rules=settings.rules)


def _without_known(
    file: Path, results: Sequence[Result], settings: Settings
) -> tuple[list[Result], list[str]]:
    """The results without what the baseline knows, and what is to be said about it."""
    from placeaudit.report.units import plural
    from placeaudit.verdict.baseline import Baseline, key_of

    baseline = Baseline.read(file)
    compared = _compare(baseline, results, settings)
    left, dropped = [], 0
    for result in results:
        cwd = result.audit.meta.cwd
        kept = tuple(
            finding
            for finding in result.findings
            if not (finding.is_stray and key_of(finding, cwd, settings.paths) in compared.known)
        )
        known = len(result.findings) - len(kept)
        dropped += known
        left.append(replace(result, findings=kept, known=known))
    notices = []
    if dropped:
        notices.append(f"{plural(dropped, 'finding')} known to {file} left out")
    for key, (now, before) in compared.grown.items():
        notices.append(
            f"{key}: {plural(now, 'finding')} where {file} knows {before}; which is new cannot be "
            "told, so all are shown"
        )
    if compared.gone:
        many = sum(compared.gone.values())
        notices.append(
            f"{plural(many, 'finding')} of {file} no longer found: {_listed(compared)}; "
            f"--write-baseline {file} drops what is gone"
        )
    return left, notices


def _listed(compared: BaselineMatch) -> str:
    named = [str(key) for key in list(compared.gone)[:_NAMED]]
    more = len(compared.gone) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _write_baseline(file: Path, results: Sequence[Result], settings: Settings) -> str:
    """Write what is found today; what to say about it."""
    from placeaudit.report.base import write
    from placeaudit.report.summary import observed
    from placeaudit.report.units import plural
    from placeaudit.verdict.baseline import Baseline, stray_keys

    for result in results:
        if not observed(result.audit):
            raise UsageError(
                f"nothing could be observed in {result.audit.meta.path}: a baseline of it would "
                "say nothing"
            )
    found = [(result.audit.meta.cwd, result.findings) for result in results]
    today = Baseline.of(stray_keys(found, settings.paths))
    # A file that is no baseline of ours is refused here, never overwritten.
    before = Baseline.read(file) if file.exists() else None
    changes = ""
    if before is not None:
        gone = sum(_compare(before, results, settings).gone.values())
        new = sum(max(0, n - before.counts.get(key, 0)) for key, n in today.counts.items())
        changes = f" ({new} new, {gone} dropped as no longer found)"
        today = before.kept(rules=settings.rules) + today
    write(today.text(), file, force=True)
    return f"wrote {file}: {plural(sum(today.counts.values()), 'known finding')}{changes}"
