"""Advice about commands: those that the shell does not take, and those whose exit status does not tell what became of
the message.

No command is ever run here. The shell says whether it takes one (`sh -n`); the rest is read from its words, as far as
they stand outside of quotes. Only what is plain to see is told: a program may well do all this by itself.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache

from mailrecv.config.model import Config
from mailrecv.diagnosis.advice import Advice, Source
from mailrecv.diagnosis.paths import places_of
from mailrecv.values import Value

_SEE = "how to give work away is in mailrecv.conf(5), under Work that goes on after the delivery"
_TOKEN = re.compile(
    r"""(?P<word>(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|\$\([^()]*\)|`[^`]*`|[^\s;&|<>()\\'"`])+)"""
    r"""|(?P<operator>&&|\|\||;;|[<>]&|>>|<<-?|>\||[;&|<>()])""",
)
_REDIRECTIONS = ("<", ">", ">>", "<<", "<<-", "<&", ">&", ">|")  # the word after one of these is none of the command
_BEFORE_A_COMMAND = ("!", "{", "if", "then", "else", "elif", "while", "until", "do", "exec", "command", "nohup", "time")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_SURELY_TAKEN = re.compile(r"/[A-Za-z0-9_./+:,@%= \t-]*")  # a path, and plain words: there is no need to ask the shell
_COMPLAINT = re.compile(r"(?:^|: )(?:line )?1: (.*)")  # of dash or bash about the first line
_TOO_SOON = ("setsid", "daemonize")  # end at once, while what they start goes on
# What can hardly fail, so that its status may well be lost in a pipeline.
_FILTERS = {"cat", "echo", "printf", "sed", "awk", "grep", "head", "tail", "tr", "cut", "sort", "uniq", "yes", "true"}
_OWN_STATUSES = {  # programs whose statuses look like those that refuse a message for good, and what they mean
    "curl": "67 when a login is refused and 77 when it cannot read its certificates",
    "msmtp": "68 when DNS does not know its server and 77 when a login is refused",
}


class _Simple(Value):
    """A simple command.  words: from its program on.  operator: what stands after it, "" at the end."""

    words: tuple[str, ...]
    operator: str

    @property
    def program(self) -> str:
        """The program's name, without its directory; "" when there is none."""
        return os.path.basename(self.words[0]) if self.words else ""


def advise(config: Config, source: Source) -> Iterator[Advice]:
    """Yield advice about the commands of `pipe`."""
    for line, word, method, command in places_of(config, source):
        if method == "pipe":
            for text, instead in _faults(command, source.comment(line)):
                yield source.advice(line, word, text, instead, to_end=True)


def _faults(command: str, comment: str) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a command, and what to write instead.  comment: what was cut off behind it."""
    complaint = _complaint(command)
    if complaint is not None:
        if comment and _complaint(f"{command} {comment}") is None:
            text = "the command ends before the #, and the shell does not take what is left"
            yield text, "a # after a blank begins a comment, in quotes too: put the command into a script"
        else:
            yield (
                f"the shell does not take this: {complaint}",
                "write a command that sh -n takes, or put it into a script",
            )
        return
    parts = list(_simple_commands(command))
    if _goes_on(parts):
        text = "this puts work into the background: nobody waits for it, and it may end with the session"
        foreground = command.rstrip("& \t")
        plain = len(foreground) < len(command) and not _goes_on(list(_simple_commands(foreground)))
        yield text, f"to wait for it, write: {foreground}\n    else {_SEE}" if plain else _SEE
    for part in parts:
        if part.operator == "|" and part.program not in _FILTERS and "pipefail" not in command:
            text = f"nobody is told when {part.program} fails: a pipeline ends with the exit status of its last command"
            yield text, f"write: bash -o pipefail -c {shlex.quote(command)}"
            break
    for part in _deciding(parts):
        if part.program in _OWN_STATUSES:
            text = (
                f"{part.program} ends with {_OWN_STATUSES[part.program]}, and mail is refused for good with that status"
            )
            yield text, f"write: {command} || exit 75"
            break


@cache
def _complaint(command: str) -> str | None:
    """Return what the shell does not like about a command, None when it takes it. Nothing is run."""
    if _SURELY_TAKEN.fullmatch(command):
        return None
    asked = subprocess.run(
        ["/bin/sh", "-n"],  # from its input: not every shell minds -n beside -c
        input=command.encode("utf-8", "surrogateescape"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={"LC_ALL": "C"},
        check=False,
    )
    if asked.returncode == 0:
        return None
    complaint = _COMPLAINT.search(asked.stderr.decode("utf-8", "replace").partition("\n")[0])
    return complaint[1] if complaint else "syntax error"


def _simple_commands(command: str) -> Iterator[_Simple]:
    words: list[str] = []
    is_target = False
    for token in _TOKEN.finditer(command):
        if token["operator"] in _REDIRECTIONS:
            is_target = True
        elif token["operator"] is not None:
            yield _Simple(_from_program(words), token["operator"])
            words = []
        elif is_target:
            is_target = False
        else:
            words.append(token["word"])
    yield _Simple(_from_program(words), "")


def _from_program(words: list[str]) -> tuple[str, ...]:
    for at, word in enumerate(words):
        if word not in _BEFORE_A_COMMAND and not _ASSIGNMENT.match(word):
            return tuple(words[at:])
    return ()


def _goes_on(parts: list[_Simple]) -> bool:
    """Say whether something goes on when the command ends."""
    waits_from = max((at for at, part in enumerate(parts) if part.program == "wait"), default=-1)
    for at, part in enumerate(parts):
        if part.operator == "&" and at > waits_from:
            return True
        if part.program in _TOO_SOON and not {"-w", "--wait", "-V", "-h", "--help"} & set(part.words):
            return True
    return False


def _deciding(parts: list[_Simple]) -> Iterator[_Simple]:
    """Yield the simple commands whose exit status can be that of the whole."""
    for part in reversed(parts):
        if part.operator in (";", ";;", "&", "||"):
            return
        if part.operator != "|":
            yield part
