"""Draws docs/report.png: the page of `mailrecv report --html` for the afternoon that the guides show.

    python -m docs.report_picture

Needs Chromium (Debian's package chromium). To be run when the page has changed: the picture comes out a little
different with each version of fonts and browser, so no test can compare it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from mailrecv import cli
from tests.support.journals import Recorder, afternoon

PICTURE = Path(__file__).with_name("report.png")
SIZE = "1000,1490"  # pixels: down to the end of a table


def main() -> None:
    """Draw the picture."""
    os.environ["TZ"] = "UTC"
    recorder = Recorder("F+")
    afternoon(recorder)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the page tells the name of the log as it was given
        log = recorder.file(Path("mailrecv.log"))
        cli.run(["report", "-l", str(log), "--html", "page.html"])
        command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"]
        command += [
            f"--user-data-dir={folder}/browser",
            f"--window-size={SIZE}",
            f"--screenshot={PICTURE}",
            f"{folder}/page.html",
        ]
        subprocess.run(command, check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    main()
