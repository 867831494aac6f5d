"""Large mail: megabytes per second from the first octet of mail data to the 250, and the memory that it takes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from docs.figures import Table
from tests.bench import conversation
from tests.bench.aiosmtpd_server import Aiosmtpd
from tests.bench.mailrecv_server import PerConnection, Resident, let_configurations_settle
from tests.bench.measuring import Figures, Spread, in_rounds
from tests.bench.plan import Plan
from tests.bench.postfix_server import Postfix
from tests.bench.report import Chapter, Chart, cell
from tests.bench.server import DISK, MEMORY, Server

SPEED = "MB per second"
PEAK = "peak memory of the largest process, MB"
PEAKS = "of all processes, MB"
PLACES = {"disk": DISK, "memory": MEMORY}
Transfers = dict[tuple[str, str, int], dict[str, Spread]]  # by the name of the server, the place, and the size


def measure(plan: Plan) -> Transfers:
    """Return the figures of each server, in each place, at each size in megabytes."""
    with ExitStack() as stack:
        cases: dict[tuple[str, str, int], Callable[[], Figures]] = {}
        data = {megabytes: conversation.mail_data(megabytes) for megabytes in plan.large_megabytes}
        for place, folder in PLACES.items():
            for server in _servers(folder):
                stack.enter_context(server.running())
                for megabytes, octets in data.items():
                    cases[server.name, place, megabytes] = partial(_transferred, server, octets)
        let_configurations_settle()
        return in_rounds("large mail", cases, plan.rounds)


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
    sizes = list(dict.fromkeys(size for _, _, size in transfers))
    kinds = [(place, size) for size in sizes for place in PLACES]
    heading = [
        "",
        *(f"{size} MB, on {place}: MB/s" for place, size in kinds),
        *(f"{size} MB: peak MB" for size in sizes),
        *(f"{size} MB: peak MB, all processes" for size in sizes),
    ]
    rows = [
        [
            name,
            *(cell(transfers[name, place, size][SPEED]) for place, size in kinds),
            *(cell(transfers[name, "disk", size][what]) for what in (PEAK, PEAKS) for size in sizes),
        ]
        for name in names
    ]
    speeds = {name: [transfers[name, place, size][SPEED].median for place, size in kinds] for name in names}
    peaks = {name: [transfers[name, "disk", size][PEAK].median for size in sizes] for name in names}
    title = "MB per second of large mail (more is better)"
    charts = [
        Chart("large-speed", title, "", [f"{size} MB, on {place}" for place, size in kinds], speeds),
        Chart(
            "large-memory",
            "Peak memory of the largest process, in MB (less is better)",
            "",
            [f"{size} MB" for size in sizes],
            peaks,
        ),
    ]
    return Chapter("large", Table(heading, rows), charts)
