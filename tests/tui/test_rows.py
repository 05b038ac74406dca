"""What is written into cells: figures, keys, lines; and no row ever longer than its room."""

import subprocess
import sys
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from gridbot.core.records import Event
from gridbot.core.settings import Settings
from gridbot.engine.actions import key_map, table
from gridbot.engine.status import AlarmStatus, PriceStatus, SlotStatus, Status, WaitingStatus
from gridbot.tui import chrome
from gridbot.tui.body import VIEWS
from gridbot.tui.cells import GLYPHS, TO_ASCII, clean, fit, length, money, span, window
from gridbot.tui.command_line import CommandLine
from gridbot.tui.controls import Controls
from gridbot.tui.detail import detail
from gridbot.tui.dialogs import question_for
from gridbot.tui.keys import Chords, key_name
from gridbot.tui.lists import help_rows
from gridbot.tui.reader import Reader, Toasts
from gridbot.tui.table import Table
from gridbot.tui.view import View

from .pictures import ENTRY, EVENT, NOW, StillClient, slot, status, text_of


def view_of(picture: Status | None, now: float = NOW) -> View:
    view = View(Settings(), now)
    view.take(picture, now)
    view.last_event = EVENT
    view.ledger = [ENTRY]
    return view


def test_all_but_the_widgets_works_without_textual() -> None:
    code = "import sys, gridbot.tui.controls, gridbot.tui.app; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- figures --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("3.41", "+3.410"), ("-0.0071388", "-0.007"), ("0", "+0.000"), ("-0.00", "+0.000"),
        ("0.00004", "+0.00004"),        ("-318400.5", "-318400"), ("123456789012", "+1e+11"),
    ],
)  # fmt: skip
def test_money_is_as_exact_as_its_room(value: str, text: str) -> None:
    assert money(D(value), 8) == text


