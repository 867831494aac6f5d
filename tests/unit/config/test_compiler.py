"""Compiling a configuration, and reading what came of it: the same as reading the file."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from mailrecv.config import compiler
from mailrecv.config.compiled import BROKEN, name_for
from mailrecv.config.faults import ConfigError
from mailrecv.config.reader import read_config
from mailrecv.limits import Switch
from mailrecv.policy.recipients import route
from mailrecv.reply import Reply
from tests.support.compiled import assert_says_the_same, compile_file, loaded
from tests.support.configs import client
from tests.support.oracle import assert_equal

DOCUMENTED = Path(__file__).parents[3] / "docs" / "mailrecv.conf"
ORIGINAL = Path(__file__).with_name("original.conf")


@pytest.mark.parametrize("source", [None, DOCUMENTED, ORIGINAL], ids=["every kind", "documented", "original"])
def test_a_compiled_configuration_says_the_same(file: Path, source: Path | None) -> None:
    """Everything that the file says, its compiled form says."""
    if source is not None:
        file.write_bytes(source.read_bytes())
    compile_file(file)
    assert_says_the_same(file)


def test_what_files_of_the_original_s_say(file: Path) -> None:
    """Groups with and without a plus, switches in all their words and an old name hold in the compiled form, too."""
    lines = ["loghex no", "limit.fcrdns_check 0", "ascii_smtp off 554 Why?", "replace rcpt_to a b"]
    groups = ["allowgroup g ^a$", "allowgroup +g ^b$"]
    uses = [f"deliver allowgroup {name} rcpt_to a@b append /{name}" for name in ("+g", "g")]
    file.write_text("\n".join([*lines, *groups, *uses]))
    compile_file(file)
    assert_says_the_same(file)
    with loaded(file) as config:
        assert config is not None
        assert (config.loghex, config.limits.fcrdns_check.on) == (False, False)
        assert config.limits.smtp_ascii == Switch(False, Reply(554, "Why?"))
        decision = route(config, client(name="a"), "a@b")
        assert decision.route is not None
        assert decision.route.target == "/g"


def test_an_empty_configuration(file: Path) -> None:
    """A file that says nothing can be compiled, too."""
    file.write_text("")
    compile_file(file)
    assert_says_the_same(file)


def test_decisions_are_the_same(file: Path) -> None:
    """The patterns match, and every address of thousands finds its line."""
    lines = [f"deliver rcpt_to user{number}@x.example append /mail/{number}" for number in range(5_000)]
    file.write_text("\n".join([*lines, "error rcpt_to ^no(?=body) 550 Nobody", "error rcpt_to . 451 Not now"]))
    compile_file(file)
    with loaded(file) as config:
        assert config is not None
        for number in range(5_000):
            decision = route(config, client(), f"USER{number}@X.example")
            assert decision.route is not None
            assert (decision.line, decision.route.target) == (number + 1, f"/mail/{number}")
        assert route(config, client(), "nobody@x.example").reply == Reply(550, "Nobody")
        assert route(config, client(), "user5000@x.example").reply == Reply(451, "Not now")
        assert sorted(config.deliver) == sorted(f"user{number}@x.example" for number in range(5_000))


def test_a_spoilt_part_is_read_from_the_file(file: Path) -> None:
    """Where the lines for recipients are no longer what was written, the file itself is asked."""
    made = compile_file(file)
    with loaded(file) as config:
        assert config is not None
        whole = made.read_bytes()
        made.write_bytes(whole[:-500] + bytes(500))
        right = read_config(str(file))
        assert config.deliver["status@mydomain.com"] == right.deliver["status@mydomain.com"]
        assert config.deliver.get("nobody@mydomain.com") is None
        assert repr(tuple(config.errors)) == repr(right.errors)


def test_any_spoilt_octet(file: Path) -> None:
    """Whichever octet is wrong, the configuration is the right one, or is not to be had from there."""
    made = compile_file(file)
    right = read_config(str(file)).replace(directives=())
    whole = made.read_bytes()
    with made.open("r+b", buffering=0) as spoilt:
        for place in range(len(whole)):
            os.pwrite(spoilt.fileno(), bytes([whole[place] ^ 0x10]), place)
            with suppress(*BROKEN), loaded(file) as config:
                if config:
                    found = {address: config.deliver[address] for address in right.deliver}
                    assert_equal(config.replace(deliver=found), right)
            os.pwrite(spoilt.fileno(), whole[place : place + 1], place)


def test_flags_that_need_the_file() -> None:
    """With the flags a and c every directive is logged, and those are not compiled; the other flags need none."""
    assert [flag for flag in "acfFhlrsw+" if not compiler.suffices(flag)] == ["a", "c"]
    assert compiler.suffices("") and not compiler.suffices("sc")  # noqa: PT018


@pytest.mark.parametrize(
    "seconds_ago, unsettled", [(0.0, 2.0), (1.5, 0.5), (2.1, 0.0), (1e6, 0.0), (-60.0, 62.0)], ids=str
)
def test_a_change_that_could_be_missed(seconds_ago: float, unsettled: float) -> None:
    """Within two seconds of a change another might leave the same times; so may a clock that is set back."""
    changed = int((time.time() - seconds_ago) * 1e9)
    for times in ((changed, 0), (0, changed)):
        assert compiler.unsettled_seconds((1, 2, 3, *times)) == pytest.approx(unsettled, abs=0.3)


def test_a_file_that_changes_while_it_is_compiled(file: Path) -> None:
    """What was read before the change is not taken for what the file says after it."""
    config = read_config(str(file))
    file.write_text("domain other.example\n")
    compiler.store(config, None)
    with loaded(file) as compiled:
        assert compiled is None


def test_only_regular_files(tmp_path: Path, cache: Path) -> None:
    """What comes out of a device or a FIFO has nothing to do with its times, so it is never compiled."""
    with pytest.raises(OSError, match="is no regular file"):
        compile_file(Path(os.devnull))
    assert list(cache.iterdir()) == []


def test_faults_are_not_compiled(file: Path, cache: Path) -> None:
    """There is no compiled form of a file with faults."""
    file.write_text("domian x\n")
    with pytest.raises(ConfigError):
        compile_file(file)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("trouble", ["no directory", "a file for a directory", "a directory in its place"])
def test_a_place_that_takes_nothing(file: Path, cache: Path, trouble: str) -> None:
    """Where nothing can be put, that is an OSError, and nothing is left behind."""
    if trouble == "a directory in its place":
        Path(name_for(str(file)), "x").mkdir(parents=True)
    else:
        cache.rmdir()
    if trouble == "a file for a directory":
        cache.touch()
    before = sorted(file.parent.rglob("*"))
    with pytest.raises(OSError):  # noqa: PT011 - of several kinds
        compile_file(file)
    assert sorted(file.parent.rglob("*")) == before


def test_what_was_there_before_is_replaced(file: Path, cache: Path) -> None:
    """A new compiled form takes the place of one that is void, even of a strange one, and nothing else is left."""
    made = compile_file(file)
    made.write_text("x")
    made.chmod(0o666)
    assert compile_file(file) == made
    assert_says_the_same(file)
    assert list(cache.iterdir()) == [made]


@pytest.mark.needs_root
@pytest.mark.parametrize("mode, made_mode", [(0o644, 0o644), (0o640, 0o640), (0o600, 0o600), (0o444, 0o444)])
def test_who_may_read_it(file: Path, mode: int, made_mode: int) -> None:
    """What root compiles may be read by those who may read the file: its group is the file's, too."""
    os.chown(file, 0, 12)
    file.chmod(mode)
    made = compile_file(file).stat()
    assert (stat.S_IMODE(made.st_mode), made.st_uid, made.st_gid) == (made_mode, 0, 12)


def test_several_at_the_same_time(file: Path, cache: Path) -> None:
    """Sessions that compile at the same time do not harm each other, nor those that read meanwhile."""
    compile_file(file)
    failures: list[BaseException] = []
    end = time.monotonic() + 1

    def work(step: Callable[[], object]) -> None:
        try:
            while time.monotonic() < end:
                step()
        except BaseException as error:  # noqa: BLE001 - the test is to see it
            failures.append(error)

    steps = [lambda: compile_file(file)] * 3 + [lambda: assert_says_the_same(file)] * 2
    threads = [threading.Thread(target=work, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(list(cache.iterdir())) == 1
