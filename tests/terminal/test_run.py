"""``gridbot run`` and those who look at it, as real processes with real signals and pipes."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIVELY = (
    "--set",
    "sim.speed=3600",
    "--set",
    "sim.volatility=0.5",
    "--set",
    "slots.initial_slots=6",
)
PATIENCE_SECONDS = 30.0

Process = subprocess.Popen[str]
Start = Callable[..., Process]


def until(holds: Callable[[], Any], what: str) -> None:
    """Look again and again until ``holds()``; fail when it takes too long."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, f"never happened: {what}"
        time.sleep(0.02)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    foreign = ("GRIDBOT_", "KRAKEN_", "XDG_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return clean | {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Start a command line; what still runs at the end is killed."""
    started: list[Process] = []

    def begin(*words: object, **options: Any) -> Process:
        command = [sys.executable, "-m", "gridbot", *map(str, words)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
            **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def answer(start: Start) -> Callable[..., tuple[int, str, str]]:
    """Run a command line to its end: exit code, stdout, stderr."""

    def run(*words: object) -> tuple[int, str, str]:
        process = start(*words)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode, out, err

    return run


Answer = Callable[..., tuple[int, str, str]]


def run_in(start: Start, place: Path, *words: object, **options: Any) -> Process:
    return start("run", "--headless", "--data-dir", place, *LIVELY, *words, **options)


def entries(place: Path) -> int:
    """Whole lines of the ledger."""
    file = place / "ledger.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def traded(place: Path, count: int) -> Callable[[], bool]:
    return lambda: entries(place) >= count


def status(answer: Answer, place: Path) -> dict[str, Any]:
    code, out, err = answer("status", "--json", "--data-dir", place)
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_saves_the_state_and_exits_0(
    start: Start, answer: Answer, tmp_path: Path, number: signal.Signals
) -> None:
    place = tmp_path / "data"
    process = run_in(start, place)
    until(traded(place, 20), "20 ledger entries")
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, err) == (0, "")
    assert out.splitlines()[-1] == f"gridbot stopped ({number.name}): state saved in {place}"
    snapshot = json.loads((place / "state.json").read_text())
    last = (place / "ledger.jsonl").read_text().splitlines()[-1]
    assert snapshot["ledger"]["id"] == json.loads(last)["id"], "the snapshot is of the very end"
    assert status(answer, place)["engine"]["state"] == "stopped"


def test_the_log_is_one_plain_line_per_event(answer: Answer, tmp_path: Path) -> None:
    place = tmp_path / "data"
    code, out, err = answer(
        "run", "--headless", "--data-dir", place, *LIVELY, "--cycles", 200
    )  # fmt: skip
    assert (code, err) == (0, "")
    first, *events, last = out.splitlines()
    identity = json.loads((place / "identity.json").read_text())
    assert first.startswith(
        f"gridbot started: mode sim, pair BTC/USD, instance {identity['instance']}, "
        f"directory {place}, process "
    )
    assert last == f"gridbot stopped (200 polls done): state saved in {place}"
    line = re.compile(r"2026-01-01 0[01]:\d\d:\d\dZ (info|good|warn|bad ) \S.*")
    assert len(events) > 20
    assert [event for event in events if not line.fullmatch(event)] == []
    assert events[0].endswith("slot 1: slot added, sticky, rung 0")


def test_a_second_engine_is_refused_by_the_first_ones_pid(
    start: Start, answer: Answer, tmp_path: Path
) -> None:
    place = tmp_path / "data"
    first = run_in(start, place)
    until(traded(place, 2), "a first look at the account")
    code, out, err = answer("run", "--headless", "--data-dir", place)
    assert (code, out) == (2, "")
    assert re.fullmatch(
        rf"gridbot: {place}: another engine works here \(process {first.pid} since .* UTC\)\n", err
    )
    assert first.poll() is None


def test_others_may_look_while_it_trades(start: Start, answer: Answer, tmp_path: Path) -> None:
    place = tmp_path / "data"
    process = run_in(start, place)
    until(traded(place, 20), "20 ledger entries")
    for _ in range(5):
        before = entries(place)
        seen = status(answer, place)
        assert seen["engine"]["state"] == "running"
        assert seen["engine"]["pid"] == process.pid
        assert len(seen["slots"]) == 6
        code, out, err = answer("ledger", "verify", "--data-dir", place)
        assert code == 0, err
        assert out.endswith("ok\n")
        assert int(out.split()[1]) >= before
    assert process.poll() is None


def test_a_killed_engine_goes_on(start: Start, answer: Answer, tmp_path: Path) -> None:
    place = tmp_path / "data"
    for life in range(1, 4):
        process = run_in(start, place)
        until(traded(place, 40 * life), f"{40 * life} ledger entries")
        process.kill()
        process.communicate()
    before, seen = entries(place), status(answer, place)
    code, _, err = answer("run", "--headless", "--data-dir", place, *LIVELY, "--cycles", 1)
    assert (code, err) == (0, "")
    after = status(answer, place)
    assert after["seq"] >= seen["seq"]
    assert after["at"] >= seen["at"]
    assert entries(place) >= before
    code, out, err = answer("ledger", "verify", "--data-dir", place)
    assert (code, out[-3:]) == (0, "ok\n"), err


def test_a_log_that_nobody_reads_stops_no_trading(start: Start, tmp_path: Path) -> None:
    place = tmp_path / "data"
    process = run_in(start, place, "--set", "slots.initial_slots=84")
    until(lambda: entries(place) > 2500, "more events than a pipe holds lines")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert process.stdout is not None
    kept = process.stdout.read()
    assert 60_000 < len(kept) < 70_000, "the pipe was full, the rest was dropped"
    last = (place / "ledger.jsonl").read_text().splitlines()[-1]
    snapshot = json.loads((place / "state.json").read_text())
    assert snapshot["ledger"]["id"] == json.loads(last)["id"]


def test_a_log_reader_that_leaves_stops_no_trading(start: Start, tmp_path: Path) -> None:
    place = tmp_path / "data"
    process = run_in(start, place)
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    now = entries(place)
    until(traded(place, now + 50), "50 more ledger entries")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_SECONDS) == 0


def test_a_disk_that_fails_ends_in_one_line_and_exit_1(
    start: Start, answer: Answer, tmp_path: Path
) -> None:
    place = tmp_path / "data"
    room = 60_000  # bytes that any one file may have
    process = run_in(
        start, place,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
    )  # fmt: skip
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 1
    assert re.fullmatch(
        rf"gridbot: the engine failed: {place}/\S+: cannot write: File too large\n", err
    )
    code, _, err = answer("ledger", "verify", "--data-dir", place)
    assert code == 0, err
    code, _, err = answer("run", "--headless", "--data-dir", place, *LIVELY, "--cycles", 2)
    assert (code, err) == (0, ""), "with room again it goes on"
