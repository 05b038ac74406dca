"""Where everything stands: tiles, belts, chests, gauge, recycling belt and drawer, for any room.

Pure geometry. The largest tiles that show every slot are taken; when even the smallest do not fit,
the floor scrolls by whole rows. Every slot stands somewhere or is counted.
"""

from typing import NamedTuple

LEFT_CELLS, RIGHT_CELLS = 13, 17  # chests and boxes beside the tiles, with their gaps
SIDES_CELLS_MIN, SIDES_ROWS_MIN = 100, 21
DRAWER_ROWS = {"large": 10, "medium": 8, "dense": 6}
SPREAD_ROWS_MAX = {"large": 2, "medium": 1, "dense": 0}  # between two bands of tiles
SPREAD_CELLS_MAX = {"large": 6, "medium": 4, "dense": 2}  # between two tiles of a row


At = tuple[int, int]  # y, x


class Size(NamedTuple):
    """A tile, and the rows above it (for what comes in) and below it (for what goes out)."""

    name: str
    width: int
    height: int
    above: int
    below: int

    @property
    def pitch(self) -> int:
        return self.above + self.height + self.below


SIZES = (
    Size("large", 14, 7, 2, 1), Size("medium", 11, 4, 2, 1), Size("medium", 11, 4, 0, 1),
    Size("dense", 7, 3, 0, 1),
)  # fmt: skip


class Spot(NamedTuple):
    """Upper left corner of a tile and which slot, counted from 0, stands there."""

    number: int
    y: int
    x: int


class Plan(NamedTuple):
    """``first`` and ``rows``: tile rows shown out of ``rows_all``; ``left`` to ``right`` the cells
    of the tiles; rows of -1 are not there. ``strip_rows``: chests in a line instead of boxes."""

    size: Size
    width: int
    height: int
    sides: bool
    columns: int
    first: int
    rows: int
    rows_all: int
    left: int
    right: int
    trunk_x: int
    power_y: int
    strip_y: int
    strip_rows: int
    recycle_y: int
    recycle_rows: int
    drawer_y: int
    drawer_rows: int
    spots: tuple[Spot, ...]
    feeds: tuple[int, ...]
    belts: tuple[int, ...]

    @property
    def shown(self) -> tuple[int, int]:
        """First and last index of the slots shown, the last excluded."""
        return (self.spots[0].number, self.spots[-1].number + 1) if self.spots else (0, 0)


class _Room(NamedTuple):
    """One way to share the room out."""

    size: Size
    sides: bool
    columns: int
    rows: int
    top: int
    recycle_rows: int
    drawer_rows: int


def plan(
    width: int, height: int, count: int, drawer: bool = False, chosen: int = 0, first: int = 0
) -> Plan:
    """The best plan for ``count`` slots; ``chosen``: index that must be in sight, ``first``: tile
    row at the top so far."""
    ways = [
        _room(width, height, size, sides, drawer, slim)
        for slim in (False, True)  # a lower recycling belt rather than slots out of sight
        for size in SIZES
        for sides in ((True, False) if width >= SIDES_CELLS_MIN else (False,))
        if not sides or height >= SIDES_ROWS_MIN
    ]
    best = next((way for way in ways if way.columns * way.rows >= count), ways[-1])
    if best.drawer_rows == 0 and drawer:  # no room for both: as without a drawer
        return plan(width, height, count, False, chosen, first)
    return _place(best, width, height, count, chosen, first)


