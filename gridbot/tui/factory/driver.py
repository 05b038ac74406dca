"""A terminal driver that never waits for the terminal.

What is written is handed to a thread of ours and counted until the terminal has taken it. When too
much is pending, whole updates are dropped and one full repaint is asked for once the way is free;
short sequences (modes, queries, entry and exit) are never dropped. Leaving waits a bounded time.
"""

import contextlib
import os
import sys
import threading
from typing import Any

from textual.drivers.linux_driver import LinuxDriver

PENDING_BYTES_MAX = 64 * 1024
SEQUENCE_CHARS_MAX = 200  # anything longer is a picture
CHUNK_BYTES = 4096
CLOSE_SECONDS = 1.0


class Outbox(threading.Thread):
    """Strings on their way to a file descriptor. ``pending``: bytes it has not taken yet."""

    def __init__(self, fileno: int) -> None:
        super().__init__(daemon=True, name="terminal-output")
        self._fileno = fileno
        self._waiting: list[bytes] = []
        self._wake = threading.Condition()
        self.closing = False
        self.pending = 0
        self.lost = False

    def put(self, text: str) -> None:
        """Hand over a string; drops it and notes ``lost`` if too much is pending."""
        data = text.encode("utf-8", "replace")
        with self._wake:
            full = self.pending + len(data) > PENDING_BYTES_MAX and self.pending
            if (full or self.lost) and len(text) > SEQUENCE_CHARS_MAX:
                self.lost = True
                return
            self._waiting.append(data)
            self.pending += len(data)
            self._wake.notify()

    def found(self) -> bool:
        """Whether something was lost and there is room again; asked once per loss."""
        with self._wake:
            found = self.lost and not self.pending
            self.lost = self.lost and not found
        return found

    def close(self, seconds: float) -> None:
        """Write what is left, for so long at most."""
        with self._wake:
            self.closing = True
            self._wake.notify()
        self.join(seconds)

    def run(self) -> None:
        """Write until closed; a terminal that is gone takes everything."""
        while True:
            with self._wake:
                while not self._waiting and not self.closing:
                    self._wake.wait()
                data = b"".join(self._waiting)
                self._waiting.clear()
                if not data and self.closing:
                    return
            self._write(memoryview(data))

    def _write(self, data: memoryview) -> None:
        while data:
            done = min(len(data), CHUNK_BYTES)
            with contextlib.suppress(OSError):
                done = os.write(self._fileno, data[:CHUNK_BYTES])
            data = data[done:]
            with self._wake:
                self.pending -= done


class PatientDriver(LinuxDriver):
    """Textual's driver with an outbox in place of its blocking queue."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._open_outbox()

    def _open_outbox(self) -> None:
        self.outbox = Outbox(sys.__stderr__.fileno() if sys.__stderr__ else 2)
        self.outbox.start()

    def start_application_mode(self) -> None:
        """Take the terminal, at the start and after a suspension, which closes the driver."""
        again = self.outbox.closing
        if again:
            self._open_outbox()
        super().start_application_mode()  # type: ignore[no-untyped-call]
        if again:  # the terminal has forgotten the picture
            self._app.call_later(self._app.screen.refresh)

    def write(self, data: str) -> None:
        """Hand over to the outbox; returns at once."""
        self.outbox.put(data)
        if self.outbox.lost and self.outbox.found():
            self._app.call_later(self._app.screen.refresh)

    def close(self) -> None:
        """Let the last strings out, then Textual's own (idle) writer."""
        self.outbox.close(CLOSE_SECONDS)
        super().close()
