"""Names: what a client's reverse DNS says about it is believed only when its forward DNS says the same.

A real name server answers, in a network of its own, and somebody who stands before it delays, drops or forges.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, nullcontext
from ipaddress import ip_address
from pathlib import Path

import pytest

from mailrecv.client import MAX_NAMES
from mailrecv.journal.catalogue import MAX_OF_A_KIND
from tests.clients.servers import Site, Starter, Wire, with_resolver
from tests.support.network import CLIENT_LINK_LOCAL, DNS, Network, Relay

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_tool("dnsmasq", "ip", "ss", "unshare")]

Serve = Callable[..., Site]
Lie = Callable[[bytes], Sequence[bytes]]

TRUSTED = "mail.google.com"
CONFIG = (
    "debug srh+",
    "allowgroup +google ^mail\\.google\\.com$",
    "allowgroup +example \\.example$",
    "deliver allowgroup +google rcpt_to archive@mydomain.com append {folder}/archive",
    "deliver allowgroup +example rcpt_to partner@mydomain.com append {folder}/partner",
)
NO_NAME = "421 Your address has no confirmed host name, try again later"
NAMED = re.compile(r"SMTP connection from remote host (\S+) \[(\S+)\]")
MANY = [f"{letter}.com" for letter in "abcdefghijklmnopqrstu"]


OWN_DOMAIN = "inside.example"  # in the server's search list, and in which anybody may name a host


def pointer(address: str, name: str) -> str:
    """Return a record that only says what an address is named."""
    return f"ptr-record={ip_address(address).reverse_pointer},{name}"


RECORDS = [
    "local=/arpa/",  # no such record, for all that is not here
    "local=/com/",
    "local=/example/",
    "local=/mail/",
    f"host-record={TRUSTED},198.51.100.1,2001:db8::9",
    "host-record=mail.example,198.51.100.7,2001:db8::7",
    pointer("198.51.100.66", TRUSTED),
    pointer("2001:db8::8", TRUSTED),
    pointer("198.51.100.67", f"{TRUSTED}.evil.example"),
    pointer("198.51.100.68", "nowhere.example"),
    pointer("198.51.100.69", "198.51.100.69"),
    pointer("198.51.100.70", "chain.example"),
    "cname=chain.example," + ",".join(f"link{number}.example" for number in range(8)),
    "cname=link7.example,chained.example",
    "host-record=chained.example,198.51.100.70",
    pointer("198.51.100.71", "to-google.example"),
    f"cname=to-google.example,{TRUSTED}",
    *(pointer("198.51.100.20", name) for name in MANY),
    f"address=/{MANY[10]}/198.51.100.20",
    # Names that are none before a domain of the server's own is put behind them
    pointer("198.51.100.80", "zzz.partner.example"),
    f"host-record=zzz.partner.example.{OWN_DOMAIN},198.51.100.80",
    pointer("198.51.100.81", "mail"),
    f"host-record=mail.{OWN_DOMAIN},198.51.100.81",
    pointer("2001:db8::8", "partner.example"),
    f"host-record=partner.example.{OWN_DOMAIN},2001:db8::8",
]
# Who is named what, and has that name.
CLIENTS = {
    "198.51.100.1": TRUSTED,
    "2001:db8::9": TRUSTED,
    "198.51.100.7": "mail.example",
    "2001:db8::7": "mail.example",
    "198.51.100.70": "chain.example",  # its name leads back to it by nine others
}
# Who is named what, and has no name.
PRETENDERS = [
    "198.51.100.66",  # claims the trusted name, which is somebody else's
    "2001:db8::8",
    "198.51.100.67",  # a name that only begins with the trusted one
    "198.51.100.68",  # a name that does not exist
    "198.51.100.69",  # its own address for a name
    "198.51.100.71",  # a name of its own that leads to the trusted one
    "198.51.100.20",  # many names, of which the eleventh from either end is its own
    "198.51.100.99",  # none at all
]


@pytest.fixture(scope="module")
def name_server(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Generator[None, None, None]:
    """The name server."""
    with network.name_server(tmp_path_factory.mktemp("dns"), RECORDS):
        yield


@pytest.fixture
def serve(start: Starter, network: Network, name_server: None, tmp_path: Path) -> Serve:
    """What runs a server for the network's clients.

    directives: besides CONFIG.  timeout: of its resolver.  names: other things that this goes by.
    """

    def serve(*directives: str, timeout: int = 5, **names: str) -> Site:
        site = start.site(*CONFIG, *directives)
        program = network.at_server(*with_resolver(tmp_path, DNS, f"timeout:{timeout} attempts:1", **names))
        start.process([*program, "listen", "-c", str(site.config), "[::]:25"], site)
        site.wait_for_log("listening on")
        return site

    return serve


def codes_for_groups(network: Network, address: str) -> list[str]:
    """Return the reply codes that a client gets for the recipients that only one group or the other may send to."""
    with Wire(network.dial(address)) as client:
        assert client.reply()[:3] == "220"
        client.ask(f"HELO {TRUSTED}")
        client.ask("MAIL FROM:<>")
        return [client.ask(f"RCPT TO:<{to}@mydomain.com>")[:3] for to in ("archive", "partner")]


# What the name server says


@pytest.mark.attacks(len(PRETENDERS))
def test_only_confirmed_names_get_in(network: Network, serve: Serve) -> None:
    """A client whose name does not lead back to its address is turned away, whatever name it claims."""
    site = serve()
    greetings = {}
    with Relay(network):
        for address in [*CLIENTS, *PRETENDERS]:
            with Wire(network.dial(address)) as client:
                greetings[address] = client.reply()
    assert {address for address, greeting in greetings.items() if greeting.startswith("220 ")} == set(CLIENTS)
    assert {greetings[address] for address in PRETENDERS} == {NO_NAME}
    logged = {address: name for name, address in NAMED.findall(site.log)}
    assert logged.items() <= {**CLIENTS, **dict.fromkeys(PRETENDERS, "unknown")}.items()
    assert len(logged) >= MAX_OF_A_KIND  # of more strangers, one process may only count some


@pytest.mark.attacks(len(PRETENDERS))
def test_only_confirmed_names_belong_to_groups(network: Network, serve: Serve) -> None:
    """Where anybody may connect, a group of names still has only those that are confirmed."""
    serve("limit.fcrdns_check off")
    with Relay(network):
        assert codes_for_groups(network, "198.51.100.1") == ["250", "550"]
        assert codes_for_groups(network, "2001:db8::7") == ["550", "250"]
        for address in PRETENDERS:
            assert codes_for_groups(network, address) == ["550", "550"], address


@pytest.mark.attacks(3)
def test_the_search_list_makes_no_names(network: Network, serve: Serve) -> None:
    """A name that exists only with a domain of the search list behind it confirms nobody, with or without dots."""
    serve(search=f"{OWN_DOMAIN} example")
    with Relay(network):
        for address in ("198.51.100.80", "198.51.100.81", "2001:db8::8"):
            with Wire(network.dial(address)) as client:
                assert client.reply() == NO_NAME, address
        with Wire(network.dial("198.51.100.7")) as client:
            assert client.reply()[:3] == "220"


def test_the_file_of_hosts(network: Network, serve: Serve) -> None:
    """A name in the file of hosts counts, with or without dots; and DNS has no other address for it."""
    hosts = "198.51.100.90 ups\n198.51.100.91 Printer.Example.\tprinter # in the cellar\n198.51.100.92 mail.example\n"
    site = serve(search=OWN_DOMAIN, hosts=hosts)
    with Relay(network):
        greetings = {}
        for address in ("198.51.100.90", "198.51.100.91", "198.51.100.92", "198.51.100.7"):
            with Wire(network.dial(address)) as client:
                greetings[address] = client.reply()[:3]
    assert greetings == {**dict.fromkeys(greetings, "220"), "198.51.100.7": "421"}
    assert [name for name, _ in NAMED.findall(site.log)] == ["ups", "printer.example", "mail.example", "unknown"]


@pytest.mark.attacks(1)
def test_an_address_with_many_names(network: Network, serve: Serve) -> None:
    """An address with many names costs no more than the lookup of ten, for both kinds of addresses."""
    serve()
    with Relay(network) as relay, Wire(network.dial("198.51.100.20")) as client:
        assert client.reply() == NO_NAME
        assert relay.questions <= 1 + 2 * MAX_NAMES


# Name servers that do not answer in time


@pytest.mark.attacks(1)
def test_a_slow_name_server(network: Network, serve: Serve) -> None:
    """A client whose name takes its time is served when it has come, and holds up nobody in the meantime."""
    answer_now = threading.Event()

    def slow_for_one(answer: bytes) -> list[bytes]:
        if b"\x0270\x03100\x0251\x03198" in answer:
            answer_now.wait()
        return [answer]

    serve()
    with Relay(network, slow_for_one), ExitStack() as clients:
        clients.callback(answer_now.set)
        slow = clients.enter_context(Wire(network.dial("198.51.100.70")))
        with Wire(network.dial("198.51.100.7")) as other:
            assert other.reply()[:3] == "220"
        answer_now.set()
        assert slow.reply()[:3] == "220"


def server_failure(answer: bytes) -> list[bytes]:
    """Say that the name server has failed (RFC 1035 §4.1.1), and nothing else."""
    question = answer[12 : answer.index(b"\0", 12) + 5]
    return [answer[:3] + b"\x02" + b"\0\1\0\0\0\0\0\0" + question]


DEAD = pytest.mark.parametrize("lie", [None, lambda _: [], server_failure], ids=["nobody there", "silent", "failing"])


@DEAD
@pytest.mark.attacks(1)
def test_a_group_and_a_dead_name_server(network: Network, serve: Serve, lie: Lie | None) -> None:
    """When DNS cannot tell, nobody is in a group by a name, and nobody is turned away for good."""
    serve("limit.fcrdns_check off", "error rcpt_to . 550 No", timeout=1)
    with Relay(network, lie) if lie else nullcontext():
        assert codes_for_groups(network, "198.51.100.1") == ["450", "450"]


@DEAD
@pytest.mark.attacks(1)
def test_the_check_and_a_dead_name_server(network: Network, serve: Serve, lie: Lie | None) -> None:
    """A refusal for good, for want of a name, is one for now when DNS cannot tell."""
    serve("limit.fcrdns_check on 554 Go away", timeout=1)
    with Relay(network, lie) if lie else nullcontext(), Wire(network.dial("198.51.100.1")) as client:
        assert client.reply() == "421 Your host name cannot be looked up now, try again later"


@pytest.mark.attacks(1)
@pytest.mark.parametrize("check", ["on", "off"])
def test_a_list_of_addresses_needs_no_name_server(network: Network, serve: Serve, check: str) -> None:
    """Where addresses alone say who may connect, a stranger is refused for good, and no name server is asked."""
    serve(f"limit.fcrdns_check {check}", "allow remotehost 203.0.113.0/24", r"allow remotehost ^192\.0\.2\.")
    with Relay(network, lambda _: []) as relay:
        for address in ("198.51.100.1", "2001:db8::9"):
            with Wire(network.dial(address)) as client:
                assert client.reply() == "554 This server takes no mail from your host"
        assert relay.questions == 0


@pytest.mark.parametrize("zone, code", [("eth0", "220"), ("lo", "554")])
def test_a_link_has_its_own_addresses(network: Network, serve: Serve, zone: str, code: str) -> None:
    """A link-local client is known by its address and the interface that it is on."""
    site = serve("limit.fcrdns_check off", f"allow remotehost [fe80::7%{zone}]")
    with Wire(network.dial(CLIENT_LINK_LOCAL)) as client:
        assert client.reply()[:3] == code
        assert code == "554" or client.ask("HELO me").endswith(f" [{CLIENT_LINK_LOCAL}]")
    assert NAMED.findall(site.log) == [("unknown", CLIENT_LINK_LOCAL)]


# Name servers that lie

LIAR = b"\x10aaaaaaaaaaaaaaaa\x07example\0"  # the name that the lies are put into
TRUSTED_NAME = b"\x04mail\x06google\x03com\0"
FIRST_LIAR = 200  # the last number of the first liar's address


def named(name: bytes) -> Lie:
    """Return a lie that puts these octets into the name."""
    return lambda answer: [answer.replace(b"a" * 16, name.ljust(16, b"-"))]


def trusted_name(answer: bytes) -> list[bytes]:
    """Claim the trusted name, and say besides what nobody asked: that its address is the client's."""
    renamed = answer.replace(b"\0\x1a" + LIAR, b"\0\x11" + TRUSTED_NAME)
    forged = TRUSTED_NAME + b"\0\1\0\1\0\0\xff\xff\0\4" + bytes([198, 51, 100, liar(answer)])
    return [renamed[:10] + b"\0\1" + renamed[12:] + forged]


