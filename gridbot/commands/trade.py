"""``gridbot tui`` and ``gridbot run --headless``: an engine in a thread, and a screen or a log.

A screen for a directory whose engine runs already attaches to that one, which goes on without it.
The engine must notice neither a terminal nor a log that stops reading, and whatever way the process
is asked to go, the state is saved before anything else is tried.
"""

import contextlib
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from queue import SimpleQueue
from types import FrameType
from typing import Any

import click

from gridbot.commands.choices import Choices
from gridbot.config import LoadedConfig
from gridbot.core.records import Event
from gridbot.core.settings import Settings
from gridbot.engine.client import EngineClient
from gridbot.engine.directory import (
    DataDirectory,
    DirectoryError,
    DirectoryInUse,
    refuse_simulation,
)
from gridbot.engine.runner import Runner
from gridbot.engine.socket_path import SOCKET_FILE

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
WATCH_SECONDS = 0.2
LINES_WAITING_MAX = 10_000
LOG_CLOSE_SECONDS = 2.0
SCREEN_FIRST_SECONDS = 1.0  # for the first frame, before others may ask
ATTACH_SECONDS = 10.0  # an engine may be starting
SWITCH_SECONDS = 0.001  # how long one thread may keep the other from running


def on_screen(
    choices: Choices,
    yes: bool,
    adopt: bool,
    attach: bool,
    read_only: bool = False,
    demo: bool = False,
) -> None:
    """Watch the engine that runs in the directory, or with none there trade in this process."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("tui needs a terminal; without one: gridbot run --headless.")
    if demo:
        from gridbot.commands.demo import show

        if attach:
            raise click.UsageError("--demo is a show of its own: leave --attach out.")
        show(choices, read_only)
        return
    loaded = choices.load()
    refuse_simulation(loaded.data_dir)
    runs = engine_works(loaded.data_dir)
    if attach and not runs:
        raise DirectoryError(
            f"{loaded.data_dir}: no engine runs there to attach to: start one with gridbot run "
            "--headless, or leave --attach out"
        )
    if read_only and not runs and loaded.settings.run.mode != "sim":
        raise DirectoryError(
            f"{loaded.data_dir}: no engine runs there to look at, and --read-only starts none that "
            f"trades (mode {loaded.settings.run.mode}): start one with gridbot run --headless, "
            "then gridbot tui --attach --read-only"
        )
    if not runs:
        runner = _runner(loaded, yes, adopt, serve_after_seconds=SCREEN_FIRST_SECONDS)
        try:
            runner.start()
        except DirectoryInUse:  # started while we looked
            runs = True
    if runs:
        _watch(loaded, read_only)
    else:
        _trade(runner, read_only)


def _trade(runner: Runner, read_only: bool) -> None:
    try:
        _show(runner, runner.settings, read_only)
    finally:
        _close(runner)
    _say(f"{_left(runner)}; run again to go on")


def engine_works(path: Path) -> bool:
    """Whether an engine works in the directory, or has halted there and still answers."""
    with contextlib.suppress(DirectoryError):
        if DataDirectory.inspect(path).running:
            return True
    if not os.path.exists(path / SOCKET_FILE):  # False, too, where one may not look
        return False
    from gridbot.engine.remote import Asking, NoEngine

    try:
        Asking(path).status()
    except NoEngine:
        return False
    return True


def _watch(loaded: LoadedConfig, read_only: bool) -> None:
    """A screen for an engine of another process, which is left alone afterwards."""
    from gridbot.engine.remote import NoEngine, RemoteClient

    client = RemoteClient(loaded.data_dir)
    try:
        client.start(ATTACH_SECONDS)
    except NoEngine as error:
        whose = f"process {DataDirectory.inspect(loaded.data_dir).pid or 'unknown'} works there"
        raise NoEngine(f"{error}; {whose}, see gridbot status") from None
    try:
        farewell = _show(client, loaded.settings, read_only)
    finally:
        client.close()
    if farewell:
        _say(farewell)


def _show(client: EngineClient, settings: Settings, read_only: bool) -> str:
    """The screen, till the operator leaves it or a signal ends it; closes the client on a signal,
    because the terminal may be gone and the rest may hang. Returns its last words."""

    def leave(number: int, frame: FrameType | None) -> None:
        client.close()
        sys.exit(0)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)
    sys.setswitchinterval(SWITCH_SECONDS)
    from gridbot.tui.app import run as run_app

    with contextlib.suppress(SystemExit):
        return run_app(client, settings, read_only)
    return ""


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(text, flush=True)


def without_screen(
    choices: Choices, headless: bool, cycles: int | None, yes: bool, adopt: bool
) -> None:
    """Trade until a signal, the last of ``cycles`` polls or a failure; one log line per event."""
    if not headless:
        raise click.UsageError("run works with --headless only; for a screen: gridbot tui.")
    # Blocked before any thread begins: only the wait below takes a signal, wherever it arrives.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    log = Log()
    runner = _runner(
        choices.load(), yes, adopt, polls=cycles, on_event=log.event, serve_after_seconds=0.0
    )
    runner.start()
    mode, path, identity = runner.settings.run.mode, runner.path, runner.identity
    whose = f"pair {identity.pair}, instance {identity.instance}, " if identity else ""
    times = "the market's, UTC" if mode == "sim" else "UTC"
    log.first = (
        f"gridbot started: mode {mode}, {whose}directory {path}, process {os.getpid()}; "
        f"times are {times}"
    )
    log.start()
    taken = 0
    while not (taken or runner.finished.is_set() or runner.failure):
        found = signal.sigtimedwait(STOP_SIGNALS, WATCH_SECONDS)
        # After a halt by SIGSTOP, Python may hand out a signal that never came.
        taken = found.si_signo if found and found.si_signo in STOP_SIGNALS else 0
    try:
        _close(runner)
        done = "stop" if cycles is None else f"{cycles} polls done"
        cause = signal.Signals(taken).name if taken else done
        log.say(f"gridbot stopped ({cause}): {_left(runner)}")
    finally:
        log.close()


class Log(threading.Thread):
    """Lines for stdout, written by this thread: a reader that stalls stalls no trading.
    The line ``first`` comes before all others. When nobody reads any more, lines are dropped.
    """

    def __init__(self) -> None:
        super().__init__(name="log", daemon=True)
        self.first = ""
        self._lines: SimpleQueue[str | None] = SimpleQueue()

    def say(self, text: str) -> None:
        if self._lines.qsize() < LINES_WAITING_MAX:
            self._lines.put(text)

    def event(self, event: Event) -> None:
        at = datetime.fromtimestamp(event.at, UTC)
        self.say(f"{at:%Y-%m-%d %H:%M:%SZ} {event.severity:<4} {event.text}")

    def close(self) -> None:
        """Write what is left, unless nobody reads it."""
        self._lines.put(None)
        self.join(LOG_CLOSE_SECONDS)

    def run(self) -> None:
        # Past Python's own buffers, whose locks a stalled reader would hold at the exit.
        with contextlib.suppress(OSError), open(1, "wb", buffering=0, closefd=False) as out:
            line: str | None = self.first
            while line is not None:
                out.write(f"{line}\n".encode())
                line = self._lines.get()


def _runner(loaded: LoadedConfig, yes: bool, adopt: bool, **more: Any) -> Runner:
    """The engine that the options chose; keys are looked for in live mode only."""
    settings, path, credentials = loaded.settings, loaded.data_dir, None
    refuse_simulation(path)
    if settings.run.mode == "live":
        from gridbot.commands.kraken import confirm_first_live, credentials_of

        credentials = credentials_of(loaded)
        confirm_first_live(settings, path, yes)
    command = loaded.values["alerts.command"]
    return Runner(
        settings, path, credentials=credentials, adopt=adopt, alerts_command=command, **more
    )


def _left(runner: Runner) -> str:
    """What the end left behind."""
    if runner.identity is None:
        return f"it never came to trade, {runner.path} is as it was"
    return f"state saved in {runner.path}"


def _close(runner: Runner) -> None:
    runner.close()
    if runner.failure:
        raise click.ClickException(f"the engine failed: {runner.failure}")
    if not runner.finished.is_set():
        raise click.ClickException("the engine does not stop; its journal has all that happened")
