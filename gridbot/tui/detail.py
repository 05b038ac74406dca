"""The pane about the selected slot: deadline, orders, recoveries, cycles, account, ledger.

Its three lists can be walked: ``Cursor`` says in which one the operator is and on which row.
"""

from itertools import zip_longest
from time import gmtime, strftime
from typing import NamedTuple

from gridbot.core.numbers import plain
from gridbot.core.records import LedgerEntry
from gridbot.engine.actions import table as actions
from gridbot.engine.status import OrderStatus, SlotStatus
from gridbot.tui.cells import Line, amount, clock, dim, fit, money, span, tone, whole
from gridbot.tui.charts import bar
from gridbot.tui.symptoms import JAM_SHARE, time_used
from gridbot.tui.table import KINDS, condition, stuck_text, waiting_text
from gridbot.tui.view import View

PHASES = {
    "S0": "both entries", "S1a": "A's exit waits", "S1b": "B's exit waits", "S2": "both exits wait",
}  # fmt: skip
TWO_STACKS_CELLS = 76
LEFT_CELLS, RIGHT_CELLS = 58, 33
TIMEOUT_CELLS = 15
LEDGER_ROWS = 5
CYCLES_ROWS = 4
SUMMARY_ROWS = 4
HEADINGS = f"{'price':>9}{'away':>8} {'volume':>10} {'age':>5}"
LISTS = ("slots", "orders", "recoveries", "ledger")


class Cursor(NamedTuple):
    """``list`` of LISTS and the row in it; without a list the oldest recovery is meant."""

    list: str = "slots"
    row: int = 0


AT_SLOTS = Cursor()


def detail(view: View, width: int, beside: bool, cursor: Cursor = AT_SLOTS) -> list[Line]:
    """The whole pane, beside the table or, if wide then in two stacks, under it."""
    if beside:
        rows = _rows(view, width - 2, False, cursor)
        return [[("│ ", "dim"), *row] for row in [*rows, *[[]] * (100 - len(rows))]]
    return [[("─" * width, "dim")], *_rows(view, width, width >= TWO_STACKS_CELLS, cursor)]


def summary(view: View, width: int) -> list[Line]:
    """The selected slot in three rows under a rule, for where the pane is closed."""
    slot = view.slot
    if slot is None:
        return []
    lamp, style, text = condition(slot, view)
    title = [*_name(slot), *(_timeout(view, slot, 10) or [(f" {lamp} {text}", style)])]
    orders = [*slot.orders, *slot.recoveries]
    rows = [title, [], []]
    for i, order in enumerate(orders[:4]):
        figures = f"{_price(view, order)} {_away(view, order)}"
        text = f" {_target(slot, order)} {order.side} {order.role} {figures} "
        rows[1 + i % 2].append((text, order.side))
    if len(orders) > 4:
        rows[2].append((f" and {len(orders) - 4} more", "dim"))
    rows = [fit(whole(row, width), width) for row in rows]
    return [[("─" * width, "dim")], *([dim(row) for row in rows] if view.dimmed else rows)]


def target(slot: SlotStatus | None, cursor: Cursor) -> str:
    """The waiting exit ("8.A") or recovery ("8.2") the cursor means; empty if it means none."""
    if slot is None or cursor.list == "ledger":
        return ""
    orders = slot.orders if cursor.list == "orders" else slot.recoveries
    if not orders:
        return ""
    order = orders[min(cursor.row, len(orders) - 1)]
    return "" if order.role == "entry" else _target(slot, order)


def count(view: View, name: str) -> int:
    """Rows of a list of the selected slot."""
    if view.slot is None or name == "slots":
        return 0
    return len(view.ledger if name == "ledger" else getattr(view.slot, name))


def _target(slot: SlotStatus, order: OrderStatus) -> str:
    return f"{slot.id}.{order.local_id if order.role == 'recovery' else order.trade}"


