"""The Textual app: one deck of widgets, a clock that polls the engine, the mode that gets the keys.

Every key comes in at one place and goes to the mode that is on: NORMAL (the key map), COMMAND (the
bar), CONFIRM (a question), READ (help, messages). Nothing but ``:q`` leaves. The engine is polled;
it never calls in here.
"""

import asyncio
import signal
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container

from gridbot.core.settings import Settings
from gridbot.engine.actions import (
    Action, CommandError, default_args, key_map, parse,
)  # fmt: skip
from gridbot.engine.client import EngineClient
from gridbot.tui import chrome
from gridbot.tui.cells import Line, cell, clock
from gridbot.tui.command_line import CommandLine
from gridbot.tui.detail import detail
from gridbot.tui.dialogs import DIALOG_CELLS, Question, Reader, Toasts, help_rows, question_for
from gridbot.tui.keys import Chords, Press, key_name
from gridbot.tui.lines import Lines, Overlay, Palette
from gridbot.tui.sending import Sender
from gridbot.tui.table import slots_table
from gridbot.tui.view import View

POLL_SECONDS = 0.25
ACK_POLL_SECONDS = 0.02
REFRESH_GUARD_SECONDS = 2.0
REPEAT_SECONDS = 0.3  # a held key acts once; only moves repeat
MESSAGES_MAX = 200
WIDE_CELLS = 100
TINY_CELLS, TINY_ROWS = 60, 18
LEAVE_HINT = "q goes one level back; :q leaves gridbot"
CLOSED = "the dialog closed: what it asked about has changed"


