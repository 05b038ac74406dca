"""Events in plain words: one short line each, for the log, the ticker and the screen."""

from decimal import Decimal
from typing import Any

from gridbot.core.numbers import plain
from gridbot.core.records import Event

_TEXTS = {
    "entry_placed": "{side} entry placed at {price}",
    "exit_placed": "{side} exit placed at {price}",
    "repriced": "exit moved {old} -> {new}",
    "refreshed": "entry moved {old} -> {new}",
    "cancelled": "order cancelled {reason}",
    "refused": "{role} refused: {code} {text}",
    "unknown": "no answer to {verb}: looking it up",
    "resolved": "order found at the exchange",
    "entry_filled": "{side} entry filled, {volume} at {price}",
    "exit_filled": "{side} exit filled, {volume} at {price}",
    "partly_filled": "filled {executed} of {volume}",
    "recovery_filled": "recovery filled after all",
    "cycle_closed": "cycle {cycle} closed {net}",
    "orphaned": "exit orphaned ({reason})",
    "written_off": "written off at {price}, result {realised}",
    "slot_added": "slot added, {slot_kind}, rung {rung}",
    "slot_removed": "slot removed",
    "toggled": "slot is {slot_kind} now",
    "renamed": "slot is called {alias}",
    "waiting": "waits: {reason} {text}",
    "quarantined": "quarantined: {reason}",
    "released": "released",
    "drift_changed": "unexplained difference: {quote} quote, {base} base",
    "fees_changed": "maker fee is {maker_pct} % now",
    "started": "started with {slots} slots, {sticky} of them sticky",
    "drained": "draining: {cancelled} entries are being cancelled",
    "halted": "HALTED: {reason}",
    "price_lost": "price lost: entries wait",
    "price_back": "price is back",
}


class _Words(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return ""


def describe(event: Event) -> str:
    """One line without the time: who, then what."""
    words = _Words({name: _word(value) for name, value in event.data.items()})
    text = _TEXTS.get(event.kind, event.kind).format_map(words)
    who = "" if event.slot is None else f"slot {event.slot}"
    who += f".{event.trade}" if event.trade else ""
    return " ".join(f"{who + ':' if who else ''} {text}".split())


def _word(value: object) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)
