"""Postfix's smtp-source as the load: a client in C that costs little itself, and that others measure with too."""

from __future__ import annotations

import subprocess
import time

from tests.bench.addresses import CLIENT, RECIPIENT, SENDER
from tests.senders.packages import in_place

MESSAGE_OCTETS = 4000  # of a message: a short mail


def deliver(port: int, messages: int, at_once: int) -> float:
    """Send messages, each over a connection of its own, and return the seconds until the last one was acknowledged.

    at_once: how many connections there are at the same time. Raises RuntimeError when the server refuses anything.
    """
    sender = ["smtp-source", "-s", str(at_once), "-m", str(messages), "-l", str(MESSAGE_OCTETS)]
    addresses = ["-M", CLIENT, "-f", SENDER, "-t", RECIPIENT, f"inet:127.0.0.1:{port}"]
    # It takes some milliseconds until the unpacked package is in its place; they are not to count.
    script = 'echo ready && read go && exec "$@"'
    command = in_place("postfix", "sh", "-c", script, "sh", *sender, *addresses)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT) as process:
        assert process.stdin and process.stdout  # noqa: PT018 - not a test: for the type checker
        process.stdout.readline()
        process.stdin.write(b"\n")
        process.stdin.flush()
        began = time.perf_counter()
        output = process.stdout.read()  # to its end, which is that of the program
        seconds = time.perf_counter() - began
    if process.returncode != 0 or output:
        raise RuntimeError(f"smtp-source: exit status {process.returncode}\n{output.decode(errors='replace')}")
    return seconds
