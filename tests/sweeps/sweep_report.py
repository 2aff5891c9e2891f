"""Adds up what a sweep over operators observed and writes reports/operators.md."""

from __future__ import annotations

import datetime as dt
import fnmatch
import os
import platform
import textwrap
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

__all__ = ["Sweep", "write_report"]

ORDER: Final = ("identical", "within tolerance", "refused", "different", "crashed")
_ALIKE: Final = ORDER[:2]

#: Why an operator differs from the host: patterns of its name, its case and what differs, and the
#: reason.  Anything else is a fault.
KNOWN: Final[tuple[tuple[str, str, str, str], ...]] = (
    (
        "*",
        "*",
        'host: NotImplementedError: "*" not implemented for *; device: no error',
        "as on a device, which has this dtype where the CPU lacks it",
    ),
    (
        "*",
        "wrong arguments",
        "host raises * out of *; device raises AcceleratorError: CUDA error: device-side assert *",
        "as on a device, whose kernels assert",
    ),
    (
        "nn.functional.linear_cross_entropy*",
        "*",
        "elements *",
        "as on a device, where PyTorch adds up in another order (`LinearCrossEntropyOptions`)",
    ),
    (
        "nn.functional.max_pool1d",
        "negative view",
        "elements *",
        "the host reads the elements of a negative view without their sign; the device's are right",
    ),
    (
        "narrow_copy",
        "wrong arguments",
        "*",
        "as on a device: the host has an implementation, and a text, of its own",
    ),
    ("narrow_copy", "out*", "*", "as on a device: only the CPU has `narrow_copy.out`"),
    (
        "cat",
        "wrong arguments",
        "(identity, shared memory)*",
        "an `out` that has to grow gets memory of its own; others that shared the old stay with it",
    ),
    (
        "_foreach_*",
        "*",
        "version counters *",
        "as on a device: one kernel, which counts each tensor's version once",
    ),
    ("_foreach_mm", "*", "*_cuda* not implemented *", "as on a device: no whole numbers"),
    ("sparse.mm.reduce", "*", "NotImplementedError*", "as on a device: only the CPU has it"),
    ("histogramdd", "*", "*NotImplementedError*", "as on a device: only the CPU has it"),
    ("nested: sum", "*", "NotImplementedError*", "as on a device: only the CPU has it"),
    *(
        (name, "*", "result* is on cpu", "as on a device: samples of numbers that name none")
        for name in ("arange", "linspace*", "logspace*")
    ),
    (
        "renorm",
        "*gradient",
        "elements *",
        "as on a device, whose sums have another type in the formula of the gradient",
    ),
    (
        "linalg.lstsq",
        "out, wider dtype",
        "elements *",
        "computed in single precision, held here to the tolerance of `out`, which is double",
    ),
    ("quantised: *", "*", "NotImplementedError*", "quantised tensors are not simulated"),
)

_WHAT: Final = """
PyTorch's own samples of {count} operators (`op_db`, and samples of sparse, nested and quantised
tensors and of `torch._foreach_*`), {most} of each operator and dtype, run on `cuda:1` and beside it
on the CPU, with the same seed: forward, gradients, strided, conjugate and negative views, `out=` of
seven kinds, in place, in place on a view, and wrong arguments. Compared are elements (bit by bit,
then within the tolerance of their dtype in `torch.testing.assert_close`), shapes, strides, dtypes,
devices, lazy bits, which tensors share memory, what became of the arguments, and error types and
texts.
"""

#: Operator, case and example, with the dtypes it was seen in.
Faults = dict[tuple[str, str, str], list[str]]


def _reason(name: str, case: str, example: str) -> str:
    """Why this operator may differ; empty where it may not."""
    for *patterns, reason in KNOWN:
        pairs = zip((name, case, example), patterns, strict=True)
        if all(fnmatch.fnmatchcase(text, pattern) for text, pattern in pairs):
            return reason
    return ""


def _short(dtypes: list[str]) -> str:
    return ", ".join(dtype.removeprefix("torch.") for dtype in dtypes)


