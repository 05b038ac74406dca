"""The control API: an engine's status, events, books and commands over a Unix socket.

The socket lies in the data directory and only its owner may use it; there is no TCP listener. It
is served from a thread with a loop of its own, which reads what the engine published and queues
commands: however slowly someone reads, no step waits. What comes in is checked here, before the
engine hears of it; whatever goes wrong is answered with ``{"ok", "message", "code"}``.
"""

import asyncio
import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol
from uuid import uuid4

import msgspec

from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.records import Ack, Command
from gridbot.engine.actions import table
from gridbot.engine.client import EngineClient
from gridbot.engine.socket_path import SOCKET_FILE, socket_address

if TYPE_CHECKING:  # imported by the thread that serves: it takes time that a first frame has not
    from starlette.requests import Request
    from starlette.responses import Response
    from uvicorn import Server

BODY_BYTES_MAX = 64 * 1024
ENTRIES_MAX = 1000
DIGITS_MAX = 15
LISTENERS_MAX = 16
LOOK_SECONDS = 0.05  # between two looks for something new
STATUS_SECONDS = 0.1  # between two statuses for a listener
HEARTBEAT_SECONDS = 2.0
ANSWER_SECONDS = 30.0
STOP_SECONDS = 2.0
GRACE_SECONDS = 1  # for those who are still reading when the engine stops
BACKLOG = 64
OWNER_ONLY = 0o177  # umask: nobody else may connect
_NUMBER = re.compile(rf"[0-9]{{1,{DIGITS_MAX}}}", re.ASCII)
_ALWAYS = {"force", "alias"}  # arguments that no row needs to name


Text = Annotated[str, msgspec.Meta(max_length=4000)]  # ``force`` may name all our orders


class Served(EngineClient, Protocol):
    """An engine in this process."""

    def submit(self, command: Command) -> "Future[Ack]":
        """Queue a command under its own id."""


class Refused(Exception):
    """A request that is not carried out: HTTP status, stable code, one line."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(text)
        self.status, self.code = status, code


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The body of an action. Its arguments go into the journal: small, flat, of exact types."""

    action: str
    id: str | None = None
    args: dict[str, bool | int | Text | list[int | Text] | None] = {}
    actor: Literal["api", "cli", "tui"] = "api"


# ---- what comes in


