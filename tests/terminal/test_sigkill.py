"""A real process killed with SIGKILL twenty times ends like one that nobody disturbed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from decimal import Decimal as D
from pathlib import Path

from gridbot.core.brain_state import load_brain, state_sha256
from gridbot.core.verify import verify_lines
from gridbot.engine.boot import open_simulated
from gridbot.engine.disk import Disk
from gridbot.engine.store import Saved
from tests.simulation.harness import settings_with

KILLS = 20
FIELDS = {
    "slots": {"initial_slots": 6, "initial_sticky_ratio": D("0.5")},
    "sim": {"speed": D(3600), "volatility": D("0.4"), "seed": 3},
    "cycle": {"s1_orphan_after_sec": 300.0},
}
FLAGS = [
    word
    for section, fields in FIELDS.items()
    for key, value in fields.items()
    for word in ("--set", f"{section}.{key}={value}")
]


def start(path: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gridbot", "run", "--headless", "--data-dir", str(path)]
    return subprocess.Popen(
        [*command, *FLAGS], stdout=subprocess.PIPE, env=dict(os.environ, HOME=str(path.parent))
    )


def journal_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("journal-*"))


def let_work(process: subprocess.Popen[bytes], path: Path, more_bytes: int) -> None:
    """Until the journal has grown by so much: a kill must hit an engine that is at work."""
    assert process.stdout is not None
    process.stdout.readline()
    begun = journal_bytes(path)
    end = time.monotonic() + 30
    while journal_bytes(path) < begun + more_bytes and process.poll() is None:
        assert time.monotonic() < end, "the engine does not write its journal"
        time.sleep(0.002)


def test_twenty_kills_change_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data"
    dice = random.Random(7)
    for _ in range(KILLS):
        process = start(path)
        let_work(process, path, dice.randrange(1, 6000))
        process.kill()
        assert process.wait() == -signal.SIGKILL
    process = start(path)
    let_work(process, path, 2000)
    process.terminate()
    process.communicate()
    assert process.returncode == 0

    saved = Saved(path, "state.json")
    assert saved.snapshot is not None
    brain = load_brain(saved.snapshot.state["brain"])
    assert brain.counters.executions > 20
    with (path / "ledger.jsonl").open("rb") as lines:
        verified = verify_lines(lines, brain.books.head)
    assert verified.ok, verified.problems
    end = saved.snapshot.state["venue"]["state"]["now"]
    assert state_sha256(brain) == asyncio.run(undisturbed(tmp_path / "other", end))


async def undisturbed(path: Path, end: float) -> str:
    """Fingerprint of the same market walked to ``end`` in one life."""
    settings = settings_with(**FIELDS)
    engine, venue = await open_simulated(settings, path, Disk())
    unit = D(1).scaleb(-engine.brain.instrument.price_decimals)
    interval = settings.timing.poll_interval_seconds
    while venue.now < end:
        venue.run_until((venue.now // interval + 1) * interval)
        await engine.step(venue.now, venue.price_now * unit)
    engine.store.close()
    return state_sha256(engine.brain)
