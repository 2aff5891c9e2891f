"""PA201 in TensorFlow: a single value read in every step."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from placeaudit.analyze.audit import D2H
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import by_library, finding, library_name, plural, recurs
from placeaudit.rules.facts import TINY_BYTES, Facts, Group

__all__ = ["TensorflowScalarRead"]


class TensorflowScalarRead:
    """A single value read from the device in the steps.

    What it does
        Finds ``float(t)``, ``bool(t)``, ``int(t)``, ``t.numpy()`` and printing of a tensor of one
        element, or of a few bytes, in the steps.

    Why it costs
        The host waits until the device has run everything it was given, and gives it nothing new
        meanwhile.

    Example:
        ::

            total += float(loss)

    Use instead
        ::

            total = total + loss            # stays on the device
            ...
            print(float(total))             # once, after the loop

    When it is fine
        Once in many steps: such reads are ``info``, as are those that a library makes.
    """

    code = "PA201"
    name = "scalar-read"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that reads values."""
        audit, copies = facts.audit, facts.audit.copies
        read = [i for i, text in enumerate(audit.strings) if text == "numpy"]
        rows = np.flatnonzero(
            (copies.direction == D2H)
            & np.isin(copies.operation, read)
            & (copies.bytes <= TINY_BYTES)
        )
        for group in facts.groups(copies, rows):
            if recurs(facts, copies, group.rows):
                yield self._finding(facts, group)

    def _finding(self, facts: Facts, group: Group) -> Finding:
        audit, rows = facts.audit, group.rows
        recurrence = facts.recurrence(audit.copies, rows)
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        library = library_name(group.site)
        if library:
            text = f"{library}, called by {text},"
        device = audit.text(int(audit.copies.src_device[rows[0]]))
        return finding(
            self, facts, audit.copies, rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN,
            message=f"{text} reads a value from {device} and makes the host wait for it, "
                    f"{recurrence.words}",
            fix="keep the value on the device: add it to a tensor, or to a tf.keras.metrics.Mean, "
                "and read that once after the loop",
            evidence=(
                Evidence("reads", f"{plural(len(rows), 'read')} of at most {TINY_BYTES} bytes"),
            ),
        )  # fmt: skip
