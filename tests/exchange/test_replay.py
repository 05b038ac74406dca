"""Recordings: what loads, what it becomes, and how each fault is named."""

import gzip
import math
import os
from decimal import Decimal
from pathlib import Path

import pytest

from gridbot.exchange.markets import NO_DOWN, NO_UP, MarketDataError
from gridbot.exchange.replay import ReplayMarket, read_market

GOOD = "1719792000,0.5,0.6,0.4,0.45,8,3"


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def load(tmp_path: Path, *lines: str) -> ReplayMarket:
    return read_market(write(tmp_path / "market.csv", *lines))


def test_candles_become_whole_prices_at_the_decimals_they_need(tmp_path: Path) -> None:
    market = load(tmp_path, GOOD, "1719792300,0.45,0.6123,0.45,0.5,1.5,1")
    assert (market.price_decimals, market.scale, market.price) == (4, 10_000, 5_000)
    assert market.volume == Decimal(2)
    assert market.end_at == 1719792300 + 225
    assert market.source == (
        "market.csv: 2 candles of 300 s, 2024-07-01 00:00 to 2024-07-01 00:05 UTC"
    )


def test_exponents_and_float_noise_are_read(tmp_path: Path) -> None:
    market = load(
        tmp_path,
        "1719792000,8E+4,8.01e4,80000,80000.50000000001,1.2E+2,3",
        "1719792060,80000.5,80000.5,80000.49999999999,80000.5,0.30000000000000004,1",
    )
    assert (market.price_decimals, market.price) == (1, 800_000)
    assert market.volume == Decimal(30)
    market.advance(NO_DOWN, NO_UP, market.end_at)
    assert (market.price, market.volume) == (800_005, Decimal("0.075"))


def test_trades_are_points_and_equal_times_are_normal(tmp_path: Path) -> None:
    market = load(tmp_path, "10.5,100.5,1", "10.5,100.25,2", "75,101,0.5")
    assert (market.price, market.volume, market.candles) == (10_050, Decimal(1), 0)
    market.advance(NO_DOWN, NO_UP, 10.5)
    assert (market.at, market.price, market.volume) == (10.5, 10_025, Decimal(2))
    market.advance(NO_DOWN, NO_UP, 31.0)
    assert (market.at, market.price, market.volume) == (60.0, 10_025, Decimal(0))
    assert market.next_at == market.end_at == 75.0


def test_huge_volumes_are_exact(tmp_path: Path) -> None:
    market = load(tmp_path, "10,0.00001,400000000000.25", "11,0.00001,3")
    assert market.volume == Decimal("400000000000.25")


def test_gzip_is_told_by_name_or_by_content(tmp_path: Path) -> None:
    packed = gzip.compress(f"{GOOD}\r\n".encode())
    for name in ("a.csv.gz", "a.csv"):
        (tmp_path / name).write_bytes(packed)
        assert read_market(tmp_path / name).price == 50


def test_empty_lines_at_the_end_do_no_harm(tmp_path: Path) -> None:
    assert load(tmp_path, GOOD, "", "").finished is False


def test_a_window_cuts_the_recording(tmp_path: Path) -> None:
    lines = [f"{1719792000 + 60 * i},{5 + i},{5 + i},{5 + i},{5 + i},1,1" for i in range(120)]
    path = write(tmp_path / "m.csv", *lines)
    begin = 1719792000 + 600
    market = read_market(path, start=begin, end=begin + 120)
    assert (market.at, market.price, market.end_at) == (begin, 15, begin + 60 + 45)
    assert read_market(path, hours=1).end_at == 1719792000 + 59 * 60 + 45
    assert read_market(path, hours=3).end_at == 1719792000 + 119 * 60 + 45
    with pytest.raises(MarketDataError, match="nothing in the chosen window; it holds 2024-07-01"):
        read_market(path, start=begin + 10**6)


def test_more_decimals_may_be_asked_for_but_not_fewer(tmp_path: Path) -> None:
    path = write(tmp_path / "m.csv", GOOD)
    assert read_market(path, price_decimals=5).price == 50_000
    with pytest.raises(MarketDataError, match="prices have 2 decimals, 1 were asked for"):
        read_market(path, price_decimals=1)


