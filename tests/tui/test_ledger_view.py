"""The ledger view, drawn without a terminal: what it shows, where its cursor goes, what it says."""

from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from gridbot.core.ledger import Books
from gridbot.core.positions import FillPart
from gridbot.core.records import LedgerEntry
from gridbot.core.settings import Settings
from gridbot.engine.actions import CommandError
from gridbot.engine.ledger_filter import LedgerFilter
from gridbot.engine.ledger_index import LedgerScan
from gridbot.engine.status import BalanceStatus, Status
from gridbot.tui.cells import length
from gridbot.tui.view import View
from gridbot.tui.views.ledger import LedgerBody
from gridbot.tui.views.ledger_table import figure

from .pictures import NOW, StillClient, status, text_of

SIZES = [(60, 13), (80, 19), (100, 30), (120, 35), (160, 40), (200, 45)]


def fill(number: int, role: str, slot: int, cycle: int) -> FillPart:
    entry = role == "entry"
    volume, cost = D("51.22163"), D("10.00000") if entry else D("10.09989")
    return FillPart(
        slot_id=slot, trade_id="B", cycle=cycle, role="entry" if entry else "exit",
        side="buy" if entry else "sell", client_id=f"gb{number:04d}{role[:2]}",
        txid=f"OQCL{number:04d}-{role.upper()}", order_local_id=number,
        price=D("0.19523") if entry else D("0.19718"), executed=volume, cost=cost, fee=D("0.04"),
        fee_asset_is_base=False, executed_total=volume, last=True,
    )  # fmt: skip


def trips(books: Books, first: int, count: int) -> None:
    """Round trips, each an entry with its fee and a later exit with fee and profit."""
    for number in range(first, first + count):
        slot, at = number % 4 + 1, NOW - 3600 + 60.0 * number
        books.execution(number, at, fill(number, "entry", slot, number))
        books.execution(number, at + 30, fill(number, "exit", slot, number))


class Client(StillClient):
    def __init__(self, picture: Status | None, data_path: Path | None) -> None:
        super().__init__(picture)
        self.data_path = data_path


class StillBody(LedgerBody):
    """Its worker works when told."""

    def begin(self, wanted: LedgerFilter) -> LedgerScan | None:
        return None if self._index is None else LedgerScan(self._index, wanted)

    def tick(self) -> None:
        for one in (self.scan, self._kin.scan, self._sought.scan):
            if one is not None:
                one.look()
        super().tick()


class Desk:
    """A body over a ledger that can grow."""

    def __init__(self, folder: Path, count: int = 30, picture: Status | None = None) -> None:
        self.books = Books(5, 5)
        self.books.open_account(0, NOW - 7200, D("1000"), D("100"), D("0.195"))
        self.file, self.count = folder / "ledger.jsonl", 0
        self.grow(count)
        self.view = View(Settings(), NOW)
        self.view.take(picture or status(), NOW)
        self.body = StillBody(self.view, Client(self.view.live, folder))
        self.body.tick()

    def grow(self, count: int) -> None:
        trips(self.books, self.count, count)
        self.count += count
        with self.file.open("ab") as file:
            file.write(b"".join(self.books.take_lines()))

    def text(self, width: int = 120, height: int = 35) -> str:
        return "\n".join(map(text_of, self.body.draw(width, height)))

    @property
    def id(self) -> int:
        assert isinstance(self.body.entry, LedgerEntry)
        return self.body.entry.id

    @property
    def last(self) -> int:
        return self.books.next_id - 1


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_filled_exactly_and_shows_the_newest_first(
    desk: Desk, size: tuple[int, int]
) -> None:
    for pane in range(5):
        rows = desk.body.draw(*size)
        assert len(rows) == size[1]
        assert all(length(row) <= size[0] for row in rows)
        assert str(desk.last) in text_of(rows[2]) and text_of(rows[2]).startswith("» ")
        assert str(desk.last - 1) in text_of(rows[3])
        desk.body.do_pane(1)
        assert pane < 5


def test_a_wide_screen_has_sums_entry_reconciliation_and_totals(desk: Desk) -> None:
    text = desk.text(120, 35)
    for word in ("filter: (none)", "152 entries", "REALISED", "USD AFTER", "reconciliation",
                 f"entry {desk.last} CYCLE_PROFIT", "totals", "by type", "BUY_ENTRY 30", "● 0.00%",
                 "11 of 12 slots agree"):  # fmt: skip
        assert word in text
    assert "net +0.597" in text  # 30 trips of 10.09989 - 10.00000 - 2 x 0.04


def test_a_profit_stands_beside_the_cash_and_leaves_the_balance(desk: Desk) -> None:
    profit, exit_fee = desk.text(120, 35).splitlines()[2:4]
    assert "+0.020" in profit and "+0.020" not in exit_fee
    after = [row.split()[-2 if "OQCL" in row else -1] for row in (profit, exit_fee)]
    assert after[0] == after[1]


