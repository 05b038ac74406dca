"""The engine in its own thread: commands, a disk that fails, stopping and going on."""

import errno
import time
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from pathlib import Path

import pytest

from gridbot.core.records import Command, LedgerEntry
from gridbot.core.settings import Settings
from gridbot.engine.disk import Disk
from gridbot.engine.ledger_file import LedgerFileError
from gridbot.engine.runner import Runner
from gridbot.engine.status import Status
from tests.simulation.harness import settings_with

SETTINGS = settings_with(
    slots={"initial_slots": 3, "initial_sticky_ratio": D("0.5")},
    sim={"speed": D(3600), "volatility": D("0.3")},
)


class FillingDisk(Disk):
    """A disk that is full whenever a test says so."""

    full = False

    def os_write(self, fd: int, data: memoryview) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().os_write(fd, data)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Runner]]:
    runners: list[Runner] = []

    def begin(settings: Settings = SETTINGS, disk: Disk | None = None) -> Runner:
        runner = Runner(settings, tmp_path / "data", disk=disk)
        runner.start()
        runners.append(runner)
        return runner

    yield begin
    for runner in runners:
        runner.close()


def wait_for(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it did not happen in time"
        time.sleep(0.005)


def state_of(runner: Runner) -> str:
    status = runner.status()
    assert status is not None
    return status.engine.state


def test_commands_are_answered_and_seen_in_the_status(start: Callable[..., Runner]) -> None:
    runner = start()
    ack = runner.send("add", {"kind": "cycle", "alias": "heron"}).result(10)
    assert (ack.ok, ack.message[:16]) == (True, "slot 4 cycle add")
    status = runner.status()
    assert status is not None
    assert [(slot.alias, slot.kind) for slot in status.slots][-1] == ("heron", "cycle")
    assert runner.send("pause").result(10).ok
    assert state_of(runner) == "paused"
    again = runner.send("pause").result(10)
    assert (again.ok, again.code, again.message) == (False, "E20", "already paused")
    assert runner.send("dance").result(10).message == 'no action "dance"'


def test_a_command_sent_twice_acts_once(start: Callable[..., Runner]) -> None:
    runner = start()
    assert runner._open is not None
    brain = runner._open.engine.brain
    twice = Command("same-id", 0.0, "tui", "add", {"kind": "sticky"})
    with runner._guard:
        runner._inbox += [twice, twice]
    runner._nudge()
    wait_for(lambda: "same-id" in brain.acked)
    wait_for(lambda: len((runner.status() or pytest.fail("no status")).slots) == 4)
    assert runner.send("resume_slot", {"slot": 5}).result(10).code == "E30"


def test_a_full_disk_halts_in_sight_and_resume_reads_the_directory_again(
    start: Callable[..., Runner],
) -> None:
    disk = FillingDisk()
    runner = start(disk=disk)
    wait_for(lambda: bool(runner.ledger(None, 5)))
    disk.full = True
    wait_for(lambda: state_of(runner) == "halted")
    status = runner.status()
    assert status is not None
    assert "No space left on device" in status.engine.reason
    refused = runner.send("add").result(10)
    assert (refused.ok, refused.code) == (False, "E22")
    disk.full = False
    assert runner.send("resume").result(10).ok
    wait_for(lambda: state_of(runner) == "running")
    assert runner.send("add").result(10).ok


def test_a_ledger_taken_away_halts_and_is_written_again_on_resume(
    start: Callable[..., Runner], tmp_path: Path
) -> None:
    runner = start()
    wait_for(lambda: bool(runner.ledger(None, 5)))
    assert runner.data_path is not None
    ledger = runner.data_path / "ledger.jsonl"
    ledger.rename(tmp_path / "away.jsonl")
    runner.send("add").result(10)  # so that something will be booked
    wait_for(lambda: state_of(runner) == "halted")
    status = runner.status()
    assert status is not None
    assert "was moved, replaced or removed" in status.engine.reason
    assert runner.send("resume").result(10).ok
    wait_for(lambda: state_of(runner) == "running")
    again = ledger.read_bytes()
    assert again.startswith((tmp_path / "away.jsonl").read_bytes()), "the journal has it all"


def test_stopping_saves_and_the_next_start_goes_on(start: Callable[..., Runner]) -> None:
    first = start()
    wait_for(
        lambda: any(slot.orders for slot in (first.status() or pytest.fail("no status")).slots)
    )
    first.close()
    assert first.finished.is_set()
    assert not first.failure
    assert not first.send("pause").result(1).ok
    left = first.status()
    second = start()
    found = second.status()
    assert left is not None
    assert found is not None
    assert found.at >= left.at
    assert {slot.id for slot in found.slots} == {slot.id for slot in left.slots}
    assert second.events(0) == sorted(second.events(0), key=lambda event: event.id)


def test_events_tell_what_happened_in_words(start: Callable[..., Runner]) -> None:
    runner = start()
    wait_for(lambda: any(event.kind == "entry_filled" for event in runner.events(0)))
    filled = next(event for event in runner.events(0) if event.kind == "entry_filled")
    assert f"slot {filled.slot}.{filled.trade}" in filled.text
    assert "entry filled" in filled.text


class ShrinkingDisk(Disk):
    """A disk with as little room as a test says."""

    free = 10**12

    def free_bytes(self, path: Path) -> int:
        return self.free


def test_little_room_on_the_disk_stops_new_entries_in_sight(
    start: Callable[..., Runner], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridbot.engine.runner.DISK_SECONDS", 0.0)
    disk = ShrinkingDisk()
    runner = start(disk=disk)
    disk.free = 50_000_000
    wait_for(lambda: "DISK" in [alarm.symptom for alarm in status_of(runner).alarms])
    assert runner.send("add", {"kind": "sticky"}).result(10).ok
    wait_for(lambda: "disk full" in [one.reason for one in status_of(runner).slots[-1].waiting])
    disk.free = 10**12
    wait_for(lambda: not status_of(runner).slots[-1].waiting)
    assert not status_of(runner).alarms


def status_of(runner: Runner) -> Status:
    status = runner.status()
    assert status is not None
    return status


def test_the_screen_finds_the_ledger_again_after_a_restart(start: Callable[..., Runner]) -> None:
    first = start()
    wait_for(lambda: len(first.ledger(1, 50)) >= 2)
    first.close()
    seen = first.ledger(1, 50)
    again = start().ledger(1, 50)
    assert again[: len(seen)] == seen
    assert [entry.entry_type for entry in start_of(first)] == ["OPENING_BALANCE"] * 2


def start_of(runner: Runner) -> list[LedgerEntry]:
    return runner.ledger(None, 50)[:2]


@pytest.mark.parametrize(
    ("action", "args"),
    [("add", {"kind": "dynamic"}), ("toggle", {"slot": [1]}), ("alias", {"slot": 1, "alias": 7})],
)
def test_arguments_of_another_kind_change_nothing(
    start: Callable[..., Runner], action: str, args: dict[str, object]
) -> None:
    runner = start()
    before = [(slot.id, slot.alias, slot.kind) for slot in status_of(runner).slots]
    ack = runner.send(action, args).result(10)
    assert not ack.ok
    assert ack.code
    assert [(slot.id, slot.alias, slot.kind) for slot in status_of(runner).slots] == before
    assert runner.send("add").result(10).ok


def test_a_fault_of_our_own_halts_in_sight_too(start: Callable[..., Runner]) -> None:
    runner = start()
    assert runner._open is not None

    def fail(*args: object, **more: object) -> None:
        raise ZeroDivisionError("a fault of our own")

    runner._open.engine.step = fail  # type: ignore[assignment]
    wait_for(lambda: state_of(runner) == "halted")
    assert "a fault of our own" in status_of(runner).engine.reason
    assert runner.send("resume").result(10).ok
    wait_for(lambda: state_of(runner) == "running")


def stopped(start: Callable[..., Runner]) -> Path:
    runner = start()
    wait_for(lambda: len(runner.ledger(1, 50)) >= 4)
    runner.close()
    return runner.path


def test_a_ledger_without_its_journal_is_not_begun_anew(start: Callable[..., Runner]) -> None:
    path = stopped(start)
    for file in [*path.glob("state.json*"), *path.glob("journal-*")]:
        file.unlink()
    whole = (path / "ledger.jsonl").read_bytes()
    with pytest.raises(LedgerFileError, match="journal and snapshots are gone"):
        start()
    assert (path / "ledger.jsonl").read_bytes() == whole


def test_an_edited_ledger_stops_the_engine_at_the_line(start: Callable[..., Runner]) -> None:
    path = stopped(start)
    lines = (path / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    lines[2] = (
        lines[2]
        .replace(b'"debit_quote":"9', b'"debit_quote":"1', 1)
        .replace(b'"credit_quote":"9', b'"credit_quote":"1', 1)
    )
    (path / "ledger.jsonl").write_bytes(b"".join(lines))
    with pytest.raises(LedgerFileError, match="line 3 was changed after it was written"):
        start()


def test_a_restart_tells_what_it_replayed_and_nothing_twice(start: Callable[..., Runner]) -> None:
    path = stopped(start)
    (path / "state.json").write_text("{")
    told = start().events(0)
    assert told[0].kind == "recovered"
    assert "steps replayed" in told[0].text
    assert "state.json: damaged" in told[0].text
    assert len([event for event in told if event.kind == "started"]) == 0
