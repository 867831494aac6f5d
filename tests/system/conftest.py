"""Machines for the stories: each test gets one of its own, or shares one with the other tests of its file.

Every story is told on each release of Debian; `-m "not trixie"` leaves out the second.
"""

from __future__ import annotations

import subprocess
from collections.abc import Generator, Sequence
from pathlib import Path

import pytest

from tests.system.mailhost import MailHost
from tests.system.roots import pristine

RELEASES = [pytest.param("bookworm"), pytest.param("trixie", marks=pytest.mark.trixie)]
DIST = Path(__file__).parents[2] / "dist"
SHOWN_LINES = 30  # of a machine's journal, when a test has failed
_NEEDS = (
    pytest.mark.system,
    pytest.mark.needs_root,
    pytest.mark.needs_tool("debootstrap", "nsenter", "systemd-nspawn", "unshare"),
    pytest.mark.timeout(600),  # the first test may have to wait for debootstrap
)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark the tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for mark in _NEEDS:
                item.add_marker(mark)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of the machine's journal with a test that failed."""
    report = yield
    used = getattr(item, "funcargs", {})
    machine = used.get("server") or used.get("debian")
    if report.when == "call" and report.failed and machine is not None:
        shown, _ = machine.start("journalctl", "--no-pager", f"--lines={SHOWN_LINES}").communicate()
        report.sections.append(("journal", shown.decode("utf-8", "replace")))
    return report


@pytest.fixture(scope="session")
def package() -> Path:
    """The package, as `make deb` has built it."""
    packages = sorted(DIST.glob("mailrecv_*.deb"), key=lambda path: path.stat().st_mtime)
    assert packages, f"no package in {DIST}: run `make deb`"
    return packages[-1]


@pytest.fixture(scope="session", params=RELEASES)
def root(request: pytest.FixtureRequest) -> Generator[Path, None, None]:
    """A pristine Debian, for each release."""
    isolated = ["unshare", "--mount", "--pid", "--net", "--fork", "true"]
    tried = subprocess.run(isolated, capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"needs to make namespaces: {tried.stderr.strip()}")
    with pristine(request.param) as folder:
        yield folder


@pytest.fixture
def debian(root: Path, tmp_path: Path) -> Generator[MailHost, None, None]:
    """A machine of the test's own, without the package."""
    with MailHost(root, tmp_path) as machine:
        yield machine


@pytest.fixture(scope="module")
def _installed(root: Path, package: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[MailHost, None, None]:
    with MailHost(root, tmp_path_factory.mktemp("machine")) as machine:
        machine.install(package)
        machine.enable()
        yield machine


@pytest.fixture
def server(_installed: MailHost) -> MailHost:
    """The machine that the tests of a file share: installed, listening, with the standard configuration and no mail."""
    _installed.start_over()
    return _installed
