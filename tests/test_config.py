"""Configuration: what is accepted from where, what is refused with which words, what is hidden."""

import base64
import os
import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from gridbot.config import (
    ConfigError,
    LoadedConfig,
    example_toml,
    load,
    render_check,
    render_show,
    settings_markdown,
)
from gridbot.config_schema import Row, convert, rows
from gridbot.config_sources import FILE_BYTES_MAX
from gridbot.core.settings import Settings

ROOT = Path(__file__).resolve().parents[1]
D = Decimal


@pytest.fixture(autouse=True)
def own_platform_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config-home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data-home"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "c.toml"


def loaded(path: Path, text: str, **env: str) -> LoadedConfig:
    path.write_text(text, encoding="utf-8")
    return load(path, env)


def problems(
    path: Path | None, env: dict[str, str] | None = None, flags: tuple[tuple[str, str], ...] = ()
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path, env or {}, flags)
    assert all("\n" not in line for line in caught.value.problems)
    return caught.value.problems


def file_problems(path: Path, text: str) -> list[str]:
    """Problems of one file, without the prefix that names the file."""
    path.write_text(text, encoding="utf-8")
    return [line.replace(f"file {path}:", "") for line in problems(path)]


# ---- the schema


def test_every_setting_has_a_row_and_every_row_a_setting() -> None:
    data = tomllib.loads((ROOT / "gridbot/settings.toml").read_text(encoding="utf-8"))
    described = {
        f"{section}.{name}"
        for section, members in data.items()
        if section not in ("pages", "formats")
        for name in members
        if name != "about"
    }
    settings = Settings()
    fields = {
        f"{section}.{name}"
        for section in settings.__struct_fields__
        for name in getattr(settings, section).__struct_fields__
    }
    assert described == fields == set(rows())


def test_every_default_is_accepted_by_its_own_row() -> None:
    for row in rows().values():
        assert bool(row.unset) == (row.default is None) == (row.example is not None), row.key
        if row.default is not None:
            text = str(row.default).lower() if row.number is bool else str(row.default)
            value = convert(row, text, from_text=True)
            assert value == row.default, row.key
            assert type(value) is type(row.default), row.key
        else:
            assert convert(row, str(row.example), from_text=True) is not None, row.key


def test_every_text_without_choices_has_a_format() -> None:
    for row in rows().values():
        assert row.number or row.choices or row.format, row.key


# ---- sources and their order


def test_nothing_given_is_all_defaults(tmp_path: Path) -> None:
    config = load(None, {"HOME": "/somewhere", "PATH": "/bin"})
    assert config.settings == Settings()
    assert set(config.origins.values()) == {"default"}
    assert config.config_path is None
    assert config.data_dir == tmp_path / "data-home/gridbot/default"


def test_a_stronger_source_wins_and_is_named_as_origin(path: Path) -> None:
    path.write_text("[grid]\nentry_pct = 0.3\norder_size = 11\nprofit_pct = 1.1\n")
    env = {"GRIDBOT_GRID_ENTRY_PCT": "0.4", "GRIDBOT_GRID_ORDER_SIZE": "12"}
    flags = (("grid.entry_pct", "0.45"), ("grid.entry_pct", "0.5"))
    config = load(path, env, flags)
    grid = config.settings.grid
    assert (grid.entry_pct, grid.order_size, grid.profit_pct) == (D("0.5"), D(12), D("1.1"))
    assert config.origins["grid.entry_pct"] == "flag --set grid.entry_pct"
    assert config.origins["grid.order_size"] == "env GRIDBOT_GRID_ORDER_SIZE"
    assert config.origins["grid.profit_pct"] == f"file {path}:4"
    assert config.origins["grid.refresh_pct"] == "default"
    assert config.config_path == path


