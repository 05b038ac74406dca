"""The control API as any client meets it: a real engine, a real socket, bytes in and out."""

import http.client
import json
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal as D
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core.records import Event, LedgerEntry
from gridbot.engine.control import BODY_BYTES_MAX, LISTENERS_MAX, Refused, read_command
from gridbot.engine.runner import Runner
from gridbot.engine.socket_path import SOCKET_FILE, socket_address
from gridbot.engine.status import Status, read_status
from tests.simulation.harness import settings_with

SETTINGS = settings_with(
    slots={"initial_slots": 4, "initial_sticky_ratio": D("0.5")},
    sim={"speed": D(3600), "volatility": D("0.5")},
)
PATIENCE_SECONDS = 15.0


class Answer(NamedTuple):
    status: int
    body: Any
    kind: str


class Connection(http.client.HTTPConnection):
    def __init__(self, directory: Path) -> None:
        super().__init__("engine", timeout=PATIENCE_SECONDS)
        self._directory = directory

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_SECONDS)
        with socket_address(self._directory) as address:
            self.sock.connect(address)


def ask(runner: Runner, where: str, body: object = None, method: str = "") -> Answer:
    """One request; a body that is no bytes is sent as JSON."""
    sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    talk = Connection(runner.path)
    talk.request(method or ("GET" if body is None else "POST"), where, sent)
    answer = talk.getresponse()
    text = answer.read()
    talk.close()
    return Answer(answer.status, json.loads(text), answer.headers["content-type"])


def status_of(runner: Runner) -> Status:
    status = runner.status()
    assert status is not None
    return status


def act(runner: Runner, **body: object) -> Answer:
    return ask(runner, "/api/action", body)