def read_command(body: bytes, at: float) -> Command:
    """The command in a body; raises Refused with what is wrong."""
    try:
        found = json.loads(body, parse_float=str, parse_int=_whole, parse_constant=_no_number)
        asked = msgspec.convert(found, Asked)
        msgspec.json.encode(asked)  # what cannot be written to the journal is no argument
    except (ValueError, RecursionError, OverflowError, TypeError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise Refused(400, "E10", f"the body is no action: {text}") from None
    if asked.id is not None and not re.fullmatch(r"[A-Za-z0-9_.:-]{1,64}", asked.id):
        raise Refused(400, "E10", "id: 1 to 64 letters, digits or any of _ . : -")
    known = _arguments().get(asked.action)
    if known is None:
        names = ", ".join(sorted(_arguments()))
        raise Refused(400, "E01", f'no action "{asked.action[:40]}"; there are {names}')
    strange = sorted(asked.args.keys() - known - _ALWAYS)
    if strange:
        wanted = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
        raise Refused(400, "E10", f'{asked.action}: no argument "{strange[0][:40]}"; {wanted}')
    for name, value in asked.args.items():  # True is 1 to a lookup: it would hit slot 1
        if isinstance(value, bool) and name != "force":
            raise Refused(400, "E10", f"{asked.action}: {name} cannot be true or false")
    return Command(asked.id or uuid4().hex, at, asked.actor, asked.action, asked.args)


def _whole(digits: str) -> int:
    if len(digits) > DIGITS_MAX:
        raise ValueError(f"a whole number of more than {DIGITS_MAX} digits")
    return int(digits)


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def _arguments() -> dict[str, set[str]]:
    """What every action of the table takes."""
    found: dict[str, set[str]] = {}
    for row in table():
        if row.engine:
            found.setdefault(row.engine, set()).update(row.fixed, (one.name for one in row.args))
    return found


def _number(request: "Request", name: str, low: int, high: int) -> int | None:
    text = request.query_params.get(name, "")
    if not text:
        return None
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        raise Refused(400, "E14", f"{name}: {text[:40]!r} is not a whole number, {low} to {high}")
    return int(text)


# ---- the thread


class Control:
    """Serves one engine; ``on_failure`` hears in one line why that is not possible."""

    def __init__(
        self, engine: Served, path: Path, after_seconds: float, on_failure: Callable[[str], None]
    ) -> None:
        """``path``: the data directory, locked by this process. ``after_seconds``: how long who
        asks must wait at first, so that a screen can come up undisturbed."""
        self._engine, self._path, self._after = engine, path, after_seconds
        self._on_failure = on_failure
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._inode = 0
        self._server: Server | None = None
        self._listeners = 0
        self._seen: tuple[object, bytes] = (None, b"")
        self._thread = threading.Thread(target=self._main, name="control", daemon=True)

    def start(self) -> None:
        """Make the socket and begin to serve; returns at once."""
        try:
            self._listener = self._bind()
        except OSError as error:
            self._fail(f"{self._path / SOCKET_FILE}: {error.strerror or error}")
        else:
            self._thread.start()

    def remove(self) -> None:
        """Take the socket file away, if it is still ours: nobody new comes in."""
        file, self._inode, inode = self._path / SOCKET_FILE, 0, self._inode
        with contextlib.suppress(OSError):
            if inode and file.lstat().st_ino == inode:
                file.unlink()

    def stop(self) -> None:
        """Say goodbye to all and end; returns when that is done, or takes too long."""
        self.remove()
        self._stopping.set()
        if self._server is not None:
            self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def _fail(self, text: str) -> None:
        self._on_failure(f"the control socket cannot be served: {text}")

    def _bind(self) -> socket.socket:
        """A listening socket; what lies in its place is stale, as the directory is locked."""
        file = self._path / SOCKET_FILE
        if file.is_symlink() or not file.is_dir():
            file.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(OWNER_ONLY)
        try:
            with socket_address(self._path) as address:
                listener.bind(address)
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
        finally:
            os.umask(mask)
        self._inode = file.lstat().st_ino
        return listener

    def _main(self) -> None:
        use_exact_arithmetic()
        try:
            if not self._stopping.wait(self._after):
                asyncio.run(self._serve())
        except Exception as error:  # trading goes on, whatever it was
            self._fail(f"{type(error).__name__}: {error}")
        finally:
            self.remove()
            if self._listener is not None:
                self._listener.close()

    async def _serve(self) -> None:
        import uvicorn

        from gridbot.engine.control_http import JsonProtocol, application

        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        config = uvicorn.Config(
            application(self), http=JsonProtocol, ws="none", lifespan="off", access_log=False,
            log_config=None, log_level="critical", timeout_graceful_shutdown=GRACE_SECONDS,
            server_header=False,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._server.should_exit = self._stopping.is_set()
        assert self._listener is not None
        await self._server.serve(sockets=[self._listener])

    # ---- what is asked

    def status_bytes(self) -> bytes:
        """The latest status, encoded once however many ask."""
        status = self._engine.status()
        if status is not self._seen[0]:
            self._seen = status, msgspec.json.encode(status)
        return self._seen[1]

    async def status(self, request: "Request") -> "Response":
        return _json(self.status_bytes())

    async def ledger(self, request: "Request") -> "Response":
        slot = _number(request, "slot", 0, 10**9)
        count = _number(request, "count", 1, ENTRIES_MAX) or 20
        entries = await asyncio.to_thread(self._engine.ledger, slot, count)
        return _json(msgspec.json.encode(entries))

    async def history(self, request: "Request") -> "Response":
        name = request.query_params.get("name", "")
        return _json(msgspec.json.encode(self._engine.history(name)))

    async def action(self, request: "Request") -> "Response":
        """Queue a command and wait for its answer."""
        command = read_command(await _body(request), time.time())
        answer = asyncio.wrap_future(self._engine.submit(command))
        try:
            ack = await asyncio.wait_for(asyncio.shield(answer), ANSWER_SECONDS)
        except TimeoutError:
            text = f"no answer after {ANSWER_SECONDS:.0f}s; the command may still run"
            raise Refused(504, "late", text) from None
        status = 200 if ack.ok else 503 if ack.code == "stopped" else 409
        return answered(status, ack.ok, ack.message, ack.code, ack.command_id, ack.confirm)

    async def events(self, request: "Request") -> "Response":
        """Statuses as they come, the latest only; events, all of them, from an id on."""
        from starlette.responses import StreamingResponse

        last = request.headers.get("last-event-id", "")
        if last and not _NUMBER.fullmatch(last):
            raise Refused(400, "E14", f"Last-Event-ID: {last[:40]!r} is not the id of an event")
        if self._listeners >= LISTENERS_MAX:
            raise Refused(503, "busy", f"{LISTENERS_MAX} listen already")
        status = self._engine.status()
        newest = 0 if status is None else status.events_last_id
        after = int(last) if last else newest
        stream = self._stream(after if after <= newest else 0)
        head = {"cache-control": "no-store"}
        return StreamingResponse(stream, headers=head, media_type="text/event-stream")

    async def _stream(self, after: int) -> AsyncIterator[bytes]:
        seen, spoken_at, told_at = None, 0.0, 0.0
        self._listeners += 1
        try:
            while not self._stopping.is_set():
                parts, now, status = [], time.monotonic(), self._engine.status()
                if status is not seen and now - told_at >= STATUS_SECONDS:
                    for event in self._engine.events(after):
                        after = event.id
                        parts.append(b"id: %d\nevent: event\ndata: %b\n\n"
                                     % (after, msgspec.json.encode(event)))  # fmt: skip
                    parts.append(b"event: status\ndata: %b\n\n" % self.status_bytes())
                    seen, told_at = status, now
                elif now - spoken_at >= HEARTBEAT_SECONDS:
                    parts.append(b": heartbeat\n\n")
                if parts:
                    yield b"".join(parts)
                    spoken_at = now
                await asyncio.sleep(LOOK_SECONDS)
            yield b'event: bye\ndata: "the engine has stopped"\n\n'
        finally:
            self._listeners -= 1


async def _body(request: "Request") -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY_BYTES_MAX:
            raise Refused(413, "E10", f"the body has more than {BODY_BYTES_MAX} bytes")
    return body


def _json(body: bytes, status: int = 200) -> "Response":
    from starlette.responses import Response

    return Response(body, status, {"cache-control": "no-store"}, "application/json")


def answered(
    status: int, ok: bool, text: str, code: str, number: str = "", confirm: str = ""
) -> "Response":
    """What every request gets that is not a plain read."""
    more = {name: value for name, value in (("id", number), ("confirm", confirm)) if value}
    told = {"ok": ok, "message": text, "code": code, **more}
    return _json(msgspec.json.encode(told), status)
