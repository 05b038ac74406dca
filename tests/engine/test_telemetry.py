"""Histories, odds and their way to the screen."""

import asyncio
from decimal import Decimal as D
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from gridbot.core.odds import CANDLES, odds
from gridbot.engine.runner import Runner
from gridbot.engine.status import Status
from gridbot.engine.telemetry import POINTS, Telemetry, market_odds
from gridbot.engine.venues import Venue, plan_venue
from gridbot.exchange.markets import NO_DOWN, NO_UP
from gridbot.exchange.replay import read_market
from tests.engine.test_runner import wait_for
from tests.simulation.harness import settings_with

SETTINGS = settings_with(
    slots={"initial_slots": 2, "initial_sticky_ratio": D("0.5")},
    sim={"speed": D(3600), "volatility": D("0.2")},
)


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory) -> Status:
    runner = Runner(SETTINGS, tmp_path_factory.mktemp("engine") / "data", polls=3)
    runner.start()
    assert runner.finished.wait(30)
    found = runner.status()
    assert found is not None
    return found


def at_minute(status: Status, minute: float) -> Status:
    profit = replace(status.profit, realised=D(str(minute)), write_offs=D("-0.5"))
    api = {"calls": 3.0, "calls_limit": 15.0, "engine": 30.0, "engine_limit": 125.0}
    governor = {"pressure": 0.25}
    price = replace(status.price, at=60.0 * minute)
    return replace(status, price=price, profit=profit, api=api, governor=governor)


def test_a_history_keeps_one_point_a_minute_of_the_last_day(status: Status) -> None:
    telemetry = Telemetry(None)
    for half in range(2 * (POINTS + 10)):
        telemetry.see(at_minute(status, 1000 + half / 2))
    profit = telemetry.history("profit")
    assert len(profit) == POINTS
    assert profit[-1] == (60.0 * (1009 + POINTS), D(1009 + POINTS) - D("0.5"))
    assert [b[0] - a[0] for a, b in pairwise(profit)] == [60.0] * (POINTS - 1)
    assert telemetry.history("pressure")[-1][1] == 0.25
    assert telemetry.history("api")[-1][1] == 30 / 125
    assert telemetry.history("headroom")[-1][1] == status.capacity.headroom
    assert telemetry.history("weather") == []


def test_the_odds_and_histories_reach_whoever_holds_the_client(tmp_path: Path) -> None:
    runner = Runner(SETTINGS, tmp_path / "data")
    runner.start()
    try:

        def seen() -> bool:
            status = runner.status()
            found = None if status is None else status.governor["odds"]
            return found is not None and found.trials > 0 and len(runner.history("headroom")) > 2

        wait_for(seen)
    finally:
        runner.close()
    assert not runner.failure


def test_candles_of_a_simulated_market_are_what_was_walked() -> None:
    venue = Venue(plan_venue(SETTINGS))
    seen: dict[float, list[int]] = {}
    begin = venue.now
    while venue.now < begin + 5 * 3600:
        at = venue.market.at // 300 * 300
        seen.setdefault(at, []).append(venue.market.price)
        venue.market.advance(NO_DOWN, NO_UP, venue.market.at)
        venue.now = venue.market.at
    found = Venue(venue.plan).market.history(venue.now, 5)
    unit = D(1).scaleb(-venue.market.price_decimals)
    walked = {at: prices for at, prices in seen.items() if at + 300 <= venue.now}
    assert [one.at for one in found] == list(walked)
    for one, prices in zip(found, walked.values(), strict=True):
        assert (one.open, one.high) == (prices[0] * unit, max(prices) * unit)
        assert (one.low, one.close) == (min(prices) * unit, prices[-1] * unit)


def test_a_simulated_market_shows_its_first_candles_before_it_has_come_so_far() -> None:
    venue = Venue(plan_venue(SETTINGS))
    seen = market_odds(SETTINGS, venue.plan.instrument, D("0.4"), venue)
    found, minutes, bet = asyncio.run(seen)
    assert [one.at for one in found] == [venue.now + 60 * minutes * i for i in range(CANDLES)]
    assert bet == odds(found, minutes, SETTINGS, D("0.4"), venue.plan.instrument.quote)


def test_at_most_720_candles_are_told_and_a_quiet_minute_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "market.csv"
    minutes = [minute for minute in range(2000) if minute % 7]
    file.write_text("".join(f"{60 * m},{m + 1},{m + 3},{m + 1},{m + 2},1,1\n" for m in minutes))
    found = read_market(file).history(60.0 * 1501, 1)
    expected = [60.0 * m for m in minutes if 1501 - CANDLES <= m < 1501]
    assert [one.at for one in found] == expected
    assert found[-1][1:] == (D(1501), D(1503), D(1501), D(1502))
