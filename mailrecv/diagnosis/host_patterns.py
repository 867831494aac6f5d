"""Advice about patterns for clients that match others than their writer meant: too many, everybody, or nobody.

Found by trying. For what the pattern was meant for, other names are made that a stranger can give to a host, and
addresses that look alike: whatever of these the pattern matches too is told as it is. What to write instead has been
tried as well: it matches what the pattern was for, and none of the others.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from mailrecv.client import Client
from mailrecv.config.model import Config
from mailrecv.diagnosis.advice import Advice, Source
from mailrecv.diagnosis.neighbours import Network, examples, meant_for, neighbours, pattern_for, range_meant
from mailrecv.diagnosis.samples import has_alternatives, samples
from mailrecv.policy.client_patterns import AddressFault, ClientTest, client_pattern, is_network
from mailrecv.policy.clients import Known, by_address
from mailrecv.policy.patterns import PatternFault, Verdict

Finding: TypeAlias = tuple[str, Callable[[], str]]  # what is wrong, and who tells what to write instead
STRANGERS = ("evil.net", "evil.org", "evil.example")  # a name below one of them counts only if it does below all
EVERYBODY = {  # hosts that have no letter and no digit in common
    "IPv4 address": ("1.1.1.1", "203.0.2.30", "99.88.77.66", "254.45.54.5"),
    "IPv6 address": ("2222:2222:2222:2222:2222:2222:2222:2222", "abcd:efab:cdef:abcd:efab:cdef:abcd:efab", "3fff::4"),
    "host name": ("one.example", "3rd.kim.my", "huts.fv", "x9-w.qq.bz", "a.b.c.d.e.f.g.h.i.j"),
}
_PATTERN_WORD = 2  # of `allow remotehost CLIENT` and `allowgroup +NAME CLIENT`
_MAX_SHOWN = 3
_HOST_NAME = re.compile(r"[a-z0-9._-]*[a-z-][a-z0-9._-]*", re.IGNORECASE)  # of digits and dots only, it is an address
_LABELS = ("one", "huts", "kim")  # with no letter in common
_BEGINNING = re.compile(r"[0-9]{1,3}\.(?:[0-9]{1,3}\.?){0,3}")  # of an IPv4 address
_BARE_DOT = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\.(?![*+?{])", re.DOTALL)
_NO_BEGINNING, _NO_END = re.compile(r"\^(?:\\\.|-)(?![?*{])[^|]*"), re.compile(r"[^|]*(?:\\\.|-)\$")  # no name has such
_BUT_SOME = "!"  # in a pattern, it rules out some of those who would match
_TWO_LABELS = 2
_WHOLE = r"write the whole name or address, from ^ to $, each dot as \. , such as ^mail\.example\.com$"
_ANY_NUMBERS = re.compile(r"[0-9]\D*\.(?:[*+?]|\{[0-9,]*\})[^|]*[0-9]|\[[^]]*(?:[0-9]{2}-|-[0-9]{2})")
_ADDRESSES = r"write the address as in [2001:db8::1], or the network as in 2001:db8::/32"
_FORMS = r"[192.0.2.9], 192.0.2.0/24 or ^mail\.example\.com$"


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about the patterns for clients, those of `allow` and of all groups."""
    for_everybody = "for everybody, remove all `allow` lines"
    rules = [(rule, for_everybody) for rule in config.allow]
    for_everybody = "for everybody, name no group in the deliver line"
    rules += [(rule, for_everybody) for group in config.groups.values() for rule in group]
    for rule, for_everybody in rules:
        if finding := _finding(rule.pattern, for_everybody):
            yield source.advice(rule.line, _PATTERN_WORD, *finding)


def _finding(test: ClientTest, for_everybody: str) -> tuple[str, str] | None:
    """Return what is to be said of a pattern, and what to write instead, or None."""
    found = _found(test, for_everybody)
    return found and (found[0], found[1]())


