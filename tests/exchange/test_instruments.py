"""Pairs by any spelling, and rules inferred from a recording."""

import math
from decimal import Decimal

import pytest

from gridbot.exchange import instruments
from gridbot.exchange.instruments import (
    UnknownPair,
    asset_name,
    find_instrument,
    infer_instrument,
    known_pairs,
    start_price,
)
from gridbot.exchange.markets import NO_DOWN, NO_UP
from gridbot.exchange.synthetic import SyntheticMarket


@pytest.mark.parametrize(
    ("spelling", "pair"),
    [
        ("xbtusd", "BTC/USD"),
        ("BTC/USD", "BTC/USD"),
        ("XXBTZUSD", "BTC/USD"),
        ("btc-usd", "BTC/USD"),
        ("doge-usd", "DOGE/USD"),
        ("XDGUSD", "DOGE/USD"),
        ("XDOGEZUSD", "DOGE/USD"),
        ("XDG/USD", "DOGE/USD"),
        ("XETHZEUR", "ETH/EUR"),
        ("eth_eur", "ETH/EUR"),
        ("XBTUSDT", "BTC/USDT"),
        ("doge:usdt", "DOGE/USDT"),
        ("SOL USD", "SOL/USD"),
    ],
)
def test_a_pair_is_found_by_any_spelling(spelling: str, pair: str) -> None:
    assert find_instrument(spelling).pair == pair


def test_recorded_rules_of_doge() -> None:
    doge = find_instrument("XDGUSD")
    assert (doge.base, doge.quote) == ("DOGE", "USD")
    assert (doge.price_decimals, doge.volume_decimals, doge.cost_decimals) == (7, 8, 9)
    assert (doge.min_volume, doge.min_cost) == (Decimal(50), Decimal("0.5"))


def test_every_listed_pair_is_consistent() -> None:
    for pair in known_pairs():
        rules = find_instrument(pair)
        assert rules.tick_size == Decimal(1).scaleb(-rules.price_decimals)
        assert start_price(pair) % rules.tick_size == 0


def test_no_spelling_means_two_pairs() -> None:
    names = {name: 1 + len(others) for name, others in instruments._table().assets.items()}
    rules = [find_instrument(pair) for pair in known_pairs()]
    spellings = sum(names[one.base] * names[one.quote] for one in rules)
    assert len(instruments._spellings()) == spellings


def test_an_unknown_pair_is_answered_with_the_nearest() -> None:
    with pytest.raises(UnknownPair, match=r"'DOGEUSX' is not known.*did you mean DOGE/USD"):
        find_instrument("DOGEUSX")
    with pytest.raises(UnknownPair, match="known are BTC/USD"):
        find_instrument("???")


def test_assets_have_one_name() -> None:
    assert [asset_name(a) for a in ("XXBT", "xdg", "ZUSD", "ZRX")] == ["BTC", "DOGE", "USD", "ZRX"]


@pytest.mark.parametrize(("price", "decimals"), [(600_000, 1), (1_000_000, 7), (3, 0)])
def test_inferred_rules_leave_room_below_one_order(price: int, decimals: int) -> None:
    market = SyntheticMarket(1, price, decimals)
    rules, sentence = infer_instrument(market, Decimal(10), "XDG/USD")
    assert (rules.base, rules.quote) == ("DOGE", "USD")
    assert rules.tick_size == Decimal(1).scaleb(-decimals)
    volume = Decimal(10) / (price * rules.tick_size)
    assert volume / 1000 <= rules.min_volume <= volume / 100
    assert rules.min_cost == Decimal("0.1")
    assert f"smallest order {rules.min_volume:f} DOGE" in sentence


def test_inferring_does_not_move_the_market() -> None:
    market = SyntheticMarket(1, 600_000, 1, candles=3)
    infer_instrument(market, Decimal(10))
    assert market.ticks == 1
    market.advance(NO_DOWN, NO_UP, math.inf)
    assert market.finished
