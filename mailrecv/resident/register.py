"""Who is connected: a table of all connections that the workers share, so that limits hold for all of them together.

It lies in memory that is mapped before the workers are forked. A row is a connection: its client, or 0 for a free row,
and the number of the worker that serves it. The rules that keep it exact:

1. A row is taken under a lock, which the kernel takes away from a process that ends. So what is counted there is true,
   and a worker that is killed holds up nobody.
2. A row is given back by one store of a zero, without the lock, by the worker that took it; or, when that worker has
   ended, by the supervisor. Nobody else writes to it meanwhile. The same goes for the stores of `count_for`.
3. The lowest free row is the next one to be taken, so that no more rows have to be looked at than there ever were
   connections at once.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from zlib import crc32

from mailrecv.address import plain_address
from mailrecv.limits import Limits

MAX_ROWS = 1 << 16  # far more than a thread each could serve
_CELL_OCTETS = 8
_HERE = 1  # as a client: somebody on this machine without an address
NOBODY = (
    1 << 64
) - 1  # as a client: one that has had its last reply; an address that nobody connects from (RFC 4291 §2.7)
_IPV4 = 0xFFFF << 32  # as in ::ffff:192.0.2.1, an address whose first half no network has


class Full(Exception):
    """One connection too many.  limit: the name of the one that it would exceed."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class Register:
    """The table.  max_rows: how many connections there is room for."""

    def __init__(self, max_rows: int = MAX_ROWS) -> None:
        memory = memoryview(mmap.mmap(-1, (1 + 2 * max_rows) * _CELL_OCTETS)).cast("Q")  # all zeros
        self._used, self._clients, self._workers = memory[:1], memory[1 : 1 + max_rows], memory[1 + max_rows :]
        self._lock_fd = os.memfd_create("mailrecv-register")

    def enter(self, address: str | None, worker: int, limits: Limits) -> int:
        """Take a row for a new connection, and return its number. Raises Full.

        address: of the client, None for a peer on this machine without one.  worker: the number of the caller's
        process.
        """
        client = client_of(address)
        with self._locked():
            used = self._used[0]
            clients = self._clients[:used].tolist()
            free = clients.count(0)
            if used - free >= limits.connections.value or (not free and used == len(self._clients)):
                raise Full("connections")
            if clients.count(client) >= limits.client_connections.value:
                raise Full("client_connections")
            row = clients.index(0) if free else used
            self._workers[row] = worker
            self._clients[row] = client  # after the worker's number: from here on the row is taken
            self._used[0] = max(used, row + 1)
        return row

    def count_for(self, client: int, row: int, counts: bool) -> None:
        """Let a connection count for its client or, with its last reply, for nobody.  client: as `client_of` has it."""
        self._clients[row] = client if counts else NOBODY

    def leave(self, row: int) -> None:
        """Give a row back."""
        self._clients[row] = 0

    def clear(self, worker: int) -> int:
        """Give back all rows of a worker that has ended, and return how many that were; waits for nobody."""
        lost = 0
        for row in range(self._used[0]):
            # In this order: a row that was taken, and is its, cannot have become another's in between.
            if self._clients[row] and self._workers[row] == worker:
                self._clients[row] = 0
                lost += 1
        return lost

    @property
    def connections(self) -> int:
        """How many there are."""
        used = self._used[0]
        return used - self._clients[:used].tolist().count(0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A lock of fcntl(2) belongs to the process, whichever descriptor it was made through. So it tells no threads
        # apart: one thread of each process has to do all of `enter`.
        fcntl.lockf(self._lock_fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._lock_fd, fcntl.LOCK_UN)


def client_of(address: str | None) -> int:
    """Return the number that stands for a client: never 0, and at most 64 bits.

    That is an IPv4 address, or the network of an IPv6 address, its first half (RFC 4291 §2.5.4): whoever has one
    address of that has them all. Link-local networks differ by their zone alone, which stands in the half of zeros.
    """
    if address is None:
        return _HERE
    host, _, zone = plain_address(address).partition("%")
    if ":" not in host:
        return _IPV4 | int.from_bytes(socket.inet_aton(host), "big")
    network = int.from_bytes(socket.inet_pton(socket.AF_INET6, host)[:8], "big") | crc32(zone.encode())
    return network or _HERE  # ::1
