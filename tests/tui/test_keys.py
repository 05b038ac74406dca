"""Every action within two keys, and nothing by accident: what a keyboard-only screen must keep."""

from typing import Any

import pytest
from msgspec.structs import replace
from textual.pilot import Pilot

from gridbot.core.settings import Settings
from gridbot.engine.actions import Action, table
from gridbot.engine.status import Status
from gridbot.tui.body import VIEWS
from gridbot.tui.controls import Controls

from .pictures import NOW, StillClient, status
from .test_deck import Hand

KEYED = [row for row in table() if row.keys]
STATES: dict[str, dict[str, Any]] = {"stopped": {"state": "paused"}, "halted": {"state": "halted"}}


def picture_for(row: Action) -> Status:
    """A status in which the action makes sense; slot 5 is the paused one."""
    base = status(governor={"pending": 1, "mode": "suggest", "pressure": 0.3})
    return replace(base, engine=replace(base.engine, **STATES.get(row.when, {})))


def controls_of(client: StillClient, view: str = "slots", **more: Any) -> Controls:
    controls = Controls(client, Settings(), lambda: NOW, **more)
    controls.view.name = view
    controls.tick()
    return controls


@pytest.mark.parametrize("row", KEYED, ids=lambda row: row.id)
def test_every_action_is_at_most_two_keys_away_in_each_of_its_views(row: Action) -> None:
    for view in row.where or VIEWS:
        for keys in row.keys:
            controls = controls_of(StillClient(picture_for(row)), view)
            controls.view.select(5 if row.when == "slot_paused" else 4)
            assert controls.why_not(row) == "", view
            for key in keys.split():
                controls.press(key)
            assert controls.acted[0] == row.id, (view, keys)
            assert len(keys.split()) < 3


def test_the_table_is_walked_with_real_keys() -> None:
    hand = Hand(StillClient(picture_for(KEYED[0])))

    async def script(pilot: Pilot[None]) -> None:
        for row in KEYED:
            controls = hand.deck.controls
            controls.question = controls.reader = None
            controls.commanding, controls.view.name = False, (row.where or ("slots",))[0]
            controls.view.select(5 if row.when == "slot_paused" else 4)
            hand.client.picture = picture_for(row)  # type: ignore[attr-defined]
            hand.deck.tick()
            await hand.press(pilot, *row.keys[0].split())
            assert controls.acted[0] == row.id and hand.deck.is_running

    hand.play(script)


def test_a_lone_g_does_nothing() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        for key in "gacyzd'":
            await hand.press(pilot, key)
            assert hand.deck.controls.footnote.startswith(f"{key} then")
            hand.time += 0.5
            hand.deck.tick()
            assert hand.deck.controls.footnote == "" and client.sent == []
        assert (hand.deck.controls.view.selected, hand.deck.controls.mode) == (1, "NORMAL")

    hand.play(script)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("set entry abc", 'E11: entry needs a number, got "abc"'),
        ("set entry -1", "E14: entry -1 is outside 0.05 to 50"),
    ],
)
def test_a_wrong_value_is_told_and_nothing_is_sent(text: str, error: str) -> None:
    client = StillClient(status())
    controls = controls_of(client)
    for key in (":", *text, "Enter"):
        controls.press(key)
    assert (controls.footnote, client.sent) == (error, [])


def test_ten_quick_actions_show_at_most_three_toasts() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        for number in range(1, 11):
            await hand.press(pilot, *str(number), pause=0.5)
            await hand.press(pilot, "t", pause=0.5)
        assert len(client.sent) == 10
        assert len(hand.deck.controls.toasts.shown) == 3

    hand.play(script)


def test_ten_seconds_in_the_bar_disturb_neither_it_nor_the_head() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, ":", *"set pro")
        before = hand.deck.screen.query_one("#drawn")
        rows = list(before._strips)  # type: ignore[attr-defined]
        for second in range(10):
            hand.time += 1
            price = replace(status().price, at=hand.time, mid=status().price.bid + second)
            client.picture = status(slots=3, seq=5000 + second, price=price)
            hand.deck.tick()
        assert hand.deck.controls.line.text == "set pro"
        assert hand.deck.controls.mode == "COMMAND"
        assert before._strips == rows, "the body is held"  # type: ignore[attr-defined]
        assert "9.091233" in hand.text and "age 0s" in hand.text, "the head is live"
        await hand.press(pilot, "Esc")
        assert "3 of 3 slots" in hand.text, "and the body goes on"

    hand.play(script)


def test_ten_refreshes_in_a_second_refresh_once() -> None:
    hand = Hand(StillClient(status()))

    async def script(pilot: Pilot[None]) -> None:
        for _ in range(10):
            await hand.press(pilot, ".", pause=0.1)
        shown = [(one[0].partition(":")[0], one[3]) for one in hand.deck.controls.toasts.shown]
        assert ("refreshed", 1) in shown
        assert sum(times for text, times in shown if text == "E18") == 9

    hand.play(script)


def test_two_quotes_go_back_to_where_a_jump_began() -> None:
    controls = controls_of(StillClient(status()))
    for key in ("4", "G", "'", "'"):
        controls.press(key)
        controls.chords.drop() if key == "4" else None
    assert controls.view.selected == 4
    controls.press("'")
    controls.press("'")
    assert controls.view.selected == 12


def test_the_exclamation_mark_walks_the_symptoms_worst_first() -> None:
    controls = controls_of(StillClient(status()))
    seen = []
    for _ in range(3):
        controls.press("!")
        seen.append(controls.view.selected)
    assert seen == [9, 3, 9]


def test_a_read_only_session_sends_nothing() -> None:
    client = StillClient(picture_for(KEYED[0]))
    controls = controls_of(client, read_only=True)
    for row in table():
        if row.engine:
            assert controls.why_not(row) == "E93: read-only session", row.id
    for key in ("+", ":", *"stop", "Enter", "Esc", ":", *"readonly off", "Enter", "Enter"):
        controls.press(key)
    assert client.sent == [] and controls.read_only


def test_before_the_first_picture_nothing_is_sent() -> None:
    client = StillClient(None)
    controls = controls_of(client)
    for key in ("+", "p", "t", ":", *"cancel-all", "Enter"):
        controls.press(key)
    assert client.sent == [] and controls.footnote == "E05: no picture of the engine yet"


def test_marks_are_what_several_means() -> None:
    client = StillClient(status())
    controls = controls_of(client)
    for key in ("v", "j", "v", "P"):
        controls.press(key)
    assert client.sent == [("pause_slot", {"slot": 1}), ("pause_slot", {"slot": 2})]
    client.answer(True, "slot 1 paused")
    client.answer(False, "slot 2 is already paused", "E20")
    controls.tick()
    assert controls.toasts.shown[-1][0] == "1 of 2 done; refused: E20 slot 2 is already paused"


def test_all_slots_at_once_want_a_word() -> None:
    client = StillClient(status())
    now = NOW

    controls = Controls(client, Settings(), lambda: now)
    controls.tick()
    for key in (":", *"toggle all", "Enter"):
        controls.press(key)
    assert controls.question is not None
    assert controls.question.text == "Toggle 12 slots (1 2 3 4 5 6 7 8 9 10 11 12)?"
    now += 1
    controls.press("Enter")
    assert [args["slot"] for _, args in client.sent] == list(range(1, 13))
