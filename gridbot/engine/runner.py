"""The engine's own thread: paces an engine, publishes statuses, obeys, stops cleanly.

The main thread belongs to the screen or waits for signals; trading must not notice either. One
poll every ``poll_interval_seconds`` (of simulated time, where the market is), and a step at once on
a command. When the disk fails, the engine halts: nothing goes on from memory, and ``resume`` opens
the directory anew. An exchange that cannot be asked at the start is waited for.
"""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from msgspec.structs import replace

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.records import Ack, Command, Event, LedgerEntry
from gridbot.core.settings import Settings
from gridbot.engine.alerts import Alerts
from gridbot.engine.boot import OpenEngine, open_engine
from gridbot.engine.control import Control
from gridbot.engine.directory import Identity, free_space_state
from gridbot.engine.disk import Disk, EngineFileError
from gridbot.engine.narration import describe
from gridbot.engine.status import AlarmStatus, EngineStatus, PriceStatus, Status, build_status
from gridbot.engine.telemetry import Point, Telemetry
from gridbot.exchange.kraken.signing import Credentials
from gridbot.exchange.protocol import ExchangeError, Fatal, RateLimited

EVENTS_KEPT = 2000
PUBLISH_SECONDS_MIN = 0.1
STEPS_PER_SNAPSHOT = 500
SNAPSHOT_SECONDS = 3600.0
DISK_SECONDS = 60.0
JOIN_SECONDS = 30.0
REFUSED_AGAIN_SECONDS = 2.0
OPEN_AGAIN_SECONDS = (5.0, 60.0)  # first and longest wait for an exchange that is not there


