"""``simulate``: the same engine at full speed, one step per market event or wake time.

The venue walks its ticks until a price leaves the brain's bounds, an order of ours fills or a time
comes at which the brain wants to look; everything between never reaches the engine. A run keeps its
data directory like any other engine. Resuming one cut short goes back to its last snapshot and
walks on from there: the same arguments lead to the same end.
"""

import asyncio
import gc
import time
from collections.abc import Callable
from decimal import Decimal
from math import ceil, floor, isinf
from pathlib import Path
from typing import Any

import msgspec

from gridbot.core.brain import Brain
from gridbot.core.brain_state import load_brain, state_sha256
from gridbot.core.numbers import ZERO, plain, quantum
from gridbot.core.records import Changes
from gridbot.core.settings import Settings
from gridbot.core.state_machine import check_invariants
from gridbot.core.verify import verify_lines
from gridbot.engine.boot import begin
from gridbot.engine.directory import claim_for
from gridbot.engine.disk import Disk
from gridbot.engine.engine import Engine
from gridbot.engine.status import auto_slots_status, governor_status
from gridbot.engine.store import Store
from gridbot.engine.venues import Venue, VenuePlan, load_venue, venue_fees
from gridbot.exchange.markets import NO_DOWN, NO_UP, Market

STEPS_PER_SNAPSHOT = 50_000
STEPS_PER_PROGRESS = 2_000
RECONCILE_STEPS = 1_000

Report = dict[str, Any]


class Simulation:
    """One run: an engine, its venue, and the walk over the market."""

    def __init__(self, engine: Engine, venue: Venue) -> None:
        self.engine = engine
        self.venue = venue
        self.started_at = engine.brain.started_at
        self.ticks_before = venue.market.ticks
        self._unit = quantum(venue.plan.instrument.price_decimals)

    async def run(self, progress: Callable[[float], None] = lambda share: None) -> None:
        """Walk to the market's end, saving now and then; ``progress`` is told the share done."""
        engine, market, steps = self.engine, self.venue.market, 0
        while not market.finished:
            await self.next_event()
            steps += 1
            if steps % STEPS_PER_PROGRESS == 0:
                total = market.end_at - self.started_at
                progress((market.at - self.started_at) / total if total > 0 else 0.0)
                await asyncio.sleep(0)  # the moment at which Ctrl-C is noticed
            if engine.steps_since_snapshot >= STEPS_PER_SNAPSHOT:
                engine.save(market.at)
        await self.finish()
        engine.save(market.at)

    async def finish(self) -> None:
        """One last tick to every slot, so that the end does not depend on who slept."""
        market = self.venue.market
        self.engine.changes = Changes()
        await self.engine.step(market.at, market.price * self._unit)

    async def next_event(self, until: float | None = None) -> None:
        """Walk to the next tick that matters, or the first at or after ``until``, and step."""
        market, unit, wake = self.venue.market, self._unit, self.engine.brain.bounds()
        down, up = _units(wake.down, market.scale, floor), _units(wake.up, market.scale, ceil)
        self.venue.advance(down, up, wake.at if until is None else min(wake.at, until))
        previous = (market.previous_at, market.previous_price * unit)
        await self.engine.step(market.at, market.price * unit, previous)


def _units(bound: float, scale: int, rounded: Callable[[float], int]) -> int:
    if isinf(bound):
        return NO_UP if bound > 0 else NO_DOWN
    return rounded(bound * scale)


async def open_simulation(
    store: Store, settings: Settings, plan: VenuePlan, market: Market | None
) -> Simulation:
    """Begin a run, or go on from the last snapshot of one that was cut short."""
    snapshot = store.saved.snapshot
    store.forget_after_snapshot()
    if snapshot is None:
        venue = Venue(plan, market)
        engine = await begin(
            store, settings, plan.instrument, venue_fees(plan), venue,
            at=venue.now, venue=venue, reconcile_steps=RECONCILE_STEPS,
        )  # fmt: skip
        engine.save(venue.now)
        return Simulation(engine, venue)
    venue, brain = load_venue(snapshot.state["venue"], market), load_brain(snapshot.state["brain"])
    engine = Engine(brain, venue, store, venue=venue, reconcile_steps=RECONCILE_STEPS)
    engine.load_shell(snapshot.state["shell"])
    store.begin(snapshot.seq, brain.now)
    return Simulation(engine, venue)


