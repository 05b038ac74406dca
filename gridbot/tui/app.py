"""The door to the terminal app: sets the stage, then imports Textual and runs the deck."""

import os

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.settings import Settings
from gridbot.engine.client import EngineClient

ESCAPE_MILLISECONDS = "25"


def run(client: EngineClient, settings: Settings, read_only: bool = False) -> str:
    """Show ``client``'s engine until the operator leaves; closing the client is the caller's.
    Returns what to say once the screen is gone, if there is anything."""
    os.environ.setdefault("ESCDELAY", ESCAPE_MILLISECONDS)  # read when Textual is imported
    use_exact_arithmetic()
    from gridbot.tui.deck import Deck
    from gridbot.tui.factory.driver import PatientDriver

    deck = Deck(client, settings, read_only=read_only, driver=PatientDriver)
    deck.run(mouse=False)
    return deck.controls.farewell
