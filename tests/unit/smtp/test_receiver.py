"""The receiver: what each command is answered, what each limit does, what the events tell."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import pytest

from mailrecv.limits import Limit, Limits, Switch
from mailrecv.reply import Reply
from mailrecv.smtp import (
    Answered,
    Closed,
    Connected,
    Data,
    EndOfMail,
    Event,
    Helo,
    Mail,
    MisuseError,
    Path,
    Rcpt,
    Receiver,
    Refused,
    Reset,
    Text,
)
from mailrecv.smtp.events import Question
from tests.support.false_ends import FALSE_ENDS
from tests.support.machine import DOMAIN, ENVELOPE, Run, agree, carry_on, limited, pieces, run, typed

HELO, MAIL, RCPT, DATA = ENVELOPE
MESSAGE = (*ENVELOPE, "one", "two", ".")
SPEAK_ASCII = Reply(550, "Speak ASCII")


def last_reply(*lines: str | bytes) -> str:
    """Return the reply to the last of these command lines."""
    return run(typed(*lines)).replies[-1]


def refuse(kind: type[Question], reply: Reply) -> Callable[[Question], Reply]:
    """Return an answerer that refuses this kind of question and agrees to the others."""
    return lambda question: reply if isinstance(question, kind) else agree(question)


def ascii_only(on: bool) -> Limits:
    """Return the usual limits with smtp_ascii on or off."""
    return Limits(smtp_ascii=Switch(on, SPEAK_ASCII))


def stopped_at(kind: type[Event], *lines: str, limits: Limits | None = None) -> Receiver:
    """Return a machine that read these lines until it reported an event of this kind, and not a call further."""
    machine = Receiver(DOMAIN, limits or limited())
    machine.receive_data(typed(*lines, "NOOP"))
    while not isinstance(event := machine.next_event(), kind):
        if isinstance(event, Question):
            machine.answer(agree(event))
    return machine


# Commands and their replies


@pytest.mark.parametrize(
    "lines, reply",
    [
        ([HELO], "250"),
        (["HELO"], "250"),
        (["HELO  \t"], "250"),
        (["EHLO client.example"], "500"),
        ([HELO, "EHLO client.example"], "500"),
        (["MAIL FROM:<a@b>"], "503"),
        ([HELO, MAIL, MAIL], "503"),
        ([HELO, "MAIL FROM:<a@b>"], "250"),
        ([HELO, "MAIL FROM: <a@b>"], "250"),
        ([HELO, "MAIL FROM:a@b"], "250"),
        ([HELO, "MAIL FROM:<>"], "250"),
        ([HELO, "MAIL"], "501 Syntax: MAIL FROM:<address>"),
        ([HELO, "MAIL FROM:"], "501"),
        ([HELO, "MAIL TO:<a@b>"], "501"),
        ([HELO, "MAIL FROM:a @b"], "501"),
        ([HELO, "MAIL FROM:<a b>"], "250"),
        ([HELO, "MAIL FROM:\t<a@b>"], "250"),
        ([HELO, "MAIL\tFROM: a.name <a@b>"], "250"),
        ([HELO, "MAIL FROM:<-a@b>"], "501 A sender must not begin with a hyphen"),
        ([HELO, "MAIL FROM:<a@b> SIZE=1000"], "555"),
        ([HELO, "MAIL FROM:<a(b)> SIZE=1000"], "555"),
        (["RCPT TO:<a@b>"], "503"),
        ([HELO, RCPT], "503"),
        ([HELO, MAIL, "RCPT TO:<a@b>"], "250"),
        ([HELO, MAIL, "RCPT TO: a@b"], "250"),
        ([HELO, MAIL, "RCPT TO:<@x,@y.example:a@b>"], "250"),
        ([HELO, MAIL, "RCPT TO:<>"], "501 Not an address, expected RCPT TO:<address>"),
        ([HELO, MAIL, "RCPT TO:<a b>"], "501"),
        ([HELO, MAIL, "RCPT TO:a.name <a@b>"], "250"),
        ([HELO, MAIL, "RCPT TO:<-a@b>"], "553 A recipient must not begin with a hyphen"),
        ([HELO, MAIL, "RCPT TO:<a@b> NOTIFY=NEVER"], "555"),
        ([DATA], "503"),
        ([HELO, DATA], "503"),
        ([HELO, MAIL, DATA], "503"),
        ([HELO, MAIL, RCPT, "DATA now"], "501"),
        ([HELO, MAIL, RCPT, DATA], "354"),
        (MESSAGE, "250"),
        (["RSET"], "250"),
        (["RSET now"], "501"),
        (["RSET", MAIL], "503"),
        ([HELO, MAIL, "RSET", RCPT], "503"),
        ([HELO, MAIL, RCPT, "RSET", DATA], "503"),
        ([HELO, MAIL, HELO, RCPT], "503"),
        ([HELO, MAIL, RCPT, HELO, DATA], "503"),
        ([*MESSAGE, RCPT], "503"),
        ([*MESSAGE, MAIL], "250"),
        (["NOOP"], "250"),
        ([HELO, MAIL, "NOOP for no reason"], "250"),
        (["VRFY me"], "252"),
        (["EXPN list"], "502"),
        (["SEND FROM:<a@b>"], "502"),
        (["SOML FROM:<a@b>"], "502"),
        (["SAML FROM:<a@b>"], "502"),
        (["TURN"], "502"),
        (["QUIT"], "221 mydomain.com closing connection"),
        ([HELO, MAIL, RCPT, "quit"], "221"),
        (["QUIT now"], "501"),
        (["STARTTLS"], "502 STARTTLS is not supported"),
        ([HELO, "AUTH PLAIN AG1lAG1l"], "502 AUTH is not supported"),
        ([""], "500"),
        ([" HELO client.example"], "500"),
        (["x" * 511], "500 Line too long"),
        (["x" * 10_000], "500 Line too long"),
        (["NOOP " + "x" * 505], "250"),
        (["NOOP " + "x" * 506], "500 Line too long"),
        ([HELO, "MAIL FROM:<" + "a" * 200 + "@" + "d" * 99 + ">"], "250"),
    ],
)
def test_replies(lines: list[str], reply: str) -> None:
    """Each command is answered as the protocol has it, and in any letter case."""
    assert last_reply(*lines).startswith(reply)
    assert last_reply(*map(str.lower, lines)).startswith(reply)


def test_help_lists_every_command() -> None:
    """HELP is a reply of several lines that names every command."""
    reply = last_reply("HELP")
    assert [line[:4] for line in reply.split("\n")] == ["214-", "214-", "214-", "214 "]
    words = ["HELO", "DATA", "RSET", "NOOP", "QUIT", "MAIL FROM:", "RCPT TO:", "VRFY", "EXPN", "EHLO", "SEND", "SOML"]
    assert [word for word in [*words, "SAML", "TURN"] if word not in reply] == []


def test_the_session_goes_on_after_a_long_line() -> None:
    """A line of 10 KB is one refused command, and what follows it is read as usual."""
    assert run(typed("x" * 10_000, HELO, "y" * 10_000, "NOOP", "QUIT")).codes == [220, 500, 250, 500, 250, 221]


@pytest.mark.parametrize("octets", [b"\0", b"\x7f", b"\xe9", "é".encode(), b"\n", b"\r", b"\x1b[31m"])
@pytest.mark.parametrize("command", [b"MAIL FROM:<x%by>", b"rcpt to:<x%by>", b"WHAT x%by"])
def test_smtp_ascii(command: bytes, octets: bytes) -> None:
    """With smtp_ascii on, such an octet in a command that others get to see, or an unknown one, gets that limit's
    reply; the session goes on.
    """
    line = command % octets
    result = run(typed("HELO xy", line, "NOOP"), ascii_only(True))
    assert result.replies[2:] == ["550 Speak ASCII", "250 OK"]
    assert result.refusals == [Refused(line, SPEAK_ASCII, "smtp_ascii")]


def test_smtp_ascii_is_about_no_other_command() -> None:
    """Other octets in a command where they decide nothing are no reason to refuse it; nor is a tab for a blank."""
    lines = (
        b"HELO caf\xe9",
        b"EHLO \xe9",
        b"NOOP \xff",
        b"VRFY \0",
        b"MAIL\tFROM:\t<a@b>\t",
        b"RCPT TO:\t<a@b>",
        b"RSET",
    )
    assert run(typed(*lines), ascii_only(True)).codes == [220, 250, 500, 250, 252, 250, 250, 250]


def test_helo_without_a_name() -> None:
    """A client that does not say what it calls itself is served like any other."""
    result = run(typed("HELO", MAIL, RCPT, DATA, "text", ".", "QUIT"))
    assert result.codes == [220, 250, 250, 250, 354, 250, 221]
    assert result.of(Helo) == [Helo(b"HELO", "")]


# Clients that do not speak SMTP


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    "line",
    [
        "POST / HTTP/1.0",
        "GET /",
        "get /x",
        "HEAD",
        *(f"{method}\t* HTTP/1.1" for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "PRI")),
        "GET /" + "x" * 10_000,
    ],
)
def test_an_http_request(line: str, size: int) -> None:
    """A request of HTTP ends the session, before a command in it is obeyed."""
    result = run(pieces(typed(line, "Host: x", "", *MESSAGE, "QUIT"), size), limited(smtp_commands=1))
    assert result.replies[1:] == ["421 That is HTTP, and this server speaks SMTP"]
    assert result.events[-2].line == line.encode()[:512]  # type: ignore[union-attr]
    assert result.events[-1] == Closed("refused")


def test_words_of_http_later() -> None:
    """Further on, a method is an unknown command."""
    assert run(typed("NOOP", "GET / HTTP/1.0", "POST", "QUIT")).codes == [220, 250, 500, 500, 221]


@pytest.mark.parametrize("before", [[], [""], [HELO], [HELO, MAIL, RCPT]])
@pytest.mark.parametrize("line", ["Subject: Hello", "host:", "X-2-3:\tx", "Subject:Hello", "Cookie: " + "x" * 1000])
def test_a_line_of_a_header(before: list[str], line: str) -> None:
    """A line of a header, of a message or of HTTP, ends the session wherever a command should be."""
    result = run(typed(*before, line, *MESSAGE, "QUIT"))
    assert result.replies[1 + len(before) :] == ["421 That is a line of a message: say DATA first"]


@pytest.mark.parametrize("line", [":", ": x", "-: x", "x_y: z", "x :y", "MAIL :", "\u00e9:"])
def test_no_line_of_a_header(line: str) -> None:
    """What only resembles one is an unknown command or a wrong one."""
    assert run(typed(HELO, line, "QUIT"), ascii_only(False)).codes in ([220, 250, 500, 221], [220, 250, 501, 221])


@pytest.mark.parametrize("size", [1, 1000])
def test_a_tls_hello(size: int) -> None:
    """A client that begins with TLS is told at once, not when a line or a time limit ends; later it is an odd line."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    result = run(pieces(hello, size))
    assert result.replies[1:] == ["421 That is TLS, and this server speaks SMTP without it"]
    assert result.events[-2:] == [Refused(b"", Reply(421, result.replies[1][4:])), Closed("refused")]
    assert run(pieces(hello + typed("", *MESSAGE), size)).sent == result.sent
    assert run(typed("NOOP", hello, "QUIT")).codes == [220, 250, 500, 221]
    assert run(typed(b"\x16", b"\x16NOOP", "QUIT")).codes == [220, 500, 500, 221]


