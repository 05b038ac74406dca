"""The simulated exchange's books: resting orders, holds, balances, fills, refusals.

An order rests from the moment it is accepted and can fill from the next tick on: a buy when the
price is at or below its limit, a sell when it is at or above, always at the limit. Orders due at
one tick fill buys first, best price first, oldest first; where the market knows what traded they
share that volume in this order, cut to the volume step, and what remains fills on later ticks.
Cost and fee are each rounded half-even to the instrument's decimals. A buy holds price x remaining
volume (no fee, as Kraken does), a sell its remaining volume; a balance can therefore fall below
zero by fees nobody set aside. Refusals carry Kraken's error texts.
"""

from collections import deque
from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from heapq import heapify, heappop, heappush
from typing import Literal

import msgspec

from gridbot.core.numbers import ZERO, quantum
from gridbot.core.records import (
    AmendRequest,
    Instrument,
    OrderReportState,
    OrderRequest,
    Outcome,
    Side,
    Verb,
)
from gridbot.exchange.markets import NO_DOWN, NO_UP, Market

KEEP_DEFAULT = 20_000

FUNDS = "EOrder:Insufficient funds"
ORDER_MINIMUM = "EOrder:Order minimum not met"
COST_MINIMUM = "EOrder:Cost minimum not met"
TICK_SIZE = "EOrder:Tick size check failed"
OFF_LOT = "EGeneral:Invalid arguments:volume"
POST_ONLY = "EOrder:Post only order"
ORDERS_LIMIT = "EOrder:Orders limit exceeded"
NOT_UNIQUE = "EGeneral:Invalid arguments:cl_ord_id not unique"
DEADLINE = "EService:Deadline elapsed"
UNKNOWN_ORDER = "EOrder:Unknown order"
NOT_ENOUGH = "EOrder:Not enough leaves qty"


class Order(msgspec.Struct, eq=False, array_like=True, gc=False):
    """An order of ours. ``units`` is its price scaled; ``queue`` its place, 0 once it is done."""

    client_id: str
    exchange_id: str
    side: Side
    units: int
    price: Decimal
    volume: Decimal
    post_only: bool
    opened_at: float
    queue: int
    executed: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    state: OrderReportState = "open"
    closed_at: float | None = None
    trade_ids: list[str] = []
    reason: str = ""


