"""Large mail: megabytes per second from the first octet of mail data to the 250, and the memory that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from docs.figures import Table
from tests.bench import conversation
from tests.bench.aiosmtpd_server import Aiosmtpd
from tests.bench.mailrecv_server import PerConnection, Resident, let_configurations_settle
from tests.bench.measuring import Figures, Spread, in_rounds
from tests.bench.plan import HUGE_ROUNDS, Plan
from tests.bench.postfix_server import Postfix
from tests.bench.report import Chapter, Chart, cell
from tests.bench.server import DISK, MEMORY, Server

SPEED = "MB per second"
PEAK = "peak memory of the largest process, MB"
PEAKS = "of all processes, MB"
PLACES = {"disk": DISK, "memory": MEMORY}
Transfers = dict[tuple[str, str, int], dict[str, Spread]]  # by the name of the server, the place, and the size


def measure(plan: Plan) -> Transfers:
    """Return the figures of each server, in each place, at each size in megabytes.

    Huge mail is for those servers that do not keep all of it in memory, which would be several times as much.
    """
    transfers: Transfers = {}
    for place, folder in PLACES.items():
        everything = _servers(folder)
        transfers |= _in_rounds(place, everything, plan.large_megabytes, plan.rounds)
        if place == "disk" and plan.huge_megabytes:
            flat = [server for server in _servers(folder) if not isinstance(server, Aiosmtpd)]
            transfers |= _in_rounds(place, flat, plan.huge_megabytes, HUGE_ROUNDS)
    return transfers


def _in_rounds(place: str, servers: Sequence[Server], sizes: Sequence[int], rounds: int) -> Transfers:
    with ExitStack() as stack:
        for server in servers:
            stack.enter_context(server.running())
        let_configurations_settle()
        cases: dict[tuple[str, str, int], Callable[[], Figures]] = {}
        for megabytes in sizes:
            octets = conversation.mail_data(megabytes)
            for server in servers:
                cases[server.name, place, megabytes] = partial(_transferred, server, octets)
        return in_rounds(f"large mail, on {place}", cases, rounds)


def _servers(folder: Path) -> list[Server]:
    return [PerConnection(folder), Resident(folder), Aiosmtpd(folder), Postfix(folder)]


def _transferred(server: Server, octets: bytes) -> Figures:
    """Send one message to a server, into a new mailbox."""
    server.mailbox.unlink(missing_ok=True)
    with conversation.connect(server.port) as talk:
        talk.begin()
        server.cgroup.forget_peaks()
        seconds = talk.send(octets)
        peaks = server.cgroup.peaks_megabytes  # now: with QUIT, the process may be gone
        talk.end()
    server.wait_until_idle()
    server.mailbox.unlink()
    return {SPEED: len(octets) / 1e6 / seconds, PEAK: max(peaks), PEAKS: sum(peaks)}


def chapter(transfers: Transfers) -> Chapter:
    """Return the table and the charts."""
    names = list(dict.fromkeys(name for name, _, _ in transfers))
    sizes = sorted({size for _, _, size in transfers})
    kinds = sorted({(size, place) for _, place, size in transfers})

    def spreads(name: str) -> list[Spread | None]:
        keys = [(place, size, SPEED) for size, place in kinds]
        keys += [("disk", size, what) for what in (PEAK, PEAKS) for size in sizes]
        return [
            transfers[name, place, size][what] if (name, place, size) in transfers else None
            for place, size, what in keys
        ]

    heading = ["", *(f"{size:,} MB, on {place}: MB/s" for size, place in kinds)]
    heading += [f"{size:,} MB: peak MB{of}" for of in ("", ", all processes") for size in sizes]
    rows = [[name, *(cell(found) if found else "" for found in spreads(name))] for name in names]
    medians = {name: [found.median if found else None for found in spreads(name)] for name in names}
    speeds = {name: found[: len(kinds)] for name, found in medians.items()}
    peaks = {name: found[len(kinds) :][: len(sizes)] for name, found in medians.items()}
    title = "MB per second of large mail (more is better)"
    memory_title = "Peak memory of the largest process, in MB (less is better)"
    charts = [
        Chart("large-speed", title, "", [f"{size:,} MB, on {place}" for size, place in kinds], speeds),
        Chart("large-memory", memory_title, "", [f"{size:,} MB" for size in sizes], peaks),
    ]
    return Chapter("large", Table(heading, rows), charts)
