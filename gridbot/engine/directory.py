"""The data directory of one instance: who it belongs to, and that only one engine works in it.

It holds ``identity.json`` (mode, pair and instance, fixed for life), ``lock`` (locked while an
engine runs; names it), the journal's segments, the snapshot and its predecessor, the ledger and
the control socket. Only its owner can read it.
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from gridbot.engine.disk import Disk, DiskError, EngineFileError, plain_errors, refuse_newer
from gridbot.engine.journal import segments

IDENTITY_VERSION = 1
IDENTITY_FILE = "identity.json"
LOCK_FILE = "lock"
LOW_BYTES = 500_000_000
CRITICAL_BYTES = 100_000_000
LOCK_ATTEMPTS = 3  # ``inspect`` holds the lock for an instant


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

    def __init__(self, path: Path, identity: Identity, lock: BinaryIO) -> None:
        self.path = path
        self.identity = identity
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
        with contextlib.ExitStack() as if_refused:
            with plain_errors("lock it", path, DirectoryError):
                lock = if_refused.enter_context(open(path / LOCK_FILE, "a+b", 0, opener=_private))
                _take(lock, path)
                started = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
                lock.truncate(0)
                lock.write(f"{os.getpid()} since {started}\n".encode())
            identity = _read_identity(path)
            if identity is None:
                identity = Identity(IDENTITY_VERSION, mode, pair, draw_instance(), now)
                _write_identity(path, identity, disk)
            elif (identity.mode, identity.pair) != (mode, pair):
                raise DirectoryMismatch(
                    f"{path}: belongs to {identity.mode} {identity.pair} for life, "
                    f"not to {mode} {pair}: choose another data directory"
                )
            if_refused.pop_all()
        return cls(path, identity, lock)

    @staticmethod
    def inspect(path: Path) -> DirectoryView:
        """Look without locking. Raises DirectoryError when there is nothing to look at."""
        if not os.path.isdir(path):  # unlike Path.is_dir, False where one may not look
            raise DirectoryError(f"{path}: no data directory there")
        pid, running = _holder(path / LOCK_FILE)
        return DirectoryView(_read_identity(path), running, pid)

    def close(self) -> None:
        """Give the directory free."""
        self._lock.close()


def free_space_state(disk: Disk, path: Path) -> Literal["ok", "low", "critical"]:
    """``low`` below 500 MB (alarm), ``critical`` below 100 MB (no new entries); DiskError."""
    free = disk.free_bytes(path)
    if free < CRITICAL_BYTES:
        return "critical"
    return "low" if free < LOW_BYTES else "ok"


def _make(path: Path, disk: Disk) -> None:
    with plain_errors("make the directory", path, DirectoryError):
        try:
            if not path.is_dir():
                path.mkdir(mode=0o700, parents=True)
                disk.sync_directory(path.parent)
        except (FileExistsError, NotADirectoryError):
            where = f"{path}: a file stands in its place or above it"
            raise DirectoryError(f"{where}: name a directory") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise DirectoryError(f"{path}: no permission to write there: chown or choose another one")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _take(lock: BinaryIO, path: Path) -> None:
    for attempt in range(1, LOCK_ATTEMPTS + 1):
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if attempt < LOCK_ATTEMPTS:
                time.sleep(0.02)
    lock.seek(0)
    holder = lock.read(200).decode(errors="replace").strip()
    raise DirectoryInUse(f"{path}: another engine works here (process {holder or 'unknown'})")


def _holder(lock: Path) -> tuple[int | None, bool]:
    """The process id in the lock file, and whether it is locked."""
    missing = contextlib.suppress(FileNotFoundError)
    with plain_errors("read", lock, DirectoryError), missing, lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = re.match(rb"\d+", file.read(200))
            return (int(pid[0]) if pid else None), True
    return None, False


def _read_identity(path: Path) -> Identity | None:
    file = path / IDENTITY_FILE
    if not os.path.exists(file):
        if segments(path):
            raise DirectoryError(
                f"{file}: missing although there is a journal: restore it from a backup"
            )
        return None
    try:
        with plain_errors("read", file, DirectoryError):
            identity = msgspec.json.decode(file.read_bytes(), type=Identity)
    except ValueError as error:
        raise DirectoryError(f"{file}: damaged: {error}: restore it from a backup") from error
    refuse_newer(file, DirectoryError, "version", identity.version, IDENTITY_VERSION)
    return identity


def _write_identity(path: Path, identity: Identity, disk: Disk) -> None:
    assert re.fullmatch("[a-z0-9]{4}", identity.instance), f"instance was {identity.instance!r}"
    try:
        disk.replace_json(path / IDENTITY_FILE, identity)
    except DiskError as error:
        raise DirectoryError(f"cannot use the data directory: {error}") from error
