"""A Kraken emulator and live engines as processes of their own, and what must be true of both."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from decimal import Decimal as D
from pathlib import Path
from typing import Any

Json = dict[str, Any]
GRIDBOT = [sys.executable, "-m", "gridbot"]


class World:
    """One emulator and one data directory; ``close`` ends what still runs."""

    def __init__(self, place: Path, *options: str) -> None:
        """``options``: of ``gridbot emulator``."""
        self.place = place
        self.directory = place / "data"
        self.engine: subprocess.Popen[str] | None = None
        self.emulator = subprocess.Popen(
            [*GRIDBOT, "emulator", "--port", "0", *options], stdout=subprocess.PIPE, text=True
        )
        assert self.emulator.stdout is not None
        lines = [self.emulator.stdout.readline().strip() for _ in range(3)]
        self.address = lines[0].rpartition(" ")[2]
        self.key, self.secret = (line.partition(": ")[2] for line in lines[1:])
        self.keys = {"KRAKEN_API_KEY": self.key, "KRAKEN_API_SECRET": self.secret}

    def words(self, *more: str) -> list[str]:
        """The settings of a live engine here."""
        settings = {
            "run.mode": "live", "exchange.pair": "BTC/USD", "exchange.base_url": self.address,
            "funds.quote": "1000", "funds.base": "all", "exchange.lockout_sec": "2",
            "exchange.tier": "pro", "timing.poll_interval_seconds": "2",
        }  # fmt: skip
        settings |= dict(text.split("=", 1) for text in more)
        given = [word for key, text in settings.items() for word in ("--set", f"{key}={text}")]
        return [*given, "--data-dir", str(self.directory)]

    @property
    def environment(self) -> dict[str, str]:
        foreign = ("GRIDBOT_", "KRAKEN_", "XDG_")
        env = {name: text for name, text in os.environ.items() if not name.startswith(foreign)}
        return env | {"HOME": str(self.place)} | self.keys

    def run(self, *words: str, code: int = 0) -> str:
        """The output of a command that ends."""
        done = subprocess.run(
            [*GRIDBOT, *words], env=self.environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def start(self, *more: str, words: tuple[str, ...] = ("--yes",)) -> None:
        """Start a live engine; its log is appended to ``log``."""
        with self.log.open("a") as log:
            self.engine = subprocess.Popen(
                [*GRIDBOT, "run", "--headless", *words, *self.words(*more)],
                env=self.environment, stdout=log, stderr=log, text=True,
            )  # fmt: skip

    @property
    def log(self) -> Path:
        return self.place / "log"

    def stop(self) -> int:
        """End the engine as systemd would; its exit code."""
        assert self.engine is not None
        self.engine.terminate()
        return self.engine.wait(60)

    def kill(self) -> None:
        assert self.engine is not None
        self.engine.kill()
        self.engine.wait(10)

    def close(self) -> None:
        for process in (self.engine, self.emulator):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait(10)

    def emulated(self, what: str, body: Json | None = None) -> Json:
        """The emulator's truth, or an act of its owner."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.address}/emulator/{what}", data, 30) as answer:
            found: Json = json.loads(answer.read())
        return found

    def status(self) -> Json:
        found: Json = json.loads(self.run("status", "--json", *self.words()).splitlines()[0])
        return found

    def ledger(self) -> list[Json]:
        lines = (self.directory / "ledger.jsonl").read_bytes().splitlines()
        return [json.loads(line) for line in lines]

    def wait_for(self, faults: Callable[[], list[str]], seconds: float, dead: bool = False) -> None:
        """Until nothing is wrong any more; fails with what still is; ``dead`` engines may be."""
        end = time.monotonic() + seconds
        while found := faults():
            assert time.monotonic() < end, "\n".join([*found, *self.tail()])
            assert dead or self.engine is None or self.engine.poll() is None, self.tail()
            time.sleep(0.5)

    def said(self, text: str) -> int:
        """How many lines of the log hold ``text``."""
        return sum(text in line for line in self.log.read_text().splitlines())

    def tail(self, count: int = 30) -> list[str]:
        return self.log.read_text().splitlines()[-count:]


def live_orders(status: Json) -> list[Json]:
    return [one for slot in status["slots"] for one in slot["orders"] + slot["recoveries"]]


def doubled(world: World) -> list[str]:
    """Orders that the exchange took twice, or for one place of one slot at the same time."""
    book = world.emulated("book")
    found = [f"{name} was accepted {n} times" for name, n in book["accepted"].items() if n > 1]
    names = {one["client_id"]: one for one in live_orders(world.status())}
    places: dict[tuple[Any, ...], str] = {}
    for slot in world.status()["slots"]:
        for one in slot["orders"]:
            key = (slot["id"], one["trade"], one["role"])
            if key in places:
                found.append(f"{key} has {places[key]} and {one['client_id']}")
            places[key] = one["client_id"]
    assert names or not places
    return found


def unsettled(world: World) -> list[str]:
    """What does not agree (yet) between the engine and the exchange's truth."""
    status, book = world.status(), world.emulated("book")
    found = [f"engine is {status['engine']}"] if status["engine"]["state"] != "running" else []
    ours = {one["client_id"]: one for one in live_orders(status)}
    prefix = json.loads((world.directory / "identity.json").read_text())["instance"]
    there = {
        one["cl_ord_id"]
        for one in book["orders"].values()
        if one["status"] == "open" and str(one.get("cl_ord_id")).startswith(f"gb{prefix}")
        and not one["owner"]
    }  # fmt: skip
    resting = {name for name, one in ours.items() if one["state"] == "open"}
    found += [f"{name}: only at the exchange" for name in there - resting]
    found += [f"{name}: only in our books" for name in resting - there]
    found += [f"{k}: {one['state']}" for k, one in ours.items() if one["state"] == "unknown"]
    for asset, theirs in (("USD", "ZUSD"), ("BTC", "XXBT")):
        booked, real = D(status["balances"][asset]["ledger"]), D(book["balances"][theirs])
        if booked != real:
            found.append(f"{asset}: ledger {booked}, exchange {real}, {booked - real} off")
    for slot in status["slots"]:
        busy = {one["trade"] for one in slot["orders"]} | {one["trade"] for one in slot["waiting"]}
        found += [f"slot {slot['id']}.{trade} is idle" for trade in {"A", "B"} - busy]
    executed: dict[str, D] = {}
    for entry in world.ledger():
        if entry["entry_type"].endswith(("_ENTRY", "_EXIT", "_FILL")):
            volume = D(entry.get("credit_base", "0")) + D(entry.get("debit_base", "0"))
            name = entry["client_id"]
            executed[name] = executed.get(name, D(0)) + volume
    for one in book["orders"].values():
        name = one.get("cl_ord_id")
        if name in executed and D(one["vol_exec"]) != executed.pop(name):
            found.append(f"{name}: executed {one['vol_exec']}, booked otherwise")
    found += [f"{name}: booked, but unknown to the exchange" for name in executed]
    return found
