"""What is told to an operator, how often, and that the telling never holds anything up."""

import json
import os
import sys
import threading
import time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.core.brain import Brain
from gridbot.core.records import Event
from gridbot.core.settings import Settings
from gridbot.engine import alerts
from gridbot.engine.alerts import Alert, Alerts, Memory, due_alerts, run_command
from gridbot.engine.status import EngineStatus, PriceStatus, Status, build_status
from gridbot.engine.venues import plan_venue, venue_fees

EIGHT = 8 * 3600.0
PRICE = Decimal(60000)


@pytest.fixture(scope="module")
def status() -> Status:
    plan = plan_venue(Settings())
    brain = Brain(Settings(), plan.instrument, venue_fees(plan), "test")
    engine = EngineStatus("running", "", 0.0, 1, 0.0, 0.0)
    return build_status(brain, engine, PriceStatus(PRICE, PRICE, PRICE, PRICE, 0.0, False))


def with_drift(status: Status, drift: str, total: str = "100") -> Status:
    asset = status.pair.quote
    balance = replace(status.balances[asset], drift=Decimal(drift), total=Decimal(total))
    return replace(status, balances={**status.balances, asset: balance})


def event(kind: str, at: float = 0.0, **data: object) -> Event:
    return Event(1, at, kind, "bad", data=data, text=f"{kind} it is")


@pytest.mark.parametrize(
    ("happened", "kind"),
    [
        (event("halted", reason="the operator wished it"), "halted"),
        (event("halted", reason="credentials refused: EAPI:Invalid key"), "credentials_refused"),
        (event("quarantined", reason="x"), "quarantined"),
        (event("price_lost"), "price_dead"),
        (event("risk_tripped"), "risk_tripped"),
        (event("exchange_error"), "exchange_down"),
        (event("waiting", reason="capacity"), "capacity_waited"),
        (event("waiting", reason="funds"), None),
        (event("exit_filled"), None),
    ],
)
def test_what_happened_becomes_an_alert_of_its_kind(
    happened: Event, kind: str | None, status: Status
) -> None:
    due, _ = due_alerts(Memory(), [happened], status, 100.0, 300.0, -1)
    assert [alert.kind for alert in due] == ([kind] if kind else [])
    assert all(alert.text == happened.text for alert in due)


def test_an_exchange_waited_for_at_the_start_is_told_too() -> None:
    due, memory = due_alerts(Memory(), [event("exchange_error")], None, 86_400.0, 300.0, 8)
    assert [(alert.kind, alert.pair) for alert in due] == [("exchange_down", "")]
    daily, _ = due_alerts(memory, [], None, EIGHT + 86_400.0, 300.0, 8)
    assert [alert.text for alert in daily] == ["still alive, waiting for the exchange"]


def test_one_of_a_kind_per_interval_and_the_rest_is_counted(status: Status) -> None:
    first, memory = due_alerts(Memory(), [event("quarantined")], status, 0.0, 300.0, -1)
    again, memory = due_alerts(memory, [event("quarantined")] * 2, status, 10.0, 300.0, -1)
    other, memory = due_alerts(memory, [event("halted")], status, 20.0, 300.0, -1)
    later, memory = due_alerts(memory, [event("quarantined")], status, 299.0, 300.0, -1)
    at_last, memory = due_alerts(memory, [], status, 300.0, 300.0, -1)
    assert [len(told) for told in (first, again, other, later, at_last)] == [1, 0, 1, 0, 1]
    assert (at_last[0].kind, at_last[0].count) == ("quarantined", 3)
    assert due_alerts(memory, [], status, 9000.0, 300.0, -1)[0] == []


@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3)), max_size=20), st.integers(1, 3))
def test_nothing_is_lost_and_nothing_comes_too_often(
    status: Status, moments: list[tuple[int, int]], room: int
) -> None:
    kinds, memory, now = ("halted", "quarantined", "price_lost"), Memory(), 0.0
    told: list[tuple[float, Alert]] = []
    for pause, count in [*moments, *[(300, 0)] * 4]:
        now += pause
        happened = [event(kinds[number]) for number in range(count)]
        due, memory = due_alerts(memory, happened, status, now, 300.0, -1, room)
        assert len(due) <= room
        told += [(now, alert) for alert in due]
    assert sum(alert.count for _, alert in told) == sum(count for _, count in moments)
    for kind in {alert.kind for _, alert in told}:
        times = [at for at, alert in told if alert.kind == kind]
        assert all(b - a >= 300 for a, b in pairwise(times))


def test_drift_is_told_when_it_turns_red_and_not_while_it_stays(status: Status) -> None:
    amber, red = with_drift(status, "-0.99"), with_drift(status, "-1.00")
    told = []
    memory = Memory()
    for now, seen in enumerate([status, amber, red, red, amber, red]):
        due, memory = due_alerts(memory, [], seen, now * 1000.0, 300.0, -1)
        told.append([alert.kind for alert in due])
    assert told == [[], [], ["drift_red"], [], [], ["drift_red"]]


