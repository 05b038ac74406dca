"""The floor hides nothing: no loss, no trouble, no machine, and covers nothing that is written."""

from decimal import Decimal as D

import pytest
from msgspec.structs import replace

from gridbot.core.settings import TuiSettings
from gridbot.engine.status import AlarmStatus, BalanceStatus, Status, WaitingStatus
from gridbot.tui.factory import panels
from gridbot.tui.factory.bauhaus import BauhausFloor
from gridbot.tui.factory.bauhaus_still import reading
from gridbot.tui.factory.drawer import drawer
from gridbot.tui.factory.floor import FactoryFloor
from gridbot.tui.factory.layout import Plan, plan
from gridbot.tui.factory.market import letters
from gridbot.tui.factory.mood import FRESH, mood_of
from gridbot.tui.factory.styles import StyleTable
from gridbot.tui.preferences import load_look
from tests.tui.pictures import NOW, order, slot, status, text_of

from .scenes import happen, scene

SIZES = ((80, 20), (120, 34), (200, 44))


def calm(count: int = 12, **more: object) -> Status:
    return replace(status(count), alarms=(), **more)


def told(name: str, number: int | None = None, **more: object) -> Status:
    """A status whose only trouble is this one."""
    return replace(calm(), alarms=(AlarmStatus(name, f"{name} it is", number),), **more)


def factory(picture: Status, size: tuple[int, int] = (120, 34), theme: str = "factory-dark",
            motion: str = "full", **more: object) -> FactoryFloor:  # fmt: skip
    floor = FactoryFloor(StyleTable(theme))
    floor.motion = motion
    floor.resize(*size)
    floor.see(scene(picture, **more), (), 0.0)
    for step in range(31):
        floor.frame(step / 30)
    return floor


def lines_of(floor: FactoryFloor | BauhausFloor, height: int) -> list[str]:
    return ["".join(text for text, _ in floor.row(y)) for y in range(height)]


def bauhaus(picture: Status, size: tuple[int, int] = (120, 38), **more: object) -> BauhausFloor:
    floor = BauhausFloor(StyleTable("factory-dark"))
    floor.resize(*size)
    floor.see(scene(picture, **more), (), 0.0)
    floor.frame(0.0)
    return floor


# --- figures ----------------------------------------------------------------------------------


def test_a_losing_cycle_slot_shows_its_loss_in_both_modes() -> None:
    loser = slot(4, realised=D("2.00"), write_offs=D("-5.50"))
    picture = calm(slots=(loser,))
    text = "\n".join(lines_of(bauhaus(picture, selected=4), 38))
    assert text.count("-3.500") == 2 and "+2.000" not in text
    assert "-3.500" in "\n".join(lines_of(factory(picture), 34))


def test_a_chest_shows_what_is_free_whatever_waits() -> None:
    poor = slot(1, waiting=(WaitingStatus("B", "funds"),))
    picture = calm(slots=(poor,), balances={"USD": BalanceStatus(D(100), D(0), D(100), D(0))})
    rows = [text_of(row) for row in panels.chest(picture, "buy", 8)]
    assert "▓" * 9 in rows[1] and "no buy" in rows[6]
    assert "▓" * 8 in text_of(panels.strip(picture, 80, 1)[0])


def test_a_side_is_unpaid_only_for_want_of_funds() -> None:
    def word(reason: str) -> str:
        held = {"USD": BalanceStatus(D(100), D(0), D(100), D(0))}
        waits = slot(1, waiting=(WaitingStatus("B", reason),))
        return panels.side_state(calm(slots=(waits,), balances=held), "buy")[0]

    assert (word("funds"), word("inventory"), word("cooldown")) == ("no buy", "ok", "ok")


def test_both_modes_name_assets_and_measure_profit_alike() -> None:
    pairs = {("DOGE", "USD"): ("D", "$"), ("XBT", "USDT"): ("X", "$"), ("1INCH", "EUR"): ("1", "$")}
    for (base, quote), expected in pairs.items():
        picture = calm(pair=replace(status(1).pair, base=base, quote=quote))
        assert letters(picture) == expected
        dear = replace(picture, price=replace(picture.price, mid=D(60_000)))
        assert reading(dear)[0] == expected[1]
    auto = {"added": 1, "earned": 1, "max": 5, "next_at": D(10)}
    half = calm(auto_slots=auto, profit=replace(status(1).profit, realised=D("7.53")))
    assert panels.earned_share(half) == 0.5
    loss = calm(auto_slots=auto, profit=replace(status(1).profit, realised=D(-9)))
    assert panels.earned_share(loss) == 0.0


def test_the_belt_is_full_when_the_alarm_says_so() -> None:
    def sign(recoveries: int) -> str:
        piled = slot(1, recoveries=(order(2, "A", "buy", "recovery", "0.08"),) * recoveries)
        return panels.belt_sign(calm(slots=(piled,)))[0]

    assert [sign(n) for n in (0, 1, 2, 3)] == ["·", "·", ":", "#"]


