"""The client: its address, and the name that DNS confirms."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from mailrecv import client as client_module
from mailrecv.address import full_address, plain_address, usual_address
from mailrecv.client import MAX_NAMES, Client, Lookup, look_up, socket_address
from tests.support.configs import client, unasked_client

ADDRESS = "192.0.2.7"
HOST_NOT_FOUND, TRY_AGAIN, NO_RECOVERY, NO_DATA = 1, 2, 3, 4  # netdb.h


class Dns:
    """Stands in for the system's resolver.  asked: addresses, and names without the final dot of an absolute one."""

    def __init__(self, names: list[str] | Exception, addresses: Mapping[str, list[str] | Exception]) -> None:
        self.names = names
        self.addresses = addresses
        self.asked: list[str] = []

    def gethostbyaddr(self, address: str) -> tuple[str, list[str], list[str]]:
        self.asked.append(address)
        if isinstance(self.names, Exception):
            raise self.names
        return self.names[0], self.names[1:], [address]

    def getaddrinfo(self, name: str, port: None, **options: object) -> list[tuple[object, ...]]:
        assert name.endswith(".")
        name = name[:-1]
        self.asked.append(name)
        found = self.addresses.get(name, socket.gaierror(socket.EAI_NONAME, "Name or service not known"))
        if isinstance(found, Exception):
            raise found
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (address, 0, 0, 0)) for address in found]


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file of hosts, which is not there yet."""
    path = tmp_path / "hosts"
    monkeypatch.setattr(client_module, "HOSTS", str(path))
    return path


@pytest.fixture
def dns(monkeypatch: pytest.MonkeyPatch, hosts: Path) -> Dns:
    """A resolver that knows no name; a test gives it some."""
    dns = Dns(socket.herror(HOST_NOT_FOUND, "Unknown host"), {})
    monkeypatch.setattr(socket, "gethostbyaddr", dns.gethostbyaddr)
    monkeypatch.setattr(socket, "getaddrinfo", dns.getaddrinfo)
    return dns


@pytest.mark.parametrize(
    "address, plain",
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:192.0.2.7", "192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("::ffff:192.0.2.7%eth0", "192.0.2.7"),
        ("2001:db8::7%eth0", "2001:db8::7"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("febf::1%br-lan.5", "febf::1%br-lan.5"),
        ("fec0::1%eth0", "fec0::1"),
        ("::ffff:0:7", "::ffff:0:7"),
        ("::1", "::1"),
        ("::192.0.2.9", "::c000:209"),
        ("::0.1.0.0", "::1:0"),
    ],
)
def test_the_address_is_shown_plainly(address: str, plain: str) -> None:
    """IPv4 mapped into IPv6 is shown as IPv4, other IPv6 without dots; only link-local addresses have a zone."""
    assert Client(address).address == plain_address(address) == plain


@pytest.mark.parametrize(
    "text, address",
    [
        ("2001:DB8:0::7", "2001:db8::7"),
        ("FE80::0:1%eth0", "fe80::1%eth0"),
        ("::192.0.2.9", "::c000:209"),
        ("::ffff:c000:209", "192.0.2.9"),
        ("2001:db8::7%eth0", "2001:db8::7"),
    ],
)
def test_an_address_that_a_person_wrote(text: str, address: str) -> None:
    """However it is written, it is the address that the log shows."""
    assert usual_address(text) == address


@pytest.mark.parametrize(
    "text", ["192.0.2", "192.0.2.256", "010.0.0.1", "2001:db8", "fe80::1%", "fe80::1%e[h", "1%eth0"]
)
def test_no_address(text: str) -> None:
    """What is no address is told, and so is a zone that no interface can be."""
    with pytest.raises(ValueError, match=r"%|no IP address"):
        usual_address(text)


def test_the_zone_is_the_name_of_an_interface() -> None:
    """The kernel tells the zone of a link-local peer as a number; the client has the interface's name."""
    number = socket.if_nametoindex("lo")
    assert socket_address(("fe80::1", 25, 0, number)) == "fe80::1%lo"
    assert socket_address(("fe80::1", 25, 0, 0)) == "fe80::1"
    assert socket_address(("2001:db8::7", 25, 0, 0)) == "2001:db8::7"
    assert socket_address(("192.0.2.7", 25)) == "192.0.2.7"
    gone = 2**31 - 1
    assert socket_address(("fe80::1", 25, 0, gone)) == f"fe80::1%{gone}"


