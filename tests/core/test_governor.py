"""What the governor decides, fed by hand: bands, dwell, suggestions, conversions, plugins."""

import random
from decimal import Decimal as D
from itertools import pairwise
from typing import Any

import msgspec

from gridbot.core.brain import Brain
from gridbot.core.brain_state import brain_to_state, load_brain
from gridbot.core.governor import BANDS, LOCK_SECONDS, Suggestion
from gridbot.core.lifecycle import earned_slots
from gridbot.core.records import Changes, Command
from gridbot.core.settings import Settings
from tests.simulation.harness import settings_with
from tests.simulation.talk import Talk


def house(slots: int = 8, sticky: str = "0.5", **governor: Any) -> Settings:
    return settings_with(
        slots={"initial_slots": slots, "initial_sticky_ratio": D(sticky), "max_auto_slots": 0},
        governor=governor,
    )


def end_exits(talk: Talk, orphaned: int, filled: int, slot: int = 8) -> None:
    """So many exits of a cycle slot end between two steps."""
    for number in range(orphaned + filled):
        talk.brain.exits.closed(talk.brain.now, slot, number < orphaned)


def pressed(settings: Settings, orphaned: int = 19, filled: int = 1) -> Talk:
    """A brain under pressure for longer than the dwell."""
    talk = Talk(settings)
    talk.step()
    end_exits(talk, orphaned, filled)
    talk.step()
    talk.step(901)
    return talk


def pending(talk: Talk) -> list[Suggestion]:
    return talk.brain.governor.pending()


def band(talk: Talk) -> str:
    return BANDS[talk.brain.governor.band]


def test_a_band_is_taken_after_the_dwell_and_left_below_the_hysteresis() -> None:
    talk = Talk(house())
    talk.step()
    end_exits(talk, 13, 7)  # 0.65
    talk.step()
    talk.step(800)
    assert band(talk) == "moderate"
    assert talk.brain.bounds().at == talk.brain.governor.away_since + 900
    talk.step(100)
    assert band(talk) == "elevated"
    end_exits(talk, 1, 4)  # 0.56: under 0.6, not under 0.55
    talk.step()
    talk.step(901)
    assert band(talk) == "elevated"
    end_exits(talk, 0, 2)  # 0.52
    talk.step()
    talk.step(901)
    assert band(talk) == "moderate"


def test_a_burst_shorter_than_the_dwell_changes_nothing() -> None:
    talk = Talk(house(window_sec=600.0))
    talk.step()
    end_exits(talk, 20, 0)
    talk.step()
    wake = talk.brain.bounds().at
    assert wake <= talk.at + 600, "the end of the window is a wake"
    talk.step(601)
    assert talk.brain.governor.away_since is None
    assert band(talk) == "moderate"


def test_few_data_say_nothing() -> None:
    talk = pressed(house(), orphaned=9, filled=0)
    assert band(talk) == "moderate"
    assert not pending(talk)


def test_a_suggestion_names_the_most_orphaned_slot_reason_and_effect() -> None:
    talk = Talk(house())
    talk.step()
    end_exits(talk, 10, 6, slot=6)
    end_exits(talk, 4, 0, slot=7)
    talk.step()
    talk.step(901)
    [one] = pending(talk)
    assert (one.kind, one.slots, one.source) == ("sticky", (6,), "governor")
    assert one.reason == "orphan pressure 0.70 is elevated"
    assert one.effect == "reserved orders 24 -> 22 of 168"
    assert talk.events("suggested")[0].data["number"] == one.id
    assert talk.brain.cycle_slots == 4, "it never acts by itself"


def test_critical_suggests_a_quarter_and_never_more_than_the_minimum_leaves() -> None:
    assert len(pending(pressed(house(16)))[0].slots) == 2
    assert not pending(pressed(house(min_cycle_slots=4)))


def test_approving_converts_and_locks_for_a_day() -> None:
    talk = pressed(house())
    number = pending(talk)[0].id
    ack = talk.command("approve", id=number).acks[0]
    assert ack.ok and talk.brain.cycle_slots == 3
    assert talk.brain.governor.conversions == 1
    assert talk.command("approve").acks[0].code == "E51"
    assert talk.command("approve", id=number).acks[0].code == "E52"
    assert talk.brain.slots[8].converted_at is not None


