"""What a view of the deck is, and where the deck finds one. No Textual."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from gridbot.engine.client import EngineClient
from gridbot.tui.cells import Line
from gridbot.tui.view import View

if TYPE_CHECKING:
    from gridbot.tui.factory.widget import FactoryView

VIEWS = ("factory", "slots", "ledger", "governor", "capacity")


class Body:
    """One view of the deck: drawn from the screen's memory, with its own cursor, filter, sort.
    What it does itself are methods ``do_<local>`` of the action table; they return a notice or
    nothing and raise ``CommandError``."""

    name = ""

    def __init__(self, view: View, client: EngineClient) -> None:
        self.view, self.client = view, client

    def draw(self, width: int, height: int) -> list[Line]:
        """Its rows, from the memory alone."""
        return [[], [(f"  there is no {self.name} view yet", "dim")]]

    def tick(self) -> None:
        """Time passed, or a new picture came."""

    def notices(self) -> list[tuple[str, str]]:
        """What is to be told since the last time, whatever view is shown: text and severity."""
        return []

    def close(self) -> None:
        """Let go of files and workers."""

    def leave(self) -> bool:
        """One level back inside the view, for q and Esc; whether there was one."""
        return False

    def widget(self) -> "FactoryView | None":
        """A widget of its own in place of drawn rows; asked for once, when first shown."""
        return None


def make_body(name: str, view: View, client: EngineClient) -> Body:
    """The body of a view, imported when it is first looked at."""
    place = f"gridbot.tui.views.{name}"
    found = vars(import_module(place)).values() if find_spec(place) else ()
    kinds = [one for one in found if isinstance(one, type) and issubclass(one, Body)]
    made = next((kind for kind in kinds if kind.name == name), Body)(view, client)
    made.name = name
    return made