@given(st.decimals(-(10**18), 10**18, allow_nan=False), st.integers(6, 12))
def test_money_never_outgrows_its_room_and_keeps_its_sign(value: D, width: int) -> None:
    text = money(value, width)
    assert len(text) <= width
    assert (text[0] == "-") == (value < 0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (59.9, "59s"), (60, "1m"), (3599, "59m"), (3900, "1h05"), (273_600, "3d04"),
     (8.64e6, "100d")],
)  # fmt: skip
def test_a_duration_takes_at_most_five_characters(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_every_glyph_takes_one_cell_and_has_an_ascii_form() -> None:
    assert all(cell_len(glyph) == 1 for glyph in GLYPHS)
    assert GLYPHS.translate(TO_ASCII).isascii()


@given(st.text(max_size=30))
def test_text_from_outside_takes_one_cell_a_character(text: str) -> None:
    assert cell_len(clean(text)) == len(text)


@given(st.integers(0, 200), st.integers(0, 120), st.integers(1, 60), st.integers(1, 120))
def test_the_chosen_row_is_always_in_the_window(first: int, at: int, room: int, count: int) -> None:
    chosen = min(at, count - 1)
    start = window(first, chosen, room, count)
    assert 0 <= start <= chosen < start + room
    assert start == 0 or start + room <= count


# --- rows -----------------------------------------------------------------------------------

amounts = st.decimals(-(10**9), 10**9, allow_nan=False, places=8)
words = st.text(max_size=40)


@st.composite
def slots(draw: st.DrawFn) -> SlotStatus:
    wait = WaitingStatus(draw(words), draw(words), draw(words), draw(st.none() | st.just(NOW)))
    return slot(
        draw(st.integers(1, 10**6)),
        alias=draw(words),
        paused=draw(st.booleans()),
        quarantined=draw(st.just("") | words),
        waiting=draw(st.sampled_from([(), (wait,), (wait, wait)])),
        realised=draw(amounts),
        unrealised=draw(amounts),
        round_trips=draw(st.integers(0, 10**9)),
        deadline_at=draw(st.none() | st.floats(0, 4e9)),
    )


@st.composite
def pictures(draw: st.DrawFn) -> Status:
    picture = status(slots=0)
    mid = draw(st.none() | st.decimals("0.00000001", 10**9, allow_nan=False, places=8))
    state = draw(st.sampled_from(["running", "paused", "draining", "halted"]))
    return replace(
        picture,
        mode=draw(st.sampled_from(["sim", "paper", "live"])),
        price=PriceStatus(D(1), D(2), D(1), mid, draw(st.floats(0, 4e9)), draw(st.booleans())),
        engine=replace(picture.engine, state=state, reason=draw(words)),
        alarms=tuple(draw(st.lists(st.builds(AlarmStatus, words, words), max_size=2))),
        slots=tuple({one.id: one for one in draw(st.lists(slots(), max_size=4))}.values()),
    )


@given(st.none() | pictures(), st.integers(1, 220), st.integers(1, 60), words)
def test_any_status_is_drawn_without_an_overlong_row(
    picture: Status | None, width: int, height: int, text: str
) -> None:
    view = view_of(picture)
    view.last_event = Event(1, NOW, "halted", "bad", text=text)
    rows = [
        *chrome.header(view, width), chrome.ticker(view, width), chrome.alarm(view, width),
        chrome.footer(view, "NORMAL", text, "", width),
        chrome.footer(view, "COMMAND", text, "1-9/84", width),
        *Table(view).draw(width, height), *detail(view, width, beside=True),
        *detail(view, width, beside=False), *chrome.summary(view, width),
    ]  # fmt: skip
    for row in rows:
        fitted = fit(row, width)
        assert length(fitted) == width == cell_len(text_of(fitted))
    assert len(Table(view).draw(width, height)) <= max(height, 4)


def test_the_mode_is_on_the_screen_at_every_size() -> None:
    for mode in ("sim", "paper", "live"):
        view = view_of(status(mode=mode))
        for width in (30, 60, 80, 120, 200):
            assert mode.upper() in text_of(chrome.header(view, width)[0])


def test_every_slot_says_why_it_waits_or_that_it_works() -> None:
    table = "\n".join(text_of(row) for row in Table(view_of(status())).draw(160, 40))
    for text in (
        "● ok", "◆ no buy, funds: needs 10.04, free 3.10", "▲ paused",
        "◆ A cooldown until 14:27:07",
        "■ quarantined: ValueError: volume was 0", "○ no orders", "● due 8m",
    ):  # fmt: skip
        assert text in table


def test_the_alarm_row_shows_the_worst_and_calm() -> None:
    assert "■ QUARANTINED: slot 9" in text_of(chrome.alarm(view_of(status()), 120))
    assert "1 of 3" in text_of(chrome.alarm(view_of(status()), 120))
    calm = status(slots=2, alarms=())
    assert "✓ Factory running normally" in text_of(chrome.alarm(view_of(calm), 120))


def test_a_silent_engine_is_called_gone_and_a_slow_one_is_not() -> None:
    view = view_of(status())
    view.now = NOW + 4
    assert view.state == "running"
    view.now = NOW + 30
    assert view.state == "gone" and view.dimmed
    assert "■ POWER_BLACKOUT: ENGINE GONE" in text_of(chrome.alarm(view, 120))
    slow = status()
    view = view_of(replace(slow, engine=replace(slow.engine, speed=0.1)))
    view.now = NOW + 900  # a poll of 30 simulated seconds takes 300 here
    assert view.state == "running"


def test_the_body_is_held_while_the_head_goes_on() -> None:
    view = view_of(status())
    view.hold(True)
    view.take(status(slots=3), NOW + 1)
    assert (len(view.slots), len(view.live.slots if view.live else ())) == (12, 3)
    view.selected = 8
    assert view.hold(False) == "slot 8 is gone; slot 3 is selected"


# --- keys -----------------------------------------------------------------------------------


def feed(chords: Chords, keys: str, step: float = 0.1) -> list[str]:
    """Actions of keys pressed one ``step`` of seconds after the other; digits as numbers."""
    found: list[str] = []
    for i, key in enumerate(keys.split()):
        press = chords.feed(key, 100 + i * step)
        if press is not None and press.actions:
            found.append(f"{press.number or ''}{press.actions[0].id}")
        elif press is not None:
            found.append(str(press.number))
    return found


@pytest.mark.parametrize(
    ("keys", "step", "actions"),
    [
        ("j", 0.1, ["move.down"]),
        ("g g", 0.1, ["move.first"]),
        ("g g", 0.5, []),
        ("d d", 0.39, ["slot.remove"]),
        ("d j", 0.1, ["move.down"]),
        ("d d d", 0.1, ["slot.remove"]),
        ("1 2", 0.1, ["1", "12"]),
        ("1 2", 0.5, ["1", "2"]),
        ("5 j", 0.1, ["5", "5move.down"]),
        ("5 j", 0.5, ["5", "move.down"]),
        ("1 2 G", 0.1, ["1", "12", "12move.last"]),
        ("0", 0.1, []),
        ("1 0", 0.1, ["1", "10"]),
        ("z", 0.1, []),
    ],
)
def test_chords_and_counts_wait_four_tenths_of_a_second(
    keys: str, step: float, actions: list[str]
) -> None:
    assert feed(Chords(key_map()), keys, step) == actions


def test_a_pending_chord_says_how_it_can_go_on() -> None:
    chords = Chords(key_map())
    chords.feed("d", 0)
    assert chords.pending == "d then d"
    chords.expire(1)
    assert chords.pending == ""


@pytest.mark.parametrize(
    ("key", "character", "name"),
    [("ctrl+d", "\x04", "^d"), ("escape", None, "Esc"), ("plus", "+", "+"), ("G", "G", "G"),
     ("pagedown", None, "PgDn"), ("space", " ", "Space"), ("f5", None, "f5")],
)  # fmt: skip
def test_keys_have_the_names_of_the_table(key: str, character: str | None, name: str) -> None:
    assert key_name(key, character) == name


def test_all_the_screen_does_itself_is_written() -> None:
    controls = Controls(StillClient(status()), Settings(), lambda: NOW)
    parts = [*controls.parts, *map(controls.body_of, VIEWS)]
    named = {one.local for one in table() if one.local}
    assert {one for one in named if not any(hasattr(part, f"do_{one}") for part in parts)} == set()


# --- the command line -----------------------------------------------------------------------


def typed(line: CommandLine, *keys: str) -> str:
    for key in keys:
        for one in [key] if len(key) > 1 and key[0] in "^ULDRHEBTS" else key:
            line.key("Space" if one == " " else one)
    return line.text[: line.cursor] + "|" + line.text[line.cursor :]


@pytest.mark.parametrize(
    ("keys", "shown"),
    [
        (["add 2"], "add 2|"),
        (["add", "Left", "x"], "adx|d"),
        (["add", "Home", "x"], "x|add"),
        (["add", "Home", "Delete"], "|dd"),
        (["add", "Backspace"], "ad|"),
        (["add sticky", "^w"], "add |"),
        (["add", "^u"], "|"),
        (["a", "Tab"], "add |"),
        (["a", "Tab", "Tab"], "alias |"),
        (["a", "S-Tab"], "alias |"),
        (["set e", "Tab"], "set entry |"),
    ],
)
def test_the_bar_edits(keys: list[str], shown: str) -> None:
    assert typed(CommandLine(), *keys) == shown


def test_up_finds_older_commands_that_begin_as_typed() -> None:
    line = CommandLine()
    for text in ("add 1", "pause", "add 2", "add 1"):
        line.remember(text)
    assert line.history == ["pause", "add 2", "add 1"]
    line.open()
    assert typed(line, "a", "Up", "Up") == "add 2|"
    assert typed(line, "Up") == "add 2|"
    assert typed(line, "Down", "Down") == "a|"


def test_a_paste_brings_one_line_of_printable_text() -> None:
    line = CommandLine()
    line.insert("add 2\x1b\nq!\n")
    assert line.text == "add 2"
    line.insert("x" * 999)
    assert len(line.text) == 200


# --- dialogs --------------------------------------------------------------------------------


def test_equal_toasts_count_up_and_three_stand_at_most() -> None:
    toasts = Toasts()
    for text in ("one", "two", "three", "four", "four"):
        toasts.add(text, "info", 0)
    assert [one[0] for one in toasts.shown] == ["two", "three", "four"]
    assert "four x2" in text_of(toasts.draw(80)[3])
    toasts.add("no", "bad", 0, replaces="three")
    toasts.expire(5)
    assert [one[0] for one in toasts.shown] == ["no"]


@pytest.mark.parametrize("width", [1, 6, 7, 64])
def test_a_question_is_drawn_at_any_width(width: int) -> None:
    row = next(row for row in table() if row.id == "bot.pause")
    question = question_for(row, [{}], view_of(status()))
    assert question is not None and len(question.draw(width)) > 6


def test_help_names_every_key_and_command() -> None:
    text = "\n".join(text_of(row) for row in help_rows())
    for keys, rows in key_map().items():
        assert "".join(keys) in text and all(row.label in text for row in rows)
    assert ":cancel-all" in text and ":set profit 0.05..50" in text


@given(st.integers(1, 60), st.lists(st.sampled_from(["j", "PgDn", "G", "k", "^d"]), max_size=9))
def test_reading_never_scrolls_past_the_end(height: int, keys: list[str]) -> None:
    reader = Reader("HELP", help_rows(), at_end=True)
    for key in keys:
        assert reader.key(key, height)
        assert len(reader.draw(80, height)) >= min(height, len(reader.rows))
