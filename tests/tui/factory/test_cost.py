"""What motion costs, counted with a clock of our own: cells, bytes, keys looked up, rows made."""

from pathlib import Path

import pytest

from gridbot.tui.factory.encode import encode
from gridbot.tui.factory.floor import FactoryFloor
from gridbot.tui.factory.styles import StyleTable
from tests.tui.pictures import status

from .scenes import engine_statuses, scene

TABLE = StyleTable("factory-dark")
FRAMES = 300


def run(count: int, width: int, height: int, motion: str = "full", state: str = "running",
        age: float = 1.0) -> tuple[float, float, FactoryFloor]:  # fmt: skip
    """KiB and patches per second of a floor at 30 frames a second, after its first."""
    floor = FactoryFloor(TABLE)
    floor.motion = motion
    floor.resize(width, height)
    picture = scene(status(count), state=state, price_age_seconds=age)
    floor.see(picture, (), 0.0)
    floor.frame(0.0)
    sent = changes = 0
    for n in range(FRAMES):
        if n % 8 == 0:
            floor.see(picture, (), n / 30)
        patches = floor.frame(n / 30)
        changes += len(patches)
        sent += len(encode(patches, TABLE, 2).encode())
        if n == FRAMES // 3:
            floor.board.hits = floor.board.misses = 0
    return sent / 1024 * 30 / FRAMES, changes * 30 / FRAMES, floor


@pytest.mark.parametrize(
    ("count", "size", "motion", "state", "kibibytes"),
    [
        (84, (120, 38), "full", "running", 35), (112, (200, 48), "full", "running", 45),
        (84, (200, 48), "full", "running", 45), (84, (120, 38), "eco", "running", 18),
        (84, (120, 38), "calm", "running", 30), (84, (120, 38), "full", "paused", 0.5),
        (84, (120, 38), "full", "halted", 0.5), (84, (120, 38), "off", "running", 0.5),
    ],
)  # fmt: skip
def test_bytes_stay_within_their_budget(
    count: int, size: tuple[int, int], motion: str, state: str, kibibytes: float
) -> None:
    sent, _, _ = run(count, *size, motion, state)
    assert sent <= kibibytes


def test_motion_is_looked_up_not_searched() -> None:
    _, changes, floor = run(84, 120, 38)
    board = floor.board
    assert board.hits / (board.hits + board.misses) > 0.95
    assert 300 < changes < 4000


def test_a_real_engines_floor_is_looked_up_too(tmp_path: Path) -> None:
    """New amounts are new keys; all the rest comes out of the memo."""
    floor, sent = FactoryFloor(TABLE), 0
    floor.resize(120, 38)
    for n, picture in enumerate(engine_statuses(tmp_path / "data", 84, 50)):
        seen = scene(picture, engine_now=picture.at)
        floor.see(seen, picture.governor["told"], n * 0.5)
        for step in range(15):
            sent += len(encode(floor.frame(n * 0.5 + step / 30), TABLE).encode())
        if n == 20:
            floor.board.hits = floor.board.misses = 0
    board = floor.board
    assert board.hits / (board.hits + board.misses) > 0.95
    assert sent / 25 / 1024 < 35


def test_frames_do_not_change_the_speed() -> None:
    """The same moment looks the same, whether thirty frames led there or four."""
    pictures = []
    for fps in (30, 10, 5):
        floor = FactoryFloor(TABLE)
        floor.resize(120, 38)
        floor.see(scene(status(24)), (), 0.0)
        for n in range(fps * 2 + 1):
            floor.frame(n / fps)
        pictures.append([floor.row(y) for y in range(38)])
    assert pictures[0] == pictures[1] == pictures[2]