def test_dismissed_is_not_said_again_for_a_while() -> None:
    talk = pressed(house(window_sec=80_000.0))
    assert talk.command("dismiss", **{"for": "8d"}).acks[0].code == "E16"
    assert talk.command("dismiss", **{"for": "5h"}).acks[0].ok
    talk.step(4 * 3600)
    assert not pending(talk)
    talk.step(3600)
    assert len(pending(talk)) == 1


def test_a_suggestion_expires_and_another_band_supersedes_it() -> None:
    talk = pressed(house(window_sec=80_000.0), 13, 7)
    first = pending(talk)[0]
    end_exits(talk, 80, 0)
    talk.step()
    talk.step(901)
    assert band(talk) == "critical"
    states = {one.id: one.state for one in talk.brain.governor.suggestions}
    assert states == {first.id: "superseded", first.id + 1: "pending"}
    talk.step(4 * 3600)
    assert talk.events("expired")


def test_autonomous_converts_one_per_ten_minutes_down_to_the_minimum() -> None:
    talk = pressed(house(mode="autonomous", min_cycle_slots=1, window_sec=80_000.0))
    assert (band(talk), talk.brain.cycle_slots, len(pending(talk))) == ("critical", 3, 0)
    assert talk.events("converted")
    talk.step(590)
    assert talk.brain.cycle_slots == 3
    talk.step(10)
    assert talk.brain.cycle_slots == 2
    for _ in range(30):
        talk.step(600)
    assert talk.brain.cycle_slots == 1


def test_off_and_suggest_never_convert_and_autonomous_asks_first() -> None:
    talk = pressed(house(mode="off"))
    assert not pending(talk) and talk.brain.cycle_slots == 4
    assert talk.command("governor", mode="autonomous").acks[0].code == "confirm"
    assert talk.brain.settings.governor.mode == "off"
    assert talk.command("governor", mode="always").acks[0].code == "E50"
    assert talk.command("governor", mode="autonomous", force=True).acks[0].ok


def test_thresholds_can_be_moved_and_keep_their_order() -> None:
    talk = pressed(house(mode="suggest"))
    for name, value, code in (
        ("high", "0.7", ""), ("crit", "0.75", ""), ("high", "0.75", "E53"), ("crit", "0.7", "E53"),
        ("high", "1", "E14"), ("high", "much", "E11"), ("low", "0.5", "E19"),
    ):  # fmt: skip
        assert talk.command("governor_set", name=name, value=value).acks[0].code == code
    settings = talk.brain.settings.governor
    assert (settings.orphan_pressure_high, settings.orphan_pressure_crit) == (D("0.7"), D("0.75"))


def test_switched_off_it_watches_on_in_silence_and_no_dwell_is_skipped() -> None:
    talk = pressed(house(mode="off", window_sec=80_000.0))
    assert band(talk) == "critical" and not talk.events("pressure_changed")
    end_exits(talk, 0, 80)
    talk.step()
    away = talk.brain.governor.away_since
    assert away == talk.at and talk.brain.bounds().at == away + 900
    end_exits(talk, 800, 0)
    talk.step(600)
    assert talk.brain.governor.away_since is None
    end_exits(talk, 0, 8000)
    talk.step()
    talk.command("governor", later=600, mode="autonomous", force=True)
    assert band(talk) == "critical" and talk.brain.governor.away_since == talk.at - 600
    talk.step(300)
    assert band(talk) == "healthy"


def test_paused_it_neither_suggests_nor_converts() -> None:
    talk = Talk(house(mode="autonomous"))
    talk.step()
    talk.command("pause")
    end_exits(talk, 20, 0)
    talk.step()
    talk.step(901)
    assert talk.brain.cycle_slots == 4
    talk.command("resume")
    assert talk.brain.cycle_slots == 3


def with_exit(talk: Talk) -> None:
    """Slot 1's buy has filled; its exit waits."""
    entry = next(one for one in talk.resting.values() if (one.slot_id, one.trade_id) == (1, "B"))
    talk.step(reports=(talk.filled(entry),))
    talk.step()


def test_only_slots_far_from_a_deadline_are_suggested_as_cycle() -> None:
    talk = Talk(house(2, "0.5", min_sample=1))
    talk.step()
    with_exit(talk)
    end_exits(talk, 0, 20, slot=2)
    talk.step()
    talk.step(901)
    assert band(talk) == "healthy" and not pending(talk), "slot 1's exit is too old"
    talk.command("add", kind="sticky")  # slot 3, in S0
    talk.step(600)
    assert pending(talk)[0].slots == (3,)


