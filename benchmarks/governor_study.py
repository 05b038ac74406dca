"""What the governor's modes are worth on recorded markets. Run: python -m benchmarks.governor_study

[DATA]: the directory with the recordings, by default ../shared/data. Prints one markdown table for
each window, as docs/GOVERNOR.md shows them: the same slots on the same market, only the kind of the
slots, their deadlines and the governor's mode differ. Every suggestion is approved at once in the
mode that says so. Money is in quote; the first half hour or so has too few exits for a pressure.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gridbot.core.brain import Brain
from gridbot.core.governor import pressure_of
from gridbot.core.numbers import ZERO, use_exact_arithmetic
from gridbot.core.odds import candle_minutes, odds
from gridbot.core.records import Command
from gridbot.core.settings import Settings
from gridbot.core.state_machine import derive_phase
from gridbot.engine.disk import Disk
from gridbot.engine.simulate import Simulation, open_simulation
from gridbot.engine.store import Store
from gridbot.engine.venues import plan_venue
from gridbot.exchange.instruments import UnknownPair, find_instrument, infer_instrument
from gridbot.exchange.markets import Market
from gridbot.exchange.replay import read_market

SLOTS = 12
SAMPLE_SECONDS = 900.0
DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SIX_HOURS = {"s1_orphan_after_sec": 21600.0, "s2_orphan_after_sec": 21600.0}
# file, pair, first and last day (end excluded), name
WINDOWS = [
    ("kraken_XDGUSD_5m_2024Q3.csv.gz", "DOGE/USD", "2024-07-29", "2024-08-06", "crash"),
    ("kraken_XDGUSD_5m_2024Q3.csv.gz", "DOGE/USD", "2024-08-08", "2024-08-18", "ranging"),
    ("kraken_XBTUSD_1m_202303.csv.gz", "BTC/USD", "2023-03-03T06:00", "2023-03-08", "quiet"),
    ("kraken_XBTUSD_1m_202303.csv.gz", "BTC/USD", "2023-03-11", "2023-03-18", "up trend"),
    ("bybit_DOGEUSDT_1m_202506.csv.gz", "DOGE/USDT", "2025-06-18", "2025-06-23", "down trend"),
    ("bybit_DOGEUSDT_1m_202506.csv.gz", "DOGE/USDT", "2025-06-24", "2025-06-29", "ranging"),
    ("kraken_XBTUSDT_trades_20251110.csv", "BTC/USDT", "2025-11-10", "2025-11-12", "thin, 7 h"),
    ("binance_ETHUSDT_trades_20240808.csv.gz", "ETH/USDT", "2024-08-08", "2024-08-10", "11 min"),
]
# name, share of sticky slots, governor mode, cycle settings, whether suggestions are approved
MODES: list[tuple[str, str, str, dict[str, Any], bool]] = [
    ("sticky only", "1", "off", {}, False),
    ("cycle, 22.5 min", "0", "off", {}, False),
    ("cycle, 6 h", "0", "off", SIX_HOURS, False),
    ("75/25 fixed", "0.75", "off", {}, False),
    ("25/75, suggest approved", "0.25", "suggest", {}, True),
    ("25/75, autonomous", "0.25", "autonomous", {}, False),
    ("25/75, 6 h, suggest approved", "0.25", "suggest", SIX_HOURS, True),
]
COLUMNS = (
    "mode", "realised", "write-offs", "unrealised", "inventory", "net", "fees", "trips",
    "worst drawdown", "S2", "locked", "pressure mean / peak", "sticky at the end",
)  # fmt: skip


@dataclass
class Watch:
    """What is sampled on the way."""

    worst: Decimal = ZERO
    pressures: list[float] = field(default_factory=list)
    _peak: Decimal = ZERO
    _locked: Decimal = ZERO
    _s2 = _slots = _samples = 0

    def see(self, brain: Brain, price: Decimal) -> None:
        """One sample."""
        result = sum(results(brain, price))
        self._peak = max(self._peak, result)
        self.worst = max(self.worst, self._peak - result)
        opened = [one for slot in brain.slots for one in brain.books.positions.of_slot(slot)]
        self._locked += sum((one.cost for one in opened), ZERO) + abs(brain.written_off_cost)
        self._s2 += sum(derive_phase(slot.state) == "S2" for slot in brain.slots.values())
        self._slots += len(brain.slots)
        self._samples += 1
        found = pressure_of(brain)
        if not found.few_data:
            self.pressures.append(found.pressure)

    def shares(self) -> list[str]:
        """Share of the slots' time in S2, mean capital locked, mean and highest pressure."""
        seen = self.pressures
        pressure = f"{sum(seen) / len(seen):.2f} / {max(seen):.2f}" if seen else "few data"
        s2, locked = self._s2 / max(self._slots, 1), self._locked / max(self._samples, 1)
        return [f"{s2:.0%}", f"{locked:.0f}", pressure]


