"""The mail data of a message, in memory and in a file without a name."""

from __future__ import annotations

import errno
import io
import os
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from mailrecv.delivery import spool
from mailrecv.delivery.spool import BLOCK_OCTETS, MEMORY_OCTETS, Spool, temporary_file, write_all
from tests.support.delivery import open_descriptors


def spooled(*blocks: bytes) -> Spool:
    mail_data = Spool()
    for block in blocks:
        mail_data.write(block)
    return mail_data


def octets(size: int) -> bytes:
    """Return octets that show when some are missing or in the wrong place."""
    return b"".join(b"%07d\n" % number for number in range(size // 8 + 1))[:size]


@pytest.mark.parametrize("step", [1 << 16, (1 << 16) + 1, MEMORY_OCTETS, 10 * MEMORY_OCTETS])
@pytest.mark.parametrize("size", [0, 1, MEMORY_OCTETS - 1, MEMORY_OCTETS, MEMORY_OCTETS + 1, 3 * MEMORY_OCTETS + 5])
def test_what_was_written_is_read_back(size: int, step: int) -> None:
    """Whatever its size and its pieces, mail data comes back whole, as often as it is asked for."""
    whole = octets(size)
    with closing(spooled(*(whole[start : start + step] for start in range(0, size, step)))) as mail_data:
        assert mail_data.size == size
        for _ in range(2):
            blocks = list(mail_data.blocks())
            assert b"".join(blocks) == whole
            assert all(0 < len(block) <= BLOCK_OCTETS for block in blocks)


def test_small_mail_data_touches_no_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to MEMORY_OCTETS no file is made."""
    monkeypatch.delattr(spool, "temporary_file")
    assert spooled(octets(MEMORY_OCTETS)).size == MEMORY_OCTETS


def test_large_mail_data_is_in_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Larger mail data is in a file under TMPDIR that no name leads to, and is gone when it is closed."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = open_descriptors()
    with closing(spooled(octets(MEMORY_OCTETS), b"x")):
        [opened] = open_descriptors() - before
        assert str(tmp_path) in opened
        assert opened.endswith("(deleted)")
        assert not list(tmp_path.iterdir())
    assert open_descriptors() == before


def test_without_tmpdir_it_is_under_var_tmp(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is where disk space is, not in /tmp, which may be memory."""
    monkeypatch.delenv("TMPDIR", raising=False)
    with temporary_file() as file:
        assert str(Path(f"/proc/self/fd/{file.fileno()}").readlink()).startswith("/var/tmp/")  # noqa: S108 - nameless


def test_a_file_system_without_nameless_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file can be made without a name, as on NFS, it loses its name at once."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    open_any = os.open

    def open_named(path: str, flags: int, mode: int = 0o777, **options: int) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), path)
        return open_any(path, flags, mode, **options)

    monkeypatch.setattr(os, "open", open_named)
    with closing(spooled(octets(MEMORY_OCTETS), b"x")) as mail_data:
        assert b"".join(mail_data.blocks()) == octets(MEMORY_OCTETS) + b"x"
        assert not list(tmp_path.iterdir())


def test_memory_stays_flat() -> None:
    """Mail data of 64 MB takes no more memory than the most that is kept there, and a few blocks."""
    block = octets(BLOCK_OCTETS)
    tracemalloc.start()
    try:
        with closing(spooled(*(block for _ in range(256)))) as mail_data:
            assert sum(map(len, mail_data.blocks())) == 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 4 * MEMORY_OCTETS
    finally:
        tracemalloc.stop()


def test_no_place_for_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no file can be made, that is an OSError for the one who writes."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    mail_data = spooled(octets(MEMORY_OCTETS))
    with pytest.raises(FileNotFoundError):
        mail_data.write(b"x")


@pytest.mark.needs_root
def test_a_full_disk(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the file finds no room, that is an OSError for the one who writes, and closing frees the room."""
    monkeypatch.setenv("TMPDIR", str(small_disk))
    before = open_descriptors()
    with closing(spooled(octets(MEMORY_OCTETS))) as mail_data, pytest.raises(OSError, match="No space left"):
        mail_data.write(b"x")
    assert open_descriptors() == before


class TakesLittle(io.RawIOBase):
    """A file that takes three octets at a time."""

    def __init__(self) -> None:
        self.taken = b""

    def write(self, octets: memoryview) -> int:  # type: ignore[override]
        self.taken += octets[:3]
        return min(3, len(octets))


def test_short_writes() -> None:
    """What a file does not take at once is written again until all of it is there."""
    file = TakesLittle()
    write_all(file, octets(20))  # type: ignore[arg-type]
    assert file.taken == octets(20)
