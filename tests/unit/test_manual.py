"""The manual pages are what their sources say, name all that the program has and nothing else, and their examples work.

The same is seen to for README.md and the guides in test_documentation.py.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from syslog import LOG_CRIT, LOG_DEBUG, LOG_ERR, LOG_INFO, LOG_NOTICE, LOG_WARNING
from xml.etree import ElementTree as ET

import pytest

from docs import manual
from mailrecv.cli.parser import parser
from mailrecv.config import DEBUG_FLAGS
from mailrecv.config.directives import DIRECTIVES, OLD_DIRECTIVES
from mailrecv.config.model import Config
from mailrecv.config.reader import parse_config
from mailrecv.delivery.command import MAX_OUTPUT_OCTETS
from mailrecv.delivery.spool import MEMORY_OCTETS
from mailrecv.diagnosis.review import FROM_THE_TEXT
from mailrecv.journal import catalogue
from mailrecv.journal.escape import MAX_CHARACTERS
from mailrecv.limits import Limit, Limits
from mailrecv.policy.patterns import MATCH_LIMIT
from mailrecv.smtp.framing import MAX_COMMAND_OCTETS
from mailrecv.smtp.states import TYPED
from tests.support.advice import advice
from tests.support.examples import answers_to, assert_prints_what_is_shown, conversation, shell, without_chance
from tests.support.manual import COMMANDS, CONFIG, LOG, PAGES, PROGRAM, Item, Page, text, words

ROOT = Path(__file__).parents[2]
SOURCES = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "mailrecv").rglob("*.py"))}
CODE = "".join(SOURCES.values())
EACH_SOURCE = pytest.mark.parametrize("source", manual.SOURCES, ids=lambda path: str(path.name))
PRIORITIES = {
    LOG_CRIT: "crit",
    LOG_ERR: "err",
    LOG_WARNING: "warning",
    LOG_NOTICE: "notice",
    LOG_INFO: "info",
    LOG_DEBUG: "debug",
}
PROGRAMS_HERE = {"cat", "echo", "grep", "mailrecv", "printf"}  # what an example may run in a test

EACH_PAGE = pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
DISPLAYS = [display for page in PAGES.values() for display in page.displays()]
CONFIGS = [display for display in DISPLAYS if display.split()[0] in DIRECTIVES]
SCRIPTS = [display for display in DISPLAYS if display.startswith("#!/bin/sh\n")]
JOBS, ARCHIVE = SCRIPTS
UNITS = [display for display in DISPLAYS if re.match(r"\[\w+\]\n", display)]
SHELLS = [display for display in DISPLAYS if re.match(r"[$#] ", display)]
ORIGINAL = "deadletter_file /dev/null"  # what the pages say is worth a change
NEVER_ENDS = "$ mailrecv listen "
SESSIONS = [  # of an ordinary user
    shell
    for shell in SHELLS
    if set(re.findall(r"(?m)^([$#] \S+)", shell)) <= {f"$ {program}" for program in PROGRAMS_HERE}
    and NEVER_ENDS not in shell
]
TYPED_SESSIONS = [
    (before, shell)
    for before, _, shell in zip(DISPLAYS, DISPLAYS[1:], DISPLAYS[2:], strict=False)
    if shell.startswith("$ nc ")
]


# The sources


@pytest.mark.needs_tool("mandoc")
@EACH_SOURCE
def test_the_page_is_current(source: Path) -> None:
    """What a forge shows is what `make docs` writes."""
    assert manual.written(source).read_text(encoding="utf-8") == manual.page(source)


@pytest.mark.needs_tool("mandoc")
def test_a_stale_page_is_found_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` fails for a page that is not what its source says, and passes once it was written anew."""
    monkeypatch.setattr(manual, "DOCS", tmp_path)
    for source in manual.SOURCES:
        manual.written(source).write_text("stale", encoding="utf-8")
    with pytest.raises(SystemExit, match="stale"):
        manual.main(["--check"])
    manual.main([])
    with pytest.raises(SystemExit) as end:
        manual.main(["--check"])
    assert end.value.code == 0


@pytest.mark.needs_tool("mandoc")
@EACH_SOURCE
def test_mandoc_finds_nothing(source: Path) -> None:
    """`mandoc -T lint` has nothing to say, but that some page it refers to is not installed on this machine."""
    linted = subprocess.run(["mandoc", "-T", "lint", source], capture_output=True, text=True, check=False)
    assert [line for line in linted.stdout.splitlines() if "referenced manual not found" not in line] == []


