"""The directives: what each is called, how it is written, and what it means."""

from __future__ import annotations

import pytest

from mailrecv.config.directives import DIRECTIVES, OLD_DIRECTIVES, parse_debug_flags
from mailrecv.config.model import Config, Deliver
from mailrecv.limits import Limit, Switch
from mailrecv.reply import Reply
from tests.support.configs import PATH, config, faults, the_fault


def test_the_table_has_every_directive() -> None:
    """The language has these directives and no others."""
    scalars = {"domain", "debug", "logfile", "loghex", "deadletter_file"}
    lists = {"allow", "allowgroup", "deliver", "error"}
    counts = {"smtp_commands", "smtp_unknowncmd", "smtp_failcmds", "smtp_rcpt_to", "smtp_data_size"}
    others = {"connection_secs", "start_secs", "idle_secs", "delivery_secs", "smtp_ascii", "fcrdns_check"}
    resident = {"connections", "client_connections"}
    assert set(DIRECTIVES) == scalars | lists | {f"limit.{name}" for name in counts | others | resident}
    assert set(OLD_DIRECTIVES) == {"replace", "ascii_smtp"}


def test_the_defaults() -> None:
    """What a file does not say has the default of the manual."""
    assert config() == Config(
        path=PATH,
        domain=None,
        debug="",
        logfile="syslog",
        loghex=True,
        deadletter_file=None,
        allow=(),
        groups={},
        deliver={},
        errors=(),
        directives=(),
    )


@pytest.mark.parametrize(
    "name, value, code",
    [
        ("smtp_commands", 1000, 421),
        ("smtp_unknowncmd", 4, 421),
        ("smtp_failcmds", 20, 421),
        ("smtp_rcpt_to", 100, 452),
        ("smtp_data_size", 24_000_000, 552),
        ("connection_secs", 600, 421),
        ("start_secs", 60, 421),
        ("idle_secs", 300, 421),
        ("delivery_secs", 300, 451),
        ("connections", 1000, 421),
        ("client_connections", 50, 421),
    ],
)
def test_limits(name: str, value: int, code: int) -> None:
    """A limit has a default value and reply; the file may give a value, a code with it, and a text with that."""
    default = getattr(config().limits, name)
    assert (default.value, default.reply.code) == (value, code)

    def read(words: str) -> object:
        return getattr(config(f"limit.{name} {words}").limits, name)

    assert read("7") == Limit(7, default.reply)
    assert read("7 500") == Limit(7, Reply(500, default.reply.text))
    assert read("7 500 Too  many # of them") == Limit(7, Reply(500, "Too  many"))


@pytest.mark.parametrize("name, code", [("smtp_ascii", 500), ("fcrdns_check", 421)])
def test_switches(name: str, code: int) -> None:
    """A check is on unless the file says off; it has a default reply, and the file may give another."""
    default = getattr(config().limits, name)
    assert (default.on, default.reply.code) == (True, code)

    def read(words: str) -> object:
        return getattr(config(f"limit.{name} {words}").limits, name)

    assert read("off") == Switch(False, default.reply)
    assert read("on 554") == Switch(True, Reply(554, default.reply.text))
    assert read("on 554 Go  away") == Switch(True, Reply(554, "Go  away"))


@pytest.mark.parametrize(
    "word, on", [("on", True), ("yes", True), ("1", True), ("off", False), ("no", False), ("0", False)]
)
def test_words_for_on_and_off(word: str, *, on: bool) -> None:
    """Wherever something is on or off, it may be said in three ways."""
    read = config(f"loghex {word}", f"limit.smtp_ascii {word}", f"limit.fcrdns_check {word} 554 No")
    assert (read.loghex, read.limits.smtp_ascii.on, read.limits.fcrdns_check) == (on, on, Switch(on, Reply(554, "No")))


