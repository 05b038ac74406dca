"""One Kraken account trading one pair: the order book, and all that Kraken remembers of it.

Orders are known to the book by their txid; rows of orders, trades and the ledger are kept as they
are answered. The market walks on when somebody looks, tick by tick, matching all the way; market
time and API time run linearly. Every change of an order leaves a row, so that a read can show the
past. Ledger rows are rounded half-even to their asset's digits; a balance is the sum of its rows.
"""

import base64
import hashlib
from collections import deque
from decimal import ROUND_HALF_EVEN, Decimal
from heapq import heappop, heappush
from typing import Any

import msgspec
from msgspec.structs import replace

from gridbot.core.numbers import ONE, ZERO, quantum
from gridbot.core.records import Instrument, OrderReportState, Side
from gridbot.core.settings import TIER_OPEN_ORDERS
from gridbot.exchange.emulator.config import EmulatorConfig
from gridbot.exchange.emulator.faults import Faults
from gridbot.exchange.emulator.pairs import ASSETS, FEE_TIERS, Pair, Refused
from gridbot.exchange.emulator.tape import Tape
from gridbot.exchange.markets import NO_DOWN, NO_UP, Market
from gridbot.exchange.order_book import (
    FUNDS,
    NOT_UNIQUE,
    ORDERS_LIMIT,
    Fill,
    Order,
    OrderBook,
    held_by,
)  # fmt: skip

KEEP = 10_000  # done orders; trades and ledger rows in proportion
VERSIONS_KEPT = 16
GAP_PARTS = 20_000  # half the spread is this part of the price, one tick at least
STATUS = {"open": "open", "closed": "closed", "cancelled": "canceled", "expired": "expired"}

Json = dict[str, Any]


class Wish(msgspec.Struct):
    """An order as asked for. ``price`` None: at market; ``in_quote``: the volume is money."""

    side: Side
    volume: Decimal
    price: Decimal | None
    flags: list[str]
    cl_ord_id: str = ""
    userref: int = 0
    ioc: bool = False
    expires_at: float = 0.0
    in_quote: bool = False


class Placed(msgspec.Struct, eq=False):
    """An order as Kraken knows it; times are API time, ``rows`` the newest of its past."""

    txid: str
    order: Order
    wish: Wish
    owner: bool
    opened_at: float
    touched_at: float  # placed or last amended
    amended: bool = False
    trades: list[str] = []
    rows: list[tuple[float, Json]] = []

    def seen(self, at: float) -> Json | None:
        """Its row as of ``at``; None before it was there."""
        if at < self.opened_at:
            return None
        return next((row for since, row in reversed(self.rows) if since <= at), self.rows[0][1])


