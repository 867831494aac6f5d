"""Who the client is: IPv4, IPv6 and the one mapped into the other, names from /etc/hosts and from a DNS server."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.system.machine import RESOLV_CONF
from tests.system.mailhost import MailHost

# The clients, each an address of the machine's own.
MAIL, MAIL6, LIAR, NAMELESS = "192.0.2.9", "2001:db8::9", "192.0.2.66", "192.0.2.7"
NAME = "mail.example.org"
# Whoever owns the liar's address says that it has the name of the mail server; the owner of that name does not say so.
RECORDS = (f"--host-record={NAME},{MAIL},{MAIL6}", f"--ptr-record=66.2.0.192.in-addr.arpa,{NAME}")
TRUSTING = (
    rf"allow remotehost ^{NAME}$",
    r"allow remotehost ^127\.0\.0\.3$",
    rf"allowgroup +mail ^{NAME}$",
    "deliver allowgroup +mail rcpt_to trusted@mydomain.com append {folder}/mbox",
)


@pytest.fixture
def server(server: MailHost) -> Generator[MailHost, None, None]:
    """The machine with the clients' addresses, without any names, and with a DNS server that does not answer."""
    server.write("/etc/resolv.conf", RESOLV_CONF)
    server.write("/etc/hosts", "127.0.0.1 localhost\n")
    with server.addresses(MAIL, MAIL6, LIAR, NAMELESS):
        yield server


@pytest.fixture
def dns(server: MailHost) -> Generator[MailHost, None, None]:
    """The machine with a DNS server."""
    with server.dns(*RECORDS):
        yield server


def greeting(server: MailHost, source: str) -> str:
    """Return how the server greets the client at this address, and leave."""
    with server.connect("::1" if ":" in source else "127.0.0.1", source=source) as client:
        reply = client.reply()
        client.send(b"QUIT\r\n")
        client.rest()
    return reply


def names(server: MailHost) -> list[str]:
    """Return the clients' names in the log."""
    return [entry["MAILRECV_CLIENT_NAME"] for entry in server.log("MAILRECV_EVENT=connection")]


@pytest.mark.parametrize(
    "host, source, shown",
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("::1", "", "::1"),
        ("::ffff:127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", NAMELESS, NAMELESS),
        ("::1", MAIL6, MAIL6),
    ],
)
def test_address(server: MailHost, host: str, source: str, shown: str) -> None:
    """IPv4 and IPv6 clients are known by their addresses, an IPv4 client in IPv6 form by its IPv4 address."""
    server.configure("limit.fcrdns_check off")
    with server.connect(host, source=source) as client:
        client.reply()
        assert client.ask("HELO me") == f"250 mydomain.com Hello unknown [{shown}]"
        client.ask("QUIT")
        client.rest()
    (connection,) = server.log("MAILRECV_EVENT=connection")
    assert connection["MAILRECV_CLIENT_ADDRESS"] == shown


def test_name_in_etc_hosts(server: MailHost) -> None:
    """A name that stands in /etc/hosts counts."""
    server.write("/etc/hosts", f"{MAIL} {NAME}\n")
    server.configure(*TRUSTING)
    assert greeting(server, MAIL)[:3] == "220"
    assert names(server) == [NAME]


@pytest.mark.parametrize("source", [MAIL, MAIL6])
def test_name_in_dns(dns: MailHost, source: str) -> None:
    """A name that DNS confirms counts: it opens the door, and the way to an address that only its group may use."""
    dns.configure(*TRUSTING)
    with dns.connect("::1" if ":" in source else "127.0.0.1", source=source) as client:
        client.envelope("trusted")
        assert client.ask("Hello\r\n.")[:3] == "250"
        client.ask("QUIT")
        client.rest()
    assert dns.mail.appended == [b"Hello\n"]
    assert f" ({NAME} [{source}]) by " in (dns.mail.folder / "mbox").read_text()
    assert names(dns) == [NAME]


def test_false_name_in_dns(dns: MailHost) -> None:
    """A name that does not lead back to the address is none: its owner is turned away, and matches no pattern."""
    dns.configure(*TRUSTING)
    assert greeting(dns, LIAR)[:3] == "421"
    dns.configure(*TRUSTING, "limit.fcrdns_check off", rf"allow remotehost ^{LIAR}$")
    with dns.connect(source=LIAR) as client:
        client.reply()
        client.ask("HELO me")
        client.ask("MAIL FROM:<me@client>")
        assert client.ask("RCPT TO:<trusted@mydomain.com>")[:3] == "550"
    assert names(dns) == ["unknown", "unknown"]


def test_no_name_in_dns(dns: MailHost) -> None:
    """A client without a name is told to come again, unless the configuration needs no name; loopback needs none."""
    assert greeting(dns, NAMELESS)[:3] == "421"
    assert greeting(dns, "127.0.0.3")[:3] == "220"
    dns.configure("limit.fcrdns_check off")
    assert greeting(dns, NAMELESS)[:3] == "220"


def test_dns_out_of_order(server: MailHost) -> None:
    """While no DNS server answers, clients are told to come again: their names may be good."""
    server.configure(*TRUSTING)
    assert greeting(server, MAIL)[:3] == "421"
    assert greeting(server, "127.0.0.3")[:3] == "220"
