"""What a cycle slot bets on: whether an exit at the target fills before the deadline.

A position is tried from the close of every candle, on both sides: an entry at ``entry_pct`` waits
until the market touches it (one the market leaves behind by ``refresh_pct`` would be moved and is
no trial), then an exit at the target waits from the next candle on, because a candle does not tell
whether its high or its low came first. What the deadline finds open is written off at the close in
force; a trial whose deadline lies beyond the last candle does not count. Rungs, reprices and waits
are left out: this says whether the bet is good, not what will be earned.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from gridbot.core.numbers import HUNDRED, ONE, ZERO, plain, round_half_even
from gridbot.core.records import Record
from gridbot.core.settings import Settings

CANDLES = 720  # what Kraken tells of any interval
MINUTES = (1, 5, 15, 30, 60, 240, 1440)  # the intervals it knows
DEADLINES_SEEN = 10  # the candles should span as many
SIDES = (1, -1)  # long, short
DAY = 86_400


class Candle(NamedTuple):
    """Prices in quote from ``at`` (epoch seconds) on."""

    at: float
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class Odds(Record, frozen=True):
    """``reached_pct`` of the ``trials`` got their target in time, ``break_even_pct`` had to for a
    result of zero. ``expected_*``: result of one position on average, fees included.
    ``daily_quote``: what a slot makes a day if trial follows trial on both sides. ``text`` says it
    all; ``warning``: empty unless a loss is expected."""

    trials: int
    reached_pct: Decimal
    break_even_pct: Decimal
    expected_pct: Decimal
    expected_quote: Decimal
    daily_quote: Decimal
    text: str
    warning: str = ""


def candle_minutes(settings: Settings) -> int:
    """The shortest interval whose last 720 candles show the deadline often enough."""
    need = DEADLINES_SEEN * settings.cycle.s1_orphan_after_sec / 60
    return next((one for one in MINUTES if one * CANDLES >= need), MINUTES[-1])


def odds(
    candles: Sequence[Candle], minutes: int, settings: Settings, maker_pct: Decimal, quote: str
) -> Odds | None:
    """The bet on these candles (of ``minutes``, oldest first) at a maker fee in percent; None
    where no trial came to its end. ``quote``: name of the asset, for the text."""
    starts = ((start, sign) for start in range(len(candles)) for sign in SIDES)
    tried = (_trial(candles, *one, minutes * 60, settings, maker_pct) for one in starts)
    trials = [one for one in tried if one is not None]
    if not trials:
        return None
    won, lost = ([pct for reached, pct, _ in trials if reached is it] for it in (True, False))
    count, grid, deadline = len(trials), settings.grid, settings.cycle.s1_orphan_after_sec / 60
    mean = (sum(won, ZERO) + sum(lost, ZERO)) / count
    gain = sum(won, ZERO) / len(won) if won else grid.profit_pct - 2 * maker_pct
    loss = max(-sum(lost, ZERO) / len(lost) if lost else ZERO, ZERO)
    need = loss / (gain + loss) if gain > 0 else ONE
    one, a_day = mean * grid.order_size / HUNDRED, len(SIDES) * DAY * count
    daily = round_half_even(one * a_day / Decimal(sum(seconds for *_, seconds in trials)), 2)
    reached = round_half_even(len(won) * HUNDRED / count, 1)
    need = round_half_even(need * HUNDRED, 1)
    pct, one = round_half_even(mean, 2), round_half_even(one, 4)
    text = (
        f"{plain(reached)} % of {count} exits at {plain(grid.profit_pct)} % were reached within "
        f"{deadline:.4g} min (last {len(candles)} candles of {minutes} min); a position makes "
        f"{plain(one)} {quote} ({plain(pct)} %) on average, a cycle slot about {plain(daily)} "
        f"{quote} a day, fees included"
    )
    warning = (
        f"CYCLE SLOTS LOSE MONEY HERE: {plain(reached)} % of the exits in time, break-even needs "
        f"{plain(need)} %; give them more time (cycle.s1_orphan_after_sec) or keep slots sticky"
    )
    return Odds(count, reached, need, pct, one, daily, text, warning if mean < 0 else "")


def _trial(
    candles: Sequence[Candle], start: int, sign: int, span: float, settings: Settings,
    maker_pct: Decimal,
) -> tuple[bool, Decimal, float] | None:  # fmt: skip
    """Whether it reached the target, its result in percent of the entry's value, and the seconds
    from placing the entry to the end."""
    grid, begun, close = settings.grid, candles[start].at, candles[start].close
    entry, deadline = close * (1 - sign * grid.entry_pct / HUNDRED), 0.0
    target = entry * (1 + sign * grid.profit_pct / HUNDRED)
    for one in candles[start + 1 :]:
        best, worst = (one.high, one.low) if sign > 0 else (one.low, one.high)
        if deadline:
            if one.at + span > deadline:
                break
            if sign * (best - target) >= 0:
                gain = grid.profit_pct - maker_pct * (1 + target / entry)
                return True, gain, one.at - begun
        elif sign * (worst - entry) <= 0:
            deadline = one.at + span + settings.cycle.s1_orphan_after_sec
            if deadline > candles[-1].at + span:
                return None
        elif sign * (one.close - entry) * HUNDRED > grid.refresh_pct * one.close:
            return None
        close = one.close
    loss = sign * (close / entry - 1) * HUNDRED - maker_pct
    return (False, loss, deadline - span - begun) if deadline else None
