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
from math import ceil, floor, inf
from pathlib import Path

import msgspec

from gridbot.core.brain import Brain
from gridbot.core.brain_state import load_brain, state_sha256
from gridbot.core.capacity import effective_cap
from gridbot.core.numbers import plain, quantum
from gridbot.core.records import Changes
from gridbot.core.settings import Settings, open_orders_limit
from gridbot.core.state_machine import check_invariants
from gridbot.core.verify import verify_lines
from gridbot.engine.arguments import claim_for
from gridbot.engine.boot import begin
from gridbot.engine.directory import DataDirectory
from gridbot.engine.disk import Disk
from gridbot.engine.engine import Engine
from gridbot.engine.store import Store
from gridbot.engine.venues import VenuePlan, load_venue, make_venue, venue_fees, venue_state
from gridbot.exchange.markets import NO_DOWN, NO_UP, Market
from gridbot.exchange.simulated import SimulatedExchange

STEPS_PER_SNAPSHOT = 50_000
STEPS_PER_PROGRESS = 2_000
RECONCILE_STEPS = 1_000


class Simulation:
    """One run: an engine, its venue, and the walk over the market."""

    def __init__(
        self, engine: Engine, venue: SimulatedExchange, plan: VenuePlan, started_at: float
    ) -> None:
        self.engine = engine
        self.venue = venue
        self.plan = plan
        self.started_at = started_at
        self.ticks_before = venue.market.ticks
        self._unit = quantum(plan.instrument.price_decimals)

    async def run(self, progress: Callable[[float], None] = lambda share: None) -> None:
        """Walk to the market's end, saving now and then; ``progress`` is told the share done."""
        engine, market = self.engine, self.venue.market
        steps = 0
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
        market = self.venue.market
        wake = self.engine.brain.bounds()
        down, up = NO_DOWN, NO_UP
        if wake.down == inf or wake.up == -inf:
            down, up = NO_UP, NO_DOWN
        else:
            if wake.down > -inf:
                down = floor(wake.down * market.scale)
            if wake.up < inf:
                up = ceil(wake.up * market.scale)
        self.venue.advance(down, up, wake.at if until is None else min(wake.at, until))
        unit = self._unit
        previous = (market.previous_at, market.previous_price * unit)
        await self.engine.step(market.at, market.price * unit, previous)


async def open_simulation(
    store: Store, settings: Settings, plan: VenuePlan, market: Market | None
) -> Simulation:
    """Begin a run, or go on from the last snapshot of one that was cut short."""
    snapshot = store.saved.snapshot
    store.forget_after_snapshot()
    if snapshot is None:
        venue = make_venue(plan, market)
        engine = await begin(
            store, settings, plan.instrument, venue_fees(plan), venue, at=venue.now,
            venue_state=lambda: venue_state(plan, venue), reconcile_steps=RECONCILE_STEPS,
        )  # fmt: skip
        engine.save(venue.now)
        return Simulation(engine, venue, plan, venue.now)
    plan, venue = load_venue(snapshot.state["venue"], market)
    brain = load_brain(snapshot.state["brain"])
    engine = Engine(
        brain, venue, store, venue_state=lambda: venue_state(plan, venue),
        reconcile_steps=RECONCILE_STEPS,
    )  # fmt: skip
    engine.load_shell(snapshot.state["shell"])
    store.begin(snapshot.seq, brain.now)
    return Simulation(engine, venue, plan, brain.started_at)


class Profit(msgspec.Struct, frozen=True):
    """Decimal texts, in quote."""

    realised: str
    fees: str
    write_offs: str
    unrealised: str


