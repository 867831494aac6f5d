"""RFC 821 without any input or output: octets in, events out; answers in, octets out.

Nothing in this room knows a socket, a clock, a file, the configuration or the log. Start at `receiver.Receiver`.
"""

from mailrecv.smtp.events import (
    NEED_DATA,
    Answered,
    Closed,
    CommandEvent,
    Connected,
    Data,
    EndOfMail,
    Event,
    Helo,
    Mail,
    Question,
    Rcpt,
    Refused,
    Reset,
    Text,
)
from mailrecv.smtp.grammar import Path
from mailrecv.smtp.receiver import MisuseError, Receiver

__all__ = [
    "NEED_DATA",
    "Answered",
    "Closed",
    "CommandEvent",
    "Connected",
    "Data",
    "EndOfMail",
    "Event",
    "Helo",
    "Mail",
    "MisuseError",
    "Path",
    "Question",
    "Rcpt",
    "Receiver",
    "Refused",
    "Reset",
    "Text",
]
