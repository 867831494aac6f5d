"""A server in memory that behaves like a socket: a `Receiver`, and the least that has to be around it.

It understands as much of the configuration language as the dialogues use, takes mail for the recipients named there,
and writes what should be delivered in the most obvious way. It shares no code with the real configuration, policy and
delivery, so that the dialogues compare these with something.
"""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from pathlib import Path as FilePath

from mailrecv.delivery.header import OF_MBOX_READERS, OF_THIS_SERVER
from mailrecv.limits import Limit, Limits, Switch
from mailrecv.reply import Reply
from mailrecv.smtp import NEED_DATA, Closed, Connected, Data, EndOfMail, Helo, Mail, Rcpt, Receiver, Text
from mailrecv.smtp.events import Question
from tests.support.delivery import set_apart_line_by_line

CLIENT = "localhost [127.0.0.1]"


class MemoryServer:
    """One session.  config: the text of the configuration."""

    def __init__(self, config: str) -> None:
        self._domain = ""
        self._routes: dict[str, tuple[str, str]] = {}
        self._errors: list[tuple[str, Reply]] = []
        self._deadletter_file = ""
        self._limits = Limits()
        for line in config.splitlines():
            self._configure(line.split("#")[0].split())
        self._helo = self._sender = ""
        self._recipients: list[str] = []
        self._data = b""
        self._messages = 0
        self._to_send = b""
        self._closed = False
        self._machine = Receiver(self._domain, self._limits)
        self._work()

    # What a socket does

    def sendall(self, octets: bytes, /) -> None:
        self._machine.receive_data(octets)
        self._work()

    def recv(self, size: int, /) -> bytes:
        octets, self._to_send = self._to_send[:size], self._to_send[size:]
        if not octets and not self._closed:
            raise TimeoutError("the server has nothing to say")
        return octets

    def close(self) -> None:
        self._machine.receive_data(b"")
        self._work()

    # What a server does

    def _configure(self, words: list[str]) -> None:
        match words:
            case []:
                pass
            case ["domain", name]:
                self._domain = name
            case ["deadletter_file", path]:
                self._deadletter_file = path
            case ["deliver", "rcpt_to", address, ("append" | "maildir") as method, path]:
                self._routes[address.lower()] = method, path
            case ["deliver", "rcpt_to", address, "pipe", "cat", ">", path]:
                self._routes[address.lower()] = "pipe", path
            case ["error", "rcpt_to", pattern, code, *text]:
                self._errors.append((pattern, Reply(int(code), " ".join(text))))
            case [limit, value, code, *text] if limit.startswith("limit."):
                reply = Reply(int(code), " ".join(text))
                setting = Limit(int(value), reply) if value.isdigit() else Switch(value == "on", reply)
                self._limits = self._limits.replace(**{limit.removeprefix("limit."): setting})
            case _:
                raise ValueError(f"not for a server in memory: {' '.join(words)}")

    def _work(self) -> None:
        while not self._closed and (event := self._machine.next_event()) is not NEED_DATA:
            if isinstance(event, Question):
                self._machine.answer(self._answer(event))
            elif isinstance(event, Text):
                self._data += event.octets
            self._closed = isinstance(event, Closed)
        self._to_send += self._machine.data_to_send()

    def _answer(self, question: Question) -> Reply:
        match question:
            case Connected():
                return Reply(220, f"{self._domain} SMTP (RFC 822) mailrecv")
            case Helo():
                self._helo = question.name if question.name.isascii() else ""
                return Reply(250, f"{self._domain} Hello {CLIENT}")
            case Mail():
                self._sender, self._recipients = str(question.reverse_path), []
                return Reply(250, "OK")
            case Rcpt():
                return self._take(str(question.forward_path))
            case Data():
                self._data = b""
                return Reply(354, "Send the message")
            case EndOfMail():
                self._messages += 1
                unspoken_of = [recipient for recipient in self._recipients if recipient.lower() not in self._routes]
                for recipient in self._recipients:
                    if recipient not in unspoken_of:
                        self._deliver(*self._routes[recipient.lower()], recipient)
                if unspoken_of:
                    self._deliver("append", self._deadletter_file, *unspoken_of)
                return Reply(250, f"OK id {self._messages}")

    def _take(self, recipient: str) -> Reply:
        if recipient.lower() not in self._routes:
            for pattern, reply in self._errors:
                if re.search(pattern, recipient):
                    return reply
            if not self._deadletter_file:
                return Reply(550, "No such recipient")
        self._recipients.append(recipient)
        return Reply(250, "OK")

    def _deliver(self, method: str, path: str, *recipients: str) -> None:
        whom, envelope = (f" for <{recipients[0]}>", "") if len(recipients) == 1 else ("", "X-Envelope-To: ")
        envelope += ",\n\t".join(f"<{recipient}>" for recipient in recipients) + "\n" if envelope else ""
        received = (
            f"{envelope}Received: from {self._helo or 'unknown'} ({CLIENT}) by {self._domain} with SMTP"
            f" id {self._messages}{whom}; {formatdate()}\n"
        )
        reserved = OF_THIS_SERVER | OF_MBOX_READERS if method == "append" else OF_THIS_SERVER
        data = set_apart_line_by_line(self._data, reserved)
        copy = f"Return-Path: <{self._sender}>\n{received}".encode() + data
        from_line = f"From {self._sender.replace(' ', '_') or 'MAILER-DAEMON'} {time.asctime(time.gmtime())}\n".encode()
        if method == "append":
            with FilePath(path).open("ab") as mbox:
                mbox.write(from_line + re.sub(rb"(?m)^(>*From )", rb">\1", copy) + b"\n")
        elif method == "pipe":
            FilePath(path).write_bytes(from_line + copy)
        else:
            for folder in ("tmp", "new", "cur"):
                (FilePath(path) / folder).mkdir(parents=True, exist_ok=True)
            (FilePath(path) / "new" / str(self._messages)).write_bytes(copy)
