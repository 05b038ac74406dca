"""The promises to the operator, kept by whole engines on random markets, settings and commands."""

import asyncio
from dataclasses import dataclass, field
from decimal import Decimal as D
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridbot.core.brain import Brain
from gridbot.core.numbers import use_exact_arithmetic
from gridbot.core.placing import free_funds
from gridbot.core.settings import Settings
from gridbot.core.verify import verify_lines
from gridbot.engine.simulate import violations
from gridbot.exchange.simulated import SimulatedExchange
from tests.simulation.harness import settings_with, walk

CANDLES = 400
SLOT_COMMANDS = ("toggle", "remove", "pause_slot", "resume_slot")


@dataclass
class Case:
    """One random run."""

    settings: Settings
    commands: list[tuple[float, str, dict[str, Any]]] = field(default_factory=list)


@st.composite
def cases(draw: st.DrawFn, slots_max: int = 8) -> Case:
    choose = lambda *options: draw(st.sampled_from(options))  # noqa: E731
    slots = draw(st.integers(1, slots_max))
    sim: dict[str, Any] = {
        "seed": draw(st.integers(1, 10_000)),
        "volatility": choose(D("0.1"), D("0.3"), D("0.6")),
        "fee_asset": choose("quote", "base"),
    }
    if draw(st.booleans()):
        sim |= {
            "quote_balance": choose(D(0), D(15), D(45)),
            "base_balance": choose(D(0), D("0.0005")),
        }
    chosen = settings_with(
        slots={
            "initial_slots": slots,
            "initial_sticky_ratio": choose(D(0), D("0.5"), D(1)),
            "slot_profit_threshold": choose(D("0.05"), D(5)),
        },
        sim=sim,
        capacity={"open_orders_per_pair_limit": choose(225, 225, 9)},
        grid={"profit_pct": choose(D("1.0"), D("1.6")), "refresh_pct": choose(D("0.4"), D("1.0"))},
        cycle={
            "s1_orphan_after_sec": choose(300.0, 1350.0),
            "recovery_ttl_sec": choose(0.0, 0.0, 600.0),
            "write_off": choose(True, True, False),
            "max_inventory": choose(None, D(12)),
        },
        governor={
            "mode": choose("off", "suggest", "autonomous", "autonomous"),
            "window_sec": choose(1800.0, 7200.0),
            "min_sample": choose(1, 4),
            "orphan_pressure_high": choose(D("0.1"), D("0.2")),
            "orphan_pressure_crit": choose(D("0.25"), D("0.8")),
        },
        risk={
            "max_daily_loss": choose(D(0), D(0), D("0.1")),
            "max_drawdown": choose(D(0), D(0), D("1.5")),
            "lower_price": choose(D(0), D(0), D(59_000)),
            "upper_price": choose(D(0), D(0), D(61_000)),
        },
        losses={"reentry_base_cooldown_sec": choose(0.0, 0.0, 120.0)},
        funds={"quote": choose("all", D(30)), "base": "all"},
    )
    commands = draw(st.lists(st.tuples(st.floats(60, 60 * CANDLES), actions(slots)), max_size=9))
    soon = st.one_of(st.floats(60, 600), st.floats(60, 60 * CANDLES))  # slots may sleep since boot
    commands += draw(st.lists(st.tuples(soon, losses(slots)), max_size=3))
    return Case(chosen, [(at, *action) for at, action in commands])


def losses(slots: int) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """The exchange ends all orders of a slot in one step."""
    reasons = st.sampled_from(["Post only order", "User requested"])
    return st.tuples(st.integers(1, slots), reasons).map(
        lambda pair: ("lose", {"slot": pair[0], "reason": pair[1]})
    )


def actions(slots: int) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    plain = st.sampled_from(["pause", "resume", "drain", "cancel_all", "resume"])
    values = st.sampled_from(["0.4", "1.3"])
    targets = st.sampled_from(["oldest", "stale", "1", "1.A", "2.B", "1.1"])
    modes = st.sampled_from(["off", "suggest", "autonomous"])
    return st.one_of(
        plain.map(lambda action: (action, {})),
        st.sampled_from(["sticky", "cycle"]).map(lambda kind: ("add", {"kind": kind})),
        st.tuples(st.sampled_from(SLOT_COMMANDS), st.integers(1, slots)).map(
            lambda pair: (pair[0], {"slot": pair[1], "force": True})
        ),
        st.tuples(st.sampled_from(["close", "write_off"]), targets).map(
            lambda pair: (pair[0], {"target": pair[1], "age": "10m", "force": True})
        ),
        st.sampled_from([("approve", {}), ("dismiss", {"for": "30m"})]),
        modes.map(lambda mode: ("governor", {"mode": mode, "force": True})),
        st.tuples(st.sampled_from(["set_entry", "set_profit"]), values).map(
            lambda pair: (pair[0], {"value": pair[1]})
        ),
    )


def run_case(case: Case, deliver_all: bool = False, check: Any = lambda brain, venue: None) -> Any:
    use_exact_arithmetic()
    with TemporaryDirectory() as path:
        result = walk(Path(path), case.settings, CANDLES, case.commands, deliver_all, check)
        with (Path(path) / "ledger.jsonl").open("rb") as lines:
            verified = verify_lines(lines, result[1].books.head)
        assert verified.ok, verified.problems
        return result


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases())
def test_skipping_quiet_ticks_changes_nothing(case: Case) -> None:
    skipped, brain, _ = run_case(case)
    shown_all, every, _ = run_case(case, deliver_all=True)
    assert skipped == shown_all
    assert brain.counters.steps <= every.counters.steps


def check_promises(brain: Brain, venue: SimulatedExchange) -> None:
    """What must hold after every single step."""
    free = free_funds(brain)
    if brain.settings.funds.quote == "all":
        assert free.quote >= 0, f"claims exceed the quote there is: {free}"
    assert free.base >= 0, f"claims exceed the base there is: {free}"
    books, registry = brain.books, brain.registry
    assert (books.quote, books.base) == (venue.quote_total, venue.base_total)
    assert books.identity_gap(brain.price or D(0)) == 0
    assert registry.resting <= brain.work_bank.cap + len(brain.slots) * 2
    assert venue.orders_open <= brain.work_bank.limit
    assert not [slot.quarantined for slot in brain.slots.values() if slot.quarantined]
    places = [
        (one.slot_id, one.trade_id, one.role, one.cycle) for one in registry.by_client.values()
    ]
    assert len(set(places)) == len(places), "an order was doubled"
    claims = sum((one.claim_quote for one in registry.by_client.values()), D(0))
    assert claims == registry.claimed_quote
    for slot in brain.slots.values():
        idle = [trade for trade in slot.wanted_entries() if trade not in slot.waiting]
        assert not idle, f"slot {slot.id}: trade {idle} is idle without a reason"
        held = len(slot.state.orders) + len(slot.state.recovery_orders)
        assert held <= (4 if slot.kind == "cycle" else 2 + len(slot.state.recovery_orders))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(slots_max=12))
def test_the_promises_hold_after_every_step(case: Case) -> None:
    refused_exits: list[str] = []

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        check_promises(brain, venue)
        for event in brain.out.events:
            if event.kind == "refused" and event.data["role"] == "exit":
                refused_exits.append(str(event.data))

    _, brain, venue = run_case(case, check=check)
    assert not violations(brain)
    assert not [text for text in refused_exits if "funds" in text]
    resting = {report.client_id for report in asyncio.run(venue.open_orders()).reports}
    known = brain.registry.by_client.values()
    assert resting == {live.client_id for live in known if live.standing != "wanted"}
