"""The governor view: orphan pressure with its parts and its past, what the governor would do and
why, what it did, and what more slots would mean.

Rules: a figure the engine does not tell is a dash; what is typed here is explanation, never a
figure. The cursor stands on a suggestion, newest first.
"""

from collections.abc import Sequence
from textwrap import wrap

import msgspec

from gridbot.core.capacity import ORDERS_RESERVED
from gridbot.core.governor import Suggestion
from gridbot.engine.actions import CommandError
from gridbot.engine.client import EngineClient
from gridbot.engine.status import Status
from gridbot.tui.body import Body
from gridbot.tui.cells import Line, amount, clock, dim, money, span, window
from gridbot.tui.charts import NO_POINTS, Panel, Past, arrange, bar, chart, history, spark
from gridbot.tui.chrome import BAND_STYLES
from gridbot.tui.table import clip
from gridbot.tui.view import View
from gridbot.tui.views.figures import AutoSlots, FillHealth, Governor, typed

WIDE_CELLS = 104
GAUGE_CELLS, SPARK_CELLS = 20, 15
BANDS = {
    "healthy": ("good", "may suggest turning a sticky slot into cycle"),
    "moderate": ("text", "holds the ratio"),
    "elevated": ("warn", "suggests turning a cycle slot sticky"),
    "critical": ("bad", "suggests a quarter; autonomous converts"),
}
MODES = {
    "suggest": "never acts by itself", "off": "watches, says nothing",
    "autonomous": "converts by itself when critical",
}  # fmt: skip
STATES = {"pending": ("◆", "warn"), "approved": ("✓", "good")}
NO_CYCLE = "no cycle slots: pressure is 0 by definition"
OFF = "governor off in config"
NONE_YET = Governor()


