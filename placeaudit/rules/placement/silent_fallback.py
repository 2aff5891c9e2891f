"""PA304: the device that was asked for is not the one that was used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import Rule, finding, plural
from placeaudit.rules.facts import Facts, Group

__all__ = ["SilentFallback"]

_NO_DEVICE: Final = "no device"
_NO_KERNEL: Final = "no kernel"


class SilentFallback:
    """A requested device was not the one used.

    What it does
        Finds operations that were asked onto a device, by ``tf.device`` for one, and ran on
        another.  TensorFlow's soft placement, on by default, says nothing.  An operation of which
        no kernel exists for that device, or for these element types, is ``info``: nobody can run it
        there.

    Why it costs
        Work that was meant for the accelerator runs on the host, and what it takes and makes
        crosses between the two.

    Example:
        ::

            with tf.device("/GPU:1"):       # a machine with one GPU: this runs elsewhere
                y = tf.matmul(a, b)

    Use instead
        ::

            gpus = tf.config.list_logical_devices("GPU")
            with tf.device(gpus[0].name):
                y = tf.matmul(a, b)

    When it is fine
        Strings, lookup tables and integer matrix products have no GPU kernel: such findings are
        ``info``.  ``tf.config.set_soft_device_placement(False)`` makes TensorFlow refuse instead.
    """

    code = "PA304"
    name = "silent-fallback"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site and reason."""
        fallbacks = facts.audit.fallbacks
        for reason in (_NO_DEVICE, _NO_KERNEL):
            code = [i for i, text in enumerate(facts.audit.strings) if text == reason]
            rows = np.flatnonzero(np.isin(fallbacks.reason, code))
            for group in facts.groups(fallbacks, rows):
                yield _finding(self, facts, group, reason)


def _finding(rule: Rule, facts: Facts, group: Group, reason: str) -> Finding:
    audit, rows = facts.audit, group.rows
    fallbacks = audit.fallbacks
    first = int(rows[0])
    requested, actual = audit.text(int(fallbacks.requested[first])), audit.text(
        int(fallbacks.actual[first])
    )  # fmt: skip
    operations = sorted({audit.text(int(i)) for i in np.unique(fallbacks.operation[rows])})
    named = ", ".join(operations[:3]) + (", …" if len(operations) > 3 else "")  # noqa: PLR2004
    if reason == _NO_DEVICE:
        severity = Severity.WARNING
        why = f"there is no {requested} here"
        fix = (
            "ask tf.config.list_logical_devices() for a device that is there, or "
            "tf.config.set_soft_device_placement(False) to be told"
        )
    else:
        severity = Severity.INFO
        types = audit.text(int(fallbacks.dtypes[first]))
        why = f"no {requested.partition(':')[0]} kernel of it takes {types or 'these types'}"
        fix = (
            "nothing makes it run there; keep it, and what it works on, on the host, or use "
            "element types that the device has kernels for"
        )
    return finding(
        rule, facts, fallbacks, rows,
        severity=severity,
        certainty=Certainty.PROVEN,
        message=f"{named} asked onto {requested} ran on {actual}: {why}",
        fix=fix,
        evidence=(
            Evidence("placement", f"{plural(len(rows), 'call')} ran on {actual}, asked onto "
                     f"{requested} ({reason})"),
        ),
        timed=False,
    )  # fmt: skip
