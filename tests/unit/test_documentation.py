"""What README.md, the guides in docs/ and units/ say is so, and their examples work.

The manual pages have tests of their own.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docs import state_diagram
from docs.figures import with_sections
from mailrecv import cli
from mailrecv.cli import logs
from mailrecv.cli.parser import parse
from mailrecv.config.directives import DIRECTIVES
from mailrecv.config.reader import parse_config
from mailrecv.diagnosis import postmaster
from mailrecv.diagnosis.service import Service
from mailrecv.journal.catalogue import CATALOGUE, SESSION_FACTS
from mailrecv.limits import Limits
from mailrecv.report.from_journal import JournalSource
from tests.support.advice import advice
from tests.support.examples import answers_to, assert_prints_what_is_shown, conversation, without_chance
from tests.support.guides import GUIDES, README, anchors, blocks, links, prose, steps
from tests.support.journals import JOURNAL_REMOTE, NOON, Recorder, afternoon

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
README_DEBIAN = (ROOT / "packaging" / "debian" / "README.Debian").read_text(encoding="utf-8")
COMMENTED_CONFIG = (ROOT / "docs" / "mailrecv.conf").read_text(encoding="utf-8")

CONFIGS = {
    "docs/mailrecv.conf": COMMENTED_CONFIG,
    **{f"docs/examples/{path.name}": path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.conf")},
    "README.Debian": "\n".join(re.findall(r"(?m)^ {8}(.*)$", README_DEBIAN)),
    **{f"{guide}, block {n}": it for guide, text in GUIDES.items() for n, it in enumerate(blocks(text, "conf"), 1)},
}
ALL_GUIDES = "".join(GUIDES.values())
SHOWN_FILES = dict(re.findall(r"(?ms)^```\w+ file=(\S+)\n(.*?)^```", ALL_GUIDES))
SHELLS = blocks(ALL_GUIDES, "console")
SESSIONS = [shell for shell in SHELLS if re.match(r"\$ cat \S+\.conf\n", shell)]
TYPED_SESSIONS = [shell for shell in SHELLS if shell.startswith("$ nc ")]
COMMAND_LINES = [  # of mailrecv
    arguments
    for step in steps(ALL_GUIDES)
    for arguments in re.findall(r"(?m)(?:^\s*|\bsudo |\bPATH |\| *)mailrecv\b([^|<>\n]*)", step.command)
]
EACH_GUIDE = pytest.mark.parametrize("guide", GUIDES)


def uncommented(config: str) -> str:
    """Return a configuration with its examples active: the lines whose `#` has no blank after it."""
    return re.sub(r"(?m)^#(?=[a-z])", "", config)


def test_the_state_diagram_is_current() -> None:
    """The state diagram in docs/session.md is the one that the state table gives."""
    assert state_diagram.with_current_diagram(GUIDES["docs/session.md"]) == GUIDES["docs/session.md"]


def test_a_stale_state_diagram_is_found_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` fails for a diagram that the table does not give, and passes once it was written anew."""
    stale = tmp_path / "session.md"
    stale.write_text(GUIDES["docs/session.md"].replace("IDLE --> MAIL", "IDLE --> RCPT"), encoding="utf-8")
    monkeypatch.setattr(state_diagram, "DOCUMENT", stale)
    with pytest.raises(SystemExit, match="stale"):
        state_diagram.main(["--check"])
    state_diagram.main([])
    with pytest.raises(SystemExit) as end:
        state_diagram.main(["--check"])
    assert end.value.code == 0
    assert stale.read_text(encoding="utf-8") == GUIDES["docs/session.md"]


def test_only_the_named_sections_are_written() -> None:
    """Prose and other sections stay as they are, and a section that the document does not have is a mistake."""
    text = "A\n<!-- figures: one -->\nold\n<!-- end of figures -->\nB\n<!-- figures: two -->\n<!-- end of figures -->\n"
    assert with_sections(text, {"one": r"\1 new"}) == text.replace("old", r"\1 new")
    with pytest.raises(ValueError, match="the section three once, it has it 0 times"):
        with_sections(text, {"one": "new", "three": "new"})


@pytest.mark.parametrize("text", CONFIGS.values(), ids=CONFIGS.keys())
def test_example_configurations_have_no_fault(text: str) -> None:
    """Every example of a configuration passes the check, and says something."""
    assert parse_config(text.encode(), "example").directives


@pytest.mark.parametrize("text", [*CONFIGS.values(), uncommented(COMMENTED_CONFIG)], ids=[*CONFIGS, "uncommented"])
def test_example_configurations_have_a_postmaster(text: str) -> None:
    """Whoever starts from an example takes mail for the postmaster as well."""
    assert advice(postmaster.advise, *text.splitlines()) == []


