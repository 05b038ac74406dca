"""The global pass: what is wanted meets what is allowed.

Order (architecture 4.2): write-offs, exits, refreshes, then entries, longest-waiting trade first,
ties by slot id, A before B. An entry that may not be placed waits with its reason; waits for funds,
capacity and inventory form pools that are looked at again when that pool changes. Exits are never
refused for funds: what they need was reserved before anyone else could take it.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from gridbot.core import lifecycle
from gridbot.core.capacity import effective_cap
from gridbot.core.numbers import ONE, ZERO, plain, quantum
from gridbot.core.orders import LiveOrder
from gridbot.core.pricing import keep_post_only, outward_to_tick
from gridbot.core.records import AmendRequest, OrderRequest, TradeId
from gridbot.core.settings import Allotment, open_orders_limit
from gridbot.core.slot import ENTRY_SIDE, Slot, Waiting, streaks
from gridbot.core.state_machine import (
    OrderState,
    PairState,
    RecoveryCancelEvent,
    add_entry_order,
    find_order,
    transition,
)
from gridbot.core.trading import cancel, note_wants, see_price, stop_waiting, with_order

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

INVENTORY_ORDERS_PER_CYCLE_SLOT = 5
_RUN_STATE_REASONS = {"halted": "halted", "draining": "drained", "paused": "paused"}
POOLED = ("funds", "capacity", "inventory")
Attempt = tuple[float, int, TradeId]


def run(brain: Brain) -> None:
    """Write off, place exits, move refreshed orders, place entries."""
    if brain.write_offs and brain.price is not None and not brain.price_lost:
        _write_off_all(brain)
    if brain.removing:
        lifecycle.finish_removals(brain)
    if brain.registry.wanted:
        _place_exits(brain)
    for live in brain.refreshes:
        _amend(brain, live)
    for since, slot_id, trade in sorted(_attempts(brain)):
        slot = brain.slots.get(slot_id)
        if slot is not None and trade in slot.waiting:
            _try_entry(brain, slot, trade, since)


# --- write-offs -----------------------------------------------------------------------------


def _write_off_all(brain: Brain) -> None:
    waiting, brain.write_offs = brain.write_offs, []
    for client_id in waiting:
        live = brain.registry.by_client[client_id]
        brain.registry.remove(live)
        slot = brain.slots[live.slot_id]
        _write_off(brain, slot, live)
        brain.due.add(slot.id)
        note_wants(brain, slot)


def _write_off(brain: Brain, slot: Slot, live: LiveOrder) -> None:
    """Close the rest of a given-up recovery in the books at M (architecture 4.4)."""
    assert brain.price is not None and slot.cfg is not None
    realised = book_write_off(brain, live, "exit past its deadline")
    event = RecoveryCancelEvent(
        recovery_id=live.local_id, txid=live.exchange_id, timestamp=brain.now
    )
    before = streaks(slot.state)
    state, _ = transition(slot.state, event, slot.cfg, ZERO)
    slot.state = _with_streak(brain, state, live.trade_id, realised)
    if streaks(slot.state) != before:
        brain.configure(slot)


def book_write_off(brain: Brain, live: LiveOrder, note: str) -> Decimal:
    """Close what ``live`` was to give back at M; what stays is inventory. Returns the result."""
    assert brain.price is not None
    position = brain.books.positions.position(live.slot_id, live.trade_id, live.cycle)
    if position is None:
        return ZERO
    realised = position.unrealised(brain.price)
    brain.books.write_off(
        brain.seq, brain.now, live.slot_id, live.trade_id, live.cycle, live.client_id,
        brain.price, note,
    )  # fmt: skip
    units = position.volume if live.trade_id == "B" else -position.volume
    brain.written_off_base += units
    brain.written_off_cost += units * brain.price
    brain.freed_inventory = True
    brain.counters.write_offs += 1
    brain.emit(
        "written_off", "bad" if realised < 0 else "good",
        live.slot_id, live.trade_id, live.client_id,
        realised=realised, price=brain.price, cycle=live.cycle,
    )  # fmt: skip
    return realised


def _with_streak(brain: Brain, state: PairState, trade: TradeId, net: Decimal) -> PairState:
    """The losing-streak rule (state-machine 6.2) for a result the reducer did not book."""
    losses = brain.settings.losses
    a = trade == "A"
    streak = state.consecutive_losses_a if a else state.consecutive_losses_b
    until = state.cooldown_until_a if a else state.cooldown_until_b
    streak = streak + 1 if net < 0 else 0
    if losses.reentry_base_cooldown_sec > 0:
        until = max(until, brain.now + losses.reentry_base_cooldown_sec)
    if streak >= losses.cooldown_start:
        until = max(until, brain.now + losses.cooldown_sec)
    if a:
        return replace(state, consecutive_losses_a=streak, cooldown_until_a=until)
    return replace(state, consecutive_losses_b=streak, cooldown_until_b=until)


# --- exits ----------------------------------------------------------------------------------


def _place_exits(brain: Brain) -> None:
    """Every wanted exit that may be tried now; they may use the reserve above the cap."""
    limit = open_orders_limit(brain.settings)
    for live in list(brain.registry.wanted.values()):
        if not brain.may_place(live) or live.retry_at > brain.now:
            continue
        if brain.registry.resting >= limit:
            live.retry_at = brain.now + 30.0
            brain.counters.capacity_waits += 1
            brain.emit("waiting", "bad", live.slot_id, live.trade_id, reason="capacity", exit=True)
            continue
        if live.refusals:
            brain.registry.rename(live, brain.next_client_id())
        _adjust_exit(brain, live)
        _send(brain, live, "exit_placed")


def _adjust_exit(brain: Brain, live: LiveOrder) -> None:
    """Keep a post-only exit from crossing a market that has run past it."""
    price = outward_to_tick(live.side, live.price, brain.instrument)
    if brain.price is not None:
        price = keep_post_only(live.side, price, brain.bid, brain.ask, brain.instrument.tick_size)
    if price == live.price:
        return
    live.price = price
    brain.registry.reserve(live)
    slot = brain.slots[live.slot_id]
    order = find_order(slot.state, live.local_id)
    if order is not None:
        slot.state = with_order(slot.state, replace(order, price=price))
        brain.due.add(slot.id)


def _send(brain: Brain, live: LiveOrder, event: str) -> None:
    brain.registry.stand(live, "pending")
    live.placed_at = brain.now
    brain.out.places.append(
        OrderRequest(
            live.client_id,
            live.slot_id,
            live.trade_id,
            live.role,
            live.side,
            live.price,
            live.volume,
        )
    )
    brain.counters.orders_placed += 1
    brain.emit(
        event, "info", live.slot_id, live.trade_id, live.client_id,
        side=live.side, price=live.price, volume=live.volume,
    )  # fmt: skip


# --- refreshes and reprices -----------------------------------------------------------------


def _amend(brain: Brain, live: LiveOrder) -> None:
    """Send a moved order's new price; an entry whose new place cannot be paid is cancelled."""
    slot = brain.slots[live.slot_id]
    order = find_order(slot.state, live.local_id)
    assert order is not None and live.previous_price is not None
    price = outward_to_tick(live.side, live.price, brain.instrument)
    price = keep_post_only(live.side, price, brain.bid, brain.ask, brain.instrument.tick_size)
    if price != live.price:
        live.price = price
        slot.state = with_order(slot.state, replace(order, price=price))
        brain.due.add(slot.id)
    brain.registry.reserve(live)
    if live.role == "entry" and _lacks(brain, live) is not None:
        _cancel_unpaid(brain, slot, live, order)
        return
    live.amending = True
    brain.out.amends.append(AmendRequest(live.client_id, live.price, live.volume))
    brain.counters.orders_amended += 1
    if live.role == "entry":
        brain.emit(
            "refreshed", "info", slot.id, live.trade_id, live.client_id,
            old=live.previous_price, new=live.price,
        )  # fmt: skip


