from __future__ import annotations

import numpy as np

from placeaudit.model import Phase
from tests.analyze.builder import Builder, audit, noise

SOURCE = """def train():
    for x in data:
        y = x.to(device)
        total += y.item()
    table = other.to(device)
    once = last.to(device)
"""


def loop(builder: Builder, steps: int, *, owner: int = 1) -> None:
    for i in range(steps):
        builder.copy("h2d", builder.at("x.to(device)"), content=noise(i))
        builder.step(owner)


def test_a_step_ends_when_the_first_seen_optimizer_steps() -> None:
    b = Builder(SOURCE)
    for i in range(3):
        b.copy("h2d", b.at("x.to(device)"), content=noise(i))
        b.step(owner=7)
        b.step(owner=8)
        b.step(owner=8)
    found = audit(b)
    assert found.steps.how == "optimizer SGD"
    assert len(found.steps) == 3
    assert found.copies.step.tolist() == [0, 1, 2]


def test_models_trained_one_after_the_other_have_steps_each() -> None:
    b = Builder(SOURCE)
    for fold in range(3):
        loop(b, 4, owner=fold + 1)
    found = audit(b)
    assert (found.steps.how, len(found.steps)) == ("optimizer SGD", 12)
    assert found.copies.step.tolist() == list(range(12))


def test_what_steps_once_after_the_first_optimizer_s_last_step_is_none_of_its_own() -> None:
    b = Builder(SOURCE)
    loop(b, 3, owner=1)
    loop(b, 1, owner=2)
    assert len(audit(b).steps) == 3


def test_optimizers_that_take_turns_step_together() -> None:
    b = Builder(SOURCE)
    for _ in range(3):
        loop(b, 1, owner=1)
        loop(b, 2, owner=2)
    assert len(audit(b).steps) == 3


def test_marks_come_before_an_optimizer() -> None:
    b = Builder(SOURCE)
    for _ in range(4):
        b.step()
        b.step()
        b.span("step", "step")
    found = audit(b)
    assert (found.steps.how, len(found.steps)) == ("placeaudit.step()", 4)


def test_loops_of_the_program_beside_marked_ones_have_steps_of_their_own() -> None:
    b = Builder(SOURCE)
    for own in (4, 3):
        loop(b, own, owner=own)
        for _ in range(3):  # a library's loop, of two updates a step
            loop(b, 2)
            b.span("step", "batches of fit")
    loop(b, 2, owner=9)
    found = audit(b)
    assert (found.steps.how, len(found.steps)) == ("batches of fit and optimizer SGD", 15)
    fits = [[4, 4, 5, 5, 6, 6], [10, 10, 11, 11, 12, 12]]
    assert found.copies.step.tolist() == [0, 1, 2, 3, *fits[0], 7, 8, 9, *fits[1], 13, 14]


def test_a_single_update_beside_a_marked_loop_is_no_step() -> None:
    b = Builder(SOURCE)
    loop(b, 1)
    for _ in range(3):
        loop(b, 1)
        b.span("step", "batches of fit")
    loop(b, 1)
    found = audit(b)
    assert (found.steps.how, len(found.steps)) == ("batches of fit", 3)


def test_without_an_optimizer_the_outermost_backward_counts() -> None:
    b = Builder(SOURCE)
    for _ in range(3):
        start = b.tick()
        b.span("backward")
        b.rows["spans"].append((b.string("backward"), b.string(""), 1, start, b.tick(), 1))
    found = audit(b)
    assert (found.steps.how, len(found.steps)) == ("backward()", 3)


def test_of_modules_the_one_called_most_counts_first_seen_among_equals() -> None:
    b = Builder(SOURCE)
    b.span("module", "Teacher", owner=1)
    for _ in range(3):
        b.span("module", "Net", owner=2)
        b.span("module", "Loss", owner=3)
    found = audit(b)
    assert (found.steps.how, len(found.steps)) == ("module Net", 3)


def test_else_a_copy_site_that_recurs() -> None:
    b = Builder(SOURCE)
    for i in range(4):
        b.copy("h2d", b.at("x.to(device)"), content=noise(i))
        b.copy("d2h", b.at("y.item()"), size=4)
    found = audit(b)
    assert (found.steps.how, len(found.steps)) == ("a recurring copy", 4)
    assert found.copies.step.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]


