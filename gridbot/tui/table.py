"""The slots table: one line per slot, columns dropped from the least needed when room is short."""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from gridbot.core.numbers import ZERO
from gridbot.engine.status import SlotStatus, WaitingStatus
from gridbot.tui.cells import Line, Run, cell, clock, fit, length, money, span, tone, window
from gridbot.tui.view import View

STATUS_CELLS_MIN = 12
TOTAL_ROWS_MIN = 9  # below this height every line is needed for slots
NO_SLOTS = "no slots yet: + adds one, :add cycle for the other kind"


class Column(NamedTuple):
    """``rank``: the highest go first when the table is narrow."""

    title: str
    width: int
    rank: int
    right: bool
    draw: Callable[[SlotStatus, View], Run]


def _kind(slot: SlotStatus, view: View) -> Run:
    return (slot.kind[:1].upper(), "accent" if slot.kind == "sticky" else "cycle")


def _last(slot: SlotStatus, view: View) -> Run:
    return (span(view.engine_now - slot.last_fill_at) if slot.last_fill_at else "-", "dim")


COLUMNS = (
    Column("ID", 3, 0, True, lambda slot, view: (str(slot.id), "title")),
    Column("ALIAS", 8, 3, False, lambda slot, view: (slot.alias, "text")),
    Column("K", 1, 1, False, _kind),
    Column("PH", 3, 1, False, lambda slot, view: (slot.phase, slot.phase)),
    Column("PROFIT", 7, 2, True, lambda slot, view: _amount(slot.realised + slot.write_offs)),
    Column("UNREAL", 7, 5, True, lambda slot, view: _amount(slot.unrealised)),
    Column("CYC", 4, 6, True, lambda slot, view: (str(slot.round_trips), "text")),
    Column("ORD", 3, 4, True, lambda slot, view: (str(len(slot.orders)), "text")),
    Column("REC", 3, 7, True, lambda slot, view: (str(len(slot.recoveries) or "·"), "text")),
    Column("LAST", 5, 8, True, _last),
)


def _amount(value: Decimal) -> Run:
    return (money(value, 7), tone(value))


def columns_for(width: int) -> list[Column]:
    """The columns that leave the status enough room."""
    kept = list(COLUMNS)
    while len(kept) > 2 and 2 + sum(one.width + 1 for one in kept) + STATUS_CELLS_MIN > width:
        kept.remove(max(kept, key=lambda one: one.rank))
    return kept


def slots_table(view: View, width: int, height: int) -> list[Line]:
    """The whole widget: titles, the visible slots, totals where there is room."""
    columns = columns_for(width)
    titles = " ".join(cell(one.title, one.width, one.right) for one in columns)
    rows: list[Line] = [fit([("  " + titles + " STATUS", "dim bar")], width)]
    if view.body is None:
        waited = span(view.now - view.began_at)
        return [*rows, [], [(f"  waiting for the first snapshot, {waited}", "dim")]]
    if not view.slots:
        return [*rows, [], [("  " + NO_SLOTS, "text")]]
    total = height >= TOTAL_ROWS_MIN
    room = max(height - 1 - 2 * total, 1)
    view.first = window(view.first, view.index, room, len(view.slots))
    shown, dimmed = view.slots[view.first :][:room], view.dimmed
    rows += [_slot_row(view, slot, columns, width, dimmed) for slot in shown]
    if total:
        rows += [[]] * (room + 1 - len(rows))
        rows += [fit([("─" * width, "dim")], width), _total_row(view, columns, width)]
    return rows


def _slot_row(
    view: View, slot: SlotStatus, columns: list[Column], width: int, dimmed: bool
) -> Line:
    chosen = slot.id == view.selected
    row: Line = [("» " if chosen else "  ", "accent")]
    for one in columns:
        text, style = one.draw(slot, view)
        row += [(cell(text, one.width, one.right), style), (" ", "")]
    lamp, style, text = condition(slot)
    text = cell(text, max(width - length(row) - 2, 0))
    row += [(f"{lamp} ", style), (text, "text" if style == "good" else style)]
    if dimmed:
        row = [(text, "dim") for text, _ in row]
    row = fit(row, width)
    return [(text, f"{style} select") for text, style in row] if chosen else row


def condition(slot: SlotStatus) -> tuple[str, str, str]:
    """The slot's lamp, its style, and in words why it waits or that it works."""
    if slot.quarantined:
        return "■", "bad", f"quarantined: {slot.quarantined}"
    if slot.paused:
        return "▲", "warn", "paused"
    unknown = next((order for order in slot.orders if order.state == "unknown"), None)
    if unknown is not None:
        return "▲", "warn", f"{unknown.trade} outcome unknown"
    if slot.waiting:
        return "◆", "warn", "; ".join(waiting_text(one) for one in slot.waiting)
    if not slot.orders:
        return "○", "dim", "no orders"
    due = "" if slot.deadline_at is None else f", due {clock(slot.deadline_at, short=True)}"
    return "●", "good", f"ok{due}"


def waiting_text(wait: WaitingStatus) -> str:
    """Why one trade of a slot waits, and until when."""
    until = "" if wait.until is None else f" until {clock(wait.until)}"
    return f"{wait.trade} {wait.reason}{': ' if wait.text else ''}{wait.text}{until}"


def _total_row(view: View, columns: list[Column], width: int) -> Line:
    slots = view.slots
    sums: dict[str, Run] = {
        "ALIAS": ("total", "dim"),
        "PROFIT": _amount(sum((one.realised + one.write_offs for one in slots), ZERO)),
        "UNREAL": _amount(sum((one.unrealised for one in slots), ZERO)),
        "CYC": (str(sum(one.round_trips for one in slots)), "text"),
        "ORD": (str(sum(len(one.orders) for one in slots)), "text"),
        "REC": (str(sum(len(one.recoveries) for one in slots)), "text"),
    }
    row: Line = [("  ", "")]
    for one in columns:
        text, style = sums.get(one.title, ("", ""))
        row += [(cell(text, one.width, one.right), style), (" ", "")]
    return fit(row, width)
