"""Rules on records written by hand: what a program under the simulated device cannot show."""

from __future__ import annotations

import struct

import pytest

from placeaudit.errors import UsageError
from placeaudit.model import Certainty, HashKind, Severity
from placeaudit.record.content import hash_bytes
from placeaudit.rules.facts import Facts, codes, constant_hashes, previous_same
from placeaudit.rules.registry import RULES, find, run_rules
from tests.analyze.builder import FILE, Builder, audit, findings, noise, torch_frame

SOURCE = """def train():
    for x in data:
        down = x.cpu()
        up = down.to(device)
        other = mask.to(device)
        total += loss.item()
        torch.cuda.synchronize()
    big = batch.to(device)
"""
STEPS = 20


def train(builder: Builder, *turn: object) -> None:
    """``STEPS`` steps, each calling every ``turn`` with its number."""
    for i in range(STEPS):
        for event in turn:
            event(i)  # type: ignore[operator]
        builder.step()


def told(builder: Builder, simulated: str = "cuda=h100") -> list[tuple[str, int, str]]:
    return [(f.rule, f.line, f.severity.value) for f in findings(builder, simulated=simulated)]


def trip(b: Builder, content: bytes, *, same: bool, up: bytes | None = None) -> None:
    b.copy("d2h", b.at("x.cpu()"), content=content, storages=(1, 2))
    b.copy("h2d", b.at("down.to(device)"), content=up or content, storages=(2 if same else 3, 4))


def test_a_round_trip_is_proven_by_content_or_by_storage() -> None:
    for same in (True, False):
        b = Builder(SOURCE)
        train(b, lambda i, b=b, same=same: trip(b, noise(i), same=same))
        (found,) = [f for f in findings(b) if f.rule == "PA101"]
        assert (found.line, found.severity, found.certainty) == (
            4, Severity.WARNING, Certainty.PROVEN,
        )  # fmt: skip
        assert (found.count, found.per_step) == (STEPS, 1.0)
        assert [frame.line for _, frame in found.related] == [3]


@pytest.mark.parametrize("content", [bytes(4096), struct.pack("<f", 1.0) * 1024, b"\x07" * 8])
def test_constant_or_tiny_content_needs_the_same_storage(content: bytes) -> None:
    for same in (True, False):
        b = Builder(SOURCE)
        train(b, lambda _i, b=b, same=same: trip(b, content, same=same))
        assert ("PA101", 4, "warning") in told(b) or not same
        assert not any(rule == "PA101" for rule, *_ in told(b)) or same


def test_changed_content_is_no_round_trip() -> None:
    b = Builder(SOURCE)
    train(b, lambda i: trip(b, noise(i), same=True, up=noise(1000 + i)))
    assert not any(rule == "PA101" for rule, *_ in told(b))


def test_what_comes_back_steps_later_is_parked_on_purpose() -> None:
    b = Builder(SOURCE)

    def turn(i: int) -> None:
        b.copy("d2h", b.at("x.cpu()"), content=noise(i), storages=(i, 100 + i))
        if i >= 5:
            b.copy("h2d", b.at("down.to(device)"), content=noise(i - 5), storages=(95 + i, 300 + i))

    train(b, turn)
    assert ("PA101", 4, "info") in told(b)


def test_a_round_trip_is_neither_pageable_nor_duplicate() -> None:
    b = Builder(SOURCE)
    big = noise(1, 1 << 17)
    train(b, lambda _i: trip(b, big, same=True))
    assert told(b) == [("PA101", 4, "warning")]


def test_duplicates_of_a_library_are_info_and_name_it() -> None:
    b = Builder(SOURCE)
    inner = torch_frame("accelerate/hooks.py", "send", 3)
    train(b, lambda _i: b.copy("h2d", inner, b.at("mask.to(device)"), content=noise(1)))
    (found,) = [f for f in findings(b) if f.rule == "PA102"]
    assert (found.severity, found.library) == (Severity.INFO, "accelerate")


