"""The configuration file: one that somebody else can change is refused, because it says which commands are run.

This process, as root or as the user `mail`, stands for mailrecv.
"""

from __future__ import annotations

import grp
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailrecv.config.faults import ConfigError
from mailrecv.config.reader import read_config
from tests.clients.servers import ENVIRONMENT, PROGRAM, Starter
from tests.support.users import running_as

pytestmark = pytest.mark.needs_root

BY_EVERYBODY = "may be changed by everybody, and can run commands (chmod o-w mends that)"
BY_GROUP = "may be changed by its group, and can run commands (chmod g-w mends that)"
BY_OWNER = "belongs to {}, neither to root nor to the user who reads it, and can run commands (chown root mends that)"


@pytest.fixture
def file() -> Iterator[Path]:
    """A configuration that every user can reach, unlike what pytest makes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        path = Path(folder) / "mailrecv.conf"
        path.write_text("domain mydomain.com\n")
        yield path


def faults(path: Path) -> list[str]:
    """Return the faults of a file."""
    try:
        read_config(str(path))
    except ConfigError as error:
        return [str(fault).removeprefix(f"{path}: ") for fault in error.faults]
    return []


def give(file: Path, to: str) -> None:
    """Change whose the file is and who may write to it.  to: as in `root:mail 640`."""
    owner, group, mode = re.split("[: ]", to)
    shutil.chown(file, owner, group)
    file.chmod(int(mode, 8))


@pytest.mark.parametrize(
    "file_of, reader",
    [
        ("root:root 644", "root"),
        ("root:root 644", "mail"),
        ("root:mail 640", "mail"),  # only mailrecv's user can read it
        ("mail:mail 600", "mail"),
        ("root:root 664", "root"),  # a umask of 002, with a group of the user's own
        ("mail:mail 664", "mail"),
    ],
)
def test_who_may_change_it(file: Path, file_of: str, reader: str) -> None:
    """It may belong to root or to the user who reads it."""
    give(file, file_of)
    with running_as(reader):
        assert faults(file) == []


@pytest.mark.attacks(1)
@pytest.mark.parametrize(
    "file_of, reader, fault",
    [
        ("root:root 646", "root", BY_EVERYBODY),
        ("root:root 666", "mail", BY_EVERYBODY),
        ("mail:mail 602", "mail", BY_EVERYBODY),
        ("root:mail 664", "mail", BY_GROUP),
        ("root:staff 664", "root", BY_GROUP),
        ("mail:root 660", "mail", BY_GROUP),
        ("mail:mail 600", "root", BY_OWNER.format("mail")),
        ("nobody:nogroup 644", "mail", BY_OWNER.format("nobody")),
    ],
)
def test_who_may_not_change_it(file: Path, file_of: str, reader: str, fault: str) -> None:
    """Anybody else who might have written to it is a fault."""
    give(file, file_of)
    with running_as(reader):
        assert faults(file) == [fault]


@pytest.mark.attacks(1)
def test_a_group_with_other_members(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group of the user's own to which others were added is not the user's own any more."""
    own = grp.getgrnam("root")
    shared = grp.struct_group((own.gr_name, own.gr_passwd, own.gr_gid, ["root", "mail"]))
    file.chmod(0o664)
    monkeypatch.setattr(grp, "getgrgid", lambda gid: own)
    assert faults(file) == []
    monkeypatch.setattr(grp, "getgrgid", lambda gid: shared)
    assert faults(file) == [BY_GROUP]


@pytest.mark.attacks(2)
def test_users_and_groups_without_a_name(file: Path) -> None:
    """A user or a group that the system does not know is nobody's own."""
    os.chown(file, 0, 987654)
    file.chmod(0o664)
    assert faults(file) == [BY_GROUP]
    os.chown(file, 987654, 0)
    assert faults(file) == [BY_OWNER.format("user 987654")]


def test_every_fault_is_told(file: Path) -> None:
    """What is wrong with the lines of the file is told in the same run."""
    file.write_text("domian mydomain.com\n")
    file.chmod(0o666)
    assert [fault.partition(",")[0] for fault in faults(file)] == [
        "may be changed by everybody",
        f"{file}:1:1: unknown directive domian",
    ]


@pytest.mark.attacks(1)
def test_a_link_to_it(file: Path) -> None:
    """It is the file that counts, not a link to it."""
    link = file.with_name("link")
    link.symlink_to(file)
    assert faults(link) == []
    file.chmod(0o666)
    assert faults(link) == [BY_EVERYBODY]


def test_what_is_no_file() -> None:
    """A pipe, as a shell makes for <(command), and /dev/null can be read."""
    assert stat.S_IMODE(Path(os.devnull).stat().st_mode) & stat.S_IWOTH
    assert faults(Path(os.devnull)) == []
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader):
        assert faults(Path(f"/dev/fd/{reader}")) == []


@pytest.mark.attacks(1)
def test_nobody_is_served_with_it(start: Starter) -> None:
    """A client is told 421, the log says why, and the exit status is 78."""
    site = start.site("logfile syslog")
    site.config.chmod(0o646)
    session = start.session(site=site, arguments=["-l", f"{site.folder}/log"])
    (reply,) = session.wire.rest()
    assert reply.startswith("421 ")
    assert session.exit_status() == 78
    assert f"ERROR: {site.config}: {BY_EVERYBODY}\n" in site.log


def test_check_tells(start: Starter) -> None:
    """`mailrecv check` tells it as it tells every fault."""
    site = start.site()
    site.config.chmod(0o646)
    command = [*PROGRAM, "check", "-c", str(site.config)]
    checked = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert (checked.returncode, checked.stdout) == (78, f"{site.config}: {BY_EVERYBODY}\n")
