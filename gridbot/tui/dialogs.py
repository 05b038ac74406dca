"""What lies over the deck: the question before a risky act, toasts, lists to read. Pure text.

A question defaults to nothing: only its own keys count, and none in the first quarter second, so
that a key meant for the deck cannot answer it.
"""

from collections.abc import Sequence
from decimal import Decimal
from textwrap import wrap
from typing import Any

from gridbot.core.numbers import HUNDRED
from gridbot.engine.actions import Action, table
from gridbot.engine.status import Status
from gridbot.tui.cells import Line, fit, length, money, window
from gridbot.tui.view import View

DEAF_SECONDS = 0.25
BIG_CHANGE_PCT = 50
MANY_SLOTS = 3
TOASTS_MAX = 3
TOAST_SECONDS = {"info": 4.0, "good": 4.0, "warn": 6.0, "bad": 8.0}
LAMPS = {"info": "·", "good": "✓", "warn": "▲", "bad": "■"}
DIALOG_CELLS = 64
SIGNS = (
    ("  ● ok  ◆ waits  ▲ warning  ■ critical  ○ idle  ✓ calm  » selected", "text"),
    ("  S sticky  C cycle  S0 both entries  S1a S1b one exit  S2 both exits", "text"),
    ("  times of day are UTC; on a simulated market they are its own", "dim"),
)
PLACES = {"sim": "SIM market", "paper": "PAPER account", "live": "LIVE account"}


class Question:
    """An act that waits for the operator's word."""

    def __init__(self, row: Action, args: dict[str, Any], lines: Sequence[str], view: View) -> None:
        status = view.live
        assert status is not None, "a question is about what is on the screen"
        self.row, self.args = row, args
        self.text = row.ask.format_map(_words(args, status))
        self.lines = [*lines, f"{PLACES[status.mode]}, {status.pair.name}"]
        self.word = status.pair.name if row.confirm == "typed" else ""
        self.yes, self.no = ("y", "n") if row.confirm == "low" else ("Enter", "Esc")
        self.typed = self.error = ""
        self.opened_at = view.now

    def key(self, name: str, now: float) -> bool | None:
        """True: do it; False: leave it; None: not answered yet."""
        if 0 <= now - self.opened_at < DEAF_SECONDS:
            return None
        if name in ("Esc", self.no):
            return False
        if name in ("Enter", self.yes):
            if self.typed == self.word:
                return True
            self.error = f"E10: type {self.word} to go on"
        elif self.word and name == "Backspace":
            self.typed = self.typed[:-1]
        elif self.word and len(name) == 1:
            self.typed = (self.typed + name)[: len(self.word)]
        else:
            self.opened_at = now  # text meant for elsewhere: its Enter must not say yes
        return None

    def outdated(self, view: View) -> bool:
        """Whether what it asks about is no longer there."""
        status = view.live
        assert status is not None
        halted = status.engine.state == "halted" and self.row.id != "bot.resume"
        return halted or self.args.get("slot") not in {None, *(slot.id for slot in status.slots)}

    def draw(self, width: int) -> list[Line]:
        rows: list[Line] = [[], *_wrap(self.text, width - 6, "title"), []]
        rows += [row for one in self.lines for row in _wrap(one, width - 6, "text")] + [[]]
        if self.word:
            asked = [("  type ", "dim"), (self.word, "title"), (": ", "dim")]
            rows += [[*asked, (self.typed, "text"), ("▓", "accent")], [(f"  {self.error}", "bad")]]
        yes, no = f"  {self.yes}  {self.row.yes}", f"     {self.no}  {self.row.no}"
        return box("CONFIRM", [*rows, [(yes, "accent"), (no, "text")], []], width)


def question_for(
    row: Action, args: dict[str, Any], view: View, reason: str = ""
) -> Question | None:
    """The question an act must pass first, or None; the engine's own is about its ``reason``."""
    if reason:
        return Question(row, {**args, "force": True}, [reason, ""], view)
    status = view.live
    if row.confirm == "none" or status is None or not _risky(row, args, status):
        return None
    words = _words(args, status)
    return Question(row, args, [line.format_map(words) for line in row.detail], view)


def _risky(row: Action, args: dict[str, Any], status: Status) -> bool:
    if row.confirm_if == "many_or_caution":
        return args.get("count", 1) > MANY_SLOTS or status.capacity.band == "caution"
    if row.confirm_if == "big_change":
        old, new = getattr(status.settings, row.now), Decimal(args["value"])
        return bool(abs(new - old) * HUNDRED > BIG_CHANGE_PCT * old)
    return True


