"""The Python API: ``trace``, ``simulate``, ``load``, ``step`` and ``Run``.

::

    with placeaudit.simulate("cuda"):            # nothing where a real GPU is to be used
        with placeaudit.trace("run-dir") as run:
            train()
    for finding in run.findings:
        print(finding.file, finding.line, finding.message)
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from placeaudit.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

    from placeaudit.model import Finding
    from placeaudit.record.guard import Allow, Guard, Level
    from placeaudit.record.session import Session
    from placeaudit.report.base import Result
    from placeaudit.report.summary import Summary
    from placeaudit.simulate.spec import SimulationSpec
    from placeaudit.testing.assertions import AssertNoStrayCopies

__all__ = [
    "Run",
    "allow",
    "assert_no_stray_copies",
    "guard",
    "load",
    "register_vector",
    "simulate",
    "step",
    "trace",
]


class Run:
    """A recorded run: its findings, its events as tables, its report.

    Everything is read and analysed on first use.  Inside ``with trace() as run:`` the record is
    still being written, so every attribute but ``path`` raises ``UsageError`` until the block ends.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        own: Sequence[str] = (),
        select: Sequence[str] = (),
        ignore: Sequence[str] = (),
    ) -> None:
        #: The record's directory.
        self.path = Path(path)
        self._own = tuple(own)
        self._select = tuple(select)
        self._ignore = tuple(ignore)
        self._open = False
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @cached_property
    def result(self) -> Result:
        """The analysed run as reporters take it: its facts and its findings."""
        if self._open:
            raise UsageError("the trace is still running: read the run after its `with` block")
        from placeaudit.analyze.run import analyze
        from placeaudit.report.base import Result
        from placeaudit.rules.registry import run_rules
        from placeaudit.store.reader import read_run

        audit = analyze(read_run(self.path), own=self._own)
        return Result(audit, run_rules(audit, select=self._select, ignore=self._ignore))

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was found, worst first.

        Raises:
            RecordError: The record is missing, empty or damaged beyond reading.
            UsageError: The trace is still running.
        """
        return self.result.findings

    @cached_property
    def copies(self) -> pa.Table:
        """One row a copy between devices, by time.

        Columns: ``time_s`` (since the first event), ``step`` (null where none can be told),
        ``phase``, ``direction`` (``h2d``, ``d2h``, ``d2d``), ``src``, ``dst``, ``bytes`` (that
        crossed), ``src_dtype``, ``dst_dtype``, ``shape``, ``pinned``, ``non_blocking``, ``waits``,
        ``blocked_s`` (host time, see ``summary().basis``), ``operation``, ``module``, ``file``,
        ``line``, ``function`` (null where no frame is known), ``allowed`` (the reason given to
        ``placeaudit.allow()``, null outside of it), ``process``.
        """
        from placeaudit.report.tables import copies_table

        return copies_table(self.result.audit)

    @cached_property
    def waits(self) -> pa.Table:
        """One row a wait of the host for a device, by time; waits of copies are included.

        Columns: ``time_s``, ``step``, ``phase``, ``cause``, ``device``, ``blocked_s``, ``copy``
        (row in ``copies``, null where no copy made the wait), ``module``, ``file``, ``line``,
        ``function``, ``allowed``, ``process``.
        """
        from placeaudit.report.tables import waits_table

        return waits_table(self.result.audit)

    @cached_property
    def placements(self) -> pa.Table:
        """Where parameters, buffers, inputs, outputs, gradients and optimizer state live.

        A row again only when something changed.  Columns: ``time_s``, ``kind``, ``owner``,
        ``name``, ``device``, ``dtype``, ``shape``, ``bytes``, ``expected_device`` (the parameter's
        device for its gradient and optimizer state, else null), ``process``.
        """
        from placeaudit.report.tables import placements_table

        return placements_table(self.result.audit)

    def summary(self) -> Summary:
        """Counts and bytes by direction, waits, and host time blocked in seconds."""
        return self.result.summary

    def report(self, path: str | Path, *, force: bool = False) -> Path:
        """Write the HTML report to ``path``, one self-contained file, and return its path.

        Raises:
            OutputError: ``path`` exists and ``force`` is not set, or it cannot be written.
        """
        from placeaudit.report.base import write
        from placeaudit.report.html import HtmlReporter

        target = Path(path)
        write(HtmlReporter().render([self.result]), target, force=force)
        return target


def load(
    path: str | Path,
    *,
    own: Sequence[str] = (),
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
) -> Run:
    """Open the record of an earlier run, of one process or many.

    Args:
        path: The record's directory.
        own: Installed packages that count as the user's code in findings.
        select: Only these rules (codes, prefixes of codes, names); all of them where empty.
        ignore: Not these rules.

    Raises:
        RecordError: There is no record at ``path``, or it is damaged beyond reading.
        RecordVersionError: It was written by a newer placeaudit.
        UsageError: A rule is not known.
    """
    run = Run(path, own=own, select=select, ignore=ignore)
    run.result  # noqa: B018 - read now, so that an error comes from here
    return run


@contextmanager
def _part_of(outer: Session, run: Run) -> Iterator[None]:
    """A trace inside another one: its record is what the outer one records meanwhile."""
    start_ns = perf_counter_ns()
    run._open = True  # noqa: SLF001 - one object, handed out before it is complete
    try:
        yield
    finally:
        outer.write_part(run.path, start_ns)
        run._open = False  # noqa: SLF001


@contextmanager
def _trace(run: Run, *, force: bool, own: Sequence[str], steps: str) -> Iterator[Run]:
    from placeaudit.record.session import Session, current
    from placeaudit.record.window import parse_steps
    from placeaudit.store.writer import create_run

    window = parse_steps(steps)
    outer = current()
    create_run(run.path, argv=sys.argv, simulated=_simulated(), force=force)
    if outer is not None:
        with _part_of(outer, run):
            yield run
        return
    session = Session.start(run.path, own=own, steps=window)
    run._open = True  # noqa: SLF001 - one object, handed out before it is complete
    code = 1
    try:
        yield run
        code = 0
    finally:
        session.stop(exit_code=code)
        run._open = False  # noqa: SLF001


def trace(
    path: str | Path | None = None,
    *,
    force: bool = False,
    own: Sequence[str] = (),
    steps: str = "",
) -> AbstractContextManager[Run]:
    """Record what the ``with`` block copies between devices and where it makes the host wait.

    Args:
        path: The record's directory, which must not exist.  Without it the record is temporary and
            goes with the ``Run``.
        force: Replace an earlier record at ``path``.
        own: Installed packages that count as the user's code in findings.
        steps: Steps of which every operation is recorded: ``"10:13"`` (from 10 up to, not
            including, 13, counted from 0) or ``"all"``; three warm steps where empty.

    Inside a trace that is running already (``placeaudit trace script.py``, another ``trace()``, an
    audited test) the block's record is its part of that one, which goes on: its ``own`` and
    ``steps`` hold.

    Raises:
        OutputError: ``path`` exists and ``force`` is not set, or it cannot be written.
        UsageError: ``steps`` names no steps.
    """
    if path is not None:
        return _trace(Run(Path(path).absolute(), own=own), force=force, own=own, steps=steps)
    temporary = tempfile.TemporaryDirectory(prefix="placeaudit-")
    run = Run(Path(temporary.name) / "run", own=own)
    run._temporary = temporary  # noqa: SLF001 - lives as long as the run
    return _trace(run, force=force, own=own, steps=steps)


@contextmanager
def simulate(spec: str = "cuda") -> Iterator[SimulationSpec]:
    """Give the ``with`` block devices that are not there: ``"cuda"``, ``"cuda:2=h100"``.

    Tensors compute on the host with real values; copies and waits happen where a real device makes
    them, and their times are modelled on the named hardware.

    Yields:
        What is simulated: backend, number of devices, hardware model.

    Raises:
        SimulationSpecError: ``spec`` does not parse.
        SimulationError: Devices cannot be simulated here, with the reason.
    """
    from placeaudit.simulate import simulate as simulated

    with simulated(spec) as chosen:
        _tell_session(str(chosen))
        yield chosen


def guard(
    *,
    h2d: Level | None = None,
    d2h: Level | None = None,
    d2d: Level | None = None,
    sync: Level | None = None,
) -> Guard:
    """What this thread may copy and wait for, inside a ``with`` block or a decorated function.

    Each direction is ``"allow"``, ``"log"`` (to the logger ``placeaudit``, once a line) or
    ``"disallow"``; what is not named is inherited from the guard around it, else allowed.  The
    backward passes that the block starts are guarded too, on autograd's own threads.

    Args:
        h2d: Copies from the host to a device.
        d2h: Copies from a device to the host, ``.item()`` and its kin included.
        d2d: Copies between devices; within one device is no transfer.
        sync: Anything that makes the host wait: ``synchronize()``, ``nonzero()``, ``.item()``, and
            copies that block.

    Raises:
        TransferError: From inside the block, at the line of a disallowed transfer or wait, before
            it is made; from ``backward()`` where it is made there.
        UsageError: A level is not known.
    """
    from placeaudit.record.guard import Guard

    return Guard(h2d=h2d, d2h=d2h, d2d=d2d, sync=sync)


def allow(reason: str) -> Allow:
    """A reasoned exception: what the ``with`` block or decorated function copies is meant.

    Guards let it pass, and a record keeps the reason, so that findings and the limits of
    ``assert_no_stray_copies`` leave it out.

    Raises:
        UsageError: There is no reason.
    """
    from placeaudit.record.guard import Allow

    return Allow(reason)


def assert_no_stray_copies(
    allow: Sequence[str] = (),
    max_copies: int | None = None,
    max_bytes: int | None = None,
) -> AssertNoStrayCopies:
    """Fail where the ``with`` block or decorated function makes copies or waits it does not need.

    Everything in the block counts as steady state where it has fewer than two steps.  Works inside
    a running trace too, whose record stays whole.  Where there is no device, real or simulated, it
    warns: nothing was observed.  No configuration file is read here; in pytest, the fixture
    ``placeaudit`` and the markers follow ``[tool.placeaudit]``.

    Args:
        allow: Rules (codes or names) whose findings do not count.
        max_copies: Most copies between devices, needed ones included.
        max_bytes: Most bytes that may cross, needed ones included.

    Raises:
        StrayCopyError: At the end of the block: a finding of severity warning or above, or more
            transfers than the limit; with each line, its rule and its fix.  An exception of the
            block's own passes untouched instead.
        UsageError: A rule in ``allow`` is not known, or a limit is no number.
    """
    from placeaudit.testing.assertions import AssertNoStrayCopies, Limits

    return AssertNoStrayCopies(Limits.of(allow, max_copies, max_bytes))


def register_vector(
    cls: type,
    operations: Sequence[str] | None = None,
    tensors: Callable[[Any], Iterable[Any]] = lambda vector: vector.coefs.values(),
) -> None:
    """Record the arithmetic of a class that holds tensors: which operands lie on which device.

    A mixture that copies is then PA302.  declearn's vectors are known already.  Costs nothing
    while no trace is running.

    Args:
        cls: The class; its subclasses count too where they inherit the operations.
        operations: Names of its methods ``(self, other)``; ``__add__`` and the like where not
            named, as far as it has them.
        tensors: The tensors of an instance, in an order that is the same for both operands.

    Raises:
        UsageError: ``cls`` is no class, or has no such methods.
    """
    from placeaudit.record.vectors import register

    register(cls, operations, tensors)


def _tell_session(simulated: str) -> None:
    """Where a trace is running already: its figures are modelled from here on, and it must look."""
    guards = sys.modules.get("placeaudit.record.guard")
    if guards is not None:
        guards.rearm()
    module = sys.modules.get("placeaudit.record.session")
    session = module.current() if module is not None else None
    if session is None:
        return
    import json

    from placeaudit.store.writer import META, write_meta

    meta = json.loads((session.run / META).read_text(encoding="utf-8"))
    if not meta["simulated"]:
        write_meta(session.run, meta | {"simulated": simulated})
    session.rearm()


def step() -> None:
    """Mark the end of a step, where steps cannot be told from the optimizer.

    Does nothing, and costs next to nothing, while no trace is running.
    """
    session = sys.modules.get("placeaudit.record.session")
    if session is not None:
        session.mark_step()


def _simulated() -> str:
    """Specification of the simulation that is active in this process, "" if there is none."""
    from placeaudit.simulate.frameworks import active

    return str(active() or "")
