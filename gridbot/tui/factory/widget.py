"""The floor as a Textual widget: a thin one, with its own clock.

It draws nothing itself: a ``contract.Floor`` gives patches, which the painter puts on the
terminal, and rows, from which the compositor's strips are made when it asks. Hidden, it takes no
frame and writes nothing.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import copy_context

from rich.segment import Segment
from textual.geometry import Region, Size
from textual.strip import Strip
from textual.widget import Widget

from gridbot.core.records import Event
from gridbot.tui.factory.contract import Floor, Patch, Scene
from gridbot.tui.factory.floor import FactoryFloor
from gridbot.tui.factory.ladder import Ladder
from gridbot.tui.factory.painter import Painter
from gridbot.tui.factory.styles import StyleTable

PENDING_BYTES_MAX = 1024  # of an earlier frame still on their way: this one is skipped
IDLE_FRAMES, IDLE_FPS = 30, 4  # nothing has moved for so many frames: look less often


class FactoryView(Widget):
    """``show`` it what is; it moves by itself. ``clock`` gives monotonic seconds."""

    can_focus = False

    def __init__(
        self, theme: str = "factory-dark", ascii_only: bool = False, fps: int = 30,
        clock: Callable[[], float] = time.monotonic, depth: str | None = None,
        name: str = "factory",
    ) -> None:  # fmt: skip
        super().__init__(id=name)
        self._look = theme, ascii_only, depth
        self.ladder = Ladder(fps)
        self._clock = clock
        self._strips: dict[int, Strip] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._due, self._idle = 0.0, 0
        self._scene: Scene | None = None
        self.floor: Floor | None = None
        self._floors: dict[bool, Floor] = {}
        self._motion = "full"
        self._fitted = Size(0, 0)
        self.bauhaus = False
        self.broken: Exception | None = None  # what ended the drawing; it stays blank then
        self.frame_ms: list[float] = []  # the latest, for whoever measures

    # --- for the deck -------------------------------------------------------------------

    def show(self, scene: Scene, events: Sequence[Event] = ()) -> None:
        """What is, and what happened since the last time."""
        self._scene = scene
        if self.floor is not None:
            for floor in self._floors.values():  # the hidden one keeps its histories
                floor.see(scene, events, self._clock())
            self.step()
            if self._idle > IDLE_FRAMES and self._timer is not None:
                self._timer.cancel()
                self._beat()

    def move(self, dx: int, dy: int) -> int | None:
        """The slot beside the selected one by geometry."""
        return None if self.floor is None else self.floor.move(dx, dy)

    def motion(self, name: str) -> None:
        """full, eco, calm or off."""
        self._motion = name
        if self.floor is not None:
            self.floor.motion = name

    def toggle(self) -> None:
        """Between factory and Bauhaus."""
        self.bauhaus = not self.bauhaus
        if self.floor is not None:  # else it comes up that way
            self._open()
            self.refresh()

    @property
    def scrolled(self) -> str:
        """Such as 12-40/84 where not all machines are seen."""
        return self.floor.scrolled if isinstance(self.floor, FactoryFloor) else ""

    # --- Textual ------------------------------------------------------------------------

    def on_mount(self) -> None:
        self._dress()
        self._surroundings, self._events_loop = copy_context(), asyncio.get_running_loop()
        self._due = self._clock()
        self._open()
        self._beat()

    def restyle(self, theme: str, ascii_only: bool, fps: int) -> None:
        """Go on in another theme, with other glyphs, at another pace."""
        self._look, self.ladder = (theme, ascii_only, self._look[2]), Ladder(fps)
        self._dress()
        self._open()
        self.refresh()

    def _dress(self) -> None:
        theme, ascii_only, depth = self._look
        depth = depth or ("none" if self.app.no_color else self.app.console.color_system or "none")
        self.styles_table = StyleTable(theme, depth, ascii_only)
        self.painter = Painter(self, self.styles_table)
        self._floors.clear()

    def on_unmount(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def on_resize(self) -> None:
        self.refresh()

    def _fit(self) -> None:
        """Make the floor as large as the widget; asked before every use, for the compositor
        paints a new size before it tells us."""
        if self.floor is not None and self._fitted != self.size:
            self._fitted = self.size
            self.floor.resize(*self.size)
            self._strips.clear()
            self.floor.frame(self._clock())

    def render_lines(self, crop: Region) -> list[Strip]:
        """Strips as the compositor wants them, kept until their row changes."""
        try:
            self._fit()
            strips = [self._strip(y) for y in range(crop.y, crop.bottom)]
        except Exception as error:  # it would end the screen
            self.broken = error
            return [Strip.blank(crop.width)] * crop.height
        if crop.x or crop.width != self.size.width:
            return [strip.crop(crop.x, crop.right) for strip in strips]
        return strips

    def _strip(self, y: int) -> Strip:
        strip = self._strips.get(y)
        if strip is None:
            strip = self._strips[y] = self._make(y)
        return strip

    def _make(self, y: int) -> Strip:
        width, table = self.size.width, self.styles_table
        if self.floor is None or y >= self.size.height:
            return Strip.blank(width, table.rich(0))
        runs = self.floor.row(y)
        return Strip(
            [Segment(table.glyphs(text), table.rich(style)) for text, style in runs], width
        )

    # --- frames -------------------------------------------------------------------------

    def _open(self) -> None:
        """A floor of the chosen kind at the size we have."""
        if self.bauhaus not in self._floors:
            self._floors[self.bauhaus] = _floor(self.bauhaus, self.styles_table)
        self.floor = self._floors[self.bauhaus]
        self.floor.motion = self._motion
        if self._scene is not None:
            self.floor.see(self._scene, (), self._clock())
        self._fitted = Size(0, 0)
        self._fit()

    def step(self) -> None:
        """One frame now, if anybody can see it."""
        if self.floor is None or self.broken or not self.size.area or not self.in_sight:
            return
        try:
            self._frame(self.floor)
        except Exception as error:
            self.broken = error

    def _frame(self, floor: Floor) -> None:
        if self._fitted != self.size:
            self.refresh()
        self._fit()
        patches = floor.frame(self._clock())
        self._idle = 0 if patches else self._idle + 1
        self._forget(patches)
        self.painter.paint(patches)

    @property
    def in_sight(self) -> bool:
        """Shown, on the top screen, and not scrolled or switched away."""
        return self.is_attached and self.display and self.app.screen is self.screen and all(
            one.display for one in self.ancestors if isinstance(one, Widget)
        )  # fmt: skip

    def _forget(self, patches: Sequence[Patch]) -> None:
        for one in patches:
            self._strips.pop(one.y, None)

    def _beat(self) -> None:
        """One beat of the clock: a frame unless the terminal is behind; never catches up."""
        now = self._clock()
        late, spent = max(now - self._due, 0.0), time.thread_time()
        outbox = getattr(self.app._driver, "outbox", None)
        skipped = outbox is not None and outbox.pending > PENDING_BYTES_MAX
        if not skipped:
            self._surroundings.run(self.step)
        if outbox is not None and outbox.lost and outbox.found():
            self._surroundings.run(self.screen.refresh)
        cost = time.thread_time() - spent
        self.frame_ms.append(cost * 1000)
        del self.frame_ms[:-300]
        self.ladder.note(now, cost, late, skipped)
        fps = min(self.ladder.fps, IDLE_FPS) if self._idle > IDLE_FRAMES else self.ladder.fps
        self._due = max(self._due + 1 / fps, self._clock())
        self._timer = self._events_loop.call_later(self._due - self._clock(), self._beat)


def _floor(bauhaus: bool, table: StyleTable) -> Floor:
    if not bauhaus:
        return FactoryFloor(table)
    from gridbot.tui.factory.bauhaus import BauhausFloor  # for the few who look

    return BauhausFloor(table)