class Account(OrderBook):
    """Methods take the market to be at the present: call ``advance_to`` first."""

    def __init__(
        self, config: EmulatorConfig, pair: Pair, market: Market, faults: Faults, now: float
    ) -> None:
        limit = TIER_OPEN_ORDERS[config.tier]
        super().__init__(pair.rules, market, ZERO, "quote", {}, limit, KEEP)
        self.pair, self.faults, self.tape, self.matching = pair, faults, Tape(), True
        self.balances: dict[str, Decimal] = {}
        self.placed: dict[str, Placed] = {}
        self.ended: deque[Placed] = deque()
        self.open_client_ids: dict[str, str] = {}  # to txids
        self.accepted: dict[str, int] = {}  # how often, by client id
        self.trades: dict[str, Json] = {}
        self.rows: dict[str, Json] = {}
        self.fixed = False
        self.cancel_all_at = 0.0
        self._timers: list[tuple[float, str]] = []
        self._started_at, self._market_at, self._speed = now, market.at, config.speed
        self._seed, self._names = config.seed, 0
        self._digits = {asset: row["decimals"] for asset, row in ASSETS.items()}
        if config.ledger_digits == "cost":
            self._digits[pair.quote] = pair.rules.cost_decimals
        self.set_fee_tier(0)
        self._record()

    # ---- time and the market

    @property
    def api_now(self) -> float:
        """API time of the moment the market has come to."""
        return self._started_at + (self.now - self._market_at) / self._speed

    def advance_to(self, at: float) -> None:
        """Let the market come to API time ``at``, with what falls due on the way."""
        while self._timers and self._timers[0][0] <= at:
            due_at, txid = heappop(self._timers)
            self._walk(due_at)
            if txid in self._open:
                self.end(self.placed[txid], "expired", "")
            elif due_at == self.cancel_all_at:
                self.cancel_all()
        self._walk(at)

    def wake_at(self, at: float, txid: str = "") -> None:
        """Expire the order at API time ``at``, or cancel all if ``cancel_all_at`` is still that."""
        heappush(self._timers, (at, txid))

    def stand_at(self, units: int) -> None:
        """Put the price there for good: the market stands still from now on."""
        self.fixed, self.market.price = True, units
        self._record()
        self._match()

    def _walk(self, at: float) -> None:
        until = self._market_at + (at - self._started_at) * self._speed
        while not self.fixed and self.market.next_at <= until:
            self.market.advance(NO_UP, NO_DOWN, 0.0)
            self.now = self.market.at
            self._record()
            self._match()
        self.now = max(self.now, until)

    def _record(self) -> None:
        volume = self.market.volume
        traded = self._instrument.min_volume * 20 if volume is None else volume
        self.tape.record(self.api_now, self.market.price, float(traded))

    # ---- matching

    def _touch(self) -> tuple[int, int]:
        last, tick = self.market.price, self._tick_units
        gap = max(last // GAP_PARTS, tick)
        bid = max((last - gap) // tick * tick, tick)
        return bid, -(-(last + gap) // tick) * tick

    def touch(self) -> tuple[Decimal, Decimal]:
        """Best bid and ask."""
        bid, ask = self._touch()
        return bid * self._price_step, ask * self._price_step

    def _match(self) -> bool:
        buy, sell = self._best_prices()
        return self.matching and not buy < self.market.price < sell and super()._match()

    def _traded(self) -> Decimal | None:
        volume = self.market.volume
        if not self.faults.fires("fills-in-slivers"):
            return volume
        buys = self._best_prices()[0] >= self.market.price
        due = (self._buys if buys else self._sells)[0][2]
        part = (due.volume - due.executed) * self.faults.random.randint(1, 60) / 100
        return part if volume is None else min(part, volume)

    def _fill(
        self, order: Order, volume: Decimal, at: float, price: Decimal, fee_factor: Decimal
    ) -> None:
        if order.queue and self.faults.fires("better-price"):
            price += self._instrument.tick_size * (-1 if order.side == "buy" else 1)
        short = order.executed + volume == order.volume and volume > self._lot
        short = short and self.faults.fires("sliver-short")
        super()._fill(order, volume - self._lot * short, self.now, price, fee_factor)
        if short:
            self.end(self.placed[order.client_id], "closed", "")

    def fill_now(self, placed: Placed, share: Decimal = ONE) -> None:
        """Execute a share of what is left of a resting order at its limit."""
        order = placed.order
        volume = (order.volume - order.executed) * share // self._lot * self._lot
        if order.state == "open" and volume:
            self._fill(order, volume, self.now, order.price, self._fee_factor)

    def _settle(self, order: Order, fill: Fill) -> None:
        placed, txid = self.placed[order.client_id], self.name("T")
        sign, in_base = (1 if order.side == "buy" else -1), "fcib" in placed.wish.flags
        fees = (fill.fee / fill.price, ZERO) if in_base else (ZERO, fill.fee)
        base, quote = self.pair.base, self.pair.quote
        trade = ("trade", "tradespot", txid)
        rows = [self.book(*trade, base, sign * fill.volume, fees[0]),
                self.book(*trade, quote, -sign * fill.cost, fees[1])]  # fmt: skip
        money = quantum(self._instrument.cost_decimals)
        _keep(self.trades, txid, {
            "ordertxid": order.client_id, "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": self.pair.id,
            "aclass": "forex", "time": self.api_now, "type": order.side, "leverage": "0",
            "ordertype": "limit" if placed.wish.price else "market", "misc": "",
            "price": f"{fill.price.quantize(money):f}", "cost": f"{fill.cost:f}",
            "fee": f"{fill.fee:f}", "vol": f"{fill.volume:f}", "margin": "0.00000",
            "trade_id": self.executions_made, "maker": order.queue > 0, "ledgers": rows,
        })  # fmt: skip
        placed.trades.append(txid)

    def _finish(self, order: Order, state: OrderReportState, at: float, reason: str) -> None:
        super()._finish(order, state, at, reason)
        placed = self.placed[order.client_id]
        self.open_client_ids.pop(placed.wish.cl_ord_id, None)
        self.ended.append(placed)
        if len(self.ended) > KEEP:
            del self.placed[self.ended.popleft().txid]

    def _note(self, order: Order, fill: Fill | None = None) -> None:
        placed = self.placed[order.client_id]
        placed.rows.append((self.api_now, self._row(placed)))
        del placed.rows[:-VERSIONS_KEPT]

    def _row(self, placed: Placed) -> Json:
        order, wish = placed.order, placed.wish
        average = order.cost / order.executed if order.executed else ZERO
        zero, cost, fee, price = (
            f"{one.quantize(self._cost_step):f}" for one in (ZERO, order.cost, order.fee, average)
        )
        row = {
            "refid": None, "userref": wish.userref, "status": STATUS[order.state],
            "opentm": placed.opened_at, "starttm": 0, "expiretm": wish.expires_at,
            "descr": self.description(wish, order.price, order.volume), "vol": f"{order.volume:f}",
            "vol_exec": f"{order.executed.quantize(self._lot):f}", "stopprice": zero,
            "cost": cost, "fee": fee, "price": price, "limitprice": zero,
            "reason": order.reason or None, "oflags": ",".join(wish.flags),
            "misc": "amended" if placed.amended else "", "trades": list(placed.trades),
        }  # fmt: skip
        if wish.cl_ord_id:
            row["cl_ord_id"] = wish.cl_ord_id
        return row if order.state == "open" else row | {"closetm": self.api_now}

    def description(self, wish: Wish, price: Decimal, volume: Decimal) -> Json:
        """The ``descr`` of an order."""
        at = f"limit {price.quantize(self._price_step):f}" if wish.price else "market"
        text = f"{wish.side} {volume.quantize(self._lot):f} {self.pair.altname} @ {at}"
        kind, _, limit = at.partition(" ")
        return {
            "pair": self.pair.altname, "aclass": "forex", "type": wish.side, "ordertype": kind,
            "price": limit or "0", "price2": "0", "leverage": "none", "order": text, "close": "",
        }  # fmt: skip

    # ---- orders

    def check(self, wish: Wish, late: bool = False) -> tuple[Decimal, Decimal]:
        """Price and volume of the order; raises Refused if rules or limits forbid it."""
        touch = self.touch()[wish.side == "buy"]
        volume = wish.volume // (touch * self._lot) * self._lot if wish.in_quote else wish.volume
        price = wish.price or touch
        code = NOT_UNIQUE if wish.cl_ord_id in self.open_client_ids else ""
        if not code and self.orders_open >= self.open_orders_limit:
            code = ORDERS_LIMIT
        post_only = "post" in wish.flags and not late
        draft = Order("", "", wish.side, 0, price, volume, post_only, 0.0, 0)
        if code := code or self._broken_rule(draft, price, volume):
            raise Refused(code)
        return price, volume

    def add(self, wish: Wish, owner: bool = False) -> Placed:
        """Accept an order and fill it if it takes; raises Refused."""
        side, touch = wish.side, self.touch()[wish.side == "buy"]
        takes = wish.price is None or self._crosses(side, int(wish.price * self._scale))
        late = takes and "post" in wish.flags and self.faults.fires("post-only-late")
        price, volume = self.check(wish, late)
        if (volume if side == "sell" else price * volume) > max(self.free(side), ZERO):
            raise Refused(FUNDS)
        txid, now = self.name("O"), self.api_now
        order = Order(txid, txid, side, 0, price, volume, "post" in wish.flags, self.now, 0)
        placed = self.placed[txid] = Placed(txid, order, wish, owner, now, now)
        self._open[txid] = self._known[txid] = order
        if wish.cl_ord_id:
            self.open_client_ids[wish.cl_ord_id] = txid
            self.accepted[wish.cl_ord_id] = self.accepted.get(wish.cl_ord_id, 0) + 1
        if wish.expires_at:
            self.wake_at(wish.expires_at, txid)
        if late:
            self.end(placed, reason="Post only order")
        elif takes:
            self._fill(order, volume, self.now, touch, self._taker_factor)
        elif wish.ioc:
            self.end(placed, reason="Immediate or cancel")
        else:
            self._move(order, price, volume, "place")
            self._note(order)
        return placed

    def amend(self, placed: Placed, price: Decimal, volume: Decimal) -> None:
        """Move an open order; not above what is executed, the rest is cancelled. Raises Refused."""
        if volume <= placed.order.executed:
            return self.end(placed)
        outcome = self._move(placed.order, price, volume, "amend")
        if outcome.kind != "accepted":
            raise Refused(outcome.code)
        placed.touched_at, placed.amended = self.api_now, True
        return self._note(placed.order)

    def end(
        self, placed: Placed, state: OrderReportState = "cancelled", reason: str = "User requested"
    ) -> None:
        """Take an open order off the book."""
        order = placed.order
        if order.queue:
            self._hold(order.side, -held_by(order))
        self._finish(order, state, self.now, reason)
        self._note(order)

    def cancel_all(self) -> int:
        """Cancel whatever is open; how many those were."""
        every = self.open_now()
        for placed in every:
            self.end(placed)
        return len(every)

    def open_now(self) -> list[Placed]:
        """The orders open at this moment, oldest first."""
        return [self.placed[txid] for txid in self._open]

    # ---- money and rules

    def book(
        self, kind: str, subtype: str, refid: str, asset: str, amount: Decimal, fee: Decimal = ZERO
    ) -> str:
        """One ledger row, rounded to the asset's digits; its id."""
        plain_asset, row_id = asset.partition(".")[0], self.name("L")
        step = quantum(self._digits[plain_asset])
        amount, fee = (one.quantize(step, ROUND_HALF_EVEN) for one in (amount, fee))
        self.balances[asset] = balance = self.balances.get(asset, ZERO) + amount - fee
        self.base_total = self.balances.get(self.pair.base, ZERO)
        self.quote_total = self.balances.get(self.pair.quote, ZERO)
        _keep(self.rows, row_id, {
            "refid": refid, "time": self.api_now, "type": kind, "subtype": subtype,
            "aclass": "currency", "asset": asset, "amount": f"{amount:f}", "fee": f"{fee:f}",
            "balance": f"{balance:f}",
        })  # fmt: skip
        return row_id

    def held(self, asset: str) -> Decimal:
        """What open orders reserve of an asset, in its digits."""
        held = {self.pair.base: self.base_held, self.pair.quote: self.quote_held}
        return held.get(asset, ZERO).quantize(quantum(self._digits[asset.partition(".")[0]]))

    @property
    def rules(self) -> Instrument:
        """The pair's rules in force."""
        return self._instrument

    def toggle_rules(self) -> None:
        """A coarser tick and a higher minimum, or back to the listed ones."""
        rules = listed = self.pair.rules
        if self._instrument == listed:
            tick, least = listed.tick_size * 10, listed.min_volume * 2
            rules = replace(listed, tick_size=tick, min_volume=least)
        self._instrument, self._tick_units = rules, int(rules.tick_size * self._scale)

    def set_fee_tier(self, tier: int) -> None:
        """Charge the fees of this row of the schedule from now on."""
        self.fee_tier = tier
        self._fee_factor, self._taker_factor = (pct.scaleb(-2) for pct in FEE_TIERS[tier][1:])

    def name(self, kind: str) -> str:
        """A new id of Kraken's pattern, beginning with ``kind``."""
        self._names += 1
        digest = hashlib.sha256(f"{self._seed}:{self._names}".encode()).digest()
        text = base64.b32encode(digest).decode()
        return f"{kind}{text[:5]}-{text[5:10]}-{text[10:16]}"


def _keep(kept: dict[str, Json], key: str, row: Json) -> None:
    kept[key] = row
    if len(kept) > 4 * KEEP:
        del kept[next(iter(kept))]
