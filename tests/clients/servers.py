"""mailrecv as a server on this machine, started in every way there is, and a client that speaks octets.

Everything a server reads and writes is in one folder of its own, its `Site`. A server listens on a free port of the
loopback, has answered nobody when its test begins, and is ended, with every session it started, when its test ends.
"""

from __future__ import annotations

import mailbox
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest

from tests.support.machine import typed

PROGRAM = (sys.executable, "-m", "mailrecv")
ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "PYTHONPATH": str(Path(__file__).parents[2]),
    "PYTHONUTF8": "1",
    "CACHE_DIRECTORY": os.devnull,  # no directory: what is compiled would outlive the tests
}
PATIENCE_SECONDS = 10.0  # for whatever should be there in a moment, on a busy machine

STANDARD_CONFIG = """\
domain mydomain.com
debug srw+F
logfile {folder}/log
deliver rcpt_to me@mydomain.com append {folder}/mbox
deliver rcpt_to list@mydomain.com maildir {folder}/maildir
deliver rcpt_to pipe@mydomain.com pipe cat >{folder}/piped
deliver rcpt_to slow@mydomain.com pipe sleep 1.5; cat >{folder}/piped
error rcpt_to ^nobody@ 550 No one here by that name."""

_LISTENING = "0A"  # in the fourth column of /proc/net/tcp


def wait_until(condition: Callable[[], object], what: str = "it", seconds: float = PATIENCE_SECONDS) -> None:
    """Wait for something that should come true in a moment, or in so many seconds; fail when it does not."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what} in vain"
        time.sleep(0.005)


class Mail:
    """A folder with what a mailrecv has delivered, under the names that STANDARD_CONFIG gives.

    Of each copy, the message: without the trace lines, and the empty line that ends them where it has no header.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def appended(self) -> list[bytes]:
        """The messages in the mbox, as Python's reader finds them, un-quoted."""
        if not (self.folder / "mbox").exists():
            return []
        with closing(mailbox.mbox(self.folder / "mbox", create=False)) as box:
            return [_message_of(unquoted(box.get_bytes(key))) for key in list(box.keys())]

    @property
    def in_maildir(self) -> list[bytes]:
        """The messages in the Maildir."""
        return [_message_of(path.read_bytes()) for path in sorted((self.folder / "maildir" / "new").glob("*"))]

    @property
    def piped(self) -> bytes | None:
        """The message that the command got, without its mbox line; None when there is none."""
        path = self.folder / "piped"
        return _message_of(path.read_bytes().partition(b"\n")[2]) if path.exists() else None


class Site(Mail):
    """A folder with a configuration and with what a mailrecv that obeys it writes."""

    def __init__(self, folder: Path, *directives: str) -> None:
        """Make the configuration.  directives: lines of it; `{folder}` stands for the folder."""
        super().__init__(folder)
        self.config = folder / "mailrecv.conf"
        self.config.write_text("".join(f"{line}\n" for line in directives).replace("{folder}", str(folder)))

    @property
    def log(self) -> str:
        """All that was logged so far."""
        path = self.folder / "log"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def repeated(self) -> Counter[str]:
        """What the log tells as numbers, summed up by what it is."""
        sums: Counter[str] = Counter()
        for times, what in re.findall(r"repeated (\d+) times, not logged one by one: (.*)", self.log):
            sums[what] += int(times)
        return sums

    @property
    def errors(self) -> str:
        """All that came out of the standard error of what was started here."""
        path = self.folder / "stderr"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def wait_for_log(self, text: str) -> None:
        """Wait until the log holds `text`."""
        wait_until(lambda: text in self.log, f"{text!r} in the log")


def unquoted(body: bytes) -> bytes:
    """Return what was written to an mbox as it was before (mboxrd)."""
    return re.sub(rb"(?m)^>(>*From )", rb"\1", body)


def without_trace(copy: bytes) -> bytes:
    """Return a delivered copy without its two trace lines; fail when they are not there."""
    return_path, received, *data = copy.split(b"\n", 2)
    assert return_path.startswith(b"Return-Path: <")
    assert received.startswith(b"Received: from ")
    return data[0] if data else b""


def _message_of(copy: bytes) -> bytes:
    data = without_trace(copy)
    return data[1:] if data.startswith(b"\n") and data != b"\n" else data


