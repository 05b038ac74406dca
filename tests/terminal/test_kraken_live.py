"""The main job on Kraken: live engines against the emulator over real HTTP, killed and restarted.

The soak takes its length from GRIDBOT_SOAK_SECONDS (default 900, a simulated week).
"""

import os
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from gridbot.exchange.emulator.faults import TABLE
from tests.terminal.kraken_world import World, doubled, live_orders, unsettled

SOAK_SECONDS = float(os.environ.get("GRIDBOT_SOAK_SECONDS", "900"))
WEEK_SECONDS = 604_800.0
RATES = {"place": 0.08, "cancel": 0.1, "fill": 0.1}  # all others 0.02
LIVELY = ("--speed", "600", "--tier", "pro", "--ledger-digits", "cost")
Worlds = Callable[..., World]


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[Worlds]:
    made: list[World] = []

    def make(*options: str) -> World:
        made.append(World(tmp_path, *options))
        return made[-1]

    yield make
    for world in made:
        world.close()


def filled(world: World, count: int) -> Callable[[], list[str]]:
    """Whether so many executions were booked."""
    path = world.directory / "ledger.jsonl"
    return lambda: (
        [] if path.exists() and path.read_bytes().count(b'_ENTRY"') >= count else ["no fills"]
    )


def started(world: World, times: int) -> list[str]:
    """Whether the engine has said so often that it trades."""
    return [] if world.said("gridbot started") >= times else ["not started"]


def test_a_killed_engine_goes_on_where_it_was(worlds: Worlds) -> None:
    world = worlds(*LIVELY, "--seed", "3")
    world.start("slots.initial_slots=6")
    world.wait_for(filled(world, 2), 40)
    world.kill()
    world.start("slots.initial_slots=6")
    world.wait_for(lambda: unsettled(world), 40)
    assert doubled(world) == []
    status = world.status()
    assert status["mode"] == "live" and all(one["exchange_id"] for one in live_orders(status))
    assert world.stop() == 0
    assert "all sums are equal" in world.run("ledger", "reconcile", *world.words())
    world.run("ledger", "verify", *world.words())
    left = b"".join(file.read_bytes() for file in world.place.rglob("*") if file.is_file())
    assert len(left) > 10_000
    for part in (world.key[:12], world.key[-12:], world.secret[:12], world.secret[-14:-2]):
        assert part.encode() not in left


def test_an_old_copy_of_a_directory_is_refused_until_adopted(worlds: Worlds) -> None:
    world = worlds(*LIVELY, "--seed", "4")
    world.start("slots.initial_slots=4")
    world.wait_for(filled(world, 1), 40)
    assert world.stop() == 0
    stranger = world.directory
    world.directory = world.place / "other"
    world.start("slots.initial_slots=4")
    assert world.engine is not None and world.engine.wait(30) == 2
    assert "restore their data directory" in world.tail()[-1]
    world.directory = stranger
    world.start("slots.initial_slots=4")
    world.wait_for(lambda: unsettled(world), 40)


def test_a_paper_engine_makes_no_private_request(worlds: Worlds) -> None:
    world = worlds("--speed", "3600", "--seed", "6")
    paper = ("run.mode=paper", "sim.quote_balance=1000", "slots.initial_slots=4")
    for life, fills in enumerate((1, 3), 1):  # the second life replays the first
        world.start(*paper, words=())
        world.wait_for(partial(started, world, life), 30)
        world.wait_for(filled(world, fills), 60)
        assert world.stop() == 0
    for command in (["doctor"], ["plan"], ["status"], ["ledger", "verify"]):
        assert world.secret not in world.run(*command, *world.words(*paper))
    log = world.emulated("log")
    assert (log["private"], log["Ticker"] > 5) == (0, True)
    assert "belongs to paper" in world.run("run", "--headless", "--yes", *world.words(), code=2)


@pytest.mark.parametrize(
    ("change", "code", "line"),
    [
        ("KRAKEN_API_KEY=nobody", 1, "EAPI:Invalid key"),
        ("KRAKEN_API_SECRET=" + "A" * 86 + "==", 1, "EAPI:Invalid signature"),
        ("exchange.pair=DOGGY/USD", 2, "Kraken lists no pair 'DOGGY/USD'; did you mean DOGE/USD"),
        ("run.mode=live", None, "started with 2 slots"),
    ],
)
def test_what_cannot_begin_says_so_in_one_line(
    worlds: Worlds, change: str, code: int | None, line: str
) -> None:
    world = worlds("--clock-offset", "3600", "--tier", "starter")  # which is no obstacle
    key, _, value = change.partition("=")
    world.keys |= {key: value} if key.startswith("KRAKEN") else {}
    world.start(*([change] if "." in key else []))
    assert world.engine is not None
    world.wait_for(lambda: [] if world.said(line) else ["not said"], 30, dead=True)
    if code is not None:
        assert world.engine.wait(10) == code
        assert len(world.tail()) == 1
    assert value not in "".join(world.tail()) or key == "exchange.pair" or code is None


@pytest.mark.parametrize(
    ("trouble", "text"),
    [
        ({"mode": "maintenance"}, "EService:Unavailable"),
        ({"faults": {"html": 1.0}}, "was not JSON"),
        ({"faults": {"lockout": 1.0}}, "Temporary lockout"),
    ],
)
def test_an_exchange_that_cannot_be_asked_is_waited_for(
    worlds: Worlds, trouble: dict[str, object], text: str
) -> None:
    world = worlds("--tier", "pro")
    for what, body in trouble.items():
        world.emulated(what, body if isinstance(body, dict) else {what: body})
    world.start()
    world.wait_for(lambda: [] if world.said(text) else ["not said"], 30)
    world.emulated("faults", {})
    world.emulated("mode", {"mode": "online"})
    world.wait_for(lambda: [] if world.said("started with 2") else ["waits"], 40)
    assert 1 <= world.said("trying again") <= 6
    assert world.stop() == 0


@pytest.mark.soak
def test_a_week_of_every_fault_and_many_kills(worlds: Worlds) -> None:
    seed = random.Random(7)
    speed = WEEK_SECONDS / SOAK_SECONDS
    world = worlds("--speed", f"{speed:.1f}", "--tier", "pro", "--seed", "5")
    rates = {name: RATES.get(row["on"], 0.02) for name, row in TABLE.items()}
    world.emulated("faults", rates)
    end, kills = time.monotonic() + SOAK_SECONDS, 0
    while time.monotonic() < end:
        world.start("slots.initial_slots=20", "slots.initial_sticky_ratio=0.8")
        pause = time.monotonic() + seed.uniform(90, 180)
        while time.monotonic() < min(pause, end):
            time.sleep(1)
            if world.engine is not None and world.engine.poll() is not None:
                break  # systemd would start it again
        world.kill()
        kills += 1
    counts = world.emulated("faults")
    world.emulated("faults", {})
    world.start("slots.initial_slots=20", "slots.initial_sticky_ratio=0.8")
    world.wait_for(lambda: unsettled(world), 700)
    print(f"{kills} kills, faults fired: {counts}, {len(world.ledger())} ledger entries")
    assert doubled(world) == []
    assert [name for name, count in counts.items() if not count] == []
    assert world.stop() == 0
    world.run("ledger", "verify", *world.words())
