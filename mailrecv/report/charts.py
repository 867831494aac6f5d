"""Charts of a page, in SVG: columns over time with their axes, and the bar of a table's row.

Lengths across are in percent and all others in pixels, so that a chart fits any width and its words keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from xml.etree.ElementTree import Element

from mailrecv.report.markup import element

HEIGHT = 150  # pixels of the plot; the style sheet leaves room around it for the words at the axes
MIN_SLOTS = 10  # so that a few columns are not as broad as walls
MAX_TIMES = 6  # words at the axis of time that a phone has room for
MAX_STEPS = 4  # on the other axis
_FILLED = 0.74  # of the room of a column


def columns(
    title: str, unit: str, times: Sequence[tuple[str, str]], values: Sequence[tuple[float, float]], kind: str = "good"
) -> Element:
    """Return a chart of columns over time.

    unit: of the values; that of octets begins with B.
    times: of each column, a short text for the axis and one for whoever points at it.
    values: for each column its height, and the part of it, at the top, that is drawn as trouble.
    kind: the class of the rest of the column.
    """
    highest = max((value for value, _ in values), default=0.0)
    scale, prefix = _scale(highest, unit)
    unit = prefix + unit
    step = _step(highest / scale)
    most = max(step, step * math.ceil(highest / scale / step))
    svg = element("svg", class_="chart", role="img", aria_label=f"{title}, {unit}, over time")
    svg.extend(_steps(step, most))
    slot = 100 / max(MIN_SLOTS, len(values))
    for number, ((_, long), (value, trouble)) in enumerate(zip(times, values, strict=True)):
        column = element("g", element("title", long), class_="column")
        column.extend(_rectangles(number * slot, slot, value / scale / most, trouble / scale / most, kind))
        svg.append(column)
    every = math.ceil(len(times) / MAX_TIMES)
    for number, (short, _) in enumerate(times):
        if number % every == 0:
            middle = f"{(number + 0.5) * slot:.3f}%"
            svg.append(element("text", short, class_="time", x=middle, y=f"{HEIGHT + 18}"))
    caption = element("figcaption", element("b", title), f" {unit}")
    return element("figure", caption, svg)


def row_bar(value: float, trouble: float, most: float, kind: str = "good") -> Element:
    """Return the bar of a row.  trouble: the part of the value, at the end, that is drawn as such.  kind: the rest."""
    svg = element("svg", class_="bar", aria_hidden="true")
    good = 100 * (value - trouble) / most
    if good > 0:
        svg.append(element("rect", class_=kind, width=f"{good:.2f}%", height="100%"))
    if trouble > 0:
        svg.append(element("rect", class_="bad", x=f"{good:.2f}%", width=f"{100 * trouble / most:.2f}%", height="100%"))
    return svg


def _steps(step: float, most: float) -> Iterator[Element]:
    """Yield the lines across, each with its value beside it."""
    for number in range(round(most / step) + 1):
        y = f"{HEIGHT * (1 - number * step / most):.1f}"
        yield element("line", class_="step" if number else "base", x1="0", x2="100%", y1=y, y2=y)
        yield element("text", _amount(number * step), class_="value", x="-8", y=y, dy="0.32em")


def _rectangles(left: float, slot: float, part: float, trouble: float, kind: str) -> Iterator[Element]:
    """Yield the room of a column, and what of it is filled.  left, slot: in percent.  part, trouble: of the height."""
    yield element("rect", class_="room", x=f"{left:.3f}%", y="0", width=f"{slot:.3f}%", height=str(HEIGHT))
    x, width = f"{left + slot * (1 - _FILLED) / 2:.3f}%", f"{slot * _FILLED:.3f}%"
    for drawn, bottom, top in ((kind, 0.0, part - trouble), ("bad", part - trouble, part)):
        if top > bottom:
            height = max(1.0, HEIGHT * (top - bottom))  # what is not nothing can be seen
            y = HEIGHT * (1 - bottom) - height
            yield element("rect", class_=drawn, x=x, y=f"{y:.1f}", width=width, height=f"{height:.1f}")


def _scale(most: float, unit: str) -> tuple[float, str]:
    """Return what to divide octets by, and the prefix of their unit."""
    power = min(4, max(0, int(math.log(most, 1000)))) if unit[0] == "B" and most >= 1 else 0
    return 1000.0**power, ("", "k", "M", "G", "T")[power]


def _step(most: float) -> float:
    """Return a round step, such that a few of them reach the value."""
    step = 10.0 ** max(0, math.floor(math.log10(most / MAX_STEPS))) if most > MAX_STEPS else 1.0
    return next((factor * step for factor in (1, 2, 5) if factor * step * MAX_STEPS >= most), 10 * step)


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"
