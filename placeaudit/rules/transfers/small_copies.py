"""PA106: many small copies from one execution of a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import D2H, H2D, Copies, Ints
from placeaudit.analyze.callsite import CallSite, upload_at
from placeaudit.analyze.loops import Loop, loop_of, turns_are_steps
from placeaudit.analyze.uses import UseKind, use_of
from placeaudit.model import Certainty, Evidence, Finding, Phase, Severity
from placeaudit.rules.base import finding, plural, size_words
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, Rows
from placeaudit.rules.transfers import host_created
from placeaudit.rules.transfers.duplicate_download import duplicate_downloads
from placeaudit.rules.transfers.duplicate_upload import duplicate_uploads
from placeaudit.rules.transfers.round_trip import round_trips
from placeaudit.rules.waits.host_index import host_indices

__all__ = ["SmallCopies", "explained", "small_copies"]

_SMALL_BYTES: Final = 64 * 1024
_LEAST: Final = 8
#: Spans whose beginning, between two copies, makes them two turns of the program's work.
_WORK: Final = ("module", "backward", "optimizer", "step")
#: Uses of a downloaded value on which a later turn of a loop may depend.
_DECIDES: Final = frozenset({UseKind.UNKNOWN, UseKind.BRANCH, UseKind.INDEX, UseKind.NEEDED})


@dataclass(frozen=True, slots=True)
class Execution:
    """Small copies of one call stack, grouped by the executions of the loop around it."""

    group: Group
    loop: Loop
    #: Copies of each execution that made at least eight.
    sizes: Ints


def small_copies(facts: Facts) -> tuple[Execution, ...]:
    """Copies under 64 KiB, at least eight from one execution of a loop inside a step."""
    copies = facts.audit.copies
    usable = _usable(facts)
    found = []
    work = _Work(facts)
    for group in facts.groups(copies, np.flatnonzero(usable)):
        if group.site.library is not None or group.site.user is None or len(group.rows) < _LEAST:
            continue
        for rows in _by_stack(copies, group.rows):
            made = _judge(facts, work, Group(group.index, group.site, rows))
            if made is not None:
                found.append(made)
    return tuple(found)


def explained(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: whether PA106 explains it."""
    out = np.zeros(len(facts.audit.copies), dtype=np.bool_)
    for made in facts.once(small_copies):
        out[made.group.rows] = True
    return out


def _usable(facts: Facts) -> npt.NDArray[np.bool_]:
    """Small copies that no other rule shows to be unnecessary and that move no module."""
    copies = facts.audit.copies
    trips = facts.once(round_trips)
    usable = (copies.bytes < _SMALL_BYTES) & (copies.direction <= D2H) & (copies.backward == 0)
    usable &= copies.steady & (copies.phase != int(Phase.CHECKPOINT))
    usable &= (copies.phase != int(Phase.LOADING)) & ~facts.saved
    usable &= ~trips.uploads & ~trips.downloads
    usable &= ~facts.once(host_created.explained) & ~facts.once(duplicate_uploads).repeats
    usable &= (facts.once(duplicate_downloads) < 0) & ~facts.once(host_indices)
    return np.asarray(usable & ~_in_module_moves(facts))


def _in_module_moves(facts: Facts) -> npt.NDArray[np.bool_]:
    """Copies that ``Module.to`` and its kin make: as many as parameters, from one call."""
    audit, copies = facts.audit, facts.audit.copies
    out = np.zeros(len(copies), dtype=np.bool_)
    for row in np.flatnonzero(_of_kind(facts, "model-move")).tolist():
        spans = audit.spans
        begin, end = np.searchsorted(
            copies.time_ns, [int(spans.start_ns[row]), int(spans.end_ns[row]) + 1]
        )
        mine = copies.thread[begin:end] == spans.thread[row]
        out[begin:end] |= mine & (copies.process[begin:end] == spans.process[row])
    return out


def _of_kind(facts: Facts, *kinds: str) -> npt.NDArray[np.bool_]:
    known = [i for i, text in enumerate(facts.audit.strings) if text in kinds]
    return np.isin(facts.audit.spans.kind, known)


def _by_stack(copies: Copies, rows: Rows) -> Iterator[Rows]:
    """``rows`` of one site by stack, thread and direction; fewer than eight are left out."""
    stack = copies.stack[rows]
    for value in np.flatnonzero(np.bincount(stack + 1) >= _LEAST).tolist():
        mine = rows[stack == value - 1] if value else rows[:0]
        for thread in np.unique(copies.thread[mine]).tolist():
            own = mine[copies.thread[mine] == thread]
            for direction in (H2D, D2H):
                part = own[copies.direction[own] == direction]
                if len(part) >= _LEAST:
                    yield part


