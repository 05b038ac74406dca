"""What the exchange said: answers to our writes, and how our orders stand.

Money is booked here from differences of an order's cumulative (executed, cost, fee), in exchange
order, before any slot reacts. An order leaves the registry when it is finished and booked; the
slot gets the reducer event in its inbox. Nothing is ever inferred from absence.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gridbot.core.ledger import DoubleBooking
from gridbot.core.numbers import ZERO, floor_to_step, plain, quantum, round_half_even
from gridbot.core.orders import LiveOrder
from gridbot.core.positions import FillPart
from gridbot.core.records import Balance, OrderReport, Outcome, StepInput
from gridbot.core.slot import Slot, Waiting
from gridbot.core.state_machine import (
    FillEvent,
    RecoveryFillEvent,
    apply_order_txid,
    apply_recovery_txid,
    find_order,
    remove_order,
)
from gridbot.core.trading import stop_waiting, with_order

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

LOOKUP_SECONDS = (5.0, 65.0)
POST_ONLY_REASON = "post only"
_PARKED = {"operator": "cancelled by operator", "remove": "removed"}


def apply(brain: Brain, step: StepInput) -> None:
    """Take in outcomes, then reports by exchange time and id, then balances."""
    for outcome in step.outcomes:
        live = brain.registry.by_client.get(outcome.client_id)
        if live is not None:
            _OUTCOMES[outcome.verb](brain, live, outcome)
    reports = step.reports
    if len(reports) > 1:
        key = {r.client_id: (r.closed_at or step.at, r.exchange_id) for r in reports}
        reports = tuple(sorted(reports, key=lambda report: key[report.client_id]))
    for report in reports:
        _apply_report(brain, report)
    if step.balances is not None:
        _compare_balances(brain, step.balances)


# --- outcomes of writes ---------------------------------------------------------------------


def _placed(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    if outcome.kind == "accepted":
        _accept(brain, live, outcome.exchange_id)
    elif outcome.kind == "unknown":
        _unknown(brain, live, outcome)
    elif outcome.kind == "absent" and live.standing == "unknown":
        live.lookups += 1
        if live.lookups < len(LOOKUP_SECONDS):
            live.lookup_at += LOOKUP_SECONDS[1] - LOOKUP_SECONDS[0]
        else:
            _not_placed(brain, live, "absent", "never reached the exchange", brain.now)
    elif outcome.kind in ("refused", "later"):
        brain.counters.orders_refused += 1
        until = max(brain.now + _retry_seconds(live), outcome.until)
        _not_placed(brain, live, outcome.code, outcome.text, until)


def _retry_seconds(live: LiveOrder) -> float:
    return min(30.0 * 2.0**live.refusals, 1800.0)


def _accept(brain: Brain, live: LiveOrder, exchange_id: str) -> None:
    if live.standing in ("pending", "unknown"):
        if live.standing == "unknown":
            brain.emit("resolved", "good", live.slot_id, live.trade_id, live.client_id)
        brain.registry.stand(live, "open")
        live.refusals = 0
    live.exchange_id = exchange_id
    slot = brain.slots.get(live.slot_id)
    if slot is None:
        return
    if live.role == "recovery":
        slot.state = apply_recovery_txid(slot.state, live.local_id, exchange_id)
    else:
        slot.state = apply_order_txid(slot.state, live.local_id, exchange_id)


def _unknown(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    live.lookup_verb = outcome.verb
    live.lookups = 0
    live.lookup_at = max(outcome.until, brain.now) + LOOKUP_SECONDS[0]
    brain.registry.stand(live, "unknown")
    brain.emit("unknown", "warn", live.slot_id, live.trade_id, live.client_id, verb=outcome.verb)


def _not_placed(brain: Brain, live: LiveOrder, code: str, text: str, until: float) -> None:
    """Nothing rests at the exchange: an entry is dropped and wanted again, an exit is kept."""
    slot = brain.slots[live.slot_id]
    brain.due.add(slot.id)
    brain.emit(
        "refused", "warn", slot.id, live.trade_id, live.client_id,
        code=code, text=text, role=live.role, attempts=live.refusals + 1,
    )  # fmt: skip
    if live.role == "entry":
        brain.registry.remove(live)
        slot.state = remove_order(slot.state, live.local_id)
        slot.waiting[live.trade_id] = Waiting("refused", brain.now, code or text, until)
        return
    live.refusals += 1
    live.retry_at = until
    brain.registry.stand(live, "wanted")
    if live.role == "recovery":
        brain.write_offs.append(live.client_id)


def _amended(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    if outcome.kind == "accepted":
        _settle_amend(live)
    elif outcome.kind in ("unknown", "later"):
        _unknown(brain, live, outcome)
    elif outcome.kind == "refused":
        brain.counters.orders_refused += 1
        _revert_amend(brain, live)


def _settle_amend(live: LiveOrder) -> None:
    live.amending = False
    live.previous_price = live.previous_volume = None


def _revert_amend(brain: Brain, live: LiveOrder) -> None:
    """The order still rests where it was: price and volume of the state go back."""
    if not live.amending or live.previous_price is None or live.previous_volume is None:
        return
    live.price, live.volume = live.previous_price, live.previous_volume
    _settle_amend(live)
    brain.registry.reserve(live)
    brain.due.add(live.slot_id)
    slot = brain.slots[live.slot_id]
    order = find_order(slot.state, live.local_id)
    if order is not None:
        slot.state = with_order(slot.state, replace(order, price=live.price, volume=live.volume))


def _cancel_answered(brain: Brain, live: LiveOrder, outcome: Outcome) -> None:
    """A cancel's own answer proves nothing about what was executed: the report does."""
    if outcome.kind in ("unknown", "later"):
        _unknown(brain, live, outcome)