def results(brain: Brain, price: Decimal) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Realised, write-offs, unrealised, inventory result: their sum is what the bot made."""
    totals = brain.books.totals
    inventory = brain.written_off_base * price - brain.written_off_cost
    return totals.realised, totals.write_offs, brain.books.unrealised_total(price), inventory


def settings_of(mode: str, ratio: str, cycle: dict[str, Any]) -> Settings:
    base = Settings()
    return replace(
        base,
        slots=replace(base.slots, initial_slots=SLOTS, initial_sticky_ratio=Decimal(ratio)),
        governor=replace(base.governor, mode=mode),
        cycle=replace(base.cycle, **cycle),
    )


async def walk(simulation: Simulation, approve: bool) -> Watch:
    """To the end of the market, looking every quarter of an hour."""
    engine, market, watch = simulation.engine, simulation.venue.market, Watch()
    due, asked = market.at, 0
    while not market.finished:
        await simulation.next_event(due)
        if market.at >= due:
            watch.see(engine.brain, market.price * Decimal(1).scaleb(-market.price_decimals))
            due = market.at + SAMPLE_SECONDS
        for one in engine.brain.governor.pending() if approve else ():
            asked += 1
            args = {"id": one.id}
            engine.commands.append(Command(f"s{asked}", market.at, "study", "approve", args))
    await simulation.finish()
    return watch


def run(market: Market, settings: Settings, pair: str, approve: bool) -> tuple[Brain, Watch]:
    """One mode on one window, in a directory that is removed."""
    try:
        instrument = find_instrument(pair)
    except UnknownPair:
        instrument, _ = infer_instrument(market, settings.grid.order_size, pair)
    price = market.price * Decimal(1).scaleb(-market.price_decimals)
    plan = plan_venue(settings, instrument, price)

    async def main(path: Path) -> tuple[Brain, Watch]:
        draw = {"draw_instance": lambda: "stud", "durable": False}
        store = Store(path, settings, instrument.pair, Disk(), **draw)
        try:
            simulation = await open_simulation(store, settings, plan, market)
            return simulation.engine.brain, await walk(simulation, approve)
        finally:
            store.abandon()

    with tempfile.TemporaryDirectory() as path:
        return asyncio.run(main(Path(path)))


def row(name: str, brain: Brain, watch: Watch) -> list[str]:
    assert brain.price is not None
    parts = results(brain, brain.price)
    count, sticky = len(brain.slots), len(brain.slots) - brain.cycle_slots
    money = [f"{one:.2f}" for one in (*parts, sum(parts), brain.books.totals.fees)]
    trips = str(brain.books.totals.round_trips)
    return [name, *money, trips, f"{watch.worst:.2f}", *watch.shares(), f"{sticky} of {count}"]


def study(data: Path) -> Iterator[str]:
    """The lines of all tables."""
    for file, pair, first, last, name in WINDOWS:
        if not (data / file).exists():
            yield f"{file}: not there"
            continue
        start, end = (
            datetime.fromisoformat(one).replace(tzinfo=UTC).timestamp() for one in (first, last)
        )

        def fresh(path: Path = data / file, start: float = start, end: float = end) -> Market:
            decimals = 7 if "XDGUSD" in path.name else None
            return read_market(path, 30.0, decimals, start, end)

        yield from ("", f"**{pair}, {name}** ({first} to {last})", "")
        yield "| " + " | ".join(COLUMNS) + " |"
        yield "|---" + "|---:" * (len(COLUMNS) - 1) + "|"
        for label, ratio, mode, cycle, approve in MODES:
            started = time.perf_counter()
            settings = settings_of(mode, ratio, cycle)
            brain, watch = run(fresh(), settings, pair, approve)
            print(f"{pair} {name} {label}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
            yield "| " + " | ".join(row(label, brain, watch)) + " |"
        for cycle in ({}, SIX_HOURS):
            settings, market = settings_of("off", "0", cycle), fresh()
            minutes = max(candle_minutes(settings), 5 if "5m" in file else 1)
            bet = odds(market.history(end, minutes), minutes, settings, Decimal("0.4"), "quote")
            yield from ("", f"Odds at the end: {bet.text}." if bet else "Odds: too few candles.")


def main() -> None:
    use_exact_arithmetic()
    for line in study(Path(sys.argv[1]) if len(sys.argv) > 1 else DATA):
        print(line, flush=True)


if __name__ == "__main__":
    main()
