"""The rows around the body: header, ticker, alarm and footer, written from a View."""

from collections.abc import Callable

from gridbot.engine.actions import Action, table
from gridbot.engine.status import Status
from gridbot.tui.body import VIEWS
from gridbot.tui.cells import Line, Piece, cell, clock, fit, money, span, spread, tone
from gridbot.tui.command_line import CommandLine
from gridbot.tui.view import View

LAMPS = {
    "running": ("●", "good"), "paused": ("▲", "warn"), "draining": ("◆", "warn"),
    "halted": ("■", "bad"), "gone": ("■", "bad"), "waiting": ("○", "dim"),
}  # fmt: skip
BAND_STYLES = {"normal": "good", "caution": "warn", "stop": "warn"}
ARROWS = {1: ("↑", "good"), -1: ("↓", "bad"), 0: ("·", "dim")}
OLD_PRICE_SECONDS = 10
GAUGE_CELLS = 10
USAGE_CELLS = 34


def badge(mode: str) -> Piece:
    """SIM, PAPER or LIVE: always on the screen."""
    return (0, f" {mode.upper()} ", mode)


def header(view: View, width: int) -> list[Line]:
    """Two rows: what is traded and how it goes; drift, capacity, slots."""
    if view.live is not None:
        return [_first_row(view, view.live, width), _second_row(view, view.live, width)]
    left = [(0, " gridbot  ", "title"), badge(view.settings.run.mode)]
    return [spread(left, [(1, f"{view.waited} ", "dim")], width), spread(_tabs(view), [], width)]


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
        (7, f" attached pid {status.engine.pid} " if view.attached else "", "dim"),
    ]  # fmt: skip
    right = [
        (2, f" P&L {money(net, 10)} ", tone(net)),
        (6, f" fees {money(status.profit.fees).lstrip('+')} ", "dim"),
        (7, f" up {span(view.now - status.engine.uptime_since)} ", "dim"),
        (5, f" {clock(view.market_now)} ", "text"),
    ]
    return spread(left, right, width)


def _tabs(view: View) -> list[Piece]:
    """The views, the one that is shown in brackets; the others go where there is no room."""
    shown = [(0, f" [{view.name}]", "title")]
    pieces = [shown[0] if one == view.name else (6, f"  {one} ", "dim") for one in VIEWS]
    return [(0, "", ""), *pieces]


def _second_row(view: View, status: Status, width: int) -> Line:
    bank, band_style = status.capacity, BAND_STYLES[status.capacity.band]
    sticky = sum(slot.kind == "sticky" for slot in status.slots)
    share = bank.used / bank.cap if bank.cap else 0.0
    filled = round(max(0.0, min(share, 1.0)) * GAUGE_CELLS)
    right = [
        (2, f" S {sticky}", "accent"),
        (2, " + ", "dim"),
        (2, f"C {len(status.slots) - sticky} ", "cycle"),
        _drift(status),
        (1, f" cap {bank.used}/{bank.cap} {share:4.0%} ", "text"),
        (4, "▓" * filled + "░" * (GAUGE_CELLS - filled), band_style),
        (1, f" {bank.band.upper()} ", band_style),
        (5, f" speed x{status.engine.speed:g} " if status.mode == "sim" else "", "dim"),
    ]
    return spread(_tabs(view), right, width)


def _drift(status: Status) -> Piece:
    for badge, lamp, style in (("red", "■", "bad"), ("amber", "▲", "warn")):
        found = [(one, asset) for asset, one in status.balances.items() if one.badge == badge]
        if found:
            amounts = ", ".join(f"{one.drift:+} {asset}" for one, asset in found)
            return (3, f" drift {lamp} {amounts} ", style)
    return (3, " drift ● 0 ", "good")


def ticker(view: View, width: int) -> Line:
    """The latest event in plain words, and what the governor would have you do."""
    event, status = view.last_event, view.live
    text, severity = "nothing has happened yet", "dim"
    if event is not None:
        text = f"{clock(event.at)} {event.text}"
        severity = "dim" if event.severity == "info" else event.severity
    pending = 0 if status is None else status.governor.get("pending", 0)
    right: list[Piece] = [(1, f" {pending} suggested: A approves, D drops ", "accent")]
    right = right if pending else []
    room = max(width - sum(len(one[1]) for one in right) - 2, 0)
    return spread([(0, f" {cell(text, min(len(text), room))}", severity)], right, width)


