"""Simulated venues for the engine: made from settings, or from what a directory has saved.

What a venue was made with is saved beside its state, because the configuration may change while
the market of a data directory goes on for life.
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec

from gridbot.core.numbers import HUNDRED, ONE, plain, round_half_even
from gridbot.core.records import Fees, Instrument, StepInput
from gridbot.core.settings import Settings, open_orders_limit
from gridbot.exchange.instruments import DEFAULT_PAIR, find_instrument, start_price
from gridbot.exchange.markets import Market
from gridbot.exchange.paper import PaperExchange
from gridbot.exchange.simulated import SimulatedExchange
from gridbot.exchange.synthetic import SyntheticMarket

KEEP_DONE_ORDERS = 2_000  # a snapshot carries them; nobody asks for older ones
BALANCE_FACTOR = 2  # of what the configured slots need on each side


class VenuePlan(msgspec.Struct, frozen=True):
    """All that a simulated venue is made of, apart from the market's prices."""

    instrument: Instrument
    maker_fee_pct: Decimal
    fee_asset: Literal["quote", "base"]
    quote_balance: Decimal
    base_balance: Decimal
    open_orders_limit: int
    seed: int
    volatility: Decimal
    trend: Decimal
    start_units: int
    poll_interval_seconds: float
    candles: int | None = None


class Venue(SimulatedExchange):
    """A simulated exchange that knows what it was made from."""

    def __init__(self, plan: VenuePlan, market: Market | None = None) -> None:
        """On ``market``, by default the plan's synthetic one."""
        pair, fee = plan.instrument, plan.maker_fee_pct
        decimals, poll = pair.price_decimals, plan.poll_interval_seconds
        market = market or SyntheticMarket(
            plan.seed, plan.start_units, decimals, plan.volatility, plan.trend, poll,
            candles=plan.candles,
        )  # fmt: skip
        balances = {pair.quote: plan.quote_balance, pair.base: plan.base_balance}
        limit = plan.open_orders_limit
        super().__init__(pair, market, fee, plan.fee_asset, balances, limit, KEEP_DONE_ORDERS)
        self.plan = plan

    def replay(self, step: StepInput) -> None:
        """Walk as it did when the engine took this step."""
        self.run_until(step.at)

    def saved(self) -> dict[str, Any]:
        """Plan and state, JSON-able."""
        return {"plan": msgspec.to_builtins(self.plan), "state": self.state()}


class PaperVenue(PaperExchange):
    """A paper exchange that knows what it was made from."""

    def __init__(self, plan: VenuePlan, at: float) -> None:
        """Beginning at ``at`` with the plan's price."""
        pair, fee, asset = plan.instrument, plan.maker_fee_pct, plan.fee_asset
        balances = {pair.quote: plan.quote_balance, pair.base: plan.base_balance}
        price = Decimal(plan.start_units).scaleb(-pair.price_decimals)
        limit = plan.open_orders_limit
        super().__init__(pair, fee, asset, balances, limit, KEEP_DONE_ORDERS, price, at)
        self.plan = plan

    def replay(self, step: StepInput) -> None:
        """See what was seen when the engine took this step."""
        if step.price is None:
            self.now = step.at
        else:
            bid = step.price if step.bid is None else step.bid
            self.observe(step.at, bid, step.price if step.ask is None else step.ask)

    def saved(self) -> dict[str, Any]:
        """Plan and state, JSON-able."""
        return {"plan": msgspec.to_builtins(self.plan), "state": self.state()}


AnyVenue = Venue | PaperVenue


def load_paper(saved: dict[str, Any]) -> PaperVenue:
    """The paper exchange that was ``saved``."""
    venue = PaperVenue(msgspec.convert(saved["plan"], VenuePlan), 0.0)
    venue.restore(saved["state"])
    return venue


def load_venue(saved: dict[str, Any], market: Market | None = None) -> Venue:
    """The venue that was ``saved``."""
    venue = Venue(msgspec.convert(saved["plan"], VenuePlan), market)
    venue.restore(saved["state"])
    return venue


def venue_fees(plan: VenuePlan) -> Fees:
    """The fees such a venue charges."""
    return Fees(plan.maker_fee_pct, plan.maker_fee_pct, f"simulated {plain(plan.maker_fee_pct)} %")


def plan_venue(
    settings: Settings,
    instrument: Instrument | None = None,
    price: Decimal | None = None,
    candles: int | None = None,
) -> VenuePlan:
    """What to simulate; ``price`` belongs to ``instrument``, by default the configured pair's.
    Starting balances are twice what the slots need, unless they are set. Raises UnknownPair for a
    pair that the simulation does not know.
    """
    sim = settings.sim
    if instrument is None or price is None:
        instrument = find_instrument(settings.exchange.pair or DEFAULT_PAIR)
        price = sim.start_price or start_price(instrument.pair)
    price = round_half_even(price, instrument.price_decimals)
    return VenuePlan(
        instrument, settings.fees.maker_fee_pct, sim.fee_asset,
        *_starting_balances(settings, instrument, price), open_orders_limit(settings), sim.seed,
        sim.volatility, sim.trend, int(price.scaleb(instrument.price_decimals)),
        settings.timing.poll_interval_seconds, candles,
    )  # fmt: skip


def _starting_balances(
    settings: Settings, instrument: Instrument, price: Decimal
) -> tuple[Decimal, Decimal]:
    """Twice one order per slot and side, fees included; shorts and longs may all be open."""
    slots = max(settings.slots.initial_slots, 1)
    fee = ONE + settings.fees.maker_fee_pct / HUNDRED
    need = settings.grid.order_size * slots * BALANCE_FACTOR * fee
    quote, base = settings.sim.quote_balance, settings.sim.base_balance
    if quote is None:
        quote = round_half_even(need, min(instrument.cost_decimals, 2))
    if base is None:
        base = round_half_even(need / price, instrument.volume_decimals)
    return quote, base