@pytest.mark.parametrize(
    "line", ["ascii_smtp off", "ascii_smtp 0 554 No", "limit.smtp_ascii on\nascii_smtp off 554 No"]
)
def test_the_old_name_of_a_limit(line: str) -> None:
    """`ascii_smtp` is read as `limit.smtp_ascii` is, and of both the later holds."""
    limits = config(line).limits
    assert limits == config(line.replace("ascii_smtp", "limit.smtp_ascii").replace("limit.limit.", "limit.")).limits
    assert not limits.smtp_ascii.on


@pytest.mark.parametrize("rest", [r"rcpt_to li[a-z]*@a\.example b@a.example", "x", "( ("])
def test_replace_does_nothing(rest: str) -> None:
    """`replace` is read, whatever follows, and changes nothing."""
    assert config(f"replace {rest}").replace(directives=()) == config()


@pytest.mark.parametrize(
    "line, field, value",
    [
        ("domain mydomain.com", "domain", "mydomain.com"),
        ("debug srw+F", "debug", "srw+F"),
        ("debug acfFhlrsw+", "debug", "acfFhlrsw+"),
        ("debug -", "debug", ""),
        ("logfile syslog", "logfile", "syslog"),
        ("logfile /var/log/mailrecv.log", "logfile", "/var/log/mailrecv.log"),
        ("loghex on", "loghex", True),
        ("loghex off", "loghex", False),
        ("deadletter_file /var/mail/Dead", "deadletter_file", "/var/mail/Dead"),
    ],
)
def test_scalars(line: str, field: str, value: object) -> None:
    """A directive with one value sets it."""
    assert getattr(config(line), field) == value


def test_later_scalars_replace_earlier_ones() -> None:
    """Of two lines for one value the later holds, with all that belongs to it."""
    read = config(
        "domain a.example",
        "debug s",
        "logfile /a",
        "loghex off",
        "deadletter_file /a",
        "limit.smtp_commands 1 500 First",
        "limit.smtp_ascii off 500 First",
        "domain b.example",
        "debug -",
        "logfile syslog",
        "loghex on",
        "deadletter_file /b",
        "limit.smtp_commands 2",
        "limit.smtp_ascii on",
    )
    assert (read.domain, read.debug, read.logfile, read.loghex) == ("b.example", "", "syslog", True)
    assert (read.deadletter_file, read.deadletter_line) == ("/b", 12)
    assert read.limits.smtp_commands == Limit(2, config().limits.smtp_commands.reply)
    assert read.limits.smtp_ascii == config().limits.smtp_ascii


def test_lists_keep_their_order() -> None:
    """Rules of one kind stay in file order, each with its line."""
    read = config(
        "error rcpt_to b 550 B",
        "allow remotehost b",
        "allowgroup +g b",
        "allowgroup +h c",
        "error rcpt_to a 450",
        "allow remotehost a",
        "allowgroup +g a",
    )
    assert [(rule.line, rule.pattern.text, rule.reply) for rule in read.errors] == [
        (1, "b", Reply(550, "B")),
        (5, "a", Reply(450, "No such recipient")),
    ]
    assert [(rule.line, rule.pattern.text) for rule in read.allow] == [(2, "b"), (6, "a")]
    groups = {name: [(rule.line, rule.pattern.text) for rule in rules] for name, rules in read.groups.items()}
    assert groups == {"+g": [(3, "b"), (7, "a")], "+h": [(4, "c")]}


def test_deliver() -> None:
    """The `deliver` lines of an address stay together and in order, whatever the letter case of the address."""
    read = config(
        "allowgroup +G x",
        "deliver rcpt_to Me@B.example append /var/mail/Me",
        "deliver rcpt_to you@b.example maildir /home/You/Mail",
        "deliver allowgroup +G rcpt_to me@b.example pipe  Cat -x  'A  b' | grep x#y  # comment",
    )
    assert read.deliver == {
        "me@b.example": (
            Deliver(2, "me@b.example", None, "append", "/var/mail/Me"),
            Deliver(4, "me@b.example", "+G", "pipe", "Cat -x  'A  b' | grep x#y"),
        ),
        "you@b.example": (Deliver(3, "you@b.example", None, "maildir", "/home/You/Mail"),),
    }


