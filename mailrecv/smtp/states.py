"""The state table of a session: every transition there is.

The rules:

1. A command moves the session from the first state of its row to the second, if the answer to it is positive.
2. A pair of state and command that has no row is a bad sequence of commands: 503, and the state stays.
3. A refused command leaves the state as it was, with two exceptions that no row could show: a refused connection is
   CLOSED, and after the mail data the transaction is over whatever the answer was.
4. A reply of 421 closes the session from every state.

The diagram in docs/session.md is drawn from this table.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a session stands."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and the table is asked at every command
    CONNECT = "CONNECT"  # not greeted yet
    START = "START"  # greeted, no HELO yet
    IDLE = "IDLE"  # no transaction
    MAIL = "MAIL"  # has a reverse path
    RCPT = "RCPT"  # has a reverse path and at least one forward path
    DATA = "DATA"  # reads mail data
    CLOSED = "CLOSED"


class Verb(Enum):
    """The commands of RFC 821 §4.1.1, three of ESMTP, and two that are not typed: OPEN (the connection), END (`.`)."""

    __hash__ = object.__hash__  # as above
    OPEN = "OPEN"
    HELO = "HELO"
    EHLO = "EHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = "END"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"
    VRFY = "VRFY"
    HELP = "HELP"
    EXPN = "EXPN"
    SEND = "SEND"
    SOML = "SOML"
    SAML = "SAML"
    TURN = "TURN"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"


TYPED = {verb.value: verb for verb in Verb if verb not in (Verb.OPEN, Verb.END)}
_BETWEEN_COMMANDS = (State.START, State.IDLE, State.MAIL, State.RCPT)
_WITHOUT_EFFECT = (
    Verb.NOOP,
    Verb.VRFY,
    Verb.HELP,
    Verb.EHLO,
    Verb.EXPN,
    Verb.SEND,
    Verb.SOML,
    Verb.SAML,
    Verb.TURN,
    Verb.STARTTLS,
    Verb.AUTH,
)

TRANSITIONS: dict[tuple[State, Verb], State] = {
    (State.CONNECT, Verb.OPEN): State.START,
    (State.START, Verb.HELO): State.IDLE,
    (State.IDLE, Verb.HELO): State.IDLE,
    (State.MAIL, Verb.HELO): State.IDLE,
    (State.RCPT, Verb.HELO): State.IDLE,
    (State.IDLE, Verb.MAIL): State.MAIL,
    (State.MAIL, Verb.RCPT): State.RCPT,
    (State.RCPT, Verb.RCPT): State.RCPT,
    (State.RCPT, Verb.DATA): State.DATA,
    (State.DATA, Verb.END): State.IDLE,
    (State.START, Verb.RSET): State.START,
    (State.IDLE, Verb.RSET): State.IDLE,
    (State.MAIL, Verb.RSET): State.IDLE,
    (State.RCPT, Verb.RSET): State.IDLE,
    **{(state, Verb.QUIT): State.CLOSED for state in _BETWEEN_COMMANDS},
    **{(state, verb): state for state in _BETWEEN_COMMANDS for verb in _WITHOUT_EFFECT},
}
