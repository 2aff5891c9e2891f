"""Scores every rule on the corpus, beside PyTorch's own tools; writes reports/corpus.md.

Run with ``make score``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from placeaudit.model import Severity
from placeaudit.rules.registry import RULES
from tests.corpus.harness import Outcome, Place, Program, marks, programs, run
from tests.corpus.sets import FirstScore, ProgramSet, first_scores, keep, members, sets

REPORT = Path(__file__).parents[2] / "reports" / "corpus.md"

#: Of these rules every finding counts; of the others those that fail a check.
_INFO_RULES = frozenset(rule.code for rule in RULES if rule.severity is Severity.INFO)
#: What the tools beside are scored on: rules of copies and of waits.
_COPIES = ("PA1",)
_WAITS = ("PA2",)

Line = tuple[str, int]


@dataclass
class Score:
    """Hits, false alarms and misses."""

    hits: int = 0
    false_alarms: list[Place] = field(default_factory=list)
    misses: list[Place] = field(default_factory=list)

    def add(self, found: Collection[Place], marked: Collection[Place]) -> None:
        self.hits += len(set(found) & set(marked))
        self.false_alarms += sorted(set(found) - set(marked))
        self.misses += sorted(set(marked) - set(found))

    @property
    def precision(self) -> float | None:
        found = self.hits + len(self.false_alarms)
        return self.hits / found if found else None

    @property
    def recall(self) -> float | None:
        marked = self.hits + len(self.misses)
        return self.hits / marked if marked else None

    def row(self, name: str) -> str:
        figures = (self.hits + len(self.misses), self.hits, len(self.false_alarms))
        cells = [name, *map(str, figures), str(len(self.misses))]
        return "| " + " | ".join([*cells, _ratio(self.precision), _ratio(self.recall)]) + " |"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def compare(program: Program, outcome: Outcome) -> tuple[set[Place], set[Place]]:
    """What was found and what is marked, of one program.

    Infos of rules that also warn count where they are marked: a marked info that is missing, or
    that came as a warning, is an error; an unmarked one is not.
    """
    warnings, infos = marks(program)
    failing = {place for place, severity in outcome.findings if severity != "info"}
    noted = {place for place, severity in outcome.findings if severity == "info"}
    strict = {place for place in noted if place[0] in _INFO_RULES}
    # An info is told apart from a warning at the same place, so that neither stands for the other.
    as_info = {(f"{rule} info", file, line) for rule, file, line in (noted & infos) | strict}
    marked = {(f"{rule} info", file, line) for rule, file, line in infos}
    return failing | as_info, warnings | marked


def score(chosen: Iterable[Program], outcomes: Mapping[str, Outcome]) -> dict[str, Score]:
    """A score per rule."""
    scores: defaultdict[str, Score] = defaultdict(Score)
    for program in chosen:
        found, marked = compare(program, outcomes[program.key])
        for rule in {place[0] for place in found | marked}:
            scores[rule].add(
                [place for place in found if place[0] == rule],
                [place for place in marked if place[0] == rule],
            )
    return dict(sorted(scores.items()))


def total(scores: Iterable[Score]) -> Score:
    """All rules together."""
    whole = Score()
    for part in scores:
        whole.hits += part.hits
        whole.false_alarms += part.false_alarms
        whole.misses += part.misses
    return whole


def _lines(chosen: Iterable[Program], families: tuple[str, ...]) -> set[Line]:
    """Lines that a rule of one of ``families`` is marked at, as a warning."""
    return {
        (file, line)
        for program in chosen
        for rule, file, line in marks(program)[0]
        if rule.startswith(families)
    }


def _beside(name: str, found: set[Line], marked: set[Line]) -> str:
    whole = Score()
    whole.add({("", *line) for line in found}, {("", *line) for line in marked})
    return whole.row(name)


def _tools(chosen: tuple[Program, ...], outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """The tables of PyTorch's own tools on the same programs."""
    matched = {line for outcome in outcomes.values() for line in outcome.matched}
    warned = {line for outcome in outcomes.values() for line in outcome.warned}
    waited = {line for outcome in outcomes.values() for line in outcome.waits}
    ours = _ours(outcomes, _COPIES + _WAITS)
    created = _lines(chosen, ("PA103",))
    everything = _lines(chosen, _COPIES + _WAITS)
    waits = _lines(chosen, _WAITS)
    ahead = sorted((matched | warned | waited) & everything - ours)
    others = sorted({name for outcome in outcomes.values() for name in outcome.other_patterns})
    yield from (
        "## PyTorch's own tools on the same programs",
        "",
        "Scored by line alone, whatever the tool calls it: a line is marked if any of the rules",
        "named is marked there as a warning. None of them knows of steps, so what they say of",
        "lines that ran in setup only is left out.",
        "",
        _head("against"),
        _beside("extra-copy pattern, on its own ground (PA103)", matched, created),
        _beside("extra-copy pattern, on copies and waits (PA1xx, PA2xx)", matched, everything),
        _beside("synchronisation debug mode, on waits (PA2xx)", warned, waits),
        _beside("synchronisation debug mode, on copies and waits", warned, everything),
        _beside("every recorded wait is a finding, on waits (PA2xx)", waited, waits),
        _beside("every recorded wait is a finding, on copies and waits", waited, everything),
        _beside("placeaudit, on the ground of PA103", _ours(outcomes, ("PA103",)), created),
        _beside("placeaudit, on waits (PA2xx)", _ours(outcomes, _WAITS), waits),
        _beside("placeaudit, on copies and waits (PA1xx, PA2xx)", ours, everything),
        "",
        "* **Extra-copy pattern**: `ExtraCUDACopyPattern` of `torch.profiler._pattern_matcher`,",
        "  run on CPU profiles, with stacks and shapes, of the simulated programs. It aims at one",
        "  thing: a tensor that was filled on the host and moved at once (the ground of PA103). It",
        "  looks at the order of events, not at which tensor was filled. Waits, duplicates, round",
        "  trips and unused copies are not its subject. PyTorch's other patterns are about",
        "  precision, fused optimizers and loaders without workers; none is about copies or waits,",
        "  so none is scored here"
        + (f" (these matched something: {', '.join(others)})." if others else "."),
        "* **Synchronisation debug mode**: each program runs with",
        '  `torch.cuda.set_sync_debug_mode("warn")`, as the simulated device has it; a line counts',
        "  if it is the innermost one of the program on the stack of a warning. It names waits and",
        "  does not judge them: a batch's needed upload waits too. It says nothing of explicit",
        "  synchronisation, nor of waits in backward, whose stack is not the program's.",
        "* **Every recorded wait is a finding**: the same reading of placeaudit's own record,",
        "  which holds those waits as well.",
        f"* Marked lines that one of them names and placeaudit does not: {len(ahead)}"
        + "".join(f", `{file}:{line}`" for file, line in ahead)
        + ".",
        "* Where they are ahead otherwise: all of it comes with PyTorch; the debug mode costs",
        '  nothing while it is off, and as `"error"` it raises at the very line.',
        "",
    )