def test_a_group_may_be_defined_after_its_use() -> None:
    """Only the whole file tells which groups there are."""
    read = config("deliver allowgroup +g rcpt_to a@b append /x", "allowgroup +g x")
    assert [rule.group for rule in read.deliver["a@b"]] == list(read.groups) == ["+g"]


def test_a_group_that_is_never_defined_is_a_fault() -> None:
    """A `deliver` line may name only groups that an `allowgroup` line defines, in the same letter case."""
    (use, definition) = ("deliver allowgroup +G rcpt_to a@b append /x", "allowgroup +H x")
    fault = the_fault(use)
    assert (fault.column, fault.width, fault.text) == (20, 2, "group +G has no allowgroup line")
    assert config(use.replace("+G", "+H"), definition).groups.keys() == {"+H"}


@pytest.mark.parametrize("name", ["+staff", "staff", "1", "+", "allowgroup", "rcpt_to"])
def test_the_name_of_a_group_is_one_word(name: str) -> None:
    """It is any word; usually one with a plus."""
    read = config(f"deliver allowgroup {name} rcpt_to a@b append /x", f"allowgroup {name} ^a$")
    assert [rule.group for rule in read.deliver["a@b"]] == [*read.groups] == [name]


@pytest.mark.parametrize("used, defined", [("+staff", "staff"), ("staff", "+staff"), ("++g", "+g")])
def test_a_plus_makes_another_group(used: str, defined: str) -> None:
    """NAME and +NAME are two groups; the fault about one that is not there names the other."""
    (fault,) = faults(f"deliver allowgroup {used} rcpt_to a@b append /x\nallowgroup {defined} ^a$")
    assert (fault.column, fault.width) == (20, len(used))
    assert fault.text == f"group {used} has no allowgroup line, did you mean {defined}?"
    both = config("allowgroup g ^a$", "allowgroup +g ^b$", "deliver allowgroup g rcpt_to a@b append /x")
    assert {name: [rule.pattern.text for rule in rules] for name, rules in both.groups.items()} == {
        "g": ["^a$"],
        "+g": ["^b$"],
    }


def test_the_directives_are_kept_as_read() -> None:
    """For the log, each directive is kept with its line, without comment and outer blanks."""
    assert config("", "\tdomain \t x # y", "# z", "loghex on").directives == ((2, "domain \t x"), (4, "loghex on"))


@pytest.mark.parametrize(
    "line, missing",
    [
        ("domain", "the server's domain"),
        ("debug", "debug flags (acfFhlrsw+, or -)"),
        ("logfile", "syslog or a path"),
        ("loghex", "loghex (on or off)"),
        ("deadletter_file", "a path"),
        ("allow", "what to allow (remotehost)"),
        ("allow remotehost", "a client's name or address, [ADDRESS], ADDRESS/BITS or a regular expression,"),
        ("allowgroup", "a group's name, +NAME,"),
        ("allowgroup +g", "a client's name or address, [ADDRESS], ADDRESS/BITS or a regular expression,"),
        ("deliver", "allowgroup (allowgroup or rcpt_to)"),
        ("deliver allowgroup", "a group's name, +NAME,"),
        ("deliver rcpt_to", "a recipient's address"),
        ("deliver rcpt_to a@b", "how to deliver (append or maildir or pipe)"),
        ("deliver rcpt_to a@b append", "a path"),
        ("deliver rcpt_to a@b maildir", "a path"),
        ("deliver rcpt_to a@b pipe", "a command"),
        ("error", "what to refuse (rcpt_to)"),
        ("error rcpt_to", "a recipient, a regular expression,"),
        ("error rcpt_to x", "a reply code, 4xx or 5xx,"),
        ("limit.smtp_commands", "limit.smtp_commands, a number,"),
        ("limit.smtp_ascii", "limit.smtp_ascii (on or off)"),
        ("ascii_smtp", "limit.smtp_ascii (on or off)"),
        ("replace", "what to replace"),
    ],
)
def test_a_missing_word_is_named(line: str, missing: str) -> None:
    """A line that ends too early is told what is missing there, and the form of the directive."""
    fault = the_fault(line)
    name = line.split(maxsplit=1)[0]
    assert fault.column == len(line) + 1
    usage = {**DIRECTIVES, **OLD_DIRECTIVES}[name].usage
    assert fault.text == f"{missing} expected here; the form is: {name} {usage}"


