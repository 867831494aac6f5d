"""Makes the compiled form of a configuration, and a configuration of that; `compiled` says what it is."""

from __future__ import annotations

import marshal
import os
import time
import zlib
from collections.abc import Iterator, Mapping

from mailrecv.config.compiled import HEAD_OCTETS, LENGTH_OCTETS, MAGIC, Compiled, cache_directories, name_in
from mailrecv.config.model import ClientPattern, Config, Deliver, ErrorRule
from mailrecv.limits import Limit, Limits, Switch
from mailrecv.policy.patterns import Pattern
from mailrecv.reply import Reply

_LINES_PER_BUCKET = 8
_SETTLED_SECONDS = 2  # since the last change to a file; it may change again within one tick of its times' clock
_SCALARS = ("domain", "debug", "logfile", "loghex", "deadletter_file", "deadletter_line")
_NEED_DIRECTIVES = "ac"  # debug flags that have every directive logged, which the compiled form does not hold


def suffices(debug: str) -> bool:
    """Say whether the compiled form holds all that is wanted of it with these debug flags."""
    return not set(debug) & set(_NEED_DIRECTIVES)


def is_settled(config: Config) -> bool:
    """Say whether any change that is still to come would show in the times of the file."""
    return time.time() - max(config.identity[-2:], default=0) / 1e9 > _SETTLED_SECONDS


def store(config: Config, greeting: bytes | None) -> str:
    """Put the compiled form of a configuration into the first cache directory that takes it; return its name there.

    greeting: what a client may be told before anything else is known of it, or None. Raises OSError when no directory
    takes it.
    """
    octets = compiled_form(config, greeting)
    status = os.stat(config.path)
    failure = OSError(None, "there is no cache directory")
    for directory in cache_directories():
        name = name_in(directory, config.path)
        try:
            os.makedirs(directory, mode=0o755, exist_ok=True)
            _write(name, octets, status)
        except OSError as error:
            failure = error
        else:
            return name
    raise failure


def compiled_form(config: Config, greeting: bytes | None) -> bytes:
    """Return the octets of the compiled form."""
    defaults = Limits()
    count = len(config.deliver) // _LINES_PER_BUCKET + 1
    summary = {
        "path": os.path.abspath(config.path),
        "identity": config.identity,
        "greeting": greeting,
        "fcrdns_check": config.limits.fcrdns_check.on,
        "scalars": {name: getattr(config, name) for name in _SCALARS},
        "buckets": count,
        "limits": {
            name: (type(limit) is Switch, limit.values()[0], *limit.reply.values())
            for name in Limits.__match_args__
            if (limit := getattr(config.limits, name)) != getattr(defaults, name)
        },
    }
    rules = {
        "allow": [(rule.line, rule.pattern.text) for rule in config.allow],
        "groups": {name: [(rule.line, rule.pattern.text) for rule in rules] for name, rules in config.groups.items()},
        "errors": [(rule.line, rule.pattern.text, *rule.reply.values()) for rule in config.errors],
    }
    buckets: list[dict[str, list[tuple[object, ...]]]] = [{} for _ in range(count)]
    for address, lines in config.deliver.items():
        buckets[_bucket_of(address, count)][address] = [line.values() for line in lines]
    parts = [marshal.dumps(summary), marshal.dumps(rules), *map(marshal.dumps, buckets)]
    at = HEAD_OCTETS + len(parts[0]) + len(parts[1]) + (count + 1) * LENGTH_OCTETS
    table = [at]
    for part in parts[2:]:
        at += len(part)
        table.append(at)
    lengths = (len(parts[0]), len(parts[1]), at)
    return b"".join([MAGIC, *map(_number, lengths), *parts[:2], *map(_number, table), *parts[2:]])


def load(compiled: Compiled) -> Config:
    """Return the configuration that a compiled form stands for; it goes on reading there. Raises OSError."""
    summary, rules = compiled.summary, compiled.rules()
    limits = {
        name: (Switch if is_switch else Limit)(value, Reply(code, text))
        for name, (is_switch, value, code, text) in summary["limits"].items()
    }
    return Config(
        path=summary["path"],
        allow=_client_patterns(rules["allow"]),
        groups={name: _client_patterns(patterns) for name, patterns in rules["groups"].items()},
        deliver=_Lines(compiled),
        errors=tuple(
            ErrorRule(line, Pattern(text, checked=True), Reply(code, reply))
            for line, text, code, reply in rules["errors"]
        ),
        limits=Limits(**limits),  # type: ignore[arg-type]
        identity=summary["identity"],
        **summary["scalars"],
    )


class _Lines(Mapping[str, tuple[Deliver, ...]]):
    """The `deliver` lines by address, each read when it is asked for."""

    def __init__(self, compiled: Compiled) -> None:
        self._compiled = compiled
        self._buckets = compiled.summary["buckets"]

    def __getitem__(self, address: str) -> tuple[Deliver, ...]:
        bucket = self._compiled.bucket(_bucket_of(address, self._buckets))
        return tuple(Deliver(*line) for line in bucket[address])

    def __iter__(self) -> Iterator[str]:
        for number in range(self._buckets):
            yield from self._compiled.bucket(number)

    def __len__(self) -> int:
        return sum(len(self._compiled.bucket(number)) for number in range(self._buckets))


def _client_patterns(rules: list[tuple[int, str]]) -> tuple[ClientPattern, ...]:
    return tuple(ClientPattern(line, Pattern(text, checked=True)) for line, text in rules)


def _bucket_of(address: str, buckets: int) -> int:
    return zlib.crc32(address.encode("utf-8", "surrogateescape")) % buckets


def _number(number: int) -> bytes:
    return number.to_bytes(LENGTH_OCTETS, "little")


def _write(name: str, octets: bytes, like: os.stat_result) -> None:
    """Write a file that may be read by those who may read the configuration, and put it in its place when it is whole.

    like: the status of the configuration.
    """
    new = f"{name}.{os.getpid()}"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            with open(fd, "wb", closefd=False) as file:
                file.write(octets)
            if os.geteuid() == 0:
                os.fchown(fd, -1, like.st_gid)
            os.fchmod(fd, like.st_mode & 0o644 if os.geteuid() == 0 else 0o600)
            os.fsync(fd)  # or a power cut could leave the name with anything behind it
        finally:
            os.close(fd)
        os.rename(new, name)
    except BaseException:
        os.unlink(new)
        raise
