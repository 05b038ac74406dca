"""Price sources of the simulated exchange: one walk over ticks, whatever the path comes from.

A market is a sequence of ticks: the points of a path, and between them the multiples of the poll
interval, where the price in force is repeated. A candle of interval I starting at t gives four
points: open at t, the extreme nearer to the open (the low when both are as near) at t + I/4, the
other extreme at t + I/2, the close at t + 3I/4. A recorded trade is one point. Where nothing was
recorded nothing traded and the price stays. Grid ticks lie strictly between two points, so the
first tick is the first point and the last tick the last one.

``advance`` jumps from stop to stop and costs next to nothing for quiet candles, yet it ends
exactly where a walk over every tick would: same tick, same tick before it, same volume. Prices
are whole numbers, scaled by ``scale`` = 10 ** ``price_decimals``.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from gridbot.core.numbers import ZERO
from gridbot.core.odds import CANDLES, Candle

NO_DOWN = -1  # bounds that no price reaches
NO_UP = 1 << 62
CHUNK = 64  # rows that share one high and low in the scan
PLACE = ("_row", "_point", "_on_grid", "at", "price", "previous_at", "previous_price")
VOLUME_DECIMALS = 8  # traded volumes are kept as whole numbers of 1E-8


class MarketDataError(ValueError):
    """A recording that cannot be used; the message names the file, the line and the remedy."""


class Block:
    """Rows of a path in columns. ``step`` is a quarter of a candle's interval, 0 for trades.
    A block that another one follows has one more start than rows: the start of what follows.
    ``first_row`` counts the rows of all blocks before it.
    """

    def __init__(
        self,
        starts: Sequence[float],
        prices: tuple[Sequence[int], Sequence[int], Sequence[int], Sequence[int]],
        step: float,
        volumes: Sequence[int] | None = None,
        first_row: int = 0,
    ) -> None:
        self.starts = starts
        self.opens, self.highs, self.lows, self.closes = prices
        self.step = step
        self.volumes = volumes
        self.first_row = first_row
        self.rows = len(self.opens)
        firsts = range(0, self.rows, CHUNK)
        self.chunk_highs = [max(self.highs[i : i + CHUNK]) for i in firsts]
        self.chunk_lows = [min(self.lows[i : i + CHUNK]) for i in firsts]

    @property
    def points(self) -> int:
        return 4 if self.step else 1

    def path(self, row: int) -> tuple[int, ...]:
        """The prices of this row's points in the order they are walked."""
        start, near, far = self.opens[row], self.lows[row], self.highs[row]
        if not self.step:
            return (start,)
        if far - start < start - near:
            near, far = far, near
        return (start, near, far, self.closes[row])

    def first_loud(self, row: int, down: int, up: int, until: float) -> int:
        """First row from ``row`` on that must be walked; ``rows`` if none of this block."""
        # A row is safe to skip when the next one starts before ``until``.
        limit = bisect_left(self.starts, until, row) - 1
        lows, highs = self.lows, self.highs
        while row < limit:
            if not row % CHUNK:
                chunk, full = row // CHUNK, limit // CHUNK
                chunk_lows, chunk_highs = self.chunk_lows, self.chunk_highs
                while chunk < full and chunk_lows[chunk] > down and chunk_highs[chunk] < up:
                    chunk += 1
                row = chunk * CHUNK
            end = min(limit, row - row % CHUNK + CHUNK)
            while row < end:
                if lows[row] <= down or highs[row] >= up:
                    return row
                row += 1
        return row


def grid_after(at: float, interval: float) -> float:
    """The first multiple of ``interval`` later than ``at``."""
    count = math.floor(at / interval)
    while (multiple := count * interval) <= at:
        count += 1
    return multiple


def grid_before(at: float, interval: float) -> float:
    """The last multiple of ``interval`` earlier than ``at``."""
    count = math.ceil(at / interval)
    while (multiple := count * interval) >= at:
        count -= 1
    return multiple


