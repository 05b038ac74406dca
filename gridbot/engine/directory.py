"""The data directory of one instance: who it belongs to, and that only one engine works in it.

It holds ``identity.json`` (mode, pair and instance, fixed for life), ``lock`` (locked while an
engine runs; names it), the journal's segments, the snapshot and its predecessor, the ledger and
the control socket; of a simulation also what it was asked to do (``simulation.json``), as only the
same one goes on there. Only its owner can read it.
"""

import contextlib
import fcntl
import os
import re
import time
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import msgspec

from gridbot.core.numbers import plain
from gridbot.core.settings import Settings
from gridbot.engine.disk import Disk, EngineFileError, plain_errors, read_json, refuse_newer
from gridbot.engine.journal import segments

IDENTITY_VERSION = 1
IDENTITY_FILE = "identity.json"
LOCK_FILE = "lock"
ARGUMENTS_FILE = "simulation.json"
LOW_BYTES = 500_000_000
CRITICAL_BYTES = 100_000_000
LOCK_ATTEMPTS = 3  # ``inspect`` holds the lock for an instant
LOCK_PAUSE_SECONDS = 0.02


class DirectoryError(EngineFileError):
    """The data directory cannot be made, read or locked."""


class DirectoryInUse(DirectoryError):
    """Another engine works in the directory."""


class DirectoryMismatch(DirectoryError):
    """The directory belongs to another mode or pair."""


class OtherSimulation(EngineFileError):
    """The directory holds something else than the simulation asked for."""


class Identity(msgspec.Struct, frozen=True):
    """What a directory is for; ``instance``: four characters that begin all its client ids."""

    version: int
    mode: str
    pair: str
    instance: str
    created_at: float


class DirectoryView(NamedTuple):
    """A directory as seen from outside: identity if it has one, process id if an engine runs."""

    identity: Identity | None
    running: bool
    pid: int | None


class DataDirectory:
    """A directory this process has locked."""

    def __init__(self, identity: Identity, lock: BinaryIO) -> None:
        self.identity = identity
        self._lock = lock

    @classmethod
    def open(
        cls, path: Path, mode: str, pair: str, disk: Disk, *,
        draw_instance: Callable[[], str], now: float,
    ) -> "DataDirectory":  # fmt: skip
        """Make the directory if need be, lock it and check or write its identity.
        ``draw_instance`` is asked once in a directory's life. Raises DirectoryInUse,
        DirectoryMismatch, DirectoryError or DiskError.
        """
        _make(path, disk)
        private = partial(os.open, mode=0o600)
        with contextlib.ExitStack() as if_refused:
            with plain_errors("lock it", path, DirectoryError):
                lock = if_refused.enter_context(open(path / LOCK_FILE, "a+b", 0, opener=private))
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
        return cls(identity, lock)

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
    return "critical" if free < CRITICAL_BYTES else "low" if free < LOW_BYTES else "ok"


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


def _take(lock: BinaryIO, path: Path) -> None:
    for _ in range(LOCK_ATTEMPTS):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(LOCK_PAUSE_SECONDS)
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
    file, advice = path / IDENTITY_FILE, "restore it from a backup"
    if os.path.exists(file):
        identity = read_json(file, Identity, DirectoryError, advice)
        refuse_newer(file, DirectoryError, "version", identity.version, IDENTITY_VERSION)
        return identity
    if segments(path):
        raise DirectoryError(f"{file}: missing although there is a journal: {advice}")
    return None


def _write_identity(path: Path, identity: Identity, disk: Disk) -> None:
    assert re.fullmatch("[a-z0-9]{4}", identity.instance), f"instance was {identity.instance!r}"
    try:
        disk.replace_json(path / IDENTITY_FILE, identity)
    except EngineFileError as error:
        raise DirectoryError(f"cannot use the data directory: {error}") from error


def arguments_of(settings: Settings, market: dict[str, str]) -> dict[str, str]:
    """All that decides a simulation, as text by name: its market and its settings."""
    sections = msgspec.to_builtins(settings, builtin_types=(Decimal,))
    return market | {
        f"{section}.{name}": plain(value) if isinstance(value, Decimal) else str(value)
        for section, values in sections.items()
        for name, value in values.items()
    }


def claim_for(path: Path, arguments: dict[str, str], disk: Disk) -> None:
    """Note the arguments in a fresh directory, compare them in a used one (locked, both times).
    Raises OtherSimulation naming a difference.
    """
    file = path / ARGUMENTS_FILE
    if not file.exists():
        if segments(path):
            raise _belongs_to("an engine (gridbot tui or run), not to a simulation", path)
        disk.replace_json(file, arguments)
        return
    theirs = read_json(file, dict[str, str], EngineFileError, "choose another directory")
    different = [n for n in {**theirs, **arguments} if theirs.get(n) != arguments.get(n)]
    if different:
        name = different[0]
        more = f" ({len(different) - 1} more differ)" if len(different) > 1 else ""
        raise OtherSimulation(
            f"{path}: holds another simulation: {name} is {theirs.get(name)} there, "
            f"{arguments.get(name)} here{more}: repeat its arguments or choose another directory"
        )


def refuse_simulation(path: Path) -> None:
    """Raise OtherSimulation for a directory that an ordinary engine must leave alone."""
    if os.path.exists(path / ARGUMENTS_FILE):  # False, too, where one may not look
        raise _belongs_to("a simulation (gridbot simulate)", path)


def _belongs_to(owner: str, path: Path) -> OtherSimulation:
    return OtherSimulation(f"{path}: belongs to {owner}: choose another data directory")
