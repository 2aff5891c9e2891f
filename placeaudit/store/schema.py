"""Every table and column of a record, with its unit, and the schema's version and history.

A run is a directory::

    RUN/
      meta.json                     the run: argv, versions, simulated device, start time
      p<pid>-<n>/                   one per process (n: how many used that pid before)
        meta.json                   the process: role, parent, clock anchor, what was (not) observed
        copies.arrow waits.arrow …  one Arrow IPC stream (zstd) per table

A stream is written batch by batch; a process killed in the middle leaves every batch that was
flushed before.  Small integers refer to interned rows: ``stack`` to ``stacks``, ``*_device``,
``*_dtype``, ``name`` … to ``strings``, ``frames`` (a list) to ``frames``.  Interned ids are per
process and dense from 0.  -1 means "not known" in every integer column, never zero.

History
-------
1   first version.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

__all__ = ["TABLES", "VERSION", "Column", "Kind", "Table"]

#: Written into ``meta.json``.  A reader refuses newer records and reads older ones.
VERSION: Final = 1

Kind = Literal[
    "int8", "int16", "int32", "int64", "uint64", "bool", "string", "list<int32>", "list<int64>"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its Arrow type, its unit ("" where it has none) and what it means."""

    name: str
    kind: Kind
    unit: str
    doc: str


@dataclass(frozen=True, slots=True)
class Table:
    """One table; the order of ``columns`` is the order of the tuples that recording appends."""

    name: str
    doc: str
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)


_WHERE = (
    Column("stack", "int32", "stacks", "call stack; for backward the forward line's, if known"),
    Column("thread", "int64", "", "native thread identifier (threading.get_native_id)"),
    Column("phase", "int8", "Phase", "what the thread was doing (placeaudit.model.Phase)"),
    Column("module", "int32", "strings", "path of the innermost module in forward; -1 none"),
    Column(
        "backward",
        "int8",
        "",
        "0 the call's own stack (in phase backward: a Function's backward, a hook, recomputed "
        "forward); 1 in backward, stack is the forward line of the node; "
        "2 in backward, stack is the backward() call; 3 in backward, no stack at all",
    ),
)

