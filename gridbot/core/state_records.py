"""One slot's configuration and state: records, edits that need no price, invariants, storing.

Rules: everything is frozen; sequences are tuples whose order carries meaning (removal keeps it,
additions go to the end). Money, prices, volumes and percentages are Decimal, times and durations
float seconds. Field names are those of the first bot, so that its snapshots can be read;
"usd" in them means the quote currency. The records hold no reference cycles, hence ``gc=False``.
A state leaves as a plain mapping, Decimals as text, and comes back equal. Old snapshots are read
generously (missing keys take defaults, unknown ones are ignored), but a number that is null or
unusable is refused by name rather than guessed.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, get_args

from msgspec import Struct, to_builtins
from msgspec.structs import fields, replace

from gridbot.core.numbers import ZERO
from gridbot.core.records import Side, TradeId

OrderRole = Literal["entry", "exit"]
Phase = Literal["S0", "S1a", "S1b", "S2"]
ModeSource = Literal["none", "balance", "regime"]

MODE_SOURCES = {name: name for name in get_args(ModeSource)}
REGIME_CODES = {"BEARISH": 0, "RANGING": 1, "BULLISH": 2}


class EngineConfig(Struct, frozen=True, gc=False):
    """What steers one slot. Percentages in percent; timeouts in seconds, infinite allowed.
    ``order_size_usd`` and ``stale_price_max_age_sec`` are carried for others and not read here."""

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


def derive_phase(state: PairState) -> Phase:
    """S0 no exit, S1a a buy exit rests, S1b a sell exit rests, S2 both."""
    sides = [order.side for order in state.orders if order.role == "exit"]
    if "buy" in sides:
        return "S2" if "sell" in sides else "S1a"
    return "S1b" if sides else "S0"


def find_order(state: PairState, local_id: int) -> OrderState | None:
    """The active order with this id, or None."""
    for order in state.orders:
        if order.local_id == local_id:
            return order
    return None


def find_recovery(state: PairState, recovery_id: int) -> RecoveryOrder | None:
    """The recovery order with this id, or None."""
    return next((one for one in state.recovery_orders if one.recovery_id == recovery_id), None)


def remove_order(state: PairState, local_id: int) -> PairState:
    """The state without that active order."""
    return replace(state, orders=tuple([o for o in state.orders if o.local_id != local_id]))


def remove_recovery(state: PairState, recovery_id: int) -> PairState:
    """The state without that recovery order."""
    kept = tuple([r for r in state.recovery_orders if r.recovery_id != recovery_id])
    return replace(state, recovery_orders=kept)


def apply_order_txid(state: PairState, local_id: int, txid: str) -> PairState:
    """Note the exchange id of an active order."""
    return patch_order(state, local_id, txid=txid)


def apply_recovery_txid(state: PairState, recovery_id: int, txid: str) -> PairState:
    """Note the exchange id of a recovery order."""
    rows = state.recovery_orders
    patched = tuple([replace(r, txid=txid) if r.recovery_id == recovery_id else r for r in rows])
    return replace(state, recovery_orders=patched)


def apply_order_regime_at_entry(state: PairState, local_id: int, value: Any) -> PairState:
    """Tag an active order with the market regime; anything unusable clears the tag."""
    return patch_order(state, local_id, regime_at_entry=regime_code(value))


def patch_order(state: PairState, local_id: int, **changes: Any) -> PairState:
    """The state with changes to the active order of that id."""
    patched = tuple([replace(o, **changes) if o.local_id == local_id else o for o in state.orders])
    return replace(state, orders=patched)


def regime_code(value: Any) -> int | None:
    """0, 1 or 2 from a number, a digit text or a regime's name; None for anything else."""
    if isinstance(value, str):
        text = value.strip().upper()
        value = int(text) if text.isdecimal() and len(text) < 9 else REGIME_CODES.get(text)
    return int(value) if isinstance(value, int | float) and -1 < value < 3 else None


# Phase, flag that must be set, and then: counts of buy and sell entries (None: any), of buy and
# sell exits, and what is said if they differ. The first row that applies counts.
_SHAPES = (
    ("S0", "long_only", (1, 0), (0, 0), "S0 long_only must be exactly one buy entry"),
    ("S0", "short_only", (0, 1), (0, 0), "S0 short_only must be exactly one sell entry"),
    ("S0", None, (1, 1), (0, 0), "S0 must be exactly A sell entry + B buy entry"),
    ("S1a", "short_only", None, (1, 0), "S1a short_only must have one buy exit"),
    ("S1a", None, (1, 0), (1, 0), "S1a must be one buy exit + one buy entry"),
    ("S1b", "long_only", None, (0, 1), "S1b long_only must have one sell exit"),
    ("S1b", None, (0, 1), (0, 1), "S1b must be one sell exit + one sell entry"),
    ("S2", None, (0, 0), (1, 1), "S2 must be one buy exit + one sell exit only"),
)


