"""Mail for the postmaster."""

from __future__ import annotations

import os

import pytest

from mailrecv.diagnosis.postmaster import advise
from tests.support.advice import advice

DOMAIN = "domain MyDomain.com"
DELIVER = "deliver rcpt_to status@mydomain.com append /srv/status"
EVERYBODY = "error rcpt_to . 550 No"
NEAR = "allowgroup +near ^a$"
FOR_NEAR = "deliver allowgroup +near rcpt_to postmaster@mydomain.com append /x"


@pytest.mark.parametrize(
    "lines",
    [
        [DOMAIN, DELIVER, EVERYBODY],
        [DOMAIN, DELIVER],
        [DELIVER, EVERYBODY],
        [DOMAIN, DELIVER, f"deadletter_file {os.devnull}"],
        [DOMAIN, DELIVER, "error rcpt_to ^[^x] 550 No"],
        [DOMAIN, DELIVER, "error rcpt_to ^[a-z]+@ 550 No"],
        [DOMAIN, DELIVER, "error rcpt_to ^[^k] 550 No"],
        [DOMAIN, DELIVER, EVERYBODY, "deadletter_file /srv/dead"],
        [DOMAIN, DELIVER, "deliver rcpt_to postmaster append /srv/postmaster"],
    ],
)
def test_no_line_for_the_postmaster(lines: list[str]) -> None:
    """A file that takes mail, but none for the postmaster, is told so as a whole, with the line to write."""
    [(line, _, text, instead)] = advice(advise, *lines)
    assert line == 0
    assert text == "nobody gets the mail for postmaster@mydomain.com, which every server has to take (RFC 5321)"
    assert instead == "write: deliver rcpt_to postmaster@mydomain.com append PATH"


@pytest.mark.parametrize(
    "lines",
    [
        [DOMAIN, DELIVER, "deliver rcpt_to PostMaster@mydomain.com pipe cat", EVERYBODY],
        [DOMAIN, DELIVER, NEAR, FOR_NEAR, "deliver rcpt_to postmaster@mydomain.com append /y", EVERYBODY],
        [DOMAIN, DELIVER, NEAR, FOR_NEAR, "allow remotehost ^a$", EVERYBODY],
        [DOMAIN, DELIVER, "deadletter_file /srv/dead"],
        [DOMAIN, DELIVER, "error rcpt_to ^postmaster@ 551 Please write to webmaster instead.", EVERYBODY],
    ],
)
def test_a_line_for_the_postmaster(lines: list[str]) -> None:
    """Nothing is said where the mail is taken or kept, or where a line that is about nobody else refuses it."""
    assert advice(advise, *lines) == []


def test_a_postmaster_for_some() -> None:
    """Where every host may connect, a postmaster for the clients of a group alone is not enough."""
    [(line, column, text, instead)] = advice(advise, DOMAIN, DELIVER, NEAR, FOR_NEAR, EVERYBODY)
    assert (line, column) == (4, 9)
    assert text.startswith("only these clients can write to postmaster@mydomain.com, ")
    assert instead == "write below it: deliver rcpt_to postmaster@mydomain.com append PATH"


@pytest.mark.parametrize("lines", [[], [DOMAIN, EVERYBODY], [DOMAIN, "deadletter_file /srv/dead", EVERYBODY]])
def test_no_mail_is_taken(lines: list[str]) -> None:
    """A server that takes no mail needs no postmaster."""
    assert advice(advise, *lines) == []


def test_several_domains() -> None:
    """Each domain that mail is taken for has a postmaster, and so has the server's own."""
    elsewhere = [DELIVER.replace("mydomain.com", domain) for domain in ("B.example", "a.example", "c.example")]
    [(_, _, text, instead)] = advice(
        advise, DOMAIN, *elsewhere, "deliver rcpt_to postmaster@c.example append /x", EVERYBODY
    )
    addresses = ["postmaster@mydomain.com", "postmaster@a.example", "postmaster@b.example"]
    assert f"mail for {' and '.join(addresses)}, which" in text
    assert instead == "\n    ".join(f"write: deliver rcpt_to {address} append PATH" for address in addresses)


def test_no_domain_is_known() -> None:
    """Where no line names a domain, the line to write leaves it open."""
    [(_, _, _, instead)] = advice(advise, "deliver rcpt_to status append /srv/status")
    assert instead == "write: deliver rcpt_to postmaster@DOMAIN append PATH"
