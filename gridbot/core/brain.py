"""The trading brain: one deterministic object that eats steps and answers with outputs.

Same steps, same outputs, same state, bit for bit. The order inside a step is fixed (architecture
4.2): reports by exchange time, the accepted price, woken slots in id order, then one global pass
(cancels and write-offs, exits, refreshes, entries: longest-waiting first). The rooms beside this
file do the work on the Brain they are handed: ``reports`` books what the exchange said, ``trading``
lets a slot react, ``placing`` sends what is wanted and allowed, ``lifecycle`` obeys commands.
"""

import zlib
from decimal import Decimal
from math import inf
from typing import Any, Literal

import msgspec

from gridbot.core import lifecycle, placing, reports, trading
from gridbot.core.capacity import WorkBank, work_bank
from gridbot.core.ledger import Books
from gridbot.core.numbers import ZERO, plain
from gridbot.core.orders import LiveOrder, Registry, client_id_text
from gridbot.core.records import (
    Ack,
    AmendRequest,
    Changes,
    Event,
    Fees,
    Instrument,
    OrderRequest,
    Severity,
    StepInput,
    TradeId,
)
from gridbot.core.settings import Settings, fee_floor_pct, open_orders_limit, settings_from_plain
from gridbot.core.slot import Slot, Waiting, next_wake, slot_config
from gridbot.core.wakes import NEVER, NEXT_TICK, Wake, WakeHeaps

CORE_VERSION = 1
RETRY_SECONDS = 30.0
ACKS_KEPT = 500
RunState = Literal["running", "paused", "draining", "halted"]


class StepOutputs:
    """What the shell must do after a step: ledger lines first, then orders, then tell people."""

    __slots__ = ("acks", "amends", "cancels", "events", "lines", "places")

    def __init__(self) -> None:
        self.places: list[OrderRequest] = []
        self.amends: list[AmendRequest] = []
        self.cancels: list[str] = []
        self.lines: list[bytes] = []
        self.events: list[Event] = []
        self.acks: list[Ack] = []


class Counters(msgspec.Struct):
    """What the brain has done so far; shown in reports, never used for decisions."""

    steps: int = 0
    slot_events: int = 0
    orders_placed: int = 0
    orders_amended: int = 0
    orders_cancelled: int = 0
    orders_refused: int = 0
    executions: int = 0
    round_trips: int = 0
    orphans: int = 0
    reprices: int = 0
    write_offs: int = 0
    quarantines: int = 0
    capacity_waits: int = 0
    open_orders_max: int = 0


