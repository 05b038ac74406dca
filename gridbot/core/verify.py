"""Verification of the ledger: reads its lines once and believes nothing it can recompute.

Per line: JSON shape, gap-free id, hash chain, balances from debits and credits, rows in the order
they are booked in, closed volumes and results from the positions that the rows themselves add up
to. At the end the worth identity at the last price. It stops at the first bad line and names it;
later lines are not trusted. A torn last line and an incomplete last booking are what a crash leaves
behind: notes, not problems. Memory is bounded by what is open, never by the length of the file.
"""

import re
from collections.abc import Iterable
from decimal import Decimal, DecimalException, localcontext
from hashlib import sha256
from itertools import chain, pairwise

import msgspec

from gridbot.core.ledger import EXECUTION_TYPES, LedgerHead
from gridbot.core.numbers import CONTEXT, ZERO, plain
from gridbot.core.positions import FillPart, NoPosition, Position, Positions, SlotAccount, fill_side
from gridbot.core.records import LedgerEntry, Record, Role, TradeId

_decode = msgspec.json.Decoder(LedgerEntry).decode
_DECIMALS = re.compile(r"quote to (-?\d{1,2}) decimals, base to (-?\d{1,2})$")
_LOTS = re.compile(r"(?:^|; )with lots (\d+(?:, \d+)*)$")
_LINK = b',"prev_hash":"'

_TRADES: dict[str, TradeId] = {"A": "A", "B": "B"}
_ROLES: dict[str, Role] = {kind: role for (role, _), kind in EXECUTION_TYPES.items()}
_MEMOS = ("CYCLE_PROFIT", "WRITE_OFF", "RECOVERY_CANCEL", "RECONCILIATION_DRIFT")


class VerifyReport(Record, frozen=True):
    """What the lines prove; figures are those after the last good line, money in quote."""

    ok: bool
    entries: int
    problems: list[str]
    notes: list[str]
    head: LedgerHead
    quote: Decimal
    base: Decimal
    total: SlotAccount
    accounts: dict[int, SlotAccount]
    open_positions: list[Position]
    inventory_units: Decimal
    inventory_cost: Decimal


def verify_lines(lines: Iterable[bytes], head: LedgerHead | None = None) -> VerifyReport:
    """Check the whole ledger; ``head`` is the last line a snapshot knew of: a file that ends before
    it or holds another line there has a problem, a longer one is only noted."""
    with localcontext(CONTEXT):
        replay, problems, notes, number = _Replay(), list[str](), list[str](), 0
        try:
            for number, (line, after) in enumerate(pairwise(chain(lines, [b""])), 1):
                if not after and _is_torn(line):
                    notes.append(f"line {number}: torn, as after a crash while it was written")
                else:
                    replay.line(line, head)
            notes += replay.finish(head)
        except _Bad as bad:
            problems.append(f"line {number}: {bad}")
        except (DecimalException, NoPosition) as error:
            problems.append(f"line {number}: cannot be computed: {error or type(error).__name__}")
        return replay.report(problems, notes)


def chained_hash(line: bytes, previous: bytes) -> bytes | None:
    """The hash of a line that continues the chain after ``previous``; None if it does not."""
    body, _, tail = line.rpartition(_LINK)
    digest = sha256(previous + body + b"}").hexdigest().encode()
    return digest if tail == b'%b","hash":"%b"}\n' % (previous, digest) else None


class _Bad(Exception):
    pass


