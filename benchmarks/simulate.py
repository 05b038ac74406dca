"""The whole ``simulate`` command, timed as a user runs it: quiet and busy years, growth, memory.

Run: python -m benchmarks.simulate [--quick]. Every figure is printed beside a calibration loop run
in the same process, because machines are noisy: compare ratios.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

YEAR_HOURS = 8760
BUSY = [
    "--sticky-ratio", "0.25", "--set", "sim.volatility=0.12", "--set", "grid.profit_pct=1.6",
    "--set", "sim.quote_balance=40000", "--set", "sim.base_balance=0.7",
    "--set", "cycle.max_inventory=1000000",
]  # fmt: skip
QUIET = ["--sticky-ratio", "1", "--set", "sim.volatility=0.0001"]


@dataclass
class Run:
    """One finished command."""

    seconds: float
    peak_mb: float
    report: dict[str, object]
    slot_events: int  # slots woken, each with its fills, ticks, bookings and new orders


def run(slots: int, hours: float, extra: list[str]) -> Run:
    """Run the command in a process of its own and read its peak memory from the kernel."""
    directory = tempfile.mkdtemp(prefix="gridbot-benchmark-")
    command = [sys.executable, "-m", "gridbot", "simulate", "--synthetic", "--seed", "7", "--json"]
    command += ["--slots", str(slots), "--hours", str(hours), "--data-dir", directory, *extra]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"simulate ended with {status}"
    seconds = time.perf_counter() - started
    state = json.loads((Path(directory) / "state.json").read_text())
    shutil.rmtree(directory)
    events = state["state"]["brain"]["counters"]["slot_events"]
    return Run(seconds, usage.ru_maxrss / 1024, json.loads(output), events)


def calibration_ms() -> float:
    """A fixed loop of comparisons: what this machine is worth right now."""
    started = time.perf_counter()
    low = high = 50_000
    for index in range(2_000_000):
        price = 50_000 + (index * 7919) % 1000
        if price < low or price > high:
            low, high = min(low, price), max(high, price)
    return (time.perf_counter() - started) * 1000


def show(name: str, one: Run) -> None:
    report = one.report
    print(
        f"{name:34} {one.seconds:7.2f} s  {one.peak_mb:6.0f} MB  ticks {report['ticks']:>9,}  "
        f"executions {report['executions']:>7,}  ledger {report['ledger_entries']:>9,}  "
        f"slot events {one.slot_events:>8,}  ok {report['ledger_ok']}"
    )


def main() -> None:
    scale = 0.1 if "--quick" in sys.argv else 1.0
    hours = YEAR_HOURS * scale
    print(f"calibration loop {calibration_ms():.0f} ms; {hours:.0f} simulated hours")
    quiet = run(84, hours, QUIET)
    show("quiet year, 84 slots", quiet)
    busy = run(84, hours, BUSY)
    show("busy year, 84 slots", busy)
    cost = (busy.seconds - quiet.seconds) / max(busy.slot_events, 1) * 1e6
    print(f"{'':34} {cost:7.1f} us per slot event, journal and ledger written")
    short = run(84, hours / 10, QUIET)
    show("a tenth of the quiet ticks", short)
    print(f"{'':34} ten times the ticks: {quiet.seconds / short.seconds:.2f} x")
    one = run(1, hours, QUIET)
    show("quiet year, 1 slot", one)
    print(f"{'':34} 1 -> 84 slots, same (no) events: {quiet.seconds / one.seconds:.2f} x")
    print(f"calibration loop {calibration_ms():.0f} ms")


if __name__ == "__main__":
    main()
