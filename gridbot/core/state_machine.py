"""The slot reducer: one event in, a new state and the orders to send out.

Rules: pure — no clock, no randomness, inputs never changed. Actions are performed in the order
given. Prices and volumes are rounded once, half-even, after the whole expression; nothing else is
rounded. Fill prices and volumes count as reported. What needs no event (the state, its phase and
invariants, storing it) lives in ``state_records`` and is re-exported here.
"""

from collections.abc import Mapping
from decimal import Decimal
from math import ceil
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gridbot.core.numbers import HUNDRED, ONE, ZERO, round_half_even
from gridbot.core.records import Side, TradeId
from gridbot.core.state_records import (
    CycleRecord,
    EngineConfig,
    OrderRole,
    OrderState,
    PairState,
    RecoveryOrder,
    SnapshotError,
    apply_order_regime_at_entry,
    apply_order_txid,
    apply_recovery_txid,
    check_invariants,
    derive_phase,
    find_order,
    find_recovery,
    from_dict,
    remove_order,
    remove_recovery,
    to_dict,
)

__all__ = [
    "Action", "BookCycleAction", "CancelOrderAction", "CycleRecord", "EngineConfig", "Event",
    "FillEvent", "OrderState", "OrphanOrderAction", "PairState", "PlaceOrderAction", "PriceTick",
    "RecoveryCancelEvent", "RecoveryFillEvent", "RecoveryOrder", "SnapshotError", "TimerTick",
    "add_entry_order", "apply_order_regime_at_entry", "apply_order_txid", "apply_recovery_txid",
    "bootstrap_orders", "check_invariants", "compute_order_volume", "derive_phase",
    "entry_backoff_multiplier", "find_order", "find_recovery", "from_dict", "orphan_exit",
    "remove_order", "remove_recovery", "to_dict", "transition",
]  # fmt: skip

# --- events and actions ---------------------------------------------------------------------


class PriceTick(Struct, frozen=True, gc=False):
    """The market was seen at ``price``."""

    price: Decimal
    timestamp: float


class TimerTick(Struct, frozen=True, gc=False):
    """Time passed: the only event that orphans."""

    timestamp: float


class FillEvent(Struct, frozen=True, gc=False):
    """An active order is done, ``volume`` of it executed; ``fee`` in quote."""

    order_local_id: int
    txid: str
    side: Side
    price: Decimal
    volume: Decimal
    fee: Decimal
    timestamp: float


class RecoveryFillEvent(Struct, frozen=True, gc=False):
    """A recovery order filled after all; ``fee`` in quote."""

    recovery_id: int
    txid: str
    side: Side
    price: Decimal
    volume: Decimal
    fee: Decimal
    timestamp: float


class RecoveryCancelEvent(Struct, frozen=True, gc=False):
    """A recovery order is gone from the exchange without a fill."""

    recovery_id: int
    txid: str
    timestamp: float


class PlaceOrderAction(Struct, frozen=True, gc=False):
    """Send this order."""

    local_id: int
    side: Side
    role: OrderRole
    price: Decimal
    volume: Decimal
    trade_id: TradeId
    cycle: int
    post_only: bool = True
    reason: str = ""


class CancelOrderAction(Struct, frozen=True, gc=False):
    """Cancel this order; a negative ``local_id`` is minus a recovery id."""

    local_id: int
    txid: str
    reason: str = ""


class OrphanOrderAction(Struct, frozen=True, gc=False):
    """An active exit became a recovery order; nothing to send."""

    local_id: int
    recovery_id: int
    reason: str


class BookCycleAction(Struct, frozen=True, gc=False):
    """A cycle was closed with these figures, in quote."""

    trade_id: TradeId
    cycle: int
    net_profit: Decimal
    gross_profit: Decimal
    fees: Decimal
    settled_usd: Decimal = ZERO
    from_recovery: bool = False


Event = PriceTick | TimerTick | FillEvent | RecoveryFillEvent | RecoveryCancelEvent
Action = PlaceOrderAction | CancelOrderAction | OrphanOrderAction | BookCycleAction


Actions = tuple[Action, ...]
Resting = OrderState | RecoveryOrder
Sizes = tuple[Decimal, Mapping[TradeId, Decimal] | None]  # of entries: usual, a trade's own
Result = tuple[PairState, Actions]

_PERCENT = Decimal("0.01")

