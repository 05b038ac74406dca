"""The ledger view: the whole file, newest first, filtered, with what its rows mean and add up to.

The file is read here by its path, never through the engine; counting and filtering are done by a
worker (``LedgerScan``) that this view looks at. The cursor stays on its entry while new ones come
in on top, except at the top, where it follows the newest.
"""

from concurrent.futures import Future
from typing import get_args

from msgspec.structs import replace

from gridbot.core.records import LedgerEntry
from gridbot.engine.actions import CommandError
from gridbot.engine.client import EngineClient
from gridbot.engine.disk import EngineFileError
from gridbot.engine.export import FORMATS, Export, Format, What
from gridbot.engine.ledger_filter import LedgerFilter, parse_filter
from gridbot.engine.ledger_index import LedgerIndex, LedgerScan, Row
from gridbot.tui.body import Body
from gridbot.tui.cells import Line, Piece, dim, fit, spread
from gridbot.tui.charts import Panel, arrange
from gridbot.tui.view import View
from gridbot.tui.views import ledger_table as drawing

PANES = ("table", "entry", "exchange", "totals", "all")
WIDE_CELLS = 100
ALL_ROWS_MIN, ENTRY_ROWS_MIN, SUM_ROWS_MIN = 26, 17, 9  # heights from which a part is shown
ENDS = 100_000  # moves this long mean the first or the last row
DRIFTS_KEPT = 120
ENTRIES_KEPT, READ_AHEAD = 2000, 60
GREY_ROWS = 5
SEARCHING = "searching"
REST_SECONDS = 0.2
OPEN_SECONDS = 0.3  # the first page is mostly there by then


