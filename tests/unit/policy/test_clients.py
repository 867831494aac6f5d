"""Which clients may connect, and when DNS is asked about them."""

from __future__ import annotations

import time

import pytest

from mailrecv.client import Client, Lookup
from mailrecv.config.model import Config
from mailrecv.policy.clients import NAME_NOT_KNOWN_NOW, NOT_ALLOWED, admit, by_address, match
from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply
from tests.support.configs import client, config, unasked_client

ANY_NAME = "limit.fcrdns_check off"
GOOGLE = r"allow remotehost ^mail\.google\.com$"


def refusal(configuration: Config, who: Client) -> Reply | None:
    return admit(configuration, who).reply


def test_a_client_with_a_confirmed_name_may_connect() -> None:
    """Without `allow` lines every client may connect whose name is confirmed."""
    assert refusal(config(), client(name="mail.example")) is None


def test_a_client_without_a_confirmed_name_is_turned_away() -> None:
    """A client without a confirmed name gets the reply of limit.fcrdns_check, and the decision names that limit."""
    decision = admit(config("limit.fcrdns_check on 554 Go away"), client())
    assert (decision.reply, decision.limit, decision.line) == (Reply(554, "Go away"), "fcrdns_check", 0)
    reply = refusal(config(), client())
    assert reply is not None
    assert reply.code == 421


@pytest.mark.parametrize("address", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_loopback_needs_no_name(address: str) -> None:
    """This machine itself may connect without a name, and DNS is not asked."""
    assert refusal(config(), unasked_client(address)) is None


def test_without_the_check_nobody_needs_a_name() -> None:
    """With limit.fcrdns_check off and no `allow` line everyone may connect, and DNS is not asked."""
    assert refusal(config(ANY_NAME), unasked_client()) is None


def test_a_check_that_dns_cannot_answer_now_refuses_for_now() -> None:
    """A client whose name DNS could not tell just now is refused with a 4xx, also where the check's reply is a 5xx."""
    unknown = client(temporary=True)
    assert refusal(config("limit.fcrdns_check on 554 Go away"), unknown) == NAME_NOT_KNOWN_NOW
    assert refusal(config("limit.fcrdns_check on 450 Come back"), unknown) == Reply(450, "Come back")


def test_a_dns_that_is_down_is_told_from_a_name_that_is_missing() -> None:
    """Where the file has no reply of its own, client and log hear which of the two it is."""
    assert refusal(config(), client(temporary=True)) == NAME_NOT_KNOWN_NOW
    assert refusal(config(), client()) == Reply(421, "Your address has no confirmed host name, try again later")


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"^192\.0\.2\.", r"192\.0\.2\.1", r"^192\.", r"^192[0-9.]+", r"(?<!x)192\.0\.2\.15?"),
        *(r"^(?=192\.0\.2\.)", r"(?<=192\.0\.2\.)", r"192\.0\.2\.\K", r"^(?=192\.0\.2\.|mx\.)", r"^192\.0\.2(?=\.)"),
        *(r"^(192\.0\.2\.|mx\.)", r"^192\.0\.2\.(?!7)", r"^(?=192)\d", "192.0.2.0/24", r"(?<a>)^192\.0\.2\.(?(a))"),
    ],
)
@pytest.mark.parametrize("name", ["192.0.2.evil.example", "192.0.2.1.evil.example", "192.0.2.15evil.example"])
def test_a_pattern_for_addresses_lets_in_no_name(pattern: str, name: str) -> None:
    """Whatever a stranger names a host, a pattern that finds nothing but digits and dots in that does not match it."""
    configuration = config(f"allow remotehost {pattern}")
    assert refusal(configuration, client("198.51.100.7", name=name)) == NOT_ALLOWED
    assert refusal(configuration, client("192.0.2.15", name=name)) is None


@pytest.mark.parametrize("pattern", [r"\.isp\.example$", r"^192\.0\.2\.7\.dyn", r"(?=.*isp)"])
def test_a_name_may_begin_with_digits(pattern: str) -> None:
    """A pattern that finds more than digits and dots, or only looks ahead, matches such names as it does any other."""
    who = client("198.51.100.7", name="192.0.2.7.dyn.isp.example")
    assert refusal(config(f"allow remotehost {pattern}"), who) is None


@pytest.mark.parametrize("fcrdns", ["on", "off"])
def test_only_clients_that_match_are_let_in(fcrdns: str) -> None:
    """With `allow` lines a client has to match one, and that line decides."""
    configuration = config(f"limit.fcrdns_check {fcrdns}", "allow remotehost ^x", GOOGLE, "allow remotehost google")
    decision = admit(configuration, client(name="mail.google.com"))
    assert (decision.reply, decision.line) == (None, 3)
    decision = admit(configuration, client(name="mail.evil.example"))
    assert (decision.reply, decision.line) == (NOT_ALLOWED, 0)
    assert NOT_ALLOWED.code == 554


