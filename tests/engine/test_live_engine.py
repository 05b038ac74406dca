"""A live engine on the emulator: what its polls cost, and how its books follow Kraken's."""

import asyncio
import shutil
from decimal import Decimal as D
from pathlib import Path

import msgspec
import pytest

from gridbot.core.account import drift_badge
from gridbot.core.records import Command
from gridbot.engine.boot import RestoredBackup
from gridbot.engine.disk import Disk
from gridbot.exchange.emulator.account import Wish
from tests.simulation.kraken_life import Life
from tests.simulation.test_kraken_faults import wrong


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


def test_an_engine_on_the_smallest_tier_comes_back_at_once(tmp_path: Path) -> None:
    life = Life(tmp_path / "data", 20, tier="starter")

    async def lives() -> None:
        for number in range(3):
            await life.begin(Disk())
            assert (life.engine.brain.seq > 2) == (number > 0)
            for _ in range(20):
                await life.poll()
            assert life.engine.trouble == ""
            life.kill()

    asyncio.run(lives())


def forget(tmp_path: Path, life: Life) -> None:
    """Put yesterday's copy of the directory in the place of today's."""
    life.kill()
    shutil.rmtree(life.path)
    shutil.copytree(tmp_path / "copy", life.path)


def test_an_adopted_old_copy_cancels_what_it_forgot_and_doubles_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path / "data", 6)

    async def lives() -> None:
        await life.begin()
        for _ in range(20):
            await life.poll()
        life.engine.store.close()
        shutil.copytree(life.path, tmp_path / "copy")
        await life.begin()
        account, entries = life.emulator.account, dict(life.engine.brain.registry.by_client)
        account.stand_at(account.market.price)
        for placed in account.open_now()[:3]:
            account.fill_now(placed)
        for _ in range(20):
            await life.poll()
        forgotten = life.engine.brain.registry.by_client.keys() - entries.keys()
        forget(tmp_path, life)
        with pytest.raises(RestoredBackup, match="old copy"):
            await life.begin()
        await life.begin(adopt=True)
        for _ in range(20):
            await life.poll()
        brain = life.engine.brain
        resting = {one.wish.cl_ord_id for one in account.open_now()}
        assert len(forgotten) >= 3 and not forgotten & resting
        assert brain.run_state == "halted" and "old copy" in brain.state_reason
        exits = [one for one in brain.registry.wanted.values() if one.role == "exit"]
        assert len(exits) == 3, "they wait for the operator"
        life.engine.commands.append(Command("r", life.now, "test", "resume"))
        for _ in range(20):
            await life.poll()
        assert wrong(life) == []

    asyncio.run(lives())


def test_an_old_copy_is_known_when_many_other_orders_were_done_since(tmp_path: Path) -> None:
    life = Life(tmp_path / "data", 4)

    async def lives() -> None:
        await life.begin()
        for _ in range(10):
            await life.poll()
        life.engine.store.close()
        shutil.copytree(life.path, tmp_path / "copy")
        await life.begin()
        life.engine.commands.append(Command("a", life.now, "test", "add"))
        for _ in range(4):
            await life.poll()
        life.engine.commands.append(Command("d", life.now, "test", "drain"))
        for _ in range(4):
            await life.poll()
        account = life.emulator.account
        for _ in range(60):  # somebody else's, after all of ours
            life.now += 60
            account.end(account.add(Wish("buy", D(1), D(1000), ["fciq"]), owner=True))
        life.now += 2 * 86_400
        forget(tmp_path, life)
        with pytest.raises(RestoredBackup, match="old copy"):
            await life.begin()

    asyncio.run(lives())
