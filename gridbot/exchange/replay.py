"""Recorded markets: Kraken's candle and trade files, plain or gzip.

A candle line has 7 fields (unix_time,open,high,low,close,volume,trades), a trade line 3
(unix_time,price,volume). Numbers may carry exponents ("8E+4") or float noise: prices are taken to
10 decimals, volumes cut after 8. Prices end up as whole numbers at as many decimals as the file
needs. Everything is checked; the first bad line is named with what would be right.

Lines are converted a batch at a time, column by column and every distinct number once. Only when
a batch does not pass is it read again line by line, to find the culprit.
"""

import gzip
import math
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from operator import le, lt, sub
from pathlib import Path
from typing import Any

from gridbot.core.numbers import NumberError, parse_decimal
from gridbot.exchange.markets import VOLUME_DECIMALS, Block, Market, MarketDataError

CANDLE_FIELDS = ("unix_time", "open", "high", "low", "close", "volume", "trades")
TRADE_FIELDS = ("unix_time", "price", "volume")
PRICE_FIELDS = ("open", "high", "low", "close", "price")
CLEAN_DECIMALS = 10  # finer digits of a price are float noise
BATCH_BYTES = 1 << 19
LINE_LENGTH_USUAL = 200
INTERVAL_DEFAULT_SECONDS = 60.0  # of a recording with a single candle
TOO_LARGE = "its prices have more digits than 64 bits hold"
FAULTS: tuple[tuple[Any, str], ...] = (
    (FileNotFoundError, "there is no such file"),
    (IsADirectoryError, "is a directory; name the file inside it"),
    (gzip.BadGzipFile, "the name ends in .gz but it is not gzip data; rename it or compress it"),
    ((EOFError, zlib.error), "the gzip data is cut off or damaged; copy the file again"),
    (OverflowError, TOO_LARGE),
    (UnicodeDecodeError, "is binary, not text; a CSV file of candles or trades is wanted"),
)
_CLEAN = Decimal(10**CLEAN_DECIMALS)
_VOLUME = Decimal(10**VOLUME_DECIMALS)


class ReplayMarket(Market):
    """A recording, walked from its first to its last point."""

    def __init__(
        self, block: Block, price_decimals: int, poll_interval_seconds: float, name: str
    ) -> None:
        kind = f"candles of {block.step * 4:g} s" if block.step else "trades"
        source = f"{name}: {block.rows:,} {kind}, {_span(block.starts)}"
        super().__init__(block, price_decimals, poll_interval_seconds, source)
        self.end_at = block.starts[-1] + (block.points - 1) * block.step


