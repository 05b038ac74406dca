"""What the exchange said: answers to our writes, and how our orders stand.

Money is booked here from differences of an order's cumulative (executed, cost, fee), in exchange
order, before any slot reacts. An order leaves the registry when it is finished and booked; the
slot gets the reducer event in its inbox. Nothing is ever inferred from absence.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from gridbot.core import account
from gridbot.core import state_machine as reducer
from gridbot.core.ledger import DoubleBooking
from gridbot.core.numbers import ZERO, floor_to_step, plain, quantum, round_half_even
from gridbot.core.orders import LiveOrder, order_number
from gridbot.core.positions import FillPart
from gridbot.core.records import OrderReport, Outcome, Severity, StepInput
from gridbot.core.slot import Slot, Waiting
from gridbot.core.trading import move_back, stop_waiting

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

LOOKUP_SECONDS = (5.0, 65.0)
RETRY_SECONDS = (30.0, 1800.0)  # after the first refusal, doubled with each, and at most
CANCEL_AGAIN_SECONDS = 60.0
POST_ONLY_REASON = "post only"
UNKNOWN_ORDER = "unknown order"
_PARKED = {"operator": "cancelled by operator", "remove": "removed"}


def apply(brain: Brain, step: StepInput) -> None:
    """Take in outcomes, reports by exchange time and id, the exchange's own rows, balances."""
    for outcome in step.outcomes:
        live = brain.registry.by_client.get(outcome.client_id)
        if live is not None:
            _answered(brain, live, outcome)
    for report in sorted(step.reports, key=lambda one: (one.closed_at or step.at, one.exchange_id)):
        live = brain.registry.by_client.get(report.client_id)
        if live is not None:
            _reported(brain, live, report)
        elif report.state == "open":
            _stranger(brain, report)
    if step.own_rows:
        account.take_rows(brain, step.own_rows)
    if step.balances is not None:
        account.compare_balances(brain, step.balances)


def _stranger(brain: Brain, report: OrderReport) -> None:
    """An open order of ours that is not in the books was declared absent too early, or is of a life
    that a restored backup has forgotten: it is cancelled. A stale listing of one that is known to
    be finished means nothing, and a number never given is somebody else's order."""
    client_id, number = report.client_id, order_number(report.client_id, brain.instance)
    ours = number is not None and number < brain.next_order_number
    if (
        ours
        and (brain.run_state != "halted" or brain.state_reason.startswith("operator"))
        and client_id not in brain.books.finished
        and client_id not in brain.out.cancels
    ):
        brain.out.cancels.append(client_id)
        brain.emit("cancelled", "warn", order=client_id, reason="not in our books")


