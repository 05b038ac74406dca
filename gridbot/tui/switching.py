"""From view to view, the command bar, one level back: what moves the operator, not the engine."""

from typing import TYPE_CHECKING

from gridbot.engine.actions import CommandError
from gridbot.tui.body import VIEWS

if TYPE_CHECKING:
    from gridbot.tui.controls import Controls

REFRESH_GUARD_SECONDS = 2.0
LEAVE_HINT = "q goes one level back; :q leaves gridbot"


class Switching:
    """Acts that change what is looked at."""

    def __init__(self, controls: "Controls") -> None:
        self._controls, self._view = controls, controls.view
        self._refreshed_at = float("-inf")

    def do_view(self, name: str) -> None:
        view = self._view
        if name != view.name:
            view.name, view.before, view.target = name, view.name, ""

    def do_view_step(self, by: int) -> None:
        self.do_view(VIEWS[(VIEWS.index(self._view.name) + by) % len(VIEWS)])

    def do_view_back(self) -> None:
        self.do_view(self._view.before)

    def do_bauhaus(self) -> None:
        """From another view: the factory, drawn that way."""
        self.do_view("factory")
        if not getattr(self._controls.body, "bauhaus", True):
            self._controls.act("bauhaus")

    def do_command(self) -> None:
        self._controls.open_bar()

    def do_fill(self, text: str) -> None:
        self._controls.open_bar(text)

    def do_refresh(self) -> str | None:
        controls, ago = self._controls, self._controls.now() - self._refreshed_at
        if 0 <= ago < REFRESH_GUARD_SECONDS:
            controls.note(f"E18: refreshed {ago:.0f}s ago", "info")
            return None
        self._refreshed_at = controls.now()
        controls.tick()
        return "refreshed"

    def do_redraw(self) -> None:
        self._controls.redrawing = True

    def do_back(self) -> None:
        if not self._closed_something():
            self.do_leave_hint()

    def do_escape(self) -> None:
        if not self._closed_something():
            self._controls.chords.drop()

    def _closed_something(self) -> bool:
        if self._controls.body.leave():
            return True
        closed, self._view.drawer = self._view.drawer, False
        return closed

    def do_leave_hint(self) -> None:
        self._controls.note(LEAVE_HINT, "info")

    def do_suspend(self) -> None:
        """To the shell, unless an engine would stand still for it."""
        if not self._view.attached:
            raise CommandError("E95", "not while the engine runs inside this terminal")
        self._controls.suspending = True
