"""Leaving, preferences, lists, copies: what the screen does by itself."""

import json
import re
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from gridbot.core.settings import Settings, TuiSettings
from gridbot.tui import lists, manual
from gridbot.tui.body import VIEWS
from gridbot.tui.controls import Controls
from gridbot.tui.preferences import Look, load_history, load_look, save_look, themes

from .drawn import GOVERNOR, suggestion
from .pictures import NOW, StillClient, status
from .test_deck import Hand

ROOT = Path(__file__).resolve().parents[2]


class Session:
    """Controls with a client that has a directory, and a clock that goes on with each key."""

    def __init__(self, folder: Path | None = None, **more: Any) -> None:
        self.client = StillClient(status(**more))
        self.client.data_path = folder
        self.time = NOW
        self.controls = Controls(self.client, Settings(), lambda: self.time)
        self.controls.tick()

    def keys(self, *keys: str) -> None:
        for key in keys:
            self.time += 0.3
            self.controls.press(key)

    def command(self, text: str) -> None:
        self.keys(":", *text, "Enter")

    @property
    def told(self) -> str:
        """What the bar or the newest toast says."""
        shown = self.controls.toasts.shown
        return self.controls.footnote or (shown[-1][0] if shown else "")

    @property
    def read(self) -> str:
        reader = self.controls.reader
        rows = [] if reader is None else reader.rows
        return "\n".join("".join(text for text, _ in row) for row in rows)


# --- leaving --------------------------------------------------------------------------------

LIVE = "E37: the engine runs inside this terminal with 27 live orders. :q! stops it"
PAPER = "Leave? The paper engine stops with it; its state is saved."
STOP = "Stop the engine? 27 orders stay on Kraken unwatched."


@pytest.mark.parametrize(
    ("attached", "mode", "slots", "quit_says", "force_says"),
    [
        (True, "live", 12, "leaves", "leaves"),
        (True, "paper", 12, "leaves", "leaves"),
        (True, "sim", 12, "leaves", "leaves"),
        (False, "live", 12, LIVE, STOP),
        (False, "live", 0, "leaves", "leaves"),
        (False, "paper", 12, PAPER, "leaves"),
        (False, "paper", 0, "leaves", "leaves"),
        (False, "sim", 12, "leaves", "leaves"),
    ],
)
def test_how_to_leave_depends_on_where_the_engine_is(
    attached: bool, mode: str, slots: int, quit_says: str, force_says: str
) -> None:
    for text, says in (("q", quit_says), ("wq", quit_says), ("q!", force_says)):
        session = Session(mode=mode, slots=slots)
        session.client.attached = attached  # type: ignore[attr-defined]
        session.controls.tick()
        session.command(text)
        controls = session.controls
        if controls.question is not None:
            assert controls.question.text == says and not controls.leaving
            session.keys("y" if mode == "paper" else "Enter")
        elif says != "leaves":
            assert controls.footnote == says and not controls.leaving
            continue
        assert controls.leaving, (text, says)
        farewell = "detached; engine RUNNING, 27 open orders" if attached else ""
        assert controls.farewell == farewell


def test_a_halted_engine_does_not_keep_anyone_inside() -> None:
    session = Session(mode="live", engine=replace(status().engine, state="halted", reason="disk"))
    session.command("q!")
    session.controls.tick()
    session.keys("Enter")
    assert session.controls.leaving


@pytest.mark.parametrize("attached", [True, False])
def test_stop_wants_the_pair_and_ends_the_engine_where_it_is(attached: bool) -> None:
    session = Session(mode="live")
    session.client.attached = attached  # type: ignore[attr-defined]
    session.controls.tick()
    session.command("stop")
    session.keys("Enter")
    assert session.controls.question is not None
    assert session.controls.question.error == "E10: type DOGE/USD to go on"
    session.keys(*"DOGE/USD", "Enter")
    assert session.controls.leaving == (not attached)
    assert session.client.sent == [("stop", {})] * attached


@pytest.mark.parametrize("key", ["q", "Esc", "^c", "^z", "Z", "^d", "^q"])
def test_no_key_leaves_or_sends(key: str) -> None:
    for view in VIEWS:
        session = Session()
        session.controls.view.name = view
        session.keys(key, key, key)
        assert not session.controls.leaving and session.client.sent == []
        assert session.controls.mode == "NORMAL"


# --- views ----------------------------------------------------------------------------------


def test_the_first_screen_is_the_factory_and_views_follow_their_keys() -> None:
    session = Session()
    assert session.controls.body.name == "factory"
    seen = []
    for keys in ("gs", "gl", "go", "gc", "gf", "gt", "gT"):
        session.time += 1
        for key in keys:
            session.controls.press(key)
        seen.append(session.controls.body.name)
    assert seen == ["slots", "ledger", "governor", "capacity", "factory", "slots", "factory"]
    session.keys("^o")
    assert session.controls.body.name == "slots"
    session.command("view cap")
    assert session.controls.body.name == "capacity"
    session.command("s")
    assert session.controls.body.name == "slots"
    session.command("view foo")
    assert session.told == 'E80: no view "foo"'


