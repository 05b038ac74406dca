"""Text in cells: what a line is, how it is fitted to a width, how figures are written.

A line is a list of runs (text, style), a style being words of the theme ("good", "S1a select").
Everything drawn passes ``fit``, so that no row is ever longer than its room. Only glyphs that take
one cell are used; with ``ascii`` glyphs they are translated where strips are made.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from time import gmtime, strftime

from gridbot.core.numbers import ZERO

Run = tuple[str, str]
Line = list[Run]
Piece = tuple[int, str, str]  # rank (the highest is dropped first), text, style

GLYPHS = "●◆▲■○✓»│─┌┐└┘▓░↑↓…·"
GLYPHS += "◇×▒├┤┼╌▁▂▃▄▅▆▇█▏▎▍▌▋▊▉"  # of the views and their charts
GLYPHS += "┏━┓┃┗┛╭╮╰╯«═╔╗╚╝║"  # of the factory and the dialogs
_UNSAFE = re.compile(f"[^ -~{GLYPHS}]")
TO_ASCII = str.maketrans(GLYPHS, "*o!X.+>|-++++#.^v~.=x=+++-_..-=+*#...--==+=+|++....<=++++|")


def length(line: Line) -> int:
    """Cells a line takes; everything drawn is one cell wide."""
    return sum(len(text) for text, _ in line)


def fit(line: Line, width: int) -> Line:
    """The line cut or padded to exactly ``width`` cells."""
    fitted: Line = []
    room = max(width, 0)
    for text, style in [*line, (" " * room, "")]:
        shown = clean(text)[:room]
        room -= len(shown)
        fitted += [(shown, style)] if shown else []
    return fitted


def whole(line: Line, width: int) -> Line:
    """The line without the last runs that would be cut: half a number is a wrong number."""
    while len(line) > 1 and length(line) > width:
        line = line[:-1]
    return line


def clean(text: str) -> str:
    """Text from outside made safe: what is not one plain cell becomes a question mark."""
    return text if text.isascii() and text.isprintable() else _UNSAFE.sub("?", text)


def cell(text: str, width: int, right: bool = False) -> str:
    """Text in a column: cut with a mark, padded on the far side."""
    shown = text if len(text) <= width else text[: max(width - 1, 0)] + "…"[: max(width, 0)]
    return shown.rjust(width) if right else shown.ljust(width)


def spread(left: Sequence[Piece], right: Sequence[Piece], width: int) -> Line:
    """Left and right pieces with the gap between; what does not fit goes, highest rank first."""
    pieces = [*left, *right]
    while len(pieces) > 1 and sum(len(text) for _, text, _ in pieces) > width:
        pieces.remove(max(pieces, key=lambda piece: piece[0]))
    kept = [[piece[1:] for piece in side if piece in pieces] for side in (left, right)]
    gap = max(width - sum(map(length, kept)), 0)
    return fit([*kept[0], (" " * gap, ""), *kept[1]], width)


def window(first: int, chosen: int, room: int, count: int) -> int:
    """Index of the first row to show: moved from ``first`` only as far as ``chosen`` asks."""
    first = max(min(first, chosen), chosen - room + 1)
    return max(0, min(first, count - room))


def money(value: Decimal, width: int = 8) -> str:
    """A signed amount in at most ``width`` characters, as exact as they allow."""
    value = value or ZERO  # without the sign of a negative zero
    places = (5, 3, 2, 1, 0) if 0 < abs(value) < Decimal("0.001") else (3, 2, 1, 0)
    texts = (f"{value:+.{one}f}" for one in places)
    return next((text for text in texts if len(text) <= width), f"{value:+.0e}"[:width])


def tone(value: Decimal) -> str:
    """The style of a gain, a loss, or nothing."""
    return "good" if value > 0 else "bad" if value < 0 else "dim"


def amount(value: Decimal, width: int = 8) -> Run:
    return money(value, width), tone(value)


def dim(line: Line) -> Line:
    """The line without life."""
    return [(text, "dim") for text, _ in line]


def span(seconds: float) -> str:
    """A duration in at most five characters: 9s, 12m, 1h05, 3d04."""
    minutes, rest = divmod(max(int(seconds), 0), 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days}d{hours_left:02}" if days < 100 else f"{days}d"
    return f"{hours}h{minutes_left:02}" if hours else f"{minutes}m" if minutes else f"{rest}s"


def clock(at: float, short: bool = False) -> str:
    """An epoch time as UTC time of day."""
    return strftime("%H:%M" if short else "%H:%M:%S", gmtime(at))
