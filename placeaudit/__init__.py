"""Finds the tensor copies and host waits that a training program does not need.

Everything is loaded on first use: ``import placeaudit`` brings in no framework and no library.
"""

from __future__ import annotations

import sys
from types import ModuleType

# Every Python child of an audited program comes by here: not even `typing` is imported.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from placeaudit.api import (
        Run,
        allow,
        assert_no_stray_copies,
        guard,
        load,
        register_vector,
        simulate,
        step,
        trace,
    )
    from placeaudit.errors import PlaceauditError, StrayCopyError, TransferError

__all__ = [
    "PlaceauditError",
    "Run",
    "StrayCopyError",
    "TransferError",
    "__version__",
    "allow",
    "assert_no_stray_copies",
    "guard",
    "load",
    "register_vector",
    "simulate",
    "step",
    "trace",
]

__version__ = "0.1.0"

_HOME = {
    "PlaceauditError": "placeaudit.errors",
    "Run": "placeaudit.api",
    "StrayCopyError": "placeaudit.errors",
    "TransferError": "placeaudit.errors",
    "allow": "placeaudit.api",
    "assert_no_stray_copies": "placeaudit.api",
    "guard": "placeaudit.api",
    "load": "placeaudit.api",
    "register_vector": "placeaudit.api",
    "simulate": "placeaudit.api",
    "step": "placeaudit.api",
    "trace": "placeaudit.api",
}


class _Package(ModuleType):
    """Keeps ``placeaudit.simulate`` the public function.

    Importing the subpackage of that name would otherwise put the subpackage in its place;
    ``from placeaudit.simulate import …`` finds the subpackage all the same.
    """

    def __setattr__(self, name: str, value: object) -> None:
        if not (name in _HOME and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> object:
    """Load a public name from its module (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module(home)
    for public, where in _HOME.items():
        if where == home:
            globals()[public] = getattr(module, public)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted(__all__)
