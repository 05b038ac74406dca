"""What an operator types between an account and a bot: init, plan, doctor, the brake."""

import base64
import contextlib
import io
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
import uvicorn
from msgspec.structs import replace

from gridbot.cli import main
from gridbot.commands import kraken
from gridbot.commands.kraken import confirm_first_live, differences
from gridbot.core.records import LedgerEntry, OwnLedgerRow
from gridbot.core.settings import ExchangeSettings, RunSettings, Settings
from gridbot.exchange.emulator.app import API_KEY, API_SECRET, create_app
from gridbot.exchange.emulator.app import Emulator as Core
from gridbot.exchange.emulator.config import EmulatorConfig
from gridbot.exchange.kraken.limits import CallCounter

ROOT = Path(__file__).resolve().parents[1]
KEY = "Zk9" + "aB3xQ" * 10 + "Yw4"
SECRET = base64.b64encode(bytes(range(100, 164))).decode()
NOWHERE = "http://127.0.0.1:9"  # the discard port: nobody listens
D = Decimal


class Ran(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


Gridbot = Callable[..., Ran]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, and no credentials from outside."""
    for name in [name for name in os.environ if name.startswith(("GRIDBOT_", "KRAKEN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield place
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


@pytest.fixture
def gridbot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gridbot:
    """Run a command line in this process; ``typed`` is its standard input."""

    def call(*words: object, typed: str = "") -> Ran:
        monkeypatch.setattr(sys, "argv", ["gridbot", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return call


def one_line(ran: Ran) -> str:
    assert ran.err.startswith("gridbot: ")
    assert ran.err.count("\n") == 1
    return ran.err.removeprefix("gridbot: ").rstrip()


# ---- plan


def test_the_plan_is_what_the_engine_then_places(gridbot: Gridbot, tmp_path: Path) -> None:
    slots = ("--set", "slots.initial_slots=5")
    plan = json.loads(gridbot("plan", "--json", *slots).out)
    assert (
        gridbot("run", "--headless", "--cycles", 1, "--data-dir", tmp_path / "d", *slots).code == 0
    )
    status = json.loads(gridbot("status", "--data-dir", tmp_path / "d", "--json").out)
    placed = {
        (slot["id"], one["trade"], one["side"], one["price"], one["volume"])
        for slot in status["slots"]
        for one in slot["orders"]
        if one["role"] == "entry"
    }
    planned = {
        (one["slot_id"], one["trade_id"], one["side"], one["price"], one["volume"])
        for one in plan["orders"]
    }
    assert len(planned) == 10
    assert placed <= planned
    assert len(placed) >= 8, "one poll moves the price a little"


def test_the_plan_says_what_waits_and_what_all_slots_would_need(gridbot: Gridbot) -> None:
    words = ("--set", "slots.initial_slots=3", "--set", "funds.quote=15", "--json")
    plan = json.loads(gridbot("plan", *words).out)
    assert [text.split()[:2] for text in plan["waiting"]] == [["2.B", "funds"], ["3.B", "funds"]]
    assert D(plan["capital"]["USD"]) < 15
    assert D(plan["needed"]["USD"]) == pytest.approx(D("30.12"), abs=D("0.01"))
    assert plan["break_even_pct"] == "0.80"


def test_the_worst_case_is_what_is_bought_less_what_it_fetches(gridbot: Gridbot) -> None:
    plan = json.loads(gridbot("plan", "--json").out)
    buys = [one for one in plan["orders"] if one["side"] == "buy"]
    sells = [one for one in plan["orders"] if one["side"] == "sell"]
    price, low = D(plan["price"]), D(plan["price"]) * D("0.7")
    cost = sum(D(one["price"]) * D(one["volume"]) for one in buys)
    fetches = sum(D(one["volume"]) for one in buys) * low
    positions = fetches - cost - cost * D("0.004")
    held = sum(D(one["volume"]) for one in sells) * (low - price)
    worst = plan["worst_case"]
    assert D(worst["positions"]) == round(positions, 2)
    assert D(worst["all"]) == round(positions + held, 2)


def test_the_plan_for_people_names_the_same_figures(gridbot: Gridbot) -> None:
    out = gridbot("plan", "--set", "funds.quote=15").out
    for words in ("sim BTC/USD at 60000", "1.A   sell  60120", "orders       3", "waits: 2.B funds",
                  "breaks even at 0.8 %", "falls to 42000"):  # fmt: skip
        assert words in out


# ---- doctor


def test_a_simulated_configuration_is_well(gridbot: Gridbot) -> None:
    ran = gridbot("doctor", "--json")
    assert (ran.code, ran.err) == (0, "")
    assert {check["state"] for check in json.loads(ran.out)} == {"ok"}


def test_a_bad_configuration_is_a_failed_line_for_each_problem(gridbot: Gridbot) -> None:
    ran = gridbot("doctor", "--set", "grid.profit_pct=0.2", "--set", "slots.max_slots=x")
    assert ran.code == 1
    assert [line.split()[:2] for line in ran.out.splitlines()] == [["failed", "config"]] * 2


def test_kraken_down_is_one_failed_line_and_the_rest_is_still_looked_at(gridbot: Gridbot) -> None:
    words = ("--set", "run.mode=paper", "--set", f"exchange.base_url={NOWHERE}")
    ran = gridbot("doctor", *words)
    assert ran.code == 1
    assert [line.split()[0] for line in ran.out.splitlines()] == ["ok", "failed", "ok"]
    assert "no connection" in ran.out
    assert "check the network" in ran.out
    down = gridbot("plan", *words)
    assert down.code == 1
    assert "no connection" in one_line(down)


def test_a_directory_of_another_mode_or_a_broken_ledger_fails(
    gridbot: Gridbot, tmp_path: Path
) -> None:
    place = tmp_path / "d"
    gridbot("run", "--headless", "--cycles", 2, "--data-dir", place)
    well = gridbot("doctor", "--data-dir", place)
    assert (well.code, "entries verified" in well.out) == (0, True)
    ledger = place / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes().replace(b'"seq":1', b'"seq":2', 1))
    broken = gridbot("doctor", "--data-dir", place)
    assert broken.code == 1
    assert any(line.startswith("failed  ledger") for line in broken.out.splitlines())
    words = ("--set", "run.mode=paper", "--set", f"exchange.base_url={NOWHERE}")
    other = gridbot("doctor", "--data-dir", place, *words)
    assert any(line.startswith("failed  data directory") for line in other.out.splitlines())


# ---- the first live start


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


LIVE = Settings(exchange=ExchangeSettings(pair="BTC/USD"), run=RunSettings(mode="live"))


@pytest.mark.parametrize(("typed", "goes_on"), [("btc/usd\n", True), ("y\n", False), ("\n", False)])
def test_the_first_live_start_wants_the_pair_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, goes_on: bool
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    if goes_on:
        confirm_first_live(LIVE, tmp_path, False)
    else:
        with pytest.raises((click.UsageError, click.Abort)):
            confirm_first_live(LIVE, tmp_path, False)


def test_without_a_terminal_it_wants_yes_and_later_starts_want_nothing(
    gridbot: Gridbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("BTC/USD\n"))
    with pytest.raises(click.UsageError, match="--yes"):
        confirm_first_live(LIVE, tmp_path / "new", False)
    confirm_first_live(LIVE, tmp_path / "new", True)
    confirm_first_live(replace(LIVE, run=RunSettings()), tmp_path / "new", False)
    gridbot("run", "--headless", "--cycles", 1, "--data-dir", tmp_path / "used")
    confirm_first_live(LIVE, tmp_path / "used", False)


# ---- init


SIM = ("init", "--mode", "sim", "--initial-slots", "3", "--order-size", "12.5")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_init_writes_what_it_was_told_for_nobody_else_to_read(
    gridbot: Gridbot, tmp_path: Path, home: Path
) -> None:
    file = tmp_path / "new" / "own.toml"
    ran = gridbot(*SIM, "--config", file, "--set", "grid.profit_pct=1.5", "--data-dir", "here")
    assert (ran.code, ran.err) == (0, "")
    assert (mode_of(file), mode_of(file.parent)) == (0o600, 0o700)
    assert tomllib.loads(file.read_text()) == {
        "grid": {"profit_pct": 1.5, "order_size": 12.5},
        "slots": {"initial_slots": 3},
        "run": {"mode": "sim"},
        "persistence": {"data_dir": str(Path("here").absolute())},
    }
    assert gridbot("config", "check", "--config", file).code == 0
    assert not (file.parent / "credentials").exists()
    assert gridbot(*SIM).code == 0
    assert mode_of(home / "config" / "gridbot" / "config.toml") == 0o600


def test_init_asks_what_was_not_told_and_asks_again_after_nonsense(
    gridbot: Gridbot, tmp_path: Path
) -> None:
    file = tmp_path / "own.toml"
    ran = gridbot("init", "--config", file, typed="demo\nsim\n-1\n4\n\n")
    assert ran.code == 0, ran.err
    assert "must be one of sim, paper, live" in ran.err
    assert "must be a whole number" in ran.err
    document = tomllib.loads(file.read_text())
    assert document["slots"]["initial_slots"] == 4
    assert document["grid"]["order_size"] == 10


def test_init_overwrites_only_when_told(gridbot: Gridbot, tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("# mine\n")
    refused = gridbot(*SIM, "--config", file)
    assert refused.code == 2
    assert refused.err.endswith("Give its option or --force. See: gridbot init --help\n")
    assert gridbot(*SIM, "--config", file, typed="n\n").code == 130
    assert file.read_text() == "# mine\n"
    assert gridbot(*SIM, "--config", file, typed="y\n").code == 0
    assert gridbot(*SIM, "--config", file, "--force").code == 0
    assert "initial_slots" in file.read_text()


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (("--order-size", "-1"), 'flag --order-size: grid.order_size = "-1": must be'),
        (("--tier", "gold"), 'flag --tier: exchange.tier = "gold": must be one of starter'),
        (("--set", "grid.profit_pct=0.1"), "is below the fee floor"),
        (("--set", "run.api_secret=" + SECRET), "run.api_secret is no setting"),
    ],
)
def test_init_refuses_what_no_configuration_may_say(
    gridbot: Gridbot, tmp_path: Path, words: tuple[str, ...], fault: str
) -> None:
    file = tmp_path / "own.toml"
    size = () if "--order-size" in words else ("--order-size", "10")
    told = ("--mode", "sim", "--initial-slots", "2", *size)
    ran = gridbot("init", "--config", file, *told, *words)
    assert ran.code == 2
    assert fault in one_line(ran)
    assert SECRET not in ran.err
    assert not file.exists()


# ---- reconcile: the sums


PREFIX, OPENED, NOW = "gbtest", 1000.0, 9000.0


def entry(
    kind: str, client_id: str = "", quote: str = "0", base: str = "0", at: float = 2000.0
) -> LedgerEntry:
    amounts: dict[str, Any] = {}
    for side, text in (("quote", quote), ("base", base)):
        amount = D(text)
        amounts[f"{'debit' if amount < 0 else 'credit'}_{side}"] = abs(amount)
    return LedgerEntry(1, 1, at, kind, client_id=client_id, **amounts)  # type: ignore[arg-type]


def row(
    asset: str, amount: str, fee: str = "0", client_id: str = "", at: float = 2000.0
) -> OwnLedgerRow:
    return OwnLedgerRow("L1", at, "trade", asset, D(amount), D(fee), D(0), client_id=client_id)


BOOKS = [
    entry("OPENING_BALANCE", quote="500", at=OPENED),
    entry("BUY_ENTRY", "gbtest1", quote="-10", base="0.001"),
    entry("FEE", "gbtest1", quote="-0.04"),
    entry("ROUNDING", "gbtest1", quote="-0.00001"),
    entry("CYCLE_PROFIT", "gbtest1"),
    entry("TRANSFER", quote="50"),
    entry("EXTERNAL_TRADE", "gbother", quote="-7", base="0.0007"),
]
ROWS = [
    row("USD", "-4", "0.02", "gbtest1"), row("BTC", "0.0004", client_id="gbtest1"),
    row("USD", "-6.00001", "0.02", "gbtest1"), row("BTC", "0.0006", client_id="gbtest1"),
    row("USD", "50"), row("USD", "-7"), row("BTC", "0.0007", client_id="gbother9"),
]  # fmt: skip


def test_equal_sums_are_no_difference_however_they_were_split() -> None:
    assert differences(BOOKS, ROWS, "BTC/USD", PREFIX, NOW) == ([], 0)


@pytest.mark.parametrize("missing", range(len(ROWS)))
def test_each_missing_row_is_a_difference(missing: int) -> None:
    rows = ROWS[:missing] + ROWS[missing + 1 :]
    lines, _ = differences(BOOKS, rows, "BTC/USD", PREFIX, NOW)
    lost = ROWS[missing]
    who = "gbtest1" if lost.client_id == "gbtest1" else "not ours"
    assert [(line[0], line[1], D(line[4])) for line in lines] == [
        (who, lost.asset, lost.amount - lost.fee)
    ]


def test_what_kraken_knows_of_our_orders_and_we_do_not_is_a_difference() -> None:
    lines, _ = differences(
        BOOKS, [*ROWS, row("USD", "3", "0.01", "gbtest2")], "BTC/USD", PREFIX, NOW
    )
    assert lines == [("gbtest2", "USD", "0", "2.99", "-2.99")]


def test_an_order_that_just_moved_is_not_judged_yet() -> None:
    books = [*BOOKS, entry("SELL_EXIT", "gbtest2", quote="3", base="-0.0001", at=NOW + 1)]
    assert differences(books, ROWS, "BTC/USD", PREFIX, NOW) == ([], 2)


# ---- against the emulator, over real HTTP


class Emulator(NamedTuple):
    """A running emulator and the way to it."""

    address: str
    core: Core
    key: str = API_KEY
    secret: str = API_SECRET

    def ask(self, what: str, **changes: Any) -> Any:
        """Read or change its own side."""
        body = json.dumps(changes).encode() if changes else None
        with urllib.request.urlopen(f"{self.address}/emulator/{what}", body, timeout=20) as answer:
            return json.load(answer)

    def order(self, client_id: str, side: str = "buy", price: int = 30000) -> None:
        """Place one as the account's owner would, under this client id."""
        self.ask(
            "order", pair="XBTUSD", type=side, ordertype="limit", price=str(price),
            volume="0.001", cl_ord_id=client_id,
        )  # fmt: skip


@contextlib.contextmanager
def running() -> Iterator[Emulator]:
    """Served from a thread of this process, over real HTTP."""
    app = create_app(EmulatorConfig(tier="pro", ledger_digits="cost"), time.time)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        yield Emulator(f"http://127.0.0.1:{listener.getsockname()[1]}", app.state.emulator)
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def emulator_for_all() -> Iterator[Emulator]:
    with running() as one:
        yield one


def live(emulator: Emulator, home: Path, **changes: str) -> list[str]:
    """The options of a live configuration with a key file beside it."""
    file = home / "live.toml"
    file.write_text(
        f'[exchange]\npair = "btcusd"\ntier = "pro"\nbase_url = "{emulator.address}"\n'
        '[funds]\nquote = 500\nbase = "all"\n[run]\nmode = "live"\n'
        f'[persistence]\ndata_dir = "{home}/live"\n'
    )
    credentials = home / "credentials"
    key, secret = changes.get("key", emulator.key), changes.get("secret", emulator.secret)
    credentials.write_text(f"KRAKEN_API_KEY={key}\nKRAKEN_API_SECRET={secret}\n")
    credentials.chmod(0o600)
    return ["--config", str(file)]


def checks_of(ran: Ran) -> dict[str, str]:
    return {check["name"]: check["state"] for check in json.loads(ran.out)}


def test_init_asks_for_the_key_tries_it_and_keeps_it_private(
    gridbot: Gridbot, emulator: Emulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_API_KEY", emulator.key)
    monkeypatch.setenv("KRAKEN_API_SECRET", emulator.secret)
    file = home / "own" / "live.toml"
    told = ("--mode", "live", "--pair", "XBTUSD", "--tier", "pro", "--initial-slots", "2",
            "--order-size", "10", "--funds-quote", "500", "--funds-base", "all",
            "--set", f"exchange.base_url={emulator.address}")  # fmt: skip
    ran = gridbot("init", "--config", file, *told)
    assert (ran.code, ran.err) == (0, "")
    assert mode_of(file) == mode_of(file.parent / "credentials") == 0o600
    assert emulator.secret not in ran.out + file.read_text()
    monkeypatch.delenv("KRAKEN_API_KEY")
    monkeypatch.delenv("KRAKEN_API_SECRET")
    assert gridbot("doctor", "--config", file).code == 0
    before = (file.parent / "credentials").stat().st_mtime_ns
    assert gridbot("init", "--config", file, *told, "--force").code == 0
    assert (file.parent / "credentials").stat().st_mtime_ns == before


def test_the_doctor_names_every_missing_right_and_shouts_about_withdrawals(
    gridbot: Gridbot, emulator: Emulator, home: Path
) -> None:
    words = live(emulator, home)
    well = gridbot("doctor", "--json", *words)
    assert well.code == 0
    assert set(checks_of(well).values()) <= {"ok", "warning"}
    rights = ["query-funds", "query-open-trades", "query-ledger", "modify-trades", "withdraw-funds"]
    emulator.ask("options", permissions=rights)
    ran = gridbot("doctor", *words)
    assert ran.code == 1
    failed = [line for line in ran.out.splitlines() if line.startswith("failed")]
    assert [("Query closed" in line, "Cancel & close" in line) for line in failed] == [
        (True, False), (False, True),
    ]  # fmt: skip
    assert "THIS KEY CAN WITHDRAW YOUR FUNDS" in ran.out


def test_the_doctor_counts_orders_that_are_not_its_own(
    gridbot: Gridbot, emulator: Emulator, home: Path
) -> None:
    emulator.order("mine1")
    emulator.order("gbaaaa1")
    ran = gridbot("doctor", "--json", *live(emulator, home))
    found = {check["name"]: check["text"] for check in json.loads(ran.out)}
    assert found["other orders"].startswith("1 ")
    assert found["our orders"].startswith("1, 1 of another")
    assert checks_of(ran)["other orders"] == checks_of(ran)["our orders"] == "warning"


def test_cancel_orders_takes_what_is_ours_and_nothing_else(
    gridbot: Gridbot, emulator: Emulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client_id in ("gbaaaa1", "gbaaaa2", "gbbbbb1", "mine1"):
        emulator.order(client_id)

    def open_ids() -> set[str]:
        orders = emulator.ask("book")["orders"].values()
        return {one["cl_ord_id"] for one in orders if one["status"] == "open"}

    monkeypatch.setenv("KRAKEN_API_KEY", emulator.key)
    monkeypatch.setenv("KRAKEN_API_SECRET", emulator.secret)
    words = ("cancel-orders", "--set", f"exchange.base_url={emulator.address}")
    assert gridbot(*words, typed="n\n").code == 130
    assert len(open_ids()) == 4
    one = gridbot(*words, "--prefix", "gbbbbb", "--pair", "btc/usd", "--yes")
    assert (one.code, "1 cancelled, 0 left" in one.out) == (0, True)
    rest = gridbot(*words, typed="y\n")
    assert (rest.code, "2 cancelled, 0 left" in rest.out) == (0, True)
    assert open_ids() == {"mine1"}
    assert gridbot(*words).out == "no open order begins with gb\n"
    assert "client ids begin with gb" in one_line(gridbot(*words, "--prefix", "x"))


def test_books_that_were_traded_live_agree_with_kraken_but_for_what_came_after(
    gridbot: Gridbot, emulator: Emulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = live(emulator, home)
    run = [sys.executable, "-m", "gridbot", "run", "--headless", "--yes", *words]
    fast = ["--set", "timing.poll_interval_seconds=1"]
    subprocess.run([*run, "--cycles", "2", *fast], check=True, capture_output=True, timeout=60)
    ours = [one for one in emulator.ask("book")["orders"].values() if one.get("cl_ord_id")]
    assert ours
    emulator.ask("fill", cl_ord_id=ours[0]["cl_ord_id"])
    emulator.core.calls = CallCounter("pro")  # so that nobody waits for earlier calls to fade
    subprocess.run([*run, "--cycles", "2", *fast], check=True, capture_output=True, timeout=60)
    emulator.ask("deposit", asset="ZUSD", amount="5")
    monkeypatch.setattr(kraken, "SETTLE_SECONDS", -60.0)
    emulator.core.calls = CallCounter("pro")
    ran = gridbot("ledger", "reconcile", *words)
    assert ran.code == 1
    assert re.fullmatch(r"order.*\nnot ours +USD +0 +5 +-5\n3 rows .*\n", ran.out), ran


def test_paper_asks_nothing_private_and_reads_no_key(
    gridbot: Gridbot, emulator: Emulator, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KRAKEN_API_SECRET", "malformed")
    os.mkfifo(home / "credentials")
    place = ("--set", f"exchange.base_url={emulator.address}", "--data-dir", home / "paper")
    told = ("--mode", "paper", "--pair", "BTC/USD", "--tier", "pro", "--initial-slots", "2",
            "--order-size", "10")  # fmt: skip
    assert gridbot("init", "--config", home / "paper.toml", *told, *place).code == 0
    words = ("--config", home / "paper.toml")
    assert gridbot("plan", *words).code == 0
    assert gridbot("doctor", *words).code == 0
    for command in (("cancel-orders",), ("ledger", "reconcile")):
        assert gridbot(*command, *words).code == 2
    log = emulator.ask("log")
    assert log["private"] == 0
    assert log["public"] > 0


# ---- secrets


@pytest.mark.parametrize("fault", ["swapped", "cut", "wrong", "blank", "misspelt", "key as secret"])
@pytest.mark.parametrize(
    "command",
    ["doctor", "plan", "cancel-orders --yes", "ledger reconcile", "config show", "config check",
     "status", "run --headless --yes --cycles 1",
     "init --force --mode live --pair BTC/USD --tier pro --funds-quote 5 --funds-base 1 "
     "--initial-slots 1 --order-size 10"],
)  # fmt: skip
def test_no_command_shows_any_of_a_key_however_wrong_it_is(
    gridbot: Gridbot, emulator_for_all: Emulator, home: Path, fault: str, command: str
) -> None:
    key, secret = {
        "swapped": (SECRET, KEY), "cut": (KEY, SECRET[:-5]), "wrong": (KEY, SECRET),
        "blank": (KEY, SECRET[:30] + " " + SECRET[30:]), "misspelt": (KEY, SECRET),
        "key as secret": (KEY, KEY),
    }[fault]  # fmt: skip
    words = live(emulator_for_all, home, key=key, secret=secret)
    if fault == "misspelt":
        with (home / "live.toml").open("a") as file:
            file.write(
                f'[kraken]\napi_sekret = "{SECRET}"\n[exchange.keys]\nkraken_key = "{KEY}"\n'
            )
    ran = gridbot(*command.split(), *words)
    said = ran.out + ran.err
    assert "Traceback" not in said
    assert ran.code in (0, 1, 2)
    if ran.code == 2:
        assert all(line.startswith("gridbot: ") for line in ran.err.splitlines())
    pieces = {text[at : at + 8] for text in (KEY, SECRET) for at in range(len(text) - 7)}
    assert not any(piece in said for piece in pieces)
    left = [file for file in home.rglob("*") if file.is_file() and file.name != "credentials"]
    for file in left:
        if file.name != "live.toml" or command.startswith("init"):
            content = file.read_text(errors="replace")
            assert not any(piece in content for piece in pieces), file
