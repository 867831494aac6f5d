"""What a plain session imports: each module costs every session its time, so each one stands here with its reason.

A plain session has a compiled configuration, delivers small mail to a mailbox, and tries no pattern. Python itself
tells of each import, so the program runs as it is.
"""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mailrecv.config import compiler
from mailrecv.config.reader import read_config
from mailrecv.server.head_start import early_greeting
from tests.support.machine import typed

ROOT = Path(__file__).parents[2]
DIALOGUE = typed("HELO x", "MAIL FROM:<a@b>", "RCPT TO:<me@mydomain.com>", "DATA", "Hello", ".", "QUIT")
CONFIG = """\
domain mydomain.com
logfile {log}
deliver rcpt_to me@mydomain.com append {folder}/mbox
error rcpt_to . 550 No one here by that name.
"""

GREETING = {  # before the greeting
    "mailrecv",
    "mailrecv.__main__",
    "mailrecv.config",
    "mailrecv.config.compiled",
    "mailrecv.server",
    "mailrecv.server.head_start",
    "mailrecv.server.passed",
    *("__future__", "_socket", "gc", "zlib"),
    *("_collections_abc", "_stat", "genericpath", "os", "posixpath", "stat"),
}
SESSION = {  # after it
    "mailrecv.address",
    "mailrecv.cli",
    "mailrecv.cli.arguments",
    "mailrecv.client",
    "mailrecv.config.compiler",
    "mailrecv.config.faults",
    "mailrecv.config.model",
    "mailrecv.delivery",
    "mailrecv.delivery.command",
    "mailrecv.delivery.durable",
    "mailrecv.delivery.group_commit",
    "mailrecv.delivery.handover",
    "mailrecv.delivery.header",
    "mailrecv.delivery.maildir",
    "mailrecv.delivery.mbox",
    "mailrecv.delivery.message",
    "mailrecv.delivery.outcome",
    "mailrecv.delivery.spool",
    "mailrecv.journal",
    "mailrecv.journal.bound_logger",
    "mailrecv.journal.catalogue",
    "mailrecv.journal.escape",
    "mailrecv.journal.log",
    "mailrecv.journal.processors",
    "mailrecv.journal.sinks",
    "mailrecv.limits",
    "mailrecv.policy",
    "mailrecv.policy.clients",
    "mailrecv.policy.decision",
    "mailrecv.policy.patterns",
    "mailrecv.policy.recipients",
    "mailrecv.reply",
    "mailrecv.search",
    "mailrecv.server.activation",
    "mailrecv.server.channel",
    "mailrecv.server.chronicle",
    "mailrecv.server.configuration",
    "mailrecv.server.domain",
    "mailrecv.server.refusal",
    "mailrecv.server.service",
    "mailrecv.server.session",
    "mailrecv.server.start",
    "mailrecv.smtp",
    "mailrecv.smtp.events",
    "mailrecv.smtp.framing",
    "mailrecv.smtp.grammar",
    "mailrecv.smtp.receiver",
    "mailrecv.smtp.states",
    "mailrecv.trusted_path",
    "mailrecv.values",
}
LIBRARY = {  # of Python, with what these are made of
    *("errno", "fcntl", "math", "pwd", "select", "syslog"),
    *("array", "selectors", "signal", "socket"),
    *("abc", "collections", "collections.abc", "contextlib", "enum", "functools", "itertools", "keyword", "operator"),
    *("_collections", "_functools", "_operator", "re", "reprlib", "types"),
    *("_sre", "copyreg", "re._casefix", "re._compiler", "re._constants", "re._parser"),
    *("_weakrefset", "threading"),
}
STRUCTLOG = {
    *("structlog._base", "structlog.exceptions", "structlog.typing"),
    *("_typing", "typing", "typing.io", "typing.re", "warnings"),
}
TELL = """\
import os, sys
before = set(sys.modules)
sys.path += {path}
sys.argv = ["mailrecv", "-c", {config!r}]
from mailrecv.__main__ import main
from mailrecv.server import head_start
take = head_start.take_head_start

def take_head_start(path):
    taken = take(path)
    os.write(2, " ".join(sys.modules.keys() - before).encode() + b"\\n")
    return taken

def leave(status):
    os.write(2, " ".join(sys.modules.keys() - before).encode() + b"\\n%d\\n" % status)
    end(status)

head_start.take_head_start, end, os._exit = take_head_start, os._exit, leave
os.environ["LISTEN_PID"] = str(os.getpid())
os.dup2({fd}, 3)
main()
"""


def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: str) -> tuple[set[str], set[str]]:
    """Return what a session that systemd starts imports before the greeting, and in all.  log: as `logfile` has it."""
    monkeypatch.setenv("CACHE_DIRECTORY", str(tmp_path))
    path = tmp_path / "mailrecv.conf"
    path.write_text(CONFIG.format(folder=tmp_path, log=log))
    config = read_config(str(path))
    compiler.store(config, early_greeting(config))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    places = [str(ROOT), *(place for place in sys.path if "-packages" in place)]
    script = TELL.format(path=places, config=str(path), fd=server.fileno())
    with client, server:
        session = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", script],
            pass_fds=[server.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={"LISTEN_FDS": "1", "CACHE_DIRECTORY": str(tmp_path)},
        )
        server.close()
        client.sendall(DIALOGUE)
        replies = b"".join(iter(lambda: client.recv(1000), b""))
        _, said = session.communicate()
    assert re.findall(rb"(?m)^\d+", replies) == [b"220", b"250", b"250", b"250", b"354", b"250", b"221"]
    first, all_, status = said.decode().splitlines()
    assert status == "0"
    return set(first.split()), set(all_.split())


def test_before_the_greeting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is greeted when next to nothing has been imported."""
    first, _ = imported(tmp_path, monkeypatch, f"{tmp_path}/log")
    assert first <= GREETING


def test_a_log_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that logs to a file needs all these modules of ours, and no others of anybody's."""
    _, found = imported(tmp_path, monkeypatch, f"{tmp_path}/log")
    assert found <= GREETING | SESSION | LIBRARY | STRUCTLOG
    assert {name for name in found if name.partition(".")[0] == "mailrecv"} >= SESSION


def test_the_journal() -> None:
    """A log in systemd's journal takes no module more."""
    places = [str(ROOT), *(place for place in sys.path if "-packages" in place)]
    script = f"import sys; sys.path += {places}; from mailrecv.journal import sinks; before = set(sys.modules)\n"
    script += "sinks.Journald(); print(*sys.modules.keys() - before)"
    ended = subprocess.run([sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, check=True)
    assert ended.stdout == "\n"
