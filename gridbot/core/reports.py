"""What the exchange said: answers to our writes, and how our orders stand.

Money is booked here from differences of an order's cumulative (executed, cost, fee), in exchange
order, before any slot reacts. An order leaves the registry when it is finished and booked; the
slot gets the reducer event in its inbox. Nothing is ever inferred from absence.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from gridbot.core import state_machine as reducer
from gridbot.core.ledger import DoubleBooking
from gridbot.core.numbers import ZERO, floor_to_step, plain, quantum, round_half_even
from gridbot.core.orders import LiveOrder
from gridbot.core.positions import FillPart
from gridbot.core.records import Balance, OrderReport, Outcome, Severity, StepInput
from gridbot.core.slot import Slot, Waiting
from gridbot.core.trading import move_back, stop_waiting

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

LOOKUP_SECONDS = (5.0, 65.0)
RETRY_SECONDS = (30.0, 1800.0)  # after the first refusal, doubled with each, and at most
POST_ONLY_REASON = "post only"
_PARKED = {"operator": "cancelled by operator", "remove": "removed"}


def apply(brain: Brain, step: StepInput) -> None:
    """Take in outcomes, then reports by exchange time and id, then balances."""
    for outcome in step.outcomes:
        live = brain.registry.by_client.get(outcome.client_id)
        if live is not None:
            _answered(brain, live, outcome)
    for report in sorted(step.reports, key=lambda one: (one.closed_at or step.at, one.exchange_id)):
        live = brain.registry.by_client.get(report.client_id)
        if live is not None:
            _reported(brain, live, report)
    if step.balances is not None:
        _compare_balances(brain, step.balances)


# --- outcomes of writes ---------------------------------------------------------------------


def _answered(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    """A cancel's own answer proves nothing about what was executed: the report does."""
    kind, verb = outcome.kind, outcome.verb
    if kind == "unknown" or (kind == "later" and verb != "place"):
        _unknown(brain, live, outcome)
    elif verb == "place":
        _placed(brain, live, outcome)
    elif verb == "amend" and kind == "accepted":
        live.settle()
    elif verb == "amend" and kind == "refused":
        brain.counters.orders_refused += 1
        _not_moved(brain, live)


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
        if live.lookups < len(LOOKUP_SECONDS):
            live.lookup_at += LOOKUP_SECONDS[1] - LOOKUP_SECONDS[0]
        else:
            _not_placed(brain, live, "absent", "never reached the exchange", brain.now)


def _accept(brain: Brain, live: LiveOrder, exchange_id: str) -> None:
    if live.standing in ("pending", "unknown"):
        if live.standing == "unknown":
            brain.tell(live, "resolved", "good")
        brain.registry.stand(live, "open")
        live.refusals = 0
    live.exchange_id = exchange_id
    slot = brain.slots[live.slot_id]
    if live.role == "recovery":
        slot.state = reducer.apply_recovery_txid(slot.state, live.local_id, exchange_id)
    else:
        slot.patch(live.local_id, txid=exchange_id)


