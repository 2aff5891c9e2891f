"""``assert_no_stray_copies``: a block that makes copies or waits it does not need fails."""

from __future__ import annotations

import inspect
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ContextDecorator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import Audit
from placeaudit.analyze.run import analyze
from placeaudit.errors import StrayCopyError, UsageError
from placeaudit.model import Direction, Finding
from placeaudit.report.units import count, plural, size
from placeaudit.rules.registry import codes, run_rules
from placeaudit.settings import Settings
from placeaudit.testing.recording import Block

__all__ = ["AssertNoStrayCopies", "Limits", "check", "transfers", "unobserved"]

_DIRECTIONS: Final = tuple(Direction)
#: Sites of transfers named where a limit was exceeded; the largest first.
_MOST_SITES: Final = 10


@dataclass(frozen=True, slots=True)
class Limits:
    """What a block may do."""

    #: Codes of rules whose findings do not count; None where no finding counts.
    allow: frozenset[str] | None = frozenset()
    max_bytes: int | None = None
    #: Pairs of how many copies and in which direction; None for all together.
    max_copies: tuple[tuple[int, Direction | None], ...] = ()

    @classmethod
    def of(
        cls,
        allow: Iterable[str] = (),
        max_copies: int | None = None,
        max_bytes: int | None = None,
    ) -> Limits:
        """The limits of ``assert_no_stray_copies``.

        Raises:
            UsageError: A code is not known, or a limit is no number of at least 0.
        """
        if isinstance(allow, str):
            raise UsageError(f"allow takes a list of rules: allow=[{allow!r}]")
        for name, limit in (("max_copies", max_copies), ("max_bytes", max_bytes)):
            _check_limit(name, limit)
        limited = () if max_copies is None else ((max_copies, None),)
        return cls(codes(tuple(allow)), max_bytes, limited)


def _check_limit(name: str, limit: object) -> None:
    if limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit >= 0):
        return
    raise UsageError(f"{name} is a number of at least 0, not {limit!r}")


def transfers(audit: Audit) -> npt.NDArray[np.intp]:
    """The rows of the copies that count: those not made in ``placeaudit.allow()``."""
    return np.flatnonzero(audit.copies.allowed < 0)


def check(audit: Audit, limits: Limits, found: Sequence[Finding] | None = None) -> None:
    """Hold what a block did against its limits.

    ``found`` are the findings of ``audit`` if they are known already.

    Raises:
        StrayCopyError: It made stray copies or waits, or more transfers than it may.
    """
    __tracebackhide__ = True  # pytest shows the sites, not this function
    copies, rows = audit.copies, transfers(audit)
    limited: list[str] = []
    but: list[str] = []
    details: list[str] = []
    strays: tuple[Finding, ...] = ()
    if limits.allow is not None:
        limited.append("no stray copies or waits")
        findings = run_rules(audit) if found is None else found
        strays = tuple(
            f for f in findings if f.is_stray and f.rule not in limits.allow and not _made_before(f)
        )
        if strays:
            but.append(f"found {plural(len(strays), 'stray finding')}")
            details += [line for finding in strays for line in _finding_lines(finding)]
    exceeded: list[npt.NDArray[np.intp]] = []
    for most, direction in limits.max_copies:
        name = f" {direction.value}" if direction else ""
        mine = rows
        if direction is not None:
            mine = rows[copies.direction[rows] == _DIRECTIONS.index(direction)]
        limited.append(plural(most, f"{name} copy".strip(), f"{name} copies".strip()))
        if len(mine) > most:
            but.append(f"made {count(len(mine))}{name if direction else ''}")
            exceeded.append(mine)
    if limits.max_bytes is not None:
        limited.append(size(limits.max_bytes))
        total = int(copies.bytes[rows].sum())
        if total > limits.max_bytes:
            but.append(f"copied {size(total)}")
            exceeded.append(rows)
    if not but:
        return
    if exceeded:
        details += _transfer_lines(audit, np.unique(np.concatenate(exceeded)))
    head = f"limited to {' and '.join(limited)} but {' and '.join(but)}"
    raise StrayCopyError("\n".join([head, *details]), strays)


