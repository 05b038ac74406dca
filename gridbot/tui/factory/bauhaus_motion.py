"""What the engine's events look like in Bauhaus mode: each becomes effects between two places.

An order that is gone is found where it stood before, a new one where it stands now. Nothing is
guessed from differences between pictures: without an event nothing flies.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import NamedTuple

from gridbot.core.records import Event
from gridbot.tui.cells import money
from gridbot.tui.factory.bauhaus_layout import Box
from gridbot.tui.factory.sprites import FLIGHT_SECONDS, STEP_SECONDS, Effect


class Slide(NamedTuple):
    """A number that goes one unit a step from ``start`` to ``goal``."""

    start: int
    goal: int
    began: float

    def at(self, now: float) -> int:
        way, steps = self.goal - self.start, max(int((now - self.began) / STEP_SECONDS), 0)
        return self.goal if steps >= abs(way) else self.start + (steps if way > 0 else -steps)

    @property
    def ends(self) -> float:
        return self.began + (abs(self.goal - self.start) + 1) * STEP_SECONDS

    def to(self, goal: int, now: float, moves: bool) -> "Slide":
        """On the way to ``goal``, or there at once."""
        if not moves:
            return Slide(goal, goal, now)
        return self if goal == self.goal else Slide(self.at(now), goal, now)


class Roll(NamedTuple):
    """The counter's figure on its way, in four steps."""

    start: Decimal
    goal: Decimal
    began: float

    def at(self, now: float) -> Decimal:
        step = int((now - self.began) / STEP_SECONDS) + 1 if now >= self.began else 0
        return self.goal if step > 4 else self.start + (self.goal - self.start) * step / 5


class Spot(NamedTuple):
    """Where an order stands, where its hairline meets the gullet, and its letter."""

    x: int
    y: int
    anchor: int
    text: str


class Orphan(NamedTuple):
    x: int
    y: int
    hue: str
    seed: int


class Places(NamedTuple):
    """Where things are in one picture, by client id and slot id."""

    spots: dict[str, Spot]
    orphans: dict[str, Orphan]
    boxes: dict[int, Box]
    counter: tuple[int, int] | None


def effects_of(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    """The effects of one event that came with the picture ``after``."""
    if event.kind in _EFFECTS:
        yield from _EFFECTS[event.kind](event, before, after, now)


def _placed(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    spot = after.spots.get(event.order or "")
    if spot:
        yield Effect("placed", now, spot.x, spot.y, text=spot.text)


def _filled(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    spot, orphan = before.spots.get(event.order or ""), before.orphans.get(event.order or "")
    if spot:
        ink = "spark" if event.kind == "exit_filled" else ""
        letter = spot.text.strip("‹›")
        yield Effect("fill", now, spot.x, spot.y, spot.x, spot.anchor, letter, ink)
    elif orphan:
        yield Effect("dissolve", now, orphan.x, orphan.y, ink=orphan.hue)


def _orphaned(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    spot, orphan = before.spots.get(event.order or ""), after.orphans.get(event.order or "")
    if spot and orphan:
        letter = spot.text.strip("‹›")
        yield Effect("morph", now, spot.x, spot.y, orphan.x, orphan.y, letter)
    elif spot:
        yield Effect("dissolve", now, spot.x, spot.y)


def _cancelled(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    order = event.order or ""
    place = before.orphans.get(order) or before.spots.get(order)
    if place and order not in after.orphans and order not in after.spots:
        yield Effect("dissolve", now, place.x, place.y)


def _written_off(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    yield from _cancelled(event, before, after, now)
    yield from _flight(event, "realised", "s2", before, after, now)


def _closed(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    ink = "mist" if event.data.get("recovery") else "structure"
    yield from _flight(event, "net", "s2" if event.severity == "bad" else ink, before, after, now)


def _flight(
    event: Event, figure: str, ink: str, before: Places, after: Places, now: float
) -> Iterator[Effect]:
    """From the slot to the counter; what it brings is written beside it on arrival."""
    box = after.boxes.get(event.slot or 0) or before.boxes.get(event.slot or 0)
    if box and after.counter:
        x, y = after.counter
        yield Effect("flight", now, box.x + box.tier.w // 2, box.y - 1, x, y + 1, ink=ink)
        value = event.data.get(figure)
        if isinstance(value, Decimal | str):
            text = money(Decimal(value))
            yield Effect("climb", now + FLIGHT_SECONDS, x - len(text) - 1, y + 2, text=text)


def _added(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    box = after.boxes.get(event.slot or 0)
    if box:
        yield Effect("grow", now, box.x, box.y, box.tier.w, box.tier.h)


def _removed(event: Event, before: Places, after: Places, now: float) -> Iterator[Effect]:
    box = before.boxes.get(event.slot or 0)
    if box and (event.slot or 0) not in after.boxes:
        yield Effect("shrink", now, box.x, box.y, box.tier.w, box.tier.h)


_EFFECTS: dict[str, Callable[[Event, Places, Places, float], Iterator[Effect]]] = {
    "entry_placed": _placed, "exit_placed": _placed, "entry_filled": _filled,
    "exit_filled": _filled, "recovery_filled": _filled, "orphaned": _orphaned,
    "cancelled": _cancelled, "written_off": _written_off, "cycle_closed": _closed,
    "slot_added": _added, "slot_removed": _removed,
}  # fmt: skip
