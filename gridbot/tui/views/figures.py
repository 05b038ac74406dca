"""The loose parts of a status as typed values, alike from an engine in here and from JSON."""

from decimal import Decimal
from typing import Any, TypeVar

import msgspec

from gridbot.core.governor import Suggestion
from gridbot.core.numbers import ZERO
from gridbot.core.odds import Odds

Part = TypeVar("Part", bound=msgspec.Struct)
Quantiles = dict[str, dict[str, float]]


class Shadow(msgspec.Struct, frozen=True):
    """See ``core.exits.shadow_figures``."""

    share: float | None = None
    late_sec: float | None = None
    settled: int = 0
    followed: int = 0
    reached: int = 0


class Governor(msgspec.Struct, frozen=True):
    """See ``engine.status.governor_status``; suggestions are newest first."""

    mode: str = ""
    pressure: float = 0.0
    backlog: float = 0.0
    flow: float = 0.0
    few_data: bool = True
    high: Decimal = ZERO
    crit: Decimal = ZERO
    band: str = ""
    next_at: float | None = None
    shadow: Shadow = Shadow()
    suggestions: tuple[Suggestion, ...] = ()
    pending: int = 0
    conversions: int = 0
    odds: Odds | None = None


class AutoSlots(msgspec.Struct, frozen=True):
    """See ``engine.status.auto_slots_status``."""

    added: int = 0
    earned: int = 0
    max: int = 0
    next_at: Decimal = ZERO


class FillHealth(msgspec.Struct, frozen=True):
    """Seconds and percent by "kind side": filled exits stood, waiting ones stand, are away."""

    fill_seconds: Quantiles = {}
    ages: Quantiles = {}
    distance_pct: Quantiles = {}
    partial_open: int = 0
    partial_cancelled: int = 0
    orphans_per_hour: float = 0.0
    write_offs_per_hour: float = 0.0
    write_offs_result: Decimal = ZERO


def typed(part: dict[str, Any], kind: type[Part]) -> Part | None:
    """The part as a struct; None if the engine does not tell it, or tells something else."""
    if not part:
        return None
    try:
        return msgspec.convert(part, kind)
    except msgspec.ValidationError:
        return None
