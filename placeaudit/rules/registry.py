"""The list of rules, how one is found by name, and how their findings are ranked."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Final

from placeaudit.analyze.audit import Audit
from placeaudit.errors import UsageError
from placeaudit.model import Finding
from placeaudit.rules.base import Rule
from placeaudit.rules.estimate import bound_s
from placeaudit.rules.facts import Facts
from placeaudit.rules.pipeline.blocking_checkpoint import BlockingCheckpoint
from placeaudit.rules.pipeline.starved_input import StarvedInput
from placeaudit.rules.placement.lost_placement import LostPlacement
from placeaudit.rules.placement.mixed_operands import MixedOperands
from placeaudit.rules.placement.module_moves import ModuleMoves
from placeaudit.rules.placement.optimizer_state import OptimizerState
from placeaudit.rules.placement.redundant_move import RedundantMove
from placeaudit.rules.placement.silent_fallback import SilentFallback
from placeaudit.rules.placement.split_module import SplitModule
from placeaudit.rules.placement.stray_context import StrayContext
from placeaudit.rules.quality.missing_mechanism import MissingMechanism
from placeaudit.rules.quality.truncated_record import TruncatedRecord
from placeaudit.rules.quality.unobserved_region import UnobservedRegion
from placeaudit.rules.quality.unused_ignore import UnusedIgnore
from placeaudit.rules.tensorflow.dynamic_shape import TensorflowDynamicShape
from placeaudit.rules.tensorflow.host_detour import TensorflowHostDetour
from placeaudit.rules.tensorflow.scalar_read import TensorflowScalarRead
from placeaudit.rules.tensorflow.transfers import (
    TensorflowDatasetReupload,
    TensorflowDuplicateDownload,
    TensorflowDuplicateUpload,
    TensorflowHostBounce,
    TensorflowHostCreated,
    TensorflowOversizedCopy,
    TensorflowRoundTrip,
    TensorflowSmallCopies,
)
from placeaudit.rules.transfers.dataset_reupload import DatasetReupload
from placeaudit.rules.transfers.duplicate_download import DuplicateDownload
from placeaudit.rules.transfers.duplicate_upload import DuplicateUpload
from placeaudit.rules.transfers.host_bounce import HostBounce
from placeaudit.rules.transfers.host_created import HostCreated
from placeaudit.rules.transfers.host_detour import HostDetour
from placeaudit.rules.transfers.oversized_copy import OversizedCopy
from placeaudit.rules.transfers.round_trip import RoundTrip
from placeaudit.rules.transfers.small_copies import SmallCopies
from placeaudit.rules.transfers.unused_copy import UnusedCopy
from placeaudit.rules.transfers.wide_copy import WideCopy
from placeaudit.rules.waits.blocking_pinned import BlockingPinned
from placeaudit.rules.waits.dynamic_shape import DynamicShape
from placeaudit.rules.waits.explicit_sync import ExplicitSync
from placeaudit.rules.waits.host_index import HostIndex
from placeaudit.rules.waits.pageable_upload import PageableUpload
from placeaudit.rules.waits.pin_in_loop import PinInLoop
from placeaudit.rules.waits.scalar_read import ScalarRead
from placeaudit.rules.waits.unsafe_download import UnsafeDownload

__all__ = ["RULES", "codes", "find", "rank", "run_rules"]

RULES: Final[tuple[Rule, ...]] = (
    RoundTrip(),
    DuplicateUpload(),
    HostCreated(),
    UnusedCopy(),
    OversizedCopy(),
    SmallCopies(),
    WideCopy(),
    HostBounce(),
    DuplicateDownload(),
    DatasetReupload(),
    HostDetour(),
    ScalarRead(),
    PageableUpload(),
    DynamicShape(),
    ExplicitSync(),
    BlockingPinned(),
    UnsafeDownload(),
    PinInLoop(),
    HostIndex(),
    OptimizerState(),
    MixedOperands(),
    SplitModule(),
    SilentFallback(),
    ModuleMoves(),
    RedundantMove(),
    LostPlacement(),
    StrayContext(),
    StarvedInput(),
    BlockingCheckpoint(),
    TruncatedRecord(),
    UnobservedRegion(),
    MissingMechanism(),
    # Last: it asks what the others have left unsilenced.
    UnusedIgnore(),
)

#: The same codes for TensorFlow's copies and waits; what has none here says nothing of them.
TENSORFLOW_RULES: Final[tuple[Rule, ...]] = (
    TensorflowRoundTrip(),
    TensorflowDuplicateUpload(),
    TensorflowHostCreated(),
    TensorflowOversizedCopy(),
    TensorflowSmallCopies(),
    TensorflowHostBounce(),
    TensorflowDuplicateDownload(),
    TensorflowDatasetReupload(),
    TensorflowHostDetour(),
    TensorflowScalarRead(),
    TensorflowDynamicShape(),
)


def find(code_or_name: str) -> Rule:
    """The rule with this code or name, in any case.

    Raises:
        UsageError: there is none; the message names the nearest.
    """
    wanted = code_or_name.strip().lower()
    known = {key.lower(): rule for rule in RULES for key in (rule.code, rule.name)}
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.5)
    if near:
        rule = known[near[0]]
        hint = f"did you mean {rule.code} ({rule.name})?"
    else:
        hint = f"known rules: {', '.join(sorted(rule.code for rule in RULES))}"
    raise UsageError(f"there is no rule {code_or_name!r}; {hint}")


def codes(selectors: Sequence[str]) -> frozenset[str]:
    """Codes that codes, names, prefixes of codes ("PA2") or ``ALL`` stand for.

    Raises:
        UsageError: one stands for none; the message names the nearest.
    """
    found: set[str] = set()
    for selector in selectors:
        prefix = selector.strip().upper()
        matching = {rule.code for rule in RULES if rule.code.startswith(prefix)}
        if prefix == "ALL":
            found.update(rule.code for rule in RULES)
        elif prefix.startswith("PA") and matching:
            found |= matching
        else:
            found.add(find(selector).code)
    return frozenset(found)


def rank(finding: Finding) -> tuple[object, ...]:
    """Sort key: severity, then the bound of what a fix saves, then certainty, then bytes."""
    return (
        finding.severity.rank,
        -bound_s(finding),
        finding.certainty.rank,
        -finding.bytes,
        finding.file,
        finding.line,
        finding.rule,
    )


def run_rules(
    audit: Audit, *, select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> tuple[Finding, ...]:
    """The findings of all rules, worst first.

    ``select`` (all if empty) and ``ignore`` hold codes, names or prefixes of codes ("PA2").
    Findings that a ``# placeaudit: ignore[…]`` on their line names are left out.

    Raises:
        UsageError: ``select`` or ``ignore`` names no rule.
    """
    chosen = codes(select) if select else frozenset(rule.code for rule in RULES)
    chosen -= codes(ignore)
    facts = Facts(audit, judged=chosen)
    of_tensorflow = Facts(
        audit, judged=chosen, framework="tensorflow", suppressions=facts.suppressions
    )
    asked = [(rule, of_tensorflow) for rule in TENSORFLOW_RULES]
    asked += [(rule, facts) for rule in RULES]
    found = [
        finding
        for rule, known in asked
        if rule.code in chosen
        for finding in rule.check(known)
        if not facts.suppressions.silences(finding)
    ]
    return tuple(sorted(found, key=rank))
