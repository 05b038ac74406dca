"""Whole live engines against an exchange where everything goes wrong, killed at any write.

The oracle is the emulator's own truth, which the engine never sees.
"""

import asyncio
import random
from pathlib import Path

import pytest

from gridbot.core.records import Command
from gridbot.core.verify import verify_lines
from gridbot.exchange.emulator.config import Options
from gridbot.exchange.emulator.faults import TABLE
from gridbot.exchange.protocol import ExchangeError
from tests.engine.faulty_disk import FaultyDisk, Killed
from tests.simulation.kraken_life import PREFIX, Life

RATES = {"place": 0.08, "cancel": 0.1, "fill": 0.1}  # all others 0.02
KILL_WRITES = 150  # at most, from one kill to the next
STEPS_PER_SNAPSHOT = 100
CALM_POLLS = 60
LOOK_POLLS = 40
WEEK_POLLS = 20_160


async def opened(life: Life, disk: FaultyDisk) -> None:
    """Open as the runner does: again and again while the exchange cannot be asked."""
    while True:
        try:
            await life.begin(disk)
            return
        except ExchangeError:
            life.now += 10.0


async def storm(life: Life, polls: int, seed: random.Random) -> int:
    """That many polls among all faults, with kills; how many kills there were."""
    kills = number = 0
    while number < polls:
        disk = FaultyDisk(kill_at_write=seed.randrange(3, KILL_WRITES), torn=seed.random() < 0.5)
        try:
            await opened(life, disk)
            if life.engine.brain.run_state == "halted":  # the operator has looked at the key
                life.engine.commands.append(Command(f"r{kills}", life.now, "test", "resume"))
            while number < polls:
                number += 1
                await life.poll()
                if number % LOOK_POLLS == 0:  # the operator sets free what others cancelled
                    life.engine.commands.append(Command(f"l{number}", life.now, "test", "resume"))
                if life.engine.steps_since_snapshot > STEPS_PER_SNAPSHOT:
                    life.engine.save(life.now)
                if life.engine.brain.run_state == "halted":
                    reason = life.engine.brain.state_reason
                    assert reason.startswith("credentials refused"), reason
                    raise Killed
        except Killed:
            life.kill()
            kills += 1
    life.kill()
    return kills


def wrong(life: Life) -> list[str]:
    """What does not agree between the engine and the exchange's truth."""
    brain, account = life.engine.brain, life.emulator.account
    books, ours = brain.books, brain.registry.by_client
    placed = [one for one in account.open_now() if not one.owner]
    theirs = {one.wish.cl_ord_id: one for one in placed if one.wish.cl_ord_id.startswith(PREFIX)}
    resting = {name: one for name, one in ours.items() if one.standing != "wanted"}
    found = [f"{name}: only at the exchange" for name in theirs.keys() - resting.keys()]
    found += [f"{name}: {resting[name]}" for name in resting.keys() - theirs.keys()]
    found += [f"{name}: {one.standing}" for name, one in ours.items() if one.standing == "unknown"]
    names = [one for one in account.accepted if not one.startswith(f"{PREFIX}0")]  # not by hand
    found += [f"{one} was taken twice" for one in names if account.accepted[one] > 1]
    if (books.quote, books.base) != (life.holds("ZUSD"), life.holds("XXBT")):
        quote, base = books.quote - life.holds("ZUSD"), books.base - life.holds("XXBT")
        found.append(f"books are off by {quote} quote, {base} base")
    for slot in brain.slots.values():
        idle = [one for one in slot.wanted_entries() if one not in slot.waiting]
        found += [f"slot {slot.id}.{one} is idle" for one in idle]
        found += [f"slot {slot.id}: {slot.quarantined}"] if slot.quarantined else []
    places = [(one.slot_id, one.trade_id, one.role, one.cycle) for one in ours.values()]
    return found + ["an order is doubled"] * (len(set(places)) != len(places))


def survive(path: Path, polls: int, number: int) -> dict[str, int]:
    """A storm, then calm: all must agree in the end. Returns how often each fault fired."""
    seed = random.Random(number)
    rates = {name: RATES.get(row["on"], 0.02) for name, row in TABLE.items()}
    quick = Options(delay_seconds=0.001)
    life = Life(path, 20, "0.8", seed=number, faults=rates, options=quick, speed=1.0)

    async def run() -> int:
        kills = await storm(life, polls, seed)
        life.emulator.faults.change({})
        await opened(life, FaultyDisk())
        life.engine.commands.append(Command("calm", life.now, "test", "resume"))
        for _ in range(CALM_POLLS):
            await life.poll()
        life.emulator.account.stand_at(life.emulator.account.market.price)
        for _ in range(30):
            await life.poll()
        return kills

    assert asyncio.run(run()) > polls / KILL_WRITES / 5
    assert wrong(life) == []
    life.engine.store.close()
    with (path / "ledger.jsonl").open("rb") as lines:
        assert verify_lines(lines, life.engine.brain.books.head).ok
    return life.emulator.faults.fired


@pytest.mark.parametrize("number", [1, 2])
def test_hours_of_every_fault_and_kills_at_any_write(tmp_path: Path, number: int) -> None:
    counts = survive(tmp_path / "data", 500, number)
    assert sum(count > 0 for count in counts.values()) > 30


@pytest.mark.soak
def test_a_week_of_every_fault_and_kills_at_any_write(tmp_path: Path) -> None:
    counts = survive(tmp_path / "data", WEEK_POLLS, 3)
    assert [name for name, count in counts.items() if not count] == []