def test_the_commented_configuration_takes_no_mail() -> None:
    """docs/mailrecv.conf can be installed as it is: it delivers nothing, and keeps nothing."""
    config = parse_config(COMMENTED_CONFIG.encode(), "mailrecv.conf")
    assert not config.deliver
    assert config.deadletter_file is None


def test_the_commented_configuration_shows_every_directive() -> None:
    """docs/mailrecv.conf has an example, free of faults, of each directive, and the limits there are the defaults."""
    config = parse_config(uncommented(COMMENTED_CONFIG).encode(), "mailrecv.conf")
    assert {line.split()[0] for _, line in config.directives} == set(DIRECTIVES)
    assert config.limits == Limits()


@pytest.mark.parametrize("path", SHOWN_FILES)
def test_the_guides_show_files_as_they_are(path: str) -> None:
    """A file that a guide shows is shown word for word."""
    assert SHOWN_FILES[path] == (ROOT / path).read_text(encoding="utf-8")


def test_the_guides_show_every_example_for_other_programs() -> None:
    """No example for fail2ban, logrotate or xinetd is left out of the guides."""
    folders = {"fail2ban", "logrotate.d", "xinetd.d"}
    examples = {path.relative_to(ROOT) for folder in folders for path in (EXAMPLES / folder).rglob("*")}
    assert {str(path) for path in examples if (ROOT / path).is_file()} == set(SHOWN_FILES)


@pytest.mark.parametrize("session", SESSIONS)
def test_sessions_at_a_shell(session: str, tmp_path: Path) -> None:
    """Whoever types what the guides show, with a configuration of their own, gets what stands below it."""
    assert_prints_what_is_shown(session, tmp_path)


@pytest.mark.parametrize("session", TYPED_SESSIONS)
def test_sessions_that_somebody_types(session: str, tmp_path: Path) -> None:
    """Whoever connects from this machine, over IPv6, and types what is shown is answered as shown."""
    typed, answers = conversation(session)
    deliver = f"deliver rcpt_to status@mydomain.com append {tmp_path}/status.mbox"
    assert answers_to(typed, f"domain mydomain.com\n{deliver}\n", tmp_path) == without_chance(answers)


def test_the_sessions_are_found() -> None:
    """The guides hold sessions of both kinds, and command lines."""
    assert (len(SESSIONS), len(TYPED_SESSIONS)) == (3, 2)
    assert len(COMMAND_LINES) > 10


@pytest.mark.parametrize("arguments", COMMAND_LINES)
def test_commands_are_understood(arguments: str) -> None:
    """mailrecv takes every command line that the guides show."""
    parse(shlex.split(arguments))


