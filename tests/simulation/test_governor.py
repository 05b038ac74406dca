"""The governor in whole engines: its pressure against the exchange's own count, its shadows against
what the market did, and every mix of slots under the cap."""

from bisect import bisect_right
from decimal import Decimal as D
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from gridbot.core.brain import Brain
from gridbot.core.exits import MISSED, SHADOW_SECONDS
from gridbot.core.governor import pressure_of
from gridbot.core.settings import Settings
from gridbot.exchange.markets import NO_DOWN, NO_UP
from gridbot.exchange.simulated import SimulatedExchange
from tests.simulation.harness import settings_with, walk
from tests.simulation.test_recorded import CRASH, FILES, XDG, recorded, run

XBT = FILES[1]
QUIET = {"start": 1677823200.0, "end": 1678233600.0}  # 3 to 8 March 2023
WINDOWS: dict[str, tuple[str, dict[str, float]]] = {
    "XDG crash": (XDG, {"start": CRASH[0], "end": CRASH[1]}),
    "XDG ranging": (XDG, {"start": 1723075200.0, "end": 1725580800.0}),
    "XDG up": (XDG, {"start": 1725580800.0, "end": 1727568000.0}),
    "XBT quiet": (XBT, QUIET),
    "XBT fall": (XBT, {"start": 1678233600.0, "end": 1678492800.0}),
    "XBT up": (XBT, {"start": 1678492800.0, "end": 1679097600.0}),
    "DOGE down": (FILES[2], {"start": 1749600000.0, "end": 1750636800.0}),
    "DOGE ranging": (FILES[2], {"start": 1750723200.0, "end": 1751155200.0}),
    "XBTUSDT": (FILES[3], {}),
}  # not the Binance file: its eleven minutes are shorter than any deadline
SIX_HOURS = {"s1_orphan_after_sec": 21600.0, "s2_orphan_after_sec": 21600.0}


def cycling(slots: int = 8, **sections: dict[str, Any]) -> Settings:
    """Cycle slots alone, with funds enough for all they do."""
    cycle = {"max_inventory": D(10**6), **sections.pop("cycle", {})}
    return settings_with(
        slots={"initial_slots": slots, "initial_sticky_ratio": D(0), "max_auto_slots": 0},
        cycle=cycle,
        **{"sim": {"volatility": D("0.3"), "quote_balance": D(5000), "base_balance": D("0.1")}}
        | sections,
    )


class Tally:
    """The exchange's own count of how exits ended: filled, or cancelled because we said so."""

    def __init__(self, window_seconds: float) -> None:
        self.window, self.cursor = window_seconds, ""
        self.exits: set[str] = set()
        self.ended: list[tuple[float, bool]] = []

    def look(self, brain: Brain, venue: SimulatedExchange) -> None:
        for live in brain.registry.by_client.values():
            if live.role != "entry":
                self.exits.add(live.client_id)
        lines, self.cursor = venue._lines_since(self.cursor, "changes")
        for order, fill in lines:
            ended = order.state == ("cancelled" if fill is None else "closed")
            if order.client_id in self.exits and ended:
                self.ended.append((order.closed_at or 0.0, order.state == "cancelled"))

    def flow(self, now: float) -> tuple[int, int]:
        recent = self.ended[bisect_right(self.ended, (now - self.window, True)) :]
        return sum(orphaned for _, orphaned in recent), len(recent)


@pytest.mark.parametrize("window", [1800.0, 21600.0])
def test_the_pressure_is_the_exchanges_own_count(tmp_path: Path, window: float) -> None:
    tally, seen = Tally(window), set()

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        tally.look(brain, venue)
        orphans, ended = tally.flow(brain.now)
        found = pressure_of(brain)
        assert found.few_data == (ended < 10)
        assert found.pressure == (0.0 if found.few_data else orphans / ended)
        assert found.backlog == 0.0
        seen.add(found.pressure)

    settings = cycling(governor={"window_sec": window, "mode": "off"})
    walk(tmp_path, settings, 3000, check=check)
    assert len(seen) > 100


def test_the_backlog_is_what_stands_at_the_exchange(tmp_path: Path) -> None:
    seen = set()

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        known = {one.client_id for one in brain.registry.by_recovery.values()}
        standing = len(known & set(venue._open))
        assert pressure_of(brain).backlog == min(standing / 16, 1.0)
        seen.add(standing)

    settings = cycling(cycle={"recovery_ttl_sec": 3600.0}, governor={"mode": "off"})
    walk(tmp_path, settings, 1000, check=check)
    assert max(seen) >= 4


def pressures(path: Path, shared: Path, window: str, cycle: dict[str, Any]) -> tuple[float, float]:
    """The median of all readings, and the pressure over the whole window."""
    name, span = WINDOWS[window]
    readings: list[float] = []

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        found = pressure_of(brain)
        if not found.few_data:
            readings.append(found.pressure)

    market = recorded(shared, name, **span)
    plenty = D(1_000_000) if market.price / market.scale < 10 else D(1)
    settings = cycling(
        cycle=cycle,
        sim={"quote_balance": D(2000), "base_balance": plenty},
        governor={"mode": "off", "min_sample": 5},
    )
    brain, _ = run(path, settings, market, check)
    orphans = brain.counters.orphans
    return median(readings), orphans / (orphans + brain.counters.round_trips)


