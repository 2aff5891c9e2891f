"""Whether a record holds together.  Damage is an error with a name, not a wrong verdict.

A process killed in the middle leaves a record that is short but sound: what its rows refer to was
written before them, and its streams lack their end marks.  Anything else (a file lost, cut or
overwritten afterwards) would make rows disappear or point at the wrong line.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from placeaudit.errors import RecordError
from placeaudit.store.schema import TABLES

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["check_meta", "check_references"]

_NUMBER: Final = (int, float)
#: What ``meta.json`` of a run and of a process holds, where it holds it.
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "argv": (list,),
    "cwd": (str,),
    "started_unix_s": _NUMBER,
    "simulated": (str,),
    "versions": (dict,),
    "role": (str,),
    "anchor_unix_ns": _NUMBER,
    "tables": (list,),
}
#: Tables whose rows others refer to by number.
_INTERNED: Final = frozenset({"strings", "stacks", "frames"})


def check_meta(file: Path, meta: Mapping[str, Any]) -> None:
    """Refuse metadata of the wrong type.

    Raises:
        RecordError: A value is of another type than recording writes.
    """
    for key, types in _TYPES.items():
        if key in meta and not isinstance(meta[key], types):
            raise RecordError(f"{file} is damaged: {key} is {meta[key]!r}")


def check_references(folder: Path, tables: Mapping[str, pa.Table]) -> None:
    """Refuse rows that refer to strings, stacks or frames that are not there.

    Raises:
        RecordError: There is one; the message names the file that must have lost rows.
    """
    for name, table in TABLES.items():
        for column in table.columns:
            if column.unit not in _INTERNED:
                continue
            highest = _highest(tables[name].column(column.name))
            if highest >= tables[column.unit].num_rows:
                raise RecordError(
                    f"{folder} is damaged: {name} refers to {column.unit} that are missing from "
                    f"{column.unit}.arrow; copy the record again, or trace again"
                )


def _highest(values: pa.ChunkedArray) -> int:
    """The highest number in a column of integers or of lists of them, -1 for none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_list(values.type):
        values = pc.list_flatten(values)
    found = pc.max(values).as_py()
    return -1 if found is None else int(found)
