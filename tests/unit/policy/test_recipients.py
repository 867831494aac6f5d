"""Where mail for a recipient goes, and which line decides."""

from __future__ import annotations

import time

import pytest

from mailrecv.policy.decision import Route
from mailrecv.policy.patterns import Verdict
from mailrecv.policy.recipients import CLIENT_NOT_IN_GROUP, NAME_NOT_KNOWN_NOW, NO_SUCH_RECIPIENT, route
from mailrecv.reply import Reply
from tests.support.configs import client, config, unasked_client

GROUPS = (
    r"allowgroup +google ^mail\.google\.com$",
    r"allowgroup +google ^2001:db8:",
    r"allowgroup +local ^192\.0\.2\.",
)
ME = "me@mydomain.com"


def test_the_first_line_for_the_address_is_the_route() -> None:
    """Of several lines for one address the first that admits the client wins, and it is named."""
    decision = route(
        config(f"deliver rcpt_to {ME} pipe cat -x", f"deliver rcpt_to {ME} append /x"), unasked_client(), ME
    )
    assert (decision.reply, decision.route, decision.line) == (None, Route("pipe", "cat -x"), 1)


@pytest.mark.parametrize("recipient", ["ME@MYDOMAIN.COM", "Me@MyDomain.com"])
def test_letter_case_does_not_matter(recipient: str) -> None:
    """An address is found in any letter case, as written in the configuration or as sent."""
    decision = route(config("deliver rcpt_to mE@mydomain.COM maildir /x"), unasked_client(), recipient)
    assert decision.route == Route("maildir", "/x")


@pytest.mark.parametrize("recipient", ["me@mydomain.com.example", "xme@mydomain.com", "me", "", "m.@mydomain.com"])
def test_an_address_is_not_a_pattern(recipient: str) -> None:
    """Only the whole address of a `deliver` line is that address."""
    assert route(config(f"deliver rcpt_to {ME} append /x"), unasked_client(), recipient).reply == NO_SUCH_RECIPIENT


def test_the_first_group_that_admits_the_client_decides() -> None:
    """Lines whose group does not admit the client are passed over; a line without a group admits everyone."""
    configuration = config(
        *GROUPS,
        f"deliver allowgroup +google rcpt_to {ME} append /google",
        f"deliver allowgroup +local rcpt_to {ME} append /local",
        f"deliver rcpt_to {ME} append /rest",
    )

    def decide(address: str, name: str | None) -> tuple[str, int]:
        decision = route(configuration, client(address, name), ME)
        assert decision.route is not None
        return decision.route.target, decision.line

    assert decide("192.0.2.7", "mail.google.com") == ("/google", 4)
    assert decide("2001:db8::7", None) == ("/google", 4)
    assert decide("192.0.2.7", "mail.example") == ("/local", 5)
    assert decide("198.51.100.1", "mail.google.com.example") == ("/rest", 6)


def test_a_client_that_no_group_admits_is_refused() -> None:
    """An address that is for others only is refused with 550; error lines and dead letters change nothing."""
    configuration = config(
        *GROUPS,
        f"deliver allowgroup +google rcpt_to {ME} append /google",
        f"deliver allowgroup +local rcpt_to {ME} append /local",
        "error rcpt_to . 451 Later",
        "deadletter_file /dead",
    )
    decision = route(configuration, client("198.51.100.1", "mail.example"), ME)
    assert (decision.reply, decision.route, decision.line) == (CLIENT_NOT_IN_GROUP, None, 4)
    assert CLIENT_NOT_IN_GROUP.code == 550
    assert [(test.line, test.subject) for test in decision.tests] == [
        (1, "198.51.100.1"),
        (1, "mail.example"),
        (2, "198.51.100.1"),  # as it is, no name can match
        (3, "198.51.100.1"),
    ]


def test_a_group_whose_names_dns_cannot_tell_now_refuses_for_now() -> None:
    """A client that might be in the group, if DNS could tell its name, is refused with 450, not with 550."""
    configuration = config(*GROUPS, f"deliver allowgroup +google rcpt_to {ME} append /google")
    assert route(configuration, client(temporary=True), ME).reply == NAME_NOT_KNOWN_NOW
    assert NAME_NOT_KNOWN_NOW.code == 450
    anyone = config(
        "allowgroup +g google", f"deliver allowgroup +g rcpt_to {ME} append /a", f"deliver rcpt_to {ME} append /b"
    )
    assert route(anyone, client(temporary=True), ME).reply == NAME_NOT_KNOWN_NOW  # and not to /b, by chance
    assert route(configuration, client("2001:db8::7", temporary=True), ME).route == Route("append", "/google")


