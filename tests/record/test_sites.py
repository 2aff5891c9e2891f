from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from placeaudit.record import sites as module
from placeaudit.record.sites import Sites, hide_outward_of, package_of
from placeaudit.store.reader import read_run
from placeaudit.store.writer import RecordWriter, create_run


@pytest.fixture
def writer(tmp_path: Path) -> RecordWriter:
    create_run(tmp_path / "run", argv=[])
    writer = RecordWriter(tmp_path / "run", flush_interval_s=3600)
    writer.start()
    return writer


def frames(writer: RecordWriter, stack: int) -> list[tuple[object, ...]]:
    """The frames of a stack that is not written yet: file, function, line, …"""
    (ids,) = writer.rows("stacks")[stack]
    assert isinstance(ids, list)
    return [writer.rows("frames")[i] for i in ids]


def test_the_same_place_has_the_same_number(writer: RecordWriter) -> None:
    sites = Sites(writer)
    numbers = [sites.capture(sys._getframe()) for _ in range(3)]
    other = sites.capture(sys._getframe())
    assert numbers == [0, 0, 0]
    assert other == 1
    assert len(writer.rows("stacks")) == 2


def test_a_frame_names_the_expression(writer: RecordWriter) -> None:
    sites = Sites(writer)

    def inner() -> int:
        return sites.capture(sys._getframe())

    stack = [1, inner()][1]
    innermost, caller, *_ = frames(writer, stack)
    assert innermost[0] == __file__
    assert innermost[1] == "test_a_frame_names_the_expression.<locals>.inner"
    line = Path(__file__).read_text().splitlines()[int(str(caller[2])) - 1]
    assert line[int(str(caller[4])) : int(str(caller[5]))] == "inner()"
    assert caller[6] == ""


def test_equal_functions_in_two_files_are_two_places(writer: RecordWriter) -> None:
    sites = Sites(writer)
    text = "def f(capture, frame):\n    return capture(frame())\n"
    stacks = []
    for name in ("/a.py", "/b.py"):
        names: dict[str, object] = {}
        exec(compile(text, name, "exec"), names)
        stacks.append(names["f"](sites.capture, sys._getframe))  # type: ignore[operator]
    files = [frames(writer, stack)[0][0] for stack in stacks]
    assert files == ["/a.py", "/b.py"]


def test_no_frame_has_no_number(writer: RecordWriter) -> None:
    assert Sites(writer).capture(None) == -1


def test_what_started_the_program_is_cut_off(writer: RecordWriter) -> None:
    sites = Sites(writer)

    def launcher() -> int:
        return program()

    def program() -> int:
        return sites.capture(sys._getframe())

    hide_outward_of(launcher.__code__)
    names = [str(frame[1]).rpartition(".")[2] for frame in frames(writer, launcher())]
    assert names == ["program"]


def test_only_what_lies_within(writer: RecordWriter) -> None:
    sites = Sites(writer)

    def engine(function: object) -> int:
        return function()  # type: ignore[operator, no-any-return]

    def user() -> int:
        return sites.capture_within(sys._getframe(), engine.__code__)

    stack = engine(user)
    assert [str(f[1]).rpartition(".")[2] for f in frames(writer, stack)] == ["user"]
    library: dict[str, Any] = {}
    code = "def f(capture, end, frame):\n    return capture(frame(), end)\n"
    exec(compile(code, "/x/site-packages/lib/a.py", "exec"), library)
    inner = library["f"]
    found = engine(lambda: inner(sites.capture_within, engine.__code__, sys._getframe))
    assert found >= 0  # the lambda is the user's
    assert inner(sites.capture_within, sys._getframe().f_code, sys._getframe) == -1


def test_a_librarys_part_stands_on_the_stack_that_called_for_it(writer: RecordWriter) -> None:
    sites = Sites(writer)
    outer = sites.capture(sys._getframe())
    code = "def f(capture, *rest, frame):\n    return capture(frame(), *rest)\n"

    def told(package: str) -> list[str]:
        names: dict[str, Any] = {}
        exec(compile(code, f"/x/site-packages/{package}/a.py", "exec"), names)
        end = sys._getframe().f_code
        stack = names["f"](sites.capture_onto, end, outer, frame=sys._getframe)
        return [str(f[1]) for f in frames(writer, stack)] if stack >= 0 else []

    here = [str(f[1]) for f in frames(writer, outer)]
    assert told("lib") == ["f", *here]
    assert told("lib") == ["f", *here]  # known by now
    assert told("torch") == []


