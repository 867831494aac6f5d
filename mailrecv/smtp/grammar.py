"""The grammar of command lines and of the paths in them (RFC 821 §4.1.2).

Knows octets only: no state, no counting. Every pattern stands beside the ABNF that it implements and runs in time
linear in the length of the line: what may follow a repetition never begins with an octet that the repetition takes, so
giving one back never helps. Possessive quantifiers stand on single octets only: on groups, the Python of Debian 12
(3.11.2) gets them wrong.

It is more liberal than the RFC where honest senders are: a blank after the colon, no angle brackets, a name before
them, a local part with any printable characters, no domain at all, and a sender's path of almost any form: nothing is
decided by it, and its mail would be lost for a typing error. It is never liberal with control characters, which have no
place in a name that will stand in logs, headers and environment variables; nor with an address that begins with a
hyphen, which the commands that get it could take for an option.
"""

from __future__ import annotations

import re

from mailrecv.smtp.states import TYPED, Verb
from mailrecv.values import Value

# printable   = any octet but the controls and the blank; octets over 127 are UTF-8 or older habits
# atom-octet  = printable but not one of  < > @ " , : ; ( ) [ ] \
# dot-string  = 1*( atom-octet / "." / "\" ( printable / blank ) )        liberal: dots may stand anywhere
# quoted      = DQUOTE *( octet but DQUOTE, "\", controls / "\" octet ) DQUOTE
# domain      = 1*( letter / digit / "-" / "." / "_" / octet over 127 )  /  "#" digits  /  "[" 1*dtext "]"
# route       = "@" domain *( "," "@" domain ) ":"                       read and dropped, RFC 821 §3.6
# mailbox     = ( dot-string / quoted ) [ "@" domain ]                   not `""` alone
# path        = "<" [ route ] mailbox ">"  /  mailbox  /  "<>"
# parameters  = 1*( 1*( blank / tab ) keyword [ "=" *( octet but blank, controls, "=" ) ] )       RFC 5321 §4.1.2
# named       = [ phrase ] "<" address ">" [ parameters ]                a phrase is read and dropped, RFC 822 §6.1
# phrase      = *( octet but "<", ">", controls / tab )
# address     = phrase                                                   the blanks and tabs at its ends are dropped
_DOT_STRING = rb"(?:[^\x00-\x20\x7f<>@\",:;()\[\]\\]|\\[\x20-\x7e])+"
_QUOTED = rb"\"(?:[^\x00-\x1f\x7f\"\\]|\\[\x20-\x7e])*\""
_DOMAIN = rb"(?:[A-Za-z0-9._\x80-\xff-]++|\#[0-9]++|\[[A-Za-z0-9.:-]++\])"
_ROUTE = rb"(?:@" + _DOMAIN + rb"(?:,@" + _DOMAIN + rb")*:)"
_MAILBOX = rb"(?P<%(b)slocal>" + _DOT_STRING + rb"|" + _QUOTED + rb")(?:@(?P<%(b)sdomain>" + _DOMAIN + rb"))?"
_PATH = re.compile(
    rb"<(?:(?P<null>)|" + _ROUTE + rb"?" + _MAILBOX % {b"b": b"in_"} + rb")>|" + _MAILBOX % {b"b": b"bare_"}
)
_VERB = re.compile(rb"([A-Za-z]{4,8})(?:[ \t]++(.*))?", re.DOTALL)
_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
# Not compiled before a client has written something else than a path of the grammar, which few ever do.
_PARAMETERS = rb"(?:[ \t]++[A-Za-z0-9][A-Za-z0-9-]*+(?:=[^\x00-\x20\x7f=]*+)?)+"
_PHRASE = rb"[^\x00-\x08\x0a-\x1f\x7f<>]*+"
_NAMED = rb"(?P<phrase>" + _PHRASE + rb")<(?P<address>" + _PHRASE + rb")>(?P<parameters>" + _PARAMETERS + rb")?"
_HTTP_METHODS = b"GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH PRI".split()  # RFC 9110, 5789 and 9113
_OTHER_CONTROLS = r"[\t\x80-\x9f\u2028\u2029]"  # the tab, C1, and what ends lines in Unicode
_ATOMS = re.compile(r"[^\x00-\x20\x7f<>@\",:;()\[\]\\]+")


