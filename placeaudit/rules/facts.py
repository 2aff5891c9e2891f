"""What several rules ask of an audit: groups by site, recurrence, call sites, content codes."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final, TypeVar, cast

import numpy as np
import numpy.typing as npt
import xxhash

from placeaudit.analyze.audit import (
    D2H,
    H2D,
    Audit,
    Copies,
    Events,
    Ints,
    SmallInts,
    Waits,
)
from placeaudit.analyze.callsite import CallSite, call_site
from placeaudit.analyze.columns import distinct, parts
from placeaudit.analyze.lineage import Ending, Fate, Lineage
from placeaudit.analyze.source import Sources
from placeaudit.analyze.state import Moves, module_moves, reads_state
from placeaudit.model import HashKind, Phase, Site
from placeaudit.rules.vector_copies import VectorCopies, vector_copies
from placeaudit.verdict.suppressions import Suppressions

__all__ = ["Facts", "Group", "Recurrence", "Rows", "codes", "constant_hashes", "previous_same"]

#: Indices of events, of whatever integer type.
Rows = npt.NDArray[Any]
T = TypeVar("T")

#: Once in 10 steps or rarer is no stray.
RARE: Final = 0.1
#: So many turns of a loop between two steps make a line recur, be it in no step (evaluation).
_LEAST_TURNS: Final = 4
#: And it must happen in most turns of that loop: a mask rebuilt for the last batch does not.
_LEAST_TURN_SHARE: Final = 0.5
#: Below this, equal bytes alone prove nothing.
TINY_BYTES: Final = 64
#: How recording samples a large content (a test holds it against the recorder).
_SAMPLE_BLOCKS: Final = 256
_BLOCK_BYTES: Final = 1024
#: Codes that are sorted at a time.
_CODES: Final = 1 << 20
#: Odd and without pattern: what was mixed before is spread anew with each column.
_ODD: Final = np.uint64(0x9E3779B97F4A7C15)
#: Longer contents are not built again to see whether they are constant.
_LARGEST_CONSTANT: Final = 1 << 26

#: Little-endian bytes of 1 in each element type: ones of a mask or a weight.
_ONES: Final = (
    b"\x01",
    b"\x01\x00",
    b"\x01\x00\x00\x00",
    b"\x01\x00\x00\x00\x00\x00\x00\x00",
    b"\x00\x3c",
    b"\x80\x3f",
    b"\x00\x00\x80\x3f",
    b"\x00\x00\x00\x00\x00\x00\xf0\x3f",
    b"\xff",
)


@dataclass(frozen=True, slots=True)
class Group:
    """Events of one site."""

    index: int
    site: Site
    rows: Rows


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often the events of one site come."""

    count: int
    #: Occurrences over all steps; None where no step can be told.
    per_step: float | None
    #: Steps in which it happened at all, and steps there were.
    touched: int
    steps: int
    #: Median number of steps from one such step to the next; 0 where there is only one.
    gap: float
    #: Mean turns of a model loop between two steps in which it happened; 0 where there are none.
    turns: float
    #: Which share of all turns of those loops that was.
    turn_share: float

    @property
    def in_evaluation(self) -> bool:
        """Recurs turn by turn of a loop that calls the model, but not step by step."""
        most = self.turns >= _LEAST_TURNS and self.turn_share >= _LEAST_TURN_SHARE
        return most and not self._stepwise

    @property
    def _stepwise(self) -> bool:
        """More than once in ten steps.

        Loops that count from 0 in each epoch read a little oftener than once in ten over the run:
        the distance tells them.
        """
        if self.steps == 0:
            return True
        return self.touched > max(1.0, RARE * self.steps) and self.gap < 1 / RARE

    @property
    def often(self) -> bool:
        """More than once in ten steps, or in every turn of an evaluation loop."""
        return self._stepwise or self.in_evaluation

    @property
    def words(self) -> str:
        """For a message: "in every step", "in 3 of 40 steps", "7 times"."""
        times = "once" if self.count == 1 else f"{self.count} times"
        if self.in_evaluation:
            return f"in every turn of an evaluation or rollout loop ({times})"
        if self.steps == 0:
            return times
        if self.touched >= self.steps - 1:
            return "in every step"
        if self.touched == 1:
            return times
        return f"in {min(self.touched, self.steps)} of {self.steps} steps"


