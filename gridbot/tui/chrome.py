"""The rows around the body: header, capacity, alarm and footer, written from a View."""

from gridbot.engine.actions import table
from gridbot.engine.status import Status
from gridbot.tui.cells import Line, Piece, amount, cell, clock, money, span, spread, tone
from gridbot.tui.view import View

LAMPS = {
    "running": ("●", "good"), "paused": ("▲", "warn"), "draining": ("◆", "warn"),
    "halted": ("■", "bad"), "gone": ("■", "bad"), "waiting": ("○", "dim"),
}  # fmt: skip
ALARM_LAMPS = {"PAUSED": "▲", "DRAINING": "◆", "CAPACITY": "◆", "UNKNOWN": "▲", "EXIT_WAITS": "▲"}
BAND_STYLES = {"normal": "good", "caution": "warn", "stop": "warn"}
ARROWS = {1: ("↑", "good"), -1: ("↓", "bad"), 0: ("·", "dim")}
OLD_PRICE_SECONDS = 10
GAUGE_CELLS = 10


def badge(mode: str) -> Piece:
    """SIM, PAPER or LIVE: always on the screen."""
    return (0, f" {mode.upper()} ", mode)


def header(view: View, width: int) -> list[Line]:
    """Two rows: what is traded and how it goes; drift, capacity, slots."""
    if view.live is not None:
        return [_first_row(view, view.live, width), _second_row(view.live, width)]
    left = [(0, " gridbot  ", "title"), badge(view.settings.run.mode)]
    return [spread(left, [(1, f"{view.waited} ", "dim")], width), []]


def _first_row(view: View, status: Status, width: int) -> Line:
    lamp, style = LAMPS[view.state]
    arrow, arrow_style = ARROWS[view.direction]
    mid, age = status.price.mid, view.price_age_seconds
    price = "-" if mid is None else f"{mid:.{max(status.pair.price_decimals, 0)}f}"
    age_style = "warn" if status.price.stale or age > OLD_PRICE_SECONDS else "dim"
    net = status.profit.realised + status.profit.write_offs
    left = [
        (8, " gridbot ", "title"), (1, f" {status.pair.name} ", "title"),
        (1, f" {price} ", "text"), (5, f"{arrow} ", arrow_style),
        (4, f" age {span(age)} ", age_style), (0, f" {lamp} {view.state.upper()} ", style),
        badge(status.mode),
    ]  # fmt: skip
    right = [
        (2, f" P&L {money(net, 10)} ", tone(net)),
        (6, f" fees {money(status.profit.fees).lstrip('+')} ", "dim"),
        (7, f" up {span(view.now - status.engine.uptime_since)} ", "dim"),
        (5, f" {clock(view.engine_now)} ", "text"),
    ]
    return spread(left, right, width)


def _second_row(status: Status, width: int) -> Line:
    bank, band_style = status.capacity, BAND_STYLES[status.capacity.band]
    sticky = sum(slot.kind == "sticky" for slot in status.slots)
    share = bank.used / bank.cap if bank.cap else 0.0
    filled = round(max(0.0, min(share, 1.0)) * GAUGE_CELLS)
    left = [
        (2, f" S {sticky}", "accent"), (2, " + ", "dim"),
        (2, f"C {len(status.slots) - sticky}", "cycle"),
    ]  # fmt: skip
    right = [
        _drift(status),
        (1, f" cap {bank.used}/{bank.cap} {share:4.0%} ", "text"),
        (4, "▓" * filled + "░" * (GAUGE_CELLS - filled), band_style),
        (1, f" {bank.band.upper()} ", band_style),
        (5, f" speed x{status.engine.speed:g} " if status.mode == "sim" else "", "dim"),
    ]
    return spread(left, right, width)


