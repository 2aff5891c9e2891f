"""Numbers as people read them: bytes in binary units, times in SI units, grouped counts."""

from __future__ import annotations

from collections.abc import Sequence

from placeaudit.model import Estimate

__all__ = ["count", "duration", "estimated", "plural", "ranks", "rate", "sentence", "size"]

_BYTES_A_UNIT = 1024
_SHORT = 10
_LONG = 100


def _significant(value: float) -> str:
    """Three significant digits, without trailing zeros."""
    if value >= _LONG:
        return f"{value:.0f}"
    text = f"{value:.1f}" if value >= _SHORT else f"{value:.2f}"
    return text.rstrip("0").rstrip(".")


def size(number: float) -> str:
    """``1536`` as ``"1.5 KiB"``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(number) < _BYTES_A_UNIT:
            return f"{_significant(number)} {unit}"
        number /= _BYTES_A_UNIT
    return f"{_significant(number)} TiB"


def duration(seconds: float) -> str:
    """``0.00042`` as ``"420 µs"``; minutes from two on."""
    if seconds >= 2 * 60:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= scale:
            return f"{_significant(seconds / scale)} {unit}"
    return f"{seconds * 1e9:.0f} ns" if seconds else "0 s"


def count(number: int) -> str:
    """``12345`` as ``"12,345"``."""
    return f"{number:,}"


def plural(number: int, noun: str, many: str = "") -> str:
    """``(2, "copy", "copies")`` as ``"2 copies"``."""
    return f"{count(number)} {noun if number == 1 else many or noun + 's'}"


def ranks(numbers: Sequence[int]) -> str:
    """``(0,)`` as ``"rank 0"``, ``(0, 1, 2, 5)`` as ``"ranks 0–2, 5"``; "" where there are none."""
    if not numbers:
        return ""
    spans: list[list[int]] = []
    for number in sorted(numbers):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    texts = [f"{first}" if first == last else f"{first}–{last}" for first, last in spans]
    return f"rank{'s' if len(numbers) > 1 else ''} {', '.join(texts)}"


def rate(per_step: float | None) -> str:
    """``1.0`` as ``"1 a step"``, ``0.1`` as ``"once in 10 steps"``; "" where no step is known."""
    if per_step is None or per_step <= 0:
        return ""
    if per_step <= 0.5:  # noqa: PLR2004 - from here on "once in N steps" reads better
        return f"once in {round(1 / per_step):,} steps"
    return f"{_significant(per_step)} a step"


def estimated(estimate: Estimate) -> tuple[str, str]:
    """What a finding costs, as label and value.

    A bound is what a fix saves at most: ``("a fix saves", "at most 4 % (1.2 ms a step,
    measured)")``.  In simulation nothing tells how long the host would wait for work queued before,
    nor whether other work hides it, so what is waited for is a cost, not a saving: ``("costs",
    "1.2 ms a step (modelled on an idle h100; more behind queued work)")``.
    """
    seconds = f"{duration(estimate.saved_s)} a step"
    if not estimate.is_bound:
        model = estimate.basis.removeprefix("modelled on ")
        return "costs", f"{seconds} (modelled on an idle {model}; more behind queued work)"
    if estimate.ratio is None:
        return "a fix saves", f"at most {seconds} ({estimate.basis})"
    share = f"{_significant(100 * estimate.ratio)} %"
    return "a fix saves", f"at most {share} ({seconds}, {estimate.basis})"


def sentence(text: str) -> str:
    """``"costs 3 ms"`` as ``"Costs 3 ms."``."""
    return f"{text[:1].upper()}{text[1:]}."