# Each trade has its own of these fields of the state.
_CYCLE, _LOSSES, _COOLDOWN, _REFRESHES, _DIRECTION, _PAUSE = (
    {"A": f"{name}_a", "B": f"{name}_b"}
    for name in (
        "cycle", "consecutive_losses", "cooldown_until", "consecutive_refreshes",
        "last_refresh_direction", "refresh_cooldown_until",
    )
)  # fmt: skip


def transition(
    state: PairState, event: Event, cfg: EngineConfig, order_size_usd: Decimal, order_sizes:
    Mapping[TradeId, Decimal] | None = None,
) -> Result:  # fmt: skip
    """The state after ``event`` and the actions it asks for, in order. New entries are worth
    ``order_size_usd`` quote, or the trade's own value in ``order_sizes``. An event of another type
    changes nothing."""
    sizes = order_size_usd, order_sizes
    if type(event) is PriceTick:
        return _on_price(state, event, cfg, sizes)
    if type(event) is TimerTick:
        return _on_timer(state, event, cfg, sizes)
    if type(event) is FillEvent:
        return _on_fill(state, event, cfg, sizes)
    if type(event) is RecoveryFillEvent:
        return _on_recovery_fill(state, event, cfg)
    if type(event) is RecoveryCancelEvent:
        state = replace(remove_recovery(state, event.recovery_id), now=event.timestamp)
        return _clear_s2_clock(state), ()
    return state, ()


def entry_backoff_multiplier(loss_count: int, cfg: EngineConfig) -> Decimal:
    """How much wider than usual an entry rests after ``loss_count`` losses in a row."""
    if loss_count < cfg.loss_backoff_start:
        return ONE
    widened = 1 + cfg.backoff_factor * (loss_count - cfg.loss_backoff_start + 1)
    return min(cfg.backoff_max_multiplier, widened)


def compute_order_volume(
    price: Decimal, cfg: EngineConfig, order_size_usd: Decimal
) -> Decimal | None:
    """The base volume of an entry worth ``order_size_usd`` quote; None if it is below a minimum:
    a size is never raised to reach one, exactly the minimum is enough."""
    minimum = cfg.min_cost_usd
    if price <= 0 or order_size_usd <= 0 or order_size_usd < minimum:
        return None
    volume = round_half_even(order_size_usd / price, cfg.volume_decimals)
    return None if volume < cfg.min_volume or volume * price < minimum else volume


def _entry_price(state: PairState, cfg: EngineConfig, side: Side, trade: TradeId) -> Decimal:
    if trade == "A":
        pct, losses = cfg.entry_pct_a, state.consecutive_losses_a
    else:
        pct, losses = cfg.entry_pct_b, state.consecutive_losses_b
    if pct is None or pct <= 0:
        pct = cfg.entry_pct
    if side == "buy":
        pct = -pct
    market, places = state.market_price, cfg.price_decimals
    widened = pct * entry_backoff_multiplier(losses, cfg)
    price = round_half_even(market * (1 + widened * _PERCENT), places)
    return price if price > 0 else round_half_even(market * (1 + pct * _PERCENT), places)


def _exit_price(state: PairState, cfg: EngineConfig, side: Side, entry_fill: Decimal) -> Decimal:
    """The target, or further out where the market has already run past it (post-only)."""
    profit = (state.profit_pct_runtime or cfg.profit_pct) * _PERCENT
    guard = cfg.entry_pct * _PERCENT
    if side == "sell":
        price = max(entry_fill * (1 + profit), state.market_price * (1 + guard))
    else:
        price = min(entry_fill * (1 - profit), state.market_price * (1 - guard))
    return round_half_even(price, cfg.price_decimals)


def add_entry_order(
    state: PairState, cfg: EngineConfig, side: Side, trade_id: TradeId, cycle: int, order_size_usd:
    Decimal, reason: str = "manual",
) -> tuple[PairState, PlaceOrderAction | None]:  # fmt: skip
    """Attach an entry worth ``order_size_usd`` quote; nothing while that trade cools down."""
    if state.now < getattr(state, _COOLDOWN[trade_id]):
        return state, None
    state, placed = _enter(state, cfg, side, trade_id, cycle, order_size_usd, reason)
    return state, placed[0] if placed else None


