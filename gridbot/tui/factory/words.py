"""What a machine says of itself: its lamp, and its name or what keeps it from working."""

from gridbot.engine.status import SlotStatus
from gridbot.tui.symptoms import JAM_SHARE, missing_sides

REASONS = {
    "capacity": "no room", "stale price": "no price", "disk full": "no disk", "risk limit": "risk",
    "minimum size": "too small", "fee floor": "fees", "new": "",
}  # fmt: skip


def lamp_of(slot: SlotStatus, jammed: bool) -> tuple[str, str]:
    """The slot's lamp and its colour; every state has a glyph of its own."""
    if slot.quarantined:
        return "■", "bad"
    if slot.paused or jammed or any(one.state == "unknown" for one in slot.orders):
        return "▲", "warn"
    if slot.waiting:
        return "◆", "warn"
    return ("●", "good") if slot.orders else ("○", "dim")


def label_of(slot: SlotStatus, jam: float, room: int) -> tuple[str, str]:
    """The alias, or in words what keeps the machine from working, in ``room`` cells; ``jam``: how
    much of its time in S2 it has used."""
    if slot.quarantined:
        return "stopped", "bad"
    if slot.paused:
        return "paused", "warn"
    if jam >= JAM_SHARE:
        return f"jam {jam:.0%}", "warn"
    if missing := missing_sides(slot):
        return f"no {missing[0]}", "warn"
    reasons = (REASONS.get(wait.reason, wait.reason) for wait in slot.waiting)
    if reason := next(filter(None, reasons), ""):
        return reason[:room], "warn"
    name = slot.alias or f"slot {slot.id}"
    return (name if len(name) <= room else f"#{slot.id}"), "text"
