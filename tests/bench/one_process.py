"""One process that is timed as a whole: a program by itself, or a session as systemd starts it."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.bench.addresses import CLIENT
from tests.bench.conversation import Conversation
from tests.bench.mailrecv_server import ENVIRONMENT, PROGRAM

_SOCKET = 3  # where systemd puts it


class Session(NamedTuple):
    """What a session took.  greeting: seconds from the exec to the 220.  cpu: seconds, of the whole process."""

    greeting: float
    cpu: float


def cpu_seconds(*command: str) -> float:
    """Run a program to its end; return the CPU time of the process, its start by the kernel included."""
    pid = os.posix_spawn(command[0], command, ENVIRONMENT)
    return _wait_for(pid)


def session(config: Path, talk: Callable[[Conversation], None]) -> Session:
    """Run a session of mailrecv on a connection of its own, as systemd does with Accept=yes.

    config: path of the configuration.  talk: what the client does between the greeting and QUIT.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connection, (address, port) = listener.accept()
    clock, told = os.pipe()
    facts = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "connection", "REMOTE_ADDR": address, "REMOTE_PORT": str(port)}
    facts["CACHE_DIRECTORY"] = str(config.parent)
    with connection, Conversation(client) as conversation:
        pid = os.fork()
        if pid == 0:
            _become([str(PROGRAM), "-c", str(config)], connection, {**ENVIRONMENT, **facts}, told)
        connection.close()
        conversation.expect("220")
        greeted = time.perf_counter()
        conversation.ask(f"HELO {CLIENT}")
        talk(conversation)
        conversation.end()
        cpu = _wait_for(pid)
    began = float(os.read(clock, 100))
    os.close(clock)
    os.close(told)
    return Session(greeted - began, cpu)


def _become(command: list[str], connection: socket.socket, environment: Mapping[str, str], told: int) -> None:
    """Be a program that gets a connection as systemd gives it; tell in this pipe when that was."""
    try:
        os.write(told, repr(time.perf_counter()).encode())  # first, since the pipe may be where the socket goes
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        os.dup2(connection.fileno(), _SOCKET)
        os.set_inheritable(_SOCKET, True)
        environment = {**environment, "LISTEN_PID": str(os.getpid())}
        os.execve(command[0], command, environment)  # noqa: S606 - the point of it
    finally:
        os._exit(127)


def _wait_for(pid: int) -> float:
    _, status, used = os.wait4(pid, 0)
    if status != 0:
        raise RuntimeError(f"process {pid} ended with exit status {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime
