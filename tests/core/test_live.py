"""What only a real exchange does: its own ledger rows, late answers, strangers, changed rules."""

from decimal import Decimal as D
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.core import account
from gridbot.core.account import drift_badge
from gridbot.core.brain_state import brain_to_state, load_brain
from gridbot.core.orders import LiveOrder, client_id_text, newest_number
from gridbot.core.placing import free_funds
from gridbot.core.records import Balance, Changes, OrderReport, Outcome, OwnLedgerRow, Verb
from gridbot.core.verify import verify_lines
from tests.simulation.harness import DOGE, settings_with
from tests.simulation.talk import PRICE, Talk

ONE = {"initial_slots": 1, "initial_sticky_ratio": D(1)}
LIVE = settings_with(slots=ONE, run={"mode": "live"})
CYCLE = settings_with(
    slots={"initial_slots": 1, "initial_sticky_ratio": D(0)},
    grid={"profit_pct": D(3)},
    run={"mode": "live"},
)


class Books(Talk):
    """Remembers every ledger line, to have them verified."""

    def __init__(self, settings: Any = LIVE) -> None:
        self.lines: list[bytes] = []
        super().__init__(settings)

    def step(self, later: float = 30.0, price: D | None = PRICE, **seen: Any) -> Any:
        out = super().step(later, price, **seen)
        self.lines += out.lines
        return out

    def types(self) -> list[str]:
        return [msgspec.json.decode(line)["entry_type"] for line in self.out.lines]

    def check(self) -> None:
        report = verify_lines(self.lines, self.brain.books.head)
        assert report.ok, report.problems
        assert self.brain.books.identity_gap(D("0.07")) == 0


def row(number: int, kind: str, asset: str, amount: str, **more: Any) -> OwnLedgerRow:
    fee = D(more.pop("fee", "0"))
    return OwnLedgerRow(f"L{number}", 2e6, kind, asset, D(amount), fee, D(0), **more)


def trade_rows(number: int, report: OrderReport, quote_decimals: int = 4) -> list[OwnLedgerRow]:
    """The exchange's two rows of all that ``report`` executed, in quote with fewer decimals."""
    sign, unit = (1 if report.side == "buy" else -1), D(1).scaleb(-quote_decimals)
    ids = {"ref_id": f"T{number}", "client_id": report.client_id}
    cost, fee = (-sign * report.cost).quantize(unit), str(report.fee.quantize(unit))
    return [
        row(2 * number, "trade", DOGE.base, str(sign * report.executed), **ids),
        row(2 * number + 1, "trade", DOGE.quote, str(cost), fee=fee, **ids),
    ]


def balances(talk: Talk, quote: str = "0", base: str = "0", **more: D) -> dict[str, Balance]:
    """What the exchange holds: the books plus these amounts."""
    books = talk.brain.books
    return {
        DOGE.quote: Balance(books.quote + D(quote), **more),
        DOGE.base: Balance(books.base + D(base), **more),
    }


# --- own rows -------------------------------------------------------------------------------


def test_deposits_and_earning_become_transfers_once() -> None:
    talk = Books()
    quote, base = talk.brain.books.quote, talk.brain.books.base
    rows = (
        row(1, "deposit", DOGE.quote, "50", fee="1"),
        row(2, "earn", DOGE.base, "-300"),
        row(3, "deposit", "EUR", "7"),
        row(4, "transfer", DOGE.base, "0"),
    )
    talk.step(own_rows=rows)
    assert talk.types() == ["TRANSFER", "TRANSFER"]
    assert (talk.brain.books.quote - quote, talk.brain.books.base - base) == (D(49), D(-300))
    assert [event.data["amount"] for event in talk.events("transfer")] == ["49", "-300"]
    talk.step(own_rows=rows)
    assert talk.types() == []
    talk.brain = load_brain(msgspec.json.decode(msgspec.json.encode(brain_to_state(talk.brain))))
    talk.step(own_rows=rows, outcomes=())
    assert talk.types() == []
    talk.check()


def test_a_row_older_than_the_opening_is_part_of_it() -> None:
    talk = Books()
    talk.step(own_rows=(replace(row(1, "deposit", DOGE.quote, "50"), at=999_999.0),))
    assert talk.types() == []


