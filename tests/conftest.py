"""What a test may ask of the machine, and what happens when the machine does not have it.

A test that needs root, or a program, says so with a marker and is skipped where it is missing. With CI set in the
environment a skip is a failure: nobody reads the reasons there, and a check that was not made must not look passed.

What tests tell as figures is printed at the end, and with `--figures FILE` kept in a file, too.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.support.figures import Figures, record

_FIGURES = pytest.StashKey[Figures]()
_BEGAN = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option for the figures."""
    parser.addoption("--figures", type=Path, metavar="FILE", help="keep the figures of this run in a file, too")


def pytest_configure() -> None:
    """Put the folders of system programs, such as xinetd, on the PATH: Debian gives them to root only."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose needs the machine does not meet."""
    if item.get_closest_marker("needs_root") and os.geteuid() != 0:
        pytest.skip("needs root")
    tools = {tool for marker in item.iter_markers("needs_tool") for tool in marker.args}
    if missing := sorted(tool for tool in tools if not shutil.which(tool)):
        pytest.skip(f"needs {', '.join(missing)}: run `make test-tools`")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI set, turn a skip, whatever its cause, into a failure with the same reason."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"CI allows no skipped test: {reason}"
    return report


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figures:
    """What a test tells its figures to."""
    return request.config.stash.setdefault(_FIGURES, Figures())


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: pytest.ExitCode, config: pytest.Config
) -> None:
    """Print the figures, and keep them if that was asked for."""
    figures = config.stash.get(_FIGURES, Figures())
    if figures.lines:
        terminalreporter.section("figures")
        for line in figures.lines:
            terminalreporter.line(line)
    if file := config.getoption("--figures"):
        counts = {kind: len(terminalreporter.stats.get(kind, [])) for kind in ("passed", "skipped", "failed", "error")}
        record(
            file,
            figures.told,
            figures.totals,
            seconds=time.monotonic() - _BEGAN,
            outcome=", ".join(f"{count} {kind}" for kind, count in counts.items() if count),
            good=exitstatus == pytest.ExitCode.OK and not counts["skipped"],
        )
