"""The resident server as a whole: its workers, its limits, a new configuration, its end."""

from __future__ import annotations

import os
import pty
import signal
import smtplib
import socket
import sys
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from tests.clients.servers import ENVIRONMENT, PROGRAM, Server, Site, Starter, Wire, free_port, is_listening, wait_until
from tests.support.machine import typed
from tests.support.process import lives, tree

GREETING = "220 mydomain.com SMTP (RFC 822) mailrecv"
GOING_DOWN = "421 The server is going down, try again later"
TOO_MANY = "421 Too many connections, try again later"
TOO_MANY_FROM_ONE = "421 Too many connections from your host, try again later"
PROCESSORS = len(os.sched_getaffinity(0))
IMPATIENT = """\
import mailrecv.resident.supervisor as supervisor
supervisor.TICK_SECONDS = 0.1
supervisor.MAX_UNANSWERED = 5
{more}
from mailrecv.__main__ import main
main()
"""


def impatient(more: str = "") -> tuple[str, ...]:
    """Return the program with a supervisor that does in tenths of a second what takes it seconds.  more: changes."""
    return (sys.executable, "-c", IMPATIENT.format(more=more))


def workers(server: Server) -> list[int]:
    """Return the processes that serve clients."""
    return list(tree(server.process.pid))[1:]


def wait_for_workers(server: Server, number: int = PROCESSORS, without: int = 0) -> None:
    """Wait until there are so many workers.  without: one that is not to be among them."""
    wait_until(lambda: len(workers(server)) == number and without not in workers(server), f"{number} workers")


def worker_of(server: Server) -> int:
    """Return the process that has logged the beginning of the last session."""
    line = [line for line in server.site.log.splitlines() if "SMTP connection from" in line][-1]
    return int(line.partition("MAILRECV[")[2].partition("]")[0])


def greeted(server: Server, stack: ExitStack, number: int) -> list[Wire]:
    """Return so many clients, all greeted."""
    wires = [stack.enter_context(server.connect()) for _ in range(number)]
    assert {wire.reply() for wire in wires} == {GREETING}
    return wires


# Workers


def test_a_worker_for_each_processor(start: Starter) -> None:
    """There are as many workers as the server may use processors."""
    server = start.server("listen")
    wait_for_workers(server)


@pytest.mark.needs_tool("taskset")
def test_a_processor_for_each_worker(start: Starter) -> None:
    """Each worker keeps to a processor of its own, and so does one that replaces it; a command may run on all."""
    server = start.server("listen", "deliver rcpt_to where@mydomain.com pipe taskset -p $$ >{folder}/where")
    wait_for_workers(server)
    killed = workers(server)[0]
    os.kill(killed, signal.SIGKILL)
    wait_for_workers(server, without=killed)
    wait_until(lambda: all(len(os.sched_getaffinity(pid)) == 1 for pid in workers(server)), "all to keep to one")
    kept_to: set[int] = set().union(*map(os.sched_getaffinity, workers(server)))
    assert kept_to == os.sched_getaffinity(0)
    with server.connect() as client:
        client.envelope("where")
        assert client.ask("Hello\r\n.")[:3] == "250"
    mask = int((server.site.folder / "where").read_text().split()[-1], 16)
    assert mask == sum(1 << processor for processor in os.sched_getaffinity(0))


def test_a_killed_worker_is_replaced(start: Starter) -> None:
    """What the log says of it, and that its clients alone are lost, also for the limits."""
    server = start.server("listen", "limit.connections 2")
    wait_for_workers(server)
    with server.connect() as one:
        assert one.reply() == GREETING
        killed = worker_of(server)
        with server.connect() as other:
            assert other.reply() == GREETING
            others = worker_of(server)
            os.kill(killed, signal.SIGKILL)
            assert one.rest() == []
            if others == killed:
                assert other.rest() == []
            else:
                assert other.ask("NOOP") == "250 OK"
            wait_for_workers(server, without=killed)
            with server.connect() as next_client:
                assert next_client.reply() == GREETING
    lost = 2 if others == killed else 1
    assert (
        f"ERROR: worker {killed} was lost, and {lost} connections with it: it was killed by signal 9 (Killed)"
        in server.site.log
    )