@pytest.mark.parametrize(
    "address, forms",
    [
        ("192.0.2.7", ("192.0.2.7",)),
        ("2001:db8::7", ("2001:db8::7", "2001:0db8:0000:0000:0000:0000:0000:0007")),
        ("::", ("::", "0000:0000:0000:0000:0000:0000:0000:0000")),
        ("fe80::1%eth0", ("fe80::1", "fe80:0000:0000:0000:0000:0000:0000:0001")),
        ("::192.0.2.9", ("::c000:209", "0000:0000:0000:0000:0000:0000:c000:0209")),
        ("2001:db81:1111:2222:3333:4444:5555:6666", ("2001:db81:1111:2222:3333:4444:5555:6666",)),
    ],
)
def test_the_forms_of_an_address(address: str, forms: tuple[str, ...]) -> None:
    """An IPv6 address has a short and a full form, which may be the same; an IPv4 address has one."""
    assert Client(address).address_forms == forms
    assert full_address(address) == forms[-1]


@pytest.mark.parametrize(
    "address, loopback",
    [
        ("127.0.0.1", True),
        ("127.255.0.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("128.0.0.1", False),
        ("::127.0.0.1", False),
        ("2001:db8::1", False),
    ],
)
def test_loopback(address: str, loopback: bool) -> None:
    """127.0.0.0/8 and ::1 are this machine."""
    assert Client(address).loopback is loopback


def test_a_name_is_confirmed_by_resolving_back(dns: Dns) -> None:
    """A reverse name that resolves back to the address is the client's name, in lower case, without the last dot."""
    dns.names, dns.addresses = ["Mail.Example."], {"Mail.Example": ["192.0.2.1", ADDRESS]}
    found = look_up(ADDRESS)
    assert (found.name, found.temporary) == ("mail.example", False)
    assert dns.asked == [ADDRESS, "Mail.Example"]


@pytest.mark.parametrize(
    "address, answer",
    [
        (ADDRESS, "::ffff:192.0.2.7"),
        ("2001:db8::7", "2001:db8::7"),
        ("fe80::7", "fe80::7%eth0"),
        ("fe80::7%eth0", "fe80::7"),
    ],
)
def test_addresses_are_compared_in_their_plain_form(dns: Dns, address: str, answer: str) -> None:
    """However the resolver writes the address, it is the same."""
    dns.names, dns.addresses = ["mail.example"], {"mail.example": [answer]}
    assert look_up(address).name == "mail.example"


def test_the_file_of_hosts_comes_first(dns: Dns, hosts: Path) -> None:
    """A name in the file of hosts has the addresses that stand there, and DNS is not asked for others."""
    text = f"# {ADDRESS} comment\nno-address mail\n192.0.2.1\tother MAIL # {ADDRESS}\n\n{ADDRESS} x y.example.\n"
    hosts.write_bytes(text.encode() + b"192.0.2.9 caf\xe9\n::ffff:192.0.2.7 z")
    for name, confirmed in [("mail", None), ("x", "x"), ("z", "z"), ("comment", "comment")]:
        dns.asked, dns.names, dns.addresses = [], [name], {name: [ADDRESS]}
        assert look_up(ADDRESS).name == confirmed
        assert (dns.asked == [ADDRESS]) is (name != "comment")


def test_a_name_that_resolves_elsewhere_is_no_name(dns: Dns) -> None:
    """Whoever owns the address may publish any name: one that does not resolve back is not the client's."""
    dns.names, dns.addresses = ["mail.google.com"], {"mail.google.com": ["192.0.2.70", "192.0.2.1"]}
    found = look_up(ADDRESS)
    assert (found.name, found.temporary) == (None, False)
    assert found.steps == ("192.0.2.7 is named mail.google.com, which is 192.0.2.1 192.0.2.70",)


def test_any_of_several_names_may_be_confirmed(dns: Dns) -> None:
    """Of several reverse names the first that resolves back is the client's."""
    dns.names = ["gone.example", "other.example", "good.example", "also.example"]
    dns.addresses = {"other.example": ["192.0.2.1"], "good.example": [ADDRESS], "also.example": [ADDRESS]}
    found = look_up(ADDRESS)
    assert (found.name, found.temporary) == ("good.example", False)
    assert dns.asked == [ADDRESS, "gone.example", "other.example", "good.example"]
    assert len(found.steps) == 3


def test_only_so_many_names_are_looked_up(dns: Dns) -> None:
    """An address with hundreds of names costs no more than ten lookups."""
    names = [f"host{number}.example" for number in range(500)]
    dns.names, dns.addresses = names, {names[-1]: [ADDRESS]}
    assert look_up(ADDRESS).name is None
    assert dns.asked == [ADDRESS, *names[:MAX_NAMES]]


@pytest.mark.parametrize(
    "name",
    [
        "mail.example\r\n250 OK",
        "mail example",
        "mail\0.example",
        "(mail).example",
        "jürgen.example",
        "\udcff.example",
        "-mail.example",
        "x" * 300,
        ".",
        "",
    ],
    ids=ascii,
)
def test_names_with_odd_octets_are_no_host_names(dns: Dns, name: str) -> None:
    """A reverse name that is no host name is never looked up, and the next one is."""
    dns.names, dns.addresses = [name, "good.example"], {name: [ADDRESS], "good.example": [ADDRESS]}
    assert look_up(ADDRESS).name == "good.example"
    assert dns.asked == [ADDRESS, "good.example"]


@pytest.mark.parametrize("name", [ADDRESS, "0xc0000207", "3221225991", "0300.0.2.7", "192.0.2.0x7", "192.0x207", "7."])
def test_a_number_is_no_host_name(dns: Dns, name: str) -> None:
    """A reverse name that is an address in some notation resolves without DNS, so it would confirm itself."""
    dns.names, dns.addresses = [name], {name: [ADDRESS]}
    assert look_up(ADDRESS).name is None
    assert dns.asked == [ADDRESS]


@pytest.mark.parametrize("name", ["7.mail.example", "192-0-2-7.dsl.example", "0x7.example", "a_b.example", "localhost"])
def test_a_host_name_may_hold_numbers(dns: Dns, name: str) -> None:
    """Only a name that ends in a number is one."""
    dns.names, dns.addresses = [name], {name: [ADDRESS]}
    assert look_up(ADDRESS).name == name


@pytest.mark.parametrize(
    "code, temporary", [(HOST_NOT_FOUND, False), (TRY_AGAIN, True), (NO_RECOVERY, True), (NO_DATA, False)]
)
def test_an_address_without_a_name(dns: Dns, code: int, temporary: bool) -> None:
    """No name is an answer; a server that fails is none, and may answer later."""
    dns.names = socket.herror(code, "reason")
    assert look_up(ADDRESS) == Lookup(None, temporary, (f"{ADDRESS} has no name: reason",))


@pytest.mark.parametrize(
    "error, temporary",
    [
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), False),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), True),
        (socket.gaierror(socket.EAI_FAIL, "Non-recoverable failure in name resolution"), True),
        (OSError(errno.EMFILE, "Too many open files"), True),
        (UnicodeError("label too long"), False),
    ],
    ids=str,
)
def test_a_name_without_an_address(dns: Dns, error: Exception, temporary: bool) -> None:
    """A name that does not resolve is not confirmed; a failure that may pass is told from an answer."""
    dns.names, dns.addresses = ["mail.example"], {"mail.example": error}
    found = look_up(ADDRESS)
    assert (found.name, found.temporary) == (None, temporary)
    dns.names, dns.addresses = ["mail.example", "good.example"], {"mail.example": error, "good.example": [ADDRESS]}
    assert (look_up(ADDRESS).name, look_up(ADDRESS).temporary) == ("good.example", False)


