"""The Exchange Protocol on a tiny Kraken: reads, comparisons, balances."""

from typing import Any

import pytest

from gridbot.core.numbers import plain
from gridbot.core.records import Balance
from gridbot.exchange.protocol import BadAnswer, RetryLater

from .tiny_kraken import START, D, TinyKraken, live, order, run


def kraken_with(**orders: dict[str, Any]) -> TinyKraken:
    kraken = TinyKraken()
    kraken.answers["OpenOrders"] = {"open": orders}
    return kraken


def changes(kraken: TinyKraken, *known: Any) -> list[tuple[str, str, str]]:
    reports, cursor = run(kraken.exchange().changes("", lambda: known))
    assert cursor == ""
    return [(one.client_id, one.state, plain(one.executed)) for one in reports]


def test_a_poll_without_news_is_one_private_call() -> None:
    kraken = kraken_with(O1=order("gbtest1"))
    assert changes(kraken, live(1)) == []
    assert [name for name, _ in kraken.calls if name not in ("Assets", "AssetPairs")] == [
        "OpenOrders"
    ]


def test_a_partial_fill_is_reported_with_its_cumulative_figures() -> None:
    row = order("gbtest1", vol_exec="0.004", cost="240.0", fee="0.96", trades=["T1"])
    reports, _ = run(kraken_with(O1=row).exchange().changes("", lambda: [live(1)]))
    assert [(one.executed, one.cost, one.fee, one.trade_ids) for one in reports] == [
        (D("0.004"), D("240.0"), D("0.96"), ("T1",))
    ]
    booked = {"executed": D("0.004"), "cost": D("240.0"), "fee": D("0.96")}
    assert changes(kraken_with(O1=row), live(1, **booked)) == []


def test_a_listing_older_than_what_is_booked_is_dropped() -> None:
    booked = {"executed": D("0.006"), "cost": D("360.0")}
    old = order("gbtest1", vol_exec="0.004", cost="240.0")
    assert changes(kraken_with(O1=old), live(1, **booked)) == []
    kraken = kraken_with()
    kraken.orders["O1"] = old | {"status": "canceled"}
    assert changes(kraken, live(1, **booked)) == []


def test_what_vanished_is_asked_for_and_never_taken_for_filled() -> None:
    kraken = kraken_with()
    kraken.orders = {
        "O1": order("gbtest1", status="closed", vol_exec="0.01", cost="600"),
        "O2": order("gbtest2", status="canceled", vol_exec="0.003", cost="180", fee="0.72"),
        "O3": order("gbtest3", status="expired"),
        "O4": order("gbtest4"),
    }
    found = changes(kraken, *(live(number) for number in range(1, 6)))
    assert found == [("gbtest1", "closed", "0.01"), ("gbtest2", "cancelled", "0.003"),
                     ("gbtest3", "expired", "0")]  # fmt: skip
    assert kraken.asked("QueryOrders")["txid"] == "O1,O2,O3,O4,O5"
    assert kraken.asked("QueryOrders")["trades"] is True


def test_fifty_one_vanished_orders_cost_two_more_calls() -> None:
    kraken = kraken_with()
    kraken.orders = {f"O{n}": order(f"gbtest{n}", status="canceled") for n in range(51)}
    assert len(changes(kraken, *(live(number) for number in range(51)))) == 51
    assert (kraken.count("OpenOrders"), kraken.count("QueryOrders")) == (1, 2)


def test_an_order_without_an_exchange_id_is_not_asked_for_but_found_in_the_listing() -> None:
    lost = {"exchange_id": "", "standing": "unknown", "lookup_verb": "place"}
    assert changes(kraken_with(), live(1, **lost)) == []
    assert changes(kraken_with(O1=order("gbtest1")), live(1, **lost)) == [("gbtest1", "open", "0")]


def test_an_order_with_our_prefix_nobody_knows_is_told_once() -> None:
    async def thrice() -> list[int]:
        exchange = kraken.exchange()
        return [len((await exchange.changes(""))[0]) for _ in range(3)]

    kraken = kraken_with(O7=order("gbtest7"), O8=order("gbtesta"))
    assert run(thrice()) == [2, 0, 0]


