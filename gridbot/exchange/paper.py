"""Paper trading: the simulated exchange's books against quotes of a real market.

An order fills once the market has come to it: a buy when somebody sells at its price or below, a
sell when somebody buys at its price or above, always at its limit and in full. Nothing here can
place a real order, because nothing here knows how to reach an exchange.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal

from gridbot.core.records import Instrument, Quote
from gridbot.exchange.markets import Block, Market
from gridbot.exchange.simulated import SimulatedExchange

FIGURES = ("_bid", "_ask")


class PaperExchange(SimulatedExchange):
    """Simulated orders on one pair, moved by ``observe``."""

    def __init__(
        self, instrument: Instrument, fee_pct: Decimal, fee_asset: Literal["quote", "base"],
        balances: Mapping[str, Decimal], open_orders_limit: int, keep: int, price: Decimal,
        at: float,
    ) -> None:  # fmt: skip
        """On the given rules, at ``price`` until the first quote is observed."""
        units = [int(price.scaleb(instrument.price_decimals))]
        block = Block([at], (units, units, units, units), 0.0)
        market = Market(block, instrument.price_decimals, 1.0, f"quotes of {instrument.pair}")
        super().__init__(instrument, market, fee_pct, fee_asset, balances, open_orders_limit, keep)
        self._bid = self._ask = units[0]

    def observe(self, at: float, bid: Decimal, ask: Decimal) -> None:
        """The market's best prices at ``at``; fills what they reach."""
        self.now = self.market.at = at
        self._bid, self._ask = int(bid * self._scale), int(ask * self._scale)
        while True:
            buy, sell = self._best_prices()
            if buy >= self._ask:
                order = self._buys[0][2]
            elif sell <= self._bid:
                order = self._sells[0][2]
            else:
                break
            self._fill_from(None, order)

    async def quote(self) -> Quote:
        """The best prices last observed."""
        bid, ask = self._bid * self._price_step, self._ask * self._price_step
        return Quote(bid, ask, bid, self.now)

    def _touch(self) -> tuple[int, int]:
        return self._bid, self._ask

    def state(self) -> dict[str, Any]:
        """The books, and the best prices."""
        return super().state() | {name: getattr(self, name) for name in FIGURES}

    def restore(self, state: dict[str, Any]) -> None:
        """Become the exchange ``state`` was taken from."""
        super().restore(state)
        for name in FIGURES:
            setattr(self, name, state[name])
