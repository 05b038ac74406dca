"""What the operator's keys do: one mode at a time, questions before risky acts, answers told.

NORMAL reads the key map, COMMAND edits the bar, CONFIRM takes the word on a question, HELP and
MESSAGES scroll. Nothing but ``:q`` sets ``leaving``. Without Textual: the deck feeds keys and
``tick``s in, and draws what it finds here.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from gridbot import __version__
from gridbot.core.records import Ack
from gridbot.core.settings import Settings
from gridbot.engine.actions import Action, CommandError, default_args, key_map, parse
from gridbot.engine.client import EngineClient
from gridbot.tui.cells import Line, clock
from gridbot.tui.command_line import CommandLine
from gridbot.tui.dialogs import Question, Reader, Toasts, help_rows, question_for
from gridbot.tui.keys import Chords, Press
from gridbot.tui.sending import Sender
from gridbot.tui.view import View

REFRESH_GUARD_SECONDS = 2.0
REPEAT_SECONDS = 0.3  # a held key acts once; only moves repeat
MESSAGES_MAX = 200
LEDGER_ROWS = 5
LEAVE_HINT = "q goes one level back; :q leaves gridbot"
NO_SLOTS_HINT = "E30: no slots yet: + adds one"
OUTDATED = "the dialog closed: what it asked about has changed"


class Controls:
    """The operator's side of the screen. ``now`` gives epoch seconds."""

    def __init__(self, client: EngineClient, settings: Settings, now: Callable[[], float]) -> None:
        self.client, self.now = client, now
        self.view = View(settings, now())
        self.sender = Sender(client, self.note, self._answered)
        self.chords, self.line, self.toasts = Chords(key_map()), CommandLine(), Toasts()
        self.messages: deque[str] = deque(maxlen=MESSAGES_MAX)
        self.question: Question | None = None
        self.reader: Reader | None = None
        self.commanding = self.leaving = False
        self.redrawing = False  # the deck paints every cell again, and takes it back
        self.pane: bool | None = None  # None: as the width suggests
        self.pane_shown, self.page_rows = False, 10  # told by the deck
        self._ledger_of: tuple[int, int] | None = None
        self._refreshed_at = 0.0
        self._acted = "", 0.0
        self._before_digits: int | None = None
        self._presses = 0
        self._typed = "", 0  # a command under way, and the presses till then

    @property
    def mode(self) -> str:
        if self.question is not None:
            return "CONFIRM"
        if self.reader is not None:
            return self.reader.title
        return "COMMAND" if self.commanding else "NORMAL"

    @property
    def footnote(self) -> str:
        """What was wrong with a command, or the keys that wait."""
        return self.line.error if self.commanding else self.chords.pending

    def note(self, text: str, severity: str, replaces: str = "") -> None:
        """A toast that is also kept among the messages; none without a text."""
        if text:
            self.toasts.add(text, severity, self.now(), replaces)
            self._keep(self.now(), text)

    def _keep(self, at: float, text: str) -> None:
        self.messages.append(f"{clock(at)}  {text}")

    def tick(self) -> None:
        now, view = self.now(), self.view
        self.note(view.take(self.client.status(), now), "warn")
        view.waits_for, view.link = self.client.waits_for, self.client.link
        if self.question is not None and view.live is not None and self.question.outdated(view):
            self.question = None
            self.note(OUTDATED, "warn")
        for event in self.client.events(view.last_event.id if view.last_event else 0):
            view.last_event = event
            self._keep(event.at, event.text)
        for part in (self.sender.check, self.toasts.expire, self.chords.expire):
            part(now)
        self.settle()

    def settle(self) -> None:
        """Hold the body while something is open over it; read the ledger of a new picture."""
        self.note(self.view.hold(self.mode != "NORMAL"), "warn")
        slot, body = self.view.slot, self.view.body
        if slot is not None and body is not None and self.pane_shown:
            if self._ledger_of != (slot.id, body.seq):
                self.view.ledger = self.client.ledger(slot.id, LEDGER_ROWS)
            self._ledger_of = (slot.id, body.seq)

    def press(self, key: str) -> None:
        self._presses += 1
        self.view.now = self.now()
        if self.question is not None:
            self._answer(self.question, key)
        elif self.reader is not None:
            self.reader = self.reader if self.reader.key(key, self.page_rows) else None
        elif self.commanding:
            self._edit(key)
        elif (press := self.chords.feed(key, self.now())) is not None:
            self._pressed(press)
        self.settle()

    def paste(self, text: str) -> None:
        """Pasted text goes into the bar; elsewhere it is no key press."""
        if self.mode == "COMMAND":
            self.line.insert(text)

    def _answer(self, question: Question, key: str) -> None:
        yes = question.key(key, self.now())
        if yes is None:
            return
        self.question, self._typed = None, (self._typed[0], self._presses)
        if yes:
            self.sender.send(question.row, question.args, self.now())

    def _pressed(self, press: Press) -> None:
        view = self.view
        if not press.actions:  # a digit: its slot is selected at once
            self._before_digits = view.selected if press.fresh else self._before_digits
            view.select(press.number or 0)
            return
        row = next((one for one in press.actions if view.acts(one.when)), None)
        if row is None:
            self.note(NO_SLOTS_HINT, "warn")
            return
        count = {"count": press.number} if row.counts and press.number else {}
        if press.number is not None and row.counts:
            view.select(self._before_digits or 0)
        (last, at), self._acted = self._acted, (row.id, self.now())
        if row.engine and last == row.id and 0 <= self.now() - at < REPEAT_SECONDS:
            return
        try:
            self._start(row, {**default_args(row, view.scene), **count})
        except CommandError as error:
            self.note(str(error), "bad")

    def _start(self, row: Action, args: dict[str, Any]) -> None:
        if row.local:
            getattr(self, f"_do_{row.local}")(**args)
            return
        self.question = question_for(row, args, self.view)
        if self.question is None:
            self.sender.send(row, args, self.now())

    def _edit(self, key: str) -> None:
        line = self.line
        if key == "Esc" or (key in ("Backspace", "^h", "Enter") and not line.text.strip()):
            self.commanding = False
        elif key == "Enter":
            self._submit(line.text.strip())
        elif key == "^c":
            self._do_leave_hint()
        else:
            line.key(key)

    def _submit(self, text: str) -> None:
        self.line.remember(text)
        try:
            row, args = parse(text, self.view.scene)
        except CommandError as error:
            self.line.error = str(error)
            self._keep(self.now(), f":{text}  {error}")
            return
        self.commanding, self._typed = False, (text, self._presses)
        self._start(row, args)

    def _answered(self, row: Action, args: dict[str, Any], ack: Ack) -> None:
        """The engine's answer: a question, or a refusal that brings the command back.
        The bar opens again only if nothing was pressed since, so that no key lands in it unseen.
        """
        if ack.code == "confirm":
            self.question = question_for(row, args, self.view, ack.message)
            return
        (typed, presses), self._typed = self._typed, ("", 0)
        if not ack.ok and typed and presses == self._presses and self.mode == "NORMAL":
            self.commanding = True
            self.line.open(typed, f"{ack.code}: {ack.message}")

    def _do_move(self, by: int, count: int = 1) -> None:
        self.view.move(by * count)

    def _do_page(self, halves: int, count: int = 1) -> None:
        self._do_move(max(self.page_rows // 2, 1), halves * count)

    def _do_last(self, count: int | None = None) -> None:
        if count is None:
            self.view.move(len(self.view.slots))
        elif not self.view.select(count):
            self.note(f"E30: no slot {count}", "bad")

    def _do_jump(self, slot: int) -> None:
        self.view.select(slot)

    def _do_detail(self) -> None:
        self.pane = not self.pane_shown

    def _do_command(self) -> None:
        self.commanding = True
        self.line.open()

    def _do_help(self) -> None:
        self.reader = Reader("HELP", help_rows())

    def _do_messages(self) -> None:
        rows: list[Line] = [[(f" {text}", "text")] for text in self.messages]
        self.reader = Reader("MESSAGES", rows or [[(" nothing yet", "dim")]], at_end=True)

    def _do_version(self) -> None:
        self.note(f"gridbot {__version__}", "info")

    def _do_refresh(self) -> None:
        ago = self.now() - self._refreshed_at
        if 0 <= ago < REFRESH_GUARD_SECONDS:
            self.note(f"E18: refreshed {ago:.0f}s ago", "info")
        else:
            self._refreshed_at = self.now()
            self.tick()
            self.note("refreshed", "good")

    def _do_back(self) -> None:
        if self.pane:
            self.pane = None
        else:
            self._do_leave_hint()

    def _do_leave_hint(self) -> None:
        self.note(LEAVE_HINT, "info")

    def _do_leave(self) -> None:
        self.leaving = True

    def _do_redraw(self) -> None:
        self.redrawing = True
