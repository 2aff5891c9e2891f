"""Waits and placements on records written by hand: what a program cannot show."""

from __future__ import annotations

import pytest

from placeaudit.model import Certainty, Phase, Severity
from placeaudit.rules.registry import run_rules
from tests.analyze.builder import FILE, Builder, audit, findings, noise, torch_frame

SOURCE = """def train():
    for x in data:
        up = x.to(device)
        host = out.to("cpu", non_blocking=True)
        event.record()
        total += loss.item()
        best = host.argmax()
        rows = table[index]
        table[row] = value
        kept = x.pin_memory()
        torch.cuda.synchronize()
        optimizer.step()
"""
STEPS = 12


def train(b: Builder, *turn: object) -> None:
    for i in range(STEPS):
        for event in turn:
            event(i)  # type: ignore[operator]
        b.step()


def told(b: Builder) -> list[tuple[str, int, str]]:
    return [(f.rule, f.line, f.severity.value) for f in findings(b, simulated="")]


def start_download(b: Builder, i: int) -> None:
    b.copy(
        "d2h", b.at('out.to("cpu", non_blocking=True)'), content=noise(i), pinned=True,
        waits=False, non_blocking=True, storages=(i, 100 + i),
    )  # fmt: skip


def read_loss(b: Builder) -> None:
    b.copy("d2h", b.at("loss.item()"), size=4, content=None)


def sync(b: Builder, *frames: object) -> None:
    b.wait("synchronize", *frames, b.at("torch.cuda.synchronize()"))  # type: ignore[arg-type]


def test_a_read_before_any_wait_is_an_error_also_outside_of_steps() -> None:
    for steps in (True, False):
        b = Builder(SOURCE)
        if steps:
            train(b, lambda i, b=b: start_download(b, i), lambda _i, b=b: sync(b))
        else:
            start_download(b, 0)
        (found,) = [f for f in findings(b) if f.rule == "PA206"]
        assert (found.line, found.severity, found.certainty) == (
            4, Severity.ERROR, Certainty.PROVEN,
        )  # fmt: skip
        assert [frame.line for _, frame in found.related] == [7]


def test_a_wait_in_between_makes_the_read_safe() -> None:
    b = Builder(SOURCE)
    train(b, lambda i: start_download(b, i), lambda _i: read_loss(b))
    assert not any(rule == "PA206" for rule, *_ in told(b))


def test_a_wait_in_a_helper_called_in_between_counts() -> None:
    b = Builder(SOURCE)
    inner = torch_frame("torch/cuda/streams.py", "Event.synchronize")
    train(
        b,
        lambda i: start_download(b, i),
        lambda _i: b.wait("Event.synchronize", inner, b.at("event.record()")),
    )
    assert not any(rule == "PA206" for rule, *_ in told(b))


def test_the_wait_of_another_thread_is_none_of_this_one() -> None:
    b = Builder(SOURCE)
    train(b, lambda i: start_download(b, i), lambda _i: read_loss(b))
    thread = _columns("copies").index("thread")
    rows = b.rows["copies"]
    rows[:] = [
        row if row[thread - 1] == rows[0][thread - 1] else (*row[:thread], 2, *row[thread + 1 :])
        for row in rows
    ]
    assert ("PA206", 4, "error") in told(b)


def test_where_backward_waited_first_nothing_is_said() -> None:
    b = Builder(SOURCE)
    phase = _columns("waits").index("phase")

    def backward(_i: int) -> None:
        b.wait("nonzero", b.at("x.to(device)"))
        row = b.rows["waits"][-1]
        b.rows["waits"][-1] = (*row[:phase], int(Phase.BACKWARD), *row[phase + 1 :])

    train(b, lambda i: start_download(b, i), backward)
    assert not any(rule == "PA206" for rule, *_ in told(b))


def _columns(table: str) -> tuple[str, ...]:
    from placeaudit.store.schema import TABLES

    return TABLES[table].names


def test_a_wait_that_finishes_a_download_is_needed() -> None:
    for downloads, severity in ((True, "info"), (False, "warning")):
        b = Builder(SOURCE.replace("best = host.argmax()", "pass"))
        turn = [lambda i, b=b: start_download(b, i)] if downloads else []
        train(b, *turn, lambda _i, b=b: sync(b))
        assert ("PA205", 11, severity) in told(b)


def test_pinned_uploads_without_non_blocking() -> None:
    for pinned, non_blocking, rules in (
        (True, False, {"PA203"}),
        (True, True, set()),
        (False, False, {"PA202"}),
        (False, True, {"PA202"}),
    ):
        b = Builder(SOURCE)
        train(
            b,
            lambda i, b=b, p=pinned, n=non_blocking: b.copy(
                "h2d", b.at("x.to(device)"), content=noise(i, 1 << 17), pinned=p,
                non_blocking=n, waits=not (p and n),
            ),
        )  # fmt: skip
        assert {rule for rule, *_ in told(b)} == rules


