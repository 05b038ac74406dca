"""Positions, inventory and slot accounts: each rule on figures small enough to check by hand."""

from decimal import Decimal as D

import pytest

from gridbot.core.positions import FillPart, NoPosition, Positions

M = D("0.21")


def part(
    trade: str, role: str, executed: str, cost: str, fee: str = "0", **more: object
) -> FillPart:
    fields: dict[str, object] = {
        "slot_id": 1,
        "trade_id": trade,
        "cycle": 1,
        "role": role,
        "side": "buy" if (trade == "B") is (role == "entry") else "sell",
        "client_id": "gbtest1",
        "txid": "",
        "order_local_id": 1,
        "price": D(cost) / D(executed),
        "executed": D(executed),
        "cost": D(cost),
        "fee": D(fee),
        "fee_asset_is_base": False,
        "executed_total": D(executed),
        "last": False,
    }
    return FillPart(**{**fields, **more})  # type: ignore[arg-type]


def leave(positions: Positions, fill: FillPart) -> D:
    return positions.leave(fill, positions.closing_volume(fill))


@pytest.fixture
def positions() -> Positions:
    return Positions(cost_decimals=5, volume_decimals=2)


def cash(fills: list[FillPart]) -> tuple[D, D]:
    """What these executions do to the balances: the plainest bookkeeping there is."""
    quote = base = D(0)
    for fill in fills:
        sign = 1 if fill.side == "buy" else -1
        quote -= sign * fill.cost + (D(0) if fill.fee_asset_is_base else fill.fee)
        base += sign * fill.executed - (fill.fee if fill.fee_asset_is_base else D(0))
    return quote, base


def test_a_partial_close_takes_cost_and_fee_in_proportion_and_the_last_takes_the_rest(
    positions: Positions,
) -> None:
    positions.enter(part("B", "entry", "3", "1.00000", "0.01000"))
    first = leave(positions, part("B", "exit", "1", "0.50000"))
    assert first == D("0.5") - D("0.33333") - D("0.00333")
    second = leave(positions, part("B", "exit", "2", "1.00000"))
    assert second == D("1") - D("0.66667") - D("0.00667")
    assert positions.of_slot(1) == []


def test_shares_are_rounded_half_to_even(positions: Positions) -> None:
    positions.enter(part("B", "entry", "2", "0.00001"))
    assert leave(positions, part("B", "exit", "1", "0")) == 0
    positions.enter(part("A", "entry", "2", "0.00003"))
    assert leave(positions, part("A", "exit", "1", "0")) == D("0.00002")


def test_a_short_earns_when_bought_back_lower_and_pays_both_fees(positions: Positions) -> None:
    positions.enter(part("A", "entry", "50", "10", "0.04"))
    assert leave(positions, part("A", "exit", "50", "9.9", "0.0396")) == D("0.0204")
    account = positions.account(1)
    assert (account.realised, account.fees, account.round_trips) == (D("0.0204"), D("0.0796"), 1)


def test_a_round_trip_counts_once_however_many_parts_it_took(positions: Positions) -> None:
    positions.enter(part("B", "entry", "3", "1"))
    for expected in (0, 0, 1):
        leave(positions, part("B", "exit", "1", "0.4"))
        assert positions.account(1).round_trips == expected == positions.total.round_trips


def test_recoveries_are_part_of_realised_and_shown_apart(positions: Positions) -> None:
    positions.enter(part("B", "entry", "3", "1"))
    leave(positions, part("B", "exit", "1", "0.5"))
    leave(positions, part("B", "recovery", "2", "0.9"))
    account = positions.account(1)
    assert account.recovery == D("0.9") - D("0.66667")
    assert account.realised == D("0.4")


def test_a_purchase_with_its_fee_in_base_opens_what_is_left_and_its_dust_is_inventory(
    positions: Positions,
) -> None:
    fill = part("B", "entry", "50", "10", "0.206", fee_asset_is_base=True)
    positions.enter(fill)
    position = positions.position(1, "B", 1)
    assert position is not None
    assert (position.volume, position.cost, position.fee) == (D("49.79"), D("9.958"), D("0.0412"))
    assert (positions.inventory_units, positions.inventory_cost) == (D("0.004"), D("0.0008"))
    assert positions.gap(*cash([fill]), M) == 0


def test_the_volume_floor_holds_for_the_whole_order_not_for_each_part(positions: Positions) -> None:
    parts = [part("B", "entry", "10", "2", "0.045", fee_asset_is_base=True) for _ in range(4)]
    for fill in parts:
        positions.enter(fill)
    whole = Positions(5, 2)
    whole.enter(part("B", "entry", "40", "8", "0.180", fee_asset_is_base=True))
    assert positions.open == whole.open
    assert positions.inventory_units == whole.inventory_units == 0


def test_profit_is_net_of_both_fees_when_they_are_charged_in_base(positions: Positions) -> None:
    bought = part("B", "entry", "50", "10", "0.2", fee_asset_is_base=True)
    sold = part("B", "exit", "49.8", "10.458", "0.2", fee_asset_is_base=True)
    positions.enter(bought)
    fee_out = D("0.042")  # 0.2 at 0.21
    assert leave(positions, sold) == D("10.458") - D("9.96") - D("0.04") - fee_out
    assert positions.total.fees == D("0.04") + fee_out
    assert (positions.inventory_units, positions.inventory_cost) == (D("-0.2"), -fee_out)
    assert positions.gap(*cash([bought, sold]), M) == 0


