"""Patterns for clients: addresses in brackets, networks, and what is neither."""

from __future__ import annotations

import pytest

from mailrecv.client import Client
from mailrecv.policy.client_patterns import Address, AddressFault, ClientTest, Expression, Network, client_pattern
from mailrecv.policy.clients import by_address
from mailrecv.policy.patterns import Verdict


def matches(pattern: ClientTest, address: str) -> bool:
    tried = list(pattern.tried_on(by_address(Client(address))))
    return Verdict.YES in [verdict for _, verdict in tried]


@pytest.mark.parametrize(
    "text, inside, outside",
    [
        ("[192.0.2.9]", ["192.0.2.9", "::ffff:192.0.2.9"], ["192.0.2.90", "192.0.2.8", "2001:db8::9", "::192.0.2.9"]),
        ("[2001:DB8:0::7]", ["2001:db8::7"], ["2001:db8::7f", "2001:db8::8", "192.0.2.7"]),
        ("[::192.0.2.9]", ["::192.0.2.9", "::c000:209"], ["192.0.2.9"]),
        ("[fe80::1%eth0]", ["fe80::1%eth0"], ["fe80::1%eth1", "fe80::1", "fe80::2%eth0"]),
        ("[fe80::1]", ["fe80::1%eth0", "fe80::1%eth1", "fe80::1"], ["fe80::11%eth0"]),
        ("192.0.2.0/24", ["192.0.2.0", "192.0.2.255"], ["192.0.3.0", "192.0.1.255", "192.0.200.7", "2001:db8::1"]),
        ("192.0.2.9/32", ["192.0.2.9"], ["192.0.2.8", "192.0.2.90"]),
        ("172.16.0.0/12", ["172.31.255.255"], ["172.32.0.0", "172.15.255.255"]),
        ("0.0.0.0/0", ["255.1.2.3"], ["::1", "2001:db8::1", "::1.2.3.4"]),
        ("::/0", ["::1", "2001:db8::1", "fe80::1%eth0"], ["192.0.2.7", "::ffff:192.0.2.7"]),
        ("2001:db8::/33", ["2001:db8:7fff::1"], ["2001:db8:8000::", "2001:db9::"]),
        ("fe80::/10", ["fe80::1%eth0", "febf::1"], ["fec0::1"]),
    ],
)
def test_addresses_and_networks(text: str, inside: list[str], outside: list[str]) -> None:
    """Exactly the addresses that are meant match, no longer ones that begin alike; no name has a say."""
    pattern = client_pattern(text)
    assert [address for address in inside if not matches(pattern, address)] == []
    assert [address for address in outside if matches(pattern, address)] == []
    assert not pattern.may_match_names
    assert repr(client_pattern(text, checked=True)) == repr(pattern)


@pytest.mark.parametrize(
    "text, kind",
    [
        ("[192.0.2.9]", Address),
        ("[::1]", Address),
        ("10.0.0.0/8", Network),
        ("::/0", Network),
        ("[0-9]", Expression),
        ("[abc]", Expression),
        ("[.:]", Expression),
        ("^[192.0.2.9]", Expression),
        ("[192.0.2.9]$", Expression),
        ("mail/24", Expression),
        ("^192.0.2.0/24$", Expression),
        ("/24", Expression),
        ("192.0.2.0/", Expression),
        ("[", Expression),
    ],
)
def test_the_kinds(text: str, kind: type) -> None:
    """Only a whole word of one of the two forms is no regular expression."""
    try:
        assert type(client_pattern(text, checked=True)) is kind
    except AddressFault:
        pytest.fail(text)


@pytest.mark.parametrize(
    "text, meant",
    [
        ("192.0.2.9/24", "write 192.0.2.0/24, or [192.0.2.9]"),
        ("10.1.2.3/8", "write 10.0.0.0/8, or [10.1.2.3]"),
        ("2001:db8::1/64", "write 2001:db8::/64, or [2001:db8::1]"),
        ("010.0.0.0/8", "write 10.0.0.0/8"),
        ("10.0.0.0/08", "write 10.0.0.0/8"),
        ("::/00", "write ::/0"),
        ("192.168/16", "write 192.168.0.0/16"),
        ("10./8", "write 10.0.0.0/8"),
        ("192.0.2.0/255.255.255.0", "write 192.0.2.0/24"),
        ("0.0.0.0/0.0.0.0", "write 0.0.0.0/0"),
        ("fe80::%eth0/64", "write fe80::/64"),
        ("::ffff:192.0.2.0/120", "write 192.0.2.0/24"),
        ("::FFFF:c000:209/128", "write 192.0.2.9/32"),
        ("192.0.2.0/33", "IPv4 has 32 bits"),
        ("2001:db8::/129", "IPv6 has 128"),
        ("192.0.2.0/255.0.255.0", "is no network, such as"),
        ("300.0.0.0/8", "is no network, such as"),
        ("1.2.3.4.5/8", "is no network, such as"),
        ("2001:db8/32", "is no network, such as"),
        ("::1::/64", "is no network, such as"),
        ("[192.0.2]", "is no IP address, such as"),
        ("[192.0.2.256]", "is no IP address, such as"),
        ("[1:2:3]", "is no IP address, such as"),
        ("[fe80::1%]", "is no IP address, such as"),
        ("[192.0.002.9]", "write [192.0.2.9]"),
        ("[2001:db8::7%eth0]", "write [2001:db8::7]"),
        ("[::ffff:192.0.2.9]", "write [192.0.2.9]"),
        ("[IPv6:2001:db8::7]", "write [2001:db8::7]"),
    ],
)
def test_faults(text: str, meant: str) -> None:
    """What is meant for an address or a network but is none is a fault, which says what is meant."""
    with pytest.raises(AddressFault, match=r"^[^\n]+$") as caught:
        client_pattern(text)
    assert str(caught.value).endswith(meant) or ("write" not in meant and meant in str(caught.value))
    if "write" in meant:
        for written in meant.removeprefix("write ").split(", or "):
            assert isinstance(client_pattern(written), (Address, Network))
