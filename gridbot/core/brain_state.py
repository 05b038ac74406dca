"""The brain as a value: written into snapshots, read back, and reduced to a fingerprint.

``load_brain(brain_to_state(brain))`` goes on bit for bit. The fingerprint leaves out what two runs
of the same trading may differ in: step numbers, instance, hash chain, histories and wall clock.
"""

from decimal import Decimal
from math import inf
from typing import Any

import msgspec

from gridbot.core.brain import Brain, Counters
from gridbot.core.canonical import sha256_of
from gridbot.core.ledger import Books
from gridbot.core.records import Ack, Fees, Instrument
from gridbot.core.settings import settings_from_plain
from gridbot.core.slot import Slot, Waiting
from gridbot.core.state_machine import FillEvent, RecoveryFillEvent, from_dict, to_dict
from gridbot.core.trading import note_wants, see_price

_PLAIN_FIELDS = (
    "seq", "now", "started_at", "price_at", "price_lost", "run_state", "state_reason",
    "paused_at", "next_slot_id", "next_order_number", "next_event_id", "archived", "risk_reason",
    "spread_wide", "write_offs",
)  # fmt: skip
_NOT_TRADING = (
    "acked", "archived", "configured", "counters", "instance", "next_event_id", "seq", "started_at",
)  # fmt: skip
_NOT_MONEY = ("booked", "counts", "finished", "head_hash")
_INBOX = {"fill": FillEvent, "recovery": RecoveryFillEvent}
_SLOT_FIELDS = (
    "id", "kind", "rung", "created_at", "alias", "paused_at", "quarantined", "removing",
    "last_fill_at", "parked",
)  # fmt: skip


def brain_to_state(brain: Brain) -> dict[str, Any]:
    """Everything needed to go on, JSON-able."""
    state: dict[str, Any] = {name: getattr(brain, name) for name in _PLAIN_FIELDS}
    state |= {
        "instance": brain.instance,
        "settings": msgspec.to_builtins(brain.settings),
        "configured": msgspec.to_builtins(brain.configured),
        "instrument": msgspec.to_builtins(brain.instrument),
        "fees": msgspec.to_builtins(brain.fees),
        "price": None if brain.price is None else str(brain.price),
        "bid": str(brain.bid),
        "ask": str(brain.ask),
        "written_off_base": str(brain.written_off_base),
        "written_off_cost": str(brain.written_off_cost),
        "drift": _texts(brain.drift),
        "exchange_balances": _texts(brain.exchange_balances),
        "counters": msgspec.to_builtins(brain.counters),
        "acked": [msgspec.to_builtins(ack) for ack in brain.acked.values()],
        "orders": brain.registry.to_state(),
        "books": brain.books.to_state(),
        "slots": [_slot_to_state(slot) for slot in brain.slots.values()],
    }
    return state


def _texts(amounts: dict[str, Decimal]) -> dict[str, str]:
    return {asset: str(amount) for asset, amount in sorted(amounts.items())}


def _slot_to_state(slot: Slot) -> dict[str, Any]:
    state: dict[str, Any] = {name: getattr(slot, name) for name in _SLOT_FIELDS}
    state["waiting"] = {
        trade: {**msgspec.to_builtins(wait), "until": None if wait.until == inf else wait.until}
        for trade, wait in slot.waiting.items()
    }
    state["inbox"] = [
        ["fill" if isinstance(event, FillEvent) else "recovery", msgspec.to_builtins(event)]
        for event in slot.inbox
    ]
    state["state"] = to_dict(slot.state)
    return state


def load_brain(state: dict[str, Any]) -> Brain:
    """The brain as it was; raises msgspec.ValidationError or KeyError on a state it cannot read."""
    brain = Brain(
        settings_from_plain(state["settings"]),
        msgspec.convert(state["instrument"], Instrument),
        msgspec.convert(state["fees"], Fees),
        state["instance"],
    )
    for name in _PLAIN_FIELDS:
        setattr(brain, name, state[name])
    brain.configured = settings_from_plain(state["configured"])
    brain.price = None if state["price"] is None else Decimal(state["price"])
    brain.bid, brain.ask = Decimal(state["bid"]), Decimal(state["ask"])
    brain.written_off_base = Decimal(state["written_off_base"])
    brain.written_off_cost = Decimal(state["written_off_cost"])
    brain.drift = {asset: Decimal(text) for asset, text in state["drift"].items()}
    balances = state["exchange_balances"].items()
    brain.exchange_balances = {asset: Decimal(text) for asset, text in balances}
    brain.counters = msgspec.convert(state["counters"], Counters)
    brain.acked = {ack.command_id: ack for ack in msgspec.convert(state["acked"], list[Ack])}
    brain.registry.load(state["orders"])
    brain.books = Books.from_state(state["books"])
    for slot_state in state["slots"]:
        _load_slot(brain, slot_state)
    brain.count_kinds()
    brain.rearm_all()
    return brain


def _load_slot(brain: Brain, state: dict[str, Any]) -> None:
    fields = {name: state[name] for name in _SLOT_FIELDS}
    slot = Slot(state=from_dict(state["state"]), **fields)
    for trade, wait in state["waiting"].items():
        until = inf if wait["until"] is None else wait["until"]
        slot.waiting[trade] = msgspec.convert({**wait, "until": until}, Waiting)
        if slot.waiting[trade].reason in ("funds", "capacity", "inventory"):
            brain.pools[slot.id, trade] = slot.waiting[trade]
    slot.inbox = [msgspec.convert(event, _INBOX[kind]) for kind, event in state["inbox"]]
    brain.slots[slot.id] = slot
    if slot.removing:
        brain.removing.add(slot.id)
    brain.configure(slot)


def state_sha256(brain: Brain) -> str:
    """Fingerprint of the trading state (architecture 3)."""
    return sha256_of(fingerprint(brain))


def fingerprint(brain: Brain) -> dict[str, Any]:
    """The state that two runs of the same trading share.

    Every slot sees the current price once more first, so that slots that slept through quiet ticks
    and slots that were shown each of them compare equal.
    """
    copy = load_brain(msgspec.json.decode(msgspec.json.encode(brain_to_state(brain))))
    for slot in copy.slots.values():
        if copy.price is not None:
            see_price(slot, copy.price, copy.now)
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
    if isinstance(value, str) and value[:1] in "-0123456789" and value[:1]:
        try:
            return Decimal(value)
        except ArithmeticError:
            return value
    return value
