"""Advice and its answers: plugins recommend, that becomes suggestions, the operator decides.

A plugin never acts. What makes no sense or changes nothing is dropped, and what a source that was
dismissed says is not heard. To approve or dismiss is about one suggestion: the only one there is,
or the one that is named.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from gridbot.core import closing
from gridbot.core.answers import Refusal, seconds_of
from gridbot.core.capacity import Kind
from gridbot.core.governor import (
    Suggestion,
    candidates,
    convert,
    decide,
    expire,
    is_muted,
    may_change,
    pressure_of,
    suggest,
)
from gridbot.core.records import Record

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

DISMISSED_DEFAULT = "2h"


class Recommendation(Record, frozen=True):
    """A plugin's answer, as it comes back in ``StepInput.recommendations``. ``ratio``: wanted share
    of sticky slots, 0 to 1; ``close``: the client id of an exit or recovery of ``slot``;
    ``failed``: why the plugin is asked no more."""

    plugin: str
    reason: str = ""
    ratio: Decimal | None = None
    slot: int = 0
    close: str = ""
    failed: str = ""


def hear(brain: Brain, answers: tuple[dict[str, Any], ...]) -> None:
    """Plugins' answers become suggestions; what makes no sense or changes nothing is dropped."""
    expire(brain)
    for answer in answers:
        try:
            one = msgspec.convert(answer, Recommendation)
        except msgspec.ValidationError:
            continue
        if one.failed:
            brain.emit("plugin_disabled", "warn", plugin=one.plugin, reason=one.failed)
        elif brain.settings.governor.mode == "off" or is_muted(brain, one.plugin):
            continue
        elif one.ratio is not None:
            _hear_ratio(brain, one.plugin, one.ratio, one.reason)
        elif one.close in brain.registry.by_client:
            live = brain.registry.by_client[one.close]
            if live.role != "entry" and not live.closing:
                slots = [brain.slots[live.slot_id]]
                suggest(brain, one.plugin, "close", slots, one.reason, one.close)


def _hear_ratio(brain: Brain, source: str, ratio: Decimal, reason: str) -> None:
    sticky = len(brain.slots) - brain.cycle_slots
    wanted = int((len(brain.slots) * ratio).to_integral_value())
    kind: Kind = "sticky" if wanted > sticky else "cycle"
    slots = candidates(brain, kind, abs(wanted - sticky)) if wanted != sticky else []
    if slots:
        suggest(brain, source, kind, slots, reason)


def approve(brain: Brain, args: dict[str, Any]) -> str:
    """Carry a suggestion out, as far as its slots may still change; to close asks first."""
    one = _chosen(brain, args)
    if one.kind == "close":
        return _approve_close(brain, args, one)
    slots = [brain.slots[number] for number in one.slots if number in brain.slots]
    slots = [slot for slot in slots if slot.kind != one.kind and may_change(brain, slot)]
    if one.kind == "cycle":
        slots = slots[: brain.work_bank.room_sticky if brain.work_bank.band == "normal" else 0]
    if not slots:
        raise Refusal("E54", f"no slot of suggestion {one.id} may become {one.kind} now")
    for slot in slots:
        convert(brain, slot, one.kind, pressure_of(brain))
    decide(brain, one, "approved")
    return f"slot {', '.join(str(slot.id) for slot in slots)} is {one.kind} now"


def _approve_close(brain: Brain, args: dict[str, Any], one: Suggestion) -> str:
    live = brain.registry.by_client.get(one.order)
    if live is None or live.role == "entry" or live.after_cancel:
        raise Refusal("E41", f"the order of suggestion {one.id} is gone")
    closing.confirm(brain, args, "close", [live], str(one.id))
    closing.begin(brain, live)
    decide(brain, one, "approved")
    return f"suggestion {one.id}: slot {live.slot_id}.{live.trade_id} is being closed"


def dismiss(brain: Brain, args: dict[str, Any]) -> str:
    """Drop a suggestion; its source is not heard for a while."""
    one = _chosen(brain, args)
    text = str(args.get("for") or DISMISSED_DEFAULT)
    brain.governor.muted[one.source] = brain.now + seconds_of(text, "for", "5m", "7d")
    decide(brain, one, "dismissed")
    return f"suggestion {one.id} dismissed; {one.source} is not heard for {text}"


def _chosen(brain: Brain, args: dict[str, Any]) -> Suggestion:
    """The one that ``id``, or a confirmation's ``force``, names; else the only one pending."""
    expire(brain)
    brain.exits.news = True
    number, asked = args.get("id"), args.get("force")
    if asked and isinstance(asked, str):
        number = int(asked)
    pending = brain.governor.pending()
    if number is None and len(pending) > 1:
        names = ", ".join(f"{one.id} ({one.kind}, {one.source})" for one in pending)
        raise Refusal("E55", f"say which: {names}")
    known = brain.governor.suggestions if number is not None else pending
    found = [one for one in known if number in (None, one.id)]
    if not found:
        raise Refusal("E51", "nothing pending" if number is None else f"no suggestion {number}")
    if found[0].state != "pending":
        raise Refusal("E52", f"suggestion {number} is {found[0].state}")
    return found[0]
