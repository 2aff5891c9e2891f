"""PA206: the host reads a download that nobody has waited for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import Ints
from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.lineage import COMPUTES
from placeaudit.analyze.readers import Read, Reading, reading_after, waiting_calls
from placeaudit.analyze.source import end, start
from placeaudit.model import Certainty, Evidence, Finding, Frame, Phase, Severity
from placeaudit.rules.base import finding, library_name, plural
from placeaudit.rules.facts import Facts, Group, Rows

__all__ = ["UnsafeDownload", "unsafe_downloads"]


#: Calls that may tell that a download is done, although no wait is recorded.
_UNRECORDED: Final = re.compile(r"\.(query|wait|barrier)\(")


@dataclass(frozen=True, slots=True)
class Unsafe:
    """Downloads of one site that are read before anything waited, and what reads them."""

    group: Group
    call: CallSite
    #: The expression that reads; where the source does not tell, ``operation`` did so.
    read: Read
    operation: str = ""


def unsafe_downloads(facts: Facts) -> tuple[Unsafe, ...]:
    """Sites of downloads that are read too early.

    The source says where the values are read first; the record says whether the thread waited for
    anything between the two.  Waits of a thread come in the order of its lines, so the first wait
    after the download tells: if it stands, in the same call of the same function, between the
    download and the read, the read is safe.
    """
    audit = facts.audit
    copies = audit.copies
    started = facts.downloads() & copies.non_blocking & ~copies.waits
    found = []
    for group in facts.groups(copies, np.flatnonzero(started)):
        call = facts.call(group.index)
        if call is None or group.site.user is None or group.site.library is not None:
            continue
        read = reading_after(call)
        if read.reading is Reading.UNKNOWN:
            rows, operation = _read_in_window(facts, group)
            if len(rows):
                found.append(Unsafe(Group(group.index, group.site, rows), call, read, operation))
        if read.reading is not Reading.HERE or read.node is None:
            continue
        if any(True for _ in waiting_calls(call.file, call.node, read.node)):
            continue
        rows = group.rows[_unwaited(facts, group, call, read)]
        if len(rows):
            found.append(Unsafe(Group(group.index, group.site, rows), call, read))
    return tuple(found)


def _read_in_window(facts: Facts, group: Group) -> tuple[Rows, str]:
    """Downloads that an operation of the window read before any wait, and that operation."""
    audit, lineage = facts.audit, facts.lineage
    operations, waits, copies = audit.operations, audit.waits, audit.copies
    if not lineage.complete or any(_UNRECORDED.search(text) for text in audit.sources.values()):
        return group.rows[:0], ""
    rows, name, seen = [], "", 0
    for row in group.rows.tolist():
        fate = lineage.fates.get(row)
        # What goes to a device again stays in the order of the stream.
        reads = [o for o, _ in fate.reads if operations.kind[o] == COMPUTES] if fate else []
        if not reads:
            continue
        seen += 1
        engine = waits.phase == int(Phase.BACKWARD)
        mine = waits.time_ns[(waits.thread == copies.thread[row]) | engine]
        after, read = int(copies.time_ns[row]), int(operations.time_ns[reads[0]])
        if not ((mine > after) & (mine < read)).any():
            rows.append(row)
            name = audit.text(int(operations.name[reads[0]]))
    # What holds of all that was seen holds of those outside the window.
    return (group.rows if len(rows) == seen > 0 else np.array(rows, dtype=np.int32)), name


def _unwaited(facts: Facts, group: Group, call: CallSite, read: Read) -> npt.NDArray[np.bool_]:
    """Of the downloads of one site: those with no wait between them and the read."""
    assert read.node is not None
    audit = facts.audit
    waits, copies = audit.waits, audit.copies
    user = group.site.user
    assert user is not None
    between = np.array(
        [_lies_between(stack, user, call, read) for stack in audit.stacks], dtype=np.bool_
    )
    # A wait in backward stands at its forward line, and the caller of backward() waits for it too:
    # where it comes first, nothing can be said.
    engine = waits.phase == int(Phase.BACKWARD)
    out = np.ones(len(group.rows), dtype=np.bool_)
    for thread in np.unique(copies.thread[group.rows]).tolist():
        mine = copies.thread[group.rows] == thread
        theirs = np.flatnonzero((waits.thread == thread) | engine)
        following = _next(waits.time_ns[theirs], copies.time_ns[group.rows[mine]])
        safe = np.zeros(int(mine.sum()), dtype=np.bool_)
        known = following < len(theirs)
        first = theirs[following[known]]
        stacks = waits.stack[first]
        safe[known] = engine[first] | (between[stacks] & (stacks >= 0))
        out[mine] = ~safe
    return out


def _next(times: Ints, after: Ints) -> Rows:
    """For each time the position of the first of ``times`` that is later."""
    return np.searchsorted(times, after, side="right")


def _lies_between(stack: tuple[Frame, ...], user: Frame, call: CallSite, read: Read) -> bool:
    """Whether a stack passes through the download's function between download and read."""
    assert read.node is not None
    for frame in stack:
        if frame.file == user.file and frame.function == user.function:
            at = (frame.line, max(frame.col, 0))
            # The read itself may wait: `float(host + loss.item())`.
            return end(call.node) <= (frame.end_line, frame.end_col) and at < max(
                start(read.node), end(read.node)
            )
    return False


