"""How the ledger is written on the screen: a row per entry, and the panels under the table. Pure.

Results stand in a column of their own: CYCLE_PROFIT and WRITE_OFF move no cash. The net result is
cycles, recoveries and write-offs; fees are in them and only shown beside.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal
from time import gmtime, strftime
from typing import NamedTuple

from gridbot.core.numbers import ZERO, plain
from gridbot.core.records import LedgerEntry
from gridbot.engine.ledger_filter import LedgerFilter, Sums
from gridbot.engine.status import BalanceStatus, PairStatus, Status
from gridbot.tui.cells import Line, Run, amount, cell, clock, fit, money, spread, tone, whole
from gridbot.tui.charts import spark

QUOTE_DECIMALS, BASE_DECIMALS_MAX = 4, 8
BADGES = {"green": ("●", "good"), "amber": ("▲", "warn"), "red": ("■", "bad")}
TYPE_STYLES = {
    "CYCLE_PROFIT": "good", "WRITE_OFF": "bad", "FEE": "dim", "RECONCILIATION_DRIFT": "warn",
    "BUY_ENTRY": "buy", "BUY_EXIT": "buy", "SELL_ENTRY": "sell", "SELL_EXIT": "sell",
}  # fmt: skip


class Places(NamedTuple):
    """Names of the assets and the decimals that their amounts and the price are shown with."""

    quote: str = "QUOTE"
    base: str = "BASE"
    price: int = QUOTE_DECIMALS
    volume: int = BASE_DECIMALS_MAX
    today: str = ""  # rows of another day show their day


def day(at: float) -> str:
    """An epoch time as UTC date."""
    return strftime("%Y-%m-%d", gmtime(at))


def places_of(pair: PairStatus | None, now: float) -> Places:
    if pair is None:
        return Places(today=day(now))
    volume = min(max(pair.volume_decimals, 0), BASE_DECIMALS_MAX)
    return Places(pair.quote, pair.base, max(pair.price_decimals, 0), volume, day(now))


class Column(NamedTuple):
    """``rank``: the highest go first when the table is narrow."""

    title: str
    width: int
    rank: int
    right: bool
    draw: Callable[[LedgerEntry, Places], Run]


def figure(value: Decimal, places: int, width: int) -> str:
    """An amount with so many decimals, fewer if it must, but never a wrong one; none for zero."""
    if not value:
        return ""
    for one in range(places, -1, -1):
        text = f"{value:.{one}f}"
        if len(text) <= width and any(digit in text for digit in "123456789"):
            return text
    return f"{value:.0e}"[:width]


def _quote(name: str, style: str = "text") -> Callable[[LedgerEntry, Places], Run]:
    return lambda e, p: (figure(getattr(e, name), QUOTE_DECIMALS, 9), style)


def _base(name: str) -> Callable[[LedgerEntry, Places], Run]:
    return lambda e, p: (_short(figure(getattr(e, name), p.volume, 10)), "text")


def _short(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _time(e: LedgerEntry, p: Places) -> Run:
    date = day(e.timestamp)
    return clock(e.timestamp) if date == p.today else date[2:], "dim"


COLUMNS = (
    Column("ID", 7, 0, True, lambda e, p: (str(e.id), "title")),
    Column("TIME", 8, 4, False, _time),
    Column("SLOT", 4, 2, True, lambda e, p: (str(e.slot_id or "·"), "text")),
    Column("TR", 2, 5, False, lambda e, p: (e.trade_id, "text")),
    Column("CYC", 4, 7, True, lambda e, p: (str(e.cycle or ""), "text")),
    Column("TYPE", 13, 0, False, lambda e, p: (
        e.entry_type, TYPE_STYLES.get(e.entry_type, "text"))),
    Column("{q} OUT", 9, 3, True, _quote("debit_quote")),
    Column("{q} IN", 9, 3, True, _quote("credit_quote")),
    Column("{b} OUT", 10, 9, True, _base("debit_base")),
    Column("{b} IN", 10, 8, True, _base("credit_base")),
    Column("PRICE", 9, 10, True, lambda e, p: (figure(e.price, p.price, 9), "text")),
    Column("FEE", 7, 12, True, lambda e, p: (
        figure(e.fee_quote + e.fee_base * e.price, QUOTE_DECIMALS, 7), "dim")),
    Column("REALISED", 8, 2, True, lambda e, p: (
        amount(e.realised_quote, 8) if e.realised_quote else ("", ""))),
    Column("{q} AFTER", 10, 11, True, lambda e, p: (
        figure(e.balance_quote_after, QUOTE_DECIMALS, 10), "text")),
    Column("TXID", 7, 13, False, lambda e, p: (e.txid, "dim")),
    Column("NOTE", 24, 15, False, lambda e, p: (e.note, "dim")),
)  # fmt: skip


def columns_for(width: int, rows: int) -> list[Column]:
    """The columns that fit; the id is wide enough for ``rows`` entries."""
    columns = [COLUMNS[0]._replace(width=max(len(str(rows)), 5)), *COLUMNS[1:]]
    while len(columns) > 2 and 2 + sum(one.width + 1 for one in columns) > width:
        columns.remove(max(columns, key=lambda one: one.rank))
    spare = width - 2 - sum(one.width + 1 for one in columns)
    for i, one in enumerate(columns):  # what is left lets long words be read
        wish = {"TYPE": 20, "TXID": 19, "NOTE": 60}.get(one.title, one.width) - one.width
        columns[i] = one._replace(width=one.width + min(wish, spare))
        spare -= columns[i].width - one.width
    return columns


def titles(columns: Sequence[Column], p: Places, width: int) -> Line:
    texts = [
        cell(one.title.format(q=p.quote[:4], b=p.base[:4]), one.width, one.right) for one in columns
    ]
    return fit([(f"  {' '.join(texts)}", "dim bar")], width)


def row(entry: LedgerEntry, columns: Sequence[Column], p: Places) -> Line:
    """An entry's line; neighbours of one style, and blanks, are one run: fewer bytes to send."""
    line: Line = [("  ", "")]
    text, style = "", ""
    for one in columns:
        shown, its = one.draw(entry, p)
        if shown and its != style:
            line, text, style = [*line, (text, style)] if text else line, "", its
        text += cell(shown, one.width, one.right) + " "
    return [*line, (text, style)]


