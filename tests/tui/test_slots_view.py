"""The slots view: what stands in the table, how it is sorted, filtered, searched, and the pane."""

from collections.abc import Iterator
from decimal import Decimal as D
from time import monotonic, sleep
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.core.settings import Settings
from gridbot.engine.actions import CommandError
from gridbot.engine.runner import Runner
from gridbot.engine.status import Status
from gridbot.tui.cells import GLYPHS, TO_ASCII
from gridbot.tui.controls import Controls
from gridbot.tui.table import SORTABLE, clip, number
from gridbot.tui.views.slots import SlotsBody
from tests.simulation.harness import settings_with

from .drawn import check_size, full, opened, pictures, shown, sizes, words
from .pictures import NOW, StillClient, order, slot, status, text_of


def body_of(picture: Status | None, chosen: int = 8) -> SlotsBody:
    body = opened("slots", picture, chosen=chosen if picture and picture.slots else None)
    assert isinstance(body, SlotsBody)
    return body


def ids(body: SlotsBody) -> list[int]:
    return [one.id for one in body.table.chosen]


@given(st.none() | pictures(), sizes, st.integers(0, 5), words)
@settings(max_examples=60, deadline=None)
def test_any_status_is_drawn_within_any_size(
    picture: Status | None, size: tuple[int, int], steps: int, text: str
) -> None:
    body = body_of(picture)
    check_size(body, *size)
    for _ in range(steps):
        body.do_pane(1)
        body.do_move(1)
        check_size(body, *size)
    if ":" not in text:
        body.do_filter(text)
    body.do_detail()
    body.do_centre()
    check_size(body, *size)


@given(pictures(), st.sampled_from(list(SORTABLE)), st.booleans())
@settings(max_examples=60, deadline=None)
def test_every_column_sorts_and_loses_no_slot(picture: Status, column: str, desc: bool) -> None:
    body = body_of(picture)
    body.do_sort_by(column, desc)
    assert sorted(ids(body)) == sorted(one.id for one in picture.slots)
    known = [one for one in map(SORTABLE[column].key, body.table.chosen) if one is not None]
    assert known == sorted(known, reverse=desc)  # type: ignore[type-var]


def test_sorting_walks_through_the_columns_and_says_which_there_are() -> None:
    body = body_of(status())
    body.do_sort(1)
    assert body.table.sort == "alias" and ids(body)[-2:] == [11, 12]  # without a name: last
    body.do_sort(-2)
    assert body.table.sort == "status" and ids(body)[0] == 9  # the worst first
    body.do_sort_by("prof", "desc")
    body.do_sort_reverse()
    assert "PROFIT↑" in shown(body)
    with pytest.raises(CommandError, match=r'E81: no column "foo" here: id alias k ph profit'):
        body.do_sort_by("foo")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("kind:cycle", [4, 8, 12]), ("kind:c phase:s0 lamp:ok", [4, 8, 12]),
        ("phase:S1", [1, 2, 5, 6, 9, 10]), ("lamp:bad", [9]), ("lamp:wait", [3, 7]),
        ("lamp:warn", [5]), ("HERON", [8]), ("no buy", [3]), ("", list(range(1, 13))),
    ],
)  # fmt: skip
def test_a_filter_keeps_slots_that_fit_every_word(text: str, found: list[int]) -> None:
    body = body_of(status())
    body.do_filter(text)
    assert ids(body) == found


def test_a_filter_that_nothing_fits_says_how_to_drop_it() -> None:
    body = body_of(status())
    body.do_filter("zzz")
    assert "0 of 12 match; F clears" in shown(body, 80, 18)
    assert body.leave() and len(ids(body)) == 12 and not body.leave()
    with pytest.raises(CommandError, match="E82: unknown key lam:; use kind phase lamp"):
        body.do_filter("lam:ok")
    assert len(ids(body)) == 12


def test_moving_follows_the_order_shown_and_comes_back_from_a_hidden_slot() -> None:
    body = body_of(status())
    body.do_sort_by("profit", "desc")
    body.do_last()
    assert body.view.selected == ids(body)[-1]
    body.do_filter("kind:sticky")
    body.view.selected = 4
    body.do_move(1)
    assert body.view.selected in ids(body)
    body.do_last(7)
    assert body.view.selected == 7
    with pytest.raises(CommandError, match="E30: no slot 99"):
        body.do_last(99)


def test_find_goes_on_in_both_directions_and_round_the_end() -> None:
    body = body_of(status(), chosen=5)
    body.do_find("ok")
    seen = [body.view.selected]
    for by in (1, 1, -1):
        body.do_find_next(by)
        seen.append(body.view.selected)
    assert seen == [6, 8, 12, 8]
    with pytest.raises(CommandError, match="E83: not found: foo"):
        body.do_find("foo")
    with pytest.raises(CommandError, match="E83: nothing to find yet"):
        body_of(status()).do_find_next(1)


