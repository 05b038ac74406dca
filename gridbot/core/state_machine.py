"""The slot reducer: one event in, a new state and the orders to send out.

Rules: pure — no clock, no randomness, inputs never changed. Actions are performed in the order
given. Prices and volumes are rounded once, half-even, after the whole expression; nothing else is
rounded. Fill prices and volumes count as reported. Records, phase and invariants live in
``state_records``, storing in ``state_serialisation``; both are re-exported here.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gridbot.core.numbers import HUNDRED, ONE, ZERO, round_half_even
from gridbot.core.records import Side, TradeId
from gridbot.core.state_records import (
    Action,
    BookCycleAction,
    CancelOrderAction,
    CycleRecord,
    EngineConfig,
    Event,
    FillEvent,
    OrderRole,
    OrderState,
    OrphanOrderAction,
    PairState,
    Phase,
    PlaceOrderAction,
    PriceTick,
    RecoveryCancelEvent,
    RecoveryFillEvent,
    RecoveryOrder,
    TimerTick,
    apply_order_regime_at_entry,
    apply_order_txid,
    apply_recovery_txid,
    check_invariants,
    derive_phase,
    find_order,
    find_recovery,
    remove_order,
    remove_recovery,
)
from gridbot.core.state_serialisation import SnapshotError, from_dict, to_dict

__all__ = [
    "Action",
    "BookCycleAction",
    "CancelOrderAction",
    "CycleRecord",
    "EngineConfig",
    "Event",
    "FillEvent",
    "OrderRole",
    "OrderState",
    "OrphanOrderAction",
    "PairState",
    "Phase",
    "PlaceOrderAction",
    "PriceTick",
    "RecoveryCancelEvent",
    "RecoveryFillEvent",
    "RecoveryOrder",
    "SnapshotError",
    "TimerTick",
    "add_entry_order",
    "apply_order_regime_at_entry",
    "apply_order_txid",
    "apply_recovery_txid",
    "bootstrap_orders",
    "check_invariants",
    "compute_order_volume",
    "derive_phase",
    "entry_backoff_multiplier",
    "find_order",
    "find_recovery",
    "from_dict",
    "remove_order",
    "remove_recovery",
    "to_dict",
    "transition",
]

Actions = tuple[Action, ...]
Sizes = Mapping[TradeId, Decimal] | None
Result = tuple[PairState, Actions]

_PERCENT = Decimal("0.01")


class _Fields(Struct, frozen=True):
    """The names of one trade's own state fields."""

    cycle: str
    losses: str
    cooldown: str
    refreshes: str
    direction: str
    pause: str


_NAMES = (
    "cycle",
    "consecutive_losses",
    "cooldown_until",
    "consecutive_refreshes",
    "last_refresh_direction",
    "refresh_cooldown_until",
)
_FIELDS = {trade: _Fields(*(f"{n}_{trade.lower()}" for n in _NAMES)) for trade in ("A", "B")}


def transition(
    state: PairState,
    event: Event,
    cfg: EngineConfig,
    order_size_usd: Decimal,
    order_sizes: Sizes = None,
) -> Result:
    """The state after ``event`` and the actions it asks for, in order.

    New entries are worth ``order_size_usd`` quote, or the trade's own value in ``order_sizes``.
    An event of another type changes nothing.
    """
    handler = _HANDLERS.get(type(event))
    if handler is None:
        return state, ()
    return handler(state, event, cfg, order_size_usd, order_sizes)


# --- pricing and sizing ---------------------------------------------------------------------


def entry_backoff_multiplier(loss_count: int, cfg: EngineConfig) -> Decimal:
    """How much wider than usual an entry rests after ``loss_count`` losses in a row."""
    if loss_count < cfg.loss_backoff_start:
        return ONE
    widened = 1 + cfg.backoff_factor * (loss_count - cfg.loss_backoff_start + 1)
    return min(cfg.backoff_max_multiplier, widened)


