"""A decision and the way to it."""

from __future__ import annotations

from dataclasses import dataclass

from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply


@dataclass(frozen=True, slots=True)
class Test:
    """One pattern tried on one subject.  line: of the configuration."""

    line: int
    pattern: str
    subject: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Route:
    """Where a recipient's copy goes.  method: append, maildir or pipe.  target: a path or a command."""

    method: str
    target: str

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided.

    reply: the refusal, or None when it is a yes.  line: the line of the configuration that decided, 0 when none did.
    tests: every pattern that was tried, in order.  route: for a recipient that is taken.
    limit: the name of the limit that refused, if one did.
    """

    reply: Reply | None
    line: int
    tests: tuple[Test, ...] = ()
    route: Route | None = None
    limit: str | None = None
