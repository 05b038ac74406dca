"""The ledger as a table: any row of the whole file at once, while an engine may be writing it.

The index is derived: how many lines begin before each 64 KiB block of the file, which takes a read
of the file at the speed of the disk and is kept beside a large one, so that the next opening is
immediate. Lines are decoded only when looked at. A line without its newline is still being written
and does not exist yet. A file that was cut or replaced is noticed by the last line known of it (the
lines are a hash chain, so that one stands for all before it) and read anew. Only reading: of the
data directory nothing but the index beside the ledger is ever written.
"""

import contextlib
import os
import threading
import time
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.records import LedgerEntry
from gridbot.engine.disk import EngineFileError, plain_errors
from gridbot.engine.ledger_filter import LedgerFilter, Sums

BLOCK_BYTES = 64 * 1024
READ_BYTES = 16 * BLOCK_BYTES
SAVED_BYTES = 64 * 1024 * 1024  # what is worth keeping an index of
MARK_BYTES = 96
LOOK_SECONDS = 0.25
PIECE_BLOCKS = 1
READ_AT_ONCE = 500  # rows
PAGE_ROWS = 100
BAD_LINES_NAMED = 20

_decode = msgspec.json.Decoder(LedgerEntry).decode
Row = LedgerEntry | str  # the text says which line is not valid


