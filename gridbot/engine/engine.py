"""The imperative shell around the brain: one step function, the same in every mode.

A step observes (commands, answers to our writes, what changed at the exchange, the price), journals
what it saw, lets the brain decide, books, journals what it will send, sends, and tells people. It
is skipped when nothing could happen: no report, no command, price and time inside the brain's
bounds. A step that cancelled something, or got any answer but "accepted", is followed at once by
another one at the same price, because what it learns may not wait for the market.
"""

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from gridbot.core.brain import Brain, StepOutputs
from gridbot.core.brain_state import brain_to_state, fields_from_state, fields_to_state
from gridbot.core.numbers import assert_exact_arithmetic
from gridbot.core.records import (
    Ack,
    Balance,
    Changes,
    Command,
    Event,
    OrderReport,
    Outcome,
    SendingRecord,
    StepInput,
)
from gridbot.engine.store import Store
from gridbot.engine.venues import Venue
from gridbot.exchange.protocol import Exchange

FOLLOW_UPS_MAX = 8
EVENTS_KEPT = 2000
SEND_DEADLINE_SECONDS = 10.0
Look = tuple[float, Decimal | None]  # a time, and the accepted price at it
# What a snapshot holds of the engine itself.
_SHELL: dict[str, Any] = {
    "outcomes": list[Outcome], "cursor": str, "digest": int, "urgent": bool,
    "price": Decimal | None, "price_at": float,
}  # fmt: skip