def test_a_trade_that_is_not_ours_is_one_entry() -> None:
    talk = Books()
    quote, base = talk.brain.books.quote, talk.brain.books.base
    mine, other = {"ref_id": "T1"}, {"ref_id": "T2", "client_id": "gbevil7"}
    talk.step(
        own_rows=(
            row(1, "trade", DOGE.base, "100", **mine),
            row(2, "trade", DOGE.quote, "-10", fee="0.04", **mine),
            row(3, "trade", DOGE.base, "-40", **other),
            row(4, "trade", "BTC", "0.0001", **other),
        )
    )
    assert talk.types() == ["EXTERNAL_TRADE", "EXTERNAL_TRADE"]
    assert (talk.brain.books.quote - quote, talk.brain.books.base - base) == (D("-10.04"), D(60))
    assert len(talk.events("external_trade")) == 2
    talk.check()


@pytest.mark.parametrize("rows_first", [False, True])
def test_our_own_trades_are_rounded_as_the_exchange_books_them(rows_first: bool) -> None:
    talk = Books()
    talk.step()
    part = talk.report(talk.order("B", "entry"), D("60.12345678"))
    rows = trade_rows(1, part)
    exact = [sum((one.amount - one.fee for one in rows if one.asset == asset), D(0))
             for asset in (DOGE.quote, DOGE.base)]  # fmt: skip
    before = talk.brain.books.quote, talk.brain.books.base
    steps: list[dict[str, Any]] = [{"reports": (part,)}, {"own_rows": tuple(rows)}]
    for seen in reversed(steps) if rows_first else steps:
        talk.step(**seen)
    assert "ROUNDING" in talk.types()
    assert "EXTERNAL_TRADE" not in talk.types()
    after = talk.brain.books.quote, talk.brain.books.base
    assert [now - was for now, was in zip(after, before, strict=True)] == exact
    assert not talk.brain.unsettled
    talk.step(own_rows=tuple(rows))
    assert talk.types() == []
    talk.check()


def test_rounding_waits_for_both_legs_of_every_trade() -> None:
    talk = Books()
    talk.step()
    order = talk.order("B", "entry")
    first, whole = talk.report(order, D("60.00000001")), talk.filled(order)
    second = replace(whole, executed=whole.executed - first.executed, cost=whole.cost - first.cost)
    rows = [*trade_rows(1, first), *trade_rows(2, second)]
    talk.step(reports=(whole,))
    for number, one in enumerate(rows):
        talk.step(own_rows=(one,))
        assert ("ROUNDING" in talk.types()) is (number == 3)
    talk.check()


def test_the_fee_that_was_really_taken_counts() -> None:
    talk = Books()
    talk.step()
    bought = talk.filled(talk.order("B", "entry"))
    ids = {"ref_id": "T1", "client_id": bought.client_id}
    base = talk.brain.books.base
    talk.step(reports=(bought,))
    talk.step(
        own_rows=(
            row(1, "trade", DOGE.base, str(bought.executed), fee="0.4", **ids),
            row(2, "trade", DOGE.quote, str(-bought.cost), **ids),
        )
    )
    assert talk.types() == ["ROUNDING", "ROUNDING"]
    assert talk.brain.books.base - base == bought.executed - D("0.4")
    talk.check()


def test_nothing_is_kept_for_rows_outside_live_mode() -> None:
    talk = Talk(replace(LIVE, run=replace(LIVE.run, mode="paper")))
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    assert not talk.brain.unsettled


# --- balances -------------------------------------------------------------------------------


def test_drift_is_told_when_it_exceeds_what_unconfirmed_legs_may_round() -> None:
    talk = Books(replace(LIVE, run=replace(LIVE.run, mode="sim")))
    talk.step(balances=balances(talk, "0.000000001"))
    assert talk.types() == ["RECONCILIATION_DRIFT"]
    talk = Books()
    talk.step()
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    talk.step(balances=balances(talk, "0.00000001"))  # two legs, half of 1e-8 each
    assert talk.types() == []
    talk.step(balances=balances(talk, "0.000000011"))
    assert talk.types() == ["RECONCILIATION_DRIFT"]
    assert talk.events("drift_changed")
    talk.step(balances=balances(talk))
    assert talk.types() == ["RECONCILIATION_DRIFT"]


