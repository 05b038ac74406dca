"""One slot: the reducer's state with its settings, its waiting trades and its next wake.

The slot engine lives on top of the reducer: it decides which entries the phase wants, says why a
trade waits, and asks the reducer to create entries one at a time. The reducer is never allowed to
create follow-up entries by itself (it is handed a size of zero for every event but a price tick),
so that funds, capacity and cooldowns are looked at in one place only.
"""

from decimal import Decimal
from math import inf
from typing import Any

import msgspec

from gridbot.core.capacity import Kind
from gridbot.core.records import Instrument, Side, TradeId
from gridbot.core.settings import Settings
from gridbot.core.state_machine import (
    EngineConfig,
    OrderState,
    PairState,
    derive_phase,
    entry_backoff_multiplier,
)
from gridbot.core.wakes import EARLY, NEVER, NEXT_TICK, Wake

# Entries must leave room for an exit reduced by a base fee and rounded to the lot.
MIN_VOLUME_MARGIN = Decimal("1.02")
NEVER_REFRESH_PCT = Decimal(10**9)
RECOVERIES_UNLIMITED = 10**9
WANTED_ENTRIES: dict[str, tuple[TradeId, ...]] = {
    "S0": ("A", "B"),
    "S1a": ("B",),
    "S1b": ("A",),
    "S2": (),
}
ENTRY_SIDE: dict[TradeId, Side] = {"A": "sell", "B": "buy"}