def test_a_worker_that_hangs_is_replaced(start: Starter) -> None:
    """A worker that does not answer any more is killed, and all are served by the others and by the new one."""
    server = start.server("listen", program=impatient())
    wait_for_workers(server)
    hangs = workers(server)[0]
    os.kill(hangs, signal.SIGSTOP)
    wait_for_workers(server, without=hangs)
    with ExitStack() as stack:
        greeted(server, stack, 5)
    assert f"ERROR: worker {hangs} has not answered for " in server.site.log
    assert (
        f"ERROR: worker {hangs} was lost, and 0 connections with it: it was killed by signal 9 (Killed)"
        in server.site.log
    )


def test_workers_that_end_at_once(start: Starter) -> None:
    """Workers that end again and again are replaced less and less often, and each time is logged."""
    program = impatient("import mailrecv.resident.worker as worker, os; worker.Worker.run = lambda self: os._exit(7)")
    server = start.server("listen", program=program)
    lost = " was lost, and 0 connections with it: it ended with exit status 7"
    wait_until(lambda: server.site.log.count(lost) > 3 * PROCESSORS, "some workers to be lost")
    before = server.site.log.count(lost)
    time.sleep(1)
    assert server.site.log.count(lost) - before <= 2 * PROCESSORS
    server.process.terminate()
    assert server.process.wait() == 0


def test_without_its_supervisor(start: Starter) -> None:
    """When the supervisor is killed the workers go, too: clients that wait get a 421, and the port is free again."""
    server = start.server("listen")
    wait_for_workers(server)
    orphans = workers(server)
    with server.connect() as client:
        assert client.reply() == GREETING
        server.process.kill()
        assert client.rest() == [GOING_DOWN]
    wait_until(lambda: not any(map(lives, orphans)), "the workers to go")
    with socket.create_server(("127.0.0.1", server.port)):
        pass


def test_closed_standard_streams(start: Starter) -> None:
    """Where the standard streams are closed nothing takes their place, so what is printed gets to nobody."""
    site, port = start.site(), free_port()
    script = 'exec "$@" 0<&- 1>&- 2>&-'
    command = ["bash", "-c", script, "bash", *PROGRAM, "listen", "-c", str(site.config), str(port)]
    server = Server(site, port, start.process(command, site))
    site.wait_for_log("listening on")
    for process in (server.process.pid, *workers(server)):
        assert [str(Path(f"/proc/{process}/fd/{fd}").readlink()) for fd in range(3)] == [os.devnull] * 3


# Limits


@pytest.mark.parametrize(
    "limit, reply", [("limit.connections", TOO_MANY), ("limit.client_connections", TOO_MANY_FROM_ONE)]
)
def test_too_many_connections(start: Starter, limit: str, reply: str) -> None:
    """The limits hold for all workers together; each refusal is one line; whoever comes later gets in."""
    server = start.server("listen", f"{limit} 7", "debug F")
    with ExitStack() as stack:
        held = greeted(server, stack, 7)
        for _ in range(5):
            with server.connect() as refused:
                assert refused.rest() == [reply]
        assert held[0].ask("QUIT")[:3] == "221"
        assert held[0].rest() == []
        wait_until(lambda: "220" in reply_to_new_client(server), "somebody to be let in")
    hits = [line for line in server.site.log.splitlines() if f"{limit} exceeded" in line]
    assert all(f": [127.0.0.1] {limit} exceeded" in line for line in hits)
    assert len(hits) >= 5


def reply_to_new_client(server: Server) -> str:
    with server.connect() as client:
        return client.reply()


@pytest.mark.parametrize("way", ["listen", "systemd-resident"])
def test_a_backlog(start: Starter, way: str) -> None:
    """A mail server that delivers over all the connections it may have, each opened anew at once, is never refused."""
    server = start.server(way, "debug -", "limit.client_connections 20")

    def send(_: int) -> list[str]:
        with server.connect() as client:
            client.envelope("list")
            client.send(typed("Hello", ".", "QUIT"))
            return [reply[:3] for reply in client.rest()]

    with ThreadPoolExecutor(max_workers=20) as senders:
        assert list(senders.map(send, range(400))) == [["250", "221"]] * 400
    assert "exceeded" not in server.site.log
    assert len(server.site.in_maildir) == 400


def test_own_words_for_too_many(start: Starter) -> None:
    """The reply is the directive's."""
    server = start.server("listen", "limit.connections 0 450 Not today.")
    with server.connect() as client:
        assert client.rest() == ["450 Not today."]


# A new configuration


