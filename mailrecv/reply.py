"""A reply: the one value that every room of the program hands to another.

The configuration holds replies, the policy and the delivery choose them, the protocol machine sends them, the journal
records them. RFC 821 §4.2: three digits, then text; a text of several lines repeats the code, with a hyphen after it on
all lines but the last.
"""

from __future__ import annotations

from mailrecv.values import Value

MAX_REPLY_OCTETS = 512  # RFC 821 §4.5.3: a reply line with its code and its CRLF
_MAX_TEXT = MAX_REPLY_OCTETS - len("250 ") - len("\r\n")


class Reply(Value):
    """What the server says to one command.

    code: three digits, 200 to 599.  text: what follows it; several lines are separated by LF.
    """

    code: int
    text: str

    @property
    def positive(self) -> bool:
        """True for 2xx and 3xx: the command was carried out, or the mail data may come."""
        return self.code < 400

    @property
    def closes(self) -> bool:
        """True for 421, after which the server closes the connection (RFC 821 §4.2.2)."""
        return self.code == 421

    def lines(self) -> list[str]:
        """Return the reply as it goes over the wire, a line each, without CRLF; none is over MAX_REPLY_OCTETS."""
        if "\n" not in self.text and len(self.text) <= _MAX_TEXT:  # as nearly all are
            return [f"{self.code} {self.text}"]
        texts = [
            text[start : start + _MAX_TEXT]
            for text in self.text.split("\n")
            for start in range(0, max(len(text), 1), _MAX_TEXT)
        ]
        return [f"{self.code}-{text}" for text in texts[:-1]] + [f"{self.code} {texts[-1]}"]

    def octets(self) -> bytes:
        """Return the reply for the wire; SMTP replies are ASCII, so any other character goes out as `?`."""
        return ("\r\n".join(self.lines()) + "\r\n").encode("ascii", "replace")

    def __str__(self) -> str:
        return " / ".join(self.lines())
