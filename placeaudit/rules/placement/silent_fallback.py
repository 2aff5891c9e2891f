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
_HIDDEN: Final = "hidden"
_NO_KERNEL: Final = "no kernel"
_COLOCATION: Final = "colocation"
_UNUSED: Final = "unused"
#: What an imported log was held against, of which it says nothing.
_EXPECTED: Final = "expected"
_UNSTATED: Final = "unstated"
_GUESSED: Final = frozenset({_UNUSED, _EXPECTED, _UNSTATED})
_REASONS: Final = (
    _NO_DEVICE, _HIDDEN, _NO_KERNEL, _COLOCATION, _UNUSED, _EXPECTED, _UNSTATED
)  # fmt: skip
_ASK: Final = (
    "ask tf.config.list_logical_devices() for a device that is there, or "
    "tf.config.set_soft_device_placement(False) to be told"
)
_KEEP: Final = (
    "nothing makes it run there; keep it, and what it works on, on the host, or use element types "
    "that the device has kernels for"
)


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
        for reason in _REASONS:
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
    types = audit.text(int(fallbacks.dtypes[first]))
    verb = "expected on" if reason in {_EXPECTED, _UNSTATED} else "asked onto"
    severity, why, fix = _explained(reason, requested, types)
    return finding(
        rule, facts, fallbacks, rows,
        severity=severity,
        certainty=Certainty.LIKELY if reason in _GUESSED else Certainty.PROVEN,
        message=f"{named} {verb} {requested} ran on {actual}: {why}",
        fix=fix,
        evidence=(
            Evidence("placement", f"{plural(len(rows), 'call')} ran on {actual}, {verb} "
                     f"{requested} ({reason})"),
        ),
        timed=False,
    )  # fmt: skip


def _explained(reason: str, requested: str, types: str) -> tuple[Severity, str, str]:
    """Severity, why it ran elsewhere, what to do."""
    kind = requested.partition(":")[0]
    if reason == _NO_DEVICE:
        return Severity.WARNING, f"there is no {requested} here", _ASK
    if reason == _HIDDEN:
        why = (
            f"{requested} is none of the visible devices, which are numbered from {kind}:0 "
            "whatever was hidden before them"
        )
        return Severity.WARNING, why, _ASK
    if reason == _NO_KERNEL:
        return (
            Severity.INFO,
            f"no {kind} kernel of it takes {types or 'these types'}",
            _KEEP,
        )
    if reason == _COLOCATION:
        return (
            Severity.WARNING,
            f"it is tied to operations that have no {kind} kernel",
            "make what it shares a resource with outside of this tf.device scope",
        )
    if reason in {_UNUSED, _EXPECTED}:
        why = f"nothing in the log ran on {requested}, and it does not say why"
        return Severity.WARNING, why, _ASK
    return (
        Severity.INFO,
        "the log does not say whether it was asked there, nor why it ran elsewhere",
        "trace the program itself: placeaudit trace knows what each operation was asked onto",
    )
