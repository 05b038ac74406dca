"""Every fault fires, does what its name says, and leaves the account's books in order."""

import asyncio
import json
from collections import Counter
from decimal import Decimal
from itertools import count
from random import Random
from typing import Any

import pytest

from gridbot.exchange.emulator.config import Options
from gridbot.exchange.emulator.faults import TABLE, Faults, UnknownFault
from tests.exchange.emulator.talk import Talk

D = Decimal


def busy(talk: Talk, rounds: int, seed: int = 3) -> None:
    """A client that places, amends, cancels and reads, whatever it is answered."""
    random, ids = Random(seed), count(1)
    for _ in range(rounds):
        talk.now += 20
        for side, share in (("buy", "0.999"), ("sell", "1.001"), ("buy", "0.9"), ("buy", "1.1")):
            price = f"{talk.account.touch()[0] * D(share):.0f}"
            talk.raw("AddOrder", talk.order(type=side, price=price, cl_ord_id=f"gb1x{next(ids)}"))
        for placed in talk.account.open_now()[-2:]:
            talk.raw("CancelOrder", {"txid": placed.txid})
        if talk.account.orders_open:
            placed = random.choice(talk.account.open_now())
            talk.raw("AmendOrder", {"txid": placed.txid, "order_qty": "0.0011"})
        for read in ("OpenOrders", "ClosedOrders", "TradesHistory", "Ledgers", "BalanceEx"):
            talk.now += 3
            talk.raw(read, {"trades": "true", "ofs": random.choice((0, 7))})


def assert_books_close(talk: Talk) -> None:
    """Balances are the sums of the ledger, and of what the trades say, rounded row by row."""
    book = talk.look("book")
    sums: Counter[str] = Counter()
    for row in book["ledger"].values():
        sums[row["asset"]] += D(row["amount"]) - D(row["fee"])  # type: ignore[assignment]
        assert D(row["balance"]) == sums[row["asset"]]
    assert {asset: D(amount) for asset, amount in book["balances"].items()} == dict(sums)
    by_order: dict[str, Decimal] = {}
    for trade in book["trades"].values():
        by_order[trade["ordertxid"]] = by_order.get(trade["ordertxid"], D(0)) + D(trade["vol"])
    for txid, row in book["orders"].items():
        assert D(row["vol_exec"]) == by_order.get(txid, 0) <= D(row["vol"])
    held = sum(
        (D(row["vol"]) - D(row["vol_exec"])) * D(row["descr"]["price"])
        for row in book["orders"].values()
        if row["status"] == "open" and row["descr"]["type"] == "buy"
    )
    assert talk.account.quote_held == held
    assert set(book["accepted"].values()) <= {1}


@pytest.mark.parametrize("name", TABLE)
def test_each_fault_fires_and_the_books_still_close(name: str) -> None:
    talk = Talk(standing=False, speed=60.0, faults={name: 0.5})
    busy(talk, 12)
    assert talk.look("faults")[name] > 0
    assert_books_close(talk)
    talk.test("faults")
    fired = talk.look("faults")[name]
    busy(talk, 2, seed=4)
    assert talk.look("faults")[name] == fired


def test_all_faults_at_once_leave_the_books_in_order() -> None:
    talk = Talk(standing=False, speed=300.0, faults=dict.fromkeys(TABLE, 0.05))
    busy(talk, 150)
    assert_books_close(talk)
    assert sum(map(bool, talk.look("faults").values())) > len(TABLE) / 2


def test_the_same_seed_fails_the_same_way() -> None:
    books = []
    for _ in range(2):
        talk = Talk(standing=False, speed=300.0, faults=dict.fromkeys(TABLE, 0.1), seed=5)
        busy(talk, 15)
        books.append(talk.look("book"))
    assert books[0] == books[1]


