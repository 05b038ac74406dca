"""What a woken slot does: take its fills, see the price, let its deadlines run, name its wants.

Per slot and step (architecture 4.2): catch-up to the last price before this step, the fills, the
new price, the timer. The reducer's actions become wanted exits, refreshes and recoveries here; what
may be sent, and when, is decided afterwards in ``placing``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gridbot.core import state_machine as reducer
from gridbot.core.numbers import HUNDRED, ZERO, plain, round_half_even
from gridbot.core.orders import AfterCancel, LiveOrder
from gridbot.core.pricing import break_even, reprice_target
from gridbot.core.records import StepInput, TradeId
from gridbot.core.slot import Slot, Waiting, exit_span, next_reprice_at
from gridbot.core.state_machine import OrderState, find_order, remove_order, transition

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

RECENT_CYCLES = 4
# An exit's value may fall below its entry's; leave room so that it stays above the minimum.
MIN_COST_MARGIN = Decimal("1.05")


def run_due_slots(brain: Brain, step: StepInput) -> None:
    """Let every due slot react, in id order; an exception quarantines only its own slot."""
    for slot_id in sorted(brain.due):
        slot = brain.slots.get(slot_id)
        if slot is None or slot.quarantined:
            continue
        brain.counters.slot_events += 1
        state, inbox = slot.state, slot.inbox
        try:
            _run_slot(brain, slot, step)
        except Exception as error:
            slot.state, slot.inbox = state, inbox
            _quarantine(brain, slot, f"{type(error).__name__}: {error}")


def _quarantine(brain: Brain, slot: Slot, text: str) -> None:
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
    if slot.inbox:
        _deliver_inbox(brain, slot, step)
    if step.price is not None:
        timer_due = step.at >= slot.timer_at or slot.state.orders is not before
        _deliver_tick(brain, slot, step.price, step.at, timer_due or brain.deliver_all)
    orders = slot.state.orders
    if orders and orders is slot.checked and not slot.waiting and not brain.deliver_all:
        return  # what the phase wants depends on them alone, and all was there; every () is one
    note_wants(brain, slot)
    slot.checked = slot.state.orders
    fault = _fault(slot.state.orders)
    if fault:
        raise AssertionError(fault)


def _deliver_inbox(brain: Brain, slot: Slot, step: StepInput) -> None:
    price = step.previous_price or brain.price
    assert price is not None, "an order filled before there was a price"
    slot.see_price(price, step.previous_at)
    events, slot.inbox = slot.inbox, []
    for event in events:
        if isinstance(event, reducer.FillEvent):
            event = _with_dust(brain, slot, event)
        if event is not None:
            slot.last_fill_at = event.timestamp
            _apply(brain, slot, event)


def _with_dust(brain: Brain, slot: Slot, event: reducer.FillEvent) -> reducer.FillEvent | None:
    """Join earlier dust to an entry's fill, or set a fill that is too small to exit aside."""
    order = find_order(slot.state, event.order_local_id)
    if order is None or order.role == "exit":
        return event
    books, instrument, trade = brain.books, brain.instrument, order.trade_id
    if any(p.aside and p.trade_id == trade for p in books.positions.of_slot(slot.id)):
        volume, unit_cost, fee = books.positions.join_lot(slot.id, trade, order.cycle)
        assert unit_cost is not None, f"slot {slot.id} joined lots without volume"
        price = round_half_even(unit_cost, instrument.price_decimals)
        event = replace(event, volume=volume, price=price, fee=fee)
    cost = event.price * event.volume
    if event.volume >= instrument.min_volume and cost >= instrument.min_cost * MIN_COST_MARGIN:
        return event
    books.positions.set_aside(slot.id, trade, order.cycle)
    slot.state = remove_order(slot.state, order.local_id)
    return None


def _apply(brain: Brain, slot: Slot, event: reducer.Event) -> None:
    """Feed one event to the reducer and carry out what it answers.
    Only a price tick is given the real order size (``_refresh``): follow-up entries are the
    business of ``placing``, so what the reducer places here are exits."""
    slot.state, actions = transition(slot.state, event, slot.cfg, ZERO)
    for action in actions:
        if isinstance(action, reducer.PlaceOrderAction):
            _want_exit(brain, slot, action)
        elif isinstance(action, reducer.OrphanOrderAction):
            _orphan(brain, slot, action)
        elif isinstance(action, reducer.BookCycleAction):
            _cycle_closed(brain, slot, action)


