"""``placeaudit report``: recorded runs as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from placeaudit.commands import options
from placeaudit.settings import Given, settle

__all__ = ["command"]


@click.command("report", short_help="Write recorded runs as one HTML page.")
@options.runs
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    default=Path("placeaudit-report.html"),
    show_default=True,
    help="The page to write.",
)
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser.")
@options.judging
@options.force
@options.quiet
def command(
    *,
    runs: tuple[Path, ...],
    output: Path,
    open_: bool,
    given: Given,
    force: bool,
    quiet: bool,
) -> int:
    """Write each RUN's findings, charts and timeline into one HTML file that loads nothing."""
    from placeaudit.report.base import announce, tell, write
    from placeaudit.report.html import HtmlReporter

    settings = settle(given)
    results = [settings.judge(run) for run in runs]
    write(HtmlReporter().render(results), output, force=force)
    if not quiet:
        announce(output)
        for notice in settings.notices(results):
            tell(notice)
    if open_:
        click.launch(str(output.absolute()))
    return 0
