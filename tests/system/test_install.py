"""The package itself: what installing, upgrading, removing and purging it do, and do not do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.system.machine import wait_until
from tests.system.mailhost import CONFIG, FOLDER, MailHost

# Where the system, apt and dpkg keep what is theirs.
THEIRS = [f"/{name}" for name in ("dev", "proc", "root", "run", "sys", "tmp", "var/cache", "var/log")]
THEIRS += [f"/var/lib/{name}" for name in ("apt", "dpkg", "systemd")]


@pytest.fixture
def installed(debian: MailHost, package: Path) -> MailHost:
    """A machine where the package was installed a moment ago."""
    debian.install(package)
    return debian


@pytest.fixture(scope="session")
def next_package(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of a version to come."""
    tree = tmp_path_factory.mktemp("next") / "tree"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control, init = tree / "DEBIAN/control", tree / "usr/lib/mailrecv/mailrecv/__init__.py"
    control.write_text(control.read_text().replace("\nVersion: ", "\nVersion: 1000."))
    init.write_text(init.read_text().replace('__version__ = "', '__version__ = "1000.'))
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", tree, tree.parent], check=True, capture_output=True)
    (built,) = tree.parent.glob("*.deb")
    return built


def files(machine: MailHost) -> set[str]:
    """Return the path, type, mode and owner of every file but THEIRS."""
    others = [word for path in THEIRS for word in ("-path", path, "-prune", "-o")]
    return set(machine.run("find", "/", *others, "-printf", "%p %y %m %u %g\n").splitlines())


def test_nothing_starts_by_itself(installed: MailHost) -> None:
    """Installing opens no port: that is the administrator's decision."""
    for socket in ("mailrecv.socket", "mailrecv-resident.socket"):
        assert installed.run("systemctl", "is-enabled", socket, status=1) == "disabled\n"
        assert installed.run("systemctl", "is-active", socket, status=3) == "inactive\n"
    with pytest.raises(ConnectionRefusedError):
        installed.dial()


def test_as_installed(installed: MailHost) -> None:
    """The configuration that comes with the package has no fault, and takes no mail: senders come again later."""
    assert installed.run("mailrecv", "check") == ""
    installed.enable()
    with installed.connect() as client:
        assert client.reply().startswith("220 ")
        assert client.ask("HELO client")[:3] == "250"
        assert client.ask("MAIL FROM:<me@client>")[:3] == "250"
        assert client.ask("RCPT TO:<me@mydomain.com>")[:3] == "450"


def test_enabled_at_boot(installed: MailHost) -> None:
    """`systemctl enable --now` listens at once, and at every boot."""
    installed.configure()
    installed.enable()
    assert installed.send("me")[:3] == "250"
    assert installed.run("systemctl", "is-enabled", "mailrecv.socket") == "enabled\n"
    assert "mailrecv.socket" in installed.show("sockets.target", "Wants").split()


def test_upgrade_with_a_session_in_progress(installed: MailHost, next_package: Path) -> None:
    """An upgrade keeps the port open, the configuration and the sessions; it is the next session that is new."""
    installed.configure()
    installed.enable()
    listening_since = installed.show("mailrecv.socket", "ActiveEnterTimestampMonotonic")
    with installed.connect() as client:
        client.envelope("me", "list", "pipe")
        installed.install(next_package)
        assert client.ask("Hello\r\n.")[:3] == "250"
        assert client.ask("QUIT")[:3] == "221"
    assert installed.run("mailrecv", "--version").startswith("mailrecv 1000.")
    assert installed.send("me", body="Hello again")[:3] == "250"
    assert installed.mail.appended == [b"Hello\n", b"Hello again\n"]
    assert installed.show("mailrecv.socket", "ActiveEnterTimestampMonotonic") == listening_since


def test_upgrade_of_a_package_that_is_not_used(installed: MailHost, next_package: Path) -> None:
    """An upgrade starts nothing that was not started before."""
    installed.install(next_package)
    assert installed.run("systemctl", "is-enabled", "mailrecv.socket", status=1) == "disabled\n"
    assert installed.run("systemctl", "is-active", "mailrecv.socket", status=3) == "inactive\n"


