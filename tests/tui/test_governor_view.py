"""The governor view: pressure and its parts, bands, suggestions, what one more slot would mean."""

from decimal import Decimal as D

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.core.settings import GovernorSettings, Settings
from gridbot.engine.actions import CommandError
from gridbot.engine.status import Status
from gridbot.tui.cells import TO_ASCII
from gridbot.tui.charts import UP, area, bar, history, spark
from gridbot.tui.views.governor import GovernorBody

from .drawn import (
    GOVERNOR,
    ODDS,
    check_size,
    full,
    opened,
    pasts,
    pictures,
    shares,
    shown,
    sizes,
    suggestion,
)
from .pictures import NOW, slot, status, text_of

HOUR = [(NOW - 60 * minutes, 0.5 - minutes / 200) for minutes in range(60, 0, -1)]


def body_of(picture: Status | None, settings: Settings | None = None) -> GovernorBody:
    body = opened("governor", picture, HOUR, settings=settings)
    assert isinstance(body, GovernorBody)
    return body


@given(st.none() | pictures(), sizes, pasts, st.integers(-2, 6))
@settings(max_examples=60, deadline=None)
def test_any_status_is_drawn_within_any_size(
    picture: Status | None, size: tuple[int, int], past: list[tuple[float, float]], rows: int
) -> None:
    body = opened("governor", picture, list(past))
    assert isinstance(body, GovernorBody)
    check_size(body, *size)
    body.do_move(1, rows)
    body.do_page(1)
    check_size(body, *size)


def test_the_widget_tells_counts_pressure_with_its_parts_and_headroom() -> None:
    text = shown(body_of(full()))
    for part in (
        "Sticky: 9 slots    Cycle: 3 slots", "Orphan pressure: 0.38 [█████░░░░░░░░] 38%  moderate",
        "backlog 0.00   flow 0.38", "Headroom: 141 orders (84%)", "mode: suggest",
        "Suggestion: slot 4 delta cycle to sticky", "next by time in 27s", "» moderate", "« now",
    ):  # fmt: skip
        assert part in text, part


def test_few_data_and_no_cycle_slots_are_said() -> None:
    few = full(governor=GOVERNOR | {"few_data": True, "flow": 0.0})
    assert "backlog 0.00   flow 0.00   few data (under 10 exits)" in shown(body_of(few))
    sticky = replace(full(), slots=(slot(1), slot(2)))
    assert "no cycle slots: pressure is 0 by definition" in shown(body_of(sticky))


def test_off_by_config_and_off_by_mode_are_different() -> None:
    off = full(governor=GOVERNOR | {"mode": "off"})
    config = Settings(governor=GovernorSettings(enabled=False))
    assert "governor off in config" in shown(body_of(off, config))
    assert "watches, says nothing" in shown(body_of(off))


def test_before_the_first_picture_there_are_dashes() -> None:
    text = shown(body_of(None), 80, 18)
    assert "Orphan pressure   -" in text and "0.0" not in text
    bare = shown(body_of(status()))
    assert "written off -" in bare and "shadow      -" in bare  # told by no status so far


@pytest.mark.parametrize(
    ("pressure", "band", "column"),
    [(0.0, "healthy", 0), (0.3, "moderate", 16), (1.0, "critical", 48)],
)
def test_the_policy_scale_points_to_the_pressure(pressure: float, band: str, column: int) -> None:
    body = body_of(full(governor=GOVERNOR | {"pressure": pressure, "band": band}))
    _, scale, point, *names = [text_of(line) for line in body._policy(54, 8)]
    now = next(one for one in names if one.startswith("»"))
    assert scale.count("┼") == 3 and now.split()[1] == band
    assert point.index("▲") == column


def test_a_scale_with_no_room_for_a_name_leaves_it_out() -> None:
    body = body_of(full(governor=GOVERNOR | {"high": D("0.06"), "crit": D("0.07")}))
    first, scale, *_ = [text_of(line) for line in body._policy(54, 8)]
    assert " critical " in scale and "healthy" not in scale
    assert "0.0" in first and "1.0" in first and "0.060.07" not in first


def test_suggestions_say_what_why_since_when_and_what_it_changes() -> None:
    body = body_of(full())
    text = shown(body, 200, 44)
    for part in (
        "Suggestions, 1 pending", "slot 4 delta cycle to sticky  orphan pressure 0.63 is elevated",
        "◆ 50m left", "· dismissed", "slots 2, 3 sticky to cycle", "· expired",
        "#7 by governor: reserved orders 30 -> 28 of 168",
    ):  # fmt: skip
        assert part in text, part


def test_the_cursor_keeps_its_suggestion_when_another_comes() -> None:
    body = body_of(full())
    body.do_move(1)
    assert body.selected_suggestion == 6
    more = (suggestion(8, "pending", "cycle", 1), *GOVERNOR["suggestions"])
    body.view.take(full(seq=9, governor=GOVERNOR | {"suggestions": more}), NOW)
    body.tick()
    assert body.selected_suggestion == 6 and body.row == 2
    body.do_last()
    assert body.selected_suggestion == 3
    assert body.do_detail() == "slot 2 is selected; gs shows it" and body.view.selected == 2
    assert body.do_copy("row") == "suggestion 3 copied" and "expired" in body.view.clipboard