def _cancel_unpaid(brain: Brain, slot: Slot, live: LiveOrder, order: OrderState) -> None:
    assert live.previous_price is not None and live.previous_volume is not None
    live.price, live.volume = live.previous_price, live.previous_volume
    live.previous_price = live.previous_volume = None
    brain.registry.reserve(live)
    old = replace(order, price=live.price, volume=live.volume)
    slot.state = with_order(slot.state, old)
    brain.due.add(slot.id)
    cancel(brain, live, "drain")


def _lacks(brain: Brain, live: LiveOrder) -> Decimal | None:
    lack = min(free_funds(brain))
    return lack if lack < 0 else None


# --- entries --------------------------------------------------------------------------------


def _attempts(brain: Brain) -> set[Attempt]:
    """Trades whose entry is tried now: newly wanted, due, or waiting for a pool that moved."""
    attempts = set(brain.wanting)
    if brain.recheck:
        for slot in brain.slots.values():
            note_wants(brain, slot)
            attempts.update((wait.since, slot.id, trade) for trade, wait in slot.waiting.items())
        return attempts
    if not brain.pools:
        return attempts
    room = _has_room(brain)
    free = free_funds(brain)
    for (slot_id, trade), wait in brain.pools.items():
        if wait.reason == "capacity":
            hit = room
        elif wait.reason == "inventory":
            hit = brain.freed_inventory
        else:
            assert wait.need is not None
            hit = wait.need <= (free.base if wait.asset_is_base else free.quote)
        if hit:
            attempts.add((wait.since, slot_id, trade))
    return attempts


