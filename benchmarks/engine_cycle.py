"""One cycle of a durable engine at 112 slots: nothing to do, and 112 fills at once; memory.

Run: python -m benchmarks.engine_cycle. CPU time of step and status together; a calibration loop
stands beside it.
"""

import asyncio
import gc
import resource
import tempfile
import time
from decimal import Decimal as D
from pathlib import Path

import msgspec

from benchmarks.simulate import calibration_ms
from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.settings import Settings
from gridbot.engine.boot import open_simulated
from gridbot.engine.disk import Disk
from gridbot.engine.engine import Engine
from gridbot.engine.status import EngineStatus, PriceStatus, build_status

SLOTS = 112
REPEATS = 200


def settings_of(slots: int) -> Settings:
    """All entries of a side at one price, so that one move fills them together."""
    base = Settings()
    replace = msgspec.structs.replace
    return replace(
        base,
        slots=replace(
            base.slots, initial_slots=slots, max_slots=slots, rung_pct=D(0),
            initial_sticky_ratio=D(1),
        ),
        capacity=replace(base.capacity, open_order_safety_ratio=D(1)),
        grid=replace(base.grid, refresh_pct=D(5)),
        sim=replace(base.sim, volatility=D("0.0001")),
    )  # fmt: skip


def publish(engine: Engine, price: D) -> int:
    """Build a status as the runner does; returns its number of slots."""
    brain = engine.brain
    status = build_status(
        brain,
        EngineStatus(brain.run_state, "", 0.0, 1, brain.now, 0.0),
        PriceStatus(price, price, price, price, brain.now, False),
    )
    return len(status.slots)


async def main(path: Path) -> None:
    print(f"calibration loop {calibration_ms():.0f} ms")
    engine, venue = await open_simulated(settings_of(SLOTS), path, Disk())
    unit = D(1).scaleb(-engine.brain.instrument.price_decimals)
    gc.collect()
    started = time.process_time()
    for index in range(REPEATS):
        venue.run_until(venue.now + 30 * (index + 1))
        price = venue.price_now * unit
        await engine.step(venue.now, price)
        assert publish(engine, price) == SLOTS
    idle_ms = (time.process_time() - started) * 1000 / REPEATS
    print(f"nothing to do, {SLOTS} slots: {idle_ms:.2f} ms of CPU a cycle, status included")

    lowest = min(live.price for live in engine.brain.registry.by_client.values())
    venue.market.price = int(lowest / unit) - 1
    venue._match()
    started = time.process_time()
    await engine.step(venue.now, lowest - unit)
    publish(engine, lowest)
    fills_ms = (time.process_time() - started) * 1000
    fills = engine.brain.counters.executions
    print(f"{fills} fills at once: {fills_ms:.1f} ms of CPU, journal and ledger synced")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory {peak:.0f} MB; calibration loop {calibration_ms():.0f} ms")
    engine.store.close()


if __name__ == "__main__":
    use_exact_arithmetic()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(main(Path(directory)))
