"""What the protocol machine reports.

Two kinds. A *question* waits for `Receiver.answer`, and no other event comes before it is answered. A *fact* has been
dealt with already. Every event that stems from a command line carries that line as the client wrote it, without its
line end, so that it can be logged.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

from mailrecv.reply import Reply
from mailrecv.smtp.grammar import Path
from mailrecv.values import Value


class Connected(Value):
    """Question: the session begins. 220 greets the client; any refusal closes the session."""


class Helo(Value):
    """Question: the client introduced itself, and with that dropped any transaction."""

    line: bytes
    name: str


class Mail(Value):
    """Question: a transaction begins. The null path means a bounce."""

    line: bytes
    reverse_path: Path


class Rcpt(Value):
    """Question: may the message go to this recipient?"""

    line: bytes
    forward_path: Path


class Data(Value):
    """Question: may the mail data come? 354 asks for it."""

    line: bytes


class Text(Value):
    """Fact: a block of mail data with LF line ends, the leading dots undone. Blocks may end within a line."""

    octets: bytes


class EndOfMail(Value):
    """Question: the mail data is complete. A 2xx takes over the responsibility for the message."""


class Reset(Value):
    """Fact: the transaction is dropped, and what was received of it is void.

    After RSET, `reply` is what the client got. When the mail data grew over its limit, `line` is empty and `reply` is
    None: the refusal follows as `Refused`, with the limit `smtp_data_size`, when the client has sent the rest.
    """

    line: bytes
    reply: Reply | None


class Answered(Value):
    """Fact: a command without consequence (NOOP, HELP, VRFY, QUIT, and EHLO with its 500) was answered."""

    line: bytes
    reply: Reply


class Refused(Value):
    """Fact: a command was refused by the protocol alone.  limit: the name of the limit that it exceeded, if one."""

    line: bytes
    reply: Reply
    limit: str | None = None


class Closed(Value):
    """Fact: the session is over; the same event comes for ever after.

    cause: `quit`, the client's QUIT; `left`, the client is gone; `refused`, this side ended it.
    """

    cause: Literal["quit", "left", "refused"]


class NeedData(Enum):
    """The type of NEED_DATA: nothing to report before `Receiver.receive_data` brings more octets."""

    NEED_DATA = "NEED_DATA"


NEED_DATA: Final = NeedData.NEED_DATA

CommandEvent = Helo | Mail | Rcpt | Data | Reset | Answered | Refused  # those with a command line
Question = Connected | Helo | Mail | Rcpt | Data | EndOfMail
Fact = Text | Reset | Answered | Refused | Closed
Event = Question | Fact | NeedData
