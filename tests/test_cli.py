"""The command line as a person or a script meets it: what it prints, where, and its exit codes."""

import gzip
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gridbot.cli import main

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = [
    "tui", "run", "simulate", "status", "ledger show", "ledger verify", "config check",
    "config show",
]  # fmt: skip
REPORT_FIELDS = re.findall(r"\w+", """
    pair source ticks simulated_seconds elapsed_seconds ticks_per_second slots orders_placed
    orders_cancelled orders_rejected executions round_trips orphans reprices write_offs profit
    governor auto_slots inventory balances open_orders_max effective_cap invariant_violations
    quarantined_slots idle_without_reason ledger_entries ledger_ok state_sha256
""")  # fmt: skip
BUSY = ("--slots", "10", "--sticky-ratio", "0.5", "--set", "sim.volatility=0.3")


class Ran(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str


Gridbot = Callable[..., Ran]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home of its own, so that no test sees or leaves anything elsewhere."""
    for name in [name for name in os.environ if name.startswith(("GRIDBOT_", "KRAKEN_"))]:
        monkeypatch.delenv(name)
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    handler = signal.getsignal(signal.SIGTERM)
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    yield place
    signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def gridbot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Gridbot:
    """Run a command line in this process."""

    def call(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["gridbot", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return call


def process(*words: object, **options: Any) -> Ran:
    """Run a command line in a process of its own."""
    command = [sys.executable, "-m", "gridbot", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, **options)
    return Ran(done.returncode, done.stdout, done.stderr)


def simulated(gridbot: Gridbot, *words: object) -> dict[str, Any]:
    ran = gridbot("simulate", "--json", *words)
    assert ran.code == 0, ran.err
    report: dict[str, Any] = json.loads(ran.out)
    return report


def candles(path: Path, rows: int = 50, **changed: str) -> Path:
    """A recording of a minute per line; ``line_3="..."`` replaces the third line."""
    lines = [f"{1_700_000_000 + 60 * n},2.5,2.6,2.4,2.{n % 3 + 4},100,7" for n in range(rows)]
    for name, text in changed.items():
        lines[int(name.removeprefix("line_")) - 1] = text
    path.write_text("\n".join(lines) + "\n")
    return path


# ---- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(gridbot: Gridbot, command: str) -> None:
    ran = gridbot(*command.split(), "--help")
    assert (ran.code, ran.err) == (0, "")
    assert re.search(rf"Examples:\n +(GRIDBOT_\S+ )?gridbot {command}", ran.out)
    for option in ("--config", "--data-dir", "--profile", "--set"):
        assert option in ran.out


@pytest.mark.parametrize("group", [(), ("ledger",), ("config",)])
def test_a_group_alone_shows_its_help(gridbot: Gridbot, group: tuple[str, ...]) -> None:
    ran = gridbot(*group)
    assert ran.code == 0
    assert "Examples:" in ran.out


def test_help_imports_click_and_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "sys.argv = ['gridbot', 'simulate', '--help']\n"
        "from gridbot.cli import main\n"
        "try: main()\n"
        "except SystemExit: print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "click" in loaded
    heavy = {"msgspec", "textual", "rich", "httpx", "asyncio", "platformdirs", "gridbot.config"}
    assert loaded & heavy == set()
    ours = {name for name in loaded if name.startswith("gridbot.")}
    assert ours == {"gridbot.cli", "gridbot.commands", "gridbot.commands.choices"}


def test_it_tells_its_version(gridbot: Gridbot) -> None:
    from gridbot import __version__

    assert gridbot("--version") == Ran(0, f"gridbot {__version__}\n", "")


# ---- bad input: one line each, exit code 2


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("bogus", "No such command 'bogus'. See: gridbot --help"),
        ("run", "run works with --headless only; for a screen: gridbot tui. "
         "See: gridbot run --help"),
        ("tui", "tui needs a terminal; without one: gridbot run --headless. "
         "See: gridbot tui --help"),
        ("run --headless --cycles 0",
         "Invalid value for '--cycles': 0 is not in the range x>=1. See: gridbot run --help"),
        ("run --headless --set exchange.pair=DOGGY/USD",
         "pair 'DOGGY/USD' is not known to the simulation; did you mean DOGE/USD, "
         "DOGE/USDT?"),
        ("simulate --slots 0",
         "Invalid value for '--slots': 0 is not in the range 1<=x<=1000. "
         "See: gridbot simulate --help"),
        ("simulate --hours 0",
         "Invalid value for '--hours': 0 is not above 0 and at most 878400. "
         "See: gridbot simulate --help"),
        ("simulate --hours nan",
         "Invalid value for '--hours': nan is not above 0 and at most 878400. "
         "See: gridbot simulate --help"),
        ("simulate --seed -1",
         "flag --seed: sim.seed = \"-1\": must be a whole number from 0 to 9223372036854775807"),
        ("simulate --sticky-ratio 2",
         'flag --sticky-ratio: slots.initial_sticky_ratio = "2": must be a number from 0 to 1'),
        ("simulate --set grid.profit_pct",
         "Invalid value for '--set': needs section.key=value, such as grid.profit_pct=1.5. "
         "See: gridbot simulate --help"),
        ("simulate --set grid.profit_pkt=2",
         "flag --set: grid.profit_pkt is no setting; did you mean grid.profit_pct?"),
        ("simulate --set grid.profit_pct=0.5",
         "grid.profit_pct = 0.5 [flag --set grid.profit_pct] is below the fee floor 1 = "
         "2 x fees.maker_fee_pct = 0.4 [default] + fees.min_profit_margin_pct = 0.2 [default]"),
        ("simulate --replay FILE --synthetic",
         "--replay and --synthetic are two different markets: choose one. "
         "See: gridbot simulate --help"),
        ("simulate --replay no.csv", "no.csv: there is no such file"),
        ("status --data-dir nowhere", "{here}/nowhere: no data directory there"),
        ("ledger verify --data-dir nowhere", "{here}/nowhere: no data directory there"),
        ("ledger show --data-dir nowhere", "{here}/nowhere: no data directory there"),
        ("status --data-dir .", "{here}: nothing has been traded there yet"),
        ("ledger verify --data-dir .",
         "{here}/ledger.jsonl: no ledger there: nothing was traded yet"),
        ("status --data-dir=", "Invalid value for '--data-dir': the name is empty; give one or "
         "leave the option out. See: gridbot status --help"),
        ("config check --config no.toml", "--config: no such file: no.toml"),
        ("config show --profile a/b",
         'flag --profile: run.profile = "a/b": must be a name of letters, digits, dot, - and _'),
    ],
)  # fmt: skip
def test_bad_input_gets_one_line(
    gridbot: Gridbot, words: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert gridbot(*words.split()) == Ran(2, "", f"gridbot: {line.format(here=here)}\n")
    assert list(here.iterdir()) == [], "nothing was left behind"


def test_each_problem_of_a_configuration_is_a_line(gridbot: Gridbot, tmp_path: Path) -> None:
    file = tmp_path / "bad.toml"
    file.write_text("[grid]\nentry_pct = -1\nprofit_pkt = 2\n")
    ran = gridbot("config", "check", "--config", file, "--set", "slots.max_slots=x")
    assert ran.code == 2
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("gridbot: ") for line in lines)
    assert f"{file}:2" in ran.err
    assert f"{file}:3" in ran.err


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1700000120,2.5,2.6,2.4,2.5,100", "has 6 columns; the file has 7"),
        ("1700000120,2.5,2.6,2.4,abc,100,7", "close: 'abc' is not a number"),
        ("1700000120,2.5,2.6,2.4,2.9,100,7", "close 2.9 is outside low 2.4 to high 2.6"),
        ("1700000000,2.5,2.6,2.4,2.5,100,7", "time 1700000000 is not after 1700000060"),
    ],
)
def test_a_bad_line_of_a_recording_is_named(
    gridbot: Gridbot, tmp_path: Path, line: str, fault: str
) -> None:
    file = candles(tmp_path / "market.csv", line_3=line)
    ran = gridbot("simulate", "--replay", file)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"gridbot: {file}: line 3: {fault}")
    assert ran.err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_named(gridbot: Gridbot, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("in the way")
    ran = gridbot("simulate", "--hours", 1, "--data-dir", file / "data")
    reason = "a file stands in its place or above it: name a directory"
    assert ran == Ran(2, "", f"gridbot: {file / 'data'}: {reason}\n")


def test_a_fault_of_the_program_itself_is_not_hidden(
    gridbot: Gridbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **named: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("gridbot.commands.simulate.plan_venue", fail)
    monkeypatch.setattr(sys, "argv", ["gridbot", "simulate"])
    with pytest.raises(ZeroDivisionError):
        main()


# ---- simulate


def test_the_json_report_is_one_object_with_exactly_these_fields(gridbot: Gridbot) -> None:
    ran = gridbot("simulate", "--json", "--hours", 48, *BUSY)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.count("\n") == 1
    report = json.loads(ran.out)
    assert list(report) == REPORT_FIELDS
    assert report["slots"] == {"sticky": 5, "cycle": 5}
    assert set(report["profit"]) == {"realised", "fees", "write_offs", "unrealised"}
    assert set(report["inventory"]) == {"units", "cost"}
    assert report["balances"]["ledger"] == report["balances"]["exchange"]
    assert all(isinstance(v, str) for side in report["balances"].values() for v in side.values())
    assert report["executions"] > 0
    assert report["ledger_ok"] is True
    assert re.fullmatch("[0-9a-f]{64}", report["state_sha256"])


def test_the_report_for_people_has_the_same_figures(gridbot: Gridbot) -> None:
    report = simulated(gridbot, "--hours", 48, *BUSY)
    text = gridbot("simulate", "--hours", 48, *BUSY).out
    assert f"round trips  {report['round_trips']}\n" in text
    assert f"{report['ledger_entries']:,} entries, verified" in text
    assert report["state_sha256"] in text
    assert f"{report['balances']['ledger']['quote']} USD" in text


def test_equal_arguments_give_the_same_state(gridbot: Gridbot, tmp_path: Path) -> None:
    one = simulated(gridbot, "--hours", 48, *BUSY)
    kept = simulated(gridbot, "--hours", 48, *BUSY, "--data-dir", tmp_path / "kept")
    spelled = simulated(gridbot, "--hours", "48.0", *BUSY, "--seed", 1, "--set", "sim.speed=9")
    other = simulated(gridbot, "--hours", 48, *BUSY, "--seed", 2)
    assert one["state_sha256"] == kept["state_sha256"] == spelled["state_sha256"]
    assert other["state_sha256"] != one["state_sha256"]


def test_a_finished_simulation_prints_its_report_again(gridbot: Gridbot, tmp_path: Path) -> None:
    words = ("--hours", 48, *BUSY, "--data-dir", tmp_path / "kept")
    first, again = simulated(gridbot, *words), simulated(gridbot, *words)
    for name in ("elapsed_seconds", "ticks_per_second"):
        del first[name], again[name]
    assert first == again
    spelled = simulated(gridbot, *words, "--set", "grid.profit_pct=1.00")
    assert spelled["state_sha256"] == first["state_sha256"]


@pytest.mark.parametrize(
    ("words", "difference"),
    [
        (("--hours", 25), "hours is 24 there, 25 here"),
        (("--hours", 24, "--seed", 2), "sim.seed is 1 there, 2 here"),
        (("--hours", 24, "--set", "grid.profit_pct=1.5"), "grid.profit_pct is 1 there, 1.5 here"),
        (("--hours", 25, "--seed", 2), "hours is 24 there, 25 here (1 more differ)"),
    ],
)
def test_other_arguments_are_refused_with_the_difference(
    gridbot: Gridbot, tmp_path: Path, words: tuple[object, ...], difference: str
) -> None:
    place = tmp_path / "kept"
    simulated(gridbot, "--hours", 24, "--data-dir", place)
    ran = gridbot("simulate", *words, "--data-dir", place)
    advice = "repeat its arguments or choose another directory"
    assert ran == Ran(
        2, "", f"gridbot: {place}: holds another simulation: {difference}: {advice}\n"
    )


def test_a_directory_keeps_to_its_recording(gridbot: Gridbot, tmp_path: Path) -> None:
    place, file = tmp_path / "kept", candles(tmp_path / "market.csv")
    assert gridbot("simulate", "--replay", file, "--data-dir", place).code == 0
    candles(file, line_50="1700002940,2.5,2.6,2.4,2.41,100,7")
    ran = gridbot("simulate", "--replay", file, "--data-dir", place)
    assert ran.code == 2
    assert "holds another simulation: market is market.csv, sha256 " in ran.err
    ran = gridbot("simulate", "--hours", 1, "--data-dir", place)
    assert ran.code == 2
    assert "belongs to sim BASE/QUOTE for life, not to sim BTC/USD" in ran.err


def test_simulations_and_engines_keep_out_of_each_others_directories(
    gridbot: Gridbot, tmp_path: Path
) -> None:
    simulated(gridbot, "--hours", 1, "--data-dir", tmp_path / "a")
    ran = gridbot("run", "--headless", "--data-dir", tmp_path / "a")
    assert ran.code == 2
    assert ran.err.startswith(f"gridbot: {tmp_path / 'a'}: belongs to a simulation")
    assert process("run", "--headless", "--cycles", 1, "--data-dir", tmp_path / "b").code == 0
    ran = gridbot("simulate", "--data-dir", tmp_path / "b")
    assert ran.code == 2
    assert ran.err.startswith(f"gridbot: {tmp_path / 'b'}: belongs to an engine")


def test_more_slots_than_allowed_raise_the_limit(gridbot: Gridbot) -> None:
    report = simulated(gridbot, "--hours", 1, "--slots", 112)
    assert sum(report["slots"].values()) == 112


def test_a_recording_gets_its_rules_inferred_and_says_so(gridbot: Gridbot, tmp_path: Path) -> None:
    file = tmp_path / "market.csv.gz"
    file.write_bytes(gzip.compress(candles(tmp_path / "market.csv").read_bytes()))
    ran = gridbot("simulate", "--replay", file, "--json")
    assert ran.code == 0
    assert ran.err == (
        "Pair rules inferred from the data: price step 0.1, volume step 0.00000001, smallest "
        "order 0.01 BASE.\n"
    )
    assert json.loads(ran.out)["pair"] == "BASE/QUOTE"
    unknown = gridbot("simulate", "--replay", file, "--json", "--pair", "foo/usd")
    assert json.loads(unknown.out)["pair"] == "FOO/USD"
    assert "inferred" in unknown.err


def test_a_recording_of_a_known_pair_gets_its_rules(gridbot: Gridbot, tmp_path: Path) -> None:
    file = candles(tmp_path / "market.csv")
    ran = gridbot("simulate", "--replay", file, "--json", "--pair", "xdgusd", "--hours", 0.5)
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["pair"] == "DOGE/USD"
    assert json.loads(ran.out)["ticks"] == 4 * 30


def test_too_fine_a_recording_for_a_pair_is_refused(gridbot: Gridbot, tmp_path: Path) -> None:
    file = candles(tmp_path / "market.csv", line_1="1700000000,2.5,2.6,2.4,2.4321,100,7")
    ran = gridbot("simulate", "--replay", file, "--pair", "BTC/USD")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"gridbot: {file}: its prices have 4 decimals, 1 were asked for")


@pytest.mark.parametrize(
    "name",
    [
        "kraken_XDGUSD_5m_2024Q3.csv.gz",
        "kraken_XBTUSD_1m_202303.csv.gz",
        "bybit_DOGEUSDT_1m_202506.csv.gz",
        "kraken_XBTUSDT_trades_20251110.csv",
        "binance_ETHUSDT_trades_20240808.csv.gz",
    ],
)
def test_recorded_markets_end_with_books_that_verify(
    gridbot: Gridbot, shared: Path, name: str
) -> None:
    report = simulated(gridbot, "--replay", shared / "data" / name, "--slots", 8)
    assert report["ledger_ok"] is True
    assert report["balances"]["ledger"] == report["balances"]["exchange"]
    assert (report["invariant_violations"], report["idle_without_reason"]) == (0, 0)


def test_without_a_directory_nothing_is_left(
    gridbot: Gridbot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    simulated(gridbot, "--hours", 1)
    assert list(place.iterdir()) == []


def test_the_progress_bar_is_for_terminals_only() -> None:
    ours, theirs = pty.openpty()
    try:
        words = [sys.executable, "-m", "gridbot", "simulate", "--hours", "1", "--json"]
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=theirs, check=True)
        assert b"simulating" in os.read(ours, 10_000)
    finally:
        os.close(ours)
        os.close(theirs)
    assert set(json.loads(done.stdout)) == set(REPORT_FIELDS)


# ---- looking at a directory


@pytest.fixture
def traded(gridbot: Gridbot, tmp_path: Path) -> Path:
    """A directory with a finished simulation in it."""
    place = tmp_path / "traded"
    simulated(gridbot, "--hours", 36, *BUSY, "--data-dir", place)
    return place


def test_status_of_a_stopped_engine(gridbot: Gridbot, traded: Path) -> None:
    ran = gridbot("status", "--json", "--data-dir", traded)
    assert (ran.code, ran.err) == (0, "")
    status = json.loads(ran.out)
    assert status["engine"]["state"] == "stopped"
    assert status["pair"]["name"] == "BTC/USD"
    assert [slot["id"] for slot in status["slots"]] == list(range(1, 11))
    ran = gridbot("status", "--data-dir", traded)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "engine    stopped"
    assert lines[1].startswith("market    BTC/USD, mode sim, price ")
    assert len(lines) == lines.index("") + 2 + 10


def test_status_replays_the_journal_after_the_snapshot(gridbot: Gridbot, traded: Path) -> None:
    before = gridbot("status", "--json", "--data-dir", traded).out
    for name in ("state.json", "state.json.previous"):
        (traded / name).unlink()
    assert gridbot("status", "--json", "--data-dir", traded).out == before


def test_looking_changes_nothing(gridbot: Gridbot, traded: Path) -> None:
    def picture() -> dict[str, tuple[bytes, int]]:
        return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in traded.iterdir()}

    before = picture()
    for command in ("status", "ledger show", "ledger verify"):
        assert gridbot(*command.split(), "--data-dir", traded).code == 0
    assert picture() == before


def test_the_ledger_is_shown_newest_last(gridbot: Gridbot, traded: Path) -> None:
    ran = gridbot("ledger", "show", "-n", 5, "--json", "--data-dir", traded)
    rows = [json.loads(line) for line in ran.out.splitlines()]
    written = (traded / "ledger.jsonl").read_text().splitlines()
    assert rows == [json.loads(line) for line in written[-5:]]
    table = gridbot("ledger", "show", "-n", 5, "--data-dir", traded).out.splitlines()
    assert [line.split()[0] for line in table] == ["id", *(str(row["id"]) for row in rows)]


def test_the_ledger_of_one_slot(gridbot: Gridbot, traded: Path) -> None:
    ran = gridbot("ledger", "show", "--slot", 3, "--json", "--data-dir", traded)
    assert {json.loads(line)["slot_id"] for line in ran.out.splitlines()} == {3}
    account = gridbot("ledger", "show", "--slot", 0, "--json", "--data-dir", traded)
    assert {json.loads(line)["entry_type"] for line in account.out.splitlines()} == {
        "OPENING_BALANCE"
    }
    assert gridbot("ledger", "show", "--slot", 99, "--data-dir", traded).out == "no entries\n"


def test_a_whole_ledger_is_proven(gridbot: Gridbot, traded: Path) -> None:
    ran = gridbot("ledger", "verify", "--data-dir", traded)
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    count = (traded / "ledger.jsonl").read_bytes().count(b"\n")
    assert lines[0] == f"entries    {count}"
    assert lines[-1] == "ok"


def test_an_edited_ledger_is_found_out(gridbot: Gridbot, traded: Path) -> None:
    file = traded / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    lines[6] = lines[6].replace(b'"price":"6', b'"price":"7', 1)
    file.write_bytes(b"".join(lines))
    ran = gridbot("ledger", "verify", "--data-dir", traded)
    assert ran.code == 1
    assert ran.err.startswith(f"gridbot: {file}: line 7: ")
    assert "ok" not in ran.out.split()


def test_a_ledger_cut_short_is_found_out(gridbot: Gridbot, traded: Path) -> None:
    file = traded / "ledger.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:-5]))
    assert gridbot("ledger", "verify", "--data-dir", traded).code == 1


def test_a_torn_last_line_is_only_noted(gridbot: Gridbot, traded: Path) -> None:
    with (traded / "ledger.jsonl").open("ab") as file:
        file.write(b'{"id":')
    ran = gridbot("ledger", "verify", "--data-dir", traded)
    assert ran.code == 0
    assert "torn" in ran.err
    assert ran.out.endswith("ok\n")


def test_a_damaged_snapshot_is_passed_over_with_a_note(gridbot: Gridbot, traded: Path) -> None:
    (traded / "state.json").write_text("{")
    ran = gridbot("status", "--data-dir", traded)
    assert ran.code == 0
    assert f"gridbot: note: {traded / 'state.json'}: damaged" in ran.err


# ---- configuration


def test_a_good_configuration_is_ok(gridbot: Gridbot) -> None:
    ran = gridbot("config", "check", "--set", "grid.profit_pct=1.5")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("ok\n")
    assert "grid.profit_pct = 1.5 [flag --set grid.profit_pct]" in ran.out


def test_the_check_warns_of_odds_below_break_even_and_asks_no_real_market(gridbot: Gridbot) -> None:
    short = gridbot("config", "check", "--set", "cycle.s1_orphan_after_sec=600")
    assert re.search(r"\nodds +\d.* exits at 1 % were reached within 10 min ", short.out)
    assert re.search(r"\nWARNING +CYCLE SLOTS LOSE MONEY HERE: ", short.out)
    unknown = gridbot("config", "check", "--set", "exchange.pair=FOO/BAR")
    assert (unknown.code, "\nodds" in unknown.out) == (0, False)
    paper = gridbot("config", "check", "--set", "run.mode=paper")
    assert paper.out.endswith("\nodds            of this market: gridbot doctor asks Kraken\n")


def test_each_value_is_shown_with_its_origin(
    gridbot: Gridbot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRIDBOT_GRID_ENTRY_PCT", "0.3")
    monkeypatch.setenv("KRAKEN_API_SECRET", "do-not-show-this")
    ran = gridbot("config", "show")
    assert re.search(r"grid.entry_pct +0.3 +env GRIDBOT_GRID_ENTRY_PCT\n", ran.out)
    assert re.search(r"KRAKEN_API_SECRET +set ", ran.out)
    assert "do-not-show-this" not in ran.out


def test_the_profile_chooses_the_directory(gridbot: Gridbot, home: Path) -> None:
    ran = gridbot("config", "show", "--profile", "second")
    assert f"data directory  {home / 'data' / 'gridbot' / 'second'}\n" in ran.out


# ---- processes: signals, pipes, secrets


def test_a_killed_simulation_goes_on_to_the_same_end(gridbot: Gridbot, tmp_path: Path) -> None:
    words = ("--hours", "300", "--slots", "30", "--set", "sim.volatility=0.3")
    place = tmp_path / "killed"
    command = [sys.executable, "-m", "gridbot", "simulate", *words, "--data-dir", str(place)]
    victim = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    ledger = place / "ledger.jsonl"
    while not (ledger.exists() and ledger.stat().st_size):
        assert victim.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    victim.kill()
    victim.communicate()
    resumed = simulated(gridbot, *words, "--data-dir", place)
    whole = simulated(gridbot, *words)
    assert resumed["state_sha256"] == whole["state_sha256"]
    assert resumed["ledger_entries"] == whole["ledger_entries"]
    assert gridbot("ledger", "verify", "--data-dir", place).code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_simulation_leaves_quietly(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    command = [sys.executable, "-m", "gridbot", "simulate", "--hours", "500000", "--slots", "80"]
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env
    )
    while not list(tmp_path.glob("gridbot-*/journal-*")):
        assert running.poll() is None
        time.sleep(0.01)
    running.send_signal(number)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out, err.strip()) == (code, "", "")
    assert list(tmp_path.glob("gridbot-*")) == []


def test_a_reader_that_leaves_early_sees_no_traceback(traded: Path) -> None:
    ours, theirs = os.pipe()
    os.close(ours)
    command = [sys.executable, "-m", "gridbot", "ledger", "show", "--data-dir", str(traded)]
    done = subprocess.run(command, stdout=theirs, stderr=subprocess.PIPE, check=False)
    os.close(theirs)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    "words", [("run", "--headless", "--cycles", 2), ("simulate", "--hours", 1)], ids=lambda w: w[0]
)
def test_no_secret_reaches_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[object, ...]
) -> None:
    for name in ("GRIDBOT_PERSISTENCE_SUPABASE_KEY", "KRAKEN_API_KEY", "KRAKEN_API_SECRET"):
        monkeypatch.setenv(name, "hunter2-hunter2")
    file, place = tmp_path / "own.toml", tmp_path / "data"
    file.write_text('[persistence]\nsupabase_url = "https://me:hunter2@example.org"\n')
    ran = process(*words, "--config", file, "--data-dir", place)
    assert ran.code == 0, ran.err
    files = [file for file in place.rglob("*") if file.is_file()]
    assert {"state.json", "ledger.jsonl", "identity.json"} <= {file.name for file in files}
    written = b"".join(file.read_bytes() for file in files)
    assert b"initial_slots" in written, "the settings themselves are there"
    for hidden in ("hunter2", "example.org", str(tmp_path)):
        assert hidden.encode() not in written
    assert "hunter2" not in ran.out + ran.err
