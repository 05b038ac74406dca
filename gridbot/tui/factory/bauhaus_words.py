"""The written rows of the Bauhaus picture: the chosen slot, the engine, and what stopped the floor.

The engine's state is on every picture, however small, so that a stopped bot cannot hide. What does
not fit is left out, the least important first.
"""

from collections.abc import Sequence

from gridbot.tui.cells import Piece, clean, money, span, spread
from gridbot.tui.factory.bauhaus_still import Look, profit_of
from gridbot.tui.factory.canvas import Canvas
from gridbot.tui.factory.contract import Scene
from gridbot.tui.symptoms import symptoms

LAMPS = {"running": "● Running", "paused": "▲ PAUSED", "draining": "▲ DRAINING",
         "halted": "■ HALTED", "gone": "■ ENGINE GONE", "waiting": "○ waiting"}  # fmt: skip
SIGNS = {"bad": "■ ", "warn": "▲ ", "info": "◆ ", "good": "✓ "}


def draw_words(canvas: Canvas, look: Look) -> None:
    """The row of the chosen slot with the worst symptom, and the row of the engine."""
    scene, layout = look.scene, look.layout
    worst = symptoms(scene.status, scene.state, scene.price_age_seconds)[0]
    alarm = f" {SIGNS[worst.severity]}{clean(worst.text)} "
    alarm_words = {"bad": "structure on-s2 bold", "warn": "structure on-frame bold"}
    words = alarm_words.get(worst.severity, f"structure {look.ground}")
    if layout.details:
        _line(canvas, canvas.height - 2, _details(scene), [(0, alarm, words)], look.ground)
    left = _engine(scene)
    if not layout.details and worst.severity != "good":
        left.insert(1, (2, alarm, words))
    keys = [(8, " b factory  : cmd  ? help ", "")] if layout.details else []
    _line(canvas, canvas.height - 1, left, keys, look.ground)


def _line(
    canvas: Canvas, y: int, left: Sequence[Piece], right: Sequence[Piece], ground: str
) -> None:
    x = 0
    for text, words in spread(left, right, canvas.width):
        canvas.text(x, y, text, words or f"structure {ground}")
        x += len(text)


def _details(scene: Scene) -> list[Piece]:
    slots = scene.status.slots if scene.status else ()
    slot = next((one for one in slots if one.id == scene.selected), None)
    if slot is None:
        return [(1, " no slot is selected", "")]
    waits = ", ".join(f"{one.trade} waits: {one.reason}" for one in slot.waiting)
    state = "  quarantined" if slot.quarantined else "  paused" if slot.paused else ""
    return [
        (1, f" » {slot.id} {clean(slot.alias)} ", ""),
        (2, f" [{slot.kind[:1].upper()}] {slot.kind}  {slot.phase}{state} ", ""),
        (3, f" net {money(slot.realised + slot.write_offs)}  open {money(slot.unrealised)} ", ""),
        (5, f" {len(slot.orders)} orders  {len(slot.recoveries)} orphans ", ""),
        (6, f" A.{slot.cycle_a} B.{slot.cycle_b} ", ""),
        (4, f" {clean(waits)} " if waits else "", ""),
    ]


def _engine(scene: Scene) -> list[Piece]:
    status, state = scene.status, scene.state
    lamp = LAMPS.get(state, state.upper())
    if status is None:
        return [(0, f" {lamp}: no snapshot yet ", "")]
    if state == "halted":
        lamp += f": {clean(status.engine.reason)}"[:40]
    words = {"running": "", "halted": "structure on-s2 bold"}.get(state, "structure on-canvas bold")
    mid, bank = status.price.mid, status.capacity
    price = "-" if mid is None else f"{mid:.{max(status.pair.price_decimals, 0)}f}"
    arrow = {1: "↑", -1: "↓"}.get(scene.direction, "")
    kinds = [slot.kind for slot in status.slots]
    pressure = status.governor.get("pressure")
    return [
        (0, f" {lamp} ", words), (1, f" {clean(status.mode.upper())} ", ""),
        (2, f" {clean(status.pair.name)} {price[:14]}{arrow} ", ""),
        (3, f" age {span(scene.price_age_seconds)} ", ""),
        (4, f" net {money(profit_of(status), 10)} ", ""),
        (5, f" {bank.used}/{bank.cap} {bank.band.upper()} ", ""),
        (6, f" S {kinds.count('sticky')} C {kinds.count('cycle')} ", ""),
        (7, f" press {pressure:.2f} " if isinstance(pressure, float) else "", ""),
    ]  # fmt: skip


def draw_banner(canvas: Canvas, look: Look, blink: bool) -> None:
    """What stopped the floor, on the rim of the membrane, where no order stands."""
    status, state = look.scene.status, look.scene.state
    texts = {"paused": "PAUSED", "draining": "DRAINING", "gone": "NO NEWS FROM THE ENGINE",
             "waiting": "waiting for the first snapshot"}  # fmt: skip
    text = texts.get(state, "")
    if status is not None and state == "halted":
        text = f"HALTED {clean(status.engine.reason)}"
    elif status is not None and not text and look.level == 3:
        text = f"PRICE {span(look.scene.price_age_seconds)} OLD"
    elif status is not None and not text and not status.slots:
        text = "no slots yet: + adds one"
    elif look.trouble is not None and not text:
        text = clean(f"{look.trouble.lamp} {look.trouble.name.replace('_', ' ')}")
    if not text or (state == "draining" and not look.layout.details):
        return
    text = f" {text[: canvas.width - 8]} "
    words = f"structure {look.ground} bold" if blink else "void on-structure bold"
    canvas.text((canvas.width - len(text)) // 2, look.layout.top, text, words)


def lines(scene: Scene, width: int, height: int) -> list[str]:
    """All that matters in as many rows as there are, for a picture too small to be one."""
    status, worst = scene.status, symptoms(scene.status, scene.state, scene.price_age_seconds)[0]
    parts = [LAMPS.get(scene.state, scene.state)]
    if status is not None:
        parts += [status.pair.name, str(status.price.mid or "-"), worst.text,
                  f"{len(status.slots)} slots", f"net {money(profit_of(status), 10)}",
                  f"{status.capacity.used}/{status.capacity.cap} orders"]  # fmt: skip
    rows = [""]
    for part in map(clean, parts):
        if rows[-1] and len(rows[-1]) + 2 + len(part) > width and len(rows) < height:
            rows.append("")
        rows[-1] += ("  " if rows[-1] else "") + part
    return rows