def test_a_tiny_duplicate_needs_storage_and_version() -> None:
    for version, expected in ((0, True), (1, False)):
        b = Builder(SOURCE)
        train(
            b,
            lambda i, b=b, version=version: b.copy(
                "h2d", b.at("mask.to(device)"), content=b"abcdefgh", storages=(1, 2),
                versions=(i * version, 0),
            ),
        )  # fmt: skip
        assert any(rule == "PA102" for rule, *_ in told(b)) is expected


def test_setup_and_teardown_are_silent() -> None:
    b = Builder(SOURCE)
    for _ in range(5):
        b.copy("h2d", b.at("batch.to(device)"), content=noise(1, 1 << 17))
        b.copy("d2h", b.at("loss.item()"), size=4, content=None)
    train(b)
    b.copy("h2d", b.at("batch.to(device)"), content=noise(1, 1 << 17))
    assert told(b) == []


def test_a_read_that_does_not_wait_is_none() -> None:
    b = Builder(SOURCE)
    train(b, lambda _i: b.copy("d2h", b.at("loss.item()"), size=4, content=None, waits=False))
    assert told(b) == []


def test_a_read_every_tenth_batch_of_each_epoch_is_info() -> None:
    b = Builder(SOURCE)
    for _ in range(4):
        for i in range(15):
            b.step()
            if i % 10 == 0:
                b.copy("d2h", b.at("loss.item()"), size=4, content=None)
    assert told(b) == [("PA201", 6, "info")]


def test_an_option_of_the_library_makes_it_a_warning() -> None:
    b = Builder(SOURCE)
    inner = torch_frame("torch/distributions/distribution.py", "Distribution.__init__", 60)
    train(b, lambda _i: b.copy("d2h", inner, b.at("loss.item()"), size=1, content=None))
    (found,) = findings(b)
    assert (found.severity, found.library) == (
        Severity.WARNING, "torch.distributions.distribution",
    )  # fmt: skip
    assert "validate_args=False" in found.fix


def test_an_explicit_wait_is_timed_on_a_real_device_only() -> None:
    b = Builder(SOURCE)
    train(b, lambda _i: b.wait("synchronize", b.at("torch.cuda.synchronize()")))
    (simulated,), (real,) = findings(b), findings(b, simulated="")
    assert (simulated.rule, simulated.blocked_s, simulated.blocked_basis) == ("PA205", None, "")
    assert real.blocked_s == pytest.approx(STEPS * 1e-6)
    assert real.blocked_basis == "measured"


def test_small_pageable_uploads_are_one_info() -> None:
    b = Builder(SOURCE)
    train(
        b,
        lambda i: b.copy("h2d", b.at("mask.to(device)"), content=noise(i)),
        lambda i: b.copy("h2d", b.at("down.to(device)"), content=noise(100 + i, 8192)),
    )
    (found,) = findings(b)
    assert (found.rule, found.severity, found.line, found.count) == (
        "PA202", Severity.INFO, 4, 2 * STEPS,
    )  # fmt: skip
    assert [frame.line for _, frame in found.related] == [5]


def test_without_source_a_read_is_likely() -> None:
    b = Builder(SOURCE)
    frame = b.at("loss.item()")
    b.rows["sources"].clear()
    train(b, lambda _i: b.copy("d2h", frame, size=4, content=None))
    (found,) = findings(b)
    assert (found.severity, found.certainty) == (Severity.WARNING, Certainty.LIKELY)


def test_a_comment_silences_its_rule_on_its_line() -> None:
    for code, silent in (("PA201", True), ("scalar-read", True), ("PA101", False)):
        line = "loss.item()"
        b = Builder(SOURCE.replace(line, f"{line}  # placeaudit: ignore[{code}]"))
        train(b, lambda _i, b=b: b.copy("d2h", b.at("loss.item()"), size=4, content=None))
        assert (told(b) == []) is silent