def test_a_name_that_the_resolver_cannot_decode(dns: Dns) -> None:
    """Octets that Python's resolver refuses to decode make a client without a name."""
    dns.names = UnicodeDecodeError("utf-8", b"caf\xe9.example", 3, 4, "invalid continuation byte")
    found = look_up(ADDRESS)
    assert (found.name, found.temporary) == (None, False)


def test_the_name_is_asked_for_once_and_late() -> None:
    """DNS is asked at the first use of the name, and not again."""
    asked: list[str] = []

    def resolve(address: str) -> Lookup:
        asked.append(address)
        return Lookup("mail.example", temporary=False, steps=("a step",))

    who = Client("::ffff:192.0.2.7", deadline=time.monotonic() + 10, resolve=resolve)
    assert (who.shown_name, who.looked_up, asked) == ("unknown", False, [])
    assert (who.name, who.name_unknown_now, who.lookup.steps) == ("mail.example", False, ("a step",))
    assert (who.shown_name, who.looked_up, asked) == ("mail.example", True, [ADDRESS])


def test_a_client_without_a_confirmed_name_is_unknown() -> None:
    """Without a confirmed name a client is shown as unknown, before and after DNS was asked."""
    who = client(temporary=True)
    assert who.shown_name == "unknown"
    assert (who.name, who.name_unknown_now, who.shown_name) == (None, True, "unknown")


