"""Patches as one string for the terminal: grouped by style, then in screen order.

Each style is set once; from run to run the cursor is moved forward within a row, else placed.
"""

from collections.abc import Iterable, Sequence
from operator import itemgetter

from gridbot.tui.factory.contract import Patch
from gridbot.tui.factory.styles import StyleTable

BY_STYLE = itemgetter(2, 0, 1)
RESET = "\x1b[0m"  # whoever writes next may rely on it


def encode(patches: Iterable[Patch], styles: StyleTable, top: int = 0, left: int = 0) -> str:
    """The sequence that paints ``patches`` of a picture whose corner is at ``top``, ``left``."""
    parts: list[str] = []
    add, change = parts.append, styles.change
    now, at_y, at_x = -1, -1, -1
    for y, x, style, text in sorted(patches, key=BY_STYLE):
        if style != now:
            add(change(now, style))
            now = style
        if y == at_y and x >= at_x:
            if x > at_x:
                add(f"\x1b[{x - at_x}C" if x > at_x + 1 else "\x1b[C")
        else:
            add(f"\x1b[{top + y + 1};{left + x + 1}H")
        add(text)
        at_y, at_x = y, x + len(text)
    return styles.glyphs("".join(parts)) + RESET if parts else ""


def without(patches: Iterable[Patch], covered: Sequence[tuple[int, int, int, int]]) -> list[Patch]:
    """The parts of patches outside rectangles (x, y, width, height) that lie in front."""
    kept = list(patches)
    for left, top, width, height in covered:
        right, bottom, cut = left + width, top + height, []
        for one in kept:
            end = one.x + len(one.text)
            if not top <= one.y < bottom or end <= left or one.x >= right:
                cut.append(one)
                continue
            if one.x < left:
                cut.append(one._replace(text=one.text[: left - one.x]))
            if end > right:
                cut.append(one._replace(x=right, text=one.text[right - one.x :]))
        kept = cut
    return kept
