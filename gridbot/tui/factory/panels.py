"""What stands around the machines: chests, profit, governor, recycling belt, written states.

Pure functions of a status, giving lines of (text, words of the theme). Texts from outside are made
safe here.
"""

from functools import partial
from math import log10

from gridbot.engine.status import Status
from gridbot.tui.cells import Line, Piece, clean, length, money, span, tone
from gridbot.tui.factory.tiles import fill, gauge
from gridbot.tui.symptoms import RECOVERIES_PER_SLOT, SIDES

CHEST_CELLS, BOX_CELLS = 11, 15
LOW_SHARE = 0.12
BANDS = {"healthy": "good", "moderate": "text", "elevated": "warn", "critical": "bad"}
ROOM_STYLES = {"normal": "good", "caution": "warn", "stop": "warn"}
NO_SLOTS = "no slots yet: + adds one, :add cycle for the other kind"


def box(title: str, rows: list[Line], width: int, words: str, foot: str = "") -> list[Line]:
    """Rows in a frame, each padded to ``width``."""
    inner = width - 2
    head = f"─ {title[: inner - 3]} " if title else ""
    lines: list[Line] = [[(f"┌{head:─<{inner}}┐", words)]]
    for row in rows:
        lines.append([("│", words), *padded(row, inner), ("│", words)])
    return [*lines, [(f"└{foot:─>{inner}}┘", words)]]


def padded(line: Line, width: int) -> Line:
    """A line cut or filled to ``width``; its glyphs stay."""
    room, fitted = width, []
    for text, words in [*line, (" " * width, "")]:
        fitted += [(text[:room], words)] if room and text else []
        room -= min(len(text), room)
    return fitted


# --- chests -----------------------------------------------------------------------------


def free_share(status: Status, asset: str) -> float:
    """The part of an asset that no order holds."""
    balance = status.balances.get(asset)
    if balance is None or balance.total <= 0:
        return 0.0
    return max(0.0, min(float((balance.total - balance.held) / balance.total), 1.0))


def side_state(status: Status, side: str) -> tuple[str, str]:
    """A side's chest in words: ok, low, or that an entry of that side cannot be paid."""
    asset = status.pair.quote if side == "buy" else status.pair.base
    waiting = (wait for slot in status.slots for wait in slot.waiting)
    if any(wait.reason == "funds" and SIDES.get(wait.trade) == side for wait in waiting):
        return f"no {side}", "warn"
    return ("low", "warn") if free_share(status, asset) < LOW_SHARE else ("ok", "good")


def chest(status: Status, side: str, height: int) -> list[Line]:
    """An input chest of ``height`` rows, as full as its asset is free of orders."""
    asset = status.pair.quote if side == "buy" else status.pair.base
    text, words = side_state(status, side)
    share = free_share(status, asset)
    lines = _content(CHEST_CELLS - 2, max(height - 3, 0), share, f"{side} faint")
    label = text if text.startswith("no") else f"{side}: {text}"
    frame = [*lines, [(f"{label:^9}", words)]]
    return box(clean(asset), frame, CHEST_CELLS, side if share else "dim")


def _content(width: int, rows: int, share: float, words: str) -> list[Line]:
    """What is in a chest; where nothing is, nothing is painted."""
    return [[(one, words if one.strip() else "")] for one in fill(width, rows, share)]


