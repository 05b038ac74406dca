"""Where an engine's time and price come from: a simulated venue, or quotes of a real market.

A quote becomes the market price only when it can be trusted: its age counts from the last
successful reading, a spread too wide or crossed leaves the price as it was, and a large jump waits
for a second reading that agrees. While there is no price to trust, entries wait.
"""

import time
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import NamedTuple, Protocol

from gridbot.core.numbers import HUNDRED, ONE, ZERO, quantum
from gridbot.core.records import Quote
from gridbot.core.settings import Settings
from gridbot.engine.engine import Engine
from gridbot.engine.upkeep import Upkeep
from gridbot.engine.venues import PaperVenue, Venue
from gridbot.exchange.protocol import ExchangeError, Fatal

CONFIRM_WITHIN = ONE / HUNDRED  # how near a second reading must be to confirm a jump


class Sight(NamedTuple):
    """What is known of the market: time, trusted price (None: none yet), best bid and ask, the
    last trade, and when it was read."""

    at: float
    price: Decimal | None
    bid: Decimal = ZERO
    ask: Decimal = ZERO
    last: Decimal = ZERO
    read_at: float = 0.0


class Feed(Protocol):
    """Paces an engine: ``look`` goes to the next poll, ``now`` is the sight between two polls."""

    speed: float

    async def look(self) -> Sight: ...
    def now(self) -> Sight: ...
    async def close(self) -> None: ...


class SimulatedFeed:
    """The market of a simulated venue, poll by poll."""

    def __init__(self, venue: Venue, settings: Settings) -> None:
        self.speed = float(settings.sim.speed)
        self._venue = venue
        self._interval = settings.timing.poll_interval_seconds
        self._unit = quantum(venue.plan.instrument.price_decimals)

    async def look(self) -> Sight:
        """Walk to the next poll of simulated time."""
        self._venue.run_until((self._venue.now // self._interval + 1) * self._interval)
        return self.now()

    def now(self) -> Sight:
        """The price in force."""
        at, price = self._venue.now, self._venue.price_now * self._unit
        return Sight(at, price, price, price, price, at)

    async def close(self) -> None:
        pass


class PriceGate:
    """Which quotes become the price, by the settings' spread and jump limits."""

    def __init__(self, settings: Settings, price: Decimal | None = None) -> None:
        self._spread_max = settings.exchange.max_spread_pct / HUNDRED
        self._jump_max = settings.timing.price_jump_confirm_pct / HUNDRED
        self.price = price
        self.wide = self.unconfirmed = False
        self._candidate: Decimal | None = None

    def take(self, quote: Quote) -> Decimal | None:
        """The price after this quote: its middle, exactly, if it can be trusted."""
        bid, ask = quote.bid, quote.ask
        self.wide = not ZERO < bid <= ask or ask - bid > bid * self._spread_max
        if self.wide:
            return self.price
        middle, price, other = (bid + ask) / 2, self.price, self._candidate
        jumped = price is not None and abs(middle - price) > price * self._jump_max
        agreed = other is not None and abs(middle - other) <= other * CONFIRM_WITHIN
        self.unconfirmed = jumped and not agreed
        self._candidate = middle if self.unconfirmed else None
        if not self.unconfirmed:
            self.price = middle
        return self.price


class MarketFeed:
    """Quotes of a real market; ``venue`` if only the orders are simulated."""

    speed = 1.0

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        read: Callable[[], Awaitable[Quote]],
        close: Callable[[], Awaitable[None]],
        clock: Callable[[], float] = time.time,
        venue: PaperVenue | None = None,
    ) -> None:
        """``read`` asks the market, ``close`` lets go of it."""
        self._engine, self._read, self._close, self._clock = engine, read, close, clock
        self._gate = PriceGate(settings, engine.price)
        self._age_max = settings.timing.stale_price_max_age_sec
        self._venue = venue
        self._upkeep = Upkeep(engine, clock())
        self._seen = Sight(clock(), None)

    async def look(self) -> Sight:
        """Read the market; what is wrong with the price goes into the engine's next step."""
        try:
            quote = await self._read()
            price = self._gate.take(quote)
            self._seen = Sight(0.0, price, quote.bid, quote.ask, quote.last, self._clock())
        except Fatal as error:
            self._engine.note(halt=f"pair delisted: {error}")
        except ExchangeError:
            pass  # the price grows old; the engine tells when orders cannot be read either
        engine, at = self._engine, self._time()
        lost = at - self._seen.read_at > self._age_max or self._gate.unconfirmed
        if lost != engine.brain.price_lost:
            engine.note(price_lost=lost)
        if self._gate.wide != engine.brain.spread_wide:
            engine.note(spread_wide=self._gate.wide)
        if lost:
            self._seen = self._seen._replace(price=None)
        await self._upkeep.look(at)
        return self.now()

    def now(self) -> Sight:
        """The last sight, now; a paper venue sees the same."""
        sight = self._seen._replace(at=self._time())
        if self._venue is not None and sight.price is not None:
            self._venue.observe(sight.at, sight.bid, sight.ask)
        return sight

    def _time(self) -> float:
        return max(self._clock(), self._engine.at)  # never backwards

    async def close(self) -> None:
        """Let go of the market."""
        await self._close()
