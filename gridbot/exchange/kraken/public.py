"""Kraken's public half: its clock and state, the rules of a pair, prices.

Reads raise the errors of the Exchange Protocol. Our own pace is kept below one call a second.
"""

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gridbot.core.odds import Candle
from gridbot.core.records import Instrument, Quote
from gridbot.exchange.kraken import answers
from gridbot.exchange.kraken.answers import T
from gridbot.exchange.kraken.errors import Refusal, read_error
from gridbot.exchange.kraken.limits import Counter
from gridbot.exchange.kraken.names import Listing, Names
from gridbot.exchange.protocol import BadAnswer, RateLimited

if TYPE_CHECKING:
    from httpx import AsyncBaseTransport

BACKOFF_SECONDS = 15.0
CLOCK_SECONDS = 3600.0  # between two looks at Kraken's clock


class PublicKraken:
    """All that needs no key. ``offset_seconds``: Kraken's clock minus ours, 0 up to a second."""

    def __init__(
        self,
        base_url: str,
        clock: Callable[[], float] = time.time,
        transport: "AsyncBaseTransport | None" = None,
    ) -> None:
        from gridbot.exchange.kraken.http import Http

        self.http = Http(base_url, clock, transport)
        self.clock = clock
        self.offset_seconds = 0.0
        self.clock_read_at = -math.inf
        self._pace = Counter(15.0, 1.0)
        self._names: Names | None = None

    async def get(self, name: str, kind: type[T], **query: str | int) -> T:
        """The answer of one public endpoint; one that makes no sense is asked for once more."""
        for last in (False, True):
            now = self.clock()
            if (until := self._pace.free_at(now, 1.0)) > now:
                raise RateLimited(f"{name}: too many public calls", until)
            self._pace.charge(now, 1.0)
            try:
                raw = await self.http.call("GET", f"/0/public/{name}", params=query)
                return answers.decode(raw, kind, name)
            except Refusal as refusal:
                if refusal.kind == "backoff" and not refusal.until:
                    refusal.until = self.http.quiet_until = now + BACKOFF_SECONDS
                    self.http.quiet_reason = refusal.text
                if last or refusal.kind != "unknown":
                    raise read_error(refusal, name) from None
        raise AssertionError("the last try returns or raises")

    async def server_time(self) -> float:
        """Kraken's clock in epoch seconds, whole ones; sets ``offset_seconds``."""
        before = self.clock()
        theirs = (await self.get("Time", answers.ServerTime))["unixtime"]
        self.clock_read_at = self.clock()
        offset = theirs + 0.5 - (before + self.clock_read_at) / 2
        self.offset_seconds = offset if abs(offset) > 1 else 0.0
        return float(theirs)

    async def system_status(self) -> str:
        """online, maintenance, cancel_only, post_only, or what Kraken will think of."""
        return (await self.get("SystemStatus", answers.SystemStatus))["status"]

    async def names(self) -> Names:
        """The tables of all assets and pairs, read once."""
        if self._names is None:
            assets = await self.get("Assets", dict[str, answers.AssetNames])
            pairs = await self.get("AssetPairs", dict[str, answers.PairNames])
            if not assets or not pairs:
                raise BadAnswer("AssetPairs", "no pair at all")
            self._names = Names(assets, pairs)
        return self._names

    async def listing(self, spelling: str) -> Listing:
        """The pair meant by any spelling; raises UnknownPair with suggestions."""
        return (await self.names()).resolve(spelling)

    async def instrument(self, spelling: str) -> Instrument:
        """The pair's rules as they are now; raises UnknownPair with suggestions."""
        names = await self.listing(spelling)
        rules = await self._of_pair("AssetPairs", answers.PairRules, names)
        return Instrument(
            names.pair, names.base, names.quote, rules.pair_decimals, rules.tick_size,
            rules.lot_decimals, rules.cost_decimals, rules.ordermin, rules.costmin, rules.status,
        )  # fmt: skip

    async def quote(self, pair: str) -> Quote:
        """Best bid and ask and the last trade, in quote."""
        ticker = await self._of_pair("Ticker", answers.Ticker, await self.listing(pair))
        return Quote(ticker["b"][0], ticker["a"][0], ticker["c"][0], self.clock())

    async def candles(self, pair: str, minutes: int) -> list[Candle]:
        """The last finished candles, up to 720 less the growing one, oldest first."""
        names = await self.listing(pair)
        kind = dict[str, list[answers.Figures] | int]
        answer = await self.get("OHLC", kind, pair=names.altname, interval=minutes)
        rows = next(rows for rows in answer.values() if isinstance(rows, list))
        return [Candle(float(one[0]), *one[1:5]) for one in rows[:-1]]

    async def depth(self, pair: str, count: int = 100) -> answers.Depth:
        """Asks and bids, best first: rows of price, volume, time."""
        return await self._of_pair("Depth", answers.Depth, await self.listing(pair), count=count)

    async def close(self) -> None:
        await self.http.close()

    async def _of_pair(self, name: str, kind: type[T], names: Listing, **query: int) -> T:
        by_pair: Any = dict.__class_getitem__((str, kind))
        answer: dict[str, T] = await self.get(name, by_pair, pair=names.altname, **query)
        if len(answer) != 1:
            raise BadAnswer(name, f"{len(answer)} pairs instead of one")
        return answer.popitem()[1]
