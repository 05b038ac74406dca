"""Open positions, inventory and slot accounts: what the ledger's rows mean.

Both the writer of the books and their verification use this one model, so a row is understood in
the same way twice. Rules it keeps:

- A position is (slot, trade, cycle): long for trade B, short for A, with the volume still open,
  its cost and its entry fee in quote. Entries add; a closed part takes cost and fee in proportion,
  rounded half-even to ``cost_decimals``; closing the last volume takes whatever is left.
- Inventory is the base that belongs to no position (base balance - open longs + open shorts).
  Whatever enters or leaves it does so at the price of that moment, so no result is made by moving.
- A fee charged in base counts as a fee at its fill's price. A purchase opens only what is left
  after it, floored to ``volume_decimals``; every other fill pays its base fee out of inventory.
- Dust too small for an exit is set aside as a lot and joined to a later position of its trade.
- ``gap`` is exactly zero at every price, or the books are wrong. Remainders of a division therefore
  always go to a balancing item; nothing is lost in rounding.
"""

from decimal import Decimal

import msgspec
from msgspec.structs import replace

from gridbot.core.numbers import ZERO, round_down, round_half_even
from gridbot.core.records import Record, Role, Side, TradeId


class NoPosition(LookupError):
    """Asked to close, set aside or join a position that is not open; the message names it."""


class FillPart(Record, frozen=True):
    """One difference of an order's cumulative figures: what was executed since the last booking.
    ``executed``, ``cost`` and ``fee`` are differences, ``executed_total`` is cumulative.
    ``last``: the order is filled in full, so an exit closes its position whatever a last sliver
    was short of. Leave it False for an order cancelled with a rest that stays open."""

    slot_id: int
    trade_id: TradeId
    cycle: int
    role: Role
    side: Side
    client_id: str
    txid: str
    order_local_id: int
    price: Decimal
    executed: Decimal
    cost: Decimal
    fee: Decimal
    fee_asset_is_base: bool
    executed_total: Decimal
    last: bool
    trade_ids: tuple[str, ...] = ()


def fill_side(trade_id: str, role: str) -> Side:
    """The side that orders of this role have in this trade."""
    return "buy" if (trade_id == "B") is (role == "entry") else "sell"


class Position(Record, frozen=True):
    """What is open of one cycle; ``cost`` and ``fee`` in quote.
    ``executed``, ``spent`` and ``fee_base`` sum all its entry executions, closed parts included.
    ``lots``: cycles whose dust has joined since the last closing row."""

    slot_id: int
    trade_id: TradeId
    cycle: int
    volume: Decimal = ZERO
    cost: Decimal = ZERO
    fee: Decimal = ZERO
    executed: Decimal = ZERO
    spent: Decimal = ZERO
    fee_base: Decimal = ZERO
    lots: tuple[int, ...] = ()
    aside: bool = False

    def unrealised(self, price: Decimal) -> Decimal:
        """Result in quote if all of it were closed at ``price`` without a further fee."""
        gain = price * self.volume - self.cost
        return (gain if self.trade_id == "B" else -gain) - self.fee


class SlotAccount(Record, frozen=True):
    """Booked results in quote. ``realised`` is net of fees and includes ``recovery``."""

    realised: Decimal = ZERO
    write_offs: Decimal = ZERO
    fees: Decimal = ZERO
    recovery: Decimal = ZERO
    round_trips: int = 0

    def __add__(self, other: "SlotAccount") -> "SlotAccount":
        return SlotAccount(
            self.realised + other.realised, self.write_offs + other.write_offs,
            self.fees + other.fees, self.recovery + other.recovery,
            self.round_trips + other.round_trips,
        )  # fmt: skip


_SUMMED = ("volume", "cost", "fee")  # what lots bring into a position