@pytest.mark.needs_tool("groff", "man")
@EACH_SOURCE
def test_man_shows_the_page(source: Path) -> None:
    """man(1), which has groff format the page, has nothing to warn of, and shows every section."""
    command = ["man", "--warnings=w", "--local-file", str(source)]
    environment = {**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8"}
    shown = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert shown.stderr == ""
    sections = re.findall(r"(?m)^\.Sh (.*)$", source.read_text(encoding="utf-8"))
    assert re.findall(r"(?m)^[A-Z][A-Z0-9 ,.]+$", shown.stdout) == sections


@EACH_PAGE
def test_links_lead_somewhere(page: Page) -> None:
    """Every link leads to a page or a heading there is."""
    for link in page.links():
        if not link.startswith("https://"):
            name, _, anchor = link.partition("#")
            target = Page(name.removesuffix(".md")) if name else page
            assert not anchor or anchor in target.ids(), link


# The program


def options(command: argparse.ArgumentParser) -> list[set[str]]:
    """Return the options of a command line, each with all of its names; not --help, which all of them have."""
    return [
        set(action.option_strings) for action in command._actions if action.option_strings and action.dest != "help"
    ]


def are_named(wanted: list[set[str]], named: set[str]) -> bool:
    """Say whether of each option one name is there, and nothing else."""
    return all(names & named for names in wanted) and named <= set[str]().union(*wanted)


def actions() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of each action."""
    (found,) = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def described_options(items: list[Item]) -> set[str]:
    """Return the options that a list describes."""
    return {option for item in items for option in words(item.term, "Fl")}


def synopsis(page: Page) -> list[ET.Element]:
    """Return what stands behind the program's name in each line of a synopsis."""
    return [row[1] for table in page.section("SYNOPSIS").iter("table") for row in table.iter("tr")]


def test_options() -> None:
    """mailrecv(8) shows and describes every option of a session, and no other than those of actions."""
    session, *_, questions = synopsis(PROGRAM)
    own = [*options(parser()), {"-h", "-help", "--help"}]
    assert are_named(own, set(words(session, "Fl")) | set(words(questions, "Fl")))
    for name in actions().keys() - pages_of_actions().keys():
        own += options(actions()[name])
    assert are_named(own, described_options(PROGRAM.items("DESCRIPTION")))


def pages_of_actions() -> dict[str, Page]:
    """Return the page of each action that has one of its own."""
    return {name: PAGES[f"mailrecv-{name}.8"] for name in actions() if f"mailrecv-{name}.8" in PAGES}


def test_actions() -> None:
    """mailrecv(8) names every action, and no other, and refers to the page of each that has one."""
    items = {text(item.term[0]): item for item in PROGRAM.items("DESCRIPTION") if len(item.term)}
    described = {name: item for name, item in items.items() if item.term[0].get("class") == "Cm"}
    assert sorted(described) == sorted(actions())
    for name in pages_of_actions():
        assert f"mailrecv-{name}(8)" in words(described[name].body, "Xr")
    assert len(COMMANDS) == 1 + len(pages_of_actions())


@pytest.mark.parametrize("name", actions())
def test_options_of_actions(name: str) -> None:
    """Each option of an action, and no other, is in the synopsis of its page and described there, or in mailrecv(8)."""
    action, page = actions()[name], pages_of_actions().get(name, PROGRAM)
    shown = [row for row in synopsis(page) if words(row, "Cm")[:1] == [name]] if page is PROGRAM else synopsis(page)
    assert are_named(options(action), {option for row in shown for option in words(row, "Fl")})
    if page is not PROGRAM:
        assert are_named(options(action), described_options(page.items("DESCRIPTION")))


def test_exit_statuses() -> None:
    """The pages list each exit status that the program names, with 0 and 1, and no other."""
    named = {getattr(os, name) for name in re.findall(r"os\.(EX_[A-Z]+)", CODE)}
    documented = {int(text(item.term)) for page in COMMANDS for item in page.items("EXIT STATUS")}
    assert documented == named | {0, 1}


def test_environment() -> None:
    """The pages list each variable that the program or systemd's library reads, and no other."""
    read = set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"', CODE)) | {"LISTEN_FDS", "LISTEN_PID"}
    read |= {"COLUMNS"} if "get_terminal_size" in CODE else set()
    documented = {name for page in COMMANDS for item in page.items("ENVIRONMENT") for name in words(item.term, "Ev")}
    assert documented == read


def test_commands() -> None:
    """mailrecv(8) lists each command of the protocol."""
    listed = " ".join(text(item.term) for item in PROGRAM.items("THE SMTP SESSION"))
    assert [name for name in TYPED if not re.search(rf"\b{name}\b", listed)] == []


def replies() -> Iterator[str]:
    """Yield the code and the first line of every reply in the program, as a pattern."""
    for source in SOURCES.values():
        for call in ast.walk(ast.parse(source)):
            match call:
                case ast.Call(func=ast.Name(id="Reply" | "Malformed"), args=[ast.Constant(value=code), shown]):
                    parts = shown.values if isinstance(shown, ast.JoinedStr) else [shown]
                    texts = [str(part.value) if isinstance(part, ast.Constant) else None for part in parts]
                    pattern = "".join(".+?" if part is None else re.escape(part.partition("\n")[0]) for part in texts)
                    yield f"{code!r}[ -]{pattern}"


def test_replies() -> None:
    """Every reply that a client may get is in the pages."""
    pages = " ".join(page.text for page in PAGES.values())
    found = {pattern: bool(re.search(pattern, pages)) for pattern in replies()}
    assert len(found) > 30
    assert [pattern for pattern, is_there in found.items() if not is_there] == []


def test_no_reply_is_made_up() -> None:
    """Every reply that mailrecv(8) quotes in full is one of the program's."""
    quoted = [reply for reply in words(PROGRAM.section("THE SMTP SESSION"), "Li") if re.match(r"\d{3} ", reply)]
    assert len(quoted) > 20
    patterns = list(replies())
    assert [reply for reply in quoted if not any(re.fullmatch(pattern, reply) for pattern in patterns)] == []


# The configuration


def written_form(term: str) -> str:
    """Return the form of a directive as faults show it, but for letter case."""
    return re.sub(r" ?\| ?", "|", term).lower()


def test_directives() -> None:
    """mailrecv.conf(5) lists each directive, in the form that the program gives it, and no other."""
    documented = [written_form(text(item.term)) for name in ("DIRECTIVES", "LIMITS") for item in CONFIG.items(name)]
    assert sorted(documented) == sorted(f"{name} {it.usage}".lower() for name, it in DIRECTIVES.items())


def test_the_original_s_directives() -> None:
    """mailrecv.conf(5) says of each directive that only files of the original have what it means here."""
    named = [name for item in CONFIG.items("From the original's file") for name in words(item.term, "Ic")]
    assert set(OLD_DIRECTIVES) <= set(named)
    assert set(named) <= {*OLD_DIRECTIVES, *DIRECTIVES}


def test_defaults() -> None:
    """The default that mailrecv.conf(5) gives for a directive is the program's."""
    config = Config("mailrecv.conf")
    documented = {words(item.term, "Ic")[0]: item.default for item in CONFIG.items("DIRECTIVES")}
    assert documented["debug"] == f"{config.debug or '-'}, nothing."
    assert documented["logfile"] == config.logfile
    assert documented["loghex"] == ("on" if config.loghex else "off")
    assert documented["deadletter_file"] == f"{config.deadletter_file or 'none'}."


@pytest.mark.parametrize("name", Limits.__match_args__)
def test_defaults_of_limits(name: str) -> None:
    """The value and the reply that mailrecv.conf(5) gives for a limit are its defaults."""
    limit = getattr(Limits(), name)
    value = limit.value if isinstance(limit, Limit) else {True: "on", False: "off"}[limit.on]
    (item,) = [item for item in CONFIG.items("LIMITS") if words(item.term, "Ic") == [f"limit.{name}"]]
    assert item.default == f"{value} {limit.reply}"


def test_debug_flags() -> None:
    """mailrecv.conf(5) lists each debug flag, and no other."""
    assert sorted(text(item.term) for item in CONFIG.items("DEBUG FLAGS")) == sorted(DEBUG_FLAGS)


@EACH_PAGE
def test_no_limit_is_made_up(page: Page) -> None:
    """The pages speak of no limit that does not exist; LIMIT and NAME stand for any."""
    assert set(re.findall(r"limit\.[a-z_]+", page.text)) <= {*DIRECTIVES, "limit.name"}


def test_environment_of_commands() -> None:
    """mailrecv.conf(5) lists each variable that a command gets, and no other."""
    source = SOURCES[ROOT / "mailrecv/delivery/command.py"]
    given = re.findall(r'(?m)^        "([A-Z_]+)": ', source)
    items = CONFIG.items("Piping into a command")
    assert sorted(name for item in items for name in words(item.term, "Ev")) == sorted(given)


def test_numbers() -> None:
    """The numbers of the program and of its units that the pages name are as they are."""
    sessions = re.search(r"(?m)^MaxConnections=(\d+)$", (ROOT / "units/mailrecv.socket").read_text(encoding="utf-8"))
    assert sessions
    assert f"MaxConnections=, {sessions[1]} in the unit" in PROGRAM.text
    assert f"messages over {MEMORY_OCTETS >> 20} MiB" in PROGRAM.text
    assert f"a line of over {MAX_COMMAND_OCTETS} octets" in PROGRAM.text
    assert f"over {MATCH_LIMIT:,} steps" in CONFIG.text
    assert f"up to {MAX_OUTPUT_OCTETS:,} octets" in CONFIG.text
    assert f"at most {MAX_CHARACTERS:,} characters" in LOG.text


# The log


def test_events() -> None:
    """mailrecv.log(5) lists each event: its priority, flag, message, facts and MESSAGE_ID; and no other."""
    documented = {}
    for item in LOG.items("EVENTS"):
        name, *flag = words(item.term, "Cm")
        (message,) = [text(display) for display in item.body.iter("div")]
        described = re.search(r"(?:Facts: (.*) )?MESSAGE_ID: (\w+)$", text(item.body))
        assert described, name
        facts = tuple(described[1].split(", ")) if described[1] else ()
        documented[name] = (words(item.term, "Li")[0], "".join(flag), message, facts, described[2])
    assert documented == {
        entry.name: (
            PRIORITIES[entry.priority],
            entry.flag,
            re.sub(r"\{(\w+)\}", lambda fact: fact[1].upper(), entry.message),
            entry.facts,
            entry.message_id,
        )
        for entry in catalogue.CATALOGUE.values()
    }


@EACH_PAGE
def test_questions_to_the_journal(page: Page) -> None:
    """The fields, events and MESSAGE_IDs that examples ask the journal for are those of the catalogue."""
    entries = catalogue.CATALOGUE.values()
    facts = {*catalogue.SESSION_FACTS, "event"}.union(*(entry.facts for entry in entries))
    assert set(re.findall(r"MAILRECV_([A-Z_]+)", "".join(page.displays()))) <= {fact.upper() for fact in facts}
    assert set(re.findall(r"MAILRECV_EVENT=(\w+)", page.text)) <= set(catalogue.CATALOGUE)
    assert set(re.findall(r"\b[0-9a-f]{32}\b", page.text)) <= {entry.message_id for entry in entries}


def test_log_lines() -> None:
    """Every line of a log in the pages is the message of an event."""
    lines = re.findall(r"(?m)^\w{3} \w{3} .* MAILRECV\[\d+\]: \[\S+\] (.*)$", "".join(DISPLAYS))
    entries = catalogue.CATALOGUE.values()
    forms = [re.sub(r"\\{\w+\\}", ".+", re.escape(entry.message)) for entry in entries]
    assert lines
    assert [line for line in lines if not any(re.fullmatch(form, line) for form in forms)] == []


# The examples


def test_every_example_is_of_a_kind_that_is_tried() -> None:
    """Each display is a configuration, a script, a unit, a session, a log, or the two lines that begin a copy."""
    others = [
        display
        for display in DISPLAYS
        if display not in [*CONFIGS, *SCRIPTS, *UNITS, *SHELLS]
        and not re.match(r"DATE MAILRECV\[|[A-Z][a-z]{2} [A-Z][a-z]{2} .* MAILRECV\[|Return-Path: ", display)
    ]
    assert others == []
    assert min(len(CONFIGS), len(SCRIPTS), len(SESSIONS), len(TYPED_SESSIONS)) > 0


@pytest.mark.parametrize("config", CONFIGS)
def test_configurations_have_no_fault(config: str) -> None:
    """Every example of a configuration passes the check."""
    assert parse_config(config.encode(), "example").directives


@pytest.mark.parametrize("config", [one for one in CONFIGS if one.startswith("domain") and ORIGINAL not in one])
def test_configurations_give_no_reason_for_a_warning(config: str) -> None:
    """Who starts from an example, all but the original's file, is not warned of it; places are another matter."""
    lines = config.splitlines()
    for module in FROM_THE_TEXT:
        assert advice(module.advise, *lines) == []


@pytest.mark.parametrize("session", SESSIONS)
def test_sessions_at_a_shell(session: str, tmp_path: Path) -> None:
    """Every example session gives what is shown; `cat FILE` makes a file that is not there yet."""
    assert_prints_what_is_shown(session, tmp_path)


@pytest.mark.parametrize("config, session", TYPED_SESSIONS)
def test_sessions_that_somebody_types(config: str, session: str, tmp_path: Path) -> None:
    """Whoever types what is shown is answered as shown, with the configuration that is shown before it."""
    typed, answers = conversation(session)
    assert answers_to(typed, config.replace("/var/lib/mailrecv", str(tmp_path)), tmp_path) == without_chance(answers)


def test_the_script_files_a_message_or_asks_for_another_try(tmp_path: Path) -> None:
    """The example of a command keeps the message whole, and where it cannot the sender is told to come again."""
    place = tmp_path / "archive"
    program = tmp_path / "command"
    program.write_text(ARCHIVE.replace("/var/lib/mailrecv/archive", str(place)))
    program.chmod(0o755)
    (tmp_path / "my.conf").write_text(f"domain here\ndeliver rcpt_to list@here pipe {program}\n")
    send = "helo me\nmail from:<me@here>\nrcpt to:<list@here>\ndata\nHello\n.\nquit\n"
    place.write_text("not a folder")
    assert "\n451 " in shell("mailrecv -c my.conf", tmp_path, send)
    place.unlink()
    assert "\n250 OK " in shell("mailrecv -c my.conf", tmp_path, send)
    (kept,) = place.rglob("*/*")
    assert kept.read_text().endswith("\nHello\n")


def test_a_file_that_is_replaced_is_never_mixed(tmp_path: Path) -> None:
    """Of two reports that come at the same time, whoever reads the example's file finds one, whole."""
    (line,) = [line for config in CONFIGS for line in config.splitlines() if " && mv " in line]
    command = line.partition(" pipe ")[2].replace("/var/lib/mailrecv", str(tmp_path))

    def begin(message_id: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "MAILRECV_ID": message_id}
        return subprocess.Popen(["/bin/sh", "-c", command], stdin=subprocess.PIPE, env=environment, bufsize=0)

    with begin("1a") as slow:
        assert slow.stdin is not None
        slow.stdin.write(b"slow ")
        while not any(path.stat().st_size for path in tmp_path.iterdir()):
            time.sleep(0.01)
        with begin("1b") as quick:
            quick.communicate(b"a quick report")
        assert (tmp_path / "now").read_bytes() == b"a quick report"
        slow.communicate(b"report")
    assert (quick.returncode, slow.returncode) == (0, 0)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("now", b"slow report")]


