"""Words: where they begin and end, and where a bad or missing one is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mailrecv.config.words import MissingWord, WordFault, Words
from mailrecv.reply import Reply


def all_words(text: str) -> list[str]:
    words, found = Words(text), []
    while not words.empty():
        found.append(words.word("a word"))
    return found


def fault_of(take: Callable[[], object]) -> WordFault:
    with pytest.raises(WordFault) as caught:
        take()
    return caught.value


@pytest.mark.parametrize(
    "text, words",
    [
        ("", []),
        (" \t ", []),
        ("domain mydomain.com", ["domain", "mydomain.com"]),
        ("\t domain \t\t mydomain.com \t", ["domain", "mydomain.com"]),
        ("motto dem\u00a0Löwen\u2028gleich", ["motto", "dem\u00a0Löwen\u2028gleich"]),
    ],
)
def test_words_stand_between_blanks_and_tabs(text: str, words: list[str]) -> None:
    """Words are separated by any number of blanks and tabs, and by nothing else."""
    assert all_words(text) == words


@pytest.mark.parametrize(
    "text, words",
    [
        ("# all of it", []),
        ("  \t# all of it", []),
        ("domain x # a comment", ["domain", "x"]),
        ("domain x\t#a comment", ["domain", "x"]),
        ("domain x#y z# # a # comment", ["domain", "x#y", "z#"]),
        ("error rcpt_to ^#[0-9]+#$ 550", ["error", "rcpt_to", "^#[0-9]+#$", "550"]),
    ],
)
def test_a_comment_begins_at_a_number_sign_before_a_word(text: str, words: list[str]) -> None:
    """`#` begins a comment at the start of a line or after a blank; inside a word it is a character like any other."""
    assert all_words(text) == words


@pytest.mark.parametrize("text", ["pipe cat  -x 'a\t b'  ", "pipe cat  -x 'a\t b' # a comment"])
def test_the_rest_keeps_the_blanks_inside_it(text: str) -> None:
    """The rest of a line is taken as it stands, without the comment and the blanks at its end."""
    words = Words(text)
    words.word("pipe")
    assert words.rest("a command") == "cat  -x 'a\t b'"
    assert words.empty()


@pytest.mark.parametrize("text", ["domain", "domain  ", "domain # x"])
def test_a_missing_word_is_missed_behind_the_last_one(text: str) -> None:
    """The fault of a missing word points just behind the last word of the line."""
    words = Words(text)
    words.word("a directive")
    fault = fault_of(lambda: words.word("a name"))
    assert isinstance(fault, MissingWord)
    assert (fault.column, fault.width, fault.text) == (7, 1, "a name expected here")


def test_the_first_word_too_many_is_a_fault() -> None:
    """Where a line has to end, the first word that goes on is at fault."""
    words = Words("loghex  on off off")
    words.word("loghex"), words.word("on")
    fault = fault_of(words.end)
    assert (fault.column, fault.width) == (12, 3)
    assert "found off" in fault.text


@pytest.mark.parametrize("word", ["On", "true", "2", "01", "o", "n", "y"])
def test_a_switch_has_six_words(word: str) -> None:
    """What is on is on, yes or 1, what is off is off, no or 0, and nothing else is either."""
    assert [Words(f" {word}").switch("x") for word in ("on", "yes", "1")] == [True] * 3
    assert [Words(f" {word}").switch("x") for word in ("off", "no", "0")] == [False] * 3
    fault = fault_of(lambda: Words(f" {word}").switch("x"))
    assert (fault.column, fault.width, fault.text) == (2, len(word), f"on or off expected, found {word}")


def test_a_fixed_word_has_to_be_one_of_those_allowed() -> None:
    """A word that is none of the fixed ones is at fault, and the fault names them."""
    assert Words("off").one_of("a switch", ("on", "off")) == "off"
    fault = fault_of(lambda: Words(" Off").one_of("a switch", ("on", "off")))
    assert (fault.column, fault.width, fault.text) == (2, 3, "on or off expected, found Off")


@pytest.mark.parametrize(
    "text, number", [("0", 0), ("7", 7), ("007", 7), ("1000000000000000", 10**15), ("0" * 5000 + "7", 7)]
)
def test_numbers(text: str, number: int) -> None:
    """A whole number is read, whatever zeros it begins with."""
    assert Words(text).number("a limit", least=0) == number


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "+1",
        "1.5",
        "1e3",
        "0x10",
        "1_000",
        "x",
        "²",
        "\u0663",
        "1000000000000001",
        "9" * 5000,
        "0" * 20 + "9" * 30,
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_number(text: str) -> None:
    """Signs, fractions, exponents, digits of other scripts, and numbers that nobody can mean are faults."""
    fault = fault_of(lambda: Words(text).number("a limit", least=0))
    assert (fault.column, fault.width) == (1, len(text))
    assert fault.text.startswith("a limit: a whole number from 0 to 1000000000000000 expected, found ")


def test_a_number_has_a_least_value() -> None:
    """A number below the least allowed is a fault."""
    assert Words("1").number("a time", least=1) == 1
    assert "from 1 to" in fault_of(lambda: Words("0").number("a time", least=1)).text


@pytest.mark.parametrize(
    "text, column, width, message",
    [
        ("  [z-a]x", 7, 2, "range out of order in character class, at offset 4"),
        ("  (abc  ", 7, 1, "missing closing parenthesis, at offset 4"),
        ("\té日(abc", 8, 1, "missing closing parenthesis, at offset 6"),
    ],
)
def test_a_bad_pattern_is_pointed_into(text: str, column: int, width: int, message: str) -> None:
    """A bad pattern's fault has PCRE2's message, and points at its offset, counted in characters."""
    fault = fault_of(lambda: Words(text).pattern("a client"))
    assert (fault.column, fault.width, fault.text) == (column, width, f"bad pattern: {message}")


def test_a_reply_has_a_code_and_the_rest_of_the_line() -> None:
    """A reply is its code and its text, or the default text when it has none."""
    assert Words("550 No one  here").reply("Sorry") == Reply(550, "No one  here")
    assert Words("400").reply("Sorry") == Reply(400, "Sorry")
    assert Words("599 # why").reply("Sorry") == Reply(599, "Sorry")


@pytest.mark.parametrize(
    "code, text",
    [
        *((code, "{0} is no refusal: a reply code from 400 to 599 expected") for code in ("000", "250", "399", "600")),
        *(
            (code, "a reply code from 400 to 599 expected, found {0}")
            for code in ("55", "5500", "5x0", "-50", "No", "\u0665\u0665\u0660")
        ),
    ],
)
def test_what_is_no_reply_code(code: str, text: str) -> None:
    """A refusal has a code from 400 to 599; of another code it is said that it refuses nothing."""
    fault = fault_of(lambda: Words(f" {code} No").reply("Sorry"))
    assert (fault.column, fault.width) == (2, len(code))
    assert fault.text == text.format(code)


@pytest.mark.parametrize("control", ["\0", "\x1b", "\r", "\x0b", "\x7f"])
def test_control_characters_are_faults(control: str) -> None:
    """A control character other than the tab is a fault, but not in a comment."""
    fault = fault_of(lambda: Words(f"domain x{control}y # {control}"))
    assert (fault.column, fault.width, fault.text) == (9, 1, f"control character 0x{ord(control):02x}")
