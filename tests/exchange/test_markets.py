"""The walk over ticks: jumping must end exactly where visiting every tick ends."""

import math
from array import array
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.exchange.markets import CHUNK, NO_DOWN, NO_UP, Block, Market, MarketDataError
from gridbot.exchange.replay import ReplayMarket
from gridbot.exchange.synthetic import SyntheticMarket

T0 = 1_700_000_000.0 - 1_700_000_000 % 3600


class Tick(NamedTuple):
    at: float
    price: int
    volume: Decimal | None


class Candle(NamedTuple):
    """One recorded interval, or with ``step`` 0 one recorded trade."""

    at: float
    open: int
    high: int
    low: int
    close: int
    volume: int | None


def points_of(candles: list[Candle], step: float) -> Iterator[Tick]:
    for c in candles:
        share = None if c.volume is None else Decimal(c.volume) / 10**8
        if not step:
            yield Tick(c.at, c.open, share)
            continue
        high_first = c.high - c.open < c.open - c.low
        path = (c.open, *((c.high, c.low) if high_first else (c.low, c.high)), c.close)
        for k, price in enumerate(path):
            yield Tick(c.at + k * step, price, None if share is None else share / 4)


def every_tick(candles: list[Candle], step: float, interval: float) -> list[Tick]:
    """The definition, spelled out: points, and grid multiples strictly between them."""
    ticks: list[Tick] = []
    for point in points_of(candles, step):
        if ticks:
            at, price, volume = ticks[-1]
            count = int(at / interval) - 2
            while count * interval < point.at:
                if count * interval > at:
                    quiet = None if volume is None else Decimal(0)
                    ticks.append(Tick(count * interval, price, quiet))
                count += 1
        ticks.append(point)
    return ticks


def naive_stop(ticks: list[Tick], index: int, down: int, up: int, until: float) -> int:
    while index < len(ticks) - 1:
        index += 1
        tick = ticks[index]
        if tick.price <= down or tick.price >= up or tick.at >= until:
            break
    return index


def market_of(candles: list[Candle], step: float, interval: float) -> ReplayMarket:
    columns = tuple(array("q", (c[k] for c in candles)) for k in range(1, 5))
    volumes = [c.volume or 0 for c in candles]
    starts = array("d", (c.at for c in candles))
    block = Block(starts, columns, step, volumes)  # type: ignore[arg-type]
    return ReplayMarket(block, 2, interval, "made for the test")


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[Candle], float]:
    """Candles of a minute with gaps, or trades with equal times; more than a chunk at times."""
    step = draw(st.sampled_from([15.0, 0.0]))
    gaps = st.integers(1, 4) if step else st.sampled_from([0.0, 0.25, 7.0, 30.0, 95.5])
    count = draw(st.one_of(st.integers(1, 12), st.integers(60, 200)))
    random = draw(st.randoms(use_true_random=False))
    moves = draw(st.sampled_from([1, 4]))
    at, price, candles = T0 + draw(st.sampled_from([0, 60, 7])), 500, []
    gap = draw(st.lists(gaps, min_size=1, max_size=5))
    for i in range(count):
        close = max(price + random.randint(-moves, moves), 20)
        high = max(price, close) + random.randint(0, moves)
        low = min(price, close) - random.randint(0, moves)
        volume = random.randint(0, 10**9)
        candles.append(Candle(at, price, high, low, close, volume))
        if not step:
            candles[-1] = Candle(at, price, price, price, price, volume)
        at += gap[i % len(gap)] * (60.0 if step else 1.0)
        price = close + random.choice((0, 0, 1, -2))
    return candles, step


jumps = st.lists(
    st.tuples(
        st.sampled_from([-3, 0, 1, 3, 12, 999]),
        st.sampled_from([-3, 0, 1, 3, 12, 10**6]),
        st.sampled_from([-1.0, 0.0, 0.1, 30.0, 61.0, 600.0, 3000.0, 10**5, math.inf]),
    ),
    min_size=1,
    max_size=40,
)


def assert_stands_on(market: Market, ticks: list[Tick], index: int) -> None:
    tick, before = ticks[index], ticks[max(index - 1, 0)]
    assert (market.at, market.price, market.volume) == tick
    assert (market.previous_at, market.previous_price) == (before.at, before.price)
    assert market.finished == (index == len(ticks) - 1)
    assert market.next_at == (math.inf if market.finished else ticks[index + 1].at)


