"""The account as the exchange's own books show it: what moved without us, and what we rounded.

Own ledger rows explain what balances do not: deposits, withdrawals and earning become TRANSFER,
trades that are not ours EXTERNAL_TRADE (both legs in one entry), and where the exchange booked an
order of ours with fewer decimals than its reports have, the difference becomes ROUNDING. A row is
taken once, however often it is shown. What is left unexplained is drift.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Literal

import msgspec

from gridbot.core.numbers import HUNDRED, ZERO, plain, quantum
from gridbot.core.positions import FillPart
from gridbot.core.records import Balance, OwnLedgerRow

if TYPE_CHECKING:
    from gridbot.core.brain import Brain

ROWS_REMEMBERED = 2000
UNSETTLED_MAX = 1000
TRADE_KINDS = ("trade", "spend", "receive", "sale", "conversion")
Badge = Literal["green", "amber", "red"]


class Gap(msgspec.Struct):
    """What the exchange's rows of one of our orders hold more than our books, signed, until they
    agree. ``legs``: amounts of ours, each rounded by the exchange, that no row has confirmed."""

    quote: Decimal = ZERO
    base: Decimal = ZERO
    volume: Decimal = ZERO
    quote_rows: int = 0
    base_rows: int = 0
    legs: int = 0


def expect(brain: Brain, part: FillPart, trades: int) -> None:
    """Our booking of ``part``, of an order with this many trades, is to be confirmed by rows.
    For live mode only: elsewhere no rows ever come."""
    gap, sign = _gap(brain, part.client_id), 1 if part.side == "buy" else -1
    gap.quote += sign * part.cost + (ZERO if part.fee_asset_is_base else part.fee)
    gap.base -= sign * part.executed - (part.fee if part.fee_asset_is_base else ZERO)
    gap.volume -= sign * part.executed
    gap.legs = max(gap.legs + 2, 2 * trades)
    _settle(brain, part.client_id)


def take_rows(brain: Brain, rows: tuple[OwnLedgerRow, ...]) -> None:
    """Book what the exchange's own ledger tells of the two assets and our reports do not."""
    trades: dict[str, list[OwnLedgerRow]] = {}
    for row in rows:
        if row.row_id in brain.rows_seen or row.asset not in _assets(brain):
            continue
        brain.rows_seen.append(row.row_id)
        if _is_booked_by_us(brain, row.client_id):
            _confirm(brain, row)
        elif row.at <= brain.started_at:
            continue  # part of the opening balance
        elif row.kind in TRADE_KINDS:
            trades.setdefault(row.ref_id or row.row_id, []).append(row)
        else:
            _transfer(brain, row)
    for ref_id, legs in trades.items():
        _external_trade(brain, ref_id, legs)
    del brain.rows_seen[:-ROWS_REMEMBERED]


def _assets(brain: Brain) -> tuple[str, str]:
    return brain.instrument.quote, brain.instrument.base


def _is_booked_by_us(brain: Brain, client_id: str) -> bool:
    """Our reports tell of it; an order of ours that we lost sight of is as good as a stranger's."""
    known = brain.registry.by_client, brain.books.booked, brain.unsettled
    return any(client_id in ids for ids in known)


def _transfer(brain: Brain, row: OwnLedgerRow) -> None:
    amount, in_base = row.amount - row.fee, row.asset == brain.instrument.base
    if amount and brain.price is not None:
        note = f"{row.kind} {row.ref_id or row.row_id}"
        brain.books.transfer(brain.seq, row.at, in_base, amount, brain.price, note)
        brain.emit("transfer", "info", what=row.kind, amount=plain(amount), asset=row.asset)


def _external_trade(brain: Brain, ref_id: str, legs: list[OwnLedgerRow]) -> None:
    quote, base = (
        sum((row.amount - row.fee for row in legs if row.asset == asset), ZERO)
        for asset in _assets(brain)
    )
    if (quote or base) and brain.price is not None:
        note = f"{legs[0].kind} {ref_id}"
        brain.books.external_trade(brain.seq, legs[0].at, quote, base, brain.price, note)
        brain.emit("external_trade", "warn", quote=plain(quote), base=plain(base))


def _gap(brain: Brain, client_id: str) -> Gap:
    gap = brain.unsettled.setdefault(client_id, Gap())
    if len(brain.unsettled) > UNSETTLED_MAX:
        del brain.unsettled[min(brain.unsettled, key=lambda one: (len(one), one))]
    return gap


def _confirm(brain: Brain, row: OwnLedgerRow) -> None:
    gap = _gap(brain, row.client_id)
    if row.asset == brain.instrument.base:
        gap.base += row.amount - row.fee
        gap.volume += row.amount
        gap.base_rows += 1
    else:
        gap.quote += row.amount - row.fee
        gap.quote_rows += 1
    _settle(brain, row.client_id)


def _settle(brain: Brain, client_id: str) -> None:
    """Book the rest as ROUNDING once the rows of all that was executed are in, both legs each."""
    gap, step = brain.unsettled[client_id], quantum(brain.instrument.volume_decimals)
    rows = gap.base_rows
    if not rows or rows != gap.quote_rows or abs(gap.volume) > step * rows:
        return
    del brain.unsettled[client_id]
    for in_base, amount in ((False, gap.quote), (True, gap.base)):
        if amount:
            brain.books.rounding(brain.seq, brain.now, in_base, amount, client_id)


def compare_balances(brain: Brain, balances: dict[str, Balance]) -> None:
    """Remember what the exchange holds; a changed unexplained difference becomes a memo entry."""
    books, drift = brain.books, brain.drift
    for asset, booked in zip(_assets(brain), (books.quote, books.base), strict=True):
        if asset in balances:
            brain.balances[asset] = balances[asset]
            drift[asset] = balances[asset].total - booked
    if any(
        abs(amount - brain.drift_noted.get(asset, ZERO)) > drift_tolerance(brain, asset)
        for asset, amount in drift.items()
    ):
        brain.drift_noted = dict(drift)
        quote, base = (drift.get(asset, ZERO) for asset in _assets(brain))
        books.drift(brain.seq, brain.now, quote, base)
        brain.emit(
            "drift_changed", "warn" if quote or base else "good", quote=plain(quote),
            base=plain(base),
        )  # fmt: skip


def drift_tolerance(brain: Brain, asset: str) -> Decimal:
    """Half a unit of the asset for each leg of ours that the exchange's rows have not confirmed.
    Kraken keeps money with a digit less than a pair's costs."""
    pair, legs = brain.instrument, sum(gap.legs for gap in brain.unsettled.values())
    decimals = pair.volume_decimals if asset == pair.base else pair.cost_decimals - 1
    return quantum(decimals) * legs / 2


def drift_badge(drift: Decimal, total: Decimal, tolerance: Decimal) -> Badge:
    """Green within the tolerance, red from a hundredth of the asset's balance (architecture 6)."""
    if abs(drift) <= tolerance:
        return "green"
    return "amber" if abs(drift) * HUNDRED < abs(total) else "red"
