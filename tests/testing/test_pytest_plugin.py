"""The pytest plugin, in test-suites of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

pytest.importorskip("torch")

needs_xdist = pytest.mark.skipif(find_spec("xdist") is None, reason="pytest-xdist is not installed")

SUITE = """
import pytest
import torch


@pytest.fixture
def model():
    return torch.nn.Linear(8, 4).cuda()


def step(model, x):
    return model(x).square().mean()


def test_stray(model):
    x = torch.ones(2, 8, device="cuda")
    assert step(model, x).shape == ()
    torch.cuda.synchronize()  # stray


def test_clean(model):
    step(model, torch.ones(2, 8, device="cuda"))


@pytest.mark.no_stray_copies
def test_marked(model):
    torch.cuda.synchronize()  # marked


@pytest.mark.no_stray_copies(allow=["PA205"])
def test_allowed(model):
    torch.cuda.synchronize()


@pytest.mark.max_transfers(1, direction="d2h")
def test_few(model):
    model.weight.cpu()


@pytest.mark.max_transfers(1)
def test_many(model):
    model.weight.cpu()
    model.bias.cpu()  # second


@pytest.mark.no_stray_copies
def test_fails_by_itself(model):
    torch.cuda.synchronize()
    assert not "its own"


@pytest.mark.no_stray_copies
@pytest.mark.xfail(strict=True)
def test_known(model):
    torch.cuda.synchronize()


def test_fixture(placeaudit, model):
    with pytest.raises(placeaudit.StrayCopyError):
        with placeaudit.assert_no_stray_copies():
            torch.cuda.synchronize()
    with placeaudit.guard(d2h="disallow"), pytest.raises(placeaudit.TransferError):
        model.weight.cpu()
"""


def outcomes(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    found = {}
    for line in done.stdout.splitlines():
        words = line.replace("[gw0]", "").replace("[gw1]", "").split()
        names = [word for word in words if "::" in word]
        states = [word for word in words if word in {"PASSED", "FAILED", "XFAIL", "ERROR"}]
        if names and states and not line.startswith(("FAILED", "ERROR")):
            found[names[0].partition("::")[2]] = states[0]
    return found


MARKED = {
    "test_stray": "PASSED",
    "test_clean": "PASSED",
    "test_marked": "FAILED",
    "test_allowed": "PASSED",
    "test_few": "PASSED",
    "test_many": "FAILED",
    "test_fails_by_itself": "FAILED",
    "test_known": "XFAIL",
    "test_fixture": "PASSED",
}


def test_markers_and_fixture(project: Any) -> None:
    project.write(SUITE)
    done = project.pytest("-v", "--strict-markers", "--placeaudit-simulate=cuda:2")
    assert outcomes(done) == MARKED, done.stdout + done.stderr
    out = done.stdout
    assert "limited to no stray copies or waits but found 1 stray finding" in out
    assert f"test_it.py:{_line('marked')} in test_marked: PA205 explicit-sync" in out
    assert "limited to 1 copy but made 2" in out
    assert "assert not 'its own'" in out
    assert "audited" not in out


def _line(mark: str) -> int:
    return next(i for i, text in enumerate(SUITE.splitlines(), 1) if text.endswith(f"# {mark}"))


def test_the_summary(project: Any) -> None:
    project.write(SUITE)
    done = project.pytest("--placeaudit", "--placeaudit-simulate=cuda", "-k", "test_stray or clean")
    out = done.stdout
    assert "placeaudit ====" in out
    assert (
        "2 tests audited: 0 copies between devices, 0 B; 1 line with stray copies or waits" in out
    )
    assert f"test_it.py:{_line('stray')}: PA205 explicit-sync (1×, 1 test)" in out
    assert "    fix: " in out
    assert done.returncode == 0


@needs_xdist
def test_workers_results_merge(project: Any) -> None:
    project.write(SUITE)
    args = ("-v", "--placeaudit", "--placeaudit-simulate=cuda:2")
    alone = project.pytest(*args, "--placeaudit-report=alone.json")
    spread = project.pytest(*args, "--placeaudit-report=spread.json", "-n", "2")
    assert outcomes(spread) == MARKED, spread.stdout + spread.stderr
    assert outcomes(alone) == MARKED

    def summary(done: subprocess.CompletedProcess[str]) -> list[str]:
        lines = done.stdout.splitlines()
        begin = next(i for i, line in enumerate(lines) if " placeaudit ===" in line)
        end = next(i for i, line in enumerate(lines) if line.startswith("wrote "))
        return lines[begin + 1 : end]

    assert summary(spread) == summary(alone)
    assert len(summary(alone)) == 1 + 2 * 7 + 1
    assert summary(alone)[-1] == "not counted, as they failed otherwise: 1 test"

    def report(name: str) -> set[tuple[str, ...]]:
        document = json.loads((project.path / name).read_text())
        return {tuple(run["argv"]) for run in document["runs"]}

    assert report("spread.json") == report("alone.json")
    assert ("test_it.py::test_stray",) in report("alone.json")


def test_a_report_as_html(project: Any) -> None:
    project.write(SUITE)
    done = project.pytest(
        "--placeaudit-report=all.html", "--placeaudit-simulate=cuda", "-k", "test_stray"
    )
    page = (project.path / "all.html").read_text()
    assert page.startswith("<!DOCTYPE html>")
    assert "test_it.py::test_stray" in page
    assert f"wrote {project.path / 'all.html'}" in done.stdout


GUARDED = """
import placeaudit
import torch


def test_guarded():
    weight = torch.ones(4, device="cuda")
    weight.requires_grad_().sum().register_hook(lambda grad: grad.cpu())
    with placeaudit.guard(d2h="disallow"):
        weight.sum().item()


