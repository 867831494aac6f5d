"""A short form of `make fuzz`: every seed, some hundred inputs made of them, and that the targets see what is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailrecv.config import compiler
from mailrecv.config.words import WordFault
from mailrecv.reply import Reply
from mailrecv.smtp import Receiver
from mailrecv.smtp.framing import LineReader, MailDataReader
from tests.fuzz.targets import MAX_OCTETS, TARGETS, TOKENS, config, receiver, seeds

SEEDS = {target: seeds(target) for target in TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_seeds(target: str) -> None:
    """Every seed, and so every input that was once a finding, passes."""
    for octets in SEEDS[target]:
        TARGETS[target](octets)


@st.composite
def mutations(draw: st.DrawFn, target: str) -> bytes:
    """Return a seed of which some parts were cut out, doubled, or replaced by something else."""
    octets = draw(st.sampled_from(SEEDS[target]))
    tokens = st.sampled_from(TOKENS[target]).map(str.encode)
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(octets)))
        end = start + draw(st.integers(0, 30))
        instead = draw(tokens | st.binary(max_size=4) | st.sampled_from([octets[start:end] * 2, octets[:start]]))
        octets = octets[:start] + instead + octets[end:]
    return octets[:MAX_OCTETS]


@settings(max_examples=600, deadline=None)
@given(mutations("receiver"))
def test_receiver(octets: bytes) -> None:
    """Whatever a client sends, the machine keeps what it promises."""
    receiver(octets)


@settings(max_examples=600, deadline=None)
@given(mutations("config"))
def test_config(octets: bytes) -> None:
    """Whatever a configuration holds, it is read or has faults with places."""
    config(octets)


# The targets themselves


def test_a_reply_too_many_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that answers twice fails."""
    send = Receiver._send

    def send_twice(self: Receiver, reply: Reply) -> Reply:
        send(self, reply)
        return send(self, reply)

    monkeypatch.setattr(Receiver, "_send", send_twice)
    assert_found("receiver")


def test_a_lost_octet_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that loses an octet of a message fails."""
    feed = MailDataReader.feed

    def lose(self: MailDataReader, octets: bytes) -> tuple[bytes, bytes | None]:
        text, rest = feed(self, octets)
        return text[:-1], rest

    monkeypatch.setattr(MailDataReader, "feed", lose)
    assert_found("receiver")


def test_held_octets_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that keeps what it has read fails."""
    next_line = LineReader.next_line

    def keep(self: LineReader) -> tuple[bytes, bool] | None:
        self.kept = getattr(self, "kept", b"") + self._octets  # type: ignore[attr-defined]
        return next_line(self)

    monkeypatch.setattr(LineReader, "next_line", keep)
    assert_found("receiver")


def test_a_split_that_matters_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine to which it matters how octets are cut fails."""
    feed = LineReader.feed
    monkeypatch.setattr(LineReader, "feed", lambda self, octets: feed(self, octets.lstrip(b" ")))
    assert_found("receiver")


def test_a_wrong_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that points beside its line fails."""
    monkeypatch.setattr(WordFault, "__init__", lambda self, column, width, text: fault_at(self, 1000))
    assert_found("config")


def test_a_rule_lost_in_compiling_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiled configuration that says less than the file fails."""
    load = compiler.load
    monkeypatch.setattr(compiler, "load", lambda compiled: load(compiled).replace(errors=()))
    assert_found("config")


def fault_at(fault: WordFault, column: int) -> None:
    fault.column, fault.width, fault.text = column, 1, ""


def assert_found(target: str) -> None:
    """Check that the target fails for one of the seeds."""
    with pytest.raises(AssertionError):
        test_seeds(target)