def test_a_lost_reply_leaves_the_order_or_leaves_it_not() -> None:
    talk = Talk()
    for name, taken in (("reply-lost-after", True), ("reply-lost-before", False)):
        talk.test("faults", **{name: 1})
        answer = talk.raw("AddOrder", talk.order(cl_ord_id="gb1x01"))
        with pytest.raises(json.JSONDecodeError):
            answer.json()
        assert ("gb1x01" in talk.account.open_client_ids) is taken
        talk.account.cancel_all()


def test_a_duplicated_order_is_refused_the_second_time() -> None:
    talk = Talk(faults={"duplicate-reply": 1})
    refused = talk.error("AddOrder", **talk.order(cl_ord_id="gb1x01"))
    assert refused == "EGeneral:Invalid arguments:cl_ord_id not unique"
    assert talk.account.orders_open == 1


@pytest.mark.parametrize("name", ["cancel-already-filled", "cancel-gone", "cancel-part-filled"])
def test_a_cancel_may_come_too_late(name: str) -> None:
    talk = Talk()
    txid = talk.place()
    talk.test("faults", **{name: 1})
    answer = talk.private("CancelOrder", txid=txid)
    talk.test("faults")
    row = talk.row(txid)
    executed = D(row["vol_exec"])
    if name == "cancel-part-filled":
        assert answer["result"] == {"count": 1} and row["status"] == "canceled"
        assert 0 < executed < D("0.001")
    else:
        assert answer["error"] == ["EOrder:Unknown order"]
        assert (row["status"], executed > 0) == (
            ("closed", True) if name == "cancel-already-filled" else ("canceled", False)
        )


def test_fees_prices_and_last_units_may_surprise() -> None:
    faults = {"fee-in-base": 1, "better-price": 1, "sliver-short": 1}
    talk = Talk(faults=faults)
    txid = talk.place()
    talk.test("price", price="53000")
    talk.test("faults")
    row = talk.row(txid)
    assert row["oflags"] == "post,fcib"
    assert (row["status"], row["vol_exec"], row["price"]) == (
        "closed", "0.00099999", "53999.90000",
    )  # fmt: skip
    rows = [one for one in talk.look("book")["ledger"].values() if one["type"] == "trade"]
    fees = {one["asset"]: D(one["fee"]) for one in rows}
    assert fees == {"ZUSD": D(0), "XXBT": D("0.000004")}
    assert_books_close(talk)


def test_stale_reads_show_the_past() -> None:
    talk = Talk(options=Options(stale_seconds=1000.0))
    txid = talk.place()
    talk.now += 2000
    talk.ok("CancelOrder", txid=txid)
    talk.now += 1
    talk.test("faults", **{"stale-open-orders": 1})
    assert list(talk.ok("OpenOrders")["open"]) == [txid]
    talk.test("faults")
    assert talk.ok("OpenOrders")["open"] == {}


def test_a_slow_answer_holds_up_nobody() -> None:
    talk = Talk(faults={"delayed-reply": 1}, options=Options(delay_seconds=1e9))

    async def both() -> int:
        slow = asyncio.create_task(talk.ask(*talk.signed("AddOrder", talk.order())))
        while not talk.account.orders_open:
            await asyncio.sleep(0)
        quick = await talk.ask(*talk.signed("OpenOrders", {}))
        assert not slow.done()
        slow.cancel()
        return len(quick.json()["result"]["open"])

    assert asyncio.run(both()) == 1


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"nonsense": 0.1}, "there is no fault 'nonsense'"),
        ({"html": 1.5}, "html: the rate '1.5' is not a number from 0 to 1"),
        ({"html": "nan"}, "html: the rate 'nan'"),
        ({"html": ""}, "html: the rate ''"),
    ],
)
def test_a_wrong_fault_is_named(rates: dict[str, Any], message: str) -> None:
    with pytest.raises(UnknownFault, match=message):
        Faults(rates, 1)
    assert message in Talk().test("faults", **rates)["error"]
