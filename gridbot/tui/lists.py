"""Lists to read over the deck: help, messages, symptoms, history, what the terminal can do."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from gridbot import __version__
from gridbot.engine.actions import Action, CommandError, table
from gridbot.tui.cells import GLYPHS, Line, cell
from gridbot.tui.preferences import themes
from gridbot.tui.reader import CONTINUED, Reader, matching

if TYPE_CHECKING:
    from gridbot.tui.controls import Controls

T = TypeVar("T", str, list[str])
SECTIONS = {
    "move": "MOVE", "views": "VIEWS", "bot": "BOT", "slots": "SLOTS",
    "change": "CHANGE (a filled command)", "app": "SCREEN, COPY AND LEAVE",
}  # fmt: skip
BAR = "Tab S-Tab complete   Right takes the ghost   Up Down history   ^u ^w clear   Esc leaves"
SIGNS = (
    ("  ● ok  ◆ waits  ▲ warning  ■ critical  ○ idle  ✓ calm  » selected", "text"),
    ("  S sticky  C cycle  S0 both entries  S1a S1b one exit  S2 both exits", "text"),
    ("  times of day are UTC; on a simulated market they are its own", "dim"),
)
ONE_LINE_CELLS = 64
QUIT = """\
:q leaves. Nothing else does: not q, not Esc, not Ctrl+C.
attached to an engine: it leaves at once, the engine runs on.
the engine is inside this terminal: it stops with the screen, its state saved, orders stay:
  a simulated market, or no slots: at once
  a paper account: after a word of yours
  a live account: :q is refused; :q! asks, then stops the engine
:stop ends an engine, attached or not; it wants the pair typed.
A connection that breaks (SIGHUP) finishes the step, saves the state and stops; orders stay."""
ERRORS = """\
E01 no such command                       E02 a word is missing
E03 a word too many                       E04 a quote is not closed
E05 no picture of the engine yet          E10 the pair's name is not typed
E11 not a number                          E12 a comma for a decimal point
E13 not a whole number                    E14 out of range
E15 profit under the fee floor            E16 a duration out of range
E17 fps out of range                      E18 too soon again
E19 not one of the words                  E20 paused already
E21 not paused                            E22 halted
E30 no such slot                          E31 no room in the capacity band
E32 all slots in use                      E33 the alias is taken
E34 the slot is being removed             E35 it is of that kind already
E36 not an alias                          E37 live orders: :q! stops the engine
E38 fits more than one                    E40 no exit or recovery waits
E41 no such order waits                   E50 not a governor mode
E51 nothing is suggested                  E52 the suggestion is over
E53 high must be under crit               E54 its slots may not be converted now
E55 several suggestions wait: name one
E60 E61 the ledger's filter               E63 the ledger cannot be read
E70 the file exists                       E71 it cannot be written
E72 no clipboard, saved to a file         E73 nothing to copy
E80 no such view
E81 E82 no such column or key             E83 not found
E84 no such theme                         E85 no such glyphs
E88 not in this view
E90 not a simulation                      E92 no help on that
E93 read-only session                     E95 not with the engine inside
E99 a fault of gridbot's own"""


class Lists:
    """Acts that open a list."""

    def __init__(self, controls: "Controls") -> None:
        self._controls = controls

    def do_help(self, topic: str = "") -> None:
        texts = {"quit": QUIT, "errors": ERRORS, "glyphs": GLYPHS}
        rows = help_rows(self._controls.why_not)
        if topic.lower() in texts:
            rows = [[(f"  {text}", "text")] for text in texts[topic.lower()].splitlines()]
        elif topic:
            rows = _found(rows, topic)
        self._open("HELP", rows)

    def do_keys(self, text: str = "") -> None:
        why_not = self._controls.why_not
        rows = [line for row in table() if row.keys for line in _rows(row, why_not(row))]
        self._open("KEYS", _found(rows, text))

    def do_messages(self) -> None:
        rows: list[Line] = [[(f" {text}", "text")] for text in self._controls.messages]
        self._open("MESSAGES", rows, at_end=True)

    def do_history(self) -> None:
        rows: list[Line] = [[(f" :{text}", "text")] for text in self._controls.line.known]
        self._open("HISTORY", rows, at_end=True)

    def do_symptoms(self) -> None:
        rows: list[Line] = [
            [(f" {one.lamp} {cell(one.name, 18)} ", one.severity), (one.text, "text")]
            for one in self._controls.view.symptoms
        ]
        self._open("SYMPTOMS", rows)

    def do_doctor(self) -> None:
        rows: list[Line] = [
            [(f"  {cell(name, 18)}", "dim"), (os.environ.get(name) or "not set", "text")]
            for name in ("TERM", "COLORTERM", "NO_COLOR", "SSH_CONNECTION", "TMUX", "LANG")
        ]
        look = self._controls.look
        words = list(themes()["mono"])
        rows += [
            [(f"  {cell('colours found', 18)}", "dim"), (self._controls.depth, "text")], [],
            [(f"  theme {look.drawn[0]}   glyphs {look.glyphs}   fps {look.fps}"
              f"   motion {look.motion}", "text")],
            *([("  ", ""), *((f" {word} ", word) for word in part)] for part in _parted(words, 10)),
            *([(f"  {part}", "text")] for part in _parted(GLYPHS, 40)), [],
            [("  Esc feels slow in tmux? set -sg escape-time 10", "dim")],
            [("  copying in tmux wants: set -g set-clipboard on", "dim")],
            [("  frames instead of lines of letters? :glyphs ascii", "dim")],
        ]  # fmt: skip
        self._open("DOCTOR", rows)

    def do_version(self) -> None:
        self._controls.note(f"gridbot {__version__}", "info")

    def _open(self, title: str, rows: list[Line], at_end: bool = False) -> None:
        nothing: list[Line] = [[(" nothing yet", "dim")]]
        self._controls.reader = Reader(title, rows or nothing, at_end)


def _parted(things: T, size: int) -> list[T]:
    return [things[at : at + size] for at in range(0, len(things), size)]


def _found(rows: list[Line], text: str) -> list[Line]:
    found = matching(rows, text)
    if not found:
        raise CommandError("E92", f'no help on "{text}"')
    return found


def help_rows(why_not: Callable[[Action], str] = lambda row: "") -> list[Line]:
    """Keys, commands and signs, from the action table; grey with its reason is what cannot be."""
    rows: list[Line] = []
    for group, title in SECTIONS.items():
        rows += [[(f"  {title}", "title")]]
        for row in table():
            if row.group == group:
                rows += _rows(row, why_not(row))
        rows += [[]]
    rows += [[("  COMMAND BAR", "title")], [(f"  {BAR}", "text")], []]
    return [*rows, [("  SIGNS", "title")], *([one] for one in SIGNS)]


def _rows(row: Action, why_not: str) -> list[Line]:
    """One line, or two where it would be too long for a small terminal."""
    keys = " ".join(key.replace(" ", "") for key in row.keys)
    usage = f":{row.usage}" if row.verbs else ""
    label = f"{row.label}   off: {why_not}" if why_not else row.label
    key = (f"  {keys:<10}", "dim" if why_not else "accent")
    if not usage:
        return [[key, (f" {label}", "dim")]]
    command = (f" {usage:<32} ", "dim" if why_not else "text")
    if len(label) <= ONE_LINE_CELLS - len(command[0]) and len(usage) <= 32:
        return [[key, command, (label, "dim")]]
    return [[key, command], [(CONTINUED + label, "dim")]]