def test_approving_cycle_writes_nothing_off_when_the_exit_has_aged_meanwhile() -> None:
    talk = Talk(house(2, "0.5", min_sample=1))
    talk.step()
    end_exits(talk, 0, 20, slot=2)
    talk.step()
    talk.step(850)
    with_exit(talk)
    assert pending(talk)[0].slots == (1,)
    talk.step(2000, price=D("0.0999"))
    assert talk.command("approve").acks[0].code == "E54"
    talk.step(price=D("0.0999"))
    assert talk.brain.counters.orphans == talk.brain.counters.write_offs == 0


def test_a_month_of_noise_converts_a_slot_at_most_once_a_day() -> None:
    """Pressure jumps across the thresholds every three hours; whatever is suggested is approved."""
    noise = random.Random(5)
    talk = Talk(house(12, mode="autonomous", window_sec=3600.0, min_cycle_slots=2))
    talk.step()
    changed: dict[int, list[float]] = {}
    kinds = {slot.id: slot.kind for slot in talk.brain.slots.values()}
    for tick in range(30 * 144):
        if tick % 18 == 0:
            share = noise.choice((0.0, 0.1, 0.6, 0.85, 1.0))
        for _ in range(6):
            talk.brain.exits.closed(talk.brain.now, 12, noise.random() < share)
        talk.step(600)
        if pending(talk):
            talk.command("approve", later=0.0)
        for slot in talk.brain.slots.values():
            if kinds[slot.id] != slot.kind:
                kinds[slot.id] = slot.kind
                changed.setdefault(slot.id, []).append(talk.at)
    assert sum(map(len, changed.values())) > 12
    for times in changed.values():
        assert all(later - earlier >= LOCK_SECONDS for earlier, later in pairwise(times))
    assert sum(map(len, changed.values())) == talk.brain.governor.conversions


def test_plugins_answers_only_become_suggestions() -> None:
    talk = Talk(house())
    talk.step()
    ratio = {"plugin": "trend", "reason": "it falls", "ratio": "0.75"}
    talk.step(recommendations=(ratio,))
    [one] = pending(talk)
    assert (one.source, one.kind, len(one.slots), one.reason) == ("trend", "sticky", 2, "it falls")
    talk.step(recommendations=(ratio, {"plugin": "trend"}, {"plugin": 7}))
    assert pending(talk) == [one], "the same again is no news, nonsense is dropped"
    with_exit(talk)
    live = next(one for one in talk.brain.registry.by_client.values() if one.role == "exit")
    close = {"plugin": "trend", "slot": 1, "close": live.client_id, "reason": "it is stuck"}
    talk.step(recommendations=(close, close, {"plugin": "trend", "failed": "too slow"}))
    assert [one.kind for one in pending(talk)] == ["sticky", "close"]
    assert talk.events("plugin_disabled") and not live.closing
    assert "2 (close, trend)" in talk.command("approve").acks[0].message
    assert talk.command("dismiss").acks[0].code == "E55"
    asked = talk.command("approve", id=2).acks[0]
    assert (asked.code, asked.confirm) == ("confirm", "2")
    assert pending(talk)[1].effect == "closes 1.B -0.0600: about -0.0600 USD"
    assert asked.message.startswith("close 1.B -0.06") and not live.closing
    assert talk.command("approve", force=asked.confirm).acks[0].ok and live.closing


def close_of(talk: Talk, plugin: str = "x", slot: int = 1) -> dict[str, Any]:
    """A plugin's advice to close a slot's exit."""
    lives = talk.brain.registry.by_client.values()
    live = next(one for one in lives if (one.slot_id, one.role) == (slot, "exit"))
    return {"plugin": plugin, "slot": slot, "close": live.client_id, "reason": "it is stuck"}


def test_a_plugins_suggestion_expires_and_then_keeps_it_quiet() -> None:
    talk = Talk(house(4, "1"))
    talk.step()
    with_exit(talk)
    talk.step(recommendations=(close_of(talk),))
    [one] = pending(talk)
    assert talk.brain.bounds().at == one.expires_at, "a wake, though there are no cycle slots"
    assert talk.command("approve", later=4 * 3600, force=True).acks[0].code == "E51"
    assert talk.events("expired")
    talk.step(3590, recommendations=(close_of(talk),))
    assert not pending(talk)
    talk.step(30, recommendations=(close_of(talk),))
    assert len(pending(talk)) == 1


