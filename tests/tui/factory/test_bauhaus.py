"""The Bauhaus floor holds for every status and size, and moves by time and events only."""

from decimal import Decimal as D
from itertools import chain, pairwise
from unicodedata import east_asian_width

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.core.records import Event
from gridbot.engine.status import OrderStatus, SlotStatus, Status
from gridbot.tui.factory import digits
from gridbot.tui.factory.bauhaus import BauhausFloor
from gridbot.tui.factory.bauhaus_layout import HEIGHT_MIN, WIDTH_MIN, Layout
from gridbot.tui.factory.bauhaus_motion import Slide
from gridbot.tui.factory.bauhaus_still import reading
from gridbot.tui.factory.canvas import Canvas, patches
from gridbot.tui.factory.contract import Floor, Patch, Scene
from gridbot.tui.factory.sprites import STEP_SECONDS
from gridbot.tui.factory.styles import StyleTable
from tests.tui.pictures import NOW, order, slot, status

ROOM = (120, 40)
STATES = ("running", "paused", "draining", "halted", "gone", "waiting")


class Words:
    """Styles that remember their words."""

    def __init__(self, depth: str = "truecolor") -> None:
        self.depth = depth
        self.words: list[str] = []

    def id(self, words: str) -> int:
        if words not in self.words:
            self.words.append(words)
        return self.words.index(words)


STYLES = Words()


def scene(
    picture: Status | None, state: str = "running", age: float = 1.0, chosen: int = 1
) -> Scene:
    return Scene(picture, state, NOW, age, 1, chosen, False)


def calm(count: int = 12, **more: object) -> Status:
    """Slots in their ordinary phases, with client ids of their own."""
    made = []
    for number in range(1, count + 1):
        orders = (
            replace(order(number, "A", "sell", "entry", "0.0915"), client_id=f"a{number}"),
            replace(order(number, "B", "buy", "exit", "0.0905"), client_id=f"b{number}"),
        )
        made.append(slot(number, orders=orders, recoveries=(), kind="sticky"))
    return replace(status(count), slots=tuple(made), alarms=(), **more)


def floor_of(picture: Status | None, size: tuple[int, int] = ROOM, **more: object) -> BauhausFloor:
    floor = BauhausFloor(STYLES)
    floor.resize(*size)
    floor.see(scene(picture, **more), [], 10.0)  # type: ignore[arg-type]
    return floor


def text_of(floor: BauhausFloor, height: int) -> list[str]:
    return ["".join(text for text, _ in floor.row(y)) for y in range(height)]


def cells_of(floor: BauhausFloor, height: int) -> list[list[tuple[str, int]]]:
    return [[(one, style) for text, style in floor.row(y) for one in text] for y in range(height)]


def apply(cells: list[list[tuple[str, int]]], found: list[Patch]) -> None:
    for y, x, style, text in found:
        assert x >= 0 and x + len(text) <= len(cells[y])
        cells[y][x : x + len(text)] = [(one, style) for one in text]


def happened(kind: str, order_id: str | None = None, number: int = 1, **data: object) -> Event:
    return Event(1, NOW, kind, "good", number, "A", order_id, dict(data))


# --- any status, any size -------------------------------------------------------------------

AMOUNTS = st.one_of(
    st.decimals(-1000, 1000, places=3),
    st.sampled_from([D("1e30"), D("-1e30"), D("1e-30"), D(0), D("99999999999.99")]),
)
PRICES = st.one_of(st.decimals("0.01", 90000, places=4), st.sampled_from([D("1e25"), D("1e-9")]))


@st.composite
def orders(draw: st.DrawFn, role: str = "") -> OrderStatus:
    return OrderStatus(
        draw(st.sampled_from("abcdefghij")) + str(draw(st.integers(0, 999))), "", 1,
        draw(st.sampled_from("AB")), draw(st.sampled_from(["sell", "buy"])),
        role or draw(st.sampled_from(["entry", "exit"])), draw(PRICES),
        abs(draw(AMOUNTS)), D(0), NOW, draw(st.sampled_from(["open", "wanted", "unknown"])),
    )  # fmt: skip


