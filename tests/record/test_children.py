"""New interpreters record into the run of the program that started them, and notice nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from placeaudit.inherit import STARTUP, hand_down
from placeaudit.store.reader import ProcessRecord, RunRecord, read_run

ROOT = Path(__file__).resolve().parents[2]

#: Moves one tensor, and says what it sees of us.
CHILD = """
import os, sys
import torch
print(sys.argv[1:], torch.cuda.is_available(), flush=True)
if torch.cuda.is_available():
    torch.ones(4).to("cuda:1")
sys.exit(3)
"""


def trace(
    folder: Path, program: str, *options: str, env: dict[str, str] | None = None
) -> tuple[subprocess.CompletedProcess[str], RunRecord]:
    """``placeaudit trace`` of ``program``, which finds ``child.py`` beside it."""
    (folder / "program.py").write_text(textwrap.dedent(program))
    (folder / "child.py").write_text(CHILD)
    command = [sys.executable, "-m", "placeaudit", "trace", "-o", str(folder / "run"), "-q"]
    done = subprocess.run(
        [*command, *(options or ("--simulate", "cuda:2")), "program.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done, read_run(folder / "run")


def children(run: RunRecord) -> list[ProcessRecord]:
    return [process for process in run.processes if process.meta["role"] != "main"]


def copies(process: ProcessRecord) -> list[tuple[str, str]]:
    strings = process.tables["strings"].column("text").to_pylist()
    rows = process.tables["copies"].to_pylist()
    return [(strings[row["src_device"]], strings[row["dst_device"]]) for row in rows]


def notes(process: ProcessRecord) -> list[tuple[str, str]]:
    return [(row["rule"], row["text"]) for row in process.tables["notes"].to_pylist()]


def test_python_children_record_into_the_same_run(tmp_path: Path) -> None:
    done, run = trace(
        tmp_path,
        """
        import asyncio, os, subprocess, sys
        command = [sys.executable, "child.py", "x"]

        async def wait():
            process = await asyncio.create_subprocess_exec(*command)
            return await process.wait()

        print(subprocess.run(command).returncode, flush=True)
        print(subprocess.run(command, env={**os.environ, "A": "b"}).returncode, flush=True)
        print(os.system(" ".join(command)) >> 8, flush=True)
        print(os.waitpid(os.posix_spawn(command[0], command, os.environ), 0)[1] >> 8, flush=True)
        print(asyncio.run(wait()), flush=True)
        """,
    )
    assert (done.stdout, done.stderr) == ("['x'] True\n3\n" * 5, "")
    found = children(run)
    assert len(found) == 5
    for child in found:
        assert child.meta["role"] == "subprocess"
        assert not child.truncated
        assert copies(child) == [("cpu", "cuda:1")]
        assert notes(child) == []
        assert "rank" not in child.meta


@pytest.mark.parametrize("before", [None, "", "/somewhere", ":/somewhere"])
def test_a_child_sees_the_path_it_would_see(tmp_path: Path, before: str | None) -> None:
    code = (
        "import os, sys; print(os.environ.get('PYTHONPATH') or None, "
        "'sitecustomize' in sys.modules, [p for p in sys.path if 'startup' in p], sys.path[:2])"
    )
    program = f"""
        import os, subprocess, sys
        before = {before!r}
        if before is None:
            os.environ.pop("PYTHONPATH")
        else:
            os.environ["PYTHONPATH"] = before
        print(before or None, flush=True)
        command = [sys.executable, "-c", {code!r}]
        seen = {{
            subprocess.run(command, capture_output=True, text=True, env=env).stdout
            for env in (None, os.environ, dict(os.environ))
        }}
        seen.add(subprocess.run(command, capture_output=True, text=True, env={{
            k: v for k, v in os.environ.items() if "PLACEAUDIT" not in k}}).stdout)
        print(len(seen), *seen)
        """
    done, _ = trace(tmp_path, program)
    assert done.stderr == ""
    first, second = done.stdout.strip().splitlines()
    assert first == str(before or None)
    # With us and without: the same.
    assert second.startswith(f"1 {before or None} False [] ")


def test_the_users_own_sitecustomize_comes_in_our_place(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text(
        "import builtins; builtins.mine = __file__\n"
    )
    done, run = trace(
        tmp_path,
        """
        import subprocess, sys
        code = "import sys; print(mine, sys.modules['sitecustomize'].__file__); import torch; "
        code += "torch.ones(1).cuda()"
        subprocess.run([sys.executable, "-c", code], check=True)
        """,
        env={"PYTHONPATH": f"{tmp_path / 'own'}{os.pathsep}{ROOT}"},
    )
    mine = tmp_path / "own" / "sitecustomize.py"
    assert (done.stdout, done.stderr) == (f"{mine} {mine}\n", "")
    assert [len(copies(child)) for child in children(run)] == [1]


def test_a_sitecustomize_that_fails_says_what_it_would_say(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("raise RuntimeError('mine')\n")
    done, _ = trace(
        tmp_path,
        """
        import os, subprocess, sys
        command = [sys.executable, "-c", "print('ran')"]
        env = dict(os.environ, PYTHONPATH=os.path.abspath("own"))
        bare = {k: v for k, v in env.items() if "PLACEAUDIT" not in k}
        a, b = (subprocess.run(command, env=e, capture_output=True, text=True) for e in (env, bare))
        assert a.stdout == b.stdout == "ran\\n"
        assert a.stderr == b.stderr, (a.stderr, b.stderr)
        print(a.stderr)
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "RuntimeError: mine" in done.stdout


