"""The venue: fills, holds, refusals, cursors, and going on after a restart."""

import asyncio
import json
import math
from array import array
from collections.abc import Coroutine, Iterable
from decimal import Decimal
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.core.numbers import ZERO, round_half_even
from gridbot.core.orders import LiveOrder
from gridbot.core.records import (
    AmendRequest,
    Balance,
    Execution,
    Instrument,
    OrderReport,
    OrderRequest,
    Outcome,
    Side,
)
from gridbot.exchange.markets import NO_DOWN, NO_UP, Block, Market
from gridbot.exchange.protocol import BadAnswer, Exchange
from gridbot.exchange.replay import ReplayMarket
from gridbot.exchange.simulated import SimulatedExchange
from gridbot.exchange.synthetic import SyntheticMarket

D = Decimal
T = TypeVar("T")
RULES = Instrument("DOGE/USD", "DOGE", "USD", 2, D("0.01"), 4, 5, D("0.5"), D("0.5"))
RICH = {"USD": D(1000), "DOGE": D(1000)}


def ours(client_ids: Iterable[str]) -> list[LiveOrder]:
    """Orders as the engine knows them: only the client id matters to the simulated exchange."""
    return [LiveOrder(one, 1, "A", "entry", "sell", 1, 1, ZERO, ZERO) for one in client_ids]