def sum_row(sums: Sums, p: Places, left: int, width: int) -> Line:
    """What the filter's entries add up to; ``left`` rows are not in it yet."""
    known = " so far" if left else ""
    net, style = amount(sums.net, 10)
    pieces = [
        (0, f" sum{known} ", "dim"), (2, f"  {p.quote} out {_sum(sums.quote_out)}", "text"),
        (2, f"  in {_sum(sums.quote_in)}", "text"),
        (4, f"   {p.base} out {_sum(sums.base_out, p.volume)}", "text"),
        (4, f"  in {_sum(sums.base_in, p.volume)}", "text"),
        (3, f"   fees {_sum(sums.fees)}", "dim"),
    ]  # fmt: skip
    return spread([*pieces, (1, "   net ", "dim"), (1, net, style)], [], width)


def _sum(value: Decimal, places: int = 3) -> str:
    text = f"{value:,.{places}f}".replace(",", " ")
    return text if places == 3 else _short(text)


# --- panels ---------------------------------------------------------------------------------


def entry_rows(
    entry: LedgerEntry | None, kin: Sequence[LedgerEntry], alias: str, p: Places
) -> list[Line]:
    """All about the entry the cursor is on; ``kin``: the entries of its cycle, oldest first."""
    if entry is None:
        return [[("no entry selected", "dim")]]
    e, cash, base = (
        entry,
        entry.credit_quote - entry.debit_quote,
        entry.credit_base - entry.debit_base,
    )
    whose = f"slot {e.slot_id} {alias}".rstrip() if e.slot_id else "the account"
    trade = f"   trade {e.trade_id}   cycle {e.cycle}" if e.trade_id else ""
    order = f"   local order {e.order_local_id}" if e.order_local_id else ""
    fee = "".join(
        f"   fee {plain(one)} {asset}"
        for one, asset in ((e.fee_quote, p.quote), (e.fee_base, p.base)) if one
    )  # fmt: skip
    volume = f"   closed {plain(e.volume_closed)}" if e.volume_closed else ""
    moved: Line = [
        (f"{p.quote} ", "dim"), (_signed(cash), tone(cash)), (f"   {p.base} ", "dim"),
        (_signed(base), tone(base)), (fee, "text"),
    ]  # fmt: skip
    if e.realised_quote:
        moved = [("realised ", "dim"), (_signed(e.realised_quote), tone(e.realised_quote)),
                 (f" {p.quote}", "dim"), (volume, "text")]  # fmt: skip
    price = f"   at {plain(e.price)}" if e.price else ""
    after = f"{plain(e.balance_quote_after)} {p.quote}   {plain(e.balance_base_after)} {p.base}"
    lines: list[Line] = [
        [(whose, "title"), (trade, "text"), (order, "dim")],
        moved,
        [(f"{day(e.timestamp)} {clock(e.timestamp)}", "text"), (price, "text"),
         (f"   step {e.seq}", "dim")],
        [("balance after ", "dim"), (after, "text")],
        [("txid ", "dim"), (e.txid or "-", "text"), ("   order ", "dim"),
         (e.client_id or "-", "text")],
        _kin_row(entry, kin),
        [("note ", "dim"), (e.note or "-", "text")],
    ]  # fmt: skip
    return [line for line in lines if line]


