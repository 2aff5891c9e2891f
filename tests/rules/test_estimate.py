"""The bound of what a fix saves: what it is made of, what it is a share of, and what it ranks."""

from __future__ import annotations

import pytest

from placeaudit.model import Finding
from placeaudit.rules.estimate import bound_s
from placeaudit.rules.grouping import group
from placeaudit.simulate.hardware import DEVICES
from tests.analyze.builder import MS, Builder, findings, noise

SOURCE = """def train():
    for x in data:
        mask = torch.zeros(9).to(device)
        down = x.cpu()
        up = down.to(device)
        batch.to(device)
        total += loss.item()
        torch.cuda.synchronize()
"""
STEPS = 20
BIG = 1 << 20


def one(b: Builder, rule: str, simulated: str = "cuda=h100") -> Finding:
    (found,) = [f for f in findings(b, simulated=simulated) if f.rule == rule]
    return found


def reads(**changes: object) -> Builder:
    b = Builder(SOURCE)
    for _ in range(STEPS):
        b.copy("d2h", b.at("loss.item()"), size=4, content=None, **changes)  # type: ignore[arg-type]
        b.step()
    return b


def test_measured_waits_are_a_share_of_the_median_step() -> None:
    estimate = one(reads(), "PA201", simulated="").estimate
    assert estimate is not None
    # A microsecond is blocked in each step of two milliseconds.
    assert estimate.saved_s == pytest.approx(1e-6)
    assert estimate.ratio == pytest.approx(1e-6 / 2e-3)
    assert (estimate.low_s, estimate.high_s) == (0.0, estimate.saved_s)
    assert (estimate.is_bound, estimate.basis) == (True, "measured")


def test_in_simulation_no_share_of_a_step_is_claimed() -> None:
    estimate = one(reads(), "PA201").estimate
    assert estimate is not None
    assert estimate.ratio is None
    assert estimate.saved_s == pytest.approx(DEVICES["h100"].d2h_s(4, pinned=False), rel=1e-3)
    assert (estimate.is_bound, estimate.basis) == (False, "modelled on h100")


def test_without_steps_there_is_none() -> None:
    b = Builder(SOURCE)
    b.copy("d2h", b.at("loss.item()"), size=4, content=None)
    found = one(b, "PA201")
    assert found.estimate is None
    assert bound_s(found) == found.blocked_s


def test_what_is_not_timed_has_none() -> None:
    b = Builder(SOURCE)
    for _ in range(STEPS):
        b.wait("synchronize", b.at("torch.cuda.synchronize()"))
        b.step()
    assert one(b, "PA205").estimate is None
    measured = one(b, "PA205", simulated="").estimate
    assert measured is not None
    assert measured.saved_s == pytest.approx(1e-6)


def trips(*, waits: bool = True) -> Builder:
    b = Builder(SOURCE)
    for i in range(STEPS):
        b.copy("d2h", b.at("x.cpu()"), content=noise(i, BIG), storages=(1, 2))
        b.copy(
            "h2d", b.at("down.to(device)"), content=noise(i, BIG), storages=(2, 3), pinned=True,
            waits=waits,
        )  # fmt: skip
        b.step()
    return b


def test_a_round_trip_counts_both_ways() -> None:
    estimate = one(trips(), "PA101").estimate
    assert estimate is not None
    model = DEVICES["h100"]
    both = model.d2h_s(BIG, pinned=False) + model.h2d_s(BIG, pinned=True)
    assert estimate.saved_s == pytest.approx(both, rel=1e-3)


def test_a_copy_without_a_wait_counts_its_time_on_the_link() -> None:
    estimate = one(trips(waits=False), "PA101", simulated="").estimate
    assert estimate is not None
    link = DEVICES["t4"].h2d_s(BIG, pinned=True)
    assert estimate.saved_s == pytest.approx(1e-6 + link, rel=1e-3)
    assert estimate.basis == "measured and modelled on t4"


def test_making_on_the_host_counts_where_it_was_measured() -> None:
    b = Builder(SOURCE)
    for i in range(STEPS):
        birth = b.birth(100 + i, b.at("torch.zeros(9)"))
        b.now += 5 * MS
        b.copy(
            "h2d", b.at("torch.zeros(9).to(device)"), content=bytes(36), birth=birth,
            storages=(100 + i, 1),
        )  # fmt: skip
        b.step()
    measured, modelled = one(b, "PA103", simulated="").estimate, one(b, "PA103").estimate
    assert measured is not None
    assert modelled is not None
    assert measured.saved_s == pytest.approx(6e-3 + 1e-6)
    assert modelled.saved_s < 1e-4


def test_no_bound_is_more_than_the_step() -> None:
    b = Builder(SOURCE)
    for _ in range(STEPS):
        b.copy("d2h", b.at("loss.item()"), size=4, content=None)
        row = list(b.rows["copies"][-1])
        row[1] = 50 * MS
        b.rows["copies"][-1] = tuple(row)
        b.step()
    estimate = one(b, "PA201", simulated="").estimate
    assert estimate is not None
    assert estimate.ratio == 1.0


def test_the_larger_bound_comes_first_then_certainty_then_bytes() -> None:
    b = Builder(SOURCE)
    for i in range(STEPS):
        b.copy("d2h", b.at("loss.item()"), size=4, content=None)
        b.copy("h2d", b.at("batch.to(device)"), content=noise(i, BIG))
        b.step()
    assert [f.rule for f in findings(b) if f.is_stray] == ["PA202", "PA201"]


def test_groups_keep_the_order_of_their_first() -> None:
    b = reads()
    (a,) = [f for f in findings(b) if f.rule == "PA201"]
    from dataclasses import replace

    other, far = replace(a, line=99), replace(a, function="other")
    groups = group([far, a, other])
    assert [(g.lead, g.others) for g in groups] == [(far, ()), (a, (other,))]