def test_a_child_that_does_not_listen_is_left_alone_and_named(tmp_path: Path) -> None:
    done, run = trace(
        tmp_path,
        """
        import subprocess, sys
        seen = "import os, sys; print([p for p in sys.path if 'startup' in p])"
        for options in (["-I"], ["-uE"], ["-W", "ignore", "-S"]):
            for _ in range(3):
                subprocess.run([sys.executable, *options, "-c", seen])
        subprocess.run([sys.executable, "-c", seen], env={})
        subprocess.run([sys.executable, "-W", "ignore", "-X", "utf8", "-c", seen, "-I"])
        """,
    )
    assert (done.stdout, done.stderr) == ("[]\n" * 11, "")
    (main,) = run.processes
    assert [text for rule, text in notes(main) if rule == "PA903"][:4] == [
        f"a Python process was started {why}: what it did is not in this record"
        for why in ("with -I", "with -E", "with -S", "with an environment of its own")
    ]


def test_a_launcher_that_never_imports_torch_hands_it_on(tmp_path: Path) -> None:
    done, run = trace(
        tmp_path,
        """
        import subprocess, sys
        code = "import subprocess, sys; subprocess.run([sys.executable, 'child.py'])"
        subprocess.run([sys.executable, "-c", code])
        # One that has nothing to tell leaves nothing.
        subprocess.run([sys.executable, "-c", "import torch; print(torch.ones(2).sum().item())"])
        """,
    )
    assert (done.stdout, done.stderr) == ("[] True\n2.0\n", "")
    assert [p.meta["role"] for p in run.processes] == ["main", "subprocess"]


def test_steps_reach_children(tmp_path: Path) -> None:
    done, run = trace(
        tmp_path,
        """
        import multiprocessing, subprocess, sys

        def work():
            import torch
            torch.ones(1).cuda()

        if __name__ == "__main__":
            subprocess.run([sys.executable, "child.py"])
            process = multiprocessing.get_context("spawn").Process(target=work)
            process.start()
            process.join()
        """,
        "--simulate", "cuda:2", "--steps", "1:2",
    )  # fmt: skip
    assert done.stderr == ""
    asked = {p.meta["role"]: p.meta["operations"]["asked"] for p in run.processes[1:]}
    assert asked == {"subprocess": "1:2", "spawn": "1:2"}


def test_an_exec_keeps_what_was_recorded(tmp_path: Path) -> None:
    done, run = trace(
        tmp_path,
        """
        import os, sys, torch
        torch.ones(2).cuda()
        for path in ("/nowhere/python", sys.executable):
            try:
                os.execv(path, [path, "child.py", "new"])
            except FileNotFoundError:
                print("not there", flush=True)
        """,
    )
    assert done.stdout == "not there\n['new'] True\n"
    assert done.returncode == 3
    assert [copies(p) for p in run.processes] == [[("cpu", "cuda:0")], [("cpu", "cuda:1")]]


TORCHRUN = """
import os, sys
import torch
import torch.distributed as dist
dist.init_process_group("gloo")
rank = dist.get_rank()
x = torch.full((4,), float(rank), device=f"cuda:{os.environ['LOCAL_RANK']}")
total = x.cpu()
dist.all_reduce(total)
assert total[0].item() == 1.0
dist.destroy_process_group()
"""


