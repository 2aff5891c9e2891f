"""What the Python processes that this one starts inherit: the running audit, simulated devices.

Two ways lead into a new interpreter, and both call :mod:`placeaudit.startup` there:

* ``multiprocessing`` (spawn, forkserver) sends its children data to prepare themselves; it carries
  an object that begins when it is unpickled.
* Every other Python child (``subprocess``, ``os.system``, a shell script, ``torchrun``, ``mpirun``)
  finds our ``startup`` folder first in ``PYTHONPATH`` and in it a ``sitecustomize``, which takes
  the folder out again and hands over to the user's own ``sitecustomize``.

The program itself sees none of it but variables named ``PLACEAUDIT_…``: ``PYTHONPATH`` is set in
the environment that children get, not in ``os.environ``.  A child that was given an environment
without our variables, or told to ignore the environment, is left alone.
"""

from __future__ import annotations

import os
import sys

from placeaudit.import_hook import ImportHook

TYPE_CHECKING = False  # in every child process: nothing is imported that need not be
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Final, Protocol
else:
    Protocol = object

__all__ = [
    "OWN_VARIABLE", "RUN_VARIABLE", "SIMULATE_VARIABLE", "STARTUP", "STEPS_VARIABLE", "Listener",
    "hand_down",
]  # fmt: skip

#: The run directory.
RUN_VARIABLE: Final = "PLACEAUDIT_RUN"
#: Installed packages that count as the user's, comma-separated.
OWN_VARIABLE: Final = "PLACEAUDIT_OWN"
#: Steps of the operation window, as ``--steps`` takes them; unset for the default.
STEPS_VARIABLE: Final = "PLACEAUDIT_STEPS"
#: Specification of the simulated device.
SIMULATE_VARIABLE: Final = "PLACEAUDIT_SIMULATE"

#: The folder that stands first in the ``PYTHONPATH`` of children.
STARTUP: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup")  # noqa: PTH100, PTH118, PTH120
_PATH: Final = "PYTHONPATH"
#: An environment with one of these is one of ours.
_MARKS: Final = (RUN_VARIABLE, SIMULATE_VARIABLE)
#: Options of the interpreter, in one letter, that keep it from reading ``PYTHONPATH`` or from
#: importing ``sitecustomize``.
_DEAF: Final = frozenset("EIS")
#: Options that are followed by a value.
_WITH_VALUE: Final = frozenset("WX")

#: Unpickling this in a child must work, and do nothing, where placeaudit cannot be imported.
_BEGIN: Final = """
try:
    from placeaudit.startup import begin_spawned
except ImportError:
    pass
else:
    begin_spawned()
"""
_DATA_KEY: Final = "placeaudit"


class Listener(Protocol):
    """Who is told what becomes of child processes."""

    def unobserved(self, text: str) -> None:
        """A Python child was started that inherits nothing; ``text`` says why."""

    def before_exec(self) -> None:
        """This process is about to become another program."""


class _Handing:
    """What is handed down at present, by whom, and the patches that do it."""

    count = 0
    listeners: Final[list[Listener]] = []
    undo: Final[list[Callable[[], None]]] = []


def hand_down(
    environment: Mapping[str, str], listener: Listener | None = None
) -> Callable[[], None]:
    """Give the variables in ``environment`` to children, and begin there; returns the undo."""
    forget = _set_environment(environment)
    if listener is not None:
        _Handing.listeners.append(listener)
    _Handing.count += 1
    if _Handing.count == 1:
        _begin()

    def undo() -> None:
        _Handing.count -= 1
        if listener is not None:
            _Handing.listeners.remove(listener)
        if not _Handing.count:
            for step in reversed(_Handing.undo):
                step()
            _Handing.undo.clear()
        forget()

    return undo


def _set_environment(values: Mapping[str, str]) -> Callable[[], None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)

    def undo() -> None:
        for name, value in before.items():
            if os.environ.get(name) != values[name]:
                continue  # somebody else's by now
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

    return undo


def _begin() -> None:
    # Children that get "the environment" get the process's own, which os.environ only mirrors.
    _show_startup()
    _Handing.undo.append(_hide_startup)
    for name in ("execv", "execve", "posix_spawn", "posix_spawnp"):
        if hasattr(os, name):
            _replace(os, name, _with_environment)
    # Not for our sake alone do we import these.
    _once_imported("subprocess", _patch_subprocess)
    _once_imported("multiprocessing.spawn", _patch_spawn)


def _show_startup() -> None:
    os.putenv(_PATH, _with_startup(os.environ.get(_PATH)))


def _keep_showing() -> None:
    """The program may have changed it since; if not, other threads may be reading it."""
    try:
        import ctypes

        getenv = ctypes.CDLL(None).getenv
    except (ImportError, OSError):
        return  # a Python without it: what was shown at the beginning stands
    getenv.restype, getenv.argtypes = ctypes.c_char_p, (ctypes.c_char_p,)
    if getenv(_PATH.encode()) != os.fsencode(_with_startup(os.environ.get(_PATH))):
        _show_startup()


def _hide_startup() -> None:
    value = os.environ.get(_PATH)
    if value is None:
        os.unsetenv(_PATH)
    else:
        os.putenv(_PATH, value)


def _with_startup(value: str | None) -> str:
    parts = [part for part in value.split(os.pathsep) if part != STARTUP] if value else []
    return os.pathsep.join([STARTUP, *parts])


