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

from gridbot.core import (
    account,
    advice,
    closing,
    governor,
    lifecycle,
    placing,
    reports,
    risk,
    trading,
)
from gridbot.core.capacity import WorkBank, effective_cap, work_bank
from gridbot.core.exits import Exits
from gridbot.core.ledger import Books
from gridbot.core.numbers import ZERO, plain
from gridbot.core.orders import LiveOrder, Registry, client_id_text
from gridbot.core.records import (
    Ack,
    AmendRequest,
    Balance,
    Changes,
    Event,
    Fees,
    Instrument,
    OrderRequest,
    Severity,
    StepInput,
    TradeId,
)
from gridbot.core.settings import Settings, fee_floor_pct, settings_from_plain
from gridbot.core.slot import Slot, Waiting, next_wake
from gridbot.core.wakes import NEVER, NEXT_TICK, Wake, WakeHeaps

CORE_VERSION = 4
# What a halt may be for; the text of one begins with it.
HALT_REASONS = (
    "journal or ledger", "credentials refused", "an execution cannot be booked", "pair delisted",
    "operator",
)  # fmt: skip
RunState = Literal["running", "paused", "draining", "halted"]
NO_BALANCE = Balance(ZERO)


class StepOutputs(msgspec.Struct):
    """What the shell must do after a step: ledger lines first, then orders, then tell people."""

    places: list[OrderRequest] = []
    amends: list[AmendRequest] = []
    cancels: list[str] = []
    lines: list[bytes] = []
    events: list[Event] = []
    acks: list[Ack] = []


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
    partials_cancelled: int = 0


