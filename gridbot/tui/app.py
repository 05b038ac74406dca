"""The door to the terminal app: sets the stage, then imports Textual and runs the deck."""

import os

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.settings import Settings
from gridbot.engine.client import EngineClient

ESCAPE_MILLISECONDS = "25"


def run(client: EngineClient, settings: Settings) -> None:
    """Show ``client``'s engine until the operator leaves; closing the client is the caller's."""
    os.environ.setdefault("ESCDELAY", ESCAPE_MILLISECONDS)  # read when Textual is imported
    use_exact_arithmetic()
    from gridbot.tui.deck import Deck

    Deck(client, settings).run(mouse=False)
