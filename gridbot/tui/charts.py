"""Bars and histories drawn with eighths of a cell, and the framed panels they stand in. Pure.

Rules: what is drawn is exactly as wide as asked for; a bar that is not empty shows something; a
missing value is a gap and never a zero. In ASCII the eighths are ``. - = #`` and ``_ . - = + * #``.
A panel never cuts a figure: a run that does not fit is left out whole.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import groupby
from math import ceil
from typing import NamedTuple

from gridbot.tui.cells import Line, Run, cell, clock, fit, length, span, whole

ACROSS = " ▏▎▍▌▋▊▉█"
UP = " ▁▂▃▄▅▆▇█"
EMPTY = "░"
AXIS_CELLS = 5
NO_POINTS: list[Line] = [[("-", "dim")], [("a point a minute; none yet", "dim")]]
STEPS_MINUTES = (*range(1, 16), 20, 30, 60, 120, 240, 480, 1440)
Points = Sequence[tuple[float, Decimal | float]]
Level = tuple[float, str]  # from this value on, this style


def bar(share: float, width: int, ground: str = EMPTY) -> str:
    """A bar over ``width`` cells filled to ``share`` of 0 to 1, in eighths of a cell."""
    eighths = round(max(0.0, min(share, 1.0)) * width * 8)
    eighths = max(eighths, share > 0) if width > 0 else 0
    full, rest = divmod(eighths, 8)
    return (ACROSS[8] * full + ACROSS[rest] * (rest > 0)).ljust(width, ground)


def spark(values: Sequence[float | None], low: float, high: float) -> str:
    """One row, one cell a value; a gap where there is none."""
    return area(values, 1, low, high)[0]


def area(values: Sequence[float | None], height: int, low: float, high: float) -> list[str]:
    """Rows from the top down, one column a value; a value at ``low`` still shows its foot."""
    size = (high - low) or 1.0
    tops = [
        -1 if one is None else max(round(max(0.0, min((one - low) / size, 1.0)) * height * 8), 1)
        for one in values
    ]
    rows = range(8 * (height - 1), -1, -8)
    return ["".join(UP[max(0, min(top - foot, 8))] for top in tops) for foot in rows]


class History(NamedTuple):
    """Figures in columns of ``minutes``, the newest last; the axis goes from epoch seconds
    ``began`` to ``ended``, ``seconds`` of it are known."""

    values: list[float | None]
    minutes: int
    began: float
    ended: float
    seconds: float


def history(points: Points, width: int, pick: Callable[[list[float]], float]) -> History | None:
    """Points (epoch seconds, figure; oldest first) as ``width`` columns of whole minutes, each
    showing what ``pick`` takes of its figures. Columns keep their minutes as time goes on. None
    without points."""
    if not points or width < 2:
        return None
    first, last = points[0][0], points[-1][0]
    need = max(ceil((last - first + 60) / 60 / (width - 1)), 1)
    minutes = next((one for one in STEPS_MINUTES if one >= need), need)
    step = minutes * 60
    newest, found = int(last // step), dict[int, list[float]]()
    for at, figure in points:
        found.setdefault(int(at // step), []).append(float(figure))
    columns = range(newest - width + 1, newest + 1)
    values = [pick(found[i]) if i in found else None for i in columns]
    return History(values, minutes, float(columns[0] * step), last, last - first + 60)


class Past:
    """Points as they were last read, and the columns last made of them."""

    def __init__(self, pick: Callable[[list[float]], float]) -> None:
        self.points: Points = ()
        self._pick = pick
        self._made: tuple[Points, int, History | None] = ((), 0, None)

    def columns(self, width: int) -> History | None:
        """The history that a chart over ``width`` cells shows."""
        if self._made[0] is not self.points or self._made[1] != width:
            made = history(self.points, width - AXIS_CELLS, self._pick)
            self._made = self.points, width, made
        return self._made[2]

    def title(self, name: str, width: int) -> str:
        """The name, how long the history is, and what a column of it stands for."""
        past = self.columns(width)
        if past is None:
            return name
        return f"{name}, last {span(past.seconds)}, 1 cell = {past.minutes} min"


def chart(
    past: History, width: int, height: int, top: float, levels: Sequence[Level]
) -> list[Line]:
    """A history from 0 to ``top`` with an axis on the left and times below: ``height`` rows.
    ``levels`` colour each row from its foot on; those above 0 are drawn as a line, too."""
    rows, room = max(height - 1, 1), width - AXIS_CELLS
    labels, drawn = _axis(top, rows), area(past.values[-room:], rows, 0.0, top)
    lines: list[Line] = []
    for i, text in enumerate(drawn):
        foot, head = top * (rows - 1 - i) / rows, top * (rows - i) / rows
        ruled = any(foot <= level < head for level, _ in levels if level > 0)
        style = next((style for level, style in reversed(levels) if level < head), "accent")
        runs: list[Run] = [(f"{labels[i]} ", "dim")]
        for blank, part in groupby(text.ljust(room), key=lambda one: one == " "):
            shown = "".join(part)
            runs.append((_rule(shown) if ruled else shown, "dim") if blank else (shown, style))
        lines.append(runs)
    since, until = clock(past.began, short=True), clock(past.ended, short=True)
    gap = max(room - len(since) - len(until), 1)
    below = [(" " * AXIS_CELLS + since, "dim"), (" " * gap + until, "dim")]
    return [*lines, whole(below, width)][:height]


def _rule(blank: str) -> str:
    return "".join("╌" if i % 2 == 0 else " " for i in range(len(blank)))


def _axis(top: float, rows: int) -> list[str]:
    """What the lower edge of every row stands for."""
    places = 0 if top >= 2 * rows else 1 if (top * 10 / rows).is_integer() else 2
    texts = [f"{top * i / rows:.{places}f}" for i in range(rows - 1, -1, -1)]
    return [text.rjust(AXIS_CELLS - 1) for text in texts]


class Panel(NamedTuple):
    """A framed part of a view. ``rank``: the highest is dropped first. ``draw`` gives at most as
    many rows as it is told; ``rows_min`` and ``rows`` are those it needs and those it likes,
    without the frame; where there is more room it grows up to ``rows_max``."""

    title: str
    rank: int
    rows_min: int
    rows: int
    draw: Callable[[int, int], list[Line]]
    rows_max: int = 0


def frame(panel: Panel, width: int, rows: int) -> list[Line]:
    """The panel with ``rows`` rows inside its frame."""
    inside = max(width - 4, 0)
    title = cell(panel.title, min(len(panel.title), inside))
    rest = max(width - len(title) - 5, 0)
    top: Line = [("┌─ ", "dim"), (title, "title"), (f" {'─' * rest}┐", "dim")]
    drawn = panel.draw(inside, rows)[:rows]
    drawn += [[]] * (rows - len(drawn))
    lines = [[("│ ", "dim"), *fit(whole(one, inside), inside), (" │", "dim")] for one in drawn]
    bottom: Line = [("└" + "─" * max(width - 2, 0) + "┘", "dim")]
    return [fit(line, width) for line in (top, *lines, bottom)]


def arrange(bands: Sequence[Sequence[Panel]], width: int, height: int, wide: int) -> list[Line]:
    """Panels in bands from the top down, those of a band side by side from ``wide`` cells on, else
    one under the other. What does not fit is dropped by rank; growing panels take what is left."""
    rows = [list(band) for band in bands] if width >= wide else [[one] for b in bands for one in b]
    while len(rows) > 1 or len(rows[0]) > 1:
        if sum(max(one.rows_min for one in band) + 2 for band in rows) <= height:
            break
        worst = max((one for band in rows for one in band), key=lambda one: one.rank)
        rows = [kept for band in rows if (kept := [one for one in band if one is not worst])]
    sizes = _sizes(rows, height)
    lines: list[Line] = []
    for band, size in zip(rows, sizes, strict=True):
        drawn = [
            frame(one, cells, size) for one, cells in zip(band, _widths(band, width), strict=True)
        ]
        lines += [_side_by_side(parts, width) for parts in zip(*drawn, strict=True)]
    return lines[:height]


def _sizes(bands: list[list[Panel]], height: int) -> list[int]:
    """Rows inside each band: what it needs, then what it likes, the rest to those that grow."""
    sizes = [max(one.rows_min for one in band) for band in bands]
    left = height - sum(sizes) - 2 * len(bands)
    for i in sorted(range(len(bands)), key=lambda i: min(one.rank for one in bands[i])):
        more = max(0, min(left, max(one.rows for one in bands[i]) - sizes[i]))
        sizes[i], left = sizes[i] + more, left - more
    for i, band in enumerate(bands):
        more = max(0, min(left, max(one.rows_max for one in band) - sizes[i]))
        sizes[i], left = sizes[i] + more, left - more
    return sizes


def _widths(band: list[Panel], width: int) -> list[int]:
    each, gaps = (width - len(band) + 1) // len(band), len(band) - 1
    return [each] * gaps + [width - gaps - each * gaps]


def _side_by_side(parts: Sequence[Line], width: int) -> Line:
    line: Line = []
    for i, part in enumerate(parts):
        line += [(" ", ""), *part] if i else part
    return fit(line, width) if length(line) != width else line
