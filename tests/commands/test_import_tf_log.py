"""A device-placement log becomes a record: where operations ran, and what the log proves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import placeaudit as package
from placeaudit.record.tensorflow.placement_log import read_log, shown

TASK = "/job:localhost/replica:0/task:0/device:"
STDOUT = f"""epoch 1
mm: (MatMul): {TASK}GPU:0
scope/add: (AddV2): {TASK}GPU:0
lookup/table: (HashTableV2): {TASK}CPU:0
epoch 2: (done): 1
"""
STDERR = f"""2024-01-01 12:00:00.000001: I tensorflow/compiler/xla/foo.cc:1] something
2024-01-01 12:00:01.000001: I tensorflow/core/common_runtime/placer.cc:114] mm: (MatMul): {TASK}GPU:0
2024-01-01 12:00:02.000001: I tensorflow/core/common_runtime/eager/execute.cc:1525] Executing op Add in device {TASK}GPU:0
I0000 00:00:1704110403.000001   10993 execute.cc:1775] Executing op Add in device {TASK}GPU:0
I0000 00:00:1704110404.000001   10993 execute.cc:1775] Executing op __inference_f_1 in device {TASK}CPU:0
"""  # noqa: E501
MAPPED = f"Device mapping:\n{TASK}GPU:0 -> device: 0, name: Tesla T4, pci bus id: 0000:00:1e.0\n"
MOVED = """W0000 00:00:1795835140.053769   10993 colocation_graph.cc:1216] Failed to place the graph without changing the devices of some resources.
Colocation Debug Info:
Colocation group had the following types and supported devices: 
Root Member(assigned_device_name_index_=-1 requested_device_name_='/device:GPU:0' supported_device_types_=[CPU] possible_devices_=[]
AssignVariableOp: CPU 
ReadVariableOp: GPU CPU 

Colocation members, user-requested devices, and framework assigned devices, if any:
  w (AssignVariableOp) /device:GPU:0
  w/Read (ReadVariableOp) /device:GPU:0
  free (ReadVariableOp) 

"""  # noqa: E501, W291
PLACED = f"""w: (AssignVariableOp): {TASK}CPU:0
w/Read: (ReadVariableOp): {TASK}CPU:0
free: (ReadVariableOp): {TASK}CPU:0
"""


def imported(placeaudit: Callable[..., Any], log: str, *options: str) -> Any:
    Path("log.txt").write_text(log)
    done = placeaudit("import-tf-log", "log.txt", "-o", "run", "-f", *options)
    assert done.code == 0, done.err
    return package.load(Path("run"))


def findings(placeaudit: Callable[..., Any]) -> list[dict[str, Any]]:
    done = placeaudit("check", "run", "--output-format", "json")
    found = json.loads(done.out)["findings"]
    return [f for f in found if f["rule"] == "PA304"]


def test_devices_are_named_as_everywhere() -> None:
    assert shown(TASK + "CPU:0") == "cpu"
    assert shown(TASK + "GPU:1") == "GPU:1"
    assert shown("/device:gpu:1") == "GPU:1"
    assert shown("/gpu:1") == "GPU:1"
    assert shown("/job:ps/replica:0/task:2/device:CPU:0") == "ps:2 CPU:0"


def test_both_channels_become_placements(placeaudit: Callable[..., Any]) -> None:
    run = imported(placeaudit, STDOUT + STDERR)
    rows = run.placements.to_pylist()
    assert [(r["kind"], r["owner"], r["name"], r["device"]) for r in rows] == [
        ("operation", "MatMul", "mm", "GPU:0"),
        ("operation", "AddV2", "scope/add", "GPU:0"),
        ("operation", "HashTableV2", "lookup/table", "cpu"),
        ("operation", "Add", "Add", "GPU:0"),
        ("operation", "__inference_f_1", "__inference_f_1", "cpu"),
    ]
    assert findings(placeaudit) == []  # nothing in it says what was asked for
    notes = placeaudit("check", "run").out
    assert "are not known" in notes
    assert "--expect DEVICE" in notes


def test_the_log_of_tensorflow_1_and_other_jobs() -> None:
    log = read_log(
        [
            "MatMul: (MatMul)/job:localhost/replica:0/task:0/gpu:0\n",
            "a: (Add): /job:worker/replica:0/task:1/device:GPU:0\r\n",
            "b: (Add): /job:worker/replica:0/task:1/dev",  # cut
        ]
    )
    assert [(p.name, shown(p.device)) for p in log.placed] == [
        ("MatMul", "GPU:0"),
        ("a", "worker:1 GPU:0"),
    ]


def test_a_group_that_the_placer_moved_is_proven(placeaudit: Callable[..., Any]) -> None:
    imported(placeaudit, MAPPED + MOVED + PLACED)
    found = {(f["severity"], f["certainty"], f["line"]): f["message"] for f in findings(placeaudit)}
    first = (MAPPED + MOVED).count("\n") + 1
    assert set(found) == {("info", "proven", first), ("warning", "proven", first + 1)}
    assert "AssignVariableOp asked onto GPU:0 ran on cpu" in found["info", "proven", first]
    assert "no GPU kernel" in found["info", "proven", first]
    assert "tied to operations" in found["warning", "proven", first + 1]


def test_a_device_that_was_not_there(placeaudit: Callable[..., Any]) -> None:
    imported(placeaudit, "x] Device mapping: no known devices.\n" + MOVED + PLACED)
    (found,) = findings(placeaudit)
    assert (found["certainty"], found["count"]) == ("proven", 2)
    assert "there is no GPU:0 here" in found["message"]
    imported(placeaudit, MOVED + PLACED)  # the log does not say that there was none
    (found,) = findings(placeaudit)
    assert (found["severity"], found["certainty"]) == ("warning", "likely")


def test_what_the_placer_left_where_it_was_asked_is_none(placeaudit: Callable[..., Any]) -> None:
    imported(placeaudit, MAPPED + MOVED + PLACED.replace("CPU", "GPU"))
    assert findings(placeaudit) == []


def test_expect_holds_the_log_against_a_device(placeaudit: Callable[..., Any]) -> None:
    imported(placeaudit, STDOUT, "--expect", "GPU:0")
    (found,) = findings(placeaudit)  # the table ran elsewhere, and nobody knows why
    assert (found["severity"], found["certainty"], found["line"]) == ("info", "likely", 4)
    imported(placeaudit, STDOUT.replace("GPU", "CPU"), "--expect", "/device:gpu:0")
    (found,) = findings(placeaudit)
    assert (found["severity"], found["certainty"], found["count"]) == ("warning", "likely", 3)
    assert "expected on GPU:0 ran on cpu: nothing in the log ran on GPU:0" in found["message"]
    imported(placeaudit, STDOUT.replace("CPU", "GPU"), "--expect", "GPU:0")
    assert findings(placeaudit) == []


def test_report_takes_the_record(placeaudit: Callable[..., Any]) -> None:
    imported(placeaudit, STDOUT + STDERR)
    assert placeaudit("report", "run", "-q", "-o", "page.html").code == 0
    assert Path("page.html").stat().st_size > 0


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"hello\n", "no device-placement log"), (b"\x7fELF\0\xff", "no device")],
)
def test_files_that_are_no_log(placeaudit: Callable[..., Any], content: bytes, words: str) -> None:
    Path("log.txt").write_bytes(content)
    done = placeaudit("import-tf-log", "log.txt", "-o", "run")
    assert done.code == 2
    assert done.out == ""
    assert words in done.err
    assert done.err.count("\n") == 1
    assert not Path("run").exists()


def test_paths_that_cannot_be(placeaudit: Callable[..., Any]) -> None:
    Path("log.txt").write_text(STDOUT)
    Path("folder").mkdir()
    Path("folder/chapter.tex").write_text("years of work")
    for words, *args in (
        ("missing does not exist", "missing"),
        ("folder is a directory", "folder"),
        ("folder exists already", "log.txt", "-o", "folder"),
        ("not a record", "log.txt", "-o", "folder", "-f"),
        ("log.txt/run", "log.txt", "-o", "log.txt/run"),
        ("named as GPU:0", "log.txt", "--expect", "fast"),
    ):
        done = placeaudit("import-tf-log", *args)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), args
        assert words in done.err
    assert placeaudit("import-tf-log", "log.txt", "-q").code == 0
    again = placeaudit("import-tf-log", "log.txt")
    assert again.code == 2
    assert "--force" in again.err
    assert placeaudit("import-tf-log", "log.txt", "-f").code == 0
