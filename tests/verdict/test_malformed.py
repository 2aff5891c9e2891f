from __future__ import annotations

import pytest

from placeaudit.verdict.suppressions import ignores, malformed


@pytest.mark.parametrize(
    "comment",
    [
        "# placeaudit: ignore",
        "#placeaudit:ignore  # why",
        "# placeaudit: ignore[]",
        "# placeaudit: ignore[,]",
    ],
)
def test_an_ignore_without_a_code(comment: str) -> None:
    text = f"a = 1\nb = 2  {comment}\n"
    assert list(malformed(text)) == [2]
    assert not any(ignores(text).values())


def test_what_is_well_formed_or_no_ignore() -> None:
    text = "a = 1  # placeaudit: ignore[PA201]\n# placeaudit: docs\nb = '# placeaudit: ignore'\n"
    assert malformed(text) == {}
    assert ignores(text) == {1: frozenset({"PA201"})}