def _ours(outcomes: Mapping[str, Outcome], families: tuple[str, ...]) -> set[Line]:
    """Lines at which a rule of ``families`` fails a check."""
    return {
        (place[1], place[2])
        for outcome in outcomes.values()
        for place, severity in outcome.findings
        if severity != "info" and place[0].startswith(families)
    }


def _head(first: str) -> str:
    return (
        f"| {first} | marked | found | false alarms | misses | precision | recall |\n"
        "|---|--:|--:|--:|--:|--:|--:|"
    )


def report(
    chosen: tuple[Program, ...], outcomes: Mapping[str, Outcome], *, tools: bool = True
) -> str:
    """The report, as Markdown; with ``tools``, PyTorch's own on the same programs."""
    scores = score(chosen, outcomes)
    whole = total(scores.values())
    kinds = [program.kind.partition("_")[0] for program in chosen]
    names = {rule.code: rule.name for rule in RULES}
    failed = [program.key for program in chosen if outcomes[program.key].error]
    lines = [
        "# Precision and recall on the corpus",
        "",
        "Written by `make score`; do not edit. The programs are in `tests/corpus/programs/`:",
        f"{len(chosen)} of them, {kinds.count('bad')} with something stray, as many fixed twins",
        f"that compute the same ({kinds.count('good')}), and {kinds.count('trap')} traps: what a",
        "naive rule gets wrong. Each runs under simulated devices. A finding counts by rule, file",
        "and line; of rules that fail a check only what fails it, and infos where one is marked.",
        "",
        _head("rule"),
        *(part.row(f"{rule} {names.get(rule[:5], '')}") for rule, part in scores.items()),
        whole.row("**all**"),
        "",
    ]
    for title, places in (("False alarms", whole.false_alarms), ("Misses", whole.misses)):
        lines += [f"## {title}", ""]
        lines += [f"* {rule} at `{file}:{line}`" for rule, file, line in sorted(places)]
        lines += ["None."] * (not places) + [""]
    if failed:
        lines += ["## Programs that failed", "", *(f"* {key}" for key in failed), ""]
    lines += _by_set(chosen, outcomes)
    torch = tuple(program for program in chosen if program.framework == "torch")
    if tools and torch:
        lines += _tools(torch, {program.key: outcomes[program.key] for program in torch})
    return "\n".join(lines).rstrip() + "\n"


