"""Parsed sources: what a message quotes."""

from __future__ import annotations

import ast

import pytest

from placeaudit.analyze.source import ParsedFile


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("if mask.any():\n    save(mask)", "mask.any()"),
        ("while not done(x):\n    x = step(x)", "not done(x)"),
        ("for x, y in loader:\n    train(x, y)", "for x, y in loader"),
        ("with open(path) as a, lock:\n    read(a)", "with open(path), lock"),
        ("total += float(\n    loss\n)", "total += float( loss )"),
    ],
)
def test_of_a_block_only_the_head_is_quoted(text: str, quoted: str) -> None:
    file = ParsedFile(text)
    assert isinstance(file.tree, ast.Module)
    assert file.quote(file.tree.body[0]) == quoted
