"""Writes the README's gallery of scenarios from the tests' own results.

    python -m pytest tests/scenarios --junitxml RESULTS && python tests/scenarios/gallery.py RESULTS

``make gallery`` does both.  A scenario whose test did not pass has no row, and none is written.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tests.scenarios.example import Example, examples  # noqa: E402

__all__ = ["main", "rows", "write"]

README = ROOT / "README.md"
BEGIN, END = "<!-- gallery: make gallery -->\n", "<!-- end of gallery -->"
#: The number of a scenario in facts/scenarios.md.
NUMBER = re.compile(r"\d+")


def findings(results: Path) -> dict[str, str]:
    """The first finding of each example whose test passed; empty where it has none.

    Raises:
        SystemExit: a test failed or was skipped.
    """
    found = {}
    for case in ET.parse(results).iter("testcase"):
        properties = {p.get("name"): p.get("value", "") for p in case.iter("property")}
        if "example" in properties:
            found[str(properties["example"])] = str(properties.get("finding", ""))
        elif any(case.find(outcome) is not None for outcome in ("failure", "error", "skipped")):
            raise SystemExit(f"gallery: {case.get('name')} did not pass; nothing is written")
    return found


def rows(found: dict[str, str]) -> list[str]:
    """The table's rows: scenarios in order, then the other examples."""
    return [_row(example, found[example.name]) for example in sorted(examples(), key=_order)]


def _order(example: Example) -> tuple[int, str]:
    match = NUMBER.search(example.settings.get("scenario", ""))
    return (int(match.group()) if match else sys.maxsize), example.name


def _row(example: Example, finding: str) -> str:
    settings = example.settings
    # A finding names the example's own file in full, which differs from clone to clone.
    said = finding.replace(f"{example.folder}/", "") or settings["waiting"]
    cells = (
        settings.get("scenario", ""),
        settings["system"],
        f"[`{example.name}`](examples/{example.name}/train.py)",
        said,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def write(readme: Path, table: list[str]) -> None:
    """Put the table between its marks."""
    text = readme.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    head = ["| # | System | Example | First finding |", "|---|---|---|---|"]
    readme.write_text(
        f"{before}{BEGIN}\n" + "\n".join([*head, *table]) + f"\n\n{END}{after}", encoding="utf-8"
    )


def main(results: str) -> None:
    """Read the results of the tests and write the README."""
    write(README, rows(findings(Path(results))))


if __name__ == "__main__":
    main(*sys.argv[1:])
