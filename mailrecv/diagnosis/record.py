"""A walk as a record for scripts. Its keys are an interface: they may become more, but none changes or goes."""

from __future__ import annotations

from typing import Any

from mailrecv.diagnosis.advice import Source
from mailrecv.diagnosis.walk import Place, Step, Walk
from mailrecv.policy.decision import Test
from mailrecv.reply import Reply


def record(walk: Walk, source: Source) -> dict[str, Any]:
    """Return a walk as JSON knows it: what is not there is null, lines are counted from 1."""
    known = walk.client.looked_up
    return {
        "config": source.path,
        "config_problem": walk.unreadable,
        "client": {
            "address": walk.client.address,
            "name": walk.client.lookup.name if known else None,
            "name_from": ("given" if walk.name_given else "dns") if known else None,
        },
        "recipient": walk.recipient,
        "steps": [_step(step, source) for step in walk.steps],
        "place": None if walk.place is None else _place(walk.place),
        "end": None if walk.end is None else _reply(walk.end),
        "fate": walk.fate,
    }


def _step(step: Step, source: Source) -> dict[str, Any]:
    return {
        "command": step.command or None,
        "reply": _reply(step.reply),
        **_line(step.line, source),
        "limit": step.limit,
        "tests": [_test(test, source) for test in step.tests],
        "dns": list(step.dns),
    }


def _test(test: Test, source: Source) -> dict[str, Any]:
    return {
        **_line(test.line, source),
        "pattern": test.pattern,
        "subject": test.subject,
        "verdict": test.verdict.value,
    }


def _place(place: Place) -> dict[str, Any]:
    return {
        "method": place.route.method,
        "target": place.route.target,
        "user": place.service.user,
        "user_from": place.service.known_from,
        "writable": place.writable,
        "reason": place.reason,
        "keeps": place.keeps,
    }


def _line(number: int, source: Source) -> dict[str, Any]:
    return {"line": number, "directive": source.line(number)} if number else {"line": None, "directive": None}


def _reply(reply: Reply) -> dict[str, Any]:
    return {"code": reply.code, "text": reply.text}
