"""The Debian package says the same as the rest of the project: versions, dependencies, files, units and limits."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import mailrecv
from mailrecv.config.compiled import CACHE_DIRECTORY
from mailrecv.limits import Limits
from mailrecv.resident import supervisor

ROOT = Path(__file__).parents[2]
DEBIAN = ROOT / "packaging" / "debian"
UNITS = sorted((ROOT / "units").iterdir())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BOUNDS = dict(text.split(">=") for text in PROJECT["dependencies"])  # the lowest version, by name
OLDEST_PYTHON = PROJECT["requires-python"].removeprefix(">=")
BUNDLED = "pcre2"
MADE = (f"{BUNDLED}/", "completion/")  # by packaging/build-deb, and not in the work tree
SERVICES = [path.name for path in UNITS if path.suffix == ".service"]


def debian(name: str) -> str:
    """Return a file of the packaging."""
    return (DEBIAN / name).read_text(encoding="utf-8")


def unit(name: str) -> str:
    """Return a unit."""
    return (ROOT / "units" / name).read_text(encoding="utf-8")


def setting(text: str, name: str) -> str:
    """Return the value of the only line `name=value`."""
    (value,) = re.findall(rf"(?m)^{name}=(.*)$", text)
    return str(value)


def installed() -> dict[str, str]:
    """Return where the package puts each file or folder of the work tree that debian/install names."""
    lines = (line.split() for line in debian("install").splitlines())
    return {source.replace("debian/", "packaging/debian/"): target for source, target in lines}


def test_the_changelog_has_the_version() -> None:
    """The newest entry of the changelog is about this version."""
    assert debian("changelog").startswith(f"mailrecv ({mailrecv.__version__}) ")


def test_the_dependencies_are_those_of_the_project() -> None:
    """The package asks for the Python and the libraries that pyproject.toml asks for, in the same versions at least."""
    expected = {
        "python3": OLDEST_PYTHON,
        "python3-structlog": BOUNDS["structlog"],
        "python3-systemd": BOUNDS["systemd-python"],
    }
    assert set(BOUNDS) == {"structlog", "systemd-python", BUNDLED}
    binary = debian("control").split("\nPackage: ")[1]
    assert dict(re.findall(r"(?m)^ (\S+) \(>= (\S+)\),$", binary)) == expected


def test_the_compiled_module_fits_the_oldest_python() -> None:
    """The limited API that the binding is built against is that of the oldest Python the project takes."""
    major, minor = map(int, OLDEST_PYTHON.split("."))
    assert f"-DPy_LIMITED_API=0x{major:02x}{minor:02x}0000 " in debian("rules")


def test_the_bundled_binding_is_recent_enough() -> None:
    """The binding that goes into the package is that of development, pinned to a version that pyproject.toml takes."""
    pins = (ROOT / ".ci" / "constraints.txt").read_text(encoding="utf-8")
    (pinned,) = re.findall(rf"(?m)^{BUNDLED}==(.+)$", pins)
    assert [int(part) for part in pinned.split(".")] >= [int(part) for part in BOUNDS[BUNDLED].split(".")]


def test_what_is_installed_is_there() -> None:
    """Every file that the package installs is in the work tree, or made on the way."""
    sources = [path for path in installed() if not path.startswith(MADE)]
    sources += [path for name in ("docs", "examples") for path in debian(name).split()]
    assert [path for path in sources if not (ROOT / path).exists()] == []
    assert installed()["docs/mailrecv.conf"] == "etc"  # the one that other tests show to have no fault and take no mail


def test_every_manual_page_gets_into_the_package() -> None:
    """The package has all manual pages."""
    assert debian("manpages") == "docs/man/*\n"


def test_the_completion_is_where_shells_look_for_it() -> None:
    """Each shell finds the completion by the name of the program, in the folder that Debian has for packages."""
    places = {source: target for source, target in installed().items() if source.startswith("completion/")}
    assert places == {
        "completion/bash/mailrecv": "usr/share/bash-completion/completions",
        "completion/zsh/_mailrecv": "usr/share/zsh/vendor-completions",
    }


@pytest.mark.parametrize("path", UNITS, ids=lambda path: str(path.name))
def test_every_unit_gets_into_the_package(path: Path) -> None:
    """debhelper takes units named like this package, and those that it is told of; it leaves out others in silence."""
    names = ["mailrecv", *re.findall(r"dh_installsystemd --name=(\S+)", debian("rules"))]
    assert re.fullmatch(rf"({'|'.join(names)})@?\.(service|socket)", path.name)


@pytest.mark.parametrize("path", [path for path in UNITS if path.suffix == ".socket"], ids=lambda path: str(path.name))
def test_no_socket_opens_or_stays_open_by_itself(path: Path) -> None:
    """No socket is enabled at a first boot; each is stopped and disabled when the package is removed."""
    assert f"\ndisable {path.name}\n" in debian("80-mailrecv.preset")
    assert re.search(rf" stop (?:.* )?{path.name} ", debian("prerm"))
    assert re.search(rf" disable (?:.* )?{path.name} ", debian("prerm"))


@pytest.mark.parametrize("name", SERVICES)
def test_services_run_what_is_installed_as_the_user_that_is_made(name: str) -> None:
    """A service's program, user and home are those that the package brings, under /usr."""
    service = unit(name)
    program = Path(setting(service, "ExecStart"))
    assert installed()[f"packaging/debian/bin/{program.name}"] == str(program.parent)[1:]
    user, home = re.findall(r'(?m)^u (\S+) - ".*" (\S+)$', debian("sysusers"))[0]
    assert setting(service, "User") == user
    directories = re.findall(r"(?m)^d (\S+) 0750 (\S+) (\S+) \S+$", debian("tmpfiles"))
    assert directories == [(home, user, user), (CACHE_DIRECTORY, user, user)]


