"""``placeaudit explain``: a rule's own documentation, or the list of rules."""

from __future__ import annotations

import inspect

import click

__all__ = ["command"]


@click.command("explain", short_help="Explain a rule, or list them all.")
@click.argument("rule", required=False, metavar="[RULE]")
def command(*, rule: str | None) -> int:
    """Print the documentation of RULE (a code such as PA103, or a name such as host-created)."""
    from placeaudit.rules.registry import RULES, find

    if rule is None:
        width = max(len(known.name) for known in RULES)
        for known in RULES:
            summary = (inspect.getdoc(known) or "").partition("\n")[0]
            click.echo(f"{known.code}  {known.name:<{width}}  {known.severity:<7}  {summary}")
        return 0
    found = find(rule)
    click.echo(f"{found.code} {found.name} ({found.severity})\n")
    click.echo(inspect.getdoc(found))
    return 0
