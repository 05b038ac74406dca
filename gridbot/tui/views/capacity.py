"""The capacity view: open orders against the safe cap, the work bank, how fills go, and headroom.

Rules: bands gate growth only, so a full house is calm; the work bank counts what slots may need,
and beside it stands what they really hold; a figure the engine does not tell is a dash.
"""

from gridbot.core.capacity import ORDERS_RESERVED, WorkBank
from gridbot.engine.actions import CommandError
from gridbot.engine.client import EngineClient
from gridbot.engine.status import OrderStatus, Status
from gridbot.tui.body import Body
from gridbot.tui.cells import Line, Run, cell, dim, span
from gridbot.tui.charts import NO_POINTS, Panel, Past, arrange, bar, chart
from gridbot.tui.chrome import BAND_STYLES, OLD_PRICE_SECONDS
from gridbot.tui.view import View
from gridbot.tui.views.figures import FillHealth, typed

WIDE_CELLS = 104
API_CELLS = 10
SENT = ("pending", "unknown")
API_FULL_SHARE = 0.8
MISSING = "Kraken count missing, showing internal count"
BAND_TEXTS = {
    "normal": "room to grow", "caution": "little room: adding slots asks first",
    "stop": "a full house: no more slots, those there go on",
}  # fmt: skip
MIX_PARTS = ((0, 1), (1, 6), (1, 3), (1, 2), (2, 3), (1, 1))  # of the cap for cycle slots


