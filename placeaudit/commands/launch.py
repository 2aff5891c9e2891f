"""Ranks that a launcher started, each as ``placeaudit trace``: they record into one run.

``torchrun … -m placeaudit trace -o run train.py`` starts the command once for every rank.  The
first rank of a machine makes the run and, when all have ended, prints what was found; the others
join it.
"""

from __future__ import annotations

import itertools
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from placeaudit.errors import OutputError
from placeaudit.record.ranks import launched_as
from placeaudit.store.writer import META

__all__ = ["Launch", "find_launch"]

#: What tells one launch from another: torchrun and its kin, Open MPI, MPICH and Intel MPI, Slurm.
_NAMES: Final = (
    ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"),
    ("OMPI_MCA_ess_base_jobid",),
    ("PMIX_NAMESPACE",),
    ("PMI_JOBID",),
    ("SLURM_JOB_ID", "SLURM_STEP_ID"),
)
#: Seconds a rank waits for the run to appear, and the first one for the others to end.
_PATIENCE_S: Final = 60.0
_PAUSE_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Launch:
    """The launch this process belongs to."""

    name: str
    #: Whether this process makes the run and speaks for all.
    leads: bool

    def join(self, output: Path | None, default: str) -> Path:
        """The run that the first rank has made at ``output``, or beside ``default``.

        Raises:
            OutputError: it made none.
        """
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            for path in _candidates(output, default):
                if _read(path / META).get("launch") == self.name:
                    return path
            time.sleep(_PAUSE_S)
        where = output or Path(default).absolute()
        raise OutputError(f"the first rank of this launch made no record at {where}")

    def wait_for_others(self, run: Path) -> None:
        """Until every process that records into ``run`` has ended its record, or is gone."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            open_ = [_read(file) for file in run.glob(f"*/{META}")]
            if not any(_goes_on(meta) for meta in open_):
                return
            time.sleep(_PAUSE_S)


def find_launch(environment: Mapping[str, str] = os.environ) -> Launch | None:
    """The launch of several ranks that this process is one of; None outside of one."""
    rank = launched_as(environment)
    if rank.get("world_size", 1) < 2:  # noqa: PLR2004  (a rank alone)
        return None
    for names in _NAMES:
        if environment.get(names[0]):
            name = " ".join(environment.get(part, "") for part in names)
            return Launch(name, leads=rank.get("local_rank", rank["rank"]) == 0)
    return None


def _candidates(output: Path | None, default: str) -> list[Path]:
    if output is not None:
        return [output]
    first = Path(default).absolute()
    numbered = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return [first, *itertools.takewhile(Path.exists, numbered)]


def _read(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _goes_on(meta: Mapping[str, Any]) -> bool:
    pid = meta.get("pid")
    if meta.get("ended") or not isinstance(pid, int) or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
