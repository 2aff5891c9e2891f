"""JUnit XML, for the systems that show a pipeline's failures as tests.

A suite a record; a failed test case a stray finding, named by rule and function (never by line, so
that its history survives shifts); what is only worth knowing is the suite's output.  Where nothing
was found there is one test that passed, and one that was skipped where nothing could be observed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from xml.etree import ElementTree as ET

from placeaudit.model import Evidence
from placeaudit.report.base import Result
from placeaudit.report.places import Placed, placed
from placeaudit.report.units import estimated
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["JunitReporter"]

#: What XML 1.0 cannot hold at all.
_FORBIDDEN: Final = re.compile(r"[^\t\n\r\x20-\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")


class JunitReporter:
    """Writes one ``testsuites`` document."""

    def __init__(self, *, paths: ProjectPaths | None = None) -> None:
        self._paths = paths or ProjectPaths()

    def render(self, results: Sequence[Result]) -> str:
        """All records, a suite each."""
        root = ET.Element("testsuites", name="placeaudit")
        for result in results:
            root.append(self._suite(result))
        for name in ("tests", "failures", "skipped"):
            root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
        root.set("errors", "0")
        ET.indent(root)
        text = ET.tostring(root, encoding="unicode")
        return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'

    def _suite(self, result: Result) -> ET.Element:
        meta = result.audit.meta
        suite = ET.Element("testsuite", name=_clean(" ".join(meta.argv) or meta.path))
        found = placed([result], self._paths)
        strays = [entry for entry in found if entry.finding.is_stray]
        for entry in strays:
            suite.append(_failed(entry))
        unknown = result.headline.state == "unknown"
        if not strays:
            case = ET.SubElement(suite, "testcase", classname="placeaudit", name="no stray copies")
            if unknown:
                ET.SubElement(case, "skipped", message=_clean(result.headline.text))
        infos = [_line(entry) for entry in found if not entry.finding.is_stray]
        if infos:
            ET.SubElement(suite, "system-out").text = _clean("\n".join(infos))
        suite.set("tests", str(max(1, len(strays))))
        suite.set("failures", str(len(strays)))
        suite.set("errors", "0")
        suite.set("skipped", str(int(unknown and not strays)))
        suite.set("time", f"{meta.duration_s:.3f}")
        return suite


def _failed(entry: Placed) -> ET.Element:
    finding = entry.finding
    name = f"{finding.rule} {finding.name}"
    if finding.function:
        name += f" in {finding.function}"
    if entry.ordinal > 1:
        name += f" ({entry.ordinal})"
    case = ET.Element("testcase", classname=_clean(entry.path or "placeaudit"), name=_clean(name))
    if entry.path:
        case.set("file", _clean(entry.path))
        case.set("line", str(finding.line))
    failure = ET.SubElement(
        case, "failure", message=_clean(finding.message), type=_clean(finding.severity.value)
    )
    evidence: Sequence[Evidence] = finding.evidence
    lines = [_line(entry), f"fix: {finding.fix}"]
    if finding.estimate is not None:
        lines.append(" ".join(estimated(finding.estimate)))
    lines += [fact.text for fact in evidence]
    failure.text = _clean("\n".join(lines))
    return case


def _line(entry: Placed) -> str:
    finding = entry.finding
    place = f"{entry.path}:{finding.line}: " if entry.path else ""
    return f"{place}{finding.rule} {finding.name}: {finding.message}"


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("?", text)