def test_the_file_is_config_then_environment_then_platform_directory(tmp_path: Path) -> None:
    names = ("flag", "env", "home")
    for name in names:
        (tmp_path / f"{name}.toml").write_text(f'[run]\nprofile = "{name}"\n')
    home = tmp_path / "config-home/gridbot/config.toml"
    home.parent.mkdir(parents=True)
    home.write_bytes((tmp_path / "home.toml").read_bytes())
    env = {"GRIDBOT_CONFIG": str(tmp_path / "env.toml")}
    assert load(tmp_path / "flag.toml", env).settings.run.profile == "flag"
    assert load(None, env).settings.run.profile == "env"
    assert load(None, {}).settings.run.profile == "home"
    assert load(None, {}).config_path == home


def test_data_directory_follows_profile_unless_named(path: Path, tmp_path: Path) -> None:
    home = tmp_path / "data-home/gridbot"
    assert loaded(path, '[run]\nprofile = "eth-2"').data_dir == home / "eth-2"
    assert loaded(path, '[persistence]\ndata_dir = "/srv/g b"').data_dir == Path("/srv/g b")
    assert loaded(path, '[persistence]\ndata_dir = "books"').data_dir == tmp_path / "books"
    from_env = loaded(path, "", GRIDBOT_PERSISTENCE_DATA_DIR="books")
    assert from_env.data_dir == Path.cwd() / "books"


def test_home_is_expanded_and_an_unknown_home_refused(path: Path) -> None:
    assert load(None, {}, [("persistence.data_dir", "~/g")]).data_dir == Path.home() / "g"
    assert file_problems(path, '[persistence]\ndata_dir = "~nobody-here/x"') == [
        '2: persistence.data_dir = "~nobody-here/x": that home is not known'
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\n\n[grid]\n# entry_pct = 9\nentry_pct = 0.3", 5),
        ("grid.entry_pct = 0.3", 1),
        ("\ngrid = { profit_pct = 2, entry_pct = 0.3 }", 2),
        ("[tui]\nfps = 3\n\n[ grid ] # the grid\n  'entry_pct'=0.3", 5),
        ('[persistence]\nsupabase_key = """x"""\n[grid]\r\n"entry_pct" = 0.3', 4),
    ],
)
def test_the_line_of_a_value_is_found_in_every_form(path: Path, text: str, line: int) -> None:
    config = loaded(path, text)
    assert config.settings.grid.entry_pct == D("0.3")
    assert config.origins["grid.entry_pct"] == f"file {path}:{line}"


def test_numbers_are_exact_and_of_the_settings_own_type(path: Path) -> None:
    text = '[grid]\nentry_pct = 0.1000000000000000055\norder_size = "12.50"\nprofit_pct = 2\n'
    settings = loaded(path, text + "refresh_cooldown_sec = 1_000\n[tui]\nfps = 0x1E").settings
    assert settings.grid.entry_pct == D("0.1000000000000000055")
    assert settings.grid.order_size == D("12.50")
    assert settings.grid.profit_pct == D(2)
    assert isinstance(settings.grid.profit_pct, Decimal)
    assert settings.grid.refresh_cooldown_sec == 1000.0
    assert isinstance(settings.grid.refresh_cooldown_sec, float)
    assert settings.tui.fps == 30


@pytest.mark.parametrize("word", ["true", "Yes", "1", "ON"])
def test_truth_has_many_names_outside_the_file(word: str) -> None:
    assert load(None, {"GRIDBOT_CYCLE_WRITE_OFF": word}).settings.cycle.write_off is True


@pytest.mark.parametrize("word", ["false", "no", "0", "Off"])
def test_so_has_falsehood(word: str) -> None:
    assert load(None, {}, [("cycle.write_off", word)]).settings.cycle.write_off is False


def test_funds_are_a_number_or_all(path: Path) -> None:
    funds = loaded(path, '[funds]\nquote = "all"\nbase = 0.5').settings.funds
    assert (funds.quote, funds.base) == ("all", D("0.5"))


def test_an_empty_text_unsets_what_may_be_unset(path: Path) -> None:
    config = loaded(path, '[exchange]\ntier = "pro"', GRIDBOT_EXCHANGE_TIER="")
    assert config.settings.exchange.tier is None
    assert problems(None, {"GRIDBOT_RUN_MODE": ""}) == [
        'env GRIDBOT_RUN_MODE: run.mode = "": must be one of sim, paper, live'
    ]


