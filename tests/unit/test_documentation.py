"""What README.md, docs/ and units/ say is so, and their examples work. The manual pages have tests of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docs import state_diagram
from docs.figures import with_sections
from mailrecv import cli
from mailrecv.cli import logs
from mailrecv.config.directives import DIRECTIVES
from mailrecv.config.reader import parse_config
from mailrecv.diagnosis.service import Service
from mailrecv.limits import Limits
from mailrecv.report.from_journal import JournalSource
from tests.support.journals import JOURNAL_REMOTE, NOON, Recorder, afternoon

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "docs" / "examples"
README_DEBIAN = (ROOT / "packaging" / "debian" / "README.Debian").read_text(encoding="utf-8")
COMMENTED_CONFIG = (ROOT / "docs" / "mailrecv.conf").read_text(encoding="utf-8")

CONFIGS = {
    "docs/mailrecv.conf": COMMENTED_CONFIG,
    **{f"docs/examples/{path.name}": path.read_text(encoding="utf-8") for path in EXAMPLES.glob("*.conf")},
    "README.Debian": "\n".join(re.findall(r"(?m)^ {8}(.*)$", README_DEBIAN)),
    **{f"README.md, block {n}": text for n, text in enumerate(re.findall(r"(?ms)^```conf\n(.*?)^```", README), 1)},
}
SHOWN_FILES = dict(re.findall(r"(?ms)^```\w+ file=(\S+)\n(.*?)^```", README))


def uncommented(config: str) -> str:
    """Return a configuration with its examples active: the lines whose `#` has no blank after it."""
    return re.sub(r"(?m)^#(?=[a-z])", "", config)


def test_the_state_diagram_is_current() -> None:
    """The state diagram in the README is the one that the state table gives."""
    assert state_diagram.with_current_diagram(README) == README


def test_a_stale_state_diagram_is_found_and_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--check` fails for a diagram that the table does not give, and passes once it was written anew."""
    stale = tmp_path / "README.md"
    stale.write_text(README.replace("IDLE --> MAIL", "IDLE --> RCPT"), encoding="utf-8")
    monkeypatch.setattr(state_diagram, "README", stale)
    with pytest.raises(SystemExit, match="stale"):
        state_diagram.main(["--check"])
    state_diagram.main([])
    with pytest.raises(SystemExit) as end:
        state_diagram.main(["--check"])
    assert end.value.code == 0
    assert stale.read_text(encoding="utf-8") == README


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
def test_the_readme_shows_files_as_they_are(path: str) -> None:
    """A file that the README shows is shown word for word."""
    assert SHOWN_FILES[path] == (ROOT / path).read_text(encoding="utf-8")


def test_the_readme_shows_every_example_for_other_programs() -> None:
    """No example for fail2ban, logrotate or xinetd is left out of the README."""
    folders = {"fail2ban", "logrotate.d", "xinetd.d"}
    examples = {path.relative_to(ROOT) for folder in folders for path in (EXAMPLES / folder).rglob("*")}
    assert {str(path) for path in examples if (ROOT / path).is_file()} == set(SHOWN_FILES)


def test_the_readme_shows_what_check_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each file that is checked in the README gets the answer that stands below it."""
    lines = r"((?:(?!\$ ).*\n)*)"  # up to the next command
    check = rf"\$ cat (\S+)\n{lines}\$ mailrecv (check .*-c \1)\n{lines}\$ echo \$\?\n(\d+)\n"
    shown = re.findall(check, README)
    assert len(shown) == 2
    monkeypatch.chdir(tmp_path)
    for name, config, arguments, output, status in shown:
        Path(name).write_text(config, encoding="utf-8")
        assert cli.run(arguments.split()) == int(status)
        assert capsys.readouterr().out == output


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


def test_the_readme_shows_what_explain_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first configuration in the README, on a machine without its directories, is explained as it says there."""
    config = tmp_path / "mailrecv.conf"
    config.write_text(CONFIGS["README.md, block 1"].replace("/srv/", f"{tmp_path}/"), encoding="utf-8")
    service = Service("mailrecv", os.geteuid(), os.getegid(), (), "as the unit mailrecv@.service says")
    monkeypatch.setattr("mailrecv.diagnosis.service.find_service", lambda _: service)
    shown = re.findall(r"(?m)^\$ (?:sudo )?mailrecv explain (.*?)(?: \| tail -n (\d+))?\n((?:(?!```).*\n)*)", README)
    assert len(shown) == 2
    for arguments, last, output in shown:
        cli.run(["explain", "-c", str(config), *arguments.split()])
        said = capsys.readouterr().out.replace(str(config), "/etc/mailrecv.conf").replace(f"{tmp_path}/", "/srv/")
        assert said.splitlines()[-int(last or 0) :] == output.splitlines()


@pytest.mark.parametrize("action", ["report", "trace"])
def test_the_readme_shows_what_a_log_tells(
    action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The report and the trace in the README are those of one afternoon's journal, in a terminal of 100 columns."""
    shown = re.search(rf"(?m)^\$ mailrecv ({action} .*)\n((?:(?!```).*\n)*)```", README)
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


@pytest.mark.parametrize("document", ["README.md", "docs/reliability.md"])
def test_links_lead_somewhere(document: str) -> None:
    """Every link in the documents that is no URL leads to a file there is, and to a heading in it if it names one."""
    path = ROOT / document
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", path.read_text(encoding="utf-8")):
        target, _, anchor = link.partition("#")
        file = path.parent / target if target else path
        assert file.exists(), link
        if anchor:
            shown = file.read_text(encoding="utf-8")
            headings = re.findall(r"(?m)^#+ (.*)$", shown)
            anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in anchors | set(re.findall(r'\bid="([^"]+)"', shown)), link


def test_no_limit_is_made_up() -> None:
    """The README speaks of no limit that does not exist."""
    assert set(re.findall(r"limit\.[a-z_]+", README)) <= set(DIRECTIVES)


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
