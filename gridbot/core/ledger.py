"""The double-entry ledger: turns what happened into finished, hash-chained lines.

``Books`` belongs to the deterministic core and does no I/O: it appends encoded lines to ``lines``,
whoever owns the file takes them. Rules it keeps:

- Every difference of an order's figures is booked once: a part must begin exactly where the last
  booked one ended, by client id and cumulative executed volume.
- Balances move by cash rows only. An execution row is followed at once by its FEE row (if a fee was
  charged) and, when it closes something, by its CYCLE_PROFIT row.
- A line is the entry's JSON with ``prev_hash`` and ``hash`` appended, hash = sha256(prev_hash +
  JSON before appending); the first prev_hash is empty. It is encoded and hashed once, here.
- What a row needs to be verified from a bare file stands in its note: the decimals that shares are
  rounded to (opening rows), the lots that joined a position (the next row that closes some of it).
"""

from collections import deque
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec

from gridbot.core.numbers import ZERO, plain
from gridbot.core.positions import FillPart, Positions, SlotAccount
from gridbot.core.records import EntryType, LedgerEntry, Record

SLOT_LINES_MAX = 500
FINISHED_ORDERS_MAX = 10_000  # half of it, days of a busy instance, is always remembered

_EXECUTION_TYPES: dict[tuple[str, str], EntryType] = {
    ("entry", "buy"): "BUY_ENTRY",
    ("entry", "sell"): "SELL_ENTRY",
    ("exit", "buy"): "BUY_EXIT",
    ("exit", "sell"): "SELL_EXIT",
    ("recovery", "buy"): "RECOVERY_FILL",
    ("recovery", "sell"): "RECOVERY_FILL",
}
_encode = msgspec.json.Encoder().encode


class DoubleBooking(Exception):
    """A part of an order that does not begin where its booked parts end; the message names it."""


class LedgerHead(Record, frozen=True):
    """The last line of the books: its id (0 before the first) and its hash."""

    id: int
    hash: str


class _State(msgspec.Struct):
    """What later lines depend on; the field names are those of Books."""

    positions: Positions
    quote: Decimal
    base: Decimal
    paid_in_quote: Decimal
    paid_in_base: Decimal
    next_id: int
    head_hash: str
    counts: dict[str, int]
    booked: dict[str, Decimal]
    finished: list[str]


