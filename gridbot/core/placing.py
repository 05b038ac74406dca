"""The global pass: what is wanted meets what is allowed.

Order (architecture 4.2): write-offs, removals, exits, refreshes, then entries, longest-waiting
trade first, ties by slot id, A before B. An entry that may not be placed waits with its reason;
waits for funds, capacity and inventory form pools that are looked at again when that pool changes.
Exits are never refused for funds: what they need was reserved before anyone else could take it.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_UP, Decimal
from math import inf
from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from gridbot.core.numbers import ONE, ZERO, floor_to_step, plain, quantum
from gridbot.core.orders import LiveOrder
from gridbot.core.positions import Position
from gridbot.core.pricing import resting_price
from gridbot.core.records import AmendRequest, OrderRequest, Severity, TradeId
from gridbot.core.settings import open_orders_limit
from gridbot.core.slot import ENTRY_SIDE, Slot, Waiting
from gridbot.core.state_machine import PairState, RecoveryCancelEvent, add_entry_order, transition
from gridbot.core.trading import cancel, move_back, note_wants, stop_waiting

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

INVENTORY_ORDERS_PER_CYCLE_SLOT = 5
CAPACITY_RETRY_SECONDS = 30.0
OPEN_FOR_ENTRIES = ("online", "post_only", "limit_only")
POOLED = ("funds", "capacity", "inventory")
Attempt = tuple[float, int, TradeId]


def settle(brain: Brain) -> None:
    """Write off what is given up, finish removals."""
    if brain.write_offs and brain.price is not None and not brain.price_lost:
        _write_off_all(brain)
    if brain.removing:
        _finish_removals(brain)


def run(brain: Brain) -> None:
    """Place exits, move refreshed orders, place entries."""
    if brain.registry.wanted:
        _place_exits(brain)
    for live in brain.refreshes:
        _amend(brain, live)
    if brain.registry.partial or brain.registry.cancelling:
        _cancel_due(brain)
    for since, slot_id, trade in sorted(_attempts(brain)):
        slot = brain.slots.get(slot_id)
        if slot is not None and trade in slot.waiting:
            _try_entry(brain, slot, trade, since)


def _cancel_due(brain: Brain) -> None:
    """Cut entries that have waited too long for their rest; repeat cancels that were put off."""
    wait = brain.settings.grid.partial_wait_sec
    for live in brain.registry.partial.values():
        if brain.may_cut(live) and live.partial_since + wait <= brain.now:
            cancel(brain, live, "cut")
    for live in brain.registry.cancelling.values():
        if 0 < live.retry_at <= brain.now:
            live.retry_at = 0.0
            brain.out.cancels.append(live.client_id)


def _write_off_all(brain: Brain) -> None:
    """Close what is left of given-up recoveries in the books at M (architecture 4.4)."""
    waiting, brain.write_offs = brain.write_offs, []
    known = brain.registry.by_client
    for client_id in dict.fromkeys(waiting):
        if client_id not in known:  # it was filled after all
            continue
        live, realised = known[client_id], ZERO
        brain.registry.remove(live)
        slot = brain.slots[live.slot_id]
        position = brain.books.positions.position(slot.id, live.trade_id, live.cycle)
        if position is not None:
            realised = _write_off(brain, position, client_id, "exit past its deadline")
        event = RecoveryCancelEvent(live.local_id, live.exchange_id, brain.now)
        state, _ = transition(slot.state, event, slot.cfg, ZERO)
        slot.state = _with_streak(brain, state, live.trade_id, realised)
        brain.configure(slot)
        brain.due.add(slot.id)
        note_wants(brain, slot)


def _write_off(brain: Brain, position: Position, client_id: str, note: str) -> Decimal:
    """Close a position at M; what stays is inventory. Returns the result."""
    assert brain.price is not None
    price, realised = brain.price, position.unrealised(brain.price)
    slot_id, trade, cycle = position.slot_id, position.trade_id, position.cycle
    brain.books.write_off(brain.seq, brain.now, slot_id, trade, cycle, client_id, price, note)
    units = position.volume if trade == "B" else -position.volume
    brain.written_off_base += units
    brain.written_off_cost += units * price
    brain.freed_inventory = True
    brain.counters.write_offs += 1
    brain.exits.written_off(brain.now, realised)
    brain.emit(
        "written_off", "bad" if realised < 0 else "good", slot_id, trade, client_id,
        realised=realised, price=price, cycle=cycle,
    )  # fmt: skip
    return realised


def _with_streak(brain: Brain, state: PairState, trade: TradeId, net: Decimal) -> PairState:
    """The losing-streak rule (state-machine 6.2) for a result the reducer did not book."""
    losses, side, now = brain.settings.losses, trade.lower(), brain.now
    streak_name, until_name = f"consecutive_losses_{side}", f"cooldown_until_{side}"
    streak = getattr(state, streak_name) + 1 if net < 0 else 0
    until = getattr(state, until_name)
    if losses.reentry_base_cooldown_sec > 0:
        until = max(until, now + losses.reentry_base_cooldown_sec)
    if streak >= losses.cooldown_start:
        until = max(until, now + losses.cooldown_sec)
    return replace(state, **{streak_name: streak, until_name: until})


def _finish_removals(brain: Brain) -> None:
    """A slot whose orders are all gone marks what it still holds to market and is archived."""
    for slot in [brain.slots[slot_id] for slot_id in sorted(brain.removing)]:
        orders = brain.registry.of_slot(slot.id)
        positions = brain.books.positions.of_slot(slot.id)
        busy = any(live.standing != "wanted" for live in orders)
        if busy or (slot.inbox and not slot.quarantined) or (positions and brain.price_lost):
            continue
        ids = {(live.trade_id, live.cycle): live.client_id for live in orders}
        for live in orders:
            brain.registry.remove(live)
        for one in positions:
            _write_off(brain, one, ids.get((one.trade_id, one.cycle), ""), "slot removed")
        what = {"id": slot.id, "alias": slot.alias, "kind": slot.kind, "at": brain.now}
        what["realised"] = plain(brain.books.account(slot.id).realised)
        brain.archived.append(what)
        del brain.slots[slot.id]
        brain.removing.discard(slot.id)
        brain.count_kinds()
        brain.due.add(slot.id)
        brain.emit("slot_removed", "info", slot.id)


def _place_exits(brain: Brain) -> None:
    """Every wanted exit that may be tried now; they may use the reserve above the cap."""
    limit = open_orders_limit(brain.settings)
    for live in list(brain.registry.wanted.values()):
        if not brain.may_place(live) or live.retry_at > brain.now:
            continue
        if brain.orders_used >= limit:
            live.retry_at = brain.now + CAPACITY_RETRY_SECONDS
            brain.counters.capacity_waits += 1
            brain.emit("waiting", "bad", live.slot_id, live.trade_id, reason="capacity", exit=True)
            continue
        if live.refusals:
            brain.registry.rename(live, brain.next_client_id())
        lot = quantum(brain.instrument.volume_decimals)
        if live.volume % lot:  # it has grown
            live.volume = floor_to_step(live.volume, lot)
            brain.slots[live.slot_id].patch(live.local_id, volume=live.volume)
        _keep_off_market(brain, live)
        _send(brain, live, "exit_placed")


def _keep_off_market(brain: Brain, live: LiveOrder) -> None:
    """Move an order that would take liquidity from a market that has run past it."""
    price = resting_price(brain, live.side, live.price)
    if price != live.price:
        live.price = price
        if live.role != "recovery":
            brain.slots[live.slot_id].patch(live.local_id, price=price)
        brain.due.add(live.slot_id)
    brain.registry.reserve(live)


def _send(brain: Brain, live: LiveOrder, event: str) -> None:
    brain.registry.stand(live, "pending")
    live.placed_at = brain.now
    terms = live.role, live.side, live.price, live.volume
    brain.out.places.append(OrderRequest(live.client_id, live.slot_id, live.trade_id, *terms))
    brain.counters.orders_placed += 1
    brain.tell(live, event, "info", side=live.side, price=live.price, volume=live.volume)


def _amend(brain: Brain, live: LiveOrder) -> None:
    """Send a moved order's new price; an entry whose new place cannot be paid is cancelled."""
    entry, old_price = live.role == "entry", live.previous_price
    _keep_off_market(brain, live)
    if entry and min(free_funds(brain)) < 0:
        move_back(brain, live)
        cancel(brain, live, "drain")
        return
    live.amending = True
    brain.out.amends.append(AmendRequest(live.client_id, live.price, live.volume))
    brain.counters.orders_amended += 1
    if entry:
        brain.tell(live, "refreshed", "info", old=old_price, new=live.price)


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
    room, free = brain.has_room, free_funds(brain)
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
    brain.due.add(slot.id)
    waiting = _blocked(brain, slot, trade, since) or _place_entry(brain, slot, trade, since)
    if waiting is None:
        return
    before, reason = slot.waiting.get(trade), waiting.reason
    slot.waiting[trade] = waiting
    if reason in POOLED:
        brain.pools[slot.id, trade] = waiting
    else:
        brain.pools.pop((slot.id, trade), None)
    if before is None or before.reason != reason:
        alarm = reason == "capacity"
        brain.counters.capacity_waits += alarm
        severity: Severity = "warn" if alarm else "info"
        brain.emit("waiting", severity, slot.id, trade, reason=reason, text=waiting.text)