def recipient(server: Server, name: str) -> str:
    """Return the answer to a recipient at mydomain.com."""
    with server.connect() as client:
        client.reply()
        client.send(typed("HELO me", "MAIL FROM:<me@client>", f"RCPT TO:<{name}@mydomain.com>", "QUIT"))
        return client.rest()[2]


def change(site: Site, *lines: str) -> None:
    """Add lines to the configuration, by way of another file."""
    new = site.config.with_suffix(".new")
    new.write_text(site.config.read_text() + "".join(f"{line}\n" for line in lines))
    new.rename(site.config)


NEW_LINE = "deliver rcpt_to new@mydomain.com append /dev/null"


@pytest.mark.parametrize("way", ["listen", "systemd-resident"])
def test_reload(start: Starter, way: str) -> None:
    """On SIGHUP new connections have the new configuration, and those that are there keep theirs, in a delivery too."""
    server = start.server(way)
    with server.connect() as old, server.connect() as delivering:
        old.reply()
        delivering.envelope("slow")
        delivering.send(b"Hello\r\n.\r\n")
        change(server.site, NEW_LINE)
        server.process.send_signal(signal.SIGHUP)
        server.site.wait_for_log(f"{server.site.config} was read again, and holds for new connections")
        wait_until(lambda: recipient(server, "new") == "250 OK", "the new configuration")
        old.send(typed("HELO me", "MAIL FROM:<me@client>", "RCPT TO:<new@mydomain.com>", "QUIT"))
        assert [reply[:3] for reply in old.rest()] == ["250", "250", "550", "221"]
        assert delivering.reply()[:3] == "250"
        assert delivering.ask("NOOP") == "250 OK"
    wait_for_workers(server)


def test_a_change_is_noticed(start: Starter) -> None:
    """Without a signal a new configuration holds soon."""
    server = start.server("listen")
    assert recipient(server, "new")[:3] == "550"
    change(server.site, NEW_LINE)
    wait_until(lambda: recipient(server, "new") == "250 OK", "the new configuration")


@pytest.mark.parametrize("signalled", [True, False])
def test_a_faulty_configuration_changes_nothing(start: Starter, signalled: bool) -> None:
    """Every fault is logged, once, and the old configuration goes on to hold; until there is one without faults."""
    server = start.server("listen")
    wait_for_workers(server)
    before = workers(server)
    good = server.site.config.read_text()
    change(server.site, NEW_LINE, "domian x", "limit.smtp_commands x")
    if signalled:
        server.process.send_signal(signal.SIGHUP)
    server.site.wait_for_log(f"ERROR: {server.site.config} has faults, so the configuration stays as it was")
    assert ":10:1: unknown directive domian, did you mean domain?" in server.site.log
    assert ":11:21: limit.smtp_commands: " in server.site.log
    assert recipient(server, "new")[:3] == "550"
    time.sleep(2.5)  # in which the file is looked at twice more
    assert server.site.log.count(" has faults") == 1
    assert workers(server) == before
    server.site.config.write_text(f"{good}{NEW_LINE}\n")
    wait_until(lambda: recipient(server, "new") == "250 OK", "the new configuration")


def test_reload_with_another_log(start: Starter) -> None:
    """A new log file and new debug flags hold for what is logged from then on."""
    server = start.server("listen", "debug -")
    wait_for_workers(server)
    change(server.site, f"logfile {server.site.folder}/log2", "debug s")
    server.process.send_signal(signal.SIGHUP)
    new_log = server.site.folder / "log2"
    wait_until(lambda: new_log.exists() and "was read again" in new_log.read_text(), "the new log")
    wait_until(lambda: recipient(server, "me")[:3] == "250" and "SMTP cmd: QUIT" in new_log.read_text())


def test_reloads_under_load(start: Starter) -> None:
    """While the configuration changes twenty times no client is refused, no connection lost, no message missing."""
    server = start.server("listen", "debug -")
    wait_for_workers(server)  # a signal before the first of them would end it
    done = Event()

    def send() -> int:
        sent = 0
        while not done.is_set():
            with smtplib.SMTP("127.0.0.1", server.port, timeout=30) as client:
                for _ in range(sent % 3 + 1):
                    client.sendmail("me@client", "list@mydomain.com", "Hello\n")
                    sent += 1
        return sent

    with ThreadPoolExecutor(6) as pool:
        senders = [pool.submit(send) for _ in range(6)]
        try:
            for number in range(20):
                change(server.site, f"deliver rcpt_to new{number}@mydomain.com append /dev/null")
                server.process.send_signal(signal.SIGHUP)
                wait_until(lambda: recipient(server, f"new{number}") == "250 OK", "the new configuration")  # noqa: B023
        finally:
            done.set()
        sent = sum(sender.result() for sender in senders)
    assert len(server.site.in_maildir) == sent > 100
    assert server.site.log.count("was read again") == 20
    wait_for_workers(server)
    assert " worker " not in server.site.log


