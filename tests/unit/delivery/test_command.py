"""Messages handed to commands: what a command gets, how it may end, and what it may not do to the server."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mailrecv.delivery import command
from mailrecv.delivery.command import MAX_OUTPUT_LINES, MAX_OUTPUT_OCTETS
from mailrecv.delivery.message import Message
from mailrecv.delivery.outcome import Outcome, Status
from tests.support.delivery import NOBODY, RECIPIENT, a_message, copy_of, in_child, open_descriptors

ODD = b"Subject: x\n\nFrom x\n>From y\n\0\r\xff\n"
LARGE = b"Subject: large\n\n" + b"0123456789abcde\n" * 1_250_000  # 20 MB

LEFT_OUT = "(there was more output, it is left out)"


@pytest.fixture(autouse=True)
def _no_descriptor_is_leaked() -> Iterator[None]:
    """No delivery leaves a descriptor open, however the command ends."""
    before = open_descriptors()
    yield
    assert open_descriptors() == before


def run(shell_command: str, message: Message | None = None, recipient: str = RECIPIENT, seconds: float = 20) -> Outcome:
    message = message or a_message()
    with closing(message.data):
        return command.run(message, recipient, shell_command, time.monotonic() + seconds)


def output_of(shell_command: str, message: Message | None = None, recipient: str = RECIPIENT) -> list[str]:
    """Return what a command prints that has to succeed."""
    outcome = run(shell_command, message, recipient)
    assert outcome.status is Status.DELIVERED, outcome
    return list(outcome.output)


@contextmanager
def faster_than(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


# What a command gets


@pytest.mark.parametrize("data", [b"", ODD, LARGE], ids=["empty", "odd", "large"])
def test_standard_input(tmp_path: Path, data: bytes) -> None:
    """A command reads a From line and the copy, nothing quoted, and then the end of its input."""
    message = a_message(data)
    expected = message.from_line() + copy_of(message)
    output_of(f"cat >{tmp_path}/read", message)
    assert (tmp_path / "read").read_bytes() == expected


def test_each_recipient_has_a_copy() -> None:
    """The copy that a command reads is the one of its recipient."""
    [received] = output_of("grep ^Received:", recipient="you@there.example")
    assert "for <you@there.example>;" in received


def environment_of(message: Message, recipient: str = RECIPIENT) -> dict[bytes, bytes]:
    """Return the environment with which the shell was started, as the kernel has it."""
    lines = output_of("tr '\\0' '\\n' </proc/$$/environ", message, recipient)
    pairs = [line.encode("utf-8", "surrogateescape").partition(b"=") for line in lines]
    return {name: value for name, _, value in pairs}


def test_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is exactly what is promised, and nothing of the server's own."""
    monkeypatch.setenv("LANG", "en_GB.UTF-8")
    monkeypatch.setenv("LISTEN_FDS", "1")
    message = a_message(b"12345", helo="helo.example (x)")
    assert environment_of(message) == {
        b"PATH": b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        b"HOME": pwd.getpwuid(os.geteuid()).pw_dir.encode(),
        b"LANG": b"en_GB.UTF-8",
        b"SENDER": b"me@client.example",
        b"RECIPIENT": b"status@mydomain.com",
        b"LOCAL": b"status",
        b"DOMAIN": b"mydomain.com",
        b"CLIENT_ADDRESS": b"192.0.2.7",
        b"CLIENT_HOSTNAME": b"mail.client.example",
        b"CLIENT_HELO": b"helo.example (x)",
        b"MESSAGE_SIZE": b"6",  # with the empty line that ends the header
        b"MAILRECV_ID": b"60a1b2c3d4e5f",
    }


@pytest.mark.parametrize(
    "recipient, local, domain",
    [
        ("postmaster", b"postmaster", b""),
        ('"a@b c"@x', b'"a@b c"', b"x"),
        ("a@b@c", b"a@b", b"c"),
        ('"a@b c"', b'"a@b c"', b""),
        ("m\u00fc\udcff@x", b"m\xc3\xbc\xff", b"x"),
    ],
)
def test_odd_addresses_in_the_environment(recipient: str, local: bytes, domain: bytes) -> None:
    """LOCAL and DOMAIN are what is left and right of the last @, in the octets of the address."""
    environment = environment_of(a_message(), recipient)
    assert (environment[b"LOCAL"], environment[b"DOMAIN"]) == (local, domain)