def _found(test: ClientTest, for_everybody: str) -> Finding | None:
    """Return what is wrong with a pattern. What to write instead is another matter: it is tried by this itself."""
    meant = meant_for(test.text)
    if whom := _everybody(test):
        for_some = f"{for_everybody}; for some, write as in {_FORMS}"
        return f"the pattern matches {whom}", lambda: _for(meant, test.text) if meant else for_some
    if matches_nobody(test):
        return "the pattern can match nobody", lambda: _for(meant, test.text) if meant else _for_somebody(test.text)
    if test.exact:
        return None
    if missed := _missed(test, meant):
        return missed
    if meant:
        others = _first(itertools.chain(_named_like(test, _shown(meant)), _matched(test, neighbours(meant))))
        return (f"the pattern also matches {_listed(others)}", lambda: _for(meant, test.text)) if others else None
    for sample in samples(test.text):
        if others := _first(strangers(test, sample)):
            return f"the pattern also matches {_listed(others)}", partial(_instead, test.text, sample, others)
    return None


def _missed(test: ClientTest, meant: Network | None) -> Finding | None:
    """Return that a pattern does not even match what it is meant for, if it is so."""
    if found := range_meant(test.text):
        first, network = found
        if matches(test, first):
            return None
        one_for_each = "write a line for each address or network, as in [192.0.2.9] or 192.0.2.0/24"
        return (
            f"the pattern does not match {first}, and no address of such a range",
            lambda: f"write: {pattern_for(network)}" if network else one_for_each,
        )
    if meant is None or any(_matched(test, examples(meant))):
        return None
    if meant.prefixlen < meant.max_prefixlen and test.text.endswith("$") and not test.text.startswith("^"):
        return None  # it may be meant for the end of an address
    missed = examples(meant)[0] if meant.prefixlen == meant.max_prefixlen else f"any address in {meant}"
    return f"the pattern does not match {missed}, as it seems to be meant to", lambda: _for(meant, test.text)


def _for(meant: Network, text: str) -> str:
    """Return what to write for a pattern that is an address or its beginning. How much `2001:db8::` is, is not told."""
    open_ended = "::" in text and meant.prefixlen < meant.max_prefixlen
    return _ADDRESSES if open_ended else f"write: {pattern_for(meant)}"


# Everybody, or nobody


def _everybody(test: ClientTest) -> str:
    """Return which hosts a pattern all matches, in words, or an empty text."""
    kinds = [f"every {kind}" for kind, hosts in EVERYBODY.items() if _matches_all(test, hosts)]
    whom = "everybody" if {*kinds} >= {"every IPv4 address", "every IPv6 address"} else " and ".join(kinds)
    return f"nearly {whom}" if whom and _BUT_SOME in test.text else whom


def matches_nobody(test: ClientTest) -> bool:
    """Say whether no client can have what a pattern asks for."""
    at_odds = _NO_BEGINNING.fullmatch(test.text) or _NO_END.fullmatch(test.text)
    return not test.may_match_somebody or at_odds is not None


def _for_somebody(text: str) -> str:
    """Return what to write instead of a pattern that matches nobody."""
    if "@" in text:
        return f"clients are known by host names and addresses, not by mail addresses: write as in {_FORMS}"
    if "," in text or ";" in text:
        return "write a line for each host"
    plain = text.replace("\\", "").removeprefix("^").removesuffix("$")
    for better in (plain, text.removeprefix("^"), re.sub(r"\\\.\$$", "$", text)):
        if better != text and (is_network(plain) or better != plain) and _is_right(better):
            return f"write: {better}"
    return f"write as in {_FORMS}"


# Others than were meant


def strangers(test: ClientTest, sample: str) -> Iterator[str]:
    """Yield names and addresses that a pattern matches, and that are not what it was written for.

    sample: what it was written for.
    """
    if _is_address(sample):
        yield from _named_like(test, sample)
        whole = _read(f"^(?:{test.text})$")
        if whole is not None and matches(whole, sample):
            around = _matched(test, neighbours(ip_network(sample)))
            yield from itertools.islice((other for other in around if not matches(whole, other)), 1)
    elif _BEGINNING.fullmatch(sample):
        yield from _named_like(test, sample)
    elif _HOST_NAME.fullmatch(sample):
        yield from _below_strangers(test, (sample, f"{sample}."))
        if not sample.startswith(".") and sample.count(".") == _TWO_LABELS - 1 and not _any_label(test, sample):
            yield from _matched(test, [f"evil{sample}"])  # in front of more labels it is a name of the same owner
        yield from _matched(test, _with_other_dots(sample, "x"))


def _any_label(test: ClientTest, name: str) -> bool:
    """Say whether a pattern asks for any label in the place of the first one of a name."""
    _, dot, rest = name.partition(".")
    return _matches_all(test, [label + dot + rest for label in _LABELS])


