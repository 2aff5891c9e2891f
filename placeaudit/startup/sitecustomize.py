"""Runs at the start of a Python child of an audited program, and leaves no trace of itself.

Any Python may come by here: nothing in this file needs a newer one than 2.7.
"""

import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120


def _leave():  # type: () -> None  # noqa: ANN202
    """Nobody but us is to see that this folder was on the path."""
    sys.path[:] = [entry for entry in sys.path if entry != _HERE]
    sys.path_importer_cache.pop(_HERE, None)
    parts = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if parts[0] != _HERE:
        return
    if parts[1:]:
        os.environ["PYTHONPATH"] = os.pathsep.join(parts[1:])
    else:
        del os.environ["PYTHONPATH"]


def _begin():  # type: () -> None  # noqa: ANN202
    if sys.version_info < (3, 11):  # noqa: UP036
        return
    try:
        from placeaudit.startup import begin
    except ImportError:  # another environment, without placeaudit
        return
    begin()


_leave()
_begin()
# Ours goes, so that the program's own, if it has one, comes in its place.
del sys.modules["sitecustomize"]
import sitecustomize  # type: ignore[import-not-found]  # noqa: E402, F401