class _Work:
    """When a thread did something else: called a model, copied the other way, left a loop."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        spans = facts.audit.spans
        self._spans = np.flatnonzero(_of_kind(facts, *_WORK))
        self._known: dict[tuple[int, int], Ints] = {}
        self._span_thread = spans.thread[self._spans]

    def _times(self, thread: int, direction: int) -> Ints:
        """Times of work spans and of copies the other way on ``thread``."""
        audit = self._facts.audit
        copies, spans = audit.copies, audit.spans
        key = thread, direction
        if key not in self._known:
            mine = self._spans[self._span_thread == thread]
            other = (copies.thread == thread) & (copies.direction == D2H - direction)
            self._known[key] = np.sort(
                np.concatenate([spans.start_ns[mine], copies.time_ns[other]])
            )
        return self._known[key]

    def runs(self, rows: Rows, loop: Loop | None = None) -> tuple[Rows, Ints]:
        """``rows`` of one stack that lie in runs of eight at least, and the length of each run.

        A run ends where the thread did something else in between; with ``loop`` also where it was
        seen outside of it.
        """
        audit = self._facts.audit
        copies, first = audit.copies, rows[0]
        time = copies.time_ns[rows]
        thread, direction = int(copies.thread[first]), int(copies.direction[first])
        cut = np.diff(copies.step[rows]) != 0
        cut |= np.diff(np.searchsorted(self._times(thread, direction), time)) != 0
        if loop is not None:
            begin, end = int(rows[0]), int(rows[-1]) + 1
            outside = np.array([loop.left(frames) for frames in audit.stacks], dtype=np.bool_)
            stack = copies.stack[begin:end]
            left = (stack >= 0) & (copies.thread[begin:end] == thread)
            left &= outside[np.maximum(stack, 0)]
            cut |= np.diff(np.cumsum(left, dtype=np.int32)[rows - begin]) != 0
        edges = np.concatenate([[0], np.flatnonzero(cut) + 1, [len(rows)]])
        sizes = np.diff(edges)
        many = sizes >= _LEAST
        return rows[np.repeat(many, sizes)], sizes[many]


def _judge(facts: Facts, work: _Work, group: Group) -> Execution | None:
    """The executions of the loop around one stack; None where it is no loop of small copies."""
    if not len(work.runs(group.rows)[0]):
        return None
    audit = facts.audit
    stack = audit.stacks[int(audit.copies.stack[group.rows[0]])]
    user = group.site.user
    loop = loop_of(facts.sources, stack[stack.index(user) :]) if user in stack else None
    if loop is None or turns_are_steps(facts.sources, loop):
        return None
    if int(audit.copies.direction[group.rows[0]]) == D2H and not loop.is_comprehension:
        call = facts.call(group.index)
        use = use_of(call, facts.framework) if call else None
        scalar = int(audit.copies.bytes[group.rows].max()) <= TINY_BYTES
        if use is None or use.kind in _DECIDES or (scalar and use.kind is UseKind.FRAMEWORK):
            return None
    rows, sizes = work.runs(group.rows, loop)
    if not len(rows):
        return None
    return Execution(Group(group.index, group.site, rows), loop, sizes)


class SmallCopies:
    """Many small copies, one by one, where one copy would do.

    What it does
        Finds at least eight copies of less than 64 KiB in one direction that one execution of a
        loop or comprehension makes inside a step.  Executions are told from one another by what
        happens in between; a loop whose turns call the model, copy the other way, or step an
        optimizer or an environment is not one.

    Why it costs
        Each copy costs a call and, from or to pageable memory, a wait of about ten microseconds,
        however few bytes it carries.  One copy of all of them costs that once.

    Example:
        ::

            features = torch.stack([sample.to(device) for sample in samples])

    Use instead
        ::

            features = torch.stack(samples).to(device)

    When it is fine
        When a model is moved in setup, or when each turn needs the result of the turn before
        (neither is reported).  Tensors of different shapes can be packed: flatten and ``cat`` them,
        copy once, ``split`` on the other side.
    """

    code = "PA106"
    name = "small-copies"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site, whatever called it."""
        by_site: dict[int, list[Execution]] = {}
        for made in facts.once(small_copies):
            by_site.setdefault(made.group.index, []).append(made)
        for executions in by_site.values():
            yield self._finding(facts, executions)

    def _finding(self, facts: Facts, executions: list[Execution]) -> Finding:
        audit, copies = facts.audit, facts.audit.copies
        rows = np.sort(np.concatenate([made.group.rows for made in executions]))
        sizes = np.concatenate([made.sizes for made in executions])
        group, loop = executions[0].group, executions[0].loop
        recurrence = facts.recurrence(copies, rows)
        upload = int(copies.direction[rows[0]]) == H2D
        device = audit.text(int((copies.dst_device if upload else copies.src_device)[rows[0]]))
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "this line"
        many, largest = int(np.median(sizes)), size_words(int(copies.bytes[rows].max()))
        verb = f"uploads {many} tensors to" if upload else f"downloads {many} tensors from"
        frame = loop.frame
        away = frame.file != group.site.user.file if group.site.user else False
        elsewhere = f" of {frame.function}" if away else ""
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=Severity.WARNING if recurrence.often else Severity.INFO,
            certainty=Certainty.PROVEN if loop.is_comprehension else Certainty.LIKELY,
            message=(
                f"{text} {verb} {device} one by one, "
                f"each at most {largest}, whenever {loop.words}{elsewhere} runs, "
                f"{recurrence.words}"
            ),
            fix=_fix(call, loop, copies, rows, len(sizes)),
            related=[("repeated here", frame)] if frame != group.site.user else [],
            evidence=[
                Evidence(
                    "executions",
                    f"{plural(len(sizes), 'execution')} of the {loop.words.split()[1]} made "
                    f"{int(sizes.min())} to {int(sizes.max())} such copies each, with no model "
                    "call and no copy the other way in between",
                )
            ],
        )


