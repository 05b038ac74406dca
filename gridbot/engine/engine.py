"""The imperative shell around the brain: one step function, the same in every mode.

A step observes (commands, answers to our writes, what changed at the exchange, the price), journals
what it saw, lets the brain decide, books, journals what it will send, sends, and tells people. It
is skipped when nothing could happen: no report, no command, price and time inside the brain's
bounds. A step that cancelled something, or got any answer but "accepted", is followed at once by
another one at the same price, because what it learns may not wait for the market.

An exchange that cannot be asked is no reason to stop: commands are obeyed, but there is no price
until it answers again. One that refuses us for a minute without an exception halts trading, and is
left alone until an operator resumes.
"""

from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from gridbot.core.brain import Brain, StepOutputs
from gridbot.core.brain_state import brain_to_state, fields_from_state, fields_to_state
from gridbot.core.numbers import ZERO, assert_exact_arithmetic
from gridbot.core.orders import LiveOrder
from gridbot.core.records import (
    Ack,
    Balance,
    Changes,
    Command,
    Event,
    OrderReport,
    Outcome,
    OwnLedgerRow,
    SendingRecord,
    StepInput,
    Verb,
)
from gridbot.engine.store import Store
from gridbot.engine.venues import AnyVenue
from gridbot.exchange.protocol import Exchange, ExchangeError, Fatal, RateLimited

FOLLOW_UPS_MAX = 8
EVENTS_KEPT = 2000
SEND_DEADLINE_SECONDS = 10.0
REFUSALS_MIN, REFUSED_SECONDS = 3, 60.0  # fewer, or over sooner, was a whim
RECONCILE_SECONDS_MIN = 15.0  # where calls are counted
HELD_BACK_SECONDS = 60.0  # a longer wait for the rate limit is trouble
OWN_ROWS_SECONDS = 300.0  # between two looks into the exchange's own books
Look = tuple[float, Decimal | None]  # a time, and the accepted price at it
Spread = tuple[Decimal, Decimal]  # bid and ask
# What a snapshot holds of the engine itself.
_SHELL: dict[str, Any] = {
    "outcomes": list[Outcome], "cursor": str, "digest": int, "urgent": bool,
    "price": Decimal | None, "price_at": float, "rows_cursor": str,
}  # fmt: skip


