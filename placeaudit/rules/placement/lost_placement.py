"""PA307: what was loaded or deserialized landed on the host although a device uses it."""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from placeaudit.analyze.callsite import CallSite, call_site, upload_at
from placeaudit.model import Certainty, Evidence, Finding, Frame, Severity
from placeaudit.rules.base import by_library, finding, plural
from placeaudit.rules.facts import Facts, Group
from placeaudit.rules.placement.lost_vectors import lost_vectors
from placeaudit.rules.transfers.duplicate_upload import duplicate_uploads

__all__ = ["LostPlacement", "lost_placements"]


def lost_placements(facts: Facts) -> npt.NDArray[np.bool_]:
    """By copy: a repeated upload of memory that ``torch.load`` filled.

    Wins over PA102, which sees the repetition but not that loading could have avoided it.
    """
    audit = facts.audit
    repeated = facts.once(duplicate_uploads).repeats
    birth = audit.copies.src_birth
    kinds = [i for i, text in enumerate(audit.strings) if text == "load"]
    loaded = np.isin(audit.births.kind, kinds)
    out = np.zeros(len(repeated), dtype=np.bool_)
    rows = np.flatnonzero(repeated & (birth >= 0))
    out[rows] = loaded[birth[rows]]
    return out


class LostPlacement:
    """Tensors loaded onto the host although they are used on the device.

    What it does
        Finds tensors that ``torch.load`` put on the host and that are uploaded in the steps again
        and again, unchanged, to be combined with device tensors.

    Why it costs
        Each upload comes from pageable memory and makes the host wait, for values that never
        change.

    Example:
        ::

            stats = torch.load("stats.pt")
            for x in loader:
                x = (x - stats["mean"].to(device)) / stats["std"].to(device)

    Use instead
        ::

            stats = torch.load("stats.pt", map_location=device)
            for x in loader:
                x = (x - stats["mean"]) / stats["std"]

    When it is fine
        For what the host uses too, or is too large to keep on the device.  Loaded data sets, whose
        batches differ, and ``load_state_dict`` are not reported.
    """

    code = "PA307"
    name = "lost-placement"
    severity = Severity.WARNING

    def check(self, facts: Facts) -> Iterable[Finding]:
        """One finding for each site that uploads what was loaded."""
        copies = facts.audit.copies
        least = 2 if len(facts.audit.steps) > 1 else 1
        for group in facts.groups(copies, np.flatnonzero(facts.once(lost_placements))):
            if int(copies.steady[group.rows].sum()) >= least:
                yield self._finding(facts, group)
        yield from lost_vectors(self, facts)

    def _finding(self, facts: Facts, group: Group) -> Finding:
        audit, rows = facts.audit, group.rows
        copies = audit.copies
        recurrence = facts.recurrence(copies, rows)
        device = audit.text(int(copies.dst_device[rows[0]]))
        call = facts.call(group.index)
        upload = upload_at(call) if call else None
        what = f"`{call.file.quote(upload.subject)}`" if call and upload else "a loaded tensor"
        birth = audit.sites[int(audit.births.site[copies.src_birth[rows[0]]])]
        loading = call_site(facts.sources, birth.user)
        # The upload's own expression for the device means the same at the loading line only in the
        # same function; elsewhere its names may not exist.
        is_near = _function(birth.frame) == _function(group.site.frame)
        asked = upload.device if upload else None
        related: list[tuple[str, Frame]] = []
        if birth.frame is not None:
            related.append(("loaded here", birth.frame))
        where = f" at line {birth.frame.line}" if birth.frame else ""
        return finding(
            self,
            facts,
            copies,
            rows,
            severity=by_library(
                group.site, Severity.WARNING if recurrence.often else Severity.INFO
            ),
            certainty=Certainty.PROVEN,
            message=(
                f"{what} was loaded onto the host{where} and is uploaded to {device} again, "
                f"{recurrence.words}"
            ),
            fix=_fix(loading, asked if asked and is_near else f'"{device}"'),
            related=related,
            evidence=[
                Evidence(
                    "provenance",
                    f"{plural(len(rows), 'upload')} of the very memory that torch.load filled",
                )
            ],
        )


def _function(frame: Frame | None) -> tuple[str, str] | None:
    return None if frame is None else (frame.file, frame.function)


def _fix(loading: CallSite | None, device: str) -> str:
    node = loading.node if loading else None
    if not (isinstance(node, ast.Call) and loading and _loads(loading, node)):
        return f"load it to where it is used: `torch.load(…, map_location={device})`"
    changed = copy.deepcopy(node)
    changed.keywords = [k for k in node.keywords if k.arg != "map_location"]
    changed.keywords.insert(0, ast.keyword("map_location", ast.parse(device, mode="eval").body))
    return f"load it to where it is used: `{ast.unparse(changed)}`"


def _loads(loading: CallSite, node: ast.Call) -> bool:
    return loading.file.dotted(node.func) == "torch.load" and len(node.args) <= 1
