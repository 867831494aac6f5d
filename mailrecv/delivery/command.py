"""Delivery into a command's standard input.

The copy is written to a nameless file first, and that file is the command's standard input: a command may read as much
of it as it likes, and nothing here can get stuck with it. Its output is kept for the log, up to a bound.
"""

from __future__ import annotations

import os
import pwd
import select
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from mailrecv.delivery.message import Message
from mailrecv.delivery.outcome import Outcome, Status
from mailrecv.delivery.spool import MEMORY_OCTETS, temporary_file, write_all

MAX_OUTPUT_OCTETS = 16_384  # of a command that go to the log; the rest is read and thrown away
MAX_OUTPUT_LINES = 200  # of these octets, since each line is an entry of the log
_KILL_SECONDS = 1.5  # how long a killed command may take to end; one that hangs in the kernel may never
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # where commands are looked for

# sysexits.h; 100 is qmail's. 126 and 127 are the shell's words for a command that it cannot start.
_EXIT_NAMES = {
    64: "command line usage error",
    65: "data format error",
    66: "cannot open input",
    67: "user unknown",
    68: "host name unknown",
    69: "service unavailable",
    70: "internal software error",
    71: "system resource problem",
    72: "critical OS file missing",
    73: "cannot create output file",
    74: "input/output error",
    75: "temporary failure",
    76: "remote error in protocol",
    77: "permission denied",
    78: "configuration error",
    100: "permanent failure",
    126: "command cannot be executed",
    127: "command not found",
}
# What says of this message, or of this address, that another try is of no use. A script that crashes ends with 1 or 2,
# one that lacks a disk or a network with something else again: that is for the administrator to mend, and meanwhile the
# sender's queue keeps the mail.
_PERMANENT_EXITS = (65, 67, 68, 76, 77, 100)
_SHELL_SIGNAL_BASE = 128  # added to the number of the signal that killed what the shell ran

_processors: set[int] = set()  # that commands may run on, where this process keeps to one of them


def keep_to(processor: int) -> None:
    """Keep this thread, and those that it starts from now on, to one processor, but no command that they run."""
    with suppress(OSError):  # a service may not be allowed to; the processor may be gone
        may_run_on = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {processor})
        _processors.update(may_run_on)


def run(message: Message, recipient: str, command: str, deadline: float) -> Outcome:
    """Hand the copy for one recipient to `/bin/sh -c command` and wait for its end.

    deadline: on the monotonic clock; past it all that the command has started is killed. A process that the command
    leaves behind when it ends is not waited for, but told of. Raises OSError when the command cannot be started.
    """
    import subprocess  # only this kind of delivery needs these

    from mailrecv.delivery.processes import Processes

    processes = Processes()
    with _input(message, recipient) as stdin:
        with _on_any_processor(), processes.started_here():
            process = subprocess.Popen(
                ["/bin/sh", "-c", command.encode()],
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=_environment(message, recipient, stdin),
                start_new_session=True,
                bufsize=0,
            )
        assert process.stdout is not None
        ended = False
        try:
            with process.stdout as stdout:
                output, ended = _wait(process.pid, stdout, deadline)
        finally:
            if not ended:
                all_gone = processes.kill(process.pid, _KILL_SECONDS)  # a setuid command may not be ours to kill
                killed = process.poll() is not None and all_gone
        if ended:
            outcome = _outcome(process.wait(), output)
            return outcome.replace(left_behind=tuple(processes.left_behind()))
        end = "was killed" if killed else "cannot be killed"
        return Outcome(Status.TEMPORARY, f"took too long and {end}", output, timed_out=True)


@contextmanager
def _on_any_processor() -> Iterator[None]:
    """Let this thread, and with it a process that it starts, run where the program was allowed to at its start."""
    if not _processors:
        yield
        return
    kept_to = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, _processors)
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, kept_to)


def _input(message: Message, recipient: str) -> IO[bytes]:
    """Return a file with the mbox line and the copy, at its beginning."""
    if message.data.size <= MEMORY_OCTETS:
        file: IO[bytes] = os.fdopen(os.memfd_create("message"), "r+b", buffering=0)
    else:
        file = temporary_file()
    try:
        write_all(file, message.from_line())
        for block in message.copy_for(recipient):
            write_all(file, block)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file