# --- trouble ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["RISK", "EXCHANGE", "DISK"])
def test_what_stops_the_trading_stops_the_floor(name: str) -> None:
    mood = mood_of(scene(told(name)), 0.0)
    assert (mood.pace, mood.flow, mood.line_words) == (0.0, 0.0, "bad")
    floor = factory(told(name))
    assert name in lines_of(floor, 1)[0] and floor.frame(2.0) == []
    assert name in "\n".join(lines_of(bauhaus(told(name)), 3))


@pytest.mark.parametrize("name", ["QUARANTINED", "PARKED", "UNKNOWN", "EXIT_WAITS"])
def test_trouble_in_one_place_slows_the_floor_and_is_written(name: str) -> None:
    mood = mood_of(scene(told(name, 7)), 0.0)
    assert mood.pace == 0.5 and mood.line_words in ("bad", "warn")
    assert f"{name.replace('_', ' ')} slot 7" in lines_of(factory(told(name, 7)), 1)[0]


def test_only_a_drift_that_matters_is_trouble() -> None:
    def pace(badge: str) -> float:
        usd = BalanceStatus(D(1), D(0), D(1), D(0), badge=badge)
        return mood_of(scene(told("DRIFT", balances={"USD": usd})), 0.0).pace

    assert (pace("amber"), pace("red")) == (1.0, 0.5)
    assert mood_of(scene(calm()), 0.0)._replace(text_words="") == FRESH


@pytest.mark.parametrize(
    ("reason", "word"),
    [("risk limit", "risk"), ("drained", "drained"), ("paused", "paused"), ("spread", "spread"),
     ("exchange", "exchange"), ("stale price", "no price"), ("something new", "somethin")],
)  # fmt: skip
def test_a_machine_says_why_it_waits(reason: str, word: str) -> None:
    waits = slot(1, waiting=(WaitingStatus("A", reason), WaitingStatus("B", reason)))
    picture = calm(slots=(waits, *status(24).slots[1:]))
    assert word in "\n".join(lines_of(factory(picture, (100, 26)), 26))


def test_a_missing_side_is_seen_at_every_size() -> None:
    for count, size, word in ((12, (120, 34), "no buy"), (24, (120, 34), "no buy"),
                              (84, (120, 34), "03no$")):  # fmt: skip
        assert word in "\n".join(lines_of(factory(status(count), size), size[1]))


def test_halted_blinks_once_a_second_unless_nothing_may_move() -> None:
    def looks(motion: str) -> list[int]:
        floor, seen = factory(calm(), motion=motion, state="halted"), []
        for n in range(8):
            floor.frame(2.0 + n / 4)
            seen.append(next(style for text, style in floor.row(0) if "HALTED" in text))
        return seen

    full = looks("full")
    assert full == full[:2] + full[2:4] + full[:4] and len(set(full)) == 2
    assert len(set(looks("off"))) == 1


# --- nothing is covered -----------------------------------------------------------------------


@pytest.mark.parametrize("state", ["paused", "halted", "gone"])
@pytest.mark.parametrize("size", [*SIZES, (40, 9)])
def test_words_about_the_floor_cover_no_machine(state: str, size: tuple[int, int]) -> None:
    for count in (12, 84):
        healthy = lines_of(factory(calm(count), size, motion="off"), size[1])
        stopped = lines_of(factory(calm(count), size, motion="off", state=state), size[1])
        assert stopped[0] != healthy[0] and stopped[1:] == healthy[1:]


@pytest.mark.parametrize("size", [(80, 20), (120, 34), (60, 14), (40, 9)])
def test_nothing_flies_over_a_figure_or_a_tile_of_a_floor_without_boxes(
    size: tuple[int, int],
) -> None:
    picture = calm(84)
    floor = factory(picture, size, motion="eco")
    assert not floor.plan.sides
    before = lines_of(floor, size[1])
    written = {
        (y, x) for y in range(max(floor.plan.strip_rows, 1) + 1)
        for x, one in enumerate(before[y]) if y and one.isalnum()
    }  # fmt: skip
    tiles = {
        (spot.y + dy, spot.x + dx)
        for spot in floor.plan.spots
        for dy in range(floor.plan.size.height)
        for dx in range(floor.plan.size.width)
    }
    shown = [spot.number + 1 for spot in floor.plan.spots]
    events = [one for number in (shown[0], shown[-1])
              for one in happen("cycle_closed", number=number, net="12.5")]  # fmt: skip
    floor.see(scene(picture), events, 1.0)
    flew = set()
    for n in range(240):
        floor.frame(1.0 + n / 30)
        flew |= set(floor.effects.cells(floor.now))
    assert flew and not flew & (written | tiles)


