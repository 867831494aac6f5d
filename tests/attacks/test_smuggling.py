"""Smuggling: no octets inside a message end it and make a second one of what follows (CVE-2023-51764 to -51766).

The attacker is the author of a message that an honest mail server passes on; so every session here begins as those of
mail servers do, with a CRLF. Each form goes over a real socket, the second message in the same packet as the first, or
cut apart at every octet that could matter.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from tests.clients.servers import Server, Starter
from tests.support.false_ends import FALSE_ENDS
from tests.support.machine import typed

# What no receiver is known to have fallen for, but what looks like an end to somebody.
MORE_FORMS = [
    *(b"\r\n." + blank + b"\r\n" for blank in (b" ", b"\t", b"\x0b", b"\x0c", b"\x1a", b"\x08", b"\xa0")),
    *(b"\r\n" + blank + b".\r\n" for blank in (b" ", b"\t", b"\x0b", b"\xef\xbb\xbf")),
    b"\r\r\n.\r\r\n",
    b"\r\n\r.\r\n",
    b"\n\r.\n\r",
    b"\n\n.\n\n",
    b"\r\r.\r\r",
    b"\n..\n",
    b"\n..\r\n",
    b"\r\n.\n..\r\n",
    b"\r\n=2E\r\n",
    b"\x85.\x85",
    b"\xc2\x85.\xc2\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
    b"\x8d\x8a.\x8d\x8a",  # CR and LF with the eighth bit set
]
FORMS = [*FALSE_ENDS, *MORE_FORMS]
FIRST = b"Subject: one\r\n\r\nHello"
SECOND = ("MAIL FROM:<admin@mydomain.com>", "RCPT TO:<me@mydomain.com>", "DATA", "Subject: smuggled", "", "Boo")
END = typed("", ".", "QUIT")
PACKET_SECONDS = 0.001  # between two packets, so that the server reads them one by one


def in_one_packet(form: bytes, second: bytes) -> list[bytes]:
    """Everything at once."""
    return [FIRST + form + second + END]


def between_the_messages(form: bytes, second: bytes) -> list[bytes]:
    """The false end is the end of a packet, and the second message begins one."""
    return [FIRST + form, second + END]


def at_every_octet(form: bytes, second: bytes) -> list[bytes]:
    """Each octet of the false end, and of the true one, is a packet."""
    return [FIRST, *single_octets(form), second, *single_octets(END)]


def single_octets(octets: bytes) -> list[bytes]:
    return [bytes([octet]) for octet in octets]


def send(server: Server, packets: list[bytes]) -> list[str]:
    """Send what an honest mail server sends with this mail data, and return the codes of the replies to it."""
    with server.connect() as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.envelope("me")
        for packet in packets:
            client.send(packet)
            time.sleep(PACKET_SECONDS)
        return [reply[:3] for reply in client.rest()]


@pytest.mark.attacks(len(FORMS))
@pytest.mark.parametrize("cut", [in_one_packet, between_the_messages, at_every_octet])
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"], ids=["CRLF", "LF", "CR"])
def test_a_false_end_ends_nothing(start: Starter, cut: Callable[[bytes, bytes], list[bytes]], line_end: bytes) -> None:
    """Whatever looks like an end, and however it is cut into packets: one message arrives, with the other inside."""
    server = start.server("listen", "debug -")
    second = typed(*SECOND, end=line_end)
    for form in FORMS:
        assert send(server, cut(form, second)) == ["250", "221"], form
    inside = second.replace(b"\r\n", b"\n")
    messages = server.site.appended
    assert len(messages) == len(FORMS)
    for message in messages:
        assert message.startswith(b"Subject: one\n\nHello")
        assert message.endswith(inside + b"\n")


# What is no mail session at all

A_FORM_OF_A_WEB_PAGE = (
    "POST / HTTP/1.1",
    "Host: mydomain.com:25",
    "User-Agent: Mozilla/5.0",
    "Accept: */*",
    "Content-Type: text/plain",
    "Content-Length: 130",
    "",
    "HELO x",
    "MAIL FROM:<admin@mydomain.com>",
    "RCPT TO:<me@mydomain.com>",
    "DATA",
    "Boo",
    ".",
    "QUIT",
)


@pytest.mark.attacks(1)
@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["CRLF", "LF"])
def test_a_browser_sends_no_mail(start: Starter, line_end: bytes) -> None:
    """A web page cannot make its reader's browser send mail: what comes before the commands ends the session."""
    server = start.server("listen", "debug -")
    with server.connect() as client:
        client.send(typed(*A_FORM_OF_A_WEB_PAGE, end=line_end))
        assert client.rest()[1:] == ["421 That is HTTP, and this server speaks SMTP"]
    assert server.site.appended == []
