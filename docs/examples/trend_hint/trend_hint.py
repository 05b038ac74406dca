"""A governor plugin: more sticky slots while the market trends, more cycle slots while it ranges.

The measure is Kaufman's efficiency ratio of the candles: the way from the first close to the last
one, divided by the sum of all steps between closes. 1 is a straight line, near 0 a market that
goes nowhere. A trend writes off the exits of cycle slots on its wrong side one after the other;
sticky slots let them wait. In a range most exits come back in time.

Install it beside gridbot (``pip install docs/examples/trend_hint``) and set
``governor.plugins = "trend_hint"``.
"""

from decimal import Decimal
from itertools import pairwise

from gridbot.core.capacity import WorkBank
from gridbot.engine.plugins import GovernorPlugin, MarketData
from gridbot.engine.status import OrderStatus, SlotStatus

CANDLES_MIN = 60
TREND, RANGE = Decimal("0.30"), Decimal("0.10")
STICKY_IN_TREND, STICKY_IN_RANGE = Decimal("1"), Decimal("0.5")
FAR_PCT = Decimal("10")


class TrendHint(GovernorPlugin):
    """Says what share of the slots should be sticky, and which orders the market has left."""

    def recommend_ratio(
        self, slots: tuple[SlotStatus, ...], capacity: WorkBank, market_data: MarketData
    ) -> tuple[Decimal, str] | None:
        """No answer while there are few candles, or neither a trend nor a range."""
        closes = [candle.close for candle in market_data.candles]
        if len(closes) < CANDLES_MIN:
            return None
        ratio = efficiency(closes)
        hours = len(closes) * market_data.minutes / 60
        moved = (closes[-1] / closes[0] - 1) * 100
        seen = f"{moved:+.1f} % in {hours:.0f} h, efficiency {ratio:.2f}"
        if ratio >= TREND:
            return STICKY_IN_TREND, f"the market trends: {seen}"
        if ratio <= RANGE:
            return STICKY_IN_RANGE, f"the market ranges: {seen}"
        return None

    def recommend_close(
        self, slot: SlotStatus, recovery_order: OrderStatus, market_data: MarketData
    ) -> str | None:
        """Recoveries only; a sticky slot's exit may wait as long as it likes."""
        price = market_data.price
        if recovery_order.role != "recovery" or price is None:
            return None
        away = abs(recovery_order.price / price - 1) * 100
        return f"the recovery is {away:.1f} % from the market" if away > FAR_PCT else None


def efficiency(closes: list[Decimal]) -> Decimal:
    """Kaufman's efficiency ratio, 0 to 1; 0 where nothing moved."""
    way = sum((abs(b - a) for a, b in pairwise(closes)), Decimal())
    return abs(closes[-1] - closes[0]) / way if way else Decimal()