def test_the_cursor_pages_jumps_and_stays_within_the_file(desk: Desk) -> None:
    desk.text()
    room = desk.body._room
    desk.body.do_move(1, 5)
    assert desk.id == desk.last - 5
    desk.body.do_page(2)
    assert desk.id == desk.last - 5 - 2 * (room // 2)
    desk.body.do_last()
    assert desk.id == 1
    desk.body.do_move(1)
    assert desk.id == 1 and "\n»     1 " in desk.text()
    desk.body.do_move(-100_000)
    assert desk.id == desk.last
    desk.body.do_last(42)
    assert desk.id == 42
    with pytest.raises(CommandError, match="E30: no entry 9999"):
        desk.body.do_last(9999)
    desk.text()
    desk.body.do_edge("top")
    assert str(desk.id) in desk.text().splitlines()[2]
    desk.body.do_edge("bottom")
    assert str(desk.id) in desk.text().splitlines()[1 + room]


def test_new_entries_come_in_on_top_and_the_cursor_keeps_its_entry(desk: Desk) -> None:
    desk.grow(2)
    desk.body.tick()
    assert desk.id == desk.last  # it followed the newest
    desk.body.do_move(1, 3)
    before, shown = desk.id, desk.text().splitlines()[2:6]
    desk.grow(5)
    desk.body.tick()
    assert desk.id == before
    assert before == desk.last - 3 - 25
    desk.body.do_move(-100_000)
    assert desk.id == desk.last and desk.text().splitlines()[2:6] != shown


def test_a_held_body_shows_no_new_entries(desk: Desk) -> None:
    before = desk.text()
    desk.view.hold(True)
    desk.grow(3)
    desk.body.tick()
    assert desk.id == desk.last - 15
    assert before.splitlines()[2:9] == desk.text().splitlines()[2:9]
    desk.view.hold(False)
    desk.body.tick()
    assert desk.id == desk.last


def test_a_filter_shows_its_rows_its_count_and_its_sums(desk: Desk) -> None:
    desk.body.do_ledger("slot:2 type:CYCLE_PROFIT")
    desk.body.tick()
    text = desk.text()
    assert "filter: slot:2 type:CYCLE_PROFIT" in text and "8 of 152 entries" in text
    assert "net +0.159" in text and "BUY_ENTRY" not in text
    desk.body.do_last()
    first = desk.id
    desk.body.do_move(-1)
    assert desk.id > first
    desk.grow(4)
    desk.body.tick()
    assert "9 of 172 entries" in desk.text()
    assert desk.body.leave() and not desk.body.leave()
    desk.body.tick()
    assert "filter: (none)" in desk.text()


def test_a_filter_may_leave_nothing_over(desk: Desk) -> None:
    desk.body.do_filter("slot:99")
    desk.body.tick()
    assert "no entries in this filter; :ledger clear" in desk.text()
    assert desk.body.do_pair() == "this entry belongs to no trade"
    desk.body.do_move(3)
    desk.body.do_last()
    desk.body.do_filter("")
    desk.body.tick()
    assert desk.id == desk.last


def test_o_goes_from_entry_to_exit_to_profit_and_round(desk: Desk) -> None:
    desk.body.do_last(3 + 5 * 7)
    kinds = []
    for _ in range(4):
        kinds.append(desk.body.entry.entry_type if desk.body.entry else "")
        said = desk.body.do_pair()
        assert said == ""
        desk.body.tick()
    assert kinds == ["BUY_ENTRY", "SELL_EXIT", "CYCLE_PROFIT", "BUY_ENTRY"]
    text = desk.text()
    assert "o: " in text and f"cycle profit {2 + 5 * 8} +0.020" in text
    assert sum(row.startswith("│ ") for row in text.splitlines()[2:]) >= 4


def test_o_names_a_row_that_the_filter_keeps_out(desk: Desk) -> None:
    desk.body.do_ledger("type:CYCLE_PROFIT")
    desk.body.tick()
    desk.body.do_pair()
    for one in (desk.body._kin.scan,):
        assert one is not None
        one.look()
    assert "is not in this filter; F shows all" in desk.body.do_pair()


def test_find_walks_to_older_and_newer_hits(desk: Desk) -> None:
    def after(act: Callable[[], Any]) -> int:
        act()
        desk.body.tick()
        return desk.id

    assert after(lambda: desk.body.do_find("oqcl0011-EN")) == 3 + 5 * 11 + 1
    assert after(lambda: desk.body.do_find_next(1)) == 3 + 5 * 11
    assert after(lambda: desk.body.do_find_next(-1)) == 3 + 5 * 11 + 1
    assert desk.body.do_find("nothing like it") == ""
    desk.body.tick()
    assert desk.body.notices() == [("not found elsewhere", "info")]
    assert desk.body.do_find_next(1) == "not found elsewhere"
    with pytest.raises(CommandError, match="E83"):
        desk.body.do_find("  ")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("type:PROFIT", "E60: unknown type PROFIT; did you mean CYCLE_PROFIT"),
        ("since:1h until:2h", "E61: since is after until"),
        ("slot:x", "E13: slot wants a whole number"),
        ("side:C", "E19: side is A or B"),
        ("since:1m", "E14: since 1m is outside 5m to 365d"),
        ("min:much", 'E11: min needs a number, got "much"'),
        ("heron", 'E19: "heron" is no filter'),
    ],
)
def test_a_wrong_filter_is_named_and_changes_nothing(
    desk: Desk, words: str, complaint: str
) -> None:
    desk.body.do_ledger("slot:2")
    with pytest.raises(CommandError) as caught:
        desk.body.do_ledger(words)
    assert str(caught.value).startswith(complaint)
    assert desk.body.wanted.text == "slot:2"