def test_what_a_view_cannot_do_is_told() -> None:
    session = Session()
    session.keys("f")
    assert session.told == "E88: that works in: slots ledger"
    session.command("sort id")
    assert session.told == "E88: the factory view cannot do that"


# --- the look -------------------------------------------------------------------------------


def test_what_is_saved_is_there_the_next_time(tmp_path: Path) -> None:
    session = Session(tmp_path)
    for text in ("theme deutan", "glyphs ascii", "fps 5", "motion calm", "save"):
        session.command(text)
    assert session.told == f"saved in {tmp_path / 'tui.toml'}"
    session.controls.close()
    again = Session(tmp_path)
    assert again.controls.look == Look("deutan", "ascii", 5, "calm")
    assert (again.controls.view.fps, again.controls.view.motion) == (5, "calm")
    again.keys(":", "Up")
    assert again.controls.line.text == "save"


def test_a_broken_file_of_preferences_is_told_and_passed_over(tmp_path: Path) -> None:
    (tmp_path / "tui.toml").write_text("fps = 'fast'")
    look, complaint = load_look(tmp_path, TuiSettings(theme="mono"))
    assert look.theme == "mono" and "tui.toml is not used" in complaint


def test_a_slow_line_gets_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_look(None, TuiSettings())[0].fps == 12
    monkeypatch.setenv("SSH_CONNECTION", "1.2.3.4 5 6.7.8.9 22")
    assert load_look(None, TuiSettings())[0].fps == 8
    assert load_look(None, TuiSettings(fps=20))[0].fps == 20


def test_no_color_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert Look("bauhaus").drawn == ("mono", False)
    assert not any("#" in style for style in themes()["mono"].values())


def test_without_a_directory_nothing_is_kept() -> None:
    session = Session()
    session.command("save")
    assert session.told == "E71: cannot write there: there is no data directory"
    session.controls.close()


def test_all_themes_have_the_same_words() -> None:
    words = {name: set(theme) for name, theme in themes().items()}
    assert set(words) == {"factory-dark", "bauhaus", "mono", "deutan"}
    assert all(one == words["factory-dark"] for one in words.values())


def test_two_hundred_commands_are_kept_of_many(tmp_path: Path) -> None:
    session = Session(tmp_path)
    for number in range(230):
        session.controls.line.remember(f"add {number}")
    session.controls.close()
    assert load_history(tmp_path) == [f"add {number}" for number in range(30, 230)]
    assert (tmp_path / "tui-history").stat().st_mode & 0o777 == 0o600
    save_look(tmp_path, Look())


def test_a_theme_changes_every_cell(tmp_path: Path) -> None:
    hand = Hand(StillClient(status()))

    async def script(pilot: Pilot[None]) -> None:
        await hand.command(pilot, "theme bauhaus")
        strips = hand.deck.screen.query_one("#drawn")._strips  # type: ignore[attr-defined]
        grounds = {segment.style.bgcolor.name for strip in strips for segment in strip}
        assert "#ffffff" in grounds and "#0d1117" not in grounds
        assert hand.deck.screen.styles.background.hex == "#FFFFFF"

    hand.play(script)


# --- lists and copies -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("help", "row down; 5j five rows"), ("help quit", "Nothing else does"),
        ("help errors", "E37"), ("help toggle", ":toggle"), ("keys pause", "pause the slot"),
        ("symptoms", "QUARANTINED"), ("doctor", "COLORTERM"), ("messages", "exit filled"),
        ("history", ":history"),
    ],
)  # fmt: skip
def test_lists_tell(text: str, found: str) -> None:
    session = Session()
    session.command(text)
    assert found in session.read or found.replace("the ", "a ") in session.read
    session.keys("Esc")
    assert session.controls.mode == "NORMAL"


def test_help_on_nothing_is_refused() -> None:
    session = Session()
    session.command("help foo")
    assert session.told == 'E92: no help on "foo"'


def test_a_list_can_be_searched() -> None:
    session = Session()
    session.keys("?", "/", *"toggle")
    assert "make slots sticky or cycle" in session.read and "row down" not in session.read
    session.keys("Enter", "Esc")
    assert session.controls.mode == "HELP" and "row down" in session.read
    session.keys("Esc")
    assert session.controls.mode == "NORMAL"


def test_help_says_why_something_cannot_be_done() -> None:
    session = Session(mode="live")
    session.keys("?")
    assert "off: E90: the engine is live; speed is for simulation" in session.read


def test_a_slot_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(tmp_path)
    session.keys("4")
    session.controls.chords.drop()
    session.controls.act("copy", what="json")
    assert json.loads(session.controls.take_clipboard())["id"] == 4
    session.controls.act("copy", what="txid")
    assert session.controls.take_clipboard() == "O4 O104 O2"
    monkeypatch.setenv("TERM", "linux")
    hand = Hand(session.client, view="factory")

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "y", "y")
        assert (tmp_path / "copied.txt").read_text().startswith("1 amber")
        assert "E72: terminal gave no clipboard" in hand.text

    hand.play(script)


