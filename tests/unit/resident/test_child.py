"""A worker as its supervisor knows it: what is said in both directions, and how it ends."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Generator
from typing import NoReturn

import pytest

from mailrecv.resident.child import Child
from mailrecv.resident.worker import ARE_YOU_THERE, HERE

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture
def fork() -> Generator[Callable[[Callable[[socket.socket], None]], Child], None, None]:
    """Fork children, and end them with the test."""
    children: list[Child] = []

    def fork(live: Callable[[socket.socket], None]) -> Child:
        children.append(Child.fork(len(children) + 1, 0, live))
        return children[-1]

    yield fork
    for child in children:
        if child.connection.fileno() >= 0:
            child.kill()
            child.bury()


def ended(child: Child) -> str:
    """Wait for its end, and return how it was."""
    assert select.select([child.process_fd], [], [], 10)[0]
    return child.bury()


def heard(child: Child) -> None:
    """Wait for a word of its, and take it in."""
    assert select.select([child.connection], [], [], 10)[0]
    child.hear()


def echo(supervisor: socket.socket) -> None:
    """Be there, and answer until the supervisor is gone."""
    supervisor.send(HERE)
    while words := supervisor.recv(100):
        supervisor.send(HERE * words.count(ARE_YOU_THERE))


def test_questions_and_answers(fork: Callable[[Callable[[socket.socket], None]], Child]) -> None:
    """A child is ready when it has said so first; each question counts until there is an answer."""
    child = fork(echo)
    states = [(child.ready, child.unanswered)]
    heard(child)
    states.append((child.ready, child.unanswered))
    child.ask()
    states.append((child.ready, child.unanswered))
    heard(child)
    states.append((child.ready, child.unanswered))
    assert states == [(False, 0), (True, 0), (True, 1), (True, 0)]


def test_no_answer(fork: Callable[[Callable[[socket.socket], None]], Child]) -> None:
    """A child that takes nothing in holds up nobody, however often it is asked."""
    child = fork(lambda _: signal.pause())
    for number in range(100_000):
        child.unanswered = number
        child.ask()
    assert child.unanswered == 100_000


def fails(_: socket.socket) -> NoReturn:
    raise RuntimeError


@pytest.mark.parametrize(
    "live, end",
    [
        (lambda _: None, ""),
        (fails, "ended with exit status 70"),
        (lambda _: os.kill(os.getpid(), signal.SIGKILL), "was killed by signal 9 (Killed)"),
    ],
)
def test_how_it_ended(
    fork: Callable[[Callable[[socket.socket], None]], Child], live: Callable[[socket.socket], None], end: str
) -> None:
    """An end is told in words, but for the one that was to be."""
    assert ended(fork(live)) == end


def test_signals_are_for_the_supervisor(fork: Callable[[Callable[[socket.socket], None]], Child]) -> None:
    """What is sent to all processes at once ends no child, and is not ignored by what a child runs."""

    def live(supervisor: socket.socket) -> None:
        supervisor.send(HERE)
        supervisor.recv(1)
        assert signal.SIG_IGN not in [signal.getsignal(number) for number in SIGNALS]
        assert not {*SIGNALS} & signal.pthread_sigmask(signal.SIG_BLOCK, [])

    child = fork(live)
    heard(child)
    for number in SIGNALS:
        os.kill(child.pid, number)
    child.tell(ARE_YOU_THERE)
    assert ended(child) == ""


def test_signals_of_the_supervisor_stay_as_they_were(
    fork: Callable[[Callable[[socket.socket], None]], Child],
) -> None:
    """The supervisor deals with signals after a fork as it did before."""
    before = [signal.getsignal(number) for number in SIGNALS], signal.pthread_sigmask(signal.SIG_BLOCK, [])
    fork(echo)
    assert ([signal.getsignal(number) for number in SIGNALS], signal.pthread_sigmask(signal.SIG_BLOCK, [])) == before