def test_many_reloads_with_a_session_in_each(start: Starter) -> None:
    """Sessions of configurations long gone go on, but when there are too many of these the oldest have to go."""
    server = start.server("listen")
    with ExitStack() as stack:
        clients = []
        for number in range(6):
            clients += greeted(server, stack, 1)
            change(server.site, f"deliver rcpt_to new{number}@mydomain.com append /dev/null")
            server.process.send_signal(signal.SIGHUP)
            wait_until(lambda: recipient(server, f"new{number}") == "250 OK", "the new configuration")  # noqa: B023
        assert [client.ask("NOOP") for client in clients] == ["250 OK"] * 6
    wait_for_workers(server)


# The end


@pytest.fixture
def queued(start: Starter) -> Generator[Callable[[Server], Wire], None, None]:
    """What connects a client that no worker takes in before the server is told to stop."""
    with ExitStack() as stack:

        def connect(server: Server) -> Wire:
            for worker in workers(server):
                os.kill(worker, signal.SIGSTOP)
            client = stack.enter_context(server.connect())
            server.process.terminate()
            server.site.wait_for_log("stopping: 0 sessions are open")
            for worker in workers(server):
                os.kill(worker, signal.SIGCONT)
            return client

        yield connect


def test_a_client_in_the_queue_at_the_end(start: Starter, queued: Callable[[Server], Wire]) -> None:
    """A client that was not served yet when the server stops is told so, and not just cut off.

    A worker that was about to take it may still greet it.
    """
    server = start.server("listen")
    wait_for_workers(server)
    assert queued(server).rest() in ([GOING_DOWN], [GREETING, GOING_DOWN])
    assert server.process.wait() == 0


def given_listener(start: Starter, site: Site, listener: socket.socket, program: tuple[str, ...] = PROGRAM) -> Server:
    """Start a server on a listening socket that is not its own, as systemd does."""
    script = f'export LISTEN_PID=$$ LISTEN_FDS=1; exec "$@" 3<&{listener.fileno()}'
    command = ["bash", "-c", script, "bash", *program, "-c", str(site.config)]
    process = start.process(command, site, pass_fds=[listener.fileno()])
    return Server(site, listener.getsockname()[1], process)


def test_a_client_in_the_queue_of_systemd(start: Starter, queued: Callable[[Server], Wire]) -> None:
    """Where the socket outlives the server, the client is served by the next one."""
    site = start.site()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = given_listener(start, site, listener)
        wait_for_workers(server)
        client = queued(server)
        assert server.process.wait() == 0
        given_listener(start, site, listener)
        assert client.reply() == GREETING


def test_a_faulty_configuration_at_the_start(start: Starter) -> None:
    """Whoever waits at a socket of systemd's hears 421, as with a process for each connection; exit status 78."""
    site = start.site("domian x")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with Wire(socket.create_connection(listener.getsockname(), 10)) as client:
            server = given_listener(start, site, listener)
            (reply,) = client.rest()
        assert reply.startswith("421 ")
        assert reply.endswith(" Service not available, try again later")
        assert server.process.wait() == 78


def test_a_second_signal(start: Starter) -> None:
    """The second signal ends everything at once, a delivery too."""
    server = start.server("listen", "deliver rcpt_to ever@mydomain.com pipe sleep 60")
    wait_for_workers(server)
    all_workers = workers(server)
    with server.connect() as client:
        client.envelope("ever")
        client.send(b"Hello\r\n.\r\n")
        server.site.wait_for_log("size=6 begins")
        server.process.terminate()
        server.site.wait_for_log("stopping: 1 sessions are open")
        server.process.terminate()
        assert server.process.wait() == -signal.SIGTERM
        assert client.rest() == []
    wait_until(lambda: not any(map(lives, all_workers)), "the workers to go")


