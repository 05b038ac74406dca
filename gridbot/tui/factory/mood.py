"""How the whole floor feels: how fast it may move, its colour, and what is written across it."""

from typing import NamedTuple

from gridbot.tui.cells import clock, span
from gridbot.tui.factory.contract import Scene
from gridbot.tui.factory.panels import NO_SLOTS
from gridbot.tui.symptoms import dead, old_seconds


class Mood(NamedTuple):
    """``pace``: 1 at full speed, 0 still. ``flow``: how fast the power line runs. ``tint``: words
    whose ink everything takes, empty for none. ``line`` and ``line_words``: the power line;
    ``particle``: what runs on it, sparks when orders wait for capacity."""

    pace: float
    flow: float
    tint: str
    line: str
    line_words: str
    text: str = ""
    text_words: str = ""
    particle: str = "•"
    particle_words: str = "warn bold"


FRESH = Mood(1.0, 1.0, "", "═", "warn faint")


def mood_of(scene: Scene, waited: float) -> Mood:
    """The mood of a scene; ``waited``: real seconds since the floor was opened."""
    mood = _power(scene, waited)
    alarms = () if scene.status is None else scene.status.alarms
    if mood.flow and any(one.symptom == "CAPACITY" for one in alarms):
        return mood._replace(particle="✶", particle_words="bad bold")
    return mood


def _power(scene: Scene, waited: float) -> Mood:
    status, age, blank = scene.status, scene.price_age_seconds, " "
    if status is None:
        text = f"waiting for the first snapshot, {span(waited)}"
        return Mood(0.0, 0.0, "", "╌", "dim", text, "dim")
    if scene.state == "halted":
        return Mood(0.0, 0.0, "bad", blank, "bad", f"HALTED {status.engine.reason}", "bad")
    if scene.state == "gone":
        text = f"engine gone; last picture {clock(scene.engine_now)}"
        return Mood(0.0, 0.0, "dim", blank, "bad", text, "bad")
    if scene.state == "paused":
        return Mood(0.0, 0.0, "warn", "╌", "warn", "PAUSED", "warn")
    if dead(status, age):
        return Mood(0.0, 0.0, "dim", blank, "bad", f"PRICE {span(age)} OLD", "bad")
    text = "" if status.slots else NO_SLOTS
    if scene.state == "draining":
        return Mood(0.5, 0.5, "", "═", "warn", text, "text")
    ageing_seconds, dead_seconds = old_seconds(status)
    if age > ageing_seconds:
        share = min((age - ageing_seconds) / (dead_seconds - ageing_seconds), 1.0)
        return Mood(0.5, 0.5 - 0.375 * share, "", "─", "warn", text, "text")
    return FRESH._replace(text=text, text_words="text")
