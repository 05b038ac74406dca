"""Hand-built statuses, and a client that shows one and remembers what it was asked."""

from concurrent.futures import Future
from decimal import Decimal as D
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gridbot.core.capacity import WorkBank
from gridbot.core.records import Ack, Event, LedgerEntry
from gridbot.engine.status import (
    AlarmStatus,
    BalanceStatus,
    CycleStatus,
    EngineStatus,
    OrderStatus,
    PairStatus,
    PriceStatus,
    ProfitStatus,
    SettingsStatus,
    SlotStatus,
    Status,
    WaitingStatus,
)
from gridbot.tui.cells import Line

NOW = 1_767_225_600.0 + 14 * 3600 + 22 * 60 + 7
NAMES = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron", "iris", "jade")


def order(number: int, trade: str, side: str, role: str, price: str) -> OrderStatus:
    return OrderStatus(
        f"gb{number}", f"O{number}", number, trade, side, role, D(price), D("22"), D(0),
        NOW - 60 * number, "open",
    )  # fmt: skip


def slot(number: int, **more: Any) -> SlotStatus:
    cycle = number % 4 == 0
    base = SlotStatus(
        id=number,
        alias=NAMES[number - 1] if number <= len(NAMES) else "",
        kind="cycle" if cycle else "sticky",
        rung=number - 1,
        phase=("S0", "S1a", "S1b", "S2")[number % 4],
        paused=False,
        quarantined="",
        orders=(
            order(number, "A", "sell", "exit" if cycle else "entry", "0.092101"),
            order(number + 100, "B", "buy", "exit", "0.090330"),
        ),
        recoveries=(order(2, "A", "buy", "recovery", "0.088860"),) if cycle else (),
        waiting=(),
        realised=D("3.41") - number % 5,
        unrealised=D("-0.03") * (number % 3),
        fees=D("0.31"),
        write_offs=D("0"),
        round_trips=54 + number,
        cycle_a=14,
        cycle_b=9,
        deadline_at=NOW + 480 if cycle else None,
        reprices=1 if cycle else 0,
        stuck_score=0.9,
        last_fill_at=NOW - 100 * number,
        recent_cycles=(CycleStatus("A", 14, D("0.061"), NOW - 720),),
        created_at=NOW - 1e6,
    )
    return replace(base, **more)


SPECIAL = {
    3: {"waiting": (WaitingStatus("B", "funds", "needs 10.04, free 3.10"),)},
    5: {"paused": True},
    7: {"waiting": (WaitingStatus("A", "cooldown", "", NOW + 300),), "orders": ()},
    9: {"quarantined": "ValueError: volume was 0"},
    10: {"orders": ()},
}


def status(slots: int = 12, **more: Any) -> Status:
    base = Status(
        version=1,
        seq=4121,
        mode="sim",
        at=NOW - 2,
        pair=PairStatus("DOGE/USD", "DOGE", "USD", 6, 8),
        engine=EngineStatus("running", "", NOW - 273_600, 4121, NOW - 2, 0.6, 60.0),
        price=PriceStatus(D("0.091233"), D("0.091235"), D("0.09"), D("0.091234"), NOW, False),
        profit=ProfitStatus(D("41.30"), D("-0.03"), D("-0.10"), D("0.01"), D("9.03"), D("0.42")),
        balances={"USD": BalanceStatus(D("212.418"), D("90"), D("212.418"), D(0))},
        capacity=WorkBank(225, 168, 27, 141, "normal", 18, 12, 69, 34),
        alarms=(
            AlarmStatus("QUARANTINED", "slot 9 quarantined: ValueError: volume was 0", 9),
            AlarmStatus("CAPACITY", "2 entries wait for capacity"),
        ),
        settings=SettingsStatus(D("0.20"), D("1.0"), D("10.0"), D("1.00"), "simulated 0.4 %"),
        events_last_id=1,
        slots=tuple(slot(n, **SPECIAL.get(n, {})) for n in range(1, slots + 1)),
    )
    return replace(base, **more)


ENTRY = LedgerEntry(
    id=8812,
    seq=1,
    timestamp=NOW - 700,
    entry_type="CYCLE_PROFIT",
    slot_id=1,
    realised_quote=D("0.061"),
)
EVENT = Event(1, NOW - 30, "exit_filled", "good", 4, text="slot 4.A: buy exit filled, 22 at 0.09")


def text_of(line: Line) -> str:
    """The characters of a line without their styles."""
    return "".join(text for text, _ in line)


class StillClient:
    """An engine that stands still; every command waits for ``answer``."""

    waits_for = link = ""
    attached, pid = False, 1
    data_path: Path | None = None

    def __init__(self, picture: Status | None) -> None:
        self.picture = picture
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.futures: list[Future[Ack]] = []

    def status(self) -> Status | None:
        return self.picture

    def events(self, after_id: int) -> list[Event]:
        return [EVENT] if after_id < EVENT.id and self.picture is not None else []

    def send(self, action: str, args: dict[str, Any] | None = None) -> "Future[Ack]":
        self.sent.append((action, args or {}))
        self.futures.append(Future())
        return self.futures[-1]

    def ledger(self, slot_id: int | None, count: int) -> list[LedgerEntry]:
        return [ENTRY, replace(ENTRY, id=8813, entry_type="FEE", realised_quote=D("-0.005"))]

    def close(self) -> None:
        pass

    def answer(self, ok: bool, message: str, code: str = "") -> None:
        self.futures.pop(0).set_result(Ack("", ok, message, code))
