"""The vocabulary that every stage shares: plain frozen data, no behaviour beyond arithmetic.

Times are nanoseconds on ``time.perf_counter_ns`` (``CLOCK_MONOTONIC``, comparable between the
processes of one machine) where a name ends in ``_ns`` and seconds where it ends in ``_s``.  Sizes
are bytes where a name ends in ``_bytes`` or is ``bytes``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

__all__ = [
    "Certainty",
    "Direction",
    "Estimate",
    "Evidence",
    "Finding",
    "Frame",
    "HashKind",
    "Phase",
    "Severity",
    "Site",
    "is_host",
]


class Direction(enum.StrEnum):
    """Which way a copy crosses.  A copy within one device is no transfer and has no direction."""

    H2D = "h2d"
    D2H = "d2h"
    D2D = "d2d"


class Severity(enum.StrEnum):
    """How much a finding matters; ``check`` and the assertions fail on ``WARNING`` and above."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return ("error", "warning", "info").index(self.value)


class Certainty(enum.StrEnum):
    """How sure the evidence makes us.  ``UNKNOWN`` means not measured, never "clean"."""

    PROVEN = "proven"
    LIKELY = "likely"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """0 for the surest."""
        return ("proven", "likely", "unknown").index(self.value)


class Phase(enum.IntEnum):
    """What the program was doing.  Stored as an 8-bit integer; numbers are never reused."""

    OTHER = 0
    SETUP = 1
    LOADING = 2
    FORWARD = 3
    BACKWARD = 4
    OPTIMIZER = 5
    EVALUATION = 6
    CHECKPOINT = 7
    TEARDOWN = 8

    @property
    def label(self) -> str:
        """The name in lower case, as reports print it."""
        return self.name.lower()


class HashKind(enum.IntEnum):
    """How much of the host side's content a hash covers."""

    NONE = 0
    FULL = 1
    SAMPLED = 2


def is_host(device: str) -> bool:
    """Whether ``device`` (``"cpu"``, ``"cuda:0"``, …) is host memory."""
    return device == "cpu"


@dataclass(frozen=True, slots=True)
class Frame:
    """One Python frame of a recorded call stack.

    ``line``/``end_line`` are 1-based, ``col``/``end_col`` 0-based UTF-8 byte offsets of the
    expression being executed, as ``code.co_positions()`` gives them; -1 where Python does not know.
    """

    file: str
    function: str
    line: int
    end_line: int = -1
    col: int = -1
    end_col: int = -1
    #: Top-level package for a frame inside an installed package or the standard library, else "".
    package: str = ""


@dataclass(frozen=True, slots=True)
class Site:
    """Where something happened: the user's innermost frame and the library frame just below it.

    ``user`` is None where no frame of the user's code was on the stack.  ``library`` is None where
    the user's own line made the call.  ``via_backward`` is True where the event ran in backward and
    only the ``backward()`` call could be named, not the forward line.
    """

    user: Frame | None
    library: Frame | None = None
    via_backward: bool = False

    @property
    def frame(self) -> Frame | None:
        """The frame to show: the user's where there is one, else the library's."""
        return self.user or self.library


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a fix would give.

    ``saved_s`` is seconds a step, ``ratio`` the share of a step (0.04 = 4 %), ``low_s``/``high_s``
    the interval.  ``is_bound`` marks an upper bound; where it is False the wait for work queued
    before is not modelled, and the figures are those of an idle device.  ``basis`` is
    ``"measured"`` or ``"modelled on h100"``.  ``ratio`` is None where no real step was measured.
    """

    saved_s: float
    ratio: float | None
    low_s: float
    high_s: float
    is_bound: bool
    basis: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """One fact that supports a finding: ``kind`` is a stable slug, ``text`` a sentence."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule at one source site, with every occurrence counted under it."""

    rule: str
    name: str
    severity: Severity
    certainty: Certainty
    message: str
    fix: str
    file: str
    line: int
    end_line: int = -1
    col: int = -1
    function: str = ""
    #: Path of the ``nn.Module`` or layer the event ran in, "" where there is none.
    module: str = ""
    phase: str = "other"
    #: Occurrences over the run.
    count: int = 0
    #: Occurrences a step in steady state; None where no step can be told.
    per_step: float | None = None
    #: Bytes that crossed, over the run.
    bytes: int = 0
    direction: Direction | None = None
    src: str = ""
    dst: str = ""
    #: Host time spent waiting over the run, seconds; None where it was not measured.
    blocked_s: float | None = None
    #: ``"measured"`` or ``"modelled on h100"``; "" where ``blocked_s`` is None.
    blocked_basis: str = ""
    estimate: Estimate | None = None
    #: Installed package that made the call on the user's behalf, "" where the user's line did.
    library: str = ""
    #: Ranks it holds for, where several of a launch are in the record; () elsewhere.
    ranks: tuple[int, ...] = ()
    #: Other sites that belong to it, each with what it is ("downloaded here").
    related: tuple[tuple[str, Frame], ...] = field(default=())
    evidence: tuple[Evidence, ...] = field(default=())

    @property
    def is_stray(self) -> bool:
        """True for ``warning`` and above: a copy or wait that could go."""
        return self.severity is not Severity.INFO
