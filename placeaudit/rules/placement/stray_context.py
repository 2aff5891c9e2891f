"""PA308: a process that initialised a device on which it runs nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import numpy as np

from placeaudit.model import Certainty, Evidence, Finding, Frame, Phase, Severity
from placeaudit.rules.base import size_words
from placeaudit.rules.facts import Facts, Rows

__all__ = ["StrayContext"]

#: The allocator hands out memory in blocks of this size: what was asked for is counted rounded up.
_BLOCK_BYTES: Final = 512
#: A seed, a first tensor to wake the device up: nobody computes with so little.
_SCRAP_BYTES: Final = 16 * 1024


class StrayContext:
    """A process that initialises a device on which it runs nothing.

    What it does
        Compares the devices that each process had initialised when it ended with those it computed
        on.  A device that only received a checkpoint, was only synchronised, or was only chosen,
        counts as one it runs nothing on.

    Why it costs
        Each process takes some hundred megabytes of every device it initialises.  With eight
        processes that all touch ``cuda:0`` first, that device runs out of memory before the others.

    Example:
        ::

            state = torch.load("checkpoint.pt")  # saved from cuda:0, by every rank
            model.to(f"cuda:{rank}").load_state_dict(state)

    Use instead
        ::

            state = torch.load("checkpoint.pt", map_location="cpu")
            model.to(f"cuda:{rank}").load_state_dict(state)

    When it is fine
        Where the process is about to use the device later.
    """

    code = "PA308"
    name = "stray-context"
    severity = Severity.INFO

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each process and device."""
        audit = facts.audit
        for process, contexts in enumerate(audit.meta.contexts):
            for device, allocated in (contexts or {}).items():
                index = audit.strings.index(device) if device in audit.strings else -1
                events = _Events(facts, process, index)
                # More memory than loaded state takes may have been computed with: operations are
                # not recorded.  Scraps are none where the work is plainly on another device.
                spare = _SCRAP_BYTES if _works_elsewhere(facts, process, device, contexts) else 0
                if events.works or allocated > events.loaded_bytes + spare:
                    continue
                yield self._finding(facts, process, device, allocated, events)

    def _finding(
        self, facts: Facts, process: int, device: str, allocated: int, events: _Events
    ) -> Finding:
        audit = facts.audit
        first = next(events.frames(), None)
        frame = first or Frame("", "", 0)
        copied = int(audit.copies.bytes[events.loaded].sum())
        why = (
            f"only {size_words(copied)} went there, before the steps"
            if copied
            else ("nothing was computed there")
        )
        return Finding(
            rule=self.code,
            name=self.name,
            severity=Severity.INFO,
            certainty=Certainty.LIKELY,
            message=(
                f"process {audit.meta.processes[process]} initialised {device} but runs nothing "
                f"on it: {why}"
            ),
            fix=(
                'load with `map_location="cpu"`, or to the device of this process'
                if copied
                else "choose the device of this process first, `torch.cuda.set_device(…)`, or hide "
                "the others from it with CUDA_VISIBLE_DEVICES"
            ),
            file=frame.file,
            line=frame.line,
            end_line=frame.end_line,
            col=frame.col,
            function=frame.function,
            count=1,
            bytes=copied,
            dst=device,
            evidence=(Evidence("contexts", f"{size_words(allocated)} were allocated on {device}"),),
        )


def _works_elsewhere(
    facts: Facts, process: int, device: str, contexts: Mapping[str, int] | None
) -> bool:
    """Whether the process plainly computes on another one of its devices."""
    known = facts.audit.strings
    return any(
        other != device and other in known and _Events(facts, process, known.index(other)).works
        for other in contexts or {}
    )


class _Events:
    """What one process did on one device."""

    def __init__(self, facts: Facts, process: int, device: int) -> None:
        self._audit = facts.audit
        copies, waits, rows = self._audit.copies, self._audit.waits, self._audit.placements
        there = (copies.process == process) & (device >= 0)
        arriving = there & (copies.dst_device == device)
        saving = copies.phase == int(Phase.CHECKPOINT)
        #: Copies of loaded state to the device, and scraps that went there before the steps.
        scraps = arriving & ~copies.steady & (copies.bytes <= _SCRAP_BYTES)
        if copies.bytes[scraps].sum() > _SCRAP_BYTES:
            scraps &= False
        self.loaded: Rows = np.flatnonzero(arriving & (saving | scraps))
        explicit = np.array(
            ["synchronize" in t or "empty_cache" in t for t in self._audit.strings], dtype=np.bool_
        )
        waited = (waits.process == process) & (waits.device == device) & (waits.copy < 0)
        asked = waited & (waits.cause >= 0) & explicit[waits.cause] if len(waits) else waited
        self._asked: Rows = np.flatnonzero(asked)
        # What was loaded there and is then moved on to where it is used is no work either.
        loaded = np.isin(copies.src_storage, copies.dst_storage[self.loaded])
        leaving = there & (copies.src_device == device) & ~(saving | loaded)
        placed = (rows.process == process) & (rows.device == device)
        #: Whether it computed anything there, as far as the record shows.
        self.works = device >= 0 and bool(
            (arriving & ~(saving | scraps)).any()
            or leaving.any()
            or (waited & ~asked).any()
            or placed.any()
        )

    @property
    def loaded_bytes(self) -> int:
        """Memory that the loaded state took there."""
        sizes = self._audit.copies.bytes[self.loaded]
        return int(((sizes + _BLOCK_BYTES - 1) // _BLOCK_BYTES * _BLOCK_BYTES).sum())

    def frames(self) -> Iterator[Frame]:
        """Where the device was touched, the first such line first."""
        audit = self._audit
        touched = [(int(audit.copies.time_ns[r]), int(audit.copies.site[r])) for r in self.loaded]
        touched += [(int(audit.waits.time_ns[r]), int(audit.waits.site[r])) for r in self._asked]
        for _, site in sorted(touched):
            frame = audit.sites[site].frame
            if frame is not None:
                yield frame
