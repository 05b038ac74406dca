"""``gridbot status`` and ``gridbot ledger``: reading what an engine does or did, for people."""

import sys
from datetime import UTC, datetime
from decimal import Decimal

import click
import msgspec

from gridbot.commands.choices import Choices
from gridbot.core.numbers import plain, use_exact_arithmetic
from gridbot.core.records import LedgerEntry
from gridbot.core.verify import VerifyReport
from gridbot.engine.directory import DataDirectory
from gridbot.engine.inspect import ledger_tail, read_status
from gridbot.engine.inspect import verify_ledger as verify
from gridbot.engine.status import SlotStatus, Status

Table = list[tuple[str, ...]]


def show_status(choices: Choices, as_json: bool) -> None:
    """Print the status, as text or as one JSON object."""
    use_exact_arithmetic()
    loaded = choices.load()
    status, notes = read_status(loaded.data_dir, loaded.settings.persistence)
    _note(notes)
    print(msgspec.json.encode(status).decode() if as_json else status_text(status))


def verify_ledger(choices: Choices) -> None:
    """Print what the ledger proves; ends the command with exit code 1 at a bad line."""
    use_exact_arithmetic()
    loaded = choices.load()
    path, names = loaded.data_dir, loaded.settings.persistence
    report, notes = verify(path, names)
    identity = DataDirectory.inspect(path).identity
    print(verify_text(report, identity.pair if identity else "BASE/QUOTE"))
    _note([*notes, *report.notes])
    if not report.ok:
        raise click.ClickException(f"{path / names.ledger_file}: {report.problems[0]}")
    print("ok")


def show_ledger(choices: Choices, slot: int | None, count: int, as_json: bool) -> None:
    """Print the newest entries, as a table or as JSON lines."""
    loaded = choices.load()
    entries = ledger_tail(loaded.data_dir, loaded.settings.persistence, slot, count)
    if as_json:
        for entry in entries:
            print(msgspec.json.encode(entry).decode())
    else:
        print(ledger_text(entries) if entries else "no entries")


def status_text(status: Status) -> str:
    """The status for people: what matters in lines, one row per slot."""
    engine, profit, bank, pair = status.engine, status.profit, status.capacity, status.pair
    process = f", process {engine.pid}" if engine.pid else ""
    reason = f" ({engine.reason})" if engine.reason else ""
    price = "none yet" if status.price.mid is None else plain(status.price.mid)
    balances = ", ".join(
        f"{plain(one.total)} {asset} ({plain(one.held)} held)"
        for asset, one in status.balances.items()
    )
    waiting = sum(bool(slot.waiting) for slot in status.slots)
    lines = [
        f"engine    {engine.state}{reason}{process}",
        f"market    {pair.name}, mode {status.mode}, price {price} at {_utc(status.price.at)}",
        f"profit    {_money(profit.realised)} realised, {_money(profit.write_offs)} write-offs, "
        f"{_money(profit.unrealised)} unrealised, {_money(profit.fees)} fees ({pair.quote})",
        f"balances  {balances}",
        f"orders    {bank.used} of {bank.cap}, band {bank.band}",
        f"slots     {len(status.slots)}, {waiting} with a waiting trade",
        *(f"alarm     {alarm.text}" for alarm in status.alarms),
    ]
    head = ("slot", "name", "kind", "phase", "orders", "trips", "realised", "open", "waiting")
    return "\n".join([*lines, "", *_columns([head, *map(_slot_row, status.slots)])])


def _slot_row(slot: SlotStatus) -> tuple[str, ...]:
    waiting = "; ".join(
        f"{wait.trade}: {wait.reason}" + (f" {wait.text}" if wait.text else "")
        for wait in slot.waiting
    )
    flag = " paused" * slot.paused + " quarantined" * bool(slot.quarantined)
    orders, trips = len(slot.orders) + len(slot.recoveries), slot.round_trips
    return (
        str(slot.id), slot.alias or "-", slot.kind, slot.phase + flag, str(orders), str(trips),
        _money(slot.realised), _money(slot.unrealised), waiting or "-",
    )  # fmt: skip


def verify_text(report: VerifyReport, pair: str) -> str:
    """The figures after the last good line."""
    base, _, quote = pair.partition("/")
    total, positions = report.total, len(report.open_positions)
    return "\n".join([
        f"entries    {report.entries}",
        f"balances   {plain(report.quote)} {quote}, {plain(report.base)} {base}",
        f"realised   {plain(total.realised)} {quote} in {total.round_trips} round trips, "
        f"fees {plain(total.fees)}, write-offs {plain(total.write_offs)}",
        f"open       {positions} positions in {len(report.accounts)} slots",
        f"inventory  {plain(report.inventory_units)} {base}, "
        f"cost {plain(report.inventory_cost)} {quote}",
        f"head       {report.head.id} {report.head.hash}",
    ])  # fmt: skip


def ledger_text(entries: list[LedgerEntry]) -> str:
    """Entries as a table; amounts are what the account gained or lost."""
    head = ("id", "time", "trade", "type", "price", "quote", "base", "realised", "note")
    rows = [
        (
            str(e.id), _utc(e.timestamp), f"{e.slot_id}.{e.trade_id}" if e.slot_id else "-",
            e.entry_type, _or_dash(e.price), _or_dash(e.credit_quote - e.debit_quote),
            _or_dash(e.credit_base - e.debit_base), _or_dash(e.realised_quote), e.note or "-",
        )
        for e in entries
    ]  # fmt: skip
    return "\n".join(_columns([head, *rows]))


def _columns(table: Table) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join(map(str.ljust, row, widths)).rstrip()
        for row in table
    ]  # fmt: skip


def _money(amount: Decimal) -> str:
    return f"{amount:.2f}"


def _or_dash(amount: Decimal) -> str:
    return plain(amount) if amount else "-"


def _utc(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"


def _note(notes: list[str]) -> None:
    for note in notes:
        print(f"gridbot: note: {note}", file=sys.stderr)
