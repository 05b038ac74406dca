"""The work bank: how many orders and slots the pair's open-order limit allows.

Capacity is reserved when a slot is created (2 orders sticky, 4 cycle). Bands gate growth only; a
standing slot's entries stop at the effective cap, and exits may use the reserve above it.
"""

from typing import Literal

import msgspec

from gridbot.core.settings import Settings, open_orders_limit

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


def effective_cap(settings: Settings) -> int:
    """Orders we allow ourselves: the pair's limit times the safety ratio, rounded down."""
    return int(open_orders_limit(settings) * settings.capacity.open_order_safety_ratio)


def work_bank(settings: Settings, used: int, sticky_slots: int, cycle_slots: int) -> WorkBank:
    """The work bank for this many slots and orders (architecture: 84/0, 70/7 … 0/42 at 225)."""
    limit, cap, bands = open_orders_limit(settings), effective_cap(settings), settings.capacity
    headroom, (per_sticky, per_cycle) = cap - used, ORDERS_RESERVED.values()
    band: Band = "caution" if headroom <= bands.caution_headroom else "normal"
    if headroom <= bands.stop_headroom:
        band = "stop"
    sticky, cycle = per_sticky * sticky_slots, per_cycle * cycle_slots
    free = max(cap - max(sticky + cycle, used), 0)
    room = free // per_sticky, free // per_cycle
    return WorkBank(limit, cap, used, headroom, band, sticky, cycle, *room)