# Recipients of a sender that was refused


@pytest.mark.parametrize(
    "mail", ["MAIL FROM:a b", "MAIL FROM:<a@b> SIZE=1", "mail from:<\u00e9@b>", "MAIL " + "x" * 600, MAIL]
)
def test_what_follows_a_refused_sender(mail: str) -> None:
    """Commands that were sent without a wait for the reply to MAIL fail with it, and are not counted as refused."""
    limits = Limits(smtp_failcmds=Limit(1, Reply(421, "Give up")), smtp_unknowncmd=Limit(9, Reply(421, "No")))
    result = run(typed(HELO, mail, *[RCPT] * 50, DATA, "QUIT"), limits, refuse(Mail, Reply(550, "Not you")))
    assert result.codes[2] >= 500
    assert result.codes[3:] == [*[503] * 51, 221]


@pytest.mark.parametrize("command", ["RSET", "HELO x", "EHLO x", "HELO \0", DATA, "MAIL FROM:<a@b> X"])
def test_what_follows_it_no_more(command: str) -> None:
    """After a command that begins something else, recipients without a sender are refused commands again."""
    limits = limited(smtp_failcmds=Limit(4, Reply(421, "Give up")))
    first = run(typed(HELO, "MAIL", RCPT, command, *[RCPT] * 9), limits)
    assert (first.codes[-1] == 421) is (command != "MAIL FROM:<a@b> X")


