"""PA106, PA108 and PA110 on records written by hand: executions, bounces, periods."""

from __future__ import annotations

from dataclasses import replace

import pytest

from placeaudit.analyze.audit import Audit
from placeaudit.analyze.run import analyze
from placeaudit.model import Certainty, Finding, Severity
from placeaudit.rules.registry import run_rules
from placeaudit.store.reader import RunRecord
from tests.analyze.builder import Builder, audit, findings, noise, record, torch_frame

SOURCE = """def train():
    for batch in data:
        parts = [part.to(device) for part in batch]
        for tensor in batch:
            moved = tensor.to(device)
        for value in values:
            total += value.item()
        for value in values:
            table[value.item()] = 1
        move(batch)
        other.to(device)
        first.cpu()
        last.to("cuda:1")
def move(batch):
    return one(batch)
def one(batch):
    return batch.to(device)
def explore():
    for _ in range(9):
        environment.step(0)
        state.to(device)
def outer():
    for batch in data:
        inner(batch)
def inner(batch):
    for part in batch:
        part.cuda()
        model.fit(part)
"""
STEPS = 12
COMPREHENSION = "part.to(device)"


def found(b: Builder, rule: str) -> list[Finding]:
    return [f for f in findings(b) if f.rule == rule]


def steps(b: Builder, count: int, text: str = COMPREHENSION, **changes: object) -> None:
    """``STEPS`` steps, each with ``count`` uploads at ``text``, all of different content."""
    for step in range(STEPS):
        for i in range(count):
            values: dict[str, object] = {"content": noise(1000 * step + i, 256)}
            b.copy("h2d", b.at(text), **(values | changes))  # type: ignore[arg-type]
        b.step()


def test_eight_of_one_execution_are_many_and_seven_are_not() -> None:
    for count, expected in ((7, 0), (8, 1)):
        b = Builder(SOURCE)
        steps(b, count)
        assert len(found(b, "PA106")) == expected


def test_its_figures() -> None:
    b = Builder(SOURCE)
    steps(b, 16)
    (finding,) = found(b, "PA106")
    assert (finding.line, finding.severity, finding.certainty) == (
        3, Severity.WARNING, Certainty.PROVEN,
    )  # fmt: skip
    # The first step is setup.
    assert (finding.count, finding.bytes) == (16 * (STEPS - 1), 16 * (STEPS - 1) * 256)
    assert "uploads 16 tensors" in finding.message
    assert finding.fix.endswith("`torch.stack(batch).to(device)`")
    assert not found(b, "PA202")


def test_a_loop_is_less_certain_than_a_comprehension() -> None:
    b = Builder(SOURCE)
    steps(b, 16, "tensor.to(device)")
    (finding,) = found(b, "PA106")
    assert (finding.line, finding.certainty) == (5, Certainty.LIKELY)
    assert "the loop at line 4" in finding.message


def test_large_copies_are_none() -> None:
    b = Builder(SOURCE)
    steps(b, 16, size=1 << 16)
    assert not found(b, "PA106")


def test_outside_a_loop_nothing_repeats() -> None:
    b = Builder(SOURCE.replace("    for batch in data:\n        parts", "    if 1:\n        parts"))
    steps(b, 16, "other.to(device)")
    assert not found(b, "PA106")


def test_the_training_loop_itself_is_none() -> None:
    source = SOURCE.replace(
        "        other.to(device)\n", "        other.to(device)\n        o.step()\n"
    )
    b = Builder(source)
    steps(b, 16, "other.to(device)")
    assert not found(b, "PA106")


@pytest.mark.parametrize("kind", ["module", "backward"])
def test_work_in_between_makes_each_turn_its_own(kind: str) -> None:
    b = Builder(SOURCE)
    for step in range(STEPS):
        for i in range(16):
            b.copy("h2d", b.at(COMPREHENSION), content=noise(100 * step + i, 256))
            b.span(kind)
        b.step()
    assert not found(b, "PA106")


def test_a_copy_the_other_way_in_between_makes_each_turn_its_own() -> None:
    b = Builder(SOURCE)
    for step in range(STEPS):
        for i in range(16):
            b.copy("h2d", b.at(COMPREHENSION), content=noise(100 * step + i, 256))
            b.copy("d2h", b.at("first.cpu()"), content=noise(9999 + 100 * step + i, 256))
        b.step()
    assert not found(b, "PA106")


def test_what_happens_outside_the_loop_ends_its_execution() -> None:
    b = Builder(SOURCE)
    for step in range(STEPS):
        for i in range(16):
            b.copy("h2d", b.at(COMPREHENSION), content=noise(100 * step + i, 256))
            if i % 4 == 3:
                b.copy("h2d", b.at("other.to(device)"), content=noise(9999 + 100 * step + i, 256))
        b.step()
    assert not found(b, "PA106")


