"""A picture made of cells, two square half-cells to each, and what changed between two pictures.

A cell is a glyph of one column and the id of its style. Rows are plain lists: a layer that stands
still is copied row by row, and rows that share their cells compare fast. Drawing outside is cut.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby
from operator import itemgetter

from gridbot.tui.factory.contract import Patch, Run, Styles

Cell = tuple[str, int]
Rows = list[list[Cell]]

EIGHTHS = " ▁▂▃▄▅▆▇█"
LAYERS_MAX = 16
BRIDGED_CELLS = 4  # unchanged cells cheaper to write again than to jump over

PALETTE = {
    "void": "#ffffff", "structure": "#000000", "canvas": "#f4c430", "frame": "#e8881f",
    "s1a": "#00ced1", "s1b": "#9b59b6", "s2": "#e74c3c", "rose": "#c1497a", "amber": "#fdf0cf",
    "blush": "#fbdcd8", "shade": "#5a5a5a", "mist": "#a0a0a0", "ghost": "#e6e6e6",
}  # fmt: skip


class Canvas:
    """``rows`` of cells, drawn on with words of the palette: ``structure on-void bold``. Without
    colour only the black ground is left, as reversed cells."""

    def __init__(self, width: int, height: int, styles: Styles, colour: bool = True) -> None:
        self.width, self.height, self.colour, self._styles = width, height, colour, styles
        self._ids: dict[str, int] = {}
        self.rows: Rows = []
        self._loaded: Rows = []
        self.kept: dict[Hashable, Rows] = {}

    def id(self, words: str) -> int:
        found = self._ids.get(words)
        if found is None:
            found = self._ids[words] = self._styles.id(" ".join(map(self._word, words.split())))
        return found

    def _word(self, word: str) -> str:
        name = word.removeprefix("on-")
        if name not in PALETTE:
            return word
        if not self.colour:
            return "reverse" if word == "on-structure" else ""
        return PALETTE[name] if name == word else f"on{PALETTE[name]}"

    def clear(self, words: str) -> None:
        cell = (" ", self.id(words))
        self.rows = [[cell] * self.width for _ in range(self.height)]

    def keep(self, key: Hashable) -> None:
        """Remember this picture as a layer, among a few others."""
        if len(self.kept) >= LAYERS_MAX:
            self.kept.clear()
        self.kept[key] = self.rows

    def load(self, rows: Rows) -> None:
        """Begin with a copy of a layer that stands still."""
        self._loaded = rows
        self.rows = [row[:] for row in rows]

    def text(self, x: int, y: int, text: str, words: str) -> None:
        """One run of text, cut at the edges."""
        if 0 <= y < self.height and x < self.width:
            if x < 0:
                text, x = text[-x:], 0
            style = self.id(words)
            cells = [(glyph, style) for glyph in text[: self.width - x]]
            self.rows[y][x : x + len(cells)] = cells

    def put(self, x: int, y: int, glyph: str, words: str) -> None:
        if 0 <= y < self.height and 0 <= x < self.width:
            self.rows[y][x] = (glyph, self.id(words))

    def glyph(self, x: int, y: int) -> str:
        """What stands there; nothing outside."""
        return self.rows[y][x][0] if 0 <= y < self.height and 0 <= x < self.width else ""

    def under(self, x: int, y: int) -> str:
        """What stands there in the layer begun with; nothing outside."""
        return self._loaded[y][x][0] if 0 <= y < self.height and 0 <= x < self.width else ""


def runs(row: Sequence[Cell]) -> list[Run]:
    """A row as runs of one style each."""
    return [
        ("".join([glyph for glyph, _ in cells]), style)
        for style, cells in groupby(row, itemgetter(1))
    ]


def patches(before: Rows, after: Rows) -> list[Patch]:
    """What to write so that ``before`` looks like ``after``; everything if the sizes differ."""
    if len(before) != len(after) or (after and len(before[0]) != len(after[0])):
        return [patch for y, row in enumerate(after) for patch in _spans(y, row, range(len(row)))]
    found: list[Patch] = []
    for y, (old, new) in enumerate(zip(before, after, strict=True)):
        if old != new:
            found += _spans(y, new, [x for x, cell in enumerate(new) if cell != old[x]])
    return found


def _spans(y: int, row: list[Cell], changed: Iterable[int]) -> Iterable[Patch]:
    """The changed cells as spans of one style, over small gaps of the same style."""
    start = end = -1
    style = 0
    for x in changed:
        if start < 0 or row[x][1] != style or not _bridged(row, end, x, style):
            if start >= 0:
                yield Patch(y, start, style, "".join([glyph for glyph, _ in row[start:end]]))
            start, style = x, row[x][1]
        end = x + 1
    if start >= 0:
        yield Patch(y, start, style, "".join([glyph for glyph, _ in row[start:end]]))


def _bridged(row: list[Cell], end: int, x: int, style: int) -> bool:
    return x - end <= BRIDGED_CELLS and all(row[at][1] == style for at in range(end, x))
