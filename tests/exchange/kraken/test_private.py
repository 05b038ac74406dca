"""The key's half: nonces, counters, lockouts, histories in pages."""

import asyncio
import logging
import traceback
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridbot.exchange.kraken import answers
from gridbot.exchange.protocol import BadAnswer, Fatal, RateLimited, RetryLater

from .tiny_kraken import KEY, SECRET, START, Answer, TinyKraken, order, run


def test_parallel_calls_go_out_one_by_one_with_growing_nonces() -> None:
    async def parallel() -> None:
        private = kraken.private()
        await asyncio.gather(*(private.open_orders() for _ in range(10)))

    kraken = TinyKraken()  # it asserts that nonces grow
    run(parallel())
    assert len(set(kraken.nonces)) == 10
    assert kraken.nonces[0] == int(START * 1e9)


def test_the_nonce_survives_a_restart_with_a_clock_an_hour_behind(tmp_path: Path) -> None:
    kraken, file = TinyKraken(), tmp_path / "nonce"
    run(kraken.private(nonce=file).open_orders())
    kraken.now -= 3600
    run(kraken.private(nonce=file).open_orders())
    assert len(kraken.nonces) == 2


def test_the_nonce_file_is_rarely_written(tmp_path: Path) -> None:
    kraken, file = TinyKraken(), tmp_path / "nonce"
    private = kraken.private(nonce=file)
    run(private.open_orders())
    before = file.stat().st_mtime_ns, file.read_text()
    kraken.now += 4
    run(private.open_orders())
    assert (file.stat().st_mtime_ns, file.read_text()) == before
    assert int(before[1]) > kraken.nonces[-1]
    kraken.now += 2
    run(private.open_orders())
    assert int(file.read_text()) > kraken.nonces[-1]


def test_a_nonce_that_cannot_be_kept_stops_no_call(tmp_path: Path) -> None:
    run(TinyKraken().private(nonce=tmp_path / "not there" / "nonce").open_orders())


@pytest.mark.parametrize("content", ["", "torn", "\xff"])
def test_a_torn_nonce_file_is_no_obstacle(tmp_path: Path, content: str) -> None:
    (tmp_path / "nonce").write_text(content, "latin-1")
    run(TinyKraken().private(nonce=tmp_path / "nonce").open_orders())


def test_a_refused_nonce_is_raised_and_the_call_sent_once_more() -> None:
    kraken = TinyKraken()
    kraken.script["OpenOrders"] = ["EAPI:Invalid nonce"]
    assert run(kraken.private().open_orders()) == {}
    assert kraken.count("OpenOrders") == 2
    assert kraken.nonces[1] - kraken.nonces[0] > 59e9


def test_nonces_refused_again_and_again_end_in_retry_later_and_grow_faster() -> None:
    kraken = TinyKraken()
    kraken.answers["OpenOrders"] = "EAPI:Invalid nonce"
    private = kraken.private()
    for calls in (2, 4):
        with pytest.raises(RetryLater, match="nonce"):
            run(private.open_orders())
        assert kraken.count("OpenOrders") == calls
    steps = [b - a for a, b in zip(kraken.nonces, kraken.nonces[1:], strict=False)]
    assert steps[0] < steps[1] < steps[2]