def _drift(status: Status) -> Piece:
    for badge, lamp, style in (("red", "■", "bad"), ("amber", "▲", "warn")):
        found = [(one, asset) for asset, one in status.balances.items() if one.badge == badge]
        if found:
            amounts = ", ".join(f"{one.drift:+} {asset}" for one, asset in found)
            return (3, f" drift {lamp} {amounts} ", style)
    return (3, " drift ● 0 ", "good")


def capacity(view: View, width: int) -> Line:
    if view.live is None:
        return []
    bank = view.live.capacity
    pieces = [
        (0, f" work bank {bank.used} of {bank.cap}", "text"), (4, f" (limit {bank.limit})", "dim"),
        (1, f"  headroom {bank.headroom}", "text"),
        (2, f"  room for {bank.room_sticky} sticky or {bank.room_cycle} cycle", "dim"),
        (3, f"  reserved S {bank.reserved_sticky} + C {bank.reserved_cycle}", "dim"),
    ]  # fmt: skip
    return spread(pieces, [], width)


def alarm(view: View, width: int) -> Line:
    """The worst alarm, or that all is calm, and the latest event."""
    lamp, style, text = _worst(view)
    event, room, right = view.last_event, width - len(text) - 6, []
    if event is not None and room > 12:
        ticker = f"{clock(event.at, short=True)} {event.text}"
        severity = "dim" if event.severity == "info" else event.severity
        right = [(1, f" {cell(ticker, min(len(ticker), room))} ", severity)]
    return spread([(0, f" {lamp} {text} ", style)], right, width)


def _worst(view: View) -> tuple[str, str, str]:
    status = view.live
    if status is None:
        return "○", "dim", "waiting for the engine"
    if view.state == "gone":
        silent = view.link or f"engine gone {span(view.now - view.seen_at)}"
        return "■", "bad", f"{silent}; last picture {clock(view.engine_now)}"
    if status.engine.state == "halted":
        return "■", "bad", f"HALTED: {status.engine.reason}"
    if not status.alarms:
        return "✓", "good", f"{len(status.slots)} slots, all is well"
    worst, count = status.alarms[0], len(status.alarms)
    lamp = ALARM_LAMPS.get(worst.symptom, "■")
    text = worst.text if worst.text.startswith(worst.symptom) else f"{worst.symptom}: {worst.text}"
    more = f"   1 of {count}" if count > 1 else ""
    return lamp, "bad" if lamp == "■" else "warn", text + more


def footer(view: View, mode: str, note: str, width: int) -> Line:
    """The mode word, key hints that act now, and on the right what was typed or went wrong."""
    head = [(0, f" {mode} ", "title"), (0, "│", "dim")]
    right = [(1, f" {note} ", "warn")] if note else []
    if mode != "NORMAL":
        hint = f"body held {span(view.now - (view.held_at or view.now))}, header live"
        if mode == "COMMAND":
            hint = "Tab completes  Up history  Enter runs  Esc leaves"
        return spread([*head, (2, f" {hint}", "dim")], right, width)
    for i, row in enumerate(row for row in table() if row.hint and view.acts(row.when)):
        rank = 1 if row.hint in ("command", "help") else 3 + i
        head.append((rank, f" {row.keys[0].replace(' ', '')} {row.hint} ", "dim"))
    if view.slots:
        right.append((2, f" {view.index + 1} of {len(view.slots)} ", "dim"))
    return spread(head, right, width)


def summary(view: View, width: int) -> list[Line]:
    """All that fits on a terminal too small for a table."""
    rows = [*header(view, width), alarm(view, width)]
    if view.live is not None:
        profit, (lamp, style) = view.live.profit, LAMPS[view.state]
        rows.append([(f" {lamp} {view.state} ", style), badge(view.live.mode)[1:]])
        rows.append([(" P&L ", "dim"), amount(profit.realised + profit.write_offs)])
        rows.append([(" open ", "dim"), amount(profit.unrealised)])
    return [*rows, [(" the table needs 60x18", "dim")]]
