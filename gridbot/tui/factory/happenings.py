"""What the engine's events do to the floor: flights, bursts, drops, machines that come and go."""

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from gridbot.core.records import Event
from gridbot.tui.cells import money
from gridbot.tui.factory.board import At
from gridbot.tui.factory.layout import way_back, way_down, way_in, way_out
from gridbot.tui.factory.machine import GROWING_STEPS, Machine
from gridbot.tui.factory.motion import (
    DROP_CELLS_PER_SECOND,
    Burst,
    Dissolve,
    Figure,
    Flight,
    Shrink,
)  # fmt: skip

if TYPE_CHECKING:
    from gridbot.tui.factory.floor import FactoryFloor

STAGGER_SECONDS = 0.04
GROW_SECONDS = 0.12
SUPPLIES_MAX = 6  # profit finds the rest of the air free
GONE = {"slot_removed"}


class Happenings:
    """Turns events into effects on one floor; kinds it does not know do nothing."""

    def __init__(self, floor: "FactoryFloor") -> None:
        self._floor = floor
        self._drops: dict[int, tuple[float, int, int]] = {}
        self._left: dict[str, At] = {}  # where recoveries stood that were filled

    def before(self, events: Sequence[Event]) -> None:
        """What must be shown where things stood until now."""
        self._left.clear()
        for event in events:
            if event.kind == "recovery_filled":
                place = self._floor.furniture.recovery_at(event.order or "")
                self._left |= {event.order or "": place} if place else {}
            machine = self._floor.machines.get(event.slot or 0)
            if event.kind in GONE and machine is not None and self._floor.lively:
                spot, size = machine.spot, machine.size
                style = self._floor.style(machine.frame.words)
                y = spot.y + size.height // 2
                self._floor.effects.add(Shrink(self._floor.now, y, spot.x, size.width, style))

    def after(self, events: Sequence[Event]) -> None:
        """What happens where they stand now; a burst of events is spread over a moment."""
        if not self._floor.lively:
            return
        for n, event in enumerate(events):
            act = getattr(self, f"_{event.kind}", None)
            machine = self._floor.machines.get(event.slot or 0)
            if act is not None and machine is not None:
                act(event, machine, self._floor.now + min(n, 12) * STAGGER_SECONDS)

    def _entry_placed(self, event: Event, machine: Machine, at: float) -> None:
        """What an order holds comes along the belt from its chest."""
        floor, buys = self._floor, event.data.get("side") == "buy"
        path = way_in(floor.plan, machine.spot)
        if path and floor.motion == "full" and len(floor.effects) < SUPPLIES_MAX:
            glyph = floor.market.quote if buys else floor.market.base
            style = floor.style("buy" if buys else "sell")
            floor.effects.add(Flight(at, path, glyph, style, floor.style("dim faint")))

    def _entry_filled(self, event: Event, machine: Machine, at: float) -> None:
        self._floor.flash(machine)

    def _toggled(self, event: Event, machine: Machine, at: float) -> None:
        self._floor.flash(machine)

    _converted = _toggled

    def _exit_filled(self, event: Event, machine: Machine, at: float) -> None:
        sells = event.data.get("side") == "sell"
        glyph = self._floor.market.base if sells else self._floor.market.quote
        start = self._left.get(event.order or "")
        self._fly(machine, at, glyph, "sell bold" if sells else "buy bold", start)

    _recovery_filled = _exit_filled

    def _cycle_closed(self, event: Event, machine: Machine, at: float) -> None:
        net = Decimal(str(event.data.get("net", 0)))
        words = "good bold" if net >= 0 else "bad bold"
        flight = self._fly(machine, at + 2 * STAGGER_SECONDS, "✶" if net >= 0 else "x", words)
        if flight is None:
            return
        floor, (y, x), style = self._floor, flight.path[-1], self._floor.style(words)
        text = money(net, 8)
        place = floor.furniture.figure_at(len(text))
        if place is not None:
            figure = Figure(flight.lands_at, *place, text, style, floor.plan.sides)
            floor.effects.add(figure)
        if net >= 0 and floor.motion == "full":
            floor.effects.add(Burst(flight.lands_at, y, x, style, floor.plan.sides))

    def _fly(
        self, machine: Machine, at: float, glyph: str, words: str, start: At | None = None
    ) -> Flight | None:
        floor, goal = self._floor, self._floor.furniture.goal
        path = way_out(floor.plan, machine.spot, goal)
        if start is not None:
            path = way_back(floor.plan, start, goal)
        flight = Flight(at, path, glyph, floor.style(words), floor.style("dim faint"))
        return flight if path and floor.effects.add(flight) else None

    def _orphaned(self, event: Event, machine: Machine, at: float) -> None:
        floor = self._floor
        path = way_down(floor.plan, machine.spot)
        style = floor.style("warn bold")
        flight = Flight(at, path, "╲", style, floor.style("warn faint"), DROP_CELLS_PER_SECOND)
        if path and floor.effects.add(flight):
            self._drops[machine.slot.id] = flight.lands_at, *path[-1]

    def _written_off(self, event: Event, machine: Machine, at: float) -> None:
        floor = self._floor
        path = way_down(floor.plan, machine.spot)
        landing = self._drops.pop(machine.slot.id, (at, *path[-1]) if path else None)
        if landing is None:
            return
        realised = Decimal(str(event.data.get("realised", 0)))
        style = floor.style("bad bold" if realised < 0 else "good bold")
        then, y, x = landing
        floor.effects.add(Dissolve(then, y, x, style))
        text, tall = money(realised, 8), floor.plan.recycle_rows > 1
        left = min(x if tall else x + 3, floor.plan.width - len(text) - 1)
        floor.effects.add(Figure(then, y - tall, left, text, style, climbs=False))

    def _slot_added(self, event: Event, machine: Machine, at: float) -> None:
        def grow() -> None:
            machine.step += 1
            machine.draw()
            if machine.step < GROWING_STEPS:
                self._floor.later(GROW_SECONDS, grow)

        machine.step = 0
        machine.draw()
        self._floor.later(GROW_SECONDS, grow)
