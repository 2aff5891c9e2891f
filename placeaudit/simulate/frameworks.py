"""Simulated devices in whichever framework the program imports, and in no other.

A framework that is imported already gets its devices at once, one that is installed gets them at
the end of its import.  A Torch program never loads TensorFlow, and the other way round.
"""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from placeaudit.errors import SimulationError
from placeaudit.import_hook import FRAMEWORKS, ImportHook, is_imported

if TYPE_CHECKING:
    from placeaudit.simulate.spec import SimulationSpec

__all__ = ["active", "begin", "install"]

#: Module that simulates devices in a framework.
_PACKAGES: Final = {
    "torch": "placeaudit.simulate.torch_cuda",
    "tensorflow": "placeaudit.simulate.tensorflow_gpu.installation",
}


class _Begun:
    """What :func:`begin` simulates, in frameworks that may yet have to be imported."""

    spec: SimulationSpec | None = None


def _backend(framework: str) -> Any:
    return import_module(_PACKAGES[framework])


def active() -> SimulationSpec | None:
    """What is simulated in this process, in any framework that is or gets imported."""
    if _Begun.spec is not None:
        return _Begun.spec
    for package in _PACKAGES.values():
        module = sys.modules.get(package)
        installation = module.active() if module is not None else None
        if installation is not None:
            spec: SimulationSpec = installation.spec
            return spec
    return None


def install(framework: str, spec: SimulationSpec) -> Callable[[], None]:
    """Simulate in a framework that is imported, if that has not begun; returns the undo.

    Raises:
        SimulationError: it cannot; everything was put back.
    """
    backend = _backend(framework)
    if backend.active() is not None:
        return lambda: None
    undo: Callable[[], None] = backend.install(spec).uninstall
    return undo


def begin(
    spec: SimulationSpec, failed: Callable[[SimulationError], None] | None = None
) -> Callable[[], None]:
    """Simulate ``spec`` in every framework that is or gets imported; returns the undo.

    Where only one framework is installed it is imported now, so that what is wrong is said now.
    ``failed`` is told what goes wrong in a later import; without it the import raises.

    Raises:
        SimulationError: no framework is installed, or devices cannot be simulated in one that is
            imported; everything was put back.
    """
    imported = [name for name in FRAMEWORKS if is_imported(name)]
    installed = [n for n in FRAMEWORKS if n not in imported and _is_installed(n)]
    if not imported and not installed:
        raise SimulationError(f"cannot simulate {spec.backend}: neither PyTorch nor TensorFlow is "
                              "installed here")  # fmt: skip
    if not imported and len(installed) == 1:
        import_module(installed[0])
        imported, installed = installed, []
    undo: list[Callable[[], None]] = []
    errors: list[SimulationError] = []
    for name in imported:
        try:
            undo.append(install(name, spec))
        except SimulationError as error:
            errors.append(error)
    if errors and not undo:
        raise errors[0]
    for problem in errors:
        warnings.warn(f"placeaudit: {problem}", stacklevel=3)
    undo += [_when_imported(name, spec, undo, failed) for name in installed]

    _Begun.spec = spec

    def end() -> None:
        _Begun.spec = None
        while undo:
            undo.pop()()

    return end


def _is_installed(framework: str) -> bool:
    try:
        return importlib.util.find_spec(framework) is not None
    except (ImportError, ValueError):
        return False


def _when_imported(
    framework: str,
    spec: SimulationSpec,
    undo: list[Callable[[], None]],
    failed: Callable[[SimulationError], None] | None,
) -> Callable[[], None]:
    def then() -> None:
        try:
            undo.append(install(framework, spec))
        except SimulationError as error:
            if failed is None:
                raise
            failed(error)

    hook = ImportHook(framework, then)
    hook.install()
    return hook.remove
