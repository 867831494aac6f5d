"""Every wait for a client ends: with octets, at the deadline, when the server stops, or when the client is gone."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Never

import pytest

from mailrecv.server.channel import SocketChannel, Stop, Stopping, StreamChannel


@dataclass
class Pair:
    """A channel, and the client at its other end."""

    channel: SocketChannel
    client: socket.socket
    stop: Stop


@pytest.fixture
def pair() -> Generator[Pair, None, None]:
    """A connection over TCP."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
    stop = Stop()
    with client, connection:
        yield Pair(SocketChannel(connection, stop), client, stop)


def soon(seconds: float = 0.05) -> float:
    """Return a deadline."""
    return time.monotonic() + seconds


LATER = 10.0


# Receive


def test_receive(pair: Pair) -> None:
    """What came is returned at once, however far the deadline is."""
    pair.client.sendall(b"NOOP\r\n")
    assert pair.channel.receive(soon(LATER)) == b"NOOP\r\n"


def test_receive_what_is_there_after_the_deadline(pair: Pair) -> None:
    """What came in time is not lost for a deadline that has passed since."""
    pair.client.sendall(b"NOOP\r\n")
    time.sleep(0.01)
    assert pair.channel.receive(soon(-1)) == b"NOOP\r\n"


def test_receive_nothing_in_time(pair: Pair) -> None:
    """A client that says nothing is waited for until the deadline, and no longer."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        pair.channel.receive(began + 0.1)
    assert 0.1 <= time.monotonic() - began < 1


@pytest.mark.parametrize("reset", [False, True])
def test_receive_from_a_client_that_left(pair: Pair, reset: bool) -> None:
    """A client that closed its side, and one that reset the connection, are both gone."""
    if reset:
        pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair.client.close()
    assert pair.channel.receive(soon(LATER)) == b""


def test_receive_when_told_to_stop(pair: Pair) -> None:
    """A stop ends a wait at once, also one that has begun, and even of a client that never ceases to send."""
    threading.Timer(0.05, pair.stop.request).start()
    with pytest.raises(Stopping):
        pair.channel.receive(soon(LATER))
    pair.client.sendall(b"NOOP\r\n")
    with pytest.raises(Stopping):
        pair.channel.receive(soon(LATER))


# Send


def test_send_much(pair: Pair) -> None:
    """What does not go at once is sent as the client reads it."""
    octets = b"0123456789abcdef" * 1_000_000
    received = bytearray()

    def read() -> None:
        while len(received) < len(octets):
            received.extend(pair.client.recv(1 << 20))

    reader = threading.Thread(target=read)
    reader.start()
    pair.channel.send(octets, soon(LATER))
    reader.join()
    assert received == octets


def test_send_to_a_client_that_does_not_read(pair: Pair) -> None:
    """A client that reads nothing is waited for until the deadline, and no longer."""
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        pair.channel.send(b"x" * 50_000_000, began + 0.1)
    assert 0.1 <= time.monotonic() - began < 1


def test_send_goes_on_where_it_was_cut_off(pair: Pair) -> None:
    """A reply that was sent in part is finished first, whenever the client reads again."""
    octets = b"0123456789" * 1_000_000
    with pytest.raises(TimeoutError):
        pair.channel.send(octets, soon())
    received = bytearray()

    def read() -> None:
        while block := pair.client.recv(1 << 20):
            received.extend(block)

    reader = threading.Thread(target=read)
    reader.start()
    pair.channel.send(b"421 Idle\r\n", soon(10))
    pair.channel.close()
    reader.join()
    assert received == octets + b"421 Idle\r\n"


def test_send_after_the_deadline_or_a_stop(pair: Pair) -> None:
    """What goes without a wait is sent even then: it is a last word."""
    pair.stop.request()
    pair.channel.send(b"421 ", soon(-1))
    assert pair.client.recv(100) == b"421 "


def test_send_when_told_to_stop(pair: Pair) -> None:
    """A stop ends the wait for a client that does not read."""
    pair.stop.request()
    with pytest.raises(Stopping):
        pair.channel.send(b"x" * 50_000_000, soon(LATER))


def test_send_to_a_client_that_left(pair: Pair) -> None:
    """A client that is gone is a ConnectionError."""
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    pair.client.close()
    with pytest.raises(ConnectionError):
        pair.channel.send(b"250 OK\r\n", soon(LATER))


@pytest.mark.parametrize("number", [errno.EHOSTUNREACH, errno.ETIMEDOUT, errno.EIO])
def test_client_that_cannot_be_reached_any_more(pair: Pair, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Whatever the system says of a connection that broke, the client is gone; it is no deadline and no fault."""

    def broken(*_: object) -> Never:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(pair.channel, "_read", broken)
    monkeypatch.setattr(pair.channel, "_write", broken)
    pair.client.sendall(b"NOOP\r\n")
    assert pair.channel.receive(soon(LATER)) == b""
    with pytest.raises(ConnectionError):
        pair.channel.send(b"250 OK\r\n", soon(LATER))


