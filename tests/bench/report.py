"""Charts, and the chapters that they belong to: into the sections of docs/performance.md, and SVG files beside it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pygal
from pygal.style import Style

from docs.figures import Table, with_sections
from tests.bench.measuring import Spread

CHARTS = "performance"  # the folder, beside the document
_LINES_SIZE = (480, 330)
_BARS_SIZE = (800, 400)
_COLORS = {  # the same in all charts
    "mailrecv, per connection": "#1b4f72",
    "mailrecv, resident": "#5dade2",
    "aiosmtpd, fsync": "#e67e22",
    "aiosmtpd, no fsync": "#f5cba7",
    "Postfix": "#7d8a97",
    "mailrecv, per connection, systemd": "#117864",
    "mailrecv, resident, systemd": "#48c9b0",
}
_OTHER_COLORS = ("#34495e", "#aeb6bf")
_STYLE = {
    "background": "white",
    "plot_background": "white",
    "foreground": "#333333",
    "foreground_strong": "#111111",
    "foreground_subtle": "#777777",
    "guide_stroke_color": "#eeeeee",
    "guide_stroke_dasharray": "0",
    "major_guide_stroke_color": "#dddddd",
    "major_guide_stroke_dasharray": "0",
    "font_family": "sans-serif",
    "title_font_size": 15,
    "label_font_size": 12,
    "major_label_font_size": 12,
    "legend_font_size": 12,
    "value_font_size": 11,
    "opacity": 1,
}


@dataclass(frozen=True)
class Chart:
    """A chart.  file: its name, without `.svg`.  title, axis: what it shows, and what its labels are.

    labels: of the places on the axis.  series: by their names, a figure for each place, or None.  lines: a line for
    each series rather than a bar for each figure.  decades: a logarithmic scale, for what differs by powers of ten.
    """

    file: str
    title: str
    axis: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[float | None]]
    lines: bool = False
    decades: bool = False

    def draw(self, folder: Path) -> None:
        """Write it into this folder."""
        figures = [figure for series in self.series.values() for figure in series if figure]
        marks = _decades(min(figures), max(figures)) if self.decades else _steps(max(figures))
        width, height = _LINES_SIZE if self.lines else _BARS_SIZE
        chart = (pygal.Line if self.lines else pygal.Bar)(
            style=Style(**_STYLE, colors=_colors(self.series)),
            js=[],  # a picture, which needs nobody's server
            title=self.title,
            x_title=self.axis,
            width=width,
            height=height,
            margin=14,
            margin_right=44 if self.lines else 14,  # the last figure of a line stands beside its point
            margin_bottom=30,
            explicit_size=True,
            legend_at_bottom=True,
            legend_at_bottom_columns=2 if self.lines else 3,
            truncate_legend=-1,
            truncate_label=-1,
            print_values=True,
            print_values_position="top",
            value_formatter=shown,
            logarithmic=self.decades,
            range=(marks[0], max(marks[-1], max(figures) * 1.05)),
        )
        chart.x_labels = list(self.labels)
        chart.y_labels = marks
        for name, series in self.series.items():
            chart.add(name.replace("`", ""), list(series))
        chart.uuid = self.file  # otherwise another one each time
        chart.render_to_file(str(folder / f"{self.file}.svg"))


@dataclass(frozen=True)
class Chapter:
    """What is found out about one thing.  name: of its section.  table: all its figures.  charts: some of them."""

    name: str
    table: Table
    charts: Sequence[Chart] = field(default=())

    def markdown(self) -> str:
        """Return what its section is to hold."""
        pictures = [f"![{chart.title}]({CHARTS}/{chart.file}.svg)" for chart in self.charts]
        return "\n\n".join([self.table.markdown(), *pictures])


def write(document: Path, chapters: Sequence[Chapter]) -> None:
    """Put chapters into sections of a document, and draw their charts. Raises ValueError for a missing section."""
    sections = {chapter.name: chapter.markdown() for chapter in chapters}
    text = with_sections(document.read_text(encoding="utf-8"), sections)
    folder = document.parent / CHARTS
    folder.mkdir(exist_ok=True)
    for chapter in chapters:
        for chart in chapter.charts:
            chart.draw(folder)
    document.write_text(text, encoding="utf-8")


def _colors(names: Iterable[str]) -> tuple[str, ...]:
    others = itertools.cycle(_OTHER_COLORS)
    return tuple(_COLORS.get(name) or next(others) for name in names)


def _decades(lowest: float, highest: float) -> list[float]:
    """Return the powers of ten around these figures."""
    return [10.0**power for power in range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)]


def _steps(highest: float) -> list[float]:
    """Return round figures from 0 up to the highest, about five of them."""
    power = 10.0 ** math.floor(math.log10(highest / 5))
    step = min((factor * power for factor in (1, 2, 5, 10)), key=lambda step: abs(highest / step - 5))
    return [number * step for number in range(math.ceil(highest / step) + 1)]


def shown(figure: float) -> str:
    """Return a figure with as many digits as mean something."""
    if figure == round(figure):
        return f"{figure:,.0f}"
    digits = 0 if abs(figure) >= 100 else 1 if abs(figure) >= 10 else 2
    return f"{figure:,.{digits}f}"


def cell(spread: Spread) -> str:
    """Return a figure for a table: the median, and the lowest and the highest of all rounds."""
    return f"{shown(spread.median)} <sub>{shown(spread.lowest)}–{shown(spread.highest)}</sub>"  # noqa: RUF001 - a range
