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
from msgspec.structs import replace

from gridbot.core.capacity import Kind
from gridbot.core.numbers import ZERO
from gridbot.core.orders import Registry
from gridbot.core.records import Instrument, Side, TradeId
from gridbot.core.settings import CycleSettings, Settings
from gridbot.core.state_machine import Resting, entry_backoff_multiplier
from gridbot.core.state_records import EngineConfig, OrderState, PairState, patch_order
from gridbot.core.wakes import EARLY, NEVER, NEXT_TICK, Bounds

# Entries must leave room for an exit reduced by a base fee and rounded to the lot.
MIN_VOLUME_MARGIN = Decimal("1.02")
RECOVERIES_UNLIMITED = 10**9
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
    ``checked``: the orders that were last found complete and legal; ``drift_factors``: an entry's
    price times these are the market prices at which it is refreshed, early by a hair."""

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
    converted_at: float | None = None
    waiting: dict[TradeId, Waiting] = {}
    parked: dict[TradeId, str] = {}
    inbox: list[Any] = []
    timer_at: float = 0.0
    checked: tuple[OrderState, ...] | None = None
    cfg: EngineConfig = EngineConfig()
    drift_factors: tuple[float, float] = (0.0, inf)
    rules_raised: bool = False
    min_volume: Decimal = ZERO
    min_cost: Decimal = ZERO

    def wanted_entries(self) -> list[TradeId]:
        """Trades the phase wants an entry for and that have none: those without any order."""
        orders = self.state.orders
        if len(orders) == 2 or self.removing:
            return []
        have = [order.trade_id for order in orders]
        return [trade for trade in ENTRY_SIDE if trade not in have]

    def exits(self) -> list[OrderState]:
        """The exits that wait, without recoveries."""
        return [order for order in self.state.orders if order.role == "exit"]

    def is_too_small(self, order: Resting) -> bool:
        """It rests below a minimum that was raised since: nothing could take its place."""
        if not self.rules_raised or not order.txid:
            return False
        return order.volume < self.min_volume or order.price * order.volume < self.min_cost

    def holds_small_exit(self) -> bool:
        """No deadline runs for exits while one of them is too small to ever come back."""
        return self.rules_raised and any(map(self.is_too_small, self.exits()))

    def patch(self, local_id: int, **changes: Any) -> None:
        """Change the order of that id."""
        self.state = patch_order(self.state, local_id, **changes)

    def see_price(self, price: Decimal, at: float) -> None:
        """Move the market price: for a price inside the slot's bounds a tick does nothing else."""
        self.state = replace(self.state, market_price=price, now=at, last_price_update_at=at)

    def configure(self, settings: Settings, instrument: Instrument, maker_fee_pct: Decimal) -> None:
        """Rebuild the reducer's configuration after anything it depends on has changed.
        ``refresh_pct`` grows with the larger widened entry distance, or far rungs and backed-off
        entries would be refreshed for ever (architecture 4.3)."""
        grid, cycle, losses = settings.grid, settings.cycle, settings.losses
        distance = grid.entry_pct + self.rung * settings.slots.rung_pct
        sticky = self.kind == "sticky"
        min_volume = max(grid.min_volume or ZERO, instrument.min_volume)
        cfg = EngineConfig(
            entry_pct=grid.entry_pct, entry_pct_a=distance, entry_pct_b=distance,
            profit_pct=grid.profit_pct, maker_fee_pct=maker_fee_pct,
            price_decimals=_coarser(grid.price_decimals, instrument.price_decimals),
            volume_decimals=_coarser(grid.volume_decimals, instrument.volume_decimals),
            min_volume=min_volume * MIN_VOLUME_MARGIN, min_cost_usd=instrument.min_cost,
            s1_orphan_after_sec=inf if sticky else cycle.s1_orphan_after_sec,
            s2_orphan_after_sec=inf if sticky else cycle.s2_orphan_after_sec,
            loss_backoff_start=losses.backoff_start, loss_cooldown_start=losses.cooldown_start,
            loss_cooldown_sec=losses.cooldown_sec, backoff_factor=losses.backoff_factor,
            backoff_max_multiplier=losses.backoff_max_multiplier,
            reentry_base_cooldown_sec=losses.reentry_base_cooldown_sec,
            max_consecutive_refreshes=grid.max_consecutive_refreshes,
            refresh_cooldown_sec=grid.refresh_cooldown_sec,
            max_recovery_slots=RECOVERIES_UNLIMITED, sticky_mode_enabled=sticky,
        )  # fmt: skip
        streak = max(self.state.consecutive_losses_a, self.state.consecutive_losses_b)
        widened = distance * entry_backoff_multiplier(streak, cfg)
        refresh_pct = grid.refresh_pct + max(widened - grid.entry_pct, ZERO)
        self.min_volume, self.min_cost = instrument.min_volume, instrument.min_cost
        self.cfg = replace(cfg, refresh_pct=refresh_pct)
        pct = float(refresh_pct)
        high = 100 / (100 - pct) * (1 - EARLY) if pct < 100 else inf
        self.drift_factors = 100 / (100 + pct) * (1 + EARLY), high