class UnsafeDownload:
    """A non-blocking download that the host reads before anything waited for it.

    What it does
        Finds downloads with ``non_blocking=True`` whose host tensor is read although the thread
        waited for nothing in between: no ``synchronize()``, no event, no blocking copy, no
        ``.item()`` of a device tensor.  The read is found later in the same turn of the same
        function, or, wherever it is, by the operation window.

    Why it costs
        It costs correctness: the host reads memory that the device has not written yet, and gets
        zeros, or the values of a step before, now and then.

    Example:
        ::

            probs = logits.to("cpu", non_blocking=True)
            best = probs.argmax(-1)

    Use instead
        ::

            probs = logits.to("cpu", non_blocking=True)
            ...  # queue more work for the device
            torch.cuda.current_stream().synchronize()
            best = probs.argmax(-1)

    When it is fine
        Where an event or a stream is waited for in between (not reported).  What is returned or
        kept, and read by somebody else outside the window, is not judged.
    """

    code = "PA206"
    name = "unsafe-download"
    severity = Severity.ERROR

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site of such downloads, be it in steps or not."""
        for unsafe in facts.once(unsafe_downloads):
            yield self._finding(facts, unsafe)

    def _finding(self, facts: Facts, unsafe: Unsafe) -> Finding:
        group, read, call = unsafe.group, unsafe.read, unsafe.call
        assert group.site.user is not None
        copies = facts.audit.copies
        recurrence = facts.recurrence(copies, group.rows)
        reading, where, related = f"`{unsafe.operation}`", "the read", []
        if read.node is not None:
            line = start(read.node)[0]
            reading, where = f"`{call.file.quote(read.node)}` at line {line}", f"line {line}"
            user = group.site.user
            frame = Frame(
                user.file, user.function, line, end(read.node)[0], start(read.node)[1],
                end(read.node)[1],
            )  # fmt: skip
            related = [("read here", frame)]
        device = facts.audit.text(int(copies.src_device[group.rows[0]]))
        by = library_name(group.site)
        return finding(
            self,
            facts,
            copies,
            group.rows,
            severity=Severity.ERROR,
            certainty=Certainty.PROVEN if read.certain or unsafe.operation else Certainty.LIKELY,
            message=(
                f"`{call.text}` starts a download from {device} that {reading} "
                f"reads before anything waited for it, {recurrence.words}{by and f' (by {by})'}"
            ),
            fix=(
                f"wait before {where}: record an event after the download and `synchronize()` "
                "it there, or drop `non_blocking=True` here"
            ),
            related=related,
            evidence=[
                Evidence(
                    "order",
                    f"after {plural(len(group.rows), 'download')} the thread waited for nothing "
                    f"before {where}" + (" (operation window)" if unsafe.operation else ""),
                )
            ],
        )
