"""What the public saw of the market: trades of late and one-minute candles, in API time.

Each point of the market's path counts as one trade; prices are scaled, the volumes mere
statistics. Minutes before the first one known are shown flat, so that a client always gets 720.
"""

from collections import deque
from dataclasses import dataclass

ROWS_MAX = 720


@dataclass(slots=True)
class Candle:
    """One span of time; ``value`` is the sum of price x volume."""

    start: int
    open: int
    high: int
    low: int
    close: int
    volume: float = 0.0
    value: float = 0.0
    count: int = 0

    def add(self, later: "Candle") -> None:
        self.high, self.low = max(self.high, later.high), min(self.low, later.low)
        self.close = later.close
        self.volume, self.value = self.volume + later.volume, self.value + later.value
        self.count += later.count


class Tape:
    """Grows with every tick; both ends are bounded. A trade: price, volume, time, side, number."""

    def __init__(self) -> None:
        self.minutes: deque[Candle] = deque(maxlen=60 * ROWS_MAX)
        self.trades: deque[tuple[int, float, float, str, int]] = deque(maxlen=1000)

    def record(self, at: float, price: int, volume: float) -> None:
        """A tick; without volume nothing traded."""
        start = int(at // 60) * 60
        if not self.minutes or self.minutes[-1].start != start:
            self.minutes.append(Candle(start, *[price] * 4))
        count = int(volume > 0)
        self.minutes[-1].add(
            Candle(start, price, price, price, price, volume, price * volume, count)
        )
        if count:
            last = self.trades[-1] if self.trades else (price, 0.0, 0.0, "", 0)
            side = "b" if price >= last[0] else "s"
            self.trades.append((price, volume, at, side, last[4] + 1))

    def candles(self, minutes: int, now: float) -> list[Candle]:
        """The newest 720 candles of so many minutes, the running one last."""
        span = minutes * 60
        last = int(now // span) * span
        oldest = last - (ROWS_MAX - 1) * span
        known: dict[int, Candle] = {}
        for one in self.minutes:
            if (start := one.start // span * span) >= oldest:
                known.setdefault(start, Candle(start, *[one.open] * 4)).add(one)
        price = next((one.open for one in known.values()), self.minutes[-1].close)
        rows = []
        for start in range(oldest, last + span, span):
            rows.append(known.get(start) or Candle(start, *[price] * 4))
            price = rows[-1].close
        return rows

    def since(self, at: float) -> Candle:
        """Everything from ``at`` on as one candle."""
        late = [one for one in self.minutes if one.start >= at] or [self.minutes[-1]]
        found = Candle(0, *[late[0].open] * 4)
        for one in late:
            found.add(one)
        return found
