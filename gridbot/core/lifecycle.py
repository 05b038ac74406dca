"""What an operator may ask of the engine: slots come and go, the bot pauses, drains and halts.

Every command is answered once, under its id; a command sent twice acts once. A refused command
changes nothing and says why in one line. ``boot`` is the engine's own first command: it opens the
books and adds the first slots.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from gridbot.core import advice, closing, governor, risk
from gridbot.core.answers import Refusal
from gridbot.core.capacity import ORDERS_RESERVED, Kind
from gridbot.core.numbers import ZERO, NumberError, parse_decimal, plain
from gridbot.core.placing import free_funds
from gridbot.core.records import Ack, Balance, Command
from gridbot.core.slot import Slot, exit_span
from gridbot.core.state_machine import PairState
from gridbot.core.trading import cancel, cancel_entries, stop_waiting

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

Args = dict[str, Any]
ADD_MAX = 10
ACKS_KEPT = 500


def obey(brain: Brain, command: Command) -> None:
    """Carry out one command and acknowledge it; the second copy gets the first one's answer."""
    ack = brain.acked.get(command.id)
    if ack is None:
        action = _ACTIONS.get(command.action)
        try:
            if action is None:
                raise Refusal("E01", f'no action "{command.action}"')
            ack = Ack(command.id, True, action(brain, command.args))
        except Refusal as refusal:
            ack = Ack(command.id, False, str(refusal), refusal.code, refusal.confirm)
        except (TypeError, ValueError, KeyError, ArithmeticError) as error:
            ack = Ack(command.id, False, f"{command.action}: bad arguments ({error})", "E10")
        brain.acked[command.id] = ack
        while len(brain.acked) > ACKS_KEPT:
            del brain.acked[next(iter(brain.acked))]
    brain.out.acks.append(ack)


def _boot(brain: Brain, args: Args) -> str:
    if brain.price is None or brain.started_at:
        raise Refusal("E01", "only a fresh engine with a price boots")
    brain.started_at = brain.now
    quote, base = Decimal(args["quote"]), Decimal(args["base"])
    brain.books.open_account(brain.seq, brain.now, quote, base, brain.price)
    pair = brain.instrument
    brain.balances = {pair.quote: Balance(quote), pair.base: Balance(base)}
    slots = brain.settings.slots
    sticky = ceil(slots.initial_slots * slots.initial_sticky_ratio)
    for index in range(slots.initial_slots):
        _create(brain, "sticky" if index < sticky else "cycle", "")
    brain.emit("started", "good", slots=slots.initial_slots, sticky=sticky)
    return f"{slots.initial_slots} slots created"


def _pause(brain: Brain, args: Args) -> str:
    if brain.run_state == "paused":
        raise Refusal("E20", "already paused")
    _enter(brain, "paused")
    brain.emit("paused", "warn")
    return f"paused; {brain.registry.resting} orders stay open"


def _enter(brain: Brain, state: Literal["paused", "draining"]) -> None:
    """Leave running for another state; deadlines stand still only while paused."""
    if brain.run_state == "halted":
        raise Refusal("E22", f"HALTED: {brain.state_reason}; resume after fixing")
    if state == "paused":
        brain.stand_still()
    elif brain.run_state == "paused" and not brain.risk_reason:
        _shift_all(brain)
    brain.run_state = state
    brain.look_again()


def _resume(brain: Brain, args: Args) -> str:
    wanted = brain.registry.wanted.values()
    parked = any(slot.parked for slot in brain.slots.values()) or any(x.parked for x in wanted)
    if brain.run_state == "running" and not parked and not brain.risk_reason:
        raise Refusal("E21", "not paused")
    if brain.stands_still:
        _shift_all(brain)
    if brain.risk_reason:
        risk.rearm(brain)
    brain.run_state, brain.state_reason = "running", ""
    for slot in brain.slots.values():
        _unpark(brain, slot)
    brain.look_again()
    brain.emit("resumed", "good")
    return "running"


