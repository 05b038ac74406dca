"""Real payloads become typed values; what is not as it should be is an error with a name."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gridbot.exchange.kraken import answers as a
from gridbot.exchange.kraken.answers import decode, key_info, report
from gridbot.exchange.protocol import BadAnswer

from .tiny_kraken import D, order

SAMPLES = Path(__file__).parents[4] / "shared/kraken/samples"
KINDS: dict[str, Any] = {
    "AddOrderBatch": a.BatchPlaced, "AddOrder": a.Placed, "AmendOrder": a.Amended,
    "AssetPairs": dict[str, a.PairRules], "Assets": dict[str, a.AssetNames],
    "BalanceEx": dict[str, a.Holding], "CancelOrder": a.Cancelled, "CancelOrderBatch": a.Cancelled,
    "ClosedOrders": a.ClosedOrders, "Depth": dict[str, a.Depth],
    "Ledgers": a.LedgerPage, "OHLC": dict[str, list[a.Figures] | int], "OpenOrders": a.OpenOrders,
    "QueryOrders": dict[str, a.Order], "QueryTrades": dict[str, a.Trade],
    "SystemStatus": a.SystemStatus, "Ticker": dict[str, a.Ticker], "Time": a.ServerTime,
    "TradeVolume": a.TradeVolume, "TradesHistory": a.TradePage,
}  # fmt: skip


def samples() -> list[Path]:
    found = [*SAMPLES.glob("rest_*.json"), *SAMPLES.glob("real_*.json")]
    return sorted(one for one in found if one.stem.split("_")[1] in KINDS)


def result_of(file: Path) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(json.loads(file.read_text())["result"]))


@pytest.mark.parametrize("file", samples() or [None], ids=lambda one: one.stem if one else "none")
def test_every_recorded_answer_is_understood(file: Path | None) -> None:
    if file is None:
        pytest.skip("no recorded payloads: ../shared/kraken/samples is not there")
    name = file.stem.split("_")[1]
    assert decode(result_of(file), KINDS[name], name)


@pytest.mark.parametrize("name", sorted(KINDS))
def test_an_answer_of_another_shape_names_its_endpoint(name: str) -> None:
    for content in (b"[]", b"7", b'"text"', b'{"x": [1, {"y": null}]}'):
        with pytest.raises(BadAnswer, match=f"^{name}: "):
            decode(msgspec.Raw(content), KINDS[name], name)


@pytest.mark.parametrize("figure", ["NaN", "Infinity", "1E+999999", "", "x", None, True, {}])
@pytest.mark.parametrize("field", ["vol", "vol_exec", "cost", "fee"])
def test_a_figure_that_is_no_number_is_never_skipped(field: str, figure: object) -> None:
    rows = {"open": {"O1": order("gb1"), "O2": order("gb2") | {field: figure}}}
    with pytest.raises(BadAnswer, match="OpenOrders"):
        decode(msgspec.Raw(msgspec.json.encode(rows)), a.OpenOrders, "OpenOrders")


@pytest.mark.parametrize("field", ["status", "opentm", "descr", "vol", "vol_exec", "cost", "fee"])
def test_a_missing_field_is_an_error(field: str) -> None:
    row = order("gb1")
    del row[field]
    with pytest.raises(BadAnswer, match=field):
        decode(msgspec.Raw(msgspec.json.encode({"O1": row})), dict[str, a.Order], "QueryOrders")


def test_figures_keep_every_digit_and_times_may_be_texts() -> None:
    row = order("gb1", vol="0.12345678901234", fee="0.00000001", opentm="1705260547.472")
    text = json.dumps({"O1": row})
    found = decode(msgspec.Raw(text.encode()), dict[str, a.Order], "QueryOrders")["O1"]
    assert (found.vol, found.fee) == (D("0.12345678901234"), D("0.00000001"))
    assert found.opentm == 1705260547.472
    bare = msgspec.Raw(text.replace('"0.00000001"', "7").encode())
    with pytest.raises(BadAnswer, match="fee is a number"):
        decode(bare, dict[str, a.Order], "QueryOrders")


@pytest.mark.parametrize(
    ("executed", "cost"), [("7", "0"), ("-0.001", "-60"), ("0.001", "200"), ("0.001", "20")]
)
def test_figures_of_ours_that_cannot_be_are_refused(executed: str, cost: str) -> None:
    row = order("gb1", vol="0.01", limit="60000", vol_exec=executed, cost=cost)
    with pytest.raises(BadAnswer, match="O1: "):
        a.check_figures("O1", msgspec.convert(row, a.Order, strict=False))


def test_a_report_tells_the_limit_and_not_the_average() -> None:
    row = order("gb1", status="canceled", vol_exec="0.004", cost="239.2", fee="0.9", closetm=7.5,
                price="59800.0", reason="User requested", trades=["T1", "T2"])  # fmt: skip
    found = report("O1", msgspec.convert(row, a.Order, strict=False), "gb1", "BTC", "USD")
    assert (found.price, found.executed, found.state) == (D("60000.0"), D("0.004"), "cancelled")
    assert (found.cost, found.fee, found.fee_asset) == (D("239.2"), D("0.9"), "USD")
    assert (found.closed_at, found.reason, found.trade_ids) == (7.5, "User requested", ("T1", "T2"))


def test_a_fee_taken_in_base_is_told_in_base_though_kraken_tells_it_in_quote() -> None:
    row = order("gb1", oflags="post,fcib", vol_exec="0.004", cost="240", fee="0.96")
    found = report("O1", msgspec.convert(row, a.Order, strict=False), "gb1", "BTC", "USD")
    assert (found.fee, found.fee_asset) == (D("0.000016"), "BTC")
    row = order("gb1", oflags="post,fcib")
    assert report("O1", msgspec.convert(row, a.Order, strict=False), "gb1", "BTC", "USD").fee == 0


def test_the_key_is_understood_in_both_spellings() -> None:
    snake = {"api_key_name": "bot", "nonce_window": "15", "valid_until": "0",
             "permissions": ["query-funds"], "ip_allowlist": []}  # fmt: skip
    camel = {"apiKeyName": "bot", "nonceWindow": 15, "validUntil": 0,
             "permissions": ["query-funds"], "ipAllowlist": []}  # fmt: skip
    assert key_info(snake) == key_info(camel)
    assert key_info(camel).nonce_window == 15
    with pytest.raises(BadAnswer, match="GetApiKeyInfo"):
        key_info({"apiKeyName": "bot"})
