"""What bash and zsh offer for mailrecv's command line when a person presses Tab: all there is, and nothing else.

Real shells at a terminal are asked: each puts everything it would offer into the command line, which is then printed.
"""

from __future__ import annotations

import argparse
import os
import pty
import re
import runpy
import select
import subprocess
import time
import types
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from mailrecv.cli.parser import parser

completion = types.SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[2] / "packaging/completion.py")))
PATIENCE_SECONDS = 20.0
INSERT_ALL, TO_BEGIN, CLEAR = "\x1b*", "\x01", "\x01\x0b"  # M-*, C-a, and C-a C-k: none means anything to a terminal

BASH = pytest.param("bash", marks=pytest.mark.needs_tool("bash"))
ZSH = pytest.param("zsh", marks=pytest.mark.needs_tool("zsh"))
SET_UP = {  # how an administrator's shell begins, and M-* for inserting all matches, which bash has by itself
    "bash": """
        . /usr/share/bash-completion/bash_completion
    """,
    "zsh": r"""
        fpath=($PWD/zsh/vendor-completions $fpath); autoload -Uz compinit; compinit -u -D
        zstyle ':completion:all:*' completer _all_matches _complete; zstyle ':completion:all:*' insert yes
        zle -C all complete-word _generic; bindkey '\e*' all
    """,
}
START = {"bash": ["bash", "--norc", "-i"], "zsh": ["zsh", "-f", "-i"]}


class Shell:
    """A shell at a terminal.  folder: where it is, with the completions in the folders that the package has."""

    def __init__(self, name: str, folder: Path) -> None:
        self._terminal, inside = pty.openpty()
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TERM": "dumb",
            "LANG": "C.UTF-8",
            "PS1": "",
            "XDG_DATA_DIRS": str(folder),
        }
        streams = {"stdin": inside, "stdout": inside, "stderr": inside}
        self._process = subprocess.Popen(  # type: ignore[call-overload]
            START[name], cwd=folder, env=environment, start_new_session=True, **streams
        )
        os.close(inside)
        self._count = 0
        self.printed("stty cols 4000 -echo; " + "; ".join(line.strip() for line in SET_UP[name].strip().splitlines()))

    def close(self) -> None:
        """End the shell."""
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)

    def printed(self, line: str) -> str:
        """Type a line and return what is printed up to its end, echo included."""
        self._count += 1
        os.write(self._terminal, f"{line}\r echo done$((1)){self._count}\r".encode())
        text, end = "", time.monotonic() + PATIENCE_SECONDS
        while f"done1{self._count}" not in text:
            ready, _, _ = select.select([self._terminal], [], [], max(0.0, end - time.monotonic()))
            assert ready, f"nothing more after {text!r}"
            text += os.read(self._terminal, 1 << 16).decode()
        return text

    def offered(self, line: str) -> list[str]:
        """Return all that is offered where a command line ends, sorted."""
        printed = self.printed(f"{line}{INSERT_ALL}{TO_BEGIN}printf '<%s>\\n' ")
        words = re.findall(r"(?m)^<(.*)>\r$", printed)
        return sorted(word.rstrip() for word in words[len(line.rpartition(" ")[0].split()) :])


@contextmanager
def shell_that_completes(name: str, known: argparse.ArgumentParser, folder: Path) -> Generator[Shell, None, None]:
    """Start a shell with the completion of a command line where the package has it below /usr/share."""
    path = folder / {"bash": "bash-completion/completions/mailrecv", "zsh": "zsh/vendor-completions/_mailrecv"}[name]
    path.parent.mkdir(parents=True)
    path.write_text(completion.completion(known, name))
    with closing(Shell(name, folder)) as shell:
        yield shell


@pytest.fixture(scope="module", params=[BASH, ZSH])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Shell, None, None]:
    """A shell that completes mailrecv's command line."""
    with shell_that_completes(request.param, parser(), tmp_path_factory.mktemp("share")) as shell:
        yield shell


def actions(of: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the actions of a parser by name."""
    return {
        name: sub
        for action in of._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, sub in action.choices.items()
    }


def command_lines() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Give the beginning of each command line, and the parser that knows how it goes on."""
    yield "mailrecv", parser()
    for name, sub in actions(parser()).items():
        yield f"mailrecv {name}", sub


def options(of: argparse.ArgumentParser) -> list[str]:
    """Return the options of a parser, sorted."""
    return sorted(option for action in of._actions for option in action.option_strings)


def test_actions(shell: Shell) -> None:
    """Every action is offered, and no other."""
    assert shell.offered("mailrecv ") == sorted(actions(parser()))


@pytest.mark.parametrize(
    "line, known", list(command_lines()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_options(shell: Shell, line: str, known: argparse.ArgumentParser) -> None:
    """Every option of every action is offered, and no other."""
    assert shell.offered(f"{line} -") == options(known)


@pytest.fixture(params=[BASH, ZSH])
def inventive_shell(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Shell, None, None]:
    """A shell that completes a command line with an argument of every kind, in a folder with a configuration."""
    known = argparse.ArgumentParser("mailrecv")
    known.add_argument("-c", metavar="FILE")
    known.add_argument("-l", metavar="syslog|FILE")
    known.add_argument("-d", metavar="DIR")
    known.add_argument("-n", metavar="NUMBER")
    known.add_argument("--kind", choices=["one", "two"])
    known.add_argument("recipient", metavar="RECIPIENT")
    folder = tmp_path / "share"
    (folder / "a folder").mkdir(parents=True)
    (folder / "my.conf").write_text(
        "deliver rcpt_to one@x append /x\n"
        "  deliver allowgroup +g rcpt_to two@x pipe echo rcpt_to three@x\n"
        "#deliver rcpt_to four@x append /x\n"
        "deliver rcpt_to $(touch${IFS}ran)@x append /x\n"
    )
    with shell_that_completes(request.param, known, folder) as shell:
        yield shell


def test_arguments(inventive_shell: Shell) -> None:
    """For an argument a person gets the files, folders, words or addresses that can stand there."""
    offered = inventive_shell.offered
    assert offered("mailrecv -c m") == ["my.conf"]
    assert offered("mailrecv -l s") == ["syslog"]
    assert offered("mailrecv -l m") == ["my.conf"]
    assert offered("mailrecv -c a") == ["a folder"]
    assert offered("mailrecv -d a") == ["a folder"]
    assert offered("mailrecv -n m") == ["m"]  # nothing: the word stays as it is
    assert offered("mailrecv --kind ") == ["one", "two"]
    assert offered("mailrecv -c my.conf t") == ["two@x"]


def test_nothing_is_run(inventive_shell: Shell, tmp_path: Path) -> None:
    """A command that somebody wrote into an address of a configuration is not run when addresses are offered."""
    inventive_shell.printed(f"mailrecv -c my.conf {INSERT_ALL}{CLEAR}")
    assert not (tmp_path / "share/ran").exists()
