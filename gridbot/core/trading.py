"""What a woken slot does: take its fills, see the price, let its deadlines run, name its wants.

Per slot and step (architecture 4.2): catch-up to the last price before this step, the fills, the
new price, the timer. The reducer's actions become wanted exits, refreshes and recoveries here; what
may be sent, and when, is decided afterwards in ``placing``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from gridbot.core.numbers import HUNDRED, ONE, ZERO, plain, round_half_even
from gridbot.core.orders import LiveOrder
from gridbot.core.pricing import keep_post_only, reprice_target
from gridbot.core.records import StepInput, TradeId
from gridbot.core.slot import NEVER_REFRESH_PCT, Slot, Waiting, exit_span, next_reprice_at, streaks
from gridbot.core.state_machine import (
    BookCycleAction,
    CancelOrderAction,
    FillEvent,
    OrderState,
    OrphanOrderAction,
    PairState,
    PlaceOrderAction,
    PriceTick,
    RecoveryFillEvent,
    TimerTick,
    find_order,
    remove_order,
    transition,
)

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

__all__ = ["NEVER_REFRESH_PCT", "run_due_slots"]

RECENT_CYCLES = 4
# An exit's value may fall below its entry's; leave room so that it stays above the minimum.
MIN_COST_MARGIN = Decimal("1.05")
SlotEvent = FillEvent | RecoveryFillEvent
Actions = list[PlaceOrderAction | CancelOrderAction | OrphanOrderAction | BookCycleAction]


def run_due_slots(brain: Brain, step: StepInput) -> None:
    """Let every due slot react, in id order; an exception quarantines only its own slot."""
    for slot_id in sorted(brain.due):
        slot = brain.slots.get(slot_id)
        if slot is None or slot.quarantined:
            continue
        brain.counters.slot_events += 1
        state, inbox = slot.state, list(slot.inbox)
        try:
            _run_slot(brain, slot, step)
        except Exception as error:
            slot.state, slot.inbox = state, inbox
            quarantine(brain, slot, f"{type(error).__name__}: {error}")


def quarantine(brain: Brain, slot: Slot, text: str) -> None:
    """Freeze one slot with its last good state; the others trade on."""
    known = {order.local_id for order in slot.state.orders}
    for live in brain.registry.of_slot(slot.id):
        if live.standing == "wanted" and live.local_id not in known:
            brain.registry.remove(live)
    slot.quarantined = text
    brain.counters.quarantines += 1
    brain.refreshes = [live for live in brain.refreshes if live.slot_id != slot.id]
    brain.emit("quarantined", "bad", slot.id, reason=text)


def _run_slot(brain: Brain, slot: Slot, step: StepInput) -> None:
    before = slot.state.orders
    if slot.inbox and brain.price is not None:
        _deliver_inbox(brain, slot, step)
    if step.price is not None:
        timer_due = step.at >= slot.timer_at or slot.state.orders is not before
        _deliver_tick(brain, slot, step.price, step.at, timer_due or brain.deliver_all)
    if slot.state.orders is slot.checked and not slot.waiting and not brain.deliver_all:
        return  # what the phase wants depends on the orders alone, and all of it was there
    note_wants(brain, slot)
    slot.checked = slot.state.orders
    fault = slot_fault(slot)
    if fault:
        raise AssertionError(fault)


def see_price(slot: Slot, price: Decimal, at: float) -> None:
    """Move the slot's market price: for a price inside its bounds a tick does nothing else."""
    slot.state = replace(slot.state, market_price=price, now=at, last_price_update_at=at)


def _deliver_inbox(brain: Brain, slot: Slot, step: StepInput) -> None:
    price = step.previous_price or brain.price
    assert price is not None
    see_price(slot, price, step.previous_at)
    events, slot.inbox = slot.inbox, []
    for event in events:
        if type(event) is FillEvent and _is_entry(slot, event):
            event = _with_dust(brain, slot, event)
        if event is not None:
            slot.last_fill_at = event.timestamp
            apply(brain, slot, event)


