"""declearn's own vectors and optimizer plug-ins: what is said of them, that it is undone."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import placeaudit
from placeaudit.analyze.run import analyze
from placeaudit.record.vectors import REGISTRY
from placeaudit.rules.registry import run_rules
from placeaudit.store.reader import read_run

pytest.importorskip("torch")
pytest.importorskip("declearn", reason="declearn, an optional extra, is not installed")


@pytest.fixture
def declearn() -> Any:
    """The parts that the tests use, imported before any trace."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = importlib.import_module("declearn.model.torch")
        arrays = importlib.import_module("declearn.model.sklearn")
        optimizer = importlib.import_module("declearn.optimizer")
        aggregator = importlib.import_module("declearn.aggregator")
        utils = importlib.import_module("declearn.utils")
        serialize = importlib.import_module("declearn.utils.serialize")
    before = utils.get_device_policy()
    yield SimpleNamespace(
        TorchVector=model.TorchVector, NumpyVector=arrays.NumpyVector, optimizer=optimizer,
        aggregator=aggregator, utils=utils, serialize=serialize,
    )  # fmt: skip
    utils.set_device_policy(gpu=before.gpu, idx=before.idx)


def vector(declearn: Any, where: str) -> Any:
    """Two tensors, of 1024 and 256 bytes."""
    import torch

    return declearn.TorchVector({"w": torch.ones(64, 4).to(where), "b": torch.ones(64).to(where)})


def strays(run: Any) -> list[Any]:
    return [finding for finding in run.findings if finding.severity.value != "info"]


def rows(run: Any, *names: str) -> list[tuple[Any, ...]]:
    """Columns of ``vectors`` as text or number."""
    (process,) = read_run(Path(run.path)).processes
    table = process.tables["vectors"]
    strings = process.tables["strings"].column("text").to_pylist()
    numbers = {"phase", "apart", "left_bytes", "right_bytes"}
    return [
        tuple(row[n] if n in numbers else strings[row[n]] if row[n] >= 0 else "" for n in names)
        for row in table.to_pylist()
    ]


def test_the_left_operand_decides_in_both_orders(declearn: Any) -> None:
    import torch

    with placeaudit.simulate("cuda"), placeaudit.trace() as run:
        host = declearn.TorchVector({"w": torch.ones(64, 4)})
        device = declearn.TorchVector({"w": torch.ones(64, 4, device="cuda")})
        for _ in range(6):
            sums = host + device, device - host, device.minimum(host)
            placeaudit.step()
    assert [vector.coefs["w"].device.type for vector in sums] == ["cpu", "cuda", "cuda"]
    found = [finding for finding in run.findings if finding.rule == "PA302"]
    # One line: a finding for each expression.
    assert sorted((f.src, f.dst, f.count, f.bytes) for f in found) == [
        ("cpu", "cuda:0", 6, 6 * 1024),
        ("cpu", "cuda:0", 6, 6 * 1024),
        ("cuda:0", "cpu", 6, 6 * 1024),
    ]
    assert {f.severity.value for f in run.findings} == {"warning"}
    assert {f.rule for f in run.findings} == {"PA302"}
    assert {Path(f.file).name for f in found} == {"test_vectors.py"}
    (add,) = (f for f in found if "`add`" in f.message)
    assert "1 copy of 1 KiB each time, in every step" in add.message
    assert "the result lies on cpu, where the left operand does" in add.message
    # A plain operand: nobody's state is blamed, and the line that made it is named.
    assert add.fix.startswith("move the operand on cpu to cuda:0 once, where it is made or loaded")
    assert "set_state" not in add.fix
    assert [text for text, _ in add.related] == ["created here"]
    # `minimum` has been recorded in the other order.
    orders = {
        f.message.split("`")[1]: [e.text for e in f.evidence if e.kind == "order"] for f in found
    }
    assert orders["sub"] == []  # b - a is not a - b
    assert orders["add"][0].startswith("the other order was recorded too") or (
        orders["add"][0].startswith("not recorded but computed")
    )


