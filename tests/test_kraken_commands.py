"""What an operator types between an account and a bot: init, plan, doctor, the brake."""

import base64
import io
import json
import os
import stat
import sys
import tomllib
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import click
import pytest
from msgspec.structs import replace

from gridbot.cli import main
from gridbot.commands.kraken import confirm_first_live, differences
from gridbot.core.records import LedgerEntry, OwnLedgerRow
from gridbot.core.settings import ExchangeSettings, RunSettings, Settings

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
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
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
    return place


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
