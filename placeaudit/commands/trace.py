"""``placeaudit trace``: run a program as Python would and record what it copies and waits for."""

from __future__ import annotations

import contextlib
import itertools
import os
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from placeaudit import config
from placeaudit.commands import options
from placeaudit.errors import OutputError, PlaceauditError, SimulationError, UsageError
from placeaudit.settings import Given, settle, split

if TYPE_CHECKING:
    from placeaudit.record.launch import Target
    from placeaudit.record.window import StepWindow

__all__ = ["command"]

_DEFAULT_OUTPUT = "placeaudit-run"


@click.command(
    "trace",
    # The program's own options must not be read as ours: options stop at the first positional.
    context_settings={"allow_interspersed_args": False},
    short_help="Run a program and record its copies and waits.",
)
@click.option(
    "-o",
    "--output",
    metavar="RUN",
    type=click.Path(path_type=Path),
    help=f"Directory of the record.  [default: {_DEFAULT_OUTPUT}, or {_DEFAULT_OUTPUT}-2, …]",
)
@click.option(
    "--simulate",
    metavar="cuda[:N][=MODEL]",
    help="Simulate N CUDA devices of a hardware model where there is no GPU.",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write the HTML report.",
)
@click.option(
    "--steps",
    metavar="A:B|all",
    help="Steps of which every operation is recorded: from A up to, not including, B, counted "
    "from 0.  [default: three warm steps]",
)
@click.option(
    "--tf-placement-log",
    is_flag=True,
    help="Hold TensorFlow's own device-placement log against the record.",
)
@options.own
@options.force
@options.quiet
@click.option("-v", "--verbose", is_flag=True, help="Print every finding, notes included.")
@click.option("-m", "module", is_flag=True, help="Run a module, as `python -m` does.")
@click.argument(
    "program",
    nargs=-1,
    required=True,
    metavar="{PROGRAM | -m MODULE} [ARGS]...",
    type=click.UNPROCESSED,
)
def command(
    *,
    output: Path | None,
    simulate: str | None,
    html: Path | None,
    steps: str | None,
    tf_placement_log: bool,
    own: tuple[str, ...],
    force: bool,
    quiet: bool,
    verbose: bool,
    module: bool,
    program: tuple[str, ...],
) -> int:
    """Run PROGRAM as Python would and record its copies between devices and its waits.

    The program's output and exit code stay as they are.  What was found goes to stderr when it
    ends; the record stays for `placeaudit check` and `placeaudit report`.

    \b
    placeaudit trace train.py --epochs 1
    placeaudit trace --simulate cuda -m package.train
    """  # noqa: D301 - click wants the real backspace
    from placeaudit.record.launch import Target, check_target
    from placeaudit.record.window import parse_steps

    configured = config.load()
    with _blaming("--steps" if steps is not None else configured.origins.get("steps", "")):
        window = parse_steps(configured.steps if steps is None else steps)
    target = Target("module" if module else "script", program[0], tuple(program[1:]))
    check_target(target)
    if html is not None:
        _check_file(html, force=force)
        html = html.absolute()
    with _blaming(configured.origins.get("simulate", "") if simulate is None else ""):
        simulated = _start_simulation(configured.simulate if simulate is None else simulate)
    owned = split(own) or configured.own
    from placeaudit.commands.launch import find_launch

    launch = find_launch()
    leads = launch is None or launch.leads
    if launch is not None and not leads:
        run = launch.join(None if output is None else output.absolute(), _DEFAULT_OUTPUT)
    else:
        name = "" if launch is None else launch.name
        run = _create(output, program, simulated, force=force, module=module, launch=name)

    here, pid = Path.cwd(), os.getpid()
    code = _record(
        run,
        target,
        own=owned,
        window=window,
        role="main" if leads else "subprocess",
        placement_log=tf_placement_log,
    )
    # A forked child that fell off the program's end has no verdict to give.
    if os.getpid() == pid and leads:
        if launch is not None:
            launch.wait_for_others(run)
        _Ending(run, here, configured, owned, html, force, quiet, verbose).conclude()
    # The system keeps eight bits of an exit code; below zero stands for a signal here.
    return -signal.SIGINT if _was_interrupted(code) else code & 0xFF


@contextlib.contextmanager
def _blaming(origin: str) -> Iterator[None]:
    """What is wrong with a setting is wrong where it was set."""
    try:
        yield
    except UsageError as error:
        raise type(error)(f"{origin}{': ' if origin else ''}{error}") from None


def _record(
    run: Path,
    target: Target,
    *,
    own: tuple[str, ...],
    window: StepWindow,
    role: str,
    placement_log: bool,
) -> int:
    """Run the program under a recording session; its exit code."""
    from placeaudit.record.launch import run_target
    from placeaudit.record.session import Session

    try:
        session = Session.start(run, role=role, own=own, steps=window, placement_log=placement_log)
    except OSError as error:
        raise OutputError(f"cannot write the record to {run}: {error.strerror}") from error
    code = 1
    try:
        code = run_target(target)
    finally:
        session.stop(exit_code=code)
    return code


