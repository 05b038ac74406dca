"""The slots table: one line per slot, columns dropped from the least needed when room is short.

The table keeps how it is sorted and filtered, what was looked for, and its first row. A row is
formatted again only when its slot, or what is said of it beside the slot, has changed.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import NamedTuple

from gridbot.core.numbers import ZERO
from gridbot.engine.actions import CommandError
from gridbot.engine.status import SlotStatus, WaitingStatus
from gridbot.tui.cells import Line, Run, amount, cell, clock, dim, fit, length, span, window
from gridbot.tui.symptoms import JAM_SHARE, SIDES, jam_share
from gridbot.tui.view import View

STATUS_CELLS_MIN, STATUS_CELLS_WIDE = 10, 32
EXTRA_RANK = 9  # columns from this rank on only stand beside a wide status
TOTAL_ROWS_MIN = 13  # below this height every line is needed for slots
GREY_ROWS = 5
NO_SLOTS = "no slots yet: + adds one, :add cycle for the other kind"
KINDS = {"sticky": ("S", "accent"), "cycle": ("C", "cycle")}
LAMPS = {"bad": "■", "warn": "▲", "wait": "◆", "idle": "○", "calm": "◇", "ok": "●"}  # worst first
FILTER_KEYS = ("kind", "phase", "lamp")
Slots = tuple[SlotStatus, ...]


def _profit(slot: SlotStatus) -> Decimal:
    return slot.realised + slot.write_offs


def _total(figure: Callable[[SlotStatus], Decimal]) -> Callable[[Slots], Run]:
    return lambda slots: amount(sum(map(figure, slots), ZERO), 7)


def _count(figure: Callable[[SlotStatus], int], width: int) -> Callable[[Slots], Run]:
    return lambda slots: (number(sum(map(figure, slots)), width), "text")


def number(value: int, width: int) -> str:
    """A count in at most ``width`` (3 or more) characters: whole, in thousands, or in millions."""
    texts = (str(value), f"{value // 1000}k", f"{value // 10**6}M", f"{value // 10**9}G")
    return next((text for text in texts if len(text) <= width), ">1G")


def stuck_text(slot: SlotStatus) -> str:
    """The stuck score in at most five characters."""
    score = slot.stuck_score
    return "·" if not score else f"{score:.1f}" if score < 999 else ">999"


class Column(NamedTuple):
    """``rank``: the highest go first when the table is narrow. ``key`` sorts, None to the end;
    ``sum`` is drawn under it."""

    title: str
    width: int
    rank: int
    right: bool
    key: Callable[[SlotStatus], object]
    draw: Callable[[SlotStatus, View], Run]
    sum: Callable[[Slots], Run] = lambda slots: ("", "")


COLUMNS = (
    Column("ID", 3, 0, True, lambda one: one.id, lambda one, view: (str(one.id), "title")),
    Column("ALIAS", 8, 3, False, lambda one: one.alias.lower() or None,
           lambda one, view: (one.alias, "text"), lambda slots: ("total", "dim")),
    Column("K", 1, 1, False, lambda one: one.kind, lambda one, view: KINDS[one.kind]),
    Column("PH", 3, 1, False, lambda one: one.phase, lambda one, view: (one.phase, one.phase)),
    Column("PROFIT", 7, 2, True, _profit, lambda one, view: amount(_profit(one), 7),
           _total(_profit)),
    Column("UNREAL", 7, 5, True, lambda one: one.unrealised,
           lambda one, view: amount(one.unrealised, 7), _total(lambda one: one.unrealised)),
    Column("CYC", 4, 6, True, lambda one: one.round_trips,
           lambda one, view: (number(one.round_trips, 4), "text"),
           _count(lambda one: one.round_trips, 4)),
    Column("ORD", 3, 4, True, lambda one: len(one.orders),
           lambda one, view: (str(len(one.orders)), "text"),
           _count(lambda one: len(one.orders), 3)),
    Column("REC", 3, 7, True, lambda one: len(one.recoveries),
           lambda one, view: (str(len(one.recoveries) or "·"), "text"),
           _count(lambda one: len(one.recoveries), 3)),
    Column("LAST", 5, 8, True, lambda one: -one.last_fill_at or None, lambda one, view: (
        span(view.engine_now - one.last_fill_at) if one.last_fill_at else "-", "dim")),
    Column("STUCK", 5, 9, True, lambda one: one.stuck_score,
           lambda one, view: (stuck_text(one), "text")),
    Column("DUE", 5, 10, True, lambda one: one.deadline_at, lambda one, view: (
        "·" if one.deadline_at is None else span(one.deadline_at - view.engine_now), "text")),
    Column("FEES", 6, 11, True, lambda one: one.fees,
           lambda one, view: (amount(one.fees, 7)[0][1:], "text"),
           lambda slots: (amount(sum((one.fees for one in slots), ZERO), 7)[0][1:], "text")),
    Column("WRITTEN", 7, 12, True, lambda one: one.write_offs,
           lambda one, view: amount(one.write_offs, 7), _total(lambda one: one.write_offs)),
)  # fmt: skip
STATUS = Column("STATUS", 0, 0, False, lambda one: None,
                lambda one, view: ("", ""))  # fmt: skip
SORTABLE = {one.title.lower(): one for one in (*COLUMNS, STATUS)}
ALSO_CALLED = {
    "kind": "k", "phase": "ph", "unrealised": "unreal", "cycles": "cyc", "lamp": "status",
    "orders": "ord", "recoveries": "rec", "write-offs": "written",
}  # fmt: skip


class Table:
    """The slots as rows. ``chosen`` are those shown: filtered and sorted."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.sort, self.descending = "id", False
        self.filter = self.sought = ""
        self.first, self.room, self.centred = 0, 1, False
        self._tests: list[Callable[[SlotStatus], bool]] = []
        self._chosen: tuple[object, tuple[SlotStatus, ...]] = (None, ())
        self._rows: dict[int, tuple[SlotStatus, object, Line]] = {}
        self._sums: tuple[object, Line] = (None, [])

    # --- which slots, and in what order ------------------------------------------------------

    @property
    def chosen(self) -> Slots:
        known = (self.view.slots, self.sort, self.descending, self.filter)
        before = self._chosen[0]
        if not isinstance(before, tuple) or before[0] is not known[0] or before[1:] != known[1:]:
            self._chosen = known, self._choose(self.view.slots)
        return self._chosen[1]

    def _choose(self, slots: Slots) -> Slots:
        kept = [slot for slot in slots if all(test(slot) for test in self._tests)]
        key = SORTABLE[self.sort].key
        if self.sort == "status":
            key = lambda slot: list(LAMPS).index(lamp_of(slot, self.view))  # noqa: E731
        known = [slot for slot in kept if key(slot) is not None]
        known.sort(key=key, reverse=self.descending)  # type: ignore[arg-type]
        return (*known, *(slot for slot in kept if key(slot) is None))

    @property
    def index(self) -> int:
        """Of the selected slot among those shown, or of the one with the nearest id."""
        wanted, ids = self.view.selected or 0, [slot.id for slot in self.chosen]
        return min(range(len(ids)), key=lambda i: (abs(ids[i] - wanted), i), default=0)

    def move(self, rows: int) -> None:
        if self.chosen:
            index = max(0, min(self.index + rows, len(self.chosen) - 1))
            self.view.selected = self.chosen[index].id

    def set_filter(self, text: str) -> None:
        """Show only slots that fit every word: ``kind:`` ``phase:`` ``lamp:`` or any text."""
        self._tests = [_test(word, self.view) for word in text.lower().split()]
        self.filter = " ".join(text.split())

    def sort_by(self, column: str, descending: bool) -> None:
        """Sort by a column, named by its title or any beginning of it."""
        wanted = ALSO_CALLED.get(column.lower(), column.lower())
        fitting = [name for name in SORTABLE if name.startswith(wanted)] if wanted else []
        if not fitting:
            raise CommandError("E81", f'no column "{column}" here: {" ".join(SORTABLE)}')
        self.sort = wanted if wanted in SORTABLE else fitting[0]
        self.descending = descending

    def sort_next(self, by: int) -> None:
        names = list(SORTABLE)
        self.sort = names[(names.index(self.sort) + by) % len(names)]

    def find(self, text: str, by: int) -> None:
        """Select the next slot that has the text in its id, name or status."""
        found = [i for i, one in enumerate(self.chosen) if text.lower() in _text(one, self.view)]
        if not text or not found:
            raise CommandError("E83", f"not found: {text}" if text else "find wants a text")
        ahead = [i for i in found if (i - self.index) * by > 0]
        index = (ahead or found)[0 if by > 0 else -1]
        self.sought, self.view.selected = text, self.chosen[index].id

    # --- drawing -----------------------------------------------------------------------------

    def draw(self, width: int, height: int) -> list[Line]:
        """Titles, the rows that fit, totals where there is room."""
        view, columns = self.view, _columns(width, self.view.slots)
        rows: list[Line] = [fit([("  ", "dim bar"), *self._titles(columns)], width)]
        if view.body is None:
            grey = [(f"  {'░' * max(width - 4, 0)}", "dim")]
            return [*rows, *[grey] * GREY_ROWS, [], fit([(f"  {view.waited}", "dim")], width)][
                :height
            ]
        if not self.chosen:
            none = f"0 of {len(view.slots)} match; F clears" if view.slots else NO_SLOTS
            return [*rows, [], fit([(f"  {none}", "text")], width)]
        total = height >= TOTAL_ROWS_MIN
        self.room = max(height - 1 - 2 * total, 1)
        self._scroll()
        rows += [self._row(slot, columns, width) for slot in self.chosen[self.first :][: self.room]]
        return [*rows, *self._totals(columns, width)] if total else rows

    def _scroll(self) -> None:
        count, index = len(self.chosen), self.index
        first = index - self.room // 2 if self.centred else self.first
        self.first, self.centred = window(first, index, self.room, count), False

    def _titles(self, columns: list[Column]) -> Line:
        line: Line = []
        for one in (*columns, STATUS):
            sorted_by = one.title.lower() == self.sort
            mark = ("↓" if self.descending else "↑") if sorted_by else ""
            title = one.title[: max(one.width - 1, 0)] if one.width and sorted_by else one.title
            style = "title bar" if sorted_by else "dim bar"
            line.append((cell(title + mark, one.width or len(title + mark), one.right), style))
            line.append((" ", "dim bar"))
        return [*line, (" " * 400, "dim bar")]

    def _row(self, slot: SlotStatus, columns: list[Column], width: int) -> Line:
        view, shown = self.view, condition(slot, self.view)
        drawn = [one.draw(slot, view) for one in columns if one.title in ("LAST", "DUE")]
        mark = slot.id == view.selected, slot.id in view.marked
        key = (width, mark, shown, drawn, view.dimmed)
        known = self._rows.get(slot.id)
        if known is None or known[0] is not slot or known[1] != key:
            known = slot, key, _slot_row(view, slot, columns, width, shown, mark)
            self._rows[slot.id] = known
        return known[2]

    def _totals(self, columns: list[Column], width: int) -> list[Line]:
        key = (self.chosen, width)
        known = self._sums[0]
        if not isinstance(known, tuple) or known[0] is not key[0] or known[1] != width:
            sums = _cells(columns, [one.sum(self.chosen) for one in columns])
            cycle = sum(slot.kind == "cycle" for slot in self.chosen)
            sums += [(f"S {len(self.chosen) - cycle}", "accent"), (f"  C {cycle}", "cycle")]
            self._sums = key, fit([("  ", ""), *sums], width)
        return [[("─" * width, "dim")], self._sums[1]]