def wait_for(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    made = Runner(SETTINGS, tmp_path / "data", serve_after_seconds=0.0)
    made.start()
    yield made
    made.close()


class Listener:
    """What /api/events tells, block by block."""

    def __init__(self, runner: Runner, last: str | None = None) -> None:
        self._talk = Connection(runner.path)
        self._talk.request("GET", "/api/events", headers={"Last-Event-ID": last} if last else {})
        self._answer = self._talk.getresponse()
        assert self._answer.headers["content-type"].startswith("text/event-stream")

    def block(self) -> dict[str, str]:
        found: dict[str, str] = {}
        while line := self._answer.readline().decode().rstrip("\n"):
            name, _, value = line.partition(": ")
            found[name] = value
        return found

    def close(self) -> None:
        self._talk.close()


# ---- reading


def test_the_socket_is_its_owners_alone_and_goes_with_the_engine(runner: Runner) -> None:
    file = runner.path / SOCKET_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ask(runner, "/api/status").status == 200
    runner.close()
    assert not file.exists()


def test_the_status_is_the_published_one_to_the_last_digit(runner: Runner) -> None:
    act(runner, action="pause")
    status = runner.status()
    assert status is not None
    told = read_status(json.dumps(ask(runner, "/api/status").body).encode())
    assert (told.slots, told.profit, told.capacity) == (
        status.slots, status.profit, status.capacity,
    )  # fmt: skip


def test_the_status_survives_json_in_every_part(runner: Runner) -> None:
    wait_for(lambda: status_of(runner).governor["odds"] is not None)
    status = runner.status()
    assert read_status(msgspec.json.encode(status)) == status


def test_books_and_figures_can_be_read(runner: Runner) -> None:
    wait_for(lambda: len(runner.ledger(1, 5)) == 5)
    act(runner, action="pause")
    found = ask(runner, "/api/ledger?slot=1&count=3").body
    assert msgspec.convert(found, list[LedgerEntry]) == runner.ledger(1, 3)
    points = ask(runner, "/api/history?name=profit").body
    assert points and len(points[0]) == 2
    assert ask(runner, "/api/history?name=nothing").body == []


# ---- commands


def test_a_question_names_the_order_it_is_about(runner: Runner) -> None:
    wait_for(lambda: act(runner, action="close").body["code"] == "confirm")
    asked = act(runner, action="close").body
    orders = [one for slot in status_of(runner).slots for one in slot.orders]
    assert asked["confirm"] in [one.client_id for one in orders]
    again = act(runner, action="close", args={"force": asked["confirm"]}).body
    assert again["ok"] or again["code"] == "E41", "it may have filled meanwhile"
    assert "confirm" not in again


def test_a_command_acts_and_its_answer_comes_with_the_picture(runner: Runner) -> None:
    answer = act(runner, action="add", args={"kind": "cycle"}, id="one")
    assert answer.status == 200
    assert (answer.body["ok"], answer.body["id"]) == (True, "one")
    assert "slot 5 cycle added" in answer.body["message"]
    assert len(ask(runner, "/api/status").body["slots"]) == 5


def test_the_same_id_acts_once_one_after_the_other_and_at_once(runner: Runner) -> None:
    first = act(runner, action="add", id="twice", args={"kind": "sticky"})
    assert act(runner, action="add", id="twice", args={"kind": "sticky"}) == first
    answers: list[Answer] = []
    crowd = [
        threading.Thread(target=lambda: answers.append(act(runner, action="add", id="crowd")))
        for _ in range(5)
    ]
    for one in crowd:
        one.start()
    for one in crowd:
        one.join(PATIENCE_SECONDS)
    assert answers == [answers[0]] * 5
    assert len(ask(runner, "/api/status").body["slots"]) == 6


def test_the_engines_refusal_has_its_code(runner: Runner) -> None:
    assert act(runner, action="pause").body["ok"]
    again = act(runner, action="pause")
    assert again.status == 409
    assert (again.body["ok"], again.body["code"]) == (False, "E20")
    assert again.body["message"] == "already paused"


def test_a_number_with_a_point_stays_exact(runner: Runner) -> None:
    body = b'{"action": "set_profit", "args": {"value": 1.23456789012345678}}'
    answer = ask(runner, "/api/action", body)
    assert answer.body["message"].endswith("1.23456789012345678 %")


def test_the_actor_is_journalled(runner: Runner) -> None:
    act(runner, action="pause", actor="cli", id="who")
    runner.close()
    lines = b"".join(file.read_bytes() for file in runner.path.glob("journal-*.jsonl"))
    assert b'"id":"who"' in lines and b'"actor":"cli"' in lines


BAD_BODIES = [
    b"", b"{", b"nonsense", b"[]", b"null", b'"pause"', b"\xff\xfe", b"[" * 50_000,
    b'{"action": 3}', b'{"action": "pause", "extra": 1}', b'{"action": "pause", "args": []}',
    b'{"action": "dance"}', b'{"action": "boot", "args": {"quote": "1", "base": "1"}}',
    b'{"action": "halt"}', b'{"action": "pause", "id": ""}', b'{"action": "pause", "id": "a b"}',
    b'{"action": "pause", "actor": "governor"}', b'{"action": "add", "args": {"cnt": 2}}',
    b'{"action": "toggle", "args": {"slot": NaN}}', b'{"action":"toggle","args":{"slot":{"a":1}}}',
    b'{"action": "remove", "args": {"slot": true}}', b'{"action": "approve", "args": {"id": true}}',
    b'{"action": "toggle", "args": {"slot": 9999999999999999999999}}',
    b'{"action": "alias", "args": {"slot": 1, "alias": "\\ud800"}}',
    b'{"action": "\\ud800"}', b'{"action": "alias", "args": {"alias": "' + b"x" * 4001 + b'"}}',
]  # fmt: skip


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: str(body[:40]))
def test_a_body_that_is_no_action_is_answered_in_json_before_the_engine_hears_of_it(
    body: bytes,
) -> None:
    with pytest.raises(Refused) as refused:
        read_command(body, 0.0)
    assert refused.value.status == 400 and refused.value.code in ("E01", "E10")
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=200) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
).map(lambda args: json.dumps({"action": "toggle", "args": args}).encode()))  # fmt: skip
def test_any_bytes_are_a_command_that_can_be_journalled_or_a_refusal(body: bytes) -> None:
    try:
        command = read_command(body, 0.0)
    except Refused:
        return
    text = msgspec.json.encode(command)
    assert msgspec.json.decode(text, type=type(command)) == command


def test_every_wrong_request_is_answered_in_json(runner: Runner) -> None:
    huge = b'{"action": "' + b"x" * BODY_BYTES_MAX + b'"}'
    wrong: list[tuple[int, Answer]] = [
        (400, ask(runner, "/api/action", b"{")),
        (400, act(runner, action="dance")),
        (413, ask(runner, "/api/action", huge)),
        (404, ask(runner, "/")),
        (404, ask(runner, "/api/status/")),
        (404, ask(runner, "/api/nothing", b"{}")),
        (405, ask(runner, "/api/action")),
        (405, ask(runner, "/api/status", b"{}")),
        (405, ask(runner, "/api/events", method="DELETE")),
        (400, ask(runner, "/api/ledger?count=0")),
        (400, ask(runner, "/api/ledger?count=1001")),
        (400, ask(runner, "/api/ledger?slot=-1")),
        (400, ask(runner, "/api/ledger?slot=%F0%9F%8D%8E")),
    ]
    for status, answer in wrong:
        assert answer.status == status, answer
        assert answer.kind == "application/json"
        assert answer.body["ok"] is False
        assert answer.body["message"] and answer.body["code"]
    assert act(runner, action="pause").body["ok"], "the engine took no harm"


