"""Bauhaus mode: a white membrane, a black gullet swollen by our volume, slots that swim in it.

The upper half of the gullet is as thick as our sells on the book, the lower half as our buys,
against the most of either in the last polls. What moves follows from time and from the engine's
events; while the price is too old or nothing trades, nothing moves.
"""

from collections import deque
from collections.abc import Sequence
from decimal import Decimal
from math import pi, sin
from random import Random
from typing import Any

from gridbot.core.numbers import ZERO
from gridbot.core.records import Event
from gridbot.engine.status import Status
from gridbot.tui.factory import bauhaus_still as still
from gridbot.tui.factory import bauhaus_words as words
from gridbot.tui.factory import sprites
from gridbot.tui.factory.bauhaus_layout import HEIGHT_MIN, WIDTH_MIN, layout_of
from gridbot.tui.factory.bauhaus_motion import Orphan, Places, Roll, Slide, Spot, effects_of
from gridbot.tui.factory.canvas import Canvas, Rows, patches, runs
from gridbot.tui.factory.contract import Patch, Run, Scene, Styles
from gridbot.tui.factory.mood import STOPPING, trouble_of
from gridbot.tui.factory.sprites import Effect
from gridbot.tui.symptoms import dead, old_seconds

ORPHANS_MAX = 40
SPARKLE_CELLS = 24  # cells of the picture to one sparkle, of which the gullet shows its share
SPARKLE_SECONDS, TWINKLE_SECONDS, FLASH_SECONDS, BLINK_SECONDS = 0.5, 0.75, 0.5, 0.5
ECO_SECONDS = 0.25  # between two pictures of a floor that spares the line
NOTHING = Scene(None, "waiting", 0.0, 0.0, 0, None, False)
NOWHERE = Places({}, {}, {}, None)