@st.composite
def slots(draw: st.DrawFn, number: int) -> SlotStatus:
    return slot(
        number,
        alias=draw(st.sampled_from(["", "heron", "x" * 60, "漢字", "a\nb"])),
        kind=draw(st.sampled_from(["sticky", "cycle"])),
        phase=draw(st.sampled_from(["S0", "S1a", "S1b", "S2", "?"])),
        paused=draw(st.booleans()),
        quarantined=draw(st.sampled_from(["", "broken"])),
        orders=tuple(draw(st.lists(orders(), max_size=3))),
        recoveries=tuple(draw(st.lists(orders("recovery"), max_size=2))),
        realised=draw(AMOUNTS),
    )


@st.composite
def statuses(draw: st.DrawFn) -> Status:
    count = draw(st.one_of(st.integers(0, 12), st.sampled_from([24, 84, 112])))
    kinds = [draw(slots(number)) for number in range(1, min(count, 6) + 1)]
    made = [replace(kinds[i % len(kinds)], id=i * 9 + 1) for i in range(count)]
    base = status(count)
    mid = draw(st.one_of(st.none(), PRICES))
    return replace(
        base, slots=tuple(made), seq=draw(st.integers(0, 9)),
        price=replace(base.price, mid=mid, stale=draw(st.booleans())),
        profit=replace(base.profit, realised=draw(AMOUNTS)),
        pair=replace(base.pair, base=draw(st.sampled_from(["DOGE", "", "漢"]))),
    )  # fmt: skip


PICTURES = st.tuples(st.one_of(statuses(), st.none()), st.sampled_from(STATES))
MOTIONS = st.sampled_from(["full", "eco", "calm", "off"])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(PICTURES, min_size=1, max_size=3),
    st.integers(1, 210),
    st.integers(1, 60),
    st.floats(0, 100),
    MOTIONS,
)
def test_any_status_fits_any_size(
    pictures: list[tuple[Status | None, str]], width: int, height: int, age: float, motion: str
) -> None:
    floor, cells = (
        BauhausFloor(Words("none" if height % 2 else "256")),
        [[("?", -1)] * width] * height,
    )
    floor.motion = motion
    floor.resize(width, height)
    for number, (picture, state) in enumerate(pictures):
        cells = [list(row) for row in cells]
        kinds = (
            "exit_filled",
            "orphaned",
            "written_off",
            "cycle_closed",
            "slot_added",
            "cancelled",
        )
        ids = [one.client_id for each in (picture.slots if picture else ()) for one in each.orders]
        events = [happened(kind, ids[0] if ids else None, net=D("1e20")) for kind in kinds]
        floor.see(scene(picture, state, age, 10), events, 10.0 + number)
        for step in range(5):
            apply(cells, floor.frame(10.0 + number + step * 0.21))
            assert cells == cells_of(floor, height)
    for row in cells:
        assert len(row) == width
        assert all(len(one) == 1 and one.isprintable() for one, _ in row)
        assert not any(east_asian_width(one) in "WF" for one, _ in row)


@given(
    st.integers(0, 112),
    st.integers(WIDTH_MIN, 210),
    st.integers(HEIGHT_MIN, 60),
    st.integers(0, 111),
)
@settings(max_examples=150, deadline=None)
def test_every_slot_has_a_place_of_its_own_or_is_counted(
    count: int, width: int, height: int, chosen: int
) -> None:
    layout = Layout(width, height, count, min(chosen, max(count - 1, 0)))
    boxes = [layout.box(place) for place in range(layout.shown)]
    taken = [
        (x, y) for one in boxes for x in range(one.x, one.x + one.tier.w)
        for y in range(one.y, one.y + one.tier.h)
    ]  # fmt: skip
    assert len(taken) == len(set(taken))
    assert layout.shown + layout.hidden == count
    assert all(0 < x < width - 1 and layout.top <= y < layout.bottom for x, y in taken)
    assert count == 0 or layout.first <= min(chosen, count - 1) < layout.first + layout.shown
    if layout.hidden:
        rest = layout.box(layout.shown)
        assert layout.holds(rest.x, rest.y) and (rest.x, rest.y) not in taken
    if layout.lines <= layout.tier.w + 1:
        assert len({one.anchors for one in boxes}) == len(boxes)


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
@pytest.mark.parametrize("count", [1, 12, 84])
def test_ordinary_sizes_show_every_slot(size: tuple[int, int], count: int) -> None:
    assert Layout(*size, count).hidden == 0