def _was_interrupted(code: int) -> bool:
    """Whether Ctrl-C ended the program, rather than an exit with that number."""
    from placeaudit.record.launch import INTERRUPTED

    last = getattr(sys, "last_value", None)
    return code == INTERRUPTED and isinstance(last, KeyboardInterrupt)


def _start_simulation(text: str) -> str:
    """Install the simulated devices; the whole specification, "" where nothing is simulated."""
    from placeaudit.inherit import SIMULATE_VARIABLE

    if not text:
        os.environ.pop(SIMULATE_VARIABLE, None)
        return ""
    from placeaudit.simulate.frameworks import begin
    from placeaudit.simulate.spec import SimulationSpec

    spec = SimulationSpec.parse(text)
    begin(spec, _simulation_failed)
    os.environ[SIMULATE_VARIABLE] = text  # children simulate what we do
    return str(spec)


def _simulation_failed(error: SimulationError) -> None:
    """In the middle of the program, at its import of a framework: as before it would have run."""
    click.echo(f"placeaudit: {error}", err=True)
    raise SystemExit(2)


def _create(
    output: Path | None,
    program: tuple[str, ...],
    simulated: str,
    *,
    force: bool,
    module: bool,
    launch: str,
) -> Path:
    """Make the record's directory; without ``-o`` the first free default name."""
    from placeaudit.store.writer import create_run

    argv = ("-m", *program) if module else program
    if output is not None:
        run = output.absolute()
        create_run(run, argv=argv, simulated=simulated, force=force, launch=launch)
        return run
    run = _first_free(Path(_DEFAULT_OUTPUT).absolute())
    create_run(run, argv=argv, simulated=simulated, launch=launch)
    return run


def _first_free(path: Path) -> Path:
    """``path``, ``path-2``, …: the first that this process, and no other, could make."""
    for number in itertools.count(1):
        candidate = path if number == 1 else path.with_name(f"{path.name}-{number}")
        try:
            candidate.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise OutputError(
                f"cannot write the record to {candidate}: {error.strerror}"
            ) from error
        return candidate
    raise AssertionError("numbers do not end")


def _check_file(path: Path, *, force: bool) -> None:
    """Refuse an impossible ``--html`` before the program runs, not after."""
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; use --force to replace it")
    if not path.absolute().parent.is_dir():
        raise OutputError(f"cannot write {path}: {path.parent} is no directory")


def _relative(path: Path, here: Path) -> Path:
    """``path`` as the user would type it from where the program was started."""
    return path.relative_to(here) if path.is_relative_to(here) else path


@dataclass(frozen=True)
class _Ending:
    """What is to be said and written when the program has ended."""

    run: Path
    here: Path
    configured: config.Config
    own: tuple[str, ...]
    html: Path | None
    force: bool
    quiet: bool
    verbose: bool

    def conclude(self) -> None:
        """Print the verdict, write the report; a failure of ours is a warning, not an exit code."""
        if self.quiet and self.html is None:
            return
        shown = _relative(self.run, self.here)
        _restore_streams()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the program may have made errors of them
                self._conclude(shown)
        except PlaceauditError as error:
            _warn(f"{error}; the record is {shown}")
        except KeyboardInterrupt:
            _warn(f"interrupted while reading the record; it is {shown}")
        except Exception:  # noqa: BLE001 - the program ended well; our bug must not change that
            _warn(f"the record {shown} could not be analysed:")
            with contextlib.suppress(OSError, ValueError):
                traceback.print_exc()

    def _typed(self, shown: Path) -> str:
        """The record and what else the next commands need to say the same of it."""
        words = [str(shown)]
        if self.own != self.configured.own:
            words += [word for package in self.own for word in ("--own", package)]
        return shlex.join(words)

    def _conclude(self, shown: Path) -> None:
        # Rules are looked up only now: nothing of the analysis is imported before the program ran.
        from placeaudit.report.base import announce, write
        from placeaudit.report.terminal import TerminalReporter

        settings = settle(Given(own=self.own), self.configured)
        result = settings.judge(self.run)
        if not self.quiet:
            reporter = TerminalReporter.for_stream(
                sys.stderr,
                limit=None if self.verbose else 5,
                next_run=self._typed(shown),
                notes=self.verbose,
            )
            sys.stderr.write(reporter.render([result]))
            for notice in settings.notices([result]):
                _warn(notice)
            sys.stderr.flush()
        if self.html is not None:
            from placeaudit.report.html import HtmlReporter

            write(HtmlReporter().render([result]), self.html, force=self.force)
            if not self.quiet:
                announce(self.html, shown=_relative(self.html, self.here))


def _restore_streams() -> None:
    """What the program wrote comes first; then stderr is the process's own again."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # closed or replaced
            stream.flush()
    if sys.__stderr__ is None or sys.__stderr__.closed:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the end
    else:
        sys.stderr = sys.__stderr__


def _warn(message: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(f"placeaudit: {message}\n")
