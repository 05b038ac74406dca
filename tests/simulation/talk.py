"""A brain fed step by step by hand, with the answers an exchange might give."""

from decimal import Decimal as D
from typing import Any

from msgspec.structs import replace

from gridbot.core.brain import Brain, StepOutputs
from gridbot.core.records import (
    Command,
    Event,
    Fees,
    OrderReport,
    OrderRequest,
    Outcome,
    OutcomeKind,
    StepInput,
    Verb,
)
from gridbot.core.settings import Settings
from tests.simulation.harness import DOGE

PRICE = D("0.10000")


class Talk:
    """A brain and what the exchange answers it."""

    def __init__(self, settings: Settings) -> None:
        self.brain = Brain(settings, DOGE, Fees(D("0.4"), D("0.4"), "test"), "test")
        self.at = 1_000_000.0
        self.resting: dict[str, OrderRequest] = {}
        self.commands_sent = 0
        self.out = StepOutputs()
        self.command("boot", quote="1000", base="10000", later=0.0)

    def step(self, later: float = 30.0, price: D | None = PRICE, **seen: Any) -> StepOutputs:
        """One step; orders of the last one were accepted unless ``outcomes`` says otherwise."""
        self.at += later
        seen.setdefault("outcomes", self.answers("accepted"))
        previous = (self.at - later, PRICE)
        self.out = self.brain.step(StepInput(self.brain.seq + 1, self.at, *previous, price, **seen))
        self.resting |= {request.client_id: request for request in self.out.places}
        for slot in self.brain.slots.values():
            assert not slot.quarantined, slot.quarantined
        return self.out

    def answers(self, kind: OutcomeKind) -> tuple[Outcome, ...]:
        """The same answer to all that the last step placed or moved."""
        sent: list[tuple[Verb, str]] = [("place", one.client_id) for one in self.out.places]
        sent += [("amend", one.client_id) for one in self.out.amends]
        return tuple(Outcome(client_id, verb, kind, f"X{client_id}") for verb, client_id in sent)

    def command(self, action: str, later: float = 30.0, **args: Any) -> StepOutputs:
        """One step with a command."""
        self.commands_sent += 1
        command = Command(f"c{self.commands_sent}", self.at, "test", action, args)
        return self.step(later, commands=(command,))

    def order(self, trade: str, role: str) -> OrderRequest:
        """The newest order of that kind."""
        ours = [one for one in self.resting.values() if (one.trade_id, one.role) == (trade, role)]
        return ours[-1]

    def report(self, order: OrderRequest, executed: D = D(0), **changes: Any) -> OrderReport:
        """How ``order`` stands at the exchange; open unless ``changes`` says otherwise."""
        cost, at = order.price * executed, self.at + 1
        base = OrderReport(
            order.client_id, f"X{order.client_id}", order.side, order.price, order.volume, "open",
            executed, cost, cost * D("0.004"), DOGE.quote, self.at, at,
        )  # fmt: skip
        return replace(base, **changes)

    def filled(self, order: OrderRequest) -> OrderReport:
        """``order`` filled in full."""
        return self.report(order, order.volume, state="closed")

    def events(self, kind: str) -> list[Event]:
        """What the last step told of that kind."""
        return [event for event in self.out.events if event.kind == kind]
