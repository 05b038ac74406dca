"""The slots table: one line per slot, columns dropped from the least needed when room is short."""

from collections.abc import Callable
from typing import NamedTuple

from gridbot.core.numbers import ZERO
from gridbot.engine.status import SlotStatus, WaitingStatus
from gridbot.tui.cells import Line, Run, amount, cell, clock, dim, fit, length, span, window
from gridbot.tui.view import View

STATUS_CELLS_MIN = 12
TOTAL_ROWS_MIN = 9  # below this height every line is needed for slots
NO_SLOTS = "no slots yet: + adds one, :add cycle for the other kind"
KINDS = {"sticky": ("S", "accent"), "cycle": ("C", "cycle")}


class Column(NamedTuple):
    """``rank``: the highest go first when the table is narrow. ``sum`` is drawn under it."""

    title: str
    width: int
    rank: int
    right: bool
    draw: Callable[[SlotStatus, View], Run]
    sum: Callable[[tuple[SlotStatus, ...]], Run] = lambda slots: ("", "")


COLUMNS = (
    Column("ID", 3, 0, True, lambda slot, view: (str(slot.id), "title")),
    Column("ALIAS", 8, 3, False, lambda slot, view: (slot.alias, "text"),
           lambda slots: ("total", "dim")),
    Column("K", 1, 1, False, lambda slot, view: KINDS[slot.kind]),
    Column("PH", 3, 1, False, lambda slot, view: (slot.phase, slot.phase)),
    Column("PROFIT", 7, 2, True, lambda slot, view: amount(slot.realised + slot.write_offs, 7),
           lambda slots: amount(sum((one.realised + one.write_offs for one in slots), ZERO), 7)),
    Column("UNREAL", 7, 5, True, lambda slot, view: amount(slot.unrealised, 7),
           lambda slots: amount(sum((one.unrealised for one in slots), ZERO), 7)),
    Column("CYC", 4, 6, True, lambda slot, view: (str(slot.round_trips), "text"),
           lambda slots: (str(sum(one.round_trips for one in slots)), "text")),
    Column("ORD", 3, 4, True, lambda slot, view: (str(len(slot.orders)), "text"),
           lambda slots: (str(sum(len(one.orders) for one in slots)), "text")),
    Column("REC", 3, 7, True, lambda slot, view: (str(len(slot.recoveries) or "·"), "text"),
           lambda slots: (str(sum(len(one.recoveries) for one in slots)), "text")),
    Column("LAST", 5, 8, True, lambda slot, view: (
        span(view.engine_now - slot.last_fill_at) if slot.last_fill_at else "-", "dim")),
)  # fmt: skip


def slots_table(view: View, width: int, height: int) -> list[Line]:
    """The whole widget: titles, the visible slots, totals where there is room."""
    columns = list(COLUMNS)
    while len(columns) > 2 and 2 + sum(one.width + 1 for one in columns) + STATUS_CELLS_MIN > width:
        columns.remove(max(columns, key=lambda one: one.rank))
    titles = " ".join(cell(one.title, one.width, one.right) for one in columns)
    rows: list[Line] = [fit([(f"  {titles} STATUS", "dim bar")], width)]
    if view.body is None:
        return [*rows, [], [(f"  {view.waited}", "dim")]]
    if not view.slots:
        return [*rows, [], [(f"  {NO_SLOTS}", "text")]]
    total = height >= TOTAL_ROWS_MIN
    room = max(height - 1 - 2 * total, 1)
    view.first = window(view.first, view.index, room, len(view.slots))
    shown, dimmed = view.slots[view.first :][:room], view.dimmed
    rows += [_slot_row(view, slot, columns, width, dimmed) for slot in shown]
    if total:
        rows += [[]] * (room + 1 - len(rows))
        sums = _cells(columns, [one.sum(view.slots) for one in columns])
        rows += [fit([("─" * width, "dim")], width), fit([("  ", ""), *sums], width)]
    return rows


def _cells(columns: list[Column], runs: list[Run]) -> Line:
    row: Line = []
    for one, (text, style) in zip(columns, runs, strict=True):
        row += [(cell(text, one.width, one.right), style), (" ", "")]
    return row


def _slot_row(
    view: View, slot: SlotStatus, columns: list[Column], width: int, dimmed: bool
) -> Line:
    chosen, (lamp, style, text) = slot.id == view.selected, condition(slot)
    row = [("» " if chosen else "  ", "accent")]
    row += _cells(columns, [one.draw(slot, view) for one in columns])
    text = cell(text, max(width - length(row) - 2, 0))
    row += [(f"{lamp} ", style), (text, "text" if style == "good" else style)]
    row = fit(dim(row) if dimmed else row, width)
    return [(text, f"{style} select") for text, style in row] if chosen else row


def condition(slot: SlotStatus) -> tuple[str, str, str]:
    """The slot's lamp, its style, and in words why it waits or that it works."""
    if slot.quarantined:
        return "■", "bad", f"quarantined: {slot.quarantined}"
    if slot.paused:
        return "▲", "warn", "paused"
    for order in slot.orders:
        if order.state == "unknown":
            return "▲", "warn", f"{order.trade} outcome unknown"
    if slot.waiting:
        return "◆", "warn", "; ".join(map(waiting_text, slot.waiting))
    if not slot.orders:
        return "○", "dim", "no orders"
    due = "" if slot.deadline_at is None else f", due {clock(slot.deadline_at, short=True)}"
    return "●", "good", f"ok{due}"


def waiting_text(wait: WaitingStatus) -> str:
    """Why one trade of a slot waits, and until when."""
    until = "" if wait.until is None else f" until {clock(wait.until)}"
    return f"{wait.trade} {wait.reason}{': ' if wait.text else ''}{wait.text}{until}"
