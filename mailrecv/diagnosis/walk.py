"""Walks the way of a message to one recipient, from the connection to its place, by the code that serves clients.

The protocol machine reads real command lines, the policy decides, and both answer as in a session; what is left out is
the connection, the mail data and the delivery. The place where the mail would go is tried as the user who runs the
service, and the reply to the end of the mail data follows from that.
"""

from __future__ import annotations

from collections.abc import Callable

from mailrecv import smtp
from mailrecv.client import Client
from mailrecv.config.model import Config
from mailrecv.delivery import durable
from mailrecv.delivery.outcome import Outcome, Status, verdict
from mailrecv.diagnosis.advice import Source
from mailrecv.diagnosis.places import try_places
from mailrecv.diagnosis.service import CannotTell, Service
from mailrecv.policy import clients, recipients
from mailrecv.policy.decision import Decision, Route, Test
from mailrecv.reply import Reply
from mailrecv.server.refusal import not_available
from mailrecv.server.session import OK, START_MAIL_INPUT, greeting, hello
from mailrecv.values import Value

ID = "ID"  # stands for the message's id, which each message gets anew


class Step(Value):
    """One command, or the connection itself, and its answer.

    command: as the client sends it; empty for the connection.  reply: what the client gets.  line: of the
    configuration, that decided; 0 when none did.  limit: the name of the limit that refused, if one did.  tests: every
    pattern that was tried.  named: the client's name came to matter now.  dns: what was asked and answered for it.
    """

    command: str
    reply: Reply
    line: int = 0
    limit: str | None = None
    tests: tuple[Test, ...] = ()
    named: bool = False
    dns: tuple[str, ...] = ()


class Place(Value):
    """Where the mail goes.

    route: the method, and the path or command.  service: who would deliver.  writable: None when it cannot be told.
    reason: why it is not writable, or why that cannot be told.  keeps: False for a device such as /dev/null.
    """

    route: Route
    service: Service
    writable: bool | None
    reason: str | None
    keeps: bool


class Walk(Value):
    """All the way.

    client: who is at the other end; its name was looked up if it mattered.  name_given: DNS had no say in it.
    steps: up to the first refusal.  recipient: the address as the server takes it, None before it is known.
    place: for a recipient that is taken.  end: the reply to the end of the mail data, None when it does not come to
    that, or cannot be told.  unreadable: why the service cannot use its configuration, so that the one step is a
    refusal; or None.
    """

    client: Client
    name_given: bool
    steps: tuple[Step, ...]
    recipient: str | None = None
    place: Place | None = None
    end: Reply | None = None
    unreadable: str | None = None

    @property
    def fate(self) -> str:
        """What becomes of the mail: delivered, discarded, deferred (it may come again), refused, or unknown."""
        last = self.end or self.steps[-1].reply
        if not last.positive:
            return "deferred" if last.code < 500 else "refused"
        if self.end is None or self.place is None:
            return "unknown"
        return "delivered" if self.place.keeps else "discarded"


def walk(
    config: Config,
    source: Source,
    domain: str,
    client: Client,
    service: Service,
    *,
    sender: str,
    recipient: str,
    name_given: bool = False,
) -> Walk:
    """Return the way of a message.

    source: the text of the configuration.  domain: what the server calls itself.  sender, recipient: paths with or
    without angle brackets.  name_given: the client's name is not from DNS. May ask DNS.
    """
    unreadable = _unreadable(config, service)
    if unreadable is not None:
        return Walk(client, name_given, (Step("", not_available()),), unreadable=unreadable)
    session = _Session(config, source, domain, client)
    if session.connect():
        for line in (f"HELO {_helo(client)}", f"MAIL FROM:{_path(sender)}", f"RCPT TO:{_path(recipient)}", "DATA"):
            if not session.send(line):
                break
    end = place = None
    if session.route is not None:
        place = _tried(session.route, config, service)
        if place.writable is not None and session.steps[-1].reply is START_MAIL_INPUT:
            outcome = Outcome(Status.DELIVERED if place.writable else Status.TEMPORARY)
            end = verdict(ID, [outcome], 0, config.limits.delivery_secs.reply)
    return Walk(client, name_given, tuple(session.steps), session.recipient, place, end)