# Close


def test_close_with_octets_unread(pair: Pair) -> None:
    """The last reply arrives, and then an orderly end, although not all that the client sent was read."""
    pair.client.sendall(b"x" * 100_000)
    pair.channel.send(b"421 ", soon(LATER))
    closing = threading.Thread(target=pair.channel.close)
    closing.start()
    assert pair.client.recv(100) == b"421 "
    assert pair.client.recv(100) == b""
    pair.client.close()
    closing.join(LATER)


def test_close_before_a_client_that_stays(pair: Pair) -> None:
    """A client that does not close its side is left after a second."""
    began = time.monotonic()
    pair.channel.close()
    assert 0.5 < time.monotonic() - began < 2


def test_close_at_once(pair: Pair) -> None:
    """A client that is done is not waited for, and still gets the last reply, whatever else it has sent by then."""
    pair.client.sendall(b"x" * 100_000)
    pair.channel.send(b"221 ", soon(LATER))
    began = time.monotonic()
    pair.channel.close(at_once=True)
    assert time.monotonic() - began < 0.5
    assert pair.client.recv(100) == b"221 "
    assert pair.client.recv(100) == b""


def test_close_when_told_to_stop(pair: Pair) -> None:
    """A server that stops leaves it at once."""
    pair.stop.request()
    began = time.monotonic()
    pair.channel.close()
    assert time.monotonic() - began < 0.5


# Standard streams


def test_streams() -> None:
    """A pipe has the same waits as a socket, and is not closed."""
    from_client, client_out = os.pipe()
    client_in, to_client = os.pipe()
    try:
        channel = StreamChannel(from_client, to_client, Stop())
        os.write(client_out, b"NOOP\n")
        assert channel.receive(soon(LATER)) == b"NOOP\n"
        with pytest.raises(TimeoutError):
            channel.receive(soon())
        channel.send(b"250 OK\r\n", soon(LATER))
        assert os.read(client_in, 100) == b"250 OK\r\n"
        with pytest.raises(TimeoutError):
            channel.send(b"x" * 1_000_000, soon())
        channel.close()
        os.write(to_client, b"")
    finally:
        for fd in (from_client, client_out, client_in, to_client):
            os.close(fd)


def test_streams_that_end() -> None:
    """A writer that is gone is an end of the octets, a reader that is gone a ConnectionError."""
    from_client, client_out = os.pipe()
    client_in, to_client = os.pipe()
    os.close(client_out)
    os.close(client_in)
    channel = StreamChannel(from_client, to_client, Stop())
    try:
        assert channel.receive(soon(LATER)) == b""
        with pytest.raises(ConnectionError):
            channel.send(b"250 OK\r\n", soon(LATER))
    finally:
        os.close(from_client)
        os.close(to_client)


# Stop


def test_stop_by_signal() -> None:
    """SIGTERM and SIGINT request a stop; a second one of a kind does what it does by default."""
    stop = Stop()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    ours, theirs = socket.socketpair()
    try:
        stop.on_signals()
        signal.raise_signal(signal.SIGTERM)
        with ours, theirs, pytest.raises(Stopping):
            SocketChannel(ours, stop).receive(soon(LATER))
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
        assert signal.getsignal(signal.SIGINT) != signal.SIG_DFL
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def test_stop_requested_often() -> None:
    """A stop may be requested any number of times."""
    stop = Stop()
    for _ in range(100_000):
        stop.request()
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(Stopping):
        SocketChannel(ours, stop).receive(soon(LATER))