def test_a_byte_order_mark_is_forgiven(path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf[tui]\r\nfps = 5\r\n")
    assert load(path, {}).settings.tui.fps == 5


# ---- refused values, with their words


@pytest.mark.parametrize(
    ("key", "toml", "expected"),
    [
        ("grid.entry_pct", "0", "0: must be a number above 0 and below 50 (percent)"),
        ("grid.entry_pct", "50.0", "50.0: must be a number above 0 and below 50 (percent)"),
        ("grid.entry_pct", '"0,2"', '"0,2": use a dot: 0.2'),
        ("grid.entry_pct", "true", "true: must be a number above 0 and below 50 (percent)"),
        ("grid.entry_pct", "nan", "nan: must be a number above 0 and below 50 (percent)"),
        ("grid.order_size", "inf", "inf: must be a number above 0 (quote)"),
        ("grid.order_size", "1e999999999", "1e999999999: must be a number above 0 (quote)"),
        ("grid.order_size", "0x" + "f" * 5000, "too long: must be a number above 0 (quote)"),
        ("funds.quote", '"most"', '"most": must be a number at least 0 (quote) or "all"'),
        ("tui.fps", "31", "31: must be a whole number from 0 to 30"),
        ("tui.fps", "3.0", "3.0: must be a whole number from 0 to 30"),
        ("tui.fps", '"3"', '"3": must be a whole number from 0 to 30, without quotes'),
        ("cycle.write_off", "1", "1: must be true or false"),
        ("cycle.write_off", '"true"', '"true": must be true or false'),
        ("cycle.write_off", '"0,2"', '"0,2": must be true or false'),
        ("exchange.tier", '"gold"', '"gold": must be one of starter, intermediate, pro'),
        ("exchange.pair", '"BTC-USD"', '"BTC-USD": must be a pair such as "BTC/USD"'),
        ("exchange.pair", "5", '5: must be a pair such as "BTC/USD"'),
        ("exchange.pair", "0.5", '0.5: must be a pair such as "BTC/USD"'),
        ("exchange.pair", "1979-05-27", 'a date: must be a pair such as "BTC/USD"'),
        ("exchange.pair", '["BTC/USD"]', 'a list: must be a pair such as "BTC/USD"'),
        ("exchange.pair.x", "1", 'a table: must be a pair such as "BTC/USD"'),
        ("run.profile", '"../up"', '"../up": must be a name of letters, digits, dot, - and _'),
        ("persistence.state_file", '"a/b"', '"a/b": must be a plain file name without a directory'),
        ("persistence.data_dir", '"a\\nb"', '"a?b": must be a directory'),
        (
            "persistence.supabase_url",
            '"ftp://me:pass1@host"',
            '"ftp://***@host": must be an address starting with https://',
        ),
        ("persistence.supabase_key", '"my word"', "***: must be text without blanks"),
    ],
)
def test_a_refused_value_is_named_with_what_is_allowed(
    path: Path, key: str, toml: str, expected: str
) -> None:
    shown_key = ".".join(key.split(".")[:2])
    assert file_problems(path, f"\n{key} = {toml}") == [f"2: {shown_key} = {expected}"]


def test_environment_and_flags_name_themselves() -> None:
    env = {"GRIDBOT_GRID_ENTRY_PCT": "a lot", "GRIDBOT_TUI_FPS": "3.5"}
    assert problems(None, env, (("cycle.write_off", "maybe"),)) == [
        'env GRIDBOT_GRID_ENTRY_PCT: grid.entry_pct = "a lot": '
        "must be a number above 0 and below 50 (percent)",
        'env GRIDBOT_TUI_FPS: tui.fps = "3.5": must be a whole number from 0 to 30',
        'flag --set cycle.write_off: cycle.write_off = "maybe": must be true or false',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[grid]\nentry_pc = 1", "2: grid.entry_pc is no setting; did you mean grid.entry_pct?"),
        ("grid.Entry_Pct = 1", "1: grid.Entry_Pct is no setting; did you mean grid.entry_pct?"),
        (
            "[fees]\norder_size = 1",
            "2: fees.order_size is no setting; did you mean grid.order_size?",
        ),
        ("[tui]\nzzzz = 1", "2: tui.zzzz is no setting"),
        ("[grd]\nentry_pct = 1", "1: [grd] is no section; did you mean [grid]?"),
        ("[[zzzz]]\na = 1", "1: zzzz stands outside a section"),
        ("pair = 1", "1: pair stands outside a section; did you mean exchange.pair?"),
        ("grid = 1", "1: grid is a section: put [grid] above its keys"),
        ("[[grid]]\nentry_pct = 1", "1: grid is a section: put [grid] above its keys"),
        (
            '[kraken]\napi_key = "x"',
            "1: [kraken] is no section; Kraken credentials are read from "
            "KRAKEN_API_KEY and KRAKEN_API_SECRET only",
        ),
    ],
)
def test_an_unknown_name_gets_a_suggestion(path: Path, text: str, expected: str) -> None:
    assert file_problems(path, text) == [expected]