def test_slots_without_a_place_are_counted() -> None:
    floor = floor_of(calm(112), (40, 10))
    floor.frame(10.0)
    hidden = Layout(40, 10, 112).hidden
    assert hidden > 0 and f"+{hidden}" in "".join(text_of(floor, 10))


# --- what the picture says --------------------------------------------------------------------


def test_the_floor_keeps_its_contract() -> None:
    floor: Floor = BauhausFloor(StyleTable("factory-dark"))
    floor.resize(*ROOM)
    assert len(floor.frame(0.0)) >= 40 and "waiting" in text_of(floor, 40)[-1]  # type: ignore[arg-type]


def test_volumes_letters_and_kinds_come_from_the_status() -> None:
    picture = calm(4, pair=replace(status(1).pair, base="ETH", quote="GBP"))
    floor = floor_of(picture)
    floor.frame(10.0)
    rows = text_of(floor, 40)
    assert rows[0].startswith(" SELL 88.00 E ") and rows[0].endswith(" 88.00 E BUY ")
    assert "E" in "".join(rows[3:15]) and "‹$›" in "".join(rows[25:38])
    assert "[S]" in "".join(rows[15:25])


def test_the_gullet_is_thick_on_the_side_with_more_volume() -> None:
    sells, buys = [D(4), D(2)], [D(1), D(2)]
    layout = Layout(*ROOM, 12)
    upper, lower = layout.halves(list(zip(sells, buys, strict=True))[:1])
    assert upper == layout.half_max and layout.half_min < lower < upper
    assert layout.halves([(D(0), D(0))]) == (layout.half_min, layout.half_min)


def test_farther_orders_stand_farther_by_the_square() -> None:
    near, far = (order(1, "A", "sell", "entry", price) for price in ("0.0915", "0.0920"))
    floor = floor_of(replace(calm(1), slots=(slot(1, orders=(near, replace(far, client_id="f"))),)))
    offsets = {one.id: one.offset for one in floor._look.marks}
    assert offsets["f"] > 4 * max(offsets["gb1"], 0) and not floor._look.marks[0].far


@pytest.mark.parametrize("state", ["paused", "halted", "gone"])
def test_a_stopped_bot_cannot_hide(state: str) -> None:
    picture = calm()
    picture = replace(picture, engine=replace(picture.engine, reason="books differ"))
    for size in ((40, 10), (80, 24), ROOM):
        floor = floor_of(picture, size, state=state)
        floor.frame(10.0)
        assert state.upper() in text_of(floor, size[1])[-1]


def test_too_small_a_screen_says_what_matters() -> None:
    floor = floor_of(calm(), (60, 5))
    floor.frame(10.0)
    assert text_of(floor, 5)[0].startswith("● Running  DOGE/USD  0.091234")


@pytest.mark.parametrize(
    ("value", "places", "room", "text"),
    [("41.2", 3, 36, "41.200"), ("-0.22", 2, 36, "-0.22"), ("123456789", 3, 16, "123.5M"),
     ("1e17", 0, 12, "100P"), ("1e40", 0, 36, "-"), ("0", 3, 36, "0.000")],
)  # fmt: skip
def test_the_counter_reads_as_exactly_as_it_can(
    value: str, places: int, room: int, text: str
) -> None:
    assert digits.reading(D(value), places, room) == text


