"""The factory: machines and furniture told by statuses, moved by time, stirred by events.

``see`` takes what is, ``frame`` lets time pass. All periodic motion follows one clock of ticks that
runs as fast as the mood allows and stands still on a stopped floor; a wheel says which machines a
tick concerns. Machines take in a new status a few per frame, so that no frame is long.
"""

from collections.abc import Callable, Sequence

from gridbot.core.records import Event
from gridbot.engine.status import SlotStatus
from gridbot.tui.factory.board import Board, Cells
from gridbot.tui.factory.contract import Patch, Run, Scene
from gridbot.tui.factory.furniture import PARTICLE_CELLS_PER_SECOND, Furniture
from gridbot.tui.factory.happenings import Happenings
from gridbot.tui.factory.layout import Plan, neighbour, plan
from gridbot.tui.factory.machine import LAMP_PERIOD, LANE_PERIOD, WHEEL, Machine
from gridbot.tui.factory.market import MONEY, Market, market_of
from gridbot.tui.factory.mood import FRESH, Mood, mood_of, written
from gridbot.tui.factory.motion import Effects
from gridbot.tui.factory.styles import StyleTable
from gridbot.tui.factory.tiles import Tiles

TICKS_PER_SECOND = 30
SEEN_PER_FRAME = 16
PACES = {"full": 1.0, "calm": 1.0, "eco": 0.5, "off": 0.0}
BLINK_SECONDS = 0.5
LATE_SECONDS = 0.5  # a longer gap between frames counts as this long
FLASH_SECONDS = 0.3
ROUNDING = 1e-6  # sums of frame times, however many frames


