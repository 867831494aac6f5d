"""The command line: what it understands, what it prints, and with which exit status it ends."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mailrecv import __version__, cli
from mailrecv.__main__ import session_options
from mailrecv.cli import listen
from mailrecv.cli.parser import parse
from mailrecv.config.compiled import name_for, open_compiled


@pytest.fixture(autouse=True)
def no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the standard streams of the tests alone, whatever they are."""
    monkeypatch.setattr(cli, "take_socket", lambda: None)


@pytest.fixture
def file(tmp_path: Path, cache: Path) -> Path:
    """A configuration."""
    path = tmp_path / "mailrecv.conf"
    path.write_text("domain mydomain.com\n")
    return path


@pytest.mark.parametrize(
    "text, address",
    [
        ("25", ("127.0.0.1", 25)),
        (":25", ("127.0.0.1", 25)),
        ("0", ("127.0.0.1", 0)),
        ("192.0.2.7:2525", ("192.0.2.7", 2525)),
        ("localhost:65535", ("localhost", 65535)),
        ("[::1]:2525", ("::1", 2525)),
        ("[::]:25", ("::", 25)),
    ],
)
def test_parse_address(text: str, address: tuple[str, int]) -> None:
    """An address and a port, or a port alone."""
    assert listen.parse_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "localhost", "127.0.0.1:", "127.0.0.1:smtp", "65536", "-1", "²", "1.5"])
def test_parse_address_without_a_port(text: str) -> None:
    """Whatever has no port from 0 to 65535 at its end is refused, and the message says so."""
    with pytest.raises(ValueError, match="a port from 0 to 65535 expected"):
        listen.parse_address(text)


@pytest.mark.parametrize("text", ["::1:2525", "fe80::1:25"])
def test_parse_address_without_brackets(text: str) -> None:
    """An IPv6 address without brackets is refused: where it ends cannot be told."""
    with pytest.raises(ValueError, match=r"needs brackets, as in \[::1\]:2525"):
        listen.parse_address(text)


# A client's socket


class Taken(BaseException):
    """The program took the client's socket."""


def take() -> None:
    raise Taken


