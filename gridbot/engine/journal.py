"""The journal: what the engine observed and commanded, step by step, before it acted on it.

JSON lines in segments ``journal-<first step, 12 digits>.jsonl``; a segment ends at a snapshot and
is packed (``.jsonl.gz``) later. Rules kept here:

- each segment begins with a header; a continued one gets another when the core version changed;
- step numbers have no gap, within and across segments;
- only the last line of the last segment may be torn: ignored by readers, cut off by the writer;
  any other unreadable line, and a journal of a newer gridbot, is an error naming file and line;
- where a segment exists both plain and packed (killed in between), the plain one counts.

Values of type ``Any`` in records (arguments, recommendations, boot state) must be plain JSON, or
a replay would see other types than the first run did.
"""

import gzip
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, NoReturn

import msgspec

from gridbot.core.records import BootRecord, HeaderRecord, JournalRecord, SendingRecord, StepInput
from gridbot.engine.disk import BLOCK_BYTES, AppendFile, Disk, EngineFileError, lines_backwards

JOURNAL_VERSION = 1
KEEP_SECONDS = 30 * 86400
KEEP_BYTES = 1_000_000_000
KEEP_SEGMENTS = 3  # the open one and those that the two snapshots begin with

_NAME = re.compile(r"journal-(\d{12})\.jsonl(\.gz)?")
_SENDING = b'{"k":"sending"'
_decoder: msgspec.json.Decoder[JournalRecord] = msgspec.json.Decoder(JournalRecord)
_encode = msgspec.json.Encoder().encode


class JournalError(EngineFileError):
    """The journal is damaged, has a gap, or was written by a newer gridbot."""


class Segment(NamedTuple):
    """One file of the journal."""

    first_seq: int
    path: Path

    @property
    def packed(self) -> bool:
        return self.path.suffix == ".gz"


def segments(directory: Path) -> list[Segment]:
    """The segments of a data directory, oldest first."""
    found: dict[int, Path] = {}
    for path in sorted(directory.glob("journal-*"), reverse=True):  # .gz before .jsonl
        match = _NAME.fullmatch(path.name)
        if match:
            found[int(match[1])] = path
    return [Segment(seq, found[seq]) for seq in sorted(found)]


class JournalWriter:
    """Appends records to the last segment.

    ``durable``: each ``write`` goes to the operating system at once and each ``append`` is synced
    too; otherwise bytes gather in memory up to 256 KiB and only ``sync``, ``roll`` and ``close``
    sync. Not thread-safe; ``sync`` may run in a worker thread while nothing else is called.
    """

    def __init__(
        self, disk: Disk, directory: Path, header: HeaderRecord, *, durable: bool = True
    ) -> None:
        """Continue the journal at step ``header.first_seq``, or begin it there.

        Cuts a torn last line (``cut_bytes`` says how much). Raises JournalError when the last
        segment is of another instance or begins after that step.
        """
        self._disk = disk
        self._directory = directory
        self._header = header
        self._durable = durable
        self.cut_bytes = 0
        existing = segments(directory)
        last = existing[-1] if existing else None
        if last is not None and last.first_seq > header.first_seq:
            raise JournalError(
                f"{last.path}: begins at step {last.first_seq}, "
                f"but the next step to write is {header.first_seq}"
            )
        if last is None or last.packed:
            self._begin(header.first_seq, header.created_at)
        else:
            self._resume(last)

    @property
    def path(self) -> Path:
        """The segment being written."""
        return self._file.path

    def append(self, record: JournalRecord) -> None:
        """Add one record; durable mode: it is on the disk on return."""
        self._file.add(_encode(record) + b"\n")
        if self._durable:
            self._file.sync()

    def write(self, records: Sequence[JournalRecord]) -> None:
        """Add records in one write, not yet synced."""
        self._file.add(b"".join([_encode(record) + b"\n" for record in records]))

    def flush(self) -> None:
        """Hand buffered records to the operating system."""
        self._file.flush()

    def sync(self) -> None:
        """Return when all records would survive a power loss."""
        self._file.sync()

    def roll(self, first_seq: int, at: float) -> None:
        """Close this segment and begin the next with step ``first_seq`` (after a snapshot)."""
        if first_seq > self._first_seq:
            self._file.close()
            self._begin(first_seq, at)

    def close(self) -> None:
        """Sync and close."""
        self._file.close()

    def _begin(self, first_seq: int, at: float) -> None:
        self._open(first_seq, self._directory / f"journal-{first_seq:012d}.jsonl")
        self._write_header(at)

    def _resume(self, last: Segment) -> None:
        good = _good_end(last.path)
        written = _first_header(last.path, self._header.core) if good else None
        if written is not None:
            self._check_owner(last.path, written)
        self._open(*last)
        self.cut_bytes = self._file.cut(good)
        ours = self._header.version, self._header.core
        if written is None or (written.version, written.core) != ours:
            self._write_header(self._header.created_at)

    def _open(self, first_seq: int, path: Path) -> None:
        self._first_seq = first_seq
        self._file = AppendFile(self._disk, path, buffered=not self._durable)
        self._disk.sync_directory(self._directory)

    def _write_header(self, at: float) -> None:
        fields = {"first_seq": self._first_seq, "created_at": at}
        self.write([msgspec.structs.replace(self._header, **fields)])
        self._file.sync()

    def _check_owner(self, path: Path, written: HeaderRecord) -> None:
        theirs = f"{written.mode} {written.pair} {written.instance}"
        ours = f"{self._header.mode} {self._header.pair} {self._header.instance}"
        if theirs != ours:
            raise JournalError(f"{path}: belongs to {theirs}, not to {ours}")


