from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow as pa
import pytest

from placeaudit.errors import OutputError
from placeaudit.store import writer as module
from placeaudit.store.reader import read_run
from placeaudit.store.schema import TABLES, VERSION
from placeaudit.store.writer import RecordWriter, create_run


def wait_row(writer: RecordWriter, time_ns: int) -> tuple[object, ...]:
    cause = writer.string("nonzero")
    return (time_ns, 5, cause, writer.string("cuda:0"), -1, 7, 3, -1, 0)


def test_rows_come_back_as_they_were_appended(tmp_path: Path) -> None:
    run = tmp_path / "run"
    create_run(run, argv=["train.py", "--fast"], simulated="cuda:2=h100")
    writer = RecordWriter(run)
    writer.start()
    writer.rows("waits").append(wait_row(writer, 10))
    writer.rows("waits").append(wait_row(writer, 20))
    for line in range(3):
        writer.rows("frames").append(("train.py", "f", line, line, 0, 1, ""))
    writer.rows("stacks").append(([2, 1, 0],))
    writer.note("PA903", "no device")
    writer.close(exit_code=3)

    record = read_run(run)

    assert record.meta["argv"] == ["train.py", "--fast"]
    assert record.meta["simulated"] == "cuda:2=h100"
    assert record.meta["schema"] == VERSION
    (process,) = record.processes
    assert not process.truncated
    assert process.meta["exit_code"] == 3
    assert process.name == f"p{os.getpid()}-0"
    assert process.tables["waits"].column("time_ns").to_pylist() == [10, 20]
    assert process.tables["strings"].column("text").to_pylist() == ["nonzero", "cuda:0"]
    assert process.tables["stacks"].column("frames").to_pylist() == [[2, 1, 0]]
    assert process.tables["notes"].column("text").to_pylist() == ["no device"]
    assert process.tables["copies"].num_rows == 0
    assert set(process.tables) == set(TABLES)


