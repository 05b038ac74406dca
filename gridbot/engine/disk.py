"""The one seam between the engine and the disk.

Every byte of journal, ledger, snapshot and identity passes through a ``Disk``, so a test can
replace it by one that dies, tears or fails at the n-th write. Rules kept here:

- a write is complete or it is an error;
- after an error the file is cut back to its last good offset (a failed write: the end of the last
  complete one; a failed sync: the end of what was synced, as the kernel may have dropped the rest)
  and the handle refuses everything from then on: the way on is a reload from disk;
- a whole file is replaced by temporary file, sync, rename, sync of the directory;
- a handle is used by one thread at a time; a sync may run in a worker thread;
- all errors of the engine's files are EngineFileErrors, each a single line for the operator.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

FLUSH_BYTES = 256 * 1024
BLOCK_BYTES = 64 * 1024


class EngineFileError(Exception):
    """Something is wrong with a file of the engine; the text names the file and the cause."""


class DiskError(EngineFileError):
    """The operating system refused an operation on a file."""


Kind = type[EngineFileError]
T = TypeVar("T")


@contextlib.contextmanager
def plain_errors(action: str, path: Path, kind: Kind = DiskError) -> Iterator[None]:
    """Raise ``kind`` for what the operating system refuses in this block."""
    try:
        yield
    except OSError as error:
        raise kind(f"{path}: cannot {action}: {error.strerror or error}") from error


def read_json(path: Path, type: type[T], kind: Kind, advice: str) -> T:
    """The value in a file; raises ``kind`` when it cannot be read or is none, with ``advice``."""
    try:
        with plain_errors("read", path, kind):
            return msgspec.json.decode(path.read_bytes(), type=type)
    except ValueError as error:
        raise kind(f"{path}: damaged: {error}: {advice}") from error


def refuse_newer(where: object, kind: Kind, name: str, theirs: object, ours: int) -> None:
    """Raise ``kind`` if the version found is above the one known here."""
    if isinstance(theirs, int) and theirs > ours:
        raise kind(f"{where}: written by a newer gridbot ({name} {theirs}, this one knows {ours})")


class Disk:
    """The operations on the disk. All raise DiskError with the file's name and a plain cause."""

    def open_append(self, path: Path) -> int:
        """Open for appending, creating the file (readable by its owner only) when missing."""
        with plain_errors("open", path):
            return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, file: "AppendFile", data: bytes) -> None:
        """Append all of ``data``, or nothing and an error."""
        rest = memoryview(data)
        with file.whole_or_shut("write", file.written):
            while rest:
                rest = rest[self.os_write(file.fd, rest) :]
        file.written += len(data)

    def sync(self, file: "AppendFile") -> None:
        """Return when everything written so far would survive a power loss."""
        reached = file.written
        with file.whole_or_shut("sync", file.synced):
            self.os_sync(file.fd)
        file.synced = reached

    def truncate(self, file: "AppendFile", offset: int) -> None:
        """Cut the file so that it ends at ``offset`` bytes."""
        with plain_errors("truncate", file.path):
            os.ftruncate(file.fd, offset)
        file.written, file.synced = offset, min(file.synced, offset)

    def replace(self, source: Path, final: Path) -> None:
        """Rename ``source`` over ``final`` in one indivisible act."""
        with plain_errors("replace", final):
            os.replace(source, final)

    def link(self, existing: Path, name: Path) -> None:
        """Give a file a second name."""
        with plain_errors("link", name):
            os.link(existing, name)

    def remove(self, path: Path) -> None:
        """Delete a file; one that is not there is fine."""
        with plain_errors("remove", path):
            path.unlink(missing_ok=True)

    def sync_directory(self, path: Path) -> None:
        """Make creations, renames and removals in a directory survive a power loss."""
        with plain_errors("sync", path):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)

    def free_bytes(self, path: Path) -> int:
        """Bytes an ordinary user may still write where ``path`` lies."""
        with plain_errors("measure", path):
            stat = os.statvfs(path)
        return stat.f_bavail * stat.f_frsize

    def replace_whole(
        self, path: Path, chunks: Iterable[bytes], previous: Path | None = None
    ) -> None:
        """Put a whole new content at ``path``: at any moment the old or the new one is there.
        ``previous``: the name under which the old content stays.
        """
        temporary = path.with_name(path.name + ".tmp")
        file = AppendFile(self, temporary)
        try:
            self.truncate(file, 0)
            for chunk in chunks:
                file.add(chunk)
            file.sync()
        except DiskError:
            with contextlib.suppress(DiskError):
                self.remove(temporary)
            raise
        finally:
            file.close(sync=False)
        if previous is not None and path.exists():
            self.remove(previous)
            try:
                self.link(path, previous)
            except DiskError:  # a file system without hard links: a moment without ``path`` is left
                self.replace(path, previous)
        self.replace(temporary, path)
        self.sync_directory(path.parent)

    def replace_json(self, path: Path, value: object) -> None:
        """``replace_whole`` with ``value`` as JSON that people can read."""
        self.replace_whole(path, [msgspec.json.format(msgspec.json.encode(value)) + b"\n"])

    def os_write(self, fd: int, data: memoryview) -> int:
        """The bare system call, here so that a test can make it fail."""
        return os.write(fd, data)

    def os_sync(self, fd: int) -> None:
        """As ``os_write``."""
        os.fdatasync(fd)


