"""What flies, bursts, climbs and drops: each a function of time, started by an event of the engine.

An effect gives the cells it covers at a moment, nothing before it begins, None when it is over.
Times are real seconds. Over ``FLIGHTS_MAX`` nothing more takes off: only the counters tell.
"""

from collections.abc import Sequence
from typing import NamedTuple

from gridbot.tui.factory.board import At, Cells

FLIGHTS_MAX = 12
FLIGHT_CELLS_PER_SECOND = 30.0
DROP_CELLS_PER_SECOND = 12.0
BURST_SECONDS, FIGURE_SECONDS, DISSOLVE_SECONDS, SHRINK_SECONDS = 0.5, 1.4, 0.9, 0.5
BURST = ("✶", "+", "·")
DISSOLVE = "+∙·"


class Flight(NamedTuple):
    """A glyph along a path of cells, with a spark behind it."""

    at: float
    path: Sequence[At]
    glyph: str
    style: int
    trail: int
    speed: float = FLIGHT_CELLS_PER_SECOND

    @property
    def lands_at(self) -> float:
        return self.at + len(self.path) / self.speed

    def cells(self, now: float) -> Cells | None:
        place = int((now - self.at) * self.speed)
        if now < self.at:
            return {}
        if place >= len(self.path):
            return None
        cells = {self.path[place - 1]: ("∙", self.trail)} if place else {}
        cells[self.path[place]] = (self.glyph, self.style)
        return cells


class Burst(NamedTuple):
    """A small star that opens: its middle, then its ``arms`` if it has room, then dust."""

    at: float
    y: int
    x: int
    style: int
    arms: bool = True

    def cells(self, now: float) -> Cells | None:
        step = int((now - self.at) / BURST_SECONDS * 4)
        if now < self.at or step > 3:
            return {} if now < self.at else None
        middle = {(self.y, self.x): (BURST[min(step, 2)], self.style)}
        arm = BURST[min(step, 2)]
        arms = [(self.y, self.x - step), (self.y, self.x + step)]
        arms += [(self.y - 1, self.x), (self.y + 1, self.x)] if step == 2 else []
        return middle | dict.fromkeys(arms, (arm, self.style)) if step and self.arms else middle


class Figure(NamedTuple):
    """An amount that climbs two rows, or stays where nothing may be covered, and goes."""

    at: float
    y: int
    x: int
    text: str
    style: int
    climbs: bool = True

    def cells(self, now: float) -> Cells | None:
        if now < self.at or now - self.at > FIGURE_SECONDS:
            return {} if now < self.at else None
        y = self.y - min(int((now - self.at) / FIGURE_SECONDS * 3), 2) * self.climbs
        return {(y, self.x + i): (one, self.style) for i, one in enumerate(self.text)}


class Dissolve(NamedTuple):
    """What is given up breaks into dust."""

    at: float
    y: int
    x: int
    style: int

    def cells(self, now: float) -> Cells | None:
        step = int((now - self.at) / DISSOLVE_SECONDS * 3)
        if now < self.at or step > 2:
            return {} if now < self.at else None
        return {(self.y, self.x + i): (DISSOLVE[step], self.style) for i in range(-step, step + 1)}


class Shrink(NamedTuple):
    """A tile that is taken away: its centre line, shorter and shorter."""

    at: float
    y: int
    x: int
    width: int
    style: int

    def cells(self, now: float) -> Cells | None:
        step = int((now - self.at) / SHRINK_SECONDS * 4)
        cut = step * self.width // 8
        if step > 3:
            return None
        return {(self.y, self.x + i): ("─", self.style) for i in range(cut, self.width - cut)}


Effect = Flight | Burst | Figure | Dissolve | Shrink


class Effects:
    """Everything that is under way."""

    def __init__(self) -> None:
        self._running: list[Effect] = []

    def __len__(self) -> int:
        return len(self._running)

    def clear(self) -> None:
        self._running.clear()

    def add(self, *effects: Effect) -> bool:
        """Start effects that belong together; False if a flight among them finds no air."""
        flying = sum(isinstance(one, Flight) for one in self._running)
        if flying >= FLIGHTS_MAX and any(isinstance(one, Flight) for one in effects):
            return False
        self._running += effects
        return True

    def cells(self, now: float) -> Cells:
        """All cells covered now; what is over is forgotten."""
        cells: Cells = {}
        kept = []
        for one in self._running:
            covered = one.cells(now)
            if covered is not None:
                kept.append(one)
                cells.update(covered)
        self._running = kept
        return cells
