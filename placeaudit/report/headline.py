"""The verdict on a run in one sentence, the same in every report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from placeaudit.analyze.audit import Audit
from placeaudit.model import Finding
from placeaudit.report.summary import Summary, observed, used
from placeaudit.report.units import count, plural, sentence

__all__ = ["Headline", "headline"]


@dataclass(frozen=True, slots=True)
class Headline:
    """``unknown``: nothing could be observed; ``clean``: nothing stray; else the worst severity."""

    state: Literal["unknown", "clean", "warning", "error"]
    text: str


def headline(
    audit: Audit, summary: Summary, findings: Sequence[Finding], *, known: int = 0
) -> Headline:
    """What to say first about a run; ``known`` findings were left out as a baseline has them."""
    reason = next((note.text for note in audit.notes if note.rule == "PA903"), "")
    if not observed(audit):
        reason = reason or "there was no accelerator, so no tensor was copied to or from one"
        return Headline(
            "unknown", f"Nothing could be observed, which is no clean bill. {sentence(reason)}"
        )
    if summary.strays:
        lines = len({(finding.file, finding.line) for finding in findings if finding.is_stray})
        found = f"{plural(summary.strays, 'finding')} at {plural(lines, 'line')}"
        return Headline(
            "error" if summary.errors else "warning",
            f"{found}: copies or waits that could go"
            + (f", and {count(known)} more that the baseline knows." if known else "."),
        )
    if known:
        return Headline(
            "clean", f"Nothing new: {plural(known, 'finding')} that the baseline knows left out."
        )
    if not used(audit):
        nothing = f"Nothing crossed between devices{_until(audit)}."
        if summary.steps:
            # Its steps were seen: what else is unknown does not explain it.
            seen = "what was seen of the program" if reason else "the program"
            reason = f"{seen} ran on the host only"
        elif not audit.meta.exit_code:
            reason = reason or "the program ran on the host only"
        return Headline("unknown", f"{nothing} {sentence(reason)}" if reason else nothing)
    return Headline("clean", f"No stray copy and no needless wait was found{_until(audit)}.")


def _until(audit: Audit) -> str:
    """How far this holds, where that is not the program's regular end."""
    code = audit.meta.exit_code
    if code:
        return f" before the program ended with exit code {code}"
    if not audit.whole:
        return " in what was recorded, which is not the whole run"
    return ""
