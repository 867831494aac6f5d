"""The one table of directives: what each is called, how it is written, and how its words are read.

A reader takes words from a `Words` and puts values into a `Draft`. `Draft.finish` checks what only the whole file can
tell, and makes the `Config`.
"""

from __future__ import annotations

from collections.abc import Callable

from mailrecv.config import DEBUG_FLAGS
from mailrecv.config.model import METHODS, ClientPattern, Config, Deliver, ErrorRule
from mailrecv.config.words import WordFault, Words
from mailrecv.limits import Limit, Limits, Switch
from mailrecv.values import Value

NO_SUCH_RECIPIENT = "No such recipient"
_GROUP = "a group's name, +NAME,"


class Draft:
    """A configuration while it is being read."""

    def __init__(self) -> None:
        self.scalars: dict[str, object] = {}
        self.limits: dict[str, Limit | Switch] = {}
        self.allow: list[ClientPattern] = []
        self.groups: dict[str, list[ClientPattern]] = {}
        self.deliver: dict[str, list[Deliver]] = {}
        self.errors: list[ErrorRule] = []
        self.directives: list[tuple[int, str]] = []
        self.group_uses: list[tuple[int, str, WordFault]] = []

    def undefined_groups(self) -> list[tuple[int, WordFault]]:
        """Return the line and the fault of each use of a group that no `allowgroup` line defines."""
        undefined = []
        for line, group, fault in self.group_uses:
            if group not in self.groups:
                other = group[1:] if group.startswith("+") else f"+{group}"  # a group of its own, and easily mistaken
                hint = f", did you mean {other}?" if other in self.groups else ""
                undefined.append((line, WordFault(fault.column, fault.width, fault.text + hint)))
        return undefined

    def finish(self, path: str) -> Config:
        """Return the finished configuration.  path: of its file."""
        return Config(
            path=path,
            allow=tuple(self.allow),
            groups={name: tuple(patterns) for name, patterns in self.groups.items()},
            deliver={address: tuple(rules) for address, rules in self.deliver.items()},
            errors=tuple(self.errors),
            limits=Limits(**self.limits),  # type: ignore[arg-type]
            directives=tuple(self.directives),
            **self.scalars,  # type: ignore[arg-type]
        )


class Directive(Value):
    """A directive.  usage: the words after its name, as in the manual.  read: takes draft, words and line number."""

    usage: str
    read: Callable[[Draft, Words, int], None]


def parse_debug_flags(flags: str) -> str:
    """Return the debug flags meant by a word; `-` means none. Raises ValueError for a letter that is no flag."""
    if flags == "-":
        return ""
    for flag in flags:
        if flag not in DEBUG_FLAGS:
            raise ValueError(f"unknown debug flag {flag}, the flags are {DEBUG_FLAGS}, or - for none")
    return flags


def _domain(draft: Draft, words: Words, line: int) -> None:
    draft.scalars["domain"] = words.word("the server's domain")
    words.end()


def _debug(draft: Draft, words: Words, line: int) -> None:
    flags = words.word(f"debug flags ({DEBUG_FLAGS}, or -)")
    try:
        draft.scalars["debug"] = parse_debug_flags(flags)
    except ValueError as error:
        raise words.fault(str(error)) from None
    words.end()


def _logfile(draft: Draft, words: Words, line: int) -> None:
    draft.scalars["logfile"] = words.word("syslog or a path")
    words.end()


def _loghex(draft: Draft, words: Words, line: int) -> None:
    draft.scalars["loghex"] = words.switch("loghex")
    words.end()


def _deadletter_file(draft: Draft, words: Words, line: int) -> None:
    draft.scalars["deadletter_file"] = words.word("a path")
    draft.scalars["deadletter_line"] = line
    words.end()


def _allow(draft: Draft, words: Words, line: int) -> None:
    words.one_of("what to allow", ("remotehost",))
    draft.allow.append(ClientPattern(line, words.client()))
    words.end()


def _allowgroup(draft: Draft, words: Words, line: int) -> None:
    name = words.word(_GROUP)
    patterns = draft.groups.setdefault(name, [])  # a bad pattern still defines the group: one fault is enough
    patterns.append(ClientPattern(line, words.client()))
    words.end()


def _deliver(draft: Draft, words: Words, line: int) -> None:
    group = None
    if words.one_of("allowgroup", ("allowgroup", "rcpt_to")) == "allowgroup":
        group = words.word(_GROUP)
        undefined = words.fault(f"group {group} has no allowgroup line")
        words.one_of("rcpt_to", ("rcpt_to",))  # else the name is what is missing, and one fault is enough
        draft.group_uses.append((line, group, undefined))
    address = words.word("a recipient's address").lower()
    if "<" in address or ">" in address:
        raise words.fault("an address without angle brackets expected")
    method = words.one_of("how to deliver", METHODS)
    if method == "pipe":
        target = words.rest("a command")
    else:
        target = words.word("a path")
        words.end()
    draft.deliver.setdefault(address, []).append(Deliver(line, address, group, method, target))


def _error(draft: Draft, words: Words, line: int) -> None:
    words.one_of("what to refuse", ("rcpt_to",))
    pattern = words.pattern("a recipient")
    draft.errors.append(ErrorRule(line, pattern, words.reply(NO_SUCH_RECIPIENT)))


def _replace(draft: Draft, words: Words, line: int) -> None:
    words.rest("what to replace")


def _limit_reader(name: str, default: Limit | Switch) -> Callable[[Draft, Words, int], None]:
    def read(draft: Draft, words: Words, line: int) -> None:
        if isinstance(default, Limit):
            number = words.number(f"limit.{name}", least=1 if name.endswith("_secs") else 0)
            draft.limits[name] = Limit(number, default.reply if words.empty() else words.reply(default.reply.text))
        else:
            on = words.switch(f"limit.{name}")
            draft.limits[name] = Switch(on, default.reply if words.empty() else words.reply(default.reply.text))

    return read


def _limits() -> dict[str, Directive]:
    defaults = Limits()
    directives = {}
    for name in Limits.__match_args__:
        default = getattr(defaults, name)
        value = "NUMBER" if isinstance(default, Limit) else "on|off"
        directives[f"limit.{name}"] = Directive(f"{value} [CODE TEXT...]", _limit_reader(name, default))
    return directives


DIRECTIVES: dict[str, Directive] = {
    "domain": Directive("NAME", _domain),
    "debug": Directive("FLAGS|-", _debug),
    "logfile": Directive("syslog|PATH", _logfile),
    "loghex": Directive("on|off", _loghex),
    "deadletter_file": Directive("PATH", _deadletter_file),
    "allow": Directive("remotehost CLIENT", _allow),
    "allowgroup": Directive("+NAME CLIENT", _allowgroup),
    "deliver": Directive("[allowgroup +NAME] rcpt_to ADDRESS append PATH|maildir DIR|pipe COMMAND...", _deliver),
    "error": Directive("rcpt_to REGEX CODE TEXT...", _error),
    **_limits(),
}

# Directives that files of the original mailrecv have, and that nobody should write today; `check` warns of each.
OLD_NAMES = {"ascii_smtp": "limit.smtp_ascii"}  # and what these are called today
OLD_DIRECTIVES: dict[str, Directive] = {
    "replace": Directive("REST...", _replace),
    **{old: DIRECTIVES[new] for old, new in OLD_NAMES.items()},
}
