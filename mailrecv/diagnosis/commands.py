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
    r"""(?P<word>(?:\\.|'[^']*'|"(?:\\.|[^"\\])*"|\$\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|\$\{[^{}]*\}|`[^`]*`"""
    r"""|[^\s;&|<>()\\'"`])+)"""
    r"""|(?P<operator>&&|\|\||;;|[<>]&|>>|<<-?|>\||[;&|<>()])""",
)
_REDIRECTIONS = ("<", ">", ">>", "<<", "<<-", "<&", ">&", ">|")  # the word after one of these is none of the command
_BEFORE_A_COMMAND = ("!", "{", "if", "then", "else", "elif", "while", "until", "do", "exec", "command", "nohup", "time")
_BEFORE_ANOTHER = {  # programs that run another, and their options whose value is the next word
    "env": ("-u", "-C"),
    "ionice": ("-c", "-n"),
    "nice": ("-n",),
    "stdbuf": ("-i", "-o", "-e"),
    "sudo": ("-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T"),
    "timeout": ("-k", "-s"),
}
_NO_BLANK = re.compile(r"#+[^#\s]")  # a comment without a blank behind its `#`
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
    """A simple command.

    words: from its program on.  operator: what stands after it, "" at the end.  negated: a `!` makes 0 or 1 of the
    status of its pipeline.  exec_at: where the `exec` stands by which it takes the place of the whole shell, so that
    nothing behind it is reached; None without one.
    """

    words: tuple[str, ...]
    operator: str
    negated: bool = False
    exec_at: int | None = None

    @property
    def program(self) -> str:
        """The program's name, without its directory; "" when there is none."""
        return os.path.basename(self.words[0]) if self.words else ""

    @property
    def has_own_statuses(self) -> bool:
        """True when it may end with a status that looks like one that refuses a message for good."""
        return self.program in _OWN_STATUSES and not self.negated


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
    if _NO_BLANK.match(comment):
        text = f"the command ends before {comment.split(maxsplit=1)[0]}, where a comment begins"
        yield text, "for a comment, put a blank behind the #; else put the command into a script"
    parts = list(_simple_commands(command))
    if _goes_on(parts):
        text = "this puts work into the background: nobody waits for it, and it may end with the session"
        foreground = command.rstrip("& \t")
        plain = len(foreground) < len(command) and not _goes_on(list(_simple_commands(foreground)))
        yield text, f"to wait for it, write: {foreground}\n    else {_SEE}" if plain else _SEE
    for part in parts:
        if part.operator == "|" and part.program not in _FILTERS and "pipefail" not in command:
            who = part.program or "this"
            text = f"nobody is told when {who} fails: a pipeline ends with the exit status of its last command"
            yield text, _with_pipefail(command, parts)
            break
    for part in _deciding(parts, pipefail="pipefail" in command):
        if part.has_own_statuses:
            text = (
                f"{part.program} ends with {_OWN_STATUSES[part.program]}, and mail is refused for good with that status"
            )
            yield text, _with_75(command, part)
            break


def _with_pipefail(command: str, parts: list[_Simple]) -> str:
    """Return what to write for a command, so that all programs of its pipelines count."""
    own = any(part.has_own_statuses for part in _deciding(parts, pipefail=True))
    return f"write: bash -o pipefail -c {shlex.quote(command)}{' || exit 75' if own else ''}"


def _with_75(command: str, part: _Simple) -> str:
    """Return what to write for a command, so that it ends with 75 where a part of it has statuses of its own."""
    better = f"{command} || exit 75"
    if part.exec_at is not None:
        better = command[: part.exec_at] + command[part.exec_at :].removeprefix("exec").lstrip()
        better += " || exit 75" if part.operator == "" else ""
    comes_next = part.exec_at is None or part.operator in ("", "||")  # else what was never reached would be
    if not comes_next or any(one.has_own_statuses for one in _deciding(list(_simple_commands(better)), pipefail=False)):
        return f"put || exit 75 behind {part.program} and its arguments, without an exec before it"
    return f"write: {better}"


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
    exec_at: int | None = None
    depth = 0  # of subshells, whose `exec` does not end the whole
    piped = negated = is_target = False
    for token in _TOKEN.finditer(command):
        operator, word = token["operator"], token["word"]
        if operator in _REDIRECTIONS:
            is_target = True
        elif operator is not None:
            alone = not (piped or depth or operator in ("|", "&"))
            yield _Simple(_from_program(words), operator, negated, exec_at if alone else None)
            depth += {"(": 1, ")": -1}.get(operator, 0)
            words, exec_at = [], None
            piped = operator == "|"
            negated = negated and piped
        elif is_target:
            is_target = False
        else:
            if not _from_program(words):
                negated = negated or word == "!"
                exec_at = token.start() if word == "exec" else exec_at
            words.append(word)
    yield _Simple(_from_program(words), "", negated, None if piped or depth else exec_at)


def _from_program(words: list[str]) -> tuple[str, ...]:
    """Return the words of a simple command from that program on that does the work."""
    rest = words
    while rest:
        first, *rest = rest
        program = os.path.basename(first)
        if program in _BEFORE_ANOTHER:
            another = _from_program(_without_options(rest, program))
            return another or (first, *rest)
        if first not in _BEFORE_A_COMMAND and not _ASSIGNMENT.match(first):
            return (first, *rest)
    return ()


def _without_options(words: list[str], program: str) -> list[str]:
    """Return what a program that runs another is to run.  words: behind it."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _BEFORE_ANOTHER[program] else 1
    return words[at + (program == "timeout") :]  # that has the time in front


def _goes_on(parts: list[_Simple]) -> bool:
    """Say whether something goes on when the command ends."""
    waits_from = max((at for at, part in enumerate(parts) if part.program == "wait"), default=-1)
    for at, part in enumerate(parts):
        if part.operator == "&" and at > waits_from:
            return True
        if part.program in _TOO_SOON and not {"-w", "--wait", "-V", "-h", "--help"} & set(part.words):
            return True
    return False


def _deciding(parts: list[_Simple], *, pipefail: bool) -> Iterator[_Simple]:
    """Yield the simple commands whose exit status can be that of the whole.  pipefail: those before a `|` count."""
    decides = True
    for part in reversed(parts):
        decides = decides and part.operator not in (";", ";;", "&", "||")
        if (decides and (pipefail or part.operator != "|")) or part.exec_at is not None:
            yield part
