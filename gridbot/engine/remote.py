"""An engine behind its control socket: RemoteClient for screens, Asking for single requests.

A RemoteClient lives in a thread of its own. It listens to the engine's events, keeps the latest
status, and when the engine goes away it keeps the last one, says so in ``link`` and tries again
and again until some engine answers in that directory. A command whose answer was lost is sent once
more under the same id, which the engine carries out only once.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import httpx
import msgspec

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.records import Ack, Event, LedgerEntry
from gridbot.engine.directory import DirectoryError
from gridbot.engine.socket_path import SOCKET_FILE, socket_address
from gridbot.engine.status import Status, read_status
from gridbot.engine.telemetry import Point

EVENTS_KEPT = 2000
CONNECT_SECONDS = 2.0
STATUS_SECONDS = 4.0
SILENT_SECONDS = 6.0  # three heartbeats
ANSWER_SECONDS = 40.0  # the engine gives up first
RETRY_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 10.0)  # waits between tries; the last one repeats
READ_SECONDS = 0.25  # how long a screen waits for books or figures before it shows the old ones
CLOSE_SECONDS = 2.0
URL = "http://engine"
# What can go wrong with a socket and with what is read from it.
BROKEN = (httpx.HTTPError, httpx.StreamError, OSError, ValueError)

T = TypeVar("T")


class NoEngine(DirectoryError):
    """No engine answers at a directory's control socket."""


class Answer(msgspec.Struct, frozen=True):
    """What the engine said to an action."""

    ok: bool
    message: str
    code: str = ""
    confirm: str = ""