def compute_order_volume(
    price: Decimal, cfg: EngineConfig, order_size_usd: Decimal
) -> Decimal | None:
    """The base volume of an entry worth ``order_size_usd`` quote; None if it is below a minimum.

    A size is never raised to reach a minimum; exactly the minimum is enough.
    """
    minimum = cfg.min_cost_usd
    if price <= 0 or order_size_usd <= 0 or order_size_usd < minimum:
        return None
    volume = round_half_even(order_size_usd / price, cfg.volume_decimals)
    if volume < cfg.min_volume or volume * price < minimum:
        return None
    return volume


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


def _size(trade: TradeId, order_size_usd: Decimal, order_sizes: Sizes) -> Decimal:
    return order_sizes.get(trade, order_size_usd) if order_sizes else order_size_usd


# --- new entries ----------------------------------------------------------------------------


def _create_entry(
    state: PairState, cfg: EngineConfig, side: Side, trade: TradeId, cycle: int, size: Decimal
) -> OrderState | None:
    """An entry numbered ``next_order_id``; the caller attaches it and moves the counter on."""
    price = _entry_price(state, cfg, side, trade)
    volume = compute_order_volume(price, cfg, size)
    if volume is None:
        return None
    return OrderState(
        state.next_order_id, side, "entry", price, volume, trade, cycle, "", state.now
    )


def _place(order: OrderState, reason: str) -> PlaceOrderAction:
    return PlaceOrderAction(
        order.local_id,
        order.side,
        order.role,
        order.price,
        order.volume,
        order.trade_id,
        order.cycle,
        True,
        reason,
    )


def _follow_up(
    state: PairState, cfg: EngineConfig, trade: TradeId, size: Decimal, reason: str
) -> Result:
    """The trade's next entry, unless its side is switched off or it is cooling down."""
    order = None
    if trade == "A":
        if not state.long_only and state.now >= state.cooldown_until_a:
            order = _create_entry(state, cfg, "sell", "A", state.cycle_a, size)
    elif not state.short_only and state.now >= state.cooldown_until_b:
        order = _create_entry(state, cfg, "buy", "B", state.cycle_b, size)
    if order is None:
        return state, ()
    return _attach(state, order), (_place(order, reason),)


def _attach(state: PairState, order: OrderState) -> PairState:
    return replace(state, orders=(*state.orders, order), next_order_id=order.local_id + 1)


def add_entry_order(
    state: PairState,
    cfg: EngineConfig,
    side: Side,
    trade_id: TradeId,
    cycle: int,
    order_size_usd: Decimal,
    reason: str = "manual",
) -> tuple[PairState, PlaceOrderAction | None]:
    """Attach an entry worth ``order_size_usd`` quote; nothing while that trade cools down."""
    order = None
    if state.now >= getattr(state, _FIELDS[trade_id].cooldown):
        order = _create_entry(state, cfg, side, trade_id, cycle, order_size_usd)
    if order is None:
        return state, None
    return _attach(state, order), _place(order, reason)


def bootstrap_orders(
    state: PairState,
    cfg: EngineConfig,
    order_size_usd: Decimal,
    allow_long_only: bool = True,
    allow_short_only: bool = True,
) -> tuple[PairState, Actions, tuple[OrderState, ...]]:
    """First entries of an empty slot, B's buy before A's sell.

    The orders come back separately: the caller attaches those it keeps. If only one can be made
    and the matching flag allows it, the returned state is one-sided.
    """
    buy = _create_entry(state, cfg, "buy", "B", state.cycle_b, order_size_usd)
    if buy:
        state = replace(state, next_order_id=buy.local_id + 1)
    sell = _create_entry(state, cfg, "sell", "A", state.cycle_a, order_size_usd)
    if sell:
        state = replace(state, next_order_id=sell.local_id + 1)
    long_only = bool(buy and not sell and allow_long_only)
    short_only = bool(sell and not buy and allow_short_only)
    state = replace(
        state,
        long_only=long_only,
        short_only=short_only,
        mode_source="balance" if long_only or short_only else "none",
    )
    orders = tuple(order for order in (buy, sell) if order)
    return state, tuple(_place(order, "bootstrap") for order in orders), orders


# --- booking --------------------------------------------------------------------------------