def _is_entry(slot: Slot, event: FillEvent) -> bool:
    order = find_order(slot.state, event.order_local_id)
    return order is not None and order.role == "entry"


def _with_dust(brain: Brain, slot: Slot, event: FillEvent) -> FillEvent | None:
    """Join earlier dust to this fill, or set a fill that is too small to exit aside."""
    order = find_order(slot.state, event.order_local_id)
    assert order is not None
    trade = order.trade_id
    if any(p.aside and p.trade_id == trade for p in brain.books.positions.of_slot(slot.id)):
        volume, unit_cost, fee = brain.books.join_lot(slot.id, trade, order.cycle)
        assert unit_cost is not None, f"slot {slot.id} joined lots without volume"
        price = round_half_even(unit_cost, brain.instrument.price_decimals)
        event = replace(event, volume=volume, price=price, fee=fee)
    instrument = brain.instrument
    cost = event.price * event.volume
    if event.volume >= instrument.min_volume and cost >= instrument.min_cost * MIN_COST_MARGIN:
        return event
    brain.books.set_aside(slot.id, trade, order.cycle)
    slot.state = remove_order(slot.state, order.local_id)
    return None


def apply(brain: Brain, slot: Slot, event: SlotEvent | PriceTick | TimerTick) -> None:
    """Feed one event to the reducer and carry out what it answers.

    Only a price tick is given the real order size: follow-up entries are ``placing``'s business.
    """
    assert slot.cfg is not None
    before = streaks(slot.state)
    slot.state, actions = transition(slot.state, event, slot.cfg, ZERO)
    carry_out(brain, slot, cast(Actions, actions))
    if len(slot.state.completed_cycles) > RECENT_CYCLES:
        recent = slot.state.completed_cycles[-RECENT_CYCLES:]
        slot.state = replace(slot.state, completed_cycles=recent)
    if streaks(slot.state) != before:
        brain.configure(slot)


def carry_out(brain: Brain, slot: Slot, actions: Actions) -> None:
    """Turn the reducer's actions into wanted exits, refreshes and recoveries."""
    for action in actions:
        kind = type(action)
        if kind is PlaceOrderAction:
            place = cast(PlaceOrderAction, action)
            if place.role == "exit":
                _want_exit(brain, slot, place)
        elif kind is OrphanOrderAction:
            _orphan(brain, slot, cast(OrphanOrderAction, action))
        elif kind is BookCycleAction:
            booked = cast(BookCycleAction, action)
            brain.counters.round_trips += 1
            brain.emit(
                "cycle_closed",
                "good" if booked.net_profit >= 0 else "bad",
                slot.id,
                booked.trade_id,
                net=booked.net_profit,
                cycle=booked.cycle,
                recovery=booked.from_recovery,
            )


def _want_exit(brain: Brain, slot: Slot, action: PlaceOrderAction) -> None:
    order = find_order(slot.state, action.local_id)
    assert order is not None
    live = LiveOrder(
        brain.next_client_id(), slot.id, action.trade_id, "exit", action.side, action.cycle,
        action.local_id, action.price, action.volume,
    )  # fmt: skip
    if action.side == "buy":
        live.reserve_price = order.entry_price * (ONE - brain.fee_floor_pct / HUNDRED)
    brain.registry.add(live)


def _deliver_tick(brain: Brain, slot: Slot, price: Decimal, at: float, timer_due: bool) -> None:
    """The new price and then the timer, which has nothing to do before ``timer_at`` unless the
    slot's orders have changed."""
    frozen = brain.is_frozen(slot)
    if frozen or not _needs_refresh(brain, slot, price):
        see_price(slot, price, at)
    else:
        _refresh(brain, slot, price, at)
    if frozen or not timer_due:
        return
    if slot.kind == "cycle" or slot.state.s2_entered_at is not None:
        apply(brain, slot, TimerTick(timestamp=at))
    if slot.kind == "cycle":
        _reprice(brain, slot)
        _end_lotteries(brain, slot)


