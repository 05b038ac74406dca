"""Which quotes of a real market become the price the engine trades on."""

from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from gridbot.core.records import Quote
from gridbot.core.settings import Settings
from gridbot.engine.feed import PriceGate


def quote(bid: str, ask: str) -> Quote:
    return Quote(D(bid), D(ask), D(bid), 0.0)


def test_the_price_is_the_exact_middle() -> None:
    gate = PriceGate(Settings())
    assert gate.take(quote("100.1", "100.2")) == D("100.15")
    assert not gate.wide and not gate.unconfirmed


def test_a_spread_too_wide_or_crossed_or_empty_leaves_the_price_as_it_was() -> None:
    gate = PriceGate(Settings())
    assert gate.take(quote("100", "101.5")) is None and gate.wide
    assert gate.take(quote("100", "101")) == D("100.5") and not gate.wide
    for bid, ask in (("100", "102"), ("101", "100"), ("0", "100"), ("-1", "100")):
        assert gate.take(quote(bid, ask)) == D("100.5") and gate.wide


def test_a_jump_waits_for_a_second_reading_that_agrees() -> None:
    gate = PriceGate(Settings(), D("100"))
    assert gate.take(quote("200", "200")) == D("100") and gate.unconfirmed
    assert gate.take(quote("201", "201")) == D("201") and not gate.unconfirmed


def test_a_jump_that_the_next_reading_denies_is_forgotten() -> None:
    gate = PriceGate(Settings(), D("100"))
    gate.take(quote("200", "200"))
    assert gate.take(quote("101", "101")) == D("101") and not gate.unconfirmed
    assert gate.take(quote("200", "200")) == D("101") and gate.unconfirmed
    assert gate.take(quote("150", "150")) == D("101") and gate.unconfirmed
    assert gate.take(quote("151", "151")) == D("151")


@given(st.lists(st.decimals(min_value=1, max_value=10**6, places=2), min_size=2))
def test_two_equal_readings_are_always_believed(prices: list[D]) -> None:
    gate = PriceGate(Settings())
    for price in prices:
        gate.take(Quote(price, price, price, 0.0))
        assert gate.take(Quote(price, price, price, 0.0)) == price
        assert not gate.unconfirmed
