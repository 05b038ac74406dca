"""The engine's own thread: paces a simulated engine, publishes statuses, obeys, stops cleanly.

The main thread belongs to the screen or waits for signals; trading must not notice either. One
poll every ``poll_interval_seconds`` of simulated time, and a step at once on a command. When the
disk fails, the engine halts: nothing goes on from memory, and ``resume`` opens the directory anew.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from gridbot.core.narration import describe
from gridbot.core.numbers import quantum, use_exact_arithmetic
from gridbot.core.records import Ack, Command, Event, LedgerEntry
from gridbot.core.settings import Settings
from gridbot.engine.boot import OpenEngine, open_simulated
from gridbot.engine.disk import Disk, EngineFileError
from gridbot.engine.status import EngineStatus, PriceStatus, Status, build_status

PUBLISH_SECONDS_MIN = 0.1
STEPS_PER_SNAPSHOT = 500
SNAPSHOT_SECONDS = 3600.0
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
        self._guard = threading.Lock()
        self._opened: Future[None] = Future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._stopping = False
        self._open: OpenEngine | None = None
        self._step_ms = 0.0
        self._published_at = 0.0
        self._saved_at = time.monotonic()
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
        events = self._events
        first = next((i for i, event in enumerate(events) if event.id > after_id), len(events))
        return events[first:]

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

    def wait(self) -> None:
        """Block until the engine has stopped by itself or was told to."""
        self.finished.wait()

    # --- the thread ---------------------------------------------------------------------

    def _nudge(self) -> None:
        if self._loop is not None and self._wake is not None and not self._loop.is_closed():
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
                for number, future in self._futures.items():
                    if not future.done():
                        future.set_result(Ack(number, False, "the engine has stopped", "stopped"))

    async def _run(self) -> None:
        self._loop, self._wake = asyncio.get_running_loop(), asyncio.Event()
        while not self._stopping:
            try:
                self._open = await open_simulated(self.settings, self.path, self._disk)
                self._attach(self._open)
                await self._drive(self._open)
            except EngineFileError as error:
                if not self._opened.done():
                    raise
                await self._broken(str(error))

    def _attach(self, opened: OpenEngine) -> None:
        opened.engine.on_ack = self._acknowledge
        self.failure = ""
        self._tell(opened)
        self._publish(opened, True)
        if not self._opened.done():
            self._opened.set_result(None)

    async def _drive(self, opened: OpenEngine) -> None:
        engine, venue = opened
        interval = self.settings.timing.poll_interval_seconds
        unit = quantum(engine.brain.instrument.price_decimals)
        polls = 0
        due = time.monotonic()
        while not self._stopping:
            commanded = self._take_commands(opened)
            if not commanded:
                due = max(due + interval / self.speed, time.monotonic())
                venue.run_until((venue.now // interval + 1) * interval)
                polls += 1
            started = time.perf_counter()
            stepped = await engine.step(venue.now, venue.price_now * unit)
            self._step_ms = (time.perf_counter() - started) * 1000
            self._tell(opened)
            self._publish(opened, stepped or commanded)
            self._save_if_due(opened)
            if self._polls is not None and polls >= self._polls:
                self._stopping = True
            await self._pause_until(due)
        self._finish(opened)

    async def _pause_until(self, due: float) -> None:
        """Sleep till the next poll; a command or the end wakes it early."""
        assert self._wake is not None
        wait = due - time.monotonic()
        if wait <= 0:
            await asyncio.sleep(0)
        elif not self._stopping and not self._inbox:
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()

    def _take_commands(self, opened: OpenEngine) -> bool:
        with self._guard:
            commands, self._inbox = self._inbox, []
        opened.engine.commands.extend(commands)
        return bool(commands)

    def _acknowledge(self, ack: Ack) -> None:
        with self._guard:
            future = self._futures.pop(ack.command_id, None)
        if future is not None:
            future.set_result(ack)

    def _tell(self, opened: OpenEngine) -> None:
        new = list(opened.engine.events)
        opened.engine.events.clear()
        told = [msgspec.structs.replace(event, text=describe(event)) for event in new]
        if told:
            self._events = (self._events + told)[-2000:]
            for event in told:
                self._on_event(event)

    def _publish(self, opened: OpenEngine, changed: bool) -> None:
        now = time.monotonic()
        if not changed and now - self._published_at < PUBLISH_SECONDS_MIN:
            return
        self._published_at = now
        engine, venue = opened
        brain = engine.brain
        price = venue.price_now * quantum(brain.instrument.price_decimals)
        self._published = build_status(
            brain,
            EngineStatus(
                brain.run_state, brain.state_reason, self._since, os.getpid(), brain.now,
                round(self._step_ms, 2), self.speed,
            ),
            PriceStatus(price, price, price, price, venue.now, brain.price_lost),
        )  # fmt: skip

    def _save_if_due(self, opened: OpenEngine) -> None:
        engine = opened.engine
        due = time.monotonic() - self._saved_at > SNAPSHOT_SECONDS
        if engine.steps_since_snapshot >= STEPS_PER_SNAPSHOT or (
            due and engine.steps_since_snapshot
        ):
            engine.save(opened.venue.now)
            engine.store.archive(time.time())
            self._saved_at = time.monotonic()

    def _finish(self, opened: OpenEngine) -> None:
        opened.engine.save(opened.venue.now)
        opened.engine.store.close()
        self._publish(opened, True)

    # --- a disk that failed -------------------------------------------------------------

    async def _broken(self, text: str) -> None:
        """Halt in sight of everybody until an operator asks to resume from the disk."""
        assert self._wake is not None
        if self._open is not None:
            self._open.engine.store.abandon()
        self.failure = text
        self._show_failure(text)
        while not self._stopping:
            with self._guard:
                commands, self._inbox = self._inbox, []
            asked = [command for command in commands if command.action == "resume"]
            for command in commands:
                self._acknowledge(
                    Ack(command.id, True, "reading the directory again")
                    if command in asked
                    else Ack(command.id, False, f"HALTED: {text}", "E22")
                )
            if asked:
                return
            await self._wake.wait()
            self._wake.clear()

    def _show_failure(self, text: str) -> None:
        if self._published is not None:
            engine = msgspec.structs.replace(
                self._published.engine, state="halted", reason=text, error=text
            )
            self._published = msgspec.structs.replace(self._published, engine=engine)
        event = Event(
            0, time.time(), "halted", "bad", data={"reason": text}, text=f"HALTED: {text}"
        )
        self._on_event(event)
