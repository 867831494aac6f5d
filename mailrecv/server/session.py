"""The driver of one session: it carries octets to the protocol machine, and the machine's questions to those who know.

It blocks, and it watches the clock. Its rules:

1. Nothing but replies reaches the client. Whatever fails here is logged, and answered 421.
2. Every copy is in a safe place before the machine is told to say 250.
3. A time limit ends every wait, but never a delivery that has begun.
4. It touches no global, no descriptor by number, and does not exit: the same code serves one connection or many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

from mailrecv import smtp
from mailrecv.client import Client
from mailrecv.config.model import Config
from mailrecv.delivery.handover import DeliveryLimits, Destination, hand_over
from mailrecv.delivery.message import Message, new_id
from mailrecv.delivery.spool import Spool
from mailrecv.journal.log import Journal
from mailrecv.policy import clients, recipients
from mailrecv.policy.decision import Decision
from mailrecv.reply import Reply
from mailrecv.server.channel import Channel, Stopping
from mailrecv.server.chronicle import Chronicle

OK = Reply(250, "OK")
START_MAIL_INPUT = Reply(354, "Start mail input; end with <CRLF>.<CRLF>")
NO_STORAGE = Reply(452, "The message cannot be stored now, try again later")
INTERNAL_ERROR = Reply(421, "Internal error, closing, try again later")
GOING_DOWN = Reply(421, "The server is going down, try again later")
_LAST_WORD_SECONDS = 0.5  # how long a reply that ends the session may wait to be taken


def greeting(domain: str) -> Reply:
    """Return what a client that may connect is told first.  domain: what this server calls itself."""
    return Reply(220, f"{domain} SMTP (RFC 822) mailrecv")


def hello(domain: str, client: Client) -> Reply:
    """Return the answer to HELO: who both sides are.  domain: as above."""
    return Reply(250, f"{domain} Hello {client.shown_name} [{client.address}]")


def _harmless(helo: str) -> str:
    """Return what a client calls itself as others get to see it: nothing unless it is ASCII, and never an option."""
    helo = helo if helo.isascii() else ""
    return "?" + helo[1:] if helo.startswith("-") else helo


class _OutOfTime(Exception):
    """A time limit has passed."""

    def __init__(self, limit: str) -> None:
        super().__init__(limit)
        self.limit = limit


class _ClientGone(Exception):
    """Nobody is left to send a reply to."""


class _Transaction:
    """A message on its way in.

    destinations: by address in lower case.  data: None before DATA, and once it could not be kept.
    """

    def __init__(self, message_id: str, sender: str) -> None:
        self.id = message_id
        self.sender = sender
        self.destinations: dict[str, Destination] = {}
        self.data: Spool | None = None


class Session:
    """One SMTP session.

    channel: the connection.  client: who is at its other end.  config: what holds for it.  domain: what this server
    calls itself.  journal: where it is recorded.  began: since when the client has been waiting, on the monotonic
    clock.  before_delivery: what is to be done before a message is handed over.
    """

    before_delivery: Callable[[], None] | None = None

    def __init__(
        self, channel: Channel, client: Client, *, config: Config, domain: str, journal: Journal, began: float
    ) -> None:
        self._channel = channel
        self._client = client
        self._config = config
        self._domain = domain
        self._began = began
        self._allow_until(config.limits.before_recipient(exempt=client.loopback))
        self._chronicle = Chronicle(journal, client, config.debug)
        self._machine = smtp.Receiver(domain, config.limits)
        self._helo = ""
        self._transaction: _Transaction | None = None

    def run(self, counts: Callable[[bool], None] = lambda counts: None) -> bool:
        """Serve the client to the end of its session, close the connection. Return True when the client said QUIT.

        counts: told whether the connection counts for its client; it does until it is told otherwise.
        """
        self._counts = counts
        cause = "error"
        try:
            cause = self._serve()
            if self._machine.missed_end:
                self._chronicle.end_missed()
            self._drop_transaction()
            self._chronicle.ended(cause, self._machine.commands)
        finally:
            self._channel.close(at_once=cause == "quit")
        return cause == "quit"

    def _serve(self) -> str:
        """Serve the client and return what ended the session."""
        try:
            return self._converse()
        except _OutOfTime as error:
            self._chronicle.limit_exceeded(error.limit)
            self._close(getattr(self._config.limits, error.limit).reply)
            return error.limit
        except Stopping:
            self._close(GOING_DOWN)
            return "stop"
        except _ClientGone:
            return "left"
        except Exception as error:  # noqa: BLE001 - whatever it is: a reply for the client, a traceback for the log
            try:
                self._chronicle.failed(error)
            finally:
                self._close(INTERNAL_ERROR)
            return "error"

    def _converse(self) -> str:
        while True:
            event = self._machine.next_event()
            if isinstance(event, smtp.Closed):
                if event.cause == "quit":
                    self._part()
                self._exchange(last=True)
                return event.cause
            if time.monotonic() >= self._deadline:
                raise _OutOfTime(self._time_limit)
            match event:
                case smtp.NEED_DATA:
                    self._exchange()
                case smtp.Text(octets):
                    self._keep(octets)
                case smtp.Connected():
                    self._greet()
                case smtp.EndOfMail():
                    self._deliver()
                case _:
                    if event.line:
                        self._chronicle.command(event.line)
                    self._obey(event)

    def _obey(self, event: smtp.CommandEvent) -> None:
        """Deal with an event that stems from a command line."""
        match event:
            case smtp.Helo(_, name):
                self._introduce(name)
            case smtp.Mail(_, reverse_path):
                self._begin_transaction(str(reverse_path))
            case smtp.Rcpt(line, forward_path):
                self._route(line, str(forward_path))
            case smtp.Data():
                self._current.data = Spool()
                self._answer(START_MAIL_INPUT)
            case smtp.Reset(_, reply):
                if reply is None:  # too large: the refusal comes at its end, and concerns each recipient
                    self._free_data()
                else:
                    self._drop_transaction()
                    self._chronicle.reply(reply)
            case smtp.Answered(_, reply):
                self._chronicle.reply(reply)
            case smtp.Refused(line, reply, limit):
                if limit is not None:
                    self._chronicle.limit_exceeded(limit)
                self._chronicle.verdict(reply, command=line)
                if limit == "smtp_data_size":
                    self._turn_down(reply)

    # The connection

    def _allow_until(self, limit: str) -> None:
        """Let the session last until the limit of this name."""
        self._time_limit = limit
        self._deadline = self._began + getattr(self._config.limits, limit).value
        self._client.deadline = self._deadline

    def _exchange(self, *, last: bool = False) -> None:
        """Send what waits to be sent and, unless that was the last of it, give the machine what comes next."""
        idle_deadline = time.monotonic() + self._config.limits.idle_secs.value
        deadline = min(self._deadline, idle_deadline)
        try:
            self._channel.send(self._machine.data_to_send(), deadline)
            if not last:
                self._machine.receive_data(self._channel.receive(deadline))
        except TimeoutError:
            raise _OutOfTime("idle_secs" if deadline < self._deadline else self._time_limit) from None
        except ConnectionError:
            raise _ClientGone from None

    def _part(self) -> None:
        """Send the last reply to a client that said QUIT, if that goes without a wait.

        When the client has it, the connection counts no longer: the next one may be opened at once. Whoever does not
        take that reply, or was turned away and may leave its end open, counts until the connection is closed; else a
        single host could hold all connections that there are.
        """
        self._counts(False)
        try:
            self._channel.send(self._machine.data_to_send(), 0.0)
        except TimeoutError:
            self._counts(True)
        except ConnectionError:
            raise _ClientGone from None

    def _close(self, reply: Reply) -> None:
        """End the session from this side, with a last word if the client takes it."""
        self._machine.close(reply)
        with suppress(OSError, Stopping):
            self._channel.send(self._machine.data_to_send(), time.monotonic() + _LAST_WORD_SECONDS)
        self._chronicle.verdict(reply)

    def _answer(self, reply: Reply, *, command: bytes = b"", recipient: str = "", line: int = 0) -> bool:
        """Answer the machine's question. Return whether that was a yes."""
        told = self._machine.answer(reply)
        if told is not reply:
            self._chronicle.limit_exceeded("smtp_failcmds")
        self._chronicle.verdict(told, command=command, recipient=recipient, line=line)
        return told.positive

    # Who, and to whom

    def _greet(self) -> None:
        try:
            decision = self._decide(lambda: clients.admit(self._config, self._client))
        finally:
            self._chronicle.connected(self._client)
        self._chronicle.decision(decision)
        self._answer(decision.reply or greeting(self._domain), line=decision.line)

    def _introduce(self, name: str) -> None:
        self._drop_transaction()
        self._helo = _harmless(name)
        self._chronicle.introduced(name)
        self._answer(hello(self._domain, self._client))

    def _route(self, line: bytes, recipient: str) -> None:
        decision = self._decide(lambda: recipients.route(self._config, self._client, recipient))
        self._chronicle.decision(decision)
        self._chronicle.routed(recipient, decision)
        if decision.route is None:
            assert decision.reply is not None
            self._answer(decision.reply, command=line, recipient=recipient, line=decision.line)
            return
        destinations = self._current.destinations
        if recipient.lower() in destinations:
            self._chronicle.recipient_repeated(recipient)
        else:
            route, unspoken_of = decision.route, decision.line == self._config.deadletter_line
            destinations[recipient.lower()] = Destination(recipient, route.method, route.target, unspoken_of)
        self._allow_until("connection_secs")
        self._answer(OK)

    def _decide(self, ask: Callable[[], Decision]) -> Decision:
        """Ask the policy, which may ask DNS."""
        looked_up_before = self._client.looked_up
        try:
            return ask()
        except TimeoutError:
            raise _OutOfTime(self._time_limit) from None
        finally:
            if self._client.looked_up and not looked_up_before:
                self._chronicle.name_looked_up(self._client)

    # The message

    @property
    def _current(self) -> _Transaction:
        assert self._transaction is not None
        return self._transaction

    def _begin_transaction(self, sender: str) -> None:
        self._transaction = _Transaction(new_id(), sender)
        self._chronicle.transaction_begun(self._transaction.id, sender)
        self._answer(OK)

    def _drop_transaction(self) -> None:
        if self._transaction is not None:
            self._free_data()
            self._transaction = None
            self._chronicle.transaction_ended()

    def _free_data(self) -> None:
        if self._current.data is not None:
            self._current.data.close()
            self._current.data = None

    def _turn_down(self, reply: Reply) -> None:
        """Record that a message whose mail data could not be kept goes to nobody, and forget it."""
        self._chronicle.turned_down(self._current.destinations.values(), reply)
        self._drop_transaction()

    def _keep(self, octets: bytes) -> None:
        """Keep mail data. When that fails the rest of it is thrown away, and the refusal waits for its end."""
        self._chronicle.mail_data(octets)
        data = self._current.data
        if data is None:
            return
        try:
            data.write(octets)
        except OSError as error:
            self._chronicle.spool_failed(error)
            self._free_data()

    def _deliver(self) -> None:
        transaction = self._current
        if transaction.data is None:
            self._answer(NO_STORAGE)
            self._turn_down(NO_STORAGE)
            return
        if self._answer(self._hand_over(transaction, transaction.data)):
            self._chronicle.messages += 1
            self._chronicle.recipients += len(transaction.destinations)
        self._drop_transaction()

    def _hand_over(self, transaction: _Transaction, data: Spool) -> Reply:
        message = Message(
            id=transaction.id,
            sender=transaction.sender,
            helo=self._helo,
            client_name=self._client.shown_name,
            client_address=self._client.address,
            domain=self._domain,
            received=time.time(),
            data=data,
        )
        destinations = list(transaction.destinations.values())
        if self.before_delivery is not None:
            self.before_delivery()
        self._chronicle.delivery_begins(message, destinations)
        limit = self._config.limits.delivery_secs
        limits = DeliveryLimits(limit.value, limit.reply, self._deadline)
        reply, attempts = hand_over(message, destinations, self._config.deadletter_file, limits)
        self._chronicle.delivery_ended(message, attempts)
        return reply