def _unknown(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    live.lookup_verb, live.lookups = outcome.verb, 0
    live.lookup_at = max(outcome.until, brain.now) + LOOKUP_SECONDS[0]
    brain.registry.stand(live, "unknown")
    brain.tell(live, "unknown", "warn", verb=outcome.verb)


def _not_placed(brain: Brain, live: LiveOrder, code: str, text: str, until: float) -> None:
    """Nothing rests at the exchange: an entry is dropped and wanted again, an exit is kept."""
    slot = brain.slots[live.slot_id]
    brain.due.add(slot.id)
    attempts, parked = live.refusals + 1, _PARKED.get(live.after_cancel, "")
    brain.tell(live, "refused", "warn", code=code, text=text, role=live.role, attempts=attempts)
    if live.role == "entry":
        brain.registry.remove(live)
        slot.state = reducer.remove_order(slot.state, live.local_id)
        slot.waiting[live.trade_id] = Waiting("refused", brain.now, code or text, until)
        return
    live.refusals, live.retry_at, live.after_cancel = attempts, until, ""
    live.parked = parked
    brain.registry.stand(live, "wanted")
    if live.role == "recovery":
        brain.write_offs.append(live.client_id)


def _not_moved(brain: Brain, live: LiveOrder) -> None:
    if live.amending and live.previous_price is not None:
        move_back(brain, live)


# --- reports --------------------------------------------------------------------------------


def _reported(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    if live.standing == "pending" or live.standing == "unknown":
        _found(brain, live, report)
    news = report.executed > live.executed
    if news:
        _book(brain, live, report)
    if live.amending:
        if report.price == live.price and report.volume == live.volume:
            live.settle()
        elif report.state == "open":
            _not_moved(brain, live)
    if report.state != "open":
        _ended(brain, live, report, news)


def _found(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    """An order whose fate was open is there; a cancel that was lost is sent once more."""
    again = live.lookup_verb == "cancel" and report.state == "open"
    _accept(brain, live, report.exchange_id)
    live.lookup_verb = ""
    if again or live.after_cancel:
        brain.registry.stand(live, "cancelling")
    if again:
        brain.out.cancels.append(live.client_id)


def _book(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    executed, cost = report.executed - live.executed, report.cost - live.cost
    part = FillPart(
        live.slot_id, live.trade_id, live.cycle, live.role, live.side, live.client_id,
        report.exchange_id, live.local_id, _price_of(brain, report.price, executed, cost),
        executed, cost, report.fee - live.fee, report.fee_asset == brain.instrument.base,
        report.executed, report.state == "closed",
    )  # fmt: skip
    try:
        brain.books.execution(brain.seq, report.closed_at or brain.now, part)
    except (DoubleBooking, ValueError) as error:
        brain.halt(f"an execution cannot be booked: {error}")
        return
    live.executed, live.cost, live.fee = report.executed, report.cost, report.fee
    brain.registry.reserve(live)
    brain.counters.executions += 1
    if report.state == "open":
        done, whole = plain(report.executed), plain(report.volume)
        brain.tell(live, "partly_filled", "info", executed=done, volume=whole)


def _price_of(brain: Brain, limit: Decimal, executed: Decimal, cost: Decimal) -> Decimal:
    """The limit where it explains the cost (a maker's fill), else the average on the price grid."""
    if round_half_even(limit * executed, brain.instrument.cost_decimals) == cost:
        return limit
    return round_half_even(cost / executed, brain.instrument.price_decimals)


def _ended(brain: Brain, live: LiveOrder, report: OrderReport, news: bool) -> None:
    slot = brain.slots[live.slot_id]
    brain.due.add(slot.id)
    filled = report.state == "closed"
    if live.executed and not (filled and news):
        brain.books.order_done(live.client_id)  # nothing booked now said that it was the last
    if live.role == "recovery" and not filled:
        brain.write_offs.append(live.client_id)
        return
    brain.registry.remove(live)
    if filled or (live.role == "entry" and live.executed):
        slot.inbox.append(_fill(brain, live, report))
        figures = {"side": live.side, "price": report.price, "volume": report.executed}
        brain.tell(live, f"{live.role}_filled", "good", **figures)
    else:
        _gone(brain, slot, live, report)


def _gone(brain: Brain, slot: Slot, live: LiveOrder, report: OrderReport) -> None:
    """Nothing came of it: an entry is wanted afresh, the rest of an exit once more, unless parked
    because somebody had it cancelled."""
    reason = _PARKED.get(live.after_cancel, "")
    if not live.after_cancel and POST_ONLY_REASON not in report.reason.lower():
        reason = "cancelled outside"
    severity: Severity = "bad" if reason == "cancelled outside" else "info"
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
    again = LiveOrder(brain.next_client_id(), slot.id, *terms, parked=reason)
    again.reprices, again.repriced_at = live.reprices, live.repriced_at
    again.break_even = live.break_even
    brain.registry.add(again)
    brain.tell(live, "cancelled", severity if reason else "warn", reason=reason)


def _fill(brain: Brain, live: LiveOrder, report: OrderReport) -> reducer.Event:
    """The reducer's fill: what can be given back by the exit, its fee in quote."""
    kind = reducer.RecoveryFillEvent if live.role == "recovery" else reducer.FillEvent
    price = _price_of(brain, report.price, report.executed, report.cost)
    volume, fee = report.executed, report.fee
    if fee and report.fee_asset == brain.instrument.base:
        if live.role == "entry" and live.side == "buy":
            volume = floor_to_step(volume - fee, quantum(brain.instrument.volume_decimals))
        fee = fee * price
    at = report.closed_at or brain.now
    return kind(live.local_id, report.exchange_id, live.side, price, volume, fee, at)


# --- reconciliation -------------------------------------------------------------------------


def _compare_balances(brain: Brain, balances: dict[str, Balance]) -> None:
    """Remember what the exchange holds; a changed unexplained difference becomes a memo entry."""
    instrument, books = brain.instrument, brain.books
    before = dict(brain.drift)
    for asset, booked in ((instrument.quote, books.quote), (instrument.base, books.base)):
        balance = balances.get(asset)
        if balance is not None:
            brain.exchange_balances[asset] = balance.total
            brain.drift[asset] = balance.total - booked
    if brain.drift != before:
        quote = brain.drift.get(instrument.quote, ZERO)
        base = brain.drift.get(instrument.base, ZERO)
        books.drift(brain.seq, brain.now, quote, base)
        severity: Severity = "warn" if quote or base else "good"
        brain.emit("drift_changed", severity, quote=plain(quote), base=plain(base))
