"""Real mail servers, with their own defaults, deliver through mailrecv; their own logs say so."""

from __future__ import annotations

import email
import email.policy
import mailbox
import re
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.clients.servers import Site, unquoted, wait_until
from tests.senders.mail_servers import QUEUE_SECONDS, MailServer
from tests.support.false_ends import FALSE_ENDS
from tests.support.figures import Figures

pytestmark = [
    pytest.mark.needs_root,
    pytest.mark.needs_tool("apt-get", "dnsmasq", "dpkg-deb", "ip", "ss", "unshare"),
    pytest.mark.timeout(120),  # the packages may have to be downloaded
]

ME = "me@mydomain.com"
LIST = "list@mydomain.com"
PIPE = "pipe@mydomain.com"


def a_message(subject: str, body: bytes = b"Hello\n") -> bytes:
    """Return a message, with LF line ends."""
    return f"From: me@client.example\nSubject: {subject}\n\n".encode() + body


def deliver(sender: MailServer, message: bytes, *recipients: str, reverse_path: str = "me@client.example") -> None:
    """Have a message delivered, and wait until the sender says that it is."""
    before = {to: len(sender.fates(to)) for to in recipients}
    sender.submit(message, reverse_path, *recipients)
    wait_until(lambda: all(len(sender.fates(to)) > before[to] for to in recipients), "news", QUEUE_SECONDS)
    for to in recipients:
        sender.wait_for(to, "sent")


def copies(path: Path, subject: str) -> list[bytes]:
    """Return the copies in an mbox of the messages with a subject."""
    with closing(mailbox.mbox(path, create=False)) as box:
        found = [unquoted(box.get_bytes(key)) for key in list(box.keys())]
    return [copy for copy in found if f"\nSubject: {subject}\n".encode() in copy.partition(b"\n\n")[0] + b"\n"]


def body(copy: bytes) -> bytes:
    """Return what follows the headers."""
    return copy.partition(b"\n\n")[2]


def test_helo_after_ehlo(sender: MailServer, site: Site) -> None:
    """A sender says EHLO, is refused, says HELO, and is known by its name."""
    deliver(sender, a_message("HELO"), ME)
    said = re.findall(r"SMTP (?:cmd|reply): (.*)", site.log)
    start = said.index(f"EHLO {sender.name}")
    assert said[start : start + 4] == [
        f"EHLO {sender.name}",
        "500 EHLO is not supported, use HELO",
        f"HELO {sender.name}",
        f"250 mydomain.com Hello {sender.name} [{sender.address}]",
    ]
    (copy,) = copies(site.folder / "mbox", "HELO")[-1:]
    assert copy.startswith(b"Return-Path: <me@client.example>\nReceived: from " + sender.name.encode() + b" (")


def test_several_recipients(sender: MailServer, site: Site) -> None:
    """A message to three is sent once, and is told once to be safe, under one id."""
    before = len(site.in_maildir)
    deliver(sender, a_message("three"), ME, LIST, PIPE)
    told = {re.search(r"250 OK (\w+)", sender.fates(to)[-1])[1] for to in (ME, LIST, PIPE)}  # type: ignore[index]
    assert len(told) == 1
    assert body(copies(site.folder / "mbox", "three")[-1]) == b"Hello\n"
    assert len(site.in_maildir) == before + 1
    assert body(site.piped or b"") == b"Hello\n"


def test_more_recipients_than_allowed(sender: MailServer, site: Site) -> None:
    """Recipients beyond limit.smtp_rcpt_to are sent the message later, each of them once."""
    to = [f"{number}.{sender.name}@mydomain.com" for number in range(25)]
    deliver(sender, a_message(f"to 25 by {sender.name}"), *to)
    headers = b"".join(copies(site.folder / "others", f"to 25 by {sender.name}"))
    envelopes = b"".join(re.findall(rb"(?m)^X-Envelope-To: .*(?:\n\t.*)*|^Received: .* by mydomain.com .*", headers))
    assert sorted(re.findall(rb"<([^>]+)>", envelopes)) == sorted(map(str.encode, to))


def test_null_sender(sender: MailServer, site: Site) -> None:
    """The sender of bounces is taken."""
    deliver(sender, a_message("null"), ME, reverse_path="<>")
    assert copies(site.folder / "mbox", "null")[-1].startswith(b"Return-Path: <>\n")