def test_commands_out_of_order_are_counted() -> None:
    """Without a refused sender before it, a command out of order is a refused one."""
    limits = limited(smtp_failcmds=Limit(2, Reply(421, "Give up")))
    assert run(typed(HELO, RCPT, DATA, RCPT), limits).codes == [220, 250, 503, 503, 421]
    assert run(typed(HELO, MAIL, DATA, MAIL, DATA), limits).codes == [220, 250, 250, 503, 503, 421]
    assert run(typed(MAIL, MAIL, MAIL), limits).codes == [220, 503, 503, 421]
    assert run(typed(*MESSAGE, RCPT, DATA, RCPT), limits).codes[-3:] == [503, 503, 421]


@pytest.mark.parametrize(
    "octets, shown",
    [(b"caf\xc3\xa9", "café"), (b"caf\xe9", "caf\udce9"), (b"\xff\xfe", "\udcff\udcfe"), (b"\xc0\xaf", "\udcc0\udcaf")],
)
def test_octets_over_127_without_smtp_ascii(octets: bytes, shown: str) -> None:
    """With smtp_ascii off, UTF-8 is read as such, and other octets are kept as they are."""
    lines = (b"HELO " + octets, b"MAIL FROM:<" + octets + b"@" + octets + b">")
    result = run(typed(*lines), ascii_only(False))
    assert result.events[1:3] == [Helo(lines[0], shown), Mail(lines[1], Path(shown, shown))]


