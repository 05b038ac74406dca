"""One slot's records: configuration, state, events, actions — and the edits that need no price.

Rules: everything is frozen; sequences are tuples whose order carries meaning (removal keeps it,
additions go to the end). Money, prices, volumes and percentages are Decimal, times and durations
float seconds. Field names are those of the first bot, so that its snapshots can be read;
"usd" in them means the quote currency. The records hold no reference cycles, hence ``gc=False``.
"""

from decimal import Decimal
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from gridbot.core.numbers import ZERO
from gridbot.core.records import Side, TradeId

OrderRole = Literal["entry", "exit"]
Phase = Literal["S0", "S1a", "S1b", "S2"]
ModeSource = Literal["none", "balance", "regime"]

REGIME_CODES = {"BEARISH": 0, "RANGING": 1, "BULLISH": 2}


class EngineConfig(Struct, frozen=True, gc=False):
    """What steers one slot. Percentages in percent; timeouts in seconds, infinite allowed.

    ``order_size_usd`` and ``stale_price_max_age_sec`` are carried for others and not read here.
    """

    entry_pct: Decimal = Decimal("0.2")
    entry_pct_a: Decimal | None = None
    entry_pct_b: Decimal | None = None
    profit_pct: Decimal = Decimal("1.0")
    refresh_pct: Decimal = Decimal("1.0")
    order_size_usd: Decimal = Decimal("2.0")
    price_decimals: int = 6
    volume_decimals: int = 0
    min_volume: Decimal = Decimal("13.0")
    min_cost_usd: Decimal = ZERO
    maker_fee_pct: Decimal = Decimal("0.25")
    stale_price_max_age_sec: float = 60.0
    s1_orphan_after_sec: float = 1350.0
    s2_orphan_after_sec: float = 1800.0
    loss_backoff_start: int = 3
    loss_cooldown_start: int = 5
    loss_cooldown_sec: float = 900.0
    reentry_base_cooldown_sec: float = 0.0
    backoff_factor: Decimal = Decimal("0.5")
    backoff_max_multiplier: Decimal = Decimal("5.0")
    max_consecutive_refreshes: int = 3
    refresh_cooldown_sec: float = 300.0
    max_recovery_slots: float = 2
    sticky_mode_enabled: bool = False


class OrderState(Struct, frozen=True, gc=False):
    """An active order; the ``entry_*`` fields are filled on exits only."""

    local_id: int
    side: Side
    role: OrderRole
    price: Decimal
    volume: Decimal
    trade_id: TradeId
    cycle: int
    txid: str = ""
    placed_at: float = 0.0
    entry_price: Decimal = ZERO
    entry_fee: Decimal = ZERO
    entry_filled_at: float = 0.0
    regime_at_entry: int | None = None


class RecoveryOrder(Struct, frozen=True, gc=False):
    """An exit that waited too long: it rests on, while its trade began a new cycle."""

    recovery_id: int
    side: Side
    price: Decimal
    volume: Decimal
    trade_id: TradeId
    cycle: int
    entry_price: Decimal
    orphaned_at: float
    entry_fee: Decimal = ZERO
    entry_filled_at: float = 0.0
    txid: str = ""
    reason: str = "stale"
    regime_at_entry: int | None = None


class CycleRecord(Struct, frozen=True, gc=False):
    """One booked cycle; all money in quote."""

    trade_id: TradeId
    cycle: int
    entry_price: Decimal
    exit_price: Decimal
    volume: Decimal
    gross_profit: Decimal
    fees: Decimal
    net_profit: Decimal
    entry_fee: Decimal = ZERO
    exit_fee: Decimal = ZERO
    quote_fee: Decimal = ZERO
    settled_usd: Decimal = ZERO
    entry_time: float = 0.0
    exit_time: float = 0.0
    from_recovery: bool = False
    regime_at_entry: int | None = None


