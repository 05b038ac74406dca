"""The Textual app: chrome mounted once, one body at a time, and a clock that polls the engine.

The engine never calls in here. Keys come in at one place and go to ``Controls``; every picture is
drawn from its ``View``. A body may bring a widget of its own, which then stands in place of rows.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rich.color import Color
from textual import events
from textual.app import App, ComposeResult
from textual.color import Color as Ground
from textual.containers import Container
from textual.driver import Driver

from gridbot.core.settings import Settings
from gridbot.engine.client import EngineClient
from gridbot.tui import chrome
from gridbot.tui.cells import Line, cell, length
from gridbot.tui.controls import Controls
from gridbot.tui.dialogs import DIALOG_CELLS
from gridbot.tui.keys import key_name
from gridbot.tui.lines import Lines, Overlay, Palette
from gridbot.tui.look import NO_CLIPBOARD_TERMS, save_copy

if TYPE_CHECKING:
    from gridbot.tui.factory.widget import FactoryView

POLL_SECONDS = 0.25
ANSWER_POLL_SECONDS = 0.02
READER_CELLS = 100
TINY_CELLS, TINY_ROWS = 40, 10
SMALL_ROWS = 24
CHROME_ROWS = 6
TITLE, TITLE_KEPT, TITLE_BACK = "\x1b]2;{}\x07", "\x1b[22;2t", "\x1b[23;2t"


class Deck(App[None], inherit_bindings=False):
    """gridbot's screen. ``now`` gives epoch seconds."""

    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    TITLE = "gridbot"

    def __init__(
        self, client: EngineClient, settings: Settings, now: Callable[[], float] = time.time,
        read_only: bool = False, driver: type[Driver] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(ansi_color=True, driver_class=driver)
        self.controls = Controls(client, settings, now, read_only)
        self._palette = Palette(*self.controls.look.drawn)
        self._overlays = [Overlay(self._palette, one) for one in ("choices", "toasts", "dialog")]
        self._widgets: dict[str, FactoryView | None] = {}
        self._fps = self.controls.look.fps

    def compose(self) -> ComposeResult:
        view, controls = self.controls.view, self.controls
        lines = partial(Lines, self._palette)
        yield lines("header", lambda w, h: chrome.header(view, w))
        with Container(id="body"):
            yield lines("drawn", self._draw_body)
        yield lines("summary", lambda w, h: chrome.summary(view, w))
        yield lines("ticker", lambda w, h: [chrome.ticker(view, w)])
        yield lines("alarm", lambda w, h: [chrome.alarm(view, w)])
        yield lines("command", lambda w, h: [self._command_row(w)])
        foot = partial(chrome.footer, view)
        yield lines("footer", lambda w, h: [foot(controls.mode, controls.footnote, self._seen, w)])
        yield from self._overlays

    def _draw_body(self, width: int, height: int) -> list[Line]:
        """The body's rows, or what is wrong with it: an error there must not end the screen."""
        fault = self.controls.fault
        try:
            if not fault:
                return self.controls.body.draw(width, height)
        except Exception as error:
            fault = self.controls.failed(error)
        return [[], [(f"  {cell(fault, max(width - 4, 0))}", "bad")]]

    @property
    def _seen(self) -> str:
        """Which of many machines the floor shows."""
        tiny = self.screen.has_class("tiny")
        return "" if tiny else str(getattr(self.controls.body, "scrolled", ""))

    def on_mount(self) -> None:
        self._set_ground()
        self.controls.depth = self.console.color_system or "none"
        self.tick()  # the first frame, before the clocks start
        self.set_interval(POLL_SECONDS, self.tick)
        self._answers = self.set_interval(ANSWER_POLL_SECONDS, self._look_for_answers, pause=True)

    def on_unmount(self) -> None:
        self.controls.close()
        self._write_title(TITLE_BACK)

    def on_resize(self) -> None:
        self.draw()

    async def on_event(self, event: events.Event) -> None:
        """Keys and pastes end here; no binding and no focus ever sees one."""
        if isinstance(event, events.Key):
            self.controls.press(key_name(event.key, event.character))
            self._after_key()
        elif isinstance(event, events.Paste):
            self.controls.paste(event.text)
            self.draw()
        else:
            await super().on_event(event)

    def _after_key(self) -> None:
        controls = self.controls
        if controls.leaving:
            self.exit()
        elif controls.sender.waiting:
            self._answers.resume()
        text = controls.take_clipboard()
        if text and not save_copy(controls, text):
            self.copy_to_clipboard(text)
        if controls.suspending:
            controls.suspending = False
            self.action_suspend_process()
        self.draw()

    def _look_for_answers(self) -> None:
        if self.controls.sender.answered:
            self.tick()
        if not self.controls.sender.waiting:
            self._answers.pause()

    def tick(self) -> None:
        self.controls.tick()
        if self.controls.rings:
            self.controls.rings = False
            self.bell()
        self.draw()

    def draw(self) -> None:
        """Bring every widget up to date; only rows that differ are painted."""
        if self._exit or not self._overlays[-1].is_attached:
            return
        (width, height), controls = self.size, self.controls
        self._show_body()
        controls.page_rows = max(height - CHROME_ROWS, 2)
        tiny = width < TINY_CELLS or height < TINY_ROWS
        bauhaus = bool(getattr(controls.body, "bauhaus", False))
        for name, on in (
            ("tiny", tiny), ("small", height < SMALL_ROWS), ("bauhaus", bauhaus),
        ):  # fmt: skip
            self.screen.set_class(on, name)
        self.screen.query_one("#command").set_class(controls.commanding, "typing")
        if self._palette.choose(*controls.look.drawn):
            self._repaint()
            self._restyle_widgets()
        if controls.look.fps != self._fps:
            self._fps = controls.look.fps
            self._restyle_widgets()
        for widget in self.screen.query(Lines):
            if widget.display and not isinstance(widget, Overlay):
                widget.draw()
        self._place_overlays(width, height)
        self._set_window_title()
        if controls.redrawing:
            controls.redrawing = False
            self.screen.refresh(layout=True)

    def _show_body(self) -> None:
        """Let the body's own widget, if it has one, take the place of drawn rows."""
        name = self.controls.body.name
        if name not in self._widgets:
            made = self._widgets[name] = self.controls.body.widget()
            if made is not None:
                self.screen.query_one("#body").mount(made)
                self.controls.settle()
        works = not self.controls.fault
        for other, widget in self._widgets.items():
            if widget is not None:
                widget.display = other == name and works
        self.screen.set_class(self._widgets[name] is not None and works, "owned")

    def _restyle_widgets(self) -> None:
        look = self.controls.look
        for widget in self._widgets.values():
            if widget is not None:
                widget.restyle(*look.drawn, max(look.fps, 1))

    def _repaint(self) -> None:
        """Another theme or other glyphs: nothing drawn before holds."""
        self._set_ground()
        for widget in self.screen.query(Lines):
            widget.forget()

    def _set_ground(self) -> None:
        ground = self._palette.style("").bgcolor or Color.default()
        self.screen.styles.background = Ground(*ground.get_truecolor(foreground=False))

    def _set_window_title(self) -> None:
        title = chrome.window_title(self.controls.view)
        if title != self.title:
            self._write_title(
                (TITLE_KEPT if self.title == self.TITLE else "") + TITLE.format(title)
            )
            self.title = title

    def _write_title(self, codes: str) -> None:
        """The terminal's own title; a console without a window has none."""
        console = os.environ.get("TERM", "").startswith(NO_CLIPBOARD_TERMS)
        if self._driver is not None and not self.is_headless and not console:
            self._driver.write(codes)

    def _place_overlays(self, width: int, height: int) -> None:
        controls, (over_bar, over_foot, middle) = self.controls, self._overlays
        view, why_not = controls.view, controls.why_not
        commanding = controls.commanding
        choices = chrome.choices(controls.line, view, why_not, width) if commanding else []
        over_bar.place(choices, 0, height - 2 - len(choices))
        rows = controls.toasts.draw(width)
        foot = height - 4 - max(len(choices) - 2, 0)
        over_foot.place(rows, width - length(rows[0]) if rows else 0, foot - len(rows))
        rows = []
        if controls.question is not None:
            rows = controls.question.draw(min(DIALOG_CELLS, width))
        elif controls.reader is not None:
            rows = controls.reader.draw(min(READER_CELLS, width), height - 3)
        size = length(rows[0]) if rows else 0
        middle.place(rows, (width - size) // 2, (height - len(rows)) // 2)

    def _command_row(self, width: int) -> Line:
        line, at = self.controls.line, self.controls.line.cursor
        if not self.controls.commanding:
            return [("─" * width, "dim")]
        start = max(0, at - width + 4)
        shown, rest = line.text[start:at], f"{line.text} "[at:]
        cursor, ghost = (rest[0], "title cursor"), line.ghost if at == len(line.text) else ""
        if ghost:
            cursor, rest = (ghost[0], "dim cursor"), " "
        return [(":", "accent"), (shown, "title"), cursor, (rest[1:], "title"), (ghost[1:], "dim")]
