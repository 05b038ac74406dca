"""Kraken's public half against a tiny Kraken."""

import httpx
import pytest

from gridbot.core.odds import Candle
from gridbot.exchange.instruments import UnknownPair
from gridbot.exchange.protocol import BadAnswer, Fatal, RateLimited, RetryLater

from .tiny_kraken import PAIRS, START, D, TinyKraken, run


def test_an_instrument_is_found_by_any_spelling_with_its_rules() -> None:
    kraken = TinyKraken()
    found = run(kraken.public().instrument("XDOGEZUSD"))
    assert (found.pair, found.base, found.quote) == ("DOGE/USD", "DOGE", "USD")
    assert (found.tick_size, found.min_volume, found.volume_decimals) == (D("0.1"), D("0.00005"), 8)
    assert kraken.asked("AssetPairs") == {"pair": "XDGUSD"}


def test_rules_are_read_again_each_time_and_the_tables_once() -> None:
    async def twice() -> list[str]:
        public = kraken.public()
        before = await public.instrument("BTC/USD")
        kraken.answers["AssetPairs"] = {"XXBTZUSD": PAIRS["XXBTZUSD"] | {"status": "cancel_only"}}
        return [before.status, (await public.instrument("BTC/USD")).status]

    kraken = TinyKraken()
    assert run(twice()) == ["online", "cancel_only"]
    assert (kraken.count("Assets"), kraken.count("AssetPairs")) == (1, 3)


def test_an_unknown_pair_is_told_with_suggestions_and_nothing_more_is_asked() -> None:
    kraken = TinyKraken()
    with pytest.raises(UnknownPair, match="did you mean BTC/USD"):
        run(kraken.public().instrument("BTC/UDS"))
    assert kraken.count("AssetPairs") == 1


def test_a_pair_without_its_rules_is_an_error() -> None:
    kraken = TinyKraken()
    broken = {key: value for key, value in PAIRS["XXBTZUSD"].items() if key != "tick_size"}
    kraken.script["AssetPairs"] = [PAIRS, {"XXBTZUSD": broken}]
    with pytest.raises(BadAnswer, match=r"AssetPairs: .*tick_size"):
        run(kraken.public().instrument("BTC/USD"))


@pytest.mark.parametrize(
    ("ahead", "offset"), [(0.0, 0.0), (0.9, 0.0), (30.0, 30.5), (-3600, -3599.5)]
)
def test_the_offset_of_krakens_clock_is_measured(ahead: float, offset: float) -> None:
    kraken = TinyKraken()
    kraken.kraken_ahead = ahead
    public = kraken.public()
    assert run(public.server_time()) == int(START + ahead)
    assert public.offset_seconds == offset


def test_a_quote_has_bid_ask_and_last() -> None:
    kraken = TinyKraken()
    kraken.answers["Ticker"] = {
        "XXBTZUSD": {
            "a": ["60001.0", "1", "1.0"],
            "o": "1",
            "t": [3, 4],
            "b": ["60000.0", "1", "1.0"],
            "c": ["60000.5", "2"],
        }
    }
    found = run(kraken.public().quote("BTC/USD"))
    assert (found.bid, found.ask, found.last) == (D("60000.0"), D("60001.0"), D("60000.5"))
    assert found.at == START and kraken.asked("Ticker") == {"pair": "XBTUSD"}


def test_candles_and_depth_are_rows_of_figures() -> None:
    kraken = TinyKraken()
    row = [1790000000, "1.0", "2.0", "0.5", "1.5", "1.2", "10.25", 7]
    growing = [1790003600, "1.5", "9.0", "1.5", "9.0", "5.0", "1.00", 1]
    kraken.answers["OHLC"] = {"last": 5, "XXBTZUSD": [row, growing]}
    kraken.answers["Depth"] = {"XXBTZUSD": {"asks": [["2", "1", 5]], "bids": [["1", "3", 5]]}}
    public = kraken.public()
    expected = Candle(1790000000.0, D("1.0"), D("2.0"), D("0.5"), D("1.5"))
    assert run(public.candles("BTC/USD", 60)) == [expected]
    assert run(public.depth("BTC/USD", 1))["bids"][0][:2] == [D(1), D(3)]


@pytest.mark.parametrize(
    ("answer", "error"),
    [("EQuery:Unknown asset pair", Fatal), (httpx.ConnectError("no"), RetryLater),
     (httpx.ReadTimeout("no"), RetryLater), (httpx.Response(503), RetryLater),
     (httpx.Response(200, html="<html>"), RetryLater), (httpx.Response(429), RateLimited),
     ("EGeneral:Too many requests", RateLimited), ({"a": 1}, BadAnswer), ({}, BadAnswer),
     ("EService:Unavailable", RetryLater), (httpx.Response(200, json=[]), BadAnswer)],
    ids=str,
)  # fmt: skip
def test_what_goes_wrong_with_a_read_has_the_name_of_its_endpoint(
    answer: object, error: type[Exception]
) -> None:
    kraken = TinyKraken()
    kraken.answers["Ticker"] = answer
    with pytest.raises(error, match=r"^Ticker: ") as caught:
        run(kraken.public().quote("BTC/USD"))
    assert type(caught.value) is error
    assert "\n" not in str(caught.value)


def test_public_calls_are_not_made_faster_than_one_a_second_for_long() -> None:
    async def hasty() -> None:
        public = kraken.public()
        for _ in range(15):
            await public.system_status()
        with pytest.raises(RateLimited) as caught:
            await public.system_status()
        assert caught.value.until == START + 1
        kraken.now += 1
        assert await public.system_status() == "online"

    kraken = TinyKraken()
    run(hasty())
    assert kraken.count("SystemStatus") == 16
