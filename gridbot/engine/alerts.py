"""Telling the operator by a command of his own: what happened as one JSON object on its input.

What is told and when is decided by ``due_alerts`` alone, from events, statuses and the clock. One
alert of a kind per interval; what comes in between waits and is told with its count. The command
runs in a thread of its own, without our credentials in its environment, and is killed when it
takes too long; trading never waits for it.
"""

import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import msgspec
from msgspec.structs import replace

from gridbot.core.numbers import HUNDRED, plain
from gridbot.core.records import Event
from gridbot.engine.status import Status

COMMAND_SECONDS = 30.0
AT_ONCE = 3
DRIFT_RED_PCT = 1
DAY, HOUR = 86_400, 3_600
SECRETS = ("KRAKEN_", "CREDENTIALS_DIRECTORY", "GRIDBOT_PERSISTENCE_")
KINDS = {"price_lost": "price_dead", "exchange_error": "exchange_down"}
KINDS |= {kind: kind for kind in ("halted", "quarantined", "risk_tripped")}


class Alert(msgspec.Struct, frozen=True):
    """What the command reads; ``count``: how many of this kind since the last one told."""

    kind: str
    at: float
    text: str
    count: int = 1
    mode: str = ""
    pair: str = ""
    figures: dict[str, Decimal] = {}


class Memory(msgspec.Struct, frozen=True):
    """What was told when, what waits for its time, and the latest day of the summary (or -1)."""

    told_at: Mapping[str, float] = {}
    waiting: Mapping[str, Alert] = {}
    drift: str = ""
    day: int = -1


def due_alerts(
    memory: Memory, events: Sequence[Event], status: Status | None, now: float,
    min_interval_seconds: float, daily_at_hour: int, room: int = AT_ONCE,
) -> tuple[list[Alert], Memory]:  # fmt: skip
    """The alerts to send now, at most ``room``, and what to remember for the next call.
    ``daily_at_hour``: hour of the summary in UTC, -1 for none. ``status``: None while an exchange
    is waited for at the start.
    """
    waiting, told, drift = (
        dict(memory.waiting),
        memory.told_at,
        _red_drift(status) if status else "",
    )
    found = [Alert(kind, event.at, event.text) for event in events if (kind := _kind(event))]
    if drift and not memory.drift:
        found.append(Alert("drift_red", now, f"unexplained at the exchange: {drift}"))
    day = int((now - daily_at_hour * HOUR) // DAY) if daily_at_hour >= 0 else -1
    if day > memory.day >= 0:
        state = status.engine.state if status else "waiting for the exchange"
        found.append(Alert("daily", now, f"still alive, {state}"))
    for alert in found:
        before = waiting.get(alert.kind)
        waiting[alert.kind] = replace(alert, count=before.count + 1 if before else 1)
    ready = [kind for kind in waiting if now - told.get(kind, -DAY) >= min_interval_seconds][:room]
    alerts = [_about(waiting.pop(kind), status) for kind in ready]
    return alerts, Memory({**told, **dict.fromkeys(ready, now)}, waiting, drift, day)


def _kind(event: Event) -> str:
    reason = str(event.data.get("reason"))
    if event.kind == "halted" and reason.startswith("credentials refused"):
        return "credentials_refused"
    if event.kind == "waiting" and reason == "capacity":
        return "capacity_waited"
    return KINDS.get(event.kind, "")


def _red_drift(status: Status) -> str:
    drifts = {asset: (one.drift, one.total) for asset, one in status.balances.items() if one.drift}
    red = [name for name, (x, all_) in drifts.items() if abs(x) * HUNDRED >= DRIFT_RED_PCT * all_]
    return ", ".join(f"{plain(drifts[asset][0])} {asset}" for asset in red)


def _about(alert: Alert, status: Status | None) -> Alert:
    if status is None:
        return alert
    return replace(alert, mode=status.mode, pair=status.pair.name, figures=_figures(status))


def _figures(status: Status) -> dict[str, Decimal]:
    profit, holds = status.profit, {asset: one.total for asset, one in status.balances.items()}
    names = ("realised", "write_offs", "unrealised", "fees")
    return {"price": status.price.last, **{name: getattr(profit, name) for name in names}, **holds}


def run_command(command: str, text: bytes) -> str:
    """Run ``command`` with ``text`` on its standard input; what went wrong, or nothing."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(SECRETS)}
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    try:
        words = shlex.split(command)
        child = subprocess.Popen(
            words, stdin=pipe, stdout=null, stderr=null, env=env, start_new_session=True
        )
        child.communicate(text, timeout=COMMAND_SECONDS)
    except (OSError, ValueError) as error:
        return f"alerts.command cannot be started: {getattr(error, 'strerror', None) or error}"
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # it has a session of its own: its children too
        child.wait()
        return f"alerts.command was killed after {COMMAND_SECONDS:g} s"
    return f"alerts.command ended with code {child.returncode}" if child.returncode else ""


class Alerts:
    """Feeds ``due_alerts`` and starts the command; without a command it does nothing."""

    def __init__(
        self, command: str | None, min_interval_seconds: float, daily_at_hour: int,
        start: Callable[[str, bytes], str] = run_command,
    ) -> None:  # fmt: skip
        self._command, self._start = command, start
        self._times = min_interval_seconds, daily_at_hour
        self._memory, self._running = Memory(), list[threading.Thread]()
        self._failure = self._told = ""

    def see(self, events: Sequence[Event], status: Status | None, now: float) -> str:
        """Look at what was published, at ``now`` in epoch seconds, and start what is due.
        Returns a failure of the command that was not told yet, for an event, or nothing.
        """
        if not self._command:
            return ""
        self._running = [thread for thread in self._running if thread.is_alive()]
        room = AT_ONCE - len(self._running)
        due, self._memory = due_alerts(self._memory, events, status, now, *self._times, room)
        for alert in due:
            args = self._command, msgspec.json.encode(alert)
            self._running.append(threading.Thread(target=self._run, args=args, daemon=True))
            self._running[-1].start()
        before, self._told = self._told, self._failure
        return self._told if self._told != before else ""

    def _run(self, command: str, text: bytes) -> None:
        self._failure = self._start(command, text)