class Runner:
    """An EngineClient whose engine runs in a thread of this process."""

    def __init__(
        self,
        settings: Settings,
        path: Path,
        *,
        disk: Disk | None = None,
        polls: int | None = None,
        on_event: Callable[[Event], None] = lambda event: None,
        credentials: Credentials | None = None,
        adopt: bool = False,
        alerts_command: str | None = None,
        serve_after_seconds: float | None = None,
    ) -> None:
        """``credentials``: for live trading. ``adopt``: see ``open_engine``. The control socket is
        there from the first status on, and answers ``serve_after_seconds`` later; None: never.
        """
        self.settings = settings
        self.path = path
        self.data_path: Path | None = path
        self.finished = threading.Event()
        self.failure = self.waits_for = self.link = ""
        self.attached, self.pid = False, os.getpid()
        self._disk = disk or Disk()
        self._access = credentials, adopt
        times = settings.alerts.min_interval_sec, settings.alerts.daily_at_hour
        self._alerts = Alerts(alerts_command, *times)
        self._telemetry = Telemetry(settings.governor.plugins)
        self._polls = polls
        self._on_event = on_event
        self._events: list[Event] = []
        self._published: Status | None = None
        self._serve_after = serve_after_seconds
        self._control: Control | None = None
        self._alarms: tuple[AlarmStatus, ...] = ()  # of our own, beside the brain's
        self._acks: list[Ack] = []  # not told yet
        self._futures: dict[str, Future[Ack]] = {}
        self._inbox: list[Command] = []
        self._guard = threading.Lock()  # for the two above, which both threads change
        self._opened: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._stopping = False
        self._open: OpenEngine | None = None
        self._step_ms = 0.0
        self._published_at = 0.0
        self._saved_at = time.monotonic()
        self._disk_seen_at = -DISK_SECONDS
        self._since = time.time()
        self._thread = threading.Thread(target=self._main, name="engine", daemon=True)

    # --- EngineClient -------------------------------------------------------------------

    def start(self) -> None:
        """Open the directory and begin to trade; raises what opening raised."""
        self._thread.start()
        self._opened.result()

    @property
    def identity(self) -> Identity | None:
        """Whose directory this is; None while an exchange is waited for."""
        return None if self._open is None else self._open.engine.store.identity

    def status(self) -> Status | None:
        """The latest published status."""
        return self._published

    def events(self, after_id: int) -> list[Event]:
        """Events newer than ``after_id`` with their texts."""
        return [event for event in self._events if event.id > after_id]

    def send(self, action: str, args: dict[str, Any] | None = None) -> "Future[Ack]":
        """Queue a command; the engine steps at once."""
        return self.submit(Command(uuid4().hex, time.time(), "tui", action, args or {}))

    def submit(self, command: Command) -> "Future[Ack]":
        """Queue a command; one that waits under the same id is not queued again."""
        future: Future[Ack] = Future()
        future.set_running_or_notify_cancel()  # whoever waits may give up, the answer still comes
        with self._guard:
            if command.id in self._futures:
                return self._futures[command.id]
            if self.finished.is_set():
                future.set_result(Ack(command.id, False, "the engine has stopped", "stopped"))
                return future
            self._futures[command.id] = future
            self._inbox.append(command)
        self._nudge()
        return future

    def ledger(self, slot: int | None, count: int) -> list[LedgerEntry]:
        """The newest entries of a slot (0: the account), read from memory."""
        opened = self._open
        if opened is None:
            return []
        lines = list(opened.engine.brain.books.slot_lines(slot or 0))[-count:]
        return [msgspec.json.decode(line, type=LedgerEntry) for line in lines]

    def history(self, name: str) -> list[Point]:
        """24 hours of a figure; see ``Telemetry.history``."""
        return self._telemetry.history(name)

    def close(self) -> None:
        """Stop with the state saved; returns when the directory is free."""
        self._stopping = True
        self._nudge()
        if self._thread.ident is not None:
            self._thread.join(JOIN_SECONDS)

    # --- the thread ---------------------------------------------------------------------

    def _nudge(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed already
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._wake.set)

    def _main(self) -> None:
        use_exact_arithmetic()
        try:
            asyncio.run(self._run())
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            if not self._opened.done():
                self._opened.set_exception(error)
        finally:
            if self._control is not None:
                self._control.stop()
            with self._guard:
                self.finished.set()
            self._refuse_waiting("the engine has stopped", "stopped")

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        wait, refused = OPEN_AGAIN_SECONDS[0], False
        while not self._stopping:
            try:
                self._open = await open_engine(self.settings, self.path, self._disk, *self._access)
                self._attach(self._open)
                await self._drive(self._open)
            except Exception as error:
                if isinstance(error, Fatal) and not refused:  # once may be a whim
                    refused = True
                    await asyncio.sleep(REFUSED_AGAIN_SECONDS)
                    continue
                if isinstance(error, ExchangeError) and not isinstance(error, Fatal):
                    if isinstance(error, RateLimited):
                        wait = max(wait, error.until - time.time())
                    await self._wait_for_exchange(error, wait)
                    wait = min(2 * wait, OPEN_AGAIN_SECONDS[1])
                    continue
                if not self._opened.done():
                    raise
                named = isinstance(error, EngineFileError | ExchangeError)
                await self._broken(str(error) if named else f"{type(error).__name__}: {error}")

    async def _wait_for_exchange(self, error: ExchangeError, seconds: float) -> None:
        text = f"the exchange cannot be asked: {error}; trying again in {seconds:.0f} s"
        self.waits_for = str(error)
        self._announce([Event(0, time.time(), "exchange_error", "warn", text=text)])
        if not self._opened.done():
            self._opened.set_result(None)
        await self._pause_until(time.monotonic() + seconds)

    def _attach(self, opened: OpenEngine) -> None:
        opened.engine.on_ack = self._acks.append
        self.failure = self.waits_for = ""
        self._tell(opened)
        self._publish(opened)
        if self._control is None and self._serve_after is not None:
            self._control = Control(self, self.path, self._serve_after, self._unserved)
            self._control.start()
        if not self._opened.done():
            self._opened.set_result(None)

    async def _drive(self, opened: OpenEngine) -> None:
        engine, feed = opened
        interval = self.settings.timing.poll_interval_seconds / feed.speed
        polls, due = 0, time.monotonic()
        while not self._stopping:
            commands, sight = self._take_commands(), feed.now()
            engine.commands.extend(commands)
            if not commands:
                due = max(due + interval, time.monotonic())
                sight = await feed.look()
                polls += 1
            started = time.perf_counter()
            spread = None if sight.bid == sight.ask else (sight.bid, sight.ask)
            stepped = await engine.step(sight.at, sight.price, spread=spread, listing=not commands)
            self._step_ms = (time.perf_counter() - started) * 1000
            self._tell(opened)
            if stepped or commands or time.monotonic() - self._published_at > PUBLISH_SECONDS_MIN:
                self._publish(opened)
            self._answer()
            await self._look_after(opened)
            if self._published is not None:
                self._telemetry.look(engine, feed.speed, self._published)
            if self._polls is not None and polls >= self._polls:
                self._stopping = True
            await self._pause_until(due)
        self._answer()
        await feed.close()
        engine.save(feed.now().at)
        if self._control is not None:
            self._control.remove()
        engine.store.close()
        self._publish(opened)

    async def _pause_until(self, due: float) -> None:
        """Sleep till the next poll; a command or the end wakes it early."""
        wait = due - time.monotonic()
        if wait <= 0:
            await asyncio.sleep(0)
        elif not self._stopping and not self._inbox:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._wake.wait()
        self._wake.clear()

    def _take_commands(self) -> list[Command]:
        with self._guard:
            commands, self._inbox = self._inbox, []
        return commands

    def _answer(self) -> None:
        """Tell the answers of the last step, now that a status shows what it did."""
        while self._acks:
            self._acknowledge(self._acks.pop(0))

    def _acknowledge(self, ack: Ack) -> None:
        with self._guard:
            future = self._futures.pop(ack.command_id, None)
        if future is not None:
            future.set_result(ack)

    def _refuse_waiting(self, text: str, code: str) -> None:
        """Answer whatever still waits for an answer that will not come."""
        with self._guard:
            waiting, self._futures, self._inbox = self._futures, {}, []
        for number, future in waiting.items():
            future.set_result(Ack(number, False, text, code))

    def _tell(self, opened: OpenEngine) -> None:
        told = [
            replace(event, text=describe(event), data=msgspec.to_builtins(event.data))
            for event in opened.engine.events
        ]
        opened.engine.events.clear()
        if told:
            self._events = (self._events + told)[-EVENTS_KEPT:]
        self._announce(told)

    def _announce(self, events: list[Event]) -> None:
        """Tell whoever listens, and the operator by his own command if it is due."""
        for event in events:
            self._on_event(event)
        failure = self._alerts.see(events, self._published, time.time())
        if failure:
            self._on_event(Event(0, time.time(), "alert_failed", "warn", text=failure))

    def _unserved(self, text: str) -> None:
        """Say so in the log, and in every status from now on."""
        self._alarms = (AlarmStatus("CONTROL", text),)
        self._on_event(Event(0, time.time(), "control_failed", "warn", text=text))

    def _publish(self, opened: OpenEngine) -> None:
        self._published_at = time.monotonic()
        brain, sight, step_ms = opened.engine.brain, opened.feed.now(), round(self._step_ms, 2)
        state = brain.run_state, brain.state_reason, self._since, os.getpid(), brain.now
        price = sight.bid, sight.ask, sight.last, sight.price, sight.read_at, brain.price_lost
        pace = opened.feed.speed, opened.engine.trouble, self.settings.timing.poll_interval_seconds
        engine = EngineStatus(*state, step_ms, *pace)
        api = opened.engine.exchange.api_use(time.time())
        status = build_status(brain, engine, PriceStatus(*price), api)
        self._telemetry.see(status)
        governor = status.governor | {"odds": self._telemetry.odds}
        alarms = (*status.alarms, *self._alarms)
        self._published = replace(status, governor=governor, alarms=alarms)

    async def _look_after(self, opened: OpenEngine) -> None:
        """Snapshots, old segments and room on the disk; what takes long runs in a worker."""
        engine, now, steps = opened.engine, time.monotonic(), opened.engine.steps_since_snapshot
        if steps >= STEPS_PER_SNAPSHOT or (steps and now - self._saved_at > SNAPSHOT_SECONDS):
            await asyncio.to_thread(engine.save, engine.at)
            await asyncio.to_thread(engine.store.archive, time.time())
            self._saved_at = now
        if now - self._disk_seen_at > DISK_SECONDS:
            self._disk_seen_at = now
            space = free_space_state(self._disk, self.path)
            if space != engine.brain.disk:
                engine.note(disk=space)

    # --- a disk that failed -------------------------------------------------------------

    async def _broken(self, text: str) -> None:
        """Halt in sight of everybody until an operator asks to resume from the disk."""
        if self._open is not None:
            self._open.engine.store.abandon()
        self.failure, halted = text, f"HALTED: {text}"
        if self._published is not None:
            engine = replace(self._published.engine, state="halted", reason=text, error=text)
            self._published = replace(self._published, engine=engine)
        self._answer()
        data = {"reason": text}
        self._announce([Event(0, time.time(), "halted", "bad", data=data, text=halted)])
        self._refuse_waiting(halted, "E22")
        asked = False
        while not (asked or self._stopping):
            await self._wake.wait()
            self._wake.clear()
            for command in self._take_commands():
                if command.action == "resume":
                    asked = True
                    self._acknowledge(Ack(command.id, True, "reading the directory again"))
                else:
                    self._acknowledge(Ack(command.id, False, halted, "E22"))
