"""The published picture of an engine: frozen, whole, built once per publish.

A Status is all a screen, a script or ``gridbot status`` ever sees; none of them touches the brain.
Times are epoch seconds (the screen computes ages), money is Decimal.
"""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from math import inf
from typing import Any

import msgspec

from gridbot.core import closing, exits, governor, lifecycle
from gridbot.core.account import drift_badge, drift_tolerance
from gridbot.core.brain import Brain
from gridbot.core.capacity import WorkBank
from gridbot.core.numbers import HUNDRED, ZERO, plain
from gridbot.core.odds import Odds
from gridbot.core.orders import LiveOrder
from gridbot.core.slot import Slot, exit_span
from gridbot.core.state_machine import OrderState, derive_phase

STATUS_VERSION = 1
REFUSALS_ALARMING = 3


class Struct(msgspec.Struct, frozen=True):
    """Base of all parts of a status."""


class PairStatus(Struct, frozen=True):
    name: str
    base: str
    quote: str
    price_decimals: int
    volume_decimals: int


class EngineStatus(Struct, frozen=True):
    """``poll_seconds``: the market's time between two looks at it; 0 where none works."""

    state: str
    reason: str
    uptime_since: float
    pid: int
    last_step_at: float
    step_ms: float
    speed: float = 1.0
    error: str = ""
    poll_seconds: float = 0.0


class PriceStatus(Struct, frozen=True):
    bid: Decimal
    ask: Decimal
    last: Decimal
    mid: Decimal | None
    at: float
    stale: bool


class ProfitStatus(Struct, frozen=True):
    realised: Decimal
    write_offs: Decimal
    unrealised: Decimal
    inventory: Decimal
    fees: Decimal
    recovery: Decimal
    inventory_units: Decimal = ZERO
    inventory_cost: Decimal = ZERO


class BalanceStatus(Struct, frozen=True):
    """``elsewhere``: staked or earning, only shown. ``badge`` of the drift: green, amber, red."""

    total: Decimal
    held: Decimal
    ledger: Decimal
    drift: Decimal
    elsewhere: Decimal = ZERO
    badge: str = "green"


class OrderStatus(Struct, frozen=True):
    client_id: str
    exchange_id: str
    local_id: int
    trade: str
    side: str
    role: str
    price: Decimal
    volume: Decimal
    executed: Decimal
    placed_at: float
    state: str


class WaitingStatus(Struct, frozen=True):
    trade: str
    reason: str
    text: str = ""
    until: float | None = None


class CycleStatus(Struct, frozen=True):
    trade: str
    cycle: int
    net: Decimal
    at: float


class SlotStatus(Struct, frozen=True):
    id: int
    alias: str
    kind: str
    rung: int
    phase: str
    paused: bool
    quarantined: str
    orders: tuple[OrderStatus, ...]
    recoveries: tuple[OrderStatus, ...]
    waiting: tuple[WaitingStatus, ...]
    realised: Decimal
    unrealised: Decimal
    fees: Decimal
    write_offs: Decimal
    round_trips: int
    cycle_a: int
    cycle_b: int
    deadline_at: float | None
    reprices: int
    stuck_score: float
    last_fill_at: float
    recent_cycles: tuple[CycleStatus, ...]
    created_at: float
    deadline_seconds: float | None = None  # from the wait's beginning to deadline_at


class AlarmStatus(Struct, frozen=True):
    symptom: str
    text: str
    slot: int | None = None


class SettingsStatus(Struct, frozen=True):
    entry_pct: Decimal
    profit_pct: Decimal
    order_size: Decimal
    fee_floor_pct: Decimal
    fee_source: str


class Status(Struct, frozen=True):
    """One engine at one moment (architecture 7)."""

    version: int
    seq: int
    mode: str
    at: float
    pair: PairStatus
    engine: EngineStatus
    price: PriceStatus
    profit: ProfitStatus
    balances: dict[str, BalanceStatus]
    capacity: WorkBank
    alarms: tuple[AlarmStatus, ...]
    settings: SettingsStatus
    events_last_id: int
    slots: tuple[SlotStatus, ...]
    governor: dict[str, Any] = {}
    auto_slots: dict[str, Any] = {}
    fill_health: dict[str, Any] = {}
    api: dict[str, float] = {}


# What JSON cannot tell apart in the parts of a status that are plain dicts.
_PLAIN_PARTS: dict[str, dict[str, Any]] = {
    "governor": {
        "suggestions": tuple[governor.Suggestion, ...], "odds": Odds | None, "high": Decimal,
        "crit": Decimal,
    },
    "auto_slots": {"next_at": Decimal},
    "fill_health": {"write_offs_result": Decimal},
}  # fmt: skip


