"""Whatever the engine says, the floor can show it, and tells exactly what changed."""

from pathlib import Path
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.core.records import Event
from gridbot.tui.factory.contract import Scene
from gridbot.tui.factory.floor import FactoryFloor
from gridbot.tui.factory.layout import plan
from gridbot.tui.factory.styles import StyleTable
from tests.tui.pictures import NOW, slot, status

from .scenes import Screen, engine_statuses, happen, odd_events, odd_scene, scene

TABLE = StyleTable("factory-dark")
SLOW = settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
SIZES = st.tuples(st.integers(40, 210), st.integers(10, 60))
STANDARD = ((80, 20), (120, 36), (200, 46))


def rows(floor: FactoryFloor, width: int, height: int) -> list[list[tuple[str, int]]]:
    found = [[(one, style) for text, style in floor.row(y) for one in text] for y in range(height)]
    assert all(len(row) == width for row in found)
    return found


def text_of(floor: FactoryFloor, height: int) -> str:
    return "\n".join("".join(text for text, _ in floor.row(y)) for y in range(height))


def shown(picture: Scene, width: int = 120, height: int = 36, seconds: float = 1.0) -> FactoryFloor:
    floor = FactoryFloor(TABLE)
    floor.resize(width, height)
    floor.see(picture, (), 0.0)
    for step in range(int(seconds * 30) + 1):
        floor.frame(step / 30)
    return floor


@SLOW
@given(SIZES, st.integers(0, 10**9), st.sampled_from(["full", "eco", "calm", "off"]))
def test_patches_make_the_picture(size: tuple[int, int], seed: int, motion: str) -> None:
    """Any statuses at any size: every frame's patches turn the old rows into the new ones."""
    floor, screen, now, random = FactoryFloor(TABLE), Screen(*size), 0.0, Random(seed)
    floor.motion = motion
    floor.resize(*size)
    for _ in range(4):
        floor.see(odd_scene(random), odd_events(random), now)
        for step in random.choice([(0.03, 0.03), (0.2, 0.4, 0.03), (2.5, 0.03)]):
            now += step
            screen.apply(floor.frame(now))
            assert screen.cells == rows(floor, *size)


@SLOW
@given(SIZES, st.integers(0, 112), st.booleans(), st.integers(0, 111), st.integers(0, 30))
def test_every_slot_stands_somewhere_or_is_counted(
    size: tuple[int, int], count: int, drawer: bool, chosen: int, first: int
) -> None:
    chosen = min(chosen, max(count - 1, 0))
    found = plan(*size, count, drawer, chosen, first)
    floor = shown(scene(status(count), selected=chosen + 1, drawer=drawer), *size, seconds=0)
    taken = set()
    for spot in found.spots:
        cells = {(spot.y + dy, spot.x + dx) for dy in range(found.size.height)
                 for dx in range(found.size.width)}  # fmt: skip
        assert not cells & taken and max(cells) < (size[1], 0)
        assert all(0 <= x < size[0] for _, x in cells)
        taken |= cells
    assert count == 0 or chosen in [spot.number for spot in found.spots]
    if len(found.spots) < count:
        assert floor.scrolled.endswith(f"/{count}")
    else:
        assert [spot.number for spot in found.spots] == list(range(count))


def test_tiles_are_as_large_as_their_number_allows() -> None:
    assert plan(120, 36, 12).size.name == "large"
    assert plan(120, 36, 24).size.name == "medium"
    assert plan(120, 36, 84).size.name == "dense"
    assert plan(200, 46, 112).size.name == "medium"
    assert plan(120, 36, 12, drawer=True).size.name == "large"
    assert len(plan(120, 36, 84).spots) == 84


def test_a_real_engine_makes_a_lively_floor(tmp_path: Path) -> None:
    """With the true engine's statuses and events, frame by frame, at three sizes."""
    story = engine_statuses(tmp_path / "data", 24, 60)
    kinds = {event.kind for picture in story for event in picture.governor["told"]}
    assert {"entry_filled", "exit_filled", "cycle_closed"} <= kinds
    for width, height in STANDARD:
        floor, screen = FactoryFloor(TABLE), Screen(width, height)
        floor.resize(width, height)
        flew = 0
        for n, picture in enumerate(story):
            seen = scene(picture, engine_now=picture.at, selected=1 + n % 24, drawer=n > 40)
            floor.see(seen, picture.governor["told"], n * 0.5)
            for step in range(15):
                screen.apply(floor.frame(n * 0.5 + step / 30))
            flew += len(floor.effects)
            assert screen.cells == rows(floor, width, height)
        assert flew


# --- what each state looks like -------------------------------------------------------------


def test_kinds_and_lamps_differ_by_shape_not_only_by_colour() -> None:
    text = text_of(shown(scene(status(12)), seconds=0), 36)
    assert "┏[S]━ 1 S1a" in text and "╭[C]─ 4 S0" in text
    assert all(lamp in text for lamp in "●◆▲■○")
    assert "no buy" in text and "paused" in text and "stopped" in text


def test_a_stopped_floor_stands_still_and_says_so() -> None:
    for state, word in (("paused", "PAUSED"), ("halted", "HALTED"), ("gone", "engine gone")):
        floor = shown(scene(status(12), state=state))
        assert word in text_of(floor, 36)
        frames = [floor.frame(now) for now in (2.0, 2.5, 3.0, 9.0)]
        assert {one.y for patches in frames for one in patches} <= (
            {0} if state == "halted" else set()
        )