@pytest.mark.parametrize(
    "arguments",
    [[], ["-c", "check"], ["-d", "s", "-l", "listen"], ["-c", "--help", "--nonsense"], ["serve"], ["--", "x"]],
    ids=" ".join,
)
def test_a_client_s_socket_is_taken_first(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A command line that asks for a session, rightly or wrongly written, prints only where no client can be."""
    monkeypatch.setattr(cli, "take_socket", take)
    with pytest.raises(Taken):
        cli.run(arguments)


@pytest.mark.parametrize("arguments", [["check"], ["-c", "x", "check"], ["--version"], ["-c", "x", "-h"], ["listen"]])
def test_what_a_person_asks_is_answered_on_any_stream(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person reads goes to the standard streams, even if these are sockets, as ssh makes them."""
    monkeypatch.setattr(cli, "take_socket", take)
    assert cli.run(arguments) in (0, 64, 78)


# check


def test_check(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration without faults is 0, and nothing is printed."""
    assert cli.run(["check", "-c", str(file)]) == 0
    assert cli.run(["-c", str(file), "check"]) == 0
    assert capsys.readouterr() == ("", "")


def test_check_with_faults(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every fault is printed, with its line and a caret under the word, and the exit status is 78."""
    file.write_text("domian mydomain.com\n\n  error rcpt_to  (x  550 No\n")
    assert cli.run(["check", "-c", str(file)]) == 78
    assert capsys.readouterr().out == (
        f"{file}:1:1: unknown directive domian, did you mean domain?\n"
        "    domian mydomain.com\n"
        "    ^~~~~~\n"
        f"{file}:3:20: bad pattern: missing closing parenthesis, at offset 2\n"
        "      error rcpt_to  (x  550 No\n"
        "                       ^\n"
    )


@pytest.mark.parametrize("name", ["missing", "not UTF-8: \udcff", "a NUL: \0"])
def test_check_of_a_file_that_cannot_be_read(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that cannot be read is a fault too, whatever its name."""
    assert cli.run(["check", "-c", f"{tmp_path}/{name}"]) == 78
    assert ": cannot be read: " in capsys.readouterr().out


def test_check_compiles(file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --compile the next session has the configuration compiled; a change of a moment ago is waited for."""
    assert cli.run(["check", "--compile", "-c", str(file)]) == 0
    assert capsys.readouterr() == ("", "")
    assert open_compiled(str(file)) is not None


def test_check_compiles_no_faults(file: Path, cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A configuration with faults is not compiled: they are printed as ever."""
    for path in (file, file.with_name("missing")):
        file.write_text("domian x\n")
        assert cli.run(["check", "--compile", "-c", str(path)]) == 78
    assert capsys.readouterr().out.count("\n") == 4
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "trouble, complaint",
    [
        ("no directory", "No such file or directory"),
        ("logged", "the debug flags a and c have every session read the file itself"),
        ("a clock ahead", "was changed a moment ago, or by a clock that is ahead"),
    ],
)
def test_check_that_cannot_compile(
    file: Path, cache: Path, trouble: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """What keeps it from being compiled is told on standard error: exit status 73."""
    match trouble:
        case "no directory":
            cache.rmdir()
        case "logged":
            file.write_text("domain mydomain.com\ndebug sc\n")
        case "a clock ahead":
            os.utime(file, (time.time() + 3600,) * 2)
    assert cli.run(["check", "--compile", "-c", str(file)]) == 73
    assert capsys.readouterr() == (
        "",
        f"mailrecv: cannot compile into {name_for(str(file))}: {complaint}\n",
    )


# What __main__ takes for a session without argparse


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-c", "x"],
        ["-cx"],
        ["-c", "x", "-c", "y", "-d", "s", "-l", "log"],
        ["-d", "-"],
        ["-d-"],
        ["-l", ""],
        ["-dsrw+F", "-lsyslog"],
    ],
    ids=str,
)
def test_options_of_a_session(arguments: list[str]) -> None:
    """They are the same as argparse has them."""
    assert session_options(arguments) == vars(parse(arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        ["x"],
        ["check"],
        ["-c"],
        ["-d", "q"],
        ["-c", "-d"],
        ["-l", "--help"],
        ["-c=x"],
        ["--config", "x"],
        ["-h"],
        ["--"],
    ],
    ids=str,
)
def test_all_other_command_lines(arguments: list[str]) -> None:
    """Whatever is no session, or may be wrong, or may mean something else to argparse, is left to argparse."""
    assert session_options(arguments) is None


# Usage


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["no-such-action"], "invalid choice: 'no-such-action'"),
        (["-c"], "expected one argument"),
        (["-d", "sq"], "unknown debug flag q, the flags are acfFhlrsw+, or - for none"),
        (["listen"], "the following arguments are required: [ADDRESS:]PORT"),
        (["listen", "::1:25"], "needs brackets"),
        (["check", "-d", "s"], "unrecognized arguments"),
    ],
)
def test_usage_error(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A usage error is told on standard error, and nothing else is done: exit status 64."""
    assert cli.run(arguments) == 64
    output = capsys.readouterr()
    assert complaint in output.err
    assert output.out == ""


@pytest.mark.parametrize("option, shown", [("--version", f"mailrecv {__version__}\n"), ("--help", "usage: mailrecv ")])
def test_information(option: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--version and --help print what they are for: exit status 0."""
    assert cli.run([option]) == 0
    assert capsys.readouterr().out.startswith(shown)


def test_listen_at_a_name_that_does_not_exist(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An address that cannot be listened at is told: exit status 69."""
    assert cli.run(["listen", "-c", str(file), "192.0.2.7:0"]) == 69
    assert capsys.readouterr().err == "mailrecv: cannot listen on 192.0.2.7:0: Cannot assign requested address\n"