def _needs_refresh(brain: Brain, slot: Slot, price: Decimal) -> bool:
    """Some entry has drifted past the limit. A part-filled one is cut instead of moved: what it
    holds must get its exit; one with an open question is left alone until it is answered."""
    assert slot.cfg is not None
    limit = slot.cfg.refresh_pct * price
    drifted = False
    for order in slot.state.orders:
        if order.role == "entry" and abs(order.price - price) * HUNDRED > limit:
            live = brain.registry.by_local.get((slot.id, order.local_id))
            if live is None or live.standing != "open" or live.amending:
                return False
            if live.executed:
                cancel(brain, live, "cut")
                return False
            drifted = True
    return drifted and not brain.price_lost and brain.run_state != "draining"


def _refresh(brain: Brain, slot: Slot, price: Decimal, at: float) -> None:
    """One price tick with the real size: at most one entry moves (state-machine 10).

    An entry the reducer drops for lack of volume stays in the state until its cancel is confirmed,
    because it may still fill.
    """
    assert slot.cfg is not None
    before = slot.state
    tick = PriceTick(price=price, timestamp=at)
    slot.state, actions = transition(before, tick, slot.cfg, brain.settings.grid.order_size)
    if not actions:
        return
    old_id = cast(CancelOrderAction, actions[0]).local_id
    live = brain.registry.by_local[slot.id, old_id]
    if len(actions) == 1:
        old = find_order(before, old_id)
        assert old is not None
        slot.state = replace(slot.state, orders=(*slot.state.orders, old))
        cancel(brain, live, "drain")
        return
    new = cast(PlaceOrderAction, actions[1])
    live.previous_price, live.previous_volume = live.price, live.volume
    live.price, live.volume = new.price, new.volume
    brain.registry.relabel(live, new.local_id)
    brain.refreshes.append(live)


def cancel(brain: Brain, live: LiveOrder, why: str) -> None:
    """Ask for an order's cancellation; what happens next is decided when it is confirmed."""
    if live.standing == "cancelling":
        return
    live.after_cancel = why  # type: ignore[assignment]
    brain.registry.stand(live, "cancelling")
    brain.out.cancels.append(live.client_id)
    brain.counters.orders_cancelled += 1


def _orphan(brain: Brain, slot: Slot, action: OrphanOrderAction) -> None:
    live = brain.registry.by_local[slot.id, action.local_id]
    brain.registry.to_recovery(live, action.recovery_id)
    brain.counters.orphans += 1
    brain.emit("orphaned", "warn", slot.id, live.trade_id, live.client_id, reason=action.reason)
    cycle = brain.settings.cycle
    if cycle.write_off and cycle.recovery_ttl_sec <= 0:
        give_up(brain, live)
    elif len(slot.state.recovery_orders) > max(1, cycle.max_recovery_slots):
        give_up(brain, _farthest_recovery(brain, slot))


def _farthest_recovery(brain: Brain, slot: Slot) -> LiveOrder:
    market = slot.state.market_price
    ranked = sorted(
        slot.state.recovery_orders,
        key=lambda one: (-abs(one.price - market), one.orphaned_at, one.recovery_id),
    )
    return brain.registry.by_recovery[slot.id, ranked[0].recovery_id]


def give_up(brain: Brain, live: LiveOrder) -> None:
    """Cancel a recovery and write it off; one that never reached the exchange at once."""
    if live.standing == "wanted":
        brain.write_offs.append(live.client_id)
    elif live.standing != "unknown":
        cancel(brain, live, "write_off")


def _end_lotteries(brain: Brain, slot: Slot) -> None:
    cycle = brain.settings.cycle
    if not cycle.write_off:
        return
    for recovery in slot.state.recovery_orders:
        live = brain.registry.by_recovery.get((slot.id, recovery.recovery_id))
        due = recovery.orphaned_at + cycle.recovery_ttl_sec <= slot.state.now
        if live is not None and due and live.standing == "open":
            give_up(brain, live)


