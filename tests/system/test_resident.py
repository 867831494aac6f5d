"""The resident service: one for all connections, as an administrator meets it."""

from __future__ import annotations

import subprocess
from collections.abc import Generator

import pytest

from tests.system.machine import wait_until
from tests.system.mailhost import MailHost

SOCKET, SERVICE = "mailrecv-resident.socket", "mailrecv-resident.service"
GREETING = "220 mydomain.com SMTP (RFC 822) mailrecv"
GOING_DOWN = "421 The server is going down, try again later"
NEW_LINE = "deliver rcpt_to new@mydomain.com append {folder}/new"
WAIT = "touch {folder}/begun; until test -e {folder}/go; do sleep 0.1; done"
SLOW_LINE = f"deliver rcpt_to slow@mydomain.com pipe {WAIT}; cat >{{folder}}/piped"


@pytest.fixture
def resident(server: MailHost) -> Generator[MailHost, None, None]:
    """The machine, with the resident service in the place of the other one, as started by a first message."""
    server.enable(SOCKET)
    assert server.send("me", body="First")[:3] == "250"
    yield server
    stop = server.start("systemctl", "stop", SOCKET)
    (server.mail.folder / "go").touch()
    stop.communicate()
    server.enable()


def supervisor(machine: MailHost) -> int:
    """Return the main process of the service, as the machine numbers it; 0 when there is none."""
    return int(machine.show(SERVICE, "MainPID"))


def workers(machine: MailHost) -> list[str]:
    """Return the processes that serve, as the machine numbers them."""
    children = f"/proc/{supervisor(machine)}/task/{supervisor(machine)}/children"
    return machine.path(children).read_text().split()


def recipient(machine: MailHost, name: str) -> str:
    """Return the reply to a recipient at mydomain.com."""
    with machine.connect() as client:
        assert client.reply() == GREETING
        for line in ("HELO client", "MAIL FROM:<me@client>"):
            assert client.ask(line)[:3] == "250"
        return client.ask(f"RCPT TO:<{name}@mydomain.com>")


def test_mail(resident: MailHost) -> None:
    """Mail arrives in each way, all by the same service, which tells how it is, and logs as ever."""
    first = supervisor(resident)
    for number in range(5):
        assert resident.send("me", "list", "pipe", body=f"Hello {number}")[:3] == "250"
    assert resident.mail.appended[1:] == [b"Hello %d\n" % number for number in range(5)]
    assert resident.mail.piped == b"Hello 4\n"
    assert supervisor(resident) == first
    assert resident.show(SERVICE, "StatusText").startswith(f"{len(workers(resident))} workers, ")
    delivered = resident.log(
        "MAILRECV_EVENT=delivered", f"_SYSTEMD_UNIT={SERVICE}", "MAILRECV_RECIPIENT=me@mydomain.com"
    )
    assert len(delivered) == 6


def test_one_or_the_other(resident: MailHost) -> None:
    """Each socket takes the port from the other."""
    assert not resident.listens()
    resident.enable()
    assert (resident.listens(), resident.listens(SOCKET)) == (True, False)
    with resident.connect() as client:
        assert client.reply() == GREETING
        resident.wait_for_sessions(1)
    resident.enable(SOCKET)
    assert (resident.listens(), resident.listens(SOCKET)) == (False, True)
    assert resident.send("me")[:3] == "250"


def test_reload(resident: MailHost) -> None:
    """`systemctl reload` reads the configuration; running sessions and the service go on."""
    first = supervisor(resident)
    with resident.connect() as client:
        assert client.reply() == GREETING
        resident.configure(NEW_LINE)
        resident.run("systemctl", "reload", SERVICE)
        wait_until(lambda: recipient(resident, "new")[:3] == "250", "the new configuration")
        assert client.ask("NOOP") == "250 OK"
    assert supervisor(resident) == first
    wait_until(lambda: resident.show(SERVICE, "ActiveState") == "active", "all new workers")
    assert resident.log("MAILRECV_EVENT=config_reloaded")


