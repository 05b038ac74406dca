"""The command as a process, and other people's clients trading on it over real HTTP."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from gridbot.exchange.kraken.signing import sign

COMMAND = [sys.executable, "-m", "gridbot", "emulator"]


def start(*options: str) -> tuple[subprocess.Popen[str], list[str]]:
    process = subprocess.Popen([*COMMAND, *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(3)]
    return process, [lines[0].split()[-1], *(line.split(": ")[1] for line in lines[1:])]


def signed(client: httpx.Client, served: list[str], name: str, **more: str) -> httpx.Response:
    path, nonce = f"/0/private/{name}", str(time.time_ns() // 10**6)
    body = urlencode({"nonce": nonce} | more)
    headers = {"API-Key": served[1], "API-Sign": sign(path, nonce, body, served[2]),
               "Content-Type": "application/x-www-form-urlencoded"}  # fmt: skip
    return client.post(path, content=body, headers=headers)


def refused(*options: str) -> str:
    done = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    return done.stderr


@pytest.fixture(scope="module")
def served() -> Iterator[list[str]]:
    process, access = start("--tier", "pro", "--balance", "ZUSD=5000")
    yield access
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0


def test_bad_options_end_in_one_line_and_exit_code_2() -> None:
    assert "there is no fault 'nonsense'" in refused("--fault", "nonsense=0.1")
    assert "'2' is not a number from 0 to 1" in refused("--fault", "html=2")
    assert "--port" in refused("--port", "99999")
    assert "--speed" in refused("--speed", "nan")
    assert "'ZUSD=-1'" in refused("--balance", "ZUSD=-1")
    assert "did you mean BTC/USD" in refused("--pair", "BTC/USB")


def test_ctrl_c_exits_0_and_the_faults_are_listed() -> None:
    process, _ = start("--speed", "1200")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 0
    listed = subprocess.run([*COMMAND, "--fault", "list"], capture_output=True, text=True)
    assert listed.returncode == 0 and "reply-lost-after" in listed.stdout


def test_a_lost_reply_breaks_the_connection_or_is_the_edges(served: list[str]) -> None:
    seen = set()
    with httpx.Client(base_url=served[0]) as client:
        client.post("/emulator/faults", json={"reply-lost-before": 1})
        while len(seen) < 2:  # drawn evenly
            try:
                seen.add(signed(client, served, "AddOrder", pair="XBTUSD").status_code)
            except httpx.RemoteProtocolError:
                seen.add(0)
        client.post("/emulator/faults", json={})
    assert seen == {0, 502}


def test_ccxt_trades_on_it(served: list[str]) -> None:
    ccxt = pytest.importorskip("ccxt", reason="ccxt is not installed (dev extra)")
    url, key, secret = served
    kraken: Any = ccxt.kraken({"apiKey": key, "secret": secret, "enableRateLimit": False})
    kraken.urls["api"] |= {"public": url, "private": url}
    markets = kraken.load_markets()
    assert markets["BTC/USD"]["active"] and not markets["DOGE/USD"]["active"]
    last = kraken.fetch_ticker("BTC/USD")["last"]
    assert kraken.fetch_balance()["USD"]["free"] == 5000
    low = round(last * 0.9, 1)
    extra = {"postOnly": True, "clientOrderId": "ccxt1"}
    placed = kraken.create_order("BTC/USD", "limit", "buy", 0.001, low, extra)
    kraken.edit_order(placed["id"], "BTC/USD", "limit", "buy", 0.002, low - 10)
    (resting,) = kraken.fetch_open_orders("BTC/USD")
    figures = [resting[name] for name in ("id", "amount", "price", "clientOrderId", "status")]
    assert figures == [placed["id"], 0.002, low - 10, "ccxt1", "open"]
    kraken.cancel_order(placed["id"], "BTC/USD")
    with pytest.raises(ccxt.OrderNotFound):
        kraken.cancel_order(placed["id"], "BTC/USD")
    with pytest.raises(ccxt.InsufficientFunds):
        kraken.create_order("BTC/USD", "limit", "buy", 1, low)
    bought = kraken.create_order("BTC/USD", "market", "buy", 0.001)
    closed = {order["id"]: order for order in kraken.fetch_closed_orders("BTC/USD")}
    assert closed[placed["id"]]["status"] == "canceled"
    assert closed[bought["id"]]["filled"] == 0.001
    (trade,) = kraken.fetch_my_trades("BTC/USD")
    assert (trade["order"], trade["takerOrMaker"]) == (bought["id"], "taker")
    rows = [row for row in kraken.fetch_ledger() if row["referenceId"] == trade["id"]]
    assert len(rows) == 2
    after = {row["currency"]: row["after"] for row in rows}
    assert after["USD"] == kraken.fetch_balance()["USD"]["total"]