@pytest.mark.parametrize("octets", [b"\0", b"\n", b"\r", b"\x7f"])
def test_control_characters_without_smtp_ascii(octets: bytes) -> None:
    """With smtp_ascii off, a control character still gets into no name and no address."""
    lines = (b"HELO a" + octets + b"b", HELO, b"MAIL FROM:<a" + octets + b"b@c>", MAIL, b"RCPT TO:<a@b" + octets + b">")
    assert run(typed("NOOP", *lines), ascii_only(False)).codes == [220, 250, 501, 250, 501, 250, 501]


def test_commands_in_one_write() -> None:
    """Ten thousand commands in one write are answered in order, each once."""
    result = run(typed("HELO x", *["NOOP", "VRFY x", "TURN", "WHAT"] * 2500, "QUIT"))
    assert result.codes == [220, 250, *[250, 252, 502, 500] * 2500, 221]


# Events


def test_events_of_a_session() -> None:
    """Every event has its line as typed and what was read from it; the end of the session comes last, for ever."""
    lines = ["ehlo me", "Helo me", "mail from: <a@b>", 'rcpt to:<@x:"c d"@e>', "data"]
    result = run(typed(*lines, "..x", ".", "noop  x", "rset", "quit"))
    replies = [Reply(int(reply[:3]), reply[4:]) for reply in result.replies]
    raw = [line.encode() for line in lines]
    assert result.events == [
        Connected(),
        Answered(raw[0], replies[1]),
        Helo(raw[1], "me"),
        Mail(raw[2], Path("a", "b")),
        Rcpt(raw[3], Path("c d", "e")),
        Data(raw[4]),
        Text(b".x\n"),
        EndOfMail(),
        Answered(b"noop  x", Reply(250, "OK")),
        Reset(b"rset", Reply(250, "OK")),
        Answered(b"quit", Reply(221, "mydomain.com closing connection")),
        Closed("quit"),
    ]


@pytest.mark.parametrize("line", ["RCPT TO:<postmaster>", "RCPT TO:<@a:postmaster>", "RCPT TO:postmaster"])
def test_postmaster(line: str) -> None:
    """The recipient `postmaster` without a domain is the postmaster of this server."""
    assert run(typed(HELO, MAIL, line)).of(Rcpt)[0].forward_path == Path("postmaster", DOMAIN)


