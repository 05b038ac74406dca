"""Configuration: defaults, file, environment and flags become core's Settings.

Later sources win: defaults < TOML file < environment < flags. Every problem of every source is
collected and reported at once, one line each, naming source, key, value and what is allowed.
Credentials are never part of the settings and appear in no message, only as "set" or "not set".
"""

import operator
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from pathlib import Path
from typing import Any

import msgspec
import platformdirs

from gridbot.config_schema import (
    Refused,
    Value,
    convert,
    example_toml,
    rows,
    settings_markdown,
    shown,
    shown_raw,
)
from gridbot.config_sources import CREDENTIALS, ENV_CONFIG, read_env, read_file, read_flags
from gridbot.core.capacity import ORDERS_RESERVED, effective_cap
from gridbot.core.numbers import plain
from gridbot.core.settings import Settings, fee_floor_pct, open_orders_limit

__all__ = [
    "ConfigError",
    "LoadedConfig",
    "example_toml",
    "load",
    "render_check",
    "render_show",
    "settings_markdown",
]

EFFECTIVE_CAP_MIN = 2


class ConfigError(ValueError):
    """The configuration cannot be used; ``problems`` holds one line for each reason."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


class LoadedConfig(msgspec.Struct, frozen=True):
    """Settings with the origin of each, the file that was read, and where data is kept."""

    settings: Settings
    origins: dict[str, str]
    config_path: Path | None
    data_dir: Path


def load(
    config_path: Path | None, env: Mapping[str, str], overrides: Sequence[tuple[str, str]] = ()
) -> LoadedConfig:
    """Settings from all sources; raises ConfigError with every problem found.

    Without ``config_path`` the file named by GRIDBOT_CONFIG is read, else the one in the
    platform's configuration directory if there is one.
    """
    problems: list[str] = []
    path, required_by = _config_file(config_path, env)
    from_file = read_file(path, required_by, problems)
    given = [*(from_file or []), *read_env(env, problems), *read_flags(overrides, problems)]

    values: dict[str, Value] = {key: row.default for key, row in rows().items()}
    origins = dict.fromkeys(values, "default")
    refused = set()
    for one in given:
        try:
            values[one.key] = convert(rows()[one.key], one.raw, one.from_text)
            origins[one.key] = one.origin
        except Refused as error:
            refused.add(one.key)
            value = shown_raw(one.key, one.raw)
            problems.append(f"{one.origin}: {one.key} = {value}: {error}")

    settings = _build(values)
    problems += _contradictions(settings, origins, refused)
    data_dir = _data_dir(settings, origins, path, problems)
    if problems:
        raise ConfigError(problems)
    return LoadedConfig(settings, origins, path if from_file is not None else None, data_dir)


def _config_file(path: Path | None, env: Mapping[str, str]) -> tuple[Path, str | None]:
    if path is not None:
        return path, "--config"
    if env.get(ENV_CONFIG):
        return Path(env[ENV_CONFIG]), f"env {ENV_CONFIG}"
    return Path(platformdirs.user_config_dir("gridbot")) / "config.toml", None


def _build(values: Mapping[str, Value]) -> Settings:
    sections: dict[str, dict[str, Value]] = {}
    for key, value in values.items():
        section, name = key.split(".")
        sections.setdefault(section, {})[name] = value
    defaults = Settings()
    built = {s: type(getattr(defaults, s))(**fields) for s, fields in sections.items()}
    return Settings(**built)


def _data_dir(
    settings: Settings, origins: Mapping[str, str], config_path: Path, problems: list[str]
) -> Path:
    chosen = settings.persistence.data_dir
    if chosen is None:
        return Path(platformdirs.user_data_dir("gridbot")) / settings.run.profile
    origin = origins["persistence.data_dir"]
    # A service starts anywhere: a directory named in the file is meant relative to that file.
    start = config_path.parent if origin.startswith("file ") else Path()
    try:
        return (start / Path(chosen).expanduser()).absolute()
    except RuntimeError:
        value = shown_raw("persistence.data_dir", chosen)
        problems.append(f"{origin}: persistence.data_dir = {value}: that home is not known")
        return Path()


# ---- settings that contradict each other


_OPERATORS = {
    "<": (operator.lt, "be below"),
    "<=": (operator.le, "not be above"),
    "!=": (operator.ne, "differ from"),
}
_PAIRS = (
    "governor.orphan_pressure_high < governor.orphan_pressure_crit",
    "capacity.stop_headroom <= capacity.caution_headroom",
    "slots.initial_slots <= slots.max_slots",
    "timing.poll_interval_seconds <= timing.stale_price_max_age_sec",
    "persistence.state_file != persistence.ledger_file",
)
_FLOOR_KEYS = "grid.profit_pct fees.maker_fee_pct fees.min_profit_margin_pct"
_CAP_KEYS = "capacity.open_order_safety_ratio capacity.open_orders_per_pair_limit exchange.tier"


def _contradictions(settings: Settings, origins: Mapping[str, str], refused: set[str]) -> list[str]:
    # A refused value is reported already; a second line about its default would mislead.
    return [
        text.format(*(_with_origin(settings, key, origins) for key in keys.split()))
        for keys, text in [*_broken_pairs(settings), *_broken_rules(settings)]
        if refused.isdisjoint(keys.split())
    ]


def _broken_pairs(settings: Settings) -> Iterator[tuple[str, str]]:
    for left, sign, right in (rule.split() for rule in _PAIRS):
        holds, words = _OPERATORS[sign]
        if not holds(_value(settings, left), _value(settings, right)):
            yield f"{left} {right}", f"{{0}} must {words} {{1}}"


def _broken_rules(settings: Settings) -> Iterator[tuple[str, str]]:
    floor, cap = _fee_floor(settings), _effective_cap(settings)
    if settings.grid.profit_pct < floor:
        yield _FLOOR_KEYS, f"{{0}} is below the fee floor {plain(floor)} = 2 x {{1}} + {{2}}"
    if cap < EFFECTIVE_CAP_MIN:
        limit = f"a limit of {open_orders_limit(settings)} orders leaves an effective cap of {cap}"
        yield _CAP_KEYS, f"{{0}} of {limit}; at least {EFFECTIVE_CAP_MIN} are needed"
    if 0 < settings.risk.upper_price <= settings.risk.lower_price:
        yield "risk.lower_price risk.upper_price", "{0} must be below {1}"
    for key in ("exchange.pair", "funds.quote", "funds.base"):
        if settings.run.mode == "live" and _value(settings, key) is None:
            yield f"run.mode {key}", f"{{0}} needs {key}, which is not set"


def _with_origin(settings: Settings, key: str, origins: Mapping[str, str]) -> str:
    return f"{key} = {shown(rows()[key], _value(settings, key))} [{origins[key]}]"


def _value(settings: Settings, key: str) -> Any:
    section, name = key.split(".")
    return getattr(getattr(settings, section), name)


def _fee_floor(settings: Settings) -> Decimal:
    return fee_floor_pct(settings.fees.maker_fee_pct, settings.fees.min_profit_margin_pct)


def _effective_cap(settings: Settings) -> int:
    return effective_cap(open_orders_limit(settings), settings.capacity.open_order_safety_ratio)


# ---- reports


def render_show(loaded: LoadedConfig, env: Mapping[str, str]) -> str:
    """Every setting with its value and origin, in columns; credentials only as set or not."""
    table = []
    for key, row in rows().items():
        table.append((key, shown(row, _value(loaded.settings, key)), loaded.origins[key]))
    for name in CREDENTIALS:
        is_set = bool(env.get(name, "").strip())
        table.append((name, "set" if is_set else "not set", f"env {name}" if is_set else "-"))
    key_width, value_width = (max(len(line[i]) for line in table) for i in (0, 1))
    lines = [f"{key:<{key_width}}  {value:<{value_width}}  {o}" for key, value, o in table]
    return "\n".join([*_places(loaded), "", *lines])


def _places(loaded: LoadedConfig) -> list[str]:
    return [f"config file     {loaded.config_path or 'none'}", f"data directory  {loaded.data_dir}"]


def render_check(loaded: LoadedConfig) -> str:
    """The line "ok", and what the settings mean in money and orders."""
    settings = loaded.settings
    changed = [key for key, row in rows().items() if _value(settings, key) != row.default]
    lines = ["ok", *_places(loaded), _fee_line(settings), *_order_lines(settings)]
    lines += [_capital_line(settings), f"not default     {len(changed)} of {len(rows())} settings"]
    lines += [f"  {_with_origin(settings, key, loaded.origins)}" for key in changed]
    return "\n".join(lines)


def _fee_line(settings: Settings) -> str:
    fees, target, floor = settings.fees, settings.grid.profit_pct, _fee_floor(settings)
    return (
        f"fee floor       {plain(floor)} % = 2 x {plain(fees.maker_fee_pct)} % maker fee + "
        f"{plain(fees.min_profit_margin_pct)} % margin; target {plain(target)} %, "
        f"{plain(target - floor)} % above it"
    )


def _order_lines(settings: Settings) -> list[str]:
    slots, cap, per_slot = settings.slots, _effective_cap(settings), ORDERS_RESERVED
    full = slots.max_slots * per_slot["sticky"]
    share = slots.initial_slots * slots.initial_sticky_ratio
    sticky = int(share.to_integral_value(ROUND_CEILING))
    orders = sticky * per_slot["sticky"] + (slots.initial_slots - sticky) * per_slot["cycle"]
    ratio = plain(settings.capacity.open_order_safety_ratio)
    return [
        f"effective cap   {cap} orders = {open_orders_limit(settings)} x {ratio}",
        f"at the start    {slots.initial_slots} slots ({sticky} sticky, "
        f"{slots.initial_slots - sticky} cycle) hold up to {orders} orders{_over(orders, cap)}",
        f"full house      {slots.max_slots} sticky slots hold up to {full} orders"
        f"{_over(full, cap)}",
    ]


def _over(orders: int, cap: int) -> str:
    return f"; {orders - cap} of them wait for capacity" if orders > cap else ""


def _capital_line(settings: Settings) -> str:
    size, count, funds = settings.grid.order_size, settings.slots.initial_slots, settings.funds
    line = (
        f"capital         about {plain(size)} quote and the same worth of base per slot, "
        f"{plain(size * count)} of each for {count} slots"
    )
    if isinstance(funds.quote, Decimal):
        line += f"; funds.quote {plain(funds.quote)} pays for {int(funds.quote / size)} buy entries"
    return line