class Books:
    """Balances, positions and the growing chain of one engine's ledger."""

    def __init__(self, instrument_cost_decimals: int, volume_decimals: int) -> None:
        self.positions = Positions(instrument_cost_decimals, volume_decimals)
        self.quote = self.base = ZERO
        self.paid_in_quote = self.paid_in_base = ZERO  # opening, transfers, trades not ours
        self.next_id = 1
        self.head_hash = ""
        self.counts: dict[str, int] = {}
        self.booked: dict[str, Decimal] = {}  # client id -> cumulative executed
        self.finished: list[str] = []
        self.lines: list[bytes] = []
        self._slot_lines: dict[int, deque[bytes]] = {}

    # --- reading ----------------------------------------------------------------------------

    @property
    def head(self) -> LedgerHead:
        """Id and hash of the last line written."""
        return LedgerHead(self.next_id - 1, self.head_hash)

    @property
    def totals(self) -> SlotAccount:
        """Booked results of all slots together."""
        return self.positions.total

    @property
    def flow_quote(self) -> Decimal:
        """Quote won or lost by our own trading since the opening."""
        return self.quote - self.paid_in_quote

    @property
    def flow_base(self) -> Decimal:
        """Base won or lost by our own trading since the opening."""
        return self.base - self.paid_in_base

    def account(self, slot_id: int) -> SlotAccount:
        """The booked results of a slot."""
        return self.positions.account(slot_id)

    def unrealised(self, slot_id: int, price: Decimal) -> Decimal:
        """Result in quote of a slot's open positions at ``price``."""
        return self.positions.unrealised(slot_id, price)

    def unrealised_total(self, price: Decimal) -> Decimal:
        """The same for all slots, as what the identity leaves over: no walk over positions."""
        return self.quote + self.base * price - self.positions.known_worth(price)

    def identity_gap(self, price: Decimal) -> Decimal:
        """Worth at ``price`` that nothing explains, in quote: zero, exactly."""
        return self.positions.gap(self.quote, self.base, price)

    def slot_lines(self, slot_id: int) -> deque[bytes]:
        """The last lines of a slot, oldest first; slot 0 holds what concerns the account."""
        lines = self._slot_lines.get(slot_id)
        if lines is None:
            lines = self._slot_lines[slot_id] = deque(maxlen=SLOT_LINES_MAX)
        return lines

    def take_lines(self) -> list[bytes]:
        """Hand over the lines written since the last call."""
        lines, self.lines = self.lines, []
        return lines

    # --- orders -----------------------------------------------------------------------------

    def execution(self, seq: int, at: float, part: FillPart) -> None:
        """Book one difference of an order's cumulative figures.

        Raises DoubleBooking, or ValueError for a side that its trade does not have; the books are
        unchanged then.
        """
        self._admit(part)
        fee_quote, fee_base = (ZERO, part.fee) if part.fee_asset_is_base else (part.fee, ZERO)
        quote, base = part.cost, -part.executed
        if part.side == "buy":
            quote, base = -part.cost, part.executed
        entry_type = _EXECUTION_TYPES[part.role, part.side]
        self._order_row(seq, at, entry_type, part, quote, base, " ".join(part.trade_ids))
        if part.fee:
            self._order_row(seq, at, "FEE", part, -fee_quote, -fee_base, "")
        if part.role == "entry":
            self.positions.enter(part)
        else:
            self._profit(seq, at, part)

    def order_done(self, client_id: str) -> None:
        """No more executions will come of this order (cancelled, expired): it may be forgotten."""
        if client_id not in self.booked:
            return
        self.finished.append(client_id)
        if len(self.finished) > FINISHED_ORDERS_MAX:
            half = FINISHED_ORDERS_MAX // 2
            for forgotten in self.finished[:half]:
                self.booked.pop(forgotten, None)
            del self.finished[:half]

    def write_off(
        self,
        seq: int,
        at: float,
        slot_id: int,
        trade_id: str,
        cycle: int,
        client_id: str,
        market_price: Decimal,
        note: str = "",
    ) -> None:
        """Close a position in the books at ``market_price``; raises NoPosition."""
        note = self._with_lots(note, slot_id, trade_id, cycle)
        volume, realised = self.positions.write_off(slot_id, trade_id, cycle, market_price)
        key, result = (slot_id, trade_id, cycle), (realised, volume, market_price)
        self._memo(seq, at, "WRITE_OFF", key, client_id, note, result)

    def recovery_cancel(
        self,
        seq: int,
        at: float,
        slot_id: int,
        trade_id: str,
        cycle: int,
        client_id: str,
        note: str = "",
    ) -> None:
        """Note that a recovery order has left the exchange."""
        self._memo(seq, at, "RECOVERY_CANCEL", (slot_id, trade_id, cycle), client_id, note)

    def set_aside(self, slot_id: int, trade_id: str, cycle: int) -> None:
        """Make a position too small for an exit a lot; raises NoPosition."""
        self.positions.set_aside(slot_id, trade_id, cycle)

    def join_lot(
        self, slot_id: int, trade_id: str, cycle: int
    ) -> tuple[Decimal, Decimal | None, Decimal]:
        """Join the trade's lots to this position: (volume, cost per unit or None, entry fee)."""
        return self.positions.join_lot(slot_id, trade_id, cycle)

    # --- the account ------------------------------------------------------------------------

    def open_account(
        self, seq: int, at: float, quote: Decimal, base: Decimal, price: Decimal
    ) -> None:
        """First sight of the account: one row per asset, base valued at ``price``."""
        grid = self.positions
        note = f"quote to {grid.cost_decimals} decimals, base to {grid.volume_decimals}"
        grid.opening(quote, base, price)
        self._account_row(seq, at, "OPENING_BALANCE", quote, ZERO, price, note)
        self._account_row(seq, at, "OPENING_BALANCE", ZERO, base, price, note)

    def transfer(
        self, seq: int, at: float, asset_is_base: bool, amount: Decimal, price: Decimal, note: str
    ) -> None:
        """A deposit (positive) or withdrawal (negative); base is valued at ``price``."""
        quote, base = (ZERO, amount) if asset_is_base else (amount, ZERO)
        self.positions.external(quote, base, price)
        self._account_row(seq, at, "TRANSFER", quote, base, price, note)

    def external_trade(
        self, seq: int, at: float, quote: Decimal, base: Decimal, price: Decimal, note: str
    ) -> None:
        """A trade that was not ours: signed amounts that entered, net of its fee."""
        self.positions.external(quote, base, price)
        self._account_row(seq, at, "EXTERNAL_TRADE", quote, base, price, note)

    def rounding(
        self,
        seq: int,
        at: float,
        asset_is_base: bool,
        amount: Decimal,
        client_id: str = "",
        note: str = "",
    ) -> None:
        """What the exchange's own row of an order holds more (positive) or less than ours."""
        quote, base = (ZERO, amount) if asset_is_base else (amount, ZERO)
        self.positions.rounding(quote, base)
        self._account_row(seq, at, "ROUNDING", quote, base, ZERO, note, client_id)

    def drift(self, seq: int, at: float, quote: Decimal, base: Decimal, note: str = "") -> None:
        """Note the unexplained amounts (exchange minus ledger) when they have changed."""
        text = f"unexplained: {plain(quote)} quote, {plain(base)} base"
        whole = f"{text}; {note}" if note else text
        self._memo(seq, at, "RECONCILIATION_DRIFT", (0, "", 0), "", whole)

    # --- state ------------------------------------------------------------------------------

    def to_state(self) -> dict[str, Any]:
        """All that later lines depend on, JSON-able; numbers keep the form they are written in."""
        state = _State(*(getattr(self, name) for name in _State.__struct_fields__))
        plain_json = msgspec.json.decode(msgspec.json.encode(state))
        built: dict[str, Any] = msgspec.to_builtins(plain_json, order="sorted")
        return built

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Books":
        """The books as they were, without past lines; raises msgspec.ValidationError."""
        saved = msgspec.convert(state, _State, str_keys=True)
        books = cls(saved.positions.cost_decimals, saved.positions.volume_decimals)
        for name in _State.__struct_fields__:
            setattr(books, name, getattr(saved, name))
        return books

    def recall(self, line: bytes) -> None:
        """Put a line read back from the file into its slot's last lines, oldest first."""
        self.slot_lines(msgspec.json.decode(line, type=LedgerEntry).slot_id).append(line)

    # --- inside -----------------------------------------------------------------------------

    def _admit(self, part: FillPart) -> None:
        order, booked = part.client_id, self.booked.get(part.client_id, ZERO)
        if part.executed <= 0 or part.executed_total - part.executed != booked:
            raise DoubleBooking(
                f"order {order}: booked up to {plain(booked)}, so the next part starts there; was "
                f"{plain(part.executed)} ending at {plain(part.executed_total)}"
            )
        if (part.side == "buy") is not ((part.trade_id == "B") is (part.role == "entry")):
            raise ValueError(
                f"order {order}: a {part.side} cannot be the {part.role} of trade {part.trade_id}"
            )
        self.booked[order] = part.executed_total
        if part.last:
            self.order_done(order)

    def _profit(self, seq: int, at: float, part: FillPart) -> None:
        key = part.slot_id, part.trade_id, part.cycle
        note = self._with_lots("recovery" if part.role == "recovery" else "", *key)
        closed = self.positions.closing_volume(part)
        result = self.positions.leave(part, closed), closed, part.price
        self._memo(seq, at, "CYCLE_PROFIT", key, part.client_id, note, result)

    def _with_lots(self, note: str, slot_id: int, trade_id: str, cycle: int) -> str:
        position = self.positions.position(slot_id, trade_id, cycle)
        if position is None or not position.lots:
            return note
        lots = "with lots " + ", ".join(map(str, position.lots))
        return f"{note}; {lots}" if note else lots

    # Rows are built by position where many are written: half the time of building by keyword.

    def _order_row(
        self,
        seq: int,
        at: float,
        entry_type: EntryType,
        part: FillPart,
        quote: Decimal,
        base: Decimal,
        note: str,
    ) -> None:
        self.quote += quote
        self.base += base
        entry = LedgerEntry(
            self.next_id,
            seq,
            at,
            entry_type,
            part.slot_id,
            part.trade_id,
            part.cycle,
            *_sides(quote),
            *_sides(base),
            ZERO,
            ZERO,
            part.price,
            ZERO if part.fee_asset_is_base else part.fee,
            part.fee if part.fee_asset_is_base else ZERO,
            part.client_id,
            part.txid,
            part.order_local_id,
            self.quote or ZERO,
            self.base or ZERO,
            note,
        )
        self._append(entry)

    def _account_row(
        self,
        seq: int,
        at: float,
        entry_type: EntryType,
        quote: Decimal,
        base: Decimal,
        price: Decimal,
        note: str,
        client_id: str = "",
    ) -> None:
        self.quote += quote
        self.base += base
        if entry_type != "ROUNDING":
            self.paid_in_quote += quote
            self.paid_in_base += base
        sides = *_sides(quote), *_sides(base)
        balances = self.quote or ZERO, self.base or ZERO
        row = self.next_id, seq, at, entry_type, 0, "", 0, *sides, ZERO, ZERO, price
        self._append(LedgerEntry(*row, ZERO, ZERO, client_id, "", 0, *balances, note))

    def _memo(
        self,
        seq: int,
        at: float,
        entry_type: EntryType,
        key: tuple[int, str, int],
        client_id: str,
        note: str,
        result: tuple[Decimal, Decimal, Decimal] = (ZERO, ZERO, ZERO),
    ) -> None:
        realised, closed, price = result
        entry = LedgerEntry(
            self.next_id,
            seq,
            at,
            entry_type,
            *key,
            realised_quote=realised,
            volume_closed=closed,
            price=price,
            client_id=client_id,
            balance_quote_after=self.quote or ZERO,
            balance_base_after=self.base or ZERO,
            note=note,
        )
        self._append(entry)

    def _append(self, entry: LedgerEntry) -> None:
        body, head = _encode(entry), self.head_hash.encode()
        self.head_hash = sha256(head + body).hexdigest()
        line = b'%b,"prev_hash":"%b","hash":"%b"}\n' % (body[:-1], head, self.head_hash.encode())
        self.lines.append(line)
        self.slot_lines(entry.slot_id).append(line)
        self.next_id += 1
        self.counts[entry.entry_type] = self.counts.get(entry.entry_type, 0) + 1


def _sides(amount: Decimal) -> tuple[Decimal, Decimal]:
    if not amount:
        return ZERO, ZERO
    return (ZERO, amount) if amount > 0 else (-amount, ZERO)
