"""The operation window: what it collects, when it runs, and that it leaves the program alone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from placeaudit.errors import UsageError
from placeaudit.record.session import Session
from placeaudit.record.torch import operations
from placeaudit.record.window import DEFAULT, StepWindow, parse_steps
from placeaudit.store.writer import create_run
from tests.record.conftest import Recorded, read

torch = pytest.importorskip("torch")

ROOT = Path(__file__).parents[3]


@pytest.fixture
def windowed(tmp_path: Path, cuda: str) -> Callable[..., Recorded]:
    """Runs a function under a session with the given steps."""
    del cuda

    def run_recorded(function: Callable[[Any], object], steps: str = "") -> Recorded:
        run = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        create_run(run, argv=["test"])
        session = Session.start(run, steps=parse_steps(steps))
        try:
            function(session)
        finally:
            session.stop()
        return read(run)

    return run_recorded


def strings(done: Recorded) -> list[str]:
    texts: list[str] = done.process.tables["strings"].column("text").to_pylist()
    return texts


def names(done: Recorded) -> list[str]:
    return [row["name"] for row in done.operations]


def of_kind(done: Recorded, kind: int) -> list[dict[str, Any]]:
    """The operations of this kind (a number here, text in other tables)."""
    kinds = done.process.tables["operations"].column("kind").to_pylist()
    return [row for row, its in zip(done.operations, kinds, strict=True) if its == kind]


def marked(count: int, turn: Callable[[int], object]) -> Callable[[Any], None]:
    """``count`` steps that end by a mark."""

    def program(session: Any) -> None:
        for i in range(count):
            turn(i)
            session.mark_step()

    return program


def test_steps_are_parsed() -> None:
    assert parse_steps("") is DEFAULT
    assert parse_steps("all") == StepWindow(0, None)
    assert parse_steps("10:13") == StepWindow(10, 13)
    assert parse_steps("10:") == StepWindow(10, None)
    assert [3 in parse_steps("3:5"), 5 in parse_steps("3:5")] == [True, False]
    assert [str(parse_steps(text)) for text in ("all", "2:5", "4:")] == ["all", "2:5", "4:"]
    for wrong in ("5", "5:5", "a:b", "-1:2"):
        with pytest.raises(UsageError, match="step"):
            parse_steps(wrong)


def test_storages_join_with_copies(windowed: Callable[..., Recorded]) -> None:
    def turn(_: int) -> None:
        x = torch.ones(64).add_(1).to("cuda")
        y = (x * 3).cpu()
        y.sum()

    done = windowed(marked(6, turn))
    copies = {row["time_ns"]: row for row in done.copies}
    crossing = of_kind(done, 2)
    assert len(crossing) == 6  # two copies in each of three steps
    for row in crossing:
        copy = copies[row["copy_ns"]]
        assert row["inputs"] == [copy["dst_storage"], copy["src_storage"]]
        assert row["input_bytes"] == [256, 256]
        assert row["input_access"] == [3, 0]
    up, down = crossing[0], crossing[1]
    (mul,) = [row for row in done.operations if row["name"] == "mul"][:1]
    assert mul["inputs"][0] == up["inputs"][0]
    assert mul["outputs"] == [down["inputs"][1]]
    (total,) = [row for row in done.operations if row["name"] == "sum"][:1]
    assert total["inputs"] == [down["inputs"][0]]
    devices = [strings(done)[i] for i in mul["input_device"]]
    assert devices[0] == "cuda:0"


def test_a_simulated_kernels_own_work_is_not_shown(windowed: Callable[..., Recorded]) -> None:
    def turn(_: int) -> None:
        x = torch.ones(8, 8).to("cuda")
        (x @ x).relu()

    done = windowed(marked(6, turn))
    text = strings(done)
    for row in done.operations:
        if row["name"] in {"mm", "relu"}:
            assert {text[i] for i in row["input_device"]} == {"cuda:0"}
    assert names(done).count("mm") == 3


def test_what_died_is_known(windowed: Callable[..., Recorded]) -> None:
    kept = []

    def turn(i: int) -> None:
        x = torch.ones(64).to("cuda")
        del x
        kept.append(torch.ones(32).to("cuda"))
        assert i >= 0

    done = windowed(marked(6, turn))
    died = {row["storage"]: row["died_ns"] for row in done.storages}
    crossing = of_kind(done, 2)
    lives = [(row["input_bytes"][0], died[row["inputs"][0]] >= 0) for row in crossing]
    assert lives == [(256, True), (128, False)] * 3


def test_memory_that_leaves_pytorch_is_marked(windowed: Callable[..., Recorded]) -> None:
    def turn(_: int) -> None:
        x = torch.ones(64, device="cuda")
        x.cpu().numpy()
        x.cpu().tolist()
        x.cpu().data_ptr()
        torch.from_dlpack(x.cpu())

    done = windowed(marked(6, turn))
    exported = of_kind(done, 3)
    targets = {row["inputs"][0] for row in of_kind(done, 2)}
    assert len({row["inputs"][0] for row in exported} & targets) == 12


def test_fake_tensors_are_not_asked_for_memory(windowed: Callable[..., Recorded]) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    asked: list[warnings.WarningMessage] = []

    def program(_: Any) -> None:
        torch.ones(3, device="cuda").cpu()
        with FakeTensorMode(), warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.empty(3, device="cuda").untyped_storage()
            asked.extend(caught)

    windowed(program, "all")
    assert asked == []


def test_an_array_over_a_downloads_memory_is_the_same_memory(
    windowed: Callable[..., Recorded],
) -> None:
    def turn(_: int) -> None:
        array = torch.ones(64, device="cuda").cpu().numpy()
        array += 1
        torch.from_numpy(array).to("cuda")

    done = windowed(marked(6, turn))
    same = {row["storage"]: row["same_as"] for row in done.storages if row["same_as"] >= 0}
    copies = done.copies
    downs = [row["dst_storage"] for row in copies if row["dst_device"] == "cpu"]
    ups = [row["src_storage"] for row in copies if row["src_device"] == "cpu"]
    assert len(same) == 3
    assert all(downs[ups.index(up)] == down for up, down in same.items())


def test_backward_is_seen_on_the_engines_threads(windowed: Callable[..., Recorded]) -> None:
    w = torch.ones(8, device="cuda", requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)

    def program(_: Any) -> None:
        for _i in range(6):
            x = torch.ones(8).to("cuda")
            (x * w).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    done = windowed(program)
    assert {row["phase"] for row in done.operations if row["name"] == "mul"} >= {0, 4}
    assert done.process.meta["operations"]["covered"] == "3 steps"
    assert [row["name"] for row in done.windows] == ["step 2", "step 3", "step 4"]


@pytest.mark.parametrize(
    ("steps", "windows"),
    [("", 3), ("1:2", 1), ("0:2", 2), ("all", 7), ("40:", 0)],
)
def test_the_window_is_the_steps_asked_for(
    windowed: Callable[..., Recorded], steps: str, windows: int
) -> None:
    done = windowed(marked(6, lambda _i: torch.ones(4).to("cuda") + 1), steps)
    shown = [row["name"] for row in done.windows]
    if windows == 0:
        assert shown == ["first operations"]  # better than nothing
    else:
        assert len(shown) == windows
        assert names(done).count("copy_") == min(6, windows)


def test_without_steps_the_first_operations_are_shown(windowed: Callable[..., Recorded]) -> None:
    def program(_: Any) -> None:
        for _i in range(3):
            (torch.ones(4).to("cuda") + 1).cpu()

    done = windowed(program)
    # The first copy itself began before the window.
    assert names(done).count("copy_") == 5
    assert done.process.meta["operations"]["covered"] == "first operations"


def test_steps_of_too_many_operations_are_not_collected(
    windowed: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MOST_EVENTS", 200)

    def turn(_: int) -> None:
        x = torch.ones(8, requires_grad=True).to("cuda")
        for _ in range(10):
            x = x * 2

    cut = windowed(marked(6, turn))
    facts = cut.process.meta["operations"]
    assert facts["covered"] == "first operations"
    assert facts["cut"] == "a step has too many operations for the operation window"
    (note,) = cut.process.tables["notes"].to_pylist()
    assert note["rule"] == "PA903"
    assert "known for the first operations only; --steps A:B asks for more" in note["text"]

    chosen = windowed(marked(6, turn), "2:5")
    assert chosen.process.meta["operations"]["covered"] == "3 steps"
    assert chosen.process.tables["notes"].num_rows == 0


def test_a_step_that_grows_is_the_last_one(
    windowed: Callable[..., Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "MOST_EVENTS", 2_000)

    def turn(number: int) -> None:
        x = torch.ones(8).to("cuda")
        for _ in range(2_000 if number == 2 else 1):  # no graph to judge it by
            x = x * 2

    done = windowed(marked(6, turn))
    assert done.process.meta["operations"]["covered"] == "1 steps"
    assert "known for 1 steps only" in done.process.tables["notes"].to_pylist()[0]["text"]


def test_a_program_without_copies_is_left_alone(windowed: Callable[..., Recorded]) -> None:
    done = windowed(marked(6, lambda _i: torch.ones(4) + 1))
    assert done.operations == []
    assert done.windows == []


def test_the_users_profiler_goes_first(windowed: Callable[..., Recorded]) -> None:
    from torch.profiler import ProfilerActivity, profile

    seen: list[Any] = []

    def program(session: Any) -> None:
        for i in range(8):
            if i == 3:
                with profile(activities=[ProfilerActivity.CPU]) as prof:
                    torch.ones(4).to("cuda") * 2
                seen.extend(event.key for event in prof.key_averages())
            torch.ones(4).to("cuda") + 1
            session.mark_step()

    done = windowed(program)
    assert "aten::mul" in seen
    assert "aten::add" not in seen
    assert any("profiler" in note["text"] for note in done.notes)
    assert names(done).count("add") >= 2


def test_the_window_waits_for_a_profiler_that_runs(windowed: Callable[..., Recorded]) -> None:
    from torch.profiler import ProfilerActivity, profile

    keys: list[Any] = []

    def program(session: Any) -> None:
        with profile(activities=[ProfilerActivity.CPU]) as prof:
            for _i in range(4):
                torch.ones(4).to("cuda") + 1
                session.mark_step()
        keys.extend(event.key for event in prof.key_averages())
        for _i in range(6):
            torch.ones(4).to("cuda") * 1
            session.mark_step()

    done = windowed(program)
    assert "aten::add" in keys
    assert set(names(done)) & {"add", "mul"} == {"mul"}
    assert [note["rule"] for note in done.notes] == ["PA903"]
    assert "waits" in done.notes[0]["text"]


def test_steps_of_another_thread_collect_nothing(windowed: Callable[..., Recorded]) -> None:
    def program(session: Any) -> None:
        def work() -> None:
            marked(6, lambda _i: torch.ones(4).to("cuda") + 1)(session)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert windowed(program).windows == []


def test_nothing_is_left_behind(windowed: Callable[..., Recorded]) -> None:
    before = {name: vars(torch.Tensor).get(name) for name in ("data_ptr", "untyped_storage")}
    windowed(marked(6, lambda _i: torch.ones(4).to("cuda")), "all")
    after = {name: vars(torch.Tensor).get(name) for name in before}
    assert after == before
    assert not torch._C._autograd._profiler_enabled()
    assert "KINETO_LOG_LEVEL" not in os.environ or os.environ["KINETO_LOG_LEVEL"] != "99"
    assert torch.autograd.profiler._enable_profiler is torch._C._autograd._enable_profiler


def test_ranges_open_over_the_windows_edges_do_no_harm(windowed: Callable[..., Recorded]) -> None:
    def program(session: Any) -> None:
        from torch.profiler import record_function

        with record_function("all of it"):
            for _i in range(30):
                with record_function("step"):
                    torch.ones(64).to("cuda").cpu() + 1
                    session.mark_step()

    assert windowed(program, "all").process.meta["operations"]["cut"] == ""


def test_stderr_stays_empty_and_a_forked_child_ends(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(
            """
            import os, sys
            import torch
            x = torch.ones(4096).to("cuda")
            os.environ["TORCH_AUTOGRAD_SHUTDOWN_WAIT_LIMIT"] = "0"
            w = torch.nn.Linear(8, 8).to("cuda")
            optimizer = torch.optim.Adam(w.parameters())
            for i in range(6):
                w(torch.ones(2, 8).to("cuda")).sum().backward()
                optimizer.step()
                if i == 3:
                    pid = os.fork()
                    if pid == 0:
                        sys.exit(7)
                    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "placeaudit", "trace", "-q", "--simulate", "cuda", "--steps", "all",
         "-o", str(tmp_path / "run"), str(program)],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (done.stderr, done.stdout, done.returncode) == ("", "7\n", 0)