class _File:
    """The open file; closed when nobody reads it any more, in whatever thread."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)

    def is_at(self, path: Path) -> bool:
        try:
            return os.path.samestat(os.stat(path), os.fstat(self.fd))
        except FileNotFoundError:
            return False


class _Known(NamedTuple):
    """What was read of the file, replaced as a whole: ``before[k]`` lines end before block k,
    ``rows`` lines end at ``end``, ``mark`` are the last bytes before it; ``age`` of the file."""

    before: "array[int]"
    rows: int = 0
    end: int = 0
    mark: bytes = b""
    age: int = 0
    file: _File | None = None


class LedgerIndex:
    """Rows of a ledger by number, 0 the oldest. May be read by one thread while another calls
    ``refresh``. ``rows``: complete lines; ``age`` grows when the file is no longer the same."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reading = 0  # lines counted so far by a refresh under way
        self._saved_end = 0
        self._known = _Known(array("Q", [0]))
        self._loaded = False

    @property
    def rows(self) -> int:
        return self._known.rows

    @property
    def age(self) -> int:
        return self._known.age

    def refresh(self) -> None:
        """Take in what the file has become; a missing file has no rows. Raises DiskError."""
        with plain_errors("read", self.path):
            known = self._known
            file = known.file
            if file is None or not file.is_at(self.path):
                try:
                    file = _File(os.open(self.path, os.O_RDONLY | os.O_CLOEXEC))
                except FileNotFoundError:
                    self._known = _Known(array("Q", [0]), age=known.age + bool(known.rows))
                    return
            self._refresh(file)

    def _refresh(self, file: _File) -> None:
        known = self._known if self._loaded else self._load()
        self._loaded = True
        size = len(known.mark)
        if os.pread(file.fd, size, known.end - size) != known.mark:
            known = _Known(array("Q", [0]), age=self._known.age + 1)
            self._saved_end = 0
        known = known._replace(file=file)
        if os.fstat(file.fd).st_size != known.end:
            known = self._scan(file.fd, known)
        self._known = known
        if known.end - self._saved_end > SAVED_BYTES:
            self._save(known)

    def _scan(self, fd: int, known: _Known) -> _Known:
        rows, end, position = known.rows, known.end, known.end
        before = known.before[: end // BLOCK_BYTES + 1]
        while data := os.pread(fd, READ_BYTES - position % BLOCK_BYTES, position):
            start = 0
            while start < len(data):
                stop = min(start + BLOCK_BYTES - (position + start) % BLOCK_BYTES, len(data))
                rows += data.count(b"\n", start, stop)
                if (position + stop) % BLOCK_BYTES == 0:
                    before.append(rows)
                start = stop
            end = position + newline + 1 if (newline := data.rfind(b"\n")) >= 0 else end
            position, self.reading = position + len(data), rows
        size = min(MARK_BYTES, end)
        mark = os.pread(fd, size, end - size)
        return known._replace(before=before, rows=rows, end=end, mark=mark)

    # --- the file beside it -------------------------------------------------------------

    @property
    def saved_path(self) -> Path:
        return self.path.with_suffix(".index")

    def _load(self) -> _Known:
        """What was kept, whole and of this size, or nothing; ``refresh`` compares the mark."""
        with contextlib.suppress(OSError, ValueError):
            data = self.saved_path.read_bytes()
            head = array("Q", data[:24])
            before = array("Q", data[24 + MARK_BYTES :])
            rows, end, count = head
            good = count == len(before) == end // BLOCK_BYTES + 1 and before[0] == 0
            if good and before[-1] <= rows:
                self._saved_end = end
                return _Known(before, rows, end, data[24 : 24 + MARK_BYTES])
        return self._known

    def _save(self, known: _Known) -> None:
        """Keep the index; a directory that cannot be written is no reason to complain."""
        before = known.before[: known.end // BLOCK_BYTES + 1]
        data = array("Q", [known.rows, known.end, len(before)]).tobytes() + known.mark
        temporary = self.saved_path.with_suffix(".index.tmp")
        with contextlib.suppress(OSError):
            temporary.write_bytes(data + before.tobytes())
            temporary.replace(self.saved_path)
        self._saved_end = known.end

    # --- reading ------------------------------------------------------------------------

    def read(self, first: int, count: int) -> list[Row]:
        """Rows ``first`` to ``first + count``, as far as there are; raises DiskError."""
        last = min(first + count, self._known.rows)
        lines = self.lines(first, last) if 0 <= first < last else []
        return [decoded(line, number) for number, line in enumerate(lines, first)]

    def lines(self, first: int, last: int, needle: bytes = b"") -> list[bytes]:
        """The lines of rows ``first`` to ``last``, without their newlines; perhaps none if no line
        of them holds ``needle``."""
        known, pieces, found = self._known, list[bytes](), 0
        if known.file is None:
            return []
        block = max(bisect_left(known.before, first) - 1, 0)
        skip, position = first - known.before[block], block * BLOCK_BYTES
        wanted = last - known.before[block]
        with plain_errors("read", self.path):
            while found < wanted and position < known.end:
                size = min(BLOCK_BYTES, known.end - position)
                pieces.append(os.pread(known.file.fd, size, position))
                found, position = found + pieces[-1].count(b"\n"), position + BLOCK_BYTES
        data = b"".join(pieces)
        return data.split(b"\n")[skip:wanted] if needle in data else []

    def backwards(
        self, high: int, low: int = 0, needle: bytes = b""
    ) -> Iterator[tuple[int, list[bytes]]]:
        """Pieces of rows below ``high`` down to ``low``: number of the first, lines in order as
        ``lines`` gives them."""
        before = self._known.before
        while high > low:
            block = bisect_left(before, high) - PIECE_BLOCKS
            first = max(before[max(block, 0)] if block > 0 else 0, low)
            yield first, self.lines(first, high, needle)
            high = first


def decoded(line: bytes, number: int) -> Row:
    """The entry of a line, or in words that row ``number`` (from 0) holds none."""
    try:
        return _decode(line)
    except ValueError:
        return f"line {number + 1} is not valid, skipped"


class LedgerScan:
    """The rows a filter lets through, newest first, and what they add up to.

    Positions never move: 0 is the newest row there was at the beginning, later ones stand at -1,
    -2 and so on; ``top`` is the newest, ``bottom`` the first position behind the oldest found so
    far. ``look`` does the work, in the caller's thread or, after ``start``, in one of its own until
    ``stop``. ``ready``: the number of rows is known; ``left``: rows still to be looked at;
    ``outdated``: the file was cut or replaced, a new scan is due; ``error``: why it cannot be read;
    ``bad``: lines passed over.
    """

    def __init__(self, index: LedgerIndex, wanted: LedgerFilter) -> None:
        self.index, self.wanted = index, wanted
        self.error = ""
        self.ready = self.outdated = False
        self.bad: list[str] = []
        self._sums = self.sums = Sums()
        self._age = self._from = self._upto = self.left = 0
        self._older, self._newer = array("Q"), array("Q")
        self._end, self._page = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> "LedgerScan":
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._end.set()

    def wait_page(self, seconds: float) -> None:
        """Until a screenful is found, or all there is, or the time is up."""
        if self._thread is not None:
            self._page.wait(seconds)

    def wait(self, seconds: float) -> None:
        """Until the thread has ended."""
        if self._thread is not None:
            self._thread.join(seconds)

    def _run(self) -> None:
        use_exact_arithmetic()
        while True:
            try:
                self.look(threaded=True)
                self.error = ""
            except Exception as error:  # shown on the screen, and tried again
                named = isinstance(error, EngineFileError)
                self.error = str(error) if named else f"{type(error).__name__}: {error}"
                self._page.set()
            if self._end.wait(LOOK_SECONDS):
                return

    def look(self, *, threaded: bool = False) -> None:
        """Take in what the file has become, then everything not yet looked at; in a thread, once
        there is a page to show, with half of the time left to the screen."""
        self.index.refresh()
        rows, needle = self.index.rows, next(iter(self.wanted.needles), b"")
        if not self.ready:
            self._age, self._from, self._upto, self.left = self.index.age, rows, rows, rows
            self.ready = True
            if not rows:
                self._page.set()
        self.outdated = self.outdated or self.index.age != self._age
        if self.outdated:
            return
        if rows != self._upto:
            for first, lines in reversed(list(self.index.backwards(rows, self._upto, needle))):
                self._newer.extend(self._chosen(first, lines))
            self._upto, self.sums = rows, self._sums.copy()
        began = time.perf_counter()
        for first, lines in self.index.backwards(self.left, 0, needle):
            self._older.extend(reversed(self._chosen(first, lines)))
            self.left, self.sums = first, self._sums.copy()
            if self.wanted.open or len(self._older) >= PAGE_ROWS or not first:
                self._page.set()
            pause = time.perf_counter() - began if self._page.is_set() else 0.0
            if self._end.wait(pause) if threaded else self._end.is_set():
                return
            began = time.perf_counter()

    def _chosen(self, first: int, lines: list[bytes]) -> list[int]:
        """Numbers of the wanted rows; they are added up."""
        found, chosen = list(enumerate(lines, first)), []
        for needle in self.wanted.needles:
            found = [one for one in found if needle in one[1]]
        for number, line in found:
            row = decoded(line, number)
            if isinstance(row, str):
                self.bad = [*self.bad, row][-BAD_LINES_NAMED:]
            elif self.wanted.accepts(row):
                chosen.append((number, row))
        self._sums.add(row for _, row in chosen)
        return [] if self.wanted.open else [number for number, _ in chosen]

    # --- positions ----------------------------------------------------------------------

    @property
    def top(self) -> int:
        return self._from - self._upto if self.wanted.open else -len(self._newer)

    @property
    def bottom(self) -> int:
        return self._from if self.wanted.open else len(self._older)

    def row(self, position: int) -> int:
        """The number of the row at a position from ``top`` up to ``bottom``."""
        if self.wanted.open:
            return self._from - 1 - position
        return self._older[position] if position >= 0 else self._newer[-1 - position]

    def position(self, row: int) -> int | None:
        """Where a row stands; None if the filter keeps it out."""
        if self.wanted.open:
            return self._from - 1 - row
        at = bisect_left(self._newer, row)
        if at < len(self._newer) and self._newer[at] == row:
            return -1 - at
        at = bisect_left(self._older, -row, key=lambda one: -one)
        return at if at < len(self._older) and self._older[at] == row else None

    def beyond(self, row: int, by: int) -> int | None:
        """The wanted row next to ``row`` as far as found: ``by`` 1 an older one, -1 a newer."""
        older, newer = self._older, self._newer
        if by > 0:
            at = bisect_left(newer, row) - 1
            after = bisect_right(older, -row, key=lambda one: -one)
            return newer[at] if at >= 0 else older[after] if after < len(older) else None
        at = bisect_left(older, -row, key=lambda one: -one) - 1
        after = bisect_right(newer, row)
        return older[at] if at >= 0 else newer[after] if after < len(newer) else None

    def read(self, first: int, count: int) -> list[tuple[int, Row]]:
        """Number and content of the rows at ``first`` and after, newest first; raises DiskError."""
        rows = [
            self.row(one) for one in range(max(first, self.top), min(first + count, self.bottom))
        ]
        if not rows:
            return []
        if rows[0] - rows[-1] < READ_AT_ONCE:
            found = dict(enumerate(self.index.read(rows[-1], rows[0] - rows[-1] + 1), rows[-1]))
            return [(one, found[one]) for one in rows if one in found]
        return [(one, entry) for one in rows for entry in self.index.read(one, 1)]