def test_marks_are_drawn_counted_and_forgotten_with_their_slot() -> None:
    body = body_of(status())
    body.view.marked |= {3, 8, 99}
    body.view.take(status(), NOW)
    body.tick()
    text = shown(body)
    assert body.view.marked == {3, 8} and "2 marked" in text and "marks: 3, 8" in text
    assert "»✓  8 heron" in text and " ✓  3 cedar" in text


def test_the_cursor_in_the_pane_names_the_order_that_close_means() -> None:
    picture = status()
    more = slot(8, recoveries=(order(2, "A", "buy", "recovery", "1"),
                               order(5, "B", "sell", "recovery", "2")))  # fmt: skip
    body = body_of(replace(picture, slots=(*picture.slots[:7], more)))
    assert body.selected_order == body.view.target == "8.2"  # the oldest recovery, without asking
    body.do_pane(1)
    assert "» A 8" in shown(body) and body.view.target == "8.A"
    body.do_pane(1)
    body.do_move(1)
    assert "»8.5" in shown(body).replace("» 8.5", "»8.5") and body.view.target == "8.5"
    body.do_move(9)
    body.do_pane(1)
    assert body.view.target == "" and body.cursor.list == "ledger"
    body.do_pane(1)
    assert body.cursor.list == "slots" and body.selected_order == "8.2"
    body.do_move(-1)
    assert body.selected_order is None  # slot 7 has neither exits nor recoveries


def test_an_entry_is_nothing_to_close() -> None:
    body = body_of(status(), chosen=1)
    body.do_pane(1)
    assert body.selected_order is None
    body.do_move(1)
    assert body.selected_order == "1.B"


def test_what_is_copied_is_the_row_the_cursor_is_on() -> None:
    body = body_of(status())
    assert body.do_copy("row") == "slot 8 copied"
    assert body.view.clipboard.startswith("8\theron\tC\tS0\t+0.410\t")
    assert body.view.clipboard.endswith("\tdue 8m") and "{" not in body.view.clipboard
    body.do_copy("json")
    assert msgspec.json.decode(body.view.clipboard)["alias"] == "heron"
    body.do_pane(1)
    assert body.do_copy("txid") == "O8 copied"
    body.do_pane(-1)
    body.do_pane(-1)
    assert body.do_copy("row") == "ledger entry 8813 copied"


def test_the_pane_opens_as_the_width_suggests_or_as_asked() -> None:
    body = body_of(status())
    assert "RECOVERIES  1" in shown(body, 120, 34) and "RECOVERIES  1" not in shown(body, 80, 18)
    body.do_detail()
    assert "RECOVERIES  1" in shown(body, 80, 24)
    assert body.leave() and "RECOVERIES  1" not in shown(body, 80, 24)
    assert "8.2 buy recovery 0.088860 -2.60%" in shown(body, 80, 18)  # the summary instead


@pytest.mark.parametrize("size", [(80, 12), (80, 17), (60, 12), (110, 20), (120, 34)])
def test_the_cursor_of_the_pane_is_always_in_sight(size: tuple[int, int]) -> None:
    body = body_of(status())
    body.draw(*size)
    for listed in ("orders", "recoveries", "ledger"):
        body.do_pane(1)
        body.do_move(9)
        assert body.cursor.list == listed
        runs = [run for row in body.draw(*size) for run in row if run[0].startswith("»")]
        assert [style for _, style in runs] == ["accent select"] * 2  # the slot's, and the list's


def test_a_filter_moves_the_cursor_to_a_slot_that_is_shown() -> None:
    body = body_of(status(), chosen=7)
    body.do_filter("kind:cycle")
    assert body.view.selected == 8 and body.view.target == "8.2"


def test_the_page_is_what_fits_and_centring_brings_the_slot_to_the_middle() -> None:
    body = body_of(status(slots=84), chosen=40)
    body.draw(80, 24)
    body.do_centre()
    body.draw(80, 24)
    assert body.table.first == 39 - body.table.room // 2
    body.do_page(2)
    assert body.view.selected == 40 + body.table.room // 2 * 2
    body.draw(80, 24)
    body.do_edge("top")
    assert body.view.selected == body.table.chosen[body.table.first].id


def test_a_jam_is_told_of_cycle_slots_and_a_sticky_one_is_calm() -> None:
    late: dict[str, Any] = {"phase": "S2", "deadline_at": NOW + 480, "deadline_seconds": 1800.0}
    rows = (slot(4, **late), slot(3, phase="S2"), slot(8, **late | {"phase": "S1a"}))
    text = shown(body_of(replace(status(), slots=rows), chosen=4), 140, 34)
    assert "▲ jam 73%" in text and "◇ +0.95%" in text and "● due 8m" in text
    assert "timeout 22m of 30m" in text and "73% due in 8m" in text


