"""A disk that dies, tears or fails where a test wants it to."""

import errno
import os
from pathlib import Path

from gridbot.engine.disk import AppendFile, Disk

NO_SPACE = errno.ENOSPC
IO_ERROR = errno.EIO


class Killed(BaseException):
    """The process is gone: nothing may catch this and go on."""


class FaultyDisk(Disk):
    """Counts writes and all changing operations, numbered from 1.

    ``kill_at_write``: the process dies at that write, after it (or after half of it: ``torn``).
    ``kill_before``: it dies just before that changing operation. Once dead, every operation dies.
    ``write_error`` / ``sync_error``: errno that the n-th write (half done) or sync answers with.
    """

    def __init__(
        self,
        *,
        kill_at_write: int = 0,
        torn: bool = False,
        kill_before: int = 0,
        write_error: tuple[int, int] = (0, 0),
        sync_error: tuple[int, int] = (0, 0),
        free: int | None = None,
    ) -> None:
        self.writes = self.syncs = self.operations = 0
        self.dead = False
        self.log: list[str] = []
        self._kill_at_write = kill_at_write
        self._torn = torn
        self._kill_before = kill_before
        self._write_error = write_error
        self._sync_error = sync_error
        self._free = free

    def open_append(self, path: Path) -> int:
        self._operate(f"open {path.name}")
        return super().open_append(path)

    def write(self, file: AppendFile, data: bytes) -> None:
        self._operate(f"write {file.path.name}")
        self.writes += 1
        if self.writes != self._kill_at_write:
            return super().write(file, data)
        super().write(file, data[: len(data) // 2] if self._torn else data)
        self.dead = True
        raise Killed

    def sync(self, file: AppendFile) -> None:
        self._operate(f"sync {file.path.name}")
        self.syncs += 1
        super().sync(file)

    def truncate(self, file: AppendFile, offset: int) -> None:
        self._operate(f"truncate {file.path.name}")
        super().truncate(file, offset)

    def replace(self, source: Path, final: Path) -> None:
        self._operate(f"replace {final.name}")
        super().replace(source, final)

    def link(self, existing: Path, name: Path) -> None:
        self._operate(f"link {name.name}")
        super().link(existing, name)

    def remove(self, path: Path) -> None:
        self._operate(f"remove {path.name}")
        super().remove(path)

    def sync_directory(self, path: Path) -> None:
        self._operate("sync directory")
        super().sync_directory(path)

    def free_bytes(self, path: Path) -> int:
        return super().free_bytes(path) if self._free is None else self._free

    def os_write(self, fd: int, data: memoryview) -> int:
        number, code = self._write_error
        if self.writes != number:
            return super().os_write(fd, data)
        if len(data) > 1:  # a short write first: the error comes when the rest is tried
            return super().os_write(fd, data[: len(data) // 2])
        raise OSError(code, os.strerror(code))

    def os_sync(self, fd: int) -> None:
        number, code = self._sync_error
        if self.syncs == number:
            raise OSError(code, os.strerror(code))
        super().os_sync(fd)

    def _operate(self, what: str) -> None:
        self.operations += 1
        if self.dead or self.operations == self._kill_before:
            self.dead = True
            raise Killed
        self.log.append(what)
