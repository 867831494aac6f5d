"""Makes the compiled form of a configuration, and a configuration of that; `compiled` says what it is."""

from __future__ import annotations

import errno
import marshal
import os
import stat
import time
from collections.abc import Collection, Iterator, Mapping
from zlib import crc32

from mailrecv.config.compiled import (
    BROKEN,
    HEAD_OCTETS,
    MAGIC,
    NUMBER_OCTETS,
    Compiled,
    checksum,
    name_for,
    program_identity,
)
from mailrecv.config.model import ClientPattern, Config, Deliver, ErrorRule
from mailrecv.limits import Limit, Limits, Switch
from mailrecv.policy.patterns import Pattern
from mailrecv.reply import Reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

SETTLING_SECONDS = 2.0  # after a change to a file, in which another might leave its times alike: FAT counts by two
_LINES_PER_BUCKET = 8
_SCALARS = ("domain", "debug", "logfile", "loghex", "deadletter_file", "deadletter_line")
_ERRORS = "error"
_NEED_DIRECTIVES = "ac"  # debug flags that have every directive logged, which the compiled form does not hold


def suffices(debug: str) -> bool:
    """Say whether the compiled form holds all that is wanted of it with these debug flags."""
    return not set(debug) & set(_NEED_DIRECTIVES)


def unsettled_seconds(identity: tuple[int, ...]) -> float:
    """Return how long it takes until any change that is still to come will show in a file's identity."""
    return max(0.0, max(identity[-2:]) / 1e9 + SETTLING_SECONDS - time.time())


def store(config: Config, greeting: bytes | None) -> None:
    """Put the compiled form of a configuration, which was read from its file, into the cache directory.

    greeting: what a client may be told before anything else is known of it, or None. Raises OSError, for a file that
    is none too: what a FIFO holds is not told by its times.
    """
    status = os.stat(config.path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "is no regular file", config.path)
    _write(name_for(config.path), compiled_form(config, greeting), status)


def compiled_form(config: Config, greeting: bytes | None) -> bytes:
    """Return the octets of the compiled form. Raises OSError when the program's own files cannot be found."""
    count = len(config.deliver) // _LINES_PER_BUCKET + 1
    summary = {
        "path": os.path.abspath(config.path),
        "identity": config.identity,
        "program": program_identity(),
        "greeting": greeting,
        "fcrdns_check": config.limits.fcrdns_check.on,
        "scalars": {name: getattr(config, name) for name in _SCALARS},
        "limits": [
            (isinstance(limit, Switch), limit.values()[0], *limit.reply.values()) for limit in config.limits.values()
        ],
        "buckets": count,
    }
    rules = {
        "allow": [(rule.line, rule.pattern.text) for rule in config.allow],
        "groups": {name: [(rule.line, rule.pattern.text) for rule in rules] for name, rules in config.groups.items()},
    }
    errors = {_ERRORS: [(rule.line, rule.pattern.text, *rule.reply.values()) for rule in config.errors]}
    buckets: list[dict[str, list[Any]]] = [{} for _ in range(count)]
    for address, lines in config.deliver.items():
        buckets[_bucket_of(address, count)][address] = [line.values() for line in lines]
    parts = [_part(summary), _part(rules), *map(_part, buckets), _part(errors)]
    at = HEAD_OCTETS + len(parts[0]) + len(parts[1]) + (count + 2) * NUMBER_OCTETS
    table = [at]
    for part in parts[2:]:
        at += len(part)
        table.append(at)
    sizes = [at, len(parts[0]), len(parts[1])]
    return b"".join([MAGIC, *map(_number, sizes), *parts[:2], *map(_number, table), *parts[2:]])


def load(compiled: Compiled) -> Config:
    """Return the configuration that a compiled form stands for; it goes on reading there. Raises what is in BROKEN."""
    summary, rules = compiled.summary, compiled.rules()
    limits = [
        (Switch if is_switch else Limit)(value, Reply(code, text)) for is_switch, value, code, text in summary["limits"]
    ]
    return Config(
        path=summary["path"],
        allow=_client_patterns(rules["allow"]),
        groups={name: _client_patterns(patterns) for name, patterns in rules["groups"].items()},
        deliver=_Lines(compiled),
        errors=_Errors(compiled),
        limits=Limits(*limits),  # type: ignore[arg-type]
        identity=summary["identity"],
        **summary["scalars"],
    )


class _Lines(Mapping[str, tuple[Deliver, ...]]):
    """The `deliver` lines by address, each read when it is asked for."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._count: int = compiled.summary["buckets"]

    def __getitem__(self, address: str) -> tuple[Deliver, ...]:
        try:
            bucket = self._compiled.bucket(_bucket_of(address, self._count))
        except BROKEN:  # what was whole when it was made: then a disk has spoilt it
            from mailrecv.config.reader import read_config

            return read_config(self._compiled.summary["path"]).deliver[address]
        return tuple(Deliver(*line) for line in bucket[address])

    def __iter__(self) -> Iterator[str]:
        for number in range(self._count):
            yield from self._compiled.bucket(number)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Errors(Collection[ErrorRule]):
    """The `error` lines, read when they are asked for, each made when it is its turn: few sessions come to the last."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._found: list[Any] | None = None  # rules, or what they are to be made of

    def __iter__(self) -> Iterator[ErrorRule]:
        lines = self._lines()
        for number, line in enumerate(lines):
            if isinstance(line, tuple):
                place, text, code, reply = line
                lines[number] = ErrorRule(place, Pattern(text, checked=True), Reply(code, reply))
            yield lines[number]

    def __len__(self) -> int:
        return len(self._lines())

    def __contains__(self, rule: object) -> bool:
        return rule in tuple(self)

    def _lines(self) -> list[Any]:
        if self._found is None:
            try:
                self._found = self._compiled.bucket(self._compiled.summary["buckets"])[_ERRORS]
            except BROKEN:  # as above
                from mailrecv.config.reader import read_config

                self._found = list(read_config(self._compiled.summary["path"]).errors)
        return self._found


def _client_patterns(rules: list[tuple[int, str]]) -> tuple[ClientPattern, ...]:
    if not rules:
        return ()
    from mailrecv.policy.client_patterns import client_pattern  # many configurations have none

    return tuple(ClientPattern(line, client_pattern(text, checked=True)) for line, text in rules)


def _bucket_of(address: str, buckets: int) -> int:
    return crc32(address.encode("utf-8", "surrogateescape")) % buckets


def _part(part: Any) -> bytes:
    data = marshal.dumps(part)
    return checksum(data) + data


def _number(number: int) -> bytes:
    return number.to_bytes(NUMBER_OCTETS, "little")


def _write(name: str, octets: bytes, like: os.stat_result) -> None:
    """Write a file that may be read by those who may read the configuration, and put it in its place when it is whole.

    like: the status of the configuration.
    """
    new = f"{name}.{os.urandom(8).hex()}"  # several sessions may do this at once, and one may have been killed
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(octets)
            if os.geteuid() == 0:  # made by root, it is for whoever the service runs as
                os.fchown(fd, -1, like.st_gid)
                os.fchmod(fd, like.st_mode & 0o644)
            os.fsync(fd)  # or a power cut could leave the name with anything behind it
        finally:
            os.close(fd)
        os.rename(new, name)
    except BaseException:
        os.unlink(new)
        raise