def test_the_badge_knows_three_colours() -> None:
    tolerance = D("0.0001")
    assert drift_badge(D("-0.0001"), D(100), tolerance) == "green"
    assert drift_badge(D("0.00011"), D(100), tolerance) == "amber"
    assert drift_badge(D("-1"), D(100), tolerance) == "red"
    assert drift_badge(D("0.1"), D(0), D(0)) == "red"
    assert drift_badge(D(0), D(0), D(0)) == "green"


def test_what_orders_of_others_hold_is_not_ours_to_spend() -> None:
    talk = Books()
    free = free_funds(talk.brain)
    talk.step(balances=balances(talk, foreign=D(3), elsewhere=D(9)))
    held = free_funds(talk.brain)
    assert (free.quote - held.quote, free.base - held.base) == (D(3), D(3))
    assert talk.brain.balances[DOGE.base].elsewhere == 9


def test_orders_of_others_take_room_on_the_pair() -> None:
    talk = Talk(settings_with(slots=ONE, capacity={"open_orders_per_pair_limit": 20}))
    headroom = talk.brain.work_bank.headroom
    talk.step(changes=Changes(foreign_orders=4))
    assert talk.brain.work_bank.headroom == headroom - 4
    assert talk.brain.has_room
    talk.step(changes=Changes(foreign_orders=13))
    assert not talk.brain.has_room


# --- changes --------------------------------------------------------------------------------


def test_a_wide_spread_holds_entries_back() -> None:
    talk = Talk(LIVE)
    talk.step()
    talk.step(changes=Changes(spread_wide=True))
    bought = talk.filled(talk.order("B", "entry"))
    talk.step(reports=(bought, talk.report(talk.order("A", "entry"), state="cancelled",
                                           reason="post only")))  # fmt: skip
    assert [one.role for one in talk.out.places] == ["exit"]
    assert {wait.reason for wait in talk.brain.slots[1].waiting.values()} == {"spread"}
    assert len(talk.step(changes=Changes(spread_wide=False)).places) == 1


def test_trouble_is_told_when_it_begins_and_ends() -> None:
    talk = Talk(LIVE)
    talk.step(changes=Changes(trouble="timeout"))
    assert [event.data for event in talk.events("exchange_error")] == [{"text": "timeout"}]
    talk.step(changes=Changes(trouble="timeout"))
    assert not talk.events("exchange_error")
    talk.step(changes=Changes(trouble=""))
    assert talk.events("exchange_back")


def test_a_halt_has_one_of_few_reasons() -> None:
    talk = Talk(LIVE)
    with pytest.raises(AssertionError, match="no reason to halt"):
        talk.brain.halt("a bad mood")
    talk.step(changes=Changes(halt="credentials refused: EAPI:Invalid key"))
    assert talk.brain.run_state == "halted"
    assert talk.brain.state_reason == "credentials refused: EAPI:Invalid key"


def test_a_pair_that_takes_no_orders_makes_entries_wait() -> None:
    talk = Talk(LIVE)
    talk.step()
    rules = replace(DOGE, status="cancel_only")
    talk.step(
        changes=Changes(instrument=rules),
        reports=(talk.report(talk.order("A", "entry"), state="cancelled", reason="post only"),),
    )
    assert talk.brain.slots[1].waiting["A"].reason == "exchange"
    assert len(talk.step(changes=Changes(instrument=DOGE)).places) == 1


# --- strangers and numbers ------------------------------------------------------------------


def test_an_open_order_with_our_prefix_that_we_do_not_know_is_cancelled() -> None:
    talk = Talk(LIVE)
    talk.step(changes=Changes(order_number=10_000))
    ghost = replace(talk.report(talk.order("A", "entry")), client_id="gbtestzz")
    talk.step(reports=(ghost, ghost))
    assert talk.out.cancels == ["gbtestzz"]
    assert [event.data["reason"] for event in talk.events("cancelled")] == ["not in our books"]
    never_given = ("gbevilzz", "gbtestzzzz", "gbtest0123", "gbtest", "gbtestZZ", "gbtest-1")
    others = [replace(ghost, client_id=name) for name in never_given]
    for other in (replace(ghost, state="cancelled"), *others):
        assert not talk.step(reports=(other,)).cancels


