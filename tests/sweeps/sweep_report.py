"""Adds up what a sweep over operators observed and writes reports/operators.md."""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = ["Sweep", "write_report"]

#: Why an operator may differ from the host, by name and case; anything else is a fault.
KNOWN: Final[dict[str, str]] = {}
ORDER: Final = ("identical", "within tolerance", "refused", "different", "crashed")


@dataclass
class Sweep:
    """All records of a sweep: one for each operator and dtype."""

    records: list[dict[str, Any]]
    seconds: float
    #: Calls by verdict, of operators and dtypes that a GPU has.
    totals: Counter[str] = field(default_factory=Counter)
    #: The same, of dtypes that only the host has.
    host_only: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for record in self.records:
            totals = self.totals if record["on_gpu"] else self.host_only
            for row in record["rows"].values():
                totals.update(row["counts"])

    def calls(self) -> int:
        """How many calls were compared."""
        return sum(self.totals.values())

    def alike(self) -> float:
        """Share of calls that are identical or within tolerance."""
        same = self.totals["identical"] + self.totals["within tolerance"]
        return same / max(1, self.calls())

    def faults(self) -> dict[tuple[str, str, str], list[str]]:
        """Dtypes by operator, case and first example, of what is neither alike nor explained."""
        found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        for record in self.records:
            if not record["on_gpu"]:
                continue
            for case, row in record["rows"].items():
                if any(row["counts"].get(verdict) for verdict in ORDER[2:]):
                    example = next(iter(row["examples"]), "")
                    found[record["name"], case, example].append(record["dtype"])
        return dict(found)

    def unexplained(self) -> dict[tuple[str, str, str], list[str]]:
        """The faults that :data:`KNOWN` gives no reason for."""
        return {key: value for key, value in self.faults().items() if key[0] not in KNOWN}

    def summary(self) -> str:
        """A few lines for the terminal."""
        names = {record["name"] for record in self.records}
        share = f"{100 * self.alike():.2f} % alike"
        lines = [
            f"{self.calls()} calls of {len(names)} operators in {self.seconds:.0f} s: {share}",
            *(f"{self.totals[verdict]:9} {verdict}" for verdict in ORDER),
        ]
        for (name, case, example), dtypes in self.unexplained().items():
            shown = ", ".join(item.removeprefix("torch.") for item in dtypes)
            lines.append(f"{name}, {case} ({shown}): {example}")
        return "\n".join(lines)


def _write_rows(sweep: Sweep) -> list[str]:
    lines = []
    for (name, case, example), dtypes in sorted(sweep.faults().items()):
        shown = ", ".join(item.removeprefix("torch.") for item in dtypes)
        what = KNOWN.get(name) or example
        lines.append(f"| {name} | {case} | {shown} | {what.replace('|', chr(92) + '|')} |")
    return lines


def write_report(sweep: Sweep, path: Path) -> None:
    """Write the figures and the list of what remains."""
    import torch

    totals = sweep.totals
    where = f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores"
    today = dt.datetime.now(tz=dt.UTC).date()
    lines = [
        "# Operators on simulated CUDA",
        "",
        f"Written by `make sweep` on {today}; {where}, {sweep.seconds / 60:.0f} minutes.",
        "",
        "| calls | " + " | ".join(ORDER) + " |",
        "|---|" + "---|" * len(ORDER),
        f"| {sweep.calls()} | " + " | ".join(str(totals[verdict]) for verdict in ORDER) + " |",
        "",
        f"{100 * sweep.alike():.2f} % alike.",
        "",
        "| operator | case | dtypes | what differs, and why |",
        "|---|---|---|---|",
        *_write_rows(sweep),
        "",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
