"""The pictures of README and manual, taken by the app itself. Run: python scripts/pictures.py

Writes docs/pictures/NAME.svg (all, or those whose names are given). What they show is the real
engine on its simulated market with a fixed seed, as ``gridbot tui --demo`` runs it, after hours of
trading; only the clocks are handed in, so that the same program makes the same files. Fonts are the
reader's own: nothing is fetched.
"""

import asyncio
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import chdir, contextmanager
from decimal import Decimal as D
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from msgspec import to_builtins
from msgspec.structs import replace

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.odds import Odds
from gridbot.core.records import Ack, Command, Event, LedgerEntry
from gridbot.core.settings import Settings
from gridbot.engine.disk import Disk
from gridbot.engine.ledger_file import tail
from gridbot.engine.narration import describe
from gridbot.engine.simulate import Simulation, open_simulation
from gridbot.engine.status import EngineStatus, PriceStatus, Status, build_status
from gridbot.engine.store import Store
from gridbot.engine.telemetry import Point, Telemetry, market_odds
from gridbot.engine.venues import plan_venue
from gridbot.tui.deck import Deck
from gridbot.tui.demo import demo_settings
from gridbot.tui.factory import widget

OUT = Path(__file__).resolve().parents[1] / "docs" / "pictures"
BYTES_MAX = 300_000
WARM_UP_HOURS = 35.8  # then there is something to recycle and to suggest
MOVING_SECONDS = 24  # of the screen's time, so that belts and histories are full
FRAMES_PER_SECOND = 10
SETTLE_LOOKS = 6
NOW = 1_767_225_600.0  # of the screen's clock at the beginning
CELL, ROW, ASCENT = 12.2, 24.4, 18.5  # of Rich's SVG: a cell, and from its top to the baseline
BLOCKS = {glyph: (1 - n / 8, n / 8) for n, glyph in enumerate("▁▂▃▄▅▆▇█", 1)} | {"▀": (0, 0.5)}
FONT_FACE = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)
NUMBER = r'"([\d.]+)"'
RECT = re.compile(
    rf'<rect fill="([^"]+)" x={NUMBER} y={NUMBER} width={NUMBER} height={NUMBER} '
    'shape-rendering="crispEdges"/>'
)
TEXT = re.compile(
    rf'<text class="([^"]+)" x={NUMBER} y={NUMBER} textLength={NUMBER} '
    'clip-path="([^"]+)">(.*?)</text>'
)


class Picture(NamedTuple):
    """``keys`` are pressed in the beginning, ``last`` in the end."""

    view: str
    size: tuple[int, int]
    keys: str = ""
    slots: int = 24
    last: str = ""


PICTURES = {
    "factory": Picture("factory", (132, 40), "8"),
    "dense": Picture("factory", (132, 40), slots=84),
    "bauhaus": Picture("factory", (132, 40), "8 b"),
    "slots": Picture("slots", (160, 38), "8"),
    "ledger": Picture("ledger", (132, 36)),
    "governor": Picture("governor", (120, 36), last="g g"),
    "capacity": Picture("capacity", (120, 36)),
}


def settings_for(slots: int) -> Settings:
    """The demo's settings, with funds for so many slots."""
    demo = demo_settings()
    share, quote = D(slots) / demo.slots.initial_slots, demo.sim.quote_balance or D(0)
    return replace(
        demo,
        slots=replace(demo.slots, initial_slots=slots, max_slots=max(slots, demo.slots.max_slots)),
        sim=replace(demo.sim, quote_balance=quote * share),
    )


