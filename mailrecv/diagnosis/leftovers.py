"""Advice about what becomes of mail that no line speaks of, and of copies that could not be delivered."""

from __future__ import annotations

from collections.abc import Iterator

from mailrecv.client import Client
from mailrecv.config.model import Config
from mailrecv.delivery import durable
from mailrecv.diagnosis.advice import Advice, Source
from mailrecv.policy import recipients

_ERROR = "error rcpt_to . 550 No one here by that name."
_NAMES = ("nobody", "someone", "x7q9")  # such as may have no line of their own
_MAX_DOMAINS = 8  # of those in deliver lines that are tried
_PATH_WORD = 1  # of `deadletter_file PATH`


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about `deadletter_file`, and about its absence."""
    if config.deadletter_file is not None:
        if not durable.keeps(config.deadletter_file):
            text = f"{config.deadletter_file} keeps nothing: mail for other recipients is accepted and lost"
            instead = f"name a file, or remove this line and write: {_ERROR}"
            if _unknown_recipient(config) is None:
                text = f"{config.deadletter_file} keeps nothing: no copy is saved there"
                instead = "name a file, or remove this line"
            yield source.advice(config.deadletter_line, _PATH_WORD, text, instead)
    elif not config.deliver:
        if not config.errors:
            text = f"there is no deliver line: every recipient is refused with {recipients.NO_SUCH_RECIPIENT}"
            yield source.advice_for_all(text, "write: deliver rcpt_to ADDRESS append PATH")
    elif (unknown := _unknown_recipient(config)) is not None:
        lines = [rule.line for rule in config.errors]
        last = max(lines + [rule.line for several in config.deliver.values() for rule in several])
        text = f"no line speaks of other recipients: {unknown} is refused with {recipients.NO_SUCH_RECIPIENT}"
        instead = f"to choose that, write below this line: {_ERROR}\n    to keep their mail: deadletter_file PATH"
        yield source.advice(last, 0, text, instead)


def _unknown_recipient(config: Config) -> str | None:
    """Return a recipient that no `deliver` and no `error` line speaks of, or None when none was found."""
    client = Client("127.0.0.1", name="localhost")
    domains = {address.partition("@")[2] for address in config.deliver} - {""}
    for domain in sorted(domains)[:_MAX_DOMAINS] or [config.domain or "localhost"]:
        for name in _NAMES:
            decision = recipients.route(config, client, f"{name}@{domain}")
            if decision.line in (0, config.deadletter_line):
                return f"{name}@{domain}"
    return None
