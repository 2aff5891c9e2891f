"""Auditing a whole test-suite: one record a test, one summary and one report for all."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import warnings
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from placeaudit.analyze.audit import Audit
from placeaudit.analyze.run import analyze
from placeaudit.config import load
from placeaudit.errors import OutputError, PlaceauditError, RecordError, UsageError
from placeaudit.model import Direction, Finding
from placeaudit.report.base import Reporter, Result, write
from placeaudit.report.units import count, plural, size
from placeaudit.rules.registry import codes
from placeaudit.settings import Given, Settings, settle
from placeaudit.testing.assertions import Limits, check, transfers, unobserved
from placeaudit.testing.recording import Block

__all__ = ["Audited", "Suite", "limits_of", "settings_of"]

_WORKER_INPUT: Final = "placeaudit_folder"
_SETTINGS: Final = pytest.StashKey[Settings]()
#: Tests in one report; those with stray copies first.
_MOST_TESTS: Final = 50
#: Lines of the summary.
_MOST_LINES: Final = 20


class Suite:
    """The audit of this run, in the process that runs tests and in the one that sums up."""

    def __init__(self, config: pytest.Config, *, report: str, audit: bool) -> None:
        self.audits = audit
        self._settings = settings_of(config)
        self._allow = tuple(config.getini("placeaudit_allow"))
        self._config = config
        self._report = Path(report).absolute() if report else None
        self._input: dict[str, Any] | None = getattr(config, "workerinput", None)
        self._found: list[dict[str, Any]] = []
        #: Tests that failed of themselves: what they copied until then is not counted.
        self._failed = 0
        self._written = ""
        self._numbers = itertools.count()
        self._stack = ExitStack()
        #: Where records are kept for the report; None where there is none to write.
        self.folder: Path | None = None

    def begin(self, simulate: str) -> None:
        """Check the settings, make room for records, simulate devices.

        Without ``simulate``, what is audited runs on the devices that the project's configuration
        names.
        """
        if self.audits and not simulate:
            simulate = self._settings.config.simulate
        try:
            codes(self._allow)
        except UsageError as error:
            raise pytest.UsageError(f"placeaudit_allow: {error}") from error
        if self._report is not None:
            if self._input is None:
                _reporter(self._report)
                if not self._report.parent.is_dir():  # said now, not once all tests have run
                    raise pytest.UsageError(
                        f"--placeaudit-report: there is no folder {self._report.parent}"
                    )
                made = tempfile.mkdtemp(prefix="placeaudit-")
                self._stack.callback(shutil.rmtree, made, ignore_errors=True)
                self.folder = Path(made)
            else:
                self.folder = Path(self._input[_WORKER_INPUT])
        if simulate and not self._only_distributes():
            from placeaudit.simulate import simulate as simulated

            try:
                self._stack.enter_context(simulated(simulate))
            except PlaceauditError as error:
                self.end()
                raise pytest.UsageError(f"{self._origin('simulate')}: {error}") from error

    def end(self) -> None:
        """Undo what :meth:`begin` did."""
        self._stack.close()

    def _origin(self, name: str) -> str:
        """Where a setting comes from: the option, the ini or the project's configuration."""
        for origin, value in (
            (f"--placeaudit-{name}", self._config.getoption(f"placeaudit_{name}")),
            (f"placeaudit_{name}", self._config.getini(f"placeaudit_{name}")),
        ):
            if value:
                return origin
        return self._settings.config.origins.get(name, "")

    def _only_distributes(self) -> bool:
        """Whether this is xdist's controller, which runs no test itself."""
        return self._input is None and getattr(self._config.option, "dist", "no") != "no"

    def record_path(self) -> Path | None:
        """Where to keep the record of the next test."""
        if self.folder is None:
            return None
        worker = (self._input or {}).get("workerid", "main")
        return self.folder / f"{worker}-{os.getpid()}-{next(self._numbers)}"

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker that xdist starts where to keep its records."""
        if self.folder is not None:
            node.workerinput[_WORKER_INPUT] = str(self.folder)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test ended, here or in a worker."""
        found = getattr(report, "placeaudit", None)
        if found is not None:
            self._found.append(found)
        elif report.when == "call" and report.failed:
            self._failed += 1

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        """Write the report of all tests."""
        if self._report is None or self._input is not None:
            return
        kept = [test for test in self._found if test["record"]]
        kept.sort(key=lambda test: (not _strays(test), test["nodeid"]))
        results = [found for test in kept[:_MOST_TESTS] if (found := self._result(test))]
        if not results:
            self._written = "no test was audited: there is nothing to report"
            return
        try:
            write(_reporter(self._report).render(results), self._report, force=True)
        except OutputError as error:
            self._written = str(error)
            return
        self._written = f"wrote {self._report}"
        if len(kept) > len(results):
            self._written += f" ({len(results)} of {len(kept)} tests, stray ones first)"

    def _result(self, test: dict[str, Any]) -> Result | None:
        try:
            result = self._settings.judge(Path(test["record"]))
        except RecordError:  # a worker on another machine keeps its records there
            return None
        allowed = codes(self._allow)
        kept = tuple(found for found in result.findings if found.rule not in allowed)
        return replace(result, findings=kept)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What all tests did, the lines with stray copies first."""
        if not self.audits:
            return
        write_line = terminalreporter.write_line
        terminalreporter.section("placeaudit")
        lines = _by_line(self._found)
        copies = sum(test["copies"] for test in self._found)
        crossed = sum(test["bytes"] for test in self._found)
        write_line(
            f"{plural(len(self._found), 'test')} audited: {plural(copies, 'copy', 'copies')} "
            f"between devices, {size(crossed)}; {plural(len(lines), 'line')} with stray copies or "
            "waits"
        )
        for line in lines[:_MOST_LINES]:
            write_line(
                f"{line['file']}:{line['line']}: {line['rule']} {line['name']} "
                f"({count(line['count'])}×, {plural(line['tests'], 'test')}): {line['message']}",
                yellow=True,
            )
            write_line(f"    fix: {line['fix']}")
        if len(lines) > _MOST_LINES:
            write_line(f"… and {plural(len(lines) - _MOST_LINES, 'more line')}")
        if self._failed:
            write_line(f"not counted, as they failed otherwise: {plural(self._failed, 'test')}")
        blind = [test["unobserved"] for test in self._found if test["unobserved"]]
        if blind:
            write_line(f"{plural(len(blind), 'test')} could not be observed: {blind[0]}")
        if self._written:
            write_line(self._written)


class Audited:
    """One test being audited."""

    def __init__(self, item: pytest.Item, suite: Suite | None, *, closely: bool) -> None:
        self._item = item
        self._settings = settings_of(item.config)
        self._kept = suite.record_path() if suite is not None else None
        self._audit: Audit | None = None
        self._findings: tuple[Finding, ...] = ()
        self._block = Block(self._kept, argv=[item.nodeid], closely=closely)

    def discard(self) -> None:
        """The test failed of itself: what it copied until then proves nothing."""
        self._block.end()
        if self._kept is not None:
            shutil.rmtree(self._kept, ignore_errors=True)

    def finish(self, limits: Limits | None) -> dict[str, Any]:
        """End the record; returns what was found, as plain data that xdist can send."""
        allow = limits.allow if limits is not None else None
        if allow is None:
            allow = codes(tuple(self._item.config.getini("placeaudit_allow")))
        audit = self._audit = analyze(self._block.end(), own=self._settings.own)
        self._findings = self._settings.findings(audit)
        rows = transfers(audit)
        kept = self._kept is not None and self._kept.exists()
        return {
            "nodeid": self._item.nodeid,
            "copies": len(rows),
            "bytes": int(audit.copies.bytes[rows].sum()),
            "unobserved": unobserved(audit),
            "record": str(self._kept) if kept else "",
            "findings": [
                {
                    "rule": found.rule,
                    "name": found.name,
                    "file": found.file,
                    "line": found.line,
                    "count": found.count,
                    "message": found.message,
                    "fix": found.fix,
                }
                for found in self._findings
                if found.is_stray and found.rule not in allow
            ],
        }

    def check(self, limits: Limits) -> None:
        """Hold the test against its markers.

        Raises:
            StrayCopyError: It did more than it may.
        """
        __tracebackhide__ = True
        assert self._audit is not None
        reason = unobserved(self._audit)
        if reason:
            warnings.warn(f"this test could not be observed: {reason}", stacklevel=2)
        check(self._audit, limits, self._findings)


def settings_of(config: pytest.Config) -> Settings:
    """What the project's configuration and the ini say of rules and packages.

    Raises:
        pytest.UsageError: The configuration is wrong.
    """
    if _SETTINGS not in config.stash:
        own = tuple(config.getini("placeaudit_own"))
        try:
            found = load(config.rootpath)
            config.stash[_SETTINGS] = settle(Given(own=own), found)
        except UsageError as error:
            raise pytest.UsageError(str(error)) from error
    return config.stash[_SETTINGS]


def limits_of(item: pytest.Item) -> Limits | None:
    """What the test's markers ask for, None where it has none.

    Raises:
        UsageError: A marker's argument makes no sense.
    """
    allow: frozenset[str] | None = None
    for marker in item.iter_markers("no_stray_copies"):
        allow = (allow or codes(tuple(item.config.getini("placeaudit_allow")))) | _allowed(marker)
    most = tuple(_most(marker) for marker in item.iter_markers("max_transfers"))
    return Limits(allow, None, most) if allow is not None or most else None


def _allowed(marker: pytest.Mark) -> frozenset[str]:
    allow = marker.kwargs.get("allow", ())
    if marker.args or marker.kwargs.keys() - {"allow"} or isinstance(allow, str):
        raise UsageError('the marker is written no_stray_copies(allow=["PA201"])')
    return codes(tuple(allow))


def _most(marker: pytest.Mark) -> tuple[int, Direction | None]:
    def read(n: int, direction: str | None = None) -> tuple[int, Direction | None]:
        limit = Limits.of(max_copies=n).max_copies[0][0]
        return limit, Direction(direction) if direction is not None else None

    try:
        return read(*marker.args, **marker.kwargs)
    except (TypeError, ValueError, IndexError):
        raise UsageError(
            'the marker is written max_transfers(3) or max_transfers(3, direction="d2h")'
        ) from None


def _strays(test: dict[str, Any]) -> int:
    return len(test["findings"])


def _by_line(tests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The stray findings of all tests, those of one rule at one line together, worst first."""
    merged: dict[tuple[str, str, int], dict[str, Any]] = {}
    for test in tests:
        for found in test["findings"]:
            key = found["rule"], found["file"], found["line"]
            line = merged.setdefault(key, found | {"count": 0, "tests": 0, "file": ""})
            line["count"] += found["count"]
            line["tests"] += 1
            line["file"] = _short(found["file"])
    return sorted(merged.values(), key=lambda x: (-x["count"], x["file"], x["line"], x["rule"]))


def _short(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


def _reporter(path: Path) -> Reporter:
    """The reporter that the name's ending chooses."""
    match path.suffix.lower():
        case ".html":
            from placeaudit.report.html import HtmlReporter

            return HtmlReporter()
        case ".json":
            from placeaudit.report.json import JsonReporter

            return JsonReporter()
        case ".sarif":
            from placeaudit.report.sarif import SarifReporter

            return SarifReporter()
        case ".md":
            from placeaudit.report.markdown import MarkdownReporter

            return MarkdownReporter()
        case ".xml":
            from placeaudit.report.junit import JunitReporter

            return JunitReporter()
    raise pytest.UsageError(
        f"--placeaudit-report: {path.name} ends in none of .html .json .sarif .md .xml"
    )
