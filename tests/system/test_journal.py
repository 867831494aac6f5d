"""The log: every fact a field of the journal, or a file that logrotate renews."""

from __future__ import annotations

import re
import threading

import pytest

from mailrecv.journal.catalogue import CATALOGUE
from tests.system.machine import wait_until
from tests.system.mailhost import EXAMPLES, FOLDER, MailHost

LOG = "/var/log/mailrecv.log"


def test_fields(server: MailHost) -> None:
    """`journalctl -u 'mailrecv@*' -o json` has a session's entries, and every fact of a delivery is a field."""
    reply = server.send("me")
    entries = {entry.get("MAILRECV_EVENT"): entry for entry in server.log("--unit=mailrecv@*")}
    assert {"connection", "delivered", "disconnection"} <= set(entries)
    delivered = entries["delivered"]
    ours = {name: value for name, value in delivered.items() if re.match("MAILRECV_|SYSLOG_ID|MESSAGE_|PRIO", name)}
    assert float(ours.pop("MAILRECV_SECONDS")) < 10
    assert ours == {
        "MAILRECV_CLIENT_ADDRESS": "127.0.0.1",
        "MAILRECV_CLIENT_NAME": "unknown",
        "MAILRECV_EVENT": "delivered",
        "MAILRECV_HELO": "client",
        "MAILRECV_ID": reply.removeprefix("250 OK "),
        "MAILRECV_RECIPIENT": "me@mydomain.com",
        "MAILRECV_ROUTE": f"append {FOLDER}/mbox",
        "MAILRECV_SENDER": "me@client",
        "MAILRECV_SIZE": "6",
        "MESSAGE_ID": CATALOGUE["delivered"].message_id,
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "mailrecv",
    }
    assert re.fullmatch(r"mailrecv@\S+\.service", delivered["_SYSTEMD_UNIT"])
    assert delivered["_UID"] == server.run("id", "--user", "mailrecv").strip()


@pytest.mark.parametrize(
    "matches, events",
    [
        (["MAILRECV_RECIPIENT=me@mydomain.com"], ["delivered"]),
        (["MAILRECV_EVENT=refusal", "MAILRECV_CLIENT_ADDRESS=127.0.0.5"], ["refusal"]),
        (["--identifier=mailrecv", "--priority=warning"], ["failed"]),
    ],
)
def test_questions(server: MailHost, matches: list[str], events: list[str]) -> None:
    """The journal finds one recipient's mail, one client's refusals, and what needs attention."""
    server.configure("deliver rcpt_to broken@mydomain.com pipe exit 67")
    server.send("me")
    server.send("list")
    assert server.send("broken")[:3] == "554"
    with server.connect(source="127.0.0.5") as client:
        client.reply()
        client.ask("NONSENSE")
        client.ask("QUIT")
        client.rest()
    assert [entry["MAILRECV_EVENT"] for entry in server.log(*matches)] == events


def test_output_of_a_command(server: MailHost) -> None:
    """What a command prints is in the journal, beside the message that it was about."""
    server.configure("deliver rcpt_to noisy@mydomain.com pipe echo out; echo err >&2")
    server.send("noisy")
    printed = server.messages("MAILRECV_EVENT=command_output")
    assert sorted(re.sub(r"^\S+ to=<noisy@mydomain.com> ", "", message) for message in printed) == [
        "output: err",
        "output: out",
    ]


@pytest.fixture
def rotated(server: MailHost) -> MailHost:
    """The machine with a log file, as the README makes it, that logrotate looks after."""
    server.configure("logfile /var/log/mailrecv.log", "debug s")
    server.shell(f"rm -f {LOG}*")
    server.run("install", "-o", "mailrecv", "-g", "adm", "-m", "640", "/dev/null", LOG)
    server.run("cp", f"{EXAMPLES}/logrotate.d/mailrecv", "/etc/logrotate.d/")
    return server


def test_logrotate(rotated: MailHost) -> None:
    """logrotate, with the example that comes with the package, renews the log file in the middle of a session."""
    log, old = rotated.path(LOG), rotated.path(f"{LOG}.1")
    with rotated.connect() as client:
        client.reply()
        client.ask("NOOP first")
        rotated.run("logrotate", "--force", "/etc/logrotate.d/mailrecv")
        client.ask("NOOP second")
        client.ask("QUIT")
        client.rest()
    assert "SMTP cmd: NOOP first" in old.read_text()
    assert "SMTP cmd: NOOP second" in log.read_text()
    assert "connection closed (quit)" in log.read_text()
    assert rotated.run("stat", "--format=%U:%G %a", LOG, f"{LOG}.1") == "mailrecv:adm 640\n" * 2


def test_logrotate_under_load(rotated: MailHost) -> None:
    """However often the log is rotated while sessions write to it, every line is there, once and whole.

    A line that could not be written for too long is in the journal, which says so.
    """
    number, rotations = 4, 8  # as many as old files are kept
    rotated.configure(f"logfile {LOG}", "debug s", "limit.smtp_commands 1000000")
    done = threading.Event()

    def talk(name: int) -> list[str]:
        said: list[str] = []
        with rotated.connect() as client:
            client.reply()
            while not done.is_set():
                said.append(f"NOOP {name}.{len(said)}.")
                client.ask(said[-1])
        return said

    with rotated.threads(number) as threads:
        sessions = [threads.submit(talk, name) for name in range(number)]
        try:
            for _ in range(rotations):
                wait_until(lambda: rotated.path(LOG).stat().st_size, "lines in the log")
                rotated.run("logrotate", "--force", "/etc/logrotate.d/mailrecv")
        finally:
            done.set()
    said = [command for session in sessions for command in session.result()]
    lines = "\n".join([rotated.shell(f"zcat --force {LOG}*"), *rotated.messages("MAILRECV_EVENT=logfile_failed")])
    assert sorted(re.findall(r"(?m)\]: DEBUG: SMTP cmd: (NOOP \S+)$", lines)) == sorted(said)
    files = [LOG, f"{LOG}.1", *(f"{LOG}.{number}.gz" for number in range(2, rotations + 1))]
    stat = rotated.shell(f"stat --format='%n %U:%G %a' {LOG}*").splitlines()
    assert sorted(stat) == sorted(f"{file} mailrecv:adm 640" for file in files)
