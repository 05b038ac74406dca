"""The slots view on a real terminal: 112 slots, all of them changed every second.

Run: python -m benchmarks.tui_slots [SECONDS]. A child draws on a pseudo-terminal whose reader
counts bytes; processor time is that of the child alone, in percent of one core, beside what the
same screen costs while nothing changes. The picture is ready-made: no engine is in the figures.
"""

import fcntl
import os
import pty
import select
import struct
import sys
import tempfile
import termios
import time
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from benchmarks.simulate import calibration_ms
from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.settings import RunSettings, Settings
from gridbot.engine.client import EngineClient
from gridbot.engine.status import Status
from gridbot.tui.app import run
from tests.tui.pictures import StillClient, status

SLOTS = 112
SIZES = ((80, 24), (120, 40), (200, 50))
WARM_SECONDS = 3.0
PICTURES = 8
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Changing(StillClient):
    """Another ready-made picture every second, or always the first."""

    def __init__(self, pictures: list[Status]) -> None:
        super().__init__(pictures[0])
        self._pictures = pictures

    def status(self) -> Status:
        return self._pictures[int(time.time()) % len(self._pictures)]


def pictures(count: int) -> list[Status]:
    """Statuses that differ in the price and in three figures of every slot."""
    base, made = status(slots=SLOTS), []
    for step in range(count):
        change = Decimal(step) / 100
        slots = tuple(
            replace(one, realised=one.realised + change, unrealised=one.unrealised - change,
                    round_trips=one.round_trips + step, last_fill_at=time.time() - 100 - step)
            for one in base.slots
        )  # fmt: skip
        price = replace(base.price, at=time.time() + step, mid=Decimal("0.091234") + change)
        made.append(replace(base, seq=step, slots=slots, price=price))
    return made


def child(client: EngineClient, width: int, height: int) -> tuple[int, int]:
    """The app on a terminal of its own, in the slots view: process id, and our end of it."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        os.environ["XDG_STATE_HOME"] = os.environ["XDG_CONFIG_HOME"] = tempfile.mkdtemp()
        use_exact_arithmetic()
        run(client, Settings(run=RunSettings(mode="sim")))
        os._exit(0)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    return pid, terminal


def drain(terminal: int, seconds: float) -> bytes:
    """What was written to the terminal in so many seconds."""
    written, until = b"", time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            written += os.read(terminal, 65536)
    return written


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def measure(count: int, width: int, height: int, seconds: float) -> tuple[float, float]:
    """Percent of a core, and KiB a second."""
    pid, terminal = child(Changing(pictures(count)), width, height)
    drain(terminal, WARM_SECONDS)
    os.write(terminal, b"gs")
    assert b"STATUS" in drain(terminal, WARM_SECONDS), "the slots view did not come up"
    started, spent = time.monotonic(), cpu_seconds(pid)
    written = len(drain(terminal, seconds))
    elapsed, spent = time.monotonic() - started, cpu_seconds(pid) - spent
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    os.close(terminal)
    return 100 * spent / elapsed, written / 1024 / elapsed


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 20.0
    print(f"calibration loop {calibration_ms():.0f} ms; {SLOTS} slots, {seconds:.0f} s each")
    for width, height in SIZES:
        still, _ = measure(1, width, height, seconds)
        busy, rate = measure(PICTURES, width, height, seconds)
        print(
            f"{width}x{height}: {busy:.1f} % of a core, {busy - still:.1f} % above standing still; "
            f"{rate:.1f} KiB/s"
        )


if __name__ == "__main__":
    main()