class PairState(Struct, frozen=True, gc=False):
    """All that one slot knows. ``completed_cycles`` only grows here; the owner may trim it."""

    market_price: Decimal
    now: float
    orders: tuple[OrderState, ...] = ()
    recovery_orders: tuple[RecoveryOrder, ...] = ()
    completed_cycles: tuple[CycleRecord, ...] = ()
    cycle_a: int = 1
    cycle_b: int = 1
    next_order_id: int = 1
    next_recovery_id: int = 1
    total_profit: Decimal = ZERO
    total_settled_usd: Decimal = ZERO
    total_fees: Decimal = ZERO
    today_realized_loss: Decimal = ZERO
    total_round_trips: int = 0
    s2_entered_at: float | None = None
    last_price_update_at: float | None = None
    consecutive_losses_a: int = 0
    consecutive_losses_b: int = 0
    cooldown_until_a: float = 0.0
    cooldown_until_b: float = 0.0
    long_only: bool = False
    short_only: bool = False
    mode_source: ModeSource = "none"
    consecutive_refreshes_a: int = 0
    consecutive_refreshes_b: int = 0
    last_refresh_direction_a: str | None = None
    last_refresh_direction_b: str | None = None
    refresh_cooldown_until_a: float = 0.0
    refresh_cooldown_until_b: float = 0.0
    profit_pct_runtime: Decimal = Decimal("1.0")


# --- events and actions ---------------------------------------------------------------------


class PriceTick(Struct, frozen=True, gc=False):
    """The market was seen at ``price``."""

    price: Decimal
    timestamp: float


class TimerTick(Struct, frozen=True, gc=False):
    """Time passed: the only event that orphans."""

    timestamp: float


class FillEvent(Struct, frozen=True, gc=False):
    """An active order is done, ``volume`` of it executed; ``fee`` in quote."""

    order_local_id: int
    txid: str
    side: Side
    price: Decimal
    volume: Decimal
    fee: Decimal
    timestamp: float


class RecoveryFillEvent(Struct, frozen=True, gc=False):
    """A recovery order filled after all; ``fee`` in quote."""

    recovery_id: int
    txid: str
    side: Side
    price: Decimal
    volume: Decimal
    fee: Decimal
    timestamp: float


class RecoveryCancelEvent(Struct, frozen=True, gc=False):
    """A recovery order is gone from the exchange without a fill."""

    recovery_id: int
    txid: str
    timestamp: float


class PlaceOrderAction(Struct, frozen=True, gc=False):
    """Send this order."""

    local_id: int
    side: Side
    role: OrderRole
    price: Decimal
    volume: Decimal
    trade_id: TradeId
    cycle: int
    post_only: bool = True
    reason: str = ""


class CancelOrderAction(Struct, frozen=True, gc=False):
    """Cancel this order; a negative ``local_id`` is minus a recovery id."""

    local_id: int
    txid: str
    reason: str = ""


class OrphanOrderAction(Struct, frozen=True, gc=False):
    """An active exit became a recovery order; nothing to send."""

    local_id: int
    recovery_id: int
    reason: str


class BookCycleAction(Struct, frozen=True, gc=False):
    """A cycle was closed with these figures, in quote."""

    trade_id: TradeId
    cycle: int
    net_profit: Decimal
    gross_profit: Decimal
    fees: Decimal
    settled_usd: Decimal = ZERO
    from_recovery: bool = False


Event = PriceTick | TimerTick | FillEvent | RecoveryFillEvent | RecoveryCancelEvent
Action = PlaceOrderAction | CancelOrderAction | OrphanOrderAction | BookCycleAction


# --- reading and editing a state ------------------------------------------------------------


def derive_phase(state: PairState) -> Phase:
    """S0 no exit, S1a a buy exit rests, S1b a sell exit rests, S2 both."""
    buy = sell = False
    for order in state.orders:
        if order.role == "exit":
            if order.side == "buy":
                buy = True
            else:
                sell = True
    if buy:
        return "S2" if sell else "S1a"
    return "S1b" if sell else "S0"


def find_order(state: PairState, local_id: int) -> OrderState | None:
    """The active order with this id, or None."""
    for order in state.orders:
        if order.local_id == local_id:
            return order
    return None


def find_recovery(state: PairState, recovery_id: int) -> RecoveryOrder | None:
    """The recovery order with this id, or None."""
    for recovery in state.recovery_orders:
        if recovery.recovery_id == recovery_id:
            return recovery
    return None


