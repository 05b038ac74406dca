"""One data directory at work: the write order of a step, snapshots, and what is read back.

Write order (architecture 6): W1 the step record, synced; W2 the brain; W3 its ledger entries; W4
the ``sending`` record, synced; W5 the orders. ``Store`` does W1, W3 and W4. Durable stores sync
W1 and W4 in a worker thread, so that a slow disk delays trading but never freezes the loop; fast
ones (``simulate``) gather bytes and sync at snapshots only, the journal always before the ledger.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gridbot.core.brain import CORE_VERSION
from gridbot.core.ledger import LedgerHead
from gridbot.core.records import BootRecord, HeaderRecord, JournalRecord, SendingRecord, StepInput
from gridbot.engine.directory import DataDirectory, Identity
from gridbot.engine.disk import Disk
from gridbot.engine.journal import (
    JOURNAL_VERSION,
    JournalWriter,
    archive_segments,
    read_records,
    segments,
)
from gridbot.engine.ledger_file import LedgerFile, LedgerMark
from gridbot.engine.snapshot import Snapshot, best_snapshot, write_snapshot

NO_LEDGER = LedgerMark(0, "", 0)


class Saved:
    """What a directory holds: the newest usable snapshot and the records that follow it."""

    def __init__(self, path: Path, state_file: str) -> None:
        self.path = path
        self.snapshot, self.notes = best_snapshot(path, CORE_VERSION, state_file)

    @property
    def seq(self) -> int:
        """The step the snapshot was taken after; 0 without one."""
        return 0 if self.snapshot is None else self.snapshot.seq

    @property
    def state(self) -> dict[str, Any] | None:
        """The saved state, from the snapshot or the journal's boot record; None when fresh."""
        if self.snapshot is not None:
            return self.snapshot.state
        state = None  # a boot that was cut short is followed by another: the last one counts
        for record in self.records():
            if isinstance(record, BootRecord):
                state = record.state
            elif isinstance(record, StepInput):
                break
        return state

    @property
    def mark(self) -> LedgerMark:
        """Where the ledger ended at the snapshot."""
        return NO_LEDGER if self.snapshot is None else self.snapshot.ledger

    def records(self) -> Iterator[JournalRecord]:
        """The journal after the snapshot."""
        return read_records(self.path, CORE_VERSION, self.seq, self.notes)


class Store:
    """A locked data directory being written."""

    def __init__(
        self,
        directory: DataDirectory,
        disk: Disk,
        *,
        durable: bool,
        state_file: str,
        ledger_file: str,
    ) -> None:
        self.directory = directory
        self.path = directory.path
        self.durable = durable
        self.state_file = state_file
        self.saved = Saved(self.path, state_file)
        self.ledger_path = self.path / ledger_file
        self._disk = disk
        self._journal: JournalWriter | None = None
        self._ledger: LedgerFile | None = None

    @property
    def identity(self) -> Identity:
        """Whose directory this is."""
        return self.directory.identity

    @property
    def journal(self) -> JournalWriter:
        """The open journal; only after ``begin``."""
        assert self._journal is not None, "the store was not begun"
        return self._journal

    @property
    def ledger(self) -> LedgerFile:
        """The open ledger; only after ``begin``."""
        assert self._ledger is not None, "the store was not begun"
        return self._ledger

    def begin(self, last_seq: int, at: float) -> None:
        """Open journal and ledger for writing after step ``last_seq``; repairs torn ends."""
        identity = self.identity
        header = HeaderRecord(
            JOURNAL_VERSION, CORE_VERSION, identity.mode, identity.pair, identity.instance,
            last_seq + 1, at,
        )  # fmt: skip
        self._journal = JournalWriter(self._disk, self.path, header, durable=self.durable)
        self._ledger = LedgerFile.open_and_repair(
            self._disk, self.ledger_path, self.saved.mark, last_seq=last_seq,
            buffered=not self.durable, before_flush=self._journal.flush,
        )  # fmt: skip

    async def write(self, record: StepInput | SendingRecord | BootRecord) -> None:
        """Append a record; durable stores return when it would survive a power loss."""
        self.journal.write([record])
        if self.durable:
            await asyncio.to_thread(self.journal.sync)

    def book(self, lines: list[bytes]) -> None:
        """Append ledger entries in one write (W3)."""
        if lines:
            self.ledger.append(lines)

    def snapshot(self, seq: int, at: float, head: LedgerHead, state: dict[str, Any]) -> None:
        """Save the state after step ``seq`` and begin a new journal segment."""
        self.journal.sync()
        self.ledger.sync()
        identity = self.identity
        mark = LedgerMark(head.id, head.hash, self.ledger.offset)
        snapshot = Snapshot(
            CORE_VERSION, seq, identity.mode, identity.pair, identity.instance, mark, state
        )
        write_snapshot(self._disk, self.path, snapshot, self.state_file)
        self.journal.roll(seq + 1, at)

    def forget_after_snapshot(self) -> None:
        """Drop journal and ledger behind the snapshot: a simulation walks that part again."""
        for segment in segments(self.path):
            if segment.first_seq > self.saved.seq:
                self._disk.remove(segment.path)
        if self.ledger_path.exists():
            handle = self._disk.open_append(self.ledger_path)
            self._disk.truncate(handle, self.saved.mark.offset)
            self._disk.close(handle)

    def archive(self, now: float) -> None:
        """Pack and prune old segments; may take seconds, for a worker thread."""
        archive_segments(self._disk, self.path, now)

    def abandon(self) -> None:
        """Give the directory free without writing anything more (after an error)."""
        self.directory.close()

    def close(self) -> None:
        """Sync, close and give the directory free, whatever was open."""
        for file in (self._journal, self._ledger):
            if file is not None:
                file.close()
        self.directory.close()
