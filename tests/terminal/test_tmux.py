"""gridbot in a real terminal: tmux draws it, keys go through it, what it shows is read back."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 20.0

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """One tmux server of its own, one window, gridbot inside."""

    def __init__(self, folder: Path, size: tuple[int, int], **environment: str) -> None:
        self.data = folder / "data"
        self._socket = folder / "tmux"
        command = f"{sys.executable} -m gridbot tui --data-dir {self.data} --set sim.speed=600"
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", str(size[0]), "-y", str(size[1]),
            *(f"-e{name}={value}" for name, value in environment.items()),
            f"{command}; echo LEFT $?; exec cat",
        )  # fmt: skip

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words], capture_output=True, text=True, cwd=ROOT,
            check=False, timeout=PATIENCE_SECONDS,
            env=_environment(),
        )  # fmt: skip
        return done.stdout

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._tmux("resize-window", "-x", str(width), "-y", str(height))

    def screen(self, *options: str) -> str:
        return self._tmux("capture-pane", "-p", *options)

    def shows(self, pattern: str, answer: str = "") -> str:
        """The screen once it matches; ``answer`` is pressed while a question stands."""
        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            screen = self.screen()
            if re.search(pattern, screen):
                return screen
            if answer and "CONFIRM" in screen:
                self.keys(answer)
            time.sleep(0.02)
        raise AssertionError(f"{pattern!r} never came; the screen was\n{self.screen()}")

    def end(self) -> None:
        self._tmux("kill-server")


def _environment() -> dict[str, str]:
    """Ours without a size: a test runner's COLUMNS would win over the window's."""
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return kept | {"XDG_CONFIG_HOME": "/nowhere"}


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for one in opened:
        one.end()


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
def test_an_operator_adds_pauses_and_leaves(
    size: tuple[int, int], tmp_path: Path, terminals: list[Terminal]
) -> None:
    terminal = Terminal(tmp_path, size)
    terminals.append(terminal)
    screen = terminal.shows(r"● RUNNING +SIM[\s\S]*NORMAL")
    assert "BTC/USD" in screen and "S 2 + C 0" in screen and "\ufffd" not in screen
    assert len(screen.rstrip("\n").splitlines()) == size[1]
    terminal.keys(":add", "Enter")
    terminal.shows(r"CONFIRM[\s\S]*Add 1 cycle slot[\s\S]*CYCLE SLOTS LOSE MONEY HERE")
    terminal.shows(r"S 2 \+ C 1[\s\S]*ok: slot 3 cycle added", answer="Enter")
    terminal.keys("p")
    terminal.shows(r"CONFIRM[\s\S]*Pause the bot\?")
    terminal.shows("▲ PAUSED", answer="Enter")
    terminal.keys("q", "C-c", "Escape")
    terminal.shows(":q leaves gridbot")
    terminal.keys(":q", "Enter")
    terminal.shows("LEFT 0")
    state = json.loads((terminal.data / "state.json").read_bytes())
    assert len(state["state"]["brain"]["slots"]) == 3


def test_it_follows_the_window_and_needs_no_colour(
    tmp_path: Path, terminals: list[Terminal]
) -> None:
    terminal = Terminal(tmp_path, (120, 40), NO_COLOR="1")
    terminals.append(terminal)
    terminal.keys("gs")
    terminal.shows("ACCOUNT[\\s\\S]*NORMAL")
    assert not re.search(r"\x1b\[[0-9;]*[34]8;", terminal.screen("-e"))
    terminal.resize(38, 9)
    terminal.shows(r"^ SIM  BTC/USD")
    terminal.resize(80, 24)
    terminal.shows(r"\[slots\][\s\S]*ALIAS[\s\S]*pressure")


def test_a_session_walks_the_views_and_uses_them(tmp_path: Path, terminals: list[Terminal]) -> None:
    terminal = Terminal(tmp_path, (120, 40))
    terminals.append(terminal)
    terminal.shows(r"\[factory\][\s\S]*● RUNNING|● RUNNING[\s\S]*\[factory\]")
    for keys, seen in (
        ("gs", r"\[slots\][\s\S]*ALIAS"), ("gl", r"\[ledger\][\s\S]*OPENING_BALANCE"),
        ("go", r"\[governor\][\s\S]*Policy scale"), ("gc", r"\[capacity\][\s\S]*Work bank"),
        ("gt", r"\[factory\]"),
    ):  # fmt: skip
        terminal.keys(keys)
        terminal.shows(seen)
    for text, seen in (
        (":add sticky alias:heron", "ok: slot 3 sticky added"),
        (":toggle 3 cycle", "ok: slot 3 is cycle now"), (":pause 3", "ok: slot 3 paused"),
        (":resume 3", "ok: slot 3 runs"), (":speed 60", "ok: 60 simulated seconds per second"),
        (":theme deutan", "theme deutan"), (":save", "saved in"), (":governor approve", "E51"),
    ):  # fmt: skip
        terminal.keys(text, "Enter")
        terminal.shows(seen)
    terminal.keys("Escape")
    time.sleep(0.1)
    terminal.keys(":remove 3", "Enter")
    terminal.shows(r"Remove slot 3 heron \[C\]")
    terminal.shows(r"S 2 \+ C 0", answer="Enter")
    terminal.keys(":ledger type:OPENING_BALANCE", "Enter")
    terminal.shows(r"filter: type:OPENING_BALANCE[\s\S]*2 of")
    terminal.keys(f":export ledger csv {tmp_path / 'out.csv'}", "Enter")
    terminal.shows("2 rows of ledger")
    terminal.keys(":stop", "Enter")
    terminal.shows("type BTC/USD")
    time.sleep(0.4)
    terminal.keys("BTC/USD", "Enter")
    terminal.shows("LEFT 0")
    assert (terminal.data / "tui.toml").exists() and (tmp_path / "out.csv").exists()
