"""PA301: optimizer state on another device than its parameter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from placeaudit.model import Evidence, Finding, Frame, Severity, is_host
from placeaudit.rules.base import plural, size_words
from placeaudit.rules.facts import Facts, Rows
from placeaudit.rules.placement.census import Placed, census, placed_finding

__all__ = ["OptimizerState"]

#: TensorFlow names its devices so.
_KERAS: Final = (
    "build the optimizer under the scope of its variables: `with tf.device(variable.device): "
    "optimizer.build(variables)`, or leave that to its first step"
)
#: State of a plug-in in a pipeline over vectors, as declearn's; compared with the gradients.
_PLUGIN: Final = "plugin-state"
_NOTHING: Final = np.zeros(0, dtype=np.int64)
_KINDS: Final = frozenset({"optimizer-state", _PLUGIN})


class OptimizerState:
    """Optimizer state of more than one element on another device than its parameter.

    What it does
        Compares, after each optimizer step, where the state of every parameter lives with where
        the parameter lives.  A state of one element on the host, as the step counter of Adam, is
        right there.

    Why it costs
        The optimizer either fails or brings gradients or state across in every step, once for each
        parameter.

    Example:
        ::

            state["average"] = torch.zeros(parameter.shape)

    Use instead
        ::

            state["average"] = torch.zeros_like(parameter)

    When it is fine
        Where state is offloaded on purpose, to save device memory: then silence the line.
    """

    code = "PA301"
    name = "optimizer-state-off-device"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each optimizer, call of ``step()`` and pair of devices."""
        groups: dict[tuple[str, str, int, str, str], list[Placed]] = defaultdict(list)
        for placed in facts.once(census):
            off = placed.expected and placed.device != placed.expected
            if placed.kind in _KINDS and off and placed.elements > 1:
                key = placed.kind, placed.owner, placed.site, placed.device, placed.expected
                groups[key].append(placed)
        for (_, owner, _, device, expected), found in groups.items():
            yield self._finding(facts, owner, device, expected, found)

    def _finding(
        self, facts: Facts, owner: str, device: str, expected: str, found: list[Placed]
    ) -> Finding:
        names = sorted({placed.name.rpartition(".")[2] for placed in found})
        which = ", ".join(f"`{name}`" for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004
        size = sum(max(0, placed.bytes) for placed in found)
        whose = "gradients" if found[0].kind == _PLUGIN else "parameters"
        parameters = {placed.name.rpartition(".")[0] for placed in found}
        met = _met(facts, found[0], set(names)) if found[0].kind == _PLUGIN else _NOTHING
        related = _came_from(facts, met, set(names))
        made = placed_finding(
            self,
            facts,
            found,
            severity=Severity.WARNING,
            message=(
                f"{owner} keeps {which}{more} of {plural(len(parameters), 'parameter')} "
                f"({size_words(size)}) on {device} although the {whose} are on {expected}"
                f"{_cost(facts, met)}"
            ),
            fix=_fix(found[0], related),
            evidence=[
                Evidence("census", f"{plural(len(found), 'state tensor')} off the {whose}' device")
            ],
        )
        return replace(made, related=tuple(related))


def _met(facts: Facts, placed: Placed, names: set[str]) -> Rows:
    """The operations in which these states of a plug-in met vectors on another device.

    Plug-ins of one class are told apart by the line that runs them.
    """
    audit, vectors = facts.audit, facts.audit.vectors
    mine = [i for i, text in enumerate(audit.strings) if text == placed.owner]
    states = [i for i, text in enumerate(audit.strings) if text in names]
    takes = np.isin(vectors.left_state, states) | np.isin(vectors.right_state, states)
    frame = audit.sites[placed.site].frame
    here = [i for i, site in enumerate(audit.sites) if site.frame == frame]
    met = np.flatnonzero((vectors.apart > 0) & np.isin(vectors.plugin, mine) & takes)
    at_line = met[np.isin(vectors.site[met], here)]
    return at_line if len(at_line) else met


def _cost(facts: Facts, met: Rows) -> str:
    """What those operations copied, a step where steps can be told."""
    copies = facts.audit.copies
    rows = np.flatnonzero(np.isin(facts.vector_copies.made, met)) if len(met) else _NOTHING
    if not len(rows):
        return ""
    size, steps = int(copies.bytes[rows].sum()), len(facts.audit.steps)
    if steps < 2:  # noqa: PLR2004  (one step is no rate)
        return f": {plural(len(rows), 'copy', 'copies')} of {size_words(size)} in all"
    return f": {size_words(round(size / steps))} cross a step"


def _came_from(facts: Facts, met: Rows, names: set[str]) -> list[tuple[str, Frame]]:
    """Where a plug-in's state was made and restored."""
    audit, vectors = facts.audit, facts.audit.vectors
    found: dict[Frame, str] = {}
    for row in met.tolist():
        is_left = audit.text(int(vectors.left_state[row])) in names
        origin = vectors.left_origin if is_left else vectors.right_origin
        made = vectors.left_made if is_left else vectors.right_made
        for site, text in (
            (made[row], f"{audit.text(int(origin[row]))} here"),
            (vectors.restored[row], "restored here"),
        ):
            frame = audit.sites[int(site)].frame
            if frame is not None:
                found.setdefault(frame, text)
    return [(text, frame) for frame, text in list(found.items())[:3]]


def _fix(placed: Placed, related: list[tuple[str, Frame]]) -> str:
    if placed.kind == _PLUGIN:
        places = [f"{text.removesuffix(' here')} at line {frame.line}" for text, frame in related]
        at = f" ({', '.join(places)})" if places else ""
        return (
            f"move the state to {placed.expected} once, before it is given to the plug-in by "
            f"`set_state`{at}: it is never moved later"
        )
    if placed.device.startswith("GPU:") or placed.expected.startswith("GPU:"):
        return _KERAS
    if is_host(placed.device):
        return (
            "create the state like its parameter, `torch.zeros_like(parameter)`, and move the "
            "model to its device before the optimizer's first step"
        )
    return (
        f"move the state to {placed.expected} along with its parameters: load it again with "
        "`optimizer.load_state_dict(optimizer.state_dict())`"
    )
