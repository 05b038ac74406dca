"""What is wrong, in the order in which an operator should look at it: a pure function of a status.

Severities are those of events: good, info, warn, bad. IDLE_NORMAL stands alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

from gridbot.core.records import Severity
from gridbot.engine.status import SlotStatus, Status
from gridbot.tui.cells import span

OLD_PRICE_SECONDS, DEAD_PRICE_SECONDS = 35.0, 60.0
JAM_SHARE = 2 / 3
BACKLOG_MIN = 4
SIDES = {"A": "sell", "B": "buy"}  # what a trade's entry does


class Symptom(NamedTuple):
    """``slot``: whom it is about, None for the whole floor."""

    name: str
    severity: Severity
    slot: int | None
    text: str


def symptoms(status: Status | None, state: str, price_age_seconds: float) -> list[Symptom]:
    """All symptoms, the worst first; never empty."""
    found = [] if status is None else list(_symptoms(status, state, price_age_seconds))
    return found or [Symptom("IDLE_NORMAL", "good", None, "Factory running normally")]


def _symptoms(status: Status, state: str, age: float) -> Iterator[Symptom]:
    if state == "halted":
        yield Symptom("POWER_BLACKOUT", "bad", None, f"HALTED: {status.engine.reason}")
    elif dead(status, age):
        yield Symptom("POWER_BLACKOUT", "bad", None, f"PRICE DEAD {span(age)}")
    for alarm in status.alarms:
        if alarm.symptom in ("CAPACITY", "EXIT_WAITS"):
            yield Symptom("CIRCUIT_TRIP_RISK", "bad", alarm.slot, alarm.text)
            break
    if state in ("paused", "draining"):
        yield Symptom("POWER_BROWNOUT", "warn", None, state.upper())
    elif age > OLD_PRICE_SECONDS and not dead(status, age):
        yield Symptom("POWER_BROWNOUT", "warn", None, f"price {span(age)} old")
    for slot in status.slots:
        share = jam_share(slot, status.at)
        if share >= JAM_SHARE:
            text = f"slot {slot.id} in S2 {span(_stuck(slot, status.at))} ({share:.0%})"
            yield Symptom("BELT_JAM", "warn", slot.id, text)
    for slot in status.slots:
        missing = missing_side(slot)
        if missing:
            text = f"slot {slot.id} one-sided [no {missing}]"
            yield Symptom("LANE_STARVATION", "warn", slot.id, text)
    waiting = sum(len(slot.recoveries) for slot in status.slots)
    if waiting >= max(BACKLOG_MIN, len(status.slots)):
        text = f"{waiting} recoveries on {len(status.slots)} slots"
        yield Symptom("RECOVERY_BACKLOG", "warn", None, text)


def dead(status: Status, age: float) -> bool:
    """The price is too old for anything to move."""
    return status.price.stale or age > DEAD_PRICE_SECONDS


def jam_share(slot: SlotStatus, now: float) -> float:
    """How much of its time a cycle slot with both exits waiting has used, 0 to 1."""
    if slot.kind != "cycle" or slot.phase != "S2" or slot.deadline_at is None:
        return 0.0
    stuck = _stuck(slot, now)
    whole = slot.deadline_at - now + stuck
    return min(stuck / whole, 1.0) if whole > 0 else 1.0


def _stuck(slot: SlotStatus, now: float) -> float:
    placed = [one.placed_at for one in slot.orders if one.role == "exit" and one.placed_at]
    return max(now - max(placed), 0.0) if placed else 0.0  # S2 began with the second exit


def missing_side(slot: SlotStatus) -> str:
    """ "buy" or "sell" when an entry of that side waits for funds."""
    for wait in slot.waiting:
        if wait.reason == "funds":
            return SIDES.get(wait.trade, "")
    return ""