class Waiting(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a trade has no entry. ``until`` or a move away from ``price`` looks at it again;
    ``need`` is what it lacked, of base or quote."""

    reason: str
    since: float
    text: str = ""
    until: float = inf
    price: Decimal | None = None
    need: Decimal | None = None
    asset_is_base: bool = False


class Slot(msgspec.Struct):
    """A slot and what the slot engine remembers about it. ``inbox``: reducer events to deliver;
    ``timer_at``: before this the timer has nothing to do as long as the orders stay the same;
    ``checked``: the orders that were last found complete and legal."""

    id: int
    kind: Kind
    rung: int
    state: PairState
    created_at: float
    alias: str = ""
    paused_at: float | None = None
    quarantined: str = ""
    removing: bool = False
    last_fill_at: float = 0.0
    waiting: dict[TradeId, Waiting] = {}
    parked: dict[TradeId, str] = {}
    inbox: list[Any] = []
    timer_at: float = 0.0
    checked: tuple[OrderState, ...] | None = None
    cfg: EngineConfig | None = None
    cfg_calm: EngineConfig | None = None

    def wanted_entries(self) -> list[TradeId]:
        """Trades the phase wants an entry for and that have none."""
        if self.removing:
            return []
        orders = self.state.orders
        wanted = WANTED_ENTRIES[derive_phase(self.state)]
        if not wanted or len(orders) == 2:
            return []
        have = [order.trade_id for order in orders]
        return [trade for trade in wanted if trade not in have]


def slot_config(
    settings: Settings, instrument: Instrument, slot: Slot, maker_fee_pct: Decimal
) -> EngineConfig:
    """The reducer's configuration for this slot, from its rung, kind and losing streaks.

    ``refresh_pct`` grows with the larger widened entry distance, or far rungs and backed-off
    entries would be refreshed for ever (architecture 4.3).
    """
    grid, cycle, losses = settings.grid, settings.cycle, settings.losses
    distance = grid.entry_pct + slot.rung * settings.slots.rung_pct
    sticky = slot.kind == "sticky"
    config = EngineConfig(
        entry_pct=grid.entry_pct,
        entry_pct_a=distance,
        entry_pct_b=distance,
        profit_pct=grid.profit_pct,
        refresh_pct=grid.refresh_pct,
        order_size_usd=grid.order_size,
        price_decimals=grid_value(grid.price_decimals, instrument.price_decimals),
        volume_decimals=grid_value(grid.volume_decimals, instrument.volume_decimals),
        min_volume=max(grid.min_volume or instrument.min_volume, instrument.min_volume)
        * MIN_VOLUME_MARGIN,
        min_cost_usd=instrument.min_cost,
        maker_fee_pct=maker_fee_pct,
        stale_price_max_age_sec=settings.timing.stale_price_max_age_sec,
        s1_orphan_after_sec=inf if sticky else cycle.s1_orphan_after_sec,
        s2_orphan_after_sec=inf if sticky else cycle.s2_orphan_after_sec,
        loss_backoff_start=losses.backoff_start,
        loss_cooldown_start=losses.cooldown_start,
        loss_cooldown_sec=losses.cooldown_sec,
        reentry_base_cooldown_sec=losses.reentry_base_cooldown_sec,
        backoff_factor=losses.backoff_factor,
        backoff_max_multiplier=losses.backoff_max_multiplier,
        max_consecutive_refreshes=grid.max_consecutive_refreshes,
        refresh_cooldown_sec=grid.refresh_cooldown_sec,
        max_recovery_slots=RECOVERIES_UNLIMITED,
        sticky_mode_enabled=sticky,
    )
    streak = max(slot.state.consecutive_losses_a, slot.state.consecutive_losses_b)
    widened = distance * entry_backoff_multiplier(streak, config)
    return msgspec.structs.replace(
        config, refresh_pct=grid.refresh_pct + max(widened - grid.entry_pct, Decimal(0))
    )


def grid_value(configured: int | None, exchange: int) -> int:
    """The operator's decimals if set, never finer than the exchange allows."""
    return exchange if configured is None else min(configured, exchange)


def streaks(state: PairState) -> tuple[int, int]:
    """Losing streaks of both trades: a change of either means a new configuration."""
    return state.consecutive_losses_a, state.consecutive_losses_b


def next_wake(
    slot: Slot, settings: Settings, frozen: bool, repriced: list[float]
) -> tuple[Wake, float]:
    """The bounds outside which anything can happen to the slot (architecture 4.2), and the time
    before which its timer has nothing to do as long as its orders stay the same.

    ``frozen``: paused, no refresh and no deadline runs. ``repriced``: for each exit that may still
    be repriced, the time of its last reprice. Bounds are early by a hair.
    """
    wake = _waiting_wake(slot, float(settings.grid.refresh_pct))
    if frozen:
        return wake, -inf
    wake = _entries_wake(slot, wake)
    if wake is NEXT_TICK:
        return wake, -inf
    if slot.kind == "sticky":
        return wake, inf
    return _deadlines_wake(slot, settings, repriced, wake)


def _waiting_wake(slot: Slot, refresh_pct: float) -> Wake:
    if not slot.waiting:
        return NEVER
    down, up, at = NEVER
    for waiting in slot.waiting.values():
        at = min(at, waiting.until)
        if waiting.price is not None:
            price, part = float(waiting.price), refresh_pct / 100
            down, up = max(down, price * (1 - part)), min(up, price * (1 + part))
    return Wake(down * (1 + EARLY), up * (1 - EARLY), at)


def _entries_wake(slot: Slot, wake: Wake) -> Wake:
    """Both drift limits of each entry (|price - M| x 100 > refresh_pct x M), or the end of the
    pause for one beyond them."""
    down, up, at = wake
    state, cfg = slot.state, slot.cfg
    assert cfg is not None
    market, refresh_pct = float(state.market_price), float(cfg.refresh_pct)
    low_factor = 100 / (100 + refresh_pct) * (1 + EARLY)
    high_factor = 100 / (100 - refresh_pct) * (1 - EARLY) if refresh_pct < 100 else inf
    for order in state.orders:
        if order.role == "entry":
            price = float(order.price)
            low, high = price * low_factor, price * high_factor
            if low < market < high:
                down, up = max(down, low), min(up, high)
                continue
            a = order.trade_id == "A"
            pause = state.refresh_cooldown_until_a if a else state.refresh_cooldown_until_b
            if pause <= state.now:
                return NEXT_TICK
            at = min(at, pause)
    return Wake(down, up, at)


def _deadlines_wake(
    slot: Slot, settings: Settings, repriced: list[float], wake: Wake
) -> tuple[Wake, float]:
    timer_at = _lottery_end(slot, settings)
    exits = [order for order in slot.state.orders if order.role == "exit"]
    down, up, at = wake
    overdue = False
    if exits:
        start, span = exit_span(slot, exits)
        if start is None:
            return NEXT_TICK, -inf
        limit = settings.cycle.max_reprices
        for last in repriced:
            timer_at = min(timer_at, next_reprice_at(start, span, limit, last))
        overdue = start + span <= slot.state.now
        if not overdue:
            timer_at = min(timer_at, start + span)
        elif len(exits) == 2:
            return NEXT_TICK, -inf
        else:
            down, up = _until_moved_away(exits[0], slot.state.market_price, down, up)
    return Wake(down, up, min(at, timer_at)), -inf if overdue else timer_at


def _lottery_end(slot: Slot, settings: Settings) -> float:
    if not settings.cycle.write_off or not slot.state.recovery_orders:
        return inf
    ttl = settings.cycle.recovery_ttl_sec
    return min(recovery.orphaned_at for recovery in slot.state.recovery_orders) + ttl


def _until_moved_away(
    order: OrderState, market: Decimal, down: float, up: float
) -> tuple[float, float]:
    price = float(order.price)
    if order.side == "sell":
        return max(down, price * (1 + EARLY) if market >= order.price else inf), up
    return down, min(up, price * (1 - EARLY) if market <= order.price else -inf)


def exit_span(slot: Slot, exits: list[OrderState]) -> tuple[float | None, float]:
    """(start, seconds) of the deadline that runs for these exits; start None: not begun yet."""
    cfg = slot.cfg
    assert cfg is not None
    if len(exits) == 2:
        return slot.state.s2_entered_at, cfg.s2_orphan_after_sec
    first = exits[0]
    return first.entry_filled_at or first.placed_at or slot.state.now, cfg.s1_orphan_after_sec


def next_reprice_at(start: float, span: float, max_reprices: int, last: float) -> float:
    """Time of the first reprice after ``last``: number k of n is due at k/(n+1) of the span."""
    for number in range(1, max_reprices + 1):
        due = start + span * number / (max_reprices + 1)
        if due > last:
            return due
    return inf
