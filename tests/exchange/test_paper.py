"""Paper orders: filled only by quotes that reach them, and bit for bit alike after a restart."""

import asyncio
from decimal import Decimal as D

import pytest

from gridbot.core.records import OrderRequest, Outcome, Side
from gridbot.core.settings import Settings
from gridbot.engine.venues import PaperVenue, load_paper, plan_venue
from gridbot.exchange.instruments import find_instrument


def place(venue: PaperVenue, client_id: str, side: Side, price: str) -> Outcome:
    trade = "A" if side == "sell" else "B"
    request = OrderRequest(client_id, 1, trade, "entry", side, D(price), D("0.0001"))
    return asyncio.run(venue.place([request]))[0]


@pytest.fixture
def venue() -> PaperVenue:
    venue = PaperVenue(plan_venue(Settings(), find_instrument("BTC/USD"), D("60000")), 1000.0)
    venue.observe(1010.0, D("59999.9"), D("60001.0"))
    return venue


def test_an_order_between_bid_and_ask_rests_until_the_other_side_comes_to_it(
    venue: PaperVenue,
) -> None:
    assert place(venue, "b", "buy", "60000.9").kind == "accepted"
    assert place(venue, "s", "sell", "60001.0").kind == "accepted"
    venue.observe(1020.0, D("60000.9"), D("60001.0"))
    assert venue.orders_open == 2
    venue.observe(1030.0, D("60000.8"), D("60000.9"))
    assert [one.client_id for one in asyncio.run(venue.changes(""))[0]] == ["b"]
    venue.observe(1040.0, D("60001.5"), D("60001.6"))
    done = {one.client_id: one for one in asyncio.run(venue.changes(""))[0]}
    assert done["b"].closed_at == 1030.0 and done["b"].cost == D("6.00009")
    assert done["s"].closed_at == 1040.0 and done["s"].state == "closed"


def test_what_would_take_is_refused_on_either_side(venue: PaperVenue) -> None:
    assert place(venue, "b", "buy", "60001.0").code == "EOrder:Post only order"
    assert place(venue, "s", "sell", "59999.9").code == "EOrder:Post only order"
    assert place(venue, "c", "sell", "60000.0").kind == "accepted"


def test_a_restored_venue_goes_on_alike(venue: PaperVenue) -> None:
    place(venue, "b", "buy", "59999.9")
    other = load_paper(venue.saved())
    for one in (venue, other):
        one.observe(1050.0, D("59999.0"), D("59999.5"))
    assert other.saved() == venue.saved()
    assert venue.orders_open == 0
