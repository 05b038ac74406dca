"""EngineClient: the one port through which a screen or script sees and steers an engine.

The client hands out frozen statuses and takes commands; it never shares a live object. Whoever
holds one cannot tell an engine in this process from one behind a socket, unless by asking for
``attached``.
"""

from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from gridbot.core.records import Ack, Event, LedgerEntry
from gridbot.engine.status import Status
from gridbot.engine.telemetry import Point


class EngineClient(Protocol):
    """What every client offers. Methods return at once; only a command's Future takes time."""

    @property
    def attached(self) -> bool:
        """Whether the engine lives in another process and goes on after ``close``."""

    @property
    def pid(self) -> int:
        """The engine's process; 0 while it is not known."""

    @property
    def data_path(self) -> Path | None:
        """The engine's data directory, if this process can read it."""

    @property
    def waits_for(self) -> str:
        """What keeps the first status from coming; empty if nothing is known to."""

    @property
    def link(self) -> str:
        """Empty while the engine is in touch, else since when it is not and when it is tried
        again: the status is an old one then."""

    def status(self) -> Status | None:
        """The latest published status; None before the first."""

    def events(self, after_id: int) -> list[Event]:
        """Events newer than ``after_id``, oldest first, with their texts (bounded). Their ``data``
        is as JSON has it: amounts are texts."""

    def send(self, action: str, args: dict[str, Any] | None = None) -> "Future[Ack]":
        """Ask for an action; resolves with the engine's answer, never with an exception. By then
        ``status`` shows what the action did."""

    def ledger(self, slot: int | None, count: int) -> list[LedgerEntry]:
        """The newest entries (of one slot, or of the account), oldest first."""

    def history(self, name: str) -> list[Point]:
        """24 hours of a figure, see ``Telemetry.history``; empty for a name it does not know."""

    def close(self) -> None:
        """Let go of the engine: one in this process is stopped with its state saved."""
