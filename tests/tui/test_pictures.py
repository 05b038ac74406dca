"""The screen as pictures: time, status, figures and selection frozen."""

from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path

import pytest
from msgspec.structs import replace

from gridbot.core.ledger import Books
from gridbot.core.settings import Settings, TuiSettings
from gridbot.engine.status import Status
from gridbot.tui.body import VIEWS
from gridbot.tui.deck import Deck

from .drawn import PastClient, full
from .pictures import NOW, status
from .test_ledger_view import trips

SIZES = {"80x24": (80, 24), "120x40": (120, 40), "200x50": (200, 50)}
PAST = [(NOW - 86_400 + 1200 * n, float(n * 7 % 11) / 11) for n in range(72)]
HALTED = replace(
    status(slots=4),
    engine=replace(status().engine, state="halted", reason="ledger.jsonl: disk full"),
)
PAUSED = replace(full(), engine=replace(status().engine, state="paused"))
STALE = replace(full(), price=replace(status().price, stale=True, at=NOW - 74), mode="live", at=NOW)


@pytest.fixture(autouse=True)
def same_everywhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No colours, glyphs, paths or links of whoever runs this."""
    for name in ("NO_COLOR", "SSH_CONNECTION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.chdir(tmp_path)


def deck_of(picture: Status | None, view: str, settings: Settings | None = None) -> Deck:
    books = Books(5, 5)
    books.open_account(0, NOW - 7200, D("1000"), D("100"), D("0.195"))
    trips(books, 1, 12)
    Path("ledger.jsonl").write_bytes(b"".join(books.take_lines()))
    client = PastClient(picture, PAST)
    client.data_path = Path()
    deck = Deck(client, settings or Settings(), lambda: NOW)
    deck.controls.view.name = view
    deck.controls.look.motion = "off"
    return deck


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("view", VIEWS)
def test_each_view_looks_as_drawn(view: str, size: str, snap_compare: Callable[..., bool]) -> None:
    deck = deck_of(full(slots=84 if size == "200x50" else 12), view)
    assert snap_compare(deck, press=["8"], terminal_size=SIZES[size])


@pytest.mark.parametrize(
    ("picture", "view", "size", "keys"),
    [
        pytest.param(full(), "slots", (80, 24), ["8", "enter"], id="pane"),
        pytest.param(full(), "factory", (120, 40), ["8", "space"], id="drawer"),
        pytest.param(full(), "slots", (60, 18), ["8"], id="small"),
        pytest.param(full(mode="live"), "factory", (38, 9), [], id="tiny"),
        pytest.param(full(slots=0, alarms=()), "factory", (80, 24), [], id="empty"),
        pytest.param(full(slots=0, alarms=()), "slots", (80, 24), [], id="empty-slots"),
        pytest.param(None, "factory", (80, 24), [], id="loading"),
        pytest.param(None, "slots", (80, 24), [], id="loading-slots"),
        pytest.param(STALE, "factory", (120, 40), [], id="stale"),
        pytest.param(HALTED, "factory", (80, 24), [], id="halted"),
        pytest.param(PAUSED, "factory", (80, 24), [], id="paused"),
        pytest.param(full(), "factory", (120, 40), ["question_mark"], id="help"),
        pytest.param(full(mode="live"), "slots", (80, 24), ["8", "d", "d"], id="confirm"),
        pytest.param(full(), "factory", (120, 40), ["g", "exclamation_mark"], id="symptoms"),
        pytest.param(full(), "factory", (120, 40), ["colon", *"set", "space", "tab"], id="command"),
    ],
)
def test_each_state_looks_as_drawn(
    picture: Status | None, view: str, size: tuple[int, int], keys: list[str],
    snap_compare: Callable[..., bool],
) -> None:  # fmt: skip
    assert snap_compare(deck_of(picture, view), press=keys, terminal_size=size)


@pytest.mark.parametrize("theme", ["bauhaus", "mono", "deutan", "ascii"])
def test_each_theme_looks_as_drawn(theme: str, snap_compare: Callable[..., bool]) -> None:
    look = TuiSettings(glyphs="ascii") if theme == "ascii" else TuiSettings(theme=theme)
    deck = deck_of(full(), "slots", Settings(tui=look))
    assert snap_compare(deck, press=["8"], terminal_size=(120, 40))