TABLES: Final[dict[str, Table]] = {
    table.name: table
    for table in (
        Table(
            "copies",
            "Every copy that crosses devices (copies within one device are not recorded).",
            (
                Column("time_ns", "int64", "ns", "perf_counter_ns when the copy was called"),
                Column("host_ns", "int64", "ns", "host time until the call returned"),
                Column("src_device", "int32", "strings", 'source device, "cpu" or "cuda:0"'),
                Column("dst_device", "int32", "strings", "destination device"),
                Column("bytes", "int64", "bytes", "bytes that really cross (inner copy's dtype)"),
                Column("src_dtype", "int32", "strings", "element type of the source"),
                Column("dst_dtype", "int32", "strings", "element type of the destination"),
                Column("shape", "int32", "strings", 'sizes as "64x3x32x32", "" for a scalar'),
                Column("pinned", "bool", "", "the host side is page-locked"),
                Column("non_blocking", "bool", "", "non_blocking=True was asked for"),
                Column("waits", "bool", "", "the host waits (table in RULES), whatever was asked"),
                Column("src_storage", "int64", "", "unique identity of the source storage"),
                Column("dst_storage", "int64", "", "unique identity of the destination storage"),
                Column("src_version", "int64", "", "version counter of the source; -1 unknown"),
                Column("dst_version", "int64", "", "the destination's, after the copy"),
                Column("content_hash", "uint64", "xxh3-64", "of the host side's bytes; 0 if none"),
                Column("hash_kind", "int8", "HashKind", "how much of the content the hash covers"),
                Column("operation", "int32", "strings", 'operator: "copy_", "_local_scalar_dense"'),
                Column("src_birth", "int64", "births", "row in births of the source; -1 none"),
                *_WHERE,
            ),
        ),
        Table(
            "waits",
            "Host waits that no recorded copy makes (nonzero, synchronize, …).",
            (
                Column("time_ns", "int64", "ns", "perf_counter_ns when the wait began"),
                Column("host_ns", "int64", "ns", "host time until it returned"),
                Column("cause", "int32", "strings", 'operator or call: "nonzero", "synchronize"'),
                Column("device", "int32", "strings", "device waited for"),
                *_WHERE,
            ),
        ),
        Table(
            "births",
            "Host tensors made by a factory (PA103) or loaded from a file (PA307), later uploaded.",
            (
                Column("birth", "int64", "", "identity, dense from 0"),
                Column("time_ns", "int64", "ns", "perf_counter_ns of the call that made it"),
                Column("storage", "int64", "", "unique identity of the storage made"),
                Column("stack", "int32", "stacks", "call stack of that call"),
                Column("thread", "int64", "", "native thread identifier"),
                Column("kind", "int32", "strings", '"factory" or "load" (torch.load)'),
            ),
        ),
        Table(
            "calls",
            "Calls that neither copy between devices nor wait, but that rules ask about.",
            (
                Column("time_ns", "int64", "ns", "perf_counter_ns when it was called"),
                Column("host_ns", "int64", "ns", "host time until it returned"),
                Column(
                    "kind",
                    "int32",
                    "strings",
                    '"pin_memory" (of a tensor not pinned yet), "next" (element of a tf.data '
                    "pipeline that is in datasets)",
                ),
                Column("bytes", "int64", "bytes", "of the tensor it returned"),
                Column(
                    "storage",
                    "int64",
                    "",
                    "unique identity of that tensor's storage; for \"next\" the pipeline's",
                ),
                *_WHERE,
            ),
        ),
        Table(
            "datasets",
            "Pipelines of tf.data that a loop in Python may have to wait for.",
            (
                Column("time_ns", "int64", "ns", "perf_counter_ns when it was first iterated"),
                Column("dataset", "int64", "", "identity, as storage in calls of kind next"),
                Column("stage", "int32", "strings", 'the stage in question: "map"; "" the whole'),
                Column(
                    "reason",
                    "int32",
                    "strings",
                    '"serial" (one element after the other), "python" (and in Python), '
                    '"generator", "no prefetch"',
                ),
                Column("stages", "int32", "strings", 'all stages: "TensorSlice > Map > Batch"'),
                Column("stack", "int32", "stacks", "call that made the stage"),
                Column("thread", "int64", "", "native thread identifier"),
            ),
        ),
        Table(
            "fallbacks",
            "Operations that ran on another device than they were asked onto.",
            (
                Column("time_ns", "int64", "ns", "perf_counter_ns when it was called"),
                Column("operation", "int32", "strings", 'operation as "MatMul"'),
                Column("requested", "int32", "strings", "device that was asked for"),
                Column("actual", "int32", "strings", "device it ran on"),
                Column(
                    "reason",
                    "int32",
                    "strings",
                    '"no device", "hidden" (there, but the program hides it), "no kernel", '
                    '"resource" (it follows what it works on); of an '
                    'imported log also "colocation" (it is tied to operations without a kernel), '
                    '"unused" (nothing in the log ran there), and "expected" (likewise) or '
                    '"unstated" where only the importer says what was asked for',
                ),
                Column("dtypes", "int32", "strings", 'element types of its inputs: "int32, int32"'),
                *_WHERE,
            ),
        ),
        Table(
            "vectors",
            "Vector classes (declearn's, registered ones): arithmetic on two that hold tensors, "
            "(de)serialization, and what changes the device of one.",
            (
                Column("time_ns", "int64", "ns", "perf_counter_ns when it was called"),
                Column("host_ns", "int64", "ns", "host time until it returned"),
                Column("cls", "int32", "strings", "class of the left operand"),
                Column("operation", "int32", "strings", '"add", "iadd", "minimum", "unpack"'),
                Column("left", "int32", "strings", 'devices of the left operand: "cpu, cuda:0"'),
                Column("right", "int32", "strings", "devices of the right one; empty without"),
                Column("result", "int32", "strings", "devices of the result; empty if it has none"),
                Column("left_bytes", "int64", "bytes", "of its tensors that meet one elsewhere"),
                Column("right_bytes", "int64", "bytes", "of those that they meet"),
                Column("apart", "int32", "", "pairs of tensors on two devices"),
                Column("plugin", "int32", "strings", "plug-in or aggregator it ran in; -1 none"),
                Column(
                    "role",
                    "int32",
                    "strings",
                    '"module", "regularizer" (of an optimizer), "aggregator", "aggregate" (what '
                    "peers share); -1 none",
                ),
                Column("left_state", "int32", "strings", "state of it on the left; -1 none"),
                Column("right_state", "int32", "strings", "state of it on the right; -1 none"),
                Column("restored", "int32", "stacks", "latest set_state of the plug-in; -1 none"),
                Column(
                    "left_origin",
                    "int32",
                    "strings",
                    '"created" or "deserialized": how the left operand, or the one it was computed '
                    "from, came to be; -1 unknown",
                ),
                Column("right_origin", "int32", "strings", "of the right operand"),
                Column("left_made", "int32", "stacks", "where that was; -1 unknown"),
                Column("right_made", "int32", "stacks", "of the right operand"),
                *_WHERE,
            ),
        ),
        Table(
            "allowed",
            "Copies and waits made inside placeaudit.allow(reason): findings leave them out.",
            (
                Column("time_ns", "int64", "ns", "as in the row of copies or waits it stands for"),
                Column("thread", "int64", "", "as in that row: no thread has two at one time"),
                Column("reason", "int32", "strings", "what the program gave as its reason"),
            ),
        ),
        Table(
            "spans",
            "Intervals and marks on the host: steps, phases, module calls, loader waits.",
            (
                Column(
                    "kind",
                    "int32",
                    "strings",
                    '"optimizer", "backward", "module", "loading", '
                    '"checkpoint", "step" (a mark: its name says whose), "model-move", '
                    '"collective" (a call in which replicas reduce: no copies)',
                ),
                Column("name", "int32", "strings", "optimizer class, root module class, …"),
                Column("owner", "int64", "", "identity of the optimizer, module or loader"),
                Column("start_ns", "int64", "ns", "perf_counter_ns at its start"),
                Column("end_ns", "int64", "ns", "at its end; equal to start_ns for a mark"),
                Column("thread", "int64", "", "native thread identifier"),
            ),
        ),
        Table(
            "placements",
            "The census: where tensors live; a row again only when something changed.",
            (
                Column("time_ns", "int64", "ns", "perf_counter_ns of the census"),
                Column(
                    "kind",
                    "int32",
                    "strings",
                    '"parameter", "buffer", "input", "output", "gradient", "optimizer-state", '
                    '"plugin-state" (vectors of an optimizer plug-in); "operation" of a '
                    "device-placement log: where it ran, no tensor",
                ),
                Column(
                    "owner",
                    "int32",
                    "strings",
                    "class of the root module or optimizer; the operation",
                ),
                Column("name", "int32", "strings", "dotted path of the tensor in its owner"),
                Column("device", "int32", "strings", "where it lives"),
                Column("dtype", "int32", "strings", "element type"),
                Column("shape", "int32", "strings", 'sizes as "64x3"'),
                Column("bytes", "int64", "bytes", "element size times number of elements"),
                Column(
                    "expected_device",
                    "int32",
                    "strings",
                    "its parameter's device (optimizer state, gradient), its gradient's (plug-in "
                    "state), else -1",
                ),
                Column("identity", "int64", "", "of the owner, as spans.owner; -1 unknown"),
                Column("stack", "int32", "stacks", "call whose hook took the census; -1 unknown"),
            ),
        ),
        Table(
            "operations",
            "Every operation of the window (table windows): which storages it took "
            "and made.  Composite operations stand as what they are made of.",
            (
                Column("time_ns", "int64", "ns", "perf_counter_ns at its start, within some µs"),
                Column("duration_ns", "int64", "ns", "host time until it returned"),
                Column("name", "int32", "strings", 'operator without "aten::", as "mm", "copy_"'),
                Column("thread", "int64", "", "native thread identifier; negative: torch's own"),
                Column("phase", "int8", "Phase", "backward, or other where the spans must tell"),
                Column("sequence", "int64", "", "joins a forward with its backward; -1 none"),
                Column(
                    "kind",
                    "int8",
                    "",
                    "0 computes; 1 only makes a view; 2 a copy between devices; 3 the memory left "
                    "PyTorch (NumPy, DLPack, a pointer): what is done there is not known",
                ),
                Column("inputs", "list<int32>", "storages", "storage of each tensor it takes"),
                Column("input_bytes", "list<int64>", "bytes", "of the tensor, not the storage"),
                Column("input_device", "list<int32>", "strings", "as in copies"),
                Column("input_dtype", "list<int32>", "strings", "as in copies"),
                Column(
                    "input_access",
                    "list<int32>",
                    "",
                    "0 reads; 1 takes a view; 2 reads and writes; 3 writes without reading",
                ),
                Column("outputs", "list<int32>", "storages", "storages it made and left alive"),
                Column("output_bytes", "list<int64>", "bytes", "of the storage"),
                Column("output_device", "list<int32>", "strings", "-1 where no later use told"),
                Column("output_dtype", "list<int32>", "strings", "-1 where no later use told"),
                Column("copy_ns", "int64", "ns", "time_ns of its row in copies; -1 none"),
            ),
        ),
        Table(
            "storages",
            "The storages that operations of the window took or made.",
            (
                Column("storage", "int64", "", "identity, as in copies"),
                Column("same_as", "int64", "", "earlier storage of the same memory (NumPy); -1"),
                Column("bytes", "int64", "bytes", "size where it was seen to be made, else -1"),
                Column("born_ns", "int64", "ns", "perf_counter_ns; -1 before the window"),
                Column("died_ns", "int64", "ns", "perf_counter_ns; -1 it outlived the window"),
            ),
        ),
        Table(
            "windows",
            "When operations were collected: one row for a step, or for the first operations.",
            (
                Column("start_ns", "int64", "ns", "perf_counter_ns"),
                Column("end_ns", "int64", "ns", "perf_counter_ns"),
                Column("name", "int32", "strings", '"step 2" or "first operations"'),
                Column("follows", "bool", "", "begins where the row before ended"),
                Column("thread", "int64", "", "native thread identifier"),
                Column("others", "int32", "", "other Python threads, whose operations are unseen"),
            ),
        ),
        Table(
            "frames",
            "Interned Python frames; the row number is the id.",
            (
                Column("file", "string", "", "absolute path, or <name> where there is no file"),
                Column("function", "string", "", "qualified name of the code object"),
                Column("line", "int32", "", "1-based; -1 unknown"),
                Column("end_line", "int32", "", "1-based; -1 unknown"),
                Column("col", "int32", "", "0-based UTF-8 byte offset; -1 unknown"),
                Column("end_col", "int32", "", "0-based UTF-8 byte offset; -1 unknown"),
                Column(
                    "package",
                    "string",
                    "",
                    'installed package ("torch"), "<stdlib>", '
                    '"placeaudit", or "" for the user\'s code',
                ),
            ),
        ),
        Table(
            "stacks",
            "Interned call stacks; the row number is the id.",
            (Column("frames", "list<int32>", "frames", "innermost first"),),
        ),
        Table(
            "strings",
            "Interned strings; the row number is the id.",
            (Column("text", "string", "", "the string"),),
        ),
        Table(
            "sources",
            "Text of the user's source files that appear in frames, as they were when recorded.",
            (
                Column("file", "string", "", "as in frames"),
                Column("text", "string", "", "whole text"),
            ),
        ),
        Table(
            "notes",
            "What the record itself has to say (PA9xx): truncation, unobserved regions.",
            (
                Column("rule", "string", "", "PA901, PA902 or PA903"),
                Column("time_ns", "int64", "ns", "perf_counter_ns"),
                Column("text", "string", "", "one sentence"),
                Column("stack", "int32", "stacks", "where, -1 if it has no place"),
            ),
        ),
    )
}
