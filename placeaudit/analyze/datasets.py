"""The ``tf.data`` pipelines that a program iterates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Datasets"]


@dataclass(frozen=True, slots=True)
class Datasets:
    """Pipelines whose elements were timed; text columns index ``Audit.strings``."""

    #: As in the ``storage`` of its ``calls`` of kind "next".
    dataset: npt.NDArray[np.int64]
    #: The stage in question as its method is called: "map"; "" where it is the whole.
    stage: npt.NDArray[np.int32]
    #: "python", "generator", "serial", "no prefetch".
    reason: npt.NDArray[np.int32]
    #: All stages: "TensorSlice > Map > Batch".
    stages: npt.NDArray[np.int32]
    #: Where that stage was made.
    site: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.dataset)
