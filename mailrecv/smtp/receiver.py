"""The receiver of RFC 821 as a machine: `receive_data`, `next_event`, `answer`, `data_to_send`.

It reads the octets of one client in whatever pieces they come, keeps the state of `states.TRANSITIONS`, counts what the
protocol can count, and reports `events`. It never raises for anything that a client sends: what a client does wrong is
a `Refused` event, already answered. MisuseError means that the caller broke the order of calls.

    machine = Receiver("mydomain.com", Limits())
    while not isinstance(event := machine.next_event(), Closed):
        if event is NEED_DATA:
            send(machine.data_to_send())
            machine.receive_data(receive())
        elif isinstance(event, Question):
            machine.answer(...)
    send(machine.data_to_send())

Invariants: one reply for each command line and for each end of mail data, in their order; no event of a transaction
after its `Reset`; the events do not depend on how the octets were cut into pieces, but for where `Text` is cut, and how
much of it comes before the `Reset` that makes it void.
"""

from __future__ import annotations

import re
from typing import Literal

from mailrecv.limits import Limits
from mailrecv.reply import Reply
from mailrecv.smtp.events import (
    NEED_DATA,
    Answered,
    Closed,
    Connected,
    Data,
    EndOfMail,
    Event,
    Helo,
    Mail,
    Question,
    Rcpt,
    Refused,
    Reset,
    Text,
)
from mailrecv.smtp.framing import LineReader, MailDataReader
from mailrecv.smtp.grammar import (
    Malformed,
    Path,
    first_word,
    is_field,
    is_http_method,
    parse_command,
    parse_name,
    parse_path,
)
from mailrecv.smtp.states import TRANSITIONS, State, Verb

_NOT_PRINTABLE = re.compile(rb"[^\t\x20-\x7e]")
_TLS_HELLO = b"\x16\x03"  # RFC 8446 §5.1: a record of a handshake, and the first half of its version

OK = Reply(250, "OK")
UNKNOWN_COMMAND = Reply(500, "Command not recognized")
LINE_TOO_LONG = Reply(500, "Line too long")
NO_EHLO = Reply(500, "EHLO is not supported, use HELO")
NOT_IMPLEMENTED = Reply(502, "Command not implemented")
NO_STARTTLS = Reply(502, "STARTTLS is not supported, go on without TLS")
NO_AUTH = Reply(502, "AUTH is not supported, go on without it")
NO_TLS = Reply(421, "That is TLS, and this server speaks SMTP without it")
NO_HTTP = Reply(421, "That is HTTP, and this server speaks SMTP")
NO_HEADER = Reply(421, "That is a line of a message: say DATA first")
CANNOT_VERIFY = Reply(252, "Cannot verify the user, but will take mail for known recipients")
HELP = Reply(
    214,
    "\n".join(
        [
            "Help:",
            "   HELO, DATA, RSET, NOOP, QUIT,",
            "   MAIL FROM:, RCPT TO:,",
            "   VRFY, EXPN, EHLO, SEND, SOML, SAML, TURN",
        ]
    ),
)
_QUESTION_VERBS = {
    Connected: Verb.OPEN,
    Helo: Verb.HELO,
    Mail: Verb.MAIL,
    Rcpt: Verb.RCPT,
    Data: Verb.DATA,
    EndOfMail: Verb.END,
}
_STARTS_OVER = (Verb.HELO, Verb.EHLO, Verb.MAIL, Verb.DATA, Verb.RSET)  # each ends what a MAIL before it has begun
_SHOWN_TO_OTHERS = (Verb.MAIL, Verb.RCPT, None)  # commands that smtp_ascii is about; None is an unknown one


class MisuseError(RuntimeError):
    """The caller answered where nothing was asked, or went on without an answer."""