def test_other_recipients_get_no_domain() -> None:
    """Only `postmaster` alone is completed, in any letter case and as it is written."""
    lines = ["RCPT TO:<PostMaster>", "RCPT TO:<me>", "RCPT TO:<postmaster@there>"]
    paths = [event.forward_path for event in run(typed(HELO, MAIL, *lines)).of(Rcpt)]
    assert paths == [Path("PostMaster", DOMAIN), Path("me", ""), Path("postmaster", "there")]


@pytest.mark.parametrize(
    "lines, code",
    [((HELO,), 450), ((HELO, MAIL), 550), ((HELO, MAIL, RCPT), 550), (ENVELOPE, 451)],
    ids=["HELO", "MAIL", "RCPT", "DATA"],
)
def test_refusals_are_passed_on(lines: tuple[str, ...], code: int) -> None:
    """The answer to a question is what the client is told, and after a refusal the session goes on."""
    kind = (Helo, Mail, Rcpt, Data)[len(lines) - 1]
    result = run(typed(*lines, "NOOP"), answer=refuse(kind, Reply(code, "Not now\nreally")))
    assert result.replies[-2:] == [f"{code}-Not now\n{code} really", "250 OK"]


def test_a_refused_connection_is_closed() -> None:
    """A client that is refused at connect gets that one reply, whatever it sent."""
    result = run(typed(*MESSAGE), answer=refuse(Connected, Reply(554, "Go away")))
    assert result == Run([Connected(), Closed("refused")], b"554 Go away\r\n")


@pytest.mark.parametrize("code", [250, 451, 554])
def test_the_transaction_is_over_after_the_data(code: int) -> None:
    """After the mail data there is no transaction any more, whatever the answer, and the next one may begin."""
    result = run(typed(*MESSAGE, DATA, *MESSAGE[1:]), answer=refuse(EndOfMail, Reply(code, "So be it")))
    assert result.codes[5:] == [code, 503, 250, 250, 354, code]


@pytest.mark.parametrize("kind", [Connected, Helo, Mail, Rcpt, Data, EndOfMail])
def test_421_closes(kind: type[Question]) -> None:
    """An answer of 421 closes the session, at any question."""
    result = run(typed(*MESSAGE, "NOOP"), answer=refuse(kind, Reply(421, "Later")))
    assert result.codes[-1] == 421
    assert isinstance(result.events[-2], kind)
    assert result.events[-1] == Closed("refused")


@pytest.mark.parametrize("size", range(1, len(typed(*MESSAGE)) - 1))
def test_a_client_that_leaves(size: int) -> None:
    """A client that disappears before the end of data leaves no complete message behind."""
    result = run(typed(*MESSAGE)[:size])
    assert result.of(EndOfMail) == []
    assert result.events[-1] == Closed("left")


def test_closed_is_the_last_event() -> None:
    """Once the session is over, nothing that still comes is read or answered."""
    machine = stopped_at(Closed, "QUIT", "NOOP")
    assert machine.data_to_send().endswith(b"\r\n221 mydomain.com closing connection\r\n")
    machine.receive_data(typed("NOOP"))
    machine.receive_data(b"")
    assert [machine.next_event(), machine.next_event()] == [Closed("quit"), Closed("quit")]
    assert machine.data_to_send() == b""


# Line ends


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize("false_end, kept", FALSE_ENDS.items())
def test_false_ends_start_no_message(false_end: bytes, kept: bytes, size: int) -> None:
    """Commands behind a false end of data are data: one message comes of it, and one reply."""
    smuggled = typed(*ENVELOPE[1:], "smuggled")
    result = run(pieces(typed(*ENVELOPE) + b"one" + false_end + smuggled + typed(".", "QUIT"), size))
    assert result.text == b"one" + kept + smuggled.replace(b"\r\n", b"\n")
    assert len(result.of(Mail)) == len(result.of(EndOfMail)) == 1
    assert result.codes == [220, 250, 250, 250, 354, 250, 221]


def test_a_session_of_bare_lfs() -> None:
    """When the first line ended in a bare LF, all lines may, in commands and in mail data."""
    result = run(typed(*ENVELOPE, "one", "..", ".", "QUIT", end=b"\n"))
    assert result.codes == [220, 250, 250, 250, 354, 250, 221]
    assert result.text == b"one\n.\n"