def _named_like(test: ClientTest, address: str) -> Iterator[str]:
    """Yield a name that a pattern matches, and that looks like an IPv4 address, or its beginning."""
    if ":" not in address:
        yield from _below_strangers(test, (address, f"{address}7", address.replace(".", "-")))


def _below_strangers(test: ClientTest, names: Iterable[str]) -> Iterator[str]:
    """Yield the first of some names, or beginnings of names, that a pattern matches when they lie in any domain."""
    for name in names:
        dot = "" if name.endswith(".") else "."
        if _matches_all(test, [f"{name}{dot}{stranger}" for stranger in STRANGERS]):
            yield f"{name}{dot}{STRANGERS[0]}"
            return


def _with_other_dots(text: str, other: str) -> list[str]:
    return [text[:at] + other + text[at + 1 :] for at, letter in enumerate(text) if letter == "." and at]


def _shown(meant: Network) -> str:
    """Return an address that is meant, or the numbers that all of them begin with."""
    address = str(meant.network_address)
    return address if ":" in address else ".".join(address.split(".")[: meant.prefixlen // 8])


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _read(text: str) -> ClientTest | None:
    try:
        return client_pattern(text)
    except (PatternFault, AddressFault):
        return None


def _matched(test: ClientTest, subjects: Iterable[str]) -> Iterator[str]:
    return (subject for subject in subjects if matches(test, subject))


def _matches_all(test: ClientTest, subjects: Iterable[str]) -> bool:
    return all(matches(test, subject) for subject in subjects)


def matches(test: ClientTest, subject: str) -> bool:
    """Say whether a pattern matches an address, or a name, each by itself."""
    if _is_address(subject):
        who = by_address(Client(subject))
    else:
        who = Known("", (), subject, may_be_named=False)
        if test.exact:
            return False
    return any(verdict is Verdict.YES for _, verdict in test.tried_on(who))


def _first(others: Iterable[str]) -> list[str]:
    return list(itertools.islice(dict.fromkeys(others), _MAX_SHOWN))


def _listed(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


# What to write instead


def _instead(text: str, sample: str, others: list[str]) -> str:
    for better in _better(text, sample):
        test = _read(better)
        if test is not None and _is_right(better) and not any(_matched(test, others)) and _is_meant(test, sample):
            return f"write: {better}"
    return _ADDRESSES if ":" in text else _WHOLE


def _better(text: str, sample: str) -> Iterator[str]:
    """Yield patterns that may say better what a pattern was meant to; none where that is not certain."""
    if text.endswith("::"):
        return
    if ":" in text and not all(_is_address(one) for one in text.replace(r"\.", ".").split("|")):
        return
    if not re.search("[a-z]", text.replace(r"\d", ""), re.IGNORECASE) and _ANY_NUMBERS.search(text):
        return
    body = _BARE_DOT.sub(lambda found: r"\." if found[0] == "." else found[0], text)
    begins = body.startswith("^")
    body = body.removeprefix("^")
    if body.endswith("$") and not body.endswith(r"\$"):
        body = body[:-1]
    if has_alternatives(body):
        body = f"(?:{body})"
    if _is_address(sample):
        yield f"^{body}$"
    elif _BEGINNING.fullmatch(sample):
        labels = sample.rstrip(".").count(".") + 1
        dot = "" if body.endswith(r"\.") else r"\."
        yield f"^{body}{dot}{r'[0-9]+' if labels == 3 else '[0-9.]+'}$"
    elif "." in sample.strip(".") and not sample.endswith(".") and re.search("[a-z]", sample, re.IGNORECASE):
        if begins or sample.startswith("."):
            yield f"{'^' * begins}{body}$"
        else:
            yield rf"(^|\.){body}$"


def _is_right(text: str) -> bool:
    """Say whether there is nothing to be said of a pattern."""
    test = _read(text)
    return test is not None and _found(test, "") is None


def _is_meant(test: ClientTest, sample: str) -> bool:
    """Say whether a pattern matches what another was written for.  sample: it, or its beginning."""
    missing = 3 - sample.rstrip(".").count(".") if _BEGINNING.fullmatch(sample) else 0
    return matches(test, sample.rstrip(".") + ".7" * missing if missing else sample)
