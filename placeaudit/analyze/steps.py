"""How steps are told, where they end, and which events are steady state.

In order: ``placeaudit.step()`` marks; those of a library's loop, with the steps of optimizers in
loops of the program's own beside it; the first-seen optimizer, and after its last step the next
one, where a program trains one model after the other; the outermost ``backward()``; the outermost
call of the module that is called most; a copy site that recurs; else none.  With fewer than two
steps there is no steady state to tell from setup, so everything counts as steady: a function under
an assertion or a short snippet is judged whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import Bools, Ints, SmallInts, Steps
from placeaudit.analyze.columns import parts

__all__ = ["SpanTable", "StepBounds", "find_steps", "recurring", "steady_events", "steps_of"]

#: A copy site must recur this often before its recurrence counts as steps.
_LEAST_RECURRENCE: Final = 3
_EMPTY: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class SpanTable:
    """One process's spans, ``kind`` and ``name`` as text codes of ``texts``."""

    kind: SmallInts
    name: SmallInts
    owner: Ints
    start_ns: Ints
    end_ns: Ints
    thread: Ints
    texts: Sequence[str]

    def of(self, kind: str) -> npt.NDArray[np.intp]:
        """Rows of this kind in order of their start."""
        codes = np.array([i for i, text in enumerate(self.texts) if text == kind], dtype=np.int64)
        rows = np.flatnonzero(np.isin(self.kind, codes))
        return rows[np.argsort(self.start_ns[rows], kind="stable")]


@dataclass(frozen=True, slots=True)
class StepBounds:
    """Steps of one process: ``how`` for people, and each step's end and start."""

    how: str
    start_ns: Ints
    end_ns: Ints


def _bounds(how: str, ends: Ints, first_start: int) -> StepBounds:
    """Steps that follow one another without a gap; the first one starts where its own span does."""
    ends = np.sort(ends.astype(np.int64))
    starts = np.concatenate([np.array([first_start], dtype=np.int64), ends[:-1]])
    return StepBounds(how, starts[: len(ends)], ends)