def _try_entry(brain: Brain, slot: Slot, trade: TradeId, since: float) -> None:
    """Place one entry, or write down why not."""
    brain.due.add(slot.id)
    blocked = _blocked(brain, slot, trade, since)
    if blocked is None:
        blocked = _place_entry(brain, slot, trade, since)
    if blocked is not None:
        _wait(brain, slot, trade, blocked)


def _wait(brain: Brain, slot: Slot, trade: TradeId, waiting: Waiting) -> None:
    before = slot.waiting.get(trade)
    slot.waiting[trade] = waiting
    if waiting.reason in POOLED:
        brain.pools[slot.id, trade] = waiting
    else:
        brain.pools.pop((slot.id, trade), None)
    if before is None or before.reason != waiting.reason:
        alarm = waiting.reason == "capacity"
        brain.counters.capacity_waits += alarm
        brain.emit(
            "waiting", "warn" if alarm else "info",
            slot.id, trade, reason=waiting.reason, text=waiting.text,
        )  # fmt: skip


def _blocked(brain: Brain, slot: Slot, trade: TradeId, since: float) -> Waiting | None:
    """The first reason why no entry of this trade may be placed now."""
    reason = _standing_reason(brain, slot, trade)
    if reason is not None:
        return Waiting(reason[0], since, reason[1])
    state = slot.state
    until = state.cooldown_until_a if trade == "A" else state.cooldown_until_b
    if brain.now < until:
        return Waiting("cooldown", since, until=until)
    if _over_inventory(brain, slot, trade):
        return Waiting("inventory", since, price=brain.price)
    if not _has_room(brain):
        return Waiting("capacity", since)
    return None


def _standing_reason(brain: Brain, slot: Slot, trade: TradeId) -> tuple[str, str] | None:
    """Reasons that hold until something outside the slot changes."""
    if brain.run_state != "running":
        return _RUN_STATE_REASONS[brain.run_state], brain.state_reason
    if slot.quarantined:
        return "quarantined", slot.quarantined
    if slot.paused_at is not None:
        return "paused", ""
    if trade in slot.parked:
        return slot.parked[trade], ""
    if brain.price is None or brain.price_lost:
        return "stale price", ""
    if brain.spread_wide:
        return "spread", ""
    if brain.risk_reason:
        return "risk limit", brain.risk_reason
    target, floor = brain.settings.grid.profit_pct, brain.fee_floor_pct
    if target < floor:
        return "fee floor", f"target {target:.2f} % under fee floor {floor:.2f} %"
    return None