def read_status(text: bytes) -> Status:
    """The status that was written as JSON, equal to it in every part. Raises
    msgspec.ValidationError, as of one that another version of gridbot wrote.
    """
    status = msgspec.json.decode(text, type=Status)
    if status.version != STATUS_VERSION:
        raise msgspec.ValidationError(f"status version {status.version}, not {STATUS_VERSION}")
    for part, kinds in _PLAIN_PARTS.items():
        found = getattr(status, part)
        for name in kinds.keys() & found.keys():
            found[name] = msgspec.convert(found[name], kinds[name])
    return status


def build_status(
    brain: Brain, engine: EngineStatus, price: PriceStatus, api: dict[str, float] | None = None
) -> Status:
    """The picture of ``brain`` as the shell sees it now; ``api``: use of the rate counters."""
    pair, grid, mid = brain.instrument, brain.settings.grid, price.mid or ZERO
    usual = governor.usual_waits(brain)
    return Status(
        version=STATUS_VERSION, seq=brain.seq, mode=brain.settings.run.mode, at=brain.now,
        pair=PairStatus(
            pair.pair, pair.base, pair.quote, pair.price_decimals, pair.volume_decimals
        ),
        engine=engine, price=price, profit=_profit(brain, mid), balances=_balances(brain),
        capacity=brain.work_bank, alarms=tuple(_alarms(brain, price)),
        settings=SettingsStatus(
            grid.entry_pct, grid.profit_pct, grid.order_size, brain.fee_floor_pct, brain.fees.source
        ),
        events_last_id=brain.next_event_id - 1,
        slots=tuple([_slot(brain, slot, mid, usual[slot.kind]) for slot in brain.slots.values()]),
        governor=governor_status(brain), auto_slots=auto_slots_status(brain),
        fill_health=_fill_health(brain, mid), api=api or {},
    )  # fmt: skip


def _profit(brain: Brain, price: Decimal) -> ProfitStatus:
    totals, unrealised = brain.books.totals, brain.books.unrealised_total(price)
    inventory = brain.written_off_base * price - brain.written_off_cost
    return ProfitStatus(
        realised=totals.realised, write_offs=totals.write_offs, unrealised=unrealised,
        inventory=inventory, fees=totals.fees, recovery=totals.recovery,
        inventory_units=brain.written_off_base, inventory_cost=brain.written_off_cost,
    )  # fmt: skip


def governor_status(brain: Brain) -> dict[str, Any]:
    """Pressure with its parts, the band in force, what is suggested, what was converted."""
    state, settings = brain.governor, brain.settings.governor
    return {
        "mode": settings.mode if settings.enabled else "off",
        **msgspec.structs.asdict(governor.pressure_of(brain)),
        "high": settings.orphan_pressure_high, "crit": settings.orphan_pressure_crit,
        "band": governor.BANDS[state.band], "next_at": brain.governor_at,
        "shadow": exits.shadow_figures(brain.exits.record),
        "suggestions": tuple(reversed(state.suggestions)), "pending": len(state.pending()),
        "conversions": state.conversions,
    }  # fmt: skip