def _want_exit(brain: Brain, slot: Slot, action: reducer.PlaceOrderAction) -> None:
    terms = action.side, action.cycle, action.local_id, action.price, action.volume
    live = LiveOrder(brain.next_client_id(), slot.id, action.trade_id, "exit", *terms)
    if order := find_order(slot.state, action.local_id):
        live.break_even = break_even(brain, live.side, order.entry_price)
    brain.registry.add(live)


def _cycle_closed(brain: Brain, slot: Slot, booked: reducer.BookCycleAction) -> None:
    brain.counters.round_trips += 1
    recent = slot.state.completed_cycles[-RECENT_CYCLES:]
    slot.state = replace(slot.state, completed_cycles=recent)
    brain.configure(slot)  # the losing streak decides how far out entries stand
    brain.emit(
        "cycle_closed", "good" if booked.net_profit >= 0 else "bad", slot.id, booked.trade_id,
        net=booked.net_profit, cycle=booked.cycle, recovery=booked.from_recovery,
    )  # fmt: skip


def _deliver_tick(brain: Brain, slot: Slot, price: Decimal, at: float, timer_due: bool) -> None:
    """The new price and then the timer, which has nothing to do before ``timer_at`` unless the
    slot's orders have changed."""
    frozen = brain.is_frozen(slot)
    if frozen or not _needs_refresh(brain, slot, price):
        slot.see_price(price, at)
    else:
        _refresh(brain, slot, price, at)
    if frozen or not timer_due:
        return
    cycle = slot.kind == "cycle"
    if not slot.holds_small_exit() if cycle else slot.state.s2_entered_at is not None:
        _apply(brain, slot, reducer.TimerTick(timestamp=at))
    if cycle:
        _reprice(brain, slot)
        _end_lotteries(brain, slot)


def _needs_refresh(brain: Brain, slot: Slot, price: Decimal) -> bool:
    """Some entry has drifted past the limit. A part-filled one is cut instead of moved: what it
    holds must get its exit; one with an open question is left alone until it is answered."""
    limit = slot.cfg.refresh_pct * price
    drifted = False
    for order in slot.state.orders:
        if order.role == "entry" and abs(order.price - price) * HUNDRED > limit:
            live = brain.registry.by_local.get((slot.id, order.local_id))
            if live is None or live.standing != "open" or live.amending:
                return False
            if live.retry_at > brain.now:
                return False
            if live.executed:
                cancel(brain, live, "cut")
                return False
            drifted = True
    return drifted and not brain.price_lost and brain.run_state != "draining"


def _refresh(brain: Brain, slot: Slot, price: Decimal, at: float) -> None:
    """One price tick with the real size: at most one entry moves (state-machine 10).
    An entry the reducer drops for lack of volume stays in the state until its cancel is confirmed,
    because it may still fill."""
    before, tick = slot.state.orders, reducer.PriceTick(price, at)
    slot.state, actions = transition(slot.state, tick, slot.cfg, brain.settings.grid.order_size)
    if not actions:
        return
    after = slot.state.orders
    old = next(order for order in before if order not in after)
    live = brain.registry.by_local[slot.id, old.local_id]
    if len(after) < len(before):
        slot.state = replace(slot.state, orders=(*after, old))
        cancel(brain, live, "drain")
        return
    live.move(after[-1].price, after[-1].volume)
    brain.registry.relabel(live, "entry", after[-1].local_id)
    brain.refreshes.append(live)


def cancel(brain: Brain, live: LiveOrder, why: AfterCancel) -> None:
    """Ask for an order's cancellation; what happens next is decided when it is confirmed."""
    if live.standing == "cancelling":
        return
    live.after_cancel = why
    if live.standing == "unknown":
        live.lookup_verb = "cancel"  # sent once it is found: there may be nothing to cancel
        return
    brain.registry.stand(live, "cancelling")
    live.retry_at = 0.0
    brain.out.cancels.append(live.client_id)
    brain.counters.orders_cancelled += 1


def cancel_entries(brain: Brain) -> int:
    """Cancel all entries; how many there are."""
    entries = [live for live in brain.registry.by_client.values() if live.role == "entry"]
    for live in entries:
        cancel(brain, live, "drain")
    return len(entries)


