"""A call when a module gets imported, without any change that the program could see."""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # in every child process: nothing is imported that need not be
if TYPE_CHECKING:
    import importlib.machinery
    from collections.abc import Callable, Sequence
    from types import ModuleType
    from typing import Any, Final

__all__ = ["FRAMEWORKS", "ImportHook", "is_imported"]

#: What is recorded and simulated in, once the program imports it.
FRAMEWORKS: Final = ("torch", "tensorflow")


#: What only the framework has, and only once its import has come to its end.
_MARKS: Final = {"torch": ("library",), "tensorflow": ("raw_ops", "__all__")}


def is_imported(framework: str) -> bool:
    """Whether the whole framework is there: not half imported, no namesake of the program's."""
    module = sys.modules.get(framework)
    return module is not None and all(hasattr(module, mark) for mark in _MARKS[framework])


class ImportHook:
    """Calls ``then`` when ``name`` has been imported.

    It finds the module as the other finders do and only adds to what its loader does at the end:
    no module's spec or loader changes its type.
    """

    def __init__(self, name: str, then: Callable[[], None]) -> None:
        self._name = name
        self._then = then
        self._searching = False

    def install(self) -> None:
        """Go before the other finders."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Go away; harmless if gone."""
        if self in (sys.meta_path or ()):  # None while Python ends
            sys.meta_path.remove(self)

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,
        target: ModuleType | None = None,
    ) -> importlib.machinery.ModuleSpec | None:
        """Part of the import protocol: the other finders' spec, with our call at the end."""
        if fullname != self._name or self._searching:
            return None
        self._searching = True
        try:
            spec = self._found(fullname, path, target)
        finally:
            self._searching = False
        loader: Any = spec.loader if spec is not None else None
        if loader is None or not hasattr(loader, "exec_module"):
            return spec
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            # Gone already where two of us wait for the same module.
            vars(loader).pop("exec_module", None)
            run(module)
            self.remove()
            self._then()

        try:
            loader.exec_module = exec_module
        except AttributeError:  # a loader without a __dict__: leave it alone
            return spec
        return spec

    @staticmethod
    def _found(
        fullname: str, path: Sequence[str] | None, target: ModuleType | None
    ) -> importlib.machinery.ModuleSpec | None:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec: importlib.machinery.ModuleSpec | None = (
                find(fullname, path, target) if find is not None else None
            )
            if spec is not None:
                return spec
        return None
