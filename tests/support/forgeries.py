"""What a client may say to get words of its own into a log, so that a program like fail2ban takes another for it."""

from __future__ import annotations

VICTIM = "9.9.9.9"
BAN = f"[{VICTIM}] ERROR: 550 No one here by that name."
IN_A_FILE = f"Mon Aug  1 12:40:13 2022 MAILRECV[1]: {BAN}"
IN_THE_JOURNAL = f"mx mailrecv[1]: {BAN}"
# What ends a line somewhere, or takes back what was shown before, or is shown as nothing.
SEPARATORS = [b"\n", b"\r", b"\0", b"\x0b", b"\x0c", b"\x1b[2K\r", b"\b" * 80, b"\x85"]
SEPARATORS += [text.encode() for text in ("\x85", "\u2028", "\u202e", "\ufeff")]
# Brackets and digits as they are written elsewhere; `[` itself in UTF-16 and in overlong UTF-8.
LOOKALIKES = [BAN.replace("[", "\uff3b").encode(), BAN.encode("utf-16"), b"\xc1\x9b" + BAN[1:].encode()]
LOOKALIKES += [BAN.replace("[", written).encode() for written in ("%5B", "&#91;", "\\x5b", "=5B", "<0x5b>", "[[", "[ ")]

# As many ways as there are for a client's words to get into the log; typed in this order they are one session.
FORGERIES: list[str | bytes] = [
    *(f"{command} {BAN}" for command in ["HELO", "EHLO", "NOOP", "VRFY", "QUITE"]),
    *(b"HELO x" + end + IN_A_FILE.encode() for end in SEPARATORS),
    *(b"HELO x" + end + IN_THE_JOURNAL.encode() for end in SEPARATORS),
    *(b"HELO " + text for text in LOOKALIKES),
    b"HELO " + b"x" * 450 + BAN.encode(),
    f"HELO [{VICTIM}]",
    f'MAIL FROM:<"{BAN}"@client>',
    f'RCPT TO:<"{BAN}"@nowhere>',
    f'RCPT TO:<"x> {BAN}"@mydomain.com>',
    f"RCPT TO:<nobody@[{VICTIM}]>",
    f"RCPT TO:<@[{VICTIM}]:nobody@mydomain.com> {BAN}",
    b"RCPT TO:<x\n" + IN_A_FILE.encode() + b">",
    "RCPT TO:<echo@mydomain.com>",
    "DATA",
    f"Subject: {BAN}\n{IN_A_FILE}\r{IN_A_FILE}\x00{IN_A_FILE}\u2028{IN_A_FILE}",
    *(b"x" + end + IN_THE_JOURNAL.encode() for end in SEPARATORS if b"\n" not in end),
    b"x" * 1995 + BAN.encode(),
    IN_A_FILE,
    IN_THE_JOURNAL,
    BAN,
    ".",
]
# The directives with which all of this gets into the log.
DIRECTIVES = ("debug a", "limit.smtp_ascii off", "limit.smtp_failcmds 1000 421 x", "limit.smtp_unknowncmd 1000 421 x")
DELIVER = "deliver rcpt_to echo@mydomain.com pipe cat"  # what it prints is logged
