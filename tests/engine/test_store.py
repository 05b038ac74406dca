"""The store of a data directory: what it opened is closed, however a life ends."""

import asyncio
import os
from pathlib import Path

import pytest

from gridbot.core.records import BootRecord
from gridbot.engine.disk import DiskError
from gridbot.engine.store import Saved, Store
from tests.engine.faulty_disk import NO_SPACE, FaultyDisk
from tests.simulation.harness import open_store


def open_files() -> set[str]:
    return {os.readlink(link) for link in Path("/proc/self/fd").iterdir() if link.exists()}


def begun(path: Path, disk: FaultyDisk | None = None, durable: bool = True) -> Store:
    store = open_store(path, "DOGE/USD", disk, durable)
    store.begin(0, 1.0)
    return store


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc to count open files in")
def test_an_abandoned_store_leaves_nothing_open(tmp_path: Path) -> None:
    before = open_files()
    store = begun(tmp_path)
    assert {Path(name).name for name in open_files() - before} >= {"ledger.jsonl", "lock"}
    store.abandon()
    assert open_files() == before
    store.abandon()
    store.close()


def test_an_abandoned_store_writes_nothing_more_and_frees_the_directory(tmp_path: Path) -> None:
    store = begun(tmp_path, durable=False)
    asyncio.run(store.write(BootRecord({"slots": []})))
    store.abandon()
    assert Saved(tmp_path, "state.json").state is None
    open_store(tmp_path, "DOGE/USD").close()


def test_a_close_that_fails_leaves_the_rest_to_abandon(tmp_path: Path) -> None:
    before = open_files()
    store = begun(tmp_path, FaultyDisk(write_error=(3, NO_SPACE)), durable=False)
    asyncio.run(store.write(BootRecord({"slots": []})))
    with pytest.raises(DiskError, match="No space left"):
        store.close()
    store.abandon()
    assert open_files() == before
    open_store(tmp_path, "DOGE/USD").close()