class Receiver:
    """One SMTP session, seen from the receiving side.

    domain: what the server calls itself in 221, and the domain of a bare `<postmaster>`.
    limits: the limits that the protocol can count; the time limits among them are not looked at.
    """

    def __init__(self, domain: str, limits: Limits) -> None:
        self.state = State.CONNECT
        self.commands = 0
        self._domain = domain
        self._limits = limits
        self._unknown_commands = 0
        self._refused_commands = 0
        self._recipients = 0
        self._sender_was_given = False  # well or badly, since the last command of _STARTS_OVER
        self._too_large = False  # the mail data is over its limit
        self._lines = LineReader()
        self._mail_data: MailDataReader | None = None
        self._unread = b""  # mail data that came but was not decoded yet
        self._question: Question | None = None
        self._pending: Event | None = Connected()
        self._client_left = False
        self._cause: Literal["quit", "left", "refused"] = "refused"
        self._replies: list[bytes] = []

    def receive_data(self, octets: bytes) -> None:
        """Take octets from the client; b"" says that no more will come."""
        if not octets:
            self._client_left = True
        elif self._mail_data is not None:
            self._unread += octets
        else:
            self._lines.feed(octets)

    def data_to_send(self) -> bytes:
        """Return the replies that wait to be sent, and forget them."""
        octets = b"".join(self._replies)
        self._replies.clear()
        return octets

    def next_event(self) -> Event:
        """Return the next event. Raises MisuseError while a question waits for its answer."""
        if self._question is not None:
            raise MisuseError(f"{type(self._question).__name__} was not answered")
        event = self._pending
        self._pending = None
        if event is None and self.state is not State.CLOSED:
            event = self._read_mail_data() if self.state is State.DATA else self._read_command()
            if event is NEED_DATA and self._client_left:
                self.state, self._cause = State.CLOSED, "left"
        if event is None or (event is NEED_DATA and self.state is State.CLOSED):
            return Closed(self._cause)
        if isinstance(event, Question):
            self._question = event
        return event

    def answer(self, reply: Reply) -> Reply:
        """Answer the question last returned, and return what the client is really told.

        That is `reply`, or the reply of `smtp_failcmds` where this refusal is one too many. Raises MisuseError when
        there is no question.
        """
        question = self._question
        if question is None:
            raise MisuseError("there is no question to answer")
        self._question = None
        verb = _QUESTION_VERBS[type(question)]
        if reply.positive:
            self._moved(verb)
        elif verb is Verb.END:
            self._moved(verb)  # the transaction is over; its failure is not a refused command
        elif verb is Verb.OPEN:
            self.state = State.CLOSED
        elif self._is_one_refusal_too_many():
            reply = self._limits.smtp_failcmds.reply
            self.state = State.CLOSED
        self._send(reply)
        return reply

    @property
    def missed_end(self) -> bool:
        """True while mail data goes on after what its client may have taken for the end of it."""
        return self._mail_data is not None and self._mail_data.missed_end

    def close(self, reply: Reply) -> None:
        """End the session from this side with `reply`, at any time, whatever is being asked or read."""
        self._question = None
        self._pending = None
        if self.state is not State.CLOSED:
            self._send(reply)
            self.state = State.CLOSED

    # Commands

    def _read_command(self) -> Event:
        if self.commands == 0 and self._lines.starts_with(_TLS_HELLO):
            return self._refused_for_good(b"", None, NO_TLS)
        read = self._lines.next_line()
        if read is None:
            return NEED_DATA
        line, overlong = read
        self.commands += 1
        if self.commands > self._limits.smtp_commands.value:
            return self._refused_for_good(line, "smtp_commands", self._limits.smtp_commands.reply)
        command = parse_command(line)
        verb = command and command.verb
        if command is None and (farewell := self._farewell(line)) is not None:
            return self._refused_for_good(line, None, farewell)
        counted = verb is Verb.MAIL or not self._follows_refused_sender
        if verb in _STARTS_OVER:
            self._sender_was_given = verb is Verb.MAIL
        if overlong:
            return self._refused(line, LINE_TOO_LONG)
        if verb in _SHOWN_TO_OTHERS and self._limits.smtp_ascii.on and _NOT_PRINTABLE.search(line):
            return self._refused(line, self._limits.smtp_ascii.reply, limit="smtp_ascii")
        if command is None:
            self._unknown_commands += 1
            if self._unknown_commands > self._limits.smtp_unknowncmd.value:
                return self._refused_for_good(line, "smtp_unknowncmd", self._limits.smtp_unknowncmd.reply)
            return self._refused(line, UNKNOWN_COMMAND)
        if (self.state, command.verb) not in TRANSITIONS:
            return self._refused(line, self._bad_sequence(command.verb), counted=counted)
        try:
            return self._obey(command.verb, command.argument, line)
        except Malformed as fault:
            return self._refused(line, Reply(fault.code, fault.text))

    def _farewell(self, line: bytes) -> Reply | None:
        """Return the last reply to a client that does not speak SMTP, or None.

        Others may have talked a program into sending SMTP commands in the body of its HTTP request; and of a message
        that is sent without DATA, no line must be taken for a command.
        """
        if self.commands == 1 and is_http_method(first_word(line)):
            return NO_HTTP
        return NO_HEADER if is_field(line) else None

    @property
    def _follows_refused_sender(self) -> bool:
        """True where a client that sends its commands without a wait has not heard yet that its MAIL was refused.

        All that it says of recipients is refused with it, and to count that would end the session for one mistake.
        """
        return self._sender_was_given and self.state in (State.START, State.IDLE)

    def _obey(self, verb: Verb, argument: bytes, line: bytes) -> Event:
        """Carry out a command whose place in the session is right; raise Malformed for a bad argument."""
        match verb:
            case Verb.HELO:
                return Helo(line, parse_name(argument))
            case Verb.MAIL:
                return Mail(line, parse_path(argument, b"FROM", "MAIL FROM:<address>", reverse=True))
            case Verb.RCPT:
                path = parse_path(argument, b"TO", "RCPT TO:<address>", reverse=False)
                if self._recipients >= self._limits.smtp_rcpt_to.value:
                    return self._refused(line, self._limits.smtp_rcpt_to.reply, limit="smtp_rcpt_to", counted=False)
                if not path.domain and path.local_part.lower() == "postmaster":
                    path = Path(path.local_part, self._domain)  # RFC 5321 §4.5.1
                return Rcpt(line, path)
            case Verb.DATA | Verb.RSET | Verb.QUIT if argument:
                raise Malformed(501, f"Syntax: {verb.value}")
            case Verb.DATA:
                return Data(line)
            case Verb.RSET:
                self._moved(verb)
                return Reset(line, self._send(OK))
            case Verb.QUIT:
                self._moved(verb)
                self._cause = "quit"
                return Answered(line, self._send(Reply(221, f"{self._domain} closing connection")))
            case Verb.NOOP:
                return Answered(line, self._send(OK))
            case Verb.VRFY:
                return Answered(line, self._send(CANNOT_VERIFY))
            case Verb.HELP:
                return Answered(line, self._send(HELP))
            case Verb.EHLO:
                return Answered(line, self._send(NO_EHLO))  # no fault of the client: real mail servers try HELO next
            case Verb.STARTTLS:
                return self._refused(line, NO_STARTTLS)
            case Verb.AUTH:
                return self._refused(line, NO_AUTH)
            case _:
                return self._refused(line, NOT_IMPLEMENTED)

    def _bad_sequence(self, verb: Verb) -> Reply:
        if self.state is State.START:
            return Reply(503, "Say HELO first")
        if verb is Verb.MAIL:
            return Reply(503, "The sender is given already")
        if self.state is State.IDLE:
            return Reply(503, "Give the sender first, with MAIL FROM:<address>")
        return Reply(503, "Give a recipient first, with RCPT TO:<address>")

    # Mail data

    def _read_mail_data(self) -> Event:
        assert self._mail_data is not None
        if not self._unread:
            return NEED_DATA
        text, rest = self._mail_data.feed(self._unread)
        self._unread = b""
        too_large_before = self._too_large
        self._too_large = self._mail_data.octets > self._limits.smtp_data_size.value
        if rest is not None:
            self._mail_data = None
            self._lines.feed(rest)
            self._pending = self._end_of_mail()
        if self._too_large and not too_large_before:
            return Reset(b"", None)
        if text and not self._too_large:
            return Text(text)
        event, self._pending = self._pending, None
        return event or NEED_DATA

    def _end_of_mail(self) -> Event:
        if not self._too_large:
            return EndOfMail()
        self._moved(Verb.END)
        reply = self._send(self._limits.smtp_data_size.reply)
        return Refused(b"", reply, limit="smtp_data_size")

    # The state, the counters and the replies

    def _moved(self, verb: Verb) -> None:
        """Take the transition of a command that was carried out."""
        self.state = TRANSITIONS[self.state, verb]
        if verb is Verb.RCPT:
            self._recipients += 1
        elif verb is Verb.DATA:
            self._mail_data = MailDataReader(self._lines.framing)
            self._too_large = False
            self._unread = self._lines.take_rest()
        elif self.state in (State.IDLE, State.MAIL):
            self._recipients = 0

    def _refused(self, line: bytes, reply: Reply, *, limit: str | None = None, counted: bool = True) -> Event:
        if counted and self._is_one_refusal_too_many():
            return self._refused_for_good(line, "smtp_failcmds", self._limits.smtp_failcmds.reply)
        return Refused(line, self._send(reply), limit)

    def _refused_for_good(self, line: bytes, limit: str | None, reply: Reply) -> Event:
        self.state = State.CLOSED
        return Refused(line, self._send(reply), limit)

    def _is_one_refusal_too_many(self) -> bool:
        """Count a refused command."""
        self._refused_commands += 1
        return self._refused_commands > self._limits.smtp_failcmds.value

    def _send(self, reply: Reply) -> Reply:
        self._replies.append(reply.octets())
        if reply.closes:
            self.state = State.CLOSED
        return reply
