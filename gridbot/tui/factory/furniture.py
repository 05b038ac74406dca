"""What does not trade: power line, belts, trunk, chests or strips, recycling belt, drawer."""

from gridbot.engine.status import Status
from gridbot.tui.cells import Line
from gridbot.tui.factory import panels
from gridbot.tui.factory.board import At, Board, Piece
from gridbot.tui.factory.contract import Scene
from gridbot.tui.factory.drawer import drawer
from gridbot.tui.factory.layout import RIGHT_CELLS, Plan
from gridbot.tui.factory.market import letters
from gridbot.tui.factory.mood import Mood

BELT_PERIOD, DRIFT_PERIOD = 8, 20  # ticks of one step
PARTICLE_CELLS_PER_SECOND = 12.0
BOX_ROWS_MAX = 10
NOTHING: Line = []


class Furniture:
    """Pieces of one plan. ``see`` what is, ``flow`` and ``step`` what moves."""

    def __init__(self, board: Board, plan: Plan) -> None:
        self._board, self._plan = board, plan
        self._mood: Mood | None = None
        self._labels: list[tuple[str, str]] = []
        self._ids: list[str] = []  # of the recoveries, in the order of their labels
        self._strip_text = ""
        self._sign = ("·", "dim faint")
        width, place = plan.width, board.place
        self._power = place(0, 0, width) if plan.power_y >= 0 else None
        self._strip = [place(plan.strip_y + n, 0, width - 2) for n in range(plan.strip_rows)]
        end = plan.trunk_x - plan.left
        self._feeds = [place(y, plan.left - 2, end) for y in plan.feeds] if plan.sides else []
        self._belts = [place(y, plan.left, end) for y in plan.belts]
        self._boxes = self._place_boxes() if plan.sides else []
        self._drops = self._place_drops()
        self._recycle = [place(plan.recycle_y + n, 0, width) for n in range(plan.recycle_rows)]
        self._drawer = [place(plan.drawer_y + n, 0, width) for n in range(plan.drawer_rows)]
        self._place_trunk()
        self._place_floor()
        self._particles = self._tick = 0

    @property
    def goal(self) -> At:
        """Where profit goes."""
        plan = self._plan
        if plan.sides:
            return 4, plan.width - RIGHT_CELLS + 3
        return max(plan.strip_y, 0), plan.trunk_x

    def figure_at(self, cells: int) -> At | None:
        """Where the amount of a profit is shown: in its chest, or left of it in the strip if
        nothing stands there."""
        plan, (y, x) = self._plan, self.goal
        if plan.sides:
            return y + 3, min(x, plan.width - cells - 1)
        end = self._strip_text.find("PROFIT") - 1
        start = end - cells
        free = start > 0 and not self._strip_text[start - 1 : end + 1].strip()
        return (y, start) if free else None

    def recovery_at(self, client_id: str) -> At | None:
        """Where a recovery stands on the belt; None if it is not in sight."""
        if client_id not in self._ids or not self._recycle:
            return None
        width, number = self._belt_cells, self._ids.index(client_id)
        x = panels.belt_place(self._labels, number, width, self._shift)
        return (self._recycle[0].y, self._belt_x + x) if x < width else None

    def _place_boxes(self) -> list[tuple[str, list[Piece]]]:
        plan = self._plan
        bottom = plan.recycle_y if plan.recycle_y >= 0 else plan.height
        half = (bottom - 2) // 2
        rows = min(half, BOX_ROWS_MAX)
        right = plan.width - RIGHT_CELLS + 2
        tall = min(half - 1, 8)
        spans = (("buy", 2, 0, tall), ("sell", 2 + half, 0, tall),
                 ("profit", 1, right, rows), ("governor", 2 + half, right, rows))  # fmt: skip
        cells = {0: panels.CHEST_CELLS, right: panels.BOX_CELLS}
        return [
            (name, [self._board.place(y + n, x, cells[x]) for n in range(count)])
            for name, y, x, count in spans
        ]

    def _place_drops(self) -> list[Piece]:
        """Hairlines from the power line to the first row of machines."""
        plan = self._plan
        first = [spot for spot in plan.spots if spot.y == plan.spots[0].y]
        if plan.power_y < 0 or plan.strip_rows or not first or first[0].y < 3:
            return []
        piece = self._board.place(1, plan.left, plan.right - plan.left)
        middles = tuple(spot.x + plan.size.width // 2 - plan.left for spot in first)
        self._board.put(piece, ("drop", piece.width, middles))
        return [piece]

    def _place_trunk(self) -> None:
        """From the lowest belt up to where profit goes."""
        plan = self._plan
        if not plan.belts:
            return
        top, corner = self.goal[0] + 1, max(plan.belts)
        for y in range(top, corner + 1):
            sign = "┘" if y == corner else "┤" if y in plan.belts else "│"
            piece = self._board.place(y, plan.trunk_x, 1)
            self._board.put(piece, ("text", ((sign, "dim ghost"),)))
        if plan.sides:
            piece = self._board.place(self.goal[0], plan.trunk_x, 1)
            self._board.put(piece, ("text", (("┌", "dim ghost"),)))

    def _place_floor(self) -> None:
        """A pattern on the ground where nothing stands."""
        plan = self._plan
        bottom = plan.recycle_y if plan.recycle_y >= 0 else plan.height - plan.drawer_rows
        top = max((*plan.belts, *(spot.y + plan.size.height for spot in plan.spots), 3)) + 2
        for y in range(top, bottom - 1, 2):
            piece = self._board.place(y, plan.left, plan.right - plan.left)
            self._board.put(piece, ("floor", piece.width, 4 * (y // 2 % 2)))

    # --- what is ------------------------------------------------------------------------

    def see(self, scene: Scene, mood: Mood) -> None:
        self._mood = mood
        status = scene.status
        self._draw_power()
        self._draw_belts()
        if status is None:
            return
        lines = panels.strip(status, self._plan.width - 2, self._plan.strip_rows)
        self._strip_text = "".join(text for text, _ in lines[0]) if lines else ""
        self._show(self._strip, lines)
        for name, pieces in self._boxes:
            self._show(pieces, _box(name, status, len(pieces)))
        self._see_recoveries(scene, status)
        slot = next((one for one in status.slots if one.id == scene.selected), None)
        if self._drawer and slot is not None:
            size = self._plan.width, self._plan.drawer_rows
            self._show(self._drawer, drawer(status, slot, scene.engine_now, *size))

    def _show(self, pieces: list[Piece], lines: list[Line]) -> None:
        for piece, line in zip(pieces, [*lines, *[NOTHING] * len(pieces)], strict=False):
            self._board.put(piece, ("=text", tuple(line)))

    def _see_recoveries(self, scene: Scene, status: Status) -> None:
        if not self._recycle:
            return
        base, quote = letters(status)
        found = panels.recoveries(status, base, quote)
        self._ids = [one for one, *_ in found]
        self._labels = [(text, side) for _, text, side in found]
        self._sign = panels.belt_sign(status)
        if len(self._recycle) == 3:
            width = self._plan.width
            title = panels.belt_title(status, scene.engine_now, width)
            foot: Line = [("╘" + "═" * (width - 2) + "╛", "dim faint")]
            self._show([self._recycle[0], self._recycle[2]], [title, foot])
        self._draw_recycle()

    # --- what moves ---------------------------------------------------------------------

    def flow(self, particles: int) -> None:
        """The power line, shifted."""
        if particles != self._particles:
            self._particles = particles
            self._draw_power()

    def step(self, tick: int) -> None:
        """Belts and the recycling belt at this tick; one belt per tick."""
        last, self._tick = self._tick, tick
        for n, piece in enumerate(self._belts + self._feeds):
            if (tick + n) // BELT_PERIOD != (last + n) // BELT_PERIOD:
                self._draw_belt(n, piece)
        if self._recycle and self._labels and tick // DRIFT_PERIOD != last // DRIFT_PERIOD:
            self._draw_recycle()

    def _draw_power(self) -> None:
        if self._power is None or self._mood is None:
            return
        step = self._particles % 9 if self._mood.flow else -1
        width = self._plan.width
        end = "┐" if self._plan.belts else self._mood.line
        mood = self._mood
        key = ("power", width, step, mood.line, mood.line_words, mood.particle,
               mood.particle_words, end)  # fmt: skip
        self._board.put(self._power, key)

    def _draw_belts(self) -> None:
        for n, piece in enumerate(self._belts + self._feeds):
            self._draw_belt(n, piece)

    def _draw_belt(self, n: int, piece: Piece) -> None:
        step = (self._tick + n) // BELT_PERIOD % 6
        if n < len(self._belts):
            self._board.put(piece, ("out", piece.width, step, ""))
        else:
            self._board.put(piece, ("feed", piece.width, step))

    @property
    def _shift(self) -> int:
        return self._tick // DRIFT_PERIOD if self._labels else 0

    @property
    def _belt_x(self) -> int:
        """Where the recycling belt begins, behind its frame or its name."""
        return 1 if len(self._recycle) == 3 else len(f" RECYCLING {len(self._labels)} ")

    @property
    def _belt_cells(self) -> int:
        return max(self._plan.width - self._belt_x - (len(self._recycle) == 3), 0)

    def _draw_recycle(self) -> None:
        line = panels.belt(self._labels, self._belt_cells, self._shift, self._sign)
        if len(self._recycle) == 3:
            line = [("│", "dim faint"), *line, ("│", "dim faint")]
        else:
            line = [(f" RECYCLING {len(self._labels)} ", "dim"), *line]
        self._board.put(self._recycle[len(self._recycle) // 2], ("=text", tuple(line)))


def _box(name: str, status: Status, rows: int) -> list[Line]:
    if name == "profit":
        return panels.profit_box(status, rows)
    if name == "governor":
        return panels.governor_box(status, rows)
    return panels.chest(status, name, rows)
