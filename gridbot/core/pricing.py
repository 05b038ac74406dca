"""Prices on the grid: nearest post-only prices, tick rounding, reprice targets.

Post-only orders are priced from bid and ask: the nearest sell is one tick above the bid, the
nearest buy one tick below the ask.
"""

from decimal import Decimal

from gridbot.core.numbers import HUNDRED, ONE, ceil_to_step, floor_to_step, quantum
from gridbot.core.records import Instrument, Side


def keep_post_only(
    side: Side, price: Decimal, bid: Decimal, ask: Decimal, tick: Decimal
) -> Decimal:
    """``price`` moved just far enough that it cannot take liquidity."""
    return max(price, bid + tick) if side == "sell" else min(price, ask - tick)


def outward_to_tick(side: Side, price: Decimal, instrument: Instrument) -> Decimal:
    """``price`` on the pair's tick, away from the market; unchanged where the tick is the unit of
    the last decimal, because the reducer has rounded it already."""
    if instrument.tick_size == quantum(instrument.price_decimals):
        return price
    return _to_tick(side, price, instrument.tick_size)


def reprice_target(
    side: Side,
    old_price: Decimal,
    entry_price: Decimal,
    fee_floor_pct: Decimal,
    nearest: Decimal,
    tick: Decimal,
) -> Decimal | None:
    """Where a waiting exit moves: half the way to the market, never below break-even.

    None when it would gain less than a tick. Architecture 4.4: a sell goes to the largest of
    floor, nearest sell and midpoint, rounded up; buys mirrored.
    """
    midpoint = (old_price + nearest) / 2
    if side == "sell":
        floor = entry_price * (ONE + fee_floor_pct / HUNDRED)
        target = _to_tick(side, max(floor, nearest, midpoint), tick)
        return target if old_price - target >= tick else None
    ceiling = entry_price * (ONE - fee_floor_pct / HUNDRED)
    target = _to_tick(side, min(ceiling, nearest, midpoint), tick)
    return target if target - old_price >= tick else None


def _to_tick(side: Side, price: Decimal, tick: Decimal) -> Decimal:
    return ceil_to_step(price, tick) if side == "sell" else floor_to_step(price, tick)
