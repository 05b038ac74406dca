"""The books as they are written: rows, chain, guard, state, and the identity after anything."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal as D
from hashlib import sha256
from random import Random
from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core import ledger
from gridbot.core.ledger import Books, DoubleBooking, LedgerHead
from gridbot.core.numbers import round_half_even, use_exact_arithmetic
from gridbot.core.positions import FillPart, Position
from gridbot.core.records import EntryType, LedgerEntry
from gridbot.core.verify import verify_lines

PRICES = (D("0.00001"), D("0.1953"), D("77.7"))

# --- random activity, used by the tests of verification as well ------------------------------

Operation = tuple[int, int, int, int, int]
operations = st.lists(
    st.tuples(
        st.integers(0, 13),
        st.integers(0, 3),
        st.integers(1, 5000),
        st.integers(15000, 25000),
        st.integers(0, 11),
    ),
    min_size=12,  # the average length is twice this
    max_size=60,
)


@dataclass
class Activity:
    """Drives books through anything that may happen, and keeps the cash in the plainest way."""

    books: Books
    quote: D = D(0)
    base: D = D(0)
    orders: int = 0
    cycles: dict[tuple[int, str], int] = field(default_factory=dict)

    def start(self) -> "Activity":
        self.books.open_account(1, 1.0, D("500.12"), D("1000.5"), D("0.19531"))
        self.quote, self.base = D("500.12"), D("1000.5")
        return self

    def do_random(self, seed: int, count: int) -> "Activity":
        draw = Random(seed).randint
        for _ in range(count):
            self.do((draw(0, 13), draw(0, 3), draw(1, 5000), draw(15000, 25000), draw(0, 11)))
        return self

    def do(self, operation: Operation) -> None:
        kind, who, amount, price, detail = operation
        slot, trade = 1 + who // 2, "AB"[who % 2]
        volume, at_price = D(amount).scaleb(-2), D(price).scaleb(-5)
        acts = [self.enter, self.enter, self.enter, self.leave, self.leave, self.leave, self.leave]
        if kind < len(acts):
            acts[kind](slot, trade, volume, at_price, detail)
        elif kind == 7:
            for position in self.open_of(slot, trade)[:1]:
                key = slot, trade, position.cycle
                self.books.write_off(3, 3.0, *key, "gb1", at_price, "deadline" * (detail % 2))
        elif kind == 8:
            for position in self.open_of(slot, trade)[:1]:
                self.books.positions.set_aside(slot, trade, position.cycle)
                self.cycles[slot, trade] = self.cycles.get((slot, trade), 1) + 1
        elif kind == 9:
            for position in self.open_of(slot, trade)[-1:]:
                volume, unit_cost, fee = self.books.positions.join_lot(slot, trade, position.cycle)
                assert (unit_cost is None) is (volume == 0)
                assert fee >= 0
        else:
            self.account_level(kind, volume * (detail - 5), at_price, who % 2 == 0)

    def account_level(self, kind: int, amount: D, price: D, in_base: bool) -> None:
        if not amount:
            self.books.drift(4, 4.0, D("0.01"), D(0), "looking")
            return
        quote, base = (D(0), amount) if in_base else (amount, D(0))
        if kind == 10:
            self.books.transfer(4, 4.0, in_base, amount, price, "deposit")
        elif kind == 11:
            quote, base = -amount * price, amount
            self.books.external_trade(4, 4.0, quote, base, price, "manual")
        else:
            self.books.rounding(4, 4.0, in_base, amount, "gb1")
        self.quote += quote
        self.base += base

    def open_of(self, slot: int, trade: str) -> list[Position]:
        return [p for p in self.books.positions.of_slot(slot) if p.trade_id == trade]

    def enter(self, slot: int, trade: str, volume: D, price: D, detail: int) -> None:
        cycle = self.cycles.setdefault((slot, trade), 1)
        self.fill(slot, trade, cycle, "entry", volume, price, detail)

    def leave(self, slot: int, trade: str, volume: D, price: D, detail: int) -> None:
        found = [p for p in self.open_of(slot, trade) if not p.aside and p.volume]
        if not found and detail < 10:
            return
        cycle, held = (found[0].cycle, found[0].volume) if found else (99, volume)
        if detail % 3:
            volume = held  # in full; else whatever, less or more than is held
        role = "recovery" if detail % 4 == 0 else "exit"
        self.fill(slot, trade, cycle, role, volume, price, detail)
        if detail % 2:
            self.cycles[slot, trade] = max(self.cycles.get((slot, trade), 1), cycle + 1)

    def fill(
        self, slot: int, trade: str, cycle: int, role: str, volume: D, price: D, detail: int
    ) -> None:
        self.orders += 1
        buys = (trade == "B") is (role == "entry")
        cuts = [volume] if detail % 2 else [round_half_even(volume / 3, 2), volume]
        done = D(0)
        for until in cuts:
            executed = until - done
            if not executed:
                continue
            done = until
            cost = round_half_even(executed * price, 5)
            in_base = detail in (2, 3, 6, 7)
            fee = round_half_even((executed if in_base else cost) * D("0.0041"), 5 - in_base)
            fee = fee if detail else D(0)
            self.quote += (-cost if buys else cost) - (D(0) if in_base else fee)
            self.base += (executed if buys else -executed) - (fee if in_base else D(0))
            part = FillPart(
                slot_id=slot,
                trade_id="B" if trade == "B" else "A",
                cycle=cycle,
                role="entry" if role == "entry" else "recovery" if role == "recovery" else "exit",
                side="buy" if buys else "sell",
                client_id=f"gbtest{self.orders}",
                txid="OTEST",
                order_local_id=self.orders,
                price=price,
                executed=executed,
                cost=cost,
                fee=fee,
                fee_asset_is_base=in_base,
                executed_total=until,
                last=until == volume and detail != 11,
                trade_ids=("T1", "T2") if detail == 5 else (),
            )
            self.books.execution(2, 2.5, part)


def entries(lines: list[bytes]) -> list[LedgerEntry]:
    return [msgspec.json.decode(line, type=LedgerEntry) for line in lines]


def part(**fields: object) -> FillPart:
    usual: dict[str, object] = {
        "slot_id": 7,
        "trade_id": "B",
        "cycle": 3,
        "role": "entry",
        "side": "buy",
        "client_id": "gbtest1",
        "txid": "OTEST",
        "order_local_id": 5,
        "price": D("0.2"),
        "executed": D("50"),
        "cost": D("10"),
        "fee": D("0.04"),
        "fee_asset_is_base": False,
        "executed_total": D("50"),
        "last": True,
    }
    return FillPart(**{**usual, **fields})  # type: ignore[arg-type]


@pytest.fixture
def books() -> Iterator[Books]:
    books = Books(5, 2)
    books.open_account(1, 1.0, D("100"), D("200"), D("0.2"))
    yield books
    assert all(books.identity_gap(price) == 0 for price in PRICES)


# --- rows -----------------------------------------------------------------------------------


def test_an_entry_books_its_execution_and_its_fee(books: Books) -> None:
    books.take_lines()
    books.execution(9, 12.5, part(trade_ids=("TA", "TB")))
    execution, fee = entries(books.take_lines())
    assert (execution.id, execution.seq, execution.timestamp) == (3, 9, 12.5)
    assert (execution.entry_type, execution.debit_quote, execution.credit_base) == (
        "BUY_ENTRY",
        10,
        50,
    )
    assert (execution.fee_quote, execution.balance_quote_after) == (D("0.04"), 90)
    assert execution.balance_base_after == 250
    assert execution.note == "TA TB"
    assert (fee.entry_type, fee.debit_quote, fee.credit_base) == ("FEE", D("0.04"), 0)
    assert fee.balance_quote_after == D("89.96")
    assert {(e.slot_id, e.trade_id, e.cycle, e.client_id, e.txid) for e in (execution, fee)} == {
        (7, "B", 3, "gbtest1", "OTEST")
    }


def test_no_fee_makes_no_fee_row(books: Books) -> None:
    books.execution(9, 12.5, part(fee=D("0.00000")))
    assert books.counts == {"OPENING_BALANCE": 2, "BUY_ENTRY": 1}


def test_a_fee_in_base_is_debited_in_base(books: Books) -> None:
    books.execution(9, 12.5, part(fee=D("0.2"), fee_asset_is_base=True))
    fee = entries(books.take_lines())[-1]
    assert (fee.debit_quote, fee.debit_base, fee.fee_base) == (0, D("0.2"), D("0.2"))
    assert (books.quote, books.base) == (90, D("249.8"))


def test_an_exit_books_its_profit_net_of_both_fees(books: Books) -> None:
    books.execution(9, 12.5, part())
    books.take_lines()
    sold = part(role="exit", side="sell", client_id="gbtest2", cost=D("10.5"), fee=D("0.042"))
    books.execution(10, 13.0, sold)
    rows = entries(books.take_lines())
    assert [row.entry_type for row in rows] == ["SELL_EXIT", "FEE", "CYCLE_PROFIT"]
    assert (rows[2].realised_quote, rows[2].volume_closed) == (D("0.418"), 50)
    assert rows[2].note == ""
    assert not (rows[2].credit_quote or rows[2].debit_base or rows[2].fee_quote)
    assert books.totals == books.account(7)
    assert (books.totals.realised, books.totals.fees) == (D("0.418"), D("0.082"))
    assert (books.quote - books.paid_in_quote, books.base - books.paid_in_base) == (D("0.418"), 0)


def test_a_recovery_fill_says_so(books: Books) -> None:
    books.execution(9, 12.5, part())
    books.execution(10, 13.0, part(role="recovery", side="sell", client_id="gbtest2"))
    rows = entries(books.take_lines())
    assert [row.entry_type for row in rows[-3:]] == ["RECOVERY_FILL", "FEE", "CYCLE_PROFIT"]
    assert rows[-1].note == "recovery"
    assert books.totals.recovery == D("-0.08")


def test_a_write_off_moves_no_cash(books: Books) -> None:
    books.execution(9, 12.5, part())
    before = books.quote, books.base
    books.write_off(10, 13.0, 7, "B", 3, "gbtest2", D("0.19"), "deadline")
    row = entries(books.take_lines())[-1]
    assert (row.entry_type, row.realised_quote, row.volume_closed) == ("WRITE_OFF", D("-0.54"), 50)
    assert (row.price, row.note) == (D("0.19"), "deadline")
    assert (books.quote, books.base) == before


def test_rows_that_close_a_position_name_the_lots_that_joined_it(books: Books) -> None:
    for cycle in (1, 2):
        books.execution(9, 12.5, part(cycle=cycle, client_id=f"gbdust{cycle}"))
        books.positions.set_aside(7, "B", cycle)
    books.execution(9, 12.5, part())
    books.positions.join_lot(7, "B", 3)
    sold = part(role="recovery", side="sell", client_id="gbout", last=False)
    books.execution(10, 13.0, sold)
    assert entries(books.take_lines())[-1].note == "recovery; with lots 1, 2"
    books.write_off(11, 14.0, 7, "B", 3, "gbout", D("0.2"))
    assert entries(books.take_lines())[-1].note == ""


def test_a_lot_of_lots_names_them_all_and_verifies(books: Books) -> None:
    for cycle in (1, 2, 3):
        books.execution(9, 12.5, part(cycle=cycle, client_id=f"gbdust{cycle}"))
        books.positions.join_lot(7, "B", cycle)
        books.positions.set_aside(7, "B", cycle)
    assert books.positions.join_lot(7, "B", 3) == (150, D("0.2"), D("0.12"))
    books.execution(9, 12.5, part(cycle=4, client_id="gbnext"))
    assert books.positions.join_lot(7, "B", 4) == (50, D("0.2"), D("0.04"))  # 3 is no lot any more
    books.write_off(10, 13.0, 7, "B", 3, "gbout", D("0.2"), "shut")
    assert entries(books.lines)[-1].note == "shut; with lots 1, 2"
    assert verify_lines(books.lines, books.head).ok


def test_money_from_outside_is_no_flow_of_ours(books: Books) -> None:
    books.transfer(2, 2.0, False, D("-40"), D("0.2"), "withdrawal")
    books.transfer(2, 2.0, True, D("30"), D("0.25"), "deposit")
    books.external_trade(2, 2.0, D("-5.02"), D("20"), D("0.25"), "manual")
    assert (books.quote, books.base) == (D("54.98"), 250)
    assert (books.quote, books.base) == (books.paid_in_quote, books.paid_in_base)
    books.rounding(3, 3.0, False, D("-0.00001"), "gbtest1")
    assert books.quote - books.paid_in_quote == D("-0.00001")
    rows = entries(books.take_lines())[2:]
    assert [(row.debit_quote, row.credit_base) for row in rows] == [
        (40, 0),
        (0, 30),
        (D("5.02"), 20),
        (D("0.00001"), 0),
    ]


def test_drift_is_a_memo_that_names_the_amounts(books: Books) -> None:
    books.drift(2, 2.0, D("-0.0100"), D("0"), "looked up")
    row = entries(books.take_lines())[-1]
    assert row.note == "unexplained: -0.01 quote, 0 base; looked up"
    assert (books.quote, books.base) == (100, 200)


# --- the chain ------------------------------------------------------------------------------


def test_each_line_is_chained_to_the_one_before(books: Books) -> None:
    books.execution(9, 12.5, part())
    previous = ""
    for number, line in enumerate(books.lines, 1):
        row = json.loads(line)
        assert (row["id"], row["prev_hash"]) == (number, previous)
        body = line[: line.index(b',"prev_hash"')] + b"}"
        previous = row["hash"]
        assert previous == sha256(row["prev_hash"].encode() + body).hexdigest()
        assert line.endswith(b"}\n")
        assert line.count(b"\n") == 1
    assert books.head == LedgerHead(len(books.lines), previous)


def test_lines_are_taken_once_and_kept_per_slot(books: Books) -> None:
    books.execution(9, 12.5, part())
    lines = books.take_lines()
    assert (len(lines), books.take_lines()) == (4, [])
    assert list(books.slot_lines(0)) == lines[:2]
    assert list(books.slot_lines(7)) == lines[2:]


def test_a_slot_keeps_its_last_500_lines(books: Books) -> None:
    for number in range(600):
        books.execution(2, 2.0, part(client_id=f"gb{number}"))
    kept = books.slot_lines(7)
    assert len(kept) == 500
    assert kept[0] == books.lines[-500]


# --- booked once ----------------------------------------------------------------------------


def test_a_part_booked_twice_is_refused_and_changes_nothing(books: Books) -> None:
    books.execution(9, 12.5, part(last=False))
    before, lines = books.to_state(), list(books.lines)
    with pytest.raises(DoubleBooking, match="gbtest1: booked up to 50"):
        books.execution(10, 13.0, part(last=False))
    assert (books.to_state(), books.lines) == (before, lines)


@pytest.mark.parametrize(("executed", "total"), [("10", "60.5"), ("20", "60"), ("0", "50")])
def test_a_part_must_begin_where_the_last_one_ended(
    books: Books, executed: str, total: str
) -> None:
    books.execution(9, 12.5, part(last=False))
    with pytest.raises(DoubleBooking):
        books.execution(10, 13.0, part(executed=D(executed), executed_total=D(total)))
    for end in (D("60"), D("70")):
        books.execution(10, 13.0, part(executed=D("10"), executed_total=end, last=end == 70))
    assert books.base == 270


def test_a_finished_order_is_still_known(books: Books) -> None:
    books.execution(9, 12.5, part())
    books.order_done("gbtest1")
    with pytest.raises(DoubleBooking):
        books.execution(10, 13.0, part())


def test_finished_orders_are_forgotten_in_the_end_and_open_ones_never(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "FINISHED_ORDERS_MAX", 10)
    books.execution(9, 12.5, part(client_id="gbopen", last=False))
    for number in range(100):
        books.execution(9, 12.5, part(client_id=f"gb{number}", last=number % 2 == 0))
        books.order_done(f"gb{number}")
        assert len(books.booked) <= 12
    assert "gbopen" in books.booked
    assert all(f"gb{number}" in books.booked for number in range(97, 100))


def test_a_side_that_does_not_fit_its_trade_is_refused(books: Books) -> None:
    with pytest.raises(ValueError, match="a sell cannot be the entry of trade B"):
        books.execution(9, 12.5, part(side="sell"))


# --- state and identity ---------------------------------------------------------------------


@given(operations, operations)
@settings(max_examples=60, deadline=None)
def test_books_restored_from_state_go_on_identically(
    before: list[Operation], after: list[Operation]
) -> None:
    use_exact_arithmetic()
    original = Activity(Books(5, 2)).start()
    for operation in before:
        original.do(operation)
    original.books.take_lines()
    state = json.loads(json.dumps(original.books.to_state(), sort_keys=True))
    assert state == original.books.to_state()
    again = Activity(Books.from_state(state), D(0), D(0), original.orders, dict(original.cycles))
    for operation in after:
        original.do(operation)
        again.do(operation)
    assert again.books.take_lines() == original.books.take_lines()
    assert again.books.to_state() == original.books.to_state()


@given(operations)
@settings(max_examples=300, deadline=None)
def test_the_identity_closes_exactly_at_any_price_whatever_happens(
    happened: list[Operation],
) -> None:
    use_exact_arithmetic()
    activity = Activity(Books(5, 2)).start()
    books, positions = activity.books, activity.books.positions
    for operation in happened:
        activity.do(operation)
        assert (books.quote, books.base) == (activity.quote, activity.base)
        held = [p for slot in positions.open.values() for p in slot.values()]
        net_open = sum(p.volume if p.trade_id == "B" else -p.volume for p in held)
        assert positions.inventory_units == books.base - net_open
        for price in PRICES:
            assert books.identity_gap(price) == 0
            by_slot = sum(books.unrealised(slot, price) for slot in (1, 2))
            assert books.unrealised_total(price) == by_slot
    results = [books.account(slot) for slot in (1, 2)]
    assert books.totals.realised == sum(account.realised for account in results)
    assert books.totals.fees == sum(account.fees for account in results)


def test_random_activity_reaches_every_kind_of_row() -> None:
    books = Activity(Books(5, 2)).start().do_random(7, 3000).books
    kinds = {kind for kind in get_args(EntryType) if kind != "RECOVERY_CANCEL"}  # of older ledgers
    assert books.counts.keys() == kinds
    assert any(b"with lots" in line for line in books.lines)
    assert any(b'"fee_base"' in line for line in books.lines)
    assert books.identity_gap(D("0.2")) == 0