def test_the_jobs_are_done(tmp_path: Path) -> None:
    """The example of work after the delivery does what is new in the Maildir, and puts aside what fails."""
    run_job = tmp_path / "run-job"
    run_job.write_text('#!/bin/sh\ngrep -v ^Received: | grep -qx good && echo done >>"${0%/*}/jobs/done"\n')
    run_job.chmod(0o755)
    jobs = tmp_path / "jobs"
    for folder in ("new", "cur", "tmp"):
        (jobs / folder).mkdir(parents=True)
    for name, job in {"1": "good\n", "2": "bad\n", "3": "good\n"}.items():
        (jobs / "new" / name).write_text(job)
    script = JOBS.replace("/var/lib/mailrecv/jobs", str(jobs)).replace("/usr/local/sbin/run-job", str(run_job))
    for _ in range(2):  # the second time there is nothing to do
        subprocess.run(["/bin/sh", "-c", script], check=True)
    assert sorted(str(path.relative_to(jobs)) for path in jobs.rglob("*") if path.is_file()) == [
        *("cur/1:2,", "cur/3:2,", "done", "failed/2"),
    ]
    assert (jobs / "done").read_text() == "done\n" * 2


@pytest.mark.needs_tool("systemd-analyze")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """systemd finds nothing to complain of in the examples of units."""
    path, service = UNITS
    (tmp_path / "mail-jobs.path").write_text(path)
    (tmp_path / "mail-jobs.service").write_text(re.sub(r"(?<=ExecStart=).*", sys.executable, service))
    command = ["systemd-analyze", "verify", *map(str, tmp_path.iterdir())]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
