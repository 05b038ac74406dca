"""A live engine and the emulator in one process, on a clock that jumps from poll to poll."""

import contextlib
from decimal import Decimal as D
from functools import partial
from pathlib import Path

import httpx

from gridbot.core.settings import (
    ExchangeSettings,
    FundsSettings,
    RunSettings,
    Settings,
    SlotsSettings,
)
from gridbot.engine.boot import begin, newest_seen, resume, resume_brain
from gridbot.engine.disk import Disk
from gridbot.engine.engine import Engine
from gridbot.engine.feed import MarketFeed
from gridbot.engine.store import Store
from gridbot.exchange.emulator.app import API_KEY, API_SECRET, Emulator, create_app
from gridbot.exchange.emulator.config import EmulatorConfig
from gridbot.exchange.kraken.account import KrakenExchange
from gridbot.exchange.kraken.private import PrivateKraken
from gridbot.exchange.kraken.public import PublicKraken
from gridbot.exchange.kraken.signing import Credentials

START = 1_790_000_000.0
PREFIX = "gbtest"


class Life:
    """An engine on the emulator; ``poll`` lets the time between two polls pass for both."""

    def __init__(self, path: Path, slots: int, sticky: str = "1", **config: object) -> None:
        self.now = START
        self.tier = str(config.get("tier", "pro"))
        options = EmulatorConfig(**{"speed": 20.0, "tier": "pro", **config})  # type: ignore[arg-type]
        app = create_app(options, self.clock)
        self.emulator: Emulator = app.state.emulator
        self.settings = Settings(
            exchange=ExchangeSettings(pair="BTC/USD", tier=self.tier),
            funds=FundsSettings(D(2000), "all"),
            slots=SlotsSettings(initial_slots=slots, initial_sticky_ratio=D(sticky)),
            run=RunSettings(mode="live"),
        )
        self.path = path
        self._transport = httpx.ASGITransport(app)

    async def begin(self, disk: Disk | None = None, adopt: bool = False) -> None:
        """Open the directory, for the first time or again; raises what opening raises."""
        public = PublicKraken("http://k", self.clock, self._transport)
        keys = Credentials(API_KEY, API_SECRET)
        private = PrivateKraken(public, keys, self.tier, self.path.with_suffix(".nonce"), 2.0)
        instrument = await public.instrument("BTC/USD")
        exchange = KrakenExchange(public, private, instrument, PREFIX)
        self.store = Store(
            self.path, self.settings, "BTC/USD", disk or Disk(),
            draw_instance=lambda: "test", durable=disk is not None,
        )  # fmt: skip
        try:
            brain, clock = resume_brain(self.store), self.clock
            if brain is None:
                args = self.store, self.settings, instrument, await exchange.fees(), exchange
                self.engine: Engine = await begin(*args, at=self.now, clock=clock)
            else:
                self.engine = await resume(
                    self.store, brain, self.settings, exchange, at=self.now, clock=clock,
                    newest_seen=partial(newest_seen, exchange), adopt=adopt,
                )  # fmt: skip
        except BaseException:
            self.kill()
            raise
        if instrument != self.engine.brain.instrument:
            self.engine.note(instrument=instrument)
        self.feed = MarketFeed(self.engine, self.settings, exchange.quote, exchange.close, clock)

    def clock(self) -> float:
        """Time passes, a little, whenever somebody looks."""
        self.now += 0.0001
        return self.now

    def kill(self) -> None:
        """What a kill leaves behind: nothing but the files."""
        with contextlib.suppress(BaseException):
            self.store.abandon()

    async def poll(self) -> None:
        self.now += self.settings.timing.poll_interval_seconds
        sight = await self.feed.look()
        await self.engine.step(sight.at, sight.price, spread=(sight.bid, sight.ask))

    def holds(self, asset: str) -> D:
        return self.emulator.account.balances[asset]
