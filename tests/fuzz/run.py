"""Fuzzes all targets at the same time, led by what they have covered, and prints the figures.

    python -m tests.fuzz.run SECONDS [FIGURES]

FIGURES is a file to keep the figures in, too.

Inputs that cover something new are kept in build/fuzz/TARGET/corpus, for the next run to begin with. An input that
makes a target fail goes to build/fuzz/TARGET/findings; `python -m tests.fuzz.run TARGET FILE` runs it again.
`python -m tests.fuzz.run --keep` adds to the seeds what the corpus covers beyond them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.support.figures import record

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "build" / "fuzz"
TARGET_NAMES = ("receiver", "config")
ROOMS = ("smtp", "config")
TIMEOUT_SECONDS = 5  # an input that takes longer is a finding


class Run(NamedTuple):
    """What came of fuzzing a target.  inputs: that are kept, for the next time to begin with."""

    target: str
    executions: int
    seconds: float
    findings: int
    inputs: int

    def __str__(self) -> str:
        return (
            f"{self.target}: {self.executions:,} executions in {self.seconds:.0f} seconds,"
            f" {self.findings} findings, {self.inputs} inputs kept"
        )


def main(arguments: list[str]) -> int:
    """Do what the arguments say, and return the exit status."""
    match arguments:
        case ["--fuzz", target, *options]:
            fuzz(target, options)
        case ["--coverage"]:
            measure_coverage()
        case ["--keep"]:
            for target in TARGET_NAMES:
                keep(target)
        case [target, file] if target in TARGET_NAMES:
            from tests.fuzz.targets import TARGETS

            TARGETS[target](Path(file).read_bytes())
        case [seconds]:
            return fuzz_all(int(seconds))
        case [seconds, figures]:
            return fuzz_all(int(seconds), Path(figures))
    return 0


def fuzz_all(seconds: int, kept_in: Path | None = None) -> int:
    """Fuzz every target, print the figures, and return 1 if there was a finding.

    kept_in: a file for the figures.
    """
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        runs = list(pool.map(lambda target: fuzz_one(target, seconds), TARGET_NAMES))
    covered = itself("--coverage", stdout=subprocess.PIPE)
    print(covered.stdout, end="")
    findings = sum(run.findings for run in runs)
    print(f"{findings} findings in all", flush=True)
    good = covered.returncode == 0 and findings == 0
    if kept_in:
        executions = sum(run.executions for run in runs)
        coverage = dict(line.split(": ", 1) for line in covered.stdout.splitlines())
        record(
            kept_in,
            list(map(str, runs)),
            {"inputs made by fuzzing": f"{executions:,}", "findings among them": str(findings), **coverage},
            seconds=time.monotonic() - began,
            outcome=f"{findings} findings",
            good=good,
        )
    return 0 if good else 1


def fuzz_one(target: str, seconds: int) -> Run:
    """Fuzz a target in a process of its own, and print what came of it."""
    from tests.fuzz.targets import MAX_OCTETS, TOKENS, seeds

    corpus, begin, findings = (FOLDER / target / name for name in ("corpus", "seeds", "findings"))
    for folder in (corpus, begin, findings):
        folder.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(target)):
        (begin / str(number)).write_bytes(seed)
    tokens = FOLDER / target / "tokens"
    tokens.write_text("".join(f'"{escaped(token)}"\n' for token in TOKENS[target]), encoding="ascii")
    known = set(findings.iterdir())
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_OCTETS}", f"-timeout={TIMEOUT_SECONDS}", f"-dict={tokens}"]
    options += [f"-artifact_prefix={findings}/", "-print_final_stats=1", str(corpus), str(begin)]
    began = time.monotonic()
    ended = itself("--fuzz", target, *options, stderr=subprocess.PIPE)
    found = set(findings.iterdir()) - known
    executions = re.search(r"stat::number_of_executed_units:\s*(\d+)", ended.stderr or "")
    if executions is None or (ended.returncode != 0 and not found):
        raise RuntimeError(ended.stderr)
    if found:
        print(ended.stderr)
    run = Run(target, int(executions[1]), time.monotonic() - began, len(found), len(list(corpus.iterdir())))
    print(run, *sorted(found), sep="\n    ", flush=True)
    return run


def escaped(token: str) -> str:
    """Return a token as libFuzzer's dictionaries have it."""
    return "".join(f"\\x{octet:02x}" for octet in token.encode())


def itself(*arguments: str, stdout: int | None = None, stderr: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run this program in another process."""
    command = [sys.executable, "-m", "tests.fuzz.run", *arguments]
    return subprocess.run(command, cwd=ROOT, text=True, errors="replace", check=False, stdout=stdout, stderr=stderr)


def fuzz(target: str, options: list[str]) -> None:
    """Fuzz a target. libFuzzer ends the process.  options: of libFuzzer."""
    import atheris

    with atheris.instrument_imports(include=[f"mailrecv.{room}" for room in ROOMS]):
        from tests.fuzz.targets import TARGETS
    atheris.Setup([sys.argv[0], *options], TARGETS[target])
    atheris.Fuzz()


def corpus(target: str) -> list[bytes]:
    """Return what fuzzing has kept of a target's inputs, the shortest first."""
    return sorted((path.read_bytes() for path in (FOLDER / target / "corpus").iterdir()), key=len)


# Coverage


def measure_coverage() -> None:
    """Run every input there is once, and print how much of each room's code that covers."""
    import coverage

    measured = coverage.Coverage(branch=True, data_file=None, source=[f"mailrecv.{room}" for room in ROOMS])
    measured.start()
    from tests.fuzz.targets import TARGETS, seeds

    for target, run in TARGETS.items():
        for octets in [*seeds(target), *corpus(target)]:
            run(octets)
    measured.stop()
    for room in ROOMS:
        report = FOLDER / f"coverage-{room}.json"
        measured.json_report(include=f"*/mailrecv/{room}/*", outfile=str(report))
        totals = json.loads(report.read_text(encoding="utf-8"))["totals"]
        lines = 100 * totals["covered_lines"] / totals["num_statements"]
        branches = 100 * totals["covered_branches"] / totals["num_branches"]
        print(f"coverage of mailrecv/{room}: {lines:.1f}% of lines, {branches:.1f}% of branches")


def keep(target: str) -> None:
    """Add to a target's seeds those inputs of its corpus that go from a line to another as no other seed does."""
    from tests.fuzz.targets import HERE, seeds

    covered = {step for octets in seeds(target) for step in steps(target, octets)}
    with (HERE / f"{target}.seeds").open("a", encoding="ascii") as kept:
        for octets in corpus(target):
            if not covered.issuperset(taken := set(steps(target, octets))):
                covered |= taken
                kept.write(f"{octets!r}\n")


def steps(target: str, octets: bytes) -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the steps that an input takes in the code, each with the name of the file."""
    import coverage

    from tests.fuzz.targets import TARGETS

    measured = coverage.Coverage(branch=True, data_file=None, source=[f"mailrecv.{room}" for room in ROOMS])
    measured.set_option("run:disable_warnings", ["module-not-measured"])  # imported before: that is no input's doing
    with measured.collect():
        TARGETS[target](octets)
    data = measured.get_data()
    for file in data.measured_files():
        yield from ((file, step) for step in data.arcs(file) or ())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