def _unpark(brain: Brain, slot: Slot) -> None:
    slot.parked.clear()
    for live in brain.registry.wanted.values():
        if live.slot_id == slot.id and live.parked:
            live.parked, live.retry_at = "", 0.0


def _shift_all(brain: Brain) -> None:
    for slot in brain.slots.values():
        if slot.paused_at is None:
            _shift_deadlines(slot, brain.now - brain.paused_at)
        else:
            slot.paused_at = min(slot.paused_at, brain.paused_at)


def _shift_deadlines(slot: Slot, seconds: float) -> None:
    """Deadlines of a cycle slot stood still: move them by the length of the pause."""
    if slot.kind != "cycle" or seconds <= 0:
        return
    for order in slot.exits():
        slot.patch(order.local_id, entry_filled_at=order.entry_filled_at + seconds)
    if slot.state.s2_entered_at is not None:
        slot.state = replace(slot.state, s2_entered_at=slot.state.s2_entered_at + seconds)


def _drain(brain: Brain, args: Args) -> str:
    _enter(brain, "draining")
    count = cancel_entries(brain)
    brain.emit("drained", "warn", cancelled=count)
    return f"draining; {count} entries are being cancelled, exits stay"


def _cancel_all(brain: Brain, args: Args) -> str:
    if brain.run_state != "halted":
        _enter(brain, "draining")
    count = cancel_entries(brain)
    for live in list(brain.registry.by_client.values()):
        if live.role == "exit" and live.standing == "wanted":
            live.parked = "cancelled by operator"
        elif live.role == "exit":
            cancel(brain, live, "operator")
            count += 1
    return f"draining; {count} orders are being cancelled, until resume"


def _halt(brain: Brain, args: Args) -> str:
    brain.halt("operator")
    return "halted"


def _set_percent(name: str, brain: Brain, args: Args) -> str:
    try:
        value = parse_decimal(str(args.get("value")), name)
    except NumberError:
        raise Refusal("E11", f'{name} needs a number, got "{args.get("value")}"') from None
    if not Decimal("0.05") <= value <= 50:
        raise Refusal("E14", f"{name} {plain(value)} is outside 0.05 to 50")
    if name == "profit" and value < brain.fee_floor_pct:
        raise Refusal("E15", f"{plain(value)} is under the fee floor {plain(brain.fee_floor_pct)}")
    old = getattr(brain.settings.grid, f"{name}_pct")
    grid = replace(brain.settings.grid, **{f"{name}_pct": value})
    brain.settings = replace(brain.settings, grid=grid)
    for slot in brain.slots.values():
        slot.state = replace(slot.state, profit_pct_runtime=grid.profit_pct)
        brain.configure(slot)
    brain.look_again()
    return f"{name} {plain(old)} -> {plain(value)} %"


def _slot(brain: Brain, args: Args) -> Slot:
    number = args.get("slot")
    slot = brain.slots.get(number) if type(number) is int else None  # True is no slot 1
    if slot is None:
        few = len(brain.slots) <= 12
        ids = ", ".join(map(str, brain.slots)) if few else f"1 to {brain.next_slot_id - 1}"
        raise Refusal("E30", f"no slot {number} ({ids or 'none'} exist)")
    return slot


def _create(brain: Brain, kind: Kind, alias: str) -> Slot:
    rungs = {slot.rung for slot in brain.slots.values()}
    rung = next(number for number in range(len(rungs) + 1) if number not in rungs)
    target = brain.settings.grid.profit_pct
    state = PairState(brain.price or ZERO, brain.now, profit_pct_runtime=target)
    slot = Slot(brain.next_slot_id, kind, rung, state, brain.now, alias)
    brain.next_slot_id += 1
    brain.slots[slot.id] = slot
    brain.count_kinds()
    brain.configure(slot)
    brain.due.add(slot.id)
    brain.emit("slot_added", "good", slot.id, slot_kind=kind, rung=rung)
    return slot


