"""``gridbot status``, ``ledger`` and ``config``: what an engine did or would do, for people."""

import os
import sys
from datetime import UTC, datetime
from decimal import Decimal

import click
import msgspec

from gridbot.commands.choices import Choices
from gridbot.config import render_check, render_show
from gridbot.config_schema import columns
from gridbot.core.numbers import plain
from gridbot.core.records import LedgerEntry
from gridbot.core.verify import VerifyReport
from gridbot.engine import inspect
from gridbot.engine.directory import DataDirectory
from gridbot.engine.status import SlotStatus, Status


def check_config(choices: Choices) -> None:
    """Print that the configuration is good, and what it amounts to."""
    print(render_check(choices.load()))


def show_config(choices: Choices) -> None:
    """Print every setting with its origin."""
    print(render_show(choices.load(), os.environ))


def show_status(choices: Choices, as_json: bool) -> None:
    """Print the status, as text or as one JSON object."""
    loaded = choices.load()
    status, notes = inspect.read_status(loaded.data_dir, loaded.settings.persistence)
    _note(notes)
    print(msgspec.json.encode(status).decode() if as_json else status_text(status))


def verify_ledger(choices: Choices) -> None:
    """Print what the ledger proves; ends the command with exit code 1 at a bad line."""
    loaded = choices.load()
    path, names = loaded.data_dir, loaded.settings.persistence
    report, notes = inspect.verify_ledger(path, names)
    identity = DataDirectory.inspect(path).identity
    print(verify_text(report, identity.pair if identity else "BASE/QUOTE"))
    _note([*notes, *report.notes])
    if not report.ok:
        raise click.ClickException(f"{path / names.ledger_file}: {report.problems[0]}")
    print("ok")


def show_ledger(choices: Choices, slot: int | None, count: int, as_json: bool) -> None:
    """Print the newest entries, as a table or as JSON lines."""
    loaded = choices.load()
    entries = inspect.ledger_tail(loaded.data_dir, loaded.settings.persistence, slot, count)
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
    balances = [
        f"{plain(one.total)} {asset} ({plain(one.held)} held)"
        for asset, one in status.balances.items()
    ]
    waiting = sum(bool(slot.waiting) for slot in status.slots)
    head = ("slot", "name", "kind", "phase", "orders", "trips", "realised", "open", "waiting")
    return "\n".join([
        f"engine    {engine.state}{reason}{process}",
        f"market    {pair.name}, mode {status.mode}, price {price} at {_utc(status.price.at)}",
        f"profit    {profit.realised:.2f} realised, {profit.write_offs:.2f} write-offs, "
        f"{profit.unrealised:.2f} unrealised, {profit.fees:.2f} fees ({pair.quote})",
        f"balances  {', '.join(balances)}",
        f"orders    {bank.used} of {bank.cap}, band {bank.band}",
        f"slots     {len(status.slots)}, {waiting} with a waiting trade",
        *(f"alarm     {alarm.text}" for alarm in status.alarms),
        "",
        *columns([head, *map(_slot_row, status.slots)]),
    ])  # fmt: skip


def _slot_row(slot: SlotStatus) -> tuple[str, ...]:
    waiting = (f"{wait.trade}: {wait.reason} {wait.text}".rstrip() for wait in slot.waiting)
    flag = " paused" * slot.paused + " quarantined" * bool(slot.quarantined)
    orders, trips = len(slot.orders) + len(slot.recoveries), slot.round_trips
    return (
        str(slot.id), slot.alias or "-", slot.kind, slot.phase + flag, str(orders), str(trips),
        f"{slot.realised:.2f}", f"{slot.unrealised:.2f}", "; ".join(waiting) or "-",
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
    return "\n".join(columns([head, *rows]))


def _or_dash(amount: Decimal) -> str:
    return plain(amount) if amount else "-"


def _utc(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"


def _note(notes: list[str]) -> None:
    for note in notes:
        print(f"gridbot: note: {note}", file=sys.stderr)