class CapacityBody(Body):
    """Nothing to walk through: all of it stands on one screen."""

    name = "capacity"

    def __init__(self, view: View, client: EngineClient) -> None:
        super().__init__(view, client)
        self.past = Past(min)
        self._of: Status | None = None
        self.tick()

    def tick(self) -> None:
        """Take what a new picture tells."""
        body = self.view.body
        if body is not None and body is not self._of:
            self._of, self.past.points = body, self.client.history("headroom")

    def do_move(self, by: int, count: int = 1) -> None:
        """Nothing here moves, and the slot selected elsewhere stays."""

    def do_copy(self, what: str = "row") -> str:
        body = self.view.body
        if body is None or what == "txid":
            raise CommandError("E30", "nothing to copy here")
        self.view.clipboard = "  ".join(text for text, _ in _counts(body))
        return "capacity copied"

    # --- drawing ------------------------------------------------------------------------------

    def draw(self, width: int, height: int) -> list[Line]:
        self.tick()
        bands = [
            [Panel("Open orders against the safe cap", 0, 3, 6, self._orders)],
            [Panel("Work bank", 1, 4, 9, self._bank),
             Panel("Fill health", 2, 5, 9, self._health)],
            [Panel(self.past.title("Headroom", width - 4), 3, 3, 6, self._past, rows_max=11)],
            [Panel("Realistic mixes", 4, 1, 2, self._mixes)],
        ]  # fmt: skip
        lines = arrange(bands, width, height, WIDE_CELLS)
        return [dim(line) for line in lines] if self.view.dimmed else lines

    def _orders(self, width: int, rows: int) -> list[Line]:
        body = self.view.body
        if body is None:
            return [[("░" * width, "dim")], [("-", "dim")], [(self.view.waited, "dim")]]
        full: list[Line] = [
            self._ends(body.capacity, width), self._bar(body, width), self._legend(body),
            _counts(body),
            [(f"band {body.capacity.band.upper()}", BAND_STYLES[body.capacity.band]),
             (f": {BAND_TEXTS[body.capacity.band]}", "dim")],
            self._source(body),
        ]  # fmt: skip
        kept = {3: (1, 2, 3), 4: (0, 1, 2, 3), 5: (0, 1, 2, 3, 4)}.get(rows, range(6))
        return [full[i] for i in kept]

    def _ends(self, bank: WorkBank, width: int) -> Line:
        safe, limit = f"{bank.cap} safe", f"{bank.limit} limit"
        at = round(bank.cap / max(bank.limit, 1) * width) - len(safe)
        at = min(at, width - len(limit) - len(safe) - 1)
        text = f"0{safe:>{max(at + len(safe) - 1, len(safe) + 1)}}"
        return [(text, "dim"), (limit.rjust(max(width - len(text), len(limit) + 1)), "dim")]

    def _bar(self, body: Status, width: int) -> Line:
        """Every cell a share of the limit: what is open, what is free, the bands, the reserve."""
        bank, limits = body.capacity, self.view.settings.capacity
        used, runs, done, caution = 0, list[Run](), 0, limits.caution_headroom
        parts = [(held, glyph, style) for _, held, glyph, style in _held(body)]
        parts += [
            (max(bank.headroom - caution, 0), "░", "dim"),
            (max(min(bank.headroom, caution) - limits.stop_headroom, 0), "!", "warn"),
            (max(min(bank.headroom, limits.stop_headroom), 0), "×", "warn"),
        ]  # fmt: skip
        for orders, glyph, style in parts:
            used += orders
            cells = round(min(used / max(bank.limit, 1), 1.0) * width)
            cells = max(cells, min(done + 1, width)) if orders else cells
            runs.append((glyph * (cells - done), style))
            done = max(cells, done)
        reserve = max(width - done, 0)
        return [*runs, (("│".rjust(reserve) if reserve else ""), "dim")]

    def _legend(self, body: Status) -> Line:
        limits = self.view.settings.capacity
        held = [(f"{glyph} {name} {count}  ", style) for name, count, glyph, style in _held(body)]
        return [
            *held, (f"░ free {max(body.capacity.headroom, 0)}  ", "dim"),
            (f"! caution at {limits.caution_headroom} left  ", "warn"),
            (f"× stop at {limits.stop_headroom} left", "warn"),
        ]  # fmt: skip

    def _source(self, body: Status) -> Line:
        """Whose count this is: the engine's, beside it others' orders that Kraken lists."""
        ours = sum(held for name, held, *_ in _held(body) if name != "other")
        if body.mode == "live" and body.engine.error:
            return [(f"▲ {MISSING}", "warn")]
        others = f", {body.capacity.used - ours} others'" if body.capacity.used > ours else ""
        source = "Kraken" if body.mode == "live" else f"the {body.mode} market"
        return [(f"counted by {source}: {ours} ours{others}", "dim")]

    def _bank(self, width: int, rows: int) -> list[Line]:
        body, settings = self.view.body, self.view.settings
        names = ("effective cap", "open orders", "headroom", "room for sticky", "room for cycle")
        if body is None:
            return [[(f"{name:<18}", "dim"), ("-".rjust(5), "dim")] for name in names]
        bank, slots = body.capacity, len(body.slots)
        most, ratio = settings.slots.max_slots, settings.capacity.open_order_safety_ratio
        figures: list[tuple[str, int, str]] = [
            ("headroom", bank.headroom, f"of {bank.cap} orders, {bank.used} open"),
            ("room for sticky", bank.room_sticky, f"at {ORDERS_RESERVED['sticky']} orders each"),
            ("room for cycle", bank.room_cycle, f"at {ORDERS_RESERVED['cycle']} orders each"),
            ("max slots", most, f"{slots} in use, {max(most - slots, 0)} free"),
            ("effective cap", bank.cap, f"= {bank.limit} x {ratio}"),
        ]
        for kind in ORDERS_RESERVED:
            kept = bank.reserved_sticky if kind == "sticky" else bank.reserved_cycle
            held = sum(
                _resting(one.orders) + _resting(one.recoveries)
                for one in body.slots
                if one.kind == kind
            )
            figures.append((f"reserved {kind}", kept, f"really hold {held}"))
        return [
            [(f"{name:<18}", "dim"), (f"{value:>5}", "title"), (f"   {text}", "text")]
            for name, value, text in figures
        ]

    def _health(self, width: int, rows: int) -> list[Line]:
        body = self.view.body
        health = None if body is None else typed(body.fill_health, FillHealth)
        if body is None or health is None:
            names = ("fills", "partial", "API", "price age")
            return [[(f"{name:<18}", "dim"), ("-", "dim")] for name in names]
        groups = sorted({*health.fill_seconds, *health.ages})
        lines = [_group(name, health) for name in groups]
        if lines:
            heads = [f"{'exits':<12}{'filled':>6}{'median':>8}", f"{'p95':>7}", f"{'wait':>6}",
                     f"{'away':>8}"]  # fmt: skip
            lines = [[(head, "dim") for head in heads], *lines]
        else:
            lines = [[("exits       ", "dim"), ("none filled and none waiting yet", "dim")]]
        partly = "good" if not health.partial_open else "warn"
        lines += [
            [("partial     ", "dim"), (f"{health.partial_open} open", "text"),
             (f" {'●' if partly == 'good' else '◆'}", partly),
             (f"   {health.partial_cancelled} cancelled", "text")],
            *_api(body.api), self._price(),
        ]  # fmt: skip
        return lines if len(lines) <= rows else [*lines[: max(rows - 3, 0)], *lines[-3:]][:rows]

    def _price(self) -> Line:
        age, view = self.view.price_age_seconds, self.view
        stale = view.body is not None and view.body.price.stale
        lamp, style = ("■", "bad") if stale else ("▲", "warn") if age > OLD_PRICE_SECONDS else \
            ("●", "good")  # fmt: skip
        most = span(view.settings.timing.stale_price_max_age_sec)
        return [("price age   ", "dim"), (span(age), "text"), (f" {lamp}", style),
                (f"   limit {most}", "dim")]  # fmt: skip

    def _past(self, width: int, rows: int) -> list[Line]:
        past, body = self.past.columns(width), self.view.body
        if past is None or body is None:
            return NO_POINTS[:rows]
        limits = self.view.settings.capacity
        levels = [(0.0, "warn"), (float(limits.caution_headroom), "accent")]
        return chart(past, width, rows, float(max(body.capacity.cap, 1)), levels)

    def _mixes(self, width: int, rows: int) -> list[Line]:
        body = self.view.body
        if body is None:
            return [[("-", "dim")]]
        lines: list[Line] = [[]]
        for sticky, cycle in mixes(body.capacity.cap, self.view.settings.slots.max_slots):
            orders = sticky * ORDERS_RESERVED["sticky"] + cycle * ORDERS_RESERVED["cycle"]
            run = (f"{sticky} S + {cycle} C = {orders}    ", "text")
            if sum(len(text) for text, _ in [*lines[-1], run]) > width:
                lines.append([])
            lines[-1].append(run)
        return lines[:rows]


