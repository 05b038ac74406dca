"""Placing, amending, cancelling: what is sent, and what each answer amounts to."""

from typing import Any

import httpx
import pytest

from gridbot.core.records import Outcome
from gridbot.exchange.protocol import Fatal

from .tiny_kraken import START, Answer, D, TinyKraken, amend, lost_answers, order, request, run

MINIMUM = "EOrder:Order minimum not met"


def kinds(outcomes: list[Outcome]) -> list[str]:
    return [one.kind for one in outcomes]


def test_an_order_is_sent_with_all_that_makes_it_safe() -> None:
    kraken = TinyKraken()
    kraken.kraken_ahead = 120.0
    done = run(kraken.exchange().place([request(1, price=D("60000.10"), volume=D("0.0100"))]))
    assert done == [Outcome("gbtest1", "place", "accepted", "Ogbtest1")]
    sent = kraken.asked("AddOrder")
    assert sent.pop("nonce") and sent.pop("deadline") == "2026-09-21T14:15:30.500Z"
    assert sent == {
        "pair": "XBTUSD", "ordertype": "limit", "type": "buy", "price": "60000.1", "volume": "0.01",
        "cl_ord_id": "gbtest1", "oflags": "post,fciq",
    }  # fmt: skip


def test_krakens_clock_is_read_before_the_first_order_and_hourly() -> None:
    kraken = TinyKraken()
    exchange = kraken.exchange()
    for kraken.now in (START, START + 10, START + 3590, START + 3601, START + 3700):
        run(exchange.place([request(1, deadline=kraken.now + 10)]))
    assert (kraken.count("Time"), kraken.count("AddOrder")) == (2, 5)


@pytest.mark.parametrize("number", range(len(lost_answers())))
@pytest.mark.parametrize("verb", ["place", "amend", "cancel"])
def test_a_lost_answer_leaves_a_write_unknown_and_nothing_is_sent_again(
    verb: str, number: int
) -> None:
    kraken = TinyKraken()
    endpoint = {"place": "AddOrder", "amend": "AmendOrder", "cancel": "CancelOrder"}[verb]
    kraken.answers[endpoint] = lost_answers()[number]
    exchange = kraken.exchange()
    wish: Any = {"place": request(1), "amend": amend(), "cancel": "gbtest1"}[verb]
    assert kinds(run(getattr(exchange, verb)([wish]))) == ["unknown"]
    assert kraken.count(endpoint) == 1


def test_an_unknown_placing_is_open_until_its_deadline() -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrder"] = httpx.ReadTimeout("slow")
    assert run(kraken.exchange().place([request(1)]))[0].until == START + 10


@pytest.mark.parametrize("number", range(len(lost_answers())))
def test_a_lost_answer_to_a_batch_leaves_all_of_it_unknown(number: int) -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrderBatch"] = lost_answers()[number]
    assert kinds(run(kraken.exchange().place([request(1), request(2)]))) == ["unknown"] * 2
    assert (kraken.count("AddOrderBatch"), kraken.count("AddOrder")) == (1, 0)


@pytest.mark.parametrize(
    "answer",
    [httpx.ConnectError("refused"), httpx.ConnectTimeout("slow"), "EAPI:Rate limit exceeded",
     "EOrder:Rate limit exceeded", "EService:Market in cancel_only mode", "EAPI:Invalid nonce",
     "EService: Throttled: 1790000050", "EGeneral:Temporary lockout", httpx.Response(429)],
    ids=str,
)  # fmt: skip
def test_where_nothing_happened_an_order_is_for_later(answer: Answer) -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrder"] = kraken.answers["AmendOrder"] = kraken.answers["CancelOrder"] = (
        answer
    )
    exchange = kraken.exchange()
    assert kinds(run(exchange.place([request(1)]))) == ["later"]
    assert kinds(run(exchange.amend([amend()]))) == ["refused"]
    assert kinds(run(exchange.cancel(["gbtest1"]))) == ["later"]


def test_the_time_to_try_again_comes_with_the_answer() -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrder"] = "EOrder:Rate limit exceeded"
    done = run(kraken.exchange("starter").place([request(1, "exit")]))[0]
    assert START < done.until <= START + 5 and done.code == "EOrder:Rate limit exceeded"


def test_a_refusal_keeps_krakens_words_and_may_mean_new_rules() -> None:
    kraken = TinyKraken()
    exchange = kraken.exchange()
    kraken.script["AddOrder"] = ["EOrder:Post only order", MINIMUM]
    first = run(exchange.place([request(1)]))[0]
    assert (first.kind, first.code, first.text) == (
        "refused",
        "EOrder:Post only order",
        "Post only order",
    )
    assert not exchange.rules_stale
    assert run(exchange.place([request(2)]))[0].code == MINIMUM
    assert exchange.rules_stale