def test_there_is_a_target_for_every_make() -> None:
    """The Makefile has what the guides let somebody make."""
    made = {target for step in steps(ALL_GUIDES) for target in re.findall(r"^(?:sudo )?make (\w+)", step.command)}
    assert len(made) > 3
    targets = re.findall(r"(?m)^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert made <= set(targets)


@pytest.mark.parametrize("name", ["mailrecv.conf", *(f"examples/{path.name}" for path in EXAMPLES.glob("*.conf"))])
def test_configurations_to_start_from_get_no_warning(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is there to be copied is not only free of faults, but means what it says."""
    (tmp_path / "var").mkdir()  # as `make run` does
    monkeypatch.chdir(tmp_path)
    Path("mailrecv.conf").write_bytes((ROOT / "docs" / name).read_bytes())
    assert cli.run(["check", "--strict", "-c", "mailrecv.conf"]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_guides_show_what_explain_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first configuration in the README, on a machine without its directories, is explained as it says there."""
    config = tmp_path / "mailrecv.conf"
    config.write_text(CONFIGS[f"{README}, block 1"].replace("/srv/", f"{tmp_path}/"), encoding="utf-8")
    service = Service("mailrecv", os.geteuid(), os.getegid(), (), "as the unit mailrecv@.service says")
    monkeypatch.setattr("mailrecv.diagnosis.service.find_service", lambda _: service)
    shown = re.findall(
        r"(?m)^\$ (?:sudo )?mailrecv explain (.*?)(?: \| tail -n (\d+))?\n((?:(?!```).*\n)*)", ALL_GUIDES
    )
    assert len(shown) == 2
    for arguments, last, output in shown:
        cli.run(["explain", "-c", str(config), *arguments.split()])
        said = capsys.readouterr().out.replace(str(config), "/etc/mailrecv.conf").replace(f"{tmp_path}/", "/srv/")
        assert said.splitlines()[-int(last or 0) :] == output.splitlines()


@pytest.mark.parametrize("action", ["report", "trace"])
def test_the_guides_show_what_a_log_tells(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report and the trace in the guides are those of one afternoon's journal, in a terminal of 100 columns."""
    shown = re.search(rf"(?m)^\$ (?:sudo )?mailrecv ({action} .*)\n((?:(?!```).*\n)+)```", ALL_GUIDES)
    assert shown
    if not Path(JOURNAL_REMOTE).exists():
        pytest.skip("needs systemd-journal-remote: run `make test-tools`")
    recorder = Recorder()
    afternoon(recorder)
    source = JournalSource(str(recorder.directory(tmp_path)))
    source.name = "the journal"
    monkeypatch.setattr(logs, "open_log", lambda _: source)
    monkeypatch.setattr(logs, "parse_time", lambda _: NOON)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    try:
        assert cli.run([*shown[1].split(), "-l", "syslog"]) == 0
    finally:
        monkeypatch.undo()
        time.tzset()
    assert capsys.readouterr().out == shown[2]


@EACH_GUIDE
def test_links_lead_somewhere(guide: str) -> None:
    """Every link that is no URL leads to a file there is, and to a heading in it if it names one."""
    path = ROOT / guide
    for link in links(GUIDES[guide]):
        target, _, anchor = link.partition("#")
        file = path.parent / target if target else path
        assert file.exists(), link
        assert not anchor or anchor in anchors(file.read_text(encoding="utf-8")), link


@EACH_GUIDE
def test_the_contents_are_complete(guide: str) -> None:
    """A guide begins with links to all of its chapters."""
    contents, *_ = GUIDES[guide].partition("\n## ")
    chapters = anchors("".join(re.findall(r"(?m)^## .*\n", prose(GUIDES[guide]))))
    assert chapters - {link.removeprefix("#") for link in links(contents)} == set()


def test_the_readme_leads_to_every_page() -> None:
    """There is a way from the README to each guide and to each manual page."""
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")}
    assert pages - {link.partition("#")[0] for link in links(GUIDES[README])} == set()


@pytest.mark.parametrize("text", [*GUIDES.values(), README_DEBIAN], ids=[*GUIDES, "README.Debian"])
def test_nothing_is_made_up(text: str) -> None:
    """No document speaks of a limit, or of an event or a field of the journal, that does not exist."""
    facts = {*SESSION_FACTS, "event"}.union(*(entry.facts for entry in CATALOGUE.values()))
    assert set(re.findall(r"limit\.[a-z_]+", text)) <= set(DIRECTIVES)
    assert set(re.findall(r"MAILRECV_([A-Z_]+)", text)) <= {fact.upper() for fact in facts}
    assert set(re.findall(r"MAILRECV_EVENT=(\w+)", text)) <= set(CATALOGUE)


def test_log_lines() -> None:
    """Every line of a log in the guides is the message of an event."""
    lines = re.findall(r"(?m)^\w{3} \w{3} .* MAILRECV\[\d+\]: \[\S+\] (.*)$", ALL_GUIDES)
    lines += re.findall(r"(?m)^\w{3} \d\d .* mailrecv\[\d+\]: (.*)$", ALL_GUIDES)
    forms = [re.sub(r"\\{\w+\\}", ".+", re.escape(entry.message)) for entry in CATALOGUE.values()]
    assert len(lines) > 20
    assert [line for line in lines if not any(re.fullmatch(form, line) for form in forms)] == []


def test_the_notes_hold_no_orders_for_a_terminal(tmp_path: Path) -> None:
    """What a sender wrote into its address and its subject is shown by the README's script, and not obeyed."""
    (script,) = re.findall(r"(?ms)^\$ sudo tee /usr/local/bin/note-mail <<'END'\n(.*?)^END", GUIDES[README])
    notes = tmp_path / "notes"
    program = tmp_path / "note-mail"
    program.write_text(script.replace("/var/lib/mailrecv/notes.txt", str(notes)), encoding="utf-8")
    message = b"X-Odd: \x00\nsubject: \x1b]0;mine\x07 \xc2\x9b2J caf\xe9 \x08\nSubject: another\n\nHello\n"
    environment = {**os.environ, "SENDER": "me\x1b[2J@example.org"}
    subprocess.run(["/bin/sh", program], input=message, env=environment, check=True)
    assert notes.read_text("ascii") == "me^[[2J@example.org: subject: ^[]0;mine^G M-BM-^[2J cafM-i ^H\n"


@pytest.mark.needs_tool("systemd-analyze")
def test_systemd_understands_the_units(tmp_path: Path) -> None:
    """systemd finds nothing to complain of in the units."""
    for unit in (ROOT / "units").iterdir():
        text = unit.read_text(encoding="utf-8").replace("/usr/bin/mailrecv", sys.executable)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    units = [str(path) for path in tmp_path.iterdir()]
    command = ["systemd-analyze", "verify", "--man=no", *units]  # the manual pages need not be installed
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")