@pytest.mark.soak
@pytest.mark.parametrize("window", WINDOWS)
def test_with_default_deadlines_every_recorded_window_is_under_pressure(
    tmp_path: Path, shared: Path, window: str
) -> None:
    assert min(pressures(tmp_path, shared, window, {})) > 0.6


def test_six_hours_are_enough_in_the_crash_and_too_few_in_the_quiet(
    tmp_path: Path, shared: Path
) -> None:
    assert max(pressures(tmp_path / "crash", shared, "XDG crash", SIX_HOURS)) < 0.6
    assert min(pressures(tmp_path / "quiet", shared, "XBT quiet", SIX_HOURS)) > 0.6


def test_default_deadlines_orphan_most_exits_even_in_the_crash(
    tmp_path: Path, shared: Path
) -> None:
    assert min(pressures(tmp_path, shared, "XDG crash", {})) > 0.6


def test_shadows_tell_what_the_market_would_have_filled(tmp_path: Path, shared: Path) -> None:
    followed: list[Any] = []

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        for shadow in brain.exits.record.shadows[-20:]:
            if not any(shadow is one for one in followed[-20:]):
                followed.append(shadow)

    name, span = WINDOWS["XDG crash"]
    settings = cycling(4, sim={"quote_balance": D(2000), "base_balance": D(100_000)})
    brain, _ = run(tmp_path, settings, recorded(shared, name, **span), check)
    market = recorded(shared, name, **span)
    ticks = [(market.at, market.price / market.scale)]
    while not market.finished:
        market.advance(NO_UP, NO_DOWN, -1.0)
        ticks.append((market.at, market.price / market.scale))
    assert len(followed) == brain.counters.orphans > 500
    hits = 0
    for shadow in followed:
        first = bisect_right(ticks, (shadow.at, float("inf")))
        late = MISSED
        for at, price in ticks[first:]:
            if at >= shadow.at + SHADOW_SECONDS:
                break
            if price >= shadow.price if shadow.sell else price <= shadow.price:
                late = at - shadow.at
                break
        assert shadow.late == late
        hits += late != MISSED
    assert 0.2 < hits / len(followed) < 0.98, "a share that says something"
    settled = brain.exits.record.settled
    assert settled == [one.late for one in followed[: -len(brain.exits.record.shadows)]][-1000:]


@pytest.mark.parametrize(
    ("sticky", "cycle"), [(84, 0), (70, 7), (50, 15), (20, 30), (0, 42), (30, 54), (0, 84)]
)
def test_eighty_four_slots_of_any_mix_stay_under_the_cap(
    tmp_path: Path, sticky: int, cycle: int
) -> None:
    """Beyond what the work bank has room for, slots take turns; nobody passes the cap."""

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        assert venue.orders_open <= 168
        for slot in brain.slots.values():
            held = len(slot.state.orders) + len(slot.state.recovery_orders)
            assert held <= (4 if slot.kind == "cycle" else 2)

    slots = sticky + cycle
    share = max(D(sticky) - D("0.5"), D(0)) / slots  # it is rounded up
    settings = settings_with(
        slots={"initial_slots": slots, "initial_sticky_ratio": share, "max_auto_slots": 0},
        sim={"volatility": D("0.3"), "quote_balance": D(5000), "base_balance": D("0.1")},
        cycle={"recovery_ttl_sec": 900.0},
        governor={"mode": "off"},
    )
    _, brain, _ = walk(tmp_path, settings, 300, check=check)
    assert (len(brain.slots) - brain.cycle_slots, brain.cycle_slots) == (sticky, cycle)


def test_profit_adds_slots_and_losses_do_not_take_the_merit_away(tmp_path: Path) -> None:
    best = D(0)

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        nonlocal best
        best = max(best, brain.books.totals.realised + brain.books.totals.write_offs)
        assert brain.auto_slots <= min(int(best // D("0.1")), 3)
        assert len(brain.slots) == 2 + brain.auto_slots

    settings = settings_with(
        slots={
            "initial_slots": 2,
            "slot_profit_threshold": D("0.1"),
            "max_auto_slots": 3,
            "initial_sticky_ratio": D(1),
        },
        sim={"volatility": D("0.3"), "quote_balance": D(500), "base_balance": D("0.01")},
    )
    _, brain, _ = walk(tmp_path, settings, 6000, check=check)
    assert brain.auto_slots == 3
    assert brain.cycle_slots == 0, "by the target ratio"


def test_a_drawdown_limit_stops_entries_in_the_crash(tmp_path: Path, shared: Path) -> None:
    market = recorded(shared, XDG, start=CRASH[0], end=CRASH[1])
    settings = settings_with(
        slots={"initial_slots": 10, "initial_sticky_ratio": D("0.5")}, risk={"max_drawdown": D(30)}
    )
    peak, tripped, before = D(0), 0.0, 0

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        nonlocal peak, tripped, before
        worth = venue.quote_total + venue.base_total * (brain.price or D(0))
        peak = max(peak, worth)
        if not brain.risk_reason:
            assert peak - worth < 30
            before = brain.counters.write_offs + len(brain.registry.cancelling)
        elif not tripped:
            tripped = brain.now
            assert peak - worth >= D("29.7")
        else:
            roles = {live.role for live in brain.registry.by_client.values()}
            assert roles <= {"exit", "recovery"}
            assert {wait.reason for slot in brain.slots.values() for wait in slot.waiting.values()}

    brain, _ = run(tmp_path, settings, market, check)
    assert tripped
    assert brain.counters.write_offs <= before + 10, "deadlines stand still"