class LedgerBody(Body):
    """``path`` is the ledger's file, ``scan`` what is shown of it."""

    name = "ledger"

    def __init__(self, view: View, client: EngineClient) -> None:
        super().__init__(view, client)
        folder = client.data_path
        file = None if folder is None else folder / view.settings.persistence.ledger_file
        self.path = file
        self._index = None if file is None else LedgerIndex(file)
        self.scan: LedgerScan | None = None
        self._at: int | None = None  # position of the cursor, None: the newest
        self._first = self._top = 0
        self._room = 10
        self._pane: int | None = None  # None: as the size suggests
        self._size = (80, 24)
        self._entries: dict[int, Row] = {}
        self._kin = _Hits()
        self._sought = _Hits()
        self._rested = 0, 0.0  # entry under the cursor, and since when
        self._drifts: list[float] = []
        self._drift_of = -1
        self._exports: list[Future[str]] = []
        self._told: list[tuple[str, str]] = []
        self._open(LedgerFilter())

    def begin(self, wanted: LedgerFilter) -> LedgerScan | None:
        """A scan at work; None without a file."""
        return None if self._index is None else LedgerScan(self._index, wanted).start()

    def _open(self, wanted: LedgerFilter) -> None:
        if self.scan is not None:
            self.scan.stop()
        for hits in (self._kin, self._sought):
            hits.stop()
        self._entries.clear()
        self.scan = self.begin(wanted)
        self._at, self._first = None, 0
        self._top = 0
        if self.scan is not None:
            self.scan.wait_page(OPEN_SECONDS)

    def close(self) -> None:
        for one in (self.scan, self._kin, self._sought):
            if one is not None:
                one.stop()

    # --- time passes ------------------------------------------------------------------------

    def tick(self) -> None:
        scan = self.scan
        if scan is not None and scan.outdated:
            self._open(scan.wanted)
        elif scan is not None and self.view.held_at is None:
            self._top = scan.top
        self._remember_drift()
        self._follow_hits()

    def notices(self) -> list[tuple[str, str]]:
        """How searches and exports went that have ended since: text and severity."""
        told, self._told = self._told, []
        ended = [one for one in self._exports if one.done()]
        self._exports = [one for one in self._exports if one not in ended]
        return told + [
            (str(one.exception()), "bad") if one.exception() else (one.result(), "good")
            for one in ended
        ]

    def _remember_drift(self) -> None:
        body = self.view.body
        if body is not None and body.seq != self._drift_of:
            self._drift_of = body.seq
            share = max(map(drawing.drift_share, body.balances.values()), default=0.0)
            self._drifts = [*self._drifts, share][-DRIFTS_KEPT:]

    def _follow_hits(self) -> None:
        """Look for the cycle of an entry the cursor rests on; go where a search has led."""
        entry = self.entry
        if entry is None or entry.id != self._rested[0]:
            self._rested = (0 if entry is None else entry.id), self.view.now
        elif self.view.now - self._rested[1] >= REST_SECONDS:
            self._look_for_kin(entry)
        for hits in (self._kin, self._sought):
            if hits.by and entry is not None and (said := self._jump(hits)) not in ("", SEARCHING):
                self._told.append((said, "info"))

    def _look_for_kin(self, entry: LedgerEntry) -> None:
        wanted = LedgerFilter(slot=entry.slot_id, side=entry.trade_id, cycle=entry.cycle)
        if entry.trade_id and self._kin.wanted != wanted:
            self._kin.stop()
            self._kin = _Hits(wanted, self.begin(wanted))

    # --- the cursor -------------------------------------------------------------------------

    @property
    def cursor(self) -> int:
        """The position the cursor is at, see ``LedgerScan``."""
        return self._top if self._at is None else max(self._at, self._top)

    @property
    def entry(self) -> LedgerEntry | None:
        found = self._read(self.cursor, 1)
        return found[0][1] if found and isinstance(found[0][1], LedgerEntry) else None

    @property
    def kin(self) -> list[LedgerEntry]:
        """The entries known of the cursor's cycle, oldest first."""
        entry = self.entry
        fits = entry is not None and self._kin.is_of(entry)
        rows = [self._row(one) for one in self._kin.rows()] if fits else []
        return [one for one in rows if isinstance(one, LedgerEntry)]

    def _go(self, position: int) -> None:
        bottom = self._top if self.scan is None else self.scan.bottom
        position = max(self._top, min(position, bottom - 1))
        self._at = None if position <= self._top else position

    def _read(self, first: int, count: int) -> list[tuple[int, Row]]:
        scan = self.scan
        if scan is None or not scan.ready:
            return []
        rows = [
            scan.row(at) for at in range(max(first, self._top), min(first + count, scan.bottom))
        ]
        if any(one not in self._entries for one in rows):
            if len(self._entries) > ENTRIES_KEPT:
                self._entries.clear()
            try:
                more = READ_AHEAD if scan.wanted.open else 0
                self._entries.update(scan.read(first - more, count + 2 * more))
            except EngineFileError as error:
                scan.error = str(error)
        return [(one, self._entries[one]) for one in rows if one in self._entries]

    def _row(self, number: int) -> Row:
        """An entry by its row in the file, in the filter or not."""
        if number not in self._entries and self._index is not None:
            self._entries.update(enumerate(self._index.read(number, 1), number))
        return self._entries.get(number, "")

    def _jump(self, hits: "_Hits") -> str:
        """To the next hit from the cursor on; later, if the worker is not so far yet."""
        assert self.scan is not None and hits.scan is not None
        here, kin = self.scan.row(self.cursor), hits is self._kin
        row = hits.scan.beyond(here, hits.by)
        if not hits.complete and (row is None or kin or (hits.by < 0 and hits.scan.left > here)):
            return SEARCHING
        row = self._wrapped(hits, here) if kin or row is None else row
        hits.by = 0
        if row is None or row == here:
            return "nothing else belongs to this cycle" if kin else "not found elsewhere"
        position = self.scan.position(row)
        if position is None or not self._top <= position < self.scan.bottom:
            return f"line {row + 1} is not in this filter; F shows all"
        self._go(position)
        return ""

    def _wrapped(self, hits: "_Hits", row: int) -> int | None:
        """The next hit, after the last one the first again; of a cycle without its fees."""
        scan = hits.scan
        assert scan is not None
        for _ in range(scan.bottom - scan.top if hits is self._kin else 1):
            end = scan.top if hits.by > 0 else scan.bottom - 1
            after = scan.beyond(row, hits.by)
            row = after if after is not None else scan.row(end) if scan.bottom > scan.top else row
            entry = self._row(row)
            if hits is not self._kin or (
                isinstance(entry, LedgerEntry) and entry.entry_type != "FEE"
            ):
                return row
        return None

    def do_move(self, by: int, count: int = 1) -> None:
        self._go(self.cursor + by * count if abs(by) < ENDS else by * 10**6)

    def do_page(self, halves: int, count: int = 1) -> None:
        self.do_move(max(self._room // 2, 1), halves * count)

    def do_last(self, count: int | None = None) -> None:
        """To the oldest row, or to the entry with an id."""
        if count is None or self.scan is None:
            self._go(10**12)
            return
        position = self.scan.position(count - 1)
        if position is None or not self._top <= position < self.scan.bottom:
            raise CommandError("E30", f"no entry {count} in this filter")
        self._go(position)

    def do_edge(self, at: str) -> None:
        """To the top, middle or bottom row of the screen."""
        self._go(self._first + {"top": 0, "middle": self._room // 2}.get(at, self._room - 1))

    def do_centre(self) -> None:
        self._first = self.cursor - self._room // 2

    def do_pair(self) -> str:
        """From an entry to its exit, on to its profit, and round again."""
        entry = self.entry
        if entry is None or not entry.trade_id:
            return "this entry belongs to no trade"
        self._look_for_kin(entry)
        self._kin.by = -1  # on in time: upwards
        found = self._jump(self._kin)
        return "" if found == SEARCHING else found

    def do_find(self, text: str) -> str:
        """To the next older entry that has the text in its id, type, trade, order or note."""
        if not text.strip() or self.scan is None:
            raise CommandError("E83", "find wants a text")
        self._sought.stop()
        wanted = replace(self.wanted, words=text.strip().upper())
        self._sought = _Hits(wanted, self.begin(wanted))
        return self.do_find_next(1)

    def do_find_next(self, by: int = 1) -> str:
        if self._sought.scan is None:
            raise CommandError("E83", "find wants a text")
        self._sought.by = by
        found = "" if self.entry is None else self._jump(self._sought)
        return "" if found == SEARCHING else found

    # --- filter, panes, copies, exports -----------------------------------------------------

    @property
    def wanted(self) -> LedgerFilter:
        return LedgerFilter() if self.scan is None else self.scan.wanted

    def do_ledger(self, words: str = "") -> None:
        """Filter by words, see ``parse_filter``; E60, E61. Without any nothing changes."""
        if words.strip().lower() == "clear":
            self._open(LedgerFilter())
        elif words.strip():
            self._open(parse_filter(words, self.view.engine_now))

    def do_filter(self, text: str = "") -> None:
        self.do_ledger(text or "clear")

    def do_ledger_clear(self) -> None:
        self._open(LedgerFilter())

    do_filter_clear = do_ledger_clear

    def leave(self) -> bool:
        """Back from a filter to all entries."""
        filtered = not self.wanted.open
        if filtered:
            self.do_ledger_clear()
        return filtered

    def do_pane(self, by: int = 1) -> None:
        """The next panel under the table, or none."""
        at = PANES.index(self.pane) + by
        self._pane = at % (len(PANES) if self._size[1] >= ALL_ROWS_MIN else len(PANES) - 1)

    def do_detail_open(self) -> None:
        self._pane = PANES.index("entry") if self.pane == "table" else PANES.index("table")

    do_detail = do_detail_open

    @property
    def pane(self) -> str:
        if self._pane is not None:
            return PANES[self._pane]
        height = self._size[1]
        return "all" if height >= ALL_ROWS_MIN else "entry" if height >= ENTRY_ROWS_MIN else "table"

    def do_copy(self, what: str = "row") -> str:
        """A row as the columns' values, its line of JSON, or the exchange's id of its trade."""
        entry = self.entry
        if entry is None or self.scan is None or self._index is None:
            raise CommandError("E73", "there is no entry to copy")
        if what == "txid" and not entry.txid:
            raise CommandError("E73", f"entry {entry.id} has no txid")
        values = (getattr(entry, name) for name in entry.__struct_fields__[:-2])
        number = self.scan.row(self.cursor)
        line = self._index.lines(number, number + 1)[0].decode() if what == "json" else ""
        self.view.clipboard = {"json": line, "txid": entry.txid}.get(what) or "\t".join(
            map(str, values)
        )
        return f"copied the {what} of entry {entry.id}"

    def do_export(
        self, what: What = "ledger", format: Format = "csv", path: str = "", force: bool = False
    ) -> str:
        """Write a file in the background; ``notices`` tells how it went (E70, E71)."""
        if what not in get_args(What) or format not in FORMATS:
            raise CommandError(
                "E19", "export ledger, slots, cycles or snapshot as csv, json, jsonl"
            )
        wanted, now = self.wanted, self.view.now
        job = Export(what, format, path, force, now, self.view.live, self.path, wanted)
        self._exports.append(job.start())
        return f"exporting {what}"

    # --- drawing ----------------------------------------------------------------------------

    def draw(self, width: int, height: int) -> list[Line]:
        """Filter, table, sums and panels, as many as there is room for."""
        self._size = width, height
        pair = None if self.view.body is None else self.view.body.pair
        places = drawing.places_of(pair, self.view.engine_now)
        below = self._panels(width, height, places)
        summed = 2 if height - len(below) >= SUM_ROWS_MIN else 0
        self._room = max(height - len(below) - summed - 2, 1)
        rows = [self._filter_row(width), *self._table(width, places)]
        rows += [[]] * (2 + self._room - len(rows))
        if summed and self.scan is not None:
            rows += [[("─" * width, "dim")]]
            rows += [drawing.sum_row(self.scan.sums, places, self.scan.left, width)]
        return [*rows[: height - len(below)], *below]

    def _filter_row(self, width: int) -> Line:
        scan, wanted = self.scan, self.wanted
        if scan is None:
            return []
        rows = self._index.rows if self._index is not None else 0
        found = scan.bottom - self._top
        count = f"{found:,} of {rows:,} entries" if not wanted.open else f"{rows:,} entries"
        share = f"   {100 - 100 * scan.left // max(rows, 1)}% looked at" if scan.left else ""
        left: list[Piece] = [
            (0, f" filter: {wanted.text or '(none)'}   ", "dim" if wanted.open else "accent"),
            (1, count.replace(",", " "), "text"), (3, share, "dim"),
        ]  # fmt: skip
        fault = scan.error or (scan.bad[-1] if scan.bad else "")
        right: list[Piece] = [(2, f" ▲ {fault} ", "warn")] if fault else []
        if not fault and self.path is not None:
            right = [(6, f" file {self.path} ", "dim")]
        if not wanted.open:
            right.append((4, " F shows all ", "dim"))
        return spread(left, right, width)

    def _table(self, width: int, places: drawing.Places) -> list[Line]:
        scan = self.scan
        columns = drawing.columns_for(width, self._index.rows if self._index is not None else 0)
        rows: list[Line] = [drawing.titles(columns, places, width)]
        if scan is None or not scan.ready:
            grey: Line = [(f"  {'░' * max(width - 4, 0)}", "dim")]
            return [*rows, *[grey] * GREY_ROWS, [], [(f"  {self._state()}", "warn")]]
        count = scan.bottom - self._top
        if not count:
            return [*rows, [], [(f"  {self._state()}", "text")]]
        cursor = self.cursor
        self._first = max(min(self._first, cursor), cursor - self._room + 1)
        self._first = max(self._top, min(self._first, scan.bottom - self._room))
        chosen = self.entry
        for i, (_, entry) in enumerate(self._read(self._first, self._room), self._first):
            line = self._entry_line(entry, chosen, columns, places)
            if i == cursor:
                line = [("» ", "accent select"), *((t, f"{s} select") for t, s in line[1:])]
            rows.append(fit(line, width) if i == cursor else line)
        return rows

    def _entry_line(
        self, entry: Row, chosen: LedgerEntry | None, columns: list[drawing.Column],
        places: drawing.Places,
    ) -> Line:  # fmt: skip
        if isinstance(entry, str):
            return [("  ", ""), (f"▲ {entry}", "warn")]
        line = drawing.row(entry, columns, places)
        if self.view.dimmed:
            line = dim(line)
        if chosen is not None and chosen.trade_id and _cycle(chosen) == _cycle(entry):
            line[0] = ("│ ", "accent")  # of the cursor's own cycle
        return line

    def _state(self) -> str:
        """Why there are no rows."""
        scan = self.scan
        if scan is None:
            return "E63: ledger file not readable: the engine's data directory is not known here"
        if scan.error:
            return f"E63: ledger file not readable: {scan.error}"
        if not scan.ready or (scan.left and not scan.wanted.open):
            lines = self._index.reading if self._index is not None and not scan.ready else scan.left
            return f"reading ledger, {lines:_} lines".replace("_", " ")
        if scan.wanted.open:
            return "no entries yet: nothing was traded"
        return "no entries in this filter; :ledger clear"

    def _panels(self, width: int, height: int, places: drawing.Places) -> list[Line]:
        view, pane, kin = self.view, self.pane, self.kin
        if pane == "table" or self.scan is None:
            return []
        entry, sums = self.entry, self.scan.sums
        slots = view.body.slots if view.body is not None else ()
        alias = next((one.alias for one in slots if entry and one.id == entry.slot_id), "")
        title = f"entry {entry.id} {entry.entry_type}" if entry else "entry"
        totals = "totals" if self.wanted.open else "totals of the filter"
        panels = {
            "entry": Panel(title, 0, 5, 7,
                           lambda w, h: drawing.entry_rows(entry, kin, alias, places)),
            "exchange": Panel("reconciliation", 1, 5, 7,
                              lambda w, h: drawing.exchange_rows(view.body, self._drifts, w)),
            "totals": Panel(totals, 2, 3, 4,
                            lambda w, h: drawing.totals_rows(sums, self.wanted, places, w)),
        }  # fmt: skip
        if pane != "all":
            return arrange([[panels[pane]]], width, min(9, max(height - 6, 3)), WIDE_CELLS)
        bands = [[panels["entry"], panels["exchange"]], [panels["totals"]]]
        return arrange(bands, width, min(15, height - 12), WIDE_CELLS)


class _Hits:
    """Rows looked for in the background; ``by``: go there, 1 to an older one, -1 to a newer."""

    def __init__(self, wanted: LedgerFilter | None = None, scan: LedgerScan | None = None) -> None:
        self.wanted, self.scan, self.by = wanted, scan, 0

    def rows(self) -> list[int]:
        """All of them, oldest first."""
        scan = self.scan
        return [] if scan is None else [scan.row(at) for at in range(scan.top, scan.bottom)][::-1]

    @property
    def complete(self) -> bool:
        return self.scan is None or (self.scan.ready and not self.scan.left)

    def is_of(self, entry: LedgerEntry) -> bool:
        return self.wanted is not None and self.wanted.accepts(entry)

    def stop(self) -> None:
        if self.scan is not None:
            self.scan.stop()


def _cycle(entry: LedgerEntry) -> tuple[int, str, int]:
    return entry.slot_id, entry.trade_id, entry.cycle
