"""The benchmark: measures mailrecv beside its peers, and writes the figures into docs/performance.md.

    make bench                  all of it, with nothing else going on; takes some minutes
    make bench QUICK=1          a little of everything, into var/bench, to see that it works
    make bench FULL=1           with a message of 1,000 MB, too
    make bench SYSTEMD=1        with the package in a booted Debian, too
    make bench ROUNDS=9         medians of more rounds

    python -m tests.bench [--rounds N] [--quick] [--full] [--systemd] [--into FOLDER] [CHAPTER...]

Needs root, for the cgroups that tell what a server costs.
"""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from tests.bench import aims, growth, large, machine, rates, report, settings, start
from tests.bench.measuring import say
from tests.bench.plan import chosen

DOCUMENT = Path(__file__).parents[2] / "docs" / "performance.md"
CHAPTERS = ("start", "connections", "large", "growth")  # and, with --systemd, the settings of its units


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure mailrecv beside its peers.")
    parser.add_argument("--rounds", type=int, metavar="N", help="how often to measure everything")
    parser.add_argument("--quick", action="store_true", help="a little of everything")
    parser.add_argument("--full", action="store_true", help="with a message of 1,000 MB, too")
    parser.add_argument("--systemd", action="store_true", help="with the package in a booted Debian, too")
    parser.add_argument("--into", type=Path, metavar="FOLDER", help="for another copy of the document than docs/")
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", help=f"any of {', '.join(CHAPTERS)}; all, if none")
    options = parser.parse_args()
    if unknown := set(options.chapters) - set(CHAPTERS):
        parser.error(f"no such chapter: {', '.join(sorted(unknown))}")
    if os.geteuid() != 0:
        parser.error("only root can measure what a server costs")
    plan = chosen(rounds=options.rounds, quick=options.quick, full=options.full, systemd=options.systemd)
    document = _document(options.into)
    load = machine.load_average()
    if load > machine.QUIET:
        say(f"This machine is busy, its load average is {load:.1f}: the figures will be too bad.")
    wanted = options.chapters or CHAPTERS

    chapters = [machine.chapter(plan, load)]
    if "start" in wanted:
        starts = start.measure(plan)
        chapters.append(start.chapter(starts))
    if "connections" in wanted:
        connections = rates.measure(plan)
        chapters.append(rates.chapter(connections))
    if "large" in wanted:
        transfers = large.measure(plan)
        chapters.append(large.chapter(transfers))
    if "growth" in wanted:
        costs, peaks = growth.measure(plan), growth.memory_while_serving(plan)
        chapters += growth.chapters(plan, costs, peaks)
    if plan.systemd:
        chapters.append(settings.chapter(settings.measure(plan)))
    if set(wanted) == set(CHAPTERS):
        chapters.append(aims.chapter(connections, transfers, starts, costs, peaks))
    report.write(document, chapters)
    for chapter in chapters:
        print(f"{chapter.name}\n\n{chapter.table.markdown()}\n")
    say(f"The figures are in {document}.")


def _document(folder: Path | None) -> Path:
    if folder is None or folder.resolve() == DOCUMENT.parent:
        return DOCUMENT
    folder.mkdir(parents=True, exist_ok=True)
    return Path(shutil.copy(DOCUMENT, folder))


if __name__ == "__main__":
    main()
