"""``placeaudit explain``: a rule's own documentation, or the list of rules."""

from __future__ import annotations

import inspect
import textwrap

import click

__all__ = ["command"]


@click.command("explain", short_help="Explain a rule, or list them all.")
@click.argument("rule", required=False, metavar="[RULE]")
def command(*, rule: str | None) -> int:
    """Print the documentation of RULE (a code such as PA103, or a name such as host-created)."""
    from placeaudit.report.base import emit
    from placeaudit.rules.registry import RULES, TENSORFLOW_RULES, find

    if rule is not None:
        found = find(rule)
        emit(f"{found.code} {found.name} ({found.severity})\n\n{inspect.getdoc(found)}\n")
        for twin in TENSORFLOW_RULES:
            if twin.code == found.code:
                said = textwrap.indent(inspect.getdoc(twin) or "", "    ")
                emit(f"\nIn TensorFlow\n{said}\n")
        return 0
    width = max(len(known.name) for known in RULES)
    for known in sorted(RULES, key=lambda rule: rule.code):
        summary = (inspect.getdoc(known) or "").partition("\n")[0]
        emit(f"{known.code}  {known.name:<{width}}  {known.severity:<7}  {summary}\n")
    return 0