class Positions(msgspec.Struct):
    """All open positions, the inventory and the accounts of one engine; money in quote."""

    cost_decimals: int
    volume_decimals: int
    open: dict[int, dict[str, Position]] = {}
    accounts: dict[int, SlotAccount] = {}
    total: SlotAccount = SlotAccount()
    inventory_units: Decimal = ZERO
    inventory_cost: Decimal = ZERO
    opening_worth: Decimal = ZERO
    external_worth: Decimal = ZERO

    def position(self, slot_id: int, trade_id: str, cycle: int) -> Position | None:
        """The open position of this cycle, if there is one."""
        return self.open.get(slot_id, {}).get(f"{trade_id}{cycle}")

    def of_slot(self, slot_id: int) -> list[Position]:
        """The open positions of a slot by trade and cycle, lots included."""
        return sorted(self.open.get(slot_id, {}).values(), key=lambda p: (p.trade_id, p.cycle))

    def account(self, slot_id: int) -> SlotAccount:
        """The booked results of a slot."""
        return self.accounts.get(slot_id) or SlotAccount()

    def unrealised(self, slot_id: int, price: Decimal) -> Decimal:
        """Result in quote of the slot's open positions at ``price``."""
        return sum((p.unrealised(price) for p in self.of_slot(slot_id)), ZERO)

    def known_worth(self, price: Decimal) -> Decimal:
        """All that is explained without the open positions: paid in, realised, inventory."""
        paid_in, booked = self.opening_worth + self.external_worth, self.total
        inventory = self.inventory_units * price - self.inventory_cost
        return paid_in + booked.realised + booked.write_offs + inventory

    def gap(self, quote: Decimal, base: Decimal, price: Decimal) -> Decimal:
        """Worth of these balances at ``price`` minus all that explains it: zero, exactly."""
        open_result = sum((self.unrealised(slot_id, price) for slot_id in self.open), ZERO)
        return quote + base * price - self.known_worth(price) - open_result

    def enter(self, part: FillPart) -> None:
        """Add an entry execution to its position."""
        key, slot = f"{part.trade_id}{part.cycle}", self.open.setdefault(part.slot_id, {})
        old = slot.get(key) or Position(part.slot_id, part.trade_id, part.cycle)
        volume, cost, fee, fee_base = part.executed, part.cost, part.fee, old.fee_base
        executed, spent = old.executed + volume, old.spent + cost
        if part.fee_asset_is_base and part.trade_id == "A":
            fee = self._fee_from_inventory(part)
        elif part.fee_asset_is_base:
            # The floor applies to the order so far, so each part books the growth of the whole.
            fee_base += part.fee
            before = self._split(old.executed, old.spent, old.fee_base)
            pairs = zip(self._split(executed, spent, fee_base), before, strict=True)
            volume, cost, fee, dust, dust_cost = (new - was for new, was in pairs)
            self._stock(dust, dust_cost)
        slot[key] = Position(
            part.slot_id, part.trade_id, part.cycle, old.volume + volume, old.cost + cost,
            old.fee + fee, executed, spent, fee_base, old.lots, old.aside,
        )  # fmt: skip
        self._credit(part.slot_id, SlotAccount(fees=fee))

    def closing_volume(self, part: FillPart) -> Decimal:
        """How much of its position an exit execution closes; the rest of it is inventory's."""
        position = self.position(part.slot_id, part.trade_id, part.cycle)
        if position is None:
            return ZERO
        return position.volume if part.last else min(part.executed, position.volume)

    def leave(self, part: FillPart, closed: Decimal) -> Decimal:
        """Book an exit execution that closes ``closed``; returns the result net of all fees."""
        cost, entry_fee, done = self._take(part.slot_id, f"{part.trade_id}{part.cycle}", closed)
        sign = 1 if part.trade_id == "B" else -1
        value, fee = part.cost, part.fee
        if closed != part.executed:
            missing = closed - part.executed
            price_of_missing = self._share(part.cost, missing, part.executed)
            self._stock(sign * missing, sign * price_of_missing)
            value += price_of_missing
        if part.fee_asset_is_base:
            fee = self._fee_from_inventory(part)
        realised = sign * (value - cost) - entry_fee - fee
        recovery = realised if part.role == "recovery" else ZERO
        self._credit(part.slot_id, SlotAccount(realised, ZERO, fee, recovery, done))
        return realised

    def write_off(
        self, slot_id: int, trade_id: str, cycle: int, price: Decimal
    ) -> tuple[Decimal, Decimal]:
        """Close a position into inventory at ``price``; returns (volume, result in quote)."""
        position = self._need(slot_id, trade_id, cycle)
        del self.open[slot_id][f"{trade_id}{cycle}"]
        sign = 1 if trade_id == "B" else -1
        self._stock(sign * position.volume, sign * position.volume * price)
        result = position.unrealised(price)
        self._credit(slot_id, SlotAccount(write_offs=result))
        return position.volume, result

    def set_aside(self, slot_id: int, trade_id: str, cycle: int) -> None:
        """Make a position too small for an exit a lot: open, but waiting for company."""
        position = self._need(slot_id, trade_id, cycle)
        self.open[slot_id][f"{trade_id}{cycle}"] = replace(position, aside=True)

    def join_lot(
        self, slot_id: int, trade_id: str, cycle: int
    ) -> tuple[Decimal, Decimal | None, Decimal]:
        """Add the trade's lots to this position: (volume, cost per unit, unrounded and None when
        there is no volume at all, entry fee)."""
        slot = self.of_slot(slot_id)
        lots = [p.cycle for p in slot if p.aside and p.trade_id == trade_id and p.cycle != cycle]
        joined = self.merge(slot_id, trade_id, cycle, lots)
        unit_cost = joined.cost / joined.volume if joined.volume else None
        return joined.volume, unit_cost, joined.fee

    def merge(self, slot_id: int, trade_id: str, cycle: int, lots: list[int]) -> Position:
        """Move the positions of the cycles ``lots`` into that of ``cycle``."""
        target = self._need(slot_id, trade_id, cycle)
        slot = self.open[slot_id]
        for lot in [self._need(slot_id, trade_id, lot_cycle) for lot_cycle in lots]:
            del slot[f"{trade_id}{lot.cycle}"]
            sums = {name: getattr(target, name) + getattr(lot, name) for name in _SUMMED}
            target = replace(target, **sums, lots=(*target.lots, *lot.lots, lot.cycle))
        slot[f"{trade_id}{cycle}"] = target = replace(target, aside=False)
        return target

    def opening(self, quote: Decimal, base: Decimal, price: Decimal) -> None:
        """The account as first seen: its base is inventory at ``price``."""
        self.opening_worth += quote + base * price
        self._stock(base, base * price)

    def external(self, quote: Decimal, base: Decimal, price: Decimal) -> None:
        """Signed amounts moved by others (deposit, withdrawal, manual trade), base at ``price``."""
        self.external_worth += quote + base * price
        self._stock(base, base * price)

    def rounding(self, quote: Decimal, base: Decimal) -> None:
        """Signed scraps without a price: they change what the inventory has cost."""
        self._stock(base, -quote)

    def _need(self, slot_id: int, trade_id: str, cycle: int) -> Position:
        position = self.position(slot_id, trade_id, cycle)
        if position is None:
            raise NoPosition(f"slot {slot_id} trade {trade_id} cycle {cycle}: no open position")
        return position

    def _take(self, slot_id: int, key: str, closed: Decimal) -> tuple[Decimal, Decimal, int]:
        slot = self.open.get(slot_id, {})
        held = slot.get(key)
        if held is None:
            return ZERO, ZERO, 0
        if closed == held.volume:
            del slot[key]
            return held.cost, held.fee, 1
        cost = self._share(held.cost, closed, held.volume)
        fee = self._share(held.fee, closed, held.volume)
        slot[key] = replace(
            held, volume=held.volume - closed, cost=held.cost - cost, fee=held.fee - fee, lots=()
        )
        return cost, fee, 0

    def _split(self, executed: Decimal, spent: Decimal, fee_base: Decimal) -> tuple[Decimal, ...]:
        """Volume, its cost, fee, dust and its cost of all that a position has bought."""
        if not fee_base:
            return executed, spent, ZERO, ZERO, ZERO
        kept = executed - fee_base
        volume = round_down(kept, self.volume_decimals)
        cost = self._share(spent, volume, executed)
        fee = self._share(spent, fee_base, executed)
        return volume, cost, fee, kept - volume, spent - cost - fee

    def _fee_from_inventory(self, part: FillPart) -> Decimal:
        fee = self._share(part.cost, part.fee, part.executed)
        self._stock(-part.fee, -fee)
        return fee

    def _share(self, amount: Decimal, part: Decimal, whole: Decimal) -> Decimal:
        return round_half_even(amount * part / whole, self.cost_decimals)

    def _stock(self, units: Decimal, cost: Decimal) -> None:
        self.inventory_units += units
        self.inventory_cost += cost

    def _credit(self, slot_id: int, gain: SlotAccount) -> None:
        self.accounts[slot_id] = self.account(slot_id) + gain
        self.total += gain