def test_a_stale_listing_of_a_finished_order_means_nothing() -> None:
    talk = Talk(LIVE)
    talk.step()
    sell, buy = talk.order("A", "entry"), talk.order("B", "entry")
    refused = talk.report(sell, state="cancelled", reason="post only")
    for order, ended in ((sell, refused), (buy, talk.filled(buy))):
        talk.step(reports=(ended,))
        stale = talk.step(reports=(talk.report(order),))
        assert not stale.cancels
        assert not talk.events("cancelled")


def test_an_entry_declared_absent_that_shows_up_is_cancelled() -> None:
    talk = Talk(LIVE)
    lost = talk.order("B", "entry")
    talk.step(outcomes=talk.answers("unknown"))
    for _ in range(2):
        gone = tuple(Outcome(one, "place", "absent") for one in talk.brain.registry.unknown)
        talk.step(outcomes=gone)
    assert lost.client_id not in talk.brain.registry.by_client
    assert talk.step(reports=(talk.report(lost),)).cancels == [lost.client_id]


def test_an_exit_declared_absent_that_shows_up_is_taken_back() -> None:
    talk = Talk(LIVE)
    talk.step()
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    leave = talk.order("B", "exit")
    talk.step(outcomes=talk.answers("unknown"))
    talk.command("halt")  # it may not be placed again meanwhile
    for _ in range(2):
        talk.step(outcomes=(Outcome(leave.client_id, "place", "absent"),))
    assert leave.client_id in talk.brain.registry.wanted
    talk.step(reports=(talk.report(leave),))
    assert talk.brain.registry.by_client[leave.client_id].standing == "open"
    assert not talk.command("resume").cancels


@given(st.lists(st.integers(1, 10**9), max_size=5))
def test_the_newest_number_is_found_among_ids_of_all_kinds(numbers: list[int]) -> None:
    ids = [client_id_text("test", number) for number in numbers]
    others = ["", "gb", "gbtest", "gbotherzzzzzzzz", "gbtest-1", "gbtest0zzzz", "hand-made"]
    assert newest_number([*ids, *others], "test") == max(numbers, default=None)


def test_a_restored_backup_goes_on_above_the_newest_number() -> None:
    talk = Talk(LIVE)
    talk.step(changes=Changes(order_number=1000))
    assert talk.brain.next_client_id() == client_id_text("test", 1001)
    talk.brain.adopt_counter(7)
    assert talk.brain.next_client_id() == client_id_text("test", 1002)


# --- parts of an entry ----------------------------------------------------------------------


def test_an_entry_that_waits_too_long_for_its_rest_is_cut() -> None:
    talk = Talk(LIVE)
    talk.step()
    order = talk.order("B", "entry")
    talk.step(reports=(talk.report(order, D(60)),))
    first_part_at = talk.at
    assert talk.brain.bounds().at == first_part_at + 900
    talk.step(later=500.0, reports=(talk.report(order, D(61)),))
    assert not talk.step(later=399.0).cancels
    assert talk.step(later=1.0).cancels == [order.client_id]
    talk.step(reports=(talk.report(order, D(61), state="cancelled", reason="User requested"),))
    (leave,) = [one for one in talk.out.places if one.trade_id == "B"]
    assert leave.role == "exit"
    assert leave.volume == 61


def test_a_paused_entry_is_cut_after_the_pause() -> None:
    talk = Talk(LIVE)
    talk.step()
    order = talk.order("B", "entry")
    talk.step(reports=(talk.report(order, D(60)),))
    assert not talk.command("pause", later=2000.0).cancels
    assert talk.brain.bounds().at > talk.at
    assert talk.command("resume").cancels == [order.client_id]


# --- new rules ------------------------------------------------------------------------------


