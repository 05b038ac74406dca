"""What an operator does about orders that wait: close, write off, and the races around it."""

from decimal import Decimal as D

import pytest

from gridbot.core.closing import state_of
from gridbot.core.orders import LiveOrder
from gridbot.core.placing import free_funds
from gridbot.core.records import OrderReport
from tests.simulation.harness import settings_with
from tests.simulation.talk import Talk

LOW = D("0.09900")


def waiting(trade: str = "B") -> tuple[Talk, LiveOrder]:
    """A sticky slot whose one exit waits while the market has moved to 0.099."""
    talk = Talk(settings_with(slots={"initial_slots": 1, "initial_sticky_ratio": D(1)}))
    talk.step()
    talk.step(reports=(talk.filled(talk.order(trade, "entry")),))
    talk.step(price=LOW)
    [live] = [one for one in talk.brain.registry.by_client.values() if one.role == "exit"]
    return talk, live


def resting(talk: Talk, live: LiveOrder, executed: D, state: str) -> OrderReport:
    cost = live.price * executed
    return OrderReport(
        live.client_id, f"X{live.client_id}", live.side, live.price, live.volume, state,
        executed, cost, cost * D("0.004"), "USD", talk.at, talk.at,
    )  # fmt: skip


def test_closing_asks_with_the_loss_and_follows_the_market_until_filled() -> None:
    talk, live = waiting()
    asked = talk.command("close", target="1.B").acks[0]
    assert (asked.code, live.closing) == ("confirm", False)
    assert "close 1.B -0.06" in asked.message and asked.message.endswith("USD")
    out = talk.command("close", target="1.b", force=True)
    assert out.amends[0].price == live.price == D("0.10001"), "the price was 0.1 again"
    assert talk.brain.bounds().down > talk.brain.bounds().up, "every tick is looked at"
    for price in ("0.0985", "0.0990", "0.0980"):
        talk.step(price=D(price))
        moved = [one.price for one in talk.out.amends if one.client_id == live.client_id]
        assert moved == [D(price) + D("0.00001")]
        assert talk.brain.slots[1].exits()[0].price == live.price
    talk.step(price=D("0.0981"), reports=(resting(talk, live, live.volume, "closed"),))
    assert talk.events("exit_filled")
    assert talk.brain.books.totals.realised < 0
    assert not talk.brain.closing
    assert talk.brain.exits.record.waits == {}, "it says nothing about how long exits take"


def test_a_short_is_closed_only_as_far_as_free_funds_reach() -> None:
    talk, live = waiting("A")
    talk.command("close", target="1.A", force=True)
    talk.step(price=D("0.2"))
    assert live.price == D("0.19999")
    assert state_of(talk.brain, live) == "closing"
    talk.step(price=D("20"))
    per_tick = live.volume * D("0.00001") * D("1.004")
    assert 0 <= free_funds(talk.brain).quote < per_tick, "the highest tick that can be paid"
    assert D("9") < live.price < D("11")
    assert state_of(talk.brain, live) == "closing: funds"
    assert talk.brain.closing
    talk.step(price=D("5"))
    assert live.price == D("4.99999")


def test_shorts_that_are_closed_together_share_what_is_free() -> None:
    talk = Talk(settings_with(slots={"initial_slots": 4, "initial_sticky_ratio": D(1)}))
    talk.step()
    entries = [one for one in talk.resting.values() if (one.trade_id, one.role) == ("A", "entry")]
    talk.step(reports=tuple(map(talk.filled, entries)))
    talk.step(600)
    assert talk.command("close", target="stale", age="5m", force=True).acks[0].ok
    for price in ("4.0", "3.5", "9.0"):
        talk.step(price=D(price))
        assert free_funds(talk.brain).quote >= 0


def test_what_is_being_closed_can_still_be_written_off() -> None:
    talk, live = waiting()
    talk.command("close", target="1.B", force=True)
    assert talk.command("close", target="1.B", force=True).acks[0].code == "E41"
    out = talk.command("write_off", target="1.B", force=True)
    assert out.cancels == [live.client_id] and not live.closing and not talk.brain.closing