def _answered(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    """A cancel's own answer proves nothing about what was executed: the report does."""
    kind, verb = outcome.kind, outcome.verb
    if kind == "unknown":
        _unknown(brain, live, outcome)
    elif kind == "later":
        _later(brain, live, outcome)
    elif verb == "place":
        _placed(brain, live, outcome)
    elif verb == "amend" and kind == "accepted":
        live.settle()
    elif verb == "amend" and kind == "refused":
        brain.counters.orders_refused += 1
        _not_moved(brain, live)
    else:  # the report of one that is gone comes long before it would be cancelled again
        gone = kind == "accepted" or UNKNOWN_ORDER in f"{outcome.code} {outcome.text}".lower()
        live.retry_at = brain.now + (CANCEL_AGAIN_SECONDS if gone else RETRY_SECONDS[0])


def _later(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    """Nothing was sent, so nothing was refused: the same is tried again in its time."""
    until = outcome.until if outcome.until > brain.now else brain.now + RETRY_SECONDS[0]
    live.retry_at = until
    if outcome.verb == "amend" and live.amending:
        if live.role != "entry" and not live.closing:
            live.reprices, live.repriced_at = live.reprices - 1, 0.0
        _not_moved(brain, live)
    elif outcome.verb == "place":
        text = outcome.text or outcome.code
        brain.tell(live, "waiting", "info", reason="exchange", text=text)
        _not_sent(brain, live, Waiting("exchange", brain.now, text, until))


def _placed(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    if outcome.kind == "accepted":
        _accept(brain, live, outcome.exchange_id)
    elif outcome.kind != "absent":
        brain.counters.orders_refused += 1
        first, longest = RETRY_SECONDS
        until = max(brain.now + min(first * 2.0**live.refusals, longest), outcome.until)
        _not_placed(brain, live, outcome.code, outcome.text, until)
    elif live.standing == "unknown":
        live.lookups += 1
        if live.lookups < len(LOOKUP_SECONDS) or live.exchange_id:  # once there, never absent
            gap = LOOKUP_SECONDS[1] - LOOKUP_SECONDS[0]  # not shorter for a first look too late
            live.lookup_at = max(live.lookup_at + gap, brain.now + gap / 2)
        else:
            _not_placed(brain, live, "absent", "never reached the exchange", brain.now)


def _accept(brain: Brain, live: LiveOrder, exchange_id: str) -> None:
    if live.standing in ("pending", "unknown", "wanted"):
        if live.standing != "pending":
            brain.tell(live, "resolved", "good")
        brain.registry.stand(live, "open")
        live.refusals = 0
    live.exchange_id = exchange_id
    slot, recovery = brain.slots[live.slot_id], live.role == "recovery"
    note = reducer.apply_recovery_txid if recovery else reducer.apply_order_txid
    slot.state = note(slot.state, live.local_id, exchange_id)


def _unknown(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    live.lookup_verb, live.lookups = outcome.verb, 0
    live.lookup_at = max(outcome.until, brain.now) + LOOKUP_SECONDS[0]
    brain.registry.stand(live, "unknown")
    brain.tell(live, "unknown", "warn", verb=outcome.verb)


def _not_placed(brain: Brain, live: LiveOrder, code: str, text: str, until: float) -> None:
    """Nothing rests at the exchange: an entry is dropped and wanted again, an exit is kept."""
    live.refusals, live.retry_at = live.refusals + 1, until
    figures = {"code": code, "text": text, "role": live.role, "attempts": live.refusals}
    brain.tell(live, "refused", "warn", **figures)
    _not_sent(brain, live, Waiting("refused", brain.now, code or text, until))


def _not_sent(brain: Brain, live: LiveOrder, waiting: Waiting) -> None:
    slot = brain.slots[live.slot_id]
    brain.due.add(slot.id)
    if live.role == "entry":
        brain.registry.remove(live)
        slot.state = reducer.remove_order(slot.state, live.local_id)
        slot.waiting[live.trade_id] = waiting
        return
    live.parked, live.after_cancel = _PARKED.get(live.after_cancel, ""), ""
    brain.registry.stand(live, "wanted")
    if live.role == "recovery":
        brain.write_offs.append(live.client_id)


def _not_moved(brain: Brain, live: LiveOrder) -> None:
    if live.amending and live.previous_price is not None:
        move_back(brain, live)


def _reported(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    lost = live.standing == "wanted" and report.state == "open"
    doubtful = _may_show_late(brain, live, report)
    if (lost or live.standing in ("pending", "unknown")) and not doubtful:
        _found(brain, live, report)
    news = report.executed > live.executed
    if news:
        _book(brain, live, report)
    if live.amending and not doubtful:
        if report.price == live.price and report.volume == live.volume:
            live.settle()
        elif report.state == "open":
            _not_moved(brain, live)
    if report.state != "open":
        _ended(brain, live, report, news)


def _may_show_late(brain: Brain, live: LiveOrder, report: OrderReport) -> bool:
    """A lost amend that Kraken did carry out can take a minute to show: that the order rests where
    it was counts at the second look only."""
    old = (report.price, report.volume) != (live.price, live.volume) and report.state == "open"
    if not (old and live.standing == "unknown" and live.lookup_verb == "amend"):
        return False
    if live.lookups == 0 and brain.now >= live.lookup_at:
        live.lookups, live.lookup_at = 1, brain.now + LOOKUP_SECONDS[1] - LOOKUP_SECONDS[0]
        return True
    return brain.now < live.lookup_at


def _found(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    """An order whose fate was open is there, even one that seemed to have never arrived; a cancel
    that was lost is sent once more."""
    if live.client_id in brain.write_offs:  # given up as one that was never placed
        brain.write_offs.remove(live.client_id)
        live.lookup_verb, live.after_cancel = "cancel", "write_off"
    again = report.state == "open" and (live.lookup_verb == "cancel" or live.parked != "")
    if live.parked:
        live.after_cancel, live.parked = "operator", ""
    _accept(brain, live, report.exchange_id)
    live.lookup_verb = ""
    if again or live.after_cancel:
        brain.registry.stand(live, "cancelling")
        live.retry_at = 0.0
    if again:
        brain.out.cancels.append(live.client_id)


def _book(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    executed, cost = report.executed - live.executed, report.cost - live.cost
    in_base, fee = report.fee_asset == brain.instrument.base, _fee(brain, report)
    before = live.fee_base if in_base else live.fee
    part = FillPart(
        live.slot_id, live.trade_id, live.cycle, live.role, live.side, live.client_id,
        report.exchange_id, live.local_id, _price_of(brain, report.price, executed, cost),
        executed, cost, max(fee - before, ZERO), in_base, report.executed,
        report.state == "closed",
    )  # fmt: skip
    try:
        brain.books.execution(brain.seq, report.closed_at or brain.now, part)
    except (DoubleBooking, ValueError) as error:
        brain.halt(f"an execution cannot be booked: {error}")
        return
    live.executed, live.cost = report.executed, report.cost
    if in_base:
        live.fee_base = max(fee, live.fee_base)
    else:
        live.fee = max(fee, live.fee)
    if brain.settings.run.mode == "live":
        account.expect(brain, part, len(report.trade_ids))
    brain.registry.reserve(live)
    brain.counters.executions += 1
    if report.state == "open":
        if live.role == "entry" and not live.partial_since:
            live.partial_since = brain.now
            brain.registry.partial[live.client_id] = live
        done, whole = plain(report.executed), plain(report.volume)
        brain.tell(live, "partly_filled", "info", executed=done, volume=whole)


def _fee(brain: Brain, report: OrderReport) -> Decimal:
    """What the order has cost in fees so far; nothing if that was charged in a third asset."""
    ours = report.fee_asset in ("", brain.instrument.quote, brain.instrument.base)
    return report.fee if ours else ZERO


def _price_of(brain: Brain, limit: Decimal, executed: Decimal, cost: Decimal) -> Decimal:
    """The limit where it explains the cost (a maker's fill), else the average on the price grid."""
    if round_half_even(limit * executed, brain.instrument.cost_decimals) == cost:
        return limit
    return round_half_even(cost / executed, brain.instrument.price_decimals)


def _ended(brain: Brain, live: LiveOrder, report: OrderReport, news: bool) -> None:
    slot = brain.slots[live.slot_id]
    brain.due.add(slot.id)
    filled = report.state == "closed"
    if not (filled and news):
        brain.books.order_done(live.client_id)  # nothing booked now said that it was the last
        if filled and live.role != "entry":
            _close_sliver(brain, live, report)
    if live.executed and not filled:
        brain.counters.partials_cancelled += 1
    if live.role == "recovery":
        brain.exits.news = True
        if not filled:
            brain.write_offs.append(live.client_id)
            return
    elif live.role == "exit" and filled:
        _exit_filled(brain, slot, live)
    brain.registry.remove(live)
    if filled or (live.role == "entry" and live.executed):
        slot.inbox.append(_fill(brain, live, report))
        figures = {"side": live.side, "price": report.price, "volume": report.executed}
        brain.tell(live, f"{live.role}_filled", "good", **figures)
    else:
        _gone(brain, slot, live, report)


def _exit_filled(brain: Brain, slot: Slot, live: LiveOrder) -> None:
    if slot.kind == "cycle" and brain.settings.governor.enabled:
        brain.exits.closed(brain.now, slot.id, False)
    if not live.closing:
        brain.exits.waited(slot.kind, live.side, brain.now - live.placed_at)


def _close_sliver(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    """The exchange calls an exit filled that is a hair short of its volume: so is its position."""
    key = live.slot_id, live.trade_id, live.cycle
    if brain.books.positions.position(*key) is not None:
        note = "the order was filled a sliver short"
        brain.books.write_off(brain.seq, brain.now, *key, live.client_id, report.price, note)


def _gone(brain: Brain, slot: Slot, live: LiveOrder, report: OrderReport) -> None:
    """Nothing came of it: an entry is wanted afresh, the rest of an exit once more, unless parked
    because somebody had it cancelled."""
    reason = _PARKED.get(live.after_cancel, "")
    severity: Severity = "info"
    if not live.after_cancel and POST_ONLY_REASON not in report.reason.lower():
        reason, severity = "cancelled outside", "bad"
    if live.role == "entry":
        slot.state = reducer.remove_order(slot.state, live.local_id)
        if reason:
            slot.parked[live.trade_id] = reason
        brain.tell(live, "cancelled", severity, reason=reason or live.after_cancel)
        stop_waiting(brain, slot, live.trade_id)
        return
    rest = live.volume - live.executed
    slot.patch(live.local_id, volume=rest, txid="")
    terms = live.trade_id, live.role, live.side, live.cycle, live.local_id, live.price, rest
    brain.registry.add(
        LiveOrder(
            brain.next_client_id(), slot.id, *terms, parked=reason, break_even=live.break_even,
            reprices=live.reprices, repriced_at=live.repriced_at, closing=live.closing,
        )
    )  # fmt: skip
    brain.tell(live, "cancelled", severity if reason else "warn", reason=reason)


def _fill(brain: Brain, live: LiveOrder, report: OrderReport) -> reducer.Event:
    """The reducer's fill: what can be given back by the exit, its fee in quote."""
    kind = reducer.RecoveryFillEvent if live.role == "recovery" else reducer.FillEvent
    price = _price_of(brain, report.price, report.executed, report.cost)
    volume, fee = report.executed, live.fee
    if live.fee_base:
        fee += live.fee_base * price
        if live.role == "entry" and live.side == "buy":
            lot = quantum(brain.instrument.volume_decimals)
            volume = floor_to_step(volume - live.fee_base, lot)
    at = report.closed_at or brain.now
    return kind(live.local_id, report.exchange_id, live.side, price, volume, fee, at)
