"""A worker: one of the processes that serve the clients of a resident server, each client in a thread.

Its main thread accepts connections, and answers the supervisor, who asks every second whether it is still there.
It lives until it is told to go, or until its supervisor is gone; then it finishes its sessions.
"""

from __future__ import annotations

import errno
import os
import queue
import resource
import select
import socket
import threading
import time
from contextlib import suppress
from functools import partial

from mailrecv.config.model import Config
from mailrecv.delivery.processes import bury_orphans
from mailrecv.journal import catalogue
from mailrecv.journal.log import Journal
from mailrecv.reply import Reply
from mailrecv.resident.register import Full, Register, client_of
from mailrecv.server.activation import UnservedFamily, peer_address
from mailrecv.server.channel import Stop
from mailrecv.server.chronicle import record_exception
from mailrecv.server.domain import host_name
from mailrecv.server.refusal import refuse, refuse_all
from mailrecv.server.service import Service
from mailrecv.server.session import GOING_DOWN
from mailrecv.values import Value

# What supervisor and worker say to each other, an octet each.
ARE_YOU_THERE = b"?"
HERE = b"."  # the answer, and, unasked, that the worker is ready
RETIRE = b"R"  # take no more clients, and end when the last session has ended
STOP = b"S"  # the same, and tell clients that you wait for to come again

NO_THREAD = Reply(421, "Too busy, try again later")
_AFTER_FAILED_ACCEPT_SECONDS = 0.05
_CLIENT_FOR_ONE = select.EPOLLIN | select.EPOLLEXCLUSIVE  # wakes one of all the workers, not each of them for nothing
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)  # all else is about the client (accept(2))
_DESCRIPTORS_PER_CONNECTION = 5  # at most: the client, the mail data, and what its delivery takes
_OTHER_DESCRIPTORS = 64
_BETWEEN_COMPLAINTS_SECONDS = 60.0  # a shortage lasts, and is met with each try


class Shared(Value):
    """What a worker gets from its supervisor.

    listener: where clients connect.  own_listener: it was opened by this program, so that nobody serves it after the
    end.  register: of all connections.  config, journal: what holds for its sessions.
    """

    listener: socket.socket
    own_listener: bool
    register: Register
    config: Config
    journal: Journal


