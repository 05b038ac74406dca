"""The Textual app: a deck of widgets and a clock that polls the engine, which never calls in here.

Keys come in at one place and go to ``Controls``; every picture is drawn from its ``View``.
"""

import time
from collections.abc import Callable

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container

from gridbot.core.settings import Settings
from gridbot.engine.client import EngineClient
from gridbot.tui import chrome
from gridbot.tui.cells import Line, cell, length
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
        self._overlays: dict[str, Overlay] = {}
        self._looking = False
        self._palette = Palette(settings.tui.theme, settings.tui.glyphs == "ascii")

    def compose(self) -> ComposeResult:
        """Header, body, the rows at the foot; what floats over them."""
        view, paint, controls = self.controls.view, self._palette, self.controls
        yield Lines(lambda w, h: chrome.header(view, w), paint, "header")
        with Container(id="body"):
            yield Lines(lambda w, h: slots_table(view, w, h), paint, "slots")
            yield Lines(lambda w, h: detail(view, w, beside=w < self.size.width), paint, "detail")
        yield Lines(lambda w, h: chrome.summary(view, w), paint, "summary")
        yield Lines(lambda w, h: [chrome.capacity(view, w)], paint, "capacity")
        yield Lines(lambda w, h: [chrome.alarm(view, w)], paint, "alarm")
        yield Lines(lambda w, h: [self._command_row(w)], paint, "command")
        yield Lines(
            lambda w, h: [chrome.footer(view, controls.mode, controls.footnote, w)], paint, "footer"
        )
        for name in ("choices", "toasts", "dialog"):
            self._overlays[name] = Overlay(lambda w, h: [], paint, name)
            yield self._overlays[name]

    def on_mount(self) -> None:
        """Draw the first frame from what is there, then start the clock."""
        self.tick()
        self.set_interval(POLL_SECONDS, self.tick)

    def on_resize(self) -> None:
        """A new size may want another layout."""
        self.draw()

    async def on_event(self, event: events.Event) -> None:
        """Keys and pastes end here; no binding and no focus ever sees one."""
        if isinstance(event, events.Key):
            self.controls.press(key_name(event.key, event.character))
            self._acted()
        elif isinstance(event, events.Paste):
            self.controls.paste(event.text)
            self.draw()
        else:
            await super().on_event(event)

    def _acted(self) -> None:
        if self.controls.leaving:
            self.exit()
            return
        self.draw()
        if self.controls.sender.waiting and not self._looking:
            self._look_soon()

    def _look_soon(self) -> None:
        self._looking = True
        self.set_timer(ANSWER_POLL_SECONDS, self._look_for_answers)

    def _look_for_answers(self) -> None:
        self._looking = False
        if self.controls.sender.answered:
            self.tick()
        if self.controls.sender.waiting:
            self._look_soon()

    # --- drawing ------------------------------------------------------------------------

    def tick(self) -> None:
        """Look at the engine; draw what changed."""
        self.controls.tick()
        self.draw()

    def draw(self) -> None:
        """Bring every widget up to date; only rows that differ are painted."""
        if self._exit or not self._overlays:
            return
        self._arrange()
        for widget in self.screen.query(Lines):
            if widget.display and not isinstance(widget, Overlay):
                widget.draw()
        self._place_overlays()

    def _arrange(self) -> None:
        width, height = self.size
        wide, controls = width >= WIDE_CELLS, self.controls
        controls.pane_shown = wide if controls.pane is None else controls.pane
        controls.page_rows = max(height - 9, 2)
        self.screen.set_class(width < TINY_CELLS or height < TINY_ROWS, "tiny")
        self.screen.set_class(not wide, "narrow")
        self.screen.set_class(controls.pane_shown, "pane")

    def _place_overlays(self) -> None:
        (width, height), controls = self.size, self.controls
        choices = self._choice_rows(width) if controls.commanding else []
        self._overlay("choices", choices, 0, height - 2 - len(choices), width)
        toasts = controls.toasts.draw(width)
        size = length(toasts[0]) if toasts else 0
        foot = height - 4 - max(len(choices) - 2, 0)
        self._overlay("toasts", toasts, width - size, foot - len(toasts), size)
        rows, size = self._dialog(width, height)
        self._overlay("dialog", rows, (width - size) // 2, (height - len(rows)) // 2, size)

    def _overlay(self, name: str, rows: list[Line], x: int, y: int, width: int) -> None:
        self._overlays[name].place(rows, x, max(y, 0), width)

    def _dialog(self, width: int, height: int) -> tuple[list[Line], int]:
        controls = self.controls
        if controls.question is not None:
            size = min(DIALOG_CELLS, width)
            return controls.question.draw(size), size
        size = min(WIDE_CELLS, width)
        return ([] if controls.reader is None else controls.reader.draw(size, height - 3)), size

    def _command_row(self, width: int) -> Line:
        if not self.controls.commanding:
            return [("─" * width, "dim")]
        line = self.controls.line
        first = max(0, line.cursor - width + 4)
        text = line.text + " "
        return [
            (":", "accent"),
            (text[first : line.cursor], "title"),
            (text[line.cursor], "title cursor"),
            (text[line.cursor + 1 :], "title"),
        ]

    def _choice_rows(self, width: int) -> list[Line]:
        live, line = self.controls.view.live, self.controls.line
        rows: list[Line] = []
        for i, one in enumerate(line.completions):
            now = f"  now {getattr(live.settings, one.now)}" if one.now and live else ""
            usage = cell(one.usage, 30)
            marked = (f"{'»' if i == line.choice else ' '}{usage} ", "accent bar")
            rows.append([marked, (f"{one.label}{now}".ljust(width), "text bar")])
        return rows