def codes(*columns: npt.NDArray[Any]) -> Ints:
    """One 64-bit code per row, equal where all ``columns`` are equal.

    Rows that differ have the same code by chance only, as rarely as two contents have one hash.
    """
    out = np.zeros(len(columns[0]), dtype=np.uint64)
    for values in columns:
        for part in parts(len(out)):
            spread = _mixed(values[part].astype(np.uint64))
            out[part] = _mixed(out[part] * _ODD + spread)
    return out.view(np.int64)


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """The finisher of SplitMix64: every bit depends on every other."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def by_code(code: Ints) -> Iterator[Rows]:
    """All positions by code, those of one code in their order.

    A part of the codes at a time, so that what is made from them stays small.
    """
    bits = max(0, (len(code) // _CODES).bit_length())
    if not bits:
        yield np.argsort(code, kind="stable")
        return
    bucket = (code.view(np.uint64) >> np.uint64(64 - bits)).astype(np.int16)
    for number in range(1 << bits):
        mine = np.flatnonzero(bucket == number)
        yield mine[np.argsort(code[mine], kind="stable")]


def previous_same(code: Ints) -> SmallInts:
    """For each position the latest earlier one with the same code, -1 where there is none."""
    out = np.full(len(code), -1, dtype=np.int32)
    for order in by_code(code):
        ordered = code[order]
        same = ordered[1:] == ordered[:-1]
        out[order[1:][same]] = order[:-1][same]
    return out


def latest_download(code: Ints, down: npt.NDArray[np.bool_]) -> Iterator[tuple[Rows, Rows, Rows]]:
    """Uploads, for each the latest download before it of the same ``code``, and the code's first.

    Positions; ``down`` says which are downloads.  A part of them at a time.
    """
    for order in by_code(code):
        ordered, is_down = code[order], down[order]
        place = np.arange(len(order))
        begin = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        begins = np.maximum.accumulate(np.where(begin, place, 0))
        latest = np.maximum.accumulate(np.where(is_down, place, -1))
        found = ~is_down & (latest >= begins)
        yield order[found], order[latest[found]], order[begins[found]]


def _runs(*columns: npt.NDArray[Any]) -> int:
    """How many different rows there are, where rows of equal values follow one another."""
    changes = np.zeros(max(0, len(columns[0]) - 1), dtype=np.bool_)
    for values in columns:
        if (values[1:] < values[:-1]).any():
            return len(distinct(codes(*columns)))
        changes |= values[1:] != values[:-1]
    return int(changes.sum()) + min(1, len(columns[0]))


class Facts:
    """An audit with what rules derive from it, each computed once."""

    def __init__(
        self,
        audit: Audit,
        *,
        judged: Collection[str] = (),
        framework: str = "torch",
        suppressions: Suppressions | None = None,
    ) -> None:
        self.audit = audit
        #: Whose copies and waits are judged: a rule words its advice for one framework.
        self.framework = framework
        #: Codes of the rules that are asked in this run.
        self.judged = frozenset(judged)
        #: Which comments have silenced what so far.
        self.suppressions = suppressions or Suppressions(audit.sources)
        self.sources = Sources(audit.sources)
        self._known: dict[object, object] = {}
        self._calls: dict[int, CallSite | None] = {}

    @cached_property
    def lineage(self) -> Lineage:
        """What the operation window tells about copied tensors."""
        return Lineage(self.audit)

    @cached_property
    def unused(self) -> npt.NDArray[np.bool_]:
        """Copies at lines of which no copy is ever read (PA104); other rules leave them alone."""
        copies = self.audit.copies
        out = np.zeros(len(copies), dtype=np.bool_)
        lineage = self.lineage
        if not lineage.fates or not lineage.complete:
            return out
        if len(self.audit.steps) < 2 and self.audit.meta.exit_code:  # noqa: PLR2004
            return out  # it failed before its copies could be used
        by_site: dict[int, list[Fate]] = defaultdict(list)
        for fate in lineage.fates.values():
            by_site[int(copies.site[fate.copy])].append(fate)
        for site, fates in by_site.items():
            # The last one may live on: nothing is known of it, so it speaks for neither.
            last = max(fates, key=lambda fate: fate.copy)
            known = [f for f in fates if f.ending is not Ending.ALIVE]
            open_ = [f for f in fates if f.ending is Ending.ALIVE and f is not last]
            plain = copies.direction[last.copy] != D2H or self._plain_download(site)
            plain = plain and not self.read_elsewhere(site)
            if plain and known and not open_ and all(f.unread for f in fates):
                out |= copies.site == site
        # A module's parameters and a checkpoint are there to be used later.
        kept = self.moves.again | self.moves.home | (copies.phase == int(Phase.CHECKPOINT))
        return np.asarray(out & ~kept)

    def _plain_download(self, site: int) -> bool:
        """Whether an expression downloads and nothing else.

        ``tolist()``, ``print`` and their kin download too, and then read the host's memory without
        any operation.
        """
        call = self.call(site)
        if call is None or not isinstance(call.node, ast.Call):
            return False
        func = call.node.func
        return isinstance(func, ast.Attribute) and func.attr in {"cpu", "to", "copy_"}

    def read_elsewhere(self, site: int) -> bool:
        """Whether the source holds a reader of the copy that the window may not have seen.

        One after the loop that copies, or under a condition: a name is followed in its function.
        """
        call = self.call(site)
        statement = call.file.statement(call.node) if call is not None else None
        if call is None or not isinstance(statement, ast.Assign):
            return False
        (target, *_), file = statement.targets, call.file
        if not isinstance(target, ast.Name):
            return False
        loop, around = file.loop(statement), set(file.above(statement))
        conditions = (ast.If, ast.IfExp, ast.Try, ast.Match)
        return any(
            file.loop(name) is not loop
            or any(isinstance(n, conditions) and n not in around for n in file.above(name))
            for name in file.occurrences(file.scope(target), target.id)
            if isinstance(name.ctx, ast.Load)
            and statement not in file.above(name)
            and file.order(name) > file.order(target)
        )

    def once(self, compute: Callable[[Facts], T]) -> T:
        """``compute(self)``, remembered: how a rule reads what another one has explained."""
        if compute not in self._known:
            self._known[compute] = compute(self)
        return cast("T", self._known[compute])

    def groups(self, events: Events, rows: Rows) -> Iterator[Group]:
        """``rows`` by site, in order of time within one; sites without any frame are left out.

        So is what ran inside ``placeaudit.allow()``: it is evidence for others, but no finding;
        what another framework than the one asked about has done, and what PA302 speaks of.
        """
        if isinstance(events, Copies | Waits):
            if "PA302" in self.judged and self.vector_copies.any:
                copy = rows if isinstance(events, Copies) else events.copy[rows]
                rows = rows[(copy < 0) | ~self.vector_copies.claimed[copy]]
            rows = rows[events.allowed[rows] < 0]
            rows = rows[self._is_tensorflows(events, rows) == (self.framework == "tensorflow")]
        rows = rows.astype(np.int32, copy=False)
        site = events.site[rows]
        order = np.argsort(site, kind="stable")
        cuts = np.flatnonzero(np.diff(site[order])) + 1
        for part in np.split(rows[order], cuts):
            if len(part):
                index = int(events.site[part[0]])
                found = self.audit.sites[index]
                if found.frame is not None:
                    yield Group(index, found, part)

    @cached_property
    def vector_copies(self) -> VectorCopies:
        """Copies of vectors' arithmetic, which are PA302's."""
        return vector_copies(self.audit, self.lineage)

    @cached_property
    def _tensorflow_devices(self) -> list[int]:
        """TensorFlow names its devices ``GPU:0``, PyTorch ``cuda:0``."""
        return [i for i, text in enumerate(self.audit.strings) if text.startswith("GPU:")]

    def _is_tensorflows(self, events: Copies | Waits, rows: Rows) -> npt.NDArray[np.bool_]:
        devices = self._tensorflow_devices
        if not devices:
            return np.zeros(len(rows), dtype=np.bool_)
        if isinstance(events, Waits):
            return np.isin(events.device[rows], devices)
        crossed = np.isin(events.src_device[rows], devices)
        return crossed | np.isin(events.dst_device[rows], devices)

    def call(self, index: int) -> CallSite | None:
        """The user's expression at site ``index``."""
        if index not in self._calls:
            self._calls[index] = call_site(self.sources, self.audit.sites[index].user)
        return self._calls[index]

    @cached_property
    def _turns(self) -> tuple[Ints, SmallInts, Ints]:
        """Starts of module calls, which tell turns of a loop; their steps and modules."""
        spans = self.audit.spans
        kinds = [i for i, text in enumerate(self.audit.strings) if text == "module"]
        calls = np.flatnonzero(np.isin(spans.kind, kinds))
        order = calls[np.argsort(spans.start_ns[calls], kind="stable")]
        return spans.start_ns[order], spans.step[order], spans.owner[order]

    def recurrence(self, events: Events, rows: Rows) -> Recurrence:
        """How often the events in ``rows`` (of one site) come."""
        steps = len(self.audit.steps)
        if steps < 2:  # noqa: PLR2004 (one step is no rate)
            return Recurrence(len(rows), None, len(rows), 0, 0.0, 0.0, 0.0)
        step = events.step[rows]
        in_steps = distinct(step)
        touched = len(in_steps)
        gap = float(np.median(np.diff(in_steps))) if touched > 1 else 0.0
        starts, start_steps, owners = self._turns
        turn = np.searchsorted(starts, events.time_ns[rows], side="right")
        turns = _runs(step, turn)
        # A turn may call several modules, the model and a loss: the one called most often tells.
        calls = np.unique(owners[np.isin(start_steps, in_steps)], return_counts=True)[1]
        every = int(calls.max(initial=0))
        mean, share = (turns / touched, min(1.0, turns / every)) if every else (0.0, 0.0)
        return Recurrence(len(rows), len(rows) / steps, touched, steps, gap, mean, share)

    @cached_property
    def moves(self) -> Moves:
        """Copies that ``Module.to`` and its kin make."""
        return module_moves(self.audit)

    @cached_property
    def saved(self) -> npt.NDArray[np.bool_]:
        """Downloads that save state: of ``torch.save``, or item by item of a ``state_dict()``."""
        copies = self.audit.copies
        down = copies.direction == D2H
        out = np.asarray(down & (copies.phase == int(Phase.CHECKPOINT)))
        for group in self.groups(copies, np.flatnonzero(down & ~out)):
            call = self.call(group.index)
            if call is not None and reads_state(call):
                out[group.rows] = True
        return out

    def uploads(self) -> npt.NDArray[np.bool_]:
        """Copies to a device that are part of the program's work.

        Not those that load state, nor those of a module that is moved again (PA305), or for the
        first time where no steps tell the setup.
        """
        copies = self.audit.copies
        loads = copies.phase == int(Phase.CHECKPOINT)
        moved = self.moves.again if len(self.audit.steps) > 1 else self.moves.span >= 0
        return np.asarray((copies.direction == H2D) & ~loads & ~moved & ~self.unused)

    def downloads(self) -> npt.NDArray[np.bool_]:
        """As ``uploads``, to the host; what saves state is PA403's."""
        copies = self.audit.copies
        return np.asarray(
            (copies.direction == D2H)
            & ~self.saved
            & ~self.moves.again
            & ~self.moves.home
            & ~self.unused
        )

    def constant(self, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which of these copies carried all zeros or all ones: equal by coincidence, no proof."""
        copies = self.audit.copies
        out = np.zeros(len(rows), dtype=np.bool_)
        size, content = copies.bytes[rows], copies.content_hash[rows]
        for kind in (HashKind.FULL, HashKind.SAMPLED):
            hashed = copies.hash_kind[rows] == int(kind)
            for length in distinct(size[hashed]).tolist():
                mine = hashed & (size == length)
                out[mine] = np.isin(content[mine], constant_hashes(length, kind))
        return out


@cache
def constant_hashes(length: int, kind: HashKind) -> npt.NDArray[np.uint64]:
    """What recording hashes ``length`` bytes of all zeros or all ones to.

    A sampled hash covers blocks of a large tensor with its length as seed.  Blocks begin anywhere,
    so of the ones only those are known whose elements fit the distance between blocks.
    """
    sampled = kind is HashKind.SAMPLED
    if not sampled and length > _LARGEST_CONSTANT:
        return np.zeros(0, dtype=np.uint64)
    covered = _SAMPLE_BLOCKS * _BLOCK_BYTES + _BLOCK_BYTES if sampled else length
    between = (length - _BLOCK_BYTES) // (_SAMPLE_BLOCKS - 1) if sampled else 0
    seed = length if sampled else 0
    patterns = [bytes(covered)]
    patterns += [
        one * (covered // len(one))
        for one in _ONES
        if length % len(one) == 0 and between % len(one) == 0
    ]
    return np.array([xxhash.xxh3_64_intdigest(p, seed) for p in patterns], dtype=np.uint64)
