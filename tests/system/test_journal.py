"""The log: every fact a field of the journal, or a file that logrotate renews."""

from __future__ import annotations

import re

import pytest

from mailrecv.journal.catalogue import CATALOGUE
from tests.system.mailhost import EXAMPLES, FOLDER, MailHost


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


def test_logrotate(server: MailHost) -> None:
    """logrotate, with the example that comes with the package, renews the log file in the middle of a session."""
    server.configure("logfile /var/log/mailrecv.log", "debug s")
    server.run("install", "-o", "mailrecv", "-g", "adm", "-m", "640", "/dev/null", "/var/log/mailrecv.log")
    server.run("cp", f"{EXAMPLES}/logrotate.d/mailrecv", "/etc/logrotate.d/")
    log, old = server.path("/var/log/mailrecv.log"), server.path("/var/log/mailrecv.log.1")
    with server.connect() as client:
        client.reply()
        client.ask("NOOP first")
        server.run("logrotate", "--force", "/etc/logrotate.d/mailrecv")
        client.ask("NOOP second")
        client.ask("QUIT")
        client.rest()
    assert "SMTP cmd: NOOP first" in old.read_text()
    assert "SMTP cmd: NOOP second" in log.read_text()
    assert "connection closed (quit)" in log.read_text()
    assert server.run("stat", "--format=%U:%G %a", "/var/log/mailrecv.log") == "mailrecv:adm 640\n"
