"""The index of the ledger against the file read naively: rows, growth, cuts, filters, sums."""

import time
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gridbot.core.records import LedgerEntry
from gridbot.engine import ledger_index
from gridbot.engine.actions import CommandError
from gridbot.engine.disk import EngineFileError
from gridbot.engine.ledger_filter import TYPES, LedgerFilter, Sums, parse_filter
from gridbot.engine.ledger_index import LedgerIndex, LedgerScan

NOW = 1_767_225_600.0
EACH = settings(max_examples=60, deadline=None)
LINES = st.lists(st.text("ab{}", max_size=90).map(str.encode), max_size=60)


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks so small that a few lines span many of them, and lines many blocks."""
    monkeypatch.setattr(ledger_index, "BLOCK_BYTES", 64)
    monkeypatch.setattr(ledger_index, "READ_BYTES", 256)
    monkeypatch.setattr(ledger_index, "SAVED_BYTES", 500)


def raw(index: LedgerIndex) -> list[bytes]:
    return index.lines(0, index.rows) if index.rows else []


def entry(number: int, **more: Any) -> LedgerEntry:
    base = LedgerEntry(id=number, seq=number, timestamp=NOW + number, entry_type="FEE", hash="h")
    return msgspec.structs.replace(base, **more)


def write(path: Path, entries: list[LedgerEntry]) -> None:
    with path.open("ab") as file:
        file.writelines(msgspec.json.encode(one) + b"\n" for one in entries)


@EACH
@given(pieces=st.lists(LINES, max_size=4), torn=st.binary(max_size=5))
def test_the_index_holds_what_a_naive_reading_finds(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[list[bytes]], torn: bytes
) -> None:
    path = tmp_path_factory.mktemp("index") / "ledger.jsonl"
    index, torn = LedgerIndex(path), torn.replace(b"\n", b"")
    for lines in pieces:
        with path.open("ab") as file:
            file.write(b"".join(line + b"\n" for line in lines))
        index.refresh()
        kept = path.read_bytes()
        path.write_bytes(kept + torn)  # a line being written is not there yet
        index.refresh()
        naive = kept.split(b"\n")[:-1]
        assert index.rows == len(naive) and raw(index) == naive
        for first in range(0, len(naive), 7):
            assert index.lines(first, min(first + 5, len(naive))) == naive[first : first + 5]
        found = [line for _, part in reversed(list(index.backwards(index.rows))) for line in part]
        assert found == naive
        again = LedgerIndex(path)  # with what was kept beside the file, if it was
        again.refresh()
        assert raw(again) == naive
        path.write_bytes(kept)


@EACH
@given(before=LINES, cut=st.integers(0, 6000), after=LINES)
def test_a_file_that_was_cut_and_written_anew_is_noticed(
    tmp_path_factory: pytest.TempPathFactory, before: list[bytes], cut: int, after: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("index") / "ledger.jsonl"
    chained = [b"%d %b\n" % (number, line) for number, line in enumerate(before)]
    path.write_bytes(b"".join(chained))
    index = LedgerIndex(path)
    index.refresh()
    kept = path.read_bytes()[:cut]
    kept = kept[: kept.rfind(b"\n") + 1]
    path.write_bytes(kept + b"".join(b"new %d %b\n" % (i, one) for i, one in enumerate(after)))
    for one in (index, LedgerIndex(path)):
        one.refresh()
        assert raw(one) == path.read_bytes().split(b"\n")[:-1]
    assert index.age == (len(kept) < len(b"".join(chained)))


def test_a_large_ledger_leaves_its_index_beside_it_and_a_wrong_one_is_not_believed(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, [entry(number) for number in range(1, 40)])
    LedgerIndex(path).refresh()
    kept = tmp_path / "ledger.index"
    good = kept.read_bytes()
    for wrong in (good[:30], good[:-8], b"", good[:24] + b"x" * (len(good) - 24), good[8:]):
        kept.write_bytes(wrong)
        index = LedgerIndex(path)
        index.refresh()
        assert raw(index) == path.read_bytes().split(b"\n")[:-1]
    kept.unlink()
    tmp_path.chmod(0o500)
    index = LedgerIndex(path)
    index.refresh()
    tmp_path.chmod(0o700)
    assert index.rows == 39
    path.unlink()
    index.refresh()
    assert index.rows == 0 and index.read(0, 5) == []


def test_rows_are_decoded_and_a_bad_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, [entry(1)])
    with path.open("ab") as file:
        file.write(b'{"id":2,"se\n\n')
    write(path, [entry(4)])
    index = LedgerIndex(path)
    index.refresh()
    assert index.read(0, 9) == [
        entry(1), "line 2 is not valid, skipped", "line 3 is not valid, skipped", entry(4),
    ]  # fmt: skip
    scan = LedgerScan(index, parse_filter("type:FEE min:0", NOW))
    scan.look()
    assert [scan.row(at) for at in range(scan.top, scan.bottom)] == [3, 0]
    every = LedgerScan(index, LedgerFilter())
    every.look()
    assert every.bad == ["line 2 is not valid, skipped", "line 3 is not valid, skipped"]
    assert every.sums.entries == 2


AMOUNTS = st.decimals(0, 20, places=2)
ENTRIES = st.lists(
    st.builds(
        lambda **fields: entry(1, **fields),
        timestamp=st.integers(-4000, 4000).map(lambda at: NOW + at),
        entry_type=st.sampled_from(TYPES),
        slot_id=st.integers(0, 3),
        trade_id=st.sampled_from(["", "A", "B"]),
        cycle=st.integers(0, 2),
        debit_quote=AMOUNTS,
        credit_base=AMOUNTS,
        realised_quote=AMOUNTS,
        price=AMOUNTS,
        fee_quote=AMOUNTS,
        txid=st.sampled_from(["", "OABC-1", "OXYZ-2"]),
        client_id=st.sampled_from(["", "gbabc1"]),
        note=st.sampled_from(["", "recovery", '"slot_id":2,']),
    ),
    max_size=40,
)
WORDS = st.lists(
    st.sampled_from([
        "slot:0", "slot:2", "type:FEE", "type:BUY,SELL_EXIT", "type:*", "-type:FEE", "-type:buy",
        "side:A", "side:b", "cycle:1", "since:30m", "until:10m", "tx:abc", "min:5",
    ]),
    max_size=4,
)  # fmt: skip


def naive(words: list[str], one: LedgerEntry) -> bool:
    """The same filter, written again from its description."""
    wanted: set[str] = set()
    for word in words:
        key, _, value = word.partition(":")
        if key == "type" and value != "*":
            wanted |= {t for t in TYPES for v in value.split(",") if t.startswith(v)}
    wanted = wanted or set(TYPES)
    amount = one.debit_quote or one.realised_quote or one.credit_base * one.price
    for word in words:
        key, _, value = word.partition(":")
        if key == "-type":
            wanted -= {t for t in TYPES if t.startswith(value.upper())}
    last = {word.partition(":")[0]: word.partition(":")[2] for word in words}
    return (
        one.entry_type in wanted
        and one.slot_id == int(last.get("slot", one.slot_id))
        and one.trade_id == last.get("side", one.trade_id).upper()
        and one.cycle == int(last.get("cycle", one.cycle))
        and ("since" not in last or one.timestamp >= NOW - 1800)
        and ("until" not in last or one.timestamp <= NOW - 600)
        and ("tx" not in last or "abc" in (one.txid + one.client_id).lower())
        and ("min" not in last or amount >= 5)
    )


@EACH
@example(words=["-type:FEE", "type:FEE"], old=[], new=[])
@given(words=WORDS, old=ENTRIES, new=ENTRIES)
def test_a_filter_lets_through_what_the_naive_filter_does(
    tmp_path_factory: pytest.TempPathFactory,
    words: list[str],
    old: list[LedgerEntry],
    new: list[LedgerEntry],
) -> None:
    path = tmp_path_factory.mktemp("filter") / "ledger.jsonl"
    entries = [msgspec.structs.replace(one, id=n) for n, one in enumerate([*old, *new], 1)]
    expected = [one for one in reversed(entries) if naive(words, one)]
    try:
        wanted = parse_filter(" ".join(words), NOW)
    except CommandError as error:
        nothing_left = error.code == "E60" and not expected
        if nothing_left:
            return
        raise
    write(path, entries[: len(old)])
    scan = LedgerScan(LedgerIndex(path), wanted)
    scan.look()
    write(path, entries[len(old) :])
    scan.look()
    found = scan.read(scan.top, scan.bottom - scan.top)
    assert [row for _, row in found] == expected
    rows = [number for number, _ in found]
    assert [scan.row(scan.position(row) or 0) for row in rows] == rows
    for row in range(-1, len(entries) + 1):
        assert wanted.open or scan.beyond(row, 1) == max((n for n in rows if n < row), default=None)
        assert wanted.open or scan.beyond(row, -1) == min(
            (n for n in rows if n > row), default=None
        )
    sums = scan.sums
    assert sums.entries == len(expected) == sum(sums.counts.values())
    assert sums.quote_out == sum((one.debit_quote for one in expected), D(0))
    assert sums.base_in == sum((one.credit_base for one in expected), D(0))
    assert sums.net == sum((one.realised_quote for one in expected), D(0))
    assert sums.recovery == sum((e.realised_quote for e in expected if e.note == "recovery"), D(0))


def test_fees_are_those_of_fee_rows_or_else_those_that_executions_note() -> None:
    rows = [entry(1, entry_type="BUY_ENTRY", fee_quote=D("0.2")),
            entry(2, fee_base=D("0.1"), price=D("2"))]  # fmt: skip
    for chosen in (rows, rows[:1], rows[1:]):
        sums = Sums()
        sums.add(chosen)
        assert sums.fees == D("0.2")


def test_a_worker_follows_the_file_and_says_when_it_was_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, [entry(number) for number in range(1, 30)])
    scan = LedgerScan(LedgerIndex(path), parse_filter("slot:0", NOW)).start()

    def until(condition: Any) -> None:
        end = time.monotonic() + 10
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.005)

    until(lambda: scan.bottom == 29)
    write(path, [entry(30)])
    until(lambda: scan.top == -1)
    assert scan.read(-1, 1) == [(29, entry(30))]
    path.write_bytes(b"")
    until(lambda: scan.outdated)
    scan.stop()
    scan.wait(10)


def test_a_stopped_scan_leaves_the_rest_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    write(path, [entry(number) for number in range(1, 100)])
    scan = LedgerScan(LedgerIndex(path), LedgerFilter(slot=0))
    scan.stop()
    scan.look()
    assert 0 < scan.left < 99 and scan.bottom == 99 - scan.left
    scan.look()
    assert scan.left < 99 - scan.bottom + 1


def test_what_cannot_be_read_is_an_error_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(EngineFileError, match="cannot read"):
        LedgerIndex(tmp_path).refresh()


def test_times_are_ages_or_iso_times_in_utc() -> None:
    assert parse_filter("since:24h", NOW).since == NOW - 86400
    assert parse_filter("until:2026-01-01", 0.0).until == NOW
    assert parse_filter("until:2026-01-01T01:00+01:00", 0.0).until == NOW
    with pytest.raises(CommandError, match="E19: since wants an age"):
        parse_filter("since:yesterday", NOW)
    with pytest.raises(CommandError, match="E60: no type is left"):
        parse_filter("type:FEE -type:FEE", NOW)
    with pytest.raises(CommandError, match="E60: unknown type XYZ; types are OPENING_BALANCE"):
        parse_filter("type:xyz", NOW)
