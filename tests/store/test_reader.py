from __future__ import annotations

import json
from pathlib import Path

import pytest

from placeaudit.errors import RecordError, RecordVersionError
from placeaudit.store.reader import read_run
from placeaudit.store.schema import VERSION
from placeaudit.store.writer import RecordWriter, create_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A record of three batches of waits."""
    path = tmp_path / "run"
    create_run(path, argv=[])
    writer = RecordWriter(path, flush_interval_s=3600)
    writer.start()
    for batch in range(3):
        for i in range(10):
            row = (batch * 10 + i, 1, writer.string("nonzero"), -1, -1, 7, 0, -1, 0)
            writer.rows("waits").append(row)
        writer.flush()
    writer.close()
    return path


def unfinished(run: Path) -> None:
    """As a process that was killed leaves it."""
    (file,) = run.glob("p*/meta.json")
    meta = json.loads(file.read_text())
    del meta["tables"]
    file.write_text(json.dumps({**meta, "ended": False}))


def waits_file(run: Path) -> Path:
    (file,) = run.glob("p*/waits.arrow")
    return file


def test_every_cut_gives_the_whole_batches_before_it(run: Path) -> None:
    unfinished(run)
    file = waits_file(run)
    whole = file.read_bytes()
    seen = set()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        (process,) = read_run(run).processes
        times = process.tables["waits"].column("time_ns").to_pylist()
        assert process.truncated
        assert times == list(range(len(times)))
        seen.add(len(times))
    assert seen == {0, 10, 20, 30}


def test_a_whole_record_is_not_truncated(run: Path) -> None:
    assert not read_run(str(run)).processes[0].truncated


def test_a_process_without_an_end_is_truncated(run: Path) -> None:
    unfinished(run)
    assert read_run(run).processes[0].truncated


def test_garbage_in_a_stream_is_a_cut(run: Path) -> None:
    unfinished(run)
    waits_file(run).write_bytes(b"not arrow at all, but long enough to look at")
    (process,) = read_run(run).processes
    assert process.truncated
    assert process.tables["waits"].num_rows == 0


def test_a_finished_record_that_lost_rows_is_damaged(run: Path) -> None:
    file = waits_file(run)
    whole = file.read_bytes()
    for part in (b"", whole[:-8], whole[: len(whole) // 2], b"\x07" * len(whole)):
        file.write_bytes(part)
        with pytest.raises(RecordError, match=r"waits\.arrow is damaged: its end is missing"):
            read_run(run)


def test_a_table_that_is_gone_is_missed(run: Path) -> None:
    waits_file(run).unlink()
    with pytest.raises(RecordError, match=r"waits\.arrow is missing"):
        read_run(run)


@pytest.mark.parametrize("content", [None, b"", b"\x07" * 512])
def test_rows_whose_strings_are_gone_are_damage(run: Path, content: bytes | None) -> None:
    unfinished(run)
    (strings,) = run.glob("p*/strings.arrow")
    if content is None:
        strings.unlink()
    else:
        strings.write_bytes(content)
    with pytest.raises(RecordError, match="refers to strings that are missing"):
        read_run(run)


def test_stacks_and_lists_are_held_against_what_they_refer_to(tmp_path: Path) -> None:
    path = tmp_path / "run"
    create_run(path, argv=[])
    writer = RecordWriter(path, flush_interval_s=3600)
    writer.start()
    writer.rows("frames").append(("a.py", "f", 1, 1, 0, 1, ""))
    writer.rows("stacks").append(([0],))
    writer.rows("waits").append((1, 1, writer.string("nonzero"), -1, 0, 7, 0, -1, 0))
    writer.close()
    assert read_run(path).processes[0].tables["stacks"].num_rows == 1
    unfinished(path)
    (frames,) = path.glob("p*/frames.arrow")
    frames.unlink()
    with pytest.raises(RecordError, match="stacks refers to frames that are missing"):
        read_run(path)
    (stacks,) = path.glob("p*/stacks.arrow")
    stacks.unlink()
    with pytest.raises(RecordError, match="waits refers to stacks that are missing"):
        read_run(path)


@pytest.mark.parametrize("key", ["argv", "cwd", "started_unix_s", "simulated", "versions"])
def test_metadata_of_the_wrong_type_is_damage(run: Path, key: str) -> None:
    meta = run / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), key: None}))
    with pytest.raises(RecordError, match=f"damaged: {key} is None"):
        read_run(run)


def test_a_newer_schema_is_refused(run: Path) -> None:
    meta = run / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "schema": VERSION + 1}))
    with pytest.raises(RecordVersionError, match="upgrade placeaudit"):
        read_run(run)


def test_no_record(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match="does not exist"):
        read_run(tmp_path / "nowhere")
    with pytest.raises(RecordError, match=r"no meta\.json"):
        read_run(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(RecordError, match="a record is a directory"):
        read_run(tmp_path / "file")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "placeaudit-record"}', "{}"])
def test_damaged_metadata(tmp_path: Path, text: str) -> None:
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(RecordError):
        read_run(tmp_path)


def test_an_empty_record(tmp_path: Path) -> None:
    create_run(tmp_path / "run", argv=[])
    with pytest.raises(RecordError, match="is empty"):
        read_run(tmp_path / "run")
