"""The Textual app: a deck of widgets and a clock that polls the engine, which never calls in here.

Keys come in at one place and go to ``Controls``; every picture is drawn from its ``View``.
"""

import time
from collections.abc import Callable
from functools import partial

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container

from gridbot.core.settings import Settings
from gridbot.engine.client import EngineClient
from gridbot.tui import chrome
from gridbot.tui.cells import Line, cell, fit, length
from gridbot.tui.controls import Controls
from gridbot.tui.detail import detail
from gridbot.tui.dialogs import DIALOG_CELLS
from gridbot.tui.keys import key_name
from gridbot.tui.lines import Lines, Overlay, Palette
from gridbot.tui.table import slots_table

POLL_SECONDS = 0.25
ANSWER_POLL_SECONDS = 0.02
WIDE_CELLS = 100
TINY_CELLS, TINY_ROWS = 60, 18


class Deck(App[None], inherit_bindings=False):
    """gridbot's screen. ``now`` gives epoch seconds."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "gridbot"

    def __init__(
        self, client: EngineClient, settings: Settings, now: Callable[[], float] = time.time
    ) -> None:
        super().__init__(ansi_color=True)
        self.controls = Controls(client, settings, now)
        self._palette = Palette(settings.tui.theme, settings.tui.glyphs == "ascii")
        self._overlays = [Overlay(self._palette, one) for one in ("choices", "toasts", "dialog")]

    def compose(self) -> ComposeResult:
        view, controls = self.controls.view, self.controls
        lines = partial(Lines, self._palette)
        yield lines("header", lambda w, h: chrome.header(view, w))
        with Container(id="body"):
            yield lines("slots", lambda w, h: slots_table(view, w, h))
            yield lines("detail", lambda w, h: detail(view, w, beside=w < self.size.width))
        yield lines("summary", lambda w, h: chrome.summary(view, w))
        yield lines("capacity", lambda w, h: [chrome.capacity(view, w)])
        yield lines("alarm", lambda w, h: [chrome.alarm(view, w)])
        yield lines("command", lambda w, h: [self._command_row(w)])
        foot = partial(chrome.footer, view)
        yield lines("footer", lambda w, h: [foot(controls.mode, controls.footnote, w)])
        yield from self._overlays

    def on_mount(self) -> None:
        self.tick()  # the first frame, before the clocks start
        self.set_interval(POLL_SECONDS, self.tick)
        self._answers = self.set_interval(ANSWER_POLL_SECONDS, self._look_for_answers, pause=True)

    def on_resize(self) -> None:
        self.draw()

    async def on_event(self, event: events.Event) -> None:
        """Keys and pastes end here; no binding and no focus ever sees one."""
        if isinstance(event, events.Key):
            self.controls.press(key_name(event.key, event.character))
            if self.controls.leaving:
                self.exit()
            elif self.controls.sender.waiting:
                self._answers.resume()
            self.draw()
        elif isinstance(event, events.Paste):
            self.controls.paste(event.text)
            self.draw()
        else:
            await super().on_event(event)

    def _look_for_answers(self) -> None:
        if self.controls.sender.answered:
            self.tick()
        if not self.controls.sender.waiting:
            self._answers.pause()

    def tick(self) -> None:
        self.controls.tick()
        self.draw()

    def draw(self) -> None:
        """Bring every widget up to date; only rows that differ are painted."""
        if self._exit or not self._overlays[-1].is_attached:
            return
        (width, height), controls = self.size, self.controls
        wide = width >= WIDE_CELLS
        controls.pane_shown = wide if controls.pane is None else controls.pane
        controls.page_rows = max(height - 9, 2)
        tiny = width < TINY_CELLS or height < TINY_ROWS
        for name, on in (("tiny", tiny), ("narrow", not wide), ("pane", controls.pane_shown)):
            self.screen.set_class(on, name)
        for widget in self.screen.query(Lines):
            if widget.display and not isinstance(widget, Overlay):
                widget.draw()
        self._place_overlays(width, height)
        if controls.redrawing:
            controls.redrawing = False
            self.screen.refresh(layout=True)

    def _place_overlays(self, width: int, height: int) -> None:
        controls, (over_bar, over_foot, middle) = self.controls, self._overlays
        choices = self._choice_rows(width) if controls.commanding else []
        over_bar.place(choices, 0, height - 2 - len(choices))
        rows = controls.toasts.draw(width)
        foot = height - 4 - max(len(choices) - 2, 0)
        over_foot.place(rows, width - length(rows[0]) if rows else 0, foot - len(rows))
        rows = []
        if controls.question is not None:
            rows = controls.question.draw(min(DIALOG_CELLS, width))
        elif controls.reader is not None:
            rows = controls.reader.draw(min(WIDE_CELLS, width), height - 3)
        size = length(rows[0]) if rows else 0
        middle.place(rows, (width - size) // 2, (height - len(rows)) // 2)

    def _command_row(self, width: int) -> Line:
        line, at = self.controls.line, self.controls.line.cursor
        if not self.controls.commanding:
            return [("─" * width, "dim")]
        shown, rest = line.text[max(0, at - width + 4) : at], f"{line.text} "[at:]
        cursor = (rest[0], "title cursor")
        return [(":", "accent"), (shown, "title"), cursor, (rest[1:], "title")]

    def _choice_rows(self, width: int) -> list[Line]:
        live, line = self.controls.view.live, self.controls.line
        rows: list[Line] = []
        for i, (_, row) in enumerate(line.completions):
            now = f"  now {getattr(live.settings, row.now)}" if row.now and live else ""
            marked = (f"{'»' if i == line.choice else ' '}{cell(row.usage, 30)} ", "accent bar")
            rows.append([marked, (f"{row.label}{now}".ljust(width), "text bar")])
        return [fit(row, width) for row in rows]