def first_score(one: ProgramSet, processes: int, commit: str) -> FirstScore:
    """Score a set that no rule has seen yet, to be kept.

    Raises:
        ValueError: A program failed: that would be a score of the recorder.
    """
    chosen = members(one, programs())
    outcomes = run(chosen, processes=processes)
    failed = [program.key for program in chosen if outcomes[program.key].error]
    if failed:
        raise ValueError(f"{failed[0]} failed")
    scores = score(chosen, outcomes)
    whole = total(scores.values())
    return FirstScore(
        commit,
        programs=len(chosen),
        hits={rule: part.hits for rule, part in scores.items()},
        false_alarms=tuple(whole.false_alarms),
        misses=tuple(whole.misses),
    )


def _at_first(first: FirstScore) -> dict[str, Score]:
    """A kept first score, per rule."""
    scores: defaultdict[str, Score] = defaultdict(Score)
    for rule, hits in first.hits.items():
        scores[rule].hits = hits
    for place in first.false_alarms:
        scores[place[0]].false_alarms.append(place)
    for place in first.misses:
        scores[place[0]].misses.append(place)
    return dict(sorted(scores.items()))


def put_right(one: ProgramSet, scores: Iterable[Score]) -> Score:
    """All rules together, where marks that were wrong are put right."""
    whole = total(scores)
    right = [place for place in whole.false_alarms if one.reason(place)]
    return Score(
        whole.hits + len(right),
        [place for place in whole.false_alarms if not one.reason(place)],
        [place for place in whole.misses if not one.reason(place)],
    )


def _by_set(chosen: tuple[Program, ...], outcomes: Mapping[str, Outcome]) -> Iterator[str]:
    """What each set of programs scores, and what it scored when the rules first met it."""
    names = {rule.code: rule.name for rule in RULES}
    yield from ("## By set", "", _head("set"))
    for one in sets():
        yield total(score(members(one, chosen), outcomes).values()).row(one.name)
    yield ""
    yield from (f"* **{one.name}**: {one.about}." for one in sets())
    yield ""
    known = {one.name: one for one in sets()}
    for name, first in first_scores().items():
        one, scores = known[name], _at_first(first)
        yield from (
            f"### The {name} set when the rules first met it",
            "",
            f"{first.programs} programs, scored once, by the rules of commit {first.commit}.  What",
            "follows stays what it was; the tables above say what became of it.",
            "",
            _head("rule"),
            *(part.row(f"{rule} {names.get(rule[:5], '')}") for rule, part in scores.items()),
            total(scores.values()).row("**all**"),
            put_right(one, scores.values()).row("**all**, wrong marks put right"),
            "",
        )
        errors = [("False alarm", place) for place in first.false_alarms]
        errors += [("Miss", place) for place in first.misses]
        yield from (
            f"* {kind}: {place[0]} at `{place[1]}:{place[2]}`"
            + (f" (the mark was wrong: {one.reason(place)})" if one.reason(place) else "")
            for kind, place in errors
        )
        yield ""


def _head_commit() -> str:
    asked = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(asked, capture_output=True, check=True, text=True).stdout.strip()


def main() -> int:
    """Run the corpus, write the report, print it; 1 if a rule is below what is asked of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only programs whose key contains one of these")
    parser.add_argument("-j", "--processes", type=int, default=2)
    parser.add_argument(
        "--first-score", metavar="SET", choices=[one.name for one in sets()],
        help="keep what a set scores that no rule has seen; once for each set",
    )  # fmt: skip
    parser.add_argument(
        "--without-tools", action="store_true", help="leave PyTorch's own tools out: much faster"
    )
    parser.add_argument("--commit", help="with --first-score: whose rules they are (default: HEAD)")
    options = parser.parse_args()
    if options.first_score:
        (one,) = (one for one in sets() if one.name == options.first_score)
        commit = options.commit or _head_commit()
        keep(one.name, first_score(one, options.processes, commit))
        return 0
    chosen = tuple(
        program
        for program in programs()
        if not options.names or any(name in program.key for name in options.names)
    )
    tools = not options.without_tools
    outcomes = run(chosen, processes=options.processes, tools=tools)
    text = report(chosen, outcomes, tools=tools)
    if not options.names:
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    parts = score(chosen, outcomes).values()
    low = [v for part in parts for v in (part.precision, part.recall) if v is not None and v < 0.98]
    return 1 if low else 0


if __name__ == "__main__":
    raise SystemExit(main())
