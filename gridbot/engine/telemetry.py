"""What is watched beside the trading: 24 h of figures for the screens, the odds, and plugins.

All of it is disposable: nothing here is saved, and nothing but the plugins' answers reaches the
brain. The work is done in the background, in worker threads; trading never waits for it.
"""

import asyncio
import time
from collections import deque
from decimal import Decimal

from gridbot.core.odds import CANDLES, Candle, Odds, candle_minutes, odds
from gridbot.core.records import Instrument
from gridbot.core.settings import Settings
from gridbot.engine.engine import Engine
from gridbot.engine.plugins import MarketData, Plugins
from gridbot.engine.status import Status
from gridbot.engine.venues import Venue
from gridbot.exchange.protocol import Exchange, ExchangeError

POINTS = 24 * 60  # one a minute of the market's time
ODDS_SECONDS, PLUGINS_SECONDS, RETRY_SECONDS = 3600.0, 300.0, 60.0
PAUSE_SECONDS_MIN = 5.0  # however fast a simulated market runs
Point = tuple[float, Decimal | float]  # epoch seconds and figure


class Telemetry:
    """Kept by the thread that drives an engine; ``history`` may be read from any other."""

    def __init__(self, plugins: str | None) -> None:
        """``plugins``: names as the setting has them."""
        self.odds: Odds | None = None
        self._plugins = Plugins(plugins)
        self._points: dict[str, deque[Point]] = {}
        self._task: asyncio.Task[None] | None = None
        self._due = self._minute = 0.0

    def history(self, name: str) -> list[Point]:
        """``pressure``, ``headroom``, ``api`` (share of the fuller rate counter) or ``profit``
        (realised, in quote) of the last 24 hours, a point a minute, oldest first."""
        return list(self._points.get(name, ()))

    def see(self, status: Status) -> None:
        """Remember the first figures of every minute."""
        at, api = status.price.at, status.api
        if at // 60 <= self._minute:
            return
        self._minute = at // 60
        shares = [used / api[f"{one}_limit"] for one, used in api.items() if f"{one}_limit" in api]
        figures = {
            "pressure": status.governor.get("pressure", 0.0),
            "headroom": float(status.capacity.headroom),
            "api": max(shares, default=0.0),
            "profit": status.profit.realised + status.profit.write_offs,
        }
        for name, figure in figures.items():
            self._points.setdefault(name, deque(maxlen=POINTS)).append((at, figure))

    def look(self, engine: Engine, speed: float, status: Status) -> None:
        """Begin what is due; ``speed``: seconds of the market's time in one of ours."""
        now = time.monotonic()
        if now >= self._due and (self._task is None or self._task.done()):
            self._due = now + RETRY_SECONDS
            self._task = asyncio.create_task(self._work(engine, speed, status))

    async def _work(self, engine: Engine, speed: float, status: Status) -> None:
        brain, pair = engine.brain, engine.brain.instrument
        try:
            seen = await market_odds(brain.settings, pair, brain.fees.maker_pct, engine.exchange)
        except ExchangeError:
            return
        candles, minutes, self.odds = seen
        self._due = time.monotonic() + ODDS_SECONDS
        if self._plugins.enabled:
            self._due = time.monotonic() + max(PLUGINS_SECONDS / speed, PAUSE_SECONDS_MIN)
            past = tuple(one for one in candles if one.at + minutes * 60 <= engine.at)
            market = MarketData(pair.pair, engine.at, engine.price, minutes, past)
            engine.recommendations += await self._plugins.ask(status, market)


async def market_odds(
    settings: Settings, pair: Instrument, maker_pct: Decimal, exchange: Exchange | None = None
) -> tuple[list[Candle], int, Odds | None]:
    """The last finished candles, their minutes, and the odds on them. Asks Kraken, or walks the
    market of a simulated ``exchange`` once more, the first 720 even before it has come so far."""
    minutes = candle_minutes(settings)
    if isinstance(exchange, Venue):
        again = Venue(exchange.plan).market
        until = max(exchange.now, again.at + CANDLES * minutes * 60)
        candles = await asyncio.to_thread(again.history, until, minutes)
    else:
        from gridbot.exchange.kraken.public import PublicKraken

        public = PublicKraken(settings.exchange.base_url)
        try:
            candles = await public.candles(pair.pair, minutes)
        finally:
            await public.close()
    bet = await asyncio.to_thread(odds, candles, minutes, settings, maker_pct, pair.quote)
    return candles, minutes, bet
