"""What `mailrecv explain` says is what the server does: any configuration, any client, any message."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrecv.client import Client, Lookup
from tests.dialogue import Dialogue, Sent, all_dialogues
from tests.support.whole_session import compare

PATTERNS = st.sampled_from(
    [
        *(r"\.example$", "^mail", "^192", "google", ".", "^127\\.", "^2001:0db8", "(a+)+$", "^$"),
        *("192.0.2.0/24", "::/0", "[2001:db8::7]", "[127.0.0.1]", r"^(?=192\.)", "^(?=google)"),
    ]
)
ADDRESSES = st.sampled_from(["a@mydomain.com", "B@MyDomain.com", "postmaster@mydomain.com", "c@d", "e"])
PLACES = [
    "append {dir}/mbox",
    "append {dir}/missing/mbox",
    "append {dir}",
    "append /dev/null",
    "maildir {dir}/Maildir",
    "maildir {dir}/file/Maildir",
    "pipe cat >/dev/null",
    "pipe /nonexistent/program -v",
    "pipe no-such-program",
]
REPLIES = st.sampled_from(["450 Later", "421 Closing", "550 No one here by that name.", "554"])
GROUPS = st.sampled_from(["", "allowgroup +one ", "allowgroup +two "])
BEGINNING = ["limit.fcrdns_check off", "allowgroup +one ^one$", "allowgroup +two ^two$"]
LINES = st.one_of(
    st.builds("allow remotehost {}".format, PATTERNS),
    st.builds("allowgroup +one {}".format, PATTERNS),
    st.builds("allowgroup +two {}".format, PATTERNS),
    st.builds("deliver {}rcpt_to {} {}".format, GROUPS, ADDRESSES, st.sampled_from(PLACES)),
    st.builds("deliver {}rcpt_to {} {}".format, GROUPS, ADDRESSES, st.sampled_from(PLACES)),
    st.builds("error rcpt_to {} {}".format, st.sampled_from(["^a@", "mydomain", ".", "^b@"]), REPLIES),
    st.sampled_from(["deadletter_file {dir}/dead", "deadletter_file /dev/null", "deadletter_file {dir}/missing/dead"]),
    st.builds("limit.fcrdns_check on {}".format, REPLIES),
    st.builds("limit.smtp_ascii {}".format, st.sampled_from(["on", "off"])),
    st.builds("limit.smtp_commands {} {}".format, st.integers(2, 6), REPLIES),
    st.builds("limit.smtp_failcmds {} {}".format, st.integers(0, 1), REPLIES),
    st.builds("limit.smtp_rcpt_to {} {}".format, st.integers(0, 1), REPLIES),
)
CLIENTS = st.sampled_from(["192.0.2.7", "127.0.0.1", "2001:db8::7", "::1", "::ffff:192.0.2.7"])
LOOKUPS = st.builds(
    lambda name, temporary: Lookup(name, temporary and name is None, ()),
    st.sampled_from([None, "mail.example", "google.example.net", "a" * 40 + "!"]),
    st.booleans(),
)
SENDERS = st.sampled_from(["<>", "", "me@client", "<me@client>", "two words", "jürgen@client", "a" * 600])
RECIPIENTS = st.one_of(
    ADDRESSES,
    st.sampled_from(["<a@mydomain.com>", "<@x,@y:a@mydomain.com>", "Postmaster", "<>", "a@b c", '"a"@mydomain.com']),
    st.text(max_size=10).filter(lambda text: not set(text) & set("\r\n")),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(LINES, max_size=12), CLIENTS, LOOKUPS, SENDERS, RECIPIENTS)
def test_any_configuration(lines: list[str], address: str, lookup: Lookup, sender: str, recipient: str) -> None:
    """The replies of a walk, from the greeting to the end of the mail data, are those of a session."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "file").touch()
        path = Path(folder, "mailrecv.conf")
        path.write_text("\n".join([*BEGINNING, *lines]).replace("{dir}", folder), encoding="utf-8")
        compare(path, lambda: Client(address, resolve=lambda _: lookup), sender, recipient)


@pytest.mark.parametrize("place", PLACES)
def test_each_place(place: str, tmp_path: Path) -> None:
    """Whether mail can go there is told as the session finds it."""
    (tmp_path / "file").touch()
    path = tmp_path / "mailrecv.conf"
    path.write_text(f"deliver rcpt_to a@b {place}".replace("{dir}", str(tmp_path)), encoding="utf-8")
    way = compare(path, lambda: Client("127.0.0.1"), "<>", "a@b")
    assert way.fate in ("delivered", "discarded", "deferred")


@pytest.mark.parametrize("dialogue", all_dialogues(), ids=str)
def test_the_dialogues(dialogue: Dialogue, tmp_path: Path) -> None:
    """With the configuration of each dialogue, each recipient in it is answered by a walk as by a session."""
    path = tmp_path / "mailrecv.conf"
    path.write_text(dialogue.config_for(tmp_path), encoding="utf-8")
    sent = b"".join(step.octets for step in dialogue.steps if isinstance(step, Sent))
    recipients = {line[8:] for line in sent.splitlines() if line[:8].upper() == b"RCPT TO:"} or {b"<me@mydomain.com>"}
    for recipient in recipients:
        who = recipient.decode("utf-8", "surrogateescape").strip(" ")
        compare(path, lambda: Client("127.0.0.1", name="localhost"), "<you@client.example>", who)