def mixes(cap: int, slots_max: int) -> list[tuple[int, int]]:
    """Sticky and cycle slots that fill the cap, from sticky only to cycle only."""
    per_sticky, per_cycle = ORDERS_RESERVED["sticky"], ORDERS_RESERVED["cycle"]
    found: list[tuple[int, int]] = []
    for part, of in MIX_PARTS:
        cycle = min(cap * part // of // per_cycle, slots_max)
        sticky = max(min((cap - cycle * per_cycle) // per_sticky, slots_max - cycle), 0)
        if (sticky, cycle) not in found:
            found.append((sticky, cycle))
    return found


def _held(body: Status) -> list[tuple[str, int, str, str]]:
    """Open orders by whose they are: name, count, glyph, style."""
    slots = body.slots
    sticky, cycle = (
        sum(_resting(one.orders) for one in slots if one.kind == kind) for kind in ORDERS_RESERVED
    )
    recoveries = sum(_resting(one.recoveries) for one in slots)
    other = max(body.capacity.used - sticky - cycle - recoveries, 0)
    found = [("sticky", sticky, "▓", "accent"), ("cycle", cycle, "▒", "cycle"),
             ("recovery", recoveries, "◆", "warn"), ("other", other, "■", "text")]  # fmt: skip
    return [one for one in found if one[1] or one[0] in ORDERS_RESERVED]


def _resting(orders: tuple[OrderStatus, ...]) -> int:
    """Those that may be at the exchange; an exit that still waits to be placed is not."""
    return sum(bool(one.exchange_id) or one.state in SENT for one in orders)


def _counts(body: Status) -> Line:
    bank = body.capacity
    share = bank.used / bank.cap if bank.cap else 0.0
    return [
        (f"{bank.used} of {bank.cap} used ({share:.0%})", "title"),
        (f"   headroom {bank.headroom}", "text"),
        (f"   reserved {bank.reserved_sticky + bank.reserved_cycle}", "text"),
        (f": S {bank.reserved_sticky} + C {bank.reserved_cycle}", "dim"),
    ]  # fmt: skip


def _group(name: str, health: FillHealth) -> Line:
    filled, ages = health.fill_seconds.get(name, {}), health.ages.get(name, {})
    away = health.distance_pct.get(name, {}).get("p50")
    times = [span(one) if one is not None else "-" for one in (
        filled.get("p50"), filled.get("p95"), ages.get("p50"))]  # fmt: skip
    return [
        (cell(name, 12), name.split()[-1] if name.endswith(("buy", "sell")) else "text"),
        (f"{filled.get('count', 0):>6.0f}", "text"), (f"{times[0]:>8}", "text"),
        (f"{times[1]:>7}", "text"), (f"{times[2]:>6}", "text"),
        (f"{'-' if away is None else f'{away:.2f}%':>8}", "text"),
    ]  # fmt: skip


def _api(api: dict[str, float]) -> list[Line]:
    """Use of the rate counters."""
    names = [name for name in api if api.get(f"{name}_limit")]
    if not names:
        return [[("API         ", "dim"), ("not counted here", "dim")]]
    lines: list[Line] = []
    for name in names:
        used, most = api[name], api[f"{name}_limit"]
        style = "warn" if used / most >= API_FULL_SHARE else "good"
        lines.append([
            (f"API {name:<8}", "dim"), (f"{used:3.0f} of {most:.0f}", "text"),
            (f"  {bar(used / most, API_CELLS)}", style),
        ])  # fmt: skip
    return lines
