"""The odds of a cycle slot's bet, on markets small enough to count by hand."""

from decimal import Decimal as D
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core.numbers import ZERO
from gridbot.core.odds import CANDLES, Candle, Odds, candle_minutes, odds
from gridbot.core.settings import Settings
from tests.simulation.harness import settings_with

FEE = D("0.4")
QUICK = settings_with(
    grid={"entry_pct": D(1), "profit_pct": D(2), "refresh_pct": D(5)},
    cycle={"s1_orphan_after_sec": 180.0},
)


def market(*rows: str) -> list[Candle]:
    """Minutes from texts of open, high, low, close."""
    return [Candle(60.0 * i, *map(D, row.split())) for i, row in enumerate(rows)]


def bet(candles: list[Candle], settings: Settings = QUICK) -> Odds | None:
    return odds(candles, 1, settings, FEE, "USD")


STILL = "100 100 100 100"


def test_an_exit_reached_in_time_earns_the_target_less_both_fees() -> None:
    # Long from 99 in the second minute; 100.98 is passed in the third: 2 - 0.4 * 2.02 = 1.192.
    found = bet(market(STILL, "100 100 99 99.5", "99.5 101 99.5 100", STILL, STILL))
    assert found is not None
    assert (found.trials, found.reached_pct, found.expected_pct) == (1, D(100), D("1.19"))
    assert found.expected_quote == D("0.1192")  # an order of 10
    assert not found.warning
    # One more minute, and two shorts of the third one end: from 101 and from 1 % above 99.5, both
    # written off at 100 for 1 / 101 - 0.4 % and 0.495 / 100.495 - 0.4 %.
    found = bet(market(STILL, "100 100 99 99.5", "99.5 101 99.5 100", STILL, STILL, STILL))
    assert found is not None
    assert (found.trials, found.reached_pct, found.expected_pct) == (3, D("33.3"), D("0.62"))
    assert found.text.startswith("33.3 % of 3 exits at 2 % were reached within 3 min (last 6 cand")


def test_the_candle_that_fills_an_entry_cannot_fill_its_exit() -> None:
    found = bet(market(STILL, "100 101 99 100", STILL, STILL, STILL))
    assert found is not None
    assert (found.trials, found.reached_pct) == (2, ZERO)


def test_what_the_deadline_finds_open_is_written_off_at_the_close_in_force() -> None:
    late = bet(market(STILL, "100 100 99 99", "99 99 98 98", "98 98 97 97", "97 97 96 96"))
    assert late is not None
    longs = -(D(99) - D(96)) / D(99) * 100 - FEE
    assert late.trials == 1  # every later one ends beyond the last candle
    assert late.expected_pct == round(longs, 2)
    assert late.expected_quote == round(longs / 10, 4)  # an order of 10
    assert late.warning.startswith("CYCLE SLOTS LOSE MONEY HERE")
    assert late.break_even_pct == round(-longs / (D(2) - 2 * FEE - longs) * 100, 1)


def test_an_entry_the_market_leaves_behind_is_no_trial() -> None:
    away = market(STILL, "100 107 100 107", "107 107 98 98", STILL, STILL, STILL, STILL)
    assert bet(away[:3] + market(*[STILL] * 7)[3:]) is not None
    only_long = [one for one in away if one.at <= 60]
    assert bet(only_long) is None


def test_a_market_without_an_end_of_any_trial_has_no_odds() -> None:
    assert bet([]) is None
    assert bet(market(*[STILL] * 30)) is None
    assert bet(market(STILL, "100 100 99 99.5")) is None


@pytest.mark.parametrize(
    ("deadline", "minutes"), [(60, 1), (1350, 1), (4320, 1), (4321, 5), (21600, 5), (10**9, 1440)]
)
def test_the_interval_lets_720_candles_show_the_deadline_ten_times(
    deadline: float, minutes: int
) -> None:
    settings = settings_with(cycle={"s1_orphan_after_sec": float(deadline)})
    assert candle_minutes(settings) == minutes


PRICES = st.integers(min_value=9_000, max_value=11_000)


@given(st.lists(PRICES, min_size=8, max_size=40))
def test_mirrored_markets_have_the_same_share_and_bounds_hold(path: list[int]) -> None:
    """Every result lies between the worst move of the market and the target after fees."""
    closes = [D(price) / 100 for price in path]
    rows = [
        Candle(60.0 * i, a, max(a, b), min(a, b), b) for i, (a, b) in enumerate(pairwise(closes))
    ]
    found = bet(rows)
    if found is None:
        return
    assert ZERO <= found.reached_pct <= 100
    assert ZERO <= found.break_even_pct <= 100
    assert found.expected_pct <= D(2)
    assert bool(found.warning) == (found.expected_pct < 0) or found.expected_pct == 0
    doubled = bet([Candle(one.at, *(price * 2 for price in one[1:])) for one in rows])
    assert doubled is not None
    assert (doubled.trials, doubled.expected_pct) == (found.trials, found.expected_pct)


def test_the_last_720_candles_of_a_recorded_window_make_a_bet() -> None:
    up = [f"{100 + i} {101 + i} {100 + i} {101 + i}" for i in range(CANDLES)]
    found = bet(market(*up))
    assert found is not None
    assert found.reached_pct == 0 and found.expected_pct < 0  # only shorts fill on the way up
