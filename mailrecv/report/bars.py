"""Bars in a terminal: an eighth of a cell fine where the terminal takes UTF-8, plain ASCII elsewhere."""

from __future__ import annotations

_EIGHTHS = " ▏▎▍▌▋▊▉"


def signs(*, unicode: bool) -> tuple[str, str]:
    """Return what bars are made of: a full cell, and one of the part that is marked."""
    return ("█", "░") if unicode else ("#", "!")


def bar(value: float, most: float, cells: int, *, unicode: bool, marked: float = 0.0) -> str:
    """Return a bar without blanks at its end; what is not nothing is never shown as nothing.

    value: to draw.  most: the value of a full bar.  cells: of a full bar.  marked: the part of the value to draw apart,
    at the end.
    """
    if value <= 0 or most <= 0 or cells <= 0:
        return ""
    full, mark = signs(unicode=unicode)
    length = min(value / most, 1.0) * cells
    if marked > 0:
        marks = max(1, round(length * marked / value))
        return full * (max(round(length), marks) - marks) + mark * marks
    if not unicode:
        return full * max(1, round(length))
    whole, part = divmod(max(1, round(length * 8)), 8)
    return full * whole + (_EIGHTHS[part] if part else "")


def shortened(text: str, cells: int, *, unicode: bool) -> str:
    """Return a text that is no longer than so many cells, with a sign where some of it is left out."""
    if len(text) <= cells:
        return text
    sign = "…" if unicode else "..."
    return text[: max(0, cells - len(sign))] + sign[:cells]
