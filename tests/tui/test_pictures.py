"""The screen as pictures: time, status and selection frozen."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from gridbot.core.settings import Settings
from gridbot.engine.status import Status
from gridbot.tui.deck import Deck

from .pictures import NOW, StillClient, status

HALTED = replace(
    status(slots=4),
    engine=replace(status().engine, state="halted", reason="ledger.jsonl: disk full"),
)


@pytest.mark.parametrize(
    ("picture", "size", "keys"),
    [
        pytest.param(status(), (80, 24), [], id="80x24"),
        pytest.param(status(), (80, 24), ["8", "enter"], id="80x24-pane"),
        pytest.param(status(), (120, 40), ["8"], id="120x40"),
        pytest.param(status(slots=84), (200, 50), ["8"], id="200x50"),
        pytest.param(status(mode="live"), (44, 12), [], id="tiny"),
        pytest.param(status(slots=0, alarms=()), (80, 24), [], id="empty"),
        pytest.param(None, (80, 24), [], id="loading"),
        pytest.param(HALTED, (80, 24), [], id="halted"),
        pytest.param(status(), (120, 40), ["question_mark"], id="help"),
        pytest.param(status(mode="live"), (80, 24), ["8", "d", "d"], id="confirm"),
        pytest.param(status(), (80, 24), ["colon", *"set", "space", "tab"], id="command"),
    ],
)
def test_the_screen_looks_as_drawn(
    picture: Status | None,
    size: tuple[int, int],
    keys: list[str],
    snap_compare: Callable[..., bool],
) -> None:
    deck = Deck(StillClient(picture), Settings(), lambda: NOW)
    assert snap_compare(deck, press=keys, terminal_size=size)