def test_torchrun_records_every_rank(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(TORCHRUN)
    command = [sys.executable, "-m", "placeaudit", "trace", "-o", "run", "-q"]
    launch = ["-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone", "train.py"]
    done = subprocess.run(
        [*command, "--simulate", "cuda:2", *launch], cwd=tmp_path, capture_output=True, text=True,
        check=False, timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ranks = {p.meta.get("rank"): p for p in children(read_run(tmp_path / "run"))}
    assert set(ranks) == {0, 1}
    for rank, process in ranks.items():
        assert process.meta["local_rank"] == rank
        assert process.meta["world_size"] == 2
        assert (f"cuda:{rank}", "cpu") in copies(process)
        assert not process.truncated


def test_the_rank_that_a_program_gives_itself(tmp_path: Path) -> None:
    done, run = trace(
        tmp_path,
        """
        import torch
        import torch.distributed as dist
        import torch.multiprocessing as mp

        def work(rank, file):
            dist.init_process_group("gloo", init_method=f"file://{file}", rank=rank, world_size=2)
            torch.ones(1).to(f"cuda:{rank}")
            dist.destroy_process_group()

        if __name__ == "__main__":
            import os
            mp.spawn(work, args=(os.path.abspath("store"),), nprocs=2)
        """,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = {(p.meta.get("rank"), p.meta.get("world_size")) for p in children(run)}
    assert found == {(0, 2), (1, 2)}


def test_a_simulation_without_a_trace_reaches_children_too(tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text(CHILD)
    program = """
import os, subprocess, sys
import placeaudit
with placeaudit.simulate("cuda:2"):
    print(subprocess.run([sys.executable, "child.py", "in"]).returncode, flush=True)
print(subprocess.run([sys.executable, "child.py", "out"]).returncode, flush=True)
print("PLACEAUDIT_SIMULATE" in os.environ)
"""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PLACEAUDIT_")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120,
        env={**env, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout == "['in'] True\n3\n['out'] False\n3\nFalse\n"


def test_our_own_command_in_a_child_is_an_audit_of_its_own(tmp_path: Path) -> None:
    done, run = trace(
        tmp_path,
        """
        import subprocess, sys
        command = [sys.executable, "-m", "placeaudit", "trace", "--simulate", "cuda:2", "-q"]
        print(subprocess.run([*command, "-o", "inner", "child.py"]).returncode)
        """,
    )
    assert (done.stdout, done.stderr) == ("[] True\n3\n", "")
    assert children(run) == []
    inner = read_run(tmp_path / "inner")
    assert [copies(p) for p in inner.processes] == [[("cpu", "cuda:1")]]


# --- inside this process --------------------------------------------------------------------------


class _Heard:
    def __init__(self) -> None:
        self.said: list[str] = []

    def unobserved(self, text: str) -> None:
        self.said.append(text)

    def before_exec(self) -> None:
        self.said.append("exec")


def _inherited(env: Any = None) -> str:
    code = "import os; print(os.environ.get('PYTHONPATH'))"
    return subprocess.run(
        [sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_what_was_patched_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PLACEAUDIT_RUN", raising=False)
    names = ("execv", "execve", "posix_spawn", "posix_spawnp")
    before = [getattr(os, name) for name in names]
    path, fork_exec = os.environ.get("PYTHONPATH"), subprocess._fork_exec  # type: ignore[attr-defined]
    first = hand_down({"PLACEAUDIT_RUN": "/run"})
    second = hand_down({"PLACEAUDIT_SIMULATE": "cuda"})
    assert os.environ.get("PYTHONPATH") == path
    first()
    assert "PLACEAUDIT_RUN" not in os.environ
    assert os.environ["PLACEAUDIT_SIMULATE"] == "cuda"
    second()
    assert [getattr(os, name) for name in names] == before
    assert subprocess._fork_exec is fork_exec  # type: ignore[attr-defined]
    assert _inherited() == str(path)


def test_a_deaf_child_does_not_even_see_the_variable() -> None:
    heard = _Heard()
    undo = hand_down({"PLACEAUDIT_RUN": "/run"}, heard)
    try:
        assert STARTUP not in _inherited()
        assert STARTUP not in _inherited(dict(os.environ))
    finally:
        undo()
    assert len(heard.said) == 2
    assert all("with -S" in text for text in heard.said)


def test_a_trace_inside_an_audited_program_is_a_record_of_its_own(tmp_path: Path) -> None:
    done, run = trace(
        tmp_path,
        """
        import placeaudit
        import torch

        torch.ones(1).cuda()
        with placeaudit.trace("inner", steps="0:2") as run:
            torch.ones(2).cuda()
            with placeaudit.trace() as innermost:
                torch.ones(3).cuda()
        torch.ones(4).cuda()
        print(run.copies["bytes"].to_pylist(), innermost.copies["bytes"].to_pylist())
        """,
    )
    assert (done.stdout, done.stderr) == ("[8, 12] [12]\n", "")
    assert [p.tables["copies"].column("bytes").to_pylist() for p in run.processes] == [
        [4, 8, 12, 16]
    ]
    (inner,) = read_run(tmp_path / "inner").processes
    assert inner.tables["copies"].column("bytes").to_pylist() == [8, 12]
    assert not inner.truncated