def test_where_no_step_can_be_told_everything_is_steady() -> None:
    b = Builder(SOURCE)
    b.copy("h2d", b.at("x.to(device)"), content=noise(1))
    b.copy("d2h", b.at("y.item()"), size=4)
    found = audit(b)
    assert (found.steps.how, len(found.steps)) == ("", 0)
    assert found.copies.steady.all()
    assert found.copies.step.tolist() == [-1, -1]


def test_a_single_step_has_no_setup() -> None:
    b = Builder(SOURCE)
    loop(b, 1)
    found = audit(b)
    assert len(found.steps) == 1
    assert found.copies.steady.all()


def test_up_to_the_end_of_the_first_step_is_setup() -> None:
    b = Builder(SOURCE)
    b.copy("h2d", b.at("other.to(device)"), content=noise(9))
    loop(b, 3)
    found = audit(b)
    assert found.copies.steady.tolist() == [False, False, True, True]
    assert found.copies.phase[0] == Phase.SETUP


def test_once_only_after_the_last_step_is_teardown_but_a_loop_is_not() -> None:
    b = Builder(SOURCE)
    loop(b, 3)
    for i in range(3):
        b.copy("h2d", b.at("other.to(device)"), content=noise(20 + i))
        b.copy("d2h", b.at("y.item()"), size=4)
    b.copy("h2d", b.at("last.to(device)"), content=noise(30))
    b.copy("h2d", b.at("last.to(device)"), content=noise(31))
    found = audit(b)
    assert found.copies.steady.tolist() == [False, True, True] + [True] * 6 + [False] * 2
    assert set(found.copies.phase[-2:].tolist()) == {Phase.TEARDOWN}


def test_a_worker_follows_the_steps_of_the_main_process_by_time() -> None:
    b = Builder(SOURCE)
    loop(b, 3)
    worker = Builder(SOURCE, role="loader", name="p2-0")
    worker.now = b.now // 2
    worker.copy("h2d", worker.at("x.to(device)"), content=noise(1))
    found = audit(b, worker)
    of_worker = found.copies.process == 1
    assert found.copies.step[of_worker].tolist() == [1]


def test_processes_share_no_storage_and_no_birth() -> None:
    b, c = (Builder(SOURCE, name=name) for name in ("p1-0", "p2-0"))
    for one in (b, c):
        birth = one.birth(3, one.at("x.to(device)"))
        one.copy("h2d", one.at("x.to(device)"), content=noise(1), storages=(3, 4), birth=birth)
    found = audit(b, c)
    assert len(np.unique(found.copies.src_storage)) == 2
    assert sorted(found.copies.src_birth.tolist()) == [0, 1]
    assert (
        found.births.storage[found.copies.src_birth].tolist() == found.copies.src_storage.tolist()
    )


def test_blocked_time_is_modelled_in_simulation_and_measured_else() -> None:
    b = Builder(SOURCE)
    b.copy("h2d", b.at("x.to(device)"), content=noise(1), size=12_000_000)
    b.copy("h2d", b.at("x.to(device)"), content=noise(2), waits=False)
    simulated, real = audit(b), audit(b, simulated="")
    assert simulated.copies.blocked_ns.tolist() == [1_010_000, 0]
    assert simulated.meta.basis == "modelled on h100"
    assert real.copies.blocked_ns.tolist() == [1000, 0]
    assert real.meta.basis == "measured"


def test_waits_hold_those_of_copies_in_order_of_time() -> None:
    b = Builder(SOURCE)
    b.copy("d2h", b.at("y.item()"), size=4)
    b.wait("nonzero", b.at("x.to(device)"))
    b.copy("h2d", b.at("x.to(device)"), content=noise(1), waits=False)
    b.copy("h2d", b.at("x.to(device)"), content=noise(1))
    found = audit(b)
    assert found.waits.copy.tolist() == [0, -1, 2]
    assert [found.text(i) for i in found.waits.cause.tolist()] == ["copy_", "nonzero", "copy_"]
    assert (np.diff(found.waits.time_ns) > 0).all()


def test_an_empty_record_is_an_empty_audit() -> None:
    found = audit(Builder())
    assert (len(found.copies), len(found.waits), len(found.steps)) == (0, 0, 0)