def _book(
    state: PairState,
    cfg: EngineConfig,
    order: OrderState | RecoveryOrder,
    price: Decimal,
    fee: Decimal,
) -> tuple[PairState, BookCycleAction]:
    """Close the order's cycle at ``price``, now: totals, record, losing streak and cooldown.

    The stored volume counts, not the executed one. The entry's fee is in ``total_fees`` already.
    """
    trade, cycle, volume = order.trade_id, order.cycle, order.volume
    entry_price, entry_fee = order.entry_price, order.entry_fee
    if trade == "A":
        gross, quote_fee = (entry_price - price) * volume, entry_fee
    else:
        gross, quote_fee = (price - entry_price) * volume, fee
    fees = entry_fee + fee
    net = gross - fees
    settled = gross - quote_fee
    from_recovery = type(order) is RecoveryOrder
    record = CycleRecord(
        trade,
        cycle,
        entry_price,
        price,
        volume,
        gross,
        fees,
        net,
        entry_fee,
        fee,
        quote_fee,
        settled,
        _entry_time(order),
        state.now,
        from_recovery,
        order.regime_at_entry,
    )
    state = replace(
        state,
        completed_cycles=(*state.completed_cycles, record),
        total_profit=state.total_profit + net,
        total_settled_usd=state.total_settled_usd + settled,
        total_fees=state.total_fees + fee,
        total_round_trips=state.total_round_trips + 1,
        **_streak_changes(state, cfg, trade, net),
    )
    return state, BookCycleAction(trade, cycle, net, gross, fees, settled, from_recovery)


def _entry_time(order: OrderState | RecoveryOrder) -> float:
    at = order.entry_filled_at
    return order.orphaned_at if isinstance(order, RecoveryOrder) and at <= 0 else at


def _streak_changes(
    state: PairState, cfg: EngineConfig, trade: TradeId, net: Decimal
) -> dict[str, Any]:
    fields = _FIELDS[trade]
    changes: dict[str, Any] = {fields.losses: 0}
    if net < 0:
        changes[fields.losses] = getattr(state, fields.losses) + 1
        changes["today_realized_loss"] = state.today_realized_loss - net
    cooldown = _base_cooldown(state, cfg, fields)
    if changes[fields.losses] >= cfg.loss_cooldown_start:
        cooldown = max(cooldown, state.now + cfg.loss_cooldown_sec)
    changes[fields.cooldown] = cooldown
    return changes


def _base_cooldown(state: PairState, cfg: EngineConfig, fields: _Fields) -> float:
    """Until when the trade pauses after any closed or orphaned cycle."""
    until: float = getattr(state, fields.cooldown)
    pause = cfg.reentry_base_cooldown_sec
    return max(until, state.now + pause) if pause > 0 else until


def _clear_s2_clock(state: PairState) -> PairState:
    if state.s2_entered_at is None or derive_phase(state) == "S2":
        return state
    return replace(state, s2_entered_at=None)


# --- fills ----------------------------------------------------------------------------------


def _on_fill(
    state: PairState, event: FillEvent, cfg: EngineConfig, size: Decimal, sizes: Sizes
) -> Result:
    order = find_order(state, event.order_local_id)
    if order is None:
        return replace(state, now=event.timestamp), ()
    rest = tuple([o for o in state.orders if o.local_id != order.local_id])
    if order.role == "entry":
        return _entry_filled(state, rest, order, event, cfg)
    trade = order.trade_id
    state = replace(state, now=event.timestamp, orders=rest)
    state, booked = _book(state, cfg, order, event.price, event.fee)
    counter = _FIELDS[trade].cycle
    if order.cycle >= getattr(state, counter):
        state = replace(state, **{counter: order.cycle + 1})
    state, placed = _follow_up(state, cfg, trade, _size(trade, size, sizes), "cycle_complete")
    return _clear_s2_clock(state), (booked, *placed)


