"""The ledger on disk: one JSON line per entry, only ever appended to.

Its lines are derived from the journal, so whatever is lost behind the last snapshot is cut off and
derived again; what lies before was vouched for by the snapshot, so a flaw there means that somebody
changed it. Checked here: each line is a JSON object with the next id, chained to the line before;
what entries say is the business of ``core.verify``. The journal must be written first:
``before_flush`` sees to that.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from gridbot.core.records import LedgerEntry
from gridbot.core.verify import chained_hash
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


_decode = msgspec.json.Decoder(_Line).decode


class LedgerFile(AppendFile):
    """Appends entries. ``last_id``: last entry found on opening; ``cut_bytes``: what went then.
    Its ``offset`` is what a snapshot's mark needs.
    """

    last_id: int
    cut_bytes: int

    @classmethod
    def open_and_repair(
        cls, disk: Disk, path: Path, mark: LedgerMark, *, last_seq: int,
        buffered: bool = False, before_flush: Callable[[], None] = lambda: None,
    ) -> "LedgerFile":  # fmt: skip
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
        ledger = cls(disk, path, buffered=buffered, before_flush=before_flush)
        disk.sync_directory(path.parent)
        ledger.last_id, ledger.cut_bytes = last_id, ledger.cut(end)
        return ledger

    def append(self, lines: Sequence[bytes]) -> None:
        """Add entries, each a line of JSON with its newline, in one write."""
        self.add(b"".join(lines))


def tail(path: Path, count: int, slot: int | None = None) -> list[LedgerEntry]:
    """The last ``count`` entries (of one slot), oldest first; one being written is left out."""
    lines = (line for _, line in lines_backwards(path) if line.endswith(b"\n"))
    entries = (_entry(path, line) for line in lines)
    wanted = (entry for entry in entries if slot is None or entry.slot_id == slot)
    return list(islice(wanted, count))[::-1]


def _entry(path: Path, line: bytes) -> LedgerEntry:
    try:
        return msgspec.json.decode(line, type=LedgerEntry)
    except ValueError as error:
        raise LedgerFileError(f"{path}: not a ledger entry: {line[:80]!r} ({error})") from error


def _good_end(path: Path, mark: LedgerMark, last_seq: int) -> tuple[int, int]:
    end, last = 0, _Line(0, "")
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            reached = end + len(line)
            try:
                entry = _decode(line)
                fault = _fault(line, entry, last, reached, mark, last_seq)
            except ValueError as error:
                fault = f"is not a ledger entry ({error})"
            if fault and end < mark.offset:
                where = f"{path}: line {number}"
                raise LedgerFileError(f"{where} {fault}, though the snapshot vouches for it")
            if fault:
                break
            end, last = reached, entry
    return end, last.id


def _fault(
    line: bytes, entry: _Line, last: _Line, reached: int, mark: LedgerMark, last_seq: int
) -> str:
    if not line.endswith(b"\n"):
        return "is cut short"
    if entry.id != last.id + 1:
        return f"has id {entry.id}, expected {last.id + 1}"
    if entry.seq > last_seq:
        return f"is of step {entry.seq}, after the journal's last step {last_seq}"
    if not chained_hash(line, last.hash.encode()):
        return "was changed after it was written"
    if reached - len(line) < mark.offset < reached:
        return f"goes past byte {mark.offset}, where the snapshot says that an entry ends"
    if reached == mark.offset and (entry.id, entry.hash) != (mark.id, mark.hash):
        return f"(id {entry.id}) is not the entry {mark.id} that the snapshot names"
    return ""
