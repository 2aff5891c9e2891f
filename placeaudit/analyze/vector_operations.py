"""Arithmetic of vector classes, and the copies that were made inside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from placeaudit.analyze.audit import Copies

__all__ = ["VectorOperations", "operations_of_copies"]


@dataclass(frozen=True, slots=True)
class VectorOperations:
    """Arithmetic of vector classes on two operands; text columns index ``Audit.strings``."""

    time_ns: npt.NDArray[np.int64]
    host_ns: npt.NDArray[np.int64]
    cls: npt.NDArray[np.int32]
    operation: npt.NDArray[np.int32]
    #: Devices of the operands and of the result.
    left: npt.NDArray[np.int32]
    right: npt.NDArray[np.int32]
    result: npt.NDArray[np.int32]
    #: Bytes of the tensors on either side that meet one on another device.
    left_bytes: npt.NDArray[np.int64]
    right_bytes: npt.NDArray[np.int64]
    apart: npt.NDArray[np.int32]
    #: Plug-in or aggregator it ran in, and which of its states stood on either side; -1 none.
    plugin: npt.NDArray[np.int32]
    #: "module", "regularizer", "aggregator", "aggregate".
    role: npt.NDArray[np.int32]
    left_state: npt.NDArray[np.int32]
    right_state: npt.NDArray[np.int32]
    #: Site of the latest ``set_state`` of the plug-in; one without a frame where there was none.
    restored: npt.NDArray[np.int32]
    #: How the operands, or what they were computed from, came to be, and at which site.
    left_origin: npt.NDArray[np.int32]
    right_origin: npt.NDArray[np.int32]
    left_made: npt.NDArray[np.int32]
    right_made: npt.NDArray[np.int32]
    site: npt.NDArray[np.int32]
    stack: npt.NDArray[np.int32]
    thread: npt.NDArray[np.int64]
    phase: npt.NDArray[np.int8]
    module: npt.NDArray[np.int32]
    backward: npt.NDArray[np.int8]
    process: npt.NDArray[np.int16]
    step: npt.NDArray[np.int32]
    steady: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.time_ns)


def operations_of_copies(operations: VectorOperations, copies: Copies) -> npt.NDArray[np.int32]:
    """By copy: the operation on operands of several devices that made it, -1 where none did."""
    out = np.full(len(copies), -1, dtype=np.int32)
    mixed = np.flatnonzero(operations.apart > 0)
    for thread in np.unique(operations.thread[mixed]):
        for process in np.unique(operations.process[mixed]):
            mine = operations.thread[mixed] == thread
            mine &= operations.process[mixed] == process
            rows = mixed[mine]
            if not len(rows):
                continue
            its = np.flatnonzero((copies.thread == thread) & (copies.process == process))
            # Operations of one thread do not overlap: the latest that began before is the one.
            at = np.searchsorted(operations.time_ns[rows], copies.time_ns[its], side="right") - 1
            latest = rows[np.maximum(at, 0)]
            end = operations.time_ns[latest] + operations.host_ns[latest]
            inside = (at >= 0) & (copies.time_ns[its] <= end)
            out[its[inside]] = latest[inside]
    return out