def test_unknown_variables_and_flags_get_a_suggestion() -> None:
    env = {"GRIDBOT_GRID_ENTRY": "1", "GRIDBOT_API_SECRET": "1", "GRIDBOT_ZZ": "1"}
    assert problems(None, env, (("entry_pct", "1"), ("grid.entri_pct", "1"), ("", "1"))) == [
        "env GRIDBOT_API_SECRET: names no setting; did you mean KRAKEN_API_SECRET?",
        "env GRIDBOT_GRID_ENTRY: names no setting; did you mean GRIDBOT_GRID_ENTRY_PCT?",
        "env GRIDBOT_ZZ: names no setting",
        "flag --set: entry_pct is no setting; did you mean grid.entry_pct?",
        "flag --set: grid.entri_pct is no setting; did you mean grid.entry_pct?",
        "flag --set:  is no setting",
    ]


def test_all_problems_of_all_sources_come_at_once(path: Path) -> None:
    path.write_text("[grid]\nentry_pct = 0\nfoo = 1\n[slots]\nmax_slots = 1\n")
    assert problems(path, {"GRIDBOT_TUI_FPS": "x"}, (("tui.glyphs", "runes"),)) == [
        f"file {path}:3: grid.foo is no setting",
        f"file {path}:2: grid.entry_pct = 0: must be a number above 0 and below 50 (percent)",
        'env GRIDBOT_TUI_FPS: tui.fps = "x": must be a whole number from 0 to 30',
        'flag --set tui.glyphs: tui.glyphs = "runes": must be one of unicode, ascii',
        f"slots.initial_slots = 2 [default] must not be above slots.max_slots = 1 [file {path}:5]",
    ]


# ---- unusable files


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            b"[grid]\nentry_pct = 0,2\n",
            "2: not valid TOML: Expected newline or end of document after a statement"
            "; a fraction needs a dot",
        ),
        (
            b"[exchange]\npair = BTC\n",
            "2: not valid TOML: Invalid value"
            "; text needs quotes, a fraction a digit before its dot",
        ),
        (b"[grid]\nentry_pct = 1\nentry_pct = 2", "3: not valid TOML: Cannot overwrite a value"),
        (b"a = 1\nb = [1\n", "2: not valid TOML: Unclosed array"),
        (b"[tui]\n# \xe4\nfps = 3\n", "2: not UTF-8 text; save the file as UTF-8"),
        (b"#" * (FILE_BYTES_MAX + 1), " larger than 1000000 bytes; not a configuration"),
    ],
)
def test_a_broken_file_is_one_line_with_the_place(
    path: Path, content: bytes, expected: str
) -> None:
    path.write_bytes(content)
    (line,) = problems(path)
    # Python versions differ in how they end the sentence about a document that stops early.
    assert line.startswith(f"file {path}:{expected}")


