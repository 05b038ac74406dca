"""The part of the Bauhaus picture that stands still between two steps, drawn from one look.

Text on the membrane is black; colours fill areas. Every meaning has a glyph or a word: the phase is
written in its tinted slot, sticky slots have heavy boxes and an S, cycle slots round ones and a C,
exits stand in ‹ › (reversed where that has no room), orders not on the book yet are rings.
"""

from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from gridbot.core.numbers import ZERO
from gridbot.engine.status import OrderStatus, SlotStatus, Status
from gridbot.tui.cells import clean, money
from gridbot.tui.factory import digits
from gridbot.tui.factory.bauhaus_layout import CHIP, FLAKE, LARGE, REACH_SHARE, Box, Layout, Tier
from gridbot.tui.factory.canvas import EIGHTHS, Canvas
from gridbot.tui.factory.contract import Scene
from gridbot.tui.factory.market import letters
from gridbot.tui.factory.panels import earned_share
from gridbot.tui.symptoms import Symptom

POLLS_KEPT = 60
RESTING = ("open", "cancelling", "unknown")
REACH_OF_PROFIT, REACH_STEP, SCALES_MAX = Decimal("1.2"), Decimal("1.5"), 20
TINTS = {"S0": "canvas", "S1a": "s1a", "S1b": "s1b", "S2": "s2"}
GROUNDS = {"paused": "on-amber", "halted": "on-blush"}
FADES = ("structure", "shade", "mist", "ghost")  # of the gullet as the price grows old


class Mark(NamedTuple):
    """An order on the membrane: ``offset`` rows away from the gullet, on a hairline."""

    id: str
    x: int
    sell: bool
    offset: int
    far: bool
    text: str
    words: str


class Look(NamedTuple):
    """All that the still layer is drawn from, apart from what slides."""

    layout: Layout
    scene: Scene
    ground: str
    level: int  # of FADES
    marks: Sequence[Mark]
    polls: Sequence[tuple[Decimal, Decimal]]  # sell and buy volume on the book, oldest first
    trouble: Symptom | None = None  # of a bot that runs


def resting(status: Status) -> tuple[Decimal, Decimal]:
    """What is left of our sells and buys on the book, in base units."""
    sums = {"sell": ZERO, "buy": ZERO}
    for slot in status.slots:
        for one in (*slot.orders, *slot.recoveries):
            if one.state in RESTING and one.side in sums:
                sums[one.side] += one.volume - one.executed
    return sums["sell"], sums["buy"]


def marks_of(status: Status, layout: Layout, boxes: dict[int, Box], ground: str) -> list[Mark]:
    """Orders by squared distance from the price, no two of a column on one row, none where the
    counter stands."""
    reach = max(0, min(int(layout.rows * REACH_SHARE / 2), layout.room - 2))
    below_counter = max(0, min(reach, layout.room - 2 - layout.counter_rows))
    corner = counter_at(layout, reading(status))[0] - 2
    scale = _scale(status)
    taken: set[tuple[int, bool, int]] = set()
    made = []
    for slot in status.slots:
        box = boxes.get(slot.id)
        if box is None:
            continue
        for one in sorted(slot.orders, key=lambda order: _distance(order, status)):
            share = float(_distance(one, status) / scale)
            sell = one.side == "sell"
            x = box.anchors[one.trade == "B"]
            limit = below_counter if sell and x > corner else reach
            wanted = round(min(share, 1.0) ** 2 * reach)
            far, offset = share > 1 or wanted > limit, min(wanted, limit)
            while (x, sell, offset) in taken and offset < limit:
                offset += 1
            taken.add((x, sell, offset))
            made.append(_mark(one, x, offset, far, box.narrow, letters(status), ground))
    return made


