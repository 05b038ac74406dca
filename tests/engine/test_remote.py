"""An engine seen from another process: the same client, whatever happens to the engine."""

import errno
import time
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from gridbot.core.governor import Suggestion
from gridbot.core.settings import Settings
from gridbot.engine.client import EngineClient
from gridbot.engine.control import Control
from gridbot.engine.disk import Disk
from gridbot.engine.remote import Asking, NoEngine, RemoteClient, _reason
from gridbot.engine.runner import Runner
from gridbot.engine.status import Status
from tests.simulation.harness import settings_with

SETTINGS = settings_with(
    slots={"initial_slots": 4, "initial_sticky_ratio": D("0.5")},
    sim={"speed": D(3600), "volatility": D("0.5")},
)
PATIENCE_SECONDS = 15.0


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Runner]]:
    runners: list[Runner] = []

    def begin(settings: Settings = SETTINGS, disk: Disk | None = None) -> Runner:
        runner = Runner(settings, tmp_path, disk=disk, serve_after_seconds=0.0)
        runner.start()
        runners.append(runner)
        return runner

    yield begin
    for runner in runners:
        runner.close()


@pytest.fixture
def attach(tmp_path: Path) -> Iterator[Callable[[], RemoteClient]]:
    clients: list[RemoteClient] = []

    def begin() -> RemoteClient:
        clients.append(RemoteClient(tmp_path))
        clients[-1].start(PATIENCE_SECONDS)
        return clients[-1]

    yield begin
    for client in clients:
        client.close()


Start, Attach = Callable[..., Runner], Callable[[], RemoteClient]


