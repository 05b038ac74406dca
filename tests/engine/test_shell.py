"""Commands for the shell: the speed of a simulation, a comparison at once, a stop."""

from collections.abc import Iterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any

import pytest

from gridbot.core.records import Ack
from gridbot.core.settings import Settings, SimSettings
from gridbot.engine.runner import Runner


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(Settings(sim=SimSettings(speed=D(60))), tmp_path / "data")
    runner.start()
    yield runner
    runner.close()


def ask(engine: Runner, action: str, **args: Any) -> Ack:
    return engine.send(action, args).result(10)


def test_a_simulation_can_go_faster_and_slower(engine: Runner) -> None:
    assert ask(engine, "speed", value="3600").message == "3600 simulated seconds per second"
    assert ask(engine, "pause").ok
    picture = engine.status()
    assert picture is not None and picture.engine.speed == 3600
    for value, code in (("fast", "E11"), ("0.05", "E14"), ("3601", "E14")):
        assert ask(engine, "speed", value=value).code == code


def test_a_comparison_is_made_once_in_half_a_minute(engine: Runner) -> None:
    assert ask(engine, "reconcile").ok
    assert ask(engine, "reconcile").code == "E18"


def test_shell_and_core_are_answered_in_one_go(engine: Runner) -> None:
    futures = [engine.send("speed", {"value": "2"}), engine.send("add"), engine.send("reconcile")]
    assert [future.result(10).ok for future in futures] == [True, True, True]


def test_a_stop_is_acknowledged_saved_and_final(engine: Runner) -> None:
    assert ask(engine, "stop").message.startswith("stopping; ")
    assert engine.finished.wait(10)
    assert ask(engine, "add").code == "stopped"
    again = Runner(engine.settings, engine.path)
    again.start()
    again.close()