class Engine:
    """Brain, exchange and data directory at work; single-threaded, on one asyncio loop."""

    def __init__(
        self,
        brain: Brain,
        exchange: Exchange,
        store: Store,
        *,
        venue: AnyVenue | None = None,
        clock: Callable[[], float] | None = None,
        reconcile_steps: int = 1,
    ) -> None:
        """``venue``: the exchange, if it is a simulated one that is saved with the engine.
        ``clock``: the time at an exchange that does not wait for us.
        """
        assert_exact_arithmetic()
        self.brain = brain
        self.exchange = exchange
        self.store = store
        self.outcomes: list[Outcome] = []
        self.recommendations: list[dict[str, Any]] = []
        self.commands: deque[Command] = deque()
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.on_ack: Callable[[Ack], None] = lambda ack: None
        self.cursor = self.rows_cursor = ""
        self.digest = 0
        self.price: Decimal | None = brain.price
        self.at = self.price_at = brain.price_at
        self.urgent = False
        self.missed: list[OrderReport] = []
        self.changes: Changes | None = None
        self.refused = ""  # why the exchange will not have us
        self._refusals: dict[str, list[float]] = {}  # when, by kind of call
        self.trouble = ""  # why it cannot be asked at the moment
        self.steps_since_snapshot = 0
        self._venue = venue
        self._clock = clock
        self._spread: Spread | None = None
        self._cancelled: list[str] = []
        self._balances: dict[str, Balance] | None = None
        self._own_rows: list[OwnLedgerRow] = []
        self._rows_at = self._reconciled_at = 0.0
        self._blind = False  # the last look told nothing
        self._find_max: int | None = None  # how many lost orders to look for at a time
        self._rows_next = ""
        self._unexplained = {one: (amount, ZERO) for one, amount in brain.drift.items() if amount}
        self._reconcile_steps = reconcile_steps
        self._reconcile_in = 0

    async def step(
        self, at: float, price: Decimal | None, previous: Look | None = None,
        spread: Spread | None = None, listing: bool = True,
    ) -> bool:  # fmt: skip
        """Look, and act if anything could happen. Returns whether the brain was stepped.
        ``price``: the accepted market price now, None while there is none. ``previous``: the last
        accepted price before it with its time; by default the one of the last look. ``spread``:
        bid and ask, where they differ from the price. Without ``listing`` an exchange that counts
        our calls is asked only about what was cancelled.
        """
        before: Look = previous or (self.price_at, self.price)
        self.at, self._spread = at, spread
        reports, cursor = await self._observe(listing)
        if self._blind and self.brain.seq:  # at the first step there is nothing of ours to see
            price = None
        due = bool(reports or self.commands or self.urgent or self.changes or self._balances)
        due = due or bool(self.recommendations) or self._reaches(at, price)
        if due:
            await self._commit(price, before, reports, cursor)
        if price is not None:
            self.price, self.price_at = price, at
        if due:
            await self.follow_up()
        counted = self._clock is not None and listing and not self._blind
        if (
            counted
            and self._reconcile_in <= 0
            and at >= self._reconciled_at + RECONCILE_SECONDS_MIN
        ):
            await self.reconcile()
            await self.follow_up()
        return due

    async def follow_up(self) -> None:
        """What the last step learned or cancelled may not wait for the market: step again."""
        for _ in range(FOLLOW_UPS_MAX):
            if not (self.urgent or self._balances):
                break
            if self._clock is not None:
                self.at = max(self.at, self._clock())
            reports, cursor = await self._observe(listing=False)
            await self._commit(self.price, (self.price_at, self.price), reports, cursor)

    def note(self, **facts: Any) -> None:
        """Let the next step know of these changes, by the names of ``Changes``."""
        self.changes = replace(self.changes or Changes(), **facts)

    def _reaches(self, at: float, price: Decimal | None) -> bool:
        wake = self.brain.bounds()
        if price is None or at >= wake.at:
            return at >= wake.at
        return not wake.down < float(price) < wake.up

    # --- reading ------------------------------------------------------------------------

    async def _observe(self, listing: bool) -> tuple[list[OrderReport], str]:
        """What changed at the exchange; nothing while it cannot be asked."""
        missed, self.missed = self.missed, []
        if any(one.action == "resume" for one in self.commands):
            self.refused = ""
        self._blind = bool(self.refused)
        if self._blind:
            return missed, self.cursor
        try:
            if not listing and self._clock is not None:
                ids, self._cancelled = self._cancelled, []
                known = self.brain.registry.by_client
                orders = [known[one] for one in ids if one in known]
                reports = await self.exchange.reports(orders) if orders else []
                return [*missed, *reports], self.cursor
            reports, cursor = await self.exchange.changes(self.cursor, self._at_exchange)
        except ExchangeError as error:
            self._unreachable(error)
            self._blind = True
            return missed, self.cursor
        if self.brain.registry.unknown:
            reports += await self._look_up()
        self._unreachable(None)
        if self._clock is not None and self.exchange.foreign_orders != self.brain.foreign_orders:
            self.note(foreign_orders=self.exchange.foreign_orders)
        return [*missed, *reports], cursor

    def _at_exchange(self) -> Sequence[LiveOrder]:
        registry = self.brain.registry
        return [one for one in registry.by_client.values() if one.standing != "wanted"]

    def _unreachable(self, error: ExchangeError | None, kind: str = "read") -> None:
        """Remember why the exchange does not answer, and tell when that begins and ends."""
        now = self.at if self._clock is None else max(self.at, self._clock())
        if isinstance(error, RateLimited) and error.until - now < HELD_BACK_SECONDS:
            return
        if not isinstance(error, Fatal):
            self._refusals.pop(kind, None)
        else:
            times = self._refusals.setdefault(kind, [])
            times.append(self.at)
            if len(times) >= REFUSALS_MIN and self.at - times[0] >= REFUSED_SECONDS:
                self._refusals, self.refused = {}, str(error)
                self.note(halt=f"credentials refused: {error}")
        text = "" if error is None else str(error)
        if kind == "read" and bool(text) != bool(self.trouble):
            self.note(trouble=text)
            self.trouble = text

    async def _look_up(self) -> list[OrderReport]:
        """Ask for orders whose fate is open and whose time to ask has come. Those that were there
        once are asked for by their id; the others are looked for together, or one by one once that
        proved too much for the rate limit.
        """
        due = [one for one in self.brain.registry.unknown.values() if one.lookup_at <= self.at]
        there = [one for one in due if one.exchange_id]
        all_lost = [one for one in due if not one.exchange_id]
        lost = all_lost[: self._find_max]
        found: list[OrderReport] = []
        try:
            if there:
                found += await self.exchange.reports(there)
            if lost:
                ids = [one.client_id for one in lost]
                found += await self.exchange.find(ids, min(one.placed_at for one in lost))
        except ExchangeError as error:  # absent is only what was looked for and not found
            self._find_max = 1 if isinstance(error, RateLimited) else self._find_max
            return found
        absent = {one.client_id for one in lost} - {report.client_id for report in found}
        self.outcomes += [Outcome(one, "place", "absent") for one in sorted(absent)]
        self.urgent |= bool(absent)
        if lost == all_lost:
            self._find_max = None
        return found

    # --- writing ------------------------------------------------------------------------

    async def _commit(
        self, price: Decimal | None, previous: Look, reports: list[OrderReport], cursor: str
    ) -> None:
        at, (bid, ask) = self.at, self._spread or (None, None)
        step = StepInput(
            self.brain.seq + 1, at, *previous, price, bid, ask, tuple(reports),
            tuple(self.outcomes), self._balances, tuple(self._own_rows), tuple(self.commands),
            tuple(self.recommendations), self.changes, self.digest,
        )  # fmt: skip
        self.commands.clear()
        self.recommendations.clear()
        self.outcomes, self._balances, self.changes, self.urgent = [], None, None, False
        self._own_rows, self.cursor, self.rows_cursor = [], cursor, self._rows_next
        await self.store.write(step)  # W1
        outputs = self.apply(step)  # W2
        self.store.book(outputs.lines)  # W3
        await self.send(outputs, at)  # W4, W5
        self.steps_since_snapshot += 1
        for ack in outputs.acks:
            self.on_ack(ack)
        self._reconcile_in -= 1
        if self._reconcile_in <= 0 and not self.urgent and self._clock is None:
            await self.reconcile()

    def apply(self, step: StepInput) -> StepOutputs:
        """W2: the brain decides; its answers are remembered for the next record and for people."""
        outputs = self.brain.step(step)
        self.digest = self.brain.outputs_digest()
        self.events.extend(outputs.events)
        return outputs

    async def send(self, outputs: StepOutputs, at: float) -> None:
        """W4 and W5: say what will be sent, send it, keep the answers for the next record."""
        if not (outputs.places or outputs.amends or outputs.cancels):
            return
        ids = [*outputs.cancels, *(amend.client_id for amend in outputs.amends)]
        ids += [place.client_id for place in outputs.places]
        deadline = 0.0
        if self._venue is None:
            now = at if self._clock is None else max(at, self._clock())
            deadline = now + SEND_DEADLINE_SECONDS
        await self.store.write(SendingRecord(self.brain.seq, tuple(ids), deadline))
        await self.transmit(outputs, deadline)

    async def transmit(self, outputs: StepOutputs, deadline: float) -> None:
        """W5 alone: cancels first, because they free what new orders need."""
        exchange, amends, places = self.exchange, outputs.amends, outputs.places
        answers: list[Outcome] = []
        try:
            if outputs.cancels:
                answers += await exchange.cancel(outputs.cancels)
            if amends:
                answers += await exchange.amend(_until(deadline, amends))
            if places:
                answers += await exchange.place(_until(deadline, places))
            self._unreachable(None, "write")
        except Fatal as error:  # what has no answer is looked for once we are let in again
            self._unreachable(error, "write")
            answers += error.outcomes
            answered = {(one.verb, one.client_id) for one in answers}
            answers += [one for one in unknown(outputs, deadline)
                        if (one.verb, one.client_id) not in answered]  # fmt: skip
        self._cancelled += outputs.cancels
        self.outcomes += answers
        news = self._clock is not None or any(one.kind != "accepted" for one in answers)
        self.urgent = bool(outputs.cancels) or news

    # --- the account --------------------------------------------------------------------

    async def reconcile(self) -> None:
        """Compare the account with the books; a difference not seen before goes into the next
        step, with what the exchange's own books say about it."""
        self._reconcile_in, self._reconciled_at = self._reconcile_steps, self.at
        try:
            found = self._differences(balances := await self.exchange.balances())
            rows_due = self._clock is not None and self.at >= self._rows_at + OWN_ROWS_SECONDS
            if found == self._unexplained and not (found and rows_due):
                return
            if self._clock is not None:  # perhaps a fill between two readings
                news, self.cursor = await self.exchange.changes(self.cursor, self._at_exchange)
                self.missed += news
                if news:
                    self._reconcile_in, self.urgent = 0, True
                    return
            if found and rows_due:
                rows, self._rows_next = await self.exchange.own_ledger(self.rows_cursor)
                self._own_rows, self._rows_at = rows, self.at
                found = self._differences(balances := await self.exchange.balances())
        except ExchangeError as error:
            self._unreachable(error)
            self._reconcile_in = 0
            return
        if self._own_rows or found != self._unexplained:
            self._balances, self._unexplained = balances, found

    def _differences(self, balances: dict[str, Balance]) -> dict[str, tuple[Decimal, Decimal]]:
        """Per asset what the books do not explain, and what is held by orders not ours."""
        pair, books = self.brain.instrument, self.brain.books
        booked = {pair.quote: books.quote, pair.base: books.base}
        found = {
            asset: (balances[asset].total - amount, balances[asset].foreign)
            for asset, amount in booked.items()
            if asset in balances
        }
        return {asset: amounts for asset, amounts in found.items() if any(amounts)}

    async def catch_up(self) -> None:
        """After a restart beside an exchange that lived on: read every order we know of."""
        sent = [live for live in self._at_exchange() if live.standing != "unknown"]
        news, self.cursor = await self.exchange.changes(self.cursor, self._at_exchange)
        self.missed = news + await self.exchange.reports(sent)
        self.urgent = True

    def state(self) -> dict[str, Any]:
        """What a snapshot holds: the brain, the simulated venue, and answers not yet journalled."""
        return {
            "brain": brain_to_state(self.brain),
            "venue": None if self._venue is None else self._venue.saved(),
            "shell": fields_to_state(self, _SHELL),
        }

    def rows_from(self, at: float) -> None:
        """The exchange's own books are of interest from this time on."""
        self.rows_cursor = self._rows_next = f"{at:.4f}"

    def load_shell(self, shell: dict[str, Any]) -> None:
        """Take over what the shell of an earlier life had not journalled yet."""
        for name, value in fields_from_state(shell, _SHELL).items():
            setattr(self, name, value)
        self._rows_next = self.rows_cursor

    def save(self, at: float) -> None:
        """Write a snapshot and begin a new journal segment."""
        self.store.snapshot(self.brain.seq, at, self.brain.books.head, self.state())
        self.steps_since_snapshot = 0


def unknown(outputs: StepOutputs, deadline: float) -> list[Outcome]:
    """These were sent, or may have been, and nobody knows what came of them."""
    until = deadline or SEND_DEADLINE_SECONDS
    sent: list[tuple[Verb, list[str]]] = [
        ("place", [one.client_id for one in outputs.places]),
        ("amend", [one.client_id for one in outputs.amends]),
        ("cancel", outputs.cancels),
    ]
    return [Outcome(one, verb, "unknown", until=until) for verb, ids in sent for one in ids]


def _until(deadline: float, requests: list[Any]) -> list[Any]:
    return [replace(request, deadline=deadline) for request in requests] if deadline else requests
