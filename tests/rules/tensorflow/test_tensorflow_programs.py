"""The rules on TensorFlow: each one's programs, run for real in one process.

Marks are those of ``tests/rules/test_programs.py``.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from placeaudit.rules.registry import RULES, TENSORFLOW_RULES
from tests.installed import need

need("tensorflow")

HERE = Path(__file__).parent
PROGRAMS = sorted((HERE / "programs").glob("PA*/*.py"))
EXPECT = re.compile(r"# expect: (PA\d+)(?: (info|error))?")
ENVIRONMENT = os.environ | {
    "PYTHONPATH": str(HERE.parents[2]),
    "OMP_NUM_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "TF_ENABLE_ONEDNN_OPTS": "0",
}


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Each program's findings, by its path."""
    out = tmp_path_factory.mktemp("tensorflow") / "findings.jsonl"
    done = subprocess.run(
        [sys.executable, HERE / "audit.py", out, *PROGRAMS],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {row["path"]: row for row in map(json.loads, out.read_text().splitlines())}


def test_each_marked_line_is_found_and_nothing_else(audited: dict[str, dict[str, Any]]) -> None:
    wrong = []
    for program in PROGRAMS:
        row = audited[str(program)]
        assert row["code"] == 0, program
        marked = {
            (match[1], number, match[2] or "warning")
            for number, line in enumerate(program.read_text().splitlines(), 1)
            for match in EXPECT.finditer(line)
        }
        found = {(rule, line, severity) for rule, line, severity, _ in row["findings"]}
        strays = {one for one in found if one[2] != "info"}
        infos = {one for one in marked if one[2] == "info"}
        if strays != marked - infos or not infos <= found:
            wrong.append((program.relative_to(HERE), sorted(found), sorted(marked)))
    assert not wrong


def test_advice_is_in_words_of_tensorflow(audited: dict[str, dict[str, Any]]) -> None:
    for path, row in audited.items():
        for rule, _, severity, fix in row["findings"]:
            if severity != "info":
                assert not re.search(r"torch|\.to\(|\.cpu\(\)|\.item\(\)", fix), (path, rule, fix)


def test_numbers_uploaded_one_by_one_become_a_tensor_of_their_type(
    audited: dict[str, dict[str, Any]],
) -> None:
    ((_, _, _, fix),) = audited[str(HERE / "programs/PA106/bad_numbers.py")]["findings"]
    assert "`for number in tf.unstack(tf.constant(numbers, tf.float32))`" in fix


def test_every_rule_of_tensorflow_has_its_programs() -> None:
    for rule in TENSORFLOW_RULES:
        names = {path.name for path in (HERE / "programs" / rule.code).iterdir()}
        assert {"bad.py", "good.py"} <= names, rule.code


def test_every_rule_of_tensorflow_is_one_of_the_catalogue() -> None:
    known = {rule.code: (rule.name, rule.severity) for rule in RULES}
    for rule in TENSORFLOW_RULES:
        assert known[rule.code] == (rule.name, rule.severity)
        assert (type(rule).__doc__ or "").strip()