def default_kind(brain: Brain) -> Kind:
    """The kind that brings the sticky share nearer to ``initial_sticky_ratio``."""
    ratio = brain.settings.slots.initial_sticky_ratio
    count = len(brain.slots) + 1
    sticky = Decimal(len(brain.slots) - brain.cycle_slots)
    return "sticky" if abs((sticky + 1) / count - ratio) <= abs(sticky / count - ratio) else "cycle"


def _add(brain: Brain, args: Args) -> str:
    count = args.get("count", 1)
    if not isinstance(count, int) or not 1 <= count <= ADD_MAX:
        raise Refusal("E14", f"count {count} is outside 1 to {ADD_MAX}")
    alias = _checked_alias(brain, args.get("alias", ""), None)
    added: list[str] = []
    for _ in range(count):
        kind = _kind(args, default_kind(brain))
        if full := _full(brain, kind):
            if added:
                break
            raise full
        added.append(f"{_create(brain, kind, alias).id} {kind}")
        alias = ""  # one slot's, not all of theirs
    return f"slot {', '.join(added)} added; headroom {brain.work_bank.headroom}"


def _full(brain: Brain, kind: Kind) -> Refusal | None:
    count, limit, bank = len(brain.slots), brain.settings.slots.max_slots, brain.work_bank
    if count >= limit:
        return Refusal("E32", f"{count} of {limit} slots in use")
    room = bank.room_sticky if kind == "sticky" else bank.room_cycle
    if bank.band != "stop" and room >= 1:
        return None
    needs = f"headroom {bank.headroom}, a {kind} slot needs {ORDERS_RESERVED[kind]}"
    return Refusal("E31", f"band {bank.band.upper()}: {needs}")


def _kind(args: Args, default: Kind) -> Kind:
    kind: Kind = args.get("kind") or default
    if kind not in ("sticky", "cycle"):
        raise Refusal("E19", f'kind is sticky or cycle, not "{kind}"')
    return kind


def _checked_alias(brain: Brain, alias: Any, own: int | None) -> str:
    if alias == "":
        return ""
    if not isinstance(alias, str) or not re.fullmatch("[a-zA-Z0-9_-]{1,16}", alias):
        raise Refusal("E36", "alias needs 1 to 16 of a-z 0-9 - _")
    for slot in brain.slots.values():
        if slot.alias.lower() == alias.lower() and slot.id != own:
            raise Refusal("E33", f"alias taken by slot {slot.id}")
    return alias


def _alias(brain: Brain, args: Args) -> str:
    slot = _slot(brain, args)
    slot.alias = _checked_alias(brain, args.get("alias", ""), slot.id)
    brain.emit("renamed", "info", slot.id, alias=slot.alias)
    return f"slot {slot.id} is called {slot.alias or '(nothing)'}"


def _remove(brain: Brain, args: Args) -> str:
    slot = _slot(brain, args)
    if slot.removing:
        raise Refusal("E34", f"slot {slot.id} is still cancelling, try in a few seconds")
    slot.removing = True
    brain.removing.add(slot.id)
    brain.due.add(slot.id)
    for trade in list(slot.waiting):
        stop_waiting(brain, slot, trade)
    orders = brain.registry.of_slot(slot.id)
    for live in orders:
        if live.standing != "wanted":
            cancel(brain, live, "remove")
    return f"removing slot {slot.id}; {len(orders)} orders are being cancelled"


def _toggle(brain: Brain, args: Args) -> str:
    slot = _slot(brain, args)
    kind = _kind(args, "cycle" if slot.kind == "sticky" else "sticky")
    if kind == slot.kind:
        raise Refusal("E35", f"slot {slot.id} is already {kind}")
    if kind == "cycle" and brain.work_bank.band == "stop":
        raise Refusal("E31", "band STOP: a cycle slot needs room for 4 orders")
    if kind == "cycle" and not args.get("force") and (warning := _overdue_text(brain, slot)):
        raise Refusal("confirm", warning)
    governor.convert(brain, slot, kind)
    return f"slot {slot.id} is {kind} now"


