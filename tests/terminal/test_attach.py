"""A screen and an engine in two processes: attaching, leaving, dying and coming back."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30.0
LIVELY = ("--set", "sim.speed=600", "--set", "slots.initial_slots=3")

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


def until(holds: Callable[[], Any], what: str) -> Any:
    """What ``holds()`` gives once it gives something."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := holds()):
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)
    return found


class Place:
    """A data directory, the engine in it, and a terminal that looks at it."""

    def __init__(self, folder: Path) -> None:
        self.data, self._tmux_socket = folder / "data", folder / "tmux"
        self._engines: list[subprocess.Popen[bytes]] = []
        foreign = ("GRIDBOT_", "KRAKEN_", "COLUMNS", "LINES")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        self._environment = kept | {"PYTHONPATH": str(ROOT), "XDG_CONFIG_HOME": "/nowhere"}

    def gridbot(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "gridbot", *words, "--data-dir", str(self.data)],
            capture_output=True, text=True, timeout=PATIENCE_SECONDS, env=self._environment,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        done = self.gridbot("status", "--json")
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found

    def run(self) -> subprocess.Popen[bytes]:
        """A headless engine, ready."""
        words = [sys.executable, "-m", "gridbot", "run", "--headless", "--data-dir", self.data]
        engine = subprocess.Popen(
            [*words, *LIVELY], stdout=subprocess.DEVNULL, env=self._environment
        )
        self._engines.append(engine)
        until(lambda: self.status().get("engine", {}).get("pid") == engine.pid, "an engine")
        return engine

    def look(self, *words: str) -> None:
        """A terminal with ``gridbot tui``."""
        line = " ".join(["-m gridbot tui --data-dir", str(self.data), *words])
        self._tmux(
            "-f", "/dev/null", "new-session", "-d", "-x", "110", "-y", "30",
            f"{sys.executable} {line}; echo LEFT $?; exec cat",
        )  # fmt: skip

    def shell(self) -> None:
        """A terminal with a shell that knows jobs."""
        size = ("-x", "110", "-y", "30")
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "bash --norc -i")

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._tmux_socket), *words], capture_output=True, text=True,
            cwd=ROOT, check=False, timeout=PATIENCE_SECONDS, env=self._environment,
        )  # fmt: skip
        return done.stdout

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", *keys)

    def screen(self, *options: str) -> str:
        return self._tmux("capture-pane", "-p", *options)

    def shows(self, pattern: str) -> str:
        end = time.monotonic() + PATIENCE_SECONDS
        while not re.search(pattern, screen := self.screen()):
            assert time.monotonic() < end, f"{pattern!r} never came; the screen was\n{screen}"
            time.sleep(0.02)
        return screen

    def screen_pid(self) -> int:
        """The process of the screen inside the terminal."""
        shell = self._tmux("display-message", "-p", "#{pane_pid}").strip()
        children = Path(f"/proc/{shell}/task/{shell}/children")
        return int(until(lambda: children.read_text().split(), "the screen's process")[0])

    def drop_the_line(self) -> None:
        """What a lost connection does: the terminal goes away under the screen."""
        self._tmux("kill-server")

    def end(self) -> None:
        self.drop_the_line()
        for engine in self._engines:
            engine.kill()
            engine.wait()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.end()


def goes_on(place: Place, engine: subprocess.Popen[bytes]) -> None:
    """The engine lives and its market moves."""
    before = place.status()
    assert before["engine"]["pid"] == engine.pid and engine.poll() is None
    until(lambda: place.status()["at"] > before["at"], "a later picture")


def ended(pid: int) -> Callable[[], bool]:
    def gone() -> bool:
        try:
            return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True

    return gone


def test_a_screen_attaches_commands_and_leaves_and_the_engine_goes_on(place: Place) -> None:
    engine = place.run()
    place.look("--attach")
    place.shows(r"● RUNNING +SIM[\s\S]*NORMAL")
    place.keys(":add", "Space", "sticky", "Enter")
    place.shows(r"ok: slot 4 sticky added")
    place.shows(r"S 4 \+ C 0")
    place.keys(":q", "Enter")
    screen = place.shows("LEFT 0")
    assert re.search(r"detached; engine RUNNING, \d+ open orders", screen)
    assert "state saved" not in screen
    goes_on(place, engine)
    assert len(place.status()["slots"]) == 4


def test_without_attach_a_second_tui_attaches_too_and_both_see_a_command(place: Place) -> None:
    engine = place.run()
    place.look()
    place.shows("● RUNNING")
    done = place.gridbot("action", "pause")
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("paused; ")
    place.shows("▲ PAUSED")
    place.keys("p")
    place.shows("● RUNNING")
    assert place.gridbot("action", "resume").returncode == 1
    assert engine.poll() is None


