"""The capacity view: the bar and its bands, the work bank, fill health, headroom, mixes."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.core.capacity import ORDERS_RESERVED, work_bank
from gridbot.core.settings import Settings
from gridbot.engine.actions import CommandError
from gridbot.engine.status import Status
from gridbot.tui.cells import TO_ASCII, length
from gridbot.tui.views.capacity import CapacityBody, mixes

from .drawn import check_size, full, opened, pasts, pictures, shown, sizes
from .pictures import NOW, slot, status, text_of

DAY = [(NOW - 60 * minutes, 168.0 - minutes / 20) for minutes in range(1440, 0, -1)]


def body_of(picture: Status | None) -> CapacityBody:
    body = opened("capacity", picture, DAY)
    assert isinstance(body, CapacityBody)
    return body


@given(st.none() | pictures(), sizes, pasts)
@settings(max_examples=60, deadline=None)
def test_any_status_is_drawn_within_any_size(
    picture: Status | None, size: tuple[int, int], past: list[tuple[float, float]]
) -> None:
    check_size(opened("capacity", picture, list(past)), *size)


@given(st.integers(0, 300), st.integers(0, 90), st.integers(60, 200))
@settings(max_examples=60, deadline=None)
def test_the_bar_is_exactly_as_wide_as_its_room(used: int, sticky: int, width: int) -> None:
    picture = full(capacity=work_bank(Settings(), used, sticky, 3))
    body = body_of(picture)
    assert length(body._bar(picture, width)) == width


def test_every_part_of_the_bar_has_its_own_glyph_and_count() -> None:
    text = shown(body_of(full()))
    for part in (
        "▓ sticky 14", "▒ cycle 6", "◆ recovery 3", "■ other 4", "░ free 141",
        "! caution at 20 left", "× stop at 10 left", "168 safe", "225 limit",
        "27 of 168 used (16%)   headroom 141", "band NORMAL: room to grow",
    ):  # fmt: skip
        assert part in text, part


def test_an_exit_that_still_waits_to_be_placed_takes_no_room() -> None:
    one = slot(1)
    wanted = replace(one.orders[1], exchange_id="", state="wanted")
    picture = full(capacity=work_bank(Settings(), 1, 1, 0))
    picture = replace(picture, slots=(replace(one, orders=(one.orders[0], wanted)),))
    assert "▓ sticky 1 " in shown(body_of(picture))


def test_a_full_house_is_calm_and_says_so() -> None:
    picture = full(capacity=work_bank(Settings(), 168, 84, 0))
    text = shown(body_of(picture))
    assert "band STOP: a full house: no more slots, those there go on" in text
    assert "168 of 168 used (100%)   headroom 0" in text and "░ free 0" in text
    assert "■ bad" not in {style for row in body_of(picture).draw(120, 34) for _, style in row}


def test_the_work_bank_stands_beside_what_slots_really_hold() -> None:
    text = shown(body_of(full()))
    for part in (
        "effective cap       168   = 225 x 0.75", "room for sticky      69   at 2 orders each",
        "room for cycle       34   at 4 orders each",
        "max slots            84   12 in use, 72 free", "reserved cycle       12   really hold 9",
    ):  # fmt: skip
        assert part in text, part


def test_fill_health_tells_waits_partials_counters_and_the_price() -> None:
    body = body_of(full())
    text = shown(body)
    assert "cycle buy       20     11m   2h40     -       -" in text
    assert "cycle sell       0       -      -   10m   0.60%" in text
    assert "0 open ●   1 cancelled" in text and "API calls    14 of 60  ██▍░░░░░░░" in text
    body.view.now += 30
    assert "price age   30s ▲   limit 1m" in shown(body)
    lost = full(price=replace(full().price, stale=True))
    assert "price age   0s ■" in shown(body_of(replace(lost, mode="paper")))
    assert "not counted here" in shown(body_of(full(api={})))


def test_before_the_first_picture_there_are_dashes() -> None:
    text = shown(body_of(None), 80, 24)
    assert "headroom              -" in text and "waiting for the first snapshot" in text
    assert "price age         -" in shown(body_of(status()))  # no fill health told


def test_an_engine_in_trouble_shows_its_own_count_and_says_so() -> None:
    picture = full(mode="live")
    engine = replace(picture.engine, error="timed out")
    text = shown(body_of(replace(picture, engine=engine)))
    assert "▲ Kraken count missing, showing internal count" in text
    assert "counted by Kraken: 23 ours, 4 others'" in shown(body_of(picture))


@given(st.integers(0, 400), st.integers(1, 120))
def test_mixes_fit_the_cap_and_the_slots_and_cannot_grow(cap: int, most: int) -> None:
    found = mixes(cap, most)
    assert len(set(found)) == len(found)
    for sticky, cycle in found:
        left = cap - sticky * ORDERS_RESERVED["sticky"] - cycle * ORDERS_RESERVED["cycle"]
        assert left >= 0 and sticky + cycle <= most
        assert left < ORDERS_RESERVED["sticky"] or sticky + cycle == most


def test_the_mixes_of_the_pro_tier_are_the_known_ones() -> None:
    found = mixes(168, 84)
    assert found[0] == (84, 0) and (70, 7) in found and found[-1] == (0, 42)
    assert "70 S + 7 C = 168" in shown(body_of(full()))


def test_small_screens_drop_what_matters_least_first() -> None:
    body = body_of(full())
    titles = {
        size: [one for one in ("Open orders", "Work bank", "Fill health", "Headroom, last",
                               "Realistic mixes") if f"┌─ {one}" in shown(body, *size)]
        for size in ((120, 34), (80, 24), (60, 12))
    }  # fmt: skip
    assert len(titles[120, 34]) == 5
    assert titles[80, 24][:4] == ["Open orders", "Work bank", "Fill health", "Headroom, last"]
    assert titles[60, 12] == ["Open orders", "Work bank"]


def test_copying_gives_the_counts() -> None:
    body = body_of(full())
    assert body.do_copy() == "capacity copied"
    assert body.view.clipboard.startswith("27 of 168 used (16%)")
    with pytest.raises(CommandError):
        body_of(None).do_copy()


def test_a_status_from_json_is_drawn_like_one_from_memory_and_in_ascii() -> None:
    far = msgspec.json.decode(msgspec.json.encode(full()), type=Status)
    text = shown(body_of(far), 160, 44)
    assert text == shown(body_of(full()), 160, 44)
    assert text.translate(TO_ASCII).isascii()
    assert all(text_of(row) for row in body_of(full()).draw(120, 20))
