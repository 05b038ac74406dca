"""The simulated exchange: the ``Exchange`` port over one market and its own order book.

Bid, ask and last are the same price. Time moves only when it is told to, in one of two ways: from
one due event to the next (``advance``), or tick by tick up to a moment (``run_until``). Every
change of an order is a numbered line in one bounded log; ``changes`` and ``executions`` read from
it and their cursor is a line number. A venue restored from ``state`` goes on bit for bit alike.
"""

import json
import math
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from gridbot.core.numbers import ZERO
from gridbot.core.orders import LiveOrder
from gridbot.core.records import (
    AmendRequest,
    Balance,
    Execution,
    Fees,
    Instrument,
    OpenOrders,
    OrderReport,
    OrderRequest,
    Outcome,
    OwnLedgerRow,
    Quote,
)
from gridbot.exchange.markets import grid_before
from gridbot.exchange.order_book import Fill, Line, Order, OrderBook
from gridbot.exchange.protocol import BadAnswer, KnownOrders, nothing_known

# What is saved as it stands: attributes by name, with the type they are read back as.
FIGURES: dict[str, Callable[[Any], Any]] = {
    "now": float, "quote_total": Decimal, "base_total": Decimal, "quote_held": Decimal,
    "base_held": Decimal, "executions_made": int, "_queue": int, "_orders_made": int,
    "_log_offset": int,
}  # fmt: skip


