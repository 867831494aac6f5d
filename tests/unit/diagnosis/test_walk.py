"""The way of a message, and how it is told to a person and to a script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailrecv.client import Client, Lookup
from mailrecv.config.reader import parse_config, split_lines
from mailrecv.diagnosis.advice import Source
from mailrecv.diagnosis.record import record
from mailrecv.diagnosis.service import find_service
from mailrecv.diagnosis.told import in_colour, told
from mailrecv.diagnosis.walk import Walk, walk
from tests.support.configs import client, unasked_client
from tests.support.whole_session import DOMAIN, myself

CONFIG = r"""
allowgroup +partner ^mail\.partner\.example$
deliver allowgroup +partner rcpt_to list@mydomain.com maildir {}/list
deliver rcpt_to status@mydomain.com append {}/mbox
deliver rcpt_to lost@mydomain.com append /dev/null
deliver rcpt_to late@mydomain.com append {}/missing/mbox
deliver rcpt_to script@mydomain.com pipe cat >/dev/null
error rcpt_to ^sales@ 550 Please use our web form.
"""
PARTNER = "mail.partner.example"


class Walked:
    """A walk through a configuration.  text, json: as it is told."""

    def __init__(self, folder: Path, who: Client, recipient: str, config: str = CONFIG, **options: Any) -> None:
        path = folder / "mailrecv.conf"
        path.write_text(config.replace("{}", str(folder)), encoding="utf-8")
        octets = path.read_bytes()
        read, source = parse_config(octets, str(path)), Source(str(path), split_lines(octets))
        service = options.pop("service", myself())
        names = {"sender": "<>", "recipient": recipient, **options}
        self.walk: Walk = walk(read, source, DOMAIN, who, service, **names)
        self.text = "\n".join(told(self.walk, read, source)).replace(str(folder), "{}")
        self.coloured = "\n".join(told(self.walk, read, source, in_colour))
        self.json = json.loads(json.dumps(record(self.walk, source)).replace(str(folder), "{}"))


def test_a_message_that_arrives(tmp_path: Path) -> None:
    """The whole conversation, the line that decides, the place, and who would write there."""
    walked = Walked(tmp_path, client(name="mail.example"), "status@mydomain.com")
    assert (
        walked.text
        == """\
Connection from 192.0.2.7
S: 220 mydomain.com SMTP (RFC 822) mailrecv
C: HELO mail.example
S: 250 mydomain.com Hello mail.example [192.0.2.7]
C: MAIL FROM:<>
S: 250 OK
C: RCPT TO:<status@mydomain.com>
       {}/mailrecv.conf:4: deliver rcpt_to status@mydomain.com append {}/mbox
           takes the mail
S: 250 OK
C: DATA
S: 354 Start mail input; end with <CRLF>.<CRLF>
C: (the message, with a dot at its end)
S: 250 OK ID

Result: the mail is delivered
       append {}/mbox
       the user me (as a test says) can write there"""
    )
    assert not (tmp_path / "mbox").exists()


def test_a_client_that_is_not_in_the_group(tmp_path: Path) -> None:
    """Each pattern that was tried is shown with what it was tried on, then the line that refuses."""
    walked = Walked(tmp_path, client(name="mail.example"), "list@mydomain.com")
    assert (
        walked.text.partition("C: RCPT ")[2]
        == """\
TO:<list@mydomain.com>
       {}/mailrecv.conf:2: allowgroup +partner ^mail\\.partner\\.example$
           192.0.2.7: no match
           mail.example: no match
       {}/mailrecv.conf:3: deliver allowgroup +partner rcpt_to list@mydomain.com maildir {}/list
           is for this recipient, but no group here admits the client
S: 550 Your host is not allowed to send to this address

