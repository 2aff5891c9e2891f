from __future__ import annotations

from pathlib import Path

from placeaudit.store.part import copy_part
from placeaudit.store.reader import read_run
from placeaudit.store.writer import RecordWriter, create_run


def row(writer: RecordWriter, time_ns: int) -> tuple[object, ...]:
    cause = writer.string("nonzero")
    return (time_ns, 5, cause, writer.string("cuda:0"), -1, 7, 3, -1, 0)


def made(tmp_path: Path) -> tuple[Path, Path]:
    for name in ("run", "part"):
        create_run(tmp_path / name, argv=[name])
    return tmp_path / "run", tmp_path / "part"


def test_a_part_of_a_record_that_is_being_written(tmp_path: Path) -> None:
    run, part = made(tmp_path)
    writer = RecordWriter(run)
    writer.start()
    for time_ns in range(0, 100, 10):
        writer.rows("waits").append(row(writer, time_ns))
        writer.flush()
    writer.note("PA903", "before", -1)
    child = RecordWriter(run, role="fork")
    child.start()
    child.rows("waits").append(row(child, 500))
    child.flush()
    copy_part(run, part, 25, 60)
    writer.rows("waits").append(row(writer, 200))
    writer.close()
    child.close()

    (process,) = read_run(part).processes
    assert process.tables["waits"].column("time_ns").to_pylist() == [30, 40, 50, 60]
    assert process.tables["strings"].column("text").to_pylist() == ["nonzero", "cuda:0"]
    assert process.tables["notes"].num_rows == 0
    assert not process.truncated
    whole = read_run(run)
    assert [p.tables["waits"].num_rows for p in whole.processes] == [11, 1]
    assert not any(p.truncated for p in whole.processes)


def test_a_part_in_which_nothing_happened_is_a_record(tmp_path: Path) -> None:
    run, part = made(tmp_path)
    writer = RecordWriter(run)
    writer.start()
    copy_part(run, part, 0, 1)
    writer.close()
    (process,) = read_run(part).processes
    assert process.tables["waits"].num_rows == 0
    assert not process.truncated
