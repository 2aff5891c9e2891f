"""PA403: state downloaded inside the steps while the device waits."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Phase, Severity
from placeaudit.rules.base import by_library, finding, library_name, plural, recurs, size_words
from placeaudit.rules.facts import Facts, Group

__all__ = ["BlockingCheckpoint"]


class BlockingCheckpoint:
    """A checkpoint whose downloads stop the steps.

    What it does
        Finds downloads that ``torch.save``, or a loop over a ``state_dict()``, makes between the
        steps.  Once in 10 steps or rarer is ``info``; after the last step nothing is reported.

    Why it costs
        The host waits for each tensor in turn, then for the disk, and queues nothing meanwhile: the
        device idles for as long as the checkpoint takes.

    Example:
        ::

            if step % 5 == 0:
                torch.save(model.state_dict(), path)

    Use instead
        ::

            if step % 1000 == 0:
                torch.distributed.checkpoint.async_save(model.state_dict(), checkpoint_id=path)

    When it is fine
        Rarely, where the steps in between take far longer than the checkpoint.
    """

    code = "PA403"
    name = "blocking-checkpoint"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that saves state between the steps."""
        copies = facts.audit.copies
        saved = facts.saved & copies.waits & ~facts.moves.again
        for group in facts.groups(copies, np.flatnonzero(saved)):
            if len(facts.audit.steps) > 1 and recurs(facts, copies, group.rows):
                yield self._finding(facts, group)

    def _finding(self, facts: Facts, group: Group) -> Finding:
        audit, rows = facts.audit, group.rows
        copies = audit.copies
        recurrence = facts.recurrence(copies, rows)
        device = audit.text(int(copies.src_device[rows[0]]))
        size = int(copies.bytes[rows].sum()) // max(1, recurrence.touched)
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        library = library_name(group.site)
        if library:
            text = f"{library}, called by {text},"
        written = bool((copies.phase[rows] == int(Phase.CHECKPOINT)).any())
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN if written else Certainty.LIKELY,
            message=(
                f"{text} downloads {size_words(size)} of state from {device} each time, and the "
                f"steps wait for it, {recurrence.words}"
            ),
            fix=(
                "save less often, or let the steps go on meanwhile: copy the state into pinned "
                "buffers with `non_blocking=True`, record an event, and let a thread write the "
                "file once the event is done (`torch.distributed.checkpoint.async_save` does so)"
            ),
            evidence=[
                Evidence(
                    "phase",
                    f"{plural(len(rows), 'blocking download')} while "
                    f"{'saving' if written else 'going through a state_dict'}, between steps",
                )
            ],
        )