Result: the mail is refused; the sender gives up and tells its author"""
    )


def test_the_record(tmp_path: Path) -> None:
    """The same for scripts: these keys, and what is not there is null."""
    assert Walked(tmp_path, client(name=PARTNER), "list@mydomain.com").json == {
        "config": "{}/mailrecv.conf",
        "config_problem": None,
        "client": {"address": "192.0.2.7", "name": PARTNER, "name_from": "dns"},
        "recipient": "list@mydomain.com",
        "steps": [
            step(None, 220, "mydomain.com SMTP (RFC 822) mailrecv"),
            step(f"HELO {PARTNER}", 250, f"mydomain.com Hello {PARTNER} [192.0.2.7]"),
            step("MAIL FROM:<>", 250, "OK"),
            step(
                "RCPT TO:<list@mydomain.com>",
                250,
                "OK",
                line=3,
                directive="deliver allowgroup +partner rcpt_to list@mydomain.com maildir {}/list",
                tests=[
                    {
                        "line": 2,
                        "directive": r"allowgroup +partner ^mail\.partner\.example$",
                        "pattern": r"^mail\.partner\.example$",
                        "subject": subject,
                        "verdict": verdict,
                    }
                    for subject, verdict in (("192.0.2.7", "no"), (PARTNER, "yes"))
                ],
            ),
            step("DATA", 354, "Start mail input; end with <CRLF>.<CRLF>"),
        ],
        "place": {
            "method": "maildir",
            "target": "{}/list",
            "user": "me",
            "user_from": "as a test says",
            "writable": True,
            "reason": None,
            "keeps": True,
        },
        "end": {"code": 250, "text": "OK ID"},
        "fate": "delivered",
    }


def step(command: str | None, code: int, text: str, **more: object) -> dict[str, object]:
    """Return the record of a step."""
    nothing: dict[str, object] = {"line": None, "directive": None, "limit": None, "tests": [], "dns": []}
    return {"command": command, "reply": {"code": code, "text": text}, **nothing, **more}


@pytest.mark.parametrize(
    "recipient, fate, said",
    [
        ("status@mydomain.com", "delivered", "can write there"),
        ("script@mydomain.com", "delivered", "can run it; that was not tried"),
        ("lost@mydomain.com", "discarded", "nothing is kept there"),
        ("late@mydomain.com", "deferred", "cannot write it: {}/missing: No such file or directory\n"),
        ("late@mydomain.com", "deferred", "install -d -o me -m 750 {}/missing"),
        ("sales@mydomain.com", "refused", "           sales@mydomain.com: matches\n           refuses\n"),
        ("me@mydomain.com", "refused", "       no line speaks of this recipient\nS: 550 No such recipient"),
        ("me@my domain", "refused", "S: 501 Not an address, expected RCPT TO:<address>\n"),
    ],
)
def test_fates(tmp_path: Path, recipient: str, fate: str, said: str) -> None:
    """Whatever becomes of the mail, and why."""
    walked = Walked(tmp_path, client(name="mail.example"), recipient)
    assert walked.walk.fate == walked.json["fate"] == fate
    assert said in walked.text


def test_dead_letters(tmp_path: Path) -> None:
    """Mail that no line speaks of goes to the dead letter file, and the line that says so is shown."""
    walked = Walked(tmp_path, client(name="x"), "a@b", "deadletter_file {}/dead")
    assert "{}/mailrecv.conf:1: deadletter_file {}/dead\n" in walked.text
    assert "takes the mail, since no other line speaks of this recipient" in walked.text


# Who the client is


def test_dns_is_shown_where_it_is_asked(tmp_path: Path) -> None:
    """The steps of the forward confirmation stand where the name comes to matter: here, for the recipient's group."""
    steps = ("192.0.2.7 is named mail.example, which is 192.0.2.8",)
    who = Client("192.0.2.7", resolve=lambda _: Lookup(None, temporary=False, steps=steps))
    walked = Walked(tmp_path, who, "list@mydomain.com", f"limit.fcrdns_check off{CONFIG}")
    assert (
        "Connection from 192.0.2.7\n       its name is not asked for: nothing depends on it yet\nS: 220" in walked.text
    )
    assert (
        "C: RCPT TO:<list@mydomain.com>\n       DNS: 192.0.2.7 is named mail.example, which is 192.0.2.8\n"
        in walked.text
    )
    assert [step["dns"] for step in walked.json["steps"]] == [[], [], [], list(steps)]


