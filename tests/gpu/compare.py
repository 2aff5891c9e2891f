"""Holds a device against the tables that the simulated one is held to: copies, waits, errors.

Several witnesses are heard: PyTorch itself (``torch.cuda.set_sync_debug_mode``), the record, CUPTI
(what the driver copied and waited for) and a long kernel queued before (whether a call came back
while the device was busy).  The last two exist on a real device only.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

import placeaudit
from placeaudit.crossing import COPIES, Copy

SIMULATED = Path(__file__).parents[1] / "simulate" / "torch_cuda"

#: GPU clock cycles: some hundred milliseconds, far above what the calls of the tables take.
BUSY_CYCLES = 500_000_000
#: Runtime calls that make the host wait.
_WAITING_CALLS = ("cudaStreamSynchronize", "cudaDeviceSynchronize", "cudaEventSynchronize")
_DIRECTIONS = {
    "Memcpy HtoD": "h2d",
    "Memcpy DtoH": "d2h",
    "Memcpy DtoD": "d2d",
    "Memcpy PtoP": "d2d",
}
#: Beside device memory of this size a copy takes long enough to be caught in the act.
LARGE = (2048, 2048)


@dataclass(frozen=True)
class Difference:
    """Where a witness contradicts a table."""

    table: str
    row: str
    witness: str
    expected: object
    found: object

    def __str__(self) -> str:
        return (
            f"{self.table:7} {self.row:45} {self.witness:15} table: {self.expected}   "
            f"here: {self.found}"
        )


def load(name: str) -> ModuleType:
    """A test file of the simulation, as a module."""
    spec = importlib.util.spec_from_file_location(f"table_{name}", SIMULATED / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# --- witnesses --------------------------------------------------------------------------------


def pytorch_says_it_waits(call: Callable[[], object]) -> bool:
    """Whether PyTorch knows that ``call`` synchronises."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        call()
    except RuntimeError as error:
        if "called a synchronizing" not in str(error):
            raise
        return True
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return False


def waits_for_a_busy_device(call: Callable[[], object]) -> bool:
    """Whether ``call`` returned only after a kernel queued before it had finished."""
    torch.cuda.synchronize()
    torch.cuda._sleep(BUSY_CYCLES)
    done = torch.cuda.Event()
    done.record()
    call()
    was_done: bool = done.query()
    torch.cuda.synchronize()
    return was_done


def driver_events(call: Callable[[], object]) -> tuple[list[tuple[str, int]], bool]:
    """(direction, bytes) of each copy that CUPTI saw, and whether a call of the runtime waited."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as prof:
        call()
    results: Any = prof.profiler
    copies, waits = [], False
    for event in results.kineto_results.events():
        name = event.name()
        direction = next((d for prefix, d in _DIRECTIONS.items() if name.startswith(prefix)), None)
        if direction is not None:
            copies.append((direction, int(event.nbytes())))
        waits |= name.startswith(_WAITING_CALLS)
    return copies, waits


def recorded(call: Callable[[], object]) -> tuple[list[tuple[str, int, bool]], list[str]]:
    """(direction, bytes, waits) of each copy in the record, and the waits that are no copies."""
    with placeaudit.trace() as run:
        call()
    copies = [(row["direction"], row["bytes"], row["waits"]) for row in run.copies.to_pylist()]
    causes = [row["cause"] for row in run.waits.to_pylist()]
    return copies, [c for c in causes if c not in {"copy_", "_local_scalar_dense", "synchronize"}]


# --- tables -----------------------------------------------------------------------------------


def differences_of_waits(*, real: bool) -> Iterator[Difference]:
    """PyTorch's expressions (``test_waits.py``)."""
    table = load("test_waits")
    for name, expression in {**table.NO_WAIT, **table.WAIT}.items():
        expected = name in table.WAIT

        # Allocations and library handles of a first call are not the table's affair.
        expression(table.Inputs())
        call = functools.partial(expression, table.Inputs())

        def check(witness: str, expected: object, found: object, row: str = name) -> Difference:
            return Difference("waits", row, witness, expected, found)

        yield check("PyTorch", expected, pytorch_says_it_waits(call))
        copies, causes = recorded(call)
        up = sum(size for direction, size, _ in copies if direction == "h2d")
        down = sum(size for direction, size, _ in copies if direction == "d2h")
        yield check("record", table.RECORDED[name], (up, down, causes))
        if real:
            yield check("busy device", expected, waits_for_a_busy_device(call))
            seen, waits = driver_events(call)
            yield check("CUPTI waits", expected, waits)
            yield check("CUPTI bytes up", up, sum(size for d, size in seen if d == "h2d"))


def _host_side(row: Copy) -> torch.Tensor:
    rows, columns = LARGE
    host = torch.ones((rows, columns if row.as_is else 2 * columns), dtype=torch.uint8)
    host = host.pin_memory() if row.pinned else host
    return host if row.as_is else host[:, ::2]


def differences_of_copies(*, real: bool) -> Iterator[Difference]:
    """The table of copies (``placeaudit.crossing.COPIES``)."""
    size = LARGE[0] * LARGE[1]
    device = torch.zeros(LARGE, dtype=torch.uint8, device="cuda")
    for row in COPIES:
        host = _host_side(row)
        target, source = (device, host) if row.direction == "h2d" else (host, device)

        def copy(
            target: torch.Tensor = target, source: torch.Tensor = source, row: Copy = row
        ) -> object:
            return target.copy_(source, non_blocking=row.non_blocking)

        words = [row.direction, "pinned" if row.pinned else "pageable"]
        words += ["non_blocking"] * row.non_blocking + ["strided"] * (not row.as_is)

        def check(
            witness: str, expected: object, found: object, name: str = " ".join(words)
        ) -> Difference:
            return Difference("copies", name, witness, expected, found)

        copy()
        yield check("record", ([(row.direction, size, row.waits)], []), recorded(copy))
        if row.as_is:
            yield check("PyTorch", not row.non_blocking, pytorch_says_it_waits(copy))
        if real:
            yield check("busy device", row.waits, waits_for_a_busy_device(copy))
            crossed = [(d, n) for d, n in driver_events(copy)[0] if d != "d2d"]
            yield check("CUPTI", [(row.direction, size)], crossed)
    torch.cuda.synchronize()


def _needs_second_device(call: Callable[[], object]) -> bool:
    code: Any = getattr(call, "__code__", None)
    return code is None or "peer" in code.co_names or "cuda:1" in str(code.co_consts)


def differences_of_errors() -> Iterator[Difference]:
    """The table of errors (``test_errors.py``): their types and texts."""
    for name, case in load("test_errors").CASES.items():
        if torch.cuda.device_count() < 2 and _needs_second_device(case.call):
            continue
        found: tuple[type[BaseException] | None, str] = (None, "no error")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                case.call()
        except Exception as error:  # noqa: BLE001  # any error is a difference to be shown
            found = (type(error), str(error))
        yield Difference("errors", name, "PyTorch", (case.error, case.text), found)


def differences(*, real: bool) -> list[Difference]:
    """Every contradiction between the tables and the device that is here."""
    rows = [
        *differences_of_waits(real=real),
        *differences_of_copies(real=real),
        *differences_of_errors(),
    ]
    assert rows
    return [row for row in rows if row.expected != row.found]