def _overdue_text(brain: Brain, slot: Slot) -> str:
    """What the next tick would orphan if this slot became a cycle slot, with the money."""
    exits = slot.exits()
    if len(exits) != 1 or brain.price is None:
        return ""
    order, (start, span) = exits[0], exit_span(slot, exits, brain.settings.cycle)
    if start is None or brain.now - start < span:
        return ""
    sign = 1 if order.side == "sell" else -1
    loss = sign * (brain.price - order.entry_price) * order.volume - order.entry_fee
    age = f"exit #{order.local_id} of slot {slot.id} is {int((brain.now - start) / 60)}m old"
    worth = f"worth {loss:+.4f} {brain.instrument.quote}"
    return f"{age}: the next tick would orphan it, {worth}"


def grow(brain: Brain) -> None:
    """Add a slot if profit has earned one. Looked at when something was booked or changed from
    outside; what finds no room or funds then stays earned. One at a time: the next is looked at
    once this one's orders are paid."""
    brain.best_profit = max(brain.best_profit, risk.booked(brain))
    if not brain.started_at or brain.auto_slots >= earned_slots(brain):
        return
    kind = default_kind(brain)
    if brain.work_bank.band == "normal" and not _full(brain, kind) and _both_sides(brain):
        brain.auto_slots += 1
        brain.look_again(_create(brain, kind, ""))


def earned_slots(brain: Brain) -> int:
    """How many slots the highest sum of realised results and write-offs ever has earned: one for
    each full threshold in it."""
    slots = brain.settings.slots
    return min(int(brain.best_profit // slots.slot_profit_threshold), slots.max_auto_slots)


def _both_sides(brain: Brain) -> bool:
    """A new slot could place both its entries now."""
    size, free, registry = brain.settings.grid.order_size, free_funds(brain), brain.registry
    if brain.run_state != "running" or brain.risk_reason or not brain.price or brain.price_lost:
        return False
    quote, base = size * registry.buy_factor, size / brain.price * registry.sell_factor
    return free.quote >= quote and free.base >= base


def _pause_slot(brain: Brain, args: Args) -> str:
    slot = _slot(brain, args)
    if slot.paused_at is not None:
        raise Refusal("E20", f"slot {slot.id} is already paused")
    slot.paused_at = brain.now
    brain.look_again(slot)
    brain.emit("paused", "warn", slot.id)
    return f"slot {slot.id} paused"


def _resume_slot(brain: Brain, args: Args) -> str:
    slot = _slot(brain, args)
    parked = slot.parked or any(live.parked for live in brain.registry.of_slot(slot.id))
    if slot.paused_at is None and not slot.quarantined and not parked:
        raise Refusal("E21", f"slot {slot.id} is not paused")
    if slot.paused_at is not None:
        until = brain.paused_at if brain.stands_still else brain.now  # the rest when that ends
        _shift_deadlines(slot, until - slot.paused_at)
        slot.paused_at = None
    if slot.quarantined:
        slot.quarantined = ""
        brain.emit("released", "good", slot.id)
    _unpark(brain, slot)
    brain.look_again(slot)
    brain.emit("resumed", "good", slot.id)
    return f"slot {slot.id} runs"


_ACTIONS: dict[str, Callable[[Brain, Args], str]] = {
    "boot": _boot, "pause": _pause, "resume": _resume, "drain": _drain, "cancel_all": _cancel_all,
    "halt": _halt, "set_entry": partial(_set_percent, "entry"),
    "set_profit": partial(_set_percent, "profit"), "add": _add, "remove": _remove,
    "toggle": _toggle, "alias": _alias, "pause_slot": _pause_slot, "resume_slot": _resume_slot,
    "close": closing.close, "write_off": closing.write_off, "approve": advice.approve,
    "dismiss": advice.dismiss, "governor": governor.set_mode,
    "governor_set": governor.set_threshold,
}  # fmt: skip