def test_right_takes_the_ghost() -> None:
    session = Session()
    session.keys(":", *"set pro")
    assert session.controls.line.ghost == "fit "
    session.keys("Right", "1", "Enter")
    assert session.client.sent == [("set_profit", {"value": "1"})]


def test_filled_commands_are_filled() -> None:
    session = Session()
    for keys, text in (("ce", "set entry "), ("ca", "alias "), ("cm", "governor mode ")):
        session.keys(*keys)
        assert session.controls.line.text == text
        session.keys("Esc")


def test_help_names_every_code_there_is() -> None:
    files = [*ROOT.joinpath("gridbot").rglob("*.py"), ROOT / "gridbot/engine/actions.toml"]
    told = set(re.findall(r"\bE[0-9]{2}\b", lists.ERRORS))
    used = {code for file in files for code in re.findall(r'"(E[0-9]{2})\b', file.read_text())}
    assert used - told == set()


# --- pages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("page", ["KEYS.md", "COMMANDS.md"])
def test_the_pages_are_those_of_the_table(page: str) -> None:
    wanted = {"KEYS.md": manual.keys_page, "COMMANDS.md": manual.commands_page}[page]()
    assert (ROOT / "docs" / page).read_text(encoding="utf-8") == wanted, (
        "python -m gridbot.tui.manual docs"
    )


# --- what the picture tells already -----------------------------------------------------------


def pending(*numbers: int) -> Any:
    made = tuple(suggestion(one, "pending", "sticky", one) for one in numbers)
    old = suggestion(99, "dismissed", "sticky", 8)
    return GOVERNOR | {"suggestions": (*made, old), "pending": len(numbers)}


def test_an_approval_is_of_the_suggestion_that_was_shown() -> None:
    session = Session(governor=pending(7))
    session.keys("A")
    question = session.controls.question
    assert question is not None and "suggestion 7: slots 7" in question.text
    session.keys("Enter")
    assert session.client.sent == [("approve", {"id": 7})]


def test_a_question_closes_when_what_it_names_changes_and_only_then() -> None:
    bank, settings = status().capacity, status().settings
    for text, more, closes in (
        ("governor approve", {"governor": pending(3)}, True),
        ("governor approve", {"governor": pending(7, 3)}, False),
        ("set entry 5", {"settings": replace(settings, entry_pct=D(1))}, True),
        ("set profit 9", {"settings": replace(settings, profit_pct=D(2))}, True),
        ("add cycle 5", {"capacity": replace(bank, band="caution")}, True),
        ("stop", {"governor": pending(3), "capacity": replace(bank, band="caution")}, False),
    ):
        session = Session(governor=pending(7))
        session.command(text)
        assert session.controls.question is not None, text
        session.client.picture = status(**{"governor": pending(7), **more})
        session.controls.tick()
        assert (session.controls.question is None) == closes, text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("set profit 0.1", "E15: 0.1 is under the fee floor 1"),
        ("governor approve 98", "E51: no suggestion 98"),
        ("governor approve 99", "E52: suggestion 99 is dismissed"),
        ("governor dismiss 98", "E51: no suggestion 98"),
        ("governor approve", "E55: say which: 7 (sticky, governor), 3 (sticky, governor)"),
        ("readonly off", "E93: read-only session"),
    ],
)
def test_what_must_fail_is_refused_before_any_question(text: str, says: str) -> None:
    session = Session(governor=pending(7, 3))
    session.controls.read_only_for_good = True
    session.command(text)
    assert session.told == says and session.controls.question is None
    assert session.client.sent == []


def test_only_what_was_refused_is_called_so() -> None:
    session = Session()
    for code, text in (("E31", "refused: E31 it is so"), ("gone", "it is so")):
        session.command("add sticky")
        session.client.answer(False, "it is so", code)
        session.controls.tick()
        assert session.controls.toasts.shown[-1][0] == text
        assert session.controls.footnote == text.removeprefix("refused: ").replace("31 ", "31: ")
        session.keys("Esc")


def test_marks_of_removed_slots_do_not_stand_in_the_way() -> None:
    session = Session()
    session.command("jump 12")
    session.keys("v")
    session.client.picture = status(slots=3)
    session.controls.tick()
    session.keys("P")
    assert session.client.sent == [("pause_slot", {"slot": 3})]


def test_a_word_that_is_no_format_is_no_file() -> None:
    session = Session()
    session.command("export ledger xml")
    assert session.told == "E19: format is csv, json or jsonl"


def test_an_act_that_fails_by_our_own_fault_is_told_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Session()
    monkeypatch.setattr(
        type(session.controls.body), "do_side", lambda self, by: 1 / 0, raising=False
    )
    session.keys("l")
    assert session.told == "E99: gridbot's own fault in side: ZeroDivisionError: division by zero"
    assert not session.controls.leaving
