"""PA305: a module that is moved between devices inside the steps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from placeaudit.analyze.audit import D2H
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, plural, recurs, size_words
from placeaudit.rules.facts import Facts, Group

__all__ = ["ModuleMoves"]


class ModuleMoves:
    """A module moved between devices inside the steps.

    What it does
        Finds calls of ``Module.to()``, ``.cpu()`` and ``.cuda()`` that really move parameters of a
        module that was moved before.  The first move of each module is its setup, and a module
        that comes back once, for good, ends there.  The copies are not reported by other rules as
        well, though the way down and up again is a round trip.

    Why it costs
        Every parameter and buffer crosses, from pageable memory and one by one, and the host waits
        for each.  An optimizer may be left with state on the other device.

    Example:
        ::

            for epoch in range(epochs):
                train(model)
                model.cpu()
                evaluate(model)
                model.to(device)

    Use instead
        ::

            for epoch in range(epochs):
                train(model)
                evaluate(model)

    When it is fine
        Where device memory does not hold all modules at once and they take turns on purpose: then
        silence the line.
    """

    code = "PA305"
    name = "model-moved-in-loop"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that moves a module again."""
        copies = facts.audit.copies
        for group in facts.groups(copies, np.flatnonzero(facts.moves.again)):
            if recurs(facts, copies, group.rows):
                yield self._finding(facts, group)

    def _finding(self, facts: Facts, group: Group) -> Finding:
        audit, rows = facts.audit, group.rows
        copies, spans = audit.copies, audit.spans
        recurrence = facts.recurrence(copies, rows)
        calls = np.unique(facts.moves.span[rows])
        module = audit.text(int(spans.name[calls[0]]))
        device = audit.text(int(copies.dst_device[rows[0]]))
        size = int(copies.bytes[rows].sum()) // len(calls)
        tensors = len(rows) // len(calls)
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        found = finding(
            self,
            facts,
            copies,
            rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN,
            message=(
                f"{text} moves the module {module} to {device} again "
                f"({plural(tensors, 'tensor')}, {size_words(size)}), {recurrence.words}"
            ),
            fix=_fix(
                to_host=int(copies.direction[rows[0]]) == D2H,
                home=audit.text(int(copies.src_device[rows[0]])),
                device=device,
            ),
            evidence=[
                Evidence(
                    "moved",
                    f"{plural(len(calls), 'call')} moved parameters of a module that had been "
                    "moved before",
                )
            ],
        )
        rate = None if found.per_step is None else found.per_step * len(calls) / len(rows)
        return replace(found, count=len(calls), per_step=rate)


def _fix(*, to_host: bool, home: str, device: str) -> str:
    if to_host:
        return (
            f"leave the module on {home} and do there what follows; to save it, `torch.save` its "
            "`state_dict()` as it is"
        )
    return f"move it to {device} once, before the loop, and leave it there"
