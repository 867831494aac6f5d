"""Advice about lines that the original mailrecv understood otherwise, for files that were written for it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from mailrecv.config.directives import OLD_NAMES
from mailrecv.config.model import Config, Deliver
from mailrecv.diagnosis.advice import METHOD, Advice, Source, word_of
from mailrecv.diagnosis.host_patterns import matches
from mailrecv.diagnosis.samples import samples
from mailrecv.policy.client_patterns import ClientTest

_KNOWN = {
    *("domain", "debug", "logfile", "loghex", "deadletter_file", "allow", "allowgroup", "deliver", "error"),
    *("limit.smtp_commands", "limit.smtp_unknowncmd", "limit.smtp_failcmds", "limit.smtp_rcpt_to"),
    *("limit.smtp_data_size", "limit.connection_secs", "limit.smtp_ascii", "limit.fcrdns_check"),
    *("replace", "ascii_smtp"),
}
_KNOWN_METHODS = ("append", "pipe")


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about directives of the original's that nobody should write today, and about its order of lines."""
    for line, text in config.directives:
        name, *rest = text.split(maxsplit=1)
        if name == "replace":
            what = "this line does nothing, as in the original: every copy names its recipient as the client did"
            yield source.advice(line, 0, what, "remove it", to_end=True)
        elif name in OLD_NAMES:
            new = OLD_NAMES[name]
            yield source.advice(line, 0, f"this is the old name of {new}", f"write: {' '.join([new, *rest])}")
    if _may_be_the_original_s(config):
        for rules in config.deliver.values():
            yield from _append_after_pipe(config, rules, source)


def _may_be_the_original_s(config: Config) -> bool:
    """Say whether the original would have understood all that is in a file. In others the order of lines is meant."""
    methods = (rule.method for rules in config.deliver.values() for rule in rules)
    return {text.split(maxsplit=1)[0] for _, text in config.directives} <= _KNOWN and set(methods) <= {*_KNOWN_METHODS}


def _append_after_pipe(config: Config, rules: tuple[Deliver, ...], source: Source) -> Iterator[Advice]:
    """Yield advice about the lines for one address: the original tried those with `append` before those with `pipe`."""
    for at, rule in enumerate(rules):
        pipes = [one for one in rules[:at] if one.method == "pipe" and _share_clients(config, one.group, rule.group)]
        if rule.method == "append" and pipes:
            line = pipes[0].line
            text = f"line {line} comes before this line; the original tried all append lines before pipe lines"
            instead = f"to have the mail go where it went there: move it before line {line}"
            yield source.advice(rule.line, word_of(rule, METHOD), text, instead)


def _share_clients(config: Config, group: str | None, other: str | None) -> bool:
    """Say whether there are clients for certain that two lines admit, by their groups."""
    if group is None or other is None:
        return True
    pairs = itertools.product(*([rule.pattern for rule in config.groups[name]] for name in (group, other)))
    return any(one.text == another.text or _meet(one, another) or _meet(another, one) for one, another in pairs)


def _meet(test: ClientTest, other: ClientTest) -> bool:
    return any(matches(other, sample) for sample in samples(test.text))
