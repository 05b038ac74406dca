"""A floor that only remembers what it was asked."""

from collections.abc import Sequence

from textual.widget import Widget

from gridbot.core.records import Event
from gridbot.tui.factory.contract import Scene


class FactoryView(Widget):
    made: list["FactoryView"] = []  # noqa: RUF012

    def __init__(self, theme: str, ascii_only: bool, fps: int) -> None:
        super().__init__()
        self.look, self.bauhaus = (theme, ascii_only, fps), False
        self.scenes: list[Scene] = []
        self.told: list[int] = []
        FactoryView.made.append(self)

    def show(self, scene: Scene, events: Sequence[Event] = ()) -> None:
        self.scenes.append(scene)
        self.told += [event.id for event in events]

    def motion(self, name: str) -> None:
        self.moving = name

    def move(self, dx: int, dy: int) -> int | None:
        return 7

    def toggle(self) -> bool:
        self.bauhaus = not self.bauhaus
        return True
