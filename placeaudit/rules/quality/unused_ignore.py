"""PA904: an ignore that silences nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.facts import Facts
from placeaudit.verdict.suppressions import Unused

__all__ = ["UnusedIgnore"]


class UnusedIgnore:
    """A ``# placeaudit: ignore[…]`` that silences nothing.

    What it does
        Names the comments in the program's source whose rule found nothing on their line in this
        run, and codes that no rule has.  It runs after all other rules; one that was not selected
        is not held against its comments.

    Why it costs
        Once the copy is gone, the comment hides the next one that appears there.

    Example:
        ::

            loss = loss.detach()  # placeaudit: ignore[PA201]

    Use instead
        ::

            loss = loss.detach()

    When it is fine
        Where the line is not reached in every run, or only on some devices.
    """

    code = "PA904"
    name = "unused-ignore"
    severity = Severity.INFO

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each code of a comment that silenced nothing."""
        from placeaudit.rules.registry import RULES  # it imports this file

        names = {name.upper(): rule.code for rule in RULES for name in (rule.code, rule.name)}
        for unused in facts.suppressions.unused():
            code = names.get(unused.code)
            if code is None:
                near = difflib.get_close_matches(unused.code, names, n=1, cutoff=0.5)
                hint = f"; did you mean {names[near[0]]}?" if near else ""
                yield self._finding(unused, f"there is no rule {unused.code}{hint}")
            elif code in facts.judged and code != self.code:
                yield self._finding(unused, f"{code} found nothing on this line in this run")

    def _finding(self, unused: Unused, why: str) -> Finding:
        return Finding(
            rule=self.code,
            name=self.name,
            severity=Severity.INFO,
            certainty=Certainty.LIKELY,
            message=f"`ignore[{unused.code}]` silences nothing: {why}",
            fix="remove the code from the comment, or the comment where it is the only one",
            file=unused.file,
            line=unused.line,
            count=1,
            evidence=(Evidence("comment", "no finding was silenced by it"),),
        )
