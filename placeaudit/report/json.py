"""Findings as one JSON object, stable within a version.

::

    {
      "schema": "placeaudit-findings",
      "version": 1,                       raised when a key changes its meaning or goes
      "placeaudit": "0.1.0",
      "runs": [                           one object a record, in the order given
        {
          "path", "argv", "cwd", "started_unix_s", "duration_s", "exit_code", "simulated",
          "devices", "versions", "processes",
          "summary": {
            "h2d", "d2h", "d2d": {"count", "bytes", "step_bytes"},
            "waits", "blocked_s", "step_blocked_s", "blocked_basis",
            "steps", "steps_how", "errors", "warnings", "infos"
          },
          "known",                        findings left out because the baseline knows them
          "notes": [{"rule", "text", "file", "line"}]      what the record says of its own quality
        }
      ],
      "findings": [                       worst first; runs one after the other
        {
          "run",                          index into "runs"
          "rule", "name", "severity", "certainty", "message", "fix",
          "file", "line", "end_line", "col", "function", "module", "phase",
          "count", "per_step", "bytes", "direction", "src", "dst",
          "blocked_s", "blocked_basis", "library",
          "ranks": [0, 1],                of a launch with several, else empty
          "estimate": null | {"saved_s", "ratio", "low_s", "high_s", "is_bound", "basis"},
          "related": [{"text", "file", "line", "end_line", "col", "function"}],
          "evidence": [{"kind", "text"}]
        }
      ]
    }

An estimate is a bound on what a fix saves a step (``is_bound``); where it is none, in simulation,
``saved_s`` is what the copies and waits cost on an idle device.

Sizes are bytes, times seconds, lines 1-based, columns 0-based (-1: not known).  ``null`` means "not
measured" or "does not apply", never zero.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import placeaudit
from placeaudit.model import Finding, Frame
from placeaudit.report.base import Result

__all__ = ["VERSION", "JsonReporter", "finding_object", "run_object"]

#: Version of the object described above.
VERSION: Final = 1


class JsonReporter:
    """Writes the object that this module documents."""

    def __init__(self, *, indent: int | None = 2) -> None:
        self._indent = indent

    def render(self, results: Sequence[Result]) -> str:
        """All runs as one JSON object."""
        document = {
            "schema": "placeaudit-findings",
            "version": VERSION,
            "placeaudit": placeaudit.__version__,
            "runs": [run_object(result) for result in results],
            "findings": [
                {"run": number, **finding_object(finding)}
                for number, result in enumerate(results)
                for finding in result.findings
            ],
        }
        return json.dumps(document, indent=self._indent, allow_nan=False) + "\n"


def run_object(result: Result) -> dict[str, Any]:
    """One element of ``runs``."""
    meta, summary = result.audit.meta, result.summary
    return {
        "path": meta.path,
        "argv": list(meta.argv),
        "cwd": meta.cwd,
        "started_unix_s": meta.started_unix_s,
        "duration_s": meta.duration_s,
        "exit_code": meta.exit_code,
        "simulated": meta.simulated,
        "devices": list(meta.devices),
        "versions": dict(meta.versions),
        "processes": list(meta.processes),
        "summary": {
            "h2d": asdict(summary.h2d),
            "d2h": asdict(summary.d2h),
            "d2d": asdict(summary.d2d),
            "waits": summary.waits,
            "blocked_s": summary.blocked_s,
            "step_blocked_s": summary.step_blocked_s,
            "blocked_basis": summary.basis,
            "steps": summary.steps,
            "steps_how": summary.steps_how,
            "errors": summary.errors,
            "warnings": summary.warnings,
            "infos": summary.infos,
        },
        "known": result.known,
        "notes": [
            {
                "rule": note.rule,
                "text": note.text,
                "file": note.frame.file if note.frame else None,
                "line": note.frame.line if note.frame else None,
            }
            for note in result.audit.notes
        ],
    }


def finding_object(finding: Finding) -> dict[str, Any]:
    """One element of ``findings``, without its run."""
    plain = asdict(finding)
    plain["related"] = [_related(text, frame) for text, frame in finding.related]
    plain["direction"] = finding.direction.value if finding.direction else None
    return plain


def _related(text: str, frame: Frame) -> dict[str, Any]:
    place = asdict(frame)
    return {"text": text} | {
        key: place[key] for key in ("file", "line", "end_line", "col", "function")
    }
