"""What the screen knows at one moment: the last statuses, the selection, the clock. No Textual.

While a dialog or the command bar is open the body is held (it shows ``body``, the picture of that
moment) and the head stays live (``live``). Times of the engine are turned into ages here: on a
simulated market they count simulated seconds, except the age of the price itself, which tells
whether anything still arrives.
"""

from gridbot.core.records import Event, LedgerEntry
from gridbot.core.settings import Settings
from gridbot.engine.actions import Scene
from gridbot.engine.status import SlotStatus, Status
from gridbot.tui.cells import span
from gridbot.tui.preferences import Look
from gridbot.tui.symptoms import Symptom, symptoms

SILENT_SECONDS_MIN = 5.0
POLLS_MISSED_MAX = 4


class View:
    """The screen's memory; the only object its parts share."""

    def __init__(self, settings: Settings, now: float, look: Look | None = None) -> None:
        self.settings, self.look = settings, look or Look()
        self.name, self.before = "factory", "factory"  # the view shown, and the one before
        self.waits_for = self.link = ""
        self.attached = False
        self.now = self.began_at = self.seen_at = self.price_seen_at = now
        self.live: Status | None = None
        self.body: Status | None = None
        self.held_at: float | None = None
        self._held_now = now
        self.selected: int | None = None
        self.came_from: int | None = None  # the slot selected before the last jump
        self.direction = 0  # of the price: 1 up, -1 down
        self.last_event: Event | None = None
        self._diagnosed: tuple[Status | None, tuple[str, int], list[Symptom]] | None = None
        self.marked: set[int] = set()  # slots that "marked" means in commands
        self.target = ""  # the waiting exit ("8.A") or recovery ("8.2") the cursor stands on
        self.clipboard = ""  # what a body wants copied; the deck takes it away
        self.drawer = False  # the slot's details are open over a view without a pane for them
        self.ledger: list[LedgerEntry] = []

    def take(self, status: Status | None, now: float) -> str:
        """Remember the latest status; the text says whether the selected slot vanished."""
        self.now = now
        if status is None or status is self.live:
            return ""
        old, new = status.price if self.live is None else self.live.price, status.price
        if self.live is None or new.at != old.at:
            self.price_seen_at = now
        if old.mid is not None and new.mid is not None and old.mid != new.mid:
            self.direction = 1 if new.mid > old.mid else -1
        self.live, self.seen_at = status, now
        return "" if self.held_at is not None and self.body is not None else self._show(status)

    def hold(self, held: bool) -> str:
        """Keep the body as it is, or let it go on."""
        if not held:
            self.held_at = None
            return "" if self.live is None else self._show(self.live)
        if self.held_at is None:
            self.held_at, self._held_now = self.now, self.market_now
        return ""

    def _show(self, status: Status) -> str:
        self.body = status
        ids = [slot.id for slot in status.slots]
        self.marked &= set(ids)
        if self.selected in ids:
            return ""
        gone, wanted = self.selected, self.selected or 0
        self.selected = min(ids, key=lambda one: (abs(one - wanted), one), default=None)
        if gone is None or self.selected is None:
            return ""
        return f"slot {gone} is gone; slot {self.selected} is selected"

    @property
    def slots(self) -> tuple[SlotStatus, ...]:
        return () if self.body is None else self.body.slots

    @property
    def slot(self) -> SlotStatus | None:
        return next((slot for slot in self.slots if slot.id == self.selected), None)

    @property
    def index(self) -> int:
        return next((i for i, slot in enumerate(self.slots) if slot.id == self.selected), 0)

    @property
    def scene(self) -> Scene:
        live = () if self.live is None else self.live.slots
        return Scene(self.selected, {slot.id: slot.alias for slot in live}, bool(self.marked))

    @property
    def fps(self) -> int:
        """Animation steps per second; 0 stands still."""
        return self.look.fps

    @property
    def motion(self) -> str:
        """full, calm (no ornaments) or off."""
        return self.look.motion if self.look.fps else "off"

    @property
    def symptoms(self) -> list[Symptom]:
        """What is wrong, worst first, looked for once per moment."""
        live, key = self.live, (self.state, int(self.price_age_seconds))
        if self._diagnosed is None or self._diagnosed[0] is not live or self._diagnosed[1] != key:
            self._diagnosed = live, key, symptoms(live, *key)
        return self._diagnosed[2]

    @property
    def engine_now(self) -> float:
        """The engine's clock as of the body: it stands still while that is held."""
        return self.market_now if self.held_at is None else self._held_now

    @property
    def market_now(self) -> float:
        """The engine's clock: simulated time on a simulated market."""
        if self.live is None:
            return self.now
        sim = self.live.mode == "sim"
        return max(self.live.at, self.live.price.at) if sim else self.now

    @property
    def price_age_seconds(self) -> float:
        """How long ago a price arrived, in real seconds."""
        if self.live is None:
            return 0.0
        seen = self.price_seen_at if self.live.mode == "sim" else self.live.price.at
        return max(self.now - seen, 0.0)

    @property
    def state(self) -> str:
        """The engine's run state, or "waiting" before the first picture and "gone" without news."""
        if self.live is None:
            return "waiting"
        if self.link:
            return "gone"
        engine = self.live.engine
        every = engine.poll_seconds or self.settings.timing.poll_interval_seconds
        interval = every / max(engine.speed, 0.001)
        silent = self.now - self.seen_at > max(SILENT_SECONDS_MIN, interval * POLLS_MISSED_MAX)
        return "gone" if self.link or (silent and engine.state != "halted") else engine.state

    @property
    def waited(self) -> str:
        waits = f"waiting: {self.waits_for}" if self.waits_for else "waiting for the first snapshot"
        return f"{waits}, {span(self.now - self.began_at)}"

    @property
    def dimmed(self) -> bool:
        """The picture is old or nothing trades: draw it without life."""
        return self.state in ("gone", "halted")

    def acts(self, when: str) -> bool:
        """Whether an action tied to a state makes sense now."""
        slot, state = self.slot, "" if self.live is None else self.live.engine.state
        match when:
            case "running":
                return state in ("", "running")
            case "stopped":
                return state not in ("", "running")
            case "slot_running" | "slot_paused":
                parked = slot is not None and bool(slot.paused or slot.quarantined)
                return slot is not None and parked == (when == "slot_paused")
        return not self.why_not(when)

    def why_not(self, when: str) -> str:
        """Why an action tied to a state is refused before it is sent; the engine knows the rest."""
        status = self.live
        if status is None:
            return "E05: no picture of the engine yet" if when else ""
        halted = status.engine.state == "halted"
        match when:
            case "stopped" if halted:
                return "E22: HALTED: see :symptoms; use :resume! after fixing"
            case "halted" if not halted:
                return "E21: not halted"
            case "waiting" if not any(one.recoveries or _exits(one) for one in status.slots):
                return "E40: no exit or recovery waits"
            case "pending" if not status.governor.get("pending"):
                return "E51: nothing pending"
            case "sim" if status.mode != "sim":
                return "E90: the engine is live; speed is for simulation"
        return ""

    def move(self, rows: int) -> None:
        if self.slots:
            index = max(0, min(self.index + rows, len(self.slots) - 1))
            self.selected = self.slots[index].id

    def select(self, slot_id: int) -> bool:
        """Select a slot by id; False if there is none."""
        found = any(slot.id == slot_id for slot in self.slots)
        self.selected = slot_id if found else self.selected
        return found


def _exits(slot: SlotStatus) -> bool:
    return any(one.role == "exit" for one in slot.orders)