def test_guarded_copy():
    with placeaudit.guard(h2d="disallow"):
        torch.ones(4).cuda()


def test_broken():
    with placeaudit.guard(h2d="disallow"):
        torch.ones(4, device="cuda") + torch.ones(5, device="cuda")
"""


def test_a_refused_transfer_shows_the_users_lines_only(project: Any) -> None:
    project.write(GUARDED)
    done = project.pytest("--placeaudit-simulate=cuda", "--tb=short")
    assert "disallowed device-to-host copy of 4 bytes from cuda:0 to cpu" in done.stdout
    assert "disallowed host-to-device copy of 16 bytes from cpu to cuda:0" in done.stdout
    assert "record/guard.py" not in done.stdout
    assert "record/torch" not in done.stdout
    assert "must match the size" in done.stdout


def test_the_projects_configuration_holds(project: Any) -> None:
    project.write(SUITE)
    project.write(
        '[tool.placeaudit]\nsimulate = "cuda:2"\nignore = ["explicit-sync"]\n', "pyproject.toml"
    )
    names = ("test_stray", "test_clean", "test_marked")
    done = project.pytest("-v", "--placeaudit", *(f"test_it.py::{name}" for name in names))
    assert outcomes(done) == dict.fromkeys(names, "PASSED")
    assert "0 lines with stray copies" in done.stdout
    # The fixture follows it too: what it asserts is not found.
    done = project.pytest("-v", "--placeaudit", "test_it.py::test_fixture")
    assert outcomes(done) == {"test_fixture": "FAILED"}
    assert "DID NOT RAISE" in done.stdout


@pytest.mark.parametrize(
    ("setting", "args", "text"),
    [
        ("ignore = ['PA20l']", ["--placeaudit"], "there is no rule 'PA20l'"),
        ("selct = []", ["--placeaudit"], "has no key 'selct'; did you mean 'select'?"),
        ("simulate = 'cudda'", ["--placeaudit"], "simulate: cannot simulate 'cudda'"),
        ("own = 1", ["--placeaudit-simulate=cudda"], "own must be a list of strings"),
    ],
)
def test_a_wrong_configuration_stops_it(
    project: Any, setting: str, args: list[str], text: str
) -> None:
    project.write("def test(): pass")
    project.write(f"[tool.placeaudit]\n{setting}\n", "pyproject.toml")
    done = project.pytest(*args)
    assert done.returncode == 4
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_in_the_ini(project: Any) -> None:
    project.write(SUITE)
    done = project.pytest(
        "-v", "-k", "marked or test_stray",
        placeaudit_enabled="true", placeaudit_simulate="cuda", placeaudit_allow="PA205",
    )  # fmt: skip
    assert outcomes(done)["test_marked"] == "PASSED"
    assert " audited:" in done.stdout


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["--placeaudit-simulate=cuda:many"], "--placeaudit-simulate: "),
        (["--placeaudit-report=all.docx"], "ends in none of .html .json"),
        (["--placeaudit-report=nowhere/all.html"], "--placeaudit-report: there is no folder "),
    ],
)
def test_bad_options(project: Any, args: list[str], text: str) -> None:
    project.write("def test(): pass\n")
    done = project.pytest(*args)
    assert done.returncode == 4
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("marker", "text"),
    [
        ("no_stray_copies(allow=['PA2O1'])", "there is no rule 'PA2O1'"),
        ("no_stray_copies('PA201')", "is written no_stray_copies(allow="),
        ("max_transfers()", "is written max_transfers(3)"),
        ("max_transfers(3, direction='up')", "is written max_transfers(3)"),
    ],
)
def test_bad_markers(project: Any, marker: str, text: str) -> None:
    project.write(f"import pytest\n@pytest.mark.{marker}\ndef test(): pass\n")
    done = project.pytest()
    assert done.returncode == 1
    assert text in done.stdout
    assert "suite.py" not in done.stdout
    assert "another exception" not in done.stdout


def test_without_a_device_it_says_so(project: Any) -> None:
    project.write(
        "import pytest, torch\n"
        "if torch.accelerator.is_available(): pytest.skip(allow_module_level=True)\n"
        "@pytest.mark.no_stray_copies\ndef test(): torch.ones(1)\n"
    )
    done = project.pytest("--placeaudit")
    assert "1 skipped" in done.stdout or "1 test could not be observed" in done.stdout
    assert "1 skipped" in done.stdout or "this test could not be observed" in done.stdout


def test_left_out_on_demand(project: Any) -> None:
    project.write("def test(pytestconfig): assert 'no_stray' not in str(pytestconfig.getini("
                  "'markers'))\n")  # fmt: skip
    assert project.pytest("-p", "no:placeaudit").returncode == 0
    assert project.pytest("-p", "no:placeaudit", "--placeaudit").returncode == 4


def test_unused_it_loads_nothing(project: Any) -> None:
    project.write(
        "import sys\n"
        "def test():\n"
        "    heavy = {'torch', 'numpy', 'pyarrow', 'xxhash', 'click', 'rich'}\n"
        "    assert not heavy & set(sys.modules)\n"
        "    ours = {m for m in sys.modules if m.startswith('placeaudit')}\n"
        "    assert ours == {'placeaudit', 'placeaudit.testing',\n"
        "                    'placeaudit.testing.pytest_plugin'}\n"
    )
    done = project.pytest("-p", "no:xdist", "-p", "no:cov")
    assert done.returncode == 0, done.stdout


def test_the_plugin_module_alone_loads_nothing() -> None:
    code = """
import pytest, sys
before = set(sys.modules)
import placeaudit.testing.pytest_plugin
print(*{m.partition(".")[0] for m in set(sys.modules) - before})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["placeaudit"]