def test_bare_lfs_in_a_session_of_crlfs() -> None:
    """When the first line ended in CRLF, a bare LF later does not end a command."""
    assert run(b"HELO x\r\nNOOP\nNOOP\r\nQUIT\r\n").codes == [220, 250, 500, 221]


def test_a_message_does_not_decide_about_line_ends() -> None:
    """A session that began with a bare LF stays so after a message of CRLFs, and the other way round."""
    assert run(b"HELO x\n" + typed(*MESSAGE[1:]) + b"NOOP\nQUIT\n").codes[-2:] == [250, 221]
    assert run(typed(*ENVELOPE) + b"one\ntwo\n\r\n.\r\nNOOP\nNOOP\r\n").codes[-2:] == [250, 500]


BARE_LF_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n"]


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("end", BARE_LF_ENDS)
@pytest.mark.parametrize(
    "before, after", [(b"", b""), (b"x", b""), (b"x" * 10_000 + b"\n", b"QUIT\n"), (b"\r\n", b"." * 9)]
)
def test_a_missed_end(end: bytes, before: bytes, after: bytes, size: int) -> None:
    """A machine tells that the client may think that its mail data has ended, whenever it is asked."""
    machine = stopped_at(Data, *ENVELOPE)
    machine.answer(Reply(354, "Go on"))
    machine.receive_data(typed("", "..", "x"))
    before_it = machine.missed_end
    result = carry_on(machine, pieces(before + end + after, size))
    assert (before_it, machine.missed_end) == (False, True)
    assert result.events[-1] == Closed("left")
    machine.close(Reply(421, "Time is up"))
    assert machine.missed_end


@pytest.mark.parametrize("octets", [b".\n", b".\n.", b".\nQUIT\n"])
def test_a_missed_end_of_no_mail_data(octets: bytes) -> None:
    """The first line of the mail data may be meant as its end, too."""
    machine = Receiver(DOMAIN, limited())
    carry_on(machine, [typed(*ENVELOPE), octets])
    assert machine.missed_end


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
@pytest.mark.parametrize("data", [b"", b"..\n", b"x.\n", b"\n.x\n", b"\n..\r\n", b"\r.\r", b"\n.\r", b"\n", b"\r\n.\r"])
def test_no_missed_end(data: bytes, size: int) -> None:
    """What is no line with a dot alone is no end that was missed."""
    machine = Receiver(DOMAIN, limited())
    carry_on(machine, pieces(typed(*ENVELOPE) + b"one" + data, size))
    assert not machine.missed_end


@pytest.mark.parametrize("end", BARE_LF_ENDS)
def test_an_end_that_was_not_missed_for_long(end: bytes) -> None:
    """Where the end comes after all, nothing was missed; the next message is looked at anew."""
    machine = Receiver(DOMAIN, limited())
    carry_on(machine, [typed(*ENVELOPE), b"one" + end, typed("two", "."), typed(*ENVELOPE[1:]), b"three\r\n"])
    assert not machine.missed_end
    machine = Receiver(DOMAIN, limited())
    carry_on(machine, [typed(*ENVELOPE, end=b"\n"), b"one\r\n.\r"])
    assert not machine.missed_end


# Limits


def test_smtp_commands() -> None:
    """One command more than allowed closes the session; refused ones count too."""
    limits = limited(smtp_commands=Limit(4, Reply(500, "Enough")))
    assert run(typed("HELO x", "NOOP", "TURN", "NOOP"), limits).codes == [220, 250, 250, 502, 250]
    result = run(typed("HELO x", "NOOP", "TURN", "NOOP", "QUIT", "NOOP"), limits)
    assert result.replies[-1] == "500 Enough"
    assert len(result.replies) == 6
    assert result.events[-2:] == [Refused(b"QUIT", Reply(500, "Enough"), "smtp_commands"), Closed("refused")]