def test_the_counter_is_in_base_units_unless_one_is_worth_a_fortune() -> None:
    cheap = calm()
    dear = replace(cheap, price=replace(cheap.price, mid=D(60000)))
    assert (reading(cheap, D("0.091234")), reading(dear, D(3))) == ("D1.000", "$3.00")


def test_a_digit_lights_its_segments_and_leaves_ghosts() -> None:
    styles = Words()
    canvas = Canvas(3, 3, styles)
    canvas.clear("void on-void")
    digits.draw(canvas, 0, 0, "1", "on-void", ghosts=True)
    lit = styles.words.index("#000000 on#ffffff")
    assert [cell for row in canvas.rows for cell in row if cell[1] == lit] == [("▌", lit)] * 2
    assert sum(glyph != " " for row in canvas.rows for glyph, _ in row) == 7


# --- motion -----------------------------------------------------------------------------------


def lively() -> tuple[Status, list[Event]]:
    """The picture after ``calm(12)`` in which much has happened, and what that was."""
    picture = calm(12, seq=2)
    first, second, *others = picture.slots
    orphan = replace(second.orders[1], role="recovery")
    first = replace(first, orders=(first.orders[0],))
    second = replace(second, orders=(second.orders[0],), recoveries=(orphan,))
    profit = replace(picture.profit, realised=D("50"))
    events = [
        happened("exit_filled", "b1"), happened("orphaned", "b2", 2),
        happened("cycle_closed", None, 1, net=D("8.7")), happened("entry_placed", "a3", 3),
        happened("slot_added", None, 12),
    ]  # fmt: skip
    return replace(picture, slots=(first, second, *others), profit=profit), events


def test_the_same_time_gives_the_same_picture_however_many_frames_were_drawn() -> None:
    pictures = []
    for times in ([21.3], [20.0 + step / 30 for step in range(39)] + [21.3]):
        floor, (picture, events) = floor_of(calm()), lively()
        floor.frame(10.0)
        floor.see(scene(picture, chosen=3), events, 20.0)
        for now in times:
            floor.frame(now)
        pictures.append(cells_of(floor, 40))
    assert pictures[0] == pictures[1]


def moving_rows(**more: object) -> tuple[int, int]:
    """Cells written at once after events, and in the ten seconds after that."""
    floor, (picture, events) = floor_of(calm()), lively()
    floor.frame(10.0)
    floor.see(scene(picture, **more), events, 20.0)  # type: ignore[arg-type]
    found = [floor.frame(20.0 + step / 30) for step in range(300)]
    counts = [sum(len(one.text) for one in each) for each in found]
    return counts[0], sum(counts[1:])


def test_events_move_the_picture() -> None:
    assert moving_rows()[1] > 300


@pytest.mark.parametrize(
    "more",
    [{"age": 75.0}, {"state": "paused"}, {"state": "gone"}, {"state": "halted", "age": 75.0}],
)
def test_nothing_moves_while_nothing_trades(more: dict[str, object]) -> None:
    assert moving_rows(**more)[1] == 0


def test_a_halted_floor_only_blinks_its_frame() -> None:
    assert moving_rows(state="halted")[1] < 1000


def test_motion_off_stands_still_and_calm_leaves_the_ornaments_out() -> None:
    written = {}
    for motion in ("full", "calm", "off"):
        floor = floor_of(calm())
        floor.motion = motion
        floor.frame(10.0)
        written[motion] = sum(len(floor.frame(10.0 + step / 8)) for step in range(1, 80))
    assert written["full"] > 50 and written["calm"] == written["off"] == 0


