"""PA201: a value read from the device by the host."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.callsite import CallSite, call_site
from placeaudit.analyze.columns import distinct
from placeaudit.analyze.sites import module_path
from placeaudit.analyze.uses import Use, UseKind, use_along, use_of
from placeaudit.model import Certainty, Evidence, Finding, Severity, Site
from placeaudit.rules.base import finding, library_name
from placeaudit.rules.facts import TINY_BYTES, Facts, Group, Rows
from placeaudit.rules.transfers import host_bounce, small_copies
from placeaudit.rules.transfers.duplicate_download import duplicate_downloads
from placeaudit.rules.transfers.round_trip import round_trips
from placeaudit.rules.waits.device_index import indexes_device
from placeaudit.rules.waits.dynamic_shape import class_counts
from placeaudit.rules.waits.scalar_fixes import MOVES, TEXTS, read_fix

__all__ = ["ScalarRead", "judged_use", "read_at_the_end", "values_read"]

#: Options of a package that avoid its own reads, by where the reading frame lies.
_OPTIONS: Final = (
    ("torch/distributions/", "pass `validate_args=False` to the distribution"),
    ("torch/nn/utils/clip_grad.py", "leave `error_if_nonfinite=False`, its default"),
    (
        "torch/nn/modules/transformer.py",
        (
            "pass `is_causal=` along with the mask (True where it is the causal one): without it "
            "each call compares the mask on the device and reads the answer"
        ),
    ),
)

#: What a distribution does without checking its arguments: no option avoids its reads.
_SAMPLES: Final = frozenset({"sample", "rsample", "sample_n", "rsample_n"})
#: Operators of PyTorch that read from the device to check their arguments.
_CHECKING: Final = frozenset({"multinomial", "normal"})
#: Uses in which somebody looks at values, be it of a whole tensor.
_SHOWS: Final = frozenset({UseKind.PRINTED, UseKind.ASSERTED, UseKind.BRANCH})

#: Uses that the syntax shows completely: nothing else can need the value.
_SHOWN: Final = frozenset({UseKind.ACCUMULATED, UseKind.PRINTED, UseKind.ASSERTED})


class ScalarRead:
    """A device value read by the host in every step.

    What it does
        Finds downloads of at most 64 bytes that make the host wait: ``.item()``, ``float()``,
        ``int()``, ``bool()``, ``.tolist()``, printing and formatting, ``if`` and ``assert`` on a
        device tensor.  Once in 10 steps or rarer is ``info``.  A read in each turn of an evaluation
        loop (at least four turns between two steps) counts as recurring, though no step ends there.

    Why it costs
        The value exists only once the device has finished everything queued before it.  The host
        waits that long, queues nothing meanwhile, and the device then idles until it does.

    Example:
        ::

            for x, y in loader:
                loss = train_step(x, y)
                total += loss.item()

    Use instead
        ::

            for x, y in loader:
                loss = train_step(x, y)
                total += loss.detach()
            print(total.item())

    When it is fine
        When the host needs the value now: the action for an environment, early stopping, a file.
        Such a use, where it is visible, makes it ``info``.
    """

    code = "PA201"
    name = "scalar-read"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that reads values."""
        copies = facts.audit.copies
        reads = facts.downloads() & copies.waits
        reads &= ~facts.once(round_trips).downloads & (facts.once(duplicate_downloads) < 0)
        reads &= ~facts.once(host_bounce.downloads) & ~facts.once(small_copies.explained)
        reads &= ~facts.once(class_counts)
        small = copies.bytes <= TINY_BYTES
        for group in facts.groups(copies, np.flatnonzero(reads)):
            call = facts.call(group.index)
            use = judged_use(facts, group, call)
            rows = values_read(facts, group, call, use)
            if not (call is not None and _formats(call, use)):
                # A line that mostly brings whole tensors down reads no value, be one of them tiny.
                mostly = 2 * int(small[rows].sum()) > len(rows)
                rows = rows[small[rows]] if mostly else rows[:0]
            if len(rows) and copies.steady[rows].any() and not read_at_the_end(facts, rows, call):
                found = Group(group.index, group.site, rows)
                if not self._negligible(facts, found):
                    yield self._finding(facts, found, call, use)

    @staticmethod
    def _negligible(facts: Facts, group: Group) -> bool:
        """Ran once: not worth a line of anybody's report."""
        steps = len(facts.audit.steps)
        copies = facts.audit.copies
        return (
            steps > 1
            and len(distinct(copies.step[group.rows])) == 1
            and not (facts.recurrence(copies, group.rows).often)
        )

    def _finding(self, facts: Facts, group: Group, call: CallSite | None, use: Use) -> Finding:
        audit, copies = facts.audit, facts.audit.copies
        recurrence = facts.recurrence(copies, group.rows)
        device = audit.text(int(copies.src_device[group.rows[0]]))
        text = f"`{call.text}`" if call else "this line"
        library = library_name(group.site)
        severity = Severity.WARNING if recurrence.often else Severity.INFO
        option = _option(group.site)
        checks = not library and _checks(call)
        why = ""
        if library:
            text = f"{library}, called by {text},"
            severity = severity if option else Severity.INFO
        elif checks:
            text = f"{text} checks its arguments: it"
            severity = Severity.INFO
        elif use.kind is UseKind.NEEDED:
            severity = Severity.INFO
            why = f"; the host needs it for `{use.by}`" if use.by else ""
        elif not recurrence.often:
            why = "; rare enough"
        return finding(
            self,
            facts,
            copies,
            group.rows,
            severity=severity,
            certainty=(
                Certainty.PROVEN if use.kind in _SHOWN and not library else Certainty.LIKELY
            ),
            message=(
                f"{text} reads a value from {device} and makes the host wait for it, "
                f"{recurrence.words}{why}"
            ),
            fix=option
            or (
                _library_fix(library or "torch")
                if library or checks
                else _at_rate(read_fix(call, use), often=recurrence.often)
            ),
            evidence=[
                Evidence(
                    "waiting-copy",
                    f"{len(group.rows)} downloads of at most "
                    f"{int(copies.bytes[group.rows].max())} bytes, each of which the host waits "
                    "for",
                ),
                *([Evidence("use", f"{_USES[use.kind]}: `{use.by}`")] if use.by else []),
            ],
        )