def earned_share(status: Status) -> float:
    """How far the profit has come on the way to the next slot, or to the next power of ten;
    0 to 1."""
    net = float(status.profit.realised + status.profit.write_offs)
    auto = status.auto_slots
    if auto.get("next_at") and auto.get("earned", 0) < auto.get("max", 0):
        goal = float(auto["next_at"])
        begun = goal * auto["earned"] / (auto["earned"] + 1)
        return max(0.0, min((net - begun) / (goal - begun), 1.0)) if goal > begun else 0.0
    return net / 10 ** max(-(-log10(net) // 1), 0) if net > 0 else 0.0


def profit_box(status: Status, height: int) -> list[Line]:
    net = status.profit.realised + status.profit.write_offs
    inner, rows = BOX_CELLS - 2, max(height - 4, 0)
    content: list[Line] = [
        [(f"{money(net, 12):^{inner}}", f"{tone(net)} bold")],
        [(f"{'open ' + money(status.profit.unrealised, 7):^{inner}}", "dim")],
    ]  # fmt: skip
    filled = _content(inner - 2, rows, earned_share(status), "good faint")
    content += [[(" ", ""), *line] for line in filled]
    return box("PROFIT", content, BOX_CELLS, "title")


# --- governor and capacity --------------------------------------------------------------


def pressure(status: Status) -> tuple[float, str, str]:
    """Orphan pressure, the words of its band, and their style."""
    found = status.governor
    value, band = float(found.get("pressure") or 0.0), str(found.get("band") or "healthy")
    return value, band, BANDS.get(band, "text")


def asked(status: Status) -> str:
    """What the governor would like to change, if it waits for an answer."""
    if not status.governor.get("pending"):
        return ""
    for one in status.governor.get("suggestions", ()):
        state = one.get("state") if isinstance(one, dict) else one.state
        if state == "pending":
            get = one.__getitem__ if isinstance(one, dict) else partial(getattr, one)
            names = ",".join(map(str, get("slots")))
            return clean(f"#{get('id')}: slot {names} to {get('kind')}")
    return f"{status.governor['pending']} pending"


def bank_bar(status: Status, width: int) -> Line:
    """The work bank: sticky's part, cycle's part, free."""
    bank, cap = status.capacity, max(status.capacity.cap, 1)
    sticky = min(round(width * bank.reserved_sticky / cap), width)
    cycle = min(round(width * bank.reserved_cycle / cap), width - sticky)
    return [
        ("▓" * sticky, "accent"),
        ("▒" * cycle, "cycle"),
        ("░" * (width - sticky - cycle), "dim"),
    ]


def governor_box(status: Status, height: int) -> list[Line]:
    value, band, words = pressure(status)
    lit, dark = gauge(BOX_CELLS - 4, value)
    sticky = sum(slot.kind == "sticky" for slot in status.slots)
    bank, mode = status.capacity, str(status.governor.get("mode", "off"))
    question = asked(status)
    short = question.replace(": slot", "").replace(" to ", ">")
    rows: list[Line] = [
        [(f" S {sticky:<4}", "accent"), (f"C {len(status.slots) - sticky}", "cycle")],
        [(" press ", "dim"), (f"{value:.2f}", words)],
        [(" ", ""), (lit, words), (dark, "dim")],
        [(f" {band}", words)],
        [(f" {mode}", "dim")] if not question else [(f" {short}"[:13], "accent bold")],
        [(" A ok  D drop", "accent")] if question else [],
        [(" ", ""), *bank_bar(status, BOX_CELLS - 4)],
        [(f" {bank.headroom} ", ROOM_STYLES[bank.band]), ("free", "dim")],
    ]  # fmt: skip
    if height - 2 < len(rows):
        rows = [row for i, row in enumerate(rows) if i not in (3, 5)]
    return box("GOVERNOR", rows[: max(height - 2, 0)], BOX_CELLS, "title")


# --- the same in lines, where there is no room for boxes --------------------------------


def strip(status: Status, width: int, rows: int) -> list[Line]:
    """Chests, profit and governor in one or two lines."""
    net = status.profit.realised + status.profit.write_offs
    left: list[Piece] = []
    for side, rank in (("buy", 2), ("sell", 3)):
        asset = status.pair.quote if side == "buy" else status.pair.base
        text, words = side_state(status, side)
        lit, dark = gauge(8, free_share(status, asset))
        left += [(rank, f" {clean(asset)[:6]} ", side), (rank + 4, lit, f"{side} faint"),
                 (rank + 4, dark, "dim faint"), (rank, f" {text} ", words)]  # fmt: skip
    lit, dark = gauge(10, earned_share(status))
    right = [(1, "PROFIT ", "title"), (8, lit, "good faint"), (8, dark, "dim faint"),
             (0, f" {money(net, 10)} ", f"{tone(net)} bold")]  # fmt: skip
    value, band, words = pressure(status)
    full, empty = gauge(8, value)
    bank = status.capacity
    second: list[Piece] = [
        (2, " GOVERNOR ", "title"), (6, full, words), (6, empty, "dim faint"),
        (2, f" {value:.2f} {band} ", words), (7, f" {status.governor.get('mode', 'off')} ", "dim"),
    ]  # fmt: skip
    if question := asked(status):
        second.append((1, f" {question}  A ok  D drop ", "accent bold"))
    bar = [(4, text, words) for text, words in bank_bar(status, 14)]
    room = [
        (3, "ROOM ", "title"),
        *bar,
        (3, f" {bank.headroom} of {bank.cap} ", ROOM_STYLES[bank.band]),
    ]
    return [_spread(left, right, width), _spread(second, room, width)][:rows]


def _spread(left: list[Piece], right: list[Piece], width: int) -> Line:
    """As ``spread``, for this floor's glyphs."""
    pieces = [*left, *right]
    while len(pieces) > 1 and sum(len(text) for _, text, _ in pieces) > width:
        pieces.remove(max(pieces, key=lambda piece: piece[0]))
    kept = [[piece[1:] for piece in side if piece in pieces] for side in (left, right)]
    gap = max(width - sum(map(length, kept)), 0)
    return padded([*kept[0], (" " * gap, ""), *kept[1]], width)


# --- recycling belt ---------------------------------------------------------------------


def recoveries(status: Status, base: str, quote: str) -> list[tuple[str, str, str]]:
    """Client ids, labels and sides of all orphaned exits, the oldest first."""
    mid = status.price.mid
    every = sorted(((one.placed_at, slot.id, one) for slot in status.slots
                    for one in slot.recoveries), key=lambda found: found[:2])  # fmt: skip
    labels = []
    for _, number, one in every:
        far = f" {(one.price - mid) / mid * 100:+.1f}%" if mid else ""
        letter = base if one.side == "sell" else quote
        labels.append((one.client_id, f"[{letter} {number}.{one.local_id}{far}]", one.side))
    return labels


def belt_sign(status: Status) -> tuple[str, str]:
    """What the recycling belt is made of: denser from half of what is a backlog."""
    count = sum(len(slot.recoveries) for slot in status.slots)
    backlog = RECOVERIES_PER_SLOT * len(status.slots)
    dense = "#" if count > backlog else ":" if 2 * count > backlog else ""
    return (dense, "warn") if dense else ("·", "dim faint")


def belt_title(status: Status, now: float, width: int) -> Line:
    every = [one for slot in status.slots for one in slot.recoveries]
    oldest = min((one.placed_at for one in every if one.placed_at), default=0.0)
    age = f", oldest {span(now - oldest)}" if oldest else ""
    name = "recovery" if len(every) == 1 else "recoveries"
    left, right = "╒═ RECYCLING BELT ", f" {len(every)} {name}{age} ═╕"
    return [
        (left, "dim"),
        ("═" * max(width - len(left) - len(right), 0), "dim faint"),
        (right, "dim"),
    ]


def belt(labels: list[tuple[str, str]], width: int, shift: int, sign: tuple[str, str]) -> Line:
    """The belt ``shift`` cells further left; labels come round again."""
    cells: Line = [(sign[0] if (x + shift) % 2 else " ", sign[1]) for x in range(width)]
    loop = _belt_loop(labels, width)[1]
    for n, (text, side) in enumerate(labels):
        start = belt_place(labels, n, width, shift)
        for x, one in enumerate(text, start):
            if x >= loop:
                x -= loop
            if x < width:
                cells[x] = one, side
    return cells


def belt_place(labels: list[tuple[str, str]], number: int, width: int, shift: int) -> int:
    """The first cell of a label; beyond ``width`` it is not in sight."""
    pace, loop = _belt_loop(labels, width)
    return (width // 3 + number * pace - shift) % loop


def _belt_loop(labels: list[tuple[str, str]], width: int) -> tuple[int, int]:
    """Cells from label to label, and until the first comes again."""
    pace = max(max((len(text) for text, _ in labels), default=0) + 4, 16)
    return pace, max(width + pace, len(labels) * pace)


def banner(text: str, width: int, words: str) -> list[Line]:
    """A sentence in a box, as wide as it must be."""
    shown = clean(text)[: max(width - 6, 0)]
    return box("", [[(f" {shown} ", f"{words} bold")]], len(shown) + 4, words)