def test_a_truncated_process_is_said() -> None:
    from dataclasses import replace

    from placeaudit.analyze.run import analyze
    from tests.analyze.builder import record

    whole = record(Builder(SOURCE))
    cut = replace(whole, processes=(replace(whole.processes[0], truncated=True),))
    (found,) = run_rules(analyze(cut))
    assert (found.rule, found.severity, found.line) == ("PA901", Severity.INFO, 0)
    assert "p1-0" in found.message


def test_notes_become_informational_findings_at_their_place() -> None:
    b = Builder(SOURCE)
    b.rows["notes"].append(("PA902", 1, "a captured graph", b.stack(b.at("x.cpu()"))))
    b.rows["notes"].append(("PA903", 1, "torch is too old", -1))
    found = {f.rule: f for f in findings(b)}
    assert (found["PA902"].file, found["PA902"].line) == (FILE, 3)
    assert (found["PA903"].file, found["PA903"].message) == ("", "torch is too old")


def test_copies_without_a_line_are_said() -> None:
    b = Builder(SOURCE)
    train(b, lambda i: b.copy("h2d", content=noise(i), backward=3))
    (found,) = findings(b)
    assert (found.rule, found.certainty) == ("PA902", Certainty.UNKNOWN)
    assert f": {STEPS - 1};" in found.message


def test_worst_first_then_blocked_time() -> None:
    b = Builder(SOURCE)
    train(
        b,
        lambda _i: b.copy("d2h", b.at("loss.item()"), size=4, content=None),
        lambda i: b.copy("h2d", b.at("batch.to(device)"), content=noise(i, 1 << 20)),
        lambda i: b.copy("h2d", b.at("mask.to(device)"), content=noise(i)),
    )
    assert [rule for rule, *_ in told(b)] == ["PA202", "PA201", "PA202"]


def test_select_and_ignore_take_codes_names_and_prefixes() -> None:
    b = Builder(SOURCE)
    train(b, lambda _i: b.copy("d2h", b.at("loss.item()"), size=4, content=None))
    found = audit(b)
    assert run_rules(found, select=["PA1"]) == ()
    assert len(run_rules(found, select=["scalar-read"])) == 1
    assert run_rules(found, ignore=["PA201", "PA3"]) == ()
    with pytest.raises(UsageError, match="PA201"):
        run_rules(found, select=["PA2011"])


def test_a_rule_is_found_by_code_or_name_and_the_nearest_is_named() -> None:
    assert find("pa103").name == "host-created"
    assert find("Round-Trip").code == "PA101"
    with pytest.raises(UsageError, match=r"PA103 \(host-created\)"):
        find("host-create")


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.code)
def test_every_rule_explains_itself(rule: object) -> None:
    doc = type(rule).__doc__ or ""
    at = [
        doc.replace("Example:", "Example").find(f"\n    {title}\n")
        for title in ("What it does", "Why it costs", "Example", "Use instead", "When it is fine")
    ]
    assert -1 not in at
    assert at == sorted(at)


@pytest.mark.parametrize("size", [64, 4096, 1 << 20, (1 << 20) + 4, 3 << 20])
def test_constants_are_hashed_as_the_recorder_hashes_them(size: int) -> None:
    import ctypes

    memory = ctypes.create_string_buffer(size)
    found, kind = hash_bytes(ctypes.addressof(memory), size)
    assert found in constant_hashes(size, HashKind(kind))


def test_codes_and_previous() -> None:
    import numpy as np

    code = codes(np.array([1, 1, 2, 1]), np.array([5, 5, 5, 6]))
    assert code[0] == code[1]
    assert len(set(code.tolist())) == 3
    assert previous_same(np.array([3, 1, 3, 3, 1])).tolist() == [-1, -1, 0, 2, 1]


def test_facts_are_computed_once() -> None:
    facts = Facts(audit(Builder(SOURCE)))
    calls: list[int] = []

    def compute(_facts: Facts) -> int:
        calls.append(1)
        return 5

    assert facts.once(compute) + facts.once(compute) == 10
    assert len(calls) == 1
