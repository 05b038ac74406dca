"""Statuses for floors: hand-built, generated, and as a real engine publishes them."""

import asyncio
from collections.abc import Sequence
from decimal import Decimal as D
from pathlib import Path
from random import Random
from typing import Any

from msgspec.structs import replace

from gridbot.core.records import Event
from gridbot.core.settings import Settings
from gridbot.engine.boot import open_simulated
from gridbot.engine.disk import Disk
from gridbot.engine.status import (
    EngineStatus,
    PriceStatus,
    SlotStatus,
    Status,
    WaitingStatus,
    build_status,
)  # fmt: skip
from gridbot.tui.factory.contract import Patch, Scene

from ..pictures import NOW, slot, status

KINDS = (
    "entry_placed", "exit_placed", "entry_filled", "exit_filled", "recovery_filled",
    "cycle_closed", "orphaned", "written_off", "slot_added", "slot_removed", "toggled", "converted",
    "halted", "paused", "suggested", "something_new",
)  # fmt: skip
STATES = ("running", "running", "paused", "draining", "halted", "gone")


def scene(picture: Status | None, **more: Any) -> Scene:
    base = Scene(picture, "running" if picture else "waiting", NOW, 1.0, 1, 1, False)
    return base._replace(**more)


def odd_slot(random: Random, number: int) -> SlotStatus:
    """A slot that no fair weather brings about."""
    base = slot(number)
    price = random.choice([D("0.00000001"), D("0.0912"), D(10**9)])
    money = lambda: random.choice([D(0), D("-0.004"), D("12.5"), D(-(10**9)), D(10**15)])  # noqa: E731
    alias = random.choice(
        ["", "heron", "a-very-long-alias-indeed", "\u4e16\u754c\x1b[2J", "e\u0301"]
    )
    orders = random.choice([(), base.orders[:1], base.orders, base.orders * 2])
    funds = WaitingStatus(random.choice("AB"), "funds", alias)
    return replace(
        base, alias=alias, kind=random.choice(["sticky", "cycle"]),
        phase=random.choice(["S0", "S1a", "S1b", "S2"]), paused=random.random() < 0.2,
        quarantined=random.choice(["", "", "ValueError: \u4e16\u754c"]),
        orders=tuple([replace(one, price=price, client_id=f"{number}.{i}",
                              state=random.choice(["open", "pending", "unknown"]))
                      for i, one in enumerate(orders)]),
        recoveries=base.orders * random.randrange(3),
        waiting=random.choice([(), (funds,), (WaitingStatus("A", "capacity"), funds)]),
        realised=money(), write_offs=money(), unrealised=money(),
        deadline_at=random.choice([None, NOW - 100, NOW + 100]),
    )  # fmt: skip


def odd_scene(random: Random) -> Scene:
    """Any scene: 0 to 112 slots, any state, price, selection."""
    count, first = random.choice([0, 1, 5, 12, 84, 112]), random.choice([1, 90])
    made = [odd_slot(random, first + n) for n in range(count)]
    told = {"id": 3, "slots": (1, 2), "kind": "sticky", "state": "pending"}
    asked = {"pressure": 0.7, "band": "elevated", "mode": "suggest", "pending": 1}
    asked["suggestions"] = (told,)
    base = replace(status(0), slots=tuple(made), governor=random.choice([{}, asked]))
    mid = random.choice([None, D("0.091234")])
    base = replace(base, price=replace(base.price, mid=mid, stale=random.random() < 0.2))
    picture = base if random.random() < 0.9 else None
    chosen = random.choice([None, *(one.id for one in made)])
    age, drawer = random.choice([0.0, 0.0, 30.0, 74.0]), random.random() < 0.4
    state = random.choice(STATES) if picture else "waiting"
    return Scene(picture, state, NOW, age, 0, chosen, drawer)


def odd_events(random: Random) -> list[Event]:
    data = {"net": random.choice([D(-1), "3"]), "realised": "-0.2", "side": "sell"}
    return [Event(1, NOW, random.choice(KINDS), "info", random.choice([None, 1, 7, 112]), data=data)
            for _ in range(random.randrange(6))]  # fmt: skip


def happen(*kinds: str, number: int = 1, **data: Any) -> list[Event]:
    return [Event(i + 1, NOW, kind, "info", number, "A", data=data)
            for i, kind in enumerate(kinds)]  # fmt: skip


class Screen:
    """What a terminal shows that is told patches only."""

    def __init__(self, width: int, height: int) -> None:
        self.cells = [[("", -1)] * width for _ in range(height)]

    def apply(self, patches: Sequence[Patch]) -> None:
        seen = set()
        for y, x, style, text in patches:
            assert text
            for i, one in enumerate(text):
                assert (y, x + i) not in seen, "two patches of a frame overlap"
                seen.add((y, x + i))
                self.cells[y][x + i] = one, style


def engine_statuses(path: Path, slots: int, steps: int, **sim: Any) -> list[Status]:
    """Statuses of a simulated engine, one per step, with their events in ``governor['told']``."""
    base = Settings()
    settings = replace(
        base, slots=replace(base.slots, initial_slots=slots, max_slots=max(slots, 84)),
        capacity=replace(base.capacity, open_orders_per_pair_limit=500),
        sim=replace(base.sim, volatility=D("0.4")), **sim,
    )  # fmt: skip

    async def run() -> list[Status]:
        engine, venue = await open_simulated(settings, path, Disk())
        unit = D(1).scaleb(-engine.brain.instrument.price_decimals)
        found = []
        for _ in range(steps):
            venue.run_until(venue.now + 30)
            price = venue.price_now * unit
            await engine.step(venue.now, price)
            state = EngineStatus(engine.brain.run_state, "", 0.0, 1, engine.brain.now, 0.0, 60.0)
            quote = PriceStatus(price, price, price, price, venue.now, False)
            picture = build_status(engine.brain, state, quote)
            told = tuple(engine.events)
            engine.events.clear()
            found.append(replace(picture, governor=picture.governor | {"told": told}))
        engine.store.close()
        return found

    return asyncio.run(run())