def _replace(owner: Any, name: str, make: Callable[[Any], Callable[..., Any]]) -> None:
    original = getattr(owner, name)
    ours = make(original)
    setattr(owner, name, ours)

    def undo() -> None:
        if getattr(owner, name) is ours:
            setattr(owner, name, original)

    _Handing.undo.append(undo)


def _once_imported(name: str, patch: Callable[[], None]) -> None:
    if name in sys.modules:
        patch()
        return
    hook = ImportHook(name, patch)
    hook.install()
    _Handing.undo.append(hook.remove)


# --- os.exec*, os.posix_spawn* --------------------------------------------------------------------


def _with_environment(original: Callable[..., Any]) -> Callable[..., Any]:
    """``execv(path, args)``, ``execve(path, args, env)``, ``posix_spawn(path, args, env, ...)``."""
    becomes_another = original.__name__.startswith("exec")

    def call(path: Any, argv: Any, *rest: Any, **options: Any) -> Any:
        if _Handing.count:
            if becomes_another and os.path.exists(path):  # noqa: PTH110  (as the call itself takes it)
                for listener in list(_Handing.listeners):
                    listener.before_exec()
            if rest and hasattr(rest[0], "keys"):
                rest = (_mapping(path, argv, rest[0]), *rest[1:])
            else:
                _keep_showing()
                _check(path, argv, observed=True)
        return original(path, argv, *rest, **options)

    call.__name__ = call.__qualname__ = original.__name__
    call.__doc__ = original.__doc__
    return call


def _mapping(path: Any, argv: Sequence[Any], env: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """``env`` with the startup folder, if it has what it needs of us."""
    observed = any(name in env or os.fsencode(name) in env for name in _MARKS)
    if _check(path, argv, observed=observed) or not observed:
        return env
    key: Any = _PATH if _PATH in env else os.fsencode(_PATH) if os.fsencode(_PATH) in env else _PATH
    value = env.get(key)
    return {**env, key: _with_startup(None if value is None else os.fsdecode(value))}


# --- subprocess -----------------------------------------------------------------------------------


def _patch_subprocess() -> None:
    # Its parent package may not know it yet: this runs right at the end of its import.
    subprocess = sys.modules["subprocess"]
    if hasattr(subprocess, "_fork_exec"):
        # Below Popen: no frame of ours stands in the traceback of a program that is not there.
        _replace(subprocess, "_fork_exec", _fork_exec)


def _fork_exec(original: Callable[..., Any]) -> Callable[..., Any]:
    def fork_exec(*args: Any) -> Any:
        # args, executables, close_fds, pass_fds, cwd, environment, ...
        if not _Handing.count:
            return original(*args)
        argv, executables, env = args[0], args[1], args[5]
        path = executables[-1] if executables else argv[0]
        if env is None:
            if not _check(path, argv, observed=True):
                _keep_showing()
                return original(*args)
            # It would look into our folder and find nobody who takes it out again.
            env = [name + b"=" + value for name, value in os.environb.items()]
            return original(*args[:5], env, *args[6:])
        observed = any(item.startswith(os.fsencode(f"{mark}=")) for item in env for mark in _MARKS)
        if not _check(path, argv, observed=observed) and observed:
            env = _environment(env)
        return original(*args[:5], env, *args[6:])

    return fork_exec


def _environment(items: Sequence[bytes]) -> list[bytes]:
    prefix = os.fsencode(f"{_PATH}=")
    before = [item for item in items if item.startswith(prefix)]
    value = os.fsdecode(before[-1][len(prefix) :]) if before else None
    rest = [item for item in items if not item.startswith(prefix)]
    return [*rest, prefix + os.fsencode(_with_startup(value))]


# --- multiprocessing ------------------------------------------------------------------------------


class _Activation:
    """Begins where it is unpickled."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, dict[str, Any]]]:
        return exec, (_BEGIN, {})


def _patch_spawn() -> None:
    """Add the beginning to what ``multiprocessing`` sends to a new interpreter."""

    def make(original: Callable[[str], dict[str, Any]]) -> Callable[[str], dict[str, Any]]:
        def get_preparation_data(name: str) -> dict[str, Any]:
            data = original(name)
            if _Handing.count:
                data[_DATA_KEY] = _Activation()
            return data

        return get_preparation_data

    _replace(sys.modules["multiprocessing.spawn"], "get_preparation_data", make)


# --- children that inherit nothing ----------------------------------------------------------------


def _check(path: Any, argv: Sequence[Any], *, observed: bool) -> bool:
    """Whether a child is a Python that was told not to listen to us.

    The listeners are told of a Python child that will not be observed, for this reason or another.
    """
    try:
        name = os.path.basename(os.fsdecode(path))  # noqa: PTH119
        if not name.startswith("python"):
            return False
        option = _deaf_option([os.fsdecode(word) for word in argv[1:]])
        if option or not observed:
            why = f"with {option}" if option else "with an environment of its own"
            text = f"a Python process was started {why}: what it did is not in this record"
            for listener in list(_Handing.listeners):
                listener.unobserved(text)
    except (TypeError, ValueError, OSError):
        return False  # no path, no list: the call itself will say so
    return bool(option)


def _deaf_option(words: list[str]) -> str:
    """The option among the interpreter's own that shuts us out, "" without one."""
    skip = False
    for word in words:
        if skip:
            skip = False
            continue
        if not word.startswith("-") or word in {"-", "--"} or word.startswith("--"):
            return ""
        for position, letter in enumerate(word[1:], 1):
            if letter in _DEAF:
                return f"-{letter}"
            if letter in _WITH_VALUE:
                skip = position == len(word) - 1
                break
            if letter in "cm":  # the rest is the program's
                return ""
    return ""
