"""A pytest plugin: nothing is skipped silently.

A test that needs what a machine may lack (a browser, a compose client) gives up through ``cannot_run``; the end of the
run lists each with its reason. Any other skip, and any xfail, fails the run; with CI=true every skip does, because
there the machine is ours to equip.
"""

import os
import shutil
from collections.abc import Iterator
from typing import Final, NoReturn

import pytest

_PREFIX: Final = "this machine cannot run it: "
_LISTED: Final = pytest.StashKey[list[tuple[str, str]]]()
_FORBIDDEN: Final = pytest.StashKey[list[tuple[str, str]]]()


def cannot_run(reason: str) -> NoReturn:
    """Give the running test up because this machine lacks something; ``reason`` says what, and how to get it."""
    pytest.skip(_PREFIX + reason)


def need_program(*names: str, reason: str) -> str:
    """Return the path of the first of these programs that is installed, or give the running test up."""
    paths: Iterator[str | None] = (shutil.which(name) for name in names)
    return next((path for path in paths if path), None) or cannot_run(reason)


def pytest_configure(config: pytest.Config) -> None:
    """Start with empty lists."""
    config.stash[_LISTED] = []
    config.stash[_FORBIDDEN] = []
    config.pluginmanager.register(_Recorder(config), "what_cannot_run_recorder")


class _Recorder:
    """Sorts what was skipped into what a machine may lack and what nobody may skip."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._record(report.nodeid, report.longrepr)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped or hasattr(report, "wasxfail"):
            self._record(report.nodeid, getattr(report, "wasxfail", report.longrepr))

    def _record(self, test: str, why: object) -> None:
        reason = str(why[2] if isinstance(why, tuple) else why).removeprefix("Skipped: ")
        is_listed = reason.startswith(_PREFIX)
        kind = _LISTED if is_listed else _FORBIDDEN
        self._config.stash[kind].append((test, reason.removeprefix(_PREFIX)))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run that skipped what it must not."""
    may_list = os.environ.get("CI") != "true"
    stash = session.config.stash
    if session.exitstatus == pytest.ExitCode.OK and (stash[_FORBIDDEN] or (stash[_LISTED] and not may_list)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was not run, and why."""
    for title, key in (("what this machine cannot run", _LISTED), ("skipped without a right to", _FORBIDDEN)):
        if terminalreporter.config.stash[key]:
            terminalreporter.section(title)
        for test, reason in terminalreporter.config.stash[key]:
            terminalreporter.write_line(f"{test}: {reason}")
    if terminalreporter.config.stash[_LISTED] and os.environ.get("CI") == "true":
        terminalreporter.write_line("CI=true: a test that cannot run fails the run")
