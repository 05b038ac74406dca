"""Risk limits: what stops entries until an operator resumes.

Four limits, each off at 0: the realised loss of a UTC day (write-offs included), the fall of the
worth from its highest point, a lowest and a highest price. On a trip resting entries are cancelled
and entries wait, exits stay, deadlines and write-offs stand still. Neither midnight nor a restart
lifts it, only a resume does: it counts the loss and the fall afresh from there.

The highest worth is raised in steps of a hundredth of the limit, and the prices at which it would
be raised or the limit reached are wakes: what is skipped between them cannot matter.
"""

from __future__ import annotations

from decimal import Decimal
from math import inf
from typing import TYPE_CHECKING

import msgspec

from gridbot.core.numbers import HUNDRED, ZERO, plain
from gridbot.core.settings import RiskSettings
from gridbot.core.trading import cancel_entries, move_back
from gridbot.core.wakes import EARLY

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

DAY_SECONDS = 86_400
NO_LIMITS = RiskSettings()


class RiskState(msgspec.Struct):
    """``day``: number of the UTC day, ``booked_before``: what was realised when it began or at the
    last resume. ``peak``: highest worth in quote; None until it is first looked at."""

    day: int = -1
    booked_before: Decimal = ZERO
    peak: Decimal | None = None


def begin_step(brain: Brain) -> None:
    """A new UTC day begins with what was booked before this step."""
    day = int(brain.now // DAY_SECONDS)
    if day != brain.risk.day:
        brain.risk.day, brain.risk.booked_before = day, booked(brain)


def booked(brain: Brain) -> Decimal:
    """Realised results and write-offs so far, in quote."""
    return brain.books.totals.realised + brain.books.totals.write_offs


def check(brain: Brain) -> None:
    """Trip if a limit is passed."""
    if brain.risk_reason or brain.price is None or not brain.started_at:
        return
    reason = _passed(brain, brain.price)
    if reason:
        brain.stand_still()
        brain.risk_reason = reason
        for live in [one for one in brain.refreshes if one.role == "entry"]:
            brain.refreshes.remove(live)
            move_back(brain, live)
        cancel_entries(brain)
        brain.look_again()
        brain.emit("risk_tripped", "bad", reason=reason)


def rearm(brain: Brain) -> None:
    """An operator has seen it: count afresh."""
    brain.risk_reason = ""
    brain.risk.booked_before, brain.risk.peak = booked(brain), None


def bounds(brain: Brain) -> tuple[float, float]:
    """Prices at or below and at or above which a limit trips or the highest worth is raised."""
    limits, down, up = brain.settings.risk, -inf, inf
    if brain.risk_reason or not brain.started_at:
        return down, up
    if limits.lower_price:
        down = float(limits.lower_price)
    if limits.upper_price:
        up = float(limits.upper_price)
    quote, base = _worth_terms(brain)
    if limits.max_drawdown and brain.risk.peak is not None and base > 0:
        peak = brain.risk.peak
        down = max(down, float((peak - limits.max_drawdown - quote) / base))
        up = min(up, float((peak + limits.max_drawdown / HUNDRED - quote) / base))
    return down * (1 + EARLY) if down > 0 else down, up * (1 - EARLY)


def _passed(brain: Brain, price: Decimal) -> str:
    limits, unit = brain.settings.risk, brain.instrument.quote
    lost = brain.risk.booked_before - booked(brain)
    if limits.max_daily_loss and lost >= limits.max_daily_loss:
        return f"lost {lost:.2f} {unit} today, limit {plain(limits.max_daily_loss)}"
    if limits.lower_price and price < limits.lower_price:
        return f"price {plain(price)} is below {plain(limits.lower_price)}"
    if limits.upper_price and price > limits.upper_price:
        return f"price {plain(price)} is above {plain(limits.upper_price)}"
    if not limits.max_drawdown:
        brain.risk.peak = None
        return ""
    quote, base = _worth_terms(brain)
    worth, peak = quote + base * price, brain.risk.peak
    if peak is None or worth >= peak + limits.max_drawdown / HUNDRED:
        peak = brain.risk.peak = worth
    fallen = peak - worth
    if fallen < limits.max_drawdown:
        return ""
    return f"worth fell {fallen:.2f} {unit} from its highest, limit {plain(limits.max_drawdown)}"


def _worth_terms(brain: Brain) -> tuple[Decimal, Decimal]:
    """(a, b): the worth at price p is a + b x p, without what was paid in or out meanwhile. Where
    base is allotted only that and our own flows count."""
    books, allotted = brain.books, brain.settings.funds.base
    if isinstance(allotted, Decimal):
        return books.quote - books.paid_in_quote, books.base - books.paid_in_base + allotted
    return books.quote - books.positions.external_worth, books.base
