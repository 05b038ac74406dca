"""Whole engines over recorded markets: full houses, crash windows, an account that is not ours."""

from collections import Counter
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from gridbot.core.brain import Brain
from gridbot.core.settings import Settings
from gridbot.engine.simulate import simulate, violations
from gridbot.engine.venues import plan_venue
from gridbot.exchange.instruments import infer_instrument
from gridbot.exchange.replay import ReplayMarket, read_market
from gridbot.exchange.simulated import SimulatedExchange
from tests.simulation.harness import settings_with, walk

XDG = "kraken_XDGUSD_5m_2024Q3.csv.gz"
CRASH = (1722211200.0, 1722902400.0)  # 29 July to 6 August 2024
FILES = (
    XDG,
    "kraken_XBTUSD_1m_202303.csv.gz",
    "bybit_DOGEUSDT_1m_202506.csv.gz",
    "kraken_XBTUSDT_trades_20251110.csv",
    "binance_ETHUSDT_trades_20240808.csv.gz",
)


def recorded(shared: Path, name: str, **window: Any) -> ReplayMarket:
    path = shared / "data" / name
    if not path.is_file():
        pytest.skip(f"no recorded market at {path}")
    return read_market(path, **window)


def run(
    path: Path, settings: Settings, market: ReplayMarket, check: Any = lambda brain, venue: None
) -> tuple[Brain, SimulatedExchange]:
    instrument, _ = infer_instrument(market, settings.grid.order_size)
    price = D(market.price).scaleb(-market.price_decimals)
    plan = plan_venue(settings, instrument, price)
    _, brain, venue = walk(path, settings, 0, market=market, plan=plan, check=check)
    assert (brain.books.quote, brain.books.base) == (venue.quote_total, venue.base_total)
    assert brain.books.identity_gap(brain.price or D(0)) == 0
    assert not violations(brain)
    assert brain.counters.quarantines == 0
    return brain, venue


def all_idle(brain: Brain) -> list[str]:
    return [
        f"{slot.id}.{trade}"
        for slot in brain.slots.values()
        for trade in slot.wanted_entries()
        if trade not in slot.waiting
    ]


@pytest.mark.parametrize("fee_asset", ["quote", "base"])
@pytest.mark.parametrize("name", FILES)
def test_every_recorded_file_ends_with_books_that_balance(
    tmp_path: Path, shared: Path, name: str, fee_asset: str
) -> None:
    market = recorded(shared, name)
    settings = settings_with(
        slots={"initial_slots": 4, "initial_sticky_ratio": D("0.5")}, sim={"fee_asset": fee_asset}
    )
    instrument, _ = infer_instrument(market, settings.grid.order_size)
    price = D(market.price).scaleb(-market.price_decimals)
    report = simulate(settings, plan_venue(settings, instrument, price), market, tmp_path / "run")
    assert report["ledger_ok"]
    assert report["balances"]["ledger"] == report["balances"]["exchange"]
    assert report["idle_without_reason"] == report["quarantined_slots"] == 0
    assert report["invariant_violations"] == 0


def test_eighty_four_sticky_slots_work_a_whole_quarter(tmp_path: Path, shared: Path) -> None:
    market = recorded(shared, XDG)
    settings = settings_with(slots={"initial_slots": 84, "initial_sticky_ratio": D(1)})
    hour = market.at + 3600
    shares: list[float] = []

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        assert brain.work_bank.headroom >= 0
        assert not all_idle(brain)
        if brain.now > hour:
            entries = Counter(
                live.price for live in brain.registry.by_client.values() if live.role == "entry"
            )
            if entries.total() >= 20:
                shares.append(max(entries.values()) / entries.total())

    brain, _ = run(tmp_path, settings, market, check)
    assert brain.books.totals.round_trips > 1000
    assert max(shares) <= 0.2


@pytest.mark.parametrize(("safety", "waits"), [("1.0", False), ("0.75", True)])
def test_a_hundred_and_twelve_slots_in_both_forms(
    tmp_path: Path, shared: Path, safety: str, waits: bool
) -> None:
    market = recorded(shared, XDG)
    settings = settings_with(
        slots={"initial_slots": 112, "initial_sticky_ratio": D(1), "max_slots": 112},
        capacity={"open_order_safety_ratio": D(safety)},
    )
    waited: set[int] = set()
    worked: set[int] = set()

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        assert brain.registry.resting <= brain.work_bank.cap
        assert not all_idle(brain)
        for (slot_id, _), wait in brain.pools.items():
            if wait.reason == "capacity":
                waited.add(slot_id)
        worked.update(live.slot_id for live in brain.registry.by_client.values())

    run(tmp_path, settings, market, check)
    assert bool(waited) == waits
    assert len(worked) == 112, "rotation must let every slot work"


def test_twenty_cycle_slots_in_the_crash(tmp_path: Path, shared: Path) -> None:
    market = recorded(shared, XDG, start=CRASH[0], end=CRASH[1])
    settings = settings_with(slots={"initial_slots": 20, "initial_sticky_ratio": D(0)})

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        assert not all_idle(brain)
        for slot in brain.slots.values():
            orders = len(slot.state.orders) + len(slot.state.recovery_orders)
            assert 0 < orders <= 4, f"slot {slot.id} holds {orders} orders"

    brain, _ = run(tmp_path, settings, market, check)
    assert brain.counters.write_offs > 500


def test_the_rest_of_the_account_is_untouched(tmp_path: Path, shared: Path) -> None:
    """A hundred times the allotment lies on the account; only the allotment may move."""
    market = recorded(shared, XDG, hours=720)
    settings = settings_with(
        slots={"initial_slots": 10, "initial_sticky_ratio": D("0.5")},
        funds={"quote": D(100), "base": D(800)},
        sim={"quote_balance": D(10_000), "base_balance": D(80_000)},
    )

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        assert venue.quote_total - venue.quote_held >= D(9_900)
        assert venue.base_total - venue.base_held >= D(79_200)

    brain, venue = run(tmp_path, settings, market, check)
    assert brain.counters.executions > 100
    assert venue.quote_total >= D(9_900)
    assert venue.base_total >= D(79_200)
