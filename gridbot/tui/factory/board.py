"""A picture made of pieces: one-row rectangles that stand for good, each drawn from a small key.

A changed key is all the difference there is: the cells that differ between two keys are looked up,
not searched. Above the pieces lies one layer of single cells for whatever flies about. ``row`` and
the patches of ``frame`` describe the same picture.
"""

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from gridbot.tui.factory.contract import Patch, Run

Key = tuple[Any, ...]
Runs = tuple[Run, ...]
At = tuple[int, int]  # y, x
Cells = dict[At, Run]
Difference = tuple[tuple[int, int, str], ...]  # distance from the piece's left end, style, text
MEMO_MAX = 60_000
UNKNOWN: Key = ("blank",)


class Piece:
    """``key`` is what it should show, ``shown`` what the last frame showed."""

    __slots__ = ("key", "shown", "width", "x", "y")

    def __init__(self, y: int, x: int, width: int) -> None:
        self.y, self.x, self.width = y, x, width
        self.key = self.shown = UNKNOWN


class Board:
    """``draw`` gives the runs of a key; keys whose first word starts with "=" are not kept."""

    def __init__(self, draw: Callable[[Key], Runs]) -> None:
        self._draw = draw
        self.tint: Callable[[int], int] | None = None
        self.hits = self.misses = 0
        self._runs: dict[tuple[Key, int], Runs] = {}
        self._differences: dict[tuple[Key, Key, int], Difference] = {}
        self.reset(0, 0)

    def reset(self, width: int, height: int) -> None:
        """An empty picture; the next frame is whole."""
        self.width, self.height = width, height
        self._rows: list[list[Piece]] = [[] for _ in range(height)]
        self._changed: list[Piece] = []
        self.over: Cells = {}
        self._over_shown: Cells = {}
        self._whole = True

    def recolour(self, tint: Callable[[int], int] | None) -> None:
        """Draw everything with other styles from now on."""
        self.tint, self._whole = tint, True
        self._runs.clear()
        self._differences.clear()

    def place(self, y: int, x: int, width: int) -> Piece:
        """A piece of its own at y, x; what lies outside the picture is cut off."""
        piece = Piece(y, x, max(min(width, self.width - x), 0))
        if piece.width and 0 <= y < self.height:
            row = self._rows[y]
            row.insert(bisect_right([one.x for one in row], x), piece)
        return piece

    def put(self, piece: Piece, key: Key) -> None:
        if piece.key != key:
            piece.key = key
            self._changed.append(piece)

    def frame(self) -> list[Patch]:
        """What changed since the last frame."""
        if self._whole:
            return self._all()
        patches: list[Patch] = []
        over, was = self.over, self._over_shown
        busy = {y for y, _ in over} | {y for y, _ in was} if over or was else ()
        under: Cells = {}
        for piece in self._changed:
            old, new = piece.shown, piece.key
            if old == new or not piece.width:
                continue
            piece.shown, y, x = new, piece.y, piece.x
            if y in busy:
                for dx, style, text in self._difference(old, new, piece.width):
                    under.update(((y, x + dx + i), (one, style)) for i, one in enumerate(text))
            else:
                for dx, style, text in self._difference(old, new, piece.width):
                    patches.append(Patch(y, x + dx, style, text))
        self._changed.clear()
        if under or over is not was:
            patches += self._over_patches(under)
        return patches

    def row(self, y: int) -> list[Run]:
        """One row of the last frame, exactly ``width`` cells."""
        over = [(x, run) for (at_y, x), run in self._over_shown.items() if at_y == y]
        runs = self._under(y)
        if not over:
            return runs
        cells = [(one, style) for text, style in runs for one in text]
        for x, run in over:
            cells[x] = run
        return list(joined(cells))

    def _all(self) -> list[Patch]:
        for row in self._rows:
            for piece in row:
                piece.shown = piece.key
        self._changed.clear()
        self._whole, self._over_shown = False, self.over
        patches = []
        for y in range(self.height):
            x = 0
            for text, style in self.row(y):
                patches.append(Patch(y, x, style, text))
                x += len(text)
        return patches

    def _over_patches(self, under: Cells) -> list[Patch]:
        over, was = self.over, self._over_shown
        cells = {at: run for at, run in under.items() if at not in over}
        cells.update((at, self._under_at(at)) for at in was if at not in over)
        cells.update((at, run) for at, run in over.items() if was.get(at) != run)
        self._over_shown = over
        patches: list[Patch] = []
        end: tuple[int, int, int] | None = None
        for (y, x), (text, style) in sorted(cells.items()):
            if end == (y, x, style):
                patches[-1] = patches[-1]._replace(text=patches[-1].text + text)
            else:
                patches.append(Patch(y, x, style, text))
            end = y, x + 1, style
        return patches

    def _under(self, y: int) -> list[Run]:
        runs: list[Run] = []
        x, blank = 0, self._style(0)
        for piece in self._rows[y]:
            if piece.x > x:
                runs.append((" " * (piece.x - x), blank))
            runs += self._runs_of(piece.shown, piece.width)
            x = piece.x + piece.width
        if x < self.width:
            runs.append((" " * (self.width - x), blank))
        return runs

    def _under_at(self, at: At) -> Run:
        y, x = at
        for piece in self._rows[y]:
            if piece.x <= x < piece.x + piece.width:
                rest = x - piece.x
                for text, style in self._runs_of(piece.shown, piece.width):
                    if rest < len(text):
                        return text[rest], style
                    rest -= len(text)
        return " ", self._style(0)

    def _style(self, style: int) -> int:
        return style if self.tint is None else self.tint(style)

    def _runs_of(self, key: Key, width: int) -> Runs:
        kept = self._runs.get((key, width))
        if kept is not None:
            return kept
        runs: list[Run] = []
        for text, style in [*self._draw(key), (" " * width, 0)]:
            shown = text[:width]
            width -= len(shown)
            if shown:
                runs.append((shown, self._style(style)))
        if not key[0].startswith("="):
            if len(self._runs) > MEMO_MAX:
                self._runs.clear()
            self._runs[key, sum(len(text) for text, _ in runs)] = tuple(runs)
        return tuple(runs)

    def _difference(self, old: Key, new: Key, width: int) -> Difference:
        name = old, new, width
        kept = self._differences.get(name)
        if kept is not None:
            self.hits += 1
            return kept
        pair = self._runs_of(old, width), self._runs_of(new, width)
        found = difference(*pair)
        if not (old[0].startswith("=") or new[0].startswith("=")):
            self.misses += 1
            if len(self._differences) > MEMO_MAX:
                self._differences.clear()
            self._differences[name] = found
        return found


def joined(cells: list[Run]) -> Runs:
    """Cells with neighbours of one style made one run."""
    runs: list[Run] = []
    for text, style in cells:
        if runs and runs[-1][1] == style:
            runs[-1] = runs[-1][0] + text, style
        else:
            runs.append((text, style))
    return tuple(runs)


def difference(old: Runs, new: Runs) -> Difference:
    """The runs of ``new`` that differ from ``old``; both are equally long."""
    before = [(one, style) for text, style in old for one in text]
    found: list[tuple[int, int, str]] = []
    x, end = 0, -1
    for text, style in new:
        for one in text:
            if before[x] != (one, style):
                if x == end and found[-1][1] == style:
                    found[-1] = found[-1][0], style, found[-1][2] + one
                else:
                    found.append((x, style, one))
                end = x + 1
            x += 1
    return tuple(found)
