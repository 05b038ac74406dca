"""Exports: each kind in each format, nothing overwritten, nothing half written."""

import csv
import json
from decimal import Decimal as D
from pathlib import Path

import msgspec
import pytest

from gridbot.core.ledger import Books
from gridbot.engine.actions import CommandError
from gridbot.engine.export import Export
from gridbot.engine.ledger_filter import LedgerFilter, parse_filter
from gridbot.engine.status import Status
from tests.tui.pictures import NOW, status
from tests.tui.test_ledger_view import trips


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    books = Books(5, 5)
    books.open_account(0, NOW - 7200, D("1000"), D("100"), D("0.195"))
    trips(books, 0, 12)
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b"".join(books.take_lines()))
    return path


def rows_of(path: Path) -> list[dict[str, object]]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))  # type: ignore[arg-type]
    if path.suffix == ".json":
        found: list[dict[str, object]] = json.loads(text)
        return found
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_the_ledger_leaves_filtered_and_whole(ledger: Path, tmp_path: Path, form: str) -> None:
    target = tmp_path / f"out.{form}"
    wanted = parse_filter("slot:2 -type:FEE", NOW)
    said = Export("ledger", form, str(target), False, NOW, None, ledger, wanted).start().result(10)  # type: ignore[arg-type]
    assert said == f"9 rows of ledger written to {target}"
    rows = rows_of(target)
    assert [str(row["id"]) for row in rows][:3] == ["8", "10", "12"]
    assert {row["entry_type"] for row in rows} == {"BUY_ENTRY", "SELL_EXIT", "CYCLE_PROFIT"}
    assert rows[2]["realised_quote"] == "0.01989" and str(rows[0]["slot_id"]) == "2"
    assert not list(tmp_path.glob("*.tmp"))


def test_cycles_are_results_only(ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "cycles.jsonl"
    Export("cycles", "jsonl", str(target), False, NOW, None, ledger, LedgerFilter(slot=1)).run()
    assert [row["entry_type"] for row in rows_of(target)] == ["CYCLE_PROFIT"] * 3


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_slots_are_a_row_each_and_the_snapshot_is_whole(tmp_path: Path, form: str) -> None:
    target, picture = tmp_path / f"slots.{form}", status(12)
    assert Export("slots", form, str(target), False, NOW, picture).run().startswith("12 rows")  # type: ignore[arg-type]
    rows = rows_of(target)
    assert rows[7]["alias"] == "heron" and str(rows[7]["orders"]) == "2"
    target = tmp_path / f"snapshot.{form}"
    Export("snapshot", form, str(target), False, NOW, picture).run()  # type: ignore[arg-type]
    if form == "csv":
        flat = {row["name"]: row["value"] for row in rows_of(target)}
        assert flat["pair.name"] == "DOGE/USD" and flat["slots.7.orders.0.price"] == "0.092101"
    else:
        assert msgspec.convert(rows_of(target)[0], Status) == picture


def test_a_file_is_only_replaced_when_forced(ledger: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("mine", encoding="utf-8")
    job = Export("ledger", "csv", str(target), False, NOW, None, ledger)
    with pytest.raises(CommandError, match=r"E70: .*out.csv exists; add ! to overwrite"):
        job.run()
    assert target.read_text(encoding="utf-8") == "mine"
    job._replace(force=True).run()
    assert len(rows_of(target)) == 62


def test_what_cannot_be_written_or_read_is_named(ledger: Path, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="E71: cannot write there: No such file or directory"):
        Export("ledger", "csv", str(tmp_path / "no" / "x.csv"), False, NOW, None, ledger).run()
    with pytest.raises(CommandError, match="E71: there is no ledger"):
        Export("ledger", "csv", str(tmp_path / "x.csv"), False, NOW, None, tmp_path / "y").run()
    with pytest.raises(CommandError, match="E71: there is no picture"):
        Export("slots", "csv", str(tmp_path / "x.csv"), False, NOW).run()
    with pytest.raises(CommandError, match=r"E71: cannot read: .*cannot read"):
        Export("ledger", "csv", str(tmp_path / "x.csv"), False, NOW, None, tmp_path).run()
    assert not (tmp_path / "x.csv").exists() and not list(tmp_path.glob("*.tmp"))


def test_a_name_is_made_of_what_it_is_and_when(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "gridbot-slots-20260101-142207.csv"
    assert Export("slots", "csv", "", False, NOW).target == Path(name)
    assert Export("slots", "csv", str(tmp_path), False, NOW).target == tmp_path / name
