"""The state table, and that the machine keeps to it."""

from __future__ import annotations

import pytest

from mailrecv.reply import Reply
from mailrecv.smtp import Connected, Receiver
from mailrecv.smtp.events import Question
from mailrecv.smtp.states import TRANSITIONS, TYPED, State, Verb
from tests.support.machine import DOMAIN, ENVELOPE, agree, limited, typed

BETWEEN_COMMANDS = {State.START: 0, State.IDLE: 1, State.MAIL: 2, State.RCPT: 3}  # lines of ENVELOPE that lead there
BAD_SEQUENCES = {
    (State.START, Verb.MAIL),
    (State.START, Verb.RCPT),
    (State.START, Verb.DATA),
    (State.IDLE, Verb.RCPT),
    (State.IDLE, Verb.DATA),
    (State.MAIL, Verb.MAIL),
    (State.MAIL, Verb.DATA),
    (State.RCPT, Verb.MAIL),
}
LINES = {
    Verb.HELO: "HELO again.example",
    Verb.MAIL: "MAIL FROM:<you@client.example>",
    Verb.RCPT: "RCPT TO:<me@mydomain.com>",
}


def machine_in(state: State) -> Receiver:
    """Return a machine that stands in this state, between commands."""
    machine = Receiver(DOMAIN, limited())
    assert machine.next_event() == Connected()
    machine.answer(Reply(220, "Welcome"))
    for line in ENVELOPE[: BETWEEN_COMMANDS[state]]:
        machine.receive_data(typed(line))
        machine.next_event()
        machine.answer(Reply(250, "OK"))
    assert machine.state is state
    machine.data_to_send()
    return machine


def say(machine: Receiver, verb: Verb, answer: Reply | None = None) -> bytes:
    """Send a command of this verb, agree or give this answer if asked, and return the reply."""
    machine.receive_data(typed(LINES.get(verb, verb.value)))
    event = machine.next_event()
    if isinstance(event, Question):
        machine.answer(answer or agree(event))
    return machine.data_to_send()


def test_bad_sequences_are_those_of_the_rfc() -> None:
    """The only commands out of order are MAIL before HELO or twice, RCPT before MAIL, DATA before RCPT."""
    every = {(state, verb) for state in BETWEEN_COMMANDS for verb in TYPED.values()}
    assert every - set(TRANSITIONS) == BAD_SEQUENCES


@pytest.mark.parametrize("state, verb", sorted(BAD_SEQUENCES, key=str))
def test_a_missing_pair_is_503(state: State, verb: Verb) -> None:
    """A command that has no row in the table for the state is refused with 503, and the state stays."""
    machine = machine_in(state)
    assert say(machine, verb).startswith(b"503 ")
    assert machine.state is state


@pytest.mark.parametrize("state, verb", [pair for pair in TRANSITIONS if pair[0] in BETWEEN_COMMANDS])
def test_the_machine_takes_each_transition(state: State, verb: Verb) -> None:
    """A command that has a row in the table moves the machine as the row says."""
    machine = machine_in(state)
    assert not say(machine, verb).startswith(b"503 ")
    assert machine.state is TRANSITIONS[state, verb]


@pytest.mark.parametrize(
    "state, verb",
    [(State.START, Verb.HELO), (State.IDLE, Verb.MAIL), (State.MAIL, Verb.RCPT), (State.RCPT, Verb.DATA)],
)
def test_a_refused_command_leaves_the_state(state: State, verb: Verb) -> None:
    """A question answered with a refusal does not move the machine."""
    machine = machine_in(state)
    assert say(machine, verb, Reply(550, "No")) == b"550 No\r\n"
    assert machine.state is state


def test_every_state_is_reached() -> None:
    """From CONNECT the table leads to every state, and from CLOSED nowhere."""
    reached = {State.CONNECT}
    for _ in State:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(State)
    assert State.CLOSED not in {before for before, _ in TRANSITIONS}
