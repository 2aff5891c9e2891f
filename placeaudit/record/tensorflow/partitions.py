"""What crosses devices in a compiled graph, as TensorFlow cuts it into one part per device.

A tensor crosses where the memory that its producer's kernel leaves it in is not the memory that a
consumer's kernel wants it in.  Both may differ from the device that the operation runs on: on a GPU
kernels have shapes, axes and most 32-bit integers in host memory.  The rules are those of
``core/framework/memory_types.cc`` and ``core/graph/graph_partition.cc``; the pairs of ``_Send`` and
``_Recv`` that TensorFlow puts between parts are looked through, and those it puts between the two
memories of one part (only later, or not at all where CPUs stand for GPUs) are not needed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tensorflow.python.framework import dtypes, op_def_registry

if TYPE_CHECKING:
    from placeaudit.record.tensorflow.context import Known
    from placeaudit.simulate.tensorflow_gpu.kernels import KernelTable

__all__ = ["WAITING", "Crossing", "Partitions", "region_of"]

#: Operations whose output's size is known only when the device has run them: on a GPU the host
#: waits for it.  (kernels/where_op.cc, unique_op_gpu.cu.cc, dynamic_partition_op_gpu.cu.cc)
WAITING: Final = frozenset(
    {"Where", "Unique", "UniqueV2", "UniqueWithCounts", "UniqueWithCountsV2", "DynamicPartition"}
)
_SENDS: Final = frozenset({"_Send", "_HostSend"})
_RECEIVES: Final = frozenset({"_Recv", "_HostRecv"})
#: What steers loops and branches.
_SWITCHES: Final = frozenset({"Switch", "RefSwitch", "_SwitchN", "Enter", "RefEnter"})
_MERGES: Final = frozenset({"Merge", "RefMerge"})
_HANDING_ON: Final = _MERGES | {
    "Switch", "RefSwitch", "Enter", "RefEnter", "Exit", "RefExit", "NextIteration", "Identity"
}  # fmt: skip
#: What a loop or a branch adds to a graph to steer itself: no tensor of the program's.
_PLUMBING: Final = ("LoopCond", "loop_body_control", "pivot_", "/ctrl/_", "_cloop")
#: Never in a GPU's memory, whatever a kernel says (``DataTypeAlwaysOnHost``), or no data.
_NO_DATA: Final = frozenset(
    int(t.as_datatype_enum) for t in (dtypes.string, dtypes.resource, dtypes.variant)
)
_INT32: Final = int(dtypes.int32.as_datatype_enum)
#: TensorFlow's types of references begin here (``DataTypeIsRef``).
_REFERENCES: Final = 100
#: The innermost branch or body that a node is in, by the name that its lowering gave it.
_REGION: Final = re.compile(r"(?:Func/)?(.*/(?:then|else|body|cond|branch\d+)/_\d+/)")

#: That of version 1's control flow: both branches have one name.
_OLDER: Final = re.compile(r"(.*(?:^|/)(?:while|cond)(?:_\d+)?/)")


@dataclass(frozen=True, slots=True)
class Crossing:
    """A tensor that goes from one device's memory to another's whenever its producer runs."""

    #: Node that makes it, and which of its outputs.
    node: Any
    port: int
    #: TensorFlow's number of its type.
    dtype: int
    source: Known
    target: Known
    #: The ``_Send`` that carries it, "" where it stays in one part.
    send: str
    #: The first node that wants it there.
    consumer: Any


class Partitions:
    """The parts of one graph, read together.

    Of one that ``is_whole`` all that is on a GPU is in its memory: XLA made one piece of it.
    """

    def __init__(
        self,
        parts: Iterable[Any],
        device: Callable[[str], Known],
        host: Known,
        kernels: KernelTable | None,
        *,
        is_whole: bool = False,
    ) -> None:
        self._is_whole = is_whole
        self._device = device
        self._host = host
        self._kernels = kernels
        self.parts = [{node.name: node for node in part.node} for part in parts]
        self._sent = {
            _key(node): (node, nodes)
            for nodes in self.parts
            for node in nodes.values()
            if node.op in _SENDS
        }
        self._hosts: dict[int, tuple[frozenset[int], frozenset[int]] | None] = {}

    def nodes(self) -> Iterator[Any]:
        """Every node of every part."""
        for nodes in self.parts:
            yield from nodes.values()

    @property
    def branches(self) -> bool:
        """Whether it has loops or branches."""
        return any(node.op in _SWITCHES for node in self.nodes())

    def waits(self) -> Iterator[tuple[Any, Known]]:
        """Nodes whose output's size the host waits for, with the device they run on."""
        for node in self.nodes():
            if node.op in WAITING and not self._is_whole:
                device = self._device(node.device)
                if not device.is_host and self._kernel(node) is not None:
                    yield node, device

    def crossings(self) -> Iterator[Crossing]:
        """What crosses: each tensor once for each memory that it goes to."""
        seen: set[tuple[int, int, int]] = set()
        for nodes in self.parts:
            for consumer in nodes.values():
                if consumer.op in _SENDS:
                    continue
                for place, given in enumerate(_data(consumer)):
                    found = self._crossing(nodes, consumer, place, given)
                    if found is None:
                        continue
                    key = (id(found.node), found.port, found.target.number)
                    if key not in seen:
                        seen.add(key)
                        yield found

    def origins(self, node: Any, port: int) -> Iterator[tuple[Any, int]]:
        """The outputs whose value this one is: looking through what hands on what it is given.

        Around a loop there are two: what it begins with and what a turn makes.
        """
        pending, seen = [(node, port)], set()
        while pending:
            node, port = pending.pop()
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.op not in _HANDING_ON:
                yield node, port
                continue
            nodes = self._part_of(node)
            given = list(_data(node))
            for one in given if node.op in _MERGES else given[:1]:
                origin = self._origin(nodes, one)
                if origin is not None:
                    pending.append(origin[:2])

    def _part_of(self, node: Any) -> Mapping[str, Any]:
        return next(nodes for nodes in self.parts if nodes.get(node.name) is node)

    def _crossing(
        self, nodes: Mapping[str, Any], consumer: Any, place: int, given: str
    ) -> Crossing | None:
        origin = self._origin(nodes, given)
        if origin is None:
            return None
        node, port, send = origin
        if any(word in node.name for word in _PLUMBING):
            return None
        if place == 0 and "switch_pred" in consumer.name:
            return None  # of what this passes on nothing is used but the order of things
        dtype = _output_type(node, port)
        if dtype in _NO_DATA or dtype > _REFERENCES:
            return None
        source = self._memory(node, port, dtype, is_output=True)
        target = self._memory(consumer, place, dtype, is_output=False)
        if source.number == target.number:
            return None
        return Crossing(node, port, dtype, source, target, send, consumer)

    def _origin(self, nodes: Mapping[str, Any], given: str) -> tuple[Any, int, str] | None:
        """What made an input, looking through what carries it from part to part."""
        send = ""
        while True:
            name, _, port = given.partition(":")
            node = nodes.get(name)
            if node is None or node.op not in _RECEIVES:
                return None if node is None else (node, int(port or 0), send)
            sender = self._sent.get(_key(node))
            given = next(_data(sender[0]), "") if sender is not None else ""
            if sender is None or not given:
                return None  # from the caller, or nothing but the order of things
            send, nodes = sender[0].name, sender[1]

    def _memory(self, node: Any, place: int, dtype: int, *, is_output: bool) -> Known:
        device = self._device(node.device)
        if device.is_host:
            return self._host
        if self._is_whole:  # whatever its kernels would ask for
            return device
        if id(node) not in self._hosts:
            self._hosts[id(node)] = self._host_places(node)
        hosts = self._hosts[id(node)]
        if hosts is None:  # a function, or nothing is known of it
            return self._host if dtype == _INT32 else device
        return self._host if place in hosts[is_output] else device

    def _host_places(self, node: Any) -> tuple[frozenset[int], frozenset[int]] | None:
        """Which inputs and which outputs of a GPU's operation are in host memory."""
        definition: Any = op_def_registry.get(node.op)
        kernel = self._kernel(node)
        if kernel is None or definition is None:
            return None
        inputs = _arguments(definition.input_arg, node)
        outputs = _arguments(definition.output_arg, node)
        return (
            frozenset(place for place, name in enumerate(inputs) if name in kernel.host),
            frozenset(place for place, name in enumerate(outputs) if name in kernel.host),
        )

    def _kernel(self, node: Any) -> Any:
        if self._kernels is None:
            return None
        types = {name: value.type for name, value in node.attr.items() if value.type}
        return self._kernels.gpu_kernel(node.op, types)


