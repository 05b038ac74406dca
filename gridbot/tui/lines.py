"""The one widget everything is drawn with: lines of runs, kept as strips, refreshed by whole rows.

``draw`` asks its source for lines, compares them with what is shown, and refreshes only the rows
that differ (whole rows: a narrower region would make Textual repaint from the left edge anyway).
"""

from collections.abc import Callable

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from gridbot.tui.cells import TO_ASCII, Line, fit, length
from gridbot.tui.preferences import themes

Source = Callable[[int, int], list[Line]]


class Palette:
    """Styles by the words of a theme; made once, then looked up."""

    def __init__(self, theme: str, ascii_only: bool) -> None:
        self._chosen = ("", False)
        self.choose(theme, ascii_only)

    def choose(self, theme: str, ascii_only: bool) -> bool:
        """From now on this theme and these glyphs; whether anything changed by it."""
        if (theme, ascii_only) == self._chosen:
            return False
        self._chosen, self._ascii = (theme, ascii_only), ascii_only
        self._words = themes().get(theme) or themes()["factory-dark"]
        self._styles: dict[str, Style] = {}
        return True

    def style(self, words: str) -> Style:
        """The style several words make together, on the theme's ground."""
        if words not in self._styles:
            parts = (self._words.get(one, "") for one in ["text", *words.split()])
            self._styles[words] = Style.combine(map(Style.parse, parts))
        return self._styles[words]

    def strip(self, line: Line, width: int) -> Strip:
        """A line as Textual wants it, exactly ``width`` cells."""
        table = TO_ASCII if self._ascii else {}
        runs = ((text.translate(table), self.style(words)) for text, words in fit(line, width))
        return Strip([Segment(*run) for run in runs], width)


class Lines(Widget):
    """A rectangle of text lines, drawn by a source function of (width, height)."""

    can_focus = False

    def __init__(self, palette: Palette, name: str, source: Source = lambda w, h: []) -> None:
        super().__init__(id=name)
        self._source, self._palette = source, palette
        self._lines: list[Line] = []
        self._strips: list[Strip] = []

    def draw(self) -> None:
        width, height = self.size
        if not width or not height or not self.is_attached:
            return
        lines = self._source(width, height)[:height]
        lines += [[]] * (height - len(lines))
        resized = len(self._strips) != height or self._strips[0].cell_length != width
        if resized:
            self._strips = [Strip.blank(width)] * height
        dirty = [y for y, line in enumerate(lines) if resized or line != self._lines[y]]
        for y in dirty:
            self._strips[y] = self._palette.strip(lines[y], width)
        self._lines = lines
        if dirty:
            self.refresh(*(Region(0, y, width, 1) for y in dirty))

    def forget(self) -> None:
        """What is on the screen no longer counts as drawn."""
        self._strips = []

    def on_resize(self) -> None:
        self.draw()

    def render_line(self, y: int) -> Strip:
        known = y < len(self._strips)
        return self._strips[y] if known else self._palette.strip([], self.size.width)


class Overlay(Lines):
    """Lines floating over the deck, as large as what they show."""

    def place(self, lines: list[Line], x: int, y: int) -> None:
        """Show ``lines`` with the upper left corner at x, y; nothing hides it."""
        self.display = bool(lines)
        if lines:
            self._source = lambda width, height: list(lines)
            self.styles.width, self.styles.height = length(lines[0]), len(lines)
            self.styles.offset = (x, max(y, 0))
            self.draw()
