"""The ledger on disk: what the snapshot vouches for must be there, the rest may be cut."""

from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core.records import LedgerEntry
from gridbot.engine.disk import Disk, DiskError
from gridbot.engine.ledger_file import LedgerFile, LedgerFileError, LedgerMark, tail
from tests.engine.faulty_disk import IO_ERROR, NO_SPACE, FaultyDisk, Killed

START = LedgerMark()


@cache
def line(number: int, slot: int = 1) -> bytes:
    """A line that continues the chain of the lines before it."""
    entry = LedgerEntry(number, 10 * number, 5.0, "FEE", slot, note="ü")
    body, previous = msgspec.json.encode(entry), hash_of(number - 1)
    digest = sha256(previous.encode() + body).hexdigest()
    return body[:-1] + f',"prev_hash":"{previous}","hash":"{digest}"}}\n'.encode()


@cache
def hash_of(number: int) -> str:
    for earlier in range(number % 500, number, 500):
        hash_of(earlier)  # keeps the recursion shallow
    return msgspec.json.decode(line(number))["hash"] if number else ""


def lines(first: int, last: int) -> list[bytes]:
    return [line(number) for number in range(first, last + 1)]


def filled(path: Path, count: int) -> bytes:
    path.write_bytes(b"".join(lines(1, count)))
    return path.read_bytes()


def mark(data: bytes, number: int) -> LedgerMark:
    offset = sum(len(entry) + 1 for entry in data.split(b"\n")[:number])
    return LedgerMark(number, hash_of(number), offset)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def reopen(path: Path, at: LedgerMark = START, disk: Disk | None = None, **more) -> LedgerFile:
    more = {"last_seq": 10**6} | more
    return LedgerFile.open_and_repair(disk or Disk(), path, at, **more)


