"""Somebody with an account and sudo on a machine, who types what a guide says."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from tests.support.guides import Step
from tests.system.mailhost import MailHost

NAME = "jo"
CHECKOUT = f"/home/{NAME}/mailrecv"


class Person:
    """A person at the shell of a machine, in a checkout."""

    def __init__(self, machine: MailHost) -> None:
        self._machine = machine
        self._folder = CHECKOUT
        machine.write("/etc/hosts", "127.0.0.1 localhost\n127.0.1.1 mx\n")  # as the installer of Debian leaves it
        machine.run("useradd", "--create-home", "--groups=sudo", "--shell=/bin/bash", NAME)
        machine.write(f"/etc/sudoers.d/{NAME}", f"{NAME} ALL=(ALL) NOPASSWD: ALL\n")
        machine.run("install", "-d", "-o", NAME, CHECKOUT, f"{CHECKOUT}/dist")

    def types(self, step: Step) -> str:
        """Run a command and return what it prints; fail if it fails, or prints anything but what the guide shows."""
        command, argument, *_ = [*step.command.split(), ""]
        if command == "cd":
            self._folder = argument
        self._machine.run("journalctl", "--sync")
        script = f"cd {shlex.quote(self._folder)} && {step.command}"
        printed = self._machine.run("runuser", "--login", NAME, "--command", script)
        assert not step.shown or printed == step.shown
        return printed

    def follows(self, steps: Iterable[Step]) -> dict[str, str]:
        """Run commands one after the other, and return what each printed."""
        return {step.command: self.types(step) for step in steps}