def test_smtp_unknowncmd() -> None:
    """One unknown command more than allowed closes the session; EHLO and what is merely refused are not unknown."""
    limits = limited(smtp_unknowncmd=Limit(2, Reply(550, "Who are you?")))
    known = ["EHLO x"] * 9 + ["TURN"] * 9 + ["MAIL"] * 9 + ["x" * 600] * 9
    assert run(typed("WHAT", "", *known, "QUIT"), limits).codes[-1] == 221
    result = run(typed("WHAT", "", *known, "EVER", "NOOP"), limits)
    assert result.replies[-1] == "550 Who are you?"
    assert result.events[-2:] == [Refused(b"EVER", Reply(550, "Who are you?"), "smtp_unknowncmd"), Closed("refused")]


REFUSED = ["WHAT", "TURN", "DATA x", "MAIL", "AUTH", "x" * 600, "HELO \0"]  # each refused for a reason of its own


@pytest.mark.parametrize("one_too_many", REFUSED)
def test_smtp_failcmds(one_too_many: str) -> None:
    """One refused command more than allowed closes the session, whatever it was refused for; EHLO is not counted."""
    limits = limited(smtp_failcmds=Limit(len(REFUSED), Reply(554, "Give up")))
    lines = [*REFUSED, "EHLO x", "EHLO x", "NOOP"]
    assert run(typed(*lines, "QUIT"), limits).codes[-2:] == [250, 221]
    result = run(typed(*lines, one_too_many, "NOOP"), limits)
    assert result.replies[-1] == "554 Give up"
    assert result.refusals[-1].limit == "smtp_failcmds"
    assert result.events[-1] == Closed("refused")


def test_smtp_failcmds_counts_refused_answers() -> None:
    """A refusal given as an answer counts too; where it is one too many, `answer` returns what the client was told."""
    limit = Limit(0, Reply(554, "Give up"))
    machine = stopped_at(Rcpt, *ENVELOPE, limits=limited(smtp_failcmds=limit))
    machine.data_to_send()
    assert machine.answer(Reply(550, "No such recipient")) == limit.reply
    assert machine.data_to_send() == limit.reply.octets()
    assert machine.next_event() == Closed("refused")


def test_a_refused_message_is_no_refused_command() -> None:
    """A delivery that fails does not count towards smtp_failcmds."""
    lines = typed(*MESSAGE, "TURN", "QUIT")
    result = run(lines, limited(smtp_failcmds=1), refuse(EndOfMail, Reply(554, "Delivery failed")))
    assert result.codes[-3:] == [554, 502, 221]


def test_smtp_rcpt_to() -> None:
    """Excess recipients are refused, not as failures, and the message goes to the others."""
    limits = limited(smtp_rcpt_to=Limit(2, Reply(452, "Enough of them")), smtp_failcmds=0)
    message = [MAIL, RCPT, RCPT, RCPT, RCPT, DATA, "text", "."]
    result = run(typed(HELO, *message, *message, "QUIT"), limits)
    assert result.codes == [220, 250, *[250, 250, 250, 452, 452, 354, 250] * 2, 221]
    assert result.refusals[0] == Refused(RCPT.encode(), Reply(452, "Enough of them"), "smtp_rcpt_to")
    assert len(result.of(Rcpt)) == 4


def test_refused_recipients_are_not_counted() -> None:
    """Only recipients that were taken count towards smtp_rcpt_to; RSET and HELO start counting anew."""
    answers = iter([550, 250, 250, 250, 250])
    result = run(
        typed(HELO, MAIL, RCPT, RCPT, RCPT, "RSET", MAIL, RCPT, RCPT, HELO, MAIL, RCPT, RCPT),
        limited(smtp_rcpt_to=1),
        lambda question: Reply(next(answers), "x") if isinstance(question, Rcpt) else agree(question),
    )
    assert result.codes == [220, *[250, 250, 550, 250, 452], *[250, 250, 250, 452], *[250, 250, 250, 452]]


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("data", [b"123456789\r\n", b"12345678\r\n\r\n", b"1234567\n\r\n", b"..34567\r\n\n\r\n"])
def test_smtp_data_size(data: bytes, size: int) -> None:
    """Mail data over the limit is void; its refusal comes after its end, and the session goes on."""
    limits = limited(smtp_data_size=Limit(10, Reply(552, "Too fat")), smtp_failcmds=0)
    result = run(pieces(typed(*ENVELOPE) + data + typed(".", *ENVELOPE[1:], "12345678", ".", "QUIT"), size), limits)
    fits = len(data) <= 10
    assert result.codes == [220, 250, 250, 250, 354, 250 if fits else 552, 250, 250, 354, 250, 221]
    refusal = [Reset(b"", None), Refused(b"", Reply(552, "Too fat"), "smtp_data_size")]
    outcomes = [event for event in result.events if isinstance(event, Reset | Refused | EndOfMail)]
    assert outcomes == [*([EndOfMail()] if fits else refusal), EndOfMail()]
    assert result.of(Text)[-1] == Text(b"12345678\n")


