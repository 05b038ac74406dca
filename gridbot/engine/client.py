"""EngineClient: the one port through which a screen or script sees and steers an engine.

The client hands out frozen statuses and takes commands; it never shares a live object. Whoever
holds one cannot tell an engine in this process from one behind a socket.
"""

from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from gridbot.core.records import Ack, Event, LedgerEntry
from gridbot.engine.status import Status
from gridbot.engine.telemetry import Point


class EngineClient(Protocol):
    """What every client offers. Methods return at once; only a command's Future takes time.
    ``waits_for``: what keeps the first status from coming, empty if nothing is known to.
    ``data_path``: the engine's data directory if this process can read it.
    """

    waits_for: str
    data_path: Path | None

    def status(self) -> Status | None:
        """The latest published status; None before the first."""

    def events(self, after_id: int) -> list[Event]:
        """Events newer than ``after_id``, oldest first, with their texts (bounded)."""

    def send(self, action: str, args: dict[str, Any] | None = None) -> "Future[Ack]":
        """Ask for an action; resolves with the engine's answer, never with an exception."""

    def ledger(self, slot: int | None, count: int) -> list[LedgerEntry]:
        """The newest entries (of one slot, or of the account), oldest first."""

    def history(self, name: str) -> list[Point]:
        """24 hours of a figure, see ``Telemetry.history``; empty for a name it does not know."""

    def close(self) -> None:
        """Let go of the engine: one in this process is stopped with its state saved."""
