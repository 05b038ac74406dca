"""When is which slot looked at again: three heaps, so that a quiet tick costs three comparisons.

Every slot has one current ``Wake``: a price at or below which, a price at or above which, and a
time from which anything can happen to it. Wakes may be early, never late; they are floats, a hair
on the early side of the exact bound, because they decide only *when to look*. Heap items of a
re-armed slot go stale and are dropped when they come up, or when they outnumber the living.
"""

from heapq import heapify, heappop, heappush
from math import inf
from typing import NamedTuple

# Bounds come from float arithmetic with errors near 1e-16; a part in 1e12 is safely early.
EARLY = 1e-12
STALE_ITEMS_MIN = 512


class Wake(NamedTuple):
    """Wake when price <= down, price >= up, or time >= at; ``NEVER`` is no wake at all."""

    down: float
    up: float
    at: float


Bounds = tuple[float, float, float]  # a Wake as a plain tuple, which is cheaper to make
NEVER = Wake(-inf, inf, inf)
NEXT_TICK = Wake(inf, -inf, -inf)

Heap = list[tuple[float, int, int]]


class WakeHeaps:
    """The current wake of every slot, and the slots due at a price and time."""

    def __init__(self) -> None:
        self._version: dict[int, int] = {}
        self._counter = 0
        self._down: Heap = []
        self._up: Heap = []
        self._at: Heap = []

    def arm(self, slot_id: int, wake: Bounds) -> None:
        """Replace the slot's wake."""
        down, up, at = wake
        self._counter += 1
        version = self._version[slot_id] = self._counter
        if down > -inf:
            heappush(self._down, (-down, slot_id, version))
        if up < inf:
            heappush(self._up, (up, slot_id, version))
        if at < inf:
            heappush(self._at, (at, slot_id, version))

    def disarm(self, slot_id: int) -> None:
        """The slot is gone."""
        self._version.pop(slot_id, None)

    def bounds(self) -> Bounds:
        """The tightest wake of all slots."""
        return -self._top(self._down), self._top(self._up), self._top(self._at)

    def due(self, price: float | None, at: float) -> set[int]:
        """Slots whose wake is reached; their reached items leave the heaps."""
        slots: set[int] = set()
        self._collect(self._at, at, slots)
        if price is not None:
            self._collect(self._up, price, slots)
            self._collect(self._down, -price, slots)
        return slots

    def _collect(self, heap: Heap, limit: float, slots: set[int]) -> None:
        version = self._version
        while heap and heap[0][0] <= limit:
            _, slot_id, number = heappop(heap)
            if version.get(slot_id) == number:
                slots.add(slot_id)

    def _top(self, heap: Heap) -> float:
        version = self._version
        if len(heap) > STALE_ITEMS_MIN and len(heap) > 4 * len(version):
            heap[:] = [item for item in heap if version.get(item[1]) == item[2]]
            heapify(heap)
        while heap:
            value, slot_id, number = heap[0]
            if version.get(slot_id) == number:
                return value
            heappop(heap)
        return inf
