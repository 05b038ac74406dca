"""The public endpoints, by Kraken's names."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from gridbot.core.numbers import ZERO
from gridbot.exchange.emulator.account import Account, Json
from gridbot.exchange.emulator.asked import Asked, invalid
from gridbot.exchange.emulator.config import Options
from gridbot.exchange.emulator.pairs import ASSETS, PAIRS, Pair, find_asset, find_pair
from gridbot.exchange.emulator.tape import ROWS_MAX, Candle
from gridbot.exchange.instruments import start_price

INTERVALS = ("1", "5", "15", "30", "60", "240", "1440", "10080", "21600")
DAY_SECONDS = 86_400


class Public:
    """Every public method answers one endpoint; all raise Refused."""

    def __init__(self, account: Account, options: Options) -> None:
        self._account, self._options = account, options

    def Time(self, asked: Asked) -> Json:
        now = datetime.fromtimestamp(self._account.api_now, UTC)
        text = f"{now:%a, %d %b %y %H:%M:%S} +0000"
        return {"unixtime": int(now.timestamp()), "rfc1123": text}

    def SystemStatus(self, asked: Asked) -> Json:
        now = datetime.fromtimestamp(self._account.api_now, UTC)
        return {"status": self._options.mode, "timestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"}

    def Assets(self, asked: Asked) -> Json:
        found = [find_asset(name) for name in asked.names("asset")] or ASSETS
        return {one: {k: v for k, v in ASSETS[one].items() if k != "id"} for one in found}

    def AssetPairs(self, asked: Asked) -> Json:
        return {key: self._pair_row(pair) for key, pair in self._pairs(asked, list(PAIRS)).items()}

    def _pair_row(self, pair: Pair) -> Json:
        ours = pair is self._account.pair  # no other one is traded here
        rules = self._account.rules if ours else pair.rules
        return pair.row(rules, self._options.mode if ours else "cancel_only")

    def _pairs(self, asked: Asked, default: list[str]) -> dict[str, Pair]:
        """By the key they are answered under: the id, unless they were asked for with a slash."""
        found = {name: find_pair(name) for name in asked.names("pair") or default}
        return {name if "/" in name else pair.id: pair for name, pair in found.items()}

    def _only(self, asked: Asked) -> str:
        """The key of the one pair asked for, which is the one traded."""
        (key, pair), *_ = self._pairs(asked, [""]).items()
        if pair is not self._account.pair:
            raise invalid(f"pair: this emulator trades {self._account.pair.altname} only")
        return key

    def _price(self, units: float) -> str:
        decimals = self._account.rules.price_decimals
        return f"{Decimal(round(units)).scaleb(-decimals):.{max(decimals, 5)}f}"

    def Ticker(self, asked: Asked) -> Json:
        pairs = self._pairs(asked, list(PAIRS))
        return {key: self._ticker(pair) for key, pair in pairs.items()}

    def _ticker(self, pair: Pair) -> Json:
        account, now = self._account, self._account.api_now
        if pair is not account.pair:
            price = f"{start_price(pair.rules.pair):f}"
            zeros = {name: ["0", "0"] for name in "vplh"}
            touch = [price, "1", "1.000"]
            return {"a": touch, "b": touch, "c": [price, "1"], **zeros, "t": [0, 0], "o": price}
        days = [account.tape.since(now - now % DAY_SECONDS), account.tape.since(now - DAY_SECONDS)]
        bid, ask = ([f"{one:.5f}" if pair.rules.price_decimals < 5 else f"{one:f}", "1", "1.000"]
                    for one in account.touch())  # fmt: skip
        volume = account.tape.trades[-1][1] if account.tape.trades else 0.0
        return {
            "a": ask, "b": bid, "c": [self._price(account.market.price), f"{volume:.8f}"],
            "v": [f"{day.volume:.8f}" for day in days], "p": [self._vwap(day) for day in days],
            "t": [day.count for day in days], "l": [self._price(day.low) for day in days],
            "h": [self._price(day.high) for day in days], "o": self._price(days[0].open),
        }  # fmt: skip

    def _vwap(self, candle: Candle) -> str:
        return self._price(candle.value / candle.volume if candle.volume else 0)

    def OHLC(self, asked: Asked) -> Json:
        key, interval = self._only(asked), asked.text("interval", "1")
        if interval not in INTERVALS:
            raise invalid("interval")
        since = asked.number("since", ZERO)
        candles = self._account.tape.candles(int(interval), self._account.api_now)[-ROWS_MAX:]
        rows = [
            [c.start, *map(self._price, (c.open, c.high, c.low, c.close)), self._vwap(c),
             f"{c.volume:.8f}", c.count]
            for c in candles if c.start > since
        ]  # fmt: skip
        return {key: rows, "last": candles[-2].start}

    def Depth(self, asked: Asked) -> Json:
        key, count = self._only(asked), min(int(asked.number("count", Decimal(100))), 500)
        rules, now, (bid, ask) = (
            self._account.rules,
            int(self._account.api_now),
            self._account.touch(),
        )
        sides: dict[str, list[Any]] = {"asks": [], "bids": []}
        for level in range(count):
            away = level * rules.tick_size * 5
            size = f"{rules.min_volume * (20 + level):.3f}"
            sides["asks"].append([f"{ask + away:f}", size, now])
            if bid > away:
                sides["bids"].append([f"{bid - away:f}", size, now])
        return {key: sides}

    def Trades(self, asked: Asked) -> Json:
        key, since = self._only(asked), float(asked.number("since", ZERO))
        since = since / 1e9 if since > 1e12 else since
        late = [one for one in self._account.tape.trades if one[2] > since]
        late = late[: int(asked.number("count", Decimal(1000)))] if since else late
        rows = [[self._price(p), f"{v:.8f}", at, side, "l", "", n] for p, v, at, side, n in late]
        return {key: rows, "last": str(int((late[-1][2] if late else since) * 1e9))}
