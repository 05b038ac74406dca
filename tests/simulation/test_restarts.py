"""A simulated engine killed and restarted ends exactly where an undisturbed one ends.

Here the simulated venue dies with the engine and is replayed beside it, as ``run`` and ``tui`` do
on the simulated market: the fingerprint of the final state must be the same, not only the money.
"""

import asyncio
from decimal import Decimal as D
from pathlib import Path

import pytest

from gridbot.core.brain import CORE_VERSION, Brain
from gridbot.core.brain_state import load_brain, state_sha256
from gridbot.core.records import BootRecord, Command, StepInput
from gridbot.engine.boot import open_simulated
from gridbot.engine.disk import Disk
from gridbot.engine.journal import read_records
from gridbot.engine.store import Saved
from tests.engine.faulty_disk import FaultyDisk, Killed
from tests.simulation.harness import settings_with

SETTINGS = settings_with(
    slots={"initial_slots": 4, "initial_sticky_ratio": D("0.5")},
    grid={"profit_pct": D("1.2"), "refresh_pct": D("0.5")},
    cycle={"s1_orphan_after_sec": 200.0, "s2_orphan_after_sec": 240.0},
    sim={"volatility": D("0.45"), "seed": 5},
)
POLLS = 60
POLL_SECONDS = 30.0
COMMANDS = {15: ("add", {"kind": "cycle"}), 30: ("pause", {}), 36: ("resume", {})}


async def live(path: Path, disk: Disk, snapshot_steps: int = 9) -> Brain:
    """One life up to the last poll."""
    engine, venue = await open_simulated(SETTINGS, path, disk)
    start = engine.brain.started_at
    unit = D(1).scaleb(-engine.brain.instrument.price_decimals)
    try:
        while (number := round((venue.now - start) / POLL_SECONDS)) < POLLS:
            venue.run_until(start + (number + 1) * POLL_SECONDS)
            if number in COMMANDS:
                action, args = COMMANDS[number]
                engine.commands.append(Command(f"c{number}", venue.now, "test", action, args))
            await engine.step(venue.now, venue.price_now * unit)
            if engine.steps_since_snapshot >= snapshot_steps:
                engine.save(venue.now)
        return engine.brain
    finally:
        engine.store.directory.close()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, int]:
    """Fingerprint and number of writes of a run that nobody killed."""
    from gridbot.core.numbers import use_exact_arithmetic

    use_exact_arithmetic()
    disk = FaultyDisk()
    brain = asyncio.run(live(tmp_path_factory.mktemp("whole"), disk))
    assert brain.counters.executions > 15
    assert brain.counters.write_offs > 3
    return state_sha256(brain), disk.writes


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
def test_a_killed_simulation_ends_like_an_undisturbed_one(
    tmp_path: Path, undisturbed: tuple[str, int], torn: bool
) -> None:
    fingerprint, writes = undisturbed
    for number in range(3 if torn else 1, writes + 1, 4):
        path = tmp_path / str(number)
        with pytest.raises(Killed):
            asyncio.run(live(path, FaultyDisk(kill_at_write=number, torn=torn)))
        assert state_sha256(asyncio.run(live(path, Disk()))) == fingerprint, f"write {number}"


def test_killed_again_and_again_it_still_ends_the_same(
    tmp_path: Path, undisturbed: tuple[str, int]
) -> None:
    for _ in range(200):
        try:
            brain = asyncio.run(live(tmp_path, FaultyDisk(kill_at_write=23)))
        except Killed:
            continue
        break
    assert state_sha256(brain) == undisturbed[0]


def test_the_journal_alone_leads_to_the_same_state(
    tmp_path: Path, undisturbed: tuple[str, int]
) -> None:
    asyncio.run(live(tmp_path, Disk(), snapshot_steps=10_000))
    brain: Brain | None = None
    for record in read_records(tmp_path, CORE_VERSION):
        if isinstance(record, BootRecord):
            brain = load_brain(record.state["brain"])
        elif isinstance(record, StepInput):
            assert brain is not None
            brain.step(record)
    assert brain is not None
    assert state_sha256(brain) == undisturbed[0]


def test_a_corrupt_snapshot_falls_back_to_the_journal(
    tmp_path: Path, undisturbed: tuple[str, int]
) -> None:
    with pytest.raises(Killed):
        asyncio.run(live(tmp_path, FaultyDisk(kill_at_write=undisturbed[1] - 3)))
    (tmp_path / "state.json").write_text("{ not json")
    assert Saved(tmp_path, "state.json").notes
    assert state_sha256(asyncio.run(live(tmp_path, Disk()))) == undisturbed[0]
    (tmp_path / "state.json").unlink()
    (tmp_path / "state.json.previous").unlink()
    assert state_sha256(asyncio.run(live(tmp_path, Disk()))) == undisturbed[0]
