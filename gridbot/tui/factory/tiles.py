"""Rows of machines, belts and chests: small keys in, runs out. Every method named by a key.

A key tells all that its row shows, so that one key always gives the same runs. Colour never tells
anything alone: kind is the shape of the box, phases stand in words, lamps differ by glyph.
"""

from typing import NamedTuple

from gridbot.tui.cells import Line, clean
from gridbot.tui.factory.board import Key, Runs
from gridbot.tui.factory.contract import Styles

GEARS = "◐◓◑◒"
BOXES = {"S": ("┏━┓", "┃", "┗━┛"), "C": ("╭─╮", "│", "╰─╯")}
# What a tile is made of: name, row, first cell, cells. What moves stands alone.
PARTS = {
    "large": (
        ("title", 0, 0, 14), ("left", 1, 0, 6), ("gear", 1, 6, 1), ("right", 1, 7, 7),
        ("name", 2, 0, 12), ("lamp", 2, 12, 1), ("edge1", 2, 13, 1),
        ("in", 3, 0, 5), ("edge2", 3, 13, 1),
        ("out", 4, 0, 5), ("edge3", 4, 13, 1),
        ("counts", 5, 0, 14), ("foot", 6, 0, 14),
    ),
    "medium": (
        ("title", 0, 0, 11), ("edge1", 1, 0, 1), ("gear", 1, 1, 1),
        ("lamp", 1, 9, 1), ("edge2", 1, 10, 1), ("name", 2, 0, 11), ("foot", 3, 0, 11),
    ),
    "dense": (
        ("edge1", 1, 0, 1), ("gear", 1, 1, 1),
        ("lamp", 1, 5, 1), ("edge2", 1, 6, 1), ("foot", 2, 0, 7),
    ),
}  # fmt: skip
LANE_PARTS = {  # cell by cell: few looks of a cell make all looks of a lane
    "large": (("entries", 3, 5, 8), ("exits", 4, 5, 8)), "medium": (("lane", 1, 2, 7),),
    "dense": (("lane", 1, 2, 3),),
}  # fmt: skip
EIGHTHS = " ▁▂▃▄▅▆▇█"
Item = tuple[int, str, str]  # place on the lane, glyph, words of its style


class Frame(NamedTuple):
    """How a tile is framed: S or C, and the words of the border."""

    kind: str
    words: str


