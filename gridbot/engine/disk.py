"""The one seam between the engine and the disk.

Every byte of journal, ledger, snapshot and identity passes through a ``Disk``, so a test can
replace it by one that dies, tears or fails at the n-th write. Rules kept here:

- a write is complete or it is an error;
- after an error the file is cut back to its last good offset (a failed write: the end of the last
  complete one; a failed sync: the end of what was synced, as the kernel may have dropped the rest)
  and the handle refuses everything from then on: memory and disk may differ, so the way on is a
  reload from disk;
- a whole file is replaced by temporary file, sync, rename, sync of the directory.

A handle is used by one thread at a time; a sync may run in a worker thread.

All errors of the engine's files are EngineFileErrors, each a single line for the operator.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

FLUSH_BYTES = 256 * 1024
BLOCK_BYTES = 64 * 1024


class EngineFileError(Exception):
    """Something is wrong with a file of the engine; the text names the file and the cause."""


class DiskError(EngineFileError):
    """The operating system refused an operation on a file."""


Kind = type[EngineFileError]


@contextlib.contextmanager
def plain_errors(action: str, path: Path, kind: Kind = DiskError) -> Iterator[None]:
    """Raise ``kind`` for what the operating system refuses in this block."""
    try:
        yield
    except OSError as error:
        raise kind(f"{path}: cannot {action}: {error.strerror or error}") from error


def refuse_newer(where: object, kind: Kind, name: str, theirs: object, ours: int) -> None:
    """Raise ``kind`` if the version found is above the one known here."""
    if isinstance(theirs, int) and theirs > ours:
        raise kind(f"{where}: written by a newer gridbot ({name} {theirs}, this one knows {ours})")


class Handle:
    """An open file; ``offset`` ends the last complete write, ``synced`` what is surely stored."""

    def __init__(self, path: Path, fd: int, offset: int) -> None:
        self.path = path
        self.fd = fd
        self.offset = self.synced = offset
        self.failure = ""

    def check(self) -> None:
        """Raise DiskError after an earlier failure."""
        if self.failure:
            raise DiskError(f"{self.path}: no writes after an earlier error: {self.failure}")


class Disk:
    """The operations on the disk. All raise DiskError with the file's name and a plain cause."""

    def open_append(self, path: Path) -> Handle:
        """Open for appending, creating the file (readable by its owner only) when missing."""
        with plain_errors("open", path):
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            return Handle(path, fd, os.fstat(fd).st_size)

    def write(self, handle: Handle, data: bytes) -> None:
        """Append all of ``data``, or nothing and an error."""
        rest = memoryview(data)
        with _whole_or_shut(handle, "write", handle.offset):
            while rest:
                rest = rest[self.os_write(handle.fd, rest) :]
        handle.offset += len(data)

    def sync(self, handle: Handle) -> None:
        """Return when everything written so far would survive a power loss."""
        reached = handle.offset
        with _whole_or_shut(handle, "sync", handle.synced):
            self.os_sync(handle.fd)
        handle.synced = reached

    def truncate(self, handle: Handle, offset: int) -> None:
        """Cut the file so that it ends at ``offset`` bytes."""
        with plain_errors("truncate", handle.path):
            os.ftruncate(handle.fd, offset)
        handle.offset = offset
        handle.synced = min(handle.synced, offset)

    def close(self, handle: Handle) -> None:
        """Close; neither flushes nor syncs."""
        with plain_errors("close", handle.path):
            os.close(handle.fd)

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
        try:
            self._write_new(temporary, chunks)
        except DiskError:
            with contextlib.suppress(DiskError):
                self.remove(temporary)
            raise
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
        """The bare system call, here so that a test can make it fail."""
        os.fdatasync(fd)

    def _write_new(self, path: Path, chunks: Iterable[bytes]) -> None:
        handle = self.open_append(path)
        try:
            self.truncate(handle, 0)
            for chunk in chunks:
                self.write(handle, chunk)
            self.sync(handle)
        finally:
            self.close(handle)


@contextlib.contextmanager
def _whole_or_shut(handle: Handle, action: str, good: int) -> Iterator[None]:
    handle.check()
    try:
        yield
    except OSError as error:
        handle.failure = f"cannot {action}: {error.strerror or error}"
        # a cut that fails too leaves a torn line, and that is cut at the next opening
        with contextlib.suppress(OSError):
            os.ftruncate(handle.fd, good)
            handle.offset = good
        raise DiskError(f"{handle.path}: {handle.failure}") from error


class AppendFile:
    """A growing file of lines: written at once, or ``buffered`` and written in large pieces.
    ``before_flush`` runs before each write: what must reach the disk earlier is flushed there.
    Not thread-safe; ``sync`` may run in a worker thread while nothing else is called.
    """

    def __init__(
        self,
        disk: Disk,
        path: Path,
        *,
        buffered: bool = False,
        before_flush: Callable[[], None] = lambda: None,
    ) -> None:
        self._disk = disk
        self._limit = FLUSH_BYTES if buffered else 0
        self._before_flush = before_flush
        self._open(path)

    def _open(self, path: Path) -> None:
        self.path = path
        self._handle = self._disk.open_append(path)
        self._buffer = bytearray()
        self._disk.sync_directory(path.parent)

    @property
    def offset(self) -> int:
        """Where the next byte will stand, buffered ones counted."""
        return self._handle.offset + len(self._buffer)

    def add(self, data: bytes) -> None:
        """Append ``data``; unbuffered it is one write."""
        self._handle.check()
        self._buffer += data
        if len(self._buffer) >= self._limit:
            self.flush()

    def flush(self) -> None:
        """Hand the buffer to the operating system in one write."""
        self._handle.check()
        if self._buffer:
            self._before_flush()
            data = bytes(self._buffer)
            self._buffer.clear()
            self._disk.write(self._handle, data)

    def sync(self) -> None:
        """Flush, and return when all of it would survive a power loss."""
        self.flush()
        self._disk.sync(self._handle)

    def cut(self, offset: int) -> int:
        """Shorten the file to ``offset``; returns how many bytes went."""
        lost = self._handle.offset - offset
        if lost:
            self._disk.truncate(self._handle, offset)
        return lost

    def close(self) -> None:
        """Sync and close; a file that failed before is only closed."""
        try:
            if not self._handle.failure:
                self.sync()
        finally:
            self._disk.close(self._handle)


def lines_backwards(path: Path) -> Iterator[tuple[int, bytes]]:
    """The (offset, line) of a file from its last line to its first, read in blocks.
    Lines keep their newline; only the last one can lack it.
    """
    with path.open("rb") as file:
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