def lines_in(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def read(entries: list[bytes]) -> list[LedgerEntry]:
    return [msgspec.json.decode(entry, type=LedgerEntry) for entry in entries]


@pytest.mark.parametrize("buffered", [False, True])
def test_appended_lines_are_found_again(path: Path, buffered: bool) -> None:
    ledger = reopen(path, buffered=buffered)
    ledger.append(lines(1, 3))
    ledger.append([])
    ledger.append(lines(4, 4))
    assert ledger.offset == sum(len(entry) for entry in lines(1, 4))
    ledger.close()
    assert lines_in(path) == lines(1, 4)
    again = reopen(path, mark(path.read_bytes(), 4))
    assert (again.last_id, again.cut_bytes, again.offset) == (4, 0, path.stat().st_size)


def test_unbuffered_lines_are_one_write(path: Path) -> None:
    disk = FaultyDisk()
    ledger = reopen(path, disk=disk)
    ledger.append(lines(1, 50))
    assert (disk.writes, disk.syncs) == (1, 0)
    ledger.sync()
    assert (disk.writes, disk.syncs) == (1, 1)


def test_what_must_come_first_is_flushed_before_every_write(path: Path) -> None:
    sizes: list[int] = []
    ledger = reopen(path, buffered=True, before_flush=lambda: sizes.append(path.stat().st_size))
    ledger.append(lines(1, 2))
    assert sizes == []
    ledger.flush()
    ledger.flush()
    assert sizes == [0]
    for number in range(3, 4000):
        ledger.append([line(number)])
    assert len(sizes) == 1 + sum(map(len, lines(3, 3999))) // (256 * 1024)
    ledger.close()
    assert reopen(path).last_id == 3999


def test_a_journal_that_cannot_be_written_keeps_the_ledger_back(path: Path) -> None:
    def refuse() -> None:
        raise DiskError("journal: cannot write")

    ledger = reopen(path, before_flush=refuse)
    with pytest.raises(DiskError, match="journal"):
        ledger.append(lines(1, 1))
    assert path.read_bytes() == b""


def test_a_last_line_torn_anywhere_is_cut_and_appended_again(path: Path) -> None:
    whole = filled(path, 3)
    start = mark(whole, 2).offset
    for end in range(start, len(whole)):
        path.write_bytes(whole[:end])
        ledger = reopen(path, mark(whole, 1))
        assert (ledger.last_id, ledger.cut_bytes) == (2, end - start)
        ledger.append(lines(ledger.last_id + 1, 3))
        ledger.close()
        assert path.read_bytes() == whole


@given(st.integers(0, 5), st.integers(0, 5), st.binary(max_size=30))
def test_rubbish_is_cut_behind_the_mark_and_refused_before(
    marked: int, damaged: int, rubbish: bytes
) -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / "ledger.jsonl"
        whole = filled(path, 5)
        entries = whole.splitlines(keepends=True)
        good = b"".join(entries[:damaged])
        path.write_bytes(good + b"{" + rubbish + b"\n" + b"".join(entries[damaged + 1 :]))
        if damaged < marked:
            with pytest.raises(LedgerFileError, match=rf"line {damaged + 1} .*vouches"):
                reopen(path, mark(whole, marked))
        else:
            assert reopen(path, mark(whole, marked)).last_id == damaged
            assert path.read_bytes() == good


@pytest.mark.parametrize(
    ("bad", "cause"),
    [
        (b'{"id":9,"hash":"x"}', "has id 9, expected 2"),
        (b'{"id":2}', "is not a ledger entry"),
        (b'{"id":2,"hash":""}', "was changed after it was written"),
        (b'{"id":"2","hash":"x"}', "is not a ledger entry"),
        (b'{"id":2,"hash":"\xff"}', "is not a ledger entry"),
        (b"", "is not a ledger entry"),
    ],
)
def test_a_bad_line_before_the_mark_is_named(path: Path, bad: bytes, cause: str) -> None:
    whole = filled(path, 3)
    path.write_bytes(whole.replace(line(2), bad + b"\n"))
    changed = path.read_bytes()
    with pytest.raises(LedgerFileError, match=rf"{path}: line 2 {cause}.* vouches for it"):
        reopen(path, mark(whole, 3))
    assert path.read_bytes() == changed
    assert reopen(path, mark(whole, 1)).last_id == 1


def test_an_entry_that_is_not_the_snapshots_is_refused(path: Path) -> None:
    whole = filled(path, 3)
    second = mark(whole, 2)
    other_hash = msgspec.structs.replace(second, hash="else")
    with pytest.raises(LedgerFileError, match=r"line 2 \(id 2\) is not the entry 2"):
        reopen(path, other_hash)
    inside = msgspec.structs.replace(second, offset=second.offset - 1)
    with pytest.raises(LedgerFileError, match=rf"line 2 goes past byte {inside.offset}"):
        reopen(path, inside)


def test_a_file_shorter_than_the_mark_is_refused(path: Path) -> None:
    whole = filled(path, 3)
    third, second = mark(whole, 3), mark(whole, 2)
    path.write_bytes(whole[: second.offset])
    short = f"has {second.offset} bytes of entries, but the snapshot vouches for {third.offset}"
    with pytest.raises(LedgerFileError, match=short):
        reopen(path, third)
    path.unlink()
    with pytest.raises(LedgerFileError, match="has 0 bytes"):
        reopen(path, third)
    assert not path.exists()


def test_entries_of_steps_the_journal_lost_are_cut(path: Path) -> None:
    whole = filled(path, 5)
    ledger = reopen(path, mark(whole, 2), last_seq=30)
    assert ledger.last_id == 3
    assert path.read_bytes() == whole[: mark(whole, 3).offset]


@pytest.mark.parametrize(
    "fault", [{"write_error": (2, NO_SPACE)}, {"sync_error": (2, IO_ERROR)}], ids=str
)
def test_a_failing_disk_leaves_the_last_good_offset(path: Path, fault: dict) -> None:
    ledger = reopen(path, disk=FaultyDisk(**fault))

    def book(first: int, last: int) -> None:
        ledger.append(lines(first, last))
        ledger.sync()

    book(1, 2)
    before = path.read_bytes()
    with pytest.raises(DiskError, match=r"No space left|Input/output error"):
        book(3, 4)
    assert path.read_bytes() == before
    with pytest.raises(DiskError, match="no writes after an earlier error"):
        ledger.append(lines(3, 4))


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_a_write_only_ids_above_the_last_are_missing(path: Path, torn: bool) -> None:
    ledger = reopen(path, disk=FaultyDisk(kill_at_write=2, torn=torn))
    ledger.append(lines(1, 2))
    with pytest.raises(Killed):
        ledger.append(lines(3, 5))
    again = reopen(path)
    assert again.last_id == (3 if torn else 5)
    again.append(lines(again.last_id + 1, 5))
    assert lines_in(path) == lines(1, 5)


def test_the_tail_shows_the_last_entries_of_all_or_one_slot(path: Path) -> None:
    entries = [line(number, slot=number % 3) for number in range(1, 2001)]
    path.write_bytes(b"".join(entries))
    assert tail(path, 4) == read(entries[-4:])
    assert tail(path, 9999) == read(entries)
    assert tail(path, 3, slot=0) == read([entries[1991], entries[1994], entries[1997]])
    assert tail(path, 9999, slot=2) == read(entries[1::3])
    assert tail(path, 5, slot=7) == tail(path, 0) == []


def test_an_entry_still_being_written_is_not_shown(path: Path) -> None:
    whole = filled(path, 3)
    path.write_bytes(whole[:-1])
    assert tail(path, 9) == tail(path, 9, slot=1) == read(lines(1, 2))


def test_an_unreadable_line_is_named_when_looking_for_a_slot(path: Path) -> None:
    path.write_bytes(b"rubbish\n")
    with pytest.raises(LedgerFileError, match=r"not a ledger entry: b'rubbish"):
        tail(path, 1, slot=1)
