"""Root at standard streams: mail is delivered as the service's user, so that the service can go on with what is there.

The users of this machine are others here: the program runs where /etc/passwd is one that the test has made.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.clients.servers import ENVIRONMENT, PROGRAM, Site, Starter, in_private_mounts
from tests.support.machine import typed

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_tool("unshare")]

USER, OTHER = 4242, 4343
PASSWD = (
    f"root:x:0:0:root:/root:/bin/sh\nmailrecv:x:{USER}:{USER}::/nowhere:/bin/sh\nother:x:{OTHER}:{OTHER}::/:/bin/sh\n"
)
GROUPS = f"root:x:0:\nmailrecv:x:{USER}:\nlists:x:4300:mailrecv\nother:x:{OTHER}:\n"
WITHOUT = "\n".join(line for line in PASSWD.splitlines() if not line.startswith("mailrecv")) + "\n"
NO_UNIT = "exit 1"
COMMANDS = """deliver rcpt_to who@mydomain.com pipe id -u >{folder}/id; id -G >>{folder}/id; echo $HOME >>{folder}/id
deliver rcpt_to size@mydomain.com pipe wc -c
deliver rcpt_to out@mydomain.com append /dev/stdout"""
DELIVERS = "mailrecv: delivering as the user"


@pytest.fixture
def site(start: Starter, tmp_path: Path) -> Site:
    """A site whose folder is the service's, and to which the way is open."""
    for above in [tmp_path, *tmp_path.parents[: len(tmp_path.parents) - 2]]:
        above.chmod(above.stat().st_mode | 0o055)
    found = start.site(*COMMANDS.splitlines())
    found.config.chmod(0o644)
    os.chown(found.folder, USER, USER)
    return found