@pytest.mark.parametrize("text", ["EAPI:Invalid key", "EGeneral:Permission denied"])
def test_a_fatal_answer_is_the_only_thing_a_write_raises(text: str) -> None:
    kraken = TinyKraken()
    kraken.answers |= {"AddOrder": text, "AmendOrder": text, "CancelOrder": text}
    exchange = kraken.exchange()
    for work in (exchange.place([request(1)]), exchange.amend([amend()]), exchange.cancel(["gb1"])):
        with pytest.raises(Fatal, match=text):
            run(work)


def test_what_is_certain_beside_a_fatal_answer_is_told_with_it() -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrderBatch"] = "EOrder:Tick size check failed"
    kraken.answers["AddOrder"] = lambda ask: (
        "EGeneral:Permission denied" if ask["cl_ord_id"] == "gbtest2" else {"txid": ["O1"]}
    )
    with pytest.raises(Fatal) as caught:
        run(kraken.exchange().place([request(1), request(2), request(3)]))
    told = [(one.client_id, one.kind) for one in caught.value.outcomes]
    assert told == [("gbtest1", "accepted"), ("gbtest2", "later"), ("gbtest3", "accepted")]


NOT_UNIQUE = "EGeneral:Invalid arguments:cl_ord_id not unique"


def test_an_id_that_is_not_unique_is_our_order_and_is_adopted() -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrder"] = NOT_UNIQUE
    kraken.answers["OpenOrders"] = {"open": {"OTHERE": order("gbtest1")}}
    done = run(kraken.exchange().place([request(1)]))
    assert done == [Outcome("gbtest1", "place", "accepted", "OTHERE")]


@pytest.mark.parametrize("look_up", [{"open": {}}, httpx.ReadTimeout("slow"), {"bad": 1}])
def test_an_id_that_is_not_unique_but_not_found_is_unknown(look_up: Answer) -> None:
    kraken = TinyKraken()
    kraken.answers |= {"AddOrder": NOT_UNIQUE, "OpenOrders": look_up}
    assert kinds(run(kraken.exchange().place([request(1)]))) == ["unknown"]


def test_each_order_of_a_batch_has_its_own_outcome() -> None:
    kraken = TinyKraken()
    kraken.answers["OpenOrders"] = {"open": {"OTHERE": order("gbtest3")}}
    items = [{"txid": "O1", "descr": {}}, {"error": "EOrder:Insufficient funds"},
             {"error": NOT_UNIQUE}, {"descr": {}},
             {"error": "EOrder:Rate limit exceeded"}]  # fmt: skip
    kraken.answers["AddOrderBatch"] = {"orders": items}
    done = run(kraken.exchange().place([request(number) for number in range(1, 6)]))
    assert kinds(done) == ["accepted", "refused", "accepted", "unknown", "later"]
    assert [one.exchange_id for one in done[:3]] == ["O1", "", "OTHERE"]
    assert [one.client_id for one in done] == [f"gbtest{number}" for number in range(1, 6)]
    sent = kraken.asked("AddOrderBatch")
    assert sent["pair"] == "XBTUSD" and sent["deadline"] and "deadline" not in sent["orders"][0]


def test_a_batch_refused_as_a_whole_placed_nothing_and_is_sent_one_by_one() -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrderBatch"] = "EGeneral:Invalid arguments:volume minimum not met"
    kraken.answers["AddOrder"] = lambda ask: (
        MINIMUM if ask["cl_ord_id"] == "gbtest2" else {"txid": ["O" + ask["cl_ord_id"]]}
    )
    done = run(kraken.exchange().place([request(1), request(2), request(3)]))
    assert kinds(done) == ["accepted", "refused", "accepted"]


def test_more_than_fifteen_orders_make_several_batches() -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrderBatch"] = lambda ask: {
        "orders": [{"txid": "O" + one["cl_ord_id"]} for one in ask["orders"]]
    }
    done = run(kraken.exchange().place([request(number) for number in range(31)]))
    assert set(kinds(done)) == {"accepted"}
    sizes = [len(ask["orders"]) for name, ask in kraken.calls if name == "AddOrderBatch"]
    assert (sizes, kraken.count("AddOrder")) == ([15, 15], 1)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"price": D("60000.05")}, "60000.05"), ({"volume": D("0.000000001")}, "0.000000001"),
     ({"price": D(0)}, "price 0"), ({"volume": D(0)}, "volume 0")],
)  # fmt: skip
def test_an_order_off_the_grid_is_refused_here_and_never_rounded(wrong: Any, named: str) -> None:
    kraken = TinyKraken()
    exchange = kraken.exchange()
    for done in run(exchange.place([request(1, **wrong)])) + run(
        exchange.amend([amend(1, **wrong)])
    ):
        assert done.kind == "refused" and named in done.text and "off grid" in done.code
    assert kraken.count("AddOrder") == kraken.count("AmendOrder") == 0