def test_a_filled_recovery_leaves_from_its_place_on_the_belt() -> None:
    waits = slot(4)
    one = replace(waits.recoveries[0], client_id="r4")
    picture = calm(slots=(replace(waits, recoveries=(one,)), slot(5)))
    floor = factory(picture)
    y = floor.plan.recycle_y + 1
    place = floor.furniture.recovery_at("r4")
    assert place is not None and lines_of(floor, 34)[y][place[1]] == "["
    event = replace(happen("recovery_filled", number=4, side="buy")[0], order="r4")
    floor.see(scene(calm(slots=(slot(4, recoveries=()), slot(5)))), [event], 1.0)
    assert floor.effects._running[0].path[0] == (floor.plan.recycle_y, place[1])  # type: ignore[union-attr]


# --- motion -----------------------------------------------------------------------------------


def test_calm_keeps_what_tells_something() -> None:
    """Power flows and items move; marks on belts and lanes, and who walks about, do not."""
    picture = calm(12)
    floor = factory(picture, motion="calm")
    text = lines_of(floor, 34)
    assert not any("›" in row[14:100] for row in text if "ord" in row or "in  " in row)
    rows = {one.y for n in range(60) for one in floor.frame(1.0 + n / 30)}
    assert 0 in rows and not rows & set(floor.plan.belts) and floor.plan.recycle_y + 1 not in rows
    near = replace(picture, price=replace(picture.price, mid=D("0.09205")))
    before = [row for row in text if "in  " in row]
    floor.see(scene(near), (), 3.0)
    for n in range(90):
        floor.frame(3.0 + n / 30)
    assert [row for row in lines_of(floor, 34) if "in  " in row] != before


# --- room -------------------------------------------------------------------------------------


def row_lengths(found: Plan) -> list[int]:
    return [sum(spot.y == y for spot in found.spots) for y in sorted({s.y for s in found.spots})]


@pytest.mark.parametrize("count", range(2, 85))
def test_rows_of_a_floor_are_of_one_length(count: int) -> None:
    lengths = row_lengths(plan(200, 44, count))
    assert max(lengths) - lengths[-1] < len(lengths) or len(lengths) == 1


def test_the_drawer_hides_no_slot_that_a_lower_belt_would_show() -> None:
    found = plan(120, 34, 84, drawer=True)
    assert len(found.spots) == 84 and found.drawer_rows and found.recycle_rows == 1


def test_the_drawer_has_headings_a_bar_of_time_and_counts_what_it_hides() -> None:
    late = slot(8, phase="S2", deadline_at=NOW + 480, deadline_seconds=1800.0)
    late = replace(late, recoveries=late.recoveries * 9)
    rows = [text_of(line) for line in drawer(calm(), late, NOW, 120, 10)]
    assert "22m of 30m ▓▓▓▓▓▓▓░░░ 73%" in rows[1] and "price" in rows[2] and "account" in rows[2]
    assert "+6 more" in rows[8] and all(len(row) == 120 for row in rows)


def test_the_smallest_bauhaus_counts_its_slots() -> None:
    text = "\n".join(lines_of(bauhaus(calm(), (40, 9)), 9))
    assert all(word in text for word in ("Running", "DOGE/USD", "0.091234", "12 slots", "+41.270"))


# --- themes and terminals ---------------------------------------------------------------------


def test_where_the_terminals_own_colours_are_used_nothing_is_mixed() -> None:
    table = StyleTable("mono")
    pale = table.rich(table.id("dim faint"))
    assert pale.dim and pale.color is not None and pale.color.is_default
    washed = table.rich(table.washed(table.id("title"), "bad"))
    assert washed.dim and not washed.reverse


def test_blank_cells_have_no_ground_of_their_own_and_pale_words_none() -> None:
    table = StyleTable("bauhaus")
    ground = table.rich(0).bgcolor
    assert table.rich(table.id("good faint")).bgcolor == ground
    assert table.rich(table.id("good")).bgcolor != ground
    empty = calm(profit=replace(status(1).profit, realised=D(0)))
    for box in (panels.profit_box(empty, 10), panels.chest(empty, "sell", 8)):
        fills = [words for line in box[1:-1] for text, words in line if text and not text.strip()]
        assert fills and not any("good" in one or "sell" in one for one in fills)


def test_a_terminal_without_the_glyphs_gets_ascii_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def glyphs() -> str:
        return load_look(None, TuiSettings())[0].glyphs

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setattr("locale.getencoding", lambda: "utf-8")
    assert glyphs() == "unicode"
    monkeypatch.setenv("TERM", "linux")
    assert glyphs() == "ascii"
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("locale.getencoding", lambda: "ISO-8859-1")
    assert glyphs() == "ascii"