def test_groups_that_addresses_alone_can_satisfy() -> None:
    """No name is asked for where only addresses decide: neither for whom a group admits nor for whom none does."""
    configuration = config(
        "allowgroup +net 192.0.2.0/24",
        r"allowgroup +net ^10\.",
        f"deliver allowgroup +net rcpt_to {ME} append /net",
    )
    assert route(configuration, unasked_client(), ME).line == 3
    assert route(configuration, unasked_client("198.51.100.1"), ME).reply == CLIENT_NOT_IN_GROUP


def test_a_line_that_would_change_nothing_needs_no_name() -> None:
    """A line that only a name could decide is passed over, where a later one sends the mail to the same place."""
    groups = ["allowgroup +mail mail", "allowgroup +net 192.0.2.0/24"]
    named, by_net = (f"deliver allowgroup +{group} rcpt_to {ME} append /x" for group in ("mail", "net"))
    other = f"deliver allowgroup +mail rcpt_to {ME} append /y"
    assert route(config(*groups, named, by_net), unasked_client(), ME).line == 4
    assert route(config(*groups, by_net, other), unasked_client(), ME).line == 3
    assert route(config(*groups, named, f"deliver rcpt_to {ME} append /x"), client(temporary=True), ME).line == 4
    for lines in ([other, by_net], [named, other, by_net]):
        decision = route(config(*groups, *lines), client(temporary=True), ME)
        assert (decision.reply, decision.line) == (NAME_NOT_KNOWN_NOW, 3)
        assert route(config(*groups, *lines), client(), ME).line == 2 + len(lines)


def test_the_first_error_line_that_matches_refuses() -> None:
    """Error lines are tried in file order, unanchored, in any letter case; the first that matches gives its reply."""
    configuration = config(
        "error rcpt_to ^sales@ 551 Ask elsewhere",
        "error rcpt_to mydomain 450 Not now",
        "error rcpt_to . 550 No one here by that name.",
        "deadletter_file /dead",
    )
    decision = route(configuration, unasked_client(), "You@MyDomain.com")
    assert (decision.reply, decision.line) == (Reply(450, "Not now"), 2)
    assert [(test.line, test.subject, test.verdict) for test in decision.tests] == [
        (1, "You@MyDomain.com", Verdict.NO),
        (2, "You@MyDomain.com", Verdict.YES),
    ]
    assert route(configuration, unasked_client(), "SALES@x").reply == Reply(551, "Ask elsewhere")
    assert route(configuration, unasked_client(), "a@b").reply == Reply(550, "No one here by that name.")


def test_error_lines_do_not_touch_addresses_that_are_delivered() -> None:
    """A `deliver` line comes before every error line, wherever in the file they stand."""
    configuration = config("error rcpt_to . 550 No", f"deliver rcpt_to {ME} append /x")
    assert route(configuration, unasked_client(), ME).route == Route("append", "/x")


def test_dead_letters_take_what_nobody_else_takes() -> None:
    """With a dead letter file, a recipient that no line is about is accepted, and goes there."""
    configuration = config("error rcpt_to ^sales@ 550 No", "deadletter_file /first", "deadletter_file /dead")
    decision = route(configuration, unasked_client(), ME)
    assert (decision.reply, decision.route, decision.line) == (None, Route("append", "/dead"), 3)


def test_what_nothing_matches_is_refused() -> None:
    """Without a line that decides, a recipient is refused: mail is not accepted to be thrown away."""
    decision = route(config("error rcpt_to ^sales@ 451 Later"), unasked_client(), ME)
    assert (decision.reply, decision.route, decision.line) == (Reply(550, "No such recipient"), None, 0)


def test_a_runaway_error_pattern_refuses() -> None:
    """An error pattern over its match limit counts as a match, within milliseconds."""
    configuration = config("error rcpt_to ^(a+)+$ 550 No", "deadletter_file /dead")
    start = time.monotonic()
    decision = route(configuration, unasked_client(), "a" * 60 + "@mydomain.com")
    assert time.monotonic() - start < 0.25
    assert (decision.reply, decision.line) == (Reply(550, "No"), 1)
    assert decision.tests[0].verdict is Verdict.CANNOT_TELL


def test_a_runaway_group_pattern_admits_nobody() -> None:
    """A group's pattern over its match limit counts as no match."""
    configuration = config("allowgroup +g (a+)+$", f"deliver allowgroup +g rcpt_to {ME} append /x")
    assert route(configuration, client(name="a" * 60 + ".example"), ME).reply == CLIENT_NOT_IN_GROUP


def test_dns_is_asked_only_for_a_group() -> None:
    """The name is not asked for before a line with a group is reached, and then it is."""
    group = f"deliver allowgroup +google rcpt_to {ME} append /google"
    assert route(config(*GROUPS, f"deliver rcpt_to {ME} append /x", group), unasked_client(), ME).line == 4
    assert route(config(*GROUPS, group), unasked_client(), "you@mydomain.com").reply == NO_SUCH_RECIPIENT
    with pytest.raises(AssertionError, match="DNS was asked"):
        route(config(*GROUPS, group), unasked_client(), ME)