def _outermost(spans: SpanTable, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Those of ``rows`` that lie in no other of the same thread."""
    kept: list[npt.NDArray[np.intp]] = []
    for thread in np.unique(spans.thread[rows]):
        mine = rows[spans.thread[rows] == thread]
        reach = np.maximum.accumulate(spans.end_ns[mine])
        inside = np.concatenate([[False], spans.end_ns[mine][1:] <= reach[:-1]])
        kept.append(mine[~inside])
    if not kept:
        return rows
    found = np.concatenate(kept)
    return found[np.argsort(spans.start_ns[found], kind="stable")]


def _marks(spans: SpanTable) -> StepBounds | None:
    rows = spans.of("step")
    if not len(rows):
        return None
    name = spans.texts[int(spans.name[rows[0]])]
    start, ends = int(spans.start_ns[rows[0]]), np.sort(spans.end_ns[rows])
    if name == "step":
        return _bounds("placeaudit.step()", ends, start)
    others = _outside(spans, ends)
    if not len(others):
        return _bounds(name, ends, start)
    how = f"{name} and {_named(spans, others[0])}"
    ends = np.concatenate([ends, spans.end_ns[_leading(spans, others)]])
    return _bounds(how, ends, min(start, int(spans.start_ns[others[0]])))


def _outside(spans: SpanTable, marks: Ints) -> npt.NDArray[np.intp]:
    """Updates that loops of the program's own make beside those whose steps are marked.

    The last updates before a mark are of the step that it ends: as many as before most marks.  A
    single one more is no loop.
    """
    rows = spans.of("optimizer")
    *each, after = np.split(rows, np.searchsorted(spans.end_ns[rows], marks, side="right"))
    usual = max(1, int(np.median([len(one) for one in each])))
    loops = [*(one[: max(0, len(one) - usual)] for one in each), after]
    return np.concatenate([rows[:0], *(one for one in loops if len(one) > 1)])


def _optimizer(spans: SpanTable) -> StepBounds | None:
    rows = spans.of("optimizer")
    if not len(rows):
        return None
    first = rows[0]
    ends = spans.end_ns[_leading(spans, rows)]
    return _bounds(_named(spans, first), ends, int(spans.start_ns[first]))


def _named(spans: SpanTable, row: int) -> str:
    name = int(spans.name[row])
    return f"optimizer {spans.texts[name]}" if name >= 0 else "the optimizer"


def _leading(spans: SpanTable, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Steps of the first-seen optimizer; after its last, of one that only begins there, and so on.

    A program that trains several models one after the other, folds of a cross-validation for one,
    has an optimizer for each.  Optimizers that take turns, as in a GAN, step together.
    """
    owner = spans.owner[rows]
    _, first, code = np.unique(owner, return_index=True, return_inverse=True)
    last = len(rows) - 1 - np.unique(owner[::-1], return_index=True)[1]
    count = np.bincount(code)
    kept: list[npt.NDArray[np.intp]] = []
    end = -1
    for leader in np.argsort(first).tolist():
        # A single step is no phase of its own: the tail of a turn, or a run too short to tell.
        if not kept or (first[leader] > end and count[leader] > 1 and len(kept[-1]) > 1):
            kept.append(rows[code == leader])
            end = int(last[leader])
    return np.concatenate(kept)


def _backward(spans: SpanTable) -> StepBounds | None:
    rows = _outermost(spans, spans.of("backward"))
    if not len(rows):
        return None
    return _bounds("backward()", spans.end_ns[rows], int(spans.start_ns[rows[0]]))


def _module(spans: SpanTable) -> StepBounds | None:
    """The outermost module called most, first-seen among equals (a loss module is one too)."""
    rows = _outermost(spans, spans.of("module"))
    if not len(rows):
        return None
    owners, first, count = np.unique(spans.owner[rows], return_index=True, return_counts=True)
    best = min(range(len(owners)), key=lambda i: (-int(count[i]), int(first[i])))
    mine = rows[spans.owner[rows] == owners[best]]
    name = int(spans.name[mine[0]])
    how = f"module {spans.texts[name]}" if name >= 0 else "a module"
    return _bounds(how, spans.end_ns[mine], int(spans.start_ns[mine[0]]))


_WAYS: Final[tuple[Callable[[SpanTable], StepBounds | None], ...]] = (
    _marks,
    _optimizer,
    _backward,
    _module,
)


def find_steps(processes: Sequence[SpanTable]) -> list[StepBounds | None]:
    """Each process's own steps, told the same way in all; None where a process has none.

    All None: no way told any step (``recurring`` is left to try).
    """
    for way in _WAYS:
        found = [way(spans) for spans in processes]
        if any(found):
            return found
    return [None] * len(processes)


def recurring(time_ns: Ints, site: SmallInts) -> StepBounds | None:
    """Steps from the recurrence of the copy site that recurs most (first-seen among equals).

    The caller leaves out what recurs without being a step: module moves, comprehensions.
    """
    if not len(site):
        return None
    sites, first, count = np.unique(site, return_index=True, return_counts=True)
    best = min(range(len(sites)), key=lambda i: (-int(count[i]), int(first[i])))
    if count[best] < _LEAST_RECURRENCE:
        return None
    times = np.sort(time_ns[site == sites[best]])
    # A turn lasts until the next one begins; the last one until the last event of the run.
    ends = np.concatenate([times[1:] - 1, [int(time_ns.max())]])
    return StepBounds("a recurring copy", times, ends)


def steps_of(time_ns: Ints, bounds: StepBounds | None) -> SmallInts:
    """The step each time falls into; ``len(end_ns)`` after the last, -1 where there are none."""
    if bounds is None or not len(bounds.end_ns):
        return np.full(len(time_ns), -1, dtype=np.int32)
    out = np.empty(len(time_ns), dtype=np.int32)
    for part in parts(len(out)):
        out[part] = np.searchsorted(bounds.end_ns, time_ns[part], side="left")
    return out


def steady_events(step: SmallInts, site: SmallInts, count: int) -> Bools:
    """Which events count as steady state, given the number of steps ``count``.

    Events up to the end of the first step are setup.  After the last step, a site that was not
    seen before and has all its events in one run (no other site's event in between) is teardown:
    a line that ran once, be it a comprehension.
    """
    if count < 2:  # noqa: PLR2004 (nothing to compare a single step with)
        return np.ones(len(step), dtype=np.bool_)
    steady: Bools = np.asarray(step != 0)
    after = np.flatnonzero(step >= count)
    if not len(after):
        return steady
    late = site[after]
    starts_run = np.concatenate([[True], late[1:] != late[:-1]])
    sites, runs = np.unique(late[starts_run], return_counts=True)
    once = sites[runs == 1]
    before = np.unique(site[step < count])
    teardown = np.setdiff1d(once, before)
    steady[after[np.isin(late, teardown)]] = False
    return steady


def as_steps(bounds: StepBounds | None) -> Steps:
    """The public form; no step at all is an empty one."""
    if bounds is None:
        return Steps("", _EMPTY, _EMPTY)
    return Steps(bounds.how, bounds.start_ns, bounds.end_ns)
