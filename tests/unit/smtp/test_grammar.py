"""Command lines, names and paths."""

from __future__ import annotations

import pytest

from mailrecv.smtp.grammar import Command, Malformed, Path, parse_command, parse_name, parse_path
from mailrecv.smtp.states import TYPED, Verb

SYNTAX = "MAIL FROM:<address>"


def parse_reverse_path(path: bytes) -> Path:
    return parse_path(b"FROM:" + path, b"FROM", SYNTAX, allow_null=True)


@pytest.mark.parametrize("word", TYPED)
def test_every_verb_in_any_case(word: str) -> None:
    """Each verb is known in upper, lower and mixed case, alone and with an argument."""
    for spelling in (word.upper(), word.lower(), word.capitalize()):
        assert parse_command(spelling.encode()) == Command(Verb(word), b"")
        assert parse_command(spelling.encode() + b" \t x y \t") == Command(Verb(word), b"x y")


@pytest.mark.parametrize(
    "line",
    [b"", b" ", b"HEL", b"HELOx", b"HELO:", b" HELO", b"OPEN", b"END", b"STARTTLS", b"MAILFROM:<>", b"QUIT\0", b"\xff"],
)
def test_unknown_commands(line: bytes) -> None:
    """A line that does not begin with a verb of its own names no command; OPEN and END cannot be typed."""
    assert parse_command(line) is None


def test_helo_name() -> None:
    """HELO takes any name without control characters."""
    assert parse_name(b"[192.0.2.7]") == "[192.0.2.7]"
    assert parse_name("bücher.example".encode()) == "bücher.example"
    for argument in (b"", b"a\0b", b"a\tb", b"a\nb", b"a\rb", b"\x7f"):
        with pytest.raises(Malformed) as fault:
            parse_name(argument)
        assert fault.value.code == 501


@pytest.mark.parametrize(
    "octets, local_part, domain",
    [
        (b"<>", "", ""),
        (b" <>", "", ""),
        (b"<me@mydomain.com>", "me", "mydomain.com"),
        (b" \t<me@mydomain.com> ", "me", "mydomain.com"),
        (b"me@mydomain.com", "me", "mydomain.com"),
        (b"me", "me", ""),
        (b"<Me@MyDomain.COM>", "Me", "MyDomain.COM"),
        (b"<.a..b.@mydomain.com>", ".a..b.", "mydomain.com"),
        (b"<a+b=c/d!e#f$g%h&i'j*k-l?m^n_o`p{q|r}s~t@d>", "a+b=c/d!e#f$g%h&i'j*k-l?m^n_o`p{q|r}s~t", "d"),
        (b'<"a b"@c>', "a b", "c"),
        (b'"a b"@c', "a b", "c"),
        (b'<"<"@c>', "<", "c"),
        (b'"<"@c', "<", "c"),
        (b'<"me"@c>', "me", "c"),
        (rb'<"a\"b\\c"@d>', 'a"b\\c', "d"),
        (rb"<a\@b@c>", "a@b", "c"),
        (b"<me@[192.0.2.7]>", "me", "[192.0.2.7]"),
        (b"<me@[IPv6:2001:db8::1]>", "me", "[IPv6:2001:db8::1]"),
        (b"<me@#12345>", "me", "#12345"),
        (b"<@a:me@d>", "me", "d"),
        (b"<@a,@b.example,@[192.0.2.7]:me@d>", "me", "d"),
        (b"<@a,@b:me>", "me", ""),
        ("<grün@bücher.example>".encode(), "grün", "bücher.example"),
        (b"<gr\xfcn@d>", "gr\udcfcn", "d"),
        (b"<" + b"a" * 200 + b"@" + b"d" * 99 + b">", "a" * 200, "d" * 99),
    ],
)
def test_paths(octets: bytes, local_part: str, domain: str) -> None:
    """A path may come without brackets, after a blank, quoted, escaped, routed, in any encoding and rather long."""
    assert parse_reverse_path(octets) == Path(local_part, domain)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<",
        b">",
        b"<me@d",
        b"me@d>",
        b"<<me@d>>",
        b"<me@>",
        b"me@",
        b"<@d>",
        b"<@a,@b>",
        b"<@a,@b:>",
        b"<@a b:me@d>",
        b"<a b@d>",
        b"<a@b@c>",
        b"<a,b@c>",
        b'<""@d>',
        b'<"a@d>',
        b'<"a"b@d>',
        b"<me@d>x",
        b"<me@[d>",
        b"<me@#>",
        b"<a\0b@d>",
        b"<a\rb@d>",
        b'<"a\nb"@d>',
        b"<me@d\x7f>",
        b"<me@d> \0",
    ],
)
def test_no_paths(octets: bytes) -> None:
    """What is no path, or holds a control character, is a syntax error."""
    with pytest.raises(Malformed) as fault:
        parse_reverse_path(octets)
    assert fault.value.code == 501


@pytest.mark.parametrize("octets", [b"<me@d> SIZE=1000", b"me@d\tSIZE=1000", b"<> BODY=8BITMIME RET=HDRS"])
def test_parameters(octets: bytes) -> None:
    """A parameter after the path is 555, not a syntax error: the client may try without it."""
    with pytest.raises(Malformed) as fault:
        parse_reverse_path(octets)
    assert fault.value.code == 555


@pytest.mark.parametrize("argument", [b"", b"<me@d>", b"FROM", b"FROM <me@d>", b"FROM :<me@d>", b"TO:<me@d>"])
def test_keyword(argument: bytes) -> None:
    """The keyword and its colon must be there; the refusal shows how."""
    with pytest.raises(Malformed) as fault:
        parse_path(argument, b"FROM", SYNTAX, allow_null=True)
    assert fault.value.code == 501
    assert SYNTAX in fault.value.text


def test_keyword_in_any_case() -> None:
    """The keyword may be in any letter case."""
    assert parse_path(b"from:<me@d>", b"FROM", SYNTAX, allow_null=True) == Path("me", "d")


def test_null_path() -> None:
    """`<>` is a path for MAIL alone."""
    assert parse_reverse_path(b"<>").null
    assert not parse_reverse_path(b"<me>").null
    with pytest.raises(Malformed) as fault:
        parse_path(b"TO:<>", b"TO", "RCPT TO:<address>", allow_null=False)
    assert fault.value.code == 501


@pytest.mark.parametrize(
    "path, shown",
    [
        (Path("", ""), ""),
        (Path("me", ""), "me"),
        (Path("me", "d"), "me@d"),
        (Path("a.b+c", "d"), "a.b+c@d"),
        (Path("grün", "d"), "grün@d"),
        (Path("a b", "c"), '"a b"@c'),
        (Path("<", "c"), '"<"@c'),
        (Path('a"b\\c', "d"), r'"a\"b\\c"@d'),
        (Path("a@b", ""), '"a@b"'),
    ],
)
def test_str(path: Path, shown: str) -> None:
    """An address is shown with quotes only where it needs them, and reads back as the same path."""
    assert str(path) == shown
    assert parse_reverse_path(b"<" + shown.encode() + b">") == path
