"""The journal: what is written is read back, torn tails are cut, gaps and damage are named."""

import gzip
import os
import shutil
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.records import (
    Balance,
    BootRecord,
    Changes,
    Command,
    Fees,
    HeaderRecord,
    HeartbeatRecord,
    JournalRecord,
    OrderReport,
    Outcome,
    SendingRecord,
    StepInput,
)
from gridbot.engine.disk import BLOCK_BYTES, Disk, DiskError, lines_backwards
from gridbot.engine.journal import (
    KEEP_SEGMENTS,
    JournalError,
    JournalWriter,
    archive_segments,
    read_records,
    segments,
)
from tests.engine.faulty_disk import IO_ERROR, NO_SPACE, FaultyDisk, Killed

CORE = 3


def header(first_seq: int = 1, core: int = CORE, instance: str = "ab12") -> HeaderRecord:
    return HeaderRecord(1, core, "sim", "XBTUSD", instance, first_seq, 1000.0)


def step(seq: int) -> StepInput:
    return StepInput(seq, 1000.0 + seq, price=Decimal("0.12345"), digest=seq)


def writer(directory: Path, first_seq: int = 1, disk: Disk | None = None, **more) -> JournalWriter:
    return JournalWriter(disk or Disk(), directory, header(first_seq), **more)


def append(journal: JournalWriter, record: JournalRecord) -> None:
    journal.write([record])
    journal.sync()


def write_steps(directory: Path, first: int, last: int, roll_every: int = 0) -> None:
    journal = writer(directory, first)
    for seq in range(first, last + 1):
        journal.write([step(seq)])
        if roll_every and seq % roll_every == 0 and seq < last:
            journal.roll(seq + 1, 2000.0)
    journal.close()


def read(directory: Path, after_seq: int = 0, notes: list[str] | None = None):
    return list(read_records(directory, CORE, after_seq, notes))


def seqs(directory: Path, after_seq: int = 0) -> list[int]:
    return [r.seq for r in read(directory, after_seq) if isinstance(r, StepInput)]


amounts = st.decimals(allow_nan=False, allow_infinity=False)
times = st.floats(allow_nan=False, allow_infinity=False)
plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
arguments = st.dictionaries(st.text(), plain_json, max_size=3)
some = {"max_size": 2}
order_reports = st.builds(
    OrderReport,
    side=st.sampled_from(["buy", "sell"]),
    price=amounts,
    volume=amounts,
    state=st.sampled_from(["open", "closed", "cancelled", "expired"]),
    executed=amounts,
    cost=amounts,
    fee=amounts,
    opened_at=times,
    closed_at=st.none() | times,
)
outcomes = st.builds(Outcome, until=times)
commands = st.builds(Command, at=times, args=arguments)
changes = st.builds(
    Changes,
    instrument=st.none(),
    fees=st.none() | st.builds(Fees, maker_pct=amounts, taker_pct=amounts),
)
steps = st.builds(
    StepInput,
    seq=st.just(1),
    at=times,
    previous_at=times,
    previous_price=st.none() | amounts,
    price=st.none() | amounts,
    reports=st.lists(order_reports, **some).map(tuple),
    outcomes=st.lists(outcomes, **some).map(tuple),
    balances=st.none()
    | st.dictionaries(st.text(), st.builds(Balance, total=amounts, held=amounts), **some),
    own_rows=st.just(()),
    commands=st.lists(commands, **some).map(tuple),
    recommendations=st.lists(arguments, **some).map(tuple),
    changes=st.none() | changes,
)
other_records = (
    st.builds(BootRecord, state=arguments)
    | st.builds(HeartbeatRecord, at=times)
    | st.builds(
        SendingRecord,
        seq=st.just(1),
        client_ids=st.lists(st.text(), **some).map(tuple),
        deadline=times,
    )
)


@settings(max_examples=60, deadline=None)
@given(first=steps, others=st.lists(other_records, max_size=4), durable=st.booleans())
def test_any_record_reads_back_as_it_was(
    first: StepInput, others: list[JournalRecord], durable: bool
) -> None:
    with TemporaryDirectory() as name:
        journal = writer(Path(name), durable=durable)
        for record in (first, *others):
            append(journal, record)
        journal.close()
        assert read(Path(name)) == [header(), first, *others]


def test_a_torn_last_line_is_ignored_by_readers_and_cut_by_the_writer(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 3)
    path = segments(tmp_path)[0].path
    whole = path.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for end in range(start + 1, len(whole)):
        path.write_bytes(whole[:end])
        notes: list[str] = []
        assert [r.seq for r in read(tmp_path, 0, notes) if isinstance(r, StepInput)] == [1, 2]
        assert notes == [f"{path}: torn last line ignored ({end - start} bytes)"]
        journal = writer(tmp_path, 3)
        assert journal.cut_bytes == end - start
        append(journal, step(3))
        journal.close()
        assert path.read_bytes() == whole