def now(call: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(call)


def trades(*prices: float, volume: str | None = None) -> ReplayMarket:
    """A market of one trade a second; without ``volume`` whatever is wanted trades."""
    units = array("q", (round(price * 100) for price in prices))
    starts = array("d", (1000.0 + i for i in range(len(prices))))
    volumes = None if volume is None else [int(D(volume) * 10**8)] * len(prices)
    return ReplayMarket(Block(starts, (units,) * 4, 0.0, volumes), 2, 30.0, "test")


def venue(market: Market, fee_asset: Any = "quote", limit: int = 20, **more: Any) -> Any:
    balances = more.pop("balances", RICH)
    return SimulatedExchange(RULES, market, D("0.25"), fee_asset, balances, limit, **more)


def request(client_id: str, side: Side, price: str, volume: str = "1", **more: Any) -> OrderRequest:
    return OrderRequest(client_id, 1, "A", "entry", side, D(price), D(volume), **more)


def place(exchange: SimulatedExchange, *args: Any, **more: Any) -> Outcome:
    return now(exchange.place([request(*args, **more)]))[0]


def report(exchange: SimulatedExchange, client_id: str) -> OrderReport:
    found = next(iter(now(exchange.find([client_id], 0.0))), None)
    assert found is not None
    return found


def fills(exchange: SimulatedExchange) -> list[Execution]:
    return now(exchange.executions(""))[0]


def test_it_is_an_exchange() -> None:
    exchange: Exchange = venue(trades(10))
    assert now(exchange.fees()).source == "simulated"
    assert now(exchange.instrument()) is RULES
    assert now(exchange.close()) is None  # type: ignore[func-returns-value]


def test_a_buy_fills_at_its_limit_from_the_next_tick_on() -> None:
    exchange = venue(trades(10, 10, 9, 8))
    assert place(exchange, "a", "buy", "9.50", "2").exchange_id == "O0000001"
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert exchange.now == 1002.0
    assert exchange.price_now == 900
    done = report(exchange, "a")
    assert (done.state, done.executed, done.cost, done.fee) == ("closed", D(2), D(19), D("0.0475"))
    assert (done.closed_at, done.trade_ids, done.fee_asset) == (1002.0, ("T0000001",), "USD")
    assert now(exchange.balances()) == {
        "USD": Balance(D("980.9525"), D(0)),
        "DOGE": Balance(D(1002), D(0)),
    }


def test_a_sell_fills_when_the_price_touches_it() -> None:
    exchange = venue(trades(10, 11))
    place(exchange, "a", "sell", "11")
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert report(exchange, "a").state == "closed"
    assert exchange.quote_total == D(1000) + 11 - D("0.0275")


def test_the_walk_stops_at_the_engines_bounds_and_time() -> None:
    exchange = venue(trades(10, 9, 8, 9, 10, 11, 12))
    place(exchange, "far", "buy", "1")
    exchange.advance(800, NO_UP, math.inf)
    assert exchange.now == 1002.0
    exchange.advance(NO_DOWN, 1100, math.inf)
    assert exchange.now == 1005.0
    exchange.advance(NO_DOWN, NO_UP, 1005.5)
    assert exchange.now == 1006.0


def test_fills_of_one_tick_are_in_price_time_order() -> None:
    exchange = venue(trades(10, 5))
    for client_id, price in (("low", "8"), ("first", "9"), ("second", "9"), ("top", "9.5")):
        place(exchange, client_id, "buy", price)
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert [fill.client_id for fill in fills(exchange)] == ["top", "first", "second", "low"]
    assert fills(exchange)[0].trade_id == "T0000001"


def test_an_amended_order_keeps_its_ids_and_loses_its_place() -> None:
    exchange = venue(trades(10, 5))
    for client_id in ("a", "b"):
        place(exchange, client_id, "buy", "9")
    outcome = now(exchange.amend([AmendRequest("a", D(9), D(3))]))[0]
    assert (outcome.kind, outcome.verb, outcome.exchange_id) == ("accepted", "amend", "O0000001")
    assert exchange.quote_held == D(36)
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert [fill.client_id for fill in fills(exchange)] == ["b", "a"]


def test_what_traded_is_shared_out_and_the_rest_fills_on() -> None:
    exchange = venue(trades(10, 9, 9, 9, 9, volume="1.50009"))
    for client_id in ("a", "b"):
        place(exchange, client_id, "buy", "9", "2")
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert (report(exchange, "a").executed, report(exchange, "b").executed) == (D("1.5000"), 0)
    assert report(exchange, "a").state == "open"
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert (report(exchange, "a").executed, report(exchange, "b").executed) == (2, D("1.0000"))
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert (exchange.now, exchange.orders_open) == (1003.0, 0)
    assert [fill.volume for fill in fills(exchange)] == [D("1.5"), D("0.5"), D(1), D(1)]
    assert exchange.quote_held == 0


def test_nothing_fills_on_the_grid_of_a_recording() -> None:
    starts = array("d", [1000.0, 1200.0, 1300.0])
    units = array("q", [1000, 900, 900])
    market = ReplayMarket(Block(starts, (units,) * 4, 0.0, [10**8] * 3), 2, 30.0, "test")
    exchange = venue(market)
    place(exchange, "a", "buy", "9", "2")
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert [fill.at for fill in fills(exchange)] == [1200.0, 1300.0]


def test_a_fee_in_base_is_taken_from_the_volume() -> None:
    exchange = venue(trades(10, 9), fee_asset="base")
    place(exchange, "a", "buy", "9", "1.0001")
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert (fills(exchange)[0].fee, fills(exchange)[0].fee_asset) == (D("0.0025"), "DOGE")
    assert exchange.base_total == D(1000) + D("1.0001") - D("0.0025")
    assert exchange.quote_total == D(1000) - D("9.0009")


def test_cost_and_fee_are_rounded_half_even() -> None:
    exchange = venue(trades(10, 9))
    place(exchange, "a", "buy", "9.05", "1.0001")  # 9.050905 -> 9.05090, fee 0.02262725
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert (fills(exchange)[0].cost, fills(exchange)[0].fee) == (D("9.05090"), D("0.02263"))


REFUSALS = [
    (("buy", "9", "112"), {}, "EOrder:Insufficient funds"),
    (("sell", "11", "1000.0001"), {}, "EOrder:Insufficient funds"),
    (("buy", "9", "0.4999"), {}, "EOrder:Order minimum not met"),
    (("buy", "0.50", "0.9"), {}, "EOrder:Cost minimum not met"),
    (("buy", "9.005"), {}, "EOrder:Tick size check failed"),
    (("buy", "-9"), {}, "EOrder:Tick size check failed"),
    (("buy", "9", "1.00001"), {}, "EGeneral:Invalid arguments:volume"),
    (("buy", "10"), {}, "EOrder:Post only order"),
    (("sell", "10"), {}, "EOrder:Post only order"),
    (("buy", "9"), {"deadline": 999.0}, "EService:Deadline elapsed"),
]


@pytest.mark.parametrize(("order", "more", "code"), REFUSALS)
def test_a_refusal_says_why_and_changes_nothing(
    order: tuple[Any, ...], more: dict[str, Any], code: str
) -> None:
    exchange = venue(trades(10))
    before = exchange.state()
    outcome = place(exchange, "a", *order, **more)
    assert (outcome.kind, outcome.code, outcome.verb) == ("refused", code, "place")
    assert exchange.state() == before


def test_limits_of_number_and_name() -> None:
    exchange = venue(trades(10), limit=2)
    assert place(exchange, "a", "buy", "9").kind == "accepted"
    assert place(exchange, "a", "buy", "8").code.endswith("cl_ord_id not unique")
    assert place(exchange, "b", "buy", "9").kind == "accepted"
    assert place(exchange, "c", "buy", "9").code == "EOrder:Orders limit exceeded"
    now(exchange.cancel(["a"]))
    assert place(exchange, "a", "buy", "9").exchange_id == "O0000003"


def test_an_order_that_may_take_crosses_the_price() -> None:
    exchange = venue(trades(10, 10))
    assert place(exchange, "a", "buy", "10.5", post_only=False).kind == "accepted"
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert fills(exchange)[0].price == D("10.5")


def test_amends_are_refused_like_orders() -> None:
    exchange = venue(trades(10, 9, 9.5, volume="1"))
    place(exchange, "a", "buy", "9", "2")
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    held = exchange.quote_held

    def refused(price: str, volume: str, client_id: str = "a", deadline: float = 0.0) -> str:
        wanted = AmendRequest(client_id, D(price), D(volume), deadline)
        return now(exchange.amend([wanted]))[0].code

    assert refused("8", "1") == "EOrder:Not enough leaves qty"
    assert refused("9", "2") == "EOrder:Post only order"
    assert refused("8", "500") == "EOrder:Insufficient funds"
    assert refused("8.001", "2") == "EOrder:Tick size check failed"
    assert refused("8", "2", "b") == "EOrder:Unknown order"
    assert refused("8", "2", deadline=1000.5) == "EService:Deadline elapsed"
    assert exchange.quote_held == held == D(9)
    assert refused("8", "1.5") == ""
    assert exchange.quote_held == D(4)


def test_cancel_can_be_repeated_but_not_undo_a_fill() -> None:
    exchange = venue(trades(10, 9))
    place(exchange, "a", "buy", "8")
    place(exchange, "b", "buy", "9")
    assert [o.kind for o in now(exchange.cancel(["a", "a"]))] == ["accepted", "accepted"]
    assert [r.client_id for r in now(exchange.changes(""))[0]] == ["a"]
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert [o.code for o in now(exchange.cancel(["b", "never"]))] == ["EOrder:Unknown order"] * 2
    assert (report(exchange, "a").state, report(exchange, "a").reason) == (
        "cancelled",
        "User requested",
    )


def test_changes_name_each_order_once_and_go_on_from_the_cursor() -> None:
    exchange = venue(trades(10, 9, 8))
    place(exchange, "a", "buy", "9")
    place(exchange, "b", "buy", "8")
    reports, cursor = now(exchange.changes(""))
    assert reports == []
    assert now(exchange.changes(cursor)) == ([], cursor)
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    assert exchange.cancel_outside("b").kind == "accepted"
    reports, later = now(exchange.changes(cursor))
    assert [(r.client_id, r.state) for r in reports] == [("a", "closed"), ("b", "cancelled")]
    assert len(now(exchange.changes(""))[0]) == 2
    assert [e.client_id for e in now(exchange.executions(cursor))[0]] == ["a"]
    assert now(exchange.changes(later)) == ([], later)


def test_memory_of_what_is_done_is_bounded() -> None:
    exchange = venue(SyntheticMarket(1, 1000, 2), keep=10)
    for i in range(100):
        place(exchange, f"c{i}", "buy", "1")
        now(exchange.cancel([f"c{i}"]))
    assert len(now(exchange.reports(ours(f"c{i}" for i in range(100))))) == 10
    assert len(exchange._log) <= 20
    with pytest.raises(BadAnswer, match="cursor 0 is older than the log"):
        now(exchange.changes("0"))
    assert exchange._buys == [] or len(exchange._buys) <= 66
    assert len(exchange.state()["orders"]) <= 20


def test_deposits_are_the_only_rows_of_its_own_ledger() -> None:
    exchange = venue(trades(10, 9))
    place(exchange, "a", "buy", "9")
    exchange.advance(NO_DOWN, NO_UP, math.inf)
    exchange.deposit("USD", D(5))
    rows, cursor = now(exchange.own_ledger(""))
    assert [(r.kind, r.amount, r.balance, r.at) for r in rows] == [
        ("deposit", D(5), exchange.quote_total, 1001.0)
    ]
    exchange.deposit("DOGE", D(-3))
    rows, _ = now(exchange.own_ledger(cursor))
    assert [(r.kind, r.balance) for r in rows] == [("withdrawal", D(998))]
    with pytest.raises(ValueError, match="asset was 'EUR'"):
        exchange.deposit("EUR", D(1))


def test_polling_walks_up_to_the_moment_and_not_beyond() -> None:
    exchange = venue(trades(10, 9, 8, 9.5, 12))
    place(exchange, "a", "buy", "9")
    place(exchange, "b", "buy", "8.5")
    place(exchange, "c", "sell", "12")
    exchange.run_until(1003.5)
    quote = now(exchange.quote())
    assert (quote.at, quote.bid, quote.ask, quote.last) == (1003.5, D("9.5"), D("9.5"), D("9.5"))
    assert [(f.client_id, f.at) for f in fills(exchange)] == [("a", 1001.0), ("b", 1002.0)]
    exchange.run_until(2000.0)
    assert (exchange.now, exchange.market.at, exchange.market.finished) == (2000.0, 1004.0, True)
    assert len(fills(exchange)) == 3


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.lists(st.floats(0.1, 4000), min_size=1, max_size=15))
def test_polling_at_any_moments_fills_what_one_long_walk_fills(
    seed: int, pauses: list[float]
) -> None:
    def full() -> Any:
        exchange = venue(SyntheticMarket(seed, 1000, 2, D("0.5"), poll_interval_seconds=7.0))
        for i in range(8):
            place(exchange, f"b{i}", "buy", f"{9.9 - i / 10:.2f}")
            place(exchange, f"s{i}", "sell", f"{10.1 + i / 10:.2f}")
        return exchange

    polled, walked = full(), full()
    for pause in pauses:
        polled.run_until(polled.now + pause)
        assert polled.market.at <= polled.now < polled.market.next_at
    while walked.market.next_at <= polled.now:
        walked.advance(NO_DOWN, NO_UP, -math.inf)
    assert fills(polled) == fills(walked)
    assert polled.market.state() == walked.market.state()


