"""One base for every error a user can cause or meet; ``exit_code`` becomes the exit status."""

from __future__ import annotations

__all__ = [
    "OutputError",
    "PlaceauditError",
    "RecordError",
    "RecordVersionError",
    "SimulationError",
    "SimulationSpecError",
    "TargetError",
    "UsageError",
]


class PlaceauditError(Exception):
    """Base of all our errors.  The message is one line and says what to do."""

    exit_code = 2


class UsageError(PlaceauditError):
    """The command or call makes no sense as given."""


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
