"""Training loops that libraries own: to their end, with the numbers of a plain run on the CPU.

``make test-libraries`` installs the libraries; without them the tests are skipped.
"""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = Path(__file__).parent / "programs" / "libraries"

#: Lines that a program prints of its training: all else (times, progress) is the library's.
FIGURES = ("loss", "eval_loss", "val_loss", "grad_norm", "accuracy", "score", "proba")

#: Program, the libraries it needs, and the packages that the audit says waited or copied.
LOOPS = {
    "transformers_trainer": (("transformers", "accelerate"), {"transformers", "accelerate"}),
    "accelerate_loop": (("transformers", "accelerate"), {"transformers"}),
    "lightning_trainer": (("lightning",), {"lightning"}),
    "skorch_fit": (("skorch", "sklearn"), {"skorch"}),
}


def _figures(stdout: str) -> list[str]:
    return [line for line in stdout.splitlines() if line.split(" ")[0] in FIGURES]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is fetched, and no telemetry is sent."""
    for name, value in {
        "HF_HUB_OFFLINE": "1",
        "TRANSFORMERS_VERBOSITY": "error",
        "OMP_NUM_THREADS": "1",
    }.items():
        monkeypatch.setitem(os.environ, name, value)


@pytest.mark.parametrize("name", sorted(LOOPS))
def test_a_librarys_loop_trains_as_on_the_host(sandbox: Any, name: str) -> None:
    needed, acting = LOOPS[name]
    for library in needed:
        if importlib.util.find_spec(library) is None:
            pytest.skip(f"{library} is not installed (make test-libraries installs it)")
    program = PROGRAMS / f"{name}.py"
    plain = sandbox.python(program, "plain")
    assert plain.returncode == 0, plain.stderr
    traced = sandbox.placeaudit(
        "trace", "-q", "--simulate", "cuda", "-o", "run", program, "simulated"
    )
    assert traced.returncode == 0, traced.stderr
    assert plain.stderr.splitlines()[-1] == "device cpu"
    assert traced.stderr.splitlines()[-1] == "device cuda"
    assert len(_figures(plain.stdout)) >= 3
    assert _figures(traced.stdout) == _figures(plain.stdout)

    checked = sandbox.placeaudit("check", "--output-format", "json", "run")
    findings = json.loads(checked.stdout)["findings"]
    # Nothing in these programs is wasted by their own lines; what libraries do is told, not blamed.
    assert [found for found in findings if found["severity"] != "info"] == []
    named = {found["library"] for found in findings} - {None, ""}
    assert acting <= named
    assert {package.partition(".")[0] for package in named} <= {*acting, *needed, "torch"}
    assert checked.returncode == 0