_OUTCOMES = {"place": _placed, "amend": _amended, "cancel": _cancel_answered}


# --- reports --------------------------------------------------------------------------------


def _apply_report(brain: Brain, report: OrderReport) -> None:
    live = brain.registry.by_client.get(report.client_id)
    if live is None:
        return
    if live.standing == "pending" or live.standing == "unknown":
        _found(brain, live, report)
    news = report.executed > live.executed
    if news:
        _book(brain, live, report)
    if live.amending:
        if report.price == live.price and report.volume == live.volume:
            _settle_amend(live)
        elif report.state == "open":
            _revert_amend(brain, live)
    if report.state != "open":
        _ended(brain, live, report, news)


def _found(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    """An order whose fate was open is there; a cancel that was lost is sent once more."""
    again = live.lookup_verb == "cancel" and report.state == "open"
    _accept(brain, live, report.exchange_id)
    live.lookup_verb = ""
    if again:
        brain.registry.stand(live, "cancelling")
        brain.out.cancels.append(live.client_id)
    elif live.after_cancel:
        brain.registry.stand(live, "cancelling")


def _book(brain: Brain, live: LiveOrder, report: OrderReport) -> None:
    executed = report.executed - live.executed
    cost = report.cost - live.cost
    fee = report.fee - live.fee
    part = FillPart(
        live.slot_id, live.trade_id, live.cycle, live.role, live.side, live.client_id,
        report.exchange_id, live.local_id, _price_of(brain, report.price, executed, cost),
        executed, cost, fee, report.fee_asset == brain.instrument.base, report.executed,
        report.state == "closed",
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
        brain.emit(
            "partly_filled", "info", live.slot_id, live.trade_id, live.client_id,
            executed=plain(report.executed), volume=plain(report.volume),
        )  # fmt: skip


def _price_of(brain: Brain, limit: Decimal, executed: Decimal, cost: Decimal) -> Decimal:
    """The limit where it explains the cost (a maker's fill), else the average on the price grid."""
    if round_half_even(limit * executed, brain.instrument.cost_decimals) == cost:
        return limit
    return round_half_even(cost / executed, brain.instrument.price_decimals)


def _ended(brain: Brain, live: LiveOrder, report: OrderReport, news: bool) -> None:
    slot = brain.slots.get(live.slot_id)
    assert slot is not None, f"order {live.client_id} belongs to no slot"
    brain.due.add(slot.id)
    filled = report.state == "closed"
    if live.executed and not (filled and news):
        brain.books.order_done(live.client_id)  # nothing booked now said that it was the last
    if live.role == "recovery" and not filled:
        brain.write_offs.append(live.client_id)
        return
    brain.registry.remove(live)
    if live.role == "recovery":
        slot.inbox.append(_recovery_fill(brain, live, report))
        brain.emit("recovery_filled", "good", slot.id, live.trade_id, live.client_id)
    elif filled or (live.role == "entry" and live.executed):
        slot.inbox.append(_fill(brain, live, report))
        kind = "entry_filled" if live.role == "entry" else "exit_filled"
        brain.emit(
            kind, "good", slot.id, live.trade_id, live.client_id,
            side=live.side, price=report.price, volume=report.executed,
        )  # fmt: skip
    elif live.role == "entry":
        _entry_gone(brain, slot, live, report)
    else:
        _exit_gone(brain, slot, live, report)


def _entry_gone(brain: Brain, slot: Slot, live: LiveOrder, report: OrderReport) -> None:
    slot.state = remove_order(slot.state, live.local_id)
    reason = _why_gone(live, report)
    if reason:
        slot.parked[live.trade_id] = reason
    brain.emit(
        "cancelled", "bad" if reason == "cancelled outside" else "info",
        slot.id, live.trade_id, live.client_id, reason=reason or live.after_cancel,
    )  # fmt: skip
    stop_waiting(brain, slot, live.trade_id)


def _exit_gone(brain: Brain, slot: Slot, live: LiveOrder, report: OrderReport) -> None:
    """An exit that is gone without being filled: its rest is wanted again, at once or parked."""
    rest = live.volume - live.executed
    order = find_order(slot.state, live.local_id)
    assert order is not None, f"exit {live.local_id} of slot {slot.id} is not in its state"
    slot.state = with_order(slot.state, replace(order, volume=rest, txid=""))
    reason = _why_gone(live, report)
    brain.registry.add(
        LiveOrder(
            brain.next_client_id(),
            slot.id,
            live.trade_id,
            "exit",
            live.side,
            live.cycle,
            live.local_id,
            live.price,
            rest,
            parked=reason,
            reprices=live.reprices,
            repriced_at=live.repriced_at,
            reserve_price=live.reserve_price,
        )
    )
    brain.emit(
        "cancelled", "bad" if reason == "cancelled outside" else "warn",
        slot.id, live.trade_id, live.client_id, reason=reason,
    )  # fmt: skip


def _why_gone(live: LiveOrder, report: OrderReport) -> str:
    if live.after_cancel in _PARKED:
        return _PARKED[live.after_cancel]
    if live.after_cancel or POST_ONLY_REASON in report.reason.lower():
        return ""
    return "cancelled outside"


def _fill(brain: Brain, live: LiveOrder, report: OrderReport) -> FillEvent:
    """The reducer's fill: what can be given back by the exit, its fee in quote."""
    price = _price_of(brain, report.price, report.executed, report.cost)
    volume, fee = report.executed, report.fee
    if fee and report.fee_asset == brain.instrument.base:
        if live.role == "entry" and live.side == "buy":
            step = quantum(brain.instrument.volume_decimals)
            volume = floor_to_step(report.executed - fee, step)
        fee = fee * price
    return FillEvent(
        order_local_id=live.local_id, txid=report.exchange_id, side=live.side, price=price,
        volume=volume, fee=fee, timestamp=report.closed_at or brain.now,
    )  # fmt: skip


def _recovery_fill(brain: Brain, live: LiveOrder, report: OrderReport) -> RecoveryFillEvent:
    fill = _fill(brain, live, report)
    return RecoveryFillEvent(
        recovery_id=live.local_id, txid=fill.txid, side=fill.side, price=fill.price,
        volume=fill.volume, fee=fill.fee, timestamp=fill.timestamp,
    )  # fmt: skip


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
        brain.emit(
            "drift_changed", "warn" if quote or base else "good",
            quote=plain(quote), base=plain(base),
        )  # fmt: skip