def test_a_short_with_base_fees_closes_in_full_and_inventory_pays(positions: Positions) -> None:
    sold = part("A", "entry", "50", "10", "0.2", fee_asset_is_base=True)
    bought = part("A", "exit", "50", "9", "0.2", fee_asset_is_base=True)
    positions.enter(sold)
    assert positions.inventory_units == D("-0.2")
    assert leave(positions, bought) == D("10") - D("0.04") - D("9") - D("0.036")
    assert positions.of_slot(1) == []
    assert (positions.inventory_units, positions.inventory_cost) == (D("-0.4"), D("-0.076"))
    assert positions.gap(*cash([sold, bought]), M) == 0


@pytest.mark.parametrize(("trade", "units"), [("B", D("0.01")), ("A", D("-0.01"))])
def test_a_full_exit_a_sliver_short_leaves_the_sliver_to_inventory_at_its_own_price(
    positions: Positions, trade: str, units: D
) -> None:
    fills = [part(trade, "entry", "50", "10"), part(trade, "exit", "49.99", "9.998", last=True)]
    positions.enter(fills[0])
    assert leave(positions, fills[1]) == 0
    assert positions.of_slot(1) == []
    assert (positions.inventory_units, positions.inventory_cost) == (units, units * D("0.2"))
    assert positions.gap(*cash(fills), M) == 0


@pytest.mark.parametrize("trade", ["A", "B"])
def test_what_an_exit_executes_beyond_its_position_comes_from_inventory(
    positions: Positions, trade: str
) -> None:
    fills = [part(trade, "entry", "50", "10"), part(trade, "exit", "60", "12.6", "0.05")]
    positions.enter(fills[0])
    gain = D("0.5") if trade == "B" else D("-0.5")
    assert leave(positions, fills[1]) == gain - D("0.05")
    assert abs(positions.inventory_units) == 10
    assert positions.gap(*cash(fills), M) == 0


def test_a_late_exit_of_a_position_already_written_off_only_costs_its_fee(
    positions: Positions,
) -> None:
    fills = [part("B", "entry", "50", "10"), part("B", "exit", "50", "10.5", "0.04")]
    positions.enter(fills[0])
    assert positions.write_off(1, "B", 1, D("0.19")) == (50, D("-0.5"))
    assert leave(positions, fills[1]) == D("-0.04")
    assert (positions.inventory_units, positions.inventory_cost) == (0, D("-1"))
    assert positions.gap(*cash(fills), M) == 0


@pytest.mark.parametrize(("trade", "result"), [("B", D("-0.54")), ("A", D("0.46"))])
def test_a_write_off_books_the_market_value_less_entry_fee_and_stocks_the_volume(
    positions: Positions, trade: str, result: D
) -> None:
    fill = part(trade, "entry", "50", "10", "0.04")
    positions.enter(fill)
    assert positions.position(1, trade, 1).unrealised(D("0.19")) == result  # type: ignore[union-attr]
    assert positions.write_off(1, trade, 1, D("0.19")) == (50, result)
    assert positions.account(1).write_offs == positions.total.write_offs == result
    assert positions.account(1).round_trips == 0
    sign = 1 if trade == "B" else -1
    assert (positions.inventory_units, positions.inventory_cost) == (50 * sign, D("9.5") * sign)
    assert positions.gap(*cash([fill]), M) == 0


def test_a_lot_joins_the_next_position_of_its_trade_only(positions: Positions) -> None:
    positions.enter(part("B", "entry", "1", "0.2", "0.001", cycle=1))
    positions.enter(part("A", "entry", "1", "0.2", "0.001", cycle=1))
    for trade in "AB":
        positions.set_aside(1, trade, 1)
    positions.enter(part("B", "entry", "49", "9.9", "0.04", cycle=2))
    positions.enter(part("B", "entry", "7", "1.4", cycle=3))
    assert positions.join_lot(1, "B", 2) == (50, D("0.202"), D("0.041"))
    assert [(p.trade_id, p.cycle, p.volume) for p in positions.of_slot(1)] == [
        ("A", 1, 1),
        ("B", 2, 50),
        ("B", 3, 7),
    ]
    assert positions.join_lot(1, "B", 2) == (50, D("0.202"), D("0.041"))


def test_lots_are_open_positions_until_they_join(positions: Positions) -> None:
    fill = part("B", "entry", "1", "0.2", "0.001")
    positions.enter(fill)
    positions.set_aside(1, "B", 1)
    assert [p.volume for p in positions.of_slot(1)] == [1]
    assert positions.unrealised(1, M) == D("0.009")
    assert positions.gap(*cash([fill]), M) == 0


def test_closing_or_joining_what_is_not_open_names_the_position(positions: Positions) -> None:
    for act in (positions.set_aside, positions.join_lot):
        with pytest.raises(NoPosition, match="slot 4 trade A cycle 9"):
            act(4, "A", 9)
    with pytest.raises(NoPosition, match="slot 4 trade A cycle 9"):
        positions.write_off(4, "A", 9, M)


def test_moving_base_in_makes_no_result_at_the_price_it_came_at(positions: Positions) -> None:
    positions.opening(D("100"), D("10"), D("0.2"))
    positions.external(D("0"), D("5"), D("0.3"))
    assert positions.gap(D("100"), D("15"), M) == 0
    assert positions.inventory_units * D("0.2") - positions.inventory_cost == D("-0.5")


def test_the_gap_shows_money_that_nothing_explains(positions: Positions) -> None:
    fill = part("B", "entry", "50", "10", "0.04")
    positions.enter(fill)
    quote, base = cash([fill])
    assert positions.gap(quote + D("0.00001"), base, M) == D("0.00001")
    assert positions.gap(quote, base - 1, M) == -M