class BauhausFloor:
    """On a terminal without colour grounds are reversed cells and greys are glyphs."""

    def __init__(self, styles: Styles) -> None:
        self.motion = "full"
        self._styles, self._colour = styles, getattr(styles, "depth", "") != "none"
        self._scene, self._seen_at, self._chosen_at = NOTHING, 0.0, -1.0
        self._polls: deque[tuple[Decimal, Decimal]] = deque(maxlen=still.POLLS_KEPT)
        self._poll: tuple[int, float] | None = None
        self._seen: tuple[Any, ...] = ()
        self._effects: deque[Effect] = deque(maxlen=sprites.EFFECTS_MAX)
        self._slides: dict[str, Slide] = {}
        self._halves: tuple[Slide, Slide] | None = None
        self._places, self._profit = NOWHERE, Roll(ZERO, ZERO, 0.0)
        self.resize(WIDTH_MIN, HEIGHT_MIN)

    def resize(self, width: int, height: int) -> None:
        """From now on this large; the next ``frame`` is whole."""
        self._canvas = Canvas(width, height, self._styles, self._colour)
        self._tiny = width < WIDTH_MIN or height < HEIGHT_MIN
        self._shown: Rows = []
        self._still: Rows = []
        self._still_key: Any = None
        self._frame_key: Any = None
        self._effects.clear()
        seeded = Random(width * 1000 + height)
        self._sparkles = [
            (seeded.randrange(width), seeded.randrange(height), seeded.random())
            for _ in range(0 if self._tiny else width * height // SPARKLE_CELLS)
        ]
        self._halves = None
        if not self._tiny:
            self._arrange(self._seen_at, False)
            self._follow_profit(self._seen_at, True)

    def see(self, scene: Scene, events: Sequence[Event], now: float) -> None:
        """A new picture and what happened since the last one; the first draws still."""
        first, status = self._scene.status is None, scene.status
        seen = (scene.state, scene.direction, scene.selected, int(scene.price_age_seconds))
        same = not events and status is self._scene.status and seen == self._seen
        self._seen = seen
        if same:
            return
        if scene.selected != self._scene.selected and not first:
            self._chosen_at = now
        self._scene, self._seen_at = scene, now
        if status is not None and self._poll != (status.seq, status.price.at):
            self._poll = (status.seq, status.price.at)
            self._polls.append(still.resting(status))
        if self._tiny:
            return
        before = self._places
        self._arrange(now, not first)
        kept = [one for one in self._effects if self._moves and not one.over(now)]
        self._effects = deque(kept, sprites.EFFECTS_MAX)
        for event in events if self._moves and not first else ():
            self._add(effects_of(event, before, self._places, now), now)
        self._follow_profit(now, first)

    def frame(self, now: float) -> list[Patch]:
        """What changed since the last frame, at real time ``now`` (monotonic seconds)."""
        if self.motion == "eco":
            now -= now % ECO_SECONDS
        if self._tiny:
            self._draw_line()
        elif not self._draw(now):
            return []
        found = patches(self._shown, self._canvas.rows)
        self._shown = self._canvas.rows
        return found

    def row(self, y: int) -> list[Run]:
        """One row of the last frame, exactly ``width`` cells."""
        if y < len(self._shown):
            return runs(self._shown[y])
        return [(" " * self._canvas.width, self._canvas.id("structure on-void"))]

    def move(self, dx: int, dy: int) -> int | None:
        """The slot beside the selected one by geometry; None stays."""
        slots = self._scene.status.slots if self._scene.status else ()
        at = next((i for i, one in enumerate(slots) if one.id == self._scene.selected), None)
        if at is None:
            return slots[0].id if slots else None
        to = at + dx + dy * self._layout.per_line
        return slots[to].id if 0 <= to < len(slots) and to != at else None

    # --- what is where ------------------------------------------------------------------------

    @property
    def _moves(self) -> bool:
        trades = self._scene.state in ("running", "draining")
        trouble = self._look.trouble
        stopped = self._look.level == 3 or (trouble is not None and trouble.name in STOPPING)
        return self.motion != "off" and trades and not stopped

    def _arrange(self, now: float, slides: bool) -> None:
        """Places of everything in the new picture; with ``slides`` things go there by steps."""
        scene, status = self._scene, self._scene.status
        slots = status.slots if status else ()
        chosen = next((i for i, one in enumerate(slots) if one.id == scene.selected), 0)
        self._layout = layout = layout_of(
            self._canvas.width, self._canvas.height, len(slots), chosen
        )
        visible = slots[layout.first : layout.first + layout.shown]
        boxes = {slot.id: layout.box(i) for i, slot in enumerate(visible)}
        trouble = trouble_of(scene) if status is not None and scene.state == "running" else None
        halts = trouble is not None and trouble.name in STOPPING
        ground = still.GROUNDS.get("paused" if halts else scene.state, "on-void")
        marks = still.marks_of(status, layout, boxes, ground) if status else []
        polls = tuple(self._polls) or ((ZERO, ZERO),)
        self._look = still.Look(layout, scene, ground, self._level(), marks, polls, trouble)
        goals, moves = layout.halves(polls), slides and self._moves
        known = self._halves or (Slide(goals[0], goals[0], now), Slide(goals[1], goals[1], now))
        self._halves = known[0].to(goals[0], now, moves), known[1].to(goals[1], now, moves)
        self._slides = {
            mark.id: self._slides.get(mark.id, Slide(mark.offset, mark.offset, now)).to(
                mark.offset, now, moves
            )
            for mark in marks
        }
        self._settled_at = max(one.ends for one in (*self._halves, *self._slides.values()))
        above, below = edges = layout.edges(*goals)
        spots = {}
        for one in marks:
            anchor = above[one.x] // 2 + 1 if one.sell else below[one.x] // 2 - 1
            row = still.mark_row(one, one.offset, edges)
            spots[one.id] = Spot(one.x, row, anchor, one.text)
        counter = self._counter(self._profit.goal)
        corner = still.counter_at(layout, counter) if counter else None
        self._places = Places(spots, self._orphans(status, boxes), boxes, corner)
        self._still_key = self._frame_key = None

    def _level(self) -> int:
        status, age = self._scene.status, self._scene.price_age_seconds
        if status is None or self._scene.state == "gone" or dead(status, age):
            return 3
        ageing, too_old = old_seconds(status)
        return 2 if age > (ageing + too_old) / 2 else 1 if age > ageing else 0

    def _orphans(self, status: Status | None, boxes: dict[int, Any]) -> dict[str, Orphan]:
        """Recoveries have a place of their own choice near their slot, out on the membrane."""
        found = [
            (one, boxes.get(slot.id))
            for slot in (status.slots if status else ())
            for one in slot.recoveries
        ]
        found = sorted(found, key=lambda pair: -pair[0].placed_at)[:ORPHANS_MAX]
        layout, placed = self._layout, {}
        for rank, (one, box) in enumerate(found):
            seeded = Random(one.client_id)
            x = (box.anchors[0] if box else layout.width // 2) + seeded.randint(-9, 9)
            x = max(layout.funnel, min(x, layout.width - 1 - layout.funnel))
            y = layout.outskirts(one.side == "sell", seeded.random())
            hue = sprites.HUES[rank * len(sprites.HUES) // len(found)]
            placed[one.client_id] = Orphan(x, y, hue, seeded.randrange(100))
        return placed

    # --- what happens -------------------------------------------------------------------------

    def _add(self, effects: Any, now: float) -> None:
        for one in effects:
            flying = sum(one.kind == "flight" and not one.over(now) for one in self._effects)
            if one.kind != "flight" or flying < sprites.FLIGHTS_MAX:
                self._effects.append(one)

    def _follow_profit(self, now: float, first: bool) -> None:
        """The counter rolls to the new figure when what was earned has arrived."""
        status = self._scene.status
        if status is None:
            return
        goal = still.profit_of(status)
        flies = any(one.kind == "flight" for one in self._effects)
        if first or not self._moves:
            self._profit = Roll(goal, goal, now)
        elif goal != self._profit.goal:
            began = now + sprites.FLIGHT_SECONDS if flies else now
            self._profit = Roll(self._profit.at(now), goal, began)

    # --- drawing ------------------------------------------------------------------------------

    def _draw(self, now: float) -> bool:
        """Draw the picture anew; False if it is the last one still."""
        moves, full = self._moves, self._moves and self.motion in ("full", "eco")
        live = [one for one in self._effects if moves and one.began <= now and not one.over(now)]
        ticks = (int(now / SPARKLE_SECONDS), int(now / TWINKLE_SECONDS)) if full else (0, 0)
        key = self._still_now(now, moves)
        if not live and (key, ticks) == self._frame_key:
            return False
        self._frame_key = None if live else (key, ticks)
        if key != self._still_key:
            self._still_key = key
            self._draw_still(key)
        canvas, ground = self._canvas, self._look.ground
        canvas.load(self._still)
        if full:
            self._draw_sparkles(ticks[0])
        coming = {(one.to_x, one.to_y) for one in live if one.kind == "morph"}
        for orphan in self._places.orphans.values():
            if (orphan.x, orphan.y) not in coming:
                twinkle = (ticks[1] + orphan.seed) % 3 if full else 0
                tall = self._layout.details
                sprites.orphan(canvas, orphan.x, orphan.y, orphan.hue, twinkle, ground, tall)
        for one in live:
            sprites.draw(canvas, one, now, ground)
        return True

    def _still_now(self, now: float, moves: bool) -> tuple[Any, ...]:
        """What the still layer is drawn from at this moment."""
        halves = self._halves or ()
        if moves and now < self._settled_at:
            sizes = tuple([one.at(now) for one in halves])
            offsets = tuple([self._slides[mark.id].at(now) for mark in self._look.marks])
        else:
            sizes = tuple([one.goal for one in halves])
            offsets = tuple([mark.offset for mark in self._look.marks])
        since = now - self._chosen_at
        flash = moves and 0 <= since < FLASH_SECONDS and int(since / sprites.STEP_SECONDS) % 2 == 0
        alarm = (
            self._scene.state == "halted"
            and self.motion in ("full", "eco")
            and self._look.level < 3
        )
        blink = alarm and int(now / BLINK_SECONDS) % 2 == 1
        return sizes, offsets, self._counter(self._profit.at(now)), flash, blink

    def _counter(self, profit: Decimal) -> str:
        status = self._scene.status
        return still.reading(status, profit) if status and self._layout.counter_rows else ""

    def _draw_still(self, key: tuple[Any, ...]) -> None:
        sizes, offsets, counter, flash, blink = key
        canvas, look = self._canvas, self._look
        still.draw_membrane(canvas, look, sizes)
        still.draw_counter(canvas, look, counter)
        still.draw_marks(canvas, look, offsets, self._layout.edges(*sizes))
        still.draw_slots(canvas, look, self._places.boxes, flash)
        still.draw_volumes(canvas, look)
        words.draw_words(canvas, look)
        words.draw_banner(canvas, look, blink)
        self._still = canvas.rows

    def _draw_sparkles(self, tick: int) -> None:
        """Dots in the gullet that come and go, fewer as the price grows older."""
        lit, layout = (0.6, 0.9, 2.0, 2.0)[self._look.level], self._layout
        for number, (x, y, phase) in enumerate(self._sparkles):
            if sin(2 * pi * (tick / 9 + phase)) <= lit or layout.holds(x, y):
                continue
            if layout.top <= y < layout.bottom and self._canvas.glyph(x, y) == "█":
                self._canvas.put(x, y, "·'."[number % 3], "void on-structure")

    def _draw_line(self) -> None:
        """A picture too small for a picture: pair, price, state and the worst symptom."""
        canvas = self._canvas
        canvas.clear("structure on-void")
        for y, text in enumerate(words.lines(self._scene, canvas.width, canvas.height)):
            canvas.text(0, y, text, "structure on-void")
