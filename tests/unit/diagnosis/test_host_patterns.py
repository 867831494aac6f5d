"""Patterns for clients: which others they match, and what is to be written instead."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailrecv.diagnosis import host_patterns
from mailrecv.diagnosis.host_patterns import _finding as finding
from mailrecv.diagnosis.host_patterns import advise
from mailrecv.diagnosis.neighbours import neighbours, pattern_for
from mailrecv.diagnosis.samples import samples
from mailrecv.policy.client_patterns import AddressFault, client_pattern
from mailrecv.policy.patterns import PatternFault
from tests.support.advice import advice

WIDE = [  # a pattern, which others it matches, and what to write instead
    ("google.com", "google.com.evil.net, evilgoogle.com and googlexcom", r"(^|\.)google\.com$"),
    (r"google\.com", "google.com.evil.net and evilgoogle.com", r"(^|\.)google\.com$"),
    (r"google\.com$", "evilgoogle.com", r"(^|\.)google\.com$"),
    (".google.com$", ".googlexcom", r"\.google\.com$"),
    ("^mail.google.com$", "mailxgoogle.com and mail.googlexcom", r"^mail\.google\.com$"),
    (r"^mail\.google\.com", "mail.google.com.evil.net", r"^mail\.google\.com$"),
    (r"(google|yahoo)\.com$", "evilgoogle.com", r"(^|\.)(google|yahoo)\.com$"),
    (
        "mx1.example.com|mx2.example.com",
        "mx1.example.com.evil.net, mx1xexample.com and mx1.examplexcom",
        r"(^|\.)(?:mx1\.example\.com|mx2\.example\.com)$",
    ),
    ("192.0.2.7", "192.0.2.70, 192.0.2.71 and 192.0.2.72", "[192.0.2.7]"),
    (r"^192\.0\.2\.1", "192.0.2.10, 192.0.2.11 and 192.0.2.12", "[192.0.2.1]"),
    (r"10\.", "110.7.7.7 and 210.7.7.7", "10.0.0.0/8"),
    ("127.0.0.1|::1", "127-0-0-1.evil.net and 127.0.0.10", r"^(?:127\.0\.0\.1|::1)$"),
    (r"^10\.0\.0\.[1-9]", "10.0.0.70", r"^10\.0\.0\.[1-9]$"),
    ("192.0.2.*", "192.0.2.evil.net, 192.0.20.7 and 192.0.21.7", "192.0.2.0/24"),
    ("192.0.2", "192.0.20.7, 192.0.21.7 and 192.0.22.7", "192.0.2.0/24"),
    ("172.16.*.*", "172.16.evil.net, 172.160.7.7 and 172.161.7.7", "172.16.0.0/16"),
    (r"^10\.1\..*$", "10.1.evil.net", "10.1.0.0/16"),
    ("2001:db8::1", "2001:db8::10, 2001:db8::11 and 2001:db8::17", "[2001:db8::1]"),
    ("2001:db8::5$", "fe80:2001:db8::5 and 2001:db8:2001:db8::5", "[2001:db8::5]"),
    ("^2001:db8", "2001:db80::7, 2001:db81::7 and 2001:db87::7", "2001:db8::/32"),
    (r"127\.0\.0\.1|2001:db8::2", "127.0.0.10", r"^(?:127\.0\.0\.1|2001:db8::2)$"),
    ("^.*.lan$", "xxlan", r"^.*\.lan$"),
]
NARROW = [
    r"\.google\.com$",
    r"^mail[a-zA-z0-9-]*\.google\.com$",
    r"^mail-[a-z]+-f\d+\.google\.com$",
    r"^(.+\.)?example\.org$",
    r"(^|\.)google\.com$",
    r"^192\.0\.2\.7$",
    r"^192\.0\.2\.",
    r"^192\.0\.2\.[0-9]+$",
    r"^192\.0\.2\.([1-9]|1[0-9])$",
    "^2001:db8:",
    "^2001:db8::7$",
    "^2001:db8::",
    "^2001:0db8:",
    r"^0*2001:db8::7$",
    r"\.2\.9$",
    r"2\.9$",
    r"^[a-z]+\.lan$",
    r"^.*\.lan$",
    r"^[^.]+\.lan$",
    r"^.*\.com$",
    r"^(127\.0\.0\.1|::1)$",
    "^localhost$",
    r"^-?[a-z]+\.example\.org$",
    r"^[a-z]+\.example\.org\.?$",
    "[192.0.2.7]",
    "[fe80::7%eth0]",
    "192.0.2.0/24",
    "2001:db8::/32",
]
WITHOUT_A_BETTER_ONE = [  # patterns that match others, where it is not certain what would say better what is meant
    "^mail",
    "192.0.2.{1,20}",
    "192.0.*.9",
    "192.0.+.9",
    "10.*.0.1",
    "192.0.2.[1-20]",
    "192.0.2-3.9",
    "2001:db8::",
    "fd00:1::",
    "2001:db8::1.*",
]
MISSED = [  # a pattern that does not match what it is meant for, and what to write instead
    ("2001:0db8::1", "[2001:db8::1]"),
    ("^2001:0db8::1$", "[2001:db8::1]"),
    ("2001:db8:0:0:0:0:0:1", "[2001:db8::1]"),
    ("^2001:0db8:1:", "2001:db8:1::/48"),
    ("::ffff:192.0.2.9", "[192.0.2.9]"),
    ("::ffff:c000:209", "[192.0.2.9]"),
    ("192.0.2.9:25", "[192.0.2.9]"),
    ("[2001:db8::1]:25", "[2001:db8::1]"),
    ("192.0.x.x", "192.0.0.0/16"),
    ("192.0.2.x", "192.0.2.0/24"),
    (r"^192\.0\.2$", "192.0.2.0/24"),
    ("192.0.2.1-20", None),
    ("192.0.2.0-192.0.2.255", "192.0.2.0/24"),
    (r"^198\.51\.100\.128-255$", "198.51.100.128/25"),
]
PIECES = st.sampled_from(
    [*".^$|()[]{}*+?-ax7,:/", r"\.", r"\d", "(?:", "[a-z]", "[^.]", "{1,20}", "192.0", ".2.9", "2001:db8:", ".lan"]
)
NOT_UNDERSTOOD = [
    r"(?<=\.)google\.com$",
    r"\bgoogle\.com$",
    r"\Qgoogle.com\E",
    r"a{20}\.com",
    r"^(?!mx3\.).*\.example\.org$",
]
ONE_FOR_EACH = "write a line for each address or network"
FORMS = r"[192.0.2.9], 192.0.2.0/24 or ^mail\.example\.com$"
TO_ALL = f"for everybody, remove all `allow` lines; for some, write as in {FORMS}"
EVERYBODY = [  # a pattern, whom it matches, and what to write instead
    *(
        (text, "everybody", TO_ALL)
        for text in (".", ".*", "^.+$", "[^.]+", r"\w+", "", "x*", "(?=.)", r"^\K", "[0-9a-f]")
    ),
    ("192.0.2.9|", "everybody", "write: [192.0.2.9]"),
    (r"|^192\.0\.2\.9$", "everybody", "write: [192.0.2.9]"),
    (r"(10\.0\.0\.1)*", "everybody", "write: [10.0.0.1]"),
    (r"(?:2001:db8::1)?$", "everybody", "write: [2001:db8::1]"),
    ("[192.0.2.9]?", "everybody", TO_ALL),
    ("^(?!evil)", "nearly everybody", TO_ALL),
    ("^(?!192.0.2.66)", "nearly everybody", TO_ALL),
    ("^[0-9.]+$", "every IPv4 address", TO_ALL),
    ("0.0.0.0/0", "every IPv4 address", TO_ALL),
    ("::/0", "every IPv6 address", TO_ALL),
    (":", "every IPv6 address", TO_ALL),
    ("^[a-z0-9-]+[.][a-z0-9.-]+$", "every IPv4 address and every host name", TO_ALL),
    (r"\.[a-z]+$", "every host name", TO_ALL),
]
NOBODY = [  # a pattern, and what to write instead
    ("me@mail.example", f"clients are known by host names and addresses, not by mail addresses: write as in {FORMS}"),
    (r"mx1\.example\.com,mx2\.example\.com", "write a line for each host"),
    (r"^\.google\.com$", r"write: \.google\.com$"),
    (r"^mail\.google\.com\.$", r"write: ^mail\.google\.com$"),
    (r"google\.com\.$", f"write as in {FORMS}"),
    ("^192.0.2.0/24$", "write: 192.0.2.0/24"),
    (r"192\.0\.2\.0/24$", "write: 192.0.2.0/24"),
    ("mail.example.com:25", f"write as in {FORMS}"),
    (r"mail\x20host", f"write as in {FORMS}"),
]


def matches(text: str, subject: str) -> bool:
    return host_patterns.matches(client_pattern(text), subject)


@pytest.mark.parametrize("pattern, others, instead", WIDE)
def test_patterns_that_match_strangers(pattern: str, others: str, instead: str) -> None:
    """A pattern that other hosts can match is told with some of these, and with a pattern that none of them matches."""
    line = f"allow remotehost {pattern}"
    assert advice(advise, line) == [(1, 18, f"the pattern also matches {others}", f"write: {instead}")]
    assert advice(advise, f"allow remotehost {instead}") == []


@pytest.mark.parametrize("pattern, _, instead", WIDE)
def test_what_is_written_instead_matches_what_was_meant(pattern: str, _: str, instead: str) -> None:
    """The better pattern still matches the host that the old one was written for."""
    meant = samples(pattern)[0]
    if set(meant) <= set("0123456789."):
        meant = meant.rstrip(".") + ".7" * (3 - meant.rstrip(".").count("."))
    elif ":" in meant:
        meant = meant if "::" in meant and not meant.endswith(":") else f"{meant.rstrip(':')}::7"
    assert matches(instead, meant)


@pytest.mark.parametrize("pattern", [*NARROW, *NOT_UNDERSTOOD])
def test_patterns_that_get_no_advice(pattern: str) -> None:
    """Nothing is said of a pattern that matches no stranger, or that is not understood."""
    assert advice(advise, f"allow remotehost {pattern}") == []


@pytest.mark.parametrize("pattern, whom, instead", EVERYBODY)
def test_patterns_that_match_everybody(pattern: str, whom: str, instead: str) -> None:
    """A pattern that all hosts of a kind match, which have nothing in common, is told, however it is written."""
    if pattern:
        assert advice(advise, f"allow remotehost {pattern}") == [(1, 18, f"the pattern matches {whom}", instead)]
    of_group = instead.replace("remove all `allow` lines", "name no group in the deliver line")
    assert finding(client_pattern(pattern), "for everybody, name no group in the deliver line") == (
        f"the pattern matches {whom}",
        of_group,
    )


@pytest.mark.parametrize("pattern, instead", NOBODY)
def test_patterns_that_match_nobody(pattern: str, instead: str) -> None:
    """A pattern that asks for what no name and no address has is told."""
    assert advice(advise, f"allow remotehost {pattern}") == [(1, 18, "the pattern can match nobody", instead)]
    if instead.startswith("write: "):
        assert advice(advise, f"allow remotehost {instead.removeprefix('write: ')}") == []


@pytest.mark.parametrize(
    "meant", ["192.0.2.9/32", "192.0.2.0/24", "10.0.0.0/8", "2001:db8::1/128", "2001:db8::/32", "::1"]
)
def test_neighbours(meant: str) -> None:
    """There are many neighbours of each kind, none of which is meant."""
    network = ip_network(meant)
    found = [ip_address(address) for address in neighbours(network)]
    assert len(set(found)) >= 10
    assert not any(address in network for address in found)
    assert not any(matches(pattern_for(network), str(address)) for address in found)
    if meant == "192.0.2.0/24":
        assert ip_address("192.0.200.7") in found
    if meant == "2001:db8::1/128":
        assert ip_address("2001:db8::1ff") in found


def test_groups() -> None:
    """The patterns of a group get the same advice, at their own place."""
    lines = ["allowgroup +g ^mail$", "  allowgroup  +g  google.com  # not theirs alone"]
    [(line, column, _, _)] = advice(advise, *lines)
    assert (line, column) == (2, 19)


@pytest.mark.parametrize("pattern", WITHOUT_A_BETTER_ONE)
def test_a_pattern_without_a_better_one(pattern: str) -> None:
    """Where no better pattern can be made up, or it is not certain that one is better, the form of one is told."""
    [(_, _, text, instead)] = advice(advise, f"allow remotehost {pattern}")
    assert text.startswith("the pattern also matches ")
    assert instead.endswith(r"such as ^mail\.example\.com$" if ":" not in pattern else "as in 2001:db8::/32")


@pytest.mark.parametrize("pattern, instead", MISSED)
def test_patterns_that_miss_what_they_are_meant_for(pattern: str, instead: str | None) -> None:
    """A pattern that looks like an address, and matches no client that has it, is told with one that does."""
    [(_, _, text, what)] = advice(advise, f"allow remotehost {pattern}")
    assert text.startswith("the pattern does not match ")
    assert what == (f"write: {instead}" if instead else f"{ONE_FOR_EACH}, as in [192.0.2.9] or 192.0.2.0/24")


@given(st.lists(PIECES, max_size=8).map("".join))
def test_there_is_an_end_to_it(text: str) -> None:
    """Whatever the pattern, advice comes to an end, and of what it offers there is nothing to be said."""
    try:
        found = finding(client_pattern(text), "")
    except (PatternFault, AddressFault):
        return
    if found and found[1].startswith("write: "):
        assert finding(client_pattern(found[1].removeprefix("write: ")), "") is None


def test_every_stranger_is_matched() -> None:
    """Each name or address that is shown is matched."""
    for text, others, _ in WIDE:
        assert all(matches(text, other) for other in others.replace(" and ", ", ").split(", "))