@pytest.mark.needs_tool("setsid")
def test_a_terminal_that_is_closed(start: Starter) -> None:
    """SIGHUP from a terminal that is gone is no wish for a reload: what ran there ends."""
    site, port = start.site(), free_port()
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", *PROGRAM, "listen", "-c", str(site.config), str(port)]
    start.process(command, site, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    site.wait_for_log("listening on")
    os.close(ours)
    site.wait_for_log("stopping: 0 sessions are open")
    wait_until(lambda: not is_listening(port), "the port to be closed")


# What systemd is told


class Manager:
    """Hears what a service tells systemd."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environment = {**ENVIRONMENT, "NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}

    def close(self) -> None:
        self._socket.close()

    def heard(self, seconds: float, until: str = "\0") -> list[str]:
        """Return what is told within so many seconds, or until a certain text comes."""
        words = []
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self._socket.settimeout(left)
            try:
                words.append(self._socket.recv(10_000).decode())
            except TimeoutError:
                break
            if words[-1].startswith(until):
                return words
        assert until == "\0", f"{until} was not told, but {words}"
        return words


@pytest.fixture
def manager(tmp_path: Path) -> Generator[Manager, None, None]:
    """What takes the place of systemd."""
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()


def test_what_systemd_is_told(start: Starter, manager: Manager) -> None:
    """Ready, alive, reloading and ready again, stopping, and how things are; and commands see nothing of it."""
    site = start.site("deliver rcpt_to env@mydomain.com pipe env >{folder}/env")
    command = [*impatient(), "listen", "-c", str(site.config), "127.0.0.1:0"]
    process = start.process(command, site, environment=manager.environment)
    manager.heard(10, until="READY=1")
    manager.heard(10, until="WATCHDOG=1")
    change(site, NEW_LINE)
    process.send_signal(signal.SIGHUP)
    told = manager.heard(10, until="RELOADING=1")
    usec = int(told[-1].partition("\nMONOTONIC_USEC=")[2])
    assert 0 < time.monotonic_ns() // 1000 - usec < 10_000_000
    manager.heard(10, until="READY=1")
    change(site, "domian x")
    process.send_signal(signal.SIGHUP)
    manager.heard(10, until="RELOADING=1")
    manager.heard(10, until="READY=1")
    port = int(site.log.partition("listening on 127.0.0.1 port ")[2].split()[0])
    with Server(site, port, process).connect() as client:
        assert f"STATUS={PROCESSORS} workers, 1 connections" in manager.heard(10, until="STATUS=")
        client.envelope("env")
        assert client.ask("Hello\r\n.")[:3] == "250"
    assert "NOTIFY" not in (site.folder / "env").read_text()
    process.terminate()
    manager.heard(10, until="STOPPING=1")
    assert process.wait() == 0


def test_no_sign_of_life_without_workers(start: Starter, manager: Manager) -> None:
    """While a worker hangs and is not replaced, nothing says that all is well."""
    site = start.site()
    program = impatient("supervisor.Child.kill = lambda self: None")
    command = [*program, "listen", "-c", str(site.config), "127.0.0.1:0"]
    process = start.process(command, site, environment=manager.environment)
    manager.heard(10, until="WATCHDOG=1")
    os.kill(list(tree(process.pid))[1], signal.SIGSTOP)
    site.wait_for_log("has not answered for")
    manager.heard(0.3)
    assert "WATCHDOG=1" not in manager.heard(1)
    os.kill(list(tree(process.pid))[1], signal.SIGCONT)
    manager.heard(10, until="WATCHDOG=1")


@pytest.mark.parametrize("name", ["{folder}/nobody", "@mailrecv-nobody", "no path"])
def test_nobody_to_be_told(start: Starter, name: str) -> None:
    """Where systemd should be and is not, clients are served all the same, and a reload works."""
    site = start.site()
    environment = {**ENVIRONMENT, "NOTIFY_SOCKET": name.format(folder=site.folder)}
    command = [*PROGRAM, "listen", "-c", str(site.config), "127.0.0.1:0"]
    process = start.process(command, site, environment=environment)
    site.wait_for_log("listening on 127.0.0.1 port ")
    port = int(site.log.partition("listening on 127.0.0.1 port ")[2].split()[0])
    server = Server(site, port, process)
    change(site, NEW_LINE)
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: recipient(server, "new") == "250 OK", "the new configuration")
    process.terminate()
    assert process.wait() == 0
