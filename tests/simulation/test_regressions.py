"""What once went wrong: a brain fed step by step with the answers that brought it about."""

import errno
from decimal import Decimal as D
from pathlib import Path

import pytest
from msgspec.structs import replace

from gridbot.core.brain import Brain
from gridbot.core.records import Changes, Outcome
from gridbot.engine.disk import Disk
from gridbot.engine.runner import Runner
from gridbot.exchange.simulated import SimulatedExchange
from tests.simulation.harness import settings_with, walk
from tests.simulation.talk import Talk

ONE_STICKY = settings_with(slots={"initial_slots": 1, "initial_sticky_ratio": D(1)})
ONE_CYCLE = settings_with(
    slots={"initial_slots": 1, "initial_sticky_ratio": D(0)}, grid={"profit_pct": D(3)}
)


def test_an_unknown_order_is_not_cancelled_before_it_is_found() -> None:
    talk = Talk(ONE_STICKY)
    lost = talk.order("B", "entry")
    unknown = tuple(replace(one, kind="unknown") for one in talk.answers("accepted")[1:])
    talk.step(outcomes=(talk.answers("accepted")[0], *unknown))
    assert list(talk.brain.registry.unknown) == [lost.client_id]
    assert lost.client_id not in talk.command("drain").cancels
    found = talk.step(reports=(talk.report(lost),))
    assert found.cancels == [lost.client_id]


@pytest.mark.parametrize(
    ("why", "reasons"), [("Post only order", []), ("User requested", ["cancelled outside"] * 2)]
)
def test_a_slot_that_loses_both_entries_in_one_step_goes_on_or_says_why(
    why: str, reasons: list[str]
) -> None:
    talk = Talk(ONE_STICKY)
    talk.step()
    entries = (talk.order("A", "entry"), talk.order("B", "entry"))
    talk.step(reports=tuple(talk.report(one, state="cancelled", reason=why) for one in entries))
    assert [wait.reason for wait in talk.brain.slots[1].waiting.values()] == reasons
    assert len(talk.out.places) == 2 - len(reasons)


def test_a_cancelled_order_that_never_arrived_is_not_waited_for() -> None:
    talk = Talk(ONE_STICKY)
    talk.step(outcomes=talk.answers("unknown"))
    talk.command("drain")
    for _ in range(2):
        ids = list(talk.brain.registry.unknown)
        talk.step(outcomes=tuple(Outcome(one, "place", "absent") for one in ids))
    assert not talk.brain.registry.by_client
    assert (talk.brain.registry.claimed_quote, talk.brain.registry.claimed_base) == (0, 0)
    assert len(talk.command("resume").places) == 2


def test_a_slot_with_an_unknown_order_can_be_removed() -> None:
    talk = Talk(ONE_STICKY)
    entries = (talk.order("A", "entry"), talk.order("B", "entry"))
    talk.step(outcomes=talk.answers("unknown"))
    talk.command("remove", slot=1)
    found = talk.step(reports=tuple(map(talk.report, entries)))
    assert sorted(found.cancels) == sorted(one.client_id for one in entries)
    talk.step(reports=tuple(talk.report(one, state="cancelled") for one in entries))
    assert not talk.brain.slots


def test_removing_a_slot_marks_its_dust_to_market() -> None:
    talk = Talk(ONE_STICKY)
    talk.step()
    buy, sell = talk.order("B", "entry"), talk.order("A", "entry")
    talk.step(reports=(talk.report(buy, D(20), state="cancelled", reason="User requested"),))
    assert [one.aside for one in talk.brain.books.positions.of_slot(1)] == [True]
    again = talk.order("B", "entry")
    talk.command("remove", slot=1)
    talk.step(reports=tuple(talk.report(one, state="cancelled") for one in (sell, again)))
    assert not talk.brain.slots
    assert not talk.brain.books.positions.of_slot(1)
    assert talk.brain.books.identity_gap(D("0.2")) == 0