class _Session:
    """The machine and the policy, as `server.session` has them, and what they said."""

    def __init__(self, config: Config, source: Source, domain: str, client: Client) -> None:
        self.steps: list[Step] = []
        self.recipient: str | None = None
        self.route: Route | None = None
        self._config = config
        self._source = source
        self._domain = domain
        self._client = client
        self._machine = smtp.Receiver(domain, config.limits)

    def connect(self) -> bool:
        """Connect. Return whether the session goes on."""
        return self._goes_on("")

    def send(self, line: str) -> bool:
        """Send a command line. Return whether the session goes on as hoped."""
        self._machine.receive_data(line.encode("utf-8", "surrogateescape") + b"\r\n")
        return self._goes_on(line)

    def _goes_on(self, line: str) -> bool:
        try:
            step = self._step(line)
        except TimeoutError:
            limit = self._config.limits.before_recipient(exempt=self._client.loopback)
            reply = getattr(self._config.limits, limit).reply
            self._machine.close(reply)
            dns = (f"no answer about {self._client.address} in time",)
            step = Step(line, reply, limit=limit, named=True, dns=dns)
        if step.limit is not None:
            step = step.replace(line=self._source.line_of(f"limit.{step.limit}"))
        self.steps.append(step)
        return step.reply.positive

    def _step(self, line: str) -> Step:
        match self._machine.next_event():
            case smtp.Connected():
                return self._decide(line, lambda: clients.admit(self._config, self._client), greeting(self._domain))
            case smtp.Helo():
                return self._answer(line, hello(self._domain, self._client))
            case smtp.Mail():
                return self._answer(line, OK)
            case smtp.Rcpt(_, forward_path):
                recipient = self.recipient = str(forward_path)
                return self._decide(line, lambda: recipients.route(self._config, self._client, recipient), OK)
            case smtp.Data():
                return self._answer(line, START_MAIL_INPUT)
            case smtp.Refused(_, reply, limit):
                return Step(line, reply, limit=limit)
            case event:
                raise AssertionError(f"the machine answers {line} with {event}")

    def _decide(self, line: str, ask: Callable[[], Decision], yes: Reply) -> Step:
        looked_up_before = self._client.looked_up
        decision = ask()
        named = self._client.looked_up and not looked_up_before
        self.route = decision.route
        reply = decision.reply or yes
        told = self._machine.answer(reply)
        limit = decision.limit if told is reply else "smtp_failcmds"
        dns = self._client.lookup.steps if named else ()
        return Step(line, told, decision.line, limit, decision.tests, named, dns)

    def _answer(self, line: str, reply: Reply) -> Step:
        return Step(line, self._machine.answer(reply))


def _helo(client: Client) -> str:
    """Return what the client calls itself; nothing depends on it."""
    if client.shown_name != "unknown":
        return client.shown_name
    return f"[IPv6:{client.address}]" if ":" in client.address else f"[{client.address}]"


def _path(text: str) -> str:
    return text if text.startswith("<") else f"<{text}>"


def _unreadable(config: Config, service: Service) -> str | None:
    try:
        return try_places(service, config.path, ()).unreadable
    except CannotTell:
        return None


def _tried(route: Route, config: Config, service: Service) -> Place:
    keeps = route.method == "pipe" or durable.keeps(service.whole_path(route.target))
    try:
        (failure,) = try_places(service, config.path, [(route.method, route.target)]).failures
    except CannotTell as error:
        return Place(route, service, None, str(error), keeps)
    return Place(route, service, failure is None, failure, keeps)