class Fill(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One execution of an order."""

    trade_id: str
    at: float
    price: Decimal
    volume: Decimal
    cost: Decimal
    fee: Decimal


Line = tuple[Order, Fill | None]  # of the log: an order that changed, and the fill if that was why


class OrderBook:
    """Our orders and our money on one pair, filled by one market.
    ``balances`` is keyed by the instrument's asset names. ``keep`` bounds done orders and the log.
    """

    def __init__(
        self,
        instrument: Instrument,
        market: Market,
        maker_fee_pct: Decimal,
        fee_asset: Literal["quote", "base"],
        balances: Mapping[str, Decimal],
        open_orders_limit: int,
        keep: int = KEEP_DEFAULT,
    ) -> None:
        pair, decimals = instrument.pair, instrument.price_decimals
        if decimals != market.price_decimals:
            theirs = f"the market has {market.price_decimals}; both must be equal"
            raise ValueError(f"{pair} has {decimals} price decimals, {theirs}")
        if set(balances) - {instrument.base, instrument.quote}:
            raise ValueError(f"balances were of {sorted(balances)}, the pair is {pair}")
        self.market = market
        self.now = market.at
        self.executions_made = 0
        self.open_orders_limit = open_orders_limit
        self.quote_total = balances.get(instrument.quote, ZERO) + ZERO
        self.base_total = balances.get(instrument.base, ZERO) + ZERO
        self.quote_held = self.base_held = ZERO
        self._instrument = instrument
        self._scale = Decimal(market.scale)
        self._price_step = quantum(market.price_decimals)
        self._tick_units = int(instrument.tick_size * self._scale)
        self._lot = quantum(instrument.volume_decimals)
        self._cost_step = quantum(instrument.cost_decimals)
        self._fee_pct, self._fee_factor = maker_fee_pct, maker_fee_pct.scaleb(-2)
        self._fee_in_base = fee_asset == "base"
        self._fee_asset = instrument.base if self._fee_in_base else instrument.quote
        self._fee_step = self._lot if self._fee_in_base else self._cost_step
        self._keep = keep
        self._open: dict[str, Order] = {}
        self._known: dict[str, Order] = {}  # the newest order of each client id
        self._done: deque[Order] = deque()
        self._buys: list[tuple[int, int, Order]] = []
        self._sells: list[tuple[int, int, Order]] = []
        self._log: list[Line] = []
        self._log_offset = 0
        self._queue = self._orders_made = 0

    @property
    def orders_open(self) -> int:
        """Orders resting now."""
        return len(self._open)

    def free(self, side: Side) -> Decimal:
        """What a new buy may cost, in quote; what a new sell may sell, in base."""
        if side == "sell":
            return self.base_total - self.base_held
        return self.quote_total - self.quote_held

    def _best_prices(self) -> tuple[int, int]:
        """The highest buy and the lowest sell, scaled."""
        buys, sells = self._buys, self._sells
        while buys and buys[0][2].queue != buys[0][1]:  # moved or done
            heappop(buys)
        while sells and sells[0][2].queue != sells[0][1]:
            heappop(sells)
        return -buys[0][0] if buys else NO_DOWN, sells[0][0] if sells else NO_UP

    def _traded(self) -> Decimal | None:
        """Base volume to share out at the market's tick; None: no limit."""
        return self.market.volume

    def _touch(self) -> tuple[int, int]:
        """Best bid and ask, scaled."""
        return self.market.price, self.market.price

    def _match(self) -> bool:
        """Fill what is due at the market's tick; whether anything was filled."""
        price, left, before = self.market.price, self._traded(), self.executions_made
        while left != ZERO:
            buy, sell = self._best_prices()
            if buy < price < sell:
                break
            left = self._fill_from(left, (self._buys if buy >= price else self._sells)[0][2])
        return self.executions_made > before

    def _fill_from(self, left: Decimal | None, order: Order) -> Decimal | None:
        """Fill ``order`` from the volume ``left`` (None: no limit); what is left after it."""
        volume = order.volume - order.executed
        after = None if left is None else max(left - volume, ZERO)
        if left is not None and left < volume:
            volume = left.quantize(self._lot, ROUND_DOWN)
        if volume:
            self._fill(order, volume, self.market.at, order.price, self._fee_factor)
        return after

    def _fill(
        self, order: Order, volume: Decimal, at: float, price: Decimal, fee_factor: Decimal
    ) -> None:
        """Execute a part of ``order``, whether it rests or takes at once."""
        cost = (price * volume).quantize(self._cost_step, ROUND_HALF_EVEN)
        charged = volume if self._fee_in_base else cost
        fee = (charged * fee_factor).quantize(self._fee_step, ROUND_HALF_EVEN)
        if order.queue:
            self._hold(order.side, -volume if order.side == "sell" else -order.price * volume)
        self.executions_made += 1
        fill = Fill(f"T{self.executions_made:07d}", at, price, volume, cost, fee)
        self._settle(order, fill)
        order.executed += volume
        order.cost += cost
        order.fee += fee
        order.trade_ids.append(fill.trade_id)
        if order.executed == order.volume:
            self._finish(order, "closed", at, "")
        self._note(order, fill)

    def _settle(self, order: Order, fill: Fill) -> None:
        """Book what a fill moves."""
        if order.side == "buy":
            self.quote_total -= fill.cost
            self.base_total += fill.volume
        else:
            self.base_total -= fill.volume
            self.quote_total += fill.cost
        if self._fee_in_base:
            self.base_total -= fill.fee
        else:
            self.quote_total -= fill.fee

    def _finish(self, order: Order, state: OrderReportState, at: float, reason: str) -> None:
        order.state, order.closed_at, order.reason, order.queue = state, at, reason, 0
        del self._open[order.client_id]
        self._done.append(order)
        if len(self._done) > self._keep:
            oldest = self._done.popleft()
            if self._known[oldest.client_id] is oldest:
                del self._known[oldest.client_id]

    def _note(self, order: Order, fill: Fill | None = None) -> None:
        self._log.append((order, fill))
        if len(self._log) > 2 * self._keep:
            del self._log[: self._keep]
            self._log_offset += self._keep

    def _place(self, request: OrderRequest) -> Outcome:
        client_id = request.client_id
        if 0 < request.deadline < self.now:
            return _refused(client_id, "place", DEADLINE)
        if client_id in self._open:
            return _refused(client_id, "place", NOT_UNIQUE)
        if len(self._open) >= self.open_orders_limit:
            return _refused(client_id, "place", ORDERS_LIMIT)
        exchange_id, rests = f"O{self._orders_made + 1:07d}", (request.post_only, self.now, 0)
        order = Order(client_id, exchange_id, request.side, 0, ZERO, ZERO, *rests)
        outcome = self._move(order, request.price, request.volume, "place")
        if outcome.kind == "accepted":
            self._orders_made += 1
            self._open[client_id] = self._known[client_id] = order
        return outcome

    def _amend(self, request: AmendRequest) -> Outcome:
        order = self._open.get(request.client_id)
        if 0 < request.deadline < self.now:
            return _refused(request.client_id, "amend", DEADLINE)
        if order is None:
            return _refused(request.client_id, "amend", UNKNOWN_ORDER)
        if request.volume <= order.executed:
            return _refused(request.client_id, "amend", NOT_ENOUGH)
        return self._move(order, request.price, request.volume, "amend")

    def _move(self, order: Order, price: Decimal, volume: Decimal, verb: Verb) -> Outcome:
        """Let ``order`` rest with these figures, last in its queue, if rules and funds allow."""
        side, left = order.side, volume - order.executed
        more = left if side == "sell" else price * left
        if order.queue:
            more -= held_by(order)
        code = self._broken_rule(order, price, volume)
        if code or more > max(self.free(side), ZERO):
            return _refused(order.client_id, verb, code or FUNDS)
        self._queue += 1
        order.units, order.queue = int(price * self._scale), self._queue
        order.price, order.volume = price.quantize(self._price_step), volume.quantize(self._lot)
        self._hold(side, more)
        self._push(order)
        return Outcome(order.client_id, verb, "accepted", order.exchange_id)

    def _broken_rule(self, order: Order, price: Decimal, volume: Decimal) -> str:
        """Why the pair's rules forbid these figures; funds are another matter."""
        rules, scaled = self._instrument, price * self._scale
        units = int(scaled)
        if volume % self._lot:
            return OFF_LOT
        if volume < rules.min_volume:
            return ORDER_MINIMUM
        if units <= 0 or units != scaled or units % self._tick_units:
            return TICK_SIZE
        if price * volume < rules.min_cost:
            return COST_MINIMUM
        return POST_ONLY if order.post_only and self._crosses(order.side, units) else ""

    def _crosses(self, side: Side, units: int) -> bool:
        """Whether an order at this scaled price would take."""
        bid, ask = self._touch()
        return units >= ask if side == "buy" else units <= bid

    def _cancel(self, client_id: str, reason: str) -> Outcome:
        order = self._known.get(client_id)
        if order is None or order.state == "closed":
            return _refused(client_id, "cancel", UNKNOWN_ORDER)
        if order.state == "open":
            self._hold(order.side, -held_by(order))
            self._finish(order, "cancelled", self.now, reason)
            self._note(order)
        return Outcome(client_id, "cancel", "accepted", order.exchange_id)

    def _hold(self, side: Side, amount: Decimal) -> None:
        if side == "buy":
            self.quote_held += amount
        else:
            self.base_held += amount

    def _push(self, order: Order) -> None:
        buys = order.side == "buy"
        heap = self._buys if buys else self._sells
        heappush(heap, (-order.units if buys else order.units, order.queue, order))
        if len(heap) > 2 * len(self._open) + 64:  # mostly entries of orders moved or done
            heap[:] = [entry for entry in heap if entry[2].queue == entry[1]]
            heapify(heap)


def held_by(order: Order) -> Decimal:
    """What a resting order reserves: a sell base, a buy quote."""
    left = order.volume - order.executed
    return left if order.side == "sell" else order.price * left


def _refused(client_id: str, verb: Verb, code: str) -> Outcome:
    return Outcome(client_id, verb, "refused", code=code, text=code.partition(":")[2])