def test_an_exit_below_a_raised_minimum_is_left_alone() -> None:
    talk = Talk(CYCLE)
    talk.step()
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    leave = talk.order("B", "exit")
    talk.step()
    rules = replace(DOGE, min_volume=leave.volume + 1)
    talk.step(changes=Changes(instrument=rules))
    for _ in range(80):
        talk.step(later=60.0, price=D("0.0995"))
        assert leave.client_id not in talk.out.cancels
        assert leave.client_id not in [one.client_id for one in talk.out.amends]
        assert talk.brain.bounds().at > talk.at
    assert talk.brain.registry.by_client[leave.client_id].standing == "open"
    talk.step(changes=Changes(instrument=DOGE), price=D("0.0995"))
    talk.step(price=D("0.0995"))
    assert talk.out.cancels == [leave.client_id]


def test_new_orders_follow_the_new_grid_and_old_ones_are_not_moved_for_it() -> None:
    talk = Talk(LIVE)
    talk.step()
    rules = replace(DOGE, price_decimals=4, tick_size=D("0.0002"), volume_decimals=0)
    talk.step(changes=Changes(instrument=rules))
    for _ in range(5):
        talk.step()
        assert not talk.out.amends
        assert not talk.out.cancels
    bought = talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    (leave,) = (one for one in bought.places if one.role == "exit")
    assert leave.price % D("0.0002") == 0
    assert leave.volume % 1 == 0


# --- answers to writes ----------------------------------------------------------------------


def later(client_id: str, verb: Verb, until: float) -> Outcome:
    return Outcome(client_id, verb, "later", code="EAPI:Rate limit exceeded", until=until)


def test_an_entry_put_off_is_not_refused() -> None:
    talk = Talk(LIVE)
    until = talk.at + 100
    talk.step(outcomes=tuple(later(one.client_id, "place", until) for one in talk.out.places))
    waits = talk.brain.slots[1].waiting
    assert {(wait.reason, wait.until) for wait in waits.values()} == {("exchange", until)}
    assert talk.brain.counters.orders_refused == 0
    assert talk.brain.bounds().at == until
    assert not talk.step(later=69.0).places
    assert len(talk.step(later=1.0).places) == 2


def test_an_exit_put_off_keeps_its_id_and_goes_out_in_time() -> None:
    talk = Talk(LIVE)
    talk.step()
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    leave, until = talk.order("B", "exit"), talk.at + 100
    talk.step(outcomes=(later(leave.client_id, "place", until),))
    live = talk.brain.registry.by_client[leave.client_id]
    assert (live.standing, live.refusals, live.retry_at) == ("wanted", 0, until)
    assert not talk.step(later=69.0).places
    assert [one.client_id for one in talk.step(later=1.0).places] == [leave.client_id]


def test_a_move_put_off_is_made_later() -> None:
    talk = Talk(LIVE)
    talk.step()
    high = PRICE * D("1.02")
    (moved,) = talk.step(price=high).amends
    was, until = talk.resting[moved.client_id].price, talk.at + 100
    live = talk.brain.registry.by_client[moved.client_id]
    talk.step(price=high, outcomes=(later(moved.client_id, "amend", until),))
    assert (live.standing, live.price, live.amending) == ("open", was, False)
    assert talk.brain.counters.orders_refused == 0
    assert not talk.step(later=69.0, price=high).amends
    moves = [one.client_id for _ in range(2) for one in talk.step(later=1.0, price=high).amends]
    assert moved.client_id in moves


def test_a_reprice_put_off_does_not_use_up_a_reprice() -> None:
    talk = Talk(CYCLE)
    talk.step()
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    while not talk.out.amends:
        talk.step()
    (moved,) = talk.out.amends
    until = talk.at + 100
    talk.step(outcomes=(later(moved.client_id, "amend", until),))
    live = talk.brain.registry.by_client[moved.client_id]
    assert live.reprices == 0
    assert talk.brain.bounds().at == until
    assert [one.client_id for one in talk.step(later=70.0).amends] == [moved.client_id]
    assert live.reprices == 1