def wait_for(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def picture(client: EngineClient) -> Status:
    status = client.status()
    assert status is not None
    return status


def said_alike(client: EngineClient, runner: Runner, name: str) -> bool:
    return client.history(name) == runner.history(name)


def test_both_clients_say_the_same(start: Start, attach: Attach) -> None:
    runner = start()
    wait_for(lambda: len(runner.events(0)) > 20 and picture(runner).governor["odds"])
    assert runner.send("pause").result(10).ok
    client = attach()
    wait_for(lambda: picture(client) == picture(runner) and not client.link)
    assert client.events(0) == runner.events(0)
    assert client.events(15) == runner.events(15)
    for slot in (0, 1, None):
        assert client.ledger(slot, 7) == runner.ledger(slot, 7)
    for name in ("profit", "pressure", "headroom", "api", "nothing"):
        wait_for(partial(said_alike, client, runner, name))  # a minute may end in between
    assert (client.attached, runner.attached) == (True, False)
    assert client.pid == runner.pid and client.data_path == runner.data_path
    assert client.waits_for == runner.waits_for == ""


def test_suggestions_arrive_as_what_they_are(start: Start, attach: Attach) -> None:
    busy = settings_with(
        slots={"initial_slots": 8, "initial_sticky_ratio": D(0)},
        governor={"orphan_pressure_high": D("0.06")},
        sim={"speed": D(30_000), "volatility": D(1)},
    )
    runner, client = start(busy), attach()
    wait_for(lambda: picture(client).governor["suggestions"])
    assert all(type(one) is Suggestion for one in picture(client).governor["suggestions"])
    runner.send("pause").result(10)
    wait_for(lambda: picture(client) == picture(runner))


def test_when_an_answer_is_there_the_picture_shows_it(start: Start, attach: Attach) -> None:
    start()
    client = attach()
    for count in (5, 6, 7):
        ack = client.send("add", {"kind": "cycle"}).result(10)
        assert ack.ok and len(picture(client).slots) == count
    assert client.send("pause").result(10).ok
    assert picture(client).engine.state == "paused"
    again = client.send("pause").result(10)
    assert (again.ok, again.code, again.message) == (False, "E20", "already paused")
    assert client.send("dance").result(10).code == "E01"
    assert not client.send("add", {"kind": object()}).result(10).ok, "whatever is sent"


def test_an_engine_that_stops_and_comes_again_is_found_again(start: Start, attach: Attach) -> None:
    first = start()
    client = attach()
    wait_for(lambda: len(client.events(0)) > 5)
    first.close()
    wait_for(lambda: client.link)
    assert client.link.startswith("engine stopped 0s, retry 1 ")
    seen, last = picture(client), client.events(0)[-1].id
    refused = client.send("pause").result(10)
    assert (refused.ok, refused.code) == (False, "gone")
    assert client.ledger(1, 5) == [] and picture(client) is seen
    start()
    wait_for(lambda: not client.link)
    assert picture(client).engine.uptime_since > seen.engine.uptime_since
    wait_for(lambda: client.events(last))
    ids = [event.id for event in client.events(0)]
    assert ids == sorted(set(ids)), "nothing twice"
    assert client.send("pause").result(10).ok


def test_a_command_whose_answer_is_lost_is_asked_again_and_acts_once(
    start: Start, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = start()
    client = attach()
    post, sent = httpx.AsyncClient.post, []

    async def lose_the_first(self: httpx.AsyncClient, *where: Any, **what: Any) -> httpx.Response:
        answer = await post(self, *where, **what)
        sent.append(what["content"])
        if len(sent) == 1:
            raise httpx.ReadError("the answer is lost")
        return answer

    monkeypatch.setattr(httpx.AsyncClient, "post", lose_the_first)
    ack = client.send("add").result(10)
    assert ack.ok and sent == [sent[0]] * 2
    assert len(picture(runner).slots) == 5


def test_an_engine_that_falls_silent_is_gone(
    start: Start, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridbot.engine.remote.SILENT_SECONDS", 0.3)
    start()
    client = attach()
    assert client.link == ""
    monkeypatch.setattr("gridbot.engine.control.LOOK_SECONDS", 1.5)
    wait_for(lambda: client.link)
    assert client.link.startswith("engine gone 0s, retry 1 ")
    monkeypatch.setattr("gridbot.engine.control.LOOK_SECONDS", 0.05)
    wait_for(lambda: not client.link)


class FillingDisk(Disk):
    """A disk that is full whenever a test says so."""

    full = False

    def os_write(self, fd: int, data: memoryview) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().os_write(fd, data)


def test_a_halted_engine_still_answers_and_resumes(start: Start, attach: Attach) -> None:
    disk = FillingDisk()
    start(disk=disk)
    client = attach()
    disk.full = True
    wait_for(lambda: picture(client).engine.state == "halted")
    assert "No space left" in picture(client).engine.reason and not client.link
    refused = client.send("add").result(10)
    assert (refused.ok, refused.code) == (False, "E22")
    disk.full = False
    assert client.send("resume").result(10).ok
    wait_for(lambda: picture(client).engine.state == "running")
    assert client.send("add").result(10).ok


def test_nobody_there_is_one_line(tmp_path: Path, start: Start) -> None:
    with pytest.raises(NoEngine, match=r"no engine answers at control\.sock: nobody listens there"):
        RemoteClient(tmp_path / "none").start(0.1)
    with pytest.raises(NoEngine, match="nobody listens there"):
        Asking(tmp_path).status()
    start().close()
    with pytest.raises(NoEngine, match="nobody listens there"):
        Asking(tmp_path).act("pause", {})


def test_another_version_is_named(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start()
    monkeypatch.setattr(Control, "status_bytes", lambda control: b'{"version":99}')
    with pytest.raises(NoEngine, match="another version of gridbot"):
        Asking(tmp_path).status()
    with pytest.raises(NoEngine, match="another version of gridbot"):
        RemoteClient(tmp_path).start(0.5)


def test_letting_go_leaves_the_engine_alone_and_answers_all(start: Start, attach: Attach) -> None:
    runner = start()
    client = attach()
    waiting = [client.send("add") for _ in range(3)]
    client.close()
    assert all(future.result(5) is not None for future in waiting)
    assert client.send("pause").result(1).code == "stopped"
    client.close()
    assert not runner.finished.is_set()
    before = picture(runner).at
    wait_for(lambda: picture(runner).at > before)


def test_single_requests(start: Start, tmp_path: Path) -> None:
    runner = start()
    asking = Asking(tmp_path)
    assert asking.act("pause", {}).message.startswith("paused")
    assert asking.act("pause", {}).code == "E20"
    assert asking.status() == runner.status()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ReadTimeout(""), "it does not answer in time"),
        (httpx.ReadError(""), "the connection broke"),
        (httpx.ConnectError("x"), "nobody listens there"),
    ],
)
def test_what_went_wrong_is_told_in_words(error: Exception, words: str) -> None:
    assert _reason(error) == words
