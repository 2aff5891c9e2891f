from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from placeaudit.errors import TargetError
from placeaudit.record.launch import Target, check_target, run_target

ROOT = Path(__file__).resolve().parents[2]

LAUNCH = """
import sys
from placeaudit.record.launch import Target, check_target, run_target
kind, name, *args = sys.argv[1:]
target = Target(kind, name, tuple(args))
check_target(target)
sys.exit(run_target(target))
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def launched(cwd: Path, *command: str, kind: str = "script") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LAUNCH": LAUNCH}
    start = [sys.executable, "-c", LAUNCH, kind, *command]
    return subprocess.run(start, cwd=cwd, env=env, capture_output=True, text=True, check=False)


def plain(cwd: Path, *command: str, kind: str = "script") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LAUNCH": LAUNCH}
    start = [sys.executable, *(["-m"] if kind == "module" else []), *command]
    return subprocess.run(start, cwd=cwd, env=env, capture_output=True, text=True, check=False)


SHOW = """
    import sys, __main__
    from helper import NAME
    print(sys.argv, sys.path[0], __file__, __name__, NAME)
    print(__package__, __spec__ and __spec__.name, type(__loader__).__name__, __doc__)
    print(__main__.__dict__ is globals(), sorted(k for k in globals() if k.startswith("__")))
    def f(): pass
    print(f.__code__.co_filename, sys.modules["__main__"].f is f)
"""


def test_a_script_sees_what_python_shows_it(tmp_path: Path) -> None:
    write(tmp_path / "code" / "helper.py", "NAME = 'helper'")
    write(tmp_path / "code" / "show.py", SHOW)
    arguments = ("code/show.py", "--flag", "x")
    assert launched(tmp_path, *arguments).stdout == plain(tmp_path, *arguments).stdout != ""


def test_a_linked_script_sees_the_directory_it_lies_in(tmp_path: Path) -> None:
    write(tmp_path / "code" / "helper.py", "NAME = 'helper'")
    write(tmp_path / "code" / "show.py", SHOW)
    (tmp_path / "link.py").symlink_to(tmp_path / "code" / "show.py")
    assert launched(tmp_path, "link.py").stdout == plain(tmp_path, "link.py").stdout != ""


@pytest.mark.parametrize("name", ["pkg", "pkg.tool", "alone"])
def test_a_module_sees_what_python_shows_it(tmp_path: Path, name: str) -> None:
    write(tmp_path / "helper.py", "NAME = 'helper'")
    write(tmp_path / "pkg" / "__init__.py", "")
    for file in ("pkg/__main__.py", "pkg/tool.py", "alone.py"):
        write(tmp_path / file, SHOW)
    done = launched(tmp_path, name, "a", kind="module")
    assert done.stdout == plain(tmp_path, name, "a", kind="module").stdout != ""


@pytest.mark.parametrize(
    "end",
    [
        "sys.exit(3)", "sys.exit()", "sys.exit(None)", "sys.exit('gone wrong')", "sys.exit(True)",
        "sys.exit([1, 2])", "sys.exit(-1)", "sys.exit(256 + 7)", "raise SystemExit",
        "raise ValueError('theirs')", "x = 1", "exit(4)",
        "try:\n    1/0\nexcept ZeroDivisionError:\n    raise KeyError('chained')",
        "def f():\n    raise RuntimeError('deep')\nf()",
        "import nowhere_to_be_found",
        "sys.excepthook = lambda *a: print('hook', a[0].__name__)\nraise ValueError('seen')",
        "def bad(*a):\n    raise OSError('hook fails')\nsys.excepthook = bad\nraise ValueError",
        "x = (",
        "raise ExceptionGroup('many', [ValueError('a'), TypeError('b')])",
        "import threading\nthreading.Thread(target=lambda: print('thread')).start()\nsys.exit(5)",
        "import atexit\natexit.register(print, 'at the end')\nraise ValueError",
    ],
)  # fmt: skip
def test_every_end_is_as_from_python(tmp_path: Path, end: str) -> None:
    write(tmp_path / "program.py", "import sys\nprint('begun')\n" + end + "\n")
    ours, theirs = launched(tmp_path, "program.py"), plain(tmp_path, "program.py")
    assert ours.returncode == theirs.returncode
    assert ours.stdout == theirs.stdout
    if "hook fails" in end:  # the failing hook's own traceback passes through our call of it
        assert "hook fails" in ours.stderr
        assert "Original exception was" in ours.stderr
    else:
        assert ours.stderr == theirs.stderr


@pytest.mark.parametrize(
    "end", ["raise ValueError('theirs')", "import nowhere", "raise SystemExit(9)"]
)
def test_the_end_of_a_module_shows_its_frames_only(tmp_path: Path, end: str) -> None:
    write(tmp_path / "program.py", f"def f():\n    {end}\nf()\n")
    ours = launched(tmp_path, "program", kind="module")
    theirs = plain(tmp_path, "program", kind="module")
    assert ours.returncode == theirs.returncode
    shown = [line for line in theirs.stderr.splitlines() if "runpy" not in line]
    assert ours.stderr.splitlines() == shown


def test_ctrl_c_is_130_with_the_programs_traceback(tmp_path: Path) -> None:
    write(
        tmp_path / "program.py",
        """
        import os, signal
        signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
        def work():
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                pass
        work()
        """,
    )
    ours, theirs = launched(tmp_path, "program.py"), plain(tmp_path, "program.py")
    assert theirs.returncode == -signal.SIGINT
    assert ours.returncode == 130
    assert "KeyboardInterrupt" in ours.stderr
    assert "launch.py" not in ours.stderr


def test_the_programs_paths_do_not_outlive_it(tmp_path: Path) -> None:
    write(tmp_path / "program.py", "import sys\nsys.path.append('/nowhere')\nsys.argv.append('x')")
    path, argv, main = list(sys.path), list(sys.argv), sys.modules["__main__"]
    try:
        assert run_target(Target("script", str(tmp_path / "program.py"))) == 0
        assert (sys.path, sys.argv) == (path, argv)
    finally:
        sys.modules["__main__"] = main


def test_what_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    for name, text in (
        ("gone.py", "does not exist"),
        (str(tmp_path), "is a directory"),
        ("binary", "holds binary data"),
    ):
        with pytest.raises(TargetError, match=text):
            check_target(Target("script", name))
    for name in ("no_such_module", "no_such.module", "", ".relative"):
        with pytest.raises(TargetError, match="no module named"):
            check_target(Target("module", name))


def test_a_package_without_main(tmp_path: Path) -> None:
    write(tmp_path / "pkg" / "__init__.py", "")
    done = launched(tmp_path, "pkg", kind="module")
    assert "TargetError: 'pkg' is a package without __main__" in done.stderr
    done = launched(tmp_path, "pkg.gone", kind="module")
    assert "TargetError: no module named 'pkg.gone'" in done.stderr


def test_checking_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "loudly.py", "raise AssertionError")
    write(tmp_path / "loudpkg" / "__init__.py", "raise AssertionError")
    check_target(Target("script", "loudly.py"))
    check_target(Target("module", "loudly"))
    check_target(Target("module", "loudpkg"))
    check_target(Target("module", "loudpkg.inner"))
