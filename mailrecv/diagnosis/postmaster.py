"""Advice about mail for the postmaster, where others report trouble: RFC 5321 §4.5.1 asks every server to take it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from mailrecv.client import Client
from mailrecv.config.model import Config
from mailrecv.delivery import durable
from mailrecv.diagnosis.advice import Advice, Source
from mailrecv.policy.recipients import route

_OTHERS = ("x7q9", "kbwz")  # names such as have no line of their own, with no letter in common
_GROUP_WORD = 1  # of `deliver allowgroup +NAME ...`
_MAX_NAMED = 8  # of the domains whose postmaster gets nothing


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about the file as a whole if it takes mail, but none for the postmaster of a domain in it."""
    if not config.deliver:
        return
    missing = (f"postmaster@{domain}" for domain in _domains(config) if not _speaks_of_postmaster(config, domain))
    named = list(itertools.islice(missing, _MAX_NAMED))
    if named:
        others = ["other domains"] if next(missing, None) else []
        text = f"nobody gets the mail for {' and '.join(named + others)}, which every server has to take (RFC 5321)"
        lines = (f"write: deliver rcpt_to {address} append PATH" for address in named)
        yield source.advice_for_all(text, "\n    ".join(lines))
    if not config.allow:  # else it is meant that not everybody can write here
        yield from _for_groups_alone(config, source)


def _for_groups_alone(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about postmasters to whom only the clients of groups can write."""
    for address in (f"postmaster@{domain}" for domain in _domains(config)):
        rules = config.deliver.get(address, ())
        if rules and all(rule.group is not None for rule in rules):
            text = f"only these clients can write to {address}, for whom every server has to take mail (RFC 5321)"
            write = f"write below it: deliver rcpt_to {address} append PATH"
            yield source.advice(rules[-1].line, _GROUP_WORD, text, write)


def _domains(config: Config) -> list[str]:
    """Return the domain of the server, which `postmaster` alone gets too, and those that it takes mail for."""
    parts = (address.rpartition("@") for address in sorted(config.deliver))
    domains = dict.fromkeys([(config.domain or "").lower(), *(domain for _, at, domain in parts if at)])
    return [domain for domain in domains if domain] or ["DOMAIN"]


def _speaks_of_postmaster(config: Config, domain: str) -> bool:
    """Say whether mail for the postmaster is delivered or kept, or refused by a line that is about nobody else."""
    if f"postmaster@{domain}" in config.deliver:
        return True
    client = Client("127.0.0.1", name="localhost")
    decision, *for_others = (route(config, client, f"{name}@{domain}") for name in ("postmaster", *_OTHERS))
    if decision.route is not None:
        return durable.keeps(decision.route.target)
    return decision.line not in {0, *(other.line for other in for_others)}