def test_a_raised_nonce_is_remembered_by_the_next_process(tmp_path: Path) -> None:
    kraken, file = TinyKraken(), tmp_path / "nonce"
    kraken.answers["OpenOrders"] = "EAPI:Invalid nonce"
    for _ in range(2):
        with pytest.raises(RetryLater):
            run(kraken.private(nonce=file).open_orders())
    assert [(b - a) // 10**9 for a, b in pairwise(kraken.nonces)] == [60, 125, 60]


def test_restarts_do_not_carry_the_nonce_ahead_of_the_clock(tmp_path: Path) -> None:
    kraken, file = TinyKraken(), tmp_path / "nonce"
    for _ in range(20):
        run(kraken.private(nonce=file).open_orders())
        kraken.now += 6
    assert kraken.nonces[-1] == int((kraken.now - 6) * 1e9)


def test_reads_stop_before_kraken_would_refuse_and_leave_a_reserve() -> None:
    kraken = TinyKraken()
    private = kraken.private("starter")
    for _ in range(12):
        run(private.open_orders())
    with pytest.raises(RateLimited, match="OpenOrders") as caught:
        run(private.open_orders())
    assert kraken.count("OpenOrders") == 12
    assert caught.value.until == pytest.approx(START + 1 / 0.33)
    kraken.now = caught.value.until + 0.001
    run(private.open_orders())
    with pytest.raises(RateLimited):
        run(private.open_orders())


def test_a_refusal_for_speed_is_waited_out_by_the_counters_own_decay() -> None:
    kraken = TinyKraken()
    kraken.script["OpenOrders"] = ["EAPI:Rate limit exceeded"]
    private = kraken.private("intermediate")
    with pytest.raises(RateLimited) as caught:
        run(private.open_orders())
    until = caught.value.until
    assert until >= START + (1 + 3) / 0.5
    for kraken.now in (START + 1, START + 7):
        with pytest.raises(RateLimited):
            run(private.open_orders())
    assert kraken.count("OpenOrders") == 1
    kraken.now = until
    run(private.open_orders())


def test_throttled_until_a_time_on_krakens_clock_means_silence_until_then() -> None:
    kraken = TinyKraken()
    kraken.kraken_ahead = 100
    kraken.script["OpenOrders"] = [f"EService: Throttled: {int(START) + 130}"]
    private = kraken.private()
    run(private.public.server_time())
    with pytest.raises(RateLimited) as caught:
        run(private.open_orders())
    assert caught.value.until == pytest.approx(START + 30, abs=1)
    with pytest.raises(RateLimited):
        run(private.balances_ex())
    assert kraken.count("BalanceEx") == 0


def test_a_lockout_means_no_call_at_all_for_fifteen_minutes() -> None:
    kraken = TinyKraken()
    kraken.script["OpenOrders"] = ["EGeneral:Temporary lockout"]
    private = kraken.private()
    with pytest.raises(RateLimited, match="lockout") as caught:
        run(private.open_orders())
    assert caught.value.until == START + 900
    calls = len(kraken.calls)
    for kraken.now in (START + 1, START + 899):
        for work in (private.open_orders, private.key_info, private.public.system_status):
            with pytest.raises(RateLimited, match="lockout") as caught:
                run(work())
            assert caught.value.until == START + 900
    assert len(kraken.calls) == calls
    kraken.now = START + 900
    assert run(private.open_orders()) == {}


@pytest.mark.parametrize(
    "answer",
    ["EAPI:Invalid key", "EAPI:Invalid signature", "EGeneral:Permission denied",
     "EAPI:Invalid nonce", httpx.ReadTimeout(SECRET), httpx.ConnectError(KEY), {"open": []},
     httpx.Response(502, text="<html>"), "EGeneral:Temporary lockout"], ids=str,
)  # fmt: skip
def test_no_error_shows_the_key_or_the_secret(
    answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    kraken = TinyKraken()
    kraken.answers["OpenOrders"] = answer
    caplog.set_level(logging.DEBUG)
    private = kraken.private()
    with pytest.raises((Fatal, RetryLater, RateLimited, BadAnswer)) as caught:
        run(private.open_orders())
    text = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(vars(private))
    assert KEY not in text and SECRET not in text


def test_a_fatal_answer_says_what_to_do() -> None:
    kraken = TinyKraken()
    kraken.answers["OpenOrders"] = "EAPI:Invalid signature"
    with pytest.raises(Fatal, match=r"Invalid signature \(the API secret does not belong"):
        run(kraken.private().open_orders())


def test_fifty_one_orders_are_asked_for_in_two_calls() -> None:
    kraken = TinyKraken()
    kraken.orders = {f"O{number}": order(f"gb{number}") for number in range(51)}
    found = run(kraken.private().query_orders([*kraken.orders, "OGONE"]))
    assert set(found) == set(kraken.orders)
    assert kraken.count("QueryOrders") == 2


def test_one_unknown_id_that_spoils_the_whole_question_is_found_by_halving() -> None:
    kraken = TinyKraken()
    kraken.orders = {f"O{number}": order(f"gb{number}") for number in range(6)}
    kraken.answers["QueryOrders"] = lambda ask: (
        "EOrder:Invalid order" if "OBAD" in ask["txid"] else kraken._query(ask)
    )
    found = run(kraken.private().query_orders([*kraken.orders, "OBAD"]))
    assert set(found) == set(kraken.orders)


class History:
    """A ledger that is asked in pages, newest first."""

    def __init__(self, times: list[float]) -> None:
        self.times = times

    def __call__(self, ask: dict) -> Answer:  # type: ignore[type-arg]
        rows = [(at, number) for number, at in enumerate(self.times)
                if ask["start"] < at <= ask["end"]]  # fmt: skip
        rows.sort(reverse=True)
        page = rows[ask["ofs"] : ask["ofs"] + 50]
        row = {"refid": "R", "type": "deposit", "asset": "ZUSD", "amount": "1", "fee": "0",
               "balance": "1"}  # fmt: skip
        found = {f"L{number}": row | {"time": at} for at, number in page}
        return {"count": len(rows), "ledger": found}


async def read_all(kraken: TinyKraken, cursor: str, tier: str = "pro") -> tuple[list[str], str]:
    """All there is, with as many calls as that takes."""
    private, got = kraken.private(tier), []  # type: ignore[arg-type]
    while True:
        try:
            rows, cursor = await private.history("Ledgers", answers.LedgerPage, "ledger", cursor)
        except RateLimited as error:
            kraken.now = error.until + 0.001
            continue
        if not rows:
            return got, cursor
        got += rows


@pytest.mark.parametrize("rows", [0, 1, 49, 50, 51, 99, 100, 101, 523])
def test_every_row_of_a_history_is_read_once_and_oldest_first(rows: int) -> None:
    kraken = TinyKraken()
    kraken.answers["Ledgers"] = History([START - 86400 + 7.25 * n for n in range(rows)])
    got, cursor = run(read_all(kraken, "", "starter"))
    assert got == [f"L{n}" for n in range(rows)]
    assert run(read_all(kraken, cursor))[0] == []


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0, 500).map(lambda x: round(x, 3)), max_size=140), st.integers(0, 500))
def test_a_history_read_in_two_goes_has_all_rows_once(ages: list[float], cut: int) -> None:
    kraken, times = TinyKraken(), [START - age for age in ages]
    history = kraken.answers["Ledgers"] = History([])
    history.times = [at if at <= START - cut else START + 1e6 for at in times]
    first, cursor = run(read_all(kraken, f"{START - 1000:.4f}"))
    history.times = times
    second, _ = run(read_all(kraken, cursor))
    assert sorted(first + second) == sorted({f"L{n}" for n in range(len(times))})