def _blocked(brain: Brain, slot: Slot, trade: TradeId, since: float) -> Waiting | None:
    reason, text = _standing_reason(brain, slot, trade)
    if reason:
        return Waiting(reason, since, text)
    until = slot.state.cooldown_until_a if trade == "A" else slot.state.cooldown_until_b
    if brain.now < until:
        return Waiting("cooldown", since, until=until)
    if _over_inventory(brain, slot, trade):
        return Waiting("inventory", since, price=brain.price)
    return None if brain.has_room else Waiting("capacity", since)


def _standing_reason(brain: Brain, slot: Slot, trade: TradeId) -> tuple[str, str]:
    """Reasons that hold until something outside the slot changes."""
    if brain.run_state != "running":
        return "drained" if brain.run_state == "draining" else brain.run_state, brain.state_reason
    if slot.quarantined:
        return "quarantined", slot.quarantined
    if slot.paused_at is not None:
        return "paused", ""
    if trade in slot.parked:
        return slot.parked[trade], ""
    if brain.price is None or brain.price_lost:
        return "stale price", ""
    if brain.disk == "critical":
        return "disk full", "less than 100 MB free"
    if brain.spread_wide:
        return "spread", ""
    if brain.instrument.status not in OPEN_FOR_ENTRIES:
        return "exchange", f"the pair is {brain.instrument.status}"
    if brain.risk_reason:
        return "risk limit", brain.risk_reason
    target, floor = brain.settings.grid.profit_pct, brain.fee_floor_pct
    if target < floor:
        return "fee floor", f"target {target:.2f} % under fee floor {floor:.2f} %"
    return "", ""