def _entry_filled(
    state: PairState,
    rest: tuple[OrderState, ...],
    entry: OrderState,
    event: FillEvent,
    cfg: EngineConfig,
) -> Result:
    side: Side = "sell" if entry.side == "buy" else "buy"
    order = OrderState(
        state.next_order_id,
        side,
        "exit",
        _exit_price(state, cfg, side, event.price),
        event.volume,
        entry.trade_id,
        entry.cycle,
        "",
        event.timestamp,
        event.price,
        event.fee,
        event.timestamp,
        entry.regime_at_entry,
    )
    state = replace(
        state,
        now=event.timestamp,
        orders=(*rest, order),
        next_order_id=order.local_id + 1,
        total_fees=state.total_fees + event.fee,
    )
    return _clear_s2_clock(state), (_place(order, "entry_fill_exit"),)


def _on_recovery_fill(
    state: PairState, event: RecoveryFillEvent, cfg: EngineConfig, size: Decimal, sizes: Sizes
) -> Result:
    state = replace(state, now=event.timestamp)
    recovery = find_recovery(state, event.recovery_id)
    if recovery is None:
        return state, ()
    state = remove_recovery(state, event.recovery_id)
    state, booked = _book(state, cfg, recovery, event.price, event.fee)
    return _clear_s2_clock(state), (booked,)


def _on_recovery_cancel(
    state: PairState, event: RecoveryCancelEvent, cfg: EngineConfig, size: Decimal, sizes: Sizes
) -> Result:
    state = replace(remove_recovery(state, event.recovery_id), now=event.timestamp)
    return _clear_s2_clock(state), ()


# --- the price: stale entries follow it -----------------------------------------------------


def _on_price(
    state: PairState, event: PriceTick, cfg: EngineConfig, size: Decimal, sizes: Sizes
) -> Result:
    market, now = event.price, event.timestamp
    state = replace(state, market_price=market, now=now, last_price_update_at=now)
    if market <= 0:
        return state, ()
    limit = cfg.refresh_pct * market
    for order in state.orders:
        if (
            order.role == "entry"
            and abs(order.price - market) * HUNDRED > limit
            and now >= getattr(state, _FIELDS[order.trade_id].pause)
        ):
            return _refresh(state, order, cfg, _size(order.trade_id, size, sizes))
    return state, ()


def _refresh(state: PairState, entry: OrderState, cfg: EngineConfig, size: Decimal) -> Result:
    """Move a stale entry to the market, or pause if the market keeps running the same way."""
    fields = _FIELDS[entry.trade_id]
    count, pause = getattr(state, fields.refreshes), getattr(state, fields.pause)
    if count >= cfg.max_consecutive_refreshes and pause > 0:
        count, pause = 0, 0.0
    direction = "up" if state.market_price > entry.price else "down"
    count = count + 1 if direction == getattr(state, fields.direction) else 1
    frozen = count >= cfg.max_consecutive_refreshes
    if frozen:
        pause = state.now + cfg.refresh_cooldown_sec
    state = replace(
        state, **{fields.refreshes: count, fields.direction: direction, fields.pause: pause}
    )
    return (state, ()) if frozen else _replace_entry(state, entry, cfg, size)


def _replace_entry(state: PairState, entry: OrderState, cfg: EngineConfig, size: Decimal) -> Result:
    state = remove_order(state, entry.local_id)
    cancel = CancelOrderAction(entry.local_id, entry.txid, "stale_entry")
    order = _create_entry(state, cfg, entry.side, entry.trade_id, entry.cycle, size)
    if order is None:
        return state, (cancel,)
    return _attach(state, order), (cancel, _place(order, "refresh_entry"))


# --- the clock: exits that waited too long --------------------------------------------------


def _on_timer(
    state: PairState, event: TimerTick, cfg: EngineConfig, size: Decimal, sizes: Sizes
) -> Result:
    entered, now = state.s2_entered_at, event.timestamp
    phase = derive_phase(state)
    state = replace(state, now=now, s2_entered_at=None)
    if cfg.sticky_mode_enabled or phase == "S0":
        return state, ()
    if phase != "S2":
        order = next(o for o in state.orders if o.role == "exit")
        if not _waited_in_s1(state, order, cfg):
            return state, ()
        return _orphan(state, order, "s1_timeout", cfg, _size(order.trade_id, size, sizes))
    if entered is None:
        return replace(state, s2_entered_at=now), ()
    if now - entered < cfg.s2_orphan_after_sec or state.market_price <= 0:
        return replace(state, s2_entered_at=entered), ()
    order = _worse_exit(state)
    return _orphan(state, order, "s2_timeout", cfg, _size(order.trade_id, size, sizes))