class Show:
    """An EngineClient whose engine goes on only when it is told to."""

    waits_for = link = ""
    attached, pid = False, 1

    def __init__(self, simulation: Simulation, path: Path, odds: Odds | None) -> None:
        self.simulation, self.data_path, self._odds = simulation, path, odds
        self._telemetry = Telemetry(None)
        self._events: list[Event] = []
        self._picture: Status | None = None

    async def go(self, until: float) -> None:
        """Trade until then, and publish."""
        engine, market = self.simulation.engine, self.simulation.venue.market
        while market.at < until:
            await self.simulation.next_event(until)
        self._events += [
            replace(event, text=describe(event), data=to_builtins(event.data))
            for event in engine.events
        ]
        engine.events.clear()
        engine.store.ledger.flush()  # the ledger view reads the file
        self._publish()

    async def ask(self, action: str, **args: Any) -> None:
        """Have the engine do something at its next step."""
        engine = self.simulation.engine
        engine.commands.append(Command(f"show-{len(self._events)}", engine.at, "tui", action, args))
        await self.go(self.at + 1)

    @property
    def at(self) -> float:
        return self.simulation.venue.market.at

    def _publish(self) -> None:
        brain, timing = self.simulation.engine.brain, self.simulation.engine.brain.settings.timing
        speed = float(brain.settings.sim.speed)
        state = EngineStatus(
            brain.run_state, brain.state_reason, NOW - WARM_UP_HOURS * 3600 / speed, 1, brain.now,
            0.6, speed, "", timing.poll_interval_seconds,
        )  # fmt: skip
        mid = brain.price or D(0)
        price = PriceStatus(mid, mid, mid, mid, self.at, False)
        status = build_status(brain, state, price)
        self._telemetry.see(status)
        self._picture = replace(status, governor=status.governor | {"odds": self._odds})

    # --- EngineClient

    def status(self) -> Status | None:
        return self._picture

    def events(self, after_id: int) -> list[Event]:
        return [event for event in self._events if event.id > after_id]

    def ledger(self, slot: int | None, count: int) -> list[LedgerEntry]:
        return tail(self.data_path / "ledger.jsonl", count, slot)

    def history(self, name: str) -> list[Point]:
        return self._telemetry.history(name)

    def send(self, action: str, args: dict[str, Any] | None = None) -> "Future[Ack]":
        return Future()

    def close(self) -> None:
        pass


class Clock:
    """The screen's time."""

    now = NOW

    def __call__(self) -> float:
        return self.now


@contextmanager
def floors_told_the_time(clock: Clock) -> Iterator[None]:
    """Every factory floor made meanwhile goes by this clock."""

    class Told(widget.FactoryView):
        def __init__(self, *look: Any, **more: Any) -> None:
            super().__init__(*look, **(more | {"clock": clock}))

    own = widget.FactoryView
    widget.FactoryView = Told  # type: ignore[misc]
    try:
        yield
    finally:
        widget.FactoryView = own  # type: ignore[misc]


async def begin(settings: Settings, path: Path) -> Show:
    plan = plan_venue(settings)
    store = Store(
        path, settings, plan.instrument.pair, Disk(), draw_instance=lambda: "demo", durable=False
    )
    simulation = await open_simulation(store, settings, plan, None)
    brain = simulation.engine.brain
    maker = brain.fees.maker_pct
    odds = await market_odds(settings, plan.instrument, maker, simulation.engine.exchange)
    show = Show(simulation, path, odds[2])
    for _ in range(round(WARM_UP_HOURS * 60)):
        await show.go(show.at + 60)
    return show


async def take(name: str, picture: Picture, path: Path, clock: Clock) -> str:
    """Watch for a while, press the keys, and return what is on the screen as SVG."""
    settings = settings_for(picture.slots)
    show = await begin(settings, path)
    market_per_second = float(settings.sim.speed)
    deck = Deck(show, settings, clock)
    deck.controls.view.name = picture.view
    async with deck.run_test(size=picture.size) as pilot:
        await show.ask("pause_slot", slot=5)
        for key in picture.keys.split():
            await pilot.press(key)
            clock.now += 1
        for frame in range(MOVING_SECONDS * FRAMES_PER_SECOND):
            clock.now += 1 / FRAMES_PER_SECOND
            if frame % 3 == 0:
                await show.go(show.at + 3 * market_per_second / FRAMES_PER_SECOND)
                deck.tick()
            for floor in deck.screen.query(widget.FactoryView):
                floor.step()
            if frame % FRAMES_PER_SECOND == 0:
                await pilot.pause()
        await pilot.press(*picture.last.split())
        for _ in range(SETTLE_LOOKS):  # workers read the ledger in their own time
            await pilot.pause(0.25)
            deck.tick()
        deck.screen.refresh()
        await pilot.pause()
        text = deck.export_screenshot(title=f"gridbot: {name}")
    return compact(text)


