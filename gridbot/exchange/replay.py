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
from datetime import UTC, datetime
from decimal import Decimal
from operator import le, lt, sub
from pathlib import Path
from typing import Any, TextIO

from gridbot.core.numbers import NumberError, parse_decimal
from gridbot.exchange.markets import VOLUME_DECIMALS, Block, MarketDataError, PathMarket

CANDLE_FIELDS = ("unix_time", "open", "high", "low", "close", "volume", "trades")
TRADE_FIELDS = ("unix_time", "price", "volume")
CLEAN_DECIMALS = 10  # finer digits of a price are float noise
BATCH_BYTES = 1 << 19
LINE_LENGTH_USUAL = 200
INTERVAL_DEFAULT_SECONDS = 60.0  # of a recording with a single candle
_CLEAN = Decimal(10**CLEAN_DECIMALS)
_VOLUME = Decimal(10**VOLUME_DECIMALS)


class ReplayMarket(PathMarket):
    """A recording, walked from its first to its last point."""

    def __init__(
        self, block: Block, price_decimals: int, poll_interval_seconds: float, name: str
    ) -> None:
        first, last = block.starts[0], block.starts[-1]
        kind = f"candles of {block.step * 4:g} s" if block.step else "trades"
        span = f"{_utc(first)} to {_utc(last)} UTC"
        source = f"{name}: {block.rows:,} {kind}, {span}"
        super().__init__(block, price_decimals, poll_interval_seconds, source)
        self.end_at = last + (block.points - 1) * block.step

    def _following(self, block: Block) -> Block | None:
        return None


def read_market(
    path: str | Path,
    poll_interval_seconds: float = 30.0,
    price_decimals: int | None = None,
    start: float | None = None,
    end: float | None = None,
    hours: float | None = None,
) -> ReplayMarket:
    """The recording at ``path``, from ``start`` to before ``end`` (epoch seconds), or ``hours``.

    ``price_decimals`` may ask for more decimals than the file has, never for fewer. Raises
    MarketDataError: the file, its first bad line, an empty window.
    """
    path = Path(path)
    recording = _Recording(path)
    with _Reading(path):
        for lines in _batches(path):
            recording.add(lines)
    starts, prices, volumes = recording.columns(price_decimals)
    step = _interval(starts) / 4 if recording.is_candles else 0.0
    window = _window(path, starts, start, end, hours)
    if window != slice(0, len(starts)):  # slices are copies
        starts, volumes = starts[window], volumes[window]
        prices = [column[window] for column in prices]
    opens, highs, lows, closes = prices if recording.is_candles else prices * 4
    block = Block(starts, (opens, highs, lows, closes), step, volumes)
    return ReplayMarket(block, recording.decimals, poll_interval_seconds, path.name)