#: By plug-in: how it is made, and its states that meet gradients.
FAMILIES: dict[str, tuple[Callable[[Any], Any], set[str]]] = {
    "momentum": (lambda m: m.MomentumModule(), {"MomentumModule: `velocity`"}),
    "ewma": (lambda m: m.EWMAModule(), {"EWMAModule: `state`"}),
    "adagrad": (lambda m: m.AdaGradModule(), {"AdaGradModule: `state`"}),
    "rmsprop": (
        lambda m: m.RMSPropModule(), {"RMSPropModule: `ewma.state`", "RMSPropModule.ewma: `state`"},
    ),
    "adam": (
        lambda m: m.AdamModule(), {"AdamModule.ewma_1: `state`", "AdamModule.ewma_2: `state`"},
    ),
    "yogi": (
        lambda m: m.YogiModule(), {"YogiModule.ewma_1: `state`", "YogiModule.ewma_2: `state`"},
    ),
    "scaffold": (lambda m: m.ScaffoldClientModule(), {"ScaffoldClientModule: `delta`"}),
}  # fmt: skip


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_state_of_a_plugin_that_was_restored(declearn: Any, family: str) -> None:
    make, expected = FAMILIES[family]
    modules = declearn.optimizer.modules
    found = {}
    for gpu in (False, True):
        with placeaudit.simulate("cuda"), placeaudit.trace() as run:
            optimizer = declearn.optimizer.Optimizer(lrate=1.0, modules=[make(modules)])
            gradients = vector(declearn, "cuda")
            optimizer.compute_updates_from_gradients(None, gradients)
            if family == "scaffold":
                sent = optimizer.collect_aux_var()["scaffold"].delta
                optimizer.process_aux_var({"scaffold": modules.ScaffoldAuxVar(state=sent)})
            saved = declearn.serialize.msgpack_serialize(optimizer.get_state())
            declearn.utils.set_device_policy(gpu=gpu)
            state = declearn.serialize.msgpack_deserialize(saved)
            optimizer.set_state(state)
            for _ in range(6):
                optimizer.compute_updates_from_gradients(None, gradients)
                placeaudit.step()
        found[gpu] = strays(run)
    assert found[True] == []  # the policy named the device before anything was restored
    by_rule = {
        rule: [f for f in found[False] if f.rule == rule] for rule in ("PA301", "PA302", "PA307")
    }
    assert {f.rule for f in found[False]} == set(by_rule)
    assert expected == {
        f"{f.message.partition(': ')[0]}: {f.message.partition('its state ')[2].partition(')')[0]}"
        for f in by_rule["PA302"]
    }
    assert all(f.bytes == 6 * 1280 or f.count == 12 for f in by_rule["PA302"])
    assert all("1.25 KiB" in f.message for f in by_rule["PA302"])
    for f in (*by_rule["PA302"], *by_rule["PA301"]):
        assert [text for text, _ in f.related] == ["deserialized here", "restored here"]
        assert "`set_state`" in f.fix
    (lost,) = by_rule["PA307"]
    assert lost.line == by_rule["PA302"][0].related[0][1].line
    assert "meets vectors on cuda:0" in lost.message


def test_a_regularizer_of_the_program_and_its_own_class_of_plugin(declearn: Any) -> None:
    with placeaudit.simulate("cuda"), placeaudit.trace() as run:
        # Defined while recording: declearn was imported long before.
        class Drift(declearn.optimizer.modules.OptiModule, register=False):  # type: ignore[call-arg]
            name = "test-drift"

            def __init__(self) -> None:
                self.history = {"first": vector(declearn, "cpu")}

            def run(self, gradients: Any) -> Any:
                return gradients - self.history["first"]

        class Pull(declearn.optimizer.regularizers.Regularizer, register=False):  # type: ignore[call-arg]
            name = "test-pull"

            def run(self, gradients: Any, weights: Any) -> Any:
                return gradients + self.alpha * weights

        optimizer = declearn.optimizer.Optimizer(1.0, modules=[Drift()], regularizers=[Pull(0.1)])
        weights = vector(declearn, "cpu")
        model = SimpleNamespace(get_weights=lambda trainable: weights)
        gradients = vector(declearn, "cuda")
        for _ in range(6):
            optimizer.compute_updates_from_gradients(model, gradients)
            placeaudit.step()
    found = {f.message.partition(":")[0]: f for f in strays(run) if f.rule == "PA302"}
    assert set(found) == {"Drift", "Pull"}
    assert "(its state `history['first']`)" in found["Drift"].message
    assert "bring the state of Drift to cuda:0" in found["Drift"].fix
    # No state of the regularizer: the weights that it was given are astray.
    assert found["Pull"].fix.startswith("give Pull vectors on cuda:0")
    (state,) = (f for f in strays(run) if f.rule == "PA301")
    assert state.message.startswith("Drift keeps `history['first']`")
    assert "1.25 KiB cross a step" in state.message
    # The phase is the optimizer's, not "other".
    assert {f.phase for f in found.values()} == {"optimizer"}


def test_aggregators_take_what_peers_sent(declearn: Any) -> None:
    with placeaudit.simulate("cuda"), placeaudit.trace() as run:
        aggregator = declearn.aggregator.AveragingAggregator()
        near, far = vector(declearn, "cuda"), vector(declearn, "cpu")
        for _ in range(6):
            shared = [aggregator.prepare_for_sharing(v, n_steps=2) for v in (near, far)]
            mean = aggregator.finalize_updates(shared[0] + shared[1])
            placeaudit.step()
    assert mean.coefs["w"].tolist() == [[1.0] * 4] * 64
    (found,) = strays(run)
    assert (found.rule, found.count) == ("PA302", 6)
    assert found.message.startswith("ModelUpdates: `add` of TorchVector")
    assert "bring what every peer sends to cuda:0 before ModelUpdates combines it" in found.fix