def _room(width: int, height: int, size: Size, sides: bool, drawer: bool, slim: bool) -> _Room:
    top = 1 if sides else (2 if height >= 9 else 1 if height >= 6 else 0)
    if not sides and height >= 24:
        top = 3
    recycle = 3 if height >= 30 and not slim else 1 if height >= 12 else 0
    pane = DRAWER_ROWS[size.name] if drawer and height >= 16 else 0
    if pane and height - pane < 2 * size.pitch:
        pane = min(pane, DRAWER_ROWS["dense"])
    left, right = (LEFT_CELLS, width - RIGHT_CELLS) if sides else (1, width - 2)
    columns = max((right - left + 1) // (size.width + 1), 0)
    tall = height - top - recycle - pane
    rows = max((tall + size.below) // size.pitch, 0) if columns else 0
    return _Room(size, sides, columns, rows, top, recycle, pane)


def _place(room: _Room, width: int, height: int, count: int, chosen: int, first: int) -> Plan:
    size, columns = room.size, room.columns
    rows_all = -(-count // columns) if columns else 0
    rows = min(room.rows, rows_all)
    if rows == rows_all > 1:  # all in sight: rows of one length
        columns = -(-count // rows_all)
    row = chosen // columns if columns else 0
    first = max(0, min(max(min(first, row), row - rows + 1), rows_all - rows))
    left, right = (LEFT_CELLS, width - RIGHT_CELLS) if room.sides else (1, width - 2)
    used = min(columns, count) if rows_all <= 1 else columns
    spare = max(right - left - used * (size.width + 1) + 1, 0)
    gap = 1 + min(spare // max(used, 1), SPREAD_CELLS_MAX[size.name])
    spare -= used * (gap - 1)
    start = left + (spare // 2 if rows_all > 1 else min(1, spare))
    last = height - room.drawer_rows - room.recycle_rows
    loose = max(last - room.top - rows * size.pitch, 0)  # rows to spread between the bands
    pitch = size.pitch + min(loose // max(rows, 1), SPREAD_ROWS_MAX[size.name])
    tops = [room.top + size.above + n * pitch for n in range(rows)]
    spots = tuple(
        Spot(index, tops[n], start + column * (size.width + gap))
        for n in range(rows)
        for column in range(columns)
        if (index := (first + n) * columns + column) < count
    )
    belts = tuple(y + size.height for y in tops if y + size.height < last)
    return Plan(
        size, width, height, room.sides, columns, first, rows, rows_all, left, right,
        trunk_x=width - RIGHT_CELLS + 1 if room.sides else width - 1,
        power_y=0 if room.top else -1,
        strip_y=1 if not room.sides and room.top > 1 else -1,
        strip_rows=0 if room.sides else max(room.top - 1, 0),
        recycle_y=last if room.recycle_rows else -1, recycle_rows=room.recycle_rows,
        drawer_y=height - room.drawer_rows if room.drawer_rows else -1,
        drawer_rows=room.drawer_rows, spots=spots,
        feeds=tuple(y - 1 for y in tops) if size.above else (), belts=belts,
    )  # fmt: skip


def neighbour(places: Plan, count: int, chosen: int, dx: int, dy: int) -> int | None:
    """Index of the slot beside the chosen one; None where the floor ends."""
    if not places.columns:
        target = chosen + dx + dy
        return target if 0 <= target < count and target != chosen else None
    row, column = divmod(chosen, places.columns)
    row, column = row + dy, column + dx
    if not 0 <= column < places.columns or row < 0:
        return None
    target = row * places.columns + column
    if target >= count and dy and row == (count - 1) // places.columns:
        target = count - 1  # the last row is not full: its last tile is the nearest
    return target if target < count and target != chosen else None


def way_out(places: Plan, spot: Spot, goal: At) -> tuple[At, ...]:
    """Cells from a tile down to its belt, along it to the trunk, and to the goal (y, x). A tile
    without a belt below takes the next one above; none without any."""
    middle, low = spot.x + places.size.width // 2, spot.y + places.size.height
    belt = max((y for y in places.belts if y <= low), default=None)
    return () if belt is None else _home(places, (belt, middle), goal)


def way_back(places: Plan, start: At, goal: At) -> tuple[At, ...]:
    """Cells from a place on the recycling belt to the goal, by the upper edge of the belt."""
    return _home(places, (places.recycle_y, start[1]), goal) if places.belts else ()


def _home(places: Plan, start: At, goal: At) -> tuple[At, ...]:
    """Along the row to the trunk, along the trunk, and into the goal."""
    (y, x), (goal_y, goal_x), trunk = start, goal, max(places.trunk_x, start[1])
    across = [(y, at) for at in range(x, trunk + 1)]
    up = -1 if goal_y < y else 1
    along = [(at, trunk) for at in range(y + up, goal_y + up, up)] if goal_y != y else []
    back = -1 if goal_x < trunk else 1
    into = [(goal_y, at) for at in range(trunk + back, goal_x + back, back)]
    return (*across, *along, *(into if goal_x != trunk else []))


def way_in(places: Plan, spot: Spot) -> tuple[tuple[int, int], ...]:
    """Cells along the belt that feeds a tile and down into it; none without such a belt."""
    y, middle = spot.y - 1, spot.x + places.size.width // 2
    if not places.sides or y not in places.feeds:
        return ()
    return tuple((y, x) for x in range(places.left - 1, middle + 1))


def way_down(places: Plan, spot: Spot) -> tuple[tuple[int, int], ...]:
    """Cells from a tile down to the recycling belt, leaning right."""
    x, y = spot.x + places.size.width - 2, spot.y + places.size.height
    bottom = places.recycle_y + places.recycle_rows // 2
    if places.recycle_y < 0:
        return ()
    return tuple((row, min(x + (row - y) // 2, places.width - 1)) for row in range(y, bottom + 1))