@settings(max_examples=250, deadline=None)
@given(recordings(), st.sampled_from([30.0, 7.0, 15.0, 45.0, 0.7, 1000.0]), jumps)
def test_jumping_stops_where_a_walk_over_every_tick_stops(
    recording: tuple[list[Candle], float], interval: float, wanted: list[tuple[int, int, float]]
) -> None:
    candles, step = recording
    ticks = every_tick(candles, step, interval)
    market = market_of(candles, step, interval)
    index = 0
    assert_stands_on(market, ticks, index)
    for below, above, later in wanted:
        down, up, until = market.price - below, market.price + above, market.at + later
        index = naive_stop(ticks, index, down, up, until)
        market.advance(down, up, until)
        assert_stands_on(market, ticks, index)
        state = market.state()
        market = market_of(candles, step, interval)
        market.restore(state)
        assert_stands_on(market, ticks, index)


def candles_of(market: SyntheticMarket, count: int) -> list[Candle]:
    block, candles = market._block, []
    while True:
        for i in range(block.rows):
            prices = (block.opens[i], block.highs[i], block.lows[i], block.closes[i])
            candles.append(Candle(block.starts[i], *prices, None))
        if len(candles) >= count:
            return candles
        block = market._following(block)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 5), st.sampled_from([30.0, 10.0, 0.7, 300.0]), jumps)
def test_jumping_is_exact_across_blocks_of_the_synthetic_market(
    seed: int, interval: float, wanted: list[tuple[int, int, float]]
) -> None:
    def fresh() -> SyntheticMarket:
        return SyntheticMarket(
            seed, 3000, 1, Decimal("0.1"), poll_interval_seconds=interval, candles=1100
        )

    ticks = every_tick(candles_of(fresh(), 1100), 15.0, interval)
    market, index = fresh(), 0
    for below, above, later in wanted * 3:
        down, up = market.price - below * 3, market.price + above * 3
        index = naive_stop(ticks, index, down, up, market.at + later)
        market.advance(down, up, market.at + later)
        assert_stands_on(market, ticks, index)
    state = market.state()
    market = fresh()
    market.restore(state)
    market.advance(NO_DOWN, NO_UP, math.inf)
    assert_stands_on(market, ticks, len(ticks) - 1)


def test_a_candle_goes_to_the_nearer_extreme_first() -> None:
    assert list(points_of([Candle(T0, 50, 53, 40, 45, 0)], 15.0))[1].price == 53
    near_high = market_of([Candle(T0, 50, 53, 40, 45, 0)], 15.0, 30.0)
    near_high.advance(40, NO_UP, math.inf)
    assert (near_high.previous_price, near_high.at) == (53, T0 + 30)
    near_low = market_of([Candle(T0, 50, 70, 40, 45, 0)], 15.0, 30.0)
    near_low.advance(NO_DOWN, 70, math.inf)
    assert (near_low.previous_price, near_low.at) == (40, T0 + 30)


def test_a_quiet_stretch_is_skipped_in_chunks_not_in_rows() -> None:
    class Counted(list[int]):
        looked_at = 0

        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            Counted.looked_at += 1
            return super().__getitem__(index)

    flat = [Candle(T0 + 60 * i, 50, 51, 49, 50, 0) for i in range(100 * CHUNK)]
    market = market_of(flat, 15.0, 30.0)
    market._block.lows = Counted(market._block.lows)
    market.advance(NO_DOWN, NO_UP, math.inf)
    assert market.finished
    assert Counted.looked_at < 2 * CHUNK


def test_a_price_beyond_the_bounds_stops_on_the_very_next_tick() -> None:
    quiet_after_a_gap = [Candle(T0 + at, 60, 61, 59, 60, 0) for at in (300, 360, 420)]
    market = market_of([Candle(T0, 50, 50, 50, 50, 0), *quiet_after_a_gap], 15.0, 30.0)
    market.advance(NO_DOWN, NO_UP, T0 + 45)
    market.advance(50, NO_UP, math.inf)
    assert (market.at, market.price, market.previous_at) == (T0 + 60, 50, T0 + 45)


def test_counts_tell_how_far_the_market_is() -> None:
    market = market_of([Candle(T0 + 60 * i, 50, 51, 49, 50, 0) for i in range(3)], 15.0, 30.0)
    assert (market.candles, market.ticks) == (1, 1)
    market.advance(NO_DOWN, NO_UP, T0 + 75)
    assert (market.candles, market.ticks) == (2, 6)


def test_a_position_of_another_market_is_refused() -> None:
    state = SyntheticMarket(1, 3000, 1).state()
    with pytest.raises(MarketDataError, match="belongs to 'synthetic market, seed 1"):
        SyntheticMarket(2, 3000, 1).restore(state)
