"""The governor: watches how many exits orphan, and says which slots should change their kind.

Orphan pressure is the larger of backlog (recoveries that stand) and flow (orphans among the exits
that ended within the window). The band it lies in is taken over once it has lain there for
DWELL_SECONDS; a band is left downwards only HYSTERESIS below its limit. Healthy may turn a sticky
slot into cycle, moderate holds, elevated and critical turn cycle slots sticky. In ``suggest`` mode
nothing happens until an operator approves; ``autonomous`` converts one slot per CONVERT_SECONDS in
the critical band alone. No slot that changed its kind is proposed again for LOCK_SECONDS, so that
noise converts a slot at most once a day. Plugins' answers only ever become suggestions.

What is decided depends on state and time alone, and everything that can change a decision by time
is in ``next_at``: looking more often changes nothing.
"""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from math import floor, inf
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
from msgspec.structs import replace

from gridbot.core import closing
from gridbot.core.answers import Refusal
from gridbot.core.capacity import ORDERS_RESERVED, Kind, effective_cap
from gridbot.core.exits import quantile
from gridbot.core.numbers import HUNDRED, ZERO, NumberError, parse_decimal, plain
from gridbot.core.records import Record, Severity
from gridbot.core.settings import GovernorMode
from gridbot.core.slot import Slot

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

HYSTERESIS = Decimal("0.05")  # above the noise of a window of some hundred exits
DWELL_SECONDS = 900.0  # a burst of exits that end together is over by then
SUGGESTION_SECONDS = 4 * 3600.0
QUIET_SECONDS = 3600.0  # between two suggestions of its own
CONVERT_SECONDS = 600.0
LOCK_SECONDS = 86_400.0
CRITICAL_PART = 4  # of the cycle slots are suggested at once when critical
SUGGESTIONS_KEPT = 20  # more only where more are pending
PENDING_MAX = 5  # of one source; what it says beyond is not heard
BANDS = ("healthy", "moderate", "elevated", "critical")
HOLD = 1  # where few data lead to, too
SuggestionKind = Literal["sticky", "cycle", "close"]


class Suggestion(Record, frozen=True):
    """What the governor or a plugin would change. ``kind``: what the slots would become, or
    ``close`` for the order ``order`` of the one slot."""

    id: int
    at: float
    expires_at: float
    source: str
    kind: SuggestionKind
    slots: tuple[int, ...]
    reason: str
    effect: str
    order: str = ""
    state: Literal["pending", "approved", "dismissed", "expired", "superseded"] = "pending"
    decided_at: float = 0.0


class GovernorState(msgspec.Struct):
    """What the governor remembers. ``band`` is an index of BANDS, ``away_since`` when the pressure
    left it (``upwards`` or not); ``muted``: until when a source is not heard."""

    band: int = HOLD
    away_since: float | None = None
    upwards: bool = False
    suggestions: list[Suggestion] = []
    next_id: int = 1
    muted: dict[str, float] = {}
    quiet_until: float = 0.0
    convert_at: float = 0.0
    conversions: int = 0

    def pending(self, source: str | None = None) -> list[Suggestion]:
        """Suggestions without an answer, oldest first."""
        every = self.suggestions
        return [one for one in every if one.state == "pending" and source in (None, one.source)]


class Pressure(msgspec.Struct, frozen=True):
    """Orphan pressure, 0 to 1, and its parts."""

    pressure: float
    backlog: float
    flow: float
    few_data: bool


def pressure_of(brain: Brain) -> Pressure:
    """The pressure now; 0 without cycle slots."""
    slots, settings, cycle = brain.slots, brain.settings, _cycle_slots(brain)
    if not cycle:
        return Pressure(0.0, 0.0, 0.0, True)
    standing = sum(
        slots[live.slot_id].kind == "cycle"
        and not slots[live.slot_id].removing
        and live.after_cancel != "write_off"
        and live.client_id not in brain.write_offs
        for live in brain.registry.by_recovery.values()
    )
    backlog = min(standing / (cycle * max(settings.cycle.max_recovery_slots, 1)), 1.0)
    record = brain.exits.record
    few = len(record.closings) < settings.governor.min_sample
    flow = 0.0 if few else record.orphans / len(record.closings)
    return Pressure(max(backlog, flow), backlog, flow, few)