class Asking:
    """Single requests to the engine of a directory, each waited for. All raise NoEngine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def status(self) -> Status:
        with _plain(self._path), self._client(STATUS_SECONDS) as client:
            return read_status(client.get("/api/status").raise_for_status().content)

    def act(self, action: str, args: dict[str, Any]) -> Answer:
        """Ask for an action in the name of the command line."""
        body = {"id": uuid4().hex, "action": action, "args": args, "actor": "cli"}
        with _plain(self._path), self._client(ANSWER_SECONDS) as client:
            found = client.post("/api/action", content=msgspec.json.encode(body))
            return msgspec.json.decode(found.content, type=Answer)

    @contextlib.contextmanager
    def _client(self, seconds: float) -> Iterator[httpx.Client]:
        patience = httpx.Timeout(seconds, connect=CONNECT_SECONDS)
        with (
            socket_address(self._path) as address,
            httpx.Client(
                transport=httpx.HTTPTransport(uds=address), base_url=URL, timeout=patience
            ) as client,
        ):
            yield client


@contextlib.contextmanager
def _plain(path: Path) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        raise NoEngine(_nobody(path, _reason(error))) from None


def _nobody(path: Path, why: str) -> str:
    return f"{path}: no engine answers at {SOCKET_FILE}: {why}"


def _reason(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError):
        return f"it is another version of gridbot: {error}"
    if isinstance(error, httpx.ConnectError | FileNotFoundError):
        return "nobody listens there"
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return "it does not answer in time"
    return str(error) or "the connection broke"


class RemoteClient:
    """An EngineClient for the engine of another process."""

    attached = True

    def __init__(self, path: Path) -> None:
        self.data_path: Path | None = path
        self._path = path
        self._status: Status | None = None
        self._events: list[Event] = []
        self._gone_at: float | None = time.monotonic()
        self._retry_at, self._tries, self._why, self._how = 0.0, 0, "", "gone"
        self._first = threading.Event()
        self._known: dict[tuple[Any, ...], Any] = {}  # books and figures as last read
        self._reading: Future[Any] | None = None
        self._pending: set[Future[Ack]] = set()
        self._guard = threading.Lock()  # for the set above and what is handed to the loop
        self._loop = asyncio.new_event_loop()
        self._client: httpx.AsyncClient | None = None
        self._work: asyncio.Task[None] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._main, name="remote", daemon=True)

    def start(self, seconds: float) -> None:
        """Connect; waits as long for the first status. Raises NoEngine when none came."""
        self._thread.start()
        if not self._first.wait(seconds):
            self.close()
            raise NoEngine(_nobody(self._path, self._why or "it takes too long"))

    # --- EngineClient -------------------------------------------------------------------

    @property
    def pid(self) -> int:
        return 0 if self._status is None else self._status.engine.pid

    @property
    def waits_for(self) -> str:
        return self.link if self._status is None else ""

    @property
    def link(self) -> str:
        since = self._gone_at
        if since is None or self._closed:
            return ""
        now = time.monotonic()
        wait = self._retry_at - now
        again = f"retry {self._tries} in {wait:.0f}s" if wait > 0.5 else f"retry {self._tries} now"
        return f"engine {self._how} {_span(now - since)}, {again}"

    def status(self) -> Status | None:
        return self._status

    def events(self, after_id: int) -> list[Event]:
        return [event for event in self._events if event.id > after_id]

    def send(self, action: str, args: dict[str, Any] | None = None) -> "Future[Ack]":
        future: Future[Ack] = Future()
        future.set_running_or_notify_cancel()
        number = uuid4().hex
        with self._guard:
            if not self._closed:
                self._pending.add(future)
                asyncio.run_coroutine_threadsafe(
                    self._send(future, number, action, args or {}), self._loop
                )
                return future
        future.set_result(Ack(number, False, "the screen has let go of the engine", "stopped"))
        return future

    def ledger(self, slot: int | None, count: int) -> list[LedgerEntry]:
        where = f"/api/ledger?count={count}" + ("" if slot is None else f"&slot={slot}")
        return self._read(where, list[LedgerEntry])

    def history(self, name: str) -> list[Point]:
        return self._read(f"/api/history?name={name}", list[Point])

    def close(self) -> None:
        with self._guard:
            started, self._closed = not self._closed and self._thread.ident is not None, True
        if started:
            self._loop.call_soon_threadsafe(self._end)
            self._thread.join(CLOSE_SECONDS)

    # --- reading now and then -----------------------------------------------------------

    def _read(self, where: str, kind: type[list[T]]) -> list[T]:
        """What is at ``where``, or was when it was last read: an engine that does not answer at
        once must not hold up a screen."""
        busy = self._reading is not None and not self._reading.done()
        with self._guard:
            if not (busy or self._closed or self._gone_at is not None):
                reading = self._fetch(where, kind)
                self._reading = asyncio.run_coroutine_threadsafe(reading, self._loop)
        if self._reading is not None and not busy:
            with contextlib.suppress(TimeoutError, CancelledError, *BROKEN):
                self._reading.result(READ_SECONDS)
        found: list[T] = self._known.get((where,), [])
        return found

    async def _fetch(self, where: str, kind: type[list[T]]) -> None:
        if self._client is not None:
            found = (await self._client.get(where)).raise_for_status()
            self._known[where,] = msgspec.json.decode(found.content, type=kind)

    # --- the thread ---------------------------------------------------------------------

    def _main(self) -> None:
        use_exact_arithmetic()
        asyncio.set_event_loop(self._loop)
        self._loop.set_exception_handler(lambda loop, context: None)
        self._work = self._loop.create_task(self._stay_in_touch())
        with contextlib.suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._work)
        with self._guard:
            pending, self._pending = self._pending, set()
        for future in pending:
            future.set_result(Ack("", False, "no answer; the command may have run", "gone"))
        rest = asyncio.all_tasks(self._loop)
        for task in rest:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
        self._loop.close()

    def _end(self) -> None:
        if self._work is not None:
            self._work.cancel()

    async def _stay_in_touch(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # whatever it was, the screen goes on with the old picture
                self._why = _reason(error)
            if self._gone_at is None:
                self._gone_at, self._tries = time.monotonic(), 0
            self._client = None
            wait = RETRY_SECONDS[min(self._tries, len(RETRY_SECONDS) - 1)]
            self._tries += 1
            self._retry_at = time.monotonic() + wait
            await asyncio.sleep(wait)

    async def _listen(self) -> None:
        """Take in what the engine tells until it falls silent."""
        patience = httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS)
        last = self._events[-1].id if self._events else 0
        with socket_address(self._path) as address:
            transport = httpx.AsyncHTTPTransport(uds=address)
            async with httpx.AsyncClient(
                transport=transport, base_url=URL, timeout=patience
            ) as client:
                listening = client.stream(
                    "GET", "/api/events", headers={"last-event-id": str(last)},
                    timeout=httpx.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS),
                )  # fmt: skip
                async with listening as response:
                    response.raise_for_status()
                    self._client = client
                    rest = b""
                    async for chunk in response.aiter_raw():
                        *blocks, rest = (rest + chunk).split(b"\n\n")
                        self._take(blocks)

    def _take(self, blocks: list[bytes]) -> None:
        """Keep the new events and the last status of these blocks."""
        told, status = [], b""
        for block in blocks:
            head, _, data = block.partition(b"\ndata: ")
            if head.endswith(b"event: status"):
                status = data
            elif head.endswith(b"event: event"):
                told.append(msgspec.json.decode(data, type=Event))
            elif head.endswith(b"event: bye"):
                self._how = "stopped"
        if told:
            kept = self._events if self._events and told[0].id > self._events[-1].id else []
            self._events = (kept + told)[-EVENTS_KEPT:]
        if status:
            self._show(status)

    def _show(self, text: bytes) -> None:
        self._status = read_status(text)
        self._gone_at, self._tries, self._why, self._how = None, 0, "", "gone"
        self._first.set()

    # --- commands -----------------------------------------------------------------------

    async def _send(
        self, future: "Future[Ack]", number: str, action: str, args: dict[str, Any]
    ) -> None:
        try:
            ack = await self._ask(number, action, args)
        except Exception as error:  # arguments that are no JSON, or a fault of ours
            ack = Ack(number, False, f"cannot be sent: {error}", "E10")
        with self._guard:
            waiting = future in self._pending
            self._pending.discard(future)
        if waiting:
            future.set_result(ack)

    async def _ask(self, number: str, action: str, args: dict[str, Any]) -> Ack:
        body = {"id": number, "action": action, "args": args, "actor": "tui"}
        client, why = self._client, "it is gone"
        for _ in range(2):
            if client is None or client.is_closed:
                break
            try:
                found = await client.post("/api/action", content=msgspec.json.encode(body))
                answer = msgspec.json.decode(found.content, type=Answer)
                with contextlib.suppress(*BROKEN):
                    self._show((await client.get("/api/status")).raise_for_status().content)
                return Ack(number, answer.ok, answer.message, answer.code, answer.confirm)
            except httpx.ConnectError as error:
                return Ack(number, False, f"no engine answers: {_reason(error)}", "gone")
            except BROKEN as error:
                why = f"{_reason(error)}; the command may have run"
        return Ack(number, False, f"no answer from the engine: {why}", "gone")


def _span(seconds: float) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:.0f}s"
