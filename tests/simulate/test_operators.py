"""A part of the sweep over PyTorch's own operator samples, another one each time.

``make sweep`` runs all of it; ``OPERATORS_SEED`` repeats the part of a run that failed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

SWEEP = Path(__file__).parents[1] / "sweeps" / "operators.py"
OPERATORS = 48


def test_operators_chosen_by_chance_are_as_on_the_host() -> None:
    seed = os.environ.get("OPERATORS_SEED") or str(random.randrange(10_000))
    command = [sys.executable, str(SWEEP), "--pick", str(OPERATORS), "--seed", seed]
    command += ["--samples", "2", "--jobs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)  # noqa: T201  # shown where the test fails, and with -s
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith(f"seed {seed}\n")
    assert "% alike" in done.stdout
