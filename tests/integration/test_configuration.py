"""What is configured holds for a trace, and a wrong setting stops it before the program runs."""

from __future__ import annotations

from typing import Any

import pytest

SAY = """import os
print(os.environ.get("PLACEAUDIT_SIMULATE"), os.environ.get("PLACEAUDIT_OWN"))
"""


def test_a_wrong_setting_stops_it(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    sandbox.write("pyproject.toml", "[tool.placeaudit]\nsimulat = 'cuda'\n")
    done = sandbox.placeaudit("trace", "main.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "placeaudit: pyproject.toml: [tool.placeaudit] has no key 'simulat'; did you mean "
        "'simulate'?\n"
    )
    assert not (sandbox.path / "placeaudit-run").exists()


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("steps = '5:2'", "steps: '5:2' holds no step: B must be greater than A"),
        ("simulate = 'cudda'", "simulate: cannot simulate 'cudda': the only backend is 'cuda'"),
        ("simulate = 'cuda=h10'", "simulate: unknown hardware model 'h10'; did you mean h100?"),
    ],
)
def test_a_wrong_value_names_the_setting(sandbox: Any, setting: str, text: str) -> None:
    sandbox.write("main.py", SAY)
    sandbox.write("pyproject.toml", f"[tool.placeaudit]\n{setting}\n")
    done = sandbox.placeaudit("trace", "main.py")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"placeaudit: pyproject.toml: [tool.placeaudit] {text}\n"
    overruled = sandbox.placeaudit("trace", "-q", "--steps=1:2", "--simulate=", "main.py")
    assert overruled.returncode == 0


def test_simulation_and_own_packages(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    sandbox.write(
        "pyproject.toml", "[tool.placeaudit]\nsimulate = 'cuda'\nown = ['ourlib', 'theirs']\n"
    )
    assert sandbox.placeaudit("trace", "-q", "main.py").stdout == "cuda ourlib,theirs\n"
    done = sandbox.placeaudit("trace", "-q", "--simulate=", "--own=mine", "main.py")
    assert done.stdout == "None mine\n"


def test_a_rule_that_there_is_not_keeps_the_record(sandbox: Any) -> None:
    sandbox.write("main.py", SAY)
    sandbox.write("pyproject.toml", "[tool.placeaudit]\nselect = ['PA20l']\n")
    done = sandbox.placeaudit("trace", "main.py")
    assert done.returncode == 0
    assert "there is no rule 'PA20l'" in done.stderr
    assert "the record is placeaudit-run" in done.stderr
