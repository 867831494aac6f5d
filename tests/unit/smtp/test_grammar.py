"""Command lines, names and paths."""

from __future__ import annotations

import pytest

from mailrecv.smtp.grammar import Command, Malformed, Path, parse_command, parse_name, parse_path
from mailrecv.smtp.states import TYPED, Verb

SYNTAX = "MAIL FROM:<address>"


def parse_reverse_path(path: bytes) -> Path:
    return parse_path(b"FROM:" + path, b"FROM", SYNTAX, reverse=True)


def parse_forward_path(path: bytes) -> Path:
    return parse_path(b"TO:" + path, b"TO", "RCPT TO:<address>", reverse=False)


@pytest.mark.parametrize("word", TYPED)
def test_every_verb_in_any_case(word: str) -> None:
    """Each verb is known in upper, lower and mixed case, alone and with an argument."""
    for spelling in (word.upper(), word.lower(), word.capitalize()):
        assert parse_command(spelling.encode()) == Command(Verb(word), b"")
        assert parse_command(spelling.encode() + b" \t x y \t") == Command(Verb(word), b"x y")


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"HEL",
        b"HELOx",
        b"HELO:",
        b" HELO",
        b"OPEN",
        b"END",
        b"STARTTLSx",
        b"MAILFROM:<>",
        b"QUIT\0",
        b"\xff",
    ],
)
def test_unknown_commands(line: bytes) -> None:
    """A line that does not begin with a verb of its own names no command; OPEN and END cannot be typed."""
    assert parse_command(line) is None


def test_helo_name() -> None:
    """HELO takes any name without control characters, and none."""
    assert parse_name(b"[192.0.2.7]") == "[192.0.2.7]"
    assert parse_name("bücher.example".encode()) == "bücher.example"
    assert parse_name(b"") == ""
    for argument in (b"a\0b", b"a\tb", b"a\nb", b"a\rb", b"\x7f"):
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
        (b'<""@c>', "", "c"),
        (rb"<Fred\ Bloggs@c>", "Fred Bloggs", "c"),
        (rb"Fred\ Bloggs@c", "Fred Bloggs", "c"),
        (b"\t<me@c>", "me", "c"),
        (b"< me@c>", "me", "c"),
        (b"<\tme@c  >", "me", "c"),
        (b"< >", "", ""),
        (b"Me <me@c>", "me", "c"),
        (b"Me<me@c>", "me", "c"),
        (b'"Me, myself" (and I) \t<me@c>', "me", "c"),
        (b"me@c <me@c>", "me", "c"),
        (b'Me <@a,@b:"m e"@c>', "m e", "c"),
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


NO_PATHS = [
    b"",
    b"<",
    b">",
    b"<me@d",
    b"me@d>",
    b"<<me@d>>",
    b"me@",
    b"me@(none)",
    b"a b@d",
    b'""',
    b"<me@d>x",
    b"<me@d>SIZE=1",
    b"<me@d> <you@d>",
    b"Me <me@d> x <y>",
    b"<a\0b@d>",
    b"<a\tb@d>",
    b"<a\rb@d>",
    b'<"a\nb"@d>',
    b"<me@d\x7f>",
    b"<me@d> \0",
    b"M\0e <me@d>",
    b"M\ne <me@d>",
    b"<me@d> SIZE=\0",
    b"Me < >",
    b"a b@c AUTH=<>",
]
NO_PATHS_OF_THE_GRAMMAR = [
    b"root@(none)",
    b"#@[]",
    b"me@",
    b"@d",
    b"@a,@b",
    b"@a,@b:",
    b"@a b:me@d",
    b"a b@d",
    b"a  b",
    b"a@b@c",
    b"a,b@c",
    b'"a@d',
    b'"a"b@d',
    b'""',
    b"me@[d",
    b"me@#",
    b"me@c.\\",
    b"\xff(\xfe)",
    "grün (é)@d".encode(),
]


@pytest.mark.parametrize("octets", NO_PATHS)
def test_no_paths(octets: bytes) -> None:
    """What is no path, or holds a control character, is a syntax error, of a sender and of a recipient."""
    for parse in (parse_reverse_path, parse_forward_path):
        with pytest.raises(Malformed) as fault:
            parse(octets)
        assert fault.value.code == 501