class Brain:
    """All state of one trading instance. Only ``step`` changes it."""

    def __init__(
        self, settings: Settings, instrument: Instrument, fees: Fees, instance: str
    ) -> None:
        self.settings = self.configured = settings
        self.instrument, self.fees, self.instance = instrument, fees, instance
        self.seq = self.foreign_orders = 0
        self.now = self.started_at = self.price_at = self.paused_at = 0.0
        self.price: Decimal | None = None
        self.bid = self.ask = ZERO
        self.price_lost = self.spread_wide = False
        self.disk = "ok"
        self.run_state: RunState = "running"
        self.state_reason = self.risk_reason = self.trouble = ""
        self.slots: dict[int, Slot] = {}
        self.cycle_slots = 0
        self.removing: set[int] = set()
        self.archived: list[dict[str, Any]] = []
        self.next_slot_id = self.next_order_number = self.next_event_id = 1
        self.counters = Counters()
        self.acked: dict[str, Ack] = {}
        self.balances: dict[str, Balance] = {}
        self.drift: dict[str, Decimal] = {}
        self.drift_noted: dict[str, Decimal] = {}
        self.rows_seen: list[str] = []
        self.unsettled: dict[str, account.Gap] = {}
        self.fee_in_base = settings.run.mode == "sim" and settings.sim.fee_asset == "base"
        self.registry = Registry(fees.maker_pct, self.fee_in_base)
        self.books = Books(instrument.cost_decimals, instrument.volume_decimals)
        self.wakes = WakeHeaps()
        self.pools: dict[tuple[int, TradeId], Waiting] = {}
        self.write_offs: list[str] = []
        self.written_off_base = self.written_off_cost = ZERO
        self.exits, self.governor, self.risk = Exits(), governor.GovernorState(), risk.RiskState()
        self.governor_at: float | None = None  # None: time alone changes nothing
        self.auto_slots = 0
        self.best_profit = ZERO
        self.deliver_all = self.closing = False
        self._bounds = NEVER
        self._forget_step()

    def _forget_step(self) -> None:
        self.out = StepOutputs()
        self.due: set[int] = set()
        self.wanting: list[tuple[float, int, TradeId]] = []
        self.refreshes: list[LiveOrder] = []
        self.recheck = self.freed_inventory = False

    def step(self, step: StepInput) -> StepOutputs:
        """Apply one step and return what is to be done."""
        self._forget_step()
        self.seq, self.now = step.seq, step.at
        self.counters.steps += 1
        guarded = self.settings.risk != risk.NO_LIMITS
        if guarded:
            risk.begin_step(self)
        if step.changes is not None:
            self._apply_changes(step.changes)
        reports.apply(self, step)
        if step.price is not None:
            self.price, self.price_at = step.price, step.at
            self.bid = step.price if step.bid is None else step.bid
            self.ask = step.price if step.ask is None else step.ask
        self.exits.see(self.now, step.price, self.settings.governor.window_sec)
        for command in step.commands:
            lifecycle.obey(self, command)
        if step.recommendations:
            advice.hear(self, step.recommendations)
        if self.deliver_all:
            self.due.update(self.slots)
        self.due |= self.wakes.due(None if self.price is None else float(self.price), self.now)
        trading.run_due_slots(self, step)
        placing.settle(self)
        if guarded:
            risk.check(self)
        if self.books.lines or self.recheck:
            lifecycle.grow(self)
        if self.exits.news or self.recheck or self.now >= (self.governor_at or inf):
            governor.run(self)
        if self.closing:
            self.closing = closing.follow_market(self)
        placing.run(self)
        self._rearm()
        self.out.lines = self.books.take_lines()
        self.counters.open_orders_max = max(self.counters.open_orders_max, self.registry.resting)
        return self.out

    def _apply_changes(self, changes: Changes) -> None:
        if changes.instrument is not None:
            was, now = self.instrument, changes.instrument
            if now.min_volume > was.min_volume or now.min_cost > was.min_cost:
                for slot in self.slots.values():
                    slot.rules_raised = True
            self.instrument, self.recheck = now, True
        if changes.settings is not None:
            self.settings = self.configured = settings_from_plain(changes.settings)
            self.recheck = True
            target = self.settings.grid.profit_pct
            for slot in self.slots.values():
                slot.state = msgspec.structs.replace(slot.state, profit_pct_runtime=target)
        if changes.fees is not None:
            self.fees, self.recheck = changes.fees, True
            self.registry.set_fee(self.fees.maker_pct, self.fee_in_base)
            self.emit("fees_changed", "warn", maker_pct=plain(self.fees.maker_pct))
        for name in ("price_lost", "spread_wide", "disk", "foreign_orders", "trouble"):
            value = getattr(changes, name)
            if value is not None and value != getattr(self, name):
                setattr(self, name, value)
                self.recheck = True
                if name == "price_lost":
                    self.emit("price_lost" if value else "price_back", "warn")
                elif name == "trouble" and value:
                    self.emit("exchange_error", "warn", text=value)
                elif name == "trouble":
                    self.emit("exchange_back", "good")
        if changes.order_number is not None:
            self.adopt_counter(changes.order_number)
        if changes.halt is not None:
            self.halt(changes.halt)
        for slot in self.slots.values():
            self.configure(slot)
        self.due.update(self.slots)

    def rearm_all(self) -> None:
        """Compute every slot's wake anew, after loading a state."""
        self.due = set(self.slots)
        self._rearm()

    def _rearm(self) -> None:
        for slot_id in self.due:
            slot = self.slots.get(slot_id)
            if slot is None:
                self.wakes.disarm(slot_id)
            elif slot.quarantined:
                self.wakes.arm(slot_id, NEVER)
            else:
                frozen = self.is_frozen(slot)
                wake, slot.timer_at = next_wake(slot, self.settings, frozen, self.registry)
                self.wakes.arm(slot_id, wake)
        down, up, at = NEVER if self.price_lost else self.wakes.bounds()
        orders, wait = self.registry, self.settings.grid.partial_wait_sec
        if orders.wanted or orders.unknown or orders.cancelling or orders.partial:
            times = [one.retry_at for one in orders.wanted.values() if self.may_place(one)]
            times += [one.lookup_at for one in orders.unknown.values()]
            times += [one.retry_at for one in orders.cancelling.values() if one.retry_at]
            parts = orders.partial.values()
            times += [one.partial_since + wait for one in parts if self.may_cut(one)]
            at = min([at, *times])
        if not self.price_lost:
            down, up = self.exits.tighten(down, up, self.now)
            if self.settings.risk != risk.NO_LIMITS:
                risk_down, risk_up = risk.bounds(self)
                down, up = max(down, risk_down), min(up, risk_up)
        at = at if self.governor_at is None else min(at, self.governor_at)
        self._bounds = Wake(down, up, at)

    def bounds(self) -> Wake:
        """Prices and time up to which nothing can happen; the shell need not deliver before."""
        return NEXT_TICK if self.deliver_all or self.closing else self._bounds

    def may_place(self, live: LiveOrder) -> bool:
        """A wanted exit that only waits for its time."""
        kept = live.parked or live.role == "recovery" or live.slot_id in self.removing
        return not kept and self.run_state != "halted"

    def may_cut(self, live: LiveOrder) -> bool:
        """A part-filled entry whose rest only waits for its time."""
        resting = live.standing == "open" and not live.amending
        return resting and not self.is_frozen(self.slots[live.slot_id])

    @property
    def fee_floor_pct(self) -> Decimal:
        """Smallest profit target that still earns, percent of entry value."""
        return fee_floor_pct(self.fees.maker_pct, self.settings.fees.min_profit_margin_pct)

    @property
    def work_bank(self) -> WorkBank:
        """The work bank now."""
        sticky = len(self.slots) - self.cycle_slots
        return work_bank(self.settings, self.orders_used, sticky, self.cycle_slots)

    @property
    def orders_used(self) -> int:
        """Open orders on the pair, ours and others', as far as we know."""
        return self.registry.resting + self.foreign_orders

    @property
    def has_room(self) -> bool:
        """Entries stop at the effective cap, counting exits that are still to be placed."""
        return self.orders_used + len(self.registry.wanted) < effective_cap(self.settings)

    def unbooked(self, asset: str) -> Decimal:
        """What is there to spend beyond the books: what nothing explains, less what orders that
        are not ours hold."""
        return self.drift.get(asset, ZERO) - self.balances.get(asset, NO_BALANCE).foreign

    def is_frozen(self, slot: Slot) -> bool:
        """Neither refreshes nor deadlines run for this slot."""
        stopped = slot.paused_at is not None or slot.removing or bool(slot.quarantined)
        return stopped or self.run_state in ("paused", "halted") or bool(self.risk_reason)

    @property
    def stands_still(self) -> bool:
        """Paused, halted or stopped by a risk limit: no deadline of any slot runs."""
        return self.run_state in ("paused", "halted") or bool(self.risk_reason)

    def stand_still(self) -> None:
        """From now on, unless it does already; called before the reason is noted."""
        if not self.stands_still:
            self.paused_at = self.now

    def look_again(self, slot: Slot | None = None) -> None:
        """All that waits is tried again in this step; the slot, or every one, wakes."""
        self.recheck = True
        self.due.update(self.slots if slot is None else (slot.id,))

    def count_kinds(self) -> None:
        """Slots came, went or changed kind."""
        self.cycle_slots = sum(slot.kind == "cycle" for slot in self.slots.values())
        self.exits.news = True

    def configure(self, slot: Slot) -> None:
        """Anything that the reducer's configuration of a slot depends on has changed."""
        slot.configure(self.settings, self.instrument, self.fees.maker_pct)

    def next_client_id(self) -> str:
        """A client id never used before by this instance."""
        self.next_order_number += 1
        return client_id_text(self.instance, self.next_order_number - 1)

    def adopt_counter(self, number: int) -> None:
        """Go on above this order number: the account has seen it, a restored backup has not."""
        self.next_order_number = max(self.next_order_number, number + 1)

    def emit(
        self, kind: str, severity: Severity, slot: int | None = None, trade: TradeId | None = None,
        order: str | None = None, **data: Any,
    ) -> None:  # fmt: skip
        """Note that something happened, for people to see."""
        event = Event(self.next_event_id, self.now, kind, severity, slot, trade, order, data)
        self.out.events.append(event)
        self.next_event_id += 1

    def tell(self, live: LiveOrder, kind: str, severity: Severity, **data: Any) -> None:
        """Note that something happened to one of our orders."""
        self.emit(kind, severity, live.slot_id, live.trade_id, live.client_id, **data)

    def halt(self, reason: str) -> None:
        """Stop trading: fills are still booked, nothing is placed until an operator resumes.
        ``reason`` is one of HALT_REASONS, alone or before a colon."""
        assert reason.partition(":")[0] in HALT_REASONS, f"no reason to halt: {reason}"
        if self.run_state != "halted":
            self.stand_still()
            self.run_state, self.state_reason = "halted", reason
            self.recheck = True
            self.emit("halted", "bad", reason=reason)

    def outputs_digest(self) -> int:
        """What the next journal record vouches for: the orders and the head of the books."""
        sent: list[OrderRequest | AmendRequest] = [*self.out.places, *self.out.amends]
        orders = [f"{one.client_id}{one.price}{one.volume}" for one in sent]
        text = "|".join([self.books.head_hash, *orders, *self.out.cancels])
        return zlib.crc32(text.encode())