def _reprice(brain: Brain, slot: Slot) -> None:
    """Move waiting exits of a cycle slot towards the market on schedule (architecture 4.4)."""
    exits = [order for order in slot.state.orders if order.role == "exit"]
    if not exits:
        return
    start, span = exit_span(slot, exits)
    limit = brain.settings.cycle.max_reprices
    for order in exits if start is not None else ():
        live = brain.registry.by_local.get((slot.id, order.local_id))
        if live is None or live.standing != "open" or live.amending or live.reprices >= limit:
            continue
        assert start is not None
        if next_reprice_at(start, span, limit, live.repriced_at) <= slot.state.now:
            live.repriced_at = slot.state.now
            _reprice_exit(brain, slot, order, live)


def _reprice_exit(brain: Brain, slot: Slot, order: OrderState, live: LiveOrder) -> None:
    tick = brain.instrument.tick_size
    far = live.price * HUNDRED if live.side == "buy" else ZERO
    nearest = keep_post_only(live.side, far, brain.bid, brain.ask, tick)
    target = reprice_target(
        live.side, live.price, order.entry_price, brain.fee_floor_pct, nearest, tick
    )
    if target is None or not _amendable(brain, target, live.volume):
        return
    live.reprices += 1
    live.previous_price, live.previous_volume = live.price, live.volume
    live.price = target
    slot.state = with_order(slot.state, replace(order, price=target))
    brain.refreshes.append(live)
    brain.counters.reprices += 1
    brain.emit(
        "repriced", "info", slot.id, live.trade_id, live.client_id,
        old=plain(live.previous_price), new=plain(target),
    )  # fmt: skip


def _amendable(brain: Brain, price: Decimal, volume: Decimal) -> bool:
    """No resting exit below a raised minimum is touched: the exchange would refuse its return."""
    instrument = brain.instrument
    return volume >= instrument.min_volume and price * volume >= instrument.min_cost


def with_order(state: PairState, order: OrderState) -> PairState:
    """``state`` with the order of that local id replaced."""
    orders = tuple(order if one.local_id == order.local_id else one for one in state.orders)
    return replace(state, orders=orders)


def note_wants(brain: Brain, slot: Slot) -> None:
    """Compare what the phase wants with what is there; put what is due on the list of attempts."""
    missing = slot.wanted_entries()
    if not missing and not slot.waiting:
        return
    for trade in [trade for trade in slot.waiting if trade not in missing]:
        stop_waiting(brain, slot, trade)
    for trade in missing:
        waiting = slot.waiting.get(trade)
        if waiting is None:
            waiting = slot.waiting[trade] = Waiting("new", brain.now)
        elif waiting.until > brain.now and not _moved_away(brain, waiting):
            continue
        brain.wanting.append((waiting.since, slot.id, trade))


def stop_waiting(brain: Brain, slot: Slot, trade: TradeId) -> None:
    """The trade waits no more."""
    slot.waiting.pop(trade, None)
    brain.pools.pop((slot.id, trade), None)


def _moved_away(brain: Brain, waiting: Waiting) -> bool:
    if waiting.price is None or brain.price is None:
        return False
    move = abs(brain.price - waiting.price) * HUNDRED
    return move >= brain.settings.grid.refresh_pct * waiting.price


def slot_fault(slot: Slot) -> str:
    """What is wrong with the slot's set of orders; empty when all is well (state-machine 12)."""
    entries: list[str] = []
    exits: list[str] = []
    for order in slot.state.orders:
        (entries if order.role == "entry" else exits).append(order.trade_id)
        if order.volume <= 0 or order.cycle < 1:
            return f"order {order.local_id} has volume {order.volume}, cycle {order.cycle}"
        if order.role == "exit" and order.entry_price <= 0:
            return f"exit {order.local_id} carries no entry price"
        if (order.trade_id == "A") != ((order.side == "sell") == (order.role == "entry")):
            return f"order {order.local_id}: {order.role} of {order.trade_id} is a {order.side}"
    if len(set(entries)) != len(entries) or len(set(exits)) != len(exits):
        return f"two orders of one trade: entries {entries}, exits {exits}"
    if set(entries) & set(exits):
        return f"trade {entries} has both entry and exit"
    idle = [trade for trade in slot.wanted_entries() if trade not in slot.waiting]
    return f"trade {idle} is idle without a reason" if idle else ""
