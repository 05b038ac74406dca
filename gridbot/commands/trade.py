"""``gridbot tui`` and ``gridbot run --headless``: an engine in a thread, and a screen or a log.

The engine must notice neither a terminal nor a log that stops reading, and whatever way the process
is asked to go, the state is saved before anything else is tried.
"""

import contextlib
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from queue import SimpleQueue
from types import FrameType
from typing import Any

import click

from gridbot.commands.choices import Choices
from gridbot.core.records import Event
from gridbot.engine.directory import DirectoryInUse, refuse_simulation
from gridbot.engine.runner import Runner

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}
WATCH_SECONDS = 0.2
LINES_WAITING_MAX = 10_000
LOG_CLOSE_SECONDS = 2.0
SWITCH_SECONDS = 0.001  # how long one thread may keep the other from running


def on_screen(choices: Choices, yes: bool, adopt: bool, demo: bool = False) -> None:
    """Trade in this process and watch it; saves on leaving, on SIGTERM and on SIGHUP."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("tui needs a terminal; without one: gridbot run --headless.")
    sys.setswitchinterval(SWITCH_SECONDS)
    if demo:
        from gridbot.commands.demo import show

        show(choices)
        return
    runner = _runner(choices, yes, adopt)
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
            run_app(runner, runner.settings)
    finally:
        _close(runner)
    with contextlib.suppress(OSError):  # the terminal may be gone
        print(f"state saved in {runner.path}; run again to go on", flush=True)


def without_screen(
    choices: Choices, headless: bool, cycles: int | None, yes: bool, adopt: bool
) -> None:
    """Trade until a signal, the last of ``cycles`` polls or a failure; one log line per event."""
    if not headless:
        raise click.UsageError("run works with --headless only; for a screen: gridbot tui.")
    # Blocked before any thread begins: only the wait below takes a signal, wherever it arrives.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    log = Log()
    runner = _runner(choices, yes, adopt, polls=cycles, on_event=log.event)
    runner.start()
    mode, path, identity = runner.settings.run.mode, runner.path, runner.identity
    whose = f"pair {identity.pair}, instance {identity.instance}, " if identity else ""
    times = "the market's, UTC" if mode == "sim" else "UTC"
    log.first = (
        f"gridbot started: mode {mode}, {whose}directory {path}, process {os.getpid()}; "
        f"times are {times}"
    )
    log.start()
    taken = None
    while taken is None and not (runner.finished.is_set() or runner.failure):
        taken = signal.sigtimedwait(STOP_SIGNALS, WATCH_SECONDS)
    try:
        _close(runner)
        cause = signal.Signals(taken.si_signo).name if taken else f"{cycles} polls done"
        log.say(f"gridbot stopped ({cause}): state saved in {path}")
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


def _runner(choices: Choices, yes: bool, adopt: bool, **more: Any) -> Runner:
    """The engine that the options chose; keys are looked for in live mode only."""
    loaded = choices.load()
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


def _close(runner: Runner) -> None:
    runner.close()
    if runner.failure:
        raise click.ClickException(f"the engine failed: {runner.failure}")
    if not runner.finished.is_set():
        raise click.ClickException("the engine does not stop; its journal has all that happened")
