"""Simulated venues for the engine: made from settings, or from what a directory has saved.

What a venue was made with is saved beside its state, because the configuration may change while
the market of a data directory goes on for life.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import msgspec

from gridbot.core.numbers import HUNDRED, ONE, plain, quantum
from gridbot.core.records import Fees, Instrument
from gridbot.core.settings import Settings, open_orders_limit
from gridbot.exchange.instruments import DEFAULT_PAIR, find_instrument, start_price
from gridbot.exchange.markets import Market
from gridbot.exchange.simulated import SimulatedExchange
from gridbot.exchange.synthetic import SyntheticMarket

KEEP_DONE_ORDERS = 2_000  # a snapshot carries them; nobody asks for older ones
BALANCE_FACTOR = 2  # of what the configured slots need on each side


class VenuePlan(msgspec.Struct, frozen=True):
    """All that a simulated venue is made of, apart from the market's prices."""

    instrument: Instrument
    maker_fee_pct: Decimal
    fee_asset: str
    quote_balance: Decimal
    base_balance: Decimal
    open_orders_limit: int
    seed: int
    volatility: Decimal
    trend: Decimal
    start_units: int
    poll_interval_seconds: float
    candles: int | None = None


def plan_venue(
    settings: Settings,
    instrument: Instrument | None = None,
    price: Decimal | None = None,
    candles: int | None = None,
) -> VenuePlan:
    """What to simulate: starting balances are twice what the slots need, unless they are set.

    Raises UnknownPair for a pair that the simulation does not know.
    """
    if instrument is None:
        instrument = find_instrument(settings.exchange.pair or DEFAULT_PAIR)
        price = settings.sim.start_price or start_price(instrument.pair)
    assert price is not None, "a given instrument comes with its price"
    price = price.quantize(quantum(instrument.price_decimals), ROUND_HALF_EVEN)
    quote, base = _starting_balances(settings, instrument, price)
    return VenuePlan(
        instrument,
        settings.fees.maker_fee_pct,
        settings.sim.fee_asset,
        quote,
        base,
        open_orders_limit(settings),
        settings.sim.seed,
        settings.sim.volatility,
        settings.sim.trend,
        int(price.scaleb(instrument.price_decimals)),
        settings.timing.poll_interval_seconds,
        candles,
    )


def _starting_balances(
    settings: Settings, instrument: Instrument, price: Decimal
) -> tuple[Decimal, Decimal]:
    """Twice one order per slot and side, fees included; shorts and longs may all be open."""
    slots = max(settings.slots.initial_slots, 1)
    fee = ONE + settings.fees.maker_fee_pct / HUNDRED
    need = settings.grid.order_size * slots * BALANCE_FACTOR * fee
    quote = settings.sim.quote_balance
    base = settings.sim.base_balance
    if quote is None:
        quote = need.quantize(quantum(min(instrument.cost_decimals, 2)), ROUND_HALF_EVEN)
    if base is None:
        base = (need / price).quantize(quantum(instrument.volume_decimals), ROUND_HALF_EVEN)
    return quote, base


def synthetic_market(plan: VenuePlan) -> SyntheticMarket:
    """The seeded market of a plan."""
    return SyntheticMarket(
        plan.seed,
        plan.start_units,
        plan.instrument.price_decimals,
        plan.volatility,
        plan.trend,
        plan.poll_interval_seconds,
        candles=plan.candles,
    )


def make_venue(plan: VenuePlan, market: Market | None = None) -> SimulatedExchange:
    """A fresh venue on ``market``, by default the plan's synthetic one."""
    instrument = plan.instrument
    return SimulatedExchange(
        instrument,
        market or synthetic_market(plan),
        plan.maker_fee_pct,
        "base" if plan.fee_asset == "base" else "quote",
        {instrument.quote: plan.quote_balance, instrument.base: plan.base_balance},
        plan.open_orders_limit,
        KEEP_DONE_ORDERS,
    )


def venue_state(plan: VenuePlan, venue: SimulatedExchange) -> dict[str, Any]:
    """Plan and state, JSON-able."""
    return {"plan": msgspec.to_builtins(plan), "state": venue.state()}


def load_venue(
    saved: dict[str, Any], market: Market | None = None
) -> tuple[VenuePlan, SimulatedExchange]:
    """The venue that ``venue_state`` described."""
    plan = msgspec.convert(saved["plan"], VenuePlan)
    venue = make_venue(plan, market)
    venue.restore(saved["state"])
    return plan, venue


def venue_fees(plan: VenuePlan) -> Fees:
    """The fees such a venue charges."""
    return Fees(plan.maker_fee_pct, plan.maker_fee_pct, f"simulated {plain(plan.maker_fee_pct)} %")
