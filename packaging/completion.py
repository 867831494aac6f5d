"""Prints what completes mailrecv's command line in bash or zsh, made by shtab from the parser itself.

    completion.py bash|zsh

`make deb` puts what it prints into the package. An action or an option that the parser gets is offered without a word
here. What may stand for its argument is told by how the help shows it: `FILE`, `DIR`, `RECIPIENT`, a fixed word such as
`syslog`, or several of these with a `|` between them. For anything else nothing is offered.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

import shtab

from mailrecv.cli.parser import parser
from mailrecv.config import DEFAULT_PATH

# What each shell does for a kind of argument; the first argument of bash's functions is the word typed so far.
BASH = {"FILE": 'compgen -f -- "$1"', "DIR": 'compgen -d -- "$1"', "RECIPIENT": '_mailrecv_recipients "$1"'}
ZSH = {"FILE": "_files", "DIR": "_files -/", "RECIPIENT": "_mailrecv_recipients"}

# The addresses of the `deliver` lines of the configuration that the command line names.
RECIPIENTS = """
_mailrecv_recipients_in() {
    awk '$1 == "deliver" { at = $2 == "allowgroup" ? 4 : 2; if ($at == "rcpt_to") print $(at + 1) }' "$1" 2>/dev/null
}
"""
PREAMBLE = {
    "bash": RECIPIENTS
    + f"""
_mailrecv_recipients() {{
    local config={DEFAULT_PATH} i
    for ((i = 1; i < COMP_CWORD; i++)); do
        [[ ${{COMP_WORDS[i]}} == -c ]] && config=${{COMP_WORDS[i + 1]}}
    done
    # Not with compgen -W, which would run what stands in an address as $(command).
    _mailrecv_recipients_in "$config" | while read -r address; do [[ $address != "$1"* ]] || echo "$address"; done
}}
""",
    "zsh": RECIPIENTS
    + f"""
_mailrecv_recipients() {{
    local config={DEFAULT_PATH}
    local place=${{words[(I)-c]}}
    ((place)) && config=${{words[place + 1]}}
    compadd -- ${{(f)"$(_mailrecv_recipients_in $config)"}}
}}
""",
}


def arguments(of: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Give every option and argument of a parser, and those of its actions."""
    for action in of._actions:  # argparse has no other way to ask
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from arguments(sub)


def completing(metavar: str) -> dict[str, object] | None:
    """Return what completes an argument that the help shows like this, as shtab takes it; None if nothing does."""
    words = metavar.split("|")
    if not all(word in ZSH or word.islower() for word in words):
        return None
    # shtab has the file names of bash shown as such, with a slash after folders, if the function is named so.
    function = f"_mailrecv_{'_or_'.join(words).lower()}"
    in_bash = [BASH.get(word, f'compgen -W {word} -- "$1"') for word in words]
    in_zsh = [ZSH.get(word, f"compadd {word}") for word in words]
    return {
        "bash": function,
        "zsh": f"{{{'; '.join(in_zsh)}}}",
        "preamble": {"bash": "\n    ".join([f"{function}() {{", *in_bash]) + "\n}\n"},
    }


def completion(whole: argparse.ArgumentParser, shell: str) -> str:
    """Return the completion of a command line for a shell."""
    for action in arguments(whole):
        if isinstance(action.metavar, str) and not isinstance(action, argparse._SubParsersAction):
            complete = completing(action.metavar)
            if complete:
                action.complete = complete  # type: ignore[attr-defined]
    return shtab.complete(whole, shell, preamble=PREAMBLE)


if __name__ == "__main__":
    sys.stdout.write(completion(parser(), sys.argv[1]))
