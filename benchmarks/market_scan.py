"""How fast the simulated market and venue are. Run: python benchmarks/market_scan.py [csv]

Prints seconds for a synthetic year of one-minute candles (making it, scanning it quietly, moving
through it in small steps), microseconds per order placed and per fill, and, with a CSV file, the
seconds to load it. Every figure is the best of three; a calibration loop tells how the machine
felt. On shared machines read differences below half as equal.
"""

import math
import sys
import time
from array import array
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.records import OrderRequest, Side
from gridbot.exchange.instruments import find_instrument
from gridbot.exchange.markets import NO_DOWN, NO_UP, Block
from gridbot.exchange.replay import ReplayMarket, read_market
from gridbot.exchange.simulated import SimulatedExchange
from gridbot.exchange.synthetic import SyntheticMarket

YEAR_CANDLES = 525_600
START_PRICE = 600_000
ORDERS = 168
VOLUME = Decimal("0.001")


def best_seconds(work: Callable[[], object], repeats: int = 3) -> float:
    """The shortest of a few runs of ``work``."""
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


def year() -> SyntheticMarket:
    """A fresh synthetic year."""
    return SyntheticMarket(1, START_PRICE, 1, candles=YEAR_CANDLES)


def recorded_year() -> ReplayMarket:
    """The same year with all its candles in memory, so that scanning stands alone."""
    market, columns = year(), [array("q") for _ in range(4)]
    starts, block = array("d"), market._block
    while block is not None:
        starts.extend(block.starts[: block.rows])
        for column, more in zip(
            columns, (block.opens, block.highs, block.lows, block.closes), strict=True
        ):
            column.extend(more)
        block = market._following(block) if len(block.starts) > block.rows else None
    return ReplayMarket(Block(starts, tuple(columns), 15.0), 1, 30.0, "year")


def walk(market: SyntheticMarket | ReplayMarket, distance: int) -> int:
    """Stop whenever the price has moved by ``distance``; the number of stops."""
    stops = 0
    while not market.finished:
        market.advance(market.price - distance, market.price + distance, math.inf)
        stops += 1
    return stops


def requests_around(price: int, count: int, number: int) -> list[OrderRequest]:
    """Orders on both sides of ``price``, numbered from ``number``."""
    requests = []
    for i in range(number, number + count):
        away = 60 + i % 97
        side: Side = "buy" if i % 2 else "sell"
        limit = Decimal(price - away if i % 2 else price + away) / 10
        requests.append(OrderRequest(f"gb{i}", 1, "A", "entry", side, limit, VOLUME))
    return requests


def venue_figures() -> tuple[float, float, float, int]:
    """Microseconds per placement, per fill (walk and match), per report read; and the fills."""
    market = SyntheticMarket(1, START_PRICE, 1, Decimal("0.2"), candles=100_000)
    funds = {"USD": Decimal(10**9), "BTC": Decimal(10**6)}
    rules = find_instrument("BTC/USD")
    exchange = SimulatedExchange(rules, market, Decimal("0.25"), "quote", funds, 225)
    placing = filling = reading = 0.0
    placed, cursor = 0, ""
    while not market.finished and placed < 100_000:
        count = ORDERS - exchange.orders_open
        requests = requests_around(exchange.price_now, count, placed)
        t0 = time.perf_counter()
        run(exchange.place(requests))
        t1 = time.perf_counter()
        exchange.advance(NO_DOWN, NO_UP, math.inf)
        t2 = time.perf_counter()
        _, cursor = run(exchange.changes(cursor))
        reading += time.perf_counter() - t2
        placing, filling = placing + t1 - t0, filling + t2 - t1
        placed += count
    fills = exchange.executions_made
    return placing / placed * 1e6, filling / fills * 1e6, reading / (placed + fills) * 1e6, fills


def run(call):  # type: ignore[no-untyped-def]
    """The result of a coroutine that never suspends, without a loop."""
    try:
        call.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("the simulated exchange does not wait")


def main() -> None:
    use_exact_arithmetic()
    calibration = best_seconds(lambda: [None for _ in range(10**6)])
    print(f"calibration, a list of a million: {calibration:.3f} s")
    print(f"synthetic year, made and scanned: {best_seconds(lambda: walk(year(), 1 << 40)):.3f} s")
    market = recorded_year()
    start = market.state()

    def scan(distance: int) -> int:
        market.restore(start)
        return walk(market, distance)

    quiet = best_seconds(lambda: scan(1 << 40))
    print(f"year in memory, quiet scan: {quiet:.4f} s, {YEAR_CANDLES * 4 / quiet:,.0f} ticks/s")
    for distance in (50, 500):
        stops = scan(distance)
        seconds = best_seconds(lambda distance=distance: scan(distance))
        print(
            f"  stopping every {distance} units: {seconds:.3f} s, {stops:,} stops, "
            f"{seconds / stops * 1e6:.2f} us each"
        )
    place, fill, read, fills = min(venue_figures() for _ in range(3))
    print(f"venue: {place:.2f} us per placement, {fill:.2f} us per fill of {fills:,}, ", end="")
    print(f"{read:.2f} us per change read")
    for path in sys.argv[1:]:
        print(f"load {path}: {best_seconds(lambda path=path: read_market(path)):.3f} s")


if __name__ == "__main__":
    main()
