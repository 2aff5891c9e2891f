"""``placeaudit report``: recorded runs as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from placeaudit.commands import options

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
@options.selection
@options.own
@options.force
@options.quiet
def command(
    *,
    runs: tuple[Path, ...],
    output: Path,
    open_: bool,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    extend_select: tuple[str, ...],
    per_file_ignores: tuple[str, ...],
    own: tuple[str, ...],
    force: bool,
    quiet: bool,
) -> int:
    """Write each RUN's findings, charts and timeline into one HTML file that loads nothing."""
    from placeaudit.commands.settings import settle, tell
    from placeaudit.report.base import announce, write
    from placeaudit.report.html import HtmlReporter

    settings = settle(
        select=select,
        ignore=ignore,
        extend_select=extend_select,
        per_file_ignores=per_file_ignores,
        own=own,
    )
    results = [settings.judge(run) for run in runs]
    write(HtmlReporter().render(results), output, force=force)
    if not quiet:
        announce(output)
        for notice in settings.notices(results):
            tell(notice)
    if open_:
        click.launch(str(output.absolute()))
    return 0