def test_what_is_not_even_http_is_answered_in_json(runner: Runner) -> None:
    with socket.socket(socket.AF_UNIX) as talk, socket_address(runner.path) as address:
        talk.settimeout(PATIENCE_SECONDS)
        talk.connect(address)
        talk.sendall(b"garbage\r\n\r\n")
        text = b""
        while part := talk.recv(4096):
            text += part
    head, _, body = text.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert json.loads(body)["ok"] is False


def test_a_caller_who_leaves_without_his_answer_harms_nobody(runner: Runner) -> None:
    for body in (b'{"action": "add"}', b'{"act'):
        with socket.socket(socket.AF_UNIX) as talk, socket_address(runner.path) as address:
            talk.connect(address)
            talk.sendall(
                b"POST /api/action HTTP/1.1\r\nhost: x\r\ncontent-length: 17\r\n\r\n" + body
            )
    wait_for(lambda: len(ask(runner, "/api/status").body["slots"]) == 5)
    assert act(runner, action="pause").body["ok"]


# ---- listening


def test_events_are_told_once_and_again_from_any_id_on(runner: Runner) -> None:
    wait_for(lambda: len(runner.events(0)) > 10)
    listener = Listener(runner, last="5")
    told: list[Event] = []
    while len(told) < 5:
        block = listener.block()
        if block.get("event") == "event":
            told.append(msgspec.json.decode(block["data"], type=Event))
            assert block["id"] == str(told[-1].id)
    listener.close()
    assert [event.id for event in told] == [6, 7, 8, 9, 10]
    kept = {event.id: event for event in runner.events(0)}
    assert told == [kept[event.id] for event in told]


def test_without_a_last_id_only_news_is_told(runner: Runner) -> None:
    wait_for(lambda: len(runner.events(0)) > 3)
    act(runner, action="pause")
    listener, old = Listener(runner), runner.events(0)[-1].id
    assert listener.block()["event"] == "status"
    act(runner, action="resume")
    while (block := listener.block()).get("event") != "event":
        pass
    listener.close()
    assert int(block["id"]) > old


def test_a_listener_hears_goodbye_and_a_wrong_id_is_refused(runner: Runner) -> None:
    talk = Connection(runner.path)
    talk.request("GET", "/api/events", headers={"Last-Event-ID": "x"})
    assert json.loads(talk.getresponse().read())["code"] == "E14"
    listener = Listener(runner)
    assert listener.block()["event"] == "status"
    runner.close()
    heard = [listener.block() for _ in range(50)]
    assert {"event": "bye", "data": '"the engine has stopped"'} in heard


def test_a_reader_who_stops_reading_delays_no_step_and_misses_only_old_pictures(
    runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gridbot.engine.control.STATUS_SECONDS", 0.0)
    monkeypatch.setattr("gridbot.engine.control.LOOK_SECONDS", 0.001)
    deaf = Listener(runner)
    others = [Listener(runner, last="0") for _ in range(LISTENERS_MAX - 1)]
    crowded = ask(runner, "/api/events")
    assert (crowded.status, crowded.body["code"]) == (503, "busy")
    began = status_of(runner).at
    wait_for(lambda: status_of(runner).at > began + 30 * 500)
    assert act(runner, action="pause").body["ok"]
    now = status_of(runner).at
    pictures, at = 0, 0.0
    while at < now:
        block = deaf.block()
        if block.get("event") == "status":
            at, pictures = read_status(block["data"].encode()).at, pictures + 1
    assert pictures < 400, "after what was on its way it gets the newest"
    stopping = time.monotonic()
    runner.close()
    assert runner.finished.is_set() and time.monotonic() - stopping < 5.0
    for one in [deaf, *others]:
        one.close()


# ---- the file


def test_a_stale_socket_is_replaced_and_a_deep_directory_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("deep" * 30) / "data"
    deep.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as old, socket_address(deep) as address:
        old.bind(address)
    runner = Runner(SETTINGS, deep, serve_after_seconds=0.0)
    runner.start()
    assert len(str(deep / SOCKET_FILE)) > 107
    assert ask(runner, "/api/status").status == 200
    runner.close()


def test_a_socket_that_cannot_be_made_is_a_warning_and_trading_goes_on(tmp_path: Path) -> None:
    (tmp_path / SOCKET_FILE).mkdir()
    told: list[Event] = []
    runner = Runner(SETTINGS, tmp_path, on_event=told.append, serve_after_seconds=0.0)
    runner.start()
    assert told[-1].severity == "warn" and "control socket cannot be served" in told[-1].text
    assert runner.send("add").result(10).ok
    assert [one.symptom for one in status_of(runner).alarms] == ["CONTROL"]
    runner.close()
    assert not runner.failure and (tmp_path / SOCKET_FILE).is_dir()


def test_an_engine_leaves_the_socket_of_its_successor_alone(runner: Runner) -> None:
    file = runner.path / SOCKET_FILE
    assert ask(runner, "/api/status").status == 200
    file.unlink()
    file.write_text("another's")
    runner.close()
    assert file.read_text() == "another's"
