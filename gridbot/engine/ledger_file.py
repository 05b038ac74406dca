"""The ledger on disk: one JSON line per entry, only ever appended to.

Its lines are derived from the journal, so whatever is lost behind the last snapshot is cut off and
derived again; what lies before was vouched for by the snapshot, so a flaw there means that somebody
changed it. Here only form is checked (a JSON object with id and hash, ids from 1 without a gap);
the hash chain itself is the business of ``core.verify``. The journal must be written first:
``before_flush`` sees to that.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from gridbot.engine.disk import AppendFile, Disk, EngineFileError, lines_backwards


class LedgerFileError(EngineFileError):
    """The ledger is not what the snapshot vouches for, or holds an unreadable line."""


class LedgerMark(msgspec.Struct, frozen=True):
    """The end of the ledger at a snapshot: last entry's id and hash, and where its line ends."""

    id: int = 0
    hash: str = ""
    offset: int = 0


class _Line(msgspec.Struct):
    id: int
    hash: str
    seq: int = 0
    slot_id: int = 0


_decode = msgspec.json.Decoder(_Line).decode


class LedgerFile:
    """Appends entries. ``last_id``: last entry found on opening; ``cut_bytes``: what went then."""

    def __init__(self, file: AppendFile, last_id: int, cut_bytes: int) -> None:
        self._file = file
        self.last_id = last_id
        self.cut_bytes = cut_bytes

    @classmethod
    def open_and_repair(
        cls,
        disk: Disk,
        path: Path,
        mark: LedgerMark,
        *,
        last_seq: int | None = None,
        buffered: bool = False,
        before_flush: Callable[[], None] | None = None,
    ) -> "LedgerFile":
        """Open for appending, cut off at the first bad line behind ``mark``.

        ``last_seq``: the journal's last step; entries of later steps go too (after a power loss
        the ledger can have more than the journal). ``buffered`` gathers 256 KiB before writing.
        Raises LedgerFileError for a bad line that the mark covers or a file shorter than it.
        """
        end, last_id = _good_end(path, mark, last_seq) if path.exists() else (0, 0)
        if end < mark.offset:
            raise LedgerFileError(
                f"{path}: has {end} bytes of entries, but the snapshot vouches for "
                f"{mark.offset}: part of it is missing"
            )
        file = AppendFile(disk, path, buffered=buffered, before_flush=before_flush)
        disk.sync_directory(path.parent)
        return cls(file, last_id, file.cut(end))

    @property
    def offset(self) -> int:
        """Where the next line will begin, buffered ones counted: what a snapshot's mark needs."""
        return self._file.offset

    def append(self, lines: Sequence[bytes]) -> None:
        """Add entries, each a line of JSON with its newline, in one write."""
        if lines:
            self._file.add(b"".join(lines))

    def flush(self) -> None:
        """Hand buffered lines to the operating system."""
        self._file.flush()

    def sync(self) -> None:
        """Return when all lines would survive a power loss."""
        self._file.sync()

    def close(self) -> None:
        """Sync and close."""
        self._file.close()


def read_lines(path: Path) -> Iterator[bytes]:
    """The entries as lines, oldest first; one still being written is left out."""
    if path.exists():
        with path.open("rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    yield line


def tail(path: Path, count: int, slot: int | None = None) -> list[bytes]:
    """The last ``count`` entries (of one slot), oldest first, read from the end of the file."""
    found: list[bytes] = []
    if count > 0 and path.exists():
        for _, line in lines_backwards(path):
            if line.endswith(b"\n") and (slot is None or _slot_of(path, line) == slot):
                found.append(line)
                if len(found) == count:
                    break
    return found[::-1]


def _slot_of(path: Path, line: bytes) -> int:
    try:
        return _decode(line).slot_id
    except ValueError as error:
        raise LedgerFileError(f"{path}: not a ledger entry: {line[:80]!r} ({error})") from error


def _good_end(path: Path, mark: LedgerMark, last_seq: int | None) -> tuple[int, int]:
    end = last_id = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            fault, entry = _check(line, last_id + 1, last_seq)
            reached = end + len(line)
            if end < mark.offset:
                _compare(f"{path}: line {number}", fault, entry, reached, mark)
            if fault:
                break
            end, last_id = reached, entry.id
    return end, last_id


def _check(line: bytes, expected_id: int, last_seq: int | None) -> tuple[str, _Line]:
    entry = _Line(0, "")
    if not line.endswith(b"\n"):
        return "is cut short", entry
    try:
        entry = _decode(line)
    except ValueError as error:
        return f"is not a ledger entry ({error})", entry
    if entry.id != expected_id:
        return f"has id {entry.id}, expected {expected_id}", entry
    if last_seq is not None and entry.seq > last_seq:
        return f"is of step {entry.seq}, after the journal's last step {last_seq}", entry
    return "" if entry.hash else "has no hash", entry


def _compare(where: str, fault: str, entry: _Line, reached: int, mark: LedgerMark) -> None:
    if not fault and reached < mark.offset:
        return
    if not fault and reached > mark.offset:
        fault = f"goes past byte {mark.offset}, where the snapshot says that an entry ends"
    if not fault and (entry.id, entry.hash) != (mark.id, mark.hash):
        fault = f"(id {entry.id}) is not the entry {mark.id} that the snapshot names"
    if fault:
        raise LedgerFileError(f"{where} {fault}, though the snapshot vouches for it")