def _cycle_slots(brain: Brain) -> int:
    """Those that stay."""
    return brain.cycle_slots - sum(brain.slots[one].kind == "cycle" for one in brain.removing)


@cache
def _edges(high: Decimal, crit: Decimal, band: int) -> tuple[float, ...]:
    """Between each two bands, seen from the present one: lower on the way down."""
    levels = enumerate((high / 2, high, crit), 1)
    return tuple([float(edge - (HYSTERESIS if band >= level else ZERO)) for level, edge in levels])


def run(brain: Brain) -> None:
    """Look at the pressure, and act if the mode and the band say so."""
    settings = brain.settings.governor
    brain.governor_at = None
    if not settings.enabled:
        return
    expire(brain)
    brain.exits.news = True
    while brain.exits.news:  # again after a conversion
        brain.exits.news = False
        found = pressure_of(brain)
        _take_band(brain, found)
        if settings.mode != "off" and brain.run_state == "running" and not brain.risk_reason:
            _act(brain, found)
    brain.governor_at = next_at(brain)


def next_at(brain: Brain) -> float | None:
    """When time alone may change a decision; None for never."""
    state, settings = brain.governor, brain.settings.governor
    times = [one.expires_at for one in state.pending()]
    if state.away_since is not None:
        times.append(state.away_since + DWELL_SECONDS)
    if brain.cycle_slots:
        times.append(_flow_changes_at(brain))
    if settings.mode != "off":
        times += [state.muted.get("governor", 0.0), state.quiet_until, state.convert_at]
    return min([at for at in times if brain.now < at < inf], default=None)


def _flow_changes_at(brain: Brain) -> float:
    """The earliest time at which closings that leave the window can carry the flow to another
    band. With k gone it lies between (orphans - k) / (count - k) and orphans / (count - k)."""
    record, settings = brain.exits.record, brain.settings.governor
    count, orphans = len(record.closings), record.orphans
    if count < settings.min_sample:
        return inf
    edges = _edges(
        settings.orphan_pressure_high, settings.orphan_pressure_crit, brain.governor.band
    )
    level = sum(orphans / count >= edge for edge in edges)
    gone = float(count - settings.min_sample + 1)
    if level < len(edges) and edges[level] > 0:
        gone = min(gone, count - orphans / edges[level])
    if level and edges[level - 1] < 1:
        low = edges[level - 1]
        gone = min(gone, (orphans - low * count) / (1 - low))
    return record.closings[min(max(floor(gone), 1), count) - 1].at + settings.window_sec


def _take_band(brain: Brain, found: Pressure) -> None:
    """Follow the pressure into another band once it has stayed beyond this one's edge."""
    state, now, settings = brain.governor, brain.now, brain.settings.governor
    edges = _edges(settings.orphan_pressure_high, settings.orphan_pressure_crit, state.band)
    band = sum(found.pressure >= edge for edge in edges)
    if found.few_data:
        band = max(band, HOLD)
    if band == state.band:
        state.away_since = None
        return
    upwards = band > state.band
    if state.away_since is None or upwards != state.upwards:
        state.away_since, state.upwards = now, upwards
    if now >= state.away_since + DWELL_SECONDS:
        state.band, state.away_since, state.quiet_until = band, None, 0.0
        for one in state.pending("governor"):
            decide(brain, one, "superseded")
        if settings.mode != "off":
            severity: Severity = "warn" if band > 1 else "info"
            text = f"{found.pressure:.2f}"
            brain.emit("pressure_changed", severity, pressure=text, band=BANDS[band])


