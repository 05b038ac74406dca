"""Prices on the grid: nearest post-only prices, tick rounding, reprice targets.

Post-only orders are priced from bid and ask: the nearest sell is one tick above the bid, the
nearest buy one tick below the ask.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from gridbot.core.numbers import HUNDRED, ONE, ceil_to_step, floor_to_step
from gridbot.core.records import Side

if TYPE_CHECKING:
    from gridbot.core.brain import Brain


def resting_price(brain: Brain, side: Side, price: Decimal) -> Decimal:
    """``price`` on the pair's tick, moved outward just so far that it takes no liquidity."""
    tick = brain.instrument.tick_size
    if price % tick:
        price = _to_tick(side, price, tick)
    return max(price, brain.bid + tick) if side == "sell" else min(price, brain.ask - tick)


def reprice_target(
    brain: Brain, side: Side, old_price: Decimal, entry_price: Decimal
) -> Decimal | None:
    """Where a waiting exit moves: half the way to the market, never below break-even.
    None when it would gain less than a tick. Architecture 4.4: a sell goes to the largest of
    floor, nearest sell and midpoint, rounded up; buys mirrored."""
    tick = brain.instrument.tick_size
    sell = side == "sell"
    outer, sign = (max, 1) if sell else (min, -1)
    nearest = brain.bid + tick if sell else brain.ask - tick
    floor = break_even(brain, side, entry_price)
    target = _to_tick(side, outer(floor, nearest, (old_price + nearest) / 2), tick)
    return target if sign * (old_price - target) >= tick else None


def nearest_price(brain: Brain, side: Side) -> Decimal:
    """The price nearest to the market that takes no liquidity."""
    tick = brain.instrument.tick_size
    return _to_tick(side, brain.bid + tick if side == "sell" else brain.ask - tick, tick)


def break_even(brain: Brain, side: Side, entry_price: Decimal) -> Decimal:
    """The nearest price to the market at which an exit still earns the fee floor."""
    sign = 1 if side == "sell" else -1
    price = entry_price * (ONE + sign * brain.fee_floor_pct / HUNDRED)
    return _to_tick(side, price, brain.instrument.tick_size)


def _to_tick(side: Side, price: Decimal, tick: Decimal) -> Decimal:
    return ceil_to_step(price, tick) if side == "sell" else floor_to_step(price, tick)
