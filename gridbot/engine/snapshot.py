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
from gridbot.engine.disk import Disk, EngineFileError, plain_errors, refuse_newer
from gridbot.engine.ledger_file import LedgerMark

SNAPSHOT_VERSION = 1
STATE_FILE = "state.json"
PREVIOUS = ".previous"


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
    content = msgspec.structs.asdict(snapshot) | {"checksum": sha256_of(snapshot)}
    data = canonical_json(content) + b"\n"
    disk.replace_whole(directory / name, [data], directory / (name + PREVIOUS))


def read_snapshot(directory: Path, core: int, name: str = STATE_FILE) -> Snapshot | None:
    """The snapshot, or None when there is none. ``core``: the newest core version known here.
    Raises SnapshotError when it is damaged, SnapshotTooNew when a newer gridbot wrote it.
    """
    path = directory / name
    with plain_errors("read", path, SnapshotError):
        if not path.exists():
            return None
        data = path.read_bytes()
    try:
        content = json.loads(data)
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")
        for version, ours in (("version", SNAPSHOT_VERSION), ("core", core)):
            refuse_newer(path, SnapshotTooNew, version, content.get(version), ours)
        if content.pop("checksum", None) != sha256_of(content):
            raise ValueError("its checksum does not match its content")
        return msgspec.convert(content, Snapshot)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotError(f"{path}: damaged: not JSON ({error})") from error
    except ValueError as error:  # also of sha256_of: NaN or infinity, which nobody here writes
        raise SnapshotError(f"{path}: damaged: {error}") from error


def best_snapshot(
    directory: Path, core: int, name: str = STATE_FILE
) -> tuple[Snapshot | None, list[str]]:
    """The newest usable snapshot, and a line for each one that had to be passed over.
    None means: replay the journal from its beginning. Raises SnapshotTooNew.
    """
    notes: list[str] = []
    for candidate in (name, name + PREVIOUS):
        try:
            snapshot = read_snapshot(directory, core, candidate)
        except SnapshotTooNew:
            raise
        except SnapshotError as error:
            notes.append(str(error))
            continue
        if snapshot is not None:
            if candidate != name:
                notes.append(f"{directory / candidate}: used in its place (step {snapshot.seq})")
            return snapshot, notes
    if notes:
        notes.append(f"{directory}: no usable snapshot: replaying the whole journal")
    return None, notes
