"""How the cost of a session grows: with the configuration, the message, the mailbox, and those who come at once.

Each kind of growth is one thing made larger while all else stays; the cost is the CPU time of one session, of all the
processes that serve it, in both ways of mailrecv.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from docs.figures import Table
from tests.bench import conversation, rates
from tests.bench.addresses import DOMAIN, SENDER
from tests.bench.conversation import SHORT_MAIL, Conversation
from tests.bench.mailrecv_server import Mailrecv, PerConnection, Resident, let_configurations_settle
from tests.bench.measuring import Figures, Spread, in_rounds, say
from tests.bench.plan import Plan
from tests.bench.report import Chapter, Chart, cell, shown

CPU = "CPU ms"
WAYS: tuple[type[Mailrecv], ...] = (PerConnection, Resident)
_SECONDS = 0.2  # that a measurement lasts at least
Talk = Callable[[Conversation], None]
Costs = Mapping[str, Mapping[int, Spread]]  # by the way, and by how many there are
Peaks = Mapping[int, Sequence[float]]  # MB of each process, by how many messages were served


@dataclass(frozen=True)
class Growth:
    """One thing that is made larger.  name: of its section.  thing: what there is more of.  places: how many of it.

    talk: what the client does.  directives: of the configuration.  Both are given the place.
    """

    name: str
    thing: str
    places: Sequence[int]
    talk: Callable[[int], Talk]
    directives: Callable[[int], Sequence[str]]


def growths(plan: Plan) -> list[Growth]:
    """Return all that is measured with a client in Python."""
    to_last = "the last of them decides"
    return [
        Growth("deliver", f"`deliver` lines, {to_last}", plan.lines, _to_last, _deliver_lines),
        Growth("error", f"`error` lines, {to_last}", plan.lines, _refused_by_last, _error_lines),
        Growth("recipients", "recipients in a message", plan.recipients, _to_many, _deliver_lines_to_own_files),
        Growth("messages", "messages in a connection", plan.messages, _many_messages, lambda _: ()),
        Growth("mailbox", "MB in the mailbox before", plan.mailbox_megabytes, lambda _: _one, lambda _: ()),
    ]


def measure(plan: Plan) -> dict[str, Costs]:
    """Return the costs by the name of the growth."""
    with ExitStack() as stack:
        cases: dict[tuple[str, str, int], Callable[[], Figures]] = {}
        for growth in growths(plan):
            for place in growth.places:
                for way in WAYS:
                    server = way(directives=growth.directives(place))
                    stack.enter_context(server.running())
                    if growth.name == "mailbox":
                        _fill(server, place)
                    cases[growth.name, server.name, place] = partial(_cost, server, growth.talk(place))
        let_configurations_settle()
        for case in cases.values():
            case()  # the first may be dearer: what can be kept for the next session is made now
        for way in WAYS:
            server = way()
            stack.enter_context(server.running())
            for place in plan.growth_at_once:
                cases["at_once", server.name, place] = partial(_cost_at_once, server, place)
        found = in_rounds("growth", cases, plan.rounds)
    return {
        name: {
            way: {
                place: figures[CPU] for (name_, way_, place), figures in found.items() if (name_, way_) == (name, way)
            }
            for way in dict.fromkeys(way for _, way, _ in found)
        }
        for name in dict.fromkeys(name for name, _, _ in found)
    }


def memory_while_serving(plan: Plan) -> Peaks:
    """Return the peak memory of a resident server by how many messages it has taken, 20 at once."""
    server = Resident()
    peaks, served = {}, 0
    with server.running():
        for number in plan.served:
            say(f"memory: {number} messages")
            server.deliver(number - served, plan.at_once[-1])
            served = number
            peaks[number] = server.cgroup.peaks_megabytes
    return peaks


def _cost(server: Mailrecv, talk: Talk) -> Figures:
    before, began, sessions = server.cpu_seconds, time.perf_counter(), 0
    while time.perf_counter() < began + _SECONDS:
        with conversation.connect(server.port) as client:
            client.begin()
            talk(client)
            client.end()
        sessions += 1
    server.wait_until_idle()
    return {CPU: (server.cpu_seconds - before) / sessions * 1000}


def _cost_at_once(server: Mailrecv, at_once: int) -> Figures:
    messages = 2 * at_once if isinstance(server, PerConnection) else 8 * at_once
    return {CPU: rates.load(server, at_once, max(20, messages))[rates.CPU]}


def _recipient(number: int) -> str:
    return f"recipient{number}@{DOMAIN}"


def _deliver_lines(lines: int) -> list[str]:
    return [f"deliver rcpt_to {_recipient(number)} append {{folder}}/mbox" for number in range(lines)]


def _deliver_lines_to_own_files(lines: int) -> list[str]:
    return [f"deliver rcpt_to {_recipient(number)} append {{folder}}/mbox{number}" for number in range(lines)]


def _error_lines(lines: int) -> list[str]:
    return [f"error rcpt_to ^nobody{number}@ 550 No one here by that name" for number in range(lines)]


def _to_last(lines: int) -> Talk:
    return lambda client: _ignore(client.send(SHORT_MAIL, _recipient(lines - 1)))


def _refused_by_last(lines: int) -> Talk:
    def talk(client: Conversation) -> None:
        client.ask(f"MAIL FROM:<{SENDER}>")
        client.ask(f"RCPT TO:<nobody{lines - 1}@{DOMAIN}>", "550")

    return talk


def _to_many(recipients: int) -> Talk:
    addresses = [_recipient(number) for number in range(recipients)]
    return lambda client: _ignore(client.send(SHORT_MAIL, *addresses))


def _many_messages(messages: int) -> Talk:
    def talk(client: Conversation) -> None:
        for _ in range(messages):
            _one(client)

    return talk


def _one(client: Conversation) -> None:
    client.send(SHORT_MAIL)


def _ignore(seconds: float) -> None:
    """Take what a conversation returns, for whoever looks at the server alone."""


def _fill(server: Mailrecv, megabytes: int) -> None:
    """Make a mailbox of this size: a hole, which costs no disk, and the end of a message."""
    with server.mailbox.open("wb") as mailbox:
        if megabytes:
            mailbox.seek(megabytes * 1_000_000 - 2)
            mailbox.write(b"\n\n")


def chapters(plan: Plan, costs: Mapping[str, Costs], peaks: Peaks) -> list[Chapter]:
    """Return a chapter for each kind of growth."""
    things = {growth.name: growth.thing for growth in growths(plan)} | {"at_once": "connections at once"}
    made = [_chapter(name, things[name], found) for name, found in costs.items()]
    labels = [f"{number:,}" for number in peaks]
    series = {
        "largest process": [max(of_each) for of_each in peaks.values()],
        "all processes together": [sum(of_each) for of_each in peaks.values()],
    }
    rows = [[f"{name}: peak MB", *map(shown, figures)] for name, figures in series.items()]
    title = "Peak memory in MB of a resident server"
    chart = Chart("growth-served", title, "messages served", labels, series, lines=True)
    return [*made, Chapter("served", Table(["messages served", *labels], rows), [chart])]


def _chapter(name: str, thing: str, costs: Costs) -> Chapter:
    labels = [f"{place:,}" for place in next(iter(costs.values()))]
    rows = []
    for way, found in costs.items():
        (first, least), *_, (last, most) = found.items()
        slope = (most.median - least.median) * 1000 / (last - first)
        rows.append([way, *map(cell, found.values()), f"{shown(slope)} µs"])
    series = {way: [cost.median for cost in found.values()] for way, found in costs.items()}
    what = "CPU ms per message" if name == "at_once" else "CPU ms of a session"
    file, axis = f"growth-{name.replace('_', '-')}", thing.replace("`", "")
    chart = Chart(file, what, axis, labels, series, lines=True, decades=True)
    return Chapter(name, Table([thing, *labels, "each more"], rows), [chart])