def test_a_runaway_recursion_keeps_the_innermost_frames(writer: RecordWriter) -> None:
    sites = Sites(writer)

    def deep(n: int) -> int:
        return deep(n - 1) if n else sites.capture(sys._getframe())

    assert len(frames(writer, deep(300))) == module.MAX_DEPTH


def test_too_many_stacks_are_said_once(
    writer: RecordWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_STACKS", 1)
    sites = Sites(writer)
    first = sites.capture(sys._getframe())
    others = [sites.capture(sys._getframe()), sites.capture(sys._getframe())]
    assert (first, others) == (0, [-1, -1])
    assert len(writer.rows("notes")) == 1


def test_generated_code_is_one_place_and_no_growing_memory(
    writer: RecordWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_CHAINED", 200)
    sites = Sites(writer)
    found = set()
    for _ in range(300):
        names: dict[str, object] = {"sites": sites, "sys": sys}
        exec(compile("n = sites.capture(sys._getframe())", "<made>", "exec"), names)
        found.add(names["n"])
    assert found == {0}
    assert len(writer.rows("stacks")) == 1
    assert len(sites._codes) < 200
    assert sites.capture(sys._getframe()) == 1


def test_a_stack_with_a_frame_too_many_is_no_other_place(
    writer: RecordWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    sites = Sites(writer)
    assert sites.capture(sys._getframe()) == 0
    monkeypatch.setattr(module, "MAX_FRAMES", len(writer.rows("frames")))
    assert sites.capture(sys._getframe()) == -1
    (note,) = writer.rows("notes")
    assert "frames" in str(note[2])


def test_numbers_agree_between_threads(writer: RecordWriter) -> None:
    sites = Sites(writer)
    barrier = threading.Barrier(4)
    found: list[int] = []

    def work() -> None:
        barrier.wait()
        found.extend([sites.capture(sys._getframe()) for _ in range(100)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) == {0}


@pytest.mark.parametrize(
    ("file", "package"),
    [
        ("/venv/lib/python3.11/site-packages/torch/nn/modules/module.py", "torch"),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", "yaml"),
        ("/venv/lib/python3.11/site-packages/single.py", "single"),
        ("<frozen importlib._bootstrap>", "<stdlib>"),
        (threading.__file__, "<stdlib>"),
        (module.__file__, "placeaudit"),
        ("/home/me/train.py", ""),
        ("/home/me/placeaudit/train.py", ""),
        ("<stdin>", ""),
        ("<eval_with_key>.3", "torch"),
    ],
)
def test_packages(file: str, package: str) -> None:
    assert package_of(file) == package


def test_sources_of_the_users_files_are_kept(tmp_path: Path, writer: RecordWriter) -> None:
    program = tmp_path / "program.py"
    text = "x = capture(frame())\n"
    program.write_text(text)
    big = tmp_path / "big.py"
    big.write_text(text + "#" * module.MAX_SOURCE_BYTES)
    sites = Sites(writer)
    for file in (program, big):
        code = compile(file.read_text(), str(file), "exec")
        exec(code, {"capture": sites.capture, "frame": sys._getframe})
    writer.note("PA903", "an event")
    writer.close()
    tables = read_run(tmp_path / "run").processes[0].tables
    sources = dict(zip(*tables["sources"].to_pydict().values(), strict=True))
    assert sources[str(program)] == text
    assert str(big) not in sources
    assert __file__ in sources


def test_after_a_fork_numbers_begin_again(writer: RecordWriter) -> None:
    sites = Sites(writer)
    for _ in range(2):
        assert sites.capture(sys._getframe()) == 0
    del writer.rows("stacks")[:], writer.rows("frames")[:]
    sites.forget()
    stack = sites.capture(sys._getframe())
    assert stack == 0
    assert frames(writer, stack)[0][0] == __file__
