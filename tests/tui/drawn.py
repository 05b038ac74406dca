"""Statuses that tell everything a view can draw: written ones, and any that could be."""

from collections.abc import Sequence
from decimal import Decimal as D
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from gridbot.core.capacity import work_bank
from gridbot.core.governor import Suggestion
from gridbot.core.odds import Odds
from gridbot.core.settings import Settings
from gridbot.engine.status import PriceStatus, SlotStatus, Status, WaitingStatus
from gridbot.engine.telemetry import Point
from gridbot.tui.body import Body, make_body
from gridbot.tui.cells import fit, length
from gridbot.tui.view import View

from .pictures import NOW, StillClient, order, slot, status, text_of

ODDS = Odds(
    1132, D("24.1"), D("58.5"), D("-0.63"), D("-0.0626"), D("-5.25"),
    "24.1 % of 1132 exits at 1 % were reached within 22.5 min (last 718 candles of 5 min); a "
    "position makes -0.0626 USD (-0.63 %) on average, a cycle slot about -5.25 USD a day",
    "CYCLE SLOTS LOSE MONEY HERE: 24.1 % of the exits in time, break-even needs 58.5 %",
)  # fmt: skip


def suggestion(number: int, state: Any, kind: Any, *slots: int) -> Suggestion:
    at, reason = NOW - 600 * number, "orphan pressure 0.63 is elevated"
    effect = "reserved orders 30 -> 28 of 168"
    return Suggestion(
        number, at, NOW + 3000, "governor", kind, slots, reason, effect, state=state
    )  # fmt: skip


GOVERNOR: dict[str, Any] = {
    "mode": "suggest", "pressure": 0.38, "backlog": 0.0, "flow": 0.38, "few_data": False,
    "high": D("0.6"), "crit": D("0.8"), "band": "moderate", "next_at": NOW + 25,
    "shadow": {"share": 0.58, "late_sec": 4800.0, "settled": 12, "followed": 3, "reached": 1},
    "suggestions": (
        suggestion(7, "pending", "sticky", 4), suggestion(6, "dismissed", "sticky", 8),
        suggestion(3, "expired", "cycle", 2, 3),
    ),
    "pending": 1, "conversions": 2, "odds": ODDS,
}  # fmt: skip
FILL_HEALTH: dict[str, Any] = {
    "fill_seconds": {"cycle buy": {"count": 20, "p50": 660.0, "p90": 3000.0, "p95": 9600.0}},
    "ages": {"cycle sell": {"count": 3, "p50": 600.0, "p90": 900.0, "p95": 900.0}},
    "distance_pct": {"cycle sell": {"count": 3, "p50": 0.6, "p90": 1.9, "p95": 1.9}},
    "partial_open": 0, "partial_cancelled": 1, "orphans_per_hour": 1.2,
    "write_offs_per_hour": 0.8, "write_offs_result": D("-0.31"),
}  # fmt: skip
AUTO_SLOTS = {"added": 1, "earned": 1, "max": 5, "next_at": D(10)}
API = {"calls": 14.0, "calls_limit": 60.0, "engine": 170.0, "engine_limit": 180.0}


def full(slots: int = 12, **more: Any) -> Status:
    """A status with every part told."""
    parts = {"governor": GOVERNOR, "fill_health": FILL_HEALTH, "auto_slots": AUTO_SLOTS, "api": API}
    return status(slots, **{**parts, **more})


class PastClient(StillClient):
    """A still engine that remembers: ``past`` of every figure."""

    def __init__(self, picture: Status | None, past: Sequence[Point] | None = None) -> None:
        super().__init__(picture)
        self.past = list(past or ())

    def history(self, name: str) -> list[Point]:
        return self.past


def opened(
    name: str, picture: Status | None, past: Sequence[Point] | None = None,
    chosen: int | None = None, settings: Settings | None = None,
) -> Body:  # fmt: skip
    """A view as it comes up, with a slot selected."""
    view = View(settings or Settings(), NOW)
    view.take(picture, NOW)
    view.selected = chosen or view.selected
    return make_body(name, view, PastClient(picture, past))


def shown(body: Body, width: int = 120, height: int = 34) -> str:
    return "\n".join(text_of(row).rstrip() for row in body.draw(width, height))