def test_instrument_and_market_must_fit() -> None:
    with pytest.raises(ValueError, match="has 2 price decimals, the market has 3"):
        venue(SyntheticMarket(1, 1000, 3))
    with pytest.raises(ValueError, match="balances were of \\['EUR'\\]"):
        venue(trades(10), balances={"EUR": D(1)})


# --- random operation -----------------------------------------------------------------------

operations = st.lists(
    st.tuples(
        st.sampled_from(["buy", "sell", "buy", "sell", "amend", "cancel", "outside", "move"]),
        st.integers(-4, 60),
        st.integers(1, 60_000),
        st.integers(0, 30),
    ),
    min_size=1,
    max_size=60,
)


def act(exchange: SimulatedExchange, step: int, operation: tuple[str, int, int, int]) -> Any:
    """One operation with figures near the market; its outcome is compared, so it is returned."""
    verb, distance, amount, target = operation
    client_id = f"c{target % max(step, 1)}"
    volume = D(amount) / 10_000
    if verb in ("buy", "sell"):
        away = -distance if verb == "buy" else distance
        price = D(exchange.price_now + away) / 100
        side: Side = "buy" if verb == "buy" else "sell"
        wanted = OrderRequest(f"c{step}", 1, "A", "entry", side, price, volume)
        return now(exchange.place([wanted]))
    if verb == "amend":
        price = D(exchange.price_now + (distance - 30)) / 100
        return now(exchange.amend([AmendRequest(client_id, price, volume)]))
    if verb == "cancel":
        return now(exchange.cancel([client_id]))
    if verb == "outside":
        return exchange.cancel_outside(client_id)
    exchange.advance(exchange.price_now - distance, NO_UP, exchange.now + amount)
    return exchange.now


