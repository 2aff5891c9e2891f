"""How long the host was blocked: measured on a real device, by the link model in simulation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import D2H, H2D, Bools, Ints
from placeaudit.analyze.columns import parts
from placeaudit.simulate.hardware import DEVICES, DeviceModel
from placeaudit.store.narrow import narrowest

__all__ = ["copies_blocked_ns", "device_model", "waits_blocked_ns"]

#: What a waiting operator (nonzero, unique, …) reads back from the device: one 64-bit count.
_COUNT_BYTES: Final = 8
#: Causes whose length depends on the work queued before, which the link model does not know.
_QUEUE: Final = ("synchronize", "empty_cache")

_FALLBACK: Final = "h100"


def device_model(simulated: str) -> DeviceModel | None:
    """The hardware model a run's ``simulated`` names ("cuda:2=h100", "h100"); None if real."""
    if not simulated:
        return None
    name = simulated.rpartition("=")[2]
    return DEVICES.get(name, DEVICES[_FALLBACK])


def _seconds(model: DeviceModel, direction: int, size: int, pinned: bool) -> float:
    if direction == H2D:
        return model.h2d_s(size, pinned=pinned)
    if direction == D2H:
        return model.d2h_s(size, pinned=pinned)
    return model.d2d_s(size)


def copies_blocked_ns(
    model: DeviceModel | None,
    *,
    direction: npt.NDArray[np.int8],
    size: Ints,
    pinned: Bools,
    waits: Bools,
    host_ns: Ints,
) -> Ints:
    """Host time blocked by each copy: 0 where nothing waits."""
    if model is None:
        return np.where(waits, host_ns, 0)
    out = np.zeros(len(size), dtype=np.int64)
    for part in parts(len(size)):
        # One evaluation of the model per distinct (bytes, direction, pinned), in one integer.
        packed = (size[part] << 3) | (direction[part].astype(np.int64) << 1) | pinned[part]
        keys, inverse = np.unique(packed, return_inverse=True)
        cost = np.array(
            [
                round(_seconds(model, (key >> 1) & 3, key >> 3, bool(key & 1)) * 1e9)
                for key in keys.tolist()
            ],
            dtype=np.int64,
        )
        out[part] = np.where(waits[part], cost[inverse], 0)
    fits = narrowest(0, int(out.max(initial=0)))
    return out.astype(fits, copy=False)


def waits_blocked_ns(
    model: DeviceModel | None,
    cause: npt.NDArray[Any],
    texts: Sequence[str],
    host_ns: Ints,
) -> Ints:
    """Host time of waits that no copy makes.

    In simulation a waiting operator costs reading its count; explicit synchronisation costs what
    was queued, which is not modelled: 0 there, and a rule says "not measured".
    """
    if model is None:
        return host_ns
    queued = np.array([any(q in text for q in _QUEUE) for text in texts], dtype=np.bool_)
    read = round(model.d2h_s(_COUNT_BYTES, pinned=False) * 1e9)
    if not len(cause):
        return np.zeros(0, dtype=np.int64)
    return np.where((cause >= 0) & queued[cause], 0, read).astype(np.int64)