def test_an_expired_suggestion_is_not_made_again_in_the_same_step() -> None:
    talk = pressed(house(window_sec=80_000.0))
    talk.step(4 * 3600)
    assert talk.events("expired") and not talk.events("suggested")
    talk.step(3600)
    assert talk.events("suggested")


def test_one_loud_plugin_drowns_nobody_elses_suggestion() -> None:
    talk = Talk(house(40, window_sec=80_000.0))
    talk.step()
    end_exits(talk, 19, 1, slot=40)
    talk.step()
    talk.step(901)
    entries = [one for one in talk.resting.values() if (one.trade_id, one.role) == ("B", "entry")]
    talk.step(reports=tuple(map(talk.filled, entries)))
    talk.step()
    loud = tuple(close_of(talk, slot=number) for number in range(1, 31))
    for told in (5, 0, 0):
        talk.step(60, recommendations=loud)
        assert len(talk.events("suggested")) == told
    assert [one.source for one in pending(talk)] == ["governor", *["x"] * 5]
    for number in range(6, 21):
        talk.command("dismiss", id=pending(talk)[-1].id, **{"for": "5m"})
        talk.step(310, recommendations=(close_of(talk, slot=number),))
    kept = talk.brain.governor.suggestions
    assert len(kept) == 20 and kept[0].source == "governor", "decided ones go first"


def test_the_order_of_a_suggestion_is_gone_with_it() -> None:
    talk = Talk(house(4, "1"))
    talk.step()
    with_exit(talk)
    talk.step(recommendations=(close_of(talk),))
    talk.step(reports=(talk.filled(talk.order("B", "exit")),))
    assert talk.command("approve").acks[0].code == "E51"


def test_a_slot_made_sticky_between_two_prices_forgets_its_deadline() -> None:
    talk = Talk(house(1, "0"))
    talk.step()
    for trade in "AB":
        talk.step(reports=(talk.filled(talk.order(trade, "entry")),))
    talk.step()
    assert talk.brain.slots[1].state.s2_entered_at
    talk.step(price=None, commands=(Command("x", talk.at, "test", "toggle", {"slot": 1}),))
    assert talk.brain.slots[1].state.s2_entered_at is None


def test_force_does_not_make_room_for_a_cycle_slot() -> None:
    room = {"open_orders_per_pair_limit": 24, "stop_headroom": 5, "caution_headroom": 8}
    talk = Talk(
        settings_with(slots={"initial_slots": 8, "initial_sticky_ratio": D(1)}, capacity=room)
    )
    talk.step()
    assert talk.brain.work_bank.band == "stop"
    assert talk.command("toggle", slot=1, force=True).acks[0].code == "E31"


def earning(quote: str = "all", **slots: Any) -> Settings:
    """Two sticky slots; profit earns more."""
    slots = {"initial_slots": 2, "initial_sticky_ratio": D(1), "max_auto_slots": 5, **slots}
    return settings_with(slots=slots, funds={"quote": quote if quote == "all" else D(quote)})


def test_each_new_slot_is_paid_before_the_next_is_added() -> None:
    settings = earning("45")
    talk = Talk(settings)
    talk.step()
    talk.brain.best_profit = D(20)
    for slots in (3, 4, 4):
        talk.step(changes=Changes(foreign_orders=slots))
        assert len(talk.brain.slots) == slots
    assert not any(slot.waiting for slot in talk.brain.slots.values())


def test_another_threshold_adds_no_slot_that_profit_has_not_earned() -> None:
    talk = Talk(earning(max_auto_slots=1))
    talk.step()
    talk.brain.best_profit = D(24)
    talk.step(changes=Changes(foreign_orders=1))
    assert (talk.brain.auto_slots, earned_slots(talk.brain)) == (1, 1)
    raised = msgspec.to_builtins(earning(slot_profit_threshold=D(20)))
    talk.step(changes=Changes(settings=raised))
    assert (talk.brain.auto_slots, earned_slots(talk.brain)) == (1, 1)


def test_a_loaded_governor_goes_on_alike() -> None:
    def again(brain: Brain) -> Brain:
        return load_brain(msgspec.json.decode(msgspec.json.encode(brain_to_state(brain))))

    talk = pressed(house(mode="autonomous", window_sec=7000.0))
    talk.brain.exits.follow(talk.at, True, D("0.11"))
    copy = again(talk.brain)
    assert copy.bounds() == talk.brain.bounds()
    assert brain_to_state(copy) == brain_to_state(again(copy))
    assert copy.governor == talk.brain.governor and copy.exits.record == talk.brain.exits.record
