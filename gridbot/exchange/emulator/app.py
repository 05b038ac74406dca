"""The emulator as a web application: who may ask, what is answered, what goes wrong on the way.

``/0/public`` and ``/0/private`` are Kraken's. ``/emulator`` is for tests: the truth, the log and
the faults to read, the faults, the options and the owner's own acts to write. Between two awaits
everything happens at once, so that a slow answer holds up nobody else.
"""

import asyncio
import hmac
import tomllib
import traceback
from collections import Counter, deque
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from importlib import resources
from typing import Any

import msgspec
from h11 import LocalProtocolError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gridbot.core.numbers import ONE, NumberError, parse_decimal, plain, use_exact_arithmetic
from gridbot.exchange.emulator.account import Account
from gridbot.exchange.emulator.asked import Asked
from gridbot.exchange.emulator.config import EmulatorConfig, Options
from gridbot.exchange.emulator.faults import TABLE, Faults, UnknownFault
from gridbot.exchange.emulator.owner import Owner
from gridbot.exchange.emulator.pairs import Pair, Refused, find_asset, find_pair
from gridbot.exchange.emulator.private import Private
from gridbot.exchange.emulator.public import Public
from gridbot.exchange.emulator.spoil import HTML, spoil
from gridbot.exchange.instruments import find_instrument, start_price
from gridbot.exchange.kraken.limits import CallCounter
from gridbot.exchange.kraken.signing import sign
from gridbot.exchange.markets import Market
from gridbot.exchange.replay import read_market
from gridbot.exchange.synthetic import SyntheticMarket

API_KEY = "gridbotEmulatorKeyNotRealgridbotEmulatorKeyNotReal000001"
API_SECRET = (
    "Z3JpZGJvdCBlbXVsYXRvcjogdGhpcyBzZWNyZXQgb3BlbnMgbm90aGluZyByZWFsLCBpdCBpcyBmaXhlZC4uLg=="
)
_FILE = resources.files("gridbot.exchange.emulator").joinpath("endpoints.toml")
ENDPOINTS: dict[str, Any] = tomllib.loads(_FILE.read_text("utf-8"))
PUBLIC = {"Time", "SystemStatus", "Assets", "AssetPairs", "Ticker", "OHLC", "Depth", "Trades"}
ALWAYS_UP = {"Time", "SystemStatus"}
UNAVAILABLE = "EService:Unavailable"
NONCE_END = 1 << 64
GRID_SECONDS = 60.0
HISTORY_SECONDS = 43_200.0  # of API time walked before the start, if that is not too much market
HISTORY_MARKET_SECONDS = 172_800.0
PACE_MAX = 30.0  # delays and stale reads shrink with the speed, but not further than this
PLENTY = Decimal(100_000)  # of quote, and base of that worth
LOCKOUT_SECONDS, LOCKOUT_FAULT_SECONDS = 900.0, 2.0