def test_patterns_are_tried_on_the_address_then_on_the_name() -> None:
    """Each pattern in file order is tried on the address first, and every test is told."""

    def tests(*patterns: str) -> list[tuple[int, str, Verdict]]:
        lines = [f"allow remotehost {pattern}" for pattern in patterns]
        decision = admit(config(*lines), client("2001:db8::7", name="mail.example"))
        return [(test.line, test.subject, test.verdict) for test in decision.tests]

    forms = ["2001:db8::7", "2001:0db8:0000:0000:0000:0000:0000:0007"]
    assert tests("x") == [*((1, form, Verdict.NO) for form in forms), (1, "mail.example", Verdict.YES)]
    assert tests("yy", "[2001:db8::8]", "2001:db8::/32") == [
        *((1, form, Verdict.NO) for form in forms),
        (2, "2001:db8::7", Verdict.NO),
        (3, "2001:db8::7", Verdict.YES),
    ]
    assert tests("yy", r"^192\.", "z") == [
        *((1, form, Verdict.NO) for form in forms),
        (1, "mail.example", Verdict.NO),
        *((2, form, Verdict.NO) for form in forms),
        *((3, form, Verdict.NO) for form in forms),
        (3, "mail.example", Verdict.NO),
    ]


ADDRESSES_ALONE = (
    "192.0.2.0/24",
    "[2001:db8::7]",
    r"^10\.",
    "^fd00:",
    r"^(?=127\.)",
    r"^192\.0\.2\.[0-9]+$",
    "192.0.2.1",
    "^10.1.",
)


@pytest.mark.parametrize("fcrdns", ["on", "off", "on 554 Go away"])
def test_a_list_that_addresses_alone_can_satisfy(fcrdns: str) -> None:
    """Where no line can match a name, a client whose address none matches is refused for good, without DNS."""
    configuration = config(f"limit.fcrdns_check {fcrdns}", *(f"allow remotehost {text}" for text in ADDRESSES_ALONE))
    for address in ("198.51.100.7", "2001:db8::8", "::1", "::192.0.2.7"):
        decision = admit(configuration, unasked_client(address))
        assert (decision.reply, decision.line, decision.limit) == (NOT_ALLOWED, 0, None)


@pytest.mark.parametrize("before", [(), ("allow remotehost google",), ("allow remotehost .*x",)])
def test_whom_the_address_admits_needs_no_name(before: tuple[str, ...]) -> None:
    """A line that matches the address decides, though one before it could match the name; DNS is not asked."""
    configuration = config(ANY_NAME, *before, "allow remotehost 192.0.2.0/24")
    assert admit(configuration, unasked_client()).line == len(before) + 2


def test_the_check_of_names_holds_for_whom_the_address_admits() -> None:
    """With limit.fcrdns_check on, a client that the list admits still needs a name."""
    configuration = config("allow remotehost 192.0.2.0/24")
    assert refusal(configuration, client(name="mail.example")) is None
    assert admit(configuration, client()).limit == "fcrdns_check"
    assert refusal(configuration, client(temporary=True)) == NAME_NOT_KNOWN_NOW


@pytest.mark.parametrize(
    "pattern",
    ["^2001:db8::7$", "^2001:0db8:0000:0000:0000:0000:0000:0007$", "^2001:DB8:", r"^2001:0db8:(0000:){5}"],
)
def test_an_ipv6_address_matches_in_both_forms(pattern: str) -> None:
    """A pattern may be written for the short form of an IPv6 address or for the full one."""
    assert refusal(config(ANY_NAME, f"allow remotehost {pattern}"), client("2001:db8::7")) is None
    assert refusal(config(ANY_NAME, f"allow remotehost {pattern}"), client("2001:db9::7")) == NOT_ALLOWED


def test_an_ipv4_address_matches_however_the_socket_has_it() -> None:
    """A client by IPv4 on an IPv6 socket is matched by its IPv4 address."""
    assert refusal(config(ANY_NAME, r"allow remotehost ^192\.0\.2\.7$"), client("::ffff:192.0.2.7")) is None


@pytest.mark.parametrize("pattern", ["unknown", "^$", "None"])
def test_a_client_without_a_name_matches_no_pattern_for_names(pattern: str) -> None:
    """What stands for an unconfirmed name in logs and replies is not a name that a pattern could match."""
    assert refusal(config(ANY_NAME, f"allow remotehost {pattern}"), client()) == NOT_ALLOWED


def test_a_name_that_dns_cannot_tell_now_refuses_for_now() -> None:
    """No match, but a name that might have matched is not known just now: 421, so that the sender tries again."""
    assert refusal(config(ANY_NAME, GOOGLE), client(temporary=True)) == NAME_NOT_KNOWN_NOW
    assert NAME_NOT_KNOWN_NOW.code == 421
    assert refusal(config(ANY_NAME, GOOGLE, r"allow remotehost ^192\."), client(temporary=True)) is None


def test_a_runaway_pattern_lets_nobody_in() -> None:
    """A pattern over its match limit counts as no match, within milliseconds; the patterns after it are tried."""
    runaway, name = r"allow remotehost (a+)+$", "a" * 60 + ".example"
    start = time.monotonic()
    decision = admit(config(runaway), client(name=name))
    assert time.monotonic() - start < 0.25
    assert decision.reply == NOT_ALLOWED
    assert [test.verdict for test in decision.tests] == [Verdict.NO, Verdict.CANNOT_TELL]
    decision = admit(config(runaway, "allow remotehost example$"), client(name=name))
    assert (decision.reply, decision.line) == (None, 2)


def test_dns_is_not_asked_without_a_pattern() -> None:
    """A group without patterns is no reason to ask for a name."""
    assert match((), by_address(unasked_client())) == (Verdict.NO, 0, ())


def test_a_lookup_that_takes_too_long_ends_the_decision() -> None:
    """The deadline of a lookup is no answer about the client: it goes on to whoever asked for the decision."""

    def resolve(address: str) -> Lookup:
        raise TimeoutError(address)

    with pytest.raises(TimeoutError):
        admit(config(), Client("192.0.2.7", resolve=resolve))