def _columns(width: int, slots: Slots) -> list[Column]:
    digits = max((len(str(slot.id)) for slot in slots), default=0)
    columns = [COLUMNS[0]._replace(width=max(digits, COLUMNS[0].width)), *COLUMNS[1:]]
    while len(columns) > 2:
        extra = any(one.rank >= EXTRA_RANK for one in columns)
        need = STATUS_CELLS_WIDE if extra else STATUS_CELLS_MIN
        if 2 + sum(one.width + 1 for one in columns) + need <= width:
            break
        columns.remove(max(columns, key=lambda one: one.rank))
    return columns


def _cells(columns: list[Column], runs: list[Run]) -> Line:
    row: Line = []
    for one, (text, style) in zip(columns, runs, strict=True):
        row += [(cell(text, one.width, one.right), style), (" ", "")]
    return row


def _slot_row(
    view: View, slot: SlotStatus, columns: list[Column], width: int,
    shown: tuple[str, str, str], mark: tuple[bool, bool],
) -> Line:  # fmt: skip
    (chosen, marked), (lamp, style, text) = mark, shown
    row: Line = [("»" if chosen else " ", "accent"), ("✓" if marked else " ", "accent")]
    row += _cells(columns, [one.draw(slot, view) for one in columns])
    text = clip(text, max(width - length(row) - 2, 0))
    row += [(f"{lamp} ", style), (text, "text" if style in ("good", "S2") else style)]
    row = fit(dim(row) if view.dimmed else row, width)
    return [(text, f"{style} select") for text, style in row] if chosen else row


