"""A live engine on the emulator: what its polls cost, and how its books follow Kraken's."""

import asyncio
from decimal import Decimal as D
from pathlib import Path

import msgspec
import pytest

from gridbot.core.account import drift_badge
from tests.simulation.kraken_life import Life


def test_a_poll_is_one_private_call_however_many_slots_there_are(tmp_path: Path) -> None:
    async def calls_of(slots: int) -> list[int]:
        life = Life(tmp_path / str(slots), slots)
        await life.begin()
        for _ in range(4):  # until all is placed and compared
            await life.poll()
        life.emulator.account.stand_at(life.emulator.account.market.price)
        made = []
        for _ in range(20):
            before = life.emulator.log["private"]
            await life.poll()
            made.append(life.emulator.log["private"] - before)
        return made

    few, many = asyncio.run(calls_of(2)), asyncio.run(calls_of(80))
    assert sorted(few)[10] == sorted(many)[10] == 1
    assert sum(many) <= 45  # with balances and the exchange's own books every five minutes


@pytest.mark.parametrize("digits", ["asset", "cost"])
def test_the_books_follow_kraken_to_the_last_digit(tmp_path: Path, digits: str) -> None:
    life = Life(tmp_path / "data", 12, ledger_digits=digits)

    async def live() -> None:
        await life.begin()
        brain = life.engine.brain
        for number in range(900):
            await life.poll()
            for asset, drift in brain.drift.items():  # the specification's first criterion
                total = life.holds({"USD": "ZUSD", "BTC": "XXBT"}[asset])
                assert abs(drift) <= total / 1000, (number, asset, drift)
            if number == 300:
                life.emulator.account.book("deposit", "", "FTEST", "ZUSD", D("12.34"))
            if number == 400:
                life.emulator.account.book("withdrawal", "", "FTEST2", "XXBT", D("-0.001"))
        life.emulator.account.stand_at(life.emulator.account.market.price)
        for _ in range(30):  # until the exchange's own books have been looked into
            await life.poll()

    asyncio.run(live())
    brain, books = life.engine.brain, life.engine.brain.books
    assert brain.run_state == "running" and not brain.registry.unknown
    assert (books.quote, books.base) == (life.holds("ZUSD"), life.holds("XXBT"))
    assert not any(brain.drift.values())
    assert books.totals.round_trips > 20 and books.identity_gap(brain.price or D(0)) == 0
    assert (books.counts.get("ROUNDING", 0) > 50) == (digits == "asset")
    assert books.counts["TRANSFER"] == 2 and "EXTERNAL_TRADE" not in books.counts
    life.engine.store.close()
    with (tmp_path / "data" / "ledger.jsonl").open("rb") as lines:
        rows = [msgspec.json.decode(line) for line in lines]
    rounding = sum(
        (abs(D(one.get("credit_quote", "0")) - D(one.get("debit_quote", "0")))
         for one in rows if one["entry_type"] == "ROUNDING"), D(0),
    )  # fmt: skip
    assert rounding / books.totals.round_trips < D("0.01")  # the second criterion


@pytest.mark.parametrize(
    ("drift", "badge"), [("0.00005", "green"), ("0.0006", "amber"), ("0.5", "amber"), ("1", "red")]
)
def test_the_badge_tells_rounding_from_trouble(drift: str, badge: str) -> None:
    assert drift_badge(D(drift), D(100), D("0.0005")) == badge
