"""The seeded market: the same everywhere, positive, as lively as asked for."""

import hashlib
import math
import statistics
from decimal import Decimal
from itertools import pairwise

import pytest

from gridbot.exchange.markets import NO_DOWN, NO_UP
from gridbot.exchange.synthetic import BLOCK_ROWS, SyntheticMarket

START = 600_000


def closes_of(market: SyntheticMarket, blocks: int) -> list[int]:
    block, closes = market._block, []
    for _ in range(blocks):
        closes.extend(block.closes)
        block = market._following(block)
    return closes


def test_a_seed_gives_the_same_prices_on_every_machine() -> None:
    closes = closes_of(SyntheticMarket(7, START, 1), 4)
    digest = hashlib.sha256(repr(closes).encode()).hexdigest()
    assert (closes[:3], digest[:16]) == ([599913, 600173, 600346], "0df98260c75e2d23")


def test_seeds_differ() -> None:
    assert closes_of(SyntheticMarket(1, START, 1), 1) != closes_of(SyntheticMarket(2, START, 1), 1)


def test_a_candle_opens_where_the_last_one_closed_and_holds_its_own_prices() -> None:
    market = SyntheticMarket(3, START, 1)
    block = market._block
    for _ in range(3):
        prices = zip(block.opens, block.highs, block.lows, block.closes, strict=True)
        for begin, high, low, close in prices:
            assert 0 < low <= min(begin, close) <= max(begin, close) <= high
        assert block.opens[1:] == block.closes[:-1]
        following = market._following(block)
        assert following is not None
        assert following.opens[0] == block.closes[-1]
        assert following.starts[0] == block.starts[-1]
        block = following


@pytest.mark.parametrize("volatility", ["0.05", "0.3"])
def test_volatility_is_the_size_of_a_minutes_move(volatility: str) -> None:
    closes = closes_of(SyntheticMarket(5, START * 100, 3, Decimal(volatility)), 60)
    moves = [math.log(b / a) * 100 for a, b in pairwise(closes)]
    assert statistics.pstdev(moves) == pytest.approx(float(volatility), rel=0.15)


def test_trend_moves_the_price_by_percent_a_day() -> None:
    trend = SyntheticMarket(5, START, 1, Decimal("0.001"), trend=Decimal(-10))
    day = closes_of(trend, 3)[1439]
    assert day == pytest.approx(START * 0.9, rel=0.01)


def test_the_price_stays_above_zero_whatever_the_settings() -> None:
    for trend in (-300, 300):
        closes = closes_of(SyntheticMarket(1, 40, 2, Decimal(20), Decimal(trend)), 30)
        assert 1 <= min(closes) <= max(closes) <= 40 * 1000


def test_a_limit_ends_the_market_on_the_close_of_its_last_candle() -> None:
    market = SyntheticMarket(1, START, 1, candles=BLOCK_ROWS + 1)
    market.advance(NO_DOWN, NO_UP, math.inf)
    assert market.finished
    assert market.at == market.end_at == 1767225600.0 + BLOCK_ROWS * 60 + 45
    assert (market.candles, market.ticks) == (BLOCK_ROWS + 1, 4 * BLOCK_ROWS + 4)
    market.advance(NO_DOWN, NO_UP, math.inf)
    assert market.at == market.end_at


def test_volume_knows_no_limit() -> None:
    market = SyntheticMarket(1, START, 1, poll_interval_seconds=7.0)
    market.advance(NO_DOWN, NO_UP, market.at + 7)
    assert market.volume is None


def test_only_one_block_is_held() -> None:
    market = SyntheticMarket(1, START, 1)
    market.advance(NO_DOWN, NO_UP, market.at + 86_400 * 30)
    assert len(market._block.opens) == BLOCK_ROWS


def test_a_start_at_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="start price 0"):
        SyntheticMarket(1, 0, 1)