def test_the_environment_without_a_sender_and_a_language(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a bounce SENDER is empty; without a LANG of the server's it is UTF-8."""
    monkeypatch.delenv("LANG", raising=False)
    environment = environment_of(a_message(sender=""))
    assert (environment[b"SENDER"], environment[b"LANG"]) == (b"", b"C.UTF-8")


def test_text_from_the_client_is_not_run(tmp_path: Path) -> None:
    """What a client says reaches the command as text, whatever a shell would make of it."""
    evil = f"$(touch {tmp_path}/x)`touch {tmp_path}/x`;touch {tmp_path}/x"
    assert output_of('printf "%s\\n" "$CLIENT_HELO" $CLIENT_HELO | head -1', a_message(helo=evil)) == [evil]
    assert list(tmp_path.iterdir()) == []


def test_broken_pipes_end_programs() -> None:
    """SIGPIPE and SIGXFSZ, which Python ignores, are as usual: a pipeline whose reader has enough ends."""
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    assert output_of("yes | head -1") == ["y"]
    [ignored] = output_of("sed -n 's/^SigIgn:\t//p' /proc/self/status")
    assert not int(ignored, 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1)


def test_no_descriptor_but_the_standard_streams() -> None:
    """A command inherits none of the server's descriptors, not even one that was made to be inherited."""
    fd = os.open("/dev/null", os.O_RDONLY)
    try:
        os.set_inheritable(fd, True)
        assert output_of("for fd in /proc/$$/fd/*; do [ -e $fd ] && echo ${fd##*/}; done; :") == ["0", "1", "2"]
    finally:
        os.close(fd)


def test_a_process_group_of_its_own() -> None:
    """A command leads its own session and group."""
    [line] = output_of("cut -d' ' -f1,5,6 /proc/$$/stat")
    assert len(set(line.split())) == 1


# How a command may end


@pytest.mark.parametrize(
    "shell_command, status, detail",
    [
        ("exit 0", Status.DELIVERED, ""),
        ("exit 1", Status.TEMPORARY, "exit status 1"),
        ("exit 2", Status.TEMPORARY, "exit status 2"),
        ("exit 64", Status.TEMPORARY, "exit status 64 (command line usage error)"),
        ("exit 65", Status.PERMANENT, "exit status 65 (data format error)"),
        ("exit 66", Status.TEMPORARY, "exit status 66 (cannot open input)"),
        ("exit 67", Status.PERMANENT, "exit status 67 (user unknown)"),
        ("exit 68", Status.PERMANENT, "exit status 68 (host name unknown)"),
        ("exit 69", Status.TEMPORARY, "exit status 69 (service unavailable)"),
        ("exit 70", Status.TEMPORARY, "exit status 70 (internal software error)"),
        ("exit 71", Status.TEMPORARY, "exit status 71 (system resource problem)"),
        ("exit 72", Status.TEMPORARY, "exit status 72 (critical OS file missing)"),
        ("exit 73", Status.TEMPORARY, "exit status 73 (cannot create output file)"),
        ("exit 74", Status.TEMPORARY, "exit status 74 (input/output error)"),
        ("exit 75", Status.TEMPORARY, "exit status 75 (temporary failure)"),
        ("exit 76", Status.PERMANENT, "exit status 76 (remote error in protocol)"),
        ("exit 77", Status.PERMANENT, "exit status 77 (permission denied)"),
        ("exit 78", Status.TEMPORARY, "exit status 78 (configuration error)"),
        ("exit 79", Status.TEMPORARY, "exit status 79"),
        ("exit 99", Status.TEMPORARY, "exit status 99"),
        ("exit 100", Status.PERMANENT, "exit status 100 (permanent failure)"),
        ("exit 101", Status.TEMPORARY, "exit status 101"),
        ("exit 111", Status.TEMPORARY, "exit status 111"),
        ("exit 128", Status.TEMPORARY, "exit status 128"),
        ("exit 255", Status.TEMPORARY, "exit status 255"),
        ("/missing/command", Status.TEMPORARY, "exit status 127 (command not found)"),
        ("/etc/passwd", Status.TEMPORARY, "exit status 126 (command cannot be executed)"),
        ("kill -KILL $$", Status.TEMPORARY, "killed by signal 9 (Killed)"),
        ("kill -TERM $$", Status.TEMPORARY, "killed by signal 15 (Terminated)"),
        ("exit 129", Status.TEMPORARY, "killed by signal 1 (Hangup)"),
        ("true | sh -c 'kill -KILL $$'", Status.TEMPORARY, "killed by signal 9 (Killed)"),
        ("if", Status.TEMPORARY, "exit status 2"),
        ("exec perl -e 'die'", Status.TEMPORARY, "exit status 255"),
        (f"exec {sys.executable} -c 'raise KeyError'", Status.TEMPORARY, "exit status 1"),
    ],
)
def test_how_a_command_ends(shell_command: str, status: Status, detail: str) -> None:
    """Only what says that this message or this address is at fault is for good. A signal, also one that only the shell
    saw, is temporary, and so is a command that is not there, or a script that crashes.
    """
    outcome = run(shell_command)
    assert (outcome.status, outcome.detail, outcome.timed_out) == (status, detail, False)


def test_a_command_that_never_reads() -> None:
    """A command need not read its input, however long that is."""
    with faster_than(5):
        assert run(":", a_message(LARGE)).delivered
        assert output_of("head -c 5", a_message(LARGE)) == ["From "]


def test_a_command_that_leaves_children() -> None:
    """A process that the command leaves behind is neither waited for nor killed, though it holds the output open."""
    with faster_than(5):
        outcome = run("sleep 30 & echo $!")
    [child] = outcome.output
    assert (outcome.status, [name.split()[-1] for name in outcome.left_behind]) == (Status.DELIVERED, [f"({child})"])
    os.kill(int(child), signal.SIGKILL)  # fails if it had ended


def test_a_command_that_closes_its_output() -> None:
    """A command that closes its output is waited for, without turning round and round meanwhile."""
    busy = time.process_time()
    assert run("exec >&- 2>&-; sleep 0.3; exit 75").detail.startswith("exit status 75")
    assert time.process_time() - busy < 0.1


def test_a_command_that_cannot_be_started() -> None:
    """What the system will not start is an OSError."""
    with pytest.raises(OSError, match="Argument list too long"):
        run("x" * 200_000)


def test_an_exit_status_that_is_lost() -> None:
    """Where SIGCHLD is ignored, the kernel tells no exit status, and that is never taken for success."""

    def run_and_lose() -> Outcome:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        return run("sleep 0.1; exit 67")

    with pytest.raises(ChildProcessError):
        in_child(run_and_lose)


# The time limit


@pytest.mark.parametrize(
    "shell_command",
    [
        "exec sleep 60",
        "sleep 60 & (sleep 60; :) | sleep 60",
        "trap '' TERM HUP INT QUIT; while :; do sleep 60; done",
        "exec >&- 2>&-; sleep 60 & wait",
        "yes",
    ],
)
def test_a_command_that_never_ends(tmp_path: Path, shell_command: str) -> None:
    """At the limit the whole process group is killed, at once and for good; that is temporary."""
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    with os.fdopen(os.open(alive, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as fifo:
        with faster_than(3):
            outcome = run(f"exec 3>{alive}; {shell_command}", seconds=0.2)
        assert (outcome.status, outcome.detail) == (Status.TEMPORARY, "took too long and was killed")
        assert outcome.timed_out
        with faster_than(3):  # no process of the group has the FIFO open any longer
            while fifo.read(1) is None:
                time.sleep(0.01)


def test_output_until_the_limit() -> None:
    """What a command said before it was killed is kept."""
    assert run("echo waiting; sleep 60", seconds=0.2).output == ("waiting",)


@pytest.mark.needs_root
@pytest.mark.needs_tool("setpriv")
def test_a_command_that_cannot_be_killed(public_directory: Path) -> None:
    """A command that has become another user, as sudo does, cannot be killed; it is not waited for either."""
    program = public_directory / "sudo"
    shutil.copy(shutil.which("setpriv") or "", program)
    program.chmod(0o4755)

    def run_unprivileged() -> Outcome:
        os.setuid(NOBODY)
        return run(f"exec {program} --reuid=0 sleep 2", seconds=0.2)

    with faster_than(1.5):
        outcome = in_child(run_unprivileged)
    assert (outcome.detail, outcome.timed_out) == ("took too long and cannot be killed", True)


# What a command prints


@pytest.mark.parametrize(
    "shell_command, output",
    [
        (":", []),
        ("echo one; echo two >&2; echo; echo three", ["one", "two", "", "three"]),
        ("printf 'no line end'", ["no line end"]),
        ("printf '\\377 \\303\\274 \\0 \\r\\n'", ["\udcff \u00fc \0 \r"]),
    ],
)
def test_output(shell_command: str, output: list[str]) -> None:
    """What a command writes to its standard output and error is kept in lines, for the log."""
    assert output_of(shell_command) == output


@pytest.mark.parametrize("octets, cut", [(MAX_OUTPUT_OCTETS, False), (MAX_OUTPUT_OCTETS + 1, True), (1_000_000, True)])
def test_much_output(octets: int, cut: bool) -> None:
    """Of much output the beginning is kept, and a word about the rest; the command does not notice."""
    lines = output_of(f"head -c {octets} /dev/zero | tr '\\0' x; exit 0")
    assert lines[0] == "x" * MAX_OUTPUT_OCTETS
    assert len(lines) == (2 if cut else 1)
    assert not cut or lines[1] == LEFT_OUT


def test_many_lines_of_output() -> None:
    """Of many lines the first ones are kept, and a word about the rest: each is an entry of the log."""
    assert output_of(f"seq {MAX_OUTPUT_LINES}")[-1] == str(MAX_OUTPUT_LINES)
    lines = output_of(f"seq {MAX_OUTPUT_LINES + 1}")
    assert lines[-2:] == [str(MAX_OUTPUT_LINES), LEFT_OUT]


def test_the_last_words() -> None:
    """What a command prints right before it ends is not missed."""
    for _ in range(20):
        assert output_of("head -c 10000 /dev/zero | tr '\\0' x; echo; echo end")[-1] == "end"


def test_the_standard_output_of_the_server_stays_clean() -> None:
    """Nothing that a command prints reaches the server's own output, which may be the client."""
    script = "import tests.unit.delivery.test_command as t; t.output_of('echo one; echo two >&2')"
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert (found.stdout, found.stderr) == ("", "")