def _coarser(configured: int | None, exchange: int) -> int:
    """The operator's decimals if set, never finer than the exchange allows."""
    return exchange if configured is None else min(configured, exchange)


def next_wake(
    slot: Slot, settings: Settings, frozen: bool, registry: Registry
) -> tuple[Bounds, float]:
    """The bounds outside which anything can happen to the slot (architecture 4.2), and the time
    before which its timer has nothing to do as long as its orders stay the same.
    ``frozen``: paused, no refresh and no deadline runs. Bounds are early by a hair."""
    wake = _waiting_wake(slot, float(settings.grid.refresh_pct)) if slot.waiting else NEVER
    if frozen:
        return wake, -inf
    wake = _entries_wake(slot, wake)
    if wake is NEXT_TICK:
        return wake, -inf
    if slot.kind == "sticky":
        return wake, inf
    return _deadlines_wake(slot, settings.cycle, registry, wake)


def _waiting_wake(slot: Slot, refresh_pct: float) -> Bounds:
    down, up, at = NEVER
    for waiting in slot.waiting.values():
        at = min(at, waiting.until)
        if waiting.price is not None:
            price, part = float(waiting.price), refresh_pct / 100
            down, up = max(down, price * (1 - part)), min(up, price * (1 + part))
    return down * (1 + EARLY), up * (1 - EARLY), at


def _entries_wake(slot: Slot, wake: Bounds) -> Bounds:
    """Both drift limits of each entry (|price - M| x 100 > refresh_pct x M), or the end of the
    pause for one beyond them."""
    down, up, at = wake
    state, (low_factor, high_factor) = slot.state, slot.drift_factors
    market = float(state.market_price)
    for order in state.orders:
        if order.role == "entry":
            price = float(order.price)
            low, high = price * low_factor, price * high_factor
            if low < market < high:
                down, up = low if low > down else down, high if high < up else up
                continue
            a = order.trade_id == "A"
            pause = state.refresh_cooldown_until_a if a else state.refresh_cooldown_until_b
            if pause <= state.now:
                return NEXT_TICK
            at = min(at, pause)
    return down, up, at


def _deadlines_wake(
    slot: Slot, cycle: CycleSettings, registry: Registry, wake: Bounds
) -> tuple[Bounds, float]:
    down, up, at = wake
    timer_at, overdue = inf, False
    for recovery in slot.state.recovery_orders if cycle.write_off else ():
        if not slot.is_too_small(recovery):
            timer_at = min(timer_at, recovery.orphaned_at + cycle.recovery_ttl_sec)
    exits = slot.exits()
    if exits and not slot.holds_small_exit():
        start, span = exit_span(slot, exits, cycle)
        if start is None:
            return NEXT_TICK, -inf
        for order in exits:
            live = registry.by_local.get((slot.id, order.local_id))
            if live is not None and live.may_gain(cycle.max_reprices):
                due = next_reprice_at(start, span, cycle.max_reprices, live.repriced_at)
                timer_at = min(timer_at, max(due, live.retry_at))
        overdue = start + span <= slot.state.now
        if not overdue:
            timer_at = min(timer_at, start + span)
        elif len(exits) == 2:
            return NEXT_TICK, -inf
        else:  # it is orphaned once the market has moved away from it
            market, target, price = slot.state.market_price, exits[0].price, float(exits[0].price)
            if exits[0].side == "sell":
                down = max(down, price * (1 + EARLY) if market >= target else inf)
            else:
                up = min(up, price * (1 - EARLY) if market <= target else -inf)
    return (down, up, min(at, timer_at)), -inf if overdue else timer_at


def exit_span(
    slot: Slot, exits: list[OrderState], cycle: CycleSettings
) -> tuple[float | None, float]:
    """(start, seconds) of a cycle slot's deadline for these exits; start None: not begun yet."""
    if len(exits) == 2:
        return slot.state.s2_entered_at, cycle.s2_orphan_after_sec
    first = exits[0]
    return first.entry_filled_at or first.placed_at or slot.state.now, cycle.s1_orphan_after_sec


def next_reprice_at(start: float, span: float, max_reprices: int, last: float) -> float:
    """Time of the first reprice after ``last``: number k of n is due at k/(n+1) of the span."""
    for number in range(1, max_reprices + 1):
        due = start + span * number / (max_reprices + 1)
        if due > last:
            return due
    return inf