def bootstrap_orders(
    state: PairState, cfg: EngineConfig, order_size_usd: Decimal, allow_long_only: bool = True,
    allow_short_only: bool = True,
) -> tuple[PairState, Actions, tuple[OrderState, ...]]:  # fmt: skip
    """First entries of an empty slot, B's buy before A's sell. They come back separately: the
    caller attaches those it keeps. If only one can be made and the matching flag allows it, the
    returned state is one-sided."""
    size, reason, held = order_size_usd, "bootstrap", state.orders
    state, buy = _enter(state, cfg, "buy", "B", state.cycle_b, size, reason)
    state, sell = _enter(state, cfg, "sell", "A", state.cycle_a, size, reason)
    long_only = bool(buy and not sell and allow_long_only)
    short_only = bool(sell and not buy and allow_short_only)
    mode_source = "balance" if long_only or short_only else "none"
    made, orders = (*buy, *sell), state.orders[len(held) :]
    flags = {"long_only": long_only, "short_only": short_only, "mode_source": mode_source}
    return replace(state, orders=held, **flags), made, orders


def _enter(
    state: PairState, cfg: EngineConfig, side: Side, trade: TradeId, cycle: int, size: Decimal,
    reason: str,
) -> tuple[PairState, tuple[PlaceOrderAction, ...]]:  # fmt: skip
    price = _entry_price(state, cfg, side, trade)
    volume = compute_order_volume(price, cfg, size)
    if volume is None:
        return state, ()
    local_id, now = state.next_order_id, state.now
    order = OrderState(local_id, side, "entry", price, volume, trade, cycle, "", now)
    state = replace(state, orders=(*state.orders, order), next_order_id=local_id + 1)
    return state, (_place(order, reason),)


def _place(order: OrderState, reason: str) -> PlaceOrderAction:
    return PlaceOrderAction(
        order.local_id, order.side, order.role, order.price, order.volume, order.trade_id,
        order.cycle, True, reason,
    )  # fmt: skip


def _follow_up(
    state: PairState, cfg: EngineConfig, trade: TradeId, sizes: Sizes, reason: str
) -> Result:
    """The trade's next entry, unless its side is switched off or it is cooling down."""
    side: Side = "sell" if trade == "A" else "buy"
    switched_off = state.long_only if trade == "A" else state.short_only
    if switched_off or state.now < getattr(state, _COOLDOWN[trade]):
        return state, ()
    cycle, size = getattr(state, _CYCLE[trade]), _size(sizes, trade)
    return _enter(state, cfg, side, trade, cycle, size, reason)


def _size(sizes: Sizes, trade: TradeId) -> Decimal:
    usual, own = sizes
    return own.get(trade, usual) if own else usual


def _book(
    state: PairState, cfg: EngineConfig, order: Resting, price: Decimal, fee: Decimal
) -> tuple[PairState, BookCycleAction]:
    """Close the order's cycle at ``price``, now: totals, record, losing streak and cooldown. The
    stored volume counts, not the executed one. The entry's fee is in ``total_fees`` already."""
    trade, cycle, volume, entry_fee = order.trade_id, order.cycle, order.volume, order.entry_fee
    gross, quote_fee = (price - order.entry_price) * volume, fee
    if trade == "A":
        gross, quote_fee = (order.entry_price - price) * volume, entry_fee
    fees = entry_fee + fee
    net, settled = gross - fees, gross - quote_fee
    from_recovery, entered_at = False, order.entry_filled_at
    if isinstance(order, RecoveryOrder):
        from_recovery, entered_at = True, entered_at if entered_at > 0 else order.orphaned_at
    record = CycleRecord(
        trade, cycle, order.entry_price, price, volume, gross, fees, net, entry_fee, fee,
        quote_fee, settled, entered_at, state.now, from_recovery, order.regime_at_entry,
    )  # fmt: skip
    losses, lost_today = 0, state.today_realized_loss
    if net < 0:
        losses, lost_today = getattr(state, _LOSSES[trade]) + 1, lost_today - net
    cooldown = _base_cooldown(state, cfg, trade)
    if losses >= cfg.loss_cooldown_start:
        cooldown = max(cooldown, state.now + cfg.loss_cooldown_sec)
    streak: dict[str, Any] = {_LOSSES[trade]: losses, _COOLDOWN[trade]: cooldown}
    state = replace(
        state, completed_cycles=(*state.completed_cycles, record), today_realized_loss=lost_today,
        total_profit=state.total_profit + net, total_fees=state.total_fees + fee,
        total_settled_usd=state.total_settled_usd + settled,
        total_round_trips=state.total_round_trips + 1, **streak,
    )  # fmt: skip
    return state, BookCycleAction(trade, cycle, net, gross, fees, settled, from_recovery)


