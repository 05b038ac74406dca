"""Every setting as typed, frozen values: what ``config`` builds and everybody else reads.

Percentages are percent (1.0 = 1 %), durations seconds, money in quote currency. ``None`` means
"derived": from the exchange, the tier, or the other settings. Ranges and contradictions are
``config``'s business; core trusts what it is handed.
"""

from decimal import Decimal
from typing import Any, Literal

import msgspec

D = Decimal
Mode = Literal["sim", "paper", "live"]
Tier = Literal["starter", "intermediate", "pro"]
GovernorMode = Literal["off", "suggest", "autonomous"]
Allotment = Decimal | Literal["all"] | None

TIER_OPEN_ORDERS = {"starter": 60, "intermediate": 80, "pro": 225}


class ExchangeSettings(msgspec.Struct, frozen=True):
    pair: str | None = None
    base_asset: str | None = None
    quote_asset: str | None = None
    tier: Tier | None = None
    base_url: str = "https://api.kraken.com"
    credentials_file: str | None = None
    lockout_sec: float = 900.0
    max_spread_pct: Decimal = D("1")


class FundsSettings(msgspec.Struct, frozen=True):
    quote: Allotment = None
    base: Allotment = None


class GridSettings(msgspec.Struct, frozen=True):
    entry_pct: Decimal = D("0.20")
    profit_pct: Decimal = D("1.0")
    order_size: Decimal = D("10.0")
    min_volume: Decimal | None = None
    price_decimals: int | None = None
    volume_decimals: int | None = None
    refresh_pct: Decimal = D("1.0")
    max_consecutive_refreshes: int = 3
    refresh_cooldown_sec: float = 300.0
    partial_wait_sec: float = 900.0


class SlotsSettings(msgspec.Struct, frozen=True):
    rung_pct: Decimal = D("0.05")
    initial_slots: int = 2
    initial_sticky_ratio: Decimal = D("0.75")
    max_slots: int = 84
    slot_profit_threshold: Decimal = D("5.0")
    max_auto_slots: int = 5


class CapacitySettings(msgspec.Struct, frozen=True):
    open_orders_per_pair_limit: int | None = None
    open_order_safety_ratio: Decimal = D("0.75")
    caution_headroom: int = 20
    stop_headroom: int = 10


class CycleSettings(msgspec.Struct, frozen=True):
    s1_orphan_after_sec: float = 1350.0
    s2_orphan_after_sec: float = 1800.0
    max_recovery_slots: int = 2
    write_off: bool = True
    max_reprices: int = 3
    recovery_ttl_sec: float = 0.0
    max_inventory: Decimal | None = None


class LossesSettings(msgspec.Struct, frozen=True):
    backoff_start: int = 3
    cooldown_start: int = 5
    cooldown_sec: float = 900.0
    backoff_factor: Decimal = D("0.5")
    backoff_max_multiplier: Decimal = D("5.0")
    reentry_base_cooldown_sec: float = 0.0


class GovernorSettings(msgspec.Struct, frozen=True):
    enabled: bool = True
    mode: GovernorMode = "suggest"
    orphan_pressure_high: Decimal = D("0.6")
    orphan_pressure_crit: Decimal = D("0.8")
    window_sec: float = 21600.0
    min_sample: int = 10
    min_cycle_slots: int = 0
    plugins: str | None = None


class RiskSettings(msgspec.Struct, frozen=True):
    max_daily_loss: Decimal = D("0")
    max_drawdown: Decimal = D("0")
    lower_price: Decimal = D("0")
    upper_price: Decimal = D("0")


class FeesSettings(msgspec.Struct, frozen=True):
    maker_fee_pct: Decimal = D("0.40")
    min_profit_margin_pct: Decimal = D("0.20")


class TimingSettings(msgspec.Struct, frozen=True):
    poll_interval_seconds: float = 30.0
    stale_price_max_age_sec: float = 60.0
    price_jump_confirm_pct: Decimal = D("10")


class AlertsSettings(msgspec.Struct, frozen=True):
    command: str | None = None
    min_interval_sec: float = 300.0
    daily_at_hour: int = 8


class PersistenceSettings(msgspec.Struct, frozen=True):
    data_dir: str | None = None
    state_file: str = "state.json"
    ledger_file: str = "ledger.jsonl"
    supabase_url: str | None = None
    supabase_key: str | None = None


class RunSettings(msgspec.Struct, frozen=True):
    mode: Mode = "sim"
    profile: str = "default"


class TuiSettings(msgspec.Struct, frozen=True):
    fps: int = 12
    theme: str = "factory-dark"
    glyphs: Literal["unicode", "ascii"] = "unicode"
    bell: bool = True


class SimSettings(msgspec.Struct, frozen=True):
    seed: int = 1
    volatility: Decimal = D("0.05")  # typical move of one minute, percent
    trend: Decimal = D("0")  # drift per day, percent
    speed: Decimal = D("60")  # simulated seconds per second
    start_price: Decimal | None = None
    quote_balance: Decimal | None = None
    base_balance: Decimal | None = None
    fee_asset: Literal["quote", "base"] = "quote"


class Settings(msgspec.Struct, frozen=True):
    """The whole configuration; the section and field names are the keys of the TOML file."""

    exchange: ExchangeSettings = ExchangeSettings()
    funds: FundsSettings = FundsSettings()
    grid: GridSettings = GridSettings()
    slots: SlotsSettings = SlotsSettings()
    capacity: CapacitySettings = CapacitySettings()
    cycle: CycleSettings = CycleSettings()
    losses: LossesSettings = LossesSettings()
    governor: GovernorSettings = GovernorSettings()
    risk: RiskSettings = RiskSettings()
    fees: FeesSettings = FeesSettings()
    timing: TimingSettings = TimingSettings()
    alerts: AlertsSettings = AlertsSettings()
    persistence: PersistenceSettings = PersistenceSettings()
    run: RunSettings = RunSettings()
    tui: TuiSettings = TuiSettings()
    sim: SimSettings = SimSettings()


def fee_floor_pct(maker_fee_pct: Decimal, margin_pct: Decimal) -> Decimal:
    """Smallest profit target that still earns: two maker fees plus the margin, in percent."""
    return 2 * maker_fee_pct + margin_pct


def open_orders_limit(settings: Settings) -> int:
    """The pair's open-order limit: set, else the tier's (pro in sim, else starter until set)."""
    if settings.capacity.open_orders_per_pair_limit is not None:
        return settings.capacity.open_orders_per_pair_limit
    tier = settings.exchange.tier or ("pro" if settings.run.mode == "sim" else "starter")
    return TIER_OPEN_ORDERS[tier]


def settings_from_plain(plain: dict[str, Any]) -> Settings:
    """The inverse of ``msgspec.to_builtins(settings)``; raises msgspec.ValidationError.
    An allotment is an amount or a word, which msgspec cannot tell apart in one union.
    """
    sections = {
        field.name: msgspec.convert(plain[field.name], field.type)
        for field in msgspec.structs.fields(Settings)
        if field.name != "funds" and field.name in plain
    }
    funds: dict[str, Any] = {
        asset: text if text in (None, "all") else Decimal(text)
        for asset, text in plain.get("funds", {}).items()
    }
    return Settings(**sections, funds=FundsSettings(**funds))
