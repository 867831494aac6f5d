"""Where mail for a recipient goes, or why it is refused: first match wins, and what nothing matches is refused."""

from __future__ import annotations

from collections.abc import Sequence

from mailrecv.config.model import Config, Deliver
from mailrecv.policy.clients import Client, Known, by_address, by_name, match
from mailrecv.policy.decision import Decision, Route, Test
from mailrecv.policy.patterns import Verdict
from mailrecv.reply import Reply

NO_SUCH_RECIPIENT = Reply(550, "No such recipient")
CLIENT_NOT_IN_GROUP = Reply(550, "Your host is not allowed to send to this address")
NAME_NOT_KNOWN_NOW = Reply(450, "Your host name cannot be looked up now, try again later")


def route(config: Config, client: Client, recipient: str) -> Decision:
    """Decide about one recipient.  recipient: the address without angle brackets, in any letter case."""
    rules = config.deliver.get(recipient.lower(), ())
    if rules:
        decision = _first_that_admits(config, rules, by_address(client))
        if decision.reply is NAME_NOT_KNOWN_NOW:
            decision = _first_that_admits(config, rules, by_name(client))
        return decision
    tests: list[Test] = []
    for error in config.errors:
        verdict = error.pattern.search(recipient)
        tests.append(Test(error.line, error.pattern.text, recipient, verdict))
        if verdict is not Verdict.NO:  # over its match limit it counts as a match: refusing is the safe side
            return Decision(error.reply, error.line, tuple(tests))
    if config.deadletter_file is not None:
        return Decision(None, config.deadletter_line, tuple(tests), Route("append", config.deadletter_file))
    return Decision(NO_SUCH_RECIPIENT, 0, tuple(tests))


def _first_that_admits(config: Config, rules: Sequence[Deliver], client: Known) -> Decision:
    """Decide by the lines for one address.

    A line that only a name could decide, which is not known, is passed over: what is decided in the end holds if that
    line would have said the same. Else it has to be known, since a later line might send the mail elsewhere.
    """
    tests: list[Test] = []
    possible: list[Decision] = []
    for rule in rules:
        verdict = Verdict.YES
        if rule.group is not None:
            verdict, _, tried = match(config.groups[rule.group], client)
            tests += tried
        if verdict is not Verdict.NO:
            possible.append(Decision(None, rule.line, route=Route(rule.method, rule.target)))
        if verdict is Verdict.YES:
            break
    else:
        possible.append(Decision(CLIENT_NOT_IN_GROUP, rules[0].line))
    decision = possible[-1]
    if any((one.reply, one.route) != (decision.reply, decision.route) for one in possible):
        decision = Decision(NAME_NOT_KNOWN_NOW, possible[0].line)
    return decision.replace(tests=tuple(tests))