def _rows(view: View, width: int, two_stacks: bool, cursor: Cursor) -> list[Line]:
    slot = view.slot
    if slot is None:
        return [[(" no slot selected", "dim")]]
    orders = [_order(view, one, f"{one.trade} {one.local_id}") for one in slot.orders]
    recoveries = [_order(view, one, _target(slot, one)) for one in slot.recoveries]
    entries = [_entry(one) for one in reversed(view.ledger)]
    if cursor.list == "slots":
        recoveries = _walked(recoveries, 0, "dim")
    else:
        walked = {"orders": orders, "recoveries": recoveries, "ledger": entries}[cursor.list]
        walked[:] = _walked(walked, cursor.row, "accent")
    first = max(cursor.row - LEDGER_ROWS + 1, 0) if cursor.list == "ledger" else 0
    entries = entries[first : first + LEDGER_ROWS]
    left = [
        *_title(view, slot), *_section("WAITING", _waiting(slot)),
        [], [(f" {f'ORDERS  {len(orders)}':<17}", "title"), (HEADINGS if orders else "", "dim")],
        *orders, *_section(f"RECOVERIES  {len(recoveries)}", recoveries), *_hints(slot, cursor),
    ]  # fmt: skip
    right = [
        *_section("ACCOUNT", _account(slot)),
        *_section(f"RECENT CYCLES  {_won(slot)}", _cycles(view, slot)),
        *_section(f"LEDGER, LAST {len(view.ledger)}", entries),
        [], [(f" created {strftime('%Y-%m-%d %H:%M', gmtime(slot.created_at))}", "dim")],
    ]  # fmt: skip
    rows = [*left, *right]
    if two_stacks:
        cells = min(width - RIGHT_CELLS, LEFT_CELLS)
        pairs = zip_longest(left, right, fillvalue=Line())
        rows = [[*fit(whole(one, cells), cells), *other] for one, other in pairs]
    rows = [fit(whole(row, width), width) for row in rows]
    return [dim(row) for row in rows] if view.dimmed else rows


def _section(title: str, rows: list[Line]) -> list[Line]:
    return [[], [(f" {title}", "title")], *rows] if rows else []


def _walked(rows: list[Line], at: int, style: str) -> list[Line]:
    """Rows with the cursor on one of them; dim where it is meant without being there."""
    if not rows:
        return rows
    at = min(at, len(rows) - 1)
    (text, _), *rest = rows[at]
    chosen: Line = [(f"»{text[1:]}", style), *rest]
    if style != "dim":
        chosen = [(text, f"{style} select") for text, style in chosen]
    return [*rows[:at], chosen, *rows[at + 1 :]]


def _name(slot: SlotStatus) -> Line:
    letter, kind = KINDS[slot.kind]
    return [
        (f" {slot.id} {slot.alias}".rstrip() + " ", "title"), (f" [{letter}] {slot.kind} ", kind),
        (f" {slot.phase} ", slot.phase), (f"{PHASES.get(slot.phase, '')} ", "text"),
    ]  # fmt: skip


def _title(view: View, slot: SlotStatus) -> list[Line]:
    lamp, style, text = condition(slot, view)
    jam = f" {text}" if text.startswith("jam") else f" nearer at {text}" if lamp == "◇" else ""
    rows: list[Line] = [[*_name(slot), (f" {lamp}{jam}", style)]]
    timeout = _timeout(view, slot, TIMEOUT_CELLS)
    rows += [timeout] if timeout else []
    rows.append([
        (f" rung {slot.rung}", "dim"), (f"  A.{slot.cycle_a} B.{slot.cycle_b}", "dim"),
        (f"  repriced {slot.reprices}", "dim"), (f"  stuck {stuck_text(slot)}", "dim"),
    ])  # fmt: skip
    return rows


