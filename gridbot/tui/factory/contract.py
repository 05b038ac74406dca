"""What a floor (factory or Bauhaus) and whoever paints it agree on. No Textual.

A floor is told what is (``see``) and asked what it looks like (``frame``, ``row``). Time comes in
as an argument: every motion is a function of it, so skipped frames change no speed. The runs that
``row`` gives and the patches that ``frame`` gave describe one and the same picture.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from gridbot.core.records import Event
from gridbot.engine.status import Status

Run = tuple[str, int]  # one-cell glyphs, style id


class Patch(NamedTuple):
    """Cells that changed: one run of one style within one row."""

    y: int
    x: int
    style: int
    text: str


class Scene(NamedTuple):
    """All that a floor may look at. ``state`` is ``View.state``: running, paused, draining, halted,
    gone or waiting; ``engine_now`` the engine's clock; ``price_age_seconds`` in real seconds;
    ``direction`` of the price, 1 up, -1 down, 0 unknown."""

    status: Status | None
    state: str
    engine_now: float
    price_age_seconds: float
    direction: int
    selected: int | None
    drawer: bool


class Styles(Protocol):
    """The one table of styles: ids from words of the theme ("good bold"). Further words: bold,
    dim, underline, reverse, ``#rrggbb`` (ink), ``on#rrggbb`` (ground), faint and ghost (ink near
    the ground)."""

    def id(self, words: str) -> int:
        """The id of a style; the same words always give the same id."""


class Floor(Protocol):
    """A picture of width x height cells that moves. ``motion``: full, eco (half as many steps),
    calm (no ornaments) or off."""

    motion: str

    def resize(self, width: int, height: int) -> None:
        """From now on this large; the next ``frame`` is whole."""

    def see(self, scene: Scene, events: Sequence[Event], now: float) -> None:
        """A new picture and what happened since the last one; the first draws still."""

    def frame(self, now: float) -> list[Patch]:
        """What changed since the last frame, at real time ``now`` (monotonic seconds)."""

    def row(self, y: int) -> list[Run]:
        """One row of the last frame, exactly ``width`` cells."""

    def move(self, dx: int, dy: int) -> int | None:
        """The slot beside the selected one by geometry; None stays."""
