"""Fills the page's template; everything the page needs ends up inside it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import jinja2
import markupsafe

import placeaudit
from placeaudit.report import units
from placeaudit.report.base import Result
from placeaudit.report.html import charts, timeline, view

__all__ = ["HtmlReporter"]


class HtmlReporter:
    """Renders runs as one page.

    Args:
        max_findings: Findings shown a run, groups counted as one; the rest are counted.
        group_above: From more findings than this on, those of one rule in one function stand
            together.
    """

    def __init__(self, *, max_findings: int = 200, group_above: int = 10) -> None:
        self._max_findings = max_findings
        self._group_above = group_above

    def render(self, results: Sequence[Result]) -> str:
        """The page, UTF-8 text."""
        runs = [
            view.run_view(result, limit=self._max_findings, group_above=self._group_above)
            for result in results
        ]
        figures = [
            {
                "direction": charts.direction_figure(result),
                "site": charts.site_figure(result),
                "timeline": timeline.views(result.audit),
            }
            for result in results
        ]
        sites = [charts.site_rows(result) for result in results]
        return _template().render(
            version=placeaudit.__version__,
            title=", ".join(dict.fromkeys(run["program"] for run in runs)),
            runs=runs,
            sites=sites,
            totals=[timeline.totals(result.audit) for result in results],
            figures=figures,
            rules=view.rule_docs(results),
            rule_choices=sorted({f.rule for result in results for f in result.findings}),
            css=_asset("style.css"),
            script=_asset("page.js"),
            plotly=_plotly(),
        )


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _prose(text: str) -> markupsafe.Markup:
    """Text as HTML, with what stands between backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:  # a backtick without its partner: leave all as they are
        return markupsafe.escape(text)
    code, plain = markupsafe.Markup("<code>{}</code>"), markupsafe.Markup("{}")
    return markupsafe.Markup("").join(
        (code if i % 2 else plain).format(part) for i, part in enumerate(parts)
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True,
        loader=jinja2.FunctionLoader(_asset),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "size": units.size,
        "duration": units.duration,
        "count": units.count,
        "prose": _prose,
    }
    return environment.get_template("page.html.j2")


@cache
def _plotly() -> str:
    """plotly.js, gzip and base64: a third of its size; the page unpacks it when it draws."""
    from plotly.offline import get_plotlyjs

    packed = gzip.compress(get_plotlyjs().encode("utf-8"), compresslevel=9, mtime=0)
    return base64.b64encode(packed).decode("ascii")
