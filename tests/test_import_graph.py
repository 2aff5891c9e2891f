"""One direction: record → store → analyze → rules → report; and nothing heavy on import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import placeaudit

ROOT = Path(placeaudit.__file__).parent

#: What a part may import of the others; whatever is not listed here is forbidden to it.
VOCABULARY = {"model", "errors", "crossing"}
ALLOWED = {
    "model": set(),
    "errors": {"model"},
    "crossing": set(),
    "config": {"errors"},
    "store": VOCABULARY,
    "import_hook": set(),
    "inherit": {"import_hook"},
    "simulate": VOCABULARY | {"inherit", "import_hook"},
    "inventory": VOCABULARY,
    "record": VOCABULARY | {"store", "simulate", "import_hook", "inherit"},
    # The hardware model is plain data that times are computed from.
    "analyze": VOCABULARY | {"store", "simulate"},
    # What silences findings knows findings only; the rules' registry applies it.
    "verdict": VOCABULARY,
    "rules": VOCABULARY | {"analyze", "simulate", "verdict", "config"},
    "report": VOCABULARY | {"analyze", "rules", "verdict"},
    "settings": VOCABULARY | {"store", "analyze", "verdict", "rules", "report", "config"},
    "commands": VOCABULARY
    | {"simulate", "inventory", "record", "store", "rules", "verdict", "report", "config"}
    | {"settings", "inherit"},
}
HEAVY = ("torch", "tensorflow", "plotly", "pyarrow", "numpy", "rich", "jinja2", "click")


def imports(file: Path) -> set[str]:
    """The parts of placeaudit that ``file`` imports, late imports included."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            head, _, rest = name.partition(".")
            if head == "placeaudit" and rest and not rest.startswith("__"):
                found.add(rest.split(".")[0])
    return found


@pytest.mark.parametrize("part", ALLOWED)
def test_parts_import_only_what_is_left_of_them(part: str) -> None:
    folder = ROOT / part
    files = sorted(folder.rglob("*.py")) if folder.is_dir() else [ROOT / f"{part}.py"]
    for file in files:
        extra = imports(file) - ALLOWED[part] - {part}
        assert not extra, f"{file.relative_to(ROOT)} imports {sorted(extra)}"


def test_analysis_takes_only_the_hardware_model_of_the_simulator() -> None:
    for part in ("analyze", "rules"):
        for file in (ROOT / part).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and "simulate" in (node.module or ""):
                    assert node.module == "placeaudit.simulate.hardware", file


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after running ``code``."""
    script = f"{code}\nimport sys; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return {name.partition(".")[0] for name in run.stdout.split()}


def test_import_placeaudit_loads_nothing_heavy() -> None:
    assert not loaded_by("import placeaudit") & set(HEAVY)


def test_step_without_a_trace_loads_nothing_heavy() -> None:
    assert not loaded_by("import placeaudit\nplaceaudit.step()") & set(HEAVY)


def test_every_public_name_is_there_and_simulate_stays_callable() -> None:
    code = (
        "import placeaudit.simulate.spec\n"
        "import placeaudit\n"
        "assert all(hasattr(placeaudit, name) for name in placeaudit.__all__)\n"
        "assert callable(placeaudit.simulate)\n"
        "from placeaudit.simulate import SimulationSpec\n"
        "assert callable(placeaudit.simulate)\n"
    )
    assert not loaded_by(code) & {"torch", "tensorflow", "plotly", "pyarrow"}


def test_the_trace_command_loads_no_framework_of_its_own() -> None:
    code = "import placeaudit.commands.trace"
    assert not loaded_by(code) & {"torch", "tensorflow", "plotly", "rich", "jinja2"}


@pytest.mark.parametrize("module", ["kernels", "names", "derive"])
def test_names_and_kernel_tables_are_read_without_tensorflow(module: str) -> None:
    assert "tensorflow" not in loaded_by(f"import placeaudit.simulate.tensorflow_gpu.{module}")


def test_a_child_process_begins_with_next_to_nothing() -> None:
    extra = loaded_by("import placeaudit.startup") - loaded_by("pass")
    assert extra <= {"__future__", "placeaudit", "types"}


def test_tensorflow_stays_out_of_the_process_that_runs_the_tests() -> None:
    # Each test that needs it has a process of its own; see tests/installed.py.
    assert "tensorflow" not in sys.modules
