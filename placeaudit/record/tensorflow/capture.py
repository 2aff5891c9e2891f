"""TensorFlow's own device-placement log beside ours: a cross-check that the program cannot see.

The log is written by C code through the C library's streams ``stdout`` and ``stderr``.  These two
pointers are turned to files of ours, not the file descriptors: what Python and child processes
write, and whether descriptor 1 is a terminal, stay as they are.  What else comes through the
streams (TensorFlow's warnings, ``tf.print``) is passed on to the descriptors as it is, after each
call into TensorFlow and a few times a second besides.
"""

from __future__ import annotations

import ctypes
import functools
import os
import tempfile
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from tensorflow.python.client import session
from tensorflow.python.eager import context as eager_context

from placeaudit.record.tensorflow.log_rows import add_placements
from placeaudit.record.tensorflow.placement_log import LogReader, is_placement

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.operations import OperationRecorder
    from placeaudit.record.tensorflow.patches import PatchSet
    from placeaudit.store.writer import RecordWriter

__all__ = ["PlacementCapture"]

#: Seconds between looks at the streams while no call into TensorFlow ends.
_PAUSE_S: Final = 0.1
#: Bytes of a stream's file from which on it is left for a new one.
_FULL: Final = 1 << 26
_UNBUFFERED: Final = 2
#: Made by TensorFlow inside of other operations: recording sees what they copy at those.
_INNER: Final = frozenset({"_EagerConst", "ReadVariableOp", "DestroyResourceOp"})


class _Stream:
    """One of the C library's two streams, turned to a file that is read back."""

    def __init__(self, libc: Any, name: str, descriptor: int) -> None:
        self._libc = libc
        self._pointer = ctypes.c_void_p.in_dll(libc, name)
        self._original = self._pointer.value
        self._descriptor = descriptor
        self._files: list[tuple[Any, int]] = []
        self._rest = b""
        self._turn()

    def _turn(self) -> None:
        """Write into a new file from now on."""
        # Python's file object owns the descriptor that is read; C's stream writes to its own.
        file = tempfile.TemporaryFile()  # noqa: SIM115  (as long as the capture)
        stream = self._libc.fdopen(os.dup(file.fileno()), b"a")
        if not stream:
            file.close()
            raise OSError("the C library opens no stream")
        self._libc.setvbuf(stream, None, _UNBUFFERED, 0)
        self._files.append((file, 0))
        self._pointer.value = stream

    def give_back(self) -> None:
        """The C library's own stream again."""
        self._pointer.value = self._original

    def lines(self, *, last: bool = False) -> list[bytes]:
        """What was written since the last look, in whole lines; ``last``: what is left as well."""
        text = self._rest
        for index, (file, offset) in enumerate(self._files):
            while chunk := os.pread(file.fileno(), 1 << 20, offset):
                text += chunk
                offset += len(chunk)  # noqa: PLW2901
            self._files[index] = (file, offset)
        if self._files[-1][1] > _FULL and not last:
            for file, _ in self._files[:-1]:  # nobody has written there for long
                file.close()
            del self._files[:-1]
            self._turn()
        lines = text.splitlines(keepends=True)
        self._rest = b"" if last or not lines or lines[-1].endswith(b"\n") else lines.pop()
        return lines

    def pass_on(self, text: bytes) -> None:
        """Write to where the stream went."""
        while text:
            try:
                text = text[os.write(self._descriptor, text) :]
            except OSError:  # closed, or nobody reads: C's streams say nothing either
                return


