"""One data directory at work: the write order of a step, snapshots, and what is read back.

Write order (architecture 6): W1 the step record, synced; W2 the brain; W3 its ledger entries; W4
the ``sending`` record, synced; W5 the orders. ``Store`` does W1, W3 and W4. Durable stores sync
W1 and W4 in a worker thread, so that a slow disk delays trading but never freezes the loop; fast
ones (``simulate``) gather bytes and sync at snapshots only, the journal always before the ledger.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from gridbot.core.brain import CORE_VERSION
from gridbot.core.ledger import LedgerHead
from gridbot.core.records import BootRecord, HeaderRecord, JournalRecord, StepInput
from gridbot.core.settings import Settings
from gridbot.engine import journal as journals
from gridbot.engine.directory import DataDirectory
from gridbot.engine.disk import AppendFile, Disk, EngineFileError
from gridbot.engine.ledger_file import LedgerFile, LedgerFileError, LedgerMark
from gridbot.engine.snapshot import Snapshot, best_snapshot, write_snapshot


class Saved:
    """What a directory holds: the newest usable snapshot and the records that follow it.
    ``seq`` and ``mark``: the step it was taken after and where the ledger ended then.
    """

    def __init__(self, path: Path, state_file: str) -> None:
        self.path = path
        self.snapshot, self.notes = best_snapshot(path, CORE_VERSION, state_file)
        self.seq = self.snapshot.seq if self.snapshot else 0
        self.mark = self.snapshot.ledger if self.snapshot else LedgerMark()

    @property
    def state(self) -> dict[str, Any] | None:
        """The saved state, from the snapshot or the journal's boot record; None when fresh."""
        if self.snapshot is not None:
            return self.snapshot.state
        first = takewhile(lambda record: not isinstance(record, StepInput), self.records())
        states = [record.state for record in first if isinstance(record, BootRecord)]
        return states[-1] if states else None  # a boot that was cut short is followed by another

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
        self, path: Path, settings: Settings, pair: str, disk: Disk, *,
        draw_instance: Callable[[], str], durable: bool,
    ) -> None:  # fmt: skip
        """Open or make the directory; raises EngineFileError."""
        self.path = path
        self.ledger_path = path / settings.persistence.ledger_file
        self.durable = durable
        self._disk = disk
        self._state_file = settings.persistence.state_file
        self._files: list[AppendFile] = []
        self.directory = DataDirectory.open(
            path, settings.run.mode, pair, disk, draw_instance=draw_instance, now=time.time()
        )
        owner = self.identity = self.directory.identity
        self._owner = owner.mode, owner.pair, owner.instance
        try:
            self.saved = Saved(path, self._state_file)
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
        version, first_seq = journals.JOURNAL_VERSION, last_seq + 1
        header = HeaderRecord(version, CORE_VERSION, *self._owner, first_seq, at)
        self.journal = journals.JournalWriter(self._disk, self.path, header, durable=self.durable)
        self._files.append(self.journal)
        self.ledger = LedgerFile.open_and_repair(
            self._disk, self.ledger_path, self.saved.mark, last_seq=last_seq,
            buffered=not self.durable, before_flush=self.journal.flush,
        )  # fmt: skip
        self._files.append(self.ledger)

    async def write(self, record: JournalRecord) -> None:
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
        """Drop what lies behind the snapshot: a simulation walks that part again."""
        for segment in journals.segments(self.path):
            if segment.first_seq > self.saved.seq:
                self._disk.remove(segment.path)
        if not self.saved.seq:  # else ``begin`` cuts the ledger where the journal ends now
            self._disk.remove(self.ledger_path)

    def archive(self, now: float) -> None:
        """Pack and prune old segments; may take seconds, for a worker thread."""
        journals.archive_segments(self._disk, self.path, now)

    def abandon(self) -> None:
        """Give the directory free without writing anything more (after an error)."""
        self.directory.close()
        while self._files:
            self._files.pop().close(sync=False)

    def close(self) -> None:
        """Sync, close and give the directory free, whatever was open."""
        while self._files:
            self._files.pop(0).close()
        self.directory.close()
