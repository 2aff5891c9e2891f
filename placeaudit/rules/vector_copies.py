"""Which copies arithmetic of vectors made, and which ones only bring its results back."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.audit import H2D, Audit
from placeaudit.analyze.lineage import Lineage
from placeaudit.analyze.vector_operations import operations_of_copies

__all__ = ["VectorCopies", "vector_copies"]


@dataclass(frozen=True, slots=True)
class VectorCopies:
    """By copy a row of ``Audit.vectors``, -1 where there is none.  PA302 speaks of these copies."""

    #: The operation on operands of several devices that made the copy.
    made: npt.NDArray[np.int32]
    #: The one whose result, on the host, this upload brings back to the device.
    returns: npt.NDArray[np.int32]

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return bool((self.made >= 0).any())

    @property
    def claimed(self) -> npt.NDArray[np.bool_]:
        """By copy: whether another rule has nothing to add."""
        return np.asarray((self.made >= 0) | (self.returns >= 0))


def vector_copies(audit: Audit, lineage: Lineage) -> VectorCopies:
    """The copies of vectors' arithmetic; what came back is told inside the operation window."""
    copies = audit.copies
    made = operations_of_copies(audit.vectors, copies)
    returns = np.full(len(copies), -1, dtype=np.int32)
    found = VectorCopies(made, returns)
    if not found.any:
        return found
    downloads: dict[int, list[int]] = defaultdict(list)
    for origins in lineage.origins:
        downloads[int(copies.site[origins.upload])].extend(origins.downloads)
    for site, rows in downloads.items():
        if rows and (made[rows] >= 0).all():
            mine = (copies.site == site) & (copies.direction == H2D) & (made < 0)
            returns[mine] = made[rows[0]]
    return found
