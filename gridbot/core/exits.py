"""What becomes of exits: filled, orphaned or written off, how long it took, and what waiting on
would have brought.

Rules: everything is bounded and forgotten by time or count. A *shadow* stands where an orphaned
exit stood, for 24 hours and without an order; it has filled in thought once a later price reaches
it. Shadows stand in heaps by price, so that a quiet tick costs two comparisons, and their nearest
prices are wakes of the brain, so that no tick that reaches one is skipped.
"""

from bisect import bisect_right
from decimal import Decimal
from heapq import heapify, heappop, heappush
from math import inf
from statistics import median
from typing import Any

import msgspec

from gridbot.core.numbers import ZERO
from gridbot.core.wakes import EARLY

SHADOW_SECONDS = 86_400.0
SHADOWS_MAX = 4_000  # more orphans within a day are counted but not followed
CLOSINGS_MAX = 8_000  # of a window; a fuller one is cut to the newest
SETTLED_MAX = 1_000
WAITS_MAX = 200
MISSED = -1.0
Heap = list[tuple[float, int, "Shadow"]]


class Shadow(msgspec.Struct):
    """An orphaned exit that is followed; ``late``: seconds until a price reached it."""

    at: float
    sell: bool
    price: float
    late: float = MISSED


class Closing(msgspec.Struct, frozen=True, array_like=True):
    """How a cycle slot's exit ended: orphaned, or filled in full."""

    at: float
    slot: int
    orphaned: bool


class WriteOff(msgspec.Struct, frozen=True, array_like=True):
    """A position closed in the books, with its result in quote."""

    at: float
    realised: Decimal


class ExitRecord(msgspec.Struct):
    """All that is remembered; ``waits``: seconds that filled exits stood, by "kind side";
    ``settled``: of orphans whose 24 hours are over, seconds late or MISSED."""

    closings: list[Closing] = []
    orphans: int = 0
    shadows: list[Shadow] = []
    settled: list[float] = []
    waits: dict[str, list[float]] = {}
    write_offs: list[WriteOff] = []


class Exits:
    """The record, and the shadows sorted by price. ``news``: something changed the pressure."""

    def __init__(self, record: ExitRecord | None = None) -> None:
        self.record = record or ExitRecord()
        self.news = False
        self._up: Heap = []
        self._down: Heap = []
        self._serial = 0
        for shadow in self.record.shadows:
            self._stand(shadow)

    def closed(self, at: float, slot: int, orphaned: bool) -> None:
        """An exit of a cycle slot was orphaned or filled in full."""
        self.record.closings.append(Closing(at, slot, orphaned))
        self.record.orphans += orphaned
        self.news = True
        if len(self.record.closings) > CLOSINGS_MAX:
            self._drop_closings(1)

    def waited(self, kind: str, side: str, seconds: float) -> None:
        """An exit was filled after so long."""
        waits = self.record.waits.setdefault(f"{kind} {side}", [])
        waits.append(seconds)
        del waits[:-WAITS_MAX]

    def written_off(self, at: float, realised: Decimal) -> None:
        """A position was closed in the books."""
        self.record.write_offs.append(WriteOff(at, realised))
        del self.record.write_offs[:-SETTLED_MAX]

    def follow(self, at: float, sell: bool, price: Decimal) -> None:
        """Follow an exit that was orphaned at ``price``."""
        if len(self.record.shadows) < SHADOWS_MAX:
            shadow = Shadow(at, sell, float(price))
            self.record.shadows.append(shadow)
            self._stand(shadow)

    def see(self, at: float, price: Decimal | None, window_seconds: float) -> None:
        """Time has passed, and perhaps there is a new price."""
        record, gone = self.record, 0
        closings, shadows = record.closings, record.shadows
        if closings and closings[0].at + window_seconds <= at:
            count = bisect_right(closings, at, key=lambda one: one.at + window_seconds)
            self._drop_closings(count)
        while gone < len(shadows) and shadows[gone].at + SHADOW_SECONDS <= at:
            record.settled.append(shadows[gone].late)
            gone += 1
        if gone:
            del shadows[:gone]
            del record.settled[:-SETTLED_MAX]
        if price is not None and (self._up or self._down):
            _reach(self._up, float(price), at)
            _reach(self._down, -float(price), at)

    def tighten(self, down: float, up: float, at: float) -> tuple[float, float]:
        """The bounds, or the prices at which a shadow is reached, whatever is nearer."""
        if self._down and (price := -self._top(self._down, at) * (1 + EARLY)) > down:
            down = price
        if self._up and (price := self._top(self._up, at) * (1 - EARLY)) < up:
            up = price
        return down, up

    def _drop_closings(self, count: int) -> None:
        self.record.orphans -= sum(one.orphaned for one in self.record.closings[:count])
        del self.record.closings[:count]
        self.news = True

    def _stand(self, shadow: Shadow) -> None:
        self._serial += 1
        if shadow.late == MISSED:
            item = (shadow.price if shadow.sell else -shadow.price, self._serial, shadow)
            heap = self._up if shadow.sell else self._down
            heappush(heap, item)
            if len(heap) > 2 * SHADOWS_MAX:  # most are past their day, out of the price's reach
                heap[:] = [one for one in heap if one[2].at + SHADOW_SECONDS > shadow.at]
                heapify(heap)

    def _top(self, heap: Heap, at: float) -> float:
        while heap and heap[0][2].at + SHADOW_SECONDS <= at:
            heappop(heap)
        return heap[0][0] if heap else inf


def _reach(heap: Heap, limit: float, at: float) -> None:
    while heap and heap[0][0] <= limit and heap[0][2].at < at:
        shadow = heappop(heap)[2]
        if shadow.at + SHADOW_SECONDS > at:
            shadow.late = at - shadow.at


def quantiles(values: list[float]) -> dict[str, float]:
    """Median, 90th and 95th percentile (nearest rank) in seconds, and the count."""
    ordered = sorted(values)
    parts = {f"p{part}": quantile(ordered, part) for part in (50, 90, 95)} if ordered else {}
    return {"count": len(ordered), **parts}


def quantile(ordered: list[float], percent: int) -> float:
    """The nearest-rank percentile of values in order; there is at least one."""
    return ordered[max(-(-len(ordered) * percent // 100), 1) - 1]


def shadow_figures(record: ExitRecord) -> dict[str, Any]:
    """``share``: of the orphans whose 24 hours are over, how many a price reached (None before the
    first); ``late_sec``: the median time that took. ``reached``: so far, of those ``followed``."""
    hits = [late for late in record.settled if late != MISSED]
    return {
        "share": len(hits) / len(record.settled) if record.settled else None,
        "late_sec": median(hits) if hits else None, "settled": len(record.settled),
        "followed": len(record.shadows), "reached": sum(s.late != MISSED for s in record.shadows),
    }  # fmt: skip


def rates(record: ExitRecord, at: float, seconds: float) -> dict[str, Any]:
    """Orphans and write-offs per hour over the last ``seconds``, and what the latter came to."""
    hours = max(seconds, 1.0) / 3600
    recent = [one for one in record.write_offs if one.at > at - seconds]
    cost = sum((one.realised for one in recent), ZERO)
    return {
        "orphans_per_hour": record.orphans / hours, "write_offs_per_hour": len(recent) / hours,
        "write_offs_result": cost,
    }  # fmt: skip