class Report(msgspec.Struct, frozen=True):
    """What ``simulate --json`` prints; money as decimal text."""

    pair: str
    source: str
    ticks: int
    simulated_seconds: float
    elapsed_seconds: float
    ticks_per_second: float
    slots: dict[str, int]
    orders_placed: int
    orders_cancelled: int
    orders_rejected: int
    executions: int
    round_trips: int
    orphans: int
    reprices: int
    write_offs: int
    profit: Profit
    inventory: dict[str, str]
    balances: dict[str, dict[str, str]]
    open_orders_max: int
    effective_cap: int
    slot_events: int
    invariant_violations: int
    quarantined_slots: int
    idle_without_reason: int
    ledger_entries: int
    ledger_ok: bool
    state_sha256: str


async def report(simulation: Simulation, elapsed_seconds: float) -> Report:
    """The figures of a finished run, its ledger file verified on the way."""
    engine, venue = simulation.engine, simulation.venue
    brain, market = engine.brain, venue.market
    books, counters = brain.books, brain.counters
    price = brain.price or Decimal(0)
    walked = market.ticks - simulation.ticks_before
    with engine.store.ledger_path.open("rb") as lines:
        verified = verify_lines(lines, books.head)
    held = await venue.balances()
    instrument = brain.instrument
    cycle = sum(slot.kind == "cycle" for slot in brain.slots.values())
    return Report(
        pair=instrument.pair,
        source=market.source,
        ticks=market.ticks,
        simulated_seconds=market.at - simulation.started_at,
        elapsed_seconds=round(elapsed_seconds, 3),
        ticks_per_second=round(walked / max(elapsed_seconds, 1e-9), 1),
        slots={"sticky": len(brain.slots) - cycle, "cycle": cycle},
        orders_placed=counters.orders_placed,
        orders_cancelled=counters.orders_cancelled,
        orders_rejected=counters.orders_refused,
        executions=counters.executions,
        round_trips=books.totals.round_trips,
        orphans=counters.orphans,
        reprices=counters.reprices,
        write_offs=counters.write_offs,
        profit=Profit(
            plain(books.totals.realised),
            plain(books.totals.fees),
            plain(books.totals.write_offs),
            plain(books.unrealised_total(price)),
        ),
        inventory={"units": plain(brain.written_off_base), "cost": plain(brain.written_off_cost)},
        balances={
            "ledger": {"quote": plain(books.quote), "base": plain(books.base)},
            "exchange": {
                "quote": plain(held[instrument.quote].total),
                "base": plain(held[instrument.base].total),
            },
        },
        open_orders_max=counters.open_orders_max,
        effective_cap=effective_cap(
            open_orders_limit(brain.settings), brain.settings.capacity.open_order_safety_ratio
        ),
        slot_events=counters.slot_events,
        invariant_violations=len(violations(brain)) + counters.quarantines,
        quarantined_slots=sum(bool(slot.quarantined) for slot in brain.slots.values()),
        idle_without_reason=sum(
            trade not in slot.waiting
            for slot in brain.slots.values()
            for trade in slot.wanted_entries()
        ),
        ledger_entries=books.head.id,
        ledger_ok=verified.ok,
        state_sha256=state_sha256(brain),
    )


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
    settings: Settings,
    plan: VenuePlan,
    market: Market | None,
    path: Path,
    progress: Callable[[float], None] = lambda share: None,
    arguments: dict[str, str] | None = None,
) -> Report:
    """Run a simulation in ``path`` from beginning (or last snapshot) to end.

    ``arguments``: all that decides the run; OtherSimulation if the directory holds another one.
    """
    started = time.perf_counter()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    disk = Disk()
    directory = DataDirectory.open(
        path, "sim", plan.instrument.pair, disk, draw_instance=lambda: "simu", now=time.time()
    )
    try:
        if arguments is not None:
            claim_for(path, arguments, disk)
        names = settings.persistence
        store = Store(
            directory, disk, durable=False,
            state_file=names.state_file, ledger_file=names.ledger_file,
        )  # fmt: skip
    except BaseException:
        directory.close()
        raise

    async def main() -> Report:
        simulation = await open_simulation(store, settings, plan, market)
        await simulation.run(progress)
        return await report(simulation, time.perf_counter() - started)

    try:
        return asyncio.run(main())
    finally:
        store.close()
