"""PA104: a copied tensor that nobody reads."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import numpy as np

from placeaudit.analyze.audit import D2H
from placeaudit.analyze.lineage import Ending
from placeaudit.analyze.uses import UseKind, use_of
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name, plural
from placeaudit.rules.facts import Facts, Group

__all__ = ["UnusedCopy"]


class UnusedCopy:
    """A tensor copied between devices that dies or is overwritten without being read, every time.

    What it does
        Follows, through the operation window, what became of each copied tensor.  It reports a line
        whose copies all died or were overwritten before any operation read them.  A tensor that was
        still alive when the window ended proves nothing, nor does one whose memory left PyTorch
        (NumPy, DLPack, a pointer): what is done there cannot be seen, so it counts as read.

    Why it costs
        The bytes cross the link for nothing, and a blocking copy makes the host wait as well.

    Example:
        ::

            x, y, mask = (t.to(device) for t in batch)
            loss = loss_fn(model(x), y)

    Use instead
        ::

            x, y = (t.to(device) for t in batch[:2])
            loss = loss_fn(model(x), y)

    When it is fine
        Where only a branch that the window did not see reads it: silence the line, or move the copy
        into the branch.  Nothing is reported where other threads or compiled regions ran, whose
        reads are not seen.
    """

    code = "PA104"
    name = "unused-copy"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site whose copies are never read."""
        copies = facts.audit.copies
        for group in facts.groups(copies, np.flatnonzero(facts.unused)):
            if copies.steady[group.rows].any():
                yield self._finding(facts, group)

    def _finding(self, facts: Facts, group: Group) -> Finding:
        audit, copies = facts.audit, facts.audit.copies
        recurrence = facts.recurrence(copies, group.rows)
        fates = [facts.lineage.fates[r] for r in group.rows.tolist() if r in facts.lineage.fates]
        died = sum(f.ending is Ending.DIED for f in fates)
        overwritten = sum(f.ending is Ending.OVERWRITTEN for f in fates)
        first = int(group.rows[0])
        down = copies.direction[first] == D2H
        call = facts.call(group.index)
        discarded = call is not None and use_of(call).kind is UseKind.DISCARDED
        text = f"`{call.text}`" if call else "this line"
        to = audit.text(int(copies.dst_device[first]))
        by = f" (by {library_name(group.site)})" if group.site.library else ""
        sure = discarded or (not down and died + overwritten > 1)
        seen = " and ".join(
            words
            for words in (
                f"{died} died" if died else "",
                f"{overwritten} were overwritten" if overwritten else "",
            )
            if words
        )
        return finding(
            self,
            facts,
            copies,
            group.rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN if sure else Certainty.LIKELY,
            message=f"{text} copies to {to} what nobody reads there, {recurrence.words}{by}",
            fix=_fix(facts, group, to),
            evidence=[
                Evidence(
                    "unread",
                    f"of {plural(len(fates), 'copy', 'copies')} in the operation window {seen} "
                    "before any operation read them",
                )
            ],
        )


def _fix(facts: Facts, group: Group, to: str) -> str:
    call = facts.call(group.index)
    if call is None:
        return f"drop the copy to {to}, or make it where its value is read"
    statement = call.file.statement(call.node)
    if isinstance(statement, ast.Expr):
        return f"drop the line: `{call.text}` does not change the tensor it is called on"
    target = ""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
        target = f", and `{statement.targets[0].id}` with it"
    return f"drop `{call.text}`{target}; if a rare branch needs it, copy it there"