def test_every_operation_of_a_vector(declearn: Any) -> None:
    with placeaudit.simulate("cuda"), placeaudit.trace() as run:
        declearn.utils.set_device_policy(gpu=False)
        near, far = vector(declearn, "cuda"), vector(declearn, "cpu")
        assert near == far
        values = (near / far, near * far, near**far, near.maximum(far), near - far)
        flat, specs = near.flatten()
        back = declearn.TorchVector.unflatten(flat, specs)
        unpacked = declearn.TorchVector.unpack(near.pack())
        text = declearn.serialize.json_deserialize(declearn.serialize.json_serialize(near))
        host = near.apply_func(lambda tensor: tensor.cpu())
        near.sign(), near.sum(), near * 2.0, 1.0 - near
        arrays = declearn.NumpyVector({k: t.numpy() for k, t in far.coefs.items()})
        mixed = near + arrays
        assert (arrays + arrays).coefs["b"].tolist() == [2.0] * 64
        summed = sum([near, near]) + unpacked
    assert {v.coefs["w"].device.type for v in (*values, mixed, summed)} == {"cuda"}
    assert {v.coefs["w"].device.type for v in (back, unpacked, text, host)} == {"cpu"}
    columns = "operation", "left", "right", "result", "apart", "right_origin"
    device, cpu = "cuda:0", "cpu"
    arithmetic = ("truediv", "mul", "pow", "maximum", "sub")
    assert rows(run, *columns) == [
        ("eq", device, cpu, "", 2, "created"),
        *((o, device, cpu, device, 2, "created") for o in arithmetic),
        ("flatten", device, "", cpu, 0, ""),
        ("unflatten", "", "", cpu, 0, ""),
        ("pack", device, "", cpu, 0, ""),
        ("unpack", "", "", cpu, 0, ""),
        ("pack", device, "", cpu, 0, ""),
        ("unpack", "", "", cpu, 0, ""),
        ("apply_func", device, "", cpu, 0, ""),
        ("add", device, cpu, device, 2, "created"),
        ("add", cpu, cpu, cpu, 0, "created"),
        ("add", device, device, device, 0, "created"),
        ("add", device, cpu, device, 2, "deserialized"),
    ]  # fmt: skip


def test_copies_have_one_finding(declearn: Any) -> None:
    """What comes back from the host is part of the finding on what was drawn there."""
    import torch

    with placeaudit.simulate("cuda"), placeaudit.trace() as run:
        velocity = declearn.TorchVector({"w": torch.zeros(64, 4)})
        weights = torch.zeros(64, 4, device="cuda")
        for _ in range(8):
            gradients = declearn.TorchVector({"w": torch.ones(64, 4, device="cuda")})
            velocity = velocity * 0.5 + gradients
            weights += velocity.coefs["w"].to("cuda")
            placeaudit.step()
    assert [(f.rule, f.severity.value) for f in run.findings] == [("PA302", "warning")]
    (found,) = run.findings
    assert "uploads what came of it" in found.message
    assert [text for text, _ in found.related] == ["created here", "uploaded again here"]
    # Without PA302 the same copies are the other rules'.
    others = run_rules(analyze(read_run(Path(run.path))), ignore=["PA302"])
    assert "PA111" in {f.rule for f in others}


FORKED = """
import os

import torch
from declearn.model.torch import TorchVector

host = TorchVector({"w": torch.ones(64, 4)})
child = os.fork()  # before the device is used: CUDA does not survive a fork
near = TorchVector({"w": torch.ones(64, 4, device="cuda")})
for _ in range(4):
    _ = near + host if child == 0 else host - near
if child:
    assert os.waitpid(child, 0)[1] == 0
"""


def test_a_forked_process_records_its_own(sandbox: Any) -> None:
    program = sandbox.path / "forked.py"
    program.write_text(FORKED)
    done = sandbox.placeaudit("trace", "-q", "--simulate", "cuda", "-o", "run", program)
    assert done.returncode == 0, done.stderr
    run = placeaudit.load(sandbox.path / "run")
    found = {f.message.split("`")[1]: f for f in run.findings if f.rule == "PA302"}
    assert set(found) == {"add", "sub"}
    # What the parent has made has no place in the child's record.
    assert [text for text, _ in found["sub"].related] == ["created here"]
    assert [text for text, _ in found["add"].related] == []


def test_methods_are_put_back(declearn: Any) -> None:
    modules = declearn.optimizer.modules
    base = importlib.import_module("declearn.utils.serialize._base")
    classes = (
        declearn.TorchVector, modules.MomentumModule, modules.ScaffoldClientModule,
        modules.OptiModule, declearn.optimizer.Optimizer, declearn.aggregator.AveragingAggregator,
        base._SERIAL_REGISTRY["json"][declearn.TorchVector],
    )  # fmt: skip
    before = [dict(vars(cls)) for cls in classes]
    with placeaudit.trace():
        assert all(dict(vars(cls)) != was for cls, was in zip(classes, before, strict=True))
    assert [dict(vars(cls)) for cls in classes] == before
    # The session's own knowledge ends with it.
    assert REGISTRY.of(vector(declearn, "cpu")) is None
