"""Kraken's private half: one key, one call at a time, never faster than Kraken allows.

The nonce is issued under the lock that sends, because Kraken counts the order of arrival. The
highest one ever issued is kept on disk, reserved seconds ahead so that it is rarely written.
Reads leave a reserve of the call counter to writes and raise what the Protocol says; writes raise
Refusal only.
"""

import asyncio
import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from gridbot.core.settings import Tier
from gridbot.exchange.kraken import answers
from gridbot.exchange.kraken.answers import T
from gridbot.exchange.kraken.errors import Refusal, Refused, read_error
from gridbot.exchange.kraken.limits import CallCounter, EngineCounter
from gridbot.exchange.kraken.public import BACKOFF_SECONDS, PublicKraken
from gridbot.exchange.kraken.signing import Credentials, sign
from gridbot.exchange.protocol import BadAnswer, RateLimited, RetryLater

RESERVE = 3.0  # points of the call counter no read may take
HISTORY = 4.0  # points of a call that reads history
QUERY_IDS = 50
PAGE_ROWS = 50
OVERLAP_SECONDS = 60.0  # how late a row may appear in a history
LOCKOUT_SECONDS = 900.0
MINUTE_NS = 60_000_000_000
RESERVED_NS = 5_000_000_000  # a short way: other commands with this key go by their clock


