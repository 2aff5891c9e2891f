"""A TensorFlow that is not known, another profiler, eager mode off: recorded or said so."""

from __future__ import annotations

import json
from pathlib import Path

from tests.record.tensorflow.conftest import copies_of, run_python, trace

PROGRAMS = Path(__file__).parent / "programs"


def test_an_unknown_version_says_what_is_not_measured() -> None:
    found = json.loads(run_python(PROGRAMS / "unknown_version.py").splitlines()[-1])
    assert "kernel table of TensorFlow 2.99.0" in found["simulate"]
    assert "\n" not in found["simulate"]
    (note,) = (n for n in map(str, found["notes"]) if "compiled functions" in n)
    assert "TensorFlow 2.99.0 is not as 2.21" in note
    assert found["fallbacks"]  # eager operations are recorded all the same
    assert "there is no GPU:7 here" in found["fallbacks"][0]


def test_sessions_are_recorded_with_eager_mode_off(tmp_path: Path) -> None:
    program = PROGRAMS / "no_eager.py"
    assert trace(program, tmp_path / "run") == run_python(program)
    rows = [row for row in copies_of(tmp_path / "run") if row["operation"] == "_Send"]
    line = 1 + next(
        i for i, text in enumerate(program.read_text().splitlines()) if text.endswith("# fed")
    )
    assert [r["bytes"] for r in rows if r["line"] == line and r["bytes"] > 4] == [32] * 3
    assert sum(r["waits"] and r["dst_device"] == "cpu" and r["bytes"] == 4 for r in rows) == 3
