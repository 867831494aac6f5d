"""Draws the state diagram of the protocol machine, as Mermaid, and keeps the copy in docs/session.md current.

    python -m docs.state_diagram            writes the diagram into its section of docs/session.md
    python -m docs.state_diagram --check    exits with 1 if the diagram there is not the one that would be written

It is drawn from the state table alone. Two things keep it readable: a command that leaves its state as it is stands in
the state's box, and one that does the same in every state between commands stands in a sentence below the diagram.
"""

from __future__ import annotations

import sys
import textwrap
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from docs.figures import with_sections
from mailrecv.smtp.states import TRANSITIONS, TYPED, State, Verb

DOCUMENT = Path(__file__).with_name("session.md")

_NOT_TYPED = {Verb.OPEN: "connection", Verb.END: "end of mail data"}
_BETWEEN_COMMANDS = [state for state in State if any((state, verb) in TRANSITIONS for verb in TYPED.values())]


def state_diagram() -> str:
    """Return the diagram and the sentence below it, in Markdown."""
    everywhere: dict[str, list[Verb]] = defaultdict(list)
    boxes: dict[State, list[Verb]] = defaultdict(list)
    arrows: dict[tuple[State, State], list[Verb]] = defaultdict(list)
    effects = {verb: _effect_between_commands(verb) for verb in Verb}
    for verb, effect in effects.items():
        if effect:
            everywhere[effect].append(verb)
    for (state, verb), target in TRANSITIONS.items():
        if effects[verb]:
            continue
        if target is state:
            boxes[state].append(verb)
        else:
            arrows[state, target].append(verb)

    lines = ["```mermaid", "stateDiagram-v2", "    direction LR"]
    for state, verbs in boxes.items():
        lines += [f"    {state.value}: {state.value}", f"    {state.value}: stays on {', '.join(_names(verbs))}"]
    for (state, target), verbs in arrows.items():
        lines.append(f"    {state.value} --> {target.value}: {', '.join(_names(verbs))}")
    clauses = [f"{_listed(_names(verbs))} {effect}" for effect, verbs in everywhere.items()]
    where = _listed([state.value for state in _BETWEEN_COMMANDS])
    sentence = textwrap.fill(f"Whichever of {where} the session is in, {'; '.join(clauses)}.", 120)
    return "\n".join([*lines, "```", "", sentence])


def _effect_between_commands(verb: Verb) -> str:
    """Return what a command does in every state between commands, or nothing when that depends on the state."""
    targets = [TRANSITIONS.get((state, verb)) for state in _BETWEEN_COMMANDS]
    if targets == _BETWEEN_COMMANDS:
        return "change nothing"
    target = targets[0]
    if target is None or target in _BETWEEN_COMMANDS or set(targets) != {target}:
        return ""
    return f"leads to {target.value}"


def with_current_diagram(text: str) -> str:
    """Return a text with the diagram in its section replaced. Raises ValueError when there is no such section."""
    return with_sections(text, {"states": state_diagram()})


def _names(verbs: Iterable[Verb]) -> list[str]:
    return [_NOT_TYPED.get(verb, verb.value) for verb in verbs]


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def main(arguments: list[str]) -> None:
    """Write the diagram, or check it."""
    text = DOCUMENT.read_text(encoding="utf-8")
    current = with_current_diagram(text)
    if arguments == ["--check"]:
        sys.exit(f"{DOCUMENT.name}: the state diagram is stale, `make docs` renews it" if text != current else 0)
    if arguments:
        sys.exit(__doc__)
    DOCUMENT.write_text(current, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