def test_a_close_put_off_gives_no_reprice_back() -> None:
    talk = Talk(settings_with(slots={"initial_slots": 1, "initial_sticky_ratio": D(1)}))
    talk.step()
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    talk.step()
    client_id = talk.command("close", force=True).amends[0].client_id
    talk.step(outcomes=(Outcome(client_id, "amend", "later"),))
    assert talk.brain.registry.by_client[client_id].reprices == 0


def test_a_cancel_put_off_is_sent_again() -> None:
    talk = Talk(LIVE)
    talk.step()
    until = talk.at + 100
    cancels = talk.command("drain").cancels
    talk.step(later=0.0, outcomes=tuple(later(one, "cancel", until) for one in cancels))
    assert talk.brain.bounds().at == until
    assert not talk.step(later=69.0).cancels
    assert sorted(talk.step(later=1.0).cancels) == sorted(cancels)
    assert not talk.step().cancels


def test_a_refused_cancel_is_settled_by_the_report_or_sent_again() -> None:
    talk = Talk(LIVE)
    talk.step()
    gone, kept = sorted(talk.command("drain").cancels)
    refused = [
        Outcome(gone, "cancel", "refused", code="EOrder:Unknown order"),
        Outcome(kept, "cancel", "refused", code="EGeneral:Internal error"),
    ]
    talk.step(outcomes=tuple(refused))
    assert talk.step(later=30.0).cancels == [kept]


def test_an_unknown_order_is_looked_for_at_exact_times() -> None:
    talk = Talk(LIVE)
    ids = [one.client_id for one in talk.out.places]
    deadline = talk.at + 10
    talk.step(
        later=2.0, outcomes=tuple(Outcome(one, "place", "unknown", until=deadline) for one in ids)
    )
    assert talk.brain.bounds().at == deadline + 5
    absent = tuple(Outcome(one, "place", "absent") for one in ids)
    talk.step(later=13.0, outcomes=absent)
    assert talk.brain.bounds().at == deadline + 65
    assert not talk.out.places
    assert len(talk.step(later=60.0, outcomes=absent).places) == 2


def test_an_order_that_was_there_is_never_absent() -> None:
    talk = Talk(LIVE)
    talk.step()
    cancels = talk.command("drain").cancels
    talk.step(outcomes=tuple(Outcome(one, "cancel", "unknown") for one in cancels))
    for _ in range(4):
        talk.step(outcomes=tuple(Outcome(one, "place", "absent") for one in cancels))
    assert sorted(talk.brain.registry.unknown) == sorted(cancels)


# --- fees and slivers -----------------------------------------------------------------------


@pytest.mark.parametrize("assets", ["BQ", "QB", "BB", "QQ", "BKQ", "KKK"])
@pytest.mark.parametrize("trade", ["A", "B"])
def test_fees_in_any_mix_of_assets_leave_the_books_exact(assets: str, trade: str) -> None:
    talk = Books()
    talk.step()
    books = talk.brain.books
    quote, base = books.quote, books.base
    names = {"B": DOGE.base, "Q": DOGE.quote, "K": "KFEE"}
    for role in ("entry", "exit"):
        order, fees = talk.order(trade, role), dict.fromkeys("BQK", D(0))
        for number, asset in enumerate(assets, 1):
            last = number == len(assets)
            done = order.volume if last else round(order.volume * number / len(assets), 8)
            fees[asset] += D("0.31") if asset != "Q" else D("0.0031")
            better = order.price * (D("0.999") if order.side == "buy" else D("1.001"))
            talk.step(
                reports=(
                    talk.report(
                        order, done, state="closed" if last else "open", fee=fees[asset],
                        cost=round(better * done, 9), fee_asset=names[asset],
                    ),
                )
            )  # fmt: skip
        talk.check()
        sign = 1 if order.side == "buy" else -1
        quote -= sign * round(better * order.volume, 9) + fees["Q"]
        base += sign * order.volume - fees["B"]
    assert [books.quote, books.base] == [quote, base]
    assert not books.positions.of_slot(1)
    assert books.totals.round_trips == 1