def read_records(
    directory: Path, core: int, after_seq: int = 0, notes: list[str] | None = None
) -> Iterator[JournalRecord]:
    """The records that a state of step ``after_seq`` has not seen, in order, streaming.

    These are the steps above ``after_seq`` with what stands between them, and the ``sending``
    records *of* step ``after_seq``, whose outcomes such a state cannot know. Headers come as they
    are met, the boot record only with ``after_seq`` 0. A torn last line is left out with a line
    in ``notes``. ``core``: the newest core version understood here. Raises JournalError.
    """
    all_segments = segments(directory)
    older = [segment for segment in all_segments if segment.first_seq <= after_seq + 1]
    if all_segments and not older:
        _raise_gap(all_segments[0].path, after_seq, all_segments[0].first_seq)
    newer = all_segments[max(len(older) - 1, 0) :]
    if len(older) > 1 and older[-1].first_seq == after_seq + 1:
        yield from _sendings_of(older[-2], after_seq)
    reader = _Reader(core)
    for segment in newer:
        end = _readable_end(segment, notes) if segment is newer[-1] else None
        for record in reader.records(segment, end):
            if _is_news(record, after_seq):
                yield record


def archive_segments(disk: Disk, directory: Path, now: float) -> None:
    """Pack closed segments; delete those older than 30 days or beyond 1 GB in all.

    The newest three always stay: snapshots may still need them. May take seconds: for a worker
    thread. ``now`` is compared with the files' own times. Raises DiskError.
    """
    for segment in segments(directory)[:-1]:
        if not segment.packed:
            disk.replace_whole(segment.path.with_name(segment.path.name + ".gz"), _pack(segment))
            disk.remove(segment.path)
    total, stale = 0, False
    for age, segment in enumerate(reversed(segments(directory))):
        stat = segment.path.stat()
        total += stat.st_size
        stale = stale or now - stat.st_mtime > KEEP_SECONDS or total > KEEP_BYTES
        if stale and age >= KEEP_SEGMENTS:
            disk.remove(segment.path)