def test_toml_nested_beyond_reason_is_one_line(path: Path) -> None:
    path.write_text("a = " + "[" * 20000)
    (line,) = problems(path)
    assert line.startswith(f"file {path}: not valid TOML: ")


def test_a_missing_file_names_who_asked_for_it(path: Path) -> None:
    assert problems(path) == [f"--config: no such file: {path}"]
    asked = {"GRIDBOT_CONFIG": str(path)}
    assert problems(None, asked) == [f"env GRIDBOT_CONFIG: no such file: {path}"]


def test_a_directory_or_an_endless_link_cannot_be_read(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"file {tmp_path}: cannot be read: Is a directory"]
    link = tmp_path / "link"
    link.symlink_to(link)
    (line,) = problems(link)
    assert line.startswith(f"file {link}: cannot be read: ")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_cannot_be_read(path: Path) -> None:
    path.touch(mode=0)
    assert problems(path) == [f"file {path}: cannot be read: Permission denied"]


# ---- contradictions


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (
            {"grid.profit_pct": "0.99"},
            "grid.profit_pct = 0.99 [flag --set grid.profit_pct] is below the fee floor 1 = "
            "2 x fees.maker_fee_pct = 0.4 [default] + fees.min_profit_margin_pct = 0.2 [default]",
        ),
        (
            {"governor.orphan_pressure_high": "0.8"},
            "governor.orphan_pressure_high = 0.8 [flag --set governor.orphan_pressure_high] "
            "must be below governor.orphan_pressure_crit = 0.8 [default]",
        ),
        (
            {"capacity.stop_headroom": "21"},
            "capacity.stop_headroom = 21 [flag --set capacity.stop_headroom] "
            "must not be above capacity.caution_headroom = 20 [default]",
        ),
        (
            {"slots.initial_slots": "85"},
            "slots.initial_slots = 85 [flag --set slots.initial_slots] "
            "must not be above slots.max_slots = 84 [default]",
        ),
        (
            {"timing.poll_interval_seconds": "60.5"},
            "timing.poll_interval_seconds = 60.5 [flag --set timing.poll_interval_seconds] "
            "must not be above timing.stale_price_max_age_sec = 60 [default]",
        ),
        (
            {"risk.lower_price": "5", "risk.upper_price": "5"},
            "risk.lower_price = 5 [flag --set risk.lower_price] "
            "must be below risk.upper_price = 5 [flag --set risk.upper_price]",
        ),
        (
            {"persistence.state_file": "ledger.jsonl"},
            "persistence.state_file = ledger.jsonl [flag --set persistence.state_file] "
            "must differ from persistence.ledger_file = ledger.jsonl [default]",
        ),
        (
            {"exchange.tier": "starter", "capacity.open_order_safety_ratio": "0.03"},
            "capacity.open_order_safety_ratio = 0.03 "
            "[flag --set capacity.open_order_safety_ratio] of a limit of 60 orders leaves "
            "an effective cap of 1; at least 2 are needed",
        ),
    ],
)
def test_a_contradiction_names_both_figures(flags: dict[str, str], expected: str) -> None:
    assert problems(None, flags=tuple(flags.items())) == [expected]


@pytest.mark.parametrize(
    "flags",
    [
        {"grid.profit_pct": "1.2", "fees.maker_fee_pct": "0.5"},
        {"governor.orphan_pressure_high": "0.79"},
        {"capacity.stop_headroom": "20"},
        {"slots.initial_slots": "84"},
        {"timing.poll_interval_seconds": "60"},
        {"risk.lower_price": "5"},
        {"risk.upper_price": "5"},
        {"capacity.open_orders_per_pair_limit": "2", "capacity.open_order_safety_ratio": "1"},
    ],
)
def test_the_edge_of_a_contradiction_is_allowed(flags: dict[str, str]) -> None:
    assert load(None, {}, tuple(flags.items())).settings != Settings()