class FactoryFloor:
    """A ``contract.Floor``: the living factory."""

    def __init__(self, styles: StyleTable) -> None:
        self.motion = "full"
        self._styles = styles
        self.board = Board(Tiles(styles).draw)
        self.effects = Effects()
        self.machines: dict[int, Machine] = {}
        self.plan: Plan = plan(0, 0, 0)
        self._scene: Scene | None = None
        self.market = Market(None, 1.0, 1.0, MONEY, "B", 0.0)
        self._mood: Mood = FRESH
        self._opened_at: float | None = None
        self._now = self._time = self._flown = 0.0
        self._tick, self._calm = 0, False
        self._unseen: list[SlotStatus] = []
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._fixed: Cells = {}
        self._wheel: list[list[Callable[[int], None]]] = [[] for _ in range(WHEEL)]
        self._happenings = Happenings(self)
        self.furniture = Furniture(self.board, self.plan)

    # --- contract -----------------------------------------------------------------------

    def resize(self, width: int, height: int) -> None:
        """From now on this large; the next frame is whole."""
        self.board.reset(max(width, 0), max(height, 0))
        self.effects.clear()
        self._build()

    def see(self, scene: Scene, events: Sequence[Event], now: float) -> None:
        """What is, and what happened since the last picture; the first draws still."""
        before, self._scene, self._now = self._scene, scene, max(now, self._now)
        self._opened_at = now if self._opened_at is None else self._opened_at
        still = before is None or before.status is None
        if not still:
            self._happenings.before(events)
        if self._planned() != self.plan:
            self._build()
        self._settle(mood_of(scene, now - self._opened_at))
        self.market = market_of(scene)
        if scene.status is not None and (before is None or scene.status is not before.status):
            self._unseen = [one for one in scene.status.slots if one.id in self.machines]
        self._choose(None if before is None else before.selected)
        self.furniture.see(scene, self._mood)
        if not still:
            self._happenings.after(events)

    def frame(self, now: float) -> list[Patch]:
        """What changed since the last frame."""
        passed = min(max(now - self._now, 0.0), LATE_SECONDS)
        self._now = max(now, self._now)
        self._take_in(SEEN_PER_FRAME)
        if self._later:
            self._do_later()
        self._move(passed)
        if self._mood.blinks:
            self._write()
        if len(self.effects):
            self._lay(self.effects.cells(self._now))
        return self.board.frame()

    def row(self, y: int) -> list[Run]:
        """One row of the last frame."""
        return self.board.row(y)

    def move(self, dx: int, dy: int) -> int | None:
        """The slot beside the selected one; None where the floor ends."""
        slots = self._slots
        index = neighbour(self.plan, len(slots), self._index, dx, dy)
        return None if index is None or not slots else slots[index].id

    @property
    def scrolled(self) -> str:
        """ "12-40/84" when not every slot has room, else empty."""
        first, last = self.plan.shown
        count = len(self._slots)
        return f"{first + 1 if last else 0}-{last}/{count}" if last - first < count else ""

    # --- what stands where --------------------------------------------------------------

    @property
    def _slots(self) -> tuple[SlotStatus, ...]:
        status = self._scene.status if self._scene else None
        return () if status is None else status.slots

    @property
    def _index(self) -> int:
        chosen = self._scene.selected if self._scene else None
        return next((i for i, slot in enumerate(self._slots) if slot.id == chosen), 0)

    def _planned(self) -> Plan:
        scene = self._scene
        drawer = scene is not None and scene.drawer and bool(self._slots)
        size = self.board.width, self.board.height, len(self._slots)
        return plan(*size, drawer, self._index, self.plan.first)

    def _build(self) -> None:
        """Everything anew, in its place."""
        self.board.reset(self.board.width, self.board.height)
        self.plan = self._planned()
        self.furniture = Furniture(self.board, self.plan)
        self._unseen.clear()
        self._later.clear()  # it concerned machines that stand no more
        self._fixed = {}
        slots = self._slots
        self.machines = {
            slots[spot.number].id: Machine(self.board, self.plan.size, spot, slots[spot.number])
            for spot in self.plan.spots
        }
        if self._scene is not None:
            self.market = market_of(self._scene)
            for machine in self.machines.values():
                machine.calm = self._calm
                machine.see(machine.slot, self.market, True)
            self._choose(None)
            self.furniture.see(self._scene, self._mood)
        self._wind()

    def _settle(self, mood: Mood) -> None:
        """Take on a mood; another tint paints everything anew."""
        if mood.tint != self._mood.tint:
            words, washed = mood.tint, self._styles.washed
            self.board.recolour((lambda style: washed(style, words)) if words else None)
        stopped = not mood.pace and self._mood.pace
        self._mood = mood
        if stopped:
            self.effects.clear()
            for machine in self.machines.values():
                machine.still()

    def _choose(self, before: int | None) -> None:
        """Rings beside the selected tile, and whatever is written across the floor."""
        scene = self._scene
        chosen = scene.selected if scene else None
        for machine in self.machines.values():
            if machine.chosen != (machine.slot.id == chosen):
                machine.chosen = machine.slot.id == chosen
                machine.draw()
        if before not in (None, chosen) and chosen in self.machines:
            self.flash(self.machines[chosen])
        self._write()

    def _write(self) -> None:
        fixed = self._written()
        if fixed != self._fixed:
            self._fixed = fixed
            self._lay(self.effects.cells(self._now))

    def _written(self) -> Cells:
        cells: Cells = {}
        scene, board, style = self._scene, self.board, self._styles.id
        chosen = (
            None if scene is None or scene.selected is None else self.machines.get(scene.selected)
        )
        if chosen is not None:
            y, x = chosen.spot.y + chosen.size.height // 2, chosen.spot.x
            cells[y, x - 1] = "»", style("accent bold")
            cells[y, x + chosen.size.width] = "«", style("accent bold")
        turned = self.motion != "off" and int(self._now / BLINK_SECONDS) % 2 == 1
        on_line = bool(self.machines) and self.plan.power_y >= 0
        for n, line in enumerate(written(self._mood, board.width, on_line, turned)):
            runs = [(one, style(words)) for text, words in line for one in text]
            top = 0 if on_line else max((board.height - 3) // 2 - 1, 0)
            left = max((board.width - len(runs)) // 2, 0)
            cells.update(((top + n, left + i), run) for i, run in enumerate(runs))
        return cells

    def _lay(self, flying: Cells) -> None:
        width, height = self.board.width, self.board.height
        every = {**flying, **self._fixed}
        self.board.over = {
            (y, x): run for (y, x), run in every.items() if 0 <= y < height and 0 <= x < width
        }

    # --- time ---------------------------------------------------------------------------

    def _take_in(self, count: int) -> None:
        if not self._unseen:
            return
        still = self.motion == "off" or not self._mood.pace
        turned = False
        for slot in self._unseen[:count]:
            machine = self.machines[slot.id]
            period = machine.turning()
            machine.see(slot, self.market, still)
            turned |= period != machine.turning()
        del self._unseen[:count]
        if turned:
            self._wind()

    def _wind(self) -> None:
        """Say again which machines each tick of the wheel concerns."""
        wheel: list[list[Callable[[int], None]]] = [[] for _ in range(WHEEL)]
        self._wheel = wheel
        for machine in self.machines.values():
            for period, act in ((machine.turning(), machine.turn), (LANE_PERIOD, machine.carry)):
                for tick in range(-machine.offset % period, WHEEL, period):
                    wheel[tick].append(act)
            for tick in range(0, WHEEL, LAMP_PERIOD):
                wheel[tick].append(machine.blink)

    def _move(self, passed: float) -> None:
        pace, calm = PACES[self.motion], self.motion == "calm"
        if pace and self._mood.flow:
            self._flown += passed * pace * self._mood.flow * PARTICLE_CELLS_PER_SECOND
            self.furniture.flow(int(self._flown + ROUNDING))
        if calm != self._calm:
            self._calm = calm
            for machine in self.machines.values():
                machine.soothe(calm)
        pace *= self._mood.pace
        if not pace:
            return
        self._time += passed * pace
        tick = int(self._time * TICKS_PER_SECOND + ROUNDING)
        for late in range(max(self._tick + 1, tick - WHEEL + 1), tick + 1):
            for act in self._wheel[late % WHEEL]:
                act(late)
        if tick != self._tick:
            self._tick = tick
            if not calm:
                self.furniture.step(tick)

    def _do_later(self) -> None:
        due = [act for at, act in self._later if at <= self._now]
        self._later = [one for one in self._later if one[0] > self._now]
        for act in due:
            act()

    # --- for what happens ---------------------------------------------------------------

    @property
    def now(self) -> float:
        return self._now

    @property
    def lively(self) -> bool:
        """Whether anything may fly."""
        return self.motion != "off" and self._mood.pace > 0

    def style(self, words: str) -> int:
        return self._styles.id(words)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something after some real seconds."""
        self._later.append((self._now + seconds, act))

    def flash(self, machine: Machine) -> None:
        """Show a machine's border reversed for a moment."""
        if self.motion == "off":
            return

        def over() -> None:
            machine.flashing = False
            machine.draw()

        machine.flashing = True
        machine.draw()
        self.later(FLASH_SECONDS, over)