def test_a_name_that_is_never_asked_for(tmp_path: Path) -> None:
    """Where nothing depends on the name, DNS is not asked, and HELO is answered without it, as in a session."""
    walked = Walked(tmp_path, client("127.0.0.1", "x"), "status@mydomain.com")
    assert "its name is not asked for: nothing depends on it\n" in walked.text
    assert "S: 250 mydomain.com Hello unknown [127.0.0.1]" in walked.text
    assert walked.json["client"] == {"address": "127.0.0.1", "name": None, "name_from": None}


@pytest.mark.parametrize(
    "name, said", [("x.example", "its name is x.example, as given"), (None, "it has no confirmed")]
)
def test_a_name_that_is_given(tmp_path: Path, name: str | None, said: str) -> None:
    """A name from the command line is taken as confirmed, and it is said whose word that is."""
    walked = Walked(tmp_path, client(name=name), "status@mydomain.com", name_given=True)
    assert said in walked.text
    assert walked.json["client"] == {"address": "192.0.2.7", "name": name, "name_from": "given"}


def test_a_client_that_may_not_connect(tmp_path: Path) -> None:
    """A client that no `allow` line matches gets no further; all that was tried is shown."""
    walked = Walked(tmp_path, client("2001:db8::7", "a"), "status@mydomain.com", f"allow remotehost ^b{CONFIG}")
    assert (
        walked.text
        == """\
Connection from 2001:db8::7
       {}/mailrecv.conf:1: allow remotehost ^b
           2001:db8::7: no match
           2001:0db8:0000:0000:0000:0000:0000:0007: no match
           a: no match
       no `allow remotehost` line matches
S: 554 This server takes no mail from your host

Result: the mail is refused; the sender gives up and tells its author"""
    )


def test_a_client_that_may_connect(tmp_path: Path) -> None:
    """The `allow` line that matches is shown."""
    walked = Walked(tmp_path, client(name="b"), "status@mydomain.com", f"allow remotehost ^b{CONFIG}")
    assert (
        "1: allow remotehost ^b\n           192.0.2.7: no match\n           b: matches\n           may connect\nS: 220 "
        in walked.text
    )


def test_addresses_that_decide_alone(tmp_path: Path) -> None:
    """Where the address decides who may connect, the name is not asked for, and that is said."""
    lines = "limit.fcrdns_check off\nallow remotehost 192.0.2.0/24\nallow remotehost [2001:db8::7]"
    who = unasked_client("198.51.100.7")
    assert (
        Walked(tmp_path, who, "status@mydomain.com", lines + CONFIG).text
        == """\
Connection from 198.51.100.7
       its name is not asked for: nothing depends on it
       {}/mailrecv.conf:2: allow remotehost 192.0.2.0/24
           198.51.100.7: no match
       {}/mailrecv.conf:3: allow remotehost [2001:db8::7]
           198.51.100.7: no match
       no `allow remotehost` line matches
S: 554 This server takes no mail from your host

Result: the mail is refused; the sender gives up and tells its author"""
    )
    admitted = Walked(tmp_path, unasked_client(), "status@mydomain.com", lines + CONFIG)
    assert "nothing depends on it\n       {}/mailrecv.conf:2: allow remotehost 192.0.2.0/24\n" in admitted.text


def test_a_list_whose_names_dns_cannot_tell(tmp_path: Path) -> None:
    """Why the refusal is one for now."""
    lines = "limit.fcrdns_check off\nallow remotehost ^b" + CONFIG
    walked = Walked(tmp_path, client(temporary=True), "status@mydomain.com", lines)
    assert "no match\n       a line might match the client's name, which DNS cannot tell now\nS: 421 " in walked.text


# Limits


