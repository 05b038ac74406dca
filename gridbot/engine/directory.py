"""The data directory of one instance: who it belongs to, and that only one engine works in it.

It holds ``identity.json`` (mode, pair and instance, fixed for life), ``lock`` (locked while an
engine runs; names it), the journal's segments, the snapshot and its predecessor, the ledger and
the control socket. Only its owner can read it.
"""

import fcntl
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from gridbot.engine.disk import Disk, DiskError, EngineFileError
from gridbot.engine.journal import segments

IDENTITY_VERSION = 1
IDENTITY_FILE = "identity.json"
LOCK_FILE = "lock"
LOW_BYTES = 500_000_000
CRITICAL_BYTES = 100_000_000
LOCK_ATTEMPTS = 3  # ``inspect`` holds the lock for an instant

FreeSpace = Literal["ok", "low", "critical"]


class DirectoryError(EngineFileError):
    """The data directory cannot be made, read or locked."""


class DirectoryInUse(DirectoryError):
    """Another engine works in the directory."""


class DirectoryMismatch(DirectoryError):
    """The directory belongs to another mode or pair."""


class Identity(msgspec.Struct, frozen=True):
    """What a directory is for; ``instance``: four characters that begin all its client ids."""

    version: int
    mode: str
    pair: str
    instance: str
    created_at: float


class DirectoryView(msgspec.Struct, frozen=True):
    """A directory as seen from outside: identity if it has one, process id if an engine runs."""

    identity: Identity | None
    running: bool
    pid: int | None


class DataDirectory:
    """A directory this process has locked."""

    def __init__(self, path: Path, identity: Identity, disk: Disk, lock: int) -> None:
        self.path = path
        self.identity = identity
        self._disk = disk
        self._lock = lock

    @classmethod
    def open(
        cls,
        path: Path,
        mode: str,
        pair: str,
        disk: Disk,
        *,
        draw_instance: Callable[[], str],
        now: float,
    ) -> "DataDirectory":
        """Make the directory if need be, lock it and check or write its identity.

        ``draw_instance`` is asked once in a directory's life. Raises DirectoryInUse,
        DirectoryMismatch, DirectoryError or DiskError.
        """
        _make(path, disk)
        lock = _lock(path, now)
        try:
            identity = _read_identity(path)
            if identity is None:
                identity = Identity(IDENTITY_VERSION, mode, pair, draw_instance(), now)
                _write_identity(path, identity, disk)
            elif (identity.mode, identity.pair) != (mode, pair):
                raise DirectoryMismatch(
                    f"{path}: belongs to {identity.mode} {identity.pair} for life, "
                    f"not to {mode} {pair}: choose another data directory"
                )
        except BaseException:
            os.close(lock)
            raise
        return cls(path, identity, disk, lock)

    @staticmethod
    def inspect(path: Path) -> DirectoryView:
        """Look without locking. Raises DirectoryError when there is nothing to look at."""
        if not os.path.isdir(path):  # unlike Path.is_dir, False where one may not look
            raise DirectoryError(f"{path}: no data directory there")
        pid, running = _holder(path)
        return DirectoryView(_read_identity(path), running, pid)

    def free_space_state(self) -> FreeSpace:
        """``low`` below 500 MB (alarm), ``critical`` below 100 MB (no new entries)."""
        return free_space_state(self._disk, self.path)

    def close(self) -> None:
        """Give the directory free."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def free_space_state(disk: Disk, path: Path) -> FreeSpace:
    """How much room is left where ``path`` lies. Raises DiskError."""
    free = disk.free_bytes(path)
    if free < CRITICAL_BYTES:
        return "critical"
    return "low" if free < LOW_BYTES else "ok"


def _make(path: Path, disk: Disk) -> None:
    try:
        if path.is_dir():
            return
        path.mkdir(mode=0o700, parents=True)
        disk.sync_directory(path.parent)
    except (FileExistsError, NotADirectoryError):
        raise DirectoryError(
            f"{path}: a file stands in its place or above it: name a directory"
        ) from None
    except OSError as error:
        raise DirectoryError(f"{path}: cannot make the directory: {error.strerror}") from error


def _lock(path: Path, now: float) -> int:
    try:
        fd = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _take(fd, path)
            started = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()} since {started}\n".encode(), 0)
        except BaseException:
            os.close(fd)
            raise
    except OSError as error:
        raise DirectoryError(f"{path}: cannot lock it: {error.strerror}") from error
    return fd


def _take(fd: int, path: Path) -> None:
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if attempt < LOCK_ATTEMPTS:
                time.sleep(0.02)
    holder = os.pread(fd, 200, 0).decode(errors="replace").strip()
    raise DirectoryInUse(f"{path}: another engine works here (process {holder or 'unknown'})")


def _holder(path: Path) -> tuple[int | None, bool]:
    try:
        with (path / LOCK_FILE).open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                match = re.match(rb"\d+", file.read(200))
                return (int(match[0]) if match else None), True
    except FileNotFoundError:
        pass
    except OSError as error:
        raise DirectoryError(f"{path / LOCK_FILE}: cannot read: {error.strerror}") from error
    return None, False


def _read_identity(path: Path) -> Identity | None:
    file = path / IDENTITY_FILE
    try:
        identity = msgspec.json.decode(file.read_bytes(), type=Identity)
    except FileNotFoundError:
        if segments(path):
            raise DirectoryError(
                f"{file}: missing although there is a journal: restore it from a backup"
            ) from None
        return None
    except OSError as error:
        raise DirectoryError(f"{file}: cannot read: {error.strerror}") from error
    except ValueError as error:
        raise DirectoryError(f"{file}: damaged: {error}: restore it from a backup") from error
    if identity.version > IDENTITY_VERSION:
        raise DirectoryError(
            f"{file}: written by a newer gridbot "
            f"(version {identity.version}, this one knows {IDENTITY_VERSION})"
        )
    return identity


def _write_identity(path: Path, identity: Identity, disk: Disk) -> None:
    assert re.fullmatch("[a-z0-9]{4}", identity.instance), f"instance was {identity.instance!r}"
    data = msgspec.json.format(msgspec.json.encode(identity)) + b"\n"
    try:
        disk.replace_whole(path / IDENTITY_FILE, [data])
    except DiskError as error:
        raise DirectoryError(f"cannot use the data directory: {error}") from error