class Engine:
    """Brain, exchange and data directory at work; single-threaded, on one asyncio loop."""

    def __init__(
        self,
        brain: Brain,
        exchange: Exchange,
        store: Store,
        *,
        venue: Venue | None = None,
        reconcile_steps: int = 1,
    ) -> None:
        """``venue``: the exchange, if it is a simulated one that is saved with the engine."""
        assert_exact_arithmetic()
        self.brain = brain
        self.exchange = exchange
        self.store = store
        self.outcomes: list[Outcome] = []
        self.commands: deque[Command] = deque()
        self.events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self.on_ack: Callable[[Ack], None] = lambda ack: None
        self.cursor = ""
        self.digest = 0
        self.price: Decimal | None = brain.price
        self.price_at = brain.price_at
        self.urgent = False
        self.missed: list[OrderReport] = []
        self.changes: Changes | None = None
        self.steps_since_snapshot = 0
        self._venue = venue
        self._balances: dict[str, Balance] | None = None
        self._reconcile_steps = reconcile_steps
        self._reconcile_in = 0

    async def step(self, at: float, price: Decimal | None, previous: Look | None = None) -> bool:
        """Look, and act if anything could happen. Returns whether the brain was stepped.
        ``price``: the accepted market price now. ``previous``: the last accepted price before it
        with its time; by default the one of the last look.
        """
        before: Look = previous or (self.price_at, self.price)
        reports, cursor = await self.exchange.changes(self.cursor)
        reports = [*self.missed, *reports]
        if self.brain.registry.unknown:
            reports += await self._look_up(at)
        self.missed = []
        due = bool(reports or self.commands or self.urgent or self.changes)
        if not due and not self._reaches(at, price):
            self.price, self.price_at = price, at
            return False
        await self._commit((at, price), before, reports, cursor)
        self.price, self.price_at = price, at
        await self.follow_up()
        return True

    async def follow_up(self) -> None:
        """What the last step learned or cancelled may not wait for the market: step again."""
        for _ in range(FOLLOW_UPS_MAX):
            if not (self.urgent or self._balances):
                break
            reports, cursor = await self.exchange.changes(self.cursor)
            now = self.price_at, self.price
            await self._commit(now, now, reports, cursor)

    def _reaches(self, at: float, price: Decimal | None) -> bool:
        wake = self.brain.bounds()
        if price is None or at >= wake.at:
            return at >= wake.at
        return not wake.down < float(price) < wake.up

    async def _look_up(self, at: float) -> list[OrderReport]:
        """Ask for orders whose fate is open and whose time to ask has come."""
        found: list[OrderReport] = []
        for live in list(self.brain.registry.unknown.values()):
            if live.lookup_at <= at:
                report = await self.exchange.find(live.client_id, live.placed_at)
                if report is None:
                    self.outcomes.append(Outcome(live.client_id, "place", "absent"))
                    self.urgent = True
                else:
                    found.append(report)
        return found

    async def _commit(
        self, now: Look, previous: Look, reports: list[OrderReport], cursor: str
    ) -> None:
        at, price = now
        step = StepInput(
            self.brain.seq + 1, at, *previous, price,
            reports=tuple(reports), outcomes=tuple(self.outcomes), balances=self._balances,
            commands=tuple(self.commands), changes=self.changes, digest=self.digest,
        )  # fmt: skip
        await self.store.write(step)  # W1
        self.commands.clear()
        self.outcomes, self._balances, self.changes, self.urgent = [], None, None, False
        self.cursor = cursor
        outputs = self.apply(step)  # W2
        self.store.book(outputs.lines)  # W3
        await self.send(outputs, at)  # W4, W5
        self.steps_since_snapshot += 1
        for ack in outputs.acks:
            self.on_ack(ack)
        await self._reconcile()

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
        deadline = at + SEND_DEADLINE_SECONDS if self._venue is None else 0.0
        await self.store.write(SendingRecord(self.brain.seq, tuple(ids), deadline))
        await self.transmit(outputs, deadline)

    async def transmit(self, outputs: StepOutputs, deadline: float) -> None:
        """W5 alone: cancels first, because they free what new orders need."""
        answers: list[Outcome] = []
        if outputs.cancels:
            answers += await self.exchange.cancel(outputs.cancels)
        if outputs.amends:
            answers += await self.exchange.amend(_until(deadline, outputs.amends))
        if outputs.places:
            answers += await self.exchange.place(_until(deadline, outputs.places))
        self.outcomes += answers
        self.urgent = bool(outputs.cancels) or any(one.kind != "accepted" for one in answers)

    async def _reconcile(self) -> None:
        """Compare the account with the books; a changed difference goes into the next step."""
        self._reconcile_in -= 1
        if self._reconcile_in > 0 or self.urgent:
            return
        self._reconcile_in = self._reconcile_steps
        brain, balances = self.brain, await self.exchange.balances()
        pair, books = brain.instrument, brain.books
        for asset, booked in ((pair.quote, books.quote), (pair.base, books.base)):
            balance = balances.get(asset)
            if balance is not None and balance.total - booked != brain.drift.get(asset, 0):
                self._balances = balances

    async def catch_up(self) -> None:
        """After a restart beside an exchange that lived on: read every order we know of."""
        known = list(self.brain.registry.by_client.values())
        sent = [live for live in known if live.standing not in ("wanted", "unknown")]
        _, self.cursor = await self.exchange.changes(self.cursor)
        self.missed = await self.exchange.reports(sent)
        self.urgent = True

    def state(self) -> dict[str, Any]:
        """What a snapshot holds: the brain, the simulated venue, and answers not yet journalled."""
        return {
            "brain": brain_to_state(self.brain),
            "venue": None if self._venue is None else self._venue.saved(),
            "shell": fields_to_state(self, _SHELL),
        }

    def load_shell(self, shell: dict[str, Any]) -> None:
        """Take over what the shell of an earlier life had not journalled yet."""
        for name, value in fields_from_state(shell, _SHELL).items():
            setattr(self, name, value)

    def save(self, at: float) -> None:
        """Write a snapshot and begin a new journal segment."""
        self.store.snapshot(self.brain.seq, at, self.brain.books.head, self.state())
        self.steps_since_snapshot = 0


def _until(deadline: float, requests: list[Any]) -> list[Any]:
    return [replace(request, deadline=deadline) for request in requests] if deadline else requests
