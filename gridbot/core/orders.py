"""The registry of our orders: what we sent or want to send, and what each reserves.

Rules: an order is in the registry from the moment it is wanted until the exchange has said how it
ended and its fills are booked. A ``wanted`` exit is not at the exchange but already reserves its
funds, so that no other trade can be lent what it needs. Claims are kept as running sums, changed
only through ``reserve`` and ``release``.
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec

from gridbot.core.numbers import HUNDRED, ONE, ZERO
from gridbot.core.records import Role, Side, TradeId

OrderStanding = Literal["wanted", "pending", "open", "unknown", "cancelling"]
AfterCancel = Literal["", "write_off", "drain", "cut", "remove", "operator", "capacity"]
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class LiveOrder(msgspec.Struct, omit_defaults=True):
    """One order of ours; the only mutable record, owned by the registry.

    ``local_id`` is the reducer's order id, or the recovery id once ``role`` is recovery.
    ``executed``, ``cost`` and ``fee`` are the cumulative figures already booked. ``reserve_price``
    is the highest price a waiting buy exit may be moved to: its funds are kept for that.
    """

    client_id: str
    slot_id: int
    trade_id: TradeId
    role: Role
    side: Side
    cycle: int
    local_id: int
    price: Decimal
    volume: Decimal
    standing: OrderStanding = "wanted"
    reserve_price: Decimal = ZERO
    exchange_id: str = ""
    placed_at: float = 0.0
    executed: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    claim_quote: Decimal = ZERO
    claim_base: Decimal = ZERO
    amending: bool = False
    previous_price: Decimal | None = None
    previous_volume: Decimal | None = None
    after_cancel: AfterCancel = ""
    parked: str = ""
    retry_at: float = 0.0
    refusals: int = 0
    reprices: int = 0
    repriced_at: float = 0.0
    lookups: int = 0
    lookup_at: float = 0.0
    lookup_verb: str = ""


def client_id_text(instance: str, number: int) -> str:
    """Client id ``gb`` + instance + running number in base 36; sorts and resolves by itself."""
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = DIGITS[rest] + digits
    return f"gb{instance}{digits or '0'}"


class Registry:
    """All our orders by client id, by (slot, local id) and by (slot, recovery id)."""

    def __init__(self, maker_fee_pct: Decimal, fee_in_base: bool) -> None:
        self.by_client: dict[str, LiveOrder] = {}
        self.by_local: dict[tuple[int, int], LiveOrder] = {}
        self.by_recovery: dict[tuple[int, int], LiveOrder] = {}
        self.wanted: dict[str, LiveOrder] = {}
        self.unknown: dict[str, LiveOrder] = {}
        self.claimed_quote = ZERO
        self.claimed_base = ZERO
        self.set_fee(maker_fee_pct, fee_in_base)

    def set_fee(self, maker_fee_pct: Decimal, fee_in_base: bool) -> None:
        """Fees to reserve from now on: buys in quote, or sells in base if charged there."""
        factor = ONE + maker_fee_pct / HUNDRED
        self.buy_factor = ONE if fee_in_base else factor
        self.sell_factor = factor if fee_in_base else ONE

    @property
    def resting(self) -> int:
        """Orders that may count at the exchange: sent, unknown or not yet confirmed gone."""
        return len(self.by_client) - len(self.wanted)

    def add(self, order: LiveOrder) -> None:
        """Take ``order`` in and reserve its funds."""
        assert order.client_id not in self.by_client, f"client id was used: {order.client_id}"
        self.by_client[order.client_id] = order
        index = self.by_recovery if order.role == "recovery" else self.by_local
        index[order.slot_id, order.local_id] = order
        if order.standing == "wanted":
            self.wanted[order.client_id] = order
        elif order.standing == "unknown":
            self.unknown[order.client_id] = order
        self.reserve(order)

    def remove(self, order: LiveOrder) -> None:
        """Forget ``order`` and release its funds."""
        self.release(order)
        del self.by_client[order.client_id]
        self.wanted.pop(order.client_id, None)
        self.unknown.pop(order.client_id, None)
        index = self.by_recovery if order.role == "recovery" else self.by_local
        if index.get((order.slot_id, order.local_id)) is order:
            del index[order.slot_id, order.local_id]

    def stand(self, order: LiveOrder, standing: OrderStanding) -> None:
        """Change where ``order`` stands between wanted and gone."""
        if order.standing == "wanted":
            del self.wanted[order.client_id]
        elif order.standing == "unknown":
            del self.unknown[order.client_id]
        order.standing = standing
        if standing == "wanted":
            self.wanted[order.client_id] = order
        elif standing == "unknown":
            self.unknown[order.client_id] = order

    def rename(self, order: LiveOrder, client_id: str) -> None:
        """Give a wanted order a fresh client id: every attempt to place has its own."""
        assert order.standing == "wanted", f"order was {order.standing}"
        del self.by_client[order.client_id]
        del self.wanted[order.client_id]
        order.client_id = client_id
        self.by_client[client_id] = order
        self.wanted[client_id] = order

    def relabel(self, order: LiveOrder, local_id: int) -> None:
        """The reducer knows this order under another local id now (refresh)."""
        del self.by_local[order.slot_id, order.local_id]
        order.local_id = local_id
        self.by_local[order.slot_id, local_id] = order

    def to_recovery(self, order: LiveOrder, recovery_id: int) -> None:
        """An exit past its deadline became a recovery order."""
        del self.by_local[order.slot_id, order.local_id]
        order.role, order.local_id = "recovery", recovery_id
        self.by_recovery[order.slot_id, recovery_id] = order

    def reserve(self, order: LiveOrder) -> None:
        """Recompute what ``order`` reserves: its rest, and for an entry what its exit will need."""
        self.claimed_quote -= order.claim_quote
        self.claimed_base -= order.claim_base
        rest = order.volume - order.executed
        if order.side == "buy":
            price = max(order.price, order.reserve_price)
            order.claim_quote = price * rest * self.buy_factor
            order.claim_base = ZERO
            if order.role == "entry":  # with base fees its exit costs more than it brings
                order.claim_base = order.executed + rest * (self.sell_factor - ONE)
        else:
            order.claim_base = rest * self.sell_factor
            order.claim_quote = order.cost - order.fee if order.role == "entry" else ZERO
        self.claimed_quote += order.claim_quote
        self.claimed_base += order.claim_base

    def release(self, order: LiveOrder) -> None:
        """Drop the claims of ``order``."""
        self.claimed_quote -= order.claim_quote
        self.claimed_base -= order.claim_base
        order.claim_quote = order.claim_base = ZERO

    def of_slot(self, slot_id: int) -> list[LiveOrder]:
        """Orders of one slot, oldest first."""
        return [order for order in self.by_client.values() if order.slot_id == slot_id]

    def to_state(self) -> list[Any]:
        """JSON-able list of all orders."""
        return [msgspec.to_builtins(order) for order in self.by_client.values()]

    def load(self, state: list[Any]) -> None:
        """Take in the orders of ``to_state``."""
        for order in msgspec.convert(state, list[LiveOrder], strict=False):
            order.claim_quote = order.claim_base = ZERO
            self.add(order)