def test_orders_of_others_are_counted_on_our_pair_only() -> None:
    kraken = kraken_with(
        O1=order("gbtest1"), O2=order(None), O3=order("gbother1", side="sell"),
        O4=order(None, on="XBT/USD"), O5=order(None, on="XDGUSD"), O6=order("x", on="NEWUSD"),
        O7=order(None, kind="trailing-stop", limit="+1.0000%"),
    )  # fmt: skip
    exchange = kraken.exchange()
    found = run(exchange.open_orders())
    assert [one.client_id for one in found.reports] == ["gbtest1"] and found.at == START
    assert exchange.foreign_orders == 4


def test_our_order_under_another_spelling_of_the_pair_is_ours() -> None:
    for spelling in ("XBT/USD", "XXBTZUSD", "BTC/USD", "NEVERSEEN"):
        found = run(kraken_with(O1=order("gbtest1", on=spelling)).exchange().open_orders())
        assert [one.client_id for one in found.reports] == ["gbtest1"]


def test_balances_keep_apart_what_can_be_spent() -> None:
    kraken = kraken_with(
        O1=order("gbtest1"), O2=order(None, vol="0.02", vol_exec="0.005", limit="50000.0"),
        O3=order(None, side="sell", vol="0.3"),
        O4=order(None, side="sell", on="XDGUSD", vol="70"),
    )  # fmt: skip
    hold = {"hold_trade": "0.00"}
    kraken.answers["BalanceEx"] = {
        "ZUSD": {"balance": "9000.5", "hold_trade": "1350"},
        "XXBT": {"balance": "1.5", "hold_trade": "0.3", "credit": "0"},
        "XXBT.F": {"balance": "0.25"} | hold, "XXBT.M": {"balance": "0.5"} | hold,
        "XXDG": {"balance": "100", "hold_trade": "70"}, "NEWx.T": {"balance": "3"} | hold,
    }  # fmt: skip
    found = run(kraken.exchange().balances())
    assert found["USD"] == Balance(D("9000.5"), D("1350"), foreign=D("750"))
    assert found["BTC"] == Balance(D("1.5"), D("0.3"), D("0.3"), elsewhere=D("0.75"))
    assert found["DOGE"] == Balance(D("100"), D("70"), D("70"))
    assert found["NEWx"] == Balance(D("0"), elsewhere=D("3"))


def test_an_asset_kraken_does_not_list_is_zero_but_an_empty_answer_is_an_error() -> None:
    kraken = kraken_with()
    kraken.answers["BalanceEx"] = {"ZUSD": {"balance": "5", "hold_trade": "0"}}
    assert run(kraken.exchange().balances())["BTC"] == Balance(D("0"))
    kraken.answers["BalanceEx"] = {}
    with pytest.raises(BadAnswer, match="BalanceEx"):
        run(kraken.exchange().balances())


def test_fees_are_those_of_the_account() -> None:
    kraken = TinyKraken()
    fee = {"XXBTZUSD": {"fee": "0.8000", "min_fee": "0"}}
    kraken.answers["TradeVolume"] = {"fees": fee, "fees_maker": {"XXBTZUSD": {"fee": "0.4000"}}}
    found = run(kraken.exchange().fees())
    assert (found.maker_pct, found.taker_pct, found.source) == (D("0.4"), D("0.8"), "account")
    kraken.answers["TradeVolume"] = {"fees": fee, "fees_maker": None}
    assert run(kraken.exchange().fees()).maker_pct == D("0.8")
    kraken.answers["TradeVolume"] = {"fees": None, "fees_maker": None}
    with pytest.raises(BadAnswer, match="TradeVolume"):
        run(kraken.exchange().fees())


def test_an_order_is_found_among_the_open_then_among_the_closed() -> None:
    kraken = kraken_with(O9=order("gbtest9"), O1=order("gbtest1"))
    assert run(kraken.exchange().find(["gbtest1"], START))[0].exchange_id == "O1"
    assert kraken.count("ClosedOrders") == 0
    kraken = kraken_with(O9=order("gbtest9"))
    assert run(kraken.exchange().find(["gbtest1"], START)) == []
    assert kraken.asked("ClosedOrders")["start"] == START - 60
    closed = {"O2": order("gbtest1", status="closed", opentm=START),
              "O1": order("gbtest1", status="canceled", opentm=START - 50)}  # fmt: skip
    kraken.answers["ClosedOrders"] = {"closed": closed, "count": 2}
    assert run(kraken.exchange().find(["gbtest1"], START))[0].exchange_id == "O2"


