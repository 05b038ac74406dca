"""Configuration: defaults, file, environment and flags become core's Settings.

Later sources win: defaults < TOML file < environment < flags. Every problem of every source is
collected and reported at once, one line each, naming source, key, value and what is allowed.
Kraken's credentials are never part of this and appear in no message, only as "set" or "not set".
The Settings handed out lack every private row: what the engine writes to disk holds no secret.
"""

import operator
import os
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from gridbot.config_schema import Refused, columns, convert, rows, sections, shown, shown_raw
from gridbot.config_schema import example_toml as example_toml
from gridbot.config_schema import settings_markdown as settings_markdown
from gridbot.config_sources import CREDENTIALS, ENV_CONFIG, read_env, read_file, read_flags
from gridbot.core.capacity import ORDERS_RESERVED, effective_cap
from gridbot.core.numbers import plain
from gridbot.core.settings import Settings, fee_floor_pct, open_orders_limit

EFFECTIVE_CAP_MIN = 2


class ConfigError(ValueError):
    """The configuration cannot be used; ``problems`` holds one line for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class LoadedConfig(msgspec.Struct, frozen=True):
    """What was read from where: ``settings`` for the engine, ``values`` with the private ones."""

    settings: Settings
    values: dict[str, Any]
    origins: dict[str, str]
    config_path: Path | None
    data_dir: Path


def load(
    config_path: Path | None,
    env: Mapping[str, str],
    overrides: Iterable[tuple[str, str]] = (),
    typed: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Settings from all sources; raises ConfigError with every problem found.
    Without ``config_path`` the file named by GRIDBOT_CONFIG is read, else the one in the
    platform's configuration directory if there is one. ``typed`` names flags other than --set.
    """
    path, required_by = _config_file(config_path, env)
    found = [*read_file(path, required_by), *read_env(env), *read_flags(overrides, typed or {})]
    problems = [problem for problem in found if isinstance(problem, str)]
    values = {key: row.default for key, row in rows().items()}
    origins, refused = dict.fromkeys(values, "default"), set()
    for key, raw, origin, from_text in (given for given in found if not isinstance(given, str)):
        try:
            values[key], origins[key] = convert(rows()[key], raw, from_text), origin
        except Refused as error:
            refused.add(key)
            problems.append(_refusal(key, raw, origin, error))
    data_dir = _data_dir(values, origins["persistence.data_dir"], path)
    if data_dir is None:
        key = "persistence.data_dir"
        problems.append(_refusal(key, values[key], origins[key], "that home is not known"))
    read = path if os.path.exists(path) else None
    loaded = LoadedConfig(_public(values), values, origins, read, data_dir or Path())
    # A refused value is reported already; a second line about its default would mislead.
    for keys, text in _contradictions(loaded.settings, values):
        if refused.isdisjoint(keys.split()):
            problems.append(text.format(*(_with_origin(loaded, key) for key in keys.split())))
    if problems:
        raise ConfigError(problems)
    return loaded


def _config_file(path: Path | None, env: Mapping[str, str]) -> tuple[Path, str | None]:
    if path is not None:
        return path, "--config"
    if env.get(ENV_CONFIG):
        return Path(env[ENV_CONFIG]), f"env {ENV_CONFIG}"
    return Path(platformdirs.user_config_dir("gridbot")) / "config.toml", None


def _refusal(key: str, raw: object, origin: str, reason: object) -> str:
    return f"{origin}: {key} = {shown_raw(key, raw)}: {reason}"


def _public(values: Mapping[str, Any]) -> Settings:
    defaults, built = Settings(), {}
    for section, members in sections().items():
        public = {row.name: values[row.key] for row in members if not row.private}
        built[section] = msgspec.structs.replace(getattr(defaults, section), **public)
    return Settings(**built)


def _data_dir(values: Mapping[str, Any], origin: str, config_path: Path) -> Path | None:
    """None if it lies in a home that is not known."""
    chosen = values["persistence.data_dir"]
    if chosen is None:
        return Path(platformdirs.user_data_dir("gridbot"), values["run.profile"])
    # A service starts anywhere: a directory named in the file is meant relative to that file.
    start = config_path.parent if origin.startswith("file ") else Path()
    try:
        return (start / Path(chosen).expanduser()).absolute()
    except RuntimeError:
        return None


# ---- settings that contradict each other


_BELOW, _NOT_ABOVE = (operator.lt, "be below"), (operator.le, "not be above")
_PAIRS = (
    ("governor.orphan_pressure_high", _BELOW, "governor.orphan_pressure_crit"),
    ("capacity.stop_headroom", _NOT_ABOVE, "capacity.caution_headroom"),
    ("slots.initial_slots", _NOT_ABOVE, "slots.max_slots"),
    ("timing.poll_interval_seconds", _NOT_ABOVE, "timing.stale_price_max_age_sec"),
    ("persistence.state_file", (operator.ne, "differ from"), "persistence.ledger_file"),
)
_FLOOR_KEYS = "grid.profit_pct fees.maker_fee_pct fees.min_profit_margin_pct"
_CAP_KEYS = "capacity.open_order_safety_ratio capacity.open_orders_per_pair_limit exchange.tier"


