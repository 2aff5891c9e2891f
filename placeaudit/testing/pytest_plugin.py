"""The pytest plugin: audits tests, fails the marked ones, sums up; works under pytest-xdist.

Loaded by pytest in every run where placeaudit is installed, so it imports nothing of weight until a
test asks for it.  ``-p no:placeaudit`` leaves it out.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest

__all__ = ["Placeaudit"]

_SUITE = pytest.StashKey[Any]()
_FOUND = pytest.StashKey[dict[str, Any]]()
_MARKERS = (
    "no_stray_copies(allow=[...]): fail if the test makes stray copies, but for these rules'",
    "max_transfers(n, direction=None): fail if the test makes more copies (h2d, d2h, d2d) than n",
)


class Placeaudit:
    """What the fixture ``placeaudit`` gives: the module's functions, under the project's settings.

    >>> def test_step(placeaudit):
    ...     with placeaudit.assert_no_stray_copies(max_copies=1):
    ...         step()
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def __getattr__(self, name: str) -> Any:
        import placeaudit

        return getattr(placeaudit, name)

    def assert_no_stray_copies(
        self,
        allow: Sequence[str] = (),
        max_copies: int | None = None,
        max_bytes: int | None = None,
    ) -> Any:
        """As ``placeaudit.assert_no_stray_copies``, under the ini and ``[tool.placeaudit]``."""
        from placeaudit.testing.assertions import AssertNoStrayCopies, Limits
        from placeaudit.testing.suite import settings_of

        limits = Limits.of(allow, max_copies, max_bytes)
        known = Limits.of(self._config.getini("placeaudit_allow")).allow or frozenset()
        limits = replace(limits, allow=(limits.allow or frozenset()) | known)
        return AssertNoStrayCopies(limits, settings_of(self._config))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options and ini settings."""
    group = parser.getgroup("placeaudit", "copies between devices")
    group.addoption(
        "--placeaudit",
        action="store_true",
        help="audit every test and sum up the stray copies at the end",
    )
    group.addoption(
        "--placeaudit-simulate",
        metavar="SPEC",
        help='give the tests devices that are not there: "cuda:2", "cuda=h100" (where tests are '
        "audited, by default what [tool.placeaudit] says)",
    )
    group.addoption(
        "--placeaudit-report",
        metavar="FILE",
        help="write one report of all tests (implies --placeaudit); the name's ending chooses "
        "HTML, JSON, SARIF, Markdown or JUnit: .html .json .sarif .md .xml",
    )
    parser.addini("placeaudit_enabled", "as --placeaudit", type="bool", default=False)
    parser.addini("placeaudit_simulate", "as --placeaudit-simulate", default="")
    parser.addini("placeaudit_report", "as --placeaudit-report", default="")
    parser.addini(
        "placeaudit_allow", "rules that may be found in any test", type="args", default=[]
    )
    parser.addini("placeaudit_own", "installed packages that are your own", type="args", default=[])


def pytest_configure(config: pytest.Config) -> None:
    """Register markers; begin to audit and to simulate where that is asked for."""
    for marker in _MARKERS:
        config.addinivalue_line("markers", marker)
    report = config.getoption("placeaudit_report") or config.getini("placeaudit_report")
    simulate = config.getoption("placeaudit_simulate") or config.getini("placeaudit_simulate")
    enabled = config.getoption("placeaudit") or config.getini("placeaudit_enabled") or report
    if not (enabled or simulate):
        return
    from placeaudit.testing.suite import Suite

    suite = config.stash[_SUITE] = Suite(config, report=report if enabled else "", audit=enabled)
    suite.begin(simulate)
    config.pluginmanager.register(suite, "placeaudit-suite")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Take the simulated device away again."""
    suite = config.stash.get(_SUITE, None)
    if suite is not None:
        suite.end()


@pytest.fixture(name="placeaudit")
def _placeaudit(pytestconfig: pytest.Config) -> Placeaudit:
    """The functions of placeaudit: ``assert_no_stray_copies``, ``guard``, ``trace`` and so on."""
    return Placeaudit(pytestconfig)


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Audit the test function itself; what fixtures do before and after it does not count."""
    __tracebackhide__ = True
    suite = item.config.stash.get(_SUITE, None)
    marked = any(item.get_closest_marker(name) for name in ("no_stray_copies", "max_transfers"))
    if not marked and (suite is None or not suite.audits):
        return (yield)
    from placeaudit.errors import UsageError
    from placeaudit.testing.suite import Audited, limits_of

    try:
        limits = limits_of(item)
    except UsageError as error:
        # Without the lines of ours that noticed: they say nothing of the test.
        raise pytest.fail.Exception(f"placeaudit: {error}", pytrace=False) from None
    audited = Audited(item, suite, closely=limits is not None)
    try:
        result = yield
    except BaseException:
        audited.discard()
        raise
    item.stash[_FOUND] = audited.finish(limits)
    if limits is not None:
        audited.check(limits)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Send what was found along with the test's report: under xdist it goes to the controller."""
    report = yield
    found = item.stash.get(_FOUND, None)
    if found is not None and call.when == "call":
        report.placeaudit = found  # type: ignore[attr-defined]
    return report
