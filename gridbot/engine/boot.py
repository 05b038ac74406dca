"""Opening a data directory: a fresh brain, or the saved one brought up to its last record.

Replay feeds the journal's records to the brain again and checks every digest on the way. A
simulated venue of our own replays beside it: it walks the same ticks and receives whatever a
``sending`` record says was sent. Ledger lines above the file's last are appended. What the last
step wanted to send without a ``sending`` record was never sent, so it is sent now; what has one but
no outcome is UNKNOWN and looked up (a replayed venue simply answers again).
"""

import secrets
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from gridbot.core.brain import Brain, StepOutputs
from gridbot.core.brain_state import load_brain
from gridbot.core.ledger import SLOT_LINES_MAX, Books
from gridbot.core.orders import DIGITS
from gridbot.core.records import (
    BootRecord,
    Changes,
    Command,
    Event,
    Fees,
    Instrument,
    LedgerEntry,
    Outcome,
    SendingRecord,
    StepInput,
    Verb,
)
from gridbot.core.settings import Settings
from gridbot.engine.disk import Disk, EngineFileError, lines_backwards
from gridbot.engine.engine import SEND_DEADLINE_SECONDS, Engine
from gridbot.engine.store import Store, check_digest
from gridbot.engine.venues import Venue, load_venue, plan_venue, venue_fees
from gridbot.exchange.protocol import Exchange

LINES_RECALLED = 2_000  # of the ledger, for the screen
# Sections of the configuration whose edit changes a directory's engine.
EDITABLE = ("grid", "slots", "capacity", "cycle", "losses", "governor", "risk", "fees", "funds")


class OpenEngine(NamedTuple):
    """An engine ready to step, and the simulated venue whose clock drives it."""

    engine: Engine
    venue: Venue


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
    pair = plan.instrument.pair
    store = Store(path, settings, pair, disk, draw_instance=draw_instance, durable=True)
    try:
        brain = resume_brain(store)
        if brain is None:
            venue = Venue(plan)
            fees, now = venue_fees(plan), venue.now
            start = begin(store, settings, plan.instrument, fees, venue, at=now, venue=venue)
            return OpenEngine(await start, venue)
        assert store.saved.state is not None
        venue = load_venue(store.saved.state["venue"])
        return OpenEngine(await resume(store, brain, settings, venue, venue=venue), venue)
    except BaseException:
        store.abandon()
        raise


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
    venue: Venue | None = None,
    reconcile_steps: int = 1,
) -> Engine:
    """First life of a directory: boot record, books opened, first slots added."""
    brain = Brain(settings, instrument, fees, store.identity.instance)
    engine = Engine(brain, exchange, store, venue=venue, reconcile_steps=reconcile_steps)
    store.begin(0, at)
    await store.write(BootRecord(engine.state()))
    balances = await exchange.balances()
    assets = {"quote": instrument.quote, "base": instrument.base}
    opening = {side: str(balances[asset].total) for side, asset in assets.items()}
    engine.commands.append(Command("boot", at, "engine", "boot", opening))
    quote = await exchange.quote()
    await engine.step(at, (quote.bid + quote.ask) / 2)
    return engine


def resume_brain(store: Store) -> Brain | None:
    """The brain of the last snapshot or boot record; None in a directory that never traded."""
    saved = store.saved
    state = saved.state
    if state is None:
        return None
    traded = saved.snapshot or any(isinstance(record, StepInput) for record in saved.records())
    return load_brain(state["brain"]) if traded else None


class Tail(NamedTuple):
    """What the journal leaves open: ledger lines by id, and how far the last orders got."""

    lines: list[tuple[int, bytes]]
    unsent: StepOutputs | None
    sent: tuple[StepOutputs, SendingRecord] | None


async def _replay(engine: Engine, venue: Venue | None) -> Tail:
    """Apply the saved records; ``venue`` replays beside the engine if it is ours alone."""
    lines: list[tuple[int, bytes]] = []
    unsent, sent = None, None
    for record in engine.store.saved.records():
        if isinstance(record, StepInput):
            check_digest(engine.store.path, record, engine.digest)
            if venue is not None:
                venue.run_until(record.at)
                _, engine.cursor = await venue.changes(engine.cursor)
            engine.outcomes, engine.urgent, sent = [], False, None
            first_id = engine.brain.books.next_id
            outputs = engine.apply(record)
            lines += enumerate(outputs.lines, first_id)
            unsent = outputs if outputs.places or outputs.amends or outputs.cancels else None
            engine.price, engine.price_at = record.price, record.at
        elif isinstance(record, SendingRecord) and unsent is not None:
            sent, unsent = (unsent, record), None
            if venue is not None:
                await engine.transmit(sent[0], record.deadline)
    return Tail(lines, unsent, sent)


def _say_recovered(engine: Engine, steps: int) -> None:
    """Events that happened again in the replay were told by an earlier life: tell only that."""
    engine.events.clear()
    brain, notes = engine.brain, "; ".join(dict.fromkeys(engine.store.saved.notes))
    if steps or notes:
        data = {"steps": steps, "notes": notes}
        engine.events.append(
            Event(brain.next_event_id - 1, brain.now, "recovered", "info", data=data)
        )


def _recall_lines(books: Books, ledger: Path, before_id: int) -> None:
    """Give each slot its latest lines from the file; the replay has brought the later ones."""
    for _, line in islice(lines_backwards(ledger), LINES_RECALLED):
        entry = msgspec.json.decode(line, type=LedgerEntry)
        lines = books.slot_lines(entry.slot_id)
        if entry.id < before_id and len(lines) < SLOT_LINES_MAX:
            lines.appendleft(line)


def _unknown(outputs: StepOutputs, sending: SendingRecord) -> list[Outcome]:
    until = sending.deadline or SEND_DEADLINE_SECONDS
    sent: list[tuple[Verb, list[str]]] = [
        ("place", [one.client_id for one in outputs.places]),
        ("amend", [one.client_id for one in outputs.amends]),
        ("cancel", outputs.cancels),
    ]
    return [Outcome(one, verb, "unknown", until=until) for verb, ids in sent for one in ids]


async def resume(
    store: Store,
    brain: Brain,
    settings: Settings,
    exchange: Exchange,
    *,
    at: float | None = None,
    venue: Venue | None = None,
) -> Engine:
    """Later lives: replay, repair, apply an edited configuration, catch up with the exchange.
    What commands changed at run time stays as long as the configuration itself does not change.
    ``venue``: the simulated venue restored from the same snapshot, which replays too. Without it
    the exchange lived on alone, and every order we know of is asked for. Raises ReplayError.
    """
    engine, state = Engine(brain, exchange, store, venue=venue), store.saved.state
    assert state is not None, "a brain to resume comes from a saved state"
    engine.load_shell(state["shell"])
    known_id, seq = brain.books.next_id, brain.seq
    lines, unsent, sent = await _replay(engine, venue)
    _say_recovered(engine, brain.seq - seq)
    now = brain.now if at is None else at
    store.begin(brain.seq, now)
    store.book([line for number, line in lines if number > store.ledger.last_id])
    _recall_lines(brain.books, store.ledger_path, known_id)
    if unsent is not None:
        await engine.send(unsent, now)
    elif sent is not None and venue is None:
        engine.outcomes, engine.urgent = _unknown(*sent), True
    if any(getattr(brain.configured, name) != getattr(settings, name) for name in EDITABLE):
        engine.changes = Changes(settings=msgspec.to_builtins(settings))
    if venue is not None:
        await engine.follow_up()
    else:
        await engine.catch_up()
    return engine
