"""The show has something to show."""

import asyncio
from decimal import Decimal as D
from pathlib import Path

from gridbot.core.settings import Settings, TuiSettings
from gridbot.engine.actions import table
from gridbot.engine.boot import open_simulated
from gridbot.engine.disk import Disk
from gridbot.engine.status import EngineStatus, PriceStatus, build_status
from gridbot.tui.demo import SCRIPT, SLOTS, demo_settings
from gridbot.tui.symptoms import symptoms

EVENTS = {"entry_filled", "exit_filled", "cycle_closed", "orphaned", "written_off", "suggested"}
SYMPTOMS = {"LANE_STARVATION", "BELT_JAM"}


def test_a_visitor_sees_every_state_within_a_minute(tmp_path: Path) -> None:
    settings = demo_settings()
    kinds, seen = set(), set()

    async def run() -> None:
        engine, venue = await open_simulated(settings, tmp_path / "data", Disk())
        unit = D(1).scaleb(-engine.brain.instrument.price_decimals)
        poll = settings.timing.poll_interval_seconds
        for _ in range(int(60 * float(settings.sim.speed) / poll)):
            venue.run_until(venue.now + poll)
            price = venue.price_now * unit
            await engine.step(venue.now, price)
            kinds.update(event.kind for event in engine.events)
            engine.events.clear()
            state = EngineStatus("running", "", 0.0, 1, engine.brain.now, 0.0)
            quote = PriceStatus(price, price, price, price, venue.now, False)
            picture = build_status(engine.brain, state, quote)
            seen.update((slot.kind, slot.phase) for slot in picture.slots)
            seen.update(one.name for one in symptoms(picture, "running", 0.0))
            seen.update(wait.reason for slot in picture.slots for wait in slot.waiting)
            seen.update("recovery" for slot in picture.slots if slot.recoveries)
        engine.store.close()

    asyncio.run(run())
    assert kinds >= EVENTS and seen >= SYMPTOMS | {"recovery", "cooldown"}
    assert seen >= {(kind, phase) for kind in ("sticky", "cycle")
                    for phase in ("S0", "S1a", "S1b", "S2")}  # fmt: skip


def test_the_hand_asks_only_for_what_exists_and_comes_round() -> None:
    actions = {row.engine for row in table()}
    assert {action for _, action, _ in SCRIPT} <= actions
    times = [at for at, _, _ in SCRIPT]
    assert times == sorted(times)
    count = sum({"add": 1, "remove": -1}.get(action, 0) for _, action, _ in SCRIPT)
    assert SLOTS + 20 * count <= demo_settings().slots.max_slots


def test_only_the_looks_are_the_visitors_own() -> None:
    chosen = Settings(tui=TuiSettings(theme="mono", fps=30))
    settings = demo_settings(chosen)
    assert settings.tui == chosen.tui and settings.run.mode == "sim"
    assert settings.persistence.data_dir is None