def remove_order(state: PairState, local_id: int) -> PairState:
    """The state without that active order."""
    return replace(state, orders=tuple([o for o in state.orders if o.local_id != local_id]))


def remove_recovery(state: PairState, recovery_id: int) -> PairState:
    """The state without that recovery order."""
    kept = tuple([r for r in state.recovery_orders if r.recovery_id != recovery_id])
    return replace(state, recovery_orders=kept)


def apply_order_txid(state: PairState, local_id: int, txid: str) -> PairState:
    """Note the exchange id of an active order."""
    return _patch_order(state, local_id, txid=txid)


def apply_recovery_txid(state: PairState, recovery_id: int, txid: str) -> PairState:
    """Note the exchange id of a recovery order."""
    patched = tuple(
        replace(r, txid=txid) if r.recovery_id == recovery_id else r for r in state.recovery_orders
    )
    return replace(state, recovery_orders=patched)


def apply_order_regime_at_entry(state: PairState, local_id: int, value: Any) -> PairState:
    """Tag an active order with the market regime; anything unusable clears the tag."""
    return _patch_order(state, local_id, regime_at_entry=regime_code(value))


def _patch_order(state: PairState, local_id: int, **changes: Any) -> PairState:
    patched = tuple(replace(o, **changes) if o.local_id == local_id else o for o in state.orders)
    return replace(state, orders=patched)


def regime_code(value: Any) -> int | None:
    """0, 1 or 2 from a number, a digit text or a regime's name; None for anything else."""
    if isinstance(value, str):
        text = value.strip().upper()
        value = int(text) if text.isdecimal() and len(text) < 9 else REGIME_CODES.get(text)
    if not isinstance(value, int | float) or not abs(value) < 3:
        return None
    code = int(value)
    return code if code >= 0 else None


# --- invariants -----------------------------------------------------------------------------


def check_invariants(state: PairState) -> list[str]:
    """What is wrong with the state, one text per finding; empty when all is well.

    Waiting states (a missing entry during a cooldown, say) break some of these legitimately.
    """
    found = []
    ids = [order.local_id for order in state.orders]
    if len(set(ids)) < len(ids):
        found.append("duplicate order local_id")
    phase = derive_phase(state)
    if shape := _shape_violation(state, phase):
        found.append(shape)
    if phase != "S2" and state.s2_entered_at is not None:
        found.append("s2_entered_at must be null outside S2")
    for order in state.orders:
        found.extend(_order_violations(order))
    if state.cycle_a < 1 or state.cycle_b < 1:
        found.append("cycle counters must be >= 1")
    return found


def _shape_violation(state: PairState, phase: Phase) -> str | None:
    held = [(order.role, order.side) for order in state.orders]
    entries = held.count(("entry", "buy")), held.count(("entry", "sell"))
    exits = held.count(("exit", "buy")), held.count(("exit", "sell"))
    if phase == "S0":
        if state.long_only:
            return None if entries == (1, 0) else "S0 long_only must be exactly one buy entry"
        if state.short_only:
            return None if entries == (0, 1) else "S0 short_only must be exactly one sell entry"
        return None if entries == (1, 1) else "S0 must be exactly A sell entry + B buy entry"
    if phase == "S1a":
        if state.short_only:
            return None if exits == (1, 0) else "S1a short_only must have one buy exit"
        fits = exits == (1, 0) and entries == (1, 0)
        return None if fits else "S1a must be one buy exit + one buy entry"
    if phase == "S1b":
        if state.long_only:
            return None if exits == (0, 1) else "S1b long_only must have one sell exit"
        fits = exits == (0, 1) and entries == (0, 1)
        return None if fits else "S1b must be one sell exit + one sell entry"
    fits = exits == (1, 1) and entries == (0, 0)
    return None if fits else "S2 must be one buy exit + one sell exit only"


def _order_violations(order: OrderState) -> list[str]:
    found = []
    if order.cycle < 1:
        found.append("order cycle must be >= 1")
    if order.role == "exit" and order.entry_price <= 0:
        found.append("exit must carry entry_price")
    if order.volume <= 0:
        found.append("order volume must be > 0")
    return found