@pytest.mark.parametrize("told_at_once", [True, False])
@pytest.mark.parametrize("trade", ["A", "B"])
def test_an_exit_a_sliver_short_closes_its_position(trade: str, told_at_once: bool) -> None:
    talk = Books()
    talk.step()
    talk.step(reports=(talk.filled(talk.order(trade, "entry")),))
    leave = talk.order(trade, "exit")
    short = leave.volume - D("0.00000001")
    talk.step()
    if not told_at_once:
        talk.step(reports=(talk.report(leave, short),))
    talk.step(reports=(talk.report(leave, short, state="closed"),))
    assert not talk.brain.books.positions.of_slot(1)
    talk.check()


def test_a_recovery_below_a_raised_minimum_is_left_alone_and_wakes_nobody() -> None:
    ticket = replace(CYCLE, cycle=replace(CYCLE.cycle, recovery_ttl_sec=600.0))
    talk = Talk(ticket)
    talk.step()
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    leave = talk.order("B", "exit")
    for _ in range(3):
        talk.step(later=600.0, price=D("0.0995"))
    (recovery,) = talk.brain.slots[1].state.recovery_orders
    talk.step(changes=Changes(instrument=replace(DOGE, min_volume=recovery.volume + 1)))
    for _ in range(5):
        talk.step(later=600.0)
        assert leave.client_id not in talk.out.cancels
        assert talk.brain.bounds().at > talk.at
    talk.step(changes=Changes(instrument=DOGE))
    assert leave.client_id in talk.step().cancels


def test_settled_orders_and_rows_are_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account, "UNSETTLED_MAX", 3)
    monkeypatch.setattr(account, "ROWS_REMEMBERED", 5)
    talk = Books()
    talk.step()
    for number in range(6):
        talk.step(reports=(talk.filled(talk.order("B", "entry")),))
        talk.step(reports=(talk.filled(talk.order("B", "exit")),))
        talk.step(own_rows=(row(number, "deposit", DOGE.quote, "1"),))
        talk.step()
    assert len(talk.brain.unsettled) == 3
    assert talk.brain.rows_seen == [f"L{number}" for number in range(1, 6)]


HIGH = PRICE * D("1.02")


def moving() -> tuple[Talk, LiveOrder, D]:
    """An entry on its way to another price, and the price it rested at."""
    talk = Talk(LIVE)
    talk.step()
    was = {one.client_id: one.price for one in talk.resting.values()}
    (moved,) = talk.step(price=HIGH).amends
    return talk, talk.brain.registry.by_client[moved.client_id], was[moved.client_id]


def test_a_lost_amend_counts_as_not_done_at_the_second_look_only() -> None:
    talk, live, was = moving()
    deadline = talk.at + 10
    lost = Outcome(live.client_id, "amend", "unknown", until=deadline)
    old = replace(talk.report(talk.resting[live.client_id]), price=was)
    talk.step(later=2.0, price=HIGH, outcomes=(lost,))
    for later, standing in ((4.0, "unknown"), (11.0, "unknown"), (30.0, "unknown"), (31.0, "open")):
        talk.step(later=later, price=HIGH, reports=(old,))
        assert (live.standing, bool(talk.out.amends)) == (standing, standing == "open"), later


def test_a_lost_amend_that_shows_late_was_done() -> None:
    talk, live, was = moving()
    lost = Outcome(live.client_id, "amend", "unknown", until=talk.at + 10)
    order = talk.resting[live.client_id]
    talk.step(later=2.0, price=HIGH, outcomes=(lost,))
    talk.step(later=15.0, price=HIGH, reports=(replace(talk.report(order), price=was),))
    now = replace(talk.report(order), price=live.price, volume=live.volume)
    talk.step(later=30.0, price=HIGH, reports=(now,))
    assert (live.standing, live.amending, live.price != was) == ("open", False, True)


def test_a_cancel_that_cancelled_nothing_is_sent_again() -> None:
    talk = Talk(LIVE)
    talk.step()
    cancels = talk.command("drain").cancels
    done = tuple(Outcome(one, "cancel", "accepted") for one in cancels)
    assert not talk.step(later=2.0, outcomes=done).cancels
    assert talk.brain.bounds().at <= talk.at + 60
    assert sorted(talk.step(later=61.0).cancels) == sorted(cancels)
