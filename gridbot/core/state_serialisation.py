"""A slot's state as a plain mapping, and back.

Rules: ``from_dict(to_dict(state)) == state``. Decimals leave as text and come back exactly. Old
snapshots are read generously (missing keys take defaults, unknown ones are ignored), but a number
that is null or unusable is refused by name rather than guessed.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec.structs import fields

from gridbot.core.records import Side, TradeId
from gridbot.core.state_records import (
    CycleRecord,
    ModeSource,
    OrderRole,
    OrderState,
    PairState,
    RecoveryOrder,
    regime_code,
)

# Sums of finite products stay far inside; "1E+999999" would hang whatever prints it.
EXPONENT_MAX = 18
EXPONENT_MIN = -100


class SnapshotError(ValueError):
    """A stored state that cannot be used; the message names the field."""


def to_dict(state: PairState) -> dict[str, Any]:
    """The state as JSON-ready builtins: field names as keys, Decimals as text, tuples as lists."""
    data: dict[str, Any] = msgspec.to_builtins(state)
    for name in ("orders", "recovery_orders", "completed_cycles"):
        data[name] = list(data[name])
    return data


def from_dict(data: Mapping[str, Any]) -> PairState:
    """The state in ``data``; raises SnapshotError naming the field that cannot be read."""
    if not isinstance(data, Mapping):
        raise SnapshotError(f"slot state: {data!r} is not a mapping")
    source = dict(data)
    source.setdefault("total_settled_usd", source.get("total_profit", 0))
    source.setdefault("profit_pct_runtime", source.get("profit_pct", 1))
    state: PairState = _record(PairState, source, "")
    return state


def _record(kind: type[Any], row: Mapping[str, Any], where: str) -> Any:
    values = {
        name: read(row.get(name, 0), where + name)
        for name, required, read in _PLANS[kind]
        if required or name in row
    }
    return kind(**values)


# --- one value ------------------------------------------------------------------------------

Reader = Callable[[Any, str], Any]


def _decimal(value: Any, what: str) -> Decimal:
    try:
        # A float counts as the text it was written as: 0.1 is one tenth.
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except (InvalidOperation, TypeError, ValueError):
        raise SnapshotError(f"{what}: {value!r} is not a number") from None
    if not number.is_finite() or not EXPONENT_MIN <= number.adjusted() <= EXPONENT_MAX:
        raise SnapshotError(f"{what}: {value!r} is not a finite number of sane size")
    return number


def _int(value: Any, what: str) -> int:
    return int(_decimal(value, what))


def _seconds(value: Any, what: str) -> float:
    return float(_decimal(value, what))


def _optional_seconds(value: Any, what: str) -> float | None:
    return None if value is None else _seconds(value, what)


def _flag(value: Any, what: str) -> bool:
    return bool(value)


def _text(value: Any, what: str) -> str:
    return str(value or "")


def _reason(value: Any, what: str) -> str:
    return str(value or "stale")


def _unchanged(value: Any, what: str) -> Any:
    return value


def _regime(value: Any, what: str) -> int | None:
    return regime_code(value)


def _mode_source(value: Any, what: str) -> str:
    text = str(value).strip().lower()
    return text if text in ("balance", "regime") else "none"


def _one_of(*choices: str) -> Reader:
    def read(value: Any, what: str) -> str:
        text = str(value or choices[0])
        if text not in choices:
            raise SnapshotError(f"{what}: {value!r} is not one of {', '.join(choices)}")
        return text

    return read


def _many(kind: type[Any]) -> Reader:
    def read(rows: Any, what: str) -> tuple[Any, ...]:
        if not isinstance(rows, list | tuple):
            raise SnapshotError(f"{what}: {rows!r} is not a list")
        return tuple(
            _record(kind, row, f"{what}[{index}].")
            for index, row in enumerate(rows)
            if isinstance(row, Mapping)
        )

    return read


_READERS: dict[Any, Reader] = {
    Decimal: _decimal,
    int: _int,
    float: _seconds,
    bool: _flag,
    str: _text,
    float | None: _optional_seconds,
    int | None: _regime,
    str | None: _unchanged,
    Side: _one_of("buy", "sell"),
    OrderRole: _one_of("entry", "exit"),
    TradeId: _one_of("A", "B"),
    ModeSource: _mode_source,
    tuple[OrderState, ...]: _many(OrderState),
    tuple[RecoveryOrder, ...]: _many(RecoveryOrder),
    tuple[CycleRecord, ...]: _many(CycleRecord),
}
_PLANS: dict[type[Any], list[tuple[str, bool, Reader]]] = {
    kind: [
        (f.name, f.required, _reason if f.name == "reason" else _READERS[f.type])
        for f in fields(kind)
    ]
    for kind in (PairState, OrderState, RecoveryOrder, CycleRecord)
}