def _contradictions(settings: Settings, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The keys of each, and a sentence in which {0} is the first key with value and origin."""
    for left, (holds, words), right in _PAIRS:
        if not holds(values[left], values[right]):
            yield f"{left} {right}", f"{{0}} must {words} {{1}}"
    floor, cap = _fee_floor(settings), effective_cap(settings)
    if settings.grid.profit_pct < floor:
        yield _FLOOR_KEYS, f"{{0}} is below the fee floor {plain(floor)} = 2 x {{1}} + {{2}}"
    if cap < EFFECTIVE_CAP_MIN:
        limit = f"a limit of {open_orders_limit(settings)} orders leaves an effective cap of {cap}"
        yield _CAP_KEYS, f"{{0}} of {limit}; at least {EFFECTIVE_CAP_MIN} are needed"
    if 0 < settings.risk.upper_price <= settings.risk.lower_price:
        yield "risk.lower_price risk.upper_price", "{0} must be below {1}"
    for key in ("exchange.pair", "funds.quote", "funds.base"):
        if settings.run.mode == "live" and values[key] is None:
            yield f"run.mode {key}", f"{{0}} needs {key}, which is not set"


def _with_origin(loaded: LoadedConfig, key: str) -> str:
    return f"{key} = {shown(rows()[key], loaded.values[key])} [{loaded.origins[key]}]"


def _fee_floor(settings: Settings) -> Decimal:
    return fee_floor_pct(settings.fees.maker_fee_pct, settings.fees.min_profit_margin_pct)


# ---- reports


def render_show(loaded: LoadedConfig, env: Mapping[str, str]) -> str:
    """Every setting with its value and origin, in columns; credentials only as set or not."""
    table = [
        (key, shown(row, loaded.values[key]), loaded.origins[key]) for key, row in rows().items()
    ]
    for name in CREDENTIALS:
        is_set = bool(env.get(name, "").strip())
        table.append((name, "set", f"env {name}") if is_set else (name, "not set", "-"))
    return "\n".join([*_places(loaded), "", *columns(table)])


def _places(loaded: LoadedConfig) -> list[str]:
    return [f"config file     {loaded.config_path or 'none'}", f"data directory  {loaded.data_dir}"]


def render_check(loaded: LoadedConfig) -> str:
    """The line "ok", and what the settings mean in money and orders."""
    fees, target = loaded.settings.fees, loaded.settings.grid.profit_pct
    floor = _fee_floor(loaded.settings)
    changed = [key for key, row in rows().items() if loaded.values[key] != row.default]
    return "\n".join([
        "ok",
        *_places(loaded),
        f"fee floor       {plain(floor)} % = 2 x {plain(fees.maker_fee_pct)} % maker fee + "
        f"{plain(fees.min_profit_margin_pct)} % margin; target {plain(target)} %, "
        f"{plain(target - floor)} % above it",
        *_order_lines(loaded.settings),
        f"not default     {len(changed)} of {len(rows())} settings",
        *(f"  {_with_origin(loaded, key)}{_no_effect(key)}" for key in changed),
    ])  # fmt: skip


def _no_effect(key: str) -> str:
    return "  WARNING: no effect in this version" if "not used yet" in rows()[key].help else ""


def _order_lines(settings: Settings) -> list[str]:
    slots, cap, per_slot = settings.slots, effective_cap(settings), ORDERS_RESERVED
    count, most, ratio = slots.initial_slots, slots.max_slots, slots.initial_sticky_ratio
    sticky = int((count * ratio).to_integral_value(ROUND_CEILING))
    size, funds = settings.grid.order_size, settings.funds.quote
    limit = f"{open_orders_limit(settings)} x {plain(settings.capacity.open_order_safety_ratio)}"

    def hold(orders: int) -> str:
        wait = f"; {orders - cap} of them wait for capacity" if orders > cap else ""
        return f"hold up to {orders} orders{wait}"

    kinds = f"{count} slots ({sticky} sticky, {count - sticky} cycle)"
    at_start = sticky * per_slot["sticky"] + (count - sticky) * per_slot["cycle"]
    pays = ""
    if isinstance(funds, Decimal):
        pays = f"; funds.quote {plain(funds)} pays for {int(funds / size)} buy entries"
    return [
        f"effective cap   {cap} orders = {limit}",
        f"at the start    {kinds} {hold(at_start)}",
        f"full house      {most} sticky slots {hold(most * per_slot['sticky'])}",
        f"capital         about {plain(size)} quote and the same worth of base per slot, "
        f"{plain(size * count)} of each for {count} slots{pays}",
    ]