def test_a_tail_of_zeros_after_a_power_loss_counts_as_torn(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 2)
    path = segments(tmp_path)[0].path
    for tail in (b"\0" * 700, b"\0" * 80 + b"1}}\n"):
        whole = path.read_bytes()
        path.write_bytes(whole + tail)
        assert seqs(tmp_path) == [1, 2]
        assert writer(tmp_path, 3).cut_bytes == len(tail)
        assert path.read_bytes() == whole


def test_a_bad_line_elsewhere_is_named(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 4, roll_every=2)
    first, second = (segment.path for segment in segments(tmp_path))
    good = first.read_bytes()
    first.write_bytes(good[:-5])
    with pytest.raises(JournalError, match=rf"{first}: line 3: damaged: the line is cut short"):
        read(tmp_path)
    first.write_bytes(good)
    lines = second.read_bytes().splitlines(keepends=True)
    second.write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    with pytest.raises(JournalError, match=rf"{second}: line 2: damaged"):
        read(tmp_path)


def test_an_unknown_record_at_the_end_is_an_error_not_a_torn_line(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 1)
    path = segments(tmp_path)[0].path
    path.write_bytes(path.read_bytes() + b'{"k":"hologram","seq":2}\n')
    with pytest.raises(JournalError, match=r"line 3: damaged: .*hologram"):
        read(tmp_path)


def test_missing_steps_are_named(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 9, roll_every=3)
    first, second, third = (segment.path for segment in segments(tmp_path))
    aside = tmp_path / "aside"
    shutil.move(second, aside)
    with pytest.raises(JournalError, match=r"0007.jsonl: .*steps 4 to 6 are missing"):
        read(tmp_path)
    assert seqs(tmp_path, 6) == [7, 8, 9]
    shutil.move(aside, second)
    first.unlink()
    with pytest.raises(JournalError, match=r"0004.jsonl: .*steps 1 to 3 are missing"):
        read(tmp_path)
    lines = third.read_bytes().splitlines(keepends=True)
    third.write_bytes(lines[0] + lines[1] + lines[3])
    with pytest.raises(JournalError, match=r"line 3: continues with step 9, but step 8 is missing"):
        read(tmp_path, 3)
    third.write_bytes(lines[0] + lines[1] + lines[1])
    with pytest.raises(JournalError, match=r"line 3: step 7 follows step 7"):
        read(tmp_path, 3)


def test_a_reader_after_a_snapshot_sees_only_what_came_later(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 9, roll_every=3)
    for after in range(10):
        assert seqs(tmp_path, after) == list(range(after + 1, 10))


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_the_sending_of_the_snapshot_step_is_never_forgotten(
    tmp_path: Path, rolled: bool, packed: bool
) -> None:
    journal = writer(tmp_path)
    append(journal, BootRecord({"slots": []}))
    for seq in (1, 2):
        append(journal, step(seq))
        append(journal, SendingRecord(seq, (f"gb{seq}",)))
    if rolled:
        journal.roll(3, 2000.0)
    append(journal, step(3))
    journal.close()
    if packed:
        archive_segments(Disk(), tmp_path, 0.0)
    records = [r for r in read(tmp_path, 2) if not isinstance(r, HeaderRecord)]
    assert records == [SendingRecord(2, ("gb2",)), step(3)]


def test_a_newer_core_or_format_is_refused(tmp_path: Path) -> None:
    journal = JournalWriter(Disk(), tmp_path, header(core=CORE + 1))
    append(journal, step(1))
    journal.close()
    newer = rf"written by a newer gridbot \(core {CORE + 1}, this one knows {CORE}\)"
    with pytest.raises(JournalError, match=newer):
        read(tmp_path)
    with pytest.raises(JournalError, match=newer):
        writer(tmp_path, 2)
    path = segments(tmp_path)[0].path
    path.write_bytes(msgspec.json.encode(msgspec.structs.replace(header(), version=9)) + b"\n\n")
    with pytest.raises(JournalError, match=r"journal version 9, this one knows 1"):
        read(tmp_path)


def test_an_upgraded_core_leaves_its_header_where_it_takes_over(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 1)
    journal = JournalWriter(Disk(), tmp_path, header(2, core=CORE + 1))
    append(journal, step(2))
    journal.close()
    records = list(read_records(tmp_path, CORE + 1))
    cores = [r.core if isinstance(r, HeaderRecord) else r.seq for r in records]
    assert cores == [CORE, 1, CORE + 1, 2]