class SimulatedExchange(OrderBook):
    """One pair on one simulated account; every method returns at once."""

    foreign_orders, rules_stale = 0, False
    _rows: tuple[OwnLedgerRow, ...] = ()

    def advance(self, down: int, up: int, until: float) -> None:
        """Move to the first tick with price <= down, price >= up, time >= until or a fill of ours.
        Bounds are scaled prices. Stays on the market's last tick.
        """
        market = self.market
        while True:
            buy, sell = self._best_prices()
            market.advance(buy if buy > down else down, sell if sell < up else up, until)
            price = market.price
            filled = (price <= buy or price >= sell) and self._match()
            if filled or price <= down or price >= up or market.at >= until or market.finished:
                break
        self.now = market.at

    def run_until(self, at: float) -> None:
        """Walk every tick up to ``at``, matching all the way; then it is ``at``."""
        market = self.market
        # Jump along the last grid tick first: an ``until`` between two ticks would overshoot.
        grid_at = grid_before(math.nextafter(at, math.inf), market.poll_interval_seconds)
        while market.next_at <= at:
            until = grid_at if market.at < grid_at else -math.inf
            market.advance(*self._best_prices(), until)
            self._match()
        self.now = max(self.now, at)

    @property
    def price_now(self) -> int:
        """The price in force, scaled."""
        return self.market.price

    async def place(self, requests: list[OrderRequest]) -> list[Outcome]:
        """Accept or refuse each order in turn."""
        return [self._place(request) for request in requests]

    async def amend(self, requests: list[AmendRequest]) -> list[Outcome]:
        """Move resting orders; each keeps its ids and loses its place in the queue."""
        return [self._amend(request) for request in requests]

    async def cancel(self, client_ids: list[str]) -> list[Outcome]:
        """Cancel resting orders; accepted too for one that is cancelled already."""
        return [self._cancel(client_id, "User requested") for client_id in client_ids]

    def api_use(self, at: float) -> dict[str, float]:
        """A simulated exchange does not count calls."""
        return {}

    async def instrument(self) -> Instrument:
        return self._instrument

    async def fees(self) -> Fees:
        return Fees(self._fee_pct, self._fee_pct, "simulated")

    async def quote(self) -> Quote:
        """The price in force as bid, ask and last."""
        price = self.market.price * self._price_step
        return Quote(price, price, price, self.now)

    async def balances(self) -> dict[str, Balance]:
        return {
            self._instrument.quote: Balance(self.quote_total, self.quote_held),
            self._instrument.base: Balance(self.base_total, self.base_held),
        }

    async def open_orders(self) -> OpenOrders:
        """All resting orders, oldest first."""
        return OpenOrders(tuple(map(self._report, self._open.values())), self.now)

    async def reports(self, orders: Sequence[LiveOrder]) -> list[OrderReport]:
        """Reports of those orders that are open or among the last ``keep`` done ones."""
        known = [self._known.get(one.client_id) for one in orders]
        return [self._report(order) for order in known if order is not None]

    async def find(self, client_ids: Sequence[str], since: float) -> list[OrderReport]:
        """The newest order of each client id; ``since`` only spares paging, which is not done."""
        known = map(self._known.get, client_ids)
        return [self._report(order) for order in known if order is not None]

    async def changes(
        self, cursor: str, known: KnownOrders = nothing_known
    ) -> tuple[list[OrderReport], str]:
        """Orders filled or cancelled since ``cursor``, by their last change."""
        lines, after = self._lines_since(cursor, "changes")
        last_first = {id(order): order for order, _ in reversed(lines)}
        return [self._report(order) for order in reversed(last_first.values())], after

    async def executions(self, cursor: str) -> tuple[list[Execution], str]:
        """Our trades since ``cursor``, in the order they happened."""
        lines, after = self._lines_since(cursor, "executions")
        return [self._execution(order, fill) for order, fill in lines if fill is not None], after

    async def own_ledger(self, cursor: str) -> tuple[list[OwnLedgerRow], str]:
        """Deposits and withdrawals since ``cursor``."""
        return list(self._rows[int(cursor or 0) :]), str(len(self._rows))

    async def close(self) -> None:
        pass

    def _lines_since(self, cursor: str, endpoint: str) -> tuple[list[Line], str]:
        first = int(cursor or self._log_offset) - self._log_offset
        if first < 0:
            raise BadAnswer(endpoint, f"cursor {cursor} is older than the log kept here")
        return self._log[first:], str(self._log_offset + len(self._log))

    def _report(self, order: Order) -> OrderReport:
        o = order
        figures = (o.executed, o.cost, o.fee, self._fee_asset, o.opened_at, o.closed_at)
        identity = (o.client_id, o.exchange_id, o.side, o.price, o.volume, o.state)
        return OrderReport(*identity, *figures, tuple(o.trade_ids), o.reason)

    def _execution(self, order: Order, fill: Fill) -> Execution:
        identity = (fill.trade_id, order.client_id, order.exchange_id, order.side, fill.at)
        figures = (fill.price, fill.volume, fill.cost, fill.fee, self._fee_asset)
        return Execution(*identity, *figures)

    def deposit(self, asset: str, amount: Decimal) -> OwnLedgerRow:
        """Book ``amount`` of ``asset`` from outside; a negative one is a withdrawal.
        Raises ValueError for an asset that is not of the pair.
        """
        if asset == self._instrument.quote:
            balance = self.quote_total = self.quote_total + amount
        elif asset == self._instrument.base:
            balance = self.base_total = self.base_total + amount
        else:
            raise ValueError(f"asset was {asset!r}, the pair is {self._instrument.pair}")
        kind = "deposit" if amount >= 0 else "withdrawal"
        row_id = f"L{len(self._rows) + 1:07d}"
        row = OwnLedgerRow(row_id, self.now, kind, asset, amount, ZERO, balance)
        self._rows += (row,)
        return row

    def cancel_outside(self, client_id: str) -> Outcome:
        """Cancel one of our orders as somebody else with access to the account would."""
        return self._cancel(client_id, "Cancelled outside")

    def state(self) -> dict[str, Any]:
        """Everything a restored venue needs to go on the same way, ready for JSON."""
        logged = [order for order, _ in self._log]
        orders = {id(order): order for order in [*self._done, *self._open.values(), *logged]}
        index = {key: place for place, key in enumerate(orders)}
        state = {name.strip("_"): getattr(self, name) for name in FIGURES} | {
            "market": self.market.state(),
            "orders": list(orders.values()),
            "done": [index[id(order)] for order in self._done],
            "open": [index[id(order)] for order in self._open.values()],
            "log": [[index[id(order)], fill] for order, fill in self._log],
            "rows": self._rows,
        }
        # Decimals without an exponent, trailing zeros kept: what comes back is the same.
        tree = msgspec.to_builtins(state, builtin_types=(Decimal,))
        plain: dict[str, Any] = json.loads(json.dumps(tree, default="{:f}".format))
        return plain

    def restore(self, state: dict[str, Any]) -> None:
        """Become the venue ``state`` was taken from; instrument and market must be the same."""
        self.market.restore(state["market"])
        for name, kind in FIGURES.items():
            setattr(self, name, kind(state[name.strip("_")]))
        orders = msgspec.convert(state["orders"], list[Order])
        lines = msgspec.convert(state["log"], list[tuple[int, Fill | None]])
        self._log = [(orders[index], fill) for index, fill in lines]
        self._done = deque(orders[index] for index in state["done"])
        self._open = {orders[index].client_id: orders[index] for index in state["open"]}
        self._known = {order.client_id: order for order in self._done} | self._open
        self._rows = msgspec.convert(state["rows"], tuple[OwnLedgerRow, ...])
        self._buys, self._sells = [], []
        for order in self._open.values():
            self._push(order)
