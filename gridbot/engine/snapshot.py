"""The snapshot: the whole state after one step, so that a restart replays only what came later.

Canonical JSON with a checksum of everything else in it. It is replaced as a whole and the one
before stays as ``<name>.previous``; the journal keeps what both need. A damaged snapshot is
survivable (the previous one, or none and a replay of the whole journal); one of a newer gridbot is
not ours to fall back from.
"""

import json
from pathlib import Path
from typing import Any

import msgspec

from gridbot.core.canonical import canonical_json, sha256_of
from gridbot.engine.disk import Disk, EngineFileError
from gridbot.engine.ledger_file import LedgerMark

SNAPSHOT_VERSION = 1
STATE_FILE = "state.json"


class SnapshotError(EngineFileError):
    """A snapshot that cannot be used; the text names the file and what is wrong."""


class SnapshotTooNew(SnapshotError):
    """A snapshot of a newer gridbot."""


class Snapshot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """State after step ``seq`` and the ledger that belongs to it; ``state`` is plain JSON."""

    core: int
    seq: int
    mode: str
    pair: str
    instance: str
    ledger: LedgerMark
    state: dict[str, Any]
    version: int = SNAPSHOT_VERSION


def write_snapshot(disk: Disk, directory: Path, snapshot: Snapshot, name: str = STATE_FILE) -> None:
    """Replace the snapshot, keeping the one before. Sync the ledger first. Raises DiskError."""
    content = msgspec.structs.asdict(snapshot)
    content["checksum"] = sha256_of(snapshot)
    data = canonical_json(content) + b"\n"
    disk.replace_whole(directory / name, [data], previous=_previous(directory / name))


def read_snapshot(directory: Path, core: int, name: str = STATE_FILE) -> Snapshot | None:
    """The snapshot, or None when there is none. ``core``: the newest core version known here.

    Raises SnapshotError when it is damaged, SnapshotTooNew when a newer gridbot wrote it.
    """
    return _read(directory / name, core)


def best_snapshot(
    directory: Path, core: int, name: str = STATE_FILE
) -> tuple[Snapshot | None, list[str]]:
    """The newest usable snapshot, and a line for each one that had to be passed over.

    None means: replay the journal from its beginning. Raises SnapshotTooNew.
    """
    notes: list[str] = []
    for path in (directory / name, _previous(directory / name)):
        try:
            snapshot = _read(path, core)
        except SnapshotTooNew:
            raise
        except SnapshotError as error:
            notes.append(str(error))
            continue
        if snapshot is not None:
            if path.name != name:
                notes.append(f"{path}: used in its place (step {snapshot.seq})")
            return snapshot, notes
    if notes:
        notes.append(f"{directory}: no usable snapshot: replaying the whole journal")
    return None, notes


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def _read(path: Path, core: int) -> Snapshot | None:
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SnapshotError(f"{path}: cannot read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SnapshotError(f"{path}: damaged: not JSON ({error})") from error
    if not isinstance(content, dict):
        raise SnapshotError(f"{path}: damaged: not a JSON object")
    _refuse_newer(path, content, {"version": SNAPSHOT_VERSION, "core": core})
    if not _is_whole(content):
        raise SnapshotError(f"{path}: damaged: its checksum does not match its content")
    try:
        return msgspec.convert(content, Snapshot)
    except msgspec.ValidationError as error:
        raise SnapshotError(f"{path}: damaged: {error}") from error


def _refuse_newer(path: Path, content: dict[str, Any], known: dict[str, int]) -> None:
    for name, ours in known.items():
        theirs = content.get(name)
        if isinstance(theirs, int) and theirs > ours:
            raise SnapshotTooNew(
                f"{path}: written by a newer gridbot ({name} {theirs}, this one knows {ours})"
            )


def _is_whole(content: dict[str, Any]) -> bool:
    checksum = content.pop("checksum", None)
    try:
        return bool(checksum == sha256_of(content))
    except ValueError:  # NaN or infinity, which json reads and nobody here writes
        return False
