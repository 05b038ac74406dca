"""The engine's own thread: paces a simulated engine, publishes statuses, obeys, stops cleanly.

The main thread belongs to the screen or waits for signals; trading must not notice either. One
poll every ``poll_interval_seconds`` of simulated time, and a step at once on a command. When the
disk fails, the engine halts: nothing goes on from memory, and ``resume`` opens the directory anew.
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

from gridbot.core.numbers import quantum, use_exact_arithmetic
from gridbot.core.records import Ack, Changes, Command, Event, LedgerEntry
from gridbot.core.settings import Settings
from gridbot.engine.boot import OpenEngine, open_simulated
from gridbot.engine.directory import free_space_state
from gridbot.engine.disk import Disk, EngineFileError
from gridbot.engine.narration import describe
from gridbot.engine.status import EngineStatus, PriceStatus, Status, build_status

EVENTS_KEPT = 2000
PUBLISH_SECONDS_MIN = 0.1
STEPS_PER_SNAPSHOT = 500
SNAPSHOT_SECONDS = 3600.0
DISK_SECONDS = 60.0
JOIN_SECONDS = 30.0


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
    ) -> None:
        self.settings = settings
        self.path = path
        self.speed = float(settings.sim.speed)
        self.finished = threading.Event()
        self.failure = ""
        self._disk = disk or Disk()
        self._polls = polls
        self._on_event = on_event
        self._events: list[Event] = []
        self._published: Status | None = None
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

    def status(self) -> Status | None:
        """The latest published status."""
        return self._published

    def events(self, after_id: int) -> list[Event]:
        """Events newer than ``after_id`` with their texts."""
        return [event for event in self._events if event.id > after_id]

    def send(self, action: str, args: dict[str, Any] | None = None) -> "Future[Ack]":
        """Queue a command; the engine steps at once."""
        future: Future[Ack] = Future()
        command = Command(uuid4().hex, time.time(), "tui", action, args or {})
        with self._guard:
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
            with self._guard:
                self.finished.set()
            self._refuse_waiting("the engine has stopped", "stopped")

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._stopping:
            try:
                self._open = await open_simulated(self.settings, self.path, self._disk)
                self._attach(self._open)
                await self._drive(self._open)
            except Exception as error:
                if not self._opened.done():
                    raise
                named = isinstance(error, EngineFileError)
                await self._broken(str(error) if named else f"{type(error).__name__}: {error}")

    def _attach(self, opened: OpenEngine) -> None:
        opened.engine.on_ack = self._acknowledge
        self.failure = ""
        self._tell(opened)
        self._publish(opened)
        if not self._opened.done():
            self._opened.set_result(None)

    async def _drive(self, opened: OpenEngine) -> None:
        engine, venue = opened
        interval = self.settings.timing.poll_interval_seconds
        unit, polls, due = quantum(venue.plan.instrument.price_decimals), 0, time.monotonic()
        while not self._stopping:
            commands = self._take_commands()
            engine.commands.extend(commands)
            if not commands:
                due = max(due + interval / self.speed, time.monotonic())
                venue.run_until((venue.now // interval + 1) * interval)
                polls += 1
            started = time.perf_counter()
            stepped = await engine.step(venue.now, venue.price_now * unit)
            self._step_ms = (time.perf_counter() - started) * 1000
            self._tell(opened)
            if stepped or commands or time.monotonic() - self._published_at > PUBLISH_SECONDS_MIN:
                self._publish(opened)
            await self._look_after(opened)
            if self._polls is not None and polls >= self._polls:
                self._stopping = True
            await self._pause_until(due)
        engine.save(venue.now)
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
        told = [replace(event, text=describe(event)) for event in opened.engine.events]
        opened.engine.events.clear()
        if told:
            self._events = (self._events + told)[-EVENTS_KEPT:]
        for event in told:
            self._on_event(event)

    def _publish(self, opened: OpenEngine) -> None:
        self._published_at = time.monotonic()
        brain, venue, step_ms = opened.engine.brain, opened.venue, round(self._step_ms, 2)
        price = venue.price_now * quantum(brain.instrument.price_decimals)
        state = brain.run_state, brain.state_reason, self._since, os.getpid(), brain.now
        self._published = build_status(
            brain,
            EngineStatus(*state, step_ms, self.speed),
            PriceStatus(price, price, price, price, venue.now, brain.price_lost),
        )

    async def _look_after(self, opened: OpenEngine) -> None:
        """Snapshots, old segments and room on the disk; what takes long runs in a worker."""
        engine, now, steps = opened.engine, time.monotonic(), opened.engine.steps_since_snapshot
        if steps >= STEPS_PER_SNAPSHOT or (steps and now - self._saved_at > SNAPSHOT_SECONDS):
            await asyncio.to_thread(engine.save, opened.venue.now)
            await asyncio.to_thread(engine.store.archive, time.time())
            self._saved_at = now
        if now - self._disk_seen_at > DISK_SECONDS:
            self._disk_seen_at = now
            space = free_space_state(self._disk, self.path)
            if space != engine.brain.disk:
                engine.changes = Changes(disk=space)

    # --- a disk that failed -------------------------------------------------------------

    async def _broken(self, text: str) -> None:
        """Halt in sight of everybody until an operator asks to resume from the disk."""
        if self._open is not None:
            self._open.engine.store.abandon()
        self.failure, halted = text, f"HALTED: {text}"
        if self._published is not None:
            engine = replace(self._published.engine, state="halted", reason=text, error=text)
            self._published = replace(self._published, engine=engine)
        self._on_event(Event(0, time.time(), "halted", "bad", data={"reason": text}, text=halted))
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
