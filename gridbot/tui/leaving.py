"""How to get out, and what that does to the engine: nothing but these commands ever leaves.

An attached screen leaves at once; an engine inside this terminal stops with it, its state saved,
and its orders stay where they are: with live orders that takes a second word.
"""

from typing import TYPE_CHECKING

from gridbot.engine.actions import CommandError

if TYPE_CHECKING:
    from gridbot.tui.controls import Controls


class Leaving:
    """``:q``, ``:q!`` and ``:stop``."""

    def __init__(self, controls: "Controls") -> None:
        self._controls, self._view = controls, controls.view

    def do_leave(self, force: bool = False) -> str | None:
        controls, status = self._controls, self._view.live
        if getattr(controls.body, "bauhaus", False):
            controls.act("bauhaus")
            return "back in the factory; the same again leaves"
        orders = 0 if status is None else status.capacity.used
        if self._view.attached and status is not None:
            state = status.engine.state.upper()
            controls.farewell = f"detached; engine {state}, {orders} open orders"
        elif status is not None and status.mode == "live" and status.slots and not force:
            inside = f"the engine runs inside this terminal with {orders} live orders"
            raise CommandError("E37", f"{inside}. :q! stops it")
        controls.leaving = True
        return None

    def do_stop(self) -> None:
        """Stop an engine inside this terminal: it goes with the screen."""
        self._controls.leaving = True
