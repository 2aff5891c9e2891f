"""Each wrong input: one clear line, exit code 2, the program not run, nothing lost."""

from __future__ import annotations

from typing import Any

import pytest

SAY = "print('it ran')\n"


def refused(sandbox: Any, *args: str) -> str:
    """The one line that ``placeaudit trace ARGS`` prints before anything runs."""
    done = sandbox.placeaudit("trace", *args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("placeaudit: ")
    assert done.stderr.count("\n") == 1
    line: str = done.stderr
    return line


def test_programs_that_are_none(sandbox: Any) -> None:
    sandbox.write("folder/inside.py", SAY)
    (sandbox.path / "binary.py").write_bytes(b"\x7fELF\0\0")
    assert "missing.py does not exist" in refused(sandbox, "missing.py")
    assert "folder is a directory" in refused(sandbox, "folder")
    assert "binary.py is not a Python program" in refused(sandbox, "binary.py")
    assert "no module named 'missing'" in refused(sandbox, "-m", "missing")
    assert not (sandbox.path / "placeaudit-run").exists()


def test_a_package_that_cannot_be_executed(sandbox: Any) -> None:
    sandbox.write("package/__init__.py", "")
    assert "__main__" in refused(sandbox, "-m", "package")
    assert "package.nothing" in refused(sandbox, "-m", "package.nothing")


def test_an_output_that_exists_names_force(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    assert sandbox.placeaudit("trace", "-q", "-o", "run", "main.py").returncode == 0
    before = (sandbox.path / "run" / "meta.json").read_bytes()
    assert "--force" in refused(sandbox, "-o", "run", "main.py")
    assert (sandbox.path / "run" / "meta.json").read_bytes() == before
    assert sandbox.placeaudit("trace", "-q", "-f", "-o", "run", "main.py").returncode == 0
    assert (sandbox.path / "run" / "meta.json").read_bytes() != before


def test_force_deletes_records_only(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    mine = sandbox.write("thesis/chapter.tex", "years of work")
    refused(sandbox, "-o", "thesis", "main.py")
    assert "not a record" in refused(sandbox, "-f", "-o", "thesis", "main.py")
    assert mine.read_text() == "years of work"


def test_an_output_that_cannot_be_written(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    sandbox.write("file", "")
    assert "file/run" in refused(sandbox, "-o", "file/run", "main.py")
    assert "no/such" in refused(sandbox, "--html", "no/such/page.html", "main.py")
    sandbox.write("page.html", "mine")
    assert "--force" in refused(sandbox, "--html", "page.html", "main.py")
    assert not (sandbox.path / "placeaudit-run").exists()


@pytest.mark.parametrize(
    "spec", ["tpu", "cuda:0", "cuda:99", "cuda:x", "cuda=h999", "cuda:2:3", "h100"]
)
def test_nonsense_to_simulate(sandbox: Any, spec: str) -> None:
    sandbox.write("main.py", SAY)
    refused(sandbox, "--simulate", spec, "main.py")
    assert not (sandbox.path / "placeaudit-run").exists()


@pytest.mark.parametrize("steps", ["5", "3:3", "a:b"])
def test_nonsense_as_steps(sandbox: Any, steps: str) -> None:
    sandbox.write("main.py", SAY)
    assert f"--steps: '{steps}'" in refused(sandbox, "--steps", steps, "main.py")
    assert not (sandbox.path / "placeaudit-run").exists()


def test_the_default_output_never_overwrites(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    for name in ("placeaudit-run", "placeaudit-run-2", "placeaudit-run-3"):
        assert not (sandbox.path / name).exists()
        assert sandbox.placeaudit("trace", "-q", "main.py").returncode == 0
        assert (sandbox.path / name / "meta.json").is_file()


def test_programs_started_together_do_not_share_a_record(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    started = [sandbox.start("-m", "placeaudit", "trace", "-q", "main.py") for _ in range(4)]
    for process in started:
        assert process.communicate(timeout=120)[0] == "it ran\n"
        assert process.returncode == 0
    assert len(list(sandbox.path.glob("placeaudit-run*/p*/meta.json"))) == 4
    assert len(list(sandbox.path.glob("placeaudit-run*"))) == 4


def test_no_accelerator_is_no_clean_bill(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    done = sandbox.placeaudit("trace", "main.py")
    assert (done.returncode, done.stdout) == (0, "it ran\n")
    assert "Nothing could be observed" in done.stderr
    assert "--simulate cuda" in done.stderr


def test_a_record_lost_meanwhile_is_a_warning(sandbox: Any) -> None:
    sandbox.write("main.py", "import shutil; shutil.rmtree('placeaudit-run'); print('done')\n")
    done = sandbox.placeaudit("trace", "main.py")
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert "Traceback" not in done.stderr
    assert "placeaudit: " in done.stderr
