"""Governor plugins: asked in their own thread, contained whatever they do, and the real example."""

import asyncio
import importlib
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from decimal import Decimal as D
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gridbot.core.advice import Recommendation
from gridbot.core.odds import Candle
from gridbot.core.records import StepInput
from gridbot.engine import plugins
from gridbot.engine.plugins import GovernorPlugin, MarketData, Plugins
from gridbot.engine.runner import Runner
from gridbot.engine.status import Status
from tests.simulation.harness import settings_with

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "trend_hint"
SETTINGS = settings_with(
    slots={"initial_slots": 4, "initial_sticky_ratio": D("0.5")},
    sim={"speed": D(3600), "volatility": D("0.2")},
    governor={"plugins": "trend_hint"},
)
MARKET = MarketData("BTC/USD", 100.0, D(100), 1, (Candle(40.0, D(99), D(101), D(98), D(100)),))


class Wise(GovernorPlugin):
    def recommend_ratio(self, *views: Any) -> tuple[D, str]:
        return D("0.75"), "because\nit is so"

    def recommend_close(self, slot: Any, order: Any, market: Any) -> str | None:
        return "far away" if slot.kind == "sticky" else None


class Raises(GovernorPlugin):
    def recommend_ratio(self, *views: Any) -> None:
        raise LookupError("no idea")


class Exits(GovernorPlugin):
    def recommend_ratio(self, *views: Any) -> None:
        sys.exit(3)


class Sleeps(GovernorPlugin):
    def recommend_ratio(self, *views: Any) -> None:
        time.sleep(1.0)


class Silly(GovernorPlugin):
    def recommend_ratio(self, *views: Any) -> tuple[D, str]:
        return D("1.5"), "more than all"


class Garbles(GovernorPlugin):
    def recommend_close(self, *views: Any) -> str:
        return "bad \ud800\x1b[2J text\u4e00"


class Speechless(GovernorPlugin):
    def recommend_ratio(self, *views: Any) -> tuple[D, str]:
        return D(1), "\x07 \u4e00\n"


class Meddles(GovernorPlugin):
    def recommend_ratio(self, slots: Any, *views: Any) -> None:
        slots[0].paused = True


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory) -> Status:
    runner = Runner(SETTINGS, tmp_path_factory.mktemp("engine") / "data", polls=200)
    runner.start()
    assert runner.finished.wait(30)
    found = runner.status()
    assert found is not None
    assert any(one.role == "exit" for slot in found.slots for one in slot.orders)
    return found


def asked(monkeypatch: pytest.MonkeyPatch, status: Status, *classes: type) -> tuple[Any, Plugins]:
    def known(group: str, name: str) -> list[EntryPoint]:
        values = [f"{__name__}:{one.__name__}" for one in classes if one.__name__ == name]
        return [EntryPoint(name, value, group) for value in values]

    monkeypatch.setattr(plugins, "entry_points", known)
    enabled = Plugins(" , ".join([*(one.__name__ for one in classes), "Absent"]))
    return asyncio.run(enabled.ask(status, MARKET)), enabled


def test_answers_name_plugin_slot_and_order(
    monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    answers, enabled = asked(monkeypatch, status, Wise)
    ratio, *closes, absent = (msgspec.convert(one, Recommendation) for one in answers)
    assert ratio == Recommendation("Wise", "because it is so", D("0.75"))
    waiting = [
        (slot.id, one.client_id)
        for slot in status.slots
        if slot.kind == "sticky"
        for one in slot.orders
        if one.role == "exit"
    ]
    assert [(one.slot, one.close, one.reason) for one in closes] == [
        (*one, "far away") for one in waiting
    ]
    assert "no installed package has it" in absent.failed
    assert list(enabled.enabled) == ["Wise"]


@pytest.mark.parametrize(
    ("plugin", "why"),
    [(Raises, "LookupError: no idea"), (Exits, "SystemExit: 3"),
     (Sleeps, "no answer within 0.05 s"), (Silly, "a Decimal from 0 to 1 is wanted"),
     (Speechless, "a reason in printable ASCII is wanted"),
     (Meddles, "immutable type: 'SlotStatus'")],
)  # fmt: skip
def test_a_plugin_that_misbehaves_is_named_and_asked_no_more(
    monkeypatch: pytest.MonkeyPatch, status: Status, plugin: type, why: str
) -> None:
    monkeypatch.setattr(plugins, "ANSWER_SECONDS", 0.05 if plugin is Sleeps else 5.0)
    answers, enabled = asked(monkeypatch, status, plugin)
    failed = {one["plugin"]: one["failed"] for one in answers}
    assert why in failed[plugin.__name__]
    assert enabled.enabled == {}


def test_only_what_any_terminal_can_show_is_heard(
    monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    answers, _ = asked(monkeypatch, status, Garbles)
    assert {one["reason"] for one in answers if "reason" in one} == {"bad [2J text"}


def test_a_plugin_that_loads_too_late_stays_disabled(
    monkeypatch: pytest.MonkeyPatch, status: Status
) -> None:
    go_on, loaded = threading.Event(), threading.Event()

    class Late(GovernorPlugin):
        def recommend_ratio(self, *views: Any) -> None:
            loaded.set()

    def load(name: str) -> GovernorPlugin:
        go_on.wait(30)
        return Late()

    monkeypatch.setattr(plugins, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(plugins, "_load", load)
    enabled = Plugins("late")
    asyncio.run(enabled.ask(status, MARKET))
    go_on.set()
    assert loaded.wait(30)
    assert enabled.enabled == {}


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example as pip installs it, without a network."""
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source)  # a build leaves files behind
    words = ["install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target"]
    subprocess.run([sys.executable, "-m", "pip", *words, target, source], check=True, timeout=120)
    monkeypatch.syspath_prepend(str(target))
    importlib.invalidate_caches()
    yield target
    sys.modules.pop("trend_hint", None)


def test_the_example_installs_and_its_advice_is_journalled_by_a_real_engine(
    installed: Path, tmp_path: Path
) -> None:
    path = tmp_path / "data"
    runner = Runner(SETTINGS, path)
    runner.start()

    def journalled() -> list[dict[str, Any]]:
        lines = b"".join(file.read_bytes() for file in sorted(path.glob("journal-*.jsonl")))
        steps = [line for line in lines.splitlines(keepends=True) if b'"recommendations"' in line]
        whole = [line for line in steps if line.endswith(b"\n")]
        return [one for line in whole for one in _step(line).recommendations]

    try:
        answers = _wait_for(journalled)
    finally:
        runner.close()
    assert not runner.failure
    assert {one["plugin"] for one in answers} == {"trend_hint"}
    assert not any("failed" in one for one in answers)
    assert all(one["reason"].startswith("the market ") for one in answers)


def _step(line: bytes) -> StepInput:
    record = msgspec.json.decode(line)
    return msgspec.convert(record, StepInput, strict=False)


def _wait_for(found: Callable[[], list[Any]], seconds: float = 30.0) -> list[Any]:
    limit = time.monotonic() + seconds
    while not (seen := found()):
        assert time.monotonic() < limit, "no answer in time"
        time.sleep(0.05)
    return seen
