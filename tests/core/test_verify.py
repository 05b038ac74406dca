"""Verification: whole books pass, and whatever was done to a file is found and named."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from hashlib import sha256

import pytest
from hypothesis import given, settings

from gridbot.core.ledger import Books, LedgerHead
from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.verify import verify_lines
from tests.core.test_ledger import Activity, Operation, operations, part


def written() -> Books:
    return Activity(Books(5, 2)).start().do_random(3, 400).books


def small() -> Books:
    """Lines 1-2 opening, 3-4 entry and fee, 5-7 exit, fee and profit, 8-9 entry, 10 write-off."""
    books = Books(5, 2)
    books.open_account(1, 1.0, D("100"), D("200"), D("0.2"))
    books.execution(2, 2.0, part())
    books.execution(3, 3.0, part(role="exit", side="sell", client_id="gbtest2", cost=D("10.5")))
    books.execution(4, 4.0, part(cycle=4, client_id="gbtest3"))
    books.write_off(5, 5.0, 7, "B", 4, "gbtest4", D("0.19"))
    return books


def rechained(rows: list[dict[str, object]]) -> list[bytes]:
    """What a forger with the formula at hand would write."""
    lines, head = [], ""
    for row in rows:
        bare = {key: value for key, value in row.items() if key not in ("prev_hash", "hash")}
        body = json.dumps(bare, separators=(",", ":"))
        digest = sha256((head + body).encode()).hexdigest()
        lines.append(f'{body[:-1]},"prev_hash":"{head}","hash":"{digest}"}}\n'.encode())
        head = digest
    return lines


def only_problem(lines: list[bytes], head: LedgerHead | None = None) -> str:
    report = verify_lines(lines, head)
    assert not report.ok
    assert len(report.problems) == 1
    return report.problems[0]


# --- sound books ----------------------------------------------------------------------------


@given(operations)
@settings(max_examples=150, deadline=None)
def test_books_of_any_activity_verify_and_give_the_same_figures(happened: list[Operation]) -> None:
    use_exact_arithmetic()
    activity = Activity(Books(5, 2)).start()
    for operation in happened:
        activity.do(operation)
    books = activity.books
    report = verify_lines(books.lines, books.head)
    assert report.problems == []
    assert (report.ok, report.notes, report.head) == (True, [], books.head)
    assert (report.quote, report.base) == (books.quote, books.base)
    assert (report.total, report.accounts) == (books.totals, books.positions.accounts)
    assert report.inventory_units == books.positions.inventory_units
    assert report.inventory_cost == books.positions.inventory_cost


def test_lines_are_read_as_a_stream() -> None:
    books, taken = written(), []

    def stream() -> Iterator[bytes]:
        for line in books.lines:
            taken.append(len(line))
            yield line

    report = verify_lines(stream(), books.head)
    assert report.ok
    assert len(taken) == report.entries == books.head.id > 500


def test_an_empty_file_is_sound_unless_a_snapshot_knew_of_more() -> None:
    report = verify_lines([])
    assert (report.ok, report.entries, report.notes) == (True, 0, [])
    assert report.head == LedgerHead(0, "")
    assert "ends at entry 0" in only_problem([], LedgerHead(3, "ab"))


# --- tampering ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 57, 300])
def test_an_edited_digit_is_found_and_its_line_named(number: int) -> None:
    lines = written().lines
    digits = [m.start() for m in re.finditer(rb"\d", lines[number - 1])]
    for at in digits[:: max(1, len(digits) // 12)]:
        line = bytearray(lines[number - 1])
        line[at] = ord("1") if line[at] != ord("1") else ord("2")
        problem = only_problem([*lines[: number - 1], bytes(line), *lines[number:]])
        assert problem.startswith(f"line {number}: ")


def test_a_deleted_line_is_found() -> None:
    lines = written().lines
    assert only_problem(lines[:99] + lines[100:]) == "line 100: id was 101, should be 100"


def test_swapped_lines_are_found() -> None:
    lines = written().lines
    lines[99:101] = lines[100], lines[99]
    assert only_problem(lines) == "line 100: id was 101, should be 100"


def test_a_forged_line_at_the_end_is_found() -> None:
    books = written()
    count = books.head.id
    forged = books.lines[-1].replace(b'"id":%d,' % count, b'"id":%d,' % (count + 1))
    assert (
        only_problem([*books.lines, forged])
        == f"line {count + 1}: prev_hash is not the line before"
    )


def test_a_line_from_a_rewritten_chain_is_not_the_one_the_snapshot_knew() -> None:
    books = small()
    rows = [json.loads(line) for line in books.lines]
    rows[2]["note"] = "rewritten"
    lines = rechained(rows)
    assert verify_lines(lines).ok
    assert only_problem(lines, books.head).startswith("line 10: another line than the one")


def test_a_line_that_is_no_entry_is_named() -> None:
    lines = small().lines
    lines[4] = b'{"id":5,"seq":"x"}\n'
    assert only_problem(lines).startswith("line 5: not a ledger entry: ")
    lines[4] = b'{"id":5,\xff\n'
    assert only_problem(lines).startswith("line 5: not a ledger entry: ")


# Each forger recomputes the whole chain, so only what the rows mean can give him away.
FORGERIES: dict[str, tuple[int, Callable[[dict[str, object]], object], str]] = {
    "balance": (3, lambda r: r.update(balance_quote_after="91"), "balance_quote_after was 91"),
    "amount": (3, lambda r: r.update(debit_quote="9"), "balance_quote_after was 90, should be 91"),
    "not a number": (3, lambda r: r.update(debit_quote="NaN"), "cannot be computed"),
    "infinite": (3, lambda r: r.update(credit_base="Infinity"), "balance_base_after was 250"),
    "negative": (3, lambda r: r.update(debit_quote="-10"), "a debit or credit was negative"),
    "both sides": (3, lambda r: r.update(debit_quote="11", credit_quote="1"), "legs disagree"),
    "no price": (3, lambda r: r.pop("price"), "an execution needs a volume and a price"),
    "wrong side": (3, lambda r: r.update(trade_id="A"), "trade A does not buy as entry"),
    "no trade": (3, lambda r: r.update(trade_id="C"), "trade was 'C', should be A or B"),
    "two fees": (3, lambda r: r.update(fee_base="1"), "charged in one asset only"),
    "cash that realises": (3, lambda r: r.update(realised_quote="1"), "realises nothing"),
    "fee not repeated": (3, lambda r: r.pop("fee_quote"), "FEE without the execution"),
    "other fee": (3, lambda r: r.update(fee_quote="0.05"), "the fee is not the one"),
    "fee of another order": (4, lambda r: r.update(client_id="gbx"), "belongs to another order"),
    "profit": (7, lambda r: r.update(realised_quote="9"), "realised_quote was 9, should be 0.42"),
    "volume": (7, lambda r: r.update(volume_closed="51"), "closes 51 of 50 open"),
    "memo with cash": (7, lambda r: r.update(credit_quote="1"), "is a memo and moves no cash"),
    "profit elsewhere": (7, lambda r: r.update(slot_id=8), "belongs to another order"),
    "written off": (10, lambda r: r.update(volume_closed="1"), "writes off 1 of 50 open"),
    "loss": (10, lambda r: r.update(realised_quote="0"), "realised_quote was 0, should be -0.54"),
    "unknown position": (10, lambda r: r.update(cycle=9), "trade B cycle 9: no open position"),
    "unknown lot": (10, lambda r: r.update(note="with lots 1"), "cycle 1: no open position"),
    "type": (10, lambda r: r.update(entry_type="GIFT"), "not a ledger entry"),
    "first row": (1, lambda r: r.update(entry_type="TRANSFER"), "begin with OPENING_BALANCE"),
    "no decimals": (1, lambda r: r.pop("note"), "does not note the decimals"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_with_a_flawless_chain_is_found_by_its_meaning(name: str) -> None:
    number, forge, problem = FORGERIES[name]
    rows = [json.loads(line) for line in small().lines]
    forge(rows[number - 1])
    found = only_problem(rechained(rows))
    named = int(found.split(":")[0].removeprefix("line "))
    assert problem in found
    assert named in (number, number + 1)


def test_a_cash_row_without_cash_is_found() -> None:
    books = small()
    books.rounding(6, 6.0, False, D("0"))
    assert only_problem(books.lines) == "line 11: ROUNDING moves no cash"


def test_a_row_left_out_of_a_booking_is_found_in_a_flawless_chain() -> None:
    rows = [json.loads(line) for line in small().lines]
    for left_out, problem in ((7, "should be a CYCLE_PROFIT row"), (4, "should be a FEE row")):
        rest = [row for number, row in enumerate(rows, 1) if number != left_out]
        for number, row in enumerate(rest, 1):
            row = rest[number - 1] = {**row, "id": number}
            if left_out == 4 and number >= 4:
                row["balance_quote_after"] = str(D(str(row["balance_quote_after"])) + D("0.04"))
        assert problem in only_problem(rechained(rest))


# --- what a crash leaves --------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 20, -1])
def test_a_torn_last_line_is_a_note(cut: int) -> None:
    books = small()
    lines = [*books.lines[:-1], books.lines[-1][:cut]]
    report = verify_lines(lines)
    assert report.ok
    assert report.entries == 9
    assert report.notes == ["line 10: torn, as after a crash while it was written"]
    assert "ends at entry 9" in only_problem(lines, books.head)


def test_a_torn_line_with_its_end_is_a_note_only_at_the_end() -> None:
    lines = small().lines
    torn = lines[5][:40] + b"\n"
    assert verify_lines([*lines[:5], torn]).ok
    assert only_problem([*lines[:5], torn, *lines[6:]]).startswith("line 6: ")


@pytest.mark.parametrize(("kept", "missing"), [(3, "FEE"), (5, "FEE"), (6, "CYCLE_PROFIT")])
def test_an_incomplete_last_booking_is_a_note(kept: int, missing: str) -> None:
    report = verify_lines(small().lines[:kept])
    assert (report.ok, report.entries) == (True, kept)
    assert report.notes == [f"the last booking is not complete: {missing} row missing"]


def test_a_file_longer_than_the_snapshot_is_a_note_and_a_shorter_one_a_problem() -> None:
    books = Books(5, 2)
    books.open_account(1, 1.0, D("100"), D("200"), D("0.2"))
    snapshot = books.head
    books.execution(2, 2.0, part())
    report = verify_lines(books.lines, snapshot)
    assert (report.ok, report.notes) == (True, ["2 entries after the snapshot's 2"])
    problem = only_problem(books.lines[:2], books.head)
    assert problem == "line 2: the file ends at entry 2, the snapshot vouches for 4"
