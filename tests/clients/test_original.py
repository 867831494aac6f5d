"""Files that were written for the original mailrecv: each way in which they write a directive is read, and serves.

Each is tried through `check`, and in two sessions, one that reads the file and one that has it compiled.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailrecv import cli
from tests.clients.servers import ENVIRONMENT, PROGRAM
from tests.support.configs import compile_config
from tests.support.machine import typed

ENVELOPE = ["HELO me", "MAIL FROM:<me@there>"]
MESSAGE = ["DATA", "Hello", "."]
DELIVERED = ["354 Start mail input; end with <CRLF>.<CRLF>", "250 OK ID"]
HELLO = ["250 home.example Hello localhost [127.0.0.1]", "250 OK"]


@dataclass(frozen=True)
class Form:
    """A form of a directive, and how a session shows that it holds.

    lines: of the configuration, `{folder}` for the folder of the test.  typed: by the client, and QUIT after that.
    replies: to what is typed, the first of them or all.  file: a name in the folder, and what must then be in that
    file.  warning: of `check`.
    """

    lines: list[str]
    typed: list[str]
    replies: list[str]
    file: tuple[str, str] | None = None
    warning: str | None = None


def to(recipient: str, *replies: str, lines: list[str], **more: object) -> Form:
    """Return a form that a recipient shows.  replies: to RCPT TO and what is typed after it."""
    replies = (*replies, *DELIVERED) if replies == ("250 OK",) else replies
    return Form(lines, [*ENVELOPE, f"RCPT TO:<{recipient}>", *MESSAGE], [*HELLO, *replies], **more)  # type: ignore[arg-type]


BOX = "deliver rcpt_to box@home.example append {folder}/box.txt"
NOISY = "What \u00e9"
UNKNOWN = "500 Command not recognized"
FORMS = {
    "debug -": Form(["debug -"], ["NOOP"], ["250 OK"]),
    **{
        f"debug {flags}": Form([f"debug {flags}"], ["NOOP"], ["250 OK"], ("log", "DEBUG: SMTP cmd: NOOP"))
        for flags in ("sr", "csr", "sr+F")
    },
    "debug +": to(
        "box@home.example",
        "250 OK",
        lines=["debug +", BOX],
        file=("log", "]: mail from <me@there> to <box@home.example>"),
    ),
    "debug +F": to(
        "box@home.example", "250 OK", lines=["debug +F", BOX], file=("log", "[127.0.0.1] mail from <me@there>")
    ),
    "logfile syslog": Form(["logfile syslog"], ["NOOP"], ["250 OK"]),
    "loghex on": Form(["debug s", "limit.smtp_ascii 0", "loghex on"], [NOISY], [UNKNOWN], ("log", "<0xc3><0xa9>")),
    "loghex off": Form(["debug s", "limit.smtp_ascii 0", "loghex off"], [NOISY], [UNKNOWN], ("log", NOISY)),
    "dead letters": to(
        "any@home.example", "250 OK", lines=["deadletter_file {folder}/dead.txt"], file=("dead.txt", "Hello")
    ),
    "no dead letters": to(
        "any@home.example", "250 OK", lines=["deadletter_file /dev/null"], warning="/dev/null keeps nothing"
    ),
    "commands": Form(
        ["limit.smtp_commands   2        500 That is enough of them"],
        ["NOOP"] * 3,
        ["250 OK", "250 OK", "500 That is enough of them"],
    ),
    "unknown commands": Form(
        ["limit.smtp_unknowncmd 1        500 Not one more"],
        ["What", "Now"],
        [UNKNOWN, "500 Not one more"],
    ),
    "refused commands": Form(
        ["limit.smtp_failcmds   1        500 Refused once too often"],
        ["DATA", "DATA"],
        ["503 Say HELO first", "500 Refused once too often"],
    ),
    "recipients": to(
        "box@home.example>\r\nRCPT TO:<me@home.example",
        "250 OK",
        "452 One each (see 4.5.3.1 there)",
        lines=["limit.smtp_rcpt_to    1        452 One each (see 4.5.3.1 there)", BOX],
    ),
    "size": to(
        "box@home.example",
        "250 OK",
        DELIVERED[0],
        "552 Shorter, please",
        lines=["limit.smtp_data_size  5        552 Shorter, please", BOX],
    ),
    "seconds": Form(["limit.connection_secs 60       500 Too slow"], ["NOOP"], ["250 OK"]),
    "ASCII by number": Form(
        ["limit.smtp_ascii      1        500 Binary (non-ASCII) is not for us"],
        [NOISY],
        ["500 Binary (non-ASCII) is not for us"],
    ),
    "ASCII by word": Form(["limit.smtp_ascii      on       500 Not that"], [NOISY], ["500 Not that"]),
    "ASCII by its old name": Form(
        ["ascii_smtp on"],
        [NOISY],
        ["500 Only printable ASCII is allowed in commands"],
        warning="this is the old name of limit.smtp_ascii",
    ),
    "no ASCII by its old name": Form(["ascii_smtp off"], [NOISY], [UNKNOWN], warning="write: limit.smtp_ascii off"),
    "names": Form(["limit.fcrdns_check    on       450 No name, no mail"], ["NOOP"], ["250 OK"]),
    "group": to(
        "box@home.example",
        "250 OK",
        lines=[
            "allowgroup +near  ^localhost$",
            "allowgroup +near ^far\\.example\\.org$",
            "deliver allowgroup +near  rcpt_to box@home.example append {folder}/box.txt",
        ],
        file=("box.txt", "Hello"),
    ),
    "group without a plus": to(
        "box@home.example",
        "250 OK",
        lines=[
            "allowgroup near ^localhost$",
            "allowgroup +near ^far\\.example\\.org$",
            "deliver allowgroup near rcpt_to box@home.example append {folder}/box.txt",
        ],
        file=("box.txt", "Hello"),
    ),
    "pipe": to(
        "list@home.example",
        "250 OK",
        lines=["deliver rcpt_to list@home.example pipe /bin/grep -n '.*' >> {folder}/list.txt"],
        file=("list.txt", ":Hello"),
    ),
    "pipe that no shell takes": to(
        "list@home.example",
        "250 OK",
        DELIVERED[0],
        lines=['deliver rcpt_to list@home.example pipe /bin/cat >> /dev/null"'],
    ),
    "replace": to(
        "list@home.example",
        "250 OK",
        lines=["replace rcpt_to li[a-z]*@home\\.example no@home.example", BOX.replace("box", "list")],
        file=("list.txt", " for <list@home.example>; "),
        warning="this line does nothing, as in the original",
    ),
    "error for an address": to(
        "faults@home.example",
        "550 Closed. Use http://home.example/faults instead",
        lines=["error rcpt_to faults@home.example 550 Closed. Use http://home.example/faults instead"],
    ),
    "error for a pattern": to(
        "faults@home.example", "550 Closed", lines=["error rcpt_to ^faults@home\\.example$ 550 Closed"]
    ),
    "error for all": to("any@home.example", "550 Nobody", lines=["error rcpt_to .*               550 Nobody"]),
    "allow": Form(
        [
            'allow remotehost ^mail[a-zA-z0-9-]*.home.example$      # as in "mail-1.home.example"',
            "allow remotehost ^127\\.0\\.0\\.[0-9]{1,3}$   # as in 127.0.0.*",
        ],
        ["NOOP"],
        ["250 OK"],
    ),
}


EACH_FORM = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def configuration(form: Form, folder: Path) -> Path:
    """Write a configuration that has the form, and return where it is."""
    path = folder / "mailrecv.conf"
    lines = ["# mailrecv", "", "domain home.example", *form.lines]
    path.write_text("".join(f"{line}\n" for line in lines).replace("{folder}", str(folder)), encoding="utf-8")
    return path


@EACH_FORM
def test_check_takes_it(form: Form, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There is no fault, and a warning where the line is not what it seems, or no longer what it was."""
    assert cli.run(["check", "-c", str(configuration(form, tmp_path))]) == 0
    assert (form.warning or "") in capsys.readouterr().out


@EACH_FORM
@pytest.mark.parametrize("compiled", [False, True], ids=["read", "compiled"])
def test_a_session_goes_by_it(form: Form, tmp_path: Path, *, compiled: bool) -> None:
    """The session shows that the directive holds, whether it was read or compiled."""
    path = configuration(form, tmp_path)
    environment = dict(ENVIRONMENT)
    if compiled:
        environment["CACHE_DIRECTORY"] = str(tmp_path / "cache")
        compile_config(path, tmp_path / "cache")
    program = [*PROGRAM, "-c", str(path), "-l", str(tmp_path / "log")]
    session = subprocess.run(
        program, input=typed(*form.typed, "QUIT"), capture_output=True, env=environment, check=False
    )
    greeting, *replies = re.sub(r"\b[0-9a-f]{21}\b", "ID", session.stdout.decode()).splitlines()
    assert greeting == "220 home.example SMTP (RFC 822) mailrecv"
    assert replies[: len(form.replies)] == form.replies
    if form.file:
        name, text = form.file
        assert text in (tmp_path / name).read_text(encoding="utf-8")
