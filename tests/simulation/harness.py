"""Whole engines on a simulated market, in process and in memory's reach, for tests."""

import asyncio
from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gridbot.core.brain import Brain
from gridbot.core.brain_state import state_sha256
from gridbot.core.records import Command, Instrument
from gridbot.core.settings import Settings
from gridbot.engine.disk import Disk
from gridbot.engine.engine import Engine
from gridbot.engine.simulate import Simulation, open_simulation
from gridbot.engine.store import Store
from gridbot.engine.venues import VenuePlan, plan_venue
from gridbot.exchange.markets import Market
from gridbot.exchange.simulated import SimulatedExchange

DOGE = Instrument(
    pair="DOGE/USD",
    base="DOGE",
    quote="USD",
    price_decimals=5,
    tick_size=D("0.00001"),
    volume_decimals=8,
    cost_decimals=9,
    min_volume=D("50"),
    min_cost=D("0.5"),
)


def settings_with(**sections: dict[str, Any]) -> Settings:
    """Default settings with fields replaced, by section."""
    settings = Settings()
    for name, fields in sections.items():
        settings = replace(settings, **{name: replace(getattr(settings, name), **fields)})
    return settings


def open_store(path: Path, pair: str, disk: Disk | None = None, durable: bool = False) -> Store:
    """A store in ``path``; ``durable`` as a live engine would have it."""
    disk = disk or Disk()
    return Store(path, Settings(), pair, disk, draw_instance=lambda: "test", durable=durable)


async def opened(
    path: Path,
    settings: Settings,
    candles: int | None = None,
    market: Market | None = None,
    plan: VenuePlan | None = None,
) -> Simulation:
    """A simulation ready to walk."""
    plan = plan or plan_venue(settings, candles=candles)
    return await open_simulation(open_store(path, plan.instrument.pair), settings, plan, market)


Script = Callable[[Engine, SimulatedExchange], None]


def walk(
    path: Path,
    settings: Settings,
    candles: int,
    commands: list[tuple[float, str, dict[str, Any]]] | None = None,
    deliver_all: bool = False,
    check: Callable[[Brain, SimulatedExchange], None] = lambda brain, venue: None,
    market: Market | None = None,
    plan: VenuePlan | None = None,
) -> tuple[str, Brain, SimulatedExchange]:
    """Run to the end; ``commands`` are (seconds after the start, action, args); the action
    ``lose`` is the exchange's: it ends all orders of a ``slot`` at once, for a ``reason``."""

    async def main() -> tuple[str, Brain, SimulatedExchange]:
        simulation = await opened(path, settings, candles, market, plan)
        engine, venue = simulation.engine, simulation.venue
        engine.brain.deliver_all = deliver_all
        todo = sorted(commands or [], key=lambda command: command[0])
        start = venue.now
        while not venue.market.finished:
            limit = start + todo[0][0] if todo else None
            await simulation.next_event(limit)
            if todo and limit is not None and venue.market.at >= limit:
                _, action, args = todo.pop(0)
                if action == "lose":
                    for live in engine.brain.registry.of_slot(args["slot"]):
                        venue._cancel(live.client_id, args["reason"])
                else:
                    command = Command(f"c{len(todo)}", venue.now, "test", action, args)
                    engine.commands.append(command)
                await engine.step(venue.now, engine.price)
            check(engine.brain, venue)
        await simulation.finish()
        engine.store.close()
        return state_sha256(engine.brain), engine.brain, venue

    return asyncio.run(main())