def _is_torn(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return True
    try:
        msgspec.json.decode(line)
    except msgspec.DecodeError:
        return True
    return False


def _require(holds: bool, text: str) -> None:
    if not holds:
        raise _Bad(text)


class _Replay:
    def __init__(self) -> None:
        self.positions = Positions(0, 0)
        self.entries = 0
        self.hash = b""
        self.quote = self.base = self.last_price = ZERO
        self.moved = ZERO, ZERO  # quote and base, by this row
        self.part: FillPart  # the last execution,
        self.due: list[str] = []  # and the types of the rows that must follow it

    def line(self, line: bytes, head: LedgerHead | None) -> None:
        try:
            row = _decode(line)
        except msgspec.DecodeError as error:
            raise _Bad(f"not a ledger entry: {error}") from None
        expected, digest = self.entries + 1, chained_hash(line, self.hash)
        if row.id != expected:
            raise _Bad(f"id was {row.id}, should be {expected}")
        if digest is None:
            _require(row.prev_hash.encode() == self.hash, "prev_hash is not the line before")
            raise _Bad("hash does not fit: the line was changed after it was written")
        self.hash = digest
        if head is not None and row.id == head.id:
            _require(row.hash == head.hash, "another line than the one the snapshot vouches for")
        self._balances(row)
        self._order_of_rows(row)
        self._meaning(row)
        self.last_price = row.price or self.last_price
        self.entries = expected

    def finish(self, head: LedgerHead | None) -> list[str]:
        notes, known = [], head.id if head is not None else self.entries
        if self.entries < known:
            raise _Bad(f"the file ends at entry {self.entries}, the snapshot vouches for {known}")
        if self.entries > known:
            notes.append(f"{self.entries - known} entries after the snapshot's {known}")
        if self.due:
            notes.append(f"the last booking is not complete: {self.due[0]} row missing")
            return notes
        gap = self.positions.gap(self.quote, self.base, self.last_price)
        _require(not gap, f"worth at the last price is {plain(gap)} more than all rows explain")
        return notes

    def report(self, problems: list[str], notes: list[str]) -> VerifyReport:
        grid, head = self.positions, LedgerHead(self.entries, self.hash.decode())
        held = [position for slot in sorted(grid.open) for position in grid.of_slot(slot)]
        return VerifyReport(
            not problems, self.entries, problems, notes, head, self.quote, self.base, grid.total,
            dict(sorted(grid.accounts.items())), held, grid.inventory_units, grid.inventory_cost,
        )  # fmt: skip

    def _balances(self, row: LedgerEntry) -> None:
        legs = row.debit_quote, row.credit_quote, row.debit_base, row.credit_base
        _require(min(legs) >= 0, "a debit or credit was negative")
        if row.entry_type in _MEMOS:
            _require(not any(legs), f"{row.entry_type} is a memo and moves no cash")
        else:
            realises = row.realised_quote or row.volume_closed
            _require(not realises, f"{row.entry_type} moves cash and realises nothing")
        self.moved = quote, base = legs[1] - legs[0], legs[3] - legs[2]
        self.quote += quote
        self.base += base
        for name, was, should in (
            ("quote", row.balance_quote_after, self.quote),
            ("base", row.balance_base_after, self.base),
        ):
            if was != should:
                raise _Bad(f"balance_{name}_after was {plain(was)}, should be {plain(should)}")

    def _order_of_rows(self, row: LedgerEntry) -> None:
        if not self.entries:
            _require(row.entry_type == "OPENING_BALANCE", "books begin with OPENING_BALANCE")
        if self.due:
            due = self.due.pop(0)
            _require(row.entry_type == due, f"was {row.entry_type}, should be a {due} row")
            part = self.part
            its = part.slot_id, part.trade_id, part.cycle, part.client_id
            same = its == (row.slot_id, row.trade_id, row.cycle, row.client_id)
            _require(same, f"{due} belongs to another order than the execution before it")
        elif row.entry_type in ("FEE", "CYCLE_PROFIT"):
            raise _Bad(f"{row.entry_type} without the execution it belongs to")

    def _meaning(self, row: LedgerEntry) -> None:
        kind = row.entry_type
        if kind in _ROLES:
            self._execution(row)
        elif kind == "FEE":
            self._fee(row)
        elif kind == "CYCLE_PROFIT":
            self._profit(row)
        elif kind == "WRITE_OFF":
            self._write_off(row)
        elif kind not in _MEMOS:
            self._account_level(row)

    def _execution(self, row: LedgerEntry) -> None:
        role = _ROLES[row.entry_type]
        if row.trade_id not in _TRADES:
            raise _Bad(f"trade was {row.trade_id!r}, should be A or B")
        trade = _TRADES[row.trade_id]
        side = fill_side(trade, role)
        if EXECUTION_TYPES[role, side] != row.entry_type:
            raise _Bad(f"trade {trade} does not {'sell' if side == 'buy' else 'buy'} as {role}")
        legs = row.credit_base, row.debit_quote, row.debit_base, row.credit_quote
        executed, cost, *against = legs if side == "buy" else legs[2:] + legs[:2]
        _require(executed > 0 and row.price > 0, "an execution needs a volume and a price")
        _require(not any(against), "legs disagree")
        _require(not (row.fee_quote and row.fee_base), "a fee is charged in one asset only")
        fee, fee_is_base = row.fee_base or row.fee_quote, bool(row.fee_base)
        self.part = part = FillPart(
            row.slot_id, trade, row.cycle, role, side, row.client_id, row.txid,
            row.order_local_id, row.price, executed, cost, fee, fee_is_base, executed, False,
        )  # fmt: skip
        self.due = ["FEE"] if fee else []
        if role == "entry":
            self.positions.enter(part)
        else:
            self.due.append("CYCLE_PROFIT")

    def _fee(self, row: LedgerEntry) -> None:
        part = self.part
        due = (ZERO, part.fee) if part.fee_asset_is_base else (part.fee, ZERO)
        fits = (-self.moved[0], -self.moved[1]) == due == (row.fee_quote, row.fee_base)
        _require(fits, "the fee is not the one its execution states")

    def _profit(self, row: LedgerEntry) -> None:
        self._join_lots(row)
        position = self.positions.position(row.slot_id, row.trade_id, row.cycle)
        held = position.volume if position is not None else ZERO
        fits = row.volume_closed in (held, self.positions.closing_volume(self.part))
        _require(fits, f"closes {plain(row.volume_closed)} of {plain(held)} open")
        self._result(row, self.positions.leave(self.part, row.volume_closed))

    def _write_off(self, row: LedgerEntry) -> None:
        self._join_lots(row)
        key = row.slot_id, row.trade_id, row.cycle
        volume, result = self.positions.write_off(*key, row.price)
        closed = row.volume_closed
        _require(closed == volume, f"writes off {plain(closed)} of {plain(volume)} open")
        self._result(row, result)

    def _result(self, row: LedgerEntry, result: Decimal) -> None:
        was = row.realised_quote
        _require(was == result, f"realised_quote was {plain(was)}, should be {plain(result)}")

    def _join_lots(self, row: LedgerEntry) -> None:
        found = _LOTS.search(row.note)
        if found:
            lots = [int(cycle) for cycle in found[1].split(", ")]
            self.positions.merge(row.slot_id, row.trade_id, row.cycle, lots)

    def _account_level(self, row: LedgerEntry) -> None:
        grid = self.positions
        if row.entry_type == "OPENING_BALANCE":
            found = _DECIMALS.search(row.note)
            if found is None:
                raise _Bad("OPENING_BALANCE does not note the decimals of quote and base")
            grid.cost_decimals, grid.volume_decimals = map(int, found.groups())
            grid.opening(*self.moved, row.price)
            return
        _require(any(self.moved), f"{row.entry_type} moves no cash")
        if row.entry_type == "ROUNDING":
            grid.rounding(*self.moved)
        else:
            grid.external(*self.moved, row.price)
