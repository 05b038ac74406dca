"""The pane about the selected slot: orders, what it waits for, cycles, account, ledger."""

from itertools import zip_longest

from gridbot.core.numbers import plain
from gridbot.core.records import LedgerEntry
from gridbot.engine.status import OrderStatus, SlotStatus
from gridbot.tui.cells import Line, amount, cell, clock, dim, fit, money, span, tone, whole
from gridbot.tui.table import KINDS, condition, waiting_text
from gridbot.tui.view import View

PHASES = {
    "S0": "both entries", "S1a": "A's exit waits", "S1b": "B's exit waits", "S2": "both exits wait",
}  # fmt: skip
TWO_STACKS_CELLS = 76
LEFT_CELLS, RIGHT_CELLS = 58, 33


def detail(view: View, width: int, beside: bool) -> list[Line]:
    """The whole pane, beside the table or, if wide then in two stacks, under it."""
    if beside:
        rows = _rows(view, width - 1, False)
        return [[("│", "dim"), *row] for row in [*rows, *[[]] * (100 - len(rows))]]
    return [[("─" * width, "dim")], *_rows(view, width, width >= TWO_STACKS_CELLS)]


def _rows(view: View, width: int, two_stacks: bool) -> list[Line]:
    slot = view.slot
    if slot is None:
        return [[(" no slot selected", "dim")]]
    orders = [_order(view, one, f"{one.trade} {one.local_id}") for one in slot.orders]
    recoveries = [_order(view, one, f"{slot.id}.{one.local_id}") for one in slot.recoveries]
    entries = [_entry(one) for one in reversed(view.ledger)]
    left = [
        *_title(view, slot), *_section("WAITING", _waiting(slot)),
        *(_section(f"ORDERS  {len(orders)}", orders) or [[], [(" ORDERS  0", "title")]]),
        *_section(f"RECOVERIES  {len(recoveries)}", recoveries),
    ]  # fmt: skip
    right = [
        *_section("ACCOUNT", _account(slot)), *_section("RECENT CYCLES", _cycles(view, slot)),
        *_section(f"LEDGER, LAST {len(entries)}", entries),
    ]  # fmt: skip
    rows = [*left, *right]
    if two_stacks:
        cells = min(width - RIGHT_CELLS, LEFT_CELLS)
        pairs = zip_longest(left, right, fillvalue=Line())
        rows = [[*fit(whole(one, cells), cells), *other] for one, other in pairs]
    rows = [whole(row, width) for row in rows]
    return [dim(row) for row in rows] if view.dimmed else rows


def _section(title: str, rows: list[Line]) -> list[Line]:
    return [[], [(f" {title}", "title")], *rows] if rows else []


def _title(view: View, slot: SlotStatus) -> list[Line]:
    lamp, style, _ = condition(slot)
    letter, kind = KINDS[slot.kind]
    due = "" if slot.deadline_at is None else f"  due in {span(slot.deadline_at - view.engine_now)}"
    return [
        [(f" {slot.id} {slot.alias} ", "title"), (f" [{letter}] {slot.kind} ", kind),
         (f" {slot.phase} ", slot.phase), (f"{PHASES.get(slot.phase, '')} ", "text"),
         (f" {lamp}", style)],
        [(f" rung {slot.rung}  A.{slot.cycle_a} B.{slot.cycle_b}  repriced {slot.reprices}", "dim"),
         (due, "warn")],
    ]  # fmt: skip


def _waiting(slot: SlotStatus) -> list[Line]:
    lamp, style, text = condition(slot)
    stopped = [(f"  {lamp} {text}", style)] if slot.quarantined or slot.paused else []
    return [[one] for one in stopped + [(f"  ◆ {waiting_text(w)}", "warn") for w in slot.waiting]]


def _order(view: View, order: OrderStatus, name: str) -> Line:
    assert view.body is not None, "an order is one of the picture"
    mid, decimals = view.body.price.mid, max(view.body.pair.price_decimals, 0)
    distance = f"{(order.price - mid) / mid * 100:+.2f}%" if mid else "-"
    part = f" {plain(order.executed)} filled" if order.executed else ""
    state = {"open": "", "pending": " …"}.get(order.state, f" {order.state}")
    return [
        (f"  {cell(name, 6)}", "dim"), (f"{order.side:<5}", order.side),
        (f"{order.role[:5]:<6}", "text"), (f"{order.price:>9.{decimals}f}", "title"),
        (f"{distance:>8} ", "text"), (f"{cell(plain(order.volume), 10, True)} ", "text"),
        (f"{span(view.engine_now - order.placed_at):>5}", "dim"), (part + state, "warn"),
    ]  # fmt: skip


def _account(slot: SlotStatus) -> list[Line]:
    figures = (
        ("realised", amount(slot.realised, 7)), ("open", amount(slot.unrealised, 7)),
        ("fees", (money(slot.fees, 7).lstrip("+"), "text")),
        ("written", amount(slot.write_offs, 7)),
        ("trips", (str(slot.round_trips), "text")), ("stuck", (f"{slot.stuck_score:.1f}", "text")),
    )  # fmt: skip
    runs = [((f" {name:<8}", "dim"), (f"{text:>7}", style)) for name, (text, style) in figures]
    return [[*one, *other] for one, other in zip(runs[::2], runs[1::2], strict=True)]


def _cycles(view: View, slot: SlotStatus) -> list[Line]:
    return [
        [(f"  {one.trade}.{one.cycle:<5}", "dim"), (f"{money(one.net):>9}", tone(one.net)),
         (f"  {span(view.engine_now - one.at)} ago", "dim")]
        for one in slot.recent_cycles
    ]  # fmt: skip


def _entry(entry: LedgerEntry) -> Line:
    quote = entry.realised_quote or entry.credit_quote - entry.debit_quote
    base = entry.credit_base - entry.debit_base
    return [
        (f"  {entry.id:>5} {clock(entry.timestamp, short=True)} ", "dim"),
        (f"{entry.entry_type:<13.13}", "text"), (f"{money(quote):>9}", tone(quote)),
        (f" {base:+}" if base else "", "dim"),
    ]  # fmt: skip
