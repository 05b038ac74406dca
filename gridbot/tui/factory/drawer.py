"""The drawer under the floor: the selected machine in words."""

from gridbot.core.numbers import ZERO
from gridbot.engine.status import OrderStatus, SlotStatus, Status
from gridbot.tui.cells import Line, amount, cell, clean, money, span, tone
from gridbot.tui.factory.panels import box, padded
from gridbot.tui.factory.tiles import gauge
from gridbot.tui.symptoms import JAM_SHARE, time_used

HEADED_ROWS_MIN = 4  # of content
HEADINGS = (" id    side role     price      dist    age", "account", "recent round trips")


def drawer(status: Status, slot: SlotStatus, now: float, width: int, rows: int) -> list[Line]:
    """The selected machine in words: orders, recoveries, cycles, account."""
    letter, kind = ("S", "accent") if slot.kind == "sticky" else ("C", "cycle")
    waits = "; ".join(f"{w.trade} waits: {w.reason} {clean(w.text)}".strip() for w in slot.waiting)
    columns = [_orders(status, slot, now)]
    if width >= 80:
        columns.append(_account(slot))
    if width >= 112:
        columns.append(_cycles(slot, now))
    widths = [width - 2 - 26 * (len(columns) - 1), 26, 26]
    head: Line = [(f" {slot.id} {clean(slot.alias)} ", "title"), (f"[{letter}] {slot.kind} ", kind),
                  (f" {slot.phase} ", f"{slot.phase} bold"), *_due(slot, now),
                  (f"  {waits}", "warn")]  # fmt: skip
    content: list[Line] = []
    tall = max(rows - 3, 0)
    if tall >= HEADED_ROWS_MIN:
        heads = zip(HEADINGS, widths[: len(columns)], strict=False)
        content.append([one for text, room in heads for one in padded([(text, "dim")], room)])
    columns = [_counted(column, tall - len(content)) for column in columns]
    for n in range(tall - len(content)):
        row: Line = []
        for column, room in zip(columns, widths, strict=False):
            row += padded(column[n] if n < len(column) else [], room)
        content.append(row)
    foot = " Esc close  Enter full detail ─" if width > 60 else ""
    return box("", [head, *content], width, "accent", foot)[: max(rows, 0)]


def _due(slot: SlotStatus, now: float) -> Line:
    """How long a waiting exit has, and how much of its time it has used."""
    if slot.deadline_at is None:
        return []
    line = [(f" due in {span(slot.deadline_at - now)} ", "warn")]
    if slot.deadline_seconds:
        used = time_used(slot, now)
        (lit, dark), words = gauge(10, used), "bad" if used >= JAM_SHARE else "warn"
        waited, whole = span(used * slot.deadline_seconds), span(slot.deadline_seconds)
        line = [(f" {waited} of {whole} ", "warn"), (lit, words), (dark, "dim"),
                (f" {used:.0%}", words)]  # fmt: skip
    return line


def _counted(lines: list[Line], rows: int) -> list[Line]:
    """The lines, or as many as there is room for and the number of the others."""
    if len(lines) <= rows:
        return lines
    kept = max(rows - 1, 0)
    return [*lines[:kept], [(f" +{len(lines) - kept} more", "dim")]]


def _orders(status: Status, slot: SlotStatus, now: float) -> list[Line]:
    rows = [(one, f"{one.trade} {one.local_id}") for one in slot.orders]
    rows += [(one, f"{slot.id}.{one.local_id}") for one in slot.recoveries]
    lines = [_order(status, one, name, now) for one, name in rows]
    return lines or [[(" no orders", "dim")]]


def _order(status: Status, order: OrderStatus, name: str, now: float) -> Line:
    mid, places = status.price.mid, max(status.pair.price_decimals, 0)
    far = f"{(order.price - mid) / mid * 100:+.2f}%" if mid else "-"
    state = "" if order.state == "open" else clean(order.state)
    return [
        (f" {cell(name, 6)}", "dim"), (f"{order.side:<5}", order.side),
        (f"{order.role:<9}", "text"), (f"{order.price:.{places}f} ", "title"),
        (f"{far:>8} ", "text"), (f"{span(now - order.placed_at):>5} ", "dim"), (state, "warn"),
    ]  # fmt: skip


def _account(slot: SlotStatus) -> list[Line]:
    figures = (("realised", amount(slot.realised)), ("open", amount(slot.unrealised)),
               ("written off", amount(slot.write_offs or ZERO)),
               ("fees", (money(slot.fees).lstrip("+"), "text")),
               ("round trips", (str(slot.round_trips), "text")))  # fmt: skip
    return [[(f"{name:<12}", "dim"), (f"{text:>9}", words)] for name, (text, words) in figures]


def _cycles(slot: SlotStatus, now: float) -> list[Line]:
    return [[(f"{one.trade}.{one.cycle:<5}", "dim"), (f"{money(one.net):>8}", tone(one.net)),
             (f"{span(now - one.at):>6} ago", "dim")] for one in slot.recent_cycles]  # fmt: skip
