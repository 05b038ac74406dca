"""The work bank: the specification's table, the bands, and one effective cap for all who ask."""

import pytest

from gridbot.core.capacity import effective_cap, work_bank
from gridbot.core.settings import Settings

SETTINGS = Settings()  # the simulated market's limit of 225, three quarters of it used


@pytest.mark.parametrize(
    ("sticky", "cycle", "orders"),
    [(84, 0, 168), (70, 7, 168), (50, 15, 160), (20, 30, 160), (0, 42, 168)],
)
def test_the_mixes_of_the_specification_fill_the_bank(sticky: int, cycle: int, orders: int) -> None:
    bank = work_bank(SETTINGS, 0, sticky, cycle)
    assert (bank.limit, bank.cap) == (225, 168)
    assert bank.reserved_sticky + bank.reserved_cycle == orders
    assert (bank.room_sticky, bank.room_cycle) == ((168 - orders) // 2, (168 - orders) // 4)


@pytest.mark.parametrize(
    ("used", "band"), [(147, "normal"), (148, "caution"), (157, "caution"), (158, "stop")]
)
def test_bands_follow_the_headroom(used: int, band: str) -> None:
    bank = work_bank(SETTINGS, used, 1, 0)
    assert (bank.headroom, bank.band) == (effective_cap(SETTINGS) - used, band)


def test_orders_beyond_what_is_reserved_take_room_too() -> None:
    assert work_bank(SETTINGS, 160, 10, 0).room_sticky == 4