def region_of(name: str) -> str:
    """The innermost loop or branch that a node of a graph with such is in, "" for none.

    All nodes of a region run equally often in a call.
    """
    found = _REGION.match(name) or _OLDER.match(name)
    return found[1] if found is not None else ""


def _key(node: Any) -> tuple[bytes, bytes, bytes]:
    attributes = node.attr
    return (
        attributes["tensor_name"].s, attributes["send_device"].s, attributes["recv_device"].s
    )  # fmt: skip


def _data(node: Any) -> Iterator[str]:
    return (given for given in node.input if not given.startswith("^"))


def _count(argument: Any, node: Any) -> int:
    if argument.number_attr:
        return int(node.attr[argument.number_attr].i)
    if argument.type_list_attr:
        return len(node.attr[argument.type_list_attr].list.type)
    return 1


def _arguments(arguments: Iterable[Any], node: Any) -> Iterator[str]:
    """Name of each input or output, one after the other: an argument may be a list."""
    for argument in arguments:
        for _ in range(_count(argument, node)):
            yield argument.name


def _output_type(node: Any, port: int) -> int:
    definition: Any = op_def_registry.get(node.op)
    for argument in definition.output_arg if definition is not None else ():
        count = _count(argument, node)
        if port >= count:
            port -= count
        elif argument.type_list_attr:
            return int(node.attr[argument.type_list_attr].list.type[port])
        else:
            kind = node.attr[argument.type_attr].type if argument.type_attr else argument.type
            return int(kind) + (_REFERENCES if argument.is_ref else 0)
    called = node.attr["Tout"].list.type
    return int(called[port]) if port < len(called) else 0
