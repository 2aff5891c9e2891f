"""A rule's docstring in its parts, for the formats that show them apart."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from typing import Final

from placeaudit.rules.base import Rule

__all__ = ["SECTIONS", "Documentation", "document"]

#: The sections of every rule, in their order.
SECTIONS: Final = (
    "What it does",
    "Why it costs",
    "Example",
    "Use instead",
    "When it is fine",
)


@dataclass(frozen=True, slots=True)
class Documentation:
    """The first sentence of a rule's docstring and its sections, by title."""

    summary: str
    sections: dict[str, str]

    def markdown(self) -> str:
        """All of it, code in fences."""
        parts = [self.summary]
        for title, text in self.sections.items():
            parts += [f"#### {title}", _fenced(text)]
        return "\n\n".join(parts)


def document(rule: Rule) -> Documentation:
    """Take the docstring of ``rule`` apart."""
    summary, _, rest = (inspect.getdoc(rule) or "").partition("\n")
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in rest.splitlines():
        title = line.rstrip().removesuffix(":")
        if title in SECTIONS:
            lines = found.setdefault(title, [])
        else:
            lines.append(line)
    return Documentation(
        summary.strip(),
        {title: textwrap.dedent("\n".join(text)).strip() for title, text in found.items()},
    )


def _fenced(text: str) -> str:
    """Markdown of the docstrings' markup: ``::`` blocks and double backticks."""
    text = text.replace("``", "`")
    out: list[str] = []
    blocks = text.split("::\n\n")
    out.append(blocks[0])
    for block in blocks[1:]:
        code: list[str] = []
        rest = block.splitlines()
        while rest and (not rest[0].strip() or rest[0].startswith(" ")):
            code.append(rest.pop(0))
        out.append(f"```python\n{textwrap.dedent(chr(10).join(code)).strip()}\n```\n")
        out.append("\n".join(rest))
    return "\n".join(part for part in out if part.strip()).strip()
