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

import contextlib
import gzip
import re
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from gridbot.core.records import BootRecord, HeaderRecord, JournalRecord, SendingRecord, StepInput
from gridbot.engine.disk import AppendFile, Disk, EngineFileError, lines_backwards, refuse_newer

JOURNAL_VERSION = 1
KEEP_SECONDS = 30 * 86400
KEEP_BYTES = 1_000_000_000
KEEP_SEGMENTS = 3  # the open one and those that the two snapshots begin with
PACK_BYTES = 1 << 20  # read at once

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
    paths = sorted(directory.glob("journal-*"), reverse=True)  # .gz before .jsonl
    found = {int(match[1]): path for path in paths if (match := _NAME.fullmatch(path.name))}
    return [Segment(seq, found[seq]) for seq in sorted(found)]


class JournalWriter(AppendFile):
    """Appends records to the last segment; ``path`` names it.
    ``durable``: each ``write`` goes to the operating system at once; otherwise bytes gather in
    memory up to 256 KiB. Only ``sync``, ``roll`` and ``close`` sync.
    """

    def __init__(
        self, disk: Disk, directory: Path, header: HeaderRecord, *, durable: bool = True
    ) -> None:
        """Continue the journal at step ``header.first_seq``, or begin it there.
        Cuts a torn last line (``cut_bytes`` says how much). Raises JournalError when the last
        segment is of another instance or begins after that step.
        """
        self._header = header
        last = max(segments(directory), default=None)
        if last is not None and last.first_seq > header.first_seq:
            raise JournalError(
                f"{last.path}: begins at step {last.first_seq}, "
                f"but the next step to write is {header.first_seq}"
            )
        good, self.cut_bytes, written = 0, 0, None
        if last is None or last.packed:
            last = _segment(directory, header.first_seq)
        else:
            good, self.cut_bytes = _good_end(last.path)
            written = _header_of(last, header) if good else None
        super().__init__(disk, last.path, buffered=not durable)
        self._first_seq = last.first_seq
        self.cut(good)
        if written is None or (written.version, written.core) != (header.version, header.core):
            self._write_header(header.created_at)

    def write(self, records: Sequence[JournalRecord]) -> None:
        """Add records in one write, not yet synced."""
        self.add(b"".join([_encode(record) + b"\n" for record in records]))

    def roll(self, first_seq: int, at: float) -> None:
        """Close this segment and begin the next with step ``first_seq`` (after a snapshot)."""
        if first_seq > self._first_seq:
            self.close()
            self._first_seq, path = _segment(self.path.parent, first_seq)
            self._open(path)
            self._write_header(at)

    def _write_header(self, at: float) -> None:
        self._disk.sync_directory(self.path.parent)
        fields = {"first_seq": self._first_seq, "created_at": at}
        self.write([msgspec.structs.replace(self._header, **fields)])
        self.sync()


def read_records(
    directory: Path, core: int, after_seq: int = 0, notes: list[str] | None = None
) -> Iterator[JournalRecord]:
    """The records that a state of step ``after_seq`` has not seen, in order, streaming.
    These are the steps above ``after_seq`` with what stands between them, and the ``sending``
    records *of* step ``after_seq``, whose outcomes such a state cannot know. Headers come as they
    are met, the boot record only with ``after_seq`` 0. A torn last line is left out with a line
    in ``notes``. ``core``: the newest core version understood here. Raises JournalError.
    """
    before, following = None, segments(directory)
    while len(following) > 1 and following[1].first_seq <= after_seq + 1:
        before = following.pop(0)
    if before is not None and following[0].first_seq == after_seq + 1:
        for where, line in _lines(before):
            if line.startswith(_SENDING) and _is_news(record := _parse(where, line), after_seq):
                yield record
    seq = min(after_seq, following[0].first_seq - 1) if following else after_seq
    for segment in following:
        if segment.first_seq > seq + 1:
            raise _gap(segment.path, seq, segment.first_seq)
        end = sys.maxsize
        if segment is following[-1] and not segment.packed:
            end, torn = _good_end(segment.path)
            if torn and notes is not None:
                notes.append(f"{segment.path}: torn last line ignored ({torn} bytes)")
        for where, record in _records(segment, core, end):
            if isinstance(record, StepInput):
                if record.seq != seq + 1:
                    raise _gap(where, seq, record.seq)
                seq = record.seq
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


def _segment(directory: Path, first_seq: int) -> Segment:
    return Segment(first_seq, directory / f"journal-{first_seq:012d}.jsonl")


def _pack(segment: Segment) -> Iterator[bytes]:
    packer = zlib.compressobj(wbits=31)  # 31: with the header and trailer of a .gz file
    with segment.path.open("rb") as file:
        while block := file.read(PACK_BYTES):
            yield packer.compress(block)
    yield packer.flush()


def _good_end(path: Path) -> tuple[int, int]:
    """Where the last segment ends without a torn last line, and the length of that line."""
    start, line = next(lines_backwards(path), (0, b""))
    with contextlib.suppress(ValueError):
        if line.endswith(b"\n"):
            msgspec.json.decode(line)
            return start + len(line), 0
    return start, len(line)


def _header_of(segment: Segment, ours: HeaderRecord) -> HeaderRecord:
    _, written = next(_records(segment, ours.core))
    assert isinstance(written, HeaderRecord)
    owner, us = (f"{header.mode} {header.pair} {header.instance}" for header in (written, ours))
    if owner != us:
        raise JournalError(f"{segment.path}: belongs to {owner}, not to {us}")
    return written


def _records(
    segment: Segment, core: int, end: int = sys.maxsize
) -> Iterator[tuple[str, JournalRecord]]:
    first = True
    for where, line in _lines(segment, end):
        record = _parse(where, line)
        if isinstance(record, HeaderRecord):
            refuse_newer(where, JournalError, "core", record.core, core)
            refuse_newer(where, JournalError, "journal version", record.version, JOURNAL_VERSION)
        elif first:
            raise JournalError(f"{where}: is not the header that must begin a segment")
        first = False
        yield where, record


def _lines(segment: Segment, end: int = sys.maxsize) -> Iterator[tuple[str, bytes]]:
    where, read = f"{segment.path}: line 0", 0
    try:
        with gzip.open(segment.path) if segment.packed else segment.path.open("rb") as file:
            for number, line in enumerate(file, 1):
                read += len(line)
                if read > end:
                    return
                where = f"{segment.path}: line {number}"
                yield where, line
    except (OSError, EOFError, zlib.error) as error:
        raise JournalError(f"{where}: unreadable after this line: {error}") from error


def _parse(where: str, line: bytes) -> JournalRecord:
    try:
        if line.endswith(b"\n"):
            return _decoder.decode(line)
        cause = "the line is cut short"
    except ValueError as error:  # DecodeError and UnicodeDecodeError are ValueErrors
        cause = str(error)
    raise JournalError(f"{where}: damaged: {cause}")


def _is_news(record: JournalRecord, after_seq: int) -> bool:
    if isinstance(record, StepInput):
        return record.seq > after_seq
    if isinstance(record, SendingRecord):
        return record.seq >= after_seq
    return after_seq == 0 or not isinstance(record, BootRecord)


def _gap(where: object, seq: int, next_seq: int) -> JournalError:
    if next_seq <= seq:
        return JournalError(f"{where}: step {next_seq} follows step {seq}: it is there twice")
    several = f"steps {seq + 1} to {next_seq - 1} are"
    missing = f"step {seq + 1} is" if next_seq == seq + 2 else several
    return JournalError(f"{where}: continues with step {next_seq}, but {missing} missing before it")
