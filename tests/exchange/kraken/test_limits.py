"""Both rate counters against the worked cases of Kraken's documentation."""

import pytest

from gridbot.exchange.kraken.limits import (
    CANCEL_POINTS,
    EDIT_POINTS,
    CallCounter,
    EngineCounter,
    points_for_age,
)


def test_add_amend_after_7_s_and_cancel_36_s_later_cost_8_points() -> None:
    counter = EngineCounter("starter")
    counter.decay = 0.0  # the documentation adds up what is charged
    counter.add(0)
    counter.amend(7, age=7)
    counter.cancel(43, age=36)
    assert counter.value(43) == 8


def test_fifty_adds_of_an_intermediate_decay_to_26_6_in_10_s() -> None:
    counter = EngineCounter("intermediate")
    for _ in range(50):
        counter.add(100)
    assert counter.value(110) == pytest.approx(26.6)


def test_a_batch_add_costs_half_a_point_an_order() -> None:
    counter = EngineCounter("pro")
    counter.add_batch(0, 15)
    assert counter.value(0) == 7.5


@pytest.mark.parametrize(
    ("age", "cancel", "edit"),
    [(0, 8, 6), (4.9, 8, 6), (5, 6, 5), (14, 5, 4), (15, 4, 2), (44, 4, 2), (45, 2, 1), (90, 1, 0),
     (299, 1, 0), (300, 0, 0)],
)  # fmt: skip
def test_what_touching_an_order_costs_falls_with_its_age(
    age: float, cancel: float, edit: float
) -> None:
    assert points_for_age(CANCEL_POINTS, age) == cancel
    assert points_for_age(EDIT_POINTS, age) == edit


@pytest.mark.parametrize(
    ("tier", "calls", "seconds"), [("starter", 15, 3.0303), ("intermediate", 20, 2), ("pro", 20, 1)]
)
def test_a_full_call_counter_is_free_for_one_call_after_its_own_decay(
    tier: str, calls: int, seconds: float
) -> None:
    counter = CallCounter(tier)  # type: ignore[arg-type]
    for _ in range(calls):
        assert counter.free_at(50, 1) == 50
        counter.charge(50, 1)
    assert counter.room(50) == 0
    assert counter.free_at(50, 1) == pytest.approx(50 + seconds, abs=1e-3)


def test_a_clock_stepping_back_decays_nothing() -> None:
    counter = CallCounter("pro")
    counter.charge(1000, 4)
    assert counter.value(10) == 4
    counter.charge(10, 1)
    assert counter.value(12) == 3