class GovernorBody(Body):
    """What is drawn follows the held body; the pressure's past is read again with every picture."""

    name = "governor"

    def __init__(self, view: View, client: EngineClient) -> None:
        super().__init__(view, client)
        self.past = Past(max)
        self.row = 0
        self._first, self._room = 0, 1
        self._of: Status | None = None
        self._told = Governor()
        self.tick()

    def tick(self) -> None:
        """Take what a new picture tells."""
        body = self.view.body
        if body is not None and body is not self._of:
            self._of, self.past.points = body, self.client.history("pressure")
            chosen = self.selected_suggestion
            self._told = typed(body.governor, Governor) or NONE_YET
            ids = [one.id for one in self._told.suggestions]
            self.row = ids.index(chosen) if chosen in ids else min(self.row, max(len(ids) - 1, 0))

    @property
    def selected_suggestion(self) -> int | None:
        """The id of the suggestion under the cursor."""
        known = self._told.suggestions
        return known[self.row].id if self.row < len(known) else None

    # --- what the operator asks of it ---------------------------------------------------------

    def do_move(self, by: int, count: int = 1) -> None:
        last = max(len(self._told.suggestions) - 1, 0)
        self.row = max(0, min(self.row + by * count, last))

    def do_page(self, halves: int, count: int = 1) -> None:
        self.do_move(max(self._room // 2, 1), halves * count)

    def do_last(self, count: int | None = None) -> None:
        self.do_move(1, len(self._told.suggestions))

    def do_detail(self) -> str:
        """Select the slot a suggestion is about."""
        known = self._told.suggestions
        if not known:
            raise CommandError("E51", "nothing pending")
        slot = known[self.row].slots[0] if known[self.row].slots else 0
        if not self.view.select(slot):
            raise CommandError("E30", f"slot {slot} is gone")
        return f"slot {slot} is selected; gs shows it"

    do_detail_open = do_detail

    def do_copy(self, what: str = "row") -> str:
        known = self._told.suggestions
        if not known or what == "txid":
            raise CommandError("E51", "no suggestion to copy")
        one = known[self.row]
        row = "\t".join((str(one.id), clock(one.at), self._what(one), one.reason, one.state))
        self.view.clipboard = row if what == "row" else msgspec.json.encode(one).decode()
        return f"suggestion {one.id} copied"

    # --- drawing ------------------------------------------------------------------------------

    def draw(self, width: int, height: int) -> list[Line]:
        self.tick()
        told = self._told
        bands = [
            [Panel("Slot Governor", 0, 5, 7, self._governor),
             Panel("Policy scale", 4, 7, 8, self._policy)],
            [Panel(self.past.title("Pressure", width - 4), 2, 3, 6, self._past, rows_max=11)],
            [Panel(f"Suggestions, {told.pending} pending", 1, 3, 8, self._suggestions,
                   rows_max=20),
             Panel("What if, and what was", 3, 3, 8, self._what_if)],
            [Panel("Odds of a cycle slot", 5, 2, 5, self._odds)],
        ]  # fmt: skip
        lines = arrange(bands, width, height, WIDE_CELLS)
        return [dim(line) for line in lines] if self.view.dimmed else lines

    def _edges(self, told: Governor) -> tuple[float, float, float]:
        return float(told.high) / 2, float(told.high), float(told.crit)

    @property
    def _cycle_slots(self) -> int:
        return sum(slot.kind == "cycle" for slot in self.view.slots)

    def _governor(self, width: int, rows: int) -> list[Line]:
        told, body, cycle = self._told, self.view.body, self._cycle_slots
        if body is None or not told.mode:
            return _dashes("Sticky", "Orphan pressure", "Headroom", "Suggestion", "mode")
        bank, sticky = body.capacity, len(body.slots) - cycle
        style = BANDS.get(told.band, ("text", ""))[0]
        cells = max(min(width - 42, GAUGE_CELLS), 6)
        share = bank.headroom / bank.cap if bank.cap else 0.0
        return [
            [("Sticky: ", "text"), (f"{sticky} slots", "accent"), ("    Cycle: ", "text"),
             (f"{cycle} slots", "cycle"), (f"    converted {told.conversions}", "dim")],
            [("Orphan pressure: ", "text"), (f"{told.pressure:.2f}", "title"),
             (f" [{bar(told.pressure, cells)}]", style), (f" {told.pressure:.0%}", "text"),
             (f"  {told.band}", style)],
            self._parts(told, style),
            [("Headroom: ", "text"), (f"{bank.headroom} orders ({share:.0%})", "text"),
             (f"  band {bank.band.upper()}", BAND_STYLES[bank.band])],
            self._suggestion_line(told, width),
            [("mode: ", "text"), (told.mode, "title"), (f", {self._mode_text(told)}", "dim")],
            [(f"looked {clock(body.at)}", "dim"), (self._next_text(told, body), "dim")],
        ][:rows]  # fmt: skip

    def _parts(self, told: Governor, style: str) -> Line:
        """What the pressure is the larger of, and its last hour."""
        if not self._cycle_slots:
            return [(f"  {NO_CYCLE}", "dim")]
        line = [(f"  backlog {told.backlog:.2f}", "text"), (f"   flow {told.flow:.2f}", "text")]
        if told.few_data:
            least = self.view.settings.governor.min_sample
            line.append((f"   few data (under {least} exits)", "warn"))
        lately = history(self.past.points[-60:], SPARK_CELLS, max)
        if lately is not None:
            line.append((f"   {spark(lately.values, 0.0, 1.0)}", style))
        return line

    @property
    def _window(self) -> str:
        return span(self.view.settings.governor.window_sec)

    def _mode_text(self, told: Governor) -> str:
        in_config = told.mode == "off" and not self.view.settings.governor.enabled
        return OFF if in_config else MODES.get(told.mode, "")

    def _next_text(self, told: Governor, body: Status) -> str:
        if told.next_at is None:
            return "   nothing due by time"
        return f"   next by time in {span(told.next_at - body.at)}"

    def _suggestion_line(self, told: Governor, width: int) -> Line:
        pending = [one for one in told.suggestions if one.state == "pending"]
        if pending:
            return [("Suggestion: ", "text"), (clip(self._what(pending[0]), width - 12), "warn")]
        why = "none" if told.mode != "off" else "none: it is off"
        if told.mode not in ("off", "") and self._cycle_slots and told.band == "moderate":
            why = "none: pressure in the hold band"
        return [("Suggestion: ", "text"), (clip(f"({why})", width - 12), "dim")]

    def _what(self, one: Suggestion) -> str:
        names = {slot.id: slot.alias for slot in self.view.slots}
        if one.kind == "close":
            return f"slot {one.slots[0] if one.slots else '-'} close an order at the market"
        slots = ", ".join(map(str, one.slots))
        alias = f" {names.get(one.slots[0], '')}".rstrip() if len(one.slots) == 1 else ""
        other = "cycle" if one.kind == "sticky" else "sticky"
        return f"slot{'s' * (len(one.slots) > 1)} {slots}{alias} {other} to {one.kind}"

    def _policy(self, width: int, rows: int) -> list[Line]:
        told = self._told
        if not told.crit:
            return _dashes(*BANDS)
        half, high, crit = self._edges(told)
        ends = (0.0, half, high, crit, 1.0)
        cells = width - 1
        marks = [(round(one * (cells - 1)), f"{one:.2f}".rstrip("0").ljust(3, "0")) for one in ends]
        at = round(max(0.0, min(told.pressure, 1.0)) * (cells - 1))
        style = BANDS.get(told.band, ("text", ""))[0]
        lines: list[Line] = [
            [(_placed(marks, width), "dim")],
            _scale([mark for mark, _ in marks], cells),
            [(_placed([(at, f"▲ {told.pressure:.2f}")], width), style)],
        ]
        for name, (style, text) in BANDS.items():
            now = name == told.band
            lines.append([
                ("» " if now else "  ", "accent"), (f"{name:<10}", style),
                (text, "text" if now else "dim"), ("  « now"[: 7 * now], "accent"),
            ])  # fmt: skip
        if rows > 7:
            lines.append([(f"  high {told.high} and critical {told.crit} are settings", "dim")])
        return lines

    def _past(self, width: int, rows: int) -> list[Line]:
        past = self.past.columns(width)
        if past is None:
            return NO_POINTS[:rows]
        half, high, crit = self._edges(self._told)
        levels = [(0.0, "good"), (half, "text"), (high, "warn"), (crit, "bad")]
        return chart(past, width, rows, 1.0, levels)

    def _suggestions(self, width: int, rows: int) -> list[Line]:
        known, self._room = self._told.suggestions, max(rows - 2, 1)
        if self.view.body is None or not self._told.mode:
            return [[("-", "dim")]]
        if self._told.mode == "off":
            return [[(self._mode_text(self._told), "dim")]]
        if not known:
            return [[("none yet", "dim"), ("; A approves, D dismisses what comes up", "dim")]]
        self._first = window(self._first, self.row, self._room, len(known))
        lines = [self._suggestion(one, width) for one in known[self._first :][: self._room]]
        chosen = known[self.row]
        state = f"#{chosen.id} by {chosen.source}: {chosen.effect}"
        return [*lines, [], [(clip(state, width), "text")]] if rows > 2 else lines

    def _suggestion(self, one: Suggestion, width: int) -> Line:
        now = self.view.body.at if self.view.body else one.at
        lamp, style = STATES.get(one.state, ("·", "dim"))
        chosen = one.id == self.selected_suggestion
        state = f"{span(one.expires_at - now)} left" if one.state == "pending" else one.state
        left = f"{'»' if chosen else ' '} {clock(one.at, short=True)} "
        room = max(width - len(left) - 13, 8)
        what = clip(self._what(one), room)
        why = clip(one.reason, room - len(what) - 2) if room - len(what) > 12 else ""
        line: Line = [
            (left, "accent" if chosen else "dim"), (what, "text"),
            (f"  {why}".ljust(room - len(what)), "dim"), (f" {lamp} {state:<10}", style),
        ]  # fmt: skip
        return [(text, f"{style} select") for text, style in line] if chosen else line

    def _what_if(self, width: int, rows: int) -> list[Line]:
        body = self.view.body
        if body is None:
            return _dashes("+1 sticky", "+1 cycle", "max more", "written off", "shadow")
        plugins = self.view.settings.governor.plugins or "none enabled"
        bank = body.capacity
        lines = [_one_more(body, kind, self.view) for kind in ORDERS_RESERVED]
        lines += [
            [("max more    ", "dim"), (f"{bank.room_sticky} sticky", "accent"), (" or ", "dim"),
             (f"{bank.room_cycle} cycle", "cycle")],
            *self._rates(body), self._shadow_line(), self._auto_slots(body),
            [("plugins     ", "dim"), (clip(plugins, max(width - 12, 1)), "text")],
        ]  # fmt: skip
        return lines[:rows]

    def _rates(self, body: Status) -> list[Line]:
        health = typed(body.fill_health, FillHealth)
        if health is None:
            return _dashes("written off", "orphaned", cells=12)
        return [
            [("written off ", "dim"), (f"{health.write_offs_per_hour:.2g} an hour", "text"),
             (" cost ", "dim"), amount(health.write_offs_result), (f" in {self._window}", "dim")],
            [("orphaned    ", "dim"), (f"{health.orphans_per_hour:.2g} an hour", "text")],
        ]  # fmt: skip

    def _auto_slots(self, body: Status) -> Line:
        auto = typed(body.auto_slots, AutoSlots)
        if auto is None:
            return _dashes("auto-slots", cells=12)[0]
        line = [("auto-slots  ", "dim"), (f"{auto.added} added of {auto.max}", "text")]
        if auto.earned >= auto.max:
            return [*line, ("  all earned", "dim")]
        return [*line, (f"  next at {money(auto.next_at).lstrip('+')} {body.pair.quote}", "dim")]

    def _shadow_line(self) -> Line:
        shadow, name = self._told.shadow, ("shadow      ", "dim")
        if not self._told.mode:
            return _dashes("shadow", cells=12)[0]
        if shadow.share is not None:
            late = "" if shadow.late_sec is None else f", {span(shadow.late_sec)} late"
            text = f"{shadow.share:.0%} of {shadow.settled} orphans would have filled"
            return [name, (text, "text"), (late, "dim")]
        return [name, (f"{shadow.reached} of {shadow.followed} orphans reached", "text"),
                (", 24 h not over", "dim")]  # fmt: skip

    def _odds(self, width: int, rows: int) -> list[Line]:
        odds = self._told.odds
        if odds is None:
            return [[("-", "dim")], [("worked out hourly from the last candles", "dim")]][:rows]
        warned = [("▲ ", odds.warning, "warn")] if odds.warning else [("● ", "", "good")]
        lines: list[Line] = []
        for lamp, text, style in [*warned, ("", odds.text, "text")]:
            lines += [[(part, style)] for part in wrap(lamp + text, max(width, 10))]
        if len(lines) > rows:
            lines = [*lines[: rows - 1], [(clip(lines[rows - 1][0][0] + " …", width), "dim")]]
        return lines


def _one_more(body: Status, kind: str, view: View) -> Line:
    """What one more slot of a kind would leave in the work bank, if there is room for it."""
    bank, orders = body.capacity, ORDERS_RESERVED[kind]
    name = (f"+1 {kind:<9}", "accent" if kind == "sticky" else "cycle")
    if len(body.slots) >= view.settings.slots.max_slots:
        return [name, (f"no: {len(body.slots)} slots are the most", "warn")]
    if not (bank.room_sticky if kind == "sticky" else bank.room_cycle):
        return [name, ("no room in the work bank", "warn")]
    left, limits = bank.headroom - orders, view.settings.capacity
    band = "caution" if left <= limits.caution_headroom else "normal"
    band = "stop" if left <= limits.stop_headroom else band
    return [name, (f"cap {bank.used + orders}/{bank.cap}", "text"),
            (f"  headroom {left}", "text"), (f"  {band.upper()}", BAND_STYLES[band])]  # fmt: skip


def _dashes(*names: str, cells: int = 18) -> list[Line]:
    return [[(name.ljust(cells), "dim"), ("-", "dim")] for name in names]


def _placed(marks: Sequence[tuple[int, str]], width: int) -> str:
    """Texts at their places, moved left at the end; one that would touch another is left out."""
    line = ""
    for at, text in marks:
        at = min(at, width - len(text))
        if at >= len(line) + bool(line):
            line = line.ljust(at) + text
    return line


def _scale(edges: Sequence[int], cells: int) -> Line:
    """├─ healthy ─┼ moderate ┼ ...┤, each band between its edges, named as far as there is room."""
    line: Line = [("├", "dim")]
    for (name, (style, _)), low, high in zip(BANDS.items(), edges, edges[1:], strict=False):
        room = high - low - 1
        texts = (f" {name} ", f" {name[:4]} ", name[:4])
        text = next((one for one in texts if len(one) <= room), "")
        line += [(text.center(max(room, 0), "─"), style), ("┼" if high < cells - 1 else "┤", "dim")]
    return line
