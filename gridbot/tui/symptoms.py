"""What is wrong, worst first: a pure diagnosis from a status, for the alarm line and the floor.

Names and order are fixed. A symptom about the whole bot has no slot. Severities are the words of
the theme: bad needs the operator, warn will be looked at, good is calm.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gridbot.engine.status import AlarmStatus, SlotStatus, Status
from gridbot.tui.cells import span

JAM_SHARE = 0.7  # of a cycle slot's time in S2
AGEING_SECONDS = 10.0
DEAD_SECONDS = 60.0
POLLS_AGEING, POLLS_DEAD = 1.5, 3.0  # what no poll could have made younger is no fault
RECOVERIES_PER_SLOT = 2
SIDES = {"A": "sell", "B": "buy"}  # what a trade's entry does
POLL_SECONDS = 30.0  # between two prices, where the engine does not say
ORDER = (
    "POWER_BLACKOUT", "RISK", "DISK", "EXCHANGE", "DRIFT", "QUARANTINED", "PARKED",
    "CIRCUIT_TRIP_RISK", "UNKNOWN", "EXIT_WAITS", "POWER_BROWNOUT", "BELT_JAM",
    "LANE_STARVATION", "RECOVERY_BACKLOG", "IDLE_NORMAL",
)  # fmt: skip
LAMPS = {
    "UNKNOWN": "▲", "EXIT_WAITS": "▲", "POWER_BROWNOUT": "▲", "BELT_JAM": "▲",
    "LANE_STARVATION": "◆", "CIRCUIT_TRIP_RISK": "◆", "RECOVERY_BACKLOG": "▲", "IDLE_NORMAL": "✓",
}  # fmt: skip
RENAMED = {
    "HALTED": "POWER_BLACKOUT", "PRICE_LOST": "POWER_BLACKOUT", "CAPACITY": "CIRCUIT_TRIP_RISK",
    "PAUSED": "POWER_BROWNOUT", "DRAINING": "POWER_BROWNOUT",
}  # fmt: skip


class Symptom(NamedTuple):
    """``name`` is one of ``ORDER`` or the engine's own; ``severity`` bad, warn or good."""

    name: str
    severity: str
    slot: int | None
    text: str

    @property
    def lamp(self) -> str:
        return LAMPS.get(self.name, "■")


def symptoms(status: Status | None, state: str, price_age_seconds: float) -> list[Symptom]:
    """All symptoms, worst first; IDLE_NORMAL alone when there is none.
    ``state`` is ``View.state``; ``price_age_seconds`` are real seconds."""
    if status is None:
        return [_symptom("IDLE_NORMAL", "waiting for the engine")]
    found = [*_power(status, state, price_age_seconds)]
    found += [_alarm(one) for one in status.alarms if one.symptom not in ("HALTED", "PRICE_LOST")]
    for slot in status.slots:
        found += _slot(slot, max(status.at, status.price.at if status.mode == "sim" else 0.0))
    recoveries = sum(len(slot.recoveries) for slot in status.slots)
    if recoveries > RECOVERIES_PER_SLOT * len(status.slots):
        text = f"{recoveries} recoveries on {len(status.slots)} slots"
        found.append(_symptom("RECOVERY_BACKLOG", text))
    found.sort(key=_rank)
    return found or [_symptom("IDLE_NORMAL", "Factory running normally")]


def _symptom(name: str, text: str, slot: int | None = None) -> Symptom:
    lamp = LAMPS.get(name, "■")
    return Symptom(name, {"■": "bad", "✓": "good"}.get(lamp, "warn"), slot, text)


def _rank(symptom: Symptom) -> int:
    """Its place in the order; what it does not know comes before what only waits."""
    return ORDER.index(symptom.name if symptom.name in ORDER else "POWER_BROWNOUT")


def old_seconds(status: Status) -> tuple[float, float]:
    """The age, in real seconds, from which a price is ageing, and from which it is dead."""
    poll = (status.engine.poll_seconds or POLL_SECONDS) / max(status.engine.speed, 0.001)
    return max(AGEING_SECONDS, POLLS_AGEING * poll), max(DEAD_SECONDS, POLLS_DEAD * poll)


def dead(status: Status, price_age_seconds: float) -> bool:
    """The price is lost, or too old for anything to move."""
    return status.price.stale or price_age_seconds > old_seconds(status)[1]


def _power(status: Status, state: str, age: float) -> Iterator[Symptom]:
    """The price is the power: none at all, or too little of it."""
    if status.engine.state == "halted":
        yield _symptom("POWER_BLACKOUT", f"HALTED: {status.engine.reason}")
    elif state == "gone":
        yield _symptom("POWER_BLACKOUT", f"ENGINE GONE, last picture {span(age)} old")
    elif dead(status, age):
        yield _symptom("POWER_BLACKOUT", f"PRICE DEAD {span(age)}")
    elif age > old_seconds(status)[0]:
        yield _symptom("POWER_BROWNOUT", f"price {span(age)} old")


def _alarm(alarm: AlarmStatus) -> Symptom:
    name = RENAMED.get(alarm.symptom, alarm.symptom)
    text = alarm.symptom if alarm.symptom in ("PAUSED", "DRAINING") else alarm.text
    return _symptom(name, text, alarm.slot)


def _slot(slot: SlotStatus, now: float) -> Iterator[Symptom]:
    if (share := jam_share(slot, now)) >= JAM_SHARE:
        waited = span(share * (slot.deadline_seconds or 0))
        yield _symptom("BELT_JAM", f"slot {slot.id} in S2 {waited} ({share:.0%})", slot.id)
    missing = missing_sides(slot)
    if missing and not slot.paused and not slot.quarantined:
        text = ", ".join(f"no {side}" for side in missing)
        yield _symptom("LANE_STARVATION", f"slot {slot.id} one-sided [{text}]", slot.id)


def missing_sides(slot: SlotStatus) -> list[str]:
    """The sides, buy and sell, that a slot cannot enter for lack of funds or room."""
    short = {wait.trade for wait in slot.waiting if wait.reason in ("funds", "inventory")}
    return [side for trade, side in SIDES.items() if trade in short]


def jam_share(slot: SlotStatus, now: float) -> float:
    """How much of its time a cycle slot with both exits waiting has used, 0 to 1."""
    return time_used(slot, now) if slot.kind == "cycle" and slot.phase == "S2" else 0.0


def time_used(slot: SlotStatus, now: float) -> float:
    """How much of its time a waiting exit of a cycle slot has used, 0 to 1 (and 0 without one)."""
    if slot.deadline_at is None or not slot.deadline_seconds:
        return 0.0
    return max(0.0, min(1.0, 1 - (slot.deadline_at - now) / slot.deadline_seconds))
