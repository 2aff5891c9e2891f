"""TensorFlow's device-placement log, read line by line: what ran where, and what was asked for.

``tf.debugging.set_log_device_placement(True)`` writes one line for each operation of a graph that
gets placed (on standard output, and once more on standard error) and one for each eager operation
(on standard error).  The log names devices only: no inputs, copies, bytes, stacks.  What was
*asked for* stands in it only where the placer tells why it moved a group of operations.

Nothing here imports TensorFlow: the log may come from another machine.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal

__all__ = ["Fallback", "Log", "LogReader", "Placed", "Reason", "is_placement", "read_log", "shown"]

Reason = Literal["no device", "no kernel", "colocation", "unused", "expected", "unstated"]

_DEVICE: Final = r"/job:[^\s/]+/replica:\d+/task:\d+/(?:device:)?[A-Za-z_]+:\d+"
#: "mm: (MatMul): /job:…"; TensorFlow 1 leaves the second colon out.  Names hold no blanks.
_NODE: Final = re.compile(
    rf"^(?:.*\bplacer\.cc:\d+\] )?(?P<name>[^\s:]+): \((?P<op>\w+)\):? ?(?P<device>{_DEVICE})\s*$"
)
_EAGER: Final = re.compile(
    rf"\bexecute\.cc:\d+\] Executing op (?P<op>\w+) in device (?P<device>{_DEVICE})\s*$"
)
_THERE: Final = re.compile(
    rf"(?:Created (?:TensorFlow )?device )?\(?(?P<device>{_DEVICE})\)?.* -> "
)
_NO_DEVICES: Final = "Device mapping: no known devices"
_KINDS: Final = "Colocation group had the following types and supported devices"
_KIND: Final = re.compile(r"^(?P<op>\w+): (?P<types>(?:[A-Z_]+ ?)*)$")
_MEMBERS: Final = "Colocation members, user-requested devices"
_MEMBER: Final = re.compile(r"^  (?P<name>\S+) \((?P<op>\w+)\) ?(?P<device>/\S+)?")
_ABSL: Final = re.compile(r"^[IWEF]\d{4} \d\d:\d\d:(?P<s>\d{9,})\.(?P<us>\d{6})")
_CLASSIC: Final = re.compile(r"^(?P<day>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\.(?P<us>\d{6}):")
_PART: Final = re.compile(r"/(job|replica|task|device):([^/]+)|/([A-Za-z_]+:[\d*]+)$")
#: Different operations that are kept; a log with more is cut, and says so.
MOST: Final = 200_000


def shown(device: str) -> str:
    """A device as placeaudit names it: ``"cpu"``, ``"GPU:0"``, ``"ps:0 CPU:0"`` for other jobs."""
    parts = _parts(device)
    name = parts.get("device", device).upper()
    if parts.get("job", "localhost") != "localhost":
        return f"{parts['job']}:{parts.get('task', '0')} {name}"
    return "cpu" if name == "CPU:0" else name


def is_placement(line: str) -> bool:
    """Whether a line says where an operation was placed."""
    return _NODE.match(line) is not None or _EAGER.search(line) is not None


@dataclass(slots=True)
class Placed:
    """An operation on a device: a node of a graph, or all eager calls of one operation there."""

    #: The node's name; the operation's for eager calls.
    name: str
    operation: str
    device: str
    #: 1-based line of the log that says so first.
    line: int
    time_ns: int
    #: Lines that say so; graphs are often logged twice, so it counts eager calls only.
    count: int = 1
    eager: bool = False


@dataclass(frozen=True, slots=True)
class Fallback:
    """An operation that is on another device than it was asked onto."""

    placed: Placed
    requested: str
    reason: Reason


@dataclass(slots=True)
class Log:
    """What a log holds."""

    placed: list[Placed] = field(default_factory=list)
    #: Full names of the accelerators that the process had, as far as the log says.
    there: set[str] = field(default_factory=set)
    #: The log itself says that the process had none.
    says_none: bool = False
    #: (node, operation) -> what the program asked for, of the groups that the placer explains.
    asked: dict[tuple[str, str], str] = field(default_factory=dict)
    #: Operation -> device types that have a kernel for it, of those that were there.
    kernels: dict[str, frozenset[str]] = field(default_factory=dict)
    #: More different operations than are kept.
    cut: bool = False

    def fallbacks(self, expected: str = "") -> Iterator[Fallback]:
        """Operations that ran elsewhere than asked: by the log, or by ``expected`` ("GPU:0")."""
        devices = {placed.device for placed in self.placed} | self.there
        for placed in self.placed:
            requested = self.asked.get((placed.name, placed.operation), "")
            if requested and not _fits(requested, placed.device):
                yield Fallback(
                    placed, requested, self._reason(placed.operation, requested, devices)
                )
            elif expected and not requested and not _fits(f"/device:{expected}", placed.device):
                used = any(_fits(f"/device:{expected}", device) for device in devices)
                yield Fallback(placed, f"/device:{expected}", "unstated" if used else "expected")

    def _reason(self, operation: str, requested: str, devices: set[str]) -> Reason:
        kind = _parts(requested).get("device", "").partition(":")[0].upper()
        if any(_fits(requested, device) for device in devices):
            # The list of kernels holds the types of devices that were there.
            return "colocation" if kind in self.kernels.get(operation, ()) else "no kernel"
        if self.says_none and kind != "CPU":
            return "no device"
        return "unused"


def _parts(device: str) -> dict[str, str]:
    found = {}
    for key, value, bare in _PART.findall(device):
        found[key or "device"] = value or bare
    return found


def _fits(requested: str, device: str) -> bool:
    """Whether a device is what a possibly partial name asks for."""
    actual = _parts(device)
    for key, value in _parts(requested).items():
        wanted, here = value.upper(), actual.get(key, "").upper()
        if wanted.endswith(":*"):
            wanted, here = wanted[:-2], here.partition(":")[0]
        if wanted != here:
            return False
    return True


def read_log(lines: Iterable[str]) -> Log:
    """Read a log; ``Log.placed`` stays empty where it is none."""
    reader = LogReader()
    for line in lines:
        reader.line(line)
    return reader.log


class LogReader:
    """Reads line by line, and knows whether it is inside the placer's explanation of a group."""

    def __init__(self) -> None:
        #: What has been read.
        self.log = Log()
        self._known: dict[tuple[str, str, str, bool], Placed] = {}
        self._section = ""
        self._first: int | None = None
        self._now = 0
        self._number = 0

    def line(self, raw: str) -> None:
        """Take the next line."""
        line = raw.rstrip("\r\n")
        self._number += 1
        number = self._number
        self._clock(line)
        if (found := _EAGER.search(line)) is not None:
            self._add(found["op"], found["op"], found["device"], number, eager=True)
        elif (found := _NODE.match(line)) is not None:
            self._add(found["name"], found["op"], found["device"], number, eager=False)
        elif _NO_DEVICES in line:
            self.log.says_none = True
        elif line.startswith((_KINDS, _MEMBERS)):
            self._section = _KINDS if line.startswith(_KINDS) else _MEMBERS
            return
        elif self._section:
            self._explained(line)
            return
        elif "/device:" in line and (found := _THERE.search(line)) is not None:
            self.log.there.add(found["device"])
        self._section = ""

    def _explained(self, line: str) -> None:
        """A line of what the placer says about a group that it moved."""
        if self._section == _MEMBERS:
            member = _MEMBER.match(line)
            if member is None:
                self._section = ""
            elif member["device"]:
                self.log.asked[member["name"], member["op"]] = member["device"]
        elif (kind := _KIND.match(line)) is not None:
            self.log.kernels[kind["op"]] = frozenset(kind["types"].split())

    def _add(self, name: str, operation: str, device: str, line: int, *, eager: bool) -> None:
        key = (name, operation, device, eager)
        known = self._known.get(key)
        if known is not None:
            known.count += eager
        elif len(self._known) >= MOST:
            self.log.cut = True
        else:
            known = Placed(name, operation, device, line, self._now, eager=eager)
            self._known[key] = known
            self.log.placed.append(known)

    def _clock(self, line: str) -> None:
        """The time of a stamped line since the first one; others have that of the line before."""
        if (found := _ABSL.match(line)) is not None:
            now = int(found["s"]) * 10**9
        elif (found := _CLASSIC.match(line)) is not None:
            try:
                day = datetime.strptime(found["day"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
            except ValueError:
                return
            now = int(day.timestamp()) * 10**9
        else:
            return
        now += int(found["us"]) * 1000
        self._first = now if self._first is None else self._first
        self._now = max(self._now, now - self._first)
