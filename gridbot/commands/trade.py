"""``gridbot tui`` and ``gridbot run --headless``: an engine in a thread, and a screen or a log.

The engine must notice neither a terminal nor a log that stops reading, and whatever way the process
is asked to go, the state is saved before anything else is tried.
"""

import contextlib
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

import click
from msgspec.structs import replace

from gridbot.commands.choices import Choices
from gridbot.core.records import Event
from gridbot.core.settings import Settings
from gridbot.engine.arguments import refuse_simulation
from gridbot.engine.directory import DataDirectory, DirectoryInUse
from gridbot.engine.runner import Runner

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
WATCH_SECONDS = 0.2
LINES_WAITING_MAX = 10_000
LOG_CLOSE_SECONDS = 2.0
SWITCH_SECONDS = 0.001  # how long one thread may keep the other from running


def on_screen(choices: Choices) -> None:
    """Trade in this process and watch it; saves on leaving, on SIGTERM and on SIGHUP."""
    settings, path = _prepare(choices)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("tui needs a terminal; without one: gridbot run --headless.")
    sys.setswitchinterval(SWITCH_SECONDS)
    runner = Runner(settings, path)
    try:
        runner.start()
    except DirectoryInUse as error:
        raise DirectoryInUse(f"{error}: see gridbot status") from None

    def leave(number: int, frame: FrameType | None) -> None:
        runner.close()
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    try:
        from gridbot.tui.app import run as run_app

        with contextlib.suppress(SystemExit):
            run_app(runner, settings)
    finally:
        _close(runner)
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"state saved in {path}; run again to go on", flush=True)


def headless(choices: Choices, polls: int | None) -> None:
    """Trade until a signal, the last of ``polls`` or a failure; one log line per event."""
    settings, path = _prepare(choices)
    # Blocked before any thread begins: only the wait below takes a signal, wherever it arrives.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    log = Log()
    runner = Runner(settings, path, polls=polls, on_event=log.event)
    runner.start()
    log.begin(_start_line(runner, path))
    number = None
    while number is None and not (runner.finished.is_set() or runner.failure):
        taken = signal.sigtimedwait(STOP_SIGNALS, WATCH_SECONDS)
        number = None if taken is None else taken.si_signo
    try:
        _close(runner)
        cause = f"{polls} polls done" if number is None else signal.Signals(number).name
        log.say(f"gridbot stopped ({cause}): state saved in {path}")
    finally:
        log.close()


class Log:
    """Lines for stdout, written by a thread of their own: a reader that stalls stalls no trading.

    When nobody reads any more, lines are dropped.
    """

    def __init__(self) -> None:
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._first = ""
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)

    def begin(self, first: str) -> None:
        """Begin to write, with this line before all others."""
        self._first = first
        self._thread.start()

    def say(self, text: str) -> None:
        """Add a line."""
        if self._lines.qsize() < LINES_WAITING_MAX:
            self._lines.put(text)

    def event(self, event: Event) -> None:
        """Add the line of an event: its time in UTC, its severity, its text."""
        at = datetime.fromtimestamp(event.at, UTC)
        self.say(f"{at:%Y-%m-%d %H:%M:%SZ} {event.severity:<4} {event.text}")

    def close(self) -> None:
        """Write what is left, unless nobody reads it."""
        self._lines.put(None)
        self._thread.join(LOG_CLOSE_SECONDS)

    def _write(self) -> None:
        # Past Python's own buffers, whose locks a stalled reader would hold at the exit.
        with contextlib.suppress(OSError), open(1, "wb", buffering=0, closefd=False) as out:
            line: str | None = self._first
            while line is not None:
                out.write(f"{line}\n".encode())
                line = self._lines.get()


def _prepare(choices: Choices) -> tuple[Settings, Path]:
    loaded = choices.load()
    refuse_simulation(loaded.data_dir)
    # Settings are written into journal and snapshot: no key and no machine's path belongs there.
    names = replace(
        loaded.settings.persistence, data_dir=None, supabase_url=None, supabase_key=None
    )
    return replace(loaded.settings, persistence=names), loaded.data_dir


def _start_line(runner: Runner, path: Path) -> str:
    status, identity = runner.status(), DataDirectory.inspect(path).identity
    assert status is not None and identity is not None, "a started engine has both"
    return (
        f"gridbot started: mode {identity.mode}, pair {identity.pair}, directory {path}, "
        f"instance {identity.instance}, process {status.engine.pid}; times are the market's, UTC"
    )


def _close(runner: Runner) -> None:
    runner.close()
    if runner.failure:
        raise click.ClickException(f"the engine failed: {runner.failure}")
    if not runner.finished.is_set():
        raise click.ClickException("the engine does not stop; its journal has all that happened")