def check_size(body: Body, width: int, height: int) -> None:
    """Never more rows than there are, nor a row that is longer than the screen."""
    rows = body.draw(width, height)
    assert len(rows) <= height
    for row in rows:
        fitted = fit(row, width)
        assert length(row) <= width
        assert cell_len(text_of(fitted)) == width


# --- any status -------------------------------------------------------------------------------

amounts = st.decimals(-(10**9), 10**9, allow_nan=False, places=8)
words = st.text(max_size=30)
counts = st.integers(0, 10**6)
seconds = st.floats(0, 4e9)
shares = st.floats(0, 1)
sizes = st.tuples(st.integers(20, 220), st.integers(1, 60))
pasts = st.lists(st.tuples(st.floats(1.7e9, 1.7e9 + 86400), st.floats(0, 400)), max_size=30).map(
    sorted
)


@st.composite
def slots(draw: st.DrawFn) -> SlotStatus:
    wait = WaitingStatus(
        draw(st.sampled_from("AB")), draw(st.sampled_from(["funds", "cooldown"])), draw(words)
    )
    one = order(
        draw(st.integers(1, 99)), "A", "sell", draw(st.sampled_from(["entry", "exit"])), "1"
    )
    state = draw(st.sampled_from(["open", "pending", "unknown", "wanted", "post only refused"]))
    return slot(
        draw(st.integers(1, 10**5)), alias=draw(words),
        kind=draw(st.sampled_from(["sticky", "cycle"])),
        phase=draw(st.sampled_from(["S0", "S1a", "S1b", "S2"])), paused=draw(st.booleans()),
        quarantined=draw(st.just("") | words),
        waiting=draw(st.sampled_from([(), (wait,), (wait, wait)])),
        orders=draw(st.sampled_from([(), (replace(one, state=state),)])),
        recoveries=(order(2, "A", "buy", "recovery", "0.08"),) * draw(st.integers(0, 3)),
        realised=draw(amounts), unrealised=draw(amounts), fees=draw(amounts),
        round_trips=draw(counts), stuck_score=draw(st.floats(0, 1e12)),
        deadline_at=draw(st.none() | seconds), deadline_seconds=draw(st.none() | seconds),
        last_fill_at=draw(seconds),
    )  # fmt: skip


@st.composite
def governors(draw: st.DrawFn) -> dict[str, Any]:
    high = draw(st.decimals("0.05", "0.9", places=2))
    bands = ["healthy", "moderate", "elevated", "critical"]
    kinds, states = ["sticky", "cycle", "close"], ["pending", "approved", "dismissed", "expired"]
    made = [
        suggestion(i, draw(st.sampled_from(states)), draw(st.sampled_from(kinds)), *ids)
        for i, ids in enumerate(draw(st.lists(st.lists(counts, max_size=5), max_size=5)))
    ]
    return GOVERNOR | {
        "mode": draw(st.sampled_from(["off", "suggest", "autonomous"])), "pressure": draw(shares),
        "backlog": draw(shares), "flow": draw(shares), "few_data": draw(st.booleans()),
        "high": high, "crit": high + D("0.05"), "band": draw(st.sampled_from(bands)),
        "next_at": draw(st.none() | seconds), "suggestions": tuple(made),
        "conversions": draw(counts), "odds": draw(st.none() | st.just(ODDS)),
        "shadow": draw(st.sampled_from([GOVERNOR["shadow"], {"share": None, "late_sec": None}])),
    }  # fmt: skip


@st.composite
def pictures(draw: st.DrawFn) -> Status:
    base = draw(st.sampled_from([status(slots=0), full(slots=0)]))
    mid = draw(st.none() | st.decimals("0.00000001", 10**9, allow_nan=False, places=8))
    made = tuple({one.id: one for one in draw(st.lists(slots(), max_size=5))}.values())
    bank = work_bank(Settings(), draw(st.integers(0, 300)), draw(st.integers(0, 90)), 3)
    return replace(
        base, mode=draw(st.sampled_from(["sim", "paper", "live"])), slots=made, capacity=bank,
        price=PriceStatus(D(1), D(2), D(1), mid, draw(seconds), draw(st.booleans())),
        governor=draw(governors()) if base.governor else {},
    )  # fmt: skip
