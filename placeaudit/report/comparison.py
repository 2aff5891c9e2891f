"""Two runs side by side: figures before and after, findings that are new and that are gone."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from placeaudit.errors import UsageError
from placeaudit.model import Direction
from placeaudit.report.base import Result
from placeaudit.report.summary import recurring
from placeaudit.verdict.baseline import Key, stray_keys
from placeaudit.verdict.paths import ProjectPaths

__all__ = ["FIGURES", "Comparison", "Exceeded", "Figure", "Threshold", "compare"]

Unit = Literal["", "bytes", "s"]

_PER_STEP: Final = "_per_step"
_BASES: Final[Mapping[str, Unit]] = {
    "copies": "",
    "bytes": "bytes",
    "waits": "",
    "blocked_s": "s",
    **{f"{d.value}_copies": "" for d in Direction},
    **{f"{d.value}_bytes": "bytes" for d in Direction},
    **{f"{d.value}_waits": "" for d in Direction},
    "call_waits": "",
}
#: Every figure that runs are compared by, with its unit.  ``…_per_step`` counts what recurs in the
#: steps; ``call_waits`` are waits that no copy makes; findings are those of warning and above.
FIGURES: Final[Mapping[str, Unit]] = {
    **_BASES,
    **{f"{name}{_PER_STEP}": unit for name, unit in _BASES.items()},
    "findings": "",
    "new_findings": "",
}

_SCALES: Final[Mapping[Unit, Mapping[str, float]]] = {
    "": {"": 1},
    "bytes": {
        "": 1, "B": 1, "KB": 1e3, "MB": 1e6, "GB": 1e9,
        "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30,
    },
    "s": {"": 1, "S": 1, "MS": 1e-3, "US": 1e-6, "NS": 1e-9},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both runs; None where it was not measured or does not apply."""

    name: str
    before: float | None
    after: float | None

    @property
    def unit(self) -> Unit:
        """In what it counts: ``"bytes"``, ``"s"``, or ``""`` for a number."""
        return FIGURES[self.name]

    @property
    def ratio(self) -> float | None:
        """How much more it is after (0.05 = 5 %); None where there was nothing before."""
        if not self.before or self.after is None:
            return None
        return self.after / self.before - 1


@dataclass(frozen=True, slots=True)
class Threshold:
    """How much more of a figure is too much: a share of what was before, or an amount."""

    text: str
    name: str
    amount: float
    is_share: bool

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """``"h2d_bytes:5%"``, ``"bytes:1MiB"``, ``"blocked_s:2ms"``, ``"waits"`` (any more at all).

        Raises:
            UsageError: The figure is not known (the nearest is named) or the amount makes no sense.
        """
        name, _, amount = (part.strip() for part in text.partition(":"))
        name = name.replace("-", "_")
        if name not in FIGURES:
            near = difflib.get_close_matches(name, FIGURES, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(_BASES)}, findings"
            raise UsageError(f"there is no figure {name!r} to fail on; {hint}")
        if not amount and ":" not in text:
            return cls(text, name, 0.0, is_share=False)
        match = re.fullmatch(r"(\d+(?:\.\d+)?(?:e-?\d+)?)\s*(%|[A-Za-z]*)", amount)
        scales = _SCALES[FIGURES[name]]
        if match is None or (match[2] != "%" and match[2].upper() not in scales):
            units = ", ".join(filter(None, scales)) or "none"
            raise UsageError(
                f"{text!r} names no threshold: a number, as a share (5%) or with a unit ({units})"
            )
        if match[2] == "%":
            return cls(text, name, float(match[1]) / 100, is_share=True)
        return cls(text, name, float(match[1]) * scales[match[2].upper()], is_share=False)

    def exceeded_by(self, figure: Figure) -> bool:
        """Whether the figure grew by more than this."""
        assert figure.before is not None
        assert figure.after is not None
        allowed = figure.before * self.amount if self.is_share else self.amount
        # Sums of floating-point seconds are never quite equal.
        return figure.after - figure.before > allowed + 1e-12


@dataclass(frozen=True, slots=True)
class Exceeded:
    """A threshold that the later run went beyond."""

    threshold: Threshold
    figure: Figure


