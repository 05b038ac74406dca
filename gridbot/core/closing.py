"""Closing and writing off by hand: what an operator does about exits and recoveries that wait.

*Close* moves an order to the nearest post-only price, in every step anew, until it is filled: while
one is being closed every tick is looked at. *Write off* cancels it and closes its position in the
books at the market price, once the cancel is confirmed and its fills are read; a fill that comes
first is a fill, and an order that is being closed can still be written off. Both say what they
would cost before they are confirmed, and the confirmation holds for the orders it was asked about.
A buy is moved up only as far as free funds allow: what others have reserved is not touched.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from gridbot.core.answers import Refusal, seconds_of
from gridbot.core.numbers import HUNDRED, ZERO, floor_to_step
from gridbot.core.orders import LiveOrder
from gridbot.core.placing import free_funds
from gridbot.core.pricing import nearest_price
from gridbot.core.state_machine import Resting, orphan_exit
from gridbot.core.trading import give_up

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

LISTED_MAX = 8
STALE_DEFAULT = "2h"


def close(brain: Brain, args: dict[str, Any]) -> str:
    """Close an exit or recovery, the oldest, or all that are stale."""
    chosen = _chosen(brain, args, again=False)
    confirm(brain, args, "close", chosen)
    for live in chosen:
        begin(brain, live)
    return f"{len(chosen)} orders are being closed"


def write_off(brain: Brain, args: dict[str, Any]) -> str:
    """Write off an exit, a recovery, all of a slot, the oldest, or all that are stale."""
    chosen = _chosen(brain, args, again=True)
    confirm(brain, args, "write off", chosen)
    for live in chosen:
        slot = brain.slots[live.slot_id]
        if live.role == "exit":
            slot.state, recovery_id = orphan_exit(slot.state, live.local_id, "operator", slot.cfg)
            brain.registry.relabel(live, "recovery", recovery_id)
        give_up(brain, live)
        live.parked, live.closing = "", False
        brain.look_again(slot)
    return f"{len(chosen)} orders are being written off"


def begin(brain: Brain, live: LiveOrder) -> None:
    """Close this order from now on."""
    brain.closing = live.closing = True
    live.parked, live.retry_at = "", 0.0
    brain.tell(live, "closing", "warn")


def follow_market(brain: Brain) -> bool:
    """Move what is being closed to the nearest post-only price; whether there is anything."""
    closing = [one for one in brain.registry.by_client.values() if one.closing]
    if brain.run_state == "halted" or brain.price is None or brain.price_lost:
        return bool(closing)
    for live in closing:
        movable = live.standing == "wanted" or (live.standing == "open" and not live.amending)
        if movable and not live.parked:
            _follow(brain, live)
    return bool(closing)


def _follow(brain: Brain, live: LiveOrder) -> None:
    price = _affordable_price(brain, live)
    if price == live.price or live.retry_at > brain.now:
        return
    if live.standing == "open":
        live.move(price, live.volume)
        brain.refreshes.append(live)
    else:
        live.price = price
    brain.registry.reserve(live)  # the next one may spend only what is left
    if live.role == "exit":
        brain.slots[live.slot_id].patch(live.local_id, price=price)
        brain.due.add(live.slot_id)


def _affordable_price(brain: Brain, live: LiveOrder) -> Decimal:
    """The nearest post-only price, or as far towards it as free funds reach."""
    price, reserved = nearest_price(brain, live.side), max(live.price, live.break_even)
    if live.side == "sell" or price <= reserved:
        return price
    per_unit = (live.volume - live.executed) * brain.registry.buy_factor
    highest = reserved + max(free_funds(brain).quote, ZERO) / per_unit
    return max(live.price, min(price, floor_to_step(highest, brain.instrument.tick_size)))


def state_of(brain: Brain, live: LiveOrder) -> str:
    """Where an order stands, in a word or two: what it is parked for, ``closing``, ``closing:
    funds`` when these keep it from the market, or its standing."""
    if live.parked or not live.closing or live.standing in ("unknown", "cancelling"):
        return live.parked or live.standing
    short = brain.price and _affordable_price(brain, live) != nearest_price(brain, live.side)
    return "closing: funds" if short else "closing"


def worth_now(brain: Brain, live: LiveOrder, fee_pct: Decimal) -> Decimal:
    """What closing the order's position at the market would bring, in quote, net of its fees."""
    price = brain.price or ZERO
    key = live.slot_id, live.trade_id, live.cycle
    position = brain.books.positions.position(*key)
    if position is None:
        return ZERO
    return position.unrealised(price) - position.volume * price * fee_pct / HUNDRED


def _chosen(brain: Brain, args: dict[str, Any], again: bool) -> list[LiveOrder]:
    """What is meant; ``again``: also what is being closed already."""
    if brain.price is None:
        raise Refusal("E41", "there is no price yet")
    target, asked = str(args.get("target") or "oldest"), args.get("force")
    waiting = [one for one in brain.registry.by_client.values() if one.role != "entry"]
    waiting = [one for one in waiting if one.after_cancel == ""]
    waiting = [one for one in waiting if again or not one.closing or one.parked]
    waiting = [one for one in waiting if not brain.slots[one.slot_id].removing]
    if asked and isinstance(asked, str):
        waiting = [one for one in waiting if one.client_id in asked.split()]
    elif target == "oldest":
        waiting = sorted(waiting, key=lambda one: _since(brain, one))[:1]
    elif target == "stale":
        age = seconds_of(str(args.get("age") or STALE_DEFAULT), "age", "5m", "30d")
        waiting = [one for one in waiting if brain.now - _since(brain, one) >= age]
    else:
        slot, _, order = target.partition(".")
        waiting = [one for one in waiting if str(one.slot_id) == slot and _is(one, order)]
    if not waiting:
        raise Refusal("E41", f"no exit or recovery waits at {target}")
    return waiting


def _is(live: LiveOrder, name: str) -> bool:
    """Trade A or B is its exit, a number a recovery, nothing all of the slot."""
    if live.role == "exit":
        return name.upper() in ("", live.trade_id)
    return name in ("", str(live.local_id))


def _since(brain: Brain, live: LiveOrder) -> float:
    """Since when the order's position waits."""
    state = brain.slots[live.slot_id].state
    known: list[Resting] = [*state.orders, *state.recovery_orders]
    for one in known:
        if (one.trade_id, one.cycle) == (live.trade_id, live.cycle) and one.entry_filled_at:
            return one.entry_filled_at
    return live.placed_at


def confirm(
    brain: Brain, args: dict[str, Any], what: str, chosen: list[LiveOrder], token: str = ""
) -> None:
    """Ask first, with what it would cost; ``token`` instead of the orders' ids comes back."""
    if not args.get("force"):
        fee_pct = brain.fees.maker_pct if what == "close" else ZERO
        text = f"{what} {worth_text(brain, chosen, fee_pct)}"
        raise Refusal("confirm", text, token or " ".join([one.client_id for one in chosen]))


def worth_text(brain: Brain, chosen: list[LiveOrder], fee_pct: Decimal) -> str:
    """What ending each of the orders would bring, and all of them."""
    results = [worth_now(brain, one, fee_pct) for one in chosen]
    texts = [
        f"{one.slot_id}.{one.trade_id if one.role == 'exit' else one.local_id} {result:+.4f}"
        for one, result in zip(chosen, results, strict=True)
    ]
    more = f" and {len(texts) - LISTED_MAX} more" if len(texts) > LISTED_MAX else ""
    total = f"{sum(results):+.4f} {brain.instrument.quote}"
    return f"{', '.join(texts[:LISTED_MAX])}{more}: about {total}"