def test_a_row_its_json_and_its_txid_are_copied(desk: Desk) -> None:
    desk.body.do_last(3)
    assert desk.body.do_copy("txid") == "copied the txid of entry 3"
    assert desk.view.clipboard == "OQCL0000-ENTRY"
    desk.body.do_copy("json")
    assert desk.view.clipboard.encode() == desk.file.read_bytes().split(b"\n")[2]
    desk.body.do_copy("row")
    assert desk.view.clipboard.split("\t")[:4:3] == ["3", "BUY_ENTRY"]
    desk.body.do_last(1)
    with pytest.raises(CommandError, match="entry 1 has no txid"):
        desk.body.do_copy("txid")


def test_an_export_is_told_of_when_it_is_done(desk: Desk, tmp_path: Path) -> None:
    desk.body.do_ledger("slot:2 type:CYCLE_PROFIT")
    desk.body.do_export("ledger", "jsonl", str(tmp_path / "out.jsonl"))
    desk.body._exports[0].result(10)
    assert desk.body.notices() == [
        (f"8 rows of ledger written to {tmp_path / 'out.jsonl'}", "good")
    ]
    assert desk.body.notices() == []
    desk.body.do_export("ledger", "jsonl", str(tmp_path / "out.jsonl"))
    assert isinstance(desk.body._exports[0].exception(10), CommandError)
    [(text, severity)] = desk.body.notices()
    assert text.startswith("E70: ") and severity == "bad"
    with pytest.raises(CommandError, match="E19"):
        desk.body.do_export("governor")  # type: ignore[arg-type]


def test_a_bad_line_is_named_and_the_rest_is_read(tmp_path: Path) -> None:
    desk = Desk(tmp_path, 2)
    lines = desk.file.read_bytes().split(b"\n")
    lines[5] = lines[5][:40]
    desk.file.write_bytes(b"\n".join(lines))
    desk.body.tick()
    desk.body.tick()
    text = desk.text()
    assert "▲ line 6 is not valid, skipped" in text.splitlines()[0]
    assert any("line 6 is not valid" in row for row in text.splitlines()[2:])
    assert "» " in text and "12 entries" in text
    desk.body.do_move(1, desk.last - 6)
    assert desk.body.entry is None and desk.body.do_pair() == "this entry belongs to no trade"
    with pytest.raises(CommandError, match="no entry to copy"):
        desk.body.do_copy("row")


def test_waiting_empty_and_unreadable_ledgers_say_so(tmp_path: Path) -> None:
    view = View(Settings(), NOW)
    nowhere = StillBody(view, Client(None, None))
    nowhere.tick()
    assert "E63" in "\n".join(map(text_of, nowhere.draw(100, 30)))
    waiting = StillBody(view, Client(None, tmp_path))
    assert "reading ledger, 0 lines" in "\n".join(map(text_of, waiting.draw(100, 30)))
    waiting.tick()
    assert "no entries yet: nothing was traded" in "\n".join(map(text_of, waiting.draw(100, 30)))
    (tmp_path / "ledger.jsonl").mkdir()
    started = LedgerBody(view, Client(None, tmp_path))
    assert started.scan is not None
    started.scan.stop()
    started.scan.wait(10)
    assert "E63: ledger file not readable: " in "\n".join(map(text_of, started.draw(100, 30)))


def test_drift_and_what_does_not_agree_are_shown(tmp_path: Path) -> None:
    balances = {
        "USD": BalanceStatus(D("212.4"), D(0), D("210.0"), D("2.4"), badge="red"),
        "DOGE": BalanceStatus(D("8140"), D(0), D("8140.5"), D("-0.5"), badge="amber"),
    }
    desk = Desk(tmp_path, 3, replace(status(), balances=balances))
    text = desk.text(120, 35)
    assert "+2.4  ■ 1.13%" in text and "-0.5  ▲ 0.01%" in text
    assert "11 of 12 slots agree" in text and "■ slot 9" in text
    assert "█" in text


def test_figures_lose_decimals_but_never_their_meaning() -> None:
    assert figure(D("0.0051"), 4, 9) == "0.0051"
    assert figure(D("123456.7891"), 4, 9) == "123456.79"
    assert figure(D("0.00000123"), 4, 9) == "1e-6"
    assert figure(D("0"), 4, 9) == ""
    assert figure(D("-12345678.5"), 4, 9) == "-12345678"
    assert len(figure(D("123456789012"), 4, 9)) <= 9
