"""How many frames a second the floor can afford: measured, not assumed.

Down a rung when frames cost too much, come too late or find no room at the terminal; up again
after a good while. The engine comes first: lateness of the shared thread counts as cost.
"""

from collections import deque
from collections.abc import Iterable

RUNGS = (30, 20, 15, 10, 4)
COST_SECONDS_MAX, LATE_SECONDS_MAX, SKIPPED_SHARE_MAX = 0.008, 0.020, 0.2
WINDOW_SECONDS, GOOD_SECONDS = 2.0, 10.0
SAMPLES_MIN = 8


class Ladder:
    """``fps_max`` is what the operator wants at most."""

    def __init__(self, fps_max: int = RUNGS[0]) -> None:
        self.fps_max = fps_max
        self._rung = self._notes = 0
        self._frames: deque[tuple[float, float, float, bool]] = deque()
        self._changed_at = 0.0

    @property
    def fps(self) -> int:
        return max(min(RUNGS[self._rung], self.fps_max), 1)

    def note(self, now: float, cost: float, late: float, skipped: bool) -> bool:
        """A frame took ``cost`` and came ``late`` seconds, or was skipped; True: another rung."""
        frames = self._frames
        frames.append((now, cost, late, skipped))
        while frames[0][0] < now - WINDOW_SECONDS:
            frames.popleft()
        if len(frames) < SAMPLES_MIN or now - self._changed_at < WINDOW_SECONDS:
            return False
        self._notes += 1
        if self._notes % 4:  # sorting each time would cost more than it tells
            return False
        bad = self._bad()
        if bad and self._rung < len(RUNGS) - 1:
            return self._to(self._rung + 1, now)
        if not bad and self._rung and now - self._changed_at > GOOD_SECONDS:
            return self._to(self._rung - 1, now)
        return False

    def _bad(self) -> bool:
        count = len(self._frames)
        skipped = sum(one[3] for one in self._frames) / count
        return (
            _high(one[1] for one in self._frames) > COST_SECONDS_MAX
            or _high(one[2] for one in self._frames) > LATE_SECONDS_MAX
            or skipped > SKIPPED_SHARE_MAX
        )

    def _to(self, rung: int, now: float) -> bool:
        self._rung, self._changed_at = rung, now
        self._frames.clear()
        return True


def _high(values: Iterable[float]) -> float:
    """The value that 95 % do not exceed."""
    ordered = sorted(values)
    return ordered[int(0.95 * (len(ordered) - 1))]
