"""The pane about the selected slot: orders, what it waits for, cycles, account, ledger."""

from gridbot.core.numbers import plain
from gridbot.core.records import LedgerEntry
from gridbot.engine.status import OrderStatus, SlotStatus
from gridbot.tui.cells import Line, cell, clock, money, percent, side_by_side, span, tone, whole
from gridbot.tui.table import condition, waiting_text
from gridbot.tui.view import View

PHASES = {
    "S0": "both entries", "S1a": "A's exit waits", "S1b": "B's exit waits", "S2": "both exits wait",
}  # fmt: skip
TWO_STACKS_CELLS = 76
LEFT_CELLS, RIGHT_CELLS = 58, 33


def detail(view: View, width: int, beside: bool) -> list[Line]:
    """The whole pane, beside or under the table; in two stacks where it is wide."""
    if beside:
        rows = _stacks(view, width - 1)
        return [[("│", "dim"), *row] for row in [*rows, *[[]] * (100 - len(rows))]]
    return [[("─" * width, "dim")], *_stacks(view, width)]


def _stacks(view: View, width: int) -> list[Line]:
    slot = view.slot
    if slot is None:
        return [[(" no slot selected", "dim")]]
    left = [*_title(view, slot), *_waiting(slot), *_orders(view, slot)]
    right = [*_account(slot), *_cycles(view, slot), *_ledger(view)]
    cells = min(width - RIGHT_CELLS, LEFT_CELLS)
    rows = side_by_side(left, right, cells) if width >= TWO_STACKS_CELLS else [*left, *right]
    rows = [whole(row, width) for row in rows]
    return [[(text, "dim") for text, _ in row] for row in rows] if view.dimmed else rows


def _title(view: View, slot: SlotStatus) -> list[Line]:
    lamp, style, _ = condition(slot)
    kind = ("[S] sticky", "accent") if slot.kind == "sticky" else ("[C] cycle", "cycle")
    due = "" if slot.deadline_at is None else f"  due in {span(slot.deadline_at - view.engine_now)}"
    return [
        [
            (f" {slot.id} {slot.alias} ", "title"),
            (f" {kind[0]} ", kind[1]),
            (f" {slot.phase} ", slot.phase),
            (f"{PHASES.get(slot.phase, '')} ", "text"),
            (f" {lamp}", style),
        ],
        [(f" rung {slot.rung}  A.{slot.cycle_a} B.{slot.cycle_b}  repriced {slot.reprices}", "dim"),
         (due, "warn")],
    ]  # fmt: skip


def _heading(text: str) -> list[Line]:
    return [[], [(f" {text}", "title")]]


def _waiting(slot: SlotStatus) -> list[Line]:
    if not (slot.waiting or slot.quarantined or slot.paused):
        return []
    lamp, style, text = condition(slot)
    stopped = slot.quarantined or slot.paused
    first: list[Line] = [[(f"  {lamp} {text}", style)]] if stopped else []
    rows: list[Line] = [[(f"  ◆ {waiting_text(one)}", "warn")] for one in slot.waiting]
    return [*_heading("WAITING"), *first, *rows]


def _orders(view: View, slot: SlotStatus) -> list[Line]:
    rows = [*_heading(f"ORDERS  {len(slot.orders)}")]
    rows += [_order(view, one, f"{one.trade} {one.local_id}") for one in slot.orders]
    if slot.recoveries:
        rows += _heading(f"RECOVERIES  {len(slot.recoveries)}")
        rows += [_order(view, one, f"{slot.id}.{one.local_id}") for one in slot.recoveries]
    return rows


def _order(view: View, order: OrderStatus, name: str) -> Line:
    mid = None if view.body is None else view.body.price.mid
    distance = "-" if mid is None else percent(order.price - mid, mid)
    part = f" {plain(order.executed)} filled" if order.executed else ""
    state = {"open": "", "pending": " …"}.get(order.state, f" {order.state}")
    decimals = 0 if view.body is None else max(view.body.pair.price_decimals, 0)
    return [
        (f"  {cell(name, 6)}", "dim"),
        (f"{order.side:<5}", order.side),
        (f"{order.role[:5]:<6}", "text"),
        (f"{order.price:>9.{decimals}f}", "title"),
        (f"{distance:>8} ", "text"),
        (f"{cell(plain(order.volume), 10, True)} ", "text"),
        (f"{span(view.engine_now - order.placed_at):>5}", "dim"),
        (part + state, "warn"),
    ]


def _account(slot: SlotStatus) -> list[Line]:
    figures = (
        ("realised", money(slot.realised, 7), tone(slot.realised)),
        ("open", money(slot.unrealised, 7), tone(slot.unrealised)),
        ("fees", money(slot.fees, 7).lstrip("+"), "text"),
        ("written", money(slot.write_offs, 7), tone(slot.write_offs)),
        ("trips", str(slot.round_trips), "text"),
        ("stuck", f"{slot.stuck_score:.1f}", "text"),
    )
    runs = [((f" {name:<8}", "dim"), (f"{text:>7}", style)) for name, text, style in figures]
    rows = [[*one, *other] for one, other in zip(runs[::2], runs[1::2], strict=True)]
    return [*_heading("ACCOUNT"), *rows]


def _cycles(view: View, slot: SlotStatus) -> list[Line]:
    if not slot.recent_cycles:
        return []
    rows: list[Line] = [
        [
            (f"  {one.trade}.{one.cycle:<5}", "dim"),
            (f"{money(one.net):>9}", tone(one.net)),
            (f"  {span(view.engine_now - one.at)} ago", "dim"),
        ]
        for one in slot.recent_cycles
    ]
    return [*_heading("RECENT CYCLES"), *rows]


def _ledger(view: View) -> list[Line]:
    if not view.ledger:
        return []
    rows = [_entry(entry) for entry in reversed(view.ledger)]
    return [*_heading(f"LEDGER, LAST {len(rows)}"), *rows]


def _entry(entry: LedgerEntry) -> Line:
    quote = entry.realised_quote or entry.credit_quote - entry.debit_quote
    base = entry.credit_base - entry.debit_base
    return [
        (f"  {entry.id:>5} {clock(entry.timestamp, short=True)} ", "dim"),
        (f"{entry.entry_type:<13.13}", "text"),
        (f"{money(quote):>9}", tone(quote)),
        (f" {base:+}" if base else "", "dim"),
    ]