def _base_cooldown(state: PairState, cfg: EngineConfig, trade: TradeId) -> float:
    until: float = getattr(state, _COOLDOWN[trade])
    pause = cfg.reentry_base_cooldown_sec
    return max(until, state.now + pause) if pause > 0 else until


def _clear_s2_clock(state: PairState) -> PairState:
    if state.s2_entered_at is None or derive_phase(state) == "S2":
        return state
    return replace(state, s2_entered_at=None)


def _on_fill(state: PairState, event: FillEvent, cfg: EngineConfig, sizes: Sizes) -> Result:
    order = find_order(state, event.order_local_id)
    if order is None:
        return replace(state, now=event.timestamp), ()
    if order.role == "entry":
        return _entry_filled(state, order, event, cfg)
    trade = order.trade_id
    rest = tuple([o for o in state.orders if o.local_id != order.local_id])
    state = replace(state, now=event.timestamp, orders=rest)
    state, booked = _book(state, cfg, order, event.price, event.fee)
    if order.cycle >= getattr(state, _CYCLE[trade]):
        state = replace(state, **{_CYCLE[trade]: order.cycle + 1})
    state, placed = _follow_up(state, cfg, trade, sizes, "cycle_complete")
    return _clear_s2_clock(state), (booked, *placed)


def _entry_filled(
    state: PairState, entry: OrderState, event: FillEvent, cfg: EngineConfig
) -> Result:
    side: Side = "sell" if entry.side == "buy" else "buy"
    price, fee, at = event.price, event.fee, event.timestamp
    order = OrderState(
        state.next_order_id, side, "exit", _exit_price(state, cfg, side, price), event.volume,
        entry.trade_id, entry.cycle, "", at, price, fee, at, entry.regime_at_entry,
    )  # fmt: skip
    orders = (*[o for o in state.orders if o.local_id != entry.local_id], order)
    next_id, fees = order.local_id + 1, state.total_fees + fee
    state = replace(state, now=at, orders=orders, next_order_id=next_id, total_fees=fees)
    return _clear_s2_clock(state), (_place(order, "entry_fill_exit"),)


def _on_recovery_fill(state: PairState, event: RecoveryFillEvent, cfg: EngineConfig) -> Result:
    recovery = find_recovery(state, event.recovery_id)
    state = replace(remove_recovery(state, event.recovery_id), now=event.timestamp)
    if recovery is None:
        return state, ()
    state, booked = _book(state, cfg, recovery, event.price, event.fee)
    return _clear_s2_clock(state), (booked,)


def _on_price(state: PairState, event: PriceTick, cfg: EngineConfig, sizes: Sizes) -> Result:
    market, now = event.price, event.timestamp
    state = replace(state, market_price=market, now=now, last_price_update_at=now)
    if market <= 0:
        return state, ()
    limit = cfg.refresh_pct * market
    for order in state.orders:
        stale = order.role == "entry" and abs(order.price - market) * HUNDRED > limit
        if stale and now >= getattr(state, _PAUSE[order.trade_id]):
            return _refresh(state, order, cfg, _size(sizes, order.trade_id))
    return state, ()


def _refresh(state: PairState, entry: OrderState, cfg: EngineConfig, size: Decimal) -> Result:
    """Move a stale entry to the market, or pause if the market keeps running the same way."""
    trade = entry.trade_id
    count, pause = getattr(state, _REFRESHES[trade]), getattr(state, _PAUSE[trade])
    if count >= cfg.max_consecutive_refreshes and pause > 0:
        count, pause = 0, 0.0
    direction = "up" if state.market_price > entry.price else "down"
    count = count + 1 if direction == getattr(state, _DIRECTION[trade]) else 1
    frozen = count >= cfg.max_consecutive_refreshes
    if frozen:
        pause = state.now + cfg.refresh_cooldown_sec
    changes = {_REFRESHES[trade]: count, _DIRECTION[trade]: direction, _PAUSE[trade]: pause}
    state = replace(state, **changes)
    if frozen:
        return state, ()
    cancel = CancelOrderAction(entry.local_id, entry.txid, "stale_entry")
    state = remove_order(state, entry.local_id)
    state, placed = _enter(state, cfg, entry.side, trade, entry.cycle, size, "refresh_entry")
    return state, (cancel, *placed)


