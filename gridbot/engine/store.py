"""One data directory at work: the write order of a step, snapshots, and what is read back.

Write order (architecture 6): W1 the step record, synced; W2 the brain; W3 its ledger entries; W4
the ``sending`` record, synced; W5 the orders. ``Store`` does W1, W3 and W4. Durable stores sync
W1 and W4 in a worker thread, so that a slow disk delays trading but never freezes the loop; fast
ones (``simulate``) gather bytes and sync at snapshots only, the journal always before the ledger.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gridbot.core.brain import CORE_VERSION
from gridbot.core.ledger import LedgerHead
from gridbot.core.records import BootRecord, HeaderRecord, JournalRecord, SendingRecord, StepInput
from gridbot.core.settings import Settings
from gridbot.engine import journal as journals
from gridbot.engine.directory import DataDirectory
from gridbot.engine.disk import Disk, EngineFileError
from gridbot.engine.ledger_file import LedgerFile, LedgerFileError, LedgerMark
from gridbot.engine.snapshot import Snapshot, best_snapshot, write_snapshot


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
        return LedgerMark() if self.snapshot is None else self.snapshot.ledger

    def records(self) -> Iterator[JournalRecord]:
        """The journal after the snapshot."""
        return journals.read_records(self.path, CORE_VERSION, self.seq, self.notes)


class ReplayError(EngineFileError):
    """The journal does not lead to the outputs it vouches for."""


def check_digest(path: Path, step: StepInput, digest: int) -> None:
    """Compare what ``step`` vouches for with the outputs of the step before it; ReplayError."""
    if step.digest != digest:
        raise ReplayError(
            f"{path}: journal step {step.seq}: the step before it gives other outputs now "
            f"(core changed or file edited)"
        )


class Store:
    """A locked data directory being written; ``begin`` makes ``journal`` and ``ledger``."""

    journal: journals.JournalWriter
    ledger: LedgerFile

    def __init__(
        self,
        path: Path,
        settings: Settings,
        pair: str,
        disk: Disk,
        *,
        draw_instance: Callable[[], str],
        durable: bool,
    ) -> None:
        """Open or make the directory; raises EngineFileError."""
        names = settings.persistence
        self.path = path
        self.ledger_path = path / names.ledger_file
        self.durable = durable
        self.directory = DataDirectory.open(
            path, settings.run.mode, pair, disk, draw_instance=draw_instance, now=time.time()
        )
        self.identity = self.directory.identity
        self._owner = self.identity.mode, self.identity.pair, self.identity.instance
        self._disk = disk
        self._state_file = names.state_file
        self._open_files: list[journals.JournalWriter | LedgerFile] = []
        try:
            self.saved = Saved(path, names.state_file)
        except BaseException:
            self.abandon()
            raise

    def begin(self, last_seq: int, at: float) -> None:
        """Open journal and ledger for writing after step ``last_seq``; repairs torn ends."""
        if not last_seq and self.ledger_path.exists() and self.ledger_path.stat().st_size:
            raise LedgerFileError(
                f"{self.ledger_path}: holds entries, but journal and snapshots are gone: restore "
                f"them, or move the ledger away to begin anew"
            )
        header = HeaderRecord(
            journals.JOURNAL_VERSION, CORE_VERSION, *self._owner, last_seq + 1, at
        )
        self.journal = journals.JournalWriter(self._disk, self.path, header, durable=self.durable)
        self._open_files.append(self.journal)
        self.ledger = LedgerFile.open_and_repair(
            self._disk, self.ledger_path, self.saved.mark, last_seq=last_seq,
            buffered=not self.durable, before_flush=self.journal.flush,
        )  # fmt: skip
        self._open_files.append(self.ledger)

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
        mark = LedgerMark(head.id, head.hash, self.ledger.offset)
        snapshot = Snapshot(CORE_VERSION, seq, *self._owner, mark, state)
        write_snapshot(self._disk, self.path, snapshot, self._state_file)
        self.journal.roll(seq + 1, at)

    def forget_after_snapshot(self) -> None:
        """Drop journal and ledger behind the snapshot: a simulation walks that part again."""
        for segment in journals.segments(self.path):
            if segment.first_seq > self.saved.seq:
                self._disk.remove(segment.path)
        if self.ledger_path.exists():
            handle = self._disk.open_append(self.ledger_path)
            self._disk.truncate(handle, self.saved.mark.offset)
            self._disk.close(handle)

    def archive(self, now: float) -> None:
        """Pack and prune old segments; may take seconds, for a worker thread."""
        journals.archive_segments(self._disk, self.path, now)

    def abandon(self) -> None:
        """Give the directory free without writing anything more (after an error)."""
        self.directory.close()

    def close(self) -> None:
        """Sync, close and give the directory free, whatever was open."""
        for file in self._open_files:
            file.close()
        self.directory.close()
