"""The reducer's own laws: purity, conservation, ids, exact ties, and what snapshots may hold."""

import json
import math
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.core import state_machine as sm

CFG = sm.EngineConfig(
    s1_orphan_after_sec=50.0,
    s2_orphan_after_sec=50.0,
    min_volume=D(1),
    volume_decimals=2,
    max_recovery_slots=1,
    loss_cooldown_sec=120.0,
    refresh_cooldown_sec=90.0,
)
PATIENT = replace(CFG, s1_orphan_after_sec=math.inf, s2_orphan_after_sec=math.inf)
SIZE = D(5)

prices = st.decimals(min_value=D("0.05"), max_value=D("0.2"), places=6)
fees = st.decimals(min_value=D(0), max_value=D("0.05"), places=8)
moves = st.tuples(
    st.sampled_from(["price", "price", "timer", "timer", "fill", "fill", "recovery", "cancel"]),
    st.integers(0, 5),
    prices,
    fees,
    st.integers(0, 80),
)


def begun(cfg: sm.EngineConfig = CFG, market: str = "0.1") -> sm.PairState:
    state, _, orders = sm.bootstrap_orders(sm.PairState(D(market), 1000.0), cfg, SIZE)
    return replace(state, orders=orders)


def event_of(state: sm.PairState, move: tuple[str, int, D, D, int]) -> sm.Event:
    kind, pick, price, fee, wait = move
    now = state.now + wait
    if kind == "fill" and state.orders:
        order = state.orders[pick % len(state.orders)]
        volume = order.volume if wait % 2 else order.volume / 2
        return sm.FillEvent(order.local_id, "T", order.side, price, volume, fee, now)
    if kind in ("recovery", "cancel") and state.recovery_orders:
        recovery = state.recovery_orders[pick % len(state.recovery_orders)]
        number, volume = recovery.recovery_id, recovery.volume
        if kind == "cancel":
            return sm.RecoveryCancelEvent(number, "T", now)
        return sm.RecoveryFillEvent(number, "T", recovery.side, price, volume, fee, now)
    return sm.PriceTick(price, now) if kind == "price" else sm.TimerTick(now)


def walk(
    steps: list[Any], cfg: sm.EngineConfig = CFG
) -> list[tuple[sm.PairState, sm.Event, sm.PairState, tuple[sm.Action, ...]]]:
    state, taken = begun(cfg), []
    for move in steps:
        event = event_of(state, move)
        after, actions = sm.transition(state, event, cfg, SIZE)
        taken.append((state, event, after, actions))
        state = after
    return taken


walks = st.lists(moves, min_size=1, max_size=40)


@given(walks)
@settings(max_examples=60, deadline=None)
def test_a_transition_changes_no_input_and_repeats_itself(steps: list[Any]) -> None:
    for before, event, after, actions in walk(steps):
        text = json.dumps(sm.to_dict(before))
        assert sm.transition(before, event, CFG, SIZE) == (after, actions)
        assert json.dumps(sm.to_dict(before)) == text
        assert sm.from_dict(json.loads(json.dumps(sm.to_dict(after)))) == after


@given(walks)
@settings(max_examples=100, deadline=None)
def test_totals_are_the_sums_of_what_was_booked(steps: list[Any]) -> None:
    taken = walk(steps)
    booked = [a for t in taken for a in t[3] if isinstance(a, sm.BookCycleAction)]
    entry_fees = sum(
        event.fee
        for before, event, _, actions in taken
        if isinstance(event, sm.FillEvent)
        and any(isinstance(a, sm.PlaceOrderAction) and a.role == "exit" for a in actions)
    )
    state = taken[-1][2]
    cycles = state.completed_cycles
    assert [c.net_profit for c in cycles] == [a.net_profit for a in booked]
    assert state.total_profit == sum(c.net_profit for c in cycles)
    assert state.total_settled_usd == sum(c.settled_usd for c in cycles)
    assert state.today_realized_loss == -sum(min(c.net_profit, D(0)) for c in cycles)
    assert state.total_fees == entry_fees + sum(c.exit_fee for c in cycles)
    assert state.total_round_trips == len(cycles)


@given(walks)
@settings(max_examples=100, deadline=None)
def test_order_and_recovery_ids_are_never_reused(steps: list[Any]) -> None:
    actions = [a for t in walk(steps) for a in t[3]]
    placed = [a.local_id for a in actions if isinstance(a, sm.PlaceOrderAction)]
    orphaned = [a.recovery_id for a in actions if isinstance(a, sm.OrphanOrderAction)]
    assert placed == list(range(3, 3 + len(placed)))
    assert orphaned == list(range(1, 1 + len(orphaned)))


@given(walks)
@settings(max_examples=60, deadline=None)
def test_infinite_timeouts_never_orphan(steps: list[Any]) -> None:
    for _, _, after, actions in walk(steps, PATIENT):
        assert not after.recovery_orders
        assert not any(isinstance(a, sm.OrphanOrderAction) for a in actions)


