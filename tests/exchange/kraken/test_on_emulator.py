"""The adapter against the emulator: two readings of Kraken's reference must agree."""

from typing import Any

import httpx
import msgspec
import pytest

from gridbot.core.records import AmendRequest, OrderRequest
from gridbot.exchange.kraken.account import KrakenExchange
from gridbot.exchange.kraken.private import PrivateKraken
from gridbot.exchange.kraken.public import PublicKraken
from gridbot.exchange.kraken.signing import Credentials
from gridbot.exchange.protocol import ExchangeError, Fatal, RateLimited

from .tiny_kraken import D, live, run

app = pytest.importorskip("gridbot.exchange.emulator.app", reason="there is no emulator yet")
config = pytest.importorskip("gridbot.exchange.emulator.config")
START = 1_790_000_000.0
TOO_LONG = {"lockout", "delayed-reply", "permission-denied"}  # nothing else would be seen


class World:
    """An emulator and our adapter on one clock that is set by hand."""

    def __init__(self, tier: Any = "pro", **faults: float) -> None:
        self.now = START
        made = app.create_app(config.EmulatorConfig(tier=tier, faults=faults), self.clock)
        transport = httpx.ASGITransport(made)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://emulator")
        self.public = PublicKraken("http://emulator", self.clock, transport)
        pair = Credentials(app.API_KEY, app.API_SECRET)
        self.private = PrivateKraken(self.public, pair, tier, None)

    def clock(self) -> float:
        return self.now

    async def open(self) -> KrakenExchange:
        rules = await self.public.instrument("XBTUSD")
        return KrakenExchange(self.public, self.private, rules, "gbtest")

    async def truth(self) -> dict[str, Any]:
        return dict((await self.client.get("/emulator/book")).json())

    async def act(self, what: str, **body: Any) -> None:
        answer = await self.client.post(f"/emulator/{what}", content=msgspec.json.encode(body))
        assert answer.status_code == 200, answer.text

    def buy(self, number: int, price: Any, role: Any = "entry") -> OrderRequest:
        volume = D("0.001")
        name = f"gbtest{number}"
        return OrderRequest(name, 1, "A", role, "buy", price, volume, deadline=self.now + 10)


def test_an_order_lives_from_placing_to_its_row_in_the_ledger() -> None:
    async def life() -> None:
        world = World()
        exchange = await world.open()
        price = (await exchange.quote()).bid
        low = price - price % 100 - 2000
        placed = await exchange.place([world.buy(n, low - n) for n in range(3)])
        assert [one.kind for one in placed] == ["accepted"] * 3
        world.now += 20
        moved = AmendRequest("gbtest1", low + 5, D("0.002"), world.now + 10)
        assert [one.kind for one in await exchange.amend([moved])] == ["accepted"]
        assert [one.kind for one in await exchange.cancel(["gbtest2"])] == ["accepted"]
        await world.act("fill", cl_ord_id="gbtest0", share="0.5")
        await world.act("order", pair="XBTUSD", type="buy", ordertype="limit", volume="0.01",
                        price=str(low))  # fmt: skip
        world.now += 20
        ids = {one.client_id: one.exchange_id for one in placed}
        known = [live(n, exchange_id=ids[f"gbtest{n}"]) for n in range(3)]
        reports, _ = await exchange.changes("", lambda: known)
        found = {one.client_id: one for one in reports}
        assert found["gbtest0"].executed == D("0.0005") and found["gbtest0"].state == "open"
        assert found["gbtest2"].state == "cancelled" and set(found) == {"gbtest0", "gbtest2"}
        assert exchange.foreign_orders == 1
        mine = {one.client_id: one for one in (await exchange.open_orders()).reports}
        assert mine["gbtest1"].price == low + 5 and mine["gbtest1"].volume == D("0.002")
        rows, after = await exchange.own_ledger(f"{START:.4f}")
        assert {(one.kind, one.client_id, one.asset) for one in rows} == {
            ("trade", "gbtest0", "USD"), ("trade", "gbtest0", "BTC"),
        }  # fmt: skip
        assert (await exchange.own_ledger(after))[0] == []
        world.now += 30
        trades, _ = await exchange.executions("")
        assert [(one.client_id, one.volume) for one in trades] == [("gbtest0", D("0.0005"))]
        balances, truth = await exchange.balances(), await world.truth()
        assert {f"{balances['USD'].total:f}", f"{balances['BTC'].total:f}"} == set(
            truth["balances"].values()
        )
        assert balances["USD"].foreign == D("0.01") * low
        assert (await exchange.fees()).maker_pct == D("0.40")
        assert "withdraw-funds" not in (await world.private.key_info()).permissions

    run(life())


