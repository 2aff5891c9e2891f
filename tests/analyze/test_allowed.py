"""What ran inside ``placeaudit.allow()``: kept in the tables, left out of findings."""

from __future__ import annotations

from placeaudit.report.tables import copies_table, waits_table
from placeaudit.rules.registry import run_rules
from tests.analyze.builder import Builder, audit, noise

SOURCE = """def train():
    for x in data:
        total += loss.item()
        torch.cuda.synchronize()
        host = y.cpu()
        again = host.to(device)
"""
REASON = "metrics in each step"


def allow(builder: Builder, thread: int = 1) -> None:
    """Excuse the event that was written last."""
    builder.rows["allowed"].append((builder.now, thread, builder.string(REASON)))


def program(*, allowed: bool, thread: int = 1) -> Builder:
    b = Builder(SOURCE)
    for _ in range(6):
        b.copy("d2h", b.at("loss.item()"), content=None, size=4)
        if allowed:
            allow(b, thread)
        b.wait("synchronize", b.at("torch.cuda.synchronize()"))
        if allowed:
            allow(b, thread)
        b.step()
    return b


def strays(builder: Builder) -> set[str]:
    return {found.rule for found in run_rules(audit(builder)) if found.is_stray}


def test_findings_leave_it_out() -> None:
    assert strays(program(allowed=False)) == {"PA201", "PA205"}
    assert strays(program(allowed=True)) == set()


def test_another_thread_at_the_same_time_is_not_excused() -> None:
    assert strays(program(allowed=True, thread=2)) == {"PA201", "PA205"}
    both = program(allowed=True)
    both.rows["allowed"] += [(time, 2, reason) for time, _, reason in both.rows["allowed"]]
    assert strays(both) == set()


def test_it_stays_in_the_tables_with_its_reason() -> None:
    found = audit(program(allowed=True))
    assert copies_table(found).column("allowed").to_pylist() == [REASON] * 6
    # The reads wait too.
    assert waits_table(found).column("allowed").to_pylist() == [REASON] * 12
    free = audit(program(allowed=False))
    assert set(copies_table(free).column("allowed").to_pylist()) == {None}


def test_an_allowed_download_still_proves_a_round_trip() -> None:
    b = Builder(SOURCE)
    for i in range(6):
        b.copy("d2h", b.at("y.cpu()"), content=noise(i))
        allow(b)
        b.copy("h2d", b.at("host.to(device)"), content=noise(i))
        b.step()
    assert strays(b) == {"PA101"}
