"""Our pair on our Kraken account behind the Exchange Protocol.

Orders are ours by the prefix of their client id. Nothing is inferred from absence: what vanished
from the listing is asked for by id, and what Kraken does not answer for is left for the next time.
Entries and amends are denied here while the engine counter is above 70 %; exits and cancels may
use all of it. Nothing is rounded: an order off the pair's grid is refused here.
"""

import contextlib
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from gridbot.core.numbers import ZERO, plain, quantum
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
from gridbot.exchange.kraken import answers
from gridbot.exchange.kraken.errors import Refusal, about_rules, gravest, outcome
from gridbot.exchange.kraken.limits import AMEND_POINTS, CANCEL_POINTS, points_for_age
from gridbot.exchange.kraken.names import Listing
from gridbot.exchange.kraken.private import HISTORY, PAGE_ROWS, PrivateKraken
from gridbot.exchange.kraken.public import CLOCK_SECONDS, PublicKraken
from gridbot.exchange.protocol import (
    BadAnswer,
    Fatal,
    KnownOrders,
    RateLimited,
    RetryLater,
    nothing_known,
)

ENTRY_SHARE = 0.7  # of the engine counter
POLL_ROOM = 13.0  # points of the call counter that must be free, for what a poll may find
BATCH_MAX, CANCEL_MAX, TRADES_MAX = 15, 50, 20
LEAD_SECONDS = 2.0  # a nearer deadline Kraken refuses
YOUNG_SECONDS = 300.0  # older orders cost nothing to touch
RULES_SECONDS = 86400.0
RETELL_SECONDS = 60.0  # a stranger among our orders is told again
CLOCKS_APART_SECONDS = 120.0
REFUSED_SECONDS = 30.0  # to wait after Kraken would not have us
LATE_SECONDS = 3600.0  # an order must be known so long after its trade
IDS_MAX = 20_000