def test_a_name_known_already_needs_no_dns() -> None:
    """A client whose name is given, as that of a terminal, is never asked about."""
    who = Client("127.0.0.1", name="localhost", resolve=unasked_client()._resolve)
    assert (who.shown_name, who.name, who.name_unknown_now) == ("localhost", "localhost", False)


@pytest.mark.parametrize("seconds", [0.1, 0.0, -5.0])
def test_the_deadline_holds_whatever_dns_does(seconds: float) -> None:
    """When DNS has not answered at the deadline, asking for the name raises TimeoutError at once."""
    answer = threading.Event()

    def resolve(address: str) -> Lookup:
        answer.wait(10)
        return Lookup(None, temporary=False, steps=())

    start = time.monotonic()
    who = Client(ADDRESS, deadline=start + seconds, resolve=resolve)
    try:
        with pytest.raises(TimeoutError, match=ADDRESS):
            _ = who.name
        assert max(seconds, 0) <= time.monotonic() - start < max(seconds, 0) + 1
        assert (who.looked_up, who.shown_name) == (False, "unknown")
    finally:
        answer.set()


def test_no_client_waits_for_the_name_of_another() -> None:
    """While DNS is asked for one client, it is asked and answers for others."""
    asked, answer = threading.Event(), threading.Event()

    def resolve(address: str) -> Lookup:
        asked.set()
        answer.wait(10)
        return Lookup("slow.example", temporary=False, steps=())

    slow = Client("192.0.2.1", resolve=resolve)
    thread = threading.Thread(target=lambda: slow.name)
    thread.start()
    asked.wait()
    other = Client("192.0.2.2", deadline=time.monotonic() + 1, resolve=lambda _: Lookup("quick.example", False, ()))
    began = time.monotonic()
    assert other.name == "quick.example"
    assert time.monotonic() - began < 5
    answer.set()
    thread.join()


def test_an_error_of_the_resolver_is_not_lost() -> None:
    """What goes wrong in the thread that asks is raised where the name is asked for."""

    def resolve(address: str) -> Lookup:
        raise MemoryError(address)

    with pytest.raises(MemoryError, match=ADDRESS):
        _ = Client(ADDRESS, deadline=time.monotonic() + 10, resolve=resolve).name
