"""The octets of one connection, in both directions, with deadlines.

Every wait here ends: with octets, at the deadline (TimeoutError), when the program is told to stop (Stopping), or when
the other end is gone (b"" from `receive`, ConnectionError from `send`). Deadlines are on the monotonic clock, in
seconds.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from types import FrameType

RECEIVE_OCTETS = 1 << 18
_FIRST_RECEIVE_OCTETS = 1 << 14  # until that is filled once: memory for more is asked of the system for each command
PIPE_BUF_OCTETS = 4096  # Linux: what a pipe that is ready takes without blocking
_LONGEST_WAIT_SECONDS = 1_000_000  # poll(2) takes no more than 24 days, the configuration does
_LINGER_SECONDS = 1.0
_LINGER_OCTETS = 1 << 24
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stopping(Exception):
    """The program was told to stop while this connection waited for its client."""


class Stop:
    """A request to stop that every wait notices. It holds for good."""

    def __init__(self) -> None:
        self._read_fd, self._write_fd = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def on_signals(self) -> None:
        """Make SIGTERM and SIGINT request it, instead of ending the process in the middle of a delivery.

        A second signal of the kind ends the process as ever.
        """
        for number in _STOP_SIGNALS:
            signal.signal(number, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP_SIGNALS)  # which a head start has kept back

    def request(self) -> None:
        """Ask for it; more than once is as good as once."""
        with suppress(BlockingIOError):
            os.write(self._write_fd, b"!")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self.request()

    def fileno(self) -> int:
        """Return a descriptor that is readable once it was asked for."""
        return self._read_fd


class Channel(ABC):
    """A connection to a client.  stop: ends every wait.  sent: what the client has been sent of what is sent first."""

    def __init__(self, in_fd: int, out_fd: int, stop: Stop, sent: bytes = b"") -> None:
        self._sent = sent
        self._in_fd = in_fd
        self._out_fd = out_fd
        self._stop = stop
        self._unsent = b""
        self._pollers: dict[int, select.poll] = {}  # by what the client is to be ready for, made once

    def receive(self, deadline: float) -> bytes:
        """Return what came from the client, b"" when it is gone. Raises TimeoutError and Stopping."""
        self._wait(self._in_fd, select.POLLIN, deadline)
        try:
            return self._read()
        except OSError:  # a reset; a host or a network that became unreachable; a terminal that was hung up
            return b""

    def send(self, octets: bytes, deadline: float) -> None:
        """Send all of `octets`. Raises TimeoutError, Stopping, and ConnectionError when the client is gone.

        A deadline in the past still lets out what goes without a wait. What could not be sent comes first the next
        time, so that no reply begins in the middle of another.
        """
        self._unsent += octets.removeprefix(self._sent)
        self._sent = b""
        while self._unsent:
            try:
                self._unsent = self._unsent[self._write(self._unsent) :]
            except BlockingIOError:
                self._wait(self._out_fd, select.POLLOUT, deadline)
            except OSError as error:
                raise ConnectionError(error.errno, error.strerror) from error

    @abstractmethod
    def close(self, *, at_once: bool = False) -> None:
        """End the connection, after the client has had a chance to read the last reply.

        at_once: the client has said that it is done, so that nothing more is to come that would have to be waited for.
        """

    @abstractmethod
    def _read(self) -> bytes:
        """Read what is there."""

    @abstractmethod
    def _write(self, octets: bytes) -> int:
        """Write what goes without a wait, or raise BlockingIOError when nothing does."""

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        poller = self._pollers.get(event)
        if poller is None:
            poller = self._pollers[event] = select.poll()
            poller.register(fd, event)
            poller.register(self._stop, select.POLLIN)
        left = min(max(0.0, deadline - time.monotonic()), _LONGEST_WAIT_SECONDS)
        ready = {ready_fd for ready_fd, _ in poller.poll(left * 1000)}
        if self._stop.fileno() in ready:
            raise Stopping
        if not ready:
            raise TimeoutError


class SocketChannel(Channel):
    """A connected stream socket."""

    def __init__(self, connection: socket.socket, stop: Stop, sent: bytes = b"") -> None:
        super().__init__(connection.fileno(), connection.fileno(), stop, sent)
        self._connection = connection
        self._receive_octets = _FIRST_RECEIVE_OCTETS

    def close(self, *, at_once: bool = False) -> None:
        """Close the socket, so that its last octets arrive.

        A socket that is closed while octets from the client are still unread resets the connection, and a reset can
        overtake the reply. So this side is shut down first, and what the client still sends is read for a moment.
        """
        deadline = time.monotonic() + (0 if at_once else _LINGER_SECONDS)
        octets = 0
        with self._connection, suppress(OSError, Stopping):
            self._connection.shutdown(socket.SHUT_WR)
            while octets < _LINGER_OCTETS and (block := self.receive(deadline)):
                octets += len(block)

    def _read(self) -> bytes:
        octets = self._connection.recv(self._receive_octets)
        if len(octets) == self._receive_octets:
            self._receive_octets = RECEIVE_OCTETS
        return octets

    def _write(self, octets: bytes) -> int:
        return self._connection.send(octets, socket.MSG_DONTWAIT)


class StreamChannel(Channel):
    """Standard input and output: a terminal, a pipe or a file."""

    def close(self, *, at_once: bool = False) -> None:
        """Leave the streams as they are: they are not this program's."""

    def _read(self) -> bytes:
        return os.read(self._in_fd, RECEIVE_OCTETS)

    def _write(self, octets: bytes) -> int:
        poller = select.poll()
        poller.register(self._out_fd, select.POLLOUT)
        if not poller.poll(0):
            raise BlockingIOError
        return os.write(self._out_fd, octets[:PIPE_BUF_OCTETS])