def test_two_restarts_change_nothing(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 2)
    before = segments(tmp_path)[0].path.read_bytes()
    for _ in range(2):
        writer(tmp_path, 3).close()
    assert [s.path.read_bytes() for s in segments(tmp_path)] == [before]


def test_a_journal_of_another_instance_or_of_later_steps_is_refused(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 4, roll_every=2)
    with pytest.raises(JournalError, match="belongs to sim XBTUSD ab12, not to sim XBTUSD zz99"):
        JournalWriter(Disk(), tmp_path, header(5, instance="zz99"))
    with pytest.raises(JournalError, match="begins at step 3, but the next step to write is 1"):
        writer(tmp_path, 1)


def test_a_segment_without_header_is_refused(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 2)
    path = segments(tmp_path)[0].path
    path.write_bytes(path.read_bytes().split(b"\n", 1)[1])
    with pytest.raises(JournalError, match="line 1: is not the header"):
        read(tmp_path)
    with pytest.raises(JournalError, match="line 1: is not the header"):
        writer(tmp_path, 3)


@pytest.mark.parametrize("torn", [False, True])
def test_killed_at_any_write_the_journal_reads_and_continues(tmp_path: Path, torn: bool) -> None:
    def life(directory: Path, disk: FaultyDisk) -> int:
        done = 0
        try:
            journal = JournalWriter(disk, directory, header())
            for done in range(1, 7):
                append(journal, step(done))
                if done % 2 == 0:
                    journal.roll(done + 1, 2000.0)
        except Killed:
            done -= 1
        return done

    for kill in range(1, 12):
        directory = tmp_path / f"{torn}{kill}"
        directory.mkdir()
        acknowledged = life(directory, FaultyDisk(kill_at_write=kill, torn=torn))
        survived = seqs(directory)
        assert survived == list(range(1, len(survived) + 1))
        assert len(survived) - acknowledged in (0, 1), "no acknowledged step may be lost"
        write_steps(directory, len(survived) + 1, 8)
        assert seqs(directory) == list(range(1, 9))


def test_killed_before_any_operation_of_a_roll_the_journal_continues(tmp_path: Path) -> None:
    for kill in range(1, 14):
        directory = tmp_path / str(kill)
        directory.mkdir()
        disk = FaultyDisk(kill_before=kill)
        try:
            journal = JournalWriter(disk, directory, header())
            append(journal, step(1))
            journal.roll(2, 2000.0)
        except Killed:
            pass
        survived = seqs(directory)
        write_steps(directory, len(survived) + 1, 3)
        assert seqs(directory) == [1, 2, 3]
    assert not disk.dead, "the last round must have gone through, or rounds are missing"


def test_a_full_disk_leaves_the_last_good_offset_and_closes_the_writer(tmp_path: Path) -> None:
    journal = writer(tmp_path, disk=FaultyDisk(write_error=(3, NO_SPACE)))
    append(journal, step(1))
    before = journal.path.read_bytes()
    with pytest.raises(DiskError, match=rf"{journal.path}: cannot write: No space left on device"):
        append(journal, step(2))
    assert journal.path.read_bytes() == before
    with pytest.raises(DiskError, match=r"no writes after an earlier error: .*No space left"):
        append(journal, step(2))
    with pytest.raises(DiskError, match="no writes after"):
        journal.sync()
    journal.close()
    assert journal.path.read_bytes() == before
    write_steps(tmp_path, 2, 2)
    assert seqs(tmp_path) == [1, 2]


def test_a_failed_sync_leaves_only_what_was_synced(tmp_path: Path) -> None:
    journal = writer(tmp_path, disk=FaultyDisk(sync_error=(3, IO_ERROR)))
    append(journal, step(1))
    before = journal.path.read_bytes()
    journal.write([step(2)])
    with pytest.raises(DiskError, match="cannot sync: Input/output error"):
        journal.sync()
    assert journal.path.read_bytes() == before
    with pytest.raises(DiskError, match="no writes after"):
        journal.write([step(2)])