class Tiles:
    """Draws any key of the floor with the ids of one table of styles."""

    def __init__(self, styles: Styles) -> None:
        self._styles = styles

    def draw(self, key: Key) -> Runs:
        line: Line = getattr(self, f"_{key[0].lstrip('=')}")(*key[1:])
        return tuple((text, self._styles.id(words)) for text, words in line if text)

    # --- whatever has no life of its own ------------------------------------------------

    def _blank(self) -> Line:
        return []

    def _text(self, line: tuple[tuple[str, str], ...]) -> Line:
        return list(line)

    def _floor(self, width: int, shift: int) -> Line:
        dots = "".join("·" if (x + shift) % 8 == 4 else " " for x in range(width))
        return [(dots, "ghost")]

    # --- parts of a tile ----------------------------------------------------------------

    def _edge(self, frame: Frame) -> Line:
        return [(BOXES[frame.kind][1], frame.words)]

    def _sign(self, glyph: str, words: str) -> Line:
        """A gear, a lamp, or a cell of a lane."""
        return [(glyph, words)]

    def _title(self, frame: Frame, width: int, number: int, phase: str) -> Line:
        top = BOXES[frame.kind][0]
        edge = "bold" if frame.kind == "S" else ""
        label = f"{number:>2} "[:3] if width < 14 else f"{top[1]}{number:>2} "
        line = [(top[0], frame.words), (f"[{frame.kind}]", f"{frame.words} {edge}"),
                (label, "title"), (phase, f"{phase} bold")]  # fmt: skip
        left = width - sum(len(text) for text, _ in line) - 1
        return [*line, (top[1] * left + top[2], frame.words)]

    def _number(self, frame: Frame, number: int) -> Line:
        """The beginning of a small title."""
        return [(BOXES[frame.kind][0][0], frame.words), (number_of(number), "title")]

    def _phase(self, frame: Frame, room: int, phase: str, short: str) -> Line:
        """The rest of it; ``short``: the letter of what the slot has none of, told instead."""
        top, words = BOXES[frame.kind][0], "warn" if short else f"{phase} bold"
        shown = ("no" if room > 2 else "-") + short if short else f"{phase:{top[1]}<3}"[:room]
        return [(shown, words), (top[2], frame.words)]

    def _left(self, frame: Frame, lit: bool) -> Line:
        words, fill = ("S1a", "▓") if lit else ("dim faint", "░")
        return [*self._edge(frame), ("A", words), (fill * 2, words)]

    def _right(self, frame: Frame, lit: bool) -> Line:
        words, fill = ("S1b", "▓") if lit else ("dim faint", "░")
        return [("   ", ""), (fill * 2, words), ("B", words), *self._edge(frame)]

    def _name(
        self, frame: Frame, room: int, name: str, words: str, count: str, closed: bool
    ) -> Line:
        """The alias and the number of recoveries; ``closed``: with the border on the right."""
        shown = clean(name)[:room].ljust(room)
        line = [*self._edge(frame), (shown, words), (f" {count} " if count else "", "warn")]
        return [*line, *self._edge(frame)] if closed else line

    def _label(self, frame: Frame, text: str) -> Line:
        return [*self._edge(frame), (text, "dim")]

    def _counts(self, frame: Frame, orders: int, recoveries: int) -> Line:
        words = "warn" if recoveries else "dim"
        return [*self._edge(frame), (f"{min(orders, 99)} ord".ljust(5), "dim"),
                (f"{min(recoveries, 99):>2} rec", words), (" ", ""),
                *self._edge(frame)]  # fmt: skip

    def _profit(self, frame: Frame, width: int, text: str, tone: str, walker: int) -> Line:
        """The lower edge with the profit in it, and who walks along it."""
        low, room = BOXES[frame.kind][2], width - 4
        left = (room - len(text)) // 2
        right = room - left - len(text)
        ends = [low[0] + low[1] * left, low[1] * right + low[2]]
        line: Line = [(ends[0], frame.words), (f" {text} ", tone), (ends[1], frame.words)]
        place = walker + 1
        if walker < 0 or left < place < width - 1 - right:
            return line
        cells = [(one, words) for part, words in line for one in part]
        cells[place] = "o", "warn bold"
        return cells

    def _small_profit(self, frame: Frame, text: str, tone: str) -> Line:
        low, left = BOXES[frame.kind][2], (5 - len(text)) // 2
        right = 5 - left - len(text)
        return [(low[0] + low[1] * left, frame.words), (text, tone),
                (low[1] * right + low[2], frame.words)]  # fmt: skip

    def _corners(self, frame: Frame, width: int, row: int, step: int, cut: int = 0) -> Line:
        """Upper or lower edge of a tile that is being built: its corners, then all of it; without
        the first ``cut`` cells."""
        edge = BOXES[frame.kind][row]
        text = edge[0] + (edge[1] if step else " ") * (width - 2) + edge[2]
        return [(text[cut:], frame.words)]

    # --- belts and chests ---------------------------------------------------------------

    def _power(
        self, width: int, step: int, line: str, words: str, sign: str, sign_words: str, end: str
    ) -> Line:
        cells: Line = [(line, words)] * max(width - 2, 0)
        if step >= 0:
            cells[step % 9 :: 9] = [(sign, sign_words)] * len(cells[step % 9 :: 9])
        return [("↯", "warn bold"), *cells, (end, words)]

    def _feed(self, width: int, step: int) -> Line:
        cells = "".join("›" if (x - step) % 7 == 0 else "─" for x in range(width - 1))
        return [("►" + cells, "buy ghost")]

    def _out(self, width: int, step: int, end: str) -> Line:
        cells = "".join("›" if (x - step) % 6 == 0 else "─" for x in range(width - len(end)))
        return [(cells + end, "dim ghost")]

    def _drop(self, width: int, spots: tuple[int, ...]) -> Line:
        return [("".join("┆" if x in spots else " " for x in range(width)), "dim ghost")]


def number_of(slot: int) -> str:
    """A slot's number in two cells, or three."""
    return f"{slot:02}"[-3:]


def fill(width: int, rows: int, share: float) -> list[str]:
    """A chest's content, top row first: full rows, an eighth at the surface, nothing above."""
    eighths = round(max(0.0, min(share, 1.0)) * rows * 8)
    levels = [max(0, min(eighths - 8 * (rows - 1 - row), 8)) for row in range(rows)]
    return [("▓" if level == 8 else EIGHTHS[level]) * width for level in levels]


def gauge(width: int, share: float) -> tuple[str, str]:
    """A bar's lit and dark part."""
    lit = round(max(0.0, min(share, 1.0)) * width)
    return "▓" * lit, "░" * (width - lit)
