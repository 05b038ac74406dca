"""What is painted past the compositor is what the compositor would paint: glyphs, colours, all."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pyte
import pytest
from textual.app import App, ComposeResult
from textual.containers import Vertical
from textual.drivers.headless_driver import HeadlessDriver
from textual.screen import ModalScreen
from textual.widgets import Static

from gridbot.tui.factory import painter
from gridbot.tui.factory.contract import Patch
from gridbot.tui.factory.driver import PENDING_BYTES_MAX, Outbox
from gridbot.tui.factory.encode import encode, without
from gridbot.tui.factory.ladder import Ladder
from gridbot.tui.factory.styles import ASCII, StyleTable
from gridbot.tui.factory.widget import FactoryView
from tests.tui.pictures import status

from .scenes import happen, odd_events, odd_scene, scene

DEPTHS = ("truecolor", "256", "standard", "none")


class Tape(HeadlessDriver):
    """A driver that Textual takes for a terminal; what is written goes to an emulator."""

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self._app.tape.append(data)  # type: ignore[attr-defined]


class Hall(App[None]):
    """A floor with a line above and below it, and things that come in front."""

    CSS = "Screen { layers: deck over; } .line { height: 1; } FactoryView { height: 1fr; }"

    def __init__(self, depth: str) -> None:
        super().__init__(ansi_color=True, driver_class=Tape)
        self.tape: list[str] = []
        self.time = 100.0
        self.view = FactoryView(depth=depth, clock=lambda: self.time)

    def compose(self) -> ComposeResult:
        yield Static("above", classes="line")
        with Vertical():
            yield self.view
        yield Static("below", classes="line")

    def pass_time(self, seconds: float, frames: int = 8) -> None:
        for _ in range(frames):
            self.time += seconds / frames
            self.view.step()


Script = Callable[[Any, "Emulator"], Awaitable[None]]


class Emulator:
    """The terminal: what it shows after all that was written so far."""

    def __init__(self, hall: Hall, width: int, height: int) -> None:
        self.screen = pyte.Screen(width, height)
        self._stream, self._hall = pyte.Stream(self.screen), hall

    def look(self) -> list[list[Any]]:
        for data in self._hall.tape:
            self._stream.feed(data)
        self._hall.tape.clear()
        lines, columns = self.screen.lines, self.screen.columns
        return [[self.screen.buffer[y][x] for x in range(columns)] for y in range(lines)]

    async def agrees(self, pilot: Any) -> None:
        """A full repaint by the compositor changes no cell."""
        before = self.look()
        self._hall.screen.refresh()
        await pilot.pause(0.05)
        after = self.look()
        pairs = [
            (y, x, one, other)
            for y, rows in enumerate(zip(before, after, strict=True))
            for x, (one, other) in enumerate(zip(*rows, strict=True))
        ]
        wrong = [(y, x, one.data, other.data) for y, x, one, other in pairs if one != other]
        assert not wrong, f"{len(wrong)} cells differ: {wrong[:20]}"


def play(
    monkeypatch: pytest.MonkeyPatch, depth: str, size: tuple[int, int], script: Script
) -> Hall:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color" if depth == "256" else "xterm")
    monkeypatch.setenv("COLORTERM", "truecolor" if depth == "truecolor" else "")
    if depth == "none":
        monkeypatch.setenv("NO_COLOR", "1")
    hall = Hall(depth)

    async def main() -> None:
        async with hall.run_test(headless=False, size=size) as pilot:
            await pilot.pause(0.05)
            await script(pilot, Emulator(hall, *size))

    asyncio.run(main())
    return hall


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("size", "count"), [((80, 24), 12), ((120, 40), 84), ((200, 50), 112)])
def test_direct_painting_equals_the_compositors_repaint(
    monkeypatch: pytest.MonkeyPatch, depth: str, size: tuple[int, int], count: int
) -> None:
    async def script(pilot: Any, terminal: Emulator) -> None:
        hall = pilot.app
        hall.view.show(scene(status(count)))
        await pilot.pause(0.05)
        await terminal.agrees(pilot)
        hall.view.show(scene(status(count), selected=5), happen("cycle_closed", "orphaned", net=2))
        for _ in range(2):
            hall.pass_time(0.5)
        await terminal.agrees(pilot)
        for state in ("halted", "running"):
            hall.view.show(scene(status(count), state=state, drawer=state == "running"))
            hall.pass_time(0.3)
            await terminal.agrees(pilot)
        assert hall.view.painter.direct > 20 and hall.view.painter.indirect == 0

    play(monkeypatch, depth, size, script)


@pytest.mark.parametrize("depth", DEPTHS)
def test_bauhaus_is_painted_as_truly(monkeypatch: pytest.MonkeyPatch, depth: str) -> None:
    async def script(pilot: Any, terminal: Emulator) -> None:
        hall = pilot.app
        hall.view.show(scene(status(24)))
        hall.view.toggle()
        assert hall.view.bauhaus
        await pilot.pause(0.05)
        hall.view.show(scene(status(24), selected=5), happen("cycle_closed", "orphaned", net=2))
        hall.pass_time(1.0)
        await terminal.agrees(pilot)
        hall.view.toggle()
        assert not hall.view.bauhaus
        await pilot.pause(0.05)
        hall.pass_time(1.0)
        await terminal.agrees(pilot)

    play(monkeypatch, depth, (100, 30), script)


def test_it_stays_so_with_toasts_modals_and_resizes(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(pilot: Any, terminal: Emulator) -> None:
        hall, random = pilot.app, Random(7)
        for n in range(6):
            hall.view.show(odd_scene(random), odd_events(random))
            hall.pass_time(0.3)
            if n % 2 == 0:
                hall.notify("a toast in front", timeout=60)
            else:
                hall.clear_notifications()
            hall.pass_time(0.3)
            await pilot.pause(0.02)
            hall.pass_time(0.3)
            await terminal.agrees(pilot)
        hall.push_screen(ModalScreen())
        await pilot.pause(0.05)
        hall.view.show(scene(status(24), selected=3))
        hall.pass_time(0.5)
        hall.pop_screen()
        hall.pass_time(0.2)
        await pilot.pause(0.05)
        hall.pass_time(0.5)
        await terminal.agrees(pilot)
        for width, height in ((100, 30), (60, 18), (120, 40)):
            await pilot.resize_terminal(width, height)
            terminal.screen.resize(height, width)
            hall.pass_time(0.5)
            await terminal.agrees(pilot)

    play(monkeypatch, "truecolor", (120, 40), script)


def test_a_hidden_floor_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(pilot: Any, terminal: Emulator) -> None:
        hall = pilot.app
        hall.view.show(scene(status(24)))
        hall.view.parent.display = False
        await pilot.pause(0.05)
        hall.tape.clear()
        hall.pass_time(2.0)
        hall.view.show(scene(status(24), selected=3), happen("cycle_closed", net=1))
        hall.pass_time(2.0)
        await pilot.pause(0.05)
        assert "".join(hall.tape) == ""
        hall.view.parent.display = True
        await pilot.pause(0.05)
        hall.pass_time(0.5)
        await terminal.agrees(pilot)

    play(monkeypatch, "truecolor", (120, 40), script)


def test_textual_still_has_what_painting_needs() -> None:
    """Fails when Textual is upgraded: try the painter by hand, then raise TESTED_VERSION."""
    assert painter.check() == []


def test_an_unsafe_frame_goes_through_the_compositor(monkeypatch: pytest.MonkeyPatch) -> None:
    async def script(pilot: Any, terminal: Emulator) -> None:
        hall = pilot.app
        hall.view.show(scene(status(12)))
        await pilot.pause(0.05)
        with hall.batch_update():
            hall.pass_time(0.5)
        assert hall.view.painter.indirect
        await pilot.pause(0.05)
        await terminal.agrees(pilot)

    play(monkeypatch, "truecolor", (120, 40), script)


# --- strings --------------------------------------------------------------------------------


def test_patches_are_grouped_by_style_and_place_the_cursor_sparingly() -> None:
    table = StyleTable("mono-that-does-not-exist", "none")
    bold = table.id("bold")
    text = encode([Patch(2, 5, 0, "ab"), Patch(2, 4, bold, "x"), Patch(2, 8, 0, "c")], table, 1, 10)
    assert text == "\x1b[0m\x1b[4;16Hab\x1b[Cc\x1b[0;1m\x1b[4;15Hx\x1b[0m"
    assert encode([], table) == ""


def test_what_lies_in_front_is_left_out() -> None:
    patches = [Patch(0, 0, 0, "abcdef"), Patch(1, 0, 0, "abcdef"), Patch(1, 3, 0, "x")]
    assert without(patches, [(2, 1, 2, 5)]) == [
        Patch(0, 0, 0, "abcdef"), Patch(1, 0, 0, "ab"), Patch(1, 4, 0, "ef"),
    ]  # fmt: skip


def test_every_glyph_takes_one_cell_and_has_an_ascii_twin() -> None:
    from pathlib import Path

    from rich.cells import cell_len

    folder = Path(painter.__file__).parent
    art = {one for name in ("tiles", "panels", "furniture", "mood", "motion", "machine", "floor")
           for one in (folder / f"{name}.py").read_text() if not one.isascii()}  # fmt: skip
    assert len(art) > 30 and all(cell_len(one) == 1 for one in art)
    assert not art - {chr(one) for one in ASCII}
    assert all(
        len(plain) == 1 and plain.isascii()
        for plain in StyleTable("mono", "none", True).glyphs("".join(sorted(art)))
    )


def test_styles_differ_where_colours_do_not() -> None:
    table = StyleTable("factory-dark", "none")
    assert (
        table.id("good") != table.id("bad")
        and table.change(table.id("good"), table.id("bad")) == ""
    )
    assert table.change(-1, table.id("title")) == "\x1b[0;1m"


# --- a terminal that does not listen --------------------------------------------------------


def test_a_stalled_terminal_never_blocks_and_loses_only_pictures() -> None:
    import os

    reading, writing = os.pipe()
    outbox = Outbox(writing)
    outbox.start()
    begun = time.perf_counter()
    for _ in range(2000):
        outbox.put("p" * 1000)
    outbox.put("\x1b[?1049l")
    assert time.perf_counter() - begun < 1.0
    assert outbox.lost and outbox.pending < PENDING_BYTES_MAX + 2000 and not outbox.found()
    outbox.close(0.05)  # bounded, though nobody reads
    taken: list[bytes] = []
    reader = threading.Thread(
        target=lambda: taken.extend(iter(lambda: os.read(reading, 65536), b""))
    )
    reader.start()
    outbox.join(5)
    os.close(writing)
    reader.join(5)
    os.close(reading)
    assert b"".join(taken).endswith(b"\x1b[?1049l") and outbox.pending == 0


def test_a_lost_picture_is_asked_for_once_there_is_room() -> None:
    import os

    reading, writing = os.pipe()
    outbox = Outbox(writing)
    outbox.lost = True
    assert outbox.found() and not outbox.found()
    os.close(reading)
    os.close(writing)


# --- frames a second ------------------------------------------------------------------------


def climb(
    ladder: Ladder, start: float, seconds: float, cost: float, skipped: bool = False
) -> float:
    now = start
    while now < start + seconds:
        now += 1 / ladder.fps
        ladder.note(now, cost, 0.0, skipped)
    return now


def test_frames_that_cost_too_much_become_fewer_and_more_again() -> None:
    ladder = Ladder(30)
    now = climb(ladder, 0.0, 20, 0.001)
    assert ladder.fps == 30
    now = climb(ladder, now, 25, 0.012)
    assert ladder.fps == 4
    climb(ladder, now, 90, 0.001)
    assert ladder.fps == 30


def test_a_slow_terminal_has_fewer_frames_and_the_operators_wish_is_the_most() -> None:
    ladder = Ladder(12)
    assert ladder.fps == 12
    climb(ladder, 0.0, 30, 0.001, skipped=True)
    assert ladder.fps == 4
