"""Opening a data directory: a fresh brain, or the saved one brought up to its last record.

Replay feeds the journal's records to the brain again and checks every digest on the way. A
simulated venue of our own replays beside it: it walks the same ticks and receives whatever a
``sending`` record says was sent. Ledger lines above the file's last are appended. What the last
step wanted to send without a ``sending`` record was never sent, so it is sent now; what has one but
no outcome is UNKNOWN and looked up (a replayed venue simply answers again).
"""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from gridbot.core.brain import Brain, StepOutputs
from gridbot.core.brain_state import load_brain
from gridbot.core.orders import DIGITS
from gridbot.core.records import (
    BootRecord,
    Changes,
    Command,
    Fees,
    Instrument,
    Outcome,
    SendingRecord,
    StepInput,
)
from gridbot.core.settings import Settings
from gridbot.engine.directory import DataDirectory
from gridbot.engine.disk import Disk, EngineFileError
from gridbot.engine.engine import SEND_DEADLINE_SECONDS, Engine
from gridbot.engine.store import Store
from gridbot.engine.venues import (
    VenuePlan,
    load_venue,
    make_venue,
    plan_venue,
    venue_fees,
    venue_state,
)
from gridbot.exchange.protocol import Exchange
from gridbot.exchange.simulated import SimulatedExchange


class OpenEngine(NamedTuple):
    """An engine ready to step, and the simulated venue whose clock drives it."""

    engine: Engine
    venue: SimulatedExchange


class ReplayError(EngineFileError):
    """The journal does not lead to the outputs it vouches for."""


class ModeNotBuilt(EngineFileError):
    """A mode this version cannot run yet."""


async def open_simulated(settings: Settings, path: Path, disk: Disk) -> OpenEngine:
    """Open (or begin) the engine of a data directory on its own simulated market.

    Raises EngineFileError for whatever is wrong with the directory, UnknownPair for the pair.
    """
    if settings.run.mode != "sim":
        raise ModeNotBuilt(
            f'run.mode "{settings.run.mode}" needs the Kraken adapter, which this version does '
            f'not have yet: use run.mode = "sim"'
        )
    plan = plan_venue(settings)
    directory = DataDirectory.open(
        path, "sim", plan.instrument.pair, disk, draw_instance=draw_instance, now=time.time()
    )
    store: Store | None = None
    try:
        names = settings.persistence
        store = Store(
            directory, disk, durable=True,
            state_file=names.state_file, ledger_file=names.ledger_file,
        )  # fmt: skip
        return await _open_store(store, settings, plan)
    except BaseException:
        if store is None:
            directory.close()
        else:
            store.abandon()
        raise


async def _open_store(store: Store, settings: Settings, plan: VenuePlan) -> OpenEngine:
    brain = resume_brain(store)
    if brain is None:
        venue = make_venue(plan)
        engine = await begin(
            store, settings, plan.instrument, venue_fees(plan), venue, at=venue.now,
            venue_state=lambda: venue_state(plan, venue),
        )  # fmt: skip
        return OpenEngine(engine, venue)
    assert store.saved.state is not None
    plan, venue = load_venue(store.saved.state["venue"])
    engine = await resume(
        store, brain, settings, venue, venue=venue, venue_state=lambda: venue_state(plan, venue)
    )
    return OpenEngine(engine, venue)


def draw_instance() -> str:
    """Four characters that mark all client ids of a new data directory."""
    return "".join(secrets.choice(DIGITS) for _ in range(4))


async def begin(
    store: Store,
    settings: Settings,
    instrument: Instrument,
    fees: Fees,
    exchange: Exchange,
    *,
    at: float,
    venue_state: Callable[[], dict[str, Any]] | None = None,
    reconcile_steps: int = 1,
) -> Engine:
    """First life of a directory: boot record, books opened, first slots added."""
    brain = Brain(settings, instrument, fees, store.identity.instance)
    engine = Engine(
        brain, exchange, store, venue_state=venue_state, reconcile_steps=reconcile_steps
    )
    store.begin(0, at)
    await store.write(BootRecord(engine.state()))
    balances = await exchange.balances()
    opening = {
        "quote": str(balances[instrument.quote].total),
        "base": str(balances[instrument.base].total),
    }
    engine.commands.append(Command("boot", at, "engine", "boot", opening))
    quote = await exchange.quote()
    await engine.step(at, (quote.bid + quote.ask) / 2)
    return engine