def alarm(view: View, width: int) -> Line:
    """The worst symptom, or that all is calm; on the right the orphan pressure."""
    symptoms, status = view.symptoms, view.live
    worst, count = symptoms[0], len(symptoms)
    text = worst.text if worst.severity == "good" else f"{worst.name}: {worst.text}"
    if view.link:
        text = f"{view.link}; last picture {clock(view.market_now)}"
    left: list[Piece] = [(0, f" {worst.lamp} {text} ", worst.severity)]
    if count > 1:
        left.append((2, f"  1 of {count}, ! next ", "dim"))
    right: list[Piece] = []
    if status is not None and "pressure" in status.governor:
        pressure = float(status.governor["pressure"])
        filled = round(max(0.0, min(pressure, 1.0)) * GAUGE_CELLS)
        gauge = "▓" * filled + "░" * (GAUGE_CELLS - filled)
        right = [(1, f" pressure {pressure:.2f} {gauge} ", "dim")]
    return spread(left, right, width)


def window_title(view: View) -> str:
    """Mode, pair and the worst lamp, for the terminal's title."""
    status = view.live
    if status is None:
        return "gridbot"
    return f"gridbot {status.mode.upper()} {status.pair.name} {view.symptoms[0].lamp} {view.state}"


def footer(view: View, mode: str, note: str, seen: str, width: int) -> Line:
    """The mode word, key hints that act now, and on the right what was typed or went wrong, and
    which machines are ``seen`` where not all are."""
    head: list[Piece] = [(0, f" {mode} ", "title"), (0, "│", "dim")]
    room = max(width - sum(len(text) for _, text, _ in head) - 2, 0)
    right: list[Piece] = [(0, f" {cell(note, min(len(note), room))} ", "warn")] if note else []
    if mode != "NORMAL":
        hint = f"body held {span(view.now - (view.held_at or view.now))}, header live"
        if mode == "COMMAND" and not note:
            hint = "Tab next  Right takes the ghost  Up history  Enter runs  Esc leaves"
        return spread([*head, (2, f" {hint}", "dim")], right, width)
    hints = [row for row in table() if row.hint and (not row.where or view.name in row.where)]
    for i, row in enumerate(row for row in hints if view.look.hints and view.acts(row.when)):
        rank = 1 if row.hint in ("command", "help") else 3 + i
        head.append((rank, f" {row.keys[0].replace(' ', '')} {row.hint} ", "dim"))
    if view.slots:
        right.append((2, f" {seen or f'{view.index + 1} of {len(view.slots)}'} ", "dim"))
    return spread(head, right, width)


def choices(
    line: CommandLine, view: View, why_not: Callable[[Action], str], width: int
) -> list[Line]:
    """At most five ways the command can go on, each with the value in force or why it cannot be."""
    rows: list[Line] = []
    for i, (_, row) in enumerate(line.completions):
        why = why_not(row)
        mark = "»" if i == line.choice else " "
        usage = (f"{mark}{cell(row.usage, USAGE_CELLS)} ", "accent bar")
        label = f"{row.label}   {f'off: {why}' if why else _in_force(row, view)}".ljust(width)
        rows.append(fit([usage, (label, "dim bar" if why else "text bar")], width))
    return rows


def _in_force(row: Action, view: View) -> str:
    status = view.live
    if row.id == "set.profit" and status is not None:
        floor, fee = status.settings.fee_floor_pct, status.settings.fee_source
        return f"now {status.settings.profit_pct}, fee floor {floor} ({fee})"
    for place in (view.look, None if status is None else status.settings):
        if row.now and (value := getattr(place, row.now, None)) is not None:
            return f"now {value}"
    return ""


def summary(view: View, width: int) -> list[Line]:
    """One line for a terminal too small for a view: pair, price, mode, the worst symptom."""
    status, worst = view.live, view.symptoms[0]
    if status is None:
        return [spread([badge(view.settings.run.mode), (1, f" {view.waited}", "dim")], [], width)]
    mid, (lamp, style) = status.price.mid, LAMPS[view.state]
    price = "-" if mid is None else f"{mid:.{max(status.pair.price_decimals, 0)}f}"
    left: list[Piece] = [
        badge(status.mode), (3, f" {status.pair.name}", "title"), (2, f" {price}", "text"),
        (4 if view.state == "running" else 0, f" {lamp} {view.state}", style),
        (5 if worst.severity == "good" else 1, f" {worst.lamp} {worst.text}", worst.severity),
    ]  # fmt: skip
    return [spread(left, [], width)]
