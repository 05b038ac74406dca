"""What a client sees: names, envelopes, authentication, orders, refusals, limits, paging."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gridbot.exchange.emulator.config import Options
from gridbot.exchange.instruments import known_pairs
from tests.exchange.emulator.talk import START, Talk

D = Decimal


def test_all_pairs_and_assets_are_listed_without_a_filter() -> None:
    talk = Talk()
    pairs, assets = talk.public("AssetPairs")["result"], talk.public("Assets")["result"]
    assert len(pairs) == len(known_pairs())
    row = pairs["XXBTZUSD"]
    assert (row["altname"], row["wsname"], row["base"], row["quote"]) == (
        "XBTUSD", "XBT/USD", "XXBT", "ZUSD",
    )  # fmt: skip
    assert (row["fees"], row["fees_maker"], row["ordermin"]) == ([], [], "0.00005")
    assert row["status"] == "online" and pairs["XDGUSD"]["status"] == "cancel_only"
    assert all(row["base"] in assets and row["quote"] in assets for row in pairs.values())


@pytest.mark.parametrize(
    ("asked", "key"), [("XBTUSD", "XXBTZUSD"), ("XXBTZUSD", "XXBTZUSD"), ("BTC/USD", "BTC/USD")]
)
def test_a_pair_may_be_asked_for_by_its_names(asked: str, key: str) -> None:
    assert list(Talk().public("Ticker", pair=asked)["result"]) == [key]


@pytest.mark.parametrize("asked", ["XBT/USD", "XDOGEZUSD", "nonsense"])
def test_an_unknown_spelling_is_refused_with_http_200(asked: str) -> None:
    answer = Talk().send("GET", "/0/public/Ticker", params={"pair": asked})
    assert answer.status_code == 200
    assert answer.json() == {"error": ["EQuery:Unknown asset pair"]}


def test_the_market_is_shown_with_a_spread_720_candles_and_a_book() -> None:
    talk = Talk(standing=False)
    ticker = talk.public("Ticker", pair="XBTUSD")["result"]["XXBTZUSD"]
    assert D(ticker["b"][0]) < D(ticker["c"][0]) < D(ticker["a"][0])
    rows = talk.public("OHLC", pair="XBTUSD", interval=1)["result"]
    assert len(rows["XXBTZUSD"]) == 720
    assert rows["last"] == rows["XXBTZUSD"][-2][0] == rows["XXBTZUSD"][-1][0] - 60
    assert len({row[4] for row in rows["XXBTZUSD"]}) > 100  # a real past, not a flat one
    depth = talk.public("Depth", pair="XBTUSD", count=5)["result"]["XXBTZUSD"]
    assert depth["asks"][0][0] == f"{D(ticker['a'][0]):.1f}" and len(depth["bids"]) == 5
    assert talk.public("Trades", pair="XBTUSD")["result"]["XXBTZUSD"]


def test_the_market_goes_on_with_the_clock_times_the_speed() -> None:
    talk = Talk(standing=False, speed=1200.0)
    before = talk.account.now
    talk.now += 3.0
    talk.public("Time")
    assert talk.account.now - before == pytest.approx(3600.0)


def test_key_signature_and_nonce_are_checked() -> None:
    talk = Talk()
    talk.key = "wrong"
    assert talk.error("Balance") == "EAPI:Invalid key"
    talk = Talk()
    talk.secret = "d3Jvbmc="
    assert talk.error("Balance") == "EAPI:Invalid signature"
    talk = Talk()
    assert talk.ok("Balance", nonce=str(2**64 - 1))
    assert talk.error("Balance") == "EAPI:Invalid nonce"
    assert talk.error("Balance", nonce=str(2**64)) == "EAPI:Invalid nonce"
    assert talk.error("Balance", nonce="-5") == "EAPI:Invalid nonce"


def test_repeated_failures_lock_the_key_out_for_a_quarter_of_an_hour() -> None:
    talk = Talk(options=Options(lockout_after=3))
    secret, talk.secret = talk.secret, "d3Jvbmc="
    assert [talk.error("Balance") for _ in range(3)] == ["EAPI:Invalid signature"] * 3
    talk.secret = secret
    assert talk.error("Balance") == "EGeneral:Temporary lockout"
    talk.now += 901
    assert talk.ok("Balance")


def test_forms_json_and_python_booleans_mean_the_same() -> None:
    talk = Talk()
    talk.place(validate="False", reduce_only="False")
    answer = talk.raw("AddOrder", talk.order(volume=0.001, validate=False), as_json=True).json()
    assert len(answer["result"]["txid"]) == 1
    assert "txid" not in talk.ok("AddOrder", **talk.order(validate="True"))
    assert len(talk.ok("OpenOrders")["open"]) == 2


def test_an_order_rests_fills_and_shows_it_cumulatively() -> None:
    talk = Talk()
    txid = talk.place(cl_ord_id="gb1x01")
    row = talk.ok("OpenOrders", cl_ord_id="gb1x01")["open"][txid]
    assert row["descr"]["order"] == "buy 0.00100000 XBTUSD @ limit 54000.0"
    assert (row["descr"]["pair"], row["price"], row["oflags"]) == ("XBTUSD", "0.00000", "post,fciq")
    assert "trades" not in row
    talk.test("fill", cl_ord_id="gb1x01", share="0.5")
    row = talk.row(txid)
    assert (row["status"], row["vol_exec"], row["cost"], row["fee"], row["price"]) == (
        "open", "0.00050000", "27.00000", "0.10800", "54000.00000",
    )  # fmt: skip
    talk.test("price", price="53999.9")
    row = talk.row(txid)
    assert (row["status"], row["vol_exec"], row["cost"]) == ("closed", "0.00100000", "54.00000")
    trades = talk.ok("TradesHistory")["trades"]
    assert sorted(trades) == sorted(row["trades"])
    assert all(one["maker"] and one["ordertxid"] == txid for one in trades.values())
    assert txid in talk.ok("ClosedOrders", cl_ord_id="gb1x01")["closed"]


def test_a_trade_has_two_ledger_rows_and_the_newest_equals_the_balance() -> None:
    talk = Talk()
    talk.place(price="59123.7", volume="0.00123457")
    talk.test("price", price="59000")
    (trade_id,) = talk.ok("TradesHistory")["trades"]
    talk.now += 20
    rows = [row for row in talk.ok("Ledgers")["ledger"].values() if row["refid"] == trade_id]
    by_asset = {row["asset"]: row for row in rows}
    assert len(rows) == 2
    assert (by_asset["ZUSD"]["amount"], by_asset["ZUSD"]["fee"]) == ("-72.9924", "0.2920")
    assert (by_asset["XXBT"]["amount"], by_asset["XXBT"]["fee"]) == (
        "0.0012345700", "0.0000000000",
    )  # fmt: skip
    balance = talk.ok("Balance")
    assert balance == {asset: row["balance"] for asset, row in by_asset.items()}


def test_the_ledger_may_keep_the_digits_of_the_cost() -> None:
    talk = Talk(ledger_digits="cost")
    talk.place(price="59123.7", volume="0.00123457")
    talk.test("price", price="59000")
    assert talk.ok("Balance")["ZUSD"] == str(D(100000) - D("72.99235") - D("0.29197"))


def test_a_buy_holds_price_times_volume_without_a_fee() -> None:
    talk = Talk()
    talk.place()
    talk.place(type="sell", price="66000")
    held = {asset: D(row["hold_trade"]) for asset, row in talk.ok("BalanceEx").items()}
    assert held == {"ZUSD": D(54), "XXBT": D("0.001")}


def test_a_crossing_order_takes_at_the_touch_unless_it_is_post_only() -> None:
    talk = Talk()
    ask = D(talk.public("Ticker", pair="XBTUSD")["result"]["XXBTZUSD"]["a"][0])
    assert talk.error("AddOrder", **talk.order(price="61000")) == "EOrder:Post only order"
    for order in (talk.order(price="61000", oflags=""), talk.order(ordertype="market", oflags="")):
        row = talk.row(talk.ok("AddOrder", **order)["txid"][0])
        assert (row["status"], D(row["price"])) == ("closed", ask)
        assert D(row["fee"]) == (D(row["cost"]) * D("0.008")).quantize(D("0.00001"))
    talk.test("faults", **{"post-only-late": 1})
    row = talk.row(talk.place(price="61000"))
    assert (row["status"], row["reason"], row["vol_exec"]) == (
        "canceled", "Post only order", "0.00000000",
    )  # fmt: skip


def test_a_market_buy_may_name_its_cost() -> None:
    talk = Talk()
    txid = talk.place(ordertype="market", oflags="viqc", volume="50")
    assert D("49.99") < D(talk.row(txid)["cost"]) <= 50


def test_immediate_or_cancel_leaves_nothing_behind() -> None:
    talk = Talk()
    assert talk.row(talk.place(timeinforce="IOC", oflags=""))["status"] == "canceled"


def test_a_client_id_is_unique_among_open_orders_only() -> None:
    talk = Talk()
    txid = talk.place(cl_ord_id="gb1x01")
    twice = "EGeneral:Invalid arguments:cl_ord_id not unique"
    assert talk.error("AddOrder", **talk.order(cl_ord_id="gb1x01")) == twice
    talk.ok("CancelOrder", txid=txid)
    talk.place(cl_ord_id="gb1x01")
    assert len(talk.ok("ClosedOrders", cl_ord_id="gb1x01")["closed"]) == 1
    assert talk.look("book")["accepted"] == {"gb1x01": 2}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"volume": "0.00004"}, "EOrder:Order minimum not met"),
        ({"price": "100", "volume": "0.001"}, "EOrder:Cost minimum not met"),
        ({"price": "54000.12"}, "EOrder:Invalid price:XBTUSD price can only be specified up to 1 "
                                "decimals."),
        ({"volume": "99"}, "EOrder:Insufficient funds"),
        ({"volume": "x"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "NaN"}, "EGeneral:Invalid arguments:volume"),
        ({"volume": "0.001000001"}, "EGeneral:Invalid arguments:volume"),
        ({"ordertype": "stop-loss"}, "EGeneral:Invalid arguments:ordertype"),
        ({"oflags": "post,fciq,fcib"}, "EGeneral:Invalid arguments:oflags"),
        ({"cl_ord_id": "UPPER"}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"cl_ord_id": "a" * 19}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"cl_ord_id": "a", "userref": "7"}, "EGeneral:Invalid arguments:cl_ord_id"),
        ({"pair": "NOPE"}, "EQuery:Unknown asset pair"),
        ({"pair": "XDGUSD"}, "EService:Market in cancel_only mode"),
        ({"deadline": "2026-01-01T00:00:00Z"}, "EService:Deadline elapsed"),
        ({"deadline": "soon"}, "EGeneral:Invalid arguments:deadline"),
    ],
)  # fmt: skip
def test_a_bad_order_is_refused_in_krakens_words(change: dict[str, Any], error: str) -> None:
    talk = Talk()
    assert talk.error("AddOrder", **talk.order(**change)) == error
    assert talk.ok("OpenOrders")["open"] == {}


def test_a_price_off_the_tick_is_refused_once_the_tick_is_coarser() -> None:
    talk = Talk()
    talk.account.toggle_rules()
    assert talk.public("AssetPairs", pair="XBTUSD")["result"]["XXBTZUSD"]["tick_size"] == "1"
    refused = talk.error("AddOrder", **talk.order(price="54000.5"))
    assert refused == "EOrder:Tick size check failed"


def test_open_orders_are_limited_by_the_tier() -> None:
    talk = Talk(tier="starter")
    for _ in range(60):
        talk.place()
        talk.now += 1.5
    assert talk.error("AddOrder", **talk.order()) == "EOrder:Orders limit exceeded"


def test_the_engine_counter_refuses_what_comes_too_fast() -> None:
    talk = Talk(tier="starter")
    txids = [talk.place() for _ in range(7)]
    for txid in txids[:6]:
        talk.ok("CancelOrder", txid=txid)  # eight points each when this young
    for _ in range(5):
        talk.place()
    assert talk.error("AddOrder", **talk.order()) == "EOrder:Rate limit exceeded"
    talk.now += 1.1
    talk.place()


def test_the_call_counter_charges_reads_and_history_but_not_orders() -> None:
    talk = Talk(tier="starter")
    for _ in range(3):
        talk.ok("TradesHistory")
        talk.ok("Balance")
    talk.place()
    assert talk.error("Balance") == "EAPI:Rate limit exceeded"
    talk.now += 3.1
    talk.ok("Balance")


def test_an_amend_keeps_the_ids_and_an_edit_does_not() -> None:
    talk = Talk()
    txid = talk.place(cl_ord_id="gb1x01")
    assert talk.ok("AmendOrder", cl_ord_id="gb1x01", limit_price="53000", order_qty="0.002")
    row = talk.row(txid)
    assert (row["descr"]["price"], row["vol"], row["misc"]) == ("53000.0", "0.00200000", "amended")
    answer = talk.ok("EditOrder", pair="XBTUSD", txid=txid, price="52000")
    assert (answer["originaltxid"], answer["orders_cancelled"]) == (txid, 1)
    assert talk.row(txid)["reason"] == "Order replaced"
    new = talk.row(answer["txid"])
    assert (new["vol"], new["descr"]["price"]) == ("0.00200000", "52000.0")
    assert "cl_ord_id" not in new
    assert talk.account.quote_held == 104


def test_an_amend_below_what_is_executed_cancels_the_rest() -> None:
    talk = Talk()
    txid = talk.place()
    talk.test("fill", txid=txid, share="0.5")
    talk.ok("AmendOrder", txid=txid, order_qty="0.0004")
    row = talk.row(txid)
    assert (row["status"], row["vol_exec"]) == ("canceled", "0.00050000")
    assert talk.account.quote_held == 0


def test_cancelling_tells_gone_from_never_been() -> None:
    talk = Talk()
    txid = talk.place()
    assert talk.ok("CancelOrder", txid=txid) == {"count": 1}
    assert talk.error("CancelOrder", txid=txid) == "EOrder:Unknown order"
    assert talk.error("CancelOrder", txid="OAAAAA-AAAAA-AAAAAA") == "EOrder:Invalid order"
    assert talk.error("CancelOrder", cl_ord_id="nobody") == "EOrder:Unknown order"
    talk.place(userref="7")
    talk.place(userref="7")
    assert talk.ok("CancelOrder", txid="7") == {"count": 2}
    assert talk.ok("QueryOrders", txid="OAAAAA-AAAAA-AAAAAA") == {}
    assert talk.error("QueryOrders", cl_ord_id="x") == "EGeneral:Invalid arguments"


def test_batches_answer_each_order_and_cancel_by_either_id() -> None:
    talk = Talk()
    orders = [talk.order(cl_ord_id="b1"), talk.order(volume="1.7"), talk.order(type="sell",
              price="66000", cl_ord_id="b2")]  # fmt: skip
    talk.test("deposit", asset="ZUSD", amount="-50000", type="withdrawal")
    answer = talk.raw("AddOrderBatch", {"pair": "XBTUSD", "orders": orders}, as_json=True).json()
    first, second, third = answer["result"]["orders"]
    assert second == {"error": "EOrder:Insufficient funds"} and third["txid"]
    batch = {"orders": [first["txid"]], "cl_ord_ids": ["b2", "gone"]}
    assert talk.raw("CancelOrderBatch", batch, as_json=True).json()["result"] == {"count": 2}
    wrong = {"pair": "XBTUSD", "orders": [talk.order(), talk.order(volume="0.00001")]}
    refused = talk.raw("AddOrderBatch", wrong, as_json=True).json()
    assert refused == {"error": ["EOrder:Order minimum not met"]}
    assert talk.ok("OpenOrders")["open"] == {}


def test_history_comes_in_pages_of_fifty_newest_first() -> None:
    talk = Talk()
    txids = []
    for _ in range(60):
        txids.append(talk.place())
        talk.ok("CancelOrder", txid=txids[-1])
        talk.now += 10
    first, second = (talk.ok("ClosedOrders", ofs=ofs) for ofs in (0, 50))
    assert list(first["closed"]) == txids[:9:-1] and list(second["closed"]) == txids[9::-1]
    assert first["count"] == second["count"] == 60
    talk.now += 20
    late = talk.ok("ClosedOrders", start=START + 99.5, end=START + 200, closetime="close")
    assert late["count"] == 11
    since = talk.ok("ClosedOrders", start=txids[57], without_count="true")
    assert list(since["closed"]) == [txids[59], txids[58]] and "count" not in since


def test_orders_expire_and_a_dead_mans_switch_cancels_all() -> None:
    talk = Talk()
    txid = talk.place(timeinforce="GTD", expiretm="+30")
    other = talk.place()
    talk.ok("CancelAllOrdersAfter", timeout="60")
    talk.now += 31
    assert talk.row(txid)["status"] == "expired"
    assert talk.row(txid)["closetm"] == pytest.approx(START + 30)
    talk.ok("CancelAllOrdersAfter", timeout="60")
    talk.now += 40
    assert talk.row(other)["status"] == "open"
    talk.now += 21
    assert talk.row(other)["status"] == "canceled"


def test_modes_restrict_what_they_name() -> None:
    talk = Talk()
    txid = talk.place()
    taking = talk.order(oflags="", price="61000")
    talk.test("mode", mode="cancel_only")
    assert talk.public("SystemStatus")["result"]["status"] == "cancel_only"
    assert talk.error("AddOrder", **talk.order()) == "EService:Market in cancel_only mode"
    assert talk.error("AmendOrder", txid=txid, limit_price="53000") == (
        "EService:Market in cancel_only mode"
    )
    talk.test("price", price="50000")
    assert talk.row(txid)["status"] == "open"  # nothing is matched meanwhile
    assert talk.ok("CancelOrder", txid=txid) == {"count": 1}
    talk.test("mode", mode="post_only")
    talk.place(price="40000")
    assert talk.error("AddOrder", **taking) == "EService:Market in post_only mode"
    talk.test("mode", mode="maintenance")
    assert talk.error("Balance") == "EService:Unavailable"
    assert talk.public("AssetPairs")["error"] == ["EService:Unavailable"]
    assert "error" in talk.test("mode", mode="holiday")


def test_reads_may_lag_behind_writes() -> None:
    talk = Talk(options=Options(read_lag_seconds=5.0))
    txid = talk.place(cl_ord_id="gb1x01")
    assert talk.ok("OpenOrders")["open"] == {} and talk.ok("QueryOrders", txid=txid) == {}
    talk.now += 6
    assert list(talk.ok("OpenOrders")["open"]) == [txid]
    talk.test("price", price="50000")
    assert talk.row(txid)["status"] == "open"
    assert talk.ok("TradesHistory")["trades"] == {}
    talk.now += 6
    assert talk.row(txid)["status"] == "closed"
    assert len(talk.ok("TradesHistory")["trades"]) == 1


def test_a_key_tells_its_rights_and_lacks_the_others() -> None:
    talk = Talk(options=Options(permissions=("query-funds", "withdraw-funds")))
    assert "withdraw-funds" in talk.ok("GetApiKeyInfo")["permissions"]
    assert talk.error("OpenOrders") == "EGeneral:Permission denied"
    assert talk.error("Nonsense") == "EGeneral:Unknown method"


def test_fees_stand_in_trade_volume_only() -> None:
    talk = Talk()
    answer = talk.ok("TradeVolume", pair="XBTUSD")
    assert answer["fees_maker"]["XXBTZUSD"]["fee"] == "0.4000"
    assert answer["fees"]["XXBTZUSD"]["fee"] == "0.8000"
    assert talk.ok("TradeVolume")["fees"] is None


def test_the_owner_acts_and_the_log_counts() -> None:
    talk = Talk()
    talk.test("deposit", asset="ZUSD", amount="12.5")
    talk.test("order", **talk.order())
    assert talk.ok("Balance")["ZUSD"] == "100012.5000"
    (row,) = talk.look("book")["orders"].values()
    assert row["owner"] is True and "cl_ord_id" not in row
    talk.public("Time")
    log = talk.look("log")
    assert (log["public"], log["private"], log["Time"]) == (1, 1, 1)


@pytest.mark.parametrize("pair", known_pairs())
def test_every_pair_can_be_the_one_traded(pair: str) -> None:
    talk = Talk(standing=False, pair=pair)
    name, rules = talk.account.pair.altname, talk.account.rules
    bid, ask = talk.account.touch()
    price = (bid * D("0.9")).quantize(rules.tick_size)
    volume = max(rules.min_volume, 2 * rules.min_cost / price).quantize(D("1E-8"))
    talk.place(pair=name, price=f"{price:f}", volume=f"{volume:f}")
    talk.place(pair=name, price=f"{ask:f}", volume=f"{volume:f}", oflags="")
    balance = talk.look("book")["balances"]
    assert {asset: D(amount) for asset, amount in talk.ok("Balance").items()} == {
        asset: D(amount) for asset, amount in balance.items()
    }


def test_a_recording_is_walked_from_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "XBTUSD_1.csv"
    file.write_text("1700000000,100.0,1.0\n1700000060,90.0,1.0\n1700000120,110.0,1.0\n")
    talk = Talk(standing=False, replay=file, speed=60.0)
    txid = talk.place(price="95", volume="0.4")
    talk.now += 1.0
    assert talk.row(txid)["closetm"] == pytest.approx(START + 1)
    talk.now += 100
    assert talk.look("book")["price"] == "110"
    rows = talk.public("OHLC", pair="XBTUSD")["result"]["XXBTZUSD"]
    assert len(rows) == 720
    assert (min(D(row[3]) for row in rows), max(D(row[2]) for row in rows)) == (90, 110)