@dataclass(frozen=True, slots=True)
class Comparison:
    """What became of a run."""

    before: Result
    after: Result
    figures: Mapping[str, Figure]
    #: Stray findings by baseline key: those only one of the runs has, with how many.
    new: Mapping[Key, int]
    fixed: Mapping[Key, int]
    #: What makes some figures hard to compare.
    notices: tuple[str, ...]

    def exceeded(self, thresholds: Sequence[Threshold]) -> tuple[Exceeded, ...]:
        """The thresholds that were exceeded.

        Raises:
            UsageError: One is about a figure that cannot be compared: not measured in one of the
                runs, or measured in one and modelled in the other.
        """
        found = []
        for threshold in thresholds:
            figure = self.figures[threshold.name]
            for value, result in ((figure.before, self.before), (figure.after, self.after)):
                if value is None:
                    raise UsageError(
                        f"cannot fail on {threshold.name}: it was not measured in "
                        f"{result.audit.meta.path}"
                    )
            bases = [result.summary.basis for result in (self.before, self.after)]
            if figure.unit == "s" and bases[0] != bases[1]:
                raise UsageError(
                    f"cannot fail on {threshold.name}: it is {bases[0]} in one run and {bases[1]} "
                    "in the other"
                )
            if threshold.exceeded_by(figure):
                found.append(Exceeded(threshold, figure))
        return tuple(found)


def compare(before: Result, after: Result, paths: ProjectPaths) -> Comparison:
    """Hold two runs against each other."""
    keys = [
        Counter(stray_keys([(result.audit.meta.cwd, result.findings)], paths))
        for result in (before, after)
    ]
    new, fixed = keys[1] - keys[0], keys[0] - keys[1]
    values = [_values(before), _values(after)]
    figures = {name: Figure(name, values[0].get(name), values[1].get(name)) for name in FIGURES}
    # Where one of the runs saw nothing, nobody can say what is new.
    both = None not in {values[0]["findings"], values[1]["findings"]}
    figures["new_findings"] = Figure("new_findings", 0, sum(new.values()) if both else None)
    return Comparison(before, after, figures, new, fixed, tuple(_notices(before, after)))


def _values(result: Result) -> dict[str, float | None]:
    """The figures of one run; those that could not be observed are left out."""
    audit, summary = result.audit, result.summary
    if result.headline.state == "unknown":
        return {"findings": None}
    values: dict[str, float | None] = {"findings": summary.strays}
    copies, waits = audit.copies, audit.waits
    steps = len(audit.steps)
    # By code of the direction; the last entry is what -1 ("no copy made it") picks.
    way = np.append(copies.direction, len(Direction))[waits.copy]
    often = recurring(copies)
    again = np.isin(waits.site, np.unique(waits.site[waits.steady]))
    for suffix, crossing, waiting, share in (
        ("", np.ones(len(copies), np.bool_), np.ones(len(waits), np.bool_), 1),
        (_PER_STEP, often, again, steps),
    ):
        if not share:
            continue
        found: dict[str, float] = {}
        for code, direction in enumerate(Direction):
            mask = crossing & (copies.direction == code)
            found[f"{direction.value}_copies"] = float(np.count_nonzero(mask))
            found[f"{direction.value}_bytes"] = float(copies.bytes[mask].sum())
            found[f"{direction.value}_waits"] = float(np.count_nonzero(waiting & (way == code)))
        found["call_waits"] = float(np.count_nonzero(waiting & (way == len(Direction))))
        found["copies"] = float(np.count_nonzero(crossing))
        found["bytes"] = float(copies.bytes[crossing].sum())
        found["waits"] = float(np.count_nonzero(waiting))
        found["blocked_s"] = float(waits.blocked_ns[waiting].sum()) / 1e9
        values |= {f"{name}{suffix}": value / share for name, value in found.items()}
    return values


def _notices(before: Result, after: Result) -> list[str]:
    found = [
        f"{result.audit.meta.path}: {result.headline.text}"
        for result in (before, after)
        if result.headline.state == "unknown"
    ]
    steps = [result.summary.steps for result in (before, after)]
    if steps[0] != steps[1]:
        found.append(
            f"{steps[0]} steps before and {steps[1]} after: totals differ for that alone, figures "
            "a step (…_per_step) do not"
        )
    bases = [result.summary.basis for result in (before, after)]
    if bases[0] != bases[1]:
        found.append(f"times are {bases[0]} before and {bases[1]} after: they do not compare")
    return found