def small_market(seed: int, traded: bool) -> Market:
    """Lively; with or without limited volume."""
    source = SyntheticMarket(seed, 1000, 2, D("0.8"), candles=400)
    if not traded:
        return source
    block = source._block
    columns = (block.opens, block.highs, block.lows, block.closes)
    volumes = [(i * 7919 % 97) * 10**7 for i in range(block.rows)]
    starts = block.starts[: block.rows]
    return ReplayMarket(Block(starts, columns, 15.0, volumes), 2, 30.0, "test")


def check_books(exchange: SimulatedExchange, opening: dict[str, Decimal]) -> None:
    quote, base, quote_fees = opening["USD"], opening["DOGE"], D(0)
    for fill in fills(exchange):
        sign = 1 if fill.side == "buy" else -1
        quote -= sign * fill.cost
        base += sign * fill.volume
        assert fill.cost == round_half_even(fill.price * fill.volume, 5)
        if fill.fee_asset == "USD":
            assert fill.fee == round_half_even(fill.cost * D("0.0025"), 5)
            quote -= fill.fee
            quote_fees += fill.fee
        else:
            assert fill.fee == round_half_even(fill.volume * D("0.0025"), 4)
            base -= fill.fee
    assert (exchange.quote_total, exchange.base_total) == (quote, base)
    resting = now(exchange.open_orders()).reports
    buys = [r for r in resting if r.side == "buy"]
    sells = [r for r in resting if r.side == "sell"]
    assert exchange.quote_held == sum(r.price * (r.volume - r.executed) for r in buys)
    assert exchange.base_held == sum(r.volume - r.executed for r in sells)
    assert min(exchange.quote_held, exchange.base_held) >= 0
    # Only fees, which nobody holds, and the rounding of costs may pass what is there.
    passed = quote_fees + D("0.00001") * len(fills(exchange))
    assert exchange.free("buy") >= -passed
    assert len(resting) == exchange.orders_open <= 20
    for one in now(exchange.reports(ours(f"c{i}" for i in range(100)))):
        own = [f for f in fills(exchange) if f.exchange_id == one.exchange_id]
        assert one.executed == sum((f.volume for f in own), D(0)) <= one.volume
        assert (one.cost, one.fee) == (
            sum((f.cost for f in own), D(0)),
            sum((f.fee for f in own), D(0)),
        )
        assert one.trade_ids == tuple(f.trade_id for f in own)
        assert (one.state == "closed") == (one.executed == one.volume)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 30), st.booleans(), st.sampled_from(["quote", "base"]), operations)
