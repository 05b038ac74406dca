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

from collections import defaultdict, deque
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec

from gridbot.core.numbers import ZERO, plain
from gridbot.core.positions import FillPart, Positions, SlotAccount, fill_side
from gridbot.core.records import EntryType, LedgerEntry, Record, Role, Side

SLOT_LINES_MAX = 500
FINISHED_ORDERS_MAX = 10_000  # half of it, days of a busy instance, is always remembered

EXECUTION_TYPES: dict[tuple[Role, Side], EntryType] = {
    ("entry", "buy"): "BUY_ENTRY", ("entry", "sell"): "SELL_ENTRY",
    ("exit", "buy"): "BUY_EXIT", ("exit", "sell"): "SELL_EXIT",
    ("recovery", "buy"): "RECOVERY_FILL", ("recovery", "sell"): "RECOVERY_FILL",
}  # fmt: skip

# How the figures of a row come together.
When = tuple[int, float]  # step, epoch seconds
Cycle = tuple[int, str, int]  # slot, trade, cycle
Amounts = tuple[Decimal, Decimal]  # quote, base
Result = tuple[Decimal, Decimal, Decimal]  # realised, volume closed, price
Order = tuple[str, str, int]  # client id, exchange id, local id

_ACCOUNT = (0, "", 0)
_NOTHING = (ZERO, ZERO)
# What later lines depend on, by the names that Books gives it.
_State = msgspec.defstruct("_State", [
    ("positions", Positions), ("quote", Decimal), ("base", Decimal), ("paid_in_quote", Decimal),
    ("paid_in_base", Decimal), ("next_id", int), ("head_hash", str), ("counts", dict[str, int]),
    ("booked", dict[str, Decimal]), ("finished", list[str]),
])  # fmt: skip
_encode = msgspec.json.Encoder().encode


class DoubleBooking(Exception):
    """A part of an order that does not begin where its booked parts end; the message names it."""


class LedgerHead(Record, frozen=True):
    """The last line of the books: its id (0 before the first) and its hash."""

    id: int
    hash: str