def move_back(brain: Brain, live: LiveOrder) -> None:
    """The order still rests where it was: price and volume go back, in the slot's state too."""
    live.move_back()
    brain.registry.reserve(live)
    if live.role != "recovery":
        brain.slots[live.slot_id].patch(live.local_id, price=live.price, volume=live.volume)
    brain.due.add(live.slot_id)


def _orphan(brain: Brain, slot: Slot, action: reducer.OrphanOrderAction) -> None:
    live = brain.registry.by_local[slot.id, action.local_id]
    brain.registry.relabel(live, "recovery", action.recovery_id)
    brain.counters.orphans += 1
    if brain.settings.governor.enabled:
        brain.exits.closed(brain.now, slot.id, True)
        brain.exits.follow(brain.now, live.side == "sell", live.price)
    brain.tell(live, "orphaned", "warn", reason=action.reason)
    cycle = brain.settings.cycle
    if cycle.write_off and cycle.recovery_ttl_sec <= 0:
        give_up(brain, live)
        return
    market, by_recovery = slot.state.market_price, brain.registry.by_recovery
    every = [
        by_recovery[slot.id, one.recovery_id]
        for one in slot.state.recovery_orders
        if not slot.is_too_small(one)
    ]
    kept = [one for one in every if one.after_cancel != "write_off"]
    kept = [one for one in kept if one.client_id not in brain.write_offs]
    if len(kept) > max(1, cycle.max_recovery_slots):  # the farthest goes, then the oldest
        give_up(brain, min(kept, key=lambda one: (-abs(one.price - market), one.local_id)))


def give_up(brain: Brain, live: LiveOrder) -> None:
    """End a recovery: write it off once it is certainly gone from the exchange."""
    brain.exits.news = True
    if live.standing == "wanted":
        brain.write_offs.append(live.client_id)
    else:
        cancel(brain, live, "write_off")


def _end_lotteries(brain: Brain, slot: Slot) -> None:
    cycle = brain.settings.cycle
    for recovery in slot.state.recovery_orders if cycle.write_off else ():
        live = brain.registry.by_recovery.get((slot.id, recovery.recovery_id))
        due = recovery.orphaned_at + cycle.recovery_ttl_sec <= slot.state.now
        due = due and not slot.is_too_small(recovery)
        if live is not None and due and live.standing == "open":
            give_up(brain, live)


def _reprice(brain: Brain, slot: Slot) -> None:
    """Move waiting exits of a cycle slot towards the market on schedule (architecture 4.4)."""
    exits, cycle, now = slot.exits(), brain.settings.cycle, slot.state.now
    start, span = exit_span(slot, exits, cycle) if exits else (None, 0.0)
    if start is None:
        return
    for order in exits:
        live = brain.registry.by_local.get((slot.id, order.local_id))
        if live is None or live.standing != "open" or live.amending:
            continue
        due = next_reprice_at(start, span, cycle.max_reprices, live.repriced_at)
        if live.may_gain(cycle.max_reprices) and now >= max(due, live.retry_at):
            live.repriced_at = now
            _reprice_exit(brain, slot, order, live)


def _reprice_exit(brain: Brain, slot: Slot, order: OrderState, live: LiveOrder) -> None:
    """No resting exit below a raised minimum is touched: the exchange would refuse its return."""
    target = reprice_target(brain, live.side, live.price, order.entry_price)
    rules, volume = brain.instrument, live.volume
    if target is None or volume < rules.min_volume or target * volume < rules.min_cost:
        return
    live.reprices += 1
    live.move(target, volume)
    slot.patch(order.local_id, price=target)
    brain.refreshes.append(live)
    brain.counters.reprices += 1
    brain.tell(live, "repriced", "info", old=plain(order.price), new=plain(target))


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


def _fault(orders: tuple[OrderState, ...]) -> str:
    """What is wrong with a slot's set of orders; empty when all is well (state-machine 12)."""
    for order in orders:
        if order.volume <= 0 or order.cycle < 1:
            return f"order {order.local_id} has volume {order.volume}, cycle {order.cycle}"
        if order.role == "exit" and order.entry_price <= 0:
            return f"exit {order.local_id} carries no entry price"
        if (order.trade_id == "A") != ((order.side == "sell") == (order.role == "entry")):
            return f"order {order.local_id}: {order.role} of {order.trade_id} is a {order.side}"
    trades = [order.trade_id for order in orders]
    return "" if len(set(trades)) == len(trades) else f"two orders of one trade: {trades}"