def test_an_order_too_late_for_its_deadline_is_not_sent() -> None:
    kraken = TinyKraken()
    assert kinds(run(kraken.exchange().place([request(1, deadline=START + 1.9)]))) == ["later"]
    assert kraken.count("AddOrder") == 0


def test_nothing_is_sent_while_krakens_clock_is_unknown() -> None:
    kraken = TinyKraken()
    kraken.answers["Time"] = httpx.ConnectError("down")
    assert kinds(run(kraken.exchange().place([request(1)]))) == ["later"]
    assert kraken.count("AddOrder") == 0


def test_entries_are_denied_here_above_seventy_percent_and_exits_are_not() -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrderBatch"] = lambda ask: {
        "orders": [{"txid": "O" + one["cl_ord_id"]} for one in ask["orders"]]
    }
    exchange = kraken.exchange("starter")
    done = run(exchange.place([request(number) for number in range(50)]))
    assert kinds(done) == ["accepted"] * 42 + ["later"] * 8
    denied = done[-1]
    assert denied.code == "denied here" and denied.until == pytest.approx(START + 1)
    done = run(exchange.place([request(100 + number, "exit") for number in range(20)]))
    assert kinds(done) == ["accepted"] * 18 + ["later"] * 2
    kraken.now += 18 + 1.001
    done = run(exchange.place([request(number, deadline=0.0) for number in (200, 201)]))
    assert kinds(done) == ["accepted", "later"]


def test_an_amend_moves_the_whole_volume_and_keeps_the_id() -> None:
    kraken = TinyKraken()
    assert run(kraken.exchange().amend([amend(volume=D("0.020"))])) == [
        Outcome("gbtest1", "amend", "accepted")
    ]
    sent = kraken.asked("AmendOrder")
    assert sent.pop("nonce") and sent.pop("deadline")
    assert sent == {"cl_ord_id": "gbtest1", "order_qty": "0.02", "limit_price": "60000.1",
                    "post_only": True}  # fmt: skip


def test_amends_of_young_orders_cost_more_and_are_denied_here_above_seventy_percent() -> None:
    kraken = TinyKraken()
    kraken.answers["AddOrderBatch"] = lambda ask: {
        "orders": [{"txid": "O" + one["cl_ord_id"]} for one in ask["orders"]]
    }
    exchange = kraken.exchange("starter")
    run(exchange.place([request(number) for number in range(38)]))
    assert kinds(run(exchange.amend([amend(1)]))) == ["accepted"]  # 38 + 4 of 42
    denied = run(exchange.amend([amend(2)]))[0]
    assert (denied.kind, denied.code) == ("refused", "denied here")
    assert kraken.count("AmendOrder") == 1


def test_cancels_go_together_and_what_is_gone_already_is_accepted() -> None:
    kraken = TinyKraken()
    kraken.answers["CancelOrderBatch"] = lambda ask: {"count": len(ask["cl_ord_ids"])}
    names = [f"gbtest{number}" for number in range(51)]
    done = run(kraken.exchange().cancel(names))
    assert [one.client_id for one in done] == names and set(kinds(done)) == {"accepted"}
    assert (kraken.count("CancelOrderBatch"), kraken.count("CancelOrder")) == (1, 1)
    kraken.answers["CancelOrder"] = "EOrder:Unknown order"
    done = run(kraken.exchange().cancel(["gbtest1"]))
    assert (done[0].kind, done[0].code) == ("accepted", "EOrder:Unknown order")


@pytest.mark.parametrize("answer", [{"count": 1}, "EOrder:Unknown order", "EOrder:Invalid order"])
def test_a_batch_of_cancels_that_falls_short_is_sent_one_by_one(answer: Answer) -> None:
    kraken = TinyKraken()
    kraken.answers["CancelOrderBatch"] = answer
    kraken.script["CancelOrder"] = [{"count": 1}, "EOrder:Unknown order"]
    assert kinds(run(kraken.exchange().cancel(["gbtest1", "gbtest2"]))) == ["accepted"] * 2


def test_without_room_on_the_call_counter_orders_go_one_by_one_for_nothing() -> None:
    kraken = TinyKraken()
    exchange = kraken.exchange("starter")
    exchange._private.calls.charge(START, 15)
    assert kinds(run(exchange.place([request(1), request(2)]))) == ["accepted"] * 2
    assert kinds(run(exchange.cancel(["gbtest1", "gbtest2"]))) == ["accepted"] * 2
    assert (kraken.count("AddOrder"), kraken.count("CancelOrder")) == (2, 2)
    assert kinds(run(exchange.amend([amend()]))) == ["refused"]


def test_a_deadline_refused_makes_krakens_clock_be_read_again() -> None:
    kraken = TinyKraken()
    exchange = kraken.exchange()
    kraken.script["AddOrder"] = ["EService:Deadline elapsed"]
    run(exchange.place([request(1)]))
    run(exchange.place([request(2)]))
    assert kraken.count("Time") == 2