def test_profit_bars_stand_where_there_is_room_and_only_there() -> None:
    assert "PROFIT PER SLOT" in shown(body_of(status()), 120, 34)
    assert "PROFIT PER SLOT" not in shown(body_of(status()), 80, 18)
    bars = shown(body_of(status(slots=26)), 120, 40).split("PROFIT PER SLOT")[1]
    assert 0 < bars.count("+3.410 ████") < 6 and "-0.590 ███" in bars  # the best and the worst


def test_totals_count_what_is_shown() -> None:
    body = body_of(status())
    assert "+17.920" in shown(body) and "S 9  C 3" in shown(body)
    body.do_filter("kind:cycle")
    assert "+1.230" in shown(body) and "S 0  C 3" in shown(body)


def test_loading_empty_and_gone_are_said() -> None:
    loading = shown(body_of(None), 80, 18)
    assert loading.count("░" * 76) == 5 and "waiting for the first snapshot" in loading
    assert "no slots yet: + adds one" in shown(body_of(status(slots=0)), 80, 18)
    body = body_of(status())
    body.view.now += 40
    assert "picture of 14:22:07, 40s old" in shown(body)
    assert {style for text, style in body.draw(120, 34)[3] if text.strip()} <= {"dim", "accent"}


def test_only_what_changed_is_formatted_again() -> None:
    body, picture = body_of(full()), full()
    before = body.draw(120, 34)
    body.view.take(replace(picture, seq=9, slots=body.view.slots), NOW)
    after = body.draw(120, 34)
    table = body.table._rows
    assert [one is other for one, other in zip(before, after, strict=True)] == [False] * len(after)
    assert before == after
    row = table[1][2]
    body.draw(120, 34)
    assert table[1][2] is row


@given(st.integers(0, 10**12), st.integers(3, 6))
def test_a_count_never_loses_a_digit_unseen(value: int, width: int) -> None:
    text = number(value, width)
    assert len(text) <= width and (text == str(value) or text[-1] in "kMG")


@given(st.text("ab 1,.", max_size=20), st.integers(0, 20))
def test_text_is_never_cut_within_a_figure(text: str, width: int) -> None:
    cut = clip(text, width)
    assert len(cut) <= width
    if cut != text and cut:
        last = cut[:-1].rpartition(" ")[2]
        known = [one.rstrip(",") for one in text.split()]
        assert cut[-1] == "…" and (last in known or not any(map(str.isdigit, last)))


def test_the_view_is_plain_ascii_where_that_is_asked_for() -> None:
    text = shown(body_of(full()), 200, 50)
    assert set(text) - set(GLYPHS) <= set(map(chr, range(32, 127))) | {"\n"}
    assert text.translate(TO_ASCII).isascii()


# --- a real engine ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    settings = settings_with(
        slots={"initial_slots": 8, "initial_sticky_ratio": D("0.25")},
        cycle={"recovery_ttl_sec": 1e6}, sim={"speed": D(3600), "volatility": D("0.5")},
    )  # fmt: skip
    runner = Runner(settings, tmp_path_factory.mktemp("engine") / "data")
    runner.start()
    yield runner
    runner.close()


def test_what_a_real_engine_tells_is_drawn_by_every_view(engine: Runner) -> None:
    until, trips = monotonic() + 15, 0
    while monotonic() < until and trips < 3:
        sleep(0.05)
        picture = engine.status()
        trips = 0 if picture is None else sum(one.round_trips for one in picture.slots)
    assert picture is not None and trips >= 3
    for name in ("slots", "governor", "capacity"):
        body = opened(name, picture, engine.history("headroom"))
        for size in ((60, 12), (80, 18), (120, 34), (200, 44)):
            check_size(body, *size)
    text = "\n".join(text_of(row) for row in body_of(picture, chosen=1).draw(120, 34))
    assert str(picture.slots[0].round_trips) in text


def test_a_slot_that_drops_out_of_the_filter_is_no_longer_the_selected_one() -> None:
    body = body_of(status(), chosen=8)
    body.do_filter("kind:cycle")
    body.view.select(7)
    body.tick()
    assert body.view.selected == 8
    body.do_filter("zzz")
    assert body.view.selected is None and "0 of 12 match" in shown(body)


@pytest.mark.parametrize("key", ["t", "P", "dd", "x", "yy"])
def test_with_every_slot_filtered_away_no_key_acts(key: str) -> None:
    client = StillClient(status())
    controls = Controls(client, Settings(), lambda: NOW)
    controls.tick()
    for one in ("g", "s", ":", *"filter zzz", "Enter", *key):
        controls.press(one)
    controls.tick()
    assert client.sent == [] and controls.question is None
    assert controls.toasts.shown[-1][0][:3] in ("E02", "E30", "E41")