def test_reload_with_faults(resident: MailHost) -> None:
    """With a faulty file `systemctl reload` fails, the faults are in the journal, and all stays as it was."""
    first = supervisor(resident)
    resident.configure(NEW_LINE, "domian x")
    resident.run("systemctl", "reload", SERVICE, status=1)
    assert any("7:1: unknown directive domian" in text for text in resident.messages(f"_SYSTEMD_UNIT={SERVICE}"))
    wait_until(lambda: resident.log("MAILRECV_EVENT=config_refused"), "the change to be noticed")
    assert resident.log("MAILRECV_EVENT=config_fault")
    assert recipient(resident, "new")[:3] == "550"
    assert resident.send("me")[:3] == "250"
    assert supervisor(resident) == first
    wait_until(lambda: resident.show(SERVICE, "ActiveState") == "active", "the end of the reload")


def test_started_with_faults(resident: MailHost) -> None:
    """As long as the configuration is faulty whoever connects gets a 421; once it is mended, they are served."""
    resident.run("systemctl", "stop", SERVICE)
    resident.configure("domian x")
    for _ in range(25):
        with resident.connect() as client:
            assert client.rest()[0][:3] == "421"
    resident.configure()
    wait_until(lambda: reply_to_new_client(resident) == GREETING, "somebody to be served")
    assert resident.listens(SOCKET)


def reply_to_new_client(machine: MailHost) -> str:
    with machine.connect() as client:
        return client.reply()


def test_a_killed_worker(resident: MailHost) -> None:
    """A worker that is killed is replaced; the service is not started anew for that."""
    first, before = supervisor(resident), workers(resident)
    resident.shell(f"kill -KILL {before[0]}")
    wait_until(lambda: len(workers(resident)) == len(before) and before[0] not in workers(resident), "a new worker")
    assert resident.send("me")[:3] == "250"
    assert supervisor(resident) == first
    (lost,) = resident.log("MAILRECV_EVENT=worker_lost")
    assert f"worker {before[0]} was lost, and 0 connections with it: it was killed by signal 9" in lost["MESSAGE"]


def test_a_killed_supervisor(resident: MailHost) -> None:
    """When the supervisor is killed, systemd ends its workers, too, and starts the service anew."""
    first = supervisor(resident)
    resident.shell(f"kill -KILL {first}")
    wait_until(lambda: supervisor(resident) not in (0, first), "another supervisor")
    assert resident.send("me")[:3] == "250"


def test_watchdog(resident: MailHost) -> None:
    """A supervisor that hangs is ended by systemd, and the service started anew."""
    with resident.drop_in(SERVICE, "[Service]\nWatchdogSec=3\n"):
        resident.run("systemctl", "restart", SERVICE)
        hangs = supervisor(resident)
        resident.shell(f"kill -STOP {hangs}")
        wait_until(lambda: supervisor(resident) not in (0, hangs), "another supervisor")
        wait_until(lambda: resident.show(SERVICE, "ActiveState") == "active", "the service")
        assert resident.send("me")[:3] == "250"
        assert int(resident.show(SERVICE, "NRestarts")) >= 1
    resident.run("systemctl", "restart", SERVICE)


def test_stop_during_a_delivery(resident: MailHost) -> None:
    """Stopping waits for the delivery and its reply; a client that waits gets a 421 at once."""
    resident.configure(SLOW_LINE)
    resident.run("systemctl", "restart", SERVICE)
    with resident.connect() as idle, resident.connect() as client:
        assert idle.reply() == GREETING
        client.envelope("slow")
        client.send(b"Hello\r\n.\r\n")
        wait_until((resident.mail.folder / "begun").exists, "the delivery")
        stop = resident.start("systemctl", "stop", SOCKET, stdout=subprocess.PIPE)
        assert idle.rest() == [GOING_DOWN]
        (resident.mail.folder / "go").touch()
        assert [reply[:3] for reply in client.rest()] == ["250", "421"]
        stop.communicate()
    assert resident.mail.piped == b"Hello\n"
    assert resident.show(SERVICE, "Result") == "success"
    with pytest.raises(ConnectionRefusedError):
        resident.dial()


def test_restart_while_clients_come(resident: MailHost) -> None:
    """Who connects while the service starts anew waits a moment, and is served."""
    restart = resident.start("systemctl", "restart", SERVICE)
    while restart.poll() is None:
        assert reply_to_new_client(resident) == GREETING
    restart.communicate()
    assert resident.send("me")[:3] == "250"
    assert restart.returncode == 0
