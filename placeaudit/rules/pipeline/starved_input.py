"""PA401: the loop waits for its input while the device has nothing to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from placeaudit.analyze.columns import distinct
from placeaudit.model import Certainty, Evidence, Finding, Severity
from placeaudit.rules.base import finding, plural
from placeaudit.rules.facts import Facts, Rows

__all__ = ["StarvedInput"]

#: Elements, and steps in which they were taken, before anything is said.
_LEAST: Final = 4
#: A shorter wait is the price of an iterator on a busy machine.
_LEAST_NS: Final = 5_000_000
#: Share of the loop's time that is spent waiting.
_LEAST_SHARE: Final = 0.2
_WHY: Final = {
    "generator": "a Python generator makes one element after the other",
    "python": "`{stage}` calls Python for one element after the other",
    "serial": "`{stage}` is not asked to run in parallel",
    "no prefetch": "nothing is prefetched while a step runs",
}
_PREFETCH: Final = "end the pipeline with `.prefetch(tf.data.AUTOTUNE)`"
_PARALLEL: Final = "pass `num_parallel_calls=tf.data.AUTOTUNE` to `{stage}`"
_FIXES: Final = {
    "generator": "read in several at once, with `tf.data.Dataset.range(n).interleave(…, "
                 f"num_parallel_calls=tf.data.AUTOTUNE)` over parts of the data, and {_PREFETCH}",
    "python": f"{_PARALLEL} (Python runs one at a time but while it reads files or NumPy computes; "
              f"TensorFlow's operations do without it), and {_PREFETCH}",
    "serial": f"{_PARALLEL}, and {_PREFETCH}",
    "no prefetch": _PREFETCH,
}  # fmt: skip


class StarvedInput:
    """A device that idles between steps while the host makes the next batch.

    What it does
        Finds loops over a ``tf.data`` pipeline that wait for their elements (at least a fifth of
        the loop's time, and five milliseconds each), and whose pipeline has a stage that makes one
        element after the other: ``map``, ``filter``, ``flat_map`` or ``interleave`` without
        ``num_parallel_calls``, a ``tf.py_function``, a generator; or that prefetches nothing.

    Why it costs
        The next batch is begun when the loop asks for it, or is not there in time: the device has
        finished its step and waits.

    Example:
        ::

            for x in files.map(decode).batch(32):
                train_step(x)

    Use instead
        ::

            decoded = files.map(decode, num_parallel_calls=tf.data.AUTOTUNE)
            for x in decoded.batch(32).prefetch(tf.data.AUTOTUNE):
                train_step(x)

    When it is fine
        Where every core is busy already.  What lies below a ``cache()`` is left out.  The time
        that is waited is the host's; whether the device still had work is not known.  What ``fit``
        waits inside of its compiled step is not seen.
    """

    code = "PA401"
    name = "starved-input"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each stage whose pipeline is waited for."""
        audit = facts.audit
        datasets, calls = audit.datasets, audit.calls
        if len(audit.steps) < _LEAST:
            return
        kind = [i for i, text in enumerate(audit.strings) if text == "next"]
        timed = np.isin(calls.kind, kind) & calls.steady
        for site in distinct(datasets.site).tolist():
            mine = np.flatnonzero(datasets.site == site)
            rows = np.flatnonzero(timed & np.isin(calls.storage, datasets.dataset[mine]))
            library = audit.sites[site].library
            if library is not None and library.package != "tensorflow":
                continue  # somebody else's pipeline
            if audit.sites[site].frame is not None and _waits(facts, rows):
                yield self._finding(facts, int(mine[0]), rows)

    def _finding(self, facts: Facts, which: int, rows: Rows) -> Finding:
        audit = facts.audit
        datasets, calls = audit.datasets, audit.calls
        reason = audit.text(int(datasets.reason[which]))
        stage = audit.text(int(datasets.stage[which]))
        site = audit.sites[int(datasets.site[which])]
        frame, loop = site.user or site.frame, audit.sites[int(calls.site[rows[0]])].user
        assert frame is not None
        each = float(np.median(calls.blocked_ns[rows])) / 1e6
        share = _share(facts, rows)
        where = f" at line {loop.line}" if loop is not None else ""
        made = finding(
            self, facts, calls, rows,
            severity=Severity.WARNING,
            certainty=Certainty.LIKELY,
            message=(
                f"the loop{where} waits {each:.1f} ms for each element, {share:.0%} of its time: "
                f"{_WHY[reason].format(stage=stage)}"
            ),
            fix=_FIXES[reason].format(stage=stage),
            related=[("waits here", loop)] if loop is not None else [],
            evidence=[
                Evidence("waits", f"{plural(len(rows), 'element')}, each timed on the host"),
                Evidence("pipeline", audit.text(int(datasets.stages[which]))),
            ],
        )  # fmt: skip
        return replace(
            made, file=frame.file, line=frame.line, end_line=frame.end_line, col=frame.col,
            function=frame.function, library="", blocked_basis="measured",
        )  # fmt: skip


def _waits(facts: Facts, rows: Rows) -> bool:
    """Whether these elements were waited for, step by step."""
    calls = facts.audit.calls
    if len(rows) < _LEAST or len(distinct(calls.step[rows])) < _LEAST:
        return False
    # The lower quartile: on a machine with other work to do some elements are late for no fault of
    # the pipeline's.
    long = float(np.percentile(calls.blocked_ns[rows], 25)) >= _LEAST_NS
    return long and _share(facts, rows) >= _LEAST_SHARE


def _share(facts: Facts, rows: Rows) -> float:
    """Which part of the time from the first of these elements to the last was waited."""
    calls = facts.audit.calls
    end = int(calls.time_ns[rows[-1]]) + int(calls.blocked_ns[rows[-1]])
    whole = end - int(calls.time_ns[rows[0]])
    return float(calls.blocked_ns[rows].sum()) / whole if whole > 0 else 0.0
