"""One base for every error a user can cause or meet; ``exit_code`` becomes the exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from placeaudit.model import Finding

__all__ = [
    "BaselineError",
    "ConfigError",
    "OutputError",
    "PlaceauditError",
    "RecordError",
    "RecordVersionError",
    "SimulationError",
    "SimulationSpecError",
    "StrayCopyError",
    "TargetError",
    "TransferError",
    "UsageError",
]


class PlaceauditError(Exception):
    """Base of all our errors.  The message is one line and says what to do."""

    exit_code = 2


class UsageError(PlaceauditError):
    """The command or call makes no sense as given."""


class ConfigError(UsageError):
    """``[tool.placeaudit]`` or a ``PLACEAUDIT_*`` variable is wrong; the message says where."""


class BaselineError(PlaceauditError):
    """A baseline file is missing, damaged, or of another version."""


class TargetError(PlaceauditError):
    """The program to trace does not exist or is not a program."""


class OutputError(PlaceauditError):
    """An output path exists already or cannot be written."""


class RecordError(PlaceauditError):
    """A record is missing, empty or damaged beyond reading."""


class RecordVersionError(RecordError):
    """A record was written by a newer placeaudit than this one."""


class SimulationSpecError(UsageError):
    """A ``--simulate`` specification that does not parse."""


class SimulationError(PlaceauditError):
    """A device cannot be simulated here, with the reason; everything was put back."""


class TransferError(PlaceauditError):
    """A copy or wait that the guard in force does not allow; raised before it is made.

    Where TensorFlow does not allow that, for the first call of a compiled function, it is raised
    right after, and the message says so.

    Args:
        direction: ``h2d``, ``d2h``, ``d2d``, or ``sync`` for a wait.
        bytes: What would have crossed; 0 for a wait that no copy makes, -1 where TensorFlow's
            graph leaves it open.
        src: Source device.  For a wait: the device waited for.
        dst: Destination device.
    """

    def __init__(
        self,
        message: str,
        *,
        direction: str = "",
        bytes: int = 0,  # noqa: A002 (the vocabulary's name)
        src: str = "",
        dst: str = "",
    ) -> None:
        super().__init__(message)
        # In __dict__, which pickle carries: test runners send errors between processes.
        self.direction = direction
        self.bytes = bytes
        self.src = src
        self.dst = dst


class StrayCopyError(AssertionError):
    """An asserted block made stray copies or waits, or more transfers than its limit.

    ``findings`` are the ones that it failed on, worst first; empty where only a limit was exceeded.
    """

    def __init__(self, message: str, findings: tuple[Finding, ...] = ()) -> None:
        super().__init__(message)
        self.findings = findings