def test_live_needs_a_pair_and_both_funds() -> None:
    live = "run.mode = live [flag --set run.mode] needs"
    assert problems(None, flags=(("run.mode", "live"),)) == [
        f"{live} exchange.pair, which is not set",
        f"{live} funds.quote, which is not set",
        f"{live} funds.base, which is not set",
    ]
    flags = {"exchange.pair": "XBTUSD", "funds.quote": "100", "funds.base": "all"}
    config = load(None, {}, (("run.mode", "live"), *flags.items()))
    assert config.settings.exchange.pair == "XBTUSD"


def test_a_refused_value_is_not_reported_twice_as_a_contradiction() -> None:
    (line,) = problems(None, flags=(("slots.max_slots", "zero"), ("slots.initial_slots", "90")))
    assert line.startswith("flag --set slots.max_slots: ")


# ---- any valid value survives, no secret does

CALM = {
    "grid.profit_pct": (1, 99),
    "fees.maker_fee_pct": (0, D("0.4")),
    "fees.min_profit_margin_pct": (0, D("0.2")),
    "governor.orphan_pressure_high": (0, D("0.6")),
    "governor.orphan_pressure_crit": (D("0.601"), 1),
    "capacity.stop_headroom": (0, 10),
    "capacity.caution_headroom": (10, 1000),
    "slots.initial_slots": (1, 84),
    "slots.max_slots": (84, 1000),
    "timing.poll_interval_seconds": (1, 60),
    "timing.stale_price_max_age_sec": (60, 86400),
    "risk.lower_price": (0, 10),
    "risk.upper_price": (11, 1000),
    "capacity.open_order_safety_ratio": (D("0.5"), 1),
    "capacity.open_orders_per_pair_limit": (4, 1000),
}
TEXTS = {
    "pair": ["BTC/USD", "XBTUSD", "AAPLx/USD"],
    "asset": ["BTC", "ETH2.S"],
    "name": ["default", "eth-usd_2"],
    "path": ["/srv/grid bot/ü", "~/data"],
    "url": ["https://example.org/x"],
    "line": ["abc123!"],
    "names": ["trend_hint", "a-1, b.2,c"],
    "file_path": ["/etc/gridbot/credentials", "~/keys"],
    "text": ["notify --to me", "/usr/bin/true"],
    "address": ["https://api.kraken.com", "http://127.0.0.1:8000", "http://localhost/"],
}


def valid_values(row: Row) -> st.SearchStrategy[object]:
    words = st.sampled_from(row.choices) if row.choices else st.nothing()
    if row.number is None:
        if row.format == "file":
            return st.sampled_from([f"{row.name}.json", f"{row.name}-2"])
        return words | st.sampled_from(TEXTS.get(row.format, row.choices))
    if row.number is bool:
        return st.booleans()
    limits = row.bounds
    high = limits.get("max") or limits.get("below") or 10**9
    low, high = CALM.get(row.key, (limits.get("min"), high))
    if row.number is int:
        return st.integers(int(low or 0), int(high))
    low = limits["above"] + D("0.001") if low is None and "above" in limits else low
    high = high - D("0.001") if "below" in limits and row.key not in CALM else high
    numbers = st.decimals(low, high, places=3, allow_nan=False, allow_infinity=False)
    return words | (numbers.map(float) if row.number is float else numbers)


SOME_SETTINGS = st.fixed_dictionaries(
    {}, optional={key: valid_values(row) for key, row in rows().items() if key != "run.mode"}
)


@settings(deadline=None)
@given(values=SOME_SETTINGS, mode=st.sampled_from(["sim", "paper"]))
def test_any_valid_values_load_back_equal_from_file_environment_and_flags(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, object], mode: str
) -> None:
    values["run.mode"] = mode
    document: dict[str, dict[str, object]] = {}
    for key, value in values.items():
        section, name = key.split(".")
        document.setdefault(section, {})[name] = value
    path = tmp_path_factory.getbasetemp() / "round-trip.toml"
    path.write_text(tomli_w.dumps(document), encoding="utf-8")
    env = {rows()[key].env_name: str(value) for key, value in values.items()}
    flags = [(key, str(value)) for key, value in values.items()]
    for config in (load(path, {}), load(None, env), load(None, {}, flags)):
        for key, value in values.items():
            section, name = key.split(".")
            found = config.values[key]
            assert (found, type(found)) == (value, type(value)), key
            assert config.origins[key] != "default"
            for_engine = getattr(getattr(config.settings, section), name)
            assert for_engine == (None if rows()[key].private else value), key