class Wire:
    """A client that sends octets and reads replies."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._from_server = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._from_server.close()
        self.socket.close()

    def send(self, octets: bytes) -> None:
        """Send octets as they are."""
        self.socket.sendall(octets)

    def reply(self) -> str:
        """Return the next reply, its lines separated by LF; empty when the server has closed the connection."""
        lines = []
        while line := self._from_server.readline():
            assert line.endswith(b"\r\n"), line
            lines.append(line[:-2].decode("ascii"))
            if line[3:4] == b" ":
                break
        return "\n".join(lines)

    def ask(self, line: str | bytes) -> str:
        """Send a line and return the reply."""
        self.send(typed(line))
        return self.reply()

    def rest(self) -> list[str]:
        """Return the replies up to the end of the connection."""
        return list(iter(self.reply, ""))

    def envelope(self, *recipients: str) -> None:
        """Read the greeting and take all the steps up to the mail data."""
        assert self.reply() == "220 mydomain.com SMTP (RFC 822) mailrecv"
        for line in ["HELO client", "MAIL FROM:<me@client>", *(f"RCPT TO:<{to}@mydomain.com>" for to in recipients)]:
            assert self.ask(line)[:3] == "250"
        assert self.ask("DATA")[:3] == "354"

    def vanish(self) -> None:
        """Leave as a crashed client does: with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._from_server.close()
        self.socket.close()


@dataclass
class Server:
    """A running server.  port: on 127.0.0.1.  process: what was started; the sessions may be its children."""

    site: Site
    port: int
    process: subprocess.Popen[bytes]

    def connect(self) -> Wire:
        """Return a new client."""
        return Wire(self.dial())

    def dial(self, **options: int) -> socket.socket:
        """Return a new connection.  options: SO_... of it, which have to be set before."""
        connection = socket.socket()
        for name, value in options.items():
            connection.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(("127.0.0.1", self.port))
        return connection


@dataclass
class Session:
    """One session that a test started on a socket, as inetd would, so that its exit status can be seen."""

    site: Site
    wire: Wire
    process: subprocess.Popen[bytes]

    def exit_status(self) -> int:
        """Leave, and return the exit status of the session, which is at its end."""
        self.wire.__exit__()
        return self.process.wait(PATIENCE_SECONDS)


@dataclass
class Starter:
    """Starts servers and sessions, each in a folder of its own; a test gets it as the fixture `start`."""

    folder: Path
    _ended_later: ExitStack = field(default_factory=ExitStack)
    _sites: list[Site] = field(default_factory=list)

    def site(self, *directives: str, config: str = STANDARD_CONFIG) -> Site:
        """Return a new site.  directives: what to add to the standard configuration, or to another."""
        folder = self.folder / f"site{len(self._sites)}"
        folder.mkdir()
        self._sites.append(Site(folder, config, *directives))
        return self._sites[-1]

    def server(self, way: str, *directives: str, **options: object) -> Server:
        """Start a server in one of WAYS, with directives besides the standard ones, or at a `site` made before."""
        site = options.pop("site", None) or self.site(*directives)
        assert isinstance(site, Site)
        port = free_port()
        process = self.process(WAYS[way](site, port, **options), site)
        wait_until(lambda: process.poll() is not None or is_listening(port), f"port {port}")
        assert process.poll() is None, f"{way} ended early"
        return Server(site, port, process)

    def session(
        self,
        *directives: str,
        site: Site | None = None,
        program: Sequence[str] = PROGRAM,
        arguments: Sequence[str] = (),
        environment: Mapping[str, str] = ENVIRONMENT,
    ) -> Session:
        """Start a session on a connected socket that is its standard input, output and error, as xinetd does."""
        site = site or self.site(*directives)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = socket.create_connection(listener.getsockname(), PATIENCE_SECONDS)
            connection, _ = listener.accept()
        wire = self._ended_later.enter_context(Wire(client))
        with connection:
            command = [*program, "-c", str(site.config), *arguments]
            process = self.process(command, site, environment, stdin=connection, stdout=connection, stderr=connection)
        return Session(site, wire, process)

    def process(
        self, command: Sequence[str], site: Site, environment: Mapping[str, str] = ENVIRONMENT, **streams: object
    ) -> subprocess.Popen[bytes]:
        """Start a program in a process group of its own, which is ended with the test."""
        with (site.folder / "stderr").open("ab") as errors:
            standard = {"stdin": subprocess.DEVNULL, "stdout": errors, "stderr": errors}
            process = subprocess.Popen(  # type: ignore[call-overload]
                command, env=environment, cwd=site.folder, start_new_session=True, **{**standard, **streams}
            )
        self._ended_later.callback(_end, process)
        assert isinstance(process, subprocess.Popen)
        return process

    def end(self) -> None:
        """End all that was started, and print what it had to say: pytest shows it when the test failed."""
        self._ended_later.close()
        for site in self._sites:
            print(f"--- log of {site.folder}:\n{site.log}\n--- standard error:\n{site.errors}")  # noqa: T201 - see above


@pytest.fixture
def start(tmp_path: Path) -> Generator[Starter, None, None]:
    """What starts servers for a test, and ends them."""
    starter = Starter(tmp_path)
    try:
        yield starter
    finally:
        starter.end()