def test_upgrade_of_the_resident_service(installed: MailHost, next_package: Path) -> None:
    """An upgrade keeps the port open, and the resident service becomes the new one when its deliveries have ended."""
    installed.configure()
    installed.enable("mailrecv-resident.socket")
    assert installed.send("me")[:3] == "250"
    before = installed.show("mailrecv-resident.service", "MainPID")
    listening_since = installed.show("mailrecv-resident.socket", "ActiveEnterTimestampMonotonic")
    installed.install(next_package)
    wait_until(lambda: installed.show("mailrecv-resident.service", "MainPID") not in ("0", before), "the new service")
    assert installed.send("me", body="Hello again")[:3] == "250"
    assert installed.mail.appended == [b"Hello\n", b"Hello again\n"]
    assert installed.show("mailrecv-resident.socket", "ActiveEnterTimestampMonotonic") == listening_since


@pytest.mark.parametrize("socket", ["mailrecv.socket", "mailrecv-resident.socket"])
def test_remove(installed: MailHost, package: Path, socket: str) -> None:
    """Removing closes the port and tells clients to come again; configuration and mail stay, nothing is enabled."""
    installed.configure()
    installed.enable(socket)
    installed.send("me")
    with installed.connect() as client:
        client.envelope("me")
        installed.apt("remove", "mailrecv")
        assert client.reply()[:3] == "421"
    with pytest.raises(ConnectionRefusedError):
        installed.dial()
    assert installed.path(CONFIG).exists()
    assert installed.mail.appended == [b"Hello\n"]
    installed.install(package)
    assert installed.run("systemctl", "is-enabled", socket, status=1) == "disabled\n"


@pytest.mark.parametrize("socket", ["mailrecv.socket", "mailrecv-resident.socket"])
def test_remove_lets_a_delivery_end(installed: MailHost, socket: str) -> None:
    """Removing closes the port, and waits for a delivery that has begun: it ends with its reply."""
    wait = "touch {folder}/begun; until test -e {folder}/go; do sleep 0.1; done"
    installed.configure(f"deliver rcpt_to slow@mydomain.com pipe {wait}; cat >{{folder}}/piped")
    installed.enable(socket)
    with installed.connect() as client:
        client.envelope("slow")
        client.send(b"Hello\r\n.\r\n")
        wait_until((installed.mail.folder / "begun").exists, "the delivery")
        removal = installed.start("apt-get", "--quiet=2", "--assume-yes", "remove", "mailrecv")
        if socket == "mailrecv.socket":
            wait_until(lambda: not installed.listens(), "the port to be closed")
        else:
            wait_until(lambda: installed.show("mailrecv-resident.service", "ActiveState") == "deactivating", "the stop")
        (installed.mail.folder / "go").touch()
        assert client.reply()[:3] == "250"
        removal.communicate()
    assert removal.returncode == 0
    assert installed.mail.piped == b"Hello\n"


def test_purge(debian: MailHost, package: Path) -> None:
    """Purging leaves no file behind, after the package was used."""
    before = files(debian)
    debian.install(package)
    debian.configure("logfile /var/log/mailrecv.log")
    debian.run("install", "-o", "mailrecv", "-m", "640", "/dev/null", "/var/log/mailrecv.log")
    debian.enable()
    assert debian.send("me", "list")[:3] == "250"
    debian.shell(f"rm -r {FOLDER}/*")
    debian.apt("purge", "mailrecv")
    assert files(debian) == before
    assert not debian.path("/var/log/mailrecv.log").exists()


def test_purge_leaves_mail(installed: MailHost) -> None:
    """Purging says that there is mail, and leaves it alone."""
    installed.configure()
    installed.enable()
    installed.send("me")
    assert f"there is mail in {FOLDER}" in installed.apt("purge", "mailrecv")
    assert installed.mail.appended == [b"Hello\n"]
