"""What flies, breaks and blinks in Bauhaus mode: each a function of time, from a bounded queue.

An effect knows when it began and how long it lasts; drawing it late or twice changes nothing.
Inks are black on the membrane and white on the gullet, whatever lies below.
"""

from collections.abc import Callable
from math import sin
from typing import NamedTuple

from gridbot.tui.factory.canvas import Canvas

STEP_SECONDS = 0.125
EFFECTS_MAX, FLIGHTS_MAX = 60, 4
FLIGHT_SECONDS = 6 * STEP_SECONDS
SECONDS = {"placed": 0.25, "fill": 0.875, "morph": 1.0, "dissolve": 0.375, "flight": 1.0,
           "climb": 1.0, "grow": 0.5, "shrink": 0.5}  # fmt: skip
HUES = ("s1b", "rose", "s2")  # orphans, the youngest first


class Effect(NamedTuple):
    """``kind`` is a key of SECONDS; from x, y to to_x, to_y; ``text`` and ``ink`` as it needs."""

    kind: str
    began: float
    x: int
    y: int
    to_x: int = 0
    to_y: int = 0
    text: str = ""
    ink: str = "structure"

    def over(self, now: float) -> bool:
        return now >= self.began + SECONDS[self.kind]


def draw(canvas: Canvas, effect: Effect, now: float, ground: str) -> None:
    """The effect as it looks now; nothing before it begins and after its end."""
    if effect.began <= now and not effect.over(now):
        _DRAWERS[effect.kind](canvas, effect, now - effect.began, ground)


def orphan(
    canvas: Canvas, x: int, y: int, hue: str, twinkle: int, ground: str, tall: bool = True
) -> None:
    """A recovery, three cells wide; ``twinkle`` 0 bold, 1 normal, 2 small."""
    words = f"{hue} {ground}" + (" bold" if twinkle == 0 else "")
    cells = [(x, y, "┼┼+"[twinkle])] + ([(x - 1, y, "╶"), (x + 1, y, "╴")] if twinkle < 2 else [])
    if tall and twinkle == 0:
        cells += [(x, y - 1, "╷"), (x, y + 1, "╵")]
    for at_x, at_y, glyph in cells:
        if canvas.glyph(at_x, at_y) in " │┊":
            canvas.put(at_x, at_y, glyph, words)


def over(canvas: Canvas, x: int, y: int, glyph: str, ink: str, ground: str) -> None:
    """One glyph on the ground that the still layer has there; nothing that says something is
    covered."""
    below = canvas.under(x, y)
    if below == "█":
        canvas.put(x, y, glyph, f"{'void' if ink == 'structure' else ink} on-structure bold")
    elif below and below in " │┊":
        canvas.put(x, y, glyph, f"{ink} {ground} bold")


def _step(age: float) -> int:
    return int(age / STEP_SECONDS)


def _placed(canvas: Canvas, one: Effect, age: float, ground: str) -> None:
    canvas.text(one.x - len(one.text) // 2, one.y, one.text, "void on-structure bold")


def _fill(canvas: Canvas, one: Effect, age: float, ground: str) -> None:
    """The hairline burns to the anchor, the symbol breaks, a filled exit leaves a spark."""
    step, way = _step(age), 1 if one.to_y >= one.y else -1
    if step < 4:
        length = abs(one.to_y - one.y) * (step + 1) // 4
        for dy in range(1, length):
            over(canvas, one.x, one.y + way * dy, "┃", "structure", ground)
        canvas.put(one.x, one.y, one.text, f"structure {ground} bold")
        return
    for dy in range(1, abs(one.to_y - one.y)):
        if (dy + step) % 3 == 0:
            over(canvas, one.x, one.y + way * dy, "∙·:"[step - 4], "structure", ground)
    canvas.text(one.x - 1, one.y, ("∙∙∙", "· ·", " · ")[step - 4], f"structure {ground}")
    if one.ink == "spark":
        over(canvas, one.x, one.to_y, "✶•·"[step - 4], "canvas", ground)


def _morph(canvas: Canvas, one: Effect, age: float, ground: str) -> None:
    """The symbol crosses itself out, becomes a sprite and drifts to where orphans live."""
    step = _step(age)
    if step < 2:
        canvas.put(one.x, one.y, one.text if step == 0 else "x", f"{HUES[0]} {ground} bold")
        return
    share = min((step - 1) / 6, 1.0)
    x = one.x + round((one.to_x - one.x) * share)
    y = one.y + round((one.to_y - one.y) * share)
    orphan(canvas, x, y, HUES[0], 1, ground, tall=False)


def _dissolve(canvas: Canvas, one: Effect, age: float, ground: str) -> None:
    canvas.text(one.x - 1, one.y, ("╶┼╴", " + ", " · ")[_step(age)], f"{one.ink} {ground}")


def _flight(canvas: Canvas, one: Effect, age: float, ground: str) -> None:
    """Eight dots on a curve that bends as its ends tell it to."""
    bend = sin(one.x * 12.9898 + one.y * 78.233 + one.began)
    mid_x, mid_y = (one.x + one.to_x) / 2 + 14 * bend, min(one.y, one.to_y) - 2 - 3 * abs(bend)
    for dot in range(7, -1, -1):
        share = age / FLIGHT_SECONDS - dot * 0.04
        if not 0 <= share <= 1:
            continue
        rest = 1 - share
        x = rest * rest * one.x + 2 * rest * share * mid_x + share * share * one.to_x
        y = rest * rest * one.y + 2 * rest * share * mid_y + share * share * one.to_y
        over(
            canvas, round(x), round(y), "•" if dot < 3 else "∙" if dot < 6 else "·", one.ink, ground
        )


def _climb(canvas: Canvas, one: Effect, age: float, ground: str) -> None:
    canvas.text(one.x, one.y - min(_step(age) // 3, 1), one.text, f"structure {ground} bold")


def _grow(canvas: Canvas, one: Effect, age: float, ground: str) -> None:
    """A new slot, uncovered from its middle outwards; ``to_x`` and ``to_y`` are its size."""
    open_cells = one.to_x * (_step(age) + 1) // 5
    covered = (one.to_x - open_cells + 1) // 2
    for y in range(one.y, one.y + one.to_y):
        canvas.text(one.x, y, "█" * covered, "structure on-void")
        canvas.text(one.x + one.to_x - covered, y, "█" * covered, "structure on-void")


def _shrink(canvas: Canvas, one: Effect, age: float, ground: str) -> None:
    """A slot that is gone: a bar that narrows on its centre line."""
    width = max(1, one.to_x * (4 - _step(age)) // 4)
    y = one.y + one.to_y // 2
    canvas.text(one.x + (one.to_x - width) // 2, y, "━" * width, "canvas on-structure bold")


_DRAWERS: dict[str, Callable[[Canvas, Effect, float, str], None]] = {
    "placed": _placed, "fill": _fill, "morph": _morph, "dissolve": _dissolve, "flight": _flight,
    "climb": _climb, "grow": _grow, "shrink": _shrink,
}  # fmt: skip
