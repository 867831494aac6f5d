"""The command line: what it understands, what it prints, and with which exit status it ends."""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mailrecv import __version__, cli
from mailrecv.__main__ import session_options
from mailrecv.cli import listen
from mailrecv.cli.arguments import ACTIONS
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
    path.write_text("domain mydomain.com\nerror rcpt_to . 550 No one here by that name.\n")
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


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["-c", "x", "check"],
        ["--version"],
        ["-c", "x", "-h"],
        ["-help"],
        ["-d", "s", "-help"],
        ["listen"],
        ["report", "--top", "0"],
        ["-c", "x", "trace"],
    ],
)
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


WARNING = """\
{file}:2:18: warning: the pattern also matches evilgoogle.com
    allow remotehost google\\.com$
                     ^~~~~~~~~~~~
    write: (^|\\.)google\\.com$
"""


def test_check_warns(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is surely not meant is printed with its line, a caret and what to write; that is no failure."""
    file.write_text("error rcpt_to . 550 No\nallow remotehost google\\.com$\n")
    assert cli.run(["check", "-c", str(file)]) == 0
    assert capsys.readouterr() == (WARNING.format(file=file), "")


def test_check_strictly(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --strict a warning is a failure, another one than a fault."""
    assert cli.run(["check", "--strict", "-c", str(file)]) == 0
    file.write_text("error rcpt_to . 550 No\nallow remotehost google\\.com$\n")
    assert cli.run(["check", "--strict", "-c", str(file)]) == 1
    assert capsys.readouterr() == (WARNING.format(file=file), "")
    file.write_text("domian x\n")
    assert cli.run(["check", "--strict", "-c", str(file)]) == 78


def test_check_quietly(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With -q the exit status alone tells, of warnings with --strict."""
    for text, strict, status in [
        ("domian x", 78, 78),
        ("allow remotehost google", 1, 0),
        ("error rcpt_to . 550", 0, 0),
    ]:
        file.write_text(text)
        assert cli.run(["check", "-q", "-c", str(file)]) == status
        assert cli.run(["check", "-q", "--strict", "-c", str(file)]) == strict
    assert capsys.readouterr() == ("", "")


def test_check_without_root(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Who cannot try the places as the service is told so, and that is no warning."""
    lines = [f"deliver rcpt_to {name}@b append {file}" for name in ("a", "postmaster")]
    file.write_text("\n".join([*lines, "error rcpt_to . 550 No"]))
    monkeypatch.setattr(os, "geteuid", lambda: file.stat().st_uid or 4242)
    file.chmod(0o644)
    assert cli.run(["check", "--strict", "--user", "daemon", "-c", str(file)]) == 0
    note = "mailrecv: mailboxes and commands were not tried: only root can try what the user daemon may do\n"
    assert capsys.readouterr() == ("", note)


@pytest.mark.parametrize("action", [["check"], ["explain", "--client", "127.0.0.1", "a@b"]])
def test_a_user_that_does_not_exist(file: Path, action: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A user that the service cannot run as is told, with what makes one: exit status 67."""
    assert cli.run([*action, "--user", "nosuchuser", "-c", str(file)]) == 67
    said = (
        "mailrecv runs as the user nosuchuser, as --user says, but there is none; adduser --system --group nosuchuser"
    )
    assert said in capsys.readouterr().err


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
        ["-d"],
        ["-c", "x", "-d"],
        ["-ds", "-d"],
    ],
    ids=str,
)
def test_options_of_a_session(arguments: list[str]) -> None:
    """They are the same as argparse has them."""
    assert session_options(arguments) == vars(parse(arguments))


@pytest.mark.parametrize("arguments", [["-d"], ["-c", "x", "-d"], ["listen", "2525", "-d"], ["-d", "s", "-d"]], ids=str)
def test_debug_without_flags(arguments: list[str]) -> None:
    """-d as the last word stands for all flags."""
    assert parse(arguments).debug == "a"


@pytest.mark.parametrize(
    "arguments",
    [
        ["x"],
        ["check"],
        ["-c"],
        ["-d", "q"],
        ["-c", "-d"],
        ["-d", "-c", "x"],
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


# explain


@pytest.mark.parametrize(
    "line, recipient, status",
    [
        ("deliver rcpt_to a@b append {}/mbox", "a@b", 0),
        ("deliver rcpt_to a@b append {}/mbox", "<@relay:A@b>", 0),
        ("deliver rcpt_to a@b append /dev/null", "a@b", 0),
        ("deliver rcpt_to a@b append {}/missing/mbox", "a@b", 1),
        ("error rcpt_to . 450 Later", "a@b", 1),
        ("deliver rcpt_to a@b append {}/mbox", "c@d", 1),
        ("domian x", "a@b", 78),
    ],
)
def test_explain(tmp_path: Path, line: str, recipient: str, status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit status says whether the mail would be taken; the configuration has to be free of faults."""
    file = tmp_path / "mailrecv.conf"
    file.write_text(line.replace("{}", str(tmp_path)))
    arguments = ["explain", "-c", str(file), "--client", "127.0.0.1", recipient]
    assert cli.run(arguments) == status
    output = capsys.readouterr()
    assert f"{file}:1:" in output.out or recipient == "c@d"
    assert ("every client is told 421" in output.err) == (status == 78)
    assert cli.run([*arguments, "--json"]) == status
    if status != 78:
        assert (json.loads(capsys.readouterr().out)["fate"] in ("delivered", "discarded")) == (status == 0)


def test_explain_with_a_name_and_a_sender(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The client's name and the sender may be given; `unknown` is what the log calls a client without a name."""
    arguments = ["explain", "-c", str(file), "--client", "2001:DB8:0::7", "a@b"]
    assert cli.run([*arguments, "--client-name", "Mail.Example.", "--sender", "me@client"]) == 1
    output = capsys.readouterr().out
    assert "Hello mail.example [2001:db8::7]" in output
    assert "C: MAIL FROM:<me@client>\n" in output
    assert cli.run([*arguments, "--client-name", "unknown"]) == 1
    assert "limit.fcrdns_check, on by default, turns away" in capsys.readouterr().out


def test_explain_asks_dns(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a name DNS is asked for it, and each step of that is shown."""
    monkeypatch.setattr("socket.gethostbyaddr", lambda address: ("mail.example", [], []))
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("192.0.2.8", 0))])
    assert cli.run(["explain", "-c", str(file), "--client", "192.0.2.7", "a@b"]) == 1
    assert "DNS: 192.0.2.7 is named mail.example, which is 192.0.2.8\n" in capsys.readouterr().out


def test_explain_is_interrupted(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while DNS is asked ends it without a traceback."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mailrecv.client.within", interrupt)
    assert cli.run(["explain", "-c", str(file), "--client", "192.0.2.7", "a@b"]) == 130


# Usage


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["--verson"], "unrecognized arguments: --verson; did you mean --version?\n"),
        (["no-such-action"], f"unknown action no-such-action, the actions are {', '.join(ACTIONS)}\n"),
        (["chek", "-c", "x"], f"unknown action chek, the actions are {', '.join(ACTIONS)}; did you mean check?\n"),
        (["check", "--strct"], "mailrecv check: unrecognized arguments: --strct; did you mean --strict?\n"),
        (["explain", "--client", "::1"], "the following arguments are required: RECIPIENT"),
        (["explain", "a@b"], "the following arguments are required: --client"),
        (["explain", "--client", "mail.example", "a@b"], "mail.example is no IP address, such as 192.0.2.7 or"),
        (["explain", "--client", "1.2.3", "a@b"], "1.2.3 is no IP address"),
        (["explain", "--client", "::1", "--client-name", "a b", "c@d"], "a b is no host name"),
        (["explain", "--client", "::1", "--client-name", "1.2.3.4", "c@d"], "1.2.3.4 is no host name"),
        (["explain", "--client", "::1", "a@b\r\nRCPT TO:<c@d>"], "an address is one line"),
        (["-c"], "expected one argument"),
        (["-d", "-c", "x"], "expected one argument"),
        (["-c", "-d"], "argument -c: expected one argument"),
        (["-d", "check"], "argument -d: unknown debug flag e"),
        (["check", "-d"], "unrecognized arguments: -d"),
        (["trace", "--", "a@b", "-d"], "unrecognized arguments: -d\n"),
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


@pytest.mark.parametrize(
    "arguments, shown",
    [
        (["--version"], f"mailrecv {__version__}\n"),
        *(([option], "usage: mailrecv [-h] ") for option in ("-h", "-help", "--help")),
        *((["check", option], "usage: mailrecv check [-h] ") for option in ("-h", "-help", "--help")),
    ],
)
def test_information(arguments: list[str], shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--version, and --help in all its forms, print what they are for: exit status 0."""
    assert session_options(arguments) is None
    assert cli.run(arguments) == 0
    assert capsys.readouterr().out.startswith(shown)


@pytest.mark.parametrize(
    "address, complaint",
    [
        ("192.0.2.7:0", "192.0.2.7:0: Cannot assign requested address; this machine has no such address, but those"),
        ("[2001:db8::7]:0", "[2001:db8::7]:0: Cannot assign requested address; this machine has no such address"),
        ("no-such-name.invalid:0", "no-such-name.invalid:0: "),
    ],
)
def test_listen_at_an_address_that_is_not_here(
    file: Path, address: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An address that cannot be listened at is told, with what to do: exit status 69."""
    assert cli.run(["listen", "-c", str(file), address]) == 69
    assert capsys.readouterr().err.startswith(f"mailrecv: cannot listen on {complaint}")


def test_listen_at_a_port_that_is_taken(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is told how to find the program that has the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert cli.run(["listen", "-c", str(file), f"127.0.0.1:{port}"]) == 69
    assert capsys.readouterr().err == (
        f"mailrecv: cannot listen on 127.0.0.1:{port}: Address already in use; another program has this port, and "
        f"ss -ltnp 'sport = {port}' shows which\n"
    )


def test_listen_at_a_privileged_port(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who may not open the port is told who may, and which ports are open to all."""

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("socket.socket.bind", refuse)
    assert cli.run(["listen", "-c", str(file), "127.0.0.1:25"]) == 69
    assert capsys.readouterr().err == (
        "mailrecv: cannot listen on 127.0.0.1:25: Permission denied; ports below 1024 are root's: let systemd listen "
        "there (mailrecv.socket), or take one such as 2525\n"
    )


# Standard output


def run_into(file: Path, redirection: str) -> str:
    """Run `mailrecv check` with a warning to print, in a shell; return its standard error and exit status."""
    file.write_text("allow remotehost google\n")
    command = f"({sys.executable} -m mailrecv check -c {file}; echo $? >&2) {redirection}"
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)  # noqa: S602 - see above
    return ended.stderr


def test_a_reader_that_leaves(file: Path) -> None:
    """Whoever reads the output may stop when they have seen enough, and that is no failure."""
    assert run_into(file, "| { exec <&-; sleep 0.7; }") == "0\n"


def test_output_that_cannot_be_written(file: Path) -> None:
    """A full disk is told in a line: exit status 74."""
    said = "mailrecv: standard output cannot be written: No space left on device\n74\n"
    assert run_into(file, ">/dev/full") == said
