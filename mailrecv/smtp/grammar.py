"""The grammar of command lines and of the paths in them (RFC 821 §4.1.2).

Knows octets only: no state, no counting. Every pattern stands beside the ABNF that it implements and runs in time
linear in the length of the line: what may follow a repetition never begins with an octet that the repetition takes, so
giving one back never helps. Possessive quantifiers stand on single octets only: on groups, the Python of Debian 12
(3.11.2) gets them wrong.

It is more liberal than the RFC where honest senders are: a blank after the colon, no angle brackets, a local part with
any printable characters, no domain at all. It is never liberal with control characters, which have no place in a
name that will stand in logs, headers and environment variables.
"""

from __future__ import annotations

import re

from mailrecv.smtp.states import TYPED, Verb
from mailrecv.values import Value

# printable   = any octet but the controls and the blank; octets over 127 are UTF-8 or older habits
# atom-octet  = printable but not one of  < > @ " , : ; ( ) [ ] \
# dot-string  = 1*( atom-octet / "." / "\" printable )        liberal: dots may stand anywhere
# quoted      = DQUOTE 1*( octet but DQUOTE, "\", controls / "\" octet ) DQUOTE
# domain      = 1*( letter / digit / "-" / "." / "_" / octet over 127 )  /  "#" digits  /  "[" 1*dtext "]"
# route       = "@" domain *( "," "@" domain ) ":"                       read and dropped, RFC 821 §3.6
# mailbox     = ( dot-string / quoted ) [ "@" domain ]
# path        = "<" [ route ] mailbox ">"  /  mailbox  /  "<>"
_DOT_STRING = rb"(?:[^\x00-\x20\x7f<>@\",:;()\[\]\\]|\\[\x21-\x7e])+"
_QUOTED = rb"\"(?:[^\x00-\x1f\x7f\"\\]|\\[\x20-\x7e])+\""
_DOMAIN = rb"(?:[A-Za-z0-9._\x80-\xff-]++|\#[0-9]++|\[[A-Za-z0-9.:-]++\])"
_ROUTE = rb"(?:@" + _DOMAIN + rb"(?:,@" + _DOMAIN + rb")*:)"
_MAILBOX = rb"(?P<%(b)slocal>" + _DOT_STRING + rb"|" + _QUOTED + rb")(?:@(?P<%(b)sdomain>" + _DOMAIN + rb"))?"
_PATH = re.compile(
    rb"<(?:(?P<null>)|" + _ROUTE + rb"?" + _MAILBOX % {b"b": b"in_"} + rb")>|" + _MAILBOX % {b"b": b"bare_"}
)
_VERB = re.compile(rb"([A-Za-z]{4})(?:[ \t]++(.*))?", re.DOTALL)
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_ATOMS = re.compile(r"[^\x00-\x20\x7f<>@\",:;()\[\]\\]+")


class Path(Value):
    """Who sends or receives: a reverse path or a forward path without its route.

    local_part: with the quotes and backslashes undone, so that `"status"@host` and `status@host` are the same.
    domain: as written, or empty when there was none. Octets over 127 stand as surrogate escapes unless they are UTF-8.
    """

    local_part: str
    domain: str

    @property
    def null(self) -> bool:
        """True for `<>`, the sender of bounces."""
        return not self.local_part and not self.domain

    def __str__(self) -> str:
        """Return the address without angle brackets, its local part quoted only where it has to be; `` for `<>`."""
        if self.null:
            return ""
        local = self.local_part
        if not _ATOMS.fullmatch(local):
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}" if self.domain else local


class Command(Value):
    """A line that names a known command.  argument: what follows the verb, without the blanks around it."""

    verb: Verb
    argument: bytes


class Malformed(Exception):
    """The line names a command but breaks its grammar.

    code: 501 for a syntax error in the argument, 555 for a parameter that is not supported.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


def parse_command(line: bytes) -> Command | None:
    """Return the command that a line names, or None when it names none.

    line: one command line without its line end. The verb may be in any letter case.
    """
    match = _VERB.fullmatch(line)
    if match is None:
        return None
    verb = TYPED.get(match[1].decode("ascii").upper())
    return None if verb is None else Command(verb, (match[2] or b"").strip(b" \t"))


def parse_name(argument: bytes) -> str:
    """Return the name that HELO gives; raise Malformed when there is none or it holds control characters."""
    if not argument:
        raise Malformed(501, "Syntax: HELO hostname")
    if _CONTROLS.search(argument):
        raise Malformed(501, "Control characters in the host name")
    return _text(argument)


def parse_path(argument: bytes, keyword: bytes, syntax: str, *, allow_null: bool) -> Path:
    """Return the path that MAIL or RCPT gives.

    argument: what follows the verb.  keyword: `FROM` or `TO`.  syntax: the form to show when the argument is not of it.
    allow_null: whether `<>` is a path here.  Raises Malformed: 501 when there is no such path, 555 for parameters.
    """
    if argument[: len(keyword) + 1].upper() != keyword + b":":
        raise Malformed(501, f"Syntax: {syntax}")
    text = argument[len(keyword) + 1 :].lstrip(b" \t")
    match = _PATH.match(text)
    if match is None:
        raise Malformed(501, f"Not an address, expected {syntax}")
    rest = text[match.end() :]
    if rest.strip(b" \t"):
        if rest[:1] in b" \t" and not _CONTROLS.search(rest.replace(b"\t", b" ")):
            raise Malformed(555, "Parameters are not supported")
        raise Malformed(501, f"Not an address, expected {syntax}")
    if match["null"] is not None:
        if not allow_null:
            raise Malformed(501, f"Not an address, expected {syntax}")
        return Path("", "")
    local = match["in_local"] or match["bare_local"]
    if local.startswith(b'"'):
        local = local[1:-1]
    return Path(_text(re.sub(rb"\\(.)", rb"\1", local)), _text(match["in_domain"] or match["bare_domain"] or b""))


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
