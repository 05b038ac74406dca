"""The factory: the living floor where there is one, else a still tile for each slot."""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gridbot.engine.actions import CommandError
from gridbot.engine.status import SlotStatus
from gridbot.tui.body import Body
from gridbot.tui.cells import Line, cell, dim, money, tone, window
from gridbot.tui.detail import LEDGER_ROWS, detail
from gridbot.tui.factory.contract import Scene
from gridbot.tui.table import KINDS, NO_SLOTS, condition

if TYPE_CHECKING:
    from textual.widget import Widget

FLOOR = "gridbot.tui.factory.widget"
TILE_CELLS, TILE_ROWS = 14, 4
FRAMES = {"sticky": "┏━┓┃┗┛", "cycle": "╭─╮│╰╯"}


class FactoryBody(Body):
    """The floor is shown what is; it moves by itself. Still tiles stand in slot order, so many in a
    row as fit. h j k l go by the places of either."""

    name = "factory"
    columns = 1
    first = 0  # row of tiles
    _ledger_of: tuple[int, int] | None = None
    _floor: Any = None
    _told = 0  # the last event the floor was shown

    def widget(self) -> "Widget | None":
        if find_spec(FLOOR) is None:
            return None
        look = self.view.look
        self._floor = import_module(FLOOR).FactoryView(*look.drawn, max(look.fps, 1))
        made: Widget = self._floor
        return made

    @property
    def bauhaus(self) -> bool:
        """Whether the floor is drawn the other way."""
        return self._floor is not None and bool(self._floor.bauhaus)

    def leave(self) -> bool:
        return self.bauhaus and bool(self._floor.toggle())

    def do_bauhaus(self) -> None:
        if self._floor is None or not self._floor.toggle():
            raise CommandError("E89", "this floor has no Bauhaus")

    def draw(self, width: int, height: int) -> list[Line]:
        view, slots = self.view, self.view.slots
        if not slots:
            return [[], [(f"  {view.waited if view.body is None else NO_SLOTS}", "dim")]]
        drawer = detail(view, width, False)[: height // 2] if view.drawer else []
        height -= len(drawer)
        self.columns = max(width // (TILE_CELLS + 1), 1)
        room, count = max(height // TILE_ROWS, 1), -(-len(slots) // self.columns)
        self.first = window(self.first, view.index // self.columns, room, count)
        rows: list[Line] = []
        for row in range(self.first, min(self.first + room, count)):
            tiles = [self._tile(one) for one in slots[row * self.columns :][: self.columns]]
            rows += [[run for tile in tiles for run in tile[y]] for y in range(TILE_ROWS)]
        rows = [dim(row) for row in rows] if view.dimmed else rows
        return [*rows, *[[]] * (height - len(rows)), *drawer]

    def _tile(self, slot: SlotStatus) -> list[Line]:
        view, inner, (letter, kind) = self.view, TILE_CELLS - 3, KINDS[slot.kind]
        left_top, bar, right_top, side, left_foot, right_foot = [*FRAMES[slot.kind]]
        chosen = slot.id == view.selected
        style, mark = ("title", "»") if chosen else (kind, " ")
        lamp, lamp_style, _ = condition(slot)
        title = f"[{letter}]{slot.id:>3} {slot.phase}"
        foot = f" {money(slot.realised + slot.write_offs, 7)} "
        name = (cell(slot.alias, inner - 2), "text")
        orders = f"{len(slot.orders)} ord {len(slot.recoveries)} rec"
        return [
            [(f" {left_top}{title:{bar}<{inner}}{right_top}", style)],
            [(f"{mark}{side}", style), name, (f"{lamp} ", lamp_style), (side, style)],
            [(f" {side}", style), (cell(orders, inner), "dim"), (side, style)],
            [(f" {left_foot}", style), (f"{foot:{bar}^{inner}}", tone(slot.realised)),
             (right_foot, style)],
        ]  # fmt: skip

    def tick(self) -> None:
        """Read the ledger of the slot in the drawer, after news."""
        slot, body = self.view.slot, self.view.body
        if self.view.drawer and slot is not None and body is not None:
            key = slot.id, body.events_last_id
            if key != self._ledger_of:
                self.view.ledger, self._ledger_of = self.client.ledger(slot.id, LEDGER_ROWS), key
        if self._floor is not None:
            self._show_floor()

    def _show_floor(self) -> None:
        view, news = self.view, self.client.events(self._told)
        self._told = news[-1].id if news else self._told
        scene = Scene(
            view.body, view.state, view.engine_now, view.price_age_seconds, view.direction,
            view.selected, view.drawer,
        )  # fmt: skip
        self._floor.motion(view.motion)
        self._floor.show(scene, news)

    def do_side(self, by: int, count: int = 1) -> None:
        if self._floor is None:
            self.view.move(by * count)
        for _ in range(count if self._floor is not None else 0):
            self.view.select(self._floor.move(by, 0) or 0)

    def do_move(self, by: int, count: int = 1) -> None:
        """Up and down in the same column, as far as there are tiles."""
        slots, last = self.view.slots, len(self.view.slots) - 1
        if slots and abs(by) > 1:
            self.view.move(by)
        elif self._floor is not None:
            for _ in range(count):
                self.view.select(self._floor.move(0, by) or 0)
        elif slots and 0 <= (index := self.view.index + by * count * self.columns) <= last:
            self.view.selected = slots[index].id
