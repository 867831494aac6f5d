"""Where mail for a recipient goes, or why it is refused: first match wins, and what nothing matches is refused."""

from __future__ import annotations

from mailrecv.config.model import Config
from mailrecv.policy.clients import Client, match
from mailrecv.policy.decision import Decision, Route, Test
from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply

NO_SUCH_RECIPIENT = Reply(550, "No such recipient")
CLIENT_NOT_IN_GROUP = Reply(550, "Your host is not allowed to send to this address")
NAME_NOT_KNOWN_NOW = Reply(450, "Your host name cannot be looked up now, try again later")


def route(config: Config, client: Client, recipient: str) -> Decision:
    """Decide about one recipient.  recipient: the address without angle brackets, in any letter case."""
    rules = config.deliver.get(recipient.lower(), ())
    tests: list[Test] = []
    for rule in rules:
        if rule.group is None:
            return Decision(None, rule.line, tuple(tests), Route(rule.method, rule.target))
        verdict, _, tried = match(config.groups[rule.group], client)
        tests += tried
        if verdict is Verdict.YES:
            return Decision(None, rule.line, tuple(tests), Route(rule.method, rule.target))
        if verdict is Verdict.CANNOT_TELL:  # a later line might send the mail elsewhere than this one would
            return Decision(NAME_NOT_KNOWN_NOW, rule.line, tuple(tests))
    if rules:
        return Decision(CLIENT_NOT_IN_GROUP, rules[0].line, tuple(tests))
    for error in config.errors:
        verdict = error.pattern.search(recipient)
        tests.append(Test(error.line, error.pattern.text, recipient, verdict))
        if verdict is not Verdict.NO:  # over its match limit it counts as a match: refusing is the safe side
            return Decision(error.reply, error.line, tuple(tests))
    if config.deadletter_file is not None:
        return Decision(None, config.deadletter_line, tuple(tests), Route("append", config.deadletter_file))
    return Decision(NO_SUCH_RECIPIENT, 0, tuple(tests))
