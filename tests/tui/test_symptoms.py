"""The diagnosis: what is wrong by name, worst first, and calm when nothing is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.engine.status import AlarmStatus, Status, WaitingStatus
from gridbot.tui.symptoms import ORDER, Symptom, jam_share, symptoms

from .pictures import NOW, order, slot, status

CALM = status(slots=2, alarms=())


def engine(state: str, reason: str = "") -> Status:
    return replace(CALM, engine=replace(CALM.engine, state=state, reason=reason))


def with_slot(**more: Any) -> Status:
    return replace(CALM, slots=(slot(4, **more),))


def alarmed(*names: str) -> Status:
    return replace(CALM, alarms=tuple(AlarmStatus(name, f"{name} text") for name in names))


JAM = {"phase": "S2", "deadline_at": NOW + 480, "deadline_seconds": 1800.0}
CALM_JAM = with_slot(**JAM | {"kind": "sticky"})
STARVED = with_slot(waiting=(WaitingStatus("B", "funds"),))
PILE = with_slot(recoveries=tuple(order(n, "A", "buy", "recovery", "0.08") for n in range(3)))


@pytest.mark.parametrize(
    ("picture", "state", "age", "names", "text"),
    [
        (CALM, "running", 2.0, ["IDLE_NORMAL"], "Factory running normally"),
        (CALM, "running", 41.0, ["IDLE_NORMAL"], "Factory running normally"),
        (CALM, "running", 46.0, ["POWER_BROWNOUT"], "price 46s old"),
        (CALM, "running", 91.0, ["POWER_BLACKOUT"], "PRICE DEAD 1m"),
        (CALM, "gone", 74.0, ["POWER_BLACKOUT"], "ENGINE GONE, last picture 1m old"),
        (engine("halted", "disk full"), "halted", 2.0, ["POWER_BLACKOUT"], "HALTED: disk full"),
        (alarmed("PAUSED"), "paused", 2.0, ["POWER_BROWNOUT"], "PAUSED"),
        (alarmed("CAPACITY"), "running", 2.0, ["CIRCUIT_TRIP_RISK"], "CAPACITY text"),
        (alarmed("DRIFT", "RISK"), "running", 2.0, ["RISK", "DRIFT"], "RISK text"),
        (alarmed("NEWS"), "running", 2.0, ["NEWS"], "NEWS text"),
        (with_slot(**JAM), "running", 2.0, ["BELT_JAM"], "slot 4 in S2 22m (73%)"),
        (CALM_JAM, "running", 2.0, ["IDLE_NORMAL"], "Factory running normally"),
        (STARVED, "running", 2.0, ["LANE_STARVATION"], "slot 4 one-sided [no buy]"),
        (PILE, "running", 2.0, ["RECOVERY_BACKLOG"], "3 recoveries on 1 slots"),
    ],
)  # fmt: skip
def test_what_is_wrong_has_a_name(
    picture: Status, state: str, age: float, names: list[str], text: str
) -> None:
    picture = replace(picture, mode="live", at=NOW, engine=replace(picture.engine, speed=1.0))
    found = symptoms(picture, state, age)
    assert [one.name for one in found] == names
    assert found[0].text == text


def test_before_the_first_picture_nothing_is_wrong() -> None:
    assert symptoms(None, "waiting", 0.0) == [
        Symptom("IDLE_NORMAL", "good", None, "waiting for the engine")
    ]


def test_a_full_house_is_healthy() -> None:
    bank = replace(CALM.capacity, used=168, headroom=0, band="stop")
    assert symptoms(replace(CALM, capacity=bank), "running", 1.0)[0].name == "IDLE_NORMAL"


@given(st.lists(st.sampled_from(ORDER[:-1])), st.floats(0, 1e6), st.floats(0.01, 1e4))
def test_the_worst_comes_first_whatever_is_wrong(names: list[str], age: float, poll: float) -> None:
    picture = alarmed(*names)
    picture = replace(picture, engine=replace(picture.engine, poll_seconds=poll))
    found = symptoms(picture, "running", age)
    places = [ORDER.index(one.name) for one in found]
    assert found and places == sorted(places)
    assert (
        (found[0].name == "IDLE_NORMAL")
        == (found[0].severity == "good")
        == (len(found) == 1 and places == [len(ORDER) - 1])
    )


@given(st.floats(0, 4e9), st.none() | st.floats(0, 4e9), st.none() | st.floats(0, 1e6))
def test_a_share_of_the_deadline_is_a_share(
    now: float, at: float | None, seconds: float | None
) -> None:
    assert 0 <= jam_share(slot(4, deadline_at=at, deadline_seconds=seconds), now) <= 1