class Emulator:
    """One account behind one key; raises what the configuration's parts raise."""

    def __init__(self, config: EmulatorConfig, clock: Callable[[], float]) -> None:
        use_exact_arithmetic()
        pace = min(max(config.speed, 1.0), PACE_MAX)
        self.options = config.options or Options(delay_seconds=90 / pace, stale_seconds=120 / pace)
        self.clock, self.faults = clock, Faults(config.faults, config.seed)
        pair = find_pair(find_instrument(config.pair).pair)
        market = _market(config, pair)
        history = min(HISTORY_SECONDS, HISTORY_MARKET_SECONDS / config.speed)
        now, past = clock(), 0.0 if config.replay else history
        self.account = Account(config, pair, market, self.faults, now - past)
        self.account.advance_to(now)
        self._open_account(config.balances)
        self.owner = Owner(self.account)
        self.public = Public(self.account, self.options)
        self.private = Private(self.account, self.options, config.tier, API_KEY)
        self.calls, self.log = CallCounter(config.tier), Counter[str]()
        self.failures: deque[float] = deque()
        self.locked_until = 0.0

    def _open_account(self, given: dict[str, Decimal]) -> None:
        account = self.account
        plenty = {account.pair.quote: PLENTY, account.pair.base: PLENTY / account.touch()[0]}
        named = {find_asset(name): amount for name, amount in given.items()}
        for asset, amount in (plenty | named).items():
            account.book("deposit", "", account.name("F"), asset, amount)

    def advance(self) -> float:
        """Bring the market to the present, which is returned."""
        use_exact_arithmetic()  # the context belongs to the task that serves the request
        now = self.clock()
        self.account.matching = self.options.mode == "online"
        self.account.advance_to(now)
        return now

    # ---- Kraken's face

    async def serve_public(self, request: Request) -> Response:
        """Any public call."""
        name, body = request.path_params["name"], await request.body()
        self.advance()
        self.log.update(("public", name))
        try:
            if name not in PUBLIC:
                raise Refused("EGeneral:Unknown method")
            if self.options.mode == "maintenance" and name not in ALWAYS_UP:
                raise Refused(UNAVAILABLE)
            asked = Asked.read(body, request.headers.get("content-type", ""))
            result = getattr(self.public, name)(Asked({**request.query_params, **asked}))
        except Refused as refusal:
            return _refusal(str(refusal))
        return Response(
            spoil(msgspec.json.encode({"error": [], "result": result}), self.faults),
            media_type="application/json",
        )

    async def serve_private(self, request: Request) -> Response:
        """Any private call: let in or not, spoilt or not."""
        name, body = request.path_params["name"], await request.body()
        now = self.advance()
        self.log.update(("private", name))
        fires, kind = self.faults.fires, ENDPOINTS.get(name, {}).get("kind", "")
        try:
            asked = self._let_in(request, body, name, now)
            self.owner.stir()
            answer = getattr(self.private, name)
            self._refuse_by_fault(kind, answer, asked, now)
            if kind == "place" and fires("reply-lost-before"):
                return self._lost()
            lost = kind == "cancel" and fires("cancel-lost")
            if lost and self.faults.random.random() < 0.5:
                return self._lost()
            result = answer(asked)
            still_open = asked.text("cl_ord_id") in self.account.open_client_ids
            if kind == "place" and still_open and fires("duplicate-reply"):
                result = answer(asked)
        except Refused as refusal:
            self.log[str(refusal)] += 1
            return _refusal(str(refusal))
        if lost or (kind == "place" and fires("reply-lost-after")):
            return self._lost()
        if kind == "place" and fires("delayed-reply"):
            await asyncio.sleep(self.faults.random.uniform(0, self.options.delay_seconds))
        body = msgspec.json.encode({"error": [], "result": result})
        body = spoil(body, self.faults) if kind == "read" else body
        return Response(body, media_type="application/json")

    def _let_in(self, request: Request, body: bytes, name: str, now: float) -> Asked:
        """Check key, signature, nonce, right and counter, in this order; raises Refused."""
        if now < self.locked_until:
            raise Refused("EGeneral:Temporary lockout")
        if self.options.mode == "maintenance":
            raise Refused(UNAVAILABLE)
        asked = Asked.read(body, request.headers.get("content-type", ""))
        nonce = asked.text("nonce")
        expected = sign(request.url.path, nonce, body.decode(), API_SECRET)
        fresh = nonce.isdecimal() and self.private.nonce < int(nonce) < NONCE_END
        if request.headers.get("API-Key") != API_KEY:
            raise self._failure("EAPI:Invalid key", now)
        if not hmac.compare_digest(request.headers.get("API-Sign", "").encode(), expected.encode()):
            raise self._failure("EAPI:Invalid signature", now)
        if not fresh:
            raise self._failure("EAPI:Invalid nonce", now)
        self.private.nonce = int(nonce)
        if name not in ENDPOINTS:
            raise Refused("EGeneral:Unknown method")
        rights = ENDPOINTS[name]["rights"]
        if rights and not set(rights) & set(self.options.permissions):
            raise Refused("EGeneral:Permission denied")
        room, cost = self.calls.room(now), ENDPOINTS[name]["cost"]
        self.calls.charge(now, min(cost, max(room, 0.0)))
        if cost > room:
            raise Refused("EAPI:Rate limit exceeded")
        return asked

    def _failure(self, text: str, now: float) -> Refused:
        """Count it: too many in a minute lock the account out."""
        self.failures.append(now)
        while self.failures[0] < now - 60:
            self.failures.popleft()
        if len(self.failures) >= self.options.lockout_after:
            self.locked_until = now + LOCKOUT_SECONDS
        self.log[text] += 1
        return Refused(text)

    def _refuse_by_fault(
        self, kind: str, answer: Callable[[Asked], Any], asked: Asked, now: float
    ) -> None:
        for fault in self.faults.rates:
            if TABLE[fault]["on"] not in (kind, "any") or "error" not in TABLE[fault]:
                continue
            if self.faults.fires(fault):
                if fault == "lockout":
                    self.locked_until = now + LOCKOUT_FAULT_SECONDS
                if fault == "service-busy" and self.faults.random.random() < 0.5:
                    answer(asked)
                raise Refused(TABLE[fault]["error"].format(until=int(now) + 2))

    def _lost(self) -> Response:
        """No answer: the connection ends within it, or the edge answers instead."""
        if self.faults.random.random() < 0.5:
            return Response(b"{", headers={"content-length": "100"}, media_type="application/json")
        return Response(HTML, 502, media_type="text/html")

    # ---- for tests

    async def look(self, request: Request) -> Response:
        """The truth (book), what was asked (log), what went wrong (faults)."""
        self.advance()
        account, what = self.account, request.path_params["what"]
        if what == "faults":
            return _json(self.faults.fired)
        if what == "log":
            return _json({"public": 0, "private": 0} | self.log)
        if what != "book":
            return _json({"error": f"there is no {what}: book, faults and log can be read"}, 404)
        placed = account.placed.items()
        orders = {txid: one.rows[-1][1] | {"owner": one.owner} for txid, one in placed}
        last = Decimal(account.market.price) / account.market.scale
        held = {asset: f"{account.held(asset):f}" for asset in account.balances}
        balances = {asset: f"{amount:f}" for asset, amount in account.balances.items()}
        return _json({
            "time": account.api_now, "price": plain(last), "orders": orders, "held": held,
            "balances": balances, "trades": account.trades, "ledger": account.rows,
            "accepted": account.accepted,
        })  # fmt: skip

    async def act(self, request: Request) -> Response:
        """Change faults or options, or do what the account's owner or the market does."""
        what, body = request.path_params["what"], await request.body()
        self.advance()
        account, targets = self.account, self.private.targets
        acts: dict[str, Callable[[Asked], Any]] = {
            "faults": self.faults.change, "options": self._set_options, "mode": self._set_options,
            "order": lambda asked: account.add(self.private.wish(asked), owner=True).txid,
            "cancel": lambda asked: list(map(account.end, targets(asked))),
            "fill": lambda asked: list(map(
                partial(account.fill_now, share=asked.number("share", ONE)), targets(asked))),
            "deposit": lambda asked: account.book(
                asked.text("type", "deposit"), "", account.name("F"),
                find_asset(asked.text("asset")), parse_decimal(asked.text("amount"))),
            "price": lambda asked: account.stand_at(
                int(asked.number("price") * account.market.scale)),
        }  # fmt: skip
        if what not in acts:
            return _json({"error": f"there is no {what}: {', '.join(acts)} can be changed"}, 404)
        try:
            return _json({"done": acts[what](Asked.read(body, "application/json"))})
        except (Refused, UnknownFault, NumberError, msgspec.ValidationError) as error:
            return _json({"error": str(error)}, 400)

    def _set_options(self, asked: Asked) -> None:
        changed = msgspec.convert(msgspec.to_builtins(self.options) | asked, Options)
        for name in Options.__struct_fields__:
            setattr(self.options, name, getattr(changed, name))