def test_an_option_that_a_library_leaves_out_is_info_and_names_it() -> None:
    b = Builder(SOURCE)
    inner = torch_frame("accelerate/utils/operations.py", "send_to_device")
    train(
        b,
        lambda i: b.copy("h2d", inner, b.at("x.to(device)"), content=noise(i), pinned=True),
    )
    (found,) = [f for f in findings(b) if f.rule == "PA203"]
    assert (found.severity, found.library) == (Severity.INFO, "accelerate")


def upload(b: Builder, storage: int, i: int) -> None:
    b.copy("h2d", b.at("x.to(device)"), content=noise(i), pinned=True, storages=(storage, 500 + i))


@pytest.mark.parametrize(
    ("thread", "phase", "rule"),
    [
        (1, Phase.OTHER, ("PA207", 10, "warning")),
        (1, Phase.LOADING, ("PA207", 10, "info")),
        (2, Phase.OTHER, ("PA203", 3, "warning")),
    ],
)
def test_who_pins_decides(thread: int, phase: Phase, rule: tuple[str, int, str]) -> None:
    b = Builder(SOURCE)
    train(
        b,
        lambda i: b.pin(i, b.at("x.pin_memory()"), thread=thread, phase=int(phase)),
        lambda i: upload(b, i, i),
    )
    found = told(b)
    assert rule in found
    # The loader's pinning is worth a word, but the upload that waits all the same is worth more.
    assert (("PA203", 3, "warning") in found) is (rule[2] == "info" or rule[0] == "PA203")


def test_what_was_pinned_but_not_uploaded_by_this_thread_is_silent() -> None:
    b = Builder(SOURCE)
    train(b, lambda i: b.pin(i, b.at("x.pin_memory()")))
    assert told(b) == []


def test_an_index_goes_into_new_memory_and_a_value_does_not() -> None:
    for version, rule in ((0, "PA208"), (3, "PA202")):
        b = Builder(SOURCE.replace("table[row] = value", "table[row] = value  "))
        train(
            b,
            lambda i, b=b, v=version: b.copy(
                "h2d", b.at("table[row]"), content=noise(i), dtype="int64", versions=(0, v),
                storages=(i, 100 + i),
            ),
        )  # fmt: skip
        assert {found for found, *_ in told(b)} == {rule}


RETURNS = """def step(x):
    loss = model(x)
    return loss.item(), 1

for x in data:
    loss, n = step(x)
    print(loss)
"""


def test_what_a_caller_prints_is_to_be_returned_as_it_is() -> None:
    b = Builder(RETURNS)
    frames = b.at("loss.item()", "step"), b.at("step(x)", "<module>", 1)
    train(b, lambda _: b.copy("d2h", *frames, size=4, content=None))
    (finding,) = findings(b, simulated="")
    assert finding.fix == (
        "return `loss.detach()` and read it where it is printed (`print(loss)`), every N steps only"
    )


def test_an_index_that_came_down_before_is_a_round_trip() -> None:
    b = Builder(SOURCE)
    train(
        b,
        lambda i: b.copy("d2h", b.at("out.to"), content=noise(i), storages=(i, 100 + i)),
        lambda i: b.copy(
            "h2d", b.at("table[index]"), content=noise(i), storages=(100 + i, 300 + i),
            dtype="int64",
        ),
    )  # fmt: skip
    rules = {rule for rule, *_ in told(b)}
    assert "PA101" in rules
    assert "PA208" not in rules


def test_sizes_asked_for_by_a_library_are_info() -> None:
    b = Builder(SOURCE)
    inner = torch_frame("torchvision/ops/boxes.py", "batched_nms")
    train(b, lambda _i: b.wait("nonzero", inner, b.at("table[index]")))
    (found,) = findings(b)
    assert (found.rule, found.severity, found.library) == ("PA204", Severity.INFO, "torchvision")


def test_the_look_up_in_backward_is_counted_at_the_forward_line() -> None:
    b = Builder(SOURCE)
    backward = _columns("waits").index("backward")

    def look_up(_i: int) -> None:
        b.wait("nonzero", b.at("table[index]"))
        b.wait("nonzero", b.at("table[index]"))
        b.rows["waits"][-1] = (*b.rows["waits"][-1][:backward], 1)

    train(b, look_up)
    (found,) = findings(b)
    assert (found.rule, found.line, found.count) == ("PA204", 8, 2 * STEPS)
    assert "12 times of them in backward" in found.evidence[0].text


def state(b: Builder, device: str, shape: str = "4x4", name: str = "0.0.average") -> None:
    b.placement(
        "optimizer-state", name, device, b.at("optimizer.step()"), expected="cuda:0", shape=shape,
        owner="Adam",
    )  # fmt: skip


def test_only_the_last_placement_of_state_counts_and_scalars_do_not() -> None:
    b = Builder(SOURCE)
    state(b, "cpu", name="0.0.moved")
    state(b, "cuda:0", name="0.0.moved")
    state(b, "cpu", shape="", name="0.0.step")
    state(b, "cpu", shape="1", name="0.1.step")
    assert told(b) == []
    state(b, "cpu")
    (found,) = findings(b)
    assert (found.rule, found.file, found.line, found.count) == ("PA301", FILE, 12, 1)
    assert "`average`" in found.message


