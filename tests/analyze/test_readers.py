"""When the host reads what a line downloaded, as far as the source shows it."""

from __future__ import annotations

import ast
from textwrap import dedent

from placeaudit.analyze.callsite import CallSite
from placeaudit.analyze.readers import Read, Reading, reading_after
from placeaudit.analyze.source import ParsedFile

HELD = """
    class Queue:
        def push(self, result):
            {copy}
            {after}
"""


def after(text: str, method: str = "copy_") -> tuple[Read, str]:
    file = ParsedFile(dedent(text))
    call = next(
        n
        for n in ast.walk(file.tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.func.attr == method
    )
    read = reading_after(CallSite(file, call))
    return read, file.quote(read.node) if read.node is not None else ""


def test_a_tensor_that_an_object_holds_is_read_by_the_same_expression() -> None:
    read, text = after(
        HELD.format(
            copy="self.buffer.copy_(result, non_blocking=True)",
            after="self.total += self.buffer.sum().item()",
        )
    )
    assert (read.reading, read.certain) == (Reading.HERE, True)
    assert text == "self.buffer.sum()"


def test_another_slot_of_the_same_list_is_another_tensor() -> None:
    slots = "self.slots[i].copy_(result, non_blocking=True)"
    read, _ = after(HELD.format(copy=slots, after="return self.slots[1 - i].sum()"))
    assert read.reading is Reading.UNKNOWN
    read, _ = after(HELD.format(copy=slots, after="return self.slots[i].sum()"))
    assert read.reading is Reading.HERE


def test_what_nobody_reads_in_sight_may_be_read_elsewhere() -> None:
    read, _ = after(HELD.format(copy="self.buffer.copy_(result)", after="self.full = True"))
    assert read.reading is Reading.UNKNOWN


def test_a_buffer_that_was_handed_out_before_may_be_read_by_others() -> None:
    buffer = """
        def train(weights, batches):
            buffer = torch.empty(8, pin_memory=True)
            {before}
            for batch in batches:
                buffer.copy_(gradient(batch))
                optimizer.step()
    """
    for before, reading in (
        ("buffer.zero_()", Reading.NEVER),
        ("weights.grad = buffer", Reading.UNKNOWN),
        ("kept.append(buffer[:4])", Reading.UNKNOWN),
        ("flat = buffer.view(-1)", Reading.NEVER),
    ):
        assert after(buffer.format(before=before))[0].reading is reading, before
