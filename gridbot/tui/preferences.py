"""What an operator chose for the screen, and the command history: two files beside the data.

``tui.toml`` is written by ``:save`` and is stronger than [tui] of the configuration; a broken one
is passed over with a notice. Without a data directory nothing is kept.
"""

import locale
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from gridbot.core.settings import TuiSettings

PREFERENCES_FILE = "tui.toml"
HISTORY_FILE = "tui-history"
HISTORY_KEPT = 200
SSH_FPS = 8
PRIVATE = 0o600

Glyphs = Literal["unicode", "ascii"]
Motion = Literal["full", "eco", "calm", "off"]


@cache
def themes() -> dict[str, dict[str, str]]:
    """All themes by name: words and the Rich styles they stand for."""
    import tomllib

    return tomllib.loads(Path(__file__).with_name("themes.toml").read_text(encoding="utf-8"))


class Look(msgspec.Struct, forbid_unknown_fields=True):
    """How the screen looks; ``fps`` animation steps per second."""

    theme: str = "factory-dark"
    glyphs: Glyphs = "unicode"
    fps: int = 12
    motion: Motion = "full"
    hints: bool = True

    @property
    def drawn(self) -> tuple[str, bool]:
        """Theme and whether only ASCII is drawn; a terminal that wants no colour gets none."""
        theme = "mono" if os.environ.get("NO_COLOR") else self.theme
        return theme, self.glyphs == "ascii"


def draws_unicode() -> bool:
    """Whether this terminal has more than ASCII: a Linux console has few glyphs, and a locale
    without UTF-8 could not write them."""
    written = locale.getencoding().upper().replace("-", "")
    return os.environ.get("TERM") != "linux" and written == "UTF8"


def load_look(folder: Path | None, settings: TuiSettings) -> tuple[Look, str]:
    """The saved look, else that of the settings; and what was wrong with a saved one."""
    slow = settings.fps == TuiSettings().fps and bool(os.environ.get("SSH_CONNECTION"))
    plain = settings.glyphs == TuiSettings().glyphs and not draws_unicode()
    glyphs: Glyphs = "ascii" if plain else settings.glyphs
    usual = Look(settings.theme, glyphs, SSH_FPS if slow else settings.fps)
    if folder is None or not (path := folder / PREFERENCES_FILE).exists():
        return usual, ""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Look), ""
    except (OSError, ValueError) as error:
        return usual, f"{path} is not used: {error}"


def save_look(folder: Path, look: Look) -> Path:
    """Write ``tui.toml``, whole or not at all; raises OSError."""
    import tomli_w

    path = folder / PREFERENCES_FILE
    _write(path, tomli_w.dumps(msgspec.to_builtins(look)))
    return path


def load_history(folder: Path | None) -> list[str]:
    """Commands of earlier sessions, oldest first; none if they cannot be read."""
    try:
        text = "" if folder is None else (folder / HISTORY_FILE).read_text(encoding="utf-8")
    except (OSError, ValueError):
        return []
    return text.splitlines()[-HISTORY_KEPT:]


def save_history(folder: Path | None, commands: Sequence[str]) -> None:
    """Keep the newest commands; they hold no secrets, as no command takes one."""
    if folder is None or not folder.is_dir() or not commands:
        return
    try:
        _write(folder / HISTORY_FILE, "".join(f"{one}\n" for one in commands[-HISTORY_KEPT:]))
    except OSError:
        return  # a history is not worth a complaint on the way out


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "w") as file:
        file.write(text)
    fresh.replace(path)