def read_at_the_end(facts: Facts, rows: Rows, call: CallSite | None) -> bool:
    """Whether a program without steps read a value a single time, at a line that runs once.

    In a function or a loop one run may be a sample of many; a script's own statement is all of it.
    """
    if len(facts.audit.steps) > 1 or len(rows) > 1 or call is None:
        return False
    file, node = call.file, call.node
    return file.scope(node) is file.tree and not any(file.repeats(node))


def values_read(facts: Facts, group: Group, call: CallSite | None, use: Use) -> Rows:
    """Downloads of the group at which somebody may look at a value.

    ``.cpu()`` or ``.numpy()`` of several values moves a tensor; nobody is seen to look at one.
    """
    rows = group.rows
    if call is not None and _moves(call) and use.kind not in _SHOWS:
        return rows[_single(facts, rows)]
    return rows


def _use(facts: Facts, group: Group, call: CallSite | None) -> Use:
    """What becomes of the value, if need be in the functions it is returned to."""
    if call is None:
        return Use(UseKind.UNKNOWN)
    use = use_of(call, facts.framework)
    if use.kind is not UseKind.RETURNED:
        return use
    audit, user = facts.audit, group.site.user
    found = [use]
    for index in distinct(audit.copies.stack[group.rows]).tolist():
        frames = audit.stacks[index] if index >= 0 else ()
        if user in frames:
            outer = [f for f in frames[frames.index(user) + 1 :] if not f.package]
            sites = [call, *(call_site(facts.sources, f) for f in outer)]
            found.append(use_along(sites, facts.framework))
    return max(found, key=lambda use: use.kind)


def judged_use(facts: Facts, group: Group, call: CallSite | None) -> Use:
    """What becomes of the value; of an index, by what it indexes."""
    return _judged(facts, group, call, _use(facts, group, call))


def _judged(facts: Facts, group: Group, call: CallSite | None, use: Use) -> Use:
    """An index is needed where it indexes what the host holds; a device tensor takes a tensor."""
    if use.kind is not UseKind.INDEX or call is None or use.index is None:
        return use
    inside = indexes_device(facts, group, call, use.index)
    return replace(use, kind=UseKind.FRAMEWORK if inside else UseKind.NEEDED)


def _moves(call: CallSite) -> bool:
    """The line asks for a tensor on the host, not for a number."""
    func = call.node.func if isinstance(call.node, ast.Call) else None
    return isinstance(func, ast.Attribute) and func.attr in MOVES


def _checks(call: CallSite | None) -> bool:
    """The operator reads for itself, whatever the program does with its result."""
    if call is None or not isinstance(call.node, ast.Call):
        return False
    func = call.node.func
    return isinstance(func, ast.Attribute) and func.attr in _CHECKING


def _single(facts: Facts, rows: Rows) -> npt.NDArray[np.bool_]:
    """Which of these copies brought one element only."""
    shapes = facts.audit.copies.shape[rows]
    single = [
        shape
        for shape in distinct(shapes).tolist()
        if all(part == "1" for part in facts.audit.text(shape).split("x") if part)
    ]
    return np.isin(shapes, single)


def _formats(call: CallSite, use: Use) -> bool:
    """The line prints or formats the tensor as a whole, so its size does not matter."""
    if isinstance(call.node, ast.FormattedValue | ast.JoinedStr):
        return True
    if not isinstance(call.node, ast.Call):
        return False
    if use.kind is UseKind.PRINTED and call.file.quote(call.node) == use.by:
        return True
    return call.file.dotted(call.node.func) in TEXTS


_USES: Final = {
    UseKind.UNKNOWN: "its use is not visible",
    UseKind.DISCARDED: "it is not used",
    UseKind.ACCUMULATED: "it is only kept",
    UseKind.RETURNED: "it is returned",
    UseKind.PRINTED: "it is printed",
    UseKind.FRAMEWORK: "it goes back into the framework",
    UseKind.ASSERTED: "it is asserted",
    UseKind.BRANCH: "it decides a branch",
    UseKind.INDEX: "it is an index",
    UseKind.NEEDED: "the host needs it",
}


def _option(site: Site) -> str:
    if site.library is None or site.library.package != "torch":
        return ""
    path = module_path(site.library)
    if site.library.function.rpartition(".")[2] in _SAMPLES:
        return ""
    return next((option for start, option in _OPTIONS if path.startswith(start)), "")


def _library_fix(library: str) -> str:
    return f"nothing to change in this line; {library} makes this read on your behalf"


def _at_rate(fix: str, *, often: bool) -> str:
    return fix if often else f"none is needed at this rate; should it come more often: {fix}"