def test_an_old_price_stops_the_motion_and_is_written() -> None:
    floor = shown(scene(status(12), price_age_seconds=74.0))
    assert "PRICE 1m OLD" in text_of(floor, 36) and "•" not in text_of(floor, 36)
    assert [floor.frame(now) for now in (2.0, 3.0)] == [[], []]


def test_an_ageing_price_slows_the_motion() -> None:
    def changes(age: float) -> int:
        floor = shown(scene(replace(status(12), alarms=()), price_age_seconds=age))
        return sum(len(floor.frame(1 + n / 30)) for n in range(60))

    assert changes(1.0) > 1.5 * changes(30.0) > 0
    calm = replace(status(12), alarms=())
    assert "─•─" in text_of(shown(scene(calm, price_age_seconds=30.0)), 36)


def test_sparks_run_when_orders_wait_for_capacity() -> None:
    assert "═✶═" in text_of(shown(scene(status(12))), 36)
    assert "✶" not in text_of(shown(scene(replace(status(12), alarms=()))), 36)


def test_a_jammed_machine_holds_its_items() -> None:
    stuck = slot(8, phase="S2", deadline_at=NOW + 60, deadline_seconds=660.0)
    stuck = replace(stuck, orders=tuple(replace(one, role="exit") for one in stuck.orders))
    floor = shown(scene(replace(status(12), slots=(stuck,), at=NOW)))
    assert "jam 91%" in text_of(floor, 36) and "░░░░" in text_of(floor, 36)
    before = floor.machines[8]._on_lane(True)
    for n in range(30):
        floor.frame(1 + n / 10)
    assert floor.machines[8]._on_lane(True) == before


def test_an_empty_floor_tells_how_to_begin() -> None:
    assert "no slots yet" in text_of(shown(scene(status(0))), 36)
    assert "waiting for the first snapshot" in text_of(shown(scene(None)), 36)


# --- what happens ---------------------------------------------------------------------------


def play(floor: FactoryFloor, picture: Scene, told: list[Event], seconds: float) -> list[str]:
    """The pictures of a while after something happened."""
    floor.see(picture, told, 1.0)
    texts = []
    for n in range(int(seconds * 30)):
        floor.frame(1 + n / 30)
        texts.append(text_of(floor, 36))
    return texts


def test_profit_flies_to_its_chest_and_its_amount_climbs() -> None:
    picture = scene(replace(status(12), alarms=()))
    floor = shown(picture)
    texts = play(floor, picture, happen("cycle_closed", number=7, net="0.61"), 7)
    assert any("✶" in text for text in texts) and any("+0.610" in text for text in texts)
    assert "✶" not in texts[-1] and len(floor.effects) == 0


def test_what_an_entry_holds_comes_from_its_chest() -> None:
    picture = scene(status(12))
    floor = shown(picture)
    floor.see(picture, happen("entry_placed", number=6, side="sell"), 1.0)
    places = []
    for n in range(60):
        floor.frame(1 + n / 30)
        places.append(text_of(floor, 36).splitlines()[2][13:].find("D"))
    assert {-1} < set(places) and max(places) > 50


def test_a_loss_has_no_star() -> None:
    picture = scene(replace(status(12), alarms=()))
    texts = play(shown(picture), picture, happen("cycle_closed", number=7, net="-0.22"), 7)
    assert not any("✶" in text for text in texts) and any("-0.220" in text for text in texts)


def test_an_orphan_drops_and_dissolves_with_its_loss() -> None:
    picture = scene(status(12))
    told = happen("orphaned", "written_off", number=8, realised="-0.05")
    texts = play(shown(picture), picture, told, 6)
    assert any("╲" in text for text in texts) and any("-0.050" in text for text in texts)


def test_at_most_twelve_flights_are_in_the_air() -> None:
    picture = scene(status(12))
    floor = shown(picture)
    floor.see(picture, happen(*["exit_filled"] * 40, side="sell"), 1.0)
    assert len(floor.effects) == 12


def test_a_slot_grows_in_and_another_shrinks_away() -> None:
    floor = shown(scene(status(11)))
    texts = play(floor, scene(status(12)), happen("slot_added", number=12), 1)
    assert "[C]─12" not in texts[0] and "[C]─12" in texts[-1]
    texts = play(floor, scene(status(11)), happen("slot_removed", number=12), 1)
    assert "[C]─12" not in texts[0]


def test_calm_has_no_ornaments_and_off_stands_still() -> None:
    def patches(motion: str) -> int:
        floor = FactoryFloor(TABLE)
        floor.motion = motion
        floor.resize(120, 36)
        floor.see(scene(status(12)), (), 0.0)
        floor.frame(0.0)
        return sum(len(floor.frame(n / 30)) for n in range(90))

    assert patches("off") == 0 < patches("eco") < patches("full")
    assert patches("calm") < patches("full")


def test_moves_follow_the_geometry() -> None:
    floor = shown(scene(status(12), selected=2))
    assert (floor.move(1, 0), floor.move(-1, 0), floor.move(0, 1)) == (3, 1, 8)
    assert floor.move(0, -1) is None
    assert shown(scene(status(12), selected=6)).move(1, 0) is None
    assert shown(scene(status(11), selected=6)).move(0, 1) == 11


def test_the_drawer_tells_about_the_selected_machine() -> None:
    text = text_of(shown(scene(status(12), selected=8, drawer=True)), 36)
    assert "8 heron [C] cycle" in text and "0.092101" in text and "round trips" in text