def run(
    site: Site,
    *lines: str,
    passwd: str = PASSWD,
    systemctl: str = NO_UNIT,
    options: Sequence[str] = (),
    user: int = 0,
    tmpdir: str = "",
) -> subprocess.CompletedProcess[str]:
    """Let a program with such users and such a systemctl have a session on pipes, and return what came of it."""
    tools = site.folder / "tools"
    tools.mkdir(exist_ok=True)
    files = {"passwd": passwd, "group": GROUPS, "nsswitch.conf": "passwd: files\ngroup: files\n"}
    for name, text in files.items():
        (tools / name).write_text(text)
    (tools / "systemctl").write_text(f"#!/bin/sh\n{systemctl}\n")
    (tools / "systemctl").chmod(0o755)
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    program = [*in_private_mounts(*(f"mount --bind {tools}/{name} /etc/{name}" for name in files))]
    program[len(program) - len(PROGRAM) :] = [*become, *PROGRAM]
    environment = {**ENVIRONMENT, "PATH": f"{tools}:{ENVIRONMENT['PATH']}"}
    if tmpdir:
        environment["TMPDIR"] = tmpdir
    return subprocess.run(
        [*program, *options, "-c", str(site.config)],
        input=typed("HELO me", *lines, "QUIT").decode(),
        env=environment,
        cwd=site.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def message(*recipients: str, text: str = "Hello") -> list[str]:
    """Return what sends a message."""
    return ["MAIL FROM:<>", *(f"RCPT TO:<{to}@mydomain.com>" for to in recipients), "DATA", text, "."]


def owners(site: Site, *names: str) -> list[int]:
    """Return who owns files of a site."""
    return [(site.folder / name).stat().st_uid for name in names]


def test_everything_becomes_the_user_s(site: Site) -> None:
    """Mailboxes and the log are the user's, and commands run as the user, with the user's groups and home."""
    ended = run(site, *message("me", "list", "who"), *message("me"))
    assert ended.stdout.count("250 OK 6") == 2
    assert ended.stderr.splitlines() == [
        f"{DELIVERS} mailrecv, as there is no unit, but a user of this name; --as-root would deliver as root"
    ]
    assert owners(site, "mbox", "maildir", "maildir/new", "id", "log") == [USER] * 5
    uid, groups, home = (site.folder / "id").read_text().splitlines()
    assert (uid, sorted(groups.split()), home) == (str(USER), sorted([str(USER), "4300"]), "/nowhere")
    assert "connection closed (quit)" in site.log


def test_the_service_goes_on(site: Site) -> None:
    """Where root was first, the service finds nothing that it cannot write to."""
    run(site, *message("me"))
    ended = run(site, *message("me"), user=USER)
    assert "250 OK 6" in ended.stdout
    assert ended.stderr == ""
    assert len(site.appended) == 2
    assert site.log.count("connection closed (quit)") == 2


def test_the_user_of_the_unit(site: Site) -> None:
    """A unit says who delivers, if there is one."""
    os.chown(site.folder, OTHER, OTHER)
    unit = "printf 'Id=mailrecv@check.service\\nLoadState=loaded\\nUser=other\\n'"
    ended = run(site, *message("me"), systemctl=unit)
    assert ended.stderr.startswith(f"{DELIVERS} other, as the unit mailrecv@.service says; ")
    assert owners(site, "mbox", "log") == [OTHER, OTHER]


@pytest.mark.parametrize(
    "user, warning",
    [
        ("root", ""),
        ("", ""),
        ("nosuch", "mailrecv: warning: root delivers this: mailrecv runs as the user nosuch, as the unit mailrecv@."),
    ],
)
def test_a_unit_without_another_user(site: Site, user: str, warning: str) -> None:
    """A unit of root's is obeyed; one whose user is not there is told of, and the mail is delivered."""
    unit = f"printf 'Id=mailrecv@check.service\\nLoadState=loaded\\nUser={user}\\n'"
    ended = run(site, *message("me"), systemctl=unit)
    assert "250 OK 6" in ended.stdout
    assert ended.stderr.startswith(warning)
    assert bool(ended.stderr) == bool(warning)
    assert owners(site, "mbox", "log") == [0, 0]


def test_no_user(site: Site) -> None:
    """Where nobody can be taken for the service's user there is a warning, once, and the mail is delivered."""
    ended = run(site, *message("me"), *message("me"), passwd=WITHOUT)
    assert ended.stdout.count("250 OK 6") == 2
    [warning] = ended.stderr.splitlines()
    assert warning.startswith("mailrecv: warning: root delivers this, as there is neither a unit nor a user mailrecv")
    assert warning.endswith("; --as-root says that this is meant")
    assert owners(site, "mbox", "log") == [0, 0]


def test_as_root(site: Site) -> None:
    """Root stays root when that is asked for."""
    ended = run(site, *message("me", "who"), options=["--as-root"])
    assert (ended.stdout.count("250 OK 6"), ended.stderr) == (1, "")
    assert owners(site, "mbox", "log", "id") == [0, 0, 0]
    assert (site.folder / "id").read_text().splitlines()[0] == "0"


def test_another_user(site: Site) -> None:
    """Whoever is not root delivers as who that is, and is told nothing."""
    ended = run(site, *message("me"), user=USER)
    assert ("250 OK 6" in ended.stdout, ended.stderr) == (True, "")


def test_a_log_that_was_there(site: Site) -> None:
    """A log file that this session has not made stays whose it is; mail goes on without it."""
    (site.folder / "log").touch(mode=0o600)
    ended = run(site, *message("me"))
    assert "250 OK 6" in ended.stdout
    assert owners(site, "mbox", "log") == [USER, 0]


def test_a_session_that_delivers_nothing(site: Site) -> None:
    """Its log file, too, is left to the service's user."""
    ended = run(site, "VRFY x")
    assert ended.stderr == f"mailrecv: the new log file {site.folder}/log now belongs to the user mailrecv\n"
    assert owners(site, "log") == [USER]


def test_large_messages(site: Site, tmp_path: Path) -> None:
    """A message that memory does not hold is delivered, also where TMPDIR is open to nobody but root."""
    (tmp_path / "root").mkdir(mode=0o700)
    text = "\r\n".join(["x" * 70] * 20_000)
    ended = run(site, *message("me", "size", text=text), *message("size", text=text), tmpdir=f"{tmp_path}/root")
    assert ended.stdout.count("250 OK 6") == 2
    assert site.log.count("output: 14") == 2  # of 1.4 million octets


def test_a_log_to_standard_error(site: Site) -> None:
    """Standard error takes the log all the time, though only root may open it anew."""
    ended = run(site, *message("me"), options=["-l", "/dev/stderr"])
    assert "250 OK 6" in ended.stdout
    assert "connection closed (quit)" in ended.stderr
    assert "ERROR" not in ended.stderr


def test_delivery_to_standard_output(site: Site) -> None:
    """Standard output takes messages."""
    ended = run(site, *message("out", text="Hello out there"))
    assert "250 OK 6" in ended.stdout
    assert "Hello out there\n" in ended.stdout


def test_a_log_among_strangers(site: Site, tmp_path: Path) -> None:
    """A log that root has given away goes on, where everybody may put things, too."""
    (tmp_path / "everybodys").mkdir()
    (tmp_path / "everybodys").chmod(0o1777)
    log = tmp_path / "everybodys" / "log"
    for _ in range(2):
        ended = run(site, *message("me"), options=["-l", str(log)])
        assert [line.startswith(DELIVERS) for line in ended.stderr.splitlines()] == [True]
    assert log.stat().st_uid == USER
    assert log.read_text().count("connection closed (quit)") == 2