class AppendFile:
    """A growing file of lines: written at once, or ``buffered`` and written in large pieces.
    ``written`` ends the last complete write, ``synced`` what is surely stored. ``before_flush``
    runs before each write: what must reach the disk earlier is flushed there.
    """

    def __init__(
        self, disk: Disk, path: Path, *, buffered: bool = False,
        before_flush: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._disk = disk
        self._limit = FLUSH_BYTES if buffered else 0
        self._before_flush = before_flush
        self._open(path)

    def _open(self, path: Path) -> None:
        self.fd = self._disk.open_append(path)
        self.path, self.failure, self._buffer = path, "", bytearray()
        found = os.fstat(self.fd)
        self.written = self.synced = found.st_size
        self._identity = found.st_dev, found.st_ino

    @property
    def offset(self) -> int:
        """Where the next byte will stand, buffered ones counted."""
        return self.written + len(self._buffer)

    def add(self, data: bytes) -> None:
        """Append ``data``; unbuffered it is one write."""
        self._check()
        self._buffer += data
        if len(self._buffer) >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Hand the buffer to the operating system in one write."""
        self._check()
        if self._buffer:
            self._before_flush()
            self._check_place()
            data = bytes(self._buffer)
            self._buffer.clear()
            self._disk.write(self, data)

    def _check_place(self) -> None:
        """What is written to a file that somebody moved or removed is lost."""
        with contextlib.suppress(OSError):
            found = os.stat(self.path)
            if (found.st_dev, found.st_ino) == self._identity:
                return
        self.failure = "was moved, replaced or removed while it was written to"
        raise DiskError(f"{self.path}: {self.failure}")

    def sync(self) -> None:
        """Flush, and return when all of it would survive a power loss."""
        self.flush()
        self._disk.sync(self)

    def cut(self, offset: int) -> int:
        """Shorten the file to ``offset``; returns how many bytes went."""
        lost = self.written - offset
        if lost:
            self._disk.truncate(self, offset)
        return lost

    def close(self, *, sync: bool = True) -> None:
        """Sync and close; a file that failed before is only closed."""
        try:
            if sync and not self.failure:
                self.sync()
        finally:
            fd, self.fd = self.fd, -1
            if fd >= 0:
                with plain_errors("close", self.path):
                    os.close(fd)

    @contextlib.contextmanager
    def whole_or_shut(self, action: str, good: int) -> Iterator[None]:
        """If the block fails, cut the file back to ``good`` and refuse all writes from then on."""
        try:
            yield
        except OSError as error:
            self.failure = f"cannot {action}: {error.strerror or error}"
            # a cut that fails too leaves a torn line, and that is cut at the next opening
            with contextlib.suppress(OSError):
                os.ftruncate(self.fd, good)
                self.written = good
            raise DiskError(f"{self.path}: {self.failure}") from error

    def _check(self) -> None:
        if self.failure:
            raise DiskError(f"{self.path}: no writes after an earlier error: {self.failure}")


def lines_backwards(path: Path) -> Iterator[tuple[int, bytes]]:
    """The (offset, line) of a file from its last line to its first, read in blocks.
    Lines keep their newline; only the last one can lack it.
    """
    with plain_errors("read", path), path.open("rb") as file:
        start, data = file.seek(0, os.SEEK_END), b""
        while start:
            size = min(BLOCK_BYTES, start)
            start -= size
            file.seek(start)
            data = file.read(size) + data
            end = len(data)
            while (newline := data.rfind(b"\n", 0, end - 1)) >= 0:
                yield start + newline + 1, data[newline + 1 : end]
                end = newline + 1
            data = data[:end]
        if data:
            yield 0, data
