"""PA1xx in TensorFlow: the same evidence as in PyTorch, advice in TensorFlow's words.

What each class says in its docstring is what ``placeaudit explain`` adds to the rule's own.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import Final

import numpy as np

from placeaudit.analyze.audit import SmallInts
from placeaudit.analyze.callsite import upload_at
from placeaudit.analyze.host_arrays import EQUIVALENTS
from placeaudit.model import Finding
from placeaudit.rules.facts import Facts, Group, Rows
from placeaudit.rules.transfers.dataset_reupload import DatasetReupload, Period
from placeaudit.rules.transfers.duplicate_download import DuplicateDownload
from placeaudit.rules.transfers.duplicate_upload import Duplicates, DuplicateUpload
from placeaudit.rules.transfers.host_bounce import HostBounce, by_dlpack
from placeaudit.rules.transfers.host_created import HostCreated, HostMade
from placeaudit.rules.transfers.oversized_copy import Oversized, OversizedCopy
from placeaudit.rules.transfers.round_trip import RoundTrip, Trips
from placeaudit.rules.transfers.small_copies import Execution, SmallCopies

__all__ = [
    "TensorflowDatasetReupload",
    "TensorflowDuplicateDownload",
    "TensorflowDuplicateUpload",
    "TensorflowHostBounce",
    "TensorflowHostCreated",
    "TensorflowOversizedCopy",
    "TensorflowRoundTrip",
    "TensorflowSmallCopies",
]

#: How a copy of a session's graph is called.
_SESSION: Final = "_Send"
_WEIGHTS: Final = "set_weights"


def _called(facts: Facts, group: Group) -> str:
    """Name of the method or function that the line calls, "" where it calls none."""
    call = facts.call(group.index)
    func = call.node.func if call is not None and isinstance(call.node, ast.Call) else None
    return func.attr if isinstance(func, ast.Attribute) else ""


def _downloaded_at(found: Finding) -> str:
    return f" at line {found.related[0][1].line}" if found.related else ""


class TensorflowRoundTrip(RoundTrip):
    """Values that ``.numpy()`` or ``predict()`` brought to the host go back unchanged.

    Keep the tensor: an operation takes it as it is, and ``model(x, training=False)`` returns one
    where ``model.predict(x)`` returns an array.  What a ``Session`` fetches only to feed it again
    belongs in a variable of its graph.  Of weights, ``target.assign(source)`` variable by
    variable stays on the device, where ``set_weights(get_weights())`` does not.
    """

    def _finding(self, facts: Facts, group: Group, trips: Trips) -> Finding:
        found = super()._finding(facts, group, trips)
        device = found.dst
        first = int(facts.audit.copies.operation[group.rows[0]])
        if facts.audit.text(first) == _SESSION:
            fix = (
                "keep it in a variable of the graph, which the next run finds where it is "
                "(`v.assign(…)` among the fetches' operations), and fetch it when the host needs it"
            )
        elif _called(facts, group) == _WEIGHTS:
            fix = (
                "copy variable by variable, which stays on the device: "
                "`for mine, other in zip(target.variables, source.variables): mine.assign(other)`"
            )
        else:
            fix = (
                f"use the tensor itself: drop the download{_downloaded_at(found)} (for "
                f"`model.predict(x)` call `model(x, training=False)`) and keep it on {device}"
            )
        return replace(found, fix=fix)


class TensorflowDuplicateUpload(DuplicateUpload):
    """An array that an operation or ``tf.constant`` uploads again in each step.

    TensorFlow makes a new tensor of a NumPy array each time an operation takes it.  Make one before
    the loop, ``weights = tf.constant(weights)``, or a ``tf.Variable`` where it changes.
    """

    def _finding(self, facts: Facts, group: Group, duplicates: Duplicates) -> Finding:
        found = super()._finding(facts, group, duplicates)
        if found.library:
            return found
        call = facts.call(group.index)
        upload = upload_at(call) if call else None
        if call is None or upload is None:
            fix = (
                "make a tensor of it once, before the loop, with `tf.constant(…)`: operations take "
                "that where they take the array"
            )
        else:
            subject = call.file.quote(upload.subject)
            fix = f"make the tensor once, before the loop: `tf.constant({subject})`, and use that"
        return replace(found, fix=fix)


class TensorflowHostCreated(HostCreated):
    """An array that NumPy makes, or a list of numbers, only to be uploaded.

    ``tf.random.normal``, ``tf.zeros``, ``tf.range`` and their kin make it on the device.  Seen is
    what the source says: ``np.random.normal(…)``, perhaps with arithmetic in between, in the
    uploading expression, its function, or a function of the same file that returns it.
    """

    def _finding(self, facts: Facts, made: HostMade) -> Finding:
        found = super()._finding(facts, made)
        origin = made.origin
        name = origin.factory
        where = f" at line {origin.node.lineno}" if origin.node is not None else ""
        shown = name.replace("numpy.", "np.").replace("tensorflow.", "tf.")
        if origin.constant:
            fix = "the numbers never change: make the tensor once, before the loop"
        elif name in EQUIVALENTS:
            better = EQUIVALENTS[name]
            call = better if better.endswith(")") else f"{better}(…)"
            fix = f"create it on the device{where}: `{call}` instead of `{shown}`"
        else:
            fix = f"drop the `tf.device` scope of the host around `{shown}`{where}"
        if "random" in name:
            fix += (
                " (TensorFlow has generators of its own: the random stream changes, so seeded runs "
                "give other numbers)"
            )
        return replace(found, message=found.message.replace(name, shown, 1), fix=fix)


class TensorflowOversizedCopy(OversizedCopy):
    """An array downloaded whole of which NumPy keeps a slice or a reduction.

    ``tf.argmax(logits, axis=1).numpy()`` brings the classes, ``logits.numpy().argmax(axis=1)`` all
    logits.
    """

    def _finding(self, facts: Facts, found: Oversized) -> Finding:
        made = super()._finding(facts, found)
        part = found.by.strip("`")
        how = f"index the tensor, `[{part.strip('[]')}]`" if part.startswith("[") else (
            f"reduce the tensor, `tf.{_reduction(part)}(…)`"
        )  # fmt: skip
        return replace(made, fix=f"{how}, and call `.numpy()` on what is left")


def _reduction(part: str) -> str:
    """TensorFlow's name of an array's method: ``.mean(axis=1)`` is ``reduce_mean``."""
    name = part.lstrip(".").partition("(")[0]
    return name if name.startswith("arg") else f"reduce_{name}"


class TensorflowSmallCopies(SmallCopies):
    """Tensors read or made one by one in a loop: ``[t.numpy() for t in tensors]``.

    ``tf.stack(tensors).numpy()`` is one read, ``tf.constant(np.stack(arrays))`` goes up once, and
    ``tf.unstack(tf.constant(numbers, tf.float32))`` gives numbers as tensors of the device.
    Averages of weights can stay in a ``tf.Variable`` for each of them.
    """

    def _finding(self, facts: Facts, executions: list[Execution]) -> Finding:
        found = super()._finding(facts, executions)
        if found.src == "cpu":
            rows = np.concatenate([made.group.rows for made in executions])
            fix = _together(facts, rows)
        else:
            fix = (
                "read them at once: `tf.stack(tensors).numpy()`, or of unlike shapes "
                "`tf.concat([tf.reshape(t, [-1]) for t in tensors], 0).numpy()`; what is only "
                "averaged or kept can stay on the device, in a `tf.Variable`"
            )
        return replace(found, fix=fix)


def _together(facts: Facts, rows: Rows) -> str:
    """How small uploads become one; numbers say their type, which is not NumPy's for them."""
    audit, copies = facts.audit, facts.audit.copies
    shapes = {audit.text(int(shape)) for shape in np.unique(copies.shape[rows])}
    if shapes == {""}:
        kind = audit.text(int(copies.dst_dtype[rows[0]]))
        return (
            "make one tensor of the numbers before the loop and go over its parts, which are on "
            f"the device: `for number in tf.unstack(tf.constant(numbers, tf.{kind}))`"
        )
    if len(shapes) > 1:
        return (
            "pack them on the host and upload once: `tf.constant(np.concatenate([a.ravel() for a "
            "in arrays]))`, then `tf.split` and `tf.reshape` on the device"
        )
    return "put them together on the host and upload once: `tf.constant(np.stack(arrays))`"