class PlacementCapture:
    """The log of one session, in one process."""

    def __init__(self, writer: RecordWriter, recorder: OperationRecorder, start_ns: int) -> None:
        self._writer = writer
        self._recorder = recorder
        self._start_ns = start_ns
        self._reader = LogReader()
        self._streams: list[_Stream] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()
        #: (operation, device) of what recording saw.
        self._seen: set[tuple[str, str]] = set()
        #: What the program reads of the setting.
        self._wanted = False
        #: Above 0 the program has asked for the lines that come: they go where it sent them.
        self._owned = 0
        self._pid = os.getpid()

    def arm(self, patches: PatchSet) -> None:
        """Have TensorFlow write its log, to us."""
        libc = ctypes.CDLL(None)
        if not hasattr(libc, "gnu_get_libc_version"):
            self._writer.note(
                "PA903", "the device-placement log is not captured: this needs the GNU C library"
            )
            return
        libc.fdopen.restype = ctypes.c_void_p
        libc.fdopen.argtypes = [ctypes.c_int, ctypes.c_char_p]
        libc.setvbuf.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
        libc.fflush(None)
        self._recorder.looked = self._looked
        self._streams = [_Stream(libc, "stdout", 1), _Stream(libc, "stderr", 2)]
        running: Any = eager_context.context()
        running.log_device_placement = True
        patches.wrap(eager_context.Context, "log_device_placement", self._setting)
        patches.wrap(eager_context.Context, "ensure_initialized", self._started)
        patches.wrap(session.BaseSession, "__init__", self._session)
        patches.wrap(session.BaseSession, "run", self._run)
        threading.Thread(target=self._watch, name="placeaudit-placement-log", daemon=True).start()

    def _setting(self, original: Any) -> Any:
        """What the program reads and sets, which works until TensorFlow starts."""

        def read(_: Any) -> bool:
            return self._wanted

        def write(running: Any, enabled: Any) -> None:
            self._wanted = bool(enabled)
            if running._context_handle is None:
                self._owned = self._wanted

        return property(read, write, doc=original.__doc__)

    def _started(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """TensorFlow has its say when it starts."""

        @functools.wraps(original)
        def ensure_initialized(running: Any) -> None:
            starts = running._context_handle is None
            original(running)
            if starts:
                self.drain()

        return ensure_initialized

    def _session(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """A session that takes the eager context's configuration does not take our wish."""

        @functools.wraps(original)
        def __init__(self_: Any, target: Any = "", graph: Any = None, config: Any = None) -> None:  # noqa: N807
            if config is None:
                config = eager_context.context().config
                config.log_device_placement = self._wanted
            original(self_, target, graph, config)

        return __init__

    def _run(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """What a session logs while it runs, the program has asked for."""

        @functools.wraps(original)
        def run(self_: Any, *args: Any, **kwargs: Any) -> Any:
            if not self_._config.log_device_placement:
                return original(self_, *args, **kwargs)
            self._turn_owned(+1)
            try:
                return original(self_, *args, **kwargs)
            finally:
                self._turn_owned(-1)

        return run

    def _turn_owned(self, change: int) -> None:
        self.drain()
        self._owned += change

    def _looked(self, operation: str, device: str) -> None:
        """A call has ended: what TensorFlow said in it comes before what the program says next."""
        self._seen.add((operation, device))
        self.drain()

    def _watch(self) -> None:
        while not self._ended.wait(_PAUSE_S):
            self.drain()

    def drain(self, *, last: bool = False) -> None:
        """Read the log, pass on the rest; never raises in the program's calls."""
        if os.getpid() != self._pid:
            return
        try:
            self._drain(last)
        except OSError as error:
            self._recorder.context.failed(error)

    def _drain(self, last: bool) -> None:
        with self._lock:
            for stream in self._streams:
                rest = []
                for line in stream.lines(last=last):
                    text = line.decode("utf-8", "replace")
                    self._reader.line(text)
                    if self._owned or not is_placement(text):
                        rest.append(line)
                if rest:
                    stream.pass_on(b"".join(rest))

    def after_fork(self) -> None:
        """In a forked child: its streams are its own."""
        for stream in self._streams:
            stream.give_back()
        self._streams = []

    def disarm(self) -> None:
        """Give the streams back and write what the log says into the record."""
        if os.getpid() != self._pid:
            return
        self._ended.set()
        for stream in self._streams:
            stream.give_back()
        self.drain(last=True)
        log = self._reader.log
        known = self._recorder.context.device
        add_placements(self._writer, log, self._start_ns, name=lambda device: known(device).name)
        self._recorder.looked = None
        if not self._streams:
            return
        unseen = {
            (placed.operation, known(placed.device).name)
            for placed in log.placed
            if placed.eager and not placed.operation.startswith("__")
        }
        names = sorted(
            f"{operation} on {device}"
            for operation, device in unseen
            if operation not in _INNER
            and (operation, device) not in self._seen
            and (operation.removeprefix("_Mkl"), device) not in self._seen
        )
        if names:
            named = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")  # noqa: PLR2004
            self._writer.note(
                "PA903",
                f"TensorFlow's device-placement log names {len(names)} eager operations that "
                f"recording did not see there: {named}",
            )
        self._streams = []
