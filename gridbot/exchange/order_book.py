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
    Fees,
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


class Counters(msgspec.Struct):
    """What the venue did since it was made."""

    placed: int = 0
    refused: int = 0
    amended: int = 0
    cancelled: int = 0
    executions: int = 0
    open_max: int = 0


class OrderBook:
    """Our orders and our money on one pair, filled by one market.

    ``balances`` is keyed by the instrument's asset names. ``keep`` bounds the done orders and the
    log, whose lines name the order that changed and its fill, if that was the change.
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
        if instrument.price_decimals != market.price_decimals:
            raise ValueError(
                f"{instrument.pair} has {instrument.price_decimals} price decimals, the market "
                f"has {market.price_decimals}; both must be equal"
            )
        if set(balances) - {instrument.base, instrument.quote}:
            raise ValueError(f"balances were of {sorted(balances)}, the pair is {instrument.pair}")
        self.market = market
        self.now = market.at
        self.counters = Counters()
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
        self._fees = Fees(maker_fee_pct, maker_fee_pct, "simulated")
        self._fee_factor = maker_fee_pct.scaleb(-2)
        self._fee_in_base = fee_asset == "base"
        self._fee_step = self._lot if self._fee_in_base else self._cost_step
        self._keep = keep
        self._open: dict[str, Order] = {}
        self._known: dict[str, Order] = {}  # the newest order of each client id
        self._done: deque[Order] = deque()
        self._buys: list[tuple[int, int, Order]] = []
        self._sells: list[tuple[int, int, Order]] = []
        self._log: list[tuple[Order, Fill | None]] = []
        self._log_offset = 0
        self._queue = self._orders_made = 0

    @property
    def free_quote(self) -> Decimal:
        """What a new buy may cost."""
        return self.quote_total - self.quote_held

    @property
    def free_base(self) -> Decimal:
        """What a new sell may sell."""
        return self.base_total - self.base_held

    @property
    def orders_open(self) -> int:
        """Orders resting now."""
        return len(self._open)

    # --- filling ----------------------------------------------------------------------------

    def _best_buy(self) -> int:
        heap = self._buys
        while heap:
            units, queue, order = heap[0]
            if order.queue == queue:
                return -units
            heappop(heap)
        return NO_DOWN

    def _best_sell(self) -> int:
        heap = self._sells
        while heap:
            units, queue, order = heap[0]
            if order.queue == queue:
                return units
            heappop(heap)
        return NO_UP

    def _match(self) -> bool:
        """Fill what is due at the market's tick; whether anything was filled."""
        price, left = self.market.price, self.market.volume
        executions = self.counters.executions
        while left != ZERO and self._best_buy() >= price:
            left = self._fill_from(self._buys[0][2], left)
        while left != ZERO and self._best_sell() <= price:
            left = self._fill_from(self._sells[0][2], left)
        return self.counters.executions > executions

    def _fill_from(self, order: Order, left: Decimal | None) -> Decimal | None:
        """Fill ``order`` from the volume ``left`` (None: no limit); what is left after it."""
        volume = order.volume - order.executed
        if left is None:
            self._fill(order, volume)
            return None
        if left >= volume:
            self._fill(order, volume)
            return left - volume
        if part := left.quantize(self._lot, ROUND_DOWN):
            self._fill(order, part)
        return ZERO

    def _fill(self, order: Order, volume: Decimal) -> None:
        at, price = self.market.at, order.price
        value = price * volume
        cost = value.quantize(self._cost_step, ROUND_HALF_EVEN)
        charged = volume if self._fee_in_base else cost
        fee = (charged * self._fee_factor).quantize(self._fee_step, ROUND_HALF_EVEN)
        if order.side == "buy":
            self.quote_held -= value
            self.quote_total -= cost
            self.base_total += volume
        else:
            self.base_held -= volume
            self.base_total -= volume
            self.quote_total += cost
        if self._fee_in_base:
            self.base_total -= fee
        else:
            self.quote_total -= fee
        self.counters.executions += 1
        fill = Fill(f"T{self.counters.executions:07d}", at, price, volume, cost, fee)
        order.executed += volume
        order.cost += cost
        order.fee += fee
        order.trade_ids.append(fill.trade_id)
        if order.executed == order.volume:
            self._finish(order, "closed", at, "")
        self._note(order, fill)

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
            self._drop_lines(self._keep)

    def _drop_lines(self, count: int) -> None:
        del self._log[:count]
        self._log_offset += count

    # --- placing, moving, cancelling --------------------------------------------------------

    def _place(self, request: OrderRequest) -> Outcome:
        client_id, side, price = request.client_id, request.side, request.price
        volume, code = request.volume, ""
        if 0 < request.deadline < self.now:
            code = DEADLINE
        elif client_id in self._open:
            code = NOT_UNIQUE
        elif len(self._open) >= self.open_orders_limit:
            code = ORDERS_LIMIT
        code = code or self._rule_broken(side, price, volume, request.post_only)
        hold = volume if side == "sell" else price * volume
        if code or hold > self._free(side):
            return self._refuse(client_id, "place", code or FUNDS)
        self._orders_made += 1
        self._queue += 1
        exchange_id, units = f"O{self._orders_made:07d}", int(price * self._scale)
        price, volume = price.quantize(self._price_step), volume.quantize(self._lot)
        terms = (units, price, volume, request.post_only, self.now, self._queue)
        order = Order(client_id, exchange_id, side, *terms)
        self._open[client_id] = self._known[client_id] = order
        self._rest(order, hold)
        counters = self.counters
        counters.placed += 1
        if len(self._open) > counters.open_max:
            counters.open_max = len(self._open)
        return Outcome(client_id, "place", "accepted", exchange_id)

    def _amend(self, request: AmendRequest) -> Outcome:
        client_id, volume = request.client_id, request.volume
        order = self._open.get(client_id)
        if 0 < request.deadline < self.now:
            return self._refuse(client_id, "amend", DEADLINE)
        if order is None:
            return self._refuse(client_id, "amend", UNKNOWN_ORDER)
        if volume <= order.executed:
            return self._refuse(client_id, "amend", NOT_ENOUGH)
        side, price, left = order.side, request.price, volume - order.executed
        code = self._rule_broken(side, price, volume, order.post_only)
        more = (left if side == "sell" else price * left) - self._held_by(order)
        if code or more > max(self._free(side), ZERO):
            return self._refuse(client_id, "amend", code or FUNDS)
        self._queue += 1
        order.units, order.queue = int(price * self._scale), self._queue
        order.price, order.volume = price.quantize(self._price_step), volume.quantize(self._lot)
        self._rest(order, more)
        self.counters.amended += 1
        return Outcome(client_id, "amend", "accepted", order.exchange_id)

    def _cancel(self, client_id: str, reason: str) -> Outcome:
        order = self._known.get(client_id)
        if order is None or order.state == "closed":
            return self._refuse(client_id, "cancel", UNKNOWN_ORDER)
        if order.state == "open":
            self._hold(order.side, -self._held_by(order))
            self._finish(order, "cancelled", self.now, reason)
            self._note(order)
            self.counters.cancelled += 1
        return Outcome(client_id, "cancel", "accepted", order.exchange_id)

    def _rule_broken(self, side: Side, price: Decimal, volume: Decimal, post_only: bool) -> str:
        """Kraken's text for the rule that these figures break, empty if none."""
        rules, scaled = self._instrument, price * self._scale
        units, last = int(scaled), self.market.price
        if volume % self._lot:
            return OFF_LOT
        if volume < rules.min_volume:
            return ORDER_MINIMUM
        if units <= 0 or units != scaled or units % self._tick_units:
            return TICK_SIZE
        if price * volume < rules.min_cost:
            return COST_MINIMUM
        if post_only and (units >= last if side == "buy" else units <= last):
            return POST_ONLY
        return ""

    def _free(self, side: Side) -> Decimal:
        if side == "sell":
            return self.base_total - self.base_held
        return self.quote_total - self.quote_held

    def _refuse(self, client_id: str, verb: Verb, code: str) -> Outcome:
        self.counters.refused += 1
        return Outcome(client_id, verb, "refused", code=code, text=code.partition(":")[2])

    def _held_by(self, order: Order) -> Decimal:
        left = order.volume - order.executed
        return left if order.side == "sell" else order.price * left

    def _hold(self, side: Side, amount: Decimal) -> None:
        if side == "buy":
            self.quote_held += amount
        else:
            self.base_held += amount

    def _rest(self, order: Order, hold: Decimal) -> None:
        self._hold(order.side, hold)
        self._push(order)

    def _push(self, order: Order) -> None:
        buys = order.side == "buy"
        heap = self._buys if buys else self._sells
        heappush(heap, (-order.units if buys else order.units, order.queue, order))
        if len(heap) > 2 * len(self._open) + 64:  # mostly entries of orders moved or done
            heap[:] = [entry for entry in heap if entry[2].queue == entry[1]]
            heapify(heap)