@given(walks)
@settings(max_examples=60, deadline=None)
def test_recoveries_never_exceed_the_cap(steps: list[Any]) -> None:
    assert all(len(after.recovery_orders) <= 1 for _, _, after, _ in walk(steps))


@pytest.mark.parametrize(("slots", "kept"), [(0, 1), (1, 1), (2.9, 2), (10**12, 4), (math.inf, 4)])
def test_the_recovery_cap_counts_whole_slots_and_at_least_one(slots: float, kept: int) -> None:
    recovery = sm.RecoveryOrder(1, "sell", D("0.2"), D(9), "B", 1, D("0.1"), 900.0)
    others = tuple(replace(recovery, recovery_id=n) for n in (1, 2, 3))
    state = lone_exit(replace(begun(), recovery_orders=others, next_recovery_id=4))
    cfg = replace(CFG, max_recovery_slots=slots)
    state, actions = sm.transition(state, sm.TimerTick(2000.0), cfg, SIZE)
    assert [r.recovery_id for r in state.recovery_orders] == [1, 2, 3, 4][-kept:]
    assert sum(isinstance(a, sm.BookCycleAction) for a in actions) == 4 - kept


def lone_exit(state: sm.PairState) -> sm.PairState:
    order = sm.OrderState(1, "sell", "exit", D("0.11"), D(40), "B", 1, entry_filled_at=1000.0)
    return replace(state, orders=(order,))


@pytest.mark.parametrize(
    ("market", "price", "size", "volume"),
    [("0.5", "0.2", "0.25", "1.2"), ("1.5", "0.8", "1", "1.2"), ("0.3", "0.2", "0.27", "1.4")],
)
def test_ties_round_to_the_even_digit(market: str, price: str, size: str, volume: str) -> None:
    half = replace(CFG, entry_pct=D(50), price_decimals=1, volume_decimals=1)
    state = sm.PairState(D(market), 0.0)
    state, action = sm.add_entry_order(state, half, "buy", "B", 1, D(size))
    assert action is not None
    assert (action.price, action.volume) == (D(price), D(volume))


def test_an_entry_exactly_at_the_refresh_distance_stays() -> None:
    state = begun(market="0.3")
    entry = state.orders[0]
    edge = entry.price * D("1.25")  # the entry is exactly a fifth of the market below it
    cfg = replace(CFG, refresh_pct=D(20))
    assert sm.transition(state, sm.PriceTick(edge, 1.0), cfg, SIZE)[1] == ()
    beyond = edge + D("1e-12")
    _, actions = sm.transition(state, sm.PriceTick(beyond, 1.0), cfg, SIZE)
    assert actions[0] == sm.CancelOrderAction(entry.local_id, "", "stale_entry")


def test_at_equal_distance_the_sell_exit_is_orphaned() -> None:
    sell = sm.OrderState(2, "sell", "exit", D("0.11"), D(40), "B", 1, entry_price=D("0.1"))
    buy = replace(sell, local_id=1, side="buy", price=D("0.09"), trade_id="A")
    state = replace(begun(), orders=(buy, sell), next_order_id=3, s2_entered_at=0.0)
    state, actions = sm.transition(state, sm.TimerTick(1000.0), CFG, SIZE)
    assert actions[0] == sm.OrphanOrderAction(2, 1, "s2_timeout")
    assert state.s2_entered_at is None
    assert sm.derive_phase(state) == "S1a"


def test_an_unknown_event_changes_nothing() -> None:
    state = begun()
    assert sm.transition(state, object(), CFG, SIZE) == (state, ())  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [None, "", "NaN", "abc", "Infinity", "1E+999999", [], math.nan])
@pytest.mark.parametrize("field", ["market_price", "now", "cycle_a", "cooldown_until_b"])
def test_an_unusable_number_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"^{field}: "):
        sm.from_dict({field: value})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"orders": [{}, {"price": None}]}, r"orders\[1\]\.price: None is not a number"),
        ({"orders": [{"side": "long"}]}, r"orders\[0\]\.side: 'long' is not one of buy, sell"),
        ({"recovery_orders": None}, "recovery_orders: None is not a list"),
        ([1], "is not a mapping"),
    ],
)
def test_a_broken_snapshot_is_refused_with_its_place(data: Any, message: str) -> None:
    with pytest.raises(sm.SnapshotError, match=message):
        sm.from_dict(data)


@pytest.mark.parametrize("value", [math.nan, math.inf, "9" * 5000, "²", 3, -1])
def test_an_unusable_regime_clears_the_tag(value: Any) -> None:
    tagged = sm.apply_order_regime_at_entry(begun(), 1, "bullish")
    assert tagged.orders[0].regime_at_entry == 2
    assert sm.apply_order_regime_at_entry(tagged, 1, value).orders[0].regime_at_entry is None
