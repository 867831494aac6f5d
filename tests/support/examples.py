"""Sessions at a shell as documents show them: what somebody gets who types them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CHANCE = {
    r"\b[0-9a-f]{21}\b": "ID",
    r"seconds=[0-9.]+": "seconds=SECONDS",
    r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\b": "DATE",  # of an mbox
    r"\b[A-Z][a-z]{2}, [ \d]?\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\b": "DATE",  # of RFC 822
}


def without_chance(shown: str) -> str:
    """Return what a program printed without what differs from one time to the next."""
    for pattern, name in _CHANCE.items():
        shown = re.sub(pattern, name, shown)
    return shown


def answers_to(typed: str, config: str, folder: Path) -> str:
    """Return, without what is chance, what is answered to somebody on this machine who connects over IPv6 and types.

    config: the text of the configuration.  folder: for that, and for the log.
    """
    (folder / "my.conf").write_text(config, encoding="utf-8")
    program = [sys.executable, "-m", "mailrecv", "-c", f"{folder}/my.conf", "-l", f"{folder}/log"]
    with (
        socket.create_server(("::1", 0), family=socket.AF_INET6) as server,
        socket.create_connection(server.getsockname()[:2]) as client,
    ):
        accepted, _ = server.accept()
        with accepted, subprocess.Popen(program, stdin=accepted.fileno(), stdout=subprocess.DEVNULL) as process:
            accepted.close()
            client.sendall(typed.encode())
            with client.makefile(encoding="ascii") as answered:  # which makes LF of CRLF
                answers = answered.read()
    assert process.returncode == 0
    return without_chance(answers)


def shell(script: str, folder: Path, octets: str = "") -> str:
    """Run a script, with mailrecv and everything it names in a folder of its own, and return what it prints.

    Root stays root: the folder is closed to the user of a service that may be installed on this machine.
    """
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin" / "mailrecv"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mailrecv --as-root "$@"\n')
    program.chmod(0o755)
    environment = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(folder)}
    environment["TZ"] = "UTC"
    run = subprocess.run(
        ["/bin/sh", "-c", script],
        input=octets,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env=environment,
        check=False,
    )
    return run.stdout


def assert_prints_what_is_shown(session: str, folder: Path) -> None:
    """Type a session into a shell and compare what is printed; `cat` makes a .conf or .log that is not there yet."""
    steps = re.findall(r"(?m)^\$ (.*(?:\n> .*)*)\n((?:(?![$] ).*\n)*)", session)
    assert steps
    script = ""
    for command, output in steps:
        made = re.fullmatch(r"cat (\S+\.conf|\S+\.log)", command)
        if made and made[1] not in script:
            (folder / made[1]).write_text(output, encoding="utf-8")
        script += command.replace("\n> ", "\n") + "\n"
    assert without_chance(shell(script, folder)) == without_chance("".join(output for _, output in steps))


def conversation(session: str) -> tuple[str, str]:
    """Return what somebody types in a session with nc, and what the server answers."""
    typed, answers, is_data = "", "", False
    for line in session.splitlines(keepends=True)[1:]:
        if re.match(r"\d{3}[ -]", line) and not is_data:
            answers += line
            is_data = line.startswith("354")
        else:
            typed += line
            is_data = is_data and line != ".\n"
    return typed, answers
