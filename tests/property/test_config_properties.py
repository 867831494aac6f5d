"""Any file at all: the reader reads it or says what is wrong with it; and what is written well is read as written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailrecv.config import DEBUG_FLAGS
from mailrecv.config.directives import DIRECTIVES
from mailrecv.config.model import METHODS, Config
from mailrecv.config.reader import parse_config
from mailrecv.limits import Limit, Limits, Switch
from mailrecv.reply import Reply
from tests.support.configs import PATH
from tests.support.oracle import assert_read_or_faulty, assert_same_when_compiled

# --- any octets ---

fragments = st.one_of(
    st.sampled_from([*DIRECTIVES, *METHODS, "remotehost", "rcpt_to", "allowgroup", "+g", "on", "off", "-", "syslog"]),
    st.sampled_from(["421", "550", "0" * 5000, "9" * 5000, "a@b", "(a", "[z-a]", "(?", "\\", "(*UTF)", "#", "x#y"]),
    st.sampled_from([" ", "\t", "\r", "\n", "\r\n", " # ", "\ufeff", "\x9b", "é", "日"]),
    st.text(max_size=5),
).map(lambda text: text.encode("utf-8", "surrogatepass"))
files = st.one_of(
    st.binary(max_size=300),
    st.lists(fragments | st.binary(max_size=3), max_size=40).map(b" ".join),
    st.lists(st.lists(fragments, max_size=8).map(b" ".join), max_size=8).map(b"\n".join),
)


@given(files)
def test_any_octets_are_read_or_have_faults_with_places(octets: bytes) -> None:
    """The reader raises nothing but ConfigError, and each fault lies on a line of the file, or just behind its end."""
    assert_read_or_faulty(octets)


# --- a configuration made of valid values, as it is written and as it is to be read ---


@dataclass
class Expected:
    """What a file says, with patterns as their text."""

    scalars: dict[str, object] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    allow: list[str] = field(default_factory=list)
    groups: dict[str, list[str]] = field(default_factory=dict)
    deliver: dict[str, list[tuple[str | None, str, str]]] = field(default_factory=dict)
    errors: list[tuple[str, Reply]] = field(default_factory=list)


def found(config: Config) -> Expected:
    """Return what was read, in the form of what is expected."""
    names = ("domain", "debug", "logfile", "loghex", "deadletter_file")
    return Expected(
        {name: getattr(config, name) for name in names},
        config.limits,
        [rule.pattern.text for rule in config.allow],
        {name: [rule.pattern.text for rule in rules] for name, rules in config.groups.items()},
        {to: [(rule.group, rule.method, rule.target) for rule in rules] for to, rules in config.deliver.items()},
        [(rule.pattern.text, rule.reply) for rule in config.errors],
    )


blanks = st.text(" \t", min_size=1, max_size=3)
words = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters=" \t"), min_size=1, max_size=8
).filter(lambda word: not word.startswith("#"))
regular_expressions = st.sampled_from(
    [r"^mail[a-z0-9-]*\.google\.com$", r"\.example$", "^#x", "", "^2001:db8:"]
).flatmap(lambda start: st.from_regex(r"[a-z0-9é日]{1,5}", fullmatch=True).map(lambda end: f"{start}(?:{end})?"))
patterns = regular_expressions | st.sampled_from(["[192.0.2.9]", "[fe80::1%eth0]", "10.0.0.0/8", "2001:db8::/32"])
groups = st.sampled_from(["+google_servers", "+g", "+Ü"])
addresses = words.filter(lambda word: "<" not in word and ">" not in word)


@st.composite
def phrases(draw: st.DrawFn) -> str:
    """Return some words with the blanks between them."""
    first, *others = draw(st.lists(words, min_size=1, max_size=4))
    return first + "".join(draw(blanks) + word for word in others)


replies = st.builds(Reply, st.integers(400, 599), phrases())


@st.composite
def directives(draw: st.DrawFn, expected: Expected) -> list[str]:
    """Return the words of one directive, and note in `expected` what it says."""
    kind: Any = draw(st.sampled_from(["scalar", "limit", "allow", "allowgroup", "deliver", "error"]))
    match kind:
        case "scalar":
            name = draw(st.sampled_from(["domain", "debug", "logfile", "loghex", "deadletter_file"]))
            if name == "loghex":
                expected.scalars[name] = on = draw(st.booleans())
                return [name, "on" if on else "off"]
            word = draw(st.text(DEBUG_FLAGS, min_size=1) if name == "debug" else words)
            expected.scalars[name] = word
            return [name, word]
        case "limit":
            name = draw(st.sampled_from(list(Limits.__match_args__)))
            reply = draw(replies)
            limit: Limit | Switch
            if isinstance(getattr(Limits(), name), Switch):
                limit = Switch(draw(st.booleans()), reply)
                value = "on" if limit.on else "off"
            else:
                limit = Limit(draw(st.integers(1, 10**15)), reply)
                value = f"{limit.value:0{draw(st.integers(1, 40))}}"
            expected.limits = expected.limits.replace(**{name: limit})
            return [f"limit.{name}", value, str(reply.code), reply.text]
        case "allow":
            expected.allow.append(pattern := draw(patterns))
            return ["allow", "remotehost", pattern]
        case "allowgroup":
            group, pattern = draw(groups), draw(patterns)
            expected.groups.setdefault(group, []).append(pattern)
            return ["allowgroup", group, pattern]
        case "deliver":
            to, method = draw(addresses), draw(st.sampled_from(METHODS))
            admitted = draw(st.sampled_from([None, *expected.groups]))
            target = draw(phrases() if method == "pipe" else words)
            expected.deliver.setdefault(to.lower(), []).append((admitted, method, target))
            return ["deliver", *(["allowgroup", admitted] if admitted else []), "rcpt_to", to, method, target]
        case _:
            pattern, reply = draw(patterns), draw(replies)
            expected.errors.append((pattern, reply))
            return ["error", "rcpt_to", pattern, str(reply.code), reply.text]


@st.composite
def written(draw: st.DrawFn) -> tuple[bytes, Expected]:
    """Return a file, with blanks, comments and line ends of any kind, and what it says."""
    expected = Expected(found(Config(path=PATH)).scalars)
    end = draw(st.sampled_from(["\n", "\r\n"]))
    lines = []
    for _ in range(draw(st.integers(0, 8))):
        line = "".join(word + draw(blanks) for word in draw(directives(expected)))
        comment = draw(st.sampled_from(["", "# comment", "#"]))
        lines += [
            draw(st.just("") | blanks) + line + comment,
            *draw(st.lists(st.sampled_from(["", " ", "# x"]), max_size=1)),
        ]
    return (draw(st.sampled_from(["", "\ufeff"])) + end.join(lines)).encode(), expected


@given(written())
def test_a_configuration_is_read_as_it_is_written(file: tuple[bytes, Expected]) -> None:
    """Whatever valid values a file holds, in whatever layout, they are read back."""
    octets, expected = file
    assert found(parse_config(octets, PATH)) == expected


@given(written())
def test_a_compiled_configuration_says_the_same(file: tuple[bytes, Expected]) -> None:
    """Whatever valid values a file holds, its compiled form holds them, too."""
    octets, _ = file
    assert_same_when_compiled(octets)
