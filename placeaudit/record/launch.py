"""Runs a script or module as ``python script.py`` or ``python -m module`` would.

The program sees the ``sys.argv``, ``sys.path[0]``, ``__file__``, ``__name__`` and ``__main__`` it
would see without us, and its traceback shows its own frames only.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
import threading
import traceback
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, TracebackType
from typing import Any, Final, Literal

from placeaudit.errors import TargetError
from placeaudit.record.sites import hide_outward_of

__all__ = ["Target", "check_target", "run_target"]

#: What a shell reports for a process ended by Ctrl-C.
INTERRUPTED: Final = 130


@dataclass(frozen=True)
class Target:
    """The program: a script's path or a module's name, and the arguments it gets."""

    kind: Literal["script", "module"]
    name: str
    args: tuple[str, ...] = ()


def check_target(target: Target) -> None:
    """Look whether ``target`` can be run, without running any of it.

    A syntax error is the program's own affair: it comes out of :func:`run_target` as from Python.

    Raises:
        TargetError: it does not exist, is a directory, or is no Python program.
    """
    if target.kind == "module":
        top = target.name.partition(".")[0]
        with _path_entry(str(Path.cwd())):
            if not top or not _can_find(top):
                raise TargetError(f"no module named {target.name!r}")
        return
    path = Path(target.name)
    if path.is_dir():
        raise TargetError(f"{path} is a directory, not a Python program")
    try:
        head = path.read_bytes()
    except FileNotFoundError:
        raise TargetError(f"{path} does not exist") from None
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror}") from error
    if b"\0" in head:
        raise TargetError(f"{path} is not a Python program: it holds binary data")


def _can_find(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def run_target(target: Target) -> int:
    """Run the program and return the exit code that the plain interpreter would have had.

    An uncaught exception goes to ``sys.excepthook`` without our frames.  Threads that the program
    left running are waited for, as Python does at its end.

    Raises:
        TargetError: a module that :func:`check_target` could not see is not runnable.
    """
    argv, path = sys.argv, list(sys.path)
    try:
        return _guarded(target)
    finally:
        # The program's directory must not serve what is imported for its report.
        sys.argv = argv
        sys.path[:] = path


def _guarded(target: Target) -> int:
    code = 0
    try:
        if target.kind == "script":
            _run_script(target)
        else:
            _run_module(target)
    except TargetError:
        raise
    except SystemExit as error:
        code = _exit_code(error.code)
    except BaseException as error:  # noqa: BLE001  (whatever the program raised is printed as its own)
        _show(error)
        code = INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1
    return _wait_for_threads(code)


def _run_script(target: Target) -> None:
    path = Path(target.name)
    file = os.path.abspath(path)  # noqa: PTH100  (__file__ keeps symbolic links)
    sys.argv = [target.name, *target.args]
    _set_path_entry(str(path.resolve().parent))
    main = _main_module(file, None)
    main.__loader__ = importlib.machinery.SourceFileLoader("__main__", file)
    code = compile(path.read_bytes(), file, "exec", dont_inherit=True)
    _execute(code, main)


def _run_module(target: Target) -> None:
    sys.argv = ["-m", *target.args]
    _set_path_entry(str(Path.cwd()))
    spec = _find_module(target.name)
    loader: Any = spec.loader
    code = loader.get_code(spec.name) if hasattr(loader, "get_code") else None
    if code is None:
        raise TargetError(f"no code object available for {target.name}")
    sys.argv[0] = str(spec.origin)
    main = _main_module(str(spec.origin), spec)
    main.__loader__ = loader
    main.__package__ = spec.parent
    main.__dict__["__cached__"] = spec.cached
    _execute(code, main)


def _find_module(name: str) -> importlib.machinery.ModuleSpec:
    """The spec of the module to run: a package stands for its ``__main__``."""
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise TargetError(f"no module named {name!r}") from None
        raise  # the package itself imports something that is not there
    if spec is None:
        raise TargetError(f"no module named {name!r}")
    if spec.submodule_search_locations is None:
        return spec
    main = importlib.util.find_spec(f"{name}.__main__")
    if main is None:
        raise TargetError(f"{name!r} is a package without __main__ and cannot be executed")
    return main


def _main_module(file: str, spec: importlib.machinery.ModuleSpec | None) -> types.ModuleType:
    main = types.ModuleType("__main__")
    main.__file__ = file
    main.__spec__ = spec
    main.__dict__["__builtins__"] = sys.modules["builtins"]
    main.__dict__["__cached__"] = None
    if sys.version_info < (3, 14):
        main.__annotations__ = {}
    # Stays after the run: what ends late (atexit, threads) finds its own module.
    sys.modules["__main__"] = main
    return main


def _execute(code: CodeType, main: types.ModuleType) -> None:
    exec(code, main.__dict__)  # noqa: S102  (this is the program)


hide_outward_of(_execute.__code__)


def _set_path_entry(entry: str) -> None:
    if sys.flags.safe_path:
        return
    sys.path[:1] = [entry]


@contextmanager
def _path_entry(entry: str) -> Iterator[None]:
    before = list(sys.path)
    _set_path_entry(entry)
    try:
        yield
    finally:
        sys.path[:] = before


def _exit_code(code: object) -> int:
    """What ``sys.exit(code)`` makes of ``code``."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code
    _flush()
    sys.stderr.write(f"{code}\n")
    return 1


def _show(error: BaseException) -> None:
    """Print an uncaught exception as the interpreter would, without the frames that are ours."""
    own: TracebackType | None = error.__traceback__
    while own is not None and own.tb_frame.f_code.co_filename == __file__:
        own = own.tb_next
    if isinstance(error, ModuleNotFoundError | ImportError):
        own = _without_importlib(own)
    error = error.with_traceback(own)
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, own
    _flush()
    try:
        sys.excepthook(type(error), error, own)
    except BaseException as failure:  # noqa: BLE001  (as the interpreter reports it)
        sys.stderr.write("Error in sys.excepthook:\n")
        traceback.print_exception(failure)
        sys.stderr.write("\nOriginal exception was:\n")
        traceback.print_exception(error)


def _without_importlib(trace: TracebackType | None) -> TracebackType | None:
    """Without leading frames of the import system (finding the module to run)."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith("<frozen importlib"):
        trace = trace.tb_next
    return trace


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            continue  # closed or replaced by the program


def _wait_for_threads(code: int) -> int:
    """Wait for the program's threads; Ctrl-C ends the waiting."""
    try:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
    except KeyboardInterrupt as error:
        _show(error)
        return INTERRUPTED
    return code
