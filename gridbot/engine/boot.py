"""Opening a data directory: a fresh brain, or the saved one brought up to its last record.

Replay feeds the journal's records to the brain again and checks every digest on the way. A
simulated venue of our own replays beside it: it walks the same ticks and receives whatever a
``sending`` record says was sent. Ledger lines above the file's last are appended. What the last
step wanted to send without a ``sending`` record was never sent, so it is sent now; what has one but
no outcome is UNKNOWN and looked up (a replayed venue simply answers again).
"""

import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from gridbot.core.brain import Brain, StepOutputs
from gridbot.core.brain_state import load_brain
from gridbot.core.ledger import SLOT_LINES_MAX, Books
from gridbot.core.orders import (
    DIGITS,
    INSTANCE_LENGTH,
    client_id_text,
    client_prefix,
    newest_number,
)
from gridbot.core.records import (
    BootRecord,
    Command,
    Event,
    Fees,
    Instrument,
    LedgerEntry,
    Quote,
    SendingRecord,
    StepInput,
)
from gridbot.core.settings import Settings
from gridbot.engine.disk import Disk, EngineFileError, lines_backwards
from gridbot.engine.engine import Engine, unknown
from gridbot.engine.feed import Feed, MarketFeed, PriceGate, SimulatedFeed
from gridbot.engine.store import Store, check_digest
from gridbot.engine.venues import (
    AnyVenue,
    PaperVenue,
    Venue,
    load_paper,
    load_venue,
    plan_venue,
    venue_fees,
)
from gridbot.exchange.instruments import DEFAULT_PAIR
from gridbot.exchange.kraken.signing import Credentials
from gridbot.exchange.protocol import Exchange, RetryLater

if TYPE_CHECKING:  # an HTTP client takes time to import that a simulation does not have
    from gridbot.exchange.kraken.account import KrakenExchange
    from gridbot.exchange.kraken.public import PublicKraken

NONCE_FILE = "nonce"
ADOPTED = "operator: this is an old copy; compare its waiting exits with Kraken, then resume"
LINES_RECALLED = 2_000  # of the ledger, for the screen
# Sections of the configuration whose edit changes a directory's engine.
EDITABLE = ("grid", "slots", "capacity", "cycle", "losses", "governor", "risk", "fees", "funds")


class OpenEngine(NamedTuple):
    """An engine ready to step, and what paces it."""

    engine: Engine
    feed: Feed


class RestoredBackup(EngineFileError):
    """The account knows more of our orders than the data directory does."""


async def open_engine(
    settings: Settings, path: Path, disk: Disk,
    credentials: Credentials | None = None, adopt: bool = False,
) -> OpenEngine:  # fmt: skip
    """Open (or begin) the engine of a data directory, in the mode of the settings.
    ``adopt``: go on although the account holds orders that the directory does not know. Raises
    EngineFileError for whatever is wrong with the directory, UnknownPair for the pair,
    ExchangeError while Kraken cannot be asked or will not have us.
    """
    if settings.run.mode == "sim":
        engine, venue = await open_simulated(settings, path, disk)
        return OpenEngine(engine, SimulatedFeed(venue, settings))
    from gridbot.exchange.kraken.public import PublicKraken

    public = PublicKraken(settings.exchange.base_url)
    try:
        if credentials is None:
            return await _open_paper(settings, path, disk, public)
        return await _open_live(settings, path, disk, public, credentials, adopt)
    except BaseException:
        await public.close()
        raise


@contextmanager
def _store(path: Path, settings: Settings, pair: str, disk: Disk) -> Iterator[Store]:
    store = Store(path, settings, pair, disk, draw_instance=draw_instance, durable=True)
    try:
        yield store
    except BaseException:
        store.abandon()
        raise


async def open_simulated(settings: Settings, path: Path, disk: Disk) -> tuple[Engine, Venue]:
    """The engine of a directory and the simulated venue it trades on."""
    plan = plan_venue(settings)
    with _store(path, settings, plan.instrument.pair, disk) as store:
        brain = resume_brain(store)
        if brain is None:
            venue = Venue(plan)
            fees, now = venue_fees(plan), venue.now
            begun = begin(store, settings, plan.instrument, fees, venue, at=now, venue=venue)
            return await begun, venue
        venue = load_venue(_state(store)["venue"])
        return await resume(store, brain, settings, venue, venue=venue), venue


