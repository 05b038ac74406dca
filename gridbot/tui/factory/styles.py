"""The one table of styles: words of the theme become an id, a terminal sequence and a Rich style.

Both forms are made from the same Rich style, so what is painted directly and what the compositor
paints cannot drift apart. Besides the theme's words a style may hold ``#rrggbb`` (ink),
``on#rrggbb`` (ground), ``bold``, ``reverse``, and ``faint`` or ``ghost`` (ink near the ground).
Colour depth: truecolor, 256, standard (16) or none. ASCII translates glyph by glyph.
"""

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Any

from rich.color import Color, ColorSystem, blend_rgb
from rich.style import Style

from gridbot.tui.cells import TO_ASCII

DEPTHS = {
    "truecolor": ColorSystem.TRUECOLOR, "256": ColorSystem.EIGHT_BIT,
    "standard": ColorSystem.STANDARD, "windows": ColorSystem.STANDARD, "none": None,
}  # fmt: skip
FADED = {"faint": 0.45, "ghost": 0.64}
ATTRIBUTES = {"bold": "1", "dim": "2", "italic": "3", "underline": "4", "reverse": "7"}
_SIGNS = (
    ("═━─╌╍▔▁┄┅", "-"), ("│┃║┆┊", "|"), ("┏┓┗┛╭╮╰╯┌┐└┘╒╕╘╛╔╗╚╝├┤┬┴┼╶╴╷╵", "+"), ("╲", "\\"),
    ("╱", "/"), ("•∙", "*"), ("◐◑", "-"), ("◓◒", "|"), ("›►»", ">"), ("‹◄«", "<"), ("✶", "*"),
    ("↯", "Z"), ("░", "."), ("▒", ":"), ("▓█▉▊▋▌▍▎▏▀▄▅▆▇▂▃", "#"), ("▲", "!"), ("■", "X"),
    ("▸", ">"),
)  # fmt: skip
_OURS = {ord(one): plain for signs, plain in _SIGNS for one in signs}
ASCII: dict[int, Any] = TO_ASCII | _OURS


def theme_words(theme: str) -> dict[str, str]:
    """The words of a theme; the default theme's if it does not exist."""
    path = Path(__file__).parent.parent / "themes.toml"
    themes = tomllib.loads(path.read_text(encoding="utf-8"))
    words: dict[str, str] = themes.get(theme) or themes["factory-dark"]
    return words


class StyleTable:
    """Styles of one theme at one colour depth; an id never changes its meaning."""

    def __init__(self, theme: str, depth: str = "truecolor", ascii_only: bool = False) -> None:
        self.ascii = ascii_only
        self.depth = depth
        self._system = DEPTHS[depth]
        self._words = theme_words(theme)
        self._ids: dict[str, int] = {}
        self._rich: list[Style] = []
        self._codes: list[tuple[str, str, str]] = []  # attributes, ink, ground
        self.change = lru_cache(4096)(self._change)
        self.id("")

    def id(self, words: str) -> int:
        """The id of a style; the same words always give the same id."""
        known = self._ids.get(words)
        if known is None:
            known = self._ids[words] = self._add(self._parse(words))
        return known

    def washed(self, style: int, words: str) -> int:
        """The style with its ink drawn towards the ink of ``words``, as on a stopped floor."""
        name = f"{style}~{words}"
        if name not in self._ids:
            self._ids[name] = self._add(self._wash(self._rich[style], self._parse(words)))
        return self._ids[name]

    def rich(self, style: int) -> Style:
        """The style as the compositor takes it."""
        return self._rich[style]

    def glyphs(self, text: str) -> str:
        """The text in the characters that this terminal has."""
        return text.translate(ASCII) if self.ascii else text

    def _change(self, old: int, new: int) -> str:
        """The sequence from one style to another; ``old`` -1: whatever stood before."""
        (attributes, ink, ground), parts = self._codes[new], []
        was = self._codes[old] if old >= 0 else None
        if was is None or was[0] != attributes:
            parts = ["0", attributes, ink, ground]
        else:
            parts = [part for part, before in zip((ink, ground), was[1:], strict=True)
                     if part != before]  # fmt: skip
        return f"\x1b[{';'.join(part for part in parts if part)}m" if any(parts) else ""

    def _add(self, style: Style) -> int:
        """Its own object: Rich keeps the codes of one depth in a style, and shares styles."""
        given: dict[str, Any] = {name: True for name in ATTRIBUTES if getattr(style, name)}
        self._rich.append(Style(color=style.color, bgcolor=style.bgcolor, **given))
        flags = [code for name, code in ATTRIBUTES.items() if getattr(style, name)]
        colours = self._code(style.color), self._code(style.bgcolor, False)
        self._codes.append((";".join(flags), *colours))
        return len(self._rich) - 1

    def _code(self, color: Color | None, ink: bool = True) -> str:
        if self._system is None or color is None:
            return "" if self._system is None else "39" if ink else "49"
        return ";".join(color.downgrade(self._system).get_ansi_codes(foreground=ink))

    def _parse(self, words: str) -> Style:
        parts, fade = [self._words["text"]], 0.0
        for one in words.split():
            fade = max(fade, FADED.get(one, 0.0))
            parts.append(self._words.get(one) or _plain(one))
        style = Style.combine(map(Style.parse, parts))
        if fade:
            style += self._groundless(style)
            style += self._faded(style, fade)
        return style if self._system else style.without_color

    def _groundless(self, style: Style) -> Style:
        """What is pale has no ground of its own: what it would be is its ink."""
        common = Style.parse(self._words["text"]).bgcolor
        if style.bgcolor is None or style.bgcolor == common:
            return Style()
        return Style(color=style.bgcolor, bgcolor=common)

    def _faded(self, style: Style, share: float) -> Style:
        ink, ground = style.color, style.bgcolor
        if self._system in (None, ColorSystem.STANDARD) or not (_known(ink) and _known(ground)):
            return Style(dim=True, bold=False)
        assert ink is not None and ground is not None
        return Style(color=_mix(ink, ground, share))

    def _wash(self, style: Style, tone: Style) -> Style:
        known = _known(tone.color) and _known(style.color) and _known(style.bgcolor)
        if self._system is None or not known:
            return style + Style(dim=True, bold=False)
        assert tone.color and style.color and style.bgcolor
        if self._system is ColorSystem.STANDARD:
            return style + Style(color=tone.color, bold=False)
        mixed = _mix(_mix(style.color, tone.color, 0.7), style.bgcolor, 0.35)
        return style + Style(color=mixed, bgcolor=_mix(style.bgcolor, tone.color, 0.05))


def _plain(word: str) -> str:
    """A word that no theme knows: an attribute, an ink or a ground."""
    if word.startswith("on#"):
        return f"on {word[2:]}"
    return word if word.startswith("#") or word in ATTRIBUTES else ""


def _known(color: Color | None) -> bool:
    """Whether it can be mixed: nobody knows what a terminal's default looks like."""
    return color is not None and not color.is_default


def _mix(one: Color, other: Color, share: float) -> Color:
    return Color.from_triplet(blend_rgb(one.get_truecolor(), other.get_truecolor(), share))