def test_a_placing_whose_answer_was_lost_is_found_by_its_client_id() -> None:
    async def lost() -> None:
        world = World()
        exchange = await world.open()
        price = (await exchange.quote()).bid
        order = world.buy(1, price - price % 100 - 2000)
        assert (await exchange.place([order]))[0].kind == "accepted"
        again = (await exchange.place([order]))[0]  # as if it had not been heard
        found = (await exchange.find(["gbtest1"], world.now))[0]
        assert found is not None and again.kind == "accepted"
        assert again.exchange_id == found.exchange_id
        assert await exchange.find(["gbtest9"], world.now) == []
        await exchange.cancel(["gbtest1"])
        world.now += 5
        found = (await exchange.find(["gbtest1"], world.now - 60))[0]
        assert found is not None and found.state == "cancelled"

    run(lost())


@pytest.mark.parametrize("tier", ["starter", "intermediate", "pro"])
def test_in_a_hurry_the_counters_here_stop_us_before_those_of_the_exchange_do(tier: str) -> None:
    async def hurry() -> list[str]:
        world, said = World(tier), list[str]()
        exchange = await world.open()
        price = (await exchange.quote()).bid
        low = price - price % 100 - 2000
        for turn in range(40):
            world.now += 1.0
            answers = await exchange.place([world.buy(turn, low - turn, "exit")])
            for back in range(3):
                to = low - turn - D("0.1") * back
                move = AmendRequest(f"gbtest{turn - back}", to, D("0.001"), world.now + 10)
                answers += await exchange.amend([move])
            said += [one.code for one in answers]
            for read in (exchange.changes, exchange.own_ledger, exchange.executions):
                try:
                    await read("")
                except RateLimited as error:
                    said.append(str(error))
        book = await world.truth()
        assert len(book["accepted"]) > 20
        return said

    said = run(hurry())
    assert "denied here" in said and "held back" in str(said)
    assert not [one for one in said if "imit exceeded" in one]


@pytest.mark.parametrize("seed", range(3))
def test_under_all_faults_reads_raise_what_they_may_and_every_write_has_an_outcome(
    seed: int,
) -> None:
    async def storm() -> None:
        world = World("pro")
        exchange = await world.open()
        price = (await exchange.quote()).bid
        low = price - price % 100 - 2000
        faults = {*(await world.client.get("/emulator/faults")).json()} - TOO_LONG
        rates = dict.fromkeys(sorted(faults), 0.04)
        await world.act("faults", **rates)
        answers, said, good = [], list[str](), 0
        for turn in range(80):
            world.now += 20.0 + seed
            try:
                answers += await exchange.place([world.buy(2 * turn + n, low) for n in range(2)])
                move = AmendRequest(f"gbtest{turn}", low - 1, D("0.001"), world.now + 10)
                answers += await exchange.amend([move])
                answers += await exchange.cancel([f"gbtest{turn}", f"gbtest{turn + 1}"])
            except Fatal:
                continue
            known = [
                live(0, exchange_id=one.exchange_id) for one in answers[-5:] if one.exchange_id
            ]
            for read in (exchange.changes("", lambda known=known: known), exchange.balances(),
                         exchange.own_ledger(""), exchange.find([f"gbtest{turn}"], START),
                         exchange.quote(), exchange.instrument()):  # fmt: skip
                try:
                    await read
                    good += 1
                except ExchangeError as error:
                    said.append(str(error))
        assert {one.kind for one in answers} >= {"accepted", "refused", "later", "unknown"}
        assert good > 100 and not any("\n" in one for one in said)

    run(storm())