def test_a_split_leaf_is_told_from_layers_on_different_devices() -> None:
    b = Builder(SOURCE)
    for name, device in (("a.weight", "cuda:0"), ("b.weight", "cuda:1"), ("scale", "cuda:1")):
        b.placement("parameter", name, device, b.at("x.to(device)"))
    b.placement("buffer", "a.count", "cpu", b.at("x.to(device)"), shape="")
    # Another object of the same class, elsewhere as a whole.
    b.placement("parameter", "a.weight", "cpu", b.at("x.to(device)"), identity=2)
    assert told(b) == []
    b.placement("buffer", "b.mean", "cpu", b.at("x.to(device)"))
    (found,) = findings(b)
    assert (found.rule, found.severity, found.module) == ("PA303", Severity.INFO, "b")


def move(b: Builder, owner: int, direction: str, text: str, i: int) -> None:
    begin = b.now + 1
    b.copy(direction, b.at(text), content=noise(i))
    b.rows["spans"].append((b.string("model-move"), b.string("Net"), owner, begin, b.tick(), 1))


def test_the_first_move_of_each_module_is_its_setup() -> None:
    b = Builder(SOURCE)
    train(b, lambda i: move(b, i, "h2d", "x.to(device)", i))
    assert not any(rule == "PA305" for rule, *_ in told(b))
    b = Builder(SOURCE)
    train(b, lambda i: move(b, 1, "h2d", "x.to(device)", i))
    (found,) = [f for f in findings(b) if f.rule == "PA305"]
    assert (found.line, found.count) == (3, STEPS - 1)


def test_state_saved_between_steps() -> None:
    b = Builder(SOURCE)
    saving = torch_frame("torch/serialization.py", "save")
    train(b, lambda i: b.copy("d2h", saving, b.at("x.to(device)"), content=noise(i)))
    assert told(b) == [("PA403", 3, "warning")]


def test_memory_that_a_load_filled() -> None:
    for kind, rule in (("load", "PA307"), ("factory", "PA102")):
        b = Builder(SOURCE)
        birth = b.birth(7, b.at("out.to"), kind=kind)
        train(
            b,
            lambda _i, b=b, birth=birth: b.copy(
                "h2d", b.at("x.to(device)"), content=noise(1), storages=(7, 8), birth=birth
            ),
        )
        assert [found for found, *_ in told(b)] == [rule]


def test_the_device_to_load_to_is_named_by_names_of_the_loading_function() -> None:
    loading = "    state = torch.load(path)\n"
    for source, function, fix in (
        (SOURCE.replace("    for x", loading + "    for x"), "train", "map_location=device"),
        (SOURCE + "def restore():\n" + loading, "restore", "map_location='cuda:0'"),
    ):
        b = Builder(source)
        birth = b.birth(7, b.at("torch.load(path)", function), kind="load")
        train(
            b,
            lambda _i, b=b, birth=birth: b.copy(
                "h2d", b.at("x.to(device)"), content=noise(1), storages=(7, 8), birth=birth
            ),
        )
        (found,) = findings(b)
        assert found.fix == f"load it to where it is used: `torch.load(path, {fix})`"


def test_an_ignore_is_judged_by_the_rules_that_ran() -> None:
    b = Builder(SOURCE.replace("loss.item()", "loss.item()  # placeaudit: ignore[PA101,PA999]"))
    train(b, lambda _i: read_loss(b))
    lines = [f.message for f in findings(b) if f.rule == "PA904"]
    assert len(lines) == 2
    assert "PA101 found nothing" in lines[0]
    assert "no rule PA999" in lines[1]
    found = run_rules(audit(b), select=["PA2", "PA904"])
    assert [f.message for f in found if f.rule == "PA904"] == lines[1:]


def test_a_compiled_function_keeps_quiet_about_redundant_moves() -> None:
    for compiled in (False, True):
        b = Builder(SOURCE)
        if compiled:
            b.rows["notes"].append(("PA902", 1, "compiled", -1))
        train(
            b,
            lambda _i, b=b: read_loss(b),
            lambda i, b=b: b.copy(
                "h2d", b.at('out.to("cpu", non_blocking=True)'), content=noise(i)
            ),
            lambda i, b=b: b.copy("h2d", b.at("table[index]"), content=noise(i)),
        )
        # `x.to(device)` runs beside lines that were seen, but nobody knows what `device` is.
        assert 3 not in redundant(b)
        b.rows["sources"][:] = [(FILE, SOURCE.replace("x.to(device)", 'x.to("cuda")'))]
        assert (3 in redundant(b)) is not compiled


def redundant(b: Builder) -> set[int]:
    return {f.line for f in findings(b, ignore=()) if f.rule == "PA306"}
