"""Which rules run: layers of select, ignore and extend-select, as ruff reads them.

A layer that selects starts afresh; one that does not changes what the weaker layers chose.  Within
a layer the more specific selector wins, whichever list it stands in: ``select = ["PA201"]`` with
``ignore = ["PA2"]`` leaves PA201.
"""

from __future__ import annotations

from collections.abc import Sequence

from placeaudit.config import Layer
from placeaudit.errors import UsageError
from placeaudit.rules.registry import RULES, codes

__all__ = ["choose"]

_ALL = "ALL"


def choose(layers: Sequence[Layer]) -> tuple[str, ...]:
    """The codes of the rules to run, weakest layer first; every rule where no layer selects.

    Raises:
        UsageError: A selector is not known, or nothing is left.
    """
    chosen = frozenset(rule.code for rule in RULES)
    for layer in layers:
        adding = [_Selector(text, layer, adds=True) for text in layer.select or ()]
        adding += [_Selector(text, layer, adds=True) for text in layer.extend_select]
        taking = [_Selector(text, layer, adds=False) for text in layer.ignore]
        if layer.select is not None:
            chosen = frozenset()
        # Removing comes second among equals, as sorting is stable.
        for selector in sorted([*adding, *taking], key=lambda s: s.specificity):
            chosen = chosen | selector.codes if selector.adds else chosen - selector.codes
    if not chosen:
        raise UsageError("no rule is left to run: what is selected is ignored, too")
    return tuple(rule.code for rule in RULES if rule.code in chosen)


class _Selector:
    """One entry of a list, with the codes it stands for."""

    def __init__(self, text: str, layer: Layer, *, adds: bool) -> None:
        self.adds = adds
        try:
            self.codes = codes([text])
        except UsageError as error:
            raise UsageError(f"{layer.origin}{': ' if layer.origin else ''}{error}") from None
        # A code or a name says exactly one rule; of prefixes the longer one says more.
        exact = any(text.strip().upper() in {r.code, r.name.upper()} for r in RULES)
        whole = text.strip().upper() == _ALL
        self.specificity = 0 if whole else 99 if exact else len(text.strip())
