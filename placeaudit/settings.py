"""From configuration and command line to what is judged how, and from a record to its verdict."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from placeaudit import config
from placeaudit.errors import UsageError
from placeaudit.verdict.paths import ProjectPaths
from placeaudit.verdict.per_file_ignores import PerFileIgnores

if TYPE_CHECKING:
    from placeaudit.analyze.audit import Audit
    from placeaudit.model import Finding
    from placeaudit.report.base import Result

__all__ = ["Given", "Settings", "settle", "split"]


def split(values: tuple[str, ...]) -> tuple[str, ...]:
    """``("PA101,PA2", "PA3")`` as ``("PA101", "PA2", "PA3")``."""
    return tuple(word for value in values for word in config.words(value))


@dataclass(frozen=True, slots=True)
class Given:
    """What the command line says about rules and packages; () where it says nothing."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    per_file_ignores: tuple[str, ...] = ()
    own: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """What holds for one command or test run: configuration, environment, command line together."""

    config: config.Config
    #: Codes of the rules to run.
    rules: tuple[str, ...]
    own: tuple[str, ...]
    per_file: PerFileIgnores
    paths: ProjectPaths

    def judge(self, run: Path) -> Result:
        """Read, analyse and judge one record.

        Raises:
            RecordError: There is none, or it cannot be read.
        """
        from placeaudit.analyze.run import analyze
        from placeaudit.report.base import Result
        from placeaudit.store.reader import read_run

        audit = analyze(read_run(run), own=self.own)
        return Result(audit, self.findings(audit))

    def findings(self, audit: Audit) -> tuple[Finding, ...]:
        """What the chosen rules find, worst first, but for files in which they are ignored."""
        from placeaudit.rules.registry import run_rules

        found = run_rules(audit, select=self.rules)
        return tuple(f for f in found if not self.per_file.silences(f, audit.meta.cwd))

    def notices(self, results: Sequence[Result]) -> list[str]:
        """What a reader of the results should know of the sources: changed, gone, wrong ignores."""
        from placeaudit.verdict.sources import source_changes

        found = self._wrong_comments(results)
        for result in results:
            lines: defaultdict[str, set[int]] = defaultdict(set)
            for finding in result.findings:
                lines[finding.file].add(finding.line)
            cwd = result.audit.meta.cwd
            names = {file: self.paths.of(file, cwd) for file in lines}
            found.append(source_changes(result.audit.sources, lines).notice(names))
        return [notice for notice in dict.fromkeys(found) if notice]

    def check_comments(self, results: Sequence[Result]) -> None:
        """Refuse ignoring comments that name no rule, or none that there is.

        Raises:
            UsageError: There is one; the message says where, and how many more there are.
        """
        for wrong in self._wrong_comments(results):
            raise UsageError(wrong)

    def _wrong_comments(self, results: Sequence[Result]) -> list[str]:
        """One line about all of them, if there are any."""
        wrong = list(dict.fromkeys(text for result in results for text in self._comments(result)))
        more = f" (and {len(wrong) - 1} more like it)" if len(wrong) > 1 else ""
        return [f"{wrong[0]}{more}"] if wrong else []

    def _comments(self, result: Result) -> Iterable[str]:
        from placeaudit.rules.registry import find
        from placeaudit.verdict.suppressions import ignores, malformed

        for file, text in sorted(result.audit.sources.items()):
            name = self.paths.of(file, result.audit.meta.cwd)
            for line, comment in malformed(text).items():
                yield (
                    f"{name}:{line}: `{comment}` names no rule; write, for one, "
                    "`# placeaudit: ignore[PA201]`"
                )
            for line, codes in ignores(text).items():
                for code in sorted(codes):
                    try:
                        find(code)
                    except UsageError as error:
                        yield f"{name}:{line}: {error}"


def settle(given: Given, found: config.Config | None = None) -> Settings:
    """What the configuration says, changed by what the command line says.

    ``found`` is the configuration where it has been read already.

    Raises:
        UsageError: A setting or a rule is not known, or has the wrong type.
    """
    from placeaudit.rules.registry import codes
    from placeaudit.rules.selection import choose

    for option in ("select", "ignore", "extend_select"):
        said = getattr(given, option)
        if said and not split(said):
            name = option.replace("_", "-")
            raise UsageError(f"--{name} names no rule; write, for one, --{name} PA201")
    found = found or config.load()
    line = config.Layer(
        select=split(given.select) if given.select else None,
        ignore=split(given.ignore),
        extend_select=split(given.extend_select),
    )
    patterns = found.per_file_ignores
    if given.per_file_ignores:
        patterns = tuple(
            pair for text in given.per_file_ignores for pair in config.parse_per_file_ignores(text)
        )
    try:
        resolved = [(pattern, codes(rules)) for pattern, rules in patterns]
    except UsageError as error:
        origin = "" if given.per_file_ignores else found.origins.get("per-file-ignores", "")
        raise UsageError(f"{origin}{': ' if origin else ''}{error}") from None
    paths = ProjectPaths()
    return Settings(
        config=found,
        rules=choose((*found.layers, line)),
        own=split(given.own) if given.own else found.own,
        per_file=PerFileIgnores(resolved, found.root, paths),
        paths=paths,
    )
