"""Painting past the compositor: the one module that knows Textual's private names.

A frame goes to the terminal as one string through ``App._display``, which keeps synchronized
output and the cursor. It may do so only while the compositor would show the same: the widget's
screen is the top one, no layout is due, nothing is batched, the size is the one last seen.
What lies in front is left out. Otherwise the rows concerned are refreshed in the ordinary way.
``check`` tells what a Textual lacks of what is used here, and then nothing is painted past it;
pyproject pins the minor version.
"""

from collections.abc import Sequence
from typing import Any, cast

import textual
from rich.console import Console
from textual._compositor import CompositorUpdate
from textual.app import App
from textual.geometry import Region
from textual.screen import Screen
from textual.widget import Widget

from gridbot.tui.factory.contract import Patch
from gridbot.tui.factory.encode import encode, without
from gridbot.tui.factory.styles import StyleTable

TESTED_VERSION = "8.2"
PRIVATE = (
    (App, ("_display", "_begin_update", "_end_update", "_batch_count")),
    (Widget, ("_layout_required",)),
    (Screen, ("_compositor",)),
    (CompositorUpdate, ("render_segments",)),
)


class Frame(CompositorUpdate):
    """A ready string in the compositor's clothes."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render_segments(self, console: Console) -> str:
        """The string as it stands."""
        return self.text


def check() -> list[str]:
    """What this Textual lacks or has changed, in words; empty if painting can work."""
    missing = [] if textual.__version__.startswith(f"{TESTED_VERSION}.") else [
        f"textual is {textual.__version__}, tested with {TESTED_VERSION}"
    ]  # fmt: skip
    return missing + _gone()


def _gone() -> list[str]:
    return [
        f"{owner.__name__}.{name} is gone"
        for owner, names in PRIVATE
        for name in names
        if not _has(owner, name)
    ]


def _has(owner: type, name: str) -> bool:
    return hasattr(owner, name) or name in owner.__dict__["__init__"].__code__.co_names


class Painter:
    """Paints one widget. ``bytes``, ``direct`` and ``indirect`` count what was done."""

    def __init__(self, widget: Widget, styles: StyleTable) -> None:
        self._widget, self._styles, self._able = widget, styles, not _gone()
        self._seen: Any = None
        self._place: tuple[Region, list[tuple[int, int, int, int]]] | None = None
        self.bytes = self.direct = self.indirect = 0

    def paint(self, patches: Sequence[Patch]) -> None:
        """Show the patches: directly where that is safe, else through the compositor."""
        if not patches:
            return
        place = self._where()
        if place is None:
            self.indirect += 1
            width = self._widget.size.width
            self._widget.refresh(*(Region(0, y, width, 1) for y in {one.y for one in patches}))
            return
        region, covered = place
        seen = without(patches, covered) if covered else patches
        text = encode(seen, self._styles, region.y, region.x)
        if text:
            self.direct += 1
            self.bytes += len(text.encode())
            app = self._widget.app
            app._display(self._widget.screen, cast(str, Frame(text)))

    def _where(self) -> tuple[Region, list[tuple[int, int, int, int]]] | None:
        """The widget's place and what covers it; None if painting is not safe now."""
        widget = self._widget
        app, screen = widget.app, widget.screen
        if (
            not self._able
            or app.screen is not screen
            or screen._layout_required
            or app._batch_count
        ):
            return None
        visible = screen._compositor.visible_widgets
        if visible is not self._seen:
            self._seen, self._place = visible, self._look(visible)
        if self._place is None or self._place[0].size != widget.size:
            return None
        return self._place

    def _look(
        self, visible: dict[Widget, tuple[Region, Region]]
    ) -> tuple[Region, list[tuple[int, int, int, int]]] | None:
        """Front to back up to the widget: its region, and those of what overlaps it."""
        front: list[Region] = []
        for widget, (region, clip) in visible.items():
            if widget is self._widget:
                if clip.intersection(region) != region:
                    return None
                covers = (region.intersection(one).translate(-region.offset) for one in front)
                return region, [(one.x, one.y, one.width, one.height) for one in covers if one.area]
            front.append(region.intersection(clip))
        return None
