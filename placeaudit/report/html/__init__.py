"""The report as one HTML file that makes no request."""

from placeaudit.report.html.reporter import HtmlReporter

__all__ = ["HtmlReporter"]