def _made_before(finding: Finding) -> bool:
    """Whether a tensor was made before the block: a test's stand-in for data, not a stray.

    The source shows the factory next to the upload, but the block recorded no call of it.
    """
    return finding.rule == "PA103" and all(fact.kind != "birth" for fact in finding.evidence)


def _finding_lines(finding: Finding) -> list[str]:
    where = f"{_short(finding.file)}:{finding.line}"
    inside = f" in {finding.function}" if finding.function else ""
    return [
        f"  {where}{inside}: {finding.rule} {finding.name}: {finding.message}",
        f"      fix: {finding.fix}",
    ]


def _transfer_lines(audit: Audit, rows: npt.NDArray[np.intp]) -> list[str]:
    """The lines that made transfers, those with most copies first."""
    copies = audit.copies
    sites: dict[tuple[str, str], list[int]] = {}
    for row in rows.tolist():
        frame = audit.sites[int(copies.site[row])].frame
        where = "at a line that is not known"
        if frame is not None:
            where = f"{_short(frame.file)}:{frame.line} in {frame.function}"
        entry = sites.setdefault((where, _DIRECTIONS[int(copies.direction[row])].value), [0, 0])
        entry[0] += 1
        entry[1] += int(copies.bytes[row])
    ordered = sorted(sites.items(), key=lambda item: (-item[1][0], -item[1][1]))
    lines = [
        f"  {where}: {plural(number, f'{direction} copy', f'{direction} copies')}, {size(total)}"
        for (where, direction), (number, total) in ordered[:_MOST_SITES]
    ]
    if len(ordered) > _MOST_SITES:
        lines.append(f"  and {plural(len(ordered) - _MOST_SITES, 'more line')}")
    return lines


def _short(file: str) -> str:
    try:
        relative = os.path.relpath(file)
    except ValueError:  # another drive
        return file
    return file if relative.startswith("..") else relative


def unobserved(audit: Audit) -> str:
    """Why the block could not be observed, "" where it could: nothing seen is no clean bill."""
    torch: Any = sys.modules.get("torch")
    tensorflow: Any = sys.modules.get("tensorflow")
    if len(audit.copies) or len(audit.waits) or (torch is None and tensorflow is None):
        return ""
    if hasattr(torch, "accelerator") and torch.accelerator.is_available():
        return ""
    if hasattr(tensorflow, "config") and tensorflow.config.list_physical_devices("GPU"):
        return ""
    return 'there is no accelerator: simulate one, `with placeaudit.simulate("cuda"):`'


class AssertNoStrayCopies(ContextDecorator):
    """Context manager and decorator of ``placeaudit.assert_no_stray_copies``."""

    def __init__(self, limits: Limits, settings: Settings | None = None) -> None:
        self._limits = limits
        #: What a project's configuration says of rules and packages, where it counts.
        self._settings = settings
        self._blocks: list[Block] = []

    def _recreate_cm(self) -> AssertNoStrayCopies:
        return type(self)(self._limits, self._settings)

    def __call__(self, function: Any) -> Any:
        """Decorate ``function``: each call is checked."""
        if (
            inspect.isgeneratorfunction(function)
            or inspect.iscoroutinefunction(function)
            or inspect.isasyncgenfunction(function)
        ):
            raise UsageError(
                f"assert_no_stray_copies cannot decorate {function.__qualname__!r}, whose body "
                "runs later than its call: use `with` inside it"
            )
        return super().__call__(function)

    def __enter__(self) -> None:
        self._blocks.append(Block(closely=True))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        __tracebackhide__ = True
        record = self._blocks.pop().end()
        if error is not None:
            return  # the block's own exception says more
        settings = self._settings
        audit = analyze(record, own=settings.own if settings else ())
        reason = unobserved(audit)
        if reason:
            warnings.warn(
                f"assert_no_stray_copies could not observe this block: {reason}", stacklevel=2
            )
        check(audit, self._limits, settings.findings(audit) if settings else None)