def test_an_asset_that_should_not_be_there_at_all_is_red(status: Status) -> None:
    due, _ = due_alerts(Memory(), [], with_drift(status, "0.5", "0"), 0.0, 300.0, -1)
    assert due[0].kind == "drift_red"
    assert "0.5 USD" in due[0].text


def test_the_summary_comes_once_a_day_at_its_hour_and_not_at_the_start(status: Status) -> None:
    memory, told = Memory(), []
    for minute in range(-90, 3 * 1440, 30):
        now = 10 * 86400 + EIGHT + minute * 60
        due, memory = due_alerts(memory, [], status, now, 300.0, 8)
        told += [now for alert in due if alert.kind == "daily"]
    assert told == [day * 86400 + EIGHT for day in (10, 11, 12)]


def test_no_hour_no_summary(status: Status) -> None:
    _, memory = due_alerts(Memory(), [], status, 0.0, 300.0, -1)
    assert due_alerts(memory, [], status, 1e6, 300.0, -1)[0] == []


def test_the_command_gets_the_alert_and_none_of_our_credentials(
    tmp_path: Path, status: Status, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KRAKEN_API_KEY", "KRAKEN_API_SECRET", "GRIDBOT_PERSISTENCE_SUPABASE_KEY"):
        monkeypatch.setenv(name, "hunter2")
    out = tmp_path / "out put"
    code = "import os,sys;open(sys.argv[1],'w').write(sys.stdin.read()+str(dict(os.environ)))"
    seen = Alerts(f"{sys.executable} -c \"{code}\" '{out}'", 300.0, 8)
    assert seen.see([event("halted", 5.0)], status, 7.0) == ""
    for thread in seen._running:
        thread.join(20)
    text = out.read_text()
    told = json.JSONDecoder().raw_decode(text)[0]
    assert (told["kind"], told["at"], told["text"]) == ("halted", 5.0, "halted it is")
    assert (told["mode"], told["pair"], told["figures"]["price"]) == ("sim", "BTC/USD", "60000")
    assert "PATH" in text
    assert "hunter2" not in text


def test_a_slow_command_holds_nobody_up_and_only_a_few_run_at_once(status: Status) -> None:
    gate, started = threading.Event(), []

    def stuck(command: str, text: bytes) -> str:
        started.append(json.loads(text)["kind"])
        gate.wait(20)
        return ""

    seen = Alerts("notify", 0.0, -1, start=stuck)
    kinds = ["halted", "quarantined", "risk_tripped", "price_lost", "exchange_error"]
    before = time.monotonic()
    seen.see([event(kind) for kind in kinds], status, 0.0)
    assert time.monotonic() - before < 5
    assert len(seen._running) == alerts.AT_ONCE
    gate.set()
    for thread in seen._running:
        thread.join(20)
    seen.see([], status, 1.0)
    for thread in seen._running:
        thread.join(20)
    assert sorted(started) == sorted(alerts.KINDS[kind] for kind in kinds)


def test_a_failure_of_the_command_is_told_once_until_it_worked_again(status: Status) -> None:
    answers = iter(["broken", "broken", "", "broken"])
    seen, told = Alerts("notify", 0.0, -1, start=lambda command, text: next(answers)), []
    for now in range(4):
        first = seen.see([event("halted")], status, now)
        for thread in seen._running:
            thread.join(20)
        told.append(first + seen.see([], status, now))
    assert told == ["broken", "", "", "broken"]


def test_without_a_command_nothing_is_started(status: Status) -> None:
    def never(command: str, text: bytes) -> str:
        raise AssertionError

    seen = Alerts(None, 0.0, 8, start=never)
    assert seen.see([event("halted")], status, 0.0) == ""
    assert seen._running == []


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        ("/nowhere/notify", "cannot be started: No such file"),
        ("notify 'half a quote", "cannot be started: No closing quotation"),
        (f"{sys.executable} -c 'raise SystemExit(3)'", "ended with code 3"),
    ],
)
def test_a_command_that_fails_says_how(command: str, fault: str) -> None:
    assert fault in run_command(command, b"{}")


def test_a_command_that_does_not_end_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "COMMAND_SECONDS", 0.4)
    note = tmp_path / "pid"
    assert "was killed" in run_command(f"sh -c 'sleep 60 & echo $! > {note}; wait'", b"{}")
    child = int(note.read_text())
    for _ in range(200):
        state = Path(f"/proc/{child}/stat")
        if not state.exists() or state.read_text().split()[2] == "Z":
            return
        os.sched_yield()
        time.sleep(0.01)
    raise AssertionError("the grandchild lives on")
