"""The log: every fact a field of the journal, or a file that logrotate renews."""

from __future__ import annotations

import json
import os
import re
import threading
import time

import pytest

from mailrecv.journal.catalogue import CATALOGUE
from tests.system.machine import wait_until
from tests.system.mailhost import EXAMPLES, FOLDER, MailHost

LOG = "/var/log/mailrecv.log"


def ask_for_nobody(server: MailHost) -> None:
    """Try to send to an address that an `error` line refuses."""
    with server.connect() as client:
        assert client.reply()[:3] == "220"
        for command in ("HELO client", "MAIL FROM:<me@client>"):
            assert client.ask(command)[:3] == "250"
        assert client.ask("RCPT TO:<nobody@mydomain.com>") == "550 No one here by that name."
        assert client.ask("QUIT")[:3] == "221"


def test_fields(server: MailHost) -> None:
    """`journalctl -u 'mailrecv@*' -o json` has a session's entries, and every fact of a delivery is a field."""
    reply = server.send("me")
    server.wait_for_sessions(0)
    entries = {entry.get("MAILRECV_EVENT"): entry for entry in server.log("--unit=mailrecv@*")}
    assert {"connection", "delivered", "disconnection"} <= set(entries)
    delivered = entries["delivered"]
    ours = {name: value for name, value in delivered.items() if re.match("MAILRECV_|SYSLOG_ID|MESSAGE_|PRIO", name)}
    assert float(ours.pop("MAILRECV_SECONDS")) < 10
    assert ours.pop("MAILRECV_SESSION") == entries["connection"]["MAILRECV_SESSION"]
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


def test_report(server: MailHost) -> None:
    """`mailrecv report` counts, by the journal's fields, what was delivered, refused and failed."""
    since = f"--since=@{time.time():.6f}"
    server.configure("deliver rcpt_to broken@mydomain.com pipe exit 67")
    server.send("me", "list")
    server.send("me")
    assert server.send("broken")[:3] == "554"
    ask_for_nobody(server)
    server.run("journalctl", "--sync")
    counted = json.loads(server.run("mailrecv", "report", "--json", since))
    totals = {name: counted[name] for name in ("messages", "copies", "failures", "connections")}
    assert totals == {"messages": 2, "copies": 3, "failures": 1, "connections": 4}
    recipients = {row["recipient"]: (row["messages"], row["failures"]) for row in counted["recipients"]}
    assert recipients == {"me@mydomain.com": (2, 0), "list@mydomain.com": (1, 0), "broken@mydomain.com": (0, 1)}
    assert "550 No one here by that name. (line 5)" in {row["reply"] for row in counted["refusals_by_cause"]}
    assert [row["address"] for row in counted["clients"]] == ["127.0.0.1"]
    assert "By hour" in server.run("mailrecv", "report", since)
    server.run("mailrecv", "report", "--html", "/root/report.html", since)
    assert "<svg" in server.path("/root/report.html").read_text()


def test_metrics(server: MailHost) -> None:
    """`mailrecv report --prometheus FILE` adds to the file what came since it was written."""
    file = "/root/mailrecv.prom"
    counts = []
    for _ in range(2):
        server.send("me")
        server.run("journalctl", "--sync")
        server.run("mailrecv", "report", "--prometheus", file)
        found = re.search(r"(?m)^mailrecv_messages_total (\d+)$", server.path(file).read_text())
        assert found
        counts.append(int(found[1]))
    assert counts[1] == counts[0] + 1


def test_trace(server: MailHost) -> None:
    """`mailrecv trace` shows all about one message, or about an address that was refused."""
    message_id = server.send("me").removeprefix("250 OK ")
    ask_for_nobody(server)
    server.run("journalctl", "--sync")
    trace = server.run("mailrecv", "trace", message_id)
    assert trace.startswith(f"Message {message_id}\n  by    unknown [127.0.0.1], HELO client\n  from  <me@client>\n")
    assert f"to    <me@mydomain.com>: delivered (append {FOLDER}/mbox" in trace
    shown = [line[16:] for line in trace.split("\n\n")[1].splitlines()[1:]]  # after the day
    assert shown[0].startswith("SMTP connection from remote host unknown [127.0.0.1]")
    assert shown[-1].startswith("connection closed (quit)")
    refused = server.run("mailrecv", "trace", "-n", "1", "nobody@mydomain.com")
    assert "to    <nobody@mydomain.com>: refused, 550 No one here by that name." in refused


def test_report_without_the_right_to_read(server: MailHost) -> None:
    """Who may not read the journal gets no empty report, but is told how to."""
    told = server.run("runuser", "-u", "nobody", "--", "mailrecv", "report", status=os.EX_NOPERM)
    assert "you may not read the journal of the system; ask as root, or join the group" in told


@pytest.fixture
def rotated(server: MailHost) -> MailHost:
    """The machine with a log file, as docs/installing.md makes it, that logrotate looks after."""
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
