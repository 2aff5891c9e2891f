"""What a finding advises can be followed in the program that it is about."""

from __future__ import annotations

import pytest

from tests.analyze.builder import Builder, findings, noise

STEPS = 12
READS = """\
for step, x in enumerate(data):
    loss = f(x)
    mean = loss.mean().item()
    if step % interval == 0:
        print(loss.item())
    print("%d %.3f" % (step, mean))
    print("%.3f" % loss.sum().item())
"""
BELOW = 'and read it where it is printed (`print("%d %.3f" % (step, mean))`), every N steps only'
RUNNING = """\
for step, loss in enumerate(losses):
    ema = 0.9 * ema + 0.1 * loss.item()
    if step % 20 == 0:
        print(step, ema)
"""
METER = """\
class Meter:
    def __str__(self):
        return fmt.format(**vars(self))
for x in data:
    meter.update(step(x))
    print(meter)
"""
TWICE = """\
for x in data:
    loss = f(x)
    total += loss.item()
    print(loss.item())
"""
PINS = """\
for x in data:
    x = x.pin_memory().to(device, non_blocking=flag)
"""


def train(b: Builder, *turn: object) -> None:
    for i in range(STEPS):
        for event in turn:
            event(i)  # type: ignore[operator]
        b.step()


@pytest.mark.parametrize(
    ("read", "fix"),
    [
        (
            "loss.mean().item()",
            f"leave it on the device, `mean = loss.mean().detach()`, {BELOW}",
        ),
        ("loss.item()", "raise the interval in `step % interval == 0`"),
        ("loss.sum().item()", "print every N steps only: `if step % 100 == 0:`"),
    ],
)
def test_a_printed_value_is_read_where_and_when_it_is_printed(read: str, fix: str) -> None:
    b = Builder(READS)
    train(b, lambda _: b.copy("d2h", b.at(read, "<module>"), size=4, content=None))
    (finding,) = findings(b, simulated="")
    assert (finding.rule, finding.fix) == ("PA201", fix)


def test_a_running_value_is_read_where_an_interval_prints_it() -> None:
    b = Builder(RUNNING)
    train(b, lambda _: b.copy("d2h", b.at("loss.item()", "<module>"), size=4, content=None))
    (finding,) = findings(b, simulated="")
    assert finding.fix == (
        "leave it on the device, `ema = 0.9 * ema + 0.1 * loss.detach()`, and read it where it is "
        "printed (`print(step, ema)`) only"
    )


@pytest.mark.parametrize(
    ("then", "when"),
    [
        ("    if step % 10 == 0:\n        print(total / 10)\n        total = 0", "at line 4 only"),
        ("    bar.show('%.3f' % total)", "at line 3, every N steps only"),
        ("print(total)", "once after the loop"),
    ],
)
def test_a_total_is_read_where_it_is_used(then: str, when: str) -> None:
    b = Builder(f"for step, x in data:\n    total += 2 * f(x).item()\n{then}\n")
    train(b, lambda _: b.copy("d2h", b.at("f(x).item()", "<module>"), size=4, content=None))
    (finding,) = findings(b, simulated="")
    assert finding.fix == (
        f"keep the total on the device, `total += 2 * f(x).detach()`, and read it {when}"
    )


def test_a_text_that_is_returned_is_to_be_made_more_rarely() -> None:
    b = Builder(METER)
    frames = b.at("fmt.format(**vars(self))", "__str__"), b.at("print(meter)", "<module>")
    train(b, lambda _: b.copy("d2h", *frames, size=4, content=None))
    (finding,) = findings(b, simulated="")
    assert finding.fix.startswith("make this text every N steps only")


def test_a_number_that_was_read_before_is_a_number_to_keep() -> None:
    b = Builder(TWICE)
    train(
        b,
        lambda i: b.copy(
            "d2h", b.at("loss.item()", "<module>"), size=4, content=noise(i), storages=(i, -1)
        ),
        lambda i: b.copy(
            "d2h", b.at("loss.item()", "<module>", 1), size=4, content=noise(i), storages=(i, -1)
        ),
    )
    (again,) = [f for f in findings(b, simulated="") if f.rule == "PA109"]
    assert again.fix == "keep the number that line 3 reads and use it here"


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_plain_upload_is_no_advice_where_it_would_wait(asynchronous: bool) -> None:
    b = Builder(PINS)
    line = "x.pin_memory().to(device, non_blocking=flag)"
    train(
        b,
        lambda i: b.pin(i, b.at("x.pin_memory()", "<module>")),
        lambda i: b.copy(
            "h2d", b.at(line, "<module>"), content=noise(i), pinned=True,
            waits=not asynchronous, non_blocking=asynchronous, storages=(i, 500 + i),
        ),
    )  # fmt: skip
    (finding,) = findings(b, simulated="")
    assert finding.rule == "PA207"
    assert finding.related == ()
    assert finding.fix.startswith("let a loader" if asynchronous else "drop `.pin_memory()` here")


def test_a_range_that_indexes_is_to_be_made_on_the_device() -> None:
    b = Builder("for x, y in data:\n    x[range(len(x)), y] = 1\n")
    train(
        b,
        lambda i: b.copy(
            "h2d", b.at("x[range(len(x)), y]", "<module>"), content=noise(i), dtype="int64",
            storages=(i, 100 + i),
        ),
    )  # fmt: skip
    (finding,) = findings(b, simulated="")
    assert finding.rule == "PA208"
    assert finding.fix.endswith("use `torch.arange(len(x), device=x.device)`")