def test_an_engine_killed_under_the_screen_leaves_its_picture_and_comes_back(place: Place) -> None:
    engine = place.run()
    place.look()
    place.shows("● RUNNING")
    engine.kill()
    engine.wait()
    screen = place.shows(r"engine gone \d+s, retry \d+ in \d+s")
    assert "BTC/USD" in screen and "■ GONE" in screen, "the last picture stays"
    assert "engine    stopped" in place.gridbot("status").stdout
    place.keys(":add sticky", "Enter")
    place.shows("no answer from the engine: (it is gone|nobody listens there)|no engine answers")
    assert "refused" not in place.screen()
    place.keys("Escape", "Escape")
    later = place.run()
    place.shows("● RUNNING")
    place.keys(":add sticky", "Enter")
    place.shows("ok: slot 4")
    place.keys(":q", "Enter")
    place.shows("LEFT 0")
    goes_on(place, later)


def test_an_engine_that_stands_still_is_told_from_one_that_is_slow(place: Place) -> None:
    engine = place.run()
    place.look()
    place.shows("● RUNNING")
    engine.send_signal(signal.SIGSTOP)
    place.shows(r"■ GONE[\s\S]*engine gone \d+s")
    place.keys("?")
    place.shows("HELP")  # the screen itself lives
    place.keys("Escape")
    engine.send_signal(signal.SIGCONT)
    place.shows("● RUNNING")


def test_a_lost_terminal_ends_the_screen_and_not_the_engine(place: Place) -> None:
    engine = place.run()
    place.look()
    place.shows("● RUNNING")
    screen = place.screen_pid()
    place.drop_the_line()
    until(ended(screen), "the screen's end")
    goes_on(place, engine)


def test_a_lost_terminal_saves_and_stops_an_engine_inside_it(place: Place) -> None:
    place.look(*LIVELY)
    place.shows("● RUNNING")
    screen = place.screen_pid()
    until(lambda: place.status().get("engine", {}).get("pid") == screen, "its own control socket")
    assert place.gridbot("action", "add cycle").returncode == 0
    place.drop_the_line()
    until(ended(screen), "the screen's end")
    state = json.loads((place.data / "state.json").read_bytes())
    last = (place.data / "ledger.jsonl").read_text().splitlines()[-1]
    assert state["ledger"]["id"] == json.loads(last)["id"], "the snapshot is of the very end"
    assert len(state["state"]["brain"]["slots"]) == 4
    assert not (place.data / "control.sock").exists()
    assert place.status()["engine"]["state"] == "stopped"


def test_a_signal_gives_the_terminal_back_as_it_was(place: Place) -> None:
    engine = place.run()
    place.look()
    place.shows("● RUNNING")
    os.kill(place.screen_pid(), signal.SIGTERM)
    screen = place.shows("LEFT 0")
    assert "RUNNING +SIM" not in screen
    goes_on(place, engine)


def test_attach_insists_on_an_engine(place: Place) -> None:
    place.look("--attach")
    screen = place.shows("LEFT 2").replace("\n", "")
    assert "no engine runs there to attach to" in screen
    assert "gridbot run --headless" in screen
    assert not place.data.exists()


def test_a_suspended_screen_comes_back_as_it_was(place: Place) -> None:
    engine = place.run()
    place.shell()
    command = f"{sys.executable} -m gridbot tui --attach --data-dir {place.data}"
    place.keys(command, "Enter")
    place.shows(r"● RUNNING +SIM[\s\S]*NORMAL")
    for _ in range(2):
        place.keys("C-z")
        place.shows(r"Stopped")
        place.keys("fg", "Enter")
        place.shows(r"● RUNNING +SIM[\s\S]*NORMAL")
        place.keys("gs")
        place.shows("ALIAS")
        place.keys("gf")
        place.shows(r"\[factory\]")
    place.keys(":q", "Enter")
    place.shows("detached; engine RUNNING")
    goes_on(place, engine)


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_screen_that_only_looks_starts_no_engine_that_trades(place: Place, mode: str) -> None:
    needed = "exchange.pair=BTC/USD", "funds.quote=100", "funds.base=0"
    place.look("--read-only", f"--set run.mode={mode}", *(f"--set {one}" for one in needed))
    screen = place.shows("LEFT 2").replace("\n", "")
    assert "--read-only starts none that trades" in screen and "--attach" in screen
    assert not place.data.exists()