def test_other_lines_of_the_same_loop_do_not() -> None:
    source = SOURCE.replace("moved = tensor.to(device)", "moved = tensor.to(device), mask.cuda()")
    b = Builder(source)
    for step in range(STEPS):
        for i in range(16):
            b.copy("h2d", b.at("tensor.to(device)"), content=noise(100 * step + i, 256))
            b.copy("h2d", b.at("mask.cuda()"), content=noise(9999 + 100 * step + i, 256))
        b.step()
    assert [f.line for f in found(b, "PA106")] == [5, 5]


def test_a_helper_called_from_several_lines_is_no_loop() -> None:
    source = """def train():
    move(a)
    move(b)
    move(c)
def move(x):
    return {k: v.to(device) for k, v in x.items()}
"""
    b = Builder(source)
    for step in range(STEPS):
        for line in ("move(a)", "move(b)", "move(c)"):
            for i in range(3):
                b.copy(
                    "h2d", b.at("v.to(device)", "move"), b.at(line),
                    content=noise(hash((step, line, i)) % 2**31, 256),
                )  # fmt: skip
        b.step()
    assert not found(b, "PA106")


def test_the_loop_may_stand_in_the_caller() -> None:
    source = SOURCE.replace("        move(batch)\n", "        moved = [move(x) for x in batch]\n")
    b = Builder(source)
    for step in range(STEPS):
        for i in range(16):
            b.copy(
                "h2d", b.at("batch.to(device)", "one"), b.at("one(batch)", "move"),
                b.at("move(x)"), content=noise(100 * step + i, 256),
            )  # fmt: skip
        b.step()
    (finding,) = found(b, "PA106")
    assert (finding.line, finding.certainty) == (17, Certainty.PROVEN)
    assert [frame.line for _, frame in finding.related] == [10]


def test_turns_that_step_an_environment_are_steps() -> None:
    b = Builder(SOURCE)
    steps(b, 16, "state.to(device)")
    assert not found(b, "PA106")


def test_turns_that_train_in_a_function_of_another_file_are_steps() -> None:
    b = Builder(SOURCE)
    b.rows["sources"].append(
        ("/work/model.py", "class M:\n  def fit(self, x):\n    loss.backward()\n")
    )
    steps(b, 16, "part.cuda()")
    assert not found(b, "PA106")
    del b.rows["sources"][1]
    assert found(b, "PA106")


def test_moving_modules_is_left_to_another_rule() -> None:
    b = Builder(SOURCE)
    for step in range(STEPS):
        start = b.now
        for i in range(16):
            b.copy("h2d", b.at("tensor.to(device)"), content=noise(100 * step + i, 256))
        b.rows["spans"].append((b.string("model-move"), b.string("Net"), 1, start, b.now, 1))
        b.step()
    assert not found(b, "PA106")


def test_scalar_reads_of_a_loop_are_one_finding() -> None:
    b = Builder(SOURCE)
    for _ in range(STEPS):
        for _ in range(16):
            b.copy("d2h", b.at("value.item()"), size=4, content=None)
        b.step()
    (finding,) = [f for f in findings(b) if f.is_stray]
    assert (finding.rule, finding.line) == ("PA106", 7)
    assert finding.fix.endswith("`torch.stack(values).tolist()`")


def test_reads_that_the_loop_needs_are_not_small_copies() -> None:
    b = Builder(SOURCE)
    for _ in range(STEPS):
        for _ in range(16):
            b.copy("d2h", b.at("value.item()", occurrence=1), size=4, content=None)
        b.step()
    assert not found(b, "PA106")
    assert found(b, "PA201")


def test_a_library_that_loops_is_not_the_users_loop() -> None:
    b = Builder(SOURCE)
    inner = torch_frame("accelerate/utils.py", "send", 3)
    for step in range(STEPS):
        for i in range(16):
            b.copy("h2d", inner, b.at(COMPREHENSION), content=noise(100 * step + i, 256))
        b.step()
    assert not found(b, "PA106")


# --- PA108 ---------------------------------------------------------------------------------------


def bounce(b: Builder, step: int, *, same: bool = False, changed: bool = False) -> None:
    b.copy("d2h", b.at("first.cpu()"), content=noise(step), storages=(1, 2))
    b.copy(
        "h2d", b.at('last.to("cuda:1")'), content=noise(step + 5000 * changed),
        storages=(2 if same else 3, 4), device="cuda:1",
    )  # fmt: skip


def test_a_bounce_is_neither_round_trip_nor_pageable_upload() -> None:
    b = Builder(SOURCE)
    for step in range(STEPS):
        bounce(b, step, same=True)
        b.step()
    (finding,) = findings(b)
    assert (finding.rule, finding.line, finding.severity, finding.certainty) == (
        "PA108", 13, Severity.WARNING, Certainty.PROVEN,
    )  # fmt: skip
    assert [frame.line for _, frame in finding.related] == [12]
    assert (finding.src, finding.dst) == ("cpu", "cuda:1")
    assert {e.kind for e in finding.evidence} == {"content-hash", "storage", "peer-access"}