def test_a_lost_move_of_an_orphan_changes_no_other_order() -> None:
    talk = Talk(ONE_CYCLE)
    talk.step()
    other = talk.order("A", "entry")
    talk.step(reports=(talk.filled(talk.order("B", "entry")),))
    leave = talk.order("B", "exit")
    while not any(one.client_id == leave.client_id for one in talk.out.amends):
        talk.step()
    talk.step(outcomes=talk.answers("unknown"))
    talk.step(later=1400.0)
    (recovery,) = talk.brain.slots[1].state.recovery_orders
    assert recovery.recovery_id == talk.brain.registry.by_client[other.client_id].local_id == 1
    talk.step(reports=(talk.report(leave),))
    prices = {one.local_id: one.price for one in talk.brain.slots[1].state.orders}
    assert prices[1] == talk.brain.registry.by_client[other.client_id].price


def test_exits_are_tried_again_while_the_price_is_lost() -> None:
    talk = Talk(ONE_STICKY)
    talk.step()
    talk.step(reports=(talk.filled(talk.order("B", "entry")),), changes=Changes(price_lost=True))
    refused = talk.step(outcomes=talk.answers("refused"))
    assert not refused.places
    retry_at = talk.brain.bounds().at
    assert talk.at < retry_at <= talk.at + 30
    assert [one.role for one in talk.step(later=30.0, price=None).places] == ["exit"]


def test_only_one_of_several_new_slots_gets_the_alias() -> None:
    talk = Talk(ONE_STICKY)
    talk.command("add", count=3, alias="heron")
    assert [slot.alias for slot in talk.brain.slots.values()] == ["", "heron", "", ""]


def test_an_engine_boots_once() -> None:
    talk = Talk(ONE_STICKY)
    head = talk.brain.books.head
    assert [ack.ok for ack in talk.command("boot", quote="1", base="1").acks] == [False]
    assert talk.brain.books.head == head


def test_overlapping_pauses_of_slot_and_bot_count_once() -> None:
    for actions in (
        ["pause_slot", "pause", "resume_slot", "resume"],
        ["pause_slot", "pause", "resume", "resume_slot"],
        ["pause", "pause_slot", "resume_slot", "resume"],
        ["pause", "pause_slot", "resume", "resume_slot"],
    ):
        talk = Talk(ONE_CYCLE)
        talk.step()
        talk.step(reports=(talk.filled(talk.order("B", "entry")),))
        talk.step()
        before = talk.brain.slots[1].state.orders[-1].entry_filled_at
        for action in actions:
            talk.command(action, later=100.0, **({"slot": 1} if "slot" in action else {}))
        stood_still = talk.brain.slots[1].state.orders[-1].entry_filled_at - before
        assert stood_still == 300, actions


def test_no_more_recoveries_stand_than_are_allowed(tmp_path: Path) -> None:
    settings = settings_with(
        slots={"initial_slots": 3, "initial_sticky_ratio": D(0)},
        sim={"seed": 1, "volatility": D("0.1")},
        grid={"refresh_pct": D("0.4")},
        cycle={"s1_orphan_after_sec": 300.0, "write_off": False},
    )
    most: set[int] = set()

    def check(brain: Brain, venue: SimulatedExchange) -> None:
        most.update(len(slot.state.recovery_orders) for slot in brain.slots.values())

    walk(tmp_path, settings, 400, check=check)
    assert max(most) == settings.cycle.max_recovery_slots


class FullDisk(Disk):
    """A disk that takes nothing once it is full."""

    full = False

    def os_write(self, fd: int, data: memoryview) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().os_write(fd, data)


def test_a_command_that_meets_a_full_disk_is_answered(tmp_path: Path) -> None:
    disk = FullDisk()
    runner = Runner(
        replace(ONE_STICKY, sim=replace(ONE_STICKY.sim, speed=D(1))), tmp_path / "data", disk=disk
    )
    runner.start()
    try:
        disk.full = True
        ack = runner.send("pause").result(10)
        assert (ack.ok, ack.code) == (False, "E22")
        disk.full = False
        assert runner.send("resume").result(10).ok
    finally:
        runner.close()


def test_true_is_no_number_of_a_slot() -> None:
    talk = Talk(settings_with(slots={"initial_slots": 2}))
    ack = talk.command("remove", slot=True).acks[0]
    assert (ack.ok, ack.code, ack.message) == (False, "E30", "no slot True (1, 2 exist)")
