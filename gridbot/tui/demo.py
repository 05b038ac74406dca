"""A show for visitors: 24 slots on a lively simulated market, and a hand that steers now and then.

Everything is the real engine on its simulated market in a directory of its own; only the settings
are chosen so that within a minute every state of a machine has been seen: prices that move, exits
that wait and are given up, funds that run short, a slot that is paused, one added, one removed.
"""

import threading
from decimal import Decimal as D
from typing import Any

from gridbot.core.settings import (
    CapacitySettings,
    CycleSettings,
    FeesSettings,
    GovernorSettings,
    GridSettings,
    LossesSettings,
    Settings,
    SimSettings,
    SlotsSettings,
    TimingSettings,
    TuiSettings,
)  # fmt: skip
from gridbot.engine.client import EngineClient

SLOTS = 24
# Real seconds after the start, and what is asked of the engine then; it begins again at the end.
SCRIPT: tuple[tuple[float, str, dict[str, Any]], ...] = (
    (8, "pause_slot", {"slot": 5}), (16, "add", {"kind": "cycle"}),
    (22, "resume_slot", {"slot": 5}), (28, "toggle", {"slot": 20}),
    (36, "remove", {"slot": 3}), (42, "add", {"kind": "sticky"}),
    (52, "toggle", {"slot": 20}), (60, "pause_slot", {"slot": 9}),
    (70, "resume_slot", {"slot": 9}),
)  # fmt: skip


def demo_settings(chosen: Settings | None = None) -> Settings:
    """The settings of the show; theme, glyphs and frames are the visitor's own."""
    return Settings(
        grid=GridSettings(entry_pct=D("0.15"), profit_pct=D("0.45"), order_size=D(20)),
        slots=SlotsSettings(initial_slots=SLOTS, initial_sticky_ratio=D("0.5"), rung_pct=D("0.04")),
        capacity=CapacitySettings(),
        cycle=CycleSettings(
            s1_orphan_after_sec=2700.0, s2_orphan_after_sec=600.0, recovery_ttl_sec=1800.0,
            max_recovery_slots=2, max_reprices=1,
        ),
        losses=LossesSettings(cooldown_start=1, cooldown_sec=1500.0),
        governor=GovernorSettings(window_sec=3600.0, min_sample=6),
        fees=FeesSettings(maker_fee_pct=D("0.05"), min_profit_margin_pct=D("0.05")),
        timing=TimingSettings(poll_interval_seconds=30.0),
        sim=SimSettings(seed=16, volatility=D("0.14"), speed=D(180), quote_balance=D(440)),
        tui=TuiSettings() if chosen is None else chosen.tui,
    )  # fmt: skip


class Hand(threading.Thread):
    """Steers the demo by its script until told to stop."""

    def __init__(self, client: EngineClient) -> None:
        super().__init__(name="demo", daemon=True)
        self._client, self._over = client, threading.Event()

    def stop(self) -> None:
        self._over.set()

    def run(self) -> None:
        """Wait, ask, wait; what the engine refuses is none of our business."""
        while True:
            begun = 0.0
            for at, action, args in SCRIPT:
                if self._over.wait(at - begun):
                    return
                begun = at
                self._client.send(action, args)
