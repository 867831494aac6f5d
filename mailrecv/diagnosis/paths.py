"""The places that a configuration names, and advice about paths that are written as for a shell.

No shell reads a path, so each of its characters is part of a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mailrecv.config.model import SYSLOG, Config
from mailrecv.diagnosis.advice import TARGET, Advice, Source, word_of

_PATH_WORD = 1  # of `deadletter_file PATH` and `logfile PATH`
_SHELL_WORD = re.compile(
    r"""^~[^/]*|\$[A-Za-z_]\w*|\$[{(][^})]*[})]?|[`'"\\*?]|\{[^{}]*(?:,|\.\.)[^{}]*\}|\[[^]/]+\]"""
    r"""|(?<=[ \t])[;&|<>]+|[;&|<>]+(?=[ \t]|$)""",  # within a word, as in R&D, these are more likely meant
)
_QUOTED = re.compile(r"(['\"])([^'\"]+)\1")
_EXPANDED = "~$`*?{["  # what such a word begins with where a shell would put something else in its place


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about all paths but those in commands."""
    for line, word, method, path in places_of(config, source):
        if method != "pipe" and (found := shell_word(path)) is not None:
            literally = "is not expanded here" if found[0] in _EXPANDED else "is part of the name here"
            yield source.advice(line, word, f"{found} {literally}: no shell reads this path", instead(path))


def places_of(config: Config, source: Source) -> Iterator[tuple[int, int, str, str]]:
    """Yield the line, the word on it, the method and the target of each place; `log` stands for the log file."""
    for rules in config.deliver.values():
        for rule in rules:
            yield rule.line, word_of(rule, TARGET), rule.method, rule.target
    if config.deadletter_file is not None:
        yield config.deadletter_line, _PATH_WORD, "append", config.deadletter_file
    if config.logfile != SYSLOG:
        yield source.line_of("logfile"), _PATH_WORD, "log", config.logfile


def shell_word(path: str) -> str | None:
    """Return the first part of a path that only a shell would understand, None when there is none."""
    match = _SHELL_WORD.search(path)
    return match and match[0]


def instead(path: str) -> str:
    """Return what to write in place of a path with such a part."""
    quoted = _QUOTED.fullmatch(path)
    if quoted:
        return f"write it without the quotes: {quoted[2]}"
    return "write the path in full, as in /var/lib/mailrecv/mbox"