FRAGMENTS = st.sampled_from(
    [
        *"[]{}=.,\"'#\n\n\n\n\\01-é\x00",
        *(" = ", "[grid]", "grid", "entry_pct", "pair", '"""', "inf", "1979-05-27", "[[tui]]"),
        *("fps", "true", "0x", "1e5", "{0}", "key"),
    ]
)


@settings(deadline=None, max_examples=300)
@given(text=st.lists(FRAGMENTS, max_size=25).map("".join))
def test_any_text_is_a_configuration_or_refused_in_plain_lines(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, encoding="utf-8")
    env = {"GRIDBOT_GRID_PROFIT_PCT": text, f"GRIDBOT_{text}": "1"}
    flags = [("exchange.pair", text), (text, "1")]
    for arguments in ((path, {}), (None, env), (None, {}, flags)):
        lines: list[str] | None = None
        try:
            load(*arguments)
        except ConfigError as error:
            lines = error.problems
        assert lines is None or (lines and all(line.isprintable() for line in lines))


SECRETS = (
    st.binary(min_size=42, max_size=64)
    .map(lambda b: base64.b64encode(b).decode())
    .filter(lambda text: len(set(text)) > 20)
)
NAMEABLE = ("path", "name", "file", "file_path", "text")


@settings(deadline=None)
@given(secret=SECRETS)
def test_a_pasted_secret_is_in_no_message(
    tmp_path_factory: pytest.TempPathFactory, secret: str
) -> None:
    strict = [row for row in rows().values() if row.format not in NAMEABLE]
    lines = [f'{row.key} = "{secret}"' for row in strict if row.key != "persistence.supabase_key"]
    lines += [f'persistence.supabase_{name} = "a {secret}"' for name in ("key", "kye")]
    lines += [f'"{secret}" = 1', f'kraken.api_secret = "{secret}"', f'grid.foo = ["{secret}"]']
    path = tmp_path_factory.getbasetemp() / "secret.toml"
    path.write_text("\n".join(lines))
    env = {row.env_name: secret for row in strict if row.format != "line"}
    env |= {"KRAKEN_API_KEY": secret, "GRIDBOT_API_SECRET": secret, f"GRIDBOT_{secret}": "1"}
    flags = [*((row.key, f"{secret} x") for row in strict), (secret, secret), ("run.key", secret)]
    with pytest.raises(ConfigError) as caught:
        load(path, env, flags)
    assert len(caught.value.problems) > 3 * len(strict)
    assert secret[:20] not in str(caught.value)
    assert secret[-20:] not in str(caught.value)


def test_a_short_misspelt_secret_is_not_repeated_either(path: Path) -> None:
    text = '[persistence]\npasword = "hunter2"\nsupabase_key = "hunter2 "\n[hunt]\ner = "hunter2"'
    assert "hunter2" not in "".join(file_problems(path, text))


def test_the_engine_gets_no_secret_and_no_place() -> None:
    private = {row.key for row in rows().values() if row.private}
    stored = {f"persistence.{n}" for n in ("data_dir", "supabase_url", "supabase_key")}
    assert private == stored | {"exchange.credentials_file", "alerts.command"}
    config = load(None, {}, [(key, "https://hunter2") for key in private])
    assert "hunter2" not in repr(config.settings)
    assert config.values["persistence.supabase_key"] == "https://hunter2"


def test_a_new_setting_that_sounds_secret_is_withheld_by_itself() -> None:
    row = rows()["persistence.ledger_file"]
    assert not row.private
    assert replace(row, name="bot_token").private
    assert replace(row, format="url").private