def auto_slots_status(brain: Brain) -> dict[str, Any]:
    """Slots added for profit, earned so far, and at most; the profit that earns the next, and the
    kind it would be of, as of any slot added without one."""
    slots = brain.settings.slots
    next_at = (brain.best_profit // slots.slot_profit_threshold + 1) * slots.slot_profit_threshold
    return {"added": brain.auto_slots, "earned": lifecycle.earned_slots(brain),
            "max": slots.max_auto_slots, "next_at": next_at,
            "kind": lifecycle.default_kind(brain)}  # fmt: skip


def _fill_health(brain: Brain, price: Decimal) -> dict[str, Any]:
    """How long filled exits stood and how old and far waiting ones are, by "kind side"; parts."""
    record, ages, far = brain.exits.record, defaultdict(list), defaultdict(list)
    live = list(brain.registry.by_client.values())
    for one in live:
        if one.role == "exit" and one.placed_at and price:
            group = f"{brain.slots[one.slot_id].kind} {one.side}"
            ages[group].append(brain.now - one.placed_at)
            far[group].append(float(abs(one.price - price) / price * HUNDRED))
    window = min(brain.settings.governor.window_sec, brain.now - brain.started_at)
    return {
        "fill_seconds": _quantiles(record.waits), "ages": _quantiles(ages),
        "distance_pct": _quantiles(far),
        "partial_open": sum(one.executed > 0 for one in live),
        "partial_cancelled": brain.counters.partials_cancelled,
        **exits.rates(record, brain.now, window),
    }  # fmt: skip


def _quantiles(groups: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    return {name: exits.quantiles(values) for name, values in sorted(groups.items())}


def _balances(brain: Brain) -> dict[str, BalanceStatus]:
    pair, books, registry = brain.instrument, brain.books, brain.registry
    return {
        asset: _balance(brain, asset, booked, held)
        for asset, booked, held in (
            (pair.quote, books.quote, registry.claimed_quote),
            (pair.base, books.base, registry.claimed_base),
        )
    }


def _balance(brain: Brain, asset: str, booked: Decimal, held: Decimal) -> BalanceStatus:
    drift, seen = brain.drift.get(asset, ZERO), brain.balances.get(asset)
    badge = drift_badge(drift, booked + drift, drift_tolerance(brain, asset))
    elsewhere = ZERO if seen is None else seen.elsewhere
    return BalanceStatus(booked + drift, held, booked, drift, elsewhere, badge)


def _alarms(brain: Brain, price: PriceStatus) -> Iterator[AlarmStatus]:
    """What an operator should look at, worst first."""
    if brain.run_state == "halted":
        yield AlarmStatus("HALTED", f"HALTED: {brain.state_reason}")
    if brain.risk_reason:
        yield AlarmStatus("RISK", f"risk limit: {brain.risk_reason}; resume lifts it")
    if price.stale:
        yield AlarmStatus("PRICE_LOST", "no fresh price: entries wait, exits stay")
    if brain.disk != "ok":
        yield AlarmStatus("DISK", f"room on the disk is {brain.disk}: no entries below 100 MB")
    if brain.trouble:
        yield AlarmStatus("EXCHANGE", f"the exchange does not answer: {brain.trouble}")
    for asset, balance in _balances(brain).items():
        if balance.badge != "green":
            amount = f"{plain(balance.drift)} {asset}"
            yield AlarmStatus("DRIFT", f"unexplained ({balance.badge}): {amount} at the exchange")
    for slot in brain.slots.values():
        if slot.quarantined:
            text = f"slot {slot.id} quarantined: {slot.quarantined}"
            yield AlarmStatus("QUARANTINED", text, slot.id)
        for trade, reason in slot.parked.items():
            yield AlarmStatus("PARKED", f"slot {slot.id} trade {trade}: {reason}", slot.id)
    for live in brain.registry.unknown.values():
        text = f"slot {live.slot_id} trade {live.trade_id}: outcome unknown, being looked up"
        yield AlarmStatus("UNKNOWN", text, live.slot_id)
    for live in brain.registry.wanted.values():
        if live.refusals >= REFUSALS_ALARMING or live.parked:
            text = f"slot {live.slot_id} exit {live.local_id} is not placed"
            yield AlarmStatus("EXIT_WAITS", text, live.slot_id)
    waiting = sum(wait.reason == "capacity" for wait in brain.pools.values())
    if waiting:
        yield AlarmStatus("CAPACITY", f"{waiting} entries wait for capacity")
    if brain.run_state in ("paused", "draining"):
        yield AlarmStatus(brain.run_state.upper(), brain.run_state)


def _slot(brain: Brain, slot: Slot, price: Decimal, usual_seconds: float) -> SlotStatus:
    state, account = slot.state, brain.books.account(slot.id)
    by_local, by_recovery = brain.registry.by_local, brain.registry.by_recovery
    orders = [by_local.get((slot.id, one.local_id)) for one in state.orders]
    recoveries = [by_recovery.get((slot.id, one.recovery_id)) for one in state.recovery_orders]
    return SlotStatus(
        id=slot.id, alias=slot.alias, kind=slot.kind, rung=slot.rung, phase=derive_phase(state),
        paused=slot.paused_at is not None, quarantined=slot.quarantined,
        orders=_orders(brain, orders), recoveries=_orders(brain, recoveries),
        waiting=tuple([
            WaitingStatus(trade, wait.reason, wait.text, None if wait.until == inf else wait.until)
            for trade, wait in slot.waiting.items()
        ]),
        realised=account.realised, unrealised=brain.books.unrealised(slot.id, price),
        fees=account.fees, write_offs=account.write_offs, round_trips=account.round_trips,
        cycle_a=state.cycle_a, cycle_b=state.cycle_b, last_fill_at=slot.last_fill_at,
        **_deadline(brain, slot, slot.exits()),
        reprices=sum([live.reprices for live in orders if live is not None]),
        stuck_score=governor.stuck_score(brain, slot, usual_seconds),
        recent_cycles=tuple([
            CycleStatus(one.trade_id, one.cycle, one.net_profit, one.exit_time)
            for one in reversed(state.completed_cycles)
        ]),
        created_at=slot.created_at,
    )  # fmt: skip


def _orders(brain: Brain, orders: list[LiveOrder | None]) -> tuple[OrderStatus, ...]:
    return tuple([
        OrderStatus(
            live.client_id, live.exchange_id, live.local_id, live.trade_id, live.side, live.role,
            live.price, live.volume, live.executed, live.placed_at, closing.state_of(brain, live),
        )
        for live in orders
        if live is not None
    ])  # fmt: skip


def _deadline(brain: Brain, slot: Slot, exits: list[OrderState]) -> dict[str, float | None]:
    start, span = exit_span(slot, exits, brain.settings.cycle) if exits else (None, 0.0)
    if slot.kind != "cycle" or start is None:
        return {"deadline_at": None}
    return {"deadline_at": start + span, "deadline_seconds": span}