def test_a_mere_time_as_cursor_is_exclusive_for_ever() -> None:
    kraken = TinyKraken()
    kraken.answers["Ledgers"] = history = History([START - 2, START - 1, START + 1])
    kraken.now = START + 1
    got, cursor = run(read_all(kraken, f"{START - 1:.4f}"))
    assert got == ["L2"]
    history.times.append(START + 1.5)
    kraken.now = START + 2
    assert run(read_all(kraken, cursor))[0] == ["L3"]


def test_a_row_that_appears_late_is_not_missed() -> None:
    kraken = TinyKraken()
    kraken.answers["Ledgers"] = history = History([START - 100, START - 5])
    got, cursor = run(read_all(kraken, ""))
    history.times.append(START - 50)
    assert got == ["L0", "L1"] and run(read_all(kraken, cursor))[0] == ["L2"]


def test_a_page_cut_short_is_an_error_and_loses_no_row() -> None:
    kraken = TinyKraken()
    history = History([START - 10, START - 9])
    short = history({"start": 0, "end": START, "ofs": 0})
    del short["ledger"]["L0"]
    kraken.answers["Ledgers"] = short
    with pytest.raises(BadAnswer, match="Ledgers: 1 rows of 2"):
        run(kraken.private().history("Ledgers", answers.LedgerPage, "ledger", ""))