def test_nothing_is_created_or_lost(
    seed: int, traded: bool, fee_asset: str, wanted: list[tuple[str, int, int, int]]
) -> None:
    opening = {"USD": D(150), "DOGE": D(20)}
    exchange = venue(small_market(seed, traded), fee_asset=fee_asset, balances=opening)
    for step, operation in enumerate(wanted):
        act(exchange, step, operation)
    check_books(exchange, opening)
    if fee_asset == "quote":
        assert exchange.free("sell") >= 0


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 30), st.booleans(), operations, st.integers(0, 60))
def test_a_restored_venue_goes_on_bit_for_bit(
    seed: int, traded: bool, wanted: list[tuple[str, int, int, int]], stop: int
) -> None:
    exchange = venue(small_market(seed, traded), keep=7)
    for step, operation in enumerate(wanted[:stop]):
        act(exchange, step, operation)
    saved = json.dumps(exchange.state())
    assert "E-" not in saved
    other = venue(small_market(seed, traded), keep=7)
    other.restore(json.loads(saved))
    assert json.dumps(other.state()) == saved
    assert now(other.balances()) == now(exchange.balances())
    for step, operation in enumerate(wanted[stop:], len(wanted[:stop])):
        assert act(exchange, step, operation) == act(other, step, operation)
    assert json.dumps(other.state()) == json.dumps(exchange.state())
    for cursor in ("", str(exchange._log_offset)):
        assert now(other.changes(cursor)) == now(exchange.changes(cursor))
        assert now(other.executions(cursor)) == now(exchange.executions(cursor))
    ids = [f"c{i}" for i in range(70)]
    assert now(other.reports(ours(ids))) == now(exchange.reports(ours(ids)))