def _act(brain: Brain, found: Pressure) -> None:
    state, now, band = brain.governor, brain.now, brain.governor.band
    if band == 3 and brain.settings.governor.mode == "autonomous":
        if now >= state.convert_at:
            state.convert_at = now + CONVERT_SECONDS
            for slot in candidates(brain, "sticky", 1):
                convert(brain, slot, "sticky", found)
        return
    if band == HOLD or (band < HOLD and found.few_data) or now < state.quiet_until:
        return
    if is_muted(brain, "governor") or state.pending("governor"):
        return
    kind: Kind = "cycle" if band == 0 else "sticky"
    count = -(-brain.cycle_slots // CRITICAL_PART) if band == 3 else 1
    slots = candidates(brain, kind, count)
    state.quiet_until = now + (QUIET_SECONDS if slots else CONVERT_SECONDS)
    if slots:
        reason = f"orphan pressure {found.pressure:.2f} is {BANDS[band]}"
        suggest(brain, "governor", kind, slots, reason)


def candidates(brain: Brain, kind: Kind, count: int) -> list[Slot]:
    """At most ``count`` slots to become ``kind``: the most orphaned first (least, to become cycle),
    ties by stuck score, then by id."""
    slots = [one for one in brain.slots.values() if one.kind != kind and may_change(brain, one)]
    if kind == "sticky":
        count = min(count, _cycle_slots(brain) - brain.settings.governor.min_cycle_slots)
    elif brain.work_bank.band != "normal" or brain.work_bank.room_sticky < 1:
        return []
    orphans: dict[int, int] = {}
    for one in brain.exits.record.closings:
        orphans[one.slot] = orphans.get(one.slot, 0) + one.orphaned
    sign = -1 if kind == "sticky" else 1
    usual = usual_waits(brain)
    slots.sort(key=lambda one: (
        orphans.get(one.id, 0) * sign, stuck_score(brain, one, usual[one.kind]) * sign
    ))  # fmt: skip
    return slots[: max(count, 0)]


def may_change(brain: Brain, slot: Slot) -> bool:
    """It may change its kind now. To become cycle nothing of it may be near a deadline: no recovery
    kept, and every exit younger than half of the shorter one."""
    if slot.removing or slot.quarantined or slot.paused_at is not None:
        return False
    if slot.converted_at is not None and slot.converted_at + LOCK_SECONDS > brain.now:
        return False
    if slot.kind == "cycle":
        return True
    cycle = brain.settings.cycle
    half = min(cycle.s1_orphan_after_sec, cycle.s2_orphan_after_sec) / 2
    young = all(brain.now - (one.entry_filled_at or one.placed_at) < half for one in slot.exits())
    return young and not slot.state.recovery_orders


def usual_waits(brain: Brain) -> dict[str, float]:
    """By kind the 90th percentile of how long filled exits stood, in seconds; before there are any,
    the deadline of one."""
    usual, waits = {}, brain.exits.record.waits
    for kind in ORDERS_RESERVED:
        seconds = [one for side in ("buy", "sell") for one in waits.get(f"{kind} {side}", ())]
        none_yet = brain.settings.cycle.s1_orphan_after_sec
        usual[kind] = quantile(sorted(seconds), 90) if seconds else none_yet
    return usual


def stuck_score(brain: Brain, slot: Slot, usual_seconds: float) -> float:
    """How stuck its worst exit is: half its age in usual waits plus half its distance from the
    market in profit targets. For ranking only."""
    exits, target = slot.exits(), brain.settings.grid.profit_pct * (brain.price or ZERO)
    if not exits or not target or brain.price is None:
        return 0.0
    return max([
        (brain.now - (one.entry_filled_at or one.placed_at)) / max(usual_seconds, 1.0) / 2
        + float(abs(one.price - brain.price) * HUNDRED / target) / 2
        for one in exits
    ])  # fmt: skip


def convert(brain: Brain, slot: Slot, kind: Kind, found: Pressure | None = None) -> None:
    """Change a slot's kind; it is not proposed again for a while."""
    slot.kind, slot.timer_at, slot.converted_at = kind, 0.0, brain.now
    if kind == "sticky":  # no timer would ever do it: a sticky slot has none
        slot.state = replace(slot.state, s2_entered_at=None)
    brain.count_kinds()
    brain.configure(slot)
    brain.look_again(slot)
    if found is None:
        brain.emit("toggled", "info", slot.id, slot_kind=kind)
        return
    brain.governor.conversions += 1
    brain.emit("converted", "warn", slot.id, slot_kind=kind, pressure=f"{found.pressure:.2f}")


def suggest(
    brain: Brain, source: str, kind: SuggestionKind, slots: list[Slot], reason: str, order: str = ""
) -> None:
    """Put a suggestion before the operator. One to convert supersedes the source's earlier one; the
    same again is no news, nor is what exceeds PENDING_MAX."""
    state, ids = brain.governor, tuple(one.id for one in slots)
    standing = state.pending(source)
    if (kind, set(ids), order) in [(one.kind, set(one.slots), one.order) for one in standing]:
        return
    for one in standing:
        if one.kind != "close" != kind:
            decide(brain, one, "superseded")
    if len(state.pending(source)) >= PENDING_MAX:
        return
    effect, until = _effect(brain, kind, len(slots), order), brain.now + SUGGESTION_SECONDS
    made = Suggestion(state.next_id, brain.now, until, source, kind, ids, reason, effect, order)
    state.next_id += 1
    every = [*state.suggestions, made]
    decided = [one.id for one in every if one.state != "pending"]
    dropped = decided[: max(len(every) - SUGGESTIONS_KEPT, 0)]
    state.suggestions = [one for one in every if one.id not in dropped]
    brain.exits.news = True  # its end is a time to look again
    names = ", ".join(map(str, ids))
    brain.emit("suggested", "info", number=made.id, slots=names, what=kind, reason=reason)


def _effect(brain: Brain, kind: SuggestionKind, count: int, order: str) -> str:
    """What it changes: the money of a close, else the work bank."""
    if kind == "close":
        live = brain.registry.by_client[order]
        return f"closes {closing.worth_text(brain, [live], brain.fees.maker_pct)}"
    cost = count * (ORDERS_RESERVED["cycle"] - ORDERS_RESERVED["sticky"])
    bank = brain.work_bank
    old = bank.reserved_sticky + bank.reserved_cycle
    new = old + (cost if kind == "cycle" else -cost)
    return f"reserved orders {old} -> {new} of {effective_cap(brain.settings)}"


def expire(brain: Brain) -> None:
    """Close the suggestions whose time is over, or whose order is."""
    for one in brain.governor.pending():
        if one.expires_at <= brain.now:
            decide(brain, one, "expired")
        elif one.order and one.order not in brain.registry.by_client:
            decide(brain, one, "superseded")


def decide(brain: Brain, suggestion: Suggestion, answer: Any) -> None:
    """Close a suggestion; an expired one keeps its source quiet for a while."""
    state, source = brain.governor, suggestion.source
    decided = replace(suggestion, state=answer, decided_at=brain.now)
    state.suggestions = [decided if one.id == decided.id else one for one in state.suggestions]
    if answer == "expired":
        quiet_until = brain.now + QUIET_SECONDS
        state.muted[source] = max(state.muted.get(source, 0.0), quiet_until)
    if answer != "superseded":
        brain.emit(answer, "info", number=suggestion.id)


def is_muted(brain: Brain, source: str) -> bool:
    """It is not heard now: a suggestion of it was dismissed, or expired."""
    return brain.governor.muted.get(source, 0.0) > brain.now


def set_mode(brain: Brain, args: dict[str, Any]) -> str:
    """Let the governor suggest, convert by itself, or rest, until the next start."""
    mode: GovernorMode = args.get("mode", "")
    if mode not in get_args(GovernorMode):
        raise Refusal("E50", "mode is suggest, autonomous or off")
    if mode == "autonomous" and not args.get("force"):
        crit = brain.settings.governor.orphan_pressure_crit
        raise Refusal("confirm", f"it may make cycle slots sticky without asking above {crit}")
    governor = replace(brain.settings.governor, mode=mode)
    brain.settings = replace(brain.settings, governor=governor)
    brain.exits.news = True
    return f"governor mode is {mode}"


def set_threshold(brain: Brain, args: dict[str, Any]) -> str:
    """From which orphan pressure it advises ("high") or forces ("crit"), until the next start."""
    settings, name = brain.settings.governor, args.get("name")
    if name not in ("high", "crit"):
        raise Refusal("E19", "name is high or crit")
    try:
        value = parse_decimal(str(args.get("value")), "value")
    except NumberError:
        raise Refusal("E11", f'{name} needs a number, got "{args.get("value")}"') from None
    if not Decimal("0.05") <= value <= Decimal("0.99"):
        raise Refusal("E14", f"{name} {plain(value)} is outside 0.05 to 0.99")
    changed = replace(settings, **{f"orphan_pressure_{name}": value})
    high, crit = changed.orphan_pressure_high, changed.orphan_pressure_crit
    if high >= crit:
        raise Refusal("E53", f"high {plain(high)} must be under crit {plain(crit)}")
    brain.settings = replace(brain.settings, governor=changed)
    brain.exits.news = True
    return f"governor {name} is {plain(value)}"
