"""Kraken's two rate counters as its documentation describes them, by tier.

The call counter belongs to an API key and is raised by private reads; the engine counter belongs
to an account and pair and is raised by placing, amending and cancelling young orders. Both decay
steadily. Times are epoch seconds handed in; a clock that steps back decays nothing.
"""

from gridbot.core.settings import Tier

CALL_LIMITS: dict[Tier, tuple[float, float]] = {  # most, decay per second
    "starter": (15.0, 0.33),
    "intermediate": (20.0, 0.5),
    "pro": (20.0, 1.0),
}
ENGINE_LIMITS: dict[Tier, tuple[float, float]] = {
    "starter": (60.0, 1.0),
    "intermediate": (125.0, 2.34),
    "pro": (180.0, 3.75),
}
Ages = tuple[tuple[float, float], ...]  # younger than so many seconds: so many points
AMEND_POINTS: Ages = ((5, 3), (10, 2), (15, 1))
EDIT_POINTS: Ages = ((5, 6), (10, 5), (15, 4), (45, 2), (90, 1))
CANCEL_POINTS: Ages = ((5, 8), (10, 6), (15, 5), (45, 4), (90, 2), (300, 1))


def points_for_age(ages: Ages, age: float) -> float:
    """What touching an order costs ``age`` seconds after it was created or last amended."""
    return next((points for limit, points in ages if age < limit), 0.0)


class Counter:
    """A value that charges raise and time lowers to zero."""

    def __init__(self, most: float, decay: float) -> None:
        self.most, self.decay = most, decay
        self._value = self._at = 0.0

    def value(self, now: float) -> float:
        """Points that count now."""
        return max(self._value - max(now - self._at, 0.0) * self.decay, 0.0)

    def charge(self, now: float, cost: float) -> None:
        """Add ``cost`` points."""
        self._value, self._at = self.value(now) + cost, now

    def room(self, now: float) -> float:
        """Points left below the limit, negative above it."""
        return self.most - self.value(now)

    def free_at(self, now: float, cost: float) -> float:
        """The time from which ``cost`` more points fit below the limit: now if they do."""
        return now + max(cost - self.room(now), 0.0) / self.decay


class CallCounter(Counter):
    """Private REST calls of one key; every read charges its cost."""

    def __init__(self, tier: Tier) -> None:
        super().__init__(*CALL_LIMITS[tier])


class EngineCounter(Counter):
    """Placing, amending and cancelling on one pair of one account; ages in seconds."""

    def __init__(self, tier: Tier) -> None:
        super().__init__(*ENGINE_LIMITS[tier])

    def add(self, now: float) -> None:
        """One order placed or refused."""
        self.charge(now, 1.0)

    def add_batch(self, now: float, orders: int) -> None:
        """Several orders placed by one call."""
        self.charge(now, orders / 2)

    def amend(self, now: float, age: float) -> None:
        """One order amended."""
        self.charge(now, 1.0 + points_for_age(AMEND_POINTS, age))

    def edit(self, now: float, age: float) -> None:
        """One order replaced the old way."""
        self.charge(now, 1.0 + points_for_age(EDIT_POINTS, age))

    def cancel(self, now: float, age: float) -> None:
        """One order cancelled, alone or in a batch."""
        self.charge(now, points_for_age(CANCEL_POINTS, age))