def test_show_hides_secrets_and_tells_whether_credentials_are_set(path: Path) -> None:
    text = '[persistence]\nsupabase_key = "hunter2"\nsupabase_url = "https://me:hunter2@host/x"'
    env = {"KRAKEN_API_KEY": "hunter2", "KRAKEN_API_SECRET": " "}
    config = loaded(path, text)
    page = render_show(config, env)
    assert "hunter2" not in page + render_check(config)
    assert re.search(r"^persistence\.supabase_key +\*\*\* +file .*:2$", page, re.MULTILINE)
    assert re.search(r"^persistence\.supabase_url +https://\*\*\*@host/x ", page, re.MULTILINE)
    assert re.search(r"^KRAKEN_API_KEY +set +env KRAKEN_API_KEY$", page, re.MULTILINE)
    assert re.search(r"^KRAKEN_API_SECRET +not set +-$", page, re.MULTILINE)


# ---- what is printed


def test_show_lists_every_setting_in_columns(path: Path) -> None:
    config = loaded(path, "[grid]\nentry_pct = 0.30", GRIDBOT_CYCLE_WRITE_OFF="off")
    page = render_show(config, {}).splitlines()
    assert page[:3] == [f"config file     {path}", f"data directory  {config.data_dir}", ""]
    table = page[3:]
    assert [line.split()[0] for line in table[:-2]] == list(rows())
    column = table[0].index("not set")
    assert all(line[column - 1] == " " and line[column] != " " for line in table)
    by_key = {line.split()[0]: line.split(maxsplit=1)[1].split("  ") for line in table}
    assert (by_key["grid.entry_pct"][0], by_key["grid.entry_pct"][-1].strip()) == (
        "0.3",
        f"file {path}:2",
    )
    assert by_key["cycle.write_off"][0] == "false"
    assert by_key["cycle.s1_orphan_after_sec"][0] == "1350"
    assert by_key["exchange.tier"][0] == "not set (pro in sim, starter in paper and live)"


def test_check_paints_the_money_picture() -> None:
    flags = {
        "exchange.tier": "starter",
        "slots.initial_slots": "14",
        "grid.profit_pct": "1.5",
        "funds.quote": "55",
    }
    config = load(None, {}, tuple(flags.items()))
    assert render_check(config).splitlines() == [
        "ok",
        "config file     none",
        f"data directory  {config.data_dir}",
        "fee floor       1 % = 2 x 0.4 % maker fee + 0.2 % margin; target 1.5 %, 0.5 % above it",
        "effective cap   45 orders = 60 x 0.75",
        "at the start    14 slots (11 sticky, 3 cycle) hold up to 34 orders",
        "full house      84 sticky slots hold up to 168 orders; 123 of them wait for capacity",
        "capital         about 10 quote and the same worth of base per slot, 140 of each for "
        "14 slots; funds.quote 55 pays for 5 buy entries",
        "not default     4 of 82 settings",
        "  exchange.tier = starter [flag --set exchange.tier]",
        "  funds.quote = 55 [flag --set funds.quote]",
        "  grid.profit_pct = 1.5 [flag --set grid.profit_pct]",
        "  slots.initial_slots = 14 [flag --set slots.initial_slots]",
    ]


def test_the_example_file_is_current_and_means_the_defaults(path: Path) -> None:
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    assert text == example_toml()
    assert loaded(path, text).settings == Settings()
    with_defaults = re.sub(r"^#(?=\w)", "", text, flags=re.MULTILINE)
    config = loaded(path, with_defaults)
    assert config.settings == Settings()
    set_keys = {key for key, origin in config.origins.items() if origin != "default"}
    assert set_keys == {key for key, row in rows().items() if row.default is not None}


def test_the_examples_of_settings_without_default_are_accepted_too(path: Path) -> None:
    text = re.sub(r"^# ?(?=\w+ = )", "", example_toml(), flags=re.MULTILINE)
    assert set(loaded(path, text).origins.values()) - {"default"}
    assert "default" not in loaded(path, text).origins.values()


def test_the_settings_page_is_current() -> None:
    assert (ROOT / "docs/SETTINGS.md").read_text(encoding="utf-8") == settings_markdown()