def _timeout(view: View, slot: SlotStatus, cells: int) -> Line:
    if slot.deadline_at is None:
        return []
    left, share = slot.deadline_at - view.engine_now, time_used(slot, view.engine_now)
    if not slot.deadline_seconds:
        return [(f" due in {span(left)}", "warn")]
    style = "warn" if share >= JAM_SHARE else "text"
    used = span(slot.deadline_seconds - left)
    return [
        (f" timeout {used} of {span(slot.deadline_seconds)} ", "text"),
        (f" {bar(share, cells)}", style), (f" {share:4.0%}", style),
        (f" due in {span(left)}", "dim"),
    ]  # fmt: skip


def _waiting(slot: SlotStatus) -> list[Line]:
    lamp, style, text = condition(slot)
    stopped = [(f"  {lamp} {text}", style)] if slot.quarantined or slot.paused else []
    return [[one] for one in stopped + [(f"  ◆ {waiting_text(w)}", "warn") for w in slot.waiting]]


def _price(view: View, order: OrderStatus) -> str:
    assert view.body is not None, "an order is one of the picture"
    return f"{order.price:.{max(view.body.pair.price_decimals, 0)}f}"


def _away(view: View, order: OrderStatus) -> str:
    assert view.body is not None, "an order is one of the picture"
    mid = view.body.price.mid
    return f"{(order.price - mid) / mid * 100:+.2f}%" if mid else "-"


def _order(view: View, order: OrderStatus, name: str) -> Line:
    part = f" {plain(order.executed)} filled" if order.executed else ""
    state = {"open": "", "pending": " …"}.get(order.state, f" {order.state}")
    return [
        (f"  {name:<5}", "dim"), (f"{order.side:<5}", order.side),
        (f"{order.role[:5]:<6}", "text"), (f"{_price(view, order):>9}", "title"),
        (f"{_away(view, order):>8} ", "text"), (f"{plain(order.volume):>10} ", "text"),
        (f"{span(view.engine_now - order.placed_at):>5}", "dim"), (part + state, "warn"),
    ]  # fmt: skip


def _hints(slot: SlotStatus, cursor: Cursor) -> list[Line]:
    """What can be done to the order the cursor means."""
    named = target(slot, cursor)
    keys = {row.id: row.keys[0].replace(" ", "") for row in actions() if row.keys}
    parts = [
        (keys.get("order.close"), f" closes {named}"), (keys.get("order.write_off"), " writes off")
    ]  # fmt: skip
    runs = [(f" {key}{text} ", "dim") for key, text in parts if key and named]
    return [[], runs] if runs else []


def _account(slot: SlotStatus) -> list[Line]:
    figures = (
        ("realised", amount(slot.realised, 7)), ("open", amount(slot.unrealised, 7)),
        ("fees", (money(slot.fees, 7).lstrip("+"), "text")),
        ("written", amount(slot.write_offs, 7)),
        ("trips", (str(slot.round_trips), "text")), ("stuck", (stuck_text(slot), "text")),
    )  # fmt: skip
    runs = [((f" {name:<8}", "dim"), (f"{text:>7}", style)) for name, (text, style) in figures]
    return [[*one, *other] for one, other in zip(runs[::2], runs[1::2], strict=True)]


def _won(slot: SlotStatus) -> str:
    won = sum(one.net > 0 for one in slot.recent_cycles)
    return f"{won} of {len(slot.recent_cycles)} won"


def _cycles(view: View, slot: SlotStatus) -> list[Line]:
    return [
        [(f"  {one.trade}.{one.cycle:<5}", "dim"), (f"{money(one.net):>9}", tone(one.net)),
         (f"  {span(view.engine_now - one.at)} ago", "dim")]
        for one in slot.recent_cycles[:CYCLES_ROWS]
    ]  # fmt: skip


def _entry(entry: LedgerEntry) -> Line:
    quote = entry.realised_quote or entry.credit_quote - entry.debit_quote
    base = entry.credit_base - entry.debit_base
    return [
        (f"  {entry.id:>5} {clock(entry.timestamp, short=True)} ", "dim"),
        (f"{entry.entry_type:<13.13}", "text"), (f"{money(quote):>9}", tone(quote)),
        (f" {base:+}" if base else "", "dim"),
    ]  # fmt: skip
