"""Where things stand in Bauhaus mode: the membrane, the gullet through it, the slots inside.

Heights are counted in half-cells from the top of the picture (``2 * y`` and ``2 * y + 1`` are the
halves of row ``y``). Everything here follows from sizes and numbers: no status, no time.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from math import ceil, pi, sin
from typing import NamedTuple

from gridbot.core.numbers import ZERO

WIDTH_MIN, HEIGHT_MIN = 40, 10
FULL_HEIGHT, PLAIN_HEIGHT = 20, 16  # from here on with a line of details, with histories
CORE_SHARE, CHANNEL_SHARE = 0.4, 0.55  # of the membrane's height, for slots and for the gullet
SWELL_SHARE = 0.16  # how much of the membrane's half height volume can add to the gullet
REACH_SHARE = 0.45  # of the half height: the farthest an order is drawn from the gullet


class Tier(NamedTuple):
    """One size of slot, ``gap`` rows apart; wide ones have a border and room for two anchors."""

    w: int
    h: int
    gap: int


LARGE, MEDIUM, NORMAL, SMALL = Tier(14, 3, 0), Tier(8, 3, 0), Tier(6, 3, 0), Tier(4, 3, 0)
CHIP, FLAKE = Tier(3, 2, 1), Tier(3, 1, 0)


class Box(NamedTuple):
    """A slot in the gullet; ``anchors``: columns of the orders of its trades A and B."""

    x: int
    y: int
    tier: Tier
    anchors: tuple[int, int]
    narrow: bool  # no room for ‹ › around a symbol


class Layout:
    """The fixed part of a picture of ``width`` x ``height`` cells with ``count`` slots."""

    def __init__(self, width: int, height: int, count: int, chosen: int = 0) -> None:
        self.width, self.height = width, height
        self.details, self.histories = height >= FULL_HEIGHT, height >= PLAIN_HEIGHT
        self.top = 2 if self.histories else 1
        self.bottom = height - (2 if self.details else 1)  # first row below the membrane
        self.rows = self.bottom - self.top
        self.centre = self.top + self.bottom  # in half-cells
        self.funnel = max(4, min(24, width * 2 // 15))
        self.tier, self.lines, self.per_line = self._choose(count)
        places = self.lines * self.per_line
        self.shown = count if count <= places else places - 1  # the last place counts the others
        page = chosen // max(self.shown, 1) * self.shown
        self.first = max(0, min(page, count - self.shown))
        self.hidden = count - self.shown
        self.core = self.lines * (self.tier.h + self.tier.gap) - self.tier.gap
        self.half_min = self.core + 2
        self.half_max = max(
            self.half_min + 1,
            min(self.half_min + int(self.rows * SWELL_SHARE), int(self.rows * CHANNEL_SHARE)),
        )

        self.room = (self.rows - self.half_max) // 2  # rows of membrane beside the widest gullet
        self.counter_rows = 5 if self.room >= 9 else 3 if self.room >= 6 else 0
        self.rimmed = self.room >= 3
        self.edges = lru_cache(32)(self._edges)
        self.membrane = lru_cache(32)(self._membrane)

    def _choose(self, count: int) -> tuple[Tier, int, int]:
        """The largest slots that all fit: first narrower, then on several lines, then counted."""
        room = self.width - 2 * self.funnel
        most = max(3, int(self.rows * CORE_SHARE))
        tries = [(tier, 1) for tier in (LARGE, MEDIUM, NORMAL, SMALL)]
        tries += [(tier, n) for n in range(2, 6) for tier in (NORMAL, SMALL, CHIP)]
        tries += [(FLAKE, n) for n in range(1, most + 1)]
        fitting = [
            (tier, lines, max(1, (room + 1) // (tier.w + 1)))
            for tier, lines in tries
            if lines * (tier.h + tier.gap) - tier.gap <= most
        ]
        enough = (one for one in fitting if one[1] * one[2] >= count)
        tier, lines, per_line = next(enough, fitting[-1])
        return tier, lines, max(1, min(per_line, ceil(count / lines)) if count else 1)

    def box(self, place: int) -> Box:
        """The place of the ``place``-th visible slot, line by line, each line centred."""
        tier, (line, column) = self.tier, divmod(place, self.per_line)
        pitch = tier.w + 1
        left = (self.width - self.per_line * pitch + 1) // 2
        x = left + column * pitch
        y = (self.centre - self.core) // 2 + line * (tier.h + tier.gap)
        if self.lines == 1:
            anchors = (x + 1, x + tier.w - 2) if tier.w >= 6 else (x + tier.w // 2,) * 2
            return Box(x, y, tier, (anchors[0], anchors[1]), False)
        anchor = x + (2 * line + 1) * pitch // (2 * self.lines)
        return Box(x, y, tier, (anchor, anchor), pitch // self.lines < 3)

    def holds(self, x: int, y: int) -> bool:
        """Whether a cell lies in the block of slots."""
        side = (self.width - self.per_line * (self.tier.w + 1) + 1) // 2 - 1
        return (
            0 <= y - (self.centre - self.core) // 2 < self.core and side <= x <= self.width - side
        )

    def halves(self, polls: Sequence[tuple[Decimal, Decimal]]) -> tuple[int, int]:
        """Half heights of the gullet: by sells above, by buys below, the latest of ``polls``."""
        peak = max(max(pair) for pair in polls)
        swell = self.half_max - self.half_min
        shares = [float(max(one, ZERO) / peak) if peak > 0 else 0.0 for one in polls[-1]]
        return self.half_min + round(shares[0] * swell), self.half_min + round(shares[1] * swell)

    def outskirts(self, above: bool, share: float) -> int:
        """A row of the membrane beyond the orders, ``share`` of the way to its rim."""
        inner = max(self.room - 4, 0)
        away = round(inner * (1 - share))
        return self.top + 2 + away if above else self.bottom - 3 - away

    def _edges(self, upper: int, lower: int) -> tuple[list[int], list[int]]:
        """First half-cell of the gullet and first below it, per column, for its half heights."""
        high, low = 2 * self.top, 2 * self.bottom
        above, below = [], []
        for x in range(self.width):
            share = _ease(1 - min(x, self.width - 1 - x) / self.funnel)
            reach_up, reach_down = self.centre - high - upper, low - self.centre - lower
            above.append(self.centre - upper - round(reach_up * share))
            below.append(self.centre + lower + round(reach_down * share))
        return above, below

    def _membrane(self, upper: int, lower: int) -> list[str]:
        """Rows of half-blocks: the gullet, the same from both ends, and the rims that wobble."""
        above, below = self.edges(upper, lower)
        middle = (self.width + 1) // 2
        high, low = above[:middle], [-edge for edge in below[:middle]]
        rows = []
        for y in range(self.top, self.bottom):
            ends = [  # columns that are black in each half, counted from one end
                bisect_right(high, p) if p < self.centre else bisect_left(low, -p)
                for p in (2 * y, 2 * y + 1)
            ]
            between = "▀" if ends[0] > ends[1] else "▄"
            left = ("█" * min(ends) + between * abs(ends[0] - ends[1])).ljust(middle)
            rows.append(left + left[::-1][self.width % 2 :])
        if self.rimmed:
            rows[0] = self._rim(rows[0], "▀▄", 0.7)
            rows[-1] = self._rim(rows[-1], "▄▀", 2.9)
        return rows

    def _rim(self, row: str, glyphs: str, seed: float) -> str:
        return "".join(
            glyphs[_wobble(x, seed, self.width)] if one == " " else one for x, one in enumerate(row)
        )


def _ease(share: float) -> float:
    """Cubic, slow at both ends."""
    if share <= 0:
        return 0.0
    return 4 * share**3 if share < 0.5 else 1 - 4 * (1 - share) ** 3


def _wobble(x: int, seed: float, width: int) -> int:
    """Half-cells, 0 or 1, by two slow waves."""
    turn = 2 * pi * x / 37
    return int(sin(turn + seed) + sin(turn * 0.43 + seed * width) > 0.35)


layout_of = lru_cache(8)(Layout)