def check_invariants(state: PairState) -> list[str]:
    """What is wrong with the state, one text per finding; empty when all is well.
    Waiting states (a missing entry during a cooldown, say) break some of these legitimately."""
    found, phase = [], derive_phase(state)
    if len({order.local_id for order in state.orders}) < len(state.orders):
        found.append("duplicate order local_id")
    if shape := _shape_violation(state, phase):
        found.append(shape)
    if phase != "S2" and state.s2_entered_at is not None:
        found.append("s2_entered_at must be null outside S2")
    for order in state.orders:
        if order.cycle < 1:
            found.append("order cycle must be >= 1")
        if order.role == "exit" and order.entry_price <= 0:
            found.append("exit must carry entry_price")
        if order.volume <= 0:
            found.append("order volume must be > 0")
    if state.cycle_a < 1 or state.cycle_b < 1:
        found.append("cycle counters must be >= 1")
    return found


def _shape_violation(state: PairState, phase: Phase) -> str | None:
    held = [(order.role, order.side) for order in state.orders]
    held_entries = held.count(("entry", "buy")), held.count(("entry", "sell"))
    held_exits = held.count(("exit", "buy")), held.count(("exit", "sell"))
    entries, exits, text = next(
        row[2:] for row in _SHAPES if row[0] == phase and (not row[1] or getattr(state, row[1]))
    )
    return None if entries in (None, held_entries) and exits == held_exits else text


# --- storing --------------------------------------------------------------------------------

# Sums of finite products stay far inside; "1E+999999" would hang whatever prints it.
EXPONENT_MAX = 18
EXPONENT_MIN = -100

Reader = Callable[[Any, str], Any]


class SnapshotError(ValueError):
    """A stored state that cannot be used; the message names the field."""


def to_dict(state: PairState) -> dict[str, Any]:
    """The state as JSON-ready builtins: field names as keys, Decimals as text, tuples as lists."""
    data: dict[str, Any] = to_builtins(state)
    return {name: list(value) if type(value) is tuple else value for name, value in data.items()}


def from_dict(data: Mapping[str, Any]) -> PairState:
    """The state in ``data``; raises SnapshotError naming the field that cannot be read."""
    if not isinstance(data, Mapping):
        raise SnapshotError(f"slot state: {data!r} is not a mapping")
    source = dict(data)
    source.setdefault("total_settled_usd", source.get("total_profit", 0))
    source.setdefault("profit_pct_runtime", source.get("profit_pct", 1))
    state: PairState = _record(PairState, source, "")
    return state


def _record(kind: type[Any], row: Mapping[str, Any], where: str) -> Any:
    values = {
        name: read(row.get(name, 0), where + name)
        for name, required, read in _PLANS[kind]
        if required or name in row
    }
    return kind(**values)


def _decimal(value: Any, what: str) -> Decimal:
    try:
        # A float counts as the text it was written as: 0.1 is one tenth.
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError, ValueError):
        raise SnapshotError(f"{what}: {value!r} is not a number") from None
    if not number.is_finite() or not EXPONENT_MIN <= number.adjusted() <= EXPONENT_MAX:
        raise SnapshotError(f"{what}: {value!r} is not a finite number of sane size")
    return number


def _one_of(choices: tuple[str, ...]) -> Reader:
    def read(value: Any, what: str) -> str:
        text = str(value or choices[0])
        if text not in choices:
            raise SnapshotError(f"{what}: {value!r} is not one of {', '.join(choices)}")
        return text

    return read


def _many(kind: type[Any]) -> Reader:
    def read(rows: Any, what: str) -> tuple[Any, ...]:
        if not isinstance(rows, list | tuple):
            raise SnapshotError(f"{what}: {rows!r} is not a list")
        found = [(n, row) for n, row in enumerate(rows) if isinstance(row, Mapping)]
        return tuple([_record(kind, row, f"{what}[{n}].") for n, row in found])

    return read


_READERS: dict[Any, Reader] = {
    Decimal: _decimal,
    int: lambda value, what: int(_decimal(value, what)),
    float: lambda value, what: float(_decimal(value, what)),
    bool: lambda value, _: bool(value),
    str: lambda value, _: str(value or ""),
    float | None: lambda value, what: None if value is None else float(_decimal(value, what)),
    int | None: lambda value, _: regime_code(value),
    str | None: lambda value, _: value,
    ModeSource: lambda value, _: MODE_SOURCES.get(str(value).strip().lower(), "none"),
    **{kind: _one_of(get_args(kind)) for kind in (Side, OrderRole, TradeId)},
    tuple[OrderState, ...]: _many(OrderState),
    tuple[RecoveryOrder, ...]: _many(RecoveryOrder),
    tuple[CycleRecord, ...]: _many(CycleRecord),
    "reason": lambda value, _: str(value or "stale"),  # by name: not every text has a default
}
_PLANS: dict[type[Any], list[tuple[str, bool, Reader]]] = {
    kind: [(f.name, f.required, _READERS.get(f.name) or _READERS[f.type]) for f in fields(kind)]
    for kind in (PairState, OrderState, RecoveryOrder, CycleRecord)
}