def test_changed_content_is_no_bounce() -> None:
    b = Builder(SOURCE)
    for step in range(STEPS):
        bounce(b, step, changed=True)
        b.step()
    assert not found(b, "PA108")


def test_content_that_the_host_had_first_is_no_bounce() -> None:
    b = Builder(SOURCE)
    for step in range(STEPS):
        b.copy("h2d", b.at("other.to(device)"), content=noise(step))
        bounce(b, step)
        b.step()
    assert not found(b, "PA108")


def test_equal_content_in_two_processes_is_no_bounce() -> None:
    one, two = Builder(SOURCE, name="p1-0"), Builder(SOURCE, name="p2-0")
    for step in range(STEPS):
        one.copy("d2h", one.at("first.cpu()"), content=noise(step))
        two.now = one.now
        two.copy("h2d", two.at('last.to("cuda:1")'), content=noise(step), device="cuda:1")
        one.now = two.now
        one.step()
        two.step()
    assert "PA108" not in {f.rule for f in findings(one, two)}


@pytest.mark.parametrize(
    ("peers", "words"),
    [({}, "is not known"), ({"cuda:0 cuda:1": True}, "directly"),
     ({"cuda:0 cuda:1": False}, "does not reach")],
)  # fmt: skip
def test_what_is_known_of_peer_access_is_said(peers: dict[str, bool], words: str) -> None:
    b = Builder(SOURCE)
    for step in range(STEPS):
        bounce(b, step)
        b.step()
    (finding,) = [f for f in run_rules(_with(b, peers=peers)) if f.rule == "PA108"]
    (said,) = [e.text for e in finding.evidence if e.kind == "peer-access"]
    assert words in said


def _with(b: Builder, **hardware: object) -> Audit:
    """A run on real devices that said this about them."""
    whole = record(b, simulated="")
    (process,) = whole.processes
    process = replace(process, meta={**process.meta, "hardware": hardware})
    return analyze(RunRecord(whole.path, whole.meta, (process,)))


# --- PA110 ---------------------------------------------------------------------------------------


def epochs(b: Builder, count: int = 3, batches: int = 5, size: int = 1 << 17) -> None:
    for _ in range(count):
        for i in range(batches):
            b.copy("h2d", b.at("other.to(device)"), content=noise(i, size))
            b.step()


def test_a_data_set_that_comes_back_each_epoch() -> None:
    b = Builder(SOURCE)
    epochs(b)
    (finding,) = found(b, "PA110")
    assert (finding.line, finding.severity, finding.certainty) == (
        11, Severity.INFO, Certainty.PROVEN,
    )  # fmt: skip
    assert (finding.count, finding.bytes) == (10, 10 << 17)
    assert "the same 5 batches" in finding.message
    assert "3 passes" in finding.message
    assert "640 KiB of its 79.2 GiB" in finding.message


def test_batches_in_another_order_are_the_same_data_set() -> None:
    b = Builder(SOURCE)
    for order in ((0, 1, 2, 3), (2, 0, 3, 1), (3, 1, 0, 2)):
        for i in order:
            b.copy("h2d", b.at("other.to(device)"), content=noise(i))
            b.step()
    assert found(b, "PA110")


def test_one_pass_and_shuffled_samples_are_none() -> None:
    for seeds in (range(10), [0, 1, 2, 3, 0, 1, 4, 3]):
        b = Builder(SOURCE)
        for seed in seeds:
            b.copy("h2d", b.at("other.to(device)"), content=noise(seed))
            b.step()
        assert not found(b, "PA110")


@pytest.mark.parametrize(("memory", "told"), [(1 << 40, True), (1 << 20, False), (0, False)])
def test_it_must_be_known_to_fit(memory: int, told: bool) -> None:
    b = Builder(SOURCE)
    epochs(b)
    known = {"cuda:0": memory} if memory else {}
    rules = {f.rule for f in run_rules(_with(b, memory_bytes=known))}
    assert ("PA110" in rules) is told


def test_lines_of_one_function_are_one_finding() -> None:
    b = Builder(SOURCE)
    for _ in range(3):
        for i in range(5):
            b.copy("h2d", b.at("other.to(device)"), content=noise(i, 4096))
            b.copy("h2d", b.at(COMPREHENSION), content=noise(100 + i, 64))
            b.step()
    (finding,) = found(b, "PA110")
    assert (finding.line, finding.count) == (11, 20)
    assert [frame.line for _, frame in finding.related] == [3]


def test_the_model_of_a_simulated_device_says_its_memory() -> None:
    b = Builder(SOURCE)
    epochs(b)
    assert audit(b).meta.memory_bytes == {"cuda:0": 81_089 << 20}
