"""How much is measured: everything in some minutes, a little of it for a first look, or what takes patience too."""

from __future__ import annotations

from dataclasses import dataclass

HUGE_ROUNDS = 3


@dataclass(frozen=True)
class Plan:
    """How much to measure.

    rounds: of everything.  systemd: whether to measure the package in a booted Debian, too.  load_seconds: that a
    load on a server lasts, about.  large_megabytes: sizes of large mail.  huge_megabytes: of larger, on disk and in
    HUGE_ROUNDS rounds.  at_once: connections at the same time.
    lines, recipients, messages, mailbox_megabytes, growth_at_once: the places at which growth is looked at.
    served: how many messages one resident server takes while its memory is watched.
    """

    rounds: int = 5
    systemd: bool = False
    load_seconds: float = 1.5
    large_megabytes: tuple[int, ...] = (20, 100)
    huge_megabytes: tuple[int, ...] = ()
    lines: tuple[int, ...] = (10, 1_000, 100_000)
    recipients: tuple[int, ...] = (1, 10, 100, 1_000)
    messages: tuple[int, ...] = (1, 10, 100, 1_000)
    mailbox_megabytes: tuple[int, ...] = (0, 1, 100, 10_000)
    at_once: tuple[int, ...] = (1, 4, 20)
    growth_at_once: tuple[int, ...] = (1, 8, 64)
    served: tuple[int, ...] = (100, 1_000, 5_000, 20_000)


def chosen(*, rounds: int | None, quick: bool, full: bool, systemd: bool) -> Plan:
    """Return the plan that was asked for.  rounds: None for the plan's own."""
    if quick:
        return Plan(
            rounds or 2,
            systemd=systemd,
            load_seconds=0.3,
            large_megabytes=(20,),
            lines=(10, 1_000),
            recipients=(1, 10),
            messages=(1, 10),
            mailbox_megabytes=(0, 100),
            growth_at_once=(1, 8),
            served=(100, 1_000),
        )
    return Plan(rounds or 5, systemd=systemd, huge_megabytes=(1_000,) if full else ())