def _waited_in_s1(state: PairState, order: OrderState, cfg: EngineConfig) -> bool:
    """Old enough, and the market has moved away from it: exactly at the price it may yet fill."""
    since = order.entry_filled_at or order.placed_at or state.now
    if state.now - since < cfg.s1_orphan_after_sec:
        return False
    if order.side == "sell":
        return state.market_price < order.price
    return state.market_price > order.price


def _worse_exit(state: PairState) -> OrderState:
    """Of the first buy and the first sell exit the one further away; the sell exit on a tie."""
    exits = [o for o in state.orders if o.role == "exit"]
    buy = next(o for o in exits if o.side == "buy")
    sell = next(o for o in exits if o.side == "sell")
    market = state.market_price
    return buy if abs(buy.price - market) > abs(sell.price - market) else sell


def _orphan(
    state: PairState, order: OrderState, reason: str, cfg: EngineConfig, size: Decimal
) -> Result:
    """Set the exit aside as a recovery order and let its trade begin the next cycle."""
    trade = order.trade_id
    fields = _FIELDS[trade]
    state, evicted = _evict_surplus(state, cfg)
    recovery = RecoveryOrder(
        state.next_recovery_id,
        order.side,
        order.price,
        order.volume,
        trade,
        order.cycle,
        order.entry_price,
        state.now,
        order.entry_fee,
        order.entry_filled_at,
        order.txid,
        reason,
        order.regime_at_entry,
    )
    changes: dict[str, Any] = {
        fields.cycle: getattr(state, fields.cycle) + 1,
        fields.cooldown: _base_cooldown(state, cfg, fields),
    }
    state = replace(
        remove_order(state, order.local_id),
        recovery_orders=(*state.recovery_orders, recovery),
        next_recovery_id=recovery.recovery_id + 1,
        **changes,
    )
    set_aside = OrphanOrderAction(order.local_id, recovery.recovery_id, reason)
    state, placed = _follow_up(state, cfg, trade, size, f"orphan_{trade}")
    return state, (*evicted, set_aside, *placed)


def _evict_surplus(state: PairState, cfg: EngineConfig) -> Result:
    """Make room for one more recovery order: the furthest, then oldest, are closed on paper."""
    recoveries, market = state.recovery_orders, state.market_price
    cap = max(1, cfg.max_recovery_slots)
    if len(recoveries) + 1 <= cap:
        return state, ()

    def rank(index: int) -> tuple[Decimal, float, int]:
        recovery = recoveries[index]
        distance = abs(recovery.price - market) if market > 0 else ZERO
        return -distance, recovery.orphaned_at, recovery.recovery_id

    surplus = len(recoveries) + 1 - int(cap)
    leaving = set(sorted(range(len(recoveries)), key=rank)[:surplus])
    kept = tuple(r for i, r in enumerate(recoveries) if i not in leaving)
    state = replace(state, recovery_orders=kept)
    actions: list[Action] = []
    for index in sorted(leaving):
        recovery = recoveries[index]
        if recovery.txid:
            number, reason = -recovery.recovery_id, "recovery_cap_evict_priority"
            actions.append(CancelOrderAction(number, recovery.txid, reason))
        price = next((p for p in (market, recovery.price, recovery.entry_price) if p > 0), ZERO)
        fee = max(ZERO, price * recovery.volume * cfg.maker_fee_pct * _PERCENT)
        state, booked = _book(state, cfg, recovery, price, fee)
        actions.append(booked)
    return state, tuple(actions)


_HANDLERS: dict[type, Callable[[PairState, Any, EngineConfig, Decimal, Sizes], Result]] = {
    PriceTick: _on_price,
    TimerTick: _on_timer,
    FillEvent: _on_fill,
    RecoveryFillEvent: _on_recovery_fill,
    RecoveryCancelEvent: _on_recovery_cancel,
}
