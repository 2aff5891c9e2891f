"""Which of several cooperating processes this is, as launchers tell by environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

__all__ = ["launched_as"]

#: Rank among all processes, rank on this machine, number of processes: torchrun and its kin, Open
#: MPI, MPICH and Intel MPI, Slurm.
_VARIABLES: Final = (
    ("RANK", "LOCAL_RANK", "WORLD_SIZE"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_SIZE"),
    ("PMI_RANK", "MPI_LOCALRANKID", "PMI_SIZE"),
    ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS"),
)
_KEYS: Final = ("rank", "local_rank", "world_size")


def launched_as(environment: Mapping[str, str] = os.environ) -> dict[str, int]:
    """``rank``, ``local_rank`` and ``world_size`` of this process, as far as a launcher tells."""
    for names in _VARIABLES:
        if environment.get(names[0], "").isdecimal():
            given = (
                (key, environment.get(name, "")) for key, name in zip(_KEYS, names, strict=True)
            )
            return {key: int(text) for key, text in given if text.isdecimal()}
    return {}