def words_of(slot: SlotStatus, view: View) -> list[str]:
    """All columns of a slot's row, and its condition, in words."""
    return [*(one.draw(slot, view)[0] for one in COLUMNS), condition(slot, view)[2]]


def clip(text: str, width: int) -> str:
    """Text cut with a mark, but never within a figure."""
    if len(text) <= width:
        return text
    kept = text[: max(width - 1, 0)]
    if text[len(kept)] != " " and any(map(str.isdigit, kept.rpartition(" ")[2])):
        kept = kept.rpartition(" ")[0]
    return kept.rstrip(" ,;:") + "…"[:width]


def _test(word: str, view: View) -> Callable[[SlotStatus], bool]:
    name, colon, value = word.partition(":")
    if not colon:
        return lambda slot: word in _text(slot, view)
    if name not in FILTER_KEYS:
        raise CommandError("E82", f"unknown key {name}:; use {' '.join(FILTER_KEYS)}")
    if name == "lamp":
        return lambda slot: lamp_of(slot, view).startswith(value)
    return lambda slot: str(getattr(slot, name)).lower().startswith(value)


def _text(slot: SlotStatus, view: View) -> str:
    said = f"{lamp_of(slot, view)} {condition(slot, view)[2]}"
    return f"{slot.id} {slot.alias} {slot.kind} {slot.phase} {said}".lower()