class Market:
    """A price source: the walk over blocks of rows; a subclass says which block follows which.
    Times are epoch seconds, prices whole numbers scaled by ``scale``. ``_row`` and ``_point`` name
    the last point passed (point -1: none of that row yet), which is the current tick unless the
    market stands on the grid behind it.
    """

    def __init__(
        self, block: Block, price_decimals: int, poll_interval_seconds: float, source: str
    ) -> None:
        self.price_decimals = price_decimals
        self.scale: int = 10**price_decimals
        self.poll_interval_seconds = poll_interval_seconds
        self.source = source
        self.end_at = math.inf
        self._block = block
        self._points = block.points
        # Where a candle's points stand on the grid, no grid tick lies within a step of one.
        step, poll = block.step, poll_interval_seconds
        aligned = step and not poll % step and not any(map(step.__rmod__, block.starts))
        self._quiet_gap = step if aligned else 0.0
        self.at = self.previous_at = float(block.starts[0])
        self.price = self.previous_price = block.opens[0]
        self._row = self._point = 0
        self._on_grid = False
        self._path = block.path(0)

    def _following(self, block: Block) -> Block | None:
        """The block after ``block``, None at the end of the data."""
        return None

    def advance(self, down: int, up: int, until: float) -> None:
        """Go to the first later tick with price <= down, price >= up or time >= until.
        At least one tick forward; at the end of the data the market stays on the last tick.
        """
        at, price, row, point, path = self.at, self.price, self._row, self._point, self._path
        previous_at, previous_price = self.previous_at, self.previous_price
        points, quiet_gap, poll = self._points, self._quiet_gap, self.poll_interval_seconds
        block, on_grid = self._block, self._on_grid
        while True:
            point += 1
            if point == points:
                if row + 1 == block.rows and len(block.starts) == row + 1:
                    point -= 1
                    break
                row, at, price = self._next_row(row, at, price, down, up, until)
                block, point = self._block, 0
                path = self._path = block.path(row)
            point_at = block.starts[row] + point * block.step
            previous_at, previous_price = at, price
            if point_at - at > quiet_gap and (grid_at := grid_after(at, poll)) < point_at:
                if grid_at < until and down < price < up:
                    grid_at = point_at
                    if until < point_at:  # the first multiple at or after ``until``
                        grid_at = grid_after(math.nextafter(until, -math.inf), poll)
                if grid_at < point_at:
                    previous_at = max(at, grid_before(grid_at, poll))
                    at, on_grid, point = grid_at, True, point - 1
                    break
                previous_at = grid_before(point_at, poll)
            at, price, on_grid = point_at, path[point], False
            if price <= down or price >= up or at >= until:
                break
        self.at, self.price, self._on_grid = at, price, on_grid
        self.previous_at, self.previous_price = previous_at, previous_price
        self._row, self._point = row, point

    def _next_row(
        self, row: int, at: float, price: int, down: int, up: int, until: float
    ) -> tuple[int, float, int]:
        """The next row to walk, and time and price of the point before it."""
        block = self._block
        inside = down < price < up
        row += 1
        while True:
            if row == block.rows:
                following = self._following(block)
                assert following is not None, "the end of the data is the caller's business"
                block = self._block = following
                row = 0
            if not inside:
                return row, at, price
            loud = block.first_loud(row, down, up, until)
            if loud > row:
                row = loud
                at = block.starts[row - 1] + (self._points - 1) * block.step
                price = block.closes[row - 1]
            if row < block.rows:
                return row, at, price

    @property
    def volume(self) -> Decimal | None:
        """Base volume that traded at the current tick; None where it knows no limit."""
        volumes = self._block.volumes
        if volumes is None:
            return None
        if self._on_grid:
            return ZERO
        return Decimal(volumes[self._row]).scaleb(-VOLUME_DECIMALS) / self._points

    @property
    def finished(self) -> bool:
        """Whether this is the last tick of the data."""
        # The last row and point of a block that none follows: it has a start for each row only.
        last_row = self._row + 1 == self._block.rows == len(self._block.starts)
        return last_row and self._point == self._points - 1

    @property
    def next_at(self) -> float:
        """Time of the next tick, infinity on the last one."""
        if self.finished:
            return math.inf
        row, point = divmod(self._row * self._points + self._point + 1, self._points)
        point_at = self._block.starts[row] + point * self._block.step
        return min(point_at, grid_after(self.at, self.poll_interval_seconds))

    @property
    def candles(self) -> int:
        """Candles begun so far; 0 for a recording of trades."""
        return self._block.first_row + self._row + 1 if self._points > 1 else 0

    @property
    def ticks(self) -> int:
        """Points of the path passed so far, grid ticks not counted."""
        return (self._block.first_row + self._row) * self._points + max(self._point + 1, 0)

    def history(self, until: float, minutes: int, count: int = CANDLES) -> list[Candle]:
        """The last candles of so many minutes that ended by ``until`` (epoch seconds),
        those without a trade left out. Uses the market up: ask a fresh one."""
        span, block, found = minutes * 60, self._block, dict[float, list[int]]()
        last = math.floor(until / span) * span
        while True:
            if block.starts[-1] >= last - count * span:
                prices = block.opens, block.highs, block.lows, block.closes
                for start, *row in zip(block.starts, *prices, strict=False):
                    at = start // span * span
                    if last - count * span <= at < last:
                        one = found.setdefault(at, row)
                        one[1:] = max(one[1], row[1]), min(one[2], row[2]), row[3]
            if len(block.starts) == block.rows or block.starts[-1] >= last:
                break
            following = self._following(block)
            assert following is not None, "a block with one more start is followed by another"
            block = following
        price = Decimal(1).scaleb(-self.price_decimals)
        return [Candle(at, *(units * price for units in row)) for at, row in found.items()]

    def state(self) -> dict[str, Any]:
        """Where the market stands, ready for JSON."""
        return {"source": self.source} | {name.strip("_"): getattr(self, name) for name in PLACE}

    def restore(self, state: dict[str, Any]) -> None:
        """Stand where ``state`` was taken; raises MarketDataError if it is of another market."""
        saved, here = state["source"], self.source
        if saved != here:
            raise MarketDataError(f"the saved position belongs to {saved!r}, this is {here!r}")
        for name in PLACE:
            setattr(self, name, state[name.strip("_")])
        self._path = self._block.path(self._row)