class _Reader:
    """Reads segment after segment and refuses what does not follow on."""

    def __init__(self, core: int) -> None:
        self._core = core
        self._seq: int | None = None  # the last step met

    def records(self, segment: Segment, end: int | None) -> Iterator[JournalRecord]:
        if self._seq is None:
            self._seq = segment.first_seq - 1
        elif segment.first_seq > self._seq + 1:
            _raise_gap(segment.path, self._seq, segment.first_seq)
        expect_header = True
        for where, line in _lines(segment, end):
            record = _parse(where, line)
            if expect_header or isinstance(record, HeaderRecord):
                _check_header(where, record, self._core)
                expect_header = False
            elif isinstance(record, StepInput):
                if record.seq != self._seq + 1:
                    _raise_gap(where, self._seq, record.seq)
                self._seq = record.seq
            yield record


def _is_news(record: JournalRecord, after_seq: int) -> bool:
    if isinstance(record, StepInput):
        return record.seq > after_seq
    if isinstance(record, SendingRecord):
        return record.seq >= after_seq
    if isinstance(record, BootRecord):
        return after_seq == 0
    return True


def _raise_gap(where: object, seq: int, next_seq: int) -> NoReturn:
    if next_seq <= seq:
        raise JournalError(f"{where}: step {next_seq} follows step {seq}: it is there twice")
    missing = (
        f"step {seq + 1} is" if next_seq == seq + 2 else f"steps {seq + 1} to {next_seq - 1} are"
    )
    raise JournalError(f"{where}: continues with step {next_seq}, but {missing} missing before it")


def _sendings_of(segment: Segment, seq: int) -> Iterator[JournalRecord]:
    for where, line in _lines(segment, None):
        if line.startswith(_SENDING):
            record = _parse(where, line)
            if isinstance(record, SendingRecord) and record.seq == seq:
                yield record


def _readable_end(segment: Segment, notes: list[str] | None) -> int | None:
    if segment.packed:
        return None
    end = _good_end(segment.path)
    torn = segment.path.stat().st_size - end
    if torn and notes is not None:
        notes.append(f"{segment.path}: torn last line ignored ({torn} bytes)")
    return end


class _Where:
    """File and line, made into text only when an error needs it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 0

    def __str__(self) -> str:
        return f"{self.path}: line {self.line}"


def _lines(segment: Segment, end: int | None) -> Iterator[tuple[object, bytes]]:
    where = _Where(segment.path)
    read = 0
    try:
        with gzip.open(segment.path) if segment.packed else segment.path.open("rb") as file:
            for line in file:
                read += len(line)
                if end is not None and read > end:
                    return
                where.line += 1
                yield where, line
    except (OSError, EOFError, zlib.error) as error:
        raise JournalError(f"{where}: unreadable after this line: {error}") from error


def _parse(where: object, line: bytes) -> JournalRecord:
    try:
        if line.endswith(b"\n"):
            return _decoder.decode(line)
        cause = "the line is cut short"
    except ValueError as error:  # DecodeError and UnicodeDecodeError are ValueErrors
        cause = str(error)
    raise JournalError(f"{where}: damaged: {cause}")


def _check_header(where: object, record: JournalRecord, core: int) -> HeaderRecord:
    if not isinstance(record, HeaderRecord):
        raise JournalError(f"{where}: is not the header that must begin a segment")
    for name, theirs, ours in (
        ("core", record.core, core),
        ("journal version", record.version, JOURNAL_VERSION),
    ):
        if theirs > ours:
            raise JournalError(
                f"{where}: written by a newer gridbot ({name} {theirs}, this one knows {ours})"
            )
    return record


def _first_header(path: Path, core: int) -> HeaderRecord:
    where, line = next(_lines(Segment(0, path), None))
    return _check_header(where, _parse(where, line), core)


def _good_end(path: Path) -> int:
    """Where the last segment ends without its last line, if that one is torn."""
    for start, line in lines_backwards(path):
        end = start + len(line)
        if not line.endswith(b"\n"):
            return start
        try:
            msgspec.json.decode(line)
        except ValueError:
            return start
        return end
    return 0


def _pack(segment: Segment) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)  # 31: with the header and trailer of a .gz file
    with segment.path.open("rb") as file:
        while block := file.read(16 * BLOCK_BYTES):
            yield packer.compress(block)
    yield packer.flush()
