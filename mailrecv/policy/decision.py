"""A decision and the way to it."""

from __future__ import annotations

from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply
from mailrecv.values import Value


class Test(Value):
    """One pattern tried on one subject.  line: of the configuration."""

    line: int
    pattern: str
    subject: str
    verdict: Verdict


class Route(Value):
    """Where a recipient's copy goes.  method: append, maildir or pipe.  target: a path or a command."""

    method: str
    target: str

    def __str__(self) -> str:
        return f"{self.method} {self.target}"


class Decision(Value):
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