def test_the_cache_is_where_the_program_looks() -> None:
    """The hardened unit may write there, even if it was deleted, and a purge removes it."""
    hardened = (ROOT / "docs/examples/systemd/hardened.conf").read_text(encoding="utf-8")
    assert f"-{CACHE_DIRECTORY}" in setting(hardened, "ReadWritePaths").split()
    assert f' rm -rf "${{DPKG_ROOT:-}}"{CACHE_DIRECTORY}\n' in debian("postrm")


def test_python_starts_without_what_it_does_not_need() -> None:
    """The launcher reads no .pth files and no PYTHON... variables, and nothing rewrites its first line."""
    assert debian("bin/mailrecv").startswith("#!/usr/bin/python3 -IS\n")
    assert "dh_python3 --no-shebang-rewrite\n" in debian("rules")


def test_systemd_waits_longer_than_mailrecv() -> None:
    """systemd ends a session only after mailrecv's own limits should have, and lets a delivery come to its end."""
    service, limits = unit("mailrecv@.service"), Limits()
    session_seconds = limits.connection_secs.value + limits.delivery_secs.value
    assert session_seconds < int(setting(service, "RuntimeMaxSec")) <= session_seconds + 60
    for name in SERVICES:
        stop_seconds = int(setting(unit(name), "TimeoutStopSec"))
        assert limits.delivery_secs.value < stop_seconds <= limits.delivery_secs.value + 60


def test_systemd_waits_longer_than_the_supervisor() -> None:
    """A worker that hangs is replaced before systemd takes the whole service to hang."""
    watchdog_seconds = int(setting(unit("mailrecv-resident.service"), "WatchdogSec"))
    assert watchdog_seconds >= 2 * supervisor.MAX_UNANSWERED * supervisor.TICK_SECONDS


@pytest.mark.parametrize("name", SERVICES)
def test_journald_keeps_nothing_back(name: str) -> None:
    """What a service logs is never too much for journald; an interval of 0 would mean journald's own limit."""
    assert setting(unit(name), "LogRateLimitIntervalSec") == "1us"


def test_both_services_are_locked_up_alike() -> None:
    """What one service can never do, the other cannot do either."""
    sandboxes = [unit(name).partition("# No way to become another user")[2] for name in SERVICES]
    assert all(sandbox.count("\n") > 20 for sandbox in sandboxes)
    assert len(set(sandboxes)) == 1