def resume_brain(store: Store) -> Brain | None:
    """The brain of the last snapshot or boot record; None in a directory that never traded."""
    saved = store.saved
    state = saved.state
    steps = (record for record in saved.records() if isinstance(record, StepInput))
    if state is None or (saved.snapshot is None and next(steps, None) is None):
        return None
    return load_brain(state["brain"])


class Replayer:
    """Feeds saved records to an engine; ``venue`` replays beside it if it is ours alone."""

    def __init__(self, engine: Engine, venue: SimulatedExchange | None) -> None:
        self.engine = engine
        self.venue = venue
        self.unsent: StepOutputs | None = None
        self.sent: tuple[StepOutputs, SendingRecord] | None = None
        self.lines: list[tuple[int, bytes]] = []
        self.steps = 0

    async def record(self, record: Any) -> None:
        """Apply one record of the journal."""
        if isinstance(record, StepInput):
            await self._step(record)
        elif isinstance(record, SendingRecord) and self.unsent is not None:
            self.sent, outputs, self.unsent = (self.unsent, record), self.unsent, None
            if self.venue is not None:
                await self.engine.transmit(outputs, record.deadline)

    async def _step(self, record: StepInput) -> None:
        engine, brain = self.engine, self.engine.brain
        if record.digest != engine.digest:
            raise ReplayError(
                f"{engine.store.path}: journal step {record.seq}: the step before it gives other "
                f"outputs now (core changed or file edited)"
            )
        if self.venue is not None:
            self.venue.run_until(record.at)
            _, engine.cursor = await self.venue.changes(engine.cursor)
        engine.outcomes, engine.urgent, self.sent = [], False, None
        first_id = brain.books.next_id
        outputs = engine.apply(record)
        self.lines += enumerate(outputs.lines, first_id)
        self.unsent = outputs if outputs.places or outputs.amends or outputs.cancels else None
        engine.price, engine.price_at = record.price, record.at
        self.steps += 1

    async def finish(self, at: float) -> None:
        """Book what the ledger lacks, send what was never sent, mark the rest UNKNOWN."""
        engine = self.engine
        last_id = engine.store.ledger.last_id
        engine.store.book([line for number, line in self.lines if number > last_id])
        if self.unsent is not None:
            await engine.send(self.unsent, at)
        elif self.sent is not None and self.venue is None:
            engine.outcomes = _unknown(*self.sent)
            engine.urgent = True


def _unknown(outputs: StepOutputs, sending: SendingRecord) -> list[Outcome]:
    until = sending.deadline or SEND_DEADLINE_SECONDS
    unknown = [Outcome(one.client_id, "place", "unknown", until=until) for one in outputs.places]
    unknown += [Outcome(one.client_id, "amend", "unknown", until=until) for one in outputs.amends]
    unknown += [Outcome(one, "cancel", "unknown", until=until) for one in outputs.cancels]
    return unknown


async def resume(
    store: Store,
    brain: Brain,
    settings: Settings,
    exchange: Exchange,
    *,
    at: float | None = None,
    venue: SimulatedExchange | None = None,
    venue_state: Callable[[], dict[str, Any]] | None = None,
) -> Engine:
    """Later lives: replay, repair, apply changed settings, catch up with the exchange.

    ``venue``: the simulated venue restored from the same snapshot, which replays too. Without it
    the exchange lived on alone, and every order we know of is asked for. Raises ReplayError.
    """
    engine = Engine(brain, exchange, store, venue_state=venue_state)
    state = store.saved.state
    assert state is not None, "a brain to resume comes from a saved state"
    engine.load_shell(state["shell"])
    replayer = Replayer(engine, venue)
    for record in store.saved.records():
        await replayer.record(record)
    store.begin(brain.seq, brain.now if at is None else at)
    await replayer.finish(brain.now if at is None else at)
    changed = changed_settings(brain, settings)
    if changed is not None:
        engine.changes = Changes(settings=msgspec.to_builtins(changed))
    if venue is not None:
        await engine.follow_up()
    else:
        await engine.catch_up(brain.now if at is None else at)
    return engine


def changed_settings(brain: Brain, settings: Settings) -> Settings | None:
    """The new configuration if an operator edited it since the brain last saw one.

    What commands changed at run time stays as long as the configuration itself does not change.
    """
    names = ("grid", "slots", "capacity", "cycle", "losses", "governor", "risk", "fees", "funds")
    same = all(getattr(brain.configured, name) == getattr(settings, name) for name in names)
    return None if same else settings