def test_without_suggestions_there_is_nothing_to_select() -> None:
    body = body_of(full(governor=GOVERNOR | {"suggestions": ()}))
    assert body.selected_suggestion is None and "none yet" in shown(body)
    with pytest.raises(CommandError, match="E51"):
        body.do_detail()
    body = body_of(
        full(governor=GOVERNOR | {"suggestions": (suggestion(1, "pending", "sticky", 99),)})
    )
    with pytest.raises(CommandError, match="E30: slot 99 is gone"):
        body.do_detail()


def test_what_if_counts_orders_and_warns_where_no_slot_fits() -> None:
    text = shown(body_of(full()))
    assert "+1 sticky   cap 29/168  headroom 139  NORMAL" in text
    assert "+1 cycle    cap 31/168  headroom 137  NORMAL" in text
    assert "max more    69 sticky or 34 cycle" in text
    bank = replace(full().capacity, used=147, headroom=21, room_cycle=0, room_sticky=1)
    text = shown(body_of(full(capacity=bank)))
    assert "headroom 19  CAUTION" in text and "+1 cycle    no room in the work bank" in text
    text = shown(body_of(full(slots=84)), 120, 40)
    assert text.count("no: 84 slots are the most") == 2


def test_rates_shadow_auto_slots_and_odds_are_shown() -> None:
    text = shown(body_of(full()), 200, 44)
    for part in (
        "written off 0.8 an hour cost -0.310 in 6h00", "orphaned    1.2 an hour",
        "58% of 12 orphans would have filled, 1h20 late", "1 added of 5  next at 10.000 USD",
        "plugins     none enabled", "▲ CYCLE SLOTS LOSE MONEY HERE", ODDS.text[:60],
    ):  # fmt: skip
        assert part in text, part
    waiting = {"shadow": {"share": None, "followed": 3, "reached": 1}, "odds": None}
    text = shown(body_of(full(governor=GOVERNOR | waiting)))
    assert "1 of 3 orphans reached, 24 h not over" in text
    assert "worked out hourly" in text


def test_a_status_from_json_is_drawn_like_one_from_memory() -> None:
    far = msgspec.json.decode(msgspec.json.encode(full()), type=Status)
    assert shown(body_of(far), 160, 44) == shown(body_of(full()), 160, 44)


def test_what_is_no_governor_is_no_crash() -> None:
    body = body_of(full(governor=GOVERNOR | {"pressure": "much"}, fill_health={"ages": 3}))
    assert "Orphan pressure   -" in shown(body)


def test_it_can_be_read_without_colour_and_in_ascii() -> None:
    text = shown(body_of(full()), 200, 50)
    assert text.translate(TO_ASCII).isascii()


# --- charts -----------------------------------------------------------------------------------


@given(shares, st.integers(0, 60))
def test_a_bar_is_as_wide_as_asked_and_shows_what_is_not_nothing(share: float, width: int) -> None:
    text = bar(share, width)
    assert len(text) == width
    assert (text.strip("░") == "") == (share == 0 or width == 0)
    assert (text == "█" * width) == (round(share * width * 8) == width * 8)


@given(st.lists(st.none() | shares, max_size=20), st.integers(1, 9))
def test_an_area_stands_on_its_foot_and_leaves_gaps_open(
    values: list[float | None], height: int
) -> None:
    rows = area(values, height, 0.0, 1.0)
    assert len(rows) == height and {len(row) for row in rows} == {len(values)}
    for i, value in enumerate(values):
        column = "".join(row[i] for row in reversed(rows))
        assert (column.strip() == "") == (value is None)
        eighths = sum(UP.index(one) for one in column)
        assert value is None or eighths == max(round(value * height * 8), 1)


def test_a_spark_is_one_row() -> None:
    assert spark([0.0, 0.5, 1.0, None], 0.0, 1.0) == "▁▄█ "


@given(pasts, st.integers(2, 120))
def test_columns_of_a_history_hold_every_minute_once(
    past: list[tuple[float, float]], width: int
) -> None:
    found = history(past, width, sum)
    if not past:
        assert found is None
        return
    assert found is not None and len(found.values) == width and found.values[-1] is not None
    assert sum(one or 0.0 for one in found.values) == pytest.approx(sum(one for _, one in past))


def test_columns_keep_their_minutes_as_time_goes_on() -> None:
    whole = history(HOUR, 20, max)
    less = history(HOUR[:-1], 20, max)
    assert whole is not None and less is not None and whole.minutes == less.minutes
    common = [one for one in less.values[:-1] if one is not None][1:]
    assert str(common)[1:-1] in str(whole.values)
