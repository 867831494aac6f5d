"""Puts into the journal what happens in a session: turns the values of the other rooms into entries of the catalogue.

It only records; nothing it does changes what happens.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from mailrecv.client import Client
from mailrecv.config.model import Config
from mailrecv.delivery.handover import Destination, reason
from mailrecv.delivery.message import Message, new_id
from mailrecv.delivery.outcome import Attempt, Status
from mailrecv.journal import catalogue
from mailrecv.journal.log import Journal
from mailrecv.policy.decision import Decision
from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply

_LONGEST_DATA_LINE = 2000  # octets of a line of mail data that are kept for the log


class Chronicle:
    """The record of one session.

    messages, recipients, refusals: how many there were, for the end of it.
    """

    def __init__(self, journal: Journal, client: Client, debug: str) -> None:
        facts = {"client_address": client.address, "client_name": client.shown_name}
        self._session = journal.of_stranger(session=new_id(), **facts)
        self._journal = self._session
        self._records_data = "l" in debug or "a" in debug
        self._data_line = b""
        self._began = time.monotonic()
        self.messages = 0
        self.recipients = 0
        self.refusals = 0

    def connected(self, client: Client) -> None:
        """A client is there, and its name is known if it is ever to be."""
        self._session = self._journal = self._session.bind(client_name=client.shown_name)
        self._journal.record(catalogue.CONNECTION)

    def introduced(self, helo: str) -> None:
        """The client said what it calls itself."""
        self._session = self._journal = self._session.bind(helo=helo)

    def transaction_begun(self, message_id: str, sender: str) -> None:
        """A transaction begins; every entry up to its end carries its id and sender."""
        self._journal = self._session.bind(id=message_id, sender=sender)

    def transaction_ended(self) -> None:
        """The transaction is over."""
        self._journal = self._session
        self._data_line = b""

    def command(self, line: bytes) -> None:
        """The client sent a command line."""
        self._journal.record(catalogue.COMMAND, command=line)

    def reply(self, reply: Reply) -> None:
        """The client was sent a reply that turns nothing down."""
        self._journal.record(catalogue.REPLY, reply=reply)

    def verdict(self, reply: Reply, *, command: bytes = b"", recipient: str = "", line: int = 0) -> None:
        """The client was sent a reply that may be a refusal.  line: of the configuration, that decided it, or 0."""
        self.reply(reply)
        if not reply.positive:
            self.refusals += 1
            self._journal.record(catalogue.REFUSAL, reply=reply, command=command, recipient=recipient, line=line)

    def limit_exceeded(self, limit: str) -> None:
        """A limit was exceeded."""
        self._journal.record(catalogue.LIMIT_EXCEEDED, limit=limit)

    def name_looked_up(self, client: Client) -> None:
        """DNS was asked for the client's name."""
        for step in client.lookup.steps:
            self._journal.record(catalogue.DNS, text=step)
        self._session = self._session.bind(client_name=client.shown_name)
        self._journal = self._journal.bind(client_name=client.shown_name)

    def decision(self, decision: Decision) -> None:
        """The policy decided something."""
        if decision.line and decision.reply is None:  # a line has admitted the client
            self._session.admit()
        for test in decision.tests:
            facts = {"pattern": test.pattern, "line": test.line, "subject": test.subject}
            self._journal.record(catalogue.PATTERN_TEST, **facts, verdict=test.verdict.value)
            if test.verdict is Verdict.CANNOT_TELL:
                self._journal.record(catalogue.PATTERN_LIMIT, **facts)
        if decision.limit is not None:
            self.limit_exceeded(decision.limit)

    def routed(self, recipient: str, decision: Decision) -> None:
        """A recipient was taken or refused."""
        route = str(decision.route or decision.reply)
        self._journal.record(catalogue.ROUTED, recipient=recipient, route=route, line=decision.line)

    def recipient_repeated(self, recipient: str) -> None:
        """A recipient was given a second time."""
        self._journal.record(catalogue.REPEATED_RECIPIENT, recipient=recipient)

    def mail_data(self, octets: bytes) -> None:
        """Mail data came in."""
        if self._records_data:
            *lines, rest = (self._data_line + octets).split(b"\n")
            self._data_line = rest[:_LONGEST_DATA_LINE]
            for line in lines:
                self._journal.record(catalogue.DATA_LINE, text=line)

    def end_missed(self) -> None:
        """The session ends in mail data, after what its client may have taken for the end of it."""
        self._journal.record(catalogue.END_MISSED)

    def spool_failed(self, error: OSError) -> None:
        """The mail data could not be kept."""
        self._journal.record(catalogue.SPOOL_FAILED, reason=reason(error))

    def delivery_begins(self, message: Message, destinations: Iterable[Destination]) -> None:
        """The message is complete and is handed over now."""
        for to in destinations:
            facts = {"recipient": to.recipient, "route": f"{to.method} {to.target}", "size": message.data.size}
            self._journal.record(catalogue.DELIVERY_STARTED, **facts)

    def delivery_ended(self, message: Message, attempts: Iterable[Attempt]) -> None:
        """The message was handed over, or not."""
        for attempt in attempts:
            if attempt.method != "pipe":
                self._journal.record(catalogue.FILE_OPENED, path=attempt.target)
            for line in attempt.outcome.output:
                self._journal.record(catalogue.COMMAND_OUTPUT, recipient=attempt.recipient, text=line)
            if attempt.outcome.left_behind:
                processes = ", ".join(attempt.outcome.left_behind)
                self._journal.record(catalogue.PROCESSES_LEFT, recipient=attempt.recipient, processes=processes)
            facts = {
                "recipient": attempt.recipient,
                "route": f"{attempt.method} {attempt.target}",
                "size": message.data.size,
                "seconds": attempt.seconds,
            }
            if attempt.outcome.delivered:
                self._journal.record(catalogue.DEAD_LETTER if attempt.dead_letter else catalogue.DELIVERED, **facts)
            elif attempt.outcome.status is Status.TEMPORARY:
                self._journal.record(catalogue.DEFERRED, **facts, reason=attempt.outcome.detail)
            else:
                self._journal.record(catalogue.FAILED, **facts, reason=attempt.outcome.detail)
            if attempt.method != "pipe":
                self._journal.record(catalogue.FILE_CLOSED, path=attempt.target)

    def turned_down(self, destinations: Iterable[Destination], reply: Reply) -> None:
        """The message came, but could not be kept, so that nobody gets it."""
        entry = catalogue.DEFERRED if reply.code < 500 else catalogue.FAILED
        for to in destinations:
            facts = {"recipient": to.recipient, "route": f"{to.method} {to.target}", "reason": reply}
            self._journal.record(entry, **facts, size=0, seconds=0.0)

    def failed(self, error: Exception) -> None:
        """Something went wrong that should not."""
        record_exception(self._journal, error)

    def ended(self, cause: str, commands: int) -> None:
        """The session is over.  cause: quit, left, refused, stop, error or the name of a time limit."""
        if cause == "left":
            self._session.record(catalogue.LEFT_WITHOUT_QUIT)
        self._session.record(
            catalogue.DISCONNECTION,
            cause=cause,
            commands=commands,
            messages=self.messages,
            recipients=self.recipients,
            refusals=self.refusals,
            seconds=time.monotonic() - self._began,
        )
        self._session.leave()


def record_exception(journal: Journal, error: BaseException) -> None:
    """Record an exception and its traceback, an entry for each line of it."""
    import traceback  # slow to import, and rarely needed

    journal.record(catalogue.INTERNAL_ERROR, error=repr(error))
    for part in traceback.format_exception(error):
        for line in part.rstrip("\n").split("\n"):
            journal.record(catalogue.TRACEBACK, text=line)


def record_config(journal: Journal, config: Config) -> None:
    """Record the configuration as it was read."""
    for line, directive in config.directives:
        journal.record(catalogue.CONFIG_LINE, path=config.path, line=line, directive=directive)
