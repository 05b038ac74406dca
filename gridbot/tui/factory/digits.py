"""The seven-segment counter: three by three cells a digit, unlit segments left as ghosts."""

from decimal import Decimal

from gridbot.core.numbers import plain
from gridbot.tui.factory.canvas import Canvas

# cells of the segments a to g: round by the clock from the top, then the middle
PLACES = ((1, 0), (2, 1), (2, 2), (1, 2), (0, 2), (0, 1), (1, 1))
GLYPHS = "▂▌▌▂▐▐▂"
LIT = {
    "0": "abcdef", "1": "bc", "2": "abged", "3": "abgcd", "4": "fgbc", "5": "afgcd",
    "6": "afgedc", "7": "abc", "8": "abcdefg", "9": "abcdfg", "-": "g", " ": "",
}  # fmt: skip
CELLS_MAX = 36
SCALES = ((0, ""), (3, "k"), (6, "M"), (9, "G"), (12, "T"), (15, "P"))


def reading(value: Decimal, places: int, room: int = CELLS_MAX) -> str:
    """The figure as digits, a point and a scale letter, as exact as ``room`` cells allow."""
    for power, letter in SCALES:
        for kept in range(places, -1, -1):
            text = plain(round(value.scaleb(-power), kept)) if abs(value) < Decimal("1e18") else "-"
            whole, _, rest = text.partition(".")
            shown = whole + ("." + rest.ljust(kept, "0") if kept else "") + letter
            if width(shown) <= room:
                return shown
    return "-"


def width(text: str) -> int:
    """Cells the reading takes."""
    return sum(3 if one in LIT else 1 for one in text)


def draw(canvas: Canvas, x: int, y: int, text: str, ground: str, ghosts: bool) -> None:
    """The reading with its upper left cell at x, y, on a ground like ``on-void``."""
    lit, unlit = f"structure {ground}", f"ghost {ground}"
    for one in text:
        if one not in LIT:
            canvas.put(x, y + 2, one, f"{lit} bold")
            x += 1
            continue
        for name, (dx, dy), glyph in zip("abcdefg", PLACES, GLYPHS, strict=True):
            if name in LIT[one]:
                canvas.put(x + dx, y + dy, glyph, lit)
            elif ghosts:
                canvas.put(x + dx, y + dy, glyph, unlit)
        x += 3
