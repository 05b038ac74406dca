"""The factory on a real terminal with a real engine in the same process: CPU, bytes, frames, keys.

Run: python -m benchmarks.tui_factory [--seconds 8]. A pseudo-terminal's reader counts what is
written; the process that draws measures itself. CPU of the TUI part is the CPU of the main thread
and of the writer (the engine's thread is counted by itself). Goals: at most 7 % of a core and
60 KiB/s at 120x40 with 84 machines, 8 % and 80 KiB/s at 200x50 with 112, frames p95 3 ms, keys p95
10 ms, eco 25 KiB/s, paused and halted 2 KiB/s, first frame 0.8 s after exec.
"""

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path
from typing import Any, ClassVar

WARM_SECONDS = 3.0
KEYS = 40
CASES = (
    ("120x40", 84, "full"), ("200x50", 84, "full"), ("200x50", 112, "full"), ("80x24", 84, "full"),
    ("120x40", 84, "eco"), ("120x40", 84, "calm"), ("120x40", 84, "paused"),
    ("120x40", 84, "halted"),
)  # fmt: skip


# --- the process that draws -----------------------------------------------------------------


def child(slots: int, motion: str, seconds: float, report: str) -> None:
    from decimal import Decimal as D

    from msgspec.structs import replace

    from gridbot.core.numbers import use_exact_arithmetic
    from gridbot.core.settings import Settings
    from gridbot.engine.runner import Runner

    use_exact_arithmetic()
    os.environ.setdefault("ESCDELAY", "25")
    sys.setswitchinterval(0.001)
    base = Settings()
    settings = replace(
        base, slots=replace(base.slots, initial_slots=slots, max_slots=slots),
        capacity=replace(base.capacity, open_orders_per_pair_limit=500),
        sim=replace(base.sim, speed=D(60), volatility=D("0.2")),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as path:
        runner = Runner(settings, Path(path) / "data")
        runner.start()
        hall = _hall(runner, motion, seconds)
        hall.run(mouse=False)
        runner.close()
    Path(report).write_text(json.dumps(hall.report))


def _hall(runner: Any, motion: str, seconds: float) -> Any:
    from textual.app import App

    from gridbot.tui.factory.contract import Scene
    from gridbot.tui.factory.driver import PatientDriver
    from gridbot.tui.factory.widget import FactoryView
    from gridbot.tui.view import View

    class Hall(App[None]):
        CSS = "FactoryView { height: 1fr; }"
        report: ClassVar[dict[str, Any]] = {}

        def on_mount(self) -> None:
            self.screen_view, self.last = View(runner.settings, time.time()), 0
            self.floor = FactoryView(fps=30)
            self.mount(self.floor)
            self.set_interval(0.25, self.tick)
            self.set_timer(WARM_SECONDS, self.begin)
            self.set_timer(WARM_SECONDS + seconds, self.end)
            self.halted = motion == "halted"
            if motion == "paused":
                runner.send("pause")
            self.tick()

        def tick(self) -> None:
            view = self.screen_view
            view.now = time.time()
            view.take(runner.status(), view.now)
            told = runner.events(self.last)
            self.last = told[-1].id if told else self.last
            if motion in ("eco", "calm"):
                self.floor.motion(motion)
            state = "halted" if self.halted else view.state
            self.floor.show(Scene(view.body, state, view.engine_now, view.price_age_seconds,
                                  view.direction, view.selected, False), told)  # fmt: skip

        def on_key(self) -> None:
            view = self.screen_view
            chosen = self.floor.move(1, 0) or view.slots[0].id
            view.select(chosen)
            self.tick()

        def begin(self) -> None:
            self.floor.frame_ms.clear()
            self.floor.floor.board.hits = self.floor.floor.board.misses = 0
            self.began = _cpu(), time.perf_counter()
            os.write(2, b"\x1b]BEGIN\x07")

        def end(self) -> None:
            (before, began), now = self.began, time.perf_counter()
            os.write(2, b"\x1b]END\x07")
            spent = {name: ticks - before.get(name, 0.0) for name, ticks in _cpu().items()}
            frames = sorted(self.floor.frame_ms)
            board = self.floor.floor.board
            Hall.report = {
                "seconds": now - began, "cpu": spent, "fps": self.floor.ladder.fps,
                "frame_p50": frames[len(frames) // 2], "frame_p95": frames[int(len(frames) * 0.95)],
                "frame_max": frames[-1], "hits": board.hits / max(board.hits + board.misses, 1),
                "direct": self.floor.painter.direct, "indirect": self.floor.painter.indirect,
            }  # fmt: skip
            self.exit()

    return Hall(ansi_color=True, driver_class=PatientDriver)


def _cpu() -> dict[str, float]:
    """CPU seconds of every thread by its name."""
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    spent: dict[str, float] = {}
    for task in Path("/proc/self/task").iterdir():
        fields = (task / "stat").read_text().rpartition(")")[2].split()
        name = names.get(int(task.name), "other")
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        spent[name] = spent.get(name, 0.0) + seconds
    return spent


# --- the terminal ---------------------------------------------------------------------------


def measure(size: str, slots: int, motion: str, seconds: float) -> None:
    columns, rows = map(int, size.split("x"))
    with tempfile.NamedTemporaryFile() as report:
        terminal, line = pty.openpty()
        fcntl.ioctl(line, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        command = [sys.executable, "-m", "benchmarks.tui_factory", "--child", str(slots), motion,
                   str(seconds), report.name]  # fmt: skip
        started = time.perf_counter()
        environment = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
        process = subprocess.Popen(command, stdin=line, stdout=line, stderr=line, env=environment,
                                   start_new_session=True)  # fmt: skip
        os.close(line)
        seen = _watch(terminal, process, started, keys=motion == "full")
        process.wait(20)
        found = json.loads(Path(report.name).read_text() or "{}")
    _print(size, slots, motion, seen, found)


def _watch(terminal: int, process: Any, started: float, keys: bool) -> dict[str, Any]:
    """Read all there is; send a key now and then and time its answer."""
    seen: dict[str, Any] = {"first": 0.0, "bytes": 0, "updates": 0, "keys": []}
    measuring, sent, due = False, 0.0, 0.0
    while True:
        now = time.perf_counter()
        if keys and measuring and not sent and now > due and len(seen["keys"]) < KEYS:
            os.write(terminal, b"l")
            sent = time.perf_counter()
        ready, _, _ = select.select([terminal], [], [], 0.02)
        try:
            data = os.read(terminal, 1 << 16) if ready else b""
        except OSError:
            return seen
        if not ready:
            if process.poll() is not None:
                return seen
            continue
        now = time.perf_counter()
        if not seen["first"] and b"PROFIT" in data:
            seen["first"] = now - started
        if b"\x1b]BEGIN" in data:
            measuring, seen["bytes"], due = True, 0, now + 0.2
        if b"\x1b]END" in data:
            measuring = False
        if measuring:
            seen["bytes"] += len(data)
            seen["updates"] += 1
        if sent and "»".encode() in data:
            seen["keys"].append((now - sent) * 1000)
            sent, due = 0.0, now + 0.1


def _print(size: str, slots: int, motion: str, seen: dict[str, Any], found: dict[str, Any]) -> None:
    if not found:
        print(f"{size} {slots:>3} {motion:<7} no report: the app ended early")
        return
    seconds, spent = found["seconds"], found["cpu"]
    engine = sum(value for name, value in spent.items() if name == "engine")
    rest = sum(spent.values()) - engine
    keys = sorted(seen["keys"]) or [0.0]
    print(
        f"{size} {slots:>3} {motion:<7} TUI {rest / seconds:6.1%}  engine {engine / seconds:6.1%}  "
        f"{seen['bytes'] / seconds / 1024:6.1f} KiB/s  frame ms {found['frame_p50']:.2f} p95 "
        f"{found['frame_p95']:.2f} max {found['frame_max']:.1f}  key ms {keys[len(keys) // 2]:.1f} "
        f"p95 {keys[int(len(keys) * 0.95)]:.1f}  first {seen['first']:.2f} s  fps {found['fps']}  "
        f"memo {found['hits']:.1%}  direct {found['direct']} not {found['indirect']}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--child", nargs=4)
    parser.add_argument("--case", type=int, default=None)
    chosen = parser.parse_args()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if chosen.child:
        slots, motion, seconds, report = chosen.child
        child(int(slots), motion, float(seconds), report)
        return
    for number, (size, count, how) in enumerate(CASES):
        if chosen.case in (None, number):
            measure(size, count, how, chosen.seconds)


if __name__ == "__main__":
    main()