def _fix(call: CallSite | None, loop: Loop, copies: Copies, rows: Rows, executions: int) -> str:
    alike = len(np.unique(copies.shape[rows])) == 1
    if int(copies.direction[rows[0]]) == D2H:
        storages = np.unique(copies.src_storage[rows])
        parts = storages[0] >= 0 and len(storages) <= executions
        return _download_fix(call, loop, alike=alike, parts=bool(parts))
    upload = upload_at(call) if call else None
    if call is None or upload is None:
        return "collect the tensors on the host and upload them as one"
    device = upload.device or "device"
    if not alike:
        return (
            "pack them: `torch.cat([t.flatten() for t in tensors])` on the host, one "
            f"`.to({device})`, then `split` and `view` on the device"
        )
    made = _each(call, upload.subject, loop)
    return f"stack them on the host and upload once: `torch.stack({made}).to({device})`"


def _download_fix(call: CallSite | None, loop: Loop, *, alike: bool, parts: bool) -> str:
    """``parts``: what one execution downloads are parts of one tensor."""
    node = call.node if call else None
    subject: ast.expr | None = None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        subject = node.func.value
    elif isinstance(node, ast.Call) and len(node.args) == 1:
        subject = node.args[0]
    if call is None or subject is None or not isinstance(node, ast.Call):
        return "collect the tensors on the device and download them as one"
    if not alike:
        return (
            "pack them: `torch.cat([t.flatten() for t in tensors])` on the device, one `.cpu()`, "
            "then `split` and `view` on the host"
        )
    made = _each(call, subject, loop)
    moved = isinstance(node.func, ast.Attribute) and node.func.attr in {"cpu", "to"}
    read = "cpu" if moved else "tolist"
    if parts and made.isidentifier():
        return f"these are parts of one tensor: download it whole, once: `{made}.{read}()`"
    return f"stack them on the device and download once: `torch.stack({made}).{read}()`"


def _each(call: CallSite, subject: ast.expr, loop: Loop) -> str:
    """The tensors of one execution as an expression: ``[t for t in tensors]`` or a plain name."""
    text, node = call.file.quote(subject), loop.node
    if loop.file is not call.file:
        return "tensors"
    if isinstance(node, ast.For):
        generators = f"for {call.file.quote(node.target)} in {call.file.quote(node.iter)}"
        same = call.file.quote(node.target) == text
        return call.file.quote(node.iter) if same else f"[{text} {generators}]"
    if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp):
        (first, *more) = node.generators
        if not more and not first.ifs and call.file.quote(first.target) == text:
            return call.file.quote(first.iter)
        generators = " ".join(ast.unparse(g).strip() for g in node.generators)
        return f"[{text} {generators}]"
    return "tensors"
