from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from placeaudit.record.session import Session, current, mark_step
from placeaudit.store.reader import RunRecord, read_run
from placeaudit.store.writer import create_run

ROOT = Path(__file__).resolve().parents[2]

#: Starts as ``placeaudit trace --simulate cuda`` does: argv is the run and the program.
TRACE = """
import os, sys
from pathlib import Path
from placeaudit.record.launch import Target, run_target
from placeaudit.record.session import Session
from placeaudit.store.writer import create_run
run, program = Path(sys.argv[1]), sys.argv[2]
if os.environ.get("PLACEAUDIT_SIMULATE"):
    from placeaudit.simulate.spec import SimulationSpec
    from placeaudit.simulate.torch_cuda import install
    install(SimulationSpec.parse(os.environ["PLACEAUDIT_SIMULATE"]))
create_run(run, argv=[program])
session = Session.start(run)
code = 1
try:
    code = run_target(Target("script", program))
finally:
    session.stop(exit_code=code)
sys.exit(code)
"""


def traced(
    tmp_path: Path, text: str, *, simulate: str = "cuda:2=h100"
) -> tuple[subprocess.CompletedProcess[str], RunRecord]:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(text))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PLACEAUDIT_SIMULATE": simulate}
    run = tmp_path / "run"
    done = subprocess.run(
        [sys.executable, "-c", TRACE, str(run), str(program)],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done, read_run(run)


def lines(run: RunRecord, process: int, table: str = "copies") -> list[int]:
    """The user's innermost line of each row."""
    tables = run.processes[process].tables
    frames = tables["frames"].to_pylist()
    stacks = tables["stacks"].column("frames").to_pylist()
    found = []
    for stack in tables[table].column("stack").to_pylist():
        user = [frames[i] for i in stacks[stack] if not frames[i]["package"]] if stack >= 0 else []
        found.append(user[0]["line"] if user else -1)
    return found


def test_one_session_at_a_time(tmp_path: Path) -> None:
    for name in ("a", "b"):
        create_run(tmp_path / name, argv=[])
    first = Session.start(tmp_path / "a")
    second = Session.start(tmp_path / "b")
    assert current() is second
    first.stop()
    assert current() is second
    second.stop(exit_code=0)
    second.stop(exit_code=1)
    assert current() is None
    mark_step()
    assert read_run(tmp_path / "b").processes[0].meta["exit_code"] == 0


def test_the_environment_tells_children_and_is_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PLACEAUDIT_RUN", raising=False)
    create_run(tmp_path / "run", argv=[])
    session = Session.start(tmp_path / "run", own=["mylib"])
    assert os.environ["PLACEAUDIT_RUN"] == str(tmp_path / "run")
    assert os.environ["PLACEAUDIT_OWN"] == "mylib"
    session.stop()
    assert "PLACEAUDIT_RUN" not in os.environ
    assert "PLACEAUDIT_OWN" not in os.environ


def test_torch_is_watched_from_its_import_on(tmp_path: Path) -> None:
    done, run = traced(
        tmp_path,
        """
        import sys
        assert "torch" not in sys.modules
        def awaited():
            hooks = [f for f in sys.meta_path if type(f).__name__ == "ImportHook"]
            return {hook._name for hook in hooks}
        assert {"torch", "tensorflow"} <= awaited()
        import torch
        assert "torch" not in awaited()
        assert "tensorflow" in awaited()
        assert type(torch.__loader__).__name__ == "SourceFileLoader"
        assert "exec_module" not in vars(torch.__loader__)
        """,
        simulate="",
    )
    assert done.stderr == ""
    assert done.returncode == 0
    (note,) = run.processes[0].tables["notes"].to_pylist()
    assert note["rule"] == "PA903"
    assert "no accelerator" in note["text"]


def test_a_device_that_is_simulated_later_is_recorded_after_rearming(tmp_path: Path) -> None:
    done, run = traced(
        tmp_path,
        """
        import torch
        from placeaudit.record.session import current
        from placeaudit.simulate import simulate
        with simulate("cuda"):
            current().rearm()
            torch.ones(3).cuda()
        """,
        simulate="",
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert run.processes[0].tables["copies"].num_rows == 1
    assert run.processes[0].tables["notes"].num_rows == 0


def test_a_program_without_torch_says_so(tmp_path: Path) -> None:
    done, run = traced(tmp_path, "print('hello')", simulate="")
    assert (done.stdout, done.stderr) == ("hello\n", "")
    (note,) = run.processes[0].tables["notes"].to_pylist()
    assert "neither torch nor tensorflow was imported" in note["text"]


def test_a_missing_torch_is_the_programs_own_error(tmp_path: Path) -> None:
    done, run = traced(
        tmp_path,
        """
        import sys
        sys.path[:] = [p for p in sys.path if "site-packages" not in p]
        import torch
        """,
        simulate="",
    )
    assert done.returncode == 1
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'torch'\n")
    assert "placeaudit" not in done.stderr
    assert run.processes[0].meta["exit_code"] == 1


def test_sources_are_kept_as_they_were(tmp_path: Path) -> None:
    text = """\
import torch
from placeaudit.record.session import current
x = torch.ones(2).cuda()
current()._writer.flush()
open(__file__, 'w').write('gone')
y = torch.ones(2).cuda()
"""
    _, run = traced(tmp_path, text)
    (source,) = run.processes[0].tables["sources"].to_pylist()
    assert source["file"] == str(tmp_path / "program.py")
    assert source["text"] == text


def test_our_launcher_is_in_no_stack(tmp_path: Path) -> None:
    _, run = traced(tmp_path, "import torch\nx = torch.ones(2).cuda()\n")
    tables = run.processes[0].tables
    frames = tables["frames"].to_pylist()
    assert {f["function"] for f in frames} == {"<module>"}
    assert {f["file"] for f in frames} == {str(tmp_path / "program.py")}
    columns = [(f["line"], f["col"], f["end_col"]) for f in frames]
    assert columns == [(2, 4, 17), (2, 4, 24)]  # torch.ones(2), then the whole call
    assert tables["stacks"].column("frames").to_pylist() == [[0], [1]]


def test_kill_9_keeps_what_was_flushed(tmp_path: Path) -> None:
    done, run = traced(
        tmp_path,
        """
        import os, signal, torch
        from placeaudit.record.session import current
        for _ in range(5):
            torch.ones(2).cuda()
        current()._writer.flush()
        torch.ones(3).cuda()
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    assert done.returncode == -signal.SIGKILL
    (process,) = run.processes
    assert process.truncated
    # The periodic flush may come right before the end.
    assert lines(run, 0) in ([5] * 5, [5] * 5 + [7])


def test_sigterm_ends_the_program_as_it_would(tmp_path: Path) -> None:
    done, run = traced(tmp_path, "import os, signal, torch\nos.kill(os.getpid(), signal.SIGTERM)\n")
    assert done.returncode == -signal.SIGTERM
    assert run.processes[0].truncated


def test_a_record_ends_regularly_whatever_the_program_does(tmp_path: Path) -> None:
    for number, end in enumerate(("sys.exit(3)", "raise ValueError", "pass")):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, run = traced(folder, f"import sys, torch\ntorch.ones(1).cuda()\n{end}\n")
        (process,) = run.processes
        assert not process.truncated
        assert process.meta["exit_code"] == (3, 1, 0)[number]
        assert process.tables["copies"].num_rows == 1


def test_a_fork_records_by_itself(tmp_path: Path) -> None:
    done, run = traced(
        tmp_path,
        """
        import os, sys, torch
        torch.ones(2).cuda()
        # The engine's device threads are not there in the child; its end must not wait for them.
        os.environ["TORCH_AUTOGRAD_SHUTDOWN_WAIT_LIMIT"] = "0"
        for quiet in (True, False):
            pid = os.fork()
            if pid == 0:
                if not quiet:
                    x = torch.ones(5) + 1
                    from placeaudit.record.session import current
                    current().mark_step()
                sys.exit(0)
            os.waitpid(pid, 0)
        torch.ones(3).cuda()
        """,
    )
    assert done.stderr == ""
    main, child = run.processes
    assert [p.meta["role"] for p in run.processes] == ["main", "fork"]
    assert not main.truncated
    assert not child.truncated
    assert main.tables["copies"].num_rows == 2
    assert child.tables["copies"].num_rows == 0
    assert child.tables["spans"].num_rows == 1
    assert child.meta["parent_pid"] == main.meta["pid"]


LOADER = """
    import torch
    from torch.utils.data import DataLoader, Dataset
    from placeaudit.record.session import current

    class Numbers(Dataset):
        def __len__(self):
            return 8
        def __getitem__(self, index):
            {inside}
            return torch.full((4,), float(index))

    if __name__ == "__main__":
        total = 0.0
        for batch in DataLoader(Numbers(), 2, num_workers=2, multiprocessing_context={context!r}):
            total += batch.to("cuda").sum().item()
        print(total)
"""


@pytest.mark.parametrize(
    ("context", "inside"),
    [
        ("fork", "pass"),
        ("fork", "current().mark_step()"),
        ("spawn", "pass"),
        ("forkserver", "current().mark_step()"),
    ],
)
def test_loader_workers(tmp_path: Path, context: str, inside: str) -> None:
    done, run = traced(tmp_path, LOADER.format(context=context, inside=inside))
    assert done.stdout == "112.0\n"
    assert done.stderr == ""
    main, *workers = run.processes
    assert main.tables["copies"].num_rows == 8
    if inside == "pass":
        assert workers == []
    else:
        assert [w.meta["role"] for w in workers] == ["loader", "loader"]
        assert [w.tables["spans"].num_rows for w in workers] == [4, 4]
        assert not any(w.truncated for w in workers)


def test_a_spawned_process_uses_the_simulated_device(tmp_path: Path) -> None:
    done, run = traced(
        tmp_path,
        """
        import torch
        import torch.multiprocessing as mp

        def work(rank):
            x = torch.ones(4).to(f"cuda:{rank}")
            assert x.sum().item() == 4

        if __name__ == "__main__":
            mp.spawn(work, nprocs=2)
        """,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    children = [p for p in run.processes if p.meta["role"] == "spawn"]
    assert len(children) == 2
    devices = set()
    for child in children:
        assert not child.truncated
        assert child.tables["copies"].num_rows == 2
        assert child.tables["notes"].num_rows == 0
        strings = child.tables["strings"].column("text").to_pylist()
        devices.add(strings[child.tables["copies"].column("dst_device")[0].as_py()])
    assert devices == {"cuda:0", "cuda:1"}


def test_children_without_placeaudit_run_all_the_same(tmp_path: Path) -> None:
    done, _ = traced(
        tmp_path,
        """
        import multiprocessing as mp, os, subprocess, sys

        def work():
            print("child", flush=True)

        if __name__ == "__main__":
            del os.environ["PYTHONPATH"]
            process = mp.get_context("spawn").Process(target=work)
            process.start()
            process.join()
            print(process.exitcode, flush=True)
            subprocess.run([sys.executable, "-c", "print('plain')"], check=True)
        """,
        simulate="",
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["child", "0", "plain"]


def test_a_fork_in_a_thread_while_flushing(tmp_path: Path) -> None:
    done, run = traced(
        tmp_path,
        """
        import os, threading, torch
        from placeaudit.record.session import current
        stop = threading.Event()
        def flushing():
            while not stop.is_set():
                current()._writer.flush()
        thread = threading.Thread(target=flushing)
        thread.start()
        for i in range(20):
            torch.ones(i + 1).cuda()
            pid = os.fork()
            if pid == 0:
                current().mark_step()
                current().close_child()
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
        stop.set()
        thread.join()
        """,
    )
    assert done.returncode == 0, done.stderr
    main, *children = run.processes
    assert main.tables["copies"].num_rows == 20
    assert not main.truncated
    assert len(children) == 20
    assert all(c.tables["spans"].num_rows == 1 and not c.truncated for c in children)


def test_the_metadata_of_a_process(tmp_path: Path) -> None:
    _, run = traced(tmp_path, "import torch\n")
    meta = json.loads((run.path / run.processes[0].name / "meta.json").read_text())
    assert meta["ended"] is True
    assert meta["role"] == "main"
    assert meta["anchor_unix_ns"] > meta["anchor_perf_ns"] > 0
