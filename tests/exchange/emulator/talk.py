"""A small Kraken client for the tests: signs, counts nonces, talks to an emulator in this process.

Its clock stands still until a test moves it.
"""

import asyncio
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import httpx

from gridbot.exchange.emulator.app import API_KEY, API_SECRET, Emulator, create_app
from gridbot.exchange.emulator.config import EmulatorConfig, Options
from gridbot.exchange.kraken.signing import sign

START = 1_790_000_000.0
PRICE = Decimal(60000)


class Talk:
    """Answers of the emulator, decoded; the market stands at 60,000 unless told otherwise."""

    def __init__(self, standing: bool = True, **config: Any) -> None:
        self.now, self.nonce, self.key, self.secret = START, 0, API_KEY, API_SECRET
        config.setdefault("options", Options(delay_seconds=0.0))
        app = create_app(EmulatorConfig(**({"tier": "pro"} | config)), lambda: self.now)
        self.emulator: Emulator = app.state.emulator
        self.account = self.emulator.account
        self._transport = httpx.ASGITransport(app)
        if standing:
            self.test("price", price=str(PRICE))

    async def ask(self, method: str, path: str, more: dict[str, Any]) -> httpx.Response:
        base = "http://emulator"
        async with httpx.AsyncClient(transport=self._transport, base_url=base) as client:
            return await client.request(method, path, **more)

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        return asyncio.run(self.ask(method, path, more))

    def public(self, name: str, **params: Any) -> Any:
        return self.send("GET", f"/0/public/{name}", params=params).json()

    def signed(
        self, name: str, params: dict[str, Any], as_json: bool = False
    ) -> tuple[str, str, dict[str, Any]]:
        """Method, path and content of a private call."""
        path, self.nonce = f"/0/private/{name}", self.nonce + 1
        params = {"nonce": str(self.nonce)} | params
        body = json.dumps(params) if as_json else urlencode(params)
        kind = "application/json" if as_json else "application/x-www-form-urlencoded; charset=utf-8"
        signature = sign(path, params["nonce"], body, self.secret)
        headers = {"API-Key": self.key, "API-Sign": signature, "Content-Type": kind}
        return "POST", path, {"content": body, "headers": headers}

    def raw(self, name: str, params: dict[str, Any], as_json: bool = False) -> httpx.Response:
        return asyncio.run(self.ask(*self.signed(name, params, as_json)))

    def private(self, name: str, **params: Any) -> Any:
        return self.raw(name, params).json()

    def ok(self, name: str, **params: Any) -> Any:
        answer = self.private(name, **params)
        assert answer["error"] == [], answer
        return answer["result"]

    def error(self, name: str, **params: Any) -> str:
        answer = self.private(name, **params)
        assert len(answer["error"]) == 1, answer
        return str(answer["error"][0])

    def order(self, **more: Any) -> dict[str, Any]:
        """Parameters of a buy that rests 10 % below the market."""
        return {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "54000",
                "volume": "0.001", "oflags": "post,fciq"} | more  # fmt: skip

    def place(self, **more: Any) -> str:
        return str(self.ok("AddOrder", **self.order(**more))["txid"][0])

    def row(self, txid: str, **more: Any) -> Any:
        return self.ok("QueryOrders", txid=txid, trades="true", **more)[txid]

    def test(self, what: str, **body: Any) -> Any:
        """Act as owner, market or tester."""
        return self.send("POST", f"/emulator/{what}", json=body).json()

    def look(self, what: str) -> Any:
        return self.send("GET", f"/emulator/{what}").json()