class Worker:
    """The worker of this process.  number: by which the register knows it.  supervisor: the connection to it."""

    def __init__(self, shared: Shared, number: int, supervisor: socket.socket) -> None:
        self._shared = shared
        self._number = number
        self._supervisor = supervisor
        self._stop = Stop()
        _allow_descriptors(shared.config.limits.connections.value)
        domain = shared.config.domain or host_name(shared.config.limits.connection_secs.value)
        self._service = Service(shared.config, domain, shared.journal, self._stop)
        self._rows: set[int] = set()  # of the register: a session each
        self._taken: queue.SimpleQueue[tuple[socket.socket, int, int]] = queue.SimpleQueue()  # with its client and row
        self._threads = 0  # as many as there ever were sessions at once: a new one costs a fifth of a session's work
        self._accepts = True
        self._complain_again_at = 0.0
        self._is_followed = True  # by another worker: one that serves the clients who wait to be accepted
        self._session_ended = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def run(self) -> None:
        """Serve clients until there is an end to it."""
        listener = self._shared.listener
        poller = select.epoll()
        poller.register(listener, _CLIENT_FOR_ONE)
        for source in (self._supervisor, self._session_ended):
            poller.register(source, select.EPOLLIN)
        self._say(HERE)
        while self._accepts or self._rows:
            ready = {fd for fd, _ in poller.poll()}
            if self._supervisor.fileno() in ready and not self._obey():
                poller.unregister(self._supervisor)
            if self._session_ended in ready:
                os.eventfd_read(self._session_ended)
            if not self._accepts and listener.fileno() >= 0:
                poller.unregister(listener)
                self._leave_listener()
            elif self._accepts:
                # To the end of the queue, since the first in it is woken; and for a look at the listener, once a second
                # at least: whoever was woken for a client may have ended since.
                poller.unregister(listener)
                poller.register(listener, _CLIENT_FOR_ONE)
                if listener.fileno() in ready:
                    self._accept()
            self._shared.journal.tell_counts()
        self._shared.journal.tell_counts(at_once=True)

    def _obey(self) -> bool:
        """Do what the supervisor says. Return False when it is gone."""
        words = b""
        with suppress(OSError):
            words = self._supervisor.recv(1024)
        if ARE_YOU_THERE in words:
            self._say(HERE)
            bury_orphans()
        if RETIRE in words:
            self._accepts = False
        if STOP in words or not words:
            self._accepts = self._is_followed = False
            self._stop.request()
        return bool(words)

    def _say(self, word: bytes) -> None:
        with suppress(OSError):
            self._supervisor.send(word, socket.MSG_DONTWAIT)

    def _leave_listener(self) -> None:
        """Take no more clients.

        Those who wait to be taken are left to the other workers, or to whom systemd starts next. When nobody will serve
        them they are told to come again: the end of the socket would be a reset for them.
        """
        if self._shared.own_listener and not self._is_followed:
            refuse_all(self._shared.listener, GOING_DOWN)
        self._shared.listener.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._shared.listener.accept()
        except BlockingIOError:  # another worker was faster
            return
        except OSError as error:  # the client has given up in the meantime; or no descriptor is free just now
            if error.errno in _SHORTAGES:
                self._complain(error)
            time.sleep(_AFTER_FAILED_ACCEPT_SECONDS)
            return
        try:
            host = peer_address(connection)
        except OSError:  # the client is gone already
            connection.close()
            return
        except UnservedFamily as unserved:
            self._service.refuse_family(connection, unserved)
            return
        try:
            row = self._shared.register.enter(host, self._number, self._shared.config.limits)
        except Full as full:
            journal = self._shared.journal.of_stranger(client_address=host or "127.0.0.1")
            journal.record(catalogue.LIMIT_EXCEEDED, limit=full.limit)
            journal.leave()
            refuse(connection, getattr(self._shared.config.limits, full.limit).reply)
            return
        self._rows.add(row)
        if len(self._rows) > self._threads:
            try:
                threading.Thread(target=self._serve, name=f"session-{self._threads}", daemon=True).start()
            except RuntimeError:  # the system has none to give just now
                refuse(connection, NO_THREAD)
                self._ended(row)
                return
            self._threads += 1
        self._taken.put((connection, client_of(host), row))

    def _complain(self, error: OSError) -> None:
        """Tell that clients wait for what the system has none of, now and then as long as that lasts."""
        if time.monotonic() >= self._complain_again_at:
            self._complain_again_at = time.monotonic() + _BETWEEN_COMPLAINTS_SECONDS
            self._shared.journal.record(catalogue.CLIENTS_WAIT, reason=error.strerror)

    def _serve(self) -> None:
        """Serve one client after the other: what a thread does."""
        while True:
            connection, client, row = self._taken.get()
            try:
                counts = partial(self._shared.register.count_for, client, row)
                self._service.serve_connection(connection, time.monotonic(), counts=counts)
            except Exception as error:  # noqa: BLE001 - one session must not end the others
                record_exception(self._shared.journal, error)
            finally:
                self._ended(row)

    def _ended(self, row: int) -> None:
        self._rows.discard(row)  # before it is given back, or this could be the row of the next session already
        self._shared.register.leave(row)
        if not self._accepts:  # the main thread waits for the last one, and has looked at the rows after it said so
            os.eventfd_write(self._session_ended, 1)


def _allow_descriptors(connections: int) -> None:
    """Raise the limit of descriptors to what so many connections need, all of them here, as far as the system lets it.

    The usual one, 1024, is for programs that use select(2), and has to be raised by those that do not. The commands
    that are run inherit it; they have only a few descriptors open, so that each fits into select(2) as before.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(_OTHER_DESCRIPTORS + connections * _DESCRIPTORS_PER_CONNECTION, hard)
    if soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
