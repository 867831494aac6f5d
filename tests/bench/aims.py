"""The figures that mailrecv holds itself to, computed from what was measured side by side."""

from __future__ import annotations

from collections.abc import Mapping

from docs.figures import Table
from tests.bench import large, rates, start
from tests.bench.aiosmtpd_server import Aiosmtpd
from tests.bench.growth import Costs, Peaks
from tests.bench.large import Transfers
from tests.bench.mailrecv_server import PerConnection, Resident
from tests.bench.postfix_server import Postfix
from tests.bench.rates import Rates
from tests.bench.report import Chapter, shown
from tests.bench.start import Starts


def chapter(
    connections: Rates, transfers: Transfers, starts: Starts, costs: Mapping[str, Costs], peaks: Peaks
) -> Chapter:
    """Return the table: ratios of medians, so that the machine matters less."""
    busiest = max(at_once for _, at_once in connections)

    def rate(server: str) -> float:
        return connections[server, busiest][rates.RATE].median

    def large_mail(place: str, size: int, what: str) -> float:
        return transfers[PerConnection.name, place, size][what].median

    def cpu(what: str) -> float:
        return starts[what][start.CPU].median

    largest = max(size for _, _, size in transfers)
    smallest = min(size for _, _, size in transfers)
    lines = costs["deliver"][PerConnection.name]
    fewest, most = min(lines), max(lines)
    greeting = starts[start.MESSAGE][start.GREETING].median
    with_fsync = Aiosmtpd.name_of(fsync=True)
    rows = [
        ("CPU of a session ÷ that of its imports", "at most 0.5", cpu(start.MESSAGE) / cpu(start.IMPORTS)),
        ("exec to greeting ÷ CPU of a bare Python", "at most 1.5", greeting / cpu(start.BARE)),
        (
            f"resident ÷ {with_fsync}, connections per second, {busiest} at once",
            "at least 1.5",
            rate(Resident.name) / rate(with_fsync),
        ),
        ("resident ÷ Postfix, the same", "at least 3", rate(Resident.name) / rate(Postfix.name)),
        (f"{smallest} MB, on memory: MB/s", "at least 400", large_mail("memory", smallest, large.SPEED)),
        (f"{smallest} MB, on disk: MB/s", "at least 250", large_mail("disk", smallest, large.SPEED)),
        (f"{smallest} MB: peak MB", "at most 32", large_mail("disk", smallest, large.PEAK)),
        (f"{largest} MB: peak MB", "at most 32", large_mail("disk", largest, large.PEAK)),
        (
            f"{most:,} `deliver` lines, beyond {fewest:,}: CPU ms",
            "at most 20",
            lines[most].median - lines[fewest].median,
        ),
        (
            f"resident, message {min(peaks):,} to {max(peaks):,}: MB more, all processes",
            "0",
            sum(peaks[max(peaks)]) - sum(peaks[min(peaks)]),
        ),
    ]
    return Chapter("aims", Table(["", "aim", "measured"], [(what, aim, shown(found)) for what, aim, found in rows]))