@pytest.mark.parametrize("octets", NO_PATHS_OF_THE_GRAMMAR)
def test_a_sender_of_any_form(octets: bytes) -> None:
    """What the grammar does not know is taken as it is written where it is the sender's, and in angle brackets."""
    text = octets.decode("utf-8", "surrogateescape")
    for written in (b"<" + octets + b">", b" Me <\t" + octets + b" > "):
        path = parse_reverse_path(written)
        assert (str(path), path.null) == (text, False)
        assert parse_reverse_path(b"<" + octets + b">") == path
        with pytest.raises(Malformed) as fault:
            parse_forward_path(written)
        assert fault.value.code == 501


@pytest.mark.parametrize("control", ["\x80", "\x85", "\x9f", "\u2028", "\u2029"])
def test_other_control_characters(control: str) -> None:
    """Nor does such a sender hold what ends a line, or steers a terminal, in Unicode."""
    with pytest.raises(Malformed) as fault:
        parse_reverse_path(f"<a{control}(b)@c>".encode())
    assert fault.value.code == 501


@pytest.mark.parametrize(
    "octets", [b"<-v>", b"-v@x", b'<"-v"@x>', b'<"-v w"@x>', rb"<\-v@x>", rb'<"\-"@x>', b"<@r,@s:-v@x>", b"Me <-@x>"]
)
def test_no_address_is_an_option(octets: bytes) -> None:
    """An address that a command could take for an option, however it is written, is refused, as is no other hyphen."""
    for parse, code in ((parse_reverse_path, 501), (parse_forward_path, 553)):
        with pytest.raises(Malformed) as fault:
            parse(octets)
        assert fault.value.code == code
        assert fault.value.text.endswith("must not begin with a hyphen")
        assert str(parse(b"<v-@-x>")) == "v-@-x"


def test_no_odd_sender_is_an_option() -> None:
    """Neither is a sender of another form, behind whatever blanks."""
    for octets in (b"<-v@(none)>", b"<  -v w>", b"Me <\t--help (x)>"):
        with pytest.raises(Malformed) as fault:
            parse_reverse_path(octets)
        assert fault.value.code == 501
    assert str(parse_reverse_path(b"<(-v)@x>")) == "(-v)@x"


PARAMETERS = [
    b"<me@d> SIZE=1000",
    b"me@d\tSIZE=1000",
    b"<> BODY=8BITMIME RET=HDRS",
    b"me@d AUTH=<>",
    b"<me@d> AUTH=<you@d>",
    b"< me@d> SIZE=",
    b"Me <me@d> \t SMTPUTF8",
]


@pytest.mark.parametrize("octets", [*PARAMETERS, b"<root@(none)> SIZE=1", b"Me <a b@c> BODY=7BIT SIZE=1"])
def test_parameters(octets: bytes) -> None:
    """A parameter after the path is 555, not a syntax error: the client may try without it."""
    with pytest.raises(Malformed) as fault:
        parse_reverse_path(octets)
    assert fault.value.code == 555


@pytest.mark.parametrize("octets", PARAMETERS)
def test_parameters_of_a_recipient(octets: bytes) -> None:
    """The same for a recipient."""
    with pytest.raises(Malformed) as fault:
        parse_forward_path(octets)
    assert fault.value.code == 555


@pytest.mark.parametrize("argument", [b"", b"<me@d>", b"FROM", b"FROM <me@d>", b"FROM :<me@d>", b"TO:<me@d>"])
def test_keyword(argument: bytes) -> None:
    """The keyword and its colon must be there; the refusal shows how."""
    with pytest.raises(Malformed) as fault:
        parse_path(argument, b"FROM", SYNTAX, reverse=True)
    assert fault.value.code == 501
    assert SYNTAX in fault.value.text


def test_keyword_in_any_case() -> None:
    """The keyword may be in any letter case."""
    assert parse_path(b"from:<me@d>", b"FROM", SYNTAX, reverse=True) == Path("me", "d")


def test_null_path() -> None:
    """`<>` is a path for MAIL alone."""
    assert parse_reverse_path(b"<>").null
    assert not parse_reverse_path(b"<me>").null
    for octets in (b"<>", b"< >", b"Me <>"):
        with pytest.raises(Malformed) as fault:
            parse_forward_path(octets)
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
        (Path("", "d"), '""@d'),
        (Path("root@(none)", "", as_written=True), "root@(none)"),
        (Path("a  b", "", as_written=True), "a  b"),
    ],
)
def test_str(path: Path, shown: str) -> None:
    """An address is shown with quotes only where it needs them, and reads back as the same path."""
    assert str(path) == shown
    assert parse_reverse_path(b"<" + shown.encode() + b">") == path