class TensorflowHostBounce(HostBounce):
    """``.numpy()`` of one GPU's tensor goes up to another GPU.

    An operation under ``tf.device("/GPU:1")`` takes a tensor of ``GPU:0`` as it is: TensorFlow
    copies from device to device.
    """

    def _finding(self, facts: Facts, group: Group, source: SmallInts) -> Finding:
        found = super()._finding(facts, group, source)
        first = facts.audit.text(int(facts.audit.copies.src_device[source[0]]))
        fix = by_dlpack(first, found.dst, _downloaded_at(found)) or (
            f"use the tensor itself under `tf.device`: drop the download{_downloaded_at(found)}, "
            f"and TensorFlow copies to {found.dst} from device to device"
        )
        return replace(found, fix=fix)


class TensorflowDuplicateDownload(DuplicateDownload):
    """``.numpy()`` called twice on one tensor, or on a variable that was not written in between.

    Each call is a download: keep the array.
    """

    def _finding(self, facts: Facts, group: Group, earlier: SmallInts) -> Finding:
        found = super()._finding(facts, group, earlier)
        where = _downloaded_at(found)
        return replace(
            found,
            fix=f"keep the array of the download{where} and use it here"
            if where
            else "call `.numpy()` once and keep the array until the tensor changes",
        )


class TensorflowDatasetReupload(DatasetReupload):
    """The same batches of arrays made into tensors again in each epoch.

    ``batches = [tf.constant(b) for b in batches]`` once, or a ``tf.data.Dataset`` of slices of a
    tensor that lives on the device.
    """

    def _finding(self, facts: Facts, periods: list[Period]) -> Finding:
        found = super()._finding(facts, periods)
        return replace(
            found,
            fix=(
                "make the tensors once, before the first epoch: "
                "`batches = [tf.constant(batch) for batch in batches]`; to shuffle, keep the data "
                "set as one tensor and take batches with `tf.gather(data, tf.random.shuffle(…))`"
            ),
        )
