"""The slots view: the table, under or beside it the pane of the selected slot, and what they hold.

Its cursor is the screen's selected slot; Tab walks on into the slot's orders, recoveries and
ledger, where the cursor names the order that close and write-off mean (``View.target``).
"""

import msgspec

from gridbot.core.records import LedgerEntry
from gridbot.engine.actions import CommandError
from gridbot.engine.client import EngineClient
from gridbot.tui import detail
from gridbot.tui.body import Body
from gridbot.tui.cells import Line, cell, clock, fit, length, money, span, spread, tone, whole
from gridbot.tui.charts import bar
from gridbot.tui.detail import LISTS, Cursor
from gridbot.tui.table import Table, words_of
from gridbot.tui.view import View

WIDE_CELLS = 100
PANE_CELLS = (52, 64)  # beside the table: at least, at most
INFO_ROWS_MIN, SUMMARY_ROWS_MIN = 16, 11
TABLE_ROWS_MIN = 5
BARS_ROWS_MIN, BAR_CELLS = 4, 40
LEDGER_READ = 40


class SlotsBody(Body):
    """``pane``: open, closed, or None as the width suggests."""

    name = "slots"

    def __init__(self, view: View, client: EngineClient) -> None:
        super().__init__(view, client)
        self.table, self.cursor = Table(view), Cursor()
        self.pane: bool | None = None
        self._pane_shown = False
        self._ledger_of: tuple[int, int] | None = None
        self._slot_of_cursor: int | None = None
        self.tick()

    def tick(self) -> None:
        """Keep the cursor on what is shown, and read the slot's ledger after news."""
        self._keep_in_sight()
        view, body, slot = self.view, self.view.body, self.view.slot
        if body is not None and slot is not None:
            key = slot.id, body.events_last_id
            if key != self._ledger_of:
                view.ledger, self._ledger_of = self.client.ledger(slot.id, LEDGER_READ), key
        self._aim()

    def close(self) -> None:
        self.view.target = ""

    @property
    def selected_order(self) -> str | None:
        """The waiting exit ("8.A") or recovery ("8.2") that close and write-off mean."""
        return detail.target(self.view.slot, self.cursor) or None

    def _keep_in_sight(self) -> None:
        """What the filter hides is not acted on: the nearest slot shown is selected, or none."""
        shown = self.table.chosen
        if shown and self.view.selected not in [one.id for one in shown]:
            self.table.move(0)
        elif not shown:
            self.view.selected = None

    def _aim(self) -> None:
        """The cursor belongs to one slot, and stays on the rows there are."""
        if self._slot_of_cursor != self.view.selected:
            self._slot_of_cursor = self.view.selected
            self.cursor = self.cursor._replace(row=0)
        rows = detail.count(self.view, self.cursor.list)
        self.cursor = self.cursor._replace(row=max(min(self.cursor.row, rows - 1), 0))
        self.view.target = self.selected_order or ""

    # --- what the operator asks of it ---------------------------------------------------------

    def do_move(self, by: int, count: int = 1) -> None:
        if self.cursor.list == "slots":
            self.table.move(by * count)
        else:
            self.cursor = self.cursor._replace(row=max(self.cursor.row + by * count, 0))
        self._aim()

    def do_page(self, halves: int, count: int = 1) -> None:
        self.do_move(max(self.table.room // 2, 1), halves * count)

    def do_last(self, count: int | None = None) -> None:
        if count is None:
            self.do_move(10**6)
        elif not self.view.select(count):
            raise CommandError("E30", f"no slot {count}")
        self._aim()

    def do_step_slot(self, by: int, count: int = 1) -> None:
        """To the next slot of the table, wherever the cursor is."""
        self.table.move(by * count)
        self._aim()

    do_side = do_step_slot

    def do_edge(self, at: str) -> None:
        """To the top, middle or bottom row that is shown."""
        shown = self.table.chosen[self.table.first :][: self.table.room]
        if shown:
            row = {"top": 0, "middle": len(shown) // 2, "bottom": len(shown) - 1}[at]
            self.view.selected = shown[row].id
        self._aim()

    def do_pane(self, by: int = 1) -> None:
        """To the next list: slots, orders, recoveries, ledger; those without a row are left out."""
        names = [one for one in LISTS if one == "slots" or detail.count(self.view, one)]
        at = names.index(self.cursor.list) if self.cursor.list in names else 0
        self.cursor = Cursor(names[(at + by) % len(names)])
        self.pane = True if self.cursor.list != "slots" else self.pane
        self._aim()

    def do_detail(self) -> None:
        self.pane = not self._pane_shown
        self.cursor = Cursor() if not self.pane else self.cursor
        self._aim()

    do_detail_open = do_detail

    def leave(self) -> bool:
        """One level back, if there is one: out of a list, the filter, the pane."""
        if self.cursor.list != "slots":
            self.cursor = Cursor()
        elif self.table.filter:
            self.do_filter_clear()
        elif self.pane and self.pane is not None:
            self.pane = None
        else:
            return False
        self._aim()
        return True

    def do_filter(self, text: str = "") -> None:
        self.table.set_filter(text)
        self._keep_in_sight()
        self._aim()

    def do_filter_clear(self) -> None:
        self.table.set_filter("")

    def do_find(self, text: str) -> None:
        self.table.find(text, 1)
        self._aim()

    def do_find_next(self, by: int = 1) -> None:
        if not self.table.sought:
            raise CommandError("E83", "nothing to find yet: / asks for a text")
        self.table.find(self.table.sought, by)
        self._aim()

    def do_sort(self, by: int) -> None:
        self.table.sort_next(by)

    def do_sort_by(self, column: str, desc: bool | str = False) -> None:
        self.table.sort_by(column, bool(desc))

    def do_sort_reverse(self) -> None:
        self.table.descending = not self.table.descending

    def do_centre(self) -> None:
        self.table.centred = True

    def do_copy(self, what: str = "row") -> str:
        slot = self.view.slot
        if slot is None:
            raise CommandError("E30", "no slot to copy")
        entry = self._entry
        if what == "txid":
            self.view.clipboard = entry.txid if entry else self._txid()
            return f"{self.view.clipboard} copied"
        thing = entry or slot
        self.view.clipboard = msgspec.json.encode(thing).decode()
        if what == "row":
            values = msgspec.to_builtins(entry).values() if entry else words_of(slot, self.view)
            plain = (one for one in values if not isinstance(one, list | tuple | dict))
            self.view.clipboard = "\t".join(map(str, plain))
        return f"{'ledger entry' if entry else 'slot'} {thing.id} copied"

    @property
    def _entry(self) -> LedgerEntry | None:
        """The entry the cursor is on."""
        entries = self.view.ledger
        in_ledger = self.cursor.list == "ledger" and self.cursor.row < len(entries)
        return entries[-1 - self.cursor.row] if in_ledger else None

    def _txid(self) -> str:
        slot, name = self.view.slot, self.cursor.list
        orders = () if slot is None else slot.recoveries if name == "recoveries" else slot.orders
        if not orders or not (txid := orders[min(self.cursor.row, len(orders) - 1)].exchange_id):
            raise CommandError("E30", "no order with a txid here")
        return txid

    # --- drawing ------------------------------------------------------------------------------

    def draw(self, width: int, height: int) -> list[Line]:
        wide = width >= WIDE_CELLS
        self._pane_shown = bool(self.view.slots) and (wide if self.pane is None else self.pane)
        if not self._pane_shown:
            return self._left(width, height, SUMMARY_ROWS_MIN)
        if not wide:
            return self._stacked(width, height)
        cells = max(PANE_CELLS[0], min(PANE_CELLS[1], width * 5 // 11))
        left = self._left(width - cells, height, height + 1)
        right = _in_sight(detail.detail(self.view, cells, True, self.cursor), height)
        left += [[]] * (height - len(left))
        return [
            [*_exact(one, width - cells), *_exact(other, cells)]
            for one, other in zip(left[:height], right, strict=False)
        ]

    def _stacked(self, width: int, height: int) -> list[Line]:
        rule, *pane = detail.detail(self.view, width, False, self.cursor)
        room = min(max(height - len(pane) - 1, height // 3, TABLE_ROWS_MIN), height)
        table = self.table.draw(width, room)[:room]
        pane = _in_sight(pane, height - room - 1)
        return [*table, *[[]] * (room - len(table)), rule, *pane][:height]

    def _left(self, width: int, height: int, summary_from: int) -> list[Line]:
        """The table, what it is filtered by, and what there is room for under it."""
        below = detail.summary(self.view, width) if height >= summary_from else []
        info = [self._info(width)] if height >= INFO_ROWS_MIN or self.table.filter else []
        room = max(height - len(info) - len(below), 2)
        rows = self.table.draw(width, room)
        spare = room - len(rows)
        rows += self._bars(width, spare - 2)
        if spare and self.view.marked:
            names = ", ".join(map(str, sorted(self.view.marked)))
            rows += [[]] * (room - len(rows) - 1) + [[("  marks: ", "dim"), (names, "accent")]]
        rows = rows[:room]
        return [*info, *rows, *[[]] * (room - len(rows)), *below][:height]

    def _info(self, width: int) -> Line:
        table, view, shown = self.table, self.view, len(self.table.chosen)
        filtered = [(0, f" filter {table.filter} ", "accent"), (3, " F clears ", "dim")]
        arrow = "↓" if table.descending else "↑"
        left = [
            *(filtered if table.filter else [(3, " filter none ", "dim")]),
            (1, f"  sort {table.sort} {arrow}", "text"),
            (2, f"  {shown} of {len(view.slots)} slots", "text"),
            (4, f"  {len(view.marked)} marked" if view.marked else "", "accent"),
        ]  # fmt: skip
        old = view.state == "gone" and view.live is not None
        text = f"picture of {clock(view.seen_at)}, {span(view.now - view.seen_at)} old "
        return spread(left, [(0, text, "warn")] if old else [], width)

    def _bars(self, width: int, rows: int) -> list[Line]:
        """Profit of the best and the worst slots."""
        slots = sorted(self.table.chosen, key=lambda one: -(one.realised + one.write_offs))
        if rows < BARS_ROWS_MIN or not slots:
            return []
        if len(slots) > rows - 1:
            slots = [*slots[: rows // 2], *slots[len(slots) - (rows - 1 - rows // 2) :]]
        figures = [one.realised + one.write_offs for one in slots]
        most, cells = max(map(abs, figures)), max(min(width - 24, BAR_CELLS), 1)
        lines: list[Line] = [[], [("  PROFIT PER SLOT", "title")]]
        for slot, net in zip(slots, figures, strict=True):
            name = cell(slot.alias or f"slot {slot.id}", 9)
            share = float(abs(net) / most) if most else 0.0
            lines.append(whole([
                (f"  {name} ", "text"), (f"{money(net, 8):>8} ", tone(net)),
                (bar(share, cells, " "), tone(net)),
            ], width))  # fmt: skip
        return lines


def _exact(row: Line, width: int) -> Line:
    """Most rows fit already: looking is cheaper than fitting."""
    return row if length(row) == width else fit(row, width)


def _in_sight(rows: list[Line], room: int) -> list[Line]:
    """The pane's rows from the first on, or scrolled so far that the cursor's row is seen."""
    marked = (i for i, row in enumerate(rows) if any("select" in style for _, style in row))
    at = next(marked, 0)
    return rows[max(at - room + 2, 0) :] if at >= room else rows