@pytest.mark.parametrize(
    "line, said",
    [
        (
            "limit.fcrdns_check on 450 Later",
            "1: limit.fcrdns_check on 450 Later\n           turns away clients without",
        ),
        ("", "       limit.fcrdns_check, on by default, turns away clients without a name that DNS confirms\nS: 421 "),
    ],
)
def test_a_client_without_a_name(tmp_path: Path, line: str, said: str) -> None:
    """A limit that refuses is shown with its line, or as the default that it is."""
    walked = Walked(tmp_path, client(), "status@mydomain.com", line + CONFIG)
    assert said in walked.text
    assert walked.walk.fate == "deferred"
    assert walked.json["steps"][0]["limit"] == "fcrdns_check"


def test_a_limit_on_commands(tmp_path: Path) -> None:
    """A limit that four commands exceed refuses here too."""
    walked = Walked(tmp_path, client(name="x"), "status@mydomain.com", f"limit.smtp_commands 3{CONFIG}")
    assert "C: DATA\n       {}/mailrecv.conf:1: limit.smtp_commands 3\n           is exceeded\nS: 421 " in walked.text
    assert walked.json["end"] is None


def test_dns_that_takes_too_long(tmp_path: Path) -> None:
    """When DNS takes longer than a client has to begin, or than a connection, the session ends, and it is said why."""

    def ask(address: str) -> Lookup:
        raise TimeoutError

    walked = Walked(tmp_path, Client("192.0.2.7", resolve=ask), "status@mydomain.com")
    no_answer = "DNS: no answer about 192.0.2.7 in time\n       "
    assert f"{no_answer}limit.start_secs, 60 by default, is exceeded by DNS" in walked.text
    assert walked.walk.steps[0].reply.code == 421
    limits = f"limit.start_secs 9{CONFIG}\nlimit.connection_secs 8"
    walked = Walked(tmp_path, Client("192.0.2.7", resolve=ask), "status@mydomain.com", limits)
    assert f"{no_answer}{{}}/mailrecv.conf:" in walked.text
    assert "limit.connection_secs 8\n           is exceeded by DNS" in walked.text


# The service


@pytest.mark.needs_root
def test_a_configuration_that_the_service_cannot_read(tmp_path: Path) -> None:
    """What only root can read turns everybody away, and that is all there is to tell."""
    (tmp_path / "mailrecv.conf").touch(mode=0o600)
    walked = Walked(tmp_path, client(), "status@mydomain.com", service=find_service("daemon"))
    assert (
        "the service cannot use {}/mailrecv.conf: it cannot be read: Permission denied for the user daemon"
        in walked.text
    )
    assert walked.walk.fate == "deferred"
    assert walked.json["config_problem"].startswith("cannot be read: ")


def test_a_service_that_cannot_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root hears what the server says, and that the place could not be tried."""
    other = myself().replace(uid=4242)
    monkeypatch.setattr("os.geteuid", lambda: 4243)
    walked = Walked(
        tmp_path,
        client(name="x"),
        "status@mydomain.com",
        "deliver rcpt_to status@mydomain.com append {}/m",
        service=other,
    )
    assert walked.walk.fate == "unknown"
    assert "not tried: only root can try what the user me may do" in walked.text
    assert walked.json["place"]["writable"] is None


# What is shown


def test_colours(tmp_path: Path) -> None:
    """At a terminal a yes is green and a no is red."""
    walked = Walked(tmp_path, client(name="x"), "me@mydomain.com")
    assert "S: \33[32m250 OK\33[0m" in walked.coloured
    assert "S: \33[31m550 No such recipient\33[0m" in walked.coloured


def test_what_dns_says_cannot_touch_the_terminal(tmp_path: Path) -> None:
    """Control characters, be they from DNS or from the command line, are shown as escapes."""
    steps = ("192.0.2.7 has a name that is no host name: \33[2J",)
    who = Client("192.0.2.7", resolve=lambda _: Lookup(None, temporary=False, steps=steps))
    assert "no host name: \\x1b[2J" in Walked(tmp_path, who, "a@b").text
    assert "<a\\x1b@b>" in Walked(tmp_path, client(name="x"), "a\33@b").text
