"""Any spelling of a pair leads to the one pair it means."""

import pytest

from gridbot.exchange.instruments import UnknownPair
from gridbot.exchange.kraken.answers import AssetNames, PairNames
from gridbot.exchange.kraken.names import Names

ASSETS = {"XXBT": "XBT", "XXDG": "XDG", "XETH": "ETH", "ZUSD": "USD", "ZEUR": "EUR", "SOL": "SOL",
          "USDT": "USDT", "XXRP": "XRP", "XZEC": "ZEC", "ZRX": "ZRX", "XTZ": "XTZ"}  # fmt: skip
PAIRS = {
    "XXBTZUSD": ("XBT/USD", "XXBT", "ZUSD"), "XDGUSD": ("XDG/USD", "XXDG", "ZUSD"),
    "XETHZEUR": ("ETH/EUR", "XETH", "ZEUR"), "XETHXXBT": ("ETH/XBT", "XETH", "XXBT"),
    "SOLUSD": ("SOL/USD", "SOL", "ZUSD"), "XBTUSDT": ("XBT/USDT", "XXBT", "USDT"),
    "XXRPZUSD": ("XRP/USD", "XXRP", "ZUSD"), "XZECZUSD": ("ZEC/USD", "XZEC", "ZUSD"),
    "ZRXUSD": ("ZRX/USD", "ZRX", "ZUSD"), "XTZUSD": ("XTZ/USD", "XTZ", "ZUSD"),
}  # fmt: skip


def table(**more: PairNames) -> Names:
    pairs = {
        key: PairNames(altname=ws.replace("/", ""), wsname=ws, base=base, quote=quote)
        for key, (ws, base, quote) in PAIRS.items()
    }
    return Names({key: AssetNames(name) for key, name in ASSETS.items()}, pairs | more)


@pytest.mark.parametrize(
    ("pair", "spellings"),
    [("BTC/USD", "XBTUSD BTC/USD btc-usd XXBTZUSD btc_usd XBT/USD btcusd BTC:USD XBTZUSD XXBT/USD"),
     ("DOGE/USD", "XDGUSD XDOGEZUSD doge/usd DOGEUSD DOGE/USD XXDGZUSD xdg-usd DOGEZUSD"),
     ("ETH/EUR", "ETHEUR XETHZEUR eth/eur ETH-ZEUR XETHEUR"), ("ETH/BTC", "ETHXBT ETHBTC eth/btc"),
     ("SOL/USD", "SOLUSD SOLZUSD sol/usd"), ("BTC/USDT", "BTCUSDT XBT/USDT"),
     ("XRP/USD", "XRPUSD XXRPZUSD xrp/usd"), ("ZEC/USD", "ZECUSD XZECZUSD zec/usd"),
     ("ZRX/USD", "ZRXUSD zrx/usd"), ("XTZ/USD", "XTZUSD xtz/usd")],
)  # fmt: skip
def test_every_spelling_means_its_pair(pair: str, spellings: str) -> None:
    names = table()
    assert {names.resolve(one).pair for one in [*spellings.split(), f" {pair} ", pair]} == {pair}


def test_blanks_may_separate_the_assets() -> None:
    assert table().resolve("doge usd").key == "XDGUSD"


def test_an_unknown_pair_gets_the_nearest_suggestions() -> None:
    with pytest.raises(UnknownPair, match=r"'BTC/UDS'.*did you mean BTC/USD"):
        table().resolve("BTC/UDS")
    with pytest.raises(UnknownPair, match="QQQQ"):
        table().resolve("QQQQ")


def test_an_ambiguous_spelling_names_what_it_could_mean() -> None:
    twin = PairNames(altname="XBTUSD2", base="XXBT", quote="ZUSD", wsname="XBT/USD.2")
    with pytest.raises(UnknownPair, match="XBTUSD or XBTUSD2"):
        table(TWIN=twin).resolve("btc/zusd")


def test_an_online_pair_is_preferred_and_tokenized_assets_are_ignored() -> None:
    old = PairNames(altname="OLD", base="XXBT", quote="ZUSD", status="delisted")
    stock = PairNames(altname="SOLxUSD", base="SOL", quote="ZUSD", aclass_base="tokenized_asset")
    names = table(OLD=old, STOCK=stock)
    assert names.resolve("BTCZUSD").key == "XXBTZUSD"
    assert names.given("SOLxUSD") is None
    assert names.resolve("SOL/USD").altname == "SOLUSD"


def test_assets_have_their_modern_names() -> None:
    names = table()
    assert [names.asset(key) for key in ("XXBT", "XXDG", "ZUSD", "SOL", "NEW")] == [
        "BTC", "DOGE", "USD", "SOL", "NEW",
    ]  # fmt: skip
