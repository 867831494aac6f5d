"""Advice about patterns for clients that match more hosts than their writer meant.

Found by trying. For a string that the pattern matches, other names are made that a stranger can give to a host, and
other addresses: whatever of these the pattern matches too is told as it is. What to write instead has been tried as
well: it matches what the pattern was for, and none of the others.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address

from mailrecv.config.model import ClientPattern, Config
from mailrecv.diagnosis.advice import Advice, Source
from mailrecv.diagnosis.samples import has_alternatives, samples
from mailrecv.policy.patterns import Pattern, PatternFault, Verdict

STRANGERS = ("evil.net", "evil.org", "evil.example")  # a name below one of them counts only if it does below all
UNRELATED = ("one.example", "second.test", "3rd.invalid")  # a pattern that matches all of these is about no host
_PATTERN_WORD = 2  # of `allow remotehost REGEX` and `allowgroup +NAME REGEX`
_MAX_SHOWN = 3
_HOST_NAME = re.compile(r"[a-z0-9._-]*[a-z][a-z0-9._-]*", re.IGNORECASE)
_ADDRESS = re.compile(r"[0-9]{1,3}\.(?:[0-9]{1,3}\.?){0,3}")
_LITERAL_ADDRESS = re.compile(r"\^?(?:[0-9]|\\?\.)+\$?")
_BARE_DOT = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\.(?![*+?{])", re.DOTALL)
_TWO_LABELS = 2


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about the patterns for clients, those of `allow` and of all groups."""
    rules = [*config.allow, *(rule for group in config.groups.values() for rule in group)]
    for rule in rules:
        yield from _advise(rule, source)


def _advise(rule: ClientPattern, source: Source) -> Iterator[Advice]:
    pattern = rule.pattern
    if _matches_all(pattern, UNRELATED):
        return
    for sample in samples(pattern):
        others = list(dict.fromkeys(strangers(pattern, sample)))[:_MAX_SHOWN]
        if others:
            text = f"the pattern also matches {_listed(others)}"
            yield source.advice(rule.line, _PATTERN_WORD, text, _instead(pattern, sample, others))
            return


def strangers(pattern: Pattern, sample: str) -> Iterator[str]:
    """Yield names and addresses that a pattern matches, and that are not what it was written for.

    sample: what it was written for.
    """
    if _ADDRESS.fullmatch(sample):
        yield from _below_strangers(pattern, (sample, f"{sample}7", sample.replace(".", "-")))
        if _LITERAL_ADDRESS.fullmatch(pattern.text):  # else the digits may be there for others
            yield from itertools.islice(_stranger_addresses(pattern, sample), 1)
    elif _HOST_NAME.fullmatch(sample):
        yield from _below_strangers(pattern, (sample, f"{sample}."))
        if not sample.startswith(".") and sample.count(".") == _TWO_LABELS - 1:
            yield from _matched(pattern, [f"evil{sample}"])  # in front of more labels it is a name of the same owner
        yield from _matched(pattern, _with_other_dots(sample, "x"))


def _below_strangers(pattern: Pattern, names: Iterable[str]) -> Iterator[str]:
    """Yield the first of some names, or beginnings of names, that a pattern matches when they lie in any domain."""
    for name in names:
        dot = "" if name.endswith(".") else "."
        if _matches_all(pattern, [f"{name}{dot}{stranger}" for stranger in STRANGERS]):
            yield f"{name}{dot}{STRANGERS[0]}"
            return


def _stranger_addresses(pattern: Pattern, sample: str) -> Iterator[str]:
    labels = sample.rstrip(".").split(".")
    forms = [sample, *(form for digit in "019" for form in _with_other_dots(sample, digit))]
    for form in forms:
        for before in ("", "1", "2"):
            for after in ("", "0", "1", "5"):
                address = _completed(before + form + after)
                if address.split(".")[: len(labels)] != labels and _is_address(address):
                    yield from _matched(pattern, [address])


def _completed(address: str) -> str:
    """Return the beginning of an IPv4 address made whole."""
    while address.rstrip(".").count(".") < 3 or address.endswith("."):
        address += "7" if address.endswith(".") else ".7"
    return address


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _with_other_dots(text: str, other: str) -> list[str]:
    return [text[:at] + other + text[at + 1 :] for at, letter in enumerate(text) if letter == "." and at]


def _matched(pattern: Pattern, subjects: Iterable[str]) -> list[str]:
    return [subject for subject in subjects if _matches(pattern, subject)]


def _matches_all(pattern: Pattern, subjects: Iterable[str]) -> bool:
    return all(_matches(pattern, subject) for subject in subjects)


def _matches(pattern: Pattern, subject: str) -> bool:
    return pattern.search(subject, host_name=not _is_address(subject)) is Verdict.YES


def _listed(names: list[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


# What to write instead


def _instead(pattern: Pattern, sample: str, others: list[str]) -> str:
    for better in _better(pattern.text, sample):
        if _is_better(better, sample, others):
            return f"write: {better}"
    return r"write the whole name or address, from ^ to $, each dot as \. , such as ^mail\.example\.com$"


def _better(text: str, sample: str) -> Iterator[str]:
    """Yield patterns that may say better what a pattern was meant to."""
    body = _BARE_DOT.sub(lambda found: r"\." if found[0] == "." else found[0], text)
    begins = body.startswith("^")
    body = body.removeprefix("^")
    if body.endswith("$") and not body.endswith(r"\$"):
        body = body[:-1]
    if has_alternatives(body):
        body = f"(?:{body})"
    if _ADDRESS.fullmatch(sample):
        labels = sample.rstrip(".").count(".") + 1
        dot = "" if body.endswith(r"\.") else r"\."
        rest = {4: "", 3: f"{dot}[0-9]+"}.get(labels, f"{dot}[0-9.]+")
        yield f"^{body}{rest}$"
    elif "." in sample.strip(".") and not sample.endswith("."):
        if begins or sample.startswith("."):
            yield f"{'^' * begins}{body}$"
        else:
            yield rf"(^|\.){body}$"


def _is_better(text: str, sample: str, others: list[str]) -> bool:
    try:
        pattern = Pattern(text)
    except PatternFault:
        return False
    meant = _completed(sample) if _ADDRESS.fullmatch(sample) else sample
    if list(strangers(pattern, sample)):
        return False
    return pattern.search(meant) is Verdict.YES and not _matched(pattern, others)
