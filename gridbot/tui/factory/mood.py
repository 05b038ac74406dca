"""How the whole floor feels: how fast it may move, its colour, and what is written across it.

A floor that trades is as well as its worst symptom.
"""

from typing import NamedTuple

from gridbot.tui.cells import Line, clean, clock, span
from gridbot.tui.factory import panels
from gridbot.tui.factory.contract import Scene
from gridbot.tui.symptoms import Symptom, dead, old_seconds, symptoms

STOPPING = ("RISK", "EXCHANGE", "DISK")  # while one of them is told, no entry is placed
TROUBLES = (*STOPPING, "DRIFT", "QUARANTINED", "PARKED", "UNKNOWN", "EXIT_WAITS")


class Mood(NamedTuple):
    """``pace``: 1 at full speed, 0 still. ``flow``: how fast the power line runs. ``tint``: words
    whose ink everything takes, empty for none. ``line`` and ``line_words``: the power line;
    ``particle``: what runs on it, sparks when orders wait for capacity; ``blinks``: once a second
    the words are seen the other way round."""

    pace: float
    flow: float
    tint: str
    line: str
    line_words: str
    text: str = ""
    text_words: str = ""
    particle: str = "•"
    particle_words: str = "warn bold"
    blinks: bool = False


FRESH = Mood(1.0, 1.0, "", "═", "warn faint")


def mood_of(scene: Scene, waited: float) -> Mood:
    """The mood of a scene; ``waited``: real seconds since the floor was opened."""
    mood = _power(scene, waited)
    if mood.pace and scene.status is not None and (trouble := trouble_of(scene)) is not None:
        mood = _troubled(mood, trouble)
    alarms = () if scene.status is None else scene.status.alarms
    if mood.flow and any(one.symptom == "CAPACITY" for one in alarms):
        return mood._replace(particle="✶", particle_words="bad bold")
    return mood


def written(mood: Mood, width: int, on_line: bool, turned: bool) -> list[Line]:
    """What the mood has to say: a few words for the power line, or a box where no machine stands;
    ``turned``: what blinks is seen the other way round."""
    if not mood.text:
        return []
    if not on_line:
        return panels.banner(mood.text, width, mood.text_words)
    shown = clean(mood.text)[: max(width - 6, 0)]
    reverse = " reverse" if mood.blinks and turned else ""
    return [[(f" {shown} ", f"{mood.text_words} bold{reverse}")]]


def trouble_of(scene: Scene) -> Symptom | None:
    """The worst symptom, if it is one that a trading floor must show."""
    worst = symptoms(scene.status, scene.state, scene.price_age_seconds)[0]
    slight = worst.name == "DRIFT" and scene.status is not None and not any(
        one.badge == "red" for one in scene.status.balances.values()
    )  # fmt: skip
    return worst if worst.name in TROUBLES and not slight else None


def _troubled(mood: Mood, trouble: Symptom) -> Mood:
    stops, words = trouble.name in STOPPING, trouble.severity
    of_slot = "" if trouble.slot is None else f" slot {trouble.slot}"
    text = mood.text or f"{trouble.lamp} {trouble.name.replace('_', ' ')}{of_slot}"
    pace = 0.0 if stops else min(mood.pace, 0.5)
    return mood._replace(
        pace=pace, flow=min(mood.flow, pace), line="╌" if stops else mood.line, line_words=words,
        text=text, text_words=mood.text_words if mood.text else words,
    )  # fmt: skip


def _power(scene: Scene, waited: float) -> Mood:
    status, age, blank = scene.status, scene.price_age_seconds, " "
    if status is None:
        text = f"waiting for the first snapshot, {span(waited)}"
        return Mood(0.0, 0.0, "", "╌", "dim", text, "dim")
    if scene.state == "halted":
        text = f"HALTED {status.engine.reason}"
        return Mood(0.0, 0.0, "bad", blank, "bad", text, "bad", blinks=True)
    if scene.state == "gone":
        text = f"engine gone; last picture {clock(scene.engine_now)}"
        return Mood(0.0, 0.0, "dim", blank, "bad", text, "bad")
    if scene.state == "paused":
        return Mood(0.0, 0.0, "warn", "╌", "warn", "PAUSED", "warn")
    if dead(status, age):
        return Mood(0.0, 0.0, "dim", blank, "bad", f"PRICE {span(age)} OLD", "bad")
    text = "" if status.slots else panels.NO_SLOTS
    if scene.state == "draining":
        return Mood(0.5, 0.5, "", "═", "warn", text, "text")
    ageing_seconds, dead_seconds = old_seconds(status)
    if age > ageing_seconds:
        share = min((age - ageing_seconds) / (dead_seconds - ageing_seconds), 1.0)
        return Mood(0.5, 0.5 - 0.375 * share, "", "─", "warn", text, "text")
    return FRESH._replace(text=text, text_words="text")