class Books:
    """Balances, positions and the growing chain of one engine's ledger."""

    def __init__(self, cost_decimals: int, volume_decimals: int) -> None:
        self.positions = Positions(cost_decimals, volume_decimals)
        self.quote = self.base = ZERO
        self.paid_in_quote = self.paid_in_base = ZERO  # opening, transfers, trades not ours
        self.next_id = 1
        self.head_hash = ""
        self.counts: dict[str, int] = {}
        self.booked: dict[str, Decimal] = {}  # client id -> cumulative executed
        self.finished: list[str] = []
        self.lines: list[bytes] = []
        self._slot_lines: dict[int, deque[bytes]] = defaultdict(
            lambda: deque(maxlen=SLOT_LINES_MAX)
        )

    @property
    def head(self) -> LedgerHead:
        """Id and hash of the last line written."""
        return LedgerHead(self.next_id - 1, self.head_hash)

    @property
    def totals(self) -> SlotAccount:
        """Booked results of all slots together."""
        return self.positions.total

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
        return self._slot_lines[slot_id]

    def take_lines(self) -> list[bytes]:
        """Hand over the lines written since the last call."""
        lines, self.lines = self.lines, []
        return lines

    def execution(self, seq: int, at: float, part: FillPart) -> None:
        """Book one difference of an order's cumulative figures. Raises DoubleBooking, or ValueError
        for a side that its trade does not have; the books are unchanged then."""
        self._admit(part)
        when, cycle = (seq, at), (part.slot_id, part.trade_id, part.cycle)
        order, result = (part.client_id, part.txid, part.order_local_id), (ZERO, ZERO, part.price)
        cash = (-part.cost, part.executed) if part.side == "buy" else (part.cost, -part.executed)
        fees = (ZERO, part.fee) if part.fee_asset_is_base else (part.fee, ZERO)
        entry_type, note = EXECUTION_TYPES[part.role, part.side], " ".join(part.trade_ids)
        self._row(when, entry_type, cycle, cash, result, order, note, fees)
        if part.fee:
            self._row(when, "FEE", cycle, (-fees[0], -fees[1]), result, order, "", fees)
        if part.role == "entry":
            self.positions.enter(part)
            return
        note = self._with_lots("recovery" if part.role == "recovery" else "", *cycle)
        closed = self.positions.closing_volume(part)
        result = self.positions.leave(part, closed), closed, part.price
        self._row(when, "CYCLE_PROFIT", cycle, _NOTHING, result, (part.client_id, "", 0), note)

    def order_done(self, client_id: str) -> None:
        """No more executions will come of this order: it is finished, and may be forgotten."""
        self.finished.append(client_id)
        if len(self.finished) > FINISHED_ORDERS_MAX:
            half = FINISHED_ORDERS_MAX // 2
            for forgotten in self.finished[:half]:
                self.booked.pop(forgotten, None)
            del self.finished[:half]

    def write_off(
        self, seq: int, at: float, slot_id: int, trade_id: str, cycle: int, client_id: str,
        market_price: Decimal, note: str = "",
    ) -> None:  # fmt: skip
        """Close a position in the books at ``market_price``; raises NoPosition."""
        key = slot_id, trade_id, cycle
        note = self._with_lots(note, *key)
        volume, realised = self.positions.write_off(*key, market_price)
        result, order = (realised, volume, market_price), (client_id, "", 0)
        self._row((seq, at), "WRITE_OFF", key, _NOTHING, result, order, note)

    def open_account(
        self, seq: int, at: float, quote: Decimal, base: Decimal, price: Decimal
    ) -> None:
        """First sight of the account: one row per asset, base valued at ``price``."""
        grid, when = self.positions, (seq, at)
        note = f"quote to {grid.cost_decimals} decimals, base to {grid.volume_decimals}"
        grid.opening(quote, base, price)
        self._paid_in(when, "OPENING_BALANCE", (quote, ZERO), price, note)
        self._paid_in(when, "OPENING_BALANCE", (ZERO, base), price, note)

    def transfer(
        self, seq: int, at: float, asset_is_base: bool, amount: Decimal, price: Decimal, note: str
    ) -> None:
        """A deposit (positive) or withdrawal (negative); base is valued at ``price``."""
        amounts = (ZERO, amount) if asset_is_base else (amount, ZERO)
        self.positions.external(*amounts, price)
        self._paid_in((seq, at), "TRANSFER", amounts, price, note)

    def external_trade(
        self, seq: int, at: float, quote: Decimal, base: Decimal, price: Decimal, note: str
    ) -> None:
        """A trade that was not ours: signed amounts that entered, net of its fee."""
        self.positions.external(quote, base, price)
        self._paid_in((seq, at), "EXTERNAL_TRADE", (quote, base), price, note)

    def rounding(
        self, seq: int, at: float, asset_is_base: bool, amount: Decimal, client_id: str = ""
    ) -> None:
        """What the exchange's own row of an order holds more (positive) or less than ours."""
        amounts = (ZERO, amount) if asset_is_base else (amount, ZERO)
        self.positions.rounding(*amounts)
        self._row((seq, at), "ROUNDING", cash=amounts, order=(client_id, "", 0))

    def drift(self, seq: int, at: float, quote: Decimal, base: Decimal, note: str = "") -> None:
        """Note the unexplained amounts (exchange minus ledger) when they have changed."""
        text = f"unexplained: {plain(quote)} quote, {plain(base)} base"
        self._row((seq, at), "RECONCILIATION_DRIFT", note=f"{text}; {note}" if note else text)

    def to_state(self) -> dict[str, Any]:
        """All that later lines depend on, JSON-able; numbers keep the form they are written in."""
        state = {name: getattr(self, name) for name in _State.__struct_fields__}
        return msgspec.json.decode(_encode(state), type=dict[str, Any])

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "Books":
        """The books as they were, without past lines; raises msgspec.ValidationError."""
        saved: Any = msgspec.convert(state, _State, str_keys=True)
        books = cls(saved.positions.cost_decimals, saved.positions.volume_decimals)
        for name in _State.__struct_fields__:
            setattr(books, name, getattr(saved, name))
        return books

    def _admit(self, part: FillPart) -> None:
        order, booked, side = part.client_id, self.booked.get(part.client_id, ZERO), part.side
        if part.executed <= 0 or part.executed_total - part.executed != booked:
            was = f"{plain(part.executed)} ending at {plain(part.executed_total)}"
            known = f"booked up to {plain(booked)}, so the next part starts there"
            raise DoubleBooking(f"order {order}: {known}; was {was}")
        if side != fill_side(part.trade_id, part.role):
            role = f"the {part.role} of trade {part.trade_id}"
            raise ValueError(f"order {order}: a {side} cannot be {role}")
        self.booked[order] = part.executed_total
        if part.last:
            self.order_done(order)

    def _with_lots(self, note: str, slot_id: int, trade_id: str, cycle: int) -> str:
        position = self.positions.position(slot_id, trade_id, cycle)
        lots = ", ".join(map(str, position.lots)) if position else ""
        return "; ".join(part for part in (note, lots and f"with lots {lots}") if part)

    def _paid_in(
        self, when: When, entry_type: EntryType, amounts: Amounts, price: Decimal, note: str
    ) -> None:
        self.paid_in_quote += amounts[0]
        self.paid_in_base += amounts[1]
        self._row(when, entry_type, cash=amounts, result=(ZERO, ZERO, price), note=note)

    def _row(
        self, when: When, entry_type: EntryType, cycle: Cycle = _ACCOUNT, cash: Amounts = _NOTHING,
        result: Result = (ZERO, ZERO, ZERO), order: Order = ("", "", 0), note: str = "", fees:
        Amounts = _NOTHING,
    ) -> None:  # fmt: skip
        quote, base = cash
        self.quote += quote
        self.base += base
        fields = (  # by position: half the time of building by keyword
            self.next_id, *when, entry_type, *cycle, *_sides(quote), *_sides(base), *result,
            *fees, *order, self.quote or ZERO, self.base or ZERO, note,
        )  # fmt: skip
        body, head = _encode(LedgerEntry(*fields)), self.head_hash.encode()
        self.head_hash = sha256(head + body).hexdigest()
        line = b'%b,"prev_hash":"%b","hash":"%b"}\n' % (body[:-1], head, self.head_hash.encode())
        self.lines.append(line)
        self._slot_lines[cycle[0]].append(line)
        self.next_id += 1
        self.counts[entry_type] = self.counts.get(entry_type, 0) + 1


def _sides(amount: Decimal) -> tuple[Decimal, Decimal]:
    if not amount:
        return ZERO, ZERO
    return (ZERO, amount) if amount > 0 else (-amount, ZERO)