def test_files_are_made_at_the_first_row_only(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run")
    writer.start()
    writer.note("PA903", "x")
    writer.close()
    assert writer.folder is not None
    assert sorted(f.name for f in writer.folder.iterdir()) == ["meta.json", "notes.arrow"]


def test_the_list_of_rows_stays_the_same_object(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run")
    writer.start()
    rows = writer.rows("waits")
    rows.append(wait_row(writer, 1))
    writer.flush()
    assert writer.rows("waits") is rows
    assert rows == []
    writer.close()


def test_a_process_that_records_nothing_leaves_nothing(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run", role="fork")
    writer.flush()
    writer.close()
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["meta.json"]


def test_interned_rows_wait_for_an_event(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run", role="fork")
    writer.start_lazily()
    writer.string("cuda:0")
    writer.flush()
    writer.close()
    assert [f.name for f in (tmp_path / "run").iterdir()] == ["meta.json"]


def test_the_same_pid_twice_gets_a_second_directory(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    for _ in range(2):
        writer = RecordWriter(tmp_path / "run")
        writer.start()
        writer.close()
    assert [p.name for p in read_run(tmp_path / "run").processes] == [
        f"p{os.getpid()}-0",
        f"p{os.getpid()}-1",
    ]


def test_closing_twice_and_flushing_afterwards_is_harmless(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run")
    writer.start()
    writer.close(exit_code=0)
    writer.close(exit_code=1)
    writer.rows("waits").append(wait_row(writer, 1))
    writer.flush()
    assert read_run(tmp_path / "run").processes[0].meta["exit_code"] == 0


def test_pressure_flushes_in_the_appending_thread(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run", flush_interval_s=3600)
    writer.start()
    rows = writer.rows("waits")
    rows.extend(wait_row(writer, i) for i in range(module.FULL_ROWS))
    writer.pressure(len(rows))
    assert rows == []
    writer.close()
    waits = read_run(tmp_path / "run").processes[0].tables["waits"]
    assert waits.column("time_ns").to_pylist() == list(range(module.FULL_ROWS))


def test_strings_are_interned_once_from_many_threads(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run")
    writer.start()
    barrier = threading.Barrier(4)

    def intern() -> None:
        barrier.wait()
        for i in range(500):
            writer.string(f"s{i}")

    threads = [threading.Thread(target=intern) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = {f"s{i}": writer.string(f"s{i}") for i in range(500)}
    writer.note("PA903", "an event: strings alone are not written")
    writer.close()
    texts = read_run(tmp_path / "run").processes[0].tables["strings"].column("text").to_pylist()
    assert sorted(texts) == sorted(ids)
    assert all(texts[number] == text for text, number in ids.items())


def test_text_without_a_utf8_form_is_kept_readable(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run")
    writer.start()
    writer.string("a\udcffb")
    writer.note("PA903", "an event")
    writer.close()
    strings = read_run(tmp_path / "run").processes[0].tables["strings"]
    assert strings.column("text").to_pylist() == ["a\\udcffb"]


def test_an_existing_output_is_refused_and_names_force(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=["old"])
    with pytest.raises(OutputError, match="--force"):
        create_run(tmp_path / "run", argv=["new"])
    create_run(tmp_path / "run", argv=["new"], force=True)
    assert json.loads((tmp_path / "run" / "meta.json").read_text())["argv"] == ["new"]


def test_force_deletes_only_records(tmp_path: Path) -> None:
    precious = tmp_path / "photos"
    precious.mkdir()
    (precious / "cat.jpg").write_text("cat")
    (precious / "meta.json").write_text('{"format": "something else"}')
    with pytest.raises(OutputError, match="not a record"):
        create_run(precious, argv=[], force=True)
    assert (precious / "cat.jpg").exists()

    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(OutputError, match="not a record"):
        create_run(file, argv=[], force=True)


def test_an_empty_directory_is_taken(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    create_run(tmp_path / "run", argv=[])
    assert (tmp_path / "run" / "meta.json").exists()


def test_an_output_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        create_run(tmp_path / "file" / "run", argv=[])


def test_a_full_disk_cuts_the_record_not_the_program(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run", flush_interval_s=3600)
    writer.start()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module._Stream, "write", full)
    for _ in range(2):
        writer.rows("waits").append(wait_row(writer, 1))
        writer.flush()
    writer.close()
    assert capsys.readouterr().err.count("the record is cut here") == 1
    assert writer.rows("waits") == []
    (process,) = read_run(tmp_path / "run").processes
    assert process.truncated


KILLED = """
import os, signal, sys
from pathlib import Path
from placeaudit.store.writer import RecordWriter, create_run
run = Path(sys.argv[1])
create_run(run, argv=[])
w = RecordWriter(run, flush_interval_s=3600)
w.start()
for i in range(100):
    w.rows("waits").append((i, 5, w.string(f"c{i}"), -1, -1, 7, 3, -1, 0))
w.flush()
for i in range(50):
    w.rows("waits").append((i, 5, w.string(f"d{i}"), -1, -1, 7, 3, -1, 0))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_leaves_every_flushed_row(tmp_path: Path) -> None:
    run = tmp_path / "run"
    done = subprocess.run([sys.executable, "-c", KILLED, str(run)], check=False)
    assert done.returncode == -signal.SIGKILL
    (process,) = read_run(run).processes
    assert process.truncated
    assert process.tables["waits"].column("time_ns").to_pylist() == list(range(100))
    texts = process.tables["strings"].column("text").to_pylist()
    assert [texts[i] for i in process.tables["waits"].column("cause").to_pylist()] == [
        f"c{i}" for i in range(100)
    ]


def test_what_rows_refer_to_is_on_disk_before_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run", flush_interval_s=3600)
    writer.start()
    order: list[str] = []
    write = module._Stream.write

    def spy(self: module._Stream, rows: list[tuple[object, ...]]) -> None:
        name = next(n for n, s in writer._streams.items() if s is self)
        order.append(name)
        if name == "strings":  # another thread records while strings are being written
            writer.rows("waits").append(wait_row(writer, 2))
            writer.rows("stacks").append(([5],))
        write(self, rows)

    monkeypatch.setattr(module._Stream, "write", spy)
    writer.rows("waits").append(wait_row(writer, 1))
    writer.flush()
    assert order == ["strings", "waits"]
    assert len(writer.rows("waits")) == 1
    assert len(writer.rows("stacks")) == 1
    monkeypatch.undo()
    writer.close()


def test_a_forked_child_writes_its_own_record(tmp_path: Path) -> None:
    run = tmp_path / "run"
    create_run(run, argv=[])
    writer = RecordWriter(run, flush_interval_s=3600)
    writer.start()
    writer.rows("waits").append(wait_row(writer, 1))
    writer.flush()
    writer.rows("waits").append(wait_row(writer, 2))
    pid = os.fork()
    if pid == 0:
        writer.after_fork("fork")
        writer.rows("waits").append(wait_row(writer, 3))
        writer.close(exit_code=0)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    writer.close(exit_code=0)
    main, child = read_run(run).processes
    assert (main.meta["role"], child.meta["role"]) == ("main", "fork")
    assert not main.truncated
    assert not child.truncated
    assert main.tables["waits"].column("time_ns").to_pylist() == [1, 2]
    assert child.tables["waits"].column("time_ns").to_pylist() == [3]
    assert child.tables["strings"].column("text").to_pylist() == ["nonzero", "cuda:0"]


def test_every_table_has_an_arrow_schema() -> None:
    for table in TABLES.values():
        schema = module.arrow_schema(table)
        assert tuple(schema.names) == table.names
        assert isinstance(schema, pa.Schema)


def test_ever_new_names_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STRINGS", 3)
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run")
    numbers = [writer.string(text) for text in ("a", "b", "c", "d", "e", "a", "d")]
    assert numbers == [0, 1, 2, 3, 3, 0, 3]
    assert [row for (row,) in writer.rows("strings")] == ["a", "b", "c", module.OTHER]
    (note,) = writer.rows("notes")
    assert note[0] == "PA903"
    writer.close()
