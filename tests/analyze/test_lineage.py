"""Fates and origins on operation windows written by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from placeaudit.analyze.lineage import Ending, Lineage, itemsize
from placeaudit.analyze.operations import list_values
from placeaudit.model import Certainty, Severity
from placeaudit.rules.facts import Facts
from tests.analyze.builder import Builder, audit, findings, noise, record

READ, VIEW, WRITE, OVERWRITE = range(4)
COMPUTE, VIEWED, COPY, EXPORT = range(4)

SOURCE = """def train():
    for x in data:
        up = x.to(device)
        down = out.cpu()
        back = result.to(device)
        loss.backward()
"""

Use = tuple[int, int, str, str, int]


class Window(Builder):
    """A builder of the tables of the operation window as well."""

    def operation(
        self,
        name: str,
        uses: Sequence[Use] = (),
        made: Sequence[tuple[int, int, str, str]] = (),
        *,
        kind: int = COMPUTE,
        copy_ns: int = -1,
    ) -> None:
        """One operation; a use is (storage, bytes, device, dtype, access)."""
        text = self.string
        self.rows["operations"].append(
            (
                self.tick(), 1000, text(name), 1, 0, -1, kind,
                [u[0] for u in uses], [u[1] for u in uses], [text(u[2]) for u in uses],
                [text(u[3]) for u in uses], [u[4] for u in uses],
                [m[0] for m in made], [m[1] for m in made], [text(m[2]) for m in made],
                [text(m[3]) for m in made], copy_ns,
            )
        )  # fmt: skip

    def up(
        self,
        source: int,
        target: int,
        size: int = 8192,
        dtype: str = "float32",
        text: str = "x.to(device)",
    ) -> None:
        """An upload that both the recorder and the window saw."""
        self.copy(
            "h2d",
            self.at(text),
            content=noise(self.now, size),
            storages=(source, target),
            dtype=dtype,
        )
        copied = self.now
        uses = [(target, size, "cuda:0", dtype, OVERWRITE), (source, size, "cpu", dtype, READ)]
        self.operation("copy_", uses, kind=COPY, copy_ns=copied)

    def down(self, source: int, target: int, size: int = 8192, dtype: str = "float32") -> None:
        """A download that both saw."""
        self.copy(
            "d2h",
            self.at("out.cpu()"),
            content=noise(self.now, size),
            storages=(source, target),
            dtype=dtype,
        )
        copied = self.now
        uses = [(target, size, "cpu", dtype, OVERWRITE), (source, size, "cuda:0", dtype, READ)]
        self.operation("copy_", uses, kind=COPY, copy_ns=copied)

    def storage(self, number: int, *, died: bool = True, same_as: int = -1) -> None:
        """What became of a storage."""
        self.rows["storages"].append((number, same_as, 8192, 0, self.tick() if died else -1))

    def window(self, others: int = 0) -> None:
        """The window is over."""
        self.rows["windows"].append((0, self.now, self.string("step 2"), False, 1, others))


def codes_of(builder: Window) -> list[tuple[str, int, str]]:
    return [
        (f.rule, f.line, f.severity.value)
        for f in findings(builder)
        if f.rule in {"PA104", "PA105", "PA107", "PA111"}
    ]


def run(*turn: object, steps: int = 6, others: int = 0) -> Window:
    """A window over all ``steps`` steps, each calling every ``turn``."""
    b = Window(SOURCE)
    for i in range(steps):
        for event in turn:
            event(b, 100 * (i + 1))  # type: ignore[operator]
        b.step()
    b.window(others)
    return b


def test_list_columns_are_flattened_by_row_and_by_time() -> None:
    b = Window(SOURCE)
    b.operation("mm", [(1, 4, "cpu", "float32", READ), (2, 4, "cpu", "float32", READ)])
    b.operation("relu", [(3, 4, "cpu", "float32", READ)], [(4, 4, "cpu", "float32")])
    late, early = b.rows["operations"]
    b.rows["operations"] = [early, late]  # as written, not as it happened
    lengths, values = list_values(record(b).processes[0].tables["operations"], "inputs")
    assert (lengths.tolist(), values.tolist()) == ([1, 2], [3, 1, 2])
    found = audit(b).operations
    assert found.first_use.tolist() == [0, 2, 3]
    assert np.diff(found.use_storage).tolist() == [1, 1]
    assert found.first_made.tolist() == [0, 0, 1]


def test_storages_of_two_processes_differ() -> None:
    builders = []
    for name in ("p1-0", "p2-0"):
        b = Window(SOURCE, name=name)
        b.up(1, 2)
        b.storage(2)
        b.window()
        builders.append(b)
    found = audit(*builders)
    assert len(set(found.operations.use_storage.tolist())) == 4
    assert found.operations.copy.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("after", "ending", "unread"),
    [
        ("read", Ending.DIED, False),
        ("view", Ending.DIED, True),
        ("overwrite", Ending.OVERWRITTEN, True),
        ("half", Ending.DIED, True),
        ("export", Ending.DIED, False),
        ("alive", Ending.ALIVE, True),
    ],
)
def test_what_became_of_a_copy(after: str, ending: Ending, unread: bool) -> None:
    b = Window(SOURCE)
    b.up(1, 2)
    cuda = ("cuda:0", "float32")
    if after == "read":
        b.operation("relu", [(2, 8192, *cuda, READ)])
    elif after == "view":
        b.operation("select", [(2, 8192, *cuda, VIEW)], kind=VIEWED)
    elif after == "overwrite":
        b.operation("fill_", [(2, 8192, *cuda, OVERWRITE)])
        b.operation("relu", [(2, 8192, *cuda, READ)])  # of what was filled in
    elif after == "half":
        b.operation("fill_", [(2, 4096, *cuda, OVERWRITE)])
    elif after == "export":
        b.operation("export", [(2, -1, *cuda, READ)], kind=EXPORT)
    b.storage(2, died=after != "alive")
    b.window()
    (fate,) = Lineage(audit(b)).fates.values()
    assert (fate.ending, fate.unread) == (ending, unread)


def test_an_index_may_be_read_unseen() -> None:
    for dtype, unread in (("int64", False), ("float32", True)):
        b = Window(SOURCE)
        b.up(1, 2, dtype=dtype)
        b.operation("index", [(9, 8192, "cuda:0", "float32", READ)])
        b.storage(2)
        b.window()
        (fate,) = Lineage(audit(b)).fates.values()
        assert fate.unread is unread


def test_unused_uploads_are_proven_and_nothing_else_is_said_of_them() -> None:
    def turn(b: Window, n: int) -> None:
        b.up(n, n + 1, size=1 << 17)
        b.storage(n + 1)

    b = run(turn)
    (found,) = [f for f in findings(b) if f.line == 3]
    assert (found.rule, found.severity, found.certainty) == (
        "PA104", Severity.WARNING, Certainty.PROVEN,
    )  # fmt: skip


@pytest.mark.parametrize(("alive", "flagged"), [(600, True), (300, False)])
def test_the_last_copy_may_live_on_but_no_other(alive: int, flagged: bool) -> None:
    def turn(b: Window, n: int) -> None:
        b.up(n, n + 1)
        b.storage(n + 1, died=n != alive)

    assert (("PA104", 3, "warning") in codes_of(run(turn))) is flagged


def test_other_threads_prove_nothing() -> None:
    def turn(b: Window, n: int) -> None:
        b.up(n, n + 1)
        b.storage(n + 1)

    assert codes_of(run(turn, others=1)) == []


def test_one_reader_is_enough() -> None:
    def turn(b: Window, n: int) -> None:
        b.up(n, n + 1)
        if n == 300:
            b.operation("relu", [(n + 1, 8192, "cuda:0", "float32", READ)])
        b.storage(n + 1)

    assert codes_of(run(turn)) == []


def test_a_small_part_is_oversized_and_a_half_is_not() -> None:
    for taken, flagged in ((1024, True), (4096, False)):

        def turn(b: Window, n: int, taken: int = taken) -> None:
            b.down(n, n + 1)
            b.operation("add", [(n + 1, taken, "cpu", "float32", READ)])
            b.storage(n + 1)

        assert (("PA105", 4, "warning") in codes_of(run(turn))) is flagged


def test_a_comparison_is_no_reduction() -> None:
    for name, flagged in (("argmax", True), ("eq", False)):

        def turn(b: Window, n: int, name: str = name) -> None:
            b.down(n, n + 1, dtype="int64")
            made = [(n + 2, 1024, "cpu", "bool")]
            b.operation(name, [(n + 1, 8192, "cpu", "int64", READ)], made)
            b.storage(n + 1)

        assert (("PA105", 4, "warning") in codes_of(run(turn))) is flagged


def test_widened_on_the_host_through_arithmetic_with_numbers() -> None:
    def turn(b: Window, n: int) -> None:
        b.operation("_to_copy", [(7, 2048, "cpu", "uint8", READ)], [(n, 8192, "cpu", "float32")])
        number = (8, 8, "cpu", "float64", READ)
        b.operation(
            "div", [(n, 8192, "cpu", "float32", READ), number], [(n + 1, 8192, "cpu", "float32")]
        )
        b.up(n + 1, n + 2)
        b.operation("mm", [(n + 2, 8192, "cuda:0", "float32", READ)])
        b.storage(n + 2)

    (found,) = [f for f in findings(run(turn)) if f.rule == "PA107"]
    assert "6 KiB" in found.message
    assert "`div`" in found.fix


@pytest.mark.parametrize("trap", ["mixed", "read", "same"])
def test_what_the_narrow_tensor_does_not_say(trap: str) -> None:
    def turn(b: Window, n: int) -> None:
        narrow = "float32" if trap == "same" else "uint8"
        size = 8192 if trap == "same" else 2048
        b.operation("_to_copy", [(7, size, "cpu", narrow, READ)], [(n, 8192, "cpu", "float32")])
        if trap == "mixed":
            other = (9, 8192, "cpu", "float32", READ)
            b.operation("add_", [(n, 8192, "cpu", "float32", WRITE), other])
        if trap == "read":
            b.operation("mean", [(n, 8192, "cpu", "float32", READ)], [(n + 5, 4, "cpu", "float32")])
        b.up(n, n + 2)
        b.operation("mm", [(n + 2, 8192, "cuda:0", "float32", READ)])
        b.storage(n + 2)

    assert codes_of(run(turn)) == []


def test_a_detour_names_its_operations_and_its_download() -> None:
    def turn(b: Window, n: int) -> None:
        b.down(n, n + 1)
        b.operation(
            "sort", [(n + 1, 8192, "cpu", "float32", READ)], [(n + 2, 8192, "cpu", "float32")]
        )
        b.up(n + 2, n + 3, text="result.to(device)")
        b.operation("mm", [(n + 3, 8192, "cuda:0", "float32", READ)])
        b.storage(n + 1)
        b.storage(n + 3)

    (found,) = [f for f in findings(run(turn)) if f.rule == "PA111"]
    assert (found.line, found.severity) == (5, Severity.WARNING)
    assert [frame.line for _, frame in found.related] == [4]
    assert "`sort`" in found.message


@pytest.mark.parametrize(("name", "mixed"), [("histogram", False), ("add", True)])
def test_a_detour_that_needs_the_host_is_info(name: str, mixed: bool) -> None:
    def turn(b: Window, n: int) -> None:
        b.down(n, n + 1)
        uses = [(n + 1, 8192, "cpu", "float32", READ)]
        if mixed:
            uses.append((9, 8192, "cpu", "float32", READ))
        b.operation(name, uses, [(n + 2, 8192, "cpu", "float32")])
        b.up(n + 2, n + 3, text="result.to(device)")
        b.operation("mm", [(n + 3, 8192, "cuda:0", "float32", READ)])
        b.storage(n + 3)

    assert ("PA111", 5, "info") in codes_of(run(turn))


def test_memory_of_an_array_over_a_download_is_one_memory() -> None:
    b = Window(SOURCE)
    b.down(1, 2)
    b.operation("add_", [(2, 8192, "cpu", "float32", WRITE)])
    b.up(2, 4, text="result.to(device)")
    b.storage(2, died=False)
    b.storage(3, same_as=2)
    b.window()
    facts = Facts(audit(b))
    (origins,) = facts.lineage.origins
    assert (origins.downloads, origins.operations, origins.mixed) == ((0,), ("add_",), False)


def test_sizes_of_elements() -> None:
    assert [itemsize(t) for t in ("float64", "bfloat16", "float8_e4m3fn", "bool", "custom")] == [
        8, 2, 1, 1, 0,
    ]  # fmt: skip