class Path(Value):
    """Who sends or receives: a reverse path or a forward path without its route.

    local_part: with the quotes and backslashes undone, so that `"status"@host` and `status@host` are the same.
    domain: as written, or empty when there was none. Octets over 127 stand as surrogate escapes unless they are UTF-8.
    as_written: the grammar has no place for this sender, and local_part is all that stood between the angle brackets.
    """

    local_part: str
    domain: str
    as_written: bool = False

    @property
    def null(self) -> bool:
        """True for `<>`, the sender of bounces."""
        return not self.local_part and not self.domain

    def __str__(self) -> str:
        """Return the address without angle brackets, its local part quoted only where it has to be; `` for `<>`."""
        local = self.local_part
        if self.null or self.as_written:
            return local
        if not _ATOMS.fullmatch(local):
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}" if self.domain else local


class Command(Value):
    """A line that names a known command.  argument: what follows the verb, without the blanks around it."""

    verb: Verb
    argument: bytes


class Malformed(Exception):
    """The line names a command but breaks its grammar.

    code: 501 for a syntax error in the argument, 553 for a recipient that is not allowed, 555 for a parameter that is
    not supported.
    """

    def __init__(self, code: int, text: str) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text


def first_word(line: bytes) -> bytes:
    """Return what a line begins with, up to the first blank."""
    return (line.split(maxsplit=1) or [b""])[0]


def is_http_method(word: bytes) -> bool:
    """Say whether a word is what a request of HTTP begins with, in any letter case."""
    return word.upper() in _HTTP_METHODS


def is_field(line: bytes) -> bool:
    """Say whether a line is one of a header, be it of a message or of HTTP."""
    return re.match(rb"[ \t]*+[A-Za-z0-9][A-Za-z0-9-]*+:", line) is not None


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
    """Return the name that HELO gives, which may be empty: nothing is decided by it.

    Raises Malformed when it holds control characters.
    """
    if _CONTROLS.search(argument):
        raise Malformed(501, "Control characters in the host name")
    return _text(argument)


def parse_path(argument: bytes, keyword: bytes, syntax: str, *, reverse: bool) -> Path:
    """Return the path that MAIL or RCPT gives.

    argument: what follows the verb.  keyword: `FROM` or `TO`.  syntax: the form to show when the argument is not of it.
    reverse: it is the sender's, who may be `<>`, or of a form that the grammar does not know.  Raises Malformed: 501
    when there is no such path, 501 or 553 when it begins with a hyphen, 555 for parameters.
    """
    if argument[: len(keyword) + 1].upper() != keyword + b":":
        raise Malformed(501, f"Syntax: {syntax}")
    path = _read_path(argument[len(keyword) + 1 :].strip(b" \t"), reverse=reverse)
    if path is None or (path.null and not reverse):
        raise Malformed(501, f"Not an address, expected {syntax}")
    if path.local_part.startswith("-"):
        if reverse:
            raise Malformed(501, "A sender must not begin with a hyphen")
        raise Malformed(553, "A recipient must not begin with a hyphen")
    return path


def _read_path(text: bytes, *, reverse: bool) -> Path | None:
    """Return the path that a text is, or None. Raises Malformed for parameters after one."""
    match = _PATH.match(text)
    if match is not None and match.end() == len(text) and (path := _path_of(match)) is not None:
        return path
    if match is not None and re.fullmatch(_PARAMETERS, text[match.end() :]):  # before a name: `a@b AUTH=<>` has none
        raise Malformed(555, "Parameters are not supported")
    named = re.fullmatch(_NAMED, text)
    if named is None:
        return None
    if named["parameters"]:
        raise Malformed(555, "Parameters are not supported")
    address = named["address"].strip(b" \t")
    match = _PATH.fullmatch(b"<" + address + b">")
    path = match and _path_of(match)
    if path is not None and path.null and named["phrase"].strip(b" \t"):  # a sender that has a name is none of a bounce
        return None
    if path is None and reverse and not re.search(_OTHER_CONTROLS, _text(address)):
        return Path(_text(address), "", as_written=True)
    return path


def _path_of(match: re.Match[bytes]) -> Path | None:
    """Return the path that _PATH has found, or None for `""` alone, which would pass for `<>`."""
    if match["null"] is not None:
        return Path("", "")
    local = match["in_local"] or match["bare_local"]
    if local.startswith(b'"'):
        local = local[1:-1]
    path = Path(_text(re.sub(rb"\\(.)", rb"\1", local)), _text(match["in_domain"] or match["bare_domain"] or b""))
    return None if path.null else path


def _text(octets: bytes) -> str:
    return octets.decode("utf-8", "surrogateescape")