def _environment(message: Message, recipient: str, stdin: IO[bytes]) -> dict[bytes, bytes]:
    """Return the command's environment; the names are those of Postfix's local(8).  stdin: what it gets to read.

    In octets, so that an address goes to the command as it came, whatever the locale of this process is.
    """
    local, at, domain = recipient.rpartition("@")
    if not at or domain.endswith('"'):  # no domain, but perhaps an @ in quotes
        local, domain = recipient, ""
    above = len(message.from_line() + message.trace_for(recipient))
    try:
        home = pwd.getpwuid(os.geteuid()).pw_dir
    except KeyError:
        home = "/"
    environment = {
        "PATH": PATH,
        "HOME": home,
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "SENDER": message.sender,
        "RECIPIENT": recipient,
        "LOCAL": local,
        "DOMAIN": domain,
        "CLIENT_ADDRESS": message.client_address,
        "CLIENT_HOSTNAME": message.client_name,
        "CLIENT_HELO": message.helo,
        "MESSAGE_SIZE": str(os.fstat(stdin.fileno()).st_size - above),
        "MAILRECV_ID": message.id,
    }
    return {name.encode(): value.encode("utf-8", "surrogateescape") for name, value in environment.items()}


def _wait(pid: int, stdout: IO[bytes], deadline: float) -> tuple[tuple[str, ...], bool]:
    """Read what the command writes until it ends. Return its output in lines, and whether it ended in time."""
    os.set_blocking(stdout.fileno(), False)
    output = bytearray()
    process_fd = os.pidfd_open(pid)
    try:
        poller = select.poll()
        poller.register(process_fd, select.POLLIN)
        poller.register(stdout, select.POLLIN)
        while True:
            left = max(0.0, deadline - time.monotonic())
            ready = {fd for fd, _ in poller.poll(left * 1000)}
            if stdout.fileno() in ready and not _keep(stdout, output):
                poller.unregister(stdout)
            if process_fd in ready or not left:
                _keep(stdout, output)
                break
        if process_fd in ready:
            # Fails when SIGCHLD is ignored: the exit status is lost then, and subprocess would take it for 0.
            os.waitid(os.P_PIDFD, process_fd, os.WEXITED | os.WNOWAIT)
        return _lines(output), process_fd in ready
    finally:
        os.close(process_fd)


def _keep(stdout: IO[bytes], output: bytearray) -> bool:
    """Read what is there and keep what the bound allows and one octet more. Return False at the end of the output."""
    octets = stdout.read(4 * MAX_OUTPUT_OCTETS)
    output += (octets or b"")[: MAX_OUTPUT_OCTETS + 1 - len(output)]
    return octets != b""


def _lines(output: bytearray) -> tuple[str, ...]:
    lines = output[:MAX_OUTPUT_OCTETS].decode("utf-8", "surrogateescape").split("\n")
    if not lines[-1]:
        lines.pop()
    if len(output) > MAX_OUTPUT_OCTETS or len(lines) > MAX_OUTPUT_LINES:
        lines[MAX_OUTPUT_LINES:] = ["(there was more output, it is left out)"]
    return tuple(lines)


def _outcome(exit_code: int, output: tuple[str, ...]) -> Outcome:
    """Return what an exit code means.  exit_code: as subprocess has it, negative for a signal."""
    if exit_code == 0:
        return Outcome(Status.DELIVERED, output=output)
    number = -exit_code if exit_code < 0 else exit_code - _SHELL_SIGNAL_BASE
    if 0 < number < signal.NSIG:
        return Outcome(Status.TEMPORARY, f"killed by signal {number} ({signal.strsignal(number)})", output)
    status = Status.PERMANENT if exit_code in _PERMANENT_EXITS else Status.TEMPORARY
    name = _EXIT_NAMES.get(exit_code)
    return Outcome(status, f"exit status {exit_code}" + (f" ({name})" if name else ""), output)
