"""Runs the operators it is given and appends a line of JSON for each; the parent may kill it.

Its progress stands in a file before each step, so that whatever ends the process is known by name.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from sweep_cases import Case, cases_of, error_cases, samples_of
from sweep_compare import DEVICE, HOST, Side, Verdict, compare, observe
from sweep_more import more_operators
from torch.testing._internal.common_methods_invocations import op_db

from placeaudit.simulate import simulate

__all__ = ["main"]

#: Their elements are whatever was in memory.
UNDEFINED = frozenset(
    {
        "empty",
        "empty_like",
        "empty_permuted",
        "empty_strided",
        "new_empty",
        "new_empty_strided",
    }
)
#: Kept per operator, dtype and case.
EXAMPLES = 2


class Worker:
    """One pass over some operators."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._host, self._device = Side(HOST), Side(DEVICE)
        self._progress: Path = options.progress

    def _tell(self, **where: object) -> None:
        self._progress.write_text(json.dumps(where), encoding="utf-8")

    def _run_case(self, op: Any, case: Case, rows: dict[str, Any]) -> None:
        name, call = case
        row = rows.setdefault(name, {"counts": Counter(), "examples": []})
        host = observe(call, self._host)
        device = observe(call, self._device)
        try:
            verdict, what = compare(host, device, values=op.name not in UNDEFINED)
        except Exception as error:  # noqa: BLE001  # what a fault leaves may not even be readable
            verdict, what = Verdict.DIFFERENT, f"cannot be compared: {error!r}"[:300]
        row["counts"][verdict] += 1
        if what and len(row["examples"]) < EXAMPLES:
            row["examples"].append(what)

    def run_dtype(self, op: Any, dtype: torch.dtype, rows: dict[str, Any]) -> None:
        """All samples of one dtype."""
        try:
            for turn, sample in enumerate(samples_of(op, dtype, self._options.samples)):
                for case in cases_of(op, dtype, sample, turn):
                    self._tell(name=op.full_name, dtype=str(dtype), case=case[0], turn=turn)
                    self._run_case(op, case, rows)
        except Exception as error:  # noqa: BLE001  # a sample that cannot be made
            rows["no samples"] = {"counts": {Verdict.DIFFERENT: 1}, "examples": [repr(error)]}

    def run(self, op: Any, done: frozenset[str]) -> None:
        """All dtypes of one operator, those in ``done`` left out."""
        dtypes = sorted(op.supported_dtypes("cpu"), key=str)
        if self._options.dtypes:
            dtypes = [dtype for dtype in dtypes if str(dtype)[6:] in self._options.dtypes]
        for dtype in dtypes:
            if str(dtype) in done:
                continue
            rows: dict[str, Any] = {}
            self.run_dtype(op, dtype, rows)
            self._write(op, str(dtype), rows)
        if "errors" not in done and not self._options.dtypes:
            rows = {}
            for case in error_cases(op):
                self._tell(name=op.full_name, dtype="errors", case=case[0], turn=0)
                self._run_case(op, case, rows)
            self._write(op, "errors", rows)

    def _write(self, op: Any, dtype: str, rows: dict[str, Any]) -> None:
        device_dtypes = {str(item) for item in op.dtypesIfCUDA}
        line = {
            "name": op.full_name,
            "dtype": dtype,
            "on_gpu": dtype == "errors" or dtype in device_dtypes,
            "rows": rows,
        }
        with self._options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")


def main() -> int:
    """Parse the command line, run, and say where it is all the way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--progress", type=Path, required=True)
    parser.add_argument("--plan", type=Path, required=True, help="JSON: [[name, [dtypes done]]]")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--dtypes", nargs="*", default=[])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    operators = {op.full_name: op for op in (*op_db, *more_operators())}
    plan: list[tuple[str, list[str]]] = json.loads(options.plan.read_text(encoding="utf-8"))
    worker = Worker(options)
    with simulate("cuda:2"):
        for name, done in plan:
            worker.run(operators[name], frozenset(done))
    return 0


if __name__ == "__main__":
    sys.exit(main())
