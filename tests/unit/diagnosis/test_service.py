"""Who runs the service, and what that user sees."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from mailrecv.diagnosis import service as room
from mailrecv.diagnosis.service import CannotTell, Service, UnknownUser, find_service
from tests.support.whole_session import myself

Unit = Callable[..., None]


@pytest.fixture
def unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Unit:
    """Make a systemctl that knows a unit with these properties."""

    def make(**properties: str) -> None:
        known = {"Id": "mailrecv@check.service", "LoadState": "loaded", **properties}
        shown = "".join(f"{name}={value}\n" for name, value in known.items())
        tool = tmp_path / "systemctl"
        tool.write_text(f"#!/bin/sh\ncat <<'end'\n{shown}\nId=mailrecv.service\nLoadState=not-found\nUser=x\nend\n")
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return make


@pytest.fixture
def no_unit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take systemctl away."""
    monkeypatch.setenv("PATH", str(tmp_path))


def test_the_user_of_the_unit(unit: Unit) -> None:
    """The unit's User=, Group= and SupplementaryGroups= hold, drop-ins included, since systemd is asked."""
    unit(User="daemon", Group="mail", SupplementaryGroups="adm 4242")
    found = find_service()
    daemon = pwd.getpwnam("daemon")
    assert (found.user, found.uid, found.known_from) == ("daemon", daemon.pw_uid, "as the unit mailrecv@.service says")
    assert found.gid == 8
    assert {8, 4, 4242} <= set(found.groups)
    assert found.certain


def test_a_unit_without_a_user(unit: Unit) -> None:
    """A unit that names no user runs as root."""
    unit(User="")
    assert (find_service().user, find_service().uid) == ("root", 0)


def test_a_user_that_does_not_exist(unit: Unit) -> None:
    """A user that nobody made is told, with who names it and how to make it."""
    unit(User="nosuchuser")
    with pytest.raises(
        UnknownUser, match=r"nosuchuser, as the unit mailrecv@\.service says, but there is none; adduser"
    ):
        find_service()
    with pytest.raises(UnknownUser, match="as --user says"):
        find_service("nosuchuser")


def test_a_user_that_is_named() -> None:
    """Who is named at the command line counts, by name or by number."""
    assert find_service("daemon") == find_service("1")
    assert find_service("daemon").known_from == "as --user says"


@pytest.mark.usefixtures("no_unit")
def test_no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a unit it is the user mailrecv, or, where there is none, a guess: who asks."""
    monkeypatch.setattr(room, "DEFAULT_USER", "daemon")
    assert (find_service().user, find_service().certain) == ("daemon", True)
    monkeypatch.setattr(room, "DEFAULT_USER", "nosuchuser")
    assert (find_service().uid, find_service().certain) == (os.geteuid(), False)


@pytest.mark.parametrize(
    "properties, path, closed",
    [
        ({"ProtectHome": "yes"}, "/home/me/mbox", "hidden by the unit, as all home directories are (ProtectHome=)"),
        ({"ProtectHome": "read-only"}, "/root/mbox", "read-only in the unit, as all home directories are"),
        ({"ProtectHome": "yes"}, "/homes/me", None),
        ({"ProtectSystem": "full"}, "/etc/mbox", "read-only in the unit (ProtectSystem=)"),
        ({"ProtectSystem": "full"}, "/var/mbox", None),
        ({"ProtectSystem": "strict"}, "/var/mbox", "read-only in the unit (ProtectSystem=)"),
        ({"ProtectSystem": "strict", "ReadWritePaths": "/opt -/var/mail"}, "/var/mail/me", None),
        ({"ProtectSystem": "strict"}, "/dev/null", None),
        ({"InaccessiblePaths": "/srv"}, "/srv/mbox", "hidden by the unit (InaccessiblePaths=)"),
        ({"ReadOnlyPaths": "/srv"}, "/srv/mbox", "read-only in the unit (ReadOnlyPaths=)"),
        ({"ReadOnlyPaths": "/srv", "ReadWritePaths": "/srv/mail"}, "/srv/mail/mbox", None),
    ],
)
def test_what_a_unit_closes(unit: Unit, properties: dict[str, str], path: str, closed: str | None) -> None:
    """Where the unit itself keeps the service from writing, permissions or not."""
    unit(User="daemon", **properties)
    found = find_service().closed_by_unit(path)
    assert (found is None) if closed is None else str(found).startswith(closed)


def test_relative_paths(unit: Unit) -> None:
    """A service starts at the root, or where its unit says; by hand, it is where one stands."""
    assert myself().whole_path("mbox") == "mbox"
    unit(User="daemon")
    assert find_service().whole_path("mbox") == "/mbox"
    unit(User="daemon", WorkingDirectory="!/srv")
    assert find_service().whole_path("mbox") == "/srv/mbox"
    assert find_service().whole_path("/x/mbox") == "/x/mbox"


@pytest.mark.needs_root
def test_seeing_as_another() -> None:
    """What is looked at is seen by the other user, in all of the user's groups and no others."""
    daemon = find_service("daemon")
    assert daemon.see(lambda: [*os.getresuid(), *os.getresgid()]) == [daemon.uid] * 3 + [daemon.gid] * 3
    assert daemon.see(os.getgroups) == sorted(daemon.groups)
    assert os.geteuid() == 0


@pytest.mark.needs_root
def test_a_look_that_fails() -> None:
    """What goes wrong in the other user's place is told."""
    with pytest.raises(CannotTell, match="what the user daemon may do cannot be tried: ZeroDivisionError: "):
        find_service("daemon").see(lambda: 1 // 0)
    with pytest.raises(CannotTell, match="was killed"):
        find_service("daemon").see(lambda: os.kill(os.getpid(), 9))


def test_who_is_not_root_sees_only_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can be somebody else; for oneself there is no need."""
    other = Service("other", os.geteuid() + 1, 0, (), "as a test says")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    assert Service("me", 4242, 0, (), "as a test says").see(lambda: "seen") == "seen"
    with pytest.raises(CannotTell, match="only root can try what the user other may do"):
        other.see(lambda: "seen")
