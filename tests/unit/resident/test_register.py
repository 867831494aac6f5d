"""The register of connections: exact whoever counts, and whoever is killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable

import pytest

from mailrecv.limits import Limit, Limits
from mailrecv.reply import Reply
from mailrecv.resident.register import NOBODY, Full, Register, client_of

FREE = 0
PROCESSES = 4
ROUNDS = 300


def limits(connections: int = 100, client_connections: int = 100) -> Limits:
    reply = Reply(421, "No")
    return Limits(connections=Limit(connections, reply), client_connections=Limit(client_connections, reply))


def in_child(act: Callable[[], None]) -> int:
    """Do something in a process of its own, and return its id; its exit status is 1 when it fails."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            act()
            status = 0
        finally:
            os._exit(status)
    return pid


@pytest.mark.parametrize("limit", ["connections", "client_connections"])
def test_a_limit_may_be_reached_but_not_exceeded(limit: str) -> None:
    """One connection too many is turned down, with the name of the limit, until another one has ended."""
    register, allowed = Register(), limits(**{limit: 2})
    first = register.enter("192.0.2.1", 1, allowed)
    register.enter("192.0.2.1", 2, allowed)
    with pytest.raises(Full) as full:
        register.enter("192.0.2.1", 1, allowed)
    assert full.value.limit == limit
    assert register.connections == 2
    register.leave(first)
    assert register.enter("192.0.2.1", 1, allowed) == first


def test_clients_are_counted_apart() -> None:
    """What one client holds is no matter to another."""
    register, allowed = Register(), limits(client_connections=1)
    register.enter("192.0.2.1", 1, allowed)
    register.enter("192.0.2.2", 1, allowed)
    with pytest.raises(Full):
        register.enter("::ffff:192.0.2.1", 1, allowed)


def test_a_client_that_has_had_its_last_reply() -> None:
    """Its connection counts for nobody, but as a connection; and for the client again if it does not take the reply."""
    register, allowed = Register(), limits(connections=3, client_connections=1)
    client = client_of("192.0.2.1")
    row = register.enter("192.0.2.1", 1, allowed)
    register.count_for(client, row, False)
    register.count_for(client, row, True)
    with pytest.raises(Full) as full:
        register.enter("192.0.2.1", 1, allowed)
    assert full.value.limit == "client_connections"
    register.count_for(client, row, False)
    other = register.enter("192.0.2.1", 1, allowed)
    register.count_for(client, other, False)
    register.enter("192.0.2.1", 2, allowed)
    assert register.connections == 3
    with pytest.raises(Full) as full:
        register.enter("192.0.2.2", 1, allowed)
    assert full.value.limit == "connections"
    register.leave(row)
    assert register.connections == 2
    assert register.clear(1) == 1
    assert register.connections == 1


def test_no_row_left() -> None:
    """A table that is full is full, whatever the limit says."""
    register = Register(max_rows=2)
    for _ in range(2):
        register.enter("192.0.2.1", 1, limits())
    with pytest.raises(Full):
        register.enter("192.0.2.1", 1, limits())


def test_a_limit_that_was_lowered() -> None:
    """Connections from before a limit was lowered still count."""
    register = Register()
    rows = [register.enter("192.0.2.1", 1, limits()) for _ in range(5)]
    for row in rows[:3]:
        register.leave(row)
    with pytest.raises(Full):
        register.enter("192.0.2.1", 1, limits(connections=2))


@pytest.mark.parametrize(
    "one, other, same",
    [
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("2001:db8::1", "2001:db8::2:3:4:5", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("fe80::1%eth0", "fe80::1%eth1", False),
        ("fe80::1%eth0", "fe80::1", False),
        ("2001:db8::1%eth0", "2001:db8::1", True),
        ("::192.0.2.1", "192.0.2.1", False),
        ("::1", None, True),
        ("::1", "127.0.0.1", False),
        ("0.0.0.0", None, False),  # noqa: S104 - nobody listens there
        ("255.255.255.255", "fe80::1", False),
    ],
)
def test_who_is_the_same_client(one: str, other: str | None, same: bool) -> None:
    """An IPv4 address is a client, however it is written; of IPv6 the first half and the zone; none is free."""
    assert (client_of(one) == client_of(other)) is same
    assert {FREE, NOBODY}.isdisjoint({client_of(one), client_of(other)})


def test_many_processes_at_once() -> None:
    """Processes that come and go at the same time never hold more rows together than the limit, and leave none."""
    register, allowed = Register(), limits(connections=PROCESSES - 1)
    holders = Register()  # a second table, where each notes that it holds a row of the first

    def come_and_go() -> None:
        for _ in range(ROUNDS):
            try:
                row = register.enter("192.0.2.1", os.getpid(), allowed)
            except Full:
                continue
            note = holders.enter("192.0.2.1", os.getpid(), limits())
            assert holders.connections <= PROCESSES - 1
            holders.leave(note)
            register.leave(row)

    children = [in_child(come_and_go) for _ in range(PROCESSES)]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * PROCESSES
    assert register.connections == 0


def test_a_killed_process_leaves_nothing_behind() -> None:
    """A worker that is killed, at whatever moment, holds up nobody; its rows, and no others, can be cleared."""
    register = Register()
    kept = register.enter("192.0.2.1", 1, limits())

    def take_rows() -> None:
        while True:
            for row in [register.enter("192.0.2.2", 2, limits()) for _ in range(3)][:2]:
                register.leave(row)
            if register.connections > 50:
                register.clear(2)

    for number in range(20):
        child = in_child(take_rows)
        time.sleep(0.005 + number / 4000)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        register.clear(2)
        assert register.connections == 1
        row = register.enter("192.0.2.3", 3, limits())  # nobody has kept the lock
        register.leave(row)
    register.leave(kept)
    assert register.connections == 0
