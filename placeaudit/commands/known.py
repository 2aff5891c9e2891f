"""``check --baseline`` and ``--write-baseline``: known findings, until they are gone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from placeaudit.errors import OutputError, UsageError
from placeaudit.report import base
from placeaudit.report.base import Result
from placeaudit.report.units import plural
from placeaudit.settings import Settings
from placeaudit.verdict.baseline import Baseline, BaselineMatch, Key, key_of, stray_keys

__all__ = ["Known", "write"]

#: Entries that a notice names before it only counts.
_NAMED: Final = 3


@dataclass(frozen=True)
class Known:
    """A baseline held against the records of today."""

    file: Path
    baseline: Baseline
    compared: BaselineMatch
    results: Sequence[Result]
    settings: Settings

    @classmethod
    def read(cls, file: Path, results: Sequence[Result], settings: Settings) -> Known:
        """The baseline in ``file``.

        Raises:
            BaselineError: It is missing, is no baseline, or of another version.
        """
        baseline = Baseline.read(file)
        return cls(file, baseline, _compare(baseline, results, settings), results, settings)

    def left(self) -> list[Result]:
        """The results without what the baseline knows."""
        left = []
        for result in self.results:
            cwd = result.audit.meta.cwd
            kept = tuple(
                finding
                for finding in result.findings
                if not (
                    finding.is_stray
                    and key_of(finding, cwd, self.settings.paths) in self.compared.known
                )
            )
            left.append(replace(result, findings=kept, known=len(result.findings) - len(kept)))
        return left

    def notices(self, *, shrink: bool) -> list[str]:
        """What is to be said about it; ``shrink``: drop what is gone from the file, and say so."""
        known = sum(result.known for result in self.left())
        notices = [f"{plural(known, 'finding')} known to {self.file} left out"] if known else []
        for key, (now, before) in self.compared.grown.items():
            notices.append(
                f"{key}: {plural(now, 'finding')} where {self.file} knows {before}; which is new "
                "cannot be told, so all are shown"
            )
        dropped = self._outlived() if shrink else {}
        if dropped:
            notices.append(self._shrink(dropped))
        absent = {key: n for key, n in self.compared.gone.items() if key not in dropped}
        if absent:
            notices.append(
                f"{plural(sum(absent.values()), 'finding')} of {self.file} not found in this run: "
                f"{_listed(absent)}; --write-baseline {self.file} drops what is not found"
            )
        return notices

    def _outlived(self) -> Mapping[Key, int]:
        """What is gone for sure: its file was run by a program that came to its end.

        A run that stopped early, or that never came to a file, proves nothing of what it left out;
        nor does a rule that is ignored in that file today.
        """
        if any(
            result.audit.meta.exit_code != 0 or not result.audit.whole for result in self.results
        ):
            return {}
        ran = {
            self.settings.paths.of(file, result.audit.meta.cwd)
            for result in self.results
            for file in result.audit.sources
        }
        return {
            key: n
            for key, n in self.compared.gone.items()
            if key.path in ran and not self.settings.per_file.covers(key.rule, key.path)
        }

    def _shrink(self, dropped: Mapping[Key, int]) -> str:
        try:
            base.write(self.baseline.without(dropped).text(), self.file, force=True)
        except OutputError as error:
            return f"{error}; gone from the code, not from there: {_listed(dropped)}"
        return f"dropped from {self.file} what is gone: {_listed(dropped)}"


def write(file: Path, results: Sequence[Result], settings: Settings) -> str:
    """Write what is found today; what to say about it.

    Raises:
        BaselineError: The file is there and is no baseline of ours: it is never overwritten.
        UsageError: Nothing could be observed.
    """
    for result in results:
        if result.headline.state == "unknown":
            raise UsageError(
                f"nothing could be observed in {result.audit.meta.path}: a baseline of it would "
                "say nothing"
            )
    today = Baseline.of(_keys(results, settings))
    before = Baseline.read(file) if file.exists() else None
    changes = ""
    if before is not None:
        gone = sum(_compare(before, results, settings).gone.values())
        new = sum(max(0, n - before.counts.get(key, 0)) for key, n in today.counts.items())
        changes = f" ({new} new, {gone} dropped as no longer found)"
        today = before.kept(rules=settings.rules) + today
    base.write(today.text(), file, force=True)
    return f"wrote {file}: {plural(sum(today.counts.values()), 'known finding')}{changes}"


def _compare(baseline: Baseline, results: Sequence[Result], settings: Settings) -> BaselineMatch:
    return baseline.compare(_keys(results, settings), rules=settings.rules)


def _keys(results: Sequence[Result], settings: Settings) -> tuple[Key, ...]:
    found = [(result.audit.meta.cwd, result.findings) for result in results]
    return stray_keys(found, settings.paths)


def _listed(keys: Collection[Key]) -> str:
    named = [str(key) for key in list(keys)[:_NAMED]]
    more = len(keys) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")