LIES: dict[str, Lie] = {
    "another id": lambda answer: [bytes([answer[0] ^ 1]) + answer[1:]],
    "another question": lambda answer: [answer.replace(b"\x03100\x0251", b"\x03101\x0251")],
    "nothing": lambda _: [b""],
    "noise": lambda _: [bytes(range(256)) * 8] * 20,
    "cut off": lambda answer: [answer[:-5]],
    "a name that contains itself": named(b"\xc0\x3c"),
    "a trusted name": trusted_name,
    "line ends": named(b"x\r\n250 OK\r\n\n"),
    "a NUL": named(b"mail.google.com\0"),
    "dots": named(b"mail.google.com."),
    "a log line": named(b"[9.9.9.9] ERROR:"),
    "a terminal's commands": named(b"\x1b]0;x\7\x1b[2J\x9b2J\x7f"),
    "a shell's commands": named(b"$(touch pwned);`"),
    "a format": named(b"%s%n{0}%(x)s"),
    "other octets": named(b"m\xe4il\xff\xc3\xa4"),
}


HONEST: dict[str, Lie] = {  # for a resolver that takes no offence
    "no lie": lambda answer: [answer],
    "more answers than there are": lambda answer: [answer[:6] + b"\xff\xff" + answer[8:]],
    "60,000 octets more": lambda answer: [answer + bytes(60_000)],
}