def test_a_recipient_that_is_refused(sender: MailServer, site: Site) -> None:
    """A 550 makes the sender give up, and its bounce, with the reply in it, comes to the author by way of mailrecv."""
    bounces = len(copies(site.folder / "mbox", BOUNCES[sender.package]))
    sender.submit(a_message("to nobody"), ME, "nobody@mydomain.com")
    assert "550 No one here by that name." in sender.wait_for("nobody@mydomain.com", "bounced")
    wait_until(lambda: len(copies(site.folder / "mbox", BOUNCES[sender.package])) > bounces, "the bounce")
    bounce = copies(site.folder / "mbox", BOUNCES[sender.package])[-1]
    assert bounce.startswith(b"Return-Path: <>\n")
    assert b"550 No one here by that name." in bounce.replace(b"\n    ", b" ")


BOUNCES = {
    "postfix": "Undelivered Mail Returned to Sender",
    "exim4-daemon-light": "Mail delivery failed: returning message to sender",
}


def test_a_failure_that_passes(sender: MailServer, site: Site) -> None:
    """A 451 makes the sender come again; then it sends several messages over one connection, and each arrives once."""
    later, ready = site.folder / "later", site.folder / "ready"
    ready.unlink(missing_ok=True)
    later.unlink(missing_ok=True)
    for number in range(8):
        sender.submit(a_message(f"later {number}"), "me@client.example", "later@mydomain.com")
    assert " 451 " in sender.wait_for("later@mydomain.com", "deferred")
    assert not later.exists()
    ready.touch()

    def sent() -> int:
        return sum(fate.startswith("sent") for fate in sender.fates("later@mydomain.com"))

    wait_until(lambda: sent() == 8, "the fate of all", QUEUE_SECONDS)
    assert sorted(re.findall(rb"(?m)^Subject: later (\d)$", later.read_bytes())) == [
        b"%d" % number for number in range(8)
    ]
    assert sender.sent_again("later@mydomain.com") > 1  # one alone might have followed a failure


def test_eight_bits(sender: MailServer, site: Site) -> None:
    """Text in UTF-8 that says so is read as it was written; octets that say nothing arrive as they are."""
    headers = b"MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    text = "Gr\u00fc\u00dfe, \u65e5\u672c, \U0001f600\n"
    deliver(sender, headers + a_message("UTF-8", text.encode()), ME)
    copy = email.message_from_bytes(copies(site.folder / "mbox", "UTF-8")[-1], policy=email.policy.default)
    assert copy.get_content() == text
    octets = bytes(range(128, 256)) + b"\n"
    deliver(sender, a_message("octets", octets), ME)
    assert body(copies(site.folder / "mbox", "octets")[-1]) == octets


def test_lines(sender: MailServer, site: Site) -> None:
    """Dots, From lines, and lines of any length arrive; Postfix folds what is longer than SMTP allows."""
    text = b".\n..\n.a\n\nFrom me\n>From you\n" + b"0123456789" * 2000 + b"\n.\nend\n"
    deliver(sender, a_message("lines", text), ME)
    assert body(copies(site.folder / "mbox", "lines")[-1]).replace(b"\n ", b"") == text


def test_a_large_message(sender: MailServer, site: Site) -> None:
    """Twenty megabytes arrive octet for octet."""
    text = b"".join(b"%075d\n" % number for number in range(20_000_000 // 76))
    deliver(sender, a_message("large", text), ME)
    assert body(copies(site.folder / "mbox", "large")[-1]) == text


def test_smuggling(sender: MailServer, site: Site) -> None:
    """Whatever a sender makes of a false end in the message of its author, no second message comes of it."""
    second = b"MAIL FROM:<admin@mydomain.com>\r\nRCPT TO:<list@mydomain.com>\r\nDATA\r\nboo\r\n.\r\n"
    before = len(site.in_maildir)
    deliver(sender, a_message("smuggling", b"".join(end + second for end in FALSE_ENDS)), ME)
    (copy,) = copies(site.folder / "mbox", "smuggling")[-1:]
    assert body(copy).count(b"boo") == len(FALSE_ENDS)
    assert len(site.in_maildir) == before


def test_nothing_is_left(sender: MailServer, site: Site, figure: Figures) -> None:
    """At the end the sender has sent or bounced all that it had, and mailrecv has seen nothing but order."""
    fates = Counter(fate.partition(":")[0] for fate in sender.fates())
    figure(
        f"{sender.package}: {fates['sent']} copies sent, {fates['deferred']} deferrals, {fates['bounced']} bounced,"
        f" {sender.sent_again()} copies sent over a connection used before"
    )
    figure.add(fates["sent"], "copies sent by other mail servers")
    assert sender.queue() == []
    assert "internal error" not in site.log