def test_reports_are_read_by_id_and_by_client_id_where_there_is_none() -> None:
    kraken = kraken_with(O2=order("gbtest2"))
    kraken.orders["O1"] = order(None, status="closed", vol_exec="0.01", cost="600")
    wanted = [live(1), live(2, exchange_id=""), live(3), live(4, exchange_id="")]
    found = run(kraken.exchange().reports(wanted))
    assert [(one.client_id, one.exchange_id) for one in found] == [
        ("gbtest1", "O1"),
        ("gbtest2", "O2"),
    ]


def trade(order_id: str, at: float, on: str = "XXBTZUSD") -> dict[str, Any]:
    return {"ordertxid": order_id, "pair": on, "time": at, "type": "sell", "price": "60000.0",
            "cost": "60", "fee": "0.24", "vol": "0.001", "maker": True}  # fmt: skip


def entry(trade_id: str, at: float, kind: str = "trade", asset: str = "XXBT") -> dict[str, Any]:
    return {"refid": trade_id, "time": at, "type": kind, "asset": asset, "amount": "-0.001",
            "fee": "0", "balance": "1", "subtype": ""}  # fmt: skip


def test_executions_carry_the_client_id_of_their_order() -> None:
    kraken = TinyKraken()
    trades = {"T1": trade("O1", START - 5), "T2": trade("O2", START - 4),
              "T3": trade("O3", START - 3, "XDGUSD"), "T0": trade("O1", START - 9)}  # fmt: skip
    kraken.answers["TradesHistory"] = {"trades": trades, "count": 4}
    kraken.orders = {"O1": order("gbtest1"), "O2": order(None)}
    found, _ = run(kraken.exchange().executions(""))
    assert [(one.trade_id, one.client_id) for one in found] == [
        ("T0", "gbtest1"), ("T1", "gbtest1"), ("T2", ""),
    ]  # fmt: skip
    assert (found[0].price, found[0].fee, found[0].fee_asset) == (D("60000.0"), D("0.24"), "USD")


def test_own_rows_tell_trades_of_ours_from_those_of_others() -> None:
    kraken = TinyKraken()
    rows = {"L1": entry("T1", START - 9), "L2": entry("T2", START - 8),
            "L3": entry("D1", START - 7, "deposit", "ZUSD"), "L5": entry("T9", START - 1),
            "L4": entry("T3", START - 6, asset="XXDG"),
            "L6": entry("E1", START - 5, "earn", "XXBT.F")}  # fmt: skip
    kraken.answers["Ledgers"] = {"ledger": rows, "count": 6}
    trades = {"T1": trade("O1", START - 9), "T2": trade("O2", START - 8)}
    kraken.answers["QueryTrades"] = lambda ask: {
        one: trades[one] for one in ask["txid"].split(",") if one in trades
    }
    manual = order(None, kind="trailing-stop", limit="+1.0000%")
    kraken.orders = {"O1": order("gbtest1"), "O2": manual}
    with pytest.raises(RetryLater, match="T9"):  # too fresh: it may be ours
        run(kraken.exchange().own_ledger(""))
    kraken.now += 3600
    found, _ = run(kraken.exchange().own_ledger(""))
    assert [(one.row_id, one.client_id, one.asset, one.kind) for one in found] == [
        ("L1", "gbtest1", "BTC", "trade"), ("L2", "", "BTC", "trade"),
        ("L3", "", "USD", "deposit"), ("L5", "", "BTC", "trade"),
    ]  # fmt: skip


def test_trades_told_by_reports_need_no_look_up() -> None:
    async def both() -> Any:
        exchange = kraken.exchange()
        await exchange.changes("", lambda: [live(1)])
        return (await exchange.own_ledger(""))[0]

    kraken = kraken_with(O1=order("gbtest1", vol_exec="0.001", cost="60", trades=["T1"]))
    kraken.answers["Ledgers"] = {"ledger": {"L1": entry("T1", START - 9)}, "count": 1}
    assert run(both())[0].client_id == "gbtest1"
    assert (kraken.count("QueryTrades"), kraken.count("QueryOrders")) == (0, 0)


def test_the_rules_are_stale_after_a_day() -> None:
    kraken = TinyKraken()
    exchange = kraken.exchange()
    assert not exchange.rules_stale
    kraken.now += 86400
    assert exchange.rules_stale
    run(exchange.instrument())
    assert not exchange.rules_stale