class Brain:
    """All state of one trading instance. Only ``step`` changes it."""

    def __init__(
        self, settings: Settings, instrument: Instrument, fees: Fees, instance: str
    ) -> None:
        self.settings = self.configured = settings
        self.instrument = instrument
        self.fees = fees
        self.instance = instance
        self.seq = 0
        self.now = 0.0
        self.started_at = 0.0
        self.price: Decimal | None = None
        self.bid = self.ask = ZERO
        self.price_at = 0.0
        self.price_lost = False
        self.run_state: RunState = "running"
        self.state_reason = ""
        self.paused_at = 0.0
        self.slots: dict[int, Slot] = {}
        self.archived: list[dict[str, Any]] = []
        self.next_slot_id = 1
        self.next_order_number = 1
        self.next_event_id = 1
        self.counters = Counters()
        self.acked: dict[str, Ack] = {}
        self.exchange_balances: dict[str, Decimal] = {}
        self.drift: dict[str, Decimal] = {}
        self.fee_in_base = settings.run.mode == "sim" and settings.sim.fee_asset == "base"
        self.registry = Registry(fees.maker_pct, self.fee_in_base)
        self.books = Books(instrument.cost_decimals, instrument.volume_decimals)
        self.wakes = WakeHeaps()
        self.pools: dict[tuple[int, TradeId], Waiting] = {}
        self.cycle_slots = 0
        self.removing: set[int] = set()
        self.write_offs: list[str] = []
        self.written_off_base = ZERO
        self.written_off_cost = ZERO
        self.risk_reason = ""
        self.spread_wide = False
        self.retry_at = inf
        self.deliver_all = False
        self._forget_step()

    def _forget_step(self) -> None:
        self.out = StepOutputs()
        self.due: set[int] = set()
        self.wanting: list[tuple[float, int, TradeId]] = []
        self.refreshes: list[LiveOrder] = []
        self.recheck = False
        self.freed_inventory = False

    # --- the step -----------------------------------------------------------------------

    def step(self, step: StepInput) -> StepOutputs:
        """Apply one step and return what is to be done."""
        self._forget_step()
        self.seq, self.now = step.seq, step.at
        self.counters.steps += 1
        if step.changes is not None:
            self._apply_changes(step.changes)
        reports.apply(self, step)
        had_price = self.price is not None
        self._accept_price(step)
        for command in step.commands:
            lifecycle.obey(self, command)
        if self.deliver_all or not had_price:
            self.due.update(self.slots)
        price = None if self.price is None else float(self.price)
        self.due |= self.wakes.due(price, self.now)
        trading.run_due_slots(self, step)
        placing.run(self)
        self._rearm()
        self.out.lines = self.books.take_lines()
        self.counters.open_orders_max = max(self.counters.open_orders_max, self.registry.resting)
        return self.out

    def _accept_price(self, step: StepInput) -> None:
        if step.price is None:
            return
        self.price, self.price_at = step.price, step.at
        self.bid = step.price if step.bid is None else step.bid
        self.ask = step.price if step.ask is None else step.ask

    def _apply_changes(self, changes: Changes) -> None:
        if changes.instrument is not None:
            self.instrument = changes.instrument
            self.recheck = True
        if changes.settings is not None:
            self._apply_settings(settings_from_plain(changes.settings))
        if changes.fees is not None:
            self.fees = changes.fees
            self.registry.set_fee(self.fees.maker_pct, self.fee_in_base)
            self.recheck = True
            self.emit("fees_changed", "warn", maker_pct=plain(self.fees.maker_pct))
        if changes.price_lost is not None and changes.price_lost != self.price_lost:
            self.price_lost, self.recheck = changes.price_lost, True
            self.emit("price_lost" if self.price_lost else "price_back", "warn")
        for slot in self.slots.values():
            self.configure(slot)
        self.due.update(self.slots)

    def _apply_settings(self, settings: Settings) -> None:
        self.settings = self.configured = settings
        self.recheck = True
        for slot in self.slots.values():
            target = settings.grid.profit_pct
            slot.state = msgspec.structs.replace(slot.state, profit_pct_runtime=target)

    def rearm_all(self) -> None:
        """Compute every slot's wake anew, after loading a state."""
        self.due = set(self.slots)
        self._rearm()

    def _rearm(self) -> None:
        for slot_id in self.due:
            slot = self.slots.get(slot_id)
            if slot is None:
                self.wakes.disarm(slot_id)
            else:
                self.wakes.arm(slot_id, self._wake_of(slot))
        self.retry_at = min(
            (live.retry_at for live in self.registry.wanted.values() if self.may_place(live)),
            default=inf,
        )

    def may_place(self, live: LiveOrder) -> bool:
        """A wanted exit that only waits for its time."""
        return not (
            live.parked
            or live.role == "recovery"
            or live.slot_id in self.removing
            or self.run_state == "halted"
        )

    def _wake_of(self, slot: Slot) -> Wake:
        if slot.quarantined:
            return NEVER
        repriced: list[float] = []
        limit = self.settings.cycle.max_reprices
        if slot.kind == "cycle":
            for order in slot.state.orders:
                if order.role == "exit":
                    live = self.registry.by_local.get((slot.id, order.local_id))
                    if live is not None and live.reprices < limit:
                        repriced.append(live.repriced_at)
        wake, slot.timer_at = next_wake(slot, self.settings, self.is_frozen(slot), repriced)
        return wake

    def bounds(self) -> Wake:
        """Prices and time up to which nothing can happen; the shell need not deliver before."""
        if self.deliver_all:
            return NEXT_TICK
        wake = self.wakes.bounds()
        lookup_at = min((live.lookup_at for live in self.registry.unknown.values()), default=inf)
        if self.price_lost:
            return Wake(-inf, inf, lookup_at)
        return Wake(wake.down, wake.up, min(wake.at, self.retry_at, lookup_at))

    # --- what the rooms share -----------------------------------------------------------

    @property
    def fee_floor_pct(self) -> Decimal:
        """Smallest profit target that still earns, percent of entry value."""
        return fee_floor_pct(self.fees.maker_pct, self.settings.fees.min_profit_margin_pct)

    @property
    def work_bank(self) -> WorkBank:
        """The work bank now."""
        return work_bank(
            open_orders_limit(self.settings),
            self.registry.resting,
            len(self.slots) - self.cycle_slots,
            self.cycle_slots,
            self.settings.capacity,
        )

    def is_frozen(self, slot: Slot) -> bool:
        """Neither refreshes nor deadlines run for this slot."""
        return (
            slot.paused_at is not None
            or bool(slot.quarantined)
            or slot.removing
            or self.run_state in ("paused", "halted")
        )

    def count_kinds(self) -> None:
        """Slots came, went or changed kind."""
        self.cycle_slots = sum(slot.kind == "cycle" for slot in self.slots.values())

    def next_client_id(self) -> str:
        """A client id never used before by this instance."""
        text = client_id_text(self.instance, self.next_order_number)
        self.next_order_number += 1
        return text

    def configure(self, slot: Slot) -> None:
        """Rebuild the reducer's configuration of a slot after anything it depends on changed."""
        slot.cfg = slot_config(self.settings, self.instrument, slot, self.fees.maker_pct)
        slot.cfg_calm = msgspec.structs.replace(slot.cfg, refresh_pct=trading.NEVER_REFRESH_PCT)

    def emit(
        self,
        kind: str,
        severity: Severity,
        slot: int | None = None,
        trade: str | None = None,
        order: str | None = None,
        **data: Any,
    ) -> None:
        """Note that something happened, for people to see."""
        event = Event(self.next_event_id, self.now, kind, severity, slot, trade, order, data)
        self.next_event_id += 1
        self.out.events.append(event)

    def halt(self, reason: str) -> None:
        """Stop trading: fills are still booked, nothing is placed until an operator resumes."""
        if self.run_state != "halted":
            self.paused_at = self.paused_at if self.run_state == "paused" else self.now
            self.run_state, self.state_reason = "halted", reason
            self.recheck = True
            self.emit("halted", "bad", reason=reason)

    def outputs_digest(self) -> int:
        """What the next journal record vouches for: the orders and the head of the books."""
        out = self.out
        parts = [self.books.head.hash]
        parts += [f"{r.client_id}{r.price}{r.volume}" for r in out.places]
        parts += [f"{a.client_id}{a.price}{a.volume}" for a in out.amends]
        parts += out.cancels
        return zlib.crc32("|".join(parts).encode())
