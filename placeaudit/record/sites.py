"""Interned call stacks: where an event came from, for about a microsecond an event.

An event's stack is the chain of ``(code object, instruction)`` pairs.  Only the first time a chain
is seen are its frames turned into file, function, line and columns.
"""

from __future__ import annotations

import itertools
import linecache
import os
import sysconfig
import threading
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Final

from placeaudit.model import Frame
from placeaudit.store.writer import RecordWriter

__all__ = ["Sites", "hide_outward_of", "package_of"]

#: Frames kept of one stack, innermost first: a runaway recursion must not fill the record.
MAX_DEPTH: Final = 128
#: Distinct stacks of one process; above, events are recorded without one, and the record says so.
MAX_STACKS: Final = 50_000
#: Distinct frames, likewise.
MAX_FRAMES: Final = 50_000
#: Frames in the chains that are recognised at once.  Above, they are forgotten and told anew: code
#: that a program generates in every step makes ever new chains of the same lines.
MAX_CHAINED: Final = 30_000
#: A source file above this many bytes is not copied into the record.
MAX_SOURCE_BYTES: Final = 1 << 20

_ROOT: Final = str(Path(__file__).resolve().parent.parent) + os.sep
#: Files whose frames run *below* the operation the user called: kernels, and the simulated
#: device's own work.  What is called from there is no site of its own.
_KERNELS: Final = tuple(
    _ROOT + part
    for part in (
        "simulate" + os.sep,
        str(Path("record", "torch", "copies.py")),
        str(Path("record", "torch", "waits.py")),
        str(Path("record", "torch", "kernels.py")),
    )
)
_STDLIB: Final = tuple(
    {os.path.realpath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")}
    | {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib")}
)
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")

#: Code objects that run the user's program: they and everything that called them is not shown.
_bases: Final[set[CodeType]] = set()


def hide_outward_of(code: CodeType) -> None:
    """Cut stacks at frames of ``code``, itself included: what started the user's program."""
    _bases.add(code)


def package_of(file: str) -> str:
    """The installed package of ``file``, "<stdlib>", "placeaudit", or "" for the user's code."""
    if file.startswith(_ROOT):
        return "placeaudit"
    for mark in _INSTALLED:
        at = file.rfind(mark)
        if at >= 0:
            return file[at + len(mark) :].split(os.sep, 1)[0].removesuffix(".py")
    if file.startswith(("<frozen ", *_STDLIB)):
        return "<stdlib>"
    if file.startswith("<eval_with_key>"):
        return "torch"  # code that torch.fx generated
    return ""


class _Resolved:
    """What is known of one interned chain of frames."""

    __slots__ = ("has_library", "has_user", "stack")

    def __init__(self, stack: int, *, has_user: bool, has_library: bool) -> None:
        self.stack = stack
        self.has_user = has_user
        #: Code of an installed package that is not the framework itself.
        self.has_library = has_library


_NOTHING: Final = _Resolved(-1, has_user=False, has_library=False)
#: Packages whose frames in a backward pass only carry out what the forward line asked for.
_FRAMEWORK: Final = frozenset({"", "torch", "<stdlib>", "placeaudit"})


class Sites:
    """Interns the call stacks of one process into the tables ``frames`` and ``stacks``."""

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        self._lock = threading.Lock()
        self._chains: dict[tuple[int, ...], _Resolved] = {}
        self._stacks: dict[tuple[int, ...], int] = {}
        self._frames_of: list[tuple[int, ...]] = []
        self._frames: dict[tuple[int, int], tuple[int, Frame]] = {}
        self._rows: dict[Frame, int] = {}
        self._codes: dict[int, CodeType] = {}
        self._packages: dict[str, tuple[str, str]] = {}
        self._sources: dict[str, bool] = {}
        self._chained = 0
        self._full = False
        writer.before_flush.append(self._write_sources)

    def forget(self) -> None:
        """In a forked child: ids start again from 0."""
        self._lock = threading.Lock()
        for cache in (self._chains, self._stacks, self._frames, self._rows, self._sources):
            cache.clear()
        self._frames_of.clear()
        self._chained = 0
        self._full = False

    def capture(self, frame: FrameType | None) -> int:
        """The id of the stack from ``frame`` outward; -1 where it holds no frame to show."""
        return self._chain(frame, None).stack

    def capture_within(self, frame: FrameType | None, end: CodeType) -> int:
        """The id of the part inside ``end``'s frame if the user's code runs there, else -1."""
        resolved = self._chain(frame, end)
        return resolved.stack if resolved.has_user else -1

    def capture_onto(self, frame: FrameType | None, end: CodeType, outer: int) -> int:
        """The id of the part inside ``end``'s frame, called from the stack ``outer``.

        -1 where no installed package's code runs in that part: the framework's own says nothing.
        """
        resolved = self._chain(frame, end)
        if not resolved.has_library or resolved.stack < 0:
            return -1
        with self._lock:
            inner = self._frames_of[resolved.stack]
            return self._stack((inner + self._frames_of[outer])[:MAX_DEPTH])

    def known(self, places: Iterable[tuple[str, int, str]]) -> int:
        """The id of a stack that a framework has kept: (file, line, function), innermost first.

        Columns are not known of such frames.  -1 where no frame is to show.
        """
        with self._lock:
            frames = [
                Frame(os.path.abspath(file), function, line, package=package_of(file))  # noqa: PTH100
                for file, line, function in itertools.islice(places, MAX_DEPTH)
            ]
            rows = (self._row(frame) for frame in frames if frame.package != "placeaudit")
            ids = tuple(row for row in rows if row >= 0)
            return self._stack(ids) if ids else -1

    def _chain(self, frame: FrameType | None, end: CodeType | None) -> _Resolved:
        first = frame
        key: list[int] = []
        add = key.append
        depth = MAX_DEPTH
        while frame is not None and depth:
            code = frame.f_code
            if code is end:
                break
            # By identity: code objects compare by value, and equal ones may stand in two files.
            # Those of known chains are kept alive, so an address is never another code's.
            add(id(code))
            add(frame.f_lasti)
            frame = frame.f_back
            depth -= 1
        known = self._chains.get(tuple(key))
        return known if known is not None else self._resolve(tuple(key), first)

    def _resolve(self, key: tuple[int, ...], frame: FrameType | None) -> _Resolved:
        with self._lock:
            if self._chained >= MAX_CHAINED:
                # Chains first: none may be left that names a code object which is gone.
                self._chains.clear()
                self._frames.clear()
                self._codes.clear()
                self._packages.clear()
                self._chained = 0
            frames: list[tuple[int, Frame]] = []
            for _ in range(len(key) // 2):
                assert frame is not None
                if frame.f_code in _bases:
                    break
                frames.append(self._frame(frame.f_code, frame.f_lasti))
                frame = frame.f_back
            shown = _shown(frames)
            resolved = _NOTHING
            # Without one of its frames a stack would name another place.
            if shown and all(number >= 0 for number, _ in shown):
                ids = tuple(number for number, _ in shown)
                resolved = _Resolved(
                    self._stack(ids),
                    has_user=any(not f.package for _, f in shown),
                    has_library=any(f.package not in _FRAMEWORK for _, f in shown),
                )
            self._chains[key] = resolved
            self._chained += len(key) // 2
            return resolved

    def _stack(self, frames: tuple[int, ...]) -> int:
        known = self._stacks.get(frames)
        if known is None:
            if len(self._stacks) >= MAX_STACKS:
                return self._refuse(f"more than {MAX_STACKS} call stacks")
            known = self._stacks[frames] = len(self._stacks)
            self._frames_of.append(frames)
            self._writer.rows("stacks").append((list(frames),))
            self._writer.touch()
        return known

    def _refuse(self, why: str) -> int:
        if not self._full:
            self._full = True
            self._writer.note("PA903", f"{why}: what is new from here on has no place")
        return -1

    def _frame(self, code: CodeType, lasti: int) -> tuple[int, Frame]:
        known = self._frames.get((id(code), lasti))
        if known is not None:
            return known
        self._codes[id(code)] = code
        frame = self._describe(code, lasti)
        number = self._row(frame) if frame.package != "placeaudit" else -1
        self._frames[id(code), lasti] = (number, frame)
        return number, frame

    def _row(self, frame: Frame) -> int:
        """The number of the frame's row in ``frames``; -1 where there are too many."""
        number = self._rows.get(frame, -1)
        if number < 0 and len(self._rows) >= MAX_FRAMES:
            self._refuse(f"more than {MAX_FRAMES} frames")
        elif number < 0:
            number = self._rows[frame] = len(self._rows)
            self._writer.rows("frames").append(
                (
                    frame.file, frame.function, frame.line, frame.end_line,
                    frame.col, frame.end_col, frame.package,
                )
            )  # fmt: skip
        if not frame.package and number >= 0:
            self._sources.setdefault(frame.file, False)
        return number

    def _describe(self, code: CodeType, lasti: int) -> Frame:
        known = self._packages.get(code.co_filename)
        if known is None:
            name = code.co_filename
            file = name if name.startswith("<") else os.path.abspath(name)  # noqa: PTH100  (keeps symbolic links)
            # A name with a lone surrogate (undecodable) has no UTF-8 form to store.
            file = file.encode("utf-8", "backslashreplace").decode("utf-8")
            known = self._packages[name] = (file, package_of(file))
        file, package = known
        position = next(itertools.islice(code.co_positions(), max(lasti, 0) // 2, None), None)
        line, end_line, col, end_col = position or (None, None, None, None)
        return Frame(
            file=file,
            function=code.co_qualname,
            line=_known(line if line is not None else code.co_firstlineno),
            end_line=_known(end_line),
            col=_known(col),
            end_col=_known(end_col),
            package=package,
        )

    def _write_sources(self) -> None:
        """Copy the user's files into the record, once each, when their frames are flushed."""
        for file, written in list(self._sources.items()):
            if written:
                continue
            self._sources[file] = True
            text = "".join(linecache.getlines(file))
            if text and len(text) < MAX_SOURCE_BYTES:
                clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
                self._writer.rows("sources").append((file, clean))


def _known(number: int | None) -> int:
    return -1 if number is None else number


def _shown(frames: list[tuple[int, Frame]]) -> list[tuple[int, Frame]]:
    """``frames`` without ours, and without what runs below a kernel of ours."""
    inner = 0
    for index, (_, frame) in enumerate(frames):
        if not frame.package:
            break
        if frame.file.startswith(_KERNELS):
            inner = index + 1
    return [pair for pair in frames[inner:] if pair[1].package != "placeaudit"]
