"""The screen as an operator meets it: real keys, and where it matters a real engine."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal as D
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.events import Key
from textual.pilot import Pilot

from gridbot.core.settings import Settings, SimSettings, TuiSettings
from gridbot.engine.client import EngineClient
from gridbot.engine.runner import Runner
from gridbot.engine.status import SlotStatus
from gridbot.tui.body import Body
from gridbot.tui.cells import Line
from gridbot.tui.deck import Deck
from gridbot.tui.factory.floor import FactoryFloor
from gridbot.tui.factory.widget import FactoryView
from gridbot.tui.keys import NAMES
from gridbot.tui.lines import Lines
from gridbot.tui.views.slots import SlotsBody

from .pictures import NOW, StillClient, status

TEXTUAL_NAMES = {ours: theirs for theirs, ours in NAMES.items()}
Script = Callable[[Pilot[None]], Awaitable[None]]


class Hand:
    """An operator: presses, waits with patience, looks. Time passes only when told."""

    def __init__(
        self, client: EngineClient, settings: Settings | None = None, view: str = "slots",
        read_only: bool = False,
    ) -> None:  # fmt: skip
        self.time = NOW
        self.client = client
        self.deck = Deck(client, settings or Settings(), lambda: self.time, read_only)
        self.deck.controls.view.name = view

    def play(self, script: Script, size: tuple[int, int] = (120, 40)) -> None:
        async def main() -> None:
            async with self.deck.run_test(size=size) as pilot:
                await pilot.pause()
                await script(pilot)

        asyncio.run(main())

    @property
    def text(self) -> str:
        shown = [widget for widget in self.deck.screen.query(Lines) if widget.display]
        return "\n".join(strip.text.rstrip() for one in shown for strip in one._strips)

    def slot(self, number: int) -> SlotStatus:
        picture = self.client.status()
        assert picture is not None
        return next(slot for slot in picture.slots if slot.id == number)

    def numbers(self) -> list[int]:
        picture = self.client.status()
        return [] if picture is None else [slot.id for slot in picture.slots]

    async def press(self, pilot: Pilot[None], *keys: str, pause: float = 1) -> None:
        """Keys by their names in the table, quickly one after the other."""
        self.time += pause  # an operator's pace
        for key in keys:
            name = TEXTUAL_NAMES.get(key, key.replace("^", "ctrl+"))
            self.deck.post_message(Key(name, key if len(key) == 1 else None))
        await pilot.pause()

    async def command(self, pilot: Pilot[None], text: str) -> None:
        await self.press(pilot, ":", *text, "Enter")

    async def sees(self, pilot: Pilot[None], *texts: str) -> None:
        """Until all of these stand on the screen: what floats over the deck is painted later."""
        await self.until(pilot, lambda: all(text in self.text for text in texts))

    async def until(self, pilot: Pilot[None], seen: Callable[[], bool]) -> None:
        for _ in range(300):
            if seen():
                return
            await pilot.pause(0.02)
        raise AssertionError(f"never seen; the screen was\n{self.text}")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(Settings(sim=SimSettings(speed=D(60))), tmp_path / "data")
    runner.start()
    yield runner
    runner.close()


# --- with a real engine ---------------------------------------------------------------------


def test_keys_steer_a_real_engine(engine: Runner) -> None:
    hand = Hand(engine)

    async def script(pilot: Pilot[None]) -> None:
        await hand.until(pilot, lambda: "SIM" in hand.text and "S 2 + C 0" in hand.text)
        await hand.press(pilot, "+")
        await hand.until(pilot, lambda: hand.numbers() == [1, 2, 3])
        await hand.until(pilot, lambda: "ok: slot 3" in hand.text)
        kind = hand.slot(1).kind
        await hand.press(pilot, "g", "g", "t")
        await hand.until(pilot, lambda: hand.slot(1).kind != kind)
        await hand.press(pilot, "P")
        await hand.until(pilot, lambda: hand.slot(1).paused and "▲ paused" in hand.text)
        await hand.press(pilot, "P")
        await hand.until(pilot, lambda: not hand.slot(1).paused)
        await hand.press(pilot, "p")
        await hand.sees(pilot, "Pause the bot?", "SIM market, BTC/USD")
        await hand.press(pilot, "Enter")
        await hand.until(pilot, lambda: "▲ PAUSED" in hand.text)
        await hand.press(pilot, "p")
        await hand.until(pilot, lambda: "● RUNNING" in hand.text)
        await hand.press(pilot, "G", "d", "d")
        await hand.sees(pilot, "Remove slot 3")
        await hand.press(pilot, "Enter")
        await hand.until(pilot, lambda: hand.numbers() == [1, 2] and "slot 3 is gone" in hand.text)

    hand.play(script)


def test_commands_steer_a_real_engine(engine: Runner) -> None:
    hand = Hand(engine)

    async def script(pilot: Pilot[None]) -> None:
        await hand.command(pilot, "add cycle 2")
        await hand.until(pilot, lambda: hand.numbers() == [1, 2, 3, 4])
        await hand.command(pilot, "alias 2 heron")
        await hand.until(pilot, lambda: hand.slot(2).alias == "heron")
        await hand.command(pilot, "toggle 3 sticky")
        await hand.until(pilot, lambda: hand.slot(3).kind == "sticky")
        await hand.command(pilot, "pause 3")
        await hand.until(pilot, lambda: hand.slot(3).paused)
        await hand.command(pilot, "resume 3")
        await hand.until(pilot, lambda: not hand.slot(3).paused)
        await hand.command(pilot, "set profit 1.2")
        await hand.until(pilot, lambda: "profit 1 -> 1.2 %" in hand.text)
        await hand.command(pilot, "remove 4")
        await hand.press(pilot, "Enter")
        await hand.until(pilot, lambda: hand.numbers() == [1, 2, 3])
        await hand.command(pilot, "pause")
        await hand.press(pilot, "Enter")
        await hand.until(pilot, lambda: "▲ PAUSED" in hand.text)
        await hand.command(pilot, "resume")
        await hand.until(pilot, lambda: "● RUNNING" in hand.text)
        await hand.command(pilot, "cancel-all")
        await hand.press(pilot, "Enter")
        await hand.sees(pilot, "E10: type BTC/USD to go on")
        await hand.press(pilot, *"BTC", "/", *"USD", "Enter")
        await hand.until(pilot, lambda: "◆ DRAINING" in hand.text)

    hand.play(script)


def test_what_the_engine_refuses_stays_in_the_bar(engine: Runner) -> None:
    hand = Hand(engine)

    async def script(pilot: Pilot[None]) -> None:
        await hand.command(pilot, "alias 1 heron")
        await hand.until(pilot, lambda: hand.slot(1).alias == "heron")
        await hand.command(pilot, "alias 2 heron")
        await hand.until(pilot, lambda: "E33: alias taken by slot 1" in hand.text)
        assert hand.deck.controls.mode == "COMMAND" and ":alias 2 heron" in hand.text

    hand.play(script)


# --- questions ------------------------------------------------------------------------------


def test_a_question_is_deaf_at_first_and_takes_only_its_own_keys() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "p")
        await hand.press(pilot, "Enter", "Esc", pause=0)  # no time has passed: meant for the deck
        assert hand.deck.controls.mode == "CONFIRM"
        await hand.press(pilot, "+", "t", "j", ":", "q", "y", "n", "^c", "^q")
        assert hand.deck.controls.mode == "CONFIRM" and hand.deck.controls.view.selected == 1
        await hand.press(pilot, "Esc")
        assert hand.deck.controls.mode == "NORMAL" and client.sent == []
        await hand.press(pilot, "p")
        await hand.press(pilot, "Enter")
        assert client.sent == [("pause", {})]

    hand.play(script)


def test_text_typed_into_a_question_does_not_answer_it_with_its_enter() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "p")
        await hand.press(pilot, ":", "q")
        await hand.press(pilot, "Enter", pause=0)  # it comes with the text
        assert hand.deck.controls.mode == "CONFIRM" and client.sent == []
        await hand.press(pilot, "Enter")
        assert client.sent == [("pause", {})]

    hand.play(script)


def test_small_risks_take_y_and_n() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.command(pilot, "drain")
        await hand.press(pilot, "n")
        await hand.command(pilot, "drain")
        await hand.press(pilot, "y")
        assert client.sent == [("drain", {})]

    hand.play(script)


RISKS = {
    "add 3": False, "add cycle 4": True, "set entry 0.3": False, "set entry 0.31": True,
    "resume": False, "remove 1": True, "toggle": False, "drain": True,
}  # fmt: skip


def test_only_what_is_risky_asks() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        for text, asked in RISKS.items():
            client.sent.clear()
            await hand.command(pilot, text)
            seen = hand.deck.controls.mode == "CONFIRM", len(client.sent)
            assert seen == (asked, not asked), text
            await hand.press(pilot, *["Esc"] * asked)

    hand.play(script)


def test_when_the_engine_asks_the_command_is_sent_again_with_force() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "t")
        client.answer(False, "exit #3 is {41m} old, worth -0.05 USD", "confirm")
        await hand.until(pilot, lambda: "exit #3 is {41m} old" in hand.text)
        await hand.press(pilot, "Enter")
        assert client.sent == [("toggle", {"slot": 1}), ("toggle", {"slot": 1, "force": True})]

    hand.play(script)


def test_a_question_about_a_slot_that_is_gone_closes_itself() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "G", "d", "d")
        await hand.sees(pilot, "Remove slot 12")
        client.picture = status(slots=11)
        await hand.until(pilot, lambda: "the dialog closed" in hand.text)
        assert hand.deck.controls.mode == "NORMAL" and client.sent == []

    hand.play(script)


# --- commands -------------------------------------------------------------------------------


WRONG = {
    "foo": 'E01: no command "foo"; ? lists them',
    "remove": "E02: remove wants a slot number",
    "remove 99": "E30: no slot 99 (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 exist)",
    "set entry 99": "E14: entry 99 is outside 0.05 to 50",
}


def test_a_wrong_command_is_told_in_the_bar_and_sends_nothing() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        for text, message in WRONG.items():
            await hand.command(pilot, text)
            await hand.sees(pilot, message, f":{text}")
            assert client.sent == [] and hand.deck.controls.mode == "COMMAND"
            await hand.press(pilot, "Esc")
        await hand.press(pilot, "j")
        assert hand.deck.controls.view.selected == 2

    hand.play(script)


def test_typing_in_the_bar_is_no_action() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, ":", *"tPpjG", "+", "d", "d", "^c")
        assert hand.deck.controls.line.text == "tPpjG+dd" and client.sent == []
        assert hand.deck.controls.view.selected == 1
        await hand.press(pilot, "Esc", ":", "Backspace")
        assert hand.deck.controls.mode == "NORMAL"

    hand.play(script)


def test_sent_is_not_ok_and_silence_is_told_after_five_seconds() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "+")
        assert "sent: add" in hand.text and "ok:" not in hand.text
        hand.time += 5.1
        await hand.until(pilot, lambda: "no answer after 5s" in hand.text)
        client.answer(True, "slot 13 added")
        await hand.until(pilot, lambda: "ok: slot 13 added" in hand.text)

    hand.play(script)


def test_a_late_refusal_does_not_steal_keys() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.command(pilot, "add")
        await hand.press(pilot, "j")
        client.answer(False, "band STOP", "E31")
        await hand.until(pilot, lambda: "refused: E31 band STOP" in hand.text)
        assert hand.deck.controls.mode == "NORMAL"

    hand.play(script)


@pytest.mark.parametrize(("key", "mode"), [("j", "NORMAL"), (":", "COMMAND"), ("p", "CONFIRM")])
def test_a_late_question_of_the_engine_takes_no_key_meant_for_elsewhere(
    key: str, mode: str
) -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "t")
        await hand.press(pilot, key)
        client.answer(False, "exit #3 is 41m old", "confirm")
        await hand.sees(pilot, "the engine asks first: exit #3 is 41m old; give the command again")
        assert hand.deck.controls.mode == mode
        await hand.press(pilot, "Enter")
        assert client.sent == [("toggle", {"slot": 1})] + [("pause", {})] * (mode == "CONFIRM")

    hand.play(script)


def test_the_same_key_twice_does_not_undo_itself() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "P")
        client.picture = status(slots=1, seq=4122)
        client.picture = replace(
            client.picture, slots=(replace(client.picture.slots[0], paused=True),)
        )
        hand.deck.tick()
        await hand.press(pilot, "P", pause=0.1)
        assert client.sent == [("pause_slot", {"slot": 1})]
        await hand.press(pilot, "P", pause=0.4)
        assert client.sent[1:] == [("resume_slot", {"slot": 1})]

    hand.play(script)


def test_a_view_that_cannot_be_drawn_says_so_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hand = Hand(StillClient(status()))

    def broken(body: Body, *size: int) -> list[Line]:
        raise ValueError("no such\nrow")

    async def script(pilot: Pilot[None]) -> None:
        text = "the slots view failed: ValueError: no such row"
        for part in ("draw", "tick"):
            with monkeypatch.context() as patch:
                patch.setattr(SlotsBody, part, broken)
                for _ in range(3):
                    hand.deck.tick()
                await hand.sees(pilot, text)
                await hand.press(pilot, "g", "o")
                await hand.sees(pilot, "[governor]", "Orphan pressure")
                await hand.press(pilot, "g", "s")
        assert sum(text in one for one in hand.deck.controls.messages) == 1
        await hand.sees(pilot, "ALIAS")

    hand.play(script)


@pytest.mark.parametrize("part", ["frame", "row", "see", "resize"])
def test_a_floor_that_cannot_be_drawn_says_so_and_the_others_go_on(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand = Hand(StillClient(status()), view="factory")

    def broken(floor: FactoryFloor, *more: object) -> None:
        raise ValueError("no such tile")

    async def script(pilot: Pilot[None]) -> None:
        monkeypatch.setattr(FactoryFloor, part, broken)
        hand.deck.screen.refresh()
        await pilot.resize_terminal(100, 30)
        for _ in range(3):
            hand.deck.tick()
            await pilot.pause()
        await hand.sees(pilot, "the factory view failed: ValueError: no such tile")
        await hand.press(pilot, "g", "s")
        await hand.sees(pilot, "ALIAS")

    hand.play(script)


@pytest.mark.parametrize("bell", [True, False])
def test_a_new_critical_symptom_rings_the_bell_once(
    bell: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, rung = StillClient(status(alarms=(), slots=1)), []
    hand = Hand(client, Settings(tui=TuiSettings(bell=bell)))
    monkeypatch.setattr(Deck, "bell", lambda deck: rung.append(1))

    async def script(pilot: Pilot[None]) -> None:
        assert not rung
        for number in range(3):
            client.picture = status(slots=1, seq=5000 + number)  # with slot 9 quarantined
            hand.deck.tick()
        assert len(rung) == bell

    hand.play(script)


def test_bauhaus_can_be_asked_for_from_every_view() -> None:
    hand = Hand(StillClient(status()))

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, "b")
        await hand.sees(pilot, "E88: that works in: factory")
        await hand.command(pilot, "bauhaus")
        await pilot.pause()
        assert hand.deck.controls.view.name == "factory"
        assert hand.deck.screen.query_one(FactoryView).bauhaus

    hand.play(script)


def test_a_long_error_is_cut_where_there_is_no_room() -> None:
    hand = Hand(StillClient(status()))

    async def script(pilot: Pilot[None]) -> None:
        await hand.command(pilot, "re")
        await hand.sees(pilot, 'COMMAND │ E38: "re" fits readonly, reconcile, redraw', "…")

    hand.play(script, (80, 24))


def test_a_held_key_acts_once() -> None:
    client = StillClient(status())
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        await hand.press(pilot, *"+" * 20)
        assert client.sent == [("add", {})]
        await hand.press(pilot, "+")
        assert len(client.sent) == 2
        await hand.press(pilot, *"jjjjj")
        assert hand.deck.controls.view.selected == 6

    hand.play(script)


def test_digits_and_counts_select() -> None:
    hand = Hand(StillClient(status(slots=84)))

    async def script(pilot: Pilot[None]) -> None:
        for keys, selected in (("12", 12), ("5j", 17), ("gg", 1), ("84G", 84), ("3k", 81)):
            await hand.press(pilot, *keys)
            assert hand.deck.controls.view.selected == selected, keys
        for number in ("99", "100012"):
            await hand.press(pilot, *number, "G")
            await hand.sees(pilot, f"E30: no slot {number}")

    hand.play(script)


# --- leaving, sizes, states -----------------------------------------------------------------


def test_no_single_key_leaves() -> None:
    hand = Hand(StillClient(status()))

    async def script(pilot: Pilot[None]) -> None:
        for key in ("q", "escape", "ctrl+c", "ctrl+q", "ctrl+z", "ctrl+d", "Z"):
            hand.deck.controls.toasts.shown.clear()
            await pilot.press(key, key, key)
            assert hand.deck.is_running and hand.deck.return_code is None
            shown = [one[0] for one in hand.deck.controls.toasts.shown]
            hint = "q goes one level back; :q leaves gridbot"
            inside = "E95: not while the engine runs inside this terminal"
            told = {"q": [hint], "ctrl+c": [hint], "ctrl+z": [inside]}.get(key, [])
            assert shown == told

    hand.play(script)


@pytest.mark.parametrize("text", ["q", "quit", "q!", "x", "wq"])
def test_the_command_leaves(text: str) -> None:
    controls = Hand(StillClient(status())).deck.controls
    controls.tick()
    for key in (":", *text):
        controls.press(key)
        assert not controls.leaving
    controls.press("Enter")
    assert controls.leaving


def test_leaving_ends_the_app() -> None:
    hand = Hand(StillClient(status()))

    async def script(pilot: Pilot[None]) -> None:
        await hand.command(pilot, "q")
        assert hand.deck.return_code == 0

    hand.play(script)


@pytest.mark.parametrize("picture", [None, status(slots=0), status(slots=112)])
def test_any_size_is_drawn(picture: object) -> None:
    hand = Hand(StillClient(picture))  # type: ignore[arg-type]

    async def script(pilot: Pilot[None]) -> None:
        for size in ((200, 50), (99, 30), (80, 24), (60, 18), (59, 17), (20, 5), (1, 1), (120, 40)):
            await pilot.resize_terminal(*size)
            await hand.press(pilot, "Enter", "?")
            await hand.press(pilot, "Esc")
            wide = [row for row in hand.text.splitlines() if len(row) > size[0]]
            assert not wide, size
        await hand.sees(pilot, "NORMAL")

    hand.play(script)


def test_what_did_not_change_is_not_drawn_again() -> None:
    client = StillClient(status(slots=30))
    hand = Hand(client)

    async def script(pilot: Pilot[None]) -> None:
        table = hand.deck.screen.query_one("#drawn", Lines)
        before = list(table._strips)
        client.picture = status(slots=30)
        hand.deck.tick()
        assert all(new is old for new, old in zip(table._strips, before, strict=True))
        changed = replace(client.picture.slots[4], round_trips=99)
        slots = (*client.picture.slots[:4], changed, *client.picture.slots[5:])
        client.picture = replace(client.picture, slots=slots)
        hand.deck.tick()
        fresh = [y for y, strip in enumerate(table._strips) if strip is not before[y]]
        assert fresh[0] == 6 and 2 <= len(fresh) <= 3  # the row, the totals, its pane

    hand.play(script)


def test_the_operator_can_have_every_cell_painted_again() -> None:
    hand = Hand(StillClient(status()))

    async def script(pilot: Pilot[None]) -> None:
        before = hand.text
        await hand.press(pilot, "^l", pause=0)
        assert hand.deck.is_running and not hand.deck.controls.redrawing and hand.text == before

    hand.play(script)


def test_ascii_glyphs_leave_nothing_else_on_the_screen() -> None:
    hand = Hand(StillClient(status()), Settings(tui=TuiSettings(glyphs="ascii")))

    async def script(pilot: Pilot[None]) -> None:
        assert hand.text.isascii()
        await hand.press(pilot, "$", "d", "d")
        assert "+- CONFIRM -" in hand.text and hand.text.isascii()

    hand.play(script)


def test_messages_keep_what_toasts_said() -> None:
    hand = Hand(StillClient(status()))

    async def script(pilot: Pilot[None]) -> None:
        await hand.command(pilot, "foo")
        await hand.press(pilot, "Esc")
        await hand.command(pilot, "version")
        hand.time += 60
        await hand.command(pilot, "messages")
        await hand.until(pilot, lambda: ":foo  E01: no command" in hand.text)
        await hand.sees(pilot, "gridbot 0.")
        await hand.press(pilot, "q")
        assert hand.deck.controls.mode == "NORMAL"

    hand.play(script)


def test_the_floor_stands_in_the_place_of_drawn_rows() -> None:
    hand = Hand(StillClient(status()), view="factory")

    async def script(pilot: Pilot[None]) -> None:
        screen, controls = hand.deck.screen, hand.deck.controls
        floor, drawn = screen.query_one(FactoryView), screen.query_one("#drawn")
        assert floor.display and not drawn.display
        await hand.press(pilot, "l")
        assert controls.view.selected == 2, "by the places of the machines"
        await hand.press(pilot, "b")
        assert floor.bauhaus and not screen.query_one("#header").display
        await hand.command(pilot, "q")
        assert not floor.bauhaus and hand.deck.is_running, "from Bauhaus into the factory first"
        assert screen.query_one("#header").display
        await hand.press(pilot, "g", "s")
        assert drawn.display and not floor.display
        await hand.press(pilot, "g", "f", "b")
        await hand.command(pilot, "fps 0")
        await pilot.pause()
        made = screen.query_one(FactoryView)
        assert made is floor and made.bauhaus
        assert made.floor is not None and made.floor.motion == "off"

    hand.play(script)
