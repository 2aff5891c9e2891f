"""PA303: one leaf module on several devices, or fed from another one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from placeaudit.analyze.audit import D2H
from placeaudit.model import Certainty, Evidence, Finding, Phase, Severity
from placeaudit.rules.base import finding, plural, recurs
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.placement.census import Placed, census, placed_finding
from placeaudit.rules.transfers import host_created
from placeaudit.rules.transfers.duplicate_upload import duplicate_uploads
from placeaudit.rules.transfers.round_trip import round_trips
from placeaudit.rules.waits.blocking_pinned import blocking_pinned
from placeaudit.rules.waits.host_index import host_indices

__all__ = ["SplitModule"]

_NAMED: Final = 3
#: Large pageable uploads are PA202's, which stands at the same line.
_LARGE_BYTES: Final = 64 * 1024


class SplitModule:
    """A leaf module whose parameters are on several devices, or whose input comes from another.

    What it does
        Finds modules without children whose parameters and buffers of more than one element live on
        different devices, and modules whose input arrives from another device in every call and is
        moved inside ``forward``.

    Why it costs
        The forward pass has to copy in every call, which is easy to overlook: nothing in the
        training loop shows it.

    Example:
        ::

            self.register_buffer("mean", mean)  # made after the model was moved
            …
            def forward(self, x):
                return self.layer(x.to(self.layer.weight.device)) - self.mean.to(x.device)

    Use instead
        ::

            model = Model(mean).to(device)
            for x in loader:
                model(x.to(device))

    When it is fine
        Model parallelism between modules, each whole on its device, is not reported.
    """

    code = "PA303"
    name = "split-module"
    severity = Severity.INFO

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each split leaf module, one for each line that moves inputs."""
        yield from self._split(facts)
        yield from self._fed(facts)

    def _split(self, facts: Facts) -> Iterator[Finding]:
        roots: dict[tuple[int, int], dict[str, list[Placed]]] = defaultdict(
            lambda: defaultdict(list)
        )
        for placed in facts.once(census):
            if placed.kind in {"parameter", "buffer"}:
                leaf = placed.name.rpartition(".")[0]
                roots[placed.identity][leaf].append(placed)
        seen: set[tuple[str, str]] = set()
        for leaves in roots.values():
            for leaf, tensors in leaves.items():
                has_children = any(
                    other != leaf and (not leaf or other.startswith(f"{leaf}.")) for other in leaves
                )
                large = [placed for placed in tensors if placed.elements > 1]
                key = large[0].owner if large else "", leaf
                if not has_children and len({p.device for p in large}) > 1 and key not in seen:
                    seen.add(key)
                    yield self._split_finding(facts, leaf, large)

    def _split_finding(self, facts: Facts, leaf: str, tensors: list[Placed]) -> Finding:
        homes: dict[str, list[str]] = defaultdict(list)
        for placed in tensors:
            homes[placed.device].append(placed.name.rpartition(".")[2])
        ordered = sorted(homes.items(), key=lambda item: -len(item[1]))
        where = "; ".join(
            f"{', '.join(f'`{name}`' for name in names[:_NAMED])} on {device}"
            for device, names in ordered
        )
        odd = [name for _, names in ordered[1:] for name in names]
        module = f"`{leaf}` of {tensors[0].owner}" if leaf else tensors[0].owner
        return placed_finding(
            self,
            facts,
            tensors,
            severity=Severity.INFO,
            message=f"{module} is split over devices: {where}",
            fix=(
                f"move {', '.join(f'`{name}`' for name in odd[:_NAMED])} to {ordered[0][0]}: "
                "register it as a parameter or buffer before the module is moved"
            ),
            module=leaf,
            evidence=[Evidence("census", f"{plural(len(tensors), 'tensor')} of one leaf module")],
        )

    def _fed(self, facts: Facts) -> Iterator[Finding]:
        """Copies in forward of what the census saw arrive from another device in every call."""
        audit, copies = facts.audit, facts.audit.copies
        arriving = _arriving(facts)
        if not arriving:
            return
        forward = np.isin(copies.phase, [int(Phase.FORWARD), int(Phase.EVALUATION)])
        usable = forward & (copies.direction != D2H) & (copies.module >= 0)
        usable &= (copies.backward == 0) & ~_explained(facts)
        for group in facts.groups(copies, np.flatnonzero(usable)):
            keys = {
                tuple(audit.text(int(column[row])) for column in _columns(facts))
                for row in group.rows.tolist()
            }
            if keys & arriving and recurs(facts, copies, group.rows):
                yield self._fed_finding(facts, group)

    def _fed_finding(self, facts: Facts, group: Group) -> Finding:
        audit, rows = facts.audit, group.rows
        copies = audit.copies
        source = audit.text(int(copies.src_device[rows[0]]))
        device = audit.text(int(copies.dst_device[rows[0]]))
        call = facts.call(group.index)
        text = f"`{call.text}`" if call else "forward"
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=Severity.INFO,
            certainty=Certainty.LIKELY,
            message=(
                f"{text} moves an input of the module from {source} to {device} inside its "
                f"forward, {facts.recurrence(copies, rows).words}"
            ),
            fix=(
                "move it before the call, where the batch is made: there it can come from pinned "
                "memory and overlap with the work before"
            ),
            evidence=[
                Evidence("census", f"the module's input arrives on {source}, its parameters not")
            ],
        )


def _columns(facts: Facts) -> tuple[np.ndarray[tuple[int], np.dtype[np.int32]], ...]:
    copies = facts.audit.copies
    return copies.src_device, copies.dst_device, copies.shape, copies.src_dtype


def _arriving(facts: Facts) -> set[tuple[str, ...]]:
    """``(from, to, shape, dtype)`` of inputs of modules that are whole on another device."""
    homes: dict[tuple[int, int], set[str]] = defaultdict(set)
    buffers: dict[tuple[int, int], set[str]] = defaultdict(set)
    inputs: dict[tuple[int, int], list[Placed]] = defaultdict(list)
    for placed in facts.once(census):
        if placed.kind == "parameter":
            homes[placed.identity].add(placed.device)
        elif placed.kind == "buffer" and placed.elements > 1:
            buffers[placed.identity].add(placed.device)
        elif placed.kind == "input":
            inputs[placed.identity].append(placed)
    for identity, devices in buffers.items():
        homes[identity] = homes[identity] or devices
    return {
        (placed.device, home, placed.shape, placed.dtype)
        for identity, found in inputs.items()
        if len(homes[identity]) == 1
        for home in homes[identity]
        for placed in found
        if placed.device != home and placed.elements > 1
    }


def _explained(facts: Facts) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Copies of which another rule says what matters more."""
    copies = facts.audit.copies
    out = facts.once(round_trips).uploads | facts.once(duplicate_uploads).repeats
    out |= facts.once(host_created.explained) | facts.once(host_indices)
    out |= facts.once(blocking_pinned)
    large = copies.waits & ~copies.pinned & (copies.bytes >= _LARGE_BYTES)
    return np.asarray(out | large)
