"""Every copy of eager TensorFlow at its line, and none besides."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.record.tensorflow.conftest import copies_of, run_python, trace

PROGRAMS = Path(__file__).parent / "programs"


@pytest.mark.parametrize("way", ["eager", "functions"])
def test_predicted_copies_are_those_the_profiler_of_tensorflow_sees(way: str) -> None:
    seed = random.randrange(1 << 30)  # the program prints it
    output = run_python(PROGRAMS / "against_profiler.py", str(seed), "500", way)
    found = json.loads(output.splitlines()[-1])
    assert sum(found["actual"].values()) > 300
    assert found["predicted"] == found["actual"], f"seed {seed}"


def test_each_copy_stands_at_its_line(tmp_path: Path) -> None:
    program = PROGRAMS / "eager_copies.py"
    trace(program, tmp_path / "run")
    lines = program.read_text().splitlines()
    expected = {
        (number, comment)
        for number, line in enumerate(lines, 1)
        if "# copy: " in line
        for comment in line.partition("# copy: ")[2].split(", ")
    }
    found = {
        (row["line"], f"{row['src_device']} {row['dst_device']} {row['bytes']}")
        for row in copies_of(tmp_path / "run")
    }
    assert found == expected
