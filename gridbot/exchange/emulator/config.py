"""How an emulator is set up, and what may change while it runs."""

from decimal import Decimal
from pathlib import Path
from typing import Literal

import msgspec

from gridbot.core.settings import Tier
from gridbot.exchange.instruments import DEFAULT_PAIR

RIGHTS = (
    "query-funds", "query-open-trades", "query-closed-trades", "modify-trades", "close-trades",
    "query-ledger", "create-ws-token",
)  # fmt: skip


class Options(msgspec.Struct, forbid_unknown_fields=True):
    """Changeable at run time; seconds are wall clock. ``delay_seconds`` and ``stale_seconds`` are
    the most that faults draw. ``lockout_after`` failed keys, signatures and nonces in a minute.
    """

    mode: Literal["online", "cancel_only", "post_only", "limit_only", "maintenance"] = "online"
    read_lag_seconds: float = 0.0
    delay_seconds: float = 90.0
    stale_seconds: float = 120.0
    lockout_after: int = 20
    permissions: tuple[str, ...] = RIGHTS


class EmulatorConfig(msgspec.Struct, frozen=True):
    """``speed``: market seconds per second. ``balances`` by asset name; plenty of what the pair
    needs and is not given. ``ledger_digits``: money is booked with its own decimals or the cost's.
    """

    pair: str = DEFAULT_PAIR
    replay: Path | None = None
    speed: float = 1.0
    tier: Tier = "starter"
    faults: dict[str, float] = {}
    seed: int = 1
    balances: dict[str, Decimal] = {}
    ledger_digits: Literal["asset", "cost"] = "asset"
    options: Options | None = None  # None: delays shortened as the speed asks for
