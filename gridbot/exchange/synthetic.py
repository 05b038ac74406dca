"""An endless market out of a seed: one-minute candles from whole numbers only.

Every block of candles has its own generator seeded with (seed, block number), so the market is
the same on every machine and any block can be made again from its number and its first price.
A step is the bit count of 64 random bits minus 32: exact, near normal, standard deviation 4.
Three steps make a minute. Each block draws a spell (calm, normal, wild) and a small trend of its
own; ``volatility`` is the standard deviation of one minute's move in percent in a normal spell.
Inside a block the step size is fixed by the first price, from block to block it follows the
price. The price stays between a thousandth and a thousandfold of where it began.
"""

import sys
from array import array
from decimal import Decimal
from itertools import accumulate
from random import Random
from typing import Any

from gridbot.exchange.markets import Block, Market

START_AT = 1767225600.0  # 2026-01-01 00:00 UTC
BLOCK_ROWS = 512
INTERVAL_SECONDS = 60.0
STEPS = 3  # random steps in a candle
FRACTION_BITS = 24  # prices are carried with this many binary places
DAY_STEPS = 1440 * STEPS
RANGE_FACTOR = 1000
ENDLESS = 1 << 62  # candles
# Spells in percent of the volatility, drawn evenly; the mean of the squares is about 1.
SPELLS_PERCENT = (55, 55, 55, 100, 100, 100, 100, 180)
# 1 / (4 * sqrt(3)) in millionths: makes three steps of deviation 4 one minute of deviation 1.
STEP_MILLIONTHS = 144338


class SyntheticMarket(Market):
    """``start_price`` is scaled; ``volatility`` percent a minute, ``trend`` percent a day.
    ``candles`` limits the length; without it the market never ends. Volume is unlimited.
    """

    def __init__(
        self,
        seed: int,
        start_price: int,
        price_decimals: int,
        volatility: Decimal = Decimal("0.05"),
        trend: Decimal = Decimal(0),
        poll_interval_seconds: float = 30.0,
        candles: int | None = None,
    ) -> None:
        if start_price <= 0 or (candles is not None and candles <= 0):
            raise ValueError(f"start price {start_price} and candles {candles} must be above 0")
        self._seed = seed
        self._limit = ENDLESS if candles is None else candles
        self._volatility_millionths = int(volatility * 1_000_000)
        self._trend_millionths = int(trend * 1_000_000)
        self._floor = max(start_price // RANGE_FACTOR, 1) << FRACTION_BITS
        self._ceiling = (start_price * RANGE_FACTOR) << FRACTION_BITS
        self._random = Random()
        first = self._generate(0, start_price << FRACTION_BITS)
        begin = Decimal(start_price).scaleb(-price_decimals)
        moves = f"volatility {volatility} % a minute, trend {trend} % a day"
        source = f"synthetic market, seed {seed}, from {begin:f}, {moves}"
        super().__init__(first, price_decimals, poll_interval_seconds, source)
        if candles is not None:
            self.end_at = START_AT + candles * INTERVAL_SECONDS - first.step

    def _generate(self, number: int, first_fine: int) -> Block:
        """Block ``number``, whose first price is ``first_fine`` (with its binary places)."""
        first_row = number * BLOCK_ROWS
        rows = min(BLOCK_ROWS, self._limit - first_row)
        fine = self._fine_path(number, first_fine)
        self._number, self._first_fine, self._last_fine = number, first_fine, fine[-1]
        path = [price >> FRACTION_BITS for price in fine[: rows * STEPS + 1]]
        opens, closes = path[:-1:STEPS], path[STEPS::STEPS]
        inner = [path[step::STEPS] for step in range(1, STEPS)]
        highs = list(map(max, opens, closes, *inner))
        lows = list(map(min, opens, closes, *inner))
        more = first_row + rows < self._limit
        start = START_AT + first_row * INTERVAL_SECONDS
        starts = [start + i * INTERVAL_SECONDS for i in range(rows + more)]
        prices = (opens, highs, lows, closes)
        return Block(starts, prices, INTERVAL_SECONDS / 4, first_row=first_row)

    def _fine_path(self, number: int, first_fine: int) -> list[int]:
        random = self._random
        random.seed(f"{self._seed}:{number}")
        spell_percent = SPELLS_PERCENT[random.getrandbits(3)]
        tilt = random.getrandbits(16).bit_count() - 8
        volatility = self._volatility_millionths
        unit = first_fine * volatility * spell_percent * STEP_MILLIONTHS // 10**16
        drift_millionths = self._trend_millionths + volatility * tilt
        drift = first_fine * drift_millionths // (10**8 * DAY_STEPS)
        step_of_bits = [(bits - 32) * unit + drift for bits in range(65)]
        words = array("Q", random.randbytes(8 * BLOCK_ROWS * STEPS))
        if sys.byteorder == "big":
            words.byteswap()
        steps = map(step_of_bits.__getitem__, map(int.bit_count, words))
        fine = list(accumulate(steps, initial=first_fine))
        if min(fine) < self._floor or max(fine) > self._ceiling:
            fine = [min(max(price, self._floor), self._ceiling) for price in fine]
        return fine

    def _following(self, block: Block) -> Block | None:
        return self._generate(self._number + 1, self._last_fine)

    def state(self) -> dict[str, Any]:
        return super().state() | {"block": self._number, "first_fine": self._first_fine}

    def restore(self, state: dict[str, Any]) -> None:
        """Make the saved block again and stand in it."""
        self._block = self._generate(int(state["block"]), int(state["first_fine"]))
        super().restore(state)