def report(simulation: Simulation, elapsed_seconds: float) -> Report:
    """What ``simulate --json`` prints of a finished run, its ledger file verified on the way.
    Money is decimal text, the profit in quote.
    """
    venue, market = simulation.venue, simulation.venue.market
    brain, books = simulation.engine.brain, simulation.engine.brain.books
    count, slots, totals = brain.counters, brain.slots.values(), books.totals
    unrealised = books.unrealised_total(brain.price or ZERO)
    walked = market.ticks - simulation.ticks_before
    idle = [one for slot in slots for one in slot.wanted_entries() if one not in slot.waiting]
    with simulation.engine.store.ledger_path.open("rb") as lines:
        verified = verify_lines(lines, books.head)
    return {
        "pair": brain.instrument.pair,
        "source": market.source,
        "ticks": market.ticks,
        "simulated_seconds": market.at - simulation.started_at,
        "elapsed_seconds": round(elapsed_seconds, 3),
        "ticks_per_second": round(walked / max(elapsed_seconds, 1e-9), 1),
        "slots": {"sticky": len(slots) - brain.cycle_slots, "cycle": brain.cycle_slots},
        "orders_placed": count.orders_placed,
        "orders_cancelled": count.orders_cancelled,
        "orders_rejected": count.orders_refused,
        "executions": count.executions,
        "round_trips": totals.round_trips,
        "orphans": count.orphans,
        "reprices": count.reprices,
        "write_offs": count.write_offs,
        "profit": _texts(
            realised=totals.realised, fees=totals.fees, write_offs=totals.write_offs,
            unrealised=unrealised,
        ),
        "governor": governor_status(brain),
        "auto_slots": auto_slots_status(brain)["added"],
        "inventory": _texts(units=brain.written_off_base, cost=brain.written_off_cost),
        "balances": {
            "ledger": _texts(quote=books.quote, base=books.base),
            "exchange": _texts(quote=venue.quote_total, base=venue.base_total),
        },
        "open_orders_max": count.open_orders_max,
        "effective_cap": brain.work_bank.cap,
        "invariant_violations": len(violations(brain)) + count.quarantines,
        "quarantined_slots": sum(bool(slot.quarantined) for slot in slots),
        "idle_without_reason": len(idle),
        "ledger_entries": books.head.id,
        "ledger_ok": verified.ok,
        "state_sha256": state_sha256(brain),
    }  # fmt: skip


def _texts(**amounts: Decimal) -> dict[str, str]:
    return {name: plain(amount) for name, amount in amounts.items()}


def violations(brain: Brain) -> list[str]:
    """The reducer's own invariants (state-machine 12), with one-sided flags derived from what the
    slot waits for; a slot that waits for both its entries has nothing to check."""
    found: list[str] = []
    for slot in brain.slots.values():
        missing = slot.wanted_entries()
        if len(missing) < 2:
            state = msgspec.structs.replace(
                slot.state, long_only=missing == ["A"], short_only=missing == ["B"]
            )
            found += [f"slot {slot.id}: {text}" for text in check_invariants(state)]
    return found


def simulate(
    settings: Settings, plan: VenuePlan, market: Market | None, path: Path,
    progress: Callable[[float], None] = lambda share: None,
    arguments: dict[str, str] | None = None,
) -> Report:  # fmt: skip
    """Run a simulation in ``path`` from beginning (or last snapshot) to end.
    ``arguments``: all that decides the run; OtherSimulation if the directory holds another one.
    """
    started = time.perf_counter()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    disk, pair = Disk(), plan.instrument.pair
    store = Store(path, settings, pair, disk, draw_instance=lambda: "simu", durable=False)

    async def main() -> Report:
        simulation = await open_simulation(store, settings, plan, market)
        await simulation.run(progress)
        return report(simulation, time.perf_counter() - started)

    try:
        if arguments is not None:
            claim_for(path, arguments, disk)
        return asyncio.run(main())
    finally:
        store.abandon()  # all was saved, or the next start walks on from the last snapshot
