"""The brain as a value: written into snapshots, read back, and reduced to a fingerprint.

``load_brain(brain_to_state(brain))`` goes on bit for bit. The fingerprint leaves out what two runs
of the same trading may differ in: step numbers, instance, hash chain, histories and wall clock.
"""

from decimal import Decimal
from math import inf
from typing import Any

import msgspec

from gridbot.core.account import Gap
from gridbot.core.brain import Brain, Counters, RunState
from gridbot.core.canonical import sha256_of
from gridbot.core.capacity import Kind
from gridbot.core.exits import ExitRecord, Exits
from gridbot.core.governor import GovernorState
from gridbot.core.ledger import Books
from gridbot.core.placing import POOLED
from gridbot.core.records import Ack, Balance, Fees, Instrument, TradeId
from gridbot.core.risk import RiskState
from gridbot.core.settings import settings_from_plain
from gridbot.core.slot import Slot, Waiting
from gridbot.core.state_machine import FillEvent, RecoveryFillEvent, from_dict, to_dict
from gridbot.core.trading import note_wants

# Attributes of a Brain and of a Slot that are saved as they are, with their types.
_BRAIN: dict[str, Any] = {
    "seq": int, "now": float, "started_at": float, "instance": str, "instrument": Instrument,
    "fees": Fees, "price": Decimal | None, "bid": Decimal, "ask": Decimal, "price_at": float,
    "price_lost": bool, "spread_wide": bool, "run_state": RunState, "state_reason": str,
    "disk": str, "risk_reason": str, "paused_at": float, "next_slot_id": int,
    "next_order_number": int,
    "next_event_id": int, "archived": list[dict[str, Any]], "write_offs": list[str],
    "written_off_base": Decimal, "written_off_cost": Decimal, "drift": dict[str, Decimal],
    "drift_noted": dict[str, Decimal], "balances": dict[str, Balance], "rows_seen": list[str],
    "unsettled": dict[str, Gap], "foreign_orders": int, "trouble": str, "counters": Counters,
    "governor": GovernorState, "governor_at": float | None, "risk": RiskState, "auto_slots": int,
    "best_profit": Decimal,
}  # fmt: skip
_SLOT: dict[str, Any] = {
    "id": int, "kind": Kind, "rung": int, "created_at": float, "alias": str,
    "paused_at": float | None, "quarantined": str, "removing": bool, "last_fill_at": float,
    "parked": dict[TradeId, str], "rules_raised": bool, "converted_at": float | None,
}  # fmt: skip
_INBOX = {"fill": FillEvent, "recovery": RecoveryFillEvent}
# Left out of the fingerprint.
_NOT_TRADING = (
    "acked", "archived", "configured", "counters", "disk", "governor_at", "instance",
    "next_event_id", "seq", "started_at",
)  # fmt: skip
_NOT_MONEY = ("booked", "counts", "finished", "head_hash")


def brain_to_state(brain: Brain) -> dict[str, Any]:
    """Everything needed to go on, JSON-able."""
    return fields_to_state(brain, _BRAIN) | {
        "settings": msgspec.to_builtins(brain.settings),
        "configured": msgspec.to_builtins(brain.configured),
        "acked": [msgspec.to_builtins(ack) for ack in brain.acked.values()],
        "orders": brain.registry.to_state(),
        "books": brain.books.to_state(),
        "exits": msgspec.to_builtins(brain.exits.record),
        "slots": [_slot_to_state(slot) for slot in brain.slots.values()],
    }


def fields_to_state(owner: object, types: dict[str, Any]) -> dict[str, Any]:
    """The attributes of ``owner`` that ``types`` names, JSON-able."""
    return {name: msgspec.to_builtins(getattr(owner, name)) for name in types}


def fields_from_state(state: dict[str, Any], types: dict[str, Any]) -> dict[str, Any]:
    """What ``fields_to_state`` made of them; raises msgspec.ValidationError or KeyError."""
    return {name: msgspec.convert(state[name], kind) for name, kind in types.items()}