@dataclass
class Sweep:
    """All records of a sweep: one for each operator and dtype."""

    records: list[dict[str, Any]]
    seconds: float
    #: Most samples of one operator and dtype; 0 for all.
    samples: int = 0
    #: Calls by verdict, of operators and dtypes that a device has.
    totals: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        for record in self.records:
            if record["on_gpu"]:
                for row in record["rows"].values():
                    self.totals.update(row["counts"])

    def calls(self) -> int:
        """How many calls were compared."""
        return sum(self.totals.values())

    def alike(self) -> float:
        """Share of calls that are identical or within tolerance, per cent."""
        return 100 * sum(self.totals[verdict] for verdict in _ALIKE) / max(1, self.calls())

    def faults(self) -> Faults:
        """What is neither identical nor within tolerance."""
        found: Faults = defaultdict(list)
        for record in self.records:
            if not record["on_gpu"]:
                continue
            for case, row in record["rows"].items():
                if any(row["counts"].get(verdict) for verdict in ORDER[2:]):
                    example = next(iter(row["examples"]), "")
                    found[record["name"], case, example].append(record["dtype"])
        return dict(found)

    def unexplained(self) -> Faults:
        """The faults that :data:`KNOWN` gives no reason for."""
        return {key: found for key, found in self.faults().items() if not _reason(*key)}

    def host_only(self) -> Iterator[tuple[str, str, str]]:
        """Operators and dtypes that only the host has: how they end on the simulated device."""
        for record in self.records:
            if record["on_gpu"]:
                continue
            counts: Counter[str] = Counter()
            for row in record["rows"].values():
                counts.update(row["counts"])
            ending = "fails" if counts["refused"] else "computes"
            yield ending, record["name"], record["dtype"]

    def summary(self) -> str:
        """A few lines for the terminal."""
        names = {record["name"] for record in self.records}
        head = f"{self.calls()} calls of {len(names)} operators in {self.seconds:.0f} s"
        lines = [f"{head}: {self.alike():.2f} % alike"]
        lines += [f"{self.totals[verdict]:9} {verdict}" for verdict in ORDER]
        for (name, case, example), dtypes in self.unexplained().items():
            lines.append(f"{name}, {case} ({_short(dtypes)}): {example}")
        return "\n".join(lines)


def _by_operator(sweep: Sweep) -> list[str]:
    """Rows of the list of what remains: one for each operator and reason."""
    groups: dict[tuple[str, str], tuple[set[str], set[str]]] = {}
    for (name, case, example), dtypes in sweep.faults().items():
        what = _reason(name, case, example) or f"**not explained**: {example}"
        cases, seen = groups.setdefault((name, what), (set(), set()))
        cases.add(case)
        seen.update(dtypes)
    rows = []
    for (name, what), (cases, seen) in sorted(groups.items()):
        text = what.replace("|", "\\|")
        rows.append(f"| {name} | {'; '.join(sorted(cases))} | {_short(sorted(seen))} | {text} |")
    return rows


def _host_only_lines(sweep: Sweep) -> list[str]:
    found: dict[str, dict[str, list[str]]] = {"fails": {}, "computes": {}}
    for ending, name, dtype in sweep.host_only():
        found[ending].setdefault(name, []).append(dtype)

    def listed(ending: str) -> str:
        pairs = sorted(found[ending].items())
        text = "; ".join(f"{name} ({_short(sorted(dtypes))})" for name, dtypes in pairs)
        return "\n".join(textwrap.wrap(f"{text}.", 98, break_on_hyphens=False))

    return [
        "## Dtypes that only the CPU has",
        "",
        "By PyTorch's own lists (`dtypesIfCUDA`). On the simulated device these fail, as on a real",
        "one:",
        "",
        listed("fails"),
        "",
        "These are computed, although a real device is said to have no kernel for them (the lists",
        "leave out products of bfloat16 where there is no device when torch is imported):",
        "",
        listed("computes"),
        "",
    ]


def write_report(sweep: Sweep, path: Path) -> None:
    """Write the figures and the list of what remains."""
    import torch

    totals = sweep.totals
    where = f"torch {torch.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores"
    today = dt.datetime.now(tz=dt.UTC).date()
    names = {record["name"] for record in sweep.records}
    command = (
        f'make sweep SWEEP_ARGS="--samples {sweep.samples}"' if sweep.samples else "make sweep"
    )
    most = f"at most {sweep.samples} (at equal distances)" if sweep.samples else "all"
    lines = [
        "# Operators on simulated CUDA",
        "",
        f"Written by `{command}` on {today}; {where}, {sweep.seconds / 60:.0f} minutes.",
        "",
        *textwrap.wrap(_WHAT.strip().format(count=len(names), most=most), 98),
        "",
        "| calls | " + " | ".join(ORDER) + " |",
        "|---|" + "---|" * len(ORDER),
        f"| {sweep.calls()} | " + " | ".join(str(totals[verdict]) for verdict in ORDER) + " |",
        "",
        f"{sweep.alike():.2f} % are identical or within tolerance.",
        "",
        "## What remains",
        "",
        "| operator | cases | dtypes | what differs, and why |",
        "|---|---|---|---|",
        *_by_operator(sweep),
        "",
        *_host_only_lines(sweep),
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