def _words(args: dict[str, Any], status: Status) -> dict[str, object]:
    bank, settings = status.capacity, status.settings
    words: dict[str, object] = {
        "orders": bank.used, "band": bank.band.upper(), "headroom": bank.headroom,
        "quote": status.pair.quote, "count": 1, "kind": "default",
        "entry_pct": settings.entry_pct, "profit_pct": settings.profit_pct, **args,
    }  # fmt: skip
    for slot in status.slots:
        if slot.id == args.get("slot"):
            words |= {
                "slot": f"{slot.id} {slot.alias}".strip() + f" [{slot.kind[:1].upper()}]",
                "slot_orders": len(slot.orders), "slot_recoveries": len(slot.recoveries),
                "slot_unrealised": money(slot.unrealised), "slot_realised": money(slot.realised),
                "slot_trips": slot.round_trips,
            }  # fmt: skip
    return words


def _wrap(text: str, width: int, style: str) -> list[Line]:
    rows = wrap(text, max(width, 1), break_on_hyphens=False) or [""]
    return [[(f"  {row}", style)] for row in rows]


def box(title: str, rows: Sequence[Line], width: int, style: str = "accent") -> list[Line]:
    inner = width - 2
    head = f"─ {title} "[:inner] if title else ""
    side = ("│", style)
    return [
        [(f"┌{head:─<{max(inner, 0)}}┐", style)],
        *([side, *fit(row, inner), side] for row in rows), [(f"└{'─' * inner}┘", style)],
    ]  # fmt: skip


class Toasts:
    """At most three short notices; the same text again counts up instead of standing twice."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str, float, int]] = []  # text, severity, until, times

    def add(self, text: str, severity: str, now: float, replaces: str = "") -> None:
        """Show ``text``; it takes the place of the notice ``replaces``."""
        times = next((one[3] for one in self.shown if one[0] == text), 0) + 1
        kept = [one for one in self.shown if one[0] not in (text, replaces)]
        until = now + TOAST_SECONDS[severity]
        self.shown = [*kept, (text, severity, until, times)][-TOASTS_MAX:]

    def expire(self, now: float) -> None:
        self.shown = [one for one in self.shown if one[2] > now]

    def draw(self, width: int) -> list[Line]:
        rows: list[Line] = []
        for text, severity, _, times in self.shown:
            again = f" x{times} " if times > 1 else " "
            rows.append([(f" {LAMPS[severity]} ", f"{severity} bar"), (text + again, "text bar")])
        size = min(max(map(length, rows), default=0), width - 4)
        return box("", [fit(row, size) for row in rows], size + 2, "dim") if rows else []


class Reader:
    """A list to read: help, messages. Scrolls, closes, nothing else."""

    def __init__(self, title: str, rows: list[Line], at_end: bool = False) -> None:
        self.title, self.rows = title, rows
        self.first = len(rows) if at_end else 0

    def key(self, name: str, page: int) -> bool:
        """Scroll; False when it should close."""
        steps = {"j": 1, "Down": 1, "k": -1, "Up": -1, "PgDn": page, "^d": page // 2,
                 "PgUp": -page, "^u": -page // 2, "Home": -10**6, "End": 10**6,
                 "G": 10**6, "Space": page}  # fmt: skip
        self.first = max(0, min(self.first + steps.get(name, 0), len(self.rows)))
        return name not in ("Esc", "?", "q", "Enter")

    def draw(self, width: int, height: int) -> list[Line]:
        room = max(height - 2, 1)
        self.first = window(self.first, self.first, room, len(self.rows))
        shown = self.rows[self.first :][:room]
        span = f"{self.first + 1} to {self.first + len(shown)} of {len(self.rows)}"
        return box(f"{self.title} · {span} · Esc closes", shown, width)


def help_rows() -> list[Line]:
    """Keys, commands and signs, from the action table."""
    rows: list[Line] = []
    for group, title in (("move", "MOVE"), ("bot", "BOT"), ("slots", "SLOTS"), ("app", "SCREEN")):
        rows += [[(f"  {title}", "title")]]
        for row in table():
            if row.group == group:
                keys = " ".join(key.replace(" ", "") for key in row.keys)
                usage = (f"{f':{row.usage}' if row.verbs else '':<28}", "text")
                rows += [[(f"  {keys:<12}", "accent"), usage, (row.label, "dim")]]
        rows += [[]]
    return [*rows, [("  SIGNS", "title")], *([one] for one in SIGNS)]
