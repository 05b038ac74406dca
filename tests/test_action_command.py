"""``gridbot action`` and ``gridbot status`` against a running engine, as a shell meets them."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from pathlib import Path
from typing import NamedTuple

import pytest

from gridbot.cli import main
from gridbot.engine.actions import table
from gridbot.engine.control import Control
from gridbot.engine.runner import Runner
from gridbot.engine.status import Status
from tests.simulation.harness import settings_with

SETTINGS = settings_with(slots={"initial_slots": 3, "initial_sticky_ratio": D(1)})


class Ran(NamedTuple):
    code: int
    out: str
    err: str


Gridbot = Callable[..., Ran]


@pytest.fixture
def gridbot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Gridbot:
    for name in [name for name in os.environ if name.startswith(("GRIDBOT_", "KRAKEN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))

    def call(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["gridbot", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return call


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Runner]:
    """The engine of profile "second"."""
    runner = Runner(SETTINGS, tmp_path / "gridbot" / "second", serve_after_seconds=0.0)
    runner.start()
    yield runner
    runner.close()


SECOND = ("--profile", "second")


def picture(engine: Runner) -> Status:
    status = engine.status()
    assert status is not None
    return status


def test_a_command_in_words_or_in_one_text_acts_and_is_answered(
    engine: Runner, gridbot: Gridbot
) -> None:
    assert gridbot("action", "set profit 1.2", *SECOND) == (0, "profit 1 -> 1.2 %\n", "")
    assert gridbot("action", "set", "profit", "1.1", *SECOND).out == "profit 1.2 -> 1.1 %\n"
    assert gridbot("action", "alias", 2, "heron", *SECOND).code == 0
    assert [slot.alias for slot in picture(engine).slots][1] == "heron"
    assert gridbot("action", "alias", 2, "", *SECOND).code == 0
    assert [slot.alias for slot in picture(engine).slots][1] == ""
    assert gridbot("action", "toggle", 3, *SECOND).code == 0
    assert [slot.kind for slot in picture(engine).slots] == ["sticky", "sticky", "cycle"]


def test_a_refusal_is_exit_1_and_one_line(engine: Runner, gridbot: Gridbot) -> None:
    assert gridbot("action", "pause", *SECOND).code == 0
    assert gridbot("action", "pause", *SECOND) == (1, "", "gridbot: refused: E20 already paused\n")
    ran = gridbot("action", "pause", "--json", *SECOND)
    assert (ran.code, ran.err) == (1, "")
    told = {"ok": False, "message": "already paused", "code": "E20", "confirm": ""}
    assert json.loads(ran.out) == told
    ran = gridbot("action", "resume", "--json", *SECOND)
    assert (ran.code, json.loads(ran.out)["ok"]) == (0, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dance"], "E01: no command"),
        (["set profit abc"], 'E11: profit needs a number, got "abc"'),
        (["set profit 0,5"], "E12: use a dot: 0.5"),
        (["remove", 9, "--yes"], "E30: no slot 9 (1, 2, 3 exist)"),
        (["toggle"], "E02: name a slot by its number"),
        (["add", "sticky", "2", "more"], "E03: "),
        (["quit"], "is for the screen"),
        (["help"], "is for the screen"),
        ([], "name an action"),
        (['"'], "E04: a quote is not closed"),
    ],
)
def test_what_is_no_command_is_exit_2_and_changes_nothing(
    engine: Runner, gridbot: Gridbot, words: list[object], said: str
) -> None:
    before = [(slot.id, slot.kind) for slot in picture(engine).slots]
    ran = gridbot("action", *words, *SECOND)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("gridbot: ") and ran.err.count("\n") == 1 and said in ran.err
    assert [(slot.id, slot.kind) for slot in picture(engine).slots] == before


def test_what_cannot_be_undone_wants_a_yes(engine: Runner, gridbot: Gridbot) -> None:
    for words in ("remove 2", "cancel-all"):
        ran = gridbot("action", words, *SECOND)
        assert ran.code == 1 and "add --yes" in ran.err
    assert len(picture(engine).slots) == 3
    assert gridbot("action", "remove 2", "--yes", *SECOND).code == 0
    ran = gridbot("action", "governor mode autonomous", *SECOND)
    assert ran.code == 1 and "it may make cycle slots sticky" in ran.err
    assert picture(engine).governor["mode"] == "suggest"
    assert gridbot("action", "governor mode autonomous", "--force", *SECOND).code == 0
    assert picture(engine).governor["mode"] == "autonomous"


def test_the_list_names_what_the_table_has_for_an_engine(gridbot: Gridbot) -> None:
    text, rows = gridbot("action", "--list").out, gridbot("action", "--list", "--json").out
    wanted = [row.usage for row in table() if row.engine and row.verbs]
    assert [row["usage"] for row in json.loads(rows)] == wanted
    assert all(f"{one} " in text for one in wanted) and "jump" not in text


def test_without_an_engine_nothing_is_done(gridbot: Gridbot, tmp_path: Path) -> None:
    ran = gridbot("action", "pause", *SECOND)
    assert (ran.code, ran.out) == (2, "")
    assert "gridbot/second: no engine answers at control.sock: nobody listens there" in ran.err
    assert not (tmp_path / "gridbot").exists()


def test_status_asks_the_engine_and_reads_its_files_when_it_is_silent(
    engine: Runner, gridbot: Gridbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    gridbot("action", "pause", *SECOND)
    ran = gridbot("status", "--json", *SECOND)
    told = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert told["engine"]["step_ms"] > 0, "which no file tells"
    monkeypatch.setattr(Control, "status_bytes", lambda control: b"{}")
    ran = gridbot("status", "--json", *SECOND)
    assert json.loads(ran.out)["engine"]["state"] == "paused"
    assert "gridbot: note: " in ran.err and "this is from its files" in ran.err
    engine.close()
    ran = gridbot("status", "--json", *SECOND)
    assert (json.loads(ran.out)["engine"]["state"], ran.err) == ("stopped", "")