class _Reading:
    """Turn what opening and decoding can raise into one clear line."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        if self.path.is_dir():
            raise MarketDataError(f"{self.path}: is a directory; name the file inside it")

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        fault = self._fault(error)
        if fault is not None:
            raise MarketDataError(f"{self.path}: {fault}") from error

    def _fault(self, error: BaseException | None) -> str | None:
        if isinstance(error, FileNotFoundError):
            return "there is no such file"
        if isinstance(error, gzip.BadGzipFile):
            return "the name ends in .gz but it is not gzip data; rename it or compress it"
        if isinstance(error, EOFError | zlib.error):
            return "the gzip data is cut off or damaged; copy the file again"
        if isinstance(error, UnicodeDecodeError):
            return "is binary, not text; a CSV file of candles or trades is wanted"
        if isinstance(error, OSError):
            return f"cannot be read: {error.strerror or error}"
        return None


def _open_text(path: Path) -> TextIO:
    with path.open("rb") as probe:
        zipped = path.suffix == ".gz" or probe.read(2) == b"\x1f\x8b"
    if zipped:
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _batches(path: Path) -> Iterator[list[str]]:
    """Lists of lines; empty lines at the very end of the file are left out."""
    with _open_text(path) as stream:
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
        self.volumes: Sequence[int] = array("q")

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
        for fields in (CANDLE_FIELDS, TRADE_FIELDS):
            if count == len(fields):
                self.fields = fields
                self.prices = [array("q") for _ in range(4 if self.is_candles else 1)]
                return
        if "\x00" in line:
            raise MarketDataError(f"{self.path}: is binary, not text; a CSV file is wanted")
        raise self._error(
            0,
            f"has {count} columns; a candle line has 7 ({','.join(CANDLE_FIELDS)}), "
            f"a trade line 3 ({','.join(TRADE_FIELDS)})",
        )

    def _convert(self, lines: list[str]) -> None:
        width = len(self.fields)
        if {line.count(",") for line in lines} != {width - 1}:
            raise ValueError("columns")
        text = ",".join(lines)
        cells, parse = text.split(","), _parser(text, lines)
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
            _check_candles(*prices)
            list(map(float, set(cells[6::width])))
        self.starts.extend(times)
        for column, more in zip(self.prices, prices, strict=True):
            column.extend(more)
        self._add_volumes(volumes)

    def _prices(self, texts: list[list[str]], parse: Callable[[str], Decimal]) -> list[list[int]]:
        """The price columns as whole numbers, after widening what is there if need be."""
        distinct = list(set().union(*texts))
        values = list(map(parse, distinct))
        scaled = list(map(Decimal(10**self.decimals).__mul__, values))
        numbers = list(map(int, scaled))
        if min(numbers) <= 0 or sum(numbers) != sum(scaled):  # digits were cut off: take more
            clean = [round(value * _CLEAN) for value in values]
            self._widen(_decimals(math.gcd(*clean)))
            divisor = 10 ** (CLEAN_DECIMALS - self.decimals)
            numbers = [value // divisor for value in clean]
            if min(numbers) <= 0:
                raise ValueError("prices")
        number_of = dict(zip(distinct, numbers, strict=True))
        return [list(map(number_of.__getitem__, column)) for column in texts]

    def _widen(self, decimals: int) -> None:
        if decimals > self.decimals:
            factor = 10 ** (decimals - self.decimals)
            self.prices = [array("q", [p * factor for p in column]) for column in self.prices]
            self.decimals = decimals

    def _add_volumes(self, volumes: list[int]) -> None:
        # Coins of tiny worth trade more units than 64 bits hold.
        if isinstance(self.volumes, array) and max(volumes) >= 1 << 63:
            self.volumes = list(self.volumes)
        self.volumes.extend(volumes)  # type: ignore[attr-defined]

    def columns(
        self, price_decimals: int | None
    ) -> tuple["array[float]", list["array[int]"], Sequence[int]]:
        if not self.starts:
            raise MarketDataError(f"{self.path}: is empty; candles or trades are wanted")
        if price_decimals is not None:
            if self.decimals > price_decimals:
                raise MarketDataError(
                    f"{self.path}: its prices have {self.decimals} decimals, {price_decimals} were"
                    " asked for; use an instrument with enough decimals, or none"
                )
            self._widen(price_decimals)
        return self.starts, self.prices, self.volumes

    def _culprit(self, lines: list[str]) -> MarketDataError:
        previous = self.starts[-1] if self.starts else -math.inf
        for index, line in enumerate(lines):
            cells = line.rstrip("\n").split(",")
            fault, previous = self._line_fault(cells, previous)
            if fault and self.lines + index == 0 and not _is_number(cells[0]):
                fault = f"{line.strip()[:60]!r} looks like a header; delete this line"
            if fault:
                return self._error(index, fault)
        return MarketDataError(f"{self.path}: its prices have more digits than 64 bits hold")

    def _error(self, index: int, fault: str) -> MarketDataError:
        return MarketDataError(f"{self.path}: line {self.lines + index + 1}: {fault}")

    def _line_fault(self, cells: list[str], previous: float) -> tuple[str | None, float]:
        if len(cells) != len(self.fields):
            wanted = f"the file has {len(self.fields)} ({','.join(self.fields)})"
            what = "is empty" if cells == [""] else f"has {len(cells)} columns"
            return f"{what}; {wanted}", previous
        try:
            values = [
                parse_decimal(cell, name) for name, cell in zip(self.fields, cells, strict=True)
            ]
        except NumberError as error:
            return f"{error}; a plain number is wanted", previous
        at = float(values[0])
        if at < previous or (at == previous and self.is_candles):
            return f"time {cells[0]} is not after {previous:.16g}; lines go forward", previous
        return _value_fault(self.fields, values), at


def _value_fault(fields: tuple[str, ...], values: list[Decimal]) -> str | None:
    """What is wrong with the prices and the volume of one line."""
    named = dict(zip(fields, values, strict=True))
    for name in fields[1:]:
        if name not in ("volume", "trades") and named[name] * _CLEAN < 1:
            return f"{name} {named[name]} is not above 0; a price is wanted"
    if named["volume"] < 0:
        return f"volume {named['volume']} is below 0; what traded is wanted"
    if fields == TRADE_FIELDS:
        return None
    high, low = named["high"], named["low"]
    if low > high:
        return f"low {low} is above high {high}; the columns are {','.join(fields)}"
    for name in ("open", "close"):
        if not low <= named[name] <= high:
            return f"{name} {named[name]} is outside low {low} to high {high}"
    return None


def _parser(text: str, lines: list[str]) -> Callable[[str], Decimal]:
    """The quick parser where it is safe, the checked one where it is not."""
    odd = "e" in text or "E" in text or max(map(len, lines)) > LINE_LENGTH_USUAL
    return parse_decimal if odd else Decimal


def _check_candles(opens: list[int], highs: list[int], lows: list[int], closes: list[int]) -> None:
    for column in (opens, closes):
        if not (all(map(le, lows, column)) and all(map(le, column, highs))):
            raise ValueError("extremes")


def _decimals(divisor: int) -> int:
    """Decimals that prices with this greatest common divisor need."""
    decimals = CLEAN_DECIMALS
    while decimals and divisor % 10 == 0:
        divisor //= 10
        decimals -= 1
    return decimals


def _interval(starts: Sequence[float]) -> float:
    """A candle's length: the smallest distance of two candles."""
    return min(map(sub, starts[1:], starts), default=INTERVAL_DEFAULT_SECONDS)


def _window(
    path: Path, starts: Sequence[float], start: float | None, end: float | None, hours: float | None
) -> slice:
    first = 0 if start is None else bisect_left(starts, start)
    last = len(starts) if end is None else bisect_left(starts, end)
    if hours is not None and first < last:
        last = min(last, bisect_left(starts, starts[first] + hours * 3600))
    if first >= last:
        span = f"{_utc(starts[0])} to {_utc(starts[-1])} UTC"
        raise MarketDataError(f"{path}: nothing in the chosen window; it holds {span}")
    return slice(first, last)


def _is_number(text: str) -> bool:
    try:
        parse_decimal(text)
    except NumberError:
        return False
    return True


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M")