def _slot_to_state(slot: Slot) -> dict[str, Any]:
    waiting, inbox = msgspec.to_builtins(slot.waiting), msgspec.to_builtins(slot.inbox)
    for wait in waiting.values():  # "never" is null in JSON
        wait["until"] = None if wait.get("until", inf) == inf else wait["until"]
    kinds = ["fill" if isinstance(event, FillEvent) else "recovery" for event in slot.inbox]
    return fields_to_state(slot, _SLOT) | {
        "waiting": waiting, "inbox": [list(pair) for pair in zip(kinds, inbox, strict=True)],
        "state": to_dict(slot.state),
    }  # fmt: skip


def load_brain(state: dict[str, Any]) -> Brain:
    """The brain as it was; raises msgspec.ValidationError or KeyError on a state it cannot read."""
    saved, settings = fields_from_state(state, _BRAIN), settings_from_plain(state["settings"])
    brain = Brain(settings, saved["instrument"], saved["fees"], saved["instance"])
    for name, value in saved.items():
        setattr(brain, name, value)
    brain.configured = settings_from_plain(state["configured"])
    brain.acked = {ack.command_id: ack for ack in msgspec.convert(state["acked"], list[Ack])}
    brain.registry.load(state["orders"])
    brain.books = Books.from_state(state["books"])
    brain.exits = Exits(msgspec.convert(state["exits"], ExitRecord))
    brain.closing = any(live.closing for live in brain.registry.by_client.values())
    for slot_state in state["slots"]:
        _load_slot(brain, slot_state)
    brain.count_kinds()
    brain.exits.news = False
    brain.rearm_all()
    return brain


def _load_slot(brain: Brain, state: dict[str, Any]) -> None:
    slot = Slot(state=from_dict(state["state"]), **fields_from_state(state, _SLOT))
    for trade, wait in state["waiting"].items():
        until = inf if wait["until"] is None else wait["until"]
        waiting = slot.waiting[trade] = msgspec.convert({**wait, "until": until}, Waiting)
        if waiting.reason in POOLED:
            brain.pools[slot.id, trade] = waiting
    slot.inbox = [msgspec.convert(event, _INBOX[kind]) for kind, event in state["inbox"]]
    brain.slots[slot.id] = slot
    if slot.removing:
        brain.removing.add(slot.id)
    brain.configure(slot)


def state_sha256(brain: Brain) -> str:
    """Fingerprint of the trading state (architecture 3)."""
    return sha256_of(fingerprint(brain))


def fingerprint(brain: Brain) -> dict[str, Any]:
    """The state that two runs of the same trading share. Every slot sees the current price once
    more first, so that slots that slept through quiet ticks and slots that were shown each of them
    compare equal."""
    copy = load_brain(msgspec.json.decode(msgspec.json.encode(brain_to_state(brain))))
    for slot in copy.slots.values():
        if copy.price is not None:
            slot.see_price(copy.price, copy.now)
            note_wants(copy, slot)
    state = brain_to_state(copy)
    for name in _NOT_TRADING:
        del state[name]
    for name in _NOT_MONEY:
        del state["books"][name]
    for slot_state in state["slots"]:
        del slot_state["state"]["completed_cycles"]
    for order in state["orders"]:
        order["client_id"] = order["client_id"].removeprefix(f"gb{brain.instance}")
    plain: dict[str, Any] = _without_forms(state)
    return plain


def _without_forms(value: Any) -> Any:
    """Decimal texts in one form: 1.50, 1.5 and 15E-1 are the same amount."""
    if isinstance(value, dict):
        return {key: _without_forms(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_forms(item) for item in value]
    if isinstance(value, str) and value and value[0] in "-0123456789":
        try:
            return Decimal(value)
        except ArithmeticError:
            return value
    return value