def read_market(
    path: str | Path,
    poll_interval_seconds: float = 30.0,
    price_decimals: int | None = None,
    start: float = -math.inf,
    end: float = math.inf,
    hours: float | None = None,
) -> ReplayMarket:
    """The recording at ``path``, from ``start`` to before ``end`` (epoch seconds), or ``hours``.
    ``price_decimals`` may ask for more decimals than the file has, never for fewer. Raises
    MarketDataError: the file, its first bad line, an empty window.
    """
    path = Path(path)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise MarketDataError(f"{path}: is not a regular file: save what it gives to one first")
    recording = _Recording(path)
    with _plain_errors(path):
        for lines in _batches(path):
            recording.add(lines)
        recording.widen(price_decimals or 0)
    if price_decimals is not None and recording.decimals > price_decimals:
        raise MarketDataError(
            f"{path}: its prices have {recording.decimals} decimals, {price_decimals} were asked "
            "for; use an instrument with enough decimals, or none"
        )
    starts, volumes, prices, step = recording.starts, recording.volumes, recording.prices, 0.0
    if not starts:
        raise MarketDataError(f"{path}: is empty; candles or trades are wanted")
    if recording.is_candles:
        step = min(map(sub, starts[1:], starts), default=INTERVAL_DEFAULT_SECONDS) / 4
    first, last = bisect_left(starts, start), bisect_left(starts, end)
    if hours is not None and first < last:
        last = bisect_left(starts, starts[first] + hours * 3600, first, last)
    if first >= last:
        raise MarketDataError(f"{path}: nothing in the chosen window; it holds {_span(starts)}")
    if last - first < len(starts):  # slices are copies
        starts, volumes = starts[first:last], volumes[first:last]
        prices = [column[first:last] for column in prices]
    opens, highs, lows, closes = prices if recording.is_candles else prices * 4
    block = Block(starts, (opens, highs, lows, closes), step, volumes)
    return ReplayMarket(block, recording.decimals, poll_interval_seconds, path.name)


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turn what opening and decoding can raise into one clear line."""
    try:
        yield
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, OverflowError) as error:
        fault = next((text for kind, text in FAULTS if isinstance(error, kind)), "")
        fault = fault or f"cannot be read: {getattr(error, 'strerror', None) or error}"
        raise MarketDataError(f"{path}: {fault}") from error


def _batches(path: Path) -> Iterator[list[str]]:
    """Lists of lines; empty lines at the very end of the file are left out."""
    with path.open("rb") as probe:
        zipped = path.suffix == ".gz" or probe.read(2) == b"\x1f\x8b"
    opener: Any = gzip.open if zipped else open
    with opener(path, "rt", encoding="utf-8-sig") as stream:
        lines = stream.readlines(BATCH_BYTES)
        while lines:
            following = stream.readlines(BATCH_BYTES)
            while not following and lines and not lines[-1].strip():
                lines.pop()
            if lines:
                yield lines
            lines = following


class _Recording:
    """The columns of a file as they grow, batch by batch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fields: tuple[str, ...] = ()
        self.lines = 0
        self.decimals = 0
        self.starts = array("d")
        self.prices: list[array[int]] = []
        self.volumes: Any = array("q")

    @property
    def is_candles(self) -> bool:
        return self.fields == CANDLE_FIELDS

    def add(self, lines: list[str]) -> None:
        if not self.fields:
            self._recognise(lines[0])
        try:
            self._convert(lines)
        except (ValueError, ArithmeticError):
            raise self._culprit(lines) from None
        self.lines += len(lines)

    def _recognise(self, line: str) -> None:
        count = line.count(",") + 1
        if "\x00" in line:
            raise MarketDataError(f"{self.path}: is binary, not text; a CSV file is wanted")
        self.fields = {len(one): one for one in (CANDLE_FIELDS, TRADE_FIELDS)}.get(count, ())
        if not self.fields:
            raise MarketDataError(
                f"{self.path}: line 1: has {count} columns; a candle line has 7 "
                f"({','.join(CANDLE_FIELDS)}), a trade line 3 ({','.join(TRADE_FIELDS)})"
            )
        self.prices = [array("q") for _ in range(4 if self.is_candles else 1)]

    def _convert(self, lines: list[str]) -> None:
        """Append a batch; ValueError or ArithmeticError if it is bad."""
        width = len(self.fields)
        if {line.count(",") for line in lines} != {width - 1}:
            raise ValueError("columns")
        text = ",".join(lines)
        cells = text.split(",")
        odd = "e" in text or "E" in text or max(map(len, lines)) > LINE_LENGTH_USUAL
        parse = parse_decimal if odd else Decimal  # the quick one where that is safe
        times = array("d", map(float, cells[0::width]))
        before = self.starts[-1:] or array("d", [-math.inf])
        in_order = lt if self.is_candles else le
        if not all(map(in_order, before + times, times)) or times[-1] == math.inf:
            raise ValueError("times")
        texts = [cells[1 + i :: width] for i in range(len(self.prices))]
        prices = self._prices(texts, parse)
        volumes = list(map(int, map(_VOLUME.__mul__, map(parse, cells[1 + len(prices) :: width]))))
        if min(volumes) < 0:
            raise ValueError("volumes")
        if self.is_candles:
            opens, highs, lows, closes = prices
            for column in (opens, closes):
                if not (all(map(le, lows, column)) and all(map(le, column, highs))):
                    raise ValueError("extremes")
            list(map(float, set(cells[6::width])))
        for grown, more in zip(self.prices, prices, strict=True):
            grown.extend(more)
        self.starts.extend(times)
        if max(volumes) >= 1 << 63:  # coins of tiny worth trade more units than 64 bits hold
            self.volumes = list(self.volumes)
        self.volumes.extend(volumes)

    def _prices(self, texts: list[list[str]], parse: Callable[[str], Decimal]) -> list[list[int]]:
        """The price columns as whole numbers, after widening what is there if need be."""
        distinct = list(set().union(*texts))
        values = list(map(parse, distinct))
        scaled = list(map(Decimal(10**self.decimals).__mul__, values))
        numbers = list(map(int, scaled))
        if min(numbers) <= 0 or sum(numbers) != sum(scaled):  # digits were cut off: take more
            clean = [round(value * _CLEAN) for value in values]
            divisor = str(math.gcd(*clean))
            self.widen(CLEAN_DECIMALS - (len(divisor) - len(divisor.rstrip("0"))))
            numbers = [value // 10 ** (CLEAN_DECIMALS - self.decimals) for value in clean]
            if min(numbers) <= 0:
                raise ValueError("prices")
        number_of = dict(zip(distinct, numbers, strict=True))
        return [list(map(number_of.__getitem__, column)) for column in texts]

    def widen(self, decimals: int) -> None:
        """Keep prices with at least so many decimals."""
        if decimals > self.decimals:
            factor = 10 ** (decimals - self.decimals)
            self.prices = [array("q", [p * factor for p in column]) for column in self.prices]
            self.decimals = decimals

    def _culprit(self, lines: list[str]) -> MarketDataError:
        previous = self.starts[-1] if self.starts else -math.inf
        for number, line in enumerate(lines, self.lines + 1):
            try:
                previous = _time_of(self.fields, line.rstrip("\n").split(","), previous)
            except ValueError as error:
                fault = str(error)
                if number == 1 and fault.startswith("unix_time: "):
                    fault = f"{line.strip()[:60]!r} looks like a header; delete this line"
                return MarketDataError(f"{self.path}: line {number}: {fault}")
        return MarketDataError(f"{self.path}: {TOO_LARGE}")


def _time_of(fields: tuple[str, ...], cells: list[str], previous: float) -> float:
    """The time of a good line; raises ValueError saying what is wrong with a bad one."""
    if len(cells) != len(fields):
        what = "is empty" if cells == [""] else f"has {len(cells)} columns"
        raise ValueError(f"{what}; the file has {len(fields)} ({','.join(fields)})")
    try:
        named = {name: parse_decimal(cell, name) for name, cell in zip(fields, cells, strict=True)}
    except NumberError as error:
        raise ValueError(f"{error}; a plain number is wanted") from None
    at = float(named["unix_time"])
    if at < previous or (at == previous and fields == CANDLE_FIELDS):
        raise ValueError(f"time {cells[0]} is not after {previous:.16g}; lines go forward")
    prices = {name: named[name] for name in fields if name in PRICE_FIELDS}
    for name, price in prices.items():
        if price * _CLEAN < 1:
            raise ValueError(f"{name} {price} is not above 0; a price is wanted")
    if named["volume"] < 0:
        raise ValueError(f"volume {named['volume']} is below 0; what traded is wanted")
    low, high = min(prices.values()), max(prices.values())
    low, high = named.get("low", low), named.get("high", high)
    if low > high:
        raise ValueError(f"low {low} is above high {high}; the columns are {','.join(fields)}")
    for name, price in prices.items():
        if not low <= price <= high:
            raise ValueError(f"{name} {price} is outside low {low} to high {high}")
    return at


def _span(starts: Sequence[float]) -> str:
    first, last = (datetime.fromtimestamp(at, UTC) for at in (starts[0], starts[-1]))
    return f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
