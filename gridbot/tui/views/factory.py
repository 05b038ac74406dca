"""The factory: a body that brings the living floor as its widget, and shows it what is."""

from typing import TYPE_CHECKING

from gridbot.tui.body import Body
from gridbot.tui.factory.contract import Scene

if TYPE_CHECKING:
    from gridbot.tui.factory.widget import FactoryView


class FactoryBody(Body):
    """The floor moves by itself; h j k l go by the places of its machines."""

    name = "factory"
    _floor: "FactoryView | None" = None
    _told = 0  # the last event the floor was shown

    def widget(self) -> "FactoryView":
        from gridbot.tui.factory.widget import FactoryView

        if self._floor is None:
            look = self.view.look
            self._floor = FactoryView(*look.drawn, max(look.fps, 1))
        return self._floor

    @property
    def bauhaus(self) -> bool:
        """Whether the floor is drawn the other way."""
        return self._floor is not None and self._floor.bauhaus

    @property
    def scrolled(self) -> str:
        """Which machines are seen, where not all are."""
        return "" if self._floor is None else self._floor.scrolled

    def leave(self) -> bool:
        was = self.bauhaus
        if was:
            self.do_bauhaus()
        return was

    def do_bauhaus(self) -> None:
        self.widget().toggle()

    def tick(self) -> None:
        """Show the floor what is and what happened."""
        if self._floor is None:
            return
        if self._floor.broken is not None:
            raise self._floor.broken
        view, news = self.view, self.client.events(self._told)
        self._told = news[-1].id if news else self._told
        scene = Scene(
            view.body, view.state, view.engine_now, view.price_age_seconds, view.direction,
            view.selected, view.drawer,
        )  # fmt: skip
        self._floor.motion(view.motion)
        self._floor.show(scene, news)

    def do_side(self, by: int, count: int = 1) -> None:
        self._go(by, 0, count)

    def do_move(self, by: int, count: int = 1) -> None:
        """Up and down in the same column; farther than a row is to the first or last."""
        if abs(by) > 1:
            self.view.move(by)
        else:
            self._go(0, by, count)

    def _go(self, dx: int, dy: int, count: int) -> None:
        for _ in range(min(count, len(self.view.slots)) if self._floor is not None else 0):
            assert self._floor is not None
            if (slot := self._floor.move(dx, dy)) is None:
                return
            self.view.select(slot)
            self.tick()
