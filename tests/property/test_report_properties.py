"""Properties of reading a log file back, for whatever clients write into it."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from mailrecv.journal.catalogue import CATALOGUE
from mailrecv.journal.escape import shown, without_brackets
from mailrecv.report.period import parse_time
from mailrecv.report.templates import Unreadable, read_message

PIECES = [  # of messages, for texts that look like them
    *("> to=<", "> route=", " size=", "1", " seconds=", "0.001", " delivered", " not delivered: ", "f1: from=<"),
    *(" kept with the dead letters", "> output: ", ": to=<", "ERROR: ", "550 x", " (line 7)", "x", "@", " begins"),
    *("SMTP connection from remote host ", " [", "192.0.2.1", "]", "\n", "limit.", " exceeded", "DEBUG: "),
]
looks_like_a_log = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
strangers_text = st.text() | looks_like_a_log


@given(sender=strangers_text, recipient=strangers_text, reason=strangers_text, name=st.sampled_from(sorted(CATALOGUE)))
def test_a_message_is_read_as_it_was_written_or_not_at_all(sender: str, recipient: str, reason: str, name: str) -> None:
    """Whatever stands in addresses and texts, a line never gives facts that are not those it was written with."""
    facts = {
        "id": "660f202bb02027bc37657",
        "size": "21",
        "seconds": "0.001",
        "reply": "550 No",
        "client_address": "::1",
    }
    facts |= dict.fromkeys(("line", "commands", "messages", "recipients", "refusals", "worker", "connections"), "3")
    facts |= {"cause": "quit", "limit": "smtp_commands", "route": "append /srv/mail", "path": "/x", "directive": "x"}
    facts |= {"family": "AF_VSOCK", "processes": "sleep (7)", "times": "3"}
    facts |= {"sender": sender, "recipient": recipient, "subject": sender, "command": sender}
    facts |= dict.fromkeys(
        ("reason", "text", "error", "pattern", "verdict", "address", "client_name", "end", "what"), reason
    )
    safe = {key: without_brackets(shown(value, loghex=True)) for key, value in facts.items()}
    entry = CATALOGUE[name]
    read = read_message(entry.message.format_map(safe))
    if not isinstance(read, Unreadable):
        found, found_facts = read
        assert found == entry.name or entry.name in ("config_fault", "internal_error")
        if found == entry.name:
            assert found_facts == {key: safe[key] for key in found_facts}


@given(text=st.text() | st.text("0123456789-: @agomhdwUTCtoday"))
def test_any_text_is_a_time_or_is_refused(text: str) -> None:
    """No text that should be a time leads to anything but a number or a ValueError."""
    with suppress(ValueError):
        assert isinstance(parse_time(text), float)
