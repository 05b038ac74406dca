"""From exec to use: ``--help`` against a bare Python, the first frame of the terminal app, memory.

Run: python -m benchmarks.startup. Best of several; a calibration loop stands beside the figures.
"""

import os
import pty
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.simulate import calibration_ms

TRIES = 5


def best(measure: Callable[[], float]) -> float:
    return min(measure() for _ in range(TRIES))


def seconds_of(*words: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *words], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - started


def first_frame_seconds() -> float:
    """Until the mode word stands on a terminal of 120x40; the app is ended then."""
    folder = tempfile.mkdtemp(prefix="gridbot-benchmark-")
    started = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
        words = ["-m", "gridbot", "tui", "--data-dir", folder, "--set", "slots.initial_slots=84"]
        os.execv(sys.executable, [sys.executable, *words])
    seen = b""
    while b"NORMAL" not in seen:
        assert select.select([terminal], [], [], 20)[0], "no first frame within 20 seconds"
        seen += os.read(terminal, 65536)
    elapsed = time.perf_counter() - started
    os.kill(pid, 15)
    while select.select([terminal], [], [], 5)[0]:
        try:
            os.read(terminal, 65536)
        except OSError:  # the terminal closed with its last process
            break
    os.waitpid(pid, 0)
    return elapsed


def headless_mb(days: float) -> tuple[float, float]:
    """Resident memory of 84 slots after a tenth and after all of ``days`` simulated days."""
    folder = tempfile.mkdtemp(prefix="gridbot-benchmark-")
    words = ["-m", "gridbot", "run", "--headless", "--data-dir", folder, "--cycles"]
    words += [str(int(days * 2880)), "--set", "slots.initial_slots=84"]
    words += ["--set", "sim.speed=3600", "--set", "sim.volatility=0.12"]
    process = subprocess.Popen([sys.executable, *words], stdout=subprocess.DEVNULL)
    samples: list[float] = []
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except OSError:
            break
        samples += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS")]
        time.sleep(0.5)
    return samples[len(samples) // 10], samples[-1]


def main() -> None:
    print(f"calibration loop {calibration_ms():.0f} ms")
    bare = best(lambda: seconds_of("-c", "pass"))
    shown = best(lambda: seconds_of("-m", "gridbot", "--help"))
    print(f"bare Python {bare:.3f} s, gridbot --help {shown:.3f} s: {shown - bare:.3f} s more")
    print(f"first frame of the TUI, 84 slots: {best(first_frame_seconds):.2f} s after exec")
    days = 30.0 if "--month" in sys.argv else 1.0
    early, late = headless_mb(days)
    print(
        f"headless, 84 slots, {days:.0f} simulated days: {early:.0f} MB early, {late:.0f} MB late"
    )


if __name__ == "__main__":
    main()