def _over_inventory(brain: Brain, slot: Slot, trade: TradeId) -> bool:
    if slot.kind != "cycle" or not brain.written_off_base or brain.price is None:
        return False
    size, limit = brain.settings.grid.order_size, brain.settings.cycle.max_inventory
    if limit is None:
        limit = INVENTORY_ORDERS_PER_CYCLE_SLOT * size * brain.cycle_slots
    held = brain.written_off_base * brain.price
    return (held if trade == "B" else -held) + size > limit


def _place_entry(brain: Brain, slot: Slot, trade: TradeId, since: float) -> Waiting | None:
    assert brain.price is not None
    if slot.state.market_price != brain.price or slot.state.now != brain.now:
        slot.see_price(brain.price, brain.now)
    side, size = ENTRY_SIDE[trade], brain.settings.grid.order_size
    cycle = slot.state.cycle_a if trade == "A" else slot.state.cycle_b
    state, action = add_entry_order(slot.state, slot.cfg, side, trade, cycle, size, "wanted")
    if action is None:
        rules, least = brain.instrument, plain(slot.cfg.min_volume)
        text = f"needs {least} {rules.base}, worth {plain(rules.min_cost)} {rules.quote}"
        return Waiting("minimum size", since, text, price=brain.price)
    price, volume = resting_price(brain, side, action.price), action.volume
    if lack := _lacks(brain, trade, price, volume, since):
        return lack
    slot.state = state
    if price != action.price:
        slot.patch(action.local_id, price=price)
    stop_waiting(brain, slot, trade)
    terms = side, cycle, action.local_id, price, volume
    live = LiveOrder(brain.next_client_id(), slot.id, trade, "entry", *terms)
    brain.registry.add(live)
    _send(brain, live, "entry_placed")
    return None


class Funds(NamedTuple):
    """Amounts of the two assets that may still be reserved."""

    quote: Decimal
    base: Decimal


def free_funds(brain: Brain) -> Funds:
    """Spendable minus claims: the allotment and the instance's own flows, never more than the
    account holds (architecture 4.3)."""
    books, funds, claims = brain.books, brain.settings.funds, brain.registry
    quote = books.quote + brain.unbooked(brain.instrument.quote)
    base = books.base + brain.unbooked(brain.instrument.base)
    if isinstance(funds.quote, Decimal):
        quote = min(funds.quote + books.quote - books.paid_in_quote, quote)
    if isinstance(funds.base, Decimal):
        base = min(funds.base + books.base - books.paid_in_base, base)
    return Funds(quote - claims.claimed_quote, base - claims.claimed_base)


def _lacks(
    brain: Brain, trade: TradeId, price: Decimal, volume: Decimal, since: float
) -> Waiting | None:
    """What an entry needs and does not find; what is free never looks better than it is."""
    registry, pair, free = brain.registry, brain.instrument, free_funds(brain)
    base = volume * (registry.sell_factor - (ZERO if trade == "A" else ONE))
    quote = price * volume * registry.buy_factor if trade == "B" else ZERO
    for need, have, asset, decimals in (
        (base, free.base, pair.base, pair.volume_decimals),
        (quote, free.quote, pair.quote, min(pair.cost_decimals, 4)),
    ):
        if need and need > have:
            wanted = plain(need.quantize(quantum(decimals), ROUND_UP))
            found = plain(max(have, ZERO).quantize(quantum(decimals), ROUND_DOWN))
            text, in_base = f"needs {wanted}, free {found} {asset}", asset == pair.base
            return Waiting("funds", since, text, inf, brain.price, need, in_base)
    return None