def test_a_fill_burns_down_its_hairline_and_the_profit_flies_before_it_is_counted() -> None:
    floor, (picture, events) = floor_of(calm()), lively()
    floor.frame(10.0)
    floor.see(scene(picture), events, 20.0)
    shown, counted = [], []
    for step in range(16):
        floor.frame(20.0 + step / 8)
        counted += [floor._still_key[2]] if step in (0, 1, 2, 4, 5, 10, 15) else []
        shown.append("".join(text_of(floor, 40)))
    assert any("┃" in rows[400:] for rows in shown[:4]) and "•" in shown[3]
    assert "+8.700" in shown[8] and "+8.700" not in shown[2] + shown[15]
    assert [reading(calm()) == shown_at for shown_at in counted] == [True] * 5 + [False] * 2
    assert counted[-1] == reading(picture)


def test_a_storm_of_events_keeps_the_queue_and_the_writing_bounded() -> None:
    floor, picture = floor_of(calm(84)), calm(84)
    floor.frame(10.0)
    most = 0
    for second in range(5):
        events = [happened(kind, f"a{n % 84 + 1}", n % 84 + 1, net=D(1))
                  for n in range(400) for kind in ("exit_filled", "cycle_closed")]  # fmt: skip
        floor.see(scene(replace(picture, seq=second + 2)), events, 20.0 + second)
        for step in range(30):
            found = floor.frame(20.0 + second + step / 30)
            most = max(most, sum(len(one.text) + 12 for one in found))
    assert len(floor._effects) <= 60
    assert sum(one.kind == "flight" for one in floor._effects) <= 4
    assert most < 8 * 1024


def test_a_quiet_second_costs_next_to_nothing() -> None:
    floor = floor_of(calm(84))
    floor.frame(10.0)
    found = [floor.frame(10.0 + step / 30) for step in range(1, 91)]
    written = sum(len(one.text) + 12 for each in found for one in each)
    assert sum(not each for each in found) > 70 and written < 3 * 1024


def test_a_resize_draws_everything_anew() -> None:
    floor = floor_of(calm())
    floor.frame(10.0)
    floor.resize(90, 30)
    found = floor.frame(10.1)
    assert sum(len(one.text) for one in found) == 90 * 30


def test_the_selection_moves_by_geometry_and_stops_at_the_edges() -> None:
    floor = floor_of(calm(84), chosen=1)
    line = floor._layout.per_line
    assert (floor.move(1, 0), floor.move(0, 1)) == (2, 1 + line)
    assert floor.move(-1, 0) is None and floor.move(0, -1) is None


def test_patches_jump_over_what_stays_and_keep_to_one_style() -> None:
    old = [[("a", 0)] * 20]
    new = [[("b", 0), *old[0][1:3], ("c", 0), *old[0][4:15], ("d", 1), *old[0][16:]]]
    found = patches(old, new)
    assert found == [Patch(0, 0, 0, "baac"), Patch(0, 15, 1, "d")]
    assert all(one.x + len(one.text) <= other.x for one, other in pairwise(found))


def test_what_flies_covers_no_order_and_no_figure() -> None:
    floor = floor_of(calm(24))
    floor.motion = "calm"
    floor.frame(10.0)
    still = cells_of(floor, 40)
    events = [happened("cycle_closed", None, number) for number in (1, 9, 17, 24)]
    floor.see(scene(calm(24), chosen=1), events, 20.0)
    flew = False
    for step in range(8):
        floor.frame(20.0 + step / 8)
        shown = chain.from_iterable(cells_of(floor, 40))
        for (before, _), (now, _) in zip(chain.from_iterable(still), shown, strict=True):
            flew |= now in "•∙"
            assert now not in "•∙" or before in " █│┊"
    assert flew


def test_a_slide_goes_one_unit_a_step_and_turns_where_it_is() -> None:
    slide = Slide(2, 2, 0.0).to(6, 10.0, moves=True)
    assert [slide.at(10.0 + step * STEP_SECONDS) for step in range(6)] == [2, 3, 4, 5, 6, 6]
    back = slide.to(1, 10.0 + 2 * STEP_SECONDS, moves=True)
    assert (back.start, back.at(back.ends)) == (4, 1)
    assert slide.to(9, 10.0, moves=False).at(10.0) == 9