def _kin_row(entry: LedgerEntry, kin: Sequence[LedgerEntry]) -> Line:
    others = [one for one in kin if one.id != entry.id and one.entry_type != "FEE"]
    line: Line = [("o: ", "accent")] if others else []
    for one in others:
        result = f" {money(one.realised_quote, 8)}" if one.realised_quote else ""
        word = one.entry_type.lower().replace("_", " ")
        line.append((f"{word} {one.id}{result}   ", "text"))
    return line


def _signed(value: Decimal) -> str:
    return f"+{plain(value)}" if value > 0 else plain(value)


def exchange_rows(status: Status | None, drifts: Sequence[float], width: int) -> list[Line]:
    """The books against the exchange: orders, each asset, positions, how the drift went."""
    if status is None:
        return [[("no picture of the engine yet", "dim")]]
    orders = [order for slot in status.slots for order in (*slot.orders, *slot.recoveries)]
    unsure = sum(order.state == "unknown" for order in orders)
    broken = [slot.id for slot in status.slots if slot.quarantined]
    standing = sum(order.state not in ("pending", "unknown") for order in orders)
    count = f"{standing} of slots, {status.capacity.used} counted"
    word = f"{unsure} unknown" if unsure else "match"
    agree = f"{len(status.slots) - len(broken)} of {len(status.slots)} slots agree"
    rows: list[Line] = [
        [(f"{'ledger':>19}{'exchange':>13}{'drift':>13}", "dim")],
        *(_asset_row(name, one) for name, one in status.balances.items()),
        _checked("orders", count, word, not unsure),
        _checked("positions", agree, f"slot {broken[0]}" if broken else "match", not broken),
    ]
    if drifts:
        room = max(width - 22, 1)
        shown = drifts[-room:]
        rows.append([(f"{'drift, % of assets':<20}", "dim"), (spark(shown, 0.0, 1.0), "accent")])
    return [*rows, [("● exact  ▲ under 1%  ■ 1% or more", "dim")]]


def _asset_row(name: str, one: BalanceStatus) -> Line:
    lamp, style = BADGES.get(one.badge, BADGES["red"])
    figures = [_short(figure(value, 8, 12)) or "0" for value in (one.ledger, one.total)]
    share = drift_share(one)
    drift = f"{one.drift:+f}"[:10] if one.drift else "0"
    ours, theirs, off = (cell(text, 13, True) for text in (*figures, drift))
    return [(f"{cell(name, 6)}{ours}{theirs}", "text"), (f"{off}  {lamp} {share:.2f}%", style)]


def drift_share(one: BalanceStatus) -> float:
    """The unexplained part of a balance in percent."""
    return float(abs(one.drift) / abs(one.total) * 100) if one.total else 100.0 * bool(one.drift)


def _checked(name: str, text: str, word: str, good: bool) -> Line:
    lamp, style = BADGES["green" if good else "red"]
    return [(f"{cell(name, 11)}{cell(text, 34)}", "text"), (f"  {lamp} {word}", style)]


def totals_rows(sums: Sums, wanted: LedgerFilter, p: Places, width: int) -> list[Line]:
    """Entries by type, what came of them, and how they leave gridbot."""
    rows: list[Line] = [[("by type   ", "dim")]]
    for kind, count in sorted(sums.counts.items(), key=lambda one: -one[1]):
        run = f"{kind} {count:,}   ".replace(",", " ")
        if sum(len(text) for text, _ in rows[-1]) + len(run) > width:
            rows.append([(" " * 10, "")])
        rows[-1].append((run, TYPE_STYLES.get(kind, "text")))
    written = sums.results.get("WRITE_OFF", ZERO)
    figures = (
        ("cycles", sums.net - written - sums.recovery), ("recovery", sums.recovery),
        ("write-offs", written), ("net", sums.net),
    )  # fmt: skip
    profit: Line = [("profit    ", "dim")]
    for name, value in figures:
        profit += [(f"{name} ", "dim"), (f"{money(value, 11)}   ", tone(value))]
    profit.append((f"{p.quote}, after fees of {_sum(sums.fees)}", "dim"))
    keys = (
        "export    :export ledger csv   yy copies the row   yj as JSON   yt the txid   o its cycle"
    )
    return [*rows, whole(profit, width), [(keys, "dim")]]