def lamp_of(slot: SlotStatus, view: View) -> str:
    """The word of the slot's lamp: bad, warn, wait, idle, calm or ok."""
    return next(word for word, lamp in LAMPS.items() if lamp == condition(slot, view)[0])


def condition(slot: SlotStatus, view: View | None = None) -> tuple[str, str, str]:
    """The slot's lamp, its style, and in words why it waits or that it works. With ``view`` also
    whether it is jammed, and how far a calm slot is from its nearer exit."""
    if slot.quarantined:
        return "■", "bad", f"quarantined: {slot.quarantined}"
    if slot.paused:
        return "▲", "warn", "paused"
    for order in slot.orders:
        if order.state == "unknown":
            return "▲", "warn", f"{order.trade} outcome unknown"
    share = 0.0 if view is None else jam_share(slot, view.engine_now)
    if share >= JAM_SHARE:
        return "▲", "warn", f"jam {share:.0%}"
    if slot.waiting:
        return "◆", "warn", "; ".join(map(waiting_text, slot.waiting))
    if not slot.orders:
        return "○", "dim", "no orders"
    if slot.kind == "sticky" and slot.phase == "S2":
        return "◇", "S2", _nearer_exit(slot, view)
    if view is None or slot.deadline_at is None:
        return "●", "good", "ok"
    return "●", "good", f"due {span(slot.deadline_at - view.engine_now)}"


def _nearer_exit(slot: SlotStatus, view: View | None) -> str:
    mid = None if view is None or view.body is None else view.body.price.mid
    if not mid:
        return "calm"
    away = min(((one.price - mid) / mid * 100 for one in slot.orders), key=abs)
    return f"{away:+.2f}%"


def waiting_text(wait: WaitingStatus) -> str:
    """Why one trade of a slot waits, and until when; by the missing side where it is a side."""
    until = "" if wait.until is None else f" until {clock(wait.until)}"
    missing = SIDES.get(wait.trade) if wait.reason in ("funds", "inventory") else None
    what = f"no {missing}, {wait.reason}" if missing else f"{wait.trade} {wait.reason}"
    return f"{what}{': ' if wait.text else ''}{wait.text}{until}"
