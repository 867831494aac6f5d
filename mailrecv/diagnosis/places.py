"""The places that a configuration names: can the service read it, write there, run that? And advice about those.

Each place is tried as the user who runs the service, in one child process for all of them.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence

from mailrecv import trusted_path
from mailrecv.config.faults import ConfigError
from mailrecv.config.model import Config
from mailrecv.config.reader import read_file
from mailrecv.delivery import trial
from mailrecv.diagnosis.advice import Advice, Source
from mailrecv.diagnosis.paths import instead, places_of, shell_word
from mailrecv.diagnosis.service import Service
from mailrecv.values import Value

_STRANGERS = {  # what to do about each reason not to trust a path
    trusted_path.LINK: "give it to root, if it is the right one: chown -h root {step}; or write where it leads to",
    trusted_path.OWNER: "give it to this user, if it is the right one: chown -h {user} {step};"
    " or name a place elsewhere",
    trusted_path.SECOND_NAME: "name a place elsewhere; the other names show: find / -xdev -samefile {step}",
    trusted_path.REPLACEABLE: "let others take away only what is theirs: chmod +t {above}; or name a place elsewhere",
}
_MAX_LINES = 10  # that are named, of those with the same trouble


class Trial(Value):
    """What the service found.

    unreadable: why it cannot use the configuration, or None.  failures: for each place, why a delivery there would
    fail, or None.
    """

    unreadable: str | None
    failures: tuple[str | None, ...]


def try_places(service: Service, config_path: str, places: Sequence[tuple[str, str]]) -> Trial:
    """Try the configuration and places as the service.

    places: each a method, and a path or a command; the method `log` stands for a log file. Raises CannotTell.
    """
    wanted = [(method, target if method == "pipe" else service.whole_path(target)) for method, target in places]
    different = list(dict.fromkeys(wanted))
    unreadable, failures = service.see(lambda: [_unreadable(config_path), [_failure(*place) for place in different]])
    found = {place: _closed(service, *place) or why for place, why in zip(different, failures, strict=True)}
    return Trial(unreadable, tuple(found[place] for place in wanted))


def mend(service: Service, method: str, target: str, why: str | None = None) -> str:
    """Return what to do about a place that the service cannot use.  method, target: as above.  why: it cannot."""
    for reason, remedy in _STRANGERS.items():
        if why is not None and why.endswith(f": {reason}"):
            step = why.removesuffix(f": {reason}")
            above = os.path.dirname(step) or "."
            return remedy.format(step=shlex.quote(step), above=shlex.quote(above), user=service.user)
    if method == "pipe":
        return "name a program that is there, and that this user may run"
    if shell_word(target) is not None:
        return instead(target)
    path = service.whole_path(target)
    directory = os.path.dirname(path) or "."
    if method == "maildir" and os.path.exists(directory):  # else it is made with the first message
        directory = path
    if not os.path.exists(directory):
        return f"make the directory for this user: install -d -o {service.user} -m 750 {_quoted(directory)}"
    if method == "log" and not os.path.exists(path):
        return f"make the file for this user: install -o {service.user} -m 640 /dev/null {_quoted(path)}"
    if os.path.isdir(path) and method != "maildir":
        return f"name a file, such as {os.path.join(path, 'mbox' if method == 'append' else 'log')}"
    if os.path.exists(path) and not os.path.isdir(path) and method == "maildir":
        return "name a directory, or one that is not there yet; for a file, write append instead of maildir"
    return f"name a place that this user may write to; what keeps it from this one shows: namei -l {_quoted(path)}"


def _quoted(path: str) -> str:
    """Return a path as a word of a command that a person pastes into a shell."""
    return shlex.quote(path if not path.startswith("-") else f"./{path}")


def advise(config: Config, source: Source, service: Service) -> Iterator[Advice]:
    """Yield advice about the service's user and about all places. Raises CannotTell when only root could try them."""
    if service.uid == 0 and service.certain:
        text = f"mailrecv runs as root, {service.known_from}, and so does every command in this file"
        yield source.advice_for_all(text, "let it run as a user of its own: User=mailrecv in the unit")
    lines = list(places_of(config, source))
    tried = try_places(service, config.path, [(method, target) for _, _, method, target in lines])
    if tried.unreadable is not None:
        yield source.advice_for_all(
            f"the user {service.user} cannot use this file, so every client is told to come again: {tried.unreadable}",
            "let that user read it, and root alone change it: "
            f"chown root:{service.user} {_quoted(config.path)}; chmod 0640 {_quoted(config.path)}",
        )
    alike: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    for (line, word, method, target), failure in zip(lines, tried.failures, strict=True):
        if failure is not None and (method == "pipe" or shell_word(target) is None):  # of which `paths` tells
            what = {"pipe": "run this", "log": "write its log here", "append": "write here", "maildir": "write here"}
            text = f"the user {service.user} cannot {what[method]}: {failure}"
            alike.setdefault((text, mend(service, method, target, failure)), []).append((line, word, method))
    for (text, remedy), places in alike.items():
        (line, word, method), *others = sorted(places)
        yield source.advice(line, word, text + _also([line for line, *_ in others]), remedy, to_end=method == "pipe")


def _also(lines: list[int]) -> str:
    """Return the words for other lines with the same trouble."""
    if not lines:
        return ""
    shown = ", ".join(str(line) for line in lines[:_MAX_LINES])
    more = f" and {len(lines) - _MAX_LINES} more" if len(lines) > _MAX_LINES else ""
    return f"; so for line{'s' if len(lines) > 1 else ''} {shown}{more}"


def _failure(method: str, target: str) -> str | None:
    """Return why a delivery there would fail for the user who runs this, or None when it would not."""
    try:
        trial.try_delivery("append" if method == "log" else method, target)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return None


def _closed(service: Service, method: str, target: str) -> str | None:
    """Return how the service's unit keeps it from a place, or None."""
    if method == "pipe":
        name = trial.program(target)
        why = service.hidden_by_unit(name) if name is not None and os.path.isabs(name) else None
        return why and f"{name}: {why}"
    why = service.closed_by_unit(os.path.realpath(target))
    return why and f"{target}: {why}"


def _unreadable(path: str) -> str | None:
    """Return why the user who runs this cannot use a configuration, or None."""
    try:
        _, risks = read_file(path)
    except ConfigError as error:
        risks = error.faults
    return risks[0].text if risks else None
