from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from placeaudit.model import Finding
from placeaudit.verdict.paths import ProjectPaths
from placeaudit.verdict.per_file_ignores import PerFileIgnores


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("tools/a.py", True),
        ("./tools/a.py", True),
        ("tools/*", True),
        ("*.py", True),
        ("a.py", True),
        ("**/a.py", True),
        ("tools/**/a.py", True),
        ("src/*", False),
        ("b.py", False),
        ("!src/*", True),
        ("!tools/*", False),
    ],
)
def test_patterns(
    make_finding: Callable[..., Finding], tmp_path: Path, pattern: str, *, matches: bool
) -> None:
    ignores = PerFileIgnores([(pattern, frozenset({"PA201"}))], tmp_path, ProjectPaths())
    finding = make_finding(file=str(tmp_path / "tools/a.py"))
    assert ignores.silences(finding) is matches
    assert not ignores.silences(make_finding(file=finding.file, rule="PA202"))


def test_a_record_from_elsewhere(make_finding: Callable[..., Finding], tmp_path: Path) -> None:
    ignores = PerFileIgnores([("tools/*", frozenset({"PA201"}))], tmp_path, ProjectPaths())
    finding = make_finding(file="/nowhere/app/tools/a.py")
    assert ignores.silences(finding, "/nowhere/app")
    assert not ignores.silences(finding, "/other")