async def _open_paper(
    settings: Settings, path: Path, disk: Disk, public: "PublicKraken"
) -> OpenEngine:
    instrument = await public.instrument(settings.exchange.pair or DEFAULT_PAIR)
    with _store(path, settings, instrument.pair, disk) as store:
        brain, now = resume_brain(store), time.time()
        if brain is None:
            price = _first_price(settings, await public.quote(instrument.pair))
            venue = PaperVenue(plan_venue(settings, instrument, price), now)
            begun = begin(store, settings, instrument, venue_fees(venue.plan), venue,
                          at=now, venue=venue, price=price)  # fmt: skip
            engine = await begun
        else:
            venue = load_paper(_state(store)["venue"])
            engine = await resume(store, brain, settings, venue, venue=venue)
        return OpenEngine(
            engine,
            MarketFeed(
                engine, settings, lambda: public.quote(instrument.pair), public.close, venue=venue
            ),
        )


async def _open_live(
    settings: Settings, path: Path, disk: Disk, public: "PublicKraken", credentials: Credentials,
    adopt: bool,
) -> OpenEngine:  # fmt: skip
    from gridbot.exchange.kraken.account import KrakenExchange
    from gridbot.exchange.kraken.private import PrivateKraken

    instrument = await public.instrument(settings.exchange.pair or "")
    with _store(path, settings, instrument.pair, disk) as store:
        prefix = client_prefix(store.identity.instance)
        tier, lockout = settings.exchange.tier or "starter", settings.exchange.lockout_sec
        private = PrivateKraken(public, credentials, tier, path / NONCE_FILE, lockout)
        exchange, brain = KrakenExchange(public, private, instrument, prefix), resume_brain(store)
        now, clock = time.time(), time.time
        if brain is None:
            if not adopt:
                await _refuse_stranger(exchange, path)
            price, fees = _first_price(settings, await exchange.quote()), await exchange.fees()
            engine = await begin(
                store, settings, instrument, fees, exchange, at=now, clock=clock, price=price
            )
        else:
            engine = await resume(
                store, brain, settings, exchange, at=now, clock=clock, adopt=adopt,
                newest_seen=partial(newest_seen, exchange),
            )  # fmt: skip
            if instrument != brain.instrument:
                engine.note(instrument=instrument)
        return OpenEngine(engine, MarketFeed(engine, settings, exchange.quote, exchange.close))


def _first_price(settings: Settings, quote: Quote) -> Decimal:
    price = PriceGate(settings).take(quote)
    if price is None:
        raise RetryLater(f"no price to begin with: bid {quote.bid}, ask {quote.ask}")
    return price


async def _refuse_stranger(exchange: "KrakenExchange", path: Path) -> None:
    """A fresh directory while gridbot's orders rest on the pair: whose are they?"""
    prefix = client_prefix("")
    resting = [one for one in await exchange.client_ids() if one.startswith(prefix)]
    if resting:
        owners = ", ".join(sorted({one[: len(prefix) + INSTANCE_LENGTH] for one in resting}))
        raise RestoredBackup(
            f"{path}: is empty, but gridbot has {len(resting)} open orders on the pair ({owners}): "
            f"restore their data directory, cancel them with gridbot cancel-orders, or leave them "
            f"to another gridbot with --adopt"
        )


async def newest_seen(exchange: "KrakenExchange", brain: Brain) -> int | None:
    """The number of our newest order that Kraken knows of since the brain last looked."""
    following = client_id_text(brain.instance, brain.next_order_number)
    return newest_number(await exchange.client_ids(brain.now, following), brain.instance)


def _state(store: Store) -> dict[str, Any]:
    state = store.saved.state
    assert state is not None, "a brain to resume comes from a saved state"
    return state


def draw_instance() -> str:
    """Four characters that mark all client ids of a new data directory."""
    return "".join(secrets.choice(DIGITS) for _ in range(INSTANCE_LENGTH))