def compact(svg: str) -> str:
    """The same picture in fewer bytes: short names, neighbours of one colour or style as one."""
    svg = re.sub(r"terminal-\d+-", "t-", FONT_FACE.sub("", svg))
    svg = re.sub(r"<text [^>]*>\s*</text>", "", svg)
    svg = re.sub(r'(?<=")\d+\.\d{3,}(?=")', lambda found: f"{float(found[0]):g}", svg)
    return _joined(TEXT, _joined(RECT, svg, _rect), _text)


def _joined(pattern: re.Pattern[str], svg: str, write: Callable[[list[str]], str]) -> str:
    """Elements in a row that go on where the one before ended, and look like it, become one."""
    rows: list[list[str]] = []
    for found in pattern.findall(svg):
        look, x, y, width, height_or_clip, *text = found
        last = rows[-1] if rows else None
        if (
            last and last[0] == look and last[2] == y
            and abs(float(last[1]) + float(last[3]) - float(x)) < 0.05
        ):  # fmt: skip
            last[3] = f"{float(last[3]) + float(width):g}"
            last[5] += "".join(text)
        else:
            rows.append([look, x, y, width, height_or_clip, "".join(text)])
    first = pattern.search(svg)
    if first is None:
        return svg
    rest = pattern.sub("", svg[first.start() :]).lstrip()
    return svg[: first.start()] + "\n".join(map(write, rows)) + "\n" + rest


def _rect(row: list[str]) -> str:
    fill, x, y, width, height, _ = row
    size = f'width="{width}" height="{height}"'
    return f'<rect fill="{fill}" x="{x}" y="{y}" {size} shape-rendering="crispEdges"/>'


def _blocks(look: str, x: float, y: float, cells: str) -> Iterator[str]:
    """Block characters as areas: a font's own leave gaps between the rows."""
    at = 0
    for glyph, run in groupby(cells):
        count = len(list(run))
        if glyph in BLOCKS:
            top, rows = (ROW * share for share in BLOCKS[glyph])
            place = f'x="{x + at * CELL:g}" y="{y + top:g}"'
            size = f'width="{count * CELL:g}" height="{rows + 0.25:g}"'
            yield f'<rect class="{look}" {place} {size} shape-rendering="crispEdges"/>'
        at += count


def _text(row: list[str]) -> str:
    look, x, y, width, clip, text = row
    cells = text.replace("&#160;", " ")
    if set(cells) <= {*BLOCKS, " "}:
        return "".join(_blocks(look, float(x), float(y) - ASCENT, cells))
    place = f'x="{x}" y="{y}" textLength="{width}"'
    return f'<text class="{look}" {place} clip-path="{clip}">{text}</text>'


async def main(names: list[str]) -> None:
    use_exact_arithmetic()
    os.environ |= {"COLORTERM": "truecolor", "TERM": "xterm-256color"}  # whoever runs this
    for name in ("NO_COLOR", "SSH_CONNECTION", "FORCE_COLOR"):
        os.environ.pop(name, None)
    OUT.mkdir(parents=True, exist_ok=True)
    for name in names or PICTURES:
        clock = Clock()
        with tempfile.TemporaryDirectory() as folder, floors_told_the_time(clock), chdir(folder):
            text = await take(name, PICTURES[name], Path("data"), clock)
        if len(text) > BYTES_MAX:
            raise SystemExit(f"{name}: {len(text)} bytes; at most {BYTES_MAX} are wanted")
        (OUT / f"{name}.svg").write_text(text, encoding="utf-8")
        print(f"{name:<10} {len(text):>7} bytes")


if __name__ == "__main__":
    if unknown := set(sys.argv[1:]) - set(PICTURES):
        raise SystemExit(f"no such picture: {', '.join(sorted(unknown))}; {', '.join(PICTURES)}")
    asyncio.run(main(sys.argv[1:]))
