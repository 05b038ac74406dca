"""Advice from outside: governor plugins, installed beside gridbot and named in governor.plugins.

A plugin is handed frozen pictures and answers with a recommendation or None; it cannot act. It runs
in a thread of its own against the clock, whatever it raises ends there, and one that fails or is
late is disabled until the next start. Answers reach the brain as inputs of a step, so a replay
needs no plugin. The code itself is trusted: it runs in this process.
"""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from decimal import Decimal
from functools import partial
from importlib.metadata import entry_points
from typing import Any

import msgspec

from gridbot.core.advice import Recommendation
from gridbot.core.capacity import WorkBank
from gridbot.core.odds import Candle
from gridbot.core.records import Record
from gridbot.engine.status import OrderStatus, SlotStatus, Status

GROUP = "gridbot.governor_plugins"
ANSWER_SECONDS = 2.0
TEXT_MAX = 200
Answer = dict[str, Any]  # a Recommendation as StepInput has it
Loaded = tuple["GovernorPlugin", list[Answer]]


class MarketData(Record, frozen=True):
    """The market at ``at``; ``candles`` of so many minutes, oldest first, prices in quote."""

    pair: str
    at: float
    price: Decimal | None
    minutes: int
    candles: tuple[Candle, ...]


class GovernorPlugin:
    """Base of all plugins: override what you have an opinion on. Reasons are plain sentences."""

    def recommend_ratio(
        self, slots: tuple[SlotStatus, ...], capacity: WorkBank, market_data: MarketData
    ) -> tuple[Decimal, str] | None:
        """The share of the slots that should be sticky, 0 to 1, and why."""
        return None

    def recommend_close(
        self, slot: SlotStatus, recovery_order: OrderStatus, market_data: MarketData
    ) -> str | None:
        """Why this order, a recovery or an exit that waits, should be closed; else None."""
        return None


class Plugins:
    """The enabled plugins by name, loaded when they are first asked."""

    def __init__(self, names: str | None) -> None:
        """``names`` as the setting has them, separated by commas."""
        listed = [name.strip() for name in (names or "").split(",") if name.strip()]
        self.enabled: dict[str, GovernorPlugin | None] = dict.fromkeys(listed)

    async def ask(self, status: Status, market: MarketData) -> list[Answer]:
        """The answers of all; who failed is asked no more."""
        answers: list[Answer] = []
        for name in list(self.enabled):
            work = partial(_answers, name, self.enabled[name], status, market)
            asked = asyncio.wrap_future(_in_thread(work))
            try:
                self.enabled[name], found = await asyncio.wait_for(asked, ANSWER_SECONDS)
                answers += found
            except Exception as error:
                why = _line(str(error) or f"no answer within {ANSWER_SECONDS:g} s")
                answers.append(msgspec.to_builtins(Recommendation(name, failed=why)))
                del self.enabled[name]
        return answers


def _answers(
    name: str, loaded: GovernorPlugin | None, status: Status, market: MarketData
) -> Loaded:
    """The plugin, loaded now if it was not, and its answers. In its thread: changes nothing here,
    because it may end long after nobody waits for it."""
    plugin, found = loaded or _load(name), list[Recommendation]()
    if told := plugin.recommend_ratio(status.slots, status.capacity, market):
        if not (isinstance(told[0], Decimal) and 0 <= told[0] <= 1):
            raise ValueError(f"ratio {told[0]!r}: a Decimal from 0 to 1 is wanted")
        found.append(Recommendation(name, _line(told[1]), told[0]))
    for slot in status.slots:
        for order in (*slot.recoveries, *(one for one in slot.orders if one.role == "exit")):
            if why := plugin.recommend_close(slot, order, market):
                close = order.client_id
                found.append(Recommendation(name, _line(why), slot=slot.id, close=close))
    return plugin, [msgspec.to_builtins(one) for one in found]


def _load(name: str) -> GovernorPlugin:
    for entry in entry_points(group=GROUP, name=name):
        plugin: GovernorPlugin = entry.load()()
        return plugin
    raise LookupError(f"no installed package has it in {GROUP}")


def _line(text: str) -> str:
    """A line of printable ASCII, which any journal and any terminal can take."""
    words = "".join(char if " " <= char <= "~" else " " * char.isspace() for char in text).split()
    if not words:
        raise ValueError("a reason in printable ASCII is wanted")
    return " ".join(words)[:TEXT_MAX]


def _in_thread(work: Callable[[], Loaded]) -> Future[Loaded]:
    """Its result, or its failure as a RuntimeError; nobody waits for the thread at the end."""
    future: Future[Loaded] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # a plugin that asks to exit shall not take us along
            future.set_exception(RuntimeError(f"{type(error).__name__}: {error}"))

    threading.Thread(target=run, name="plugin", daemon=True).start()
    return future