class Nonce:
    """Nanoseconds, ever growing; every refusal raises them twice as far as the last one."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._jump = path, MINUTE_NS
        self._last = self._reserved = 0
        if path is not None and path.exists():
            with contextlib.suppress(ValueError):  # torn: the clock alone must do
                self._last = self._reserved = int(path.read_text("ascii"))

    def issue(self, now: float) -> str:
        """The next one."""
        self._last = max(self._last + 1, int(now * 1e9))
        if self._last > self._reserved:
            self._keep()
        return str(self._last)

    def answered(self, refused: bool) -> None:
        """Learn from the answer to the last one, also for the process that comes after this."""
        self._jump = self._jump * 2 if refused else MINUTE_NS
        if refused:
            self._last += self._jump // 2
            self._keep()

    def _keep(self) -> None:
        if self._path is None:
            return
        draft = self._path.with_suffix(".tmp")
        with contextlib.suppress(OSError):  # a full disk: the next call tries again
            draft.write_text(str(self._last + RESERVED_NS), "ascii")
            os.replace(draft, self._path)
            self._reserved = self._last + RESERVED_NS


class PrivateKraken:
    """What the key may do, as typed calls. Both counters are models of Kraken's own."""

    def __init__(
        self, public: PublicKraken, credentials: Credentials, tier: Tier, nonce_path: Path | None,
        lockout_seconds: float = LOCKOUT_SECONDS,
    ) -> None:  # fmt: skip
        self.public, self.clock = public, public.clock
        self.calls, self.engine = CallCounter(tier), EngineCounter(tier)
        self._credentials = credentials
        self._nonce = Nonce(nonce_path)
        self._lock = asyncio.Lock()
        self._lockout_seconds = lockout_seconds

    async def read(self, name: str, kind: type[T], cost: float = 1.0, **fields: Any) -> T:
        """The answer of a reading call; refused here while it would cut into the reserve."""
        for last in (False, True):  # once more at once: most answers without sense are accidents
            now = self.clock()
            if (until := self.calls.free_at(now, cost + RESERVE)) > now:
                raise RateLimited(f"{name}: held back for the rate limit", until)
            self.calls.charge(now, cost)
            try:
                return answers.decode(await self._call(name, cost, fields), kind, name)
            except Refusal as refusal:
                if last or refusal.kind != "unknown":
                    raise read_error(refusal, name) from None
        raise AssertionError("the last try returns or raises")

    async def write(self, name: str, kind: type[T], cost: float, **fields: Any) -> T:
        """The answer of a call that changes something; raises Refusal."""
        self.calls.charge(self.clock(), cost)
        try:
            return answers.decode(await self._call(name, cost, fields), kind, name)
        except BadAnswer as error:
            raise Refusal("unknown", str(error)) from None

    async def _call(self, name: str, cost: float, fields: dict[str, Any]) -> msgspec.Raw:
        try:
            async with self._lock:
                try:
                    return await self._send(name, fields)
                except Refusal as refusal:
                    if refusal.kind != "nonce":
                        raise
                    return await self._send(name, fields)
        except Refusal as refusal:
            self._slow_down(refusal, cost)
            raise

    async def _send(self, name: str, fields: dict[str, Any]) -> msgspec.Raw:
        path, key, nonce = f"/0/private/{name}", self._credentials, self._nonce
        stamp = nonce.issue(self.clock())
        body = msgspec.json.encode({"nonce": stamp} | fields)
        headers = {"API-Key": key.key, "API-Sign": sign(path, stamp, body.decode(), key.secret)}
        headers["Content-Type"] = "application/json"
        try:
            raw = await self.public.http.call("POST", path, content=body, headers=headers)
        except Refusal as refusal:
            nonce.answered(refusal.kind == "nonce")
            raise
        nonce.answered(False)
        return raw

    def _slow_down(self, refusal: Refusal, cost: float) -> None:
        """After a refusal for speed: wait as long as the counter needs, or as Kraken said."""
        now, text = self.clock(), refusal.text.lower()
        if refusal.until or refusal.kind not in ("backoff", "lockout"):
            return
        if refusal.kind == "backoff" and "rate limit" in text and "eauth" not in text:
            counter = self.engine if text.startswith("eorder") else self.calls
            counter.charge(now, max(counter.room(now), 0.0))
            reserve = 0.0 if counter is self.engine else RESERVE
            refusal.until = counter.free_at(now, cost + reserve + 1.0)
            return
        seconds = self._lockout_seconds if refusal.kind == "lockout" else BACKOFF_SECONDS
        said = re.search(r"throttled:\s*(\d+)", text)
        refusal.until = int(said[1]) - self.public.offset_seconds if said else now + seconds
        self.public.http.quiet_until, self.public.http.quiet_reason = refusal.until, refusal.text

    async def key_info(self) -> answers.KeyInfo:
        """Rights and dates of the key; needs no right itself."""
        return answers.key_info(await self.read("GetApiKeyInfo", dict[str, Any]))

    async def balances_ex(self) -> dict[str, answers.Holding]:
        """Every asset on the account under Kraken's id, suffixed ones too."""
        return await self.read("BalanceEx", dict[str, answers.Holding])

    async def trade_volume(self, pair: str) -> answers.TradeVolume:
        """Our fees for ``pair`` (altname)."""
        return await self.read("TradeVolume", answers.TradeVolume, pair=pair)

    async def open_orders(self, **only: Any) -> dict[str, answers.Order]:
        """All open orders of the account by exchange id, or ``only`` those with a ``cl_ord_id``."""
        return (await self.read("OpenOrders", answers.OpenOrders, trades=True, **only))["open"]

    async def closed_orders(
        self, start: int, pages: int | None = None, **only: Any
    ) -> dict[str, answers.Order]:
        """All orders opened or closed after ``start``, or those of the newest ``pages``; ``only``
        those with a ``cl_ord_id``.
        """
        window = {"start": start, "end": int(self.clock() + self.public.offset_seconds) + 1} | only
        found: dict[str, answers.Order] = {}
        count, place = 1, 0
        while place < count and pages != 0:
            page = await self.read(
                "ClosedOrders", answers.ClosedOrders, HISTORY, trades=True, ofs=place, **window
            )
            still = not found or page["count"] == count
            found |= _whole("ClosedOrders", page, "closed", still, place)
            count, place = page["count"], place + PAGE_ROWS
            pages = None if pages is None else pages - 1
        return found

    async def query_orders(self, ids: Iterable[str]) -> dict[str, answers.Order]:
        """These orders by exchange id, 50 a call; those Kraken does not know are left out."""
        left, found = list(ids), dict[str, answers.Order]()
        while left:
            part, left = left[:QUERY_IDS], left[QUERY_IDS:]
            found |= await self._query(part)
        return found

    async def _query(self, ids: list[str]) -> dict[str, answers.Order]:
        try:
            kind = dict[str, answers.Order]
            return await self.read("QueryOrders", kind, txid=",".join(ids), trades=True)
        except Refused:  # perhaps for one unknown id among good ones
            if len(ids) == 1:
                return {}
            half = len(ids) // 2
            return await self._query(ids[:half]) | await self._query(ids[half:])

    async def history(
        self, name: str, kind: Any, field: str, cursor: str
    ) -> tuple[dict[str, Any], str]:
        """Rows since ``cursor``, oldest first, and the next cursor: as many pages as the counter
        allows, so ask again until none come. A cursor may be a mere time (ours), exclusive.
        """
        now, offset = self.clock(), self.public.offset_seconds
        first, *rest = (cursor or "0").split()
        newest, floor = (float(first), float(rest[0])) if rest else (float(first) + offset,) * 2
        given, start = set(rest[1:]), int(max(newest - OVERLAP_SECONDS, floor))
        window = {"start": start, "end": int(now + offset) + 1}
        found: dict[str, Any] = {}
        if (until := self.calls.free_at(now, 2 * HISTORY + RESERVE)) > now:  # or it gets nowhere
            raise RateLimited(f"{name}: held back for the rate limit", until)
        head = await self.read(name, kind, HISTORY, ofs=0, **window)
        try:
            for place in range(head["count"] - PAGE_ROWS, 0, -PAGE_ROWS):
                if found and self.calls.room(self.clock()) < 2 * HISTORY + RESERVE:
                    raise RateLimited(f"{name}: room is left to ask about what came", now)
                page = await self.read(name, kind, HISTORY, ofs=place, **window)
                found |= _whole(name, page, field, page["count"] == head["count"])
            found |= _whole(name, head, field, True)
        except (RateLimited, RetryLater):
            if not found:
                raise
        rows = dict(sorted(found.items(), key=lambda item: (item[1]["time"], item[0])))
        newest = max([newest, *(row["time"] for row in rows.values())])
        recent = [one for one, row in rows.items() if row["time"] >= newest - OVERLAP_SECONDS - 1]
        fresh = {one: row for one, row in rows.items() if one not in given and row["time"] > floor}
        return fresh, " ".join([f"{newest:.4f}", f"{floor:.4f}", *recent])


def _whole(name: str, page: Any, field: str, still: bool, place: int = 0) -> dict[str, Any]:
    rows: dict[str, Any] = page[field]
    if not still:
        raise RetryLater(f"{name}: rows came while it was read")
    if len(rows) < min(PAGE_ROWS, page["count"] - place):
        raise BadAnswer(name, f"{len(rows)} rows of {page['count']}: the page is cut short")
    return rows