def _listen(site: Site, port: int, program: Sequence[str] = PROGRAM) -> list[str]:
    return [*program, "listen", "-c", str(site.config), f"127.0.0.1:{port}"]


def _systemd_resident(
    site: Site, port: int, *options: str, arguments: Sequence[str] = (), environment: Mapping[str, str] = ENVIRONMENT
) -> list[str]:
    passed = [f"-E{name}={value}" for name, value in environment.items()]
    activate = ["systemd-socket-activate", *options, f"-l127.0.0.1:{port}", *passed]
    return [*activate, *PROGRAM, "-c", str(site.config), *arguments]


def _systemd(site: Site, port: int, **options: Any) -> list[str]:
    return _systemd_resident(site, port, "--accept", **options)


def _systemd_inetd(site: Site, port: int, **options: Any) -> list[str]:
    return _systemd_resident(site, port, "--accept", "--inetd", **options)


def _xinetd(
    site: Site, port: int, arguments: Sequence[str] = (), environment: Mapping[str, str] = ENVIRONMENT
) -> list[str]:
    """Return the command for Debian's xinetd, with what its manual and mailrecv's give for such a service."""
    (site.folder / "xinetd.conf").write_text(
        f"""\
defaults
{{
    log_type        = FILE {site.folder}/xinetd.log
    cps             = 1000 1
}}
service smtp
{{
    type            = UNLISTED
    bind            = 127.0.0.1
    port            = {port}
    socket_type     = stream
    protocol        = tcp
    wait            = no
    nice            = 10
    user            = {os.geteuid()}
    flags           = NAMEINARGS
    server          = {PROGRAM[0]}
    server_args     = {" ".join([*PROGRAM, "-c", str(site.config), *arguments])}
    env             = {" ".join(f"{name}={value}" for name, value in environment.items())}
    instances       = 10
    log_on_success += PID HOST DURATION
}}
"""
    )
    files = ["-f", str(site.folder / "xinetd.conf"), "-pidfile", str(site.folder / "xinetd.pid")]
    return ["xinetd", "-dontfork", *files]


WAYS: dict[str, Callable[..., list[str]]] = {
    "listen": _listen,
    "systemd-resident": _systemd_resident,
    "systemd": _systemd,
    "systemd-inetd": _systemd_inetd,
    "xinetd": _xinetd,
}
LISTEN = pytest.param("listen")
SYSTEMD = pytest.param("systemd", marks=pytest.mark.needs_tool("systemd-socket-activate"))
SYSTEMD_INETD = pytest.param("systemd-inetd", marks=pytest.mark.needs_tool("systemd-socket-activate"))
XINETD = pytest.param("xinetd", marks=pytest.mark.needs_tool("xinetd"))
SYSTEMD_RESIDENT = pytest.param("systemd-resident", marks=pytest.mark.needs_tool("systemd-socket-activate"))
PROCESS_PER_SESSION = (SYSTEMD, SYSTEMD_INETD, XINETD)
EACH_WAY = (LISTEN, SYSTEMD_RESIDENT, *PROCESS_PER_SESSION)


def in_private_mounts(*commands: str) -> tuple[str, ...]:
    """Return the program, run with a mount namespace of its own, where these shell commands come first."""
    script = " && ".join([*commands, 'exec "$@"'])
    return ("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", *PROGRAM)


def with_resolver(
    folder: Path, address: str, options: str = "timeout:30", *, search: str = "", hosts: str = ""
) -> tuple[str, ...]:
    """Return the program, run where names are asked of the DNS server at this address.

    options: of the resolver.  search: the domains that complete names.  hosts: the file of hosts, which comes first.
    """
    resolver = f"nameserver {address}\noptions {options}\n" + (f"search {search}\n" if search else "")
    files = {"resolv.conf": resolver, "nsswitch.conf": "hosts: files dns\n", "hosts": hosts}
    for name, text in files.items():
        (folder / name).write_text(text)
    return in_private_mounts(*(f"mount --bind {folder}/{name} /etc/{name}" for name in files))


@pytest.fixture
def silent_resolver() -> Generator[str, None, None]:
    """A DNS server that never answers, at an address of the loopback that nobody else uses."""
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as resolver:
        address = f"127.{random.randint(1, 254)}.{random.randint(1, 254)}.{random.randint(1, 254)}"  # noqa: S311
        resolver.bind((address, 53))
        yield address


def free_port() -> int:
    """Return a port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_listening(port: int) -> bool:
    """Say whether somebody listens on a port, without connecting to it: that would be a session."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
    return any(row[1].endswith(f":{port:04X}") and row[3] == _LISTENING for row in rows)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all of its group."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
