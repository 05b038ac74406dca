"""``gridbot status``, ``ledger`` and ``config``: what an engine did or would do, for people.

The reports are templates in texts.toml; a Decimal in one is written as people write it.
"""

import asyncio
import contextlib
import os
import sys
from datetime import UTC, datetime
from decimal import Decimal
from string import Formatter
from typing import Any

import click
import msgspec

from gridbot.commands import TEXTS
from gridbot.commands.choices import Choices
from gridbot.config import LoadedConfig, render_check, render_show
from gridbot.config_schema import columns
from gridbot.core.numbers import plain
from gridbot.core.records import LedgerEntry
from gridbot.core.verify import VerifyReport
from gridbot.engine import inspect
from gridbot.engine.directory import DataDirectory
from gridbot.engine.socket_path import SOCKET_FILE
from gridbot.engine.status import SlotStatus, Status
from gridbot.engine.telemetry import market_odds
from gridbot.engine.venues import Venue, plan_venue
from gridbot.exchange.instruments import UnknownPair

PLACES_SHOWN_MAX = 10


def check_config(choices: Choices) -> None:
    loaded = choices.load()
    print(render_check(loaded))
    if loaded.settings.run.mode != "sim":
        print("odds            of this market: gridbot doctor asks Kraken")
        return
    with contextlib.suppress(UnknownPair):  # a recording may be of any
        plan = plan_venue(loaded.settings)
        seen = market_odds(loaded.settings, plan.instrument, plan.maker_fee_pct, Venue(plan))
        if bet := asyncio.run(seen)[-1]:
            print("odds           ", bet.text)
            print(f"WARNING         {bet.warning}\n" * bool(bet.warning), end="")


def show_config(choices: Choices) -> None:
    print(render_show(choices.load(), os.environ))


def show_status(choices: Choices, as_json: bool) -> None:
    status, notes = _status_of(choices.load())
    _note(notes)
    print(msgspec.json.encode(status).decode() if as_json else status_text(status))


def _status_of(loaded: LoadedConfig) -> tuple[Status, list[str]]:
    """What the engine says itself, or else its files."""
    path, notes = loaded.data_dir, []
    if os.path.exists(path / SOCKET_FILE):  # False, too, where one may not look
        from gridbot.engine.remote import Asking, NoEngine

        try:
            return Asking(path).status(), []
        except NoEngine as error:
            if DataDirectory.inspect(path).running:
                notes.append(f"{error}; this is from its files")
    status, more = inspect.read_status(path, loaded.settings.persistence)
    return status, notes + more


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
    loaded = choices.load()
    entries = inspect.ledger_tail(loaded.data_dir, loaded.settings.persistence, slot, count)
    if as_json:
        for entry in entries:
            print(msgspec.json.encode(entry).decode())
    else:
        print(ledger_text(entries) if entries else "no entries")


class Report(Formatter):
    def format_field(self, value: Any, spec: str) -> str:
        return shown(value) if isinstance(value, Decimal) and not spec else format(value, spec)


def shown(value: Decimal) -> str:
    """A sum as people read it: a fee's part of one may have twice as many places."""
    return plain(Decimal(f"{value:.{PLACES_SHOWN_MAX}f}"))


def status_text(status: Status) -> str:
    engine, mid = status.engine, status.price.mid
    head = ("slot", "name", "kind", "phase", "orders", "trips", "realised", "open", "waiting")
    balances = [
        f"{shown(one.total)} {asset} ({shown(one.held)} held)"
        for asset, one in status.balances.items()
    ]
    return Report().format(
        TEXTS["reports"]["status"], s=status, at=_utc(status.price.at), slots=len(status.slots),
        price="none yet" if mid is None else mid, balances=", ".join(balances),
        process=f", process {engine.pid}" if engine.pid else "",
        reason=f" ({engine.reason})" if engine.reason else "",
        inventory_worth=status.profit.inventory_cost + status.profit.inventory,
        governor=status.governor, few=", few data" if status.governor["few_data"] else "",
        waiting=sum(bool(slot.waiting) for slot in status.slots),
        alarms="".join(f"alarm     {alarm.text}\n" for alarm in status.alarms),
        table="\n".join(columns([head, *map(_slot_row, status.slots)])),
    )  # fmt: skip


def _slot_row(slot: SlotStatus) -> tuple[str, ...]:
    waiting = (f"{wait.trade}: {wait.reason} {wait.text}".rstrip() for wait in slot.waiting)
    flag = " paused" * slot.paused + " quarantined" * bool(slot.quarantined)
    orders, trips = len(slot.orders) + len(slot.recoveries), slot.round_trips
    name = (str(slot.id), slot.alias or "-", slot.kind, slot.phase + flag, str(orders), str(trips))
    return (*name, f"{slot.realised:.2f}", f"{slot.unrealised:.2f}", "; ".join(waiting) or "-")


def verify_text(report: VerifyReport, pair: str) -> str:
    base, _, quote = pair.partition("/")
    counts = {"positions": len(report.open_positions), "slots": len(report.accounts)}
    text = TEXTS["reports"]["verified"]
    return Report().format(text, r=report, base=base, quote=quote, **counts)


def ledger_text(entries: list[LedgerEntry]) -> str:
    """Entries as a table; amounts are what the account gained or lost."""
    head = ("id", "time", "trade", "type", "price", "quote", "base", "realised", "note")
    rows: list[tuple[str, ...]] = [head]
    for e in entries:
        trade = f"{e.slot_id}.{e.trade_id}" if e.slot_id else "-"
        quote, base = e.credit_quote - e.debit_quote, e.credit_base - e.debit_base
        amounts = (plain(a) if a else "-" for a in (e.price, quote, base, e.realised_quote))
        rows.append((str(e.id), _utc(e.timestamp), trade, e.entry_type, *amounts, e.note or "-"))
    return "\n".join(columns(rows))


def _utc(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%SZ}"


def _note(notes: list[str]) -> None:
    for note in notes:
        print(f"gridbot: note: {note}", file=sys.stderr)