def test_every_message_over_the_limit_is_void() -> None:
    """A second message over the limit is refused like the first."""
    result = run(typed(*MESSAGE, *MESSAGE[1:]), limited(smtp_data_size=5))
    assert [type(event) for event in result.events if isinstance(event, Reset | Refused)] == [Reset, Refused] * 2


def test_data_over_the_limit_is_handed_to_nobody() -> None:
    """Once the mail data is over its limit, nothing more of it is handed out."""
    blocks = [b"x" * 1000] * 1000
    result = run(chain([typed(*ENVELOPE)], blocks, [typed("", ".")]), limited(smtp_data_size=10_000))
    assert 9_000 <= len(result.text) <= 10_000
    assert result.codes[-1] == 552


@pytest.mark.parametrize("limit", ["smtp_rcpt_to", "smtp_data_size", "smtp_ascii"])
def test_a_limit_configured_with_421_closes(limit: str) -> None:
    """The limits after which the session goes on close it when their reply is configured to be 421."""
    reply = Reply(421, "Enough")
    strict = Limits(smtp_rcpt_to=Limit(1, reply), smtp_data_size=Limit(5, reply), smtp_ascii=Switch(True, reply))
    lines = {"smtp_rcpt_to": [HELO, MAIL, RCPT, RCPT], "smtp_data_size": MESSAGE, "smtp_ascii": ["WHAT \xff"]}
    result = run(typed(*lines[limit], "NOOP"), strict)
    assert result.replies[-1] == "421 Enough"
    assert result.events[-2:] == [result.refusals[0], Closed("refused")]
    assert result.refusals[0].limit == limit


# The order of calls


@pytest.mark.parametrize("kind", [Connected, Helo, Mail, Rcpt, Data, EndOfMail])
def test_a_question_must_be_answered(kind: type[Event]) -> None:
    """The next event is not given before the question is answered."""
    machine = stopped_at(kind, *MESSAGE)
    with pytest.raises(MisuseError, match=kind.__name__):
        machine.next_event()


@pytest.mark.parametrize("kind", [Text, Answered, Closed])
def test_only_a_question_can_be_answered(kind: type[Event]) -> None:
    """An answer to a fact is a misuse, and nothing is sent."""
    machine = stopped_at(kind, *MESSAGE, "QUIT")
    machine.data_to_send()
    with pytest.raises(MisuseError):
        machine.answer(Reply(250, "OK"))
    assert machine.data_to_send() == b""


def test_a_question_is_answered_once() -> None:
    """A second answer to the same question is a misuse."""
    machine = stopped_at(Connected)
    machine.answer(Reply(220, "Welcome"))
    with pytest.raises(MisuseError):
        machine.answer(Reply(220, "Welcome"))
    assert machine.data_to_send() == b"220 Welcome\r\n"


@pytest.mark.parametrize("kind", [Connected, Helo, Mail, Rcpt, Data, Text, EndOfMail, Answered])
def test_close_at_any_time(kind: type[Event]) -> None:
    """The driver can end the session at any time: its reply is the last one, and no event but Closed follows."""
    machine = stopped_at(kind, *MESSAGE)
    machine.close(Reply(421, "Time is up"))
    machine.close(Reply(421, "Time is up"))
    assert machine.next_event() == Closed("refused")
    assert machine.data_to_send().partition(b"421 ")[2] == b"Time is up\r\n"
    with pytest.raises(MisuseError):
        machine.answer(Reply(250, "OK"))


def test_close_after_quit() -> None:
    """A session that the client has ended already is not ended again."""
    machine = stopped_at(Answered, "QUIT")
    machine.close(Reply(421, "Time is up"))
    assert machine.next_event() == Closed("quit")
    assert b"421" not in machine.data_to_send()