def liar(answer: bytes) -> int:
    """Return the last number of the address that an answer is about, 0 when it is about a name."""
    number = re.search(rb"\x03(2..)\x03100\x0251\x03198\x07in-addr", answer)
    return int(number[1]) if number else 0


@pytest.mark.attacks(len(LIES))
def test_lying_name_servers(network: Network, serve: Serve, tmp_path: Path) -> None:
    """Whatever an answer holds, nobody gets in by it, nothing breaks, and the log stays what it is."""
    lies = dict(enumerate((LIES | HONEST).values(), FIRST_LIAR))
    addresses = [f"198.51.100.{number}" for number in lies]
    records = [
        *(pointer(address, "a" * 16 + ".example") for address in addresses),
        *(f"address=/#/{address}" for address in addresses),  # the liars own every name
        f"address=/{TRUSTED}/198.51.100.1",  # but one
    ]

    def tell(answer: bytes) -> Sequence[bytes]:
        return lies[liar(answer)](answer) if liar(answer) else [answer]

    site = serve(timeout=1)
    with network.name_server(tmp_path, records, 5454), Relay(network, tell, 5454), ExitStack() as open_clients:
        clients = [open_clients.enter_context(Wire(network.dial(address))) for address in addresses]
        greetings = dict(zip(LIES | HONEST, [client.reply()[:3] for client in clients], strict=True))
    assert {name for name, code in greetings.items() if code == "220"} - set(HONEST) == set()
    assert greetings["no lie"] == "220"
    names = {name for name, _ in NAMED.findall(site.log)}  # of so many strangers, some are only counted
    assert names
    assert names <= {"unknown", "a" * 16 + ".example"}
    assert all(line.isascii() and line.isprintable() for line in site.log.splitlines())
    assert "internal error" not in site.log
    assert "[9.9.9.9]" not in site.log