def _on_timer(state: PairState, event: TimerTick, cfg: EngineConfig, sizes: Sizes) -> Result:
    entered, now, phase = state.s2_entered_at, event.timestamp, derive_phase(state)
    state = replace(state, now=now, s2_entered_at=None)
    if cfg.sticky_mode_enabled or phase == "S0":
        return state, ()
    if phase != "S2":
        order = next(o for o in state.orders if o.role == "exit")
        since = order.entry_filled_at or order.placed_at or now
        waited, market = now - since >= cfg.s1_orphan_after_sec, state.market_price
        # Only if the market has moved away: exactly at its price the exit may yet fill.
        if waited and (market < order.price if order.side == "sell" else market > order.price):
            return _orphan(state, order, "s1_timeout", cfg, sizes)
        return state, ()
    if entered is None:
        return replace(state, s2_entered_at=now), ()
    if now - entered < cfg.s2_orphan_after_sec or state.market_price <= 0:
        return replace(state, s2_entered_at=entered), ()
    exits = [o for o in state.orders if o.role == "exit"]
    sell, buy = (next(o for o in exits if o.side == side) for side in ("sell", "buy"))
    further = max(sell, buy, key=lambda o: abs(o.price - state.market_price))  # sell on a tie
    return _orphan(state, further, "s2_timeout", cfg, sizes)


def _orphan(
    state: PairState, order: OrderState, reason: str, cfg: EngineConfig, sizes: Sizes
) -> Result:
    trade = order.trade_id
    state, evicted = _evict_surplus(state, cfg)
    recovery = RecoveryOrder(
        state.next_recovery_id, order.side, order.price, order.volume, trade, order.cycle,
        order.entry_price, state.now, order.entry_fee, order.entry_filled_at, order.txid, reason,
        order.regime_at_entry,
    )  # fmt: skip
    changes: dict[str, Any] = {
        _CYCLE[trade]: getattr(state, _CYCLE[trade]) + 1,
        _COOLDOWN[trade]: _base_cooldown(state, cfg, trade),
    }
    state = replace(
        remove_order(state, order.local_id),
        recovery_orders=(*state.recovery_orders, recovery),
        next_recovery_id=recovery.recovery_id + 1,
        **changes,
    )
    set_aside = OrphanOrderAction(order.local_id, recovery.recovery_id, reason)
    state, placed = _follow_up(state, cfg, trade, sizes, f"orphan_{trade}")
    return state, (*evicted, set_aside, *placed)


def orphan_exit(
    state: PairState, local_id: int, reason: str, cfg: EngineConfig
) -> tuple[PairState, int]:
    """Set a waiting exit aside by hand, without a new entry; also the recovery id it has now."""
    order = next(one for one in state.orders if one.local_id == local_id)
    recovery_id = state.next_recovery_id
    state, _ = _orphan(state, order, reason, cfg, (ZERO, None))
    return _clear_s2_clock(state), recovery_id


def _evict_surplus(state: PairState, cfg: EngineConfig) -> Result:
    """Make room for one more recovery order: the furthest, then oldest, are closed on paper."""
    recoveries, market = state.recovery_orders, state.market_price
    surplus = len(recoveries) + 1 - max(1, cfg.max_recovery_slots)
    if surplus <= 0:
        return state, ()

    def rank(recovery: RecoveryOrder) -> tuple[Decimal, float, int]:
        distance = abs(recovery.price - market) if market > 0 else ZERO
        return -distance, recovery.orphaned_at, recovery.recovery_id

    leaving = sorted(recoveries, key=rank)[: ceil(surplus)]
    state = replace(state, recovery_orders=tuple([r for r in recoveries if r not in leaving]))
    actions: list[Action] = []
    for recovery in [r for r in recoveries if r in leaving]:
        if recovery.txid:
            number, reason = -recovery.recovery_id, "recovery_cap_evict_priority"
            actions.append(CancelOrderAction(number, recovery.txid, reason))
        price = next((p for p in (market, recovery.price, recovery.entry_price) if p > 0), ZERO)
        fee = max(ZERO, price * recovery.volume * cfg.maker_fee_pct * _PERCENT)
        state, booked = _book(state, cfg, recovery, price, fee)
        actions.append(booked)
    return state, tuple(actions)
