"""When a compiled configuration counts, and when it does not: then it is as if there were none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mailrecv.config import compiled
from mailrecv.config.compiled import HEAD_OCTETS, MAGIC, NUMBER_OCTETS, name_for, open_compiled
from tests.support.compiled import compile_file

NOBODY = 65534


def is_found(file: Path) -> bool:
    """Say whether a file has a compiled form that counts."""
    if found := open_compiled(str(file)):
        found.close()
    return found is not None


def test_what_was_compiled_is_found(file: Path, cache: Path) -> None:
    """A file that is as it was has its compiled form in the cache directory, whatever it is called by."""
    made = compile_file(file)
    assert made.parent == cache
    assert is_found(file)
    assert is_found(file.parent / "." / file.name)
    assert is_found(Path(os.path.relpath(file)))


def test_none_was_compiled(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No compiled form, no cache directory, no configuration, and no possible path: none of these is a failure."""
    assert not is_found(file)
    assert open_compiled(str(file.parent / "missing")) is None
    assert open_compiled("a NUL: \0") is None
    monkeypatch.setenv("CACHE_DIRECTORY", str(file.parent / "missing"))
    assert not is_found(file)


@pytest.mark.parametrize(
    "given, directory", [(None, "/var/cache/mailrecv"), ("", "/var/cache/mailrecv"), ("/x", "/x"), ("/x:/y", "/x")]
)
def test_where_it_is(given: str | None, directory: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the first directory that CacheDirectory= made, or else in the package's; no two paths share a name."""
    monkeypatch.delenv("CACHE_DIRECTORY", raising=False)
    if given is not None:
        monkeypatch.setenv("CACHE_DIRECTORY", given)
    assert name_for("/etc/mailrecv.conf") == f"{directory}/%2fetc%2fmailrecv.conf"
    assert name_for("/etc/x%2fmailrecv.conf") == f"{directory}/%2fetc%2fx%252fmailrecv.conf"


CHANGES: dict[str, Callable[[Path], object]] = {
    "other octets": lambda file: file.write_text(file.read_text().replace("mydomain", "urdomain")),
    "one line more": lambda file: file.write_text(file.read_text() + "# more\n"),
    "other permissions": lambda file: file.chmod(0o640),
    "another time": lambda file: os.utime(file, (1, 1)),
    "a copy in its place": lambda file: (
        file.with_name("copy").write_bytes(file.read_bytes()) and file.with_name("copy").replace(file)
    ),
    "a link to another": lambda file: file.rename(file.with_name("old")).with_name(file.name).symlink_to("old"),
    "nothing": lambda file: file.unlink(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_of_a_file_that_was_changed(file: Path, change: Callable[[Path], object]) -> None:
    """Whatever happens to the file, and even if all its times and its size are put back, what was compiled is void."""
    times = file.stat()
    compile_file(file)
    change(file)
    if file.exists():
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not is_found(file)


def test_of_another_file(file: Path) -> None:
    """The compiled form of one file, put where another's would be, is not taken for it, even if it is the same file."""
    made = compile_file(file)
    other = file.with_name("other.conf")
    other.hardlink_to(file)
    made.rename(name_for(str(other)))
    assert not is_found(other)


def test_of_another_version(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another version of mailrecv or of Python has compiled does not count."""
    made = compile_file(file)
    made.write_bytes(made.read_bytes().replace(MAGIC, MAGIC.replace(b"mailrecv ", b"mailrecv 1"), 1)[:-1])
    assert not is_found(file)


def test_of_another_program(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was compiled before the program's modules were replaced does not count, though the version is the same."""
    compile_file(file)
    (tmp_path / "program").mkdir()
    monkeypatch.setattr(compiled, "__file__", str(tmp_path / "program" / "compiled.py"))
    assert not is_found(file)


@pytest.mark.parametrize("mode, counts", [(0o600, True), (0o644, True), (0o660, False), (0o606, False)])
def test_that_others_may_write(file: Path, mode: int, counts: bool) -> None:
    """A compiled form that its group or everybody may write to is not trusted."""
    compile_file(file).chmod(mode)
    assert is_found(file) is counts


@pytest.mark.needs_root
@pytest.mark.parametrize(
    "owner, reader, counts",
    [(0, 0, True), (0, NOBODY, True), (NOBODY, NOBODY, True), (NOBODY, 0, False), (1, NOBODY, False)],
)
def test_of_somebody_else(file: Path, owner: int, reader: int, counts: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What root has made counts for everybody, what a user has made for nobody but that user."""
    monkeypatch.setattr(compiled, "__file__", "/usr/lib/compiled.py")  # where everybody may look
    for folder in (file.parent, *file.parent.parents[:-2]):
        folder.chmod(0o755)
    os.chown(compile_file(file), owner, 0)
    os.seteuid(reader)
    try:
        assert is_found(file) is counts
    finally:
        os.seteuid(0)


def test_that_is_no_file(file: Path) -> None:
    """A link, a directory or a FIFO in its place is not followed, read or waited for."""
    made = compile_file(file)
    made.rename(made.with_name("elsewhere"))
    made.symlink_to("elsewhere")
    assert not is_found(file)
    made.unlink()
    made.mkdir()
    assert not is_found(file)
    made.rmdir()
    os.mkfifo(made)
    assert not is_found(file)


def test_any_cut(file: Path) -> None:
    """A compiled form that was cut off anywhere, or got longer, does not count."""
    made = compile_file(file)
    size = made.stat().st_size
    os.truncate(made, size + 1)
    for cut in range(size - 1, -2, -1):
        assert not is_found(file)
        os.truncate(made, max(cut, 0))


def test_any_wrong_octet_in_front(file: Path) -> None:
    """One octet that is not as it was, anywhere in what the greeting depends on, and it does not count."""
    made = compile_file(file)
    whole = made.read_bytes()
    opened = open_compiled(str(file))
    assert opened is not None
    opened.close()
    of_rules = range(HEAD_OCTETS - NUMBER_OCTETS, HEAD_OCTETS)  # their size: it shows when they are read
    with made.open("r+b", buffering=0) as spoilt:
        for place in sorted({*range(opened._rules_at)} - {*of_rules}):
            os.pwrite(spoilt.fileno(), bytes([whole[place] ^ 1]), place)
            assert not is_found(file)
            os.pwrite(spoilt.fileno(), whole[place : place + 1], place)
    assert is_found(file)


def test_nothing_stays_open(file: Path) -> None:
    """What does not count is closed again."""
    made = compile_file(file)
    made.write_bytes(b"x" * 10_000)
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as short as it is
    assert not is_found(file)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


def test_a_closed_standard_stream_stays_closed(file: Path) -> None:
    """It never takes the number of a standard stream, where it would be read as what a client says."""
    compile_file(file)
    script = "import sys; from mailrecv.config.compiled import open_compiled; print(open_compiled(sys.argv[1]) is None)"
    command = ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-c", script, str(file)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "True\n"
