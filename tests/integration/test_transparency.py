"""A traced program sees what Python would show it, and leaves what it would leave."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

import placeaudit

Both = Callable[..., subprocess.CompletedProcess[str]]

WHO = """
import sys
print(sys.argv, sys.path[0], __file__, __name__, __package__, __spec__ and __spec__.name)
print(sys.modules["__main__"].__dict__ is globals(), sorted(globals()))
print("to stderr", file=sys.stderr)
"""


def test_a_script_sees_what_it_would_see(sandbox: Any, both: Both) -> None:
    sandbox.write("sub/who.py", WHO)
    done = both("sub/who.py", "-o", "x", "--simulate", "cuda", "--", "-m", "y")
    assert "'-o', 'x', '--simulate', 'cuda', '--', '-m', 'y'" in done.stdout


def test_a_module_sees_what_it_would_see(sandbox: Any, both: Both) -> None:
    sandbox.write("package/__init__.py", "")
    sandbox.write("package/who.py", WHO)
    sandbox.write("package/__main__.py", WHO)
    assert "package.who" in both("-m", "package.who", "--force", "--", "-q").stdout
    assert "package.__main__" in both("-m", "package").stdout


def test_a_double_dash_ends_our_options(sandbox: Any) -> None:
    sandbox.write("-odd.py", WHO)
    plain = sandbox.python("--", "-odd.py", "-q")
    traced = sandbox.placeaudit("trace", "-q", "--", "-odd.py", "-q")
    assert (traced.returncode, traced.stdout) == (0, plain.stdout)


def test_options_after_the_program_are_its_own(sandbox: Any) -> None:
    sandbox.write("who.py", "import sys; print(sys.argv)")
    traced = sandbox.placeaudit("trace", "-o", "run", "-q", "who.py", "-o", "other", "--help")
    assert traced.stdout == "['who.py', '-o', 'other', '--help']\n"
    assert (sandbox.path / "run" / "meta.json").is_file()


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("sys.exit(3)", 3),
        ("sys.exit()", 0),
        ("sys.exit('a message')", 1),
        ("raise SystemExit(-1)", 255),
        ("raise ValueError('theirs')", 1),
        ("import no_such_module", 1),
        ("import helper", 1),
        ("exec('1 +')", 1),
        ("open('/no/such/file')", 1),
    ],
)
def test_endings(sandbox: Any, both: Both, ending: str, code: int) -> None:
    sandbox.write("helper.py", "def f():\n    raise KeyError('from helper')\n\nf()\n")
    sandbox.write(
        "main.py", f"import sys\nprint('before')\n\ndef main():\n    {ending}\n\nmain()\n"
    )
    done = both("main.py")
    assert done.returncode == code
    assert "placeaudit" not in done.stderr


def test_a_syntax_error_is_the_programs_own(sandbox: Any, both: Both) -> None:
    sandbox.write("main.py", "print('never')\nx = = 1\n")
    done = both("main.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert "SyntaxError" in done.stderr


def test_what_ends_late_still_runs(sandbox: Any, both: Both) -> None:
    sandbox.write(
        "main.py",
        "import atexit, threading\n"
        "go = threading.Event()\n"
        "atexit.register(lambda: print('at exit', __name__))\n"
        "threading.Thread(target=lambda: (go.wait(), print('thread'))).start()\n"
        "print('main')\n"
        "threading.Timer(0.1, go.set).start()\n",
    )
    assert both("main.py").stdout == "main\nthread\nat exit __main__\n"


def test_a_fork_ends_as_it_would_and_one_verdict_is_given(sandbox: Any, both: Both) -> None:
    sandbox.write(
        "main.py",
        "import os, sys\n"
        "pid = os.fork()\n"
        "if pid:\n"
        "    print('child gave', os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)\n"
        "else:\n"
        "    print('child', flush=True)\n"
        "    sys.exit(7)\n",
    )
    assert both("main.py").stdout == "child\nchild gave 7\n"
    traced = sandbox.placeaudit("trace", "main.py")
    assert traced.stderr.count("placeaudit: main.py") == 1


def test_os_exit_and_its_record(sandbox: Any, both: Both) -> None:
    sandbox.write("main.py", "import os\nprint('x', flush=True)\nos._exit(5)\n")
    assert both("main.py").returncode == 5
    assert sandbox.placeaudit("check", "--exit-zero", "placeaudit-run").returncode == 0


INTERRUPTED = (
    r"Traceback \(most recent call last\):\n"
    r'  File "[^"]*/main\.py", line [23], in <module>\n    .*\nKeyboardInterrupt\n'
)


def interrupted(sandbox: Any, number: int, *args: str) -> tuple[int, str]:
    process = sandbox.start(*args)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_end_it_as_they_would(sandbox: Any, number: int) -> None:
    sandbox.write("main.py", "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    plain = interrupted(sandbox, number, "main.py")
    traced = interrupted(sandbox, number, "-m", "placeaudit", "trace", "-q", "main.py")
    assert traced[0] == plain[0] == -number
    # Where in its two lines the program was is up to the clock.
    for _, err in (traced, plain):
        assert re.fullmatch(INTERRUPTED if number == signal.SIGINT else "", err)
    assert sandbox.placeaudit("check", "--exit-zero", "placeaudit-run").returncode == 0


def test_ctrl_c_still_gives_the_verdict(sandbox: Any) -> None:
    sandbox.write("main.py", "import time\nprint('ready', flush=True)\ntime.sleep(60)\n")
    code, err = interrupted(sandbox, signal.SIGINT, "-m", "placeaudit", "trace", "main.py")
    assert code == -signal.SIGINT
    assert "KeyboardInterrupt\nplaceaudit: main.py" in err


def test_a_caught_ctrl_c_is_the_programs_business(sandbox: Any) -> None:
    sandbox.write(
        "main.py",
        "import sys, time\n"
        "try:\n"
        "    print('ready', flush=True)\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)\n",
    )
    code, _ = interrupted(sandbox, signal.SIGINT, "-m", "placeaudit", "trace", "main.py")
    assert code == 130


def test_the_program_may_leave_the_directory(sandbox: Any) -> None:
    sandbox.write("main.py", "import os\nos.chdir('/')\n")
    done = sandbox.placeaudit("trace", "--html", "page.html", "main.py")
    assert done.returncode == 0
    assert (sandbox.path / "placeaudit-run" / "meta.json").is_file()
    assert (sandbox.path / "page.html").is_file()


def test_no_framework_is_loaded_for_the_program(sandbox: Any) -> None:
    sandbox.write("main.py", "import sys; print(*sorted(sys.modules))")
    loaded = set(sandbox.placeaudit("trace", "-q", "main.py").stdout.split())
    assert not loaded & {"torch", "tensorflow", "plotly", "rich", "jinja2"}
    assert "placeaudit" in loaded
    assert placeaudit.__version__


def test_a_program_that_bends_the_interpreter_still_gets_its_verdict(sandbox: Any) -> None:
    sandbox.write(
        "main.py",
        "import io, sys, warnings\n"
        "warnings.simplefilter('error')\n"
        "sys.stderr = io.StringIO()\n"
        "sys.argv[:] = []\n"
        "sys.path[:] = []\n"
        "print('done')\n",
    )
    done = sandbox.placeaudit("trace", "main.py")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.startswith("placeaudit: main.py")
    assert "Traceback" not in done.stderr


def test_closed_streams_are_no_failure(sandbox: Any, both: Both) -> None:
    sandbox.write("main.py", "import sys\nprint('x')\nsys.stdout.close()\nsys.stderr.close()\n")
    plain = both("main.py")
    traced = sandbox.placeaudit("trace", "main.py")
    assert (traced.returncode, traced.stdout) == (plain.returncode, plain.stdout)