NEXT = "1719792300,0.45,0.5,0.4,0.5,1.5,1"


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        ("1719792300,0.45,0.5,0.4,0.5,1.5", "has 6 columns; the file has 7"),
        ("1719792300,0.45,0.5,0.4,0.5,1.5,1,9", "has 8 columns; the file has 7"),
        ("", "is empty; the file has 7"),
        ("1719792300,0.45,x,0.4,0.5,1.5,1", "high: 'x' is not a number"),
        ("1719792300,0.45,0.5,0.4,,1.5,1", "close: '' is not a number"),
        ("1719792300,0.45,NaN,0.4,0.5,1.5,1", "high: NaN is not a finite number"),
        ("1719792300,0.45,Infinity,0.4,0.5,1.5,1", "high: Infinity is not a finite number"),
        ("1719792300,0.45,1E+99999,0.4,0.5,1.5,1", "high: 1E+99999 is outside"),
        ("nan,0.45,0.5,0.4,0.5,1.5,1", "unix_time: NaN is not a finite number"),
        ("1719792300,0.45,0.5,0,0.5,1.5,1", "low 0 is not above 0"),
        ("1719792300,-0.45,0.5,0.4,0.5,1.5,1", "open -0.45 is not above 0"),
        ("1719792300,0.45,0.4,0.5,0.45,1.5,1", "low 0.5 is above high 0.4"),
        ("1719792300,0.55,0.5,0.4,0.45,1.5,1", "open 0.55 is outside low 0.4 to high 0.5"),
        ("1719792300,0.45,0.5,0.4,0.3,1.5,1", "close 0.3 is outside low 0.4 to high 0.5"),
        ("1719792300,0.45,0.5,0.4,0.5,-1,1", "volume -1 is below 0"),
        ("1719792300,0.45,0.5,0.4,0.5,1.5,many", "trades: 'many' is not a number"),
        ("1719792000,0.45,0.5,0.4,0.5,1.5,1", "time 1719792000 is not after 1719792000"),
        ("1719791700,0.45,0.5,0.4,0.5,1.5,1", "time 1719791700 is not after 1719792000"),
    ],
)
def test_a_bad_line_is_named_with_its_number(tmp_path: Path, bad: str, fault: str) -> None:
    with pytest.raises(MarketDataError) as caught:
        load(tmp_path, GOOD, bad, "1719792600,1,1,1,1,1,1")
    text = str(caught.value)
    assert f"market.csv: line 2: {fault}" in text
    assert "\n" not in text


def test_a_bad_line_far_down_is_named_too(tmp_path: Path) -> None:
    lines = [f"{60 * i},5,5,5,5,1.00000000,1" for i in range(40_000)]
    lines[35_432] = "x"
    with pytest.raises(MarketDataError, match="line 35433: has 1 columns"):
        load(tmp_path, *lines)


def test_trades_going_backwards_are_named(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match=r"line 2: time 9\.5 is not after 10"):
        load(tmp_path, "10,5,1", "9.5,5,1")


def test_a_header_is_told_as_one(tmp_path: Path) -> None:
    header = "time,open,high,low,close,volume,trades"
    with pytest.raises(MarketDataError, match=r"line 1: 'time,open.*looks like a header; delete"):
        load(tmp_path, header, GOOD)


def test_an_unknown_layout_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="line 1: has 5 columns; a candle line has 7"):
        load(tmp_path, "1,2,3,4,5")


def test_prices_beyond_64_bits_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="more digits than 64 bits"):
        load(tmp_path, "10,123456789012345.12345,1", "11,123456789012345.12345,1")
    path = write(tmp_path / "m.csv", "10,123456789012345,1")
    with pytest.raises(MarketDataError, match="more digits than 64 bits"):
        read_market(path, price_decimals=8)


@pytest.mark.parametrize(
    ("name", "content", "fault"),
    [
        ("empty.csv", b"", "is empty"),
        ("blank.csv", b"\n\n", "is empty"),
        ("plain.csv.gz", GOOD.encode(), "it is not gzip data"),
        ("cut.csv.gz", gzip.compress(GOOD.encode() * 99, mtime=0)[:-20], "cut off or damaged"),
        ("junk.csv", bytes(range(128, 256)) * 9, "is binary, not text"),
        ("zeros.csv", bytes(4096), "is binary, not text"),
    ],
)
def test_a_useless_file_gets_one_clear_line(
    tmp_path: Path, name: str, content: bytes, fault: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(MarketDataError) as caught:
        read_market(path)
    assert str(path) in str(caught.value)
    assert fault in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_directory_get_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(MarketDataError, match="there is no such file"):
        read_market(tmp_path / "nothing.csv")
    with pytest.raises(MarketDataError, match="is a directory; name the file"):
        read_market(tmp_path)


@pytest.mark.parametrize(
    ("name", "rows", "decimals", "span"),
    [
        ("kraken_XDGUSD_5m_2024Q3.csv.gz", 26_155, 7, (1719792000, 1727740500 + 225)),
        ("kraken_XBTUSD_1m_202303.csv.gz", 30_180, 1, (1677628800, 1679443140 + 45)),
        ("bybit_DOGEUSDT_1m_202506.csv.gz", 43_200, 5, (1748623320, 1751215260 + 45)),
        ("kraken_XBTUSDT_trades_20251110.csv", 1_000, 1, (1762795433.9717445, None)),
        ("binance_ETHUSDT_trades_20240808.csv.gz", 14_515, 2, (1723161255.611, None)),
    ],
)
def test_the_recorded_sets_load(
    shared: Path, name: str, rows: int, decimals: int, span: tuple[float, float | None]
) -> None:
    path = shared / "data" / name
    if not path.exists():
        pytest.skip(f"no recording at {path}")
    market = read_market(path)
    assert (market._block.rows, market.price_decimals, market.at) == (rows, decimals, span[0])
    if span[1] is not None:
        assert market.end_at == span[1]
    market.advance(NO_DOWN, NO_UP, math.inf)
    assert (market.at, market.finished) == (market.end_at, True)


def test_a_pipe_is_refused_before_it_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MarketDataError, match="is not a regular file"):
        read_market(tmp_path / "pipe")
