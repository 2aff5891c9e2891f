"""``placeaudit import-tf-log``: a device-placement log that somebody has, as a record."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from placeaudit.commands import options
from placeaudit.errors import OutputError, TargetError, UsageError

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.placement_log import Log

__all__ = ["command"]

_DEFAULT_OUTPUT: Final = "placeaudit-run"
_DEVICE: Final = re.compile(r"(?:/?device:|/)?([A-Za-z_]+):(\d+)$")
#: What such a log cannot say; "nothing found" is no clean bill.
_UNKNOWN: Final = (
    "imported from a device-placement log, which names devices only: copies, waits, bytes, steps "
    "and the program's lines are not known"
)
_NO_REQUESTS: Final = (
    "the log does not say which devices were asked for (--expect DEVICE holds it against one): "
    "whether an operation fell back to another device is not known"
)


@click.command("import-tf-log", short_help="Make a record of a TensorFlow device-placement log.")
@click.argument("log", metavar="LOG", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="RUN",
    type=click.Path(path_type=Path),
    default=Path(_DEFAULT_OUTPUT),
    show_default=True,
    help="Directory of the record.",
)
@click.option(
    "--expect",
    metavar="DEVICE",
    help="Where the operations were meant to run, as GPU:0; what ran elsewhere is a finding.",
)
@options.force
@options.quiet
def command(*, log: Path, output: Path, expect: str | None, force: bool, quiet: bool) -> int:
    """Read LOG, written by tf.debugging.set_log_device_placement(True), into a record.

    What the program printed besides is skipped.  `placeaudit check` and `placeaudit report` take
    the record; they know where each operation ran, and nothing of copies.
    """
    from placeaudit.report.units import plural

    expected = _device(expect)
    found = _read(log)
    _write(found, log, output, expected, force=force)
    if not quiet:
        devices = len({placed.device for placed in found.placed})
        click.echo(
            f"placeaudit: {plural(len(found.placed), 'operation')} on "
            f"{plural(devices, 'device')}; the record is {output}",
            err=True,
        )
    return 0


def _device(text: str | None) -> str:
    if text is None:
        return ""
    found = _DEVICE.match(text.strip())
    if found is None:
        raise UsageError(f"--expect {text}: a device is named as GPU:0")
    return f"{found[1].upper()}:{found[2]}"


def _read(path: Path) -> Log:
    from placeaudit.record.tensorflow.placement_log import read_log

    if path.is_dir():
        raise TargetError(f"{path} is a directory, not a log")
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
            found = read_log(lines)
        empty = path.stat().st_size == 0
    except FileNotFoundError:
        raise TargetError(f"{path} does not exist") from None
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror}") from error
    if empty:
        raise TargetError(f"{path} is empty")
    if not found.placed:
        raise TargetError(
            f"{path} is no device-placement log: no line of it says where an operation was placed "
            "(tf.debugging.set_log_device_placement(True) writes them)"
        )
    return found


def _write(log: Log, source: Path, output: Path, expected: str, *, force: bool) -> None:
    from placeaudit.record.sites import Sites
    from placeaudit.record.tensorflow.log_rows import add_fallbacks, add_placements
    from placeaudit.record.tensorflow.placement_log import MOST
    from placeaudit.store.writer import RecordWriter, create_run

    create_run(output, argv=["import-tf-log", str(source)], force=force)
    try:
        writer = RecordWriter(output, flush_interval_s=3600)
        writer.start()
        writer.note("PA903", _UNKNOWN)
        if not (log.asked or expected):
            writer.note("PA903", _NO_REQUESTS)
        if log.cut:
            writer.note("PA901", f"the log is cut here: more than {MOST} different operations")
        add_placements(writer, log)
        add_fallbacks(writer, Sites(writer), source.absolute(), log, expected)
        writer.close(exit_code=None)
    except OSError as error:
        raise OutputError(f"cannot write the record to {output}: {error.strerror}") from error
