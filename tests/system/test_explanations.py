"""The journal as a person reads it: nothing but what needs them, and each entry explained."""

from __future__ import annotations

import re

from mailrecv.journal.catalogue import CATALOGUE, FAILED
from tests.system.mailhost import MailHost

NEEDS_A_PERSON = ("--unit=mailrecv@*", "--priority=warning")


def test_a_message_is_one_line(server: MailHost) -> None:
    """At the priority info and above, a message to one recipient is one entry; at warning and above it is none."""
    server.send("me")
    assert len(server.log("--identifier=mailrecv")) > 1
    (message,) = server.messages("--identifier=mailrecv", "--priority=info")
    assert message.endswith(" delivered")
    assert server.log(*NEEDS_A_PERSON) == []


def test_strangers_need_nobody(server: MailHost) -> None:
    """Neither refusals nor limits nor clients that leave show up at the priority warning."""
    server.configure("limit.smtp_unknowncmd 1 421 Enough.", "allow remotehost ^127\\.0\\.0\\.1$")
    with server.connect(source="127.0.0.5") as stranger:
        assert stranger.reply()[:3] == "554"
    with server.connect() as babbler:
        babbler.reply()
        babbler.ask("NONSENSE")
        assert babbler.ask("NONSENSE") == "421 Enough."
    with server.connect() as leaver:
        leaver.envelope("me")
    server.wait_for_sessions(0)
    assert len(server.log("--identifier=mailrecv", "--priority=notice")) >= len(["554", "500", "421"])
    assert server.log(*NEEDS_A_PERSON) == []


def test_what_needs_a_person_is_explained(server: MailHost) -> None:
    """`journalctl -x -p warning` shows a failed delivery, what it means, and how to see all about that message."""
    server.configure("deliver rcpt_to broken@mydomain.com pipe exit 67")
    server.send("me")
    reply = server.send("broken")
    (entry,) = server.log(*NEEDS_A_PERSON)
    assert entry["MESSAGE_ID"] == FAILED.message_id
    shown = server.run("journalctl", "--catalog", "--no-pager", *NEEDS_A_PERSON, "--lines=1")
    (message_id,) = re.findall(r"\((\w+)\)$", reply)
    assert "\N{LIGHT SHADE}\N{LIGHT SHADE} Subject: A copy of a message was not delivered, for good\n" in shown
    assert f"   mailrecv trace {message_id}\n" in shown


def test_the_package_brings_the_explanations_and_takes_them_away(server: MailHost) -> None:
    """Installing the package is enough for `journalctl -x`; once it is removed nothing is left in the database."""
    listed = server.run("journalctl", "--list-catalog")
    assert len(re.findall(r"(?m)^[0-9a-f]{32} mailrecv: ", listed)) == len(CATALOGUE)
    server.apt("remove", "mailrecv")
    assert " mailrecv: " not in server.run("journalctl", "--list-catalog")