class Deck(App[None], inherit_bindings=False):
    """gridbot's screen. ``clock`` gives epoch seconds."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "gridbot"

    def __init__(
        self, client: EngineClient, settings: Settings, clock: Callable[[], float] = time.time
    ) -> None:
        super().__init__(ansi_color=True)
        self.clock = clock
        self.view = View(settings, clock())
        self.sender = Sender(client, self.note, self.answered)
        self.client = client
        self.chords = Chords(key_map())
        self.line = CommandLine()
        self.toasts = Toasts()
        self.messages: deque[str] = deque(maxlen=MESSAGES_MAX)
        self.question: Question | None = None
        self.reader: Reader | None = None
        self.commanding = False
        self.pane: bool | None = None  # None: as the width suggests
        self._palette = Palette(settings.tui.theme, settings.tui.glyphs == "ascii")
        self._event_id = 0
        self._ledger_of: tuple[object, ...] = ()
        self._refreshed_at = 0.0
        self._acted: tuple[str, float] = ("", 0.0)
        self._before_digits: int | None = None
        self._keys_pressed = 0
        self._resubmit: tuple[str, int] = ("", 0)

    # --- building -----------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        """Header, body, and the rows at the foot; overlays above."""
        view, paint = self.view, self._palette
        yield Lines(lambda w, h: chrome.header(view, w), paint, "header")
        with Container(id="body"):
            yield Lines(lambda w, h: slots_table(view, w, h), paint, "slots")
            yield Lines(lambda w, h: detail(view, w, h), paint, "detail")
        yield Lines(lambda w, h: chrome.summary(view, w, h), paint, "summary")
        yield Lines(lambda w, h: chrome.capacity(view, w), paint, "capacity")
        yield Lines(lambda w, h: chrome.alarm(view, w), paint, "alarm")
        yield Lines(lambda w, h: [self._command_row(w)], paint, "command")
        yield Lines(
            lambda w, h: chrome.footer(view, self.mode, self._footnote(), w), paint, "footer"
        )
        for name in ("choices", "toasts", "dialog"):
            yield Overlay(lambda w, h: [], paint, name)

    def on_mount(self) -> None:
        """Draw the first frame from what is there, then start the clock."""
        self.poll()
        self.set_interval(POLL_SECONDS, self.poll)
        if not self.is_headless:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGHUP):
                loop.add_signal_handler(number, self.exit)

    def on_resize(self, event: events.Resize) -> None:
        """Choose the layout for the new size."""
        self._arrange(event.size.width, event.size.height)
        self.call_after_refresh(self.draw)

    def _arrange(self, width: int, height: int) -> None:
        wide = width >= WIDE_CELLS
        self.screen.set_class(width < TINY_CELLS or height < TINY_ROWS, "tiny")
        self.screen.set_class(not wide, "narrow")
        self.screen.set_class(wide if self.pane is None else self.pane, "pane")

    # --- the clock ----------------------------------------------------------------------

    def poll(self) -> None:
        """Look at the engine and the clock; draw what changed."""
        now = self.clock()
        lost = self.view.take(self.client.status(), now)
        if lost:
            self.toast(lost, "warn")
        if self.question is not None and self.question.outdated(self.view):
            self.question = None
            self.toast(CLOSED, "warn")
        self._take_events()
        self.sender.check(now)
        self.toasts.expire(now)
        self.chords.expire(now)
        self.draw()

    def _take_events(self) -> None:
        for event in self.client.events(self._event_id):
            self._event_id = max(self._event_id, event.id)
            self.view.last_event = event
            self.messages.append(f"{clock(event.at)}  {event.text}")

    def _take_ledger(self) -> None:
        """The selected slot's last entries; read again only when something happened."""
        slot, body = self.view.slot, self.view.body
        shown = (slot and slot.id, body and body.seq)
        if shown != self._ledger_of and slot is not None and self.screen.has_class("pane"):
            self._ledger_of = shown
            self.view.ledger = self.client.ledger(slot.id, 5)

    def draw(self) -> None:
        """Bring every widget up to date."""
        if self._exit or not self.screen.is_mounted:
            return
        if not self.busy:
            self.view.hold(False)
        self._take_ledger()
        for widget in self.screen.query(Lines):
            if widget.display and not isinstance(widget, Overlay):
                widget.draw()
        self._place_overlays()

    def _place_overlays(self) -> None:
        width, height = self.size
        toasts = self.toasts.draw(width)
        size = sum(len(text) for text, _ in toasts[0]) if toasts else 0
        choices = self._choice_rows(width) if self.commanding else []
        foot = height - 3 - len(choices)
        self._overlay("toasts").place(toasts, width - size, foot - len(toasts), size)
        self._overlay("choices").place(choices, 0, height - 2 - len(choices), width)
        rows: list[Line] = []
        cells = min(DIALOG_CELLS, width)
        if self.question is not None:
            rows = self.question.draw(cells)
        elif self.reader is not None:
            cells = min(100, width)
            rows = self.reader.draw(cells, height - 3)
        top = max((height - len(rows)) // 2, 0)
        self._overlay("dialog").place(rows[:height], (width - cells) // 2, top, cells)

    def _overlay(self, name: str) -> Overlay:
        return self.screen.query_one(f"#{name}", Overlay)

    # --- rows of its own ----------------------------------------------------------------

    @property
    def mode(self) -> str:
        """The mode word."""
        if self.question is not None:
            return "CONFIRM"
        if self.reader is not None:
            return "READ"
        return "COMMAND" if self.commanding else "NORMAL"

    @property
    def busy(self) -> bool:
        """Whether something is open over the body."""
        return self.mode != "NORMAL"

    def _command_row(self, width: int) -> Line:
        if not self.commanding:
            return [("─" * width, "dim")]
        line = self.line
        first = max(0, line.cursor - width + 4)
        text = line.text + " "
        return [
            (":", "accent"),
            (text[first : line.cursor], "title"),
            (text[line.cursor], "title live" if self.view.dimmed else "title cursor"),
            (text[line.cursor + 1 :], "title"),
        ]

    def _choice_rows(self, width: int) -> list[Line]:
        rows: list[Line] = []
        for i, one in enumerate(self.line.completions):
            settings = None if self.view.live is None else self.view.live.settings
            now = f"  now {getattr(settings, one.now)}" if one.now and settings else ""
            mark = "»" if i == self.line.choice else " "
            rows.append(
                [
                    (f"{mark}{cell(one.usage, 30)} ", "accent bar"),
                    (one.label + now + " " * width, "text bar"),
                ]
            )
        return rows

    def _footnote(self) -> str:
        return self.line.error if self.commanding else self.chords.pending

    # --- keys ---------------------------------------------------------------------------

    async def on_event(self, event: events.Event) -> None:
        """Keys and pastes end here; no binding, no focus ever sees one."""
        if isinstance(event, events.Key):
            self._keys_pressed += 1
            self.press(key_name(event.key, event.character))
            self.draw()
        elif isinstance(event, events.Paste):
            if self.commanding:
                self.line.insert(event.text)
                self.draw()
        else:
            await super().on_event(event)

    def press(self, key: str) -> None:
        """Give a key to the mode that is on."""
        self.view.now = self.clock()
        if self.question is not None:
            self._answer(self.question.key(key, self.clock()))
        elif self.reader is not None:
            if not self.reader.key(key, self.size.height - 6):
                self.reader = None
        elif self.commanding:
            self._edit(key)
        else:
            press = self.chords.feed(key, self.clock())
            if press is not None:
                self._pressed(press)

    def _pressed(self, press: Press) -> None:
        view = self.view
        if not press.actions:  # a digit: its slot is selected at once
            self._before_digits = self._before_digits or view.selected
            view.select(press.count or 0)
            return
        row = next((one for one in press.actions if chrome.acts(one.when, view)), None)
        before, self._before_digits = self._before_digits, None
        if row is None:
            self.toast("no slots yet: + adds one", "warn")
            return
        if press.count is not None and row.counts and before is not None:
            view.select(before)
        if not self._repeated(row):
            self.act(row, {"count": press.count} if row.counts and press.count else {})

    def _repeated(self, row: Action) -> bool:
        """Whether a held key is repeating something that should happen once."""
        last, at = self._acted
        self._acted = (row.id, self.clock())
        return bool(row.engine) and last == row.id and 0 <= self.clock() - at < REPEAT_SECONDS

    def act(self, row: Action, extra: dict[str, Any]) -> None:
        """Carry out an action called by key."""
        try:
            self.start(row, {**default_args(row, self.view.scene), **extra})
        except CommandError as error:
            self.toast(str(error), "bad")

    def start(self, row: Action, args: dict[str, Any]) -> None:
        """Ask first if it must be asked, else do it."""
        if row.local:
            getattr(self, f"do_{row.local}")(**args)
            return
        self.question = question_for(row, args, self.view)
        if self.question is not None:
            self.view.hold(True)
        else:
            self.send(row, args)

    def send(self, row: Action, args: dict[str, Any]) -> None:
        """Hand it to the engine and look for the answer soon."""
        self.sender.send(row, args, self.clock())
        self.set_timer(ACK_POLL_SECONDS, self._look_for_answers)

    def _look_for_answers(self) -> None:
        self.sender.check(self.clock())
        if self.sender.waiting:
            self.set_timer(ACK_POLL_SECONDS, self._look_for_answers)
        else:
            self.poll()

    # --- the command bar ----------------------------------------------------------------

    def _edit(self, key: str) -> None:
        line = self.line
        if key == "Esc" or (key in ("Backspace", "^h") and not line.text):
            self.commanding = False
        elif key == "Enter":
            self._submit(line.text.strip())
        elif key == "^c":
            self.toast(LEAVE_HINT, "info")
        else:
            line.key(key)

    def _submit(self, text: str) -> None:
        if not text:
            self.commanding = False
            return
        self.line.remember(text)
        try:
            command = parse(text, self.view.scene)
        except CommandError as error:
            self.line.error = str(error)
            self.messages.append(f"{clock(self.clock())}  :{text}  {error}")
            return
        self.commanding = False
        self._resubmit = (text, self._keys_pressed)
        self.view.hold(False)
        self.start(command.action, command.args)

    # --- answers ------------------------------------------------------------------------

    def _answer(self, yes: bool | None) -> None:
        question = self.question
        if yes is None or question is None:
            return
        self.question = None
        self._resubmit = (self._resubmit[0], self._keys_pressed)
        if yes:
            self.send(question.row, question.args)

    def answered(self, row: Action, args: dict[str, Any], ok: bool, code: str, text: str) -> None:
        """The engine's answer: a question, or a refusal that brings the command back."""
        if code == "confirm":
            self.question = Question(row, {**args, "force": True}, f"{text}.", [], self.view)
            self.view.hold(True)
            return
        typed, keys = self._resubmit
        self._resubmit = ("", 0)
        if not ok and typed and keys == self._keys_pressed and not self.busy:
            self.commanding = True
            self.line.open(typed, f"{code}: {text}" if code else text)

    def note(self, text: str, severity: str, replaces: str = "") -> None:
        """A toast that is also kept among the messages."""
        self.toasts.add(text, severity, self.clock(), replaces)
        self.messages.append(f"{clock(self.clock())}  {text}")

    def toast(self, text: str, severity: str) -> None:
        """A notice of the screen's own."""
        self.note(text, severity)

    # --- what the screen does itself ------------------------------------------------------

    def do_move(self, by: int, count: int = 1) -> None:
        """Select a row further up or down."""
        self.view.move(by * count)

    def do_last(self, count: int | None = None) -> None:
        """Select the last slot, or the one with this number."""
        if count is None:
            self.view.move(len(self.view.slots))
        elif not self.view.select(count):
            self.toast(f"E30: no slot {count}", "bad")

    def do_page(self, halves: int, count: int = 1) -> None:
        """Move by half pages."""
        self.view.move(halves * count * max(self.screen.query_one("#slots").size.height // 2, 1))

    def do_jump(self, slot: int) -> None:
        """Select a slot."""
        self.view.select(slot)

    def do_detail(self) -> None:
        """Open or close the pane."""
        self.pane = not self.screen.has_class("pane")
        self._ledger_of = ()
        self._arrange(*self.size)
        self.call_after_refresh(self.draw)

    def do_command(self) -> None:
        """Open the bar."""
        self.chords.drop()
        self.commanding = True
        self.line.open()
        self.view.hold(True)

    def do_help(self) -> None:
        """Show keys and commands."""
        self.reader = Reader("HELP", help_rows())
        self.view.hold(True)

    def do_messages(self) -> None:
        """Show what happened lately."""
        rows: list[Line] = [[(f" {text}", "text")] for text in self.messages]
        self.reader = Reader("MESSAGES", rows or [[(" nothing yet", "dim")]], at_end=True)
        self.view.hold(True)

    def do_version(self) -> None:
        """Say which gridbot this is."""
        from gridbot import __version__

        self.toast(f"gridbot {__version__}", "info")

    def do_refresh(self) -> None:
        """Look at the engine now."""
        ago = self.clock() - self._refreshed_at
        if ago < REFRESH_GUARD_SECONDS:
            self.toast(f"E18: refreshed {ago:.0f}s ago", "info")
            return
        self._refreshed_at = self.clock()
        self.poll()
        self.toast("refreshed", "good")

    def do_redraw(self) -> None:
        """Paint everything again."""
        self.refresh(repaint=True, layout=True)

    def do_back(self) -> None:
        """One level back; at the root say how to leave."""
        if self.pane and self.screen.has_class("narrow"):
            self.do_detail()
        else:
            self.toast(LEAVE_HINT, "info")

    def do_leave_hint(self) -> None:
        """Ctrl+C leaves nothing."""
        self.toast(LEAVE_HINT, "info")

    def do_leave(self) -> None:
        """Leave; the caller stops an embedded engine with its state saved."""
        self.exit()
