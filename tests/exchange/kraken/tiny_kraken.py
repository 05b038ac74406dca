"""A very small Kraken for the adapter's tests: what it answers is set by hand, call by call."""

import asyncio
import base64
import json
from collections.abc import Coroutine
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import httpx

from gridbot.core.orders import LiveOrder
from gridbot.core.records import AmendRequest, Instrument, OrderRequest
from gridbot.core.settings import Tier
from gridbot.exchange.kraken.account import KrakenExchange
from gridbot.exchange.kraken.private import PrivateKraken
from gridbot.exchange.kraken.public import PublicKraken
from gridbot.exchange.kraken.signing import Credentials, sign

KEY, SECRET = "tinykeytext", base64.b64encode(b"tiny secret of sixty-four bytes").decode()
START = 1_790_000_000.0
RULES = Instrument("BTC/USD", "BTC", "USD", 1, D("0.1"), 8, 5, D("0.00005"), D("0.5"))
ASSETS = {key: {"altname": name} for key, name in
          [("XXBT", "XBT"), ("ZUSD", "USD"), ("XXDG", "XDG"), ("XETH", "ETH")]}  # fmt: skip


def pair(altname: str, base: str, quote: str) -> dict[str, Any]:
    return {"altname": altname, "wsname": f"{altname[:3]}/{altname[3:]}", "base": base,
            "quote": quote, "pair_decimals": 1, "lot_decimals": 8, "cost_decimals": 5,
            "tick_size": "0.1", "ordermin": "0.00005", "costmin": "0.5", "fees": [],
            "status": "online", "unheard_of": {"new": 1}}  # fmt: skip


PAIRS = {"XXBTZUSD": pair("XBTUSD", "XXBT", "ZUSD"), "XDGUSD": pair("XDGUSD", "XXDG", "ZUSD"),
         "XETHXXBT": pair("ETHXBT", "XETH", "XXBT")}  # fmt: skip


def order(name: str | None, **changed: Any) -> dict[str, Any]:
    """An order as Kraken lists it; ``changed`` may also name ``side``, ``limit`` and ``on``."""
    on, side = changed.pop("on", "XBTUSD"), changed.pop("side", "buy")
    row = {
        "refid": None, "userref": 0, "status": "open", "opentm": START - 900, "vol": "0.01",
        "vol_exec": "0.00000000", "cost": "0.00000", "fee": "0.00000", "price": "0.00000",
        "oflags": "fciq,post", "misc": "", "trades": [],
        "descr": {"pair": on, "type": side, "ordertype": changed.pop("kind", "limit"),
                  "price": changed.pop("limit", "60000.0"), "price2": "0", "leverage": "none"},
    } | changed  # fmt: skip
    return row | ({"cl_ord_id": name} if name else {})


Answer = Any  # a result; a text is an error; an exception is raised; a Response is returned


class TinyKraken:
    """``answers[endpoint]``: what it says, or a function of the request. ``script`` comes first."""

    def __init__(self) -> None:
        self.now = START
        self.kraken_ahead = 0.0
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.nonces: list[int] = []
        self.script: dict[str, list[Answer]] = {}
        self.answers: dict[str, Answer] = {
            "Time": lambda _: {"unixtime": int(self.now + self.kraken_ahead)},
            "SystemStatus": {"status": "online"},
            "Assets": ASSETS,
            "AssetPairs": self._pairs,
            "OpenOrders": {"open": {}},
            "ClosedOrders": {"closed": {}, "count": 0},
            "QueryOrders": self._query,
            "CancelOrder": {"count": 1},
            "AmendOrder": {"amend_id": "TAMEND"},
            "AddOrder": lambda ask: {"txid": ["O" + ask["cl_ord_id"]], "descr": {"order": "x"}},
        }
        self.orders: dict[str, dict[str, Any]] = {}
        self.asleep = False

    def _pairs(self, ask: dict[str, Any]) -> Answer:
        wanted = ask.get("pair")
        found = {k: v for k, v in PAIRS.items() if wanted in (None, v["altname"])}
        return found or "EQuery:Unknown asset pair"

    def _query(self, ask: dict[str, Any]) -> Answer:
        assert len(ask["txid"].split(",")) <= 50
        return {one: self.orders[one] for one in ask["txid"].split(",") if one in self.orders}

    def count(self, name: str) -> int:
        return sum(one == name for one, _ in self.calls)

    def asked(self, name: str) -> dict[str, Any]:
        return next(ask for one, ask in reversed(self.calls) if one == name)

    def handle(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rpartition("/")[2]
        ask = dict(request.url.params)
        if "private" in request.url.path:
            body = request.content.decode()
            ask = json.loads(body)
            assert request.headers["API-Key"] == KEY
            assert request.headers["API-Sign"] == sign(request.url.path, ask["nonce"], body, SECRET)
            self.nonces.append(int(ask["nonce"]))
            assert len(self.nonces) < 2 or self.nonces[-1] > self.nonces[-2]
        self.calls.append((name, ask))
        scripted = self.script.get(name)
        answer = scripted.pop(0) if scripted else self.answers[name]
        if callable(answer):
            answer = answer(ask)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        if isinstance(answer, str):
            return httpx.Response(200, json={"error": [answer]})
        return httpx.Response(200, json={"error": [], "result": answer})

    def public(self) -> PublicKraken:
        transport = httpx.MockTransport(self.handle)
        return PublicKraken("https://tiny.kraken", lambda: self.now, transport)

    def private(self, tier: Tier = "pro", nonce: Path | None = None) -> PrivateKraken:
        if nonce is None:
            self.nonces.clear()  # as another key would
        return PrivateKraken(self.public(), Credentials(KEY, SECRET), tier, nonce)

    def exchange(self, tier: Tier = "pro", nonce: Path | None = None) -> KrakenExchange:
        private = self.private(tier, nonce)
        return KrakenExchange(private.public, private, RULES, "gbtest")


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


def request(number: int, role: Any = "entry", **changed: Any) -> OrderRequest:
    terms = {"price": D("60000.0"), "volume": D("0.01"), "deadline": START + 10} | changed
    return OrderRequest(f"gbtest{number}", 1, "A", role, "buy", **terms)


def amend(number: int = 1, **changed: Any) -> AmendRequest:
    terms = {"price": D("60000.1"), "volume": D("0.01"), "deadline": START + 10} | changed
    return AmendRequest(f"gbtest{number}", **terms)


def live(number: int, **changed: Any) -> LiveOrder:
    terms = {"standing": "open", "exchange_id": f"O{number}"} | changed
    return LiveOrder(
        f"gbtest{number}", 1, "A", "entry", "buy", 1, number, D("60000.0"), D("0.01"), **terms
    )


def lost_answers() -> list[Answer]:
    """After each of these a write may or may not have happened."""
    return [
        httpx.ReadTimeout("slow"), httpx.ReadError("reset"), httpx.RemoteProtocolError("cut"),
        httpx.Response(502, html="<html>Bad gateway</html>"),
        httpx.Response(200, html="<html>Hello</html>"), httpx.Response(200, content=b""),
        httpx.Response(200, json={"result": {}}), {"unheard": "of"},
        httpx.Response(200, json={"error": [], "result": None}),
        "EService:Unavailable", "EService:Busy", "EGeneral:Internal error",
        "EService:Deadline elapsed", "ENobody:knows",
    ]  # fmt: skip