def _scale(status: Status) -> Decimal:
    """The farthest distance drawn to scale, in percent: a little beyond the profit aimed for, more
    in big steps until three quarters of the orders stand nearer."""
    scale = REACH_OF_PROFIT * max(
        status.settings.profit_pct, status.settings.entry_pct, Decimal("0.01")
    )
    far = sorted(_distance(one, status) for slot in status.slots for one in slot.orders)
    goal = far[len(far) * 3 // 4] if far else ZERO
    for _ in range(SCALES_MAX):
        if scale >= goal:
            break
        scale *= REACH_STEP
    return scale


def _distance(order: OrderStatus, status: Status) -> Decimal:
    """In percent of the price."""
    mid = status.price.mid
    return abs(order.price / mid - 1) * 100 if mid else ZERO


def _mark(
    one: OrderStatus, x: int, offset: int, far: bool, narrow: bool,
    names: tuple[str, str], ground: str,
) -> Mark:  # fmt: skip
    sell = one.side == "sell"
    text, words = names[0] if sell else names[1], f"structure {ground} bold"
    if one.state not in RESTING:
        text, words = "○", f"structure {ground}"
    elif one.role != "entry":
        text, words = (text, "void on-structure bold") if narrow else (f"‹{text}›", words)
    return Mark(one.client_id, x, sell, offset, far, text, words)


def mark_row(mark: Mark, offset: int, edges: tuple[list[int], list[int]]) -> int:
    above, below = edges
    return above[mark.x] // 2 - 1 - offset if mark.sell else (below[mark.x] + 1) // 2 + offset


def draw_membrane(canvas: Canvas, look: Look, halves: tuple[int, int]) -> None:
    """The ground, the gullet in black or, with an old price, in a grey."""
    key = (look.layout, look.ground, look.level, halves)
    if key not in canvas.kept:
        canvas.clear(f"structure {look.ground}")
        fill = "█" if canvas.colour else "█▓▒░"[look.level]
        words = f"{FADES[look.level]} {look.ground}"
        for y, text in enumerate(look.layout.membrane(*halves), look.layout.top):
            canvas.text(0, y, text.replace("█", fill), words)
        canvas.keep(key)
    canvas.load(canvas.kept[key])


def draw_marks(
    canvas: Canvas, look: Look, offsets: Sequence[int], edges: tuple[list[int], list[int]]
) -> None:
    ink = f"{'mist' if look.layout.tier in (CHIP, FLAKE) else 'structure'} {look.ground}"
    for mark, offset in zip(look.marks, offsets, strict=True):
        y, hair = mark_row(mark, offset, edges), "┊" if mark.far else "│"
        way = 1 if mark.sell else -1
        for step in range(1, offset + 1):
            if canvas.glyph(mark.x, y + way * step) == " ":
                canvas.put(mark.x, y + way * step, hair, ink)
    for mark, offset in zip(look.marks, offsets, strict=True):
        y = mark_row(mark, offset, edges)
        canvas.text(mark.x - len(mark.text) // 2, y, mark.text, mark.words)


@lru_cache(512)
def box_lines(
    tier: Tier, number: int, alias: str, kind: str, phase: str, stopped: str, net: Decimal
) -> list[str]:
    """A slot in text: its number, phase and kind, its profit or in words why it stands still; the
    smallest sizes have = for paused and ! for quarantined."""
    letter, lamp, name = kind[:1].upper(), {"": "", "paused": "="}.get(stopped, "!"), str(number)
    short, inner = phase.removeprefix("S")[:2], tier.w - 2
    if tier.h < 3:
        if tier.h == 1 or len(name) > 2:
            return [f"{name[-3:]:>3}", f"{short:<2}{lamp or letter}"][-tier.h :]
        return [f"{lamp:<1}{name:>2}", f"{short:<2}{letter}"]
    bar, side, (a, b, c, d) = ("━", "┃", "┏┓┗┛") if kind == "sticky" else ("─", "│", "╭╮╰╯")
    middle = f"{phase:<3}{letter}" if inner < 6 else f"{phase:<3} {letter}"
    foot = stopped or money(net, max(inner, 4))
    if inner < 4:
        middle, foot = short, letter + lamp
    if tier == LARGE:
        name, middle = f"{name} [{letter}]", f"{phase:<3} {clean(alias)[:7]}"
    texts = (name[:inner].center(inner, bar), middle[:inner].center(inner), foot[:inner])
    return [a + texts[0] + b, side + texts[1] + side, c + texts[2].center(inner, bar) + d]


def draw_box(canvas: Canvas, box: Box, slot: SlotStatus, flash: bool) -> None:
    """A slot, tinted by its phase, grey while it stands still, black in a flash."""
    stopped = "quarantined" if slot.quarantined else "paused" if slot.paused else ""
    tint = f"structure on-{'mist' if stopped else TINTS.get(slot.phase, 'mist')}"
    words = "void on-structure" if flash else tint
    net = slot.realised + slot.write_offs
    lines = box_lines(box.tier, slot.id, slot.alias, slot.kind, slot.phase, stopped, net)
    for y, line in enumerate(lines, box.y):
        canvas.text(box.x, y, line, words)


def draw_slots(canvas: Canvas, look: Look, boxes: dict[int, Box], flash: bool) -> None:
    """The slots, the chosen one between » and «, and the number of those without a place."""
    gullet = f"{'void' if look.level < 2 else 'structure'} on-{FADES[look.level]} bold"
    slots = look.scene.status.slots if look.scene.status else ()
    for slot in slots:
        box = boxes.get(slot.id)
        if box is None:
            continue
        chosen = slot.id == look.scene.selected
        draw_box(canvas, box, slot, chosen and flash)
        if chosen:
            y = box.y + (box.tier.h - 1) // 2
            canvas.put(box.x - 1, y, "»", gullet)
            canvas.put(box.x + box.tier.w, y, "«", gullet)
    if look.layout.hidden:
        box = look.layout.box(look.layout.shown)
        canvas.text(box.x, box.y + (box.tier.h - 1) // 2, f"+{look.layout.hidden}", gullet)


def profit_of(status: Status) -> Decimal:
    """What the counter shows: closed cycles and write-offs, in quote."""
    return status.profit.realised + status.profit.write_offs


def reading(status: Status, profit: Decimal | None = None) -> str:
    """The profit as a figure with its letter in front: in base units, where a third decimal of one
    is worth less than a unit of quote and the price is known, else in quote."""
    profit = profit_of(status) if profit is None else profit
    mid, (base, quote) = status.price.mid, letters(status)
    if mid and mid < 1000:
        return base + digits.reading(profit / mid, 3)
    return quote + digits.reading(profit, 2)


def counter_at(layout: Layout, text: str) -> tuple[int, int]:
    """Upper left cell of the counter, letter included."""
    return layout.width - 6 - layout.funnel // 2 - digits.width(text[1:]) - 2, layout.top + 1


def draw_counter(canvas: Canvas, look: Look, text: str) -> None:
    """The profit in seven segments over a gullet that fills until the next slot is earned."""
    layout = look.layout
    if not text:
        return
    x, y = counter_at(layout, text)
    width = digits.width(text[1:]) + 2
    canvas.put(x, y + 2, text[0], f"structure {look.ground} bold")
    digits.draw(canvas, x + 2, y, text[1:], look.ground, ghosts=canvas.colour)
    if layout.counter_rows < 5:
        return
    status = look.scene.status
    full = round((0.0 if status is None else earned_share(status)) * width)
    canvas.text(x, y + 4, "▄" * full, f"structure {look.ground}")
    canvas.text(
        x + full, y + 4, ("▄" if canvas.colour else "▁") * (width - full), f"ghost {look.ground}"
    )


def draw_volumes(canvas: Canvas, look: Look) -> None:
    """Sell volume to the left of the middle, buy volume to the right, their polls below."""
    middle, status = canvas.width // 2, look.scene.status
    if status is None:
        return
    sell, buy = look.polls[-1]
    peak = max([max(pair) for pair in look.polls]) or Decimal(1)
    letter = letters(status)[0]
    left, right = f" SELL {volume(sell)} {letter} ", f" {volume(buy)} {letter} BUY "
    room = max(0, middle - 1 - max(len(left), len(right)))
    bold = f"structure {look.ground} bold"
    for y in range(2 if look.layout.histories else 1):
        canvas.put(middle, y, "│", f"structure {look.ground}")
    bars = ["▀" * round(amount / peak * room) for amount in (sell, buy)]
    canvas.text(middle - len(bars[0]), 0, bars[0], f"frame {look.ground}")
    canvas.text(middle + 1, 0, bars[1], f"s1a {look.ground}")
    canvas.text(0, 0, left, bold)
    canvas.text(canvas.width - len(right), 0, right, bold)
    if look.layout.histories:
        shown = list(look.polls)[-min(POLLS_KEPT, middle - 1) :]
        eighths = [[EIGHTHS[_eighth(pair[i], peak)] for pair in shown] for i in (0, 1)]
        canvas.text(middle - len(shown), 1, "".join(eighths[0]), f"frame {look.ground}")
        canvas.text(middle + 1, 1, "".join(reversed(eighths[1])), f"s1a {look.ground}")


def _eighth(amount: Decimal, peak: Decimal) -> int:
    """Nothing is blank, something is at least a line."""
    return max(1, min(8, round(amount / peak * 8))) if amount > 0 else 0


def volume(amount: Decimal) -> str:
    """An amount of base units, short, thousands apart."""
    if abs(amount) >= Decimal("1e9"):
        return f"{amount:.2e}"
    places = 0 if abs(amount) >= 100 else 2 if abs(amount) >= 1 else 5
    return f"{amount:,.{places}f}".replace(",", " ")
