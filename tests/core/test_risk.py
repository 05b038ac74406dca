"""Risk limits: they trip once, hold over midnight and restarts, and only a resume lifts them."""

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest

from gridbot.core.brain_state import brain_to_state, load_brain
from tests.simulation.harness import settings_with
from tests.simulation.talk import Talk

DAY = 86_400.0


def talk_with(**risk: Any) -> Talk:
    """A sticky and a cycle slot, just before midnight UTC."""
    settings = settings_with(
        slots={"initial_slots": 2, "initial_sticky_ratio": D("0.5"), "max_auto_slots": 0}, risk=risk
    )
    talk = Talk(settings)
    talk.step(DAY * 12 - 600 - talk.at)
    return talk


def lose(talk: Talk, price: str = "0.0990") -> None:
    """Slot 1 buys and its position is written off lower: about 0.1 lost."""
    entry = [one for one in talk.resting.values() if (one.slot_id, one.trade_id) == (1, "B")][-1]
    talk.step(reports=(talk.filled(entry),))
    talk.step()
    talk.command("write_off", target="1.B", force=True, later=0.0)
    client_id = talk.out.cancels[0]
    exit_order = talk.resting[client_id]
    talk.step(later=1.0, price=D(price), reports=(talk.report(exit_order, state="cancelled"),))


def test_a_days_loss_trips_cancels_entries_and_keeps_exits() -> None:
    talk = talk_with(max_daily_loss=D("0.05"))
    lose(talk)
    assert talk.brain.risk_reason.startswith("lost 0.1")
    assert talk.events("risk_tripped")[0].severity == "bad"
    entries = [one for one in talk.brain.registry.by_client.values() if one.role == "entry"]
    assert {one.client_id for one in entries} == set(talk.out.cancels)
    gone = tuple(
        talk.report(talk.resting[one.client_id], state="cancelled", reason="User requested")
        for one in entries
    )
    talk.step(reports=gone)
    reasons = {wait.reason for slot in talk.brain.slots.values() for wait in slot.waiting.values()}
    assert reasons == {"risk limit"}
    assert not talk.brain.registry.by_client


def test_a_slot_that_slept_until_a_limit_tripped_says_why_it_waits() -> None:
    talk = talk_with(max_daily_loss=D("0.01"))
    lose(talk, "0.0998")
    assert talk.brain.risk_reason and talk.brain.slots[2].checked == ()
    gone = [talk.resting[client_id] for client_id in talk.out.cancels]
    reports = tuple(talk.report(one, state="cancelled") for one in gone if one.slot_id == 2)
    talk.step(price=D("0.0998"), reports=reports)
    assert len(reports) == 2 == len(talk.brain.slots[2].waiting)


def test_neither_midnight_nor_a_restart_lifts_it_but_a_resume_does() -> None:
    talk = talk_with(max_daily_loss=D("0.05"))
    lose(talk)
    talk.step(DAY)
    assert talk.brain.risk_reason
    state = msgspec.json.decode(msgspec.json.encode(brain_to_state(talk.brain)))
    talk.brain = load_brain(state)
    talk.step()
    assert talk.brain.risk_reason and not talk.out.places
    talk.command("pause")
    talk.command("resume")
    assert talk.brain.risk_reason == ""
    assert talk.brain.risk.booked_before == talk.brain.books.totals.write_offs
    talk.step()
    assert not talk.brain.risk_reason, "what was lost before the resume counts no more"


def test_the_day_begins_anew_at_midnight_utc() -> None:
    talk = talk_with(max_daily_loss=D("0.15"))
    lose(talk)
    assert not talk.brain.risk_reason
    talk.step(1200)
    assert talk.at > DAY * 12
    lose(talk)
    assert not talk.brain.risk_reason, "two losses of two days"
    lose(talk)
    assert talk.brain.risk_reason


@pytest.mark.parametrize(
    ("limit", "price"),
    [({"lower_price": D("0.09")}, "0.0899"), ({"upper_price": D("0.11")}, "0.12")],
)
def test_a_price_outside_the_limits_trips_and_again_after_a_resume(
    limit: dict[str, D], price: str
) -> None:
    talk = talk_with(**limit)
    edge = next(iter(limit.values()))
    talk.step(price=edge)
    assert not talk.brain.risk_reason
    talk.step(price=D(price))
    assert price in talk.brain.risk_reason
    talk.brain.risk_reason = ""
    talk.step(price=D(price))
    assert talk.brain.risk_reason
    talk.command("resume")
    assert not talk.brain.risk_reason


def test_deadlines_stand_still_while_a_limit_holds() -> None:
    talk = talk_with(lower_price=D("0.05"))
    entry = [one for one in talk.resting.values() if (one.slot_id, one.trade_id) == (2, "B")][-1]
    talk.step(reports=(talk.filled(entry),))
    talk.step()
    talk.step(price=D("0.0499"))
    talk.step(10_000, price=D("0.0990"))
    assert talk.brain.counters.orphans == 0
    talk.command("resume", later=0.0)
    talk.step(price=D("0.0990"))
    assert talk.brain.counters.orphans == 0, "the deadline moved by the time it stood still"
    talk.step(1400, price=D("0.0990"))
    assert talk.brain.counters.orphans == 1
