"""The work bank: how many orders and slots the pair's open-order limit allows.

Capacity is reserved when a slot is created (2 orders sticky, 4 cycle). Bands gate growth only; a
standing slot's entries stop at the effective cap, and exits may use the reserve above it.
"""

from decimal import Decimal
from typing import Literal

import msgspec

from gridbot.core.settings import CapacitySettings

Kind = Literal["sticky", "cycle"]
Band = Literal["normal", "caution", "stop"]
ORDERS_RESERVED = {"sticky": 2, "cycle": 4}


class WorkBank(msgspec.Struct, frozen=True):
    """The bank's figures at one moment, all counted in orders or slots."""

    limit: int
    cap: int
    used: int
    headroom: int
    band: Band
    reserved_sticky: int
    reserved_cycle: int
    room_sticky: int
    room_cycle: int


def effective_cap(limit: int, safety_ratio: Decimal) -> int:
    """Orders we allow ourselves: the limit times the safety ratio, rounded down."""
    return int(limit * safety_ratio)


def work_bank(
    limit: int, used: int, sticky_slots: int, cycle_slots: int, settings: CapacitySettings
) -> WorkBank:
    """The work bank for this many slots and orders (architecture: 84/0, 70/7 … 0/42 at 225)."""
    cap = effective_cap(limit, settings.open_order_safety_ratio)
    headroom, (per_sticky, per_cycle) = cap - used, ORDERS_RESERVED.values()
    band: Band = "caution" if headroom <= settings.caution_headroom else "normal"
    if headroom <= settings.stop_headroom:
        band = "stop"
    sticky, cycle = per_sticky * sticky_slots, per_cycle * cycle_slots
    free = max(cap - max(sticky + cycle, used), 0)
    room = free // per_sticky, free // per_cycle
    return WorkBank(limit, cap, used, headroom, band, sticky, cycle, *room)
