"""A network of two hosts, made of namespaces: the server's, and the world's with the clients; and its DNS.

Nothing in it reaches the machine's own network, nor the other way round, so its hosts may have any addresses, listen on
any ports, and lie in DNS as much as they like. Only root can make one.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Self, TypeVar

T = TypeVar("T")

SERVER = "192.0.2.25"
SERVER_IPV6 = "2001:db8::25"
CLIENTS = "198.51.100.0/24"  # all of these are addresses of the world
CLIENTS_IPV6 = ("2001:db8::7", "2001:db8::8", "2001:db8::9")
SERVER_LINK_LOCAL = "fe80::25%eth0"
CLIENT_LINK_LOCAL = "fe80::7%eth0"
DNS = "127.0.0.1"  # for the server's host, whose own loopback this is
_CLONE_NEWNET = 0x40000000  # sched.h
_PATIENCE_SECONDS = 10.0


class Network:
    """Two namespaces, joined by a pair of virtual Ethernet devices.  server, world: their names."""

    def __init__(self) -> None:
        with ExitStack() as ended_on_failure:
            self.server = self._namespace("server", ended_on_failure)
            self.world = self._namespace("world", ended_on_failure)
            self._connect()
            self._ended_later = ended_on_failure.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended_later.close()

    @staticmethod
    def _namespace(name: str, ended_later: ExitStack) -> str:
        name = f"mailrecv-{os.getpid()}-{name}"
        subprocess.run(["ip", "netns", "add", name], check=True)
        ended_later.callback(subprocess.run, ["ip", "netns", "del", name], check=True)
        return name

    def _connect(self) -> None:
        for command in [
            f"ip link add eth0 netns {self.server} type veth peer name eth0 netns {self.world}",
            f"ip -n {self.server} addr add {SERVER}/24 dev eth0",
            f"ip -n {self.server} addr add {SERVER_IPV6}/32 dev eth0 nodad",
            f"ip -n {self.world} addr add 192.0.2.1/24 dev eth0",
            *(f"ip -n {self.world} addr add {address}/32 dev eth0 nodad" for address in CLIENTS_IPV6),
            f"ip -n {self.server} addr add fe80::25/64 dev eth0 nodad",
            f"ip -n {self.world} addr add fe80::7/64 dev eth0 nodad",
            *(f"ip -n {name} link set {device} up" for name in (self.server, self.world) for device in ("lo", "eth0")),
            f"ip -n {self.world} route add local {CLIENTS} dev lo",
            f"ip -n {self.server} route add {CLIENTS} via 192.0.2.1",
        ]:
            subprocess.run(command.split(), check=True)

    def at_server(self, *command: str) -> tuple[str, ...]:
        """Return a command that runs another on the server's host."""
        return ("ip", "netns", "exec", self.server, *command)

    def in_world(self, *command: str) -> tuple[str, ...]:
        """Return a command that runs another in the world."""
        return ("ip", "netns", "exec", self.world, *command)

    def dial(self, source: str, port: int = 25) -> socket.socket:
        """Return a connection of a client at this address to a port of the server."""
        server = SERVER_LINK_LOCAL if "%" in source else SERVER_IPV6 if ":" in source else SERVER
        return inside(self.world, _dial, source, server, port)

    def listens(self, port: int, *, udp: bool = False) -> bool:
        """Say whether somebody on the server's host has bound a port."""
        options = "-Hlun" if udp else "-Hltn"
        found = subprocess.run(
            self.at_server("ss", options, f"sport = :{port}"), capture_output=True, text=True, check=True
        )
        return bool(found.stdout.strip())

    @contextmanager
    def name_server(self, folder: Path, records: Iterable[str], port: int = 5353) -> Generator[None, None, None]:
        """Run dnsmasq for the server's host.  records: lines of its configuration; it asks nobody else."""
        config = folder / f"dnsmasq-{port}.conf"
        config.write_text("".join(f"{line}\n" for line in ("no-resolv", "no-hosts", *records)))
        options = [f"--conf-file={config}", f"--port={port}", f"--listen-address={DNS}", "--user=root", "--pid-file="]
        command = self.at_server("dnsmasq", "--keep-in-foreground", "--bind-interfaces", *options)
        with running(command, log=folder / "dnsmasq.log") as process:
            _wait(lambda: process.poll() is not None or self.listens(port, udp=True))
            assert process.poll() is None, (folder / "dnsmasq.log").read_text()
            yield


class Relay:
    """Stands before a name server of the server's host, as its port 53, and does something to answers.

    change: gets an answer, in a thread of its own, and returns the datagrams that are sent instead.  port: of the name
    server.  questions: how many there were.
    """

    def __init__(
        self, network: Network, change: Callable[[bytes], Sequence[bytes]] = lambda answer: [answer], port: int = 5353
    ) -> None:
        self.questions = 0
        self._port = port
        self._change = change
        self._network = network
        self._front = inside(network.server, _bound, DNS, 53)
        self._ended, self._end = socket.socketpair()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._relay)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()
        self._thread.join()
        self._ended.close()
        self._front.close()

    def _relay(self) -> None:
        while self._ended not in select.select([self._front, self._ended], [], [])[0]:
            question, client = self._front.recvfrom(65535)
            self.questions += 1
            threading.Thread(target=self._answer, args=(question, client), daemon=True).start()

    def _answer(self, question: bytes, client: tuple[str, int]) -> None:
        with inside(self._network.server, _bound, DNS, 0) as back, suppress(OSError):  # the end may come first
            back.settimeout(_PATIENCE_SECONDS)
            back.sendto(question, (DNS, self._port))
            for datagram in self._change(back.recv(65535)):
                self._front.sendto(datagram, client)


def inside(namespace: str, call: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a thread that lives in a namespace: the sockets it makes belong there for good."""
    with ThreadPoolExecutor(max_workers=1, initializer=_enter, initargs=(namespace,)) as thread:
        return thread.submit(call, *arguments).result()


@contextmanager
def running(command: Sequence[str], log: Path) -> Generator[subprocess.Popen[bytes], None, None]:
    """Run a program in a process group of its own, and end the group.  log: gets what it prints."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait(_PATIENCE_SECONDS)


def _enter(namespace: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    with Path("/run/netns", namespace).open("rb") as network:
        if libc.setns(network.fileno(), _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")


def _dial(source: str, server: str, port: int) -> socket.socket:
    [(*_, whole_source)] = socket.getaddrinfo(source, 0, type=socket.SOCK_STREAM)  # with the number of its zone
    return socket.create_connection((server, port), _PATIENCE_SECONDS, whole_source)


def _bound(address: str, port: int) -> socket.socket:
    datagrams = socket.socket(type=socket.SOCK_DGRAM)
    datagrams.bind((address, port))
    return datagrams


def _wait(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
