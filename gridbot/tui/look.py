"""How the screen looks, whether it may act, where copies go: nothing of it concerns the engine."""

import os
from typing import TYPE_CHECKING

from gridbot.engine.actions import CommandError
from gridbot.tui.preferences import PRIVATE, Motion, save_look

if TYPE_CHECKING:
    from gridbot.tui.controls import Controls

CLIPBOARD_FILE = "copied.txt"
NO_CLIPBOARD_TERMS = ("linux", "dumb", "vt")
MOTIONS: dict[str, Motion] = {"on": "full", "eco": "eco", "calm": "calm", "off": "off"}


class Looks:
    """Acts on ``Look`` and the session."""

    def __init__(self, controls: "Controls") -> None:
        self._controls, self._look = controls, controls.look

    def do_theme(self, name: str) -> str:
        self._look.theme = name
        return f"theme {name}; :save keeps it"

    def do_glyphs(self, name: str) -> str:
        self._look.glyphs = "ascii" if name == "ascii" else "unicode"
        return f"glyphs {name}; :save keeps them"

    def do_glyphs_next(self) -> str:
        return self.do_glyphs("unicode" if self._look.glyphs == "ascii" else "ascii")

    def do_fps(self, value: int) -> str:
        self._look.fps = value
        return f"{value} steps per second" if value else "no motion"

    def do_motion(self, name: str) -> str:
        self._look.motion = MOTIONS[name]
        return f"motion {name}"

    def do_motion_next(self) -> str:
        return self.do_motion("on" if self._look.motion == "off" else "off")

    def do_hints(self) -> None:
        self._look.hints = not self._look.hints

    def do_save(self) -> str:
        folder = self._controls.folder
        if folder is None:
            raise CommandError("E71", "cannot write there: there is no data directory")
        try:
            return f"saved in {save_look(folder, self._look)}"
        except OSError as error:
            raise CommandError("E71", f"cannot write there: {error.strerror}") from None

    def do_readonly(self, name: str) -> str:
        controls = self._controls
        if name == "off" and controls.read_only_for_good:
            raise CommandError("E93", "read-only session")
        controls.read_only = name == "on"
        return "read-only: nothing is sent" if controls.read_only else "this session may act again"


def save_copy(controls: "Controls", text: str) -> bool:
    """Write a copy to a file where the terminal has no clipboard, and say so."""
    if not os.environ.get("TERM", "").startswith(NO_CLIPBOARD_TERMS) or controls.folder is None:
        return False
    path = controls.folder / CLIPBOARD_FILE
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE), "w") as file:
            file.write(text)
    except OSError as error:
        controls.note(f"E71: cannot write there: {error.strerror}", "bad")
    else:
        controls.note(f"E72: terminal gave no clipboard; saved to {path}", "warn")
    return True
