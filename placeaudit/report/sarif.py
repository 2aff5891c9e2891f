"""SARIF 2.1.0, for code scanning on GitHub and elsewhere.

All records become one run of the tool: services refuse several runs of one tool in one file.  What
has no place in the source (a note on the record) is a notification of the invocation, not a result.
Addresses are relative to the project's root; ``partialFingerprints`` come from rule, path and
function, so that an alert stays the same alert when its line shifts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import quote

import placeaudit
from placeaudit.model import Certainty, Finding, Frame, Severity
from placeaudit.report.base import Result
from placeaudit.report.places import Placed, column, placed
from placeaudit.report.units import count, estimated, plural, sentence
from placeaudit.rules.documentation import document
from placeaudit.rules.registry import RULES
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["LIMIT", "SCHEMA", "SarifReporter"]

SCHEMA: Final = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
#: What GitHub shows of one file; it refuses a file of 25,000.
LIMIT: Final = 5_000
_ROOT: Final = "%SRCROOT%"
_LEVEL: Final = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_PROBLEM: Final = {
    Severity.ERROR: "error",
    Severity.WARNING: "warning",
    Severity.INFO: "recommendation",
}
_INDEX: Final = {rule.code: number for number, rule in enumerate(RULES)}


class SarifReporter:
    """Writes one SARIF log.

    Args:
        limit: How many results to write at most, the worst; what was cut is said in the log.
        paths: Names the files.
    """

    def __init__(self, *, limit: int = LIMIT, paths: ProjectPaths | None = None) -> None:
        self._limit = limit
        self._paths = paths or ProjectPaths()

    def render(self, results: Sequence[Result]) -> str:
        """All records as one run."""
        found = placed(results, self._paths)
        located = [entry for entry in found if entry.path]
        notes = [_notification(entry.finding) for entry in found if not entry.path]
        unknown = [
            _message(result.headline.text)
            for result in results
            if result.headline.state == "unknown"
        ]
        cut = len(located) - self._limit
        if cut > 0:
            text = f"{count(cut)} of {plural(len(located), 'finding')} were cut: the least of them"
            notes.append(_message(text))
        log = {
            "$schema": SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {"driver": _driver()},
                    "columnKind": "unicodeCodePoints",
                    "originalUriBaseIds": {
                        _ROOT: {"description": {"text": "The root of the project."}}
                    },
                    "invocations": [
                        {
                            "executionSuccessful": True,
                            "toolExecutionNotifications": [*unknown, *notes],
                        }
                    ],
                    "results": [self._result(entry) for entry in located[: self._limit]],
                }
            ],
        }
        return json.dumps(log, indent=2, allow_nan=False, ensure_ascii=False) + "\n"

    def _result(self, entry: Placed) -> dict[str, Any]:
        finding = entry.finding
        result: dict[str, Any] = {
            "ruleId": finding.rule,
            "level": _LEVEL[finding.severity],
            "message": _text(finding),
            "locations": [_location(entry)],
            "partialFingerprints": {"placeaudit/v1": _fingerprint(entry)},
            "occurrenceCount": max(1, finding.count),
            "properties": _properties(finding),
        }
        if finding.rule in _INDEX:
            result["ruleIndex"] = _INDEX[finding.rule]
        related = [
            self._related(number, text, frame, entry.result.audit.meta.cwd)
            for number, (text, frame) in enumerate(finding.related)
        ]
        return result | ({"relatedLocations": related} if related else {})

    def _related(self, number: int, text: str, frame: Frame, cwd: str) -> dict[str, Any]:
        location: dict[str, Any] = {
            "id": number,
            "message": {"text": text},
            "physicalLocation": {"artifactLocation": _artifact(self._paths.of(frame.file, cwd))},
        }
        if frame.line >= 1:
            location["physicalLocation"]["region"] = _region(frame.line, frame.end_line)
        return location


def _text(finding: Finding) -> dict[str, str]:
    plain = f"{finding.message}\nFix: {finding.fix}"
    markdown = f"{finding.message}\n\n**Fix:** {finding.fix}"
    if finding.estimate is not None:
        cost = sentence(" ".join(estimated(finding.estimate)))
        plain, markdown = f"{plain}\n{cost}", f"{markdown}\n\n{cost}"
    return {"text": plain, "markdown": markdown}


def _driver() -> dict[str, Any]:
    return {
        "name": "placeaudit",
        "version": placeaudit.__version__,
        "semanticVersion": placeaudit.__version__,
        "rules": [_rule(number) for number in range(len(RULES))],
    }


def _rule(number: int) -> dict[str, Any]:
    rule = RULES[number]
    text = document(rule)
    plain = "\n\n".join(f"{title}\n{body}" for title, body in text.sections.items())
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": {"text": text.summary},
        "fullDescription": {"text": text.sections.get("What it does", text.summary)},
        "help": {"text": f"{text.summary}\n\n{plain}", "markdown": text.markdown()},
        "defaultConfiguration": {"level": _LEVEL[rule.severity]},
        "properties": {
            "tags": ["performance", "pytorch"],
            "problem.severity": _PROBLEM[rule.severity],
            "precision": "high",
        },
    }


def _location(entry: Placed) -> dict[str, Any]:
    finding = entry.finding
    physical: dict[str, Any] = {"artifactLocation": _artifact(entry.path)}
    if finding.line >= 1:
        physical["region"] = _region(finding.line, finding.end_line, column(entry))
    location: dict[str, Any] = {"physicalLocation": physical}
    if finding.function:
        location["logicalLocations"] = [
            {"fullyQualifiedName": finding.function, "kind": "function"}
        ]
    return location


def _artifact(path: str) -> dict[str, Any]:
    if PurePosixPath(path).is_absolute():
        return {"uri": f"file://{quote(path)}"}
    return {"uri": quote(path), "uriBaseId": _ROOT}


def _region(line: int, end_line: int, start_column: int = 0) -> dict[str, Any]:
    region = {"startLine": line, "endLine": max(line, end_line)}
    return region | ({"startColumn": start_column} if start_column else {})


def _fingerprint(entry: Placed) -> str:
    text = "\0".join(entry.key)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}:{entry.ordinal}"


def _properties(finding: Finding) -> dict[str, Any]:
    """What SARIF has no word for; what was not measured is left out."""
    values = {
        "certainty": finding.certainty.value,
        "count": finding.count,
        "perStep": finding.per_step,
        "bytes": finding.bytes,
        "direction": finding.direction.value if finding.direction else None,
        "ranks": list(finding.ranks) or None,
        "blockedSeconds": finding.blocked_s,
        "blockedBasis": finding.blocked_basis or None,
        "library": finding.library or None,
        "module": finding.module or None,
    }
    if finding.estimate is not None:
        bound = finding.estimate.is_bound
        values["savesAtMostSecondsPerStep" if bound else "costsSecondsPerStep"] = (
            finding.estimate.saved_s
        )
        values["savesAtMostShare"] = finding.estimate.ratio if bound else None
        values["estimateBasis"] = finding.estimate.basis
    return {name: value for name, value in values.items() if value is not None}


def _notification(finding: Finding) -> dict[str, Any]:
    level = _LEVEL[finding.severity] if finding.certainty is not Certainty.UNKNOWN else "note"
    return _message(finding.message, level) | {"associatedRule": {"id": finding.rule}}


def _message(text: str, level: str = "warning") -> dict[str, Any]:
    return {"level": level, "message": {"text": text}}