@pytest.mark.parametrize(
    "line, word, text",
    [
        ("domain x yy", "yy", "nothing more expected"),
        ("debug s zz", "zz", "nothing more expected"),
        ("logfile /x yy", "yy", "nothing more expected"),
        ("loghex on yy", "yy", "nothing more expected"),
        ("deadletter_file /x yy", "yy", "nothing more expected"),
        ("allow remotehost x yy", "yy", "nothing more expected"),
        ("allowgroup +g x yy", "yy", "nothing more expected"),
        ("deliver rcpt_to a@b append /x yy", "yy", "nothing more expected"),
        ("deliver rcpt_to a@b maildir /x yy", "yy", "nothing more expected"),
        ("debug sxr", "sxr", "unknown debug flag x"),
        ("loghex On", "On", "on or off expected"),
        ("loghex 2", "2", "on or off expected"),
        ("allow host x", "host", "remotehost expected"),
        ("allow remotehost [x", "", "bad pattern: missing terminating ]"),
        ("deliver a@b append /x", "a@b", "allowgroup or rcpt_to expected"),
        ("deliver allowgroup rcpt_to a@b append /x", "a@b", "rcpt_to expected"),
        ("deliver rcpt_to <a@b> append /x", "<a@b>", "an address without angle brackets expected"),
        ("deliver rcpt_to a@b file /x", "file", "append or maildir or pipe expected"),
        ("error mail_from x 550 No", "mail_from", "rcpt_to expected"),
        ("error rcpt_to x 250 Yes", "250", "250 is no refusal: a reply code from 400 to 599 expected"),
        ("error rcpt_to x 600 Oh", "600", "600 is no refusal: a reply code from 400 to 599 expected"),
        ("error rcpt_to x 5500 No", "5500", "a reply code from 400 to 599 expected, found 5500"),
        ("limit.smtp_rcpt_to 5 250 OK", "250", "250 is no refusal"),
        ("ascii_smtp on 200", "200", "200 is no refusal"),
        ("limit.smtp_commands -5", "-5", "limit.smtp_commands: a whole number from 0"),
        ("limit.smtp_commands 5 many", "many", "a reply code from 400 to 599 expected"),
        ("limit.connection_secs 0", "0", "limit.connection_secs: a whole number from 1"),
        ("limit.idle_secs 0", "0", "limit.idle_secs: a whole number from 1"),
        ("limit.delivery_secs 0", "0", "limit.delivery_secs: a whole number from 1"),
        ("limit.smtp_ascii maybe", "maybe", "on or off expected"),
        ("limit.fcrdns_check off 200", "200", "200 is no refusal: a reply code from 400 to 599 expected"),
    ],
)
def test_a_bad_word_is_pointed_at(line: str, word: str, text: str) -> None:
    """A word that may not stand where it stands is a fault that covers it and says what may."""
    fault = the_fault(line)
    assert fault.text.startswith(text)
    assert line[fault.column - 1 : fault.column - 1 + fault.width] == word


def test_a_bad_pattern_still_defines_its_group() -> None:
    """One mistake is one fault: the lines that use the group are not at fault too."""
    (fault,) = faults("deliver allowgroup +g rcpt_to a@b append /x\nallowgroup +g (")
    assert fault.line == 2


def test_debug_flags() -> None:
    """The flags of the command line are checked like those of the file."""
    assert parse_debug_flags("-") == ""
    assert parse_debug_flags("srw+F") == "srw+F"
    with pytest.raises(ValueError, match="unknown debug flag x"):
        parse_debug_flags("sx")
