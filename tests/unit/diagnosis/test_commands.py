"""Commands that the shell does not take, or whose exit status does not tell what became of the message."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mailrecv.diagnosis.commands import advise
from tests.support.advice import advice
from tests.support.configs import config

BACKGROUND = "this puts work into the background: nobody waits for it, and it may end with the session"


def told(command: str) -> list[tuple[str, str]]:
    """Return what is said of a command, and what to write instead."""
    return [(text, instead) for _, _, text, instead in advice(advise, f"deliver rcpt_to a@b pipe {command}")]


def texts(command: str) -> list[str]:
    """Return what is said of a command."""
    return [text for text, _ in told(command)]


@pytest.mark.parametrize(
    "command",
    [
        "/usr/local/sbin/archive -v",
        "cat >/dev/null",
        "cat >>/srv/log 2>&1",
        "cat >&2",
        "cd /srv && cat >part && mv part whole || exit 75",
        '(echo "$MAILRECV_ID: $MESSAGE_SIZE octets from $SENDER"; cat) >>var/script.txt',
        "sed 1d | /usr/local/bin/archive",
        "grep -c '#' a#b",
        "echo 'a & b' \"c & d\" e\\&f; cat",
        "one & two & wait",
        "first & second; wait || exit 75",
        "setsid --wait /usr/local/bin/archive",
        "setsid -w /usr/local/bin/archive",
        "nohup /usr/local/bin/archive",
        "curl -T - https://archive.example/ || exit 75",
        "(curl -T - https://archive.example/) || exit 75",
        "curl -T - https://archive.example/ && true || exit 75",
        "curl https://archive.example/; cat >>/srv/mbox",
        "/opt/curl/bin/archive curl",
        "echo curl",
        "if grep -q x; then curl https://archive.example/ || exit 75; fi",
        "bash -o pipefail -c 'gpg -d | archive'",
        "systemd-run --user --wait --pipe cat",
        "! curl -T - https://archive.example/",
        "! sed 1d | curl -T - https://archive.example/",
        "(exec curl -T - https://archive.example/) || exit 75",
        "sed 1d | exec curl -T - https://archive.example/ || exit 75",
        "exec >>/srv/log; archive",
        "exit $((75 & 1))",
        "exit $(((75 & 1) | 64))",
        "echo ${SENDER:-a&b}",
        "timeout 10 curl -T - https://archive.example/ || exit 75",
        "sudo -u curl archive",
        "env",
    ],
)
def test_nothing_to_say(command: str) -> None:
    """What is meant as it stands is left alone."""
    assert told(command) == []


@pytest.mark.parametrize(
    "command, complaint",
    [
        ("echo 'one", "Unterminated quoted string"),
        ("if grep -q x", "end of file unexpected"),
        ("cat |", "end of file unexpected"),
        ("(cat", "end of file unexpected"),
        ("cat; fi", '"fi" unexpected'),
        ("archive )", '")" unexpected'),
    ],
)
def test_what_the_shell_does_not_take(command: str, complaint: str) -> None:
    """A command that could never run is told of, with the shell's own words where it has some."""
    [(text, instead)] = told(command)
    assert text.startswith("the shell does not take this: ")
    if Path("/bin/sh").resolve().name == "dash":
        assert complaint in text
    assert "sh -n" in instead


@pytest.mark.parametrize("command", ["grep -v ' # ' >/srv/x", 'printf "one # two"', "awk '/a/ # b\\'' '"])
def test_a_comment_inside_a_command(command: str) -> None:
    """A ` #` in quotes cuts the command, as it does everywhere in the file: the shell sees an odd quote."""
    [(text, instead)] = told(command)
    assert text == "the command ends before the #, and the shell does not take what is left"
    assert "script" in instead


@pytest.mark.parametrize(
    "command, word", [("logger -t mail #urgent mail", "#urgent"), ("archive ##two", "##two"), ("printf %s #1", "#1")]
)
def test_a_comment_that_may_be_an_argument(command: str, word: str) -> None:
    """What a comment cuts off is told where no blank follows the `#`: the shell takes what is left, but may lack it."""
    [(text, instead)] = told(command)
    assert text == f"the command ends before {word}, where a comment begins"
    assert "put a blank behind the #" in instead


def test_a_comment_behind_a_command() -> None:
    """A comment that is one is no reason to warn, not even one with a quote; nor does it hide another fault."""
    assert told("/usr/local/bin/archive -v # it's ours") == []
    assert told("cat >/dev/null # it's ours") == []
    assert told("cat >/dev/null #") == told("cat >/dev/null ## ours") == []
    [text] = texts("echo 'x # it is ours")
    assert text.startswith("the shell does not take this: ")