def create_app(config: EmulatorConfig, clock: Callable[[], float]) -> Starlette:
    """The application; its ``state.emulator`` is the Emulator. ``clock`` gives API time."""
    emulator = Emulator(config, clock)
    app = Starlette(
        routes=[
            Route("/0/public/{name}", emulator.serve_public, methods=["GET", "POST"]),
            Route("/0/private/{name}", emulator.serve_private, methods=["POST"]),
            Route("/emulator/{what}", emulator.look, methods=["GET"]),
            Route("/emulator/{what}", emulator.act, methods=["POST"]),
        ],
        exception_handlers={Exception: _own_fault},
    )
    app.state.emulator = emulator
    return app


def _market(config: EmulatorConfig, pair: Pair) -> Market:
    decimals = pair.rules.price_decimals
    if config.replay is not None:
        return read_market(config.replay, GRID_SECONDS, price_decimals=decimals)
    price = int(start_price(pair.rules.pair).scaleb(decimals))
    return SyntheticMarket(config.seed, price, decimals, poll_interval_seconds=GRID_SECONDS)


def _own_fault(request: Request, error: Exception) -> Response:
    if not isinstance(error, LocalProtocolError):  # an answer broken off on purpose
        traceback.print_exception(error)
    return _refusal("EGeneral:Internal error")


def _refusal(text: str) -> Response:
    return _json({"error": [text]})


def _json(content: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