def _over_inventory(brain: Brain, slot: Slot, trade: TradeId) -> bool:
    if slot.kind != "cycle" or not brain.written_off_base or brain.price is None:
        return False
    size = brain.settings.grid.order_size
    limit = brain.settings.cycle.max_inventory
    if limit is None:
        limit = INVENTORY_ORDERS_PER_CYCLE_SLOT * size * brain.cycle_slots
    held = brain.written_off_base * brain.price
    return (held if trade == "B" else -held) + size > limit


def _has_room(brain: Brain) -> bool:
    """Entries stop at the effective cap, counting exits that are still to be placed."""
    cap = effective_cap(
        open_orders_limit(brain.settings), brain.settings.capacity.open_order_safety_ratio
    )
    return len(brain.registry.by_client) < cap


def _place_entry(brain: Brain, slot: Slot, trade: TradeId, since: float) -> Waiting | None:
    assert brain.price is not None and slot.cfg is not None
    if slot.state.market_price != brain.price or slot.state.now != brain.now:
        see_price(slot, brain.price, brain.now)
    side = ENTRY_SIDE[trade]
    cycle = slot.state.cycle_a if trade == "A" else slot.state.cycle_b
    state, action = add_entry_order(
        slot.state, slot.cfg, side, trade, cycle, brain.settings.grid.order_size, "wanted"
    )
    if action is None:
        return Waiting("minimum size", since, price=brain.price)
    price = outward_to_tick(side, action.price, brain.instrument)
    price = keep_post_only(side, price, brain.bid, brain.ask, brain.instrument.tick_size)
    if price != action.price:
        order = find_order(state, action.local_id)
        assert order is not None
        state = with_order(state, replace(order, price=price))
    lack = _lack(brain, trade, price, action.volume)
    if lack is not None:
        need, have, asset, decimals = lack
        free = shown(have, decimals, ROUND_DOWN)
        text = f"needs {shown(need, decimals, ROUND_UP)}, free {free} {asset}"
        in_base = asset == brain.instrument.base
        return Waiting("funds", since, text, inf, brain.price, need, in_base)
    slot.state = state
    stop_waiting(brain, slot, trade)
    live = LiveOrder(
        brain.next_client_id(), slot.id, trade, "entry", side, cycle, action.local_id, price,
        action.volume,
    )  # fmt: skip
    brain.registry.add(live)
    _send(brain, live, "entry_placed")
    return None


def _lack(
    brain: Brain, trade: TradeId, price: Decimal, volume: Decimal
) -> tuple[Decimal, Decimal, str, int] | None:
    """What an entry needs and does not find: (need, free, asset, decimals to show)."""
    registry, instrument, free = brain.registry, brain.instrument, free_funds(brain)
    base = volume * (registry.sell_factor - (ZERO if trade == "A" else ONE))
    if base and base > free.base:
        return base, free.base, instrument.base, instrument.volume_decimals
    quote = price * volume * registry.buy_factor if trade == "B" else ZERO
    if quote and quote > free.quote:
        return quote, free.quote, instrument.quote, min(instrument.cost_decimals, 4)
    return None


def shown(amount: Decimal, decimals: int, rounding: str) -> str:
    """An amount for people; never better than it is, never below zero."""
    return plain(max(amount, ZERO).quantize(quantum(decimals), rounding))


# --- funds ----------------------------------------------------------------------------------


class Funds(NamedTuple):
    """Amounts of the two assets that may still be reserved."""

    quote: Decimal
    base: Decimal


def free_funds(brain: Brain) -> Funds:
    """Spendable minus claims: the allotment and the instance's own flows, never more than the
    account holds (architecture 4.3)."""
    books, funds = brain.books, brain.settings.funds
    instrument, drift = brain.instrument, brain.drift
    quote = books.quote + drift.get(instrument.quote, ZERO)
    base = books.base + drift.get(instrument.base, ZERO)
    return Funds(
        _allotted(funds.quote, books.flow_quote, quote) - brain.registry.claimed_quote,
        _allotted(funds.base, books.flow_base, base) - brain.registry.claimed_base,
    )


def _allotted(allotment: Allotment, flow: Decimal, held: Decimal) -> Decimal:
    if isinstance(allotment, Decimal):
        return min(allotment + flow, held)
    return held