@pytest.mark.parametrize("action", ["close", "write_off"])
def test_a_closing_order_cancelled_outside_is_parked_and_can_be_dealt_with(action: str) -> None:
    talk, live = waiting()
    talk.command("close", target="1.B", force=True)
    talk.step(price=LOW, reports=(resting(talk, live, D(0), "cancelled"),))
    [exit_order] = [one for one in talk.brain.registry.by_client.values() if one.role == "exit"]
    assert state_of(talk.brain, exit_order) == "cancelled outside"
    price = exit_order.price
    talk.step(price=D("0.12"))
    assert exit_order.price == price, "what is parked follows nothing"
    assert talk.command(action, target="1.B", force=True).acks[0].ok
    assert not exit_order.parked
    placed = [one.role for one in talk.out.places]
    assert placed == (["exit"] if action == "close" else ["entry"])


def test_a_confirmation_holds_for_the_orders_it_was_asked_about() -> None:
    talk = Talk(settings_with(slots={"initial_slots": 2, "initial_sticky_ratio": D(1)}))
    talk.step()
    entries = [one for one in talk.resting.values() if one.trade_id == "B"]
    for entry in entries:
        talk.step(600, reports=(talk.filled(entry),))
    talk.step()
    first, second = (one for one in talk.resting.values() if one.role == "exit")
    asked = talk.command("close").acks[0]
    assert (asked.code, asked.confirm) == ("confirm", first.client_id)
    talk.step(reports=(talk.filled(first),))
    again = talk.command("close", force=asked.confirm).acks[0]
    assert again.code == "E41", "slot 2's is the oldest now, nobody was asked about it"
    asked = talk.command("write_off", target="stale", age="5m").acks[0]
    assert talk.command("write_off", force=asked.confirm).cancels == [second.client_id]


def test_an_exit_written_off_by_hand_is_cancelled_and_then_booked() -> None:
    talk, live = waiting()
    assert talk.command("write_off", target="1.B").acks[0].code == "confirm"
    out = talk.command("write_off", target="1.B", force=True)
    assert out.cancels == [live.client_id]
    assert talk.brain.counters.write_offs == 0
    talk.step(price=LOW, reports=(resting(talk, live, D(0), "cancelled"),))
    assert talk.brain.counters.write_offs == 1
    assert talk.brain.books.totals.write_offs < 0
    assert talk.brain.books.identity_gap(LOW) == 0
    assert talk.brain.counters.orphans == 0 == len(talk.brain.exits.record.closings)
    assert not talk.brain.slots[1].state.recovery_orders


def test_a_fill_that_comes_before_the_cancel_wins() -> None:
    talk, live = waiting()
    talk.command("write_off", target="1", force=True)
    talk.step(price=LOW, reports=(resting(talk, live, live.volume, "closed"),))
    assert talk.brain.counters.write_offs == 0
    assert talk.events("recovery_filled")
    assert talk.brain.books.totals.realised > 0
    assert talk.brain.books.identity_gap(LOW) == 0


def test_what_was_filled_before_the_cancel_is_a_fill_and_the_rest_is_written_off() -> None:
    talk, live = waiting()
    talk.command("write_off", target="oldest", force=True)
    talk.step(price=LOW, reports=(resting(talk, live, D(40), "cancelled"),))
    assert talk.brain.books.totals.realised > 0 > talk.brain.books.totals.write_offs
    assert talk.brain.books.identity_gap(LOW) == 0
    assert talk.brain.counters.partials_cancelled == 1


def test_only_what_is_stale_is_taken_and_nothing_is_said_clearly() -> None:
    talk, live = waiting()
    assert talk.command("write_off", target="stale", age="1h", force=True).acks[0].code == "E41"
    assert talk.command("write_off", target="stale", age="1y", force=True).acks[0].code == "E16"
    assert talk.command("close", target="9.B", force=True).acks[0].code == "E41"
    talk.step(3600)
    assert talk.command("close", target="stale", age="1h", force=True).acks[0].ok
    assert live.closing