def test_no_command_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell is asked whether it takes a command, and does nothing of what that says."""
    monkeypatch.chdir(tmp_path)
    for command in ("touch run; :", "echo $(touch run) `touch run`", ": ${x:=$(touch run)} >run", "cat <run; set +n"):
        told(command)
    told("set +n; touch run")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command, foreground",
    [
        ("/usr/local/bin/archive &", "/usr/local/bin/archive"),
        ("nohup archive >/dev/null 2>&1 &", "nohup archive >/dev/null 2>&1"),
        ("cat >x; work x &", "cat >x; work x"),
        ("(work &)", None),
        ("work & echo started", None),
        ("wait; work & disown", None),
        ("cat >x && { work x & }", None),
        ("cat &>/dev/null", None),
        ("setsid archive", None),
        ("cat >x; exec /usr/bin/setsid -f work", None),
        ("daemonize /usr/local/bin/archive", None),
        ("timeout 10 setsid archive", None),
    ],
)
def test_work_in_the_background(command: str, foreground: str | None) -> None:
    """Work that goes on when the command has ended is told of, with the command that waits for it if that is plain."""
    [(text, instead)] = told(command)
    assert text == BACKGROUND
    assert (f"write: {foreground}\n" in instead) == (foreground is not None)
    assert "Work that goes on after the delivery" in instead


@pytest.mark.parametrize(
    "command, program",
    [
        ("gpg -d | archive", "gpg"),
        ("sed 1d | /usr/bin/base64 -d | archive 'x'", "base64"),
        ("LANG=C exec openssl smime -decrypt | archive", "openssl"),
    ],
)
def test_a_pipeline_that_hides_a_status(command: str, program: str) -> None:
    """A pipeline is as good as its last command; the others may fail unseen. What is offered instead sees it."""
    [(text, instead)] = told(command)
    assert text.startswith(f"nobody is told when {program} fails: ")
    offered = instead.removeprefix("write: ")
    assert texts(offered) == []
    subprocess.run(["/bin/sh", "-n"], input=offered, text=True, check=True)


def test_what_is_offered_for_a_pipeline_fails_with_it() -> None:
    """The command that is offered ends with the status of what failed, whatever quotes it holds."""
    [(_, instead)] = told("sh -c 'exit 5' | cat '/dev/null'")
    assert subprocess.run(["/bin/sh", "-c", instead.removeprefix("write: ")], check=False).returncode == 5


@pytest.mark.parametrize(
    "command, program",
    [
        ("curl -sfT - https://archive.example/", "curl"),
        ("timeout -k 5 10 curl -T - https://archive.example/", "curl"),
        ("env -u TZ X=1 /usr/bin/curl -T - https://archive.example/", "curl"),
        ("sudo -n msmtp -t", "msmtp"),
        ("set -o pipefail; curl https://archive.example/ | jq .", "curl"),
        ("sed 1d | curl -T - https://archive.example/", "curl"),
        ('test -n "$SENDER" && curl -T - https://archive.example/ && touch done', "curl"),
        ("TZ=UTC msmtp me@example.org", "msmtp"),
        ("false || msmtp -t", "msmtp"),
    ],
)
def test_statuses_that_mean_something_else(command: str, program: str) -> None:
    """A program whose statuses would refuse mail for good by mistake is to end with 75 instead."""
    [(text, instead)] = told(command)
    assert text.startswith(f"{program} ends with 6")
    assert instead == f"write: {command} || exit 75"
    assert texts(instead.removeprefix("write: ")) == []


@pytest.mark.parametrize(
    "command, offered",
    [
        ("exec /usr/bin/curl -K /srv/x", "/usr/bin/curl -K /srv/x || exit 75"),
        ("cd /srv && exec  curl x", "cd /srv && curl x || exit 75"),
        ("exec curl x || exit 75", "curl x || exit 75"),
        ("echo exec; exec timeout 10 curl x", "echo exec; timeout 10 curl x || exit 75"),
        ("exec curl x; cat", None),
        ("exec curl x || curl y", None),
        ("if grep -q x; then exec curl y; fi || exit 75", None),
    ],
)
def test_statuses_of_what_takes_the_place_of_the_shell(command: str, offered: str | None) -> None:
    """What stands behind an `exec` is never reached, so that no `|| exit 75` there helps."""
    [(text, instead)] = told(command)
    assert text.startswith("curl ends with 67")
    general = "put || exit 75 behind curl and its arguments, without an exec before it"
    assert instead == (f"write: {offered}" if offered else general)
    assert offered is None or told(offered) == []


@pytest.mark.parametrize(
    "command, suffix",
    [
        ("curl x | jq .", " || exit 75"),
        ("gpg -d | timeout 9 curl x | cat", " || exit 75"),
        ("curl x | jq . || exit 75", ""),
        ("gpg -d | archive", ""),
    ],
)
def test_a_pipeline_with_statuses_that_mean_something_else(command: str, suffix: str) -> None:
    """What is offered for a pipeline does not pass on such a status, which then would count."""
    [(_, instead)] = told(command)
    assert instead == f"write: bash -o pipefail -c '{command}'{suffix}"


def test_where_it_stands() -> None:
    """The advice points at the whole command, in a line with a group, too."""
    lines = ["allowgroup +g ^a$", "deliver allowgroup +g rcpt_to a@b pipe work &  # soon"]
    [(line, column, text, _)] = advice(advise, *lines)
    assert (line, column, text) == (2, 40, BACKGROUND)
    assert config(*lines).deliver["a@b"][0].target == "work &"
