"""The private endpoints, by Kraken's names: what a key may ask once its request is let in."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from itertools import takewhile
from typing import Any, cast

from gridbot.core.numbers import ZERO, quantum
from gridbot.core.settings import Tier
from gridbot.exchange.emulator.account import Account, Json, Placed, Wish
from gridbot.exchange.emulator.asked import Asked, invalid
from gridbot.exchange.emulator.config import Options
from gridbot.exchange.emulator.pairs import FEE_CURRENCY, FEE_TIERS, Refused, find_asset, find_pair
from gridbot.exchange.kraken.limits import EngineCounter
from gridbot.exchange.order_book import DEADLINE, UNKNOWN_ORDER

PAGE = 50
CLIENT_ID = re.compile(r"[a-z0-9_-]{1,18}|[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
FLAGS = {"post", "fciq", "fcib", "viqc", "nompp"}
ENGINE_BUSY = "EOrder:Rate limit exceeded"
DEADLINE_MAX_SECONDS = 65.0


class Private:
    """Every public method answers one endpoint; all raise Refused."""

    def __init__(self, account: Account, options: Options, tier: Tier, key: str) -> None:
        self._account, self._options, self._key = account, options, key
        self._faults, self._engine = account.faults, EngineCounter(tier)
        self.nonce = 0

    # ---- what a read is shown

    def _as_of(self, *faults: str) -> float:
        """The moment a read shows: a while ago, as these faults and the options want it."""
        fires, draw = self._faults.fires, self._faults.random.uniform
        lag = sum(draw(0, self._options.stale_seconds) for name in faults if fires(name))
        return self._account.api_now - self._options.read_lag_seconds - lag

    def _shown(self, kept: dict[str, Json]) -> dict[str, Json]:
        """Trades or ledger rows, the newest first."""
        at = self._as_of("close-before-trade")
        return {key: row for key, row in reversed(kept.items()) if row["time"] <= at}

    def _seen(self, every: Iterable[Placed], asked: Asked) -> dict[str, Json]:
        """Rows of these orders, filtered by userref and client id."""
        at, found = self._as_of("stale-open-orders", "trade-before-close"), {}
        trades_at, trades = self._as_of("close-before-trade"), self._account.trades
        wanted = {"cl_ord_id": asked.text("cl_ord_id"), "userref": asked.text("userref")}
        for placed in every:
            row = dict(placed.seen(at) or {})
            if not row or any(v and str(row.get(k)) != v for k, v in wanted.items()):
                continue
            names = [
                one
                for one in row.pop("trades")
                if one in trades and trades[one]["time"] <= trades_at
            ]
            if asked.flag("trades"):
                row["trades"] = names * (1 + self._faults.fires("fills-duplicated"))
            found[placed.txid] = row
        return found

    def _page(self, asked: Asked, name: str, rows: dict[str, Json], *times: str) -> Json:
        """50 of the rows, newest first, between start (exclusive) and end (inclusive)."""
        start, end = (self._limit(asked.text(limit)) for limit in ("start", "end"))
        found = [
            (key, row) for key, row in rows.items()
            if any((not start or row[t] > start) and (not end or row[t] <= end) for t in times)
        ]  # fmt: skip
        first = int(asked.number("ofs", ZERO))
        if self._faults.fires("fills-duplicated"):
            first = max(first - 5, 0)
        page = [] if self._faults.fires("page-missing") else found[first : first + PAGE]
        if self._faults.fires("fills-out-of-order"):
            self._faults.random.shuffle(page)
        answer: Json = {name: dict(page)}
        return answer if asked.flag("without_count") else answer | {"count": len(found)}

    def _limit(self, text: str) -> float:
        """A time in seconds, or the id of what happened then."""
        account = self._account
        if text in account.placed:
            return account.placed[text].opened_at
        try:
            row = account.trades.get(text) or account.rows.get(text) or {"time": text or 0}
            return float(row["time"])
        except ValueError:
            raise invalid("start") from None

    # ---- money

    def Balance(self, asked: Asked) -> Json:
        return {asset: f"{amount:f}" for asset, amount in self._account.balances.items()}

    def BalanceEx(self, asked: Asked) -> Json:
        held = self._account.held
        return {
            asset: {"balance": f"{amount:f}", "hold_trade": f"{held(asset):f}"}
            for asset, amount in self._account.balances.items()
        }

    def TradeBalance(self, asked: Asked) -> Json:
        account = self._account
        worth = f"{account.quote_total + account.base_total * account.touch()[0]:.4f}"
        return dict.fromkeys(("eb", "tb", "e", "mf"), worth) | dict.fromkeys("mncv", "0.0000")

    def TradeVolume(self, asked: Asked) -> Json:
        tier, found = self._account.fee_tier, [find_pair(one).id for one in asked.names("pair")]
        answer: Json = {"currency": FEE_CURRENCY, "volume": f"{FEE_TIERS[tier][0]:.4f}"}
        next_tier = min(tier + 1, len(FEE_TIERS) - 1)
        places = {"fee": tier, "minfee": -1, "maxfee": 0, "nextfee": next_tier}
        for column, name in ((1, "fees_maker"), (2, "fees")):
            row = {key: f"{FEE_TIERS[place][column]:.4f}" for key, place in places.items()}
            row |= {"tiervolume": answer["volume"], "nextvolume": f"{FEE_TIERS[next_tier][0]:.4f}"}
            answer[name] = dict.fromkeys(found, row) or None
        return answer

    def Ledgers(self, asked: Asked) -> Json:
        asset, kind = asked.text("asset", "all"), asked.text("type", "all")
        wanted = "" if asset == "all" else find_asset(asset)
        rows = {
            key: row for key, row in self._shown(self._account.rows).items()
            if wanted in ("", row["asset"]) and kind in ("all", row["type"])
        }  # fmt: skip
        return self._page(asked, "ledger", rows, "time")

    def QueryLedgers(self, asked: Asked) -> Json:
        return self._named(asked.names("id"), self._account.rows)

    # ---- orders and trades

    def OpenOrders(self, asked: Asked) -> Json:
        oldest = (
            self._account.api_now - self._options.stale_seconds - self._options.read_lag_seconds
        )
        late = takewhile(lambda one: one.rows[-1][0] > oldest, reversed(self._account.ended))
        seen = self._seen([*self._account.open_now(), *late], asked)
        return {"open": {txid: row for txid, row in seen.items() if row["status"] == "open"}}

    def ClosedOrders(self, asked: Asked) -> Json:
        seen = self._seen(reversed(self._account.ended), asked)
        rows = {txid: row for txid, row in seen.items() if row["status"] != "open"}
        times = {"open": ["opentm"], "close": ["closetm"]}.get(asked.text("closetime"))
        return self._page(asked, "closed", rows, *times or ["opentm", "closetm"])

    def QueryOrders(self, asked: Asked) -> Json:
        names = asked.names("txid")
        if not 1 <= len(names) <= PAGE:
            raise Refused("EGeneral:Invalid arguments")
        known = [self._account.placed[one] for one in names if one in self._account.placed]
        return self._seen(known, asked)

    def TradesHistory(self, asked: Asked) -> Json:
        return self._page(asked, "trades", self._shown(self._account.trades), "time")

    def QueryTrades(self, asked: Asked) -> Json:
        return self._named(asked.names("txid"), self._account.trades)

    def _named(self, names: list[str], kept: dict[str, Json]) -> Json:
        if not 1 <= len(names) <= 20:
            raise Refused("EGeneral:Invalid arguments")
        shown = self._shown(kept)
        return {key: shown[key] for key in names if key in shown}

    # ---- writes

    def wish(self, asked: Asked) -> Wish:
        """The order asked for; raises Refused for an argument that cannot be."""
        side, kind = asked.text("type"), asked.text("ordertype")
        cl_ord_id, force = asked.text("cl_ord_id"), asked.text("timeinforce", "GTC").upper()
        flags = [one for one in asked.text("oflags").split(",") if one]
        if not {"fciq", "fcib"} & set(flags):
            flags.append("fciq")
        if self._faults.fires("fee-in-base"):
            flags = [one for one in flags if one != "fciq"] + ["fcib"]
        limit, userref = kind == "limit", int(asked.number("userref", ZERO))
        doubts = {
            "type": side not in ("buy", "sell"),
            "ordertype": kind not in ("limit", "market"),
            "oflags": not FLAGS.issuperset(flags) or {"fciq", "fcib"} <= set(flags)
            or ("post" in flags and not limit),
            "cl_ord_id": cl_ord_id and (userref or not CLIENT_ID.fullmatch(cl_ord_id)),
            "timeinforce": force not in ("GTC", "IOC", "GTD", "FOK"),
            "close": any(name.startswith("close") for name in asked),
        }  # fmt: skip
        for name, doubt in doubts.items():
            if doubt:
                raise invalid(name)
        expires_at = float(asked.number("expiretm", ZERO))
        if asked.text("expiretm").startswith("+"):
            expires_at += self._account.api_now
        price = self._price(asked) if limit else None
        return Wish(
            cast(Any, side), asked.number("volume"), price, flags, cl_ord_id, userref,
            force in ("IOC", "FOK"), expires_at, "viqc" in flags,
        )  # fmt: skip

    def _price(self, asked: Asked, name: str = "price") -> Decimal:
        price, decimals = asked.number(name), self._account.rules.price_decimals
        if not price or price % quantum(decimals):
            rule = f"price can only be specified up to {decimals} decimals."
            raise Refused(f"EOrder:Invalid price:{self._account.pair.altname} {rule}")
        return price

    def _let_in(self, asked: Asked, wish: Wish | None = None) -> float:
        """Time, mode and the engine's counter; the present."""
        now, mode = self._account.api_now, self._options.mode
        if "pair" in asked and find_pair(asked.text("pair")) is not self._account.pair:
            raise Refused("EService:Market in cancel_only mode")
        deadline = asked.moment("deadline", now + 5)
        if deadline > now + DEADLINE_MAX_SECONDS:
            raise invalid("deadline")
        if deadline <= now:
            raise Refused(DEADLINE)
        post, limit = wish is not None and "post" in wish.flags, wish is not None and wish.price
        if not {"online": True, "post_only": post, "limit_only": limit}.get(mode):
            raise Refused(f"EService:Market in {mode} mode")
        if self._engine.room(now) <= 0:
            raise Refused(ENGINE_BUSY)
        return now

    def AddOrder(self, asked: Asked) -> Json:
        find_pair(asked.text("pair"))
        wish = self.wish(asked)
        self._engine.add(self._let_in(asked, wish))
        return self._add(wish, asked.flag("validate"))

    def _add(self, wish: Wish, validate: bool) -> Json:
        text = self._account.description(wish, wish.price or ZERO, wish.volume)["order"]
        if validate:
            self._account.check(wish)
            return {"descr": {"order": text}}
        placed = self._account.add(wish)
        if self._faults.fires("accepted-then-filled"):
            self._account.fill_now(placed)
        elif placed.order.state == "open" and self._faults.fires("accepted-then-cancelled"):
            self._account.end(placed, reason="Post only order")
        return {"txid": [placed.txid], "descr": {"order": text}}

    def AddOrderBatch(self, asked: Asked) -> Json:
        find_pair(asked.text("pair"))
        listed = asked.get("orders")
        if not isinstance(listed, list) or not 2 <= len(listed) <= 15:
            raise invalid("orders")
        wishes = [self.wish(Asked(one)) for one in listed]
        now = max(self._let_in(asked, wish) for wish in wishes)
        self._engine.add_batch(now, len(wishes))
        for wish in wishes:
            self._account.check(wish)
        answers: list[Json] = []
        for wish in wishes:
            try:
                answer = self._add(wish, asked.flag("validate"))
                answers.append(answer | {"txid": answer["txid"][0]} if "txid" in answer else answer)
            except Refused as refusal:
                answers.append({"error": str(refusal)})
        return {"orders": answers}

    def targets(self, asked: Asked) -> list[Placed]:
        """The open orders named by txid, userref or client id; raises Refused if there are none."""
        name, account = asked.text("txid"), self._account
        if client_id := asked.text("cl_ord_id"):
            name = account.open_client_ids.get(client_id, "")
        found = [one for one in account.open_now() if name and name in
                 (one.txid, str(one.wish.userref or ""))]  # fmt: skip
        if not found:
            never = not client_id and name not in account.placed and not name.isdigit()
            raise Refused("EOrder:Invalid order" if never else UNKNOWN_ORDER)
        return found

    def AmendOrder(self, asked: Asked) -> Json:
        now, account = self._let_in(asked), self._account
        placed = self.targets(asked)[0]
        order = placed.order
        self._engine.amend(now, now - placed.touched_at)
        price = self._price(asked, "limit_price") if asked.text("limit_price") else order.price
        order.post_only |= asked.flag("post_only")
        account.amend(placed, price, asked.number("order_qty", order.volume))
        return {"amend_id": account.name("T")}

    def EditOrder(self, asked: Asked) -> Json:
        now, (old, *_) = self._let_in(asked), self.targets(asked)
        self._engine.edit(now, now - old.touched_at)
        kept: Json = {"type": old.wish.side, "ordertype": "limit", "volume": old.order.volume,
                      "price": old.order.price, "oflags": ",".join(old.wish.flags)}  # fmt: skip
        changed = {name: asked[name] for name in kept if asked.text(name)}
        wish = self.wish(Asked(kept | changed))
        self._account.check(wish)
        self._account.end(old, reason="Order replaced")
        new = self._account.add(wish)
        text = self._account.description(wish, wish.price or ZERO, wish.volume)
        return {
            "status": "ok", "txid": new.txid, "originaltxid": old.txid, "newuserref": 0,
            "volume": f"{wish.volume:f}", "price": text["price"], "orders_cancelled": 1,
            "descr": {"order": text["order"]},
        }  # fmt: skip

    def CancelOrder(self, asked: Asked) -> Json:
        found = self.targets(asked)
        if self._engine.room(now := self._account.api_now) <= 0:
            raise Refused(ENGINE_BUSY)
        if self._faults.fires("cancel-already-filled"):
            self._account.fill_now(found[0])
        if self._faults.fires("cancel-gone") and found[0].order.state == "open":
            self._account.end(found[0])
        if self._faults.fires("cancel-part-filled"):
            self._account.fill_now(found[0], Decimal(self._faults.random.randint(1, 99)) / 100)
        still = [one for one in found if one.order.state == "open"]
        if not still:
            raise Refused(UNKNOWN_ORDER)
        for placed in still:
            self._engine.cancel(now, now - placed.touched_at)
            self._account.end(placed)
        return {"count": len(still)}

    def CancelOrderBatch(self, asked: Asked) -> Json:
        names = [{"txid": one} for one in asked.names("orders")]
        names += [{"cl_ord_id": one} for one in asked.names("cl_ord_ids")]
        if not 1 <= len(names) <= PAGE:
            raise Refused("EGeneral:Invalid arguments")
        count = 0
        for name in names:
            try:
                count += self.CancelOrder(Asked(name))["count"]
            except Refused as refusal:
                if str(refusal) == ENGINE_BUSY and not count:
                    raise
        return {"count": count}

    def CancelAll(self, asked: Asked) -> Json:
        return {"count": self._account.cancel_all()}

    def CancelAllOrdersAfter(self, asked: Asked) -> Json:
        now, seconds = self._account.api_now, asked.text("timeout")
        if not seconds.isdigit() or int(seconds) >= 86_400:
            raise invalid("timeout")
        at = now + int(seconds)
        self._account.cancel_all_at = at if int(seconds) else 0.0
        self._account.wake_at(at)
        times = [
            datetime.fromtimestamp(one, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for one in (now, at)
        ]
        return {"currentTime": times[0], "triggerTime": times[1] if int(seconds) else "0"}

    # ---- the key

    def GetApiKeyInfo(self, asked: Asked) -> Json:
        return {
            "apiKeyName": "emulator", "apiKey": self._key, "nonce": str(self.nonce),
            "nonceWindow": "0", "permissions": list(self._options.permissions), "iban": "",
            "validUntil": "0", "queryFrom": "0", "queryTo": "0", "createdTime": "1767225600",
            "modifiedTime": "1767225600", "ipAllowlist": [], "lastUsed": "0",
        }  # fmt: skip

    def GetWebSocketsToken(self, asked: Asked) -> Json:
        return {"token": "not-a-real-token-of-the-emulator", "expires": 900}
