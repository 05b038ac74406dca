"""The registry of our orders: what we sent or want to send, and what each reserves.

Rules: an order is in the registry from the moment it is wanted until the exchange has said how it
ended and its fills are booked. A ``wanted`` exit is not at the exchange but already reserves its
funds, so that no other trade can be lent what it needs. Claims are kept as running sums, changed
only by ``reserve`` and ``remove``.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Literal, get_args

import msgspec

from gridbot.core.numbers import HUNDRED, ONE, ZERO
from gridbot.core.records import Role, Side, TradeId

OrderStanding = Literal["wanted", "pending", "open", "unknown", "cancelling"]
AfterCancel = Literal["", "write_off", "drain", "cut", "remove", "operator"]
CLIENT_PREFIX = "gb"
INSTANCE_LENGTH = 4
CLIENT_ID_MAX = 18  # Kraken takes no longer one
DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class LiveOrder(msgspec.Struct, omit_defaults=True):
    """One order of ours; the only mutable record, owned by the registry.
    ``local_id`` is the reducer's order id, or the recovery id once ``role`` is recovery.
    ``executed``, ``cost`` and ``fee`` (in quote; ``fee_base`` what was charged in base) are the
    cumulative figures already booked. ``break_even`` is how far a waiting exit may be moved towards
    the market; a buy's funds are kept for that. ``partial_since``: when its first part filled.
    ``retry_at``: not placed, moved or cancelled (again) before this time. ``closing``: an operator
    wants it filled at the market."""

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
    break_even: Decimal = ZERO
    exchange_id: str = ""
    placed_at: float = 0.0
    executed: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    fee_base: Decimal = ZERO
    partial_since: float = 0.0
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
    closing: bool = False

    def may_gain(self, max_reprices: int) -> bool:
        """There is still a price before break-even that a reprice could move it to."""
        if self.reprices >= max_reprices or self.closing:
            return False
        sell = self.side == "sell"
        return self.price > self.break_even if sell else self.price < self.break_even

    def move(self, price: Decimal, volume: Decimal) -> None:
        """It is to rest elsewhere; where it rests until then is remembered."""
        self.previous_price, self.previous_volume = self.price, self.volume
        self.price, self.volume = price, volume

    def settle(self) -> None:
        """The exchange has moved it."""
        self.amending = False
        self.previous_price = self.previous_volume = None

    def move_back(self) -> None:
        """It was not moved after all."""
        assert self.previous_price is not None and self.previous_volume is not None
        self.price, self.volume = self.previous_price, self.previous_volume
        self.settle()


def client_prefix(instance: str) -> str:
    """What the client ids of an instance begin with."""
    return f"{CLIENT_PREFIX}{instance}"


def client_id_text(instance: str, number: int) -> str:
    """Client id: prefix + running number in base 36; sorts and resolves by itself."""
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = DIGITS[rest] + digits
    return f"{client_prefix(instance)}{digits or '0'}"


def newest_number(client_ids: Iterable[str], instance: str) -> int | None:
    """The highest running number among client ids of this instance; None if none is."""
    numbers = [order_number(one, instance) for one in client_ids]
    return max((one for one in numbers if one is not None), default=None)


def order_number(client_id: str, instance: str) -> int | None:
    """The running number in ``client_id``; None unless it is written as this instance does."""
    prefix = client_prefix(instance)
    digits = client_id.removeprefix(prefix)
    if client_id != prefix + digits or not digits or set(digits) - set(DIGITS):
        return None
    return None if digits[0] == "0" or len(client_id) > CLIENT_ID_MAX else int(digits, 36)


class Registry:
    """All our orders by client id, by (slot, local id) and by (slot, recovery id)."""

    def __init__(self, maker_fee_pct: Decimal, fee_in_base: bool) -> None:
        self.by_client: dict[str, LiveOrder] = {}
        self.by_local: dict[tuple[int, int], LiveOrder] = {}
        self.by_recovery: dict[tuple[int, int], LiveOrder] = {}
        self._by_standing: dict[OrderStanding, dict[str, LiveOrder]] = {
            standing: {} for standing in get_args(OrderStanding)
        }
        self.wanted, self.unknown = self._by_standing["wanted"], self._by_standing["unknown"]
        self.cancelling = self._by_standing["cancelling"]
        self.partial: dict[str, LiveOrder] = {}  # entries that wait for the rest of their volume
        self.claimed_quote = self.claimed_base = ZERO
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
        self._enter(order)
        self._index(order)[order.slot_id, order.local_id] = order
        self.reserve(order)

    def remove(self, order: LiveOrder) -> None:
        """Forget ``order`` and release its funds."""
        self._leave(order)
        self.partial.pop(order.client_id, None)
        del self._index(order)[order.slot_id, order.local_id]
        self.claimed_quote -= order.claim_quote
        self.claimed_base -= order.claim_base

    def stand(self, order: LiveOrder, standing: OrderStanding) -> None:
        """Change where ``order`` stands between wanted and gone."""
        del self._by_standing[order.standing][order.client_id]
        order.standing = standing
        self._by_standing[standing][order.client_id] = order

    def rename(self, order: LiveOrder, client_id: str) -> None:
        """Give a wanted order a fresh client id: every attempt to place has its own."""
        self._leave(order)
        order.client_id = client_id
        self._enter(order)

    def relabel(self, order: LiveOrder, role: Role, local_id: int) -> None:
        """The reducer knows this order by another id now: it was refreshed, or is a recovery."""
        del self._index(order)[order.slot_id, order.local_id]
        order.role, order.local_id = role, local_id
        self._index(order)[order.slot_id, local_id] = order

    def _enter(self, order: LiveOrder) -> None:
        self.by_client[order.client_id] = order
        self._by_standing[order.standing][order.client_id] = order

    def _leave(self, order: LiveOrder) -> None:
        del self.by_client[order.client_id]
        del self._by_standing[order.standing][order.client_id]

    def _index(self, order: LiveOrder) -> dict[tuple[int, int], LiveOrder]:
        return self.by_recovery if order.role == "recovery" else self.by_local

    def reserve(self, order: LiveOrder) -> None:
        """Recompute what ``order`` reserves: its rest, and for an entry what its exit will need."""
        self.claimed_quote -= order.claim_quote
        self.claimed_base -= order.claim_base
        rest = order.volume - order.executed
        if order.side == "buy":
            price = max(order.price, order.break_even)
            order.claim_quote = price * rest * self.buy_factor
            order.claim_base = ZERO
            if order.role == "entry":  # with base fees its exit costs more than it brings
                order.claim_base = order.executed + rest * (self.sell_factor - ONE)
        else:
            order.claim_base = rest * self.sell_factor
            order.claim_quote = order.cost - order.fee if order.role == "entry" else ZERO
        self.claimed_quote += order.claim_quote
        self.claimed_base += order.claim_base

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
            if order.partial_since:
                self.partial[order.client_id] = order