def test_fast_mode_writes_in_large_pieces_and_on_flush(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = writer(tmp_path, disk=disk, durable=False)
    assert (disk.writes, disk.syncs) == (1, 1)
    journal.write([step(1)])
    assert disk.writes == 1
    journal.flush()
    assert disk.writes == 2
    for seq in range(2, 10_002):
        journal.write([step(seq)])
    assert disk.writes == 2 + (10_000 * 75) // (256 * 1024)
    assert disk.syncs == 1
    journal.close()
    assert disk.syncs == 2
    assert seqs(tmp_path) == list(range(1, 10_002))


def test_durable_mode_writes_a_batch_at_once_and_syncs_when_told(tmp_path: Path) -> None:
    disk = FaultyDisk()
    journal = writer(tmp_path, disk=disk)
    journal.write([step(1), step(2), step(3)])
    assert (disk.writes, disk.syncs) == (2, 1)
    append(journal, step(4))
    assert (disk.writes, disk.syncs) == (3, 2)


def test_an_unwritable_record_leaves_no_half_line(tmp_path: Path) -> None:
    journal = writer(tmp_path)
    with pytest.raises(TypeError):
        append(journal, BootRecord({"slot": object()}))
    append(journal, step(1))
    assert seqs(tmp_path) == [1]


def test_packed_and_plain_segments_read_alike_and_plain_wins(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 9, roll_every=3)
    expected = read(tmp_path)
    plain = segments(tmp_path)[0].path
    text = plain.read_bytes()
    archive_segments(Disk(), tmp_path, 0.0)
    assert [segment.packed for segment in segments(tmp_path)] == [True, True, False]
    assert read(tmp_path) == expected
    packed = segments(tmp_path)[0].path
    assert gzip.decompress(packed.read_bytes()) == text
    packed.write_bytes(b"rubbish of a killed gzip")
    with pytest.raises(JournalError, match=rf"{packed}: .*unreadable"):
        read(tmp_path)
    plain.write_bytes(text)
    assert read(tmp_path) == expected


def test_killed_anywhere_while_packing_nothing_is_lost(tmp_path: Path) -> None:
    for kill in range(1, 20):
        directory = tmp_path / str(kill)
        directory.mkdir()
        write_steps(directory, 1, 6, roll_every=2)
        disk = FaultyDisk(kill_before=kill)
        try:
            archive_segments(disk, directory, 0.0)
        except Killed:
            assert seqs(directory) == [1, 2, 3, 4, 5, 6]
            archive_segments(Disk(), directory, 0.0)
        assert seqs(directory) == [1, 2, 3, 4, 5, 6]
    assert not disk.dead


def test_old_segments_go_after_thirty_days_but_never_the_newest_three(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 12, roll_every=2)
    day = 86400.0
    archive_segments(Disk(), tmp_path, 0.0)
    for age, segment in enumerate(reversed(segments(tmp_path))):
        os.utime(segment.path, (0, 100 * day - 10 * age * day))
    archive_segments(Disk(), tmp_path, 100 * day)
    assert [segment.first_seq for segment in segments(tmp_path)] == [5, 7, 9, 11]
    archive_segments(Disk(), tmp_path, 1000 * day)
    assert [segment.first_seq for segment in segments(tmp_path)] == [7, 9, 11]
    assert len(segments(tmp_path)) == KEEP_SEGMENTS


def test_an_empty_directory_holds_no_records(tmp_path: Path) -> None:
    assert read(tmp_path) == []


@given(st.lists(st.binary(max_size=9).map(lambda b: b.replace(b"\n", b"\r")), max_size=9))
def test_lines_read_backwards_are_the_lines(pieces: list[bytes]) -> None:
    with TemporaryDirectory() as name:
        path = Path(name) / "file"
        data = b"\n".join(pieces)
        path.write_bytes(data)
        found = list(lines_backwards(path))[::-1]
    assert b"".join(line for _, line in found) == data
    assert all(data[at : at + len(line)] == line for at, line in found)
    assert all(b"\n" not in line[:-1] for _, line in found)


def test_lines_longer_than_a_block_read_backwards(tmp_path: Path) -> None:
    lines = [b"a" * size + b"\n" for size in (3, BLOCK_BYTES - 5, 3 * BLOCK_BYTES, BLOCK_BYTES, 0)]
    path = tmp_path / "file"
    path.write_bytes(b"".join(lines))
    assert [line for _, line in lines_backwards(path)] == lines[::-1]


def test_a_roll_without_a_step_since_the_last_one_is_no_new_segment(tmp_path: Path) -> None:
    journal = writer(tmp_path)
    append(journal, step(1))
    for _ in range(2):
        journal.roll(2, 2000.0)
    journal.close()
    assert [segment.first_seq for segment in segments(tmp_path)] == [1, 2]
    assert read(tmp_path, 1) == [msgspec.structs.replace(header(2), created_at=2000.0)]


def test_steps_missing_before_an_empty_last_segment_are_named(tmp_path: Path) -> None:
    write_steps(tmp_path, 1, 2)
    (tmp_path / "journal-000000000005.jsonl").write_bytes(b"")
    with pytest.raises(JournalError, match=r"0005.jsonl: .*steps 3 to 4 are missing"):
        read(tmp_path)