class KrakenExchange:
    """One pair on one account. After a listing ``foreign_orders`` counts the open orders on the
    pair that are not ours. ``rules_stale``: the pair's rules should be read again."""

    def __init__(
        self, public: PublicKraken, private: PrivateKraken, instrument: Instrument, prefix: str
    ) -> None:
        """``prefix``: what our client ids begin with."""
        self.foreign_orders = 0
        self._public, self._private, self._rules = public, private, instrument
        self._clock, self._prefix = public.clock, prefix
        self._rules_at, self._refused_for_rules = self._clock(), False
        self._foreign: dict[str, Decimal] | None = None  # held by strangers' orders, by asset
        self._polled = False
        self._told: dict[str, float] = {}  # orders with our prefix nobody claimed, and when
        self._touched: dict[str, float] = {}  # when an order was placed or amended
        self._order_of: dict[str, str] = {}  # trade -> order
        self._client_of: dict[str, str] = {}  # order -> client id

    # --- reads ------------------------------------------------------------------------------

    @property
    def rules_stale(self) -> bool:
        """A day has passed, or an order was refused for the rules."""
        return self._refused_for_rules or self._clock() - self._rules_at >= RULES_SECONDS

    async def instrument(self) -> Instrument:
        self._rules = await self._public.instrument(self._rules.pair)
        self._rules_at, self._refused_for_rules = self._clock(), False
        return self._rules

    async def fees(self) -> Fees:
        """Percent; a pair without a maker's fee of its own has one for both."""
        volume = await self._private.trade_volume((await self._listing()).altname)
        taker, maker = ([*(volume[one] or {}).values()] for one in ("fees", "fees_maker"))
        if not taker:
            raise BadAnswer("TradeVolume", "no fee of the pair")
        return Fees((maker or taker)[0]["fee"], taker[0]["fee"], "account")

    async def quote(self) -> Quote:
        return await self._public.quote(self._rules.pair)

    async def balances(self) -> dict[str, Balance]:
        """All assets; never empty, because an account that holds nothing cannot trade."""
        if self._foreign is None:
            await self._listed()
        names, rows = await self._public.names(), await self._private.balances_ex()
        if not rows:
            raise BadAnswer("BalanceEx", "the account holds nothing")
        strange = self._foreign or {}
        found = {one: Balance(ZERO) for one in (self._rules.base, self._rules.quote)}
        for key, row in rows.items():
            name, _, suffix = key.partition(".")
            asset, amount = names.asset(name), row["balance"]
            old = found.get(asset, Balance(ZERO))
            new = {"total": amount, "held": row["hold_trade"], "foreign": strange.get(asset, ZERO)}
            found[asset] = replace(
                old, **({"elsewhere": old.elsewhere + amount} if suffix else new)
            )
        return found

    async def open_orders(self) -> OpenOrders:
        """Our own ones, whoever of us placed them."""
        return OpenOrders(tuple((await self._listed()).values()), self._clock())

    async def reports(self, orders: Sequence[LiveOrder]) -> list[OrderReport]:
        """By exchange id, 50 a call; one without it is looked up by client id."""
        ids = {one.exchange_id: one.client_id for one in orders if one.exchange_id}
        self._remember({}, ids)
        lost = [one for one in orders if not one.exchange_id]
        since = min((one.placed_at for one in lost), default=0.0)
        found = await self.find([one.client_id for one in lost], since) if lost else []
        return await self._query(list(ids)) + found

    async def client_ids(self, since: float | None = None, ours: str = "") -> list[str]:
        """Of all orders on the pair that rest now, whoever placed them; with ``since`` also those
        done since then. Only the newest page of these is read, and if it is full whether there is
        an order with the client id ``ours``.
        """
        here, names = await self._listing(), await self._public.names()
        rows = [*(await self._private.open_orders()).values()]
        if since is not None:
            start = int(since + self._public.offset_seconds - CLOCKS_APART_SECONDS)
            page = await self._private.closed_orders(start, pages=1)
            rows += page.values()
            if len(page) >= PAGE_ROWS and ours:
                rows += (await self._private.closed_orders(start, cl_ord_id=ours)).values()
        return [
            row.cl_ord_id
            for row in rows
            if row.cl_ord_id and names.given(row.descr["pair"]) in (here, None)
        ]

    def api_use(self, at: float) -> dict[str, float]:
        """Points of the call and the engine counter, and their limits."""
        calls, engine = self._private.calls, self._private.engine
        return {
            "calls": calls.value(at), "calls_limit": calls.most,
            "engine": engine.value(at), "engine_limit": engine.most,
        }  # fmt: skip

    async def changes(
        self, cursor: str, known: KnownOrders = nothing_known
    ) -> tuple[list[OrderReport], str]:
        """One call, and one more for every 50 known orders that are not in the listing any more.
        An open order with our prefix that nobody knows is told once a minute.
        """
        calls, now = self._private.calls, self._clock()
        if self._polled and (until := calls.free_at(now, POLL_ROOM)) > now:
            raise RateLimited("polling is held back for the rate limit", until)
        self._polled = True  # trading waits for the first look, so it takes what room there is
        believed = {one.client_id: one for one in known()}
        found = await self._listed()
        gone = [live for name, live in believed.items() if name not in found and live.exchange_id]
        found |= {report.client_id: report for report in await self.reports(gone)}
        strange, here = found.keys() - believed.keys(), await self._listing()
        self.foreign_orders += len(strange)
        for name in strange:
            self._hold(here, found[name])
        young = {one: at for one, at in self._told.items() if now - at < RETELL_SECONDS}
        news = [found[name] for name in found if name in strange - young.keys()]
        self._told = {one: young.get(one, now) for one in strange}
        news += [found[one] for one, live in believed.items() if _is_news(live, found.get(one))]
        return news, ""

    async def find(self, client_ids: Sequence[str], since: float) -> list[OrderReport]:
        """One listing, and the pages of what closed since if some are not in it."""
        wanted, only = set(client_ids), dict[str, Any]()
        if len(wanted) == 1:
            only["cl_ord_id"] = client_ids[0]
        found = await self._private.open_orders(**only)
        if wanted - {row.cl_ord_id for row in found.values()}:
            start = int(since + self._public.offset_seconds - 60) if since else 0
            found = await self._private.closed_orders(start, **only) | found
        newest: dict[str, tuple[str, answers.Order]] = {}  # an id is free again once it is closed
        for txid, row in sorted(found.items(), key=lambda item: item[1].opentm):
            if row.cl_ord_id in wanted:
                newest[row.cl_ord_id] = txid, row
        return [self._report(*one) for one in newest.values()]

    async def executions(self, cursor: str) -> tuple[list[Execution], str]:
        """Our trades on the pair since ``cursor``, oldest first, as many as the limits allow."""
        here, names = await self._listing(), await self._public.names()
        history = self._private.history("TradesHistory", answers.TradePage, "trades", cursor)
        rows, after = await history
        ours = {key: row for key, row in rows.items() if names.given(row["pair"]) == here}
        self._remember({key: row["ordertxid"] for key, row in ours.items()}, {})
        clients = await self._clients({key: row["time"] for key, row in ours.items()})
        return [
            Execution(
                key, clients[key], row["ordertxid"], row["type"], row["time"], row["price"],
                row["vol"], row["cost"], row["fee"], here.quote,
            )
            for key, row in ours.items()
        ], after  # fmt: skip

    async def own_ledger(self, cursor: str) -> tuple[list[OwnLedgerRow], str]:
        """Rows of the pair's two assets since ``cursor``, oldest first, as many as limits allow."""
        here, names = await self._listing(), await self._public.names()
        rows, after = await self._private.history("Ledgers", answers.LedgerPage, "ledger", cursor)
        rows = {k: v for k, v in rows.items() if names.asset(v["asset"]) in (here.base, here.quote)}
        trades = {row["refid"]: row["time"] for row in rows.values() if row["type"] == "trade"}
        new = [trade for trade in trades if trade not in self._order_of]
        for start in range(0, len(new), TRADES_MAX):
            ids, kind = ",".join(new[start : start + TRADES_MAX]), dict[str, answers.Trade]
            found = await self._private.read("QueryTrades", kind, HISTORY, txid=ids)
            self._remember({key: row["ordertxid"] for key, row in found.items()}, {})
        clients = await self._clients(trades)
        return [
            OwnLedgerRow(
                key, row["time"], row["type"], names.asset(row["asset"]), row["amount"],
                row["fee"], row["balance"], row["refid"], clients.get(row["refid"], ""),
            )
            for key, row in rows.items()
        ], after  # fmt: skip

    async def close(self) -> None:
        await self._public.close()

    # --- writes -----------------------------------------------------------------------------

    async def place(self, requests: list[OrderRequest]) -> list[Outcome]:
        """Several orders go in batches while the call counter has room for them."""
        done: dict[str, Outcome] = {}
        try:
            await self._place(requests, done)
        except Fatal as error:  # it and what comes after it were not placed
            until, text = self._clock() + REFUSED_SECONDS, str(error)
            rest = Outcome("", "place", "later", code="not sent", text=text, until=until)
            ids = [one.client_id for one in requests]
            error.outcomes = [done.get(one, replace(rest, client_id=one)) for one in ids]
            raise
        return [done[one.client_id] for one in requests]

    async def _place(self, requests: list[OrderRequest], done: dict[str, Outcome]) -> None:
        trouble, ready = await self._prepare(), list[OrderRequest]()
        for one in requests:
            share = ENTRY_SHARE if one.role == "entry" else 1.0
            if denied := trouble or self._denied(one, 1.0, share):
                done[one.client_id] = outcome(one.client_id, "place", denied)
            else:
                ready.append(one)
        while ready:
            size = BATCH_MAX if self._private.calls.room(self._clock()) >= 1 else 1
            part, ready = ready[:size], ready[size:]
            fatal: Fatal | None = None
            for one, answer in zip(part, await self._send(part), strict=True):
                try:
                    done[one.client_id] = await self._answered(one, answer)
                except Fatal as error:  # others of this batch may have been taken
                    fatal = error
            if fatal is not None:
                raise fatal

    async def amend(self, requests: list[AmendRequest]) -> list[Outcome]:
        """Each keeps its ids; one that could not be sent was not moved, so it is refused."""
        trouble = await self._prepare()
        return [await self._amend(one, trouble) for one in requests]

    async def cancel(self, client_ids: list[str]) -> list[Outcome]:
        """What is gone already counts as accepted: its report tells how it ended."""
        left, done = list(client_ids), list[Outcome]()
        while left:
            size = CANCEL_MAX if self._private.calls.room(self._clock()) >= 1 else 1
            done += await self._cancel(left[:size])
            left = left[size:]
        return done

    async def _prepare(self) -> Refusal | None:
        """What must be known before anything is sent, or why nothing can be."""
        try:
            if self._clock() - self._public.clock_read_at >= CLOCK_SECONDS:
                await self._public.server_time()
            await self._listing()
        except (RetryLater, RateLimited, BadAnswer) as error:
            return Refusal("unsent", str(error))
        return None

    def _denied(
        self, request: OrderRequest | AmendRequest, cost: float, share: float
    ) -> Refusal | None:
        """Why ``request`` is not sent; if it is, its points are charged."""
        now, engine, rules = self._clock(), self._private.engine, self._rules
        if request.price <= 0 or request.price % rules.tick_size:
            text = f"off grid: price {plain(request.price)}, step {plain(rules.tick_size)}"
            return Refusal("reject", text)
        if request.volume <= 0 or request.volume % quantum(rules.volume_decimals):
            text = f"off grid: volume {plain(request.volume)}, decimals {rules.volume_decimals}"
            return Refusal("reject", text)
        if request.deadline and now > request.deadline - LEAD_SECONDS:
            return Refusal("unsent", "too late to be sent")
        if (until := engine.free_at(now, cost + engine.most * (1 - share))) > now:
            return Refusal("backoff", "denied here", until, "the engine counter is nearly full")
        engine.charge(now, cost)
        return None

    async def _send(self, requests: list[OrderRequest]) -> list[str | Refusal]:
        """The exchange id of each, or why it has none."""
        deadline = min(one.deadline for one in requests)
        if deadline and self._clock() > deadline - LEAD_SECONDS:  # others took so long
            return [Refusal("unsent", "too late to be sent") for _ in requests]
        orders = [self._terms(one) for one in requests]
        common = {"pair": (await self._listing()).altname}
        common |= self._until(deadline)
        write = self._private.write
        try:
            if len(orders) == 1:
                placed = await write("AddOrder", answers.Placed, 0.0, **common, **orders[0])
                return [placed["txid"][0]]
            batch = await write("AddOrderBatch", answers.BatchPlaced, 1.0, **common, orders=orders)
        except Refusal as refusal:
            if len(orders) > 1 and refusal.kind in ("reject", "not_unique"):
                return [(await self._send([one]))[0] for one in requests]  # none was placed
            return [refusal for _ in requests]
        items = batch["orders"] if len(batch["orders"]) == len(orders) else [{} for _ in orders]
        return [one.get("txid") or gravest([one.get("error", "no answer")]) for one in items]

    async def _answered(self, request: OrderRequest, answer: str | Refusal) -> Outcome:
        """The outcome of a placing. One that is there already is adopted."""
        name = request.client_id
        if isinstance(answer, Refusal) and answer.kind == "not_unique":
            with contextlib.suppress(RetryLater, RateLimited, BadAnswer):
                for one in await self.find([name], max(request.deadline - YOUNG_SECONDS, 0.0)):
                    answer = one.exchange_id
            if isinstance(answer, Refusal):
                answer = Refusal("unknown", answer.text)
        if isinstance(answer, Refusal):
            self._learn(answer)
            if answer.kind == "unknown":
                answer.until = request.deadline
            return outcome(name, "place", answer)
        self._touched[name] = self._clock()
        self._remember({}, {answer: name})
        return Outcome(name, "place", "accepted", answer)

    async def _amend(self, request: AmendRequest, trouble: Refusal | None) -> Outcome:
        name, now = request.client_id, self._clock()
        cost = 1.0 + points_for_age(AMEND_POINTS, now - self._touched.get(name, 0.0))
        if self._private.calls.room(now) < 1:
            trouble = Refusal("backoff", "denied here", detail="the call counter is full")
        if denied := trouble or self._denied(request, cost, ENTRY_SHARE):
            return outcome(name, "amend", denied)
        terms = {"cl_ord_id": name, "order_qty": plain(request.volume), "post_only": True}
        terms |= {"limit_price": plain(request.price)} | self._until(request.deadline)
        try:
            await self._private.write("AmendOrder", answers.Amended, 1.0, **terms)
        except Refusal as refusal:
            self._learn(refusal)
            return outcome(name, "amend", refusal)
        self._touched[name] = now
        return Outcome(name, "amend", "accepted")

    async def _cancel(self, names: list[str]) -> list[Outcome]:
        now, single, write = self._clock(), len(names) == 1, self._private.write
        for one in names:
            age = now - self._touched.get(one, 0.0)
            self._private.engine.charge(now, points_for_age(CANCEL_POINTS, age))
        try:
            if single:
                await write("CancelOrder", answers.Cancelled, 0.0, cl_ord_id=names[0])
                return [Outcome(names[0], "cancel", "accepted")]
            done = await write("CancelOrderBatch", answers.Cancelled, 1.0, cl_ord_ids=names)
        except Refusal as refusal:
            if single or refusal.kind != "reject":
                return [outcome(one, "cancel", refusal) for one in names]
            done = {"count": 0}
        if done["count"] == len(names):
            return [Outcome(one, "cancel", "accepted") for one in names]
        return [(await self._cancel([one]))[0] for one in names]  # which were gone is not told

    # --- between the two --------------------------------------------------------------------

    async def _listing(self) -> Listing:
        return await self._public.listing(self._rules.pair)

    def _terms(self, request: OrderRequest) -> dict[str, str]:
        """One order as Kraken wants it."""
        return {
            "ordertype": "limit", "type": request.side, "price": plain(request.price),
            "volume": plain(request.volume), "cl_ord_id": request.client_id,
            "oflags": "post,fciq" if request.post_only else "fciq",
        }  # fmt: skip

    def _until(self, deadline: float) -> dict[str, str]:
        """The deadline on Kraken's clock."""
        if not deadline:
            return {}
        at = datetime.fromtimestamp(deadline + self._public.offset_seconds, UTC)
        return {"deadline": at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}

    def _learn(self, refusal: Refusal) -> None:
        """It may mean that the pair's rules, or our idea of Kraken's clock, are out of date."""
        self._refused_for_rules |= about_rules(refusal.text)
        if "deadline" in refusal.text.lower():
            self._public.clock_read_at = 0.0

    async def _listed(self) -> dict[str, OrderReport]:
        """Our open orders by client id; what strangers have there is counted."""
        here, names = await self._listing(), await self._public.names()
        self.foreign_orders, self._foreign = 0, {}
        ours: dict[str, OrderReport] = {}
        for txid, row in (await self._private.open_orders()).items():
            pair = names.given(row.descr["pair"])
            if (row.cl_ord_id or "").startswith(self._prefix) and pair in (here, None):
                ours[row.cl_ord_id or ""] = self._report(txid, row)
                continue
            self.foreign_orders += pair == here
            if pair is not None and row.descr["ordertype"] == "limit":
                self._hold(pair, self._report(txid, row))
        young = self._clock() - YOUNG_SECONDS
        opened = {one.client_id: one.opened_at for one in ours.values()}
        self._touched = {k: v for k, v in (opened | self._touched).items() if v > young}
        return ours

    def _hold(self, pair: Listing, order: OrderReport) -> None:
        """Count what an order that is not ours reserves."""
        rest, buys = order.volume - order.executed, order.side == "buy"
        asset, held = (pair.quote, rest * order.price) if buys else (pair.base, rest)
        assert self._foreign is not None, "counted while a listing is read"
        self._foreign[asset] = self._foreign.get(asset, ZERO) + held

    async def _query(self, txids: list[str]) -> list[OrderReport]:
        rows = await self._private.query_orders(txids)
        return [self._report(txid, row) for txid, row in rows.items()]

    def _report(self, txid: str, row: answers.Order) -> OrderReport:
        client_id = row.cl_ord_id or self._client_of.get(txid, "")
        if client_id.startswith(self._prefix):
            answers.check_figures(txid, row)
        self._remember(dict.fromkeys(row.trades or (), txid), {txid: client_id})
        return answers.report(txid, row, client_id, self._rules.base, self._rules.quote)

    async def _clients(self, trades: dict[str, float]) -> dict[str, str]:
        """Whose these trades are; one whose order Kraken does not know yet must wait."""
        orders = {trade: self._order_of.get(trade, "") for trade in trades}
        new = {one for one in orders.values() if one and one not in self._client_of}
        rows = await self._private.query_orders(sorted(new))
        self._remember({}, {txid: row.cl_ord_id or "" for txid, row in rows.items()})
        young = self._clock() + self._public.offset_seconds - LATE_SECONDS
        for trade, order in orders.items():
            if order not in self._client_of and trades[trade] > young:
                raise RetryLater(f"Kraken does not tell the order of trade {trade} yet")
        return {trade: self._client_of.get(order, "") for trade, order in orders.items()}

    def _remember(self, orders: dict[str, str], clients: dict[str, str]) -> None:
        for ids, new in ((self._order_of, orders), (self._client_of, clients)):
            ids |= new
            while len(ids) > IDS_MAX:
                del ids[next(iter(ids))]


def _is_news(live: LiveOrder, report: OrderReport | None) -> bool:
    """Whether it filled, ended or turned up; figures that run backwards are an old listing's."""
    if report is None or report.executed < live.executed or report.cost < live.cost:
        return False
    lost = live.standing == "pending" or (
        live.standing == "unknown" and live.lookup_verb == "place"
    )
    return report.state != "open" or report.executed > live.executed or lost
