"""Ten ways to feign the end of mail data that some receiver once fell for (CVE-2023-51764, -51765, -51766)."""

from __future__ import annotations

FALSE_ENDS = {  # and what is kept of each: a dot that leads a line is undone, a CRLF becomes LF
    b"\n.\n": b"\n.\n",
    b"\r.\r": b"\r.\r",
    b"\r.\n": b"\r.\n",
    b"\n.\r": b"\n.\r",
    b"\n.\r\n": b"\n.\n",
    b"\r\n.\n": b"\n\n",
    b"\r.\r\n": b"\r.\n",
    b"\r\n.\r": b"\n\r",
    b"\r\n\0.\r\n": b"\n\0.\n",
    b"\r\n.\0\r\n": b"\n\0\n",
}
