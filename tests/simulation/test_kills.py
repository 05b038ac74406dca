"""The engine killed at every single write, while the exchange lives on: nothing lost or doubled.

The venue outlives the engine as Kraken would: its own books are the truth that is compared. The
scenario has entry and exit fills, part fills, refreshes, orphans, write-offs and a command.
"""

import asyncio
import contextlib
from decimal import Decimal as D
from pathlib import Path

import pytest

from gridbot.core.brain import Brain
from gridbot.core.records import Command
from gridbot.core.verify import verify_lines
from gridbot.engine.boot import begin, resume, resume_brain
from gridbot.engine.disk import Disk
from gridbot.engine.engine import Engine
from gridbot.engine.venues import Venue, VenuePlan, plan_venue, venue_fees
from gridbot.exchange.simulated import SimulatedExchange
from tests.engine.faulty_disk import FaultyDisk, Killed
from tests.simulation.harness import open_store, settings_with

SETTINGS = settings_with(
    slots={"initial_slots": 3, "initial_sticky_ratio": D("0.34")},
    grid={"profit_pct": D("1.2"), "refresh_pct": D("0.5")},
    cycle={"s1_orphan_after_sec": 200.0, "s2_orphan_after_sec": 240.0},
    sim={"volatility": D("0.45"), "seed": 11},
)
POLLS = 60
SETTLE_POLLS = 12  # an unknown order is looked for twice, the second time after 75 seconds
STEPS_PER_SNAPSHOT = 9
POLL_SECONDS = 30.0


class World:
    """One exchange account and market, and engines that come and go beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plan: VenuePlan = plan_venue(SETTINGS)
        self.venue: SimulatedExchange = Venue(self.plan)
        self.start = self.venue.now

    async def live(self, disk: Disk, polls: int) -> Brain:
        """One life of the engine, up to poll number ``polls``; may end in Killed."""
        engine = await self._open(disk)
        try:
            while (number := round((self.venue.now - self.start) / POLL_SECONDS)) < polls:
                self.venue.run_until(self.start + (number + 1) * POLL_SECONDS)
                if number == 20:
                    args = {"kind": "cycle"}
                    engine.commands.append(Command("add-1", self.venue.now, "test", "add", args))
                await engine.step(self.venue.now, self._price(engine))
                if engine.steps_since_snapshot >= STEPS_PER_SNAPSHOT:
                    engine.save(self.venue.now)
            engine.save(self.venue.now)
        finally:
            with contextlib.suppress(Killed):
                engine.store.close()
            engine.store.directory.close()
        return engine.brain

    async def _open(self, disk: Disk) -> Engine:
        store = open_store(self.path, self.plan.instrument.pair, disk, durable=True)
        now = self.venue.now
        try:
            brain = resume_brain(store)
            if brain is None:
                fees, instrument = venue_fees(self.plan), self.plan.instrument
                return await begin(store, SETTINGS, instrument, fees, self.venue, at=now)
            return await resume(store, brain, SETTINGS, self.venue, at=now)
        except BaseException:
            store.directory.close()
            raise

    def _price(self, engine: Engine) -> D:
        return D(self.venue.price_now).scaleb(-engine.brain.instrument.price_decimals)

    def check_truth(self, brain: Brain) -> None:
        """The venue's books and ours agree, order by order and to the last digit."""
        venue, books = self.venue, brain.books
        assert (books.quote, books.base) == (venue.quote_total, venue.base_total)
        assert books.identity_gap(brain.price or D(0)) == 0
        assert not brain.registry.unknown
        resting = asyncio.run(venue.open_orders()).reports
        ours = brain.registry.by_client
        assert {report.client_id for report in resting} == {
            live.client_id for live in ours.values() if live.standing != "wanted"
        }
        places = [(live.slot_id, live.trade_id, live.role, live.cycle) for live in ours.values()]
        assert len(set(places)) == len(places), "an order was doubled"
        for report in resting:
            live = ours[report.client_id]
            assert (report.price, report.volume) == (live.price, live.volume)
        assert not [slot.id for slot in brain.slots.values() if slot.quarantined]
        with (self.path / "ledger.jsonl").open("rb") as lines:
            verified = verify_lines(lines, books.head)
        assert verified.ok, verified.problems


def run_life(world: World, disk: Disk, polls: int) -> Brain:
    return asyncio.run(world.live(disk, polls))


@pytest.fixture(scope="module")
def writes_in_all(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many writes the scenario has when nobody kills it; checks that it has what it should."""
    from gridbot.core.numbers import use_exact_arithmetic

    use_exact_arithmetic()
    world = World(tmp_path_factory.mktemp("whole"))
    disk = FaultyDisk()
    brain = run_life(world, disk, POLLS + SETTLE_POLLS)
    world.check_truth(brain)
    counters = brain.counters
    assert counters.executions > 15
    assert counters.orphans > 3
    assert counters.write_offs > 3
    assert counters.orders_amended > 3
    assert brain.books.totals.round_trips > 0
    assert len(brain.slots) == 4
    return disk.writes


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
@pytest.mark.parametrize("part", range(8))
def test_a_kill_at_any_write_loses_and_doubles_nothing(
    tmp_path: Path, writes_in_all: int, part: int, torn: bool
) -> None:
    for number in range(1 + part, writes_in_all + 1, 8):
        world = World(tmp_path / str(number))
        disk = FaultyDisk(kill_at_write=number, torn=torn)
        with pytest.raises(Killed):
            run_life(world, disk, POLLS + SETTLE_POLLS)
        polls = round((world.venue.now - world.start) / POLL_SECONDS)
        brain = run_life(world, Disk(), max(POLLS, polls) + SETTLE_POLLS)
        world.check_truth(brain)


def test_two_restarts_in_a_row_change_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    run_life(world, Disk(), POLLS)
    before = (asyncio.run(world.venue.open_orders()), world.venue.quote_total)
    for _ in range(2):
        brain = run_life(world, Disk(), POLLS)
    assert (asyncio.run(world.venue.open_orders()), world.venue.quote_total) == before
    world.check_truth(brain)


def test_fills_missed_while_down_are_booked_when_back(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = run_life(world, Disk(), 10)
    executions = first.counters.executions
    world.venue.run_until(world.start + 50 * POLL_SECONDS)
    brain = run_life(world, Disk(), 50 + SETTLE_POLLS)
    assert brain.counters.executions > executions
    world.check_truth(brain)