async def begin(
    store: Store,
    settings: Settings,
    instrument: Instrument,
    fees: Fees,
    exchange: Exchange,
    *,
    at: float,
    venue: AnyVenue | None = None,
    clock: Callable[[], float] | None = None,
    price: Decimal | None = None,
    reconcile_steps: int = 1,
) -> Engine:
    """First life of a directory: boot record, books opened, first slots added.
    ``price``: by default the middle of the exchange's quote.
    """
    brain = Brain(settings, instrument, fees, store.identity.instance)
    engine = Engine(
        brain, exchange, store, venue=venue, clock=clock, reconcile_steps=reconcile_steps
    )
    engine.rows_from(at - 1)  # what happened to the account before is in its opening balance
    store.begin(0, at)
    await store.write(BootRecord(engine.state()))
    balances = await exchange.balances()
    assets = {"quote": instrument.quote, "base": instrument.base}
    opening = {side: str(balances[asset].total) for side, asset in assets.items()}
    engine.commands.append(Command("boot", at, "engine", "boot", opening))
    if price is None:
        quote = await exchange.quote()
        price = (quote.bid + quote.ask) / 2
    await engine.step(at, price)
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
    sent: StepOutputs | None
    deadline: float


async def _replay(engine: Engine, venue: AnyVenue | None) -> Tail:
    """Apply the saved records; ``venue`` replays beside the engine if it is ours alone."""
    lines: list[tuple[int, bytes]] = []
    unsent, sent, deadline = None, None, 0.0
    for record in engine.store.saved.records():
        if isinstance(record, StepInput):
            check_digest(engine.store.path, record, engine.digest)
            if venue is not None:
                venue.replay(record)
                _, engine.cursor = await venue.changes(engine.cursor)
            engine.outcomes, engine.urgent, sent = [], False, None
            first_id = engine.brain.books.next_id
            outputs = engine.apply(record)
            lines += enumerate(outputs.lines, first_id)
            unsent = outputs if outputs.places or outputs.amends or outputs.cancels else None
            engine.at = record.at
            if record.price is not None:
                engine.price, engine.price_at = record.price, record.at
        elif isinstance(record, SendingRecord) and unsent is not None:
            sent, unsent, deadline = unsent, None, record.deadline
            if venue is not None:
                await engine.transmit(sent, deadline)
    return Tail(lines, unsent, sent, deadline)


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


async def resume(
    store: Store,
    brain: Brain,
    settings: Settings,
    exchange: Exchange,
    *,
    at: float | None = None,
    venue: AnyVenue | None = None,
    clock: Callable[[], float] | None = None,
    newest_seen: Callable[[Brain], Awaitable[int | None]] | None = None,
    adopt: bool = False,
) -> Engine:
    """Later lives: replay, repair, apply an edited configuration, catch up with the exchange.
    What commands changed at run time stays as long as the configuration itself does not change.
    ``venue``: the simulated venue restored from the same snapshot, which replays too. Without it
    the exchange lived on alone, and every order we know of is asked for. ``newest_seen``: number of
    our newest order there; one the journal does not know means that the directory is an old copy,
    which goes on only to ``adopt`` what it finds, and halted: what filled in the forgotten time is
    not in its books. Raises ReplayError or RestoredBackup.
    """
    engine = Engine(brain, exchange, store, venue=venue, clock=clock)
    engine.load_shell(_state(store)["shell"])
    known_id, seq = brain.books.next_id, brain.seq
    lines, unsent, sent, deadline = await _replay(engine, venue)
    newest = None if newest_seen is None else await newest_seen(brain)
    old_copy = newest is not None and newest >= brain.next_order_number
    if old_copy and not adopt:
        raise RestoredBackup(
            f"{store.path}: knows our orders up to number {brain.next_order_number - 1}, Kraken "
            f"has seen number {newest}: this is an old copy. Restore the latest one, or go on from "
            f"here with --adopt (open orders it does not know are cancelled, and nothing else is "
            f"sent until you resume)"
        )
    engine.steps_since_snapshot = brain.seq - seq
    _say_recovered(engine, brain.seq - seq)
    now = brain.now if at is None else at
    store.begin(brain.seq, now)
    store.book([line for number, line in lines if number > store.ledger.last_id])
    _recall_lines(brain.books, store.ledger_path, known_id)
    if old_copy:
        engine.note(order_number=newest, halt=ADOPTED)
    if unsent is not None and not old_copy:
        await engine.send(unsent, now)
    elif venue is None and (outputs := unsent or sent):
        engine.outcomes, engine.urgent = unknown(outputs, deadline), True
    if any(getattr(brain.configured, name) != getattr(settings, name) for name in EDITABLE):
        engine.note(settings=msgspec.to_builtins(settings))
    if venue is not None:
        await engine.follow_up()
    else:
        await engine.catch_up()
    return engine
